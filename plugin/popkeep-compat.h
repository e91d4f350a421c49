/*
 * What the versions of Dovecot do differently, as configure has found it out
 * (m4/dovecot.m4).  Everything else includes this instead of asking for itself.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_COMPAT_H
#define POPKEEP_COMPAT_H

#include "lib.h"

/* The protocol that a user is served in: "pop3", "imap", "lmtp", "doveadm". */
#ifdef PK_DOVECOT_USER_PROTOCOL
#  define popkeep_user_protocol(user) ((user)->protocol)
#else
#  define popkeep_user_protocol(user) ((user)->service)
#endif

/* Did the user's client speak TLS? */
#ifdef PK_DOVECOT_USER_TLS
#  define popkeep_user_tls(user) ((user)->conn.end_client_tls_secured)
#else
#  define popkeep_user_tls(user) ((user)->conn.ssl_secured)
#endif

/* Has somebody else logged in as the user?  (2.3 says so in userdb fields.) */
#ifdef PK_DOVECOT_USER_MASTER
#  define popkeep_user_has_master(user) ((user)->master_user != NULL)
#else
#  define popkeep_user_has_master(user) FALSE
#endif

/* A sync that carries out what was expunged, in every format. */
#ifdef PK_DOVECOT_SYNC_FULL_WRITE
#  define POPKEEP_SYNC_WRITE MAILBOX_SYNC_FLAG_FULL_WRITE
#else
#  define POPKEEP_SYNC_WRITE 0
#endif

/* i_stream_create() of a stream that reads another one, which it shows. */
#ifdef PK_DOVECOT_HIDDEN_INPUTS
#  define popkeep_istream_create(stream, parent, fd) \
	i_stream_create((stream), (parent), (fd), ISTREAM_HIDDEN_INPUTS_NONE, 0)
#else
#  define popkeep_istream_create(stream, parent, fd) \
	i_stream_create((stream), (parent), (fd), 0)
#endif

#endif
