/*
 * The watch over a model that does not get on: the same call over and over, the same error, two
 * calls in turn, talk without calls. What is noticed is answered by a ladder, a rung each time: a
 * hint, more effort (or the other model), a restart from the last good state, a person. Pure
 * functions over one struct; it is stored with the conversation (as JSON), so that a run that was
 * killed watches on where it was.
 */
#ifndef AIRUNNER_DISCIPLINE_H
#define AIRUNNER_DISCIPLINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum trouble {
	TROUBLE_NONE,
	TROUBLE_PING_PONG, /* two calls in turn, with the same results each time */
	TROUBLE_REPEAT,    /* the same call with the same result */
	TROUBLE_ERRORS,    /* the same error in a row, whatever the call */
	TROUBLE_MONOLOGUE, /* answers without a call */
	TROUBLE__MAX
};

enum rung { RUNG_NONE, RUNG_HINT, RUNG_EFFORT, RUNG_RESTART, RUNG_PERSON, RUNG__MAX };

/** After so many turns without trouble a hint is forgotten: the next trouble gets one again. */
#define CALM_TURNS 10

#define WATCH_KEPT 12   /* newest calls that are looked at */
#define WATCH_DIGEST 12 /* hexadecimal digits */

struct watched_call {
	char act[WATCH_DIGEST + 1];   /* of tool, input, result and the work tree after it */
	char error[WATCH_DIGEST + 1]; /* of tool and words; empty: no error */
	char before[41];              /* work tree before it */
};

struct watch {
	struct watched_call calls[WATCH_KEPT]; /* oldest first */
	size_t count;
	int silent; /* answers in a row without a call */
	enum rung rung;
	int calm;      /* turns since the last trouble */
	char good[41]; /* work tree before the first trouble; empty: none yet */
};

/** One tool call as it ended. Numbers in the result do not count: times and sizes vary. */
struct watch_event {
	const char *tool, *input, *result;
	const char *before, *after; /* work trees */
	bool is_error;
};

void watch_call(struct watch *watch, const struct watch_event *event);
void watch_silence(struct watch *watch);

/**
 * Once a turn, after its calls: is there trouble, and what is done about it? The calls are
 * forgotten then, so that the next rung needs as many again.
 * @param ret_rung  the rung that was stepped on
 */
enum trouble watch_turn(struct watch *watch, enum rung *ret_rung);

/** The calls seen and the silences begin anew; the rung and the good tree stay. */
void watch_forget(struct watch *watch);

/** "repeats the same call with the same result" … */
const char *trouble_words(enum trouble trouble);
const char *trouble_name(enum trouble trouble); /* "repeat" …, for events */
const char *rung_name(enum rung rung);          /* "hint" … */

json_t *watch_json(const struct watch *watch);
/** Anything that is not of watch_json() leaves an empty watch. */
void watch_read(const json_t *json, struct watch *ret_watch);

/** Does a shell command run a check or a test, by its words? */
bool command_checks(const char *command);

#endif
