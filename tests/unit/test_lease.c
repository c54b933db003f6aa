/* The note of renewals between a parent and the process of its run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/lease.h"
#include "worker/run.h"

#define SILENT_MS (LEASE_SILENCE_MS + 1)

static struct lease_note note;
static int asked;

static int set_up(void **state)
{
	(void)state;
	asked = 0;
	return lease_note_open(&note, monotonic_ms()) || lease_follow(dup(note.fd)) ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	lease_unfollow();
	lease_note_close(&note);
	return 0;
}

static err_t renews_when_asked_twice(void *arg)
{
	(void)arg;
	if (++asked == 2)
		lease_note_renewed(&note, monotonic_ms());
	return NULL;
}

static err_t says_cancelled(void *arg)
{
	(void)arg;
	return err_new(ERR_CANCELLED, "cancelled");
}

static void a_renewed_lease_holds_nothing_up(void **state)
{
	(void)state;
	int64_t began_ms = monotonic_ms();
	lease_note_renewed(&note, monotonic_ms() - LEASE_SILENCE_MS + 5000);
	assert_null(lease_hold(says_cancelled, NULL)); /* nobody is even asked */
	assert_true(monotonic_ms() - began_ms < 100);
}

static void after_45_s_of_silence_it_waits_for_a_renewal(void **state)
{
	(void)state;
	int64_t began_ms = monotonic_ms();
	lease_note_renewed(&note, monotonic_ms() - SILENT_MS);
	assert_null(lease_hold(renews_when_asked_twice, NULL));
	assert_int_equal(asked, 2);
	assert_true(monotonic_ms() - began_ms >= 250);
}

static void a_cancellation_ends_the_wait(void **state)
{
	(void)state;
	lease_note_renewed(&note, monotonic_ms() - SILENT_MS);
	assert_int_equal(err_code(lease_hold(says_cancelled, NULL)), ERR_CANCELLED);
}

static void another_process_renews(void **state)
{
	(void)state;
	lease_note_renewed(&note, monotonic_ms() - SILENT_MS);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(300000);
		lease_note_renewed(&note, monotonic_ms());
		_exit(0);
	}
	int64_t began_ms = monotonic_ms();
	assert_null(lease_hold(NULL, NULL));
	assert_in_range(monotonic_ms() - began_ms, 250, 5000);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void who_follows_no_note_is_not_held(void **state)
{
	(void)state;
	lease_note_renewed(&note, monotonic_ms() - SILENT_MS);
	lease_unfollow();
	assert_null(lease_hold(says_cancelled, NULL));
}

static void a_wait_between_tries_ends_with_the_question(void **state)
{
	(void)state;
	lease_note_renewed(&note, monotonic_ms() - SILENT_MS);
	assert_null(http_wait(1, renews_when_asked_twice, NULL));
	assert_int_equal(asked, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_renewed_lease_holds_nothing_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			after_45_s_of_silence_it_waits_for_a_renewal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cancellation_ends_the_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_process_renews, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_follows_no_note_is_not_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_wait_between_tries_ends_with_the_question, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
