/*
 * The text of metrics: OpenMetrics 1.0, and the older format of Prometheus,
 * which is what node_exporter's textfile collector takes.  They differ in what a
 * family is called: with its suffix (_total, _info), or without.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_EXPOSITION_H
#define PK_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "standalone/latency.h"

enum pk_metric_type {
	PK_METRIC_COUNTER,
	PK_METRIC_GAUGE,
	PK_METRIC_HISTOGRAM,
	PK_METRIC_INFO,
};

/* A family; name: without the suffix, and ending in its unit ("": none). */
struct pk_metric {
	const char *name;
	enum pk_metric_type type;
	const char *unit;
	const char *help;		/* a sentence without its full stop */
};

/* value may be any text. */
struct pk_label {
	const char *key, *value;
};
#define PK_LABELS_MAX 4

enum pk_exposition_form {
	PK_EXPOSITION_PROMETHEUS,	/* text format 0.0.4 */
	PK_EXPOSITION_OPENMETRICS,	/* 1.0 */
};

/* Under construction; errors are those of the stream. */
struct pk_exposition {
	FILE *to;			/* the caller's */
	enum pk_exposition_form form;
	const struct pk_metric *metric;	/* the family whose samples come */
};

/* Begin a family: what is written next are its samples. */
void pk_exposition_metric(struct pk_exposition *x, const struct pk_metric *m);

/* A sample with these labels, each key once. */
void pk_exposition_sample(struct pk_exposition *x,
    const struct pk_label *label, size_t labels, uint64_t value);

/* The samples of a histogram without labels, in seconds. */
void pk_exposition_latency(struct pk_exposition *x,
    const struct pk_latency *l);

/* Nothing comes after this. */
void pk_exposition_end(struct pk_exposition *x);

#endif
