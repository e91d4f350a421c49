/*
 * Decisions for tests/model/run.py: one case a line, one decision a line.
 *
 * A case is numbers in the order of fields[], which is that of the model's
 * Case.  A decision is its members, in the order of struct pk_decision.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/decide.h"

#define LINE_SIZE 1024

struct task {
	struct pk_user_policy up;
	struct pk_facts facts;
	struct pk_happened happened;
	int64_t occasion, now;
};

enum type { TIME, COUNT, FLAG, FROM };

#define FIELD(type, member) { type, offsetof(struct task, member) }

static const struct {
	enum type type;
	size_t offset;
} fields[] = {
	FIELD(FLAG, up.has_rule),
	FIELD(TIME, up.rule.after_download),
	FIELD(TIME, up.rule.after_delivery),
	FIELD(TIME, up.rule.unread),
	FIELD(FROM, up.rule.unread_from),
	FIELD(TIME, up.rule.minimum),
	FIELD(COUNT, up.rule.unconfirmed_limit),
	FIELD(TIME, up.rule.effective_from),
	FIELD(FLAG, up.rule.dry_run),
	FIELD(FLAG, up.rule.braked),
	FIELD(COUNT, up.holds),
	FIELD(TIME, up.held_until),
	FIELD(FLAG, up.dry_run),
	FIELD(FLAG, up.clock_brake),
	FIELD(TIME, facts.delivered),
	FIELD(TIME, facts.facts_since),
	FIELD(FLAG, facts.facts_lost),
	FIELD(TIME, facts.downloaded),
	FIELD(TIME, facts.read),
	FIELD(COUNT, facts.unconfirmed),
	FIELD(TIME, facts.unconfirmed_last),
	FIELD(TIME, occasion),
	FIELD(FLAG, happened.dele),
	FIELD(FLAG, happened.downloaded),
	FIELD(FLAG, happened.top_whole),
	FIELD(TIME, now),
};

static void
set(struct task *t, size_t i, long long value)
{
	char *member = (char *)t + fields[i].offset;

	switch (fields[i].type) {
	case TIME:
		*(int64_t *)(void *)member = value;
		break;
	case COUNT:
		*(uint32_t *)(void *)member = (uint32_t)value;
		break;
	case FLAG:
		*(bool *)(void *)member = value != 0;
		break;
	case FROM:
		*(enum pk_unread_from *)(void *)member = value == 0 ?
		    PK_UNREAD_FIRST_SEEN : PK_UNREAD_DELIVERY;
		break;
	}
}

static bool
parse(const char *line, struct task *t)
{
	const char *p = line;
	char *end;
	size_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		long long value;

		errno = 0;
		value = strtoll(p, &end, 10);
		if (end == p || errno != 0)
			return false;
		set(t, i, value);
		p = end;
	}
	/* As policy_file.c reads them. */
	if (t->up.dry_run)
		t->up.rule.dry_run = true;
	return strcmp(p, "\n") == 0;
}

int
main(void)
{
	char line[LINE_SIZE];
	struct task t;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		/* Nothing of the decision may stay as it was. */
		struct pk_decision d = { .changes = -1 };

		if (!parse(line, &t)) {
			fprintf(stderr, "decide_cases: bad case: %s", line);
			return 1;
		}
		pk_decide(&t.up, &t.facts, (enum pk_occasion)t.occasion,
		    &t.happened, t.now, &d);
		printf("%s %s %s %s %s %lld\n", pk_verdict_name(d.verdict),
		    pk_reason_name(d.reason), pk_reason_name(d.cause),
		    pk_verdict_name(d.would), pk_reason_name(d.would_reason),
		    (long long)d.changes);
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
