/*
 * What is in the files of two messages: see maildir_contents.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "standalone/maildir_contents.h"

#define CHUNK	65536

/* Fill the chunk from offset on as far as the file goes.  -1 and errno. */
static ssize_t
read_chunk(int fd, uint8_t *chunk, off_t offset)
{
	size_t len = 0;
	ssize_t n;

	while (len < CHUNK) {
		n = pread(fd, chunk + len, CHUNK - len, offset + (off_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static enum pk_err
compare(int a, int b, uint8_t *chunks, bool *same_r)
{
	ssize_t n, other;
	off_t offset = 0;
	bool same;

	do {
		n = read_chunk(a, chunks, offset);
		other = n < 0 ? -1 : read_chunk(b, chunks + CHUNK, offset);
		if (other < 0)
			return PK_ERR_IO;
		same = n == other &&
		    memcmp(chunks, chunks + CHUNK, (size_t)n) == 0;
		offset += n;
	} while (same && n == CHUNK);
	*same_r = same;
	return PK_OK;
}

enum pk_err
pk_contents_compare(int a, int b, bool *same_r)
{
	struct stat st_a, st_b;
	uint8_t *chunks;
	enum pk_err err;
	int saved;

	if (fstat(a, &st_a) != 0 || fstat(b, &st_b) != 0)
		return PK_ERR_IO;
	if (st_a.st_size != st_b.st_size) {
		*same_r = false;
		return PK_OK;
	}
	chunks = malloc(2 * CHUNK);
	if (chunks == NULL)
		return PK_ERR_NOMEM;
	err = compare(a, b, chunks, same_r);
	saved = errno;
	free(chunks);
	errno = saved;
	return err;
}

static int
write_all(int fd, const uint8_t *data, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
copy_octets(int from, int to, uint8_t *chunk, off_t *copied_r)
{
	off_t offset = 0;
	ssize_t n;

	do {
		n = read_chunk(from, chunk, offset);
		if (n < 0 || write_all(to, chunk, (size_t)n) != 0)
			return -1;
		offset += n;
	} while (n == CHUNK);
	*copied_r = offset;
	return 0;
}

enum pk_err
pk_contents_copy(int from, int to)
{
	struct timespec times[2];
	uint8_t *chunk;
	struct stat st;
	int result, saved;
	off_t copied;

	chunk = malloc(CHUNK);
	if (chunk == NULL)
		return PK_ERR_NOMEM;
	result = copy_octets(from, to, chunk, &copied);
	saved = errno;
	free(chunk);
	errno = saved;
	if (result != 0 || fstat(from, &st) != 0)
		return PK_ERR_IO;
	if (copied != st.st_size) {
		errno = EIO;
		return PK_ERR_IO;
	}
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return futimens(to, times) == 0 ? PK_OK : PK_ERR_IO;
}

static enum pk_err
hash_octets(int fd, XXH3_state_t *state, uint8_t *chunk)
{
	off_t offset = 0;
	ssize_t n;

	do {
		n = read_chunk(fd, chunk, offset);
		if (n < 0)
			return PK_ERR_IO;
		(void)XXH3_64bits_update(state, chunk, (size_t)n);
		offset += n;
	} while (n == CHUNK);
	return PK_OK;
}

enum pk_err
pk_contents_hash(int fd, uint64_t *hash_r)
{
	XXH3_state_t *state = XXH3_createState();
	uint8_t *chunk = malloc(CHUNK);
	enum pk_err err = PK_ERR_NOMEM;
	int saved;

	if (state != NULL && chunk != NULL) {
		(void)XXH3_64bits_reset(state);
		err = hash_octets(fd, state, chunk);
	}
	saved = err == PK_ERR_NOMEM ? ENOMEM : errno;
	if (err == PK_OK)
		*hash_r = XXH3_64bits_digest(state);
	(void)XXH3_freeState(state);
	free(chunk);
	errno = saved;
	return err;
}
