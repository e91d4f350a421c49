"""Who may log in by what, from where and until when; and what those are told who
may not: nothing that a wrong password would not tell.

SPDX-License-Identifier: ISC
"""
import base64
import os

import fixtures
from lib import Server, check, each, same, test, until
from test_daemon import roles

T0 = 1800000000			# 2027-01-15 08:00:00

BY_USER = "".join("""
%s {
    rule "no" { users = { "never*" } allow = never }
    rule "tls" { users = { "tls*" } allow = tls }
    rule "yes" { users = { "always*", "ann" } allow = always }
}
""" % kind for kind in ("apop", "passwords"))
USERS = ("always", "tls", "never", "other")


def b64(text):
    return base64.b64encode(text.encode()).decode()


def by_apop(c, s, user, right):
    return c.apop(user, s.secret(user) if right else "wrong")


def by_pass(c, s, user, right):
    c.ok("USER " + user)
    return c.command("PASS " + (s.password(user) if right else "wrong"))


def by_plain(c, s, user, right):
    return c.command("AUTH PLAIN " + b64("\0%s\0%s" % (
        user, s.password(user) if right else "wrong")))


def by_login(c, s, user, right):
    for text in ("AUTH LOGIN", b64(user)):
        check(c.command(text).startswith(b"+ "), text)
    return c.command(b64(s.password(user) if right else "wrong"))


HOW = {"APOP": by_apop, "PASS": by_pass, "PLAIN": by_plain,
       "LOGIN": by_login}


def connect(s, where):
    c = s.connect(where == "TLS")
    if where == "STLS":
        c.stls()
    return c


def attempt(s, where, how, user, right=True):
    with connect(s, where) as c:
        reply = HOW[how](c, s, user, right)
        if reply.startswith(b"+OK"):
            c.quit()
    return reply


@each(*[(how, where) for how in HOW for where in ("plain", "TLS", "STLS")])
def rules_by_user(how, where):
    """never, tls and always by user; a refusal is what a wrong password gets"""
    with Server(users=USERS, policy=BY_USER, messages=fixtures.cleans(1),
                settings=["failure-delay = 0"]) as s:
        wrong = attempt(s, where, how, "always", right=False)
        check(wrong.startswith(b"-ERR [AUTH]"), "%r" % wrong)
        for user in USERS:
            allowed = user == "always" or (user == "tls" and where != "plain")
            reply = attempt(s, where, how, user)
            if allowed:
                check(reply.startswith(b"+OK"), "%s: %r" % (user, reply))
            else:
                same(reply, wrong, "the reply to " + user)
            same(attempt(s, where, how, user, right=False), wrong,
                 "the reply to %s, wrong" % user)
        same(attempt(s, where, how, "nobody-here", right=False), wrong,
             "the reply to who is not there")
        # Only the logs know more.
        s.until_log("login-failed:", "user=never", "reason=policy: rule no")
        s.until_log("login-failed:", "user=other", "reason=policy: no rule")
        if where == "plain":
            s.until_log("login-failed:", "user=tls", "asks for TLS")
        mech = {"PASS": "USER"}.get(how, how)
        failed = s.events("login-failed", user="never", mech=mech)
        same(sorted(f["reason"].startswith("policy") for f in failed),
             [False, True], "records of never")
        logins = {e["user"] for e in s.events("login")}
        same(logins, {"always"} if where == "plain" else {"always", "tls"},
             "records of logins")


NETWORKS = """
apop { rule "printers" { networks = { "127.0.0.2" } allow = always }
       rule "rest" { users = { "ann" } networks = { "127.0.0.0/29" }
                     allow = tls } }
passwords { rule "internal" { networks = { "127.0.0.2/31" } allow = always }
            rule "rest" { allow = tls } }
"""


@test
def rules_by_network():
    """rules by network: where they are offered, and where they are accepted"""
    with Server(policy=NETWORKS) as s:
        for source, apop, password in (
                ("127.0.0.1", "tls", "tls"), ("127.0.0.2", "always", "always"),
                ("127.0.0.3", "tls", "always"), ("127.0.0.9", None, "tls")):
            for tls in (False, True):
                with s.connect(tls, source) as c:
                    # On this port STLS can be had: a timestamp is of use.
                    same(b"<" in c.greeting, apop is not None,
                         "timestamp from %s" % source)
                    allowed = apop == "always" or (apop and tls)
                    if apop is not None:
                        same(c.apop("ann", s.secret("ann"))[:3] == b"+OK",
                             bool(allowed), "APOP from %s" % source)
                    else:
                        c.err("APOP ann 00112233445566778899aabbccddeeff")
                with s.connect(tls, source) as c:
                    allowed = password == "always" or tls
                    lines = c.lines("CAPA")
                    same("USER" in lines, allowed, "USER in CAPA")
                    same(any(l.startswith("SASL") for l in lines), allowed,
                         "SASL in CAPA")
                    reply = c.command("USER ann")
                    same(reply[:3] == b"+OK", allowed,
                         "USER from %s: %r" % (source, reply))
                    if allowed:
                        c.ok("PASS " + s.password("ann"))
                    else:
                        check(reply.startswith(b"-ERR [AUTH]") and
                              b"STLS" in reply, "no word of STLS: %r" % reply)
                        c.stls()
                        c.ok("USER ann")
                        c.ok("PASS " + s.password("ann"))


@each("", "apop { }", 'apop { rule "r" { allow = never } }',
      'apop { rule "r" { allow = always until = "2020-01-01" } }',
      'apop { rule "r" { networks = { "10.0.0.0/8" } allow = always } }')
def no_timestamp(block):
    """no timestamp in the greeting where no user could use APOP"""
    with Server(policy=block, secretless=() if block else ("ann",)) as s:
        for tls in (False, True):
            with s.connect(tls) as c:
                check(b"<" not in c.greeting, "%r" % c.greeting)
                c.err("APOP ann 00112233445566778899aabbccddeeff")
                c.ok("USER ann")
                c.ok("PASS " + s.password("ann"))
                c.quit()


@test
def no_blocks():
    """a policy without apop and passwords: no APOP, passwords inside TLS only"""
    with Server() as s:
        os.mkdir(s.dir + "/own")
        with open(s.dir + "/own/policy.conf", "w") as f:
            f.write("# nothing\n")
        s.settings.append("policy = '%s/own/policy.conf'" % s.dir)
        s.restart()
        with s.connect() as c:
            check(b"<" not in c.greeting, "%r" % c.greeting)
            c.err("USER ann", "AUTH")
            c.stls()
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.quit()
        with s.connect(tls=True) as c:
            check(b"<" not in c.greeting, "%r" % c.greeting)


@each("APOP", "PASS")
def until_has_passed(how):
    """a rule whose until has passed matches, and refuses"""
    block = {"APOP": "apop", "PASS": "passwords"}[how]
    policy = """%s { rule "sunset" { users = { "ann" } allow = always
        until = "2027-01-15" } rule "rest" { allow = always } }\n""" % block
    midnight = 1800057600
    with Server(users=("ann", "bob"), policy=policy, at=midnight - 1,
                settings=["failure-delay = 0"]) as s:
        for user in s.users:
            check(attempt(s, "plain", how, user).startswith(b"+OK"), user)
        s.set_clock(midnight)
        wrong = attempt(s, "plain", how, "bob", right=False)
        same(attempt(s, "plain", how, "ann"), wrong, "after its day")
        check(attempt(s, "plain", how, "bob").startswith(b"+OK"), "bob")
        s.until_events(1, "login-failed", user="ann")


@test
def warn_from():
    """warn-from: from that day on APOP still works, and is recorded"""
    policy = """apop { rule "sunset" { users = { "ann" } allow = always
        warn-from = "2027-01-16" until = "2027-06-30" }
        rule "rest" { allow = always } }\n"""
    midnight = 1800057600
    with Server(users=("ann", "bob"), policy=policy, at=midnight - 1) as s:
        for user in s.users:
            check(attempt(s, "plain", "APOP", user)[:3] == b"+OK", user)
        same(s.events("apop-warn"), [], "before its day")
        s.set_clock(midnight)
        for user in s.users:
            check(attempt(s, "plain", "APOP", user)[:3] == b"+OK", user)
        attempt(s, "plain", "APOP", "ann", right=False)
        warned = s.until_events(1, "apop-warn")[0]
        same((warned["user"], warned["rule"], warned["ip"]),
             ("ann", "sunset", "127.0.0.1"), "record")
        s.until_log("apop-warn: user=ann")


@test
def exclusive():
    """exclusive: who has a secret uses no password in clear"""
    policy = 'apop { rule "r" { allow = always } exclusive = yes }\n' \
        'passwords { rule "r" { allow = always } }\n'
    with Server(users=("ann", "bob"), policy=policy, secretless=("bob",),
                settings=["failure-delay = 0"]) as s:
        for how in ("PASS", "PLAIN", "LOGIN"):
            wrong = attempt(s, "plain", how, "ann", right=False)
            same(attempt(s, "plain", how, "ann"), wrong, how + " in clear")
            for where in ("TLS", "STLS"):
                check(attempt(s, where, how, "ann")[:3] == b"+OK", where)
            check(attempt(s, "plain", how, "bob")[:3] == b"+OK", "bob")
        check(attempt(s, "plain", "APOP", "ann")[:3] == b"+OK", "APOP")
        s.until_log("login-failed:", "user=ann", "reason=exclusive")


@each("pam", "store")
def minimum_secret(through):
    """minimum-secret: a shorter secret is refused like a wrong one"""
    policy = 'apop { rule "r" { allow = always } minimum-secret = %d }\n' % \
        len(Server.secret("ann") + "x")
    with Server(users=("ann", "anna"), policy=policy, settings=[
            "failure-delay = 0", "apop-through = " + through]) as s:
        wrong = attempt(s, "plain", "APOP", "anna", right=False)
        same(attempt(s, "plain", "APOP", "ann"), wrong, "one too short")
        check(attempt(s, "plain", "APOP", "anna")[:3] == b"+OK", "just so")
        s.until_log("login-failed:", "user=ann", "minimum-secret")


@test
def rules_after_reload():
    """a reload that takes APOP away takes the timestamp away, and gives it back"""
    never = 'apop { rule "r" { allow = never } }\n'
    with Server(policy="") as s:
        for policy, shown in ((never, False), ("", True)):
            s.reload(policy)

            def seen():
                with s.connect() as c:
                    return (b"<" in c.greeting) == shown
            until(seen, "greetings as in %r" % policy)
            if shown:
                check(attempt(s, "plain", "APOP", "ann")[:3] == b"+OK", "APOP")


@test
def old_net_new_policy():
    """a connection from before a reload is judged by the policy of now"""
    never = 'apop { rule "r" { users = { "ann" } allow = never } ' \
        'rule "s" { allow = always } }\n'
    with Server(users=("ann", "bob"), policy="",
                settings=["failure-delay = 0"]) as s:
        c, d = s.connect(), s.connect()
        s.reload(never)
        wrong = attempt(s, "plain", "APOP", "ann", right=False)
        same(c.apop("ann", s.secret("ann")), wrong, "ann")
        check(d.apop("bob", s.secret("bob"))[:3] == b"+OK", "bob")
        c.close()
        d.quit()


@test
def broken_reload():
    """a reload of a broken policy changes nothing, and says so"""
    with Server(policy=BY_USER, users=USERS,
                settings=["failure-delay = 0"]) as s:
        pids = roles(s)["policyd"]
        s.reload(BY_USER + 'retention "x" { after-download = "soon" }\n',
                 good=False)
        s.until_log("policy.conf:", "after-download")
        same(roles(s)["policyd"], pids, "policyd")
        for user, ok in (("always", True), ("never", False)):
            same(attempt(s, "plain", "APOP", user)[:3] == b"+OK", ok, user)
