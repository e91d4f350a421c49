/* temporary */
#include "popkeep-facts.h"
#include "hash.h"
struct popkeep_facts { pool_t pool; HASH_TABLE(char *, struct popkeep_fact *) h; int64_t since; };
static const struct popkeep_fact none;
int popkeep_facts_init(struct mail_user *user ATTR_UNUSED, const struct popkeep_settings *set ATTR_UNUSED, struct popkeep_facts **f, const char **e ATTR_UNUSED)
{ pool_t p = pool_alloconly_create("f", 1024); *f = p_new(p, struct popkeep_facts, 1); (*f)->pool = p; hash_table_create(&(*f)->h, p, 0, str_hash, strcmp); return 0; }
void popkeep_facts_deinit(struct popkeep_facts **f) { if (*f == NULL) return; hash_table_destroy(&(*f)->h); pool_t p = (*f)->pool; pool_unref(&p); *f = NULL; }
int popkeep_facts_load(struct popkeep_facts *f, const char *const *g ATTR_UNUSED, unsigned int c ATTR_UNUSED, time_t now, const char **e ATTR_UNUSED) { f->since = now; return 0; }
int64_t popkeep_facts_since(const struct popkeep_facts *f) { return f->since; }
const struct popkeep_fact *popkeep_facts_get(const struct popkeep_facts *f, const char *g) { const struct popkeep_fact *x = hash_table_lookup(f->h, g); return x ? x : &none; }
void popkeep_facts_set(struct popkeep_facts *f, const char *g, const struct popkeep_fact *x) { struct popkeep_fact *n = p_new(f->pool, struct popkeep_fact, 1); *n = *x; hash_table_update(f->h, p_strdup(f->pool, g), n); }
void popkeep_facts_forget(struct popkeep_facts *f, const char *g) { hash_table_try_remove(f->h, g); }
int popkeep_facts_last_login(struct popkeep_facts *f ATTR_UNUSED, int64_t *l, const char **e ATTR_UNUSED) { *l = 0; return 0; }
void popkeep_facts_logged_in(struct popkeep_facts *f ATTR_UNUSED, int64_t n ATTR_UNUSED) {}
int popkeep_facts_commit(struct popkeep_facts *f ATTR_UNUSED, const char **e ATTR_UNUSED) { return 0; }
