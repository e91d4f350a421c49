/*
 * Asking policyd from an event loop: each question is answered once, whatever
 * policyd does, and nobody hears of it who is no more.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "standalone/policy_client.h"
#include "tests/harness.h"

static struct event_base *base;
static struct pk_policy_client *client;
static int policyd = -1;	/* our end */

/* ---- a clock that stands still, and can be put forward ------------------- */

static time_t ahead;

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	static struct timespec start;

	if (start.tv_sec == 0 && __real_clock_gettime(id, &start) != 0)
		return -1;
	*t = start;
	t->tv_sec += ahead;
	return 0;
}

/* ---- who asks ----------------------------------------------------------- */

/* How often each was answered, and how. */
#define ASKERS 64
static struct asker {
	unsigned answered, away;
	enum pk_wire_result result;
	bool gone;			/* must not be told any more */
	void (*then)(struct asker *a);
} askers[ASKERS];

static void
on_answer(void *arg, const struct pk_wire_head *head, struct pk_wire *w)
{
	struct asker *a = arg;

	assert_false(a->gone);
	if (head == NULL) {
		a->away++;
	} else {
		assert_int_equal(head->type, PK_WIRE_RECORDED);
		assert_true(pk_wire_get_recorded(w, &a->result));
		a->answered++;
	}
	if (a->then != NULL)
		a->then(a);
}

static bool
ask_of(struct asker *a, const char *name)
{
	struct pk_wire w;

	pk_policy_client_begin(client, &w, PK_WIRE_UNFINISHED, 0);
	pk_wire_put_name(&w, name);
	return pk_policy_client_send(client, &w, a != NULL ? on_answer : NULL,
	    a);
}

static bool
ask(struct asker *a)
{
	return ask_of(a, "anna");
}

/* ---- policyd ------------------------------------------------------------ */

static uint8_t packet[PK_WIRE_MAX + 1];

/* The id of the next question; 0: there is none. */
static uint32_t
heard(void)
{
	struct pk_wire_head head;
	struct pk_wire w;
	ssize_t n = recv(policyd, packet, sizeof(packet), MSG_DONTWAIT);

	if (n < 0)
		return 0;
	assert_true(pk_wire_open(&w, packet, (size_t)n, &head));
	return head.id;
}

static void
say(uint32_t id, enum pk_wire_result result)
{
	struct pk_wire w;

	pk_wire_begin(&w, packet, PK_WIRE_RECORDED, 0, id);
	pk_wire_put_recorded(&w, result);
	assert_int_equal(send(policyd, packet, w.len, MSG_NOSIGNAL),
	    (ssize_t)w.len);
}

static void
loop(void)
{
	assert_true(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

static void
connect_client(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	policyd = fds[0];
	pk_policy_client_connect(client, fds[1]);
}

static void
hang_up(void)
{
	close(policyd);
	policyd = -1;
}

static int
group_setup(void **state)
{
	(void)state;
	base = event_base_new();
	client = base != NULL ? pk_policy_client_new(base) : NULL;
	return client != NULL ? 0 : -1;
}

static int
setup(void **state)
{
	(void)state;
	connect_client();
	memset(askers, 0, sizeof(askers));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (policyd != -1)
		hang_up();
	memset(askers, 0, sizeof(askers));
	loop();
	ahead = 0;
	return 0;
}

/* ---- tests -------------------------------------------------------------- */

static void
test_policy_client_takes_answers_out_of_order(void **state)
{
	static const unsigned orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 },
	    { 1, 3, 0, 2 }, { 2, 0, 3, 1 } };
	uint32_t ids[4];
	unsigned o, i;

	(void)state;
	for (o = 0; o < 4; o++) {
		memset(askers, 0, sizeof(askers));
		for (i = 0; i < 4; i++)
			assert_true(ask(&askers[i]));
		for (i = 0; i < 4; i++)
			ids[i] = heard();
		for (i = 0; i < 4; i++) {
			say(ids[orders[o][i]], orders[o][i]);
			loop();
			assert_int_equal(askers[orders[o][i]].answered, 1);
		}
		for (i = 0; i < 4; i++) {
			assert_int_equal(askers[i].answered, 1);
			assert_int_equal(askers[i].away, 0);
			assert_int_equal(askers[i].result, i);
		}
	}
}

static void
test_policy_client_passes_by_unknown_ids(void **state)
{
	uint32_t id;

	(void)state;
	assert_true(ask(&askers[0]));
	id = heard();
	say(id + 1, PK_WIRE_OK);
	say(0, PK_WIRE_OK);
	loop();
	assert_int_equal(askers[0].answered + askers[0].away, 0);
	say(id, PK_WIRE_OK);
	say(id, PK_WIRE_FAILED);	/* once is enough */
	loop();
	assert_int_equal(askers[0].answered, 1);
	assert_int_equal(askers[0].result, PK_WIRE_OK);
	assert_true(ask(&askers[1]));
}

static void
test_policy_client_tells_everybody_that_policyd_is_away(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_true(ask(&askers[i]));
	(void)heard();
	say(heard(), PK_WIRE_OK);
	while (heard() != 0)
		;
	hang_up();
	loop();
	for (i = 0; i < 5; i++) {
		assert_int_equal(askers[i].answered, i == 1);
		assert_int_equal(askers[i].away, i != 1);
	}
	assert_false(ask(&askers[6]));
	assert_false(ask(NULL));
	assert_int_equal(askers[6].away, 0);
	connect_client();
	assert_true(ask(&askers[6]));
}

/* What it said before counts, although it had questions left to read. */
static void
test_policy_client_hears_the_last_words(void **state)
{
	uint32_t id;

	(void)state;
	assert_true(ask(&askers[0]));
	assert_true(ask(&askers[1]));
	id = heard();
	say(id, PK_WIRE_OK);
	hang_up();
	loop();
	assert_int_equal(askers[0].answered, 1);
	assert_int_equal(askers[0].away, 0);
	assert_int_equal(askers[1].away, 1);
}

static void
forget_both(struct asker *a)
{
	pk_policy_client_forget(client, a);
	a->gone = true;
}

/* Somebody with two questions goes at the first answer. */
static void
test_policy_client_tells_nobody_who_is_no_more(void **state)
{
	uint32_t id;

	(void)state;
	assert_true(ask(&askers[0]));
	assert_true(ask(&askers[0]));
	assert_true(ask(&askers[1]));
	askers[0].then = forget_both;
	hang_up();
	loop();
	assert_int_equal(askers[0].away, 1);
	assert_int_equal(askers[1].away, 1);
	/* The same where the first was answered. */
	connect_client();
	memset(askers, 0, sizeof(askers));
	askers[0].then = forget_both;
	assert_true(ask(&askers[0]));
	assert_true(ask(&askers[0]));
	id = heard();
	say(id, PK_WIRE_OK);
	say(heard(), PK_WIRE_OK);
	loop();
	assert_int_equal(askers[0].answered, 1);
	/* And by hand. */
	assert_true(ask(&askers[2]));
	forget_both(&askers[2]);
	say(heard(), PK_WIRE_OK);
	loop();
}

static void
ask_again(struct asker *a)
{
	a->then = NULL;
	assert_false(ask(a));
}

static void
reconnect_and_ask(struct asker *a)
{
	a->then = NULL;
	connect_client();
	assert_true(ask(a));
}

static void
test_policy_client_may_be_asked_from_an_answer(void **state)
{
	(void)state;
	askers[0].then = ask_again;
	askers[1].then = reconnect_and_ask;
	assert_true(ask(&askers[0]));
	assert_true(ask(&askers[1]));
	assert_true(ask(&askers[2]));
	hang_up();
	loop();
	assert_int_equal(askers[0].away, 1);
	assert_int_equal(askers[1].away, 1);
	assert_int_equal(askers[2].away, 1);
	/* The new question is for the new policyd, and not away. */
	say(heard(), PK_WIRE_OK);
	loop();
	assert_int_equal(askers[1].answered, 1);
}

static void
test_policy_client_takes_a_new_channel(void **state)
{
	int old;

	(void)state;
	assert_true(ask(&askers[0]));
	old = policyd;
	connect_client();
	assert_int_equal(askers[0].away, 1);
	assert_true(ask(&askers[1]));
	say(heard(), PK_WIRE_STALE);
	loop();
	assert_int_equal(askers[1].result, PK_WIRE_STALE);
	close(old);
	loop();
	assert_true(ask(&askers[2]));
}

static void
test_policy_client_ends_who_sends_nonsense(void **state)
{
	static const struct { const char *data; size_t len; } bad[] = {
		{ "x", 1 }, { "", 0 },
		{ "\x04\x09\0\0\0\0\0\0\x01\0\0\0\0", 13 },
		{ "\x03\x0d\0\0\0\0\0\0\x01\0\0\0\0", 13 },
		{ "\x03\x09\x01\0\0\0\0\0\x01\0\0\0\0", 13 },
		{ "\x03\x09\0\0\0\0\0\0\x01\0\0", 11 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(askers, 0, sizeof(askers));
		assert_true(ask(&askers[0]));
		assert_true(send(policyd, bad[i].data, bad[i].len, 0) >= 0);
		loop();
		assert_int_equal(askers[0].away, 1);
		assert_false(ask(&askers[1]));
		hang_up();
		connect_client();
	}
	/* Longer than any packet may be. */
	memset(packet, 0, sizeof(packet));
	packet[0] = PK_WIRE_VERSION;
	assert_true(ask(&askers[2]));
	assert_int_equal(send(policyd, packet, sizeof(packet), 0),
	    (ssize_t)sizeof(packet));
	loop();
	assert_int_equal(askers[2].away, 1);
}

/* Let the timer run, which looks every second. */
static void
wait_for(const struct asker *a)
{
	unsigned i;

	for (i = 0; i < 40 && a->away + a->answered == 0; i++) {
		(void)usleep(100000);
		loop();
	}
}

static void
test_policy_client_loses_patience(void **state)
{
	uint32_t first, second;

	(void)state;
	assert_true(ask(&askers[0]));
	first = heard();
	ahead = PK_POLICY_PATIENCE - 2;
	assert_true(ask(&askers[1]));
	second = heard();
	(void)usleep(1100000);
	loop();
	assert_int_equal(askers[0].away, 0);
	ahead += 3;
	wait_for(&askers[0]);
	assert_int_equal(askers[0].away, 1);
	assert_int_equal(askers[1].away, 0);
	/* Silent: one question at a time, and one is on its way. */
	assert_false(ask(&askers[2]));
	/* Records that nobody waits for still go out. */
	assert_true(ask(NULL));
	assert_int_not_equal(heard(), 0);
	ahead += PK_POLICY_PATIENCE;
	wait_for(&askers[1]);
	assert_int_equal(askers[1].away, 1);
	assert_true(ask(&askers[3]));
	assert_false(ask(&askers[4]));
	/* An answer that comes too late shows that it lives. */
	say(second, PK_WIRE_OK);
	say(first, PK_WIRE_OK);
	loop();
	assert_int_equal(askers[0].answered + askers[1].answered, 0);
	assert_true(ask(&askers[4]));
	assert_true(ask(&askers[5]));
}

#define LONG 1000
#define MEGA (1024 * 1024)

/* Send until no more is taken, then read it all. */
static unsigned
fill_and_drain(void)
{
	static char name[LONG + 1];
	unsigned sent = 0, got = 0;
	uint32_t id, last = 0;

	memset(name, 'x', LONG);
	while (ask_of(NULL, name)) {
		sent++;
		assert_true(sent < 20 * MEGA / LONG);
	}
	assert_false(ask_of(&askers[0], name));
	for (;;) {
		id = heard();
		if (id == 0) {
			loop();
			id = heard();
		}
		if (id == 0)
			break;
		assert_true(id > last);
		last = id;
		got++;
	}
	/* Nothing is lost, and all was in order. */
	assert_int_equal(got, sent);
	return sent;
}

static void
test_policy_client_queues_what_is_not_read(void **state)
{
	unsigned sent = fill_and_drain();

	(void)state;
	/* The socket's own buffer, and then 16 MB of ours. */
	assert_true(sent > 15 * MEGA / LONG);
	assert_true(fill_and_drain() > sent / 2);
	assert_true(ask(&askers[0]));
	assert_int_not_equal(heard(), 0);
	assert_int_equal(askers[0].away, 0);
}

static void
test_policy_client_drops_the_queue_with_the_channel(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 2000; i++)
		assert_true(ask(NULL));
	assert_true(ask(&askers[0]));
	hang_up();
	loop();
	assert_int_equal(askers[0].away, 1);
	connect_client();
	loop();
	assert_int_equal(heard(), 0);
}

static void
test_policy_client_flushes_at_the_end(void **state)
{
	unsigned i, got = 0;
	pid_t pid;

	(void)state;
	for (i = 0; i < 2000; i++)
		assert_true(ask(NULL));
	pid = fork();
	if (pid == 0) {
		pk_policy_client_flush(client, 3000);
		_exit(0);
	}
	for (i = 0; i < 300 && got < 2000; i++) {
		while (heard() != 0)
			got++;
		(void)usleep(10000);
	}
	assert_int_equal(got, 2000);
	/* It does not wait for ever. */
	pk_policy_client_flush(client, 10);
	hang_up();
	pk_policy_client_flush(client, 10);
}

static void
test_policy_client_sends_no_bad_packet(void **state)
{
	static char text[PK_WIRE_MAX + 10];
	struct pk_wire w;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	pk_policy_client_begin(client, &w, PK_WIRE_UNFINISHED, 0);
	pk_wire_put_name(&w, text);
	assert_false(pk_policy_client_send(client, &w, on_answer,
	    &askers[0]));
	assert_int_equal(heard(), 0);
}

static void
test_policy_client_fails_without_memory(void **state)
{
	unsigned i;

	(void)state;
	alloc_arm(0);
	assert_false(ask(&askers[0]));
	alloc_arm(-1);
	assert_int_equal(heard(), 0);
	/* Fill the socket, then there is no memory to queue. */
	for (i = 0; i < 2000; i++)
		assert_true(ask(NULL));
	alloc_arm(1);
	assert_false(ask(&askers[0]));
	alloc_arm(-1);
	hang_up();
	loop();
	assert_int_equal(askers[0].away, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_policy_client_takes_answers_out_of_order),
		TEST(test_policy_client_passes_by_unknown_ids),
		TEST(test_policy_client_tells_everybody_that_policyd_is_away),
		TEST(test_policy_client_hears_the_last_words),
		TEST(test_policy_client_tells_nobody_who_is_no_more),
		TEST(test_policy_client_may_be_asked_from_an_answer),
		TEST(test_policy_client_takes_a_new_channel),
		TEST(test_policy_client_ends_who_sends_nonsense),
		TEST(test_policy_client_loses_patience),
		TEST(test_policy_client_queues_what_is_not_read),
		TEST(test_policy_client_drops_the_queue_with_the_channel),
		TEST(test_policy_client_flushes_at_the_end),
		TEST(test_policy_client_sends_no_bad_packet),
		TEST(test_policy_client_fails_without_memory),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
