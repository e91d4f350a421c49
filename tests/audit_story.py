#!/usr/bin/env python3
"""Audit logs as months of popkeep would leave them, made up but chained.

usage: tests/audit_story.py [--days N] [--users N] [--seed N] [--host NAME]
           [--octets N] > audit.log

SPDX-License-Identifier: ISC
"""
import argparse
import datetime
import hashlib
import json
import random
import sys

EPOCH = datetime.datetime(1970, 1, 1)
BEGIN = int((datetime.datetime(2026, 8, 1) - EPOCH).total_seconds())
HELD = 20 * 86400 + 36000
ORDER = ("session", "user", "peer", "ip", "tls", "mech", "uidl", "size",
         "rule", "reason", "policy")


def spell(text):
    """As the log does: %XX for all but printable ASCII without "%"."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    return "".join(chr(c) if 0x20 <= c < 0x7F and c != 0x25 else "%%%02X" % c
                   for c in text)


class Log:
    """Records in, lines out; each has the hash of the one before."""

    def __init__(self, out, host):
        self.out, self.host = out, host
        self.seq, self.prev, self.octets = 0, "0" * 64, 0
        self.policy = hashlib.sha256(b"1").hexdigest()

    def add(self, seconds, event, **fields):
        self.seq += 1
        when = EPOCH + datetime.timedelta(seconds=seconds)
        fields.setdefault("peer", {"uid": 0, "pid": 611})
        fields.setdefault("policy", self.policy)
        record = {"v": 1, "seq": self.seq,
                  "time": when.isoformat(timespec="microseconds") + "Z",
                  "host": spell(self.host), "event": event}
        for key in ORDER:
            value = fields.get(key)
            if value not in (None, ""):
                record[key] = spell(value) if isinstance(value, str) else value
        record["prev"] = self.prev
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        self.prev = hashlib.sha256(line).hexdigest()
        self.octets += len(line)
        self.out.write(line)


RULES = ("download-and-delete", "finance-60d", "archive", "")
ADDRESSES = ["198.51.100.%d" % n for n in range(2, 40)] + \
    ["2001:db8:%x::%x" % (n, 7 * n) for n in range(1, 9)] + \
    ["10.0.%d.9" % n for n in range(6)]
BAD = ["203.0.113.%d" % n for n in range(1, 12)] + ["2001:db8:bad::1"]


class User:
    def __init__(self, rand, number):
        self.name = "%s%d@example.org" % (rand.choice(
            ("anna", "ben", "carla", "dmitri", "elif", "farid")), number)
        self.rule = rand.choice(RULES)
        self.mech = rand.choices(("PLAIN", "USER", "LOGIN", "APOP"),
                                 (6, 3, 2, 3))[0]
        self.ips = rand.sample(ADDRESSES, rand.choice((1, 1, 2, 4)))
        self.held = number % 13 == 5
        self.number = 0

    def uidl(self, seconds):
        self.number += 1
        return "%d.M%dP%d.mx1" % (seconds, self.number, 611)


class Story:
    def __init__(self, log, rand, users):
        self.log, self.rand = log, rand
        self.users = [User(rand, n) for n in range(users)]

    def outcome(self, t, c, uidl, size, event, reason):
        self.log.add(t, "dispose-intent", uidl=uidl, size=size,
                     reason=reason, **c)
        if self.rand.random() < 0.997:
            self.log.add(t + 0.004, event, uidl=uidl, size=size,
                         reason=reason, **c)
        elif self.rand.random() < 0.6:
            self.log.add(t + 7200, "closed-unknown", uidl=uidl, size=size,
                         reason="interrupted: the message is gone", **c)

    def session(self, t, u):
        r = self.rand
        tls = u.mech not in ("APOP", "USER") or r.random() < 0.4
        c = dict(session="%08x" % r.getrandbits(32), user=u.name,
                 ip=r.choice(u.ips), tls=tls, mech=u.mech, rule=u.rule)
        self.log.add(t, "login", **c)
        if u.mech == "APOP" and t > BEGIN + 60 * 86400:
            self.log.add(t, "apop-warn", **c)
        for _ in range(r.choice((0, 0, 1, 1, 2, 5, 9))):
            uidl, size = u.uidl(int(t)), r.randrange(900, 90000)
            sure = r.random() < 0.94
            self.log.add(t + 1, "downloaded" if sure else
                         "downloaded-unconfirmed", uidl=uidl, size=size, **c)
            if u.held and t > BEGIN + HELD:
                self.outcome(t + 2, c, uidl, size, "retained",
                             "hold:case-2026-17")
            elif u.rule == "download-and-delete" and sure:
                self.outcome(t + 2, c, uidl, size, "disposed",
                             "after-download")
            elif u.rule == "archive" and r.random() < 0.3:
                self.outcome(t + 2, c, uidl, size, "retained", "minimum")
            elif r.random() < 0.35:
                self.outcome(t + 2, c, uidl, size, "disposed", "dele")
            elif u.rule == "finance-60d" and r.random() < 0.02:
                self.log.add(t + 2, "would-dispose", uidl=uidl, size=size,
                             reason="after-delivery", **c)

    def attack(self, t):
        r = self.rand
        for _ in range(r.choice((1, 2, 3, 40))):
            t += 3
            self.log.add(t, "login-failed", mech="PLAIN", ip=r.choice(BAD),
                         tls=r.random() < 0.5, session="f",
                         user=r.choice(("root", "admin", "test", "info",
                                        "<script>alert(1)</script>",
                                        r.choice(self.users).name)),
                         reason=r.choice(("unknown user or wrong digest",
                                          "PAM: Authentication failure")))

    def sweep(self, t):
        r, count = self.rand, 0
        for u in self.users:
            if u.rule != "finance-60d" or (u.held and t > BEGIN + HELD):
                continue
            c = dict(user=u.name, rule=u.rule)
            for _ in range(r.choice((0, 0, 1, 3))):
                count += 1
                self.outcome(t, c, u.uidl(int(t) - 60 * 86400),
                             r.randrange(900, 90000), "disposed", r.choice(
                                 ("after-delivery", "after-delivery",
                                  "unread")))
        if r.random() < 0.05:
            self.log.add(t, "brake", user=self.users[1].name,
                         rule="finance-60d", reason="sweep: 31 of 40 messages "
                         "would go, more than max-share = 50%")
        self.log.add(t + 60, "sweep", reason="mailboxes=%d disposed=%d "
                     "retained=0 purged=0 vanished=0 left=0 would=0 doubles=0 "
                     "closed=0 busy=0 braked=0 failed=0 by root (uid 0)" % (
                         len(self.users), count))

    def new_policy(self, t, who):
        self.log.policy = hashlib.sha256(b"%d" % t).hexdigest()
        self.log.add(t, "policy", reason=who)

    def day(self, day):
        log, r, t = self.log, self.rand, BEGIN + day * 86400
        if day == 0:
            log.add(t, "start", reason="0.1.0")
            self.new_policy(t + 1, "start")
        if day == HELD // 86400:
            self.new_policy(t + 36000, "by mona (uid 1000, sudo mona): Q3")
            log.add(t + 36000, "hold", reason="hold:case-2026-17 by mona "
                    "(uid 1000, sudo mona): by order of the court")
        if day == 70:
            log.add(t, "stop")
            log.add(t + 9, "start", reason="0.1.0")
            log.add(t + 10, "hold", reason="hold:audit-q3 by root (uid 0): "
                    "tax audit \u2013 Pr\u00fcfung")
            log.add(t + 80000, "release", reason="hold:audit-q3 by root (uid "
                    "0): done")
        self.sweep(t + 10800)
        weekend = day % 7 in (0, 1)
        for u in self.users:
            for _ in range(r.choice((0, 0, 1) if weekend else (0, 1, 1, 2))):
                self.session(t + 21600 + r.random() * 50000, u)
        if r.random() < 0.4:
            self.attack(t + 72000)


def write(out, host, days, users, seed, octets=0):
    """That many days; with octets, on until there are so many."""
    rand = random.Random(seed)
    log = Log(out, host)
    story = Story(log, rand, users)
    day = 0
    while day < days or log.octets < octets:
        story.day(day)
        day += 1
    return log


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--days", type=int, default=110)
    p.add_argument("--users", type=int, default=60)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--octets", type=int, default=0)
    p.add_argument("--host", default="mx1.example.org")
    a = p.parse_args()
    write(sys.stdout.buffer, a.host, a.days, a.users, a.seed, a.octets)


if __name__ == "__main__":
    main()
