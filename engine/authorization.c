/*
 * The AUTHORIZATION state (RFC 1939 section 4 and 7, RFC 5034, RFC 2595): what
 * a client offers to log in with becomes a question to the wrapper.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/sasl.h"
#include "engine/session_private.h"

/* Is a kind of credential allowed on the connection as it is now? */
static bool
is_allowed(const struct pk_session *s, enum pk_allow allow)
{
	return allow == PK_ALLOW_ALWAYS ||
	    (allow == PK_ALLOW_TLS && s->settings.tls);
}

/*
 * Why it is not: this depends on the connection alone, so the client may know
 * (RFC 3206: [AUTH] tells it that trying again the same way is no use).
 */
static void
refuse_kind(const struct pk_session *s, enum pk_allow allow, const char *what,
    struct pk_io *io)
{
	if (allow == PK_ALLOW_NEVER)
		pk_reply_say(io, "-ERR [AUTH] %s is not available here", what);
	else if (s->settings.stls)
		pk_reply_say(io, "-ERR [AUTH] %s needs TLS: use STLS first",
		    what);
	else
		pk_reply_say(io, "-ERR [AUTH] %s needs a TLS connection",
		    what);
}

static void
ask(struct pk_session *s, enum pk_mechanism mech, struct pk_span user,
    struct pk_span secret)
{
	s->credential.mech = mech;
	s->credential.user = user;
	s->credential.secret = secret;
	s->question = PK_WANT_LOGIN;
}

static bool
remember_user(struct pk_session *s, struct pk_span name)
{
	if (name.len == 0 || name.len > sizeof(s->user))
		return false;
	memcpy(s->user, name.data, name.len);
	s->user_len = name.len;
	return true;
}

void
pk_do_user(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	s->user_len = 0;
	if (!is_allowed(s, s->settings.passwords))
		refuse_kind(s, s->settings.passwords, "USER", io);
	else if (!remember_user(s, cmd->arg[0]))
		pk_reply_say(io, "-ERR The user name is longer than %d octets",
		    PK_USERNAME_MAX);
	else	/* whether or not there is such a user (section 13) */
		pk_reply_say(io, "+OK Send PASS");
}

void
pk_do_pass(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	struct pk_span user = { s->user, s->user_len };

	if (s->user_len == 0) {
		pk_reply_say(io, "-ERR PASS must follow a USER that was "
		    "accepted");
		return;
	}
	/* Taken by this PASS, whatever comes of it (RFC 1939 section 7). */
	s->user_len = 0;
	if (cmd->rest.len == 0)
		pk_reply_say(io, "-ERR PASS needs a password");
	else
		ask(s, PK_MECH_PASS, user, cmd->rest);
}

void
pk_do_apop(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	enum pk_allow allow = s->settings.challenge == NULL ?
	    PK_ALLOW_NEVER : s->settings.apop;

	if (!is_allowed(s, allow))
		refuse_kind(s, allow, "APOP", io);
	else
		ask(s, PK_MECH_APOP, cmd->arg[0], cmd->arg[1]);
}

void
pk_do_stls(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	(void)cmd;
	if (s->settings.tls) {
		pk_reply_say(io, "-ERR TLS is active already");
	} else if (!s->settings.stls) {
		pk_reply_say(io, "-ERR TLS is not available here");
	} else {
		pk_reply_say(io, "+OK Begin TLS negotiation");
		s->question = PK_WANT_TLS;
	}
}

/* ---- SASL (RFC 5034) ---------------------------------------------------- */

static void
sasl_plain(struct pk_session *s, struct pk_span msg, struct pk_io *io)
{
	struct pk_sasl_plain plain;

	if (pk_sasl_plain_parse(msg, &plain) != PK_OK)
		pk_reply_say(io, "-ERR That is no SASL PLAIN message");
	else if (plain.authzid.len != 0 &&
	    (plain.authzid.len != plain.authcid.len || memcmp(
	    plain.authzid.data, plain.authcid.data, plain.authcid.len) != 0))
		pk_reply_say(io, "-ERR [AUTH] No one may act for another user");
	else
		ask(s, PK_MECH_PLAIN, plain.authcid, plain.password);
}

static void
sasl_login_name(struct pk_session *s, struct pk_span name, struct pk_io *io)
{
	if (!remember_user(s, name)) {
		pk_reply_say(io, "-ERR The user name has not 1 to %d octets",
		    PK_USERNAME_MAX);
		return;
	}
	s->sasl = SASL_LOGIN_PASSWORD;
	pk_reply_say(io, "+ UGFzc3dvcmQ6");	/* "Password:" */
}

static void
sasl_login_password(struct pk_session *s, struct pk_span password,
    struct pk_io *io)
{
	struct pk_span user = { s->user, s->user_len };

	s->user_len = 0;
	if (password.len == 0)
		pk_reply_say(io, "-ERR The password is empty");
	else
		ask(s, PK_MECH_LOGIN, user, password);
}

static void
sasl_step(struct pk_session *s, enum sasl_step step, struct pk_span response,
    struct pk_io *io)
{
	/* Decoded in place: a span of our own line. */
	uint8_t *buf = s->line + (response.data - s->line);
	struct pk_span msg = { buf, 0 };

	s->sasl = SASL_NONE;
	if (pk_base64_decode(response, buf, &msg.len) != PK_OK) {
		s->user_len = 0;	/* PASS must not go on from here */
		pk_reply_say(io, "-ERR That is no base64");
		return;
	}
	switch (step) {
	case SASL_PLAIN:
		sasl_plain(s, msg, io);
		break;
	case SASL_LOGIN_NAME:
		sasl_login_name(s, msg, io);
		break;
	case SASL_LOGIN_PASSWORD:
		sasl_login_password(s, msg, io);
		break;
	case SASL_NONE:
		break;
	}
}

void
pk_sasl_response(struct pk_session *s, struct pk_span line, struct pk_io *io)
{
	if (line.len == 1 && line.data[0] == '*') {
		s->sasl = SASL_NONE;
		s->user_len = 0;
		pk_reply_say(io, "-ERR Authentication cancelled");
		return;
	}
	sasl_step(s, s->sasl, line, io);
}

/* The mechanisms, each with its first step and the challenge that asks for it. */
static const struct {
	const char *name;
	enum sasl_step step;
	const char *challenge;
} mechanisms[] = {
	{ "PLAIN", SASL_PLAIN, "+ " },
	{ "LOGIN", SASL_LOGIN_NAME, "+ VXNlcm5hbWU6" },	/* "Username:" */
};

static bool
is_word(struct pk_span span, const char *word)
{
	size_t i;

	for (i = 0; i < span.len && word[i] != '\0'; i++)
		if ((span.data[i] & ~0x20) != word[i])
			return false;
	return i == span.len && word[i] == '\0';
}

void
pk_do_auth(struct pk_session *s, const struct pk_command *cmd,
    struct pk_io *io)
{
	size_t i, n = sizeof(mechanisms) / sizeof(mechanisms[0]);
	struct pk_span initial = cmd->arg[1];

	s->user_len = 0;
	for (i = 0; i < n && !is_word(cmd->arg[0], mechanisms[i].name); i++)
		;
	if (i == n) {
		pk_reply_say(io, "-ERR No such mechanism: CAPA lists them");
		return;
	}
	if (!is_allowed(s, s->settings.passwords)) {
		refuse_kind(s, s->settings.passwords, mechanisms[i].name, io);
		return;
	}
	if (cmd->argc < 2) {
		s->sasl = mechanisms[i].step;
		pk_reply_say(io, "%s", mechanisms[i].challenge);
		return;
	}
	/*
	 * LOGIN has no RFC, and its clients send the name this way too.  "=" is
	 * an initial response of no octets (RFC 5034 section 4).
	 */
	if (initial.len == 1 && initial.data[0] == '=')
		initial.len = 0;
	sasl_step(s, mechanisms[i].step, initial, io);
}
