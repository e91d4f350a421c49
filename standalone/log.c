/*
 * The log: see log.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "engine/hex.h"
#include "standalone/log.h"

static int parent = -1;			/* channel, in the other roles */
static int log_fd = STDERR_FILENO;	/* -1: syslog */
static unsigned dropped;

static const struct {
	int priority;
	const char *word;
} levels[] = {
	[PK_LOG_ERR] = { LOG_ERR, "error" },
	[PK_LOG_WARNING] = { LOG_WARNING, "warning" },
	[PK_LOG_NOTICE] = { LOG_NOTICE, "notice" },
	[PK_LOG_INFO] = { LOG_INFO, "info" },
};

int
pk_log_open(const char *where)
{
	int fd = -1;

	if (strcmp(where, "stderr") == 0)
		fd = STDERR_FILENO;
	else if (strcmp(where, "syslog") == 0)
		openlog("popkeepd", LOG_PID | LOG_NDELAY, LOG_MAIL);
	else if ((fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW | O_NOCTTY, 0640)) == -1)
		return -1;
	if (log_fd > STDERR_FILENO)
		close(log_fd);
	log_fd = fd;
	return 0;
}

void
pk_log_to_parent(int channel)
{
	if (log_fd > STDERR_FILENO)
		close(log_fd);
	else if (log_fd == -1)
		closelog();
	log_fd = -1;
	parent = channel;
}

/* Make text printable in place of *out, which has size octets. */
static size_t
escape(const char *text, char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c < 0x7f && c != '\\') {
			if (n + 1 >= size)
				break;
			out[n++] = (char)c;
		} else {
			if (n + 4 >= size)
				break;
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	out[n] = '\0';
	return n;
}

void
pk_log_field(const char *name, size_t len, char *out, size_t size)
{
	pk_hex_escape(name, len, " =\"\\", out, size);
}

/* To a file or stderr: a time stamp, and one write(2) for the whole line. */
static void
write_line(enum pk_level level, const char *text)
{
	char line[PK_LOG_SIZE * 4 + 64], stamp[32];
	struct timespec now;
	struct tm tm;
	size_t n;
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(line, sizeof(line), "%s.%03ldZ popkeepd %s ", stamp,
	    now.tv_nsec / 1000000, levels[level].word);
	n = (size_t)len;
	n += escape(text, line + n, sizeof(line) - n - 1);
	line[n++] = '\n';
	if (write(log_fd, line, n) < 0)
		dropped++;
}

static void
emit(enum pk_level level, const char *text)
{
	char line[PK_LOG_SIZE * 4];

	if (log_fd != -1) {
		write_line(level, text);
	} else {
		escape(text, line, sizeof(line));
		syslog(levels[level].priority, "%s", line);
	}
}

static void
send_to_parent(enum pk_level level, const char *text)
{
	struct pk_msg_log msg = { .level = (uint32_t)level };

	if (dropped > 0) {
		snprintf(msg.text, sizeof(msg.text), "log: dropped=%u",
		    dropped);
		if (pk_channel_send(parent, PK_MSG_LOG, &msg, -1) != 0) {
			dropped++;
			return;
		}
		dropped = 0;
	}
	snprintf(msg.text, sizeof(msg.text), "%s", text);
	if (pk_channel_send(parent, PK_MSG_LOG, &msg, -1) != 0)
		dropped++;
}

void
pk_log(enum pk_level level, const char *format, ...)
{
	char text[PK_LOG_SIZE];
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(text, sizeof(text), format, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	if (parent != -1)
		send_to_parent(level, text);
	else
		emit(level, text);
}
