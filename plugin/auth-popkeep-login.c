/*
 * The authenticator: passwords are PAM's, and whoever checks a digest gets the
 * secret of the store, if PAM has nothing against the account.  All of it makes
 * one wait, so it runs in an auth worker, one request at a time.
 *
 * SPDX-License-Identifier: ISC
 */
#include "auth-popkeep-private.h"
#include "net.h"
#include "safe-memset.h"

#include <pwd.h>

#include "pam/client.h"
#include "pam/secrets.h"
#include "popkeep-ask.h"

/* ---- the store ---------------------------------------------------------- */

/* LMDB wants a file opened once in a process, whatever passdbs there are. */
struct store {
	struct store *next;
	char *path, *key;
	struct pk_secrets *secrets;
	unsigned int refcount;
};

static struct store *stores;

static struct store *find_store(const struct auth_popkeep_settings *set)
{
	struct store *store;

	for (store = stores; store != NULL; store = store->next) {
		if (strcmp(store->path, set->secrets) == 0)
			return store;
	}
	return NULL;
}

/* Opened at the first question and so by the worker: it survives no fork. */
static int
open_store(struct auth_popkeep_module *module, struct pk_secrets **secrets_r,
	   const char **error_r)
{
	const struct auth_popkeep_settings *set = module->set;
	struct store *store = find_store(set);
	struct pk_secrets *secrets;
	char why[PK_SECRETS_WHY];

	if (store == NULL) {
		secrets = pk_secrets_open(set->secrets, set->secrets_key,
					  PK_SECRETS_READ, why);
		if (secrets == NULL) {
			*error_r = t_strdup(why);
			return -1;
		}
		store = i_new(struct store, 1);
		store->path = i_strdup(set->secrets);
		store->key = i_strdup(set->secrets_key);
		store->secrets = secrets;
		store->next = stores;
		stores = store;
	} else if (strcmp(store->key, set->secrets_key) != 0) {
		*error_r = t_strdup_printf("%s: two passdbs name different "
					   "keys for it", set->secrets);
		return -1;
	}
	if (!module->has_store) {
		module->has_store = TRUE;
		store->refcount++;
	}
	*secrets_r = store->secrets;
	return 0;
}

static void close_store(struct auth_popkeep_module *module)
{
	struct store **_store, *store;

	if (!module->has_store)
		return;
	module->has_store = FALSE;
	for (_store = &stores; strcmp((*_store)->path,
				      module->set->secrets) != 0;
	     _store = &(*_store)->next) ;
	store = *_store;
	if (--store->refcount > 0)
		return;
	*_store = store->next;
	pk_secrets_close(&store->secrets);
	i_free(store->path);
	i_free(store->key);
	i_free(store);
}

/*
 * 1: the secret, with a NUL, which is the caller's to wipe.  0: there is none.
 * -1: *error_r says why that is not known.
 */
static int
get_secret(struct auth_popkeep_module *module, const char *user,
	   char secret_r[PK_SECRET_MAX + 1], size_t *len_r,
	   const char **error_r)
{
	struct pk_secrets *secrets;

	if (open_store(module, &secrets, error_r) < 0)
		return -1;
	switch (pk_secrets_get(secrets, user, (uint8_t *)secret_r, len_r)) {
	case PK_OK:
		secret_r[*len_r] = '\0';
		return 1;
	case PK_ERR_NOTFOUND:
		*len_r = 0;
		return 0;
	case PK_ERR_CRYPTO:
		*error_r = t_strdup_printf("%s: the secret does not open with "
			"the key", module->set->secrets);
		return -1;
	case PK_ERR_NOMEM:
	case PK_ERR_LIMIT:
	case PK_ERR_SYNTAX:
	case PK_ERR_IO:
		break;
	}
	*error_r = t_strdup_printf("%s: it cannot be read",
				   module->set->secrets);
	return -1;
}

/* ---- policyd ------------------------------------------------------------ */

static struct popkeep_ask *asker(struct auth_popkeep_module *module)
{
	if (module->ask == NULL)
		module->ask = popkeep_ask_init(module->set->socket);
	return module->ask;
}

/*
 * What the policy says of secrets.  May the login be?  That is the gate's
 * question, and there is a gate where it is asked.
 */
static int
ask_policy(const struct auth_request *request, enum pk_credential_kind kind,
	   struct pk_wire_login_is *answer_r, const char **error_r)
{
	struct popkeep_ask *ask = asker(auth_popkeep_module(request));
	struct pk_wire_login question;
	struct pk_wire w, in;

	if (auth_popkeep_question(request, kind, &question, error_r) < 0)
		return -1;
	popkeep_ask_begin(ask, &w, PK_WIRE_LOGIN, 0);
	pk_wire_put_login(&w, &question);
	if (popkeep_ask_send(ask, &w, PK_WIRE_LOGIN_IS, &in, error_r) < 0)
		return -1;
	if (!pk_wire_get_login_is(&in, answer_r)) {
		*error_r = "popkeep-policyd: malformed answer";
		return -1;
	}
	if (answer_r->result != PK_WIRE_OK &&
	    answer_r->result != PK_WIRE_NOT_YET) {
		*error_r = t_strdup_printf("popkeep-policyd says: %s",
			pk_wire_result_name(answer_r->result));
		return -1;
	}
	return 0;
}

static void
record_failure(const struct auth_request *request, const char *reason)
{
	struct popkeep_ask *ask = asker(auth_popkeep_module(request));
	struct pk_audit_context context;
	struct pk_audit_item item;
	const char *error;
	struct pk_wire w;

	auth_popkeep_record(request, "", PK_AUDIT_LOGIN_FAILED, reason,
			    &context, &item);
	popkeep_ask_begin(ask, &w, PK_WIRE_RECORDS, PK_WIRE_QUIET);
	pk_wire_put_context(&w, &context, 0);
	if (!pk_wire_put_item(&w, &item))
		return;
	if (popkeep_ask_tell(ask, &w, &error) < 0)
		e_warning(authdb_event(request), "a record is lost: %s",
			  error);
}

/* ---- results ------------------------------------------------------------ */

static enum passdb_result
refuse(const struct auth_request *request, const char *reason)
{
	e_info(authdb_event(request), "popkeep: refused: %s", reason);
	record_failure(request, reason);
	/* To the client as a wrong credential, and no passdb behind this one
	   is asked. */
	return PASSDB_RESULT_USER_DISABLED;
}

static enum passdb_result
fail(const struct auth_request *request, const char *error)
{
	e_error(authdb_event(request), "popkeep: %s", error);
	return PASSDB_RESULT_INTERNAL_FAILURE;
}

static void
log_outcome(const struct auth_request *request,
	    const struct pk_pam_outcome *outcome)
{
	struct event *event = authdb_event(request);

	if (outcome->result == PK_LOGIN_TEMPORARY ||
	    outcome->result == PK_LOGIN_PERMANENT)
		e_error(event, "popkeep: %s", outcome->reason);
	else if (outcome->result != PK_LOGIN_OK)
		e_info(event, "popkeep: %s", outcome->reason);
}

/* ---- passwords ---------------------------------------------------------- */

/* RFC 1939 section 13: who can use APOP sends no password in clear. */
static enum passdb_result check_exclusive(const struct auth_request *request)
{
	struct auth_popkeep_module *module = auth_popkeep_module(request);
	char secret[PK_SECRET_MAX + 1];
	struct pk_wire_login_is answer;
	const char *error;
	size_t len;
	int ret;

	/* Who only asks whether a password is right sends it to nobody. */
	if (request->fields.mech_name == NULL ||
	    popkeep_request_is_tls(request))
		return PASSDB_RESULT_OK;
	if (ask_policy(request, PK_KIND_PASSWORD, &answer, &error) < 0)
		return fail(request, error);
	if (!answer.exclusive)
		return PASSDB_RESULT_OK;
	ret = get_secret(module, request->fields.user, secret, &len, &error);
	safe_memset(secret, 0, sizeof(secret));
	if (ret < 0)
		return fail(request, t_strconcat("exclusive: ", error, NULL));
	return ret == 0 ? PASSDB_RESULT_OK :
		refuse(request, "exclusive: who has a secret uses no password "
		       "in clear");
}

static struct pk_pam_login
pam_login(const struct auth_request *request, const char *service,
	  const char *password)
{
	const struct auth_popkeep_settings *set =
		auth_popkeep_module(request)->set;

	return (struct pk_pam_login){
		.service = service,
		.confdir = set->pam_confdir[0] != '\0' ? set->pam_confdir :
			NULL,
		.user = request->fields.user,
		.secret = password,
		.rhost = request->fields.remote_ip.family != 0 ?
			net_ip2addr(&request->fields.remote_ip) : "",
		.tty = popkeep_request_protocol(request),
	};
}

static enum passdb_result
result_of(const struct pk_pam_outcome *outcome)
{
	switch (outcome->result) {
	case PK_LOGIN_OK:
		return PASSDB_RESULT_OK;
	case PK_LOGIN_CREDENTIAL:
		return PASSDB_RESULT_PASSWORD_MISMATCH;
	case PK_LOGIN_NEW_PASSWORD:	/* PASS_EXPIRED would be told */
	case PK_LOGIN_EXPIRED:
	case PK_LOGIN_DENIED:
		return PASSDB_RESULT_USER_DISABLED;
	case PK_LOGIN_TEMPORARY:
	case PK_LOGIN_PERMANENT:
	case PK_LOGIN_IN_USE:
	case PK_LOGIN_TOO_EARLY:
		break;
	}
	return PASSDB_RESULT_INTERNAL_FAILURE;
}

static enum passdb_result
ask_pam(struct auth_request *request, const char *password)
{
	struct pk_pam_login login = pam_login(request,
		auth_popkeep_module(request)->set->pam_service, password);
	struct pk_pam_outcome outcome;

	pk_pam_login(&login, &outcome, NULL);
	log_outcome(request, &outcome);
	if (result_of(&outcome) == PASSDB_RESULT_USER_DISABLED)
		record_failure(request, outcome.reason);
	if (outcome.result != PK_LOGIN_OK ||
	    strcmp(outcome.user, request->fields.user) == 0)
		return result_of(&outcome);
	/* A module has put another name in the place of the one given. */
	auth_request_set_field(request, "user", outcome.user, NULL);
	return check_exclusive(request);
}

void auth_popkeep_login_verify(struct auth_request *request,
			       const char *password,
			       verify_plain_callback_t *callback)
{
	enum passdb_result result;

	if (password[0] == '\0') {
		e_info(authdb_event(request), "popkeep: the password is empty");
		callback(PASSDB_RESULT_PASSWORD_MISMATCH, request);
		return;
	}
	result = check_exclusive(request);
	if (result == PASSDB_RESULT_OK)
		result = ask_pam(request, password);
	callback(result, request);
}

/* ---- secrets ------------------------------------------------------------ */

/*
 * Before the digest is checked, and so for everybody who knows the name: what
 * is wrong with the account is for the log, and nothing but a wrong credential
 * to the client.
 */
static enum passdb_result check_account(const struct auth_request *request)
{
	struct pk_pam_login login = pam_login(request,
		auth_popkeep_module(request)->set->account_service, NULL);
	struct pk_pam_outcome outcome;
	enum passdb_result result;

	pk_pam_account(&login, &outcome);
	log_outcome(request, &outcome);
	result = result_of(&outcome);
	if (result == PASSDB_RESULT_OK ||
	    result == PASSDB_RESULT_INTERNAL_FAILURE)
		return result;
	record_failure(request, outcome.reason);
	return PASSDB_RESULT_USER_DISABLED;
}

/* secret has room for PK_SECRET_MAX octets and a NUL. */
static enum passdb_result
find_secret(const struct auth_request *request, char *secret)
{
	struct auth_popkeep_module *module = auth_popkeep_module(request);
	struct pk_wire_login_is answer;
	const char *error;
	size_t len;
	int ret;

	if (ask_policy(request, PK_KIND_APOP, &answer, &error) < 0)
		return fail(request, error);
	ret = get_secret(module, request->fields.user, secret, &len, &error);
	if (ret < 0)
		return fail(request, error);
	if (ret == 0) {
		e_info(authdb_event(request), "popkeep: no secret");
		return PASSDB_RESULT_USER_UNKNOWN;
	}
	if (strlen(secret) != len)
		return fail(request, "the secret has a NUL, which Dovecot "
			    "cannot use");
	if (len < answer.minimum_secret)
		return refuse(request,
			      "the secret is shorter than minimum-secret");
	return check_account(request);
}

/*
 * No login: is there such a user?  Those without a secret are PAM's, which does
 * not tell; then the system's users may.
 */
static enum passdb_result find_user(const struct auth_request *request)
{
	char secret[PK_SECRET_MAX + 1];
	const char *error;
	size_t len;
	int ret;

	ret = get_secret(auth_popkeep_module(request), request->fields.user,
			 secret, &len, &error);
	safe_memset(secret, 0, sizeof(secret));
	if (ret > 0 || getpwnam(request->fields.user) != NULL)
		return PASSDB_RESULT_OK;
	if (ret < 0)
		e_debug(authdb_event(request), "popkeep: %s", error);
	e_info(authdb_event(request), "popkeep: no secret, and PAM does not "
	       "tell who exists");
	return PASSDB_RESULT_SCHEME_NOT_AVAILABLE;
}

void auth_popkeep_login_lookup(struct auth_request *request,
			       lookup_credentials_callback_t *callback)
{
	char secret[PK_SECRET_MAX + 1];
	enum passdb_result result;

	if (request->fields.mech_name == NULL) {
		passdb_handle_credentials(find_user(request), NULL, NULL,
					  callback, request);
		return;
	}
	result = find_secret(request, secret);
	passdb_handle_credentials(result,
		result == PASSDB_RESULT_OK ? secret : NULL, "PLAIN",
		callback, request);
	safe_memset(secret, 0, sizeof(secret));
}

void auth_popkeep_login_deinit(struct auth_popkeep_module *module)
{
	popkeep_ask_deinit(&module->ask);
	popkeep_ask_disconnect();
	close_store(module);
}
