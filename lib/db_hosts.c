/* Which database host is worth a try. Called by lib/db_connect.c. */
#include "lib/db_hosts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define DEFAULT_PORT 3306
#define PENALTY_MS 30000
#define PENALTY_MAX_MS 600000

/* "host:port", "[::1]:port" or "host"; a bare IPv6 address would be cut at its last colon. */
static err_t parse_one(const char *text, size_t len, struct db_host *ret_host)
{
	autofree char *item = xstrndup(text, len);
	char *name = item, *port_text = strrchr(item, ':');
	long long port = DEFAULT_PORT;
	if (*item == '[') {
		char *end = strchr(item, ']');
		if (!end)
			return err_new(ERR_CONFIG, "AIRUNNER_DB_HOSTS: \"%s\" has no ]", item);
		port_text = end[1] == ':' ? end + 1 : NULL;
		*end = '\0';
		name = item + 1;
	}
	if (port_text) {
		*port_text++ = '\0';
		if (!text_to_i64(port_text, &port) || port < 1 || port > 65535)
			return err_new(
				ERR_CONFIG, "AIRUNNER_DB_HOSTS: \"%s\" is no port", port_text);
	}
	if (!*name)
		return err_new(ERR_CONFIG, "AIRUNNER_DB_HOSTS: a host's name is missing");
	*ret_host = (struct db_host){
		.name = xstrdup(name), .label = xstrndup(text, len), .port = (unsigned)port};
	return NULL;
}

err_t db_hosts_parse(const char *list, struct db_hosts *ret_hosts)
{
	AUTO(db_hosts_release) struct db_hosts hosts = {.current = DB_HOST_NONE};
	for (const char *p = list + strspn(list, " ,"); *p; p += strspn(p, " ,")) {
		size_t len = strcspn(p, " ,");
		struct db_host host;
		ERR_TRY(parse_one(p, len, &host));
		hosts.items = xrealloc(hosts.items, (hosts.count + 1) * sizeof *hosts.items);
		hosts.items[hosts.count++] = host;
		p += len;
	}
	*ret_hosts = hosts;
	hosts = (struct db_hosts){0};
	return NULL;
}

void db_hosts_release(struct db_hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		free(hosts->items[i].name);
		free(hosts->items[i].label);
	}
	free(hosts->items);
	*hosts = (struct db_hosts){.current = DB_HOST_NONE};
}

void db_hosts_order(const struct db_hosts *hosts, int64_t now_ms, size_t *ret_order)
{
	size_t n = 0;
	for (int avoided = 0; avoided < 2; avoided++) {
		for (size_t i = 0; i < hosts->count; i++) {
			if ((now_ms < hosts->items[i].avoid_until_ms) == avoided)
				ret_order[n++] = i;
		}
	}
}

void db_hosts_good(struct db_hosts *hosts, size_t i, int64_t now_ms)
{
	hosts->current = i;
	hosts->since_ms = now_ms;
}

void db_hosts_failed(struct db_hosts *hosts, size_t i, int64_t now_ms)
{
	struct db_host *host = &hosts->items[i];
	bool was_good_long = hosts->current == i && now_ms - hosts->since_ms >= PENALTY_MAX_MS;
	if (host->penalty_ms == 0 || was_good_long)
		host->penalty_ms = PENALTY_MS;
	else if (host->penalty_ms < PENALTY_MAX_MS)
		host->penalty_ms = host->penalty_ms * 2 < PENALTY_MAX_MS ? host->penalty_ms * 2
									 : PENALTY_MAX_MS;
	host->avoid_until_ms = now_ms + host->penalty_ms;
	if (hosts->current == i)
		hosts->current = DB_HOST_NONE;
}

size_t db_hosts_better(const struct db_hosts *hosts, int64_t now_ms)
{
	for (size_t i = 0; i < hosts->count && hosts->current != DB_HOST_NONE; i++) {
		if (i == hosts->current)
			return DB_HOST_NONE;
		if (now_ms >= hosts->items[i].avoid_until_ms)
			return i;
	}
	return DB_HOST_NONE;
}
