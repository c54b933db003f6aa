/*
 * From a webhook's body to a row. Called by airunner-webhook after the sender's proof; what is to
 * be done with the issue is decided by the worker.
 */
#define _GNU_SOURCE
#include "cgi/intake.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/label_priority.h"
#include "lib/mem.h"
#include "lib/run_names.h"
#include "lib/text.h"

#define PROJECT_KEY_MAX 32
#define ISSUE_NUMBER_MAX 18
#define TIMESTAMP_MAX 1e15 /* ms: beyond it a number is no time */
#define DEDUPE_INPUT_MAX (4 << 20)

static const char remedy[] =
	"the body names no issue in issue_key, issueKey, issue.key or issue.id. In an automation "
	"rule send {\"issue_key\": \"{{issue.key}}\"}; with a webhook of Jira's administration "
	"subscribe to issue events as well, since comment events of Jira Server carry no issue";

static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digits[] = "0123456789";

bool intake_issue_key(const char *s, char ret_key[ISSUE_KEY_MAX])
{
	size_t len = strlen(s);
	char key[ISSUE_KEY_MAX];
	if (len == 0 || len >= sizeof key)
		return false;
	for (size_t i = 0; i <= len; i++)
		key[i] = (char)(s[i] >= 'a' && s[i] <= 'z' ? s[i] - 32 : s[i]);
	size_t project = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	bool is_id = project == len && strspn(key, digits) == len;
	const char *number = is_id ? key : key + project + 1;
	if (!is_id && (!memchr(upper, key[0], sizeof upper - 1) || project > PROJECT_KEY_MAX ||
			      key[project] != '-'))
		return false;
	size_t n = strspn(number, digits);
	if (n == 0 || n > ISSUE_NUMBER_MAX || number[n] != '\0')
		return false;
	memcpy(ret_key, key, len + 1);
	return true;
}

static bool key_of(const json_t *value, char ret_key[ISSUE_KEY_MAX])
{
	char number[24];
	if (json_is_integer(value)) {
		snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
		return intake_issue_key(number, ret_key);
	}
	return json_is_string(value) && intake_issue_key(json_string_value(value), ret_key);
}

static bool find_key(const json_t *body, char ret_key[ISSUE_KEY_MAX])
{
	const json_t *issue = json_object_get(body, "issue");
	return key_of(json_object_get(body, "issue_key"), ret_key) ||
	       key_of(json_object_get(body, "issueKey"), ret_key) ||
	       key_of(json_object_get(issue, "key"), ret_key) ||
	       key_of(json_object_get(issue, "id"), ret_key);
}

/* The most urgent of the labels; 0 when none says a priority. */
static int priority_of(const json_t *body)
{
	const json_t *labels = json_object_get(body, "labels");
	if (!labels)
		labels = json_object_get(
			json_object_get(json_object_get(body, "issue"), "fields"), "labels");
	return label_priority(labels);
}

/* Words of an event's name as they may stand in a row: letters, digits, ':', '_', '-'. */
static void copy_event(const json_t *body, char ret_event[EVENT_MAX])
{
	static const char *const names[] = {"webhookEvent", "event_type", "issue_event_type_name"};
	const char *event = "";
	for (size_t i = 0; i < ARRAY_LEN(names) && !*event; i++) {
		const char *value = json_string_value(json_object_get(body, names[i]));
		event = value ? value : "";
	}
	size_t n =
		strspn(event, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_-");
	n = n < EVENT_MAX - 1 ? n : EVENT_MAX - 1;
	memcpy(ret_event, event, n);
	ret_event[n] = '\0';
}

/* An account as a bare id, as Cloud's accountId, or as the name that Data Center knows. */
static const char *account_of(const json_t *user)
{
	static const char *const names[] = {"accountId", "name", "key"};
	const char *id = json_string_value(user);
	for (size_t i = 0; i < ARRAY_LEN(names) && !id; i++)
		id = json_string_value(json_object_get(user, names[i]));
	return id && strlen(id) < ACCOUNT_MAX ? id : NULL;
}

/* Whoever did it: the event's user, for comment events its author, for automation rules actor. */
static void copy_actor(const json_t *body, char ret_actor[ACCOUNT_MAX])
{
	const json_t *comment = json_object_get(body, "comment");
	const json_t *const places[] = {json_object_get(body, "user"),
		json_object_get(comment, "updateAuthor"), json_object_get(comment, "author"),
		json_object_get(body, "actor")};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *id = account_of(places[i]);
		if (!id)
			continue;
		strcpy(ret_actor, id);
		return;
	}
}

static err_t read_json(const json_t *body, struct intake *in)
{
	const json_t *timestamp = json_object_get(body, "timestamp");
	if (!find_key(body, in->issue))
		return err_new(ERR_BAD_INPUT, "%s", remedy);
	if (json_is_number(timestamp) && fabs(json_number_value(timestamp)) < TIMESTAMP_MAX)
		in->timestamp_ms = (int64_t)json_number_value(timestamp);
	in->priority = priority_of(body);
	copy_event(body, in->event);
	copy_actor(body, in->actor);
	return NULL;
}

/* At p: `: "KEY"` or `: 123`, with white space. */
static bool salvage_value(const char *p, const char *end, char ret_key[ISSUE_KEY_MAX])
{
	static const char space[] = " \t\r\n";
	p += strspn(p, space);
	if (p >= end || *p++ != ':')
		return false;
	p += strspn(p, space);
	bool quoted = p < end && *p == '"';
	p += quoted;
	size_t n = strcspn(p, quoted ? "\"" : ",} \t\r\n");
	char word[ISSUE_KEY_MAX];
	if (n >= sizeof word || p + n >= end)
		return false;
	memcpy(word, p, n);
	word[n] = '\0';
	return intake_issue_key(word, ret_key);
}

/* Two different keys could be a title that plays one; then none is taken. */
static err_t salvage(const char *body, size_t len, const char *why, struct intake *in)
{
	static const char *const names[] = {"\"issue_key\"", "\"issueKey\""};
	in->salvaged = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *p = body;
		while ((p = memmem(p, len - (size_t)(p - body), names[i], strlen(names[i])))) {
			char key[ISSUE_KEY_MAX];
			p += strlen(names[i]);
			if (!salvage_value(p, body + len, key))
				continue;
			if (in->issue[0] && strcmp(in->issue, key) != 0)
				return err_new(ERR_BAD_INPUT,
					"the body is not valid JSON (%s) and names both %s and %s",
					why, in->issue, key);
			memcpy(in->issue, key, sizeof key);
		}
	}
	if (!in->issue[0])
		return err_new(ERR_BAD_INPUT,
			"the body is not valid JSON (%s) and holds no issue_key. In an automation "
			"rule write titles as {{issue.summary.asJsonString}}, without quotes",
			why);
	return NULL;
}

static void hash_delivery(const char *body, size_t len, const char *identifier, struct intake *in)
{
	AUTO(buf_release) struct buf text = BUF(DEDUPE_INPUT_MAX);
	in->has_identifier = identifier && *identifier;
	buf_adds(&text, in->has_identifier ? "id:" : "body:");
	if (in->has_identifier)
		buf_adds(&text, identifier);
	else
		buf_add(&text, body, len);
	crypto_sha256_hex(text.data, text.len, in->dedupe_key);
}

err_t intake_read(const char *body, size_t len, const char *identifier, struct intake *ret_intake)
{
	struct intake in = {.timestamp_ms = -1};
	json_error_t error;
	json_auto_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	AUTO(buf_release) struct buf why = BUF(JSON_ERROR_TEXT_LENGTH * 3);
	if (!json)
		text_clean(&why, error.text, strlen(error.text));
	ERR_TRY(json ? read_json(json, &in) : salvage(body, len, why.data, &in));
	size_t project = strcspn(in.issue, "-");
	if (in.issue[project] == '-')
		memcpy(in.project, in.issue, project);
	hash_delivery(body, len, identifier, &in);
	*ret_intake = in;
	return NULL;
}

err_t intake_check_age(const struct intake *in, int64_t now_ms, int64_t max_age_s)
{
	int64_t age_s = (now_ms - in->timestamp_ms) / 1000;
	if (max_age_s == 0 || in->timestamp_ms < 0 || age_s <= max_age_s)
		return NULL;
	return err_new(ERR_BAD_INPUT,
		"this webhook is %lld hours old by its body's timestamp; only the last %lld hours "
		"are "
		"taken (AIRUNNER_WEBHOOK_MAX_AGE_S). Touch the issue again, or check both clocks",
		(long long)age_s / 3600, (long long)max_age_s / 3600);
}

err_t intake_record(
	struct db *db, const struct intake *in, int64_t *ret_run_id, bool *ret_duplicate)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_INTAKE,
		DB_ARGS(db_str(in->dedupe_key), db_i64(in->has_identifier), db_str(in->issue),
			db_str(in->project), db_str(in->event),
			in->priority ? db_i64(in->priority) : db_null()),
		&rows));
	if (!db_rows_next(rows) || db_rows_i64(rows, "run_id") <= 0)
		return err_new(ERR_DB, "intake gave no run for %s", in->issue);
	*ret_run_id = db_rows_i64(rows, "run_id");
	*ret_duplicate = db_rows_i64(rows, "duplicate") != 0;
	return NULL;
}
