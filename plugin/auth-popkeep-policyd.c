/*
 * Asking policyd from the event loop: see auth-popkeep-policyd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "auth-popkeep-policyd.h"
#include "fd-util.h"
#include "ioloop.h"
#include "llist.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Questions that may wait for an answer, and packets to be sent: a packet of
   the gate has some 500 octets. */
#define QUESTIONS_MAX	10000
#define PACKETS_MAX	10000

/* Answers that are taken before somebody else has a turn. */
#define ANSWERS_AT_ONCE	32

struct question {
	struct question *prev, *next;
	struct auth_popkeep_policyd *policyd;
	uint32_t id;
	auth_popkeep_answer_t *answer;
	void *context;
	struct timeout *to;
};

struct packet {
	struct packet *prev, *next;
	size_t len;
	unsigned char data[FLEXIBLE_ARRAY_MEMBER];
};

struct auth_popkeep_policyd {
	char *socket;
	int fd;				/* -1: not connected */
	struct io *io_in, *io_out;
	/* How often it was connected: what a callback has done can be seen. */
	unsigned int connection;
	uint32_t last_id;
	/* It has let a question time out. */
	bool silent;

	struct question *questions, *questions_tail;
	unsigned int questions_count;
	struct packet *packets, *packets_tail;
	unsigned int packets_count;

	/* Questions of a connection that was lost, and who tells them so. */
	struct question *lost, *lost_tail;
	char *lost_error;
	struct timeout *to_lost;
};

/* Of the packet that is being made, and of the one that has come. */
static uint8_t packet_out[PK_WIRE_MAX], packet_in[PK_WIRE_MAX + 1];

/* ---- questions ---------------------------------------------------------- */

static void
answer_question(struct question *q, const struct pk_wire_login_is *answer,
		const char *error)
{
	timeout_remove(&q->to);
	q->answer(q->context, answer, error);
	i_free(q);
}

static void
remove_question(struct auth_popkeep_policyd *policyd, struct question *q)
{
	DLLIST2_REMOVE(&policyd->questions, &policyd->questions_tail, q);
	policyd->questions_count--;
}

static struct question *
take_question(struct auth_popkeep_policyd *policyd, uint32_t id)
{
	struct question *q;

	for (q = policyd->questions; q != NULL; q = q->next) {
		if (q->id == id) {
			remove_question(policyd, q);
			return q;
		}
	}
	return NULL;
}

static void tell_lost(struct auth_popkeep_policyd *policyd)
{
	struct question *q;

	timeout_remove(&policyd->to_lost);
	while ((q = policyd->lost) != NULL) {
		DLLIST2_REMOVE(&policyd->lost, &policyd->lost_tail, q);
		answer_question(q, NULL, policyd->lost_error);
	}
}

/*
 * Not at once: a connection may be found lost while another question is asked,
 * in the middle of whoever asks it.
 */
static void
lose_questions(struct auth_popkeep_policyd *policyd, const char *error)
{
	struct question *q;

	while ((q = policyd->questions) != NULL) {
		remove_question(policyd, q);
		timeout_remove(&q->to);
		DLLIST2_APPEND(&policyd->lost, &policyd->lost_tail, q);
	}
	i_free(policyd->lost_error);
	policyd->lost_error = i_strdup(error);
	if (policyd->lost != NULL && policyd->to_lost == NULL)
		policyd->to_lost = timeout_add_short(0, tell_lost, policyd);
}

/* ---- the connection ----------------------------------------------------- */

static void
policyd_disconnect(struct auth_popkeep_policyd *policyd, const char *error)
{
	struct packet *packet;

	io_remove(&policyd->io_in);
	io_remove(&policyd->io_out);
	if (policyd->fd != -1)
		i_close_fd(&policyd->fd);
	while ((packet = policyd->packets) != NULL) {
		DLLIST2_REMOVE(&policyd->packets, &policyd->packets_tail,
			       packet);
		i_free(packet);
	}
	policyd->packets_count = 0;
	lose_questions(policyd, error);
}

static int
policyd_fail(struct auth_popkeep_policyd *policyd, const char *what,
	     const char **error_r)
{
	*error_r = t_strdup_printf("popkeep-policyd is away: %s: %s",
				   policyd->socket, what);
	policyd_disconnect(policyd, *error_r);
	return -1;
}

static void
handle_answer(struct auth_popkeep_policyd *policyd,
	      const struct pk_wire_head *head, struct pk_wire *w)
{
	struct pk_wire_login_is answer;
	struct question *q = take_question(policyd, head->id);

	policyd->silent = FALSE;
	/* Later than anybody would wait. */
	if (q == NULL)
		return;
	if (head->type != PK_WIRE_LOGIN_IS || !pk_wire_get_login_is(w, &answer))
		answer_question(q, NULL, "popkeep-policyd: unexpected answer");
	else
		answer_question(q, &answer, NULL);
}

static void policyd_input(struct auth_popkeep_policyd *policyd)
{
	unsigned int i, connection = policyd->connection;
	struct pk_wire_head head;
	const char *error;
	struct pk_wire w;
	ssize_t n;

	for (i = 0; i < ANSWERS_AT_ONCE; i++) {
		/* An answer may have led to the end of the connection. */
		if (policyd->fd == -1 || policyd->connection != connection)
			return;
		n = recv(policyd->fd, packet_in, sizeof(packet_in),
			 MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			(void)policyd_fail(policyd, n < 0 ? strerror(errno) :
				"it closed the connection", &error);
		} else if (!pk_wire_open(&w, packet_in, (size_t)n, &head)) {
			(void)policyd_fail(policyd, "malformed answer",
					   &error);
		} else {
			handle_answer(policyd, &head, &w);
		}
	}
}

static int
policyd_connect(struct auth_popkeep_policyd *policyd, const char **error_r)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (policyd->fd != -1)
		return 0;
	if (i_strocpy(sun.sun_path, policyd->socket, sizeof(sun.sun_path)) < 0)
		return policyd_fail(policyd, strerror(ENAMETOOLONG), error_r);
	policyd->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
			     SOCK_NONBLOCK, 0);
	/* A local socket is connected at once, or its backlog is full. */
	if (policyd->fd == -1 ||
	    connect(policyd->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return policyd_fail(policyd, strerror(errno), error_r);
	policyd->connection++;
	policyd->silent = FALSE;
	policyd->io_in = io_add(policyd->fd, IO_READ, policyd_input, policyd);
	return 0;
}

/* ---- sending ------------------------------------------------------------ */

/* 1: sent.  0: not now.  -1: the connection is lost. */
static int
send_now(struct auth_popkeep_policyd *policyd, const void *data, size_t len,
	 const char **error_r)
{
	ssize_t n;

	do {
		n = send(policyd->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 1;
	if (errno == EAGAIN)
		return 0;
	return policyd_fail(policyd, strerror(errno), error_r);
}

static void policyd_output(struct auth_popkeep_policyd *policyd)
{
	struct packet *packet;
	const char *error;
	int ret;

	while ((packet = policyd->packets) != NULL) {
		ret = send_now(policyd, packet->data, packet->len, &error);
		if (ret <= 0)
			return;
		DLLIST2_REMOVE(&policyd->packets, &policyd->packets_tail,
			       packet);
		policyd->packets_count--;
		i_free(packet);
	}
	io_remove(&policyd->io_out);
}

static int
queue_packet(struct auth_popkeep_policyd *policyd, const struct pk_wire *w,
	     const char **error_r)
{
	struct packet *packet;

	if (policyd->packets_count >= PACKETS_MAX)
		return policyd_fail(policyd, "it takes no question", error_r);
	packet = i_malloc(MALLOC_ADD(sizeof(*packet), w->len));
	packet->len = w->len;
	memcpy(packet->data, w->data, w->len);
	DLLIST2_APPEND(&policyd->packets, &policyd->packets_tail, packet);
	policyd->packets_count++;
	if (policyd->io_out == NULL)
		policyd->io_out = io_add(policyd->fd, IO_WRITE,
					 policyd_output, policyd);
	return 0;
}

static int
send_packet(struct auth_popkeep_policyd *policyd, const struct pk_wire *w,
	    const char **error_r)
{
	int ret = 0;

	if (policyd_connect(policyd, error_r) < 0)
		return -1;
	if (policyd->packets == NULL)
		ret = send_now(policyd, w->data, w->len, error_r);
	if (ret == 0)
		return queue_packet(policyd, w, error_r);
	return ret < 0 ? -1 : 0;
}

/* A connection that was kept may have been closed since: once more, then. */
static int
send_anew(struct auth_popkeep_policyd *policyd, const struct pk_wire *w,
	  const char **error_r)
{
	bool kept = policyd->fd != -1;

	if (w->bad) {
		*error_r = "popkeep: the question is too long";
		return -1;
	}
	if (send_packet(policyd, w, error_r) == 0)
		return 0;
	return kept ? send_packet(policyd, w, error_r) : -1;
}

/* ---- for the gate ------------------------------------------------------- */

struct auth_popkeep_policyd *auth_popkeep_policyd_init(const char *socket)
{
	struct auth_popkeep_policyd *policyd =
		i_new(struct auth_popkeep_policyd, 1);

	policyd->socket = i_strdup(socket);
	policyd->fd = -1;
	return policyd;
}

void auth_popkeep_policyd_deinit(struct auth_popkeep_policyd **_policyd)
{
	struct auth_popkeep_policyd *policyd = *_policyd;

	if (policyd == NULL)
		return;
	*_policyd = NULL;
	policyd_disconnect(policyd, "popkeep: Dovecot ends");
	tell_lost(policyd);
	i_free(policyd->lost_error);
	i_free(policyd->socket);
	i_free(policyd);
}

static void question_timeout(struct question *q)
{
	struct auth_popkeep_policyd *policyd = q->policyd;
	const char *error = t_strdup_printf("popkeep-policyd is away: %s: no "
		"answer in time", policyd->socket);

	policyd->silent = TRUE;
	remove_question(policyd, q);
	answer_question(q, NULL, error);
}

int auth_popkeep_policyd_ask(struct auth_popkeep_policyd *policyd,
			     const struct pk_wire_login *question,
			     auth_popkeep_answer_t *answer, void *context,
			     const char **error_r)
{
	struct question *q;
	struct pk_wire w;

	/* Who has let one question time out gets one at a time, so that not
	   everybody waits for it. */
	if (policyd->questions_count >= QUESTIONS_MAX ||
	    (policyd->silent && policyd->questions != NULL)) {
		*error_r = t_strdup_printf("popkeep-policyd is away: %s: it "
			"does not answer", policyd->socket);
		return -1;
	}
	pk_wire_begin(&w, packet_out, PK_WIRE_LOGIN, 0, ++policyd->last_id);
	pk_wire_put_login(&w, question);
	if (send_anew(policyd, &w, error_r) < 0)
		return -1;
	q = i_new(struct question, 1);
	q->id = policyd->last_id;
	q->answer = answer;
	q->context = context;
	q->policyd = policyd;
	q->to = timeout_add(AUTH_POPKEEP_PATIENCE_MSECS, question_timeout, q);
	DLLIST2_APPEND(&policyd->questions, &policyd->questions_tail, q);
	policyd->questions_count++;
	return 0;
}

int auth_popkeep_policyd_record(struct auth_popkeep_policyd *policyd,
				const struct pk_audit_context *context,
				const struct pk_audit_item *item,
				const char **error_r)
{
	struct pk_wire w;

	pk_wire_begin(&w, packet_out, PK_WIRE_RECORDS, PK_WIRE_QUIET,
		      ++policyd->last_id);
	pk_wire_put_context(&w, context, 0);
	if (!pk_wire_put_item(&w, item))
		w.bad = TRUE;
	return send_anew(policyd, &w, error_r);
}
