/*
 * Giving up privileges: user, root directory, system calls.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SANDBOX_H
#define PK_SANDBOX_H

#include <stddef.h>
#include <sys/types.h>

/* The roles that are filtered. */
enum pk_sandbox {
	PK_SANDBOX_NET,
	PK_SANDBOX_SESSION,
};
#define PK_SANDBOXES 2

/*
 * For every process that meets secrets or mail: no core file, no ptrace by
 * others of its uid, SIGPIPE ignored.
 */
void pk_sandbox_basics(void);

/*
 * chroot(2) to a directory that is removed already: empty for ever.  0, or -1
 * and errno.  Only as root.
 */
int pk_sandbox_chroot(void) __attribute__((__warn_unused_result__));

/*
 * Become uid and gid for good, without supplementary groups, and make sure
 * that there is no way back, nor one to other privileges.  0, or -1 and
 * errno.  Only as root.
 */
int pk_sandbox_become(uid_t uid, gid_t gid)
    __attribute__((__warn_unused_result__));

/*
 * Make the filters, once, before anything is forked: making them takes longer
 * and more memory than all else that a session process does to begin.  0 or -1.
 */
int pk_sandbox_prepare(void) __attribute__((__warn_unused_result__));

/*
 * No new privileges; from now on only the system calls of the role: others
 * fail with EPERM, dangerous ones kill.  0, or -1 and errno.
 */
int pk_sandbox_filter(enum pk_sandbox role)
    __attribute__((__warn_unused_result__));

/* As many descriptors as the hard limit allows. */
void pk_sandbox_raise_files(void);

/*
 * The first thing in main(): a standard descriptor that is not open would
 * become that of a file opened later, and what is written to it would go there.
 * In its place is one that can neither be read nor written.  Ends the process
 * if that cannot be.
 */
void pk_sandbox_hold_stdio(void);

/*
 * Put /dev/null in the place of standard input, output and error: the log and
 * the terminal are the parent's.  (A build with AddressSanitizer keeps standard
 * error for its reports.)
 */
void pk_sandbox_null_stdio(void);

/* Close every descriptor from first on but those in keep (keeps of them). */
void pk_sandbox_close(int first, const int *keep, size_t keeps);

#endif
