/*
 * Histograms of time: see latency.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "standalone/latency.h"

/* From a battery-backed cache to a disk that is about to die. */
static const struct {
	int64_t ns;
	const char *text;
} bounds[PK_LATENCY_BUCKETS] = {
	{ 250000, "0.00025" },
	{ 500000, "0.0005" },
	{ 1000000, "0.001" },
	{ 2500000, "0.0025" },
	{ 5000000, "0.005" },
	{ 10000000, "0.01" },
	{ 25000000, "0.025" },
	{ 50000000, "0.05" },
	{ 100000000, "0.1" },
	{ 250000000, "0.25" },
	{ 500000000, "0.5" },
	{ 1000000000, "1.0" },
	{ 5000000000, "5.0" },
	{ INT64_MAX, "+Inf" },
};

void
pk_latency_add(struct pk_latency *l, int64_t ns)
{
	unsigned i = 0;

	if (ns < 0)
		ns = 0;
	while (ns > bounds[i].ns)
		i++;
	l->bucket[i]++;
	l->ns += (uint64_t)ns;
}

const char *
pk_latency_bound(unsigned bucket)
{
	return bounds[bucket].text;
}
