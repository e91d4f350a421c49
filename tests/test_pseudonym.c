/*
 * Pseudonyms, and the file of their key.
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

#include "standalone/pseudonym.h"
#include "tests/harness.h"

static char path[64], why[PK_PSEUDONYM_WHY];
static int dirfd;
static uint8_t key[PK_PSEUDONYM_KEY_LEN];
static int failing_fsync;		/* that which fails; 0: none */

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
	if (failing_fsync > 0 && --failing_fsync == 0) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/pk-pseudonym-XXXXXX");
	failing_fsync = 0;
	memset(key, 0, sizeof(key));
	if (mkdtemp(path) == NULL)
		return -1;
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd != -1 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unlinkat(dirfd, PK_PSEUDONYM_FILE, 0);
	(void)unlinkat(dirfd, "pseudonym.tmp", 0);
	close(dirfd);
	return rmdir(path);
}

static size_t
get_file(char text[256])
{
	int fd = openat(dirfd, PK_PSEUDONYM_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, 255);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return (size_t)n;
}

static void
put_file(const char *text, size_t len, mode_t mode)
{
	int fd;

	(void)unlinkat(dirfd, PK_PSEUDONYM_FILE, 0);
	fd = openat(dirfd, PK_PSEUDONYM_FILE, O_WRONLY | O_CREAT | O_CLOEXEC,
	    0600);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static enum pk_err
load(void)
{
	return pk_pseudonym_load(dirfd, path, key, why);
}

static enum pk_err
load_or_make(void)
{
	return pk_pseudonym_load_or_make(dirfd, path, key, why);
}

static void
test_pseudonym_is_a_keyed_hash(void **state)
{
	char out[PK_PSEUDONYM_SIZE];

	(void)state;
	/* As "openssl dgst -sha256 -mac HMAC -macopt hexkey:..." has it. */
	assert_true(pk_pseudonym_of(key, "anna", out));
	assert_string_equal(out, "p:3cb45e6cc9e3cd6ee752188baa8578fd");
	key[31] = 1;
	assert_true(pk_pseudonym_of(key, "anna", out));
	assert_string_equal(out, "p:dbd1d4124a1c8b09cf71f3ebcec75c49");
	assert_true(pk_pseudonym_is(out));
}

static void
test_pseudonym_is_told_from_names(void **state)
{
	static const char *const names[] = { "", "p:", "anna", "p:anna",
	    "p:0123456789abcdef0123456789abcde",
	    "p:0123456789abcdef0123456789abcdef0",
	    "p:0123456789abcdef0123456789abcdeF",
	    "q:0123456789abcdef0123456789abcdef",
	    "p:0123456789abcdef0123456789abcdeg" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(names[i], !pk_pseudonym_is(names[i]));
	assert_true(pk_pseudonym_is("p:0123456789abcdef0123456789abcdef"));
}

static void
test_pseudonym_key_is_made_once(void **state)
{
	static const uint8_t zeros[PK_PSEUDONYM_KEY_LEN];
	uint8_t first[PK_PSEUDONYM_KEY_LEN];
	struct stat st;

	(void)state;
	assert_int_equal(load(), PK_ERR_NOTFOUND);
	assert_int_equal(load_or_make(), PK_OK);
	assert_memory_not_equal(key, zeros, sizeof(key));
	memcpy(first, key, sizeof(first));
	assert_int_equal(fstatat(dirfd, PK_PSEUDONYM_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(dirfd, "pseudonym.tmp", &st, 0), -1);
	memset(key, 0, sizeof(key));
	assert_int_equal(load(), PK_OK);
	assert_memory_equal(key, first, sizeof(key));
	assert_int_equal(load_or_make(), PK_OK);
	assert_memory_equal(key, first, sizeof(key));
}

static void
test_pseudonym_key_is_on_disk_before_it_is_used(void **state)
{
	static const uint8_t zeros[PK_PSEUDONYM_KEY_LEN];
	struct stat st;
	uint8_t first[PK_PSEUDONYM_KEY_LEN];

	(void)state;
	/* The file: then there is none. */
	failing_fsync = 1;
	assert_int_equal(load_or_make(), PK_ERR_IO);
	assert_non_null(strstr(why, "/pseudonym.key: Input/output error"));
	assert_memory_equal(key, zeros, sizeof(key));
	assert_int_equal(fstatat(dirfd, PK_PSEUDONYM_FILE, &st, 0), -1);
	/* Its name: the next time that is tried again. */
	failing_fsync = 2;
	assert_int_equal(load_or_make(), PK_ERR_IO);
	assert_int_equal(load(), PK_OK);
	memcpy(first, key, sizeof(first));
	failing_fsync = 1;
	assert_int_equal(load_or_make(), PK_ERR_IO);
	assert_int_equal(load_or_make(), PK_OK);
	assert_memory_equal(key, first, sizeof(key));
}

static void
test_pseudonym_key_that_is_damaged_stays(void **state)
{
	char text[256], bad[256], after[256];
	size_t len, i;

	(void)state;
	assert_int_equal(load_or_make(), PK_OK);
	len = get_file(text);
	for (i = 0; i < len; i++) {
		memcpy(bad, text, len);
		bad[i] ^= 1;
		put_file(bad, len, 0600);
		assert_int_equal(load(), PK_ERR_SYNTAX);
		put_file(text, i, 0600);
		assert_int_equal(load_or_make(), PK_ERR_SYNTAX);
		assert_non_null(strstr(why, "pseudonym.key: damaged: "));
		assert_int_equal(get_file(after), i);
	}
	put_file(strcat(text, "x"), len + 1, 0600);
	assert_int_equal(load(), PK_ERR_SYNTAX);
	put_file(text, len, 0600);
	assert_int_equal(load(), PK_OK);
}

static void
test_pseudonym_key_is_nobody_elses(void **state)
{
	char text[256];
	size_t len;

	(void)state;
	assert_int_equal(load_or_make(), PK_OK);
	len = get_file(text);
	put_file(text, len, 0640);
	assert_int_equal(load(), PK_ERR_SYNTAX);
	assert_non_null(strstr(why, "pseudonym.key: expected mode 0600"));
	put_file(text, len, 0604);
	assert_int_equal(load(), PK_ERR_SYNTAX);
	put_file(text, len, 0400);
	assert_int_equal(load(), PK_OK);
	/* No link, and no directory. */
	assert_int_equal(renameat(dirfd, PK_PSEUDONYM_FILE, dirfd,
	    "pseudonym.tmp"), 0);
	assert_int_equal(symlinkat("pseudonym.tmp", dirfd,
	    PK_PSEUDONYM_FILE), 0);
	assert_int_equal(load_or_make(), PK_ERR_IO);
	assert_int_equal(unlinkat(dirfd, PK_PSEUDONYM_FILE, 0), 0);
	assert_int_equal(mkdirat(dirfd, PK_PSEUDONYM_FILE, 0700), 0);
	assert_int_equal(load_or_make(), PK_ERR_SYNTAX);
	assert_int_equal(unlinkat(dirfd, PK_PSEUDONYM_FILE, AT_REMOVEDIR), 0);
	/* What a crash has left in the midst is not taken for a key. */
	assert_int_equal(load_or_make(), PK_OK);
	assert_true(get_file(text) == len);
}

#define KEY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KEY_TEST(test_pseudonym_is_a_keyed_hash),
		KEY_TEST(test_pseudonym_is_told_from_names),
		KEY_TEST(test_pseudonym_key_is_made_once),
		KEY_TEST(test_pseudonym_key_is_on_disk_before_it_is_used),
		KEY_TEST(test_pseudonym_key_that_is_damaged_stays),
		KEY_TEST(test_pseudonym_key_is_nobody_elses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
