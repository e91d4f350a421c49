/*
 * Wrong policy files: all that is said of each, with file, line, key and what
 * was expected.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/policy_said.h"

/* What is wrong, and all that is said of it. */
static const struct {
	const char *content, *said;
} wrong[] = {
	{ "mode = enforced\n",
	    "f:1: mode = enforced: expected enforce or dry-run" },
	{ "mode = \"dry run\"\n",
	    "f:1: mode = \"dry run\": expected enforce or dry-run" },
	{ "mode = \"\"\n", "f:1: mode = \"\": expected enforce or dry-run" },
	{ "audit = on\n",
	    "f:1: audit = on: expected required, best-effort or off" },
	{ "MODE = enforce\n",
	    "f:1: no such option 'MODE': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords" },
	{ "modes = enforce\n",
	    "f:1: no such option 'modes': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords" },
	{ "# a comment\n\nmode = never # another\n",
	    "f:3: mode = never: expected enforce or dry-run" },
	{ "/* a\ncomment */ mode = x\n",
	    "f:2: mode = x: expected enforce or dry-run" },
	{ "mode = enforce\nmode = enforce\n",
	    "f:2: mode: expected only once: it is in f:1 already" },
	{ "audit = required\n\naudit = off\n",
	    "f:3: audit: expected only once: it is in f:1 already" },
	{ "mode = { enforce }\n",
	    "f:1: unexpected token '{': expected one value, no { list }" },
	{ "mode { }\n",
	    "f:1: missing equal sign after option 'mode': expected key = "
	    "value, no block" },
	{ "mode \"x\" { }\n",
	    "f:1: missing equal sign after option 'mode': expected key = "
	    "value, no block" },
	{ "mode enforce\n",
	    "f:1: mode: expected \"=\" after a key, or \"{\" after the "
	    "name of a block, but the file ends here" },
	{ "mode = enforce dry-run\n",
	    "f:1: dry-run: expected \"=\" after a key, or \"{\" after the "
	    "name of a block, but the file ends here" },
	{ "mode",
	    "f:1: mode: expected \"=\" after a key, or \"{\" after the "
	    "name of a block, but the file ends here" },
	{ "mode\n",
	    "f:1: mode: expected \"=\" after a key, or \"{\" after the "
	    "name of a block, but the file ends here" },
	{ "mode =\n",
	    "f:1: mode: expected a value or { list } after \"=\", but the "
	    "file ends here" },
	{ "mode = = enforce\n",
	    "f:1: mode: expected a value or { list } after \"=\"" },
	{ "mode += enforce\n",
	    "f:1: expected quotes around a value that has +" },
	{ "mode = enforce, dry-run\n",
	    "f:1: expected a key or a block: several values need { } "
	    "around them" },
	{ "mode = enforce;\n",
	    "f:1: mode = enforce;: expected enforce or dry-run" },
	{ "= enforce\n", "f:1: expected a key or a block" },
	{ "{ }\n", "f:1: expected a key or a block" },
	{ "}\n", "f:1: expected no \"}\": no block is open" },
	{ "mode = enforce\n}\n", "f:2: expected no \"}\": no block is open" },
	{ ", mode = enforce\n",
	    "f:1: expected a key or a block: several values need { } "
	    "around them" },
	{ "include(\"/etc/popkeep/more.conf\")\n",
	    "f:1: expected quotes around a value that has (" },
	{ "mode = \"${MODE}\"\n",
	    "f:1: expected no \"${\": a policy takes nothing from the "
	    "environment" },
	{ "mode = ${MODE}\n",
	    "f:1: expected no \"${\": a policy takes nothing from the "
	    "environment" },
	{ "# ${FINE}\nhold x { note = '${HOME}' }\n",
	    "f:2: expected no \"${\": a policy takes nothing from the "
	    "environment" },
	{ "hold x${Y} { }\n",
	    "f:1: expected no \"${\": a policy takes nothing from the "
	    "environment" },
	{ "mode = \"enforce\naudit = off\n",
	    "f:1: the string that begins here has no end: expected \" on "
	    "the same line" },
	{ "mode = \"enforce\r\n",
	    "f:1: the string that begins here has no end: expected \" on "
	    "the same line" },
	{ "hold x { note = 'it\n' }\n",
	    "f:1: the string that begins here has no end: expected ' on "
	    "the same line" },
	{ "hold x { note = \"a\\n\" }\n",
	    "f:1: expected \" or \\ after a \\ in a string" },
	{ "hold x { note = 'a\\\"' }\n",
	    "f:1: expected ' or \\ after a \\ in a string" },
	{ "hold x { note = \"a\\",
	    "f:1: expected \" or \\ after a \\ in a string" },
	{ "hold x { note = \"a\001b\" }\n",
	    "f:1: expected text, not the control octet 0x01" },
	{ "mode = enf\177orce\n",
	    "f:1: expected text, not the control octet 0x7f" },
	{ "mode = enforce\rx\n",
	    "f:1: expected text, not the control octet 0x0d" },
	{ "/* begun\nmode = enforce\n",
	    "f:1: the comment that begins here has no end: expected \"*/\"" },
	{ "hold x { users = *@example.org }\n",
	    "f:1: expected quotes around a value that has *" },
	{ "hold x { users = { a, *b } }\n",
	    "f:1: expected quotes around a value that has *" },
	{ "hold x { users = user+detail }\n",
	    "f:1: expected quotes around a value that has +" },
	{ "hold x { note = (a) }\n",
	    "f:1: expected quotes around a value that has (" },
	{ "retention { }\n",
	    "f:1: missing title for section 'retention': expected a name, "
	    "as in retention \"NAME\" { ... }" },
	{ "retention = x\n",
	    "f:1: missing title for section 'retention': expected a name, "
	    "as in retention \"NAME\" { ... }" },
	{ "retention \"a\" \"b\" { }\n",
	    "f:1: retention: expected \"=\" after a key, or \"{\" after "
	    "the name of a block" },
	{ "retention \"a\"\n",
	    "f:1: retention: expected \"=\" after a key, or \"{\" after "
	    "the name of a block, but the file ends here" },
	{ "retention \"a\" {\n\tunread = 7d\n",
	    "f:1: the block that begins here has no end: expected \"}\"" },
	{ "apop {\n\trule \"a\" { allow = tls\n}\n",
	    "f:1: the block that begins here has no end: expected \"}\"" },
	{ "retention \"\" { }\n",
	    "f:1: retention \"\": expected a name of 1 to 64 letters, "
	    "digits, \"-\", \"_\" and \".\"" },
	{ "retention \"a b\" { }\n",
	    "f:1: retention \"a b\": expected a name of 1 to 64 letters, "
	    "digits, \"-\", \"_\" and \".\"" },
	{ "hold \"a/b\" { }\n",
	    "f:1: hold \"a/b\": expected a name of 1 to 64 letters, "
	    "digits, \"-\", \"_\" and \".\"" },
	{ "hold \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	    "nnnnnnnnnn\" { }\n",
	    "f:1: hold \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	    "nnnnnnnnnnnnnnn\": expected a name of 1 to 64 letters, "
	    "digits, \"-\", \"_\" and \".\"" },
	{ "apop { rule \"\303\244\" { allow = tls } }\n",
	    "f:1: rule \"\303\244\": expected a name of 1 to 64 letters, "
	    "digits, \"-\", \"_\" and \".\"" },
	{ "retention a { }\n\nretention \"a\" { unread = x }\n",
	    "f:3: retention \"a\": expected only once: it is in f:1 already" },
	{ "hold a { }\nhold b { }\nhold 'a' { }\n",
	    "f:3: hold \"a\": expected only once: it is in f:1 already" },
	{ "apop { rule a { allow = tls }\n rule a { allow = tls } }\n",
	    "f:2: rule \"a\": expected only once: it is in f:1 already" },
	{ "passwords { rule a { allow = tls } }\n"
	    "passwords { rule b { allow = tls } }\n",
	    "f:2: passwords: expected only once: it is in f:1 already" },
	{ "apop { }\nmode = enforce\napop { }\n",
	    "f:3: apop: expected only once: it is in f:1 already" },
	{ "apop x { }\n",
	    "f:1: missing opening brace for section 'apop': expected a "
	    "block without a name" },
	{ "retention a { hold b { } }\n",
	    "f:1: no such option 'hold': expected one of users, "
	    "after-download, after-delivery, unread, unread-from, minimum, "
	    "unconfirmed-limit, top, login-delay, dispose, effective-from, "
	    "mode, max-share" },
	{ "apop { rule a { allow = tls rule b { } } }\n",
	    "f:1: no such option 'rule': expected one of users, networks, "
	    "allow, until, warn-from" },
	{ "a { b { c { d { e { } } } } }\n",
	    "f:1: no such option 'a': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords\n"
	    "f:1: e: expected no block here" },
	{ "modes = x\nmode = enforce\n/* a */ audits = { x,\n y }\n"
	    "hold a {\n\tuser = b # c\n\tuntil = never\n}\n"
	    "holds b {\n\tusers = x\n\tc = d\n\te { f = g }\n}\n"
	    "mode = x",
	    "f:1: no such option 'modes': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords\n"
	    "f:3: no such option 'audits': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords\n"
	    "f:6: no such option 'user': expected one of users, until, note\n"
	    "f:9: no such option 'holds': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords\n"
	    "f:14: mode: expected only once: it is in f:2 already\n"
	    "f:7: until = never: expected a day from 1970 on, as "
	    "\"2026-12-31\"" },
	{ "apop {\n rules a { }\n rule a {\n  allow = tls\n  top = x\n }\n"
	    " rule a {\n  mode = x } }\n",
	    "f:2: no such option 'rules': expected one of rule, "
	    "minimum-secret, exclusive\n"
	    "f:5: no such option 'top': expected one of users, networks, "
	    "allow, until, warn-from\n"
	    "f:7: rule \"a\": expected only once: it is in f:3 already\n"
	    "f:8: no such option 'mode': expected one of users, networks, "
	    "allow, until, warn-from" },
	{ "rule a { allow = tls }\n",
	    "f:1: no such option 'rule': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords" },
	{ "holds a { }\n",
	    "f:1: no such option 'holds': expected one of mode, audit, "
	    "audit-hash, pseudonyms, retention, hold, apop, passwords" },
	{ "retention a { until = \"2027-01-01\" }\n",
	    "f:1: no such option 'until': expected one of users, "
	    "after-download, after-delivery, unread, unread-from, minimum, "
	    "unconfirmed-limit, top, login-delay, dispose, effective-from, "
	    "mode, max-share" },
	{ "hold a {\n\tuser = { anna }\n}\n",
	    "f:2: no such option 'user': expected one of users, until, note" },
	{ "passwords { exclusive = yes }\n",
	    "f:1: no such option 'exclusive': expected one of rule" },
	{ "apop {\n"
	    " rule a {\n"
	    "  allow = tls\n"
	    "  network = { \"::1\" }\n"
	    " } }\n",
	    "f:4: no such option 'network': expected one of users, "
	    "networks, allow, until, warn-from" },
	{ "retention a {\n"
	    "\tunread = 7d\n"
	    "\tusers = { b }\n"
	    "\tunread = 7d\n"
	    "\tusers = { c } }\n",
	    "f:4: unread: expected only once: it is in f:2 already\n"
	    "f:5: users: expected only once: it is in f:3 already" },
	{ "hold a { note = x\nnote = y }\n",
	    "f:2: note: expected only once: it is in f:1 already" },
	{ "apop { exclusive = yes exclusive = no }\n",
	    "f:1: exclusive: expected only once: it is in f:1 already" },
	{ "retention a { users = { } }\n",
	    "f:1: users = { }: expected at least one name, glob or @group; "
	    "without the key it is everybody" },
	{ "passwords { rule a { allow = tls\nnetworks = { } } }\n",
	    "f:2: networks = { }: expected at least one address or "
	    "network; without the key it is everybody" },
	{ "hold a { users = { anna bob } }\n",
	    "f:1: users: expected \",\" or \"}\" after a value in its list" },
	{ "hold a { users = { anna,,bob } }\n",
	    "f:1: users: expected a value or \"}\" in its list" },
	{ "hold a { users = anna, bob }\n",
	    "f:1: expected a key or a block: several values need { } "
	    "around them" },
	{ "hold a { users = { { anna } } }\n",
	    "f:1: users: expected a value or \"}\" in its list" },
	{ "hold a { users = { anna\n",
	    "f:1: users: expected \",\" or \"}\" after a value in its "
	    "list, but the file ends here" },
	{ "hold a { users = anna bob }\n",
	    "f:1: bob: expected \"=\" after a key, or \"{\" after the name "
	    "of a block" },
	{ "hold a { users = { \"\",\n"
	    "\"a b\",\n"
	    "\"@\",\n"
	    "\"@g*\",\n"
	    "\"a\tb\" } }\n",
	    "f:1: users = \"\": expected 1 to 255 octets\n"
	    "f:2: users = \"a b\": expected no space: no user has one\n"
	    "f:3: users = \"@\": expected the name of a group after \"@\"\n"
	    "f:4: users = \"@g*\": expected the name of one group after "
	    "\"@\", no glob\n"
	    "f:5: users = \"a\tb\": expected no space: no user has one" },
	{ "apop { minimum-secret = 1025 }\n",
	    "f:1: minimum-secret = 1025: expected a number of octets, 0 to "
	    "1024" },
	{ "apop { minimum-secret = many }\n",
	    "f:1: minimum-secret = many: expected a number of octets, 0 to "
	    "1024" },
	{ "apop { exclusive = 1 }\n",
	    "f:1: exclusive = 1: expected yes or no" },
	{ "apop { rule a { } }\n",
	    "f:1: rule \"a\": expected allow = never, tls or always" },
	{ "apop {\n\trule a { allow = plain }\n}\n",
	    "f:2: allow = plain: expected never, tls or always" },
	{ "passwords {\n\trule a {\n\t\tusers = { b } } }\n",
	    "f:2: rule \"a\": expected allow = never, tls or always" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"10.0.0.0/33\" } } }\n",
	    "f:2: networks = \"10.0.0.0/33\": expected a prefix of 0 to 32 "
	    "after \"/\"" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"2001:db8::/129\" } } }\n",
	    "f:2: networks = \"2001:db8::/129\": expected a prefix of 0 to "
	    "128 after \"/\"" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"10.0.0.1/8\" } } }\n",
	    "f:2: networks = \"10.0.0.1/8\": expected no bit set after the "
	    "prefix" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"2001:db8::1/32\" } } }\n",
	    "f:2: networks = \"2001:db8::1/32\": expected no bit set after "
	    "the prefix" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"10.0.0.0/\" } } }\n",
	    "f:2: networks = \"10.0.0.0/\": expected a prefix of 0 to 32 "
	    "after \"/\"" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"10.0.0.0/8x\" } } }\n",
	    "f:2: networks = \"10.0.0.0/8x\": expected a prefix of 0 to 32 "
	    "after \"/\"" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"10.0.0/8\" } } }\n",
	    "f:2: networks = \"10.0.0/8\": expected an IPv4 or IPv6 "
	    "address, or one with a prefix (\"10.0.0.0/8\", "
	    "\"2001:db8::/32\")" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"localhost\" } } }\n",
	    "f:2: networks = \"localhost\": expected an IPv4 or IPv6 "
	    "address, or one with a prefix (\"10.0.0.0/8\", "
	    "\"2001:db8::/32\")" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"\" } } }\n",
	    "f:2: networks = \"\": expected an IPv4 or IPv6 address, or "
	    "one with a prefix (\"10.0.0.0/8\", \"2001:db8::/32\")" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"10.0.0.0/255.0.0.0\" } } }\n",
	    "f:2: networks = \"10.0.0.0/255.0.0.0\": expected a prefix of "
	    "0 to 32 after \"/\"" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"/8\" } } }\n",
	    "f:2: networks = \"/8\": expected an IPv4 or IPv6 address, or "
	    "one with a prefix (\"10.0.0.0/8\", \"2001:db8::/32\")" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"000000000000000000000000000000000000000000000000000000000000"
	    "0000000000\" } } }\n",
	    "f:2: networks = \"00000000000000000000000000000000000000000000"
	    "00000000000000000000000000\": expected an IPv4 or IPv6 "
	    "address, or one with a prefix (\"10.0.0.0/8\", "
	    "\"2001:db8::/32\")" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"::1/-1\" } } }\n",
	    "f:2: networks = \"::1/-1\": expected a prefix of 0 to 128 "
	    "after \"/\"" },
	{ "passwords { rule a { allow = tls networks = { \"::1\",\n"
	    "\"127.0.0.1/31\" } } }\n",
	    "f:2: networks = \"127.0.0.1/31\": expected no bit set after "
	    "the prefix" },
	{ "apop { rule a { allow = tls\n"
	    "until = \"2027-01-01\"\n"
	    "warn-from = \"2027-01-02\" } }\n",
	    "f:3: warn-from: expected a day no later than until of rule "
	    "\"a\"" },
	{ "apop { rule a { allow = tls until = x } }\n",
	    "f:1: until = x: expected a day from 1970 on, as \"2026-12-31\"" },
	{ "audit = off\nretention a { }\n",
	    "f:1: audit = off: expected required or best-effort, because "
	    "there are retention rules or holds" },
	{ "hold a { }\naudit = off\n",
	    "f:2: audit = off: expected required or best-effort, because "
	    "there are retention rules or holds" },
	{ "audit = off\naudit-hash = on\n",
	    "f:2: audit-hash = on: expected off, because audit = off" },
	{ "pseudonyms = yes audit = off\n",
	    "f:1: pseudonyms = yes: expected no, because audit = off" },
	{ "pseudonyms = on\n", "f:1: pseudonyms = on: expected yes or no" },
	{ "audit-hash = yes\n", "f:1: audit-hash = yes: expected on or off" },
	{ "mode = a\n"
	    "audit = b\n"
	    "retention x { unread = c\n"
	    " top = d }\n"
	    "hold y { until = e }\n"
	    "apop { exclusive = f\n"
	    " rule z { allow = g } }\n"
	    "mode = h\n",
	    "f:8: mode: expected only once: it is in f:1 already\n"
	    "f:1: mode = a: expected enforce or dry-run\n"
	    "f:2: audit = b: expected required, best-effort or off\n"
	    "f:3: unread = c: expected \"never\" or a number and one of m, "
	    "h, d, w, y (\"60d\"), at least 1m, at most 1000y\n"
	    "f:4: top = d: expected allow, headers, deny or a number of "
	    "body lines, 0 to 4294967293\n"
	    "f:5: until = e: expected a day from 1970 on, as "
	    "\"2026-12-31\"\n"
	    "f:6: exclusive = f: expected yes or no\n"
	    "f:7: allow = g: expected never, tls or always" },
};

#define LIMIT \
	"\"0\", \"never\" or a number and one of m, h, d, w, y " \
	"(\"7d\"), at most 1000y"
#define UNREAD \
	"\"never\" or a number and one of m, h, d, w, y (\"60d\"), at " \
	"least 1m, at most 1000y"
#define MINIMUM \
	"\"0\" or a number and one of m, h, d, w, y (\"90d\"), at most " \
	"1000y"
#define DELAY \
	"\"0\" or a number and one of m, h, d, w, y (\"5m\"), at most " \
	"1y"
#define FROM	"first-seen or delivery"
#define COUNT	"a number, 0 to 1000"
#define TOP \
	"allow, headers, deny or a number of body lines, 0 to " \
	"4294967293"
#define FOLDER \
	"destroy or \"folder:NAME\" (NAME: 1 to 64 letters, digits, " \
	"\"-\" and \"_\", spaces inside, \".\" between parts; not " \
	"INBOX)"
#define DAY	"a day from 1970 on, as \"2026-12-31\""
#define MODE	"enforce or dry-run"
#define SHARE	"1% to 100%"

/* As many octets as a folder may have. */
#define F64 \
	"ffffffffffffffffffffffffffffffff" \
	"ffffffffffffffffffffffffffffffff"

/* A value that is shown as it is written. */
#define SAME(value) value, value

/* A value as it is written, as it is shown, and what was expected instead. */
static const struct {
	const char *block, *key, *value, *shown, *expected;
} values[] = {
	{ "retention", "after-download", SAME("7"), LIMIT },
	{ "retention", "after-download", SAME("\"7 d\""), LIMIT },
	{ "retention", "after-download", SAME("-1d"), LIMIT },
	{ "retention", "after-download", SAME("d"), LIMIT },
	{ "retention", "after-download", SAME("7D"), LIMIT },
	{ "retention", "after-download", SAME("1.5d"), LIMIT },
	{ "retention", "after-download", SAME("7days"), LIMIT },
	{ "retention", "after-download", SAME("1001y"), LIMIT },
	{ "retention", "after-download", SAME("99999999999999999999d"), LIMIT },
	{ "retention", "after-download", SAME("Never"), LIMIT },
	{ "retention", "after-download", SAME("\"\""), LIMIT },
	{ "retention", "after-delivery", SAME("forever"), LIMIT },
	{ "retention", "unread", SAME("0"), UNREAD },
	{ "retention", "unread", SAME("0d"), UNREAD },
	{ "retention", "unread", SAME("60"), UNREAD },
	{ "retention", "minimum", SAME("never"), MINIMUM },
	{ "retention", "minimum", SAME("x"), MINIMUM },
	{ "retention", "login-delay", SAME("never"), DELAY },
	{ "retention", "login-delay", SAME("2y"), DELAY },
	{ "retention", "login-delay", SAME("300"), DELAY },
	{ "retention", "unread-from", SAME("first"), FROM },
	{ "retention", "unconfirmed-limit", SAME("-1"), COUNT },
	{ "retention", "unconfirmed-limit", SAME("1001"), COUNT },
	{ "retention", "unconfirmed-limit", SAME("never"), COUNT },
	{ "retention", "unconfirmed-limit", SAME("99999999999999999999"),
	    COUNT },
	{ "retention", "top", SAME("none"), TOP },
	{ "retention", "top", SAME("-1"), TOP },
	{ "retention", "top", SAME("4294967294"), TOP },
	{ "retention", "top", SAME("1k"), TOP },
	{ "retention", "dispose", SAME("delete"), FOLDER },
	{ "retention", "dispose", SAME("folder"), FOLDER },
	{ "retention", "dispose", SAME("\"folder:\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:a/b\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:.a\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:a..b\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:a.\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder: a\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:a \""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:a. b\""), FOLDER },
	{ "retention", "dispose", SAME("\"folder:a .b\""), FOLDER },
	{ "retention", "dispose", "folder:inbox", "\"folder:inbox\"", FOLDER },
	{ "retention", "dispose", "folder:" F64 "f",
	    "\"folder:" F64 "f\"", FOLDER },
	{ "retention", "dispose", SAME("\"folder:\303\244\""), FOLDER },
	{ "retention", "dispose", "folder:a&-b", "\"folder:a&-b\"", FOLDER },
	{ "retention", "effective-from", SAME("2026-13-01"), DAY },
	{ "retention", "effective-from", SAME("2026-00-01"), DAY },
	{ "retention", "effective-from", SAME("2026-02-29"), DAY },
	{ "retention", "effective-from", SAME("2026-04-31"), DAY },
	{ "retention", "effective-from", SAME("2026-01-00"), DAY },
	{ "retention", "effective-from", SAME("1900-02-28"), DAY },
	{ "retention", "effective-from", SAME("2026-1-1"), DAY },
	{ "retention", "effective-from", SAME("tomorrow"), DAY },
	{ "retention", "effective-from", "20:6-01-01", "\"20:6-01-01\"", DAY },
	{ "retention", "effective-from", SAME("2026-1/-01"), DAY },
	{ "retention", "effective-from", SAME("2026-12-0a"), DAY },
	{ "retention", "effective-from", SAME("2026x12-01"), DAY },
	{ "retention", "effective-from", SAME("2026-12x01"), DAY },
	{ "retention", "effective-from", SAME("2026-12-1/"), DAY },
	{ "retention", "effective-from", SAME("2026/12/01"), DAY },
	{ "retention", "effective-from", SAME("\"2026-12-01 \""), DAY },
	{ "retention", "effective-from", SAME("12026-12-1"), DAY },
	{ "retention", "mode", SAME("off"), MODE },
	{ "retention", "max-share", SAME("50"), SHARE },
	{ "retention", "max-share", SAME("0%"), SHARE },
	{ "retention", "max-share", SAME("101%"), SHARE },
	{ "retention", "max-share", SAME("%"), SHARE },
	{ "retention", "max-share", SAME("5%%"), SHARE },
	{ "hold", "until", SAME("soon"), DAY },
	{ "hold", "until", "\"2026-06-31\"", "2026-06-31", DAY },
};

static void
test_policy_wrong_says_what_is_wrong(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(parse(wrong[i].content));
		expect_said(wrong[i].content, wrong[i].said);
	}
}

static void
test_policy_wrong_says_what_value_was_expected(void **state)
{
	char content[512], expected[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		(void)snprintf(content, sizeof(content), "%s a {\n%s = %s\n}",
		    values[i].block, values[i].key, values[i].value);
		(void)snprintf(expected, sizeof(expected), "f:2: %s = %s: "
		    "expected %s", values[i].key, values[i].shown,
		    values[i].expected);
		assert_null(parse(content));
		expect_said(content, expected);
	}
}

/* What popkeep check says of the file f in the directory, its path cut off. */
static int
run_check(const char *dir, char *out, size_t size)
{
	char command[256], line[1024], path[128];
	size_t len = 0, skip;
	FILE *f;

	skip = (size_t)snprintf(path, sizeof(path), "%s/", dir);
	(void)snprintf(command, sizeof(command), "standalone/popkeep check -p "
	    "%s/f 2>&1", dir);
	f = popen(command, "r");
	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL && len < size) {
		const char *text = line;

		/* Also where a line names another one. */
		for (; *text != '\0' && len < size; len += 1) {
			if (strncmp(text, path, skip) == 0)
				text += skip;
			out[len] = *text++;
		}
	}
	assert_true(len < size);
	out[len > 0 ? len - 1 : 0] = '\0';
	return pclose(f);
}

/* The same of the administrator's command: status 1, and those lines. */
static void
test_policy_wrong_is_what_check_says(void **state)
{
	char dir[] = "/tmp/test_policy_wrong.XXXXXX", path[128], out[8192];
	size_t i;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		f = fopen(path, "w");
		assert_non_null(f);
		(void)fputs(wrong[i].content, f);
		(void)fclose(f);
		if (WEXITSTATUS(run_check(dir, out, sizeof(out))) != 1 ||
		    strcmp(out, wrong[i].said) != 0)
			fail_msg("%s: \"%s\", expected \"%s\"",
			    wrong[i].content, out, wrong[i].said);
	}
	(void)unlink(path);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_wrong_says_what_is_wrong),
		cmocka_unit_test(
		    test_policy_wrong_says_what_value_was_expected),
		cmocka_unit_test(test_policy_wrong_is_what_check_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
