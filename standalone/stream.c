/*
 * The octets of one client: see stream.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "standalone/stream.h"

/* Rounds of one client before others have their turn. */
#define ROUNDS_MAX 16

/*
 * One set of buffers serves every client of the process, because nothing stays
 * in them between two calls.
 */
static uint8_t in_buf[PK_STREAM_IN];
static uint8_t scratch[64 * 1024];
static uint8_t out_buf[2 * sizeof(scratch) + 2 * PK_REPLY_MAX];

void
pk_stream_init(struct pk_stream *st, int fd)
{
	memset(st, 0, sizeof(*st));
	st->fd = fd;
}

void
pk_stream_init_relay(struct pk_stream *st, int fd, enum pk_relay relay)
{
	pk_stream_init(st, fd);
	st->relay = relay;
}

void
pk_stream_forget_input(struct pk_stream *st)
{
	if (st->in != NULL)
		OPENSSL_cleanse(st->in, st->in_len);
	free(st->in);
	st->in = NULL;
	st->in_len = 0;
}

static void
drop_out(struct pk_stream *st)
{
	free(st->out);
	st->out = NULL;
	st->out_len = st->out_off = 0;
}

/*
 * Closing a TCP socket with unread input resets it, and the reset may overtake
 * our last reply: read what is there (bounded) before.
 */
static void
close_gently(struct pk_stream *st)
{
	uint8_t trash[4096];
	int i;

	for (i = 0; i < 16 && !st->gone; i++)
		if (recv(st->fd, trash, sizeof(trash), MSG_DONTWAIT) <= 0)
			break;
	OPENSSL_cleanse(trash, sizeof(trash));
	close(st->fd);
}

void
pk_stream_deinit(struct pk_stream *st)
{
	pk_stream_forget_input(st);
	drop_out(st);
	if (st->ssl != NULL) {
		if (!st->gone)
			(void)SSL_shutdown(st->ssl);
		ERR_clear_error();
		SSL_free(st->ssl);
		st->ssl = NULL;
	}
	if (st->fd != -1)
		close_gently(st);
	st->fd = -1;
}

bool
pk_stream_preload(struct pk_stream *st, const uint8_t *data, size_t len)
{
	if (len == 0)
		return true;
	st->in = malloc(len);
	if (st->in == NULL)
		return false;
	memcpy(st->in, data, len);
	st->in_len = len;
	return true;
}

/* ---- the socket -------------------------------------------------------------- */

/* What SSL_get_error() means for us; true: try again later. */
static bool
tls_waits(struct pk_stream *st, int rc)
{
	switch (SSL_get_error(st->ssl, rc)) {
	case SSL_ERROR_WANT_WRITE:
		st->want_write = true;
		return true;
	case SSL_ERROR_WANT_READ:
		return true;
	default:
		st->gone = true;
		return false;
	}
}

/* A packet from net: the octets behind the word of how many replies left. */
static ssize_t
recv_command(struct pk_stream *st, uint8_t *buf, size_t size)
{
	uint64_t left;
	struct iovec iov[2] = {
		{ .iov_base = &left, .iov_len = sizeof(left) },
		{ .iov_base = buf, .iov_len = size },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(st->fd, &mh, 0);

	if (n <= 0)
		return n;
	if ((size_t)n <= sizeof(left) || (mh.msg_flags & MSG_TRUNC) != 0)
		return 0;		/* net knows better: it is done for */
	st->left = left;
	return n - (ssize_t)sizeof(left);
}

/* What is cut off of a packet would be missing: then it is all over. */
static ssize_t
recv_octets(struct pk_stream *st, uint8_t *buf, size_t size)
{
	ssize_t n;

	switch (st->relay) {
	case PK_RELAY_NET:
		n = recv(st->fd, buf, size, MSG_TRUNC);
		return n > (ssize_t)size ? 0 : n;
	case PK_RELAY_SESSION:
		return recv_command(st, buf, size);
	case PK_RELAY_NONE:
		break;
	}
	return recv(st->fd, buf, size, 0);
}

/*
 * A packet to the session: all of it, or nothing.  What had to wait was read
 * when less had left.
 */
static ssize_t
send_command(const struct pk_stream *st, const uint8_t *data, size_t len)
{
	uint64_t left = st->out != NULL ? st->out_left : st->left;
	struct iovec iov[2] = {
		{ .iov_base = &left, .iov_len = sizeof(left) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = sendmsg(st->fd, &mh, MSG_NOSIGNAL);

	return n < 0 ? n : (ssize_t)len;
}

static ssize_t
send_octets(const struct pk_stream *st, const uint8_t *data, size_t len)
{
	switch (st->relay) {
	case PK_RELAY_NET:
		return send_command(st, data, len < PK_STREAM_IN ? len :
		    PK_STREAM_IN);
	case PK_RELAY_SESSION:
		if (len > PK_RELAY_MAX)
			len = PK_RELAY_MAX;
		break;
	case PK_RELAY_NONE:
		break;
	}
	return send(st->fd, data, len, MSG_NOSIGNAL);
}

uint64_t
pk_stream_unsent(const struct pk_stream *st)
{
	int octets;

	return st->relay == PK_RELAY_NONE &&
	    ioctl(st->fd, SIOCOUTQ, &octets) == 0 && octets > 0 ?
	    (uint64_t)octets : 0;
}

uint64_t
pk_stream_waiting(const struct pk_stream *st)
{
	int octets;

	return ioctl(st->fd, FIONREAD, &octets) == 0 && octets > 0 ?
	    (uint64_t)octets : 0;
}

/* How much of what was sent has left every queue that can be seen. */
static uint64_t
left_now(const struct pk_stream *st)
{
	uint64_t unsent;

	if (st->relay != PK_RELAY_NONE)
		return st->left;
	unsent = pk_stream_unsent(st);
	return unsent < st->sent ? st->sent - unsent : 0;
}

size_t
pk_stream_read(struct pk_stream *st, uint8_t *buf, size_t size)
{
	ssize_t n;

	if (st->gone)
		return 0;
	if (st->ssl != NULL) {
		ERR_clear_error();
		n = SSL_read(st->ssl, buf, (int)size);
		if (n <= 0)
			(void)tls_waits(st, (int)n);
		return n > 0 ? (size_t)n : 0;
	}
	n = recv_octets(st, buf, size);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		st->gone = true;
	return n > 0 ? (size_t)n : 0;
}

/* Octets taken by the socket; 0 and want_write, or 0 and gone. */
static size_t
write_some(struct pk_stream *st, const uint8_t *data, size_t len)
{
	ssize_t n;

	if (st->ssl != NULL) {
		ERR_clear_error();
		n = SSL_write(st->ssl, data, (int)len);
		if (n <= 0 && tls_waits(st, (int)n))
			st->want_write = true;
		st->took = st->took || n > 0;
		return n > 0 ? (size_t)n : 0;
	}
	n = send_octets(st, data, len);
	if (n >= 0) {
		st->took = true;
		st->sent += (uint64_t)n;
		return (size_t)n;
	}
	if (errno == EAGAIN || errno == EINTR)
		st->want_write = true;
	else
		st->gone = true;
	return 0;
}

bool
pk_stream_flush(struct pk_stream *st)
{
	st->want_write = false;
	while (st->out_off < st->out_len && !st->gone && !st->want_write)
		st->out_off += write_some(st, st->out + st->out_off,
		    st->out_len - st->out_off);
	if (st->want_write)
		return false;
	drop_out(st);
	return true;
}

bool
pk_stream_write(struct pk_stream *st, const uint8_t *data, size_t len)
{
	size_t n = 0;

	/* In order: behind what waits already. */
	if (st->out == NULL) {
		st->want_write = false;
		while (n < len && !st->gone && !st->want_write)
			n += write_some(st, data + n, len - n);
		if (n == len || st->gone)
			return !st->gone;
	}
	if (st->out != NULL) {
		uint8_t *grown = realloc(st->out, st->out_len + len);

		if (grown == NULL) {
			st->gone = true;
			return false;
		}
		st->out = grown;
	} else if ((st->out = malloc(len - n)) == NULL) {
		st->gone = true;
		return false;
	} else {
		st->out_left = st->left;
	}
	memcpy(st->out + st->out_len, data + n, len - n);
	st->out_len += len - n;
	return true;
}

/* ---- the session -------------------------------------------------------------- */

/* Keep what the session left of its input. */
static bool
keep_input(struct pk_stream *st, const struct pk_io *io)
{
	uint8_t *copy = NULL;

	if (io->in_len > 0) {
		copy = malloc(io->in_len);
		if (copy == NULL)
			return false;
		memcpy(copy, io->in, io->in_len);
	}
	pk_stream_forget_input(st);
	st->in = copy;
	st->in_len = io->in_len;
	return true;
}

/* Run the session once on what was kept, or on n octets of in_buf. */
static bool
run(struct pk_stream *st, struct pk_session *s, size_t n, enum pk_want *want_r)
{
	struct pk_io io = {
		.in = st->in != NULL ? st->in : in_buf,
		.in_len = st->in != NULL ? st->in_len : n,
		.out = out_buf, .out_len = sizeof(out_buf),
		.scratch = scratch, .scratch_len = sizeof(scratch),
		.left = st->in_left,
	};
	bool ok;

	*want_r = pk_session_run(s, &io);
	/*
	 * What waits was sent before the reply: it confirms nothing.  Packets of
	 * a relay say so themselves: they were made when less had left.
	 */
	if (pk_session_sent_pending(s))
		pk_session_waiting(s, st->relay == PK_RELAY_NONE ?
		    pk_stream_waiting(st) : 0);
	ok = keep_input(st, &io);
	OPENSSL_cleanse(in_buf, n);
	if (ok && io.out != out_buf)
		ok = pk_stream_write(st, out_buf, (size_t)(io.out - out_buf));
	return ok;
}

static enum pk_served
served(enum pk_want want)
{
	static const enum pk_served results[] = {
		[PK_WANT_INPUT] = PK_SERVED_WAIT,
		[PK_WANT_OUTPUT] = PK_SERVED_AGAIN,
		[PK_WANT_LOGIN] = PK_SERVED_LOGIN,
		[PK_WANT_TLS] = PK_SERVED_TLS,
		[PK_WANT_UPDATE] = PK_SERVED_UPDATE,
		[PK_WANT_CLOSE] = PK_SERVED_CLOSE,
	};

	return results[want];
}

enum pk_served
pk_stream_serve(struct pk_stream *st, struct pk_session *s, bool *active_r)
{
	enum pk_want want = PK_WANT_OUTPUT;
	unsigned round;
	size_t n;

	for (round = 0; round < ROUNDS_MAX; round++) {
		if (!pk_stream_flush(st))
			return PK_SERVED_WAIT;
		if (st->gone)
			return PK_SERVED_GONE;
		/* Questions are answered, and nothing else is left to say. */
		if (want != PK_WANT_OUTPUT && want != PK_WANT_INPUT)
			return served(want);
		n = 0;
		if (want == PK_WANT_INPUT && st->in == NULL) {
			st->in_left = pk_session_awaits(s) ? left_now(st) : 0;
			n = pk_stream_read(st, in_buf, sizeof(in_buf));
			if (st->relay != PK_RELAY_NONE)
				st->in_left = st->left;
			if (n == 0)
				return st->gone ? PK_SERVED_GONE :
				    PK_SERVED_WAIT;
			*active_r = true;
		}
		if (!run(st, s, n, &want))
			return PK_SERVED_GONE;
		/* A short read has emptied the socket: save the next one. */
		if (want == PK_WANT_INPUT && st->ssl == NULL &&
		    st->relay == PK_RELAY_NONE && n > 0 &&
		    n < sizeof(in_buf) && st->out == NULL)
			return PK_SERVED_WAIT;
	}
	return PK_SERVED_AGAIN;
}
