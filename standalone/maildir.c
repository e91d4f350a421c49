/*
 * A Maildir as a maildrop: locking, opening, reading, UPDATE.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/index.h"
#include "standalone/maildir.h"
#include "standalone/maildir_dir.h"
#include "standalone/maildir_private.h"
#include "standalone/maildir_scan.h"
#include "standalone/maildir_why.h"

#define LOCK_NAME	"popkeep.lock"

/* So much work of a scan is saved at once, not when the session ends. */
#define SAVE_ADDED	1000
#define SAVE_READ	100

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int
pk_maildir_dir(struct maildir *m, enum pk_maildir_dir dir)
{
	if (m->dirs[dir] < 0)
		m->dirs[dir] = pk_dir_open(m->dirfd, dir);
	return m->dirs[dir];
}

void
pk_maildir_say(struct maildir *m, uint32_t id)
{
	enum pk_maildir_dir dir = PK_CUR;
	const char *name;
	char text[PK_WHY_NAME];
	int err = errno;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name))
		name = pk_index_name(&m->index, &m->index.records[id]);
	pk_why_add(m->why, "%s/%s: %s", pk_dir_name(dir),
	    pk_why_name(text, name), strerror(err));
}

static uint32_t
maildir_count(const struct pk_maildrop *md)
{
	return from_head_const(md)->index.header->count;
}

static void
maildir_info(const struct pk_maildrop *md, uint32_t msgno,
    struct pk_message_info *info_r)
{
	const struct maildir *m = from_head_const(md);
	const struct pk_index_record *record = &m->index.records[msgno - 1];

	info_r->octets = record->octets;
	info_r->uid = pk_index_uid(&m->index, record, &info_r->uid_len);
}

/* Open a message where it was last.  -1 and errno. */
static int
open_where_known(struct maildir *m, uint32_t id, struct stat *st_r)
{
	enum pk_maildir_dir dir;
	const char *name;
	int fd;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name)) {
		errno = ENOENT;
		return -1;
	}
	fd = pk_maildir_dir(m, dir);
	return fd < 0 ? -1 : pk_dir_open_message(fd, name, st_r);
}

static enum pk_err
maildir_open(struct pk_maildrop *md, uint32_t msgno)
{
	struct maildir *m = from_head(md);
	uint32_t id = msgno - 1;
	struct stat st;
	enum pk_err err;
	int tries, fd;

	m->why[0] = '\0';
	fd = open_where_known(m, id, &st);
	for (tries = 0; fd < 0 && pk_maildir_is_missing(errno) &&
	    tries < PK_LOOK_TRIES; tries++) {
		if (pk_places_is_gone(&m->places, id))
			break;
		err = pk_places_update(&m->places, m->dirfd, m->nfs,
		    &m->index, m->why);
		if (err != PK_OK)
			return err;
		fd = open_where_known(m, id, &st);
	}
	if (fd < 0) {
		err = pk_maildir_is_missing(errno) ? PK_ERR_NOTFOUND :
		    PK_ERR_IO;
		pk_maildir_say(m, id);
		return err;
	}
	m->message = fd;
	m->message_id = id;
	m->message_size = (uint64_t)st.st_size;
	pk_maildir_see_begin(m);
	return PK_OK;
}

static enum pk_err
maildir_read(struct pk_maildrop *md, uint8_t *buf, size_t size, size_t *len_r)
{
	struct maildir *m = from_head(md);
	ssize_t n;

	do
		n = read(m->message, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		m->why[0] = '\0';
		pk_maildir_say(m, m->message_id);
		return PK_ERR_IO;
	}
	if (m->seeing)
		pk_maildir_see(m, buf, (size_t)n);
	*len_r = (size_t)n;
	return PK_OK;
}

static void
maildir_close(struct pk_maildrop *md, bool whole, uint64_t sent)
{
	struct maildir *m = from_head(md);
	struct pk_index_record *record = &m->index.records[m->message_id];

	close_fd(&m->message);
	if (whole && sent != record->octets) {
		record->octets = sent;
		record->size = m->message_size;
		m->changed = true;
	}
}

static const struct pk_maildrop_ops maildir_ops = {
	.count = maildir_count,
	.info = maildir_info,
	.open = maildir_open,
	.read = maildir_read,
	.close = maildir_close,
	.message_id = pk_maildir_message_id,
	.facts = pk_maildir_facts,
	.note = pk_maildir_note,
	.update = pk_maildir_update,
};

/* Say what failed with errno below the Maildir; returns how bad that is. */
static enum pk_maildir_status
say_failure(const char *what, char why[PK_MAILDIR_WHY])
{
	int err = errno;

	pk_why_add(why, "%s: %s", what, strerror(err));
	return pk_why_status(err);
}

static enum pk_maildir_status
open_dir(struct maildir *m, const char *path, bool create, char why[])
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	char text[PK_WHY_NAME];

	m->dirfd = open(path, flags);
	if (m->dirfd < 0 && errno == ENOENT && create) {
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return say_failure(pk_why_name(text, path), why);
		m->dirfd = open(path, flags);
	}
	if (m->dirfd < 0)
		return say_failure(pk_why_name(text, path), why);
	return PK_MAILDIR_OK;
}

/* It is never unlinked: where it is, there was a session before. */
static int
open_lock(int dirfd, bool *existed_r)
{
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd;

	fd = openat(dirfd, LOCK_NAME, flags);
	*existed_r = fd >= 0;
	if (fd < 0 && errno == ENOENT)
		fd = openat(dirfd, LOCK_NAME, flags | O_CREAT, 0600);
	return fd;
}

/* Take the lock that sessions and the sweep share. */
static enum pk_maildir_status
take_lock(struct maildir *m, char why[PK_MAILDIR_WHY])
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	m->lockfd = open_lock(m->dirfd, &m->opened_before);
	if (m->lockfd < 0 || fstat(m->lockfd, &st) != 0)
		return say_failure(LOCK_NAME, why);
	if (!S_ISREG(st.st_mode)) {
		pk_why_add(why, LOCK_NAME ": not a regular file");
		return PK_MAILDIR_PERMANENT;
	}
	if (fcntl(m->lockfd, F_OFD_SETLK, &lock) == 0)
		return PK_MAILDIR_OK;
	if (errno == EAGAIN || errno == EACCES) {
		pk_why_add(why, LOCK_NAME ": held by another session");
		return PK_MAILDIR_IN_USE;
	}
	return say_failure(LOCK_NAME, why);
}

/* The times of new and cur, which are made if that is wanted. */
static enum pk_maildir_status
take_stamps(struct maildir *m, bool create,
    struct pk_index_stamp stamps_r[PK_DIRS], char why[PK_MAILDIR_WHY])
{
	static const char *const names[] = { "tmp", "new", "cur" };
	enum pk_maildir_dir bad;
	size_t i;

	if (pk_dir_stamps(m->dirfd, m->nfs, stamps_r, &bad) == 0)
		return PK_MAILDIR_OK;
	if (errno != ENOENT || !create)
		return say_failure(pk_dir_name(bad), why);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mkdirat(m->dirfd, names[i], 0700) != 0 && errno != EEXIST)
			return say_failure(names[i], why);
	if (pk_dir_stamps(m->dirfd, m->nfs, stamps_r, &bad) == 0)
		return PK_MAILDIR_OK;
	return say_failure(pk_dir_name(bad), why);
}

/* The clock that gives the directories their times, for a scan. */
static void
read_fs_clock(int lockfd, struct timespec *now_r)
{
	struct stat st;

	if (futimens(lockfd, NULL) == 0 && fstat(lockfd, &st) == 0)
		*now_r = st.st_mtim;
}

static enum pk_maildir_status
scan_maildir(struct maildir *m, char why[PK_MAILDIR_WHY])
{
	struct pk_scan scan = {
		.dirfd = m->dirfd,
		.nfs = m->nfs,
		.max = PK_INDEX_MAX,
		.now = time(NULL),
		.opened_before = m->opened_before,
	};
	struct pk_scan_result result;
	enum pk_maildir_status status;

	read_fs_clock(m->lockfd, &scan.fs_now);
	status = pk_maildir_scan(&scan, &m->index, &result, why);
	if (status != PK_MAILDIR_OK)
		return status;
	pk_index_free(&m->index);
	m->index = result.index;
	m->changed = result.changed;
	if (m->changed &&
	    (result.added >= SAVE_ADDED || result.read >= SAVE_READ))
		m->changed = pk_index_save(m->dirfd, &m->index, why) != PK_OK;
	return PK_MAILDIR_OK;
}

/* The index if nothing has changed since it was written, else a scan. */
static enum pk_maildir_status
fill_index(struct maildir *m, const struct pk_maildir_settings *settings,
    char why[PK_MAILDIR_WHY])
{
	struct pk_index_stamp stamps[PK_DIRS];
	enum pk_maildir_status status;
	enum pk_err err;

	status = take_stamps(m, settings->create, stamps, why);
	if (status != PK_MAILDIR_OK)
		return status;
	err = pk_index_load(m->dirfd, &m->index, why);
	/* It is sound for all we know, and its facts must not be lost. */
	if (err == PK_ERR_NOMEM)
		return PK_MAILDIR_TEMPORARY;
	if (err == PK_OK && !m->nfs && m->index.header->trusted &&
	    pk_dir_stamps_equal(m->index.header->stamps, stamps))
		return PK_MAILDIR_OK;
	return settings->defer_scan ? PK_MAILDIR_SCAN : scan_maildir(m, why);
}

/* Closing lockfd releases the lock. */
static void
close_files(struct maildir *m)
{
	close_fd(&m->message);
	close_fd(&m->dirs[PK_NEW]);
	close_fd(&m->dirs[PK_CUR]);
	close_fd(&m->lockfd);
	close_fd(&m->dirfd);
}

/* Free everything. */
static void
free_maildir(struct maildir *m)
{
	close_files(m);
	pk_places_deinit(&m->places);
	pk_ids_deinit(&m->ids);
	pk_index_free(&m->index);
	free(m->retained);
	free(m->folders);
	free(m);
}

/* false: out of memory. */
static bool
copy_path(const char *path, char **copy_r)
{
	if (path != NULL)
		*copy_r = strdup(path);
	return path == NULL || *copy_r != NULL;
}

/* A maildrop with nothing open; NULL: out of memory. */
static struct maildir *
new_maildir(const struct pk_maildir_settings *settings)
{
	struct maildir *m;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->head.ops = &maildir_ops;
	m->dirfd = m->lockfd = m->message = -1;
	m->dirs[PK_NEW] = m->dirs[PK_CUR] = -1;
	m->nfs = settings->nfs;
	if (copy_path(settings->retained, &m->retained) &&
	    copy_path(settings->folders, &m->folders))
		return m;
	free_maildir(m);
	return NULL;
}

enum pk_maildir_status
pk_maildir_open(const char *path, const struct pk_maildir_settings *settings,
    struct pk_maildrop **md_r, char why[PK_MAILDIR_WHY])
{
	enum pk_maildir_status status;
	struct maildir *m;

	why[0] = '\0';
	m = new_maildir(settings);
	if (m == NULL) {
		pk_why_add(why, "out of memory");
		return PK_MAILDIR_TEMPORARY;
	}
	status = open_dir(m, path, settings->create, why);
	if (status == PK_MAILDIR_OK)
		status = take_lock(m, why);
	if (status == PK_MAILDIR_OK)
		status = fill_index(m, settings, why);
	if (status != PK_MAILDIR_OK && status != PK_MAILDIR_SCAN) {
		free_maildir(m);
		return status;
	}
	*md_r = &m->head;
	return status;
}

enum pk_maildir_status
pk_maildir_scan_deferred(struct pk_maildrop *md, char why[PK_MAILDIR_WHY])
{
	why[0] = '\0';
	return scan_maildir(from_head(md), why);
}

const char *
pk_maildir_why(const struct pk_maildrop *md)
{
	return from_head_const(md)->why;
}

static void
save_changes(struct maildir *m)
{
	if (m->changed)
		(void)!pk_maildir_save(m, m->why);
	m->changed = false;
}

void
pk_maildir_unlock(struct pk_maildrop *md)
{
	struct maildir *m = from_head(md);

	save_changes(m);
	close_files(m);
}

void
pk_maildir_close(struct pk_maildrop **mdp)
{
	struct maildir *m;

	if (*mdp == NULL)
		return;
	m = from_head(*mdp);
	save_changes(m);
	free_maildir(m);
	*mdp = NULL;
}
