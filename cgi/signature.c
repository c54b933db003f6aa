/* The check of a webhook's sender. Called by the webhook route (cgi/webhook.c) before anything of
 * the body is looked at. */
#include "cgi/signature.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

/* Digests are compared, so that the time does not even tell the secret's length. */
static bool secret_equal(const char *secret, const char *sent)
{
	unsigned char wanted[SHA256_LEN], given[SHA256_LEN];
	crypto_sha256(secret, strlen(secret), wanted);
	crypto_sha256(sent, strlen(sent), given);
	return crypto_equal(wanted, sizeof wanted, given, sizeof given);
}

static bool hmac_equal(const char *secret, const char *hex, const void *body, size_t body_len)
{
	unsigned char digest[SHA256_LEN];
	crypto_hmac_sha256(secret, strlen(secret), body, body_len, digest);
	AUTO(buf_release) struct buf wanted = BUF(SHA256_HEX_LEN + 1);
	text_hex(&wanted, digest, sizeof digest);
	AUTO(buf_release) struct buf given = BUF(SHA256_HEX_LEN + 1);
	buf_adds(&given, hex);
	text_lower(given.data);
	return crypto_equal(wanted.data, wanted.len, given.data, given.len);
}

static err_t check_hub(const char *secret, const char *header, const void *body, size_t body_len)
{
	static const char method[] = "sha256=";
	if (strncasecmp(header, method, strlen(method)) != 0)
		return err_new(ERR_UNAUTHORIZED,
			"X-Hub-Signature has no method that is known here; sha256=… is");
	if (!hmac_equal(secret, header + strlen(method), body, body_len))
		return err_new(ERR_UNAUTHORIZED, "X-Hub-Signature does not match the body: use the "
						 "secret of JIRA_WEBHOOK_SECRET in Jira");
	return NULL;
}

err_t signature_check(
	const char *secret, const struct signature *sent, const void *body, size_t body_len)
{
	if (!*secret)
		return err_new(ERR_UNAUTHORIZED,
			"JIRA_WEBHOOK_SECRET is empty, so every webhook is refused: set it");
	if (!sent->secret_header && !sent->hub_header)
		return err_new(ERR_UNAUTHORIZED,
			"neither X-Moveware-Webhook-Secret nor X-Hub-Signature was sent");
	if (sent->secret_header && !secret_equal(secret, sent->secret_header))
		return err_new(ERR_UNAUTHORIZED,
			"X-Moveware-Webhook-Secret is wrong: use the value of JIRA_WEBHOOK_SECRET");
	if (sent->hub_header)
		return check_hub(secret, sent->hub_header, body, body_len);
	return NULL;
}
