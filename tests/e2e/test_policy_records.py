"""What a record says of its message: the Message-ID, and the SHA-256 of what
the client has got.

SPDX-License-Identifier: ISC
"""
import hashlib
import poplib
import re

import fixtures
from lib import Server, check, check_order, each, needs, run, same, test

HASH = "audit-hash = on\n"
NOW = HASH + 'retention "now" { after-download = "0" }\n'
WORD = "word-of-"

LONG = b"<" + b"x" * 300 + b"@example.org>"
FILLED = b"".join(b"X-%d: %s\n" % (i, b"y" * 70) for i in range(700))


def header(line):
    return b"Subject: s\n" + line + b"To: t\n\n"


# Message -> message_id of its records; None: they have none.
IDS = {
    header(b"Message-ID: <lf@example.org>\n"): "<lf@example.org>",
    header(b"MESSAGE-id:<crlf@b>\n").replace(b"\n", b"\r\n"): "<crlf@b>",
    header(b"Message-ID:\n\t<folded@b>\n"): "<folded@b>",
    header(b"Message-ID:\n\t<folded2@b>\n").replace(b"\n", b"\r\n"):
        "<folded2@b>",
    header(b"Message-ID: <two@b>\nMessage-ID: <other@b>\n"): "<two@b>",
    header(b"Message-ID: (a comment) <c@b>   \n"): "(a comment) <c@b>",
    header(b"Message-ID: <every\0\x01\x7f\x80\xff\"\\%@b>\n"):
        "<every%01%7F%80%FF\"\\%25@b>",
    header(b"Message-ID: <a@b>\",\"event\":\"disposed\n"):
        "<a@b>\",\"event\":\"disposed",
    header(b"Message-ID: " + LONG + b"\n"): LONG[:250].decode(),
    header(b"Message-ID: " + b"\xff" * 300 + b"\n"): "%FF" * 250,
    header(b""): None,
    header(b"Message-ID:   \n"): None,
    header(b"Subject2: x\n Message-ID: <fold-of-another@b>\n"): None,
    b"To: x\n\nMessage-ID: <body@b>\n": None,
    b"Message-ID: <no-end@b>": "<no-end@b>",
    b"X: " + b"z" * 100000 + b"\nMessage-ID: <far@b>\n\n": None,
    header(FILLED + b"Message-ID: <near@b>\n"): "<near@b>",
    header(b"To: \0\0\0\nMessage-ID: <nul@b>\n"): "<nul@b>",
    b"": None,
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check_ids(s, place, *events):
    """Each message has these records, and they have its Message-ID.

    place: unique-id -> message."""
    records = s.audit()
    for uid, message in place.items():
        found = [r for r in records if r.get("uidl") == uid and
                 r["event"] in events]
        same([r["event"] for r in found], list(events), "records")
        for r in found:
            same(r.get("message_id"), IDS[message], "%s of %.60r" % (
                r["event"], message))
    same(check_order(records), set(), "open intents")


def uids(c, messages):
    return dict(zip(c.uids(), messages))


# The Message-ID.

@test
def id_of_downloads():
    """what is downloaded and disposed of has its Message-ID, hostile or not"""
    messages = list(IDS)
    with Server(messages=messages, policy=NOW) as s:
        c = s.login()
        place = uids(c, messages)
        for n, message in enumerate(messages, 1):
            same(c.multi("RETR %d" % n), fixtures.received(message), "RETR")
        c.ok("NOOP")
        c.quit()
        check_ids(s, place, "downloaded", "dispose-intent", "disposed")


@test
def id_of_dele_without_retr():
    """DELE of what this session has not read: its header is read"""
    messages = list(IDS)
    with Server(messages=messages) as s:
        c = s.login()
        place = uids(c, messages)
        for n in range(1, len(messages) + 1):
            c.ok("DELE %d" % n)
        c.quit()
        same(s.stored(), [], "files")
        check_ids(s, place, "dispose-intent", "disposed")
        for r in s.audit():
            check("sha256" not in r, "a hash of what nobody has read: %s" % r)


@test
def id_of_a_whole_top():
    """TOP of all of it, and a download that is not confirmed"""
    messages = list(IDS)
    with Server(messages=messages, policy=HASH) as s:
        c = s.login()
        place = uids(c, messages)
        for n in range(1, len(messages) + 1):
            c.multi("TOP %d 99999" % n)
        c.quit()
        check_ids(s, place, "top-whole")
        c = s.login()
        c.multi("RETR 1")
        c.close()
        r = s.until_events(1, "downloaded-unconfirmed")[0]
        same(r["message_id"], "<lf@example.org>", "message_id")
        same(r["sha256"], sha256(fixtures.received(messages[0])), "sha256")
        for r in s.events("top-whole"):
            check("sha256" not in r, "a hash by TOP: %s" % r)


@test
def id_in_the_sweep_and_what_is_retained():
    """the sweep, a hold, purging and restoring: every record has it"""
    messages = [m for m in IDS if m]
    policy = 'retention "r" { users = { "ann" } after-delivery = "1d" }\n'
    users = ("ann", "bob")
    with Server(messages=messages, users=users, policy=policy +
                'hold "h" { users = { "bob" } }\n') as s:
        with s.login("ann") as c:
            ann = uids(c, messages)
        with s.login("bob") as c:
            bob = uids(c, messages)
            for n in range(1, len(messages) + 1):
                c.ok("DELE %d" % n)
            c.quit()
        check_ids(s, bob, "dispose-intent", "retained")
        s.tool("sweep", "--user", "ann", "--force")
        same(s.stored("ann"), [], "files")
        check_ids(s, ann, "dispose-intent", "disposed")
        uid = next(iter(bob))
        s.tool("retained", "restore", "bob", uid)
        check_ids(s, {uid: messages[0]}, "dispose-intent", "retained",
                  "dispose-intent", "restored")
        s.reload(policy)
        s.tool("sweep", "--all")
        same(s.retained("bob"), [], "retained")
        del bob[uid]
        check_ids(s, bob, "dispose-intent", "retained", "dispose-intent",
                  "purged")


# The SHA-256.

def everything():
    return [*fixtures.nasty().values(), fixtures.dotty(),
            fixtures.dotty().replace(b"\n", b"\r\n"), *IDS]


def check_hashes(s, place, got):
    """got: what the client has, by unique-id."""
    records = s.audit()
    for uid in place:
        found = [r for r in records if r.get("uidl") == uid]
        same([r["event"] for r in found],
             ["downloaded", "dispose-intent", "disposed"], "records")
        for r in found:
            same((r["sha256"], r["size"]), (sha256(got[uid]), len(got[uid])),
                 "%s of %.60r" % (r["event"], got[uid]))


@each(("plain", False), ("TLS", False), ("plain", True))
def hash_of_downloads(where, pipelined):
    """the SHA-256 in the log is that of what the client has got"""
    messages = everything()
    with Server(messages=messages, policy=NOW) as s:
        c = s.login(tls=where == "TLS")
        place, got = uids(c, messages), {}
        if pipelined:
            c.send("".join("RETR %d\r\n" % n
                           for n in range(1, len(messages) + 1)))
        for n, uid in enumerate(place, 1):
            if not pipelined:
                c.send("RETR %d\r\n" % n)
            check(c.status().startswith(b"+OK"), "RETR %d" % n)
            got[uid] = c.body()
            same(got[uid], fixtures.received(place[uid]), "RETR")
        c.ok("NOOP")
        c.quit()
        check_hashes(s, place, got)


@test
def hash_of_large_messages():
    """of 20 MB, and of a line of 5 MB, too"""
    messages = list(fixtures.huge().values())
    with Server(messages=messages, policy=NOW) as s:
        c = s.login()
        place, got = uids(c, messages), {}
        for n, uid in enumerate(place, 1):
            got[uid] = c.multi("RETR %d" % n)
        c.ok("NOOP")
        c.quit()
        check_hashes(s, place, got)


@test
def hash_as_poplib_and_curl_see_it():
    """clients that others wrote have what the log says"""
    needs("curl")
    messages = [fixtures.dotty(), fixtures.dotty().replace(b"\n", b"\r\n"),
                fixtures.clean(3), b".\n.a\n..\n", b"no end\n."]
    with Server(messages=messages, policy=HASH, word=WORD) as s:
        p = poplib.POP3("127.0.0.1", s.port)
        p.user("ann")
        p.pass_(WORD + "ann")
        got = [b"".join(line + b"\r\n" for line in p.retr(n)[1])
               for n in range(1, len(messages) + 1)]
        p.quit()
        found = s.until_events(len(messages), "downloaded")
        same([r["sha256"] for r in found], [sha256(g) for g in got], "poplib")
        for n, data in enumerate(got, 1):
            same(sha256(run(["curl", "-sS", "--user", "ann:" + WORD + "ann",
                             "pop3://127.0.0.1:%d/%d" % (s.port, n)])),
                 sha256(data), "curl")


@test
def hash_only_of_what_was_asked_for():
    """without audit-hash there is none; half of a message has none"""
    messages = [fixtures.clean(1), fixtures.huge()["20 MB"]]
    with Server(messages=messages, policy="audit = required\n") as s:
        c = s.login()
        c.multi("RETR 1")
        c.ok("NOOP")
        c.ok("DELE 1")
        c.quit()
        check("sha256" not in s.until_events(1, "downloaded")[0], "a hash")
        check("sha256" not in s.until_events(1, "disposed")[0], "a hash")
        s.reload(HASH)
        c = s.login()
        c.send("RETR 1\r\n")
        c.line()
        c.abort()
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        for r in s.audit():
            check("sha256" not in r, "a hash: %s" % r)
        same(s.until_events(2, "disposed")[1]["message_id"],
             re.search(b"(?im)^message-id: (.*)$", messages[1])[1].decode(),
             "message_id")
