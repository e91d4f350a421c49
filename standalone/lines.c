/*
 * Lines that may hold secrets, from a file or a terminal.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "standalone/lines.h"

/* What must not leave the terminal without its echo. */
static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t caught;

void
pk_lines_init(struct pk_lines *lines, int fd)
{
	memset(lines, 0, sizeof(*lines));
	lines->fd = fd;
}

void
pk_lines_deinit(struct pk_lines *lines)
{
	OPENSSL_cleanse(lines, sizeof(*lines));
	lines->fd = -1;
}

/* Give out the line that ends at lf, and go on behind it. */
static enum pk_line
give(struct pk_lines *lines, const uint8_t *lf, struct pk_span *line_r)
{
	const uint8_t *start = lines->buf + lines->start;
	size_t len = (size_t)(lf - start);

	lines->start += len + (lf < lines->buf + lines->end ? 1 : 0);
	if (len > 0 && start[len - 1] == '\r')
		len--;
	line_r->data = start;
	line_r->len = len;
	return PK_LINE_OK;
}

/* Read more behind what is there; false on an error. */
static bool
fill(struct pk_lines *lines)
{
	ssize_t n;

	if (lines->start > 0) {
		memmove(lines->buf, lines->buf + lines->start,
		    lines->end - lines->start);
		lines->end -= lines->start;
		lines->start = 0;
	}
	n = read(lines->fd, lines->buf + lines->end,
	    sizeof(lines->buf) - lines->end);
	if (n == -1)
		return false;
	if (n == 0)
		lines->eof = true;
	lines->end += (size_t)n;
	return true;
}

enum pk_line
pk_lines_next(struct pk_lines *lines, struct pk_span *line_r)
{
	const uint8_t *lf;
	bool is_long = false;

	for (;;) {
		lf = memchr(lines->buf + lines->start, '\n',
		    lines->end - lines->start);
		if (lf == NULL && lines->eof) {
			if (lines->start == lines->end && !is_long)
				return PK_LINE_END;
			lf = lines->buf + lines->end;
		}
		if (lf != NULL) {
			give(lines, lf, line_r);
			return is_long ? PK_LINE_LONG : PK_LINE_OK;
		}
		if (lines->end - lines->start == sizeof(lines->buf)) {
			is_long = true;
			lines->start = lines->end;
		}
		if (!fill(lines))
			return PK_LINE_ERROR;
	}
}

static void
catch(int sig)
{
	caught = sig;
}

static enum pk_line
read_without_echo(struct pk_lines *lines, struct pk_span *line_r)
{
	struct termios old, new;
	enum pk_line line;

	if (tcgetattr(lines->fd, &old) == -1)
		return PK_LINE_ERROR;
	new = old;
	new.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	if (tcsetattr(lines->fd, TCSAFLUSH, &new) == -1)
		return PK_LINE_ERROR;
	line = pk_lines_next(lines, line_r);
	while (tcsetattr(lines->fd, TCSAFLUSH, &old) == -1 && errno == EINTR)
		continue;
	return line;
}

static void
show(const char *text)
{
	/* A prompt that cannot be seen is no reason not to read. */
	if (write(STDERR_FILENO, text, strlen(text)) == -1)
		return;
}

/* No SA_RESTART: read(2) is to return, the terminal to be restored. */
enum pk_line
pk_lines_prompt(struct pk_lines *lines, const char *prompt,
    struct pk_span *line_r)
{
	struct sigaction action, old[SIGNALS];
	enum pk_line line;
	size_t i;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_handler = catch;
	caught = 0;
	for (i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &action, &old[i]);
	show(prompt);
	line = read_without_echo(lines, line_r);
	show("\n");
	for (i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &old[i], NULL);
	if (caught != 0) {
		raise(caught);
		errno = EINTR;
		return PK_LINE_ERROR;
	}
	return line;
}
