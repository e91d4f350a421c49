/*
 * A maildrop (maildir_fixture.h) and its Retained place, "kept" in the same
 * directory but no part of the Maildir, and what messages may find there.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_RETAIN_FIXTURE_H
#define PK_TESTS_RETAIN_FIXTURE_H

#include <sys/types.h>

#include "tests/maildir_fixture.h"

/* More octets than are copied at once. */
#define BIG	150000

/* The path of the Retained place; it is not there yet. */
extern char retained[80];

/*
 * cmocka's setup and teardown; memory_setup() takes a file system in memory
 * if it can, for thousands of sessions would wait for a disk.
 */
int retain_setup(void **state);
int memory_setup(void **state);
int retain_teardown(void **state);

/* Make a Maildir below the Maildir; open that of the Retained place. */
void make_retained(const char *name);
struct pk_maildrop *open_retained(void);

/* Does that file hold that text?  How many in a directory do (NULL: any)? */
bool has_text(const char *name, const char *text);
unsigned count_in(const char *dirname, const char *text);

void assert_reason(struct pk_maildrop *md, const char *reason);

/* Carry out a plan for the only message; the second in a session of its own. */
enum pk_outcome one(struct pk_maildrop *md, enum pk_verdict verdict,
    const char *folder);
enum pk_outcome one_session(enum pk_verdict verdict, const char *folder);

/* The ways of moving: what renameat2() fails by. */
#define WAYS	3
extern const struct way {
	const char *name;
	int err;
} ways[WAYS];

/*
 * How often each of three texts is in new and cur (HERE), in the Retained
 * place, and in the folder "Old"; take_stock() counts, clear_scene() removes
 * all.
 */
enum where { RETAINED, FOLDER, HERE, WHERES };
extern const char *const texts[3];
extern struct stock {
	unsigned text[3];
	unsigned all;
} stock[WHERES];
void take_stock(void);
void clear_scene(void);

/*
 * The child ends as it was told to, or (when fewer readings of the directories
 * than before made fewer calls) by itself with 0.  crashes counts the former.
 */
void assert_crashes(const char *what, pid_t pid);
extern unsigned crashes;

#endif
