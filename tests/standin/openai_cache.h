/*
 * The prompt cache as OpenAI has it: without marks, whole pieces of 128 tokens of a prompt's
 * beginning, from 1,024 tokens on, for half an hour after their last use. One token is four bytes.
 */
#ifndef STANDIN_OPENAI_CACHE_H
#define STANDIN_OPENAI_CACHE_H

#include <stdint.h>

/**
 * @param model  models do not share their caches
 * @param prompt  all of it as one text, in the order in which it is sent
 * @param ret_written  what later prompts can read of this one and it could not read itself
 */
void openai_cache_use(const char *model, const char *prompt, int64_t now_ms, int64_t *ret_read,
	int64_t *ret_written);

#endif
