/* The token for the remote, given only where it belongs. Called by remote.c's callback. */
#include "worker/git/credentials.h"

#include <string.h>
#include <strings.h>

#include "lib/mem.h"

/* Length of "scheme://host[:port]"; 0 when there is a user part or no scheme. */
static size_t origin_len(const char *url)
{
	const char *host = strstr(url, "://");
	if (!host)
		return 0;
	host += 3;
	size_t n = strcspn(host, "/?#");
	return memchr(host, '@', n) ? 0 : (size_t)(host - url) + n;
}

bool address_same_host(const char *a, const char *b)
{
	size_t n = origin_len(a);
	return n > 0 && n == origin_len(b) && strncasecmp(a, b, n) == 0;
}

static bool may_carry_token(const char *url)
{
	static const char *const starts[] = {"https://", "http://127.0.0.1:", "http://127.0.0.1/",
		"http://localhost:", "http://localhost/"};
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (strncasecmp(url, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

void credentials_init(struct credentials *credentials, const char *token, const char *home)
{
	*credentials = (struct credentials){.token = token, .home = home};
}

err_t credentials_give(struct credentials *credentials, const char *url, unsigned allowed,
	git_credential **ret_credential)
{
	if (!*credentials->token)
		return err_new(ERR_UNAUTHORIZED, "the server wants a token: set GH_TOKEN");
	if (!address_same_host(url, credentials->home) || !may_carry_token(url))
		return err_new(ERR_UNAUTHORIZED,
			"the token is for %s by https only and was not sent", credentials->home);
	if (!(allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT))
		return err_new(ERR_UNAUTHORIZED, "the server takes no token");
	if (credentials->given++ > 0)
		return err_new(ERR_UNAUTHORIZED, "the server refuses the token: set GH_TOKEN to "
						 "one that is valid and may write contents here");
	if (git_credential_userpass_plaintext_new(
		    ret_credential, "x-access-token", credentials->token) < 0)
		return err_new(ERR_INTERNAL, "make the credential");
	return NULL;
}
