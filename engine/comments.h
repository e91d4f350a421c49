/*
 * Comments in files for libConfuse, which miscounts the lines after them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_COMMENTS_H
#define PK_COMMENTS_H

/*
 * Put spaces in place of what libConfuse takes for a comment in text: "#"
 * outside of a string, and where a token begins "//" and what stands between
 * "/" "*" and "*" "/".  Ends of lines stay.  Returns the line of a comment
 * without an end, which stays too; 0: there is none.
 */
int pk_comments_blank(char *text);

#endif
