/*
 * Client addresses: see address.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <xxhash.h>

#include "standalone/address.h"

#define BUCKETS		4096
#define IDLE_MAX	65536	/* entries without a connection */
#define FORGET		600	/* seconds after which a failure is forgotten */

struct pk_address {
	struct pk_address *next;
	uint8_t key[16];		/* IPv6; of real IPv6 the first half */
	unsigned connections;
	unsigned failures;
	time_t failed_at;
};

struct pk_addresses {
	struct pk_address *buckets[BUCKETS];
	uint64_t seed;			/* nobody outside can aim at a bucket */
	size_t idle;
};

struct pk_addresses *
pk_addresses_new(void)
{
	struct pk_addresses *all = calloc(1, sizeof(*all));

	if (all != NULL &&
	    RAND_bytes((unsigned char *)&all->seed, sizeof(all->seed)) != 1) {
		free(all);
		all = NULL;
	}
	return all;
}

void
pk_addresses_free(struct pk_addresses **allp)
{
	struct pk_addresses *all = *allp;
	struct pk_address *a, *next;
	size_t i;

	if (all == NULL)
		return;
	for (i = 0; i < BUCKETS; i++)
		for (a = all->buckets[i]; a != NULL; a = next) {
			next = a->next;
			free(a);
		}
	free(all);
	*allp = NULL;
}

static void
make_key(const struct sockaddr *peer, uint8_t key[16])
{
	memset(key, 0, 16);
	if (peer->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)peer)->
		    sin6_addr;

		memcpy(key, a, IN6_IS_ADDR_V4MAPPED(a) ? 16 : 8);
	} else if (peer->sa_family == AF_INET) {
		key[10] = key[11] = 0xff;
		memcpy(key + 12, &((const struct sockaddr_in *)
		    (const void *)peer)->sin_addr, 4);
	}
}

static bool
is_idle(const struct pk_address *a)
{
	return a->connections == 0;
}

/*
 * Free the idle entries of a bucket whose failures are forgotten, or all the
 * idle ones.
 */
static void
sweep(struct pk_addresses *all, struct pk_address **bucket, time_t now,
    bool everything)
{
	struct pk_address **ap = bucket, *a;

	while ((a = *ap) != NULL) {
		if (is_idle(a) && (everything ||
		    now - a->failed_at >= FORGET)) {
			*ap = a->next;
			free(a);
			all->idle--;
		} else {
			ap = &a->next;
		}
	}
}

struct pk_address *
pk_address_hold(struct pk_addresses *all, const struct sockaddr *peer,
    time_t now)
{
	struct pk_address **bucket, *a;
	uint8_t key[16];
	size_t i;

	make_key(peer, key);
	bucket = &all->buckets[XXH3_64bits_withSeed(key, sizeof(key),
	    all->seed) % BUCKETS];
	sweep(all, bucket, now, false);
	if (all->idle > IDLE_MAX)
		for (i = 0; i < BUCKETS; i++)
			sweep(all, &all->buckets[i], now, true);
	for (a = *bucket; a != NULL; a = a->next)
		if (memcmp(a->key, key, sizeof(key)) == 0)
			break;
	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a == NULL)
			return NULL;
		memcpy(a->key, key, sizeof(key));
		a->next = *bucket;
		*bucket = a;
	} else if (is_idle(a)) {
		all->idle--;
	}
	a->connections++;
	return a;
}

void
pk_address_release(struct pk_addresses *all, struct pk_address *a)
{
	if (--a->connections == 0)
		all->idle++;
}

unsigned
pk_address_connections(const struct pk_address *a)
{
	return a->connections;
}

double
pk_address_failed(struct pk_address *a, time_t now, double first, double most)
{
	double delay = first;
	unsigned i;

	if (a->failures > 0 && now - a->failed_at >= FORGET)
		a->failures = 0;
	a->failures++;
	a->failed_at = now;
	for (i = 1; i < a->failures && delay < most; i++)
		delay *= 2;
	return delay < most ? delay : most;
}

void
pk_address_text(const struct sockaddr *peer, char out[PK_ADDRESS_SIZE])
{
	uint8_t key[16];

	out[0] = '?';
	out[1] = '\0';
	if (peer->sa_family == AF_INET) {
		make_key(peer, key);
		(void)inet_ntop(AF_INET, key + 12, out, PK_ADDRESS_SIZE);
	} else if (peer->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)peer)->
		    sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(a))
			(void)inet_ntop(AF_INET, a->s6_addr + 12, out,
			    PK_ADDRESS_SIZE);
		else
			(void)inet_ntop(AF_INET6, a, out, PK_ADDRESS_SIZE);
	}
}
