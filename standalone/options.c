/*
 * Options of every daemon: see options.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "standalone/options.h"

int
pk_options_other(int opt, const char *program, void (*usage)(FILE *to))
{
	switch (opt) {
	case 'V':
		printf("%s %s\n", program, PACKAGE_VERSION);
		return 0;
	case 'h':
		usage(stdout);
		return 0;
	default:
		usage(stderr);
		return 2;
	}
}
