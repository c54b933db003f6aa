/*
 * git's smart HTTP by libcurl. libgit2 writes a service's request and reads its answer; redirects
 * (same host only), the token and bad answers are dealt with here before libgit2 sees a byte.
 * Called by remote.c; the request itself is transport_request.c's.
 */
#include "worker/git/transport.h"

#include <git2/sys/credential.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/credentials.h"
#include "worker/git/transport_request.h"

#define BODY_MAX ((size_t)512 << 20)
#define REDIRECTS_MAX 3
#define SAID_MAX 300

static const struct service {
	const char *path;
	const char *content_type; /* of the request; NULL: GET */
	const char *accept;
} services[] = {
	[GIT_SERVICE_UPLOADPACK_LS] = {"/info/refs?service=git-upload-pack", NULL,
		"application/x-git-upload-pack-advertisement"},
	[GIT_SERVICE_UPLOADPACK] = {"/git-upload-pack", "application/x-git-upload-pack-request",
		"application/x-git-upload-pack-result"},
	[GIT_SERVICE_RECEIVEPACK_LS] = {"/info/refs?service=git-receive-pack", NULL,
		"application/x-git-receive-pack-advertisement"},
	[GIT_SERVICE_RECEIVEPACK] = {"/git-receive-pack", "application/x-git-receive-pack-request",
		"application/x-git-receive-pack-result"},
};

struct connection {
	git_smart_subtransport parent;
	git_transport *owner;
	struct transport_context *context;
	CURLM *multi;
	char *base; /* the repository's address, after redirects */
	git_credential *credential;
};

struct stream {
	git_smart_subtransport_stream parent;
	struct connection *connection;
	const struct service *service;
	struct buf body;
	struct request request;
	bool answered;
};

int transport_fail(struct transport_context *context, err_t e)
{
	if (context->error.code == ERR_NONE)
		context->error = *e;
	git_error_set_str(GIT_ERROR_HTTP, err_text(e));
	return err_code(e) == ERR_UNAUTHORIZED ? GIT_EAUTH : GIT_EUSER;
}

/* What a server says beside a bad status: the first words of a text answer. */
static void read_said(struct request *request, struct buf *said)
{
	char chunk[SAID_MAX];
	if (!text_starts(request_content_type(request), "text/plain"))
		return;
	while (!request_pump(request)) {
		size_t n = request_take(request, chunk, sizeof chunk);
		if (n == 0 || buf_cut(said))
			break;
		text_clean(said, chunk, n);
	}
}

static err_t bad_status(struct stream *stream, long status)
{
	static const struct {
		long status;
		enum err_code code;
		const char *remedy;
	} meanings[] = {
		{403, ERR_FORBIDDEN,
			"the token (GH_TOKEN) may not do this here, it needs to write contents"},
		{404, ERR_NOT_FOUND,
			"there is no such repository, or the token (GH_TOKEN) may not see it"},
		{413, ERR_TOO_LARGE, "the server takes no push of this size"},
		{429, ERR_RATE, "the server wants fewer requests"},
	};
	AUTO(buf_release) struct buf said = BUF(SAID_MAX);
	read_said(&stream->request, &said);
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (meanings[i].status == status)
			return err_new(meanings[i].code, "answer %ld, %s. %s", status,
				meanings[i].remedy, said.data);
	return err_new(status >= 500 ? ERR_OUTSIDE : ERR_OUTSIDE_FINAL,
		"answer %ld from the git server. %s", status, said.data);
}

/* A moved repository (renamed at the forge) is followed at the same host only: the token goes
 * along. */
static err_t follow(struct stream *stream, int *redirects)
{
	struct connection *connection = stream->connection;
	const char *url = request_redirect(&stream->request);
	if (!url || stream->service->content_type || ++*redirects > REDIRECTS_MAX)
		return err_new(ERR_OUTSIDE_FINAL,
			"the git server redirects in a way that cannot be followed");
	if (!address_same_host(url, connection->base))
		return err_new(ERR_OUTSIDE_FINAL,
			"the git server redirects to %s, another host: set the address of the "
			"repository to that",
			url);
	if (!text_ends(url, stream->service->path))
		return err_new(ERR_OUTSIDE_FINAL,
			"the git server redirects to %s, which is no repository", url);
	char *base = xstrndup(url, strlen(url) - strlen(stream->service->path));
	free(connection->base);
	connection->base = base;
	return NULL;
}

/* @return ERR_UNAUTHORIZED when the callback gives none, or none any more */
static err_t authenticate(struct connection *connection)
{
	git_credential *credential = NULL;
	int rc = git_transport_smart_credentials(
		&credential, connection->owner, NULL, GIT_CREDENTIAL_USERPASS_PLAINTEXT);
	if (rc != 0 || !credential)
		return connection->context->error.code != ERR_NONE
			       ? err_new(connection->context->error.code, "%s",
					 connection->context->error.text)
			       : err_new(ERR_UNAUTHORIZED, "the server wants a token");
	git_credential_free(connection->credential);
	connection->credential = credential;
	return NULL;
}

static err_t send_once(struct stream *stream)
{
	struct connection *connection = stream->connection;
	const struct service *service = stream->service;
	autofree char *url = xasprintf("%s%s", connection->base, service->path);
	bool at_home = address_same_host(connection->base, connection->context->url);
	const git_credential_userpass_plaintext *login =
		at_home ? (const void *)connection->credential : NULL;
	struct request_options options = {
		.url = url,
		.body = service->content_type ? &stream->body : NULL,
		.content_type = service->content_type,
		.accept = service->accept,
		.user = login ? login->username : NULL,
		.password = login ? login->password : NULL,
	};
	request_stop(&stream->request);
	ERR_TRY(request_start(&stream->request, connection->context, connection->multi, &options));
	return request_pump(&stream->request);
}

/* Sends until there is an answer that libgit2 can read. */
static err_t answer(struct stream *stream)
{
	for (int redirects = 0;;) {
		ERR_TRY(send_once(stream));
		long status = request_status(&stream->request);
		if (status == 401)
			ERR_TRY(authenticate(stream->connection));
		else if (status >= 300 && status < 400)
			ERR_TRY(follow(stream, &redirects));
		else if (status != 200)
			return bad_status(stream, status);
		else
			break;
	}
	if (strcasecmp(request_content_type(&stream->request), stream->service->accept) != 0)
		return err_new(ERR_OUTSIDE_FINAL,
			"the server is no git server: it answers with \"%s\"",
			request_content_type(&stream->request));
	return NULL;
}

static int stream_read(
	git_smart_subtransport_stream *parent, char *buffer, size_t size, size_t *ret_len)
{
	struct stream *stream = (struct stream *)parent;
	err_t e = stream->answered ? request_pump(&stream->request) : answer(stream);
	if (e)
		return transport_fail(stream->connection->context, e);
	stream->answered = true;
	*ret_len = request_take(&stream->request, buffer, size);
	return 0;
}

static int stream_write(git_smart_subtransport_stream *parent, const char *buffer, size_t len)
{
	struct stream *stream = (struct stream *)parent;
	buf_add(&stream->body, buffer, len);
	if (buf_cut(&stream->body))
		return transport_fail(stream->connection->context,
			err_new(ERR_TOO_LARGE, "the push is over %zu MiB", BODY_MAX >> 20));
	return 0;
}

static void stream_free(git_smart_subtransport_stream *parent)
{
	struct stream *stream = (struct stream *)parent;
	request_stop(&stream->request);
	buf_release(&stream->body);
	free(stream);
}

static int connection_action(git_smart_subtransport_stream **ret_stream,
	git_smart_subtransport *parent, const char *url, git_smart_service_t action)
{
	struct connection *connection = (struct connection *)parent;
	if (!connection->base) {
		connection->base = xstrdup(url);
		for (size_t n = strlen(url); n && connection->base[n - 1] == '/'; n--)
			connection->base[n - 1] = '\0';
	}
	struct stream *stream = xcalloc(1, sizeof *stream);
	*stream = (struct stream){
		.parent = {.subtransport = parent,
			.read = stream_read,
			.write = stream_write,
			.free = stream_free},
		.connection = connection,
		.service = &services[action],
		.body = BUF(BODY_MAX),
	};
	*ret_stream = &stream->parent;
	return 0;
}

/* Between two services of one remote; the connection itself is kept by the multi handle. */
static int connection_close(git_smart_subtransport *parent)
{
	(void)parent;
	return 0;
}

static void connection_free(git_smart_subtransport *parent)
{
	struct connection *connection = (struct connection *)parent;
	curl_multi_cleanup(connection->multi);
	git_credential_free(connection->credential);
	free(connection->base);
	free(connection);
}

static int connection_new(git_smart_subtransport **ret_connection, git_transport *owner, void *arg)
{
	struct connection *connection = xcalloc(1, sizeof *connection);
	*connection = (struct connection){
		.parent = {.action = connection_action,
			.close = connection_close,
			.free = connection_free},
		.owner = owner,
		.context = arg,
		.multi = curl_multi_init(),
	};
	if (!connection->multi)
		abort(); /* out of memory */
	*ret_connection = &connection->parent;
	return 0;
}

int transport_new(git_transport **out, git_remote *owner, struct transport_context *context)
{
	git_smart_subtransport_definition definition = {
		.callback = connection_new, .rpc = 1, .param = context};
	return git_transport_smart(out, owner, &definition);
}
