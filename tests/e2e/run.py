#!/usr/bin/env python3
"""Runs the end-to-end tests, a line for each.

usage: run.py [-j JOBS] [-l] [PATTERN...]

PATTERN: part of the name of a module or test.  -l lists them.  $POPKEEP_BUILD is
the build directory to test (tools/build's; default build/).  $POPKEEP_KILLS makes
the tests that kill processes at random instants so many times as long: 12 is
1,000 kills, in about 10 minutes.

SPDX-License-Identifier: ISC
"""
import argparse
import contextlib
import importlib
import io
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import lib  # noqa: E402

# Seconds for one test.
LIMIT = 300 * int(os.environ.get("POPKEEP_KILLS", "1"))


def too_long(*_):
    raise TimeoutError("longer than %d s" % LIMIT)


def child(index, pipe):
    """Run one test in this process; say how it went."""
    function, row = lib.TESTS[index][3:5]
    out = io.StringIO()
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    result = "ok"
    with contextlib.redirect_stdout(out):
        try:
            function(*row)
        except lib.Skip as reason:
            result = "skip: %s" % reason
        except lib.Elsewhere:
            result = "none"
        except BaseException:
            result = "fail"
            traceback.print_exc(file=out)
    signal.alarm(0)
    pipe.send((result, out.getvalue()))
    pipe.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", type=int, default=3 * (os.cpu_count() or 1))
    parser.add_argument("-l", action="store_true")
    parser.add_argument("pattern", nargs="*")
    a = parser.parse_args()
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_") and name.endswith(".py"):
            importlib.import_module(name[:-3])
    chosen = [i for i, t in enumerate(lib.TESTS) if not (
              lib.ROOT_TOO and t[0] in lib.ONCE) and (not a.pattern or
              any(p in "%s.%s: %s" % t[:3] for p in a.pattern))]
    if a.l:
        for i in chosen:
            print("%s.%s: %s" % lib.TESTS[i][:3])
        return 0
    # One place for everything, short: sockets' paths are limited.
    tempfile.tempdir = tempfile.mkdtemp(prefix="pk-")
    os.chmod(tempfile.tempdir, 0o755)
    os.environ["TMPDIR"] = tempfile.tempdir
    os.environ["LC_ALL"] = "C.UTF-8"
    counts = {"ok": 0, "fail": 0, "skip": 0}
    running, began = {}, time.monotonic()
    context = multiprocessing.get_context("fork")
    queue = list(chosen)
    while queue or running:
        while queue and len(running) < a.j:
            index = queue.pop(0)
            here, there = context.Pipe(False)
            process = context.Process(target=child, args=(index, there))
            process.start()
            there.close()
            running[here] = (index, process, time.monotonic())
        for here in multiprocessing.connection.wait(list(running)):
            index, process, start = running.pop(here)
            try:
                result, text = here.recv()
            except EOFError:
                result, text = "fail", "the test's process died\n"
            process.join()
            module, name, title = lib.TESTS[index][:3]
            kind = result[:4].rstrip(":")
            if kind == "none":
                continue
            counts[kind] += 1
            note = result[4:] if kind == "skip" else ""
            print("%-4s %s: %s%s (%.1f s)" % (
                kind, module[5:], title, note, time.monotonic() - start))
            if kind == "fail":
                print("".join("    %s\n" % l for l in text.splitlines()))
            sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.rmdir(tempfile.tempdir)
    print("end to end%s: %d passed, %d failed, %d skipped in %.0f s" % (
        " as root" if lib.ROOT else " as an ordinary user", counts["ok"],
        counts["fail"], counts["skip"], time.monotonic() - began))
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    import multiprocessing.connection
    sys.exit(main())
