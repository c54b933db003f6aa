/*
 * The models, whatever their maker: one request struct, one event stream, one answer. A provider
 * (struct llm_provider) turns texts and tool results into the bytes of its own wire format and its
 * stream into events; what loops, stores, retries and counts knows no provider. Messages are made
 * once and stored as bytes; a request is the prefix and the messages joined, never made anew.
 */
#ifndef AIRUNNER_LLM_H
#define AIRUNNER_LLM_H

#include <jansson.h>

#include "lib/buf.h"
#include "worker/http.h"
#include "worker/llm/endpoint.h"
#include "worker/llm/profile.h"

/** Why an answer ended. */
enum llm_stop {
	LLM_STOP_END,     /* the model has said what it wants to say */
	LLM_STOP_TOOLS,   /* it waits for tool results */
	LLM_STOP_OUTPUT,  /* cut at max_output: its tool calls must not be run */
	LLM_STOP_REFUSAL, /* detail has the reason */
	LLM_STOP_PAUSE,   /* to be sent back as it is */
	LLM_STOP_CONTEXT, /* the conversation no longer fits */
	LLM_STOP__MAX
};

struct llm_tool {
	const char *name;
	const char *description;
	const char *schema; /* JSON Schema, compact text */
};

/** A piece of a user message. Results come first. */
struct llm_part {
	const char *tool_id; /* the call it answers; NULL: plain text */
	const char *text;    /* valid UTF-8, not empty */
	bool is_error;
};

/** A stored message: the provider's bytes. */
struct llm_message {
	const char *data;
	size_t len;
	bool is_user;
	int blocks; /* content blocks in it, for cache marks */
};

/** A tool call of the model's. */
struct llm_call {
	char *id;
	char *name;
	char *raw;     /* input as received, for comparing */
	json_t *input; /* NULL when it was no JSON object */
};

struct llm_calls {
	struct llm_call *items;
	size_t count;
};

void llm_calls_release(struct llm_calls *calls);
void llm_calls_add(struct llm_calls *calls, const char *id, const char *name, const char *raw);

enum llm_event_type { LLM_EVENT_BEGIN, LLM_EVENT_BLOCK, LLM_EVENT_END };

/** What a provider's stream is turned into: a beginning, whole blocks, an end. */
struct llm_event {
	enum llm_event_type type;
	const char *json; /* block: bytes to keep and send back, "" for none */
	const char *text; /* block: text for people, or NULL */
	const char *tool_id, *tool_name, *tool_input; /* block: a tool call, or NULL */
	enum llm_stop stop;                           /* end */
	const char *stop_name;                        /* end: the provider's word */
	const char *detail;                           /* end: words about a refusal, or NULL */
	struct llm_usage usage;                       /* end; begin: as far as known */
};
typedef err_t (*llm_event_fn)(void *arg, const struct llm_event *event);

/** A try that brought no answer. */
struct llm_failure {
	bool is_billed;                /* it may have been: the request was sent, and not refused */
	const struct llm_usage *usage; /* what its stream had begun with; NULL: nothing is known */
	bool again;                    /* another try follows */
};

struct llm_request {
	const char *prefix; /* of llm_prefix() */
	size_t prefix_len;
	const struct llm_message *messages;
	size_t count;
	int64_t max_output; /* 0: LLM_MAX_OUTPUT or what the model takes; read before each try */
	bool must_call;     /* a tool, where the model can be made to (forced_tool_choice) */
	http_alive_fn alive;
	void *alive_arg;
	err_t (*failed)(void *arg, const struct llm_failure *failure); /* may be NULL; an error ends
									  the asking */
	void *failed_arg;
};
#define LLM_MAX_OUTPUT 32000

/** Bytes of the body, rounded up: kept are those before the marks that last an hour. */
void llm_request_bytes(const struct llm_request *request, int64_t *ret_kept, int64_t *ret_rest);

struct llm {
	const struct settings *set;
	const struct llm_provider *provider;
	struct profile profile;
	struct endpoint at;
	enum llm_purpose purpose; /* the caller's to set before llm_prefix() */
	char cache_key[64]; /* the same for a whole conversation; "" for none. The caller's to set
			     */
};

struct llm_provider {
	const char *api; /* the interface's name in models.json */
	const char *answer_open,
		*answer_close; /* around the kept blocks of an answer, joined by commas */
	err_t (*prefix)(const struct llm *llm, const char *system, const struct llm_tool *tools,
		size_t count, struct buf *out);
	void (*user_message)(
		const struct llm_part *parts, size_t count, bool is_first, struct buf *out);
	/* What the provider's word for an answer's end means. */
	enum llm_stop (*stop_of)(const char *stop_name);
	/* Tool calls and number of blocks of a stored message. */
	err_t (*read_message)(
		const char *data, size_t len, struct llm_calls *ret_calls, int *ret_blocks);
	/* One try. Events of a stream that ends with an error are void. */
	err_t (*stream)(const struct llm *llm, const struct llm_request *request, llm_event_fn fn,
		void *arg, struct http_response *ret_response, bool *ret_can_retry);
};

struct llm_answer {
	bool begun;         /* the stream has begun, usage holds what it began with */
	struct buf message; /* to be stored and sent back; empty when nothing is to be kept */
	int blocks;
	struct llm_calls calls;
	struct buf text; /* text for people */
	enum llm_stop stop;
	char stop_name[64];
	char detail[512];
	struct llm_usage usage;
	bool cost_known;
	int64_t cost_usd_micro;
	char request_id[128];
	int64_t latency_ms;
	int tries;
};

/** @return ERR_CONFIG (no such provider, models.json) */
err_t llm_open(const struct settings *set, const char *model, struct llm *ret_llm);
void llm_release(struct llm *llm);

/** Is the model made to call a tool? For providers. */
bool llm_forces_call(const struct llm *llm, const struct llm_request *request);

/** Is its provider configured: a key, or an address that needs none? */
bool llm_is_usable(const struct llm *llm);

/**
 * What stands before the messages: model, thinking, tools, system text. The same bytes for the
 * whole conversation.
 */
err_t llm_prefix(const struct llm *llm, const char *system, const struct llm_tool *tools,
	size_t count, struct buf *out);

/** @param is_first  the conversation's first message (issue and repository): a prefix that stays in
 * the cache */
void llm_user_message(const struct llm *llm, const struct llm_part *parts, size_t count,
	bool is_first, struct buf *out);

/** What a stored stop_name means. */
enum llm_stop llm_stop_of(const struct llm *llm, const char *stop_name);

/** Tool calls and number of content blocks of a stored message. @return ERR_INTERNAL when it is not
 * one */
err_t llm_read_message(const struct llm *llm, const char *data, size_t len,
	struct llm_calls *ret_calls, int *ret_blocks);

/**
 * Asks the model, with the retry policy of worker/http.h (also for errors inside a stream and for
 * streams cut before their end; nothing of those is used).
 * @param ret_answer  to be released in every case
 * A conversation that the service says is too long has an empty answer with LLM_STOP_CONTEXT.
 * @return ERR_OUTSIDE…, ERR_NETWORK, ERR_TIMEOUT, ERR_RATE, ERR_SPENT, ERR_UNAUTHORIZED, what alive
 * returned
 */
err_t llm_ask(
	const struct llm *llm, const struct llm_request *request, struct llm_answer *ret_answer);
void llm_answer_release(struct llm_answer *answer);

#endif
