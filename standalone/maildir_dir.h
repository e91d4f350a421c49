/*
 * The directories new and cur of a Maildir, and the files in them, opened so
 * that nothing but a regular file is ever followed, waited for or read.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_DIR_H
#define PK_MAILDIR_DIR_H

#include <sys/stat.h>

#include <stdbool.h>
#include <stddef.h>

#include "standalone/index.h"
#include "standalone/maildir.h"

/* "new" or "cur". */
const char *pk_dir_name(enum pk_maildir_dir dir);

/*
 * What tells whether new and cur have changed.  nfs: ask the server, not a
 * cache.  -1 and errno: *bad_r is neither there nor a directory.
 */
int pk_dir_stamps(int dirfd, bool nfs, struct pk_index_stamp stamps_r[PK_DIRS],
    enum pk_maildir_dir *bad_r);

bool pk_dir_stamps_equal(const struct pk_index_stamp a[PK_DIRS],
    const struct pk_index_stamp b[PK_DIRS]);

/* Open new or cur, or -1 and errno. */
int pk_dir_open(int dirfd, enum pk_maildir_dir dir);

/*
 * Make the entries of a directory durable.  -1 and errno.  A file system that
 * has no such thing (EINVAL, ENOSYS...) is taken as it is.
 */
int pk_dir_sync(int fd);

/*
 * Called for a name that does not begin with "." and is not known to be
 * something else than a regular file; sure: it is known to be one.
 * Anything but PK_MAILDIR_OK ends the reading.
 */
typedef enum pk_maildir_status pk_dir_visit(void *ctx, enum pk_maildir_dir dir,
    const char *name, size_t len, bool sure);

/*
 * Read all of new or cur.  *irregular_r grows by the number of entries that
 * are no files.  On a failure why says what it was.
 */
enum pk_maildir_status pk_dir_read(int dirfd, enum pk_maildir_dir dir,
    pk_dir_visit *visit, void *ctx, uint32_t *irregular_r,
    char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

/*
 * Open a message for reading and say what it is.  -1 and errno; ELOOP, ENXIO:
 * it is not a regular file.
 */
int pk_dir_open_message(int fd, const char *name, struct stat *st_r);

#endif
