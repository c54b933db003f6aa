/*
 * The tools of the agent: one table (tools.c) with name, description, schema, function and whether
 * a call may change files. A tool answers in text; what it cannot do is an answer too (is_error).
 * Only what ends the run (fence, cancellation, no sandbox) is returned as an error.
 */
#ifndef AIRUNNER_TOOLS_H
#define AIRUNNER_TOOLS_H

#include "worker/llm/llm.h"
#include "worker/run.h"

/** What tools work on. */
struct tool_env {
	struct run_ctx *ctx;
	int root_fd;   /* the work tree's top */
	int output_fd; /* kept outputs, read as TOOL_OUTPUT_DIR/… */
};

/** Where commands see the outputs that were too long to be shown; view and grep take it too. */
#define TOOL_OUTPUT_DIR "/output"

/** The folder that a path to be read lies below; *path becomes relative to it. */
int tool_folder(const struct tool_env *env, const char **path);

struct tool_result {
	struct buf text; /* as it came: not yet cleaned, redacted, cut */
	bool is_error;
};

typedef err_t (*tool_fn)(struct tool_env *env, const json_t *input, struct tool_result *result);

enum tool_end { TOOL_GOES_ON, TOOL_FINISH, TOOL_ASK };

struct tool {
	struct llm_tool def;
	tool_fn run;
	bool may_change;   /* files of the work tree */
	unsigned formats;  /* bits of the edit formats (profile.h) it is offered for; 0: all */
	enum tool_end end; /* a successful call ends the work */
};

const struct tool *tools_all(size_t *ret_count);
const struct tool *tool_find(const char *name); /* NULL when unknown */

/** The definitions for a model of this edit format, in the table's order; freed by the caller
 * (free()). */
struct llm_tool *tools_definitions(enum edit_format format, size_t *ret_count);

/* The functions of the table; one file for files, one for grep, one for commands. */
err_t tool_view(struct tool_env *env, const json_t *input, struct tool_result *result);
err_t tool_str_replace(struct tool_env *env, const json_t *input, struct tool_result *result);
err_t tool_create(struct tool_env *env, const json_t *input, struct tool_result *result);
err_t tool_patch(struct tool_env *env, const json_t *input, struct tool_result *result);
err_t tool_grep(struct tool_env *env, const json_t *input, struct tool_result *result);
err_t tool_bash(struct tool_env *env, const json_t *input, struct tool_result *result);

/**
 * A string member of a tool's input. Missing or of another type: NULL, and the result says so. A
 * string with a NUL inside counts as wrong.
 */
const char *tool_arg(const json_t *input, const char *name, struct tool_result *result);
bool tool_has(const json_t *input, const char *name);

/** Puts words into the result as an error. */
void tool_fail(struct tool_result *result, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
