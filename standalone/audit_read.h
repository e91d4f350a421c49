/*
 * The audit log as those see it who only read it: a file and the segments that
 * it had before (audit_segments.h), line by line, as one stream.  Memory is
 * constant, whatever the files hold.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_READ_H
#define PK_AUDIT_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line, and where it stands. */
struct pk_audit_at {
	const char *file;	/* its name, for messages */
	uint64_t number;	/* in its file, from 1 */
	const char *line;	/* with its LF; without: the file ends in it.
				   NULL: it is longer than any record */
	size_t len;
	uint64_t whole;		/* octets of its file in whole lines, up to
				   here */
};

/*
 * A log that is read line by line, older segments first.  What is appended
 * after _open() is not seen, and a log that is rotated meanwhile is read as it
 * was.
 */
struct pk_audit_reader;

/* The log whose file is name; "-": standard input.  NULL: errno. */
struct pk_audit_reader *pk_audit_reader_open(const char *name)
    __attribute__((__warn_unused_result__));

/*
 * 1: the next line, *at_r, valid until the next call; 0: there is none; -1 and
 * errno: _file() could not be read.
 */
int pk_audit_reader_next(struct pk_audit_reader *r,
    const struct pk_audit_at **at_r) __attribute__((__warn_unused_result__));

/* The file of the last line, or the one that could not be read. */
const char *pk_audit_reader_file(const struct pk_audit_reader *r);

/* The descriptor of the file of the last line; it stays the reader's. */
int pk_audit_reader_fd(const struct pk_audit_reader *r);

void pk_audit_reader_close(struct pk_audit_reader **rp);

/* false: read no more; errno says why. */
typedef bool pk_audit_take(void *arg, const struct pk_audit_at *at);

/*
 * The same in one call: show every line to take.  0; or -1 and errno, and name_r
 * is the name of what could not be read (the caller frees it; NULL: no memory
 * for it).
 */
int pk_audit_read(const char *name, pk_audit_take *take, void *arg,
    char **name_r) __attribute__((__warn_unused_result__));

#endif
