/* Makes, compares and annotates findings. Called by the parsers and the steps verify and test. */
#include "worker/check/finding.h"

#include <ctype.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/check/check.h"

/* Paths of the work tree become relative, also in the middle of a message. */
static void add_without(struct buf *out, const char *s, size_t n, const char *tree)
{
	size_t tree_len = tree ? strlen(tree) : 0;
	for (size_t i = 0; i < n;) {
		if (tree_len > 0 && n - i > tree_len && memcmp(s + i, tree, tree_len) == 0 &&
			s[i + tree_len] == '/') {
			i += tree_len + 1;
			continue;
		}
		buf_addc(out, s[i++]);
	}
}

static char *clean(const char *s, size_t n, const char *tree, size_t max)
{
	AUTO(buf_release) struct buf text = BUF(1 << 20);
	text_clean(&text, s, n);
	AUTO(buf_release) struct buf relative = BUF(1 << 20);
	add_without(&relative, text.data, text.len, tree);
	while (relative.len > 0 && isspace((unsigned char)relative.data[relative.len - 1]))
		buf_truncate(&relative, relative.len - 1);
	struct buf out = BUF(max + 100);
	text_middle(&out, relative.data, relative.len, max);
	return buf_take(&out);
}

/* Numbers (lines, times, ids) and runs of blanks do not make another finding. */
static char *make_key(const char *file, const char *code, const char *what)
{
	struct buf out = BUF(FINDING_TEXT * 2);
	buf_addf(&out, "%s|%s|", file ? file : "", code);
	for (const char *p = what; *p; p++) {
		bool digit = isdigit((unsigned char)*p), blank = isspace((unsigned char)*p);
		char c = digit ? '#' : blank ? ' ' : *p;
		if ((digit || blank) && out.data[out.len - 1] == c)
			continue;
		buf_addc(&out, c);
	}
	return buf_take(&out);
}

static json_t *number(int n)
{
	return n > 0 ? json_integer(n) : NULL; /* then the member is left out */
}

void finding_add(json_t *findings, const char *tree, const struct finding *f)
{
	if (json_array_size(findings) >= FINDINGS_MAX)
		return;
	const char *code = f->code ? f->code : "";
	size_t len = f->message_len ? f->message_len : strlen(f->message);
	autofree char *message = clean(f->message, len, tree, FINDING_TEXT);
	autofree char *file = f->file ? clean(f->file, strlen(f->file), tree, 500) : NULL;
	const char *plain = file && text_starts(file, "./") ? file + 2 : file;
	autofree char *key = make_key(plain, code, f->key ? f->key : message);
	json_array_append_new(
		findings, json_pack("{s:s, s:s*, s:o*, s:o*, s:o, s:s, s:s, s:s, s:o}", "check",
				  f->check, "file", plain, "line", number(f->line), "col",
				  number(f->col), "code", text_json(code), "message", message,
				  "category", error_category_name(classify(code, message)), "hint",
				  "", "key", text_json(key)));
}

static const char *key_of(const json_t *finding)
{
	const char *key = json_string_value(json_object_get(finding, "key"));
	return key ? key : "";
}

void findings_split(
	const json_t *findings, const json_t *base, json_t **ret_new, json_t **ret_known)
{
	json_auto_t *left = json_object(); /* key → how many of the base are not matched yet */
	size_t i;
	json_t *finding;
	json_array_foreach (base, i, finding) {
		json_int_t n = json_integer_value(json_object_get(left, key_of(finding)));
		json_object_set_new(left, key_of(finding), json_integer(n + 1));
	}
	json_t *fresh = json_array();
	json_t *known = json_array();
	json_array_foreach (findings, i, finding) {
		json_int_t n = json_integer_value(json_object_get(left, key_of(finding)));
		if (n > 0) {
			json_object_set_new(left, key_of(finding), json_integer(n - 1));
			json_array_append(known, finding);
		} else {
			json_array_append(fresh, finding);
		}
	}
	*ret_new = fresh;
	*ret_known = known;
}

err_t findings_hint(const struct settings *set, json_t *findings)
{
	size_t i;
	json_t *finding;
	json_array_foreach (findings, i, finding) {
		const char *category = json_string_value(json_object_get(finding, "category"));
		autofree char *name = xasprintf("hints/%s.md", category ? category : "unknown");
		AUTO(buf_release) struct buf text = BUF(8192);
		ERR_TRY(template_render(set, name, finding, &text));
		while (text.len > 0 && text.data[text.len - 1] == '\n')
			buf_truncate(&text, text.len - 1);
		json_object_set_new(finding, "hint", text_jsonn(text.data, text.len));
	}
	return NULL;
}
