/*
 * The settings for people: what is in force, the example env file, the README's table. Called by
 * airunnerctl. Secrets appear as "set" or "not set" and nothing else.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/settings_spec.h"
#include "lib/text.h"

static const char *const types[] = {
	[SET_STR] = "text",
	[SET_INT] = "whole number",
	[SET_BOOL] = "true or false",
	[SET_USD] = "dollars",
	[SET_PATH] = "path",
	[SET_LIST] = "list, by commas",
};

static const struct {
	enum program letter;
	const char *name;
} programs[] = {
	{PROGRAM_HOOK, "webhook"},
	{PROGRAM_PAGES, "api, dashboard"},
	{PROGRAM_WORKER, "worker"},
	{PROGRAM_CTL, "airunnerctl"},
};

void settings_print(const struct settings *set, struct buf *out)
{
	AUTO(buf_release) struct buf text = BUF(1 << 20);
	for (enum setting id = 0; id < S__MAX; id++) {
		const struct setting_value *value = &set->values[id];
		if (!value->seen)
			continue;
		bool secret = setting_specs[id].flags & SET_SECRET;
		const char *shown = secret ? (value->set ? "set" : "not set") : value->text;
		buf_addf(&text, "%-31s %-34s %s\n", setting_specs[id].name, shown, value->source);
	}
	redact_buf(&text);
	text_clean(out, text.data, text.len);
}

/* "(default …; unit)" or less. */
static void add_remarks(struct buf *out, const struct setting_spec *spec)
{
	bool number = spec->type == SET_INT || spec->type == SET_USD;
	if (number && *spec->unit)
		buf_addf(out, " [%s]", spec->unit);
	if (spec->flags & SET_NEED)
		buf_adds(out, " (needed)");
	if (spec->flags & SET_SECRET)
		buf_addf(
			out, " (secret; better %s_FILE=/path or a systemd credential)", spec->name);
}

static bool needs_quotes(const char *value)
{
	return strpbrk(value, " #\"'") != NULL;
}

void settings_print_example(struct buf *out)
{
	buf_adds(out, "# Settings of AI Runner. All but the needed ones have the defaults shown.\n"
		      "# The environment comes before this file; NAME_FILE=/path reads a value "
		      "from a file.\n");
	for (enum setting id = 0; id < S__MAX; id++) {
		const struct setting_spec *spec = &setting_specs[id];
		const char *quote = needs_quotes(spec->def) ? "\"" : "";
		buf_addf(out, "\n# %s", spec->help);
		add_remarks(out, spec);
		buf_addf(out, "\n%s%s=%s%s%s\n", spec->flags & SET_NEED ? "" : "#", spec->name,
			quote, spec->def, quote);
	}
}

static void add_cell(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '|')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
}

static void add_readers(struct buf *out, const struct setting_spec *spec)
{
	const char *comma = "";
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		if (!strchr(spec->who, (int)programs[i].letter))
			continue;
		buf_addf(out, "%s%s", comma, programs[i].name);
		comma = ", ";
	}
}

void settings_print_markdown(struct buf *out)
{
	buf_adds(out, "| name | type | default | read by | meaning |\n|---|---|---|---|---|\n");
	for (enum setting id = 0; id < S__MAX; id++) {
		const struct setting_spec *spec = &setting_specs[id];
		buf_addf(out, "| `%s` | %s", spec->name, types[spec->type]);
		if (*spec->unit && (spec->type == SET_INT || strcmp(spec->unit, "URL") == 0))
			buf_addf(out, ", %s", spec->unit);
		if (*spec->def)
			buf_addf(out, " | `%s` | ", spec->def);
		else
			buf_adds(out, " | | ");
		add_readers(out, spec);
		buf_adds(out, " | ");
		add_cell(out, spec->help);
		buf_addf(out, "%s%s |\n", spec->flags & SET_NEED ? "; needed" : "",
			spec->flags & SET_SECRET ? "; secret" : "");
	}
}
