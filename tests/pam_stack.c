/*
 * A directory for one test: PAM services of its own, and other files.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/pam_stack.h"

char stack_dir[64];

int
stack_setup(void **state)
{
	(void)state;
	snprintf(stack_dir, sizeof(stack_dir), "/tmp/popkeep-test-XXXXXX");
	return mkdtemp(stack_dir) == NULL ? -1 : 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
stack_teardown(void **state)
{
	(void)state;
	return nftw(stack_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
stack_path(const char *name)
{
	static char paths[2][256];
	static int turn;

	turn = !turn;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", stack_dir, name);
	return paths[turn];
}

void
stack_write(const char *name, mode_t mode, const char *text)
{
	FILE *file = fopen(stack_path(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(stack_path(name), mode), 0);
}

void
stack_service(const char *name, const char *format, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	stack_write(name, 0644, text);
}

const char *
stack_read(const char *name)
{
	static char text[4096];
	FILE *file = fopen(stack_path(name), "r");
	size_t len;

	text[0] = '\0';
	if (file == NULL)
		return text;
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	return text;
}
