/*
 * The octets of one client: a nonblocking socket, with TLS or without, driven
 * by a POP3 session.  Nothing is buffered for a client that keeps up; for one
 * that does not, no more than one buffer of output is kept and no more input
 * is read.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_STREAM_H
#define PK_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "engine/session.h"

/* Octets read from a client at a time before and after login. */
#define PK_STREAM_IN	2048

/*
 * Between net and a session process goes what a TLS client says, in packets: to
 * net at most PK_RELAY_MAX octets of replies; to the session at most
 * PK_STREAM_IN octets of commands, and in front of them how many octets of
 * replies had left every queue that net can see when they were read.
 */
#define PK_RELAY_MAX	(64 * 1024)

enum pk_relay {
	PK_RELAY_NONE,		/* a client */
	PK_RELAY_NET,		/* net's end */
	PK_RELAY_SESSION,	/* the session's end */
};

struct pk_stream {
	int fd;
	SSL *ssl;		/* NULL: in clear */
	enum pk_relay relay;
	uint64_t sent;		/* octets that the socket has taken */
	uint64_t left;		/* of a relay: as told in the packets */
	uint64_t out_left;	/* what left was when out was read */
	uint64_t in_left;	/* what left was when in was read */
	uint8_t *in;		/* read, but not consumed; NULL: nothing */
	size_t in_len;
	uint8_t *out;		/* written, but not yet taken; NULL: nothing */
	size_t out_len, out_off;
	bool want_write;	/* wait for the socket to be writable */
	bool gone;		/* the client closed, or the socket failed */
	bool took;		/* it has taken octets (the owner clears it) */
};

/* fd is nonblocking and now belongs to the stream. */
void pk_stream_init(struct pk_stream *st, int fd);

/* The same for one end of a relay. */
void pk_stream_init_relay(struct pk_stream *st, int fd, enum pk_relay relay);

/* Close, wipe and free; the struct itself is the caller's. */
void pk_stream_deinit(struct pk_stream *st);

/* Wipe and free what was read and not consumed. */
void pk_stream_forget_input(struct pk_stream *st);

/* Take over input that was read elsewhere.  false: out of memory. */
bool pk_stream_preload(struct pk_stream *st, const uint8_t *data, size_t len)
    __attribute__((__warn_unused_result__));

enum pk_served {
	PK_SERVED_WAIT,		/* until readable, or writable if want_write */
	PK_SERVED_AGAIN,	/* there is more to do: let others go first */
	PK_SERVED_LOGIN,	/* as PK_WANT_LOGIN */
	PK_SERVED_TLS,		/* as PK_WANT_TLS, and everything is sent */
	PK_SERVED_UPDATE,	/* as PK_WANT_UPDATE */
	PK_SERVED_CLOSE,	/* it has ended, and everything is sent */
	PK_SERVED_GONE,		/* the client is gone, or memory is */
};

/*
 * Read, run the session and write until one of these is reached.  *active_r is
 * set if any octet came from the client (for the idle timer).
 */
enum pk_served pk_stream_serve(struct pk_stream *st, struct pk_session *s,
    bool *active_r);

/* Write what is pending.  true: all is sent (or the client is gone). */
bool pk_stream_flush(struct pk_stream *st);

/*
 * For relaying.  Read up to size octets: their number, 0 if none are there
 * now; at the end or on failure 0 with st->gone.
 */
size_t pk_stream_read(struct pk_stream *st, uint8_t *buf, size_t size);

/* Octets that the client's kernel has not acknowledged; 0 where unknown. */
uint64_t pk_stream_unsent(const struct pk_stream *st);

/* Octets that the client has sent and that were not read from the socket. */
uint64_t pk_stream_waiting(const struct pk_stream *st);

/* Write len octets; what the socket does not take is kept.  false: gone. */
bool pk_stream_write(struct pk_stream *st, const uint8_t *data, size_t len);

#endif
