"""pseudonyms = yes: users and addresses are not in the audit log, and
everything that depends on them works all the same.

SPDX-License-Identifier: ISC
"""
import contextlib
import os
import re
import threading

import fixtures
from lib import OUTCOMES, Server, check, check_order, each, same, test
from test_policy_audit import log_size, strike

HIDDEN = "pseudonyms = yes\n" + 'retention "now" { after-download = "0" }\n'


def state(s):
    return s.dir + "/.popkeep/state"


def pseudonym(s, *names):
    return [line.split()[0]
            for line in s.tool("audit", "pseudonym", *names).splitlines()]


def intent_without_outcome(s):
    """Kill everything between the intents and the outcomes of a QUIT."""
    for _ in range(40):
        c = s.login()
        for n in range(1, c.stat()[0] + 1):
            c.ok("DELE %d" % n)
        thread = threading.Thread(target=strike, args=(s, "all", log_size(s)))
        thread.start()
        with contextlib.suppress(OSError, AssertionError):
            c.send("QUIT\r\n")
            c.line()
        thread.join()
        found = open_intents(s.audit())
        if found:
            return found
        s.login().quit()
        s.fill("ann", fixtures.cleans(300))
    raise AssertionError("no kill was amid intent and outcome")


def open_intents(records):
    last = {}
    for r in records:
        if r["event"] in ("dispose-intent",) + OUTCOMES:
            last[r["uidl"]] = r
    return [r for r in last.values() if r["event"] == "dispose-intent"]


@test
def pseudonyms_hide_users_and_addresses():
    """pseudonyms = yes: no name and no address is in the log, any more"""
    messages = fixtures.cleans(3)
    users = ("annabel", "roberta")
    with Server(messages=messages, users=users, policy=HIDDEN) as s:
        for user in users:
            c = s.login(user)
            c.multi("RETR 1")
            c.ok("DELE 2")
            c.quit()
        with s.connect() as c:
            c.ok("USER annabel")
            c.err("PASS wrong")
        s.until_events(1, "login-failed")
        with open(s.dir + "/audit.log") as f:
            text = f.read()
        for word in users + ("127.0.0.1",):
            check(word not in text, "%s is in the log" % word)
        names = pseudonym(s, "127.0.0.1", *users)
        same(len({*names}), 3, "pseudonyms")
        for user, name in zip(users, names[1:]):
            check(re.fullmatch("p:[0-9a-f]{32}", name), name)
            same(len(s.events("downloaded", user=name, ip=names[0])), 1,
                 "downloads")
            same(len(s.events("disposed", user=name)), 2, "disposed")
            same(len(s.events("login", user=name, ip=names[0])), 1, "logins")
        same(s.events("login-failed")[0]["user"], names[1], "user")
        same(check_order(s.audit()), set(), "open intents")
        key = state(s) + "/pseudonym.key"
        same(os.stat(key).st_mode & 0o7777, 0o600, "mode of the key")
        # The same after a restart, and with the directory named.
        s.restart()
        same(pseudonym(s, "127.0.0.1", *users), names, "pseudonyms")
        same(pseudonym(s, "--state", state(s), "roberta"),
             names[2:], "pseudonyms")
        s.tool("audit", "pseudonym", status=2)


@each(("yes", "yes"), ("no", "yes"), ("yes", "no"))
def pseudonyms_and_open_intents(before, after):
    """a crash amid a QUIT: its intents are found, whatever users are called"""
    with Server(messages=fixtures.cleans(300), settings=["audit-seal = 1"],
                policy="pseudonyms = %s\n" % before) as s:
        key = None
        if before == "yes":
            with open(state(s) + "/pseudonym.key") as f:
                key = f.read()
        found = intent_without_outcome(s)
        s.restart()
        s.reload("pseudonyms = %s\n" % after)
        s.login().quit()
        records = s.audit()
        same(open_intents(records), [], "open intents")
        name = pseudonym(s, "ann")[0]
        users = {}
        for r in records:
            if r["event"] in ("dispose-intent",) + OUTCOMES:
                users.setdefault(r["uidl"], []).append(r["user"])
        for r in found:
            same(users[r["uidl"]][-2:], [name if p == "yes" else "ann"
                                         for p in (before, after)], "users")
        with open(state(s) + "/pseudonym.key") as f:
            check(f.read() == key or key is None, "the key was replaced")
        # It is known of them that they are closed, after a restart too.
        at = len(s.audit())
        s.login().quit()
        s.restart()
        s.login().quit()
        same([r for r in s.audit()[at:] if r["event"] in OUTCOMES], [],
             "closed again")


@test
def pseudonyms_need_their_key():
    """a damaged key: such a policy is refused, and nothing is written over"""
    with Server(messages=fixtures.cleans(1), policy=HIDDEN) as s:
        key = state(s) + "/pseudonym.key"
        s.reload("pseudonyms = no\n")
        with open(key, "r+") as f:
            f.write("x")
        with open(key) as f:
            bad = f.read()
        s.restart()
        s.until_log("pseudonym.key: damaged: expected one line")
        s.reload(HIDDEN, good=False)
        s.until_log("pseudonyms = yes: ", "/pseudonym.key: damaged")
        s.tool("audit", "pseudonym", "ann", status=1)
        with open(key) as f:
            same(f.read(), bad, "the damaged key")
        s.login().quit()
        same(len(s.events("login", user="ann")), 1, "logins")
