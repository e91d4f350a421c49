#!/usr/bin/env python3
"""popkeep secret from end to end, on a terminal and without one.

The program is the first argument, or standalone/popkeep.
"""
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOOL = os.path.abspath("standalone/popkeep")
LONG = "a-secret-of-more-than-16-octets"


class Tool(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.store = os.path.join(self.dir, "store")
        self.key = os.path.join(self.dir, "key")

    def tearDown(self):
        shutil.rmtree(self.dir)

    def args(self, *args):
        return [TOOL, "secret", args[0], "--store", self.store,
                "--key", self.key, *args[1:]]

    def run_tool(self, *args, stdin=b"", **kw):
        return subprocess.run(self.args(*args), input=stdin,
                              capture_output=True, timeout=50, **kw)

    def ok(self, *args, stdin=b""):
        done = self.run_tool(*args, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def failed(self, status, text, *args, stdin=b""):
        done = self.run_tool(*args, stdin=stdin)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(text, done.stderr.decode())
        self.assertEqual(done.stdout, b"")
        return done

    def names(self):
        return self.ok("list").stdout.decode().split()

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(text)
        return path


class Set(Tool):
    def test_set_reads_one_line(self):
        for text in (LONG + "\n", LONG, LONG + "\r\n"):
            done = self.ok("set", "ann", stdin=text.encode())
            self.assertEqual((done.stdout, done.stderr), (b"", b""))
        self.assertEqual(self.names(), ["ann"])
        for path in (self.store, self.store + "-lock", self.key):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def test_set_refuses_bad_secrets(self):
        for text, why in ((b"", "no secret"), (b"\n", "empty"),
                          (b"x" * 256, "longer than 255"),
                          (b"x" * 9000 + b"\n", "longer than 255"),
                          (b"a\tb\n", "control octet"),
                          (b"a\0b\n", "control octet"),
                          (b"one\ntwo\n", "one line")):
            self.failed(1, why, "set", "ann", stdin=text)
        self.assertEqual(self.names(), [])
        self.ok("set", "ann", stdin=b"x" * 255)

    def test_set_warns_of_short_secrets(self):
        done = self.ok("set", "ann", stdin=b"x" * 15)
        self.assertEqual(done.stderr.count(b"\n"), 1)
        self.assertIn(b"shorter than 16", done.stderr)
        self.assertEqual(self.ok("set", "ann", stdin=b"x" * 16).stderr, b"")

    def test_set_refuses_bad_names(self):
        for name in ("", "a b", "../x", ".x", "a/b", " nobody", "x" * 256):
            self.failed(2, "USER", "set", name, stdin=LONG.encode())

    def test_set_canonicalises(self):
        self.ok("set", "--fold", "--detail", "+", "--default-domain",
                "example.org", "Ann+news", stdin=LONG.encode())
        self.assertEqual(self.names(), ["ann@example.org"])

    def test_set_takes_no_secret_as_argument(self):
        done = self.failed(2, "expected one USER", "set", "ann", LONG)
        self.assertNotIn(LONG.encode(), done.stderr)


class Others(Tool):
    def test_generate_shows_it_once(self):
        shown = set()
        for length in (32, 16, 255):
            done = self.ok("generate", "--length", str(length), "ann")
            self.assertRegex(done.stdout.decode(),
                             r"\A[A-Za-z0-9]{%d}\n\Z" % length)
            shown.add(done.stdout)
        self.assertEqual(len(self.ok("generate", "bob").stdout), 33)
        self.assertEqual(self.names(), ["ann", "bob"])
        self.assertEqual(len(shown), 3)

    def test_closed_descriptors_are_no_others(self):
        """What is written to a closed one reaches no file of the store."""
        self.ok("generate", "ann")
        for closed in ((1,), (0, 1), (0, 1, 2)):
            def close(closed=closed):
                for fd in closed:
                    os.close(fd)
            done = subprocess.run(
                self.args("generate", "bob"), preexec_fn=close, timeout=50,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1, closed)
            if 2 not in closed:
                self.assertIn(b"could not be shown", done.stderr)
            self.assertEqual(self.names(), ["ann", "bob"])

    def test_generate_uses_every_letter(self):
        text = b"".join(self.ok("generate", "--length", "255", "ann").stdout
                        for _ in range(40)).replace(b"\n", b"")
        self.assertEqual(len(set(text)), 62)
        # 8 of 62 letters are 12.9 %; with octets modulo 62 these are 15.6 %.
        first = sum(text.count(c) for c in b"ABCDEFGH")
        self.assertLess(first / len(text), 0.143)

    def test_generate_refuses_lengths(self):
        for length in ("15", "256", "-1", "32x", "", "99999999999999999999"):
            self.failed(2, "16 to 255", "generate", "--length", length, "ann")

    def test_generate_says_when_nothing_was_shown(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.args("generate", "ann"), stdout=full,
                                  stderr=subprocess.PIPE, timeout=50)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"could not be shown", done.stderr)

    def test_delete(self):
        self.ok("set", "ann", stdin=LONG.encode())
        self.failed(1, "user eve: has no secret", "delete", "eve")
        self.ok("delete", "ann")
        self.assertEqual(self.names(), [])
        self.failed(1, "has no secret", "delete", "ann")

    def test_list_needs_a_store(self):
        self.failed(1, "No such file", "list")
        self.assertEqual(os.listdir(self.dir), [])

    def test_list_says_when_it_cannot_write(self):
        self.ok("set", "ann", stdin=LONG.encode())
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.args("list"), stdout=full,
                                  stderr=subprocess.PIPE, timeout=50)
        self.assertEqual(done.returncode, 1)

    def test_key_is_checked(self):
        self.ok("set", "ann", stdin=LONG.encode())
        os.chmod(self.key, 0o644)
        self.failed(1, "chmod 600", "list")
        os.chmod(self.key, 0o600)
        os.rename(self.key, self.key + "2")
        self.failed(1, "restore the key", "set", "ann", stdin=LONG.encode())

    def test_usage(self):
        def run(*args):
            return subprocess.run([TOOL, *args], capture_output=True,
                                  timeout=50)
        for args in ((), ("nothing",), ("secret",), ("secret", "x"),
                     ("secret", "set"), ("secret", "list", "ann"),
                     ("secret", "list", "--length", "20"),
                     ("secret", "set", "--format", "auto", "ann"),
                     ("secret", "set", "--detail", "++", "ann"),
                     ("secret", "set", "--nothing", "ann"),
                     ("secret", "import", "--format", "x", "f")):
            done = run(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(b"usage:", done.stderr)
            self.assertEqual(done.stdout, b"")
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn(b"usage:", run("--help").stdout)
        self.assertRegex(run("--version").stdout, rb"\Apopkeep \d")


class Import(Tool):
    PLAIN = b"# c\n\nann:" + LONG.encode() + b"\nbob:with:colon:inside-it\n"

    def test_import_plain(self):
        path = self.write("in", self.PLAIN)
        done = self.ok("import", "--format", "plain", path)
        self.assertEqual(done.stdout, b"2 imported, 0 refused\n")
        self.assertEqual(done.stderr, b"")
        self.assertEqual(self.names(), ["ann", "bob"])

    def test_import_passwd(self):
        done = self.ok("import", "--format", "passwd", "-", stdin=(
            b"ann:{PLAIN}%s:1000:1000::/home/ann::x=y\r\n"
            b"bob:{cleartext}%s\ncid:{Clear}%s:" % ((LONG.encode(),) * 3)))
        self.assertEqual(done.stdout, b"3 imported, 0 refused\n")
        self.assertEqual(self.names(), ["ann", "bob", "cid"])

    def test_import_auto(self):
        done = self.ok("import", "-", stdin=(
            b"ann:{PLAIN}%s:1000:1000\nbob:%s\n" % ((LONG.encode(),) * 2)))
        self.assertEqual(done.stdout, b"2 imported, 0 refused\n")

    def refused(self, fmt, line, user, why):
        """The line is refused, the good ones around it are not."""
        good = b"{PLAIN}" if fmt != "plain" else b""
        path = self.write("in", b"x:%s%s\n%s\ny:%s%s\n" % (
            good, LONG.encode(), line, good, LONG.encode()))
        done = self.run_tool("import", "--format", fmt, path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, b"2 imported, 1 refused\n")
        name = "user %s: " % user if user else ""
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("%s:2: %s" % (path, name)), text)
        self.assertIn(why, text)
        self.assertEqual(self.names(), ["x", "y"])
        return text

    def test_import_refuses_lines(self):
        for fmt, line, user, why in (
                ("auto", b"ann", "", "expected user:secret"),
                ("auto", b":secret", "", "not a name"),
                ("auto", b"ann:", "ann", "empty"),
                ("auto", b"ann:a:b", "ann", "--format"),
                ("auto", b"ann:{SHA512-CRYPT}$6$x", "ann",
                 "the scheme SHA512-CRYPT cannot be used"),
                ("auto", b"ann:{ssha}eA==", "ann", "the scheme SSHA cannot"),
                ("auto", b"ann:{mine", "ann", "expected {PLAIN}"),
                ("passwd", b"ann:secret", "ann", "expected {PLAIN}"),
                ("passwd", b"ann:xPLAIN}secret", "ann", "expected {PLAIN}"),
                ("passwd", b"ann:{PLAIN}:1", "ann", "empty"),
                ("passwd", b"ann::1:1", "ann", "expected {PLAIN}"),
                ("passwd", b"ann:{PLAIN.b64}eA==", "ann", "PLAIN.B64"),
                ("plain", b"a b:secret", "a?b", "not a name"),
                ("plain", b"a\x1b[2Jb:secret", "a?[2Jb", "not a name"),
                ("plain", b"../x:secret", "../x", "not a name"),
                ("plain", b"x" * 300 + b":s", "x" * 64, "longer than 255"),
                ("plain", b"ann:" + b"x" * 256, "ann", "longer than 255"),
                ("plain", b"ann:a\tb", "ann", "control octet"),
                ("plain", b"ann:a\0b", "ann", "control octet"),
                ("plain", b"ann:" + b"x" * 5000, "", "at most 4095")):
            with self.subTest(fmt=fmt, line=line[:20]):
                self.refused(fmt, line, user, why)

    def test_import_shows_no_secret(self):
        for fmt, line in (("auto", b"ann:{%s}more" % LONG.encode()),
                          ("auto", b"ann:{%s" % LONG.encode()),
                          ("passwd", b"ann:%s" % LONG.encode()),
                          ("auto", b"ann:%s:b" % LONG.encode())):
            text = self.refused(fmt, line, "ann", "")
            self.assertNotIn(LONG, text)

    def test_import_counts_short_secrets(self):
        done = self.ok("import", "-", stdin=b"a:x\nb:y\n")
        self.assertEqual(done.stderr.count(b"\n"), 1)
        self.assertIn(b"2 of the secrets are shorter", done.stderr)

    def test_import_needs_a_file(self):
        self.failed(1, "No such file", "import", self.dir + "/none")
        self.failed(1, "directory", "import", self.dir)

    def test_import_replaces(self):
        self.ok("import", "-", stdin=b"ann:%s\n" % LONG.encode())
        self.ok("import", "-", stdin=b"ann:%s2\n" % LONG.encode())
        self.assertEqual(self.names(), ["ann"])

    def test_import_is_quick(self):
        lines = b"".join(b"user%d:%s\n" % (i, LONG.encode())
                         for i in range(20000))
        done = self.ok("import", "-", stdin=lines)
        self.assertEqual(done.stdout, b"20000 imported, 0 refused\n")
        self.assertEqual(len(self.names()), 20000)


class Terminal(Tool):
    def start(self, *args):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(TOOL, self.args(*args))
        self.pid, self.fd, self.shown = pid, fd, b""

    def expect(self, text):
        end = time.monotonic() + 20
        while text not in self.shown:
            self.assertLess(time.monotonic(), end, self.shown)
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.shown += os.read(self.fd, 4096)
                except OSError:
                    break
        self.assertIn(text, self.shown)

    def finish(self):
        while True:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                data = b""
            if not data:
                break
            self.shown += data
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return status

    def echo_is_on(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, prompt, text):
        self.expect(prompt)
        end = time.monotonic() + 20
        while self.echo_is_on() and time.monotonic() < end:
            time.sleep(0.01)
        self.assertFalse(self.echo_is_on())
        os.write(self.fd, text)

    def test_terminal_asks_twice_without_echo(self):
        self.start("set", "ann")
        self.type(b"Secret: ", LONG.encode() + b"\n")
        self.type(b"Again: ", LONG.encode() + b"\n")
        self.assertEqual(self.finish(), 0)
        self.assertNotIn(LONG.encode(), self.shown)
        self.assertEqual(self.names(), ["ann"])

    def test_terminal_refuses_two_different(self):
        for second in (LONG + "x", LONG[:-1], LONG[:-1] + "x"):
            self.start("set", "ann")
            self.type(b"Secret: ", LONG.encode() + b"\n")
            self.type(b"Again: ", second.encode() + b"\n")
            self.assertEqual(os.waitstatus_to_exitcode(self.finish()), 1)
            self.assertIn(b"not the same", self.shown)
        self.assertEqual(self.names(), [])

    def test_terminal_gets_its_echo_back(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Our copy of the terminal shows what the tool left behind.
            ours, theirs = pty.openpty()
            child = subprocess.Popen(self.args("set", "ann"), stdin=theirs,
                                     stdout=theirs, stderr=theirs)
            self.fd, self.shown = ours, b""
            self.expect(b"Secret: ")
            while self.echo_is_on():
                time.sleep(0.01)
            child.send_signal(sig)
            self.assertEqual(child.wait(20), -sig)
            self.assertTrue(self.echo_is_on())
            os.close(ours)
            os.close(theirs)
        self.assertEqual(self.names(), [])

    def test_terminal_secret_is_nowhere(self):
        self.start("set", "ann")
        self.type(b"Secret: ", LONG.encode() + b"\n")
        self.expect(b"Again: ")
        for name in ("cmdline", "environ"):
            try:
                with open("/proc/%d/%s" % (self.pid, name), "rb") as f:
                    self.assertNotIn(LONG.encode(), f.read())
            except PermissionError:
                pass
        with open("/proc/%d/limits" % self.pid) as f:
            limits = f.read()
        self.assertTrue(re.search(r"Max core file size +0 +0 ", limits))
        # Not dumpable: its files in /proc are root's, whoever runs it.
        if os.geteuid() != 0:
            self.assertEqual(os.stat("/proc/%d/mem" % self.pid).st_uid, 0)
        self.type(b"Again: ", LONG.encode() + b"\n")
        self.assertEqual(self.finish(), 0)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
