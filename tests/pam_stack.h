/*
 * A directory for one test: PAM services of its own, and other files.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef TESTS_PAM_STACK_H
#define TESTS_PAM_STACK_H

#include <sys/types.h>

/* The directory, made by stack_setup() and removed by stack_teardown(). */
extern char stack_dir[];

int stack_setup(void **state);
int stack_teardown(void **state);

/* The path of name in it; two such strings are valid at a time. */
const char *stack_path(const char *name);

/* Write a file with a mode. */
void stack_write(const char *name, mode_t mode, const char *text);

/* A service from printf's arguments. */
void stack_service(const char *name, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* What a file holds, or ""; valid until the next call. */
const char *stack_read(const char *name);

#endif
