/* A scratch folder with a bare remote that holds one commit, for tests of worker/git/. */
#include "tests/unit/git_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/git/tree_files.h"

const struct sample_file sample_files[] = {
	{".gitignore", "/dist/\n*.log\n", 0},
	{"README.md", "A sample.\n", 0},
	{"package-lock.json", "{}\n", 0},
	{"run.sh", "#!/bin/sh\n", GIT_FILEMODE_BLOB_EXECUTABLE},
	{"src/a.ts", "export const a = 1;\n", 0},
	{"src/b.ts", "export const b = 2;\n", 0},
	{NULL, NULL, 0},
};

const struct git_identity sample_identity = {"AI Runner", "ai-runner@localhost"};

void no_error(err_t e)
{
	if (e)
		fail_msg("%s", err_text(e));
}

static void tree_of(struct git_sample *sample, const struct sample_file *files, git_tree **ret_tree)
{
	git_index *index = NULL;
	git_oid id;
	assert_int_equal(git_index_new(&index), 0);
	for (; files->path; files++) {
		git_index_entry entry = {
			.path = files->path, .mode = files->mode ? files->mode : GIT_FILEMODE_BLOB};
		assert_int_equal(git_blob_create_from_buffer(&entry.id, sample->remote, files->text,
					 strlen(files->text)),
			0);
		assert_int_equal(git_index_add(index, &entry), 0);
	}
	assert_int_equal(git_index_write_tree_to(&id, index, sample->remote), 0);
	git_index_free(index);
	assert_int_equal(git_tree_lookup(ret_tree, sample->remote, &id), 0);
}

void sample_commit(struct git_sample *sample, const char *branch, const struct sample_file *files,
	const char *parent, char ret_commit[OID_HEX + 1])
{
	git_tree *tree = NULL;
	git_commit *before = NULL;
	git_signature *who = NULL;
	git_oid id;
	autofree char *ref = xasprintf("refs/heads/%s", branch);
	tree_of(sample, files, &tree);
	if (parent) {
		assert_int_equal(git_oid_fromstr(&id, parent), 0);
		assert_int_equal(git_commit_lookup(&before, sample->remote, &id), 0);
	}
	assert_int_equal(git_signature_now(&who, "A Person", "person@localhost"), 0);
	const git_commit *parents[] = {before};
	assert_int_equal(git_commit_create(&id, sample->remote, ref, who, who, NULL, "sample", tree,
				 before ? 1 : 0, parents),
		0);
	git_oid_tostr(ret_commit, OID_HEX + 1, &id);
	git_signature_free(who);
	git_commit_free(before);
	git_tree_free(tree);
}

void sample_make(struct git_sample *sample)
{
	*sample = (struct git_sample){.folder = "/tmp/airunner-git-XXXXXX"};
	assert_non_null(mkdtemp(sample->folder));
	setenv("GH_TOKEN", SAMPLE_TOKEN, 1);
	no_error(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
				       .default_db_user = "air_worker",
				       .overrides = (const char *[]){"REPOS_CONFIG_PATH=/nowhere",
					       "AIRUNNER_RETRY_BASE_MS=20", NULL}},
		&sample->set));
	no_error(git_start(sample->set));
	sample->remote_path = xasprintf("%s/remote.git", sample->folder);
	git_repository_init_options options;
	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR;
	options.initial_head = "main";
	assert_int_equal(
		git_repository_init_ext(&sample->remote, sample->remote_path, &options), 0);
	sample_commit(sample, "main", sample_files, NULL, sample->head);
	sample->repo = (struct repo_config){
		.clone_url = sample->remote_path,
		.address = sample->remote_path,
		.transport = REPO_LOCAL,
		.workdir = xasprintf("%s/work", sample->folder),
	};
}

void sample_remove(struct git_sample *sample)
{
	git_repository_free(sample->remote);
	no_error(tree_files_remove(sample->folder));
	settings_free(sample->set);
	free(sample->remote_path);
	free(sample->repo.workdir);
	git_stop();
}

void sample_ref(struct git_sample *sample, const char *ref, char ret_id[OID_HEX + 1])
{
	git_oid id;
	*ret_id = '\0';
	if (git_reference_name_to_id(&id, sample->remote, ref) == 0)
		git_oid_tostr(ret_id, OID_HEX + 1, &id);
}

char *sample_tree_file(struct store *store, const char *tree, const char *path)
{
	AUTO(buf_release) struct buf diff = BUF(1 << 20);
	no_error(store_diff(store, NULL, tree, &diff, NULL));
	autofree char *head = xasprintf("diff --git a/%s b/%s\n", path, path);
	const char *at = strstr(diff.data, head);
	if (!at)
		return NULL;
	const char *end = strstr(at + 1, "\ndiff --git ");
	return xstrndup(at, end ? (size_t)(end - at) : strlen(at));
}

void sample_write(const char *folder, const char *path, const char *text)
{
	autofree char *full = xasprintf("%s/%s", folder, path);
	autofree char *parent = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	no_error(tree_files_mkdir(parent));
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

char *sample_read(const char *folder, const char *path)
{
	autofree char *full = xasprintf("%s/%s", folder, path);
	AUTO(buf_release) struct buf b = BUF(1 << 20);
	return buf_read_file(&b, full) ? NULL : buf_take(&b);
}

bool sample_exists(const char *folder, const char *path)
{
	autofree char *full = xasprintf("%s/%s", folder, path);
	struct stat st;
	return lstat(full, &st) == 0;
}
