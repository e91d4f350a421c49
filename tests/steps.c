/*
 * System calls that fail, or are the last: see steps.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tests/steps.h"

struct plan plan = { .at = -1 };

void
begin(enum mode mode, long at)
{
	plan.mode = mode;
	plan.at = at;
	plan.steps = 0;
	memset(plan.trace, 0, sizeof(plan.trace));
}

/* Before a step; true: it fails. */
static bool
before(char what, bool *last_r)
{
	size_t len = strlen(plan.trace);

	if (len + 1 < sizeof(plan.trace))
		plan.trace[len] = what;
	*last_r = plan.at >= 0 && plan.steps++ == plan.at;
	if (*last_r && plan.mode == DIE_BEFORE)
		_exit(1);
	if (*last_r && plan.mode == FAIL)
		errno = plan.errnum;
	return *last_r && plan.mode == FAIL;
}

static void
after(bool last)
{
	if (last && plan.mode != FAIL)
		_exit(1);
}

#define STEP(what, call)						\
	do {								\
		bool last, fails = before(what, &last);			\
		int rc = fails ? -1 : call;				\
									\
		after(last);						\
		return rc;						\
	} while (0)

int
__wrap_fsync(int fd)
{
	struct stat st;

	STEP(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 'D' : 'S',
	    __real_fsync(fd));
}

int
__wrap_fdatasync(int fd)
{
	STEP('d', __real_fdatasync(fd));
}

int
__wrap_ftruncate(int fd, off_t size)
{
	STEP('T', __real_ftruncate(fd, size));
}

int
__wrap_renameat(int from, const char *name, int to, const char *target)
{
	STEP('R', __real_renameat(from, name, to, target));
}

int
__wrap_linkat(int from, const char *name, int to, const char *target,
    int flags)
{
	STEP('L', __real_linkat(from, name, to, target, flags));
}

int
__wrap_unlinkat(int dirfd, const char *name, int flags)
{
	STEP('U', __real_unlinkat(dirfd, name, flags));
}

/* A part of it is written; a full disk says so, and fails the next time. */
static ssize_t
write_step(int fd, const void *data, size_t len, off_t offset)
{
	bool last, fails = before(offset < 0 ? 'w' : 'W', &last);
	ssize_t n;

	if (fails || (last && plan.mode == DIE_HALFWAY))
		len /= 2;
	n = offset < 0 ? __real_write(fd, data, len) :
	    __real_pwrite(fd, data, len, offset);
	after(last);
	if (fails && (plan.errnum != ENOSPC || offset < 0)) {
		errno = plan.errnum;
		return -1;
	}
	return n;
}

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	return write_step(fd, data, len, -1);
}

ssize_t
__wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return write_step(fd, data, len, offset);
}
