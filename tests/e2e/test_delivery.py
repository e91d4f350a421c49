"""An MTA delivers while sessions are open: a session's messages stay as they
were, the next one sees the new mail, and nothing is lost.

SPDX-License-Identifier: ISC
"""
import contextlib
import os
import re
import shutil
import smtplib
import subprocess
import threading
import time

import fixtures
from lib import (Server, Skip, check, each, free_ports, needs_root, private_dir,
                 run, same, until)

POSTFIX = "/usr/lib/postfix/sbin/master"

MAIN = """
compatibility_level = 3.6
queue_directory = %(dir)s/queue
data_directory = %(dir)s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:no local mail
virtual_mailbox_domains = example.test
virtual_mailbox_base = %(base)s
virtual_mailbox_maps = static:Maildir/
virtual_minimum_uid = 1000
virtual_uid_maps = static:%(uid)d
virtual_gid_maps = static:%(gid)d
smtpd_recipient_restrictions = permit_mynetworks, reject
maillog_file = %(dir)s/postfix.log
maillog_file_prefixes = %(dir)s
message_size_limit = 0
virtual_mailbox_limit = 0
mailbox_size_limit = 0
"""

MASTER = """
127.0.0.1:%(port)d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
virtual unix - n n - - virtual
error unix - - n - - error
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def postfix(s):
    """Postfix from a directory of its own; yields deliver(message)."""
    needs_root("Postfix needs root")
    if not os.path.exists(POSTFIX):
        raise Skip("no Postfix here")
    with private_dir() as d:
        port = free_ports(1)[0]
        owner = os.stat(s.maildir())
        values = {"dir": d, "port": port, "base": s.dir, "uid": owner.st_uid,
                  "gid": owner.st_gid}
        for name in ("conf", "queue", "data"):
            os.mkdir("%s/%s" % (d, name), 0o755)
        shutil.chown(d + "/data", "postfix")
        for name, text in (("main.cf", MAIN), ("master.cf", MASTER)):
            with open("%s/conf/%s" % (d, name), "w") as f:
                f.write(text % values)
        run(["postfix", "-c", d + "/conf", "start"])
        try:
            smtp = until(lambda: connect(port), "Postfix answers", 20)

            def deliver(message):
                smtp.sendmail("sender@example.test", ["ann@example.test"],
                              message)
            yield deliver
            with contextlib.suppress(smtplib.SMTPException):
                smtp.quit()
        except BaseException:
            with contextlib.suppress(OSError):
                print(open(d + "/postfix.log").read()[-2000:])
            raise
        finally:
            subprocess.run(["postfix", "-c", d + "/conf", "stop"],
                           capture_output=True)


def connect(port):
    try:
        return smtplib.SMTP("127.0.0.1", port, timeout=20)
    except OSError:
        return None


@contextlib.contextmanager
def by_rename(s):
    """No MTA, but what one does: write to tmp, rename to new."""
    yield lambda message: s.deliver(
        "ann", message, name="%d.P%d.%d" % (time.time(), os.getpid(),
                                             time.monotonic_ns()))


MTAS = {"Postfix": postfix, "tmp and rename": by_rename}


def marked(number, lines=20):
    return (b"From: sender@example.test\nTo: ann@example.test\n"
            b"Subject: mark-%04d-\n\n" % number +
            b".dot and some text\n" * lines)


def marks(messages):
    found = []
    for m in messages:
        found += [int(n) for n in re.findall(rb"Subject: mark-(\d{4})-", m)]
    return sorted(found)


@each("Postfix", "tmp and rename")
def delivery_in_session(mta):
    """new mail comes while a session is open"""
    old = fixtures.cleans(3)
    with Server(messages=old) as s, MTAS[mta](s) as deliver:
        c = s.login()
        before = (c.stat(), c.scan(), c.uids())
        for n in range(20):
            deliver(marked(n))
        until(lambda: len(s.stored()) == 23, "20 messages are delivered", 30)
        same((c.stat(), c.scan(), c.uids()), before, "the open session")
        c.err("RETR 4")
        for n, message in enumerate(old, 1):
            same(c.multi("RETR %d" % n), fixtures.received(message), "RETR")
            c.ok("DELE %d" % n)
        c.quit()
        same(marks(s.stored()), list(range(20)), "files after QUIT")
        same(len(s.stored()), 20, "files after QUIT")
        c = s.login()
        count = c.stat()[0]
        same(count, 20, "next session")
        got = [c.multi("RETR %d" % n) for n in range(1, count + 1)]
        same(marks(got), list(range(20)), "the new messages")
        check(all(b"\r\n.dot and some text\r\n" in m for m in got), "whole")
        same(sorted(got), [fixtures.received(m) for m in sorted(s.stored())],
             "octet for octet")
        c.quit()


@each("Postfix", "tmp and rename")
def delivery_storm(mta):
    """sessions fetch and delete in a row while mail keeps coming: each once"""
    count = 150
    three_sessions = threading.Event()
    with Server() as s, MTAS[mta](s) as deliver:
        def send():
            for n in range(count):
                # The last mail comes only after some sessions.
                if n == count - 50:
                    three_sessions.wait(60)
                deliver(marked(n, n % 50))
        sender = threading.Thread(target=send)
        sender.start()
        got, sessions, deadline = [], 0, time.monotonic() + 60
        while len(got) < count and time.monotonic() < deadline:
            c = s.login()
            sessions += 1
            for n in range(1, c.stat()[0] + 1):
                message = c.multi("RETR %d" % n)
                same(len(message), int(c.ok("LIST %d" % n).split()[2]), "size")
                got.append(message)
                c.ok("DELE %d" % n)
            c.quit()
            if sessions >= 3:
                three_sessions.set()
        sender.join()
        same(marks(got), list(range(count)), "every message once")
        same(s.stored(), [], "left")
