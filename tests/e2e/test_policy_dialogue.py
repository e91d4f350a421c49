"""What the client is told of the policy: EXPIRE and LOGIN-DELAY in CAPA, the
login that comes too early, and TOP.

SPDX-License-Identifier: ISC
"""
import time

import fixtures
from lib import Server, check, each, same, test, until

DAY = 86400


def capa(c):
    return {l.split()[0]: l.split()[1:] for l in c.lines("CAPA")}


def shown(c):
    """EXPIRE and LOGIN-DELAY as they are shown; None: it is not."""
    lines = capa(c)
    return tuple(" ".join(lines[k]) if k in lines else None
                 for k in ("EXPIRE", "LOGIN-DELAY"))


# The rule -> before login; ann after login; bob (no rule) after login.
SHOWN = {
    "": (("NEVER", None), ("NEVER", None), ("NEVER", None)),
    'after-download = "0"':
        (("0 USER", None), ("0", None), ("NEVER", None)),
    'after-download = "7d" unread = "36h"':
        (("1 USER", None), ("1", None), ("NEVER", None)),
    'after-delivery = "30d" minimum = "90d" dispose = "folder:Old"':
        (("30 USER", None), ("30", None), ("NEVER", None)),
    'after-download = "0" mode = dry-run':
        (("NEVER", None), ("NEVER", None), ("NEVER", None)),
    'login-delay = "15m"':
        (("NEVER", "900 USER"), ("NEVER", "900"), ("NEVER", "0")),
    'login-delay = "15m" after-download = "3d"':
        (("3 USER", "900 USER"), ("3", "900"), ("NEVER", "0")),
}


@each(*SHOWN)
def shown_in_capa(rule):
    """EXPIRE and LOGIN-DELAY in CAPA, before and after login"""
    policy = 'retention "r" { users = { "ann" } %s }\n' % rule if rule else ""
    before, ann, bob = SHOWN[rule]
    with Server(users=("ann", "bob"), policy=policy) as s:
        for tls in (False, True):
            with s.connect(tls) as c:
                same(shown(c), before, "before login")
        for user, expected in (("ann", ann), ("bob", bob)):
            with s.login(user, tls=user == "ann") as c:
                same(shown(c), expected, user + " after login")
                c.quit()


@test
def shown_of_many_rules():
    """before login: the smallest EXPIRE and the largest LOGIN-DELAY of all"""
    policy = """
retention "a" { users = { "ann" } after-download = "9d" login-delay = "1m" }
retention "b" { users = { "bob" } unread = "2d" login-delay = "10m" }
retention "c" { after-delivery = "40d" }
"""
    with Server(users=("ann", "bob", "carl"), policy=policy) as s:
        with s.connect() as c:
            same(shown(c), ("2 USER", "600 USER"), "before login")
        for user, expected in (("ann", ("9", "60")), ("bob", ("2", "600")),
                               ("carl", ("40", "0"))):
            with s.login(user) as c:
                same(shown(c), expected, user)
                c.quit()


@test
def shown_before_effective():
    """EXPIRE of a rule that is not in effect yet counts from then on"""
    start = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 12 * DAY))
    with Server(policy='retention "r" { after-download = "0" '
                'effective-from = "%s" }\n' % start) as s:
        with s.connect() as c:
            same(shown(c)[0], "11 USER", "before login")
        with s.login() as c:
            same(shown(c)[0], "11", "after login")
            c.quit()


@test
def hold_not_shown():
    """a hold changes nothing in CAPA"""
    rule = 'retention "r" { after-download = "7d" }\n'
    with Server(policy=rule) as s:
        with s.login() as c:
            without = c.lines("CAPA")
            c.quit()
        s.reload(rule + 'hold "h" { users = { "ann" } }\n')
        with s.login() as c:
            same(c.lines("CAPA"), without, "CAPA")
            c.quit()


@test
def capa_follows_reload():
    """after a reload new connections see the new rules"""
    with Server(policy="") as s:
        with s.connect() as c:
            same(shown(c), ("NEVER", None), "before")
        s.reload('retention "r" { after-download = "8d" login-delay = "1m" '
                 'effective-from = "2020-01-01" }\n')

        def seen():
            with s.connect() as c:
                return shown(c)[1] == "60 USER"
        until(seen, "the new LOGIN-DELAY")
        # The rule is new: brake (c) holds its limits, not its delay.
        with s.login() as c:
            same(shown(c), ("NEVER", "60"), "after login")
            c.quit()


# login-delay.

@each("plain", "TLS")
def login_delay(where):
    """login-delay: too early is refused after the credentials, not on USER"""
    tls = where == "TLS"
    policy = 'retention "r" { users = { "ann" } login-delay = "10m" }\n'
    t0 = 1800000000
    messages = fixtures.cleans(2)
    with Server(users=("ann", "bob"), policy=policy, at=t0,
                messages=messages) as s:
        s.login(tls=tls).quit()
        for at in (t0, t0 + 300, t0 + 599):
            s.set_clock(at)
            with s.connect(tls) as c:
                c.ok("USER ann")
                c.err("PASS " + s.password("ann"), "LOGIN-DELAY")
                check(c.at_end(), "the connection goes on")
            # A wrong password is told nothing of it.
            with s.connect(tls) as c:
                c.ok("USER ann")
                c.err("PASS wrong", "AUTH")
            s.login("bob", tls=tls).quit()
        # What was refused has not begun the delay anew.
        s.set_clock(t0 + 600)
        s.login(tls=tls).quit()
        with s.connect(tls) as c:
            check(c.apop("ann", s.secret("ann")).startswith(
                b"-ERR [LOGIN-DELAY]"), "APOP")
        s.until_log("user=ann", "end=login-delay")
        same(s.stored(), sorted(messages), "files")


@test
def login_delay_dry_run():
    """login-delay of a dry-run, and of a rule not yet in effect, delays nobody"""
    for more in ("mode = dry-run", 'effective-from = "2999-01-01"'):
        with Server(policy='retention "r" { login-delay = "10m" %s }\n' %
                    more) as s:
            for _ in range(3):
                s.login().quit()


@test
def login_delay_forever():
    """a clock that was set back does not lock its user out"""
    with Server(policy='retention "r" { login-delay = "10m" }\n',
                at=1800000000) as s:
        s.login().quit()
        s.restart(at=1800000000 - 40 * DAY)
        s.login().quit()


# TOP.

BODY = fixtures.HEAD % (b"top", b"top") + b"".join(
    b"line %d\n" % n for n in range(5))


def tops(c):
    """The number of lines -> whether TOP is answered."""
    found = {}
    for lines in (0, 3, 4, 5, 99999999):
        reply = c.command("TOP 1 %d" % lines)
        found[lines] = reply.startswith(b"+OK")
        if found[lines]:
            same(c.body(), fixtures.top(BODY, lines), "TOP 1 %d" % lines)
    return found


@each(("allow", (0, 3, 4, 5, 99999999)), ("headers", (0,)), ("3", (0, 3)),
      ("5", (0, 3, 4, 5, 99999999)), ("deny", ()))
def top_limit(limit, answered):
    """top: more lines than allowed are refused, never fewer sent"""
    with Server(messages=[BODY], policy='retention "r" { top = %s }\n' %
                limit) as s:
        with s.login() as c:
            same({n for n, ok in tops(c).items() if ok}, set(answered), "TOP")
            same("TOP" in capa(c), limit != "deny", "TOP in CAPA")
            # And it is a refusal like others: the session goes on.
            same(c.multi("RETR 1"), fixtures.received(BODY), "RETR")
            c.quit()
        with s.connect() as c:
            check("TOP" in capa(c), "TOP in CAPA before login")


@test
def top_of_no_body():
    """top = headers: a message without a body has no line too many"""
    message = fixtures.HEAD % (b"none", b"none")
    with Server(messages=[message],
                policy='retention "r" { top = headers }\n') as s:
        with s.login() as c:
            same(c.multi("TOP 1 99999999"), fixtures.received(message), "TOP")
            c.quit()
