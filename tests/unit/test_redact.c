/* Masking of secrets: every form, every position, nothing else, fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/redact.h"

#define TOKEN "ghp_r4nd0mT0k3n/With+Slash=And\"Quote"

static int forget(void **state)
{
	(void)state;
	redact_clear();
	return 0;
}

static void masked_is(const char *in, const char *want)
{
	autofree char *out = redact_str(in);
	assert_string_equal(out, want);
}

/* The other forms were made with Python's base64, urllib, json and slicing. */
static const struct {
	const char *in, *want;
} forms[] = {
	{"nothing here", "nothing here"},
	{"", ""},
	{"x " TOKEN " y", "x [redacted GH_TOKEN] y"},
	{TOKEN, "[redacted GH_TOKEN]"},
	{"a " TOKEN " b " TOKEN ".", "a [redacted GH_TOKEN] b [redacted GH_TOKEN]."},
	{"run r4nd0mT0k3n/W of it", "run [redacted GH_TOKEN] of it"},
	{"eleven r4nd0mT0k3n only", "eleven r4nd0mT0k3n only"},
	{"the dodge: "
	 "d0mT0k3n/With+Slash=And\"Quote",
		"the dodge: [redacted GH_TOKEN]"},
	{"ghp_r4nd0mT0k3n%2FWith%2BSlash%3DAnd%22Quote&x=1", "[redacted GH_TOKEN]&x=1"},
	{"ghp_r4nd0mT0k3n%2fWith%2bSlash%3dAnd%22Quote&x=1", "[redacted GH_TOKEN]&x=1"},
	{"etouQ\"dnA=hsalS+htiW/n3k0Tm0dn4r_phg", "[redacted GH_TOKEN]"},
	{"{\"t\":\"ghp_r4nd0mT0k3n/With+Slash=And\\\"Quote\"}", "{\"t\":\"[redacted GH_TOKEN]\"}"},
	{"6768705f72346e64306d54306b336e2f576974682b536c6173683d416e642251756f7465",
		"[redacted GH_TOKEN]"},
};

static void every_form_of_a_secret_is_masked(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", TOKEN);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		masked_is(forms[i].in, forms[i].want);
}

static char base64_digit(unsigned v, bool url)
{
	const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	return v < 62 ? digits[v] : (url ? "-_" : "+/")[v - 62];
}

/* A plain encoder, so that the module is not judged by its own. */
static void base64(struct buf *out, const char *s, bool url)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < n ? (unsigned char)s[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			if (i + k <= n)
				buf_addc(out, base64_digit(v >> (18 - 6 * k) & 63, url));
	}
}

static void base64_is_masked_at_every_alignment(void **state)
{
	(void)state;
	static const char *const secrets[] = {
		TOKEN, "\xfb\xff\xfe-binary-\xff\xfe\xfb\xef secret", "8letters"};
	static const char *const before[] = {"", "u", "us", "user@example.com:"};
	static const char *const after[] = {"", "x", "xy", "xyz"};
	for (size_t s = 0; s < ARRAY_LEN(secrets); s++) {
		redact_clear();
		redact_add("T", secrets[s]);
		for (size_t i = 0; i < 32; i++) {
			autofree char *plain =
				xasprintf("%s%s%s", before[i / 8], secrets[s], after[i / 2 % 4]);
			AUTO(buf_release) struct buf b = BUF(4096);
			base64(&b, plain, i % 2);
			size_t whole = b.len;
			assert_int_equal(redact_buf(&b), 1);
			size_t clear = b.len - strlen("[redacted T]");
			size_t around = strlen(plain) - strlen(secrets[s]);
			/* what stays is the neighbours' base64 and at most a digit at each end */
			assert_in_range(clear, 0, (around * 4 + 2) / 3 + 2);
			assert_true(whole > clear);
		}
	}
}

static void every_window_of_twelve_bytes_is_masked(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", TOKEN);
	for (size_t from = 0; from + 12 <= strlen(TOKEN); from++) {
		autofree char *in = xasprintf("%.12s", TOKEN + from);
		masked_is(in, "[redacted GH_TOKEN]");
	}
}

static void short_values_are_whole_or_not_masked(void **state)
{
	(void)state;
	redact_add("SHORT", "7777777");
	redact_add("EIGHT", "p4ssw0rd");
	masked_is("7777777 p4ssw0r p4ssw0rd p4ssw0rdp4ssw0rd",
		"7777777 p4ssw0r [redacted EIGHT] [redacted EIGHT]");
}

static void several_secrets_keep_their_names(void **state)
{
	(void)state;
	for (int i = 0; i < 64; i++) {
		autofree char *name = xasprintf("NAME_%d", i);
		autofree char *value = xasprintf("%d-secret-value-%d", i * 7919, i * 104729);
		redact_add(name, value);
	}
	masked_is("7919-secret-value-104729, 498897-secret-value-6597927",
		"[redacted NAME_1], [redacted NAME_63]");
}

static void characters_at_the_ends_stay_whole(void **state)
{
	(void)state;
	redact_add("UMLAUT", "äöüäöüßÄÖÜäöü€");
	/* the first ¤ ends in the byte that ä ends in: the run begins inside it and takes it along
	 */
	masked_is("x ¤öüäöüß¤", "x [redacted UMLAUT]¤");
	const char *secret = "äöüäöüßÄÖÜäöü€";
	for (size_t from = 0; from + 13 < strlen(secret); from++) {
		autofree char *in = xasprintf("%.13s", secret + from);
		autofree char *out = redact_str(in);
		assert_string_equal(out, "[redacted UMLAUT]");
	}
}

static void a_limited_buffer_is_cut_not_overrun(void **state)
{
	(void)state;
	redact_add("A_RATHER_LONG_NAME", "p4ssw0rd");
	AUTO(buf_release) struct buf b = BUF(20);
	buf_adds(&b, "the p4ssw0rd is");
	assert_int_equal(redact_buf(&b), 1);
	assert_string_equal(b.data, "the [redacted A_RATH");
	assert_true(buf_cut(&b));
}

static void bytes_after_nul_are_masked_too(void **state)
{
	(void)state;
	redact_add("T", TOKEN);
	AUTO(buf_release) struct buf b = BUF(200);
	buf_add(&b, "a\0" TOKEN, 2 + strlen(TOKEN));
	assert_int_equal(redact_buf(&b), 1);
	assert_memory_equal(b.data, "a\0[redacted T]", 14);
}

static void json_values_and_keys_are_masked(void **state)
{
	(void)state;
	redact_add("T", "back\\slash-and-more");
	json_t *in = json_pack("{s:[s,i,{s:s}], s:n}", "list", "x back\\slash-and-more", 7, "deep",
		"only slash-and-more", "back\\slash-and-more");
	json_t *want = json_pack("{s:[s,i,{s:s}], s:n}", "list", "x [redacted T]", 7, "deep",
		"only [redacted T]", "[redacted T]");
	json_t *got = redact_json(in);
	assert_true(json_equal(got, want));
	json_decref(in);
	json_decref(want);
	json_decref(got);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Linear: text and secrets made of one letter are the worst for naive scanning. */
static void a_megabyte_takes_milliseconds(void **state)
{
	(void)state;
	char secret[4001];
	memset(secret, 'a', 4000);
	secret[4000] = '\0';
	redact_add("SAME", secret);
	redact_add("EIGHT", "aaaaaaab");
	redact_add("T", TOKEN);
	AUTO(buf_release) struct buf b = BUF(1 << 21);
	for (size_t i = 0; i < 1 << 20; i++)
		buf_addc(&b, i % 13 == 12 ? ' ' : 'a');
	int64_t start = now_ms();
	assert_int_equal(redact_buf(&b), (1 << 20) / 13);
	buf_reset(&b);
	for (size_t i = 0; i < 1 << 20; i++)
		buf_addc(&b, (char)('!' + i * 31 % 90));
	assert_int_equal(redact_buf(&b), 0);
	assert_in_range(now_ms() - start, 0, 1000); /* sanitizers and a busy machine included */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_form_of_a_secret_is_masked, forget),
		cmocka_unit_test_teardown(base64_is_masked_at_every_alignment, forget),
		cmocka_unit_test_teardown(every_window_of_twelve_bytes_is_masked, forget),
		cmocka_unit_test_teardown(short_values_are_whole_or_not_masked, forget),
		cmocka_unit_test_teardown(several_secrets_keep_their_names, forget),
		cmocka_unit_test_teardown(characters_at_the_ends_stay_whole, forget),
		cmocka_unit_test_teardown(a_limited_buffer_is_cut_not_overrun, forget),
		cmocka_unit_test_teardown(bytes_after_nul_are_masked_too, forget),
		cmocka_unit_test_teardown(json_values_and_keys_are_masked, forget),
		cmocka_unit_test_teardown(a_megabyte_takes_milliseconds, forget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
