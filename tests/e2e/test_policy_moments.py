"""The policy at the worst moments: a disk that takes its time, a clock that jumps,
policyd that comes back between login and QUIT.

SPDX-License-Identifier: ISC
"""
import contextlib
import os
import subprocess
import time

import fixtures
from lib import SANITIZED, Server, Skip, check, each, needs, same, test, until
from test_policy_brakes import NOW, POLICIES, away, download
from test_policy_clock import DAY, T0, kept_at, server, visit
from test_policy_peers import (BRAKED, INTENT, NO_SERVICE, OK, STALE, Peer)

NEXT_YEAR = 1800403200		# 2027-01-20

STUCK = """
#include <sys/syscall.h>
#include <unistd.h>
int
fdatasync(int fd)
{
	while (access("%s/stuck", F_OK) == 0)
		usleep(10000);
	return (int)syscall(SYS_fdatasync, fd);
}
"""


@contextlib.contextmanager
def preloaded(s, source):
    """The server, started anew with a library of this source before all."""
    needs("cc")
    if SANITIZED:
        raise Skip("the sanitizers' libraries come first")
    s.stop()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", s.dir + "/first.so",
                    "-x", "c", "-"], input=source.encode(), check=True)
    os.environ["POPKEEPD_WRAPPER"] = "env LD_PRELOAD=%s/first.so" % s.dir
    s.start()
    yield


@each("RETR 1", "DELE 1")
def waits_for_the_disk(how):
    """nothing is disposed of before its intent is on disk"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy=NOW) as s, \
            preloaded(s, STUCK % s.dir):
        c = s.login()
        c.multi(how) if how[0] == "R" else c.ok(how)
        open(s.dir + "/stuck", "w").close()
        c.send("QUIT\r\n")
        until(lambda: "dispose-intent" in open(s.dir + "/audit.log").read(),
              "the intent is written")
        time.sleep(0.3)
        same(s.stored(), sorted(messages), "files before it is on disk")
        os.unlink(s.dir + "/stuck")
        check(c.status("QUIT").startswith(b"+OK"), "QUIT")
        same(s.stored(), messages[1:], "files")


@test
def changed_and_unknown():
    """best-effort, and a rule by group that is not known yet: nothing goes"""
    messages = fixtures.cleans(2)
    policy = "audit = best-effort\n"
    with Server(messages=messages, policy=policy) as s, \
            preloaded(s, NO_SERVICE):
        c = s.login()
        c.ok("DELE 1")
        s.reload(policy + 'retention "g" { users = { "@users" } '
                 'minimum = "9000d" }\n')
        s.until_log("the name service failed")
        c.err("QUIT", "SYS/TEMP")
        same(s.stored(), sorted(messages), "files")


@test
def read_while_away():
    """what was read while policyd was away is read"""
    with server('unread = "60d"', count=2) as s:
        visit(s, T0)
        with away(s):
            download(s)
        visit(s, T0 + 61 * DAY)
        same(len(s.stored()), 1, "files: one was read")


@test
def top_and_unconfirmed():
    """a whole TOP is read, whatever becomes of a RETR after it"""
    with server('unread = "60d" top = allow') as s:
        with s.login() as c:
            c.multi("TOP 1 9999")
            c.send("RETR 1\r\nQUIT\r\n")
            c.status()
            c.body()
            c.status()
        kept_at(s, T0 + 61 * DAY)


@test
def jump_ends_no_hold():
    """a clock that jumps beyond a hold's until ends it not, at login and amid"""
    day = NEXT_YEAR
    hold = 'hold "h" { users = { "ann" } until = "2027-01-19" }\n'
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy=hold, at=day - 10) as s:
        c = s.login()
        c.ok("DELE 1")
        s.set_clock(day + 9 * DAY)
        c.quit()
        same(s.retained(), messages[:1], "retained, amid a session")
        s.until_events(1, "brake")
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(s.retained(), messages[:2], "retained, after the jump")
        s.tool("sweep", "--all", status=(0, 3))
        same(s.retained(), messages[:2], "not purged")
        same(s.events("disposed", "purged"), [], "records")


@test
def jump_ends_no_minimum():
    """a clock that jumps beyond a minimum ends it not"""
    messages = fixtures.cleans(3)
    with Server(policy='retention "r" { minimum = "7d" }\n', at=T0) as s:
        s.fill("ann", [])
        for m in messages:
            s.deliver("ann", m, when=T0 - 7 * DAY + 100)
        c = s.login()
        c.ok("DELE 1")
        s.set_clock(T0 + 9 * DAY)
        c.quit()
        same(len(s.retained()), 1, "retained, amid a session")
        s.until_events(1, "brake")
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(len(s.retained()), 2, "retained, after the jump")
        s.tool("sweep", "--all", status=(0, 3))
        same(len(s.retained()), 2, "not purged")
        same(s.events("disposed", "purged"), [], "records")


@test
def intents_while_braked():
    """a clock that has run away: no intent by policy is taken, no hold ends"""
    day = NEXT_YEAR
    with Server(users=("ann", "bob"), at=day - 10, policy='retention "r" { }\n'
                'hold "h" { users = { "ann" } until = "2027-01-19" }\n') as s, \
            Peer(s) as p:
        s.set_clock(day + 9 * DAY)
        s.until_events(1, "brake")
        for reason in ("after-download", "after-delivery", "unread",
                       "released"):
            same(p.records("bob", [(INTENT, "1", reason)]), BRAKED, reason)
        same(p.records("bob", [(INTENT, "1", "dele")]), OK, "dele")
        same(p.records("ann", [(INTENT, "1", "dele")]), STALE, "of ann, held")


@each("rule", "none")
def back_at_quit(kind):
    """policyd was away at login and is back at QUIT: nothing is disposed of"""
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy="audit = best-effort\n" +
                POLICIES[kind]) as s:
        with away(s):
            c = s.login()
            c.multi("RETR 2")
            c.ok("DELE 1")
            at = len(s.log())
        s.until_log("policy: file=", after=at)
        until(lambda: s.events("start", settle=False)[1:], "its start")
        # The session process has the new channel when others are served.
        s.deliver("ann", messages[0])
        time.sleep(0.5)
        c.err("QUIT", "SYS/TEMP")
        same(len(s.stored()), 4, "files")
        same(s.events("dispose-intent"), [], "intents")
