/*
 * EXPIRE and LOGIN-DELAY in CAPA before login (RFC 2449 sections 6.5 and 6.7),
 * for sites that want them there: optional, since a login plugin that cannot be
 * loaded keeps everybody out.
 *
 * A login process is chrooted and asks nobody.  What it says is the same for
 * everybody, and comes with the environment (import_environment, where a value
 * has no blanks: colons stand for them):
 *	POPKEEP_CAPA=EXPIRE:0:USER,LOGIN-DELAY:600:USER
 *
 * SPDX-License-Identifier: ISC
 */
#include "login-common.h"
#include "client-common.h"
#include "module-context.h"
#include "str.h"

#define EXPORT __attribute__((visibility("default")))

/* How Dovecot's reply begins; in front of its end our lines are added. */
#define CAPA_BEGIN	"+OK\r\nCAPA\r\n"
#define CAPA_END	".\r\n"

#define POPKEEP_LOGIN_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_login_module)

struct popkeep_login_client {
	union login_client_module_context module_ctx;
};

extern const char *pop3_login_popkeep_plugin_version;
void pop3_login_popkeep_plugin_init(struct module *module);
void pop3_login_popkeep_plugin_deinit(void);

EXPORT const char *pop3_login_popkeep_plugin_version = DOVECOT_ABI_VERSION;

static MODULE_CONTEXT_DEFINE_INIT(popkeep_login_module,
				  &login_module_register);

static char *capa_lines;	/* each with CRLF; NULL: nothing to add */

/* Only these two, so that a mistake here breaks no other capability. */
static bool is_capability(const char *line)
{
	return (strncmp(line, "EXPIRE ", 7) == 0 ||
		strncmp(line, "LOGIN-DELAY ", 12) == 0) &&
		strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ") ==
		strlen(line);
}

static void read_capa(const char *text)
{
	const char *const *line = t_strsplit(t_str_replace(text, ':', ' '),
					     ",");
	string_t *str = t_str_new(64);

	for (; *line != NULL; line++) {
		if (!is_capability(*line)) {
			i_error("popkeep: POPKEEP_CAPA: \"%s\": expected "
				"EXPIRE or LOGIN-DELAY with a value", *line);
			return;
		}
		str_printfa(str, "%s\r\n", *line);
	}
	capa_lines = i_strdup(str_c(str));
}

static void send_raw_data(struct client *client, const void *data,
			  size_t size)
{
	struct popkeep_login_client *pclient = POPKEEP_LOGIN_CONTEXT(client);
	size_t end = strlen(CAPA_END);
	string_t *str;

	if (size < strlen(CAPA_BEGIN) + end ||
	    memcmp(data, CAPA_BEGIN, strlen(CAPA_BEGIN)) != 0 ||
	    memcmp(CONST_PTR_OFFSET(data, size - end), CAPA_END, end) != 0) {
		pclient->module_ctx.super.send_raw_data(client, data, size);
		return;
	}
	str = t_str_new(512);
	str_append_data(str, data, size - end);
	str_append(str, capa_lines);
	str_append(str, CAPA_END);
	pclient->module_ctx.super.send_raw_data(client, str_data(str),
						str_len(str));
}

static void client_allocated(struct client *client)
{
	struct client_vfuncs *v = client->vlast;
	struct popkeep_login_client *pclient;

	if (capa_lines == NULL)
		return;
	pclient = p_new(client->pool, struct popkeep_login_client, 1);
	pclient->module_ctx.super = *v;
	client->vlast = &pclient->module_ctx.super;
	v->send_raw_data = send_raw_data;
	MODULE_CONTEXT_SET(client, popkeep_login_module, pclient);
}

static const struct login_client_hooks hooks = {
	.client_allocated = client_allocated,
};

EXPORT void pop3_login_popkeep_plugin_init(struct module *module)
{
	const char *text = getenv("POPKEEP_CAPA");

	if (text != NULL) T_BEGIN {
		read_capa(text);
	} T_END;
	login_client_hooks_add(module, &hooks);
}

EXPORT void pop3_login_popkeep_plugin_deinit(void)
{
	login_client_hooks_remove(&hooks);
	i_free(capa_lines);
}
