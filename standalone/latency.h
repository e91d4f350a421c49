/*
 * How long something took, as a histogram with fixed buckets.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_LATENCY_H
#define PK_LATENCY_H

#include <stdint.h>

#define PK_LATENCY_BUCKETS 14

/* All zero: nothing yet. */
struct pk_latency {
	uint64_t bucket[PK_LATENCY_BUCKETS];	/* not cumulative */
	uint64_t ns;				/* the sum */
};

/* It took so many nanoseconds; less than none is none. */
void pk_latency_add(struct pk_latency *l, int64_t ns);

/*
 * The upper bound of a bucket, which belongs to it, in seconds and as
 * OpenMetrics spells it; the last is "+Inf".
 */
const char *pk_latency_bound(unsigned bucket);

#endif
