/*
 * Replayed answers. Signatures hold the hash of the prefix they were made for and of the thinking
 * text, so that they can be checked without memory; whole messages are found by a tool call's id,
 * or by the messages before them. Called by anthropic.c.
 */
#define _GNU_SOURCE
#include "tests/standin/history.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "tests/standin/canon.h"
#include "tests/standin/world.h"

static const char sign_key[] = "stand-in signature key";
static json_t *by_id;     /* tool call id or signature: {before, content, bare, model} */
static json_t *by_before; /* hash of the messages before: [content, …] */
static _Thread_local char problem[640];

struct signature {
	unsigned char prefix[SHA256_LEN], thinking[SHA256_LEN], mac[SHA256_LEN];
};

/* ---- hashes of what came before a message ---- */

static void chain(char hash[SHA256_HEX_LEN + 1], const char *part)
{
	autofree char *all = xasprintf("%s|%s", hash, part);
	crypto_sha256_hex(all, strlen(all), hash);
}

static void chain_message(char hash[SHA256_HEX_LEN + 1], const json_t *message)
{
	chain(hash, jstr(message, "role", ""));
	autofree char *content = canon_value_text(json_object_get(message, "content"), 0);
	chain(hash, content);
}

static void chain_start(char hash[SHA256_HEX_LEN + 1], const json_t *request)
{
	hash[0] = '\0';
	autofree char *tools = canon_value_text(json_object_get(request, "tools"), 0);
	autofree char *system = canon_value_text(json_object_get(request, "system"), 0);
	chain(hash, tools);
	chain(hash, system);
}

/* ---- signatures ---- */

static void seal(struct signature *s, const char *prefix, const char *thinking)
{
	crypto_sha256(prefix, strlen(prefix), s->prefix);
	crypto_sha256(thinking, strlen(thinking), s->thinking);
	crypto_hmac_sha256(sign_key, strlen(sign_key), s, offsetof(struct signature, mac), s->mac);
}

static bool unseal(const char *text, struct signature *ret)
{
	unsigned char raw[sizeof(*ret) + 4];
	if (strlen(text) != sizeof(*ret) / 3 * 4 ||
		EVP_DecodeBlock(raw, (const unsigned char *)text, (int)strlen(text)) !=
			(int)sizeof(*ret))
		return false;
	memcpy(ret, raw, sizeof(*ret));
	unsigned char mac[SHA256_LEN];
	crypto_hmac_sha256(sign_key, strlen(sign_key), ret, offsetof(struct signature, mac), mac);
	return crypto_equal(mac, sizeof(mac), ret->mac, sizeof(ret->mac));
}

char *history_sign(const json_t *request, const char *thinking)
{
	char prefix[SHA256_HEX_LEN + 1];
	chain_start(prefix, request);
	size_t i;
	json_t *message;
	json_array_foreach (json_object_get(request, "messages"), i, message)
		chain_message(prefix, message);
	struct signature s;
	seal(&s, prefix, thinking);
	unsigned char text[sizeof(s) / 3 * 4 + 1];
	EVP_EncodeBlock(text, (unsigned char *)&s, sizeof(s));
	return xstrdup((char *)text);
}

static const char *complain(size_t message, size_t block, const char *words)
{
	snprintf(problem, sizeof(problem), "messages.%zu.content.%zu: %s", message, block, words);
	return problem;
}

static const char *check_thinking(
	const json_t *block, const char *prefix, bool bound, size_t message, size_t at)
{
	struct signature given, right;
	const char *type = jstr(block, "type", "");
	if (strcmp(type, "thinking") != 0)
		return NULL;
	if (!unseal(jstr(block, "signature", ""), &given))
		return complain(message, at, "Invalid `signature` in `thinking` block");
	seal(&right, prefix, jstr(block, "thinking", ""));
	if (memcmp(given.thinking, right.thinking, SHA256_LEN) != 0)
		return complain(message, at,
			"`thinking` or `redacted_thinking` blocks in the latest assistant "
			"message cannot be modified. These blocks must remain as they were in "
			"the original response.");
	if (bound && memcmp(given.prefix, right.prefix, SHA256_LEN) != 0)
		return complain(message, at,
			"Invalid `signature` in `thinking` block. The block is bound to a "
			"different conversation: the system prompt, tools and all earlier messages "
			"must be the same as when it was created.");
	return NULL;
}

/* ---- whole messages ---- */

static const char *block_id(const json_t *block)
{
	const char *id = jstr(block, "signature", NULL);
	return id ? id : jstr(block, "id", NULL);
}

static json_t *record_of(const json_t *content)
{
	size_t i;
	json_t *block;
	json_array_foreach (content, i, block) {
		json_t *found = block_id(block) ? json_object_get(by_id, block_id(block)) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

static bool one_of(const json_t *list, const char *text)
{
	size_t i;
	json_t *v;
	json_array_foreach (list, i, v) {
		if (strcmp(json_string_value(v), text) == 0)
			return true;
	}
	return false;
}

static const char *check_answer(
	const json_t *content, const char *before, const char *model, size_t at)
{
	autofree char *text = canon_value_text(content, 0);
	const json_t *record = record_of(content);
	const json_t *others = record ? NULL : json_object_get(by_before, before);
	if (record && strcmp(jstr(record, "before", ""), before) != 0)
		return complain(at, 0,
			"a message before this answer is not what it was when the answer "
			"was given; history is append-only");
	bool moved = record && strcmp(jstr(record, "model", ""), model) != 0;
	autofree char *bare = canon_value_text(content, 1);
	bool same = record ? strcmp(jstr(record, "content", ""), text) == 0 ||
				     (moved && strcmp(jstr(record, "bare", ""), bare) == 0)
			   : !others || one_of(others, text);
	return same ? NULL
		    : complain(at, 0,
			      "this assistant message is not what was answered; content blocks "
			      "must be passed back unchanged and in order");
}

const char *history_problem(const json_t *request, const struct model *model, bool drop_unbound)
{
	char whole[SHA256_HEX_LEN + 1], before[SHA256_HEX_LEN + 1] = "";
	chain_start(whole, request);
	bool bound = (model->flags & MODEL_PRESERVED) && !drop_unbound;
	size_t i, j;
	json_t *message, *block;
	const char *bad = NULL;
	json_array_foreach (json_object_get(request, "messages"), i, message) {
		const json_t *content = json_object_get(message, "content");
		bool answer = strcmp(jstr(message, "role", ""), "assistant") == 0;
		json_array_foreach (content, j, block) {
			if (answer && !bad)
				bad = check_thinking(block, whole, bound, i, j);
		}
		if (answer && !bad)
			bad = check_answer(content, before, jstr(request, "model", ""), i);
		if (bad)
			return bad;
		chain_message(whole, message);
		chain_message(before, message);
	}
	return NULL;
}

void history_remember(const json_t *request, const json_t *content)
{
	if (!by_id) {
		by_id = json_object();
		by_before = json_object();
	}
	char before[SHA256_HEX_LEN + 1] = "";
	size_t i;
	json_t *part;
	json_array_foreach (json_object_get(request, "messages"), i, part)
		chain_message(before, part);
	autofree char *text = canon_value_text(content, 0);
	autofree char *bare = canon_value_text(content, 1);
	json_t *record = json_pack("{s:s, s:s, s:s, s:s}", "before", before, "content", text,
		"bare", bare, "model", jstr(request, "model", ""));
	json_array_foreach (content, i, part) {
		if (block_id(part))
			json_object_set(by_id, block_id(part), record);
	}
	json_decref(record);
	if (!json_object_get(by_before, before))
		json_object_set_new(by_before, before, json_array());
	json_array_append_new(json_object_get(by_before, before), json_string(text));
}

void history_clear(void)
{
	json_decref(by_id);
	json_decref(by_before);
	by_id = by_before = NULL;
}
