"""What stops disposals: a clock that runs away, a policy that suddenly deletes
more, and a policyd that is not there.

SPDX-License-Identifier: ISC
"""
import contextlib
import os
import signal
import time

import fixtures
from lib import (Server, check, check_order, each, family, same, test,
                 until)
from test_hardening import stopped
from test_policy_login import attempt

DAY = 86400
T0 = 1800000000
NOW = 'retention "now" { after-download = "0" }\n'
HOLD = 'hold "h" { users = { "ann" } }\n'


def download(s, *more, user="ann", number=1):
    c = s.login(user)
    c.multi("RETR %d" % number)
    for command in more:
        c.ok(command)
    c.quit()


def delete(s, user="ann", code=None):
    """DELE 1 and QUIT; code: QUIT is refused with it."""
    c = s.login(user)
    c.ok("DELE 1")
    if code:
        c.err("QUIT", code)
        check(c.at_end(), "octets after the reply to QUIT")
    else:
        c.quit()


# (a) The clock.

@each(3700, -3700)
def clock_runs_away(seconds):
    """the wall clock runs away: nothing by policy until it is back"""
    messages = fixtures.cleans(4)
    with Server(messages=messages, policy=NOW, at=T0) as s:
        download(s)
        same(len(s.stored()), 3, "before")
        s.set_clock(T0 + (3500 if seconds > 0 else -3500))
        download(s)
        same(len(s.stored()), 2, "within an hour")
        s.set_clock(T0 + seconds)
        s.until_events(1, "brake")
        download(s)
        same(len(s.stored()), 2, "by policy, braked")
        s.until_events(1, "would-dispose", reason="after-download")
        # What the client asks for itself is not braked.
        delete(s)
        same(len(s.stored()), 1, "by DELE, braked")
        s.set_clock(T0)
        s.until_events(2, "brake")
        download(s)
        same(s.stored(), [], "when it is back")
        same(check_order(s.audit()), set(), "open intents")
        for word in ("away from the boot clock", "is back"):
            s.until_log(word)


@test
def clock_runs_away_amid_session():
    """the clock runs away while a session is open: its QUIT is braked"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy=NOW, at=T0) as s:
        c = s.login()
        c.multi("RETR 1")
        s.set_clock(T0 + 5000)
        c.quit()
        same(s.stored(), sorted(messages), "files")
        s.until_events(1, "brake")
        same(s.events("disposed"), [], "disposed")
        same(check_order(s.audit()), set(), "open intents")


@test
def clock_stops_no_purge_of_dele():
    """braked by the clock, DELE under a minimum still retains"""
    with Server(messages=fixtures.cleans(1), at=T0, policy='retention "r" { '
                'minimum = "9000d" }\n') as s:
        c = s.login()
        c.ok("DELE 1")
        s.set_clock(T0 + 5000)
        c.quit()
        same((len(s.stored()), len(s.retained())), (0, 1), "files")
        s.until_events(1, "retained", reason="minimum")


# (c) A policy that deletes more.

WEEK = 'retention "r" { users = { "ann" } after-download = "7d" %s }\n'
# What becomes of WEEK % "" -> why its rule waits.
BRAKED = {
    "a shorter limit": 'retention "r" { users = { "ann" } '
                       'after-download = "0" }\n',
    "another limit": 'retention "r" { users = { "ann" } '
                     'after-download = "7d" after-delivery = "1d" }\n',
    "more users": 'retention "r" { users = { "a*" } after-download = "7d" '
                  'after-delivery = "1d" }\n',
    "a new rule": 'retention "n" { after-delivery = "1d" }\n' + WEEK % "",
    "another name": (WEEK % "").replace('"r"', '"q"').replace("7d", "1d"),
    "notice of an hour": WEEK.replace("7d", "0") % (
        'effective-from = "%s"' % time.strftime("%Y-%m-%d", time.gmtime(
            time.time()))),
}


@each(*BRAKED)
def braked_by_reload(what):
    """a reload that deletes more puts its rule in dry-run"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy=WEEK % "") as s:
        s.reload(BRAKED[what])
        brake = s.until_events(1, "brake")[0]
        check(brake["rule"] in ("r", "n", "q"), "record %s" % brake)
        s.until_log("brake:", "rule=" + brake["rule"], "policy accept")
        download(s)
        same(s.stored(), sorted(messages), "files")
        check(s.events("would-dispose") or what == "another name",
              "nothing would be")
        # EXPIRE tells of what really runs.
        with s.login() as c:
            check("EXPIRE NEVER" in c.lines("CAPA"), "EXPIRE")
            c.quit()
        # policyd forgets nothing when it dies.
        pid = s.role("policyd")
        s.kill("policyd")
        until(lambda: s.events("start")[1:] and s.role("policyd") != pid,
              "a new policyd")
        s.until_events(2, "brake")
        until(lambda: s.login().quit() is None, "a login")
        download(s)
        same(s.stored(), sorted(messages), "files after its death")
        same(s.events("disposed"), [], "disposed")
        # The old policy again, which was accepted: no brake.
        s.reload(WEEK % "")
        same(len(s.events("brake")), 2, "brakes")


@test
def not_braked_by_reload():
    """a reload that deletes no more, or with notice, brakes nothing"""
    later = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * DAY))
    with Server(policy=WEEK % "") as s:
        for policy in (
                WEEK % 'minimum = "1d"',
                (WEEK % 'minimum = "1d"').replace("7d", "9d"),
                (WEEK % ('minimum = "1d" effective-from = "%s"' % later))
                .replace("7d", "0")):
            s.reload(policy)
            same(s.events("brake"), [], "brakes by " + policy)


@test
def minimum_kept_by_brake():
    """a minimum that a reload shortens goes on until that is accepted"""
    with Server(messages=fixtures.cleans(2),
                policy='retention "r" { minimum = "9000d" }\n') as s:
        s.reload('retention "r" { minimum = "1d" }\n')
        s.until_events(1, "brake")
        delete(s)
        same((len(s.stored()), len(s.retained())), (1, 1), "files")
        s.until_events(1, "retained", reason="minimum")


# policyd is not there.

def broken(s):
    return s.dir + "/.popkeep/policy/policy.conf"


@contextlib.contextmanager
def away(s):
    """policyd is gone, and cannot come back before the end."""
    with open(broken(s), "rb") as f:
        good = f.read()
    with open(broken(s), "wb") as f:
        f.write(b"this is no policy\n")
    pid = s.role("policyd")
    s.kill("policyd")
    s.until_log("policyd: pid=%d died of signal" % pid)
    try:
        yield
    finally:
        with open(broken(s), "wb") as f:
            f.write(good)


def back(s, user="ann", after=None):
    """policyd is there again, and disposals are possible.

    after: where in the log its start is to be looked for; None: at its end."""
    s.until_log("policy: file=",
                after=len(s.log()) if after is None else after)

    def works():
        if not s.stored(user):
            s.deliver(user, fixtures.clean(77))
        count = len(s.stored(user))
        c = s.login(user)
        c.ok("DELE 1")
        c.command("QUIT")
        return len(s.stored(user)) == count - 1
    until(works, "a DELE is carried out")


POLICIES = {"rule": NOW, "hold": HOLD, "none": ""}


@each(*[(kind, audit) for kind in POLICIES
        for audit in ("required", "best-effort")])
def away_at_quit(kind, audit):
    """policyd is gone at QUIT: -ERR [SYS/TEMP], and the message stays"""
    messages = fixtures.cleans(3)
    policy = "audit = %s\n" % audit + POLICIES[kind]
    relaxed = (kind, audit) == ("none", "best-effort")
    with Server(messages=messages, policy=policy) as s:
        c = s.login()
        c.multi("RETR 1")
        c.ok("DELE 2")
        with away(s):
            if relaxed:
                c.quit()
            else:
                c.err("QUIT", "SYS/TEMP")
            same(s.stored(), sorted(messages if not relaxed else
                                    [messages[0], messages[2]]), "files")
            same(s.retained(), [], "retained")
            # Downloads alone are no reason to complain.
            c = s.login()
            c.multi("RETR 1")
            c.quit()
            same(len(s.stored()), 2 if relaxed else 3, "files")
        back(s)
        same(check_order(s.audit()), set(), "open intents")


@each("rule", "hold", "none")
def away_at_login(kind):
    """policyd is gone at login: logins go on, and nothing is disposed of"""
    messages = fixtures.cleans(3)
    policy = "audit = best-effort\n" + POLICIES[kind]
    with Server(messages=messages, policy=policy) as s:
        with away(s):
            for where in ("plain", "TLS"):
                for how in ("PASS", "APOP", "PLAIN"):
                    check(attempt(s, where, how, "ann")[:3] == b"+OK", how)
            delete(s, code="SYS/TEMP")
            download(s)
            c = s.login()
            c.ok("DELE 1")
            at = len(s.log())
        same(s.stored(), sorted(messages), "files")
        s.until_log("policy: file=", after=at)
        # Who came while it was away deletes nothing even when it is back.
        c.err("QUIT", "SYS/TEMP")
        same(s.stored(), sorted(messages), "files")
        back(s, after=at)


@test
def away_for_good():
    """policyd never comes back: mail is read, nothing goes, a stop is clean"""
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy="audit = best-effort\n" +
                POLICIES["rule"]) as s:
        with open(broken(s), "wb") as f:
            f.write(b"this is no policy\n")
        s.kill("policyd")
        until(lambda: not any("policyd" in line for line in
                              family(s.process.pid).values()), "it is gone")
        for _ in range(3):
            download(s)
            delete(s, code="SYS/TEMP")
            time.sleep(1)
        same(s.stored(), sorted(messages), "files")
        s.stop()
        same([r["event"] for r in s.audit() if r["event"] in
              ("dispose-intent", "disposed", "retained")], [], "records")


@test
def away_and_not_everybody():
    """policyd is gone, and not every user may log in so: [SYS/TEMP]"""
    policy = 'passwords { rule "n" { users = { "bob" } allow = never } ' \
        'rule "r" { allow = always } }\n' \
        'apop { rule "t" { users = { "ann" } allow = tls } ' \
        'rule "r" { allow = always } }\n'
    with Server(users=("ann", "carl"), policy=policy) as s:
        with away(s):
            for user in s.users:
                reply = attempt(s, "plain", "PASS", user)
                check(reply.startswith(b"-ERR [SYS/TEMP]"), "%r" % reply)
                reply = attempt(s, "plain", "APOP", user)
                check(reply.startswith(b"-ERR [SYS/TEMP]"), "%r" % reply)
                check(attempt(s, "TLS", "APOP", user)[:3] == b"+OK", "TLS")
            reply = attempt(s, "plain", "PASS", "carl", right=False)
            check(reply.startswith(b"-ERR [AUTH]"), "%r" % reply)

        def again():
            return attempt(s, "plain", "PASS", "carl")[:3] == b"+OK"
        until(again, "a login")


@test
def stopped_at_quit():
    """policyd does not answer at QUIT: -ERR, and its late intents are closed"""
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy=NOW) as s:
        c = s.login()
        c.multi("RETR 1")
        c.ok("DELE 2")
        with stopped(s.role("policyd")):
            began = time.monotonic()
            c.err("QUIT", "SYS/TEMP")
            check(time.monotonic() - began < 12, "it took too long")
            same(s.stored(), sorted(messages), "files")
        # They reached it, and it has written them down since.
        s.until_events(2, "dispose-intent")
        s.login().quit()
        closed = s.until_events(2, "closed-unknown")
        for r in closed:
            check("still there" in r["reason"], "%s" % r)
        same(check_order(s.audit()), set(), "open intents")
        delete(s)
        same(len(s.stored()), 1, "files: one was downloaded, one deleted")


@test
def stopped_at_login():
    """policyd does not answer at login: logins go on, late"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy=NOW) as s:
        with stopped(s.role("policyd")):
            began = time.monotonic()
            delete(s, code="SYS/TEMP")
            check(time.monotonic() - began < 25, "it took too long")
        same(s.stored(), sorted(messages), "files")
        until(lambda: attempt(s, "plain", "PASS", "ann")[:3] == b"+OK",
              "a login")
        delete(s)
        same(s.stored(), messages[1:], "files")


@test
def killed_between():
    """policyd is killed between login and QUIT, and is back: all goes on"""
    messages = fixtures.cleans(4)
    with Server(messages=messages, policy=NOW) as s:
        c = s.login()
        c.multi("RETR 1")
        c.ok("DELE 2")
        at = len(s.log())
        s.kill("policyd")
        s.until_log("policy: file=", after=at)
        until(lambda: s.events("start")[1:], "its start is recorded")
        time.sleep(0.2)		# the new channel is on its way
        c.quit()
        same(s.stored(), messages[2:], "files")
        s.until_events(2, "disposed")
        same(check_order(s.audit()), set(), "open intents")


@each("off", "best-effort")
def audit_off(audit):
    """audit = off needs neither rule nor hold; then it is as if it were not"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy="audit = %s\n" % audit) as s:
        delete(s)
        same(s.stored(), messages[1:], "files")
        count = len(s.events("disposed"))
        same(count, 0 if audit == "off" else 1, "records")
        s.reload("audit = off\n" + NOW, good=False)
