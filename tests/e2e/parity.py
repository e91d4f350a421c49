#!/usr/bin/env python3
"""Play scenarios (parity_make.py) to popkeepd and to Dovecot with the plugin,
and tell where they differ.

usage: parity.py [--seed SEED] [--scenarios N] [--users N] [--round ROUND]
           [--only USER] [--brief]

Prints its seed; with it, the round and the user that a difference names, one
scenario can be played again, alone.

SPDX-License-Identifier: ISC
"""
import argparse
import collections
import concurrent.futures
import contextlib
import os
import random
import re
import sys
import time

import fixtures
import parity_make
from lib import ROOT, Client, Server, check_order, find_faketime, until

THREADS = 6

# The records of messages: all others are about logins, sessions, policies.
EVENTS = ("downloaded", "downloaded-unconfirmed", "top-whole", "dispose-intent",
          "disposed", "retained", "would-dispose", "vanished", "purged",
          "restored", "closed-unknown")
FIELDS = ("event", "reason", "rule", "size", "message_id", "sha256")


class Peer(Server):
    """One of the two."""

    def __init__(self, name, users, policy, dovecot):
        super().__init__(users=["first"] + users, policy=policy,
                         dovecot=dovecot, secretless=["first"] + users)
        self.name = name
        self.sessions = 0		# that have ended, or will

    def password(self, user):
        return "pass word"

    def ended(self):
        """How many sessions the log has the end of."""
        return len(re.findall(r"\bsession: user=| Disconnected: ", self.log()))

    def settle(self):
        """Wait until all that was played has had its effects."""
        until(lambda: self.ended() >= self.sessions,
              "%d ends of sessions in the log of %s (%d)" % (
                  self.sessions, self.name, self.ended()), 60)
        return self.audit()

    def deliver_all(self, s, moment):
        home = self.maildir(s.user)
        owner = os.stat(home)
        for m in s.messages:
            if m.moment != moment:
                continue
            path = home + "/" + m.path()
            with open(path, "wb") as f:
                f.write(m.content)
                if ROOT:
                    os.fchown(f.fileno(), owner.st_uid, owner.st_gid)
            if m.received is not None:
                os.utime(path, (m.received, m.received))

    def contents(self, user):
        """place -> the contents of all messages there, sorted."""
        maildir = self.maildir(user)
        place = self.home(user) + "/popkeep-retained"
        retained = [self.stored(maildir=found) for found in
                    (place, place + "/.INBOX") if os.path.isdir(found + "/cur")]
        expired = maildir + "/.Expired"
        return {"INBOX": self.stored(maildir=maildir),
                "Retained": sorted(sum(retained, [])),
                "Expired": self.stored(maildir=expired)
                if os.path.isdir(expired) else []}

    def accident(self, user, what, name):
        """To the file of a message that is not in use."""
        for folder in ("new", "cur"):
            place = "%s/%s/" % (self.maildir(user), folder)
            for found in os.listdir(place):
                if found.split(":")[0] != name:
                    continue
                if what == "remove":
                    os.unlink(place + found)
                else:
                    os.rename(place + found, "%s/cur/%s:2,FS" % (
                        self.maildir(user), name))
                return


# ---- playing ---------------------------------------------------------------

def is_multi(command):
    words = command.upper().split()
    return words[0] in ("RETR", "TOP", "CAPA") or \
        words[0] in ("LIST", "UIDL") and len(words) == 1


class Reply:
    """To a command: its status line, and what follows."""

    def __init__(self, command, line, body):
        self.command, self.line, self.body = command, line, body

    @property
    def ok(self):
        return self.line[:3] == b"+OK"

    def __str__(self):
        text = "C: %s\nS: %.100r" % (self.command, self.line)
        if self.body is not None:
            text += " %d octets" % len(self.body)
            if not self.command.upper().startswith(("RETR", "TOP")):
                text += " %r" % self.body[:300]
        return text


def reply(c, command):
    line = c.line()
    body = None
    if line[:3] == b"+OK" and is_multi(command):
        body = c.body()
    return Reply(command, line, body)


def play(peer, user, visit):
    """The replies of one visit."""
    said = []
    for what in visit.before:
        peer.accident(user, *what.split(" ", 1))
    c = Client(peer.port)
    try:
        for command in ("USER " + user, "PASS " + peer.password(user)):
            c.send(command + "\r\n")
            said.append(reply(c, command))
        if not said[-1].ok:
            return said
        peer.sessions += 1
        converse(c, peer, user, visit, said)
    except (OSError, AssertionError) as error:
        said.append(Reply("(the connection)", str(error).encode(), None))
    finally:
        c.close()
    return said


def converse(c, peer, user, visit, said):
    for write in visit.writes:
        if write[0][0] == "!":
            peer.accident(user, *write[0][1:].split(" ", 1))
            continue
        c.send("".join(command + "\r\n" for command in write))
        for command in write:
            said.append(reply(c, command))
    if visit.end == "rst":
        c.abort()
    elif visit.end in ("quit", "quit-and-away"):
        c.send("QUIT\r\n")
        if visit.end == "quit":
            said.append(reply(c, "QUIT"))


# ---- comparing -------------------------------------------------------------

def is_cut(content):
    return content != b"" and not content.endswith(b"\n")


class Tolerance:
    """Where sizes of one may be others than those of the other: README,
    POPKEEPD AND DOVECOT.  What does not end in a line end is announced by
    Dovecot without the one that RETR adds."""

    def __init__(self, s):
        self.sizes = {len(fixtures.received(m.content)): 2
                      for m in s.messages if is_cut(m.content)}
        self.cut = len(self.sizes) > 0

    def size(self, mine, its):
        return mine == its or mine - its == self.sizes.get(mine)

    def sum(self, mine, its):
        return mine == its or self.cut and 0 < mine - its <= 2 * 10

    def numbers(self, mine, its):
        """Lines of n and size."""
        return len(mine) == len(its) and all(
            a[0] == b[0] and self.size(int(a[1]), int(b[1]))
            for a, b in zip(mine, its))


def capabilities(body):
    return sorted(l for l in body.split(b"\r\n") if re.match(
        b"(EXPIRE|LOGIN-DELAY|TOP|UIDL|PIPELINING)", l))


def same_reply(t, mine, its):
    if mine.ok != its.ok or (mine.body is None) != (its.body is None):
        return False
    word = mine.command.upper().split()[0]
    if not mine.ok:
        return (mine.line == b"") == (its.line == b"")
    if word == "STAT":
        a, b = mine.line.split()[1:3], its.line.split()[1:3]
        return a[0] == b[0] and t.sum(int(a[1]), int(b[1]))
    if word == "LIST" and mine.body is None:
        return t.numbers([mine.line.split()[1:3]], [its.line.split()[1:3]])
    if word == "LIST":
        return t.numbers(*([l.split() for l in r.body.splitlines()]
                           for r in (mine, its)))
    if word == "UIDL" and mine.body is None:
        return mine.line.split()[1:3] == its.line.split()[1:3]
    if word == "CAPA":
        return capabilities(mine.body) == capabilities(its.body)
    return mine.body == its.body or (mine.body, its.body) == (b"", b"\r\n")


def compare_replies(t, mine, its):
    for a, b in zip(mine, its):
        if not same_reply(t, a, b):
            yield "reply to %s" % a.command
    if len(mine) != len(its):
        yield "the number of replies"


def of_messages(records):
    """user -> message -> its records in order."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        if r["event"] in EVENTS:
            found[r["user"]][r.get("uidl")].append(
                tuple(r.get(f) for f in FIELDS))
    return found


def same_records(t, mine, its):
    return len(mine) == len(its) and all(
        a[:3] + a[4:] == b[:3] + b[4:] and t.size(a[3] or 0, b[3] or 0)
        for a, b in zip(mine, its))


def removed(s):
    """The messages that somebody removes during a session."""
    return {write[len("!remove "):] for visit in s.visits
            for writes in visit.writes for write in writes
            if write.startswith("!remove ")}


def without_vanished(records):
    """Dovecot has not seen the name of what has gone before it looked."""
    events = [r[0] for r in records]
    for last in (["dispose-intent", "vanished"], ["would-dispose"]):
        if events[-len(last):] == last:
            return records[:-len(last)]
    return records


def compare_records(t, gone, mine, its):
    for uidl in sorted(set(mine) | set(its), key=str):
        of_mine, of_its = mine.get(uidl, []), its.get(uidl, [])
        if not same_records(t, of_mine, of_its) and not (
                uidl in gone and
                same_records(t, without_vanished(of_mine), of_its)):
            yield "records of %s" % uidl


def compare(s, said, records, places):
    """What differs, in words.  Each argument but s is a pair."""
    t = Tolerance(s)
    for visit in range(len(said[0])):
        for what in compare_replies(t, said[0][visit], said[1][visit]):
            yield "visit %d: %s" % (visit, what)
    yield from compare_records(t, removed(s), *records)
    for place in places[0]:
        if places[0][place] != places[1][place]:
            yield "what is in " + place


# ---- telling ---------------------------------------------------------------

def name_of(content):
    found = re.search(rb"Message-ID: <(.*?)@", content)
    return found[1].decode() if found else repr(content[:30])


def tell(peers, s, differences, said, records, places):
    out = ["---- " + "; ".join(differences), str(s)]
    for i, peer in enumerate(peers):
        out.append("said by " + peer.name)
        for visit, replies in zip(s.visits, said[i]):
            out.append("  moment %d" % visit.moment)
            out += ["    " + l for r in replies for l in str(r).split("\n")]
    for i, peer in enumerate(peers):
        out.append("recorded by " + peer.name)
        for uidl in sorted(records[i], key=str):
            out.append("  %s" % uidl)
            out += ["    " + " ".join("%s" % v for v in r if v is not None)
                    for r in records[i][uidl]]
    for i, peer in enumerate(peers):
        out.append("left by %s: %s" % (peer.name, ", ".join(
            "%s: %s" % (p, " ".join(name_of(c) for c in found) or "nothing")
            for p, found in places[i].items())))
    return "\n".join(out)


# ---- rounds ----------------------------------------------------------------

def all_at_once(function, items):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))


def start(peer, at):
    peer.clock = int(at - time.time())
    peer.start()
    return peer


def play_moment(peers, scenarios, moment, said):
    def both(s):
        for visit in s.visits:
            if visit.moment == moment:
                for peer in peers:
                    said[peer.name, s.user].append(play(peer, s.user, visit))
    all_at_once(both, scenarios)


def play_round(seed, scenarios, tally):
    """The differences, each as a text; tally counts what was recorded."""
    users = [s.user for s in scenarios]
    policy = parity_make.head(seed) + "".join(s.policy() for s in scenarios)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(contextlib.closing(Closing(p))).peer
                 for p in (Peer("popkeepd", users, policy, False),
                           Peer("Dovecot", users, policy, True))]
        said = collections.defaultdict(list)
        records = None
        for moment, at in enumerate(parity_make.moments(seed)):
            all_at_once(lambda p: start(p, at), peers)
            for peer in peers:
                for s in scenarios:
                    peer.deliver_all(s, moment)
            play_moment(peers, scenarios, moment, said)
            records = all_at_once(Peer.settle, peers)
            all_at_once(Peer.stop, peers)
        for found in records:
            check_order(found)
        tally.update("%s %s" % (r["event"], r.get("reason", "").split(":")[0])
                     for r in records[0] if r["event"] in EVENTS)
        found = [of_messages(r) for r in records]
        for s in scenarios:
            args = ([said[p.name, s.user] for p in peers],
                    [f[s.user] for f in found],
                    [p.contents(s.user) for p in peers])
            differences = list(compare(s, *args))
            if differences:
                yield tell(peers, s, differences, *args)


class Closing:
    """A Server ends with the round, however that ends."""

    def __init__(self, peer):
        self.peer = peer

    def close(self):
        self.peer.__exit__(*sys.exc_info())


def run(seed, count, users=100, only_round=None, only=None, brief=False):
    """Play count scenarios; the number of those that differ."""
    find_faketime()			# or skip
    differ, tally = 0, collections.Counter()
    for number in range((count + users - 1) // users):
        if only_round is not None and number != only_round:
            continue
        of_round = "%s-%d" % (seed, number)
        names = ["u%d" % i for i in range(min(users, count - number * users))]
        scenarios = [parity_make.scenario(of_round, n) for n in names
                     if only in (None, n)]
        began = time.monotonic()
        for text in play_round(of_round, scenarios, tally):
            differ += 1
            print("seed %s, round %d: %s" % (
                seed, number, "\n".join(text.split("\n")[:2])
                if brief else text))
        print("round %d: %d scenarios in %.1f s, %d differ" % (
            number, len(scenarios), time.monotonic() - began, differ),
            flush=True)
    print("recorded: " + ", ".join("%s (%d)" % (what.strip(), n)
                                   for what, n in sorted(tally.items())))
    return differ


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", default=str(random.SystemRandom().randrange(
        10 ** 6)))
    p.add_argument("--scenarios", type=int, default=200)
    p.add_argument("--users", type=int, default=100)
    p.add_argument("--round", type=int)
    p.add_argument("--only")
    p.add_argument("--brief", action="store_true")
    a = p.parse_args()
    print("seed %s" % a.seed, flush=True)
    return 1 if run(a.seed, a.scenarios, a.users, a.round, a.only,
                    a.brief) else 0


if __name__ == "__main__":
    sys.exit(main())
