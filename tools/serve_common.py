"""What tools/serve and tools/serve_dovecot.py share.

SPDX-License-Identifier: ISC
"""
import ctypes
import glob
import os
import re
import signal
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.environ.get("POPKEEP_BUILD") or os.path.join(TOP, "build")
ROOT = os.geteuid() == 0
PR_SET_PDEATHSIG = 1


def die(text, status=1):
    print("tools/serve: " + text, file=sys.stderr, flush=True)
    sys.exit(status)


def spawn(argv, env, directory, log, before=lambda: None):
    """Start a daemon that ends if we do.  before() is run in it first."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def child():
        os.setsid()
        before()
        # Behind before(): other credentials would undo it.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(argv, env=env, cwd=directory,
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                            preexec_fn=child)


def find_built(*names):
    for name in names:
        for found in sorted(glob.glob(os.path.join(BUILD, name))):
            return os.path.realpath(found)
    die("%s is not in %s; does tools/build succeed?" % (names[0], BUILD))


def find_faketime():
    """libfaketime, wherever this system keeps it."""
    name = "libfaketime.so.1"
    places = []
    try:
        listing = subprocess.run(["dpkg", "-L", "libfaketime"], text=True,
                                 capture_output=True).stdout
        places = [l for l in listing.splitlines() if l.endswith("/" + name)]
    except OSError:
        pass
    for pattern in ("/usr/lib/*/faketime/", "/usr/lib*/faketime/",
                    "/usr/local/lib*/faketime/"):
        places += glob.glob(pattern + name)
    for place in places:
        if os.path.exists(place):
            return place
    die("--clock-offset and --clock-file need libfaketime (Debian: faketime)")


def environment():
    """What daemons see of ours."""
    return {k: v for k, v in os.environ.items() if k in
            ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "ASAN_OPTIONS",
             "UBSAN_OPTIONS", "LSAN_OPTIONS")}


def clock(a):
    """The environment that gives a process the time that was asked for."""
    if not a.clock_offset and a.clock_file is None:
        return {}
    env = dict(LD_PRELOAD=find_faketime(), FAKETIME_DONT_RESET="1",
               FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_DISABLE_SHM="1",
               NO_FAKE_STAT="1")
    if a.clock_offset:
        env["FAKETIME"] = "%+ds" % a.clock_offset
    else:
        env.update(FAKETIME_TIMESTAMP_FILE=os.path.abspath(a.clock_file),
                   FAKETIME_NO_CACHE="1", TZ="UTC")
    return env


def run(argv, stdin="", fail=True):
    done = subprocess.run(argv, input=stdin, text=True, capture_output=True)
    if done.returncode != 0 and fail:
        die("%s: %s" % (" ".join(argv[:3]), (done.stderr or done.stdout).strip()))
    return done.stdout


def quote(text):
    """A string for libConfuse: no ${...} is looked for in single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unquote(text):
    """What quote() or a person has put between quotes."""
    if len(text) > 1 and text[0] in "'\"" and text[0] == text[-1]:
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def write(path, text, mode=0o600):
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as f:
        os.fchmod(fd, mode)
        f.write(text)
    os.rename(path + ".new", path)


def listening(port):
    """Does something on this host listen on 127.0.0.1:port (or any)?"""
    for line in open("/proc/net/tcp").readlines()[1:]:
        fields = line.split()
        address, hexport = fields[1].split(":")
        if fields[3] == "0A" and int(hexport, 16) == port and \
           address in ("0100007F", "00000000"):
            return True
    return False


def owner_of_mail(a):
    """Whose DIR/Maildir is, or DIR, if that is not root; or None."""
    for place in (os.path.join(a.dir, "Maildir"), a.dir):
        if os.path.exists(place) and ROOT:
            st = os.stat(place)
            if st.st_uid != 0:
                return st.st_uid, st.st_gid
    return None
