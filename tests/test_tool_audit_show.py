#!/usr/bin/env python3
"""popkeep audit show: what it finds, and what it never writes.

usage: tests/test_tool_audit_show.py [TOOL] [unittest arguments]

SPDX-License-Identifier: ISC
"""
import json
import os
import re
import subprocess
import sys
import time
import unittest

import tool_fixture
from audit_fixture import ESCAPE, Log
from tool_fixture import Policyd, Tool


class Show(Tool):
    def setUp(self):
        super().setUp()
        self.a = log = Log()
        self.lines = [
            log.add("2026-11-01T10:00:00", "login", session="7.1"),
            log.add("2026-11-01T10:00:01", "dispose-intent", session="7.1",
                    uidl="u1", size=100, rule="old", reason="dele"),
            log.add("2026-11-01T10:00:01.000001", "disposed", session="7.1",
                    uidl="u1", size=100, rule="old", reason="dele"),
            log.add("2026-11-01T23:59:59.999999", "login", "ben",
                    session="7.2"),
            log.add("2026-11-02T00:00:00", "disposed", "ben", session="7.2",
                    uidl="u1", size=5, reason="100%25 dele"),
            log.add("2026-11-02T08:30:59", "retained", "ben", uidl="u2",
                    size=0, reason="hold:case")]
        self.log = log.write(self.path("log"))

    def show(self, *args, status=0, files=None):
        return self.done(status, "audit", "show", "--json", *args,
                         *(files or [self.log])).stdout

    def same(self, found, *numbers):
        """Those lines, counted from 1, and unchanged."""
        self.assertEqual(found, "".join(self.lines[n - 1] for n in numbers))

    def test_filters(self):
        self.same(self.show(), 1, 2, 3, 4, 5, 6)
        self.same(self.show("--user", "ben"), 4, 5, 6)
        self.same(self.show("--uidl", "u1"), 2, 3, 5)
        self.same(self.show("--session", "7.2"), 4, 5)
        self.same(self.show("--event", "disposed"), 3, 5)
        self.same(self.show("--event", "disposed,login"), 1, 3, 4, 5)
        self.same(self.show("--event", "disposed", "--event", "login"),
                  1, 3, 4, 5)
        self.same(self.show("--user", "ben", "--uidl", "u1", "--event",
                            "disposed", "--session", "7.2", "--since",
                            "2026-11-02", "--until", "2026-11-02"), 5)
        for nothing in (("--user", "be"), ("--uidl", "u"),
                        ("--session", "7"), ("--event", "brake"),
                        ("--user", "ann", "--session", "7.2")):
            self.same(self.show(*nothing))

    def test_times(self):
        for option, text, numbers in (
                ("since", "2026-11-02", (5, 6)),
                ("until", "2026-11-01", (1, 2, 3, 4)),
                ("since", "2026-11-01T10:00:01Z", (2, 3, 4, 5, 6)),
                ("since", "2026-11-01T10:00:01.000001Z", (3, 4, 5, 6)),
                ("since", "2026-11-01T10:00:01.0000019Z", None),
                ("since", "2026-11-01T11:00:01+01:00", (2, 3, 4, 5, 6)),
                ("since", "2026-11-01T05:30:01.1-04:30", (4, 5, 6)),
                # What is named is inside.
                ("until", "2026-11-01T10:00:00Z", (1,)),
                ("until", "2026-11-01T10:00:01Z", (1, 2, 3)),
                ("until", "2026-11-01T10:00:01.0Z", (1, 2, 3)),
                ("until", "2026-11-01T10:00:01.00000Z", (1, 2, 3)),
                ("until", "2026-11-01T10:00:01.000000Z", (1, 2)),
                ("until", "2026-11-01t10:00z", (1, 2, 3)),
                ("until", "2026-11-02T08:29Z", (1, 2, 3, 4, 5)),
                ("until", "2026-11-02T08:30Z", (1, 2, 3, 4, 5, 6)),
                ("since", "yesterday", None), ("since", "2026-13-01", None),
                ("since", "never", None), ("since", "7", None),
                ("since", "", None), ("until", "2026-11-01T10:00:00", None),
                ("until", "2026-11-01 10:00Z", None),
                ("until", "2026-11-01T24:00Z", None),
                ("until", "2026-11-01T10:60Z", None),
                ("until", "2026-11-01T10:00:61Z", None),
                ("until", "2026-11-01T10:00:00.Z", None),
                ("until", "2026-11-01T10:00Zx", None),
                ("until", "2026-11-01T10:00+1:00", None),
                ("until", "2026-11-01T10:00+01:00x", None)):
            option = "--" + option
            with self.subTest(option + " " + text):
                if numbers is None:
                    self.failed(2, "%s %s: expected a day or a time" % (
                        option, text), "audit", "show", option, text,
                        self.log)
                else:
                    self.same(self.show(option, text), *numbers)
        self.failed(2, "--since: expected an earlier time", "audit", "show",
                    "--since", "2026-11-02", "--until", "2026-11-01",
                    self.log)

    def test_how_long_ago(self):
        log = Log()

        def ago(seconds):
            return log.add(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(
                time.time() - seconds)))
        old, middle, new = ago(9 * 86400), ago(90 * 60), ago(30 * 60)
        files = [log.write(self.path("recent"))]
        self.assertEqual(self.show("--since", "1h", files=files), new)
        self.assertEqual(self.show("--since", "1w", files=files),
                         middle + new)
        self.assertEqual(self.show("--until", "1h", files=files),
                         old + middle)
        self.assertEqual(self.show("--since", "7d", "--until", "1h",
                                   files=files), middle)

    def test_table(self):
        r = self.done(0, "audit", "show", self.log)
        rows = r.stdout.splitlines()
        self.assertRegex(rows[0], r"^time \(UTC\) +event +user +unique-id +"
                         r"octets +rule +reason$")
        self.assertRegex(rows[1], r"^2026-11-01T10:00:00Z login +ann +- +- "
                         r"+- +-$")
        self.assertRegex(rows[2], r"^2026-11-01T10:00:01Z dispose-intent +"
                         r"ann +u1 +100 old +dele$")
        # As the log spells it.
        self.assertRegex(rows[5], r"ben +u1 +5 - +100%25 dele$")
        self.assertRegex(rows[6], r" retained +ben +u2 +0 - +hold:case$")
        self.assertEqual(len(rows), 7)
        self.assertEqual({row.index("octets") + len("octets")
                          for row in rows[:1]} |
                         {row.index(" old ") for row in rows[2:4]},
                         {rows[0].index("octets") + 6})

    def test_user_is_spelled_as_the_log_does(self):
        self.configure(fold_case="true", default_domain="example.org")
        log = Log()
        line = log.add("2026-11-01T10:00:00", user="ann@example.org")
        odd = log.add("2026-11-01T10:00:01", "login-failed", "Odd%C3%A9 Name")
        files = [log.write(self.path("users.log"))]
        self.assertEqual(self.show("--user", "ANN", files=files), line)
        self.assertEqual(self.show("--user", "Oddé Name", files=files), odd)
        self.assertEqual(self.show("--user", "Odd%C3%A9 Name", files=files), odd)
        # Where there is no configuration it is what it is.
        r = subprocess.run([tool_fixture.TOOL, "audit", "show", "--json",
                            "--user", "ann@example.org"] + files, env={},
                           capture_output=True, text=True, timeout=50)
        self.assertEqual((r.returncode, r.stdout), (0, line), r.stderr)

    def test_pseudonyms(self):
        """That a user may be in records under another name is told."""
        log, hidden = Log(), "p:" + 32 * "a"
        ann = log.add("2026-11-01T10:00:00", user="ann")
        other = log.add("2026-11-01T10:00:01", "disposed", hidden)
        path = log.write(self.path("hidden.log"))
        for args, lines, told in (
                (["--user", "ann"], ann, True),
                (["--user", "ann", "--event", "login"], ann, False),
                (["--user", hidden], other, False), ([], ann + other, False)):
            r = self.done(0, "audit", "show", "--json", *args, path)
            self.assertEqual(r.stdout, lines)
            self.assertEqual(r.stderr.count(
                "--user ann: other records have pseudonyms"), told, args)
            self.assertEqual(r.stderr.count("\n"), told)

    def test_several_hosts(self):
        logs = [Log("h%d.example" % n) for n in range(3)]
        expected = []
        for second in range(40):
            # Some at the same time; of those the first log's comes first.
            for n in {second % 3, second * second % 3}:
                expected.append(logs[n].add("2026-11-01T10:00:%02d" % second,
                                            session="%d" % second))
        files = [log.write(self.path("log%d" % n))
                 for n, log in enumerate(logs)]
        self.assertEqual(self.show(files=files), "".join(expected))
        self.assertEqual(self.show("--user", "none", files=files), "")
        rows = self.done(0, "audit", "show", *files).stdout.splitlines()
        self.assertRegex(rows[0], r"^time \(UTC\) +host +event ")
        self.assertRegex(rows[1], r"^\S+Z h0.example +login ")
        # A clock that was put back changes nothing within a log.
        a = Log("a")
        lines = [a.add("2026-11-01T10:00:05"), a.add("2026-11-01T10:00:03")]
        self.assertEqual(self.show(files=[
            a.write(self.path("a")), self.path("log0")])[:len(lines[0])],
            self.show(files=[self.path("log0")])[:len(lines[0])])
        self.assertEqual([r for r in self.show(files=[
            self.path("a"), self.path("log0")]).splitlines(True)
            if r in lines], lines)

    def test_segments(self):
        for n, (begin, end) in enumerate(((0, 2), (2, 3), (3, 6))):
            name = "rotated" + (".%020d" % (begin + 1) if end < 6 else "")
            with open(self.path(name), "w") as f:
                f.write("".join(self.lines[begin:end]))
        self.same(self.show(files=[self.path("rotated")]), 1, 2, 3, 4, 5, 6)
        # Rotated while it is read: it has two names.
        os.link(self.path("rotated"), self.path("rotated.%020d" % 4))
        self.same(self.show(files=[self.path("rotated")]), 1, 2, 3, 4, 5, 6)
        os.mkdir(self.path("rotated.%020d" % 2))
        r = self.failed(1, "popkeep: %s: Is a directory\n" %
                        self.path("rotated.%020d" % 2), "audit", "show",
                        "--json", self.path("rotated"))
        self.same(r.stdout, 1, 2)
        os.unlink(self.path("rotated"))
        self.failed(1, "rotated: No such file", "audit", "show",
                    self.path("rotated"))

    def test_what_is_no_record(self):
        forged = [
            # JSON allows this, and a terminal would obey.
            self.lines[0].replace('"v":1', '"v":1,"x":"\x7f\x1b[2J"'),
            self.lines[0].replace('"v":1', '"v":1,"x":"\u009b31m"'),
            self.lines[0].replace('"v":1', '"v":1,"x":"\x7f"'),
            self.lines[0].replace("\n", "\r\n"),
            ESCAPE + "\n", "\n", "x" * 100000 + "\n",
            self.lines[0].replace('"seq"', '"sequ"')]
        path = self.write("forged", "".join(
            [self.lines[0]] + forged + self.lines[1:2]) +
            self.lines[2][:50])
        for args in ((), ("--json",), ("--user", "none")):
            r = self.done(4, "audit", "show", *args, path)
            for n in range(2, 10):
                self.assertIn("popkeep: %s:%d: is no record\n" % (path, n),
                              r.stderr)
            self.assertIn("%s:11: has no end" % path, r.stderr)
            self.assertEqual(r.stderr.count("\n"), 9)
            self.assertRegex(r.stdout + r.stderr, r"\A[\n -~]*\Z")
        self.same(self.show(status=4, files=[path]), 1, 2)
        # A last line without an end alone is no fault.
        for torn in (self.lines[1][:-1], self.lines[1][:-1] + " "):
            path = self.write("torn", self.lines[0] + torn)
            self.same(self.show(files=[path]), 1)
        # Many are counted.
        path = self.write("many", 1000 * "forged\n")
        r = self.done(4, "audit", "show", path)
        self.assertEqual(r.stderr.count("is no record\n"), 20)
        self.assertIn("popkeep: 980 more lines are no records\n", r.stderr)
        # Others are shown beside it.
        self.same(self.show(status=4, files=[path, self.log]),
                  1, 2, 3, 4, 5, 6)

    def test_events_of_a_later_version(self):
        log = Log()
        line = log.add("2026-11-01T10:00:00", "up\x1b[2Jgraded", session="1")
        log.write(self.path("later"))
        # A name with such octets is in the log as \u001b.
        self.assertNotIn("\x1b", line)
        r = self.done(0, "audit", "show", self.path("later"))
        self.assertIn("Z up%1B[2Jgraded ", r.stdout)
        self.assertEqual(self.show("--user", "ann",
                                   files=[self.path("later")]), line)
        self.assertEqual(self.show("--event", "start",
                                   files=[self.path("later")]), "")

    def test_what_cannot_be_read(self):
        r = self.failed(1, "no-such: No such file", "audit", "show",
                        self.path("no-such"), self.log)
        self.assertIn("hold:case", r.stdout)
        self.failed(1, "etc: Is a directory", "audit", "show",
                    self.path("etc"))
        self.failed(1, "audit.log: No such file", "audit", "show")
        os.symlink(self.log, self.path("audit.log"))
        self.assertIn("hold:case", self.done(0, "audit", "show").stdout)
        with open(self.log) as f:
            r = subprocess.run([tool_fixture.TOOL, "audit", "show", "--json",
                                "-"], stdin=f, capture_output=True, text=True,
                               timeout=50)
        self.same(r.stdout, 1, 2, 3, 4, 5, 6)

    def test_usage(self):
        self.failed(2, "--event dispose: expected one of start, stop, policy",
                    "audit", "show", "--event", "login,dispose", self.log)
        self.failed(2, "--event : expected one of", "audit", "show",
                    "--event", "login,", self.log)
        for option in ("--user", "--uidl", "--session"):
            self.failed(2, option + ": expected once", "audit", "show",
                        option, "a", option, "b", self.log)
        self.failed(2, "usage", "audit", "show", "--owner", "a", self.log)

    def test_standard_output(self):
        log = Log()
        for n in range(20000):
            log.add("2026-11-01T10:00:00", session=str(n))
        path = log.write(self.path("long"))
        with open("/dev/full", "w") as full:
            r = subprocess.run(self.argv("audit", "show", path), stdout=full,
                               stderr=subprocess.PIPE, text=True, timeout=50)
        self.assertEqual(r.returncode, 1)
        self.assertIn("standard output: No space left on device", r.stderr)
        # Who has seen enough may go, whatever becomes of the signal.
        for restore in (True, False):
            p = subprocess.Popen(self.argv("audit", "show", path),
                                 stdout=subprocess.PIPE, text=True,
                                 stderr=subprocess.PIPE,
                                 restore_signals=restore)
            p.stdout.readline()
            p.stdout.close()
            self.assertEqual(p.stderr.read(), "")
            p.stderr.close()
            self.assertEqual(p.wait(20), -13 if restore else 0)
        # Even if there is no end to it.
        endless = subprocess.Popen(["yes", self.lines[0][:-1]],
                                   stdout=subprocess.PIPE)
        p = subprocess.Popen(self.argv("audit", "show", "-"),
                             stdin=endless.stdout, stdout=subprocess.PIPE,
                             restore_signals=False)
        endless.stdout.close()
        p.stdout.readline()
        p.stdout.close()
        try:
            self.assertEqual(p.wait(20), 0)
        finally:
            p.kill()
            p.wait()
            endless.wait(20)


class Real(Policyd):
    def test_show(self):
        """What policyd writes is shown, as it was written."""
        uids = self.mail("ann", 2, 40)
        self.done(0, "sweep", "--all")
        with open(self.path("audit.log")) as f:
            self.records()
            lines = f.readlines()
        r = self.done(0, "audit", "show", "--json", "--user", "ann",
                      "--event", "disposed", "--since", "1h")
        shown = [json.loads(line) for line in r.stdout.splitlines()]
        self.assertEqual({s["uidl"] for s in shown}, set(uids))
        self.assertTrue(set(r.stdout.splitlines(True)) <= set(lines))
        r = self.done(0, "audit", "show")
        self.assertEqual(len(r.stdout.splitlines()), len(lines) + 1)
        self.assertEqual(len(re.findall(
            r"^\S+Z disposed +ann +\S+host +\d+ old +after-delivery$",
            r.stdout, re.M)), 2)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
