/*
 * Listening sockets: see listeners.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "standalone/listeners.h"
#include "standalone/log.h"

#define SYSTEMD_FIRST	3	/* SD_LISTEN_FDS_START */
#define BACKLOG		1024

/*
 * Octets that wait unsent in a socket.  Beyond, the kernel would take megabytes
 * for a client that takes minutes for them, and that client would seem idle.
 */
#define UNSENT_MAX	(512 * 1024)

/* Milliseconds after which a client that acknowledges nothing is gone. */
#define LOST_CLIENT_MS	90000

static bool
same_address(const struct sockaddr_storage *a, socklen_t a_len,
    const struct sockaddr_storage *b, socklen_t b_len)
{
	/* Compared by what matters: sin6_flowinfo and padding may differ. */
	if (a->ss_family != b->ss_family || a_len != b_len)
		return false;
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *x = (const void *)a;
		const struct sockaddr_in *y = (const void *)b;

		return x->sin_port == y->sin_port &&
		    x->sin_addr.s_addr == y->sin_addr.s_addr;
	} else {
		const struct sockaddr_in6 *x = (const void *)a;
		const struct sockaddr_in6 *y = (const void *)b;

		return x->sin6_port == y->sin6_port &&
		    memcmp(&x->sin6_addr, &y->sin6_addr,
		    sizeof(x->sin6_addr)) == 0;
	}
}

static int
from_old(struct pk_listeners *old, const struct pk_listen *l)
{
	size_t i;
	int fd;

	for (i = 0; old != NULL && i < old->count; i++)
		if (old->fds[i] != -1 && same_address(&old->listen[i].addr,
		    old->listen[i].addr_len, &l->addr, l->addr_len)) {
			/* A copy: old keeps its own until it is closed. */
			fd = fcntl(old->fds[i], F_DUPFD_CLOEXEC, 0);
			return fd;
		}
	return -1;
}

static int
from_systemd(const struct pk_listen *l)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	int fd, last;

	if (pid == NULL || n == NULL || strtol(pid, NULL, 10) != getpid())
		return -1;
	last = SYSTEMD_FIRST + (int)strtol(n, NULL, 10);
	for (fd = SYSTEMD_FIRST; fd < last; fd++) {
		struct sockaddr_storage a;
		socklen_t len = sizeof(a);

		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
		    same_address(&a, len, &l->addr, l->addr_len))
			return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return -1;
}

/* Clients of a socket that nobody serves would wait for ever. */
static void
drop_unmatched(const struct pk_settings *settings)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	int fd, last;
	size_t i;

	if (pid == NULL || n == NULL || strtol(pid, NULL, 10) != getpid())
		return;
	last = SYSTEMD_FIRST + (int)strtol(n, NULL, 10);
	for (fd = SYSTEMD_FIRST; fd < last; fd++) {
		struct sockaddr_storage a;
		socklen_t len = sizeof(a);

		if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
			continue;
		for (i = 0; i < settings->listens; i++)
			if (same_address(&a, len, &settings->listen[i].addr,
			    settings->listen[i].addr_len))
				break;
		if (i == settings->listens)
			pk_log(PK_LOG_WARNING, "start: socket %d of systemd "
			    "has the address of no listen section: closed",
			    fd);
		/* Of the others a copy was made. */
		close(fd);
	}
}

/* Accepted sockets inherit these (tcp(7)). */
static void
set_options(int fd)
{
	int one = 1, lost = LOST_CLIENT_MS, idle = 60, interval = 15;
	int unsent = UNSENT_MAX;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval,
	    sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost,
	    sizeof(lost));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
	    sizeof(unsent));
}

static int
from_scratch(const struct pk_listen *l)
{
	int one = 1, fd = socket(l->addr.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* "[::]:110" is IPv6 only: 0.0.0.0:110 can then be given beside it. */
	if (l->addr.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
		    sizeof(one));
	if (bind(fd, (const struct sockaddr *)&l->addr, l->addr_len) != 0 ||
	    listen(fd, BACKLOG) != 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct pk_listeners *
pk_listeners_open(const struct pk_settings *settings, struct pk_listeners *old,
    FILE *errors)
{
	struct pk_listeners *ls = calloc(1, sizeof(*ls));
	size_t i, n = settings->listens;

	if (ls != NULL) {
		ls->listen = calloc(n, sizeof(*ls->listen));
		ls->fds = calloc(n, sizeof(*ls->fds));
	}
	if (ls == NULL || ls->listen == NULL || ls->fds == NULL) {
		fprintf(errors, "out of memory\n");
		pk_listeners_close(&ls);
		return NULL;
	}
	for (i = 0; i < n; i++) {
		const struct pk_listen *l = &settings->listen[i];
		int fd = from_old(old, l);

		if (fd == -1)
			fd = from_systemd(l);
		if (fd == -1)
			fd = from_scratch(l);
		if (fd == -1) {
			fprintf(errors, "listen %s: %s\n", l->name,
			    strerror(errno));
			pk_listeners_close(&ls);
			return NULL;
		}
		set_options(fd);
		ls->listen[i] = *l;
		ls->listen[i].name = NULL;
		ls->fds[i] = fd;
		ls->count = i + 1;
	}
	if (old == NULL)
		drop_unmatched(settings);
	return ls;
}

void
pk_listeners_close(struct pk_listeners **lp)
{
	struct pk_listeners *ls = *lp;
	size_t i;

	if (ls == NULL)
		return;
	for (i = 0; i < ls->count; i++)
		close(ls->fds[i]);
	free(ls->fds);
	free(ls->listen);
	free(ls);
	*lp = NULL;
}
