# PK_DOVECOT: an installed Dovecot, and what this one is like.
#
# Sets have_dovecot, and for the plugin's objects DOVECOT_CPPFLAGS (its headers
# and PK_DOVECOT_*, one for each thing that versions do differently) and
# dovecot_moduledir, and for tests DOVECOT_LIBS.  Dovecot's config.h is not ours:
# nothing here goes there.
AC_DEFUN([PK_DOVECOT], [
AC_ARG_WITH([dovecot],
    [AS_HELP_STRING([--with-dovecot=DIR],
	[build the plugin for the Dovecot whose dovecot-config is in DIR
	 (/usr/lib/dovecot, ...); no: build none @<:@as found@:>@])],
    [], [with_dovecot=auto])
have_dovecot=no
AS_CASE([$with_dovecot],
    [no], [dovecot_places=],
    [yes|auto], [dovecot_places="$libdir/dovecot /usr/lib/dovecot \
/usr/lib64/dovecot /usr/local/lib/dovecot /usr/local/lib64/dovecot \
/opt/dovecot/lib/dovecot"],
    [dovecot_places="$with_dovecot $with_dovecot/lib/dovecot \
$with_dovecot/lib64/dovecot"])
AC_MSG_CHECKING([for Dovecot])
dovecot_config=
for place in $dovecot_places; do
	eval "place=\"$place\""
	eval "place=\"$place\""
	AS_IF([test -z "$dovecot_config" && test -r "$place/dovecot-config"],
	    [dovecot_config=$place/dovecot-config])
done
AS_IF([test -n "$dovecot_config"], [
	dovecot_include=`. "$dovecot_config" >/dev/null && \
echo "$LIBDOVECOT_INCLUDE" | sed 's/.*-I *//; s/ .*//'`
	dovecot_moduledir=`. "$dovecot_config" >/dev/null && \
echo "$dovecot_moduledir"`
	DOVECOT_LIBS=`. "$dovecot_config" >/dev/null && \
echo "$LIBDOVECOT -Wl,-rpath,$dovecot_pkglibdir"`
	AS_IF([test -r "$dovecot_include/lib.h"], [have_dovecot=yes])
])
AS_IF([test $have_dovecot = yes], [
	dovecot_version=`sed -n \
's/^#define PACKAGE_VERSION "\(.*\)"/\1/p' "$dovecot_include/config.h"`
	AC_MSG_RESULT([$dovecot_version, $dovecot_config])
], [test -n "$dovecot_config"], [
	AC_MSG_RESULT([$dovecot_config, without its headers])
], [AC_MSG_RESULT([no])])
AS_CASE([$with_dovecot], [no|auto], [], [AS_IF([test $have_dovecot = no],
    [AC_MSG_ERROR([--with-dovecot=$with_dovecot: no dovecot-config with \
headers in $dovecot_places (Debian: dovecot-dev)])])])
DOVECOT_CPPFLAGS=
AS_IF([test $have_dovecot = yes], [
	DOVECOT_CPPFLAGS="-DHAVE_CONFIG_H -isystem $dovecot_include"
	PK_DOVECOT_PROBE([SETTINGS_GET], [settings of 2.4],
	    [settings.h], [(void)settings_get;])
	PK_DOVECOT_PROBE([PASSDB_PARAMETERS], [passdb parameters],
	    [auth-request.h passdb.h],
	    [struct passdb_parameters *p = 0; (void)sizeof(*p);])
	PK_DOVECOT_PROBE([CREDENTIALS_SCHEME], [the scheme of credentials],
	    [auth-request.h passdb.h],
	    [extern lookup_credentials_callback_t *f;
	     f(PASSDB_RESULT_OK, 0, 0, "PLAIN", 0);])
	PK_DOVECOT_PROBE([SET_CREDENTIALS], [set_credentials of passdbs],
	    [auth-request.h passdb.h],
	    [struct passdb_module_interface i; i.set_credentials = 0;])
	PK_DOVECOT_PROBE([FIELDS_PROTOCOL], [the protocol of auth requests],
	    [auth-request.h],
	    [extern struct auth_request *r; (void)r->fields.protocol;
	     (void)r->fields.conn_secured;])
	PK_DOVECOT_PROBE([USER_PROTOCOL], [the protocol of users],
	    [mail-user.h], [extern struct mail_user *u; (void)u->protocol;])
	PK_DOVECOT_PROBE([USER_TLS], [the TLS of users' connections],
	    [mail-user.h],
	    [extern struct mail_user *u; (void)u->conn.end_client_tls_secured;])
	PK_DOVECOT_PROBE([USER_MASTER], [the master user of users],
	    [mail-user.h], [extern struct mail_user *u; (void)u->master_user;])
	PK_DOVECOT_PROBE([CLIENT_EVENT], [events of POP3 clients],
	    [pop3-common.h],
	    [extern struct client *c; (void)c->event;])
	PK_DOVECOT_PROBE([HIDDEN_INPUTS], [hidden inputs of streams],
	    [istream-private.h], [(void)ISTREAM_HIDDEN_INPUTS_NONE;])
	PK_DOVECOT_PROBE([SYNC_FULL_WRITE], [a sync that writes all],
	    [mail-storage.h], [(void)MAILBOX_SYNC_FLAG_FULL_WRITE;])
	PK_DOVECOT_PROBE([DICT_INIT_AUTO], [dicts by settings],
	    [dict.h], [(void)dict_init_auto;])
	PK_DOVECOT_PROBE([DOVEADM_GETOPT], [getopt of doveadm commands],
	    [doveadm-mail.h],
	    [struct doveadm_mail_cmd_context c; c.getopt_args = "";])
])
AC_SUBST([DOVECOT_CPPFLAGS])
AC_SUBST([DOVECOT_LIBS])
AC_SUBST([dovecot_moduledir])
AM_CONDITIONAL([HAVE_DOVECOT], [test $have_dovecot = yes])
AS_CASE([$DOVECOT_CPPFLAGS], [*-DPK_DOVECOT_SETTINGS_GET*],
    [have_settings=yes], [have_settings=no])
AM_CONDITIONAL([HAVE_DOVECOT_SETTINGS], [test $have_settings = yes])
])

# PK_DOVECOT_PROBE(NAME, WHAT, HEADERS, BODY): define PK_DOVECOT_NAME if BODY
# compiles behind Dovecot's HEADERS.
AC_DEFUN([PK_DOVECOT_PROBE], [
AC_MSG_CHECKING([Dovecot for $2])
pk_cppflags=$CPPFLAGS pk_cflags=$CFLAGS
CPPFLAGS="$CPPFLAGS $DOVECOT_CPPFLAGS"
CFLAGS="$CFLAGS -std=gnu11 -Werror=implicit-function-declaration"
AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#include "lib.h"
]m4_map_args_w([$3], [[#include "]], [["]
])[
void probe(void);
void probe(void) { ]$4[ }
]])], [
	AC_MSG_RESULT([yes])
	DOVECOT_CPPFLAGS="$DOVECOT_CPPFLAGS -DPK_DOVECOT_$1"
], [AC_MSG_RESULT([no])])
CPPFLAGS=$pk_cppflags CFLAGS=$pk_cflags
])
