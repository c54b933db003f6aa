/*
 * /search/jql: clauses joined by AND (project, key, status, assignee, labels, parent, issuetype,
 * updated, created; = != in "not in" >= <=), by updated time, newest first unless "ORDER BY … ASC".
 * Results lag behind writes by "search_lag_ms", as Jira's index does; reconcileIssues sees at once.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/jira.h"
#include "tests/standin/jira_routes.h"
#include "tests/standin/world.h"

#define VALUES_MAX 32

struct clause {
	char field[64];
	char op[8];
	char values[VALUES_MAX][128];
	size_t count;
};

static const char *skip_blank(const char *at)
{
	return at + strspn(at, " \t\n,");
}

static const char *take_word(const char *at, char *to, size_t size)
{
	at = skip_blank(at);
	char quote = *at == '"' || *at == '\'' ? *at++ : 0;
	size_t n = 0;
	while (*at && (quote ? *at != quote : !strchr(" \t\n,()=!<>~", *at))) {
		if (n + 1 < size)
			to[n++] = *at;
		at++;
	}
	to[n] = '\0';
	return at + (quote && *at == quote);
}

static const char *take_op(const char *at, struct clause *c)
{
	static const char *const ops[] = {
		"!=", ">=", "<=", "=", ">", "<", "not in", "in", "is not", "is"};
	at = skip_blank(at);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (strncasecmp(at, ops[i], strlen(ops[i])) == 0) {
			strcpy(c->op, ops[i]);
			return at + strlen(ops[i]);
		}
	}
	return NULL;
}

static const char *take_clause(const char *at, struct clause *c)
{
	at = take_op(take_word(at, c->field, sizeof(c->field)), c);
	if (!at)
		return NULL;
	at = skip_blank(at);
	if (*at != '(') {
		c->count = 1;
		return take_word(at, c->values[0], sizeof(c->values[0]));
	}
	for (at = skip_blank(at + 1); *at && *at != ')'; at = skip_blank(at)) {
		if (c->count == VALUES_MAX)
			return NULL;
		at = take_word(at, c->values[c->count++], sizeof(c->values[0]));
	}
	return *at ? at + 1 : NULL;
}

/* "-5m", "-2h", "-1d" or epoch milliseconds. */
static int64_t time_value(const char *s)
{
	char *end;
	long long n = strtoll(s, &end, 10);
	int64_t unit = *end == 'm' ? 60000 : *end == 'h' ? 3600000 : *end == 'd' ? 86400000 : 0;
	return unit ? world_now_ms() + n * unit : n;
}

static bool holds_time(const struct clause *c, int64_t ms)
{
	int64_t than = time_value(c->values[0]);
	return c->op[0] == '<' ? ms <= than : ms >= than;
}

static bool has_value(const struct clause *c, const json_t *issue, const char *value)
{
	if (text_ieq(c->field, "labels") || text_ieq(c->field, "label")) {
		size_t i;
		json_t *label;
		json_array_foreach (json_object_get(issue, "labels"), i, label) {
			if (text_ieq(json_string_value(label), value))
				return true;
		}
		return false;
	}
	const char *key = jstr(issue, "key", "");
	if (text_ieq(c->field, "project"))
		return strncasecmp(key, value, strlen(value)) == 0 && key[strlen(value)] == '-';
	if (text_ieq(c->field, "assignee") && text_ieq(value, "currentUser"))
		value = ai_account();
	const char *member = text_ieq(c->field, "issuetype") || text_ieq(c->field, "type") ? "type"
			     : text_ieq(c->field, "issuekey")                              ? "key"
							      : c->field;
	const char *is = jstr(issue, member, NULL);
	return text_ieq(value, "EMPTY") || text_ieq(value, "null") ? !is : text_ieq(is, value);
}

static bool holds(const struct clause *c, const json_t *issue)
{
	if (text_ieq(c->field, "updated") || text_ieq(c->field, "created")) {
		autofree char *member = xasprintf("%s_ms", c->field);
		text_lower(member);
		return holds_time(c, jint(issue, member, 0));
	}
	bool any = false;
	for (size_t i = 0; i < c->count; i++)
		any |= has_value(c, issue, c->values[i]);
	bool negated = c->op[0] == '!' || strstr(c->op, "not");
	return any != negated;
}

static bool known_field(const char *field)
{
	static const char *const fields[] = {"project", "key", "issuekey", "status", "assignee",
		"labels", "label", "parent", "issuetype", "type", "updated", "created", "priority",
		"reporter"};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (text_ieq(fields[i], field))
			return true;
	}
	return false;
}

/* @return false when the query is not understood (answered) */
static bool matches(struct req *q, const char *jql, const json_t *issue, bool *ret_match)
{
	*ret_match = true;
	for (const char *at = skip_blank(jql); *at && strncasecmp(at, "order by", 8) != 0;
		at = skip_blank(at)) {
		struct clause c = {0};
		at = take_clause(at, &c);
		if (!at || !known_field(c.field)) {
			autofree char *m =
				xasprintf("Error in the JQL Query: Field '%s' does not "
					  "exist or you do not have permission to view it.",
					c.field);
			jira_error(q, 400, m);
			return false;
		}
		*ret_match = *ret_match && holds(&c, issue);
		at += strspn(at, " ()");
		at += strncasecmp(at, "and ", 4) == 0 ? 4 : 0;
	}
	return true;
}

static bool in_index(struct req *q, const json_t *issue)
{
	const json_t *ids = json_object_get(q->json, "reconcileIssues");
	size_t i;
	json_t *id;
	json_array_foreach (ids, i, id) {
		if (json_integer_value(id) == strtoll(jstr(issue, "id", ""), NULL, 10))
			return true;
	}
	int64_t lag = config_int("jira", "search_lag_ms", 0);
	return jint(issue, "updated_ms", 0) + lag <= world_now_ms();
}

static void sort_newest_first(json_t *list)
{
	for (size_t i = 1; i < json_array_size(list); i++) {
		for (size_t j = i; j > 0; j--) {
			json_t *a = json_array_get(list, j - 1), *b = json_array_get(list, j);
			if (jint(a, "updated_ms", 0) >= jint(b, "updated_ms", 0))
				break;
			json_incref(a);
			json_array_set(list, j - 1, b);
			json_array_set_new(list, j, a);
		}
	}
}

static char *fields_of(const struct req *q)
{
	const json_t *list = json_object_get(q->json, "fields");
	if (!json_is_array(list))
		return xstrdup(req_query(q, "fields") ? req_query(q, "fields") : "id");
	AUTO(buf_release) struct buf names = BUF(4096);
	size_t i;
	json_t *name;
	json_array_foreach (list, i, name)
		buf_addf(&names, "%s%s", i ? "," : "", json_string_value(name));
	return buf_take(&names);
}

static void answer_page(struct req *q, const json_t *found)
{
	const char *token = jstr(q->json, "nextPageToken", req_query(q, "nextPageToken"));
	size_t from = token ? (size_t)atol(token) : 0, i;
	size_t most = (size_t)jint(q->json, "maxResults", req_query_int(q, "maxResults", 50));
	autofree char *fields = fields_of(q);
	json_t *page = json_array();
	for (i = from; i < json_array_size(found) && i < from + most; i++)
		json_array_append_new(page, view_issue(json_array_get(found, i), fields,
						    jstr(q->json, "expand", NULL), false));
	bool last = i >= json_array_size(found);
	json_t *answer = json_pack("{s:o, s:b}", "issues", page, "isLast", last);
	autofree char *next = xasprintf("%zu", i);
	if (!last)
		json_object_set_new(answer, "nextPageToken", json_string(next));
	answer_json(q, 200, answer);
}

void jira_search(struct req *q)
{
	const char *jql = jstr(q->json, "jql", req_query(q, "jql"));
	if (!jql || !*skip_blank(jql) || strncasecmp(skip_blank(jql), "order by", 8) == 0) {
		jira_error(q, 400,
			"Unbounded JQL queries are not allowed here. Please add a search "
			"restriction to your query.");
		return;
	}
	json_t *found = json_array(), *issue;
	const char *id;
	bool match;
	json_object_foreach (issue_all(), id, issue) {
		if (!matches(q, jql, issue, &match)) {
			json_decref(found);
			return;
		}
		if (match && issue_find(id) && in_index(q, issue))
			json_array_append(found, issue);
	}
	sort_newest_first(found);
	answer_page(q, found);
	json_decref(found);
}
