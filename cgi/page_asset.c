/* Names static files by their content. Called by page.c. */
#include "cgi/page_asset.h"

#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/mem.h"

#define ASSETS_MAX 8
#define ASSET_BYTES_MAX (1 << 20)
#define HASH_CHARS 12

struct asset {
	char name[32];
	char url[80];
};

static struct asset assets[ASSETS_MAX];

static void read_asset(const struct settings *set, const char *name, struct asset *ret)
{
	AUTO(buf_release) struct buf text = BUF(ASSET_BYTES_MAX);
	autofree char *relative = xasprintf("static/%s", name);
	autofree char *path = settings_share_path(set, relative);
	char hash[SHA256_HEX_LEN + 1];
	snprintf(ret->name, sizeof ret->name, "%s", name);
	snprintf(ret->url, sizeof ret->url, "/static/%s", name);
	if (buf_read_file(&text, path))
		return;
	crypto_sha256_hex(text.data, text.len, hash);
	snprintf(ret->url, sizeof ret->url, "/static/%s?v=%.*s", name, HASH_CHARS, hash);
}

json_t *page_asset_url(const struct settings *set, const char *name)
{
	for (size_t i = 0; i < ASSETS_MAX; i++) {
		if (!assets[i].name[0])
			read_asset(set, name, &assets[i]);
		if (strcmp(assets[i].name, name) == 0)
			return json_string(assets[i].url);
	}
	return json_sprintf("/static/%s", name);
}
