/* Thin layer over OpenSSL libcrypto: digests, HMAC, constant-time compare, random tokens. */
#ifndef AIRUNNER_CRYPTO_H
#define AIRUNNER_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define SHA256_LEN 32
#define SHA256_HEX_LEN 64

void crypto_sha256(const void *p, size_t n, unsigned char ret_digest[SHA256_LEN]);
void crypto_sha256_hex(const void *p, size_t n, char ret_hex[SHA256_HEX_LEN + 1]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
	unsigned char ret_digest[SHA256_LEN]);

/** Constant time in the content; a different length is unequal. */
bool crypto_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/** chars base62 characters and a NUL from the system's random source. */
err_t crypto_random_token(char *ret_token, size_t chars);

#endif
