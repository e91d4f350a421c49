"""popkeepd as a program: its configuration, reload and end, its limits and
delays, its log, and which process may do what.

SPDX-License-Identifier: ISC
"""
import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import threading
import time

import fixtures
from lib import (BUILD, ROOT, SANITIZED, SERVE, Client, Elsewhere, Server,
                 check, each, family, needs_root, private_dir, processes, run,
                 same, test, until)


def daemon():
    for name in ("standalone/popkeepd", "popkeepd"):
        if os.path.exists(BUILD + "/" + name):
            return BUILD + "/" + name
    raise AssertionError("no popkeepd in " + BUILD)


def config_of(s):
    return s.dir + "/.popkeep/popkeepd.conf"


def check_config(path, status):
    done = subprocess.run([daemon(), "-t", "-f", path], timeout=20,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    same(done.returncode, status, "exit status; it said %r" % text)
    return text


# The configuration.

@test
def configuration_good():
    """popkeepd -t accepts a good configuration, and starts nothing"""
    with Server() as s:
        text = check_config(config_of(s), 0)
        check("error" not in text.lower(), "it said %r" % text)


# What is wrong -> what the message must name.
WRONG = [
    ("no-such-key = 1", "no-such-key"),
    ("passwords = maybe", "passwords"),
    ("apop = 1", "apop"),
    ("apop-through = magic", "apop-through"),
    ("users = everybody", "users"),
    ("idle-timeout = -1", "idle-timeout"),
    ("idle-timeout = soon", "idle-timeout"),
    ("max-connections = 99999999999999999999", "max-connections"),
    ("max-connections = 0", "max-connections"),
    ("pam-helpers = 0", "pam-helpers"),
    ("create-maildir = perhaps", "create-maildir"),
    ('listen "127.0.0.1" { tls = starttls }', "127.0.0.1"),
    ('listen "127.0.0.1:70000" { tls = none }', "70000"),
    ('listen "127.0.0.1:0x10" { tls = none }', "0x10"),
    ('listen "no such host:110" { tls = none }', "no such host"),
    ('listen "127.0.0.1:1" { tls = sometimes }', "tls"),
    ('listen "127.0.0.1:1" { cipher = x }', "cipher"),
    ('maildir = "relative/path"', "maildir"),
    ('maildir = "%z/Maildir"', "maildir"),
    ('hostname = "two words"', "hostname"),
    ('virtual-uid = "no-such-user-here"', "virtual-uid"),
    ('log = "relative"', "log"),
    ("hostname = 'no end", None),
    ("}", None),
    ("= 1", None),
] + ([('user = "no-such-user-here"', "user")] if ROOT else [])


@test
def configuration_wrong():
    """every error is told with file, line and what was expected"""
    with Server() as s:
        with open(config_of(s)) as f:
            good = f.read()
        bad = s.dir + "/bad.conf"
        problems = []
        for line, word in WRONG:
            key = line.split("=")[0].strip()
            text = "".join(l for l in good.splitlines(True)
                           if l.split("=")[0].strip() != key)
            lines = text.count("\n")
            with open(bad, "w") as f:
                f.write(text + line + "\n")
            try:
                said = check_config(bad, 1)
                # An open string is noticed at its end.
                at = "%s:(%d|%d)\\b" % (re.escape(bad), lines + 1, lines + 2)
                check(re.search(at, said), "no file:line in %r" % said)
                check(word is None or word in said, "%s is not named in %r" %
                      (word, said))
            except AssertionError as error:
                problems.append("%s: %s" % (line, error))
        check(not problems, "\n".join(problems))


@test
def configuration_files():
    """missing and unreadable files are named"""
    with Server() as s:
        said = check_config(s.dir + "/no-such-file", 1)
        check("no-such-file" in said, said)
        with open(config_of(s)) as f:
            good = f.read()
        bad = s.dir + "/bad.conf"
        for key in ("tls-certificate", "tls-key"):
            with open(bad, "w") as f:
                f.write(re.sub("(?m)^%s = .*$" % key,
                               '%s = "/no/such/file.pem"' % key, good))
            said = check_config(bad, 1)
            check("/no/such/file.pem" in said or key in said, said)


# Reload and end.

def edit(s, pattern, replacement):
    path = config_of(s)
    with open(path) as f:
        text = f.read()
    new = re.sub(pattern, replacement, text)
    check(new != text, "nothing to edit")
    with open(path, "w") as f:
        f.write(new)


@test
def reload_changed():
    """SIGHUP: new connections see the new configuration, open ones go on"""
    with Server(messages=fixtures.cleans(2)) as s:
        old, waiting = s.login(), s.connect(tls=True)
        old.ok("DELE 1")
        edit(s, '(?m)^hostname = .*$', 'hostname = "second.example"')
        os.kill(s.process.pid, signal.SIGHUP)

        def renamed():
            with s.connect() as c:
                return b"second.example" in c.greeting
        until(renamed, "the new name in the greeting")
        waiting.ok("CAPA")
        waiting.body()
        old.multi("RETR 2")
        old.quit()
        same(len(s.stored()), 1, "messages")
        waiting.ok("USER ann")
        waiting.ok("PASS " + s.password("ann"))
        waiting.quit()
        with s.connect(tls=True) as c:
            check(b"second.example" in c.greeting, "the TLS port too")


@test
def reload_broken():
    """SIGHUP with a broken configuration: told, and everything goes on"""
    with Server(messages=fixtures.cleans(1)) as s:
        old = s.login(tls=True)
        at = len(s.log())
        with open(config_of(s), "a") as f:
            f.write("no-such-key = 1\n")
        with open(config_of(s)) as f:
            line = f.read().count("\n")
        os.kill(s.process.pid, signal.SIGHUP)
        s.until_log("popkeepd.conf:%d" % line, after=at)
        old.multi("RETR 1")
        old.quit()
        s.login().quit()


@test
def reload_certificate():
    """SIGHUP: a new certificate for new connections, old ones keep theirs"""
    with Server(messages=fixtures.cleans(1)) as s:
        old = s.login(tls=True)
        private = s.dir + "/.popkeep"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9", "-subj",
             "/CN=renewed.example", "-keyout", private + "/key.pem", "-out",
             private + "/cert.pem"])
        os.kill(s.process.pid, signal.SIGHUP)

        def renewed():
            out = subprocess.run(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % s.tls_port],
                input=b"", capture_output=True, timeout=10).stdout
            return b"renewed.example" in out
        until(renewed, "the new certificate")
        old.multi("RETR 1")
        old.quit()


def alive(pid):
    """Zombies wait for init, and do nothing more."""
    try:
        return status(pid)["State"][0] != "Z"
    except OSError:
        return False


@test
def stop_clean():
    """SIGTERM: no process stays, sessions end without UPDATE"""
    with Server(users=("ann", "bob"), messages=fixtures.cleans(2)) as s:
        sessions = [s.login("ann"), s.login("bob", tls=True), s.connect()]
        for c in sessions[:2]:
            c.ok("DELE 1")
        pids = list(family(s.process.pid))
        check(len(pids) >= 2, "processes: %s" % pids)
        start = time.monotonic()
        s.stop()
        check(time.monotonic() - start < 5, "it took longer than 5 s")
        for pid in pids:
            check(not alive(pid), "%d is alive" % pid)
        for c in sessions:
            check(c.at_end(), "a connection is still open")
        for user in s.users:
            same(len(s.stored(user)), 2, "messages of " + user)
        s.start()


@each("net", "auth", "policyd")
def role_dies(role):
    """if a role dies, popkeepd ends or recovers; it is never half there"""
    with Server(messages=fixtures.cleans(1)) as s:
        found = [pid for pid, line in family(s.process.pid).items()
                 if re.match("popkeepd: %s" % role, line)]
        check(found, "no process '%s'" % role)
        s.deaths = True
        os.kill(found[0], signal.SIGKILL)

        def settled():
            if s.process.poll() is not None:
                return "ended"
            try:
                s.login(wait=False).quit()
                return "recovered"
            except (OSError, AssertionError):
                return None
        how = until(settled, "it ends or recovers", 15)
        if how == "ended":
            s.process.stdout.close()
            s.process = None


@test
def session_process_dies():
    """a session process that dies ends its session only; nothing is removed"""
    with Server(users=("ann", "bob"), messages=fixtures.cleans(2)) as s:
        c = s.login()
        c.ok("DELE 1")
        found = [pid for pid, line in family(s.process.pid).items()
                 if re.match("popkeepd: session", line)]
        check(found, "no session process")
        s.deaths = True
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        check(c.at_end(), "the connection is still open")
        same(len(s.stored()), 2, "messages")
        for user in s.users:
            s.login(user).quit()


@test
def start_fails_clearly():
    """a port that is taken: popkeepd says which, and ends"""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    number = taken.getsockname()[1]
    with Server() as s:
        with open(config_of(s)) as f:
            text = f.read()
        with open(s.dir + "/other.conf", "w") as f:
            f.write(re.sub(r'listen "127.0.0.1:%d"' % s.port,
                           'listen "127.0.0.1:%d"' % number, text)
                    .replace("/pid'", "/pid2'"))
        done = subprocess.run([daemon(), "-F", "-f", s.dir + "/other.conf"],
                              timeout=20, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode != 0, "it started")
        check(b"%d" % number in done.stdout, "it said %r" % done.stdout)


# Limits and delays.

def refused(s, source="127.0.0.1"):
    """Is a new connection refused: closed without, or with -ERR as, greeting?"""
    c = socket.socket()
    c.settimeout(10)
    c.bind((source, 0))
    c.connect(("127.0.0.1", s.port))
    try:
        data = c.recv(512)
    except ConnectionResetError:
        data = b""
    if data.startswith(b"+OK"):
        return False, c
    check(data == b"" or data.startswith(b"-ERR"), "greeting %r" % data)
    return True, c


@test
def limit_per_address():
    """max-per-address: more are refused, other addresses are not"""
    with Server(settings=["max-per-address = 5"]) as s:
        until(lambda: not refused(s)[0], "connections")
        time.sleep(0.3)
        held = [s.connect() for _ in range(3)] + [s.login(), s.connect(True)]
        check(refused(s)[0], "a sixth connection from one address")
        check(not refused(s, "127.0.0.2")[0], "another address is refused")
        held.pop().abort()
        until(lambda: not refused(s)[0], "a free place is used again")
        held[3].ok("NOOP")


@test
def limit_in_all():
    """max-connections: more are refused, and served again when some go"""
    with Server(settings=["max-connections = 8"]) as s:
        until(lambda: not refused(s)[0], "connections")
        time.sleep(0.3)
        held = [refused(s, "127.0.0.%d" % (2 + n)) for n in range(8)]
        check(not any(r for r, _ in held), "one of eight is refused")
        check(refused(s, "127.0.0.99")[0], "a ninth connection")
        for _, c in held[:4]:
            c.close()
        until(lambda: not refused(s, "127.0.0.98")[0], "a free place")


@test
def many_connections():
    """300 connections of one address at once, each with a session in turn"""
    with Server(messages=fixtures.cleans(1)) as s:
        held = [s.connect() for _ in range(295)]
        for c in held:
            c.ok("CAPA")
            c.body()
        for c in (held[0], held[147], held[294]):
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.ok("STAT")
            c.quit()
            until(lambda: s.login(wait=False).quit() is None, "free")
        for c in held:
            c.close()


@test
def growing_delay():
    """the delay after refused logins grows to its maximum, and holds only one"""
    with Server(users=("ann", "bob"), settings=[
            "failure-delay-max = 2", "max-failures = 20"]) as s:
        took = []

        def fail():
            with s.connect() as c:
                for _ in range(6):
                    c.ok("USER ann")
                    start = time.monotonic()
                    c.err("PASS wrong", "AUTH")
                    took.append(time.monotonic() - start)
        thread = threading.Thread(target=fail)
        thread.start()
        slowest = 0
        while thread.is_alive():
            start = time.monotonic()
            c = s.login("bob")
            c.quit()
            slowest = max(slowest, time.monotonic() - start)
            time.sleep(0.1)
        thread.join()
        check(slowest < 1.5, "somebody else waited for %.1f s" % slowest)
        same(len(took), 6, "attempts")
        check(took[0] < 1.0, "the first took %.1f s" % took[0])
        check(took[-1] > took[0] + 0.4, "it does not grow: %s" % took)
        check(max(took) < 3, "longer than the maximum: %s" % took)


@test
def delay_bound():
    """as tools/serve sets it, no refused login waits longer than 1 s"""
    with Server(settings=["max-failures = 30"]) as s:
        for _ in range(2):
            with s.connect() as c:
                for _ in range(4):
                    start = time.monotonic()
                    c.ok("USER ann")
                    c.err("PASS wrong", "AUTH")
                    took = time.monotonic() - start
                    check(took < 1.3, "%.2f s" % took)
        start = time.monotonic()
        s.login().quit()
        check(time.monotonic() - start < 1, "a right password had to wait")


# The log.

@test
def log_addresses():
    """sessions and failures are logged with the client's real address"""
    with Server(messages=fixtures.cleans(2)) as s:
        for number, tls in enumerate((False, True)):
            source = "127.0.0.%d" % (5 + number)
            c = Client.__new__(Client)
            raw = socket.create_connection(
                ("127.0.0.1", s.tls_port if tls else s.port), 20,
                (source, 0))
            c.socket, c.buffer = raw, b""
            if tls:
                c.start_tls()
            c.line()
            c.ok("USER ann")
            c.err("PASS wrong")
            s.until_log("user=ann", source, "credential")
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            c.multi("RETR 1")
            c.ok("DELE 1")
            c.quit()
            line = s.until_log("session:", "user=ann", source)
            for word in ("retr=1", "dele=1", "end=quit"):
                check(word in line, "%s is not in %r" % (word, line))
        c = s.login()
        c.abort()
        until(lambda: len([l for l in s.log().splitlines() if "session:" in l
                           and "user=ann" in l]) >= 3, "the cut session's line")
        lines = [l for l in s.log().splitlines() if "session:" in l
                 and "user=ann" in l]
        check("end=quit" not in lines[2], "a cut session: %r" % lines[2])


# Privileges.

def status(pid):
    fields = {}
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            key, _, value = line.partition(":")
            fields[key] = value.split()
    return fields


def files_of(pid):
    """Files open in pid, without its standard error and the like."""
    found = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        if int(fd) > 2 and target.startswith("/") and target != "/dev/null":
            found.append(target)
    return found


def roles(s):
    found = {}
    for pid, line in family(s.process.pid).items():
        match = re.match(r"popkeepd: (\w+)", line)
        found.setdefault(match.group(1) if match else "?" + line,
                         []).append(pid)
    return found


@test
def privileges_as_root():
    """as root: each role has its uid, filter and root directory, and no more"""
    needs_root()
    with Server(messages=fixtures.cleans(1)) as s:
        c = s.login()
        found = roles(s)
        for role in ("net", "auth", "session", "policyd"):
            check(role in found, "no role %s in %s" % (role, found))
        mail_uid = os.stat(s.maildir()).st_uid
        try:
            net_uid = pwd.getpwnam("_popkeep").pw_uid
        except KeyError:
            net_uid = pwd.getpwnam("nobody").pw_uid
        try:
            policy_uid = pwd.getpwnam("_popkeep-policy").pw_uid
        except KeyError:
            policy_uid = pwd.getpwnam("daemon").pw_uid
        problems = []

        def expect(role, what, got, wanted):
            if got != wanted:
                problems.append("%s: %s is %s, expected %s" %
                                (role, what, got, wanted))
        for role, uid in (("net", net_uid), ("session", mail_uid),
                          ("policyd", policy_uid)):
            for pid in found[role]:
                st = status(pid)
                expect(role, "Uid", st["Uid"], [str(uid)] * 4)
                check(st["Gid"][0] != "0", "%s has gid 0" % role)
                expect(role, "Groups", [g for g in st["Groups"] if g == "0"], [])
                for caps in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                    expect(role, caps, int(st[caps][0], 16), 0)
                expect(role, "NoNewPrivs", st["NoNewPrivs"], ["1"])
                # What NSS modules do for groups nobody can foresee.
                expect(role, "Seccomp", st["Seccomp"],
                       ["0" if SANITIZED or role == "policyd" else "2"])
        for pid in found["net"]:
            root = os.readlink("/proc/%d/root" % pid)
            check(root != "/", "net is not in a chroot")
            expect("net", "its root directory",
                   os.listdir("/proc/%d/root/" % pid), [])
            for target in files_of(pid):
                problems.append("net has %s open" % target)
        for pid in found["session"]:
            for target in files_of(pid):
                if not target.startswith(s.maildir()):
                    problems.append("session has %s open" % target)
        for pid in found["policyd"]:
            for target in files_of(pid):
                if not target.startswith(s.dir + "/.popkeep/") and \
                        target not in (s.dir, s.dir + "/audit.log"):
                    problems.append("policyd has %s open" % target)
        check(not problems, "; ".join(problems))
        c.quit()


@test
def privileges_of_nobody():
    """as an ordinary user: everything runs with that uid, and works"""
    if ROOT:
        raise Elsewhere
    with Server(messages=fixtures.cleans(1)) as s:
        c = s.login()
        for role, pids in roles(s).items():
            for pid in pids:
                same(status(pid)["Uid"], [str(os.getuid())] * 4, role)
        for role in ("net", "session"):
            for pid in roles(s)[role]:
                same(status(pid)["Seccomp"], ["0" if SANITIZED else "2"],
                     "Seccomp of " + role)
        c.quit()


@test
def passwords_leave_memory():
    """passwords do not stay in memory once checked, but where PAM ran"""
    needs_root("reading another process's memory needs root")
    if SANITIZED:
        return				# they keep freed memory for a while
    word = "a-very-unlikely-password-of-"
    with Server(messages=fixtures.cleans(1), word=word) as s:
        for tls in (False, True):
            s.login(tls=tls).quit()
        with s.connect() as c:
            c.ok("USER ann")
            c.ok("PASS " + s.password("ann"))
            found = {}
            for role, pids in roles(s).items():
                for pid in pids:
                    with open("/proc/%d/maps" % pid) as maps, \
                         open("/proc/%d/mem" % pid, "rb", 0) as mem:
                        for line in maps:
                            low, high = (int(x, 16) for x in
                                         line.split()[0].split("-"))
                            if "rw" not in line.split()[1] or \
                               "[v" in line:
                                continue
                            try:
                                mem.seek(low)
                                if s.password("ann").encode() in \
                                   mem.read(high - low):
                                    found[role] = line.split()[-1]
                            except OSError:
                                pass
            c.quit()
        # What modules leave in a helper is out of our hands.
        found.pop("helper", None)
        check(not found, "the password is in the memory of %s" % found)


@test
def system_users():
    """users = system: a user of the system is served, root and others never"""
    needs_root()
    user = pwd.getpwnam("nobody")
    with Server(users=("nobody", "root", "daemon")) as s:
        s.stop()
        s.settings.append("users = system")
        base = s.dir + "/system"
        for name in ("nobody", "root", "daemon"):
            for part in ("tmp", "new", "cur"):
                os.makedirs("%s/%s/Maildir/%s" % (base, name, part))
        with open(base + "/nobody/Maildir/new/1700000000.M1.x", "wb") as f:
            f.write(fixtures.clean(1))
        run(["chown", "-R", "%d:%d" % (user.pw_uid, user.pw_gid),
             base + "/nobody"])
        s.settings.append("maildir = '%s/%%u/Maildir'" % base)
        s.settings.append("first-valid-uid = 1000")
        s.start()
        c = s.login("nobody")
        same(c.stat()[0], 1, "messages")
        for pid in roles(s)["session"]:
            same(status(pid)["Uid"], [str(user.pw_uid)] * 4, "uid")
        c.quit()
        for name in ("root", "daemon"):
            with s.connect() as c:
                c.ok("USER " + name)
                c.err("PASS " + s.password(name))
        check(not [p for p in roles(s)["session"]
                   if status(p)["Uid"][0] in ("0", "1")], "a session as root")


# PAM.

def pam_service(s, name, *lines):
    with open("%s/.popkeep/pam.d/%s" % (s.dir, name), "w") as f:
        f.write("".join(l + "\n" for l in lines))


@each(("auth=success acct=acct_expired", "AUTH"),
      ("auth=success acct=new_authtok_reqd", "AUTH"),
      ("auth=success acct=perm_denied", "AUTH"),
      ("auth=auth_err acct=success", "AUTH"),
      ("auth=user_unknown acct=success", "AUTH"),
      ("auth=maxtries acct=success", "AUTH"),
      ("auth=authinfo_unavail acct=success", "SYS/TEMP"),
      ("auth=success acct=authinfo_unavail", "SYS/TEMP"))
def pam_codes(arguments, code):
    """what PAM says becomes the right response code"""
    with Server(messages=fixtures.cleans(1)) as s:
        for service in ("popkeep", "popkeep-apop"):
            pam_service(s, service, "auth required pam_debug.so " + arguments,
                        "account required pam_debug.so " + arguments)
        with s.connect() as c:
            c.ok("USER ann")
            c.err("PASS " + s.password("ann"), code)
            reply = c.apop("ann", s.secret("ann"))
            check(reply.startswith(b"-ERR [%s]" % code.encode()),
                  "APOP: %r" % reply)


@test
def pam_missing():
    """no PAM service, no module: [SYS/PERM], and the log says what"""
    with Server() as s:
        pam_service(s, "popkeep", "auth required /no/such/module.so",
                    "account required pam_permit.so")
        with s.connect() as c:
            c.ok("USER ann")
            c.err("PASS " + s.password("ann"), "SYS/PERM")
        os.unlink(s.dir + "/.popkeep/pam.d/popkeep")
        with s.connect() as c:
            c.ok("USER ann")
            reply = c.err("PASS " + s.password("ann"))
            check(reply.startswith((b"-ERR [SYS/PERM]", b"-ERR [SYS/TEMP]")),
                  "no service: %r" % reply)


def end_script(script):
    """What runs it outlives the helper that started it."""
    for pid, (_, line) in processes().items():
        if script in line.split():
            for one in [pid] + list(family(pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)


@contextlib.contextmanager
def hanging_for_ann(**more):
    """A server whose PAM stack lets ann wait for a minute."""
    with private_dir() as d:
        # pam_exec runs this with PAM_USER; it inherits what it must.
        script = d + "/slow"
        with open(script, "w") as f:
            f.write("#!/bin/sh\n[ \"$PAM_USER\" != ann ] || sleep 60\n")
        os.chmod(script, 0o755)
        try:
            with Server(**more) as s:
                pam_service(s, "popkeep", "auth required pam_exec.so quiet " +
                            script, "auth required pam_pwdfile.so nodelay "
                            "pwdfile=%s/.popkeep/passwd" % s.dir,
                            "account required pam_permit.so")
                yield s
        finally:
            end_script(script)


@test
def pam_hangs():
    """a PAM stack that hangs delays nobody else, and ends at its time limit"""
    with hanging_for_ann(users=("ann", "bob"), settings=[
            "pam-helpers = 3", "pam-timeout = 3"]) as s:
        slow = s.connect()
        slow.ok("USER ann")
        start = time.monotonic()
        slow.send("PASS %s\r\n" % s.password("ann"))
        for _ in range(10):
            began = time.monotonic()
            s.login("bob").quit()
            check(time.monotonic() - began < 1.5, "bob had to wait")
        reply = slow.status("PASS")
        check(reply.startswith(b"-ERR [SYS/TEMP]"), "ann: %r" % reply)
        check(time.monotonic() - start < 8, "longer than its limit")
        # A full pool answers, too: more hanging logins than helpers.
        many = [s.connect() for _ in range(8)]
        start = time.monotonic()
        for c in many:
            c.ok("USER ann")
            c.send("PASS %s\r\n" % s.password("ann"))
        for c in many:
            reply = c.status("PASS")
            check(reply.startswith(b"-ERR [SYS/TEMP]"), "ann: %r" % reply)
        check(time.monotonic() - start < 20, "the queue took too long")
        until(lambda: s.login("bob").quit() is None, "bob", 10)


# Its tools.

@test
def serve_refuses():
    """tools/serve: options that mean nothing are refused, not ignored"""
    base = [SERVE, "--dir", "/nonexistent/x", "--port", "1", "--tls-port", "2",
            "--user", "a", "--password", "b"]
    for more in (["--policy", "/nonexistent/policy"], ["--xyzzy"],
                 ["--imap-port", "3"], ["--dovecot-set", "a = b"],
                 ["--no-plugin"], ["--dovecot", "--dovecot-set", "nonsense"],
                 ["--dovecot", "--dovecot-extra", "/nonexistent/extra"],
                 ["--user", "a", "--password", "c"], ["--user", "../x"],
                 ["--user", "b"]):
        done = subprocess.run(base + more, capture_output=True, timeout=20)
        check(done.returncode == 2, "%s: status %d" % (more, done.returncode))
        check(done.stderr.strip(), "%s: no word why" % more)


@test
def clock_offset():
    """tools/serve --clock-offset: popkeepd lives in the future and works"""
    if SANITIZED:
        return				# ASan must be the first library
    offset = 400 * 86400
    with Server(messages=fixtures.cleans(2),
                options=["--clock-offset", str(offset)]) as s:
        for tls in (False, True):
            c = s.login(tls=tls)
            c.multi("RETR 1")
            c.quit()
        with s.connect() as c:
            check(c.apop("ann", s.secret("ann")).startswith(b"+OK"), "APOP")
            c.ok("DELE 1")
            c.quit()
        same(len(s.stored()), 1, "messages")
        # The log's own time stamps, where it has a date, are in the future.
        year = time.gmtime(time.time() + offset).tm_year
        dates = re.findall(r"\b(20\d\d)-\d\d-\d\d", s.log())
        check(not dates or int(dates[-1]) == year, "dates in the log: %s" %
              dates[-1:])


@test
def takeover():
    """takeover: a login ends a session that is silent, without UPDATE"""
    with Server(messages=fixtures.cleans(2), settings=["takeover = 1"]) as s:
        lost = s.login()
        lost.ok("DELE 1")
        with s.connect() as c:
            c.ok("USER ann")
            c.send("PASS %s\r\n" % s.password("ann"))
            check(b"[IN-USE]" in c.status("PASS"), "not silent long enough")
        time.sleep(1.2)
        c = s.login(wait=False)
        same(c.stat()[0], 2, "messages")
        c.quit()
        same(lost.line(), b"", "octets for the session that was ended")
        s.until_log("end=takeover")
        same(len(s.stored()), 2, "files")


@test
def pam_session():
    """pam-session: opened before the mailbox, closed when its session ends"""
    with Server(messages=fixtures.cleans(1), settings=[
            "pam-session = true"]) as s:
        script, seen = s.dir + "/told", s.dir + "/seen"
        with open(script, "w") as f:
            f.write("#!/bin/sh\necho $PAM_TYPE $PAM_USER >>%s\n" % seen)
        os.chmod(script, 0o755)
        pam_service(s, "popkeep",
                    "auth required pam_pwdfile.so nodelay pwdfile=%s/.popkeep/"
                    "passwd" % s.dir, "account required pam_permit.so",
                    "session required pam_exec.so quiet " + script)

        def told():
            with open(seen) as f:
                return f.read().split("\n")[:-1]
        for n in range(2):
            c = s.login()
            same(told()[2 * n:], ["open_session ann"], "while it is open")
            same(c.stat()[0], 1, "messages")
            c.quit()
            until(lambda: len(told()) == 2 * n + 2, "the session is closed")
            same(told()[-1], "close_session ann", "at its end")
