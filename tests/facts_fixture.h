/*
 * Dicts for the tests of facts: real ones, whose operations are counted and can
 * be made to fail, or to answer late as those of Dovecot's dict service do.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_FACTS_FIXTURE_H
#define PK_TESTS_FACTS_FIXTURE_H

#include "plugin/popkeep-facts.h"
#include "dict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 1700000000

/* What happened since fixture_count(). */
struct dict_counts {
	unsigned int lookups, iterations, commits, waits;
	unsigned int most_pending;	/* lookups that waited together */
	unsigned int warnings;		/* were logged */
};
extern struct dict_counts counts;

/* What goes wrong; late is for the dicts that are opened from now on. */
struct dict_faults {
	int fail_lookup;	/* the n-th since fixture_count(); 0: none */
	bool fail_iterate;	/* after the first key */
	bool late;		/* answer lookups when they are waited for */
};
extern struct dict_faults faults;

/* cmocka's, of the group: Dovecot's library, which begins but once. */
int fixture_begin(void **state);
int fixture_end(void **state);
/* cmocka's, of a test: a private directory, no counts, no faults. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A name in the private directory, in the data stack. */
const char *fixture_path(const char *name);

/* The facts of user ann in a dict of that driver ("file", "redis"). */
struct popkeep_facts *facts_of(const char *driver, const char *name);

/* Forget all counts and faults. */
void fixture_count(void);

/* Set a key of ann's as it stands, behind popkeep's back. */
void fixture_write(const char *driver, const char *name, const char *key,
		   const char *value);

/* count GUIDs that look like those of a Maildir, from number first on. */
const char *const *guids_from(unsigned int first, unsigned int count);

/* Facts that differ for each n, and are all set. */
struct popkeep_fact fact_number(unsigned int n);
void assert_fact(const struct popkeep_fact *fact,
		 const struct popkeep_fact *expected);
/* Of count GUIDs from first on, as fact_number() or as nothing. */
void set_numbers(struct popkeep_facts *facts, unsigned int first,
		 unsigned int count);
void assert_numbers(struct popkeep_facts *facts, unsigned int first,
		    unsigned int count);
void assert_nothing(struct popkeep_facts *facts, unsigned int first,
		    unsigned int count);

/* These must succeed. */
void must_load(struct popkeep_facts *facts, unsigned int first,
	       unsigned int count);
void must_commit(struct popkeep_facts *facts);

/* A private Redis at fixture_path("redis").  false: there is none to start. */
bool redis_start(void);
void redis_stop(void);

#endif
