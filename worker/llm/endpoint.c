/* Address and authentication of a provider. Called by worker/llm/llm.c and call.c. */
#include "worker/llm/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

static const struct {
	const char *name, *header, *before;
} auths[AUTH__MAX] = {
	[AUTH_X_API_KEY] = {"x-api-key", "x-api-key", ""},
	[AUTH_BEARER] = {"bearer", "authorization", "Bearer "},
	[AUTH_API_KEY] = {"api-key", "api-key", ""},
	[AUTH_NONE] = {"none", NULL, ""},
};

/* The providers that have settings; other rows of models.json say all themselves. */
static const struct {
	const char *name, *usual_api;
	enum setting base_url, path, api, auth, key;
} providers[] = {
	{"anthropic", "messages", S_ANTHROPIC_BASE_URL, S_AIRUNNER_ANTHROPIC_PATH, S__MAX,
		S_AIRUNNER_ANTHROPIC_AUTH, S_ANTHROPIC_API_KEY},
	{"openai", "responses", S_OPENAI_BASE_URL, S_AIRUNNER_OPENAI_PATH, S_AIRUNNER_OPENAI_API,
		S_AIRUNNER_OPENAI_AUTH, S_OPENAI_API_KEY},
};

static const struct {
	const char *api, *path;
} paths[] = {
	{"messages", "/v1/messages"}, {"responses", "/responses"}, {"chat", "/chat/completions"}};

static const char *said(const struct settings *set, enum setting name, const char *otherwise)
{
	const char *s = name == S__MAX ? "" : settings_str(set, name);
	return *s ? s : otherwise;
}

static const char *default_path(const char *api)
{
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (strcmp(paths[i].api, api) == 0)
			return paths[i].path;
	return NULL;
}

/* The address with or without slashes at its end, and /v1 where the path has it; one without any
 * path gets /v1 before a usual path. */
static char *join(const char *base_url, const char *path, const char *usual)
{
	autofree char *base = xstrdup(base_url);
	size_t len = strlen(base);
	while (len > 0 && base[len - 1] == '/')
		base[--len] = '\0';
	bool has_v1 = text_starts(*path ? path : usual, "/v1/");
	if (has_v1 && text_ends(base, "/v1"))
		base[len - 3] = '\0';
	const char *host = strstr(base, "://");
	bool is_bare = !*path && !has_v1 && !strchr(host ? host + 3 : base, '/');
	return xasprintf("%s%s%s", base, is_bare ? "/v1" : "", *path ? path : usual);
}

static err_t read_auth(const char *name, const char *provider, enum endpoint_auth *ret)
{
	for (int i = 0; i < AUTH__MAX; i++) {
		if (!text_ieq(name, auths[i].name))
			continue;
		*ret = (enum endpoint_auth)i;
		return NULL;
	}
	return err_new(ERR_CONFIG,
		"provider %s: authentication \"%s\" is not x-api-key, bearer, api-key or none",
		provider, name);
}

/* A row of models.json gets no key unless it names the provider whose key it takes. */
static const char *key_of(const struct settings *set, const char *provider)
{
	for (size_t i = 0; i < ARRAY_LEN(providers); i++)
		if (strcmp(provider, providers[i].name) == 0)
			return settings_str(set, providers[i].key);
	return "";
}

err_t endpoint_of(
	const struct settings *set, const struct profile *profile, struct endpoint *ret_endpoint)
{
	struct endpoint at = {.key = key_of(set, profile->key)};
	const char *base = profile->base_url, *path = profile->path, *api = profile->api;
	const char *auth = profile->auth;
	for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
		if (strcmp(providers[i].name, profile->provider) != 0)
			continue;
		base = settings_str(set, providers[i].base_url);
		path = said(set, providers[i].path, path);
		api = said(set, providers[i].api, *api ? api : providers[i].usual_api);
		auth = said(set, providers[i].auth, auth);
		at.key = settings_str(set, providers[i].key);
	}
	const char *usual = default_path(api);
	if (!usual)
		return err_new(ERR_CONFIG,
			"provider %s: interface \"%s\" is not messages, responses or chat",
			profile->provider, api);
	if (!*base)
		return err_new(ERR_CONFIG, "provider %s: no \"base_url\" (models.json)",
			profile->provider);
	ERR_TRY(read_auth(*auth ? auth : "none", profile->provider, &at.auth));
	snprintf(at.service, sizeof at.service, "%s", profile->provider);
	snprintf(at.api, sizeof at.api, "%s", api);
	at.url = join(base, path, usual);
	*ret_endpoint = at;
	return NULL;
}

void endpoint_release(struct endpoint *endpoint)
{
	free(endpoint->url);
	*endpoint = (struct endpoint){0};
}

bool endpoint_is_usable(const struct endpoint *endpoint)
{
	return endpoint->auth == AUTH_NONE || *endpoint->key;
}

const char *endpoint_header(const struct endpoint *endpoint, const char **ret_before)
{
	*ret_before = auths[endpoint->auth].before;
	return auths[endpoint->auth].header;
}
