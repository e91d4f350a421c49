"""Many at once, and things that run out: nothing is stuck, leaked or lost.

SPDX-License-Identifier: ISC
"""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import fixtures
from lib import (Client, Server, Skip, check, check_memory, each, family,
                 needs_root, same, test, until)


def descriptors(s):
    """Role -> open descriptors, summed over its processes."""
    found = {}
    for pid, line in family(s.process.pid).items():
        match = re.match(r"popkeepd: (\w+)", line)
        if match:
            try:
                number = len(os.listdir("/proc/%d/fd" % pid))
            except OSError:
                continue
            found[match.group(1)] = found.get(match.group(1), 0) + number
    return found


@each("plain", "TLS")
def everything_at_once(where):
    """300 KB of commands sent in one go with the login are all answered"""
    message = fixtures.clean(1)
    with Server(messages=[message, fixtures.clean(2)]) as s:
        with s.connect(tls=where == "TLS") as c:
            count = 30000
            data = ("USER ann\r\nPASS %s\r\n" % s.password("ann")).encode() + \
                b"LIST 1\r\n" * count + b"RETR 1\r\nDELE 2\r\nQUIT\r\n"
            sender = threading.Thread(target=lambda: c.send(data))
            sender.start()
            time.sleep(0.5)
            for _ in range(2):
                check(c.status().startswith(b"+OK"), "login")
            for n in range(count):
                reply = c.line()
                check(reply.startswith(b"+OK 1 "), "%d: %r" % (n, reply))
            check(c.status().startswith(b"+OK"), "RETR")
            same(c.body(), fixtures.received(message), "RETR")
            for _ in range(2):
                check(c.status().startswith(b"+OK"), "DELE, QUIT")
            check(c.at_end(), "closed")
            sender.join()
        same(s.stored(), [message], "left")


@test
def half_closed():
    """a client that has sent QUIT and its FIN still gets every reply"""
    big = fixtures.huge()["20 MB"]
    with Server(messages=[big]) as s:
        c = s.login()
        c.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
        c.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        check(c.status().startswith(b"+OK"), "RETR")
        same(c.body(), fixtures.received(big), "RETR")
        for _ in range(2):
            check(c.status().startswith(b"+OK"), "DELE, QUIT")
        check(c.at_end(), "closed")
        same(s.stored(), [], "left")


@test
def all_in_one_instant():
    """700 logins while auth does not run wait for it, and none is refused"""
    needs_root()		# else a channel has the room that the system allows
    with Server(settings=["max-connections = 1000", "max-per-address = 1000",
                          "apop-through = store"]) as s:
        clients = [s.connect() for _ in range(700)]
        auth = s.role("auth")
        os.kill(auth, signal.SIGSTOP)
        try:
            for c in clients:
                c.send(c.apop_command("ann", s.secret("ann")) + "\r\nQUIT\r\n")
            time.sleep(0.5)
        finally:
            os.kill(auth, signal.SIGCONT)
        for c in clients:
            reply = c.status()
            check(b"[SYS/" not in reply, reply)
            c.close()


@test
def one_at_a_time():
    """20 clients race for one maildrop: one is in, the others get [IN-USE]"""
    messages = fixtures.cleans(40)
    with Server(messages=messages) as s:
        inside, problems, done = [0], [], []
        lock = threading.Lock()

        def client():
            deadline = time.monotonic() + 40
            while time.monotonic() < deadline:
                try:
                    with s.connect() as c:
                        c.ok("USER ann")
                        reply = c.command("PASS " + s.password("ann"))
                        if reply.startswith(b"-ERR [IN-USE]"):
                            time.sleep(0.01)
                            continue
                        check(reply.startswith(b"+OK"), "PASS: %r" % reply)
                        with lock:
                            inside[0] += 1
                            if inside[0] > 1:
                                problems.append("two sessions at once")
                        count = c.stat()[0]
                        if count:
                            c.multi("RETR 1")
                            c.ok("DELE 1")
                        with lock:
                            inside[0] -= 1	# before the lock is released
                        c.quit()
                        if not count:
                            return
                        with lock:
                            done.append(1)
                except Exception as error:
                    problems.append(repr(error))
                    return
        threads = [threading.Thread(target=client) for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(not problems, "; ".join(problems[:3]))
        same(len(done), 40, "messages deleted, each once")
        same(s.stored(), [], "left")


@test
def nothing_leaks():
    """after 1000 connections cut in every phase, descriptors are as before"""
    with Server(users=("ann", "bob"), messages=fixtures.cleans(2)) as s:
        for tls in (False, True):
            s.login(tls=tls).quit()
        time.sleep(0.5)
        before = descriptors(s)

        def phase(n):
            tls = n % 2 == 1
            kind = n // 2 % 8
            if kind == 0:
                Client(s.tls_port if tls else s.port, greeting=False).abort()
                return
            c = s.connect(tls)
            if kind == 2 and not tls:
                c.ok("STLS")
            elif kind == 3:
                c.ok("USER ann")
                c.send("PASS %s\r\n" % s.password("ann"))
            elif kind == 4:
                c.send("USER ann\r\nPASS %s\r\nRETR 1\r\n" % s.password("ann"))
            elif kind == 5:
                c.send(b"AUTH PLAIN\r\n")
            elif kind == 6:
                c.ok("USER bob")
                if c.command("PASS " + s.password("bob")).startswith(b"+OK"):
                    c.send(b"RETR 1\r\nDELE 1\r\n")
            elif kind == 7:
                c.send(b"USER nobody\r\nPASS x\r\n")
            c.abort()
        for n in range(1000):
            phase(n)
        for user in s.users:
            s.login(user).quit()

        def settled():
            after = descriptors(s)
            # auth has a descriptor for each helper, up to pam-helpers.  An
            # ordinary user may not look into every process.
            return all(after.get(r, 0) <= n + (8 if r == "auth" else 0)
                       for r, n in before.items() if r != "helper")
        try:
            until(settled, "descriptors", 15)
        except AssertionError:
            raise AssertionError("descriptors before %s, after %s" %
                                 (before, descriptors(s)))
        check_memory(s)
        # No place is taken for ever (300 per address).
        held = [s.connect() for _ in range(250)]
        for c in held:
            c.abort()
        same(len(s.stored("bob")), 2, "messages")


@test
def reload_storm():
    """30 reloads in a row: sessions live, and old processes go away"""
    with Server(messages=fixtures.cleans(3)) as s:
        plain, tls = s.login(), None
        before = len(family(s.process.pid))
        for n in range(30):
            os.kill(s.process.pid, signal.SIGHUP)
            time.sleep(0.02)
            plain.ok("NOOP")
        plain.quit()
        tls = s.login(tls=True)
        for n in range(10):
            os.kill(s.process.pid, signal.SIGHUP)
            tls.ok("NOOP")
        tls.multi("RETR 1")
        tls.quit()
        until(lambda: len(family(s.process.pid)) <= before + 2,
              "old processes end: %s" % family(s.process.pid), 15)
        s.login().quit()


@test
def full_disk():
    """on a full disk mail can be read and deleted, and QUIT tells the truth"""
    needs_root("mounting a small file system needs root")
    messages = fixtures.cleans(5)
    with Server() as s:
        maildir = s.maildir()
        owner = os.stat(maildir)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o",
                               "size=256k,mode=0700,uid=%d,gid=%d" % (
                                   owner.st_uid, owner.st_gid),
                               "none", maildir], capture_output=True)
        if done.returncode != 0:
            raise Skip("cannot mount: %s" % done.stderr.decode().strip())
        try:
            s.fill("ann", messages)
            for name in ("", "/tmp", "/new", "/cur"):
                os.chown(maildir + name, owner.st_uid, owner.st_gid)
            try:
                with open(maildir + "/filler", "wb", 0) as f:
                    while True:
                        f.write(b"x" * 4096)
            except OSError:
                pass
            c = s.login()
            same(c.stat()[0], 5, "messages")
            for n, message in enumerate(messages, 1):
                same(c.multi("RETR %d" % n), fixtures.received(message), "RETR")
            c.ok("DELE 1")
            c.ok("DELE 2")
            c.quit()
            same(s.stored(), sorted(messages[2:]), "left")
            c = s.login()
            same(c.stat()[0], 3, "next session")
            c.quit()
        finally:
            for _ in range(50):
                if subprocess.run(["umount", maildir],
                                  capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)


@test
def read_only_maildir():
    """a Maildir that cannot be written: a clear refusal or a read-only session"""
    messages = fixtures.cleans(2)
    with Server(messages=messages) as s:
        for name in ("", "/new", "/cur", "/tmp"):
            os.chmod(s.maildir() + name, 0o500)
        try:
            with s.connect() as c:
                c.ok("USER ann")
                reply = c.command("PASS " + s.password("ann"))
                if reply.startswith(b"+OK"):
                    c.multi("RETR 1")
                    c.ok("DELE 1")
                    c.err("QUIT")
                else:
                    check(reply.startswith((b"-ERR [SYS/PERM]",
                                            b"-ERR [SYS/TEMP]")), "%r" % reply)
        finally:
            for name in ("", "/new", "/cur", "/tmp"):
                os.chmod(s.maildir() + name, 0o700)
        same(s.stored(), sorted(messages), "files")
