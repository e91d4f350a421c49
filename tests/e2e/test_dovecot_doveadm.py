"""doveadm popkeep: what it says and does is what the tool popkeep does.

SPDX-License-Identifier: ISC
"""
import json
import os
import subprocess

import fixtures
from lib import (Server, check, check_order, dovecot_version, each,
                 find_program, needs, needs_root, run, same, test, until)

DAY = 86400
OLD = 'retention "old" { after-delivery = "30d" %s }\n'


def server(users=("ann", "bob"), policy=OLD % "", **more):
    return Server(users, dovecot=True, policy=policy, **more)


def old_mail(s, user="ann", count=3, age=31 * DAY, first=1):
    """Messages delivered so long ago; the oldest of the names first."""
    for name in ("tmp", "new", "cur"):
        os.makedirs(s.maildir(user) + "/" + name, exist_ok=True)
    messages = [fixtures.clean(n + first) for n in range(count)]
    for message in messages:
        s.deliver(user, message, when=int(s.now()) - age)
    return sorted(messages)


def popkeep(s, *argv, status=0):
    """The rows of a command: a list of dictionaries."""
    done = subprocess.run([s.dir + "/.popkeep/doveadm", "-f", "json",
                           "popkeep", *argv], capture_output=True, text=True,
                          timeout=60)
    same(done.returncode, status, "exit status; " + done.stderr[-500:])
    return json.loads(done.stdout) if done.stdout.startswith("[") else []


def uidls(s, user="ann"):
    return [r["uidl"] for r in popkeep(s, "explain", "-u", user)]


def nothing_open(s):
    same(check_order(s.audit()), set(), "open intents")


# What is said.

@test
def explains_like_popkeep():
    """explain: the words of popkeep explain, for messages new, due and held"""
    with server() as s:
        old_mail(s, "ann", 2)
        old_mail(s, "ann", 1, age=DAY, first=7)
        for hold in (False, True):
            if hold:
                s.tool("hold", "add", "case", "--user", "ann")
            theirs = json.loads(s.tool("explain", "--json", "ann"))
            ours = popkeep(s, "explain", "-u", "ann")
            same([(r["mailbox"], r["uidl"], r["verdict"], r["size"],
                   r["delivered"], r["changes"]) for r in ours],
                 [("INBOX", m["uidl"], m["verdict"], m["size"],
                   m["delivered"], m["changes"] or "-")
                  for m in theirs["messages"]], "messages")
            lines = [line.split() for line in
                     s.tool("explain", "ann").splitlines()]
            words = {line[0]: line[2] for line in lines if len(line) > 6}
            for row in ours:
                same((row["reason"], row["rule"]),
                     (words[row["uidl"]], "old"), row["uidl"])
        one = ours[1]["uidl"]
        same(popkeep(s, "explain", "-u", "ann", one), ours[1:2], "one of them")
        popkeep(s, "explain", "-u", "ann", "nobody", status=68)


@test
def explains_a_rule_that_does_not_act():
    """explain: verdicts in brackets while the rule is in dry-run"""
    with server(policy=OLD % "mode = dry-run") as s:
        old_mail(s, "ann", 1)
        row = popkeep(s, "explain", "-u", "ann")[0]
        same((row["verdict"], row["reason"], row["rule"]),
             ("(dispose)", "after-delivery", "old (dry-run)"), "row")
        row = popkeep(s, "sweep", "-n", "-u", "ann")[0]
        same((row["would"], row["reason"]), ("(dispose of)",
                                             "after-delivery"), "dry-run")
        row = popkeep(s, "sweep", "-u", "ann")[0]
        same((row["disposed"], row["would"], row["result"]), (0, 1, "ok"),
             "sweep")
        same(len(s.stored("ann")), 1, "files")


@test
def status_of_a_user():
    """status: rule, holds, facts, what is retained, and policyd's own words"""
    with server() as s:
        old_mail(s, "ann", 2)
        s.tool("hold", "add", "case", "--user", "ann")
        popkeep(s, "sweep", "-u", "ann")
        row = popkeep(s, "status", "-u", "ann")[0]
        same((row["rule"], row["holds"], row["held until"], row["retained"],
              row["unfinished"]), ("old", "1: case", "released", 2, 0),
             "status")
        check(row["facts since"].startswith("20"), row["facts since"])
        same(row["policy"], s.audit()[-1]["policy"], "hash")
        for word in ("1 rules, 1 holds", "audit required"):
            check(word in row["policyd"], row["policyd"])
        same([r["username"] for r in popkeep(s, "status", "-A")],
             ["ann", "bob"], "users")


@each("table", "tab", "flow", "pager", "json")
def formatters(name):
    """-f: every formatter has the same fields"""
    with server() as s:
        old_mail(s, "ann", 2)
        out = s.doveadm("-f", name, "popkeep", "explain", "-u", "ann")
        for uidl in uidls(s):
            same(out.count(uidl), 1, "rows of " + uidl)
        same(out.count("after-delivery"), 2, "reasons")
        if name in ("flow", "pager", "json"):
            same(out.count("verdict"), 2, "names of fields")


# Sweeps.

@test
def sweep_by_age():
    """sweep: what the clock makes due goes, and is recorded"""
    with server() as s:
        old_mail(s, "ann", 2, age=20 * DAY)
        row = popkeep(s, "sweep", "-u", "ann")[0]
        same((row["disposed"], len(s.stored("ann"))), (0, 2), "too young")
        s.restart(clock=11 * DAY)
        kept = old_mail(s, "ann", 1, age=DAY, first=7)
        row = popkeep(s, "sweep", "-u", "ann")[0]
        same((row["disposed"], row["left"], row["result"]), (2, 0, "ok"),
             "row")
        same(s.stored("ann"), kept, "files")
        same(len(s.events("disposed", user="ann", reason="after-delivery")),
             2, "disposed")
        check("mailboxes=1 disposed=2" in s.events("sweep")[-1]["reason"],
              "totals")
        nothing_open(s)


@test
def dry_run_changes_nothing():
    """sweep --dry-run: says what would be done; no file and no record changes"""
    with server(policy=OLD % 'unread = "400d"') as s:
        messages = old_mail(s, "ann", 3)
        s.tool("hold", "add", "case", "--user", "bob")
        held = old_mail(s, "bob", 1)
        before = s.audit()
        rows = popkeep(s, "sweep", "--dry-run", "-A")
        same([(r["username"], r["would"], r["reason"]) for r in rows],
             3 * [("ann", "dispose of", "after-delivery")] +
             [("bob", "retain", "hold:case")], "rows")
        same((s.stored("ann"), s.stored("bob"), s.retained("bob")),
             (messages, held, []), "files")
        same(s.audit(), before, "records")
        check(not os.path.exists(s.home("ann") + "/popkeep.facts"), "facts")


@test
def brake_and_force():
    """sweep: max-share stops more than 20 messages; --force does them"""
    with server() as s:
        messages = old_mail(s, "ann", 21)
        row = popkeep(s, "sweep", "-u", "ann", status=65)[0]
        check("brake: sweep: 21 of 21 messages would go, more than "
              "max-share = 50%" in row["result"], row["result"])
        same((row["disposed"], s.stored("ann")), (0, messages), "braked")
        brake = s.events("brake", user="ann")
        same((len(brake), brake[0]["rule"]), (1, "old"), "brake")
        check("braked=1" in s.events("sweep")[-1]["reason"], "totals")
        popkeep(s, "sweep", "-n", "-u", "ann", status=65)
        same(len(s.events("brake")), 1, "brakes after a dry-run")
        row = popkeep(s, "sweep", "--force", "-u", "ann")[0]
        same((row["disposed"], s.stored("ann")), (21, []), "forced")
        old_mail(s, "bob", 20)
        same(popkeep(s, "sweep", "-u", "bob")[0]["disposed"], 20, "20 go")


@test
def sweep_of_all():
    """sweep -A: every mailbox; one that a session has is skipped, and said"""
    with server(("ann", "bob", "cat")) as s:
        for user in s.users:
            old_mail(s, user, 2)
        c = s.login("bob")
        rows = popkeep(s, "sweep", "-A", status=65)
        same([(r["username"], r["disposed"], r["result"]) for r in rows],
             [("ann", 2, "ok"),
              ("bob", 0, "skipped: a session has the lock"),
              ("cat", 2, "ok")], "rows")
        c.close()			# QUIT would apply the rule
        until(lambda: "Disconnected" in s.log(), "its end")
        totals = s.events("sweep")
        same([r.get("rule") for r in totals], ["old", None], "records")
        check("mailboxes=3 disposed=4" in totals[1]["reason"] and
              " busy=1 braked=0 failed=0 scope=all by " in
              totals[1]["reason"], totals[1]["reason"])
        rows = popkeep(s, "sweep", "-A")
        same([(r["username"], r["disposed"]) for r in rows], [("bob", 2)],
             "the next one")
        nothing_open(s)


@test
def policyd_away():
    """sweep: without policyd nothing goes, and doveadm says so"""
    with server() as s:
        messages = old_mail(s, "ann", 2)
        socket = s.dir + "/.popkeep/policy.sock"
        os.rename(socket, socket + ".away")
        popkeep(s, "sweep", "-u", "ann", status=75)
        row = popkeep(s, "status", "-u", "ann", status=75)[0]
        check("away" in row["policyd"], row["policyd"])
        os.rename(socket + ".away", socket)
        same(s.stored("ann"), messages, "files")


# What is retained.

@test
def retained_until_released():
    """retained: listed and kept under a hold, restored, purged when it ends"""
    with server() as s:
        old_mail(s, "ann", 3)
        s.tool("hold", "add", "case", "--user", "ann")
        same(popkeep(s, "sweep", "-u", "ann")[0]["retained"], 3, "retained")
        rows = popkeep(s, "retained", "list", "-u", "ann")
        same([(r["mailbox"], r["verdict"], r["reason"]) for r in rows],
             3 * [("popkeep-retained/INBOX", "keep", "hold:case")], "list")
        one, two, three = (r["uidl"] for r in rows)
        # Purging is for what nothing forbids.
        rows = popkeep(s, "retained", "purge", "-u", "ann", one, status=65)
        same([(r["uidl"], r["result"]) for r in rows],
             [(one, "kept: hold:case")], "purge of one")
        popkeep(s, "retained", "purge", "-u", "ann", "--all")
        popkeep(s, "sweep", "-u", "ann")
        same(len(s.retained("ann")), 3, "still there")
        # To change all of them must have been said.
        popkeep(s, "retained", "purge", "-u", "ann", status=64)
        rows = popkeep(s, "retained", "restore", "-u", "ann", two, "x",
                       status=68)
        same([(r["mailbox"], r["uidl"], r["result"]) for r in rows],
             [("INBOX", two, "restored")], "restored")
        same((len(s.stored("ann")), len(s.retained("ann"))), (1, 2), "files")
        same([r["uidl"] for r in s.events("restored", reason="restore")],
             [two], "record")
        s.tool("hold", "release", "case")
        rows = popkeep(s, "retained", "purge", "-u", "ann", one)
        same([(r["uidl"], r["result"]) for r in rows], [(one, "purged")],
             "purged")
        same(popkeep(s, "sweep", "-u", "ann")[0]["purged"], 1, "by sweep")
        same(s.retained("ann"), [], "retained at the end")
        same([r["uidl"] for r in s.events("purged", reason="released")],
             [one, three], "records")
        nothing_open(s)


@test
def restored_where_it_came_from():
    """restore: into the folder of origin; into INBOX where that is gone"""
    with server() as s:
        s.tool("hold", "add", "case", "--user", "ann")
        for folder in ("Work/deep", "Gone"):
            s.doveadm("mailbox", "create", "-u", "ann", folder)
            s.doveadm("save", "-u", "ann", "-m", folder,
                      stdin=fixtures.clean(1).decode())
            s.doveadm("expunge", "-u", "ann", "mailbox", folder, "all")
        s.doveadm("mailbox", "delete", "-u", "ann", "Gone")
        rows = popkeep(s, "retained", "list", "-u", "ann")
        same(sorted(r["mailbox"] for r in rows),
             ["popkeep-retained/Gone", "popkeep-retained/Work/deep"], "list")
        rows = popkeep(s, "retained", "restore", "-u", "ann", "-a")
        same(sorted((r["mailbox"], r["result"]) for r in rows),
             [("INBOX", "restored"), ("Work/deep", "restored")], "restored")
        same(popkeep(s, "retained", "list", "-u", "ann"), [], "left")
        nothing_open(s)


@test
def facts_come_back():
    """restore: what is known of a message is known of it again"""
    with server(policy='retention "r" { after-download = "7d" }') as s:
        old_mail(s, "ann", 1)
        s.tool("hold", "add", "case", "--user", "ann")
        c = s.login("ann")
        c.multi("RETR 1")
        c.ok("NOOP")
        c.ok("DELE 1")
        c.quit()
        there = popkeep(s, "retained", "list", "-u", "ann")[0]
        check(there["downloaded"] != "-", there)
        popkeep(s, "retained", "restore", "-u", "ann", "-a")
        here = popkeep(s, "explain", "-u", "ann")[0]
        same((here["mailbox"], here["uidl"], here["downloaded"]),
             ("INBOX", there["uidl"], there["downloaded"]), "facts")


@test
def delivery_comes_back():
    """restore: where no file's name says so, a message stays as old as it was"""
    with server(dovecot_set=["mail_location = sdbox:~/sdbox"]
                if dovecot_version() < (2, 4) else
                ["mail_driver = sdbox", "mail_path = ~/sdbox"]) as s:
        s.doveadm("save", "-u", "ann", "-m", "INBOX",
                  stdin=fixtures.clean(1).decode())
        popkeep(s, "sweep", "-u", "ann")
        before = popkeep(s, "explain", "-u", "ann")[0]["delivered"]
        s.restart(clock=31 * DAY)
        s.tool("hold", "add", "case", "--user", "ann")
        same(popkeep(s, "sweep", "-u", "ann")[0]["retained"], 1, "retained")
        popkeep(s, "retained", "restore", "-u", "ann", "-a")
        row = popkeep(s, "explain", "-u", "ann")[0]
        same((row["mailbox"], row["delivered"]), ("INBOX", before), "row")


@test
def a_session_keeps_others_out():
    """restore and purge: not while a session has the mailbox"""
    with server() as s:
        old_mail(s, "ann", 1)
        s.tool("hold", "add", "case", "--user", "ann")
        popkeep(s, "sweep", "-u", "ann")
        c = s.login("ann")
        for command in ("restore", "purge"):
            out = s.doveadm("popkeep", "retained", command, "-u", "ann", "-a",
                            status=65)
            check("IN-USE" in out, out)
        c.quit()
        same(len(s.retained("ann")), 1, "retained")


# Through doveadm-server, and as somebody else.

@test
def through_doveadm_server():
    """-S: the same by doveadm-server: rows, exit status and records"""
    with server() as s:
        socket = s.dir + "/.popkeep/dovecot/base/doveadm-server"
        old_mail(s, "ann", 2)
        old_mail(s, "bob", 21)
        same(popkeep(s, "explain", "-S", socket, "-u", "ann"),
             popkeep(s, "explain", "-u", "ann"), "explain")
        row = popkeep(s, "status", "-S", socket, "-u", "ann")[0]
        check("1 rules" in row["policyd"], row)
        rows = popkeep(s, "sweep", "-S", socket, "-A", status=65)
        # The server is asked of several users at once.
        same(sorted((r["username"], r["disposed"]) for r in rows),
             [("ann", 2), ("bob", 0)], "swept")
        same(len(s.events("brake", user="bob")), 1, "brake")
        # Each is a sweep of its own there.
        totals = [r["reason"] for r in s.events("sweep")]
        same((len(totals), [t for t in totals if "scope=all" in t]), (2, []),
             "totals")
        rows = popkeep(s, "sweep", "-S", socket, "-f", "-u", "bob")
        same(rows[0]["disposed"], 21, "forced")
        s.tool("hold", "add", "case", "--user", "ann")
        one = old_mail(s, "ann", 1, first=9)
        popkeep(s, "sweep", "-S", socket, "-u", "ann")
        uidl = popkeep(s, "retained", "list", "-S", socket, "-u",
                       "ann")[0]["uidl"]
        popkeep(s, "retained", "purge", "-S", socket, "-u", "ann", uidl,
                status=65)
        rows = popkeep(s, "retained", "restore", "-S", socket, "-u", "ann",
                       uidl)
        same((rows[0]["result"], s.stored("ann")), ("restored", one),
             "restored")
        nothing_open(s)


@test
def needs_the_mail_plugin():
    """without popkeep in mail_plugins doveadm's commands say what is missing"""
    with server(dovecot_set=["mail_plugins ="]) as s:
        out = s.doveadm("popkeep", "explain", "-u", "ann", status=75)
        check("popkeep must be in mail_plugins" in out, out)


@test
def not_root():
    """status and sweep by the mailbox's own user: what only root may is said"""
    needs_root()
    needs("nsenter")
    with server() as s:
        old_mail(s, "ann", 1)
        uid = str(os.stat(s.maildir("ann")).st_uid)
        home = s.dir + "/.popkeep/dovecot"
        with open(home + "/base/master.pid") as f:
            enter = ["nsenter", "--mount", "--root", "--wd", "--target",
                     f.read().strip(), "--setuid", uid, "--setgid", uid]
        out = {}
        home_is = ["-o", "mail_home=" + s.home("ann")]
        old = dovecot_version() < (2, 4)
        for command in ("status", "sweep"):
            out[command] = run(enter + [
                "env", "USER=ann", "HOME=" + s.home("ann"),
                find_program("doveadm"), "-c", home + "/dovecot.conf",
                *([] if old else home_is), "popkeep", command,
                *([] if old else ["--no-userdb-lookup"])]).decode()
        check("policyd: only root may do this" in out["status"], out)
        check("sweep is not recorded: only root may do this" in out["sweep"],
              out)
        same((s.stored("ann"), len(s.events("disposed")), s.events("sweep")),
             ([], 1, []), "files, and records")
