/* Options that every libcurl handle gets. Called by worker/http.c and the git transport. */
#include "worker/http.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"

#define CONNECT_TIMEOUT_MS 10000

/* A proxy from the environment is for the outside world, never for this machine. */
static bool is_loopback(const char *url)
{
	static const char *const hosts[] = {"localhost", "127.", "[::1]"};
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (strncasecmp(host, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return false;
}

err_t http_set_options(const struct settings *set, void *easy, const char *url)
{
	const char *ca = settings_str(set, S_AIRUNNER_CA_FILE);
	if (*ca)
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
	if (is_loopback(url))
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "airunner/" AIRUNNER_VERSION);
	if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK)
		return err_new(ERR_INTERNAL, "libcurl does not know http and https");
	return NULL;
}
