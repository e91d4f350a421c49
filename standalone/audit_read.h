/*
 * The audit log as those see it who only read it: a file and the segments that
 * it had before (audit_segments.h), line by line, as one stream.  Memory is
 * constant, whatever the files hold.
 *
 * A file that is a tar is an evidence bundle (audit_bundle.h), with the
 * segments of one or more logs in it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_READ_H
#define PK_AUDIT_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "standalone/audit_bundle.h"

/* The number in the name of a segment, or 0. */
uint64_t pk_audit_segment_number(const char *name);

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

/* The log, or bundle, whose file is name; "-": standard input.  NULL: errno. */
struct pk_audit_reader *pk_audit_reader_open(const char *name)
    __attribute__((__warn_unused_result__));

bool pk_audit_reader_is_bundle(const struct pk_audit_reader *r);

/*
 * Before anything is read: tell faulty which members of a bundle are not as its
 * MANIFEST has them.
 */
void pk_audit_reader_check(struct pk_audit_reader *r,
    pk_audit_member_faulty *faulty, void *arg);

/*
 * 1: there is a log, the first or the next one, called *name_r for messages;
 * its lines are those that _next() reads now.  0: there is none.  -1 as there.
 */
int pk_audit_reader_log(struct pk_audit_reader *r, const char **name_r)
    __attribute__((__warn_unused_result__));

/* With what record the log begins, by the names in a bundle; else 0. */
uint64_t pk_audit_reader_begins(const struct pk_audit_reader *r);

/*
 * 1: the next line of the log, *at_r, valid until the next call; 0: there is
 * none; -1 and errno: _file() could not be read.
 */
int pk_audit_reader_next(struct pk_audit_reader *r,
    const struct pk_audit_at **at_r) __attribute__((__warn_unused_result__));

/* The file of the last line, or the one that could not be read. */
const char *pk_audit_reader_file(const struct pk_audit_reader *r);

/*
 * The descriptor of the file of the last line, which stays the reader's; -1 in
 * a bundle.
 */
int pk_audit_reader_fd(const struct pk_audit_reader *r);

void pk_audit_reader_close(struct pk_audit_reader **rp);

/* false: read no more; errno says why. */
typedef bool pk_audit_take(void *arg, const struct pk_audit_at *at);

/* strerror(3), of what a reader has left in errno. */
const char *pk_audit_read_error(int error);

/*
 * The same in one call: show every line, of all logs, to take.  0; or -1 and
 * errno, and name_r is the name of what could not be read (the caller frees it;
 * NULL: no memory for it).
 */
int pk_audit_read(const char *name, pk_audit_take *take, void *arg,
    char **name_r) __attribute__((__warn_unused_result__));

/*
 * Is no log among the files twice: by its name, or as a segment of one that is
 * read with it?  false: a line of that command was printed.
 */
bool pk_audit_read_once(const char *command, const char *const *name,
    size_t names);

#endif
