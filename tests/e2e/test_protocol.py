"""RFC 1939, 2449, 2595, 3206, 5034 over the wire, on raw sockets.

SPDX-License-Identifier: ISC
"""
import base64
import hashlib
import os
import re
import socket
import subprocess
import threading
import time

import fixtures
from lib import (ROOT, Client, Server, check, check_memory, each, same, test,
                 until)


def b64(*parts):
    return base64.b64encode(b"\0".join(
        p.encode() if isinstance(p, str) else p for p in parts)).decode()


# Greeting, lines, states.

@test
def greeting():
    """one positive greeting line, with a timestamp that never repeats"""
    with Server() as s:
        seen = set()
        for turn in range(3):
            for _ in range(15):
                with s.connect() as c:
                    g = c.greeting
                    check(g.startswith(b"+OK ") and g.endswith(b"\r\n") and
                          len(g) <= 512, "greeting %r" % g)
                    found = re.findall(rb"<[A-Za-z0-9._-]+@[A-Za-z0-9._-]+>", g)
                    same((len(found), g.count(b"<"), g.count(b"@")), (1, 1, 1),
                         "timestamps in %r" % g)
                    seen.add(found[0])
            if turn < 2:
                s.restart()
        same(len(seen), 45, "different timestamps")


@test
def keywords():
    """keywords in any case, arguments of 40 octets, status lines in capitals"""
    with Server(messages=fixtures.cleans(1)) as s:
        with s.connect() as c:
            c.ok("uSeR ann")
            c.ok("pAsS " + s.password("ann"))
            for text in ("sTaT", "list", "LIST 1", "uidl", "Noop", "rSeT"):
                c.ok(text)
                if text in ("list", "uidl"):
                    c.body()
            c.multi("rEtR 1")
            c.multi("tOp 1 0")
            c.multi("capa")
            c.ok("quit")
        with s.connect() as c:
            c.ok("USER " + "u" * 40)
            c.err("PASS " + "p" * 40, "AUTH")


BAD = [b"", b" ", b"XYZZY", b"XYZZY 1", b"NOOPX", b"STA", b" STAT", b"\tSTAT",
       b"STAT\0", b"\0", b"ST\0AT", b"STAT 1", b"LIST x", b"LIST 1 2",
       b"LIST  1", b"LIST +1", b"LIST -1", b"LIST 1x", b"LIST 01", b"LIST 0",
       b"LIST 3", b"LIST 4294967297", b"LIST 4294967296", b"LIST 1.0",
       b"LIST 18446744073709551617", b"LIST 99999999999999999999999",
       b"LIST 0x1", b"LIST \xb9", b"RETR", b"RETR ", b"RETR 0", b"RETR 3",
       b"RETR -1", b"RETR 1 1", b"RETR 4294967297", b"DELE", b"DELE 0",
       b"DELE 3", b"DELE one", b"DELE 1 2", b"TOP", b"TOP 1", b"TOP 1 -1",
       b"TOP 1 x", b"TOP 1 1 1", b"TOP 3 1", b"TOP 0 1", b"TOP 1 01",
       b"UIDL 0", b"UIDL 3", b"UIDL x", b"UIDL 1 2", b"RSET 1", b"NOOP x",
       b"QUIT now", b"CAPA x", b"STLS", b"STLS x", b"USER ann", b"PASS x",
       b"APOP ann c4c9334bac560ecc979e58001b3e22fb", b"AUTH", b"AUTH PLAIN",
       b"AUTH PLAIN AGEAYg==", b"GET / HTTP/1.0", b"\x16\x03\x01\x02\x00\x01",
       b"\xff\xfb\x06", b"RETR\r1", b"STAT\r", b"A" * 300, b"RETR " + b"1" * 500,
       b"Z" * 5000, b"RETR 1" + b"\0" * 3000, b"Q" * 200000]


@test
def bad_commands_after_login():
    """bad input of every kind gets one -ERR, and the session goes on"""
    with Server(messages=fixtures.cleans(2)) as s:
        c = s.login()
        before = (c.stat(), c.scan(), c.uids())
        for line in BAD:
            reply = c.command(line)
            check(reply.startswith(b"-ERR"), "%.60r: %r" % (line, reply))
            # One reply only: the next one belongs to the next command.
            c.send(b"NOOP\r\nLIST 1\r\n")
            check(c.status().startswith(b"+OK"), "NOOP after %.60r" % line)
            same(c.line().split()[1:2], [b"1"], "LIST 1 after %.60r" % line)
        same((c.stat(), c.scan(), c.uids()), before, "maildrop afterwards")
        c.quit()
        same(len(s.stored()), 2, "messages left")


@test
def bad_commands_before_login():
    """before login only what belongs there; everything else gets one -ERR"""
    with Server(messages=fixtures.cleans(2), settings=[
            "max-failures = 1000"]) as s:
        with s.connect() as c:
            for line in (b"STAT", b"LIST", b"LIST 1", b"RETR 1", b"DELE 1",
                         b"NOOP", b"RSET", b"TOP 1 0", b"UIDL", b"UIDL 1",
                         b"", b" ", b"XYZZY", b"USER", b"USER ", b"PASS x",
                         b"APOP", b"APOP ann", b"APOP ann x y", b"QUIT x",
                         b"STLS x", b"AUTH XYZZY", b"AUTH PLAIN a b",
                         b"AUTH CRAM-MD5", b"USER a\0b", b"CAPA x",
                         b"Z" * 5000, b"\0" * 300, b"\x80\x81"):
                c.err(line)
                c.ok("CAPA")
                c.body()
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.quit()


@test
def pass_only_after_user():
    """PASS only right after USER; another command in between cancels it"""
    with Server() as s:
        with s.connect() as c:
            c.err("PASS " + s.password("ann"))
            c.ok("USER ann")
            c.err("XYZZY")
            reply = c.command("PASS " + s.password("ann"))
            if reply.startswith(b"-ERR"):
                c.ok("USER ann")
                c.ok("PASS " + s.password("ann"))
            c.ok("STAT")
            c.err("PASS " + s.password("ann"))
            c.quit()


@test
def long_lines():
    """lines of 255 octets are taken; longer ones get -ERR once, however long"""
    with Server(messages=fixtures.cleans(1)) as s:
        with s.connect() as c:
            c.ok("USER " + "n" * (255 - 7))
            c.err("PASS " + "p" * (255 - 7))
            for length in (2000, 8192, 65536, 1 << 20):
                c.send(b"USER " + b"x" * length + b"\r\nCAPA\r\n")
                check(c.status().startswith(b"-ERR"), "line of %d" % length)
                check(c.status().startswith(b"+OK"), "CAPA after it")
                c.body()
        c = s.login()
        c.send(b"LIST 1" + b" " * 70000 + b"\r\nRETR 1" + b"0" * 70000 +
               b"\r\nNOOP\r\n")
        same([c.status()[:4] for _ in range(3)], [b"-ERR", b"-ERR", b"+OK\r"],
             "three commands")
        c.quit()


@test
def line_without_end():
    """a line that never ends takes no memory and blocks nobody"""
    with Server(messages=fixtures.cleans(1)) as s:
        with s.connect() as c, s.connect() as other:
            c.socket.settimeout(5)
            block = b"A" * 65536
            try:
                for _ in range(16 * 30):
                    c.send(block)
            except (OSError, socket.timeout):
                pass	# closing or not reading on is an answer too
            other.ok("CAPA")
            other.body()
            check_memory(s)


@test
def octet_at_a_time():
    """a dialogue sent one octet at a time is the same dialogue"""
    with Server(messages=[fixtures.dotty()]) as s:
        dialogue = ("CAPA\r\nUSER ann\r\nPASS %s\r\nSTAT\r\nRETR 1\r\n"
                    "TOP 1 2\r\nUIDL\r\nXYZZY\r\nQUIT\r\n" %
                    s.password("ann")).encode()

        def play(pieces):
            with s.connect() as c:
                got = b""
                for piece in pieces:
                    c.send(piece)
                    if len(piece) == 1:
                        time.sleep(0.001)
                while c.fill():
                    pass
                return c.buffer
        once = play([dialogue])
        check(b"+OK" in once and once.count(b"-ERR") == 1, "%.300r" % once)
        until(lambda: s.login(wait=False).quit() is None, "lock released")
        same(play([bytes([o]) for o in dialogue]), once, "the dialogue")
        same(play(dialogue.splitlines(True)), once, "line by line")


@test
def line_feed_only():
    """lines that end in LF alone do not end the session's order"""
    with Server(messages=fixtures.cleans(2)) as s:
        c = s.login()
        c.send(b"NOOP\nSTAT\n")
        time.sleep(0.3)
        c.send(b"\r\nLIST 1\r\n")
        replies = []
        while not replies or not re.match(rb"\+OK 1 \d+\r\n", replies[-1]):
            replies.append(c.status())
            check(len(replies) <= 4, "too many replies: %r" % replies)
        # Either each LF ended a command (3 replies and the empty line's), or
        # all of it was one bad line.
        check(len(replies) in (2, 4), "%r" % replies)
        c.quit()


# The maildrop.

@test
def stat_and_list():
    """STAT and LIST are exact and bare, and leave deleted messages out"""
    messages = fixtures.cleans(5)
    sizes = [len(fixtures.received(m)) for m in messages]
    with Server(messages=messages) as s:
        c = s.login()
        same(c.ok("STAT"), b"+OK 5 %d\r\n" % sum(sizes), "STAT")
        same(c.multi("LIST"), b"".join(b"%d %d\r\n" % p for p in
                                       enumerate(sizes, 1)), "LIST")
        same(c.ok("LIST 3"), b"+OK 3 %d\r\n" % sizes[2], "LIST 3")
        c.ok("DELE 2")
        c.ok("DELE 4")
        same(c.ok("STAT"), b"+OK 3 %d\r\n" % (sizes[0] + sizes[2] + sizes[4]),
             "STAT after DELE")
        same([n for n, _ in c.scan()], [1, 3, 5], "LIST keeps its numbers")
        for text in ("LIST 2", "RETR 2", "DELE 2", "TOP 2 0", "UIDL 2"):
            c.err(text)
        same(len(c.uids()), 3, "UIDL leaves deleted out")
        same(len(s.stored()), 5, "files before QUIT")
        c.ok("RSET")
        same(c.stat(), (5, sum(sizes)), "STAT after RSET")
        c.multi("RETR 2")
        c.ok("DELE 5")
        c.quit()
        same(s.stored(), sorted(messages[:4]), "files after QUIT")


@test
def empty_maildrop():
    """an empty maildrop: +OK 0 0, and empty lists"""
    with Server() as s:
        c = s.login()
        same(c.ok("STAT"), b"+OK 0 0\r\n", "STAT")
        same((c.multi("LIST"), c.multi("UIDL")), (b"", b""), "lists")
        for text in ("LIST 1", "RETR 1", "DELE 1", "UIDL 1", "TOP 1 1"):
            c.err(text)
        c.quit()


@each("plain", "stls", "tls")
def nasty_messages(how):
    """every nasty message arrives octet for octet, and LIST tells its size"""
    messages = fixtures.nasty()
    with Server() as s:
        for name, message in messages.items():
            s.deliver("ann", message)
        with s.connect(tls=how == "tls") as c:
            if how == "stls":
                c.stls()
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            sizes = dict(c.scan())
            same(len(sizes), len(messages), "count")
            same(c.stat()[1], sum(sizes.values()), "STAT")
            for number, (name, message) in enumerate(messages.items(), 1):
                expected = fixtures.received(message)
                same(sizes[number], len(expected), "LIST of '%s'" % name)
                same(c.multi("RETR %d" % number), expected,
                     "RETR of '%s'" % name)
                for lines in (0, 1, 3, 4294967295):
                    same(c.multi("TOP %d %d" % (number, lines)),
                         fixtures.top(message, lines),
                         "TOP %d of '%s'" % (lines, name))
            c.quit()
        same(s.stored(), sorted(messages.values()), "files afterwards")


@each("plain", "tls")
def huge_messages(how):
    """lines of 5 MB and messages of 20 MB arrive octet for octet"""
    messages = fixtures.huge()
    with Server() as s:
        for message in messages.values():
            s.deliver("ann", message)
        c = s.login(tls=how == "tls")
        sizes = dict(c.scan())
        for number, (name, message) in enumerate(messages.items(), 1):
            expected = fixtures.received(message)
            same(sizes[number], len(expected), "LIST of '%s'" % name)
            same(c.multi("RETR %d" % number), expected, name)
            same(c.multi("TOP %d 0" % number), fixtures.top(message, 0), name)
        c.quit()


@test
def unique_ids():
    """unique-ids: form, one per message, the same in every session"""
    with Server(messages=fixtures.cleans(6)) as s:
        odd = [s.deliver("ann", fixtures.clean(50 + i), name=name)
               for i, name in enumerate((
                   "1700000001.with space", "1700000002." + "l" * 120,
                   "1700000003.\u00fcmlaut", "1700000004.x,S=12,W=13",
                   "1700000005.plain:2,FS"))]
        c = s.login()
        first = c.uids()
        for uid in first:
            check(re.fullmatch(r"[\x21-\x7e]{1,70}", uid), "uid %r" % uid)
        same(len(set(first)), 11, "different unique-ids")
        for number, uid in enumerate(first, 1):
            same(c.ok("UIDL %d" % number),
                 b"+OK %d %s\r\n" % (number, uid.encode()), "UIDL n")
        c.abort()			# a session without UPDATE
        c = s.login()
        same(c.uids(), first, "after a session that was cut")
        c.ok("DELE 3")
        c.quit()
        s.restart()
        # Another program renames: flags change, new/ becomes cur/.
        new = s.maildir() + "/new"
        for name in os.listdir(new):
            os.rename(new + "/" + name,
                      s.maildir() + "/cur/" + name.split(":")[0] + ":2,RS")
        c = s.login()
        same(c.uids(), first[:2] + first[3:], "after restart and renames")
        c.quit()
        os.unlink(s.maildir() + "/popkeep.index")
        c = s.login()
        same(sorted(c.uids()), sorted(first[:2] + first[3:]),
             "after the loss of the index")
        c.quit()


@test
def damaged_index():
    """a damaged index costs time, never mail or a session"""
    messages = fixtures.cleans(4)
    with Server(messages=messages) as s:
        index = s.maildir() + "/popkeep.index"
        c = s.login()
        expected = (c.stat(), c.scan(), c.uids())
        c.quit()
        whole = until(lambda: os.path.exists(index) and
                      open(index, "rb").read(), "an index")
        wrong = [b"", b"\0" * 100, whole[:-1], whole[:len(whole) // 2],
                 whole + b"x", b"\xff" * len(whole)]
        for at in range(0, len(whole), max(1, len(whole) // 40)):
            wrong.append(whole[:at] + bytes([whole[at] ^ 0x40]) +
                         whole[at + 1:])
        for data in wrong:
            with open(index, "r+b") as f:
                f.truncate(0)
                f.write(data)
            c = s.login()
            same((c.stat(), c.scan(), c.uids()), expected, "maildrop")
            for n, message in enumerate(messages, 1):
                same(c.multi("RETR %d" % n), fixtures.received(message), "RETR")
            c.quit()
        os.unlink(index)
        os.mkdir(index)
        c = s.login()
        same(c.stat(), expected[0], "with a directory in its place")
        c.quit()
        same(s.stored(), sorted(messages), "files")


@test
def odd_entries():
    """links, FIFOs, devices and directories in a Maildir are left alone"""
    with Server(messages=fixtures.cleans(2)) as s:
        target = s.dir + "/secret"
        with open(target, "w") as f:
            f.write("not for mail\n")
        cur, new = s.maildir() + "/cur/", s.maildir() + "/new/"
        os.symlink(target, cur + "1700000001.link:2,")
        os.symlink("/dev/zero", new + "1700000002.zero")
        os.symlink("nowhere", new + "1700000003.dangling")
        os.symlink(".", cur + "1700000004.loop")
        os.mkfifo(cur + "1700000005.fifo:2,")
        os.mkdir(new + "1700000006.dir")
        with open(new + ".hidden", "w") as f:
            f.write("no message\n")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(cur + "1700000007.socket")
        if ROOT:
            os.mknod(cur + "1700000008.device", 0o20666, os.makedev(1, 5))
        before = sorted(os.listdir(cur) + os.listdir(new))
        c = s.login()
        same(c.stat()[0], 2, "messages")
        for n in (1, 2):
            c.multi("RETR %d" % n)
            c.ok("DELE %d" % n)
        c.quit()
        after = sorted(os.listdir(cur) + os.listdir(new))
        check(len(after) == len(before) - 2, "odd entries are still there")
        same(open(target).read(), "not for mail\n", "the link's target")


@test
def swapped_for_a_link():
    """a message that becomes a link or a FIFO in mid-session is not followed"""
    with Server(messages=fixtures.cleans(3)) as s:
        target = s.dir + "/secret"
        with open(target, "w") as f:
            f.write("not for mail\n")
        os.chmod(target, 0o644)
        c = s.login()
        c.scan()
        new = s.maildir() + "/new/"
        one, two, three = sorted(os.listdir(new))
        os.unlink(new + one)
        os.symlink(target, new + one)
        os.unlink(new + two)
        os.mkfifo(new + two)
        c.err("RETR 1")
        c.err("RETR 2")
        c.err("TOP 2 0")
        c.multi("RETR 3")
        c.quit()


@test
def renamed_in_session():
    """another program renames and removes: the session finds what is there"""
    messages = fixtures.cleans(4)
    with Server(messages=messages) as s:
        c = s.login()
        c.scan()
        new, cur = s.maildir() + "/new/", s.maildir() + "/cur/"
        names = sorted(os.listdir(new))
        os.rename(new + names[0], cur + names[0] + ":2,S")
        os.rename(new + names[1], cur + names[1] + ":2,")
        os.unlink(new + names[2])
        same(c.multi("RETR 1"), fixtures.received(messages[0]), "renamed")
        os.rename(cur + names[0] + ":2,S", cur + names[0] + ":2,RST")
        same(c.multi("RETR 1"), fixtures.received(messages[0]), "flags changed")
        c.err("RETR 3")
        c.ok("DELE 1")
        c.ok("DELE 2")
        c.ok("DELE 3")	# gone already: that is what DELE wants
        c.quit()
        same(s.stored(), [messages[3]], "left")


@test
def changed_in_session():
    """a message that another program shortens or lengthens ends well-formed"""
    with Server(messages=fixtures.cleans(2)) as s:
        c = s.login()
        c.scan()
        new = s.maildir() + "/new/"
        one, two = sorted(os.listdir(new))
        with open(new + one, "ab") as f:
            f.write(b"appended\n.\nline\n")
        changed = open(new + one, "rb").read()
        reply = c.command("RETR 1")
        if reply.startswith(b"+OK"):
            same(c.body(), fixtures.received(changed), "changed message")
        c.ok("NOOP")
        c.quit()
        c = s.login()
        same(dict(c.scan())[1], len(fixtures.received(changed)),
             "size in the next session")
        same(c.multi("RETR 1"), fixtures.received(changed), "next session")
        c.quit()


@test
def compressed_refused():
    """a mailbox of compressed messages is [SYS/PERM], not a stream of gzip"""
    import gzip
    with Server(messages=fixtures.cleans(1)) as s:
        s.deliver("ann", gzip.compress(fixtures.clean(2)),
                  name="1700000001.M1.host,S=%d:2,Z" % len(fixtures.clean(2)),
                  folder="cur")
        with s.connect() as c:
            c.ok("USER ann")
            c.err("PASS " + s.password("ann"), "SYS/PERM")


@test
def sizes_in_names():
    """S= and W= in file names are believed only as far as they are true"""
    message = fixtures.clean(1, 40)
    sent = len(fixtures.received(message))
    with Server() as s:
        size = len(message)
        for n, flags in enumerate((
                "S=%d" % size, "S=%d,W=%d" % (size, sent),
                "S=%d" % (size + 1), "S=%d,W=%d" % (size - 1, sent + 7),
                "W=%d" % (sent + 9), "S=x", "S=99999999999999999999")):
            s.deliver("ann", message, name="17000000%02d.h,%s" % (n, flags))
        c = s.login()
        for n, octets in c.scan():
            same(octets, sent, "LIST %d" % n)
            same(len(c.multi("RETR %d" % n)), sent, "RETR %d" % n)
        c.quit()


@test
def quit_tells_the_truth():
    """QUIT says -ERR, and how many, if a message could not be removed"""
    messages = fixtures.cleans(5)
    with Server(messages=messages) as s:
        new = s.maildir() + "/new"
        names = sorted(os.listdir(new))
        c = s.login()
        c.scan()
        for n in (1, 2, 3):
            c.ok("DELE %d" % n)
        stuck = new + "/" + names[1]
        undo = None
        if ROOT:
            done = subprocess.run(["chattr", "+i", stuck], capture_output=True)
            if done.returncode == 0:
                undo, left = ["chattr", "-i", stuck], 1
        if undo is None:
            os.chmod(new, 0o500)
            if ROOT:
                os.chown(new, 0, 0)
                os.chmod(new, 0o555)
            undo, left = ["chmod", "777", new], 3
        try:
            reply = c.command("QUIT")
        finally:
            subprocess.run(undo, check=True)
        check(reply.startswith(b"-ERR"), "QUIT: %r" % reply)
        check(b"%d" % left in reply, "QUIT does not say %d: %r" % (left, reply))
        check(c.at_end(), "closed after QUIT")
        same(len(s.stored()), 5 - 3 + left, "messages left")
        c = s.login()			# the lock is free
        same(c.stat()[0], 5 - 3 + left, "count")
        c.quit()


@test
def quit_before_login():
    """QUIT before login: +OK, closed, and nothing is removed"""
    with Server(messages=fixtures.cleans(1)) as s:
        for text in ("", "USER ann"):
            with s.connect() as c:
                if text:
                    c.ok(text)
                c.quit()
        same(len(s.stored()), 1, "messages")


@test
def in_use():
    """a second session gets [IN-USE] with the right password, [AUTH] else"""
    with Server(messages=fixtures.cleans(2)) as s:
        first = s.login()
        for tls in (False, True):
            # The server may close after [IN-USE] (RFC 1939 section 4).
            with s.connect(tls) as c:
                c.ok("USER ann")
                c.err("PASS wrong", "AUTH")
                c.ok("USER ann")
                c.err("PASS " + s.password("ann"), "IN-USE")
            with s.connect(tls) as c:
                reply = c.apop("ann", s.secret("ann"))
                check(reply.startswith(b"-ERR [IN-USE]"), "APOP: %r" % reply)
            with s.connect(tls) as c:
                c.err("AUTH PLAIN " + b64("", "ann", s.password("ann")),
                      "IN-USE")
            same(first.stat()[0], 2, "the first session")
        first.quit()
        until(lambda: s.login(wait=False).quit() is None, "lock released")


@test
def rset_and_cut():
    """RSET undoes DELE; a session that ends without QUIT removes nothing"""
    with Server(messages=fixtures.cleans(3)) as s:
        c = s.login()
        c.ok("DELE 1")
        c.ok("RSET")
        c.quit()
        same(len(s.stored()), 3, "after RSET and QUIT")
        for tls in (False, True):
            for how in ("abort", "close"):
                c = s.login(tls=tls)
                c.ok("DELE 1")
                c.ok("DELE 2")
                getattr(c, how)()
        s.login().quit()
        same(len(s.stored()), 3, "after cut sessions")


# Pipelining.

@test
def pipelining_without_reading():
    """10,000 commands sent before anything is read: no deadlock, in order"""
    big = fixtures.clean(1, 400)
    with Server(messages=[big, fixtures.clean(2)]) as s:
        for tls in (False, True):
            c = s.login(tls=tls)
            count = 10000
            block = b"".join(b"LIST %d\r\n" % (n % 3) for n in range(count))
            retrs = b"RETR 1\r\n" * 300
            sender = threading.Thread(
                target=lambda: c.socket.sendall(block + retrs))
            sender.start()
            time.sleep(1.0)		# the server must wait for us to read
            for n in range(count):
                reply = c.line()
                expected = b"+OK %d " % (n % 3) if n % 3 else b"-ERR"
                check(reply.startswith(expected), "reply %d: %r" % (n, reply))
            for n in range(300):
                check(c.status().startswith(b"+OK"), "RETR %d" % n)
                same(c.body(), fixtures.received(big), "RETR %d" % n)
            sender.join()
            c.quit()


@test
def pipelining_all():
    """a client that sends everything before it reads anything gets it all"""
    messages = fixtures.cleans(3)
    with Server(messages=messages) as s:
        with s.connect() as c:
            c.send("CAPA\r\nUSER ann\r\nPASS %s\r\nSTAT\r\nRETR 1\r\nRETR 2\r\n"
                   "RETR 3\r\nDELE 1\r\nNOOP\r\nQUIT\r\nNOOP\r\n" %
                   s.password("ann"))
            c.status()
            c.body()
            for _ in range(3):
                check(c.status().startswith(b"+OK"), "USER, PASS, STAT")
            for message in messages:
                check(c.status().startswith(b"+OK"), "RETR")
                same(c.body(), fixtures.received(message), "RETR")
            for _ in range(3):
                check(c.status().startswith(b"+OK"), "DELE, NOOP, QUIT")
            check(c.at_end(), "nothing after QUIT")
        same(len(s.stored()), 2, "messages")


@test
def slow_reader():
    """a client that does not read costs no memory and delays nobody"""
    huge = fixtures.huge()["20 MB"]
    with Server(users=("ann", "bob"), messages=[huge]) as s:
        c = s.login("ann")
        c.send(b"RETR 1\r\n" * 10)
        time.sleep(1)
        check_memory(s)
        start = time.monotonic()
        other = s.login("bob")
        other.ok("STAT")
        other.quit()
        check(time.monotonic() - start < 3, "somebody else was delayed")
        check(c.status().startswith(b"+OK"), "RETR")
        same(c.body(), fixtures.received(huge), "RETR")
        c.abort()


# Capabilities.

def capabilities(c):
    return {l.split()[0].upper(): l.split()[1:] for l in c.lines("CAPA")}


@test
def capa():
    """CAPA tells the truth in each state, with and without TLS"""
    with Server(messages=fixtures.cleans(1)) as s:
        for tls in (False, True):
            with s.connect(tls) as c:
                before = capabilities(c)
                for tag in ("TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES",
                            "AUTH-RESP-CODE", "SASL"):
                    check(tag in before, "%s is missing" % tag)
                same("STLS" in before, not tls, "STLS offered")
                same(sorted(before["SASL"]), ["LOGIN", "PLAIN"], "SASL")
                check("EXPIRE" not in before or before["EXPIRE"] == ["NEVER"],
                      "EXPIRE without a policy")
                c.ok("USER ann")
                c.ok("PASS " + s.password("ann"))
                after = capabilities(c)
                check("STLS" not in after, "STLS after login")
                for tag in set(before) - {"STLS"}:
                    check(tag in after, "%s is gone after login" % tag)
                c.quit()


@test
def passwords_only_under_tls():
    """passwords = tls: USER and SASL are neither offered nor accepted in clear"""
    with Server(settings=["passwords = tls"]) as s:
        with s.connect() as c:
            before = capabilities(c)
            check("USER" not in before, "USER offered")
            check("PLAIN" not in before.get("SASL", []), "PLAIN offered")
            c.err("USER ann")
            c.err("PASS " + s.password("ann"))
            c.err("AUTH PLAIN " + b64("", "ann", s.password("ann")))
            c.err("AUTH PLAIN")
            c.stls()
            after = capabilities(c)
            check("USER" in after and "PLAIN" in after["SASL"], "after STLS")
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.quit()


@test
def apop_only_under_tls():
    """apop = tls: APOP is refused in clear, and works with TLS and after STLS"""
    with Server(settings=["apop = tls"]) as s:
        with s.connect() as c:
            # The timestamp is for APOP after STLS.
            stamp = re.search(rb"<[^>]+>", c.greeting).group()
            good = hashlib.md5(stamp + s.secret("ann").encode()).hexdigest()
            c.err("APOP ann " + good)
            c.stls()
            c.ok("APOP ann " + good)
            c.quit()
        with s.connect(tls=True) as c:
            check(c.apop("ann", s.secret("ann")).startswith(b"+OK"), "APOP")
            c.quit()


@test
def apop_never():
    """apop = never: no timestamp anywhere, and APOP is refused"""
    with Server(settings=["apop = never"]) as s:
        for tls in (False, True):
            with s.connect(tls) as c:
                check(b"<" not in c.greeting, "a timestamp")
                c.err("APOP ann " + "0" * 32)


# Logins.

@test
def apop():
    """APOP: right digest, wrong ones, unknown users; the greeting's only"""
    with Server(messages=fixtures.cleans(1), settings=[
            "max-failures = 100", "failure-delay-max = 0"]) as s:
        with s.connect() as c:
            stamp = re.search(rb"<[^>]+>", c.greeting).group()
            good = hashlib.md5(stamp + s.secret("ann").encode()).hexdigest()
            flipped = ("0" if good[0] != "0" else "1") + good[1:]
            known = c.err("APOP ann " + flipped, "AUTH")
            same(c.err("APOP nobody-here " + good, "AUTH"), known,
                 "unknown user and wrong digest")
            for digest in ("", good[:31], good + "0", "g" * 32, good[:-1] + "\0",
                           "x", "0" * 200):
                c.err("APOP ann " + digest)
            same(c.err("APOP ann " + hashlib.md5(
                stamp + s.password("ann").encode()).hexdigest()), known,
                "the password is not the secret")
            check(c.command("APOP ann " + good).startswith(b"+OK"), "APOP")
            same(c.stat()[0], 1, "STAT")
            c.err("APOP ann " + good)
            c.quit()
        with s.connect() as c:
            c.err("APOP ann " + good, "AUTH")	# another connection's
            c.ok("USER ann")
            check(c.apop("ann", s.secret("ann")).startswith(b"+OK"),
                  "APOP after USER")
            c.quit()


@test
def apop_secret_is_no_password():
    """the APOP secret is not accepted as a password"""
    with Server() as s, s.connect() as c:
        c.ok("USER ann")
        c.err("PASS " + s.secret("ann"), "AUTH")


@test
def sasl():
    """AUTH PLAIN and LOGIN, with and without initial response, and cancelled"""
    with Server(messages=fixtures.cleans(1), settings=[
            "max-failures = 100", "failure-delay-max = 0"]) as s:
        word = s.password("ann")
        plain = b64("", "ann", word)

        def attempt(*lines):
            with s.connect() as c:
                replies = []
                for line in lines:
                    replies.append(c.command(line))
                    if replies[-1][:2] != b"+ ":
                        break
                last = replies[-1]
                if last.startswith(b"+OK"):
                    c.quit()
                    until(lambda: s.login(wait=False).quit() is None, "free")
                elif last.startswith(b"-ERR"):
                    c.ok("CAPA")	# still there, in order
                    c.body()
                return replies
        same(attempt("AUTH PLAIN", plain)[0], b"+ \r\n", "empty challenge")
        for lines in (("AUTH PLAIN " + plain,), ("AUTH PLAIN", plain),
                      ("auth plain", b64("ann", "ann", word)),
                      ("AUTH LOGIN", b64("ann"), b64(word)),
                      ("AUTH LOGIN " + b64("ann"), b64(word))):
            check(attempt(*lines)[-1].startswith(b"+OK"), "%r" % (lines,))
        for lines in (("AUTH PLAIN", "*"), ("AUTH LOGIN", "*"),
                      ("AUTH LOGIN", b64("ann"), "*"),
                      ("AUTH PLAIN", "!!!"), ("AUTH PLAIN", plain + "="),
                      ("AUTH PLAIN", plain[:-3]), ("AUTH PLAIN ="),
                      ("AUTH PLAIN", ""), ("AUTH PLAIN", b64("ann")),
                      ("AUTH PLAIN", b64("", "ann")),
                      ("AUTH PLAIN", b64("", "ann", word, "more")),
                      ("AUTH PLAIN", b64("", "", word)),
                      ("AUTH PLAIN", b64("", "ann", "")),
                      ("AUTH PLAIN", b64("bob", "ann", word)),
                      ("AUTH PLAIN", b64("", "ann", "wrong")),
                      ("AUTH PLAIN", b64("", "ann\n", word)),
                      ("AUTH PLAIN", b64("", "ann/../ann", word)),
                      ("AUTH LOGIN", b64("ann"), b64("wrong")),
                      ("AUTH PLAIN", "A" * 20000),
                      ("AUTH LOGIN " + b64("ann"), b64("wrong")),
                      ("AUTH XYZZY",), ("AUTH GSSAPI",)):
            lines = (lines,) if isinstance(lines, str) else lines
            check(attempt(*lines)[-1].startswith(b"-ERR"), "%.80r" % (lines,))


@test
def hostile_user_names():
    """user names with slashes, dots and control octets reach no path or log"""
    with Server(settings=["max-failures = 100", "failure-delay-max = 0"]) as s:
        with s.connect() as c:
            for name in (b"../ann", b"ann/", b"/etc/passwd", b"..", b".", b".ann",
                         b"ann\x1b[31m", b"a\x7fb", b"\xff\xfe", b"a b c",
                         b"ann%n%n%s", b"${HOME}", b"-rf", b"@", b"@x",
                         b"root", b"x" * 240, b"ann result=ok"):
                reply = c.command(b"USER " + name)
                if reply.startswith(b"+OK"):
                    c.err("PASS " + s.password("ann"), "AUTH")
        s.stop()
        log = open(s.dir + "/log", "rb").read()
        check(re.search(rb"[\0-\x08\x0b-\x1f\x7f-\xff]", log) is None,
              "raw octets in the log")
        check(s.password("ann").encode() not in log, "a password in the log")
        s.start()


@test
def no_secret_in_log():
    """no password, secret or digest is ever logged"""
    with Server(messages=fixtures.cleans(1)) as s:
        with s.connect() as c:
            c.ok("USER ann")
            c.err("PASS hunter2-hunter2")
        with s.connect() as c:
            c.apop("ann", s.secret("ann"))
            stamp = re.search(rb"<[^>]+>", c.greeting).group()
            digest = hashlib.md5(stamp + s.secret("ann").encode()).hexdigest()
            c.quit()
        with s.connect() as c:
            c.err("PASS " + s.password("ann"))
            c.command(s.password("ann"))
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.quit()
        time.sleep(0.2)
        log = s.log()
        for word in ("hunter2", s.password("ann"), s.secret("ann"), digest):
            check(word not in log, "%s in the log" % word)


@test
def retry_after_failure():
    """a refused login leaves the session usable, up to max-failures"""
    with Server(settings=["max-failures = 3", "failure-delay-max = 0"]) as s:
        with s.connect() as c:
            for _ in range(2):
                c.ok("USER ann")
                c.err("PASS wrong", "AUTH")
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.quit()
        with s.connect() as c:
            for _ in range(3):
                c.ok("USER ann")
                c.err("PASS wrong", "AUTH")
            check(c.at_end(), "closed after 3 failures")


# TLS.

@test
def stls():
    """STLS: then TLS; a second one, and one after login, are refused"""
    with Server(messages=fixtures.cleans(1)) as s:
        with s.connect() as c:
            c.ok("USER ann")
            c.stls()
            # What was typed before is forgotten (the user name).
            c.err("PASS " + s.password("ann"))
            c.err("STLS")
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.err("STLS")
            c.multi("RETR 1")
            c.quit()
        with s.connect(tls=True) as c:
            c.err("STLS")
        c = s.login()
        c.err("STLS")
        c.quit()


@test
def stls_injection():
    """commands sent in clear after STLS are discarded, whenever they come"""
    with Server(messages=fixtures.cleans(1)) as s:
        for wait in (0, 0.05, 0.3):
            with s.connect() as c:
                c.send(b"STLS\r\nUSER ann\r\nCAPA\r\nXYZZY\r\n" if not wait
                       else b"STLS\r\n")
                if wait:
                    check(c.status().startswith(b"+OK"), "STLS")
                    # Octets that are no TLS record: the handshake fails.
                    c.send(b"USER ann\r\nCAPA\r\n")
                    time.sleep(wait)
                    try:
                        c.start_tls()
                    except OSError:
                        continue
                else:
                    check(c.status().startswith(b"+OK"), "STLS")
                    c.start_tls()
                # Nothing injected is answered or remembered.
                c.err("PASS " + s.password("ann"))
                c.ok("USER ann")
                c.ok("PASS " + s.password("ann"))
                c.quit()


@test
def tls_versions():
    """TLS 1.2 and 1.3 work, 1.1 and 1.0 are refused"""
    with Server() as s:
        for flag, works in (("-tls1_2", True), ("-tls1_3", True),
                            ("-tls1_1", False), ("-tls1", False)):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % s.tls_port,
                 flag, "-cipher", "DEFAULT:@SECLEVEL=0", "-quiet",
                 "-ign_eof"], input=b"QUIT\r\n", capture_output=True,
                timeout=20)
            same(b"+OK" in done.stdout, works, flag)


@test
def not_tls_at_all():
    """noise on the TLS port, and in place of a handshake, harms nobody"""
    with Server() as s:
        for data in (b"USER ann\r\n", b"\0" * 5000, b"GET / HTTP/1.1\r\n\r\n",
                     b"\x16\x03\x01\xff\xff" + b"\1" * 70000, b"\x16\x03\x01"):
            for port in (s.tls_port, s.port):
                raw = Client(port, greeting=port == s.port)
                try:
                    if port == s.port:
                        raw.ok("STLS")
                    raw.send(data)
                    raw.socket.settimeout(1)
                    while raw.fill():
                        pass
                except OSError:
                    pass
                raw.close()
        s.login(tls=True).quit()


@test
def tls_cut_without_notify():
    """a TLS connection cut without close_notify, or in a record, is an end"""
    with Server(messages=fixtures.cleans(1)) as s:
        for _ in range(3):
            c = s.login(tls=True)
            c.ok("DELE 1")
            c.abort()
        s.login(tls=True).quit()
        same(len(s.stored()), 1, "messages")


# Timers.

@test
def idle_timeout():
    """the idle timer: no reply, no UPDATE; any command starts it anew"""
    with Server(messages=fixtures.cleans(1),
                settings=["idle-timeout = 2"]) as s:
        for tls in (False, True):
            c = s.login(tls=tls)
            c.ok("DELE 1")
            for _ in range(5):
                time.sleep(0.7)
                c.ok("NOOP")
            start = time.monotonic()
            same(c.line(), b"", "octets at the end of an idle session")
            took = time.monotonic() - start
            check(1.98 < took < 6, "closed after %.2f s" % took)
        s.login().quit()
        same(len(s.stored()), 1, "messages")


@test
def login_timeout():
    """before login, connections end after login-timeout, TLS handshakes too"""
    with Server(settings=["login-timeout = 2"]) as s:
        idle, noisy = s.connect(), s.connect()
        silent = Client(s.tls_port, greeting=False)	# sends no handshake
        half = s.connect()
        half.ok("STLS")
        start = time.monotonic()
        try:
            while time.monotonic() - start < 8:		# commands don't help
                noisy.command("CAPA")
                noisy.body()
                time.sleep(0.2)
            raise AssertionError("CAPA keeps a connection for ever")
        except (OSError, AssertionError) as error:
            check("for ever" not in str(error), str(error))
        for c in (idle, silent, half):
            c.socket.settimeout(6)
            check(c.at_end() or c.line() is not None, "closed")
        check(time.monotonic() - start < 8, "all are closed in time")


@test
def stuck_reader_is_dropped():
    """a logged-in client that reads nothing is dropped at the idle timeout"""
    with Server(messages=[fixtures.huge()["20 MB"]],
                settings=["idle-timeout = 2"]) as s:
        for tls in (False, True):
            c = s.login(tls=tls)
            c.send(b"RETR 1\r\n")

            def free():
                with s.connect() as d:
                    d.ok("USER ann")
                    return d.command("PASS " + s.password("ann")
                                     ).startswith(b"+OK")
            until(free, "the maildrop is free again", 12)
            c.abort()
