/*
 * The line for the log that says what a Maildir could not do.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "standalone/maildir_why.h"

void
pk_why_add(char why[PK_MAILDIR_WHY], const char *format, ...)
{
	size_t used = strlen(why);
	va_list ap;

	if (used > 0 && used + 2 < PK_MAILDIR_WHY) {
		memcpy(why + used, "; ", 3);
		used += 2;
	}
	va_start(ap, format);
	(void)vsnprintf(why + used, PK_MAILDIR_WHY - used, format, ap);
	va_end(ap);
}

const char *
pk_why_name(char buf[PK_WHY_NAME], const char *name)
{
	size_t i;

	for (i = 0; i < PK_WHY_NAME - 1 && name[i] != '\0'; i++)
		buf[i] = name[i] >= 0x21 && name[i] <= 0x7E ? name[i] : '?';
	buf[i] = '\0';
	return buf;
}

enum pk_maildir_status
pk_why_status(int err)
{
	switch (err) {
	case EACCES:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case EPERM:
		return PK_MAILDIR_PERMANENT;
	default:
		return PK_MAILDIR_TEMPORARY;
	}
}
