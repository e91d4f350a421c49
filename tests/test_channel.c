/*
 * Messages between the roles: what a peer may not say ends it, and never reaches
 * the receiver.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "standalone/channel.h"

#define ANY 0xffffffffu

struct pair {
	int a, b;
};

static int
setup(void **state)
{
	struct pair *p = malloc(sizeof(*p));
	int fds[2];

	if (p == NULL || pk_channel_pair(fds, true) != 0)
		return -1;
	p->a = fds[0];
	p->b = fds[1];
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	close(p->a);
	if (p->b != -1)
		close(p->b);
	free(p);
	return 0;
}

/* Open descriptors of this process. */
static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

static enum pk_received
receive(int fd, unsigned permitted, union pk_msg *m, int *pass)
{
	enum pk_msg_type type;

	return pk_channel_recv(fd, permitted, &type, m, pass);
}

/* Send octets as they are: what a compromised peer could. */
static void
send_raw(int fd, uint32_t type, size_t len, const void *body)
{
	uint8_t buf[sizeof(uint32_t) + sizeof(union pk_msg) + 64];

	memset(buf, 0, sizeof(buf));
	memcpy(buf, &type, sizeof(type));
	if (body != NULL)
		memcpy(buf + sizeof(type), body, len);
	assert_int_equal(send(fd, buf, sizeof(type) + len, 0),
	    (ssize_t)(sizeof(type) + len));
}

static void
test_channel_delivers_a_message_with_its_tail(void **state)
{
	struct pair *p = *state;
	struct pk_msg_login l;
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	memset(&l, 0, sizeof(l));
	l.id = 0x1122334455667788;
	l.secret_len = 3;
	memcpy(l.secret, "abc", 3);
	assert_int_equal(pk_channel_send(p->a, PK_MSG_LOGIN, &l, -1), 0);
	assert_int_equal(pk_channel_recv(p->b, PK_MSG_BIT(PK_MSG_LOGIN),
	    &type, &m, &pass), PK_RECEIVED);
	assert_int_equal(type, PK_MSG_LOGIN);
	assert_int_equal(pass, -1);
	assert_true(m.login.id == l.id);
	assert_memory_equal(m.login.secret, "abc", 3);
}

static void
test_channel_passes_a_descriptor(void **state)
{
	struct pair *p = *state;
	struct pk_msg_claim c = { .id = 7 };
	int before = descriptors(), pass;
	union pk_msg m;

	assert_int_equal(pk_channel_send(p->a, PK_MSG_CLAIM, &c,
	    STDIN_FILENO), 0);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED);
	assert_true(pass > STDERR_FILENO);
	assert_true((fcntl(pass, F_GETFD) & FD_CLOEXEC) != 0);
	close(pass);
	assert_int_equal(descriptors(), before);
}

static void
test_channel_refuses_what_is_not_permitted_now(void **state)
{
	struct pair *p = *state;
	union pk_msg m;
	int pass;

	assert_int_equal(pk_channel_send(p->a, PK_MSG_READY, NULL, -1), 0);
	assert_int_equal(receive(p->b, ANY & ~PK_MSG_BIT(PK_MSG_READY), &m,
	    &pass), PK_RECEIVED_NONSENSE);
}

/* Every type, a length too short and too long, and types that are none. */
static void
test_channel_refuses_wrong_lengths_and_types(void **state)
{
	struct pair *p = *state;
	union pk_msg m;
	uint32_t type;
	int pass;

	for (type = 0; type < 40; type++) {
		print_message("case: type %u\n", type);
		send_raw(p->a, type, sizeof(m), NULL);
		assert_int_equal(receive(p->b, ANY, &m, &pass),
		    PK_RECEIVED_NONSENSE);
		send_raw(p->a, type, 3, NULL);
		assert_int_equal(receive(p->b, ANY, &m, &pass),
		    PK_RECEIVED_NONSENSE);
	}
	assert_int_equal(send(p->a, "xy", 2, 0), 2);
	assert_int_equal(receive(p->b, ANY, &m, &pass),
	    PK_RECEIVED_NONSENSE);
}

static void
test_channel_refuses_a_tail_of_another_length(void **state)
{
	struct pair *p = *state;
	struct pk_msg_claim c = { .id = 1, .leftover_len = 5 };
	struct pk_msg_login l;
	union pk_msg m;
	int pass;

	memset(&l, 0, sizeof(l));
	l.secret_len = 10;
	send_raw(p->a, PK_MSG_LOGIN, offsetof(struct pk_msg_login, secret) + 9,
	    &l);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
	l.secret_len = 0;
	l.user_len = sizeof(l.user);
	send_raw(p->a, PK_MSG_LOGIN, offsetof(struct pk_msg_login, secret),
	    &l);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
	c.leftover_len = PK_LEFTOVER_MAX + 1;
	assert_int_equal(pk_channel_send(p->a, PK_MSG_CLAIM, &c, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
}

static void
test_channel_refuses_strings_without_an_end(void **state)
{
	struct pair *p = *state;
	struct pk_msg_approval a;
	struct pk_msg_checked c;
	union pk_msg m;
	int pass;

	memset(&a, 0, sizeof(a));
	memset(a.account.maildir, 'x', sizeof(a.account.maildir));
	send_raw(p->a, PK_MSG_APPROVAL, sizeof(a), &a);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
	memset(&c, 0, sizeof(c));
	memset(c.reason, 'x', sizeof(c.reason));
	send_raw(p->a, PK_MSG_CHECKED, sizeof(c), &c);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
	memset(&c, 0, sizeof(c));
	c.result = PK_LOGIN_RESULTS;
	send_raw(p->a, PK_MSG_CHECKED, sizeof(c), &c);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
}

/* Every string of every message of a fixed form. */
#define STRING(type, s, member) { type, offsetof(struct s, member), \
	sizeof(((struct s *)0)->member) }
#define ACCOUNT(type, s) STRING(type, s, account.user), \
	STRING(type, s, account.rule), STRING(type, s, account.maildir), \
	STRING(type, s, account.retained)
static const struct {
	enum pk_msg_type type;
	size_t offset, size;
} strings[] = {
	ACCOUNT(PK_MSG_CHECKED, pk_msg_checked),
	STRING(PK_MSG_CHECKED, pk_msg_checked, reason),
	ACCOUNT(PK_MSG_APPROVAL, pk_msg_approval),
	STRING(PK_MSG_APPROVAL, pk_msg_approval, session),
	STRING(PK_MSG_APPROVAL, pk_msg_approval, rhost),
	ACCOUNT(PK_MSG_OPEN, pk_msg_open),
	STRING(PK_MSG_OPEN, pk_msg_open, session),
	STRING(PK_MSG_OPEN, pk_msg_open, rhost),
	STRING(PK_MSG_PEER, pk_msg_peer, only),
	STRING(PK_MSG_LOGIN, pk_msg_login, challenge),
	STRING(PK_MSG_LOGIN, pk_msg_login, rhost),
};

/* Send m with a descriptor where it must have one, and receive it. */
static enum pk_received
pass_on(struct pair *p, enum pk_msg_type type, const union pk_msg *m)
{
	bool wants = type == PK_MSG_OPEN || type == PK_MSG_PEER ||
	    type == PK_MSG_TABLE || type == PK_MSG_POLICY;
	enum pk_received got;
	union pk_msg back;
	int pass = -1;

	assert_int_equal(pk_channel_send(p->a, type, m, wants ? 0 : -1), 0);
	got = receive(p->b, ANY, &back, &pass);
	if (got == PK_RECEIVED && pass != -1)
		close(pass);
	return got;
}

static void
test_channel_wants_an_end_of_every_string(void **state)
{
	struct pair *p = *state;
	union pk_msg m;
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		print_message("case: %zu\n", i);
		memset(&m, 0, sizeof(m));
		memset((char *)&m + strings[i].offset, 'x',
		    strings[i].size - 1);
		assert_int_equal(pass_on(p, strings[i].type, &m),
		    PK_RECEIVED);
		memset((char *)&m + strings[i].offset, 'x', strings[i].size);
		assert_int_equal(pass_on(p, strings[i].type, &m),
		    PK_RECEIVED_NONSENSE);
	}
}

/* Numbers that stand for something, and how many there are of them. */
#define NUMBER(type, s, member, limit) { type, offsetof(struct s, member), \
	limit }
static const struct {
	enum pk_msg_type type;
	size_t offset;
	uint32_t limit;
} numbers[] = {
	NUMBER(PK_MSG_LOGIN, pk_msg_login, mech, PK_MECHANISMS),
	NUMBER(PK_MSG_LOGIN, pk_msg_login, tls, 2),
	NUMBER(PK_MSG_VERDICT, pk_msg_verdict, result, PK_LOGIN_RESULTS),
	NUMBER(PK_MSG_CHECKED, pk_msg_checked, result, PK_LOGIN_RESULTS),
	NUMBER(PK_MSG_APPROVAL, pk_msg_approval, mech, PK_MECHANISMS),
	NUMBER(PK_MSG_APPROVAL, pk_msg_approval, tls, 2),
	NUMBER(PK_MSG_OPEN, pk_msg_open, mech, PK_MECHANISMS),
	NUMBER(PK_MSG_OPEN, pk_msg_open, tls, 2),
	NUMBER(PK_MSG_CLOSED, pk_msg_closed, end, PK_SESSION_ENDS),
	NUMBER(PK_MSG_PEER, pk_msg_peer, trusted, 2),
};

static void
test_channel_refuses_numbers_that_mean_nothing(void **state)
{
	struct pair *p = *state;
	uint32_t value;
	union pk_msg m;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		print_message("case: %zu\n", i);
		memset(&m, 0, sizeof(m));
		value = numbers[i].limit - 1;
		memcpy((char *)&m + numbers[i].offset, &value, sizeof(value));
		assert_int_equal(pass_on(p, numbers[i].type, &m),
		    PK_RECEIVED);
		value++;
		memcpy((char *)&m + numbers[i].offset, &value, sizeof(value));
		assert_int_equal(pass_on(p, numbers[i].type, &m),
		    PK_RECEIVED_NONSENSE);
	}
}

static void
test_channel_brings_policyd_its_peers(void **state)
{
	struct pair *p = *state;
	struct pk_msg_peer m;
	enum pk_msg_type type;
	union pk_msg back;
	int pass;

	memset(&m, 0, sizeof(m));
	m.uid = UINT32_MAX - 1;
	m.trusted = 1;
	m.pid = 4711;
	snprintf(m.only, sizeof(m.only), "anna@example.org");
	assert_int_equal(pk_channel_send(p->a, PK_MSG_PEER, &m, 0), 0);
	assert_int_equal(pk_channel_recv(p->b, PK_MSG_BIT(PK_MSG_PEER), &type,
	    &back, &pass), PK_RECEIVED);
	assert_int_equal(type, PK_MSG_PEER);
	assert_true(pass > STDERR_FILENO);
	close(pass);
	assert_memory_equal(&back.peer, &m, sizeof(m));
}

static void
test_channel_refuses_a_reload_that_is_none(void **state)
{
	struct pair *p = *state;
	union pk_msg good, m;

	memset(&good, 0, sizeof(good));
	good.reload.fold = good.reload.has_virtual_uid = 1;
	good.reload.has_login_uid = 1;
	good.reload.group_refresh = good.reload.audit_seal = 1;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &good), PK_RECEIVED);
	m = good;
	m.reload.fold = 2;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
	m = good;
	m.reload.has_virtual_uid = 2;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
	m = good;
	m.reload.has_login_uid = 2;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
	m = good;
	m.reload.group_refresh = 0;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
	m = good;
	m.reload.audit_seal = 0;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
	m = good;
	m.reload.audit_keep = -1;
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
	m = good;
	memset(m.reload.default_domain, 'x', sizeof(m.reload.default_domain));
	assert_int_equal(pass_on(p, PK_MSG_RELOAD, &m), PK_RECEIVED_NONSENSE);
}

/* Which of the types of policyd have a descriptor: always, or never. */
static void
test_channel_knows_the_descriptors_of_policyd(void **state)
{
	static const struct { enum pk_msg_type type; bool has; } cases[] = {
		{ PK_MSG_TABLE, true }, { PK_MSG_PEER, true },
		{ PK_MSG_POLICY, true }, { PK_MSG_RELOAD, false },
		{ PK_MSG_FIGURES, false },
	};
	struct pair *p = *state;
	int before = descriptors(), pass;
	union pk_msg m, back;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&m, 0, sizeof(m));
		if (cases[i].type == PK_MSG_RELOAD)
			m.reload.group_refresh = m.reload.audit_seal = 1;
		print_message("case: type %d\n", cases[i].type);
		assert_int_equal(pk_channel_send(p->a, cases[i].type, &m,
		    -1), 0);
		assert_int_equal(receive(p->b, ANY, &back, &pass),
		    cases[i].has ? PK_RECEIVED_NONSENSE : PK_RECEIVED);
		assert_int_equal(pk_channel_send(p->a, cases[i].type, &m, 0),
		    0);
		assert_int_equal(receive(p->b, ANY, &back, &pass),
		    cases[i].has ? PK_RECEIVED : PK_RECEIVED_NONSENSE);
		if (cases[i].has)
			close(pass);
		assert_int_equal(descriptors(), before);
	}
}

static void
test_channel_closes_descriptors_it_did_not_ask_for(void **state)
{
	struct pair *p = *state;
	struct pk_msg_verdict v = { .id = 1 };
	int before = descriptors(), pass;
	union pk_msg m;

	assert_int_equal(pk_channel_send(p->a, PK_MSG_VERDICT, &v, 0), 0);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
	assert_int_equal(descriptors(), before);
}

/* An empty message with descriptors: the end for us, and none is kept. */
static void
test_channel_keeps_no_descriptor_of_an_empty_message(void **state)
{
	struct pair *p = *state;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct msghdr mh = { .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf) };
	int before = descriptors(), pass, two[2] = { 0, 1 };
	struct cmsghdr *c;
	union pk_msg m;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(two));
	memcpy(CMSG_DATA(c), two, sizeof(two));
	assert_int_equal(sendmsg(p->a, &mh, 0), 0);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_END);
	assert_int_equal(descriptors(), before);
}

/* A full table here is no fault of the peer. */
static void
test_channel_tells_a_full_table_from_nonsense(void **state)
{
	struct pair *p = *state;
	struct pk_msg_claim c = { .id = 42 };
	const char *preload = getenv("LD_PRELOAD");
	struct rlimit old, none;
	union pk_msg m;
	int pass;

	if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
		print_message("valgrind keeps the limit to itself\n");
		skip();
	}
	assert_int_equal(pk_channel_send(p->a, PK_MSG_CLAIM, &c, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(receive(p->b, ANY, &m, &pass),
	    PK_RECEIVED_NO_DESCRIPTOR);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(pass, -1);
	assert_true(m.claim.id == 42);
}

/* A peer that dies with our message unread has still said its last. */
static void
test_channel_hears_the_last_words_of_a_peer(void **state)
{
	struct pair *p = *state;
	union pk_msg m;
	int pass;

	/* b speaks, and goes with a's message unread: ECONNRESET comes first. */
	assert_int_equal(pk_channel_send(p->b, PK_MSG_READY, NULL, -1), 0);
	assert_int_equal(pk_channel_send(p->a, PK_MSG_DRAIN, NULL, -1), 0);
	close(p->b);
	p->b = -1;
	assert_int_equal(receive(p->a, ANY, &m, &pass), PK_RECEIVED);
	assert_int_equal(receive(p->a, ANY, &m, &pass), PK_RECEIVED_END);
}

static void
test_channel_wants_the_descriptor_that_belongs(void **state)
{
	struct pair *p = *state;
	struct pk_msg_claim c = { .id = 1 };
	union pk_msg m;
	int pass;

	assert_int_equal(pk_channel_send(p->a, PK_MSG_CLAIM, &c, -1), 0);
	assert_int_equal(receive(p->b, ANY, &m, &pass), PK_RECEIVED_NONSENSE);
}

static void
test_channel_tells_nothing_from_the_end(void **state)
{
	struct pair *p = *state;
	union pk_msg m;
	int pass;

	assert_int_equal(receive(p->a, ANY, &m, &pass), PK_RECEIVED_NOTHING);
	close(p->b);
	p->b = -1;
	assert_int_equal(receive(p->a, ANY, &m, &pass), PK_RECEIVED_END);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_channel_delivers_a_message_with_its_tail),
		TEST(test_channel_passes_a_descriptor),
		TEST(test_channel_refuses_what_is_not_permitted_now),
		TEST(test_channel_refuses_wrong_lengths_and_types),
		TEST(test_channel_refuses_a_tail_of_another_length),
		TEST(test_channel_refuses_strings_without_an_end),
		TEST(test_channel_wants_an_end_of_every_string),
		TEST(test_channel_refuses_numbers_that_mean_nothing),
		TEST(test_channel_brings_policyd_its_peers),
		TEST(test_channel_refuses_a_reload_that_is_none),
		TEST(test_channel_knows_the_descriptors_of_policyd),
		TEST(test_channel_closes_descriptors_it_did_not_ask_for),
		TEST(test_channel_keeps_no_descriptor_of_an_empty_message),
		TEST(test_channel_tells_a_full_table_from_nonsense),
		TEST(test_channel_hears_the_last_words_of_a_peer),
		TEST(test_channel_wants_the_descriptor_that_belongs),
		TEST(test_channel_tells_nothing_from_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
