/*
 * The holds of the policy's files: see hold_list.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <time.h>

#include <jansson.h>

#include "standalone/hold_list.h"
#include "standalone/policy_load.h"
#include "standalone/tool.h"
#include "standalone/tool_rows.h"

#define SECONDS_PER_DAY 86400

/* The last day on which it holds. */
static int64_t
last_day(const struct pk_hold *h)
{
	return h->until == PK_NEVER ? PK_NEVER : h->until - SECONDS_PER_DAY;
}

static const char *
day_text(int64_t day, char out[PK_TOOL_TIME_SIZE])
{
	(void)pk_tool_time(day, out);
	if (out[0] != '\0')
		out[PK_TOOL_DAY_LEN] = '\0';
	return out;
}

static void
list_json(const struct pk_hold *h, bool first)
{
	char day[PK_TOOL_TIME_SIZE];
	json_t *users = json_array(), *o;
	size_t i;

	for (i = 0; i < h->users.count; i++)
		(void)json_array_append_new(users,
		    pk_tool_json_text(h->users.text[i]));
	o = json_pack("{s:s, s:o, s:o, s:b, s:o, s:s, s:i}", "name", h->name,
	    "users", users, "until", pk_tool_json_text(day_text(last_day(h),
	    day)), "over", h->until <= time(NULL),
	    "note", pk_tool_json_text(h->note),
	    "file", h->place.file, "line", h->place.line);
	fputs(first ? "\n" : ",\n", stdout);
	if (o != NULL)
		(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
}

static void
list_text(const struct pk_hold *h)
{
	char day[PK_TOOL_TIME_SIZE];
	size_t i;

	printf("%s: users", h->name);
	for (i = 0; i < h->users.count; i++)
		printf(" %s", h->users.text[i]);
	if (h->users.count == 0)
		printf(" *");
	if (h->until != PK_NEVER)
		printf("; until %s%s", day_text(last_day(h), day),
		    h->until <= time(NULL) ? " (over)" : "");
	if (h->note != NULL)
		printf("; %s", h->note);
	printf("  (%s:%d)\n", h->place.file, h->place.line);
}

bool
pk_hold_list(const char *policy, bool json)
{
	struct pk_policy *p = pk_policy_load(-1, policy, time(NULL),
	    pk_policy_say_to, pk_policy_say_nothing, stderr);
	size_t i;

	if (p == NULL)
		return false;
	if (json)
		putchar('[');
	for (i = 0; i < p->holds; i++) {
		if (json)
			list_json(&p->hold[i], i == 0);
		else
			list_text(&p->hold[i]);
	}
	if (json)
		puts("]");
	pk_policy_free(&p);
	return true;
}
