/*
 * Renders mustache templates over jansson data: contexts, sections, escaping, partials. Called by
 * template.c for pages, prompts, Jira texts and pull request bodies.
 */
#include "lib/mustache.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/mustache_parse.h"
#include "lib/mustache_value.h"

#define PARTIALS_MAX 32 /* within each other */
#define DEPTH_MAX 200
#define WORK_MAX 5000000 /* tokens and partial bytes of one rendering: ends runaway recursion */
#define PARTIAL_LIMIT ((size_t)4 << 20)
#define NAME_LIMIT 256

struct render {
	const struct mustache_options *options;
	struct buf *out;
	const char *name; /* of the text being rendered, for errors */
	int partials;     /* within each other */
	int depth;        /* of sections, in all partials */
	long work;
};

/* One context of the stack; it lies in the C stack of the section that pushed it. */
struct context {
	const json_t *value;
	const struct context *up;
};

static err_t render_text(
	struct render *r, const char *name, const char *text, const struct context *context);

/* ---- looking up ---- */

static const json_t *member(const json_t *value, const char *name, size_t len)
{
	char key[NAME_LIMIT];
	if (len >= sizeof key)
		return NULL;
	memcpy(key, name, len);
	key[len] = '\0';
	return json_object_get(value, key);
}

/* The first part of a dotted name is searched through the stack, the rest below it only. */
static const json_t *look_up(const struct context *context, const char *name, size_t len)
{
	if (len == 1 && *name == '.')
		return context->value;
	const char *dot = memchr(name, '.', len);
	size_t first = dot ? (size_t)(dot - name) : len;
	const json_t *value = NULL;
	for (; context && !value; context = context->up)
		value = member(context->value, name, first);
	for (const char *end = name + len; value && dot;) {
		const char *part = dot + 1;
		dot = memchr(part, '.', (size_t)(end - part));
		value = member(value, part, (size_t)((dot ? dot : end) - part));
	}
	return value;
}

/* ---- values ---- */

static void add_value(struct render *r, const json_t *value, bool raw)
{
	if (raw || r->options->mode == MUSTACHE_PLAIN) {
		mustache_add_plain(r->out, value);
		return;
	}
	if (json_is_string(value)) {
		mustache_add_html(r->out, json_string_value(value), json_string_length(value));
		return;
	}
	AUTO(buf_release) struct buf text = BUF(r->out->limit);
	mustache_add_plain(&text, value);
	mustache_add_html(r->out, text.data, text.len);
}

/* ---- partials ---- */

/* A partial alone on a line is indented as its tag was: each of its lines that is not empty. */
static char *indented(const char *text, const struct mustache_token *tag)
{
	AUTO(buf_release) struct buf out = BUF(PARTIAL_LIMIT);
	while (*text) {
		size_t len = strcspn(text, "\n") + 1;
		if (*text != '\n' && tag->indent_len)
			buf_add(&out, tag->indent, tag->indent_len);
		len = text[len - 1] ? len : len - 1;
		buf_add(&out, text, len);
		text += len;
	}
	return buf_take(&out);
}

static err_t render_partial(
	struct render *r, const struct mustache_token *tag, const struct context *context)
{
	autofree char *name = xstrndup(tag->p, tag->len);
	const char *text = r->options->partial ? r->options->partial(r->options->arg, name) : NULL;
	if (!text)
		return NULL;
	if (r->partials == PARTIALS_MAX)
		return err_new(ERR_CONFIG, "%s:%d: more than %d partials within each other",
			r->name, tag->line, PARTIALS_MAX);
	autofree char *copy = indented(text, tag); /* text is ours until the next partial only */
	r->work += (long)strlen(copy);
	r->partials++;
	err_t e = render_text(r, name, copy, context);
	r->partials--;
	return e;
}

/* ---- tokens ---- */

static err_t render_tokens(struct render *r, const struct mustache_tokens *tokens, size_t from,
	size_t to, const struct context *context);

static err_t render_section(struct render *r, const struct mustache_tokens *tokens, size_t at,
	const struct context *context)
{
	const struct mustache_token *tag = &tokens->v[at];
	const json_t *value = look_up(context, tag->p, tag->len);
	if (mustache_is_false(value))
		return NULL;
	if (!json_is_array(value)) {
		struct context inner = {value, context};
		return render_tokens(r, tokens, at + 1, tag->close, &inner);
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct context inner = {json_array_get(value, i), context};
		ERR_TRY(render_tokens(r, tokens, at + 1, tag->close, &inner));
	}
	return NULL;
}

static err_t render_inverted(struct render *r, const struct mustache_tokens *tokens, size_t at,
	const struct context *context)
{
	const struct mustache_token *tag = &tokens->v[at];
	if (!mustache_is_false(look_up(context, tag->p, tag->len)))
		return NULL;
	return render_tokens(r, tokens, at + 1, tag->close, context);
}

static err_t render_token(struct render *r, const struct mustache_tokens *tokens, size_t at,
	const struct context *context)
{
	const struct mustache_token *t = &tokens->v[at];
	switch (t->type) {
	case TOKEN_TEXT:
		buf_add(r->out, t->p, t->len);
		return NULL;
	case TOKEN_VALUE:
	case TOKEN_RAW:
		add_value(r, look_up(context, t->p, t->len), t->type == TOKEN_RAW);
		return NULL;
	case TOKEN_SECTION:
		return render_section(r, tokens, at, context);
	case TOKEN_INVERTED:
		return render_inverted(r, tokens, at, context);
	case TOKEN_PARTIAL:
		return render_partial(r, t, context);
	case TOKEN_CLOSE:
		return NULL;
	}
	return NULL;
}

static err_t check_limits(const struct render *r, int line)
{
	if (r->depth > DEPTH_MAX)
		return err_new(ERR_CONFIG, "%s:%d: more than %d sections within each other",
			r->name, line, DEPTH_MAX);
	if (r->work > WORK_MAX)
		return err_new(
			ERR_CONFIG, "%s:%d: rendering does not come to an end", r->name, line);
	if (buf_cut(r->out))
		return err_new(
			ERR_TOO_LARGE, "%s:%d: more than %zu bytes", r->name, line, r->out->limit);
	return NULL;
}

static err_t render_tokens(struct render *r, const struct mustache_tokens *tokens, size_t from,
	size_t to, const struct context *context)
{
	r->depth++;
	for (size_t i = from; i < to; i++) {
		const struct mustache_token *t = &tokens->v[i];
		r->work++;
		ERR_TRY(check_limits(r, t->line));
		ERR_TRY(render_token(r, tokens, i, context));
		if (t->type == TOKEN_SECTION || t->type == TOKEN_INVERTED)
			i = t->close;
	}
	r->depth--;
	return NULL;
}

static err_t render_text(
	struct render *r, const char *name, const char *text, const struct context *context)
{
	AUTO(mustache_tokens_release) struct mustache_tokens tokens = {0};
	ERR_TRY(mustache_parse(name, text, &tokens));
	const char *outer = r->name;
	r->name = name;
	ERR_TRY(render_tokens(r, &tokens, 0, tokens.count, context));
	r->name = outer;
	return NULL;
}

err_t mustache_render(const char *name, const char *template_text, const json_t *data,
	const struct mustache_options *options, struct buf *out)
{
	struct render r = {.options = options, .out = out};
	const struct context bottom = {data, NULL};
	err_t e = render_text(&r, name, template_text, &bottom);
	if (!e && buf_cut(out))
		e = err_new(ERR_TOO_LARGE, "%s: more than %zu bytes", name, out->limit);
	return e;
}
