/*
 * A plot of a report: stacked columns over time, as inline SVG, and the same as
 * a table.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_SVG_H
#define PK_REPORT_SVG_H

#include <stdio.h>

#include "standalone/report_bins.h"

#define PK_PLOT_SERIES 5

struct pk_plot {
	const char *id;			/* of the element; unique on the page */
	const char *title;
	size_t series;			/* at most PK_PLOT_SERIES */
	struct {
		const char *name;
		unsigned count;		/* of a bin */
	} of[PK_PLOT_SERIES];
};

/*
 * Colours are the style sheet's: the series are of class s0 to s4.  Nothing
 * that a stranger has chosen is in a plot.
 */
void pk_report_plot(FILE *out, const struct pk_plot *plot,
    const struct pk_bins *bins);

/* Is there anything to be seen? */
bool pk_report_plot_is_empty(const struct pk_plot *plot,
    const struct pk_bins *bins);

#endif
