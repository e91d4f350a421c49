/*
 * Metrics over a local socket: one request, one answer, HTTP/1.0, and no more
 * of HTTP than that.  Prometheus itself cannot connect to such a socket; curl and
 * small exporters can.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "standalone/policyd_private.h"

/* Connections at a time, octets of a request, seconds of silence. */
#define CONNECTIONS_MAX	8
#define REQUEST_MAX	8192
#define SECONDS		10

static struct {
	struct event *listener;
	unsigned connections;
	bool paused;
} book;

static void
end(struct bufferevent *b)
{
	bufferevent_free(b);
	book.connections--;
}

static void
on_end(struct bufferevent *b, short what, void *arg)
{
	(void)what;
	(void)arg;
	end(b);
}

static void
on_sent(struct bufferevent *b, void *arg)
{
	(void)arg;
	end(b);
}

/* *text_r is the caller's; false: out of memory. */
static bool
make_text(char **text_r, size_t *len_r)
{
	struct pk_exposition x = { .form = PK_EXPOSITION_OPENMETRICS };

	*text_r = NULL;
	x.to = open_memstream(text_r, len_r);
	if (x.to == NULL)
		return false;
	pk_policyd_expose(&x);
	if (fclose(x.to) == 0)
		return true;
	free(*text_r);
	return false;
}

static void
answer(struct bufferevent *b, const char *status, const char *type,
    const char *text, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(b);

	/* Nothing more is read, and what is not taken in time is dropped. */
	(void)bufferevent_disable(b, EV_READ);
	bufferevent_setcb(b, NULL, on_sent, on_end, NULL);
	if (evbuffer_add_printf(out, "HTTP/1.0 %s\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\n\r\n", status, type, len) == -1 ||
	    evbuffer_add(out, text, len) != 0)
		end(b);
}

static void
answer_metrics(struct bufferevent *b)
{
	size_t len;
	char *text;

	if (!make_text(&text, &len)) {
		answer(b, "503 Service Unavailable", "text/plain", "", 0);
		return;
	}
	answer(b, "200 OK", "application/openmetrics-text; version=1.0.0; "
	    "charset=utf-8", text, len);
	free(text);
}

/* Is the head of the request there?  Its lines end in CRLF, or in LF alone. */
static bool
is_whole(struct evbuffer *in)
{
	return evbuffer_search(in, "\r\n\r\n", 4, NULL).pos != -1 ||
	    evbuffer_search(in, "\n\n", 2, NULL).pos != -1;
}

static void
on_request(struct bufferevent *b, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(b);
	char method[4] = "";

	(void)arg;
	if (!is_whole(in)) {
		if (evbuffer_get_length(in) >= REQUEST_MAX)
			end(b);
		return;
	}
	(void)evbuffer_copyout(in, method, sizeof(method));
	if (memcmp(method, "GET ", sizeof(method)) == 0)
		answer_metrics(b);
	else
		answer(b, "405 Method Not Allowed\r\nAllow: GET",
		    "text/plain", "", 0);
}

static void
begin(int fd)
{
	struct timeval limit = { SECONDS, 0 };
	struct bufferevent *b = book.connections < CONNECTIONS_MAX ?
	    bufferevent_socket_new(pk_policyd.base, fd, BEV_OPT_CLOSE_ON_FREE) :
	    NULL;

	if (b == NULL) {
		close(fd);
		return;
	}
	book.connections++;
	bufferevent_setcb(b, on_request, NULL, on_end, NULL);
	bufferevent_setwatermark(b, EV_READ, 0, REQUEST_MAX);
	if (bufferevent_set_timeouts(b, &limit, &limit) != 0 ||
	    bufferevent_enable(b, EV_READ | EV_WRITE) != 0)
		end(b);
}

static void
on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	(void)arg;
	if (fd != -1) {
		begin(fd);
		return;
	}
	/* Such as too many open files: not asked again and again. */
	book.paused = true;
	event_del(book.listener);
}

void
pk_policyd_metrics_again(void)
{
	if (book.paused && event_add(book.listener, NULL) == 0)
		book.paused = false;
}

int
pk_policyd_metrics_listen(int fd)
{
	if (fd == -1)
		return 0;
	book.listener = event_new(pk_policyd.base, fd, EV_READ | EV_PERSIST,
	    on_accept, NULL);
	return book.listener != NULL &&
	    event_add(book.listener, NULL) == 0 ? 0 : -1;
}
