/*
 * A maildrop and where its messages may go to: see retain_fixture.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/retain_fixture.h"

char retained[80];

int
retain_setup(void **state)
{
	if (box_setup(state) != 0)
		return -1;
	(void)snprintf(retained, sizeof(retained), "%s/kept", box);
	settings.retained = retained;
	return 0;
}

int
memory_setup(void **state)
{
	if (retain_setup(state) != 0)
		return -1;
	(void)box_mount("size=16m,mode=700");
	return 0;
}

int
retain_teardown(void **state)
{
	char cur[96];

	(void)snprintf(cur, sizeof(cur), "%s/cur", retained);
	(void)umount2(cur, MNT_DETACH);
	(void)umount2(retained, MNT_DETACH);
	return box_teardown(state);
}

struct pk_maildrop *
open_retained(void)
{
	struct pk_maildrop *md = NULL;

	if (pk_maildir_open(retained, &settings, &md, why) != PK_MAILDIR_OK)
		fail_msg("retained: %s", why);
	return md;
}

void
make_retained(const char *name)
{
	static const char *const parts[] = { "", "/tmp", "/new", "/cur" };
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", name, parts[i]);
		if (mkdirat(boxfd, path, 0700) != 0)
			assert_int_equal(errno, EEXIST);
	}
	memset(calls.trace, 0, sizeof(calls.trace));
}

bool
has_text(const char *name, const char *text)
{
	int fd = openat(boxfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t len = strlen(text);
	char buf[256];
	bool same;

	if (fd < 0)
		return false;
	same = (size_t)read(fd, buf, sizeof(buf)) == len &&
	    memcmp(buf, text, len) == 0;
	(void)close(fd);
	return same;
}

unsigned
count_in(const char *dirname, const char *text)
{
	struct dirent *entry;
	unsigned count = 0;
	char name[320];
	DIR *dir;
	int fd;

	fd = openat(boxfd, dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", dirname,
		    entry->d_name);
		count += text == NULL || has_text(name, text);
	}
	(void)closedir(dir);
	return count;
}

void
assert_reason(struct pk_maildrop *md, const char *reason)
{
	if (strstr(pk_maildir_why(md), reason) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", reason,
		    pk_maildir_why(md));
}

enum pk_outcome
one(struct pk_maildrop *md, enum pk_verdict verdict, const char *folder)
{
	assert_int_equal(md->ops->count(md), 1);
	(void)update(md, (uint8_t[]){ (uint8_t)verdict }, folder);
	return outcomes[0];
}

enum pk_outcome
one_session(enum pk_verdict verdict, const char *folder)
{
	struct pk_maildrop *md = box_open();
	enum pk_outcome outcome = one(md, verdict, folder);

	pk_maildir_close(&md);
	return outcome;
}

const struct way ways[WAYS] = {
	{ "rename", 0 }, { "link", EINVAL }, { "copy", EXDEV }
};
const char *const texts[] = { "one\n", "two\n", "three\n" };
struct stock stock[WHERES];
unsigned crashes;

static void
take_stock_of(enum where where, const char *dirname)
{
	char name[320], text[16];
	struct dirent *entry;
	size_t i;
	ssize_t n;
	DIR *dir;
	int fd;

	fd = openat(boxfd, dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", dirname,
		    entry->d_name);
		fd = openat(boxfd, name, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text));
		(void)close(fd);
		for (i = 0; i < 3; i++)
			stock[where].text[i] += n == (ssize_t)strlen(texts[i])
			    && memcmp(text, texts[i], (size_t)n) == 0;
		stock[where].all++;
	}
	if (dir != NULL)
		(void)closedir(dir);
}

void
take_stock(void)
{
	memset(stock, 0, sizeof(stock));
	take_stock_of(HERE, "new");
	take_stock_of(HERE, "cur");
	take_stock_of(RETAINED, "kept/cur");
	take_stock_of(FOLDER, ".Old/cur");
}

static void
clear_dir(const char *dirname)
{
	struct dirent *entry;
	DIR *dir;
	int fd;

	fd = openat(boxfd, dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		(void)unlinkat(fd, entry->d_name, 0);
	if (dir != NULL)
		(void)closedir(dir);
}

void
clear_scene(void)
{
	static const char *const dirs[] = {
		"kept/cur", "kept/new", "kept/tmp", "kept", ".Old/cur",
		".Old/new", ".Old/tmp", ".Old", "cur", "new",
	};
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		clear_dir(dirs[i]);
		if (strchr("k.", dirs[i][0]) != NULL)
			(void)unlinkat(boxfd, dirs[i], AT_REMOVEDIR);
	}
	(void)unlinkat(boxfd, "popkeep.index", 0);
}

void
assert_crashes(const char *what, pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	expect(what, WIFEXITED(status) && (WEXITSTATUS(status) == CRASHED ||
	    WEXITSTATUS(status) == 0));
	crashes += WEXITSTATUS(status) == CRASHED;
}
