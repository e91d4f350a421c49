/*
 * Is the policy fit to run with?  See check_policy.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/check.h"
#include "standalone/check_policy.h"
#include "standalone/pattern_look.h"
#include "standalone/policy_load.h"
#include "standalone/users.h"

/* What there may be many of is named one by one up to so many. */
#define NAMED_MAX 20

/* Where PAM looks for services, unless it is told another place. */
static const char *const pam_dirs[] = { "/etc/pam.d", "/usr/lib/pam.d" };

/* Dovecot's, where the plugin has it; how deep files may include others. */
#define PAM_ACCOUNT "popkeep-account"
#define PAM_DEPTH 16
#define PAM_SPACE " \t\r\n"

struct checking {
	const struct pk_settings *s;	/* NULL: none */
	const struct pk_policy *p;
	FILE *errors;
	struct pk_users_source *users;	/* NULL: not known */
	unsigned nobody;		/* patterns that match none */
	unsigned wrong;			/* users with an unknown rule */
	unsigned named;			/* users with a rule of the users file */
};

static void warn(struct checking *c, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
warn(struct checking *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(c->errors, format, ap);
	va_end(ap);
	fputc('\n', c->errors);
}

static void
warn_at(struct checking *c, const struct pk_place *place, const char *what,
    const char *name, const char *text)
{
	warn(c, "%s:%d: warning: %s \"%s\": %s", place->file, place->line,
	    what, name, text);
}

/* ---- groups ------------------------------------------------------------ */

static bool
names_group(const struct pk_patterns *users, const char *group)
{
	size_t i;

	for (i = 0; i < users->count; i++)
		if (users->text[i][0] == '@' &&
		    strcmp(users->text[i] + 1, group) == 0)
			return true;
	return false;
}

static const struct pk_place *
login_place(const struct pk_login_rules *rules, const char *group)
{
	size_t i;

	for (i = 0; i < rules->count; i++)
		if (names_group(&rules->rule[i].users, group))
			return &rules->rule[i].place;
	return NULL;
}

/* Of the first block that names the group. */
static const struct pk_place *
group_place(const struct pk_policy *p, const char *group)
{
	const struct pk_place *place = NULL;
	size_t i;

	for (i = 0; i < p->retentions; i++)
		if (names_group(&p->retention[i].users, group))
			return &p->retention[i].place;
	for (i = 0; i < p->holds; i++)
		if (names_group(&p->hold[i].users, group))
			return &p->hold[i].place;
	for (i = 0; i < PK_KINDS && place == NULL; i++)
		place = login_place(&p->login[i], group);
	return place;
}

static void
check_groups(struct checking *c)
{
	const struct pk_place *place;
	const char *group;
	size_t i;

	for (i = 0; i < pk_policy_group_count(c->p); i++) {
		group = pk_policy_group(c->p, i);
		place = group_place(c->p, group);
		if (getgrnam(group) == NULL && place != NULL)
			warn_at(c, place, "users: group", group, "there is no "
			    "such group: a rule by it matches nobody, and a "
			    "hold by it counts for everybody");
	}
}

/* ---- users ------------------------------------------------------------- */

/* policy.md section 1: proof is claimed for virtual users only. */
static void
check_owners(struct checking *c)
{
	size_t i;

	if (c->s->users != PK_USERS_SYSTEM)
		return;
	for (i = 0; i < c->p->retentions; i++)
		if (c->p->retention[i].rule.minimum > 0)
			warn_at(c, &c->p->retention[i].place, "retention",
			    c->p->retention[i].rule.name, "users = system: "
			    "they own their mail, and can defeat the minimum "
			    "with rm");
		else
			warn_at(c, &c->p->retention[i].place, "retention",
			    c->p->retention[i].rule.name, "users = system: "
			    "they own their mail and its index, and can defeat "
			    "the rule");
	for (i = 0; i < c->p->holds; i++)
		warn_at(c, &c->p->hold[i].place, "hold", c->p->hold[i].name,
		    "users = system: they own their mail, and can defeat the "
		    "hold with rm");
}

static void
on_named(void *arg, const char *user, const char *rule, unsigned line)
{
	struct checking *c = arg;

	c->named++;
	if (pk_policy_find_rule(c->p, rule) != NULL)
		return;
	if (c->wrong++ < NAMED_MAX)
		fprintf(c->errors, "%s:%u: user %s: rule = %s: expected the "
		    "name of a retention block: this user cannot log in\n",
		    c->s->users_file, line, user, rule);
}

/* Errors of the users file itself are the configuration's, and said there. */
static struct pk_users_source *
open_users(const struct pk_settings *s)
{
	FILE *nowhere = fopen("/dev/null", "we");
	struct pk_users_source *users = NULL;

	if (nowhere != NULL) {
		users = pk_users_open(s, nowhere);
		fclose(nowhere);
	}
	return users;
}

static bool
check_users_file(struct checking *c)
{
	if (c->users != NULL)
		pk_users_each_rule(c->users, on_named, c);
	if (c->wrong > NAMED_MAX)
		fprintf(c->errors, "%s: and %u users more\n",
		    c->s->users_file, c->wrong - NAMED_MAX);
	if (c->named > c->wrong)
		warn(c, "%s: warning: %u users get their retention rule from "
		    "this file, whatever \"users\" of the rules say",
		    c->s->users_file, c->named - c->wrong);
	return c->wrong == 0;
}

/* Names that match nobody; of groups check_groups() has said it. */
static void
check_names(struct checking *c, const struct pk_place *place,
    const char *what, const char *name, const struct pk_patterns *users)
{
	char why[PK_PATTERN_WHY];
	char text[PK_PATTERN_WHY + PK_USERNAME_SIZE + sizeof("users: : ")];
	size_t i;

	for (i = 0; i < users->count; i++) {
		if (!pk_pattern_is_name(users->text[i]) || pk_pattern_look(
		    &c->s->names, c->users, users->text[i], why) ==
		    PK_PATTERN_FINE || c->nobody++ >= NAMED_MAX)
			continue;
		(void)snprintf(text, sizeof(text), "users: %.*s: %s",
		    PK_USERNAME_MAX, users->text[i], why);
		warn_at(c, place, what, name, text);
	}
}

static void
check_patterns(struct checking *c)
{
	static const char *const kinds[PK_KINDS] = {
		[PK_KIND_APOP] = "apop: rule",
		[PK_KIND_PASSWORD] = "passwords: rule",
	};
	const struct pk_login_rule *login;
	size_t i, k;

	for (i = 0; i < c->p->retentions; i++)
		check_names(c, &c->p->retention[i].place, "retention",
		    c->p->retention[i].rule.name, &c->p->retention[i].users);
	for (i = 0; i < c->p->holds; i++)
		check_names(c, &c->p->hold[i].place, "hold",
		    c->p->hold[i].name, &c->p->hold[i].users);
	for (k = 0; k < PK_KINDS; k++)
		for (i = 0; i < c->p->login[k].count; i++) {
			login = &c->p->login[k].rule[i];
			check_names(c, &login->place, kinds[k], login->name,
			    &login->users);
		}
	if (c->nobody > NAMED_MAX)
		warn(c, "%s: warning: and %u names more that match nobody",
		    c->s->policy, c->nobody - NAMED_MAX);
}

/* ---- credentials ------------------------------------------------------- */

/* The service's file, or NULL.  s may be NULL. */
static FILE *
open_service(const struct pk_settings *s, const char *service)
{
	char path[PK_PATH_SIZE];
	FILE *f = NULL;
	size_t i;

	if (service[0] == '/')
		return fopen(service, "re");
	if (s != NULL && s->pam_confdir != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->pam_confdir,
		    service);
		return fopen(path, "re");
	}
	for (i = 0; f == NULL && i < sizeof(pam_dirs) / sizeof(pam_dirs[0]);
	    i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", pam_dirs[i],
		    service);
		f = fopen(path, "re");
	}
	return f;
}

static void
check_service(struct checking *c, const char *service, const char *what)
{
	FILE *f = open_service(c->s, service);

	if (f != NULL)
		fclose(f);
	else
		warn(c, "%s/%s: warning: there is no such PAM service: %s "
		    "are refused", c->s->pam_confdir != NULL ?
		    c->s->pam_confdir : pam_dirs[0], service, what);
}

/* Is some rule of that kind able to allow anything? */
static bool
allows_some(const struct pk_login_rules *rules)
{
	size_t i;

	for (i = 0; i < rules->count; i++)
		if (rules->rule[i].allow != PK_ALLOW_NEVER)
			return true;
	return false;
}

/* What a line of a service includes, or NULL; line is taken apart. */
static const char *
included(char *line)
{
	char *rest = line, *word = strtok_r(rest, PAM_SPACE, &rest);

	if (word != NULL && strcmp(word, "@include") == 0)
		return strtok_r(rest, PAM_SPACE, &rest);
	if (word == NULL || strstr(word, "account") == NULL)
		return NULL;
	word = strtok_r(rest, PAM_SPACE, &rest);
	if (word == NULL || (strcmp(word, "include") != 0 &&
	    strcmp(word, "substack") != 0))
		return NULL;
	return strtok_r(rest, PAM_SPACE, &rest);
}

/*
 * Its account phase would take a digest that is not checked yet for a login,
 * and reset the tally of failures.
 */
static bool
check_account_service(struct checking *c, const char *service, int depth)
{
	FILE *f = depth < PAM_DEPTH ? open_service(c->s, service) : NULL;
	unsigned lineno = 0;
	const char *other;
	char *line = NULL;
	size_t size = 0;
	bool ok = true;

	while (f != NULL && getline(&line, &size, f) != -1) {
		lineno++;
		line[strcspn(line, "#")] = '\0';
		if (strstr(line, "pam_faillock") != NULL &&
		    strstr(line, "account") != NULL) {
			fprintf(c->errors, "%s:%u: pam_faillock must not be in "
			    "the account phase of " PAM_ACCOUNT ": it would "
			    "forget failed logins by APOP\n", service, lineno);
			ok = false;
		} else if ((other = included(line)) != NULL) {
			ok = check_account_service(c, other, depth + 1) && ok;
		}
	}
	free(line);
	if (f != NULL)
		fclose(f);
	return ok;
}

static void
check_credentials(struct checking *c)
{
	const struct pk_login_rules *apop = &c->p->login[PK_KIND_APOP];

	if (allows_some(&c->p->login[PK_KIND_PASSWORD]))
		check_service(c, c->s->pam_service, "passwords");
	if (allows_some(apop)) {
		if (access(c->s->secrets, F_OK) != 0)
			warn_at(c, &apop->rule[0].place, "apop: rule",
			    apop->rule[0].name, "there is no secret yet: "
			    "\"popkeep secret\" makes the store");
		if (c->s->apop_through == PK_APOP_PAM)
			check_service(c, c->s->pam_apop_service, "logins by "
			    "APOP");
	}
}

/* ---- who reads it ------------------------------------------------------ */

/* Can the policy be read with the rights of policyd, which opens dirfd as root? */
static bool
can_read(const struct passwd *pw, int dirfd, const char *policy)
{
	struct pk_policy *p = NULL;
	gid_t groups[NGROUPS_MAX];
	int n = getgroups(NGROUPS_MAX, groups);
	bool ok;

	if (n >= 0 && setgroups(1, &pw->pw_gid) == 0 &&
	    setegid(pw->pw_gid) == 0 && seteuid(pw->pw_uid) == 0)
		p = pk_policy_load(dirfd, policy, time(NULL),
		    pk_policy_say_nothing, pk_policy_say_nothing, NULL);
	/* A process that cannot have its rights back is of no use. */
	if (seteuid(0) != 0 || setegid(0) != 0 || n < 0 ||
	    setgroups((size_t)n, groups) != 0)
		abort();
	ok = p != NULL;
	pk_policy_free(&p);
	return ok;
}

/* Root reads everything: what it has read may be closed to policyd. */
static bool
check_reader(struct checking *c, const char *policy)
{
	struct passwd *pw = c->s != NULL && geteuid() == 0 &&
	    strcmp(policy, c->s->policy) == 0 ?
	    getpwnam(c->s->policy_user) : NULL;
	int dirfd = pw != NULL ? pk_policy_open_dir(policy) : -1;
	bool ok;

	if (dirfd == -1)
		return true;
	ok = can_read(pw, dirfd, policy);
	close(dirfd);
	if (!ok)
		fprintf(c->errors, "%s: expected that policy-user = %s may "
		    "read it, and all of " PK_POLICY_D " beside it\n", policy,
		    c->s->policy_user);
	return ok;
}

bool
pk_check_policy(const struct pk_settings *s, const char *policy, FILE *errors)
{
	struct pk_policy *p = pk_policy_load(-1, policy, time(NULL),
	    pk_policy_say_to, pk_policy_say_to, errors);
	struct checking c = { .s = s, .p = p, .errors = errors };
	bool ok;

	if (p == NULL)
		return false;
	ok = check_reader(&c, policy);
	ok = check_account_service(&c, PAM_ACCOUNT, 0) && ok;
	check_groups(&c);
	if (s != NULL) {
		c.users = open_users(s);
		check_owners(&c);
		check_patterns(&c);
		ok = check_users_file(&c) && ok;
		check_credentials(&c);
		pk_users_close(&c.users);
	}
	pk_policy_free(&p);
	return ok;
}

/* What can be read of a configuration that is not fit to run with. */
static struct pk_settings *
read_quietly(const char *file)
{
	FILE *nowhere = fopen("/dev/null", "we");
	struct pk_settings *s = NULL;

	if (nowhere != NULL) {
		s = pk_settings_read(file, nowhere);
		fclose(nowhere);
	}
	return s;
}

static bool
say_fine(const char *file, bool fine)
{
	if (fine)
		printf("%s: fine\n", file);
	return fine;
}

bool
pk_check_all(const char *file, const char *policy, FILE *errors)
{
	struct pk_settings *s = NULL;
	bool ok = true;

	if (file != NULL) {
		s = pk_settings_check(file, errors);
		ok = say_fine(file, s != NULL);
		if (s == NULL)
			s = read_quietly(file);
	}
	if (policy == NULL && s != NULL)
		policy = s->policy;
	if (policy != NULL)
		ok = say_fine(policy, pk_check_policy(s, policy, errors)) &&
		    ok;
	pk_settings_free(&s);
	return ok;
}
