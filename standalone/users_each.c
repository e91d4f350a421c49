/*
 * All users, for sweeps: see users.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/users_private.h"

struct walk {
	const struct pk_users_source *source;
	pk_users_seen *seen;
	void *arg;
	FILE *errors;
	bool has_u, has_n, has_d;	/* what the template tells */
	bool failed;
	bool stop;
};

/* The values of a template's variables, as far as they are known. */
struct values {
	char u[PK_USERNAME_SIZE], n[PK_USERNAME_SIZE], d[PK_USERNAME_SIZE];
};

size_t
pk_users_count(const struct pk_users_source *src)
{
	return src->count;
}

void
pk_users_each_rule(const struct pk_users_source *src, pk_users_named *named,
    void *arg)
{
	size_t i;

	for (i = 0; i < src->count; i++)
		if (src->entries[i].rule[0] != '\0')
			named(arg, src->entries[i].user, src->entries[i].rule,
			    src->entries[i].line);
}

static void
walk_failed(struct walk *w, const char *what, const char *name)
{
	fprintf(w->errors, "%s%s: %s\n", what, name, strerror(errno));
	w->failed = true;
}

/* A user is known by name; needs_maildir: and is one only with a Maildir. */
static void
tell(struct walk *w, const char *user, bool needs_maildir)
{
	struct pk_account account;
	enum pk_users_found found;
	struct stat st;

	found = pk_users_find(w->source, user, &account);
	if (found == PK_USERS_FAILED || found == PK_USERS_TOO_LONG) {
		fprintf(w->errors, "user %s: %s\n", user,
		    pk_users_found_name(found));
		w->failed = true;
	}
	if (found != PK_USERS_FOUND)
		return;
	/* What root may not look at (NFS) the user's own process will. */
	if (needs_maildir && (stat(account.maildir, &st) != 0 ?
	    errno != EACCES : !S_ISDIR(st.st_mode)))
		return;
	if (needs_maildir && lstat(account.maildir, &st) == 0 &&
	    S_ISLNK(st.st_mode)) {
		fprintf(w->errors, "user %s: the Maildir is a symbolic link: "
		    "whose it is, is not certain\n", user);
		w->failed = true;
		return;
	}
	w->stop = !w->seen(w->arg, &account);
}

static bool
canonical(const struct walk *w, const char *name, char out[PK_USERNAME_SIZE])
{
	struct pk_span span = { (const uint8_t *)name, strlen(name) };

	return pk_username_canonical(&w->source->settings->names, span,
	    out) == PK_OK;
}

/* ---- the users file, and the system ------------------------------------ */

/* Mailboxes as they are found, and where they are on the disk. */
struct mailbox {
	char *user;
	dev_t dev;
	ino_t ino;			/* 0: not there, or not to be seen */
	struct mailbox *twin;		/* that is the same Maildir */
};

struct mailboxes {
	struct mailbox *box;
	size_t count, room;
};

/*
 * needs_maildir: the user has a mailbox only if it is there.  What root may not
 * look at (NFS) the user's own process will.  false: out of memory.
 */
static bool
add_mailbox(struct mailboxes *m, const char *user, const char *maildir,
    bool needs_maildir)
{
	struct mailbox *grown;
	struct stat st;
	bool there = stat(maildir, &st) == 0 && S_ISDIR(st.st_mode);

	if (!there && needs_maildir && errno != EACCES)
		return true;
	if (m->count == m->room) {
		m->room = m->room > 0 ? 2 * m->room : 64;
		grown = reallocarray(m->box, m->room, sizeof(*grown));
		if (grown == NULL)
			return false;
		m->box = grown;
	}
	m->box[m->count].user = strdup(user);
	m->box[m->count].dev = there ? st.st_dev : 0;
	m->box[m->count].ino = there ? st.st_ino : 0;
	m->box[m->count].twin = NULL;
	return m->box[m->count++].user != NULL;
}

static int
by_inode(const void *a, const void *b)
{
	const struct mailbox *const *one = a, *const *two = b;

	if ((*one)->dev != (*two)->dev)
		return (*one)->dev < (*two)->dev ? -1 : 1;
	return ((*one)->ino > (*two)->ino) - ((*one)->ino < (*two)->ino);
}

/* Which of them are the same?  false: out of memory. */
static bool
find_twins(struct mailboxes *m)
{
	struct mailbox **sorted = calloc(m->count + 1, sizeof(*sorted));
	size_t i;

	if (sorted == NULL)
		return false;
	for (i = 0; i < m->count; i++)
		sorted[i] = &m->box[i];
	qsort(sorted, m->count, sizeof(*sorted), by_inode);
	for (i = 1; i < m->count; i++)
		if (sorted[i]->ino != 0 &&
		    by_inode(&sorted[i - 1], &sorted[i]) == 0) {
			sorted[i]->twin = sorted[i - 1];
			if (sorted[i - 1]->twin == NULL)
				sorted[i - 1]->twin = sorted[i];
		}
	free(sorted);
	return true;
}

/* Those that are somebody's for certain. */
static void
tell_mailboxes(struct walk *w, const struct mailboxes *m)
{
	size_t i;

	for (i = 0; i < m->count && !w->stop; i++) {
		const struct mailbox *b = &m->box[i];

		if (b->twin == NULL) {
			tell(w, b->user, false);
			continue;
		}
		fprintf(w->errors, "user %s: the Maildir is that of user %s, "
		    "too: whose it is, is not certain\n", b->user,
		    b->twin->user);
		w->failed = true;
	}
}

static bool
add_entries(struct walk *w, struct mailboxes *m)
{
	const struct pk_users_source *src = w->source;
	char maildir[PK_PATH_SIZE];
	size_t i;

	for (i = 0; i < src->count; i++) {
		const struct pk_users_entry *e = &src->entries[i];

		/* tell() says what is wrong with it. */
		if (!pk_users_expand(src->settings->maildir, e->user, e->home,
		    maildir))
			maildir[0] = '\0';
		if (!add_mailbox(m, e->user, maildir, false))
			return false;
	}
	return true;
}

static bool
add_system(struct walk *w, struct mailboxes *m)
{
	const struct pk_settings *s = w->source->settings;
	char user[PK_USERNAME_SIZE], maildir[PK_PATH_SIZE];
	struct passwd *pw;
	bool ok = true;

	setpwent();
	while (ok && (errno = 0, pw = getpwent()) != NULL)
		/* Under another name than its own nobody can log in. */
		if (pk_users_uid_is_valid(s, pw->pw_uid) &&
		    canonical(w, pw->pw_name, user) &&
		    strcmp(user, pw->pw_name) == 0 &&
		    pk_users_expand(s->maildir, user, pw->pw_dir, maildir))
			ok = add_mailbox(m, user, maildir, true);
	if (ok && errno != 0 && errno != ENOENT)
		walk_failed(w, "user database", "");
	endpwent();
	return ok;
}

static void
each_known(struct walk *w)
{
	struct mailboxes m = { .box = NULL };
	bool system = w->source->settings->users == PK_USERS_SYSTEM;
	size_t i;

	if ((system ? add_system(w, &m) : add_entries(w, &m)) &&
	    find_twins(&m))
		tell_mailboxes(w, &m);
	else
		walk_failed(w, "users", "");
	for (i = 0; i < m.count; i++)
		free(m.box[i].user);
	free(m.box);
}

/* ---- templates --------------------------------------------------------- */

/* The variable at p, or 0. */
static char
variable_at(const char *p)
{
	return p[0] == '%' && p[1] != '\0' && strchr("und", p[1]) != NULL ?
	    p[1] : '\0';
}

static bool
has_variable(const char *template)
{
	for (; *template != '\0'; template++) {
		if (variable_at(template) != '\0')
			return true;
		template += template[0] == '%' && template[1] != '\0';
	}
	return false;
}

static char *
value_of(struct values *v, char variable)
{
	return variable == 'u' ? v->u : variable == 'n' ? v->n : v->d;
}

/* Can these octets be what the variable stands for?  canonical() will tell. */
static bool
may_be(char variable, const char *value, size_t len)
{
	return len > 0 && len <= PK_USERNAME_MAX &&
	    (variable == 'u' || memchr(value, '@', len) == NULL);
}

/* The way in which a name was read, and in how many it can be (2: or more). */
struct reading {
	struct values values;
	unsigned ways;
};

static void read_name(const char *template, const char *name,
    const struct values *v, struct reading *r);

/* name begins with the variable's value, whose end must be found. */
static void
read_variable(char variable, const char *rest, const char *name,
    const struct values *v, struct reading *r)
{
	struct values more = *v;
	char *value = value_of(&more, variable);
	size_t len = strlen(value), most = strlen(name);

	if (len > 0) {
		/* Known from what was before. */
		if (strncmp(name, value, len) == 0)
			read_name(rest, name + len, v, r);
		return;
	}
	for (len = 1; len <= most && r->ways < 2; len++) {
		if (!may_be(variable, name, len))
			continue;
		memcpy(value, name, len);
		value[len] = '\0';
		read_name(rest, name + len, &more, r);
	}
}

/* Read name as the component at template, in every way. */
static void
read_name(const char *template, const char *name, const struct values *v,
    struct reading *r)
{
	for (; *template != '\0' && *template != '/'; template++, name++) {
		char variable = variable_at(template);

		if (variable != '\0') {
			read_variable(variable, template + 2, name, v, r);
			return;
		}
		template += template[0] == '%' && template[1] == '%';
		if (*template != *name)
			return;
	}
	if (*name == '\0' && r->ways++ == 0)
		r->values = *v;
}

/* Behind the component at template. */
static const char *
after_component(const char *template)
{
	return strchrnul(template, '/');
}

/*
 * The user of these values, if it is one whose canonical name is that: else its
 * mail would be elsewhere.  A template without domain leaves that to
 * default-domain.
 */
static void
tell_values(struct walk *w, const struct values *v)
{
	char name[2 * PK_USERNAME_SIZE], user[PK_USERNAME_SIZE];
	size_t len;

	if (w->has_u)
		(void)snprintf(name, sizeof(name), "%s", v->u);
	else
		(void)snprintf(name, sizeof(name), "%s%s%s", v->n,
		    w->has_d ? "@" : "", v->d);
	len = strlen(name);
	if (!canonical(w, name, user) || strncmp(user, name, len) != 0)
		return;
	if (user[len] == '\0' ||
	    (user[len] == '@' && !w->has_u && !w->has_d))
		tell(w, user, true);
}

static void walk_template(struct walk *w, int dirfd, const char *template,
    const struct values *v);

static void
refuse_name(struct walk *w, const char *template, const char *name,
    const char *why)
{
	fprintf(w->errors, "\"%s\", where the template says %.*s: %s\n", name,
	    (int)(after_component(template) - template), template, why);
	w->failed = true;
}

/* The directory name, which the component at template stands for. */
static void
walk_name(struct walk *w, int dirfd, const char *template, const char *name,
    const struct values *v)
{
	const char *rest = after_component(template);
	struct stat st;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			walk_failed(w, "", name);
		return;
	}
	/* Of two names of one mailbox neither is the right one. */
	if (S_ISLNK(st.st_mode) && fstatat(dirfd, name, &st, 0) == 0 &&
	    S_ISDIR(st.st_mode)) {
		refuse_name(w, template, name, "it is a symbolic link: whose "
		    "mailboxes are behind it is not certain");
		return;
	}
	if (!S_ISDIR(st.st_mode))
		return;
	if (!has_variable(rest)) {
		tell_values(w, v);
		return;
	}
	fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd == -1) {
		/* Gone, or something else, since the look at it. */
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			walk_failed(w, "", name);
		return;
	}
	walk_template(w, fd, rest, v);
	close(fd);
}

/* One component with variables: every name that fits it. */
static void
walk_names(struct walk *w, int dirfd, const char *template,
    const struct values *v)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (d == NULL) {
		walk_failed(w, "a directory of the template at ", template);
		if (fd != -1)
			close(fd);
		return;
	}
	while (!w->stop && (errno = 0, entry = readdir(d)) != NULL) {
		struct reading r = { .ways = 0 };

		if (entry->d_name[0] == '.')
			continue;
		read_name(template, entry->d_name, v, &r);
		if (r.ways == 1)
			walk_name(w, dirfd, template, entry->d_name,
			    &r.values);
		else if (r.ways > 1)
			refuse_name(w, template, entry->d_name, "it can be "
			    "read in two ways: whose mailbox it is, is not "
			    "certain");
	}
	if (!w->stop && errno != 0)
		walk_failed(w, "a directory of the template at ", template);
	closedir(d);
}

/*
 * The component at template, as it is; *rest_r: what follows it.  false: it has
 * variables, or is longer than a name can be.
 */
static bool
plain_name(const char *template, char name[PK_PATH_SIZE],
    const char **rest_r)
{
	size_t len = 0;

	for (; *template != '\0' && *template != '/'; template++) {
		if (variable_at(template) != '\0' || len == PK_PATH_SIZE - 1)
			return false;
		template += template[0] == '%' && template[1] == '%';
		name[len++] = *template;
	}
	name[len] = '\0';
	*rest_r = template;
	return true;
}

/* From the directory dirfd on; template is what follows, "/" and all. */
static void
walk_template(struct walk *w, int dirfd, const char *template,
    const struct values *v)
{
	char name[PK_PATH_SIZE];
	const char *rest;
	int fd;

	while (*template == '/')
		template++;
	if (!plain_name(template, name, &rest)) {
		walk_names(w, dirfd, template, v);
		return;
	}
	fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		/* Nobody had mail yet. */
		if (errno != ENOENT)
			walk_failed(w, "", name);
		return;
	}
	walk_template(w, fd, rest, v);
	close(fd);
}

static void
note_variables(struct walk *w, const char *template)
{
	for (; *template != '\0'; template++) {
		char variable = variable_at(template);

		w->has_u = w->has_u || variable == 'u';
		w->has_n = w->has_n || variable == 'n';
		w->has_d = w->has_d || variable == 'd';
		template += template[0] == '%' && template[1] != '\0';
	}
}

static void
each_directory(struct walk *w)
{
	const struct pk_settings *s = w->source->settings;
	char *template = pk_settings_template(s, s->maildir);
	struct values none;
	int fd;

	if (template == NULL) {
		walk_failed(w, "template", "");
		return;
	}
	memset(&none, 0, sizeof(none));
	note_variables(w, template);
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!w->has_u && !w->has_n) {
		fprintf(w->errors, "maildir = %s: without %%u and %%n it does "
		    "not tell who the users are: name them\n", template);
		w->failed = true;
	} else if (fd == -1) {
		walk_failed(w, "/", "");
	} else {
		walk_template(w, fd, template, &none);
	}
	if (fd != -1)
		close(fd);
	free(template);
}

bool
pk_users_each(const struct pk_users_source *src, pk_users_seen *seen,
    void *arg, FILE *errors)
{
	struct walk w = { .source = src, .seen = seen, .arg = arg,
	    .errors = errors };

	if (src->settings->users == PK_USERS_SYSTEM ||
	    src->settings->users_file != NULL)
		each_known(&w);
	else
		each_directory(&w);
	return !w.failed;
}
