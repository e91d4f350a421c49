/*
 * Line ends, doubled dots and octet counts: see stuffing.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/stuffing.h"

/* Octets per step of bare_lfs(); its sum of one step fits in an octet. */
#define STEP 128

void
pk_stuffing_init(struct pk_stuffing *st)
{
	*st = (struct pk_stuffing){ .octets = 0 };
}

/* Octets of in before its first LF, or all of them. */
static size_t
line_len(const uint8_t *in, size_t len)
{
	const uint8_t *lf = memchr(in, '\n', len);

	return lf == NULL ? len : (size_t)(lf - in);
}

/*
 * A line at a time with memchr() and memcpy(): the C library picks the best
 * instructions that the machine has, and for lines of 76 octets SSE2 by hand
 * was less than a fifth faster.
 */
size_t
pk_stuffing_convert(struct pk_stuffing *st, const uint8_t *in, size_t len,
    uint8_t *out)
{
	const uint8_t *end = in + len;
	uint8_t *p = out;
	size_t dots = 0;

	while (in < end) {
		size_t n = line_len(in, (size_t)(end - in));

		if (!st->in_line && *in == '.') {
			*p++ = '.';
			dots++;
		}
		memcpy(p, in, n);
		p += n;
		in += n;
		if (n > 0) {
			st->in_line = true;
			st->after_cr = in[-1] == '\r';
		}
		if (in == end)
			break;
		if (!st->after_cr)
			*p++ = '\r';
		*p++ = *in++;
		st->in_line = st->after_cr = false;
	}
	st->octets += (uint64_t)(p - out) - dots;
	return (size_t)(p - out);
}

size_t
pk_stuffing_end(struct pk_stuffing *st, uint8_t *out)
{
	if (!st->in_line)
		return 0;
	memcpy(out, "\r\n", 2);
	pk_stuffing_count_end(st);
	return 2;
}

/*
 * How many of in[1] to in[len - 1] are an LF without a CR before it.  Steps
 * of a constant size let the compiler use vectors without being told how.
 */
static uint64_t
bare_lfs(const uint8_t *in, size_t len)
{
	const uint8_t *this = in + 1, *before = in;
	size_t left = len - 1, i;
	uint64_t total = 0;

	for (; left >= STEP; left -= STEP, this += STEP, before += STEP) {
		uint8_t sum = 0;

		for (i = 0; i < STEP; i++)
			sum = (uint8_t)(sum + ((this[i] == '\n') &
			    (before[i] != '\r')));
		total += sum;
	}
	for (i = 0; i < left; i++)
		total += (this[i] == '\n') & (before[i] != '\r');
	return total;
}

void
pk_stuffing_count(struct pk_stuffing *st, const uint8_t *in, size_t len)
{
	if (len == 0)
		return;
	st->octets += len + bare_lfs(in, len);
	if (in[0] == '\n' && !st->after_cr)
		st->octets++;
	st->in_line = in[len - 1] != '\n';
	st->after_cr = in[len - 1] == '\r';
}

void
pk_stuffing_count_end(struct pk_stuffing *st)
{
	if (st->in_line)
		st->octets += 2;
	st->in_line = st->after_cr = false;
}

void
pk_top_init(struct pk_top *top, uint64_t lines)
{
	*top = (struct pk_top){ .lines = lines };
}

/* An LF has come: is it the end of the header, or of the last line wanted? */
static void
end_line(struct pk_top *top)
{
	if (top->in_body)
		top->lines--;
	else
		top->in_body = !top->in_line;
	top->done = top->in_body && top->lines == 0;
	top->in_line = top->after_cr = false;
}

size_t
pk_top_take(struct pk_top *top, const uint8_t *in, size_t len)
{
	size_t i = 0;

	while (i < len && !top->done) {
		size_t n = line_len(in + i, len - i);

		/* Only a lone CR before the LF leaves the line empty. */
		if (n == 1 && in[i] == '\r' && !top->after_cr)
			top->after_cr = true;
		else if (n > 0)
			top->in_line = true;
		i += n;
		if (i < len) {
			i++;
			end_line(top);
		}
	}
	return i;
}
