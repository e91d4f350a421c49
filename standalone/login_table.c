/*
 * The policy before login: see login_table.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/login_table.h"

#define MAGIC	UINT64_C(0x31454c424154504b)	/* "KPTABLE1" */

/* The file: a header, the rules of each kind, their networks, the limits. */
struct header {
	uint64_t magic;
	uint32_t rules[PK_KINDS];
	uint32_t networks;
	uint32_t limits;
	uint32_t login_delay;		/* the largest, seconds */
	uint8_t login_delay_varies;
	uint8_t expire_varies;
	uint8_t wants_secrets;
	uint8_t reserved;
};

struct rule {
	int64_t until;
	uint32_t networks;
	uint8_t allow;			/* enum pk_allow */
	uint8_t everybody;		/* no users, or "*" */
	uint8_t everywhere;		/* no networks */
	uint8_t reserved;
};

/* When a retention rule may first delete: EXPIRE counts down to it. */
struct limit {
	int64_t after;			/* its least finite limit, seconds */
	int64_t effective_from;
};

struct pk_login_table {
	struct header *header;		/* the image: one allocation */
	const struct rule *rules;
	const struct pk_network *networks;
	const struct limit *limits;
};

/* ---- making -------------------------------------------------------------------- */

/* false: it never deletes, or only says so. */
static bool
limit_of(const struct pk_rule *r, struct limit *limit_r)
{
	limit_r->after = pk_rule_limit(r);
	limit_r->effective_from = r->effective_from;
	return limit_r->after != PK_NEVER;
}

static void
fill_header(const struct pk_policy *p, struct header *h)
{
	struct limit limit;
	size_t i, k;

	memset(h, 0, sizeof(*h));
	h->magic = MAGIC;
	h->wants_secrets = p->minimum_secret > 0 || p->exclusive;
	for (k = 0; k < PK_KINDS; k++) {
		h->rules[k] = (uint32_t)p->login[k].count;
		for (i = 0; i < p->login[k].count; i++)
			h->networks +=
			    (uint32_t)p->login[k].rule[i].network_count;
	}
	for (i = 0; i < p->retentions; i++)
		if (limit_of(&p->retention[i].rule, &limit))
			h->limits++;
	/* 'no rule' has no delay and is NEVER, and differs from any other. */
	h->login_delay = pk_policy_login_delay(p);
	h->login_delay_varies = h->login_delay > 0;
	h->expire_varies = h->limits > 0;
}

static size_t
image_size(const struct header *h)
{
	return sizeof(*h) +
	    ((size_t)h->rules[0] + h->rules[1]) * sizeof(struct rule) +
	    (size_t)h->limits * sizeof(struct limit) +
	    (size_t)h->networks * sizeof(struct pk_network);
}

/* Where the parts of an image are. */
static void
set_parts(struct pk_login_table *t, void *image)
{
	t->header = image;
	t->rules = (const void *)(t->header + 1);
	t->limits = (const void *)(t->rules + t->header->rules[0] +
	    t->header->rules[1]);
	t->networks = (const void *)(t->limits + t->header->limits);
}

static void
fill_rules(const struct pk_policy *p, struct rule *rule,
    struct pk_network *network)
{
	size_t i, k;

	for (k = 0; k < PK_KINDS; k++) {
		for (i = 0; i < p->login[k].count; i++, rule++) {
			const struct pk_login_rule *r = &p->login[k].rule[i];

			rule->until = r->until;
			rule->networks = (uint32_t)r->network_count;
			rule->allow = (uint8_t)r->allow;
			rule->everybody = pk_patterns_is_everybody(&r->users);
			rule->everywhere = r->network_count == 0;
			if (r->network_count > 0)
				memcpy(network, r->networks,
				    r->network_count * sizeof(*network));
			network += r->network_count;
		}
	}
}

static void
fill_limits(const struct pk_policy *p, struct limit *limit)
{
	struct limit own;
	size_t i;

	/* There is room only for those that have one. */
	for (i = 0; i < p->retentions; i++)
		if (limit_of(&p->retention[i].rule, &own))
			*limit++ = own;
}

static int
write_image(const void *image, size_t size)
{
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -1;
	if (write(fd, image, size) != (ssize_t)size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
	    F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int
pk_login_table_make(const struct pk_policy *p)
{
	struct pk_login_table t;
	struct header h;
	size_t size;
	void *image;
	int fd;

	fill_header(p, &h);
	size = image_size(&h);
	if (size > PK_LOGIN_TABLE_MAX) {
		errno = EFBIG;
		return -1;
	}
	image = calloc(1, size);
	if (image == NULL)
		return -1;
	memcpy(image, &h, sizeof(h));
	set_parts(&t, image);
	fill_rules(p, (struct rule *)(uintptr_t)t.rules,
	    (struct pk_network *)(uintptr_t)t.networks);
	fill_limits(p, (struct limit *)(uintptr_t)t.limits);
	fd = write_image(image, size);
	free(image);
	return fd;
}

/* ---- reading ---------------------------------------------------------------------- */

/* It comes from a process with fewer rights than its readers'. */
static bool
is_sound(const struct pk_login_table *t)
{
	uint32_t i, count = t->header->rules[0] + t->header->rules[1];
	uint64_t networks = 0;

	for (i = 0; i < count; i++) {
		if (t->rules[i].allow > PK_ALLOW_ALWAYS)
			return false;
		networks += t->rules[i].networks;
	}
	for (i = 0; i < t->header->networks; i++)
		if (t->networks[i].prefix > 128)
			return false;
	for (i = 0; i < t->header->limits; i++)
		if (t->limits[i].after < 0 || t->limits[i].effective_from < 0)
			return false;
	return networks == t->header->networks;
}

static bool
sizes_match(const struct header *h, size_t size)
{
	return h->magic == MAGIC && h->rules[0] <= PK_LOGIN_TABLE_MAX &&
	    h->rules[1] <= PK_LOGIN_TABLE_MAX &&
	    h->networks <= PK_LOGIN_TABLE_MAX &&
	    h->limits <= PK_LOGIN_TABLE_MAX && image_size(h) == size;
}

struct pk_login_table *
pk_login_table_read(int fd)
{
	struct pk_login_table *t = calloc(1, sizeof(*t));
	struct stat st;
	size_t size;
	void *image = NULL;

	if (t == NULL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)sizeof(struct header) ||
	    st.st_size > PK_LOGIN_TABLE_MAX) {
		free(t);
		return NULL;
	}
	size = (size_t)st.st_size;
	image = malloc(size);
	if (image != NULL && pread(fd, image, size, 0) == (ssize_t)size &&
	    sizes_match(image, size)) {
		set_parts(t, image);
		if (is_sound(t))
			return t;
	}
	free(image);
	free(t);
	return NULL;
}

void
pk_login_table_free(struct pk_login_table **tp)
{
	if (*tp != NULL)
		free((*tp)->header);
	free(*tp);
	*tp = NULL;
}

bool
pk_login_table_equal(const struct pk_login_table *a,
    const struct pk_login_table *b)
{
	size_t size = image_size(a->header);

	return size == image_size(b->header) &&
	    memcmp(a->header, b->header, size) == 0;
}

/* ---- asking ----------------------------------------------------------------------- */

static bool
has_address(const struct rule *r, const struct pk_network *networks,
    const uint8_t address[16])
{
	uint32_t i;

	for (i = 0; i < r->networks; i++)
		if (pk_network_has(&networks[i], address))
			return true;
	return r->everywhere;
}

static enum pk_allow
allow_of(const struct rule *r, int64_t now)
{
	return now >= r->until ? PK_ALLOW_NEVER : (enum pk_allow)r->allow;
}

/*
 * Go through the rules that can match at this address: the first for everybody
 * ends them; where there is none, who matches none is refused.
 */
static void
bounds(const struct pk_login_table *t, enum pk_credential_kind kind,
    const uint8_t address[16], int64_t now, enum pk_allow *most_r,
    enum pk_allow *least_r)
{
	const struct rule *r = t->rules;
	const struct pk_network *networks = t->networks;
	enum pk_allow allow, most = PK_ALLOW_NEVER, low = PK_ALLOW_ALWAYS;
	uint32_t i, skip = kind == PK_KIND_APOP ? 0 : t->header->rules[0];
	bool ended = false;

	for (i = 0; i < skip; i++, r++)
		networks += r->networks;
	for (i = 0; i < t->header->rules[kind] && !ended; i++, r++) {
		if (has_address(r, networks, address)) {
			allow = allow_of(r, now);
			most = allow > most ? allow : most;
			low = allow < low ? allow : low;
			ended = r->everybody;
		}
		networks += r->networks;
	}
	*most_r = most;
	*least_r = ended ? low : PK_ALLOW_NEVER;
}

enum pk_allow
pk_login_table_some(const struct pk_login_table *t,
    enum pk_credential_kind kind, const uint8_t address[16], int64_t now)
{
	enum pk_allow most, low;

	bounds(t, kind, address, now, &most, &low);
	return most;
}

enum pk_allow
pk_login_table_all(const struct pk_login_table *t,
    enum pk_credential_kind kind, const uint8_t address[16], int64_t now)
{
	enum pk_allow most, low;

	bounds(t, kind, address, now, &most, &low);
	return low;
}

bool
pk_login_table_wants_secrets(const struct pk_login_table *t)
{
	return t->header->wants_secrets != 0;
}

void
pk_login_table_capa(const struct pk_login_table *t, int64_t now,
    struct pk_capa_policy *capa_r)
{
	int64_t days, least = -1;
	uint32_t i;

	for (i = 0; i < t->header->limits; i++) {
		days = pk_limit_days(t->limits[i].after,
		    t->limits[i].effective_from, now);
		if (days != -1 && (least == -1 || days < least))
			least = days;
	}
	capa_r->expire_days = least;
	capa_r->expire_varies = t->header->expire_varies != 0;
	capa_r->login_delay = t->header->login_delay;
	capa_r->login_delay_varies = t->header->login_delay_varies != 0;
}
