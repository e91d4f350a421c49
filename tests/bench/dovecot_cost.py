#!/usr/bin/env python3
"""What the plugin costs in Dovecot: the CPU time of a session with it (popkeep-
policyd's included) over that without it, in turn, in Dovecot's default mode, in
its high-performance mode, and with many clients in a process.

usage: dovecot_cost.py [--rounds 15] [--mode MODE]... [--work WORK]... [--target S]

MODE: default, hp, hpcl.  WORK: login (login, STAT, QUIT), retr (and 10 RETR of
10 KB).  Each measurement takes some S seconds of CPU time (1.2).  Passwords are
compared as they are, so that no hash hides the rest; every user has a rule under
which nothing is due; the gate stands in front of a passwd-file.  "make
bench-tools" first.

SPDX-License-Identifier: ISC
"""
import argparse
import contextlib
import os
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import bench  # noqa: E402
import peers  # noqa: E402
from bench import Mail, Work  # noqa: E402

MODES = {"default": "", "hp": peers.HIGH_PERFORMANCE % "",
         "hpcl": peers.HIGH_PERFORMANCE % peers.MANY_CLIENTS}
MAIL = Mail(40, 10, 10240)
WORKS = {"login": Work("login, STAT, QUIT", MAIL, "-m login -c 8"),
         "retr": Work("10 RETR of 10 KB", MAIL, "-m retr -c 8 --pipeline")}


def measure(work, running, rounds):
    """The figures of each round: [(without, with)]"""
    sessions = {name: bench.calibrate(work, name, peer)
                for name, peer in running.items()}
    found = []
    for n in range(rounds):
        # Each is as often the first.
        names = sorted(running, reverse=n % 2 == 1)
        pair = {name: bench.run(work, name, running[name], sessions[name])
                for name in names}
        if any(f is None or f["errors"] for f in pair.values()):
            sys.exit("popbench failed")
        found.append((pair["without"]["cpu_ms"], pair["with"]["cpu_ms"]))
    return found


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split(
        "\n\n")[0])
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--mode", action="append", choices=list(MODES))
    p.add_argument("--work", action="append", choices=list(WORKS))
    p.add_argument("--target", type=float, default=bench.TARGET_MS / 1000)
    a = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="pk-") as d:
        os.chmod(d, 0o755)
        for name in "without", "with":
            MAIL.make("%s/%s" % (d, name))
        print("| mode | work | without, CPU ms | with, CPU ms | ratio of a "
              "round, median [quartiles] |\n|---|---|---|---|---|")
        for mode in a.mode or MODES:
            with contextlib.ExitStack() as stack:
                running = {name: stack.enter_context(peers.dovecot(
                    MODES[mode], name == "with")("%s/%s" % (d, name), MAIL))
                    for name in ("without", "with")}
                for key in a.work or WORKS:
                    work = WORKS[key]
                    work.target = a.target * 1000
                    found = measure(work, running, a.rounds)
                    ratios = statistics.quantiles([y / x for x, y in found])
                    print("| %s | %s | %.3f | %.3f | %.3f [%.3f-%.3f] |" % (
                        mode, work.title,
                        statistics.median(x for x, _ in found),
                        statistics.median(y for _, y in found),
                        ratios[1], ratios[0], ratios[2]), flush=True)


if __name__ == "__main__":
    main()
