#!/usr/bin/env python3
"""The commands of popkeep, as far as they need no policyd.

The tool is the first argument, or standalone/popkeep.
"""
import json
import os
import stat
import sys
import unittest

import tool_fixture
from tool_fixture import POLICY, ROOT, Tool


class Check(Tool):
    def test_check_says_what_is_fine(self):
        r = self.done(0, "check")
        self.assertEqual(r.stdout, "%s: fine\n%s: fine\n" % (
            self.conf, self.path("etc/policy.conf")))
        self.assertEqual(r.stderr, "")

    def test_check_names_file_and_line(self):
        self.policy("\nretention \"x\" {\n    after-delivery = soon\n}\n")
        r = self.failed(1, self.path("etc/policy.conf") + ":3: ", "check")
        self.assertNotIn("policy.conf: fine", r.stdout)
        self.assertIn(self.conf + ": fine", r.stdout)

    def test_check_reads_the_policy_of_a_wrong_configuration(self):
        self.write("users", "ann\n")
        self.policy("nonsense = 1\n")
        r = self.done(1, "check")
        self.assertIn(self.path("users") + ":1: expected", r.stderr)
        self.assertIn(self.path("etc/policy.conf") + ":1: ", r.stderr)
        self.assertEqual(r.stdout, "")

    def test_check_takes_another_policy(self):
        other = self.policy("mode = what\n", "other.conf")
        self.failed(1, other + ":1: ", "check", "-p", other)
        self.failed(1, "No such file", "check", "-p", self.path("none"))

    def test_check_refuses_unknown_rules_of_users(self):
        with open(self.path("users"), "a") as f:
            f.write("# a comment\ndan:%d:%d:/home/dan:new\n" % (
                self.uid, self.gid))
        self.failed(1, self.path("users") + ":5: user dan: rule = new: "
                    "expected", "check")
        self.policy(POLICY + 'retention "new" { unread = "1y" }\n')
        self.assertIn("1 users get their retention rule from this file",
                      self.done(0, "check").stderr)

    def test_check_counts_many_unknown_rules(self):
        with open(self.path("users"), "a") as f:
            for i in range(50):
                f.write("u%d:%d:%d:/home/u%d:new\n" % (
                    i, self.uid, self.gid, i))
        r = self.done(1, "check")
        self.assertEqual(r.stderr.count("rule = new"), 20)
        self.assertIn("and 30 users more", r.stderr)

    def test_check_warns_of_groups(self):
        self.policy('\nhold "h" { users = { "@no-such-group-here" } }\n')
        r = self.done(0, "check")
        self.assertIn("policy.conf:2: warning: users: group "
                      '"no-such-group-here"', r.stderr)

    def test_check_warns_of_names_that_nobody_has(self):
        self.configure(detail_separator="+", fold_case="true")
        self.policy('hold "h" { users = { "Ann", "b?n", "ann", "dan" } }\n'
                    'retention "r" { users = { "ben+x" } unread = "1y" }\n'
                    'passwords { rule "p" { users = { "a/b", "cid" } '
                    'allow = tls } }\n')
        at = self.path("etc/policy.conf") + ":%d: warning: %s: users: %s"
        self.assertEqual(sorted(self.done(0, "check").stderr.splitlines()), [
            at % (1, 'hold "h"', 'Ann: no user is spelt so: expected "ann"'),
            at % (1, 'hold "h"', "dan: there is no such user"),
            at % (2, 'retention "r"',
                  'ben+x: no user is spelt so: expected "ben"'),
            at % (3, 'passwords: rule "p"', "a/b: no user can be called so")])
        self.policy('hold "h" { users = { %s } }\n' % ", ".join(
            '"u%d"' % i for i in range(25)))
        r = self.done(0, "check")
        self.assertEqual(r.stderr.count("there is no such user"), 20)
        self.assertIn("and 5 names more that match nobody", r.stderr)

    @unittest.skipUnless(ROOT, "needs root")
    def test_check_finds_what_policyd_cannot_read(self):
        self.configure(policy_user="daemon")
        main = self.path("etc/policy.conf")
        more = self.policy("", "policy.d/more.conf")
        for path, mode in ((main, 0o640), (more, 0o600),
                           (self.path("etc/policy.d"), 0o700)):
            before = os.stat(path).st_mode
            os.chmod(path, mode)
            self.failed(1, main + ": expected that policy-user = daemon may "
                        "read it", "check")
            os.chmod(path, before)
        self.done(0, "check")
        # Another policy is not the one that policyd reads.
        other = self.policy("", "other.conf")
        os.chmod(other, 0o600)
        self.done(0, "check", "-p", other)

    def test_check_warns_of_owners(self):
        self.configure(users="system", users_file=None)
        self.policy(POLICY + 'hold "h" { users = { "ann" } }\n')
        r = self.done(0, "check")
        self.assertIn(':1: warning: retention "old": users = system', r.stderr)
        self.assertIn(':2: warning: hold "h": users = system', r.stderr)

    def test_check_warns_of_services(self):
        os.unlink(self.path("pam.d/popkeep"))
        self.policy(POLICY + 'apop { rule "a" { allow = tls } }\n')
        r = self.done(0, "check")
        for text in ("pam.d/popkeep: warning: ", "pam.d/popkeep-apop: warning",
                     'policy.conf:2: warning: apop: rule "a": there is no '
                     "secret yet"):
            self.assertIn(text, r.stderr)
        self.policy(POLICY + 'apop { rule "a" { allow = never } }\n'
                    'passwords { rule "a" { allow = never } }\n')
        self.assertEqual(self.done(0, "check").stderr, "")

    def test_check_needs_no_service_where_pam_is_not_asked(self):
        self.configure(apop_through="store")
        self.write("secrets.mdb", "")
        self.policy('apop { rule "a" { allow = tls } }\n')
        self.assertEqual(self.done(0, "check").stderr, "")

    def test_check_refuses_faillock(self):
        self.write("pam.d/popkeep-account", "# pam_faillock\n"
                   "account required pam_permit.so\n")
        self.assertEqual(self.done(0, "check").stderr, "")
        self.write("pam.d/popkeep-account", "# no\n"
                   "account required pam_faillock.so\n")
        self.assertIn("popkeep-account:2: pam_faillock must not",
                      self.done(1, "check").stderr)

    def test_check_refuses_faillock_in_what_is_included(self):
        self.write("pam.d/common", "auth required pam_faillock.so authfail\n")
        self.write("pam.d/deeper", "@include common\n"
                   "@include popkeep-account\n")
        for line in ("@include deeper", "account include deeper",
                     "-account\tsubstack\tdeeper # yes"):
            self.write("pam.d/popkeep-account", line + "\n")
            self.assertEqual(self.done(0, "check").stderr, "")
        self.write("pam.d/common", "account required pam_faillock.so\n")
        for line in ("@include deeper", "account include deeper",
                     "-account\tsubstack\tdeeper # yes"):
            self.write("pam.d/popkeep-account", line + "\n")
            self.assertIn("common:1: pam_faillock must not",
                          self.done(1, "check").stderr)
        self.write("pam.d/popkeep-account", "auth include deeper\n")
        self.assertEqual(self.done(0, "check").stderr, "")


class Usage(Tool):
    def test_usage(self):
        for args in (("check", "x"), ("check", "-q"), ("explain",),
                     ("explain", "a", "b", "c"), ("explain", "-x", "a"),
                     ("sweep",), ("sweep", "--all", "--user", "ann"),
                     ("sweep", "--all", "ann"), ("sweep", "--what"),
                     ("sweep", "ann", "--user", "ben"),
                     ("sweep", "--user", "ann", "--force", "ben"),
                     ("hold",), ("hold", "x"), ("hold", "add", "n"),
                     ("hold", "add", "--user", "ann"),
                     ("hold", "add", "n", "--user", "a", "--sweep"),
                     ("hold", "add", "n", "m", "--user", "a"),
                     ("hold", "release"), ("hold", "release", "n", "m"),
                     ("hold", "release", "n", "--user", "a"),
                     ("hold", "list", "n"), ("retained",),
                     ("retained", "list"), ("retained", "list", "a", "b"),
                     ("retained", "list", "--all", "a"),
                     ("retained", "purge", "a"),
                     ("retained", "purge", "a", "--all", "b"),
                     ("retained", "restore", "a", "--json", "b"),
                     ("policy", "x"), ("policy", "accept", "x"),
                     ("policy", "reload", "--note"),
                     ("policy", "--note", "x"), ("policy", "-p", "x"),
                     ("hold", "list", "-s", "x")):
            r = self.done(2, *args)
            self.assertIn("usage: popkeep", r.stderr, args)
            self.assertEqual(r.stdout, "", args)

    def test_usage_names_wrong_files(self):
        self.conf = self.path("none")
        for args in (("explain", "ann"), ("sweep", "--all"),
                     ("hold", "list"), ("policy",), ("check",),
                     ("retained", "list", "ann")):
            self.failed(1, self.path("none") + ": ", *args)

    def test_usage_names_wrong_users(self):
        self.failed(1, "user eve: no such user", "explain", "eve")
        self.failed(1, "USER: ", "retained", "list", "../x")

    def test_usage_says_that_policyd_is_away(self):
        for args in (("explain", "ann"), ("sweep", "--all"), ("policy",),
                     ("policy", "accept"), ("retained", "list", "ann")):
            r = self.failed(1, "popkeep-policyd is away: " + self.path("sock"),
                            *args)
            self.assertEqual(r.stderr.count("\n"), 1)
            self.assertEqual(r.stdout, "")
        self.configure(policy_socket="")
        self.failed(1, "policy-socket is empty", "policy")


class Alone(Tool):
    """Where there is popkeep-policyd, and no popkeepd."""

    def argv(self, *args):
        return [tool_fixture.TOOL, *args]

    def test_alone_needs_no_configuration(self):
        places = ("-p", self.path("etc/policy.conf"), "-s", self.path("sock"))
        self.failed(1, "is away: " + self.path("sock"), "policy", *places[2:])
        self.failed(1, "is away: " + self.path("sock"), "policy", "accept",
                    *places[2:])
        r = self.failed(1, "not in force yet", "hold", "add", *places, "n",
                        "--user", "Nobody+Here", "@no-such-group-here")
        self.assertIn("is away: " + self.path("sock"), r.stderr)
        self.assertIn("@no-such-group-here: there is no such group", r.stderr)
        self.assertNotIn("Here: ", r.stderr)
        self.assertEqual(self.done(0, "hold", "list", *places[:2]).stdout,
                         "n: users Nobody+Here @no-such-group-here  (%s:2)\n"
                         % self.path("etc/policy.d/hold-n.conf"))
        self.failed(1, "not released: nothing was changed", "hold",
                    "release", *places, "n")

    @unittest.skipIf(any(map(os.path.exists, (
        "/etc/popkeep", "/usr/local/etc/popkeep", "/run/popkeep",
        "/var/run/popkeep", "/usr/local/var/run/popkeep"))),
        "popkeep is installed here")
    def test_alone_has_the_places_of_policyd(self):
        self.failed(1, "/popkeep/policy.sock: No such file", "policy")
        self.failed(1, "/popkeep/policy.conf", "hold", "list")
        self.failed(1, "popkeepd.conf: No such file", "hold", "release",
                    "n", "--sweep")


class Hold(Tool):
    """What needs no policyd, which is away."""

    def refused(self, status, text, *args):
        before = self.files("etc")
        r = self.failed(status, text, *args)
        self.assertEqual(self.files("etc"), before)
        self.assertEqual(r.stdout, "")
        return r

    def test_hold_add_refuses(self):
        for status, text, args in (
                (2, "NAME: expected", ("a/b", "--user", "ann")),
                (2, "NAME: expected", ("", "--user", "ann")),
                (2, "NAME: expected", ("x" * 65, "--user", "ann")),
                (2, "--until: expected", ("n", "--user", "a", "--until",
                                          "2026-02-30")),
                (1, "this day has passed", ("n", "--user", "a", "--until",
                                            "2020-01-01")),
                (1, "hold-n.conf:3: ", ("n", "--user", "")),
                (1, "hold-n.conf:3: ", ("n", "--user", "@")),
                (1, "hold-n.conf:3: ", ("n", "--user", "${HOME}")),
                (1, "hold-n.conf:4: ", ("n", "--user", "a", "--note",
                                        "a\nb"))):
            self.refused(status, text, "hold", "add", *args)

    def test_hold_add_refuses_names_that_nobody_can_have(self):
        self.configure(detail_separator="+", fold_case="true")
        r = self.refused(2, '--user Ann: no user is spelt so: expected "ann"',
                         "hold", "add", "n", "--user", "Ann", "ben", "ben+x",
                         "a/b", "A*")
        self.assertIn('--user ben+x: no user is spelt so: expected "ben"',
                      r.stderr)
        self.assertIn("--user a/b: no user can be called so", r.stderr)
        self.assertEqual(r.stderr.count("\n"), 3)

    def test_hold_add_warns_of_names_that_nobody_has(self):
        r = self.done(1, "hold", "add", "n", "--user", "ann", "alicce", "b?n",
                      "@no-such-group-here")
        self.assertIn("warning: --user alicce: there is no such user",
                      r.stderr)
        self.assertIn("warning: --user @no-such-group-here: there is no such "
                      "group: a hold by it counts for everybody until it "
                      "exists\n", r.stderr)
        self.assertEqual(r.stderr.count("warning"), 2)
        self.assertTrue(os.path.exists(self.path("etc/policy.d/hold-n.conf")))

    def test_options_come_before_the_configuration(self):
        other = self.policy('hold "o" { users = { "ann" } }\n', "o.conf")
        self.assertIn("o: users ann", self.done(0, "hold", "list", "-p",
                                                other).stdout)
        self.failed(1, "is away: /nowhere: ", "policy", "-s", "/nowhere")
        # One that was given is read: it says how users are spelt.
        self.configure(fold_case="true")
        self.refused(2, 'expected "ann"', "hold", "add", "-p", other, "-s",
                     "/nowhere", "n", "--user", "Ann")

    def test_hold_and_policy_do_without_users(self):
        self.write("users", "nonsense\n")
        r = self.failed(1, "it is not known which users there are", "hold",
                        "add", "n", "--user", "ann")
        self.assertIn("not in force yet", r.stderr)
        self.assertIn("n: users ann", self.done(0, "hold", "list").stdout)
        self.failed(1, "is away", "policy")

    def test_hold_add_refuses_a_policy_that_would_not_parse(self):
        self.policy("nonsense = 1\n")
        self.refused(1, "nothing was changed", "hold", "add", "n", "--user",
                     "ann")
        self.policy(POLICY + 'hold "n" { users = { "x" } }\n')
        self.refused(1, "nothing was changed", "hold", "add", "n", "--user",
                     "ann")
        self.policy("audit = off\n")
        self.refused(1, "nothing was changed", "hold", "add", "n", "--user",
                     "ann")

    def test_hold_add_keeps_the_file_when_policyd_is_away(self):
        os.chmod(self.path("etc/policy.conf"), 0o640)
        if ROOT:
            os.chown(self.path("etc/policy.conf"), 0, 1)
        self.failed(1, "not in force yet", "hold", "add", "n", "--user",
                    "it's\\", "@g", "--note", "a \"b\" \\ c'", "--until",
                    "2031-12-31")
        path = self.path("etc/policy.d/hold-n.conf")
        st, main = os.stat(path), os.stat(self.path("etc/policy.conf"))
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o640)
        self.assertEqual((st.st_uid, st.st_gid), (main.st_uid, main.st_gid))
        self.assertEqual(os.listdir(self.path("etc/policy.d")),
                         ["hold-n.conf"])
        mode = stat.S_IMODE(os.stat(self.path("etc/policy.d")).st_mode)
        self.assertEqual(mode & 0o555,
                         stat.S_IMODE(os.stat(self.path("etc")).st_mode) &
                         0o555)
        listed = json.loads(self.done(0, "hold", "list", "--json").stdout)
        self.assertEqual(listed, [{
            "name": "n", "users": ["it's\\", "@g"],
            "until": "2031-12-31", "over": False, "note": "a \"b\" \\ c'",
            "file": path, "line": 2}])
        self.refused(1, "exists already", "hold", "add", "n", "--user", "b")

    def test_hold_release_names_other_files(self):
        self.run_tool("hold", "add", "n", "--user", "ann")
        self.refused(1, "there is no such hold", "hold", "release", "m")
        self.policy('hold "m" { users = { "b" } }\n', "policy.d/50.conf")
        self.refused(1, "policy.d/50.conf:1: edit that by hand", "hold",
                     "release", "m")
        for more in ('hold "o" { users = { "b" } }\n', "mode = dry-run\n",
                     "audit-hash = on\n", "pseudonyms = yes\n",
                     POLICY, 'passwords { rule "x" { allow = tls } }\n'):
            self.policy(more and 'hold "n" { users = { "ann" } }\n' + more,
                        "policy.d/hold-n.conf")
            if more == POLICY:
                self.policy("")
            self.refused(1, "there is more in this file", "hold", "release",
                         "n")
        self.policy(POLICY)
        self.policy('hold "n" { users = { "ann" } }\n',
                    "policy.d/hold-n.conf")
        self.assertEqual(self.files("etc/policy.d").keys(), {
            self.path("etc/policy.d", n) for n in ("50.conf", "hold-n.conf")})

    def test_hold_release_needs_policyd(self):
        self.done(1, "hold", "add", "n", "--user", "ann")
        r = self.refused(1, "popkeep-policyd is away", "hold", "release", "n",
                         "--note", "the court said so")
        self.assertIn("not released: nothing was changed", r.stderr)

    def test_hold_add_says_who_in_its_file(self):
        r = self.failed(1, "not in force yet: that begins when "
                        "popkeep-policyd starts; who made it is in that file "
                        "only", "hold", "add", "n", "--user", "ann",
                        "--note", "why")
        self.assertIn("popkeep-policyd is away", r.stderr)
        with open(self.path("etc/policy.d/hold-n.conf")) as f:
            text = f.read()
        self.assertRegex(text, r"\A# Made by \S+ \(uid \d+.*\), 20[-0-9T:]+Z, ")
        self.assertIn("\n    note = 'why'\n", text)

    def test_hold_add_escapes_who(self):
        self.done(1, "hold", "add", "n", "--user", "ann", env=dict(
            os.environ, SUDO_USER='x\nhold "m" { }\x7f'))
        self.assertEqual([h["name"] for h in json.loads(self.done(
            0, "hold", "list", "--json").stdout)], ["n"])
        with open(self.path("etc/policy.d/hold-n.conf")) as f:
            self.assertIn('sudo x?hold "m" { }?)', f.readline())

    def test_hold_release_needs_a_policy(self):
        self.run_tool("hold", "add", "n", "--user", "ann")
        self.policy("nonsense = 1\n")
        self.refused(1, "nothing was changed", "hold", "release", "n")

    def test_hold_list_escapes_as_the_audit_log_does(self):
        with open(self.policy(""), "wb") as f:
            f.write(b'hold "n" { note = "50% f\xfcr a" }\n')
        listed = json.loads(self.done(0, "hold", "list", "--json").stdout)
        self.assertEqual(listed[0]["note"], "50%25 f%FCr a")

    def test_hold_list_without_any(self):
        self.assertEqual(self.done(0, "hold", "list").stdout, "")
        self.assertEqual(json.loads(self.done(
            0, "hold", "list", "--json").stdout), [])


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
