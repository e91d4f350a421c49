/*
 * Counting records: see metrics.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "standalone/metrics.h"

/* ---- counting ------------------------------------------------------------ */

static enum pk_mechanism
mechanism_of(const char *name)
{
	enum pk_mechanism mech = PK_MECH_PASS;

	while (mech < PK_MECHANISMS && strcmp(name, pk_mechanism_name(mech))
	    != 0)
		mech++;
	return mech;
}

/* auth begins such a reason with this word. */
static enum pk_metrics_login
result_of(const struct pk_audit_item *i)
{
	if (i->event == PK_AUDIT_LOGIN)
		return PK_METRICS_LOGIN_OK;
	return strncmp(i->reason, "policy: ", 8) == 0 ?
	    PK_METRICS_LOGIN_POLICY : PK_METRICS_LOGIN_FAILED;
}

void
pk_metrics_count(struct pk_metrics *m, const struct pk_audit_context *c,
    const struct pk_audit_item *i)
{
	m->record[i->event]++;
	switch (i->event) {
	case PK_AUDIT_LOGIN:
	case PK_AUDIT_LOGIN_FAILED:
		m->login[mechanism_of(c->mech)][c->tls][result_of(i)]++;
		break;
	case PK_AUDIT_DOWNLOADED:
	case PK_AUDIT_DOWNLOADED_UNCONFIRMED:
		m->octets[i->event == PK_AUDIT_DOWNLOADED] +=
		    i->has_size ? i->size : 0;
		break;
	case PK_AUDIT_DISPOSED:
	case PK_AUDIT_RETAINED:
	case PK_AUDIT_PURGED:
	case PK_AUDIT_RESTORED:
	case PK_AUDIT_VANISHED:
	case PK_AUDIT_CLOSED_UNKNOWN:
	case PK_AUDIT_WOULD_DISPOSE:
		m->ended[i->event][pk_reason_of(i->reason)]++;
		break;
	case PK_AUDIT_START:
	case PK_AUDIT_STOP:
	case PK_AUDIT_POLICY:
	case PK_AUDIT_APOP_WARN:
	case PK_AUDIT_TOP_WHOLE:
	case PK_AUDIT_DISPOSE_INTENT:
	case PK_AUDIT_SWEEP:
	case PK_AUDIT_BRAKE:
	case PK_AUDIT_HOLD:
	case PK_AUDIT_RELEASE:
	case PK_AUDIT_SEAL:
	case PK_AUDIT_PRUNED:
	case PK_AUDIT_MOVED:
		break;
	}
}

/* ---- as text ------------------------------------------------------------- */

static void
expose_records(const struct pk_metrics *m, struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_records",
	    PK_METRIC_COUNTER, "", "Records taken for the audit log" };
	struct pk_label label = { .key = "event" };
	enum pk_audit_event e;

	pk_exposition_metric(x, &metric);
	for (e = PK_AUDIT_START; e < PK_AUDIT_EVENTS; e++) {
		label.value = pk_audit_event_name(e);
		pk_exposition_sample(x, &label, 1, m->record[e]);
	}
}

static void
expose_logins(const struct pk_metrics *m, struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_logins",
	    PK_METRIC_COUNTER, "", "Attempts to log in, by mechanism, inside "
	    "TLS or not, and result" };
	static const char *const results[PK_METRICS_LOGINS] = { "ok",
	    "policy", "failed" };
	struct pk_label label[3] = { { .key = "mech" }, { .key = "tls" },
	    { .key = "result" } };
	unsigned mech, tls, result;

	pk_exposition_metric(x, &metric);
	for (mech = 0; mech < PK_METRICS_MECHANISMS; mech++) {
		label[0].value = mech < PK_MECHANISMS ?
		    pk_mechanism_name((enum pk_mechanism)mech) : "other";
		for (tls = 0; tls < 2; tls++)
			for (result = 0; result < PK_METRICS_LOGINS;
			    result++) {
				label[1].value = tls ? "yes" : "no";
				label[2].value = results[result];
				pk_exposition_sample(x, label, 3,
				    m->login[mech][tls][result]);
			}
	}
}

static void
expose_octets(const struct pk_metrics *m, struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_downloaded_bytes",
	    PK_METRIC_COUNTER, "bytes", "Octets of messages that were "
	    "downloaded whole, confirmed by the client or not" };
	struct pk_label label = { .key = "confirmed" };
	unsigned i;

	pk_exposition_metric(x, &metric);
	for (i = 0; i < 2; i++) {
		label.value = i ? "yes" : "no";
		pk_exposition_sample(x, &label, 1, m->octets[i]);
	}
}

/* What has never happened is left out: most pairs cannot. */
static void
expose_outcome(const struct pk_metrics *m, struct pk_exposition *x,
    enum pk_audit_event e)
{
	struct pk_label label[2] = { { "outcome", pk_audit_event_name(e) },
	    { .key = "reason" } };
	enum pk_reason r;

	for (r = PK_REASON_NONE; r < PK_REASONS; r++) {
		if (m->ended[e][r] == 0)
			continue;
		label[1].value = r == PK_REASON_NONE ? "other" :
		    pk_reason_name(r);
		pk_exposition_sample(x, label, 2, m->ended[e][r]);
	}
}

static void
expose_outcomes(const struct pk_metrics *m, struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_dispositions",
	    PK_METRIC_COUNTER, "", "Messages by what became of them and why" };
	enum pk_audit_event e;

	pk_exposition_metric(x, &metric);
	for (e = PK_AUDIT_START; e < PK_AUDIT_EVENTS; e++)
		expose_outcome(m, x, e);
}

void
pk_metrics_expose(const struct pk_metrics *m, struct pk_exposition *x)
{
	expose_records(m, x);
	expose_logins(m, x);
	expose_octets(m, x);
	expose_outcomes(m, x);
}
