/*
 * The capability list (RFC 2449).
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/capa.h"
#include "tests/harness.h"

#define HEAD \
	"+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\n" \
	"AUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n"

static const struct {
	const char *name;
	struct pk_capa capa;
	const char *list;
} cases[] = {
	{ "none", { false, false, NULL }, HEAD ".\r\n" },
	{ "stls", { true, false, NULL }, HEAD "STLS\r\n.\r\n" },
	{ "passwords", { false, true, NULL },
	    HEAD "USER\r\nSASL PLAIN LOGIN\r\n.\r\n" },
	{ "all", { true, true, "x" }, HEAD "STLS\r\nUSER\r\n"
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
	char name[PK_IMPLEMENTATION_MAX + 2], out[PK_CAPA_MAX];
	struct pk_capa capa = { true, true, name };
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
