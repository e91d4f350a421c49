/*
 * The gate: asks policyd whether a login may be, and leaves the rest to the
 * next passdb.  It runs in the auth process and never waits.
 *
 * SPDX-License-Identifier: ISC
 */
#include "auth-popkeep-private.h"
#include "auth.h"

#include "auth-popkeep-policyd.h"

struct gate_request {
	struct auth_request *request;
	verify_plain_callback_t *verify;	/* one of both */
	lookup_credentials_callback_t *lookup;
};

/* ---- which logins ------------------------------------------------------- */

/* Whose digest is made of the secret itself; a "*" at the end: and whatever. */
static const char *const secret_mechs[] = {
	"APOP", "CRAM-*", "DIGEST-*", "SCRAM-*", "NTLM", "RPA", "OTP", "SKEY",
};

static bool is_secret_mech(const char *mech)
{
	unsigned int i;
	size_t len;

	for (i = 0; i < N_ELEMENTS(secret_mechs); i++) {
		len = strlen(secret_mechs[i]);
		if (secret_mechs[i][len - 1] == '*' ?
		    strncasecmp(mech, secret_mechs[i], len - 1) == 0 :
		    strcasecmp(mech, secret_mechs[i]) == 0)
			return TRUE;
	}
	return FALSE;
}

/* FALSE: it is none of the policy's business. */
static bool kind_of(const char *mech, enum pk_credential_kind *kind_r)
{
	if (strcasecmp(mech, "PLAIN") == 0 || strcasecmp(mech, "LOGIN") == 0)
		*kind_r = PK_KIND_PASSWORD;
	else if (is_secret_mech(mech))
		*kind_r = PK_KIND_APOP;
	else
		return FALSE;
	return TRUE;
}

static bool
is_for_protocol(const struct auth_popkeep_settings *set, const char *protocol)
{
	const char *const *services = t_strsplit_spaces(set->services, " ,");

	if (str_array_find(services, "*"))
		return TRUE;
	return protocol != NULL && str_array_icase_find(services, protocol);
}

/* ---- results ------------------------------------------------------------ */

static void gate_finish(struct gate_request *gate, enum passdb_result result)
{
	struct auth_request *request = gate->request;

	/* Dovecot's default is to go on to the next passdb after a failure of
	   this one, which would let everybody in while policyd is away. */
	if (result == PASSDB_RESULT_INTERNAL_FAILURE)
		request->passdb->result_internalfail = AUTH_DB_RULE_RETURN_FAIL;
	if (gate->verify != NULL)
		gate->verify(result, request);
	else
		passdb_handle_credentials(result, NULL, NULL, gate->lookup,
					  request);
	auth_request_unref(&request);
	i_free(gate);
}

static void
record(struct gate_request *gate, const char *rule, enum pk_audit_event event,
       const char *reason)
{
	struct auth_popkeep_module *module = auth_popkeep_module(gate->request);
	struct pk_audit_context context;
	struct pk_audit_item item;
	const char *error;

	auth_popkeep_record(gate->request, rule, event, reason, &context,
			    &item);
	if (auth_popkeep_policyd_record(module->policyd, &context, &item,
					&error) < 0)
		e_warning(authdb_event(gate->request),
			  "a record is lost: %s", error);
}

static enum passdb_result
refuse(struct gate_request *gate, const struct pk_wire_login_is *answer)
{
	struct auth_request *request = gate->request;
	const char *reason = t_strdup_printf("policy: %s%s%s",
		answer->rule[0] != '\0' ? "rule " : "no rule permits it",
		answer->rule, answer->verdict == PK_LOGIN_RULE_TLS ?
		" asks for TLS" : "");

	e_info(authdb_event(request), "popkeep: refused: %s", reason);
	record(gate, answer->rule, PK_AUDIT_LOGIN_FAILED, reason);
	if (answer->needs_tls)
		auth_request_set_field(request, "reason", t_strdup_printf(
			"%s needs TLS: use STLS first",
			request->fields.mech_name), NULL);
	/* Without a reason the client cannot tell this from a wrong
	   credential, and no other result ends the chain for certain. */
	return PASSDB_RESULT_USER_DISABLED;
}

static enum passdb_result
judge_verdict(struct gate_request *gate, const struct pk_wire_login_is *answer)
{
	switch (answer->verdict) {
	case PK_LOGIN_RULE_WARNS:
		e_info(authdb_event(gate->request), "popkeep: rule %s will "
		       "soon refuse this login", answer->rule);
		record(gate, answer->rule, PK_AUDIT_APOP_WARN, "");
		return PASSDB_RESULT_NEXT;
	case PK_LOGIN_RULE_ALLOWS:
		return PASSDB_RESULT_NEXT;
	case PK_LOGIN_RULE_TLS:
	case PK_LOGIN_RULE_REFUSES:
		return refuse(gate, answer);
	case PK_LOGIN_RULE_UNKNOWN:
		break;
	}
	return PASSDB_RESULT_INTERNAL_FAILURE;
}

static enum passdb_result
judge(struct gate_request *gate, const struct pk_wire_login_is *answer)
{
	struct event *event = authdb_event(gate->request);

	switch (answer->result) {
	case PK_WIRE_OK:
		return judge_verdict(gate, answer);
	case PK_WIRE_NOT_YET:
		e_warning(event, "popkeep: popkeep-policyd does not know the "
			  "groups yet");
		return PASSDB_RESULT_INTERNAL_FAILURE;
	case PK_WIRE_DENIED:
		e_error(event, "popkeep: popkeep-policyd answers only root and "
			"the user that its option -A, or login-user in "
			"popkeepd.conf, names: name the user of the auth "
			"process there");
		return PASSDB_RESULT_INTERNAL_FAILURE;
	case PK_WIRE_UNKNOWN_RULE:
	case PK_WIRE_STALE:
	case PK_WIRE_BRAKED:
	case PK_WIRE_FAILED:
	case PK_WIRE_ERROR:
		break;
	}
	e_error(event, "popkeep: popkeep-policyd says: %s",
		pk_wire_result_name(answer->result));
	return PASSDB_RESULT_INTERNAL_FAILURE;
}

static void
gate_answered(void *context, const struct pk_wire_login_is *answer,
	      const char *error)
{
	struct gate_request *gate = context;

	if (answer != NULL) {
		gate_finish(gate, judge(gate, answer));
	} else {
		e_error(authdb_event(gate->request), "popkeep: %s", error);
		gate_finish(gate, PASSDB_RESULT_INTERNAL_FAILURE);
	}
}

/* ---- for auth-popkeep.c ------------------------------------------------- */

static void
check_chain(const char *protocol, const struct auth_popkeep_module *module)
{
	const struct auth *auth = popkeep_auth_find(protocol);
	const struct auth_passdb *passdb;

	for (passdb = auth->passdbs; passdb != NULL; passdb = passdb->next) {
		if (passdb->passdb == &module->module && passdb->next == NULL)
			i_fatal("passdb popkeep: mode = gate: it is the last "
				"passdb%s%s, and needs one behind it that "
				"checks credentials",
				protocol != NULL ? " of protocol " : "",
				protocol != NULL ? protocol : "");
	}
}

void auth_popkeep_gate_check(const struct auth_popkeep_module *module)
{
	const char *const *services =
		t_strsplit_spaces(module->set->services, " ,");

	check_chain(NULL, module);
	for (; *services != NULL; services++) {
		if (strcmp(*services, "*") != 0)
			check_chain(*services, module);
	}
}

void auth_popkeep_gate(struct auth_request *request,
		       verify_plain_callback_t *verify,
		       lookup_credentials_callback_t *lookup)
{
	struct auth_popkeep_module *module = auth_popkeep_module(request);
	const char *mech = request->fields.mech_name, *error;
	struct gate_request *gate = i_new(struct gate_request, 1);
	struct pk_wire_login question;
	enum pk_credential_kind kind;

	auth_request_ref(request);
	gate->request = request;
	gate->verify = verify;
	gate->lookup = lookup;
	/* doveadm, LMTP and the like ask who exists: that is no login. */
	if (mech == NULL || !is_for_protocol(module->set,
				popkeep_request_protocol(request))) {
		gate_finish(gate, PASSDB_RESULT_NEXT);
	} else if (!kind_of(mech, &kind)) {
		e_info(authdb_event(request), "popkeep: %s passes: the policy "
		       "is about passwords and secrets", mech);
		gate_finish(gate, PASSDB_RESULT_NEXT);
	} else if (auth_popkeep_question(request, kind, &question,
					 &error) < 0 ||
		   auth_popkeep_policyd_ask(module->policyd, &question,
					    gate_answered, gate, &error) < 0) {
		e_error(authdb_event(request), "popkeep: %s", error);
		gate_finish(gate, PASSDB_RESULT_INTERNAL_FAILURE);
	}
}
