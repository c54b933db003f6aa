/*
 * The physical reference of the agent benchmark: a bare libcurl loop with the same tools' worth of
 * work. It streams an answer, appends it and a tool result to the conversation, sends again until
 * the answer asks for no tool. No database, no limits, no log. Called by tests/bench/agent.mjs:
 *   loop URL FILE ISSUE   FILE is read as every turn's tool result; prints processor ms and peak kB
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/buf.h"
#include "lib/mem.h"

#define BODY_MAX (64 << 20)

struct answer {
	struct buf line, text, input;
	char id[64], name[64];
};

static void event(struct answer *a, const char *data)
{
	json_auto_t *json = json_loads(data, 0, NULL);
	json_t *block = json_object_get(json, "content_block");
	json_t *delta = json_object_get(json, "delta");
	const char *id = json_string_value(json_object_get(block, "id"));
	const char *text = json_string_value(json_object_get(delta, "text"));
	const char *part = json_string_value(json_object_get(delta, "partial_json"));
	if (id) {
		snprintf(a->id, sizeof a->id, "%s", id);
		snprintf(a->name, sizeof a->name, "%s",
			json_string_value(json_object_get(block, "name")));
	}
	if (text)
		buf_adds(&a->text, text);
	if (part)
		buf_adds(&a->input, part);
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	struct answer *a = user;
	for (size_t i = 0; i < size * count; i++) {
		if (data[i] != '\n') {
			buf_add(&a->line, data + i, 1);
			continue;
		}
		if (a->line.len > 6 && memcmp(a->line.data, "data: ", 6) == 0)
			event(a, a->line.data + 6);
		buf_reset(&a->line);
	}
	return size * count;
}

static void add_string(struct buf *out, const char *text)
{
	json_auto_t *string = json_string(text);
	char *dump = json_dumps(string, JSON_ENCODE_ANY);
	buf_adds(out, dump ? dump : "\"\"");
	free(dump);
}

static void add_turn(struct buf *body, const struct answer *a, const char *result)
{
	buf_adds(body, ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":");
	add_string(body, a->id);
	buf_adds(body, ",\"name\":");
	add_string(body, a->name);
	buf_adds(body, ",\"input\":");
	buf_adds(body, a->input.len ? a->input.data : "{}");
	buf_adds(body,
		"}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":");
	add_string(body, a->id);
	buf_adds(body, ",\"content\":");
	add_string(body, result);
	buf_adds(body, "}]}");
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = xcalloc(1, 1 << 16);
	if (!f || fread(text, 1, (1 << 16) - 1, f) == 0)
		exit(1);
	fclose(f);
	return text;
}

static bool turn(CURL *curl, struct buf *body, const char *file)
{
	struct answer a = {.line = BUF(BODY_MAX), .text = BUF(BODY_MAX), .input = BUF(BODY_MAX)};
	size_t open = body->len;
	buf_adds(body, "]}");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	if (curl_easy_perform(curl) != CURLE_OK)
		exit(1);
	buf_truncate(body, open);
	bool goes_on = a.id[0] && strcmp(a.name, "finish") != 0;
	if (goes_on) {
		autofree char *result = read_file(file);
		add_turn(body, &a, result);
	}
	buf_release(&a.line);
	buf_release(&a.text);
	buf_release(&a.input);
	return goes_on;
}

/* Not ru_maxrss: that of the parent before exec counts in it. */
static long peak_kb(void)
{
	char line[256];
	long kb = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %ld", &kb) != 1)
		;
	if (f)
		fclose(f);
	return kb;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "content-type: application/json");
	headers = curl_slist_append(headers, "anthropic-version: 2023-06-01");
	headers = curl_slist_append(headers, "x-api-key: bench");
	headers = curl_slist_append(headers, "expect:");
	curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	struct buf body = BUF(BODY_MAX);
	buf_adds(&body, "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":4096,\"stream\":true,"
			"\"messages\":[{\"role\":\"user\",\"content\":");
	add_string(&body, argv[3]);
	buf_adds(&body, "}");
	while (turn(curl, &body, argv[2]))
		;
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	printf("%.1f %ld\n",
		(double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
			(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3,
		peak_kb());
	buf_release(&body);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	curl_global_cleanup();
	return 0;
}
