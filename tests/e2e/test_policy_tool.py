"""popkeep, the tool, beside a popkeepd that runs: holds, sweeps, explanations,
the Retained place, and the policy.

SPDX-License-Identifier: ISC
"""
import json
import os
import random
import signal
import subprocess
import time

import fixtures
from lib import Server, built, check, check_order, each, same, test, until
from test_hardening import stopped
from test_policy_audit import (await_intent, bases, log_size,
                               rounds_until_closed)
from test_policy_brakes import NOW, WEEK, away, delete, download

DAY = 86400
T0 = 1800000000
OLD = 'retention "old" { after-delivery = "30d" %s }\n'


def old_mail(s, user="ann", count=3, age=31 * DAY, first=0):
    """Messages delivered so long ago."""
    s.fill(user, [])
    messages = [fixtures.clean(n + first) for n in range(count)]
    for n, message in enumerate(messages):
        s.deliver(user, message, when=int(s.now()) - age - n)
    return messages


def no_doubt(s):
    same(check_order(s.audit()), set(), "open intents")


# Holds.

@test
def hold_and_release():
    """hold add binds at once, release frees, and the next sweep purges"""
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy="") as s:
        opened = s.login()
        opened.ok("DELE 1")
        s.tool("hold", "add", "case", "--user", "ann", "--note", "a case")
        opened.quit()
        same((s.stored(), s.retained()), (messages[1:], messages[:1]),
             "files, held")
        listed = json.loads(s.tool("hold", "list", "--json"))
        check("case" in json.dumps(listed), listed)
        check("ann" in s.tool("hold", "list"), "hold list")
        # While it is in force nothing purges.
        uid = s.events("retained")[0]["uidl"]
        check(uid in s.tool("retained", "list", "ann"), "retained list")
        s.tool("retained", "purge", "ann", uid, status=1)
        s.tool("sweep", "--all")
        same(s.retained(), messages[:1], "retained, held")
        s.tool("hold", "release", "case", "--note", "closed")
        delete(s)
        same((s.stored(), s.retained()), (messages[2:], messages[:1]),
             "files, released")
        s.tool("sweep", "--user", "ann")
        same(s.retained(), [], "retained, swept")
        purged = s.until_events(1, "purged", user="ann")[0]
        same((purged["uidl"], purged["reason"]), (uid, "released"), "record")
        same([len(s.events(e)) for e in ("hold", "release")], [1, 1],
             "records of the hold")
        no_doubt(s)
        # A second time there is nothing to do, and nothing is recorded.
        before = len(s.events("dispose-intent", "purged", "disposed"))
        s.tool("sweep", "--user", "ann")
        same(len(s.events("dispose-intent", "purged", "disposed")), before,
             "records")


@test
def hold_release_sweep():
    """hold release --sweep purges at once; a hold twice is refused"""
    with Server(messages=fixtures.cleans(2), policy="") as s:
        s.tool("hold", "add", "case", "--user", "a*")
        s.tool("hold", "add", "case", "--user", "b*", status=1)
        delete(s)
        same(len(s.retained()), 1, "retained")
        s.tool("hold", "release", "case", "--sweep")
        same(s.retained(), [], "retained")
        s.until_events(1, "purged")
        s.tool("hold", "release", "case", status=1)
        no_doubt(s)


@test
def hold_survives():
    """a hold of the tool's is there after a restart, and after policyd's death"""
    with Server(messages=fixtures.cleans(3), policy=NOW) as s:
        s.tool("hold", "add", "case", "--user", "ann")
        s.restart()
        download(s)
        same(len(s.retained()), 1, "retained after a restart")
        s.kill("policyd")
        until(lambda: len(s.events("start", settle=False)) == 3, "it is back")
        until(lambda: s.login().quit() is None, "a login")
        time.sleep(0.2)
        download(s)
        same(len(s.retained()), 2, "retained after its death")
        same(s.events("disposed"), [], "disposed")


# Sweeps.

@test
def sweep_at_the_limit():
    """a sweep disposes at the limit, and not one second before"""
    with Server(users=("ann", "bob"), policy=OLD % "", at=T0) as s:
        messages = old_mail(s, age=30 * DAY - 1, count=1)
        old_mail(s, "bob", age=30 * DAY - 1, count=1)
        for argv in (["--all"], ["--user", "ann"]):
            s.tool("sweep", *argv)
            same(s.stored(), messages, "one second before")
        same(s.events("dispose-intent"), [], "records")
        s.restart(at=T0 + 1)
        s.tool("sweep", "--user", "ann")
        same((s.stored(), len(s.stored("bob"))), ([], 1), "at the limit")
        s.tool("sweep", "--all")
        same(s.stored("bob"), [], "of bob")
        done = s.until_events(2, "disposed", rule="old",
                              reason="after-delivery")
        same([r["user"] for r in done], ["ann", "bob"], "records")
        no_doubt(s)


@test
def sweep_dry_run():
    """sweep --dry-run says what it would do, and does and records nothing"""
    with Server(policy=OLD % "") as s:
        messages = old_mail(s)
        before = s.audit()
        check("ann" in s.tool("sweep", "--all", "--dry-run"), "it says so")
        same(s.audit(), before, "records")
        same(s.stored(), sorted(messages), "files")


@test
def sweep_of_dry_run_rule():
    """a sweep with a rule in dry-run records what it would do"""
    with Server(policy=OLD % "mode = dry-run") as s:
        messages = old_mail(s)
        s.tool("sweep", "--all")
        same(s.stored(), sorted(messages), "files")
        same(len(s.until_events(3, "would-dispose", user="ann")), 3, "records")
        same(s.events("dispose-intent"), [], "intents")


@test
def sweep_in_use():
    """a mailbox in use is skipped (3), unknown users are an error (1)"""
    with Server(users=("ann", "bob"), policy=OLD % "") as s:
        messages = old_mail(s)
        old_mail(s, "bob")
        with s.login() as c:
            s.tool("sweep", "--all", status=3)
            same(s.stored("bob"), [], "of bob, who is swept")
            same(s.stored(), sorted(messages), "of ann, who is in use")
            c.abort()
        until(lambda: s.login(wait=False).abort() is None, "free", 5)
        s.tool("sweep", "--user", "nobody-here", status=1)
        s.tool("sweep", status=2)
        s.login(wait=True).quit()
        same(s.stored(), [], "ann's own QUIT applies it as well")
        no_doubt(s)


@test
def sweep_keeps_out():
    """while a sweep has a mailbox a session gets [IN-USE], and none is harmed"""
    with Server(policy=OLD % "max-share = 100%") as s:
        old_mail(s, count=2000)
        refused = 0
        process = subprocess.Popen(
            [built("popkeep"), "-f", s.dir + "/.popkeep/popkeepd.conf",
             "sweep", "--all"], stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT)
        while process.poll() is None:
            with s.connect() as c:
                c.ok("USER ann")
                reply = c.command("PASS " + s.password("ann"))
                check(reply.startswith((b"+OK", b"-ERR [IN-USE]")),
                      "%r" % reply)
                refused += reply.startswith(b"-ERR")
        check(process.wait() in (0, 3), "exit status")
        check(refused > 0, "it was never in use")
        s.login().quit()
        same(s.stored(), [], "files")
        same(len(s.until_events(2000, "disposed")), 2000, "records")
        no_doubt(s)


@test
def sweep_max_share():
    """more than max-share and than 20 messages: skipped (3), until --force"""
    policy = OLD % "max-share = 50%"
    with Server(users=("ann", "bob", "carl"), policy=policy) as s:
        messages = old_mail(s, count=21)
        messages += [fixtures.clean(900 + n) for n in range(20)]
        for message in messages[21:]:
            s.deliver("ann", message, when=int(time.time()))
        old_mail(s, "bob", count=20)		# all, but not more than 20
        old_mail(s, "carl", count=25)		# a half of it: not more
        for n in range(25):
            s.deliver("carl", fixtures.clean(n), when=int(time.time()))
        s.tool("sweep", "--all", status=3)
        same([len(s.stored(u)) for u in s.users], [41, 0, 25], "files")
        brake = s.until_events(1, "brake")[0]
        same(brake["user"], "ann", "record")
        s.tool("sweep", "--all", status=3)
        same(len(s.stored()), 41, "files")
        s.tool("sweep", "--user", "ann", "--force")
        same(len(s.stored()), 20, "files after --force")
        same(len(s.until_events(66, "disposed")), 66, "records")
        no_doubt(s)


@test
def sweep_minimum():
    """what a minimum retained is purged when it has passed, not before"""
    policy = 'retention "r" { minimum = "40d" }\n'
    with Server(policy=policy, at=T0) as s:
        old_mail(s, count=1, age=31 * DAY)
        delete(s)
        same(len(s.retained()), 1, "retained")
        s.restart(at=T0 + 9 * DAY - 1)
        s.tool("sweep", "--all")
        same(len(s.retained()), 1, "one second before")
        check("minimum" in s.tool("retained", "list", "ann"), "list")
        s.tool("retained", "purge", "ann", "--all")	# kept, and said so
        s.restart(at=T0 + 9 * DAY)
        s.tool("sweep", "--all")
        same(s.retained(), [], "at it")
        s.until_events(1, "purged", user="ann")
        no_doubt(s)


@test
def sweep_held():
    """a sweep retains what a hold holds"""
    with Server(policy=OLD % "" + 'hold "h" { users = { "ann" } }\n') as s:
        messages = old_mail(s)
        s.tool("sweep", "--all")
        same((s.stored(), s.retained()), ([], sorted(messages)), "files")
        s.until_events(3, "retained", reason="hold:h")
        s.tool("sweep", "--all")
        same(s.retained(), sorted(messages), "a second time")
        same(len(s.events("dispose-intent")), 3, "records")


@test
def sweep_clock_brake():
    """a sweep disposes of nothing while the clock has run away"""
    with Server(policy=OLD % "", at=T0) as s:
        messages = old_mail(s)
        s.set_clock(T0 + 5000)
        s.until_log("away from the boot clock")
        s.tool("sweep", "--all", status=(0, 3))
        same(s.stored(), sorted(messages), "files")
        same(s.events("disposed"), [], "records")
        s.set_clock(T0)
        s.until_log("clock is back")
        s.tool("sweep", "--all")
        same(s.stored(), [], "when it is back")
        no_doubt(s)


@test
def sweep_without_policyd():
    """without policyd a sweep fails and disposes of nothing"""
    with Server(policy=OLD % "") as s:
        messages = old_mail(s)
        with away(s):
            s.tool("sweep", "--all", status=1)
            same(s.stored(), sorted(messages), "files")
        at = s.log().rindex("died of signal")
        s.until_log("policy: file=", after=at)
        s.tool("sweep", "--all")
        same(s.stored(), [], "files, when it is back")


@test
def sweep_killed():
    """a sweep killed at any instant: one place or a record, and it goes on"""
    users = {"ann": [], "held": []}
    policy = OLD % "max-share = 100%" + 'hold "h" { users = { "held" } }\n'
    with Server(users=list(users), policy=policy,
                settings=["audit-seal = 1"]) as s:
        s.seal_audit()
        for number in rounds_until_closed(s, 20):
            for user, names in users.items():
                s.fill(user, [])
                for n in range(10 - len(bases(s.maildir(user)))):
                    path = s.deliver(user, fixtures.clean(n),
                                     when=int(time.time()) - 40 * DAY)
                    names.append(os.path.basename(path))
            after = log_size(s)
            process = subprocess.Popen(
                [built("popkeep"), "-f", s.dir + "/.popkeep/popkeepd.conf",
                 "sweep", "--all"], stdout=subprocess.DEVNULL,
                stderr=subprocess.STDOUT, start_new_session=True)
            if number % 2:
                await_intent(s, after)
            else:
                time.sleep(random.random() * 0.04)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        s.tool("sweep", "--all")
        records = s.audit()
        same(check_order(records), set(), "open intents")
        s.verify_audit()
        for user, names in users.items():
            same(s.stored(user), [], "files of " + user)
            kept = bases(s.home(user) + "/popkeep-retained")
            same(sorted(kept), sorted(names if user == "held" else []),
                 "retained of " + user)
            for name in names:
                last = [r["event"] for r in records if
                        r.get("uidl") == name and r.get("user") == user][-1]
                check(last in ("disposed", "retained", "closed-unknown"),
                      "%s of %s: %s" % (name, user, last))
        closed = sum(r["event"] == "closed-unknown" for r in records)
        print(closed, "closed")
        check(closed > 0, "no kill between an intent and its outcome")


@each("sweep", "QUIT")
def hold_meanwhile(how):
    """a hold that comes while thousands are disposed of stops all but a few"""
    count, when = 8000, int(time.time()) - 40 * DAY
    with Server(users=["ann"], policy=OLD % "max-share = 100%") as s:
        for _ in range(count):
            s.deliver("ann", b"Subject: x\n\nx\n", when=when)
        if how == "sweep":
            process = subprocess.Popen(
                [built("popkeep"), "-f", s.dir + "/.popkeep/popkeepd.conf",
                 "sweep", "--all"], stdout=subprocess.DEVNULL)
        else:
            c = s.login()
            c.send("QUIT\r\n")
        until(lambda: len(os.listdir(s.maildir() + "/new")) < count,
              "the first goes")
        s.tool("hold", "add", "race", "--user", "ann")
        if how == "sweep":
            same(process.wait(60), 0, "exit status")
        else:
            check(c.status("QUIT").startswith(b"+OK"), "QUIT")
        if s.stored():
            s.tool("sweep", "--all")
        records = s.audit()
        events = [r["event"] for r in records]
        at = events.index("hold")
        check(all(r.get("reason") == "hold:race" for r in records[at:] if
                  r["event"] == "dispose-intent"), "intents after the hold")
        # What was intended before is a packet of records.
        late = events[at:].count("disposed")
        check(late < 1500, "%d disposed of after the hold" % late)
        same(events.count("disposed") + len(s.retained()), count, "messages")
        same(events.count("retained"), len(s.retained()), "retained")
        same(check_order(records), set(), "open intents")
        print("%d before it, %d after" % (events[:at].count("disposed"), late))


@test
def sweep_completes():
    """what a session left open when it was killed, a sweep closes"""
    with Server(messages=fixtures.cleans(4), policy=NOW) as s:
        c = s.login()
        c.multi("RETR 1")
        c.ok("DELE 2")
        with stopped(s.role("policyd")):
            c.err("QUIT", "SYS/TEMP")
        s.until_events(2, "dispose-intent")
        s.tool("sweep", "--all")
        s.until_events(2, "closed-unknown")
        no_doubt(s)


# Explanations.

@test
def explains():
    """explain --json tells what a sweep then does, and why"""
    policy = OLD % 'unread = "10d" unread-from = delivery'
    with Server(policy=policy, at=T0) as s:
        old_mail(s, count=2)
        old_mail(s, count=2, age=5 * DAY, first=10)
        told = json.loads(s.tool("explain", "--json", "ann"))
        same((told["user"], told["rule"]["name"]), ("ann", "old"), "rule")
        due = [m["uidl"] for m in told["messages"]
               if m["verdict"] == "dispose"]
        kept = [m for m in told["messages"] if m["verdict"] == "keep"]
        same((len(due), len(kept)), (2, 2), "verdicts: %s" % told)
        check(all(m["changes"] for m in kept), "changes: %s" % kept)
        s.tool("sweep", "--all")
        same(sorted(r["uidl"] for r in s.events("disposed")), sorted(due),
             "disposed of")
        same(sorted(bases(s.maildir())), sorted(m["uidl"] for m in kept),
             "kept")
        check("old" in s.tool("explain", "ann"), "the text")
        s.tool("explain", "nobody-here", status=1)
        with s.login():
            s.tool("explain", "ann", status=1)


# The Retained place.

@test
def restores():
    """retained restore brings a message back, with its unique-id; both recorded"""
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy="") as s:
        with s.login() as c:
            uids = c.uids()
            c.quit()
        s.tool("hold", "add", "case", "--user", "ann")
        for _ in range(2):
            delete(s)
        same(len(s.retained()), 2, "retained")
        s.tool("retained", "restore", "ann", uids[0])
        same((len(s.stored()), len(s.retained())), (2, 1), "files")
        s.until_events(1, "restored", user="ann", uidl=uids[0])
        with s.login() as c:
            same(sorted(c.uids()), sorted([uids[0], uids[2]]), "unique-ids")
            c.quit()
        s.tool("retained", "restore", "ann", "--all")
        same(s.stored(), sorted(messages), "files")
        s.tool("retained", "restore", "ann", "no-such-id", status=1)
        no_doubt(s)


@test
def purges():
    """retained purge removes what nothing forbids, one or all"""
    with Server(messages=fixtures.cleans(3), policy="") as s:
        s.tool("hold", "add", "case", "--user", "ann")
        for _ in range(3):
            delete(s)
        uids = sorted(r["uidl"] for r in s.events("retained"))
        s.tool("retained", "purge", "ann", "--all")	# kept, and said so
        same(len(s.retained()), 3, "retained, held")
        s.tool("hold", "release", "case")
        s.tool("retained", "purge", "ann", uids[0])
        same(len(s.retained()), 2, "retained after one")
        s.tool("retained", "purge", "ann", "--all")
        same(s.retained(), [], "retained after all")
        same(sorted(r["uidl"] for r in s.until_events(3, "purged")), uids,
             "records")
        no_doubt(s)


# The policy.

@test
def accepts():
    """policy accept lets a braked rule act, also after policyd's death"""
    messages = fixtures.cleans(3)
    with Server(messages=messages, policy=WEEK % "") as s:
        s.reload((WEEK % "").replace("7d", "0"))
        s.until_events(1, "brake")
        check("brake" in s.tool("policy"), "popkeep policy")
        download(s)
        same(len(s.stored()), 3, "files, braked")
        s.tool("policy", "accept")
        check("brake" not in s.tool("policy"), "popkeep policy")
        s.login().quit()
        same(len(s.stored()), 2, "files, accepted")
        s.kill("policyd")
        until(lambda: len(s.events("start", settle=False)) == 2, "it is back")
        until(lambda: s.login().quit() is None, "a login")
        time.sleep(0.2)
        download(s)
        same(len(s.stored()), 1, "files, after its death")
        same(len(s.events("brake")), 1, "brakes")
        no_doubt(s)


@test
def reloads_by_tool():
    """popkeep policy reload: as SIGHUP; an error is told and changes nothing"""
    with Server(messages=fixtures.cleans(2), policy="") as s:
        place = s.dir + "/.popkeep/policy/policy.conf"
        with open(place, "w") as f:
            f.write('hold "h" { users = { "ann" } }\n')
        s.tool("policy", "reload")
        delete(s)
        same(len(s.retained()), 1, "retained")
        with open(place, "w") as f:
            f.write('hold "h" { users = 17\n')
        s.tool("policy", "reload", status=1)
        delete(s)
        same(len(s.retained()), 2, "retained")


@test
def checks():
    """check: 0 where all is fine, 1 with file and line where it is not"""
    with Server(users=("ann",), policy=NOW) as s:
        s.tool("check")
        bad = s.dir + "/bad.conf"
        with open(bad, "w") as f:
            f.write('\nretention "x" { after-download = "soon" }\n')
        done = subprocess.run(
            [built("popkeep"), "-f", s.dir + "/.popkeep/popkeepd.conf",
             "check", "-p", bad], capture_output=True, text=True, timeout=20)
        same(done.returncode, 1, "exit status")
        text = done.stdout + done.stderr
        check(bad + ":2" in text and "after-download" in text, text)
        s.rules = {"ann": "no-such-rule"}
        s.restart()
        s.tool("check", status=1)
