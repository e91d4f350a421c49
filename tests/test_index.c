/*
 * popkeep.index: what it keeps, and that no damage does harm.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "tests/maildir_fixture.h"

#define MESSAGES 4

/* Messages of every kind of record, in a Maildir left alone. */
static void
fill_box(void)
{
	box_put("cur/1.a:2,S", "a\n");
	box_put("new/2.b", "bb\n");
	box_put("cur/3.c,S=3,W=4:2,", "cc\n");
	box_put("new/4.d e", "ddd");
	box_settle();
	box_visit();
}

/* The list is what it always is. */
static void
assert_list(const char *what)
{
	static const uint64_t octets[MESSAGES] = { 3, 4, 4, 5 };
	static const char *const uids[MESSAGES - 1] = {
		"1.a", "2.b", "3.c,S=3,W=4"
	};
	struct pk_maildrop *md;
	uint32_t i;

	md = box_open();
	expect(what, md->ops->count(md) == MESSAGES);
	for (i = 0; i < MESSAGES; i++) {
		expect(what, octets_of(md, i + 1) == octets[i]);
		expect(what, i == MESSAGES - 1 ?
		    strlen(uid_of(md, i + 1)) == 64 :
		    strcmp(uid_of(md, i + 1), uids[i]) == 0);
	}
	pk_maildir_close(&md);
}

/* The octets of the index file. */
static uint8_t *
read_index(size_t *len_r)
{
	int fd = openat(boxfd, "popkeep.index", O_RDONLY | O_CLOEXEC);
	uint8_t *data = malloc(65536);
	ssize_t n;

	assert_true(fd >= 0 && data != NULL);
	n = read(fd, data, 65536);
	assert_in_range(n, 1, 65535);
	(void)close(fd);
	*len_r = (size_t)n;
	return data;
}

static void
put_index(const uint8_t *data, size_t len)
{
	(void)unlinkat(boxfd, "popkeep.index", 0);
	box_put_octets("popkeep.index", data, len);
}

static void
test_index_survives_a_change_of_each_octet(void **state)
{
	size_t i, len, last = offsetof(struct pk_index_header, last_login);
	static const uint8_t masks[] = { 0x01, 0x80, 0xFF };
	uint8_t *data;
	char what[32];
	size_t m;

	(void)state;
	fill_box();
	data = read_index(&len);
	assert_int_equal(len, sizeof(struct pk_index_header) +
	    MESSAGES * sizeof(struct pk_index_record) +
	    7 + 1 + 3 + 1 + 14 + 1 + 5 + 1 + 64);
	for (i = 0; i < len; i++) {
		for (m = 0; m < sizeof(masks); m++) {
			(void)snprintf(what, sizeof(what), "octet %zu", i);
			data[i] ^= masks[m];
			put_index(data, len);
			data[i] ^= masks[m];
			assert_list(what);
			expect(what, (why[0] == '\0') ==
			    (i >= last && i < last + 16));
			assert_list(what);
			expect(what, why[0] == '\0');
		}
	}
	free(data);
}

static void
test_index_survives_any_length(void **state)
{
	size_t i, len;
	uint8_t *data;
	char what[32];

	(void)state;
	fill_box();
	data = read_index(&len);
	memset(data + len, 0, 300);
	for (i = 0; i < len + 300; i += i < len + 2 ? 1 : 37) {
		(void)snprintf(what, sizeof(what), "length %zu", i);
		put_index(data, i);
		assert_list(what);
		expect(what, (why[0] == '\0') == (i == len));
		assert_list(what);
		expect(what, why[0] == '\0');
	}
	free(data);
}

static void
test_index_ignores_a_damaged_last_login_only(void **state)
{
	struct pk_index ix;
	uint8_t *data;
	size_t len;

	(void)state;
	fill_box();
	ix = box_load();
	ix.header->last_login = 1234;
	ix.header->last_login_check = ~(uint64_t)1234;
	ix.header->facts_since = 99;
	box_save(&ix);
	ix = box_load();
	assert_int_equal(ix.header->last_login, 1234);
	pk_index_free(&ix);
	data = read_index(&len);
	data[offsetof(struct pk_index_header, last_login)] ^= 1;
	put_index(data, len);
	free(data);
	ix = box_load();
	assert_int_equal(ix.header->last_login, 0);
	assert_int_equal(ix.header->facts_since, 99);
	pk_index_free(&ix);
}

/* ---- forged files: the hashes are right --------------------------------- */

static void
forge_version(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)r;
	(void)n;
	h->version++;
}

static void
forge_order(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)r;
	(void)n;
	h->order = UINT32_C(0x04030201);
}

static void
forge_magic(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)r;
	(void)n;
	h->magic[7] = 'x';
}

static void
forge_count(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)r;
	(void)n;
	h->count++;
}

static void
forge_huge_count(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)r;
	(void)n;
	h->count = UINT32_MAX;
	h->names_len -= (UINT32_MAX - (uint64_t)MESSAGES) * sizeof(*r);
}

static void
forge_trust(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)r;
	(void)n;
	h->trusted = 2;
}

static void
forge_header_flags(struct pk_index_header *h, struct pk_index_record *r,
    char *n)
{
	(void)r;
	(void)n;
	h->flags = PK_INDEX_FACTS_LOST << 1;
}

static void
forge_offset(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)n;
	r[1].name_off = (uint32_t)h->names_len - 2;
}

static void
forge_last_offset(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[MESSAGES - 1].name_off++;
}

static void
forge_huge_offset(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[0].name_off = UINT32_MAX;
}

static void
forge_length(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[0].name_len++;
}

static void
forge_empty(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[1].name_len = r[1].base_len = 0;
}

static void
forge_base(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[0].base_len = 255;
}

static void
forge_inner_base(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[0].base_len--;
}

static void
forge_no_base(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	n[r[0].name_off] = ':';
	r[0].base_len = 0;
}

static void
forge_path(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	n[r[0].name_off + 1] = '/';
}

static void
forge_dot(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	n[r[0].name_off] = '.';
}

static void
forge_newline(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	n[r[2].name_off + 9] = '\n';
}

static void
forge_high(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	n[r[2].name_off + 2] = '\x7F';
}

static void
forge_hash_text(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	n[r[3].name_off + r[3].name_len + 64] = ' ';
}

static void
forge_flags(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[0].flags |= PK_RECORD_REMOVED;
}

static void
forge_sorting(struct pk_index_header *h, struct pk_index_record *r, char *n)
{
	(void)h;
	(void)n;
	r[0].delivered = 1000;
}

static void
test_index_relies_on_nothing_in_the_file(void **state)
{
	static const struct {
		const char *name;
		void (*forge)(struct pk_index_header *,
		    struct pk_index_record *, char *);
	} cases[] = {
		{ "version", forge_version },
		{ "order", forge_order },
		{ "magic", forge_magic },
		{ "count", forge_count },
		{ "huge count", forge_huge_count },
		{ "trust", forge_trust },
		{ "header flags", forge_header_flags },
		{ "offset", forge_offset },
		{ "last offset", forge_last_offset },
		{ "huge offset", forge_huge_offset },
		{ "length", forge_length },
		{ "empty", forge_empty },
		{ "base", forge_base },
		{ "inner base", forge_inner_base },
		{ "no base", forge_no_base },
		{ "path", forge_path },
		{ "dot", forge_dot },
		{ "newline", forge_newline },
		{ "high", forge_high },
		{ "hash text", forge_hash_text },
		{ "flags", forge_flags },
		{ "sorting", forge_sorting },
	};
	struct pk_index_header *header;
	struct pk_index_record *records;
	uint8_t *data, *copy;
	size_t i, len;

	(void)state;
	fill_box();
	data = read_index(&len);
	copy = malloc(len);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(copy, data, len);
		header = (void *)copy;
		records = (void *)(header + 1);
		cases[i].forge(header, records, (char *)(records + MESSAGES));
		header->body_hash = XXH3_64bits(records,
		    len - sizeof(*header));
		header->header_hash = XXH3_64bits(header,
		    offsetof(struct pk_index_header, header_hash));
		put_index(copy, len);
		assert_list(cases[i].name);
		expect(cases[i].name, strstr(why, "popkeep.index is") != NULL);
	}
	free(copy);
	free(data);
}

/* ---- what stands in its place ------------------------------------------- */

static void
test_index_is_a_regular_file_of_ours(void **state)
{
	(void)state;
	fill_box();
	box_rename("popkeep.index", "kept");
	assert_int_equal(symlinkat("kept", boxfd, "popkeep.index"), 0);
	assert_list("symlink");
	assert_non_null(strstr(why, "popkeep.index: "));
	assert_list("replaced");
	assert_string_equal(why, "");
	box_remove("popkeep.index");
	assert_int_equal(mkfifoat(boxfd, "popkeep.index", 0600), 0);
	assert_list("fifo");
	assert_string_equal(why, "popkeep.index is not a regular file");
	assert_list("replaced");
	assert_string_equal(why, "");
	box_remove("popkeep.index");
	assert_int_equal(mkdirat(boxfd, "popkeep.index", 0700), 0);
	assert_list("directory");
	assert_string_equal(why, "popkeep.index is not a regular file");
	assert_int_equal(unlinkat(boxfd, "popkeep.index", AT_REMOVEDIR), 0);
}

static void
test_index_of_another_owner_is_made_anew(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can give files away\n");
		skip();
	}
	fill_box();
	assert_int_equal(fchownat(boxfd, "popkeep.index", 12345, 12345, 0), 0);
	assert_list("owner");
	assert_string_equal(why, "popkeep.index is somebody else's");
	assert_list("replaced");
	assert_string_equal(why, "");
}

static void
test_index_that_cannot_be_read_is_made_anew(void **state)
{
	(void)state;
	fill_box();
	calls.fail_call = CALL_OPENAT;
	calls.fail_name = "popkeep.index";
	calls.fail_errno = EACCES;
	assert_list("open");
	assert_string_equal(why, "popkeep.index: Permission denied");
	calls.fail_errno = 0;
}

static void
test_index_is_private_and_replaced_whole(void **state)
{
	struct stat st;

	(void)state;
	fill_box();
	assert_int_equal(fstatat(boxfd, "popkeep.index", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(fstatat(boxfd, "popkeep.lock", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void
test_index_removes_leftovers_of_a_crash(void **state)
{
	char own[64];

	(void)state;
	(void)snprintf(own, sizeof(own), "popkeep.index.tmp.%ld.0",
	    (long)getpid());
	box_put(own, "half");
	box_put("popkeep.index.tmp.999.0", "half");
	assert_int_equal(symlinkat("victim", boxfd, "popkeep.index.tmp.x"), 0);
	fill_box();
	assert_false(box_has(own));
	assert_false(box_has("popkeep.index.tmp.999.0"));
	assert_false(box_has("popkeep.index.tmp.x"));
	assert_false(box_has("victim"));
	assert_true(box_has("popkeep.index"));
}

static void
test_index_gives_way_to_what_cannot_be_removed(void **state)
{
	char own[64];

	(void)state;
	(void)snprintf(own, sizeof(own), "popkeep.index.tmp.%ld.0",
	    (long)getpid());
	assert_int_equal(mkdirat(boxfd, own, 0700), 0);
	fill_box();
	assert_true(box_has("popkeep.index"));
}

static void
test_index_stays_if_the_new_one_fails(void **state)
{
	struct pk_index ix;
	char text[PK_MAILDIR_WHY] = "";

	(void)state;
	fill_box();
	ix = box_load();
	ix.header->facts_since = 5;
	calls.fail_call = CALL_FSYNC;
	calls.fail_name = "file";
	calls.fail_errno = ENOSPC;
	assert_int_equal(pk_index_save(boxfd, &ix, text), PK_ERR_IO);
	assert_string_equal(text, "popkeep.index cannot be written: "
	    "No space left on device");
	calls.fail_errno = 0;
	pk_index_free(&ix);
	ix = box_load();
	assert_int_not_equal(ix.header->facts_since, 5);
	pk_index_free(&ix);
	/* Nothing is left of the attempt. */
	(void)snprintf(text, sizeof(text), "popkeep.index.tmp.%ld.0",
	    (long)getpid());
	assert_false(box_has(text));
}

static void
test_index_of_much_work_is_saved_at_once(void **state)
{
	struct pk_maildrop *md;
	struct pk_index ix;
	char name[32];
	uint32_t i;

	(void)state;
	for (i = 0; i < 150; i++) {
		(void)snprintf(name, sizeof(name), "new/%u.a", i);
		box_put(name, "x\n");
	}
	md = box_open();
	ix = box_load();
	assert_int_equal(ix.header->count, 150);
	pk_index_free(&ix);
	pk_maildir_close(&md);
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_index_survives_a_change_of_each_octet),
		BOX_TEST(test_index_survives_any_length),
		BOX_TEST(test_index_ignores_a_damaged_last_login_only),
		BOX_TEST(test_index_relies_on_nothing_in_the_file),
		BOX_TEST(test_index_is_a_regular_file_of_ours),
		BOX_TEST(test_index_of_another_owner_is_made_anew),
		BOX_TEST(test_index_that_cannot_be_read_is_made_anew),
		BOX_TEST(test_index_is_private_and_replaced_whole),
		BOX_TEST(test_index_removes_leftovers_of_a_crash),
		BOX_TEST(test_index_gives_way_to_what_cannot_be_removed),
		BOX_TEST(test_index_stays_if_the_new_one_fails),
		BOX_TEST(test_index_of_much_work_is_saved_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
