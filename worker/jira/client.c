/*
 * One account at one Jira and one call to it: authentication, deadline, Jira's words in errors.
 * Used by issue.c (reading) and write.c (comments, status, assignee).
 */
#include "worker/jira/client.h"

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "lib/text.h"

#define WRITE_MS 19000 /* the outbox's rows are taken over 30 s after they were begun */

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static char *basic_auth(const char *email, const char *token)
{
	autofree char *plain = xasprintf("%s:%s", email, token);
	size_t n = strlen(plain);
	autofree char *encoded = xcalloc(1, 4 * ((n + 2) / 3) + 1);
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)n);
	return xasprintf("Basic %s", encoded);
}

err_t jira_open(const struct settings *set, struct jira **ret_jira)
{
	const char *url = settings_str(set, S_JIRA_BASE_URL);
	if (!*url)
		return err_new(
			ERR_CONFIG, "JIRA_BASE_URL is empty: set it to https://SITE.atlassian.net");
	size_t n = strlen(url);
	while (n > 0 && url[n - 1] == '/')
		n--;
	struct jira *jira = xcalloc(1, sizeof *jira);
	jira->set = set;
	jira->base = xasprintf("%.*s/rest/api/3", (int)n, url);
	jira->authorization =
		basic_auth(settings_str(set, S_JIRA_EMAIL), settings_str(set, S_JIRA_API_TOKEN));
	jira->ai_account = settings_str(set, S_JIRA_AI_ACCOUNT_ID);
	*ret_jira = jira;
	return NULL;
}

void jira_close(struct jira *jira)
{
	if (!jira)
		return;
	free(jira->base);
	free(jira->authorization);
	free(jira);
}

char *jira_issue_path(const char *key, const char *rest)
{
	AUTO(buf_release) struct buf path = BUF(4096);
	buf_adds(&path, "/issue/");
	text_url_encode(&path, key);
	buf_adds(&path, rest);
	return buf_take(&path);
}

void jira_begin_write(struct jira *jira)
{
	jira->deadline_ms = now_ms() + WRITE_MS;
}

/* errorMessages[] and errors{field: words}, as one line. */
static void jira_words(const json_t *answer, struct buf *out)
{
	size_t i;
	const char *field;
	json_t *v;
	json_array_foreach (json_object_get(answer, "errorMessages"), i, v)
		if (json_is_string(v))
			buf_addf(out, "%s%s", out->len ? "; " : "", json_string_value(v));
	json_object_foreach (json_object_get(answer, "errors"), field, v)
		if (json_is_string(v))
			buf_addf(
				out, "%s%s: %s", out->len ? "; " : "", field, json_string_value(v));
	const char *other = json_string_value(json_object_get(answer, "message"));
	if (!other)
		other = json_string_value(json_object_get(answer, "detail"));
	if (out->len == 0 && other)
		buf_adds(out, other);
}

static err_t bad_status(
	struct jira *jira, const struct http_request *req, const struct http_response *res)
{
	json_t *answer = json_loadb(res->body.data, res->body.len, 0, NULL);
	AUTO(buf_release) struct buf words = BUF(600);
	jira_words(answer, &words);
	json_decref(answer);
	if (res->status == 401)
		return err_new(ERR_UNAUTHORIZED,
			"JIRA_EMAIL / JIRA_API_TOKEN are refused by %s: make a new API token for "
			"the AI account and set both%s%s",
			jira->base, words.len ? ": " : "", words.data);
	if (res->status == 409) /* two changes of the issue at once: the next try reads it anew */
		return err_new(ERR_OUTSIDE,
			"jira answered 409 to %s: the issue is being changed by another: %s",
			req->method, words.data);
	return http_status_error(req, res, words.data);
}

static bool had_no_effect(err_t e, const struct http_response *res)
{
	return e ? err_code(e) == ERR_NETWORK && !res->sent : res->status == 429;
}

/* Within a write: tries again only what certainly had no effect, and never past the deadline. */
static err_t call_write(struct jira *jira, struct http_request *req, struct http_response *res)
{
	for (int n = 0;; n++) {
		req->timeout_ms = jira->deadline_ms - now_ms();
		if (req->timeout_ms < 1000)
			return err_new(
				ERR_TIMEOUT, "jira did not answer within %d s", WRITE_MS / 1000);
		err_t e = http_try(jira->set, req, res);
		int64_t wait = http_retry_wait_ms(jira->set, e ? NULL : res, n);
		bool again = had_no_effect(e, res) && n < HTTP_RETRIES && wait >= 0 &&
			     now_ms() + wait + 2000 < jira->deadline_ms;
		if (!again)
			return e;
		http_response_release(res);
		ERR_TRY(http_wait(wait, NULL, NULL));
	}
}

static err_t answer_json(const struct http_response *res, json_t **ret_json)
{
	if (res->body.len == 0) {
		*ret_json = NULL;
		return NULL;
	}
	json_error_t error;
	json_t *answer = json_loadb(res->body.data, res->body.len, 0, &error);
	if (!answer)
		return err_new(ERR_BAD_INPUT,
			"jira's answer is not JSON (%s): is JIRA_BASE_URL right?", error.text);
	*ret_json = answer;
	return NULL;
}

err_t jira_call(struct jira *jira, const char *method, const char *path, const json_t *body,
	long *ret_status, json_t **ret_json)
{
	autofree char *url = xasprintf("%s%s", jira->base, path);
	autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct http_header headers[] = {
		{"Authorization", jira->authorization},
		{"Accept", "application/json"},
		{text ? "Content-Type" : NULL, "application/json"},
		{NULL, NULL},
	};
	const struct http_piece piece = {text, text ? strlen(text) : 0};
	struct http_request req = {.service = "jira",
		.method = method,
		.url = url,
		.headers = headers,
		.body = text ? &piece : NULL,
		.body_pieces = text ? 1 : 0,
		/* a kept connection that breaks has libcurl send the request a second time */
		.once = jira->deadline_ms && strcmp(method, "GET") != 0};
	AUTO(http_response_release) struct http_response res = {.body = BUF(0), .headers = BUF(0)};
	err_t e =
		jira->deadline_ms ? call_write(jira, &req, &res) : http_call(jira->set, &req, &res);
	bool unsent = jira->deadline_ms && !res.sent;
	if (unsent && (err_code(e) == ERR_NETWORK || err_code(e) == ERR_TIMEOUT))
		return err_new(ERR_OUTSIDE, "%s",
			err_text(e)); /* nobody need ask whether it had an effect */
	if (e)
		return e;
	if (ret_status)
		*ret_status = res.status;
	if (res.status < 200 || res.status > 299)
		return bad_status(jira, &req, &res);
	return ret_json ? answer_json(&res, ret_json) : NULL;
}
