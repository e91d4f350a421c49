/*
 * Result codes shared by every function of the engine that can fail.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_ERR_H
#define PK_ERR_H

/*
 * An -ERR sent to the client is not an error here: the session refused a
 * request and goes on.  These codes mean that the caller could not be served.
 * On any of them, out-parameters (named *_r) are untouched.
 */
enum pk_err {
	PK_OK = 0,
	PK_ERR_NOMEM,		/* allocation failed; objects are unchanged */
	PK_ERR_LIMIT,		/* a documented maximum would be exceeded */
	PK_ERR_SYNTAX,		/* the input is malformed */
	PK_ERR_NOTFOUND,	/* there is no such entry or message (any more) */
	PK_ERR_CRYPTO,		/* libcrypto refused, or a seal does not match */
	PK_ERR_IO,		/* the system failed; the caller's errno says how */
};

#define PK_WARN_UNUSED __attribute__((__warn_unused_result__))

#endif
