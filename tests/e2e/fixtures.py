"""Messages, from plain to nasty, and what a client must receive of each.

received() is a model of its own, written against RFC 1939 and not against the
engine: it works on the whole message at once.

SPDX-License-Identifier: ISC
"""
import re


def received(stored):
    """The octets of RETR, unstuffed, for a message stored as these octets.

    LF without CR becomes CRLF, other octets stay, and a message that does
    not end in LF gets a final CRLF; nothing stays nothing.
    """
    sent = re.sub(rb"(?<!\r)\n", b"\r\n", stored)
    if sent and not sent.endswith(b"\n"):
        sent += b"\r\n"
    return sent


def top(stored, lines):
    """The octets of TOP: header, empty line, and so many lines of the body."""
    rows = received(stored).split(b"\r\n")
    # What received() made ends in CRLF, so the last row is empty.
    rows.pop()
    if b"" in rows:
        header = rows.index(b"") + 1
        rows = rows[:header + lines]
    return b"".join(r + b"\r\n" for r in rows)


HEAD = (b"From: Ann Example <ann@example.org>\n"
        b"To: Bob <bob@example.org>\n"
        b"Subject: %s\n"
        b"Date: Mon, 6 Jul 2026 10:00:00 +0200\n"
        b"Message-ID: <%s@example.org>\n"
        b"\n")


def clean(number=1, lines=12):
    """A well-formed message with LF line ends that no client changes."""
    body = b"".join(b"Line %d of message %d, nothing special.\n" % (i, number)
                    for i in range(lines))
    return HEAD % (b"clean %d" % number, b"clean-%d" % number) + body


def cleans(count):
    return [clean(n, 3 + 5 * (n % 7)) for n in range(1, count + 1)]


def dotty(number=1):
    """Well formed, with lines that begin with dots."""
    return HEAD % (b"dots", b"dots-%d" % number) + (
        b".\n..\n...\n.leading\n middle . dot\n.\n\n.\nlast\n")


def nasty():
    """Name -> message, each legal in a Maildir and unpleasant somewhere."""
    head = HEAD % (b"nasty", b"nasty")
    every = bytes(range(256))
    return {
        "0 octets": b"",
        "1 octet": b"x",
        "one LF": b"\n",
        "one CR": b"\r",
        "one CRLF": b"\r\n",
        "one dot": b".",
        "one dot and LF": b".\n",
        "dot first": b".Received: by hand\nSubject: dot\n\nbody\n",
        "two dots first": b"..Received\n\nbody\n",
        "only dots": b".\n..\n...\n....\n.\n.\n",
        "dots, CRLF": b".\r\n..\r\n...\r\n.\r\n",
        "LF": head + b"one\ntwo\n",
        "CRLF": (head + b"one\ntwo\n").replace(b"\n", b"\r\n"),
        "mixed ends": head + b"one\r\ntwo\nthree\r\nfour\n",
        "no final newline": head + b"one\ntwo",
        "ends in CR": head + b"one\ntwo\r",
        "ends in CRLF CR": head + b"one\r\ntwo\r\n\r",
        "ends in a dot": head + b"one\n.",
        "bare CRs": head + b"a\rb\r\rc\r\r\nd\r\n\r\re\n",
        "CR before a dot": head + b"a\r.b\r\n.c\n\r.d\n",
        "NULs": head + b"a\0b\n\0\n.\0\n\0\0\0",
        "every octet": head + every + b"\n" + every[::-1] + b"\n" + every * 40,
        "8-bit": head + "Grüße, 東京\n".encode() + b"\xff\xfe\x80\n",
        "header only": b"Subject: no empty line\nX-Header: y\n",
        "header only, no LF": b"Subject: no empty line",
        "empty lines": b"\n" * 500,
        "empty CRLF lines": b"\r\n" * 500,
        "terminator inside": head + b"a\n.\nb\r\n.\r\nc\n\n.\n",
        "line of 70000": head + b"y" * 70000 + b"\nend\n",
        "From line": b"From nobody Mon Jul  6 10:00:00 2026\n" + head +
                     b"From here\n>From there\n",
    }


def huge():
    """The large ones: a line of 5 MB, and a message of 20 MB."""
    head = HEAD % (b"huge", b"huge")
    line = bytes(range(32, 127))[:77]
    return {
        "a line of 5 MB": head + b"z" * 5_000_000 + b"\n.\n",
        "5 MB without a line end": b"." * 5_000_000,
        "20 MB": head + (line + b"\n." + line + b"\n") * (20_000_000 // 157),
    }
