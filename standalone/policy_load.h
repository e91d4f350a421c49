/*
 * Reading the policy's files: policy.conf, then policy.d/NAME.conf beside it in
 * lexical order.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_LOAD_H
#define PK_POLICY_LOAD_H

#include "engine/policy_file.h"

#define PK_POLICY_FILE	SYSCONFDIR "/popkeep/policy.conf"
#define PK_POLICY_D	"policy.d"

/* Octets of one file, and files, at most. */
#define PK_POLICY_FILE_MAX	(16 * 1024 * 1024)
#define PK_POLICY_FILES_MAX	4096

/*
 * Read and parse the policy whose main file is path.  dirfd: its directory, as
 * it was opened while that was permitted; -1: it is opened now.  NULL: every
 * error was said, a line each.  Warnings are said by warn.
 */
struct pk_policy *pk_policy_load(int dirfd, const char *path, int64_t now,
    pk_policy_say *error, pk_policy_say *warn, void *arg) PK_WARN_UNUSED;

/*
 * The same as it would be if the file policy.d/name had this text, whether it
 * is there or not; text NULL: if it were not there.
 */
struct pk_policy *pk_policy_load_changed(int dirfd, const char *path,
    const char *name, const char *text, int64_t now, pk_policy_say *error,
    pk_policy_say *warn, void *arg) PK_WARN_UNUSED;

/*
 * All octets of a regular file of at most PK_POLICY_FILE_MAX, with a NUL behind
 * them, to be freed.  NULL: *why_r is why, perhaps strerror(3)'s text.
 */
char *pk_policy_read_file(int dirfd, const char *name, size_t *len_r,
    const char **why_r) PK_WARN_UNUSED;

/* Who says lines: to the FILE that arg is, or nowhere. */
void pk_policy_say_to(void *arg, const char *line);
void pk_policy_say_nothing(void *arg, const char *line);

/* Write text as a policy file has it: in quotes, and the same when read. */
void pk_policy_put_quoted(FILE *f, const char *text);

/* Open the directory of path for pk_policy_load().  -1 and errno. */
int pk_policy_open_dir(const char *path) PK_WARN_UNUSED;

#endif
