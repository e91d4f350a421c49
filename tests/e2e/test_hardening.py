"""What an attacker, an accident or an impatient client must not achieve: to see
more than his own, to stop others, to be told wrong.

SPDX-License-Identifier: ISC
"""
import base64
import contextlib
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import fixtures
from lib import (ROOT, SANITIZED, Client, Server, Skip, check, each, family,
                 needs_root, run, same, test, until)
from test_daemon import (alive, config_of, daemon, hanging_for_ann,
                         pam_service, roles)


def parent_of(s):
    with open(s.dir + "/.popkeep/pid") as f:
        return int(f.read())


@contextlib.contextmanager
def stopped(pid):
    """A process that does nothing for a while, so that work piles up."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def permit_all(s):
    """Any password is right, and costs no time."""
    pam_service(s, "popkeep", "auth required pam_permit.so",
                "account required pam_permit.so")


def more_users(s, count):
    """Users that tools/serve need not know, with any password; their names."""
    permit_all(s)
    owner = os.stat(s.maildir())
    names = ["u%d" % n for n in range(count)]
    for name in names:
        top = "%s/more/%s" % (s.dir, name)
        for part in ("tmp", "new", "cur"):
            os.makedirs(top + "/Maildir/" + part)
            os.chown(top + "/Maildir/" + part, owner.st_uid, owner.st_gid)
        for path in (top, top + "/Maildir"):
            os.chown(path, owner.st_uid, owner.st_gid)
    with open(s.dir + "/.popkeep/users", "a") as f:
        f.write("".join("%s:%d:%d:%s/more/%s:\n" % (
            n, owner.st_uid, owner.st_gid, s.dir, n) for n in names))
    os.kill(s.process.pid, signal.SIGHUP)

    def known():
        with s.connect() as c:
            c.ok("USER " + names[-1])
            if c.command("PASS x").startswith(b"+OK"):
                c.quit()
                return True
    until(known, "the new users")
    # What served before is gone, session processes and all.
    until(lambda: len(roles(s)["net"]) == 1 and
          len(roles(s).get("session", ())) <= 1, "one generation")
    return names


def greeted(s):
    """A connection, or None if there are too many."""
    c = Client(s.port, greeting=False)
    with contextlib.suppress(ConnectionResetError):
        if c.line().startswith(b"+OK"):
            return c
    c.close()
    return None


def any_login(s, user):
    c = s.connect()
    c.ok("USER " + user)
    c.ok("PASS x")
    return c


# What a process has of others.

def open_in(pid):
    """fd -> target, of a process; None where only root may look."""
    found = {}
    try:
        for fd in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(FileNotFoundError):
                found[int(fd)] = os.readlink("/proc/%d/fd/%s" % (pid, fd))
    except PermissionError:
        check(not ROOT, "root may not look")
        return None
    return found


def inherited(found, forbidden, maildirs, clients):
    """What is wrong with the descriptors of the processes in found, by role."""
    problems = []
    standard = (0, 1) if SANITIZED else (0, 1, 2)
    for role in ("net", "auth", "helper", "session", "policyd"):
        check(role in found, "no role %s in %s" % (role, found))
        for pid in found[role]:
            fds = open_in(pid)
            if fds is None:
                continue
            for fd in standard:
                if fds.get(fd) != "/dev/null":
                    problems.append("%s: %d is %s" % (role, fd, fds.get(fd)))
            sockets = 0
            for fd, target in fds.items():
                if fd == 2 and SANITIZED:
                    continue
                sockets += target.startswith("socket:")
                if target in forbidden or target.startswith(
                        ("/dev/pts", "/dev/tty")):
                    problems.append("%s: %d is %s" % (role, fd, target))
                elif role != "policyd" and target.endswith("/audit.log"):
                    problems.append("%s: %d is %s" % (role, fd, target))
                elif role == "session" and target != "/dev/null" and \
                        not target.startswith(("socket:", "pipe:",
                                               "anon_inode:[eventpoll]")) and \
                        not target.startswith(maildirs):
                    problems.append("session: %d is %s" % (fd, target))
            # Those to the parent and to policyd, and the clients.
            if role == "session" and sockets != 2 + clients:
                problems.append("session: %d sockets for %d clients" %
                                (sockets, clients))
    return problems


@test
def inherits_no_log():
    """no process but the parent has the log; a session has only its own"""
    with Server(users=("ann", "bob"), messages=fixtures.cleans(1)) as s:
        sessions = [s.login("ann"), s.login("bob", tls=True)]
        problems = inherited(roles(s), [s.dir + "/log"],
                             (s.maildir("ann"), s.maildir("bob")), 2)
        check(not problems, "; ".join(problems))
        for c in sessions:
            c.quit()


@test
def inherits_no_terminal():
    """started on a terminal, with a file open: only the parent has them"""
    with Server(messages=fixtures.cleans(1)) as s:
        s.stop()
        with open(config_of(s)) as f:
            text = f.read()
        log = s.dir + "/own.log"
        with open(config_of(s), "w") as f:
            f.write(text.replace('log = "stderr"', "log = '%s'" % log))
        ours, terminal = pty.openpty()
        name = os.ttyname(terminal)
        with open(s.dir + "/inherited", "w") as extra:
            process = subprocess.Popen(
                [daemon(), "-F", "-f", config_of(s)], stdin=terminal,
                stdout=terminal, stderr=terminal, start_new_session=True,
                pass_fds=(extra.fileno(),))
        try:
            def up():
                check(process.poll() is None, "it ended")
                with contextlib.suppress(OSError):
                    return s.login(wait=False)
            c = until(up, "a login")
            found = {}
            for pid, line in family(process.pid).items():
                if line.startswith("popkeepd: "):
                    found.setdefault(line.split()[1], []).append(pid)
            problems = inherited(found, [log, name, s.dir + "/inherited"],
                                 (s.maildir(),), 1)
            check(not problems, "; ".join(problems))
            c.quit()
        finally:
            process.terminate()
            status = process.wait(20)
            os.close(terminal)
            os.close(ours)
        same(status, 0, "exit status")


def in_memory(pid, needles):
    """Which of needles (name -> octets) can be read in a process."""
    found = set()
    with open("/proc/%d/maps" % pid) as maps, \
         open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            fields = line.split()
            low, high = (int(x, 16) for x in fields[0].split("-"))
            if "r" not in fields[1] or "[v" in line:
                continue
            try:
                mem.seek(low)
                data = mem.read(high - low)
            except OSError:
                continue
            found |= {n for n, octets in needles.items() if octets in data}
    return found


def key_needles(s):
    """The private key of TLS, in every form it may have in memory."""
    path = s.dir + "/.popkeep/key.pem"
    text = run(["openssl", "pkey", "-in", path, "-noout", "-text"]).decode()
    scalar = bytes.fromhex("".join(
        text.split("priv:")[1].split("pub:")[0].replace(":", "").split()))
    scalar = scalar.rjust(32, b"\0")[-32:]
    with open(path, "rb") as f:
        lines = [l for l in f.read().splitlines() if not l.startswith(b"-")]
    return {"the scalar": scalar, "the scalar, reversed": scalar[::-1],
            "the PEM file": lines[1]}


@test
def key_not_in_sessions():
    """the TLS key is in no session process, at the start and after SIGHUP"""
    needs_root("reading another process's memory needs root")
    if SANITIZED:
        return				# they keep freed memory for a while
    with Server(users=("ann", "bob"), messages=fixtures.cleans(1),
                settings=["sessions-per-process = 1"]) as s:
        needles = key_needles(s)
        held = [s.login("ann", tls=True)]
        check(any(in_memory(p, needles) for p in roles(s)["net"]),
              "the key is not found where it must be")
        old = set(roles(s)["session"])
        for pid in old:
            same(in_memory(pid, needles), set(), "key in a session")
        nets = set(roles(s)["net"])
        os.kill(s.process.pid, signal.SIGHUP)
        until(lambda: set(roles(s).get("net", ())) - nets, "a new net")
        until(lambda: s.login("bob", tls=True).quit() is None, "a login")
        held.append(s.login("bob", tls=True))
        check(set(roles(s)["session"]) - old, "no new session process")
        for pid in roles(s)["session"]:
            same(in_memory(pid, needles), set(), "key in a session")
        for c in held:
            c.quit()


@test
def passwords_not_in_pam_sessions():
    """pam-session: no password is in a session process, not even its user's"""
    needs_root("reading another process's memory needs root")
    if SANITIZED:
        return				# they keep freed memory for a while
    word = "another-unlikely-password-of-"
    with Server(users=("ann", "bob"), messages=fixtures.cleans(1), word=word,
                settings=["pam-session = true", "pam-helpers = 1"]) as s:
        pam_service(s, "popkeep", "auth required pam_pwdfile.so nodelay "
                    "pwdfile=%s/.popkeep/passwd" % s.dir,
                    "account required pam_permit.so",
                    "session required pam_permit.so")
        with s.connect() as c:
            c.ok("USER ann")
            c.err("PASS %s-mistyped" % s.password("ann"), "AUTH")
        c = s.login("bob")

        def of_helpers():
            return [p for h in roles(s).get("helper", ()) for p, line in
                    family(h).items() if line.startswith("popkeepd: session")]
        pids = until(of_helpers, "a session process of a helper")
        needles = dict(key_needles(s), **{"a password": word.encode()})
        for pid in pids:
            same(in_memory(pid, needles), set(), "secrets in a session")
        c.quit()


@test
def log_fields_not_forged():
    """a user's name cannot pass for other fields of a line of the log"""
    name = "bob rhost=203.0.113.9 mech=APOP tls=1 result=ok reason=none"
    with Server() as s:
        with s.connect() as c:
            c.err("AUTH PLAIN " + base64.b64encode(
                b"\0" + name.encode() + b"\0x").decode())
        line = s.until_log("login-failed", "user=bob")
        keys = [w.split("=")[0] for w in line.split() if "=" in w]
        same(sorted(keys), ["mech", "reason", "result", "rhost", "tls",
                            "user"], "fields of " + line)
        for word in ("rhost=127.0.0.1", "mech=PLAIN", "tls=0"):
            check(word in line.split(), "no %s in %s" % (word, line))


# What stops others.

def vanish(s, count):
    """Log in behind the unread replies to so many CAPAs, and reset."""
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    c.settimeout(5)
    c.connect(("127.0.0.1", s.port))
    c.recv(200)
    c.sendall(b"CAPA\r\n" * count + b"USER ann\r\nPASS x\r\n")
    time.sleep(0.1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def most_unread(s):
    """Behind how many CAPAs, at most, a login still reaches auth."""
    def reaches(count):
        at = len(s.log())
        vanish(s, count)
        time.sleep(0.1)
        return "login-failed" in s.log()[at:]
    low, high = 0, 4000
    while high - low > 20:
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(middle) else (low, middle)
    return low


@test
def unclaimed_logins():
    """1200 logins whose clients are gone stop nobody else's login"""
    with Server(users=("ann", "bob"), settings=["max-per-address = 2000"]) as s:
        pam_service(s, "popkeep", "auth required pam_deny.so",
                    "account required pam_permit.so")
        # A little less: what the client has not read is still in the way.
        count = most_unread(s) * 9 // 10
        check(count > 0, "no login reaches auth")
        permit_all(s)

        def vanishing(n):
            for _ in range(n):
                with contextlib.suppress(OSError):
                    vanish(s, count)
        threads = [threading.Thread(target=vanishing, args=(60,))
                   for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        with s.connect() as c:
            c.ok("USER bob")
            c.ok("PASS x")
            c.ok("NOOP")
        for c in (s.login("bob", tls=True), s.login("ann")):
            c.quit()


@test
def session_process_killed():
    """a process with 600 sessions dies: net, auth and other sessions live"""
    count = 600
    with Server(messages=fixtures.cleans(1), settings=[
            "sessions-per-process = %d" % count, "max-per-address = 2000",
            "max-connections = %d" % (count + 4)]) as s:
        names = more_users(s, count)
        held = [any_login(s, n) for n in names]
        full = roles(s)["session"]
        same(len(full), 1, "session processes")
        other = s.login("ann", tls=True)
        waiting = s.connect(tls=True)
        before = roles(s)
        same(len(before["session"]), 2, "session processes")
        s.deaths = True
        with stopped(before["net"][0]):
            os.kill(full[0], signal.SIGKILL)
            until(lambda: s.log().count("end=crashed") == count, "all ended")
        other.ok("NOOP")
        other.multi("RETR 1")
        waiting.ok("CAPA")
        waiting.body()
        for c in held:
            check(c.at_end(), "a dead session's connection is open")
            c.close()
        # net has learnt of every end: there is a place for each again.
        again = [until(lambda: greeted(s), "a place") for _ in names]
        again[0].ok("USER " + names[0])
        again[0].ok("PASS x")
        after = roles(s)
        for role in ("net", "auth"):
            same(after[role], before[role], role)
        other.quit()
        for c in again + [waiting]:
            c.close()


@test
def users_mended():
    """auth dies while the users-file is broken: mended, all is served again"""
    with Server(messages=fixtures.cleans(1)) as s:
        path = s.dir + "/.popkeep/users"
        with open(path) as f:
            good = f.read()
        with open(path, "a") as f:
            f.write("half a li")
        s.deaths = True
        os.kill(roles(s)["auth"][0], signal.SIGKILL)
        # It tries again, more than once.
        until(lambda: s.log().count("net and auth cannot be started") >= 2,
              "two attempts")
        with open(path, "w") as f:
            f.write(good)

        def served():
            with contextlib.suppress(OSError, AssertionError):
                s.login(wait=False).quit()
                return True
        until(served, "a login", 15)


@test
def second_daemon():
    """a second popkeepd on the same ports fails, and spoils nothing"""
    with Server(messages=fixtures.cleans(1)) as s:
        first = parent_of(s)
        c = s.login()
        done = subprocess.run([daemon(), "-F", "-f", config_of(s)],
                              timeout=20, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode != 0, "it started")
        check(b"%d" % s.port in done.stdout, "it said %r" % done.stdout)
        same(parent_of(s), first, "the pid file")
        c.quit()
        s.login(tls=True).quit()
        s.stop()
        check(not os.path.exists(s.dir + "/.popkeep/pid"), "the pid file stays")


@test
def connections_over_reload():
    """max-connections holds over SIGHUP: old sessions count, too"""
    users = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal"]
    with Server(users=users, settings=["max-connections = 3"]) as s:
        held = [s.login(u) for u in users[:3]]
        for turn in (3, 5):
            os.kill(s.process.pid, signal.SIGHUP)
            c = until(lambda: greeted(s), "the new net")
            c.ok("USER " + users[turn])
            check(c.command("PASS " + s.password(users[turn])).startswith(
                b"-ERR [SYS/TEMP]"), "a session too many")
            c.close()
            for old in held:
                old.ok("NOOP")
        held.pop().quit()

        def place():
            with contextlib.suppress(OSError, AssertionError):
                return s.login(users[7], wait=False)
        until(place, "a free place").quit()
        for old in held:
            old.quit()


# What the server makes of an impatient or slow client.

@each("plain", "TLS")
def slow_download(where):
    """a download that goes on for longer than idle-timeout arrives whole"""
    big = fixtures.huge()["20 MB"]
    with Server(messages=[big], settings=["idle-timeout = 2"]) as s:
        c = s.login(tls=where == "TLS")
        # The kernel must not hold seconds of it.
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        c.ok("RETR 1")
        chunks, size, begin = [c.buffer], len(c.buffer), time.monotonic()
        c.buffer = b""
        while not (b"".join(chunks[-2:])).endswith(b"\r\n.\r\n"):
            # At such a pace for three timeouts.
            passed = time.monotonic() - begin
            if passed < 6 and size > passed * len(big) / 7:
                time.sleep(0.02)
                continue
            data = c.socket.recv(1 << 16)
            check(data, "ended after %d octets" % size)
            chunks.append(data)
            size += len(data)
        c.buffer = b"".join(chunks)
        same(c.body(), fixtures.received(big), "RETR")
        c.close()
        line = s.until_log("session:", "user=ann")
        check("retr=1" in line, line)


@each(("plain", "close"), ("plain", "reset"), ("TLS", "close"),
      ("TLS", "reset"))
def quit_unread(where, how):
    """QUIT, and gone before the reply: what UPDATE did is what the log says"""
    count = 5
    with Server(messages=fixtures.cleans(count)) as s:
        for n in range(count):
            c = s.login(tls=where == "TLS")
            c.ok("DELE 1")
            at = len(s.log())
            # The session sees QUIT and the end at once.
            with stopped(roles(s)["session"][0]):
                c.send("QUIT\r\n")
                if how == "reset":
                    c.abort()
                else:
                    c.close()
                time.sleep(0.05)
            line = s.until_log("session:", "user=ann", after=at)
            left = len(s.stored())
            same(left, count - n - 1, "messages after " + line)
            check("dele=1" in line and "end=quit" in line.split(), line)


@test
def idle_process_ends():
    """32 sessions that end at once: their process ends after process-idle"""
    with Server(settings=["process-idle = 1", "max-per-address = 2000"]) as s:
        names = more_users(s, 32)
        held = [any_login(s, n) for n in names]
        check(roles(s).get("session"), "no session process")
        with stopped(parent_of(s)):
            for c in held:
                c.quit()
        until(lambda: "session" not in roles(s), "the process ends")
        same(s.log().count("end=quit"), 32 + 1, "sessions")


# A maildrop that takes long to measure.

@contextlib.contextmanager
def endless(s, user):
    """A message that takes minutes to read, but no space."""
    path = s.deliver(user, b"Subject: large\n\n")
    try:
        os.truncate(path, 1 << 36)
    except OSError as error:
        raise Skip("no sparse file of 64 GiB: %s" % error)
    yield lambda: os.truncate(path, 100)


def begin_login(s, user):
    """Send a login that takes long; back when it is under way."""
    c = s.connect()
    at = len(s.log())
    c.ok("USER " + user)
    c.send("PASS %s\r\n" % s.password(user))
    s.until_log(" login: user=%s " % user, after=at)
    return c


def answered(c):
    return bool(select.select([c.socket], [], [], 0)[0])


@test
def long_scan():
    """a maildrop that takes long to measure holds up nobody of the same uid"""
    with Server(users=("ann", "bob", "cat"), messages=fixtures.cleans(2)) as s:
        bob = s.login("bob")
        with endless(s, "ann") as cut_short:
            ann = begin_login(s, "ann")
            cat = s.login("cat", tls=True)
            bob.ok("NOOP")
            bob.multi("RETR 1")
            bob.quit()
            bob = s.login("bob")
            same(bob.stat()[0], 2, "bob's messages")
            same(len(roles(s)["session"]), 1, "session processes")
            # ann's maildrop is in use meanwhile.
            with s.connect() as c:
                c.ok("USER ann")
                c.err("PASS " + s.password("ann"), "IN-USE")
            check(not answered(ann), "ann's login was not slow")
            cut_short()
            check(ann.status("PASS").startswith(b"+OK"), "ann")
        same(ann.stat()[0], 3, "ann's messages")
        for c in (ann, bob, cat):
            c.quit()


def leftovers(s, user):
    return set(os.listdir(s.maildir(user))) - {
        "tmp", "new", "cur", "popkeep.index", "popkeep.lock"}


@test
def long_scan_given_up():
    """a client that goes away during a long scan leaves nothing behind"""
    with Server(users=("ann", "bob"), messages=fixtures.cleans(2)) as s:
        bob = s.login("bob", tls=True)
        s.login("ann").quit()
        session = roles(s)["session"][0]
        before = open_in(session)
        for how in ("abort", "close"):
            with endless(s, "ann") as cut_short:
                ann = begin_login(s, "ann")
                at = len(s.log())
                getattr(ann, how)()
                bob.ok("NOOP")
                cut_short()
            line = s.until_log("session:", "user=ann", after=at)
            check("end=dropped" in line, line)
        s.login("ann").quit()
        same(roles(s)["session"], [session], "session processes")
        if before is not None:
            until(lambda: len(open_in(session)) == len(before),
                  "descriptors: %s, before %s" % (open_in(session), before))
        same(leftovers(s, "ann"), set(), "files")
        bob.quit()


@test
def long_scan_stopped():
    """SIGTERM during a long scan: a clean stop, and nothing is left behind"""
    with Server(users=("ann", "bob"), messages=fixtures.cleans(2)) as s:
        bob = s.login("bob")
        bob.ok("DELE 1")
        with endless(s, "ann"):
            ann = begin_login(s, "ann")
            bob.ok("NOOP")
            check(not answered(ann), "ann's login was not slow")
            pids = list(family(s.process.pid))
            s.stop()
        for pid in pids:
            check(not alive(pid), "%d is alive" % pid)
        check(ann.at_end() and bob.at_end(), "a connection is still open")
        for user in s.users:
            line = s.until_log("session:", "user=" + user)
            check("end=shutdown" in line, line)
            same(leftovers(s, user), set(), "files")
        same(len(s.stored("bob")), 2, "bob's messages")
        for name in os.listdir(s.maildir("ann") + "/new"):
            os.truncate(s.maildir("ann") + "/new/" + name, 100)
        s.start()
        c = s.login("ann")
        same(c.stat()[0], 3, "ann's messages")
        c.quit()


@test
def late_verdict():
    """an answer of PAM that comes late is not that of the next login"""
    with hanging_for_ann(users=("ann", "bob", "carol"), settings=[
            "pam-helpers = 1", "pam-timeout = 1", "login-timeout = 1"]) as s:
        # They keep the one helper busy for longer than anybody waits.
        many = [s.connect() for _ in range(8)]
        for c in many:
            c.ok("USER ann")
            c.send("PASS %s\r\n" % s.password("ann"))
        c = s.connect()
        c.ok("USER bob")
        c.send("PASS %s\r\n" % s.password("bob"))
        first = c.status("PASS")
        check(first.startswith(b"-ERR [SYS/TEMP]"), "bob: %r" % first)
        try:
            c.send("USER carol\r\nPASS wrong\r\n")
            while True:
                line = c.line()
                if not line:
                    break
                check(b"Maildrop has" not in line, "carol: %r" % line)
                if line.startswith(b"-ERR"):
                    break
        except OSError:
            pass
        for c in many:
            reply = c.status("PASS")
            check(reply.startswith(b"-ERR [SYS/TEMP]"), "ann: %r" % reply)
        s.login("bob").quit()
