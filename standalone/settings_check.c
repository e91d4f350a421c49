/*
 * Checks of single values of popkeepd.conf, made while libConfuse still knows the
 * line: see settings_private.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/apop.h"
#include "standalone/audit_prune.h"
#include "standalone/settings_private.h"

/* ---- words for enumerations ---------------------------------------------- */

static const struct pk_word words[] = {
	{ "apop-through", "pam", PK_APOP_PAM },
	{ "apop-through", "store", PK_APOP_STORE },
	{ "users", "system", PK_USERS_SYSTEM },
	{ "users", "virtual", PK_USERS_VIRTUAL },
	{ "tls", "none", PK_LISTEN_CLEAR },
	{ "tls", "starttls", PK_LISTEN_STARTTLS },
	{ "tls", "implicit", PK_LISTEN_IMPLICIT },
};

const struct pk_word *
pk_setting_word(const char *key, const char *text)
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

	if (pk_setting_word(opt->name, text) != NULL)
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
	{ "group-refresh", 1, 86400 },
	{ "audit-seal", 1, 86400 },
	{ "audit-rotate", 0, LONG_MAX },
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
check_file(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);
	size_t len = strlen(path);

	if (path[0] != '/' || path[len - 1] == '/')
		cfg_error(cfg, "%s = %s: expected the absolute path of a file",
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
check_command(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);

	if (path[0] != '/')
		return check_path(cfg, opt);
	if (access(path, X_OK) != 0)
		cfg_error(cfg, "%s = %s: %s: expected a program", opt->name,
		    path, strerror(errno));
	return 0;
}

static int
check_directory(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);
	struct stat st;

	if (path[0] != '/' || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		cfg_error(cfg, "%s = %s: expected the absolute path of a "
		    "directory", opt->name, path);
	return 0;
}

/* A name below the directories of PAM, never a path. */
static int
check_service(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);

	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
		cfg_error(cfg, "%s = %s: expected the name of a PAM service",
		    opt->name, name);
	return 0;
}

static int
check_domain(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct pk_username_rules rules = { .fold = false };
	const char *domain = cfg_opt_getnstr(opt, 0);
	char name[PK_USERNAME_SIZE], out[PK_USERNAME_SIZE];
	int len = snprintf(name, sizeof(name), "x@%s", domain);
	struct pk_span span = { (const uint8_t *)name, (size_t)len };

	if (len < 0 || (size_t)len >= sizeof(name) ||
	    pk_username_canonical(&rules, span, out) != PK_OK)
		cfg_error(cfg, "%s = %s: expected what may stand after the "
		    "\"@\" of a user", opt->name, domain);
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

int
pk_setting_uid(const char *text, uid_t *uid_r)
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

int
pk_setting_gid(const char *text, gid_t *gid_r)
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

	if (pk_setting_uid(text, &uid) != 0)
		cfg_error(cfg, "%s = %s: there is no such user", opt->name,
		    text);
	return 0;
}

/* For the processes of popkeepd itself, or of Dovecot. */
static int
check_own_user(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	struct passwd *pw = getpwnam(text);

	if (pw == NULL || pw->pw_uid == 0)
		cfg_error(cfg, "%s = %s: expected an existing user that is "
		    "not root", opt->name, text);
	return 0;
}

static int
check_group(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (text[0] != '\0' && getgrnam(text) == NULL)
		cfg_error(cfg, "%s = %s: there is no such group", opt->name,
		    text);
	return 0;
}

static int
check_keep(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	int64_t seconds;

	if (!pk_audit_keep_parse(text, &seconds))
		cfg_error(cfg, "%s = %s: " PK_AUDIT_KEEP_EXPECTED, opt->name,
		    text);
	return 0;
}

static int
check_socket(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);

	if (path[0] != '\0' && (path[0] != '/' ||
	    strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)))
		cfg_error(cfg, "%s = %s: expected an absolute path of fewer "
		    "than %zu octets", opt->name, path,
		    sizeof(((struct sockaddr_un *)0)->sun_path));
	return 0;
}

/* Not "": without the key there is none. */
static int
check_metrics_socket(cfg_t *cfg, cfg_opt_t *opt)
{
	return cfg_opt_getnstr(opt, 0)[0] == '\0' ? check_path(cfg, opt) :
	    check_socket(cfg, opt);
}

static int
check_gid(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	gid_t gid;

	if (pk_setting_gid(text, &gid) != 0)
		cfg_error(cfg, "%s = %s: there is no such group", opt->name,
		    text);
	else if (gid == 0)
		cfg_error(cfg, "%s = %s: expected a group that is not root's",
		    opt->name, text);
	return 0;
}

/* ---- listen "address:port" ------------------------------------------------ */

/* Numeric addresses only: a name server must not be needed to start. */
const char *
pk_setting_listen(const char *text, struct pk_listen *l)
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
	const char *why = pk_setting_listen(cfg_title(sec), &l);

	if (why != NULL)
		cfg_error(cfg, "listen %s: %s", cfg_title(sec), why);
	return 0;
}

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
	{ "user", check_own_user },
	{ "users", check_word },
	{ "virtual-uid", check_uid },
	{ "virtual-gid", check_gid },
	{ "home", check_template },
	{ "users-file", check_readable },
	{ "audit-keep", check_keep },
	{ "maildir", check_template },
	{ "retained", check_template },
	{ "policy", check_path },
	{ "policy-socket", check_socket },
	{ "policy-user", check_own_user },
	{ "policy-group", check_group },
	{ "login-user", check_own_user },
	{ "policy-state", check_path },
	{ "audit-log", check_path },
	{ "audit-anchor", check_command },
	{ "metrics", check_file },
	{ "metrics-socket", check_metrics_socket },
	{ "detail-separator", check_separator },
	{ "apop-through", check_word },
	{ "secrets", check_path },
	{ "secrets-key", check_path },
	{ "pam-confdir", check_directory },
	{ "pam-service", check_service },
	{ "pam-apop-service", check_service },
	{ "default-domain", check_domain },
	{ "failure-delay", check_seconds },
	{ "failure-delay-max", check_seconds },
};

void
pk_setting_check(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(checks[i].key, opt->name) == 0) {
			(void)checks[i].check(cfg, opt);
			return;
		}
	(void)check_range(cfg, opt);
}
