/*
 * The forge: pull requests at GitHub (REST). Writes are called by worker/outbox.c only.
 */
#ifndef AIRUNNER_FORGE_H
#define AIRUNNER_FORGE_H

#include <jansson.h>

#include "lib/settings.h"
#include "worker/repo_config.h"

struct forge;

struct pull_request {
	int64_t number;
	char *url; /* html_url */
	char *title;
	char *body;
	bool draft;
	bool found; /* existed before */
};

/** @return ERR_CONFIG when there is no GH_TOKEN */
err_t forge_open(
	const struct settings *set, const struct repo_config *repo, struct forge **ret_forge);
void forge_close(struct forge *forge);
void pull_request_release(struct pull_request *pr);

/** The open pull request of a head branch; number 0 when there is none. */
err_t forge_find_pull_request(struct forge *forge, const char *head, struct pull_request *ret_pr);

/**
 * Creates it as draft (falls back to a ready one where the plan has no drafts: 422). One that
 * exists already for this head is a result: found is set. Takes at most 20 s.
 * @return ERR_OUTSIDE_FINAL with GitHub's words (no such branch, nothing to compare),
 * ERR_UNAUTHORIZED, ERR_FORBIDDEN …; ERR_NETWORK and ERR_TIMEOUT: nobody knows whether it was
 * created; ERR_OUTSIDE: it was not
 */
err_t forge_create_pull_request(struct forge *forge, const char *head, const char *base,
	const char *title, const char *body, bool draft, struct pull_request *ret_pr);
err_t forge_edit_pull_request(struct forge *forge, int64_t number, const char *title,
	const char *body, struct pull_request *ret_pr);

#endif
