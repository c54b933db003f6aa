/* New or known, told or not: called by the steps verify and test after each check. */
#include "worker/check/verdict.h"

#include <string.h>

#include "lib/mem.h"
#include "worker/check/baseline.h"
#include "worker/check/finding.h"
#include "worker/journal.h"

#define EVENTS_MAX 10 /* findings told one by one */

void verdict_release(struct verdict *verdict)
{
	json_decref(verdict->findings);
	verdict->findings = NULL;
}

static const char *member(const json_t *finding, const char *name)
{
	const char *s = json_string_value(json_object_get(finding, name));
	return s ? s : "";
}

/* "src/a.ts:3 TS2322 Type …": the first line of what it is. */
static char *one_line(const json_t *finding)
{
	const char *file = member(finding, "file"), *code = member(finding, "code");
	const char *message = member(finding, "message");
	json_int_t line = json_integer_value(json_object_get(finding, "line"));
	autofree char *at = !*file     ? xstrdup("")
			    : line > 0 ? xasprintf("%s:%lld ", file, (long long)line)
				       : xasprintf("%s ", file);
	return xasprintf(
		"%s%s%s%.*s", at, code, *code ? " " : "", (int)strcspn(message, "\n"), message);
}

static err_t tell_new(struct run_ctx *ctx, json_t *finding)
{
	autofree char *what = one_line(finding);
	return journal_event(
		ctx, EVENT_ERROR, json_incref(finding), "%s: %s", member(finding, "check"), what);
}

static err_t tell_known(struct run_ctx *ctx, const struct check *check, const json_t *known)
{
	int count = (int)json_array_size(known);
	if (count == 0)
		return NULL;
	autofree char *what = one_line(json_array_get(known, 0));
	return journal_event(ctx, EVENT_INFO,
		json_pack("{s:s, s:i, s:b, s:s}", "check", check->name, "findings", count,
			"found_before", true, "first", what),
		"%s: %d finding%s found before the change too, not counted against it: %s%s",
		check->label, count, count == 1 ? "" : "s", what, count > 1 ? ", …" : "");
}

err_t verdict_add_new(struct run_ctx *ctx, json_t *findings, struct verdict *verdict)
{
	size_t i;
	json_t *finding;
	json_auto_t *told = json_array();
	if (!verdict->findings)
		verdict->findings = json_array();
	json_array_foreach (findings, i, finding) {
		verdict->fresh++;
		if (json_array_size(verdict->findings) >= VERDICT_MAX)
			continue;
		json_object_del(finding, "key");
		json_array_append(verdict->findings, finding);
		json_array_append(told, finding);
	}
	ERR_TRY(findings_hint(ctx->set, told));
	json_array_foreach (told, i, finding)
		if (i < EVENTS_MAX)
			ERR_TRY(tell_new(ctx, finding));
	return NULL;
}

/* A check that hung on the change alone ends the run: another round would hang too. */
static err_t refuse_hang(const struct check *check, const json_t *fresh)
{
	size_t i;
	json_t *finding;
	json_array_foreach (fresh, i, finding) {
		if (strcmp(member(finding, "code"), "timeout") != 0)
			continue;
		return err_new(ERR_TIMEOUT,
			"%s; on the commit before the change it does. Look for what hangs in the "
			"change, or raise %s",
			member(finding, "message"), check->timeout_name);
	}
	return NULL;
}

static void add_removed(const struct check *check, const struct check_outcome *outcome,
	const json_t *base, json_t *findings)
{
	if (check->scope != SCOPE_TREE || !json_is_true(json_object_get(base, "ran")))
		return;
	autofree char *message = xasprintf("%s ran before the change and does not any more: %s",
		check->label, outcome->skipped);
	finding_add(findings, NULL,
		&(struct finding){
			.check = check->name, .code = "check-removed", .message = message});
}

err_t verdict_add(struct run_ctx *ctx, const struct check *check,
	const struct check_outcome *outcome, const json_t *changed, const char *tree,
	struct verdict *verdict)
{
	if (!verdict->findings)
		verdict->findings = json_array();
	if (outcome->log.len > 0) {
		autofree char *name = xasprintf("%s-%d", check->name, ctx->heal_round);
		ERR_TRY(journal_artifact(
			ctx, "check_log", name, outcome->log.data, outcome->log.len));
	}
	if (!outcome->skipped && json_array_size(outcome->findings) == 0)
		return NULL;
	if (outcome->skipped && check->scope != SCOPE_TREE)
		return NULL;
	json_auto_t *base = NULL;
	ERR_TRY(baseline_result(ctx, check, changed, tree, &base));
	if (outcome->skipped)
		add_removed(check, outcome, base, outcome->findings);
	json_auto_t *fresh = NULL, *known = NULL;
	findings_split(outcome->findings, json_object_get(base, "findings"), &fresh, &known);
	verdict->known += (int)json_array_size(known);
	ERR_TRY(tell_known(ctx, check, known));
	ERR_TRY(refuse_hang(check, fresh));
	return verdict_add_new(ctx, fresh, verdict);
}
