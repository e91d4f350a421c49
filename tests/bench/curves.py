#!/usr/bin/env python3
"""How the cost of a session grows, for popkeepd and the other servers that are
installed: with the size of mailboxes and messages, with connections, rules and users.

usage: curves.py --out DIR [--quick] [--only CURVE]... [--dir DIR]

In DIR it writes a picture (CURVE.svg) and the figures (curves.txt).  CURVE: messages,
listing, octets, connections, memory, rules, users.  Needs Debian's python3-matplotlib
for the pictures; without it there are figures alone.  "make bench-tools" first; as
root, with some 20 GB in the --dir that mail is made in (a new one in /tmp).

SPDX-License-Identifier: ISC
"""
import argparse
import contextlib
import os
import resource
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import bench  # noqa: E402
import peers  # noqa: E402
from bench import CPU, PSS, Mail, Work  # noqa: E402

ALL = ("nullpop", "popkeepd", "dove-def", "dove-hpcl")
RULE = 'retention "r%d" { users = { "nobody-%d" } after-download = "9d" }\n'


class Curve:
    """points: x -> Work; most: the last x of a peer that would take hours."""

    def __init__(self, title, unit, points, most=()):
        self.title, self.unit, self.points = title, unit, points
        self.most = dict(most)

    def peers_at(self, x):
        return [n for n in ALL if x <= self.most.get(n, x) and
                peers.PEERS[n].here()]


def rules(n):
    return "".join(RULE % (i, i) for i in range(n - 1)) + peers.POLICY


def storm(users, **more):
    return Work("login", Mail(users, 10, 1024, **more),
                "-m login -c %d" % min(users, 32))


def clients(n):
    return Work("login", Mail(max(n, 100), 2, 1024), "-m login -c %d" % n)


def fewer(n):
    """Sessions: not so many that those by which we count take minutes."""
    return 20000 if n < 10000 else 600


def held(n):
    return Work("idle", Mail(n, 2, 1024), "-m idle -c %d --ramp 16" % n, PSS, n,
                fresh=True)


def series(function, *values):
    return {x: function(x) for x in values}


CURVES = {
    "messages": Curve("A login by the messages in its mailbox", "messages", series(
        lambda n: Work("login", Mail(1, n, 1024), "-m login -c 1",
                       sessions=fewer(n)),
        10, 100, 1000, 10000, 100000, 1000000),
        (("dove-def", 100000), ("dove-hpcl", 100000))),
    "listing": Curve("UIDL and LIST by the messages in the mailbox", "messages",
                     series(lambda n: Work("list", Mail(1, n, 1024),
                                           "-m list -c 1", sessions=fewer(n)),
                            10, 100, 1000, 10000, 100000, 1000000),
                     (("dove-def", 100000), ("dove-hpcl", 100000))),
    "octets": Curve("One RETR by the size of the message", "octets", series(
        lambda n: Work("retr", Mail(1, 1, n), "-m retr -c 1",
                       sessions=fewer(n // 100)),
        1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000)),
    "connections": Curve("A login by connections at once", "connections",
                         series(clients, 1, 10, 100, 1000, 10000),
                         (("dove-def", 1000), ("dove-hpcl", 1000))),
    "memory": Curve("Memory of an idle connection, logged in", "connections",
                    series(held, 1, 10, 100, 1000, 10000),
                    (("dove-def", 1000), ("dove-hpcl", 1000))),
    "rules": Curve("A login by the rules of the policy", "rules", series(
        lambda n: storm(100, policy=rules(n)), 1, 10, 100, 1000, 10000),
        (("nullpop", 0), ("dove-def", 0), ("dove-hpcl", 0))),
    "users": Curve("A login by the users that log in", "users", series(
        storm, 1, 10, 100, 1000, 10000),
        (("dove-def", 1000), ("dove-hpcl", 1000))),
}


def measure(curve, root, quick):
    """peer -> [(x, median, least, most)]"""
    lines = {}
    for x, work in curve.points.items():
        work.target = bench.TARGET_MS / (4 if quick else 1)
        place = "%s/%d" % (root, x)
        for name, runs in bench.measure(work, curve.peers_at(x), place,
                                        1 if quick else 3).items():
            if runs:
                lines.setdefault(name, []).append(
                    (x,) + bench.median(runs, work.figure[1]))
        # The next is ten times as large.
        shutil.rmtree(place)
    return lines


def print_table(curve, lines, out):
    figure = next(iter(curve.points.values())).figure[0]
    out.write("%s: %s\n\n%12s" % (curve.title, figure, curve.unit))
    out.write("".join("%14s" % name for name in lines) + "\n")
    for x in curve.points:
        out.write("%12d" % x)
        for points in lines.values():
            found = [mid for at, mid, _, _ in points if at == x]
            out.write("%14s" % ("%.4g" % found[0] if found else "-"))
        out.write("\n")
    out.write("\n")
    out.flush()


def draw(curve, lines, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "popkeep"
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for name, points in lines.items():
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o",
                  linewidth=2.5 if name.startswith("popkeepd") else 1.2,
                  label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(curve.title)
    axes.set_xlabel(curve.unit)
    axes.set_ylabel(next(iter(curve.points.values())).figure[0])
    axes.grid(True, which="major", linewidth=0.4)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def more_files():
    """A descriptor for each connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split(
        "\n\n")[0])
    p.add_argument("--out", required=True)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--only", action="append", default=[], choices=list(CURVES))
    p.add_argument("--dir")
    a = p.parse_args()
    more_files()
    os.makedirs(a.out, exist_ok=True)
    with contextlib.ExitStack() as stack:
        root = a.dir or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="pk-bench-"))
        os.makedirs(root, exist_ok=True)
        os.chmod(root, 0o755)
        out = stack.enter_context(open(a.out + "/curves.txt", "a" if a.only
                                       else "w", encoding="utf-8"))
        for key, curve in CURVES.items():
            if a.only and key not in a.only:
                continue
            lines = measure(curve, "%s/%s" % (root, key), a.quick)
            print_table(curve, lines, out)
            print_table(curve, lines, sys.stdout)
            try:
                draw(curve, lines, "%s/%s.svg" % (a.out, key))
            except ImportError:
                print("no python3-matplotlib: no picture", file=sys.stderr)


if __name__ == "__main__":
    main()
