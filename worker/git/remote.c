/*
 * One connection of the store to its remote: callbacks, errors, fetch. Called by store.c and
 * push.c. Bytes over http and https are transport.c's, local folders libgit2's own.
 */
#include "worker/git/remote.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/run.h"

#define WORDS_MAX 700
#define ALIVE_EVERY_MS 250

static int on_credentials(
	git_credential **out, const char *url, const char *user, unsigned allowed, void *arg)
{
	(void)user;
	struct remote *remote = arg;
	err_t e = credentials_give(&remote->credentials, url, allowed, out);
	return e ? transport_fail(&remote->transport, e) : 0;
}

/* Progress arrives in pieces of lines; what was overwritten by \r counts as a line too. */
static int on_words(const char *text, int len, void *arg)
{
	struct remote *remote = arg;
	buf_add(&remote->words, text, (size_t)len);
	return 0;
}

static int on_ref(const char *ref, const char *status, void *arg)
{
	struct remote *remote = arg;
	if (status)
		buf_addf(
			&remote->refused, "%s%s: %s", remote->refused.len ? ", " : "", ref, status);
	return 0;
}

/* For local remotes; transport.c asks itself. */
static int on_progress(const git_indexer_progress *progress, void *arg)
{
	(void)progress;
	struct remote *remote = arg;
	int64_t now = monotonic_ms();
	if (!remote->store->alive || now - remote->asked_ms < ALIVE_EVERY_MS)
		return 0;
	remote->asked_ms = now;
	err_t e = remote->store->alive(remote->store->alive_arg);
	return e ? transport_fail(&remote->transport, e) : 0;
}

static int on_transport(git_transport **out, git_remote *owner, void *arg)
{
	struct remote *remote = arg;
	return transport_new(out, owner, &remote->transport);
}

static err_t check_kind(const struct store *store)
{
	struct stat st;
	if (store->transport == REPO_SSH)
		return err_new(ERR_CONFIG,
			"%s is an ssh address, which is not supported yet: set GH_TOKEN to use "
			"https",
			store->url);
	if (store->transport == REPO_LOCAL && stat(store->url, &st))
		return err_new(ERR_NOT_FOUND,
			"there is no repository at %s: correct REPO_SSH or repo_ssh in repos.json",
			store->url);
	return NULL;
}

err_t remote_open(struct store *store, struct remote *remote)
{
	*remote = (struct remote){
		.store = store,
		.words = BUF(WORDS_MAX),
		.refused = BUF(WORDS_MAX),
		.transport = {.set = store->set,
			.url = store->url,
			.alive = store->alive,
			.alive_arg = store->alive_arg},
	};
	ERR_TRY(check_kind(store));
	credentials_init(&remote->credentials, settings_str(store->set, S_GH_TOKEN), store->url);
	git_remote_init_callbacks(&remote->callbacks, GIT_REMOTE_CALLBACKS_VERSION);
	remote->callbacks.credentials = on_credentials;
	remote->callbacks.sideband_progress = on_words;
	remote->callbacks.push_update_reference = on_ref;
	remote->callbacks.transfer_progress = on_progress;
	remote->callbacks.payload = remote;
	if (store->transport == REPO_HTTPS)
		remote->callbacks.transport = on_transport;
	git_remote_create_options options;
	git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);
	options.repository = store->repo;
	options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	int rc = git_remote_create_with_opts(&remote->handle, store->url, &options);
	return rc < 0 ? store_error(rc, "remote %s", store->url) : NULL;
}

void remote_close(struct remote *remote)
{
	git_remote_free(remote->handle);
	buf_release(&remote->words);
	buf_release(&remote->refused);
}

err_t remote_error(struct remote *remote, int rc, const char *what)
{
	const struct err *own = &remote->transport.error;
	if (own->code != ERR_NONE)
		return err_new(own->code, "%s %s: %s", what, remote->store->url, own->text);
	return store_error(rc, "%s %s", what, remote->store->url);
}

bool remote_again(struct store *store, int n, err_t *e)
{
	if (!*e || store->transport != REPO_HTTPS || !err_can_retry(err_code(*e)) ||
		n >= HTTP_RETRIES)
		return false;
	struct err failed = **e; /* waiting may make other errors */
	log_debug("git: try %d failed: %s", n + 1, failed.text);
	err_t stopped =
		http_wait(http_retry_wait_ms(store->set, NULL, n), store->alive, store->alive_arg);
	*e = stopped ? stopped : err_new(failed.code, "%s", failed.text);
	return !stopped;
}

static err_t fetch_once(struct store *store, const char *spec)
{
	AUTO(remote_close) struct remote remote;
	ERR_TRY(remote_open(store, &remote));
	git_fetch_options options;
	git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
	options.callbacks = remote.callbacks;
	options.prune = GIT_FETCH_PRUNE;
	options.update_fetchhead = 0;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	git_strarray specs = {.strings = (char *[]){(char *)spec}, .count = 1};
	int rc = git_remote_fetch(remote.handle, &specs, &options, NULL);
	return rc < 0 ? remote_error(&remote, rc, "fetch") : NULL;
}

err_t remote_fetch(struct store *store, const char *spec)
{
	err_t e;
	int n = 0;
	do
		e = fetch_once(store, spec);
	while (remote_again(store, n++, &e));
	return e;
}
