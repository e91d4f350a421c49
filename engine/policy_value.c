/*
 * Values of the policy file: durations, days, words, patterns, networks.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/policy_file_private.h"

#define MINUTE		60
#define HOUR		(60 * MINUTE)
#define DAY		(24 * HOUR)
#define WEEK		(7 * DAY)
#define YEAR		(365 * DAY)
#define DURATION_MAX	(INT64_C(1000) * YEAR)

#define LETTERS		"ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
			"abcdefghijklmnopqrstuvwxyz0123456789"

/* Decimal digits up to *end_r.  false: there is none, or it is above max. */
static bool
digits(const char *text, int64_t max, int64_t *value_r, const char **end_r)
{
	int64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (value > (max - (*p - '0')) / 10)
			return false;
		value = value * 10 + (*p - '0');
	}
	*value_r = value;
	*end_r = p;
	return p > text;
}

/* ---- durations ----------------------------------------------------------- */

/* From the shortest to the longest. */
static const struct {
	char letter;
	int64_t seconds;
} units[] = {
	{ 'm', MINUTE }, { 'h', HOUR }, { 'd', DAY }, { 'w', WEEK },
	{ 'y', YEAR },
};
#define UNITS (sizeof(units) / sizeof(units[0]))

bool
pk_duration_parse(const char *text, int64_t *seconds_r)
{
	const char *end;
	int64_t n;
	size_t i;

	if (strcmp(text, "never") == 0) {
		*seconds_r = PK_NEVER;
		return true;
	}
	if (!digits(text, DURATION_MAX, &n, &end))
		return false;
	if (n == 0 && *end == '\0') {
		*seconds_r = 0;
		return true;
	}
	for (i = 0; i < UNITS && units[i].letter != *end; i++)
		;
	if (i == UNITS || end[1] != '\0' ||
	    n > DURATION_MAX / units[i].seconds)
		return false;
	*seconds_r = n * units[i].seconds;
	return true;
}

/* The longest unit that fits makes the shortest text. */
const char *
pk_duration_format(int64_t seconds, char out[PK_DURATION_SIZE])
{
	size_t i = UNITS;

	while (i > 0 && seconds % units[i - 1].seconds != 0)
		i--;
	if (seconds == 0 || seconds == PK_NEVER)
		(void)snprintf(out, PK_DURATION_SIZE, "%s",
		    seconds == 0 ? "0" : "never");
	else if (i == 0)	/* no file can say that */
		(void)snprintf(out, PK_DURATION_SIZE, "%llds",
		    (long long)seconds);
	else
		(void)snprintf(out, PK_DURATION_SIZE, "%lld%c",
		    (long long)(seconds / units[i - 1].seconds),
		    units[i - 1].letter);
	return out;
}

/* ---- days ---------------------------------------------------------------- */

/* Two or four digits at text, no more and no less. */
static int
number_at(const char *text, size_t len)
{
	int value = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* Days from the begin of 1970 to that of year. */
static int64_t
days_before(int year)
{
	int64_t y = year - 1;

	return 365 * (y - 1969) + (y / 4 - 1969 / 4) -
	    (y / 100 - 1969 / 100) + (y / 400 - 1969 / 400);
}

bool
pk_date_parse(const char *text, int64_t *time_r)
{
	int year, month, day, m;
	int64_t days;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
		return false;
	year = number_at(text, 4);
	month = number_at(text + 5, 2);
	day = number_at(text + 8, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month))
		return false;
	days = days_before(year) + day - 1;
	for (m = 1; m < month; m++)
		days += month_days(year, m);
	*time_r = days * DAY;
	return true;
}

/* ---- words --------------------------------------------------------------- */

static const struct pk_policy_word *
find_word(const struct pk_policy_word *words, const char *text)
{
	for (; words->text != NULL; words++)
		if (strcmp(words->text, text) == 0)
			return words;
	return NULL;
}

bool
pk_take_word(const char *text, const struct pk_key *key, void *to)
{
	const struct pk_policy_word *word = find_word(key->words, text);

	if (word != NULL)
		memcpy(to, &word->value, sizeof(word->value));
	return word != NULL;
}

bool
pk_take_flag(const char *text, const struct pk_key *key, void *to)
{
	const struct pk_policy_word *word = find_word(key->words, text);

	if (word != NULL)
		*(bool *)to = word->value != 0;
	return word != NULL;
}

/* ---- numbers, durations and days of keys --------------------------------- */

bool
pk_take_duration(const char *text, const struct pk_key *key, void *to)
{
	int64_t seconds;

	if (!pk_duration_parse(text, &seconds) || seconds < key->min ||
	    seconds > key->max)
		return false;
	*(int64_t *)to = seconds;
	return true;
}

bool
pk_take_seconds(const char *text, const struct pk_key *key, void *to)
{
	int64_t seconds;

	if (!pk_take_duration(text, key, &seconds))
		return false;
	*(uint32_t *)to = (uint32_t)seconds;
	return true;
}

bool
pk_take_number(const char *text, const struct pk_key *key, void *to)
{
	const char *end;
	int64_t n;

	if (!digits(text, key->max, &n, &end) || *end != '\0' || n < key->min)
		return false;
	*(uint32_t *)to = (uint32_t)n;
	return true;
}

bool
pk_take_percent(const char *text, const struct pk_key *key, void *to)
{
	const char *end;
	int64_t n;

	if (!digits(text, key->max, &n, &end) || strcmp(end, "%") != 0 ||
	    n < key->min)
		return false;
	*(uint32_t *)to = (uint32_t)n;
	return true;
}

bool
pk_take_top(const char *text, const struct pk_key *key, void *to)
{
	return pk_take_word(text, key, to) || pk_take_number(text, key, to);
}

bool
pk_take_day(const char *text, const struct pk_key *key, void *to)
{
	(void)key;
	return pk_date_parse(text, to);
}

/* The day itself is still inside. */
bool
pk_take_last_day(const char *text, const struct pk_key *key, void *to)
{
	int64_t begin;

	(void)key;
	if (!pk_date_parse(text, &begin))
		return false;
	*(int64_t *)to = begin + DAY;
	return true;
}

/* ---- names --------------------------------------------------------------- */

bool
pk_policy_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= PK_POLICY_NAME_MAX &&
	    strspn(name, LETTERS "-_.") == len;
}

/*
 * It becomes the directory ".NAME" of a Maildir, so no "/" and no "..";
 * what Maildir++ writes in modified UTF-7 is left out.
 */
static bool
is_folder(const char *name)
{
	size_t i, len = strlen(name);

	if (len == 0 || len > PK_FOLDER_MAX || strcasecmp(name, "INBOX") == 0 ||
	    strspn(name, LETTERS "-_. ") != len)
		return false;
	/* Neither "." nor a space may begin or end a part. */
	for (i = 0; i < len; i++)
		if (name[i] == '.' || name[i] == ' ')
			if (i == 0 || i + 1 == len || name[i + 1] == '.' ||
			    (name[i] == '.' && name[i + 1] == ' '))
				return false;
	return true;
}

bool
pk_take_folder(const char *text, const struct pk_key *key, void *to)
{
	static const char prefix[] = "folder:";
	const char *name = text + sizeof(prefix) - 1;

	(void)key;
	if (strcmp(text, "destroy") == 0) {
		*(char *)to = '\0';
		return true;
	}
	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || !is_folder(name))
		return false;
	memcpy(to, name, strlen(name) + 1);
	return true;
}

const char *
pk_pattern_refusal(const char *pattern)
{
	const char *p;

	if (pattern[0] == '\0' || strlen(pattern) > PK_PATTERN_MAX)
		return "expected 1 to 255 octets";
	for (p = pattern; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return "expected no space: no user has one";
	if (strcmp(pattern, "@") == 0)
		return "expected the name of a group after \"@\"";
	if (pattern[0] == '@' && strpbrk(pattern, PK_PATTERN_SPECIAL) != NULL)
		return "expected the name of one group after \"@\", no glob";
	return NULL;
}

/* ---- networks ------------------------------------------------------------ */

#define ADDRESS_EXPECTED "expected an IPv4 or IPv6 address, or one with a " \
	"prefix (\"10.0.0.0/8\", \"2001:db8::/32\")"

/* Are the bits after the prefix 0? */
static bool
is_network(const struct pk_network *n)
{
	unsigned bit;

	for (bit = n->prefix; bit < 128; bit++)
		if ((n->address[bit / 8] & 0x80 >> bit % 8) != 0)
			return false;
	return true;
}

const char *
pk_network_take(const char *text, struct pk_network *network_r)
{
	size_t len = strcspn(text, "/");
	bool v6 = memchr(text, ':', len) != NULL;
	int64_t max = v6 ? 128 : 32, prefix = max;
	char address[64];
	const char *end;

	if (len >= sizeof(address))
		return ADDRESS_EXPECTED;
	memcpy(address, text, len);
	address[len] = '\0';
	if (!pk_address_parse(address, network_r->address))
		return ADDRESS_EXPECTED;
	if (text[len] == '/' && (!digits(text + len + 1, max, &prefix, &end) ||
	    *end != '\0'))
		return v6 ? "expected a prefix of 0 to 128 after \"/\"" :
		    "expected a prefix of 0 to 32 after \"/\"";
	network_r->prefix = (uint8_t)(v6 ? prefix : prefix + 96);
	if (!is_network(network_r))
		return "expected no bit set after the prefix";
	return NULL;
}
