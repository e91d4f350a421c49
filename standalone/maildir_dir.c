/*
 * The directories new and cur of a Maildir, and the files in them.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_dir.h"
#include "standalone/maildir_why.h"

const char *
pk_dir_name(enum pk_maildir_dir dir)
{
	return dir == PK_CUR ? "cur" : "new";
}

static int
stamp_local(int dirfd, const char *name, struct pk_index_stamp *stamp_r)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	stamp_r->mtime = st.st_mtim.tv_sec;
	stamp_r->mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
	stamp_r->ctime = st.st_ctim.tv_sec;
	stamp_r->ctime_nsec = (uint32_t)st.st_ctim.tv_nsec;
	stamp_r->ino = st.st_ino;
	return 0;
}

/* A plain stat may be answered by NFS from a cache that is a minute old. */
static int
stamp_server(int dirfd, const char *name, struct pk_index_stamp *stamp_r)
{
	struct statx st;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
	    STATX_BASIC_STATS, &st) != 0)
		return -1;
	if (!S_ISDIR(st.stx_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	stamp_r->mtime = st.stx_mtime.tv_sec;
	stamp_r->mtime_nsec = st.stx_mtime.tv_nsec;
	stamp_r->ctime = st.stx_ctime.tv_sec;
	stamp_r->ctime_nsec = st.stx_ctime.tv_nsec;
	stamp_r->ino = st.stx_ino;
	return 0;
}

int
pk_dir_stamps(int dirfd, bool nfs, struct pk_index_stamp stamps_r[PK_DIRS],
    enum pk_maildir_dir *bad_r)
{
	static const enum pk_maildir_dir order[PK_DIRS] = { PK_NEW, PK_CUR };
	int i, result;

	for (i = 0; i < PK_DIRS; i++) {
		result = nfs ?
		    stamp_server(dirfd, pk_dir_name(order[i]), &stamps_r[i]) :
		    stamp_local(dirfd, pk_dir_name(order[i]), &stamps_r[i]);
		if (result != 0) {
			*bad_r = order[i];
			return -1;
		}
	}
	return 0;
}

bool
pk_dir_stamps_equal(const struct pk_index_stamp a[PK_DIRS],
    const struct pk_index_stamp b[PK_DIRS])
{
	return memcmp(a, b, PK_DIRS * sizeof(a[0])) == 0;
}

int
pk_dir_open(int dirfd, enum pk_maildir_dir dir)
{
	return openat(dirfd, pk_dir_name(dir),
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int
pk_dir_sync(int fd)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == ENOSYS ||
	    errno == ENOTSUP)
		return 0;
	return -1;
}

static enum pk_maildir_status
read_entries(DIR *stream, enum pk_maildir_dir dir, pk_dir_visit *visit,
    void *ctx, uint32_t *irregular_r)
{
	enum pk_maildir_status status = PK_MAILDIR_OK;
	struct dirent *entry;

	while (status == PK_MAILDIR_OK) {
		errno = 0;
		entry = readdir(stream);
		if (entry == NULL)
			return errno == 0 ? PK_MAILDIR_OK :
			    PK_MAILDIR_TEMPORARY;
		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN) {
			(*irregular_r)++;
			continue;
		}
		errno = 0;
		status = visit(ctx, dir, entry->d_name, strlen(entry->d_name),
		    entry->d_type == DT_REG);
	}
	return status;
}

enum pk_maildir_status
pk_dir_read(int dirfd, enum pk_maildir_dir dir, pk_dir_visit *visit, void *ctx,
    uint32_t *irregular_r, char why[PK_MAILDIR_WHY])
{
	enum pk_maildir_status status;
	DIR *stream;
	int fd;

	fd = pk_dir_open(dirfd, dir);
	stream = fd >= 0 ? fdopendir(fd) : NULL;
	if (stream == NULL) {
		status = pk_why_status(errno);
		pk_why_add(why, "%s: %m", pk_dir_name(dir));
		if (fd >= 0)
			(void)close(fd);
		return status;
	}
	status = read_entries(stream, dir, visit, ctx, irregular_r);
	if (status != PK_MAILDIR_OK && errno != 0)
		pk_why_add(why, "%s: reading it: %m", pk_dir_name(dir));
	(void)closedir(stream);
	return status;
}

int
pk_dir_open_message(int fd, const char *name, struct stat *st_r)
{
	int message, saved;

	message = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (message < 0)
		return -1;
	if (fstat(message, st_r) == 0) {
		if (S_ISREG(st_r->st_mode))
			return message;
		errno = ENXIO;
	}
	saved = errno;
	(void)close(message);
	errno = saved;
	return -1;
}
