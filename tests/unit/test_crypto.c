/* Digests against published vectors, comparing, tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

/* FIPS 180-4 examples. */
static void sha256_matches_published_vectors(void **state)
{
	(void)state;
	char hex[SHA256_HEX_LEN + 1];
	crypto_sha256_hex("", 0, hex);
	assert_string_equal(
		hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	crypto_sha256_hex("abc", 3, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void hmac_is(const void *key, size_t key_len, const char *text, const char *want)
{
	unsigned char digest[SHA256_LEN];
	crypto_hmac_sha256(key, key_len, text, strlen(text), digest);
	AUTO(buf_release) struct buf b = BUF(128);
	text_hex(&b, digest, sizeof digest);
	assert_string_equal(b.data, want);
}

/* RFC 4231, test cases 2 and 6; the empty key of RFC 2104 from the Python hmac module. */
static void hmac_matches_published_vectors(void **state)
{
	(void)state;
	char aa[131];
	memset(aa, 0xaa, sizeof aa);
	hmac_is("Jefe", 4, "what do ya want for nothing?",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_is(aa, sizeof aa, "Test Using Larger Than Block-Size Key - Hash Key First",
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_is("", 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void equal_needs_same_length_and_bytes(void **state)
{
	(void)state;
	assert_true(crypto_equal("secret", 6, "secret", 6));
	assert_false(crypto_equal("secret", 6, "secreT", 6));
	assert_false(crypto_equal("secret", 6, "secret", 5));
	assert_false(crypto_equal("", 0, "a", 1));
	assert_true(crypto_equal("", 0, "", 0));
}

static void tokens_are_base62_and_differ(void **state)
{
	(void)state;
	char a[101], b[101];
	assert_null(crypto_random_token(a, 100));
	assert_null(crypto_random_token(b, 100));
	assert_int_equal(strlen(a), 100);
	assert_int_equal(strspn(a, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz"),
		100);
	assert_string_not_equal(a, b);
	assert_null(crypto_random_token(a, 0));
	assert_string_equal(a, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_matches_published_vectors),
		cmocka_unit_test(hmac_matches_published_vectors),
		cmocka_unit_test(equal_needs_same_length_and_bytes),
		cmocka_unit_test(tokens_are_base62_and_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
