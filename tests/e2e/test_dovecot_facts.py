"""What Dovecot's plugin knows of downloads outlives Dovecot's indexes, is shared
by backends that share a dict, and is unknown where it is lost.

Downloads are made to be eight days old where they are stored: no clock moves.

SPDX-License-Identifier: ISC
"""
import os
import re
import shutil
import socket
import subprocess

from lib import Server, check, each, needs, needs_root, same, test, until

POLICY = 'retention "week" { users = { "*" } after-download = "7d" }\n'
AGE = 8 * 86400
FORMATS = ("maildir", "mbox", "sdbox", "mdbox")


def version():
    said = subprocess.run(["dovecot", "--version"], stdout=subprocess.PIPE)
    return tuple(int(n) for n in re.findall(rb"\d+", said.stdout)[:2])


def location(kind):
    """What makes Dovecot store mail in that format."""
    if version() < (2, 4):
        return ["mail_location = " + {
            "maildir": "maildir:~/Maildir",
            "mbox": "mbox:~/mail:INBOX=~/inbox"}.get(kind, kind + ":~/mail")]
    return ["mail_driver = " + kind,
            "mail_path = " + ("~/Maildir" if kind == "maildir" else "~/mail")
            ] + (["mail_inbox_path = ~/inbox"] if kind == "mbox" else [])


def dovecot(kind="maildir", extra=""):
    """A Dovecot whose rule disposes of what was downloaded a week ago."""
    needs("dovecot", "doveadm")
    needs_root("doveadm enters the mount namespace of tools/serve's Dovecot")
    s = Server(policy=POLICY, options=["--dovecot"])
    for line in location(kind):
        s.options += ["--dovecot-set", line]
    if extra:
        with open(s.dir + "/extra.conf", "w") as f:
            f.write(extra)
        s.options += ["--dovecot-extra", s.dir + "/extra.conf"]
    return s


def doveadm(s, *argv, stdin=None, good=True):
    ran = subprocess.run([s.dir + "/.popkeep/doveadm", *argv], input=stdin,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(not good or ran.returncode == 0, ran.stdout)
    return ran.stdout


def save(s, *names):
    for name in names:
        text = ("From: a@example.org\nMessage-ID: <%s@t>\nSubject: %s\n"
                "Received: by x; %s\n\n%s\n" % (name, name, name, name))
        doveadm(s, "save", "-u", "ann", "-m", "INBOX", stdin=text.encode())


def subjects(s):
    with s.login() as c:
        found = [re.search(rb"Subject: (\w+)", c.multi("TOP %d 0" % n))[1]
                 .decode() for n in range(1, c.stat()[0] + 1)]
        c.quit()
    return found


def download(s, *numbers):
    with s.login() as c:
        for n in numbers:
            c.multi("RETR %d" % n)
        c.quit()


def aged(text):
    """The same facts, eight days older."""
    return re.sub(r"\b1[0-9]{9}\b(?![.0-9])",
                  lambda t: str(int(t[0]) - AGE), text)


def age_file(s):
    path = s.home() + "/popkeep.facts"
    with open(path) as f:
        lines = f.read().splitlines()
    downloaded = [line for line in lines if re.match(r"1 \d+ [1-9]", line)]
    check(downloaded, lines)
    lines[1::2] = [aged(line) for line in lines[1::2]]
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")


def nothing(s):
    pass


def index(s):
    doveadm(s, "index", "-u", "ann", "INBOX")


def resync(s):
    doveadm(s, "force-resync", "-u", "ann", "INBOX")


def delete_indexes(s):
    """All of them; of dbox, force-resync then finds the messages again."""
    gone = 0
    for folder, _, files in os.walk(s.dir):
        if ".popkeep" in folder:
            continue
        for name in files:
            if name.startswith("dovecot") and "index" in name:
                os.unlink(folder + "/" + name)
                gone += 1
    check(gone > 0, "indexes to delete")
    doveadm(s, "force-resync", "-u", "ann", "INBOX")


def lose(s):
    os.unlink(s.home() + "/popkeep.facts")


HARMS = {"nothing": nothing, "index": index, "force-resync": resync,
         "deleted indexes": delete_indexes}


@test
def one_guid():
    """mbox: of messages with one GUID only what was downloaded goes, if any"""
    with dovecot("mbox") as s:
        for n in range(4):
            doveadm(s, "save", "-u", "ann", "-m", "INBOX", stdin=(
                "From: cron@host\nSubject: n%d\n\nbody\n" % n).encode())
        guids = doveadm(s, "-f", "flow", "fetch", "-u", "ann", "guid",
                        "mailbox", "INBOX").split()
        same(len(set(guids)), 1, "GUIDs")
        download(s, 1)
        path = s.home() + "/popkeep.facts"
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(aged(text))
        download(s)
        same(set(subjects(s)) & {"n1", "n2", "n3"}, {"n1", "n2", "n3"},
             "not downloaded")


@each(*((kind, harm) for kind in FORMATS for harm in HARMS))
def test_facts_outlive(kind, harm):
    """Facts outlive what befalls the indexes"""
    with dovecot(kind) as s:
        save(s, "one", "two", "three")
        download(s, 1, 3)
        age_file(s)
        HARMS[harm](s)
        subjects(s)
        same(subjects(s), ["two"])
        s.until_events(2, "disposed")


@each(*FORMATS)
def test_lost_facts_keep(kind):
    """Without their facts, messages are kept"""
    with dovecot(kind) as s:
        save(s, "one", "two")
        download(s, 1, 2)
        age_file(s)
        lose(s)
        subjects(s)
        same(subjects(s), ["one", "two"])
        same(s.events("disposed"), [])


# ---- one Redis for two backends ---------------------------------------------

class Redis:
    def __init__(self, directory):
        needs("redis-server")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port),
             "--dir", directory, "--save", ""], stdout=subprocess.DEVNULL)
        until(lambda: self.ask("PING") == "PONG", "Redis answers")

    def ask(self, *words):
        command = "*%d\r\n" % len(words) + "".join(
            "$%d\r\n%s\r\n" % (len(w), w) for w in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as s, \
                    s.makefile("rb") as f:
                s.sendall(command.encode())
                return self.answer(f)
        except ConnectionRefusedError:
            return None

    def answer(self, f):
        line = f.readline().decode().strip()
        if line[0] == "*":
            return [self.answer(f) for _ in range(int(line[1:]))]
        if line[0] == "$":
            return f.read(int(line[1:]) + 2).decode()[:-2]
        return line[1:]

    def age(self):
        keys = self.ask("KEYS", "ann/popkeep/*")
        for key in keys:
            self.ask("SET", key, aged(self.ask("GET", key)))
        return keys

    def configuration(self):
        if version() < (2, 4):
            return ("plugin {\n  popkeep_facts = redis:host=127.0.0.1:"
                    "port=%d:timeout_msecs=2000\n}\n" % self.port)
        return ("popkeep_facts {\n  dict redis {\n"
                "    redis_host = 127.0.0.1\n    redis_port = %d\n"
                "    redis_request_timeout = 2s\n  }\n}\n" % self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def dsync(here, there):
    """The mail, and nothing else, of one backend to another."""
    copy = there.dir + "/Maildir"
    shutil.rmtree(copy, ignore_errors=True)
    doveadm(here, "backup", "-u", "ann", "maildir:" + copy)


@test
def test_backends_share_redis():
    """After dsync, a backend knows by Redis what another one saw"""
    with dovecot() as first, Redis(first.dir) as redis:
        here, there = (dovecot(extra=redis.configuration()) for _ in "12")
        with here, there:
            save(here, "one", "two")
            download(here, 1)
            same(len(redis.age()), 2)
            dsync(here, there)
            subjects(there)
            same(subjects(there), ["two"])
            there.until_events(1, "disposed")


@test
def test_redis_away():
    """Without its Redis, logins and DELE go on, and nothing else goes"""
    with dovecot() as first, Redis(first.dir) as redis:
        with dovecot(extra=redis.configuration()) as s:
            save(s, "one", "two", "three")
            download(s, 1, 2)
            same(len(redis.age()), 3)
            redis.stop()
            with s.login() as c:
                c.ok("DELE 3")
                c.quit()
            same(subjects(s), ["one", "two"])
            check("popkeep: facts: redis" in s.log(), s.log()[-2000:])
