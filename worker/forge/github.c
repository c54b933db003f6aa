/*
 * Pull requests at GitHub by REST. Looked up by steps/pull_request.c, written by worker/outbox.c.
 * Facts: integrations.md B1 (OpenAPI of npm @octokit/openapi 23.0.2).
 */
#include "worker/forge/forge.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/http.h"
#include "worker/run.h"

#define WRITE_MS 19000 /* the outbox's rows are taken over 30 s after they were begun */
#define WORDS_MAX 400

struct forge {
	const struct settings *set; /* borrowed */
	char *base;                 /* …/repos/OWNER/NAME */
	char *owner;
	char *authorization;
	int64_t deadline_ms; /* of the write that is under way; 0: reading */
};

err_t forge_open(
	const struct settings *set, const struct repo_config *repo, struct forge **ret_forge)
{
	const char *url = settings_str(set, S_GITHUB_API_URL);
	const char *token = settings_str(set, S_GH_TOKEN);
	if (!*token)
		return err_new(ERR_CONFIG,
			"no pull request can be opened for %s/%s: set GH_TOKEN (contents and pull "
			"requests, write)",
			repo->owner, repo->name);
	AUTO(buf_release) struct buf base = BUF(4096);
	buf_add(&base, url, strlen(url) - (text_ends(url, "/") ? 1 : 0));
	buf_adds(&base, "/repos/");
	text_url_encode(&base, repo->owner);
	buf_adds(&base, "/");
	text_url_encode(&base, repo->name);
	struct forge *forge = xcalloc(1, sizeof *forge);
	*forge = (struct forge){
		.set = set,
		.base = buf_take(&base),
		.owner = xstrdup(repo->owner),
		.authorization = xasprintf("Bearer %s", token),
	};
	*ret_forge = forge;
	return NULL;
}

void forge_close(struct forge *forge)
{
	if (!forge)
		return;
	free(forge->base);
	free(forge->owner);
	free(forge->authorization);
	free(forge);
}

void pull_request_release(struct pull_request *pr)
{
	free(pr->url);
	free(pr->title);
	free(pr->body);
	*pr = (struct pull_request){0};
}

/* message, and message or field and code of each of errors[], as one line. */
static void github_words(const json_t *answer, struct buf *out)
{
	const char *message = json_string_value(json_object_get(answer, "message"));
	buf_adds(out, message ? message : "");
	size_t i;
	json_t *error;
	json_array_foreach (json_object_get(answer, "errors"), i, error) {
		const char *words = json_is_string(error) ? json_string_value(error) : NULL;
		const char *field = "", *code = "";
		json_unpack(error, "{s?s, s?s, s?s}", "message", &words, "field", &field, "code",
			&code);
		if (words)
			buf_addf(out, "; %s", words);
		else
			buf_addf(out, "; %s %s", field, code);
	}
}

struct answer {
	long status;
	json_t *json; /* NULL when it is no JSON */
	char *words;  /* GitHub's, of a bad status; "" else */
};

static void answer_release(struct answer *answer)
{
	json_decref(answer->json);
	free(answer->words);
}

static err_t bad_status(const struct forge *forge, const struct http_request *request,
	const struct http_response *response, const char *words)
{
	switch (response->status) {
	case 401:
		return err_new(ERR_UNAUTHORIZED,
			"GitHub refuses the token: set GH_TOKEN to a valid one: %s", words);
	case 403:
		return http_response_header(response, "retry-after")
			       ? err_new(ERR_RATE, "GitHub wants fewer requests: %s", words)
			       : err_new(ERR_FORBIDDEN,
					 "the token (GH_TOKEN) may not do this at GitHub, it needs "
					 "pull requests, write: %s",
					 words);
	case 404:
		return err_new(ERR_NOT_FOUND,
			"GitHub does not know %s, or the token (GH_TOKEN) may not see it: correct "
			"REPO_OWNER_SLUG and "
			"REPO_NAME or repos.json",
			forge->base);
	default:
		return http_status_error(request, response, words);
	}
}

static err_t transfer(
	struct forge *forge, struct http_request *request, struct http_response *response)
{
	if (!forge->deadline_ms)
		return http_call(forge->set, request, response);
	request->timeout_ms = forge->deadline_ms - monotonic_ms();
	if (request->timeout_ms < 1000)
		return err_new(ERR_TIMEOUT, "GitHub did not answer within %d s", WRITE_MS / 1000);
	err_t e = http_try(forge->set, request, response);
	bool unsent = !response->sent && (err_code(e) == ERR_NETWORK || err_code(e) == ERR_TIMEOUT);
	return unsent ? err_new(ERR_OUTSIDE, "%s", err_text(e))
		      : e; /* it had no effect, for sure */
}

/* One call. A 422 is an answer for the caller to look at; every other bad status is an error. */
static err_t call(struct forge *forge, const char *method, const char *path, const json_t *body,
	struct answer *ret_answer)
{
	autofree char *url = xasprintf("%s%s", forge->base, path);
	autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct http_header headers[] = {
		{"Authorization", forge->authorization},
		{"Accept", "application/vnd.github+json"},
		{"X-GitHub-Api-Version", "2022-11-28"},
		{text ? "Content-Type" : NULL, "application/json"},
		{NULL, NULL},
	};
	const struct http_piece piece = {text, text ? strlen(text) : 0};
	struct http_request request = {.service = "github",
		.method = method,
		.url = url,
		.headers = headers,
		.body = text ? &piece : NULL,
		.body_pieces = text ? 1 : 0,
		.once = text != NULL};
	AUTO(http_response_release)
	struct http_response response = {.body = BUF(0), .headers = BUF(0)};
	ERR_TRY(transfer(forge, &request, &response));
	AUTO(buf_release) struct buf words = BUF(WORDS_MAX);
	json_auto_t *json = json_loadb(response.body.data, response.body.len, 0, NULL);
	bool is_good = response.status >= 200 && response.status <= 299;
	if (!is_good)
		github_words(json, &words);
	if (!is_good && response.status != 422)
		return bad_status(forge, &request, &response, words.data);
	if (is_good && !json)
		return err_new(
			ERR_BAD_INPUT, "GitHub's answer is no JSON: is GITHUB_API_URL right?");
	*ret_answer = (struct answer){response.status, take(&json), buf_take(&words)};
	return NULL;
}

static err_t read_pull_request(const json_t *json, bool found, struct pull_request *ret_pr)
{
	const char *url = NULL, *title = "", *body = NULL;
	json_int_t number = 0;
	int draft = 0;
	if (json_unpack((json_t *)json, "{s:I, s:s, s?s, s?s, s?b}", "number", &number, "html_url",
		    &url, "title", &title, "body", &body, "draft", &draft))
		/* an empty body is null */
		json_unpack((json_t *)json, "{s:I, s:s, s?s, s?b}", "number", &number, "html_url",
			&url, "title", &title, "draft", &draft);
	if (number <= 0 || !url)
		return err_new(ERR_BAD_INPUT, "GitHub's pull request has no number or address");
	*ret_pr = (struct pull_request){.number = number,
		.url = xstrdup(url),
		.title = xstrdup(title),
		.body = xstrdup(body ? body : ""),
		.draft = draft,
		.found = found};
	return NULL;
}

err_t forge_find_pull_request(struct forge *forge, const char *head, struct pull_request *ret_pr)
{
	AUTO(buf_release) struct buf path = BUF(4096);
	AUTO(answer_release) struct answer answer = {0};
	buf_adds(&path, "/pulls?state=open&per_page=1&head=");
	text_url_encode(&path, forge->owner);
	buf_adds(&path, ":");
	text_url_encode(&path, head);
	ERR_TRY(call(forge, "GET", path.data, NULL, &answer));
	if (answer.status == 422)
		return err_new(
			ERR_OUTSIDE_FINAL, "GitHub does not look up %s: %s", head, answer.words);
	if (!json_is_array(answer.json))
		return err_new(ERR_BAD_INPUT,
			"GitHub's list of pull requests is none: is GITHUB_API_URL right?");
	*ret_pr = (struct pull_request){0};
	return json_array_size(answer.json)
		       ? read_pull_request(json_array_get(answer.json, 0), true, ret_pr)
		       : NULL;
}

/* 422 has many meanings, told apart by GitHub's words only. */
static err_t create(struct forge *forge, const char *head, const char *base, const char *title,
	const char *body, bool draft, struct pull_request *ret_pr)
{
	AUTO(answer_release) struct answer answer = {0};
	json_auto_t *request = json_pack("{s:o, s:s, s:s, s:o, s:b}", "title", text_json(title),
		"head", head, "base", base, "body", text_json(body), "draft", draft);
	ERR_TRY(call(forge, "POST", "/pulls", request, &answer));
	if (answer.status != 422)
		return read_pull_request(answer.json, false, ret_pr);
	if (strstr(answer.words, "already exists")) {
		ERR_TRY(forge_find_pull_request(forge, head, ret_pr));
		if (ret_pr->number)
			return NULL;
	}
	/* no drafts in private repositories of the free plan */
	if (draft && strcasestr(answer.words, "draft pull requests are not supported"))
		return create(forge, head, base, title, body, false, ret_pr);
	return err_new(ERR_OUTSIDE_FINAL, "GitHub opens no pull request from %s to %s: %s", head,
		base, answer.words);
}

err_t forge_create_pull_request(struct forge *forge, const char *head, const char *base,
	const char *title, const char *body, bool draft, struct pull_request *ret_pr)
{
	forge->deadline_ms = monotonic_ms() + WRITE_MS;
	err_t e = create(forge, head, base, title, body, draft, ret_pr);
	forge->deadline_ms = 0;
	return e;
}

err_t forge_edit_pull_request(struct forge *forge, int64_t number, const char *title,
	const char *body, struct pull_request *ret_pr)
{
	AUTO(answer_release) struct answer answer = {0};
	autofree char *path = xasprintf("/pulls/%lld", (long long)number);
	json_auto_t *request =
		json_pack("{s:o, s:o}", "title", text_json(title), "body", text_json(body));
	forge->deadline_ms = monotonic_ms() + WRITE_MS;
	err_t e = call(forge, "PATCH", path, request, &answer);
	forge->deadline_ms = 0;
	ERR_TRY(e);
	if (answer.status == 422)
		return err_new(ERR_OUTSIDE_FINAL, "GitHub does not change pull request %lld: %s",
			(long long)number, answer.words);
	return read_pull_request(answer.json, true, ret_pr);
}
