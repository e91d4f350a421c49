/*
 * Metrics as text: see exposition.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "standalone/exposition.h"

/* A type, the suffix of its samples, and whether Prometheus has it. */
static const struct {
	const char *name, *old_name, *suffix;
} types[] = {
	[PK_METRIC_COUNTER] = { "counter", "counter", "_total" },
	[PK_METRIC_GAUGE] = { "gauge", "gauge", "" },
	[PK_METRIC_HISTOGRAM] = { "histogram", "histogram", "" },
	[PK_METRIC_INFO] = { "info", "gauge", "_info" },
};

void
pk_exposition_metric(struct pk_exposition *x, const struct pk_metric *m)
{
	bool old = x->form == PK_EXPOSITION_PROMETHEUS;
	const char *suffix = old ? types[m->type].suffix : "";

	x->metric = m;
	fprintf(x->to, "# TYPE %s%s %s\n", m->name, suffix,
	    old ? types[m->type].old_name : types[m->type].name);
	/* A comment in the old format. */
	if (m->unit[0] != '\0')
		fprintf(x->to, "# UNIT %s%s %s\n", m->name, suffix, m->unit);
	fprintf(x->to, "# HELP %s%s %s.\n", m->name, suffix, m->help);
}

/*
 * What is not printable ASCII becomes %XX, as in the audit log: the text has to
 * be UTF-8.  So a percent sign does, and no two values become the same.
 */
static void
put_value(FILE *to, const char *text)
{
	const unsigned char *p;

	for (p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e || *p == '%')
			fprintf(to, "%%%02X", *p);
		else if (*p == '"' || *p == '\\')
			fprintf(to, "\\%c", *p);
		else
			putc(*p, to);
	}
}

void
pk_exposition_sample(struct pk_exposition *x, const struct pk_label *label,
    size_t labels, uint64_t value)
{
	size_t i;

	fprintf(x->to, "%s%s", x->metric->name,
	    types[x->metric->type].suffix);
	for (i = 0; i < labels; i++) {
		fprintf(x->to, "%s%s=\"", i == 0 ? "{" : ",", label[i].key);
		put_value(x->to, label[i].value);
		putc('"', x->to);
	}
	fprintf(x->to, "%s %" PRIu64 "\n", labels > 0 ? "}" : "", value);
}

void
pk_exposition_latency(struct pk_exposition *x, const struct pk_latency *l)
{
	const char *name = x->metric->name;
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < PK_LATENCY_BUCKETS; i++) {
		sum += l->bucket[i];
		fprintf(x->to, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
		    pk_latency_bound(i), sum);
	}
	/* Whole numbers: no locale has another idea of the point. */
	fprintf(x->to, "%s_sum %" PRIu64 ".%09" PRIu64 "\n", name,
	    l->ns / 1000000000, l->ns % 1000000000);
	fprintf(x->to, "%s_count %" PRIu64 "\n", name, sum);
}

void
pk_exposition_end(struct pk_exposition *x)
{
	fputs("# EOF\n", x->to);
}
