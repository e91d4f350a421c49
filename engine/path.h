/*
 * The text of a path.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_PATH_H
#define PK_PATH_H

#include <string.h>

/* The last component of a path: a part of it, empty behind a last "/". */
static inline const char *
pk_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

#endif
