/*
 * The capability list (RFC 2449).
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/capa.h"
#include "tests/harness.h"

#define BEGIN	"+OK Capability list follows\r\n"
#define MIDDLE \
	"UIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"

static const struct {
	const char *name;
	struct pk_capa capa;
	const char *list;
} cases[] = {
	{ "none", { .expire_days = -1 },
	    BEGIN MIDDLE "EXPIRE NEVER\r\n.\r\n" },
	{ "top", { .top = true, .expire_days = -1 },
	    BEGIN "TOP\r\n" MIDDLE "EXPIRE NEVER\r\n.\r\n" },
	{ "stls", { .expire_days = -1, .stls = true },
	    BEGIN MIDDLE "EXPIRE NEVER\r\nSTLS\r\n.\r\n" },
	{ "passwords", { .expire_days = -1, .passwords = true },
	    BEGIN MIDDLE "EXPIRE NEVER\r\nUSER\r\nSASL PLAIN LOGIN\r\n"
	    ".\r\n" },
	{ "expire at once", { .expire_days = 0 },
	    BEGIN MIDDLE "EXPIRE 0\r\n.\r\n" },
	{ "never, for some", { .expire_days = -1, .expire_user = true },
	    BEGIN MIDDLE "EXPIRE NEVER USER\r\n.\r\n" },
	{ "a delay that is not shown", { .expire_days = 1, .login_delay = 5,
	    .login_delay_user = true },
	    BEGIN MIDDLE "EXPIRE 1\r\n.\r\n" },
	{ "no delay, shown", { .expire_days = 1, .login_delay_shown = true },
	    BEGIN MIDDLE "EXPIRE 1\r\nLOGIN-DELAY 0\r\n.\r\n" },
	{ "all", { true, INT64_MAX, true, UINT32_MAX, true, true, true, true,
	    "x" },
	    BEGIN "TOP\r\n" MIDDLE "EXPIRE 9223372036854775807 USER\r\n"
	    "LOGIN-DELAY 4294967295 USER\r\nSTLS\r\nUSER\r\n"
	    "SASL PLAIN LOGIN\r\nIMPLEMENTATION x\r\n.\r\n" },
};

static void
test_capa_formats_each_case(void **state)
{
	char *out = (char *)guard_room(PK_CAPA_MAX);
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = pk_capa_format(&cases[i].capa, out);
		expect(cases[i].name, span_is((struct pk_span){
		    (uint8_t *)out, len }, cases[i].list));
	}
	guard_free((uint8_t *)out, PK_CAPA_MAX);
}

static void
test_capa_withholds_an_implementation_that_is_too_long(void **state)
{
	char name[PK_IMPLEMENTATION_MAX + 2];
	char *out = (char *)guard_room(PK_CAPA_MAX);
	struct pk_capa capa = {
		true, INT64_MAX, true, UINT32_MAX, true, true, true, true, name,
	};
	struct pk_span list = { (uint8_t *)out, 0 };

	(void)state;
	memset(name, 'x', sizeof(name));
	name[PK_IMPLEMENTATION_MAX] = '\0';
	list.len = pk_capa_format(&capa, out);
	assert_true(span_has(list, name));
	name[PK_IMPLEMENTATION_MAX] = 'x';
	name[PK_IMPLEMENTATION_MAX + 1] = '\0';
	list.len = pk_capa_format(&capa, out);
	assert_false(span_has(list, "IMPLEMENTATION"));
	guard_free((uint8_t *)out, PK_CAPA_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capa_formats_each_case),
		cmocka_unit_test(
		    test_capa_withholds_an_implementation_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
