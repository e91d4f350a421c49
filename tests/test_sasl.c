/*
 * Base64 (RFC 4648) and SASL PLAIN (RFC 4616).
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/sasl.h"
#include "tests/harness.h"

static const struct {
	const char *in;
	enum pk_err err;
	const char *out;
} cases[] = {
	/* RFC 4648 section 10. */
	{ "", PK_OK, "" },
	{ "Zg==", PK_OK, "f" },
	{ "Zm8=", PK_OK, "fo" },
	{ "Zm9v", PK_OK, "foo" },
	{ "Zm9vYg==", PK_OK, "foob" },
	{ "Zm9vYmE=", PK_OK, "fooba" },
	{ "Zm9vYmFy", PK_OK, "foobar" },
	{ "+/+/", PK_OK, "\373\377\277" },
	/* Not whole. */
	{ "Z", PK_ERR_SYNTAX, NULL },
	{ "Zg", PK_ERR_SYNTAX, NULL },
	{ "Zm8", PK_ERR_SYNTAX, NULL },
	{ "Zg=", PK_ERR_SYNTAX, NULL },
	{ "Zm9vY", PK_ERR_SYNTAX, NULL },
	/* Padding where it cannot be. */
	{ "=", PK_ERR_SYNTAX, NULL },
	{ "====", PK_ERR_SYNTAX, NULL },
	{ "Z===", PK_ERR_SYNTAX, NULL },
	{ "Zg==Zg==", PK_ERR_SYNTAX, NULL },
	{ "Z=g=", PK_ERR_SYNTAX, NULL },
	{ "=Zg=", PK_ERR_SYNTAX, NULL },
	{ "Zm9v====", PK_ERR_SYNTAX, NULL },
	/* Bits left over that are not 0. */
	{ "Zh==", PK_ERR_SYNTAX, NULL },
	{ "Zo==", PK_ERR_SYNTAX, NULL },
	{ "Zm9=", PK_ERR_SYNTAX, NULL },
	/* Octets that are not of the alphabet. */
	{ "Zm 9", PK_ERR_SYNTAX, NULL },
	{ "Zm\r\n", PK_ERR_SYNTAX, NULL },
	{ "Zm-_", PK_ERR_SYNTAX, NULL },
	{ "Zm9\200", PK_ERR_SYNTAX, NULL },
	{ "Zm9@", PK_ERR_SYNTAX, NULL },
	{ "Zm9[", PK_ERR_SYNTAX, NULL },
	{ "Zm9`", PK_ERR_SYNTAX, NULL },
	{ "Zm9{", PK_ERR_SYNTAX, NULL },
	{ "Zm9:", PK_ERR_SYNTAX, NULL },
	{ "Zm9.", PK_ERR_SYNTAX, NULL },
	{ "*", PK_ERR_SYNTAX, NULL },
};

static void
test_base64_decodes_each_case(void **state)
{
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *name = cases[i].in;
		struct pk_span in = guard_copy(name, strlen(name));
		size_t room = PK_BASE64_ROOM(in.len);
		uint8_t *out = guard_room(room);

		len = 4711;
		expect(name, pk_base64_decode(in, out, &len) == cases[i].err);
		if (cases[i].err != PK_OK)
			expect(name, len == 4711);
		else
			expect(name, span_is((struct pk_span){ out, len },
			    cases[i].out));
		guard_free(out, room);
		guard_free(in.data, in.len);
	}
}

static void
test_base64_refuses_nul(void **state)
{
	uint8_t out[PK_BASE64_ROOM(4)];
	size_t len;

	(void)state;
	assert_int_equal(pk_base64_decode(LITERAL("Zm9\0"), out, &len),
	    PK_ERR_SYNTAX);
}

static void
test_base64_decodes_in_place(void **state)
{
	uint8_t buf[] = "Zm9vYmFyZm9vYmE=";
	size_t len;

	(void)state;
	assert_int_equal(pk_base64_decode((struct pk_span){ buf,
	    sizeof(buf) - 1 }, buf, &len), PK_OK);
	assert_int_equal(len, 11);
	assert_memory_equal(buf, "foobarfooba", len);
}

/* Every octet of the alphabet has its own value, and no other octet any. */
static void
test_base64_knows_its_alphabet(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned c;

	(void)state;
	for (c = 0; c < 256; c++) {
		const uint8_t in[] = { 'A', 'A', 'A', (uint8_t)c };
		const char *at = c == 0 ? NULL : strchr(alphabet, (int)c);
		uint8_t out[PK_BASE64_ROOM(4)];
		size_t len;
		enum pk_err err = pk_base64_decode(
		    (struct pk_span){ in, 4 }, out, &len);

		if (c == '=')
			continue;
		assert_int_equal(err, at == NULL ? PK_ERR_SYNTAX : PK_OK);
		if (at != NULL)
			assert_int_equal(out[2], at - alphabet);
	}
}

/* "|" stands for NUL, so that the tables can be read. */
static const struct {
	const char *msg;
	enum pk_err err;
	const char *authzid, *authcid, *password;
} plain_cases[] = {
	{ "|tim|tanstaaftanstaaf", PK_OK, "", "tim", "tanstaaftanstaaf" },
	{ "Ursel|Kurt|xipj3plmq", PK_OK, "Ursel", "Kurt", "xipj3plmq" },
	{ "|a|b", PK_OK, "", "a", "b" },
	{ "", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "tim", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "|", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "||", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "|tim", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "|tim|", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "||secret", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "z||secret", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "|tim|secret|", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "|tim|sec|ret", PK_ERR_SYNTAX, NULL, NULL, NULL },
	{ "|tim||secret", PK_ERR_SYNTAX, NULL, NULL, NULL },
};

static void
check_plain(size_t i, struct pk_span msg)
{
	struct pk_sasl_plain plain = { .authzid = { NULL, 4711 } };
	const char *name = plain_cases[i].msg;

	expect(name, pk_sasl_plain_parse(msg, &plain) == plain_cases[i].err);
	if (plain_cases[i].err != PK_OK) {
		expect(name, plain.authzid.len == 4711);
		return;
	}
	expect(name, span_is(plain.authzid, plain_cases[i].authzid));
	expect(name, span_is(plain.authcid, plain_cases[i].authcid));
	expect(name, span_is(plain.password, plain_cases[i].password));
}

static void
test_plain_parses_each_case(void **state)
{
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(plain_cases) / sizeof(plain_cases[0]); i++) {
		size_t len = strlen(plain_cases[i].msg);
		uint8_t *msg = guard_room(len);

		for (n = 0; n < len; n++)
			msg[n] = plain_cases[i].msg[n] == '|' ? '\0' :
			    (uint8_t)plain_cases[i].msg[n];
		check_plain(i, (struct pk_span){ msg, len });
		guard_free(msg, len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_decodes_each_case),
		cmocka_unit_test(test_base64_refuses_nul),
		cmocka_unit_test(test_base64_decodes_in_place),
		cmocka_unit_test(test_base64_knows_its_alphabet),
		cmocka_unit_test(test_plain_parses_each_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
