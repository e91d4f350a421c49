"""after-download = "0": what a session has downloaded is gone after its QUIT, if
the client has shown that it received it, and under no other circumstances.

SPDX-License-Identifier: ISC
"""
import contextlib
import os
import signal
import socket
import time

import fixtures
import test_clients
from lib import (Client, Server, check, check_order, each, needs, private_dir,
                 processes, same, test, until)
from test_hardening import parent_of, stopped

NOW = 'retention "now" { after-download = "0" }\n'
WHERE = ("plain", "TLS", "STLS")


def server(messages, **more):
    return Server(messages=messages, policy=NOW, **more)


def login(s, where, user="ann"):
    if where != "STLS":
        return s.login(user, tls=where == "TLS")
    c = s.connect()
    c.stls()
    c.ok("USER " + user)
    c.ok("PASS " + s.password(user))
    return c


@contextlib.contextmanager
def begun(count, where="plain"):
    """A server with so many messages, a session of it, and the messages."""
    messages = fixtures.cleans(count)
    with server(messages) as s:
        yield s, login(s, where), messages


def check_gone(s, count):
    """count messages were downloaded and disposed of, each in order."""
    done = s.until_events(count, "disposed", user="ann", rule="now",
                          reason="after-download")
    for r in done:
        same([e["event"] for e in s.events(uidl=r["uidl"])],
             ["downloaded", "dispose-intent", "disposed"], "records")
    same(check_order(s.audit()), set(), "open intents")
    return done


def check_kept(s, messages, unconfirmed, times=1):
    """All of them are there; so many were downloaded, unconfirmed."""
    with contextlib.suppress(AssertionError):
        until(lambda: s.events("downloaded-unconfirmed", settle=False),
              "a record", 5 if unconfirmed else 0)
    same(s.stored(), sorted(messages), "files")
    found = s.events("downloaded-unconfirmed")
    same(len(found), unconfirmed, "unconfirmed downloads: %s" % found)
    for event in ("downloaded", "dispose-intent", "disposed", "retained"):
        same(s.events(event), [], event)


# Clients that leave mail on the server.

def clients():
    return [(name, how) for name, hows in (
        ("fetchmail", ("tls", "stls", "apop")), ("mpop", ("tls", "stls")),
        ("getmail", ("tls", "apop"))) for how in hows]


@each(*clients())
def client_keeps(name, how):
    """a client that leaves mail on the server: what it has got is gone"""
    needs(name)
    messages = test_clients.clean_set()
    with server(messages, word=test_clients.WORD) as s, private_dir() as d:
        client = test_clients.BY_NAME[name](s, how, d, True)
        # Without this it fetches by TOP, which downloads nothing.
        options = ["--fetchall"] if name == "fetchmail" else []
        client.fetch(*options)
        same(client.got(), sorted(messages), "what it got")
        test_clients.free_again(s)
        same(s.stored(), [], "files")
        check_gone(s, len(messages))
        client.fetch(*options, status=client.nothing_new)
        same(len(client.got()), len(messages), "a second run")
        same(len(s.events("disposed")), len(messages), "disposed")


@each("keep", "delete")
def fetchmail_by_top(mode):
    """fetchmail without fetchall fetches by TOP: only its own DELE removes"""
    needs("fetchmail")
    messages = test_clients.clean_set()
    with server(messages, word=test_clients.WORD) as s, private_dir() as d:
        client = test_clients.Fetchmail(s, "tls", d, mode == "keep")
        client.fetch()
        same(client.got(), sorted(messages), "what it got")
        test_clients.free_again(s)
        same(len(s.until_events(7, "top-whole")), 7, "records")
        same(s.events("downloaded"), [], "downloads")
        same(s.stored(), sorted(messages) if mode == "keep" else [], "files")
        s.until_events(0 if mode == "keep" else 7, "disposed", reason="dele")


@each(*[(top, mode) for top in ("headers", "3", "deny")
        for mode in ("keep", "delete")])
def fetchmail_top_limited(top, mode):
    """where TOP is limited fetchmail gets nothing of what is longer, and it
    loses nothing; with fetchall it gets it all"""
    needs("fetchmail")
    short = fixtures.HEAD % (b"short", b"short") + b"1\n2\n3\n"
    messages = [short] + test_clients.clean_set()[1:]
    with Server(messages=messages, word=test_clients.WORD, policy=NOW.replace(
            "}", "top = %s }" % top)) as s, private_dir() as d:
        client = test_clients.Fetchmail(s, "tls", d, mode == "keep")
        got = [short] if top == "3" else []
        client.fetch(status=(0, 1))
        same(client.got(), got, "what it got")
        test_clients.free_again(s)
        same(s.stored(), sorted(messages if mode == "keep" or not got else
                                messages[1:]), "files")
        client.fetch("--fetchall")
        test_clients.free_again(s)
        same(set(client.got()), set(messages), "what it got with fetchall")
        same(s.stored(), [], "files")
        same(check_order(s.audit()), set(), "open intents")


@each("tls", "stls", "apop")
def curl_keeps(how):
    """curl fetches one message, and that one is gone"""
    needs("curl")
    messages = test_clients.clean_set()
    with server(messages) as s, private_dir() as d:
        test_clients.curl(s, how, "2", "-o", d + "/m")
        with open(d + "/m", "rb") as f:
            same(f.read(), fixtures.received(messages[1]), "what it got")
        test_clients.free_again(s)
        same(s.stored(), sorted(messages[:1] + messages[2:]), "files")
        check_gone(s, 1)


@each("tls", "stls", "apop")
def poplib_keeps(how):
    """poplib reads two messages and quits: these are gone, the others stay"""
    messages = test_clients.clean_set()
    with server(messages) as s:
        p = test_clients.poplib_open(s, how)
        p.retr(1)
        p.retr(3)
        p.quit()
        same(s.stored(), sorted([messages[1]] + messages[3:]), "files")
        check_gone(s, 2)


# What confirms a download.

@each(*WHERE)
def confirmed_by_quit(where):
    """RETR, read to its end, then QUIT: gone"""
    with begun(3, where) as (s, c, messages):
        c.multi("RETR 2")
        c.quit()
        same(s.stored(), sorted(messages[:1] + messages[2:]), "files")
        check_gone(s, 1)


@each(*WHERE)
def confirmed_by_noop(where):
    """RETR, then NOOP and QUIT in one packet: gone"""
    with server(fixtures.cleans(1)) as s:
        c = login(s, where)
        c.multi("RETR 1")
        c.send("NOOP\r\nQUIT\r\n")
        check(c.line().startswith(b"+OK"), "NOOP")
        check(c.line().startswith(b"+OK"), "QUIT")
        check_gone(s, 1)
        same(s.stored(), [], "files")


@each(*WHERE)
def quit_in_one_packet(where):
    """RETR and QUIT in one packet: kept, and counted as unconfirmed"""
    with begun(2, where) as (s, c, messages):
        c.send("RETR 1\r\nQUIT\r\n")
        check(c.status("RETR").startswith(b"+OK"), "RETR")
        same(c.body(), fixtures.received(messages[0]), "the message")
        check(c.status("QUIT").startswith(b"+OK"), "QUIT")
        check(c.at_end(), "the end")
        check_kept(s, messages, 1)


@each(("plain", 3000), ("plain", 60_000), ("TLS", 3000), ("TLS", 60_000),
      ("TLS", 215_000))
def quit_behind_much(where, octets):
    """RETR, very many commands and QUIT at once: kept, counted as unconfirmed"""
    with begun(2, where) as (s, c, messages):
        noops = octets // 6
        # All of it is there before any of it is answered: the last number is
        # more than net can hand to a session that sleeps.
        with stopped(s.role("session")):
            c.send(b"RETR 1\r\n" + noops * b"NOOP\r\n" + b"QUIT\r\n")
            time.sleep(0.3)
        got = [c.buffer]
        while c.fill():
            got.append(c.buffer)
            c.buffer = b""
        got = b"".join(got)
        check(got.endswith(b"\r\n+OK POP3 server signing off\r\n"), "QUIT")
        same(got.count(b"\r\n+OK"), noops + 1, "replies")
        check_kept(s, messages, 1)


@each(*WHERE)
def pipelined_retrievals(where):
    """RETR after RETR without waiting, QUIT when all has come: gone"""
    with begun(9, where) as (s, c, messages):
        # In packets of their own, that come while others are answered.
        with stopped(s.role("session")):
            for n in range(1, 10):
                c.send("RETR %d\r\n" % n)
                time.sleep(0.01)
        for message in messages:
            c.status("RETR")
            same(c.body(), fixtures.received(message), "a message")
        c.quit()
        same(s.stored(), [], "files")
        check_gone(s, 9)


@each(*WHERE)
def noop_in_one_packet(where):
    """RETR and NOOP in one packet, QUIT later: QUIT confirms"""
    with begun(2, where) as (s, c, messages):
        c.send("RETR 1\r\nNOOP\r\n")
        c.status("RETR")
        c.body()
        c.status("NOOP")
        same(s.events("downloaded"), [], "before QUIT")
        c.quit()
        check_gone(s, 1)
        same(s.stored(), messages[1:], "files")


@each(*WHERE)
def half_of_quit_waits(where):
    """RETR and the first octet of QUIT in one packet: the rest is no proof"""
    with begun(2, where) as (s, c, messages):
        c.send("RETR 1\r\nQ")
        c.status("RETR")
        c.body()
        c.send("UIT\r\n")
        check(c.status("QUIT").startswith(b"+OK"), "QUIT")
        check_kept(s, messages, 1)


@test
def rset_unsends_nothing():
    """RSET takes back DELE, not that a message was sent"""
    with begun(2) as (s, c, messages):
        c.multi("RETR 1")
        c.ok("DELE 2")
        c.ok("RSET")
        c.quit()
        same(s.stored(), messages[1:], "files")
        check_gone(s, 1)


# No QUIT: nothing is disposed of.

def vanish(s, c, how):
    if how == "RST":
        c.abort()
    elif how == "FIN":
        c.close()
    elif how == "half":
        c.socket.shutdown(socket.SHUT_WR)
        until(c.at_end, "the server closes")
    elif how == "idle":
        check(c.at_end(), "it closes at last")
    else:
        s.kill("session")
        check(c.at_end(), "it is gone")


STAGES = {
    # What is said, what is read of it, and how many downloads are counted.
    "login": (b"", 0, 0),
    "sent": (b"RETR 1\r\n", 1, 1),
    "noop": (b"RETR 1\r\nNOOP\r\n", 2, 1),
    "dele": (b"RETR 1\r\nDELE 1\r\n", 2, 1),
    "quit-cut": (b"RETR 1\r\nQUIT\r", 1, 1),
}


@each(*[(where, how, stage) for where in ("plain", "TLS")
        for how in ("RST", "FIN", "kill") for stage in STAGES]
      + [(where, how, "noop") for where in ("plain", "TLS")
         for how in ("half", "idle") if (where, how) != ("TLS", "half")])
def no_quit(where, how, stage):
    """a session that does not end by QUIT disposes of nothing"""
    messages = fixtures.cleans(2)
    said, replies, unconfirmed = STAGES[stage]
    settings = ["idle-timeout = 1"] if how == "idle" else []
    with server(messages, settings=settings) as s:
        c = login(s, where)
        for command in said.splitlines(True):
            c.send(command)
            if replies > 0:
                c.status(command)
                if command.startswith(b"RETR"):
                    c.body()
            replies -= 1
        vanish(s, c, how)
        # Who was killed has told nobody.
        check_kept(s, messages, 0 if how == "kill" else unconfirmed)
        same(s.login().stat()[0], 2, "messages")


@test
def stop_in_update():
    """a stop while QUIT waits for its intents: each download is told once"""
    with begun(2) as (s, c, messages):
        c.multi("RETR 1")
        session = s.role("session")
        with stopped(s.role("policyd")):
            c.send("QUIT\r\n")
            time.sleep(0.3)
            os.kill(parent_of(s), signal.SIGTERM)
            until(lambda: session not in processes(), "the session ends")
        check(c.at_end(), "no reply")
        s.restart()
        same(s.stored(), messages, "files")
        same([r["event"] for r in s.events(user="ann")],
             ["login", "downloaded", "dispose-intent"], "records")
        s.login().quit()
        same(s.stored(), messages[1:], "files")


# Slow and small.

def big(octets):
    return fixtures.HEAD % (b"big", b"big") + b"0123456789abcde\n" * (
        octets // 16)


def small_window(s, where):
    """A session of a client that has next to no room for replies."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.settimeout(30)
    raw.connect(("127.0.0.1", s.tls_port if where == "TLS" else s.port))
    c = Client.__new__(Client)
    c.socket, c.buffer = raw, b""
    if where == "TLS":
        c.start_tls()
    c.greeting = c.line()
    c.ok("USER ann")
    c.ok("PASS " + s.password("ann"))
    return c


@each(*[(where, size) for where in ("plain", "TLS")
        for size in (30_000, 3_000_000)])
def never_reads(where, size):
    """the reply to RETR is never read, and QUIT is said: kept"""
    messages = [big(size), fixtures.clean()]
    with server(messages) as s:
        c = small_window(s, where)
        c.send("RETR 1\r\n")
        time.sleep(0.3)
        c.send("NOOP\r\n")
        time.sleep(0.3)
        c.send("QUIT\r\n")
        time.sleep(0.3)
        same(len(s.stored()), 2, "files")
        c.abort()
        s.until_log("session:", "user=ann")
        same(s.stored(), sorted(messages), "files")
        for event in ("downloaded", "dispose-intent"):
            same(s.events(event), [], event)


@each("plain", "TLS")
def quit_before_reading(where):
    """QUIT is said before the reply to RETR is read: kept, however late"""
    messages = [big(100_000), fixtures.clean()]
    with server(messages) as s:
        c = small_window(s, where)
        c.send("RETR 1\r\n")
        time.sleep(0.3)
        c.send("QUIT\r\n")
        time.sleep(0.2)
        c.status("RETR")
        same(c.body(), fixtures.received(messages[0]), "the message")
        check(c.status("QUIT").startswith(b"+OK"), "QUIT")
        check_kept(s, messages, 1)


@each("plain", "TLS")
def reads_slowly(where):
    """a slow client that reads all, then says QUIT: gone"""
    messages = [big(60_000), fixtures.clean()]
    with server(messages) as s:
        c = small_window(s, where)
        c.send("RETR 1\r\n")
        c.status("RETR")
        got = b""
        while not got.endswith(b"\r\n.\r\n"):
            got += c.buffer or c.socket.recv(3000)
            c.buffer = b""
            time.sleep(0.002)
        c.quit()
        same(s.stored(), messages[1:], "files")
        check_gone(s, 1)


# A message that is not what was announced.

def path_of(s, message):
    for folder in ("new", "cur"):
        for name in os.listdir(s.maildir() + "/" + folder):
            path = "%s/%s/%s" % (s.maildir(), folder, name)
            with open(path, "rb") as f:
                if f.read() == message:
                    return path
    raise AssertionError("no such file")


@each("shorter", "longer")
def other_than_announced(how):
    """RETR of a file that has changed its size is no download"""
    with begun(2) as (s, c, messages):
        c.scan()
        path = path_of(s, messages[0])
        with open(path, "r+b") as f:
            if how == "shorter":
                f.truncate(len(messages[0]) - 20)
            else:
                f.seek(0, 2)
                f.write(b"more of it\n")
        c.send("RETR 1\r\n")
        reply = c.status("RETR")
        if reply.startswith(b"+OK"):
            c.body()
        c.ok("NOOP")
        c.ok("QUIT")
        same(len(s.stored()), 2, "files")
        for event in ("downloaded", "downloaded-unconfirmed",
                      "dispose-intent"):
            same(s.events(event), [], event)
        # Next time it is announced as it is, and downloaded.
        c = s.login()
        c.multi("RETR 1")
        c.quit()
        same(s.stored(), messages[1:], "files")
        check_gone(s, 1)


@test
def removed_by_another():
    """what another program removes meanwhile has vanished, and is recorded so"""
    with begun(2) as (s, c, messages):
        c.multi("RETR 1")
        os.unlink(path_of(s, messages[0]))
        c.quit()
        r = s.until_events(1, "vanished")[0]
        same((r["user"], r["reason"]), ("ann", "after-download"), "record")
        same(s.events("disposed"), [], "disposed")
        same(s.stored(), messages[1:], "files")


@test
def renamed_by_another():
    """what another program gives flags meanwhile is found and disposed of"""
    with begun(2) as (s, c, messages):
        c.multi("RETR 1")
        path = path_of(s, messages[0])
        os.rename(path, path.replace("/new/", "/cur/") + ":2,FS")
        c.quit()
        check_gone(s, 1)
        same(s.stored(), messages[1:], "files")


@test
def top_is_no_download():
    """TOP, all of it and confirmed, is no download"""
    messages = fixtures.cleans(2)
    with Server(messages=messages, policy='retention "now" { '
                'after-download = "0" top = allow }') as s:
        c = s.login()
        c.multi("TOP 1 99999")
        c.ok("NOOP")
        c.quit()
        same(s.stored(), sorted(messages), "files")
        same(len(s.until_events(1, "top-whole")), 1, "records")
        same(s.events("downloaded", "dispose-intent"), [], "others")


@test
def twice_changes_nothing():
    """a second session and QUIT dispose of nothing more and record nothing"""
    with begun(3) as (s, c, messages):
        c.multi("RETR 1")
        c.quit()
        check_gone(s, 1)
        before = len(s.events("disposed", "dispose-intent", "downloaded"))
        for _ in range(2):
            s.login().quit()
        same(len(s.events("disposed", "dispose-intent", "downloaded")), before,
             "records")
        same(s.stored(), messages[1:], "files")
