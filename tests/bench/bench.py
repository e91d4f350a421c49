#!/usr/bin/env python3
"""Measures popkeepd beside nullpop (the practical limit) and the other POP3 servers
that are installed: the table of a site's work, in turn (A B C A B C ...).

usage: bench.py [--rounds 5] [--quick] [--only WORK]... [--peer NAME]...
                [--dir DIR] [--out FILE.json] [--list]

--list prints all names of WORK and of peers.  --quick: one round, and
shorter.  DIR is where mail and servers are (a new directory in /tmp, removed at the
end).  Run it as root: then mail belongs to a uid of its own, and roles have theirs.
"make bench-tools" first.  What is printed is Markdown: medians with [min-max], the
ratio to nullpop, and to the reach, which is what popkeepd is to stay below.

SPDX-License-Identifier: ISC
"""
import argparse
import contextlib
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import compare  # noqa: E402
import peers  # noqa: E402

POPBENCH = peers.BUILD + "/tests/bench/popbench"
# CPU time that a measurement should take: without control groups it is known in
# clock ticks of 10 ms.
TARGET_MS = 1200
# What is compared, and how it is found in popbench's figures.
CPU = ("CPU ms/session", lambda r: r["cpu_ms"])
PSS = ("PSS KiB/connection", lambda r: r["idle_kb"])
QUITS = ("ms until QUIT is answered", lambda r: r["quit_ms"]["p50"])


class Mail:
    """What the users have, and the policy over it (None: one rule)."""

    def __init__(self, users, messages, octets, names=(), policy=None):
        self.users = ["u%04d" % n for n in range(users)]
        self.messages, self.octets = messages, octets
        self.names, self.policy = list(names), policy

    def make(self, place, *options):
        subprocess.run([HERE + "/mkmail.py", "--root", place, "--users",
                        str(len(self.users)), "--messages", str(self.messages),
                        "--size", str(self.octets), *self.names, *options],
                       check=True, stdout=subprocess.DEVNULL)


class Work:
    """What one line of the table measures.

    figure: what is compared; args: popbench's; sessions: how many at the most;
    reach: of popkeepd; only: the peers that can do it; cold: no index is left;
    fresh: the server has just been started; refill: and so has the mail."""

    def __init__(self, title, mail, args, figure=CPU, sessions=20000,
                 reach=None, only=(), tls=False, cold=False, fresh=False,
                 refill=False):
        self.title, self.mail, self.args = title, mail, args.split()
        self.figure, self.sessions, self.reach = figure, sessions, reach
        self.only, self.tls, self.cold = only, tls, cold
        self.fresh, self.refill = fresh or refill, refill


STORM = Mail(100, 10, 10240)
POLLED = Mail(1000, 2, 1024)
TEN, HUNDRED = Mail(1, 10000, 2048), Mail(1, 100000, 2048)
SIZED = Mail(1, 10000, 2048, ["--vsize-names"])
WORKS = {
    "login": Work("login storm, 100 users of 10 messages, 32 connections",
                  STORM, "-m login -c 32", reach=0.25),
    "login-tls": Work("the same over TLS 1.3, no resumption", STORM,
                      "-m login -c 32 --tls", reach=0.85, tls=True),
    "login-system": Work("login storm, users of the system: a process each",
                         STORM, "-m login -c 32", reach=0.6,
                         only=("nullpop", "popkeepd-system")),
    "login-pam": Work("login storm, passwords by pam_unix (yescrypt)", STORM,
                      "-m login -c 32", sessions=500,
                      only=("popkeepd-pam",)),
    "retr": Work("10 RETR of 10 KB, pipelined", STORM,
                 "-m retr -c 32 --pipeline", reach=0.35),
    "retr-alone": Work("10 RETR of 10 KB, one at a time", STORM,
                       "-m retr -c 32", reach=None),
    "big": Work("1 RETR of 50 MB", Mail(1, 1, 50000000), "-m retr -c 1",
                sessions=60, reach=25),
    "list-10k": Work("UIDL + LIST, 10,000 messages", TEN, "-m list -c 1",
                     sessions=2000, reach=1),
    "list-100k": Work("UIDL + LIST, 100,000 messages", HUNDRED, "-m list -c 1",
                      sessions=300, reach=6),
    "list-10k-cold": Work("UIDL + LIST, 10,000 messages, no index", TEN,
                          "-m list -c 1", sessions=1, reach=130, cold=True),
    "list-10k-sized": Work("the same, S= and W= in the names", SIZED,
                           "-m list -c 1", sessions=1, reach=25, cold=True),
    "quit-alone": Work("QUIT of 10 messages that go, alone", STORM,
                       "-m drain -c 1", QUITS, 100, refill=True),
    "quit-32": Work("QUIT of 10 messages that go, 32 at once", STORM,
                    "-m drain -c 32", QUITS, 100, refill=True),
    "idle": Work("1,000 idle connections, logged in", POLLED,
                 "-m idle -c 1000", PSS, 1000, 12, fresh=True,
                 only=("nullpop", "popkeepd", "dove-hpcl")),
    "idle-single": Work("200 idle connections, a process each", POLLED,
                        "-m idle -c 200", PSS, 200, 120, fresh=True,
                        only=("nullpop", "popkeepd-single", "dove-def",
                              "dove-hp")),
    "idle-before": Work("1,000 connections before login", POLLED,
                        "-m idle -c 1000 --noauth", PSS, 1000, 5, fresh=True,
                        only=("nullpop", "popkeepd", "dove-def", "dove-hpcl")),
    "idle-before-tls": Work("1,000 connections before login, TLS", POLLED,
                            "-m idle -c 1000 --noauth --tls", PSS, 1000, 34,
                            tls=True, fresh=True,
                            only=("nullpop", "popkeepd", "dove-def",
                                  "dove-hpcl")),
}
# Unless a work names its own.
USUAL = ("nullpop", "popkeepd", "popkeepd-pam-apop", "dove-def", "dove-hp",
         "dove-hpcl", "popa3d", "solid-pop3d", "mailutils",
         "courier", "cyrus")
INDEXES = ("popkeep.index", "dovecot*index*", "dovecot-uidlist",
           "dovecot-keywords")


def drop_indexes(place):
    for user in glob.glob(place + "/u*/Maildir"):
        for pattern in INDEXES:
            for path in glob.glob(user + "/" + pattern):
                os.unlink(path)


def make_cold(kind, place, mail):
    """No index is left.  Other servers may have theirs in the mail itself: it is
    made anew; for mbox files there is none."""
    if kind.mail == peers.MAILDIR:
        mail.make(place, *kind.mail)
    else:
        drop_indexes(place)


def run(work, name, peer, sessions):
    """popbench's figures, or None."""
    args = work.args + ["-n", str(sessions), "--users",
                        str(len(work.mail.users)), "-p", peers.PASSWORD,
                        "--timeout", "600"]
    args += (peer.tls_meter if work.tls else peer.meter) + peer.args
    # nullpop takes what it is told.
    if name == "nullpop":
        args += ["--lenient-size"]
    return compare.run(POPBENCH, (name, "127.0.0.1", str(
        peer.tls if work.tls else peer.port), []), args)


def calibrate(work, name, peer):
    """As many sessions as take a while; this warms it up as well."""
    if work.cold:
        return work.sessions
    clients = int(work.args[work.args.index("-c") + 1])
    first = run(work, name, peer, max(clients * 2, work.sessions // 200, 3))
    each = max(first["cpu_ms"] if first else 1, 0.02)
    return max(clients * 2, min(work.sessions, int(work.target / each)), 3)


@contextlib.contextmanager
def started(work, name, root):
    place, kind = "%s/%s" % (root, name), peers.PEERS[name]
    if work.refill:
        shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place, exist_ok=True)
    if kind.system:
        work.mail.make(os.path.dirname(root) + "/homes", "--chown")
    elif not os.path.exists(place + "/u0000") and name != "nullpop":
        work.mail.make(place, *kind.mail)
    with kind.start(place, work.mail) as peer:
        yield peer


def measure(work, names, root, rounds):
    """name -> popbench's figures of each round."""
    results = {name: [] for name in names}

    def one(name, peer, sessions):
        if work.cold:
            make_cold(peers.PEERS[name], "%s/%s" % (root, name), work.mail)
        figures = run(work, name, peer, sessions)
        if figures is not None and figures["errors"] == 0:
            results[name].append(figures)

    if work.fresh:
        for _ in range(rounds):
            for name in names:
                with started(work, name, root) as peer:
                    one(name, peer, work.sessions)
        return results
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(work, name, root))
                   for name in names}
        sessions = {name: calibrate(work, name, running[name])
                    for name in names}
        for _ in range(rounds):
            for name in names:
                one(name, running[name], sessions[name])
    return results


def median(runs, get):
    values = [get(r) for r in runs]
    return statistics.median(values), min(values), max(values)


COLUMNS = (("sessions/s", lambda r: r["sessions_per_s"]),
           ("p50 ms", lambda r: r["session_ms"]["p50"]),
           ("p99 ms", lambda r: r["session_ms"]["p99"]),
           ("MB/s", lambda r: r["bytes_per_s"] / 1e6))


def show(work, results):
    title, get = work.figure
    columns = COLUMNS if work.figure is CPU else ()
    print("### %s\n" % work.title)
    print("| server | %s | to nullpop | to the reach | %s" % (
        title, "".join(c + " | " for c, _ in columns)))
    print("|---" * (4 + len(columns)) + "|")
    base = None
    for name, runs in results.items():
        if not runs:
            print("| %s | failed |" % name)
            continue
        mid, low, high = median(runs, get)
        base = mid if name == "nullpop" else base
        print("| %s | %.4g [%.4g-%.4g] | %s | %s | %s" % (
            name, mid, low, high, "%.1f" % (mid / base) if base else "-",
            "%.2f" % (mid / work.reach) if work.reach and
            name.startswith("popkeepd") else "-",
            "".join("%.4g | " % median(runs, f)[0] for _, f in columns)))
    print(flush=True)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split(
        "\n\n")[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--only", action="append", default=[])
    p.add_argument("--peer", action="append", default=[])
    p.add_argument("--dir")
    p.add_argument("--out")
    p.add_argument("--list", action="store_true")
    a = p.parse_args()
    chosen = [k for k in WORKS if not a.only or k in a.only]
    unknown = set(a.only) - set(WORKS) | set(a.peer) - set(peers.PEERS)
    if unknown:
        p.error("unknown: %s" % ", ".join(sorted(unknown)))
    if a.list:
        for key, work in WORKS.items():
            print("%-16s %s" % (key, work.title))
        print("peers:", *(n for n, k in peers.PEERS.items() if k.here()))
        return
    if peers.is_root() and "POPKEEP_BENCH" not in os.environ:
        # What is mounted over the system's users is ours alone.
        os.environ["POPKEEP_BENCH"] = "inside"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private",
                              sys.executable] + sys.argv)
    everything = {}
    with contextlib.ExitStack() as stack:
        root = a.dir or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="pk-bench-"))
        os.makedirs(root, exist_ok=True)
        os.chmod(root, 0o755)
        if peers.is_root():
            os.makedirs(root + "/homes", exist_ok=True)
            peers.add_system_users(root, STORM.users)
        for key in chosen:
            work = WORKS[key]
            work.target = TARGET_MS / (4 if a.quick else 1)
            names = [n for n in work.only or USUAL if
                     peers.PEERS[n].can(work) and (not a.peer or n in a.peer)]
            # One set of mail for all that use the same.
            place = "%s/%d-%d-%d%s" % (
                root, len(work.mail.users), work.mail.messages,
                work.mail.octets, "-sized" if work.mail.names else "")
            everything[key] = measure(work, names, place,
                                      1 if a.quick else a.rounds)
            show(work, everything[key])
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            json.dump(everything, f, indent=1)


if __name__ == "__main__":
    main()
