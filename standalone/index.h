/*
 * popkeep.index: one file per mailbox that remembers what reading the messages
 * told, and the download facts.  Its loss costs time and facts, never mail.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_INDEX_H
#define PK_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "standalone/maildir.h"

/* The most messages a maildrop may have; names stay below 4 GiB. */
#define PK_INDEX_MAX	10000000

#define PK_INDEX_MAGIC	"PKINDEX"
#define PK_INDEX_VERSION	2
#define PK_INDEX_ORDER	UINT32_C(0x01020304)

/* The directories of a Maildir that hold messages. */
enum pk_maildir_dir {
	PK_NEW = 0,
	PK_CUR = 1,
	PK_DIRS
};

/* What tells whether a directory has changed. */
struct pk_index_stamp {
	int64_t mtime;
	int64_t ctime;		/* catches an mtime that was set back */
	uint64_t ino;
	uint32_t mtime_nsec;
	uint32_t ctime_nsec;
};

/* enum pk_maildir_dir is 1 if PK_RECORD_CUR is set. */
#define PK_RECORD_CUR		0x1
#define PK_RECORD_HASH		0x2	/* the unique-id is a hash */
#define PK_RECORD_STORED	0x3
#define PK_RECORD_REMOVED	0x8000	/* in memory only: by UPDATE */

/*
 * A message.  At name_off in the names are the file name, NUL and, if the
 * unique-id is a hash, its PK_NAME_HASH_LEN digits.
 */
struct pk_index_record {
	uint64_t octets;	/* as RETR sends it */
	uint64_t size;		/* of the file */
	int64_t delivered;
	int64_t first_seen;
	int64_t downloaded;	/* when; 0: not known to be */
	int64_t read;		/* by a whole TOP; as above */
	int64_t unconfirmed_last;
	uint32_t unconfirmed;	/* unconfirmed downloads */
	uint32_t name_off;
	uint8_t name_len;
	uint8_t base_len;	/* the base name: the name without info */
	uint16_t flags;
	uint32_t reserved;
};

/* Flags of the header. */
#define PK_INDEX_FACTS_LOST	UINT64_C(0x1)	/* there was an index before */

/*
 * The file: this header, count records, names_len octets of names, all in the
 * byte order of the host.  last_login stands outside the hash, with a check
 * of its own, so that it can be rewritten in place.
 */
struct pk_index_header {
	char magic[8];
	uint32_t version;
	uint32_t order;
	uint32_t count;
	uint32_t trusted;	/* 1: stamps equal means nothing changed */
	uint64_t names_len;
	struct pk_index_stamp stamps[PK_DIRS];
	int64_t facts_since;
	uint64_t flags;
	uint64_t body_hash;	/* XXH3 of records and names */
	uint64_t header_hash;	/* XXH3 of the header up to here */
	int64_t last_login;	/* 0: not known */
	uint64_t last_login_check;	/* ~last_login */
};

_Static_assert(sizeof(struct pk_index_stamp) == 32, "stamp has no holes");
_Static_assert(sizeof(struct pk_index_record) == 72, "record has no holes");
_Static_assert(sizeof(struct pk_index_header) == 144, "header has no holes");

/* The index in memory is the file's image: one allocation. */
struct pk_index {
	struct pk_index_header *header;	/* NULL: none */
	struct pk_index_record *records;
	char *names;
};

/*
 * Read the index of the Maildir dirfd.  PK_ERR_NOTFOUND: there is none.
 * PK_ERR_SYNTAX: it is damaged, foreign or of another version, and why says
 * so.  PK_ERR_IO, PK_ERR_NOMEM: it cannot be read, and why says so.
 * On PK_OK the caller frees *ix_r with pk_index_free().
 */
enum pk_err pk_index_load(int dirfd, struct pk_index *ix_r,
    char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

/*
 * Make an index with no record yet.  Exactly count are to be appended, which
 * need names_len octets (pk_index_names_need()).
 */
enum pk_err pk_index_new(struct pk_index *ix_r, uint32_t count,
    uint64_t names_len) PK_WARN_UNUSED;

/* Take over what the header remembers beside directories and messages. */
void pk_index_copy_facts(struct pk_index *ix, const struct pk_index *from);

/* Octets of names that a record needs, given the length of its file name. */
size_t pk_index_names_need(const struct pk_index_record *record,
    size_t name_len);

/*
 * Add a copy of record with that file name (its base_len stays) and, if its
 * flags ask for one, the hash uid.
 */
void pk_index_append(struct pk_index *ix, const struct pk_index_record *record,
    const char *name, size_t name_len, const char *uid);

/* The file name of a record, NUL-terminated, and the unique-id. */
const char *pk_index_name(const struct pk_index *ix,
    const struct pk_index_record *record);
const char *pk_index_uid(const struct pk_index *ix,
    const struct pk_index_record *record, size_t *len_r);

/*
 * Write the time of the last login into the file as it is, if it is a sound
 * index: this takes no room on the disk, and is not synced.  The caller holds
 * the maildrop's lock.  PK_ERR_NOTFOUND, PK_ERR_SYNTAX, PK_ERR_IO: it is not
 * written.
 */
enum pk_err pk_index_write_last_login(int dirfd, int64_t when) PK_WARN_UNUSED;

/*
 * Write the index durably in place of the old one; the caller holds the
 * maildrop's lock.  On an error the old one is as it was, and why says so.
 */
enum pk_err pk_index_save(int dirfd, struct pk_index *ix,
    char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

void pk_index_free(struct pk_index *ix);

#endif
