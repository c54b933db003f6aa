/*
 * Checks of a work tree: one table (check.c) with, for each check, when it applies and how it runs.
 * A new check is a row there and a function that fills an outcome. Findings are told apart from
 * those of the base tree (baseline.h); only new ones fail a run. Errors are sorted into categories
 * (classify.c), whose hints are templates/hints/.
 */
#ifndef AIRUNNER_CHECK_H
#define AIRUNNER_CHECK_H

#include <jansson.h>

#include "worker/check/parse.h"
#include "worker/check/sandbox.h"

enum error_category { /* the seed's eight, and unknown */
	CATEGORY_MISSING_EXPORT,
	CATEGORY_TAILWIND_INVALID_CLASS,
	CATEGORY_IMPORT_RESOLUTION,
	CATEGORY_TYPE_ERROR,
	CATEGORY_REACT_HOOK_ERROR,
	CATEGORY_UNDEFINED_VARIABLE,
	CATEGORY_MISSING_DEPENDENCY,
	CATEGORY_SYNTAX_ERROR,
	CATEGORY_UNKNOWN,
	CATEGORY__MAX
};

/** By the tool's own code (TS2305 …) first, by words second. Both may be NULL. */
enum error_category classify(const char *code, const char *message);
const char *error_category_name(enum error_category category);

/** What is checked: a tree as it lies on disk. */
struct check_target {
	const struct settings *set;
	struct sandbox *sandbox;
	const char *tree;      /* absolute path */
	const json_t *package; /* package.json, NULL when there is none */
	const json_t *
		changed; /* array of paths that differ from the base; for checks of changed files */
	http_alive_fn alive;
	void *alive_arg;
};

struct check_outcome {
	bool ran;
	const char *skipped; /* why not; static text, NULL when it ran */
	bool timed_out;      /* there is also a finding with code "timeout" then */
	int64_t ms;
	json_t *findings;          /* owned array, see finding.h */
	struct buf log;            /* all that the tool printed, clean */
	char command[64];          /* for people: "npm run test:quick"; "" for checks of ours */
	struct test_counts counts; /* tests only */
};

enum check_scope { SCOPE_TREE, SCOPE_CHANGED /* only the changed files are looked at */ };

struct check {
	const char *name;  /* at most 32 bytes: events, rows, findings */
	const char *label; /* for people */
	enum check_scope scope;
	enum setting timeout;     /* its time limit in seconds; S__MAX: none of its own */
	const char *timeout_name; /* as people set it; NULL: none */
	bool only_when_clean;     /* left out after new findings: dear, and it would repeat them */
	/** NULL when it applies, else why not (static text). */
	const char *(*skip)(const struct check_target *target);
	err_t (*run)(const struct check_target *target, const struct check *check,
		struct check_outcome *outcome);
};

/** The checks in their order; the last of all is the test, which the step verify leaves out. */
extern const struct check checks[];
extern const size_t check_count;
extern const struct check test_check;

/**
 * Runs one check. A tool's failure is a finding, never an error.
 * @return ERR_SANDBOX, what alive returned. ret_outcome is to be released in every case
 */
err_t check_run(const struct check *check, const struct check_target *target,
	struct check_outcome *ret_outcome);
void check_outcome_release(struct check_outcome *outcome);

/** For the checks' own files: a command in the sandbox; its clean output goes to outcome->log. */
struct check_command {
	const char *const *argv;
	const char *const *env; /* may be NULL */
	size_t max_output;      /* 0: 2 MiB */
	const char *write_dir;  /* a folder beside the tree that it may write; may be NULL */
};
err_t check_command(const struct check_target *target, const struct check *check,
	const struct check_command *command, struct check_outcome *outcome, int *ret_exit);

/** Script and time limit of the tests: test:quick before test; NULL when there is none. */
const char *test_script(const json_t *package, enum setting *ret_timeout);
const char *test_skip(const struct check_target *target);
err_t test_run(const struct check_target *target, const struct check *check,
	struct check_outcome *outcome);

#endif
