/*
 * Facts of messages in a dict: see popkeep-facts.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-facts.h"
#include "array.h"
#include "dict.h"
#include "hash.h"
#include "str-sanitize.h"

#define KEY_PREFIX DICT_PATH_PRIVATE "popkeep/"
#define KEY_SINCE KEY_PREFIX "since"
#define KEY_LOGIN KEY_PREFIX "login"
#define KEY_GUID KEY_PREFIX "guid:"

/* From so many messages on all keys are read at once, where a dict can. */
#define ITERATE_FROM 8
/* Lookups on their way at a time. */
#define LOOKUPS_AT_ONCE 256

struct entry {
	const char *guid;
	struct popkeep_fact fact;
	bool known:1;		/* loaded or set */
	bool changed:1;		/* in facts->changed */
	bool forgotten:1;	/* and goes at the next commit */
};

struct popkeep_facts {
	pool_t pool;
	struct dict *dict;
	struct dict_op_settings op_set;
	struct event *event;

	HASH_TABLE(const char *, struct entry *) entries;
	ARRAY(struct entry *) changed;
	int64_t since, login;
	bool since_known:1, since_changed:1;
	bool login_known:1, login_changed:1;
	bool no_iterate:1;	/* was tried */
	bool complained:1;	/* of a value that is not ours */

	/* Of the last commit. */
	enum dict_commit_ret commit_ret;
	char *commit_error;
};

struct popkeep_facts *
popkeep_facts_init_dict(struct dict *dict,
			const struct dict_op_settings *op_set,
			struct event *event)
{
	pool_t pool = pool_alloconly_create("popkeep facts", 1024);
	struct popkeep_facts *facts = p_new(pool, struct popkeep_facts, 1);

	facts->pool = pool;
	facts->dict = dict;
	facts->op_set = *op_set;
	facts->event = event;
	event_ref(event);
	hash_table_create(&facts->entries, pool, 0, str_hash, strcmp);
	p_array_init(&facts->changed, pool, 8);
	return facts;
}

void popkeep_facts_deinit(struct popkeep_facts **_facts)
{
	struct popkeep_facts *facts = *_facts;

	*_facts = NULL;
	if (facts == NULL)
		return;
	dict_wait(facts->dict);
	dict_deinit(&facts->dict);
	hash_table_destroy(&facts->entries);
	i_free(facts->commit_error);
	event_unref(&facts->event);
	pool_unref(&facts->pool);
}

/* ---- values ------------------------------------------------------------- */

/* A decimal number as we write them, at *p, of at most max. */
static bool parse_number(const char **p, uint64_t max, uint64_t *number_r)
{
	const char *s = *p;
	uint64_t n = 0;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9'))
		return FALSE;
	for (; *s >= '0' && *s <= '9'; s++) {
		unsigned int digit = *s - '0';

		if (n > (max - digit) / 10)
			return FALSE;
		n = n * 10 + digit;
	}
	*number_r = n;
	*p = s;
	return TRUE;
}

static bool parse_time(const char *value, int64_t *time_r)
{
	uint64_t n;

	if (!parse_number(&value, INT64_MAX, &n) || *value != '\0')
		return FALSE;
	*time_r = n;
	return TRUE;
}

static bool parse_fact(const char *value, struct popkeep_fact *fact_r)
{
	uint64_t n[5];
	unsigned int i;

	if (*value++ != '1')
		return FALSE;
	for (i = 0; i < N_ELEMENTS(n); i++) {
		if (*value++ != ' ' ||
		    !parse_number(&value, i == 3 ? UINT32_MAX : INT64_MAX,
				  &n[i]))
			return FALSE;
	}
	if (*value != '\0')
		return FALSE;
	fact_r->seen = n[0];
	fact_r->downloaded = n[1];
	fact_r->read = n[2];
	fact_r->unconfirmed = n[3];
	fact_r->unconfirmed_last = n[4];
	return TRUE;
}

static const char *fact_value(const struct popkeep_fact *fact)
{
	return t_strdup_printf("1 %"PRId64" %"PRId64" %"PRId64" %u %"PRId64,
			       fact->seen, fact->downloaded, fact->read,
			       fact->unconfirmed, fact->unconfirmed_last);
}

/* What we read as unknown must not fill the log. */
static void complain(struct popkeep_facts *facts, const char *key,
		     const char *value)
{
	if (facts->complained)
		return;
	facts->complained = TRUE;
	e_warning(facts->event, "popkeep: facts: %s has the value \"%s\", "
		  "which is not of popkeep: taken as unknown",
		  str_sanitize(key, 100), str_sanitize(value, 100));
}

static const char *guid_key(const char *guid)
{
	return t_strconcat(KEY_GUID, dict_escape_string(guid), NULL);
}

/* ---- entries ------------------------------------------------------------ */

static struct entry *get_entry(struct popkeep_facts *facts, const char *guid)
{
	struct entry *entry = hash_table_lookup(facts->entries, guid);

	if (entry == NULL) {
		entry = p_new(facts->pool, struct entry, 1);
		entry->guid = p_strdup(facts->pool, guid);
		hash_table_insert(facts->entries, entry->guid, entry);
	}
	return entry;
}

static void take_fact(struct popkeep_facts *facts, struct entry *entry,
		      const char *value)
{
	if (!parse_fact(value, &entry->fact)) {
		i_zero(&entry->fact);
		complain(facts, guid_key(entry->guid), value);
	}
}

static void take_time(struct popkeep_facts *facts, const char *key,
		      const char *value, int64_t *time_r)
{
	if (!parse_time(value, time_r)) {
		*time_r = 0;
		complain(facts, key, value);
	}
}

/* One of all keys: its value, if anybody has asked for it. */
static void take(struct popkeep_facts *facts, const char *key,
		 const char *value)
{
	struct entry *entry;

	if (strcmp(key, KEY_SINCE) == 0) {
		if (!facts->since_known)
			take_time(facts, key, value, &facts->since);
		return;
	}
	if (strncmp(key, KEY_GUID, strlen(KEY_GUID)) != 0)
		return;
	entry = hash_table_lookup(facts->entries,
		dict_unescape_string(key + strlen(KEY_GUID)));
	if (entry != NULL && !entry->known)
		take_fact(facts, entry, value);
}

/* ---- loading ------------------------------------------------------------ */

/*
 * There is nothing below our keys to recurse to; but what dict-sql makes of a
 * map with our one field is no SQL without that flag.
 */
static int load_all(struct popkeep_facts *facts, const char **error_r)
{
	struct dict_iterate_context *iter;
	const char *key, *value;
	bool more;

	iter = dict_iterate_init(facts->dict, &facts->op_set, KEY_PREFIX,
				 DICT_ITERATE_FLAG_RECURSE);
	do {
		T_BEGIN {
			more = dict_iterate(iter, &key, &value);
			if (more)
				take(facts, key, value);
		} T_END;
	} while (more);
	return dict_iterate_deinit(&iter, error_r);
}

struct batch {
	struct popkeep_facts *facts;
	char *error;
};

struct lookup {
	struct batch *batch;
	struct entry *entry;	/* NULL: since */
};

static void looked_up(const struct dict_lookup_result *result,
		      struct lookup *lookup)
{
	struct batch *batch = lookup->batch;

	if (result->ret < 0) {
		if (batch->error == NULL)
			batch->error = i_strdup(result->error);
	} else if (result->ret > 0) {
		if (lookup->entry != NULL)
			take_fact(batch->facts, lookup->entry, result->value);
		else
			take_time(batch->facts, KEY_SINCE, result->value,
				  &batch->facts->since);
	}
}

static void look_up(struct popkeep_facts *facts, struct lookup *lookup)
{
	T_BEGIN {
		dict_lookup_async(facts->dict, &facts->op_set,
				  lookup->entry == NULL ? KEY_SINCE :
				  guid_key(lookup->entry->guid),
				  looked_up, lookup);
	} T_END;
}

/* A dict that fails is not asked for every message: each try may take long. */
static int load_each(struct popkeep_facts *facts,
		     struct entry *const *wanted, unsigned int count,
		     const char **error_r)
{
	struct lookup lookups[LOOKUPS_AT_ONCE];
	struct batch batch = { .facts = facts };
	unsigned int n = 0;

	if (!facts->since_known) {
		lookups[n] = (struct lookup){ &batch, NULL };
		look_up(facts, &lookups[n++]);
	}
	do {
		for (; count > 0 && n < LOOKUPS_AT_ONCE &&
		     batch.error == NULL; count--) {
			lookups[n] = (struct lookup){ &batch, *wanted++ };
			look_up(facts, &lookups[n++]);
		}
		dict_wait(facts->dict);
		n = 0;
	} while (count > 0 && batch.error == NULL);
	if (batch.error == NULL)
		return 0;
	*error_r = t_strdup(batch.error);
	i_free(batch.error);
	return -1;
}

static int load(struct popkeep_facts *facts, struct entry *const *wanted,
		unsigned int count, const char **error_r)
{
	unsigned int i;

	if (count >= ITERATE_FROM && !facts->no_iterate) {
		if (load_all(facts, error_r) == 0)
			return 0;
		/* It cannot, or it fails: the lookups will tell. */
		facts->no_iterate = TRUE;
	}
	if (load_each(facts, wanted, count, error_r) == 0)
		return 0;
	for (i = 0; i < count; i++)
		i_zero(&wanted[i]->fact);
	return -1;
}

int popkeep_facts_load(struct popkeep_facts *facts, const char *const *guids,
		       unsigned int count, time_t now, const char **error_r)
{
	ARRAY(struct entry *) wanted;
	struct entry *entry;
	unsigned int i;

	if (count == 0)
		return 0;
	t_array_init(&wanted, count);
	for (i = 0; i < count; i++) {
		if (guids[i][0] == '\0')
			continue;
		entry = get_entry(facts, guids[i]);
		if (!entry->known)
			array_push_back(&wanted, &entry);
	}
	if (array_count(&wanted) == 0 && facts->since_known)
		return 0;
	if (load(facts, array_count(&wanted) == 0 ? NULL :
		 array_front(&wanted), array_count(&wanted), error_r) < 0)
		return -1;
	array_foreach_elem(&wanted, entry)
		entry->known = TRUE;
	facts->since_known = TRUE;
	if (facts->since == 0) {
		facts->since = now;
		facts->since_changed = TRUE;
	}
	return 0;
}

/* ---- what is known ------------------------------------------------------ */

int64_t popkeep_facts_since(const struct popkeep_facts *facts)
{
	return facts->since_known ? facts->since : 0;
}

const struct popkeep_fact *
popkeep_facts_get(const struct popkeep_facts *facts, const char *guid)
{
	static const struct popkeep_fact nothing;
	const struct entry *entry = hash_table_lookup(facts->entries, guid);

	return entry != NULL ? &entry->fact : &nothing;
}

static void change(struct popkeep_facts *facts, struct entry *entry,
		   const struct popkeep_fact *fact, bool forgotten)
{
	entry->fact = *fact;
	entry->known = TRUE;
	entry->forgotten = forgotten;
	if (!entry->changed)
		array_push_back(&facts->changed, &entry);
	entry->changed = TRUE;
}

void popkeep_facts_set(struct popkeep_facts *facts, const char *guid,
		       const struct popkeep_fact *fact)
{
	if (guid[0] != '\0')
		change(facts, get_entry(facts, guid), fact, FALSE);
}

void popkeep_facts_forget(struct popkeep_facts *facts, const char *guid)
{
	const struct popkeep_fact nothing = { .seen = 0 };

	if (guid[0] != '\0')
		change(facts, get_entry(facts, guid), &nothing, TRUE);
}

int popkeep_facts_last_login(struct popkeep_facts *facts, int64_t *login_r,
			     const char **error_r)
{
	const char *value;
	int ret;

	if (!facts->login_known) {
		/* 2.3 looks at it even where all is well. */
		*error_r = NULL;
		ret = dict_lookup(facts->dict, &facts->op_set,
				  pool_datastack_create(), KEY_LOGIN, &value,
				  error_r);
		if (ret < 0)
			return -1;
		if (ret > 0)
			take_time(facts, KEY_LOGIN, value, &facts->login);
		facts->login_known = TRUE;
	}
	*login_r = facts->login;
	return 0;
}

void popkeep_facts_logged_in(struct popkeep_facts *facts, int64_t now)
{
	facts->login = now;
	facts->login_known = facts->login_changed = TRUE;
}

/* ---- writing ------------------------------------------------------------ */

static void committed(const struct dict_commit_result *result,
		      struct popkeep_facts *facts)
{
	facts->commit_ret = result->ret;
	i_free(facts->commit_error);
	facts->commit_error = i_strdup(result->error);
}

static void write_entry(struct dict_transaction_context *trans,
			const struct entry *entry)
{
	T_BEGIN {
		const char *key = guid_key(entry->guid);

		if (entry->forgotten)
			dict_unset(trans, key);
		else
			dict_set(trans, key, fact_value(&entry->fact));
	} T_END;
}

static void write_times(struct popkeep_facts *facts,
			struct dict_transaction_context *trans)
{
	if (facts->since_changed)
		dict_set(trans, KEY_SINCE, dec2str(facts->since));
	if (facts->login_changed)
		dict_set(trans, KEY_LOGIN, dec2str(facts->login));
}

/*
 * Not dict_transaction_commit(): that of Redis in 2.3 calls back twice, the
 * second time with what the first has freed.
 */
static int commit(struct popkeep_facts *facts,
		  struct dict_transaction_context *trans, const char **error_r)
{
	facts->commit_ret = DICT_COMMIT_RET_WRITE_UNCERTAIN;
	i_free(facts->commit_error);
	dict_transaction_commit_async(&trans, committed, facts);
	dict_wait(facts->dict);
	if (facts->commit_ret >= 0)
		return 0;
	*error_r = facts->commit_error != NULL ?
		t_strdup(facts->commit_error) : "the dict does not say";
	return -1;
}

int popkeep_facts_commit(struct popkeep_facts *facts, const char **error_r)
{
	struct dict_transaction_context *trans;
	struct entry *entry;

	if (array_count(&facts->changed) == 0 && !facts->since_changed &&
	    !facts->login_changed)
		return 0;
	trans = dict_transaction_begin(facts->dict, &facts->op_set);
	array_foreach_elem(&facts->changed, entry)
		write_entry(trans, entry);
	write_times(facts, trans);
	if (commit(facts, trans, error_r) < 0)
		return -1;
	array_foreach_elem(&facts->changed, entry)
		entry->changed = FALSE;
	array_clear(&facts->changed);
	facts->since_changed = facts->login_changed = FALSE;
	return 0;
}
