/*
 * One attempt to log in: see attempt.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "engine/secret.h"
#include "standalone/attempt.h"
#include "standalone/log.h"

/* Milliseconds in which net must take a verdict. */
#define NET_PATIENCE 1000

struct pk_attempt {
	struct pk_msg_login login;	/* up to its secret, which is not there */
	char user[PK_USERNAME_SIZE];	/* canonical; "": it is no name */
	char session_id[PK_AUDIT_SESSION_SIZE];

	bool checked;			/* c and session are set */
	struct pk_msg_checked c;
	int session;

	bool answered;			/* by policyd */
	bool away;			/* or it is away */
	struct pk_wire_login_is says;
};

static struct {
	struct pk_attempt_env env;
	uint64_t started, count;	/* for session ids */
} attempts;

void
pk_attempts_init(const struct pk_attempt_env *env)
{
	struct timespec t;

	attempts.env = *env;
	clock_gettime(CLOCK_REALTIME, &t);
	attempts.started = (uint64_t)t.tv_sec * 1000000 +
	    (uint64_t)t.tv_nsec / 1000;
}

static enum pk_credential_kind
kind_of(const struct pk_attempt *a)
{
	return a->login.mech == PK_MECH_APOP ? PK_KIND_APOP :
	    PK_KIND_PASSWORD;
}

/* ---- telling ---------------------------------------------------------------------- */

static void
log_failure(const struct pk_attempt *a, const char *reason)
{
	char user[3 * PK_USERNAME_SIZE];

	pk_log_field(a->login.user, a->login.user_len, user, sizeof(user));
	pk_log(PK_LOG_NOTICE, "login-failed: user=%s rhost=%s mech=%s "
	    "tls=%u result=%s reason=%s", user, a->login.rhost,
	    pk_mechanism_name((enum pk_mechanism)a->login.mech), a->login.tls,
	    pk_login_result_name((enum pk_login_result)a->c.result), reason);
}

static void
record(const struct pk_attempt *a, enum pk_audit_event event,
    const char *reason)
{
	struct pk_audit_context c;
	struct pk_audit_item i;
	struct pk_wire w;

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	(void)snprintf(c.user, sizeof(c.user), "%s",
	    a->c.result == PK_LOGIN_OK ? a->c.account.user : a->user);
	(void)snprintf(c.session, sizeof(c.session), "%s", a->session_id);
	(void)snprintf(c.ip, sizeof(c.ip), "%s", a->login.rhost);
	(void)snprintf(c.mech, sizeof(c.mech), "%s",
	    pk_mechanism_name((enum pk_mechanism)a->login.mech));
	(void)snprintf(c.rule, sizeof(c.rule), "%s", a->says.rule);
	c.tls = a->login.tls != 0;
	i.event = event;
	(void)snprintf(i.reason, sizeof(i.reason), "%s", reason);
	pk_policy_client_begin(attempts.env.policy, &w, PK_WIRE_RECORDS,
	    PK_WIRE_QUIET);
	pk_wire_put_context(&w, &c, 0);
	if (pk_wire_put_item(&w, &i))
		(void)!pk_policy_client_send(attempts.env.policy, &w, NULL,
		    NULL);
}

static bool
approve(const struct pk_attempt *a)
{
	struct pk_msg_approval m;

	memset(&m, 0, sizeof(m));
	m.id = a->login.id;
	m.mech = a->login.mech;
	m.tls = a->login.tls;
	memcpy(m.rhost, a->login.rhost, sizeof(m.rhost));
	memcpy(m.session, a->session_id, sizeof(m.session));
	m.account = a->c.account;
	return pk_channel_send(attempts.env.parent, PK_MSG_APPROVAL, &m,
	    a->session) == 0;
}

/* net waits for each of them; a net that takes none is not served any more. */
static void
send_verdict(const struct pk_attempt *a)
{
	struct pk_msg_verdict v = { .id = a->login.id,
	    .result = a->c.result };

	if (pk_channel_send_patiently(attempts.env.net, PK_MSG_VERDICT, &v,
	    NET_PATIENCE) != 0)
		attempts.env.net_is_stuck();
}

static void
attempt_free(struct pk_attempt *a)
{
	pk_policy_client_forget(attempts.env.policy, a);
	if (a->session != -1)
		close(a->session);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

/*
 * The parent gets the approval before net gets the verdict, so that it is
 * there when net claims it.
 */
static void
answer(struct pk_attempt *a)
{
	const char *reason = a->c.reason;

	if (a->c.result == PK_LOGIN_OK && !approve(a)) {
		a->c.result = PK_LOGIN_TEMPORARY;
		reason = "the parent does not keep up";
	}
	if (a->c.result != PK_LOGIN_OK) {
		log_failure(a, reason);
		record(a, PK_AUDIT_LOGIN_FAILED, reason);
	} else {
		record(a, PK_AUDIT_LOGIN, "");
	}
	send_verdict(a);
	attempt_free(a);
}

/* ---- the policy ------------------------------------------------------------------- */

static enum pk_login_result
refuse(struct pk_attempt *a, enum pk_login_result result, const char *reason)
{
	(void)snprintf(a->c.reason, sizeof(a->c.reason), "%s", reason);
	return result;
}

/*
 * policyd cannot be asked: what holds for every user on such a connection is
 * known all the same.  What minimum-secret and exclusive say of this one is not.
 */
static enum pk_login_result
judge_alone(struct pk_attempt *a)
{
	uint8_t address[16];
	enum pk_allow allow = PK_ALLOW_NEVER;
	bool by_secret = (kind_of(a) == PK_KIND_APOP || !a->login.tls) &&
	    pk_login_table_wants_secrets(attempts.env.table);

	if (!by_secret && pk_address_parse(a->login.rhost, address))
		allow = pk_login_table_all(attempts.env.table, kind_of(a),
		    address, time(NULL));
	if (allow == PK_ALLOW_ALWAYS ||
	    (allow == PK_ALLOW_TLS && a->login.tls))
		return PK_LOGIN_OK;
	return refuse(a, PK_LOGIN_TEMPORARY, "policyd is away, and not every "
	    "user may log in so");
}

static enum pk_login_result
judge_verdict(struct pk_attempt *a)
{
	char text[sizeof(a->c.reason)];

	if (a->says.result == PK_WIRE_NOT_YET)
		return refuse(a, PK_LOGIN_TEMPORARY, "policyd does not know "
		    "the groups yet");
	if (a->says.result != PK_WIRE_OK)
		return refuse(a, PK_LOGIN_TEMPORARY, "policyd cannot tell");
	switch (a->says.verdict) {
	case PK_LOGIN_RULE_ALLOWS:
	case PK_LOGIN_RULE_WARNS:
		return PK_LOGIN_OK;
	case PK_LOGIN_RULE_TLS:
	case PK_LOGIN_RULE_REFUSES:
	case PK_LOGIN_RULE_UNKNOWN:
		break;
	}
	(void)snprintf(text, sizeof(text), "policy: %s%s%s",
	    a->says.rule[0] != '\0' ? "rule " : "no rule permits it",
	    a->says.rule, a->says.verdict == PK_LOGIN_RULE_TLS ?
	    " asks for TLS" : "");
	/* Who the user is made the difference: as if the secret were wrong. */
	return refuse(a, PK_LOGIN_CREDENTIAL, text);
}

/* The length of the user's secret in the store; 0: there is none. */
static enum pk_err
secret_length(const struct pk_attempt *a, size_t *len_r)
{
	uint8_t secret[PK_SECRET_MAX];
	enum pk_err err;

	*len_r = 0;
	if (attempts.env.store == NULL)
		return PK_ERR_IO;
	err = pk_secrets_get(attempts.env.store, a->user, secret, len_r);
	OPENSSL_cleanse(secret, sizeof(secret));
	return err == PK_ERR_NOTFOUND ? PK_OK : err;
}

/* minimum-secret for APOP; exclusive for passwords outside TLS. */
static enum pk_login_result
judge_secret(struct pk_attempt *a)
{
	bool apop = kind_of(a) == PK_KIND_APOP;
	size_t len;

	if (apop ? a->says.minimum_secret == 0 :
	    !a->says.exclusive || a->login.tls)
		return PK_LOGIN_OK;
	if (secret_length(a, &len) != PK_OK)
		return refuse(a, PK_LOGIN_PERMANENT, apop ?
		    "minimum-secret: the secret store cannot be read" :
		    "exclusive: the secret store cannot be read");
	if (apop && len < a->says.minimum_secret)
		return refuse(a, PK_LOGIN_CREDENTIAL,
		    "the secret is shorter than minimum-secret");
	if (!apop && len > 0)
		return refuse(a, PK_LOGIN_CREDENTIAL,
		    "exclusive: who has a secret uses no password in clear");
	return PK_LOGIN_OK;
}

static void
warn(const struct pk_attempt *a)
{
	if (a->c.result != PK_LOGIN_OK || a->away ||
	    a->says.verdict != PK_LOGIN_RULE_WARNS)
		return;
	pk_log(PK_LOG_NOTICE, "apop-warn: user=%s rhost=%s rule=%s will soon "
	    "refuse it", a->c.account.user, a->login.rhost, a->says.rule);
	record(a, PK_AUDIT_APOP_WARN, "");
}

/* The same work whether or not the credential was right. */
static void
judge(struct pk_attempt *a)
{
	char reason[sizeof(a->c.reason)];
	enum pk_login_result result;

	memcpy(reason, a->c.reason, sizeof(reason));
	result = a->away ? judge_alone(a) : judge_verdict(a);
	if (result == PK_LOGIN_OK && !a->away)
		result = judge_secret(a);
	if (a->c.result != PK_LOGIN_OK)
		memcpy(a->c.reason, reason, sizeof(reason));
	else
		a->c.result = (uint32_t)result;
	warn(a);
	answer(a);
}

static void ask(struct pk_attempt *a);

static void
on_both(struct pk_attempt *a)
{
	if (!a->checked || !a->answered)
		return;
	/* PAM may have made another user of it. */
	if (a->c.result == PK_LOGIN_OK &&
	    strcmp(a->user, a->c.account.user) != 0) {
		memcpy(a->user, a->c.account.user, sizeof(a->user));
		ask(a);
	} else {
		judge(a);
	}
}

static void
on_policy(void *arg, const struct pk_wire_head *head, struct pk_wire *w)
{
	struct pk_attempt *a = arg;

	a->answered = true;
	a->away = head == NULL || head->type != PK_WIRE_LOGIN_IS ||
	    !pk_wire_get_login_is(w, &a->says);
	on_both(a);
}

static void
ask(struct pk_attempt *a)
{
	struct pk_wire_login m;
	struct pk_wire w;

	memset(&m, 0, sizeof(m));
	memcpy(m.user, a->user, sizeof(m.user));
	memcpy(m.ip, a->login.rhost, sizeof(m.ip));
	m.kind = kind_of(a);
	m.tls = a->login.tls != 0;
	a->answered = false;
	pk_policy_client_begin(attempts.env.policy, &w, PK_WIRE_LOGIN, 0);
	pk_wire_put_login(&w, &m);
	if (!pk_policy_client_send(attempts.env.policy, &w, on_policy, a)) {
		a->away = a->answered = true;
		on_both(a);
	}
}

/* ---- for auth ---------------------------------------------------------------------- */

struct pk_attempt *
pk_attempt_new(const struct pk_msg_login *login)
{
	struct pk_attempt *a = calloc(1, sizeof(*a));
	struct pk_span name = { (const uint8_t *)login->user,
	    login->user_len };

	if (a == NULL)
		return NULL;
	memcpy(&a->login, login, offsetof(struct pk_msg_login, secret));
	a->session = -1;
	if (pk_username_canonical(&attempts.env.settings->names, name,
	    a->user) != PK_OK)
		a->user[0] = '\0';
	(void)snprintf(a->session_id, sizeof(a->session_id), "%" PRIx64 ".%"
	    PRIx64, attempts.started, ++attempts.count);
	ask(a);
	return a;
}

void
pk_attempt_checked(struct pk_attempt *a, const struct pk_msg_checked *c,
    int session)
{
	a->c = *c;
	a->session = session;
	a->checked = true;
	on_both(a);
}
