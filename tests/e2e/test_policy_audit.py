"""Nothing lost, everything recorded: intents before outcomes, processes killed at
any instant, and a log that cannot be written.

SPDX-License-Identifier: ISC
"""
import concurrent.futures
import contextlib
import os
import random
import signal
import threading
import time

import fixtures
from lib import (Server, check, check_order, each, family, needs_root, same,
                 test, until)
from test_policy_brakes import delete, download
from test_policy_protect import mount, unmount

NOW = 'retention "now" { after-download = "0" }\n'


def bases(place):
    """The base names of the messages in a Maildir."""
    return [name.split(":2,")[0] for folder in ("new", "cur")
            for name in os.listdir("%s/%s" % (place, folder))] \
        if os.path.isdir(place + "/new") else []


# Which user is treated how; nobody has a rule that says nothing.
POLICY = """
retention "folder" { users = { "folder" } after-download = "0"
                     dispose = "folder:Expired" }
retention "minimum" { users = { "minimum" } minimum = "9000d" }
retention "now" { users = { "now", "held" } after-download = "0" }
hold "h" { users = { "held" } }
"""
USERS = ("now", "folder", "minimum", "held", "free")
COUNT = 6


def places(s, user):
    return [s.maildir(user), s.home(user) + "/popkeep-retained",
            s.maildir(user) + "/.Expired"]


def session(s, user, start):
    """RETR half of it and DELE the other half, then QUIT when all others do."""
    with s.login(user) as c:
        for n in range(1, c.stat()[0] + 1):
            if n % 2:
                c.multi("RETR %d" % n)
            else:
                c.ok("DELE %d" % n)
        start.wait(s.patience)
        time.sleep(random.random() * 0.003)
        # Whether it is answered depends on who is killed.
        with contextlib.suppress(OSError, AssertionError):
            c.send("QUIT\r\n")
            c.line()


def log_size(s):
    return os.stat(s.dir + "/audit.log").st_size


def await_intent(s, after, seconds=5):
    """Until the log has an intent behind that octet: then a kill hits best."""
    end = time.monotonic() + seconds
    with open(s.dir + "/audit.log", "rb") as f:
        f.seek(after)
        text = b""
        while b"dispose-intent" not in text and time.monotonic() < end:
            text += f.read()


# How often: so many times what a whole run of the tests does.
KILLS = int(os.environ.get("POPKEEP_KILLS", "1"))


def rounds_until_closed(s, rounds):
    """So many, and more of them until a kill was amid intent and outcome."""
    for number in range(10 * rounds * KILLS):
        if number >= rounds * KILLS and s.events("closed-unknown"):
            return
        yield number


def strike(s, what, after=None):
    """Kill one of the kind, or all of it, a moment from now.

    after: when an intent is in the log, behind that octet."""
    pids = list(family(s.process.pid)) if what == "all" else [s.role(what)]
    s.deaths = True
    if after is None:
        time.sleep(random.random() * 0.008)
    else:
        await_intent(s, after)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if what == "all":
        s.kill_all()
        s.start()


def settled(s, user):
    """A session that finds everything in order, and closes what was open."""
    with contextlib.suppress(OSError, AssertionError):
        s.login(user).quit()
        return True


def check_everything(s, delivered):
    """Each message is in one place, or is gone by a record that says so."""
    records = s.audit()
    same(check_order(records), set(), "open intents")
    of = {}
    for r in records:
        if "uidl" in r:
            of.setdefault((r["user"], r["uidl"]), []).append(r["event"])
    for user, names in delivered.items():
        there = [name for place in places(s, user) for name in bases(place)]
        for name in names:
            same(there.count(name) <= 1, True, "one place for %s" % name)
            history = of.get((user, name), [])
            if name in bases(s.maildir(user)):
                check("disposed" not in history and "retained" not in history,
                      "%s is there: %s" % (name, history))
                continue
            check("dispose-intent" in history and history[-1] in (
                "disposed", "retained", "closed-unknown"),
                "%s is gone: %s" % (name, history))
            if user in ("minimum", "held", "folder"):
                check(name in there, "%s of %s is lost: %s" % (
                    name, user, history))
        same(set(there) - set(names), set(), "messages from nowhere")
    return records


@each(("session", 30), ("policyd", 12), ("net", 5), ("auth", 3),
      ("all", 20))
def killed(what, rounds):
    """killed in UPDATE: each message is in one place, or gone with a record"""
    random.seed()
    delivered = {user: [] for user in USERS}
    with Server(users=USERS, policy=POLICY,
                settings=["audit-seal = 1"]) as s:
        s.deaths = True
        s.seal_audit()
        for user in USERS:
            s.fill(user, [])
        # net and auth have no part in UPDATE.
        for number in range(rounds * KILLS) if what in ("net", "auth") else \
                rounds_until_closed(s, rounds):
            for user in USERS:
                for n in range(COUNT - len(bases(s.maildir(user)))):
                    path = s.deliver(user, fixtures.clean(n))
                    delivered[user].append(os.path.basename(path))
            start = threading.Barrier(len(USERS) + 1)
            with concurrent.futures.ThreadPoolExecutor(len(USERS)) as pool:
                jobs = [pool.submit(session, s, user, start) for user in USERS]
                after = log_size(s)
                start.wait(20)
                strike(s, what, after if number % 2 else None)
                for job in jobs:
                    job.result()
            if what in ("policyd", "all"):
                until(lambda: len(s.events("start", settle=False)) >
                      number + 1, "policyd is back")
            for user in USERS:
                until(lambda: settled(s, user), "a session of " + user)
        records = check_everything(s, delivered)
        s.verify_audit()
        closed = [r for r in records if r["event"] == "closed-unknown"]
        print("%d intents, %d closed" % (sum(
            r["event"] == "dispose-intent" for r in records), len(closed)))
        check(closed or what in ("net", "auth"),
              "no kill between an intent and its outcome")


@each(1, 100)
def quick_sessions(per_process):
    """sessions in quick succession: no outcome is overtaken by the next one"""
    users = ["u%d" % n for n in range(4)]
    with Server(users=users, policy=NOW, messages=fixtures.cleans(60),
                settings=["sessions-per-process = %d" % per_process]) as s:
        def worker(user):
            for n in range(30):
                c = s.login(user)
                c.multi("RETR 1")
                c.ok("DELE 2")
                c.quit()
        with concurrent.futures.ThreadPoolExecutor(len(users)) as pool:
            list(pool.map(worker, users))
        for user in users:
            same(s.stored(user), [], "files of " + user)
        same(s.events("closed-unknown"), [], "closed-unknown")
        same(len(s.until_events(240, "disposed")), 240, "disposed")
        same(check_order(s.audit()), set(), "open intents")


@test
def chain_over_restarts():
    """one chain over restarts, and over a line that was torn"""
    with Server(policy=NOW, messages=fixtures.cleans(3)) as s:
        download(s)
        s.restart()
        download(s)
        s.stop()
        with open(s.dir + "/audit.log", "ab") as f:
            f.write(b'{"v":1,"seq":%d,"ti' % (len(s.audit()) + 1))
        s.start()
        download(s)
        same(len(s.until_events(3, "disposed")), 3, "disposed")
        same([len(s.events(e)) for e in ("start", "stop")], [3, 2], "starts")


@test
def tampered_log():
    """a log that was changed is not continued: popkeepd does not start"""
    with Server(policy=NOW, messages=fixtures.cleans(1)) as s:
        download(s)
        s.stop()
        with open(s.dir + "/audit.log", "rb") as f:
            text = f.read()
        with open(s.dir + "/audit.log", "wb") as f:
            f.write(text.replace(b'"disposed"', b'"vanished"'))
        # What is before the mark is not read again.
        os.unlink(s.dir + "/.popkeep/state/audit.mark")
        try:
            s.start()
            raise AssertionError("it starts")
        except AssertionError as error:
            check("audit" in str(error) and "chain" in str(error), str(error))
        s.process = None
        os.unlink(s.dir + "/serve.err")
        with open(s.dir + "/audit.log", "wb") as f:
            f.write(text)
        s.deaths = True
        s.start()


@test
def hostile_names():
    """no name, of a user or of a file, breaks a record or makes it impossible"""
    names = [b'"},{"event":"disposed"', b"a\\u0000b\\", b"\xff\xfe\x80", b"%n%s",
             b"x" * 200, b"a\tb", b"{}", b"\xe2\x80\xa8", b"'", b"a\x7fb"]
    with Server(policy=NOW, settings=["failure-delay = 0"]) as s:
        for name in names:
            for line in (b"APOP " + name + b" " + b"0" * 32,
                         b"USER " + name):
                with s.connect() as c:
                    c.command(line)
                    if line.startswith(b"USER"):
                        c.command(b"PASS x")
        for n, name in enumerate(('a "b" c', "back\\slash", "new\nline", "%s",
                                  "\x01\x02", "y" * 150)):
            with open("%s/cur/%s:2," % (s.maildir(), name), "wb") as f:
                f.write(fixtures.clean(n))
                os.fchown(f.fileno(), *os.stat(s.maildir())[4:6])
        c = s.login()
        count = c.stat()[0]
        same(count, 6, "messages")
        for n in range(1, count + 1):
            c.multi("RETR %d" % n)
        uids = c.uids()
        c.quit()
        same(s.stored(), [], "files")
        done = s.until_events(count, "disposed")
        same(sorted(r["uidl"] for r in done),
             sorted(u.replace("%", "%25") for u in uids), "unique-ids")
        check(len(s.events("login-failed")) >= len(names), "login-failed")
        same(check_order(s.audit()), set(), "open intents")


# A log that cannot be written.

def full(place):
    """Fill the file system of place."""
    with contextlib.suppress(OSError):
        with open(place + "/filler", "wb", 0) as f:
            while f.write(b"x" * 4096):
                pass


@each("rule", "none", "best-effort", "best-effort-rule")
def full_disk(kind):
    """no room for the audit log: no disposals, sessions go on, until there is"""
    needs_root("mounting a small file system needs root")
    messages = fixtures.cleans(6)
    policy = ("audit = best-effort\n" if "best" in kind else "") + \
        (NOW if "rule" in kind else "")
    relaxed = kind == "best-effort"
    with Server(messages=messages, policy=policy) as s:
        s.stop()
        place = s.dir + "/audit"
        mount(s, place, "512k")
        s.audit_log = place + "/audit.log"
        s.settings += ["audit-log = '%s'" % s.audit_log, "failure-delay = 0"]
        try:
            s.start()
            delete(s)
            same(len(s.stored()), 5, "files before")
            opened = s.login()		# and stays until there is no room
            opened.ok("DELE 1")
            full(place)
            # The last page of the log has room still.
            for _ in range(200):
                with s.connect() as c:
                    c.err("APOP ann 00112233445566778899aabbccddeeff")
            s.until_log("audit:", "nothing is disposed of until")
            if relaxed:
                opened.quit()
            else:
                opened.err("QUIT", "SYS/TEMP")
            left = 4 if relaxed else 5
            same(len(s.stored()), left, "files")
            for _ in range(3):		# sessions go on
                download(s)
            same(len(s.stored()), left, "files after downloads")
            delete(s, code=None if relaxed else "SYS/TEMP")
            left -= relaxed
            same(len(s.stored()), left, "files after a second DELE")
            os.unlink(place + "/filler")
            s.until_log("audit: it is written again")
            delete(s)
            # DELE, and of the downloads the one that was not deleted.
            same(len(s.stored()), left - 1, "files when there is room")
            same(check_order(s.audit()), set(), "open intents")
            check(len(s.events("downloaded")) >= 1, "downloads are recorded")
        finally:
            s.stop()
            unmount(place)
