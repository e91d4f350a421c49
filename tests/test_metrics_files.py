#!/usr/bin/env python3
"""What popkeep-policyd exports, against what reads it: promtool, a parser of
OpenMetrics, the alerts, the dashboard and the manual page know the same names.

SPDX-License-Identifier: ISC
"""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest

import tool_fixture
from tool_fixture import Policyd

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
RULES = TOP + "/packaging/prometheus/popkeep.rules.yml"
NAME = re.compile(r"\bpopkeep_[a-z_]+\b")

# What a histogram is made of.
PARTS = ("_bucket", "_sum", "_count")


def promtool(case, *args, stdin=None):
    """It finds nothing wrong; without it (Debian: prometheus) a test is skipped."""
    if not shutil.which("promtool"):
        raise unittest.SkipTest("no promtool here")
    done = subprocess.run(["promtool", *args], input=stdin, text=True,
                          capture_output=True, timeout=50)
    case.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)


def text_of(path):
    with open(path) as f:
        return f.read()


def names_in(text):
    """The families that an expression or a page names."""
    found = set()
    for name in NAME.findall(text):
        for part in PARTS:
            if name.endswith("_seconds" + part):
                name = name[:-len(part)]
        found.add(name)
    return found


def dashboard():
    return json.loads(text_of(TOP + "/packaging/grafana/popkeep.json"))


def expressions(board):
    return [t["expr"] for p in board["panels"] for t in p.get("targets", [])]


class Over(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Paths(Policyd):
    """A path that is another file's costs a start, and not that file."""

    def test_no_other_file_is_replaced(self):
        self.stop()
        log, sock = self.path("audit.log"), self.path("sock")
        other = self.write("other", "precious")
        os.chmod(self.dir, 0o755)
        for option, path in (("-M", log), ("-M", other), ("-X", log),
                             ("-X", other), ("-s", other), ("-X", sock)):
            before = os.path.exists(path) and not path == sock and \
                text_of(path)
            args = [os.path.join(os.path.dirname(tool_fixture.TOOL),
                                 "popkeep-policyd"), "-p",
                    self.path("etc/policy.conf"), "-a", log, "-s", sock,
                    "-S", self.path("state"), option, path]
            if tool_fixture.ROOT:
                args += ["-u", "daemon", "-g", ""]
            r = subprocess.run(args, capture_output=True, text=True,
                               timeout=20)
            self.assertEqual(r.returncode, 1, r.stderr)
            self.assertIn(": %s: " % path, r.stderr)
            if path != sock:
                self.assertEqual(text_of(path), before)


class Metrics(Policyd):
    def start(self):
        self.options = ["-M", self.path("m/popkeep.prom"), "-X",
                        self.path("m.sock")]
        super().start()

    def file(self):
        """The text of the file, once there is one."""
        end = time.monotonic() + 20
        while not os.path.exists(self.path("m/popkeep.prom")):
            self.assertLess(time.monotonic(), end, self.log_end())
            time.sleep(0.02)
        return text_of(self.path("m/popkeep.prom"))

    def scrape(self):
        c = Over(self.path("m.sock"))
        c.request("GET", "/metrics")
        answer = c.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Content-Type"),
                         "application/openmetrics-text; version=1.0.0; "
                         "charset=utf-8")
        return answer.read().decode()

    def names(self):
        found = re.findall(r"^# TYPE (\S+) ", self.file(), re.M)
        self.assertEqual(len(found), len(set(found)))
        self.assertGreater(len(found), 25)
        return set(found)

    def test_promtool_takes_the_file(self):
        self.mail("ann", 25, 40)
        self.done(3, "sweep", "--all")
        self.stop()
        self.assertIn('popkeep_overdue_messages{rule="old"} 25\n',
                      self.file())
        promtool(self, "check", "metrics", stdin=self.file())

    def test_a_strict_parser_takes_the_answer(self):
        try:
            from prometheus_client.openmetrics import parser
        except ImportError:
            self.skipTest("no prometheus_client here")
        self.mail("ann", 25, 40)
        self.done(3, "sweep", "--all")
        families = {f.name: f for f in
                    parser.text_string_to_metric_families(self.scrape())}
        self.assertEqual(families["popkeep_records"].type, "counter")
        self.assertEqual(families["popkeep_policy"].type, "info")
        self.assertEqual(families["popkeep_audit_sync_seconds"].type,
                         "histogram")
        self.assertEqual(families["popkeep_audit_sync_seconds"].unit,
                         "seconds")
        overdue, = families["popkeep_overdue_messages"].samples
        self.assertEqual((overdue.labels, overdue.value),
                         ({"rule": "old"}, 25))
        # The same families as in the file.
        suffix = {"counter": "_total", "info": "_info"}
        self.assertEqual({n + suffix.get(f.type, "") for n, f in
                          families.items()}, self.names())

    def test_who_has_no_business_is_not_answered(self):
        mode = os.stat(self.path("m.sock")).st_mode & 0o7777
        self.assertEqual(mode, 0o660)

    def test_dashboard_and_alerts_know_what_there_is(self):
        names, board = self.names(), dashboard()
        used = names_in("\n".join(expressions(board)))
        self.assertEqual(used - names, set(), "in the dashboard")
        alerts = text_of(RULES)
        self.assertEqual(names_in(alerts) - names, set(), "in the alerts")
        self.assertEqual(names - used, set(), "in no dashboard")
        variables = [v["name"] for v in board["templating"]["list"]]
        self.assertEqual(variables[0], "datasource")
        for panel in board["panels"]:
            if panel["type"] != "row":
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")

    def test_the_manual_page_knows_what_there_is(self):
        page = text_of(TOP + "/docs/popkeep-policyd.8")
        told = re.findall(r"^\.It Li (popkeep_\S+) Pq (\w+)", page, re.M)
        types = re.findall(r"^# TYPE (\S+) (\S+)$", self.file(), re.M)
        self.assertEqual(sorted(told), sorted(types))

    def test_promtool_takes_the_alerts(self):
        promtool(self, "check", "rules", RULES)
        promtool(self, "test", "rules", RULES.replace(".yml", ".test.yml"))

    def test_each_alert_is_tested(self):
        alerts = set(re.findall(r"- alert: (\w+)", text_of(RULES)))
        self.assertGreater(len(alerts), 7)
        tests = text_of(RULES.replace(".yml", ".test.yml"))
        for alert in alerts:
            self.assertRegex(tests, r"alertname: %s\n +eval_time: \w+\n"
                             r" +exp_alerts:\n +- exp_labels" % alert)

    def test_promtool_takes_the_expressions_of_the_dashboard(self):
        rules = []
        for number, expr in enumerate(expressions(dashboard())):
            expr = expr.replace("$__rate_interval", "5m").replace("$host", ".*")
            rules.append({"record": "a:b%d" % number, "expr": expr})
        # JSON is YAML.
        path = self.write("rules.yml", json.dumps(
            {"groups": [{"name": "a", "rules": rules}]}))
        promtool(self, "check", "rules", path)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
