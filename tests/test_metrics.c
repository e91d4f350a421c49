/*
 * Metrics: what is counted, and the text that it becomes.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/overdue.h"
#include "standalone/metrics.h"
#include "tests/harness.h"

/* ---- text ---------------------------------------------------------------- */

static char *text;
static size_t text_len;

static struct pk_exposition
begin(enum pk_exposition_form form)
{
	struct pk_exposition x = { .form = form };

	text = NULL;
	x.to = open_memstream(&text, &text_len);
	assert_non_null(x.to);
	return x;
}

/* It is this text; NULL: look at text, and free it. */
static void
end(struct pk_exposition *x, const char *wanted)
{
	assert_int_equal(fclose(x->to), 0);
	if (wanted == NULL)
		return;
	assert_string_equal(text, wanted);
	free(text);
}

static void
test_metrics_name_a_family_as_the_format_wants_it(void **state)
{
	static const struct {
		struct pk_metric metric;
		const char *old, *new;
	} rows[] = {
		{ { "a_bytes", PK_METRIC_COUNTER, "bytes", "A" },
		    "# TYPE a_bytes_total counter\n"
		    "# UNIT a_bytes_total bytes\n"
		    "# HELP a_bytes_total A.\na_bytes_total 7\n# EOF\n",
		    "# TYPE a_bytes counter\n# UNIT a_bytes bytes\n"
		    "# HELP a_bytes A.\na_bytes_total 7\n# EOF\n" },
		{ { "a", PK_METRIC_GAUGE, "", "A" },
		    "# TYPE a gauge\n# HELP a A.\na 7\n# EOF\n",
		    "# TYPE a gauge\n# HELP a A.\na 7\n# EOF\n" },
		{ { "a", PK_METRIC_INFO, "", "A" },
		    "# TYPE a_info gauge\n# HELP a_info A.\na_info 7\n# EOF\n",
		    "# TYPE a info\n# HELP a A.\na_info 7\n# EOF\n" },
	};
	struct pk_exposition x;
	size_t i, form;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (form = 0; form < 2; form++) {
			x = begin(form ? PK_EXPOSITION_OPENMETRICS :
			    PK_EXPOSITION_PROMETHEUS);
			pk_exposition_metric(&x, &rows[i].metric);
			pk_exposition_sample(&x, NULL, 0, 7);
			pk_exposition_end(&x);
			end(&x, form ? rows[i].new : rows[i].old);
		}
}

static void
test_metrics_let_no_label_break_a_line(void **state)
{
	static const struct pk_metric metric = { "a", PK_METRIC_GAUGE, "",
	    "A" };
	const struct pk_label labels[2] = { { "k", "a\"} 1\nb{c=\"\\" },
	    { "l", "100%\xc3\x7f\r" } };
	struct pk_exposition x = begin(PK_EXPOSITION_OPENMETRICS);

	(void)state;
	pk_exposition_metric(&x, &metric);
	pk_exposition_sample(&x, labels, 2, UINT64_MAX);
	end(&x, "# TYPE a gauge\n# HELP a A.\n"
	    "a{k=\"a\\\"} 1%0Ab{c=\\\"\\\\\",l=\"100%25%C3%7F%0D\"} "
	    "18446744073709551615\n");
}

/* ---- time ---------------------------------------------------------------- */

/* The number of text's line that begins with start. */
static double
number_after(const char *start)
{
	const char *p = strstr(text, start);

	if (p == NULL)
		fail_msg("no %s in %s", start, text);
	return p != NULL ? strtod(p + strlen(start), NULL) : -1;
}

static void
test_metrics_put_times_into_buckets(void **state)
{
	static const struct pk_metric metric = { "s_seconds",
	    PK_METRIC_HISTOGRAM, "seconds", "S" };
	struct pk_exposition x = begin(PK_EXPOSITION_OPENMETRICS);
	struct pk_latency l;

	(void)state;
	memset(&l, 0, sizeof(l));
	pk_latency_add(&l, -5);		/* a clock that went back */
	pk_latency_add(&l, 250000);	/* a bound is in its bucket */
	pk_latency_add(&l, 250001);
	pk_latency_add(&l, 1000000000);
	pk_latency_add(&l, INT64_C(3000000000));
	pk_latency_add(&l, INT64_C(3600000000000));
	pk_exposition_metric(&x, &metric);
	pk_exposition_latency(&x, &l);
	end(&x, NULL);
	assert_true(number_after("s_seconds_bucket{le=\"0.00025\"} ") == 2);
	assert_true(number_after("s_seconds_bucket{le=\"0.0005\"} ") == 3);
	assert_true(number_after("s_seconds_bucket{le=\"0.5\"} ") == 3);
	assert_true(number_after("s_seconds_bucket{le=\"1.0\"} ") == 4);
	assert_true(number_after("s_seconds_bucket{le=\"5.0\"} ") == 5);
	assert_true(number_after("s_seconds_bucket{le=\"+Inf\"} ") == 6);
	assert_true(number_after("s_seconds_count ") == 6);
	assert_non_null(strstr(text, "s_seconds_sum 3604.000500001\n"));
	free(text);
}

/* ---- records ------------------------------------------------------------- */

static struct pk_metrics metrics;

static int
setup(void **state)
{
	(void)state;
	memset(&metrics, 0, sizeof(metrics));
	return 0;
}

static void
count(enum pk_audit_event event, const char *mech, bool tls,
    const char *reason, uint64_t size)
{
	struct pk_audit_context c = { .tls = tls };
	struct pk_audit_item i = { .event = event, .size = size,
	    .has_size = size > 0 };

	(void)snprintf(c.mech, sizeof(c.mech), "%s", mech);
	(void)snprintf(i.reason, sizeof(i.reason), "%s", reason);
	pk_metrics_count(&metrics, &c, &i);
}

static void
expose(void)
{
	struct pk_exposition x = begin(PK_EXPOSITION_PROMETHEUS);

	pk_metrics_expose(&metrics, &x);
	end(&x, NULL);
}

static bool
has(const char *line)
{
	return strstr(text, line) != NULL;
}

static void
test_metrics_count_logins(void **state)
{
	(void)state;
	count(PK_AUDIT_LOGIN, "APOP", false, "", 0);
	count(PK_AUDIT_LOGIN, "APOP", false, "", 0);
	count(PK_AUDIT_LOGIN, "USER", true, "policy: x", 0);
	count(PK_AUDIT_LOGIN_FAILED, "USER", false, "wrong", 0);
	count(PK_AUDIT_LOGIN_FAILED, "PLAIN", true, "policy: rule x", 0);
	count(PK_AUDIT_LOGIN_FAILED, "CRAM-MD5", true, "policy", 0);
	expose();
#define LOGINS(m, t, r) "popkeep_logins_total{mech=\"" m "\",tls=\"" t \
	"\",result=\"" r "\"} "
	assert_true(has(LOGINS("APOP", "no", "ok") "2\n"));
	assert_true(has(LOGINS("USER", "yes", "ok") "1\n"));
	assert_true(has(LOGINS("USER", "no", "failed") "1\n"));
	assert_true(has(LOGINS("PLAIN", "yes", "policy") "1\n"));
	assert_true(has(LOGINS("other", "yes", "failed") "1\n"));
	assert_true(has(LOGINS("LOGIN", "no", "ok") "0\n"));
	assert_true(has("popkeep_records_total{event=\"login\"} 3\n"));
	assert_true(has("popkeep_records_total{event=\"login-failed\"} 3\n"));
	free(text);
}

static void
test_metrics_count_what_became_of_messages(void **state)
{
	(void)state;
	count(PK_AUDIT_DISPOSED, "", false, "after-download", 10);
	count(PK_AUDIT_DISPOSED, "", false, "dele", 10);
	count(PK_AUDIT_DISPOSED, "", false, "dele", 10);
	count(PK_AUDIT_RETAINED, "", false, "hold:secret name", 10);
	count(PK_AUDIT_PURGED, "", false, "released", 10);
	count(PK_AUDIT_CLOSED_UNKNOWN, "", false, "any text\"", 10);
	count(PK_AUDIT_DISPOSE_INTENT, "", false, "dele", 10);
	count(PK_AUDIT_DOWNLOADED, "", false, "", 1000);
	count(PK_AUDIT_DOWNLOADED, "", false, "", 24);
	count(PK_AUDIT_DOWNLOADED_UNCONFIRMED, "", false, "", 7);
	count(PK_AUDIT_TOP_WHOLE, "", false, "", 5);
	expose();
#define BECAME(o, r) "popkeep_dispositions_total{outcome=\"" o \
	"\",reason=\"" r "\"} "
	assert_true(has(BECAME("disposed", "after-download") "1\n"));
	assert_true(has(BECAME("disposed", "dele") "2\n"));
	assert_true(has(BECAME("retained", "hold") "1\n"));
	assert_true(has(BECAME("purged", "released") "1\n"));
	assert_true(has(BECAME("closed-unknown", "other") "1\n"));
	assert_false(has("outcome=\"dispose-intent\""));
	assert_false(has("secret"));
	assert_true(has("downloaded_bytes_total{confirmed=\"yes\"} 1024\n"));
	assert_true(has("downloaded_bytes_total{confirmed=\"no\"} 7\n"));
	free(text);
}

/* Whatever comes, every number stays or grows, and every record is counted. */
static void
test_metrics_never_go_back(void **state)
{
	static const char *const words[] = { "", "dele", "hold:x", "APOP",
	    "policy: ", "USER", "unread", "\xff\"\n" };
	const uint64_t *now = (const uint64_t *)&metrics;
	uint64_t before[sizeof(metrics) / sizeof(uint64_t)], sum = 0;
	unsigned i, k;

	(void)state;
	random_begin();
	for (i = 0; i < 20000; i++) {
		memcpy(before, &metrics, sizeof(before));
		count((enum pk_audit_event)random_below(PK_AUDIT_EVENTS),
		    words[random_below(8)], random_below(2) != 0,
		    words[random_below(8)], random_below(1000));
		for (k = 0; k < sizeof(before) / sizeof(before[0]); k++)
			assert_true(now[k] >= before[k]);
	}
	for (i = 0; i < PK_AUDIT_EVENTS; i++)
		sum += metrics.record[i];
	assert_int_equal(sum, 20000);
}

static void
test_metrics_count_without_memory(void **state)
{
	(void)state;
	alloc_arm(0);
	count(PK_AUDIT_LOGIN, "APOP", false, "", 0);
	count(PK_AUDIT_DISPOSED, "", false, "hold:x", 1);
	assert_int_equal(alloc_count(), 0);
	alloc_arm(-1);
}

/* ---- sweeps -------------------------------------------------------------- */

static struct pk_swept swept;

static int
teardown_sweep(void **state)
{
	(void)state;
	pk_swept_free(&swept);
	memset(&swept, 0, sizeof(swept));
	return 0;
}

#define TOTALS(all) "mailboxes=9 disposed=4 busy=1 braked=2 failed=3" all \
	" root by busy=77"

static void
test_overdue_comes_into_force_with_the_totals(void **state)
{
	(void)state;
	pk_swept_note(&swept, "r", "overdue=5 oldest=90", 1);
	pk_swept_note(&swept, "s", "overdue=0 oldest=0", 1);
	assert_int_equal(swept.overdue.count, 0);
	pk_swept_note(&swept, "", TOTALS(""), 2);
	assert_false(swept.known);
	pk_swept_note(&swept, "", TOTALS(" scope=all"), 3);
	assert_true(swept.known);
	assert_int_equal(swept.time, 3);
	assert_int_equal(swept.mailboxes, 9);
	assert_int_equal(swept.busy, 1);
	assert_int_equal(swept.braked, 2);
	assert_int_equal(swept.failed, 3);
	assert_int_equal(swept.overdue.count, 2);
	assert_string_equal(swept.overdue.rule[0].name, "r");
	assert_int_equal(swept.overdue.rule[0].messages, 5);
	assert_int_equal(swept.overdue.rule[0].oldest, 90);
	/* The next one takes all of it back. */
	pk_swept_note(&swept, "", TOTALS(" scope=all"), 4);
	assert_int_equal(swept.overdue.count, 0);
}

static void
test_overdue_takes_a_rule_told_again_once(void **state)
{
	(void)state;
	pk_swept_note(&swept, "r", "overdue=5 oldest=90", 1);
	pk_swept_note(&swept, "r", "overdue=2 oldest=9", 1);
	pk_swept_note(&swept, "", TOTALS(" scope=all"), 3);
	assert_int_equal(swept.overdue.count, 1);
	assert_int_equal(swept.overdue.rule[0].messages, 2);
	assert_int_equal(swept.overdue.rule[0].oldest, 9);
}

static void
test_overdue_leaves_other_texts_alone(void **state)
{
	static const char *const texts[] = { "", "overdue=5", "oldest=5",
	    "overdue= oldest=1", "overdue=-1 oldest=1", "xoverdue=1 oldest=1",
	    "overdue=x oldest=1" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		pk_swept_note(&swept, "r", texts[i], 1);
		pk_swept_note(&swept, "", texts[i], 1);
	}
	assert_int_equal(swept.next.count, 0);
	assert_false(swept.known);
}

static void
test_overdue_reads_what_it_writes(void **state)
{
	struct pk_overdue o;
	char out[PK_AUDIT_REASON_SIZE];

	(void)state;
	memset(&o, 0, sizeof(o));
	assert_int_equal(pk_overdue_add(&o, "r", 3, 100), PK_OK);
	assert_int_equal(pk_overdue_add(&o, "r", 4, 50), PK_OK);
	assert_int_equal(o.count, 1);
	pk_overdue_format(&o.rule[0], out);
	pk_swept_note(&swept, "r", out, 1);
	assert_int_equal(swept.next.rule[0].messages, 7);
	assert_int_equal(swept.next.rule[0].oldest, 100);
	pk_overdue_free(&o);
}

static void
test_overdue_has_a_limit(void **state)
{
	enum pk_err err = PK_OK;
	struct pk_overdue o;
	char name[32];
	unsigned i;

	(void)state;
	memset(&o, 0, sizeof(o));
	for (i = 0; i < PK_OVERDUE_RULES && err == PK_OK; i++) {
		(void)snprintf(name, sizeof(name), "r%u", i);
		err = pk_overdue_add(&o, name, 1, 1);
	}
	assert_int_equal(err, PK_OK);
	assert_int_equal(pk_overdue_add(&o, "more", 1, 1), PK_ERR_LIMIT);
	assert_int_equal(pk_overdue_add(&o, "r5", 1, 1), PK_OK);
	assert_int_equal(o.count, PK_OVERDUE_RULES);
	pk_overdue_free(&o);
}

int
main(void)
{
#define COUNTS(f) cmocka_unit_test_setup(f, setup)
#define SWEEP(f) cmocka_unit_test_teardown(f, teardown_sweep)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_metrics_name_a_family_as_the_format_wants_it),
		cmocka_unit_test(test_metrics_let_no_label_break_a_line),
		cmocka_unit_test(test_metrics_put_times_into_buckets),
		COUNTS(test_metrics_count_logins),
		COUNTS(test_metrics_count_what_became_of_messages),
		COUNTS(test_metrics_never_go_back),
		COUNTS(test_metrics_count_without_memory),
		SWEEP(test_overdue_comes_into_force_with_the_totals),
		SWEEP(test_overdue_takes_a_rule_told_again_once),
		SWEEP(test_overdue_leaves_other_texts_alone),
		SWEEP(test_overdue_reads_what_it_writes),
		SWEEP(test_overdue_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
