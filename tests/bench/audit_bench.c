/*
 * What policyd's audit log costs a QUIT that disposes: its intents to disk, then
 * its outcomes, as popkeepd does it.
 *
 * usage: audit_bench [-d DIR] [-m MESSAGES] [-q QUITS] [-r RUNS]
 *
 * A policyd of its own writes its log in a new directory in DIR (/tmp): name
 * one on the file system that is to be measured.  For each number of peers,
 * RUNS times: QUITS QUITs of MESSAGES messages each, once with every peer busy
 * ("together": what comes at once reaches the disk at once) and once with one
 * peer at a time ("alone": a time to disk for each).  The medians of the runs.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/wire.h"
#include "standalone/log.h"
#include "standalone/policyd.h"

#define PEERS_MAX	128
#define RUNS_MAX	99
#define NOBODY		65534

struct peer {
	int fd;
	bool busy, intended;
	unsigned number;		/* of its QUIT */
	int64_t began;
};

/* What one run says. */
struct figures {
	double quits, median, p99;	/* a second; milliseconds */
};

static struct peer peers[PEERS_MAX];
static struct pollfd polls[PEERS_MAX];
static uint8_t out[PK_WIRE_MAX], in[PK_WIRE_MAX + 1];
static uint64_t serial;
static unsigned messages = 10, quits = 2000, runs = 5, number;
static double *took;			/* milliseconds of each QUIT */

static char dir[256], socket_path[300], policy_path[300], audit_path[300];
static char state_path[300], log_path[300];

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "audit_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- policyd ------------------------------------------------------------ */

static _Noreturn void
be_policyd(void)
{
	struct pk_policyd_settings settings = { .policy = policy_path,
	    .audit_log = audit_path, .socket = socket_path,
	    .state_dir = state_path, .user = "nobody", .group = "",
	    .group_refresh = 3600, .audit_seal = 3600 };

	if (pk_log_open(log_path) != 0 || (geteuid() == 0 &&
	    (setgroups(0, NULL) != 0 ||
	    setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)))
		_exit(1);
	_exit(pk_policyd_main(&settings, -1));
}

static void
name_files(const char *where)
{
	FILE *f;

	(void)snprintf(dir, sizeof(dir), "%s/audit_bench.XXXXXX", where);
	if (mkdtemp(dir) == NULL || (geteuid() == 0 &&
	    chown(dir, NOBODY, NOBODY) != 0))
		die(dir);
	(void)snprintf(policy_path, sizeof(policy_path), "%s/policy", dir);
	(void)snprintf(audit_path, sizeof(audit_path), "%s/audit.log", dir);
	(void)snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	(void)snprintf(state_path, sizeof(state_path), "%s/state", dir);
	(void)snprintf(log_path, sizeof(log_path), "%s/log", dir);
	f = fopen(policy_path, "w");
	if (f == NULL || fputs("retention \"r\" { }\n", f) < 0 ||
	    fclose(f) != 0)
		die(policy_path);
}

static void
remove_files(void)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		die(command);
}

static int
connect_peer(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), i;

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%.107s",
	    socket_path);
	for (i = 0; i < 1000; i++) {
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return fd;
		(void)usleep(10000);
	}
	die(socket_path);
}

/* ---- a QUIT ------------------------------------------------------------- */

static void
receive(int fd, struct pk_wire *w, enum pk_wire_type type)
{
	struct pk_wire_head head;
	ssize_t n = recv(fd, in, sizeof(in), 0);

	if (n <= 0 || !pk_wire_open(w, in, (size_t)n, &head) ||
	    head.type != type) {
		fprintf(stderr, "audit_bench: policyd gave no answer\n");
		exit(1);
	}
}

static void
ask_serial(void)
{
	struct pk_wire_user m = { .user = "ann" };
	struct pk_wire_user_is a;
	struct pk_wire w;

	pk_wire_begin(&w, out, PK_WIRE_USER, 0, 1);
	pk_wire_put_user(&w, &m);
	if (send(peers[0].fd, out, w.len, MSG_NOSIGNAL) < 0)
		die("send");
	receive(peers[0].fd, &w, PK_WIRE_USER_IS);
	if (!pk_wire_get_user_is(&w, &a))
		exit(1);
	serial = a.serial;
}

static void
report(const struct peer *p, enum pk_audit_event event, uint32_t flags)
{
	struct pk_audit_context c = { .user = "ann", .session = "0123456789",
	    .ip = "192.0.2.17", .mech = "PLAIN", .rule = "r", .tls = true };
	struct pk_audit_item item = { .event = event, .reason = "dele",
	    .size = 12345, .has_size = true };
	struct pk_wire w;
	unsigned i;

	pk_wire_begin(&w, out, PK_WIRE_RECORDS, flags, 1);
	pk_wire_put_context(&w, &c, serial);
	for (i = 0; i < messages; i++) {
		(void)snprintf(item.uidl, sizeof(item.uidl),
		    "1600000000.M%uP%u.host.example.org", p->number, i);
		if (!pk_wire_put_item(&w, &item)) {
			fprintf(stderr, "audit_bench: -m %u: too many for one "
			    "packet\n", messages);
			exit(2);
		}
	}
	if (send(p->fd, out, w.len, MSG_NOSIGNAL) < 0)
		die("send");
}

static void
begin_quit(struct peer *p)
{
	p->busy = true;
	p->intended = false;
	p->number = ++number;
	p->began = now_us();
	report(p, PK_AUDIT_DISPOSE_INTENT, PK_WIRE_DURABLE);
}

/* An answer: was it the last of the QUIT? */
static bool
go_on(struct peer *p)
{
	enum pk_wire_result result;
	struct pk_wire w;

	receive(p->fd, &w, PK_WIRE_RECORDED);
	if (!pk_wire_get_recorded(&w, &result) || result != PK_WIRE_OK) {
		fprintf(stderr, "audit_bench: refused\n");
		exit(1);
	}
	if (p->intended) {
		p->busy = false;
		return true;
	}
	p->intended = true;
	report(p, PK_AUDIT_DISPOSED, 0);
	return false;
}

/* ---- runs ---------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* As many QUITs as there are to be, at most busy of them at a time. */
static struct figures
run(unsigned count, unsigned busy)
{
	unsigned begun, ended = 0, i;
	int64_t start = now_us();
	struct figures f;

	for (begun = 0; begun < busy; begun++)
		begin_quit(&peers[begun]);
	while (ended < quits) {
		if (poll(polls, count, -1) < 0)
			die("poll");
		for (i = 0; i < count; i++) {
			if (polls[i].revents == 0 || !go_on(&peers[i]))
				continue;
			took[ended++] = (double)(now_us() -
			    peers[i].began) / 1000;
			/* The next one is another's turn. */
			if (begun < quits)
				begin_quit(&peers[busy == 1 ? begun % count :
				    i]);
			begun += begun < quits;
		}
	}
	f.quits = quits * 1e6 / (double)(now_us() - start);
	qsort(took, quits, sizeof(*took), compare);
	f.median = took[quits / 2];
	f.p99 = took[quits - 1 - quits / 100];
	return f;
}

static double
median_of(const struct figures *all, size_t offset)
{
	double v[RUNS_MAX];
	unsigned i;

	for (i = 0; i < runs; i++)
		memcpy(&v[i], (const char *)&all[i] + offset, sizeof(v[i]));
	qsort(v, runs, sizeof(v[0]), compare);
	return v[runs / 2];
}

static void
print(unsigned count, const char *how, const struct figures *all)
{
	double q = median_of(all, offsetof(struct figures, quits));

	printf("%5u  %-8s  %8.0f  %9.0f  %8.2f  %8.2f\n", count, how, q,
	    q * 2 * messages, median_of(all, offsetof(struct figures, median)),
	    median_of(all, offsetof(struct figures, p99)));
	fflush(stdout);
}

/* One after the other: the machine is the same for both. */
static void
measure(unsigned count)
{
	struct figures together[RUNS_MAX], alone[RUNS_MAX];
	unsigned i;

	for (i = 0; i < runs; i++) {
		together[i] = run(count, count);
		alone[i] = run(count, 1);
	}
	print(count, "together", together);
	print(count, "alone", alone);
}

static void
measure_all(void)
{
	static const unsigned counts[] = { 1, 8, 32, PEERS_MAX };
	struct statfs fs;
	size_t i;

	if (statfs(dir, &fs) != 0)
		die(dir);
	printf("%s: file system of type 0x%lx%s; QUITs of %u messages, %u in a "
	    "run, medians of %u runs\n"
	    "peers  how       QUITs/s   records/s  median ms   p99 ms\n", dir,
	    (unsigned long)fs.f_type, fs.f_type == 0x01021994 ?
	    " (tmpfs: nothing reaches a disk)" : "", messages, quits, runs);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure(counts[i]);
}

static unsigned
amount(char option, const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || n < least || n > most) {
		fprintf(stderr, "audit_bench: -%c %s: expected %u to %u\n",
		    option, text, least, most);
		exit(2);
	}
	return (unsigned)n;
}

int
main(int argc, char **argv)
{
	const char *where = "/tmp";
	unsigned i;
	pid_t pid;
	int opt;

	while ((opt = getopt(argc, argv, "d:m:q:r:")) != -1) {
		if (opt == 'd')
			where = optarg;
		else if (opt == 'm')
			messages = amount('m', optarg, 1, 1000);
		else if (opt == 'q')
			quits = amount('q', optarg, PEERS_MAX, 1000000);
		else if (opt == 'r')
			runs = amount('r', optarg, 1, RUNS_MAX);
		else
			return 2;
	}
	took = calloc(quits, sizeof(*took));
	if (took == NULL)
		die("memory");
	name_files(where);
	pid = fork();
	if (pid == 0)
		be_policyd();
	for (i = 0; i < PEERS_MAX; i++) {
		peers[i].fd = polls[i].fd = connect_peer();
		polls[i].events = POLLIN;
	}
	ask_serial();
	measure_all();
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
	remove_files();
	free(took);
	return 0;
}
