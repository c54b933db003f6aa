/* Room on a disk, and errors of a full one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/disk.h"

static struct settings *settings_with(const char *override)
{
	struct settings *set = NULL;
	const char *const overrides[] = {override, NULL};
	assert_null(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
					  .env_file = "/dev/null",
					  .overrides = overrides,
					  .default_db_user = "air_worker"},
		&set));
	return set;
}

static void a_disk_with_too_little_room_is_named_with_the_remedy(void **state)
{
	(void)state;
	struct settings *set = settings_with("AIRUNNER_MIN_FREE_MB=900000000");
	err_t e = disk_check(set, "/tmp/not/there/yet");
	assert_int_equal(err_code(e), ERR_DISK_FULL);
	assert_non_null(strstr(err_text(e), "/tmp/not/there/yet"));
	assert_non_null(strstr(err_text(e), "AIRUNNER_MIN_FREE_MB"));
	assert_int_equal(err_run_end(err_code(e)), ERR_END_REQUEUE);
	settings_free(set);
}

static void enough_room_or_no_limit_is_well(void **state)
{
	(void)state;
	struct settings *set = settings_with("AIRUNNER_MIN_FREE_MB=1");
	assert_null(disk_check(set, "/tmp"));
	settings_free(set);
	set = settings_with("AIRUNNER_MIN_FREE_MB=0");
	assert_null(disk_check(set, "/proc/no/disk"));
	settings_free(set);
}

static void what_a_full_disk_refused_has_its_own_code(void **state)
{
	(void)state;
	static const int full[] = {ENOSPC, EDQUOT};
	for (size_t i = 0; i < 2; i++) {
		errno = full[i];
		assert_int_equal(err_code(err_errno("write a file")), ERR_DISK_FULL);
	}
	errno = EACCES;
	assert_int_equal(err_code(err_errno("write a file")), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_with_too_little_room_is_named_with_the_remedy),
		cmocka_unit_test(enough_room_or_no_limit_is_well),
		cmocka_unit_test(what_a_full_disk_refused_has_its_own_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
