#!/usr/bin/env python3
"""popkeep report: its figures against an independent count of the same log, and
what strangers have written into it.

SPDX-License-Identifier: ISC
"""
import collections
import csv
import html.parser
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

import audit_story

TOOL = os.path.abspath("standalone/popkeep")
OUTCOMES = ("disposed", "retained", "purged", "restored", "vanished",
            "closed-unknown")
CHANGED = 4


def second(time):
    return time[:19] + "Z"


def value(record, key):
    return record.get(key, "")


class Page(html.parser.HTMLParser):
    """Tags, attributes, tables and text of a page."""

    VOID = {"meta", "line", "br"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes = collections.Counter(), []
        self.tables, self.text, self.open = {}, [], []
        self.heading, self.row = "", None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, v) for name, v in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["aria-labelledby"]
        if tag == "tr":
            self.row = []
        if tag in ("td", "th") and self.row is not None:
            self.row.append("")
        if tag == "h3":
            self.heading = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise ValueError("</%s> out of place" % tag)
        if tag == "tr":
            self.tables.setdefault((self.section, self.heading),
                                   []).append(self.row)
            self.row = None

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] == "h3":
            self.heading += data
        elif self.row and any(t in ("td", "th") for t in self.open):
            self.row[-1] += data

    def words(self):
        return " ".join(" ".join(self.text).split())


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def story(self, name="audit.log", host="mx1.example.org", **kw):
        settings = dict(days=40, users=26, seed=1)
        settings.update(kw)
        with open(self.path(name), "wb") as out:
            audit_story.write(out, host, **settings)
        return self.path(name)

    def log(self, records, name="audit.log"):
        with open(self.path(name), "wb") as out:
            log = audit_story.Log(out, "mx1.example.org")
            for seconds, event, fields in records:
                log.add(seconds, event, **fields)
        return self.path(name)

    def run_report(self, *args, status=0, env=None, **kw):
        r = subprocess.run([TOOL, "report", *args], capture_output=True,
                           text=True, timeout=50,
                           env=dict(os.environ, **(env or {})), **kw)
        self.assertEqual(r.returncode, status, r.stderr)
        return r

    def json(self, *args, **kw):
        return json.loads(self.run_report("--json", *args, **kw).stdout)

    def rows(self, report, table):
        self.assertEqual(report["tables"][table]["left_out"], 0)
        return report["tables"][table]["rows"]

    def page(self, *args, **kw):
        return Page(self.run_report(*args, **kw).stdout)


# ---- an independent count --------------------------------------------------


class Count:
    def __init__(self, *logs, since="", until="~"):
        self.all = []
        for number, log in enumerate(logs):
            with open(log, encoding="ascii") as f:
                self.all += [dict(json.loads(line), log=number) for line in f]
        self.records = [r for r in self.all if since <= r["time"] < until]
        self.until = until

    def of(self, *events):
        return [r for r in self.records if r["event"] in events]

    def by(self, keys, *events):
        return collections.Counter(
            tuple(value(r, k) for k in keys) for r in self.of(*events))

    def rules(self):
        found = collections.defaultdict(collections.Counter)
        users = collections.defaultdict(set)
        for r in self.of("downloaded", "downloaded-unconfirmed", "top-whole",
                         "would-dispose", *OUTCOMES):
            key = r["event"].replace("-", "_")
            found[value(r, "rule")][key] += 1
            if r["event"] != "would-dispose":
                users[value(r, "rule")].add(r["user"])
        for rule, counts in found.items():
            counts["users"] = len(users[rule])
        return found

    def waiting(self):
        left = {}
        for r in self.all:
            key = (r["log"], value(r, "user"), value(r, "uidl"))
            if r["time"] >= self.until:
                continue
            if r["event"] in ("dispose-intent", "would-dispose"):
                left[key] = (r["event"], value(r, "rule"), value(r, "reason"))
            elif r["event"] in OUTCOMES:
                left.pop(key, None)
        return left


class Figures(Case):
    def same_rows(self, report, table, keys, counted, count):
        self.assertEqual({tuple(row[k] for k in keys): row[count]
                          for row in self.rows(report, table)}, dict(counted),
                         table)

    def check(self, report, count):
        self.assertEqual(report["report"]["records"], len(count.all))
        self.assertEqual(report["report"]["records_in_period"],
                         len(count.records))
        self.assertEqual(report["report"]["first"],
                         second(min(r["time"] for r in count.records)))
        self.assertEqual(report["report"]["last"],
                         second(max(r["time"] for r in count.records)))
        self.same_rows(report, "events", ["event"], collections.Counter(
            (r["event"],) for r in count.records), "records")
        self.check_rules(report, count)
        self.check_logins(report, count)
        self.check_waiting(report, count)
        self.check_days(report, count)
        for table, events in (("sweeps", ["sweep"]), ("brakes", ["brake"]),
                              ("daemon", ["start", "stop"]),
                              ("hold_events", ["hold", "release"])):
            key = "reason" if table == "brakes" else "text"
            self.assertEqual(
                sorted((r["time"], r["host"], r[key])
                       for r in self.rows(report, table)),
                sorted((second(r["time"]), r["host"], value(r, "reason"))
                       for r in count.of(*events)), table)
        holds = collections.Counter()
        for r in count.of("retained"):
            if r["reason"].startswith("hold:"):
                holds[r["reason"][5:], r["host"]] += 1
        in_force = {}
        for r in count.all:
            if r["event"] in ("hold", "release") and r["time"] < count.until:
                name = r["reason"][5:].split(" ")[0]
                in_force[name, r["host"]] = r["event"] == "hold"
        for r in self.rows(report, "holds"):
            self.assertEqual(r["in_force"],
                             in_force.get((r["hold"], r["host"])))
        self.assertEqual({(r["hold"], r["host"]): r["retained"]
                          for r in self.rows(report, "holds")
                          if r["retained"]}, holds)

    def check_rules(self, report, count):
        rules = count.rules()
        self.assertEqual({row["rule"] for row in self.rows(report, "rules")},
                         set(rules))
        for row in self.rows(report, "rules"):
            for key in set(row) - {"rule"}:
                self.assertEqual(row[key], rules[row["rule"]][key],
                                 (row["rule"], key))
        self.same_rows(report, "outcomes", ["rule", "event", "reason"],
                       count.by(["rule", "event", "reason"], *OUTCOMES),
                       "messages")
        self.assertEqual(sum(r["octets"]
                             for r in self.rows(report, "outcomes")),
                         sum(r["size"] for r in count.of(*OUTCOMES)))
        self.assertEqual(report["report"]["disposed_octets"],
                         sum(r["size"] for r in count.of("disposed",
                                                         "purged")))

    def check_logins(self, report, count):
        logins = count.by(["mech", "user", "ip"], "login")
        self.same_rows(report, "logins", ["mech", "user", "ip"], logins,
                       "logins")
        tls = collections.Counter()
        for r in count.of("login"):
            tls[r["mech"], r["user"], r["ip"]] += r["tls"]
        self.same_rows(report, "logins", ["mech", "user", "ip"],
                       {k: tls[k] for k in logins}, "inside_tls")
        warned = count.by(["mech", "user", "ip"], "apop-warn")
        self.same_rows(report, "logins", ["mech", "user", "ip"],
                       {k: warned[k] for k in logins}, "warned")
        last = {}
        for r in count.of("login"):
            key = (r["mech"], r["user"], r["ip"])
            last[key] = max(last.get(key, ""), second(r["time"]))
        self.same_rows(report, "logins", ["mech", "user", "ip"], last, "last")
        users = collections.Counter(
            (mech,) for mech, _ in {(m, u) for m, u, _ in logins})
        self.same_rows(report, "mechanisms", ["mech"], users, "users")
        self.same_rows(report, "mechanisms", ["mech"],
                       count.by(["mech"], "login"), "logins")
        for table, key in (("failed_users", "user"),
                           ("failed_addresses", "ip"),
                           ("failed_reasons", "reason")):
            self.same_rows(report, table, [key],
                           count.by([key], "login-failed"), "failures")

    def check_waiting(self, report, count):
        waiting = count.waiting()
        self.assertEqual(
            sorted((r["kind"], r["rule"], r["reason"], r["user"], r["uidl"])
                   for r in self.rows(report, "overdue_messages")),
            sorted(why + key[1:] for key, why in waiting.items()))
        self.same_rows(report, "overdue", ["kind", "rule", "reason"],
                       collections.Counter(waiting.values()), "messages")

    def check_days(self, report, count):
        days = collections.defaultdict(collections.Counter)
        for r in count.records:
            event, reason = r["event"], value(r, "reason")
            key = {"downloaded": "downloaded", "retained": "retained",
                   "downloaded-unconfirmed": "downloaded_unconfirmed",
                   "purged": "purged", "login-failed": "logins_failed",
                   "disposed": "disposed_" + reason.replace("-", "_"),
                   "login": "logins_apop" if value(r, "mech") == "APOP"
                   else "logins_other"}.get(event)
            if key is not None:
                days[r["time"][:10]][key] += 1
        rows = self.rows(report, "days")
        self.assertEqual([r["day"] for r in rows], sorted(days))
        for row in rows:
            for key in set(row) - {"day"}:
                self.assertEqual(row[key], days[row["day"]][key],
                                 (row["day"], key))

    def test_everything(self):
        log = self.story()
        report = self.json(log)
        self.check(report, Count(log))
        self.assertTrue(report["report"]["intact"])
        self.assertIsNone(report["report"]["since"])

    def test_several_hosts(self):
        logs = [self.story(), self.story("2", "mx2.example.org", seed=2)]
        report = self.json(*logs)
        self.check(report, Count(*logs))
        self.assertEqual([r["host"] for r in self.rows(report, "hosts")],
                         ["mx1.example.org", "mx2.example.org"])

    def test_a_period(self):
        log = self.story()
        for since, until, begin, end in (
                ("2026-08-10", "2026-08-19", "2026-08-10", "2026-08-20"),
                ("2026-08-10T12:30:00Z", "2026-08-10T18:00:00Z",
                 "2026-08-10T12:30:00", "2026-08-10T18:00:00"),
                ("21d", "1w", "2026-08-11T00:00:00", "2026-08-25T00:00:00")):
            report = self.json("--since", since, "--until", until, log,
                               env={"SOURCE_DATE_EPOCH": "1788220800"})
            self.check(report, Count(log, since=begin, until=end))

    def test_a_log_with_segments(self):
        log = self.story()
        count = Count(log)
        with open(log, "rb") as f:
            lines = f.readlines()
        cut = len(lines) // 2
        for name, part in ((log + ".%020d" % 1, lines[:cut]),
                           (log, lines[cut:])):
            with open(name, "wb") as f:
                f.writelines(part)
        report = self.json(log)
        self.check(report, count)
        self.assertTrue(report["report"]["intact"])
        # The last record of a segment is found by the next one to be wrong.
        lines[cut - 1] = lines[cut - 1].replace(b"mx1", b"mx9")
        with open(log + ".%020d" % 1, "wb") as f:
            f.writelines(lines[:cut])
        found = self.rows(self.json(log, status=CHANGED), "findings")
        self.assertEqual([(r["place"], r["finding"]) for r in found],
                         [(log, "record %d was changed" % cut)])

    def test_an_intent_ends_in_its_own_log(self):
        same = dict(user="anna", uidl="1", reason="dele", size=7)
        at = audit_story.BEGIN
        first = self.log([(at, "dispose-intent", same)])
        second = self.log([(at, "dispose-intent", same),
                           (at, "disposed", same)], "2")
        report = self.json(first, second)
        self.assertEqual(len(self.rows(report, "overdue_messages")), 1)
        self.check(report, Count(first, second))

    def test_holds_are_in_force_over_or_not_known(self):
        at = audit_story.BEGIN
        log = self.log([
            (at, "hold", dict(reason="hold:a by root: why")),
            (at, "hold", dict(reason="hold:b by root")),
            (at, "release", dict(reason="hold:b by root")),
            (at, "retained", dict(user="u", uidl="1", size=1,
                                  reason="hold:c"))])
        self.check(self.json(log), Count(log))
        self.assertEqual([r["in_force"] for r in
                          self.rows(self.json(log), "holds")],
                         [True, False, None])
        self.assertEqual([row[2] for row in
                          self.page(log).tables["holds", "By hold"][1:]],
                         ["yes", "no", "not known"])
        self.run_report("--csv", "-o", self.path("csv"), log)
        with open(self.path("csv", "holds.csv"), newline="") as f:
            self.assertEqual([r["in_force"] for r in csv.DictReader(f)],
                             ["yes", "no", ""])

    def test_the_page_and_the_csv_say_the_same(self):
        log = self.story()
        report = self.json(log)
        page = self.page(log)
        for section, title, table in (
                ("rules", "By rule", "rules"),
                ("rules", "By rule, outcome and reason", "outcomes"),
                ("apop", "By mechanism", "mechanisms"),
                ("failed", "By address", "failed_addresses")):
            shown = [[c.replace(",", "") for c in row]
                     for row in page.tables[section, title][1:]]
            self.assertEqual(shown, [
                [str(v).replace(",", "").replace("T", " ").replace("Z", "")
                 if k in ("first", "last") else str(v) or "(no rule)"
                 for k, v in row.items()] for row in self.rows(report, table)])
        self.run_report("--csv", "-o", self.path("csv"), log)
        for table in report["tables"]:
            with open(self.path("csv", table + ".csv"), newline="") as f:
                rows = list(csv.DictReader(f, strict=True))
            spelt = {True: "yes", False: "no", None: ""}
            self.assertEqual(rows, [
                {k: spelt[v] if v is None or isinstance(v, bool) else str(v)
                 for k, v in row.items()} for row in self.rows(report, table)])
        with open(self.path("csv", "tables.csv"), newline="") as f:
            self.assertEqual([(r["table"], int(r["rows"]))
                              for r in csv.DictReader(f)],
                             [(t, len(v["rows"]))
                              for t, v in report["tables"].items()])

    def test_the_plots_say_the_same(self):
        log = self.story()
        shown = [int(row[1].replace(",", "")) for row in
                 self.page(log).tables["time", "Downloads"][1:]]
        self.assertEqual(sum(shown), len(Count(log).of("downloaded")))


# ---- the log itself --------------------------------------------------------


class Verdict(Case):
    def test_intact_is_not_verified(self):
        words = self.page(self.story(days=3)).words()
        self.assertIn("Intact, but not proved", words)
        self.assertNotIn("CHANGED", words)
        self.assertIsNone(re.search(r"\bverified\b", words))

    def test_changed(self):
        log = self.story(days=3)
        with open(log, "rb") as f:
            lines = f.readlines()
        lines[7] = lines[7].replace(b"203.0", b"203.9").replace(
            b"mx1", b"mx9")
        del lines[20:23]
        with open(log, "wb") as f:
            f.writelines(lines)
        said = subprocess.run([TOOL, "audit", "verify", log],
                              capture_output=True, text=True).stdout
        findings = int(re.search(r"CHANGED: (\d+)", said).group(1))
        self.assertEqual(findings, 2)
        report = self.json(log, status=CHANGED)
        self.assertFalse(report["report"]["intact"])
        self.assertEqual([(r["place"], r["finding"])
                          for r in self.rows(report, "findings")],
                         [(log + ":8", "record 8 was changed"),
                          (log + ":21",
                           "records 21 to 23 are missing before it")])
        words = self.page(log, status=CHANGED).words()
        self.assertIn("CHANGED: 2 findings", words)
        self.assertNotIn("Intact,", words)

    def test_no_record(self):
        open(self.path("empty"), "w").close()
        text = self.run_report(self.path("empty")).stdout
        page = Page(text)
        self.assertIn("No record", page.words())
        self.assertGreater(page.words().count("Nothing in this period."), 8)
        for name, rows in page.tables.items():
            self.assertGreater(len(rows), 1, name)
        # One log is all that there is to be said.
        self.assertEqual(set(page.tables), {("logs", "Logs")})


# ---- what strangers write --------------------------------------------------

HOSTILE = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
           "'onmouseover='alert(1)", "</td></table><iframe src=//evil>",
           "&lt;b&gt;", "=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(1)",
           "a\nb\r\nc\t", "\u202egnp.exe", "]]><!--", "%3Cb%3E", "a\"b,c",
           "\xff\xfe", "</style></svg>", "\u00e4\u00f6\u00fc"]
TEXTS = ("session", "user", "ip", "mech", "uidl", "rule", "reason")
LIMITS = {"session": 39, "user": 250, "ip": 45, "mech": 15, "uidl": 70,
          "rule": 64, "reason": 255}
TAGS = {"html", "head", "meta", "title", "style", "body", "header", "h1", "p",
        "div", "strong", "a", "ul", "li", "b", "span", "dl", "dt", "dd", "nav",
        "ol", "main", "section", "h2", "h3", "table", "thead", "tbody", "tr",
        "th", "td", "time", "figure", "svg", "desc", "line", "text", "rect",
        "details", "summary", "em", "code", "footer"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class",
              "href", "id", "aria-label", "aria-labelledby", "role",
              "tabindex", "scope", "datetime", "viewbox", "width", "height",
              "x", "y", "x1", "y1", "x2", "y2"}


class Strangers(Case):
    def hostile(self, texts=HOSTILE):
        """Each text in each field of each event."""
        records, seconds = [], audit_story.BEGIN
        for text in texts:
            fields = {k: text[:LIMITS[k] // 3] for k in TEXTS}
            for event in ("start", "stop", "policy", "login", "login-failed",
                          "apop-warn", "downloaded", "dispose-intent",
                          "downloaded-unconfirmed", "top-whole",
                          "would-dispose", "sweep", "brake", *OUTCOMES):
                seconds += 60
                records.append((seconds, event, dict(fields, tls=False,
                                                     size=3)))
            for event in ("hold", "release", "retained"):
                records.append((seconds, event, dict(
                    fields, reason="hold:" + fields["reason"][:80])))
        log = self.log(records)
        with open(log, "rb") as f:
            lines = f.readlines()
        # Whoever writes a host name, too; the chain is broken then.
        lines[5] = lines[5].replace(b"mx1.example.org",
                                    b"<script>alert(2)</script>")
        with open(log, "wb") as f:
            f.writelines(lines)
        return log

    def test_the_page_has_no_tag_but_its_own(self):
        log = self.hostile()
        os.rename(log, self.path("<script>x<"))
        page = self.page("<script>x<", status=CHANGED, cwd=self.dir)
        self.assertEqual(set(page.tags) - TAGS, set())
        self.assertEqual({name for _, name, _ in page.attributes} -
                         ATTRIBUTES, set())
        for tag, name, v in page.attributes:
            if name == "href":
                self.assertRegex(v, r"^#[a-z]+$")
        self.assertEqual(page.open, [])
        words = page.words()
        for text in ("<script>alert(1)</script>", "'onmouseover='alert(1)",
                     "%E2%80%AEgnp.exe", "a%0Ab", "&lt;b&gt;",
                     "<script>alert(2)</script>", "<script>x<",
                     "\u00e4\u00f6\u00fc"):
            self.assertIn(text, words)

    def test_the_page_is_closed(self):
        text = self.run_report(self.hostile(), status=CHANGED).stdout
        self.assertIn('<meta http-equiv="Content-Security-Policy" content="'
                      "default-src 'none'; style-src 'unsafe-inline'\">",
                      text)
        self.assertIn("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;", text)
        self.assertIn("&#39;onmouseover=&#39;alert(1)", text)
        # Every attribute has quotes, nothing is loaded from anywhere.
        for tag in re.findall(r"<[a-z][^>]*>", text):
            self.assertRegex(tag, r'^<[a-z0-9]+( [a-zA-Z0-9-]+="[^"]*")*/?>$')
        self.assertNotRegex(text, r"url\(|@import|javascript:")
        self.assertTrue(all(ord(c) >= 0x20 or c == "\n" for c in text))

    def test_csv_has_no_formula(self):
        log = self.hostile()
        self.run_report("--csv", "-o", self.path("csv"), log, status=CHANGED)
        seen = 0
        for name in os.listdir(self.path("csv")):
            with open(self.path("csv", name), "rb") as f:
                text = f.read()
            self.assertEqual(text.count(b"\n"), text.count(b"\r\n"))
            rows = list(csv.reader(io.StringIO(text.decode("ascii"),
                                               newline=""), strict=True))
            for row in rows:
                self.assertEqual(len(row), len(rows[0]), name)
                for cell in row:
                    self.assertNotIn(cell[:1], list("=+-@"), (name, cell))
                    seen += cell[:2] in ("'=", "'+", "'-", "'@")
        self.assertGreater(seen, 20)

    def test_json_spells_as_the_log(self):
        report = self.json(self.hostile(), status=CHANGED)
        self.assertEqual({r["user"] for r in self.rows(report,
                                                       "failed_users")},
                         {audit_story.spell(t) for t in HOSTILE})

    def test_rows_on_the_page_have_a_limit(self):
        log = self.log([(audit_story.BEGIN + n, "login", dict(
            user="u%d" % n, mech="APOP", ip="10.0.0.1", tls=False))
            for n in range(1500)])
        page = self.page(log)
        rows = page.tables["apop", ""] if ("apop", "") in page.tables else \
            next(v for k, v in page.tables.items() if k[0] == "apop")
        self.assertEqual(sum(row[0] == "APOP" and len(row) == 7
                             for row in rows), 1000)
        self.assertIn("The first 1,000 rows; 500 more", page.words())
        self.assertEqual(len(self.rows(self.json(log), "logins")), 1500)

    def test_tables_have_a_bound(self):
        log = self.log([(audit_story.BEGIN, "login-failed", dict(
            user="u%d" % n, ip="10.0.0.1")) for n in range(100500)])
        page = self.page(log)
        self.assertIn("The first 1,000 rows; 99,000 more", page.words())
        self.assertIn("This table is full: 500 records had no room",
                      page.words())
        self.assertEqual(page.tables["failed", "By address"][1][:2],
                         ["10.0.0.1", "100,500"])


# ---- the page as such ------------------------------------------------------


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
             for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    a, b = sorted((luminance(a), luminance(b)))
    return (b + 0.05) / (a + 0.05)


class Style(Case):
    def test_contrast(self):
        text = self.run_report(self.story(days=2)).stdout
        schemes = [dict(re.findall(r"--([a-z0-9]+):(#[0-9a-f]{6})", block))
                   for block in re.findall(r":root\{([^}]*)\}", text)]
        self.assertEqual(len(schemes), 2)
        for scheme in schemes:
            self.assertEqual(len(scheme), 13)
            for ground in ("bg", "panel"):
                for ink in ("ink", "soft", "link", "good", "bad"):
                    self.assertGreaterEqual(
                        contrast(scheme[ink], scheme[ground]), 4.5,
                        (ink, ground))
            for n in range(5):
                self.assertGreaterEqual(
                    contrast(scheme["s%d" % n], scheme["bg"]), 3, n)

    def test_plots_can_be_read_without_seeing_them(self):
        page = self.page(self.story())
        self.assertEqual(page.tags["svg"], page.tags["desc"])
        self.assertGreater(page.tags["svg"], 3)
        ids = [v for _, name, v in page.attributes if name == "id"]
        self.assertEqual(len(ids), len(set(ids)))
        for tag, name, v in page.attributes:
            if name == "aria-labelledby":
                self.assertLessEqual(set(v.split()), set(ids))
            if name == "href":
                self.assertIn(v[1:], ids)
        self.assertEqual(sum(tag == "svg" and (name, v) == ("role", "img")
                             for tag, name, v in page.attributes),
                         page.tags["svg"])


    def test_labels_are_not_cut_off(self):
        text = self.run_report(self.story(days=49)).stdout
        places = [float(x) for x in re.findall(r'class="x" x="([0-9.]+)"',
                                               text)]
        self.assertGreater(len(places), 20)
        # Half of a date, on both sides.
        self.assertGreater(min(places), 33)
        self.assertLess(max(places), 760 - 33)


# ---- the command -----------------------------------------------------------


class Command(Case):
    def failed(self, status, text, *args, **kw):
        r = self.run_report(*args, status=status, **kw)
        self.assertIn(text, r.stderr)
        return r

    def test_the_same_again(self):
        log = self.story(days=3)
        env = {"SOURCE_DATE_EPOCH": "1790000000"}
        pages = {self.run_report(*form, log, env=env).stdout
                 for _ in range(3) for form in ([], ["--json"])}
        self.assertEqual(len(pages), 2)
        self.assertIn("2026-09-21 14:13:20", self.page(log, env=env).words())
        for bad in ("", "x", "-1", "1e3", "99999999999999999999"):
            self.failed(2, "SOURCE_DATE_EPOCH: expected", log,
                        env={"SOURCE_DATE_EPOCH": bad})

    def test_a_file_is_whole_or_not_there(self):
        log, out = self.story(days=2), self.path("report.html")
        self.run_report("-o", out, log)
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o600)
        with open(out) as f:
            text = f.read()
        self.assertTrue(text.endswith("</html>\n"))
        self.failed(1, self.path("nowhere"), "-o", out, self.path("nowhere"))
        self.failed(1, self.path("no/out"), "-o", self.path("no/out"), log)
        with open(out) as f:
            self.assertEqual(f.read(), text)
        os.mkdir(self.path("folder"))
        self.failed(1, self.path("folder"), "-o", self.path("folder"), log)
        self.assertEqual(sorted(os.listdir(self.dir)),
                         ["audit.log", "folder", "report.html"])

    def test_what_is_no_file_is_not_replaced(self):
        """Root could replace /dev/null."""
        log, out = self.story(days=1), self.path("to")
        for make in os.mkfifo, lambda p: os.symlink(log, p):
            make(out)
            before = os.lstat(out)
            for form in [], ["--json"]:
                self.failed(1, out + ": expected a regular file, or none",
                            *form, "-o", out, log)
            self.assertEqual(os.lstat(out), before)
            os.unlink(out)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_a_full_disk_is_told(self):
        with open("/dev/full", "w") as full:
            r = subprocess.run([TOOL, "report", self.story(days=2)],
                               stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(r.returncode, 1)
        self.assertIn("No space left", r.stderr)

    def test_standard_input_and_output(self):
        with open(self.story(days=2)) as f:
            page = Page(self.run_report("-o", "-", "-", stdin=f).stdout)
        self.assertIn("standard input", page.words())

    def test_the_log_of_the_configuration(self):
        log = self.story(days=2)
        conf = self.path("popkeepd.conf")
        with open(conf, "w") as f:
            f.write('audit-log = "%s"\npolicy = "%s"\n'
                    'listen "127.0.0.1:12119" { tls = none }\n' % (
                        log, self.path("policy.conf")))
        r = subprocess.run([TOOL, "-f", conf, "report", "--json"],
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(json.loads(r.stdout)["tables"]["logs"]["rows"][0]
                         ["log"], log)

    def test_wrong_usage(self):
        log = self.story(days=1)
        self.failed(2, "--since yesterday: expected a day or a time", "--since",
                    "yesterday", log)
        self.failed(2, "--until 2026-02-30: expected a day or a time", "--until",
                    "2026-02-30", log)
        self.failed(2, "--since: expected an earlier time", "--since",
                    "2026-08-02", "--until", "2026-08-01", log)
        self.failed(2, "not both", "--json", "--csv", log)
        self.failed(2, "--csv: expected -o DIRECTORY", "--csv", log)
        self.failed(2, "usage:", "--what", log)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
