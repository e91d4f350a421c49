/*
 * Brake (c): see policy_state.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/policy_load.h"
#include "standalone/policy_state.h"

#define TEMP_FILE PK_POLICY_STATE_FILE ".tmp"

/* ---- does a rule delete earlier? --------------------------------------------------- */

/* The durations that a change may shorten. */
static const struct {
	const char *key;
	size_t offset;
} durations[] = {
	{ "after-download", offsetof(struct pk_rule, after_download) },
	{ "after-delivery", offsetof(struct pk_rule, after_delivery) },
	{ "unread", offsetof(struct pk_rule, unread) },
	{ "minimum", offsetof(struct pk_rule, minimum) },
};

#define WHY_SIZE 256

static int64_t
duration_of(const struct pk_rule *r, size_t i)
{
	int64_t value;

	memcpy(&value, (const char *)r + durations[i].offset, sizeof(value));
	return value;
}

static bool
shortens(const struct pk_rule *r, const struct pk_rule *old, int64_t now,
    char why[WHY_SIZE])
{
	char from[PK_DURATION_SIZE], to[PK_DURATION_SIZE];
	size_t i;

	for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		if (duration_of(r, i) >= duration_of(old, i))
			continue;
		(void)snprintf(why, WHY_SIZE, "%s was %s and is %s",
		    durations[i].key,
		    pk_duration_format(duration_of(old, i), from),
		    pk_duration_format(duration_of(r, i), to));
		return true;
	}
	if (r->unconfirmed_limit != 0 && (old->unconfirmed_limit == 0 ||
	    r->unconfirmed_limit < old->unconfirmed_limit)) {
		(void)snprintf(why, WHY_SIZE, "unconfirmed-limit was %u and "
		    "is %u", old->unconfirmed_limit, r->unconfirmed_limit);
		return true;
	}
	if (r->unread_from == PK_UNREAD_DELIVERY && r->unread != PK_NEVER &&
	    old->unread_from != PK_UNREAD_DELIVERY) {
		(void)snprintf(why, WHY_SIZE, "unread-from was first-seen and "
		    "is delivery");
		return true;
	}
	if (old->folder[0] != '\0' && r->folder[0] == '\0') {
		(void)snprintf(why, WHY_SIZE, "dispose was folder:%s and is "
		    "destroy", old->folder);
		return true;
	}
	if (old->dry_run && !r->dry_run) {
		(void)snprintf(why, WHY_SIZE, "it was in dry-run and is in "
		    "force");
		return true;
	}
	if (old->effective_from > now && r->effective_from <
	    old->effective_from) {
		(void)snprintf(why, WHY_SIZE, "effective-from is earlier than "
		    "it was");
		return true;
	}
	return false;
}

/* ---- does it match more? ------------------------------------------------------------ */

static bool
may_share(const char *a, const char *b)
{
	if (pk_pattern_is_name(a) && pk_pattern_is_name(b))
		return strcmp(a, b) == 0;
	if (pk_pattern_is_name(a) && b[0] != '@')
		return pk_pattern_is_match(b, a);
	if (pk_pattern_is_name(b) && a[0] != '@')
		return pk_pattern_is_match(a, b);
	return true;			/* it cannot be told: they may */
}

/* Can a user match both? */
static bool
may_overlap(const struct pk_patterns *a, const struct pk_patterns *b)
{
	size_t i, k;

	for (i = 0; i < a->count; i++)
		for (k = 0; k < b->count; k++)
			if (may_share(a->text[i], b->text[k]))
				return true;
	return a->count == 0 || b->count == 0;
}

/*
 * Is there an earlier rule that took users away from this one, and does so no
 * longer?
 */
static const struct pk_retention *
lost_earlier(const struct pk_policy *p, const struct pk_retention *r,
    const struct pk_policy *accepted, const struct pk_retention *old)
{
	const struct pk_retention *before, *now;

	for (before = accepted->retention; before < old; before++) {
		now = pk_policy_find_rule(p, before->rule.name);
		if (now != NULL && now < r &&
		    pk_patterns_cover(&now->users, &before->users))
			continue;
		if (may_overlap(&before->users, &r->users))
			return before;
	}
	return NULL;
}

static bool
matches_more(const struct pk_policy *p, const struct pk_retention *r,
    const struct pk_policy *accepted, const struct pk_retention *old,
    char why[WHY_SIZE])
{
	const struct pk_retention *earlier;

	if (!pk_patterns_cover(&old->users, &r->users)) {
		(void)snprintf(why, WHY_SIZE, "its users may be more than "
		    "they were");
		return true;
	}
	earlier = lost_earlier(p, r, accepted, old);
	if (earlier == NULL)
		return false;
	(void)snprintf(why, WHY_SIZE, "it may match users that the rule %s "
	    "before it took", earlier->rule.name);
	return true;
}

/*
 * What protected a message goes on doing so while the rule is braked: the
 * longest minimum that any of its users may have had.
 */
static void
keep_minimum(struct pk_retention *r, const struct pk_policy *accepted)
{
	const struct pk_retention *was;
	size_t i;

	for (i = 0; i < accepted->retentions; i++) {
		was = &accepted->retention[i];
		if (was->rule.minimum > r->rule.minimum &&
		    (strcmp(was->rule.name, r->rule.name) == 0 ||
		    may_overlap(&was->users, &r->users)))
			r->rule.minimum = was->rule.minimum;
	}
}

void
pk_policy_brake(struct pk_policy *p, const struct pk_policy *accepted,
    int64_t now, void (*brake)(void *arg, const char *rule, const char *why),
    void *arg)
{
	size_t i;

	for (i = 0; i < p->retentions; i++) {
		struct pk_retention *r = &p->retention[i];
		const struct pk_retention *old = NULL;
		char why[WHY_SIZE] = "the rule is new";

		r->rule.braked = false;
		if (accepted == NULL ||
		    r->rule.effective_from >= now + PK_POLICY_NOTICE)
			continue;
		old = pk_policy_find_rule(accepted, r->rule.name);
		if (old != NULL && !shortens(&r->rule, &old->rule, now, why) &&
		    !matches_more(p, r, accepted, old, why))
			continue;
		r->rule.braked = true;
		keep_minimum(r, accepted);
		brake(arg, r->rule.name, why);
	}
}

/* ---- the file ----------------------------------------------------------------------- */

static void
write_duration(FILE *f, const char *key, int64_t seconds)
{
	char text[PK_DURATION_SIZE];

	fprintf(f, "    %s = \"%s\"\n", key, pk_duration_format(seconds,
	    text));
}

/* Those of both; also may be NULL. */
static void
write_users(FILE *f, const struct pk_patterns *users,
    const struct pk_patterns *also)
{
	size_t i;

	/* Everybody, and more. */
	if (users->count == 0 || (also != NULL && also->count == 0))
		return;
	fputs("    users = {", f);
	for (i = 0; i < users->count; i++) {
		if (i > 0)
			fputs(", ", f);
		pk_policy_put_quoted(f, users->text[i]);
	}
	for (i = 0; also != NULL && i < also->count; i++) {
		if (pk_patterns_is_listed(users, also->text[i]))
			continue;
		fputs(", ", f);
		pk_policy_put_quoted(f, also->text[i]);
	}
	fputs("}\n", f);
}

static void
write_day(FILE *f, const char *key, int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		fprintf(f, "    %s = \"%04d-%02d-%02d\"\n", key,
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* Its last day is the one before it is over. */
static void
write_hold(FILE *f, const struct pk_hold *h)
{
	fprintf(f, "hold \"%s\" {\n", h->name);
	write_users(f, &h->users, NULL);
	if (h->until != PK_NEVER)
		write_day(f, "until", h->until - 1);
	fputs("}\n", f);
}

static void
write_rule(FILE *f, const struct pk_retention *r,
    const struct pk_patterns *also)
{
	size_t i;

	fprintf(f, "retention \"%s\" {\n", r->rule.name);
	write_users(f, &r->users, also);
	for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		write_duration(f, durations[i].key, duration_of(&r->rule, i));
	fprintf(f, "    unread-from = %s\n    unconfirmed-limit = %u\n",
	    pk_unread_from_name(r->rule.unread_from),
	    r->rule.unconfirmed_limit);
	if (r->rule.folder[0] != '\0')
		fprintf(f, "    dispose = \"folder:%s\"\n", r->rule.folder);
	if (r->rule.dry_run)
		fputs("    mode = dry-run\n", f);
	if (r->rule.effective_from != 0)
		write_day(f, "effective-from", r->rule.effective_from);
	fputs("}\n", f);
}

/* The first accepted rule that a new one does not stand behind. */
static const struct pk_retention *
place_of(const struct pk_policy *p, const struct pk_retention *r,
    const struct pk_policy *accepted)
{
	const struct pk_retention *now;
	size_t i;

	for (i = 0; i < accepted->retentions; i++) {
		now = pk_policy_find_rule(p, accepted->retention[i].rule.name);
		if (now == NULL || now > r)
			return &accepted->retention[i];
	}
	return NULL;
}

/* Rules that are new and yet not braked, where they belong. */
static void
write_new(FILE *f, const struct pk_policy *p,
    const struct pk_policy *accepted, const struct pk_retention *before)
{
	size_t i;

	for (i = 0; i < p->retentions; i++) {
		const struct pk_retention *r = &p->retention[i];

		if (!r->rule.braked && pk_policy_find_rule(accepted,
		    r->rule.name) == NULL && place_of(p, r, accepted) ==
		    before)
			write_rule(f, r, NULL);
	}
}

/*
 * A braked rule may be braked for what became of the rules before it: as long
 * as there is one, the order stays, what is gone stays, nobody is taken out.
 */
static void
write_merged(FILE *f, const struct pk_policy *p,
    const struct pk_policy *accepted)
{
	const struct pk_retention *old, *now;
	size_t i;

	for (i = 0; i < accepted->retentions; i++) {
		old = &accepted->retention[i];
		now = pk_policy_find_rule(p, old->rule.name);
		write_new(f, p, accepted, old);
		if (now != NULL && !now->rule.braked)
			write_rule(f, now, &old->users);
		else
			write_rule(f, old, NULL);
	}
	write_new(f, p, accepted, NULL);
}

int
pk_policy_state_write(FILE *f, const struct pk_policy *p,
    const struct pk_policy *accepted)
{
	bool braked = false;
	size_t i;

	fputs("# Written by popkeep-policyd: the rules that it lets delete.\n"
	    "# \"popkeep policy accept\" changes it; do not edit.\n", f);
	for (i = 0; i < p->retentions; i++)
		braked = braked || p->retention[i].rule.braked;
	if (braked && accepted != NULL)
		write_merged(f, p, accepted);
	for (i = 0; i < p->retentions && !braked; i++)
		write_rule(f, &p->retention[i], NULL);
	for (i = 0; i < p->holds; i++)
		write_hold(f, &p->hold[i]);
	return fflush(f) == 0 && !ferror(f) ? 0 : -1;
}

struct pk_policy *
pk_policy_state_next(const struct pk_policy *p,
    const struct pk_policy *accepted, int64_t now, pk_policy_say *error,
    void *arg)
{
	struct pk_policy_text file = { .name = PK_POLICY_STATE_FILE };
	struct pk_policy *next = NULL;
	char *text = NULL;
	FILE *f = open_memstream(&text, &file.len);
	int rc = f != NULL ? pk_policy_state_write(f, p, accepted) : -1;

	if (f != NULL && fclose(f) == 0 && rc == 0) {
		file.text = text;
		next = pk_policy_parse(&file, 1, now, error,
		    pk_policy_say_nothing, arg);
	} else {
		error(arg, PK_POLICY_STATE_FILE ": out of memory");
	}
	free(text);
	return next;
}

enum pk_err
pk_policy_state_load(int dirfd, int64_t now, struct pk_policy **accepted_r,
    pk_policy_say *error, void *arg)
{
	*accepted_r = NULL;
	if (faccessat(dirfd, PK_POLICY_STATE_FILE, F_OK, 0) != 0 &&
	    errno == ENOENT)
		return PK_OK;
	*accepted_r = pk_policy_load(dirfd, PK_POLICY_STATE_FILE, now, error,
	    pk_policy_say_nothing, arg);
	return *accepted_r != NULL ? PK_OK : PK_ERR_SYNTAX;
}

int
pk_policy_state_save(int dirfd, const struct pk_policy *p,
    const struct pk_policy *accepted)
{
	int fd = openat(dirfd, TEMP_FILE, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *f = fd != -1 ? fdopen(fd, "w") : NULL;
	int rc = -1;

	if (f == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (pk_policy_state_write(f, p, accepted) == 0 && fsync(fd) == 0)
		rc = 0;
	if (fclose(f) != 0)
		rc = -1;
	if (rc == 0 && renameat(dirfd, TEMP_FILE, dirfd,
	    PK_POLICY_STATE_FILE) != 0)
		rc = -1;
	if (rc == 0)
		(void)fsync(dirfd);
	return rc;
}
