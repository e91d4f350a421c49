/*
 * inetd - the smallest inetd, for servers that are made to be started by one.
 *
 * usage: inetd PORT PROGRAM [ARGUMENT]...
 *
 * Listens on 127.0.0.1; each connection gets a PROGRAM of its own, with the
 * connection as standard input, output and error.  A process per connection is
 * what such servers cost; inetd's own part of it is a fork(2) of little.
 *
 * SPDX-License-Identifier: ISC
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) || listen(fd, 1024))
		return -1;
	return fd;
}

static void become(int fd, char **argv)
{
	signal(SIGCHLD, SIG_DFL);
	for (int n = 0; n < 3; n++)
		dup2(fd, n);		/* fd itself is closed by execv */
	execv(argv[0], argv);
	_exit(127);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: inetd PORT PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	int listener = listen_on(atoi(argv[1]));
	if (listener < 0) {
		perror("inetd");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (fork() == 0)
			become(fd, argv + 2);
		close(fd);
	}
}
