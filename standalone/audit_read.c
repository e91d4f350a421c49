/*
 * The audit log for its readers: see audit_read.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/audit.h"
#include "standalone/audit_read.h"

/* Octets that are in memory; a line has no more than the last of them. */
#define READ_SIZE (16 * PK_AUDIT_LINE_MAX)

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY)

struct file {
	struct pk_audit_at at;
	pk_audit_take *take;
	void *arg;
	int fd;
	bool skipping;			/* the rest of a line that is too long */
	size_t len;			/* octets in buf */
	char buf[READ_SIZE];
};

/* ---- one file ---------------------------------------------------------- */

static bool
take(struct file *f, const char *line, size_t len)
{
	f->at.number++;
	f->at.line = len <= PK_AUDIT_LINE_MAX ? line : NULL;
	f->at.len = f->at.line != NULL ? len : 0;
	return f->take(f->arg, &f->at);
}

/* Its whole lines; what is left of buf is the begin of the next one. */
static bool
take_lines(struct file *f)
{
	char *at = f->buf, *end = f->buf + f->len, *lf;

	while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		size_t len = f->skipping ? PK_AUDIT_LINE_MAX + 1 :
		    (size_t)(lf + 1 - at);

		if (!take(f, at, len))
			return false;
		f->skipping = false;
		at = lf + 1;
	}
	f->len = (size_t)(end - at);
	memmove(f->buf, at, f->len);
	if (f->skipping || f->len > PK_AUDIT_LINE_MAX) {
		f->skipping = true;
		f->len = 0;
	}
	return true;
}

static bool
read_file(struct file *f)
{
	ssize_t n;

	f->len = 0;
	f->skipping = false;
	f->at.number = 0;
	while ((n = read(f->fd, f->buf + f->len, READ_SIZE - f->len)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		f->len += (size_t)n;
		if (!take_lines(f))
			return false;
	}
	if (f->skipping)
		return take(f, NULL, PK_AUDIT_LINE_MAX + 1);
	return f->len == 0 || take(f, f->buf, f->len);
}

/* ---- segments ---------------------------------------------------------- */

static const char *
last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

static bool
is_segment(const char *entry, const char *base)
{
	size_t len = strlen(base);

	return strncmp(entry, base, len) == 0 && entry[len] == '.' &&
	    strlen(entry + len + 1) == PK_AUDIT_SEGMENT_DIGITS &&
	    strspn(entry + len + 1, "0123456789") == PK_AUDIT_SEGMENT_DIGITS;
}

struct names {
	char **name;
	size_t count, room;
};

static void
free_names(struct names *n)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
}

static bool
add_name(struct names *n, const char *dir, int dir_len, const char *entry)
{
	size_t room = n->room > 0 ? 2 * n->room : 16;
	char **grown;

	if (n->count == n->room) {
		grown = reallocarray(n->name, room, sizeof(*grown));
		if (grown == NULL)
			return false;
		n->name = grown;
		n->room = room;
	}
	if (asprintf(&n->name[n->count], "%.*s%s", dir_len, dir, entry) == -1)
		return false;
	n->count++;
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Numbers of as many digits each: by name is by number. */
static bool
list_segments(const char *name, struct names *n)
{
	const char *base = last_part(name);
	int dir_len = (int)(base - name);
	char *dir = dir_len > 0 ? strndup(name, (size_t)dir_len) :
	    strdup(".");
	DIR *d = dir != NULL ? opendir(dir) : NULL;
	const struct dirent *entry;
	bool ok = d != NULL;

	free(dir);
	errno = 0;
	while (ok && (entry = readdir(d)) != NULL)
		ok = !is_segment(entry->d_name, base) ||
		    add_name(n, name, dir_len, entry->d_name);
	ok = ok && errno == 0;
	if (d != NULL) {
		int saved = errno;

		closedir(d);
		errno = saved;
	}
	if (ok && n->count > 0)
		qsort(n->name, n->count, sizeof(*n->name), by_name);
	return ok;
}

/* The file was opened before the segments were listed: it may be one of them. */
static bool
is_same(int fd, int other)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(other, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool
read_segment(struct file *f, const char *name, int current)
{
	bool ok;

	f->at.file = name;
	f->fd = open(name, OPEN_FLAGS | O_NONBLOCK);
	if (f->fd == -1)
		return false;
	ok = is_same(f->fd, current) || read_file(f);
	if (!ok) {
		int saved = errno;

		close(f->fd);
		errno = saved;
		return false;
	}
	close(f->fd);
	return true;
}

static bool
read_segments(struct file *f, const char *name, int current, char **name_r)
{
	struct names n = { NULL, 0, 0 };
	bool ok = list_segments(name, &n);
	size_t i;

	for (i = 0; i < n.count && ok; i++) {
		ok = read_segment(f, n.name[i], current);
		if (!ok)
			*name_r = strdup(n.name[i]);
	}
	free_names(&n);
	return ok;
}

/* ---- the log ------------------------------------------------------------ */

static bool
read_all(struct file *f, const char *name, char **name_r)
{
	int fd = strcmp(name, "-") == 0 ? STDIN_FILENO :
	    open(name, OPEN_FLAGS), saved;
	bool ok = fd != -1;

	if (ok && fd != STDIN_FILENO)
		ok = read_segments(f, name, fd, name_r);
	if (ok) {
		f->fd = fd;
		f->at.file = fd != STDIN_FILENO ? name : "standard input";
		ok = read_file(f);
	}
	saved = errno;
	if (fd > STDIN_FILENO)
		close(fd);
	errno = saved;
	return ok;
}

int
pk_audit_read(const char *name, pk_audit_take *take_line, void *arg,
    char **name_r)
{
	struct file *f = malloc(sizeof(*f));
	bool ok;
	int saved;

	*name_r = NULL;
	if (f == NULL)
		return -1;
	f->take = take_line;
	f->arg = arg;
	ok = read_all(f, name, name_r);
	saved = errno;
	free(f);
	if (!ok && *name_r == NULL)
		*name_r = strdup(name);
	errno = saved;
	return ok ? 0 : -1;
}
