#!/usr/bin/env python3
"""popkeep audit with a log that policyd seals.

usage: tests/test_tool_audit.py [TOOL] [unittest arguments]

SPDX-License-Identifier: ISC
"""
import hashlib
import json
import os
import re
import sys
import time
import unittest

import tool_fixture
from tool_fixture import Policyd


class Seals(Policyd):
    def setUp(self):
        super().setUp()
        self.log = self.path("audit.log")

    def set_up(self):
        """Make the first key, and wait for the first seal: its key."""
        r = self.done(0, "audit", "setup")
        key, = re.findall(r"^--key ([0-9a-f]{64})$", r.stdout, re.M)
        self.sealed(1)
        return key

    def sealed(self, count):
        """Wait for so many seals."""
        end = time.monotonic() + 20
        while len(self.records("seal")) < count:
            self.assertLess(time.monotonic(), end, self.log_end())
            time.sleep(0.05)

    def changed(self, change):
        """A copy of the log with its lines changed."""
        with open(self.log, "rb") as f:
            lines = f.readlines()
        change(lines)
        with open(self.path("copy"), "wb") as f:
            f.write(b"".join(lines))
        return self.path("copy")

    def test_setup(self):
        key = self.set_up()
        path = self.path("state", "seal.key")
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(path).st_uid,
                         os.stat(self.path("state")).st_uid)
        # Neither again, nor elsewhere, and never shown twice.
        r = self.failed(1, path + ": there is a key already", "audit",
                        "setup")
        self.assertEqual(r.stdout, "")
        self.failed(1, path + ": there is a key already", "audit", "setup",
                    "--state", self.path("state"))
        self.failed(1, "no-such: No such file or directory: expected the "
                    "state directory", "audit", "setup", "--state",
                    self.path("no-such"))
        self.failed(2, "usage", "audit", "setup", "more")
        self.failed(2, "usage", "audit", "setup", "--key")
        seal = self.records("seal")[0]
        self.assertEqual((seal["epoch"], seal["key"]), (0, key))
        # The private key of a seal is gone with it.
        with open(path) as f:
            text = f.read()
        self.assertTrue(text.startswith("popkeep-seal 1 1 "), "the key of "
                        "epoch 1 is expected")
        self.assertEqual(text.split()[4], seal["next"])

    def test_verify_by_key(self):
        key = self.set_up()
        r = self.done(3, "audit", "verify")
        self.assertIn("its first seal: --key %s\n" % key, r.stdout)
        self.assertIn("sealed up to record ", r.stdout)
        self.assertNotIn("verified", r.stdout)
        self.mail("ann", 2, 40)
        self.done(0, "sweep", "--all")
        last = self.records()[-1]["seq"]
        seal = self.records("seal")[-1]["seq"]
        r = self.done(0, "audit", "verify", "--key", key)
        self.assertIn(self.log + ": verified up to record %d\n" % seal,
                      r.stdout)
        self.assertIn("records %d to %d come after it: they are not sealed "
                      "yet" % (seal + 1, last), r.stdout)
        self.assertIn("unanchored: ", r.stdout)
        # It is sealed when it stops.
        self.stop()
        r = self.done(0, "audit", "verify", "--key", key, "--key",
                      64 * "0")
        self.assertNotIn("come after it", r.stdout)
        anchor = re.search(r"--anchor (\S+)", r.stdout).group(1)
        r = self.done(0, "audit", "verify", "--key", key, "--anchor", anchor)
        self.assertNotIn("unanchored", r.stdout)
        # With any key, and with one of nobody.
        second = self.records("seal")[-1]["key"]
        self.assertNotEqual(second, key)
        self.done(0, "audit", "verify", "--key", second)
        r = self.done(4, "audit", "verify", "--key", 64 * "0")
        self.assertIn("none of the seals has a key that was given", r.stdout)
        self.start()

    def test_report_by_key(self):
        """The report says verified if it is, as verify does."""
        def told(status, *options):
            return json.loads(self.done(status, "report", "--json",
                                        *options).stdout)
        key = self.set_up()
        seal = self.records("seal")[-1]["seq"]
        r = told(0)
        self.assertEqual((r["report"]["intact"], r["report"]["verified"]),
                         (True, False))
        self.assertEqual(r["tables"]["logs"]["rows"][0]["result"], "intact, "
                         "sealed, but neither key nor anchor was given")
        r = told(0, "--key", key)
        self.assertTrue(r["report"]["verified"])
        self.assertEqual(r["tables"]["logs"]["rows"][0]["result"],
                         "verified up to record %d" % seal)
        self.assertIn("Verified", self.done(0, "report", "--key",
                                            key).stdout)
        anchor = self.done(0, "audit", "anchor").stdout.split()[-1]
        self.assertTrue(told(0, "--anchor", anchor)["report"]["verified"])
        r = told(4, "--key", 64 * "0")
        self.assertFalse(r["report"]["verified"])
        self.assertEqual(len(r["tables"]["findings"]["rows"]), 1)
        self.failed(2, "report: --key x: expected the 64", "report", "--key",
                    "x")
        self.failed(2, "report: --anchor x: expected the number", "report",
                    "--anchor", "x")

    def test_verify_finds_changes(self):
        key = self.set_up()
        self.mail("ann", 3, 40)
        self.done(0, "sweep", "--all")
        self.stop()

        def other_user(lines):
            self.at, = [n for n, line in enumerate(lines)
                        if b'"disposed"' in line][1:2]
            lines[self.at] = lines[self.at].replace(b'"ann"', b'"ben"')
        copy = self.changed(other_user)
        first = self.records("seal")[0]["seq"] + 1
        last = self.records("seal")[-1]["seq"]
        r = self.done(4, "audit", "verify", "--key", key, copy)
        self.assertIn("%s:%d: records %d to %d: the last of them was changed, "
                      "or they were written anew\n" % (
                          copy, self.at + 1, first, self.at + 1), r.stdout)
        self.assertIn(copy + ": CHANGED: 1 findings", r.stdout)

        def made_to_fit(lines):
            other_user(lines)
            for n in range(self.at + 1, len(lines)):
                digest = hashlib.sha256(lines[n - 1]).hexdigest().encode()
                lines[n] = re.sub(rb'"prev":"[0-9a-f]*"', b'"prev":"' +
                                  digest + b'"', lines[n])
        copy = self.changed(made_to_fit)
        r = self.done(4, "audit", "verify", "--key", key, copy)
        self.assertIn(": records %d to %d: the seal at their end was changed, "
                      "or they were written anew\n" % (first, last), r.stdout)

        def no_seal(lines):
            at = [n for n, line in enumerate(lines)
                  if b'"event":"seal"' in line][0]
            del lines[at]
        copy = self.changed(no_seal)
        r = self.done(4, "audit", "verify", "--key",
                      self.records("seal")[1]["key"], copy)
        self.assertIn("is missing before it", r.stdout)
        self.start()

    def test_verify_wants_keys(self):
        empty = self.write("empty", "")
        for wrong in ("", "0", 63 * "0", 65 * "0", 63 * "0" + "x"):
            self.failed(2, "expected the 64 hexadecimal digits", "audit",
                        "verify", "--key=" + wrong, empty)
        many = 101 * ["--key", 64 * "0"]
        self.failed(2, "at most 100 keys", "audit", "verify", *many, empty)
        r = self.done(3, "audit", "verify", "--key", 64 * "0", empty)
        self.assertIn("unsealed", r.stdout)

    def test_anchor(self):
        self.mail("ann", 1, 40)
        self.done(0, "sweep", "--all")
        self.stop()
        r = self.done(0, "audit", "anchor")
        with open(self.log, "rb") as f:
            last = f.readlines()[-1]
        expected = "%s: --anchor %d:%s\n" % (
            self.log, json.loads(last)["seq"],
            hashlib.sha256(last).hexdigest())
        self.assertEqual(r.stdout, expected)

        def torn(lines):
            lines.append(lines[0][:-1])
        self.assertEqual(self.done(0, "audit", "anchor", self.changed(
            torn)).stdout, expected.replace(self.log, self.path("copy")))
        self.failed(1, "empty: it does not end with a record", "audit",
                    "anchor", self.write("empty", ""))
        self.failed(1, "no-such: No such file", "audit", "anchor",
                    self.path("no-such"))
        self.failed(2, "usage", "audit", "anchor", "--all")
        self.start()

    def command(self, text):
        """policyd anew, with a command that is told of seals."""
        self.stop()
        os.makedirs(self.path("told"), exist_ok=True)
        os.chmod(self.path("told"), 0o777)
        program = self.write("anchor", "#!/bin/sh\n" + text, 0o755)
        self.start("-c", program, "-i", "1")

    def told(self, count):
        """What the command was told; wait for so many."""
        end = time.monotonic() + 20
        while True:
            files = sorted((name for name in os.listdir(self.path("told"))
                            if name.isdigit()), key=int)
            if len(files) >= count:
                break
            self.assertLess(time.monotonic(), end, self.log_end())
            time.sleep(0.05)
        found = []
        for name in files:
            with open(self.path("told", name)) as f:
                found.append(f.read().split())
        return found

    def test_command_is_told(self):
        self.command('echo "$@" $(ls /proc/self/fd | wc -l) $(env | cut -d= '
                     '-f1 | grep -v "^_$" | sort) >%s/.tmp; '
                     'mv %s/.tmp %s/${1%%%%:*}\n' % (3 * (
                         self.path("told"),)))
        key = self.set_up()
        first, = self.told(1)
        seal, = self.records("seal")
        self.assertEqual(first[1], seal["next"])
        # Three descriptors and the one of ls; no secret in the environment.
        self.assertEqual(first[2:], ["4", "PATH", "PWD"])
        self.assertIn("--anchor %s; the next seal: --key %s" % (
            first[0], first[1]), self.log_end()[1])
        self.done(0, "audit", "verify", "--key", key, "--anchor", first[0])
        self.stop()
        last = self.told(2)[-1]
        r = self.done(0, "audit", "verify", "--anchor", last[0])
        self.assertNotIn("come after it", r.stdout)
        self.start()

    def test_command_fails(self):
        self.command("exit 7\n")
        self.set_up()
        end = time.monotonic() + 20
        while "anchor: exit status 7: the anchor " not in self.log_end()[1]:
            self.assertLess(time.monotonic(), end, self.log_end())
            time.sleep(0.05)
        # What has no end does not keep policyd.
        self.command('sleep 1000 & echo $! >%s/1; wait\n' %
                     self.path("told"))
        self.told(1)
        start = time.monotonic()
        self.policyd.terminate()
        self.assertEqual(self.policyd.wait(20), 0)
        self.assertLess(time.monotonic() - start, 15)
        with open(self.path("policyd.log")) as f:
            self.assertIn("it was killed after seconds:", f.read())
        (pid,), = self.told(1)
        self.assertFalse(os.path.exists("/proc/%s/exe" % pid) and
                         "sleep" in os.readlink("/proc/%s/exe" % pid))
        self.start()

    def test_segments(self):
        """Older segments belong to the log; one that is missing is told."""
        key = self.set_up()
        for _ in range(2):
            self.mail("ann", 3, 40)
            self.done(0, "sweep", "--all")
        self.stop()
        with open(self.log, "rb") as f:
            lines = f.readlines()
        name = self.path("cut.log")
        cuts = [0, 2, len(lines) // 2, len(lines)]
        files = [name + ".%020d" % (cuts[n] + 1) for n in range(2)] + [name]
        for n, file in enumerate(files):
            with open(file, "wb") as f:
                f.writelines(lines[cuts[n]:cuts[n + 1]])
        r = self.done(0, "audit", "verify", "--key", key, name)
        self.assertIn("%s: verified up to record %d\n" % (name, len(lines)),
                      r.stdout)
        self.assertIn("--anchor %d:" % len(lines), self.done(
            0, "audit", "anchor", name).stdout)
        os.rename(files[1], self.path("away"))
        r = self.done(4, "audit", "verify", "--key", key, name)
        self.assertIn("%s:1: records %d to %d are missing before it (a file "
                      "is missing)\n" % (name, cuts[1] + 1, cuts[2]),
                      r.stdout)
        os.rename(self.path("away"), files[1])
        # Each is told by its own name.
        with open(files[1], "r+b") as f:
            data = f.read().replace(b'"v":1', b'"v":7', 1)
            f.seek(0)
            f.write(data)
        r = self.done(4, "audit", "verify", "--key", key, name)
        self.assertIn("%s:1: record %d is no record any more\n" % (
            files[1], cuts[1] + 1), r.stdout)
        self.start()


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
