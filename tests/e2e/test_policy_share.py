"""Processes of one user that do to policyd whatever they can: no record of
another user, no broken log, and a bounded delay for others.

SPDX-License-Identifier: ISC
"""
import contextlib
import grp
import json
import os
import pwd
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from lib import Skip, built, check, each, needs_root, read_audit, same, test, \
    until
from test_hardening import stopped
from test_policy_peers import DENIED, DISPOSED, DOWNLOADED, DURABLE, INTENT, \
    LOGIN, OK, QUIET, RECORDS, RELOAD, STATUS, UNFINISHED, USER, VERSION, \
    Peer, item, text

EVENTS = ("start stop policy login login-failed apop-warn downloaded "
          "downloaded-unconfirmed top-whole dispose-intent disposed retained "
          "purged restored vanished closed-unknown would-dispose sweep brake "
          "hold release seal pruned moved").split()
OUTCOMES = range(DISPOSED, EVENTS.index("would-dispose"))
# Of a mailbox's process.
OWN = [EVENTS.index("login"), *range(DOWNLOADED, EVENTS.index("sweep")),
       EVENTS.index("moved")]

# Accounts that systems have: of policyd, of virtual mailboxes, of two users.
POLICYD, MAIL, HOSTILE, VICTIM = "daemon", "mail", "games", "bin"
GROUP = "users"
NAMELESS = 61002

# Records that one user may have written between a request of another user and
# its answer: two turns, each of less than 1,024 and one packet (of 3,837).
TURNS = 2 * (1024 + 3600)

ALLOWED = 100				# connections of one user


def ids(user):
    try:
        return pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
    except KeyError:
        raise Skip("no user %s here" % user) from None


class Policyd:
    """A popkeep-policyd of its own, in a directory of its own."""

    def __init__(self, policy=""):
        needs_root("other users' processes need root")
        for user in (POLICYD, MAIL, HOSTILE, VICTIM):
            ids(user)
        self.dir = tempfile.mkdtemp(prefix="popkeep-e2e.")
        os.chmod(self.dir, 0o755)
        self.audit_log = self.dir + "/audit/audit.log"
        self.policy = policy

    def __enter__(self):
        with open(self.dir + "/policy.conf", "w") as f:
            f.write(self.policy)
        self.process = subprocess.Popen(
            [built("popkeep-policyd"), "-p", self.dir + "/policy.conf",
             "-a", self.audit_log, "-s", self.dir + "/.popkeep/policy.sock",
             "-S", self.dir + "/state", "-u", POLICYD, "-g", GROUP,
             "-m", MAIL, "-l", self.dir + "/log"])
        until(self.listens, "its socket")
        return self

    def listens(self):
        with contextlib.suppress(OSError), Peer(self):
            return True

    def __exit__(self, kind, value, trace):
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            status = self.process.wait(60)
            if kind is None:
                same(status, 0, "policyd's exit status")
                for word in ("Sanitizer", "runtime error:"):
                    check(word not in self.log(), self.log()[-3000:])
                self.verify()
        finally:
            self.process.kill()
            shutil.rmtree(self.dir)

    def log(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def verify(self):
        """The chain is whole; there are no seals."""
        done = subprocess.run(
            [built("popkeep"), "audit", "verify", self.audit_log],
            capture_output=True, text=True, timeout=120)
        check(done.returncode in (0, 3), "audit verify: %d: %s" % (
            done.returncode, done.stdout + done.stderr))

    def last(self):
        """The seq of the last whole line in the log."""
        with open(self.audit_log, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - 20000))
            return json.loads(f.read().splitlines(True)[-2])["seq"]

    def records(self):
        return read_audit(self.audit_log)

    def find(self, uidl):
        """The seq of the record of this unique-id."""
        with open(self.audit_log, "rb") as f:
            for line in f:
                if b'"%s"' % uidl.encode() in line:
                    return json.loads(line)["seq"]
        return None


@contextlib.contextmanager
def acting(user, act, *args):
    """act(*args) in a process of user; its pid, while it acts for ever."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([grp.getgrnam(GROUP).gr_gid])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(*[ids(user)] * 3)
            act(*args)
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def ask_as(user, act, *args):
    """What act(*args) returns in a process of user."""
    there, here = os.pipe()

    def tell():
        with os.fdopen(here, "w") as f:
            json.dump(act(*args), f)

    with acting(user, tell):
        os.close(here)
        with os.fdopen(there) as f:
            said = f.read()
    check(said, "the process of %s failed" % user)
    return json.loads(said)


def body(user, items, serial=0, context="flood"):
    return struct.pack("<Q", serial) + text(user) + \
        b"".join(map(text, (context, "", "", ""))) + b"\0" + \
        b"".join(item(*i) for i in items)


# ---- forging ----------------------------------------------------------------

def try_all(s, users):
    """Report every event for each of users: the results."""
    results = {}
    with Peer(s) as p:
        for user in users:
            results[user] = got = []
            for event in range(len(EVENTS)):
                if event in OUTCOMES:
                    p.records(user, [(INTENT, "m", "dele")])
                got.append(p.records(user, [(event, "m", "dele")]))
    return results


@each("a user", "nobody at all", "virtual mailboxes", "root")
def forging(who):
    """every event, for oneself and for others"""
    uid = {"a user": HOSTILE, "nobody at all": NAMELESS,
           "virtual mailboxes": MAIL, "root": 0}[who]
    users = [VICTIM, HOSTILE, "", "ann", HOSTILE.upper(), HOSTILE + "\0",
             "root"]
    with Policyd() as s:
        # A victim's intents that a forger might like to end.
        same(ask_as(VICTIM, lambda: [
            Peer(s).records(VICTIM, [(INTENT, "m", "dele")])]), [OK], "intent")
        results = ask_as(uid, try_all, s, users[:5] + users[6:])
        for user, got in results.items():
            for event, result in enumerate(got):
                may = event in OWN and (uid in (MAIL, 0) or
                                        user == uid) or uid == 0
                if EVENTS[event] in ("seal", "pruned"):
                    may = False
                same(result, OK if may else DENIED, "%s, %s of %r" % (
                    who, EVENTS[event], user))
        for r in s.records():
            by = r["peer"]["uid"]
            if by == ids(POLICYD):
                continue		# policyd's own
            if by in (ids(HOSTILE), ids(VICTIM)):
                same(r["user"], pwd.getpwuid(by).pw_name, "user of %s" % r)
            check(by != NAMELESS, "nobody's record: %s" % r)
            check(by == 0 or EVENTS.index(r["event"]) in OWN, "%s" % r)
        with Peer(s) as p:
            same(p.serial(VICTIM)[2], 1 if uid in (HOSTILE, NAMELESS) else 0,
                 "open intents of the victim")


# ---- nonsense ---------------------------------------------------------------

def valid_packets():
    """Of every kind, for MAIL's processes."""
    yield USER, text("ann") + text("")
    yield LOGIN, text("ann") + text("192.0.2.1") + b"\0\1"
    yield RECORDS, body("ann", [(DOWNLOADED, "1", "")] * 3)
    yield RECORDS, body("ann", [(e, "1", "dele") for e in OWN])
    yield UNFINISHED, text("ann")
    yield RELOAD, text("me")
    yield STATUS, b""
    yield 7, text("")			# NARROW


def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 8))):
        at = r.randrange(len(data) + 1)
        kind = r.randrange(5)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at:at] = r.randbytes(r.choice((1, 2, 300, 60000)))
        elif kind == 2:
            data[at:at + 2] = r.choice((b"\xff\xff", b"\0\0", b"\0\x80"))
        elif at < len(data):
            data[at] = r.randrange(256)
    return bytes(data[:65000])


def fuzz(s, seed, count, seconds):
    """Mutated packets; how many of them ended the connection."""
    r, ended, p = random.Random(seed), 0, Peer(s)
    packets = list(valid_packets())
    deadline = time.monotonic() + seconds
    for n in range(count):
        if time.monotonic() > deadline:
            break
        kind, fields = r.choice(packets)
        head = struct.pack("<BBHII", VERSION, kind, 0, r.choice((0, DURABLE, QUIET)),
                           n)
        try:
            p.socket.send(mutate(r, head + fields))
            p.socket.settimeout(0.002)
            if p.socket.recv(1 << 16):
                continue
        except TimeoutError:
            continue
        except OSError:
            pass
        ended += 1
        p.socket.close()
        p = Peer(s)
    return ended


@each(MAIL, "root")
def nonsense(user):
    """mutated packets of every kind: policyd and its log are whole"""
    seed = int(os.environ.get("POPKEEP_SEED") or random.randrange(1 << 32))
    print("    POPKEEP_SEED=%d" % seed)
    with Policyd('retention "r" { unread = "9d" }\nhold "h" { users = { "b" } '
                 '}\n') as s:
        ended = ask_as(user, fuzz, s, seed, 4000, 5)
        check(ended > 50, "only %d packets were nonsense" % ended)
        same(s.process.poll(), None, "policyd's end")
        same(ask_as(VICTIM, lambda: Peer(s).records(
            VICTIM, [(INTENT, "m", "dele")])), OK, "a victim's intent")
        s.verify()
        for r in s.records():
            check(r["event"] != "seal", "%s" % r)


# ---- floods -----------------------------------------------------------------

def flood(s, kind, connections):
    """As many records as can be, for ever."""
    many = [(DOWNLOADED, "", "")] * 3600
    flags = {"durable": [DURABLE], "quiet": [QUIET], "deaf": [DURABLE],
             "small": [DURABLE], "both": [DURABLE, QUIET],
             "stopped": [DURABLE, QUIET]}[kind]
    packet = body(HOSTILE, many[:1] if kind == "small" else many, context="")
    peers = [Peer(s) for _ in range(connections)]
    for p in peers:
        p.socket.setblocking(False)
    while True:
        for n, p in enumerate(peers):
            with contextlib.suppress(BlockingIOError):
                p.send(RECORDS, packet, flags[n % len(flags)])
            if kind == "deaf":
                continue
            with contextlib.suppress(BlockingIOError):
                while p.socket.recv(100):
                    pass


@each(*[(kind, connections) for kind in ("durable", "quiet", "both", "deaf")
        for connections in (1, 10, ALLOWED)],
      ("small", ALLOWED), ("stopped", ALLOWED))
def flooding(kind, connections):
    """what others have written before an intent of mine is bounded"""
    with Policyd() as s, Peer(s) as p:
        victim = Peer(s)
        # As a sweep has it: no more than the user's own process.
        same(victim.ask(7, text(VICTIM)), b"\0", "NARROW")
        serial = victim.serial(VICTIM)[1]
        start = s.last()
        with acting(HOSTILE, flood, s, kind, connections) as pid:
            until(lambda: s.last() > start + (
                0 if kind == "deaf" else 1000), "a flood", 60)
            for n in range(5):
                # Others go on talking, while policyd does not hear them.
                with stopped(s.process.pid):
                    time.sleep(0.1)
                    if kind == "stopped":
                        os.kill(pid, signal.SIGSTOP)
                    before = s.last()
                    victim.send(RECORDS, body(
                        VICTIM, [(INTENT, "victim%d" % n, "dele")], serial),
                        DURABLE)
                same(victim.socket.recv(100)[12:], b"\0", "the intent's result")
                os.kill(pid, signal.SIGCONT)
                between = s.find("victim%d" % n) - before - 1
                check(between <= TURNS, "%d records came first" % between)
        total = s.last() - start
        # Without turns it would have been these.
        check(kind in ("small", "deaf") or total > 2 * TURNS,
              "only %d records of a flood" % total)
        same(p.serial(VICTIM)[2], 5, "intents")


# ---- connections ------------------------------------------------------------

def count_served(s, count):
    """How many of count connections are answered; twice."""
    served = []
    for _ in range(2):
        peers, good = [], 0
        for _ in range(count):
            p = Peer(s, timeout=30)
            with contextlib.suppress(OSError):
                good += p.ask(USER, text(HOSTILE) + text("")) != b""
            peers.append(p)
        served.append(good)
        for p in peers:
            p.socket.close()
        del peers
    return served


def connect_all_the_time(s):
    while True:
        with contextlib.suppress(OSError):
            Peer(s, timeout=1)


@test
def connections_of_one():
    """a user has so many connections to policyd, and no more"""
    with Policyd() as s:
        for served in ask_as(HOSTILE, count_served, s, 3 * ALLOWED):
            check(served in (ALLOWED, ALLOWED - 1), "%d were served" % served)
        # Those of popkeepd's users that are not there at all, too.
        check(ask_as(NAMELESS, count_served, s, 2 * ALLOWED)[0] <= ALLOWED,
              "connections of nobody")
        # Whoever has none is let in, whoever else connects all the time.
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(acting(HOSTILE, connect_all_the_time, s))
            for n in range(20):
                # Without a limit of time, which makes connect(2) give up.
                same(ask_as(VICTIM, lambda: Peer(s, timeout=None).records(
                    VICTIM, [(DOWNLOADED, "m", "")])), OK, "round %d" % n)


# ---- the share --------------------------------------------------------------

def spend(s):
    """Nonsense, which is expensive, until nothing is left; then a record."""
    good = Peer(s, timeout=60)
    same(good.serial(HOSTILE)[0], OK, "before")
    for n in range(2000):
        p = Peer(s, timeout=0.5)
        p.socket.send(b"?")
        try:
            p.socket.recv(100)		# the end
        except TimeoutError:
            # Not heard any more: neither is anybody else of this user.
            good.send(RECORDS, body(HOSTILE, [(DOWNLOADED, "late", "")]),
                      DURABLE)
            return [n, good.socket.recv(100)[12]]
        p.socket.close()
    return [n, -1]


@test
def spent():
    """who has spent a share waits, is not refused, and others do not wait"""
    with Policyd() as s:
        n, result = ask_as(HOSTILE, spend, s)
        check(500 < n < 1000, "after %d times" % n)
        same(result, OK, "the record that waited")
        log = s.log()
        same(log.count("has spent its share of the audit log and waits"), 1,
             "lines")
        check(log.count("sent nonsense") <= n + 1, "lines of nonsense")
        # A new process of that user has no more.
        with acting(HOSTILE, spend, s):
            until(lambda: s.log().count("sent nonsense") > n, "more nonsense",
                  30)
            same(ask_as(VICTIM, lambda: Peer(s).records(
                VICTIM, [(DOWNLOADED, "other", "")])), OK, "another user's")
        check(s.log().count("sent nonsense") < n + 50, "lines of nonsense")
        check(s.find("late") < s.find("other"), "the order")
