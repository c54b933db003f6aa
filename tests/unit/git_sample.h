/* A scratch folder with a bare remote that holds one commit, for tests of worker/git/. */
#ifndef AIRUNNER_TEST_GIT_SAMPLE_H
#define AIRUNNER_TEST_GIT_SAMPLE_H

#include <git2.h>

#include "lib/settings.h"
#include "worker/git/store.h"

#define SAMPLE_TOKEN "tok-secret-123456"

struct sample_file {
	const char *path; /* of a tree, '/' between parts; sorted within a commit */
	const char *text;
	unsigned mode; /* 0: GIT_FILEMODE_BLOB */
};

struct git_sample {
	char folder[64];
	char *remote_path;
	struct settings *set;
	struct repo_config repo; /* the remote as a local path */
	git_repository *remote;
	char head[OID_HEX + 1]; /* of main */
};

extern const struct sample_file sample_files[]; /* ends with path NULL */
extern const struct git_identity sample_identity;

/** Fails the test with the error's words. */
void no_error(err_t e);

void sample_make(struct git_sample *sample);
void sample_remove(struct git_sample *sample);

/** Commits files on a branch of the remote; parent may be NULL. */
void sample_commit(struct git_sample *sample, const char *branch, const struct sample_file *files,
	const char *parent, char ret_commit[OID_HEX + 1]);

/** Id that a ref of the remote has; "" when there is none. */
void sample_ref(struct git_sample *sample, const char *ref, char ret_id[OID_HEX + 1]);

/** Text of a file in a tree; NULL when it is not there. Freed by the caller. */
char *sample_tree_file(struct store *store, const char *tree, const char *path);

/** Files below a folder: written (parents made), read (NULL: none), whether there is anything. */
void sample_write(const char *folder, const char *path, const char *text);
char *sample_read(const char *folder, const char *path);
bool sample_exists(const char *folder, const char *path);

#endif
