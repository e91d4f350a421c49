/*
 * Lines of the audit log: what goes in comes out, and no field can break a line
 * or pass for another.
 *
 * SPDX-License-Identifier: ISC
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "engine/audit.h"
#include "tests/harness.h"

#define TEXT(to, text) (void)snprintf(to, sizeof(to), "%s", text)

/* Every field of a record that a peer may fill. */
static const struct field {
	const char *key;
	bool of_item;
	size_t offset, size;
} fields[] = {
#define CONTEXT(key, member) { key, false, \
	offsetof(struct pk_audit_context, member), \
	sizeof(((struct pk_audit_context *)0)->member) }
#define ITEM(key, member) { key, true, \
	offsetof(struct pk_audit_item, member), \
	sizeof(((struct pk_audit_item *)0)->member) }
	CONTEXT("user", user), CONTEXT("session", session),
	CONTEXT("ip", ip), CONTEXT("mech", mech), CONTEXT("rule", rule),
	ITEM("uidl", uidl), ITEM("message_id", message_id),
	ITEM("reason", reason),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint8_t policy[PK_POLICY_HASH_LEN], prev[PK_AUDIT_HASH_LEN];

static struct record {
	struct pk_audit_stamp stamp;
	struct pk_audit_context context;
	struct pk_audit_item item;
} r;

static char line[PK_AUDIT_LINE_MAX];
static size_t len;

static int
setup(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	memset(policy, 0xB7, sizeof(policy));
	memset(prev, 0x0E, sizeof(prev));
	r.stamp = (struct pk_audit_stamp){ .seq = 17,
	    .time = INT64_C(1700000000000042), .host = "mail.example.org",
	    .uid = 1000, .pid = 4711, .policy = policy, .prev = prev };
	TEXT(r.context.user, "anna");
	TEXT(r.context.session, "1-2");
	TEXT(r.context.ip, "192.0.2.7");
	TEXT(r.context.mech, "APOP");
	TEXT(r.context.rule, "finance");
	r.context.tls = true;
	r.item.event = PK_AUDIT_DISPOSED;
	TEXT(r.item.uidl, "17.x");
	TEXT(r.item.message_id, "<a@b>");
	TEXT(r.item.reason, "dele");
	r.item.size = 4096;
	r.item.has_size = true;
	r.item.has_sha256 = true;
	memset(r.item.sha256, 0x5A, sizeof(r.item.sha256));
	return 0;
}

static char *
field(const struct field *f)
{
	return (char *)(f->of_item ? (void *)&r.item : (void *)&r.context) +
	    f->offset;
}

static void
format(void)
{
	assert_int_equal(pk_audit_format(&r.stamp, &r.context, &r.item, line,
	    &len), PK_OK);
	assert_true(len <= PK_AUDIT_LINE_MAX);
	assert_int_equal(line[len - 1], '\n');
}

/* Format, and read back what was said. */
static void
check_round_trip(void)
{
	struct pk_audit_line l;
	size_t i;

	format();
	for (i = 0; i + 1 < len; i++)
		assert_true(line[i] >= 0x20 && line[i] < 0x7F);
	assert_int_equal(pk_audit_parse(line, len - 1, &l), PK_OK);
	assert_true(l.seq == r.stamp.seq);
	assert_true(l.time == r.stamp.time);
	assert_string_equal(l.host, r.stamp.host);
	assert_true(l.uid == r.stamp.uid && l.pid == r.stamp.pid);
	assert_int_equal(l.has_policy, r.stamp.policy != NULL);
	if (l.has_policy)
		assert_memory_equal(l.policy, policy, sizeof(policy));
	assert_int_equal(l.item.event, r.item.event);
	assert_memory_equal(l.prev, prev, sizeof(prev));
	for (i = 0; i < FIELDS; i++)
		assert_string_equal((fields[i].of_item ? (char *)&l.item :
		    (char *)&l.context) + fields[i].offset,
		    field(&fields[i]));
	assert_int_equal(l.item.has_size, r.item.has_size);
	assert_true(l.item.size == r.item.size);
	assert_int_equal(l.item.has_sha256, r.item.has_sha256);
	assert_memory_equal(l.item.sha256, r.item.sha256,
	    sizeof(r.item.sha256));
}

static void
test_audit_writes_the_line_that_is_documented(void **state)
{
	(void)state;
	format();
	line[len] = '\0';
	assert_string_equal(line, "{\"v\":1,\"seq\":17,"
	    "\"time\":\"2023-11-14T22:13:20.000042Z\","
	    "\"host\":\"mail.example.org\",\"event\":\"disposed\","
	    "\"session\":\"1-2\",\"user\":\"anna\","
	    "\"peer\":{\"uid\":1000,\"pid\":4711},\"ip\":\"192.0.2.7\","
	    "\"tls\":true,\"mech\":\"APOP\",\"uidl\":\"17.x\","
	    "\"message_id\":\"<a@b>\",\"size\":4096,\"sha256\":\""
	    "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
	    "\",\"rule\":\"finance\","
	    "\"reason\":\"dele\",\"policy\":\""
	    "b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7"
	    "\",\"prev\":\""
	    "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e"
	    "\"}\n");
}

static void
test_audit_leaves_out_what_does_not_apply(void **state)
{
	(void)state;
	memset(&r.context, 0, sizeof(r.context));
	memset(&r.item, 0, sizeof(r.item));
	r.stamp.policy = NULL;
	check_round_trip();
	line[len] = '\0';
	assert_null(strstr(line, "\"user\""));
	assert_null(strstr(line, "\"tls\""));
	assert_null(strstr(line, "\"size\""));
	assert_null(strstr(line, "\"sha256\""));
	assert_null(strstr(line, "\"policy\""));
	assert_non_null(strstr(line, "\"event\":\"start\""));
}

static void
test_audit_brings_every_event_back(void **state)
{
	const struct pk_seal seal = { .epoch = 3, .key = { 1 }, .next = { 2 } };
	unsigned i, k;

	(void)state;
	for (i = 0; i < PK_AUDIT_EVENTS; i++) {
		assert_non_null(pk_audit_event_name(i));
		for (k = 0; k < i; k++)
			assert_string_not_equal(pk_audit_event_name(i),
			    pk_audit_event_name(k));
		r.item.event = i;
		r.stamp.seal = i == PK_AUDIT_SEAL ? &seal : NULL;
		check_round_trip();
	}
}

static void
test_audit_brings_numbers_back(void **state)
{
	static const uint64_t sizes[] = { 0, 1, INT64_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		r.item.size = r.stamp.seq = sizes[i];
		r.stamp.uid = UINT32_MAX;
		check_round_trip();
	}
	r.stamp.time = -1;
	format();
	line[len] = '\0';
	assert_non_null(strstr(line, "\"time\":\"1970-01-01T00:00:00.000000Z"));
	/* No number is negative, and none makes a record impossible. */
	r.item.size = UINT64_MAX;
	format();
	line[len] = '\0';
	assert_non_null(strstr(line, "\"size\":9223372036854775807,"));
}

/* Every 97th day to the end of 9999, leap years and their ends included. */
static void
test_audit_tells_the_time(void **state)
{
	struct pk_audit_line l;
	char expected[64];
	struct tm tm;
	time_t t;

	(void)state;
	for (t = 86399; t < INT64_C(253402300800); t += 97 * 86400 + 3601) {
		assert_non_null(gmtime_r(&t, &tm));
		assert_true(strftime(expected, sizeof(expected),
		    "\"time\":\"%Y-%m-%dT%H:%M:%S.000007Z\"", &tm) > 0);
		r.stamp.time = (int64_t)t * 1000000 + 7;
		format();
		line[len] = '\0';
		assert_non_null(strstr(line, expected));
		assert_int_equal(pk_audit_parse(line, len - 1, &l), PK_OK);
		assert_true(l.time == r.stamp.time);
	}
	assert_true(tm.tm_year + 1900 == 9999);
}

/* What a client might send to break a line, or to forge one. */
static const char *const awkward[] = {
	"\n", "\r\n{\"v\":1,\"seq\":18}", "\"", "\\", "\\\"", "\\u000a",
	"%", "%00", "%0A", "%%", "%zz", "\x01\x1f\x7f", "\xff\xfe",
	"\xc3\xa4", "\xe2\x80\xa8", "\xed\xa0\x80", "</script>", "'", "$(x)",
	"\",\"event\":\"disposed\",\"x\":\"", "a b", "\t", "\x80",
};

static void
test_audit_lets_no_field_break_a_line(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < FIELDS; i++) {
		for (k = 0; k < sizeof(awkward) / sizeof(awkward[0]); k++) {
			char *text = field(&fields[i]);

			if (strlen(awkward[k]) >= fields[i].size)
				continue;
			(void)setup(NULL);
			memset(text, 0, fields[i].size);
			memcpy(text, awkward[k], strlen(awkward[k]));
			check_round_trip();
		}
	}
}

static void
test_audit_brings_every_octet_back_in_every_field(void **state)
{
	unsigned octet;
	size_t i;

	(void)state;
	for (octet = 1; octet < 256; octet++) {
		for (i = 0; i < FIELDS; i++)
			memset(field(&fields[i]), (int)octet,
			    fields[i].size - 1);
		check_round_trip();
	}
}

/* Whatever another reader of JSON makes of it: the keys are ours, each once. */
static void
test_audit_tells_other_readers_the_same(void **state)
{
	const char *key;
	json_t *o, *value;
	size_t n = 0;

	(void)state;
	TEXT(r.item.reason, "\",\"event\":\"stop\",\"a\":\"\n%");
	format();
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	json_object_foreach(o, key, value)
		n++;
	assert_int_equal(n, 19);
	assert_string_equal(json_string_value(json_object_get(o, "event")),
	    "disposed");
	assert_string_equal(json_string_value(json_object_get(o, "reason")),
	    "\",\"event\":\"stop\",\"a\":\"%0A%25");
	json_decref(o);
}

static void
test_audit_has_room_for_the_longest_record(void **state)
{
	static const unsigned char octets[] = { 0xff, '"', '\\', '%', 'x' };
	char host[256];
	size_t i, k, longest = 0;

	(void)state;
	for (k = 0; k < sizeof(octets); k++) {
		memset(host, octets[k], sizeof(host) - 1);
		host[sizeof(host) - 1] = '\0';
		r.stamp = (struct pk_audit_stamp){ .seq = UINT64_MAX,
		    .time = INT64_MAX, .host = host, .uid = UINT32_MAX,
		    .pid = INT64_MAX, .policy = policy, .prev = prev };
		r.item.event = PK_AUDIT_DOWNLOADED_UNCONFIRMED;
		r.item.size = UINT64_MAX;
		r.context.tls = false;
		for (i = 0; i < FIELDS; i++)
			memset(field(&fields[i]), octets[k],
			    fields[i].size - 1);
		format();
		longest = len > longest ? len : longest;
	}
	print_message("the longest line: %zu octets\n", longest);
}

/* Lines that are no records of ours. */
static const char *const foreign[] = {
	"", "{", "{}", "[]", "null", "17", "\"x\"", "hello",
	"{\"v\":2,\"seq\":1,\"event\":\"stop\"}",
	"{\"v\":1,\"seq\":1,\"event\":\"stop\"}",
};

#define KEY "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e"

/* Each breaks the fine line of setup(). */
static const struct {
	const char *from, *to;
} edits[] = {
	{ "\"v\":1", "\"v\":2" }, { "\"v\":1", "\"v\":\"1\"" },
	{ "\"seq\":17", "\"seq\":-1" }, { "\"seq\":17", "\"seq\":\"17\"" },
	{ "\"seq\":17", "\"seq\":1.5" }, { "\"seq\":17,", "" },
	{ "\"anna\"", "7" }, { "\"anna\"", "null" },
	{ "\"anna\"", "\"%4\"" }, { "\"anna\"", "\"%\"" },
	{ "\"anna\"", "\"%00\"" }, { "\"anna\"", "\"\\u0000\"" },
	{ "\"anna\"", "\"\\n\"" }, { "\"anna\"", "\"\\u00e4\"" },
	{ "\"size\":4096", "\"size\":\"x\"" },
	{ "\"size\":4096", "\"size\":-1" },
	{ "\"sha256\":\"5a", "\"sha256\":\"5" },
	{ "\"sha256\":\"5a", "\"sha256\":\"5a5a" },
	{ "\"sha256\":\"5a", "\"sha256\":\"5g" },
	{ "\"sha256\":\"", "\"sha256\":null,\"x\":\"" },
	{ "\"sha256\":\"", "\"sha256\":17,\"x\":\"" },
	{ "\"sha256\":\"", "\"sha256\":\"\",\"x\":\"" },
	{ "\"time\":\"2023", "\"time\":\"1969" },
	{ "\"time\":\"2023-11-14", "\"time\":\"2023-11-31" },
	{ "\"time\":\"2023-11-14", "\"time\":\"2023-02-29" },
	{ "\"time\":\"2023-11-14", "\"time\":\"2023-13-14" },
	{ "\"time\":\"2023-11", "\"time\":\"2023-1" },
	{ "T22:13", "T24:13" }, { "T22:13", "T22:60" },
	{ ":20.000042Z", ":60.000042Z" }, { "042Z", "042" },
	{ "042Z", "042Zx" }, { "\"time\":", "\"when\":" },
	{ "\"uid\":1000", "\"uid\":-1" },
	{ "\"uid\":1000", "\"uid\":4294967296" },
	{ "\"uid\":1000", "\"uid\":\"1000\"" },
	{ ",\"pid\":4711", "" }, { "\"pid\":4711", "\"pid\":-1" },
	{ "\"peer\":", "\"pear\":" }, { "\"policy\":\"b7", "\"policy\":\"b" },
	{ "\"mail.example.org\"", "7" },
	{ "\"event\":\"disposed\"", "\"event\":\"seal\"" },
	{ "\"v\":1", "\"v\":1,\"epoch\":0,\"key\":\"" KEY "\",\"next\":\"" KEY
	    "\"" },
	{ "\"prev\":\"0e", "\"prev\":\"0" },
	{ "\"prev\":\"0e", "\"prev\":\"0g" },
	{ "\"prev\":\"0e", "\"prev\":\"0e0e" },
	{ "\"prev\":", "\"last\":" }, { "\"disposed\"", "7" },
	{ "\"event\":\"disposed\",", "" },
	{ "\"user\":", "\"event\":\"stop\",\"user\":" },
	{ "\"v\":1", "\"v\":1}{\"v\":1" },
	{ "\"17.x\"", "\"123456789012345678901234567890123456789012345678901"
	    "23456789012345678901\"" },
};

static void
edit(const char *from, const char *to)
{
	char rest[PK_AUDIT_LINE_MAX];
	char *at;

	(void)setup(NULL);
	format();
	line[len] = '\0';
	at = strstr(line, from);
	assert_non_null(at);
	TEXT(rest, at + strlen(from));
	len = (size_t)(at - line);
	len += (size_t)snprintf(at, sizeof(line) - len, "%s%s", to, rest);
}

static void
test_audit_refuses_what_is_no_record(void **state)
{
	struct pk_audit_line l;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		expect(foreign[i], pk_audit_parse(foreign[i],
		    strlen(foreign[i]), &l) == PK_ERR_SYNTAX);
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		edit(edits[i].from, edits[i].to);
		expect(edits[i].to, pk_audit_parse(line, len - 1, &l) ==
		    PK_ERR_SYNTAX);
	}
	format();
	line[5] = '\0';
	assert_int_equal(pk_audit_parse(line, len - 1, &l), PK_ERR_SYNTAX);
}

static void
test_audit_tells_the_place_of_an_unknown_event(void **state)
{
	struct pk_audit_line l;

	(void)state;
	edit("\"disposed\"", "\"sealion\"");
	memset(&l, 0, sizeof(l));
	assert_int_equal(pk_audit_parse(line, len - 1, &l), PK_ERR_NOTFOUND);
	assert_true(l.seq == 17);
	assert_memory_equal(l.prev, prev, sizeof(prev));
}

static void
test_audit_survives_truncations_and_flipped_bits(void **state)
{
	struct pk_audit_line l;
	struct pk_span s;
	size_t n, bit;

	(void)state;
	format();
	for (n = 0; n + 1 < len; n++) {
		s = guard_copy(line, n);
		assert_int_equal(pk_audit_parse((const char *)s.data, n, &l),
		    PK_ERR_SYNTAX);
		guard_free(s.data, n);
	}
	for (bit = 0; bit < 8 * (len - 1); bit++) {
		s = guard_copy(line, len - 1);
		((uint8_t *)(uintptr_t)s.data)[bit / 8] ^=
		    (uint8_t)(1 << bit % 8);
		(void)!pk_audit_parse((const char *)s.data, len - 1, &l);
		guard_free(s.data, len - 1);
	}
}

static void
test_audit_survives_every_failed_allocation(void **state)
{
	struct pk_audit_line l, fine;
	enum pk_err err;
	long n, total;

	(void)state;
	json_set_alloc_funcs(malloc, free);
	alloc_arm(-1);
	format();
	assert_int_equal(alloc_count(), 0);
	alloc_arm(-1);
	assert_int_equal(pk_audit_parse(line, len - 1, &fine), PK_OK);
	total = alloc_count();
	assert_true(total > 10);
	for (n = 0; n < total; n++) {
		alloc_arm(n);
		err = pk_audit_parse(line, len - 1, &l);
		alloc_arm(-1);
		/* jansson can do without some of them. */
		if (err == PK_OK)
			assert_memory_equal(&l, &fine, sizeof(l));
		else
			assert_int_equal(err, PK_ERR_SYNTAX);
	}
}

/* Only what policyd itself says tells that records were pruned. */
static void
test_audit_knows_the_reason_of_pruning(void **state)
{
	static const char *const wrong[] = { "", "records 1 to ",
	    "records 1 to 5", "records 2 to 5: audit-keep is 1d",
	    "records 1 to 05: audit-keep is 1d",
	    "records 1 to -5: audit-keep is 1d",
	    "records 1 to 5x: audit-keep is 1d",
	    "records 1 to 18446744073709551616: audit-keep is 1d" };
	char reason[PK_AUDIT_REASON_SIZE];
	uint64_t last = 0;
	size_t i;

	(void)state;
	pk_audit_pruned_put(reason, UINT64_MAX, "365d");
	assert_string_equal(reason, "records 1 to 18446744073709551615: "
	    "audit-keep is 365d");
	assert_true(pk_audit_pruned_get(reason, &last));
	assert_true(last == UINT64_MAX);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect(wrong[i], !pk_audit_pruned_get(wrong[i], &last));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_audit_writes_the_line_that_is_documented),
		TEST(test_audit_leaves_out_what_does_not_apply),
		TEST(test_audit_brings_every_event_back),
		TEST(test_audit_brings_numbers_back),
		TEST(test_audit_tells_the_time),
		TEST(test_audit_lets_no_field_break_a_line),
		TEST(test_audit_brings_every_octet_back_in_every_field),
		TEST(test_audit_tells_other_readers_the_same),
		TEST(test_audit_has_room_for_the_longest_record),
		TEST(test_audit_refuses_what_is_no_record),
		TEST(test_audit_tells_the_place_of_an_unknown_event),
		TEST(test_audit_survives_truncations_and_flipped_bits),
		TEST(test_audit_survives_every_failed_allocation),
		TEST(test_audit_knows_the_reason_of_pruning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
