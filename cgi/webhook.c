/*
 * airunner-webhook: takes Jira's webhooks. It may execute one stored procedure and knows the
 * webhook's secrets only. Order: sender's proof, body, age, author, row, answer, poke.
 */
#include <string.h>
#include <time.h>

#include "cgi/app.h"
#include "cgi/intake.h"
#include "cgi/poke.h"
#include "cgi/signature.h"
#include "lib/log.h"
#include "lib/mem.h"

static err_t take_jira(struct app *app, struct request *req, struct response *res);

static const struct route routes[] = {
	{METHOD_POST, "/webhook/jira", ROLE_NONE, take_jira},
	{0},
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* While Jira's secret is being changed, both are good. */
static err_t check_sender(struct app *app, const struct request *req)
{
	struct signature sent = {.secret_header = request_header(req, "X-Moveware-Webhook-Secret"),
		.hub_header = request_header(req, "X-Hub-Signature")};
	const char *previous = settings_str(app->set, S_JIRA_WEBHOOK_SECRET_PREVIOUS);
	err_t e = signature_check(settings_str(app->set, S_JIRA_WEBHOOK_SECRET), &sent,
		req->body.data, req->body.len);
	if (!e || !*previous || signature_check(previous, &sent, req->body.data, req->body.len))
		return e;
	log_info("this webhook still has the previous secret (JIRA_WEBHOOK_SECRET_PREVIOUS)");
	return NULL;
}

/* What we did in Jira ourselves is no order; it leaves no trace that could hide a person's. */
static bool made_by_us(struct app *app, const struct intake *in)
{
	const char *account = settings_str(app->set, S_JIRA_AI_ACCOUNT_ID);
	return *account && strcmp(in->actor, account) == 0;
}

/* Two clocks have to say that it is too old: a webhook refused because this machine's was put
 * wrong would not be sent again. */
static err_t check_age(struct app *app, const struct intake *in)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	struct db *db;
	int64_t max_age_s = settings_int(app->set, S_AIRUNNER_WEBHOOK_MAX_AGE_S);
	if (!intake_check_age(in, now_ms(), max_age_s))
		return NULL;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(db_query(db, Q_DATABASE_NOW, DB_NO_ARGS, &rows));
	int64_t database_ms = db_rows_next(rows) ? db_rows_i64(rows, "now_ms") : now_ms();
	err_t e = intake_check_age(in, database_ms, max_age_s);
	if (!e)
		log_warning("this machine's clock is not the database's: check both");
	return e;
}

static err_t take_jira(struct app *app, struct request *req, struct response *res)
{
	const char *identifier = request_header(req, "X-Atlassian-Webhook-Identifier");
	struct intake in;
	struct db *db;
	int64_t run_id = 0;
	bool duplicate = false;
	ERR_TRY(check_sender(app, req));
	ERR_TRY(intake_read(req->body.data, req->body.len, identifier, &in));
	ERR_TRY(check_age(app, &in));
	if (made_by_us(app, &in)) {
		log_debug("webhook %s for %s: made by the AI account", in.event, in.issue);
		return response_json(
			res, json_pack("{s:b s:s}", "ok", 1, "ignored", "made by the AI account"));
	}
	ERR_TRY(app_db(app, &db));
	ERR_TRY(intake_record(db, &in, &run_id, &duplicate));
	log_info("webhook%s%s for %s: run %lld%s%s", *in.event ? " " : "", in.event, in.issue,
		(long long)run_id, duplicate ? ", a repeat" : "",
		in.salvaged ? ", body was no valid JSON" : "");
	poke_worker(app->set, run_id);
	json_t *answer = json_pack("{s:b s:I}", "ok", 1, "run_id", (json_int_t)run_id);
	if (duplicate)
		json_object_set_new(answer, "duplicate", json_true());
	return response_json(res, answer);
}

int main(int argc, char **argv)
{
	static const struct app_spec spec = {.name = "airunner-webhook",
		.program = PROGRAM_HOOK,
		.db_user = "air_hook",
		.routes = routes};
	return app_main(&spec, argc, argv);
}
