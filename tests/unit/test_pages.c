/*
 * The pages' templates against golden HTML, from fixed answers of the API. After a wanted change:
 * UPDATE_GOLDEN=1 build/unit/test_pages, and look at the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/page.h"
#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"

#define GOLDEN "tests/unit/data/pages"

static struct app app;

static json_t *load(const char *name)
{
	autofree char *path = xasprintf(GOLDEN "/%s.json", name);
	json_error_t error;
	json_t *json = json_load_file(path, 0, &error);
	if (!json)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return json;
}

static void assert_golden(const char *name, const struct buf *html)
{
	autofree char *path = xasprintf(GOLDEN "/%s.html", name);
	AUTO(buf_release) struct buf wanted = BUF(1 << 20);
	if (getenv("UPDATE_GOLDEN"))
		assert_null(buf_write_file(html, path, 0644));
	assert_null(buf_read_file(&wanted, path));
	size_t at = 0;
	while (at < html->len && html->data[at] == wanted.data[at])
		at++;
	if (at < html->len || at < wanted.len)
		fail_msg("%s differs at byte %zu: \"%.80s\" instead of \"%.80s\"", path, at,
			html->data + at, wanted.data + at);
}

static void render_status(const char *name, struct buf *out)
{
	json_auto_t *answers = load(name);
	json_auto_t *data = page_status_data(&app, json_object_get(answers, "status"),
		json_object_get(answers, "metrics"), json_object_get(answers, "queue"),
		json_object_get(answers, "workers"));
	assert_null(template_render(app.set, "pages/status_regions.html", data, out));
}

static void the_status_page_is_as_it_was_looked_at(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf html = BUF(1 << 20);
	render_status("status", &html);
	assert_golden("status", &html);
}

static void an_empty_status_page_says_what_to_do_next(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf html = BUF(1 << 20);
	render_status("status_empty", &html);
	assert_golden("status_empty", &html);
	assert_non_null(strstr(html.data, "POST /webhook/jira"));
	assert_non_null(strstr(html.data, "airunner-worker"));
}

static void text_from_outside_cannot_become_markup(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf html = BUF(1 << 20);
	render_status("status_hostile", &html);
	assert_null(strstr(html.data, "<script"));
	assert_null(strstr(html.data, "<img"));
	assert_null(strstr(html.data, "javascript:"));
	assert_null(strstr(html.data, "\" onmouseover"));
	assert_non_null(strstr(html.data, "&lt;script&gt;"));
}

static void a_run_shows_its_place_on_the_way(void **state)
{
	(void)state;
	json_auto_t *answers = load("status");
	json_t *run =
		json_array_get(json_object_get(json_object_get(answers, "status"), "runs"), 1);
	page_decorate_run(&app, run, 1795362000);
	json_t *view = json_object_get(run, "view");
	static const char *const states[] = {"done", "done", "done", "current", "todo", "todo"};
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		assert_string_equal(
			json_string_value(json_object_get(
				json_array_get(json_object_get(view, "stages"), i), "state")),
			states[i]);
	assert_string_equal(json_string_value(json_object_get(view, "duration")), "3 min 20 s");
	assert_string_equal(json_string_value(json_object_get(view, "issue_url")),
		"https://jira.example.org/browse/SHOP-107");
}

static void amounts_are_written_for_people(void **state)
{
	(void)state;
	struct {
		json_t *json;
		const char *text;
	} cases[] = {{page_duration(-3), "0 s"}, {page_duration(59.4), "59 s"},
		{page_duration(59.6), "1 min 0 s"}, {page_duration(7265), "2 h 1 min"},
		{page_usd(0), "$0.00"}, {page_usd(0.0042), "$0.0042"}, {page_usd(12.345), "$12.35"},
		{page_count(999), "999"}, {page_count(12345), "12.3 k"},
		{page_count(999900), "1.0 M"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_string_equal(json_string_value(cases[i].json), cases[i].text);
		json_decref(cases[i].json);
	}
	json_auto_t *none = page_time(json_null());
	assert_true(json_is_null(none));
}

static int open_all(void **state)
{
	(void)state;
	static const char *const overrides[] = {
		"AIRUNNER_SHARE_DIR=.", "JIRA_BASE_URL=https://jira.example.org/", NULL};
	return settings_load(&(struct settings_options){.program = PROGRAM_PAGES,
				     .overrides = overrides,
				     .default_db_user = "air_dash"},
		       &app.set) != NULL;
}

static int close_all(void **state)
{
	(void)state;
	template_clear();
	settings_free(app.set);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_page_is_as_it_was_looked_at),
		cmocka_unit_test(an_empty_status_page_says_what_to_do_next),
		cmocka_unit_test(text_from_outside_cannot_become_markup),
		cmocka_unit_test(a_run_shows_its_place_on_the_way),
		cmocka_unit_test(amounts_are_written_for_people),
	};
	return cmocka_run_group_tests_name("pages", tests, open_all, close_all);
}
