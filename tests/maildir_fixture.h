/*
 * A private Maildir for each test, and system calls that fail on demand or
 * let another program act in the middle of ours.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_MAILDIR_FIXTURE_H
#define PK_TESTS_MAILDIR_FIXTURE_H

#include "standalone/index.h"
#include "standalone/maildir.h"
#include "tests/harness.h"

/* How a process exits that crashes on demand. */
#define CRASHED	77

/* Make and remove the Maildir; cmocka's setup and teardown. */
int box_setup(void **state);
int box_teardown(void **state);

/* Its path, its descriptor, and what the last opening said. */
extern char box[64];
extern int boxfd;
extern char why[PK_MAILDIR_WHY];
extern struct pk_maildir_settings settings;

/* Files, named below the Maildir ("cur/1.a:2,S"). */
void box_put(const char *name, const char *text);
void box_put_octets(const char *name, const void *data, size_t len);
void box_rename(const char *from, const char *to);
void box_remove(const char *name);
bool box_has(const char *name);

/*
 * The Maildir, empty again, on a file system in memory; false: that may not be.
 * box_unmount(): not any more, and nothing of it is open.
 */
bool box_mount(const char *options);
void box_unmount(void);

/* Fill the file system to the last octet: the file "filler". */
void box_fill_disk(void);

/* Make new and cur look as if they had been left alone for an hour. */
void box_settle(void);

/* Open; the second form expects no success. */
struct pk_maildrop *box_open(void);
void box_open_fails(enum pk_maildir_status status, const char *reason);

/* Open and close, so that the index is written. */
void box_visit(void);

/* Load the index, which must be sound; and write it back. */
struct pk_index box_load(void);
void box_save(struct pk_index *ix);

/* What the open maildrop says of a message. */
uint64_t octets_of(struct pk_maildrop *md, uint32_t msgno);
const char *uid_of(struct pk_maildrop *md, uint32_t msgno);

/* The message as text; NULL if it cannot be opened (*err_r says why). */
const char *text_of(struct pk_maildrop *md, uint32_t msgno,
    enum pk_err *err_r);

/*
 * Carry out a plan with a folder ("": none); outcomes has what came of it.
 */
uint32_t update(struct pk_maildrop *md, const uint8_t *plan,
    const char *folder);
extern uint8_t outcomes[512];

/* Dispose of the messages with these numbers (0 ends them). */
uint32_t dispose(struct pk_maildrop *md, const uint32_t *msgnos);

/*
 * The wrapped system calls, all reset by box_setup().  hook runs before a
 * call on that name (NULL: any); after hook_skip such calls; once.  fail_errno
 * makes calls on that name fail.  hidden is left out by readdir() for so
 * many readings.
 *
 * Letters of trace: r renameat2, l linkat, u unlinkat, m mkdirat, w write, f
 * fsync of a file, o of new and cur of the maildrop, d of other directories.
 */
enum call { CALL_NONE, CALL_OPENAT, CALL_FSTATAT, CALL_UNLINKAT, CALL_FSYNC,
    CALL_READ, CALL_READDIR, CALL_RENAMEAT2, CALL_LINKAT, CALL_MKDIRAT,
    CALL_WRITE, CALL_PREAD, CALL_PWRITE };
struct calls {
	enum call hook_call;
	const char *hook_name;
	unsigned hook_skip;
	void (*hook)(void);
	enum call fail_call;
	const char *fail_name;
	int fail_errno;
	/*
	 * Every call is a step while stepping is set.  Step number at (from 0)
	 * fails by EIO, or all from it on do, or the process ends before it.
	 */
	enum { STEP_NONE, STEP_COUNT, STEP_FAIL, STEP_FAIL_ON, STEP_CRASH }
	    stepping;
	unsigned step, at;
	/* What renameat2() fails by: EXDEV between Maildirs, EINVAL always. */
	int rename_errno;
	/* What was changed and synced, in order, by the letters below. */
	char trace[256];
	const char *hidden;
	unsigned hidden_times;
	unsigned openings, fsyncs, unlinks;
	unsigned unsynced;	/* unlinks since a directory was synced */
};
extern struct calls calls;

#endif
