/* Limits of a run. Called by the agent loop. */
#include "worker/agent/limits.h"

#include "lib/mem.h"

struct limits limits_from(const struct settings *set)
{
	return (struct limits){.max_turns = settings_int(set, S_AIRUNNER_MAX_TURNS),
		.notice_turns = settings_int(set, S_AIRUNNER_NOTICE_TURNS),
		.max_usd_micro = settings_int(set, S_AIRUNNER_MAX_RUN_USD),
		.notice_usd_micro = settings_int(set, S_AIRUNNER_NOTICE_RUN_USD),
		.max_ms = settings_int(set, S_AIRUNNER_MAX_RUN_S) * 1000,
		.notice_ms = settings_int(set, S_AIRUNNER_NOTICE_RUN_S) * 1000};
}

err_t limits_check(const struct limits *limits, const struct spent *spent, int64_t elapsed_ms)
{
	if (spent->turns >= limits->max_turns)
		return err_new(ERR_LIMIT,
			"the run's limit of %lld turns is reached (AIRUNNER_MAX_TURNS)",
			(long long)limits->max_turns);
	if (elapsed_ms >= limits->max_ms)
		return err_new(ERR_LIMIT,
			"the run's limit of %g minutes is reached (AIRUNNER_MAX_RUN_S)",
			(double)limits->max_ms / 60000);
	return NULL;
}

/* Which line a figure went over: the soft one, or the one shortly before the limit. */
enum line { LINE_NONE, LINE_SOFT, LINE_LAST };

static bool crossed(int64_t before, int64_t after, int64_t line)
{
	return line > 0 && before < line && after >= line;
}

bool limits_money_notice(const struct limits *limits, int64_t before, int64_t after)
{
	return crossed(before, after, limits->notice_usd_micro);
}

static enum line line_of(int64_t before, int64_t after, int64_t soft, int64_t max)
{
	int64_t last = max / 100 * LAST_NOTICE_PERCENT + max % 100 * LAST_NOTICE_PERCENT / 100;
	if (last > soft && crossed(before, after, last))
		return LINE_LAST;
	return crossed(before, after, soft) ? LINE_SOFT : LINE_NONE;
}

static json_t *dollars(int64_t usd_micro)
{
	return json_sprintf("%.2f", (double)usd_micro / 1e6);
}

static json_t *minutes(int64_t ms)
{
	return json_sprintf("%.4g", (double)(ms / 6000) / 10);
}

static json_t *number(int64_t n)
{
	return json_integer((json_int_t)n);
}

bool limits_notice(
	const struct limits *l, const struct spent *before, const struct spent *after, json_t *data)
{
	const struct {
		const char *name, *used_as;
		int64_t before, after, soft, max;
		json_t *(*show)(int64_t value);
	} lines[] = {
		{"turns", "used", before->turns, after->turns, l->notice_turns, l->max_turns,
			number},
		{"money", "spent", before->usd_micro, after->usd_micro, l->notice_usd_micro,
			l->max_usd_micro, dollars},
		{"time", "used", before->ms, after->ms, l->notice_ms, l->max_ms, minutes},
	};
	enum line most = LINE_NONE;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		enum line line =
			line_of(lines[i].before, lines[i].after, lines[i].soft, lines[i].max);
		if (line == LINE_NONE)
			continue;
		json_object_set_new(data, lines[i].name,
			json_pack("{s:o,s:o}", lines[i].used_as, lines[i].show(lines[i].after),
				"max", lines[i].show(lines[i].max)));
		most = line > most ? line : most;
	}
	if (most != LINE_NONE)
		json_object_set_new(data, most == LINE_LAST ? "last" : "ending", json_true());
	return most != LINE_NONE;
}
