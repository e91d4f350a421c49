/*
 * popkeepd.conf by libConfuse: see settings.h.
 *
 * Syntax errors end the reading; everything else that is wrong is reported
 * together: what one value shows at once (settings_check.c), what needs several
 * afterwards, with the lines remembered.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/apop.h"
#include "engine/comments.h"
#include "standalone/audit_prune.h"
#include "standalone/policy_load.h"
#include "standalone/policyd.h"
#include "standalone/settings_private.h"

/* libConfuse hands callbacks no argument of ours. */
static struct {
	FILE *to;
	const char *file;
	unsigned count;
} errors;

static void
complain(int line, const char *format, va_list ap)
{
	if (line > 0)
		fprintf(errors.to, "%s:%d: ", errors.file, line);
	else
		fprintf(errors.to, "%s: ", errors.file);
	vfprintf(errors.to, format, ap);
	fputc('\n', errors.to);
	errors.count++;
}

static void
on_error(cfg_t *cfg, const char *format, va_list ap)
{
	complain(cfg != NULL ? cfg->line : 0, format, ap);
}

/* The lines of the keys that were given, for checks after the reading. */
#define KEYS_MAX 64

static struct {
	const char *key;
	int line;
} lines[KEYS_MAX];

static void
remember(const char *key, int line)
{
	size_t i;

	for (i = 0; i < KEYS_MAX && lines[i].key != NULL; i++)
		if (strcmp(lines[i].key, key) == 0)
			break;
	if (i < KEYS_MAX) {
		lines[i].key = key;
		lines[i].line = line;
	}
}

static int
line_of(const char *key)
{
	size_t i;

	for (i = 0; i < KEYS_MAX && lines[i].key != NULL; i++)
		if (strcmp(lines[i].key, key) == 0)
			return lines[i].line;
	return 0;
}

static void problem_at(int line, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
problem_at(int line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(line, format, ap);
	va_end(ap);
}

/* An error of key, whose line is named if it was given; NULL: of no key. */
static void problem(const char *key, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
problem(const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(key != NULL ? line_of(key) : 0, format, ap);
	va_end(ap);
}

/* ---- the file ------------------------------------------------------------- */

static cfg_opt_t listen_opts[] = {
	CFG_STR("tls", "starttls", CFGF_NONE),
	CFG_END()
};

static cfg_opt_t opts[] = {
	CFG_STR("hostname", NULL, CFGF_NODEFAULT),
	CFG_SEC("listen", listen_opts,
	    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_STR("tls-certificate", NULL, CFGF_NODEFAULT),
	CFG_STR("tls-key", NULL, CFGF_NODEFAULT),
	CFG_STR("tls-ciphers", NULL, CFGF_NODEFAULT),
	CFG_STR("log", "syslog", CFGF_NONE),
	CFG_STR("pid-file", NULL, CFGF_NODEFAULT),
	CFG_STR("user", "_popkeep", CFGF_NONE),
	CFG_STR("users", "system", CFGF_NONE),
	CFG_STR("virtual-uid", NULL, CFGF_NODEFAULT),
	CFG_STR("virtual-gid", NULL, CFGF_NODEFAULT),
	CFG_STR("home", NULL, CFGF_NODEFAULT),
	CFG_STR("users-file", NULL, CFGF_NODEFAULT),
	CFG_STR("maildir", "%h/Maildir", CFGF_NONE),
	CFG_STR("retained", NULL, CFGF_NODEFAULT),
	CFG_BOOL("create-maildir", cfg_false, CFGF_NONE),
	CFG_BOOL("nfs", cfg_false, CFGF_NONE),
	CFG_INT("first-valid-uid", 1000, CFGF_NONE),
	CFG_BOOL("fold-case", cfg_false, CFGF_NONE),
	CFG_STR("detail-separator", "", CFGF_NONE),
	CFG_STR("default-domain", NULL, CFGF_NODEFAULT),
	CFG_STR("apop-through", "pam", CFGF_NONE),
	CFG_STR("secrets", LOCALSTATEDIR "/lib/popkeep/secrets.mdb",
	    CFGF_NONE),
	CFG_STR("secrets-key", SYSCONFDIR "/popkeep/secrets.key", CFGF_NONE),
	CFG_STR("pam-service", "popkeep", CFGF_NONE),
	CFG_STR("pam-apop-service", "popkeep-apop", CFGF_NONE),
	CFG_STR("pam-confdir", NULL, CFGF_NODEFAULT),
	CFG_INT("pam-helpers", 8, CFGF_NONE),
	CFG_INT("pam-queue", 256, CFGF_NONE),
	CFG_INT("pam-timeout", 30, CFGF_NONE),
	CFG_BOOL("pam-session", cfg_false, CFGF_NONE),
	CFG_INT("max-connections", 1000, CFGF_NONE),
	CFG_INT("max-per-address", 20, CFGF_NONE),
	CFG_INT("max-failures", 10, CFGF_NONE),
	CFG_FLOAT("failure-delay", 0.5, CFGF_NONE),
	CFG_FLOAT("failure-delay-max", 10, CFGF_NONE),
	CFG_INT("idle-timeout", 600, CFGF_NONE),
	CFG_INT("login-timeout", 60, CFGF_NONE),
	CFG_INT("takeover", 0, CFGF_NONE),
	CFG_INT("sessions-per-process", 1000, CFGF_NONE),
	CFG_INT("process-idle", 30, CFGF_NONE),
	CFG_STR("policy", PK_POLICY_FILE, CFGF_NONE),
	CFG_STR("policy-socket", PK_POLICY_SOCKET, CFGF_NONE),
	CFG_STR("policy-user", PK_POLICY_USER, CFGF_NONE),
	CFG_STR("policy-group", NULL, CFGF_NODEFAULT),
	CFG_STR("login-user", NULL, CFGF_NODEFAULT),
	CFG_STR("policy-state", PK_POLICY_STATE_DIR, CFGF_NONE),
	CFG_STR("audit-log", PK_AUDIT_FILE, CFGF_NONE),
	CFG_STR("audit-anchor", NULL, CFGF_NONE),
	CFG_INT("group-refresh", 300, CFGF_NONE),
	CFG_INT("audit-rotate", PK_AUDIT_ROTATE_OCTETS, CFGF_NONE),
	CFG_STR("audit-keep", "never", CFGF_NONE),
	CFG_INT("audit-seal", PK_AUDIT_SEAL_SECONDS, CFGF_NONE),
	CFG_STR("metrics", NULL, CFGF_NODEFAULT),
	CFG_STR("metrics-socket", NULL, CFGF_NODEFAULT),
	CFG_END()
};

/* Called for each value that is read, and for each section. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	remember(opt->name, cfg->line);
	pk_setting_check(cfg, opt);
	return 0;
}

static void
set_checks(cfg_t *cfg)
{
	size_t i;

	for (i = 0; opts[i].name != NULL; i++)
		cfg_set_validate_func(cfg, opts[i].name, on_value);
	cfg_set_validate_func(cfg, "listen|tls", on_value);
}

/* ---- from libConfuse's tree to ours --------------------------------------- */

static char *
copy(const char *text)
{
	char *s;

	if (text == NULL)
		return NULL;
	s = strdup(text);
	if (s == NULL)
		problem(NULL, "out of memory");
	return s;
}

static int
word_of(cfg_t *cfg, const char *key)
{
	const struct pk_word *w = pk_setting_word(key, cfg_getstr(cfg, key));

	return w != NULL ? w->value : 0;
}

/* The lock-free part: plain copies. */
static void
take_values(cfg_t *cfg, struct pk_settings *s)
{
	const struct { const char *key; char **to; } strings[] = {
		{ "hostname", &s->hostname },
		{ "tls-certificate", &s->tls_certificate },
		{ "tls-key", &s->tls_key },
		{ "tls-ciphers", &s->tls_ciphers },
		{ "log", &s->log },
		{ "pid-file", &s->pid_file },
		{ "user", &s->net_user },
		{ "home", &s->home },
		{ "users-file", &s->users_file },
		{ "maildir", &s->maildir },
		{ "retained", &s->retained },
		{ "secrets", &s->secrets },
		{ "secrets-key", &s->secrets_key },
		{ "pam-service", &s->pam_service },
		{ "pam-apop-service", &s->pam_apop_service },
		{ "pam-confdir", &s->pam_confdir },
		{ "policy", &s->policy },
		{ "policy-socket", &s->policy_socket },
		{ "policy-user", &s->policy_user },
		{ "policy-group", &s->policy_group },
		{ "policy-state", &s->policy_state },
		{ "audit-log", &s->audit_log },
		{ "audit-anchor", &s->audit_anchor },
		{ "metrics", &s->metrics },
		{ "metrics-socket", &s->metrics_socket },
	};
	const struct { const char *key; unsigned *to; } numbers[] = {
		{ "pam-helpers", &s->pam_helpers },
		{ "pam-queue", &s->pam_queue },
		{ "pam-timeout", &s->pam_timeout },
		{ "max-connections", &s->max_connections },
		{ "max-per-address", &s->max_per_address },
		{ "max-failures", &s->max_failures },
		{ "idle-timeout", &s->idle_timeout },
		{ "login-timeout", &s->login_timeout },
		{ "takeover", &s->takeover },
		{ "sessions-per-process", &s->sessions_per_process },
		{ "process-idle", &s->process_idle },
		{ "first-valid-uid", &s->first_valid_uid },
		{ "group-refresh", &s->group_refresh },
		{ "audit-seal", &s->audit_seal },
	};
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		*strings[i].to = copy(cfg_getstr(cfg, strings[i].key));
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i].to = (unsigned)cfg_getint(cfg, numbers[i].key);
	s->audit_rotate = (uint64_t)cfg_getint(cfg, "audit-rotate");
	(void)pk_audit_keep_parse(cfg_getstr(cfg, "audit-keep"),
	    &s->audit_keep);
	s->create_maildir = cfg_getbool(cfg, "create-maildir");
	s->nfs = cfg_getbool(cfg, "nfs");
	s->pam_session = cfg_getbool(cfg, "pam-session");
	s->failure_delay = cfg_getfloat(cfg, "failure-delay");
	s->failure_delay_max = cfg_getfloat(cfg, "failure-delay-max");
	s->users = (enum pk_users)word_of(cfg, "users");
	s->apop_through = (enum pk_apop_through)word_of(cfg, "apop-through");
	s->names.fold = cfg_getbool(cfg, "fold-case");
	s->names.detail = cfg_getstr(cfg, "detail-separator")[0];
	s->names.default_domain = copy(cfg_getstr(cfg, "default-domain"));
}

static void
take_listens(cfg_t *cfg, struct pk_settings *s)
{
	unsigned i, n = cfg_size(cfg, "listen");

	if (n == 0)
		problem(NULL, "no listen \"address:port\" { } section: there is "
		    "nothing to do");
	s->listen = calloc(n > 0 ? n : 1, sizeof(*s->listen));
	if (s->listen == NULL) {
		problem(NULL, "out of memory");
		return;
	}
	for (i = 0; i < n; i++) {
		cfg_t *sec = cfg_getnsec(cfg, "listen", i);
		struct pk_listen *l = &s->listen[i];

		l->name = copy(cfg_title(sec));
		l->tls = (enum pk_listen_tls)word_of(sec, "tls");
		(void)pk_setting_listen(cfg_title(sec), l);
		s->listens = i + 1;
	}
}

static void
default_hostname(struct pk_settings *s)
{
	char name[256] = "";

	if (s->hostname != NULL)
		return;
	if (gethostname(name, sizeof(name) - 1) != 0 ||
	    !pk_apop_host_is_valid(name))
		problem("hostname", "hostname: the host's own name \"%s\" will not do in "
		    "a POP3 greeting: give one", name);
	else
		s->hostname = copy(name);
}

/* What a template tells of a user. */
enum {
	TELLS_LOCAL = 1,		/* what is before the "@" */
	TELLS_DOMAIN = 2,
	TELLS_HOME = 4,			/* one that is looked up */
};

/* Those of the template's first len octets. */
static unsigned
told_by(const struct pk_settings *s, const char *template, size_t len)
{
	bool looked_up = s->users == PK_USERS_SYSTEM || s->users_file != NULL;
	const char *p, *end = template + len;
	unsigned told = 0;

	for (p = template; p < end; p++) {
		if (p[0] != '%' || ++p == end)
			continue;
		switch (*p) {
		case 'u':
			told |= TELLS_LOCAL | TELLS_DOMAIN;
			break;
		case 'n':
			told |= TELLS_LOCAL;
			break;
		case 'd':
			told |= TELLS_DOMAIN;
			break;
		case 'h':
			if (looked_up)
				told |= TELLS_HOME;
			else if (s->home != NULL && template != s->home)
				told |= told_by(s, s->home, strlen(s->home));
			break;
		}
	}
	return told;
}

char *
pk_settings_template(const struct pk_settings *s, const char *template)
{
	bool looked_up = s->users == PK_USERS_SYSTEM || s->users_file != NULL;
	const char *home = looked_up || s->home == NULL ? "%h" : s->home;
	size_t room = strlen(template) + 1, len = 0;
	const char *p;
	char *out;

	for (p = template; *p != '\0'; p++)
		room += p[0] == '%' && p[1] == 'h' ? strlen(home) : 0;
	out = malloc(room);
	for (p = template; out != NULL && *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 'h') {
			memcpy(out + len, home, strlen(home));
			len += strlen(home);
			p++;
			continue;
		}
		out[len++] = *p;
		if (p[0] == '%' && p[1] != '\0')
			out[len++] = *++p;
	}
	if (out != NULL)
		out[len] = '\0';
	return out;
}

/*
 * Beside the Maildir, and one for each user: where the directory that the Maildir
 * is in is not the user's own, the name has to tell.  No user's name begins with
 * a dot, so that it is nobody's mailbox.
 */
static void
default_retained(struct pk_settings *s)
{
	char *whole, *text = NULL;
	size_t len, dir;
	int n;

	if (s->retained != NULL || s->maildir == NULL ||
	    s->maildir[0] == '\0')
		return;
	whole = pk_settings_template(s, s->maildir);
	len = whole != NULL ? strlen(whole) : 0;
	while (len > 1 && whole[len - 1] == '/')
		len--;
	for (dir = len; dir > 0 && whole[dir - 1] != '/'; dir--)
		;
	if (whole == NULL)
		n = -1;
	else if (told_by(s, whole, dir) == told_by(s, whole, len))
		n = asprintf(&text, "%.*spopkeep-retained", (int)dir, whole);
	else if (dir == 0)		/* "%h/" */
		n = asprintf(&text, "%.*s.popkeep-retained", (int)len, whole);
	else
		n = asprintf(&text, "%.*s.popkeep-retained.%.*s", (int)dir,
		    whole, (int)(len - dir), whole + dir);
	free(whole);
	if (n == -1)
		problem(NULL, "out of memory");
	else
		s->retained = text;
}

/* ---- a Retained place for each ----------------------------------------- */

/* A component of a template: what is before its first and after its last "%". */
struct component {
	const char *text, *first, *last, *end;
	bool fixed;			/* it has none */
};

/* The next one at *at; false: there is none. */
static bool
next_component(const char **at, struct component *c)
{
	const char *p = *at;

	p += strspn(p, "/");
	if (*p == '\0')
		return false;
	c->text = p;
	c->first = NULL;
	for (; *p != '\0' && *p != '/'; p++) {
		if (p[0] != '%' || p[1] == '\0')
			continue;
		if (c->first == NULL)
			c->first = p;
		c->last = ++p + 1;
	}
	c->end = p;
	c->fixed = c->first == NULL;
	if (c->fixed)
		c->first = c->last = p;
	*at = p;
	return true;
}

/* Can both stand for the same name?  When in doubt they can. */
static bool
can_meet(const struct component *a, const struct component *b)
{
	size_t la = (size_t)(a->first - a->text), ra, rb;
	size_t lb = (size_t)(b->first - b->text), l = la < lb ? la : lb, r;

	if (a->fixed && b->fixed)
		return la == lb && memcmp(a->text, b->text, la) == 0;
	/* No user's name, and no part of one, begins with a dot. */
	if ((la == 0 && b->text[0] == '.') || (lb == 0 && a->text[0] == '.'))
		return false;
	ra = a->fixed ? la : (size_t)(a->end - a->last);
	rb = b->fixed ? lb : (size_t)(b->end - b->last);
	r = ra < rb ? ra : rb;
	return memcmp(a->text, b->text, l) == 0 &&
	    memcmp(a->end - r, b->end - r, r) == 0;
}

/*
 * Can a place by one template be one by the other, or in it?  Where a home that
 * is looked up is, one cannot tell.
 */
static bool
templates_meet(const char *one, const char *two)
{
	struct component a, b;

	if ((one[0] == '%') != (two[0] == '%'))
		return false;
	while (next_component(&one, &a) && next_component(&two, &b))
		if (!can_meet(&a, &b))
			return false;
	return true;
}

/* Are the Retained places of two users as different as their Maildirs are? */
static bool
is_for_each(const struct pk_settings *s)
{
	unsigned maildir = told_by(s, s->maildir, strlen(s->maildir));
	unsigned retained = told_by(s, s->retained, strlen(s->retained));
	unsigned user = s->users == PK_USERS_SYSTEM ? TELLS_LOCAL :
	    TELLS_LOCAL | TELLS_DOMAIN;

	return (retained & maildir) == maildir || (retained & user) == user;
}

/* What is retained must not be in anybody's view, nor in another's place. */
static void
check_retained(const struct pk_settings *s)
{
	char *maildir, *retained;

	if (s->retained == NULL || s->maildir == NULL)
		return;
	maildir = pk_settings_template(s, s->maildir);
	retained = pk_settings_template(s, s->retained);
	if (maildir == NULL || retained == NULL)
		problem(NULL, "out of memory");
	else if (templates_meet(maildir, retained))
		problem("retained", "retained = %s: expected a place outside of "
		    "every user's Maildir by maildir = %s, and not around one",
		    s->retained, s->maildir);
	else if (!is_for_each(s))
		problem("retained", "retained = %s: expected %%u in it, or all "
		    "of %%h, %%n and %%d that maildir = %s needs: a place for "
		    "each user", s->retained, s->maildir);
	free(maildir);
	free(retained);
}

/* Checks that need more than one key. */
static void
check_together(cfg_t *cfg, struct pk_settings *s)
{
	size_t i;

	if ((s->tls_certificate == NULL) != (s->tls_key == NULL))
		problem(s->tls_key != NULL ? "tls-key" : "tls-certificate",
		    "tls-certificate and tls-key: expected both or "
		    "neither");
	for (i = 0; i < s->listens; i++)
		if (s->listen[i].tls != PK_LISTEN_CLEAR &&
		    s->tls_certificate == NULL)
			problem("listen", "listen %s { tls = %s }: expected a "
			    "tls-certificate and a tls-key", s->listen[i].name,
			    s->listen[i].tls == PK_LISTEN_IMPLICIT ?
			    "implicit" : "starttls");
	/* The default gives way to a lower maximum. */
	if (line_of("failure-delay") > 0 &&
	    s->failure_delay > s->failure_delay_max)
		problem("failure-delay", "failure-delay = %g: expected no more "
		    "than failure-delay-max = %g", s->failure_delay,
		    s->failure_delay_max);
	check_retained(s);
	if (s->takeover > 0 && (s->sessions_per_process == 1 ||
	    s->pam_session))
		problem("takeover", "takeover = %u: it needs sessions that "
		    "share a process, not sessions-per-process = 1 or "
		    "pam-session = true", s->takeover);
	if (s->pam_session && s->apop_through == PK_APOP_STORE)
		problem("pam-session", "pam-session = true needs apop-through = pam");
	if (s->users != PK_USERS_VIRTUAL) {
		if (s->home != NULL || s->users_file != NULL)
			problem(s->home != NULL ? "home" : "users-file",
			    "home and users-file are for users = virtual");
		return;
	}
	if (s->users_file != NULL)
		return;
	if (s->home == NULL)
		problem("users", "users = virtual: expected home = \"/path/%%d/%%n\" "
		    "or a users-file");
	if (cfg_getstr(cfg, "virtual-uid") == NULL ||
	    cfg_getstr(cfg, "virtual-gid") == NULL)
		problem("users", "users = virtual: expected virtual-uid and "
		    "virtual-gid, or a users-file");
}

static void
take_ids(cfg_t *cfg, struct pk_settings *s)
{
	const char *uid = cfg_getstr(cfg, "virtual-uid");
	const char *gid = cfg_getstr(cfg, "virtual-gid");
	const char *login = cfg_getstr(cfg, "login-user");

	s->has_login_uid = login != NULL &&
	    pk_setting_uid(login, &s->login_uid) == 0;
	s->virtual_uid = (uid_t)-1;
	s->virtual_gid = (gid_t)-1;
	if (uid != NULL)
		(void)pk_setting_uid(uid, &s->virtual_uid);
	if (gid != NULL)
		(void)pk_setting_gid(gid, &s->virtual_gid);
	if (uid != NULL && geteuid() != 0 && s->virtual_uid != geteuid())
		problem("virtual-uid", "virtual-uid = %s: expected %u: popkeepd is not root "
		    "and cannot become anybody else", uid, geteuid());
	else if (uid != NULL && s->virtual_uid < s->first_valid_uid)
		problem("virtual-uid", "virtual-uid = %s: expected a uid of at least "
		    "first-valid-uid = %u", uid, s->first_valid_uid);
}

/*
 * The text of the file as libConfuse is to have it: after a comment it would
 * name wrong lines, and behind one without an end it would ignore the rest.
 */
static char *
read_text(const char *file)
{
	const char *why;
	size_t len;
	char *text = pk_policy_read_file(AT_FDCWD, file, &len, &why);
	int line;

	if (text == NULL) {
		problem(NULL, "%s", why);
		return NULL;
	}
	if (memchr(text, '\0', len) != NULL) {
		problem(NULL, "expected text: there is a NUL octet in it");
		free(text);
		return NULL;
	}
	line = pk_comments_blank(text);
	if (line > 0)
		problem_at(line, "the comment that begins here has no end: "
		    "expected \"*/\"");
	return text;
}

struct pk_settings *
pk_settings_read(const char *file, FILE *to)
{
	struct pk_settings *s = calloc(1, sizeof(*s));
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	char *content = NULL;
	int rc;

	errors.to = to;
	errors.file = file;
	errors.count = 0;
	memset(lines, 0, sizeof(lines));
	if (s == NULL || cfg == NULL) {
		problem(NULL, "out of memory");
		goto done;
	}
	cfg_set_error_function(cfg, on_error);
	set_checks(cfg);
	content = read_text(file);
	if (content == NULL)
		goto done;
	rc = cfg_parse_buf(cfg, content);
	if (rc == CFG_FILE_ERROR)
		problem(NULL, "%s", strerror(errno));
	if (rc != CFG_SUCCESS) {
		errors.count++;
		goto done;
	}
	take_values(cfg, s);
	take_listens(cfg, s);
	take_ids(cfg, s);
	default_hostname(s);
	default_retained(s);
	check_together(cfg, s);
done:
	free(content);
	if (cfg != NULL)
		cfg_free(cfg);
	if (errors.count > 0)
		pk_settings_free(&s);
	return s;
}

void
pk_settings_free(struct pk_settings **sp)
{
	struct pk_settings *s = *sp;
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->listens; i++)
		free(s->listen[i].name);
	free(s->listen);
	free(s->hostname);
	free(s->tls_certificate);
	free(s->tls_key);
	free(s->tls_ciphers);
	free(s->log);
	free(s->pid_file);
	free(s->net_user);
	free(s->home);
	free(s->users_file);
	free(s->maildir);
	free(s->retained);
	free((char *)s->names.default_domain);
	free(s->secrets);
	free(s->secrets_key);
	free(s->pam_service);
	free(s->pam_apop_service);
	free(s->pam_confdir);
	free(s->policy);
	free(s->policy_socket);
	free(s->policy_user);
	free(s->policy_group);
	free(s->policy_state);
	free(s->audit_log);
	free(s->audit_anchor);
	free(s->metrics);
	free(s->metrics_socket);
	free(s);
	*sp = NULL;
}
