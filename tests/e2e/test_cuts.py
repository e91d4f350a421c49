"""A dialogue cut at every octet: nothing is removed unless all of QUIT was sent.

The client keeps step (it sends a command when the one before is answered) and
then vanishes after so many octets, by RST or by FIN.  Over TLS it is the octets
of the records that are counted.

SPDX-License-Identifier: ISC
"""
import concurrent.futures
import socket
import ssl
import struct
import time

import fixtures
from lib import Server, check, each, same

USERS = 8
MESSAGES = fixtures.cleans(2)


class Cut(Exception):
    """The budget of octets is used up."""


class CutClient:
    """Sends budget octets and then vanishes."""

    def __init__(self, port, tls, budget):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.budget, self.sent, self.tls = budget, 0, None
        self.text = b""
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing)

    def raw(self, data):
        room = self.budget - self.sent
        self.sent += len(data[:room])
        self.socket.sendall(data[:room])
        if len(data) >= room:
            raise Cut

    def more(self):
        data = self.socket.recv(65536)
        check(data, "the server closed after %d octets" % self.sent)
        return data

    def handshake(self):
        while self.tls:
            try:
                self.tls.do_handshake()
                self.raw(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.raw(self.outgoing.read() or b"")
                self.incoming.write(self.more())

    def send(self, data):
        if self.tls:
            self.tls.write(data)
            data = self.outgoing.read()
        self.raw(data)

    def until(self, end):
        """Read until the text ends in end; the text."""
        while not (end in self.text and self.text.endswith(b"\r\n")):
            if self.tls is None:
                self.text += self.more()
                continue
            try:
                self.text += self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.incoming.write(self.more())
        text, self.text = self.text, b""
        if text.startswith(b"-ERR [IN-USE]"):
            self.socket.close()
            raise InUse
        check(text.startswith(b"+OK"), "reply %.100r" % text)

    def vanish(self, how):
        if how == "RST":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
            self.socket.close()
        else:
            # A FIN, then read what still comes until the server closes.
            self.socket.shutdown(socket.SHUT_WR)
            try:
                while self.socket.recv(65536):
                    pass
            except OSError:
                pass
            self.socket.close()


def dialogue(s, user):
    end = b"\r\n"
    return [(b"USER %s\r\n" % user.encode(), end),
            (b"PASS %s\r\n" % s.password(user).encode(), end),
            (b"STAT\r\n", end), (b"LIST\r\n", b"\r\n.\r\n"),
            (b"RETR 1\r\n", b"\r\n.\r\n"), (b"DELE 1\r\n", end),
            (b"DELE 2\r\n", end), (b"QUIT\r\n", end)]


class InUse(Exception):
    """The maildrop is open in another session."""


def play(s, user, tls, budget, how):
    """The dialogue with budget octets.  (Octets sent, those of the handshake,
    whether all of it was sent.)

    The login of a client that vanished right after PASS may still be on its
    way, and have the maildrop for a moment: then once more."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return play_once(s, user, tls, budget, how)
        except InUse:
            check(time.monotonic() < deadline, "the maildrop stays in use")
            time.sleep(0.02)


def play_once(s, user, tls, budget, how):
    c = CutClient(s.tls_port if tls else s.port, tls, budget)
    hands, whole = 0, False
    try:
        c.handshake()
        hands = c.sent
        c.until(b"\r\n")
        steps = dialogue(s, user)
        for command, end in steps:
            whole = command == steps[-1][0]
            c.send(command)
            whole = False
            c.until(end)
        whole = True
    except Cut:
        pass
    c.vanish(how)
    return c.sent, hands, whole


@each(*[(where, how) for where in ("plain", "TLS") for how in ("RST", "FIN")])
def cut_everywhere(where, how):
    """cut after every octet of a dialogue, nothing is removed or lost"""
    tls = where == "TLS"
    users = ["u%d" % n for n in range(USERS)]
    # max-failures and delays have no part in this.
    with Server(users=users, messages=MESSAGES, word="w") as s:
        total, hands, whole = play(s, users[0], tls, 1 << 30, "FIN")
        check(whole, "the whole dialogue")
        same(s.stored(users[0]), [], "after the whole dialogue")
        s.fill(users[0], MESSAGES)
        # In the handshake every 20th octet; then every one.
        cuts = list(range(1, hands, 20)) + list(range(max(hands, 1), total))
        expected = sorted(MESSAGES)

        def worker(number):
            user = users[number]
            for at in cuts[number::USERS]:
                sent, _, _ = play(s, user, tls, at, how)
                same(sent, at, "octets sent")
                c = s.login(user)	# waits until the old session has gone
                same(c.stat()[0], 2, "messages after a cut at %d" % at)
                c.quit()	# the lock is free when this is answered
                same(s.stored(user), expected, "files after a cut at %d" % at)
            return len(cuts[number::USERS])
        with concurrent.futures.ThreadPoolExecutor(USERS) as pool:
            done = sum(pool.map(worker, range(USERS)))
        same(done, len(cuts), "cuts made")
        print("%d cuts" % done)
        # The last octet makes the difference.
        sent, _, _ = play(s, users[1], tls, total, how)
        if how == "FIN":
            deadline = time.monotonic() + 5
            while s.stored(users[1]) and time.monotonic() < deadline:
                time.sleep(0.02)
            same(s.stored(users[1]), [], "after all of QUIT and a FIN")


@each("RST", "FIN")
def cut_pipelined(how):
    """a pipelined dialogue, cut after every octet, removes nothing"""
    users = ["u%d" % n for n in range(USERS)]
    with Server(users=users, messages=MESSAGES, word="w") as s:
        whole = b"".join(c for c, _ in dialogue(s, users[0]))
        expected = sorted(MESSAGES)

        def worker(number):
            user = users[number]
            data = b"".join(c for c, _ in dialogue(s, user))
            for at in range(1, len(whole))[number::USERS]:
                c = CutClient(s.port, False, 1 << 30)
                c.socket.sendall(data[:at])
                c.vanish(how)
                # The login may be under way still: then [IN-USE] comes later.
                time.sleep(0.05)
                d = s.login(user)
                same(d.stat()[0], 2, "messages after a cut at %d" % at)
                d.abort()
                same(s.stored(user), expected, "files after a cut at %d" % at)
        with concurrent.futures.ThreadPoolExecutor(USERS) as pool:
            list(pool.map(worker, range(USERS)))


@each("plain", "TLS")
def cut_in_a_retrieval(where):
    """a client that vanishes while a large message comes: nothing is removed"""
    big = fixtures.HEAD % (b"big", b"big") + b"0123456789abcdef\n" * 100000
    with Server(messages=[big]) as s:
        for reads in (0, 1, 5, 20):
            c = s.login(tls=where == "TLS")
            c.send(b"RETR 1\r\nDELE 1\r\nQUIT\r")	# QUIT lacks its LF
            for _ in range(reads):
                c.socket.recv(10000)
            c.abort()
        s.login().quit()
        same(s.stored(), [big], "files")
