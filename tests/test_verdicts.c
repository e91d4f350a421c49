/*
 * What becomes of every message: decided, told in packets, carried out; what
 * the client is told counts its own marks alone.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"
#include "engine/verdicts.h"
#include "tests/harness.h"

#define NOW	INT64_C(1700000000)
#define DAY	86400
#define MANY	5000

/* ---- a session that is none --------------------------------------------- */

static int session;

/* It knows those of messages with an odd number. */
static const uint8_t *
sha256_of(const void *of, uint32_t msgno)
{
	static uint8_t sha256[PK_AUDIT_HASH_LEN];

	memset(sha256, (int)msgno, sizeof(sha256));
	return of == &session && msgno % 2 == 1 ? sha256 : NULL;
}

/* ---- a maildrop that is none -------------------------------------------- */

static struct fake {
	struct pk_maildrop head;
	uint32_t count;
	int64_t delivered[MANY];
	uint8_t outcome[MANY];		/* that update reports */
	uint8_t plan[MANY];		/* as it was told */
	char folder[PK_FOLDER_SIZE];
	unsigned updates;
	bool known[MANY];		/* Message-IDs */
	unsigned looks;			/* how often they were looked for */
} fake;

static uint32_t
fake_count(const struct pk_maildrop *md)
{
	return ((const struct fake *)md)->count;
}

/* A unique-id of its own, as long as can be, with no NUL behind it. */
static void
uid_of(uint32_t msgno, char uid[PK_UNIQUE_ID_MAX])
{
	char digits[16];

	memset(uid, '~', PK_UNIQUE_ID_MAX);
	(void)snprintf(digits, sizeof(digits), "%08u", msgno);
	memcpy(uid, digits, 8);
}

static void
fake_info(const struct pk_maildrop *md, uint32_t msgno,
    struct pk_message_info *info_r)
{
	static char uid[PK_UNIQUE_ID_MAX];

	assert_true(msgno >= 1 && msgno <= fake_count(md));
	uid_of(msgno, uid);
	info_r->octets = 1000 + msgno;
	info_r->uid = uid;
	info_r->uid_len = sizeof(uid);
}

static void
fake_facts(const struct pk_maildrop *md, uint32_t msgno, int64_t now,
    struct pk_facts *facts_r)
{
	assert_int_equal(now, NOW);
	memset(facts_r, 0, sizeof(*facts_r));
	facts_r->delivered = ((const struct fake *)md)->delivered[msgno - 1];
	facts_r->facts_since = facts_r->delivered;
}

static uint32_t
fake_update(struct pk_maildrop *md, const struct pk_update *u)
{
	struct fake *f = (struct fake *)md;

	memcpy(f->plan, u->plan, f->count);
	memcpy(u->outcome, f->outcome, f->count);
	(void)snprintf(f->folder, sizeof(f->folder), "%s", u->folder);
	f->updates++;
	return 0;
}

static void
fake_message_id(struct pk_maildrop *md, uint32_t msgno, bool look,
    char id_r[PK_MESSAGE_ID_SIZE])
{
	struct fake *f = (struct fake *)md;

	f->looks += look;
	f->known[msgno - 1] |= look;
	id_r[0] = '\0';
	if (f->known[msgno - 1])
		(void)snprintf(id_r, PK_MESSAGE_ID_SIZE, "<%u@a>", msgno);
}

static const struct pk_maildrop_ops ops = {
	.count = fake_count, .info = fake_info, .facts = fake_facts,
	.update = fake_update, .message_id = fake_message_id,
};

/* ---- the fixture -------------------------------------------------------- */

static struct pk_verdicts v;
static struct pk_user_policy up;
static uint8_t events[MANY];

static int
setup(void **state)
{
	uint32_t i;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	memset(&v, 0, sizeof(v));
	memset(&up, 0, sizeof(up));
	memset(events, 0, sizeof(events));
	fake.head.ops = &ops;
	fake.count = 10;
	for (i = 0; i < MANY; i++)
		fake.delivered[i] = NOW - DAY;
	up.has_rule = true;
	up.rule.after_download = up.rule.after_delivery = PK_NEVER;
	up.rule.unread = PK_NEVER;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	alloc_arm(-1);
	pk_verdicts_deinit(&v);
	assert_null(v.plan);
	return 0;
}

static void
decide(enum pk_occasion occasion)
{
	assert_int_equal(pk_verdicts_decide(&v, &fake.head, occasion, events,
	    &up, 77, NOW), PK_OK);
}

/* The messages from number from on are older than two days. */
static void
make_old(uint32_t from)
{
	for (; from <= fake.count; from++)
		fake.delivered[from - 1] = NOW - 3 * DAY;
	up.rule.after_delivery = 2 * DAY;
}

static void
hold(void)
{
	up.holds = 1;
	up.held_until = PK_NEVER;
	(void)snprintf(up.hold[0], sizeof(up.hold[0]), "case");
}

/* ---- what goes out in packets ------------------------------------------- */

static struct pk_audit_item items[MANY + 10];
static size_t count, packets;

static void
begin(struct pk_wire *w, uint8_t *data)
{
	struct pk_audit_context c;

	memset(&c, 0, sizeof(c));
	pk_wire_begin(w, data, PK_WIRE_RECORDS, 0, 1);
	pk_wire_put_context(w, &c, v.serial);
}

static void
take_packet(uint8_t *data, size_t len)
{
	struct pk_audit_context c;
	struct pk_wire_head head;
	uint64_t serial;
	struct pk_wire w;
	size_t before = count;

	assert_true(pk_wire_open(&w, data, len, &head));
	assert_true(pk_wire_get_context(&w, &c, &serial));
	while (pk_wire_get_item(&w, &items[count]))
		count++;
	assert_false(w.bad);
	assert_true(count > before);
	packets++;
}

enum what { INTENTS, OUTCOMES, WOULD };

static void
collect(enum what what)
{
	static uint8_t data[PK_WIRE_MAX];
	uint32_t msgno = 1, said = 0;
	struct pk_wire w;
	bool any;

	count = packets = 0;
	for (;;) {
		begin(&w, data);
		any = what == INTENTS ? pk_verdicts_put_intents(&v, &w,
		    &msgno) : what == OUTCOMES ? pk_verdicts_put_outcomes(&v,
		    &w, &msgno, v.count + 1) : pk_verdicts_put_would(&v, &w, &msgno,
		    &said);
		assert_false(w.bad);
		if (!any)
			return;
		take_packet(data, w.len);
	}
}

static void
is_item(size_t i, uint32_t msgno, enum pk_audit_event event,
    const char *reason)
{
	char uid[PK_UNIQUE_ID_MAX], id[32] = "";

	assert_true(i < count);
	if (fake.known[msgno - 1])
		(void)snprintf(id, sizeof(id), "<%u@a>", msgno);
	assert_string_equal(items[i].message_id, id);
	assert_int_equal(items[i].has_sha256, v.sha256 != NULL &&
	    msgno % 2 == 1);
	if (items[i].has_sha256)
		assert_true(items[i].sha256[0] == (uint8_t)msgno &&
		    items[i].sha256[31] == (uint8_t)msgno);
	uid_of(msgno, uid);
	assert_int_equal(items[i].event, event);
	assert_int_equal(strlen(items[i].uidl), sizeof(uid));
	assert_memory_equal(items[i].uidl, uid, sizeof(uid));
	assert_true(items[i].has_size && items[i].size == 1000 + msgno);
	assert_string_equal(items[i].reason, reason);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_verdicts_tell_what_the_client_did_from_what_is_due(void **state)
{
	(void)state;
	make_old(9);
	events[0] = PK_EVENT_DELE;
	events[1] = PK_EVENT_CONFIRMED;
	events[2] = PK_EVENT_SENT;
	events[9] = PK_EVENT_DELE;
	up.rule.after_download = 0;
	v.sha256 = sha256_of;
	v.sha256_of = &session;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.count, 10);
	assert_int_equal(v.planned, 4);
	/* Two of them by policy: the client's own mark comes first. */
	assert_int_equal(v.by_policy, 2);
	assert_int_equal(v.would, 0);
	assert_true(v.serial == 77 && v.now == NOW);
	collect(INTENTS);
	assert_int_equal(count, 4);
	is_item(0, 1, PK_AUDIT_DISPOSE_INTENT, "dele");
	is_item(1, 2, PK_AUDIT_DISPOSE_INTENT, "after-download");
	is_item(2, 9, PK_AUDIT_DISPOSE_INTENT, "after-delivery");
	is_item(3, 10, PK_AUDIT_DISPOSE_INTENT, "dele");
	/* For them, and for no others, the messages are looked at. */
	assert_int_equal(fake.looks, 4);
	assert_true(fake.known[0] && fake.known[9]);
}

static void
test_verdicts_know_a_whole_top(void **state)
{
	(void)state;
	make_old(1);
	up.rule.after_delivery = PK_NEVER;
	up.rule.unread = 2 * DAY;
	fake.count = 2;
	events[0] = PK_EVENT_TOP_WHOLE;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.plan[0], PK_KEEP);
	assert_int_equal(v.plan[1], PK_DISPOSE);
}

static void
test_verdicts_need_no_session(void **state)
{
	(void)state;
	make_old(10);
	assert_int_equal(pk_verdicts_decide(&v, &fake.head,
	    PK_OCCASION_SWEEP, NULL, &up, 1, NOW), PK_OK);
	assert_int_equal(v.planned, 1);
	assert_int_equal(v.by_policy, 1);
	assert_int_equal(pk_verdicts_left(&v), 0);
}

static void
test_verdicts_tell_intents_in_many_packets(void **state)
{
	uint32_t i, n = 0;

	(void)state;
	fake.count = MANY;
	for (i = 0; i < MANY; i++)
		events[i] = i % 7 == 0 ? 0 : PK_EVENT_DELE;
	decide(PK_OCCASION_QUIT);
	collect(INTENTS);
	assert_true(packets > 5);
	for (i = 0; i < MANY; i++)
		if (i % 7 != 0)
			is_item(n++, i + 1, PK_AUDIT_DISPOSE_INTENT, "dele");
	assert_int_equal(count, n);
	assert_int_equal(v.planned, n);
}

static void
test_verdicts_tell_outcomes_in_many_packets(void **state)
{
	static const struct { enum pk_audit_event event; const char *why; }
	    told[] = {
		[PK_OUTCOME_KEPT] = { PK_AUDIT_CLOSED_UNKNOWN,
		    "not carried out: the message is still there" },
		[PK_OUTCOME_DISPOSED] = { PK_AUDIT_DISPOSED, "dele" },
		[PK_OUTCOME_RETAINED] = { PK_AUDIT_RETAINED, "dele" },
		[PK_OUTCOME_VANISHED] = { PK_AUDIT_VANISHED, "dele" },
		[PK_OUTCOME_FAILED] = { PK_AUDIT_CLOSED_UNKNOWN,
		    "not carried out: the message is still there" },
	};
	uint32_t i, n = 0;

	(void)state;
	fake.count = MANY;
	for (i = 0; i < MANY; i++) {
		events[i] = i % 3 == 0 ? 0 : PK_EVENT_DELE;
		fake.outcome[i] = (uint8_t)(i % 5);
	}
	decide(PK_OCCASION_QUIT);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_int_equal(fake.updates, 1);
	assert_memory_equal(fake.plan, v.plan, MANY);
	collect(OUTCOMES);
	assert_true(packets > 5);
	/* One for each intent, and none for others. */
	for (i = 0; i < MANY; i++)
		if (i % 3 != 0)
			is_item(n++, i + 1, told[i % 5].event,
			    told[i % 5].why);
	assert_int_equal(count, n);
}

static void
test_verdicts_purge_what_was_retained(void **state)
{
	(void)state;
	fake.count = 2;
	fake.outcome[0] = PK_OUTCOME_DISPOSED;
	fake.outcome[1] = PK_OUTCOME_FAILED;
	decide(PK_OCCASION_RETAINED);
	assert_int_equal(v.planned, 2);
	collect(INTENTS);
	is_item(0, 1, PK_AUDIT_DISPOSE_INTENT, "released");
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	collect(OUTCOMES);
	assert_int_equal(count, 2);
	is_item(0, 1, PK_AUDIT_PURGED, "released");
	is_item(1, 2, PK_AUDIT_CLOSED_UNKNOWN, "not carried out: the message "
	    "is still there");
}

static void
test_verdicts_count_only_marks_as_left(void **state)
{
	uint32_t i;

	(void)state;
	make_old(6);
	for (i = 0; i < 5; i++)
		events[i] = PK_EVENT_DELE;
	for (i = 0; i < 10; i++)
		fake.outcome[i] = (uint8_t)(i % 5);
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 10);
	/* Nothing is gone yet. */
	assert_int_equal(pk_verdicts_left(&v), 5);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	/* KEPT and FAILED of 1 to 5; those of 6 to 10 are no marks. */
	assert_int_equal(pk_verdicts_left(&v), 2);
	memset(fake.outcome, PK_OUTCOME_FAILED, 10);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_int_equal(pk_verdicts_left(&v), 5);
	/* A mark that a hold keeps is gone from the client's view. */
	memset(fake.outcome, PK_OUTCOME_RETAINED, 10);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_int_equal(pk_verdicts_left(&v), 0);
}

/* A part is carried out, then the policy changes, and the rest is decided. */
static void
test_verdicts_decide_again_for_the_rest(void **state)
{
	static uint8_t data[PK_WIRE_MAX];
	uint32_t msgno = 4;
	struct pk_wire w;

	(void)state;
	make_old(4);
	events[0] = events[1] = events[2] = PK_EVENT_DELE;
	memset(fake.outcome, PK_OUTCOME_DISPOSED, 10);
	fake.outcome[4] = PK_OUTCOME_FAILED;
	fake.outcome[5] = PK_OUTCOME_KEPT;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 10);
	pk_verdicts_carry_out(&v, 3, 7);
	/* Nothing but that part was in the hands of the store. */
	assert_memory_equal(fake.plan, ((uint8_t[]){ 0, 0, 1, 1, 1, 1, 0, 0,
	    0, 0 }), 10);
	assert_memory_equal(v.outcome, ((uint8_t[]){ 0, 0,
	    PK_OUTCOME_DISPOSED, PK_OUTCOME_DISPOSED, PK_OUTCOME_FAILED,
	    PK_OUTCOME_KEPT, 0, 0, 0, 0 }), 10);
	begin(&w, data);
	assert_true(pk_verdicts_put_outcomes(&v, &w, &msgno, 6));
	assert_int_equal(msgno, 6);
	count = 0;
	take_packet(data, w.len);
	assert_int_equal(count, 2);
	is_item(0, 4, PK_AUDIT_DISPOSED, "after-delivery");
	assert_int_equal(pk_verdicts_left(&v), 2);
	/* What is gone, or could not go, is not intended a second time. */
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 7);
	collect(INTENTS);
	assert_int_equal(count, 7);
	is_item(0, 1, PK_AUDIT_DISPOSE_INTENT, "dele");
	is_item(1, 2, PK_AUDIT_DISPOSE_INTENT, "dele");
	is_item(2, 6, PK_AUDIT_DISPOSE_INTENT, "after-delivery");
	pk_verdicts_keep_all(&v);
	assert_int_equal(pk_verdicts_left(&v), 2);
}

static void
test_verdicts_keep_everything_when_told_so(void **state)
{
	(void)state;
	make_old(6);
	events[0] = events[9] = PK_EVENT_DELE;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 6);
	pk_verdicts_keep_all(&v);
	assert_int_equal(v.planned, 0);
	assert_int_equal(v.by_policy, 0);
	collect(INTENTS);
	assert_int_equal(count, 0);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	collect(OUTCOMES);
	assert_int_equal(count, 0);
	assert_int_equal(fake.plan[0] + fake.plan[9], 0);
	/* They are all still there, and the client is told so. */
	assert_int_equal(pk_verdicts_left(&v), 2);
}

static void
test_verdicts_keep_the_marks_when_told_so(void **state)
{
	(void)state;
	make_old(6);
	hold();
	events[0] = events[9] = PK_EVENT_DELE;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 6);
	assert_int_equal(v.by_policy, 0);
	pk_verdicts_only_dele(&v);
	assert_int_equal(v.planned, 2);
	collect(INTENTS);
	assert_int_equal(count, 2);
	is_item(0, 1, PK_AUDIT_DISPOSE_INTENT, "hold:case");
	is_item(1, 10, PK_AUDIT_DISPOSE_INTENT, "hold:case");
	assert_int_equal(v.plan[0], PK_RETAIN);
}

static void
test_verdicts_follow_another_policy(void **state)
{
	(void)state;
	make_old(6);
	events[0] = PK_EVENT_DELE;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.by_policy, 5);
	assert_int_equal(v.plan[0], PK_DISPOSE);
	hold();
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.by_policy, 0);
	assert_int_equal(v.planned, 6);
	assert_int_equal(v.plan[0], PK_RETAIN);
	up.rule.braked = true;
	up.holds = 0;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 1);
	assert_int_equal(v.would, 5);
}

static void
test_verdicts_say_what_would_be(void **state)
{
	(void)state;
	make_old(9);
	up.rule.dry_run = true;
	events[9] = PK_EVENT_DELE;
	v.sha256 = sha256_of;
	v.sha256_of = &session;
	decide(PK_OCCASION_QUIT);
	/* The last one goes anyway. */
	assert_int_equal(v.planned, 1);
	assert_int_equal(v.would, 1);
	collect(WOULD);
	assert_int_equal(count, 1);
	is_item(0, 9, PK_AUDIT_WOULD_DISPOSE, "after-delivery");
	assert_int_equal(fake.looks, 0);
}

/* So many that differ, and how many records that are. */
static void
test_verdicts_say_it_a_hundred_times(void **state)
{
	static const struct { uint32_t messages; size_t said; const char *more;
	} cases[] = {
		{ 99, 99, NULL }, { 100, 100, NULL },
		{ 101, 101, "and 1 more" }, { MANY, 101, "and 4900 more" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(setup(state), 0);
		fake.count = cases[i].messages;
		make_old(1);
		memset(fake.known, true, sizeof(fake.known));
		v.sha256 = sha256_of;
		v.sha256_of = &session;
		up.dry_run = up.rule.dry_run = true;
		decide(PK_OCCASION_SWEEP);
		assert_int_equal(v.would, cases[i].messages);
		collect(WOULD);
		assert_int_equal(count, cases[i].said);
		is_item(98, 99, PK_AUDIT_WOULD_DISPOSE, "after-delivery");
		if (cases[i].more != NULL) {
			assert_string_equal(items[100].uidl, "");
			assert_string_equal(items[100].message_id, "");
			assert_false(items[100].has_size);
			assert_false(items[100].has_sha256);
			assert_string_equal(items[100].reason,
			    cases[i].more);
		}
		pk_verdicts_deinit(&v);
	}
}

/* With hardly any room, each goes in a packet of its own. */
static void
test_verdicts_go_on_in_the_next_packet(void **state)
{
	static uint8_t data[PK_WIRE_MAX];
	uint32_t msgno = 1, said = 0, rounds;
	struct pk_audit_item filler;
	struct pk_wire w;

	(void)state;
	fake.count = 102;
	make_old(1);
	up.dry_run = up.rule.dry_run = true;
	decide(PK_OCCASION_SWEEP);
	memset(&filler, 0, sizeof(filler));
	count = 0;
	for (rounds = 0; rounds < 200; rounds++) {
		begin(&w, data);
		while (w.len + 200 < PK_WIRE_MAX &&
		    pk_wire_put_item(&w, &filler))
			;
		if (!pk_verdicts_put_would(&v, &w, &msgno, &said))
			break;
		count++;
	}
	assert_int_equal(said, 101);
	assert_true(count > 50);
}

static void
test_verdicts_move_only_as_a_rule_says_that_binds(void **state)
{
	(void)state;
	(void)snprintf(up.rule.folder, sizeof(up.rule.folder), "Expired");
	events[0] = PK_EVENT_DELE;
	decide(PK_OCCASION_QUIT);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_string_equal(fake.folder, "Expired");
	/* A brake stops disposals; what the client marks is still moved. */
	up.rule.braked = true;
	decide(PK_OCCASION_QUIT);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_string_equal(fake.folder, "Expired");
	up.rule.dry_run = true;
	decide(PK_OCCASION_QUIT);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_string_equal(fake.folder, "");
	up.rule.dry_run = false;
	up.rule.effective_from = NOW + 1;
	decide(PK_OCCASION_QUIT);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_string_equal(fake.folder, "");
	up.has_rule = false;
	up.rule.effective_from = 0;
	decide(PK_OCCASION_QUIT);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_string_equal(fake.folder, "");
}

static void
test_verdicts_do_nothing_for_nobody(void **state)
{
	(void)state;
	fake.count = 0;
	decide(PK_OCCASION_QUIT);
	assert_int_equal(v.planned, 0);
	collect(INTENTS);
	collect(OUTCOMES);
	collect(WOULD);
	pk_verdicts_carry_out(&v, 1, v.count + 1);
	assert_int_equal(pk_verdicts_left(&v), 0);
}

static void
test_verdicts_are_none_without_memory(void **state)
{
	enum pk_err err;
	long n;

	(void)state;
	for (n = 0; n < 3; n++) {
		alloc_arm(n);
		err = pk_verdicts_decide(&v, &fake.head, PK_OCCASION_QUIT,
		    events, &up, 77, NOW);
		alloc_arm(-1);
		assert_int_equal(err, PK_ERR_NOMEM);
		assert_null(v.plan);
		assert_int_equal(pk_verdicts_left(&v), 0);
	}
	decide(PK_OCCASION_QUIT);
}

/* A share of more than max-share, and more than 20 messages. */
static void
test_verdicts_are_braked_by_share_and_number(void **state)
{
	static const struct {
		uint32_t messages, go, share;
		bool braked;
	} cases[] = {
		{ 20, 20, 10, false }, { 21, 21, 99, true },
		{ 21, 21, 100, false }, { 100, 50, 50, false },
		{ 100, 51, 50, true }, { 500, 21, 4, true },
		{ 600, 21, 4, false },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case %zu\n", i);
		assert_int_equal(setup(state), 0);
		fake.count = cases[i].messages;
		make_old(cases[i].messages - cases[i].go + 1);
		up.rule.max_share = cases[i].share;
		decide(PK_OCCASION_SWEEP);
		assert_int_equal(v.by_policy, cases[i].go);
		assert_int_equal(pk_verdicts_is_braked(&v), cases[i].braked);
		assert_int_equal(teardown(state), 0);
	}
	assert_int_equal(setup(state), 0);
}

static void
test_verdicts_count_what_is_overdue(void **state)
{
	int64_t oldest = 0;

	(void)state;
	assert_int_equal(pk_verdicts_overdue(&v, &oldest), 0);
	assert_int_equal(pk_verdicts_count(&v, PK_OUTCOME_KEPT), 0);
	make_old(6);
	fake.delivered[9] = NOW - 9 * DAY;
	decide(PK_OCCASION_SWEEP);
	/* Nothing has gone yet of what is due. */
	assert_int_equal(pk_verdicts_overdue(&v, &oldest), 5);
	assert_true(oldest == 7 * DAY);
	fake.outcome[5] = PK_OUTCOME_DISPOSED;
	fake.outcome[6] = PK_OUTCOME_FAILED;
	fake.outcome[7] = fake.outcome[8] = PK_OUTCOME_VANISHED;
	fake.outcome[9] = PK_OUTCOME_RETAINED;
	pk_verdicts_carry_out(&v, 1, 11);
	oldest = 0;
	assert_int_equal(pk_verdicts_overdue(&v, &oldest), 1);
	assert_true(oldest == DAY);
	assert_int_equal(pk_verdicts_count(&v, PK_OUTCOME_KEPT), 5);
	assert_int_equal(pk_verdicts_count(&v, PK_OUTCOME_DISPOSED), 1);
	assert_int_equal(pk_verdicts_count(&v, PK_OUTCOME_VANISHED), 2);
	assert_int_equal(pk_verdicts_count(&v, PK_OUTCOME_FAILED), 1);
	assert_int_equal(pk_verdicts_count(&v, PK_OUTCOME_RETAINED), 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_verdicts_tell_what_the_client_did_from_what_is_due),
		TEST(test_verdicts_know_a_whole_top),
		TEST(test_verdicts_need_no_session),
		TEST(test_verdicts_tell_intents_in_many_packets),
		TEST(test_verdicts_tell_outcomes_in_many_packets),
		TEST(test_verdicts_purge_what_was_retained),
		TEST(test_verdicts_count_only_marks_as_left),
		TEST(test_verdicts_are_braked_by_share_and_number),
		TEST(test_verdicts_count_what_is_overdue),
		TEST(test_verdicts_decide_again_for_the_rest),
		TEST(test_verdicts_keep_everything_when_told_so),
		TEST(test_verdicts_keep_the_marks_when_told_so),
		TEST(test_verdicts_follow_another_policy),
		TEST(test_verdicts_say_what_would_be),
		TEST(test_verdicts_say_it_a_hundred_times),
		TEST(test_verdicts_go_on_in_the_next_packet),
		TEST(test_verdicts_move_only_as_a_rule_says_that_binds),
		TEST(test_verdicts_do_nothing_for_nobody),
		TEST(test_verdicts_are_none_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
