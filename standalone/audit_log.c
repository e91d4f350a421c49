/*
 * The audit log as a file: see audit_log.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/audit_log_private.h"

/* A seal that is to be written, and the key that it is signed with. */
struct signing {
	const struct pk_seal *seal;
	const uint8_t *private;
};

/* ---- opening ---------------------------------------------------------------------- */

static void
free_log(struct pk_audit_log *l)
{
	EVP_MD_CTX_free(l->md);
	free(l->waiting);
	free(l->out);
	free(l->again);
	free(l->path);
	free(l);
}

static void
no_memory(const char *path, char why[PK_AUDIT_LOG_WHY])
{
	(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s: out of memory", path);
}

struct pk_audit_log *
pk_audit_log_open(int dirfd, int fd, const char *path,
    const struct pk_audit_mark *mark, pk_audit_seen *seen, void *arg,
    char why[PK_AUDIT_LOG_WHY])
{
	struct pk_audit_log *l = calloc(1, sizeof(*l));

	why[0] = '\0';
	if (l == NULL) {
		no_memory(path, why);
		return NULL;
	}
	l->fd = -1;
	l->dirfd = dirfd;
	l->seen = seen;
	l->arg = arg;
	l->md = EVP_MD_CTX_new();
	l->path = strdup(path);
	if (gethostname(l->host, sizeof(l->host) - 1) != 0)
		(void)snprintf(l->host, sizeof(l->host), "localhost");
	if (l->md == NULL || l->path == NULL)
		no_memory(path, why);
	if (why[0] != '\0' || !pk_audit_log_read(l, fd, mark, why)) {
		free_log(l);
		return NULL;
	}
	l->fd = fd;
	return l;
}

bool
pk_audit_log_mark(const struct pk_audit_log *l, struct pk_audit_mark *mark_r)
{
	if (l->size == 0 || l->synced != l->size || l->again_len > 0 ||
	    l->count > 0)
		return false;
	mark_r->size = (uint64_t)l->size;
	mark_r->seq = l->chain.seq;
	memcpy(mark_r->prev, l->chain.prev, sizeof(mark_r->prev));
	return true;
}

void
pk_audit_log_note_seal(struct pk_audit_log *l, const struct pk_seal *seal,
    int64_t time)
{
	l->has_seal = true;
	l->figures.sealed = time;
	l->last_seal = *seal;
	l->unsealed = 0;
}

uint64_t
pk_audit_log_size(const struct pk_audit_log *l)
{
	return (uint64_t)l->size;
}

uint64_t
pk_audit_log_unsealed(const struct pk_audit_log *l)
{
	return l->unsealed;
}

const struct pk_seal *
pk_audit_log_last_seal(const struct pk_audit_log *l)
{
	return l->has_seal ? &l->last_seal : NULL;
}

const struct pk_audit_figures *
pk_audit_log_figures(const struct pk_audit_log *l)
{
	return &l->figures;
}

void
pk_audit_log_close(struct pk_audit_log **lp)
{
	struct pk_audit_log *l = *lp;
	char why[PK_AUDIT_LOG_WHY];

	if (l == NULL)
		return;
	(void)!pk_audit_log_commit(l, true, why);
	close(l->fd);
	free_log(l);
	*lp = NULL;
}

/* ---- adding ----------------------------------------------------------------------- */

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool
make_room(struct pk_audit_log *l)
{
	size_t room = l->room > 0 ? 2 * l->room : 64;
	struct pk_audit_waiting *grown;

	if (l->count < l->room)
		return true;
	grown = reallocarray(l->waiting, room, sizeof(*grown));
	if (grown == NULL)
		return false;
	l->waiting = grown;
	l->room = room;
	return true;
}

/* When, by whom, and under which policy. */
static void
put_source(struct pk_audit_waiting *w, const struct pk_audit_source *source)
{
	w->time = now_us();
	w->uid = source->uid;
	w->pid = source->pid;
	w->has_policy = source->policy != NULL;
	if (w->has_policy)
		memcpy(w->policy, source->policy, sizeof(w->policy));
}

void
pk_audit_log_lose(struct pk_audit_log *l)
{
	l->lost++;
	l->figures.lost++;
}

enum pk_err
pk_audit_log_add(struct pk_audit_log *l, const struct pk_audit_source *source,
    const struct pk_audit_context *context, const struct pk_audit_item *item)
{
	struct pk_audit_waiting *w;

	if (l->count >= PK_AUDIT_LOG_WAITING || !make_room(l)) {
		/* An intent that is not taken is not carried out either. */
		if (item->event != PK_AUDIT_DISPOSE_INTENT)
			pk_audit_log_lose(l);
		return PK_ERR_LIMIT;
	}
	w = &l->waiting[l->count++];
	put_source(w, source);
	w->context = *context;
	w->item = *item;
	return PK_OK;
}

size_t
pk_audit_log_waiting(const struct pk_audit_log *l)
{
	return l->count;
}

/* ---- writing ---------------------------------------------------------------------- */

/* Have room for len octets more in out. */
static bool
grow_out(struct pk_audit_log *l, size_t len)
{
	size_t room = 2 * l->out_room + len;
	char *grown;

	if (l->out_room - l->out_len >= len)
		return true;
	grown = realloc(l->out, room);
	if (grown == NULL)
		return false;
	l->out = grown;
	l->out_room = room;
	return true;
}

/* Append one line to out, signed or not, and go on with the chain. */
static enum pk_err
put_line(struct pk_audit_log *l, struct pk_audit_chain *chain,
    const struct pk_audit_waiting *w, const struct signing *sign)
{
	struct pk_audit_stamp stamp = {
		.seq = chain->seq + 1, .time = w->time, .host = l->host,
		.uid = w->uid, .pid = w->pid,
		.policy = w->has_policy ? w->policy : NULL,
		.prev = chain->prev,
		.seal = sign != NULL ? sign->seal : NULL,
	};
	enum pk_err err;
	char *line;
	size_t len;

	if (!grow_out(l, PK_AUDIT_LINE_MAX))
		return PK_ERR_NOMEM;
	line = l->out + l->out_len;
	err = pk_audit_format(&stamp, &w->context, &w->item, line, &len);
	if (err == PK_OK && sign != NULL)
		err = pk_seal_sign(line, &len, PK_AUDIT_LINE_MAX,
		    sign->private);
	if (err != PK_OK)
		return err;
	if (!pk_audit_hash(l->md, line, len, chain->prev))
		return PK_ERR_CRYPTO;
	chain->seq++;
	l->out_len += len;
	return PK_OK;
}

/* What was lost while the log could not be written is itself recorded. */
static enum pk_err
put_lost(struct pk_audit_log *l, struct pk_audit_chain *chain)
{
	struct pk_audit_waiting w;

	if (l->lost == 0)
		return PK_OK;
	memset(&w, 0, sizeof(w));
	w.time = now_us();
	w.uid = geteuid();
	w.pid = getpid();
	w.item.event = PK_AUDIT_BRAKE;
	(void)snprintf(w.item.reason, sizeof(w.item.reason), "%" PRIu64
	    " records could not be written and are lost", l->lost);
	return put_line(l, chain, &w, NULL);
}

/* What failed before comes first. */
static enum pk_err
put_again(struct pk_audit_log *l)
{
	if (l->again_len == 0)
		return PK_OK;
	if (!grow_out(l, l->again_len))
		return PK_ERR_NOMEM;
	memcpy(l->out, l->again, l->again_len);
	l->out_len = l->again_len;
	return PK_OK;
}

/* Back to the lines that count; what cannot be cut off now is so later. */
static bool
cut_off(struct pk_audit_log *l)
{
	int saved = errno;

	l->ragged = ftruncate(l->fd, l->size) != 0;
	if (!l->ragged)
		errno = saved;
	return !l->ragged;
}

/* All of out, or nothing of it. */
static enum pk_err
write_out(struct pk_audit_log *l)
{
	size_t done = 0;
	ssize_t n;

	if (l->ragged && !cut_off(l))
		return PK_ERR_IO;
	while (done < l->out_len) {
		n = write(l->fd, l->out + done, l->out_len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : ENOSPC;
			(void)cut_off(l);
			return PK_ERR_IO;
		}
		done += (size_t)n;
	}
	return PK_OK;
}

/* Wait for the disk.  A file whose name is lost in a crash has proved nothing. */
static bool
sync_file(struct pk_audit_log *l)
{
	struct timespec begin, end;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	ok = fdatasync(l->fd) == 0 && (!l->unnamed || fsync(l->dirfd) == 0);
	if (ok)
		l->unnamed = false;
	clock_gettime(CLOCK_MONOTONIC, &end);
	pk_latency_add(&l->figures.sync, (end.tv_sec - begin.tv_sec) *
	    INT64_C(1000000000) + end.tv_nsec - begin.tv_nsec);
	return ok;
}

static void
drop_intents(struct pk_audit_log *l)
{
	size_t i, kept = 0;

	for (i = 0; i < l->count; i++)
		if (l->waiting[i].item.event != PK_AUDIT_DISPOSE_INTENT)
			l->waiting[kept++] = l->waiting[i];
	l->count = kept;
}

/*
 * Lines that were not on disk when that failed are not tried again by the
 * kernel, which calls them written from then on: we must write them again.
 */
static void
take_back(struct pk_audit_log *l)
{
	size_t done = 0, len = (size_t)(l->size - l->synced);
	char *copy = len > 0 ? malloc(len) : NULL;
	ssize_t n = 1;

	while (copy != NULL && done < len && n > 0) {
		n = pread(l->fd, copy + done, len - done,
		    l->synced + (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (copy == NULL || done < len) {
		free(copy);
		return;
	}
	l->again = copy;
	l->again_len = len;
	l->size = l->synced;
}

static enum pk_err
write_waiting(struct pk_audit_log *l, bool durable,
    struct pk_audit_chain *chain)
{
	enum pk_err err = put_again(l);
	size_t i;

	if (err == PK_OK)
		err = put_lost(l, chain);
	for (i = 0; i < l->count && err == PK_OK; i++)
		err = put_line(l, chain, &l->waiting[i], NULL);
	if (err == PK_OK && l->out_len > 0)
		err = write_out(l);
	if (err == PK_OK && durable && !sync_file(l)) {
		/* It may or may not be there. */
		take_back(l);
		(void)cut_off(l);
		err = PK_ERR_IO;
	}
	return err;
}

static void
written(struct pk_audit_log *l, bool durable,
    const struct pk_audit_chain *chain)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->waiting[i].item.event == PK_AUDIT_DISPOSE_INTENT)
			l->seen(l->arg, l->waiting[i].context.user,
			    &l->waiting[i].item);
	if (l->first == 0 && chain->seq > l->chain.seq)
		l->first = l->chain.seq + 1;
	l->unsealed += chain->seq - l->chain.seq;
	l->figures.written += chain->seq - l->chain.seq;
	l->chain = *chain;
	l->size += (off_t)l->out_len;
	if (durable)
		l->synced = l->size;
	free(l->again);
	l->again = NULL;
	l->again_len = 0;
	l->count = 0;
	l->lost = 0;
}

enum pk_err
pk_audit_log_commit(struct pk_audit_log *l, bool durable,
    char why[PK_AUDIT_LOG_WHY])
{
	struct pk_audit_chain chain = l->chain;

	why[0] = '\0';
	l->out_len = 0;
	if (l->count == 0 && l->lost == 0 && l->again_len == 0 &&
	    !(durable && l->synced < l->size))
		return PK_OK;
	errno = ENOMEM;
	if (write_waiting(l, durable, &chain) != PK_OK) {
		(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s: %s", l->path,
		    strerror(errno));
		drop_intents(l);
		return PK_ERR_IO;
	}
	written(l, durable, &chain);
	return PK_OK;
}

/* The line of a seal to disk; everything before it is there. */
static enum pk_err
write_seal(struct pk_audit_log *l, const struct pk_audit_waiting *w,
    const struct signing *sign, struct pk_audit_chain *chain)
{
	enum pk_err err;

	l->out_len = 0;
	errno = ENOMEM;
	err = put_line(l, chain, w, sign);
	if (err == PK_OK)
		err = write_out(l);
	if (err == PK_OK && !sync_file(l)) {
		(void)cut_off(l);
		err = PK_ERR_IO;
	}
	return err;
}

enum pk_err
pk_audit_log_seal(struct pk_audit_log *l,
    const struct pk_audit_source *source, const struct pk_seal *seal,
    const uint8_t private[PK_SEAL_KEY_LEN], char why[PK_AUDIT_LOG_WHY])
{
	const struct signing sign = { seal, private };
	enum pk_err err = pk_audit_log_commit(l, true, why);
	struct pk_audit_chain chain = l->chain;
	struct pk_audit_waiting w;

	if (err != PK_OK)
		return err;
	memset(&w, 0, sizeof(w));
	put_source(&w, source);
	w.item.event = PK_AUDIT_SEAL;
	err = write_seal(l, &w, &sign, &chain);
	if (err != PK_OK) {
		(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s: %s", l->path,
		    err == PK_ERR_CRYPTO ? "libcrypto cannot sign" :
		    strerror(errno));
		return err;
	}
	written(l, true, &chain);
	pk_audit_log_note_seal(l, seal, w.time);
	l->figures.seals++;
	return PK_OK;
}
