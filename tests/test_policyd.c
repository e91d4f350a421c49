/*
 * popkeep-policyd as a process: who may ask it what, what it has on disk when
 * it says so, and what does not stop it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/evp.h>

#include "engine/hex.h"
#include "engine/wire.h"
#include "standalone/audit_seal.h"
#include "standalone/audit_segments.h"
#include "standalone/channel.h"
#include "standalone/log.h"
#include "standalone/policyd.h"
#include "tests/harness.h"

/* Cut where need be: what is put here fits. */
#define TEXT(to, text) (void)snprintf(to, sizeof(to), "%.*s", \
    (int)sizeof(to) - 1, text)
#define NOBODY	65534
#define PATIENCE 60000		/* milliseconds */

/* ---- what policyd's process is made to see ------------------------------ */

/* Shared with it. */
static struct {
	int syncs;		/* calls of fdatasync(2) */
	bool sync_fails;
	bool pipes_fail;
	bool watching_fails;	/* of a pipe */
	int events;		/* that were made and not freed */
	bool fake_groups;
	bool groups_fail;
	char members[2][2][32];	/* of the groups "one" and "two" */
	gid_t gid[2];		/* of these; then there are u1, u2 and u3, */
				/* whose first groups are 1, 2 and 3 */
	unsigned passes;	/* over all users */
} *shared;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);
struct event *__real_event_new(struct event_base *base, evutil_socket_t fd,
    short what, event_callback_fn callback, void *arg);
struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd,
    short what, event_callback_fn callback, void *arg);
void __real_event_free(struct event *ev);
void __wrap_event_free(struct event *ev);
int __real_event_add(struct event *ev, const struct timeval *timeout);
int __wrap_event_add(struct event *ev, const struct timeval *timeout);
struct group *__real_getgrnam(const char *name);
struct group *__wrap_getgrnam(const char *name);
struct passwd *__real_getpwent(void);
struct passwd *__wrap_getpwent(void);
void __real_setpwent(void);
void __wrap_setpwent(void);

int
__wrap_fdatasync(int fd)
{
	__atomic_add_fetch(&shared->syncs, 1, __ATOMIC_SEQ_CST);
	if (shared->sync_fails) {
		errno = EIO;
		return -1;
	}
	return __real_fdatasync(fd);
}

static int last_pipe = -2;	/* its end to read from; timers have -1 */

int
__wrap_pipe2(int fds[2], int flags)
{
	int rc;

	errno = EMFILE;
	rc = shared->pipes_fail ? -1 : __real_pipe2(fds, flags);
	if (rc == 0)
		last_pipe = fds[0];
	return rc;
}

struct event *
__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
    event_callback_fn callback, void *arg)
{
	shared->events++;
	return __real_event_new(base, fd, what, callback, arg);
}

void
__wrap_event_free(struct event *ev)
{
	shared->events--;
	__real_event_free(ev);
}

int
__wrap_event_add(struct event *ev, const struct timeval *timeout)
{
	if (!shared->watching_fails || event_get_fd(ev) != last_pipe)
		return __real_event_add(ev, timeout);
	last_pipe = -2;			/* the number is another's soon */
	errno = ENOMEM;
	return -1;
}

struct group *
__wrap_getgrnam(const char *name)
{
	static struct group gr;
	static char *members[3];
	int which = strcmp(name, "two") == 0, i, n = 0;

	if (!shared->fake_groups)
		return __real_getgrnam(name);
	errno = shared->groups_fail ? EIO : 0;
	if (shared->groups_fail)
		return NULL;
	for (i = 0; i < 2; i++)
		if (shared->members[which][i][0] != '\0')
			members[n++] = shared->members[which][i];
	members[n] = NULL;
	gr.gr_name = (char *)(uintptr_t)name;
	gr.gr_gid = shared->gid[which] != 0 ? shared->gid[which] : (gid_t)-2;
	gr.gr_mem = members;
	return &gr;
}

static gid_t last_user;

void
__wrap_setpwent(void)
{
	shared->passes++;
	last_user = 0;
	__real_setpwent();
}

struct passwd *
__wrap_getpwent(void)
{
	static struct passwd pw;
	static char name[8];

	if (shared->gid[0] == 0)
		return __real_getpwent();
	if (last_user == 3)
		return NULL;
	pw.pw_gid = ++last_user;
	(void)snprintf(name, sizeof(name), "u%u", (unsigned)last_user);
	pw.pw_name = name;
	return &pw;
}

/* ---- starting and stopping it ------------------------------------------- */

static char dir[64];
static char policy_path[1024], audit_path[256], socket_path[256];
static char state_path[256], log_path[256];
static struct pk_policyd_settings settings;
static pid_t policyd;		/* 0: none */
static int parent = -1;		/* our end of the channel */
static unsigned tables;		/* that it has sent */

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

#define BASE "retention \"r\" { users = { \"anna\", \"bob\" } " \
	"after-delivery = \"30d\" }\n" \
	"hold \"h\" { users = { \"bob\" } note = \"why\" }\n"

static _Noreturn void
be_policyd(int channel)
{
	if (pk_log_open(log_path) != 0)
		_exit(99);
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 ||
	    setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0))
		_exit(98);
	_exit(pk_policyd_main(&settings, channel));
}

/* What it says to its parent, up to READY; false: it has ended. */
static bool
hear_ready(void)
{
	struct pollfd p = { .fd = parent, .events = POLLIN };
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	while (poll(&p, 1, PATIENCE) == 1) {
		switch (pk_channel_recv(parent, PK_MSG_BIT(PK_MSG_READY) |
		    PK_MSG_BIT(PK_MSG_TABLE), &type, &m, &pass)) {
		case PK_RECEIVED:
			if (type == PK_MSG_READY)
				return true;
			tables++;
			close(pass);
			break;
		case PK_RECEIVED_NOTHING:
			break;
		case PK_RECEIVED_END:
		case PK_RECEIVED_NONSENSE:
		case PK_RECEIVED_NO_DESCRIPTOR:
			return false;
		}
	}
	fail_msg("it is not ready in time");
	return false;
}

static bool
try_start(void)
{
	int fds[2];

	assert_int_equal(pk_channel_pair(fds, true), 0);
	tables = 0;
	policyd = fork();
	assert_int_not_equal(policyd, -1);
	if (policyd == 0) {
		close(fds[0]);
		be_policyd(fds[1]);
	}
	close(fds[1]);
	parent = fds[0];
	return hear_ready();
}

static void
start(const char *policy)
{
	if (policy != NULL)
		put(policy_path, policy);
	assert_true(try_start());
	assert_int_equal(tables, 1);
}

static int
reap(void)
{
	int status = -1, i;

	for (i = 0; i < 1000; i++) {
		if (waitpid(policyd, &status, WNOHANG) == policyd)
			break;
		(void)usleep(10000);
	}
	if (i == 1000) {
		(void)kill(policyd, SIGKILL);
		(void)waitpid(policyd, NULL, 0);
		policyd = 0;
		fail_msg("it does not end");
	}
	policyd = 0;
	if (parent != -1)
		close(parent);
	parent = -1;
	return status;
}

static void
stop(void)
{
	close(parent);
	parent = -1;
	assert_int_equal(reap(), 0);
}

static void
kill_it(void)
{
	assert_int_equal(kill(policyd, SIGKILL), 0);
	(void)reap();
}

/* ---- peers -------------------------------------------------------------- */

static int
peer(uid_t uid, const char *only, bool trusted)
{
	struct pollfd p = { .fd = parent, .events = POLLOUT };
	struct pk_msg_peer m;
	int fds[2];

	assert_int_equal(pk_channel_pair(fds, false), 0);
	memset(&m, 0, sizeof(m));
	m.uid = uid;
	m.pid = 4711;
	m.trusted = trusted;
	TEXT(m.only, only);
	while (pk_channel_send(parent, PK_MSG_PEER, &m, fds[1]) != 0)
		assert_true(errno == EAGAIN && poll(&p, 1, PATIENCE) == 1);
	close(fds[1]);
	return fds[0];
}

static int anna, root;

/* Over the socket, as somebody. */
static int
socket_peer(uid_t uid)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), rc;

	TEXT(sun.sun_path, socket_path);
	assert_int_equal(seteuid(uid), 0);
	rc = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, 0);
	return fd;
}

static uint8_t out[PK_WIRE_MAX], in[PK_WIRE_MAX + 1];
static struct pk_wire w;

static void
transmit(int fd)
{
	assert_false(w.bad);
	assert_int_equal(send(fd, out, w.len, MSG_NOSIGNAL), (ssize_t)w.len);
}

/* The next answer; false: the peer was ended. */
static bool
answer(int fd, enum pk_wire_type type, uint32_t id)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct pk_wire_head head;
	ssize_t n;

	if (poll(&p, 1, PATIENCE) != 1)
		fail_msg("no answer");
	n = recv(fd, in, sizeof(in), 0);
	if (n <= 0)
		return false;
	assert_true(pk_wire_open(&w, in, (size_t)n, &head));
	assert_int_equal(head.type, type);
	assert_int_equal(head.id, id);
	return true;
}

static struct pk_wire_user_is
user_is(int fd, const char *user, const char *rule)
{
	struct pk_wire_user m;
	struct pk_wire_user_is a;

	memset(&m, 0, sizeof(m));
	TEXT(m.user, user);
	TEXT(m.rule, rule);
	pk_wire_begin(&w, out, PK_WIRE_USER, 0, 17);
	pk_wire_put_user(&w, &m);
	transmit(fd);
	assert_true(answer(fd, PK_WIRE_USER_IS, 17));
	assert_true(pk_wire_get_user_is(&w, &a));
	return a;
}

static void
begin_records(const char *user, uint64_t serial, uint32_t flags, uint32_t id)
{
	struct pk_audit_context c;

	memset(&c, 0, sizeof(c));
	TEXT(c.user, user);
	pk_wire_begin(&w, out, PK_WIRE_RECORDS, flags, id);
	pk_wire_put_context(&w, &c, serial);
}

static bool
put_item(enum pk_audit_event event, const char *uidl, const char *reason)
{
	struct pk_audit_item i;

	memset(&i, 0, sizeof(i));
	i.event = event;
	TEXT(i.uidl, uidl);
	TEXT(i.reason, reason);
	return pk_wire_put_item(&w, &i);
}

static enum pk_wire_result
recorded(int fd, uint32_t id)
{
	enum pk_wire_result result;

	assert_true(answer(fd, PK_WIRE_RECORDED, id));
	assert_true(pk_wire_get_recorded(&w, &result));
	return result;
}

static enum pk_wire_result
record_why(int fd, const char *user, uint64_t serial,
    enum pk_audit_event event, const char *uidl, const char *reason)
{
	begin_records(user, serial, PK_WIRE_DURABLE, 18);
	assert_true(put_item(event, uidl, reason));
	transmit(fd);
	return recorded(fd, 18);
}

/* Record one thing, durably.  bob is held: nothing of his is disposed of. */
static enum pk_wire_result
record(int fd, const char *user, uint64_t serial, enum pk_audit_event event,
    const char *uidl)
{
	return record_why(fd, user, serial, event, uidl,
	    strcmp(user, "bob") == 0 ? "hold:h" : "dele");
}

static enum pk_wire_result
intend(int fd, const char *user, const char *uidl)
{
	return record(fd, user, user_is(fd, user, "").serial,
	    PK_AUDIT_DISPOSE_INTENT, uidl);
}

static enum pk_wire_result
done(int fd, enum pk_wire_type type, char text[PK_WIRE_TEXT + 1])
{
	struct pk_wire_done d;

	pk_wire_begin(&w, out, type, 0, 19);
	if (type != PK_WIRE_STATUS)
		pk_wire_put_text(&w, "the test");
	transmit(fd);
	assert_true(answer(fd, PK_WIRE_DONE, 19));
	assert_true(pk_wire_get_done(&w, &d));
	memcpy(text, d.text, sizeof(d.text));
	return d.result;
}

static size_t
unfinished(int fd, const char *user)
{
	struct pk_audit_item i;
	size_t n = 0;

	pk_wire_begin(&w, out, PK_WIRE_UNFINISHED, 0, 20);
	pk_wire_put_name(&w, user);
	transmit(fd);
	assert_true(answer(fd, PK_WIRE_UNFINISHED_IS, 20));
	while (pk_wire_get_item(&w, &i)) {
		assert_int_equal(i.event, PK_AUDIT_DISPOSE_INTENT);
		n++;
	}
	assert_false(w.bad);
	return n;
}

static void
reload_by_parent(bool fold)
{
	struct pk_msg_reload m;

	memset(&m, 0, sizeof(m));
	m.fold = fold;
	m.group_refresh = 3600;
	m.audit_seal = 3600;
	assert_int_equal(pk_channel_send(parent, PK_MSG_RELOAD, &m, -1), 0);
}

/* ---- the log, from outside ---------------------------------------------- */

/* How many lines of path have both texts. */
static unsigned
lines_with(const char *path, const char *a, const char *b)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	unsigned n = 0;

	assert_non_null(f);
	while (getline(&line, &room, f) > 0)
		n += strstr(line, a) != NULL && strstr(line, b) != NULL;
	free(line);
	fclose(f);
	return n;
}

static unsigned
audited(const char *a, const char *b)
{
	return lines_with(audit_path, a, b);
}

static unsigned
logged(const char *a)
{
	return lines_with(log_path, a, "");
}

/* Until it is so, or the test has failed. */
#define WAIT_UNTIL(condition)						\
	do {								\
		int left;						\
									\
		for (left = 0; left < 6000 && !(condition); left++)	\
			(void)usleep(10000);				\
		assert_true(condition);					\
	} while (0)

/* ---- the fixture -------------------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	memset(shared, 0, sizeof(*shared));
	TEXT(dir, "/tmp/test_policyd.XXXXXX");
	if (mkdtemp(dir) == NULL ||
	    (geteuid() == 0 && chown(dir, NOBODY, NOBODY) != 0) ||
	    chmod(dir, 0755) != 0)
		return -1;
	(void)snprintf(policy_path, sizeof(policy_path), "%s/policy.conf",
	    dir);
	(void)snprintf(audit_path, sizeof(audit_path), "%s/audit.log", dir);
	(void)snprintf(socket_path, sizeof(socket_path), "%s/run/policy.sock",
	    dir);
	(void)snprintf(state_path, sizeof(state_path), "%s/a/state", dir);
	(void)snprintf(log_path, sizeof(log_path), "%s/log", dir);
	settings = (struct pk_policyd_settings){ .policy = policy_path,
	    .audit_log = audit_path, .socket = socket_path,
	    .state_dir = state_path, .user = "nobody", .group = "",
	    .group_refresh = 3600, .audit_seal = 3600,
	    .audit_anchor = "" };
	put(log_path, "");
	policyd = 0;
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	if (policyd > 0) {
		(void)kill(policyd, SIGKILL);
		(void)waitpid(policyd, NULL, 0);
		policyd = 0;
	}
	if (parent != -1)
		close(parent);
	parent = -1;
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* The same with a policyd that runs, and two who ask it. */
static int
setup_running(void **state)
{
	if (setup(state) != 0)
		return -1;
	start(BASE);
	anna = peer(1000, "anna", false);
	root = peer(0, "", true);
	return 0;
}

static int
teardown_running(void **state)
{
	close(anna);
	close(root);
	return teardown(state);
}

static int
group_setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared != MAP_FAILED ? 0 : -1;
}

/* ---- tests: what it says ------------------------------------------------ */

static void
test_policyd_says_what_the_policy_says(void **state)
{
	struct pk_wire_user_is a = user_is(root, "anna", "");

	(void)state;
	assert_int_equal(a.result, PK_WIRE_OK);
	assert_true(a.serial > 0);
	assert_true(a.policy.has_rule);
	assert_string_equal(a.policy.rule.name, "r");
	assert_int_equal(a.policy.rule.after_delivery, 30 * 86400);
	assert_int_equal(a.policy.holds, 0);
	assert_false(a.policy.rule.braked || a.policy.clock_brake);
	a = user_is(root, "bob", "");
	assert_int_equal(a.policy.holds, 1);
	assert_string_equal(a.policy.hold[0], "h");
	a = user_is(root, "carl", "");
	assert_int_equal(a.result, PK_WIRE_OK);
	assert_false(a.policy.has_rule);
	/* A rule that a users file names. */
	assert_true(user_is(root, "carl", "r").policy.has_rule);
	assert_int_equal(user_is(root, "carl", "x").result,
	    PK_WIRE_UNKNOWN_RULE);
}

static enum pk_wire_result
login_of(int fd, const char *user, const char *ip, bool tls,
    struct pk_wire_login_is *a)
{
	struct pk_wire_login m;

	memset(&m, 0, sizeof(m));
	TEXT(m.user, user);
	TEXT(m.ip, ip);
	m.kind = PK_KIND_PASSWORD;
	m.tls = tls;
	pk_wire_begin(&w, out, PK_WIRE_LOGIN, 0, 21);
	pk_wire_put_login(&w, &m);
	transmit(fd);
	assert_true(answer(fd, PK_WIRE_LOGIN_IS, 21));
	assert_true(pk_wire_get_login_is(&w, a));
	return a->result;
}

static enum pk_wire_result
login_is(int fd, const char *ip, bool tls, struct pk_wire_login_is *a)
{
	return login_of(fd, "anna", ip, tls, a);
}

static void
test_policyd_judges_logins_for_auth_alone(void **state)
{
	struct pk_wire_login_is a;

	(void)state;
	assert_int_equal(login_is(root, "192.0.2.7", true, &a), PK_WIRE_OK);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_ALLOWS);
	assert_string_equal(a.rule, "default");
	assert_int_equal(login_is(root, "192.0.2.7", false, &a), PK_WIRE_OK);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_TLS);
	assert_int_equal(login_is(root, "localhost", true, &a),
	    PK_WIRE_FAILED);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_REFUSES);
	assert_int_equal(login_is(anna, "192.0.2.7", true, &a),
	    PK_WIRE_DENIED);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_REFUSES);
}

/* What is said of TLS must not tell who somebody is. */
static void
test_policyd_explains_what_nobody_may(void **state)
{
	static const char *const users[] = { "anna", "bob", "a/b", "" };
	struct pk_wire_login_is a;
	size_t i;

	(void)state;
	put(policy_path, "passwords {\n"
	    "rule \"in\" { networks = { \"10.0.0.0/8\" } "
	    "users = { \"eve\" } allow = always }\n"
	    "rule \"no\" { users = { \"bob\" } allow = never }\n"
	    "rule \"rest\" { allow = tls }\n}\n");
	reload_by_parent(false);
	WAIT_UNTIL(login_of(root, "bob", "192.0.2.7", true, &a) ==
	    PK_WIRE_OK && a.verdict == PK_LOGIN_RULE_REFUSES);
	assert_false(a.needs_tls);
	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		print_message("case: \"%s\"\n", users[i]);
		assert_int_equal(login_of(root, users[i], "192.0.2.7", false,
		    &a), PK_WIRE_OK);
		assert_true(a.needs_tls);
		/* From there somebody may, and it is no more than wrong. */
		assert_int_equal(login_of(root, users[i], "10.1.1.1", false,
		    &a), PK_WIRE_OK);
		assert_false(a.needs_tls);
	}
	assert_int_equal(login_of(root, "eve", "10.1.1.1", false, &a),
	    PK_WIRE_OK);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_ALLOWS);
}

/* Dovecot does not know how the policy spells its users. */
static void
test_policyd_spells_the_users_of_requests(void **state)
{
	struct pk_wire_login_is a;

	(void)state;
	settings.names.fold = true;
	settings.names.detail = '+';
	start("retention \"r\" { users = { \"anna\" } "
	    "after-delivery = \"30d\" }\npasswords { rule \"a\" "
	    "{ users = { \"anna\" } allow = always } }\n");
	root = peer(0, "", true);
	anna = peer(1000, "anna", false);
	assert_true(user_is(root, "Anna+x", "").policy.has_rule);
	assert_int_equal(login_of(root, "ANNA", "192.0.2.7", false, &a),
	    PK_WIRE_OK);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_ALLOWS);
	assert_int_equal(intend(anna, "Anna", "1"), PK_WIRE_OK);
	assert_int_equal(audited("\"user\":\"anna\"", "dispose-intent"), 1);
	assert_int_equal(unfinished(root, "aNNA"), 1);
	assert_int_equal(user_is(anna, "bob", "").result, PK_WIRE_DENIED);
	/* What is no name is nobody's, and may still be reported. */
	assert_int_equal(user_is(root, "an/na", "").result, PK_WIRE_DENIED);
	assert_int_equal(login_of(root, "an/na", "192.0.2.7", true, &a),
	    PK_WIRE_OK);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_REFUSES);
	assert_string_equal(a.rule, "");
	assert_int_equal(record(root, "An/na", 0, PK_AUDIT_LOGIN_FAILED, ""),
	    PK_WIRE_OK);
	assert_int_equal(audited("\"user\":\"An/na\"", ""), 1);
	close(anna);
	close(root);
}

/* ---- tests: who may do what --------------------------------------------- */

static void
test_policyd_lets_a_mailbox_name_its_user_alone(void **state)
{
	static const char *const others[] = { "bob", "", "ann", "annaa",
	    "ANNA" };
	size_t i;

	(void)state;
	assert_int_equal(user_is(anna, "anna", "").result, PK_WIRE_OK);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(intend(root, "bob", "1"), PK_WIRE_OK);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct pk_wire_user_is a = user_is(anna, others[i], "");

		print_message("case: \"%s\"\n", others[i]);
		assert_int_equal(a.result, PK_WIRE_DENIED);
		assert_false(a.policy.has_rule);
		assert_int_equal(a.policy.holds, 0);
		assert_int_equal(a.unfinished, 0);
		assert_int_equal(record(anna, others[i], a.serial,
		    PK_AUDIT_DISPOSE_INTENT, "2"), PK_WIRE_DENIED);
		assert_int_equal(record(anna, others[i], a.serial,
		    PK_AUDIT_DISPOSED, "1"), PK_WIRE_DENIED);
		assert_int_equal(record(anna, others[i], a.serial,
		    PK_AUDIT_DOWNLOADED, "1"), PK_WIRE_DENIED);
		assert_int_equal(record(anna, others[i], 0, PK_AUDIT_LOGIN,
		    ""), PK_WIRE_DENIED);
		assert_int_equal(unfinished(anna, others[i]), 0);
	}
	assert_int_equal(unfinished(anna, "anna"), 1);
	assert_int_equal(unfinished(root, "bob"), 1);
	assert_int_equal(audited("\"user\":\"bob\"", ""), 1);
}

static void
test_policyd_lets_nobody_dispose_of_what_is_held(void **state)
{
	static const char *const reasons[] = { "dele", "after-download",
	    "minimum", "released", "", "hold", "holds" };
	uint64_t serial = user_is(root, "bob", "").serial;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		assert_int_equal(record_why(root, "bob", serial,
		    PK_AUDIT_DISPOSE_INTENT, "1", reasons[i]), PK_WIRE_STALE);
	assert_int_equal(unfinished(root, "bob"), 0);
	assert_int_equal(record_why(root, "bob", serial,
	    PK_AUDIT_DISPOSE_INTENT, "1", "hold:h"), PK_WIRE_OK);
	assert_int_equal(record_why(root, "bob", serial,
	    PK_AUDIT_DISPOSE_INTENT, "2", "restore"), PK_WIRE_OK);
	assert_int_equal(record_why(root, "anna", serial,
	    PK_AUDIT_DISPOSE_INTENT, "1", "dele"), PK_WIRE_OK);
}

static void
test_policyd_lets_a_mailbox_report_its_messages_alone(void **state)
{
	unsigned event;

	(void)state;
	for (event = 0; event < PK_AUDIT_EVENTS; event++) {
		bool own = event == PK_AUDIT_LOGIN ||
		    event == PK_AUDIT_MOVED ||
		    (event >= PK_AUDIT_DOWNLOADED &&
		    event <= PK_AUDIT_WOULD_DISPOSE);
		const char *name = pk_audit_event_name(event);

		print_message("case: %s\n", name);
		/* So that an outcome has an intent. */
		assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
		assert_int_equal(record(anna, "anna", user_is(anna, "anna",
		    "").serial, event, "1"), own ? PK_WIRE_OK :
		    PK_WIRE_DENIED);
		assert_int_equal(intend(root, "bob", "1"), PK_WIRE_OK);
		/* These are nobody's but policyd's own. */
		assert_int_equal(record(root, "bob", user_is(root, "bob",
		    "").serial, event, "1"), event == PK_AUDIT_SEAL ||
		    event == PK_AUDIT_PRUNED ? PK_WIRE_DENIED : PK_WIRE_OK);
	}
}

static void
test_policyd_lets_virtual_mailboxes_name_anybody(void **state)
{
	int any = peer(2000, "", false);

	(void)state;
	assert_int_equal(intend(any, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(intend(any, "carl", "1"), PK_WIRE_OK);
	assert_int_equal(record(any, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_int_equal(record(any, "anna", 0, PK_AUDIT_LOGIN_FAILED, ""),
	    PK_WIRE_DENIED);
	assert_int_equal(record(any, "anna", 0, PK_AUDIT_SWEEP, ""),
	    PK_WIRE_DENIED);
	close(any);
}

static void
test_policyd_takes_no_outcome_without_its_intent(void **state)
{
	(void)state;
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_DENIED);
	/* Not from root either: it would prove what nobody intended. */
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_DENIED);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "2"),
	    PK_WIRE_DENIED);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_OK);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_DENIED);
	assert_int_equal(audited("\"event\":\"disposed\"", ""), 1);
	/* All of a packet, or nothing of it. */
	begin_records("anna", 0, PK_WIRE_DURABLE, 5);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "7", ""));
	assert_true(put_item(PK_AUDIT_DISPOSED, "7", ""));
	transmit(anna);
	assert_int_equal(recorded(anna, 5), PK_WIRE_DENIED);
	/* One intent has one outcome, in one packet as in two. */
	assert_int_equal(intend(anna, "anna", "3"), PK_WIRE_OK);
	begin_records("anna", 0, PK_WIRE_DURABLE, 6);
	assert_true(put_item(PK_AUDIT_DISPOSED, "3", ""));
	assert_true(put_item(PK_AUDIT_RETAINED, "3", ""));
	transmit(anna);
	assert_int_equal(recorded(anna, 6), PK_WIRE_DENIED);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_TOP_WHOLE, "3"),
	    PK_WIRE_OK);
	assert_int_equal(audited("\"uidl\":\"3\"", "\"event\":\"disposed\""),
	    1);
	assert_int_equal(audited("\"event\":\"retained\"", ""), 0);
	assert_int_equal(audited("\"uidl\":\"7\"", ""), 0);
}

static void
test_policyd_takes_no_intent_of_another_state(void **state)
{
	uint64_t serial = user_is(anna, "anna", "").serial;
	char text[PK_WIRE_TEXT + 1];

	(void)state;
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSE_INTENT,
	    "1"), PK_WIRE_STALE);
	assert_int_equal(record(anna, "anna", serial - 1,
	    PK_AUDIT_DISPOSE_INTENT, "1"), PK_WIRE_STALE);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(record(anna, "anna", serial,
	    PK_AUDIT_DISPOSE_INTENT, "1"), PK_WIRE_STALE);
	assert_int_equal(user_is(anna, "anna", "").unfinished, 0);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(user_is(anna, "anna", "").unfinished, 1);
	/* Nor after a restart, with the same policy. */
	serial = user_is(anna, "anna", "").serial;
	close(anna);
	kill_it();
	start(NULL);
	anna = peer(1000, "anna", false);
	assert_int_equal(record(anna, "anna", serial,
	    PK_AUDIT_DISPOSE_INTENT, "2"), PK_WIRE_STALE);
}

static void
test_policyd_obeys_the_administrator_alone(void **state)
{
	char text[PK_WIRE_TEXT + 1];
	int any = peer(2000, "", false), self = peer(geteuid() == 0 ? NOBODY :
	    geteuid(), "nobody", false);

	(void)state;
	assert_int_equal(done(anna, PK_WIRE_RELOAD, text), PK_WIRE_DENIED);
	assert_int_equal(done(anna, PK_WIRE_ACCEPT, text), PK_WIRE_DENIED);
	assert_int_equal(done(anna, PK_WIRE_STATUS, text), PK_WIRE_DENIED);
	assert_string_equal(text, "only root may do this");
	assert_int_equal(done(any, PK_WIRE_RELOAD, text), PK_WIRE_DENIED);
	assert_int_equal(audited("\"event\":\"policy\"", ""), 1);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_string_equal(text, "");
	assert_int_equal(done(root, PK_WIRE_STATUS, text), PK_WIRE_OK);
	assert_non_null(strstr(text, "1 rules, 1 holds"));
	/* A process of popkeepd that may not record logins, whatever its uid. */
	assert_int_equal(done(self, PK_WIRE_RELOAD, text), PK_WIRE_DENIED);
	assert_int_equal(done(self, PK_WIRE_STATUS, text), PK_WIRE_DENIED);
	assert_int_equal(audited("\"event\":\"policy\"", "the test"), 1);
	close(any);
	close(self);
}

static enum pk_wire_result
narrow(int fd, const char *user)
{
	pk_wire_begin(&w, out, PK_WIRE_NARROW, 0, 23);
	pk_wire_put_name(&w, user);
	transmit(fd);
	return recorded(fd, 23);
}

/* What a sweep does before its worker becomes the owner of a mailbox. */
static void
test_policyd_takes_rights_for_good(void **state)
{
	char text[PK_WIRE_TEXT + 1];
	int any = peer(0, "", true);

	(void)state;
	assert_int_equal(narrow(anna, "bob"), PK_WIRE_DENIED);
	assert_int_equal(user_is(anna, "bob", "").result, PK_WIRE_DENIED);
	assert_int_equal(narrow(root, "anna"), PK_WIRE_OK);
	assert_int_equal(user_is(root, "anna", "").result, PK_WIRE_OK);
	assert_int_equal(intend(root, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(user_is(root, "bob", "").result, PK_WIRE_DENIED);
	assert_int_equal(done(root, PK_WIRE_ACCEPT, text), PK_WIRE_DENIED);
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_SWEEP, ""),
	    PK_WIRE_DENIED);
	assert_int_equal(narrow(root, ""), PK_WIRE_DENIED);
	assert_int_equal(narrow(any, ""), PK_WIRE_OK);
	assert_int_equal(user_is(any, "bob", "").result, PK_WIRE_OK);
	assert_int_equal(record(any, "bob", 0, PK_AUDIT_HOLD, ""),
	    PK_WIRE_DENIED);
	close(any);
}

static void
test_policyd_knows_peers_of_its_socket_by_their_uid(void **state)
{
	struct passwd *pw = getpwnam("daemon");
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(stat(socket_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	/* Its group must find the way. */
	*strrchr(socket_path, '/') = '\0';
	assert_int_equal(stat(socket_path, &st), 0);
	socket_path[strlen(socket_path)] = '/';
	assert_int_equal(st.st_mode & 0777, 0755);
	if (geteuid() != 0 || pw == NULL)
		skip();
	fd = socket_peer(0);
	assert_int_equal(intend(fd, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(record(fd, "anna", 0, PK_AUDIT_SWEEP, ""),
	    PK_WIRE_OK);
	close(fd);
	assert_int_equal(chmod(socket_path, 0666), 0);
	fd = socket_peer(pw->pw_uid);
	assert_int_equal(user_is(fd, "daemon", "").result, PK_WIRE_OK);
	assert_int_equal(user_is(fd, "anna", "").result, PK_WIRE_DENIED);
	assert_int_equal(record(fd, "daemon", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_int_equal(record(fd, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_DENIED);
	assert_int_equal(record(fd, "daemon", 0, PK_AUDIT_LOGIN_FAILED, ""),
	    PK_WIRE_DENIED);
	assert_int_equal(audited("\"uid\":0", "\"uidl\":\"1\""), 1);
	close(fd);
	/* A uid without a name is nobody. */
	fd = socket_peer(54321);
	assert_int_equal(user_is(fd, "", "").result, PK_WIRE_DENIED);
	assert_int_equal(user_is(fd, "54321", "").result, PK_WIRE_DENIED);
	close(fd);
}

static void
test_policyd_gives_virtual_mailboxes_no_more_than_that(void **state)
{
	struct passwd *pw = getpwnam("daemon");
	char text[PK_WIRE_TEXT + 1];
	int fd;

	(void)state;
	if (geteuid() != 0 || pw == NULL)
		skip();
	settings.has_virtual_uid = true;
	settings.virtual_uid = pw->pw_uid;
	start(BASE);
	assert_int_equal(chmod(socket_path, 0666), 0);
	fd = socket_peer(pw->pw_uid);
	assert_int_equal(intend(fd, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(record(fd, "anna", 0, PK_AUDIT_LOGIN_FAILED, ""),
	    PK_WIRE_DENIED);
	assert_int_equal(done(fd, PK_WIRE_ACCEPT, text), PK_WIRE_DENIED);
	assert_int_equal(done(fd, PK_WIRE_RELOAD, text), PK_WIRE_DENIED);
	close(fd);
	fd = socket_peer(54321);
	assert_int_equal(user_is(fd, "anna", "").result, PK_WIRE_DENIED);
	close(fd);
}

/* Dovecot's auth process: logins of everybody, and nothing else. */
static void
test_policyd_lets_auth_elsewhere_ask_of_logins_alone(void **state)
{
	struct passwd *pw = getpwnam("daemon");
	struct pk_wire_login_is a;
	char text[PK_WIRE_TEXT + 1];
	unsigned event;
	int fd;

	(void)state;
	if (geteuid() != 0 || pw == NULL)
		skip();
	settings.has_login_uid = true;
	settings.login_uid = pw->pw_uid;
	start(BASE);
	assert_int_equal(chmod(socket_path, 0666), 0);
	fd = socket_peer(pw->pw_uid);
	assert_int_equal(login_is(fd, "192.0.2.7", true, &a), PK_WIRE_OK);
	assert_int_equal(a.verdict, PK_LOGIN_RULE_ALLOWS);
	for (event = 0; event < PK_AUDIT_EVENTS; event++) {
		bool login = event == PK_AUDIT_LOGIN ||
		    event == PK_AUDIT_LOGIN_FAILED ||
		    event == PK_AUDIT_APOP_WARN;

		print_message("case: %s\n", pk_audit_event_name(event));
		assert_int_equal(record(fd, "anna", 0, event, ""), login ?
		    PK_WIRE_OK : PK_WIRE_DENIED);
		/* Its own name is nothing to it. */
		assert_int_equal(record(fd, "daemon", 0, event, ""), login ?
		    PK_WIRE_OK : PK_WIRE_DENIED);
	}
	assert_int_equal(user_is(fd, "anna", "").result, PK_WIRE_DENIED);
	assert_int_equal(user_is(fd, "daemon", "").result, PK_WIRE_DENIED);
	assert_int_equal(unfinished(fd, "anna"), 0);
	assert_int_equal(done(fd, PK_WIRE_ACCEPT, text), PK_WIRE_DENIED);
	assert_int_equal(done(fd, PK_WIRE_RELOAD, text), PK_WIRE_DENIED);
	assert_int_equal(done(fd, PK_WIRE_STATUS, text), PK_WIRE_DENIED);
	close(fd);
	fd = socket_peer(54321);
	assert_int_equal(login_is(fd, "192.0.2.7", true, &a), PK_WIRE_DENIED);
	close(fd);
}

static void
test_policyd_ends_who_sends_nonsense(void **state)
{
	static const struct { const char *data; size_t len; } bad[] = {
		{ "x", 1 }, { "", 0 },
		{ "\x01\x07\0\0\0\0\0\0\1\0\0\0\0", 13 },	/* an answer */
		{ "\x01\x00\0\0\0\0\0\0\1\0\0\0\0", 13 },	/* cut */
		{ "\x01\x06\0\0\0\0\0\0\1\0\0\0\0", 13 },	/* more */
		{ "\x01\x02\0\0\0\0\0\0\1\0\0\0\0", 13 },
		{ "\x01\x04\0\0\0\0\0\0\1\0\0\0\0", 13 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = peer(1000, "anna", i % 2 == 0);

		assert_true(send(fd, bad[i].data, bad[i].len, 0) >= 0);
		assert_false(answer(fd, PK_WIRE_DONE, 0));
		close(fd);
	}
	/* An item with an event that is none, behind a good one. */
	{
		int fd = peer(1000, "anna", false);

		begin_records("anna", 0, PK_WIRE_DURABLE, 1);
		assert_true(put_item(PK_AUDIT_DOWNLOADED, "bad", ""));
		out[w.len++] = PK_AUDIT_EVENTS;
		transmit(fd);
		assert_false(answer(fd, PK_WIRE_RECORDED, 1));
		close(fd);
	}
	/* Nobody else has noticed. */
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(audited("\"bad\"", ""), 0);
	assert_int_equal(logged("sent nonsense"), 7);
}

/* ---- tests: what is on disk --------------------------------------------- */

static void
test_policyd_has_on_disk_what_it_said_was(void **state)
{
	uint64_t serial = user_is(anna, "anna", "").serial;
	char uidl[16];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		(void)snprintf(uidl, sizeof(uidl), "m%d", i);
		assert_int_equal(intend(anna, "anna", uidl), PK_WIRE_OK);
	}
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "m3"),
	    PK_WIRE_OK);
	close(anna);
	kill_it();
	assert_int_equal(audited("dispose-intent", "\"user\":\"anna\""), 20);
	start(NULL);
	anna = peer(1000, "anna", false);
	assert_true(user_is(anna, "anna", "").serial > serial + 1000);
	assert_int_equal(user_is(anna, "anna", "").unfinished, 19);
	assert_int_equal(unfinished(anna, "anna"), 19);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "m3"),
	    PK_WIRE_DENIED);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_CLOSED_UNKNOWN,
	    "m4"), PK_WIRE_OK);
	assert_int_equal(unfinished(anna, "anna"), 18);
	/* Nor does a clean end, which sets the mark, settle them. */
	close(anna);
	close(root);
	stop();
	start(NULL);
	anna = peer(1000, "anna", false);
	root = peer(0, "", true);
	assert_int_equal(unfinished(anna, "anna"), 18);
}

static void
test_policyd_answers_no_durable_record_before_the_disk(void **state)
{
	int before = shared->syncs;

	(void)state;
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_true(shared->syncs > before);
	/* One that need not be is in the file at once, on disk soon. */
	begin_records("anna", 0, 0, 9);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "soon", ""));
	transmit(anna);
	assert_int_equal(recorded(anna, 9), PK_WIRE_OK);
	WAIT_UNTIL(audited("\"soon\"", "") == 1);
	before = shared->syncs;
	WAIT_UNTIL(shared->syncs > before);
}

static void
test_policyd_says_nothing_of_quiet_records(void **state)
{
	(void)state;
	begin_records("anna", 0, PK_WIRE_QUIET, 9);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "quiet", ""));
	transmit(anna);
	begin_records("anna", 0, PK_WIRE_QUIET | PK_WIRE_DURABLE, 10);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "quiet", ""));
	transmit(anna);
	begin_records("bob", 0, PK_WIRE_QUIET, 11);	/* denied */
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "quiet", ""));
	transmit(anna);
	/* The next answer is that of the next question. */
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(audited("\"quiet\"", ""), 2);
}

/* Whoever goes with answers unread has still said what it said. */
static void
test_policyd_hears_the_last_words_of_a_peer(void **state)
{
	struct pollfd p = { .fd = anna, .events = POLLIN };

	(void)state;
	begin_records("anna", 0, 0, 9);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "first", ""));
	transmit(anna);
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	/* Stopped, so that the last words and the end come together. */
	assert_int_equal(kill(policyd, SIGSTOP), 0);
	begin_records("anna", 0, PK_WIRE_QUIET, 10);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "last", ""));
	transmit(anna);
	close(anna);
	assert_int_equal(kill(policyd, SIGCONT), 0);
	WAIT_UNTIL(audited("\"last\"", "") == 1);
	anna = peer(1000, "anna", false);
}

#define MANY 200

static void
test_policyd_writes_for_many_at_once(void **state)
{
	uint64_t serial = user_is(root, "anna", "").serial;
	int fd[MANY], i, before;
	char uidl[16];

	(void)state;
	for (i = 0; i < MANY; i++)
		fd[i] = peer(3000 + (uid_t)i, "", false);
	/* They are all there. */
	assert_int_equal(user_is(fd[MANY - 1], "x", "").result, PK_WIRE_OK);
	assert_int_equal(kill(policyd, SIGSTOP), 0);
	before = shared->syncs;
	for (i = 0; i < MANY; i++) {
		(void)snprintf(uidl, sizeof(uidl), "many%d.", i);
		begin_records("anna", serial, PK_WIRE_DURABLE, (uint32_t)i);
		assert_true(put_item(PK_AUDIT_DISPOSE_INTENT, uidl, ""));
		transmit(fd[i]);
	}
	assert_int_equal(kill(policyd, SIGCONT), 0);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(recorded(fd[i], (uint32_t)i), PK_WIRE_OK);
		(void)snprintf(uidl, sizeof(uidl), "\"many%d.\"", i);
		assert_int_equal(audited(uidl, "dispose-intent"), 1);
	}
	/* libevent hands out 32 at first; far fewer than one each. */
	print_message("%d times to disk\n", shared->syncs - before);
	assert_true(shared->syncs - before < MANY / 4);
	for (i = 0; i < MANY; i++)
		close(fd[i]);
}

static void
test_policyd_does_not_wait_for_who_reads_nothing(void **state)
{
	int lazy = peer(1000, "anna", false), i;
	struct pk_wire_user m;

	(void)state;
	memset(&m, 0, sizeof(m));
	TEXT(m.user, "anna");
	for (i = 0; i < 100000; i++) {
		pk_wire_begin(&w, out, PK_WIRE_USER, 0, 1);
		pk_wire_put_user(&w, &m);
		if (send(lazy, out, w.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			/* Once more, to see that it reads no more either. */
			(void)usleep(100000);
			if (send(lazy, out, w.len, MSG_NOSIGNAL |
			    MSG_DONTWAIT) < 0)
				break;
		}
	}
	assert_true(i < 100000);
	for (i = 0; i < 5; i++)
		assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	/* It may go on when it reads. */
	while (i-- > 0)
		assert_true(answer(lazy, PK_WIRE_USER_IS, 1));
	close(lazy);
}

#define FLOODS 8

/* Some flood the log: others' intents are taken, and nothing is lost. */
static void
test_policyd_has_room_for_others(void **state)
{
	uint64_t serial = user_is(root, "anna", "").serial;
	int flood[FLOODS], i, k;
	unsigned items = 0;

	(void)state;
	for (i = 0; i < FLOODS; i++) {
		flood[i] = peer(2000, "", false);
		assert_int_equal(user_is(flood[i], "x", "").result,
		    PK_WIRE_OK);
	}
	assert_int_equal(kill(policyd, SIGSTOP), 0);
	begin_records("carl", 0, PK_WIRE_QUIET, 1);
	while (put_item(PK_AUDIT_DOWNLOADED, "", ""))
		items++;
	for (i = k = 0; i < FLOODS; i++)
		while (send(flood[i], out, w.len, MSG_NOSIGNAL |
		    MSG_DONTWAIT) >= 0)
			k++;
	items *= (unsigned)k;
	begin_records("anna", serial, PK_WIRE_DURABLE, 7);
	assert_true(put_item(PK_AUDIT_DISPOSE_INTENT, "mine", ""));
	transmit(anna);
	assert_int_equal(kill(policyd, SIGCONT), 0);
	assert_int_equal(recorded(anna, 7), PK_WIRE_OK);
	print_message("%d packets with %u items\n", k, items);
	/* It is a test only if they do not fit all at once. */
	assert_true(items > 2 * 16384);
	WAIT_UNTIL(audited("\"carl\"", "") == items);
	assert_int_equal(audited("are lost", ""), 0);
	for (i = 0; i < FLOODS; i++)
		close(flood[i]);
}

static void
test_policyd_takes_no_intent_while_the_log_fails(void **state)
{
	char text[PK_WIRE_TEXT + 1];

	(void)state;
	shared->sync_fails = true;
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_FAILED);
	assert_int_equal(intend(anna, "anna", "2"), PK_WIRE_FAILED);
	begin_records("anna", 0, 0, 9);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "kept", ""));
	transmit(anna);
	assert_int_equal(recorded(anna, 9), PK_WIRE_OK);
	assert_int_equal(done(root, PK_WIRE_STATUS, text), PK_WIRE_OK);
	assert_non_null(strstr(text, "Input/output error: nothing is disposed "
	    "of"));
	/* It does not forget that while nothing is to be written. */
	(void)usleep(2200000);
	assert_int_equal(intend(anna, "anna", "3"), PK_WIRE_FAILED);
	assert_int_equal(logged("nothing is disposed of until"), 1);
	shared->sync_fails = false;
	WAIT_UNTIL(logged("it is written again") == 1);
	assert_int_equal(intend(anna, "anna", "4"), PK_WIRE_OK);
	assert_int_equal(audited("\"kept\"", ""), 1);
	assert_int_equal(audited("dispose-intent", ""), 1);
	/* A brake is a record, too. */
	assert_int_equal(audited("\"event\":\"brake\"",
	    "Input/output error"), 1);
	assert_int_equal(unfinished(anna, "anna"), 1);
}

/* Nor does anybody else lose theirs to one who says more than can wait. */
static void
test_policyd_keeps_room_while_the_log_fails(void **state)
{
	unsigned i;

	(void)state;
	shared->sync_fails = true;
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_FAILED);
	for (i = 0; i < 20; i++) {
		begin_records("anna", 0, 0, i);
		while (put_item(PK_AUDIT_DOWNLOADED, "flood", ""))
			;
		transmit(anna);
		assert_int_equal(recorded(anna, i), PK_WIRE_FAILED);
	}
	begin_records("bob", 0, 0, 30);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "others", ""));
	transmit(root);
	assert_int_equal(recorded(root, 30), PK_WIRE_OK);
	shared->sync_fails = false;
	WAIT_UNTIL(logged("it is written again") == 1);
	WAIT_UNTIL(audited("\"others\"", "") == 1);
	assert_int_equal(audited("\"flood\"", ""), 1024);
	assert_int_equal(audited("\"event\":\"brake\"", "are lost"), 1);
	/* And the next time there is as much room again. */
	shared->sync_fails = true;
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_FAILED);
	begin_records("anna", 0, 0, 31);
	assert_true(put_item(PK_AUDIT_DOWNLOADED, "again", ""));
	transmit(anna);
	assert_int_equal(recorded(anna, 31), PK_WIRE_OK);
	shared->sync_fails = false;
}

/* ---- tests: another policy ---------------------------------------------- */

static void
reload_audit(uint64_t rotate, int64_t keep)
{
	struct pk_msg_reload m;

	memset(&m, 0, sizeof(m));
	m.group_refresh = m.audit_seal = 3600;
	m.audit_rotate = rotate;
	m.audit_keep = keep;
	assert_int_equal(pk_channel_send(parent, PK_MSG_RELOAD, &m, -1), 0);
}

static void
test_policyd_keeps_the_old_policy_over_an_error(void **state)
{
	char text[PK_WIRE_TEXT + 1];
	uint64_t serial = user_is(anna, "anna", "").serial;

	(void)state;
	put(policy_path, "\nretention \"r\" { unread = \"1x\" }\n");
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_ERROR);
	assert_non_null(strstr(text, "policy.conf:2: unread = 1x: expected"));
	assert_null(strchr(text, '\n'));
	assert_int_equal(done(root, PK_WIRE_ACCEPT, text), PK_WIRE_ERROR);
	assert_int_equal(user_is(anna, "anna", "").policy.rule.after_delivery,
	    30 * 86400);
	/* Nothing has changed. */
	assert_true(user_is(anna, "anna", "").serial == serial);
	reload_by_parent(false);
	WAIT_UNTIL(logged("the old one stays in force") == 3);
	put(policy_path, "");
	reload_by_parent(false);
	WAIT_UNTIL(!user_is(anna, "anna", "").policy.has_rule);
	assert_int_equal(audited("\"event\":\"release\"", "hold:h"), 1);
}

/* A policy that net cannot be told of is none, and the old one stays. */
static void
test_policyd_refuses_what_does_not_fit_the_table(void **state)
{
	char text[PK_WIRE_TEXT + 1];
	FILE *f = fopen(policy_path, "w");
	unsigned i;

	(void)state;
	fputs("apop {\n", f);
	for (i = 0; i < 260000; i++) {
		if (i % 5000 == 0)
			fprintf(f, "rule \"r%u\" { allow = tls\n networks = "
			    "{ \"::1\"", i);
		fprintf(f, ", \"10.%u.%u.%u\"", i >> 16, i >> 8 & 255,
		    i & 255);
		if (i % 5000 == 4999)
			fputs(" } }\n", f);
	}
	fputs("}\n", f);
	fclose(f);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_ERROR);
	assert_string_equal(text, "apop and passwords: too many networks");
	assert_true(user_is(anna, "anna", "").policy.has_rule);
}

static void
test_policyd_records_holds(void **state)
{
	char text[PK_WIRE_TEXT + 1];

	(void)state;
	WAIT_UNTIL(audited("\"event\":\"hold\"", "hold:h start: why") == 1);
	put(policy_path, BASE "hold \"i\" { users = { \"carl\" } }\n");
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(audited("\"event\":\"hold\"", "hold:i the test"), 1);
	put(policy_path, BASE "hold \"i\" { users = { \"carl\", \"dora\" } }"
	    "\n");
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(audited("\"event\":\"hold\"", "hold:i"), 2);
	put(policy_path, BASE);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(audited("\"event\":\"release\"", "hold:i"), 1);
	assert_int_equal(audited("\"event\":\"hold\"", ""), 3);
}

/* What came and went while it did not run; and nothing else. */
static void
test_policyd_records_holds_over_a_restart(void **state)
{
	(void)state;
	start(BASE "hold \"i\" { users = { \"carl\" } until = "
	    "\"2099-12-31\" }\n");
	stop();
	assert_int_equal(audited("\"event\":\"hold\"", ""), 2);
	start(NULL);
	stop();
	assert_int_equal(audited("\"event\":\"hold\"", ""), 2);
	start("hold \"i\" { users = { \"carl\" } until = \"2099-12-30\" }\n"
	    "hold \"j\" { }\n");
	stop();
	assert_int_equal(audited("\"event\":\"hold\"", "hold:i start"), 2);
	assert_int_equal(audited("\"event\":\"hold\"", "hold:j start"), 1);
	assert_int_equal(audited("\"event\":\"hold\"", ""), 4);
	assert_int_equal(audited("\"event\":\"release\"", "hold:h start"), 1);
	assert_int_equal(audited("\"event\":\"release\"", ""), 1);
}

static bool
is_braked(void)
{
	return user_is(root, "anna", "").policy.rule.braked;
}

#define SHORTER "retention \"r\" { users = { \"anna\", \"bob\" } " \
	"after-delivery = \"29d\" }\n"

static void
test_policyd_brakes_until_it_is_accepted(void **state)
{
	char text[PK_WIRE_TEXT + 1];

	(void)state;
	assert_false(is_braked());
	put(policy_path, SHORTER);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_non_null(strstr(text, "1 rules wait for"));
	assert_true(is_braked());
	assert_int_equal(audited("\"event\":\"brake\"", "after-delivery was "
	    "30d and is 29d"), 1);
	assert_int_equal(done(root, PK_WIRE_STATUS, text), PK_WIRE_OK);
	assert_non_null(strstr(text, "rule r waits for"));
	/* Over a reload, and a restart. */
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_true(is_braked());
	close(root);
	kill_it();
	start(NULL);
	root = peer(0, "", true);
	assert_true(is_braked());
	assert_int_equal(done(root, PK_WIRE_ACCEPT, text), PK_WIRE_OK);
	assert_string_equal(text, "");
	assert_false(is_braked());
	close(root);
	kill_it();
	start(NULL);
	root = peer(0, "", true);
	assert_false(is_braked());
}

static void
test_policyd_brakes_although_the_state_cannot_be_saved(void **state)
{
	char text[PK_WIRE_TEXT + 1], path[512];

	(void)state;
	/* A directory where the file should be. */
	(void)snprintf(path, sizeof(path), "%s/accepted.conf", state_path);
	(void)unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	put(policy_path, BASE "retention \"new\" { }\n");
	assert_int_equal(done(root, PK_WIRE_ACCEPT, text), PK_WIRE_OK);
	assert_true(logged("accepted.conf: ") > 0);
	put(policy_path, SHORTER);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_true(is_braked());
}

static void
test_policyd_brakes_everything_after_a_bad_state(void **state)
{
	char path[512];

	(void)state;
	close(root);
	kill_it();
	(void)snprintf(path, sizeof(path), "%s/accepted.conf", state_path);
	put(path, "retention {");
	start(NULL);
	root = peer(0, "", true);
	assert_true(is_braked());
}

static void
test_policyd_sends_its_table_again(void **state)
{
	struct pollfd p = { .fd = parent, .events = POLLIN };
	char text[PK_WIRE_TEXT + 1];
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	(void)state;
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(pk_channel_recv(parent, PK_MSG_BIT(PK_MSG_TABLE),
	    &type, &m, &pass), PK_RECEIVED);
	close(pass);
}

/* ---- tests: groups ------------------------------------------------------ */

#define BY_GROUP "retention \"one\" { users = { \"@one\" } }\n" \
	"retention \"two\" { users = { \"@two\" } }\n"

static bool
is_in(const char *user, const char *rule)
{
	struct pk_wire_user_is a = user_is(root, user, "");

	return a.result == PK_WIRE_OK && a.policy.has_rule &&
	    strcmp(a.policy.rule.name, rule) == 0;
}

static void
start_with_groups(const char *policy)
{
	settings.group_refresh = 1;
	start(policy);
	root = peer(0, "", true);
	WAIT_UNTIL(user_is(root, "x", "").result == PK_WIRE_OK);
}

static void
test_policyd_resolves_groups(void **state)
{
	struct passwd *pw = getpwnam("daemon");

	(void)state;
	start_with_groups("retention \"d\" { users = { \"@daemon\" } }\n"
	    "retention \"m\" { users = { \"@no-such-group-either\" } }\n"
	    "hold \"n\" { users = { \"@no-such-group-here\" } }\n");
	if (pw != NULL && getgrgid(pw->pw_gid) != NULL &&
	    strcmp(getgrgid(pw->pw_gid)->gr_name, "daemon") == 0)
		assert_true(is_in("daemon", "d"));
	assert_false(user_is(root, "nosuch", "").policy.has_rule);
	/* Who is in it is not known: it may be anybody. */
	assert_int_equal(user_is(root, "nosuch", "").policy.holds, 1);
	assert_true(logged("there is no group \"no-such-group-here\"") > 0);
	close(root);
}

static void
test_policyd_resolves_first_groups_in_one_pass(void **state)
{
	(void)state;
	shared->fake_groups = true;
	shared->gid[0] = 3;
	shared->gid[1] = 1;
	start(BY_GROUP);
	root = peer(0, "", true);
	WAIT_UNTIL(user_is(root, "u1", "").result == PK_WIRE_OK);
	assert_true(is_in("u1", "two") && is_in("u3", "one"));
	assert_false(user_is(root, "u2", "").policy.has_rule);
	assert_int_equal(shared->passes, 1);
	close(root);
}

/* One group with two names. */
static void
test_policyd_resolves_groups_of_the_same_gid(void **state)
{
	(void)state;
	shared->fake_groups = true;
	shared->gid[0] = shared->gid[1] = 2;
	start("retention \"one\" { users = { \"@one\" } }\n"
	    "hold \"two\" { users = { \"@two\" } }\n");
	root = peer(0, "", true);
	WAIT_UNTIL(user_is(root, "u1", "").result == PK_WIRE_OK);
	assert_true(is_in("u2", "one"));
	assert_int_equal(user_is(root, "u2", "").policy.holds, 1);
	assert_false(user_is(root, "u1", "").policy.has_rule);
	assert_int_equal(user_is(root, "u1", "").policy.holds, 0);
	close(root);
}

/* How many records name these members, which are in the archive. */
static unsigned
archived_groups(const char *text)
{
	char name[2 * PK_POLICY_HASH_LEN + 1], path[sizeof(state_path) + 80];
	char reason[sizeof(name) + 32], content[256] = "";
	uint8_t hash[PK_POLICY_HASH_LEN];
	FILE *f;

	assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text),
	    hash, NULL), 1);
	*pk_hex_put(name, hash, sizeof(hash)) = '\0';
	(void)snprintf(path, sizeof(path), "%s/policies/%s", state_path, name);
	f = fopen(path, "r");
	assert_non_null(f);
	(void)!fread(content, 1, sizeof(content) - 1, f);
	fclose(f);
	assert_string_equal(content, text);
	(void)snprintf(reason, sizeof(reason), "\"reason\":\"groups: %s\"",
	    name);
	return audited("\"event\":\"policy\"", reason);
}

static void
test_policyd_follows_its_groups(void **state)
{
	uint64_t serial;

	(void)state;
	shared->fake_groups = true;
	TEXT(shared->members[0][0], "anna");
	TEXT(shared->members[1][0], "bob");
	start_with_groups(BY_GROUP);
	assert_true(is_in("anna", "one") && is_in("bob", "two"));
	serial = user_is(root, "anna", "").serial;
	/* A refresh that says the same changes nothing. */
	(void)usleep(2500000);
	assert_true(user_is(root, "anna", "").serial == serial);
	/* One that is empty keeps its members; the other one is followed. */
	shared->members[0][0][0] = '\0';
	TEXT(shared->members[1][1], "carl");
	WAIT_UNTIL(is_in("carl", "two"));
	assert_true(is_in("anna", "one") && is_in("bob", "two"));
	assert_true(user_is(root, "anna", "").serial != serial);
	/* One that fails keeps all. */
	shared->groups_fail = true;
	shared->members[1][1][0] = '\0';
	WAIT_UNTIL(logged("the groups stay as they were") > 0);
	assert_true(is_in("carl", "two"));
	assert_int_equal(archived_groups("one\none\tanna\ntwo\ntwo\tbob\n"
	    "two\tcarl\n"), 1);
	assert_int_equal(archived_groups("one\none\tanna\ntwo\ntwo\tbob\n"),
	    1);
	shared->groups_fail = false;
	TEXT(shared->members[0][0], "dora");
	WAIT_UNTIL(is_in("dora", "one"));
	assert_false(is_in("anna", "one") || is_in("carl", "two"));
	close(root);
}

/* A reload that spells names in another way is one for the groups, too. */
static void
test_policyd_follows_the_spelling_of_names(void **state)
{
	(void)state;
	shared->fake_groups = true;
	TEXT(shared->members[0][0], "Anna");
	start(BY_GROUP "hold \"h\" { users = { \"@one\" } }\n");
	root = peer(0, "", true);
	WAIT_UNTIL(is_in("Anna", "one"));
	assert_int_equal(user_is(root, "anna", "").policy.holds, 0);
	/* While they are not known, a hold by group counts for everybody. */
	shared->groups_fail = true;
	reload_by_parent(true);
	WAIT_UNTIL(user_is(root, "anna", "").result == PK_WIRE_NOT_YET);
	shared->groups_fail = false;
	reload_by_parent(true);
	WAIT_UNTIL(is_in("anna", "one"));
	assert_int_equal(user_is(root, "anna", "").policy.holds, 1);
	/* Whoever is asked for is spelled like that, too. */
	assert_true(is_in("Anna", "one"));
	/* The same again: they stay known. */
	shared->groups_fail = true;
	reload_by_parent(true);
	WAIT_UNTIL(logged("the groups stay as they were") > 0);
	assert_true(is_in("anna", "one"));
	close(root);
}

static void
test_policyd_says_when_it_cannot_ask_for_groups(void **state)
{
	(void)state;
	shared->fake_groups = shared->pipes_fail = true;
	TEXT(shared->members[0][0], "anna");
	settings.group_refresh = 1;
	start(BY_GROUP);
	root = peer(0, "", true);
	WAIT_UNTIL(logged("groups cannot be resolved: Too many open files") >
	    0);
	assert_int_equal(user_is(root, "anna", "").result, PK_WIRE_NOT_YET);
	shared->pipes_fail = false;
	WAIT_UNTIL(is_in("anna", "one"));
	close(root);
}

static void
test_policyd_keeps_no_event_of_a_child_it_cannot_hear(void **state)
{
	int before;

	(void)state;
	shared->fake_groups = true;
	settings.group_refresh = 1;
	shared->watching_fails = true;
	start(BY_GROUP);
	/* Both in the midst between two tries, which are a second apart. */
	WAIT_UNTIL(logged("groups cannot be resolved") >= 1);
	(void)usleep(300000);
	before = shared->events;
	WAIT_UNTIL(logged("groups cannot be resolved") >= 3);
	(void)usleep(300000);
	assert_int_equal(shared->events, before);
	shared->watching_fails = false;
	TEXT(shared->members[0][0], "anna");
	root = peer(0, "", true);
	WAIT_UNTIL(is_in("anna", "one"));
	close(root);
}

static void
test_policyd_lets_nobody_in_before_the_groups_are_known(void **state)
{
	(void)state;
	shared->fake_groups = shared->groups_fail = true;
	settings.group_refresh = 1;
	start(BY_GROUP "hold \"h\" { users = { \"@one\" } }\n");
	root = peer(0, "", true);
	assert_int_equal(user_is(root, "anna", "").result, PK_WIRE_NOT_YET);
	WAIT_UNTIL(logged("cannot log in yet") > 0);
	assert_int_equal(user_is(root, "anna", "").result, PK_WIRE_NOT_YET);
	shared->groups_fail = false;
	TEXT(shared->members[0][0], "anna");
	WAIT_UNTIL(is_in("anna", "one"));
	assert_int_equal(user_is(root, "anna", "").policy.holds, 1);
	close(root);
}

/* ---- tests: seals -------------------------------------------------------- */

static void
set_up_key(void)
{
	struct pk_audit_seal_dir d = { open(state_path, O_RDONLY |
	    O_DIRECTORY | O_CLOEXEC), state_path };
	uint8_t public[PK_SEAL_KEY_LEN];
	char why[PK_AUDIT_LOG_WHY];

	assert_int_not_equal(d.fd, -1);
	assert_true(pk_audit_seal_setup(&d, public, why));
	close(d.fd);
}

static unsigned
seals(void)
{
	return audited("\"event\":\"seal\"", "\"sig\":\"");
}

static void
test_policyd_says_once_that_nothing_is_sealed(void **state)
{
	(void)state;
	start("");
	WAIT_UNTIL(logged("the log is not sealed: \"popkeep audit setup\"") >
	    0);
	(void)sleep(2);
	assert_int_equal(logged("the log is not sealed"), 1);
	assert_int_equal(seals(), 0);
	/* A key is found when it is there. */
	set_up_key();
	WAIT_UNTIL(seals() == 1);
	WAIT_UNTIL(logged("it is sealed from now on") == 1);
	stop();
	assert_int_equal(seals(), 2);
	assert_int_equal(audited("\"event\":\"seal\"", "\"epoch\":1,"), 1);
}

static void
test_policyd_seals_when_there_is_something_new(void **state)
{
	(void)state;
	settings.audit_seal = 1;
	start("");
	set_up_key();
	WAIT_UNTIL(seals() == 1);
	(void)sleep(3);
	assert_int_equal(seals(), 1);
	anna = peer(1000, "anna", false);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DOWNLOADED, "1"),
	    PK_WIRE_OK);
	WAIT_UNTIL(seals() == 2);
	close(anna);
}

static void
send_downloads(unsigned count)
{
	unsigned i, in_packet = 0;

	begin_records("anna", 0, PK_WIRE_DURABLE, 4);
	for (i = 0; i < count; i++, in_packet++) {
		if (in_packet == 100) {
			transmit(anna);
			assert_int_equal(recorded(anna, 4), PK_WIRE_OK);
			begin_records("anna", 0, PK_WIRE_DURABLE, 4);
			in_packet = 0;
		}
		assert_true(put_item(PK_AUDIT_DOWNLOADED, "1", ""));
	}
	transmit(anna);
	assert_int_equal(recorded(anna, 4), PK_WIRE_OK);
}

/* Long before the time for it. */
static void
test_policyd_seals_many_records(void **state)
{
	(void)state;
	start("");
	set_up_key();
	WAIT_UNTIL(seals() == 1);
	anna = peer(1000, "anna", false);
	send_downloads(9999);
	(void)sleep(2);
	assert_int_equal(seals(), 1);
	send_downloads(1);
	WAIT_UNTIL(seals() == 2);
	close(anna);
}

static void
test_policyd_goes_on_with_a_damaged_key(void **state)
{
	char key[sizeof(state_path) + 16], text[PK_WIRE_TEXT + 1];

	(void)state;
	settings.audit_seal = 1;
	start(BASE);
	anna = peer(1000, "anna", false);
	root = peer(0, "", true);
	(void)snprintf(key, sizeof(key), "%s/seal.key", state_path);
	put(key, "popkeep-seal 1\n");
	assert_int_equal(chmod(key, 0600), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(key, NOBODY, NOBODY), 0);
	WAIT_UNTIL(logged("it cannot be sealed: ") > 0);
	assert_int_equal(lines_with(log_path, key, "expected one line"), 1);
	(void)sleep(3);
	assert_int_equal(logged("it cannot be sealed: "), 1);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(lines_with(key, "popkeep-seal 1", ""), 1);
	assert_int_equal(unlink(key), 0);
	set_up_key();
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	WAIT_UNTIL(seals() == 1);
	WAIT_UNTIL(logged("it is sealed again") == 1);
	close(anna);
	close(root);
}

/* A mended key is looked at after a reload, whenever it were to be. */
static void
test_policyd_seals_soon_after_a_reload(void **state)
{
	char key[sizeof(state_path) + 16], text[PK_WIRE_TEXT + 1];

	(void)state;
	start(BASE);
	root = peer(0, "", true);
	(void)snprintf(key, sizeof(key), "%s/seal.key", state_path);
	put(key, "");
	WAIT_UNTIL(logged("it cannot be sealed: ") > 0);
	assert_int_equal(unlink(key), 0);
	set_up_key();
	(void)sleep(2);
	assert_int_equal(seals(), 0);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	WAIT_UNTIL(seals() == 1);
	close(root);
}

/* What is asked for while the disk fails has no seal; then it has one. */
static void
test_policyd_seals_once_the_disk_works_again(void **state)
{
	(void)state;
	settings.audit_seal = 1;
	start(BASE);
	set_up_key();
	WAIT_UNTIL(seals() == 1);
	anna = peer(1000, "anna", false);
	shared->sync_fails = true;
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_FAILED);
	(void)sleep(2);
	assert_int_equal(seals(), 1);
	shared->sync_fails = false;
	WAIT_UNTIL(seals() == 2);
	close(anna);
}

/* ---- tests: metrics ----------------------------------------------------- */

static char metrics_path[256], metrics_socket[256];

static void
start_with_metrics(void)
{
	(void)snprintf(metrics_path, sizeof(metrics_path), "%s/m/p.prom", dir);
	(void)snprintf(metrics_socket, sizeof(metrics_socket), "%s/m.sock",
	    dir);
	settings.metrics = metrics_path;
	settings.metrics_socket = metrics_socket;
	start(BASE);
	anna = peer(1000, "anna", false);
	root = peer(0, "", true);
}

/* All that the socket says to a request; "": it says nothing. */
static const char *
scrape(const char *request)
{
	static char said[65536];
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;

	TEXT(sun.sun_path, metrics_socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)),
	    0);
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	while ((n = recv(fd, said + len, sizeof(said) - 1 - len, 0)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fd);
	return said;
}

#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

static bool
exports(const char *line)
{
	return strstr(scrape(GET), line) != NULL;
}

static void
test_policyd_exports_what_it_knows(void **state)
{
	struct pk_msg_figures m;

	(void)state;
	start_with_metrics();
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_OK);
	/* What is refused is not counted. */
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_SWEEP, "1"),
	    PK_WIRE_DENIED);
	assert_true(exports("popkeep_records_total{event=\"disposed\"} 1\n"));
	assert_true(exports("popkeep_records_total{event=\"sweep\"} 0\n"));
	assert_true(exports("popkeep_peers 2\n"));
	assert_true(exports("popkeep_rules 1\n"));
	assert_true(exports("popkeep_holds 1\n"));
	assert_true(exports("popkeep_groups_age_seconds "));
	assert_true(exports("popkeep_audit_written_records_total 5\n"));
	assert_true(exports("popkeep_audit_sync_seconds_count "));
	assert_false(exports("popkeep_audit_sync_seconds_count 0\n"));
	/* Of sessions it hears from its parent alone. */
	assert_false(exports("\npopkeep_sessions_open "));
	memset(&m, 0, sizeof(m));
	m.open = 3;
	m.octets = 1234;
	m.ended[PK_ENDED_IDLE] = 7;
	assert_int_equal(pk_channel_send(parent, PK_MSG_FIGURES, &m, -1), 0);
	WAIT_UNTIL(exports("popkeep_sessions_open 3\n"));
	assert_true(exports("popkeep_sessions_total{end=\"idle\"} 7\n"));
	assert_true(exports("popkeep_sent_bytes_total 1234\n"));
	close(anna);
	close(root);
}

static void
test_policyd_counts_without_an_audit_log(void **state)
{
	(void)state;
	(void)snprintf(metrics_socket, sizeof(metrics_socket), "%s/m.sock",
	    dir);
	settings.metrics_socket = metrics_socket;
	start("audit = off\n");
	root = peer(0, "", true);
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_int_equal(audited("anna", ""), 0);
	assert_true(exports("popkeep_records_total{event=\"login\"} 1\n"));
	close(root);
}

/* As a sweep does at its end. */
static void
record_rule(int fd, const char *rule, const char *reason)
{
	struct pk_audit_context c;

	memset(&c, 0, sizeof(c));
	TEXT(c.rule, rule);
	pk_wire_begin(&w, out, PK_WIRE_RECORDS, 0, 18);
	pk_wire_put_context(&w, &c, 0);
	assert_true(put_item(PK_AUDIT_SWEEP, "", reason));
	transmit(fd);
	assert_int_equal(recorded(fd, 18), PK_WIRE_OK);
}

static void
test_policyd_exports_what_a_sweep_left(void **state)
{
	char text[PK_WIRE_TEXT + 1];

	(void)state;
	start_with_metrics();
	assert_int_equal(record_why(root, "", 0, PK_AUDIT_SWEEP, "",
	    "mailboxes=9 busy=1 braked=2 failed=3 scope=all root"),
	    PK_WIRE_OK);
	assert_true(exports("popkeep_sweep_mailboxes{state=\"braked\"} 2\n"));
	assert_true(exports("popkeep_sweep_timestamp_seconds 1"));
	assert_false(exports("popkeep_overdue_messages{"));
	record_rule(root, "r", "overdue=5 oldest=90");
	record_rule(root, "gone", "overdue=5 oldest=90");
	assert_int_equal(record_why(root, "", 0, PK_AUDIT_SWEEP, "",
	    "mailboxes=9 busy=1 braked=2 failed=3 scope=all root"),
	    PK_WIRE_OK);
	assert_true(exports("popkeep_overdue_messages{rule=\"r\"} 5\n"));
	assert_true(exports("popkeep_overdue_oldest_seconds{rule=\"r\"} 90\n"));
	/* Only of rules that there are. */
	assert_false(exports("rule=\"gone\""));
	put(policy_path, "");
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_false(exports("popkeep_overdue_messages{"));
	close(anna);
	close(root);
}

static void
test_policyd_knows_when_its_log_fails(void **state)
{
	(void)state;
	start_with_metrics();
	assert_true(exports("popkeep_audit_failing 0\n"));
	shared->sync_fails = true;
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_FAILED);
	assert_true(exports("popkeep_audit_failing 1\n"));
	assert_false(exports("popkeep_audit_waiting_records 0\n"));
	shared->sync_fails = false;
	WAIT_UNTIL(exports("popkeep_audit_failing 0\n"));
	assert_true(exports("popkeep_audit_waiting_records 0\n"));
	assert_true(exports("popkeep_audit_lost_records_total 0\n"));
	close(anna);
	close(root);
}

static void
test_policyd_tells_the_age_of_its_seals(void **state)
{
	(void)state;
	settings.audit_seal = 1000;
	start_with_metrics();
	WAIT_UNTIL(exports("popkeep_audit_seal_key 0\n"));
	assert_false(exports("\npopkeep_audit_seal_age_seconds "));
	set_up_key();
	WAIT_UNTIL(exports("popkeep_audit_seal_key 1\n"));
	assert_true(exports("popkeep_audit_seal_failing 0\n"));
	assert_true(exports("popkeep_audit_seal_interval_seconds 1000\n"));
	assert_true(exports("popkeep_audit_unsealed_records 0\n"));
	assert_true(exports("\npopkeep_audit_seal_age_seconds "));
	assert_true(exports("popkeep_records_total{event=\"seal\"} 1\n"));
	close(anna);
	close(root);
}

static void
test_policyd_answers_http_and_nothing_else(void **state)
{
	static char longest[20000];
	int fds[8], i;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	time_t began;

	(void)state;
	start_with_metrics();
	assert_int_equal(strncmp(scrape(GET), "HTTP/1.0 200 OK\r\n"
	    "Content-Type: application/openmetrics-text; version=1.0.0; "
	    "charset=utf-8\r\nContent-Length: ", 99), 0);
	assert_non_null(strstr(scrape("GET / HTTP/1.0\n\n"), "\n# EOF\n"));
	assert_int_equal(strncmp(scrape("POST / HTTP/1.0\r\n\r\n"),
	    "HTTP/1.0 405 Method Not Allowed\r\nAllow: GET\r\n", 44), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	began = time(NULL);
	assert_string_equal(scrape(longest), "");
	assert_true(time(NULL) - began < 5);
	/* Those who say nothing keep others out of it, and of nothing else. */
	TEXT(sun.sun_path, metrics_socket);
	for (i = 0; i < 8; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&sun,
		    sizeof(sun)), 0);
	}
	assert_string_equal(scrape(GET), "");
	assert_int_equal(user_is(anna, "anna", "").result, PK_WIRE_OK);
	for (i = 0; i < 8; i++)
		close(fds[i]);
	WAIT_UNTIL(exports("# EOF\n"));
	close(anna);
	close(root);
}

/* A file that cannot be written is told of once, and nothing else suffers. */
static void
test_policyd_goes_on_without_its_metrics(void **state)
{
	char place[280];
	struct stat st;

	(void)state;
	(void)snprintf(place, sizeof(place), "%s/m", dir);
	assert_int_equal(mkdir(place, 0755), 0);
	if (geteuid() != 0)
		assert_int_equal(chmod(place, 0500), 0);
	start_with_metrics();
	WAIT_UNTIL(logged("metrics: ") == 1);
	assert_int_equal(logged("warning metrics: "), 1);
	assert_int_equal(logged("m/p.prom: Permission denied"), 1);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	close(anna);
	close(root);
	stop();
	/* At the end, too, it could not be written. */
	assert_int_equal(logged("metrics: "), 1);
	start_with_metrics();
	WAIT_UNTIL(logged("metrics: ") == 2);
	assert_int_equal(geteuid() == 0 ? chown(place, NOBODY, NOBODY) :
	    chmod(place, 0700), 0);
	close(anna);
	close(root);
	stop();
	assert_int_equal(logged("metrics: "), 3);
	assert_int_equal(logged("is written again"), 1);
	assert_int_equal(stat(metrics_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(lines_with(metrics_path,
	    "popkeep_records_total{event=\"stop\"} 1", ""), 1);
	assert_int_equal(lines_with(metrics_path, "# EOF", ""), 1);
	(void)snprintf(place, sizeof(place), "%s.new", metrics_path);
	assert_int_equal(access(place, F_OK), -1);
}

/* ---- tests: segments of the log ----------------------------------------- */

/* Octets of a file that the log does not reach by itself. */
#define SMALL	3000

static unsigned
segments_with(const char *a, const char *b, bool *sealed_r)
{
	struct pk_audit_segments s;
	char path[PATH_MAX], *line = NULL;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	unsigned count = 0;
	size_t i, room = 0;

	*sealed_r = true;
	assert_int_equal(pk_audit_segments_list(fd, audit_path, &s), 0);
	for (i = 0; i < s.count; i++) {
		FILE *f;
		bool sealed = false;

		assert_true(pk_audit_segment_path(audit_path, s.first[i],
		    path));
		count += lines_with(path, a, b) > 0;
		f = fopen(path, "r");
		while (getline(&line, &room, f) > 0)
			sealed = strstr(line, "\"event\":\"seal\"") != NULL;
		fclose(f);
		*sealed_r = *sealed_r && sealed;
	}
	free(line);
	close(fd);
	pk_audit_segments_free(&s);
	return count;
}

/* Without opening them: one may be removed at this moment. */
static unsigned
segments(void)
{
	struct pk_audit_segments s;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	unsigned count;

	assert_int_equal(pk_audit_segments_list(fd, audit_path, &s), 0);
	count = (unsigned)s.count;
	close(fd);
	pk_audit_segments_free(&s);
	return count;
}

static void
test_policyd_rotates_behind_a_seal(void **state)
{
	bool sealed;

	(void)state;
	settings.audit_rotate = SMALL;
	start(BASE);
	set_up_key();
	WAIT_UNTIL(seals() == 1);
	anna = peer(1000, "anna", false);
	send_downloads(20);
	WAIT_UNTIL(segments() == 1);
	/* What is asked for goes on, and an intent is remembered. */
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	send_downloads(20);
	WAIT_UNTIL(segments() == 2);
	assert_int_equal(segments_with("", "", &sealed), 2);
	assert_true(sealed);
	close(anna);
	kill_it();
	start(NULL);
	anna = peer(1000, "anna", false);
	assert_int_equal(unfinished(anna, "anna"), 1);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_OK);
	close(anna);
	assert_int_equal(logged("cannot be"), 0);
}

static void
test_policyd_rotates_without_a_key(void **state)
{
	(void)state;
	start("");
	anna = peer(1000, "anna", false);
	send_downloads(20);
	assert_int_equal(segments(), 0);
	/* The limit comes with a reload, as the others do. */
	reload_audit(SMALL, 0);
	WAIT_UNTIL(segments() == 1);
	send_downloads(1);
	close(anna);
	stop();
	assert_int_equal(segments(), 1);
	start("");
	stop();
}

/* Where sealing fails, a segment would end without a seal. */
static void
test_policyd_rotates_no_log_that_cannot_be_sealed(void **state)
{
	char key[sizeof(state_path) + 16];

	(void)state;
	start("");
	(void)snprintf(key, sizeof(key), "%s/seal.key", state_path);
	put(key, "");
	WAIT_UNTIL(logged("it cannot be sealed: ") > 0);
	reload_audit(SMALL, 0);
	anna = peer(1000, "anna", false);
	send_downloads(20);
	(void)sleep(2);
	assert_int_equal(segments(), 0);
	close(anna);
}

static void
test_policyd_goes_on_in_a_directory_that_is_not_its_own(void **state)
{
	char text[PK_WIRE_TEXT + 1];

	(void)state;
	if (geteuid() != 0)
		skip();
	settings.audit_rotate = SMALL;
	start("");
	assert_int_equal(chown(dir, 0, 0), 0);
	anna = peer(1000, "anna", false);
	root = peer(0, "", true);
	send_downloads(20);
	WAIT_UNTIL(logged("audit.log: Permission denied: it goes on growing")
	    > 0);
	(void)sleep(2);
	assert_int_equal(logged("it goes on growing"), 1);
	send_downloads(20);
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	reload_audit(SMALL, 0);
	WAIT_UNTIL(segments() == 1);
	WAIT_UNTIL(logged("audit: it is rotated again") == 1);
	close(anna);
	close(root);
}

static void
test_policyd_prunes_what_is_too_old(void **state)
{
	bool sealed;

	(void)state;
	settings.audit_rotate = SMALL;
	start("");
	set_up_key();
	WAIT_UNTIL(seals() == 1);
	anna = peer(1000, "anna", false);
	send_downloads(20);
	WAIT_UNTIL(segments() == 1);
	send_downloads(20);
	WAIT_UNTIL(segments() == 2);
	/* Not those that are young, and none without being told to. */
	reload_audit(SMALL, 86400);
	(void)sleep(2);
	assert_int_equal(segments_with("downloaded", "", &sealed), 2);
	reload_audit(100 * SMALL, 1);
	WAIT_UNTIL(segments_with("downloaded", "", &sealed) == 0);
	assert_int_equal(segments(), 2);
	assert_true(sealed);
	assert_int_equal(audited("\"event\":\"pruned\"", "\"records 1 to "),
	    2);
	WAIT_UNTIL(logged("audit: pruned: records 1 to ") == 2);
	/* Once. */
	reload_audit(100 * SMALL, 1);
	(void)sleep(2);
	assert_int_equal(audited("\"event\":\"pruned\"", ""), 2);
	close(anna);
	stop();
	start(NULL);
	stop();
}

static void
test_policyd_removes_what_is_too_old_and_has_no_seal(void **state)
{
	(void)state;
	settings.audit_rotate = SMALL;
	start("");
	anna = peer(1000, "anna", false);
	send_downloads(20);
	WAIT_UNTIL(segments() == 1);
	send_downloads(1);
	/* It is looked for once, when it is old enough. */
	(void)sleep(2);
	reload_audit(100 * SMALL, 1);
	WAIT_UNTIL(segments() == 0);
	assert_int_equal(audited("\"event\":\"pruned\"", "\"records 1 to "),
	    1);
	assert_int_equal(audited("downloaded", ""), 1);
	close(anna);
	stop();
	/* Its first records are missing, and one says why. */
	start(NULL);
	stop();
}

/* Records without an end, until nobody takes them any more. */
static _Noreturn void
flood(void)
{
	begin_records("anna", 0, PK_WIRE_DURABLE, 4);
	if (!put_item(PK_AUDIT_DOWNLOADED, "1", ""))
		_exit(1);
	while (send(anna, out, w.len, MSG_NOSIGNAL) > 0 &&
	    recv(anna, in, sizeof(in), 0) > 0)
		(void)usleep(1000);
	_exit(0);
}

/* Killed at moments that are spread over those of many rotations. */
static void
test_policyd_is_whole_after_any_kill(void **state)
{
	char command[512];
	pid_t sender;
	unsigned i, count;
	int status;

	(void)state;
	settings.audit_rotate = SMALL;
	for (i = 0; i < 10; i++) {
		start(i == 0 ? "" : NULL);
		if (i == 0)
			set_up_key();
		anna = peer(1000, "anna", false);
		sender = fork();
		if (sender == 0)
			flood();
		(void)usleep(1000000 + i * 379001 % 900000);
		kill_it();
		assert_int_equal(waitpid(sender, NULL, 0), sender);
		close(anna);
	}
	start(NULL);
	stop();
	count = segments();
	print_message("%u segments\n", count);
	assert_true(count >= 5);
	(void)snprintf(command, sizeof(command), "standalone/popkeep audit "
	    "verify %s >%s/verified 2>&1", audit_path, dir);
	status = system(command);
	(void)snprintf(command, sizeof(command), "cat %s/verified", dir);
	(void)!system(command);
	/* Nothing is amiss, and there is no anchor. */
	assert_int_equal(WEXITSTATUS(status), 3);
}

/* ---- tests: the archive of policies --------------------------------------- */

/* The file of the policy that the last record names; false: it is not there. */
static bool
archived(char path[sizeof(state_path) + 80], char sha256[65])
{
	char command[sizeof(state_path) + 160], name[65];
	FILE *f;
	bool ok;

	(void)snprintf(command, sizeof(command), "tail -n 1 %s | sed 's/.*"
	    "\"policy\":\"\\([0-9a-f]*\\)\".*/\\1/'", audit_path);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%64s", name), 1);
	pclose(f);
	(void)snprintf(path, sizeof(state_path) + 80, "%s/policies/%s",
	    state_path, name);
	(void)snprintf(command, sizeof(command), "sha256sum <%s", path);
	f = popen(command, "r");
	assert_non_null(f);
	ok = fscanf(f, "%64s", sha256) == 1 && strcmp(sha256, name) == 0;
	pclose(f);
	return ok && access(path, F_OK) == 0;
}

static void
test_policyd_archives_each_policy(void **state)
{
	char path[2][sizeof(state_path) + 80], sha256[65];
	char text[PK_WIRE_TEXT + 1];
	struct stat st;

	(void)state;
	start(BASE);
	root = peer(0, "", true);
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_true(archived(path[0], sha256));
	assert_int_equal(lines_with(path[0], "retention", ""), 1);
	assert_int_equal(stat(path[0], &st), 0);
	assert_int_equal(st.st_mode & 07777, 0440);
	put(policy_path, BASE "# another one\n");
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_true(archived(path[1], sha256));
	assert_string_not_equal(path[0], path[1]);
	assert_int_equal(access(path[0], F_OK), 0);
	/* What a crash has left in the midst is no hindrance. */
	(void)snprintf(path[1], sizeof(path[1]), "%s/policies/.new",
	    state_path);
	put(path[1], "half");
	assert_int_equal(chmod(path[1], 0440), 0);
	put(policy_path, BASE "# a third\n");
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_true(archived(path[1], sha256));
	assert_int_equal(logged("not archived"), 0);
	/* One that is there is not written again. */
	put(policy_path, BASE);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	assert_int_equal(record(root, "anna", 0, PK_AUDIT_LOGIN, ""),
	    PK_WIRE_OK);
	assert_true(archived(path[1], sha256));
	assert_string_equal(path[0], path[1]);
	close(root);
}

/* What is in the way is told once, and a policy is in force all the same. */
static void
test_policyd_archives_when_it_can(void **state)
{
	char path[sizeof(state_path) + 80], sha256[65];

	(void)state;
	start(BASE);
	stop();
	(void)snprintf(path, sizeof(path), "rm -r %s/policies", state_path);
	assert_int_equal(system(path), 0);
	(void)snprintf(path, sizeof(path), "%s/policies", state_path);
	put(path, "");
	start(NULL);
	WAIT_UNTIL(logged("the policy in force: not archived") == 1);
	anna = peer(1000, "anna", false);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	(void)sleep(2);
	assert_int_equal(logged("the policy in force: not archived"), 1);
	assert_int_equal(unlink(path), 0);
	WAIT_UNTIL(logged("the policy in force: archived now") == 1);
	assert_true(archived(path, sha256));
	close(anna);
}

/* ---- tests: beginning and end ------------------------------------------- */

static void
test_policyd_does_without_an_audit_log(void **state)
{
	(void)state;
	start("audit = off\n");
	anna = peer(1000, "anna", false);
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(record(anna, "anna", 0, PK_AUDIT_DISPOSED, "1"),
	    PK_WIRE_OK);
	assert_int_equal(audited("anna", ""), 0);
	close(anna);
}

static void
test_policyd_does_not_start_wrongly(void **state)
{
	(void)state;
	/* No policy, one with an error, and a log that is none. */
	assert_false(try_start());
	assert_int_equal(WEXITSTATUS(reap()), 1);
	put(policy_path, "nonsense\n");
	assert_false(try_start());
	assert_int_equal(WEXITSTATUS(reap()), 1);
	put(policy_path, "");
	assert_int_equal(unlink(audit_path), 0);
	put(audit_path, "precious\n");
	assert_int_equal(chmod(audit_path, 0666), 0);
	assert_false(try_start());
	assert_int_equal(WEXITSTATUS(reap()), 1);
	assert_int_equal(audited("precious", ""), 1);
	assert_true(logged("audit.log:1: no audit record") > 0);
	assert_int_equal(unlink(audit_path), 0);
	start(NULL);
	stop();
	assert_int_equal(audited("\"event\":\"start\"", ""), 1);
	assert_int_equal(audited("\"event\":\"stop\"", ""), 1);
}

static void
test_policyd_leaves_another_one_alone(void **state)
{
	pid_t second = fork();
	int status, fd;

	(void)state;
	if (second == 0)
		be_policyd(-1);
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(logged("another popkeep-policyd writes it"), 1);
	/* The first is still to be reached. */
	assert_int_equal(intend(anna, "anna", "1"), PK_WIRE_OK);
	if (geteuid() != 0)
		skip();
	fd = socket_peer(0);
	assert_int_equal(user_is(fd, "anna", "").result, PK_WIRE_OK);
	close(fd);
}

static void
test_policyd_ends_when_nobody_asks_any_more(void **state)
{
	(void)state;
	/* popkeepd stops, and a session still has something to say. */
	close(parent);
	parent = -1;
	(void)usleep(200000);
	assert_int_equal(waitpid(policyd, NULL, WNOHANG), 0);
	assert_int_equal(intend(anna, "anna", "late"), PK_WIRE_OK);
	begin_records("anna", 0, PK_WIRE_QUIET, 1);
	assert_true(put_item(PK_AUDIT_DISPOSED, "late", ""));
	transmit(anna);
	close(anna);
	close(root);
	assert_int_equal(reap(), 0);
	assert_int_equal(audited("\"late\"", "disposed"), 1);
	assert_int_equal(audited("\"event\":\"stop\"", ""), 1);
	anna = root = -1;
}

static void
test_policyd_does_not_wait_for_ever_at_the_end(void **state)
{
	(void)state;
	stop();
	assert_false(answer(anna, PK_WIRE_DONE, 0));
}

static void
test_policyd_writes_everything_at_sigterm(void **state)
{
	(void)state;
	put(policy_path, BASE);
	policyd = fork();
	if (policyd == 0)
		be_policyd(-1);
	if (geteuid() != 0) {
		(void)kill(policyd, SIGKILL);
		(void)reap();
		skip();
	}
	WAIT_UNTIL(access(socket_path, F_OK) == 0 &&
	    audited("\"event\":\"hold\"", "") == 1);
	root = socket_peer(0);
	assert_int_equal(intend(root, "anna", "1"), PK_WIRE_OK);
	assert_int_equal(kill(policyd, SIGSTOP), 0);
	begin_records("anna", 0, PK_WIRE_QUIET, 1);
	assert_true(put_item(PK_AUDIT_DISPOSED, "1", ""));
	transmit(root);
	assert_int_equal(kill(policyd, SIGTERM), 0);
	assert_int_equal(kill(policyd, SIGCONT), 0);
	assert_int_equal(reap(), 0);
	assert_int_equal(audited("\"event\":\"disposed\"", ""), 1);
	assert_int_equal(audited("\"event\":\"stop\"", ""), 1);
	close(root);
}

/* A long name of the policy, and everything that can be said of it. */
static void
test_policyd_tells_its_status_in_whole_lines(void **state)
{
	char text[PK_WIRE_TEXT + 1], name[201];
	size_t len = strlen(dir), i;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(policy_path, sizeof(policy_path), "%s", dir);
	for (i = 0; i < 4; i++) {
		len += (size_t)snprintf(policy_path + len,
		    sizeof(policy_path) - len, "/%.*s", i < 3 ? 200 : 180,
		    name);
		assert_int_equal(mkdir(policy_path, 0755), 0);
	}
	(void)snprintf(policy_path + len, sizeof(policy_path) - len,
	    "/%.100s", name);
	start("retention \"a\" { }\n");
	put(policy_path, "retention \"a\" { unread = \"1d\" }\n");
	root = peer(0, "", true);
	assert_int_equal(done(root, PK_WIRE_RELOAD, text), PK_WIRE_OK);
	shared->sync_fails = true;
	assert_int_equal(intend(root, "anna", "1"), PK_WIRE_FAILED);
	assert_int_equal(done(root, PK_WIRE_STATUS, text), PK_WIRE_OK);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_non_null(strstr(text, ": nothing is disposed of\n"));
	assert_non_null(strstr(text, "brake: rule a waits for "
	    "\"popkeep policy accept\"\n"));
	shared->sync_fails = false;
	close(root);
}

/*
 * Those of segments take their time: a program of their own, which is this one
 * by another name.
 */
int
main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_RUNNING(f) cmocka_unit_test_setup_teardown(f, setup_running, \
	teardown_running)
	const struct CMUnitTest tests[] = {
		TEST_RUNNING(test_policyd_says_what_the_policy_says),
		TEST_RUNNING(test_policyd_judges_logins_for_auth_alone),
		TEST_RUNNING(test_policyd_lets_a_mailbox_name_its_user_alone),
		TEST_RUNNING(
		    test_policyd_lets_nobody_dispose_of_what_is_held),
		TEST_RUNNING(
		    test_policyd_lets_a_mailbox_report_its_messages_alone),
		TEST_RUNNING(
		    test_policyd_lets_virtual_mailboxes_name_anybody),
		TEST_RUNNING(
		    test_policyd_takes_no_outcome_without_its_intent),
		TEST_RUNNING(test_policyd_takes_no_intent_of_another_state),
		TEST_RUNNING(test_policyd_obeys_the_administrator_alone),
		TEST_RUNNING(test_policyd_takes_rights_for_good),
		TEST_RUNNING(
		    test_policyd_knows_peers_of_its_socket_by_their_uid),
		TEST(test_policyd_lets_auth_elsewhere_ask_of_logins_alone),
		TEST(test_policyd_spells_the_users_of_requests),
		TEST_RUNNING(test_policyd_explains_what_nobody_may),
		TEST(test_policyd_gives_virtual_mailboxes_no_more_than_that),
		TEST_RUNNING(test_policyd_ends_who_sends_nonsense),
		TEST_RUNNING(test_policyd_has_on_disk_what_it_said_was),
		TEST_RUNNING(
		    test_policyd_answers_no_durable_record_before_the_disk),
		TEST_RUNNING(test_policyd_says_nothing_of_quiet_records),
		TEST_RUNNING(test_policyd_hears_the_last_words_of_a_peer),
		TEST_RUNNING(test_policyd_writes_for_many_at_once),
		TEST_RUNNING(
		    test_policyd_does_not_wait_for_who_reads_nothing),
		TEST_RUNNING(test_policyd_has_room_for_others),
		TEST_RUNNING(
		    test_policyd_takes_no_intent_while_the_log_fails),
		TEST_RUNNING(test_policyd_keeps_room_while_the_log_fails),
		TEST_RUNNING(test_policyd_keeps_the_old_policy_over_an_error),
		TEST_RUNNING(
		    test_policyd_refuses_what_does_not_fit_the_table),
		TEST_RUNNING(test_policyd_records_holds),
		TEST(test_policyd_records_holds_over_a_restart),
		TEST_RUNNING(test_policyd_brakes_until_it_is_accepted),
		TEST_RUNNING(
		    test_policyd_brakes_although_the_state_cannot_be_saved),
		TEST_RUNNING(
		    test_policyd_brakes_everything_after_a_bad_state),
		TEST_RUNNING(test_policyd_sends_its_table_again),
		TEST(test_policyd_resolves_groups),
		TEST(test_policyd_resolves_first_groups_in_one_pass),
		TEST(test_policyd_resolves_groups_of_the_same_gid),
		TEST(test_policyd_follows_its_groups),
		TEST(test_policyd_follows_the_spelling_of_names),
		TEST(test_policyd_says_when_it_cannot_ask_for_groups),
		TEST(test_policyd_keeps_no_event_of_a_child_it_cannot_hear),
		TEST(test_policyd_lets_nobody_in_before_the_groups_are_known),
		TEST(test_policyd_says_once_that_nothing_is_sealed),
		TEST(test_policyd_seals_when_there_is_something_new),
		TEST(test_policyd_seals_many_records),
		TEST(test_policyd_goes_on_with_a_damaged_key),
		TEST(test_policyd_seals_soon_after_a_reload),
		TEST(test_policyd_seals_once_the_disk_works_again),
		TEST(test_policyd_exports_what_it_knows),
		TEST(test_policyd_counts_without_an_audit_log),
		TEST(test_policyd_exports_what_a_sweep_left),
		TEST(test_policyd_knows_when_its_log_fails),
		TEST(test_policyd_tells_the_age_of_its_seals),
		TEST(test_policyd_answers_http_and_nothing_else),
		TEST(test_policyd_goes_on_without_its_metrics),
		TEST(test_policyd_archives_each_policy),
		TEST(test_policyd_archives_when_it_can),
		TEST(test_policyd_does_without_an_audit_log),
		TEST(test_policyd_does_not_start_wrongly),
		TEST_RUNNING(test_policyd_leaves_another_one_alone),
		TEST_RUNNING(test_policyd_ends_when_nobody_asks_any_more),
		TEST_RUNNING(test_policyd_does_not_wait_for_ever_at_the_end),
		TEST(test_policyd_writes_everything_at_sigterm),
		TEST(test_policyd_tells_its_status_in_whole_lines),
	};
	const struct CMUnitTest segment_tests[] = {
		TEST(test_policyd_rotates_behind_a_seal),
		TEST(test_policyd_rotates_without_a_key),
		TEST(test_policyd_rotates_no_log_that_cannot_be_sealed),
		TEST(test_policyd_goes_on_in_a_directory_that_is_not_its_own),
		TEST(test_policyd_prunes_what_is_too_old),
		TEST(test_policyd_removes_what_is_too_old_and_has_no_seal),
		TEST(test_policyd_is_whole_after_any_kill),
	};

	if (argc > 0 && strstr(argv[0], "test_policyd_segments") != NULL)
		return cmocka_run_group_tests(segment_tests, group_setup, NULL);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
