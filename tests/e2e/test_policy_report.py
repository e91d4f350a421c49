"""popkeep report on the log of a popkeepd that runs.

SPDX-License-Identifier: ISC
"""
import collections
import json
import os

import fixtures
from lib import Server, check, same, test
from test_policy_brakes import NOW, download


def rows(report, table):
    return report["tables"][table]["rows"]


@test
def report_on_what_happened():
    """a report tells what the sessions, holds and sweeps before it did"""
    with Server(users=("ann", "ben"), messages=fixtures.cleans(3),
                policy=NOW) as s:
        s.fill("ben", fixtures.cleans(3))
        s.tool("hold", "add", "case", "--user", "ben", "--note", "<b>")
        for user in ("ann", "ben"):
            download(s, user=user)
        s.tool("sweep", "--all")
        s.until_events(2, "disposed", "retained")
        records = s.audit()
        report = json.loads(s.tool("report", "--json"))
        check(report["report"]["intact"], report["report"])
        same({r["event"]: r["records"] for r in rows(report, "events")},
             dict(collections.Counter(r["event"] for r in records)), "events")
        rule = rows(report, "rules")[0]
        same([rule[k] for k in ("rule", "users", "downloaded", "disposed",
                                "retained")], ["now", 2, 2, 1, 1], "rule")
        hold = rows(report, "holds")[0]
        same([hold[k] for k in ("hold", "in_force", "retained", "users")],
             ["case", True, 1, 1], "hold")
        same(sum(r["logins"] for r in rows(report, "logins")), 2, "logins")
        same(len(rows(report, "sweeps")), 1, "sweeps")
        same(rows(report, "overdue"), [], "overdue")
        s.tool("report", "-o", s.dir + "/report.html")
        with open(s.dir + "/report.html") as f:
            page = f.read()
        check("hold:case" in page and "&lt;b&gt;" in page, "the hold's note")
        check("Intact, but not proved" in page, "the verdict")
        os.unlink(s.dir + "/report.html")
