/*
 * A POP3 session: see popkeep-pop3.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-session.h"
#include "popkeep-pop3.h"
#include "array.h"
#include "istream.h"
#include "ostream.h"
#include "str.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "pop3-capability.h"

#include <time.h>

#include "engine/notes.h"

#include "popkeep-facts.h"
#include "popkeep-maildrop.h"
#include "popkeep-unfinished.h"
#include "popkeep-update.h"
#include "popkeep-user.h"

#define POPKEEP_SESSION_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_session_module)
#define POPKEEP_POP3_BOX_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_pop3_storage_module)

static MODULE_CONTEXT_DEFINE_INIT(popkeep_session_module,
				  &pop3_module_register);
static MODULE_CONTEXT_DEFINE_INIT(popkeep_pop3_storage_module,
				  &mail_storage_module_register);

static pop3_client_created_func_t *next_hook;

/* ---- message numbers ---------------------------------------------------- */

uint32_t popkeep_session_seq(const struct client *client, uint32_t msgno)
{
	return msgno <= client->msgnum_to_seq_map_count ?
		client->msgnum_to_seq_map[msgno - 1] : msgno;
}

uint32_t popkeep_session_msgno(const struct client *client, uint32_t seq)
{
	uint32_t i;

	for (i = 0; i < client->msgnum_to_seq_map_count; i++) {
		if (client->msgnum_to_seq_map[i] == seq)
			return i + 1;
	}
	return seq > client->msgnum_to_seq_map_count &&
		seq <= client->messages_count ? seq : 0;
}

uint8_t *popkeep_session_event(struct popkeep_session *s, uint32_t msgno)
{
	if (s->events == NULL) {
		s->count = s->client->messages_count;
		s->events = i_new(uint8_t, s->count + 1);
	}
	return msgno >= 1 && msgno <= s->count ? &s->events[msgno - 1] : NULL;
}

/* ---- what the session did ----------------------------------------------- */

static void note_facts(struct popkeep_session *s, struct popkeep_maildrop *pm,
		       bool quit, int64_t now)
{
	const struct popkeep_user *puser = s->puser;

	pk_note_events(&pm->md, s->events, pm->count,
		       puser->policy == POPKEEP_POLICY_KNOWN ? &puser->up :
		       NULL, quit, now);
}

static void record_facts(struct popkeep_session *s,
			 struct popkeep_maildrop *pm, bool quit)
{
	enum pk_audit_event event;
	struct pk_audit_item item;
	enum pk_note note;
	struct pk_wire w;
	bool open = FALSE;
	uint32_t i;

	for (i = 0; i < pm->count; i++) {
		if (!pk_note_of(s->events[i], quit, &note, &event))
			continue;
		pk_verdicts_item(&pm->md, popkeep_maildrop_sha256(pm, i + 1),
				 i + 1, event, &item);
		if (open && pk_wire_put_item(&w, &item))
			continue;
		if (open)
			popkeep_user_tell(s->puser, &w);
		popkeep_user_begin(s->puser, &w, PK_WIRE_QUIET, FALSE);
		open = pk_wire_put_item(&w, &item);
	}
	if (open)
		popkeep_user_tell(s->puser, &w);
}

static void commit_facts(struct popkeep_session *s)
{
	const char *error;

	if (s->puser->facts != NULL &&
	    popkeep_facts_commit(s->puser->facts, &error) < 0)
		e_error(s->puser->user->event, "popkeep: facts: %s", error);
}

static struct popkeep_maildrop *session_maildrop(struct popkeep_session *s)
{
	struct client *client = s->client;
	uint32_t *uids = i_new(uint32_t, client->messages_count + 1), i;
	struct popkeep_maildrop *pm;

	(void)popkeep_session_event(s, 1);
	for (i = 0; i < client->messages_count; i++)
		mail_index_lookup_uid(client->mailbox->view,
			popkeep_session_seq(client, i + 1), &uids[i]);
	pm = popkeep_maildrop_init_uids(s->puser, client->mailbox, uids,
					client->messages_count);
	i_free(uids);
	for (i = 0; client->message_sizes != NULL && i < pm->count; i++)
		pm->messages[i].octets = client->message_sizes[i];
	for (i = 0; i < pm->count && s->message_ids != NULL; i++)
		pm->messages[i].message_id = s->message_ids[i];
	pm->hashes = s->hashes;
	return pm;
}

/* ---- QUIT --------------------------------------------------------------- */

static bool has_marks(const struct popkeep_session *s)
{
	uint32_t i;

	for (i = 0; i < s->count; i++) {
		if ((s->events[i] & PK_EVENT_DELE) != 0)
			return TRUE;
	}
	return FALSE;
}

/* Is there nothing to be noted, decided or done? */
static bool is_idle(const struct popkeep_session *s)
{
	const struct popkeep_user *puser = s->puser;
	const struct pk_rule *rule = &puser->up.rule;

	return s->events == NULL && puser->policy == POPKEEP_POLICY_KNOWN &&
		(!puser->up.has_rule || (rule->after_download == PK_NEVER &&
		 rule->after_delivery == PK_NEVER && rule->minimum == 0 &&
		 rule->unread == PK_NEVER));
}

static void fail(struct popkeep_session *s, const char *error)
{
	s->failed = TRUE;
	i_free(s->error);
	s->error = i_strdup(error);
}

/* Nobody knows what must not be deleted. */
static void update_unknown(struct popkeep_session *s)
{
	if (has_marks(s))
		fail(s, "popkeep-policyd was away at login");
}

static void note_decided(struct popkeep_maildrop *pm, void *context)
{
	note_facts(context, pm, TRUE, time(NULL));
}

static void update(struct popkeep_session *s, struct popkeep_maildrop *pm)
{
	struct popkeep_update u = { .pm = pm, .events = s->events,
		.occasion = PK_OCCASION_QUIT, .decided = note_decided,
		.context = s };

	if (popkeep_update_run(&u) < 0 && u.left > 0)
		fail(s, t_strdup_printf("%u messages are not deleted: %s",
					u.left, u.error));
	popkeep_update_deinit(&u);
}

static void session_quit(struct popkeep_session *s)
{
	struct popkeep_maildrop *pm;
	time_t now = time(NULL);

	s->updated = TRUE;
	if (is_idle(s))
		return;
	s->puser->own++;
	pm = session_maildrop(s);
	popkeep_maildrop_load_facts(pm, s->events, now);
	record_facts(s, pm, TRUE);
	if (s->puser->policy == POPKEEP_POLICY_KNOWN) {
		update(s, pm);
	} else {
		note_facts(s, pm, TRUE, now);
		update_unknown(s);
	}
	popkeep_maildrop_deinit(&pm);
	commit_facts(s);
	s->puser->own--;
}

/* The session ends without QUIT: only what was not confirmed counts. */
static void session_dropped(struct popkeep_session *s)
{
	struct popkeep_maildrop *pm;
	time_t now = time(NULL);

	/* Facts begin with the first session, whatever comes of it. */
	if (s->updated || s->client->mailbox == NULL || is_idle(s))
		return;
	pm = session_maildrop(s);
	popkeep_maildrop_load_facts(pm, s->events, now);
	record_facts(s, pm, FALSE);
	note_facts(s, pm, FALSE, now);
	popkeep_maildrop_deinit(&pm);
	commit_facts(s);
}

bool popkeep_pop3_expunge(struct popkeep_user *puser, struct mail *mail)
{
	struct popkeep_session *s = puser->session;
	uint8_t *event;

	if (s == NULL || s->administrative || !s->client->quit_seen ||
	    s->updated || mail->transaction != s->client->trans)
		return FALSE;
	event = popkeep_session_event(s, popkeep_session_msgno(s->client, mail->seq));
	if (event != NULL)
		*event |= PK_EVENT_DELE;
	return TRUE;
}

/*
 * QUIT commits its transaction and then syncs the mailbox: that is where UPDATE
 * takes place, when no transaction is open any more.
 */
static struct mailbox_sync_context *
popkeep_pop3_sync_init(struct mailbox *box, enum mailbox_sync_flags flags)
{
	union mailbox_module_context *pbox = POPKEEP_POP3_BOX_CONTEXT(box);
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);
	struct popkeep_session *s = puser->session;

	if (s != NULL && s->client->mailbox == box && s->client->quit_seen &&
	    !s->updated && !s->administrative)
		session_quit(s);
	return pbox->super.sync_init(box, flags);
}

static int
popkeep_pop3_sync_deinit(struct mailbox_sync_context *ctx,
			 struct mailbox_sync_status *status_r)
{
	struct mailbox *box = ctx->box;
	union mailbox_module_context *pbox = POPKEEP_POP3_BOX_CONTEXT(box);
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);
	struct popkeep_session *s = puser->session;
	int ret = pbox->super.sync_deinit(ctx, status_r);

	if (s == NULL || s->client->mailbox != box)
		return ret;
	/* The first sync, of the login. */
	if (ret == 0 && !s->closed) T_BEGIN {
		s->closed = TRUE;
		(void)popkeep_close_unfinished(puser, box);
	} T_END;
	if (!s->failed)
		return ret;
	mail_storage_set_error(box->storage, MAIL_ERROR_TEMP, s->error);
	return -1;
}

void popkeep_pop3_mailbox_allocated(struct mailbox *box)
{
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(box->list->ns->user);
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *pbox;

	if (puser == NULL || puser->session == NULL ||
	    (box->flags & MAILBOX_FLAG_POP3_SESSION) == 0)
		return;
	pbox = p_new(box->pool, union mailbox_module_context, 1);
	pbox->super = *v;
	box->vlast = &pbox->super;
	v->sync_init = popkeep_pop3_sync_init;
	v->sync_deinit = popkeep_pop3_sync_deinit;
	MODULE_CONTEXT_SET_SELF(box, popkeep_pop3_storage_module, pbox);
}

/* ---- the beginning of a session ----------------------------------------- */

/* Dovecot's capabilities, but for what the rule changes. */
static const char *capa_reply(struct popkeep_session *s, time_t now)
{
	const struct pk_user_policy *up = &s->puser->up;
	const char *const *line = t_strsplit(POP3_CAPABILITY_REPLY, "\r\n");
	int64_t days = pk_expire_days(up, now);
	bool binds = pk_rule_binds(up, now);
	string_t *str = t_str_new(128);

	str_append(str, "+OK\r\n");
	for (; *line != NULL; line++) {
		if (**line == '\0' || (s->top == PK_TOP_DENY &&
				       strcmp(*line, "TOP") == 0))
			continue;
		str_printfa(str, "%s\r\n", *line);
	}
	if (days < 0)
		str_append(str, "EXPIRE NEVER\r\n");
	else
		str_printfa(str, "EXPIRE %"PRId64"\r\n", days);
	if (up->login_delay_varies || (binds && up->rule.login_delay > 0))
		str_printfa(str, "LOGIN-DELAY %u\r\n",
			    binds ? up->rule.login_delay : 0);
	str_append_c(str, '.');
	return p_strdup(s->client->pool, str_c(str));
}

static void apply_rule(struct popkeep_session *s)
{
	time_t now = time(NULL);
	const struct pk_user_policy *up = &s->puser->up;

	s->top = PK_TOP_ALLOW;
	if (s->puser->policy != POPKEEP_POLICY_KNOWN)
		return;
	if (pk_rule_binds(up, now))
		s->top = up->rule.top;
	s->capa = capa_reply(s, now);
}

/* Dovecot itself would give no code: clients ask for another password then. */
static void refuse_login(struct popkeep_session *s,
			 enum pk_login_result result, const char *error)
{
	if (s->client->set->pop3_lock_session) {
		client_send_line(s->client, "%s", t_str_rtrim(
			pk_login_refusal(result), "\r\n"));
		(void)o_stream_flush(s->client->output);
		o_stream_close(s->client->output);
	}
	s->puser->user->error = error;
}

/*
 * login-delay (RFC 2449 section 8.1.1): where Dovecot has not said +OK yet, which
 * is so with pop3_lock_session.  A login that is refused for that is not
 * counted, so that it does not begin the delay anew.
 */
static bool is_too_early(struct popkeep_session *s)
{
	struct popkeep_user *puser = s->puser;
	const struct pk_user_policy *up = &puser->up;
	int64_t now = time(NULL), last;
	struct popkeep_facts *facts;
	const char *error;

	if (puser->policy != POPKEEP_POLICY_KNOWN ||
	    !s->client->set->pop3_lock_session ||
	    !pk_rule_binds(up, now) || up->rule.login_delay == 0)
		return FALSE;
	facts = popkeep_user_facts(puser);
	if (facts == NULL || popkeep_facts_last_login(facts, &last,
						      &error) < 0)
		return FALSE;
	if (last > 0 && last <= now &&
	    now - last < (int64_t)up->rule.login_delay) {
		refuse_login(s, PK_LOGIN_TOO_EARLY,
			     "popkeep: login-delay: too early");
		return TRUE;
	}
	popkeep_facts_logged_in(facts, now);
	commit_facts(s);
	return FALSE;
}

/* Who checked the credential does not learn that it led to a session. */
static void record_login(struct popkeep_session *s)
{
	struct pk_audit_item item;
	struct pk_wire w;

	if (s->puser->policy != POPKEEP_POLICY_KNOWN)
		return;
	i_zero(&item);
	item.event = PK_AUDIT_LOGIN;
	popkeep_user_begin(s->puser, &w, PK_WIRE_QUIET, FALSE);
	if (pk_wire_put_item(&w, &item))
		popkeep_user_tell(s->puser, &w);
}

void popkeep_pop3_namespaces_created(struct popkeep_user *puser)
{
	struct popkeep_session *s = puser->session;

	if (s == NULL)
		return;
	s->administrative = popkeep_user_is_administrative(puser);
	if (s->administrative)
		return;
	if (popkeep_user_ask(puser, FALSE) == POPKEEP_POLICY_REFUSED) {
		refuse_login(s, PK_LOGIN_TEMPORARY, "popkeep: the policy "
			     "cannot tell yet what must be kept");
		return;
	}
	apply_rule(s);
	if (is_too_early(s))
		return;
	record_login(s);
	popkeep_lines_begin(s);
}

static void popkeep_client_destroy(struct client *client, const char *reason)
{
	struct popkeep_session *s = POPKEEP_SESSION_CONTEXT(client);

	if (!s->administrative) T_BEGIN {
		session_dropped(s);
	} T_END;
	s->puser->session = NULL;
	if (array_is_created(&s->downloads))
		array_free(&s->downloads);
	i_free(s->events);
	i_free(s->error);
	s->module_ctx.super.destroy(client, reason);
}

static void popkeep_client_created(struct client **_client)
{
	struct client *client = *_client;
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(client->user);
	struct popkeep_session *s;

	if (puser != NULL) {
		s = p_new(client->pool, struct popkeep_session, 1);
		s->client = client;
		s->puser = puser;
		s->module_ctx.super = client->v;
		client->v.destroy = popkeep_client_destroy;
		puser->session = s;
		MODULE_CONTEXT_SET(client, popkeep_session_module, s);
	}
	if (next_hook != NULL)
		next_hook(_client);
}

void popkeep_pop3_init(void)
{
	if (pop3_client_created_hook_set != NULL)
		next_hook = pop3_client_created_hook_set(popkeep_client_created);
}

void popkeep_pop3_deinit(void)
{
	if (pop3_client_created_hook_set != NULL)
		(void)pop3_client_created_hook_set(next_hook);
}
