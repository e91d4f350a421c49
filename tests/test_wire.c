/*
 * Packets of policyd's protocol: whatever comes in is refused, or is exactly
 * what some sender could have meant.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wire.h"
#include "tests/harness.h"

#define TEXT(to, text) (void)snprintf(to, sizeof(to), "%s", text)

static uint8_t packet[PK_WIRE_MAX], again[PK_WIRE_MAX];

/* ---- one of each -------------------------------------------------------- */

static void
fill_user(struct pk_wire *w)
{
	pk_wire_put_user(w, &(struct pk_wire_user){
		.user = "anna@example.org", .rule = "download-and-delete" });
}

static void
fill_login(struct pk_wire *w)
{
	pk_wire_put_login(w, &(struct pk_wire_login){
		.user = "anna", .ip = "2001:db8::17",
		.kind = PK_KIND_PASSWORD, .tls = true });
}

static void
fill_item(struct pk_audit_item *i, enum pk_audit_event event)
{
	memset(i, 0, sizeof(*i));
	i->event = event;
	TEXT(i->uidl, "1700000000.M1P2.host");
	TEXT(i->message_id, "<x@y>");
	TEXT(i->reason, "after-download");
	i->size = 0x0102030405060708;
	i->has_size = true;
	i->has_sha256 = true;
	memset(i->sha256, 0x5A, sizeof(i->sha256));
	i->sha256[31] = 0x01;
}

static void
fill_items(struct pk_wire *w)
{
	struct pk_audit_item i;

	fill_item(&i, PK_AUDIT_DISPOSE_INTENT);
	assert_true(pk_wire_put_item(w, &i));
	memset(&i, 0, sizeof(i));
	i.event = PK_AUDIT_RELEASE;
	assert_true(pk_wire_put_item(w, &i));
}

static void
fill_context(struct pk_wire *w)
{
	pk_wire_put_context(w, &(struct pk_audit_context){
		.user = "anna", .session = "17-4", .ip = "192.0.2.7",
		.mech = "APOP", .rule = "rule", .tls = true },
	    0x1112131415161718);
}

static void
fill_records(struct pk_wire *w)
{
	fill_context(w);
	fill_items(w);
}

static void
fill_name(struct pk_wire *w)
{
	pk_wire_put_name(w, "anna");
}

static void
fill_text(struct pk_wire *w)
{
	pk_wire_put_text(w, "popkeep policy accept: because");
}

static void
fill_nothing(struct pk_wire *w)
{
	(void)w;
}

static void
fill_user_is(struct pk_wire *w)
{
	struct pk_wire_user_is m;
	struct pk_rule *r = &m.policy.rule;

	memset(&m, 0, sizeof(m));
	m.serial = 77;
	m.unfinished = 3;
	m.policy.has_rule = true;
	TEXT(r->name, "download-and-delete");
	r->after_download = 0;
	r->after_delivery = PK_NEVER;
	r->unread = 60 * 86400;
	r->unread_from = PK_UNREAD_DELIVERY;
	r->minimum = 7;
	r->unconfirmed_limit = 2;
	r->top = PK_TOP_DENY;
	r->login_delay = 9;
	TEXT(r->folder, "Expired");
	r->effective_from = 1700000000;
	r->braked = true;
	r->max_share = 50;
	m.policy.holds = 5;
	TEXT(m.policy.hold[0], "case-1");
	TEXT(m.policy.hold[3], "case-4");
	m.policy.held_until = PK_NEVER;
	m.policy.clock_brake = true;
	m.policy.audit = PK_AUDIT_BEST_EFFORT;
	m.policy.audit_hash = true;
	memset(m.policy.hash, 0xA5, sizeof(m.policy.hash));
	pk_wire_put_user_is(w, &m);
}

static void
fill_login_is(struct pk_wire *w)
{
	struct pk_wire_login_is m;

	memset(&m, 0, sizeof(m));
	m.verdict = PK_LOGIN_RULE_UNKNOWN;
	m.result = PK_WIRE_NOT_YET;
	TEXT(m.rule, "printers");
	m.minimum_secret = 16;
	m.exclusive = true;
	m.needs_tls = true;
	pk_wire_put_login_is(w, &m);
}

static void
fill_recorded(struct pk_wire *w)
{
	pk_wire_put_recorded(w, PK_WIRE_STALE);
}

static void
fill_done(struct pk_wire *w)
{
	pk_wire_put_done(w, PK_WIRE_ERROR, "policy.conf:3: no");
}

static void (*const fills[PK_WIRE_TYPES])(struct pk_wire *w) = {
	[PK_WIRE_USER] = fill_user,
	[PK_WIRE_LOGIN] = fill_login,
	[PK_WIRE_RECORDS] = fill_records,
	[PK_WIRE_UNFINISHED] = fill_name,
	[PK_WIRE_NARROW] = fill_name,
	[PK_WIRE_RELOAD] = fill_text,
	[PK_WIRE_ACCEPT] = fill_text,
	[PK_WIRE_STATUS] = fill_nothing,
	[PK_WIRE_USER_IS] = fill_user_is,
	[PK_WIRE_LOGIN_IS] = fill_login_is,
	[PK_WIRE_RECORDED] = fill_recorded,
	[PK_WIRE_UNFINISHED_IS] = fill_items,
	[PK_WIRE_DONE] = fill_done,
};

static size_t
make(enum pk_wire_type type)
{
	struct pk_wire w;

	pk_wire_begin(&w, packet, type, PK_WIRE_DURABLE, 0xA1B2C3D4);
	fills[type](&w);
	assert_false(w.bad);
	return w.len;
}

/* ---- taken apart and put together again --------------------------------- */

/* Get one message and put it; false: it was refused. */
#define COPY(name, w, to)						\
	do {								\
		struct pk_wire_##name m;				\
									\
		if (!pk_wire_get_##name(w, &m))				\
			return false;					\
		PUT_##name(to, &m);					\
		return true;						\
	} while (0)
#define PUT_user(to, m) pk_wire_put_user(to, m)
#define PUT_user_is(to, m) pk_wire_put_user_is(to, m)
#define PUT_login(to, m) pk_wire_put_login(to, m)
#define PUT_login_is(to, m) pk_wire_put_login_is(to, m)
#define PUT_done(to, m) pk_wire_put_done(to, (m)->result, (m)->text)

static bool
copy_name(struct pk_wire *w, struct pk_wire *to)
{
	char user[PK_AUDIT_USER_SIZE];

	if (!pk_wire_get_name(w, user))
		return false;
	pk_wire_put_name(to, user);
	return true;
}

static bool
copy_text(struct pk_wire *w, struct pk_wire *to)
{
	char text[PK_WIRE_TEXT + 1];

	if (!pk_wire_get_text(w, text))
		return false;
	pk_wire_put_text(to, text);
	return true;
}

static bool
copy_recorded(struct pk_wire *w, struct pk_wire *to)
{
	enum pk_wire_result result;

	if (!pk_wire_get_recorded(w, &result))
		return false;
	pk_wire_put_recorded(to, result);
	return true;
}

static bool
copy_items(struct pk_wire *w, struct pk_wire *to)
{
	struct pk_audit_item i;

	while (pk_wire_get_item(w, &i)) {
		assert_true(i.event < PK_AUDIT_EVENTS);
		assert_true(i.size <= INT64_MAX);
		assert_true(pk_wire_put_item(to, &i));
	}
	return !w->bad;
}

static bool
copy_records(struct pk_wire *w, struct pk_wire *to)
{
	struct pk_audit_context c;
	uint64_t serial;

	if (!pk_wire_get_context(w, &c, &serial))
		return false;
	pk_wire_put_context(to, &c, serial);
	return copy_items(w, to);
}

static bool
copy_user_is(struct pk_wire *w, struct pk_wire *to)
{
	struct pk_wire_user_is m;
	const struct pk_rule *r = &m.policy.rule;

	if (!pk_wire_get_user_is(w, &m))
		return false;
	assert_true(m.result < PK_WIRE_RESULTS);
	assert_true(r->after_download >= 0 && r->after_delivery >= 0 &&
	    r->unread >= 0 && r->minimum >= 0 && r->effective_from >= 0);
	assert_true(m.policy.held_until >= 0);
	pk_wire_put_user_is(to, &m);
	return true;
}

static bool
copy(struct pk_wire *w, enum pk_wire_type type, struct pk_wire *to)
{
	switch (type) {
	case PK_WIRE_USER:
		COPY(user, w, to);
	case PK_WIRE_LOGIN:
		COPY(login, w, to);
	case PK_WIRE_RECORDS:
		return copy_records(w, to);
	case PK_WIRE_UNFINISHED:
	case PK_WIRE_NARROW:
		return copy_name(w, to);
	case PK_WIRE_RELOAD:
	case PK_WIRE_ACCEPT:
		return copy_text(w, to);
	case PK_WIRE_STATUS:
		return w->at == w->len;
	case PK_WIRE_USER_IS:
		return copy_user_is(w, to);
	case PK_WIRE_LOGIN_IS:
		COPY(login_is, w, to);
	case PK_WIRE_RECORDED:
		return copy_recorded(w, to);
	case PK_WIRE_UNFINISHED_IS:
		return copy_items(w, to);
	case PK_WIRE_DONE:
		COPY(done, w, to);
	}
	fail_msg("type %d", type);
	return false;
}

/*
 * Take len octets apart, before a guard page.  false: refused; else they are
 * octet by octet what the sender of the same message makes.
 */
static bool
is_taken(const uint8_t *data, size_t len)
{
	struct pk_span guarded = guard_copy(data, len);
	struct pk_wire_head head;
	struct pk_wire w, to;
	bool ok;

	ok = pk_wire_open(&w, (uint8_t *)(uintptr_t)guarded.data, len, &head);
	assert_true(head.type < PK_WIRE_TYPES);
	if (ok) {
		pk_wire_begin(&to, again, head.type, head.flags, head.id);
		ok = copy(&w, head.type, &to);
	}
	if (ok) {
		assert_int_equal(to.len, len);
		assert_memory_equal(again, data, len);
	}
	guard_free(guarded.data, len);
	return ok;
}

/* ---- tests -------------------------------------------------------------- */

static void
test_wire_brings_every_message_back(void **state)
{
	unsigned type;

	(void)state;
	for (type = 0; type < PK_WIRE_TYPES; type++) {
		print_message("case: type %u\n", type);
		assert_true(is_taken(packet, make(type)));
	}
}

/* policy.h: the file's mode is every rule's. */
static void
test_wire_refuses_a_rule_that_acts_in_a_dry_run_file(void **state)
{
	struct pk_wire_user_is m;
	struct pk_wire w;
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		memset(&m, 0, sizeof(m));
		m.policy.has_rule = i & 1;
		m.policy.dry_run = i & 2;
		m.policy.rule.dry_run = i & 4;
		pk_wire_begin(&w, packet, PK_WIRE_USER_IS, 0, 1);
		pk_wire_put_user_is(&w, &m);
		assert_int_equal(is_taken(packet, w.len), i != 3);
	}
}

static void
test_wire_keeps_what_was_said(void **state)
{
	struct pk_wire_user_is m;
	struct pk_wire_head head;
	struct pk_wire w;
	size_t len = make(PK_WIRE_USER_IS);

	(void)state;
	assert_true(pk_wire_open(&w, packet, len, &head));
	assert_int_equal(head.type, PK_WIRE_USER_IS);
	assert_int_equal(head.flags, PK_WIRE_DURABLE);
	assert_int_equal(head.id, 0xA1B2C3D4);
	assert_true(pk_wire_get_user_is(&w, &m));
	assert_true(m.serial == 77);
	assert_int_equal(m.unfinished, 3);
	assert_true(m.policy.rule.after_delivery == PK_NEVER);
	assert_int_equal(m.policy.rule.unread, 60 * 86400);
	assert_int_equal(m.policy.rule.top, PK_TOP_DENY);
	assert_string_equal(m.policy.rule.folder, "Expired");
	assert_true(m.policy.rule.braked && !m.policy.rule.dry_run);
	assert_string_equal(m.policy.hold[3], "case-4");
	assert_true(m.policy.clock_brake && !m.policy.dry_run);
	assert_int_equal(m.policy.audit, PK_AUDIT_BEST_EFFORT);
	assert_true(m.policy.audit_hash);
	assert_int_equal(m.policy.hash[31], 0xA5);
}

static void
test_wire_keeps_items_and_their_context(void **state)
{
	struct pk_audit_context c;
	struct pk_audit_item i;
	struct pk_wire_head head;
	uint64_t serial = 0;
	struct pk_wire w;
	size_t len = make(PK_WIRE_RECORDS);

	(void)state;
	assert_true(pk_wire_open(&w, packet, len, &head));
	assert_true(pk_wire_get_context(&w, &c, &serial));
	assert_true(serial == 0x1112131415161718);
	assert_string_equal(c.ip, "192.0.2.7");
	assert_true(c.tls);
	assert_true(pk_wire_get_item(&w, &i));
	assert_int_equal(i.event, PK_AUDIT_DISPOSE_INTENT);
	assert_string_equal(i.reason, "after-download");
	assert_true(i.has_size && i.size == 0x0102030405060708);
	assert_true(i.has_sha256 && i.sha256[0] == 0x5A &&
	    i.sha256[30] == 0x5A && i.sha256[31] == 0x01);
	assert_true(pk_wire_get_item(&w, &i));
	assert_int_equal(i.event, PK_AUDIT_RELEASE);
	assert_false(i.has_sha256 || i.sha256[31] != 0);
	assert_false(pk_wire_get_item(&w, &i));
	assert_false(w.bad);
}

static void
test_wire_refuses_every_truncation(void **state)
{
	unsigned type;
	size_t len, n;

	(void)state;
	for (type = 0; type < PK_WIRE_TYPES; type++) {
		len = make(type);
		for (n = 0; n < len; n++) {
			/* Between two items a packet may end. */
			if (is_taken(packet, n) && type != PK_WIRE_RECORDS &&
			    type != PK_WIRE_UNFINISHED_IS)
				fail_msg("type %u: %zu of %zu octets", type,
				    n, len);
		}
	}
}

static void
test_wire_refuses_octets_behind_the_end(void **state)
{
	unsigned type;
	size_t len;

	(void)state;
	for (type = 0; type < PK_WIRE_TYPES; type++) {
		len = make(type);
		packet[len] = 0;
		if (is_taken(packet, len + 1))
			fail_msg("type %u takes another octet", type);
	}
}

static void
test_wire_survives_every_flipped_bit(void **state)
{
	unsigned type;
	size_t len, bit;

	(void)state;
	for (type = 0; type < PK_WIRE_TYPES; type++) {
		len = make(type);
		for (bit = 0; bit < 8 * len; bit++) {
			packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
			(void)is_taken(packet, len);
			packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void
test_wire_survives_random_octets(void **state)
{
	unsigned round, taken = 0;
	size_t len, i, n;

	(void)state;
	random_begin();
	for (round = 0; round < 20000; round++) {
		len = make(round % PK_WIRE_TYPES);
		/* Behind a good head, lest all end there; or the whole. */
		n = round % 7 == 0 ? 0 : 12;
		for (i = n; i < len; i++)
			if (random_below(4) == 0)
				packet[i] = (uint8_t)random_below(256);
		taken += is_taken(packet, len);
	}
	assert_true(taken > 0 && taken < round);
}

static void
test_wire_refuses_other_versions_and_types(void **state)
{
	size_t len = make(PK_WIRE_STATUS);

	(void)state;
	packet[0] = PK_WIRE_VERSION + 1;
	assert_false(is_taken(packet, len));
	packet[0] = PK_WIRE_VERSION;
	assert_true(is_taken(packet, len));
	packet[1] = PK_WIRE_TYPES;
	assert_false(is_taken(packet, len));
}

static void
test_wire_refuses_a_packet_beyond_the_maximum(void **state)
{
	uint8_t *large = calloc(1, PK_WIRE_MAX + 1);
	struct pk_wire_head head;
	struct pk_wire w;

	(void)state;
	assert_non_null(large);
	pk_wire_begin(&w, large, PK_WIRE_STATUS, 0, 1);
	assert_true(pk_wire_open(&w, large, PK_WIRE_MAX, &head));
	assert_false(pk_wire_open(&w, large, PK_WIRE_MAX + 1, &head));
	free(large);
}

static void
test_wire_refuses_a_nul_in_a_string(void **state)
{
	struct pk_wire_user m;
	struct pk_wire_head head;
	struct pk_wire w;
	size_t len = make(PK_WIRE_USER);

	(void)state;
	packet[12 + 2 + 4] = '\0';	/* head, length, "anna" */
	assert_true(pk_wire_open(&w, packet, len, &head));
	assert_false(pk_wire_get_user(&w, &m));
}

static void
put_long(struct pk_wire *w, size_t len)
{
	static char text[PK_WIRE_MAX + 70000];

	memset(text, 'x', len);
	text[len] = '\0';
	pk_wire_begin(w, packet, PK_WIRE_UNFINISHED, 0, 1);
	pk_wire_put_name(w, text);
}

static void
test_wire_takes_strings_up_to_their_limit(void **state)
{
	struct pk_wire w;

	(void)state;
	put_long(&w, PK_AUDIT_USER_SIZE - 1);
	assert_true(is_taken(packet, w.len));
	put_long(&w, PK_AUDIT_USER_SIZE);
	assert_false(is_taken(packet, w.len));
	put_long(&w, PK_WIRE_MAX);
	assert_true(w.bad);
	/* A length that does not fit two octets. */
	put_long(&w, 65536 + 4);
	assert_true(w.bad);
}

static void
test_wire_fills_a_packet_and_leaves_it_whole(void **state)
{
	static uint8_t before[PK_WIRE_MAX];
	struct pk_audit_item i;
	struct pk_wire_head head;
	struct pk_wire w;
	size_t len, items = 0, back = 0;

	(void)state;
	fill_item(&i, PK_AUDIT_DISPOSED);
	pk_wire_begin(&w, packet, PK_WIRE_UNFINISHED_IS, 0, 1);
	do {
		len = w.len;
		memcpy(before, packet, len);
		items++;
	} while (pk_wire_put_item(&w, &i));
	items--;
	assert_true(PK_WIRE_MAX - len < 100);
	assert_int_equal(w.len, len);
	assert_false(w.bad);
	assert_memory_equal(before, packet, len);
	/* A shorter one may still fit, and the packet is fine. */
	assert_true(is_taken(packet, w.len));
	assert_true(pk_wire_open(&w, packet, w.len, &head));
	while (pk_wire_get_item(&w, &i))
		back++;
	assert_int_equal(back, items);
}

static void
test_wire_adds_nothing_to_a_bad_packet(void **state)
{
	struct pk_audit_item i;
	struct pk_wire w;

	(void)state;
	put_long(&w, PK_WIRE_MAX);
	memset(&i, 0, sizeof(i));
	assert_false(pk_wire_put_item(&w, &i));
	assert_true(w.bad);
}

static void
test_wire_refuses_sizes_that_no_log_can_tell(void **state)
{
	struct pk_audit_item i;
	struct pk_wire w;

	(void)state;
	fill_item(&i, PK_AUDIT_DISPOSED);
	i.size = INT64_MAX;
	pk_wire_begin(&w, packet, PK_WIRE_UNFINISHED_IS, 0, 1);
	assert_true(pk_wire_put_item(&w, &i));
	assert_true(is_taken(packet, w.len));
	i.size++;
	assert_true(pk_wire_put_item(&w, &i));
	assert_false(is_taken(packet, w.len));
}

static void
test_wire_names_every_result(void **state)
{
	unsigned i, k;

	(void)state;
	for (i = 0; i < PK_WIRE_RESULTS; i++) {
		assert_non_null(pk_wire_result_name(i));
		for (k = 0; k < i; k++)
			assert_string_not_equal(pk_wire_result_name(i),
			    pk_wire_result_name(k));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire_brings_every_message_back),
		cmocka_unit_test(
		    test_wire_refuses_a_rule_that_acts_in_a_dry_run_file),
		cmocka_unit_test(test_wire_keeps_what_was_said),
		cmocka_unit_test(test_wire_keeps_items_and_their_context),
		cmocka_unit_test(test_wire_refuses_every_truncation),
		cmocka_unit_test(test_wire_refuses_octets_behind_the_end),
		cmocka_unit_test(test_wire_survives_every_flipped_bit),
		cmocka_unit_test(test_wire_survives_random_octets),
		cmocka_unit_test(test_wire_refuses_other_versions_and_types),
		cmocka_unit_test(
		    test_wire_refuses_a_packet_beyond_the_maximum),
		cmocka_unit_test(test_wire_refuses_a_nul_in_a_string),
		cmocka_unit_test(test_wire_takes_strings_up_to_their_limit),
		cmocka_unit_test(
		    test_wire_fills_a_packet_and_leaves_it_whole),
		cmocka_unit_test(test_wire_adds_nothing_to_a_bad_packet),
		cmocka_unit_test(
		    test_wire_refuses_sizes_that_no_log_can_tell),
		cmocka_unit_test(test_wire_names_every_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
