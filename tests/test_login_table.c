/*
 * The policy before login: what the table says of an address is what the policy
 * says of the users there; a file that is no table is none.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/policy_file.h"
#include "standalone/login_table.h"
#include "tests/harness.h"

#define DAY 86400

static int64_t now;

static void
say(void *arg, const char *line)
{
	(void)arg;
	print_message("said: %s\n", line);
}

static void
say_nothing(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static struct pk_policy *
parse(const char *text)
{
	struct pk_policy_text file = { "policy.conf", text, strlen(text) };
	struct pk_policy *p = pk_policy_parse(&file, 1, now, say,
	    say_nothing, NULL);

	if (p == NULL)
		fail_msg("no policy: %s", text);
	return p;
}

static struct pk_login_table *
table_of(const struct pk_policy *p)
{
	struct pk_login_table *t;
	int fd = pk_login_table_make(p);

	assert_int_not_equal(fd, -1);
	t = pk_login_table_read(fd);
	assert_non_null(t);
	close(fd);
	return t;
}

static struct pk_login_table *
table(const char *text)
{
	struct pk_policy *p = parse(text);
	struct pk_login_table *t = table_of(p);

	pk_policy_free(&p);
	return t;
}

static int
setup(void **state)
{
	(void)state;
	return pk_date_parse("2026-11-20", &now) ? 0 : -1;
}

/* ---- against the policy itself ------------------------------------------ */

static const char *const addresses[] = { "10.1.2.3", "10.9.9.9",
    "192.0.2.7", "2001:db8::1", "::1" };
#define ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))
static const char *const networks[] = { "", "networks = { \"10.0.0.0/8\" }",
    "networks = { \"10.1.0.0/16\", \"::1/128\" }",
    "networks = { \"0.0.0.0/0\" }",
    "networks = { \"2001:db8::/32\", \"192.0.2.7\" }" };
static const char *const untils[] = { "", "", "until = \"2026-11-19\"",
    "until = \"2026-11-20\"" };

#define RULES_MAX 6

/* distinct: no user stands in two rules; else any may be the first. */
static struct pk_policy *
random_policy(bool distinct)
{
	char text[4096] = "";
	size_t len = 0;
	unsigned kind, i, n;

	for (kind = 0; kind < PK_KINDS; kind++) {
		n = random_below(RULES_MAX + 1);
		if (n == 0 && kind == PK_KIND_PASSWORD)
			n = 1;
		if (n == 0)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s {\n", kind == PK_KIND_APOP ? "apop" : "passwords");
		for (i = 0; i < n; i++) {
			unsigned who = random_below(5);
			char users[64] = "";

			if (who > 1)
				(void)snprintf(users, sizeof(users),
				    "users = { \"u%u\" }", distinct ? i :
				    random_below(2));
			else if (who == 1)
				(void)snprintf(users, sizeof(users),
				    "users = { \"u%u\", \"*\" }", i);
			len += (size_t)snprintf(text + len,
			    sizeof(text) - len, "rule \"r%u\" { %s\n %s\n %s\n"
			    " allow = %s\n}\n", i, users,
			    networks[random_below(5)],
			    untils[random_below(4)],
			    pk_allow_name(random_below(3)));
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "}\n");
	}
	return parse(text);
}

static bool
may(const struct pk_policy *p, enum pk_credential_kind kind, const char *user,
    const uint8_t address[16], bool tls)
{
	const struct pk_login_rule *rule;
	enum pk_login_verdict v = pk_policy_login(p, NULL, kind, user,
	    address, tls, now, &rule);

	return v == PK_LOGIN_RULE_ALLOWS || v == PK_LOGIN_RULE_WARNS;
}

static enum pk_allow
allow_of(const struct pk_policy *p, enum pk_credential_kind kind,
    const char *user, const uint8_t address[16])
{
	if (may(p, kind, user, address, false))
		return PK_ALLOW_ALWAYS;
	return may(p, kind, user, address, true) ? PK_ALLOW_TLS :
	    PK_ALLOW_NEVER;
}

static void
check_address(const struct pk_policy *p, const struct pk_login_table *t,
    enum pk_credential_kind kind, const char *where, bool exact)
{
	enum pk_allow most = PK_ALLOW_NEVER, low = PK_ALLOW_ALWAYS, allow;
	enum pk_allow some, all;
	uint8_t address[16];
	char user[16] = "stranger";
	unsigned i;

	assert_true(pk_address_parse(where, address));
	for (i = 0; i <= RULES_MAX; i++) {
		allow = allow_of(p, kind, user, address);
		most = allow > most ? allow : most;
		low = allow < low ? allow : low;
		(void)snprintf(user, sizeof(user), "u%u", i);
	}
	some = pk_login_table_some(t, kind, address, now);
	all = pk_login_table_all(t, kind, address, now);
	assert_int_equal(pk_policy_login_some(p, kind, address, now), some);
	/* Where rules hide each other for all of their users: at least. */
	assert_true(some >= most && all <= low);
	if (exact) {
		assert_int_equal(some, most);
		assert_int_equal(all, low);
	}
}

static void
test_login_table_says_what_the_policy_says(void **state)
{
	struct pk_login_table *t;
	struct pk_policy *p;
	unsigned round, kind;
	bool exact;
	size_t i;

	(void)state;
	random_begin();
	for (round = 0; round < 2000; round++) {
		exact = round % 2 == 0;
		p = random_policy(exact);
		t = table_of(p);
		for (kind = 0; kind < PK_KINDS; kind++)
			for (i = 0; i < ADDRESSES; i++)
				check_address(p, t, kind, addresses[i],
				    exact);
		pk_login_table_free(&t);
		assert_null(t);
		pk_policy_free(&p);
	}
}

static void
test_login_table_knows_nobody_without_a_block(void **state)
{
	struct pk_login_table *t = table("");
	uint8_t address[16];

	(void)state;
	assert_true(pk_address_parse("10.1.2.3", address));
	assert_int_equal(pk_login_table_some(t, PK_KIND_APOP, address, now),
	    PK_ALLOW_NEVER);
	assert_int_equal(pk_login_table_some(t, PK_KIND_PASSWORD, address,
	    now), PK_ALLOW_TLS);
	assert_int_equal(pk_login_table_all(t, PK_KIND_PASSWORD, address,
	    now), PK_ALLOW_TLS);
	assert_false(pk_login_table_wants_secrets(t));
	pk_login_table_free(&t);
}

static void
test_login_table_looks_at_the_clock(void **state)
{
	struct pk_login_table *t = table("apop { rule \"sunset\" { allow = "
	    "always\n until = \"2026-11-20\" } }\n");
	uint8_t address[16];

	(void)state;
	assert_true(pk_address_parse("10.1.2.3", address));
	assert_int_equal(pk_login_table_some(t, PK_KIND_APOP, address,
	    now + DAY - 1), PK_ALLOW_ALWAYS);
	assert_int_equal(pk_login_table_some(t, PK_KIND_APOP, address,
	    now + DAY), PK_ALLOW_NEVER);
	pk_login_table_free(&t);
}

static void
test_login_table_tells_whether_secrets_matter(void **state)
{
	static const struct { const char *text; bool wants; } cases[] = {
		{ "apop { rule \"a\" { allow = tls } minimum-secret = 0\n"
		    "exclusive = no }", false },
		{ "apop { rule \"a\" { allow = tls } minimum-secret = 1\n"
		    "exclusive = no }", true },
		{ "apop { rule \"a\" { allow = tls } minimum-secret = 0\n"
		    "exclusive = yes }", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_login_table *t = table(cases[i].text);

		expect(cases[i].text, pk_login_table_wants_secrets(t) ==
		    cases[i].wants);
		pk_login_table_free(&t);
	}
}

/* ---- CAPA --------------------------------------------------------------- */

static const struct {
	const char *text;
	int64_t expire;
	bool expire_varies;
	uint32_t delay;
	bool delay_varies;
} capas[] = {
	{ "", -1, false, 0, false },
	{ "retention \"a\" { }", -1, false, 0, false },
	{ "retention \"a\" { unread = \"30d\" }", 30, true, 0, false },
	{ "retention \"a\" { unread = \"36h\" }", 1, true, 0, false },
	{ "retention \"a\" { after-download = \"0\" }", 0, true, 0, false },
	{ "retention \"a\" { after-delivery = \"30d\" unread = \"20d\" "
	    "after-download = \"40d\" }", 20, true, 0, false },
	{ "retention \"a\" { users = { \"x\" } unread = \"30d\" }\n"
	    "retention \"b\" { after-delivery = \"7d\" }", 7, true, 0,
	    false },
	{ "retention \"a\" { unread = \"7d\" effective-from = "
	    "\"2026-11-30\" }", 10, true, 0, false },
	{ "retention \"a\" { unread = \"12d\" effective-from = "
	    "\"2026-11-30\" }", 12, true, 0, false },
	{ "retention \"a\" { unread = \"7d\" mode = dry-run }", -1, false, 0,
	    false },
	{ "mode = dry-run\nretention \"a\" { unread = \"7d\" login-delay = "
	    "\"1h\" }", -1, false, 0, false },
	{ "retention \"a\" { unread = \"7d\" mode = dry-run }\n"
	    "retention \"b\" { unread = \"9d\" }", 9, true, 0, false },
	{ "retention \"a\" { login-delay = \"1h\" }\n"
	    "retention \"b\" { login-delay = \"2h\" }\n"
	    "retention \"c\" { login-delay = \"30m\" }", -1, false, 7200,
	    true },
};

static void
test_login_table_tells_capa(void **state)
{
	struct pk_capa_policy c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(capas) / sizeof(capas[0]); i++) {
		struct pk_login_table *t = table(capas[i].text);

		memset(&c, 0xff, sizeof(c));
		pk_login_table_capa(t, now, &c);
		expect(capas[i].text, c.expire_days == capas[i].expire);
		expect(capas[i].text, c.expire_varies ==
		    capas[i].expire_varies);
		expect(capas[i].text, c.login_delay == capas[i].delay);
		expect(capas[i].text, c.login_delay_varies ==
		    capas[i].delay_varies);
		pk_login_table_free(&t);
	}
}

static void
test_login_table_leaves_braked_rules_out(void **state)
{
	struct pk_policy *p = parse("retention \"a\" { unread = \"7d\" }\n"
	    "retention \"b\" { unread = \"9d\" login-delay = \"1h\" }\n");
	struct pk_login_table *t;
	struct pk_capa_policy c;

	(void)state;
	p->retention[0].rule.braked = true;
	t = table_of(p);
	pk_login_table_capa(t, now, &c);
	assert_int_equal(c.expire_days, 9);
	pk_login_table_free(&t);
	p->retention[1].rule.braked = true;
	t = table_of(p);
	pk_login_table_capa(t, now, &c);
	assert_int_equal(c.expire_days, -1);
	assert_int_equal(c.login_delay, 3600);
	pk_login_table_free(&t);
	pk_policy_free(&p);
}

/* As for the user himself: pk_expire_days(). */
static void
test_login_table_leaves_rules_never_in_effect_out(void **state)
{
	struct pk_policy *p = parse("retention \"a\" { unread = \"7d\" }\n"
	    "retention \"b\" { unread = \"9d\" }\n");
	struct pk_login_table *t;
	struct pk_capa_policy c;

	(void)state;
	p->retention[0].rule.effective_from = PK_NEVER;
	t = table_of(p);
	pk_login_table_capa(t, now, &c);
	assert_int_equal(c.expire_days, 9);
	pk_login_table_free(&t);
	p->retention[1].rule.effective_from = PK_NEVER;
	t = table_of(p);
	pk_login_table_capa(t, now, &c);
	assert_int_equal(c.expire_days, -1);
	pk_login_table_free(&t);
	pk_policy_free(&p);
}

/* ---- files -------------------------------------------------------------- */

#define RICH "apop { rule \"a\" { users = { \"x\" } networks = { " \
	"\"10.0.0.0/8\", \"::1/128\" } allow = always }\n" \
	"rule \"b\" { allow = tls } }\n" \
	"retention \"r\" { unread = \"7d\" effective-from = \"2026-12-01\" }\n"

static void
test_login_table_is_sealed(void **state)
{
	struct pk_policy *p = parse(RICH);
	int fd = pk_login_table_make(p);

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE |
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 100000), -1);
	close(fd);
	pk_policy_free(&p);
}

static void
test_login_table_is_equal_to_the_same(void **state)
{
	struct pk_login_table *a = table(RICH), *b = table(RICH), *c;

	(void)state;
	assert_true(pk_login_table_equal(a, b));
	c = table("");
	assert_false(pk_login_table_equal(a, c));
	pk_login_table_free(&c);
	c = table(RICH "mode = dry-run\n");
	assert_false(pk_login_table_equal(a, c));
	pk_login_table_free(&c);
	pk_login_table_free(&a);
	pk_login_table_free(&b);
	pk_login_table_free(&b);
}

static struct pk_login_table *
read_octets(const void *data, size_t len)
{
	int fd = memfd_create("test", 0);
	struct pk_login_table *t;

	assert_int_equal(write(fd, data, len), (ssize_t)len);
	t = pk_login_table_read(fd);
	close(fd);
	return t;
}

/* Whatever it says, it can be asked. */
static void
ask_everything(const struct pk_login_table *t)
{
	struct pk_capa_policy c;
	uint8_t address[16];
	unsigned kind;
	size_t i;

	for (kind = 0; kind < PK_KINDS; kind++)
		for (i = 0; i < ADDRESSES; i++) {
			assert_true(pk_address_parse(addresses[i], address));
			assert_true(pk_login_table_some(t, kind, address,
			    now) <= PK_ALLOW_ALWAYS);
			assert_true(pk_login_table_all(t, kind, address,
			    now) <= PK_ALLOW_ALWAYS);
		}
	pk_login_table_capa(t, now, &c);
	assert_true(c.expire_days >= -1);
	(void)pk_login_table_wants_secrets(t);
}

/* Octets of the image of RICH, and what is wrong once they are another. */
#define NETWORKS (2 * sizeof(struct pk_network))
static const struct {
	const char *what;
	size_t at;
	bool from_end;
	uint8_t flip;
} spots[] = {
	{ "magic", 0, false, 1 },
	{ "networks of a rule", 32 + 8, false, 1 },
	{ "networks of a rule", 32 + 8 + 3, false, 0x80 },
	{ "allow of a rule", 32 + 12, false, 0x10 },
	{ "prefix of the last network", 1, true, 1 },
	{ "after of a limit", NETWORKS + 16 - 7, true, 0x80 },
	{ "effective-from of a limit", NETWORKS + 8 - 7, true, 0x80 },
};

static void
test_login_table_refuses_malformed_images(void **state)
{
	uint8_t image[4096], bad[4096];
	struct pk_policy *p = parse(RICH);
	struct pk_login_table *t;
	size_t bit, n, taken = 0;
	ssize_t len;
	int fd = pk_login_table_make(p);

	(void)state;
	len = pread(fd, image, sizeof(image), 0);
	assert_true(len > 100 && len < (ssize_t)sizeof(image));
	close(fd);
	pk_policy_free(&p);
	for (n = 0; n < (size_t)len; n++)
		assert_null(read_octets(image, n));
	image[len] = 0;
	assert_null(read_octets(image, (size_t)len + 1));
	for (bit = 0; bit < 8 * (size_t)len; bit++) {
		memcpy(bad, image, (size_t)len);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		t = read_octets(bad, (size_t)len);
		if (t == NULL)
			continue;
		taken++;
		ask_everything(t);
		pk_login_table_free(&t);
	}
	assert_true(taken < 8 * (size_t)len);
	/* Each of these would lead behind the image, or before 1970. */
	for (n = 0; n < sizeof(spots) / sizeof(spots[0]); n++) {
		memcpy(bad, image, (size_t)len);
		bad[spots[n].from_end ? (size_t)len - spots[n].at :
		    spots[n].at] ^= spots[n].flip;
		expect(spots[n].what, read_octets(bad, (size_t)len) == NULL);
	}
	/* All sizes at their largest do not wrap around. */
	memset(bad, 0xff, sizeof(bad));
	memcpy(bad, image, 8);
	assert_null(read_octets(bad, sizeof(bad)));
}

static void
test_login_table_takes_nothing_but_files(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_null(pk_login_table_read(fds[0]));
	assert_null(pk_login_table_read(-1));
	close(fds[0]);
	close(fds[1]);
}

static void
test_login_table_has_a_maximum(void **state)
{
	struct pk_policy *p = parse(RICH);
	struct pk_login_rule *r = &p->login[PK_KIND_APOP].rule[0];
	size_t count = r->network_count;

	(void)state;
	/* Only counted: it must not be looked at. */
	r->network_count = PK_LOGIN_TABLE_MAX / sizeof(struct pk_network);
	errno = 0;
	assert_int_equal(pk_login_table_make(p), -1);
	assert_int_equal(errno, EFBIG);
	r->network_count = count;
	pk_policy_free(&p);
}

static void
test_login_table_fails_without_memory(void **state)
{
	struct pk_policy *p = parse(RICH);
	struct pk_login_table *t;
	int fd;
	long n;

	(void)state;
	alloc_arm(0);
	assert_int_equal(pk_login_table_make(p), -1);
	alloc_arm(-1);
	fd = pk_login_table_make(p);
	for (n = 0; n < 2; n++) {
		alloc_arm(n);
		t = pk_login_table_read(fd);
		alloc_arm(-1);
		assert_null(t);
	}
	close(fd);
	pk_policy_free(&p);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_login_table_says_what_the_policy_says),
		TEST(test_login_table_knows_nobody_without_a_block),
		TEST(test_login_table_looks_at_the_clock),
		TEST(test_login_table_tells_whether_secrets_matter),
		TEST(test_login_table_tells_capa),
		TEST(test_login_table_leaves_braked_rules_out),
		TEST(test_login_table_leaves_rules_never_in_effect_out),
		TEST(test_login_table_is_sealed),
		TEST(test_login_table_is_equal_to_the_same),
		TEST(test_login_table_refuses_malformed_images),
		TEST(test_login_table_takes_nothing_but_files),
		TEST(test_login_table_has_a_maximum),
		TEST(test_login_table_fails_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
