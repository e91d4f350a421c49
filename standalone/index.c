/*
 * popkeep.index: load and check, build, save.
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

#include <xxhash.h>

#include "engine/maildrop.h"
#include "standalone/index.h"
#include "engine/maildir_name.h"
#include "standalone/maildir_why.h"

#define INDEX_NAME	"popkeep.index"
#define TEMP_PREFIX	INDEX_NAME ".tmp."
#define TEMP_TRIES	8

#define HASHED_HEADER	offsetof(struct pk_index_header, header_hash)
#define LAST_LOGIN	offsetof(struct pk_index_header, last_login)

/* The largest file that can be an index. */
#define FILE_MAX	(sizeof(struct pk_index_header) + \
    (uint64_t)PK_INDEX_MAX * \
    (sizeof(struct pk_index_record) + 256 + PK_NAME_HASH_LEN))

static void
set_image(struct pk_index *ix, void *image, uint32_t count)
{
	ix->header = image;
	ix->records = (void *)(ix->header + 1);
	ix->names = (void *)(ix->records + count);
}

static uint64_t
body_len(const struct pk_index_header *header)
{
	return header->count * sizeof(struct pk_index_record) +
	    header->names_len;
}

/* Does the header belong to this program and to a file of size octets? */
static const char *
header_fault(const struct pk_index_header *header, uint64_t size)
{
	if (memcmp(header->magic, PK_INDEX_MAGIC, sizeof(header->magic)) != 0)
		return "no index";
	if (header->order != PK_INDEX_ORDER)
		return "of another byte order";
	if (header->version != PK_INDEX_VERSION)
		return "of another version";
	if (header->header_hash != XXH3_64bits(header, HASHED_HEADER))
		return "damaged (header)";
	if (header->count > PK_INDEX_MAX || header->trusted > 1 ||
	    header->names_len > FILE_MAX ||
	    (header->flags & ~PK_INDEX_FACTS_LOST) != 0 ||
	    size - sizeof(*header) != body_len(header))
		return "damaged (lengths)";
	return NULL;
}

/* Are all octets 0x21-0x7E?  Eight at once: this is most of the check. */
static bool
is_printable(const char *text, size_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t word, bad = 0;

	for (; len >= sizeof(word); text += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		/* Below 0x21 borrows into the top bit; 0x7F carries into it. */
		bad |= ((word - ones * 0x21) | (word + ones) | word) &
		    (ones * 0x80);
	}
	for (; len > 0; text++, len--)
		bad |= *text < 0x21 || *text > 0x7E;
	return bad == 0;
}

/* Whoever owns the file may have written it: rely on nothing in a record. */
static bool
record_is_sound(const struct pk_index_header *header,
    const struct pk_index_record *record, const char *names)
{
	const char *name;
	bool hash = (record->flags & PK_RECORD_HASH) != 0;
	uint64_t end = (uint64_t)record->name_off + record->name_len + 1 +
	    (hash ? PK_NAME_HASH_LEN : 0);

	if ((record->flags & ~PK_RECORD_STORED) != 0 ||
	    record->name_len == 0 || record->base_len > record->name_len ||
	    end > header->names_len)
		return false;
	name = names + record->name_off;
	if (name[0] == '.' || name[record->name_len] != '\0' ||
	    (record->base_len < record->name_len &&
	    name[record->base_len] != ':'))
		return false;
	if (hash)
		return is_printable(name + record->name_len + 1,
		    PK_NAME_HASH_LEN);
	return record->base_len >= 1 && record->base_len <= PK_UNIQUE_ID_MAX &&
	    is_printable(name, record->base_len);
}

static const char *
body_fault(const struct pk_index *ix)
{
	const struct pk_index_header *header = ix->header;
	uint32_t i;

	if (XXH3_64bits(ix->records, body_len(header)) != header->body_hash)
		return "damaged (body)";
	if (header->names_len > 0 &&
	    memchr(ix->names, '/', header->names_len) != NULL)
		return "damaged (a name is a path)";
	for (i = 0; i < header->count; i++) {
		if (!record_is_sound(header, &ix->records[i], ix->names))
			return "damaged (record)";
		if (i > 0 && ix->records[i].delivered <
		    ix->records[i - 1].delivered)
			return "damaged (order)";
	}
	return NULL;
}

/* Read size octets.  PK_ERR_SYNTAX: the file is shorter. */
static enum pk_err
read_all(int fd, char *buf, uint64_t size)
{
	ssize_t n;

	while (size > 0) {
		n = read(fd, buf, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return PK_ERR_IO;
		if (n == 0)
			return PK_ERR_SYNTAX;
		buf += n;
		size -= (uint64_t)n;
	}
	return PK_OK;
}

static enum pk_err
load_image(int fd, uint64_t size, struct pk_index *ix_r, const char **fault_r)
{
	struct pk_index ix = { 0 };
	struct pk_index_header *header;
	enum pk_err err;

	header = malloc(size);
	if (header == NULL)
		return PK_ERR_NOMEM;
	*fault_r = "truncated";
	err = read_all(fd, (char *)header, size);
	if (err == PK_OK) {
		*fault_r = header_fault(header, size);
		err = *fault_r != NULL ? PK_ERR_SYNTAX : PK_OK;
	}
	if (err == PK_OK) {
		set_image(&ix, header, header->count);
		*fault_r = body_fault(&ix);
		err = *fault_r != NULL ? PK_ERR_SYNTAX : PK_OK;
	}
	if (err != PK_OK) {
		free(header);
		return err;
	}
	if (header->last_login_check != ~(uint64_t)header->last_login) {
		header->last_login = 0;
		header->last_login_check = ~(uint64_t)0;
	}
	*ix_r = ix;
	return PK_OK;
}

static const char *
file_fault(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != geteuid())
		return "somebody else's";
	if ((uint64_t)st->st_size < sizeof(struct pk_index_header))
		return "truncated";
	if ((uint64_t)st->st_size > FILE_MAX)
		return "too long";
	return NULL;
}

static enum pk_err
load_fd(int fd, struct pk_index *ix_r, const char **fault_r)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return PK_ERR_IO;
	*fault_r = file_fault(&st);
	if (*fault_r != NULL)
		return PK_ERR_SYNTAX;
	return load_image(fd, (uint64_t)st.st_size, ix_r, fault_r);
}

enum pk_err
pk_index_load(int dirfd, struct pk_index *ix_r, char why[PK_MAILDIR_WHY])
{
	const char *fault = NULL;
	enum pk_err err;
	int fd, saved;

	fd = openat(dirfd, INDEX_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return PK_ERR_NOTFOUND;
	if (fd < 0) {
		pk_why_add(why, INDEX_NAME ": %m");
		return PK_ERR_IO;
	}
	err = load_fd(fd, ix_r, &fault);
	saved = errno;
	(void)close(fd);
	if (err == PK_ERR_SYNTAX)
		pk_why_add(why, INDEX_NAME " is %s", fault);
	else if (err != PK_OK)
		pk_why_add(why, INDEX_NAME ": %s", strerror(saved));
	return err;
}

enum pk_err
pk_index_new(struct pk_index *ix_r, uint32_t count, uint64_t names_len)
{
	struct pk_index_header *header;

	if (count > PK_INDEX_MAX || names_len > UINT32_MAX)
		return PK_ERR_LIMIT;
	header = malloc(sizeof(*header) + names_len +
	    count * sizeof(struct pk_index_record));
	if (header == NULL)
		return PK_ERR_NOMEM;
	memset(header, 0, sizeof(*header));
	memcpy(header->magic, PK_INDEX_MAGIC, sizeof(header->magic));
	header->version = PK_INDEX_VERSION;
	header->order = PK_INDEX_ORDER;
	header->last_login_check = ~(uint64_t)0;
	set_image(ix_r, header, count);
	return PK_OK;
}

void
pk_index_copy_facts(struct pk_index *ix, const struct pk_index *from)
{
	ix->header->facts_since = from->header->facts_since;
	ix->header->flags = from->header->flags;
	ix->header->last_login = from->header->last_login;
	ix->header->last_login_check = from->header->last_login_check;
}

size_t
pk_index_names_need(const struct pk_index_record *record, size_t name_len)
{
	bool hash = (record->flags & PK_RECORD_HASH) != 0;

	return name_len + 1 + (hash ? PK_NAME_HASH_LEN : 0);
}

void
pk_index_append(struct pk_index *ix, const struct pk_index_record *record,
    const char *name, size_t name_len, const char *uid)
{
	struct pk_index_record *to = &ix->records[ix->header->count];
	char *p = ix->names + ix->header->names_len;

	*to = *record;
	to->flags &= PK_RECORD_STORED;
	to->name_off = (uint32_t)ix->header->names_len;
	to->name_len = (uint8_t)name_len;
	memcpy(p, name, name_len);
	p[name_len] = '\0';
	if ((record->flags & PK_RECORD_HASH) != 0)
		memcpy(p + name_len + 1, uid, PK_NAME_HASH_LEN);
	ix->header->names_len += pk_index_names_need(record, name_len);
	ix->header->count++;
}

const char *
pk_index_name(const struct pk_index *ix, const struct pk_index_record *record)
{
	return ix->names + record->name_off;
}

const char *
pk_index_uid(const struct pk_index *ix, const struct pk_index_record *record,
    size_t *len_r)
{
	const char *name = pk_index_name(ix, record);

	if ((record->flags & PK_RECORD_HASH) != 0) {
		*len_r = PK_NAME_HASH_LEN;
		return name + record->name_len + 1;
	}
	*len_r = record->base_len;
	return name;
}

/* What a session left that was killed while it wrote; the lock is ours. */
static void
remove_leftovers(int dirfd)
{
	struct dirent *entry;
	DIR *dir;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, TEMP_PREFIX,
		    strlen(TEMP_PREFIX)) == 0)
			(void)unlinkat(dirfd, entry->d_name, 0);
	(void)closedir(dir);
}

/* Create a temporary file.  Returns it and its name, or -1. */
static int
create_temp(int dirfd, char name[64])
{
	int fd = -1, i;

	for (i = 0; fd < 0 && i < TEMP_TRIES; i++) {
		(void)snprintf(name, 64, TEMP_PREFIX "%ld.%d",
		    (long)getpid(), i);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd;
}

static int
write_all(int fd, const char *buf, uint64_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf += n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Write, sync and close fd, whatever happens.  -1: it is not all there. */
static int
write_and_close(int fd, const struct pk_index_header *header)
{
	int result, saved;

	result = write_all(fd, (const char *)header,
	    sizeof(*header) + body_len(header));
	if (result == 0)
		result = fsync(fd);
	saved = errno;
	if (close(fd) != 0 && result == 0)
		return -1;
	errno = saved;
	return result;
}

static void
seal(struct pk_index *ix)
{
	struct pk_index_header *header = ix->header;

	header->body_hash = XXH3_64bits(ix->records, body_len(header));
	header->header_hash = XXH3_64bits(header, HASHED_HEADER);
}

enum pk_err
pk_index_save(int dirfd, struct pk_index *ix, char why[PK_MAILDIR_WHY])
{
	char name[64];
	int fd, saved;

	seal(ix);
	remove_leftovers(dirfd);
	fd = create_temp(dirfd, name);
	if (fd < 0) {
		pk_why_add(why, INDEX_NAME " cannot be written: %m");
		return PK_ERR_IO;
	}
	if (write_and_close(fd, ix->header) != 0 ||
	    renameat(dirfd, name, dirfd, INDEX_NAME) != 0) {
		saved = errno;
		(void)unlinkat(dirfd, name, 0);
		pk_why_add(why, INDEX_NAME " cannot be written: %s",
		    strerror(saved));
		errno = saved;
		return PK_ERR_IO;
	}
	return PK_OK;
}

static enum pk_err
write_last_login(int fd, int64_t when)
{
	struct pk_index_header header;
	const int64_t pair[2] = { when, ~when };
	struct stat st;

	if (fstat(fd, &st) != 0)
		return PK_ERR_IO;
	if (file_fault(&st) != NULL ||
	    read_all(fd, (char *)&header, sizeof(header)) != PK_OK ||
	    header_fault(&header, (uint64_t)st.st_size) != NULL)
		return PK_ERR_SYNTAX;
	/* Torn by a crash it does not match its check, and is not known. */
	if (pwrite(fd, pair, sizeof(pair), LAST_LOGIN) != sizeof(pair))
		return PK_ERR_IO;
	return PK_OK;
}

enum pk_err
pk_index_write_last_login(int dirfd, int64_t when)
{
	enum pk_err err;
	int fd;

	fd = openat(dirfd, INDEX_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? PK_ERR_NOTFOUND : PK_ERR_IO;
	err = write_last_login(fd, when);
	(void)close(fd);
	return err;
}

void
pk_index_free(struct pk_index *ix)
{
	free(ix->header);
	memset(ix, 0, sizeof(*ix));
}
