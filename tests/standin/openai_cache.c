/* OpenAI's prompt cache. Called by openai_responses.c; keeps entries in memory only. */
#define _GNU_SOURCE
#include "tests/standin/openai_cache.h"

#include <jansson.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/mem.h"

#define TOKEN_BYTES 4
#define PIECE 128
#define LEAST 1024
#define LIVES_MS 1800000

static json_t *entries; /* hash of a prompt's beginning: when it expires */

void openai_cache_use(const char *model, const char *prompt, int64_t now_ms, int64_t *ret_read,
	int64_t *ret_written)
{
	size_t piece = (size_t)PIECE * TOKEN_BYTES, len = strlen(prompt);
	char hash[SHA256_HEX_LEN + 1] = "";
	int64_t read = 0, whole = 0;
	if (!entries)
		entries = json_object();
	for (size_t end = piece; end <= len; end += piece) {
		autofree char *all =
			xasprintf("%s|%s|%.*s", model, hash, (int)piece, prompt + end - piece);
		crypto_sha256_hex(all, strlen(all), hash);
		int64_t tokens = (int64_t)(end / TOKEN_BYTES);
		if (tokens < LEAST)
			continue;
		if (whole == read && json_integer_value(json_object_get(entries, hash)) > now_ms)
			read = tokens;
		whole = tokens;
		json_object_set_new(entries, hash, json_integer(now_ms + LIVES_MS));
	}
	*ret_read = read;
	*ret_written = whole - read;
}
