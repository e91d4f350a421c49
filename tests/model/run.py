#!/usr/bin/env python3
"""The verdicts of engine/decide.c against the model, and against themselves.

usage: run.py [-n CASES] [-s SEED]... PROGRAM

PROGRAM is tests/decide_cases.  Random cases lie where limits are: a second
before, at, and after.  Without -s: the seeds of the file "seeds" and a fresh
one; -n counts the cases of all seeds together.

SPDX-License-Identifier: ISC
"""
import argparse
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
import policy_model as model  # noqa: E402
from policy_model import NEVER, Answer, Case  # noqa: E402

HERE = os.path.dirname(os.path.realpath(__file__))
LEAST = -2 ** 63
DAY = 86400
SHOWN = 10		# complaints in full

# What a verdict may be; every one must be met, or the cases have no teeth.
LIMITS = ("after-download", "after-delivery", "unread")
EXPECTED = (
    {("keep", "none", "none"), ("keep", "hold", "none"),
     ("keep", "minimum", "none"), ("dispose", "released", "none"),
     ("dispose", "dele", "dele")} |
    {("keep", "none", limit) for limit in LIMITS} |
    {("dispose", limit, limit) for limit in LIMITS} |
    {("retain", why, cause) for why in ("hold", "minimum")
     for cause in ("dele",) + LIMITS})


def fit(number):
    return max(LEAST, min(NEVER, number))


# ---- cases -----------------------------------------------------------------

class Maker:
    """Random cases of one seed."""

    WILD = (0, 0, 1, -1, 2, NEVER, NEVER - 1, NEVER - 2, LEAST, LEAST + 1,
            2 ** 62, -2 ** 62, 2 ** 32, 2 ** 31, 10 ** 9)

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def often(self, share):
        return int(self.rng.random() < share)

    def now(self):
        return {"tiny": lambda: self.rng.randrange(1, 9),
                "real": lambda: 1_800_000_000 + self.rng.randrange(DAY),
                "wild": lambda: self.rng.choice(self.WILD)}[self.world]()

    def duration(self):
        if self.often(0.25):
            return NEVER
        if self.world == "wild" or self.often(0.02):
            return self.rng.choice(self.WILD)
        if self.world == "tiny":
            return self.rng.randrange(0, 6)
        return self.rng.choice((0, 1, 3600, DAY, 7 * DAY, 60 * DAY,
                                365 * DAY))

    def near(self, now, durations):
        """A time from which one of the durations ends at about now."""
        if self.often(0.05) or (self.world == "wild" and self.often(0.5)):
            return self.rng.choice(self.WILD)
        if self.often(0.1):
            return 0
        if self.world == "tiny":
            return self.rng.randrange(0, 10)
        return fit(now - self.rng.choice(durations) +
                   self.rng.choice((-1, 0, 0, 0, 1, 2)))

    def end(self, now, starts, durations):
        """An instant about now, or about one at which something ends."""
        if self.often(0.3):
            return self.near(now, (0, 0, 0) + durations)
        if self.often(0.1):
            return self.rng.choice(self.WILD)
        return fit(self.rng.choice(starts) + self.rng.choice(durations) +
                   self.rng.choice((-1, 0, 0, 1)))

    def case(self):
        self.world = self.rng.choices(("tiny", "real", "wild"),
                                      (45, 40, 15))[0]
        now = self.now()
        download, delivery, unread = (self.duration() for _ in range(3))
        minimum = self.rng.choice((0, self.duration(), download, delivery,
                                   unread))
        durations = (0, download, delivery, unread, minimum)
        delivered, since, downloaded, read, last = (
            self.near(now, durations) for _ in range(5))
        starts = (now, delivered, since, downloaded)
        limit = self.rng.choice((0, 0, 1, 2, 3, 2 ** 32 - 1))
        return Case(
            has_rule=self.often(0.9), after_download=download,
            after_delivery=delivery, unread=unread,
            unread_from=self.often(0.5), minimum=minimum,
            unconfirmed_limit=limit,
            effective_from=self.rng.choice(
                (0, 0, 0, self.end(now, starts, durations))),
            rule_dry_run=self.often(0.1), braked=self.often(0.15),
            holds=self.rng.choice((0, 0, 0, 1, 2)),
            held_until=self.rng.choice(
                (NEVER, self.end(now, starts, durations))),
            file_dry_run=self.often(0.1), clock_brake=self.often(0.1),
            delivered=delivered, facts_since=since,
            facts_lost=self.often(0.3),
            downloaded=downloaded * self.often(0.4),
            read=read * self.often(0.2),
            unconfirmed=max(0, min(2 ** 32 - 1, self.rng.choice(
                (0, limit - 1, limit, limit + 1)))),
            unconfirmed_last=last,
            occasion=self.rng.choice((model.QUIT, model.QUIT, model.SWEEP,
                                      model.RETAINED)),
            dele=self.often(0.3), just_downloaded=self.often(0.3),
            top_whole=self.often(0.15), now=now)


# ---- what may make a message no less safe ----------------------------------

def with_a_hold(case, rng):
    until = rng.choice((NEVER, fit(case.now + 1)))
    if case.holds > 0:
        until = max(until, case.held_until)
    return case._replace(holds=case.holds + 1, held_until=until)


def with_a_longer_minimum(case, rng):
    return case._replace(minimum=fit(
        max(case.minimum, 0) + rng.choice((1, 2, DAY, NEVER))))


def without_facts(case, rng):
    if case.unread <= 0:
        return None		# not even a second to read it in
    return case._replace(facts_lost=1, facts_since=rng.choice((0, case.now)),
                         downloaded=0, read=0, unconfirmed=0,
                         unconfirmed_last=0)


def without_downloads(case, rng):
    lost = rng.choice((("downloaded",), ("unconfirmed",),
                       ("unconfirmed_last",), ("downloaded", "unconfirmed")))
    return case._replace(unread=NEVER, **dict.fromkeys(lost, 0))


def with_a_brake(case, rng):
    return case._replace(**{rng.choice(("braked", "clock_brake")): 1})


def without_dele(case, rng):
    return case._replace(dele=0)


def with_a_longer_limit(case, rng):
    name = rng.choice(("after_download", "after_delivery", "unread"))
    return case._replace(**{name: fit(
        getattr(case, name) + rng.choice((1, DAY, NEVER)))})


def without_delivery(case, rng):
    return case._replace(delivered=0)


SAFER = (with_a_hold, with_a_longer_minimum, without_facts,
         without_downloads, with_a_brake, without_dele, with_a_longer_limit,
         without_delivery)


# ---- what holds at other times ---------------------------------------------

def settled(case):
    """The case with what this session did as facts; None: cannot be said."""
    if case.occasion != model.QUIT:
        return case
    if case.top_whole:
        case = case._replace(read=1, top_whole=0)
    if case.just_downloaded:
        if case.now <= 0:
            return None
        first = case.now
        if case.downloaded > 0:
            first = min(first, case.downloaded)
        case = case._replace(downloaded=first, just_downloaded=0)
    return case


def moments(case, changes, rng):
    """(time, is the verdict still the same?) after case.now."""
    last = changes - 1 if changes < NEVER else NEVER
    if last > case.now:
        yield last, True
        yield rng.randint(case.now, last), True
    if changes < NEVER:
        yield changes, False


# ---- running ---------------------------------------------------------------

class Checks:
    def __init__(self, program):
        self.program = program
        self.complaints = 0

    def answers(self, cases):
        """What the program says of each."""
        text = "".join(" ".join(map(str, case)) + "\n" for case in cases)
        done = subprocess.run([self.program], input=text, text=True,
                              stdout=subprocess.PIPE, check=True)
        lines = done.stdout.splitlines()
        if len(lines) != len(cases):
            sys.exit("run.py: %d cases, %d answers" % (len(cases),
                                                       len(lines)))
        for line in lines:
            *words, changes = line.split()
            yield Answer(*words, int(changes))

    def complain(self, what, case, *answers):
        self.complaints += 1
        if self.complaints > SHOWN:
            return
        print(what)
        print("   ", " ".join("%s=%d" % field for field in
                              case._asdict().items() if field[1] != 0))
        for answer in answers:
            print("   ", " ".join(map(str, answer)))

    def check(self, seed, count, seen):
        maker = Maker(seed)
        cases = [maker.case() for _ in range(count)]
        others = []		# (check, index of its case, variant)
        for i, case in enumerate(cases):
            for change in maker.rng.sample(SAFER, 2):
                variant = change(case, maker.rng)
                if variant is not None:
                    others.append((change.__name__, i, variant))
        answers = list(self.answers(cases + [case for _, _, case in others]))
        where = "seed %d: " % seed
        for case, answer in zip(cases, answers):
            expected = model.decide(case)
            seen.add(answer[:3])
            if answer != expected:
                self.complain(where + "program and model disagree", case,
                              answer, expected)
        for (name, i, variant), answer in zip(others, answers[count:]):
            if answer.verdict == "dispose" and (
                    name == with_a_hold.__name__ or
                    answers[i].verdict != "dispose"):
                self.complain(where + "%s disposes of it: " % name + str(
                    variant), cases[i], answers[i], answer)
        self.check_times(where, cases, answers, maker.rng)

    def check_times(self, where, cases, answers, rng):
        probes = []
        for case, answer in zip(cases, answers):
            case = settled(case)
            if case is None:
                continue
            if answer.changes <= case.now < NEVER:
                self.complain(where + "changes before now", case, answer)
            probes += [(case._replace(now=time), same, answer) for time, same
                       in moments(case, answer.changes, rng)]
        for (case, same, before), answer in zip(
                probes, self.answers([probe[0] for probe in probes])):
            if (answer.verdict == before.verdict) != same:
                self.complain(where + "changes is wrong", case, before, answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=120_000)
    parser.add_argument("-s", type=int, action="append")
    parser.add_argument("program")
    args = parser.parse_args()
    seeds = args.s
    if seeds is None:
        with open(os.path.join(HERE, "seeds")) as f:
            seeds = [int(line) for line in f]
        seeds.append(random.SystemRandom().randrange(2 ** 32))
    print("seeds:", *seeds)
    count = -(-args.n // len(seeds))
    checks = Checks(args.program)
    seen = set()
    for seed in seeds:
        checks.check(seed, count, seen)
    if seen != EXPECTED:
        print("not met:", *sorted(EXPECTED - seen))
        print("met, and impossible:", *sorted(seen - EXPECTED))
        checks.complaints += 1
    print("%d cases, %d complaints" % (count * len(seeds), checks.complaints))
    sys.exit(checks.complaints > 0)


if __name__ == "__main__":
    main()
