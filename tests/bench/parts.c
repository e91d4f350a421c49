/*
 * What the parts of a login cost on this machine, each alone, in microseconds of
 * CPU: what docs/performance adds up beside what is measured.
 *
 * usage: parts [-d DIR] [-n TIMES]
 *
 * A message from one process to another and its way through epoll, the opening
 * of a maildrop that has not changed (in a new directory in DIR, /tmp), a line
 * that is written, the 10 messages of 10 KB of a RETR, and a process for a
 * session.  All of it on one CPU, as on a machine that is busy: to wake another
 * one that sleeps costs ten times as much where it is virtual.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As popkeepd has them: a question of policyd, a record, ten index entries. */
#define MESSAGE	200
#define LINE	365
#define INDEX	1169
#define MAIL	10000

static int times = 20000;
static char buf[65536];

/* Of this process, and of the children that were waited for. */
static double
cpu_us(void)
{
	static const int who[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	struct rusage r;
	double us = 0;
	size_t i;

	for (i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		if (getrusage(who[i], &r) != 0)
			err(1, "getrusage");
		us += (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
		    (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
	}
	return us;
}

static void
check(bool ok, const char *what)
{
	if (!ok)
		err(1, "%s", what);
}

/* ---- the parts ---------------------------------------------------------- */

/* Wait for a message, take it. */
static void
take(int epoll, int fd)
{
	struct epoll_event ev;

	check(epoll_wait(epoll, &ev, 1, -1) == 1, "epoll_wait");
	check(recv(fd, buf, sizeof(buf), 0) == MESSAGE, "recv");
}

static void
give(int fd)
{
	check(send(fd, buf, MESSAGE, MSG_NOSIGNAL) == MESSAGE, "send");
}

static int
listen_to(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	check(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) == 0,
	    "epoll");
	return epoll;
}

/* Two for each round. */
static void
messages(void)
{
	int fds[2], i, epoll;
	pid_t pid;

	check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0, "socketpair");
	pid = fork();
	check(pid >= 0, "fork");
	epoll = listen_to(fds[pid == 0]);
	for (i = 0; i < times; i++) {
		if (pid == 0) {
			take(epoll, fds[1]);
			give(fds[1]);
		} else {
			give(fds[0]);
			take(epoll, fds[0]);
		}
	}
	if (pid == 0)
		_exit(0);
	check(waitpid(pid, NULL, 0) == pid, "waitpid");
}

static void
create(const char *name, size_t size)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	check(fd >= 0 && write(fd, buf, size) == (ssize_t)size, name);
	close(fd);
}

static int
open_at(int dir, const char *name, int flags)
{
	struct stat st;
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);

	check(fd >= 0 && fstat(fd, &st) == 0, name);
	return fd;
}

static void
maildrops(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;
	int i, dir, lock, fd;

	for (i = 0; i < times; i++) {
		dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		lock = open_at(dir, "lock", O_RDWR);
		check(fcntl(lock, F_OFD_SETLK, &whole) == 0, "lock");
		check(fstatat(dir, "new", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    fstatat(dir, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0,
		    "fstatat");
		fd = open_at(dir, "index", O_RDONLY);
		check(read(fd, buf, sizeof(buf)) == INDEX, "read");
		close(fd);
		close(lock);
		close(dir);
	}
}

static void
lines(void)
{
	int i, fd = open("log", O_CREAT | O_APPEND | O_WRONLY, 0600);

	check(fd >= 0, "log");
	for (i = 0; i < times; i++)
		check(write(fd, buf, LINE) == LINE, "write");
	close(fd);
}

static void
files(void)
{
	int i, fd;

	for (i = 0; i < 10 * times; i++) {
		fd = open_at(AT_FDCWD, "mail", O_RDONLY);
		check(read(fd, buf, sizeof(buf)) == MAIL, "read");
		check(read(fd, buf, sizeof(buf)) == 0, "read");
		close(fd);
	}
}

static void
processes(void)
{
	pid_t pid;
	int i;

	for (i = 0; i < times / 10; i++) {
		pid = fork();
		check(pid >= 0, "fork");
		if (pid == 0)
			_exit(0);
		check(waitpid(pid, NULL, 0) == pid, "waitpid");
	}
}

/* ---- all of them -------------------------------------------------------- */

static const struct {
	const char *what;
	void (*run)(void);
	double per_time;		/* how many of it for each of times */
} parts[] = {
	{ "a message between roles", messages, 2 },
	{ "a maildrop opened", maildrops, 1 },
	{ "a line written", lines, 1 },
	{ "10 messages of 10 KB read", files, 1 },
	{ "a process: fork, exit, wait", processes, 0.1 },
};

static void
stay_on_one_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	check(cpu >= 0, "sched_getcpu");
	CPU_SET((size_t)cpu, &set);
	check(sched_setaffinity(0, sizeof(set), &set) == 0,
	    "sched_setaffinity");
}

static void
measure(void)
{
	double begin;
	size_t i;

	create("lock", 1);
	create("index", INDEX);
	create("mail", MAIL);
	check(mkdir("new", 0700) == 0 && mkdir("cur", 0700) == 0, "mkdir");
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		begin = cpu_us();
		parts[i].run();
		printf("%-28s %7.2f us\n", parts[i].what,
		    (cpu_us() - begin) / (parts[i].per_time * times));
		fflush(stdout);
	}
}

static void
usage(void)
{
	(void)fprintf(stderr, "usage: parts [-d DIR] [-n TIMES]\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	static const char *const made[] = { "lock", "index", "mail", "log" };
	const char *dir = "/tmp";
	char place[4096];
	size_t i;
	int c;

	while ((c = getopt(argc, argv, "d:n:")) != -1) {
		if (c == 'd')
			dir = optarg;
		else if (c == 'n')
			times = atoi(optarg);
		else
			usage();
	}
	if (optind < argc || times < 10 || times > 10000000)
		usage();
	(void)snprintf(place, sizeof(place), "%s/parts.XXXXXX", dir);
	check(mkdtemp(place) != NULL && chdir(place) == 0, place);
	stay_on_one_cpu();
	measure();
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		(void)unlink(made[i]);
	(void)rmdir("new");
	(void)rmdir("cur");
	return rmdir(place) == 0 ? 0 : 1;
}
