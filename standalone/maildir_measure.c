/*
 * The first look at a message: size, octets as sent, time of delivery.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/stuffing.h"
#include "standalone/maildir_dir.h"
#include "standalone/maildir_measure.h"
#include "engine/maildir_name.h"

/* Is this the beginning of a file that must be decompressed to be mail? */
static bool
is_compressed(const uint8_t *octets, size_t len)
{
	static const struct {
		const char *magic;
		size_t len;
	} formats[] = {
		{ "\x1F\x8B", 2 },			/* gzip */
		{ "\xFD" "7zXZ\0", 6 },			/* xz */
		{ "\x28\xB5\x2F\xFD", 4 },		/* zstd */
		{ "\x04\x22\x4D\x18", 4 },		/* lz4 */
	};
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (len >= formats[i].len &&
		    memcmp(octets, formats[i].magic, formats[i].len) == 0)
			return true;
	/* bzip2: a digit follows, for BZh could begin a field's name. */
	return len >= 4 && memcmp(octets, "BZh", 3) == 0 &&
	    octets[3] >= '1' && octets[3] <= '9';
}

/* Fill the chunk as far as the file goes.  Returns its length, or -1. */
static ssize_t
read_chunk(int fd, uint8_t *chunk)
{
	size_t len = 0;
	ssize_t n;

	while (len < PK_MEASURE_CHUNK) {
		n = read(fd, chunk + len, PK_MEASURE_CHUNK - len);
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

static enum pk_measured
count_octets(int fd, uint8_t *chunk, uint64_t *octets_r)
{
	struct pk_stuffing st;
	bool first = true;
	ssize_t n;

	pk_stuffing_init(&st);
	do {
		n = read_chunk(fd, chunk);
		if (n < 0)
			return PK_MEASURED_FAILED;
		if (first && is_compressed(chunk, (size_t)n))
			return PK_MEASURED_COMPRESSED;
		first = false;
		pk_stuffing_count(&st, chunk, (size_t)n);
	} while (n == PK_MEASURE_CHUNK);
	pk_stuffing_count_end(&st);
	*octets_r = st.octets;
	return PK_MEASURED_OK;
}

static enum pk_measured
failure(void)
{
	switch (errno) {
	case ENOENT:
	case ESTALE:
		return PK_MEASURED_GONE;
	case ELOOP:
	case ENXIO:
		return PK_MEASURED_IRREGULAR;
	case EACCES:
	case EPERM:
		return PK_MEASURED_REFUSED;
	default:
		return PK_MEASURED_FAILED;
	}
}

static void
set_record(struct pk_index_record *record, const struct stat *st,
    uint64_t octets, const char *name, size_t base_len)
{
	int64_t delivered;

	record->size = (uint64_t)st->st_size;
	record->octets = octets;
	record->delivered = st->st_mtim.tv_sec;
	if (pk_name_delivered(name, base_len, &delivered))
		record->delivered = delivered;
}

/* Open the message and count what it holds. */
static enum pk_measured
measure_contents(int fd, const char *name, uint8_t *chunk, struct stat *st_r,
    uint64_t *octets_r)
{
	enum pk_measured result;
	int message, saved;

	message = pk_dir_open_message(fd, name, st_r);
	if (message < 0)
		return failure();
	result = count_octets(message, chunk, octets_r);
	saved = errno;
	(void)close(message);
	errno = saved;
	return result;
}

enum pk_measured
pk_measure(int fd, const char *name, size_t base_len, bool sure,
    uint8_t *chunk, struct pk_index_record *record, uint32_t *read_r)
{
	uint64_t octets, size;
	enum pk_measured result;
	struct stat st;
	bool sized;

	sized = pk_name_sizes(name, base_len, &size, &octets);
	if (sized || !sure) {
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return failure();
		if (!S_ISREG(st.st_mode))
			return PK_MEASURED_IRREGULAR;
	}
	if (!sized || size != (uint64_t)st.st_size) {
		(*read_r)++;
		result = measure_contents(fd, name, chunk, &st, &octets);
		if (result != PK_MEASURED_OK)
			return result;
	}
	set_record(record, &st, octets, name, base_len);
	return PK_MEASURED_OK;
}
