/*
 * The groups of the policy: a child asks the name service, which may take its
 * time, and policyd takes over what it says, whole or not at all.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standalone/log.h"
#include "standalone/policyd_private.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"

/* Seconds that the name service may take, and octets that it may say. */
#define CHILD_SECONDS	120
#define CHILD_OCTETS	(256 * 1024 * 1024)

static struct {
	struct event *refresh, *output, *limit;
	pid_t child;			/* 0: none */
	int fd;
	char *text;
	size_t len, room;
	bool again;			/* the policy changed meanwhile */
	bool outdated;			/* the child spells names as of old */
} groups;

static void start_child(void);

/* ---- the child ----------------------------------------------------------------------- */

/* A member as the policy spells users; who cannot be a user is left out. */
static void
print_member(FILE *f, const char *name)
{
	char user[PK_USERNAME_SIZE];
	struct pk_span span = { (const uint8_t *)name, strlen(name) };

	if (pk_username_canonical(&pk_policyd.settings->names, span,
	    user) == PK_OK)
		fprintf(f, "u%s\n", user);
}

/* A group that there is. */
struct resolved {
	gid_t gid;
	const char *name;
};

/*
 * "gNAME" or "?NAME" (there is none, which is false), and a line for each
 * member.
 */
static bool
print_group(FILE *f, const char *name, struct resolved *group_r)
{
	struct group *gr;
	char **member;

	/*
	 * getgrnam(3) lists errors that may mean that there is no such group.
	 * glibc sets none then, and ENOENT where a service is not there (yet):
	 * every error is a failure.
	 */
	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL && errno != 0)
		_exit(1);
	fprintf(f, "%c%s\n", gr != NULL ? 'g' : '?', name);
	if (gr == NULL)
		return false;
	for (member = gr->gr_mem; *member != NULL; member++)
		print_member(f, *member);
	group_r->gid = gr->gr_gid;
	group_r->name = name;
	return true;
}

static int
compare_gids(const void *a, const void *b)
{
	gid_t x = ((const struct resolved *)a)->gid;
	gid_t y = ((const struct resolved *)b)->gid;

	return (x > y) - (x < y);
}

/* A group may have several names: those with that gid stand together. */
static void
print_primary(FILE *f, const struct resolved *all, size_t count,
    const struct passwd *pw)
{
	struct resolved key = { pw->pw_gid, NULL };
	const struct resolved *g = bsearch(&key, all, count, sizeof(*all),
	    compare_gids);

	if (g == NULL)
		return;
	while (g > all && g[-1].gid == pw->pw_gid)
		g--;
	for (; g < all + count && g->gid == pw->pw_gid; g++) {
		fprintf(f, "g%s\n", g->name);
		print_member(f, pw->pw_name);
	}
}

/*
 * Those whose first group it is are no members by a group's own list.  All
 * users are read once, however many groups there are.
 */
static void
print_primaries(FILE *f, struct resolved *all, size_t count)
{
	struct passwd *pw;

	qsort(all, count, sizeof(*all), compare_gids);
	setpwent();
	while (errno = 0, (pw = getpwent()) != NULL)
		print_primary(f, all, count, pw);
	/* The end of all users may be ENOENT: getpwent(3). */
	if (errno != 0 && errno != ENOENT)
		_exit(1);
	endpwent();
}

static _Noreturn void
resolve(int fd)
{
	size_t i, count = 0, n = pk_policy_group_count(pk_policyd.policy);
	struct resolved *all = calloc(n, sizeof(*all));
	FILE *f = fdopen(fd, "w");

	if (f == NULL || all == NULL)
		_exit(1);
	for (i = 0; i < n; i++)
		if (print_group(f, pk_policy_group(pk_policyd.policy, i),
		    &all[count]))
			count++;
	if (count > 0)
		print_primaries(f, all, count);
	fputs("!\n", f);		/* it is whole */
	_exit(fflush(f) == 0 ? 0 : 1);
}

/* ---- taking it over ------------------------------------------------------------------ */

/* Does a hold name the group? */
static bool
is_of_hold(const char *group)
{
	const struct pk_policy *p = pk_policyd.policy;
	const struct pk_patterns *users;
	size_t i, k;

	for (i = 0; i < p->holds; i++) {
		users = &p->hold[i].users;
		for (k = 0; k < users->count; k++)
			if (users->text[k][0] == '@' &&
			    strcmp(users->text[k] + 1, group) == 0)
				return true;
	}
	return false;
}

static bool
take_line(struct pk_groups *g, char *line, const char **group)
{
	switch (line[0]) {
	case '?':
		/*
		 * A hold must not come to nothing because of a misspelt name:
		 * nothing is known of the members of such a group.  In rules
		 * it has none.
		 */
		if (is_of_hold(line + 1)) {
			pk_log(PK_LOG_ERR, "policy: there is no group \"%s\": "
			    "a hold by it counts for everybody", line + 1);
			return true;
		}
		pk_log(PK_LOG_WARNING, "policy: there is no group \"%s\": it "
		    "has no members", line + 1);
		return pk_groups_add_group(g, line + 1) == PK_OK;
	case 'g':
		*group = line + 1;
		return pk_groups_add_group(g, line + 1) == PK_OK;
	case 'u':
		return *group != NULL &&
		    pk_groups_add(g, *group, line + 1) == PK_OK;
	default:
		return false;
	}
}

/*
 * A group that lost all of its members at once looks like a failure: it keeps
 * them.  The others are as they are.  false: out of memory.
 */
static bool
keep_members(struct pk_groups *g)
{
	const struct pk_groups *old = pk_policyd.groups;
	size_t i, count = 0, n = pk_policy_group_count(pk_policyd.policy);
	const char **kept;
	bool ok;

	if (old == NULL)
		return true;
	kept = calloc(n + 1, sizeof(*kept));
	if (kept == NULL)
		return false;
	for (i = 0; i < n; i++) {
		const char *name = pk_policy_group(pk_policyd.policy, i);

		if (pk_groups_members(g, name) > 0 ||
		    pk_groups_members(old, name) == 0)
			continue;
		pk_log(PK_LOG_WARNING, "policy: the group \"%s\" is empty "
		    "now: the members that it had stay in force", name);
		kept[count++] = name;
	}
	ok = count == 0 || pk_groups_copy(g, old, kept, count) == PK_OK;
	free(kept);
	return ok;
}

static struct pk_groups *
parse(char *text)
{
	struct pk_groups *g = pk_groups_new();
	const char *group = NULL;
	bool whole = false, ok = g != NULL;
	char *line;

	while (ok && (line = strsep(&text, "\n")) != NULL) {
		if (line[0] == '!')
			whole = true;
		else if (line[0] != '\0')
			ok = take_line(g, line, &group);
	}
	if (!ok || !whole)
		pk_groups_free(&g);
	return g;
}

static void
child_done(void)
{
	struct pk_groups *g = NULL;
	int status = -1;

	event_del(groups.output);
	event_free(groups.output);
	groups.output = NULL;
	event_del(groups.limit);
	close(groups.fd);
	(void)kill(groups.child, SIGKILL);
	while (waitpid(groups.child, &status, 0) == -1 && errno == EINTR)
		;
	groups.child = 0;
	if (groups.text != NULL && groups.len < groups.room &&
	    !groups.outdated) {
		groups.text[groups.len] = '\0';
		g = parse(groups.text);
	}
	free(groups.text);
	groups.text = NULL;
	groups.len = groups.room = 0;
	if (g == NULL)
		pk_log(PK_LOG_WARNING, "policy: the name service failed: %s",
		    pk_policyd.groups != NULL ?
		    "the groups stay as they were" :
		    "users of rules by group cannot log in yet");
	else if (keep_members(g))
		pk_policyd_take_groups(g);
	else
		pk_groups_free(&g);
	pk_policyd_ready();
	if (groups.again)
		start_child();
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	size_t room;
	char *grown;
	ssize_t n;

	(void)what;
	(void)arg;
	if (groups.room - groups.len < 2) {
		room = groups.room > 0 ? 2 * groups.room : 4096;
		grown = room <= CHILD_OCTETS ? realloc(groups.text, room) :
		    NULL;
		if (grown == NULL) {
			free(groups.text);
			groups.text = NULL;
			child_done();
			return;
		}
		groups.text = grown;
		groups.room = room;
	}
	n = read(fd, groups.text + groups.len, groups.room - groups.len - 1);
	if (n > 0)
		groups.len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		child_done();
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	groups.len = 0;			/* what it said so far does not count */
	child_done();
}

/* ---- starting it --------------------------------------------------------------------- */

static void
start_child(void)
{
	struct timeval limit = { CHILD_SECONDS, 0 };
	int fds[2];

	groups.again = groups.outdated = false;
	if (pk_policy_group_count(pk_policyd.policy) == 0) {
		pk_policyd_take_groups(pk_groups_new());
		pk_policyd_ready();
		return;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		pk_log(PK_LOG_ERR, "policy: groups cannot be resolved: %s",
		    strerror(errno));
		return;
	}
	groups.child = pk_role_fork();
	if (groups.child == 0) {
		/* Not the log either: its lock is policyd's. */
		pk_sandbox_close(STDERR_FILENO + 1, &fds[1], 1);
		(void)fcntl(fds[1], F_SETFL, 0);
		resolve(fds[1]);
	}
	close(fds[1]);
	groups.fd = fds[0];
	groups.output = groups.child > 0 ? event_new(pk_policyd.base, fds[0],
	    EV_READ | EV_PERSIST, on_output, NULL) : NULL;
	if (groups.output == NULL || event_add(groups.output, NULL) != 0) {
		pk_log(PK_LOG_ERR, "policy: groups cannot be resolved: %s",
		    strerror(errno));
		if (groups.child > 0) {
			(void)kill(groups.child, SIGKILL);
			(void)waitpid(groups.child, NULL, 0);
		}
		groups.child = 0;
		if (groups.output != NULL)
			event_free(groups.output);
		groups.output = NULL;
		close(fds[0]);
		return;
	}
	event_add(groups.limit, &limit);
}

static void
on_refresh(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (groups.child == 0)
		start_child();
}

void
pk_groups_refresh(void)
{
	if (groups.child != 0)
		groups.again = true;
	else
		start_child();
}

static int
refresh_regularly(void)
{
	struct timeval every = {
		(time_t)pk_policyd.settings->group_refresh, 0 };

	return event_add(groups.refresh, &every);
}

void
pk_groups_adopt(bool same_names)
{
	(void)refresh_regularly();
	if (same_names)
		return;
	/* A member under an old spelling is no member: nothing is known. */
	pk_groups_free(&pk_policyd.groups);
	pk_policyd.serial++;
	groups.outdated = groups.child != 0;
	pk_groups_refresh();
}

int
pk_groups_start(void)
{
	groups.refresh = event_new(pk_policyd.base, -1, EV_PERSIST,
	    on_refresh, NULL);
	groups.limit = event_new(pk_policyd.base, -1, 0, on_limit, NULL);
	if (groups.refresh == NULL || groups.limit == NULL ||
	    refresh_regularly() != 0)
		return -1;
	start_child();
	return 0;
}
