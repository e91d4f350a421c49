/*
 * A mailbox as a maildrop: see popkeep-maildrop.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-maildrop.h"
#include "hash.h"
#include "istream.h"
#include "sha2.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"

#include "engine/hex.h"
#include "engine/maildir_name.h"
#include "engine/message_id.h"
#include "engine/notes.h"

#include "popkeep-carry-out.h"
#include "popkeep-facts.h"
#include "popkeep-user.h"

static const struct pk_maildrop_ops popkeep_maildrop_ops;

/* ---- looking at messages ------------------------------------------------ */

/* The transaction for looking: whatever is read may be cached by it. */
static struct mail *looking_glass(struct popkeep_maildrop *pm)
{
	if (pm->trans == NULL) {
		pm->trans = mailbox_transaction_begin(pm->box, 0, __func__);
		pm->mail = mail_alloc(pm->trans, 0, NULL);
	}
	return pm->mail;
}

void popkeep_maildrop_unlook(struct popkeep_maildrop *pm)
{
	if (pm->trans == NULL)
		return;
	mail_free(&pm->mail);
	(void)mailbox_transaction_commit(&pm->trans);
}

static void set_uidl(struct popkeep_message *msg)
{
	size_t len = strlen(msg->guid);
	unsigned char hash[SHA256_RESULTLEN];

	if (pk_name_is_unique_id(msg->guid, len)) {
		memcpy(msg->uidl, msg->guid, len);
		return;
	}
	/* As pk_name_hash(), without libcrypto. */
	sha256_get_digest(msg->guid, len, hash);
	(void)pk_hex_put(msg->uidl, hash, sizeof(hash));
}

/*
 * When it was delivered: a Maildir says so in the file's name, which the user
 * cannot set over IMAP.
 */
static int look_at_time(struct mail *mail, struct popkeep_message *msg)
{
	const char *name;
	time_t received;
	size_t len;

	if (strcmp(mail->box->storage->name, "maildir") == 0) {
		if (mail_get_special(mail, MAIL_FETCH_STORAGE_ID, &name) < 0)
			return -1;
		len = pk_name_base_len(name, strlen(name));
		msg->guid_is_name = msg->guid != NULL &&
			strlen(msg->guid) == len &&
			memcmp(msg->guid, name, len) == 0;
		if (pk_name_delivered(name, len, &msg->name_time))
			return 0;
		msg->name_time = 0;
	}
	if (mail_get_received_date(mail, &received) < 0)
		return -1;
	msg->received = received;
	return 0;
}

/* The GUID, but in an mbox: there it is made of some headers alone. */
static void set_key(struct popkeep_maildrop *pm, struct popkeep_message *msg)
{
	if (strcmp(pm->box->storage->name, "mbox") != 0)
		msg->key = msg->guid;
	else
		msg->key = p_strdup_printf(pm->pool, "%s.%"PRIx64".%"PRIx64,
					   msg->guid, msg->octets,
					   (uint64_t)msg->received);
}

/*
 * What has gone meanwhile has its names still, for records of what was done
 * with it before; but it is not known.
 */
static int look_at(struct popkeep_maildrop *pm, struct popkeep_message *msg)
{
	struct mail *mail = looking_glass(pm);
	const char *guid;
	uoff_t size;

	msg->gone = !mail_set_uid(mail, msg->uid) || mail->expunged;
	if (msg->gone)
		return -1;
	if (mail_get_special(mail, MAIL_FETCH_GUID, &guid) == 0) {
		msg->guid = p_strdup(pm->pool, guid);
		set_uidl(msg);
	}
	if (mail_get_virtual_size(mail, &size) == 0)
		msg->octets = size;
	else
		size = UOFF_T_MAX;
	if (look_at_time(mail, msg) < 0 || size == UOFF_T_MAX ||
	    msg->guid == NULL) {
		msg->gone = mail->expunged;
		return -1;
	}
	set_key(pm, msg);
	return 0;
}

const struct popkeep_message *
popkeep_maildrop_look(struct popkeep_maildrop *pm, uint32_t msgno)
{
	struct popkeep_message *msg = &pm->messages[msgno - 1];

	if (!msg->looked) T_BEGIN {
		msg->looked = TRUE;
		msg->known = look_at(pm, msg) == 0;
	} T_END;
	return msg->known ? msg : NULL;
}

void popkeep_maildrop_refresh(struct popkeep_maildrop *pm)
{
	struct popkeep_message *msg;
	uint32_t i;

	popkeep_maildrop_unlook(pm);
	if (mailbox_sync(pm->box, 0) < 0)
		return;
	for (i = 0; i < pm->count; i++) {
		msg = &pm->messages[i];
		if (!msg->known || popkeep_is_there(pm->box, msg->uid))
			continue;
		msg->known = FALSE;
		msg->gone = TRUE;
	}
}

/* ---- the engine's questions --------------------------------------------- */

static inline struct popkeep_maildrop *from_md(const struct pk_maildrop *md)
{
	return container_of((struct pk_maildrop *)md,
			    struct popkeep_maildrop, md);
}

static uint32_t maildrop_count(const struct pk_maildrop *md)
{
	return from_md(md)->count;
}

static void maildrop_info(const struct pk_maildrop *md, uint32_t msgno,
			  struct pk_message_info *info_r)
{
	struct popkeep_maildrop *pm = from_md(md);
	const struct popkeep_message *msg = &pm->messages[msgno - 1];

	(void)popkeep_maildrop_look(pm, msgno);
	info_r->octets = msg->octets;
	info_r->uid = msg->uidl;
	info_r->uid_len = strlen(info_r->uid);
}

/* Found as popkeepd finds it: Dovecot's own idea of a field is another. */
static const char *find_message_id(pool_t pool, struct mail *mail)
{
	struct pk_message_id id;
	struct istream *input;
	const unsigned char *data;
	size_t size;

	if (mail_get_hdr_stream(mail, NULL, &input) < 0)
		return "";
	pk_message_id_init(&id);
	while (!id.done && i_stream_read_more(input, &data, &size) > 0) {
		pk_message_id_feed(&id, data, size);
		i_stream_skip(input, size);
	}
	if (!id.done)
		pk_message_id_end(&id);
	return p_strdup(pool, id.text);
}

static void maildrop_message_id(struct pk_maildrop *md, uint32_t msgno,
				bool look, char id_r[PK_MESSAGE_ID_SIZE])
{
	struct popkeep_maildrop *pm = from_md(md);
	struct popkeep_message *msg = &pm->messages[msgno - 1];

	id_r[0] = '\0';
	if (msg->message_id == NULL && look &&
	    popkeep_maildrop_look(pm, msgno) != NULL) {
		struct mail *mail = looking_glass(pm);

		msg->message_id = mail_set_uid(mail, msg->uid) ?
			find_message_id(pm->pool, mail) : "";
	}
	if (msg->message_id != NULL)
		(void)i_strocpy(id_r, msg->message_id, PK_MESSAGE_ID_SIZE);
}

const uint8_t *popkeep_maildrop_sha256(const void *of, uint32_t msgno)
{
	const struct popkeep_maildrop *pm = of;

	return pm->hashes != NULL ? pm->hashes[msgno - 1] : NULL;
}

/*
 * A received date can be set by the user, so the first sight of the message
 * bounds it from below; what is retained keeps the time that it came with.
 */
static int64_t delivered(const struct popkeep_maildrop *pm,
			 const struct popkeep_message *msg,
			 const struct popkeep_fact *fact, int64_t now)
{
	int64_t seen = pk_fact_known(fact->seen, now);

	if (pm->is_retained && seen > 0)
		return seen;
	if (msg->name_time > 0)
		return msg->name_time;
	if (pm->facts_unknown || seen == 0)
		seen = now;
	return I_MIN(I_MAX(msg->received, seen), now);
}

static void maildrop_facts(const struct pk_maildrop *md, uint32_t msgno,
			   int64_t now, struct pk_facts *facts_r)
{
	struct popkeep_maildrop *pm = from_md(md);
	const struct popkeep_message *msg = popkeep_maildrop_look(pm, msgno);
	struct popkeep_facts *facts = pm->puser->facts;
	const struct popkeep_fact *fact;

	i_zero(facts_r);
	facts_r->facts_lost = pm->facts_unknown;
	if (msg == NULL || facts == NULL)
		return;
	fact = popkeep_facts_get(facts, msg->key);
	facts_r->facts_lost = pm->facts_unknown || msg->twin;
	facts_r->delivered = delivered(pm, msg, fact, now);
	if (facts_r->facts_lost)
		return;
	facts_r->facts_since = I_MIN(popkeep_facts_since(facts), now);
	facts_r->downloaded = pk_fact_known(fact->downloaded, now);
	facts_r->read = pk_fact_known(fact->read, now);
	facts_r->unconfirmed = fact->unconfirmed;
	facts_r->unconfirmed_last = pk_fact_known(fact->unconfirmed_last, now);
}

static void maildrop_note(struct pk_maildrop *md, uint32_t msgno,
			  enum pk_note note, int64_t when)
{
	struct popkeep_maildrop *pm = from_md(md);
	const struct popkeep_message *msg = popkeep_maildrop_look(pm, msgno);
	struct popkeep_facts *facts = pm->puser->facts;
	struct popkeep_fact fact;
	bool changed = FALSE;

	/* What is there is not known: it must not be written over. */
	if (msg == NULL || facts == NULL || pm->facts_unknown || msg->twin)
		return;
	fact = *popkeep_facts_get(facts, msg->key);
	switch (note) {
	case PK_NOTE_DOWNLOADED:
		changed = pk_fact_first(&fact.downloaded, when);
		break;
	case PK_NOTE_READ:
		changed = pk_fact_first(&fact.read, when);
		break;
	case PK_NOTE_UNCONFIRMED:
		changed = pk_fact_unconfirmed(&fact.unconfirmed,
					      &fact.unconfirmed_last, when);
		break;
	}
	if (changed)
		popkeep_facts_set(facts, msg->key, &fact);
}

static uint32_t maildrop_update(struct pk_maildrop *md,
				const struct pk_update *u)
{
	return popkeep_carry_out(from_md(md), u);
}

/* Who reads messages here is Dovecot: .open, .read and .close are not used. */
static const struct pk_maildrop_ops popkeep_maildrop_ops = {
	.count = maildrop_count,
	.info = maildrop_info,
	.message_id = maildrop_message_id,
	.facts = maildrop_facts,
	.note = maildrop_note,
	.update = maildrop_update,
};

/* ---- facts -------------------------------------------------------------- */

/* May a verdict depend on facts?  untimed: of messages without a time, too. */
static bool facts_matter(const struct popkeep_maildrop *pm, bool untimed)
{
	const struct pk_user_policy *up = &pm->puser->up;
	const struct pk_rule *rule = &up->rule;

	if (pm->puser->policy != POPKEEP_POLICY_KNOWN || !up->has_rule)
		return FALSE;
	if (rule->after_download != PK_NEVER || rule->unread != PK_NEVER)
		return TRUE;
	return untimed &&
		(rule->after_delivery != PK_NEVER || rule->minimum > 0);
}

/* The first sight of a message, where nothing else says when it came. */
static void note_seen(struct popkeep_maildrop *pm, uint32_t msgno, time_t now)
{
	const struct popkeep_message *msg = popkeep_maildrop_look(pm, msgno);
	struct popkeep_fact fact;

	if (msg == NULL || msg->name_time > 0)
		return;
	fact = *popkeep_facts_get(pm->puser->facts, msg->key);
	if (pk_fact_first(&fact.seen, now))
		popkeep_facts_set(pm->puser->facts, msg->key, &fact);
}

/* Of messages with one key nobody knows which of them was downloaded. */
static void find_twins(struct popkeep_maildrop *pm)
{
	HASH_TABLE(const char *, struct popkeep_message *) seen;
	struct popkeep_message *msg, *other;
	uint32_t i;

	if (strcmp(pm->box->storage->name, "mbox") != 0)
		return;
	hash_table_create(&seen, default_pool, pm->count, str_hash, strcmp);
	for (i = 0; i < pm->count; i++) {
		msg = &pm->messages[i];
		if (popkeep_maildrop_look(pm, i + 1) == NULL)
			continue;
		other = hash_table_lookup(seen, msg->key);
		if (other == NULL)
			hash_table_insert(seen, msg->key, msg);
		else
			msg->twin = other->twin = TRUE;
	}
	hash_table_destroy(&seen);
}

void popkeep_maildrop_load_facts(struct popkeep_maildrop *pm,
				 const uint8_t *events, time_t now)
{
	struct popkeep_facts *facts = popkeep_user_facts(pm->puser);
	bool all = facts_matter(pm, FALSE), untimed = facts_matter(pm, TRUE);
	const struct popkeep_message *msg;
	ARRAY_TYPE(const_string) guids;
	const char *error;
	uint32_t i;

	pm->facts_unknown = facts == NULL;
	if (facts == NULL)
		return;
	t_array_init(&guids, all ? pm->count : 16);
	for (i = 0; i < pm->count; i++) {
		if (!untimed && (events == NULL || events[i] == 0))
			continue;
		msg = popkeep_maildrop_look(pm, i + 1);
		if (msg != NULL && (all || pm->is_retained ||
				    msg->name_time == 0 ||
				    (events != NULL && events[i] != 0)))
			array_push_back(&guids, &msg->key);
	}
	if (array_count(&guids) == 0)
		return;
	find_twins(pm);
	if (popkeep_facts_load(facts, array_front(&guids),
			       array_count(&guids), now, &error) < 0) {
		e_error(pm->puser->user->event, "popkeep: facts: %s", error);
		pm->facts_unknown = TRUE;
		return;
	}
	for (i = 0; untimed && i < pm->count; i++)
		note_seen(pm, i + 1, now);
}

/* ---- beginning and end -------------------------------------------------- */

static struct popkeep_maildrop *
maildrop_alloc(struct popkeep_user *puser, struct mailbox *box,
	       unsigned int count)
{
	pool_t pool = pool_alloconly_create("popkeep maildrop", 1024);
	struct popkeep_maildrop *pm = p_new(pool, struct popkeep_maildrop, 1);

	pm->md.ops = &popkeep_maildrop_ops;
	pm->pool = pool;
	pm->puser = puser;
	pm->box = box;
	pm->count = count;
	pm->messages = i_new(struct popkeep_message, count + 1);
	return pm;
}

struct popkeep_maildrop *
popkeep_maildrop_init(struct popkeep_user *puser, struct mailbox *box)
{
	uint32_t count = mail_index_view_get_messages_count(box->view), seq;
	struct popkeep_maildrop *pm = maildrop_alloc(puser, box, count);

	for (seq = 1; seq <= count; seq++)
		mail_index_lookup_uid(box->view, seq,
				      &pm->messages[seq - 1].uid);
	return pm;
}

struct popkeep_maildrop *
popkeep_maildrop_init_uids(struct popkeep_user *puser, struct mailbox *box,
			   const uint32_t *uids, unsigned int count)
{
	struct popkeep_maildrop *pm = maildrop_alloc(puser, box, count);
	unsigned int i;

	for (i = 0; i < count; i++)
		pm->messages[i].uid = uids[i];
	return pm;
}

void popkeep_maildrop_deinit(struct popkeep_maildrop **_pm)
{
	struct popkeep_maildrop *pm = *_pm;

	if (pm == NULL)
		return;
	*_pm = NULL;
	popkeep_maildrop_unlook(pm);
	i_free(pm->messages);
	pool_unref(&pm->pool);
}
