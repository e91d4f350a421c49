"""What a rule or a hold protects from disposal: minimum and hold keep in the
Retained place, a folder instead of destruction; and which rule a user has.

SPDX-License-Identifier: ISC
"""
import os
import subprocess
import time

import fixtures
import test_clients
from lib import (Server, Skip, check, check_order, each, needs, needs_root,
                 private_dir, same, test, until)

DAY = 86400
T0 = 1800000000
HOLD = 'hold "case-17" { users = { "ann" } note = "a case" %s }\n'
NOW = 'retention "now" { after-download = "0" }\n'


def held(messages=None, policy=HOLD % "", **more):
    return Server(messages=messages or fixtures.cleans(3), policy=policy,
                  **more)


def check_retained(s, messages, reason, user="ann"):
    """These messages are in the Retained place, for that reason."""
    same(s.retained(user), sorted(messages), "retained")
    done = s.until_events(len(messages), "retained", user=user)
    for r in done:
        same(r["reason"], reason, "reason")
        same([e["event"] for e in s.events(uidl=r["uidl"])
              if e["event"] not in ("downloaded", "top-whole")],
             ["dispose-intent", "retained"], "records")
    same(s.events("disposed"), [], "disposed")
    same(check_order(s.audit()), set(), "open intents")


def check_private(s):
    """Nobody else may read the Retained place, and it is whole."""
    place = s.home() + "/popkeep-retained"
    mail = os.stat(s.maildir())
    for folder in ("", "/tmp", "/new", "/cur"):
        st = os.stat(place + folder)
        same((st.st_uid, st.st_gid, st.st_mode & 0o077),
             (mail.st_uid, mail.st_gid, 0), place + folder)
    same(os.listdir(place + "/tmp"), [], "tmp")


# Holds.

@each("plain", "TLS")
def held_dele(where):
    """DELE of a held message: +OK, gone from view, and retained"""
    messages = fixtures.cleans(3)
    with held(messages) as s:
        c = s.login(tls=where == "TLS")
        c.ok("DELE 1")
        c.ok("DELE 3")
        check(b"hold" not in c.ok("QUIT").lower(), "it is not disclosed")
        same(s.stored(), [messages[1]], "files")
        check_retained(s, [messages[0], messages[2]], "hold:case-17")
        check_private(s)
        same(s.login().stat()[0], 1, "messages next time")


@test
def held_download():
    """after-download = 0 of a held message retains it"""
    messages = fixtures.cleans(3)
    with held(messages, NOW + HOLD % "") as s:
        c = s.login()
        c.multi("RETR 2")
        c.quit()
        same(s.stored(), [messages[0], messages[2]], "files")
        check_retained(s, [messages[1]], "hold:case-17")


@each("fetchmail", "mpop", "getmail")
def held_from_client(name):
    """a client that deletes: it has it all, and so has the Retained place"""
    needs(name)
    messages = test_clients.clean_set()
    with held(messages, word=test_clients.WORD) as s, private_dir() as d:
        client = test_clients.BY_NAME[name](s, "tls", d, False)
        client.fetch()
        same(client.got(), sorted(messages), "what it got")
        test_clients.free_again(s)
        same(s.stored(), [], "files")
        check_retained(s, messages, "hold:case-17")


@test
def held_others():
    """a hold holds its own users' mail only"""
    messages = fixtures.cleans(2)
    with Server(users=("ann", "bob"), messages=messages,
                policy=HOLD % "") as s:
        for user in s.users:
            c = s.login(user)
            c.ok("DELE 1")
            c.quit()
            same(s.stored(user), messages[1:], "files of " + user)
        same(s.retained("ann"), messages[:1], "retained of ann")
        same(s.retained("bob"), [], "retained of bob")
        s.until_events(1, "disposed", user="bob", reason="dele")
        s.until_events(1, "retained", user="ann", reason="hold:case-17")


@test
def held_until():
    """a hold with until: in force to the last second of that day"""
    day = 1800403200		# 2027-01-20
    with held(policy=HOLD % 'until = "2027-01-19"', at=day - 1) as s:
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(len(s.retained()), 1, "retained one second before")
        s.restart(at=day)
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same((len(s.retained()), len(s.stored())), (1, 1), "after it")
        s.until_events(1, "disposed", reason="dele")


@test
def held_amid_session():
    """a hold that is added while a session is open binds its QUIT"""
    messages = fixtures.cleans(2)
    with held(messages, NOW) as s:
        c = s.login()
        c.multi("RETR 1")
        c.ok("DELE 2")
        s.reload(NOW + HOLD % "")
        s.until_events(1, "hold")
        c.quit()
        same(s.stored(), [], "files")
        check_retained(s, messages, "hold:case-17")


@test
def released_amid_session():
    """a hold that is released while a session is open binds no more"""
    messages = fixtures.cleans(2)
    with held(messages) as s:
        c = s.login()
        c.ok("DELE 1")
        s.reload("")
        same(len(s.until_events(1, "release")), 1, "records")
        c.quit()
        same((s.stored(), s.retained()), (messages[1:], []), "files")
        s.until_events(1, "disposed", reason="dele")


@test
def held_by_group():
    """a hold by group holds the group's members, and nobody else"""
    # Its primary group, on any system.
    policy = 'hold "all-mail" { users = { "@mail" } }\n'
    with Server(users=("ann", "mail"), messages=fixtures.cleans(1),
                policy=policy) as s:
        def resolved():
            # Until the group is resolved the hold counts as in force.
            for user in s.users:
                if not s.stored(user):
                    s.deliver(user, fixtures.clean())
                c = s.login(user)
                c.ok("DELE 1")
                c.quit()
            return s.events("disposed", user="ann")
        until(resolved, "ann is not held")
        same(s.events("disposed", user="mail"), [], "disposed of mail's")
        check(s.events("retained", user="mail", reason="hold:all-mail"),
              "retained of mail's")


@test
def two_holds():
    """what two holds hold stays when one of them is released"""
    both = HOLD % "" + (HOLD % "").replace("case-17", "case-18")
    with held(policy=both) as s:
        c = s.login()
        c.ok("DELE 1")
        s.reload((HOLD % "").replace("case-17", "case-18"))
        c.quit()
        same(len(s.retained()), 1, "retained")
        s.until_events(1, "retained", reason="hold:case-18")


@test
def same_message_again():
    """the same file name and contents again: one copy in the Retained place"""
    message = fixtures.clean()
    with held([message]) as s:
        for n in range(2):
            name = os.listdir(s.maildir() + "/new")[0]
            c = s.login()
            c.ok("DELE 1")
            c.quit()
            same(s.retained(), [message], "retained")
            same(s.stored(), [], "files")
            s.deliver("ann", message, name=name)
        # Another message of that name is another message.
        s.deliver("ann", fixtures.clean(2), name=name)
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(s.retained(), sorted([message, fixtures.clean(2)]), "retained")
        same(check_order(s.audit()), set(), "open intents")


def mount(s, place, size):
    """A small file system of its own at place, for the mailbox's owner."""
    needs_root("mounting a small file system needs root")
    owner = os.stat(s.maildir())
    os.makedirs(place, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=%s,mode=0700,uid=%d,gid=%d" % (
            size, owner.st_uid, owner.st_gid), "none", place],
        capture_output=True)
    if done.returncode != 0:
        raise Skip("cannot mount: %s" % done.stderr.decode().strip())


def unmount(place):
    for _ in range(50):
        if subprocess.run(["umount", place],
                          capture_output=True).returncode == 0:
            return
        time.sleep(0.1)


@test
def retained_elsewhere():
    """the Retained place on another file system: copied, synced, unlinked"""
    needs_root("mounting a small file system needs root")
    messages = fixtures.cleans(3)
    with held(messages) as s:
        place = s.home() + "/popkeep-retained"
        mount(s, place, "1m")
        try:
            c = s.login()
            c.ok("DELE 1")
            c.ok("DELE 2")
            c.quit()
            same(s.stored(), messages[2:], "files")
            check_retained(s, messages[:2], "hold:case-17")
        finally:
            unmount(place)


@test
def retained_full():
    """no room in the Retained place: QUIT says so, and the message stays"""
    needs_root("mounting a small file system needs root")
    messages = [fixtures.clean(1, 8000), fixtures.clean(2)]
    with held(messages) as s:
        place = s.home() + "/popkeep-retained"
        mount(s, place, "200k")
        try:
            c = s.login()
            c.ok("DELE 1")
            c.ok("DELE 2")
            c.err("QUIT")
            same(s.stored(), [messages[0]], "files")
            same(s.retained(), [messages[1]], "retained")
            s.until_events(1, "retained")
            closed = s.until_events(1, "closed-unknown")[0]
            check("still there" in closed["reason"], closed)
            same(s.events("disposed"), [], "disposed")
            same(os.listdir(place + "/tmp"), [], "tmp")
            same(check_order(s.audit()), set(), "open intents")
        finally:
            unmount(place)


# minimum.

@each("DELE 1", "RETR 1")
def minimum(how):
    """minimum: retained to the last second before that age, disposed of at it"""
    policy = 'retention "limits" { after-download = "0" minimum = "7d" }\n'
    with Server(policy=policy, at=T0 - 1) as s:
        s.fill("ann", [])
        for n in range(2):
            s.deliver("ann", fixtures.clean(n), when=T0 - 7 * DAY)
        for at, retained, stored in ((T0 - 1, 1, 1), (T0, 1, 0)):
            if s.at != at:
                s.restart(at=at)
            c = s.login()
            if how == "DELE 1":
                c.ok(how)
            else:
                c.multi(how)
            c.quit()
            same((len(s.retained()), len(s.stored())), (retained, stored),
                 "retained and stored at %d" % (at - T0))
        s.until_events(1, "retained", reason="minimum", rule="limits")
        s.until_events(1, "disposed", rule="limits", reason="dele" if
                       how == "DELE 1" else "after-download")
        same(check_order(s.audit()), set(), "open intents")


# dispose = folder.

@each("DELE 1", "RETR 1")
def to_a_folder(how):
    """dispose = folder:Expired moves there, for other programs to see"""
    policy = 'retention "limits" { after-download = "0" ' \
        'dispose = "folder:Expired" }\n'
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy=policy) as s:
        c = s.login()
        if how == "DELE 1":
            c.ok(how)
        else:
            c.multi(how)
        c.quit()
        same(s.stored(), messages[1:], "files")
        same(s.stored(maildir=s.maildir() + "/.Expired"), messages[:1],
             "files in the folder")
        check(os.path.exists(s.maildir() + "/.Expired/maildirfolder"),
              "it is no Maildir++ folder")
        same(s.retained(), [], "retained")
        s.until_events(1, "disposed", user="ann", rule="limits")
        same(check_order(s.audit()), set(), "open intents")
        # The maildrop is the INBOX alone.
        same(s.login().stat()[0], 1, "messages next time")


@test
def purged_to_a_folder():
    """dispose = folder:Expired: a purge moves to the maildrop's folder, too"""
    policy = 'retention "limits" { after-delivery = "never" ' \
        'dispose = "folder:Expired" }\n'
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy=policy +
                'hold "h" { users = { "ann" } }\n') as s:
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(s.retained(), messages[:1], "retained")
        s.reload(policy)
        s.tool("sweep", "--user", "ann")
        same(s.retained(), [], "retained after the release")
        same(s.stored(maildir=s.maildir() + "/.Expired"), messages[:1],
             "files in the folder")
        s.until_events(1, "purged", user="ann", reason="released")
        same(check_order(s.audit()), set(), "open intents")


# Which rule a user has.

RULES = """
retention "first" { users = { "bob", "*@example.org" } after-download = "1d" }
retention "second" { users = { "ann" } after-download = "2d" }
retention "unused" { users = { "nobody-at-all" } after-download = "3d" }
"""


def expire(s, user):
    with s.login(user) as c:
        lines = [l for l in c.lines("CAPA") if l.startswith("EXPIRE")]
        c.quit()
    return lines[0].split(" ", 1)[1]


@test
def rule_of_a_user():
    """the first rule that matches, the one that the users file names, or none"""
    with Server(users=("ann", "bob", "carl", "dave"), policy=RULES,
                messages=fixtures.cleans(1), rules={"dave": "unused"}) as s:
        for user, days in (("ann", "2"), ("bob", "1"), ("carl", "NEVER"),
                           ("dave", "3")):
            same(expire(s, user), days, "EXPIRE of " + user)


@test
def rule_that_is_not():
    """a users file that names no rule: [SYS/TEMP], and nothing else"""
    messages = fixtures.cleans(2)
    with Server(users=("ann", "bob"), policy=RULES, messages=messages,
                rules={"ann": "no-such-rule"}) as s:
        for tls in (False, True):
            with s.connect(tls) as c:
                c.ok("USER ann")
                c.err("PASS " + s.password("ann"), "SYS/TEMP")
                check(c.at_end(), "the connection goes on")
        s.until_log("no-such-rule")
        same(s.stored("ann"), sorted(messages), "files")
        s.login("bob").quit()
        # A reload mends it.
        s.reload(RULES + 'retention "no-such-rule" { users = { "x" } }\n')
        s.login("ann").quit()
