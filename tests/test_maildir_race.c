/*
 * A Maildir in use: while sessions follow one another, other threads deliver,
 * rename for flags, move between new and cur, and remove.  No message that
 * survives may be missed or altered, none removed that was not to be, and
 * what is retained is retained.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/maildir_fixture.h"

#define SECONDS		3
#define MESSAGES_MAX	20000
#define ALIVE_MAX	150

/*
 * Message i is named by its number and contains it.  Every fifth belongs to
 * the other programs, which may remove it; the rest only our UPDATE may.
 */
enum fate { NOT_YET, THERE, DISPOSED, RETAINED };

static enum fate fate[MESSAGES_MAX];
static bool has_fact[MESSAGES_MAX];
static uint32_t delivered;		/* atomically: 0 to delivered - 1 are */
static uint32_t removed;
static bool stop;

static bool
is_foreign(uint32_t i)
{
	return i % 5 == 4;
}

static void
nap(long microseconds)
{
	struct timespec ts = { 0, microseconds * 1000 };

	(void)nanosleep(&ts, NULL);
}

static void *
deliver_thread(void *arg)
{
	char from[64], to[64];
	uint32_t i;

	(void)arg;
	for (i = 0; i < MESSAGES_MAX && !__atomic_load_n(&stop,
	    __ATOMIC_ACQUIRE); i++) {
		(void)snprintf(from, sizeof(from), "tmp/%u", i);
		if (i % 2 == 0)
			(void)snprintf(to, sizeof(to), "new/%u.k", 10000 + i);
		else
			(void)snprintf(to, sizeof(to),
			    "new/%u.k,S=%u,W=%u", 10000 + i, 6, 7);
		(void)snprintf(from + 32, 32, "%05u\n", i);
		box_put(from, from + 32);
		box_rename(from, to);
		__atomic_store_n(&delivered, i + 1, __ATOMIC_RELEASE);
		while (i > ALIVE_MAX + __atomic_load_n(&removed,
		    __ATOMIC_ACQUIRE) && !__atomic_load_n(&stop,
		    __ATOMIC_ACQUIRE))
			nap(200);
		nap(i % 3 == 0 ? 300 : 50);
	}
	return NULL;
}

/* Do something to a message as another mail program would. */
static void
meddle(const char *dir, const char *name, unsigned *seed)
{
	static const char *const flags[] = { "", "F", "S", "FS", "RS", "FRS" };
	char from[300], to[300];
	size_t base = strcspn(name, ":");
	unsigned dice = (unsigned)rand_r(seed) % 100;

	(void)snprintf(from, sizeof(from), "%s/%s", dir, name);
	if (is_foreign((uint32_t)atoi(name) - 10000) && dice < 5) {
		if (unlinkat(boxfd, from, 0) == 0)
			__atomic_add_fetch(&removed, 1, __ATOMIC_RELEASE);
		return;
	}
	if (dice < 70)
		return;
	if (dice < 72)
		(void)snprintf(to, sizeof(to), "new/%.*s", (int)base, name);
	else
		(void)snprintf(to, sizeof(to), "cur/%.*s:2,%s", (int)base,
		    name, flags[dice % 6]);
	(void)renameat(boxfd, from, boxfd, to);
}

static void *
meddle_thread(void *arg)
{
	unsigned seed = 7;
	const char *dirs[] = { "new", "cur" };
	struct dirent *entry;
	DIR *dir;
	unsigned i;

	(void)arg;
	for (i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++) {
		dir = fdopendir(openat(boxfd, dirs[i % 2],
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		assert_non_null(dir);
		while ((entry = readdir(dir)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			meddle(dirs[i % 2], entry->d_name, &seed);
			if (rand_r(&seed) % 16 == 0)
				nap(20);
		}
		(void)closedir(dir);
		nap(i % 8 == 0 ? 4000 : 100);
	}
	return NULL;
}

/* Number of the message that a unique-id names. */
static uint32_t
number_of(const char *uid)
{
	uint32_t i = (uint32_t)atoi(uid) - 10000;

	assert_in_range(i, 0, MESSAGES_MAX - 1);
	return i;
}

/* Everything that was there before the session began is in its list once. */
static void
check_list(struct pk_maildrop *md, uint32_t before)
{
	static uint8_t seen[MESSAGES_MAX];
	uint32_t msgno, i;

	memset(seen, 0, sizeof(seen));
	for (msgno = 1; msgno <= md->ops->count(md); msgno++) {
		i = number_of(uid_of(md, msgno));
		assert_int_equal(seen[i]++, 0);
		assert_true(fate[i] == NOT_YET || fate[i] == THERE);
		assert_int_equal(octets_of(md, msgno), 7);
	}
	for (i = 0; i < before; i++) {
		if (fate[i] == NOT_YET)
			fate[i] = THERE;
		if (!is_foreign(i) && fate[i] == THERE && !seen[i])
			fail_msg("message %u of %u is not listed", i, before);
	}
}

/* The message of that number can be read, unless others may remove it. */
static void
check_text(struct pk_maildrop *md, uint32_t msgno)
{
	uint32_t i = number_of(uid_of(md, msgno));
	enum pk_err err;
	const char *text;

	text = text_of(md, msgno, &err);
	if (text == NULL) {
		if (!is_foreign(i))
			fail_msg("message %u: %d %s", i, err,
			    pk_maildir_why(md));
		assert_int_equal(err, PK_ERR_NOTFOUND);
		return;
	}
	assert_int_equal(atoi(text), i);
	assert_int_equal(strlen(text), 6);
}

/* What came of a message that was not to be kept. */
static void
settle(uint32_t i, enum pk_outcome outcome)
{
	switch (outcome) {
	case PK_OUTCOME_DISPOSED:
		fate[i] = DISPOSED;
		break;
	case PK_OUTCOME_RETAINED:
		fate[i] = RETAINED;
		break;
	case PK_OUTCOME_VANISHED:
		assert_true(is_foreign(i));
		fate[i] = DISPOSED;
		return;
	case PK_OUTCOME_FAILED:
		return;
	case PK_OUTCOME_KEPT:
		fail_msg("message %u is kept", i);
	}
	__atomic_add_fetch(&removed, 1, __ATOMIC_RELEASE);
}

/* Dispose of or retain a share; what is left is tried again later. */
static uint32_t
take_some(struct pk_maildrop *md, unsigned *seed)
{
	static const int ways[] = { 0, 0, EINVAL, EXDEV };
	uint32_t msgno, left, count = md->ops->count(md);
	uint8_t *plan = calloc((size_t)count + 1, 1);

	assert_non_null(plan);
	for (msgno = 1; msgno <= count; msgno++)
		if (rand_r(seed) % 4 == 0)
			plan[msgno - 1] = rand_r(seed) % 2 == 0 ? PK_DISPOSE :
			    PK_RETAIN;
	calls.rename_errno = ways[rand_r(seed) % 4];
	left = update(md, plan, "");
	for (msgno = 1; msgno <= count; msgno++)
		if (plan[msgno - 1] != PK_KEEP)
			settle(number_of(uid_of(md, msgno)),
			    (enum pk_outcome)outcomes[msgno - 1]);
	free(plan);
	return left;
}

/* A message keeps its facts for as long as it lives. */
static void
check_facts(void)
{
	struct pk_index ix = box_load();
	struct pk_index_record *record;
	uint32_t i, n;

	for (n = 0; n < ix.header->count; n++) {
		record = &ix.records[n];
		i = number_of(pk_index_name(&ix, record));
		if (has_fact[i] && !is_foreign(i))
			assert_int_equal(record->downloaded, i + 1);
		record->downloaded = i + 1;
		has_fact[i] = true;
	}
	box_save(&ix);
}

/* At the end the disk holds what it should, once, whole. */
static void
check_disk(void)
{
	static uint8_t seen[MESSAGES_MAX];
	struct pk_maildrop *md = box_open();
	uint32_t msgno, i;

	for (msgno = 1; msgno <= md->ops->count(md); msgno++) {
		check_text(md, msgno);
		seen[number_of(uid_of(md, msgno))] = 1;
	}
	for (i = 0; i < delivered; i++) {
		if (fate[i] == DISPOSED || fate[i] == RETAINED)
			assert_int_equal(seen[i], 0);
		if (fate[i] == THERE && !is_foreign(i))
			assert_int_equal(seen[i], 1);
	}
	pk_maildir_close(&md);
}

/* Each that was retained is there, once, whole. */
static void
check_retained(void)
{
	static uint8_t seen[MESSAGES_MAX];
	struct pk_maildrop *md = NULL;
	uint32_t msgno, i, retained = 0;

	assert_int_equal(pk_maildir_open(settings.retained, &settings, &md,
	    why), PK_MAILDIR_OK);
	for (msgno = 1; msgno <= md->ops->count(md); msgno++) {
		check_text(md, msgno);
		i = number_of(uid_of(md, msgno));
		assert_int_equal(seen[i]++, 0);
	}
	for (i = 0; i < delivered; i++) {
		assert_true(fate[i] == NOT_YET || fate[i] == THERE ||
		    seen[i] == (fate[i] == RETAINED));
		retained += fate[i] == RETAINED;
	}
	pk_maildir_close(&md);
	assert_true(retained > 10);
}

static void
test_maildir_in_use_loses_nothing(void **state)
{
	unsigned seed = 3, sessions = 0, unsure = 0;
	time_t end = time(NULL) + SECONDS;
	char retained[80];
	pthread_t threads[2];
	struct pk_maildrop *md;
	uint32_t before, i;

	(void)state;
	(void)snprintf(retained, sizeof(retained), "%s/kept", box);
	settings.retained = retained;
	assert_int_equal(pthread_create(&threads[0], NULL, deliver_thread,
	    NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, meddle_thread,
	    NULL), 0);
	while (time(NULL) < end) {
		before = __atomic_load_n(&delivered, __ATOMIC_ACQUIRE);
		md = box_open();
		check_list(md, before);
		for (i = 1; i <= md->ops->count(md); i++)
			check_text(md, i);
		if (sessions++ % 3 == 0)
			unsure += take_some(md, &seed);
		pk_maildir_close(&md);
		check_facts();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	check_disk();
	check_retained();
	print_message("%u sessions, %u delivered, %u removed, %u left\n",
	    sessions, delivered, removed, unsure);
	assert_true(sessions > 10 && removed > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_maildir_in_use_loses_nothing, box_setup,
		    box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
