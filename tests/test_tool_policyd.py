#!/usr/bin/env python3
"""The commands of popkeep with popkeep-policyd, which is beside the tool.

The tool is the first argument, or standalone/popkeep.
"""
import fcntl
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

import tool_fixture
from tool_fixture import DAY, POLICY, Policyd

F_OFD_SETLK = 37


class Sweep(Policyd):
    # ---- explain

    def test_explain(self):
        old, = self.mail("ann", 1, 40)
        new, = self.mail("ann", 1, 1)
        e = self.explain("ann")
        self.assertEqual(e["user"], "ann")
        self.assertEqual(e["rule"]["name"], "old")
        self.assertEqual((e["rule"]["acts"], e["rule"]["dry_run"],
                          e["rule"]["braked"], e["rule"]["effective_from"]),
                         (True, False, False, None))
        self.assertIn("policy.conf:1: users: ann", e["rule"]["why"])
        self.assertEqual((e["holds"], e["retained"], e["last_login"]),
                         ([], [], None))
        self.assertRegex(e["facts_since"], r"\A20\d\d-.*Z\Z")
        by = {m["uidl"]: m for m in e["messages"]}
        self.assertEqual(set(by), {old, new})
        self.assertEqual([by[old][k] for k in (
            "verdict", "reason", "would", "downloaded", "read",
            "unconfirmed", "changes")], ["dispose", "after-delivery",
                                         "dispose", None, None, 0, None])
        self.assertEqual(by[old]["size"], 12 + len(old) + 1)
        self.assertEqual([by[new][k] for k in (
            "verdict", "reason", "next", "next_reason")],
            ["keep", "none", "dispose", "after-delivery"])
        self.assertEqual((by[old]["next"], by[old]["next_reason"]),
                         (None, None))
        due = time.strftime("%Y-%m-%dT", time.gmtime(
            int(new.split(".")[0]) + 30 * DAY))
        self.assertTrue(by[new]["changes"].startswith(due), by[new])
        self.assertEqual([m["uidl"] for m in self.explain("ann", new)[
            "messages"]], [new])
        self.failed(1, "no message has this unique-id", "explain", "ann", "x")
        text = self.done(0, "explain", "ann").stdout
        self.assertRegex(text, old + r" +dispose +after-delivery +-")
        self.assertRegex(text, new + r" +keep +\(after-delivery\) +2")
        self.assertNotIn("\nretained", text)

    def test_who_reads_slowly_locks_nobody_out(self):
        self.mail("ann", 1500, 1)
        self.done(0, "explain", "--json", "ann")
        self.mail("ann", 1500, 1, "popkeep-retained/new")
        for name in ("tmp", "cur"):
            os.mkdir(self.path("mail/ann/popkeep-retained", name))
        self.own()
        for args in (("explain", "--json", "ann"),
                     ("retained", "list", "--json", "ann")):
            p = subprocess.Popen(self.argv(*args), stdout=subprocess.PIPE)
            self.assertTrue(select.select([p.stdout], [], [], 20)[0])
            for place in ("Maildir", "popkeep-retained"):
                lock = self.path("mail/ann", place, "popkeep.lock")
                with open(lock, "r+b") as f:
                    fcntl.fcntl(f, F_OFD_SETLK, struct.pack(
                        "hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            got = json.loads(p.communicate()[0])
            got = got["retained"] if args[0] == "explain" else got
            self.assertEqual((len(got), p.returncode), (1500, 0))

    def test_explain_does_not_guess_why(self):
        self.mail("ann", 1, 1)
        self.assertIsNotNone(self.explain("ann")["rule"]["why"])
        self.policy("# not what is in force\n" + POLICY)
        self.assertIsNone(self.explain("ann")["rule"]["why"])

    def test_explain_says_why_nothing_happens(self):
        self.mail("ann", 1, 40)
        self.change("mode = dry-run\n" + POLICY)
        e = self.explain("ann")
        self.assertTrue(e["rule"]["dry_run"] and not e["rule"]["acts"])
        self.assertEqual((e["messages"][0]["verdict"],
                          e["messages"][0]["would"]), ("keep", "dispose"))
        self.assertIn("(dispose)", self.done(0, "explain", "ann").stdout)
        self.change("mode = dry-run\n" + POLICY.replace(
            "30d", "30d\" effective-from = \"2031-01-02"))
        self.assertEqual(self.explain("ann")["rule"]["effective_from"],
                         "2031-01-02T00:00:00Z")
        self.change(POLICY.replace("30d", "20d"), accept=False)
        self.assertTrue(self.explain("ann")["rule"]["braked"])

    def test_explain_without_a_rule(self):
        os.makedirs(self.path("mail/cid/Maildir/cur"))
        for name in ("new", "tmp"):
            os.makedirs(self.path("mail/cid/Maildir", name))
        self.own()
        self.assertIsNone(self.explain("cid")["rule"])

    def test_explain_changes_nothing(self):
        self.mail("ann", 3, 40)
        before = self.files("mail"), len(self.records())
        self.explain("ann")
        self.assertEqual((self.files("mail"), len(self.records())), before)

    def lock(self, user):
        self.run_tool("explain", user)
        f = open(self.path("mail", user, "Maildir/popkeep.lock"), "r+b")
        fcntl.fcntl(f, F_OFD_SETLK, struct.pack(
            "hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        return f

    def test_busy(self):
        self.mail("ann", 2, 40)
        f = self.lock("ann")
        self.failed(1, "IN-USE", "explain", "ann")
        self.failed(1, "IN-USE", "retained", "purge", "ann", "--all")
        self.mail("ben", 2, 40)
        r = self.done(3, "sweep", "--all")
        self.assertIn("ann: skipped: a session has the lock", r.stdout)
        self.assertIn("ben: 2 disposed of", r.stdout)
        self.assertEqual(len(self.uids("ann")), 2)
        f.close()
        self.assertIn("ann: 2 disposed of",
                      self.done(0, "sweep", "--all").stdout)

    def test_sweep_goes_on_with_a_new_policyd(self):
        old = self.mail("ann", 2, 40)
        f = self.lock("ann")
        self.mail("ben", 2, 40)
        p = subprocess.Popen(self.argv("sweep", "--all"), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # It has a connection for itself, and one for the next mailbox.
        end = time.monotonic() + 20
        while len(self.records("disposed")) < 2:
            self.assertLess(time.monotonic(), end)
        self.stop()
        self.start()
        f.close()
        out, err = p.communicate(timeout=50)
        self.assertEqual(p.returncode, 0, out + err)
        self.assertIn("ann: 2 disposed of\n", out)
        self.assertIn("3 mailboxes: 4 disposed of", out)
        self.assertEqual(sorted(x["uidl"] for x in self.records("disposed")
                                if x["user"] == "ann"), sorted(old))
        sweep, = self.totals()
        self.assertIn("mailboxes=3 disposed=4", sweep["reason"])

    def test_busy_for_a_while(self):
        self.mail("ann", 2, 40)
        f = self.lock("ann")
        sweep = subprocess.Popen(self.argv("sweep", "--all"),
                                 stdout=subprocess.PIPE)
        time.sleep(0.5)
        f.close()
        out = sweep.communicate(timeout=30)[0]
        self.assertEqual(sweep.returncode, 0)
        self.assertIn(b"ann: 2 disposed of", out)
        self.assertIn(b"3 mailboxes: ", out)

    # ---- sweep

    def totals(self):
        return [r for r in self.records("sweep") if "rule" not in r]

    def overdue(self):
        """What the last sweep of all recorded of each rule, before its totals."""
        records = self.records("sweep")
        self.assertNotIn("rule", records[-1])
        self.assertIn(" scope=all ", records.pop()["reason"])
        found = {}
        while records and "rule" in records[-1]:
            record = records.pop()
            found[record["rule"]] = dict(
                (k, int(v)) for k, v in re.findall(r"(\w+)=(\d+)",
                                                   record["reason"]))
        return found

    def test_sweep_tells_what_it_left(self):
        self.mail("ann", 21, 40)
        self.mail("ann", 1, 1)
        self.mail("ben", 5, 40)
        self.done(3, "sweep", "--all")
        left = self.overdue()["old"]
        self.assertEqual(left["overdue"], 21)
        # Due after 30 days, and delivered 40 days ago, or a little more.
        self.assertTrue(0 <= left["oldest"] - 10 * DAY < DAY, left)
        before = len(self.records("sweep"))
        self.done(0, "sweep", "--user", "ann", "--force")
        # It is not a sweep of all.
        self.assertEqual(len(self.records("sweep")), before + 1)
        self.assertNotIn("scope", self.totals()[-1]["reason"])
        self.done(0, "sweep", "--all")
        self.assertEqual(self.overdue()["old"], {"overdue": 0, "oldest": 0})

    def test_sweep_disposes_and_records(self):
        old = self.mail("ann", 3, 40)
        new = self.mail("ann", 2, 1)
        r = self.done(0, "sweep", "--user", "ann")
        self.assertEqual(r.stdout, "ann: 3 disposed of\n1 mailboxes: 3 "
                         "disposed of, 0 retained, 0 purged\n")
        self.assertEqual(r.stderr, "")
        self.assertEqual(self.uids("ann"), sorted(new))
        got = [(x["event"], x.get("uidl"), x.get("reason"), x.get("user"),
                x.get("rule")) for x in self.records()]
        for uid in old:
            intent = ("dispose-intent", uid, "after-delivery", "ann", "old")
            self.assertLess(got.index(intent), got.index(
                ("disposed",) + intent[1:]))
        sweeps = self.records("sweep")
        self.assertEqual(len(sweeps), 1)
        self.assertIn("mailboxes=1 disposed=3 retained=0",
                      sweeps[0]["reason"])
        self.assertIn("by ", sweeps[0]["reason"])

    def test_sweep_tells_what_it_could_not_remove(self):
        self.mail("ann", 2, 31)
        os.chmod(self.path("mail/ann/Maildir/new"), 0o500)
        self.done(1, "sweep", "--all")
        left = self.overdue()["old"]
        self.assertEqual(left["overdue"], 2)
        self.assertTrue(0 <= left["oldest"] - DAY < DAY, left)
        os.chmod(self.path("mail/ann/Maildir/new"), 0o700)
        self.done(0, "sweep", "--all")
        self.assertEqual(self.overdue()["old"]["overdue"], 0)

    def test_sweep_dry_run_changes_nothing(self):
        old, = self.mail("ann", 1, 40)
        before = self.files("mail"), len(self.records())
        r = self.done(0, "sweep", "--all", "--dry-run")
        self.assertIn("ann: would dispose of %s (after-delivery)\n" % old,
                      r.stdout)
        self.assertIn("ann: would be: 1 disposed of\n", r.stdout)
        self.assertEqual((self.files("mail"), len(self.records())), before)

    def test_sweep_dry_run_rule_is_recorded(self):
        old = self.mail("ann", 2, 40)
        self.change("mode = dry-run\n" + POLICY)
        self.done(0, "sweep", "--all")
        self.assertEqual(self.uids("ann"), sorted(old))
        self.assertEqual(sorted(x["uidl"] for x in self.records(
            "would-dispose")), sorted(old))

    def test_sweep_brake(self):
        self.mail("ann", 21, 40)
        few = self.mail("ben", 20, 40)
        r = self.done(3, "sweep", "--all")
        self.assertIn("ann: skipped: brake: ", r.stdout)
        self.assertIn("ben: 20 disposed of", r.stdout)
        self.assertEqual((len(self.uids("ann")), self.uids("ben")), (21, []))
        self.assertEqual(len(few), 20)
        brake, = self.records("brake")
        self.assertEqual((brake["user"], brake["rule"]), ("ann", "old"))
        self.done(3, "sweep", "--user", "ann", "--dry-run")
        self.assertEqual(len(self.records("brake")), 1)
        self.done(0, "sweep", "--user", "ann", "--force")
        self.assertEqual(self.uids("ann"), [])

    def test_sweep_takes_many_users(self):
        self.mail("ann", 1, 40)
        self.mail("ben", 1, 40)
        r = self.done(0, "sweep", "--user", "ben", "ann", "--dry-run",
                      "--user", "cid")
        self.assertIn("3 mailboxes, would be: 2 disposed of", r.stdout)

    def test_sweep_brake_is_a_share(self):
        self.mail("ann", 30, 40)
        self.mail("ann", 30, 1)
        self.assertIn("30 disposed of",
                      self.done(0, "sweep", "--user", "ann").stdout)
        self.mail("ann", 31, 40)
        self.done(3, "sweep", "--user", "ann")

    def test_sweep_fails_for_some(self):
        with open(self.path("users"), "a") as f:
            f.write("dan:%d:%d:%s:new\n" % (self.uid, self.gid,
                                            self.path("mail/dan")))
        self.mail("ann", 1, 40)
        r = self.failed(1, "user dan: the users file names a rule that does "
                        "not exist", "sweep", "--all")
        self.assertIn("ann: 1 disposed of", r.stdout)
        self.failed(1, "user eve: no such user", "sweep", "--user", "eve",
                    "--user", "ben")

    def test_sweep_needs_records(self):
        old = self.mail("ann", 1, 40)
        self.policyd.send_signal(signal.SIGSTOP)
        try:
            r = self.done(1, "sweep", "--user", "ann")
        finally:
            self.policyd.send_signal(signal.SIGCONT)
        self.assertIn("no answer in time", r.stderr)
        self.assertEqual(self.uids("ann"), old)

    def test_sweep_survives_its_reader(self):
        self.mail("ann", 1, 40)
        self.mail("ben", 1, 40)
        read, write = os.pipe()
        os.close(read)
        r = subprocess.run(self.argv("sweep", "--all"),
                           stdout=write, stderr=subprocess.PIPE, timeout=50)
        os.close(write)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(self.uids("ann") + self.uids("ben"), [])
        self.assertEqual(len(self.totals()), 1)

    def test_sweep_removes_doubles(self):
        self.done(0, "hold", "add", "h", "--user", "ann")
        same, other = self.mail("ann", 2, 1)
        for uid, text in ((same, None), (other, "From: a\n\nX%s\n" %
                                         other[1:])):
            for name in ("tmp", "new", "cur"):
                os.makedirs(self.path("mail/ann/popkeep-retained", name),
                            exist_ok=True)
            to = self.path("mail/ann/popkeep-retained/cur", uid + ":2,S")
            shutil.copy(self.path("mail/ann/Maildir/new", uid), to)
            if text is not None:
                with open(to, "w") as f:
                    f.write(text)
        self.own()
        r = self.done(0, "sweep", "--user", "ann")
        self.assertIn("ann: 1 doubles removed", r.stdout)
        self.assertEqual(self.uids("ann"), [other])
        self.assertEqual(self.retained("ann"), sorted([same, other]))
        got = [(x["event"], x["uidl"]) for x in self.records(
            "dispose-intent", "retained", "closed-unknown")]
        self.assertEqual(got, [
            ("dispose-intent", same), ("dispose-intent", other),
            ("retained", same), ("closed-unknown", other)])

    def test_sweep_decides_anew_without_doubles(self):
        held, = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        name, = os.listdir(self.path("mail/ann/popkeep-retained/cur"))
        shutil.copy(self.path("mail/ann/popkeep-retained/cur", name),
                    self.path("mail/ann/Maildir/cur", name))
        self.own()
        r = self.done(0, "sweep", "--user", "ann")
        self.assertIn("ann: 1 doubles removed\n", r.stdout)
        self.assertEqual((self.uids("ann"), self.retained("ann")),
                         ([], [held]))
        self.assertEqual(self.records("vanished"), [])

    def test_sweep_closes_what_was_interrupted(self):
        gone = self.mail("ann", 2, 40)
        self.done(0, "sweep", "--all")
        self.crash()
        self.done(0, "sweep", "--all", "--dry-run")
        self.assertEqual(self.records("closed-unknown"), [])
        r = self.done(0, "sweep", "--all")
        self.assertIn("ann: 2 interrupted before, closed", r.stdout)
        self.assertEqual(sorted((x["uidl"], x["reason"]) for x in self.records(
            "closed-unknown")), sorted((u, "interrupted: the message is gone")
                                       for u in gone))
        self.assertNotIn("closed", self.done(0, "sweep", "--all").stdout)

    def test_sweep_completes_what_was_interrupted(self):
        self.done(0, "hold", "add", "h", "--user", "ann")
        held = self.mail("ann", 2, 40)
        self.done(0, "sweep", "--all")
        self.crash()
        # One of them had not been moved yet.
        for name in os.listdir(self.path("mail/ann/popkeep-retained/cur")):
            if name.startswith(held[0]):
                os.rename(self.path("mail/ann/popkeep-retained/cur", name),
                          self.path("mail/ann/Maildir/cur", name))
        self.done(0, "sweep", "--all")
        self.assertEqual(self.retained("ann"), sorted(held))
        got = [(x["event"], x["uidl"]) for x in self.records(
            "retained", "closed-unknown")]
        self.assertIn(("retained", held[1]), got)
        self.assertEqual([g for g in got if g[1] == held[0]],
                         [("closed-unknown", held[0]), ("retained", held[0])])

    def test_restore_is_completed(self):
        held, = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        self.done(0, "retained", "restore", "ann", held)
        self.crash()
        self.done(0, "retained", "purge", "ann", "--all")
        self.assertEqual([(x["event"], x["uidl"]) for x in self.records(
            "restored", "closed-unknown")], [("restored", held)])

    def test_sweep_follows_templates(self):
        for names, template, expected in (
                (("a.example/x", "a.example/y", "b.example/x"), "%d/%n",
                 ["x@a.example", "x@b.example", "y@a.example"]),
                (("x", "y@b.example", "z+tag", ".hidden"), "%u",
                 ["x", "y@b.example", "z+tag"]),
                (("p-x-s", "p-y", "q-x-s"), "p-%n-s", ["x"]),
                (("e/x@e", "e/x@f", "f/y@f"), "%d/%u", ["x@e", "y@f"]),
                (("a/x@b", "b/x@b"), "%d/%n@%d", ["x@b"]),
                (("%/x",), "%%/%n", ["x"]),
                (("x", "x+y", "X"), "%n", ["x"])):
            shutil.rmtree(self.path("tree"), ignore_errors=True)
            for name in names:
                for sub in ("new", "cur", "tmp"):
                    os.makedirs(self.path("tree", name, "Maildir", sub))
            os.makedirs(self.path("tree/zz/nothing"))
            self.configure(users_file=None, virtual_uid=self.uid,
                           virtual_gid=self.gid,
                           home=self.path("tree") + "/" + template,
                           detail_separator="+" if names[-1] == "X" else "",
                           fold_case="true" if names[-1] == "X" else "false")
            self.change('retention "all" { after-delivery = "never" }\n'
                        'hold "h" { users = { "*" } }\n')
            r = self.done(0, "sweep", "--all", "--dry-run")
            self.assertIn("%d mailboxes" % len(expected), r.stdout, template)
            self.assertEqual(r.stderr, "")
        self.configure(users_file=None, virtual_uid=self.uid,
                       virtual_gid=self.gid, home=self.path("tree") + "/%d")
        self.failed(1, "who the users are", "sweep", "--all")

    # ---- holds and what is retained

    def test_hold_in_force(self):
        old = self.mail("ann", 2, 40)
        r = self.done(0, "hold", "add", "h", "--user", "ann", "--note", "why")
        self.assertEqual(r.stdout, "hold h is in force\n")
        self.assertEqual(self.explain("ann")["holds"], ["h"])
        hold, = self.records("hold")
        self.assertRegex(hold["reason"], r"\Ahold:h by .*\(uid \d+.*\): why\Z")
        self.done(0, "sweep", "--all")
        self.assertEqual((self.uids("ann"), self.retained("ann")),
                         ([], sorted(old)))
        e = self.explain("ann")
        self.assertEqual(e["messages"], [])
        self.assertEqual({(m["verdict"], m["reason"]) for m in e["retained"]},
                         {("keep", "hold:h")})
        self.assertEqual(json.loads(self.done(
            0, "retained", "list", "--json", "ann").stdout), e["retained"])
        self.assertIn("\nretained:\n", self.done(0, "explain", "ann").stdout)

        self.failed(1, old[0] + ": kept: hold:h", "retained", "purge", "ann",
                    old[0])
        self.done(0, "retained", "purge", "ann", "--all")
        self.assertEqual(self.retained("ann"), sorted(old))

        r = self.done(0, "hold", "release", "h", "--note", "over")
        self.assertIn("purged by the next", r.stdout)
        release, = self.records("release")
        self.assertIn(": over", release["reason"])
        self.done(0, "retained", "purge", "ann", old[0])
        self.assertEqual(self.retained("ann"), [old[1]])
        self.done(0, "sweep", "--all")
        self.assertEqual(self.retained("ann"), [])
        self.assertEqual([(x["event"], x["uidl"]) for x in self.records(
            "purged")], [("purged", u) for u in old])

    def test_hold_release_needs_a_policyd_that_answers(self):
        self.done(0, "hold", "add", "h", "--user", "ann")
        before = self.files("etc")
        self.policyd.send_signal(signal.SIGSTOP)
        try:
            self.failed(1, "not released: nothing was changed", "hold",
                        "release", "h")
        finally:
            self.policyd.send_signal(signal.SIGCONT)
        self.assertEqual(self.files("etc"), before)
        self.assertEqual(self.records("release"), [])

    def limit(self, *args):
        """The limit for a note that is too long, as the tool says it."""
        r = self.failed(2, "--note: expected at most ", *args, "--note",
                        "x" * 1000)
        limit = int(r.stderr.split("at most ")[1].split()[0])
        self.assertGreater(limit, 100)
        self.failed(2, "--note: expected at most %d octets" % limit, *args,
                    "--note", "x" * (limit + 1))
        return limit

    def test_notes_are_recorded_whole(self):
        limits = []
        for name in ("h", "h" * 40):
            limit = self.limit("hold", "add", name, "--user", "ann")
            self.done(0, "hold", "add", name, "--user", "ann", "--note",
                      "y" * (limit - 1) + "z")
            self.assertTrue(self.records("hold")[-1]["reason"].endswith(
                "yz"))
            limits.append(limit)
            self.assertEqual(self.limit("hold", "release", name), limit)
            self.done(0, "hold", "release", name, "--note",
                      "y" * (limit - 1) + "z")
            self.assertTrue(self.records("release")[-1]["reason"].endswith(
                "yz"))
        self.assertEqual(limits[0] - limits[1], 39)
        for what in ("accept", "reload"):
            limit = self.limit("policy", what)
            self.done(0, "policy", what, "--note", "y" * (limit - 1) + "z")
            self.assertTrue(self.records("policy")[-1]["reason"].endswith(
                "yz"))

    def test_hold_release_sweeps_its_users(self):
        self.mail("ann", 1, 40)
        self.mail("ben", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "an?")
        self.done(0, "sweep", "--user", "ann")
        self.policy("", "policy.d/50.conf")
        r = self.done(0, "hold", "release", "h", "--sweep")
        self.assertEqual(list(self.files("etc/policy.d")), [
            self.path("etc/policy.d/50.conf")])
        self.assertIn("ann: 1 purged", r.stdout)
        self.assertEqual((self.retained("ann"), len(self.uids("ben"))),
                         ([], 1))

    def test_retained_restore(self):
        old = self.mail("ann", 3, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        self.failed(1, "x: it is not retained", "retained", "restore", "ann",
                    "x", old[0])
        self.assertEqual((self.uids("ann"), self.retained("ann")),
                         ([old[0]], sorted(old[1:])))
        self.done(0, "retained", "restore", "ann", "--all")
        self.assertEqual((self.uids("ann"), self.retained("ann")),
                         (sorted(old), []))
        self.assertEqual([(x["event"], x["reason"]) for x in self.records(
            "restored", "dispose-intent")][-6:],
            [("dispose-intent", "restore"), ("restored", "restore")] +
            [("dispose-intent", "restore")] * 2 +
            [("restored", "restore")] * 2)
        self.failed(1, "it is not retained", "retained", "restore", "ben",
                    old[0])
        self.failed(1, "it is not retained", "retained", "purge", "ben",
                    old[0])

    def test_retained_restore_of_many(self):
        """More than a packet has room for, and in no more time than needed."""
        self.done(0, "explain", "ann")
        old = self.mail("ann", 2000, 40, "popkeep-retained/new")
        for name in ("tmp", "cur"):
            os.mkdir(self.path("mail/ann/popkeep-retained", name))
        self.own()
        r = self.done(0, "retained", "restore", "ann", "--all")
        self.assertEqual(sorted(r.stdout.splitlines()), sorted(
            u + ": restored" for u in old))
        self.assertEqual((self.uids("ann"), self.retained("ann")),
                         (sorted(old), []))
        got = [x["event"] for x in self.records("dispose-intent", "restored")]
        self.assertEqual((got.count("dispose-intent"), got.count("restored")),
                         (2000, 2000))
        turns = sum(a != b for a, b in zip(got, got[1:]))
        self.assertTrue(3 <= turns < 100, turns)

    def test_retained_restore_names_what_is_not_restored(self):
        self.mail("ann", 1, 1)
        self.done(0, "explain", "ann")
        old = self.mail("ann", 3, 40, "popkeep-retained/new")
        for name in ("tmp", "cur"):
            os.mkdir(self.path("mail/ann/popkeep-retained", name))
        self.own()
        shutil.rmtree(self.path("mail/ann/Maildir/tmp"))
        self.write("mail/ann/Maildir/tmp", "")
        r = self.done(1, "retained", "restore", "ann", "--all")
        self.assertEqual(r.stderr.splitlines(), [
            "popkeep: user ann: %s: not restored: tmp: Not a directory" % u
            for u in old])
        self.assertEqual(self.retained("ann"), sorted(old))
        self.assertEqual([(x["event"], x["reason"]) for x in self.records(
            "closed-unknown")], [("closed-unknown", "not carried out: the "
                                  "message is retained still")] * 3)

    def test_retained_purge_obeys_a_rule_that_does_not_act(self):
        old = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        self.change("mode = dry-run\n" + POLICY)
        self.done(0, "hold", "release", "h")
        self.failed(1, "kept: the rule does not act now", "retained", "purge",
                    "ann", old[0])
        self.assertEqual(self.retained("ann"), old)

    def test_retained_without_a_maildir(self):
        old = self.mail("ann", 3, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        shutil.rmtree(self.path("mail/ann/Maildir"))
        self.failed(1, old[0] + ": kept: hold:h", "retained", "purge", "ann",
                    old[0])
        self.done(0, "hold", "release", "h")
        self.assertEqual([m["verdict"] for m in json.loads(self.done(
            0, "retained", "list", "--json", "ann").stdout)],
            ["dispose"] * 3)
        for args in ((old[0],), ("--all",)):
            r = self.failed(1, "there is no Maildir " + self.path(
                "mail/ann/Maildir") + "\n", "retained", "restore", "ann",
                *args)
            self.assertIn("nothing can be restored before there is one",
                          r.stderr)
        r = self.done(0, "retained", "purge", "ann", old[0])
        self.assertEqual(r.stdout, old[0] + ": purged\n")
        self.assertIn("would purge " + old[1], self.done(
            0, "sweep", "--all", "--dry-run").stdout)
        self.assertIn("ann: 2 purged", self.done(0, "sweep", "--all").stdout)
        self.assertEqual(self.retained("ann"), [])
        self.assertFalse(os.path.exists(self.path("mail/ann/Maildir")))
        self.failed(1, "there is no Maildir", "retained", "purge", "cid",
                    "--all")

    def test_policy(self):
        self.assertIn("1 rules, 0 holds", self.done(0, "policy").stdout)
        self.policy(POLICY.replace("30d", "20d"))
        r = self.done(0, "policy", "reload", "--note", "shorter")
        self.assertIn("policy accept", r.stderr)
        self.assertIn("waits", self.done(0, "policy").stdout)
        self.assertIn(": shorter", self.records("policy")[-1]["reason"])
        self.done(0, "policy", "accept")
        self.assertNotIn("waits", self.done(0, "policy").stdout)
        self.policy("nonsense = 1\n")
        self.failed(1, "policy.conf:1: ", "policy", "reload")

    def test_policy_is_accepted_without_popkeepd(self):
        def tool(*args):
            return subprocess.run(
                [tool_fixture.TOOL, *args], capture_output=True, text=True,
                check=True, timeout=50).stdout
        self.policy(POLICY.replace("30d", "20d"))
        socket = ("-s", self.path("sock"))
        tool("policy", "reload", *socket)
        self.assertIn("waits", tool("policy", *socket))
        tool("policy", *socket, "accept", "--note", "why")
        self.assertNotIn("waits", tool("policy", *socket))
        self.assertIn(": why", self.records("policy")[-1]["reason"])
        places = ("-p", self.path("etc/policy.conf"), *socket)
        self.assertEqual(tool("hold", "add", "h", *places, "--user", "ann"),
                         "hold h is in force\n")
        self.assertIn("hold h is released", tool("hold", "release", *places,
                                                 "h"))

    def test_policy_counts_what_it_does_not_name(self):
        for count in (1, 10, 60):
            self.policy("".join(
                'retention "rule-%02d" { users = { "u%02d" } '
                'unread = "1d" }\n' % (i, i) for i in range(count)))
            self.done(0, "policy", "reload")
            lines = self.done(0, "policy").stdout.splitlines(keepends=True)
            named = [line for line in lines if line.endswith(
                ' waits for "popkeep policy accept"\n')]
            more = [line for line in lines if "more wait" in line]
            self.assertEqual([line.split()[2] for line in named], [
                "rule-%02d" % i for i in range(len(named))])
            self.assertEqual(more, [] if len(named) == count else [
                "brake: and %d rules more wait for that\n" % (
                    count - len(named))])
            self.assertGreaterEqual(len(named), min(count, 10))
            self.assertEqual(len(lines), 2 + len(named) + len(more))

    def test_output_to_a_closed_pipe(self):
        self.mail("ann", 200, 1)
        read, write = os.pipe()
        os.close(read)
        r = subprocess.run(self.argv("explain", "ann"),
                           stdout=write, stderr=subprocess.PIPE, timeout=50)
        os.close(write)
        self.assertEqual(r.stderr, b"")
        with open("/dev/full", "w") as full:
            r = subprocess.run(self.argv("explain", "ann"),
                               stdout=full, stderr=subprocess.PIPE,
                               timeout=50)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"standard output: ", r.stderr)

    def test_output_to_a_pipe_that_is_closed_later(self):
        self.mail("ann", 1500, 1)
        for args in (("explain", "ann"), ("explain", "--json", "ann")):
            p = subprocess.Popen(self.argv(*args), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, restore_signals=False)
            p.stdout.readline()
            p.stdout.close()
            err = p.stderr.read()
            self.assertEqual((p.wait(50), err), (0, b""), args)
            p.stderr.close()


class Audit(Policyd):
    def anchor(self, text):
        return re.search(r"--anchor (\d+:[0-9a-f]{64})$", text, re.M).group(1)

    def changed(self, change):
        """A copy of the log with its lines changed."""
        with open(self.path("audit.log"), "rb") as f:
            lines = f.readlines()
        change(lines)
        with open(self.path("copy"), "wb") as f:
            f.write(b"".join(lines))
        return self.path("copy")

    def test_verify_anchors(self):
        log = self.path("audit.log")
        self.mail("ann", 2, 40)
        r = self.done(3, "audit", "verify")
        self.assertIn(log + ": intact, but unsealed and unanchored", r.stdout)
        anchor = self.anchor(r.stdout)
        r = self.done(0, "audit", "verify", "--anchor", anchor)
        self.assertIn(log + ": verified up to record %s\n" %
                      anchor.split(":")[0], r.stdout)
        self.assertNotIn("come after it", r.stdout)
        self.done(0, "sweep", "--all")
        self.records()
        r = self.done(0, "audit", "verify", "--anchor", anchor)
        self.assertRegex(r.stdout, r"verified up to record %s\n.*: records "
                         r"%d to \d+ come after it: unsealed" % (
                             anchor.split(":")[0],
                             int(anchor.split(":")[0]) + 1))
        later = self.anchor(r.stdout)
        self.assertNotEqual(later, anchor)
        # Wherever it is read, and the log of another.
        with open(log, "rb") as f:
            r = subprocess.run([tool_fixture.TOOL, "audit", "verify",
                                "--anchor", later, "-"], stdin=f,
                               capture_output=True, text=True, timeout=50)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("standard input: verified", r.stdout)
        cut = self.changed(lambda lines: lines.pop())
        r = self.done(4, "audit", "verify", "--anchor", later, log, cut)
        self.assertIn(log + ": verified", r.stdout)
        self.assertIn(cut + ": record %s of the anchor is not there: the end "
                      "was cut off\n" % later.split(":")[0], r.stdout)
        self.assertIn(cut + ": CHANGED: 1 findings", r.stdout)

    def test_verify_finds_changes(self):
        self.mail("ann", 3, 40)
        self.done(0, "sweep", "--all")
        self.records()

        def other_user(lines):
            at, = [n for n, l in enumerate(lines)
                   if b"disposed" in l][:1]
            lines[at] = lines[at].replace(b'"ann"', b'"ben"')
            self.line = at + 1
        copy = self.changed(other_user)
        r = self.done(4, "audit", "verify", copy)
        self.assertIn("%s:%d: record %d was changed\n" % (
            copy, self.line, self.line), r.stdout)
        self.assertNotIn("--anchor", r.stdout)

        def carriage_return(lines):
            lines[1] = lines[1][:-1] + b"\r\n"
        self.assertIn(":2: record 2 was changed\n", self.done(
            4, "audit", "verify", self.changed(carriage_return)).stdout)

        def too_long(lines):
            lines[2] = b"x" * 300000 + b"\n"
        self.assertIn(":3: record 3 is no record any more\n", self.done(
            4, "audit", "verify", self.changed(too_long)).stdout)
        self.assertIn(": records 2 to 3 are missing before it\n", self.done(
            4, "audit", "verify", self.changed(
                lambda lines: lines.__delitem__(slice(1, 3)))).stdout)

        def torn(lines):
            lines[-1] = lines[-1][:-5]
        r = self.done(3, "audit", "verify", self.changed(torn))
        self.assertIn("has no end: it was being written, or was cut",
                      r.stdout)
        self.assertIn("intact", r.stdout)

    def test_verify_of_nothing(self):
        empty = self.write("empty", "")
        self.done(3, "audit", "verify", empty)
        self.failed(1, "no-such: No such file", "audit", "verify", empty,
                    self.path("no-such"))
        self.failed(1, "Is a directory", "audit", "verify", self.path("etc"))
        for wrong in ("1", "0:" + 64 * "0", "1:" + 63 * "0", "1:" + 64 * "x",
                      "-1:" + 64 * "0", "99999999999999999999:" + 64 * "0",
                      "1:" + 65 * "0"):
            self.failed(2, "expected the number of a record", "audit",
                        "verify", "--anchor=" + wrong, empty)
        self.failed(2, "usage", "audit")
        self.failed(2, "usage", "audit", "prove")
        self.failed(2, "usage", "audit", "verify", "--keys", "x")


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
