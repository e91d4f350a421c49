/*
 * Reading the policy's files: see policy_load.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/path.h"
#include "standalone/policy_load.h"

struct loading {
	int dirfd;
	const char *path;		/* of the main file */
	int dir_len;			/* octets of its directory with "/" */
	const char *changed;		/* a name in policy.d, or NULL */
	const char *changed_text;	/* NULL: it is to be gone */
	struct pk_policy_text *files;
	size_t count;
	pk_policy_say *error;
	void *arg;
	bool failed;
};

static void say(struct loading *l, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
say(struct loading *l, const char *format, ...)
{
	char line[PATH_MAX + 256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	l->failed = true;
	l->error(l->arg, line);
}

/* ---- one file -------------------------------------------------------------------- */

/* All octets of fd with a NUL behind them, or NULL and errno. */
static char *
read_whole(int fd, size_t *len_r)
{
	struct stat st;
	char *text;
	size_t len = 0;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return NULL;
	errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
	if (!S_ISREG(st.st_mode) || st.st_size > PK_POLICY_FILE_MAX)
		return NULL;
	text = malloc((size_t)st.st_size + 2);
	while (text != NULL) {
		n = read(fd, text + len, (size_t)st.st_size + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 && len == (size_t)st.st_size) {
			text[len] = '\0';
			*len_r = len;
			return text;
		}
		len += n > 0 ? (size_t)n : 0;
		if (n <= 0 || len > (size_t)st.st_size) {
			/* Another length than a moment ago: it is written. */
			errno = n < 0 ? errno : EAGAIN;
			free(text);
			return NULL;
		}
	}
	return NULL;
}

char *
pk_policy_read_file(int dirfd, const char *name, size_t *len_r,
    const char **why_r)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOCTTY);
	char *text = fd != -1 ? read_whole(fd, len_r) : NULL;

	if (text == NULL)
		*why_r = errno == EINVAL ? "not a regular file" :
		    strerror(errno);
	if (fd != -1)
		close(fd);
	return text;
}

/* Room for one more, with its name; NULL: it was said. */
static struct pk_policy_text *
new_file(struct loading *l, const char *name)
{
	struct pk_policy_text *grown, *f;
	char *full = NULL;

	grown = reallocarray(l->files, l->count + 1, sizeof(*grown));
	if (grown == NULL || asprintf(&full, "%.*s%s", l->dir_len, l->path,
	    name) == -1) {
		if (grown != NULL)
			l->files = grown;
		say(l, "%s: out of memory", name);
		return NULL;
	}
	l->files = grown;
	f = &l->files[l->count];
	memset(f, 0, sizeof(*f));
	f->name = full;
	return f;
}

static bool
add_file(struct loading *l, const char *name)
{
	struct pk_policy_text *f = new_file(l, name);
	const char *why;

	if (f == NULL)
		return false;
	f->text = pk_policy_read_file(l->dirfd, name, &f->len, &why);
	if (f->text == NULL) {
		say(l, "%s: %s", f->name, why);
		free((char *)(uintptr_t)f->name);
		return false;
	}
	l->count++;
	return true;
}

static void
add_text(struct loading *l, const char *name, const char *text)
{
	struct pk_policy_text *f = new_file(l, name);

	if (f == NULL)
		return;
	f->text = strdup(text);
	f->len = strlen(text);
	if (f->text == NULL) {
		say(l, "%s: out of memory", f->name);
		free((char *)(uintptr_t)f->name);
		return;
	}
	l->count++;
}

/* ---- policy.d ---------------------------------------------------------------------- */

/* What an editor or a package leaves behind is no policy. */
static int
is_policy(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 &&
	    strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int
by_octets(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
add_in_directory(struct loading *l, const char *base, const char *text)
{
	char name[sizeof(PK_POLICY_D) + NAME_MAX + 1];

	(void)snprintf(name, sizeof(name), "%s/%s", PK_POLICY_D, base);
	if (text != NULL)
		add_text(l, name, text);
	else
		(void)add_file(l, name);
}

/* The changed file comes where its name does. */
static void
add_directory(struct loading *l)
{
	struct dirent **names = NULL;
	const char *text = l->changed_text;
	int i, n = scandirat(l->dirfd, PK_POLICY_D, &names, is_policy,
	    by_octets);

	if (n < 0 && errno == ENOENT)
		n = 0;
	if (n < 0 || n > PK_POLICY_FILES_MAX)
		say(l, "%.*s%s: %s", l->dir_len, l->path, PK_POLICY_D,
		    n < 0 ? strerror(errno) : "too many files");
	for (i = 0; i < n; i++) {
		int order = l->changed != NULL ? strcmp(l->changed,
		    names[i]->d_name) : 1;

		if (order <= 0 && text != NULL) {
			add_in_directory(l, l->changed, text);
			text = NULL;
		}
		if (order != 0 && n <= PK_POLICY_FILES_MAX)
			add_in_directory(l, names[i]->d_name, NULL);
		free(names[i]);
	}
	if (text != NULL)
		add_in_directory(l, l->changed, text);
	free(names);
}

/* ---- everything ---------------------------------------------------------------------- */

int
pk_policy_open_dir(const char *path)
{
	size_t len = (size_t)(pk_path_base(path) - path);
	char *dir = len > 0 ? strndup(path, len) : strdup(".");
	int fd, saved;

	if (dir == NULL)
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	saved = errno;
	free(dir);
	errno = saved;
	return fd;
}

struct pk_policy *
pk_policy_load(int dirfd, const char *path, int64_t now, pk_policy_say *error,
    pk_policy_say *warn, void *arg)
{
	return pk_policy_load_changed(dirfd, path, NULL, NULL, now, error,
	    warn, arg);
}

struct pk_policy *
pk_policy_load_changed(int dirfd, const char *path, const char *name,
    const char *text, int64_t now, pk_policy_say *error, pk_policy_say *warn,
    void *arg)
{
	struct loading l = { .dirfd = dirfd, .path = path,
	    .dir_len = (int)(pk_path_base(path) - path), .changed = name,
	    .changed_text = text, .error = error, .arg = arg };
	struct pk_policy *policy = NULL;
	size_t i;

	if (dirfd == -1)
		l.dirfd = pk_policy_open_dir(path);
	if (l.dirfd == -1) {
		say(&l, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (add_file(&l, pk_path_base(path)))
		add_directory(&l);
	if (!l.failed)
		policy = pk_policy_parse(l.files, l.count, now, error, warn,
		    arg);
	for (i = 0; i < l.count; i++) {
		free((char *)(uintptr_t)l.files[i].name);
		free((char *)(uintptr_t)l.files[i].text);
	}
	free(l.files);
	if (dirfd == -1)
		close(l.dirfd);
	return policy;
}

/* ---- texts ----------------------------------------------------------------------- */

void
pk_policy_say_to(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
}

void
pk_policy_say_nothing(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

/* In single quotes, where nothing but these two is special. */
void
pk_policy_put_quoted(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('\'', f);
}
