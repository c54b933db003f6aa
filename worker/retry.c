/*
 * The one retry policy of outside calls. Called by every client (Jira, forge, models); one try is
 * worker/http.c's.
 */
#include "worker/http.h"

#include <curl/curl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/lease.h"

#define ASK_MS 250

static const long retry_statuses[] = {408, 409, 425, 429, 529};

bool http_status_retries(long status)
{
	for (size_t i = 0; i < ARRAY_LEN(retry_statuses); i++)
		if (status == retry_statuses[i])
			return true;
	return status >= 500 && status <= 599;
}

static int64_t in_ms(double n, double unit_ms)
{
	return n > 0 ? (int64_t)(n < 1e9 ? n * unit_ms : 1e12) : -1;
}

int64_t http_wished_wait_ms(const struct http_response *response)
{
	char *end;
	const char *value = http_response_header(response, "retry-after-ms");
	int64_t wish = value ? in_ms(strtod(value, NULL), 1) : -1;
	value = http_response_header(response, "retry-after");
	if (wish > 0 || !value)
		return wish;
	double seconds = strtod(value, &end);
	if (end != value && *end == '\0')
		return in_ms(seconds, 1000);
	time_t date = curl_getdate(value, NULL);
	value = http_response_header(response, "date"); /* its clock, whatever ours says */
	time_t now = value ? curl_getdate(value, NULL) : -1;
	if (now < 0)
		now = time(NULL);
	return date > now ? (int64_t)(date - now) * 1000 : -1;
}

int64_t http_retry_wait_ms(const struct settings *set, const struct http_response *response, int n)
{
	int64_t wish = response ? http_wished_wait_ms(response) : -1;
	if (wish >= 0)
		return wish <= HTTP_MAX_WAIT_MS ? wish : -1;
	int64_t wait = settings_int(set, S_AIRUNNER_RETRY_BASE_MS) << (n < 16 ? n : 16);
	unsigned char random = 128;
	(void)RAND_bytes(&random, 1);       /* without jitter the wait is still right */
	return wait - wait * random / 1024; /* up to a quarter less */
}

static void sleep_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&ts, NULL);
}

err_t http_wait(int64_t ms, http_alive_fn alive, void *alive_arg)
{
	for (; ms > 0; ms -= ASK_MS) {
		if (alive)
			ERR_TRY(alive(alive_arg));
		sleep_ms(ms < ASK_MS ? ms : ASK_MS);
	}
	return alive ? lease_hold(alive, alive_arg) : NULL; /* what was waited for begins now */
}

/* x-should-retry is the service's own word; a 403 with retry-after is GitHub's secondary limit. */
bool http_answer_retries(const struct http_response *res)
{
	const char *word = http_response_header(res, "x-should-retry");
	if (word && text_ieq(word, "true"))
		return true;
	if (word && text_ieq(word, "false"))
		return false;
	if (res->status == 403 && http_response_header(res, "retry-after"))
		return true;
	return http_status_retries(res->status);
}

static bool may_retry(const struct http_request *req, const struct http_response *res, err_t e)
{
	if (e) {
		enum err_code code = err_code(e);
		return (code == ERR_NETWORK || code == ERR_TIMEOUT) && !res->given &&
		       !(req->once && res->sent);
	}
	if (req->once && res->status != 429)
		return false;
	return http_answer_retries(res);
}

err_t http_call(const struct settings *set, const struct http_request *request,
	struct http_response *ret_response)
{
	for (int n = 0;; n++) {
		err_t e = http_try(set, request, ret_response);
		ret_response->tries = n + 1;
		if (n == HTTP_RETRIES || !may_retry(request, ret_response, e))
			return e;
		int64_t wait_ms = http_retry_wait_ms(set, e ? NULL : ret_response, n);
		if (wait_ms < 0)
			return e;
		log_debug("%s: try %d: %s, again in %lld ms", request->service, n + 1,
			e ? err_text(e) : "refused for now", (long long)wait_ms);
		http_response_release(ret_response);
		ERR_TRY(http_wait(wait_ms, request->alive, request->alive_arg));
	}
}
