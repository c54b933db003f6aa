/* The proof of a webhook's sender. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/signature.h"

/* The official vector of Atlassian's and GitHub's documents. */
static const char secret[] = "It's a Secret to Everybody";
static const char body[] = "Hello World!";
static const char good[] =
	"sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";

static enum err_code check(const char *with, const char *header_secret, const char *hub)
{
	struct signature sent = {.secret_header = header_secret, .hub_header = hub};
	return err_code(signature_check(with, &sent, body, strlen(body)));
}

static void the_official_vector_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(check(secret, NULL, good), ERR_NONE);
	assert_int_equal(
		check(secret, NULL,
			"SHA256=A4771C39FBE90F317C7824E83DDEF3CAAE9CB3D976C214ACE1F2937E133263C9"),
		ERR_NONE);
}

static void the_fixed_header_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(check(secret, secret, NULL), ERR_NONE);
	assert_int_equal(check(secret, secret, good), ERR_NONE);
}

static void an_empty_secret_refuses_everything(void **state)
{
	(void)state;
	/* HMAC-SHA256 of the body with an empty key, which anybody can compute */
	static const char forged[] =
		"sha256=0366d43cf5215a646b90008490ca34b5994cc08f173c9e6cdccef82656896592";
	assert_int_equal(check("", "", NULL), ERR_UNAUTHORIZED);
	assert_int_equal(check("", NULL, good), ERR_UNAUTHORIZED);
	assert_int_equal(check("", NULL, forged), ERR_UNAUTHORIZED);
}

static void what_is_wrong_is_refused(void **state)
{
	(void)state;
	static const char *const hubs[] = {"", "sha256", "sha256=", "sha256=a4771c39",
		"sha1=3df2a2e2d4d7b6d1e8b9b5f0a6f3d6cf0e9d3a01", "md5=x",
		"sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c8",
		"sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9aa",
		"a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"};
	for (size_t i = 0; i < sizeof hubs / sizeof *hubs; i++)
		assert_int_equal(check(secret, NULL, hubs[i]), ERR_UNAUTHORIZED);
	assert_int_equal(check(secret, NULL, NULL), ERR_UNAUTHORIZED);
	assert_int_equal(check(secret, "", NULL), ERR_UNAUTHORIZED);
	assert_int_equal(check(secret, "It's a Secret", NULL), ERR_UNAUTHORIZED);
	assert_int_equal(check(secret, "It's a Secret to Everybody!", NULL), ERR_UNAUTHORIZED);
}

static void one_right_proof_does_not_cover_a_wrong_one(void **state)
{
	(void)state;
	assert_int_equal(check(secret, "wrong", good), ERR_UNAUTHORIZED);
	assert_int_equal(check(secret, secret, "sha256=00"), ERR_UNAUTHORIZED);
}

static void a_changed_body_is_refused(void **state)
{
	(void)state;
	struct signature sent = {.hub_header = good};
	assert_int_equal(
		err_code(signature_check(secret, &sent, "Hello World?", 12)), ERR_UNAUTHORIZED);
}

static void an_error_tells_no_secret(void **state)
{
	(void)state;
	struct signature sent = {.secret_header = "guess-4711"};
	err_t e = signature_check(secret, &sent, body, strlen(body));
	assert_null(strstr(err_text(e), "guess-4711"));
	assert_null(strstr(err_text(e), secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_official_vector_is_accepted),
		cmocka_unit_test(the_fixed_header_is_accepted),
		cmocka_unit_test(an_empty_secret_refuses_everything),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(one_right_proof_does_not_cover_a_wrong_one),
		cmocka_unit_test(a_changed_body_is_refused),
		cmocka_unit_test(an_error_tells_no_secret),
	};
	return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}
