/*
 * airunnerctl: the operator's command line. A table of commands; each is a few lines over lib/.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/db.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/migrate.h"
#include "lib/settings.h"
#include "lib/text.h"
#include "worker/ctl.h"

#define OUTPUT_MAX ((size_t)1 << 20)

err_t ctl_load(const struct call *call, struct settings **ret_set)
{
	ERR_TRY(settings_load(&(struct settings_options){.program = call->program,
				      .env_file = call->env_file,
				      .default_db_user = call->db_user},
		ret_set));
	struct log_options log;
	settings_log_options(*ret_set, "airunnerctl", &log);
	return log_open(&log);
}

err_t ctl_run_id(const struct call *call, int64_t *ret_id)
{
	long long id;
	if (!call->argument || !text_to_i64(call->argument, &id) || id < 1)
		return err_new(ERR_USAGE, "RUN must be the number of a run");
	*ret_id = id;
	return NULL;
}

static err_t db_migrate(const struct call *call)
{
	struct settings *set AUTO(settings_freep) = NULL;
	struct db *db AUTO(db_closep) = NULL;
	int applied = 0;
	ERR_TRY(ctl_load(call, &set));
	ERR_TRY(db_open_patient(set, &db));
	autofree char *folder = settings_share_path(set, "sql/migrate");
	ERR_TRY(migrate_apply(db, folder, &applied));
	printf("%d migrations applied; the schema is up to date\n", applied);
	return NULL;
}

/* As the worker reads them: that is where mistakes hurt. */
static err_t config_check(const struct call *call)
{
	struct settings *set AUTO(settings_freep) = NULL;
	AUTO(buf_release) struct buf out = BUF(OUTPUT_MAX);
	ERR_TRY(ctl_load(call, &set));
	settings_print(set, &out);
	fputs(out.data, stdout);
	return settings_require(set);
}

static err_t config_example(const struct call *call)
{
	(void)call;
	AUTO(buf_release) struct buf out = BUF(OUTPUT_MAX);
	settings_print_example(&out);
	fputs(out.data, stdout);
	return NULL;
}

static err_t config_table(const struct call *call)
{
	(void)call;
	AUTO(buf_release) struct buf out = BUF(OUTPUT_MAX);
	settings_print_markdown(&out);
	fputs(out.data, stdout);
	return NULL;
}

static const struct command {
	const char *group, *verb;
	err_t (*work)(const struct call *call);
	enum program program;
	const char *db_user;
	const char *help;
} commands[] = {
	{"db", "migrate", db_migrate, PROGRAM_CTL, "air_migrate",
		"bring the database's schema up to date"},
	{"config", "check", config_check, PROGRAM_WORKER, "air_worker",
		"print every setting with its source; say what is missing"},
	{"config", "example", config_example, PROGRAM_CTL, "", "print an example env file"},
	{"config", "table", config_table, PROGRAM_CTL, "",
		"print the settings as a Markdown table"},
	{"replay", "RUN", ctl_replay, PROGRAM_WORKER, "air_worker",
		"build a run's files again from its record, turn by turn"},
};

static void print_usage(FILE *to)
{
	fputs("airunnerctl [--env-file FILE] COMMAND\n", to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(to, "  %-6s %-8s  %s\n", commands[i].group, commands[i].verb,
			commands[i].help);
}

/* A verb in capitals stands for an argument. */
static bool takes_argument(const struct command *command)
{
	return *command->verb >= 'A' && *command->verb <= 'Z';
}

static const struct command *find(const char *group, const char *verb)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].group, group) == 0 &&
			(takes_argument(&commands[i]) || strcmp(commands[i].verb, verb) == 0))
			return &commands[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct call call = {0};
	int i = 1;
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "--env-file") == 0) {
		call.env_file = argv[2];
		i = 3;
	}
	const struct command *command = argc == i + 2 ? find(argv[i], argv[i + 1]) : NULL;
	if (!command) {
		print_usage(stderr);
		return 2;
	}
	call.argument = takes_argument(command) ? argv[i + 1] : NULL;
	call.program = command->program;
	call.db_user = command->db_user;
	err_t e = command->work(&call);
	if (!e)
		return 0;
	fprintf(stderr, "airunnerctl: %s\n", err_text(e));
	return err_code(e) == ERR_USAGE ? 2 : 1;
}
