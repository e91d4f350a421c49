"""What a process that talks to policyd can bring about: for itself, and for
others.

SPDX-License-Identifier: ISC
"""
import contextlib
import grp
import os
import pwd
import socket
import struct
import subprocess
import threading
import time

import fixtures
from lib import SANITIZED, Server, Skip, built, check, needs, needs_root, same, test, until
from test_hardening import stopped
from test_policy_audit import full
from test_policy_brakes import away, delete
from test_policy_login import attempt
from test_policy_protect import mount, unmount

USER, LOGIN, RECORDS, UNFINISHED, RELOAD, ACCEPT, STATUS, USER_IS, LOGIN_IS, \
    RECORDED, UNFINISHED_IS, DONE = range(12)
DURABLE, QUIET = 1, 2
VERSION = 3
OK, UNKNOWN_RULE, NOT_YET, STALE, BRAKED, FAILED, DENIED, ERROR = range(8)
DOWNLOADED, INTENT, DISPOSED = 6, 9, 10


def text(string):
    data = string.encode()
    return struct.pack("<H", len(data)) + data


def item(event, uidl, reason):
    return struct.pack("<B", event) + text(uidl) + text("") + text(reason) + \
        struct.pack("<BQB", 1, 100, 0)


class Peer:
    """A connection to policyd's socket that speaks engine/wire.h."""

    def __init__(self, s, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(timeout)
        self.socket.connect(s.dir + "/.popkeep/policy.sock")
        self.id = 0

    def send(self, kind, body, flags=0):
        self.id += 1
        self.socket.send(struct.pack("<BBHII", VERSION, kind, 0, flags, self.id) +
                         body)

    def ask(self, kind, body, flags=0):
        """The answer's fields; b"": the connection was ended."""
        self.send(kind, body, flags)
        return self.socket.recv(1 << 16)[12:]

    def serial(self, user):
        """What policyd says of the user: result, serial, open intents."""
        return struct.unpack_from("<BQI", self.ask(USER, text(user) +
                                                   text("")))

    def records(self, user, items, serial=None, flags=DURABLE):
        """The result; items: (event, uidl, reason)."""
        if serial is None:
            serial = self.serial(user)[1]
        body = struct.pack("<Q", serial) + text(user) + \
            b"".join(map(text, ("peer", "", "", ""))) + b"\0"
        return self.ask(RECORDS, body + b"".join(item(*i) for i in items),
                        flags)[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@test
def open_intents_without_audit():
    """open intents of before, and audit = off: logins go on"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy='retention "r" { }\n') as s:
        with Peer(s) as p:
            same(p.records("ann", [(INTENT, "one", "dele"),
                                   (INTENT, "two", "dele")]), OK, "intents")
            same(p.serial("ann")[2], 2, "open intents")
        s.reload("audit = off\n")
        delete(s)
        same(len(s.stored()), 1, "files")


@test
def held_while_audit_is_off():
    """audit = off at login, a hold at QUIT: DELE retains"""
    messages = fixtures.cleans(1)
    with Server(messages=messages, policy="audit = off\n") as s:
        c = s.login()
        c.ok("DELE 1")
        s.reload('hold "h" { users = { "ann" } }\n')
        c.quit()
        same((s.stored(), s.retained()), ([], messages), "files")
        s.until_events(1, "retained", reason="hold:h")


@test
def open_intents_and_full_log():
    """more records than can wait for the disk: logins go on"""
    needs_root("mounting a small file system needs root")
    with Server(messages=fixtures.cleans(2), policy='retention "r" { }\n') as s:
        s.stop()
        place = s.dir + "/audit"
        mount(s, place, "16m")
        s.audit_log = place + "/audit.log"
        s.settings += ["audit-log = '%s'" % s.audit_log]
        try:
            s.start()
            with Peer(s) as p:
                same(p.records("ann", [(INTENT, "one", "dele")]), OK, "intent")
                full(place)
                for _ in range(20):
                    p.records("ann", [(DOWNLOADED, "x", "")] * 1000, flags=0)
                same(p.serial("ann")[2], 1, "open intents")
                delete(s, code="SYS/TEMP")
            os.unlink(place + "/filler")
            s.until_log("audit: it is written again")
            delete(s)
            same(len(s.stored()), 1, "files")
        finally:
            s.stop()
            unmount(place)


@test
def secrets_while_away():
    """policyd is gone: what exclusive and minimum-secret forbid stays so"""
    policy = 'apop { rule "r" { allow = always } exclusive = yes ' \
        'minimum-secret = 64 }\npasswords { rule "p" { allow = always } }\n'
    with Server(policy=policy) as s:
        for how in ("PASS", "APOP"):
            reply = attempt(s, "plain", how, "ann")
            check(reply.startswith(b"-ERR [AUTH]"), "%s: %r" % (how, reply))
        with away(s):
            for how in ("PASS", "PLAIN", "APOP"):
                reply = attempt(s, "plain", how, "ann")
                check(reply.startswith(b"-ERR [SYS/TEMP]"),
                      "%s: %r" % (how, reply))
            reply = attempt(s, "TLS", "APOP", "ann")
            check(reply.startswith(b"-ERR [SYS/TEMP]"), "TLS: %r" % reply)
            check(attempt(s, "TLS", "PASS", "ann")[:3] == b"+OK", "PASS")


STRANGER = 61001
GROUP = "users"


@contextlib.contextmanager
def stranger(s, act):
    """act(s) in a process of a user who may use the socket, until the end."""
    needs_root("another user's process needs root")
    os.chmod(s.dir + "/.popkeep", 0o711)
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([grp.getgrnam(GROUP).gr_gid])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        kept = act(s)
        os.write(here, b"x")
        time.sleep(100)
        os._exit(len(kept))
    os.close(here)
    try:
        os.read(there, 1)
        yield
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(there)


def crowd(s):
    """As many connections as there can be; policyd takes its time."""
    peers, deadline = [], time.monotonic() + 2
    while len(peers) < 1000 and time.monotonic() < deadline:
        try:
            peers.append(Peer(s))
            deadline = time.monotonic() + 2
        except OSError:
            time.sleep(0.01)
    return peers


@test
def one_of_a_crowd():
    """one user's many connections to policyd leave room for others"""
    needs("prlimit")
    os.environ["POPKEEPD_WRAPPER"] = "prlimit --nofile=400"
    with Server(users=("ann", "bob"), messages=fixtures.cleans(2),
                settings=['policy-group = "%s"' % GROUP], policy="") as s:
        with stranger(s, crowd):
            delete(s, "bob")
            same(len(s.stored("bob")), 1, "files")
            with Peer(s) as p:
                same(p.serial("ann")[0], OK, "an administrator's question")


NO_SERVICE = """
#include <errno.h>
#include <grp.h>
#include <stddef.h>
struct group *
getgrnam(const char *name)
{
	(void)name;
	errno = ENOENT;
	return NULL;
}
"""


@test
def name_service_away():
    """the name service is away at the start: holds by group are in force"""
    needs("cc")
    if SANITIZED:
        raise Skip("the sanitizers' libraries come first")
    messages = fixtures.cleans(1)
    with Server(messages=messages, policy='hold "h" { users = { "@held" } }\n',
                ) as s:
        s.stop()
        # As glibc says it where a service is unavailable: none is ENOENT, too.
        subprocess.run(["cc", "-shared", "-fPIC", "-o", s.dir + "/away.so",
                        "-x", "c", "-"], input=NO_SERVICE.encode(),
                       check=True)
        os.environ["POPKEEPD_WRAPPER"] = "env LD_PRELOAD=%s/away.so" % s.dir
        s.start()
        s.until_log("the name service failed")
        delete(s)
        same((s.stored(), s.retained()), ([], messages), "files")


@test
def too_many_networks():
    """a policy whose networks do not fit is refused, and the old one stays"""
    rule = 'rule "r" { networks = { %s } allow = always }' % ", ".join(
        '"10.%d.%d.%d"' % (n >> 16, n >> 8 & 255, n & 255)
        for n in range(260000))
    with Server(policy='retention "r" { }\n') as s, Peer(s) as p:
        before = p.serial("ann")
        s.reload("passwords { %s }\n" % rule, good=False)
        same(p.serial("ann"), before, "what is in force")


@test
def many_warnings():
    """a reload that has much to say is in force all the same"""
    rules = "".join('retention "r%d" { users = { "ann" } }\n' % n
                    for n in range(3000))
    with Server(policy='retention "r" { }\n') as s:
        s.policy += rules
        with open(s.dir + "/.popkeep/policy/policy.conf", "w") as f:
            f.write(s.policy)
        with stopped(s.role("parent")):
            # The parent hears nothing for a while, and the rest is dropped.
            said = []
            tool = threading.Thread(target=lambda: said.append(
                s.tool("policy", "reload")))
            tool.start()
            time.sleep(0.5)
        tool.join()
        check(said, "popkeep policy reload failed")
        check("3001 rules" in s.tool("policy"), "it is not in force")
        check("the old one stays" not in s.log(), "it was refused")


@test
def outcomes_before_the_reply():
    """when QUIT is answered, every outcome is known: whoever comes next waits"""
    count = 20000
    with Server(messages=fixtures.cleans(1), policy="") as s, Peer(s) as p:
        owner = os.stat(s.maildir())
        for n in range(count):
            name = "%s/cur/%d.M%dP1.a-host.example.org:2,S" % (
                s.maildir(), 1600000000 + n, n)
            with open(name, "wb") as f:
                f.write(b"a: b\n\nc\n")
                os.fchown(f.fileno(), owner.st_uid, owner.st_gid)
        c = s.login()
        for first in range(1, count + 1, 500):
            c.send("".join("DELE %d\r\n" % (first + n) for n in range(500)))
            for _ in range(500):
                check(c.line()[:3] == b"+OK", "DELE")
        c.quit()
        same(p.serial("ann")[2], 0, "open intents")
        same(len(s.events("disposed")), count, "disposed")
        same(s.events("brake"), [], "records that were lost")


@test
def rule_of_the_record():
    """the rule changes amid a session: records name the one that decided"""
    with Server(messages=fixtures.cleans(2), policy='retention "r" { }\n') as s:
        for name, policy in (("q", 'retention "q" { }\n'), (None, "")):
            c = s.login()
            c.ok("DELE 1")
            s.reload(policy)
            c.quit()
            record = s.events("disposed")[-1]
            same(record.get("rule"), name, "rule of %s" % record)


@test
def double_of_a_held_message():
    """a second copy of what a hold keeps is cleaned by the sweep"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy='hold "h" { users = { "ann" } }\n'
                ) as s:
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        retained = s.dir + "/popkeep-retained/cur/"
        name = os.listdir(retained)[0]
        s.deliver("ann", messages[0], "cur", name.split(":")[0])
        s.tool("sweep", "--user", "ann")
        same((s.stored(), s.retained()), (messages[1:], messages[:1]), "files")
        s.until_events(1, "retained", reason="double")


@test
def second_policyd():
    """a second policyd ends, and the first one can be asked as before"""
    with Server(policy="") as s:
        private = s.dir + "/.popkeep"
        user = pwd.getpwuid(os.stat(s.dir + "/audit.log").st_uid).pw_name
        done = subprocess.run(
            [built("popkeep-policyd"), "-p", private + "/policy/policy.conf",
             "-a", s.dir + "/audit.log", "-s", private + "/policy.sock",
             "-S", private + "/state", "-u", user], capture_output=True,
            timeout=20)
        check(b"another popkeep-policyd" in done.stderr, "%r" % done.stderr)
        same(done.returncode, 1, "its exit status")
        check("0 rules" in s.tool("policy"), "popkeep policy")
