/*
 * A private Maildir for each test: see maildir_fixture.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/maildir_fixture.h"

int __real_openat(int dirfd, const char *name, int flags, ...);
int __real_fstatat(int dirfd, const char *name, struct stat *st, int flags);
int __real_unlinkat(int dirfd, const char *name, int flags);
ssize_t __real_read(int fd, void *buf, size_t size);
struct dirent *__real_readdir(DIR *dir);
int __real_renameat2(int from, const char *name, int to, const char *target,
    unsigned int flags);
int __real_linkat(int from, const char *name, int to, const char *target,
    int flags);
int __real_mkdirat(int dirfd, const char *name, mode_t mode);
ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __real_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t __real_pwrite(int fd, const void *buf, size_t size, off_t offset);
int __wrap_openat(int dirfd, const char *name, int flags, ...);
int __wrap_fstatat(int dirfd, const char *name, struct stat *st, int flags);
int __wrap_unlinkat(int dirfd, const char *name, int flags);
int __wrap_fsync(int fd);
ssize_t __wrap_read(int fd, void *buf, size_t size);
struct dirent *__wrap_readdir(DIR *dir);
int __wrap_renameat2(int from, const char *name, int to, const char *target,
    unsigned int flags);
int __wrap_linkat(int from, const char *name, int to, const char *target,
    int flags);
int __wrap_mkdirat(int dirfd, const char *name, mode_t mode);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t offset);

char box[64];
int boxfd;
char why[PK_MAILDIR_WHY];
struct pk_maildir_settings settings;
struct calls calls;
uint8_t outcomes[512];

/* ---- system calls ------------------------------------------------------- */

static bool
is_name(const char *wanted, const char *name)
{
	return wanted == NULL || (name != NULL && strcmp(wanted, name) == 0);
}

/* Count a step, and say whether it is the one to fail. */
static bool
step_fails(void)
{
	unsigned step;

	if (calls.stepping == STEP_NONE)
		return false;
	step = calls.step++;
	if (calls.stepping == STEP_CRASH && step == calls.at)
		_exit(CRASHED);
	return (calls.stepping == STEP_FAIL && step == calls.at) ||
	    (calls.stepping == STEP_FAIL_ON && step >= calls.at);
}

static void
trace(char letter)
{
	size_t len = strlen(calls.trace);

	if (len + 1 < sizeof(calls.trace))
		calls.trace[len] = letter;
}

/* Run the hook, and say whether the call is to fail. */
static bool
enter(enum call call, const char *name)
{
	void (*hook)(void) = calls.hook;

	if (hook != NULL && calls.hook_call == call &&
	    is_name(calls.hook_name, name)) {
		if (calls.hook_skip > 0) {
			calls.hook_skip--;
		} else {
			calls.hook = NULL;
			hook();
		}
	}
	if (step_fails()) {
		errno = EIO;
		return true;
	}
	if (calls.fail_errno == 0 || calls.fail_call != call ||
	    !is_name(calls.fail_name, name))
		return false;
	errno = calls.fail_errno;
	return true;
}

int
__wrap_openat(int dirfd, const char *name, int flags, ...)
{
	if (enter(CALL_OPENAT, name))
		return -1;
	if ((flags & O_DIRECTORY) == 0 && strncmp(name, "popkeep.", 8) != 0)
		calls.openings++;
	return __real_openat(dirfd, name, flags, 0600);
}

int
__wrap_fstatat(int dirfd, const char *name, struct stat *st, int flags)
{
	if (enter(CALL_FSTATAT, name))
		return -1;
	return __real_fstatat(dirfd, name, st, flags);
}

int
__wrap_unlinkat(int dirfd, const char *name, int flags)
{
	if (enter(CALL_UNLINKAT, name))
		return -1;
	if (strncmp(name, "popkeep.", 8) != 0) {
		calls.unlinks++;
		calls.unsynced++;
		trace('u');
	}
	return __real_unlinkat(dirfd, name, flags);
}

/* Is it new or cur of the maildrop? */
static bool
is_box_dir(const struct stat *st)
{
	struct stat other;

	return (__real_fstatat(boxfd, "new", &other, 0) == 0 &&
	    other.st_ino == st->st_ino) ||
	    (__real_fstatat(boxfd, "cur", &other, 0) == 0 &&
	    other.st_ino == st->st_ino);
}

int
__wrap_fsync(int fd)
{
	struct stat st;
	bool dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

	if (enter(CALL_FSYNC, dir ? "dir" : "file"))
		return -1;
	trace(!dir ? 'f' : is_box_dir(&st) ? 'o' : 'd');
	if (dir) {
		calls.fsyncs++;
		calls.unsynced = 0;
	}
	/* Not really: no test can see the difference, but wait for it. */
	return 0;
}

ssize_t
__wrap_read(int fd, void *buf, size_t size)
{
	if (enter(CALL_READ, NULL))
		return -1;
	return __real_read(fd, buf, size);
}

struct dirent *
__wrap_readdir(DIR *dir)
{
	struct dirent *entry;

	if (enter(CALL_READDIR, NULL))
		return NULL;
	entry = __real_readdir(dir);
	while (entry != NULL && calls.hidden_times > 0 &&
	    strcmp(entry->d_name, calls.hidden) == 0) {
		calls.hidden_times--;
		entry = __real_readdir(dir);
	}
	return entry;
}

int
__wrap_renameat2(int from, const char *name, int to, const char *target,
    unsigned int flags)
{
	if (enter(CALL_RENAMEAT2, name))
		return -1;
	if (calls.rename_errno == EINVAL || (calls.rename_errno != 0 &&
	    strncmp(name, "popkeep.", 8) != 0)) {
		errno = calls.rename_errno;
		return -1;
	}
	trace('r');
	return __real_renameat2(from, name, to, target, flags);
}

int
__wrap_linkat(int from, const char *name, int to, const char *target,
    int flags)
{
	if (enter(CALL_LINKAT, name))
		return -1;
	trace('l');
	return __real_linkat(from, name, to, target, flags);
}

int
__wrap_mkdirat(int dirfd, const char *name, mode_t mode)
{
	if (enter(CALL_MKDIRAT, name))
		return -1;
	trace('m');
	return __real_mkdirat(dirfd, name, mode);
}

ssize_t
__wrap_write(int fd, const void *buf, size_t size)
{
	if (enter(CALL_WRITE, NULL))
		return -1;
	trace('w');
	return __real_write(fd, buf, size);
}

ssize_t
__wrap_pread(int fd, void *buf, size_t size, off_t offset)
{
	if (enter(CALL_PREAD, NULL))
		return -1;
	return __real_pread(fd, buf, size, offset);
}

ssize_t
__wrap_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	if (enter(CALL_PWRITE, NULL))
		return -1;
	return __real_pwrite(fd, buf, size, offset);
}

/* ---- the Maildir -------------------------------------------------------- */

int
box_setup(void **state)
{
	(void)state;
	memset(&calls, 0, sizeof(calls));
	memset(&settings, 0, sizeof(settings));
	why[0] = '\0';
	strcpy(box, "/tmp/popkeep-maildir-XXXXXX");
	if (mkdtemp(box) == NULL)
		return -1;
	boxfd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (boxfd < 0 || mkdirat(boxfd, "new", 0700) != 0 ||
	    mkdirat(boxfd, "cur", 0700) != 0 ||
	    mkdirat(boxfd, "tmp", 0700) != 0)
		return -1;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
box_teardown(void **state)
{
	(void)state;
	memset(&calls, 0, sizeof(calls));
	(void)close(boxfd);
	(void)umount2(box, MNT_DETACH);
	return nftw(box, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
open_again(void)
{
	(void)close(boxfd);
	boxfd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(boxfd >= 0);
}

bool
box_mount(const char *options)
{
	if (mount("none", box, "tmpfs", 0, options) != 0) {
		print_message("no tmpfs: %s\n", strerror(errno));
		return false;
	}
	open_again();
	assert_int_equal(__real_mkdirat(boxfd, "new", 0700), 0);
	assert_int_equal(__real_mkdirat(boxfd, "cur", 0700), 0);
	return true;
}

void
box_unmount(void)
{
	(void)close(boxfd);
	boxfd = -1;
	assert_int_equal(umount(box), 0);
	open_again();
}

void
box_fill_disk(void)
{
	static const char zeros[4096];
	int fd = __real_openat(boxfd, "filler", O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	while (__real_write(fd, zeros, sizeof(zeros)) > 0)
		continue;
	(void)close(fd);
}

void
box_put_octets(const char *name, const void *data, size_t len)
{
	int fd = __real_openat(boxfd, name, O_WRONLY | O_CREAT | O_TRUNC,
	    0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	(void)close(fd);
}

void
box_put(const char *name, const char *text)
{
	box_put_octets(name, text, strlen(text));
}

void
box_rename(const char *from, const char *to)
{
	assert_int_equal(renameat(boxfd, from, boxfd, to), 0);
}

void
box_remove(const char *name)
{
	assert_int_equal(__real_unlinkat(boxfd, name, 0), 0);
}

bool
box_has(const char *name)
{
	struct stat st;

	return __real_fstatat(boxfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void
box_settle(void)
{
	struct timespec times[2];

	times[0].tv_sec = times[1].tv_sec = time(NULL) - 3600;
	times[0].tv_nsec = times[1].tv_nsec = 5;
	assert_int_equal(utimensat(boxfd, "new", times, 0), 0);
	assert_int_equal(utimensat(boxfd, "cur", times, 0), 0);
}

struct pk_maildrop *
box_open(void)
{
	struct pk_maildrop *md = NULL;
	enum pk_maildir_status status;

	status = pk_maildir_open(box, &settings, &md, why);
	if (status != PK_MAILDIR_OK)
		fail_msg("status %d: %s", status, why);
	return md;
}

void
box_open_fails(enum pk_maildir_status status, const char *reason)
{
	struct pk_maildrop *md = NULL;

	assert_int_equal(pk_maildir_open(box, &settings, &md, why), status);
	assert_null(md);
	if (strstr(why, reason) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", reason, why);
}

void
box_visit(void)
{
	struct pk_maildrop *md = box_open();

	pk_maildir_close(&md);
	assert_null(md);
}

struct pk_index
box_load(void)
{
	struct pk_index ix;
	char text[PK_MAILDIR_WHY] = "";
	enum pk_err err;

	err = pk_index_load(boxfd, &ix, text);
	if (err != PK_OK)
		fail_msg("index: %d %s", err, text);
	return ix;
}

void
box_save(struct pk_index *ix)
{
	char text[PK_MAILDIR_WHY] = "";

	assert_int_equal(pk_index_save(boxfd, ix, text), PK_OK);
	pk_index_free(ix);
}

uint64_t
octets_of(struct pk_maildrop *md, uint32_t msgno)
{
	struct pk_message_info info;

	md->ops->info(md, msgno, &info);
	return info.octets;
}

const char *
uid_of(struct pk_maildrop *md, uint32_t msgno)
{
	static char uid[PK_UNIQUE_ID_MAX + 1];
	struct pk_message_info info;

	md->ops->info(md, msgno, &info);
	assert_in_range(info.uid_len, 1, PK_UNIQUE_ID_MAX);
	memcpy(uid, info.uid, info.uid_len);
	uid[info.uid_len] = '\0';
	return uid;
}

const char *
text_of(struct pk_maildrop *md, uint32_t msgno, enum pk_err *err_r)
{
	static char text[4096];
	size_t used = 0, len;

	*err_r = md->ops->open(md, msgno);
	if (*err_r != PK_OK)
		return NULL;
	do {
		assert_int_equal(md->ops->read(md, (uint8_t *)text + used,
		    sizeof(text) - 1 - used, &len), PK_OK);
		used += len;
	} while (len > 0);
	text[used] = '\0';
	md->ops->close(md, false, 0);
	return text;
}

uint32_t
update(struct pk_maildrop *md, const uint8_t *plan, const char *folder)
{
	const struct pk_update u = {
		.plan = plan, .outcome = outcomes, .folder = folder
	};
	uint32_t i, left = 0, said, count = md->ops->count(md);

	assert_true(count <= sizeof(outcomes));
	memset(outcomes, 0xFF, sizeof(outcomes));
	said = md->ops->update(md, &u);
	for (i = 0; i < count; i++) {
		assert_in_range(outcomes[i], 0, PK_OUTCOME_FAILED);
		left += outcomes[i] == PK_OUTCOME_FAILED;
	}
	assert_int_equal(said, left);
	return left;
}

uint32_t
dispose(struct pk_maildrop *md, const uint32_t *msgnos)
{
	uint32_t left, count = md->ops->count(md);
	uint8_t *plan = calloc((size_t)count + 1, 1);

	assert_non_null(plan);
	for (; *msgnos != 0; msgnos++)
		plan[*msgnos - 1] = PK_DISPOSE;
	left = update(md, plan, "");
	free(plan);
	return left;
}
