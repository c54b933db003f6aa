/*
 * Pushes refs one by one: connect, compare what the remote has with what is expected, upload on the
 * same connection, read the remote's answer for the ref (git_remote_push returns 0 on a refusal).
 * Never forced. Called by steps/push.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/git/remote.h"

#define LOOKS 2
#define TEMP_REF "refs/airunner/push-"

/* Id of a full ref or of a commit that is given as such. */
static err_t resolve(struct store *store, const char *source, git_oid *ret_id)
{
	int rc = text_starts(source, "refs/")
			 ? git_reference_name_to_id(ret_id, store->repo, source)
			 : git_oid_fromstr(ret_id, source);
	return rc < 0 ? store_error(rc, "push %s", source) : NULL;
}

/* What the remote has there, as it said when we connected; all zero when nothing. */
static err_t advertised(struct remote *remote, const char *name, git_oid *ret_id)
{
	const git_remote_head **heads;
	size_t count;
	int rc = git_remote_ls(&heads, &count, remote->handle);
	if (rc < 0)
		return remote_error(remote, rc, "list refs of");
	memset(ret_id, 0, sizeof *ret_id);
	for (size_t i = 0; i < count; i++)
		if (strcmp(heads[i]->name, name) == 0)
			git_oid_cpy(ret_id, &heads[i]->oid);
	return NULL;
}

static err_t check_expected(const struct push_ref *ref, const git_oid *there)
{
	if (!ref->expected)
		return NULL;
	char now[OID_HEX + 1];
	git_oid_tostr(now, sizeof now, there);
	if (git_oid_is_zero(there) ? !*ref->expected : strcmp(now, ref->expected) == 0)
		return NULL;
	if (git_oid_is_zero(there))
		return err_new(ERR_PUSH_REFUSED,
			"%s is gone at the remote since this run began: retry the run",
			ref->remote_ref);
	return err_new(ERR_CONFLICT,
		"%s was moved to %.10s at the remote since this run began: retry the run",
		ref->remote_ref, now);
}

/* libgit2 prefixes nothing: the words are as the hook wrote them, in pieces and lines. */
static void one_line(struct buf *words)
{
	for (char *p = words->data; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	while (words->len && words->data[words->len - 1] == ' ')
		buf_truncate(words, words->len - 1);
}

static err_t refusal(struct remote *remote)
{
	one_line(&remote->words);
	return err_new(ERR_PUSH_REFUSED, "the remote refused %s%s%s", remote->refused.data,
		remote->words.len ? "; it said: " : "", remote->words.data);
}

static err_t upload(struct remote *remote, const char *local, const char *remote_ref)
{
	autofree char *spec = xasprintf("%s:%s", local, remote_ref);
	git_push_options options;
	git_push_options_init(&options, GIT_PUSH_OPTIONS_VERSION);
	options.callbacks = remote->callbacks;
	git_strarray specs = {.strings = &spec, .count = 1};
	int rc = git_remote_upload(remote->handle, &specs, &options);
	if (rc == GIT_ENONFASTFORWARD)
		return err_new(ERR_CONFLICT,
			"%s has commits at the remote that this work was not made on: retry the "
			"run",
			remote_ref);
	if (remote->refused.len)
		return refusal(remote);
	return rc < 0 ? remote_error(remote, rc, "push to") : NULL;
}

static err_t temp_ref(struct store *store, const char *name, const git_oid *id)
{
	git_reference *made AUTO(store_reference_free) = NULL;
	AUTO(store_unlock) int lock = -1;
	ERR_TRY(store_lock(store, &lock));
	int rc = id ? git_reference_create(&made, store->repo, name, id, 1, NULL)
		    : git_reference_remove(store->repo, name);
	return rc < 0 ? store_error(rc, "%s %s", id ? "make" : "remove", name) : NULL;
}

/* A push needs a local ref; a commit gets one for the time. The lock is not held while the network
 * is used. */
static err_t upload_commit(struct remote *remote, const git_oid *id, const char *remote_ref)
{
	char hex[OID_HEX + 1];
	git_oid_tostr(hex, sizeof hex, id);
	autofree char *name = xasprintf(TEMP_REF "%s", hex);
	ERR_TRY(temp_ref(remote->store, name, id));
	err_t e = upload(remote, name, remote_ref);
	struct err kept = e ? *e : (struct err){0};
	err_t removed = temp_ref(remote->store, name, NULL);
	if (removed)
		log_debug("a ref stays behind: %s", err_text(removed)); /* it harms nobody */
	return e ? err_new(kept.code, "%s", kept.text) : NULL;
}

/* Connects; *ret_id is what is to be there, *ret_there what is. */
static err_t look(
	struct remote *remote, const struct push_ref *ref, git_oid *ret_id, git_oid *ret_there)
{
	ERR_TRY(remote_open(remote->store, remote));
	ERR_TRY(resolve(remote->store, ref->source, ret_id));
	int rc = git_remote_connect(
		remote->handle, GIT_DIRECTION_PUSH, &remote->callbacks, NULL, NULL);
	if (rc < 0)
		return remote_error(remote, rc, "push to");
	return advertised(remote, ref->remote_ref, ret_there);
}

/* Servers refuse in many words, also a ref that is there already or is just being made, by a try of
 * ours whose connection was lost: what the ref is now tells. */
static err_t after_refusal(
	struct store *store, const struct push_ref *ref, const struct err *refused)
{
	for (int n = 0; n < LOOKS; n++) {
		AUTO(remote_close) struct remote remote = {.store = store};
		git_oid id, there;
		err_t e = n ? http_wait(http_retry_wait_ms(store->set, NULL, 0), store->alive,
				      store->alive_arg)
			    : NULL;
		if (!e)
			e = look(&remote, ref, &id, &there);
		if (e)
			break;
		if (git_oid_equal(&there, &id))
			return NULL;
		ERR_TRY(check_expected(ref, &there));
	}
	return err_new(refused->code, "%s", refused->text);
}

static err_t push_one(struct store *store, const struct push_ref *ref)
{
	AUTO(remote_close) struct remote remote = {.store = store};
	git_oid id, there;
	ERR_TRY(look(&remote, ref, &id, &there));
	if (git_oid_equal(&there, &id))
		return NULL; /* pushed before this run was interrupted */
	ERR_TRY(check_expected(ref, &there));
	FAULT_POINT("git.push.before");
	ERR_TRY(upload_commit(&remote, &id, ref->remote_ref));
	FAULT_POINT("git.push.after");
	return NULL;
}

err_t store_push(struct store *store, const struct push_ref *refs, size_t count)
{
	err_t e = NULL;
	for (size_t i = 0; i < count && !e; i++) {
		int n = 0;
		do /* again is harmless: a ref that arrived counts as pushed */
			e = push_one(store, &refs[i]);
		while (remote_again(store, n++, &e));
		if (err_code(e) != ERR_PUSH_REFUSED)
			continue;
		struct err refused = *e; /* looking may make other errors */
		e = after_refusal(store, &refs[i], &refused);
	}
	return e;
}
