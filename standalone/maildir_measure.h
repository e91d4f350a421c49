/*
 * The first look at a message: size, octets as sent, time of delivery.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_MEASURE_H
#define PK_MAILDIR_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "standalone/index.h"
#include "standalone/maildir.h"

/* Octets of a message that are read at once. */
#define PK_MEASURE_CHUNK	65536

enum pk_measured {
	PK_MEASURED_OK,
	PK_MEASURED_GONE,	/* removed or renamed since it was seen */
	PK_MEASURED_IRREGULAR,	/* not a regular file */
	PK_MEASURED_REFUSED,	/* may not be read: leave it out */
	PK_MEASURED_COMPRESSED,	/* in a format that is not served */
	PK_MEASURED_FAILED,	/* errno says how */
};

/*
 * Look at the file name in the directory fd.  Sets octets, size and delivered
 * of *record (nothing else) unless it fails.  sure: it is known to be a
 * regular file.  chunk: PK_MEASURE_CHUNK octets of scratch.  *read_r counts
 * the files whose contents had to be read.
 */
enum pk_measured pk_measure(int fd, const char *name, size_t base_len,
    bool sure, uint8_t *chunk, struct pk_index_record *record,
    uint32_t *read_r) __attribute__((__warn_unused_result__));

#endif
