"""Dovecot's processes and policyd killed at any instant: nothing is lost, nothing
goes without its record, and the next session works and closes what was open.

SPDX-License-Identifier: ISC
"""
import concurrent.futures
import contextlib
import os
import random
import re
import signal
import threading
import time

from dovecot_mail import dovecot, imap, mark
from fixtures import clean
from lib import (check, check_order, dovecot_version, each, family, same,
                 until)
from test_policy_audit import (COUNT, KILLS, POLICY, USERS, await_intent,
                               log_size, session)

VICTIMS = {"pop3": "dovecot/pop3( |$)", "imap": "dovecot/imap( |$)",
           "auth": "dovecot/auth( |$)", "policyd": "\\S*/popkeep-policyd "}


class Mail:
    """What was delivered: each message has a number of its own."""

    def __init__(self, s):
        self.s, self.count = s, 0
        self.of = {user: {} for user in USERS}	# unique-id -> number

    def places(self, user):
        retained = self.s.home(user) + "/popkeep-retained"
        return {"INBOX": self.s.maildir(user),
                "Retained": retained + "/.INBOX" if
                dovecot_version() < (2, 4) else retained,
                "Expired": self.s.maildir(user) + "/.Expired"}

    def there(self, user):
        """place -> the numbers of the messages in it."""
        return {place: [int(re.search(rb"<clean-(\d+)@", text)[1])
                        for text in self.s.stored(user, path)]
                if os.path.isdir(path + "/cur") else []
                for place, path in self.places(user).items()}

    def fill(self, user):
        for _ in range(COUNT - len(self.s.stored(user))):
            self.count += 1
            path = self.s.deliver(user, clean(self.count))
            self.of[user][os.path.basename(path)] = self.count


def by_imap(s, user, start):
    """Two expunged, and QUIT's part by whoever comes next."""
    with contextlib.suppress(Exception), imap(s, user) as c:
        mark(c, "1,3")
        start.wait(s.patience)
        time.sleep(random.random() * 0.003)
        c.expunge()


def strike(s, what, after):
    """Kill the processes of that kind a moment from now; how many."""
    pids = [pid for pid, line in family(s.process.pid).items()
            if re.match(VICTIMS[what], line)]
    if after is None:
        time.sleep(random.random() * 0.02)
    else:
        await_intent(s, after)
        time.sleep(random.random() * 0.005)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def one_round(s, what, after):
    """All users at once, and a kill."""
    start = threading.Barrier(len(USERS) + 1)
    act = by_imap if what == "imap" else session
    with concurrent.futures.ThreadPoolExecutor(len(USERS)) as pool:
        jobs = [pool.submit(act, s, user, start) for user in USERS]
        start.wait(s.patience)
        killed = strike(s, what, after)
        for job in jobs:
            job.result()
    return killed


def next_session(s, user):
    with contextlib.suppress(OSError, AssertionError):
        s.login(user).quit()
        return True


def judge(mail):
    """Each message is where it may be, and what is gone has its record."""
    records = mail.s.audit()
    same(check_order(records), set(), "open intents")
    histories = {}
    for r in records:
        if "uidl" in r:
            histories.setdefault((r["user"], r["uidl"]), []).append(r["event"])
    for user in USERS:
        there = mail.there(user)
        for place, found in there.items():
            # What a killed session has retained, another may retain again:
            # rather that than to delete what is under a hold.
            if place != "Retained":
                same(len(set(found)), len(found), "%s of %s: none twice" % (
                    place, user))
        for uidl, number in mail.of[user].items():
            history = histories.get((user, uidl), [])
            what = "message %d of %s: %s" % (number, user, history)
            if number in there["INBOX"]:
                check("disposed" not in history and "retained" not in history,
                      what + ", is there")
                continue
            check("dispose-intent" in history and history[-1] in
                  ("disposed", "retained", "closed-unknown"), what)
            if user in ("minimum", "held"):
                check(number in there["Retained"], what + ", is lost")
            if user == "folder" and "after-download" in str(records):
                check(number in there["Expired"] or "dele" in [
                    r["reason"] for r in records if r.get("uidl") == uidl and
                    r["event"] == "dispose-intent"], what + ", is lost")
        known = set(mail.of[user].values())
        same(set(sum(there.values(), [])) - known, set(), "from nowhere")
    return records


@each(("pop3", 20), ("imap", 8), ("policyd", 8), ("auth", 4))
def killed(what, rounds):
    """killed in UPDATE: nothing lost, nothing without its record"""
    random.seed()
    number = struck = 0
    # A killed process leaves locks, and those of O_EXCL may be without its pid:
    # Dovecot waits two minutes for them, popkeep or not; for others as well if
    # the pid is another process's by now.
    with dovecot(POLICY, users=USERS, settings=["audit-seal = 1"],
                 lines=["dotlock_use_excl = no"]) as s:
        s.deaths = True
        s.patience = 150
        s.seal_audit()
        mail = Mail(s)
        for user in USERS:
            s.fill(user, [])
        # auth has no part in UPDATE: no kill of it is amid one.
        while number < rounds * KILLS or (
                what != "auth" and number < 10 * rounds * KILLS and
                not s.events("closed-unknown")):
            for user in USERS:
                mail.fill(user)
            struck += one_round(s, what, log_size(s) if number % 2 and
                                what != "auth" else None)
            number += 1
            if what == "policyd":
                until(lambda: len(s.events("start", settle=False)) > number,
                      "policyd is back")
            for user in USERS:
                until(lambda: next_session(s, user), "a session of " + user,
                      s.patience)
        records = judge(mail)
        s.verify_audit()
        closed = [r for r in records if r["event"] == "closed-unknown"]
        print("%d rounds, %d processes killed, %d messages, %d intents, "
              "%d closed" % (number, struck, mail.count, sum(
                  r["event"] == "dispose-intent" for r in records),
                  len(closed)))
        check(closed or what == "auth",
              "no kill between an intent and its outcome")
