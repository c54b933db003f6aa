/* Reads package.json for the checks, the tests and the installation of dependencies. */
#define _GNU_SOURCE
#include "worker/check/package.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/mem.h"

#define PACKAGE_MAX (4u << 20)
#define LOCK_MAX (64u << 20)

static const char *const lists[] = {
	"dependencies", "devDependencies", "optionalDependencies", "peerDependencies"};
static const char *const others[] = {"workspaces", "overrides", "engines", "bundleDependencies"};
static const char *const locks[] = {"npm-shrinkwrap.json", "package-lock.json", NULL};

bool tree_has(const char *tree, const char *name)
{
	struct stat st;
	autofree char *path = xasprintf("%s/%s", tree, name);
	return stat(path, &st) == 0;
}

bool tree_read(const char *tree, const char *name, struct buf *out)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int top = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = top < 0 ? -1 : (int)syscall(SYS_openat2, top, name, &how, sizeof how);
	if (top >= 0)
		close(top);
	struct stat st;
	bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	char piece[65536];
	ssize_t n = 0;
	while (ok && !out->cut && (n = read(fd, piece, sizeof piece)) > 0)
		buf_add(out, piece, (size_t)n);
	if (fd >= 0)
		close(fd);
	return ok && n == 0 && !out->cut;
}

const char *tree_has_any(const char *tree, const char *const *names)
{
	for (; *names; names++)
		if (tree_has(tree, *names))
			return *names;
	return NULL;
}

json_t *package_load(const char *tree)
{
	AUTO(buf_release) struct buf text = BUF(PACKAGE_MAX);
	if (!tree_read(tree, "package.json", &text))
		return NULL;
	json_t *package = json_loadb(text.data, text.len, 0, NULL);
	if (json_is_object(package))
		return package;
	json_decref(package);
	return NULL;
}

const char *package_script(const json_t *package, const char *name)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(package, "scripts"), name));
	return text && *text && !strstr(text, "no test specified") ? text : NULL;
}

bool package_needs_install(const json_t *package)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (json_object_size(json_object_get(package, lists[i])) > 0)
			return true;
	return json_object_get(package, "workspaces") != NULL;
}

bool package_depends(const json_t *package, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (json_object_get(json_object_get(package, lists[i]), name))
			return true;
	return false;
}

const char *package_lock(const char *tree)
{
	return tree_has_any(tree, locks);
}

static void add_member(struct buf *all, const json_t *package, const char *name)
{
	autofree char *text =
		json_dumps(json_object_get(package, name), JSON_SORT_KEYS | JSON_ENCODE_ANY);
	buf_addf(all, "%s=%s\n", name, text ? text : "");
}

void package_key(
	const char *tree, const json_t *package, const char *node_version, char ret_hex[65])
{
	AUTO(buf_release) struct buf all = BUF(LOCK_MAX + PACKAGE_MAX);
	buf_addf(&all, "node %s\n", node_version);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		add_member(&all, package, lists[i]);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		add_member(&all, package, others[i]);
	const char *lock = package_lock(tree);
	const char *const files[] = {lock ? lock : "package-lock.json", ".npmrc"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO(buf_release) struct buf text = BUF(LOCK_MAX);
		bool missing = !tree_read(tree, files[i], &text);
		buf_addf(&all, "%s %s\n", files[i], missing ? "missing" : "");
		buf_add(&all, text.data, text.len);
	}
	crypto_sha256_hex(all.data, all.len, ret_hex);
}
