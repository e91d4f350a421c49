/*
 * The POP3 session: lines in, commands dispatched by table, questions asked
 * and answered.  See session.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "engine/capa.h"
#include "engine/session_private.h"

struct pk_session *
pk_session_new(const struct pk_session_settings *settings)
{
	struct pk_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->settings = *settings;
	s->state = AUTHORIZATION;
	s->question = PK_WANT_INPUT;
	s->reply = REPLY_GREETING;
	return s;
}

struct pk_session *
pk_session_new_transaction(const struct pk_session_settings *settings,
    struct pk_maildrop *md)
{
	struct pk_session *s = pk_session_new(settings);

	if (s != NULL && pk_transaction_begin(s, md) != PK_OK)
		pk_session_free(&s);
	return s;
}

void
pk_session_free(struct pk_session **sp)
{
	struct pk_session *s = *sp;

	if (s == NULL)
		return;
	if (s->reply == REPLY_MESSAGE || s->reply == REPLY_LOOK_AHEAD)
		s->md->ops->close(s->md, false, 0);
	pk_hash_free(s);
	free(s->downloads);
	free(s->events);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
	*sp = NULL;
}

/* ---- commands ----------------------------------------------------------- */

static void
do_capa(struct pk_session *s, const struct pk_command *cmd, struct pk_io *io)
{
	static const struct pk_capa_policy none = { .expire_days = -1 };
	const struct pk_session_settings *set = &s->settings;
	const struct pk_capa_policy *policy = set->capa != NULL ? set->capa :
	    &none;
	bool before = s->state == AUTHORIZATION;
	struct pk_capa capa = {
		.top = set->top != PK_TOP_DENY,
		.expire_days = policy->expire_days,
		.expire_user = before && policy->expire_varies,
		.login_delay = policy->login_delay,
		.login_delay_shown = policy->login_delay > 0 ||
		    policy->login_delay_varies,
		.login_delay_user = before && policy->login_delay_varies,
		.stls = set->stls && !set->tls && before,
		.passwords = set->passwords == PK_ALLOW_ALWAYS ||
		    (set->passwords == PK_ALLOW_TLS && set->tls),
		.implementation = set->implementation,
	};
	char list[PK_CAPA_MAX];

	(void)cmd;
	pk_reply_put(io, list, pk_capa_format(&capa, list));
}

static void
do_noop(struct pk_session *s, const struct pk_command *cmd, struct pk_io *io)
{
	(void)s;
	(void)cmd;
	pk_reply_say(io, "+OK");
}

static void
do_quit(struct pk_session *s, const struct pk_command *cmd, struct pk_io *io)
{
	(void)cmd;
	(void)io;
	if (s->state == TRANSACTION) {
		s->state = UPDATE;
		s->question = PK_WANT_UPDATE;
	} else {
		s->reply = REPLY_UPDATED;	/* there was nothing to do */
	}
}

/* Which states a command is for, and how many arguments it takes. */
static const struct {
	const char *usage;
	unsigned states;
	unsigned min_args, max_args;
	pk_handler *handler;
} commands[] = {
	[PK_VERB_APOP] = { "APOP name digest", AUTHORIZATION, 2, 2,
	    pk_do_apop },
	[PK_VERB_AUTH] = { "AUTH mechanism [initial-response]", AUTHORIZATION,
	    1, 2, pk_do_auth },
	[PK_VERB_CAPA] = { "CAPA", AUTHORIZATION | TRANSACTION, 0, 0,
	    do_capa },
	[PK_VERB_DELE] = { "DELE message", TRANSACTION, 1, 1, pk_do_dele },
	[PK_VERB_LIST] = { "LIST [message]", TRANSACTION, 0, 1, pk_do_list },
	[PK_VERB_NOOP] = { "NOOP", TRANSACTION, 0, 0, do_noop },
	[PK_VERB_PASS] = { "PASS password", AUTHORIZATION, 0, 0, pk_do_pass },
	[PK_VERB_QUIT] = { "QUIT", AUTHORIZATION | TRANSACTION, 0, 0,
	    do_quit },
	[PK_VERB_RETR] = { "RETR message", TRANSACTION, 1, 1, pk_do_retr },
	[PK_VERB_RSET] = { "RSET", TRANSACTION, 0, 0, pk_do_rset },
	[PK_VERB_STAT] = { "STAT", TRANSACTION, 0, 0, pk_do_stat },
	[PK_VERB_STLS] = { "STLS", AUTHORIZATION, 0, 0, pk_do_stls },
	[PK_VERB_TOP] = { "TOP message lines", TRANSACTION, 2, 2, pk_do_top },
	[PK_VERB_UIDL] = { "UIDL [message]", TRANSACTION, 0, 1, pk_do_uidl },
	[PK_VERB_USER] = { "USER name", AUTHORIZATION, 1, 1, pk_do_user },
};

static void
execute_command(struct pk_session *s, struct pk_span line, struct pk_io *io)
{
	struct pk_command cmd;
	size_t user_len = s->user_len;

	/* PASS must come right after USER (RFC 1939 section 7). */
	s->user_len = 0;
	if (pk_command_parse(line, &cmd) != PK_OK) {
		pk_reply_say(io, "-ERR Malformed command");
	} else if (cmd.verb == PK_VERB_UNKNOWN) {
		pk_reply_say(io, "-ERR Unknown command");
	} else if ((commands[cmd.verb].states & s->state) == 0) {
		pk_reply_say(io, "-ERR Not permitted in the %s state",
		    s->state == AUTHORIZATION ? "AUTHORIZATION" :
		    "TRANSACTION");
	} else if (cmd.argc < commands[cmd.verb].min_args ||
	    cmd.argc > commands[cmd.verb].max_args) {
		pk_reply_say(io, "-ERR Usage: %s", commands[cmd.verb].usage);
	} else {
		if (cmd.verb == PK_VERB_PASS)
			s->user_len = user_len;
		commands[cmd.verb].handler(s, &cmd, io);
	}
}

/* ---- lines -------------------------------------------------------------- */

static void
forget_line(struct pk_session *s)
{
	OPENSSL_cleanse(s->line, s->line_len);
	s->line_len = 0;
	s->line_ready = false;
}

/* Take input up to the next LF; true: a line is there, or one was too long. */
static bool
take_line(struct pk_session *s, struct pk_io *io)
{
	const uint8_t *lf;
	size_t len;

	if (s->line_ready || io->in_len == 0)
		return s->line_ready;
	if (s->line_len == 0 && !s->line_too_long)
		pk_confirm_line(s, io);
	lf = memchr(io->in, '\n', io->in_len);
	len = lf != NULL ? (size_t)(lf - io->in) + 1 : io->in_len;
	if (len > sizeof(s->line) - s->line_len)
		s->line_too_long = true;
	if (!s->line_too_long) {
		memcpy(s->line + s->line_len, io->in, len);
		s->line_len += len;
	}
	io->in += len;
	io->in_len -= len;
	s->line_ready = lf != NULL;
	return s->line_ready;
}

/* One line, one reply (RFC 1939 section 3). */
static void
execute_line(struct pk_session *s, struct pk_io *io)
{
	struct pk_span line = { s->line, s->line_len };

	if (s->line_too_long) {
		s->line_too_long = false;
		s->sasl = SASL_NONE;
		s->user_len = 0;
		pk_reply_say(io, "-ERR The line is longer than %d octets",
		    PK_LINE_MAX);
	} else {
		line.len--;				/* the LF */
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		if (s->sasl != SASL_NONE)
			pk_sasl_response(s, line, io);
		else
			execute_command(s, line, io);
	}
	/* The credential of a question points into the line. */
	if (s->question != PK_WANT_LOGIN)
		forget_line(s);
	s->line_ready = false;
}

static enum pk_want
run(struct pk_session *s, struct pk_io *io)
{
	for (;;) {
		if (s->question != PK_WANT_INPUT)
			break;
		if (s->reply != REPLY_NONE) {
			if (io->out_len < PK_REPLY_MAX)
				return PK_WANT_OUTPUT;
			if (!pk_reply_continue(s, io))
				return PK_WANT_OUTPUT;
			s->reply = REPLY_NONE;
		} else if (s->state == ENDED) {
			return PK_WANT_CLOSE;
		} else if (!take_line(s, io)) {
			return PK_WANT_INPUT;
		} else if (io->out_len < PK_REPLY_MAX) {
			return PK_WANT_OUTPUT;
		} else {
			execute_line(s, io);
		}
	}
	if (s->question == PK_WANT_TLS) {
		/* What came in clear after STLS is not to be trusted. */
		io->in += io->in_len;
		io->in_len = 0;
	}
	return s->question;
}

enum pk_want
pk_session_run(struct pk_session *s, struct pk_io *io)
{
	enum pk_want want;

	s->share = io->scratch_len;
	pk_confirm_run_begins(s, io);
	want = run(s, io);
	pk_confirm_run_ends(s, io);
	return want;
}

/* ---- answers ------------------------------------------------------------ */

const struct pk_credential *
pk_session_credential(const struct pk_session *s)
{
	assert(s->question == PK_WANT_LOGIN);
	return &s->credential;
}

static void
login_answered(struct pk_session *s)
{
	assert(s->question == PK_WANT_LOGIN);
	s->question = PK_WANT_INPUT;
	memset(&s->credential, 0, sizeof(s->credential));
	OPENSSL_cleanse(s->user, sizeof(s->user));
	s->user_len = 0;
	forget_line(s);
}

void
pk_session_login_failed(struct pk_session *s, enum pk_login_result result)
{
	assert(result != PK_LOGIN_OK);
	login_answered(s);
	s->failures++;
	s->refused = result;
	s->reply = REPLY_REFUSAL;
}

enum pk_err
pk_session_login_ok(struct pk_session *s, struct pk_maildrop *md)
{
	enum pk_err err;

	assert(s->question == PK_WANT_LOGIN);
	err = pk_transaction_begin(s, md);
	if (err == PK_OK)
		login_answered(s);
	return err;
}

void
pk_session_tls_started(struct pk_session *s)
{
	assert(s->question == PK_WANT_TLS);
	s->question = PK_WANT_INPUT;
	s->settings.tls = true;
	s->settings.stls = false;
	OPENSSL_cleanse(s->user, sizeof(s->user));
	s->user_len = 0;
	forget_line(s);
}

const uint8_t *
pk_session_events(const struct pk_session *s)
{
	return s->events;
}

void
pk_session_updated(struct pk_session *s, uint32_t left)
{
	assert(s->question == PK_WANT_UPDATE);
	s->question = PK_WANT_INPUT;
	s->left = left;
	s->reply = REPLY_UPDATED;
}

/* ---- for the log -------------------------------------------------------- */

void
pk_session_totals(const struct pk_session *s,
    struct pk_session_totals *totals_r)
{
	*totals_r = s->totals;
}

enum pk_end
pk_session_end(const struct pk_session *s)
{
	return s->end;
}
