/*
 * Users and their mailboxes: see users.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/users_private.h"

bool
pk_users_uid_is_valid(const struct pk_settings *settings, uid_t uid)
{
	/* Without privileges there is only the uid that popkeepd has. */
	if (geteuid() != 0)
		return uid == geteuid();
	return uid != 0 && uid != (uid_t)-1 &&
	    uid >= settings->first_valid_uid;
}

const char *
pk_users_found_name(enum pk_users_found found)
{
	static const char *const names[] = {
		[PK_USERS_FOUND] = "found",
		[PK_USERS_UNKNOWN] = "no such user",
		[PK_USERS_FORBIDDEN] = "uid not permitted by first-valid-uid, or gid 0",
		[PK_USERS_FAILED] = "user database failed",
		[PK_USERS_TOO_LONG] = "path of the Maildir is too long",
	};

	return names[found];
}

/* ---- templates -------------------------------------------------------------- */

static bool
append(char *out, size_t *len, const char *text, size_t n)
{
	if (n >= PK_PATH_SIZE - *len)
		return false;
	memcpy(out + *len, text, n);
	*len += n;
	out[*len] = '\0';
	return true;
}

bool
pk_users_expand(const char *template, const char *user, const char *home,
    char out[PK_PATH_SIZE])
{
	const char *at = strchr(user, '@');
	size_t local = at != NULL ? (size_t)(at - user) : strlen(user);
	const char *domain = at != NULL ? at + 1 : "";
	size_t len = 0;
	bool fits = true;

	out[0] = '\0';
	for (; *template != '\0' && fits; template++) {
		if (*template != '%') {
			fits = append(out, &len, template, 1);
			continue;
		}
		switch (*++template) {
		case 'u':
			fits = append(out, &len, user, strlen(user));
			break;
		case 'n':
			fits = append(out, &len, user, local);
			break;
		case 'd':
			fits = append(out, &len, domain, strlen(domain));
			break;
		case 'h':
			fits = append(out, &len, home, strlen(home));
			break;
		default:
			fits = append(out, &len, template, 1);
		}
	}
	return fits;
}

/* ---- the users file -------------------------------------------------------- */

static int
by_user(const void *a, const void *b)
{
	return strcmp(((const struct pk_users_entry *)a)->user,
	    ((const struct pk_users_entry *)b)->user);
}

static bool
parse_id(const char *text, unsigned *id_r)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
	    value >= UINT32_MAX)
		return false;
	*id_r = (unsigned)value;
	return true;
}

/* NULL, or what was expected of the line; *e_r is only set without error. */
static const char *
parse_entry(const struct pk_settings *s, char *line, struct pk_users_entry *e_r)
{
	char *field[5], name[PK_USERNAME_SIZE];
	struct pk_span span;
	unsigned uid, gid;
	size_t n = 0;

	while (n < 5 && (field[n] = strsep(&line, ":")) != NULL)
		n++;
	if (n < 4 || line != NULL)
		return "expected user:uid:gid:home or user:uid:gid:home:rule";
	span.data = (const uint8_t *)field[0];
	span.len = strlen(field[0]);
	if (pk_username_canonical(&s->names, span, name) != PK_OK ||
	    strcmp(name, field[0]) != 0)
		return "expected a canonical user name";
	if (!parse_id(field[1], &uid) || !parse_id(field[2], &gid))
		return "expected numbers for uid and gid";
	if (!pk_users_uid_is_valid(s, uid))
		return "expected a uid of at least first-valid-uid (without "
		    "root: its own)";
	if (gid == 0 && geteuid() == 0)
		return "expected a gid that is not root's";
	if (field[3][0] != '/')
		return "expected an absolute home";
	if (n > 4 && strlen(field[4]) > PK_POLICY_NAME_MAX)
		return "expected the name of a retention rule, or nothing, "
		    "after the home";
	e_r->user = strdup(name);
	e_r->home = strdup(field[3]);
	e_r->rule = strdup(n > 4 ? field[4] : "");
	e_r->uid = uid;
	e_r->gid = gid;
	return e_r->user != NULL && e_r->home != NULL && e_r->rule != NULL ?
	    NULL : "out of memory";
}

static bool
add_line(struct pk_users_source *src, char *line, unsigned lineno,
    const char **why_r)
{
	struct pk_users_entry *grown;

	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return true;
	/* Grown in powers of two. */
	if ((src->count & (src->count - 1)) == 0) {
		grown = reallocarray(src->entries,
		    src->count > 0 ? 2 * src->count : 1, sizeof(*grown));
		if (grown == NULL) {
			*why_r = "out of memory";
			return false;
		}
		src->entries = grown;
	}
	memset(&src->entries[src->count], 0, sizeof(*src->entries));
	src->entries[src->count].line = lineno;
	*why_r = parse_entry(src->settings, line, &src->entries[src->count]);
	src->count++;
	return *why_r == NULL;
}

/* ---- places of their own --------------------------------------------------- */

struct place {
	char *path;			/* "/" not doubled, none at the end */
	bool retained;
	const struct pk_users_entry *e;
};

static int
by_place(const void *a, const void *b)
{
	const struct place *one = a, *two = b;
	int order = strcmp(one->path, two->path);

	return order != 0 ? order : (one->e->line > two->e->line) -
	    (one->e->line < two->e->line);
}

static void
squeeze_slashes(char *path)
{
	char *out = path;

	for (; *path != '\0'; path++)
		if (path[0] != '/' || (path[1] != '/' && path[1] != '\0'))
			*out++ = *path;
	*out = '\0';
}

/* false: out of memory. */
static bool
fill_place(struct place *p, const struct pk_users_entry *e,
    const char *template)
{
	char path[PK_PATH_SIZE];

	/* One that is too long has no session and no sweep. */
	if (!pk_users_expand(template, e->user, e->home, path))
		(void)snprintf(path, sizeof(path), "%s", e->user);
	squeeze_slashes(path);
	p->e = e;
	p->path = strdup(path);
	return p->path != NULL;
}

/* Two for each user. */
static bool
fill_places(const struct pk_users_source *src, struct place *places)
{
	const struct pk_settings *s = src->settings;
	size_t i;

	for (i = 0; i < src->count; i++) {
		if (!fill_place(&places[2 * i], &src->entries[i],
		    s->maildir) ||
		    !fill_place(&places[2 * i + 1], &src->entries[i],
		    s->retained))
			return false;
		places[2 * i + 1].retained = true;
	}
	return true;
}

static const char *
name_of(const struct place *p)
{
	return p->retained ? "Retained place" : "Maildir";
}

/* One after the other in order. */
static bool
places_differ(const struct place *p, size_t count, const char *file,
    FILE *errors)
{
	bool differ = true;
	size_t i;

	for (i = 1; i < count; i++)
		if (strcmp(p[i - 1].path, p[i].path) == 0) {
			fprintf(errors, "%s:%u: the %s of %s is the %s of %s: "
			    "%s: expected a place for each\n", file,
			    p[i].e->line, name_of(&p[i]), p[i].e->user,
			    name_of(&p[i - 1]), p[i - 1].e->user, p[i].path);
			differ = false;
		}
	return differ;
}

/*
 * Rules and holds go by the user: of two who share a place, one could delete
 * what is held of the other.
 */
static bool
each_has_places(const struct pk_users_source *src, FILE *errors)
{
	const char *file = src->settings->users_file;
	size_t i, count = 2 * src->count;
	struct place *places = calloc(count + 1, sizeof(*places));
	bool ok = places != NULL && fill_places(src, places);

	if (ok) {
		qsort(places, count, sizeof(*places), by_place);
		ok = places_differ(places, count, file, errors);
	} else {
		fprintf(errors, "%s: out of memory\n", file);
	}
	for (i = 0; places != NULL && i < count; i++)
		free(places[i].path);
	free(places);
	return ok;
}

/* ---- reading it ------------------------------------------------------------ */

static bool
read_users(struct pk_users_source *src, FILE *errors)
{
	const char *file = src->settings->users_file, *why = NULL;
	unsigned lineno = 0, wrong = 0;
	char *line = NULL;
	size_t size = 0, i;
	FILE *f = fopen(file, "re");

	if (f == NULL) {
		fprintf(errors, "%s: %s\n", file, strerror(errno));
		return false;
	}
	while (getline(&line, &size, f) != -1) {
		lineno++;
		if (!add_line(src, line, lineno, &why)) {
			fprintf(errors, "%s:%u: %s\n", file, lineno, why);
			wrong++;
		}
	}
	if (ferror(f)) {
		fprintf(errors, "%s: %s\n", file, strerror(errno));
		wrong++;
	}
	free(line);
	fclose(f);
	if (wrong > 0)
		return false;
	if (src->count > 0)
		qsort(src->entries, src->count, sizeof(*src->entries),
		    by_user);
	for (i = 1; i < src->count; i++)
		if (by_user(&src->entries[i - 1], &src->entries[i]) == 0) {
			fprintf(errors, "%s: the user %s is there twice\n",
			    file, src->entries[i].user);
			wrong++;
		}
	return wrong == 0 && each_has_places(src, errors);
}

struct pk_users_source *
pk_users_open(const struct pk_settings *settings, FILE *errors)
{
	struct pk_users_source *src = calloc(1, sizeof(*src));

	if (src == NULL) {
		fprintf(errors, "out of memory\n");
		return NULL;
	}
	src->settings = settings;
	if (settings->users_file != NULL && !read_users(src, errors))
		pk_users_close(&src);
	return src;
}

void
pk_users_close(struct pk_users_source **sourcep)
{
	struct pk_users_source *src = *sourcep;
	size_t i;

	if (src == NULL)
		return;
	for (i = 0; i < src->count; i++) {
		free(src->entries[i].user);
		free(src->entries[i].home);
		free(src->entries[i].rule);
	}
	free(src->entries);
	free(src);
	*sourcep = NULL;
}

/* ---- finding ---------------------------------------------------------------- */

static enum pk_users_found
find_system(const char *user, struct pk_account *a, char home[PK_PATH_SIZE])
{
	char buf[16384];
	struct passwd pwbuf, *pw;
	int rc = getpwnam_r(user, &pwbuf, buf, sizeof(buf), &pw);

	if (rc != 0 && rc != ENOENT && rc != ESRCH)
		return PK_USERS_FAILED;
	if (pw == NULL)
		return PK_USERS_UNKNOWN;
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
	return pw->pw_dir[0] == '/' && pk_users_expand("%h", user, pw->pw_dir, home) ?
	    PK_USERS_FOUND : PK_USERS_TOO_LONG;
}

static enum pk_users_found
find_virtual(const struct pk_users_source *src, const char *user,
    struct pk_account *a, char home[PK_PATH_SIZE])
{
	const struct pk_settings *s = src->settings;
	struct pk_users_entry key = { .user = (char *)(uintptr_t)user }, *e;

	if (s->users_file == NULL) {
		a->uid = s->virtual_uid;
		a->gid = s->virtual_gid;
		/* A template with %d has no place for a name without one. */
		if ((strstr(s->home, "%d") != NULL ||
		    strstr(s->maildir, "%d") != NULL ||
		    strstr(s->retained, "%d") != NULL) &&
		    strchr(user, '@') == NULL)
			return PK_USERS_UNKNOWN;
		return pk_users_expand(s->home, user, "", home) ? PK_USERS_FOUND :
		    PK_USERS_TOO_LONG;
	}
	e = src->count > 0 ? bsearch(&key, src->entries, src->count,
	    sizeof(*src->entries), by_user) : NULL;
	if (e == NULL)
		return PK_USERS_UNKNOWN;
	a->uid = e->uid;
	a->gid = e->gid;
	memcpy(a->rule, e->rule, strlen(e->rule) + 1);
	return pk_users_expand("%h", user, e->home, home) ? PK_USERS_FOUND :
	    PK_USERS_TOO_LONG;
}

enum pk_users_found
pk_users_find(const struct pk_users_source *src, const char *user,
    struct pk_account *account_r)
{
	struct pk_account a;
	char home[PK_PATH_SIZE];
	enum pk_users_found found;

	memset(&a, 0, sizeof(a));
	found = src->settings->users == PK_USERS_SYSTEM ?
	    find_system(user, &a, home) : find_virtual(src, user, &a, home);
	if (found != PK_USERS_FOUND)
		return found;
	if (!pk_users_uid_is_valid(src->settings, a.uid) ||
	    (geteuid() == 0 && a.gid == 0))
		return PK_USERS_FORBIDDEN;
	if (!pk_users_expand(src->settings->maildir, user, home, a.maildir) ||
	    !pk_users_expand(src->settings->retained, user, home, a.retained))
		return PK_USERS_TOO_LONG;
	memcpy(a.user, user, strlen(user) + 1);
	*account_r = a;
	return PK_USERS_FOUND;
}

bool
pk_users_may_wait(const struct pk_users_source *src)
{
	return src->settings->users == PK_USERS_SYSTEM;
}
