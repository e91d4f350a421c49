/*
 * Plots: see report_svg.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>

#include "standalone/report_sheets.h"
#include "standalone/report_svg.h"

/* In units of the drawing. */
#define WIDTH		760
#define HEIGHT		220
#define LEFT		58
#define RIGHT		30			/* half of a date has room */
#define TOP		10
#define BOTTOM		30
#define BAR_MAX		26.0
#define LINES_MAX	5
#define LABEL_WIDTH	84		/* of a date, with room around it */

#define PLOT_WIDTH	(WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT	(HEIGHT - TOP - BOTTOM)

/* ---- figures ----------------------------------------------------------- */

static uint64_t
total(const struct pk_plot *plot, const struct pk_bins *bins, size_t bin)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < plot->series; i++)
		sum += bins->bin[bin].count[plot->of[i].count];
	return sum;
}

static uint64_t
series_total(const struct pk_plot *plot, const struct pk_bins *bins,
    size_t series)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < bins->count; i++)
		sum += bins->bin[i].count[plot->of[series].count];
	return sum;
}

static uint64_t
greatest(const struct pk_plot *plot, const struct pk_bins *bins)
{
	uint64_t max = 0, sum;
	size_t i;

	for (i = 0; i < bins->count; i++) {
		sum = total(plot, bins, i);
		max = sum > max ? sum : max;
	}
	return max;
}

bool
pk_report_plot_is_empty(const struct pk_plot *plot,
    const struct pk_bins *bins)
{
	return greatest(plot, bins) == 0;
}

/* The lines above 0 are 1, 2, 2.5 or 5 times a power of 10 apart. */
struct scale {
	uint64_t step;
	unsigned lines;
};

static struct scale
scale_of(uint64_t max)
{
	static const unsigned quarters[] = { 4, 8, 10, 20 };
	struct scale s = { 1, LINES_MAX };
	uint64_t ten = 1;
	size_t i = 0;

	while (s.step < max / LINES_MAX + (max % LINES_MAX != 0)) {
		i = (i + 1) % 4;
		ten *= i == 0 ? 10 : 1;
		/* Counts are whole: there is no 2.5. */
		s.step = ten * quarters[i] / 4;
	}
	s.lines = (unsigned)((max + s.step - 1) / s.step);
	return s;
}

/* ---- drawing ----------------------------------------------------------- */

static double
height_of(uint64_t value, uint64_t top)
{
	return (double)value / (double)top * PLOT_HEIGHT;
}

static void
put_grid(FILE *out, const struct scale *s)
{
	double y;
	unsigned i;

	for (i = 0; i <= s->lines; i++) {
		y = TOP + PLOT_HEIGHT - height_of(i * s->step, s->lines *
		    s->step);
		fprintf(out, "<line class=\"%s\" x1=\"%d\" y1=\"%.1f\" "
		    "x2=\"%d\" y2=\"%.1f\"/><text class=\"y\" x=\"%d\" "
		    "y=\"%.1f\">", i == 0 ? "base" : "grid", LEFT, y,
		    WIDTH - RIGHT, y, LEFT - 6, y + 4);
		pk_report_put_number(out, i * s->step);
		fputs("</text>\n", out);
	}
}

static void
put_labels(FILE *out, const struct pk_bins *bins, double slot)
{
	size_t every = (size_t)(LABEL_WIDTH / slot) + 1, i;

	for (i = 0; i < bins->count; i += every)
		fprintf(out, "<text class=\"x\" x=\"%.1f\" y=\"%d\">%s"
		    "</text>\n", LEFT + slot * ((double)i + 0.5), HEIGHT - 10,
		    bins->bin[i].label);
}

static void
put_column(FILE *out, const struct pk_plot *plot, const struct pk_bins *bins,
    size_t n, double slot, uint64_t top)
{
	double width = slot * 0.78 < BAR_MAX ? slot * 0.78 : BAR_MAX;
	double y = TOP + PLOT_HEIGHT, height;
	uint64_t value;
	size_t i;

	for (i = 0; i < plot->series; i++) {
		value = bins->bin[n].count[plot->of[i].count];
		if (value == 0)
			continue;
		height = height_of(value, top);
		y -= height;
		fprintf(out, "<rect class=\"s%zu\" x=\"%.1f\" y=\"%.2f\" "
		    "width=\"%.1f\" height=\"%.2f\"><title>%s: %s %" PRIu64
		    "</title></rect>\n", i, LEFT + slot * ((double)n + 0.5) -
		    width / 2, y, width, height, bins->bin[n].label,
		    plot->of[i].name, value);
	}
}

/* What the plot shows, for who does not see it. */
static void
put_description(FILE *out, const struct pk_plot *plot,
    const struct pk_bins *bins)
{
	size_t i;

	fprintf(out, "<title id=\"%s-t\">%s</title><desc id=\"%s-d\">Columns "
	    "from %s to %s, one for each %s. In all: ", plot->id,
	    plot->title, plot->id, bins->bin[0].label,
	    bins->bin[bins->count - 1].label, bins->unit);
	for (i = 0; i < plot->series; i++)
		fprintf(out, "%s%s %" PRIu64, i > 0 ? ", " : "",
		    plot->of[i].name, series_total(plot, bins, i));
	fprintf(out, ". The table below has the figures.</desc>\n");
}

static void
put_svg(FILE *out, const struct pk_plot *plot, const struct pk_bins *bins)
{
	double slot = (double)PLOT_WIDTH / (double)bins->count;
	struct scale s = scale_of(greatest(plot, bins));
	size_t i;

	fprintf(out, "<svg role=\"img\" aria-labelledby=\"%s-t %s-d\" "
	    "viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", plot->id,
	    plot->id, WIDTH, HEIGHT, WIDTH, HEIGHT);
	put_description(out, plot, bins);
	put_grid(out, &s);
	put_labels(out, bins, slot);
	for (i = 0; i < bins->count; i++)
		put_column(out, plot, bins, i, slot, s.lines * s.step);
	fputs("</svg>", out);
}

/* ---- beside the drawing ------------------------------------------------- */

static void
put_legend(FILE *out, const struct pk_plot *plot, const struct pk_bins *bins)
{
	size_t i;

	fprintf(out, "<h3>%s</h3>\n<ul class=\"legend\">"
	    "\n", plot->title);
	for (i = 0; i < plot->series; i++) {
		fprintf(out, "<li><span class=\"key s%zu\"></span>%s "
		    "<span class=\"n\">", i, plot->of[i].name);
		pk_report_put_number(out, series_total(plot, bins, i));
		fputs("</span></li>\n", out);
	}
	fputs("</ul>\n", out);
}

/* Columns in which nothing was are left out. */
static void
put_table(FILE *out, const struct pk_plot *plot, const struct pk_bins *bins)
{
	size_t i, n;

	fprintf(out, "<details><summary>The figures of this plot</summary>\n"
	    "<div class=\"wide\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"%s, as a table\"><table class=\"narrow\">\n<thead>"
	    "<tr><th scope=\"col\">%s</th>", plot->title, bins->head);
	for (i = 0; i < plot->series; i++)
		fprintf(out, "<th scope=\"col\" class=\"n\">%s</th>",
		    plot->of[i].name);
	fputs("</tr></thead>\n<tbody>\n", out);
	for (n = 0; n < bins->count; n++) {
		if (total(plot, bins, n) == 0)
			continue;
		fprintf(out, "<tr><th scope=\"row\">%s</th>",
		    bins->bin[n].label);
		for (i = 0; i < plot->series; i++) {
			fputs("<td class=\"n\">", out);
			pk_report_put_number(out,
			    bins->bin[n].count[plot->of[i].count]);
			fputs("</td>", out);
		}
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div></details>\n", out);
}

void
pk_report_plot(FILE *out, const struct pk_plot *plot,
    const struct pk_bins *bins)
{
	fputs("<figure>\n<div class=\"whole\">", out);
	put_legend(out, plot, bins);
	fprintf(out, "<div class=\"wide\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"%s, as a plot\">", plot->title);
	put_svg(out, plot, bins);
	fputs("</div></div>\n", out);
	put_table(out, plot, bins);
	fputs("</figure>\n", out);
}
