/*
 * Digests, HMAC, comparing in constant time, random tokens: OpenSSL one-shots behind names of ours.
 * Called by the webhook handler (signatures), sessions and tokens, run keys.
 */
#include "lib/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>

void crypto_sha256(const void *p, size_t n, unsigned char ret_digest[SHA256_LEN])
{
	if (!SHA256(p, n, ret_digest))
		abort(); /* no provider or no memory: nothing sensible is left to do */
}

void crypto_sha256_hex(const void *p, size_t n, char ret_hex[SHA256_HEX_LEN + 1])
{
	unsigned char digest[SHA256_LEN];
	crypto_sha256(p, n, digest);
	for (size_t i = 0; i < SHA256_LEN; i++) {
		ret_hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		ret_hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	ret_hex[SHA256_HEX_LEN] = '\0';
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
	unsigned char ret_digest[SHA256_LEN])
{
	unsigned len = SHA256_LEN;
	if (!HMAC(EVP_sha256(), key, (int)key_len, p, n, ret_digest, &len) || len != SHA256_LEN)
		abort();
}

bool crypto_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}

err_t crypto_random_token(char *ret_token, size_t chars)
{
	static const char base62[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	for (size_t i = 0; i < chars;) {
		unsigned char pool[64];
		if (RAND_bytes(pool, sizeof pool) != 1)
			return err_new(ERR_IO, "the system's random source gives nothing");
		for (size_t k = 0; k < sizeof pool && i < chars; k++)
			if (pool[k] < 4 * 62) /* the rest would make some characters likelier */
				ret_token[i++] = base62[pool[k] % 62];
		OPENSSL_cleanse(pool, sizeof pool);
	}
	ret_token[chars] = '\0';
	return NULL;
}
