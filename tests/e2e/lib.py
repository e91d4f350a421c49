"""What the end-to-end tests share: a private popkeepd, a raw POP3 client, and
the list of tests.  Python's standard library only.

SPDX-License-Identifier: ISC
"""
import contextlib
import glob
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))
SERVE = os.environ.get("POPKEEP_SERVE") or os.path.join(TOP, "tools", "serve")
BUILD = os.environ.get("POPKEEP_BUILD") or os.path.join(TOP, "build")
ROOT = os.geteuid() == 0
# Built with sanitizers: memory has another size, and reports are in the log.
SANITIZED = "POPKEEP_SANITIZED" in os.environ

# This run is the second one, after one as root.
ROOT_TOO = "POPKEEP_ROOT_TOO" in os.environ

# Modules whose tests a second run as an ordinary user leaves out.
ONCE = ("test_dovecot_clients", "test_dovecot_doveadm", "test_dovecot_facts",
        "test_dovecot_failures", "test_dovecot_gate", "test_dovecot_kills",
        "test_dovecot_parity", "test_dovecot_protect")

TESTS = []


class Skip(Exception):
    """A test cannot run here; the text says why."""


class Elsewhere(Exception):
    """A test is for the other run, as root or as an ordinary user."""


def needs_root(why="needs root"):
    if not ROOT:
        raise Elsewhere if ROOT_TOO else Skip(why)


def test(function):
    """Decorator: function() is a test; its first doc line is its name."""
    TESTS.append((function.__module__, function.__name__,
                  function.__doc__.strip().splitlines()[0], function, ()))
    return function


def each(*rows):
    """Decorator: one test per row, function(*row)."""
    def register(function):
        for row in rows:
            row = row if isinstance(row, tuple) else (row,)
            TESTS.append((function.__module__,
                          "%s-%s" % (function.__name__,
                                     "-".join(str(r) for r in row)),
                          function.__doc__.strip().splitlines()[0]
                          + ": " + ", ".join(str(r) for r in row),
                          function, row))
        return function
    return register


def each_front_end(function):
    """Decorator: a test for popkeepd and one for Dovecot, function(dovecot).

    function(dovecot) hands it on to Server(dovecot=dovecot)."""
    title = function.__doc__.strip().splitlines()[0]
    for name, dovecot in (("popkeepd", False), ("dovecot", True)):
        TESTS.append((function.__module__,
                      "%s-%s" % (function.__name__, name),
                      "%s: %s" % (title, name), function, (dovecot,)))
    return function


def find_program(name):
    """A program that may be where only root looks for it, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/usr/local/sbin")


def needs_dovecot(plugin=True):
    """Skip, unless there is a Dovecot, and a plugin that was built for it."""
    if not find_program("dovecot"):
        raise Skip("no dovecot here")
    if SANITIZED:
        raise Elsewhere			# ASan must be the first library
    if plugin and not plugin_modules():
        raise Skip("the plugin is not built: no headers of Dovecot here")


def dovecot_version():
    """(2, 3, 19) or what it is."""
    said = run([find_program("dovecot"), "--version"]).decode()
    return tuple(int(n) for n in re.findall(r"\d+", said.split()[0])[:3])


def plugin_modules():
    """Everything that was built for Dovecot: name -> path."""
    return {os.path.basename(path): path for path in
            glob.glob(BUILD + "/plugin/.libs/*.so")}


def needs(*programs):
    for program in programs:
        if not shutil.which(program) and not os.path.exists(program):
            raise Skip("no %s here" % program)


def same(got, expected, what="value"):
    if got != expected:
        if isinstance(got, bytes) and isinstance(expected, bytes):
            at = next((i for i, (a, b) in enumerate(zip(got, expected))
                       if a != b), min(len(got), len(expected)))
            raise AssertionError(
                "%s: %d octets, expected %d; at %d: %r, expected %r" %
                (what, len(got), len(expected), at, got[at:at + 40],
                 expected[at:at + 40]))
        raise AssertionError("%s: %.300r, expected %.300r" %
                             (what, got, expected))


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def until(condition, what, seconds=10):
    """Wait for condition() to become true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %s s: %s" % (seconds, what))
        time.sleep(0.02)


def free_ports(count=2):
    """Ports that nobody listens on now, and that no client is given."""
    found = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as s:
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                if port not in found:
                    found.append(port)
    return found


@contextlib.contextmanager
def private_dir():
    """A directory that every uid may search, removed afterwards."""
    path = tempfile.mkdtemp(prefix="popkeep-e2e.")
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def find_faketime():
    if SANITIZED:
        raise Elsewhere			# ASan must be the first library
    for pattern in ("/usr/lib/*/faketime/", "/usr/lib*/faketime/",
                    "/usr/local/lib*/faketime/"):
        for place in glob.glob(pattern + "libfaketime.so.1"):
            return place
    raise Skip("no libfaketime here")


def built(name):
    for place in (BUILD + "/standalone/" + name, BUILD + "/" + name):
        if os.path.exists(place):
            return place
    raise AssertionError("no %s in %s" % (name, BUILD))


def read_audit(path):
    """The records of an audit log, whose chain is whole."""
    records, prev = [], "0" * 64
    with open(path, "rb") as f:
        for line in f.read().splitlines(True):
            if not line.endswith(b"\n"):
                break			# it is being written
            record = json.loads(line)
            same(record["seq"], len(records) + 1, "seq in the audit log")
            same(record["prev"], prev, "prev of record %d" % record["seq"])
            prev = hashlib.sha256(line).hexdigest()
            records.append(record)
    return records


OUTCOMES = ("disposed", "retained", "purged", "restored", "vanished",
            "closed-unknown")


def check_order(records):
    """No outcome without an intent before it, of the same user and message.

    Returns the intents that are open still, as (user, uidl)."""
    intents = set()
    for r in records:
        of = (r.get("user"), r.get("uidl"))
        if r["event"] == "dispose-intent":
            intents.add(of)
        elif r["event"] in OUTCOMES:
            check(of in intents, "record %d, %s of %s, without an intent" %
                  (r["seq"], r["event"], of))
            intents.remove(of)
    return intents


class Server:
    """tools/serve with its directory.  Use it in a with statement.

    policy: text of the policy's file.  clock: seconds that popkeepd lives in
    the future; at: or the second at which its time stands still.  rules: user
    -> rule that the users file names.  secretless: users without a secret.

    dovecot: a Dovecot with the plugin instead of popkeepd; settings are then
    for popkeep-policyd, dovecot_set lines for Dovecot.  imap: it has IMAP, at
    imap_port.  plugin=False: a Dovecot as if popkeep were not there.  A clock
    given by at goes on from there."""

    def __init__(self, users=("ann",), settings=(), messages=(), options=(),
                 directory=None, word="pass word of ", policy=None, clock=0,
                 at=None, rules=None, secretless=(), dovecot=False,
                 dovecot_set=(), imap=False, plugin=True):
        if dovecot:
            needs_dovecot(plugin)
        self.word = word		# the start of every password
        self.dovecot, self.plugin, self.imap = dovecot, plugin, imap
        self.dovecot_set = list(dovecot_set)
        self.users = list(users)
        self.settings, self.options = list(settings), list(options)
        self.policy, self.clock, self.at = policy, clock, at
        self.rules, self.secretless = rules or {}, secretless
        self.own_dir = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="popkeep-e2e.")
        os.chmod(self.dir, 0o755)
        self.choose_ports()
        self.process = None
        self.began = False		# its ports are known to others
        self.patience = 30		# seconds, of clients
        self.deaths = False		# True: the test kills processes
        self.audit_log = None		# None: where serve has it
        if messages:
            for user in self.users:
                self.fill(user, messages)

    def choose_ports(self):
        self.port, self.tls_port, self.imap_port = free_ports(3)

    def home(self, user=None):
        user = user or self.users[0]
        return self.dir if user == self.users[0] else self.dir + "/" + user

    def maildir(self, user=None):
        return self.home(user) + "/Maildir"

    def password(self, user):
        return self.word + user

    @staticmethod
    def secret(user):
        return "shared-secret-of-" + user

    def start(self):
        """Start it.  Another test may have got the same ports: then others."""
        for attempt in range(5):
            complaint = self.start_once()
            if complaint is None:
                self.began = True
                return self
            if self.began or not re.search(
                    "is taken|Address already in use", complaint):
                break
            self.choose_ports()
            os.unlink(self.dir + "/serve.err")
        raise AssertionError("tools/serve: " + complaint)

    def start_once(self):
        """None, or what it says is wrong."""
        argv = [SERVE, "--dir", self.dir, "--port", str(self.port),
                "--tls-port", str(self.tls_port), "--no-build"]
        for user in self.users:
            argv += ["--user", user, "--password", self.password(user)]
            if user not in self.secretless:
                argv += ["--apop-secret", self.secret(user)]
            if user in self.rules:
                argv += ["--rule", self.rules[user]]
        if self.policy is not None:
            self.write_policy()
            argv += ["--policy", self.dir + "/policy"]
        if self.clock:
            find_faketime()		# or skip
            argv += ["--clock-offset", str(self.clock)]
        if self.at is not None:
            find_faketime()
            self.set_clock(self.at)
            argv += ["--clock-file", self.dir + "/clock"]
        if self.dovecot:
            argv += self.dovecot_options()
        for setting in self.settings:
            argv += ["--set", setting]
        errors = open(self.dir + "/serve.err", "ab")
        self.process = subprocess.Popen(
            argv + self.options, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors)
        line = self.process.stdout.readline()
        if line == b"ready\n":
            return None
        self.process.wait()
        with open(self.dir + "/serve.err") as f:
            return "%r, %s" % (line, f.read()[-2000:])

    def dovecot_options(self):
        argv = ["--dovecot"]
        if self.imap:
            argv += ["--imap-port", str(self.imap_port)]
        if not self.plugin:
            argv += ["--no-plugin"]
        for line in self.dovecot_set:
            argv += ["--dovecot-set", line]
        return argv

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "none: it hangs"
        self.process.stdout.close()
        self.process = None
        errors = open(self.dir + "/serve.err").read()
        same((status, errors), (0, ""), "end of tools/serve")
        words = ["Sanitizer", "runtime error:", "Assertion", "sent nonsense",
                 ": Panic: ", ": Fatal: "]
        if not self.deaths:
            words += ["died of signal", "ended with status"]
        for word in words:
            found = [l for l in self.log().splitlines() if word in l and
                     not (self.deaths and "killed with signal 9" in l)]
            check(not found, "the log has: " + "\n".join(found)[:500])

    @property
    def certificate(self):
        return self.dir + "/.popkeep/cert.pem"

    def restart(self, clock=None, at=None):
        """Stop and start again, the clock so many seconds ahead, or at."""
        self.stop()
        if clock is not None:
            self.clock = clock
        if at is not None:
            self.at = at
        self.start()

    def set_clock(self, at):
        """Its time stands still at this second, from now on.

        Dovecot's goes on from there."""
        self.at = at
        self.ahead = at - time.time()
        with open(self.dir + "/clock.new", "w") as f:
            f.write("%+d\n" % self.ahead if self.dovecot else
                    time.strftime("%Y-%m-%d %H:%M:%S\n", time.gmtime(at)))
        os.rename(self.dir + "/clock.new", self.dir + "/clock")

    # The policy, and what was recorded.

    def write_policy(self):
        with open(self.dir + "/policy", "w") as f:
            f.write(self.policy)

    def reload(self, policy=None, good=True):
        """SIGHUP; wait until policyd and the new net and auth are there."""
        if policy is not None:
            self.policy = policy
            self.write_policy()
        at = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        self.until_log("policy: file=" if good else
                       "the old one stays in force", after=at)
        if not self.dovecot:
            self.until_log("start:", after=at)

    def now(self):
        """What time it is for popkeepd."""
        if self.at is None:
            return time.time() + self.clock
        return time.time() + self.ahead if self.dovecot else self.at

    def fake_time(self):
        """The environment of a program that is to have the server's time."""
        if not self.clock and self.at is None:
            return {}
        stands = self.at is not None and not self.dovecot
        return dict(LD_PRELOAD=find_faketime(), FAKETIME_DONT_RESET="1",
                    FAKETIME_DONT_FAKE_MONOTONIC="1", TZ="UTC",
                    FAKETIME_DISABLE_SHM="1", NO_FAKE_STAT="1",
                    FAKETIME=time.strftime("%Y-%m-%d %H:%M:%S",
                                           time.gmtime(self.at)) if stands
                    else "%+ds" % (self.now() - time.time()))

    def audit(self, settle=True):
        """The records of the audit log.  settle: wait until none comes."""
        path = self.audit_log or self.dir + "/audit.log"
        size = None
        while settle and size != os.stat(path).st_size:
            size = os.stat(path).st_size
            time.sleep(0.1)
        return read_audit(path)

    def events(self, *events, settle=True, **fields):
        """The records of these events (none: any) with these fields."""
        return [r for r in self.audit(settle) if
                (not events or r["event"] in events) and
                all(r.get(k) == v for k, v in fields.items())]

    def until_events(self, count, *events, **fields):
        """Wait for count such records, and check that there are no more."""
        until(lambda: len(self.events(*events, settle=False, **fields)) >=
              count, "%d records %s %s" % (count, events, fields))
        found = self.events(*events, **fields)
        same(len(found), count, "records %s %s" % (events, fields))
        return found

    def tool(self, *argv, status=0, stdin=""):
        """popkeep with this server's configuration, at its time: its output."""
        env = dict(os.environ, **self.fake_time())
        done = subprocess.run(
            [built("popkeep"), "-f", self.dir + "/.popkeep/popkeepd.conf",
             *argv], input=stdin, text=True, capture_output=True, env=env,
            timeout=60)
        allowed = status if isinstance(status, tuple) else (status,)
        check(done.returncode in allowed, "popkeep %s: exit status %d: %s" % (
            " ".join(argv), done.returncode, done.stdout + done.stderr))
        return done.stdout

    def doveadm(self, *argv, status=0, stdin=""):
        """doveadm of this server's Dovecot, with its plugins: its output."""
        return run([self.dir + "/.popkeep/doveadm", *argv], stdin.encode(),
                   status=status).decode()

    def seal_audit(self):
        """Have the audit log sealed from now on."""
        self.key = re.search("--key ([0-9a-f]{64})", self.tool(
            "audit", "setup")).group(1)

    def verify_audit(self):
        """It is what was written, seals and all."""
        until(lambda: "verified up to" in self.tool(
            "audit", "verify", "--key", self.key, status=(0, 3)), "a seal")

    def role(self, name):
        """The pid of a process of popkeepd."""
        found = [pid for pid, line in family(self.process.pid).items()
                 if re.match("popkeepd: %s\\b" % name, line)]
        check(found, "there is no %s" % name)
        return max(found)

    def kill_all(self):
        """SIGKILL for every process of popkeepd, and wait for tools/serve."""
        self.deaths = True
        for pid in family(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process = None
        os.unlink(self.dir + "/serve.err")

    def kill(self, name, sig=signal.SIGKILL):
        """End a process of popkeepd, which is not to complain at the end."""
        self.deaths = True
        os.kill(self.role(name), sig)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                with contextlib.suppress(Exception):
                    log = self.log().splitlines()
                    print("    the end of the log:\n      " +
                          "\n      ".join(log[-15:]))
                with contextlib.suppress(Exception):
                    self.stop()
            else:
                self.stop()
        finally:
            if self.process is not None:
                self.process.kill()
            if self.own_dir:
                shutil.rmtree(self.dir, ignore_errors=True)

    # What is in the mailbox, as the file system shows it.

    def retained(self, user=None):
        """The contents of all messages in the Retained place, sorted."""
        place = self.home(user) + "/popkeep-retained"
        if os.path.isdir(place + "/.INBOX"):	# Dovecot 2.3
            place += "/.INBOX"
        return self.stored(user, place) if \
            os.path.isdir(place + "/cur") else []

    def fill(self, user, messages, folder="new"):
        """Deliver messages (bytes each), oldest first."""
        maildir = self.maildir(user)
        for name in ("tmp", "new", "cur"):
            os.makedirs("%s/%s" % (maildir, name), exist_ok=True)
        for number, message in enumerate(messages):
            self.deliver(user, message, folder=folder)

    counter = 0

    def deliver(self, user, message, folder="new", name=None, when=None):
        """One message, as an MTA would do it: tmp, then a rename.

        when: delivered at that time."""
        maildir = self.maildir(user)
        Server.counter += 1
        name = name or "%d.M%06dP%d.test" % (
            when or 1600000000 + Server.counter, Server.counter, os.getpid())
        with open("%s/tmp/%s" % (maildir, name), "wb") as f:
            f.write(message)
            if ROOT:
                owner = os.stat(maildir)
                os.fchown(f.fileno(), owner.st_uid, owner.st_gid)
            if when and self.dovecot:	# looks at the file, not at its name
                os.utime(f.fileno(), (when, when))
        place = "%s/%s/%s" % (maildir, folder, name)
        if folder == "cur" and ":2," not in name:
            place += ":2,S"
        os.rename("%s/tmp/%s" % (maildir, name), place)
        return place

    def stored(self, user=None, maildir=None):
        """The contents of all messages in new/ and cur/, sorted."""
        found = []
        for folder in ("new", "cur"):
            path = (maildir or self.maildir(user)) + "/" + folder
            for name in os.listdir(path):
                if os.path.isfile(path + "/" + name):
                    with open(path + "/" + name, "rb") as f:
                        found.append(f.read())
        return sorted(found)

    def log(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def until_log(self, *parts, after=0):
        """Wait for a line of the log with all of parts in it."""
        def found():
            for line in self.log()[after:].splitlines():
                if all(p in line for p in parts):
                    return line
            return None
        return until(found, "a log line with " + ", ".join(parts))

    # Connections.

    def connect(self, tls=False, source="127.0.0.1"):
        """A connection that has read its greeting; tls: from the start."""
        return Client(self.tls_port if tls else self.port, tls,
                      self.patience, source=source)

    def login(self, user=None, tls=False, wait=True):
        """A session in the TRANSACTION state.  wait: while [IN-USE]."""
        user = user or self.users[0]
        deadline = time.monotonic() + 10
        while True:
            c = self.connect(tls)
            c.ok("USER " + user)
            reply = c.command("PASS " + self.password(user))
            if reply.startswith(b"+OK"):
                return c
            if not (wait and b"[IN-USE]" in reply) or \
               time.monotonic() > deadline:
                raise AssertionError("PASS: %r" % reply)
            c.abort()
            time.sleep(0.02)


class Client:
    """A POP3 client that does nothing by itself, on a raw socket."""

    def __init__(self, port, tls=False, timeout=30, greeting=True,
                 source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout,
                                               (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if tls:
            self.start_tls()
        self.greeting = self.line() if greeting else None

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def stls(self):
        self.ok("STLS")
        self.start_tls()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        """Read what is there; False at the end of the connection."""
        data = self.socket.recv(1 << 18)
        self.buffer += data
        return bool(data)

    def line(self):
        """One line with its CRLF; b"" if the server closed before."""
        while True:
            at = self.buffer.find(b"\r\n")
            if at >= 0:
                line, self.buffer = self.buffer[:at + 2], self.buffer[at + 2:]
                return line
            if not self.fill():
                rest, self.buffer = self.buffer, b""
                if rest:
                    raise AssertionError("cut in a line: %.200r" % rest)
                return b""

    def command(self, text):
        """Send a command line; its status line, checked for form."""
        data = text.encode() if isinstance(text, str) else text
        self.send(data + b"\r\n")
        return self.status(text)

    def status(self, text="?"):
        reply = self.line()
        check(reply[:3] == b"+OK" or reply[:4] == b"-ERR" or reply[:2] == b"+ ",
              "%.60r is answered by %.100r" % (text, reply))
        check(len(reply) <= 512, "a status line of %d octets" % len(reply))
        return reply

    def ok(self, text):
        reply = self.command(text)
        check(reply[:3] == b"+OK", "%.60r: %r" % (text, reply))
        return reply

    def err(self, text, code=None):
        reply = self.command(text)
        check(reply[:4] == b"-ERR", "%.60r: %r, expected -ERR" % (text, reply))
        if code is not None:
            check(reply.startswith(b"-ERR [" + code.encode() + b"]"),
                  "%.60r: %r, expected [%s]" % (text, reply, code))
        return reply

    def body(self):
        """The octets of a multi-line reply after its first line, unstuffed."""
        # The status line ended in CRLF: so does what precedes the first dot.
        chunks, tail = [b"\r\n" + self.buffer], b""
        while b"\r\n.\r\n" not in tail + chunks[-1]:
            tail = (tail + chunks[-1])[-4:]
            chunks.append(self.socket.recv(1 << 18))
            check(chunks[-1], "the connection ended in a multi-line reply")
        data = b"".join(chunks)
        end = data.index(b"\r\n.\r\n")
        self.buffer = data[end + 5:]
        return unstuff(data[2:end + 2])

    def multi(self, text):
        self.ok(text)
        return self.body()

    def lines(self, text):
        return self.multi(text).decode("latin-1").splitlines()

    def stat(self):
        fields = self.ok("STAT").split()
        return int(fields[1]), int(fields[2])

    def scan(self):
        return [tuple(int(n) for n in l.split()) for l in self.lines("LIST")]

    def uids(self):
        return [l.split(" ", 1)[1] for l in self.lines("UIDL")]

    def at_end(self):
        """True if the server has closed and sent nothing more."""
        try:
            return not self.buffer and not self.fill()
        except (ConnectionResetError, ssl.SSLError):
            return True

    def quit(self):
        self.ok("QUIT")
        check(self.at_end(), "octets after the reply to QUIT")
        self.socket.close()

    def close(self):
        self.socket.close()

    def abort(self):
        """End the TCP connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        if isinstance(self.socket, ssl.SSLSocket):
            raw = socket.socket(fileno=self.socket.detach())
            raw.close()
        else:
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.close()

    def apop_command(self, user, secret):
        check(b"<" in self.greeting, "no timestamp in %r" % self.greeting)
        stamp = self.greeting[self.greeting.index(b"<"):
                              self.greeting.index(b">") + 1]
        digest = hashlib.md5(stamp + secret.encode()).hexdigest()
        return "APOP %s %s" % (user, digest)

    def apop(self, user, secret):
        return self.command(self.apop_command(user, secret))


def unstuff(raw):
    """Undo byte-stuffing; and a server that did not stuff is found out."""
    parts = (b"\r\n" + raw).split(b"\r\n.")
    for part in parts[1:]:
        check(part.startswith(b"."), "a line with a single dot in front: %.40r"
              % part)
    return b"\r\n".join(parts)[2:]


def run(argv, stdin=b"", env=None, cwd=None, timeout=60, status=0):
    """Run a client; its output.  status: what it must exit with, or a tuple."""
    environment = dict(os.environ, **(env or {}))
    done = subprocess.run(argv, input=stdin, env=environment, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout)
    allowed = status if isinstance(status, tuple) else (status,)
    check(done.returncode in allowed, "%s: exit status %s: %s" % (
        argv[0], done.returncode,
        done.stdout.decode(errors="replace")[-1500:]))
    return done.stdout


def processes():
    """pid -> (parent, command line) of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open("/proc/%s/stat" % entry) as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
                with open("/proc/%s/cmdline" % entry, "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode().strip()
                found[int(entry)] = (parent, line)
    return found


def check_memory(s):
    """No process of the daemon has grown."""
    for pid, line in family(s.process.pid).items():
        with contextlib.suppress(OSError):
            with open("/proc/%d/status" % pid) as f:
                rss = [l.split()[1] for l in f if l.startswith("VmRSS")]
            check(SANITIZED or not rss or int(rss[0]) < 60000,
                  "%s has %s KiB" % (line, rss))


def family(pid):
    """The descendants of pid: pid -> command line."""
    everything = processes()
    found, pending = {}, [pid]
    while pending:
        parent = pending.pop()
        for child, (its_parent, line) in everything.items():
            if its_parent == parent and child not in found:
                found[child] = line
                pending.append(child)
    return found
