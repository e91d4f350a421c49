/*
 * What metrics cost: counting one record, and making the whole text.
 *
 * usage: metrics_bench
 *
 * Run it by hand on an idle machine.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "standalone/metrics.h"

#define RECORDS	10000000
#define TEXTS	10000

static const struct {
	enum pk_audit_event event;
	const char *mech, *reason;
} records[] = {
	{ PK_AUDIT_LOGIN, "USER", "" },
	{ PK_AUDIT_LOGIN, "LOGIN", "" },
	{ PK_AUDIT_LOGIN_FAILED, "APOP", "unknown user or wrong digest" },
	{ PK_AUDIT_DOWNLOADED, "USER", "" },
	{ PK_AUDIT_DISPOSE_INTENT, "USER", "after-download" },
	{ PK_AUDIT_DISPOSED, "USER", "after-download" },
	{ PK_AUDIT_RETAINED, "USER", "hold:case-2026-17" },
	{ PK_AUDIT_WOULD_DISPOSE, "USER", "released" },
};
#define KINDS (sizeof(records) / sizeof(records[0]))

static struct pk_metrics metrics;

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
bench_records(void)
{
	static struct pk_audit_context c[KINDS];
	static struct pk_audit_item item[KINDS];
	double begin;
	size_t k, n;

	for (k = 0; k < KINDS; k++) {
		item[k].event = records[k].event;
		(void)snprintf(c[k].mech, sizeof(c[k].mech), "%s",
		    records[k].mech);
		(void)snprintf(item[k].reason, sizeof(item[k].reason), "%s",
		    records[k].reason);
		begin = seconds();
		for (n = 0; n < RECORDS; n++)
			pk_metrics_count(&metrics, &c[k], &item[k]);
		printf("%-16s %-30s %6.1f ns\n", pk_audit_event_name(
		    item[k].event), item[k].reason, (seconds() - begin) /
		    RECORDS * 1e9);
	}
}

static void
bench_text(void)
{
	struct pk_exposition x = { .form = PK_EXPOSITION_PROMETHEUS };
	double begin = seconds();
	char *text;
	size_t len;
	int n;

	for (n = 0; n < TEXTS; n++) {
		x.to = open_memstream(&text, &len);
		if (x.to == NULL)
			exit(1);
		pk_metrics_expose(&metrics, &x);
		if (fclose(x.to) != 0)
			exit(1);
		free(text);
	}
	printf("text of %zu octets %.1f us\n", len, (seconds() - begin) /
	    TEXTS * 1e6);
}

int
main(void)
{
	bench_records();
	bench_text();
	return 0;
}
