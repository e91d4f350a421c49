"""Large maildrops, large messages, and the demonstration.

SPDX-License-Identifier: ISC
"""
import os
import shutil
import sys
import time

import fixtures
from lib import ROOT, TOP, Server, check, check_memory, run, same, test


@test
def hundred_thousand_messages():
    """100,000 messages: every listing is complete, and the next login is quick"""
    count = 100_000
    message = fixtures.clean(1)
    octets = len(fixtures.received(message))
    with Server(messages=[message]) as s:
        new = s.maildir() + "/new/"
        first = new + os.listdir(new)[0]
        for n in range(1, count):
            name = new + "1700%06d.M%dP1.links" % (n, n)
            if n % 50_000 == 0:		# a file has 65,000 links at most
                shutil.copy2(first, name)
                if ROOT:
                    shutil.chown(name, os.stat(first).st_uid)
                first = name
            else:
                os.link(first, name)
        c = s.login()
        same(c.stat(), (count, count * octets), "STAT")
        scan = c.multi("LIST")
        same(scan, b"".join(b"%d %d\r\n" % (n, octets)
                            for n in range(1, count + 1)), "LIST")
        uids = c.uids()
        same(len(set(uids)), count, "different unique-ids")
        same(c.multi("RETR %d" % count), fixtures.received(message), "RETR")
        for n in range(1, count + 1, 100):
            c.send("DELE %d\r\n" % n)
        for n in range(1, count + 1, 100):
            check(c.status().startswith(b"+OK"), "DELE")
        check_memory(s)
        c.socket.settimeout(120)
        c.quit()
        same(len(os.listdir(new)), count - count // 100, "files left")
        start = time.monotonic()
        c = s.login()
        took = time.monotonic() - start
        same(c.stat()[0], count - count // 100, "STAT of the next session")
        left = [u for n, u in enumerate(uids) if n % 100]
        same(c.uids(), left, "unique-ids of the next session")
        # No timed test: only that it does not read every message again.
        check(took < 20, "the second login took %.1f s" % took)
        c.quit()


@test
def message_of_gigabytes():
    """a message larger than 4 GiB has its size, and comes from the start"""
    head = fixtures.HEAD % (b"giga", b"giga")
    total = 4_500_000_000
    with Server(messages=[head]) as s:
        new = s.maildir() + "/new/"
        with open(new + os.listdir(new)[0], "r+b") as f:
            f.truncate(total)		# a hole: NULs that take no room
        c = s.login()
        c.socket.settimeout(120)
        expected = total + head.count(b"\n") + 2	# CRs, the final CRLF
        same(c.stat(), (1, expected), "STAT")
        same(c.multi("TOP 1 0"), fixtures.received(head), "TOP")
        c.ok("RETR 1")
        got = len(c.buffer)
        while got < 50_000_000:
            data = c.socket.recv(1 << 20)
            check(data, "the connection ended")
            got += len(data)
        check_memory(s)
        c.abort()
        same(len(os.listdir(new)), 1, "files")


@test
def demonstration():
    """tools/try.py --once shows what it promises"""
    out = run([sys.executable, TOP + "/tools/try.py", "--once"], timeout=120)
    same(out.count(b"arrived octet for octet"), 2, "drained mailboxes")
    for word in (b"mech=APOP", b"tls=1", b"0 messages, 0 octets"):
        check(word in out, "%r is not in what it shows" % word)
    check(max(len(l) for l in out.decode().splitlines()) <= 80, "80 columns")
