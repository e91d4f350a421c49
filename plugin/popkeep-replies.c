/*
 * Replies to RETR and TOP: whether all was sent, and what the message was.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-session.h"
#include "popkeep-pop3.h"
#include "istream.h"
#include "istream-crlf.h"
#include "ostream.h"
#include "sha2.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"

#include "popkeep-user.h"

#define POPKEEP_POP3_MAIL_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_pop3_mail_module)

/* A mail of the session that is being sent. */
struct popkeep_pop3_mail {
	union mail_module_context module_ctx;
	struct istream *stream;
	uoff_t output_at;		/* where its reply began */
	bool retr;			/* else TOP */
};

static MODULE_CONTEXT_DEFINE_INIT(popkeep_pop3_mail_module,
				  &mail_module_register);

static struct popkeep_session *session_of(const struct mail *mail)
{
	struct popkeep_user *puser =
		POPKEEP_USER_CONTEXT(mail->box->list->ns->user);

	/* Of an administrator's nothing is noted. */
	return puser != NULL && puser->session != NULL &&
		!puser->session->administrative ? puser->session : NULL;
}

/*
 * The Message-ID, if it is in what fits Dovecot's buffer: it is about to be
 * sent, so that costs nothing.
 */
static void note_message_id(struct popkeep_session *s, uint32_t msgno,
			    struct istream *input)
{
	struct pk_message_id id;
	const unsigned char *data;
	size_t size, fed = 0;
	ssize_t ret = 0;

	if (s->message_ids == NULL)
		s->message_ids = p_new(s->client->pool, const char *,
				       s->client->messages_count + 1);
	if (msgno == 0 || s->message_ids[msgno - 1] != NULL)
		return;
	pk_message_id_init(&id);
	do {
		data = i_stream_get_data(input, &size);
		pk_message_id_feed(&id, data + fed, size - fed);
		fed = size;
	} while (!id.done && (ret = i_stream_read(input)) > 0);
	if (!id.done && ret == -1 && input->stream_errno == 0)
		pk_message_id_end(&id);	/* a header without an end */
	if (id.done)
		s->message_ids[msgno - 1] =
			p_strdup(s->client->pool, id.text);
}

/* audit-hash: the octets of the reply again, as audit.h has it. */
static void note_hash(struct popkeep_session *s, uint32_t msgno,
		      struct istream *input)
{
	struct sha256_ctx ctx;
	const unsigned char *data;
	struct istream *crlf;
	uint8_t last = '\n';
	size_t size;

	if (s->hashes == NULL)
		s->hashes = p_new(s->client->pool, uint8_t *,
				  s->client->messages_count + 1);
	i_stream_seek(input, 0);
	crlf = i_stream_create_crlf(input);
	sha256_init(&ctx);
	while (i_stream_read_more(crlf, &data, &size) > 0) {
		sha256_loop(&ctx, data, size);
		last = data[size - 1];
		i_stream_skip(crlf, size);
	}
	if (last != '\n')
		sha256_loop(&ctx, "\r\n", 2);
	if (crlf->stream_errno == 0) {
		s->hashes[msgno - 1] = p_malloc(s->client->pool,
						SHA256_RESULTLEN);
		sha256_result(&ctx, s->hashes[msgno - 1]);
	}
	i_stream_unref(&crlf);
}

static int popkeep_pop3_get_stream(struct mail *_mail, bool get_body,
				   struct message_size *hdr_size,
				   struct message_size *body_size,
				   struct istream **stream_r)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	struct popkeep_pop3_mail *pmail = POPKEEP_POP3_MAIL_CONTEXT(mail);
	struct popkeep_session *s = session_of(_mail);
	const char *reason = mail->get_stream_reason;
	int ret = pmail->module_ctx.super.get_stream(_mail, get_body,
						     hdr_size, body_size,
						     stream_r);

	if (ret < 0 || s == NULL || _mail->transaction != s->client->trans ||
	    reason == NULL || pmail->stream != NULL)
		return ret;
	if (strcmp(reason, "RETR") != 0 && strcmp(reason, "TOP") != 0)
		return ret;
	pmail->retr = strcmp(reason, "RETR") == 0;
	pmail->stream = *stream_r;
	pmail->output_at = s->client->output->offset;
	note_message_id(s, popkeep_session_msgno(s->client, _mail->seq), *stream_r);
	return ret;
}

/*
 * The reply to RETR ends with its dot even where the message could not be read
 * to its end; and what was announced has to have been sent.
 */
static bool is_whole(const struct popkeep_session *s,
		     const struct popkeep_pop3_mail *pmail, uint32_t msgno)
{
	const struct client *client = s->client;
	uoff_t announced = client->message_sizes[msgno - 1];

	if (!i_stream_read_eof(pmail->stream) ||
	    pmail->stream->stream_errno != 0 || client->output->closed)
		return FALSE;
	return !pmail->retr ||
		client->output->offset - pmail->output_at >= announced;
}

static void reply_ended(struct popkeep_session *s,
			const struct popkeep_pop3_mail *pmail, uint32_t seq)
{
	uint32_t msgno = popkeep_session_msgno(s->client, seq);
	uint8_t *event;

	if (msgno == 0 || !is_whole(s, pmail, msgno))
		return;
	if (pmail->retr) {
		popkeep_session_sent(s, msgno);
		if (s->puser->policy == POPKEEP_POLICY_KNOWN &&
		    s->puser->up.audit_hash)
			note_hash(s, msgno, pmail->stream);
		return;
	}
	event = popkeep_session_event(s, msgno);
	if (event != NULL)
		*event |= PK_EVENT_TOP_WHOLE;
}

static void popkeep_pop3_mail_close(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	struct popkeep_pop3_mail *pmail = POPKEEP_POP3_MAIL_CONTEXT(mail);
	struct popkeep_session *s = session_of(_mail);

	if (pmail->stream != NULL && s != NULL)
		reply_ended(s, pmail, _mail->seq);
	pmail->stream = NULL;
	pmail->module_ctx.super.close(_mail);
}

void popkeep_pop3_mail_allocated(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	struct mail_vfuncs *v = mail->vlast;
	struct popkeep_pop3_mail *pmail;

	if (session_of(_mail) == NULL)
		return;
	pmail = p_new(mail->pool, struct popkeep_pop3_mail, 1);
	pmail->module_ctx.super = *v;
	mail->vlast = &pmail->module_ctx.super;
	v->get_stream = popkeep_pop3_get_stream;
	v->close = popkeep_pop3_mail_close;
	MODULE_CONTEXT_SET(mail, popkeep_pop3_mail_module, pmail);
}

/* Lines of what the stream has, after the header; max + 1 is enough. */
static uintmax_t count_body_lines(struct istream *input, uintmax_t max)
{
	const unsigned char *data;
	bool body = FALSE, empty = TRUE, any = FALSE;
	uintmax_t lines = 0;
	size_t i, size;

	while (lines <= max && i_stream_read_more(input, &data, &size) > 0) {
		for (i = 0; i < size; i++) {
			any = data[i] != '\n';
			if (data[i] == '\n') {
				lines += body ? 1 : 0;
				body = body || empty;
				empty = TRUE;
			} else if (data[i] != '\r') {
				empty = FALSE;
			}
		}
		i_stream_skip(input, size);
	}
	return lines + (body && any ? 1 : 0);
}

int popkeep_session_is_longer(struct popkeep_session *s, uint32_t msgno,
			      uint32_t max)
{
	struct mail *mail = mail_alloc(s->client->trans,
				       MAIL_FETCH_STREAM_BODY, NULL);
	struct istream *input;
	int ret = -1;

	mail_set_seq(mail, popkeep_session_seq(s->client, msgno));
	if (mail_get_stream_because(mail, NULL, NULL, "popkeep", &input) == 0) {
		ret = count_body_lines(input, max) > max ? 1 : 0;
		if (input->stream_errno != 0)
			ret = -1;
	}
	mail_free(&mail);
	return ret;
}
