/*
 * What the commands of the tool have in common: see tool.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/username.h"
#include "standalone/policy_load.h"
#include "standalone/policyd.h"
#include "standalone/secret_import.h"
#include "standalone/tool.h"

/* ---- the configuration ------------------------------------------------- */

/* What was not given is that of the settings, or of policyd's own. */
static void
take_places(struct pk_tool *t)
{
	const struct pk_settings *s = t->settings;

	if (t->policy == NULL)
		t->policy = s != NULL ? s->policy : PK_POLICY_FILE;
	if (t->socket == NULL)
		t->socket = s != NULL ? s->policy_socket : PK_POLICY_SOCKET;
}

bool
pk_tool_read(struct pk_tool *t)
{
	t->settings = pk_settings_read(t->file, stderr);
	if (t->settings != NULL)
		t->users = pk_users_open(t->settings, stderr);
	take_places(t);
	return t->users != NULL;
}

bool
pk_tool_read_policy(struct pk_tool *t, bool policy, bool socket)
{
	bool known = (!policy || t->policy != NULL) &&
	    (!socket || t->socket != NULL);
	bool none = access(t->file, F_OK) != 0 && errno == ENOENT;

	if (t->file_given || (!known && !none)) {
		t->settings = pk_settings_read(t->file, stderr);
		if (t->settings == NULL)
			return false;
	}
	take_places(t);
	return true;
}

void
pk_tool_deinit(struct pk_tool *t)
{
	pk_users_close(&t->users);
	pk_settings_free(&t->settings);
}

struct pk_policy_ask *
pk_tool_ask(const struct pk_tool *t)
{
	return pk_policy_ask_open(t->socket, stderr);
}

static bool
takes_orders(struct pk_policy_ask *ask)
{
	struct pk_wire_done d;

	if (!pk_policy_ask_done(ask, PK_WIRE_STATUS, NULL, &d))
		fprintf(stderr, "popkeep: %s\n", ask->why);
	else if (d.result != PK_WIRE_OK)
		fprintf(stderr, "popkeep: popkeep-policyd refuses orders: "
		    "%s\n", d.text);
	else
		return true;
	return false;
}

struct pk_policy_ask *
pk_tool_ask_orders(const struct pk_tool *t)
{
	struct pk_policy_ask *ask = pk_tool_ask(t);

	if (ask != NULL && !takes_orders(ask))
		pk_policy_ask_close(&ask);
	return ask;
}

bool
pk_tool_account(const struct pk_tool *t, const char *name,
    struct pk_account *account_r)
{
	struct pk_span span = { (const uint8_t *)name, strlen(name) };
	char user[PK_USERNAME_SIZE];
	enum pk_users_found found;
	enum pk_err err;

	err = pk_username_canonical(&t->settings->names, span, user);
	if (err != PK_OK) {
		fprintf(stderr, "popkeep: USER: %s\n",
		    pk_username_fault(err));
		return false;
	}
	found = pk_users_find(t->users, user, account_r);
	if (found != PK_USERS_FOUND)
		fprintf(stderr, "popkeep: user %s: %s\n", user,
		    pk_users_found_name(found));
	return found == PK_USERS_FOUND;
}

/* ---- policyd ----------------------------------------------------------- */

bool
pk_tool_policy_of(struct pk_policy_ask *ask, const struct pk_account *account,
    struct pk_wire_user_is *answer_r)
{
	if (!pk_policy_ask_user(ask, account->user, account->rule,
	    answer_r)) {
		fprintf(stderr, "popkeep: user %s: %s\n", account->user,
		    ask->why);
		return false;
	}
	switch (answer_r->result) {
	case PK_WIRE_OK:
		return true;
	case PK_WIRE_UNKNOWN_RULE:
		fprintf(stderr, "popkeep: user %s: the users file names the "
		    "rule \"%s\", which does not exist: logins are refused\n",
		    account->user, account->rule);
		return false;
	case PK_WIRE_NOT_YET:
		fprintf(stderr, "popkeep: user %s: the rule depends on a group "
		    "that popkeep-policyd does not know yet\n", account->user);
		return false;
	case PK_WIRE_STALE:
	case PK_WIRE_BRAKED:
	case PK_WIRE_FAILED:
	case PK_WIRE_DENIED:
	case PK_WIRE_ERROR:
		break;
	}
	fprintf(stderr, "popkeep: user %s: popkeep-policyd says: %s\n",
	    account->user, pk_wire_result_name(answer_r->result));
	return false;
}

/* The uid that logged in, whatever it has become since; else our own. */
static uid_t
login_uid(void)
{
	unsigned long value = (unsigned long)(uid_t)-1;
	FILE *f = fopen("/proc/self/loginuid", "re");

	if (f != NULL) {
		if (fscanf(f, "%10lu", &value) != 1)
			value = (unsigned long)(uid_t)-1;
		fclose(f);
	}
	return value < (uid_t)-1 ? (uid_t)value : getuid();
}

void
pk_tool_who(const char *why, char out[PK_WIRE_TEXT + 1])
{
	const char *sudo = getenv("SUDO_USER");
	uid_t uid = login_uid();
	struct passwd *pw = getpwuid(uid);

	(void)snprintf(out, PK_WIRE_TEXT + 1, "by %s (uid %u%s%.64s)%s%s",
	    pw != NULL ? pw->pw_name : "?", uid, sudo != NULL ? ", sudo " :
	    "", sudo != NULL ? sudo : "", why != NULL ? ": " : "",
	    why != NULL ? why : "");
}

bool
pk_tool_note_fits(const char *command, const char *note, size_t extra)
{
	char who[PK_WIRE_TEXT + 1];
	size_t used;

	pk_tool_who("", who);
	used = extra + strlen(who);
	if (note == NULL || used + strlen(note) < PK_AUDIT_REASON_SIZE)
		return true;
	fprintf(stderr, "popkeep: %s: --note: expected at most %zu octets: a "
	    "record has room for no more\n", command, used <
	    PK_AUDIT_REASON_SIZE ? PK_AUDIT_REASON_SIZE - 1 - used : 0);
	return false;
}

bool
pk_tool_reload(struct pk_policy_ask *ask, enum pk_wire_type type,
    const char *why)
{
	char who[PK_WIRE_TEXT + 1];
	struct pk_wire_done d;

	pk_tool_who(why, who);
	if (!pk_policy_ask_done(ask, type, who, &d)) {
		fprintf(stderr, "popkeep: %s\n", ask->why);
		return false;
	}
	if (d.result != PK_WIRE_OK) {
		fprintf(stderr, "popkeep: popkeep-policyd refused it: %s\n",
		    d.text[0] != '\0' ? d.text :
		    pk_wire_result_name(d.result));
		return false;
	}
	if (d.text[0] != '\0')
		fprintf(stderr, "popkeep: %s\n", d.text);
	return true;
}

/* ---- texts ------------------------------------------------------------- */

const char *
pk_tool_time(int64_t time, char out[PK_TOOL_TIME_SIZE])
{
	time_t t = (time_t)time;
	struct tm tm;

	out[0] = '\0';
	if (time > 0 && time < PK_NEVER && gmtime_r(&t, &tm) != NULL &&
	    tm.tm_year < 8100)
		(void)strftime(out, PK_TOOL_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ",
		    &tm);
	return out;
}

static bool
is_member(const char *group, const char *user)
{
	struct group *gr = getgrnam(group);
	struct passwd *pw;
	char **member;
	gid_t gid;

	if (gr == NULL)
		return false;
	for (member = gr->gr_mem; *member != NULL; member++)
		if (strcmp(*member, user) == 0)
			return true;
	gid = gr->gr_gid;
	pw = getpwnam(user);
	return pw != NULL && pw->pw_gid == gid;
}

const char *
pk_tool_match(const struct pk_patterns *patterns, const char *user)
{
	size_t i;

	if (patterns->count == 0)
		return "*";
	for (i = 0; i < patterns->count; i++) {
		const char *text = patterns->text[i];

		if (text[0] == '@' ? is_member(text + 1, user) :
		    pk_pattern_is_match(text, user))
			return text;
	}
	return NULL;
}

/* ---- standard output ------------------------------------------------------- */

/* Of the first write that failed: stdio only knows that there was one. */
static int output_errno;

static ssize_t
write_output(void *cookie, const char *data, size_t len)
{
	size_t written = 0;
	ssize_t n;

	(void)cookie;
	while (written < len && output_errno == 0) {
		n = write(STDOUT_FILENO, data + written, len - written);
		if (n >= 0)
			written += (size_t)n;
		else if (errno != EINTR)
			output_errno = errno;
	}
	return (ssize_t)written;
}

void
pk_tool_begin(void)
{
	const cookie_io_functions_t io = { .write = write_output };
	FILE *f = fopencookie(NULL, "w", io);

	/* The usual one does, too, but for the reason of an error. */
	if (f == NULL)
		return;
	(void)setvbuf(f, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF,
	    BUFSIZ);
	stdout = f;
}

bool
pk_tool_may_replace(const char *name)
{
	struct stat st;

	if (lstat(name, &st) == -1)
		return errno == ENOENT;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
	return S_ISREG(st.st_mode);
}

int
pk_tool_finish(int status)
{
	bool failed = fflush(stdout) == EOF || ferror(stdout);

	if (!failed || output_errno == EPIPE)
		return status;
	fprintf(stderr, "popkeep: standard output: %s\n", output_errno != 0 ?
	    strerror(output_errno) : "it could not be written");
	return PK_EXIT_FAILED;
}
