"""Random scenarios for popkeepd and for Dovecot with the plugin.

A scenario is a user with a mailbox, a rule, perhaps holds, and visits: what a
client sends, octet by octet, and how it leaves.  All users of a round share one
policy and the clock, which stands at as many moments as there are visits.

Every limit is a number of hours, every message is some hours and a half old,
and a moment is some hours and a few minutes behind the one before: so nothing
falls due while a moment lasts, however slow the machine is.

SPDX-License-Identifier: ISC
"""
import random
import re
import time

import fixtures

HOUR = 3600
T0 = 1800015600			# 2027-01-15 12:20, UTC
LATER = 420			# and so many seconds at each moment
MOMENTS = 3
LIMITS = ("1h", "2h", "1d", "3d", "10d", "30d", "never")
STEPS = (0, 0, 1, 2, 24, 25, 72, 240, 720)		# hours between moments


class Message:
    """A file: where it is, what it is called, and what is in it."""

    def __init__(self, name, content, kind, received, moment):
        self.name, self.content, self.kind = name, content, kind
        self.received, self.moment = received, moment
        self.folder, self.flags = "new", None

    def path(self):
        return "%s/%s%s" % (self.folder, self.name, "" if self.flags is None
                            else ":2," + self.flags)

    def __str__(self):
        return "%s (%s, %d octets%s)" % (
            self.path(), self.kind, len(self.content),
            ", of moment %d" % self.moment if self.moment else "")


class Visit:
    """A session: writes, each a list of commands, and how it ends.  "!" is
    before what happens to the files meanwhile.

    end: quit (the reply is read), quit-and-away, quit-at-once (in the last
    write), fin, rst.  before: what happens to the files first."""

    def __init__(self, moment, writes, end, before):
        self.moment, self.writes, self.end = moment, writes, end
        self.before = before

    def __str__(self):
        return "moment %d: %s%s, then %s" % (
            self.moment, "".join("[%s] " % b for b in self.before),
            " | ".join(" ; ".join(w) for w in self.writes) or "nothing",
            self.end)


class Scenario:
    def __init__(self, user, messages, rule, holds, visits):
        self.user, self.messages = user, messages
        self.rule, self.holds, self.visits = rule, holds, visits

    def policy(self):
        return self.rule + "".join(self.holds)

    def __str__(self):
        return "\n".join(
            ["mailbox of " + self.user] + ["  %s" % m for m in self.messages] +
            ["policy", "  " + self.policy().replace("\n", "\n  ").rstrip(),
             "visits"] + ["  %s" % v for v in self.visits])


# ---- messages --------------------------------------------------------------

def plain(r, tag):
    lines = r.choice((0, 1, 3, 12, 40))
    return fixtures.HEAD % (b"plain", tag) + b"".join(
        b"Line %d of %s\n" % (i, tag) for i in range(lines))


def long_lines(r, tag):
    return fixtures.HEAD % (b"long", tag) + b"x" * r.choice(
        (998, 5000, 70000)) + b"\n." + b"y" * 2000 + b"\nend\n"


def dots(r, tag):
    return fixtures.HEAD % (b"dots", tag) + \
        b".\n..\n.leading\n middle . dot\n.\n\n.\nlast\n"


def cut(r, tag):
    """No line end at its end."""
    return plain(r, tag) + b"the end"


def no_body(r, tag):
    return b"Subject: no body\nMessage-ID: <%s@example.org>\n" % tag


def strange(r, tag):
    """Out of the list of nasty ones, with a name of its own in it."""
    kind = r.choice((b"mixed ends\r\nhere\nthere\r\n", b"\0\0\n.\0\n",
                     b"a\rb\r\rc\r\r\nd\r\n", b"8-bit \xff\xfe\x80\n",
                     b"\n\n\n\n", b"\r\n\r\n", b">From\nFrom here\n"))
    return fixtures.HEAD % (b"strange", tag) + kind


def crlf(r, tag):
    return r.choice((plain, dots, long_lines))(r, tag).replace(b"\n", b"\r\n")


def odd_id(r, tag):
    """What the records are to say of it: see engine/message_id.h."""
    return b"Subject: odd\n" + r.choice((
        b"Message-ID:\n <%s@example.org>\n", b"message-id:%s\n",
        b"Message-ID: <%s@\n\texample.org>  \n",
        b"Message-ID: <%s@a>\nMessage-ID: <second@b>\n",
        b"Message-ID : <%s@blank>\n", b"Message-ID: <%s@\xff\xe4>\n",
        b"Message-ID: \"%s\\ @x\"\n", b"Message-ID:\nX-Of: %s\n",
        b"Message-ID: (a comment) <%s@x> (b)\n",
        b"Message-ID: <%s@" + b"long" * 80 + b">\n")) % tag + b"\nbody\n"


def tiny(r, tag):
    """There is one of each in a mailbox at most, as nothing tells them apart.
    None begins with a dot: Dovecot forgets to stuff that one."""
    return r.choice((b"", b"x", b"\n", b"\r\n", b"\n.", b"\n.\n",
                     b"Subject: x\n", b"Subject: x\n\n", b"\n\nbody\n"))


KINDS = (plain,) * 6 + (crlf, crlf, dots, long_lines, cut, no_body, strange,
                        tiny, odd_id)


def message(r, user, number, alone, times):
    """alone: nothing depends on its place among others.  times: the moments."""
    make = r.choice(KINDS)
    tag = b"%s-%d" % (user.encode(), number)
    content = make(r, tag)
    hours = r.choice((0, 1, 2, 5, 23, 24, 25, 71, 72, 100, 239, 240, 719, 720,
                      2000))
    when = T0 - hours * HOUR - HOUR // 2 - number
    moment = 0
    if not alone and r.random() < 0.1:	# the latest of all, so the last
        moment = r.randrange(1, MOMENTS)
        when = times[moment] - HOUR // 2 + LATER // 2 + number
    name, received = "%d.M%06dP7.parity" % (when, number), None
    if alone and r.random() < 0.3:
        name, received = "message-%d-%s" % (number, user), when
    if r.random() < 0.3:
        name += ",S=%d" % len(content)
        # Both believe in W=, which says nothing of a last line without end.
        if r.random() < 0.5 and content.endswith(b"\n"):
            name += ",W=%d" % len(re.sub(rb"(?<!\r)\n", b"\r\n", content))
    m = Message(name, content, make.__name__, received, moment)
    if r.random() < 0.4:
        m.folder, m.flags = "cur", r.choice(("", "S", "RS", "F", "T", "ST"))
    return m


def mailbox(r, user, times):
    found, seen = [], set()
    count = r.choice((0, 1, 1, 2, 3, 3, 4, 5, 8))
    for number in range(count):
        m = message(r, user, number, count == 1, times)
        if m.content not in seen:
            found.append(m)
        seen.add(m.content)
    return found


# ---- rules -----------------------------------------------------------------

def day(r, back, ahead):
    return time.strftime("%Y-%m-%d", time.gmtime(
        T0 + r.randint(-back, ahead) * 24 * HOUR))


def rule(r, user):
    if r.random() < 0.08:
        return ""
    lines = []

    def perhaps(share, key, *values):
        if r.random() < share:
            lines.append("%s = %s" % (key, r.choice(values)))

    perhaps(0.7, "after-download", '"0"', '"0"', *map('"%s"'.__mod__, LIMITS))
    perhaps(0.4, "after-delivery", *map('"%s"'.__mod__, LIMITS))
    perhaps(0.4, "unread", *map('"%s"'.__mod__, LIMITS))
    perhaps(0.5, "unread-from", "first-seen", "delivery")
    perhaps(0.3, "minimum", '"0"', *map('"%s"'.__mod__, LIMITS[:-1]))
    perhaps(0.4, "unconfirmed-limit", 0, 1, 1, 2, 3)
    perhaps(0.4, "top", "allow", "headers", "deny", 1, 3, 20)
    perhaps(0.1, "login-delay", '"0"', '"1h"', '"1d"')
    perhaps(0.3, "dispose", "destroy", '"folder:Expired"', '"folder:Expired"')
    perhaps(0.25, "effective-from", *('"%s"' % day(r, 20, 12)
                                      for _ in range(3)))
    perhaps(0.15, "mode", "dry-run", "enforce")
    return 'retention "rule-%s" { users = "%s"\n%s}\n' % (
        user, user, "".join("\t%s\n" % l for l in lines))


def holds(r, user):
    found = []
    while r.random() < 0.12:
        until = '\tuntil = "%s"\n' % day(r, 8, 12) if r.random() < 0.6 else ""
        found.append('hold "hold-%d-%s" { users = "%s"\n%s}\n' % (
            len(found), user, user, until))
    return found


# ---- what the client does --------------------------------------------------

def command(r, count):
    n = r.randint(1, max(count, 1)) if r.random() < 0.96 else count + 1
    return r.choice((
        "RETR %d" % n, "RETR %d" % n, "RETR %d" % n, "RETR %d" % n,
        "DELE %d" % n, "DELE %d" % n, "DELE %d" % n,
        "TOP %d %d" % (n, r.choice((0, 0, 1, 3, 5, 20, 99999999))),
        "TOP %d %d" % (n, r.choice((0, 1, 3, 5, 20, 99999999))),
        "STAT", "LIST", "UIDL", "CAPA", "LIST %d" % n, "UIDL %d" % n,
        "NOOP", r.choice(("RSET", "NOOP")),
        r.choice(("retr %d" % n, "XYZZY", "RETR 0", "DELE x", "TOP 1",
                  "RETR", "LIST -1", "DELE 4294967297"))))


def session(r, messages):
    """Writes: what is in one is sent at once, and then all is awaited."""
    count = len(messages)
    writes = []
    if r.random() < 0.6:
        writes.append(["LIST"])
    if r.random() < 0.3:			# a client that fetches it all
        writes += [["RETR %d" % n] for n in range(1, count + 1)]
        if r.random() < 0.5:
            writes += [["DELE %d" % n] for n in range(1, count + 1)]
    for _ in range(r.choice((0, 1, 2, 3, 5, 8))):
        size = 1 if r.random() < 0.7 else r.randint(2, 6)
        writes.append([command(r, count) for _ in range(size)])
    if messages and r.random() < 0.06:		# by IMAP, say, meanwhile
        writes.append(["!remove " + r.choice(messages).name])
    end = r.choice(("quit",) * 6 + ("quit-at-once", "quit-at-once",
                                    "quit-and-away", "fin", "fin", "rst"))
    if end == "quit-at-once":
        last = writes.pop() if writes and writes[-1][0][0] != "!" else []
        writes.append(last + ["QUIT"])
    return writes, end


def accidents(r, messages):
    """What happens to a mailbox behind the server's back."""
    return ["%s %s" % (what, r.choice(messages).name)
            for what in ("remove", "flag") if messages and r.random() < 0.12]


def visits(r, messages):
    found = []
    for moment in range(MOMENTS):
        if r.random() < 0.2 and moment < MOMENTS - 1:
            continue
        before = accidents(r, messages) if moment else []
        writes, end = session(r, messages)
        found.append(Visit(moment, writes, end, before))
        if end == "quit" and r.random() < 0.15:		# and again at once
            found.append(Visit(moment, *session(r, messages), []))
    return found


def scenario(seed, user):
    r = random.Random("%s %s" % (seed, user))
    messages = mailbox(r, user, moments(seed))
    return Scenario(user, messages, rule(r, user), holds(r, user),
                    visits(r, messages))


def head(seed):
    """What the policy of a round begins with."""
    r = random.Random("%s head" % seed)
    return "audit-hash = %s\n" % r.choice(("on", "off")) + (
        "mode = dry-run\n" if r.random() < 0.1 else "")


def moments(seed):
    """The times of a round."""
    r, at, found = random.Random("%s moments" % seed), T0, []
    for moment in range(MOMENTS):
        found.append(at)
        at += r.choice(STEPS) * HOUR + LATER
    return found
