#!/usr/bin/env python3
"""popkeep audit export: the bundle, and what is found in one that was changed.

usage: tests/test_tool_audit_export.py [TOOL] [unittest arguments]

SPDX-License-Identifier: ISC
"""
import calendar
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

import tool_fixture
from audit_fixture import Log
from tool_fixture import Policyd, Tool

NAMES = ["MANIFEST", "README.txt", "keys.json",
         "log/audit.log/audit.log.%020d" % 1,
         "log/audit.log/audit.log.%020d" % 11,
         "log/audit.log/audit.log.%020d" % 21]
TEXTS = sorted((b"# a", b"# b"), key=lambda t: hashlib.sha256(t).digest())
OLD, NEW = (hashlib.sha256(t).hexdigest() for t in TEXTS)
UNKNOWN = "c2" * 32
POLICIES = ["policies/" + OLD, "policies/" + NEW]
VERSIONS = ["versions.json"]


def members(path):
    with tarfile.open(path) as t:
        return {m.name: t.extractfile(m).read() for m in t}


def pack(path, entries):
    """A tar of (name, octets or TarInfo)."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
        for name, data in entries:
            info = data
            if isinstance(data, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(data)
            t.addfile(info, io.BytesIO(data) if info is not data else None)
    return path


class Export(Tool):
    def setUp(self):
        super().setUp()
        self.log = self.path("audit.log")
        self.tar = self.path("bundle.tar")
        self.a = Log()
        for n in range(30):
            self.a.add("2026-11-%02dT10:00:00" % (n + 1), session=str(n + 1),
                       policy=(OLD, NEW, UNKNOWN)[n // 10])
        for begin in (0, 10, 20):
            with open(self.log + ("" if begin == 20 else ".%020d" %
                                  (begin + 1)), "wb") as f:
                f.write(b"".join(self.a.lines[begin:begin + 10]))
        for name, text in zip(POLICIES, TEXTS):
            self.write("state/" + name, text.decode())
        self.write("state/policies/.tmp", "half")
        self.write("state/policies/other", "other")
        self.secret = self.write("secret", "not to be read")
        self.write("state/policies/%s.conf" % OLD, "not its name")
        os.symlink(self.secret, self.path("state/policies", UNKNOWN))
        os.mkdir(self.path("state/policies", "d3" * 32))

    def export(self, *args, status=0, to="bundle.tar"):
        return self.done(status, "audit", "export", "-o", self.path(to),
                         *args)

    def verify(self, status, *expected, tar=None):
        r = self.done(status, "audit", "verify", tar or self.tar)
        for text in expected:
            self.assertIn("%s:%s\n" % (tar or self.tar, text), r.stdout)
        return r

    def test_content(self):
        r = self.export()
        self.assertEqual(os.stat(self.tar).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.dir).count("bundle.tar"), 1)
        with tarfile.open(self.tar) as t:
            infos = t.getmembers()
        self.assertEqual([i.name for i in infos],
                         NAMES + POLICIES + VERSIONS)
        for i in infos:
            self.assertTrue(i.isreg())
            # The time of the newest record.
            self.assertEqual((i.uid, i.gid, i.mode, i.mtime, i.pax_headers),
                             (0, 0, 0o444, calendar.timegm(
                                 (2026, 11, 30, 10, 0, 0)), {}))
        found = members(self.tar)
        for n, name in enumerate(NAMES[3:]):
            self.assertEqual(found[name], b"".join(
                self.a.lines[10 * n:10 * n + 10]))
        self.assertIn(b"popkeep audit verify", found["README.txt"])
        self.assertEqual(json.loads(found["keys.json"]), [])
        self.assertIn("OpenSSL", json.loads(found["versions.json"])
                      ["libcrypto"])
        manifest = found.pop("MANIFEST").decode()
        self.assertIn(hashlib.sha256(manifest.encode()).hexdigest(),
                      r.stdout)
        self.assertEqual(
            [l for l in manifest.splitlines() if l[0] != "#"],
            ["%s  %s" % (hashlib.sha256(found[n]).hexdigest(), n)
             for n in sorted(found)])
        self.assertIn("# policies: not complete: 10 records name a policy "
                      "that is not in %s\n" % self.path("state/policies"),
                      manifest)
        self.assertNotIn("left out", manifest)

    def test_sha256sum(self):
        self.export()
        with tarfile.open(self.tar) as t:
            t.extractall(self.path("x"))
        r = subprocess.run(["sha256sum", "-c", "--strict", "MANIFEST"],
                           cwd=self.path("x"), capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertEqual(r.stdout.count(": OK\n"), len(
            NAMES + POLICIES + VERSIONS) - 1)

    def test_reproducible(self):
        self.export()
        for n in os.listdir(self.path("state/policies")):
            os.utime(self.path("state/policies", n), (1, 1),
                     follow_symlinks=False)
        self.export(to="again.tar")
        r = subprocess.run(self.argv("audit", "export"), capture_output=True,
                           timeout=50)
        with open(self.tar, "rb") as a, open(self.path("again.tar"),
                                             "rb") as b:
            first = a.read()
            self.assertEqual(first, b.read())
        self.assertEqual((first, b""), (r.stdout, r.stderr))
        r = subprocess.run(self.argv("audit", "export", "-o", "-"),
                           capture_output=True, timeout=50)
        self.assertEqual(first, r.stdout)

    def test_a_stretch_of_time(self):
        for args, parts, policies, text in (
                (("--since", "2026-11-21"), (21,), (),
                 "before them: 2 files, records 1 to 20"),
                (("--until", "2026-11-11"), (1, 11), POLICIES,
                 "after them: 1 file, records 21 to 30"),
                (("--since", "2026-11-12", "--until", "2026-11-13"), (11,),
                 POLICIES[1:], "after them: 1 file, records 21 to 30"),
                (("--since", "2027-01-01"), (), (),
                 "after them: 3 files, records 1 to 30")):
            self.export(*args)
            found = members(self.tar)
            self.assertEqual(
                [n for n in found if n.startswith(("log", "policies"))],
                ["log/audit.log/audit.log.%020d" % n for n in parts] +
                list(policies))
            self.assertIn("#     left out %s\n" % text,
                          found["MANIFEST"].decode())
            r = self.verify(3)
            self.done(0, "report", "-o", self.path("r.html"), self.tar)
            if parts and parts[0] > 1:
                self.assertIn("an extract, which begins with record %d\n" %
                              parts[0], r.stdout)
            elif not parts:
                self.assertIn("there is no log in this bundle", r.stdout)
        # What lies between is in it: the chain is whole.
        self.a = Log()
        for begin, day in ((1, 1), (11, 20), (21, 1)):
            with open(self.log + ".%020d" % begin, "wb") as f:
                for n in range(10):
                    f.write(self.a.add(
                        "2026-11-%02dT10:00:00" % day,
                        policy=NEW if day == 20 else UNKNOWN).encode())
        os.truncate(self.log, 0)
        self.export("--until", "2026-11-02")
        self.assertEqual(list(members(self.tar))[3:-1],
                         NAMES[3:6] + POLICIES[1:])
        self.verify(3)

    def test_a_log_that_was_pruned(self):
        """What says so, and the seal behind it, are in the bundle."""
        log, path = Log(), self.path("pruned.log")
        for n in range(1, 51):
            time = "2026-11-%02dT%02d:00:00" % (n // 2 + 1, n % 2)
            if n % 10 == 5:
                log.add(time, "seal", epoch=n // 10, key=64 * "0",
                        next=64 * "0")
            elif n == 28:
                log.add(time, "pruned",
                        reason="records 1 to 10: audit-keep is 10d")
            else:
                log.add(time)
        for begin in (0, 10, 20, 30, 40):
            lines = log.lines[begin:begin + 10] if begin else log.lines[4:5]
            with open(path + ("" if begin == 40 else ".%020d" % (
                    begin + 1)), "wb") as f:
                f.write(b"".join(lines))

        def parts(*options):
            self.export(*options, path)
            return [int(name[-20:]) for name in members(self.tar)
                    if name.startswith("log/")]
        self.assertEqual(parts(), [1, 11, 21, 31, 41])
        self.assertEqual(parts("--until", "2026-11-04"), [1, 11, 21, 31])
        # What is pruned is before it.
        self.assertEqual(parts("--since", "2026-11-08", "--until",
                               "2026-11-09"), [11])
        # A name does not say that more was left out than what is before it.
        name = "log/x/x.%020d" % 41
        for lines, begins in ((log.lines[14:], 15), (log.lines[4:5] +
                                                     log.lines[14:27], 5)):
            data = b"".join(lines)
            pack(self.tar, [("MANIFEST", b"%s  %s\n" % (
                hashlib.sha256(data).hexdigest().encode(), name.encode())),
                (name, data)])
            self.assertEqual(begins == 5, "some are missing, and no record "
                             "says" in self.done(4, "audit", "verify",
                                                 self.tar).stdout)

    def test_a_report_on_an_extract(self):
        """It is not the whole log that is verified."""
        self.export("--since", "2026-11-25")
        anchor = "30:" + self.a.prev
        r = self.done(0, "report", "--json", "--anchor", anchor, self.tar)
        self.assertEqual(json.loads(r.stdout)["tables"]["logs"]["rows"][0][
            "result"], "verified up to record 30; an extract, which begins "
            "with record 21")
        r = self.done(0, "report", "--anchor", anchor, self.tar)
        self.assertIn("An extract of a log was read", r.stdout)
        self.export()
        r = self.done(0, "report", "--anchor", anchor, self.tar)
        self.assertNotIn("xtract", r.stdout)

    def test_no_archive(self):
        shutil.rmtree(self.path("state/policies"))
        self.export()
        self.assertIn(b"# policies: none was archived: 30 records name a "
                      b"policy that is not in", members(self.tar)["MANIFEST"])
        self.verify(3)

    def test_a_policy_that_was_changed(self):
        """It is not evidence: not taken, and found in a bundle of others."""
        path = self.write("state/" + POLICIES[0], "# milder")
        r = self.export(status=4)
        self.assertEqual(r.stderr, "popkeep: audit export: %s: it was "
                         "changed: expected the policy with that SHA-256: "
                         "left out\n" % path)
        found = members(self.tar)
        self.assertNotIn(POLICIES[0], found)
        self.assertIn(POLICIES[1], found)
        self.assertIn("# %s: left out: it was changed\n" % POLICIES[0],
                      found["MANIFEST"].decode())
        self.verify(3)
        for name in POLICIES[0], POLICIES[0] + ".conf", "policies/other":
            faked = dict(found, **{name: b"# milder"})
            del faked["MANIFEST"]
            faked["MANIFEST"] = "".join(
                "%s  %s\n" % (hashlib.sha256(faked[n]).hexdigest(), n)
                for n in sorted(faked)).encode()
            pack(self.tar, [(n, faked[n]) for n in ["MANIFEST"] + sorted(
                set(faked) - {"MANIFEST"})])
            self.verify(4, name + ": was changed")

    def test_a_log_that_is_written(self):
        with open(self.log, "ab") as f:
            f.write(b'{"v":1,"seq":31')
        self.export()
        self.assertEqual(members(self.tar)[NAMES[5]], b"".join(
            self.a.lines[20:]))
        # A line that is no record is evidence, too.
        with open(self.log, "ab") as f:
            f.write(b"x" * 100000 + b"\nforged\nno end")
        self.export()
        self.assertTrue(members(self.tar)[NAMES[5]].endswith(
            b"x\nforged\n"))
        r = self.verify(4)
        self.assertIn("is no record any more", r.stdout)
        self.assertNotIn("files of the bundle", r.stdout)

    def test_a_log_that_was_changed(self):
        """Its files stay in their order, and verify tells what is wrong."""
        with open(self.log, "wb") as f:
            f.write(b"".join(self.a.lines[4:8]))
        self.export()
        self.assertEqual(list(members(self.tar))[3:6], NAMES[3:5] + [
            "log/audit.log/audit.log.%020d" % 12])
        self.assertIn(":1: record 5 comes again", self.verify(4).stdout)

    def test_no_log_is_read_twice(self):
        """As a pattern of the shell would have it: figures would be double."""
        segment = self.log + ".%020d" % 11
        for files, name, log in (((self.log, segment), segment, self.log),
                                 ((segment, self.log), segment, self.log),
                                 ((self.log, self.log), self.log, self.log)):
            for command in (["audit", "show"], ["report"],
                            ["audit", "export", "-o", self.tar]):
                r = self.done(2, *command, *files)
                self.assertEqual(r.stderr, "popkeep: %s: %s: expected once: it "
                                 "is read with %s\n" % (" ".join(
                                     command[:2]), name, log))
        self.done(0, "audit", "show", segment, self.log + ".%020d" % 1)

    def test_several_logs(self):
        other = Log("other")
        os.mkdir(self.path("other"))
        for n in range(3):
            other.add("2026-11-0%dT09:00:00" % (n + 1), user="ben")
        second = other.write(self.path("other/audit.log"))
        self.export(second, self.log)
        self.assertEqual([n for n in members(self.tar) if "log/" in n],
                         [n.replace("audit.log", "audit.log-2")
                          for n in NAMES[3:]] + NAMES[3:4])
        r = self.verify(3)
        self.assertEqual(r.stdout.count("a chain of"), 2)
        # They are merged.
        r = self.done(0, "audit", "show", "--json", "--until", "2026-11-02",
                      self.tar)
        self.assertEqual(r.stdout, b"".join(
            (other.lines[0], self.a.lines[0], other.lines[1],
             self.a.lines[1])).decode())
        r = self.done(0, "audit", "show", self.tar)
        self.assertRegex(r.stdout, r"^time \(UTC\) +host ")
        self.assertEqual(r.stdout.count("\n"), 1 + 30 + 3)
        # Each has an end, and is a log of its own in a report.
        r = self.done(0, "audit", "anchor", self.tar)
        self.assertEqual([line.split(":")[1].split("/")[1] for line in
                          r.stdout.splitlines()], ["audit.log-2",
                                                   "audit.log"])
        r = json.loads(self.done(0, "report", "--json", self.tar).stdout)
        self.assertTrue(r["report"]["intact"])
        self.assertEqual([log["lines"] for log in
                          r["tables"]["logs"]["rows"]], [30, 3])
        # What is left out of one is not wanted because of the other.
        self.export("--until", "2026-11-02", self.log, second)
        self.assertEqual([n for n in members(self.tar) if "policies" in n],
                         POLICIES[:1])

    def test_on_another_host(self):
        """In an empty directory, without environment, as nobody."""
        self.export()
        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o755)
            shutil.copy(self.tar, d + "/b.tar")
            os.chmod(d + "/b.tar", 0o444)
            other = dict(user=65534, group=65534, extra_groups=[]) if \
                tool_fixture.ROOT else {}
            tool = shutil.copy(os.path.realpath(self.real_tool()), d + "/t")
            os.chmod(tool, 0o755)
            for how in ("b.tar", "-"):
                with open(d + "/b.tar", "rb") as f:
                    r = subprocess.run([tool, "audit", "verify", how],
                                       cwd=d, env={}, stdin=f, timeout=50,
                                       capture_output=True, text=True,
                                       **other)
                # gcov, where it is linked, may not write as nobody.
                errors = [line for line in r.stderr.splitlines()
                          if not line.startswith("profiling:")]
                self.assertEqual((r.returncode, errors), (3, []), r.stdout)
                self.assertIn(":log/audit.log: intact", r.stdout)
            # From a pipe.
            r = subprocess.run("cat b.tar | ./t audit verify -", shell=True,
                               cwd=d, capture_output=True, text=True,
                               timeout=50)
            self.assertEqual((r.returncode, r.stderr), (3, ""), r.stdout)

    def real_tool(self):
        """libtool may have a script in its place."""
        real = os.path.join(os.path.dirname(tool_fixture.TOOL), ".libs",
                            "popkeep")
        return real if os.path.exists(real) else tool_fixture.TOOL

    def test_each_member_flipped(self):
        self.export()
        with open(self.tar, "rb") as f:
            whole = f.read()
        with tarfile.open(self.tar) as t:
            infos = [(m.name, m.offset_data, m.size) for m in t]
        for name, offset, size in infos:
            for at in {0, size // 2, size - 1}:
                data = bytearray(whole)
                data[offset + at] ^= 1
                with open(self.path("flipped"), "wb") as f:
                    f.write(data)
                r = self.done(4, "audit", "verify", self.path("flipped"))
                self.assertIn("CHANGED", r.stdout)
                if name != "MANIFEST":
                    self.assertIn("flipped:%s: was changed\n" % name,
                                  r.stdout)

    def test_members_that_differ(self):
        self.export()
        whole = list(members(self.tar).items())
        changed = self.path("changed.tar")

        def found(entries, *expected):
            r = self.verify(4, *expected, tar=pack(changed, entries))
            self.assertIn("CHANGED: %d finding" % len(expected) if expected
                          else "CHANGED", r.stdout)
            self.assertRegex(r.stdout + r.stderr, r"\A[\n -~]*\Z")
            return r
        # As they are, it is fine, whoever has made the tar.
        self.verify(3, tar=pack(changed, whole))
        for n, (name, _) in enumerate(whole[1:], 1):
            if name.startswith("log/"):
                self.verify(4, name + ": is missing",
                            tar=pack(changed, whole[:n] + whole[n + 1:]))
            else:
                found(whole[:n] + whole[n + 1:], name + ": is missing")
        found(whole + [("zzz", b"x")], "zzz: is not in the MANIFEST")
        found(whole + [("versions.json", b"x")],
              "versions.json: comes again, or is not in its place")
        found(whole[:3] + [whole[4], whole[3]] + whole[5:],
              NAMES[3] + ": comes again, or is not in its place",
              NAMES[3] + ": is missing")
        self.assertIn("MANIFEST: is missing", found(whole[1:]).stdout)
        self.assertIn("MANIFEST: is missing",
                      found(whole[1:2] + whole[:1] + whole[2:]).stdout)
        for bad, shown in (
                ("../../etc/passwd", None), ("/etc/passwd", None),
                ("log/../x/y", None), ("log//x", None), ("log/x/.y", None),
                ("log/x\x1b[2J/y", "log/x%1B[2J/y"), ("é", None)):
            listed = [("MANIFEST", whole[0][1] + b"%s  %s\n" % (
                hashlib.sha256(b"x").hexdigest().encode(), bad.encode()))]
            r = found(listed + whole[1:] + [(bad, b"x")])
            if shown is None:
                shown = bad if bad.isascii() else ""
            self.assertIn(shown + ": is not in the MANIFEST", r.stdout)
        found([("MANIFEST", whole[0][1] + b"\0" + whole[0][1])] + whole[1:],
              "MANIFEST: was changed")
        # A hole before what the MANIFEST has.
        info = tarfile.TarInfo(NAMES[3])
        info.size = len(whole[3][1])
        info.pax_headers = {
            "GNU.sparse.map": "1048576,%d" % info.size,
            "GNU.sparse.size": "%d" % (1048576 + info.size)}
        with tarfile.open(changed, "w", format=tarfile.PAX_FORMAT) as t:
            for name, data in whole:
                i = info if name == NAMES[3] else tarfile.TarInfo(name)
                i.size = len(data)
                t.addfile(i, io.BytesIO(data))
        self.verify(4, NAMES[3] + ": was changed", tar=changed)
        # What is no file is not followed.
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE,
                     tarfile.CHRTYPE, tarfile.FIFOTYPE):
            for n in (1, 3):
                info = tarfile.TarInfo(whole[n][0])
                info.type = kind
                info.linkname = self.secret
                # A directory is called so with a slash.
                r = self.verify(4, whole[n][0] + (
                    ": is missing" if kind == tarfile.DIRTYPE else
                    ": was changed"), tar=pack(
                    changed, whole[:n] + [(None, info)] + whole[n + 1:]))
                self.assertNotIn("not to be read", r.stdout)

    def test_a_damaged_tar(self):
        self.export()
        with open(self.tar, "rb") as f:
            whole = f.read()
        for length in range(600, len(whole) - 10240, 1999):
            with open(self.path("cut"), "wb") as f:
                f.write(whole[:length])
            r = self.done(4, "audit", "verify", self.path("cut"))
            self.assertIn("CHANGED", r.stdout)
        with open(self.path("cut"), "wb") as f:
            f.write(whole[:whole.index(self.a.lines[5])])
        self.failed(1, "it is a tar, and damaged", "audit", "show",
                    self.path("cut"))
        self.failed(1, "it is a tar, and damaged", "audit", "anchor",
                    self.path("cut"))
        with open(self.path("cut"), "wb") as f:
            f.write(whole[:512] + b"\xff" * 20000)
        self.verify(4, tar=self.path("cut"))

    def verify_in_bounds(self, path):
        """Something is wrong with it, and it takes little to say so."""
        p = subprocess.Popen(self.argv("audit", "verify", path), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = p.stdout.read()
        p.stdout.close()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(p.returncode, 4, said)
        # In KB; 16 MB of a MANIFEST, more with a sanitizer.
        self.assertLess(usage.ru_maxrss, 200000)
        return said

    def test_huge_members(self):
        """Sizes that are not there, holes and many headers take no memory."""
        self.export()
        whole = list(members(self.tar).items())
        huge = tarfile.TarInfo("README.txt")
        huge.size = 1 << 62
        path = self.path("huge.tar")
        with open(path, "wb") as f:
            info = tarfile.TarInfo("MANIFEST")
            info.size = len(whole[0][1])
            f.write(info.tobuf() + whole[0][1] +
                    bytes(-info.size % 512))
            f.write(huge.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000)
        self.verify_in_bounds(path)
        # A file of one octet that says that it has 4 EiB of nothing.
        hole = tarfile.TarInfo(NAMES[3])
        hole.size = 512
        hole.pax_headers = {"GNU.sparse.map": "%d,512" % (1 << 62),
                            "GNU.sparse.size": "%d" % ((1 << 62) + 512)}
        with open(path, "wb") as f:
            f.write(info.tobuf() + whole[0][1] + bytes(-info.size % 512) +
                    hole.tobuf(tarfile.PAX_FORMAT) + b"x" * 512 +
                    bytes(1024))
        self.verify_in_bounds(path)
        # A MANIFEST without end, and long names one after the other.
        with open(path, "wb") as f:
            info.size = 400 << 20
            f.write(info.tobuf())
            f.truncate(info.size + 1024)
        self.assertIn(path + ":MANIFEST: was changed\n",
                      self.verify_in_bounds(path))
        long = tarfile.TarInfo("././@LongLink")
        long.type = tarfile.GNUTYPE_LONGNAME
        long.size = 10
        with open(path, "wb") as f:
            for _ in range(100000):
                f.write(long.tobuf(tarfile.GNU_FORMAT) + bytes(512))
        self.verify_in_bounds(path)

    def test_never_half(self):
        self.write("bundle.tar", "what was there")
        os.unlink(self.log)
        self.failed(1, "audit.log: No such file", "audit", "export", "-o",
                    self.tar)
        os.mkdir(self.log)
        self.failed(1, "audit.log: ", "audit", "export", "-o", self.tar)
        os.rmdir(self.log)
        self.a.write(self.log)
        if not tool_fixture.ROOT:
            os.chmod(self.path("state/policies"), 0)
            self.failed(1, "policies: Permission denied", "audit", "export",
                        "-o", self.tar)
            os.chmod(self.path("state/policies"), 0o755)
        with open(self.tar) as f:
            self.assertEqual(f.read(), "what was there")
        # No room in the midst of it.
        r = subprocess.run(["sh", "-c", "ulimit -f 8; trap '' XFSZ; "
                            "exec \"$@\"", "sh"] +
                           self.argv("audit", "export", "-o", self.tar),
                           capture_output=True, text=True, timeout=50)
        self.assertEqual(r.returncode, 1)
        self.assertIn("File too large", r.stderr)
        with open("/dev/full", "w") as full:
            r = subprocess.run(self.argv("audit", "export"), stdout=full,
                               stderr=subprocess.PIPE, text=True, timeout=50)
        self.assertEqual(r.returncode, 1)
        self.assertIn("No space left on device", r.stderr)
        with open(self.tar) as f:
            self.assertEqual(f.read(), "what was there")
        self.assertEqual([n for n in os.listdir(self.dir)
                          if n.startswith("bundle")], ["bundle.tar"])
        self.failed(1, "no-such/b.tar: No such file or directory", "audit",
                    "export", "-o", self.path("no-such/b.tar"))

    def test_what_is_no_file_is_not_replaced(self):
        """Root could replace /dev/null."""
        for make in os.mkfifo, lambda p: os.symlink("secret", p):
            path = self.path("to")
            make(path)
            before = os.lstat(path)
            self.failed(1, path + ": expected a regular file, or none",
                        "audit", "export", "-o", path)
            self.assertEqual(os.lstat(path), before)
            os.unlink(path)

    def test_usage(self):
        self.failed(2, "-: expected a file", "audit", "export", "-o",
                    self.tar, "-")
        self.failed(2, "--since x: expected a day or a time", "audit",
                    "export", "-o", self.tar, "--since", "x")
        self.failed(2, "usage", "audit", "export", "--to", "x")
        self.export()
        self.failed(1, "it is a bundle: expected a log", "audit", "export",
                    "-o", self.path("b"), self.tar)
        with open(self.tar) as f:
            r = subprocess.run(self.argv("audit", "show", "-"), stdin=f,
                               capture_output=True, text=True, timeout=50)
        self.assertEqual(r.returncode, 1)
        self.assertIn("-: expected a bundle to be a file", r.stderr)


class Real(Policyd):
    def test_seals(self):
        """The keys of all seals; and the first of them proves the bundle."""
        self.done(0, "audit", "setup")
        self.stop()
        self.start()
        self.stop()
        tar = self.path("b.tar")
        self.done(0, "audit", "export", "-o", tar)
        keys = json.loads(members(tar)["keys.json"])
        self.assertGreaterEqual(len(keys), 2)
        self.assertEqual([k["epoch"] for k in keys], list(range(len(keys))))
        self.assertEqual([k["next"] for k in keys[:-1]],
                         [k["key"] for k in keys[1:]])
        self.assertEqual(keys[0]["log"], "audit.log")
        # What groups had as members, as policyd has archived it.
        groups = b"staff\nstaff\tann\n"
        name = hashlib.sha256(groups).hexdigest()
        self.write("state/policies/" + name, groups.decode())
        log = Log()
        log.add("2026-11-01T10:00:00", "policy", reason="groups: " + name)
        self.done(0, "audit", "export", "-o", self.path("g.tar"), log.write(
            self.path("g.log")))
        self.assertEqual(members(self.path("g.tar"))["policies/" + name],
                         groups)
        # The policy in force, as policyd has archived it.
        policy = self.records()[-1]["policy"]
        self.assertEqual(hashlib.sha256(members(tar)[
            "policies/" + policy]).hexdigest(), policy)
        r = self.done(0, "audit", "verify", "--key", keys[0]["key"], tar)
        self.assertIn(":log/audit.log: verified up to record ", r.stdout)
        self.done(4, "audit", "verify", "--key", 64 * "1", tar)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
