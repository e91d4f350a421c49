"""What the tests of Dovecot's plugin share: policies, formats of mailboxes, mail
that is looked at through doveadm, and IMAP.

SPDX-License-Identifier: ISC
"""
import contextlib
import imaplib
import os
import re
import signal
import subprocess

from fixtures import clean
from lib import (Server, check, check_order, dovecot_version, family,
                 needs_dovecot, same, until)

RETAINED = "popkeep-retained/"

# What the policy says of ann, and whether it lets her delete.
POLICIES = {
    "nothing": "",
    "rule": 'retention "r" { after-download = "7d" }\n',
    "minimum": 'retention "r" { minimum = "9000d" }\n',
    "hold": 'hold "h" { users = { "ann" } }\n',
}
FREE, BOUND = ("nothing", "rule"), ("minimum", "hold")
# $POPKEEP_FORMATS = all: the others as well, in another five minutes.
FORMATS = ("maildir",) + (
    ("mbox", "sdbox", "mdbox") if os.environ.get("POPKEEP_FORMATS") == "all"
    else ())


def location(kind):
    """The lines that make Dovecot store mail in that format."""
    if kind == "maildir":
        return []
    if dovecot_version() < (2, 4):
        return ["mail_location = " + {
            "mbox": "mbox:~/mail:INBOX=~/inbox"}.get(kind, kind + ":~/mail")]
    return ["mail_driver = " + kind, "mail_path = ~/mail"] + (
        ["mail_inbox_path = ~/inbox"] if kind == "mbox" else [])


def plugin_settings(**settings):
    """Settings that are in plugin { } in Dovecot 2.3."""
    lines = ["%s = %s" % pair for pair in settings.items()]
    if dovecot_version() < (2, 4):
        lines = ["plugin {"] + lines + ["}"]
    return lines


def dovecot(policy="", kind="maildir", imap=True, lines=(), **more):
    """A Dovecot with mail in that format."""
    needs_dovecot()
    s = Server(policy=policy, dovecot=True, imap=imap, **more)
    configure(s, *location(kind), *lines)
    return s


def configure(s, *lines):
    """Lines for dovecot.conf, blocks among them, before the start."""
    path = s.dir + "/extra.conf"
    if path not in s.options:
        s.options += ["--dovecot-extra", path]
    with open(path, "a") as f:
        f.write("".join(line + "\n" for line in lines))


def save(s, count, folder="INBOX", first=1, user="ann"):
    """Messages first to first + count - 1, saved by doveadm."""
    for n in range(first, first + count):
        s.doveadm("save", "-u", user, "-m", folder,
                  stdin=clean(n).decode())


def numbers(s, folder="INBOX", user="ann"):
    """Which messages of clean() are in a folder, in its order.

    A folder that is not there has none."""
    done = subprocess.run(
        [s.dir + "/.popkeep/doveadm", "-f", "flow", "fetch", "-u", user,
         "hdr.message-id", "mailbox", folder], capture_output=True)
    check(done.returncode in (0, 68), done.stderr)
    return [int(n) for n in re.findall(rb"<clean-(\d+)@", done.stdout)]


def retained(s, folder="INBOX", user="ann"):
    return sorted(numbers(s, RETAINED + folder, user))


@contextlib.contextmanager
def imap(s, user="ann", folder="INBOX"):
    """An IMAP session with that folder selected."""
    c = imaplib.IMAP4("127.0.0.1", s.imap_port, timeout=60)
    try:
        c.login(user, s.password(user))
        if folder is not None:
            ok(c.select(folder))
        yield c
    finally:
        with contextlib.suppress(Exception):
            c.logout()


def ok(reply):
    same(reply[0], "OK", "IMAP: %s" % (reply,))
    return reply[1]


def no(reply, word=""):
    same(reply[0], "NO", "IMAP: %s" % (reply,))
    text = reply[1][0].decode()
    check(word in text, "IMAP: %s" % text)
    return text


def mark(c, messages):
    ok(c.store(messages, "+FLAGS", "(\\Deleted)"))


def histories(s, user="ann"):
    """Events of each message, in the order of the log, sorted."""
    of = {}
    for r in s.audit():
        if r.get("user") == user and "uidl" in r:
            of.setdefault(r["uidl"], []).append(r["event"])
    return sorted(of.values())


def settled(s, *expected, user="ann"):
    """Each message's events are these, and no intent is open."""
    with contextlib.suppress(AssertionError):
        until(lambda: histories(s, user) == sorted(expected), "records", 5)
    same(histories(s, user), sorted(expected), "records")
    same(check_order(s.audit()), set(), "open intents")


GONE = ["dispose-intent", "disposed"]
KEPT = ["dispose-intent", "retained"]


def fate(kind):
    """What becomes of a message that is deleted, as the log has it."""
    return KEPT if kind in BOUND else GONE


# ---- policyd ----------------------------------------------------------------

def policyd(s):
    """Its pid."""
    found = [pid for pid, line in family(s.process.pid).items()
             if "/popkeep-policyd " in line]
    check(found, "there is no policyd")
    return found[0]


@contextlib.contextmanager
def policyd_stopped(s):
    """It is there, and answers nothing."""
    pid = policyd(s)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def policyd_killed(s):
    """It is gone, and comes back at the end."""
    marker = s.dir + "/.popkeep/no-policyd"
    s.deaths = True
    open(marker, "w").close()
    pid = policyd(s)
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in family(s.process.pid), "it is gone")
    try:
        yield
    finally:
        os.unlink(marker)
        s.process.send_signal(signal.SIGHUP)
        until_policyd(s, pid)


def until_policyd(s, before=0):
    """It is there again, and answers."""
    def answers():
        with contextlib.suppress(AssertionError):
            return policyd(s) != before and s.tool("explain", "ann")
    until(answers, "policyd is back")


AWAY = {"stopped": policyd_stopped, "killed": policyd_killed}
