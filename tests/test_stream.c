/*
 * The packets between net and a session process: what is told in them is
 * believed, and a packet that is not whole ends the relay.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "standalone/channel.h"
#include "standalone/stream.h"
#include "tests/harness.h"

#define LARGE (2 * 1024 * 1024)

static struct pk_stream net, session;
static uint8_t buf[LARGE], data[LARGE];

static int
setup(void **state)
{
	int fds[2];
	size_t i;

	(void)state;
	random_begin();
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_below(256);
	if (pk_channel_pair(fds, true) != 0)
		return -1;
	pk_stream_init_relay(&net, fds[0], PK_RELAY_NET);
	pk_stream_init_relay(&session, fds[1], PK_RELAY_SESSION);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	alloc_arm(-1);
	pk_stream_deinit(&net);
	pk_stream_deinit(&session);
	return 0;
}

static bool
write_text(struct pk_stream *st, const char *text)
{
	return pk_stream_write(st, (const uint8_t *)text, strlen(text));
}

static void
reads(struct pk_stream *st, const char *text)
{
	size_t n = pk_stream_read(st, buf, PK_STREAM_IN);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static void
test_stream_tells_what_has_left(void **state)
{
	(void)state;
	net.left = 17;
	assert_true(write_text(&net, "NOOP\r\n"));
	net.left = UINT64_MAX;
	assert_true(write_text(&net, "QUIT\r\n"));
	reads(&session, "NOOP\r\n");
	assert_true(session.left == 17);
	reads(&session, "QUIT\r\n");
	assert_true(session.left == UINT64_MAX);
	assert_int_equal(pk_stream_read(&session, buf, PK_STREAM_IN), 0);
	assert_false(session.gone);
	/* The word is of net's alone. */
	assert_true(write_text(&session, "+OK\r\n"));
	reads(&net, "+OK\r\n");
	assert_true(net.left == UINT64_MAX);
}

static void
test_stream_keeps_packets_apart(void **state)
{
	(void)state;
	assert_true(write_text(&net, "NO"));
	assert_true(write_text(&net, "OP\r\n"));
	reads(&session, "NO");
	reads(&session, "OP\r\n");
}

/* Every length up to that of the word itself, and one octet behind it. */
static void
test_stream_ends_at_a_truncated_packet(void **state)
{
	size_t len;

	for (len = 0; len <= 9; len++) {
		assert_int_equal(send(net.fd, data, len, 0), (ssize_t)len);
		session.left = 5;
		assert_int_equal(pk_stream_read(&session, buf, PK_STREAM_IN),
		    len == 9 ? 1 : 0);
		assert_int_equal(session.gone, len < 9);
		if (len < 9)
			assert_true(session.left == 5);
		/* And nothing is read behind it. */
		assert_true(write_text(&net, "x") || len == 9);
		if (len < 9)
			assert_int_equal(pk_stream_read(&session, buf,
			    PK_STREAM_IN), 0);
		(void)teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void
test_stream_ends_at_a_packet_that_is_too_long(void **state)
{
	(void)state;
	assert_int_equal(send(net.fd, data, 8 + PK_STREAM_IN, 0),
	    8 + PK_STREAM_IN);
	assert_int_equal(pk_stream_read(&session, buf, PK_STREAM_IN),
	    PK_STREAM_IN);
	assert_false(session.gone);
	assert_int_equal(send(net.fd, data, 9 + PK_STREAM_IN, 0),
	    9 + PK_STREAM_IN);
	assert_int_equal(pk_stream_read(&session, buf, PK_STREAM_IN), 0);
	assert_true(session.gone);
	/* The same on the other side: nothing of a reply may be missing. */
	assert_int_equal(send(session.fd, data, PK_RELAY_MAX, 0),
	    PK_RELAY_MAX);
	assert_int_equal(pk_stream_read(&net, buf, PK_RELAY_MAX),
	    PK_RELAY_MAX);
	assert_int_equal(send(session.fd, data, PK_RELAY_MAX + 1, 0),
	    PK_RELAY_MAX + 1);
	assert_int_equal(pk_stream_read(&net, buf, PK_RELAY_MAX), 0);
	assert_true(net.gone);
}

/* Read what comes, a packet at a time, while the other side flushes. */
static size_t
drain(struct pk_stream *from, int to, size_t most, size_t skip)
{
	uint8_t packet[PK_RELAY_MAX + 64];
	size_t total = 0;
	ssize_t n;

	for (;;) {
		n = recv(to, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0) {
			if (pk_stream_flush(from) && (n = recv(to, packet,
			    sizeof(packet), MSG_DONTWAIT | MSG_TRUNC)) < 0)
				return total;
			if (n < 0)
				continue;
		}
		assert_true((size_t)n > skip && (size_t)n <= most + skip);
		memcpy(buf + total, packet + skip, (size_t)n - skip);
		total += (size_t)n - skip;
	}
}

static void
test_stream_cuts_large_replies(void **state)
{
	(void)state;
	assert_true(pk_stream_write(&session, data, LARGE));
	/* More than the socket takes at once. */
	assert_non_null(session.out);
	assert_true(session.want_write);
	assert_true(session.sent < LARGE);
	assert_int_equal(drain(&session, net.fd, PK_RELAY_MAX, 0), LARGE);
	assert_memory_equal(buf, data, LARGE);
	assert_null(session.out);
	assert_true(session.sent == LARGE);
	assert_true(session.took);
}

static void
test_stream_cuts_large_commands(void **state)
{
	(void)state;
	assert_true(pk_stream_write(&net, data, 3 * PK_STREAM_IN + 5));
	assert_int_equal(pk_stream_read(&session, buf, PK_STREAM_IN),
	    PK_STREAM_IN);
	assert_int_equal(drain(&net, session.fd, PK_STREAM_IN, 8),
	    2 * PK_STREAM_IN + 5);
	assert_memory_equal(buf, data + PK_STREAM_IN, 2 * PK_STREAM_IN + 5);
}

/* A command that waited was read before what left meanwhile. */
static void
test_stream_tells_what_had_left_when_it_was_read(void **state)
{
	size_t n = 0;

	(void)state;
	net.left = 1;
	while (net.out == NULL) {
		assert_true(write_text(&net, "NOOP\r\n"));
		n++;
	}
	net.left = 2;
	assert_true(write_text(&net, "QUIT\r\n"));
	while (--n > 0) {
		reads(&session, "NOOP\r\n");
		assert_true(session.left == 1);
	}
	assert_true(pk_stream_flush(&net));
	/* They may come together; then what is true of both is told. */
	reads(&session, "NOOP\r\nQUIT\r\n");
	assert_true(session.left == 1);
	assert_true(write_text(&net, "x"));
	reads(&session, "x");
	assert_true(session.left == 2);
}

static void
test_stream_sees_the_end(void **state)
{
	(void)state;
	assert_true(write_text(&session, "-ERR bye\r\n"));
	pk_stream_deinit(&session);
	reads(&net, "-ERR bye\r\n");
	assert_false(net.gone);
	assert_int_equal(pk_stream_read(&net, buf, PK_STREAM_IN), 0);
	assert_true(net.gone);
	net.gone = false;
	assert_false(write_text(&net, "QUIT\r\n"));
	assert_true(net.gone);
	assert_int_equal(pk_stream_read(&net, buf, PK_STREAM_IN), 0);
}

static void
test_stream_knows_no_queue_of_a_relay(void **state)
{
	(void)state;
	assert_true(write_text(&session, "+OK\r\n"));
	assert_true(pk_stream_unsent(&session) == 0);
	assert_true(pk_stream_unsent(&net) == 0);
}

static void
test_stream_ends_without_memory(void **state)
{
	(void)state;
	alloc_arm(0);
	assert_false(pk_stream_write(&session, data, LARGE));
	assert_true(session.gone);
	alloc_arm(-1);
	while (net.out == NULL)
		assert_true(write_text(&net, "NOOP\r\n"));
	alloc_arm(0);
	assert_false(write_text(&net, "NOOP\r\n"));
	assert_true(net.gone);
}

/* ---- with a session ----------------------------------------------------- */

static struct pk_session *
new_session(void)
{
	struct pk_session_settings set = { .host = "h",
	    .passwords = PK_ALLOW_ALWAYS, .tls = true };
	struct pk_session *s = pk_session_new(&set);

	assert_non_null(s);
	return s;
}

static void
test_stream_gives_the_session_what_is_told(void **state)
{
	struct pk_session *s = new_session();
	bool active = false;

	(void)state;
	assert_int_equal(pk_stream_serve(&session, s, &active),
	    PK_SERVED_WAIT);
	assert_false(active);
	assert_true(pk_stream_read(&net, buf, PK_STREAM_IN) > 5);
	net.left = 99;
	assert_true(write_text(&net, "CAPA x\r\n"));
	assert_int_equal(pk_stream_serve(&session, s, &active),
	    PK_SERVED_WAIT);
	assert_true(active);
	assert_true(session.in_left == 99);
	assert_true(pk_stream_read(&net, buf, PK_STREAM_IN) > 5);
	/* Half a packet is the end of the session. */
	assert_int_equal(send(net.fd, "QUIT\r\n", 6, 0), 6);
	assert_int_equal(pk_stream_serve(&session, s, &active),
	    PK_SERVED_GONE);
	pk_session_free(&s);
}

static void
test_stream_knows_nothing_that_nobody_asked_for(void **state)
{
	struct pk_session *s = new_session();
	struct pk_stream client;
	bool active = false;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	pk_stream_init(&client, fds[0]);
	client.left = 7;
	client.in_left = 7;
	assert_int_equal(write(fds[1], "NOOP\r\n", 6), 6);
	assert_int_equal(pk_stream_serve(&client, s, &active),
	    PK_SERVED_WAIT);
	assert_true(client.in_left == 0);
	pk_stream_deinit(&client);
	close(fds[1]);
	pk_session_free(&s);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_stream_tells_what_has_left),
		TEST(test_stream_keeps_packets_apart),
		TEST(test_stream_ends_at_a_truncated_packet),
		TEST(test_stream_ends_at_a_packet_that_is_too_long),
		TEST(test_stream_cuts_large_replies),
		TEST(test_stream_cuts_large_commands),
		TEST(test_stream_tells_what_had_left_when_it_was_read),
		TEST(test_stream_sees_the_end),
		TEST(test_stream_knows_no_queue_of_a_relay),
		TEST(test_stream_ends_without_memory),
		TEST(test_stream_gives_the_session_what_is_told),
		TEST(test_stream_knows_nothing_that_nobody_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
