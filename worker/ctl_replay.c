/*
 * airunnerctl replay RUN: the recorded conversations of a run again, without a model and without a
 * command. The changes that were recorded with each turn are applied to the base tree, in memory,
 * and each tree is compared with the one that the turn had. Prints a line a turn; the store is not
 * written.
 */
#include "worker/ctl.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/db.h"
#include "lib/mem.h"
#include "worker/agent/record.h"
#include "worker/artifact.h"
#include "worker/git/change.h"
#include "worker/llm/llm.h"
#include "worker/repo_sync.h"

struct play {
	const struct settings *set;
	struct db *db;
	struct store *store;
	int64_t run_id;
	json_t *bases;            /* trees that an edit began from */
	char tree[OID_HEX + 1];   /* as it is now; empty: nothing applied yet */
	char wanted[OID_HEX + 1]; /* the last answer's, until its results come; empty: none */
	char edit_tree[OID_HEX + 1], commit_tree[OID_HEX + 1];
	char turn[32]; /* of the last answer: "1.2" */
	int turns, changes;
};

static void play_close(struct play *p)
{
	store_close(p->store);
	json_decref(p->bases);
}

static err_t differs(const struct play *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static err_t differs(const struct play *p, const char *fmt, ...)
{
	char words[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	return err_new(
		ERR_BAD_INPUT, "run %lld, turn %s: %s", (long long)p->run_id, p->turn, words);
}

/* ---- the journal ---- */

static void copy_id(char ret[OID_HEX + 1], const json_t *result, const char *member)
{
	const char *s = json_string_value(json_object_get(result, member));
	if (s)
		snprintf(ret, OID_HEX + 1, "%s", s);
}

static err_t read_steps(struct play *p)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(p->db, Q_REPLAY_STEPS, DB_ARGS(db_i64(p->run_id)), &rows));
	while (db_rows_next(rows)) {
		const char *step = db_rows_str(rows, "step");
		json_auto_t *result = json_loads(db_rows_str(rows, "result"), 0, NULL);
		char base[OID_HEX + 1] = "";
		if (strcmp(step, "edit") == 0)
			copy_id(p->edit_tree, result, "tree");
		else if (strcmp(step, "commit") == 0)
			copy_id(p->commit_tree, result, "tree");
		else
			copy_id(base, result, "base_tree");
		if (*base)
			json_object_set_new(p->bases, base, json_true());
	}
	return json_object_size(p->bases)
		       ? NULL
		       : err_new(ERR_NOT_FOUND,
				 "run %lld has checked nothing out: there is nothing to "
				 "replay",
				 (long long)p->run_id);
}

static err_t open_store(struct play *p, int64_t repo_id)
{
	AUTO(repo_configs_release) struct repo_configs repos = {0};
	ERR_TRY(repo_configs_load(p->set, &repos));
	ERR_TRY(repo_configs_ids(p->db, &repos));
	for (size_t i = 0; i < repos.count; i++)
		if (repos.items[i].repo_id == repo_id) {
			ERR_TRY(store_open(p->set, &repos.items[i], &p->store));
			return change_in_memory(p->store);
		}
	return err_new(ERR_NOT_FOUND, "the repository of run %lld is not in repos.json any more",
		(long long)p->run_id);
}

/* ---- turns ---- */

static void print_tools(const struct play *p, const struct db_rows *row)
{
	AUTO(llm_release) struct llm llm = {0};
	AUTO(llm_calls_release) struct llm_calls calls = {0};
	size_t len;
	int blocks;
	const char *data = db_rows_blob(row, "content", &len);
	err_t e = len ? llm_open(p->set, db_rows_str(row, "model"), &llm) : NULL;
	if (!e && len)
		e = llm_read_message(&llm, data, len, &calls, &blocks);
	AUTO(buf_release) struct buf names = BUF(400);
	for (size_t i = 0; i < calls.count; i++)
		buf_addf(&names, "%s%s", i ? "," : "", calls.items[i].name);
	printf("%-6s %-38s", p->turn, e ? "?" : names.len ? names.data : len ? "(words)" : "(cut)");
}

/* Its figures now, its tree when its results come. */
static void on_answer(struct play *p, const struct db_rows *row)
{
	const char *tree = db_rows_str(row, "tree");
	snprintf(p->turn, sizeof p->turn, "%lld.%lld", (long long)db_rows_i64(row, "conv"),
		(long long)db_rows_i64(row, "seq"));
	snprintf(p->wanted, sizeof p->wanted, "%s", tree ? tree : "");
	print_tools(p, row);
	printf(" %7lld fresh %7lld written %7lld read %6lld out",
		(long long)db_rows_i64(row, "fresh_tokens"),
		(long long)db_rows_i64(row, "written_tokens"),
		(long long)db_rows_i64(row, "read_tokens"),
		(long long)db_rows_i64(row, "output_tokens"));
	if (db_rows_null(row, "cost_usd_micro"))
		printf("  cost unknown");
	else
		printf("  %.6f USD", (double)db_rows_i64(row, "cost_usd_micro") / 1e6);
	p->turns++;
}

/* A change begins where the one before ended, or at a base: there the edit began anew. */
static err_t begin_at(struct play *p, const struct change_ids *ids)
{
	bool is_base = json_object_get(p->bases, ids->from) != NULL;
	if (strcmp(p->tree, ids->from) == 0)
		return NULL;
	if (!is_base)
		return differs(p,
			"its change begins from tree %.10s, but the record leads to %.10s",
			ids->from, *p->tree ? p->tree : "none");
	snprintf(p->tree, sizeof p->tree, "%s", ids->from);
	return NULL;
}

static err_t apply(struct play *p, const struct buf *change)
{
	struct change_ids ids;
	char built[OID_HEX + 1];
	err_t e = change_ids(change, &ids);
	if (e)
		return differs(p, "%s", err_text(e));
	ERR_TRY(begin_at(p, &ids));
	e = change_apply(p->store, change, p->tree, built);
	if (e)
		return differs(p, "%s", err_text(e));
	if (strcmp(built, ids.to) != 0)
		return differs(p, "the record gives tree %s, the turn had %s", built, ids.to);
	memcpy(p->tree, built, sizeof p->tree);
	p->changes++;
	return NULL;
}

/* The message that ends a turn: what was recorded with it, and what the turn's tools left. */
static err_t on_results(struct play *p, const struct db_rows *row)
{
	AUTO(buf_release) struct buf change = BUF(CHANGE_MAX + 4096);
	autofree char *name = xasprintf("%lld.%lld", (long long)db_rows_i64(row, "conv"),
		(long long)db_rows_i64(row, "seq"));
	err_t e = artifact_read(p->db, p->run_id, RECORD_KIND, name, &change);
	bool is_there = !e;
	if (is_there)
		ERR_TRY(apply(p, &change));
	else if (err_code(e) != ERR_NOT_FOUND)
		return err_code(e) == ERR_BAD_INPUT ? differs(p, "%s", err_text(e)) : e;
	if (*p->wanted && *p->tree && strcmp(p->wanted, p->tree) != 0)
		return differs(p, "it had tree %s, %s %s", p->wanted,
			is_there ? "the record gives" : "its change is not recorded; before it was",
			p->tree);
	if (*p->turn)
		printf("  %s\n", is_there ? p->tree : "-");
	*p->wanted = *p->turn = '\0';
	return NULL;
}

static err_t play_rows(struct play *p)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(p->db, Q_REPLAY_MESSAGES, DB_ARGS(db_i64(p->run_id)), &rows));
	while (db_rows_next(rows)) {
		bool is_answer = strcmp(db_rows_str(rows, "role"), "assistant") == 0;
		if (*p->turn && is_answer)
			printf("\n"); /* two answers in a row: nothing came of the first */
		if (is_answer)
			on_answer(p, rows);
		else
			ERR_TRY(on_results(p, rows));
	}
	if (*p->turn)
		printf("  (its results were not stored)\n");
	return NULL;
}

/* ---- the end ---- */

static err_t judge(const struct play *p)
{
	const char *tree = p->tree;
	if (p->turns == 0)
		return err_new(ERR_NOT_FOUND, "run %lld has no conversation", (long long)p->run_id);
	if (*p->edit_tree && strcmp(p->edit_tree, tree) != 0 &&
		!(!*tree && json_object_get(p->bases, p->edit_tree)))
		return err_new(ERR_BAD_INPUT,
			"run %lld ended its edit with tree %s, the record gives %s",
			(long long)p->run_id, p->edit_tree, *tree ? tree : "none");
	printf("%d turns, %d changes\n", p->turns, p->changes);
	if (*p->commit_tree)
		printf("the commit's tree is %s\n",
			strcmp(p->commit_tree, tree) == 0
				? "this one"
				: "another: checks left out files that are no part of a change");
	printf("identical tree %s\n", *tree ? tree : p->edit_tree);
	return NULL;
}

static err_t play_run(struct play *p)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(p->db, Q_REPLAY_RUN, DB_ARGS(db_i64(p->run_id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "there is no run %lld", (long long)p->run_id);
	ERR_TRY(read_steps(p));
	ERR_TRY(open_store(p, db_rows_i64(rows, "repo_id")));
	printf("run %lld, %s, %s\n", (long long)p->run_id, db_rows_str(rows, "issue_key"),
		db_rows_str(rows, "status"));
	ERR_TRY(play_rows(p));
	return judge(p);
}

err_t ctl_replay(const struct call *call)
{
	struct settings *set AUTO(settings_freep) = NULL;
	struct db *db AUTO(db_closep) = NULL;
	int64_t id;
	ERR_TRY(ctl_run_id(call, &id));
	ERR_TRY(ctl_load(call, &set));
	ERR_TRY(db_open(set, &db));
	ERR_TRY(git_start(set));
	struct play p = {.set = set, .db = db, .run_id = id, .bases = json_object()};
	err_t e = play_run(&p);
	play_close(&p);
	git_stop();
	fflush(stdout);
	return e;
}
