/*
 * popkeepd.conf by libConfuse: see settings.h.
 *
 * Syntax errors end the reading; everything else that is wrong is reported
 * together.  Checks that need one value sit in validation callbacks, where
 * libConfuse still knows the line; checks that need several come afterwards.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>

#include "engine/apop.h"
#include "standalone/settings.h"

/* libConfuse hands callbacks no argument of ours. */
static struct {
	FILE *to;
	const char *file;
	unsigned count;
} errors;

static void
complain(const char *file, int line, const char *format, va_list ap)
{
	if (line > 0)
		fprintf(errors.to, "%s:%d: ", file, line);
	else
		fprintf(errors.to, "%s: ", file);
	vfprintf(errors.to, format, ap);
	fputc('\n', errors.to);
	errors.count++;
}

static void
on_error(cfg_t *cfg, const char *format, va_list ap)
{
	const char *file = cfg != NULL && cfg->filename != NULL ?
	    cfg->filename : errors.file;

	complain(file, cfg != NULL ? cfg->line : 0, format, ap);
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

/* An error of key, whose line is named if it was given; NULL: of no key. */
static void problem(const char *key, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
problem(const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(errors.file, key != NULL ? line_of(key) : 0, format, ap);
	va_end(ap);
}

/* ---- words for enumerations ---------------------------------------------- */

struct word {
	const char *key;
	const char *word;
	int value;
};

static const struct word words[] = {
	{ "passwords", "never", PK_ALLOW_NEVER },
	{ "passwords", "tls", PK_ALLOW_TLS },
	{ "passwords", "always", PK_ALLOW_ALWAYS },
	{ "apop", "never", PK_ALLOW_NEVER },
	{ "apop", "tls", PK_ALLOW_TLS },
	{ "apop", "always", PK_ALLOW_ALWAYS },
	{ "apop-through", "pam", PK_APOP_PAM },
	{ "apop-through", "store", PK_APOP_STORE },
	{ "users", "system", PK_USERS_SYSTEM },
	{ "users", "virtual", PK_USERS_VIRTUAL },
	{ "tls", "none", PK_LISTEN_CLEAR },
	{ "tls", "starttls", PK_LISTEN_STARTTLS },
	{ "tls", "implicit", PK_LISTEN_IMPLICIT },
};

static const struct word *
find_word(const char *key, const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].key, key) == 0 &&
		    strcmp(words[i].word, text) == 0)
			return &words[i];
	return NULL;
}

static int
check_word(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	char all[128] = "";
	size_t i, n = 0;

	if (find_word(opt->name, text) != NULL)
		return 0;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].key, opt->name) == 0)
			n += (size_t)snprintf(all + n, sizeof(all) - n,
			    "%s%s", n > 0 ? ", " : "", words[i].word);
	cfg_error(cfg, "%s = %s: expected one of %s", opt->name, text, all);
	return 0;
}

/* ---- checks of one value -------------------------------------------------- */

static int
number_of(const char *text, unsigned long *value_r)
{
	char *end;

	errno = 0;
	*value_r = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
	    errno == 0 && *value_r < UINT_MAX ? 0 : -1;
}

/* The limits of whole numbers. */
static const struct {
	const char *key;
	long min, max;
} ranges[] = {
	{ "pam-helpers", 1, 1000 },
	{ "pam-queue", 1, 100000 },
	{ "pam-timeout", 1, 3600 },
	{ "max-connections", 1, 1000000 },
	{ "max-per-address", 1, 1000000 },
	{ "max-failures", 1, 1000 },
	{ "idle-timeout", 1, 86400 },
	{ "login-timeout", 1, 3600 },
	{ "takeover", 0, 86400 },
	{ "sessions-per-process", 1, 100000 },
	{ "process-idle", 0, 86400 },
	{ "first-valid-uid", 1, UINT_MAX - 1 },
};

static int
check_range(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		long value;

		if (strcmp(ranges[i].key, opt->name) != 0)
			continue;
		value = cfg_opt_getnint(opt, 0);
		if (value < ranges[i].min || value > ranges[i].max)
			cfg_error(cfg, "%s = %ld: expected %ld to %ld",
			    opt->name, value, ranges[i].min, ranges[i].max);
	}
	return 0;
}

static int
check_seconds(cfg_t *cfg, cfg_opt_t *opt)
{
	double value = cfg_opt_getnfloat(opt, 0);

	if (!(value >= 0 && value <= 60))
		cfg_error(cfg, "%s = %g: expected 0 to 60 seconds", opt->name,
		    value);
	return 0;
}

static int
check_path(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);

	if (path[0] != '/')
		cfg_error(cfg, "%s = %s: expected an absolute path",
		    opt->name, path);
	return 0;
}

static int
check_readable(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);

	if (path[0] != '/')
		return check_path(cfg, opt);
	if (access(path, R_OK) != 0)
		cfg_error(cfg, "%s = %s: %s", opt->name, path,
		    strerror(errno));
	return 0;
}

static int
check_log(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (text[0] != '/' && strcmp(text, "stderr") != 0 &&
	    strcmp(text, "syslog") != 0)
		cfg_error(cfg, "log = %s: expected stderr, syslog or an "
		    "absolute path", text);
	return 0;
}

static int
check_hostname(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);

	if (!pk_apop_host_is_valid(name))
		cfg_error(cfg, "hostname = %s: expected 1 to %d letters, "
		    "digits, \".\", \"-\" and \"_\"", name, PK_APOP_HOST_MAX);
	return 0;
}

/* A location template: absolute, or below %h, and only letters we know. */
static int
check_template(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0), *p;
	const char *known = strcmp(opt->name, "home") == 0 ? "und%" : "undh%";

	if (text[0] != '/' && (strchr(known, 'h') == NULL ||
	    strncmp(text, "%h/", 3) != 0))
		cfg_error(cfg, "%s = %s: expected an absolute path%s",
		    opt->name, text,
		    strchr(known, 'h') != NULL ? " or one below %h" : "");
	for (p = text; (p = strchr(p, '%')) != NULL; p += 2)
		if (p[1] == '\0' || strchr(known, p[1]) == NULL) {
			cfg_error(cfg, "%s = %s: after %% expected one of "
			    "the letters %s", opt->name, text, known);
			break;
		}
	return 0;
}

static int
check_separator(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (strlen(text) > 1 || (text[0] != '\0' &&
	    strchr("+-_=#", text[0]) == NULL))
		cfg_error(cfg, "%s = %s: expected one of + - _ = #, or "
		    "nothing", opt->name, text);
	return 0;
}

static int
find_uid(const char *text, uid_t *uid_r)
{
	unsigned long value;
	struct passwd *pw;

	if (number_of(text, &value) == 0)
		*uid_r = (uid_t)value;
	else if ((pw = getpwnam(text)) != NULL)
		*uid_r = pw->pw_uid;
	else
		return -1;
	return 0;
}

static int
find_gid(const char *text, gid_t *gid_r)
{
	unsigned long value;
	struct group *gr;

	if (number_of(text, &value) == 0)
		*gid_r = (gid_t)value;
	else if ((gr = getgrnam(text)) != NULL)
		*gid_r = gr->gr_gid;
	else
		return -1;
	return 0;
}

static int
check_uid(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	uid_t uid;

	if (find_uid(text, &uid) != 0)
		cfg_error(cfg, "%s = %s: there is no such user", opt->name,
		    text);
	return 0;
}

static int
check_net_user(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	struct passwd *pw = getpwnam(text);

	if (pw == NULL || pw->pw_uid == 0)
		cfg_error(cfg, "user = %s: expected an existing user that is "
		    "not root", text);
	return 0;
}

static int
check_gid(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	gid_t gid;

	if (find_gid(text, &gid) != 0)
		cfg_error(cfg, "%s = %s: there is no such group", opt->name,
		    text);
	return 0;
}

/* ---- listen "address:port" ------------------------------------------------ */

/* Numeric addresses only: a name server must not be needed to start. */
static const char *
parse_listen(const char *text, struct pk_listen *l)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV |
	    AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *ai;
	const char *colon = strrchr(text, ':');
	unsigned long port;
	char host[64];
	size_t len;

	if (colon == NULL)
		return "expected address:port";
	/* getaddrinfo(3) takes a larger number modulo 65536. */
	if (number_of(colon + 1, &port) != 0 || port == 0 || port > 65535)
		return "expected a port, 1 to 65535";
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len) != NULL) {
		return "expected an IPv6 address in brackets";
	}
	if (len >= sizeof(host))
		return "expected a numeric address";
	memcpy(host, text, len);
	host[len] = '\0';
	if (getaddrinfo(len == 0 || strcmp(host, "*") == 0 ? NULL : host,
	    colon + 1, &hints, &ai) != 0)
		return "expected a numeric address and a port, as in "
		    "127.0.0.1:110 or [::]:995";
	memcpy(&l->addr, ai->ai_addr, ai->ai_addrlen);
	l->addr_len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return NULL;
}

static int
check_listen(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct pk_listen l;
	const char *why = parse_listen(cfg_title(sec), &l);

	if (why != NULL)
		cfg_error(cfg, "listen %s: %s", cfg_title(sec), why);
	return 0;
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
	CFG_BOOL("create-maildir", cfg_false, CFGF_NONE),
	CFG_BOOL("nfs", cfg_false, CFGF_NONE),
	CFG_INT("first-valid-uid", 1000, CFGF_NONE),
	CFG_BOOL("fold-case", cfg_false, CFGF_NONE),
	CFG_STR("detail-separator", "", CFGF_NONE),
	CFG_STR("default-domain", NULL, CFGF_NODEFAULT),
	CFG_STR("passwords", "tls", CFGF_NONE),
	CFG_STR("apop", "never", CFGF_NONE),
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
	CFG_END()
};

/* Which check belongs to which key. */
static const struct {
	const char *key;
	cfg_validate_callback_t check;
} checks[] = {
	{ "hostname", check_hostname },
	{ "tls", check_word },
	{ "listen", check_listen },
	{ "tls-certificate", check_readable },
	{ "tls-key", check_readable },
	{ "log", check_log },
	{ "pid-file", check_path },
	{ "user", check_net_user },
	{ "users", check_word },
	{ "virtual-uid", check_uid },
	{ "virtual-gid", check_gid },
	{ "home", check_template },
	{ "users-file", check_readable },
	{ "maildir", check_template },
	{ "detail-separator", check_separator },
	{ "passwords", check_word },
	{ "apop", check_word },
	{ "apop-through", check_word },
	{ "secrets", check_path },
	{ "secrets-key", check_path },
	{ "pam-confdir", check_readable },
	{ "failure-delay", check_seconds },
	{ "failure-delay-max", check_seconds },
};

/* Called for each value that is read, and for each section. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t i;

	remember(opt->name, cfg->line);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(checks[i].key, opt->name) == 0)
			return checks[i].check(cfg, opt);
	return check_range(cfg, opt);
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
	const struct word *w = find_word(key, cfg_getstr(cfg, key));

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
		{ "secrets", &s->secrets },
		{ "secrets-key", &s->secrets_key },
		{ "pam-service", &s->pam_service },
		{ "pam-apop-service", &s->pam_apop_service },
		{ "pam-confdir", &s->pam_confdir },
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
	};
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		*strings[i].to = copy(cfg_getstr(cfg, strings[i].key));
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i].to = (unsigned)cfg_getint(cfg, numbers[i].key);
	s->create_maildir = cfg_getbool(cfg, "create-maildir");
	s->nfs = cfg_getbool(cfg, "nfs");
	s->pam_session = cfg_getbool(cfg, "pam-session");
	s->failure_delay = cfg_getfloat(cfg, "failure-delay");
	s->failure_delay_max = cfg_getfloat(cfg, "failure-delay-max");
	s->users = (enum pk_users)word_of(cfg, "users");
	s->passwords = (enum pk_allow)word_of(cfg, "passwords");
	s->apop = (enum pk_allow)word_of(cfg, "apop");
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
		(void)parse_listen(cfg_title(sec), l);
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
	if (s->passwords == PK_ALLOW_NEVER && s->apop == PK_ALLOW_NEVER)
		problem("passwords", "passwords = never and apop = never: nobody could log "
		    "in");
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

	s->virtual_uid = (uid_t)-1;
	s->virtual_gid = (gid_t)-1;
	if (uid != NULL)
		(void)find_uid(uid, &s->virtual_uid);
	if (gid != NULL)
		(void)find_gid(gid, &s->virtual_gid);
	if (uid != NULL && geteuid() != 0 && s->virtual_uid != geteuid())
		problem("virtual-uid", "virtual-uid = %s: expected %u: popkeepd is not root "
		    "and cannot become anybody else", uid, geteuid());
	else if (uid != NULL && s->virtual_uid < s->first_valid_uid)
		problem("virtual-uid", "virtual-uid = %s: expected a uid of at least "
		    "first-valid-uid = %u", uid, s->first_valid_uid);
}

struct pk_settings *
pk_settings_read(const char *file, FILE *to)
{
	struct pk_settings *s = calloc(1, sizeof(*s));
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
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
	rc = cfg_parse(cfg, file);
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
	check_together(cfg, s);
done:
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
	free((char *)s->names.default_domain);
	free(s->secrets);
	free(s->secrets_key);
	free(s->pam_service);
	free(s->pam_apop_service);
	free(s->pam_confdir);
	free(s);
	*sp = NULL;
}
