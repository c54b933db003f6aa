/* Limits of a run and the watch for calls that repeat. Called by the agent loop. */
#include "worker/agent/limits.h"

#include <string.h>

#include "lib/crypto.h"
#include "lib/mem.h"

struct limits limits_from(const struct settings *set)
{
	return (struct limits){.max_turns = settings_int(set, S_AIRUNNER_MAX_TURNS),
		.notice_turns = settings_int(set, S_AIRUNNER_NOTICE_TURNS),
		.max_usd_micro = settings_int(set, S_AIRUNNER_MAX_RUN_USD),
		.notice_usd_micro = settings_int(set, S_AIRUNNER_NOTICE_RUN_USD),
		.max_ms = settings_int(set, S_AIRUNNER_MAX_RUN_S) * 1000};
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

static bool crossed(int64_t before, int64_t after, int64_t line)
{
	return line > 0 && before < line && after >= line;
}

bool limits_money_notice(const struct limits *limits, int64_t before, int64_t after)
{
	return crossed(before, after, limits->notice_usd_micro);
}

static json_t *dollars(int64_t usd_micro)
{
	return json_sprintf("%.2f", (double)usd_micro / 1e6);
}

bool limits_notice(const struct limits *limits, const struct spent *before,
	const struct spent *after, json_t *data)
{
	bool turns = crossed(before->turns, after->turns, limits->notice_turns);
	bool money = limits_money_notice(limits, before->usd_micro, after->usd_micro);
	if (turns)
		json_object_set_new(data, "turns",
			json_pack("{s:I,s:I}", "used", (json_int_t)after->turns, "max",
				(json_int_t)limits->max_turns));
	if (money)
		json_object_set_new(data, "money",
			json_pack("{s:o,s:o}", "spent", dollars(after->usd_micro), "max",
				dollars(limits->max_usd_micro)));
	if (turns || money)
		json_object_set_new(data, "ending", json_true());
	return turns || money;
}

int repeats_note(struct repeats *repeats, const char *tool, const char *input, const char *result)
{
	autofree char *all = xasprintf("%s\n%s\n%s", tool, input, result);
	unsigned char digest[SHA256_LEN];
	crypto_sha256(all, strlen(all), digest);
	for (int i = 0; i < REPEATS_KEPT; i++)
		if (repeats->seen[i].count &&
			memcmp(repeats->seen[i].digest, digest, sizeof digest) == 0)
			return ++repeats->seen[i].count;
	int slot = repeats->next++ % REPEATS_KEPT;
	memcpy(repeats->seen[slot].digest, digest, sizeof digest);
	return repeats->seen[slot].count = 1;
}

void repeats_reset(struct repeats *repeats)
{
	*repeats = (struct repeats){0};
}
