#!/usr/bin/env python3
"""A measurement, not a test: does the time of APOP tell who exists, or whom the
policy refuses?

usage: timing.py [TRIES]         (default 10000 of each kind)

Asks for a user that exists with a wrong digest, for one that does not, and for
one whom the policy refuses, with a wrong digest and with the right one, in turns
and in random order, and compares the medians.  Below 0.1 ms apart is good.  The
delay of refused logins is off.

SPDX-License-Identifier: ISC
"""
import hashlib
import os
import random
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from lib import Server, check  # noqa: E402


WARM = 100		# tries before it counts


def main():
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    for through in ("pam", "store"):
        print("apop-through = %s" % through)
        measure(tries, through)


# Who is asked for -> what that is.
KINDS = {
    "ann": "wrong digest",
    "eve": "unknown user",
    "bob": "refused, wrong digest",
    "carol": "refused, right digest",
}
POLICY = """
apop { rule "no" { users = { "bob", "carol" } allow = never }
       rule "yes" { allow = always } }
"""


def measure(tries, through):
    with Server(users=("ann", "bob", "carol"), policy=POLICY, settings=[
            "max-failures = 1000", "failure-delay = 0",
            "failure-delay-max = 0", "apop-through = " + through]) as s:
        times = {name: [] for name in KINDS}
        order = list(times) * (tries + WARM)
        random.shuffle(order)
        c = None
        for number, name in enumerate(order):
            if number % 900 == 0:
                if c:
                    c.abort()
                c = s.connect()
                stamp = c.greeting[c.greeting.index(b"<"):
                                   c.greeting.index(b">") + 1]
            right = hashlib.md5(stamp + s.secret(name).encode()).hexdigest()
            digest = right if name == "carol" else os.urandom(16).hex()
            line = ("APOP %s %s\r\n" % (name, digest)).encode()
            start = time.perf_counter()
            c.socket.sendall(line)
            reply = c.line()
            times[name].append(time.perf_counter() - start)
            check(reply.startswith(b"-ERR [AUTH]"), "reply %r" % reply)
        c.abort()
    medians = []
    for name, what in KINDS.items():
        kept = sorted(times[name][WARM:])
        medians.append(statistics.median(kept))
        print("%-21s %6d tries, median %.4f ms, 10 %% %.4f ms, 90 %% %.4f ms" %
              (what, len(kept), medians[-1] * 1e3,
               kept[len(kept) // 10] * 1e3, kept[len(kept) * 9 // 10] * 1e3))
    apart = (max(medians) - min(medians)) * 1e3
    print("medians are %.4f ms apart: %s" % (
        apart, "good" if apart < 0.1 else "NOT good, 0.1 ms is the limit"))


if __name__ == "__main__":
    main()
