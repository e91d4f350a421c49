#!/usr/bin/env python3
"""What the plugin costs in Dovecot: the CPU time of a session with it (popkeep-
policyd's included) over that without it, in pairs, in Dovecot's default mode and
with many clients in a process.

usage: dovecot_cost.py [--rounds 5] [--sessions 600] [--users 40] [--build DIR]

Passwords are compared as they are, so that no hash hides the rest; every user has
a rule under which nothing is due; the gate stands in front of a passwd-file.
"make bench-tools" first.

SPDX-License-Identifier: ISC
"""
import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

POLICY = """
retention "all" { users = { "*" } after-download = "3650d" }
passwords { rule "all" { allow = always } }
"""
MANY = """
service pop3 {
  service_count = 0
  client_limit = 50
  process_min_avail = 2
  process_limit = 4
}
service pop3-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 1000
}
"""


@contextlib.contextmanager
def server(place, port, users, options):
    """A private Dovecot; its pid."""
    argv = [TOP + "/tools/serve", "--dovecot", "--dir", place, "--port",
            str(port), "--tls-port", str(port + 1), "--no-build",
            "--policy", os.path.dirname(place) + "/policy"]
    for name in ["first"] + users:
        argv += ["--user", name, "--password", "bench"]
    serve = subprocess.Popen(argv + options, stdout=subprocess.PIPE)
    try:
        if serve.stdout.readline() != b"ready\n":
            sys.exit("tools/serve did not start")
        path = place + "/.popkeep/dovecot/users"
        with open(path) as f:
            text = re.sub(r"(?m)^([^:]*):[^:]*:", r"\1:{PLAIN}bench:", f.read())
        with open(path, "w") as f:
            f.write(text)
        yield serve.pid
    finally:
        serve.terminate()
        serve.wait()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--sessions", type=int, default=600)
    p.add_argument("--users", type=int, default=40)
    p.add_argument("--port", type=int, default=21310)
    p.add_argument("--build", default=os.environ.get("POPKEEP_BUILD") or
                   TOP + "/build")
    a = p.parse_args()
    users = ["u%04d" % n for n in range(a.users)]
    with tempfile.TemporaryDirectory(prefix="pk-") as d:
        os.chmod(d, 0o755)
        with open(d + "/policy", "w") as f:
            f.write(POLICY)
        with open(d + "/many", "w") as f:
            f.write(MANY)
        for name in "without", "with":
            subprocess.run([HERE + "/mkmail.py", "--root", d + "/" + name,
                            "--users", str(a.users), "--messages", "10",
                            "--size", "10240"], check=True,
                           stdout=subprocess.DEVNULL)
        for mode, extra, share in (
                ("default mode", [], 4),
                ("many clients in a process", ["--dovecot-extra", d + "/many"],
                 1)):
            print("## " + mode)
            with server(d + "/without", a.port, users,
                        extra + ["--no-plugin"]) as one, \
                 server(d + "/with", a.port + 10, users, extra) as two:
                time.sleep(1.5)		# the passwd-file's time is seconds
                for work in "login", "retr":
                    subprocess.run([
                        sys.executable, HERE + "/compare.py", "--popbench",
                        a.build + "/tests/bench/popbench", "--rounds",
                        str(a.rounds), "--peer", "without=127.0.0.1:%d,pid=%d"
                        % (a.port, one), "--peer", "with=127.0.0.1:%d,pid=%d" %
                        (a.port + 10, two), "--", "-m", work, "-c", "8", "-n",
                        str(a.sessions // share), "--users", str(a.users),
                        "-p", "bench"], check=True)


if __name__ == "__main__":
    main()
