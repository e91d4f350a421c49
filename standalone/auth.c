/*
 * The auth role: root, hence small.  It reads no file but the secret store, and
 * talks to nobody but net, the parent and its helpers.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "engine/apop.h"
#include "pam/secrets.h"
#include "standalone/attempt.h"
#include "standalone/log.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"

/* Logins after which a helper makes room for a fresh one: modules may leak. */
#define HELPER_LOGINS 1000

struct request {
	struct request *next;
	int64_t since;			/* seconds */
	struct pk_attempt *attempt;
	struct pk_msg_login login;
};

struct helper {
	struct helper *next;
	pid_t pid;
	int channel;
	struct request *request;	/* NULL: idle */
	unsigned logins;
	struct event *ev, *timer;
};

static struct {
	const struct pk_settings *settings;
	struct pk_users_source *users;
	const struct pk_login_table *table;
	struct pk_policy_client *policy;
	struct pk_secrets *store;	/* NULL: not needed, or not to be had */
	struct event_base *base;
	int parent, net;
	struct helper *helpers;
	unsigned helper_count;
	struct request *queue, **queue_tail;
	unsigned queued;
	struct event *work;		/* run_queue() */
	bool clean;			/* the others have ended, or want us to */
} auth;

static void run_queue(void);
static void forget_requests(void);

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void
request_free(struct request *r)
{
	OPENSSL_cleanse(r, sizeof(*r));
	free(r);
}

/* ---- results -------------------------------------------------------------------- */

/* The attempt answers for itself, once it knows what the policy says. */
static void
answer_plainly(struct request *r, enum pk_login_result result,
    const char *reason)
{
	struct pk_msg_checked c;

	memset(&c, 0, sizeof(c));
	c.result = (uint32_t)result;
	(void)strncat(c.reason, reason, sizeof(c.reason) - 1);
	pk_attempt_checked(r->attempt, &c, -1);
}

static void
net_is_stuck(void)
{
	event_base_loopbreak(auth.base);
}

/* ---- helpers --------------------------------------------------------------------- */

static void
helper_free(struct helper *h, bool kill_it)
{
	struct helper **hp;

	for (hp = &auth.helpers; *hp != h; hp = &(*hp)->next)
		;
	*hp = h->next;
	auth.helper_count--;
	/* With what its modules have started: it leads a group of its own. */
	if (kill_it)
		(void)kill(-h->pid, SIGKILL);
	event_free(h->ev);
	event_free(h->timer);
	close(h->channel);
	if (h->request != NULL)
		request_free(h->request);
	free(h);
}

static void
helper_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;

	(void)fd;
	(void)what;
	answer_plainly(h->request, PK_LOGIN_TEMPORARY,
	    "PAM took longer than pam-timeout");
	helper_free(h, true);
	run_queue();
}

static void
helper_checked(struct helper *h, const struct pk_msg_checked *c, int session)
{
	struct request *r = h->request;

	event_del(h->timer);
	h->request = NULL;
	pk_attempt_checked(r->attempt, c, session);
	request_free(r);
	if (session != -1) {
		/* It holds a PAM session now, and ends with that. */
		helper_free(h, false);
	} else if (++h->logins >= HELPER_LOGINS) {
		helper_free(h, false);
	}
}

static void
helper_lost(struct helper *h, bool kill_it)
{
	if (h->request != NULL)
		answer_plainly(h->request, PK_LOGIN_TEMPORARY,
		    "the PAM helper died");
	helper_free(h, kill_it);
}

static void
on_helper(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	(void)what;
	switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_CHECKED), &type, &m,
	    &pass)) {
	case PK_RECEIVED:
		if (h->request != NULL &&
		    m.checked.id == h->request->login.id) {
			helper_checked(h, &m.checked, pass);
		} else {
			if (pass != -1)
				close(pass);
			helper_lost(h, true);
		}
		break;
	case PK_RECEIVED_NOTHING:
		break;
	case PK_RECEIVED_NO_DESCRIPTOR:
	case PK_RECEIVED_NONSENSE:
		helper_lost(h, true);
		break;
	case PK_RECEIVED_END:
		/* It is gone, and its pid may be somebody else's by now. */
		helper_lost(h, false);
		break;
	}
	run_queue();
}

static struct helper *
helper_new(void)
{
	struct helper *h = calloc(1, sizeof(*h));
	int pair[2];

	if (h == NULL)
		return NULL;
	if (pk_channel_pair(pair, false) != 0) {
		free(h);
		return NULL;
	}
	h->pid = pk_role_fork();
	if (h->pid == 0) {
		(void)setpgid(0, 0);
		/* Its word reaches the log through auth's answers. */
		forget_requests();
		pk_sandbox_close(STDERR_FILENO + 1, &pair[1], 1);
		pk_helper_main(auth.settings, auth.users, pair[1]);
	}
	if (h->pid > 0)
		(void)setpgid(h->pid, h->pid);	/* whoever comes first */
	close(pair[1]);
	h->channel = pair[0];
	h->ev = event_new(auth.base, pair[0], EV_READ | EV_PERSIST, on_helper,
	    h);
	h->timer = event_new(auth.base, -1, 0, helper_timeout, h);
	if (h->pid == -1 || h->ev == NULL || h->timer == NULL ||
	    event_add(h->ev, NULL) != 0) {
		if (h->pid > 0)
			(void)kill(h->pid, SIGKILL);
		if (h->ev != NULL)
			event_free(h->ev);
		if (h->timer != NULL)
			event_free(h->timer);
		close(pair[0]);
		free(h);
		return NULL;
	}
	h->next = auth.helpers;
	auth.helpers = h;
	auth.helper_count++;
	return h;
}

static struct helper *
idle_helper(void)
{
	struct helper *h;

	for (h = auth.helpers; h != NULL; h = h->next)
		if (h->request == NULL)
			return h;
	return auth.helper_count < auth.settings->pam_helpers ?
	    helper_new() : NULL;
}

static struct request *
dequeue(void)
{
	struct request *r = auth.queue;

	auth.queue = r->next;
	if (auth.queue == NULL)
		auth.queue_tail = &auth.queue;
	auth.queued--;
	return r;
}

/* Who has waited for as long as a stack may take need not wait for one. */
static void
drop_stale(void)
{
	int64_t oldest = now() - auth.settings->pam_timeout;
	struct request *r;

	while (auth.queue != NULL && auth.queue->since < oldest) {
		r = dequeue();
		answer_plainly(r, PK_LOGIN_TEMPORARY,
		    "waited longer than pam-timeout for a PAM helper");
		request_free(r);
	}
}

static void
run_queue(void)
{
	struct timeval limit = { auth.settings->pam_timeout, 0 };
	struct helper *h;
	struct request *r;

	drop_stale();
	while (auth.queue != NULL && (h = idle_helper()) != NULL) {
		r = auth.queue;
		if (pk_channel_send(h->channel, PK_MSG_LOGIN, &r->login,
		    -1) != 0) {
			helper_free(h, true);
			continue;
		}
		(void)dequeue();
		h->request = r;
		event_add(h->timer, &limit);
	}
	/* Without any helper nothing would ever run the queue again. */
	while (auth.helpers == NULL && auth.queue != NULL) {
		r = dequeue();
		answer_plainly(r, PK_LOGIN_TEMPORARY,
		    "no PAM helper can be started");
		request_free(r);
	}
}

/* From the loop: no frame below holds a login that a new helper would keep. */
static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	run_queue();
}

/* In a new helper: the logins of others are none of its business. */
static void
forget_requests(void)
{
	struct request *r;
	struct helper *h;

	for (r = auth.queue; r != NULL; r = r->next)
		OPENSSL_cleanse(&r->login, sizeof(r->login));
	for (h = auth.helpers; h != NULL; h = h->next)
		if (h->request != NULL)
			OPENSSL_cleanse(&h->request->login,
			    sizeof(h->request->login));
}

static struct request *
request_new(const struct pk_msg_login *l)
{
	struct request *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	r->next = NULL;
	r->since = now();
	r->login = *l;
	r->attempt = pk_attempt_new(l);
	if (r->attempt == NULL) {
		request_free(r);
		return NULL;
	}
	return r;
}

static void
enqueue(struct request *r)
{
	if (auth.queued >= auth.settings->pam_queue) {
		answer_plainly(r, PK_LOGIN_TEMPORARY, "pam-queue is full");
		request_free(r);
		return;
	}
	*auth.queue_tail = r;
	auth.queue_tail = &r->next;
	auth.queued++;
	event_active(auth.work, EV_TIMEOUT, 0);
}

/* ---- net ------------------------------------------------------------------------- */

static void
on_login(const struct pk_msg_login *l)
{
	struct request *r = request_new(l);
	struct pk_msg_checked c;

	if (r == NULL) {
		/* net gives it up in time. */
		pk_log(PK_LOG_ERR, "auth: out of memory");
		return;
	}
	/* What cannot wait for anybody is done here. */
	if (l->mech == PK_MECH_APOP &&
	    auth.settings->apop_through == PK_APOP_STORE &&
	    !pk_users_may_wait(auth.users)) {
		pk_login_check(auth.settings, auth.users, auth.store, l, &c,
		    NULL);
		pk_attempt_checked(r->attempt, &c, -1);
		request_free(r);
	} else {
		enqueue(r);
	}
}

static void
on_net(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	unsigned i;
	int pass;

	(void)what;
	(void)arg;
	for (i = 0; i < 32; i++) {
		switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_LOGIN), &type,
		    &m, &pass)) {
		case PK_RECEIVED:
			on_login(&m.login);
			OPENSSL_cleanse(&m, sizeof(m));
			break;
		case PK_RECEIVED_NOTHING:
			return;
		case PK_RECEIVED_END:
			auth.clean = true;
			/* FALLTHROUGH */
		case PK_RECEIVED_NO_DESCRIPTOR:
		case PK_RECEIVED_NONSENSE:
			event_base_loopbreak(auth.base);
			return;
		}
	}
}

/* The parent brings channels to policyd, and is gone when its own is. */
static void
on_parent(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	(void)what;
	(void)arg;
	switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_POLICY), &type, &m,
	    &pass)) {
	case PK_RECEIVED:
		pk_policy_client_connect(auth.policy, pass);
		break;
	case PK_RECEIVED_NOTHING:
	case PK_RECEIVED_NO_DESCRIPTOR:
		break;
	case PK_RECEIVED_END:
	case PK_RECEIVED_NONSENSE:
		auth.clean = true;
		event_base_loopbreak(auth.base);
		break;
	}
}

/* ---- starting -------------------------------------------------------------------- */

static _Noreturn void
fail(const char *what)
{
	pk_log(PK_LOG_ERR, "auth: %s", what);
	_exit(1);
}

static void
open_store(void)
{
	char why[PK_SECRETS_WHY];

	if (!(auth.settings->apop_through == PK_APOP_STORE &&
	    pk_apop_is_available()) &&
	    !pk_login_table_wants_secrets(auth.table))
		return;
	auth.store = pk_secrets_open(auth.settings->secrets,
	    auth.settings->secrets_key, PK_SECRETS_READ, why);
	if (auth.store == NULL)
		pk_log(PK_LOG_NOTICE, "auth: without a secret store APOP is "
		    "refused: %s", why);
}

static void
begin_attempts(void)
{
	struct pk_attempt_env env = {
		.settings = auth.settings, .table = auth.table,
		.policy = auth.policy, .store = auth.store,
		.parent = auth.parent, .net = auth.net,
		.net_is_stuck = net_is_stuck,
	};

	pk_attempts_init(&env);
}

static void
add_event(int fd, event_callback_fn callback)
{
	struct event *ev = event_new(auth.base, fd, EV_READ | EV_PERSIST,
	    callback, NULL);

	if (ev == NULL || event_add(ev, NULL) != 0)
		fail("out of memory");
}

void
pk_auth_main(const struct pk_settings *settings,
    const struct pk_login_table *table, struct pk_users_source *users,
    int parent, int net)
{
	struct helper *h;

	pk_title_set("auth");
	pk_sandbox_null_stdio();
	pk_sandbox_raise_files();
	auth.settings = settings;
	auth.table = table;
	auth.users = users;
	auth.parent = parent;
	auth.net = net;
	auth.queue_tail = &auth.queue;
	auth.base = event_base_new();
	if (auth.base == NULL)
		fail("event_base_new");
	auth.work = event_new(auth.base, -1, 0, on_work, NULL);
	auth.policy = pk_policy_client_new(auth.base);
	if (auth.work == NULL || auth.policy == NULL)
		fail("out of memory");
	open_store();
	begin_attempts();
	add_event(parent, on_parent);
	add_event(net, on_net);
	/* Helpers are known by their channels: nobody waits for them. */
	(void)signal(SIGCHLD, SIG_IGN);
	/* The channel to policyd comes before the first login. */
	on_parent(parent, EV_READ, NULL);
	if (pk_channel_send(parent, PK_MSG_READY, NULL, -1) != 0)
		fail("the parent is gone");
	event_base_dispatch(auth.base);
	for (h = auth.helpers; h != NULL; h = h->next)
		(void)kill(-h->pid, SIGKILL);
	close(net);
	close(parent);
	/*
	 * Nothing outlives a clean stop: helpers that hold a PAM session close
	 * it when the session has ended.  As SIGCHLD is ignored, wait(2) comes
	 * back when the last one is gone.
	 */
	while (auth.clean && (wait(NULL) != -1 || errno == EINTR))
		;
	_exit(0);
}
