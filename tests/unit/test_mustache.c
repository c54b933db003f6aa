/* Mustache beyond the official suites: values, escaping, faults with their lines, limits, noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/mustache.h"

/* Partials come from the data's member "partials". */
static const char *partial(void *arg, const char *name)
{
	return json_string_value(json_object_get(json_object_get(arg, "partials"), name));
}

static err_t render(
	const char *text, const char *data_text, enum mustache_mode mode, struct buf *out)
{
	json_t *data = json_loads(data_text, JSON_DECODE_ANY, NULL);
	assert_non_null(data);
	err_t e = mustache_render(
		"t", text, data, &(struct mustache_options){mode, partial, data}, out);
	json_decref(data);
	return e;
}

static void renders_in(
	enum mustache_mode mode, const char *text, const char *data, const char *want)
{
	AUTO(buf_release) struct buf out = BUF(1 << 20);
	assert_string_equal(err_text(render(text, data, mode, &out)), "");
	assert_string_equal(out.data, want);
}

static void renders(const char *text, const char *data, const char *want)
{
	renders_in(MUSTACHE_HTML, text, data, want);
}

static void html_is_escaped_and_plain_is_not(void **state)
{
	(void)state;
	const char *data = "{\"x\":\"<a href='\\\"'>&amp;\"}";
	renders("{{x}}|{{{x}}}|{{&x}}", data,
		"&lt;a href=&#39;&quot;&#39;&gt;&amp;amp;|<a href='\"'>&amp;|<a href='\"'>&amp;");
	renders_in(MUSTACHE_PLAIN, "{{x}}|{{{x}}}", data, "<a href='\"'>&amp;|<a href='\"'>&amp;");
	renders("{{o}}", "{\"o\":{\"a\":[\"<\"]}}", "{&quot;a&quot;:[&quot;&lt;&quot;]}");
}

static void numbers_print_as_people_write_them(void **state)
{
	(void)state;
	renders("{{a}} {{b}} {{c}} {{d}} {{e}} {{f}} {{g}}",
		"{\"a\":3.0,\"b\":-7,\"c\":0.1,\"d\":1234567890123,\"e\":0.30000000000000004,\"f\":"
		"-0.5,\"g\":0}",
		"3 -7 0.1 1234567890123 0.30000000000000004 -0.5 0");
	renders("{{t}}{{f}}{{n}}{{m}}", "{\"t\":true,\"f\":false,\"n\":null}", "truefalse");
}

static void empty_zero_and_null_are_false(void **state)
{
	(void)state;
	static const char *const falses[] = {"null", "false", "0", "0.0", "\"\"", "[]"};
	static const char *const trues[] = {"true", "1", "-0.5", "\"0\"", "[0]", "{}", "\" \""};
	for (size_t i = 0; i < ARRAY_LEN(falses); i++) {
		autofree char *data = xasprintf("{\"x\":%s}", falses[i]);
		renders("{{#x}}yes{{/x}}{{^x}}no{{/x}}", data, "no");
	}
	for (size_t i = 0; i < ARRAY_LEN(trues); i++) {
		autofree char *data = xasprintf("{\"x\":%s}", trues[i]);
		renders("{{#x}}yes{{/x}}{{^x}}no{{/x}}", data, "yes");
	}
	renders("{{^x}}no{{/x}}", "{}", "no");
}

static void names_are_found_outwards_but_not_below_a_dot(void **state)
{
	(void)state;
	renders("{{#a}}{{x}}{{y}}{{b.c}}{{b.x}}{{/a}}",
		"{\"x\":1,\"y\":2,\"b\":{\"x\":9},\"a\":{\"x\":3,\"b\":{\"c\":4}}}", "324");
	renders("{{#rows}}{{#cells}}{{.}},{{/cells}};{{/rows}}",
		"{\"rows\":[{\"cells\":[1,2]},{\"cells\":[]},{\"cells\":[3]}]}", "1,2,;;3,;");
	renders("{{#list}}({{#.}}{{.}}{{/.}}){{/list}}", "{\"list\":[[1,2],[3]]}", "(12)(3)");
	renders("{{.}}", "\"top\"", "top");
}

static void partials_keep_indentation_of_their_tag(void **state)
{
	(void)state;
	const char *data = "{\"x\":\"1\\n2\",\"partials\":{\"p\":\"a\\n\\n{{{x}}}\\n{{>q}}\\n\","
			   "\"q\":\"q\\nq\\n\"}}";
	renders("<\n\t{{>p}}\n>", data, "<\n\ta\n\n\t1\n2\n\tq\n\tq\n>");
	renders("<{{>p}}>", data, "<a\n\n1\n2\nq\nq\n>");
	renders("[{{>missing}}]", data, "[]");
}

/* clang-format off */
static const struct { const char *text, *want; } faults[] = {
	{"{{#a}}",                      "t:1: unclosed section a"},
	{"x\n{{#a}}\n{{#b}}{{/b}}\n",   "t:2: unclosed section a"},
	{"{{/a}}",                      "t:1: {{/a}} closes nothing"},
	{"\n{{#a}}\n{{/b}}",            "t:3: {{/b}} where {{/a}} (line 2) is expected"},
	{"\n\n{{x",                     "t:3: tag is not closed by }}"},
	{"{{{x}}",                      "t:1: tag is not closed by }}}"},
	{"{{}}",                        "t:1: tag without a name"},
	{"{{# }}",                      "t:1: tag without a name"},
	{"{{=<% %>",                    "t:1: tag is not closed by =}}"},
	{"{{=<%=}}",                    "t:1: delimiters must be two words without =, as in {{=<% %>=}}"},
	{"{{=a b c=}}",                 "t:1: delimiters must be"},
	{"{{=12345678901234567 b=}}",   "t:1: delimiters must be"},
	{"a{{>bad}}",                   "bad:2: unclosed section x"},
	{"{{>self}}",                   "self:1: more than 32 partials within each other"},
};
/* clang-format on */

static void faults_are_named_with_their_line(void **state)
{
	(void)state;
	const char *data = "{\"partials\":{\"bad\":\"\\n{{#x}}\",\"self\":\"{{>self}}\"}}";
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		AUTO(buf_release) struct buf out = BUF(1 << 20);
		err_t e = render(faults[i].text, data, MUSTACHE_HTML, &out);
		assert_int_equal(err_code(e), ERR_CONFIG);
		if (strncmp(err_text(e), faults[i].want, strlen(faults[i].want)) != 0)
			assert_string_equal(err_text(e), faults[i].want);
	}
}

static void nesting_has_a_limit(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(1 << 20), deep = BUF(1 << 20);
	for (int i = 0; i < 65; i++)
		buf_adds(&deep, "{{#x}}");
	err_t e = render(deep.data, "{\"x\":1}", MUSTACHE_HTML, &out);
	assert_non_null(strstr(err_text(e), "more than 64 sections"));
	e = render("{{>p}}",
		"{\"x\":1,\"partials\":{\"p\":\"{{#x}}{{#x}}{{#x}}{{#x}}{{#x}}{{#x}}{{#x}}{{>p}}"
		"{{/x}}{{/x}}{{/x}}{{/x}}{{/x}}{{/x}}{{/x}}\"}}",
		MUSTACHE_HTML, &out);
	assert_non_null(strstr(err_text(e), "more than 200 sections"));
}

/* Thirty partials, each with the next one twice and no output: 2^30 steps if nobody counted. */
static void runaway_templates_come_to_an_end(void **state)
{
	(void)state;
	json_t *partials = json_object();
	for (int i = 0; i < 30; i++) {
		autofree char *name = xasprintf("p%d", i);
		autofree char *text = xasprintf("{{>p%d}}{{>p%d}}", i + 1, i + 1);
		json_object_set_new(partials, name, json_string(text));
	}
	json_t *data = json_pack("{s:o}", "partials", partials);
	AUTO(buf_release) struct buf out = BUF(1 << 20);
	err_t e = mustache_render("t", "{{>p0}}", data,
		&(struct mustache_options){MUSTACHE_HTML, partial, data}, &out);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "rendering does not come to an end"));
	json_decref(data);
}

static void output_over_the_limit_is_an_error(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(10);
	assert_null(render("0123456789", "{}", MUSTACHE_HTML, &out));
	buf_reset(&out);
	assert_int_equal(
		err_code(render("0123456789{{x}}a", "{}", MUSTACHE_HTML, &out)), ERR_TOO_LARGE);
	buf_reset(&out);
	assert_int_equal(
		err_code(render("{{x}}", "{\"x\":\"&&&\"}", MUSTACHE_HTML, &out)), ERR_TOO_LARGE);
}

/* Pieces of tags in random order, and random bytes: under SAN=1 nothing may be reported. */
static void noise_never_crashes(void **state)
{
	(void)state;
	static const char *const pieces[] = {"{{", "}}", "{{{", "}}}", "{{#", "{{^", "{{/", "{{>",
		"{{!", "{{=", "=}}", "a", "b", ".", "a.b", "\n", "\r\n", " ", "\t", "<% %>", "| |",
		"{{#a}}", "{{/a}}", "{{>p}}", "{{=| |=}}", "&", "\xff", "{"};
	json_t *data = json_pack(
		"{s:[s,i,n,{s:s}],s:{s:f},s:s}", "a", "<", 1, "b", "x", "b", "b", 1.5, "s", "t");
	unsigned rendered = 0;
	for (unsigned seed = 0; seed < 30000; seed++) {
		srand(seed);
		AUTO(buf_release) struct buf text = BUF(1 << 12), out = BUF(1 << 12);
		for (int i = rand() % 24; i > 0; i--)
			if (seed % 3)
				buf_adds(&text, pieces[(size_t)rand() % ARRAY_LEN(pieces)]);
			else
				buf_addc(&text, "{}#^/>!=&.ab \n\r\xc3|"[rand() % 17]);
		json_t *partials = json_object();
		json_object_set_new(
			partials, "p", json_string(seed % 2 ? text.data : " a\n {{a}}\n"));
		json_t *arg = json_pack("{s:o}", "partials", partials);
		struct mustache_options options = {
			seed % 2 ? MUSTACHE_HTML : MUSTACHE_PLAIN, partial, arg};
		autofree char *exact =
			xstrdup(text.data); /* so that reading past its end is seen */
		rendered += mustache_render("t", exact, data, &options, &out) == NULL;
		json_decref(arg);
	}
	assert_true(rendered > 1000);
	json_decref(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(html_is_escaped_and_plain_is_not),
		cmocka_unit_test(numbers_print_as_people_write_them),
		cmocka_unit_test(empty_zero_and_null_are_false),
		cmocka_unit_test(names_are_found_outwards_but_not_below_a_dot),
		cmocka_unit_test(partials_keep_indentation_of_their_tag),
		cmocka_unit_test(faults_are_named_with_their_line),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(runaway_templates_come_to_an_end),
		cmocka_unit_test(output_over_the_limit_is_an_error),
		cmocka_unit_test(noise_never_crashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
