"""The passdb driver popkeep in a private Dovecot of its own, 2.3 or 2.4: the
gate in front of other passdbs, and the authenticator.

SPDX-License-Identifier: ISC
"""
import contextlib
import grp
import os
import pwd
import shlex
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time

from lib import (BUILD, ROOT, SANITIZED, Client, Elsewhere, Skip, built, check,
                 each, family, free_ports, needs, read_audit, run, same, test,
                 until)

DOVECOT = "/usr/sbin/dovecot"
MODULES = "/usr/lib/dovecot/modules"
DRIVER = BUILD + "/plugin/.libs/libauthdb_popkeep.so"
SCRIPTED = BUILD + "/tests/.libs/pam_scripted.so"
NAMES = BUILD + "/plugin/.libs/lib95_popkeep_settings.so"

ME = pwd.getpwuid(os.geteuid()).pw_name
AUTH_USER = "dovecot" if ROOT else ME		# of Dovecot's auth process
MAIL = (65534, 65534) if ROOT else (os.geteuid(), os.getegid())

OPEN = 'passwords { rule "p" { allow = always } }\n' \
    'apop { rule "a" { allow = always } }\n'
WRONG = b"-ERR [AUTH] Authentication failed.\r\n"
TEMPORARY = b"-ERR [SYS/TEMP] "


def version():
    """2.3 or 2.4, or the test is skipped."""
    needs(DOVECOT, "unshare", "openssl")
    if SANITIZED:
        raise Elsewhere				# Dovecot is not
    if not os.path.exists(DRIVER):
        raise Skip("the plugin is not built")
    if not ROOT and subprocess.run(
            ["unshare", "-Urm", "true"], capture_output=True).returncode:
        raise Skip("needs root, or user namespaces")
    out = run([DOVECOT, "--version"]).decode()
    return "2.3" if out.startswith("2.3.") else "2.4"


class Policyd:
    """A popkeep-policyd, as a program of its own."""

    def __init__(self, directory, policy, options=()):
        self.dir, self.policy = directory, policy
        self.options = list(options)
        self.socket = directory + "/run/policy.sock"
        self.process = None

    def start(self):
        os.makedirs(self.dir + "/run", exist_ok=True)
        os.makedirs(self.dir + "/p", exist_ok=True)
        if ROOT:
            os.chown(self.dir + "/p", *MAIL)
        with open(self.dir + "/policy", "w") as f:
            f.write(self.policy)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        self.process = subprocess.Popen(
            [built("popkeep-policyd"), "-p", self.dir + "/policy",
             "-a", self.dir + "/p/audit", "-s", self.socket,
             "-S", self.dir + "/p/state", "-u", "nobody",
             "-g", AUTH_USER if ROOT else "", "-l", self.dir + "/p.log",
             "-A", AUTH_USER] + self.options, stdin=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.socket), "policyd's socket")

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            same(self.process.wait(20), 0, "end of popkeep-policyd")
            self.process = None

    def set(self, policy):
        """Another policy, from now on."""
        log = open(self.dir + "/p.log").read()
        self.policy = policy
        with open(self.dir + "/policy", "w") as f:
            f.write(policy)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: "policy: file=" in
              open(self.dir + "/p.log").read()[len(log):], "the new policy")

    def events(self, event, count):
        def found():
            return [r for r in read_audit(self.dir + "/p/audit")
                    if r["event"] == event]
        until(lambda: len(found()) >= count, "%d %s" % (count, event))
        time.sleep(0.1)
        same(len(found()), count, "records of " + event)
        return found()


class Dovecot:
    """A private Dovecot with its policyd.  passdbs: a (driver, settings) each;
    "@D@" in a setting is the directory."""

    def __init__(self, passdbs, policy=OPEN, delay=0, options=(),
                 mechanisms="plain login apop cram-md5", good=True):
        self.version = version()
        self.good, self.delay = good, delay
        self.mechanisms, self.passdbs = mechanisms, passdbs
        self.port, self.imap_port = free_ports()
        self.dir = tempfile.mkdtemp(prefix="pk.")
        os.chmod(self.dir, 0o755)
        self.policyd = Policyd(self.dir, policy, options)
        self.process = None

    def config(self):
        new = self.version == "2.4"
        users = "" if ROOT else """default_internal_user = %s
default_internal_group = %s
default_login_user = %s
""" % (ME, group(), ME)
        free = "" if ROOT else "service anvil {\n  chroot =\n}\n" + (
            "service stats {\n  chroot =\n}\n" if new else "")
        head = """dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = @D@/cert.pem
ssl_server_key_file = @D@/key.pem
auth_allow_cleartext = yes
protocols {
  pop3 = yes
  imap = yes
}
mail_driver = maildir
mail_path = ~/Maildir
""" if new else """ssl_cert = <@D@/cert.pem
ssl_key = <@D@/key.pem
ssl_dh =
disable_plaintext_auth = no
protocols = pop3 imap
mail_location = maildir:~/Maildir
"""
        userdb = """userdb static {
  fields {
    uid = %d
    gid = %d
    home = @D@/home/%%{user}
  }
}
""" if new else """userdb {
  driver = static
  args = uid=%d gid=%d home=@D@/home/%%u
}
"""
        text = head + users + """base_dir = @D@/base
state_dir = @D@/state
log_path = @D@/log
auth_verbose = yes
auth_debug = yes
listen = 127.0.0.1
ssl = yes
auth_mechanisms = %s
auth_failure_delay = %d secs
first_valid_uid = 0
service auth {
  client_limit = 1000
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = %d
  }
  inet_listener pop3s {
    port = 0
  }
  chroot =
}
service imap-login {
  inet_listener imap {
    port = %d
  }
  inet_listener imaps {
    port = 0
  }
  chroot =
}
""" % (self.mechanisms, self.delay, self.port, self.imap_port) + free + \
            "".join(self.passdb(i, *p) for i, p in enumerate(self.passdbs)) + \
            userdb % MAIL
        return text.replace("@D@", self.dir)

    def passdb(self, number, driver, settings):
        """The block of a passdb; a setting has its name of 2.4."""
        settings = dict(settings)
        if self.version == "2.4":
            prefix = "sql_" if driver == "sql" else \
                "passdb_popkeep_" if driver == "popkeep" else ""
            before = ""
            if driver == "sql":
                before = "sql_driver = sqlite\nsqlite_path = %s\n" % \
                    settings.pop("database")
                settings = {"passdb_sql_query": "SELECT password FROM users "
                            "WHERE name = '%{user}'"}
                prefix = ""
            if driver == "static":
                return "passdb static {\n  fields {\n%s  }\n}\n" % "".join(
                    "    %s = %s\n" % f for f in settings.items())
            if driver == "popkeep":
                settings.setdefault("socket", "@D@/run/policy.sock")
            return before + "passdb p%d {\n  driver = %s\n%s}\n" % (
                number, driver, "".join("  %s%s = %s\n" % (prefix, k, v)
                                        for k, v in settings.items()))
        if driver == "static":
            args = " ".join("%s=%s" % f for f in settings.items())
        elif driver == "sql":
            with open(self.dir + "/sql.conf", "w") as f:
                f.write("driver = sqlite\nconnect = %s\n"
                        "default_pass_scheme = PLAIN\npassword_query = SELECT "
                        "password FROM users WHERE name = '%%u'\n" %
                        settings["database"].replace("@D@", self.dir))
            args = "@D@/sql.conf"
        elif driver == "passwd-file":
            args = "scheme=PLAIN " + settings["passwd_file_path"]
        else:
            settings.setdefault("socket", "@D@/run/policy.sock")
            args = " ".join("%s=%s" % (k.replace("_", "-"), v)
                            for k, v in settings.items())
        return "passdb {\n  driver = %s\n  args = %s\n}\n" % (driver, args)

    def make_files(self):
        for name in ("base", "state", "home"):
            os.mkdir(self.dir + "/" + name)
        os.chown(self.dir + "/home", *MAIL)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=localhost", "-days", "9", "-keyout", self.dir + "/key.pem",
             "-out", self.dir + "/cert.pem"])
        for name in ("auth", "settings"):
            if os.path.isdir(MODULES + "/" + name):
                shutil.copytree(MODULES + "/" + name, self.dir + "/" + name)
        shutil.copy(DRIVER, self.dir + "/auth")
        if self.version == "2.4":
            shutil.copy(NAMES, self.dir + "/settings")
        if not os.path.exists(self.dir + "/passwd"):
            self.write("passwd", "ann:{PLAIN}pass of ann\n"
                       "bob:{PLAIN}pass of bob\n")
        self.write("dovecot.conf", self.config())

    def write(self, name, text, mode=0o644):
        with open(self.dir + "/" + name, "w") as f:
            f.write(text)
        os.chmod(self.dir + "/" + name, mode)

    def argv(self, *command):
        """Where Dovecot is has our modules among its own."""
        mounts = "".join(
            "mount --bind %s/%s %s/%s && " % (self.dir, n, MODULES, n)
            for n in ("auth", "settings") if os.path.isdir(MODULES + "/" + n))
        exec_ = "exec " + ("" if ROOT else "unshare -U --map-user=%d "
                           "--map-group=%d " % (os.geteuid(), os.getegid()))
        return ["unshare", "-m" if ROOT else "-Urm", "sh", "-c",
                mounts + exec_ + " ".join(map(shlex.quote, command))]

    def start(self):
        self.make_files()
        self.policyd.start()
        self.launch()
        if self.good:
            until(self.answers, "a greeting", 20)

    def launch(self):
        with open(self.dir + "/err", "ab") as err:
            self.process = subprocess.Popen(
                self.argv(DOVECOT, "-F", "-c", self.dir + "/dovecot.conf"),
                stdin=subprocess.DEVNULL, stdout=err, stderr=err)

    def answers(self):
        check(self.process.poll() is None, "dovecot has ended: " +
              open(self.dir + "/err").read() + self.log()[-1000:])
        with contextlib.suppress(OSError, AssertionError):
            with self.connect() as c:
                return c.greeting.startswith(b"+OK")
        return False

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.dir + "/log", errors="replace") as f:
                return f.read()
        return ""

    def refuses_to_work(self, text):
        """Whoever connects starts the auth process, which ends with text."""
        def found():
            with contextlib.suppress(OSError, AssertionError):
                self.connect().close()
            return [l for l in self.log().splitlines() if text in l]
        line = until(found, "a log line with " + text)[0]
        check("Fatal: " in line and "passdb" in line, line)

    def until_log(self, text):
        until(lambda: text in self.log(), "a log line with " + text)

    def connect(self):
        return Client(self.port, timeout=60)

    def attempt(self, user, password, tls=False):
        """USER and PASS: the reply, and seconds."""
        with self.connect() as c:
            if tls:
                c.stls()
            c.ok("USER " + user)
            begin = time.monotonic()
            reply = c.command("PASS " + password)
            return reply, time.monotonic() - begin

    def apop(self, user, secret, tls=False):
        """APOP: the reply."""
        with self.connect() as c:
            if tls:
                c.stls()
            return c.apop(user, secret)

    def imap(self, user, password):
        """LOGIN over IMAP: the reply."""
        with Client(self.imap_port, timeout=60) as c:
            c.send('a LOGIN "%s" "%s"\r\n' % (user, password))
            while True:
                line = c.line()
                if line.startswith(b"a ") or not line:
                    return line

    def doveadm(self, *argv, status=0):
        return run(self.argv("doveadm", "-c", self.dir + "/dovecot.conf",
                             *argv), status=status).decode()

    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                print("    the end of the log:\n      " + "\n      ".join(
                    self.log().splitlines()[-25:]))
            if self.process is not None:
                self.process.terminate()
                self.process.wait(20)
            self.policyd.stop()
            if kind is None:
                check("Panic" not in self.log(), "the log has a panic")
        finally:
            for process in (self.process, self.policyd.process):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()
            shutil.rmtree(self.dir, ignore_errors=True)


def group():
    return grp.getgrgid(os.getegid()).gr_name


GATE = ("popkeep", {"mode": "gate"})
FILE = ("passwd-file", {"passwd_file_path": "@D@/passwd"})
SQL = ("sql", {"database": "@D@/db"})


def ok(reply):
    check(reply.startswith(b"+OK"), "%r, expected +OK" % reply)


@test
def driver_exports_its_three_symbols():
    """the driver exports what Dovecot asks for, and nothing else"""
    version()
    needs("nm")
    out = run(["nm", "-D", "--defined-only", DRIVER]).decode()
    same(sorted(line.split()[-1] for line in out.splitlines()),
         ["authdb_popkeep_deinit", "authdb_popkeep_init",
          "authdb_popkeep_version"], "symbols")


@test
def gate_lets_what_the_policy_allows_through():
    """the next passdb decides over whom the policy allows"""
    with Dovecot([GATE, FILE]) as d:
        ok(d.attempt("ann", "pass of ann")[0])
        ok(d.apop("ann", "pass of ann"))
        same(d.attempt("ann", "wrong")[0], WRONG, "wrong password")
        same(d.apop("ann", "wrong"), WRONG, "wrong digest")
        same(d.attempt("eve", "x")[0], WRONG, "unknown user")


SOME = """passwords {
 rule "no" { users = { "bob" }  allow = never }
 rule "rest" { allow = always }
}
apop {
 rule "sunset" { users = { "bob" }  allow = always  until = "2020-01-01" }
 rule "soon" { users = { "ann" }  allow = always  warn-from = "2020-01-01" }
}
"""


@test
def gate_refuses_as_if_the_credential_were_wrong():
    """whom the policy refuses cannot tell it from a wrong credential"""
    with Dovecot([GATE, FILE], SOME, delay=2) as d:
        refused, after = d.attempt("bob", "pass of bob")
        wrong, usual = d.attempt("ann", "wrong")
        same((refused, wrong), (WRONG, WRONG), "replies")
        # Dovecot counts whole seconds, and looks twice in each.
        check(0.9 < after < 8 and 0.9 < usual < 8,
              "refused after %.2f s, wrong after %.2f s" % (after, usual))
        same(d.apop("bob", "pass of bob"), WRONG, "after sunset")
        same(d.attempt("nobody", "x")[0], WRONG, "unknown")
        ok(d.apop("ann", "pass of ann"))
        failed = d.policyd.events("login-failed", 2)
        same([(r["user"], r["mech"], r["ip"], r["tls"], r["rule"],
               r["reason"]) for r in failed],
             [("bob", "PLAIN", "127.0.0.1", False, "no", "policy: rule no"),
              ("bob", "APOP", "127.0.0.1", False, "sunset",
               "policy: rule sunset")], "records")
        check(all(r["session"] for r in failed), "records without a session")
        warned, = d.policyd.events("apop-warn", 1)
        same((warned["user"], warned["rule"]), ("ann", "soon"), "warning")


@test
def gate_asks_for_real_tls():
    """loopback is secured for Dovecot and no TLS; the want of TLS is told"""
    with Dovecot([GATE, FILE], 'passwords { rule "t" { allow = tls } }\n'
                 'apop { rule "t" { allow = tls } }\n') as d:
        for reply, mech in ((d.attempt("ann", "pass of ann")[0], b"PLAIN"),
                            (d.attempt("eve", "x")[0], b"PLAIN"),
                            (d.apop("ann", "pass of ann"), b"APOP")):
            same(reply, b"-ERR [AUTH] " + mech +
                 b" needs TLS: use STLS first\r\n", "outside TLS")
        ok(d.attempt("ann", "pass of ann", tls=True)[0])
        ok(d.apop("ann", "pass of ann", tls=True))
        same(d.apop("ann", "wrong", tls=True), WRONG, "wrong inside TLS")
        # Where it depends on the user it is not told.
        d.policyd.set('passwords { rule "b" { users = { "bob" } '
                      'allow = always }\nrule "t" { allow = tls } }\n')
        same(d.attempt("ann", "pass of ann")[0], WRONG, "ann outside TLS")
        ok(d.attempt("bob", "pass of bob")[0])
        ok(d.attempt("ann", "pass of ann", tls=True)[0])
        same([r["reason"] for r in d.policyd.events("login-failed", 4)],
             ["policy: rule t asks for TLS"] * 4, "reasons")


@test
def gate_is_in_front_of_sql():
    """an SQL passdb stands behind the gate"""
    with Dovecot([GATE, SQL], SOME, good=False) as d:
        with contextlib.closing(sqlite3.connect(d.dir + "/db")) as db:
            db.execute("CREATE TABLE users (name TEXT, password TEXT)")
            for user in ("ann", "bob"):
                db.execute("INSERT INTO users VALUES (?, ?)", (
                    user, "{PLAIN}pass of " + user))
            db.commit()
        os.chmod(d.dir + "/db", 0o644)
        until(d.answers, "a greeting")
        ok(d.attempt("ann", "pass of ann")[0])
        ok(d.apop("ann", "pass of ann"))
        same(d.attempt("ann", "wrong")[0], WRONG, "wrong password")
        same(d.attempt("bob", "pass of bob")[0], WRONG, "refused")
        same(d.apop("bob", "pass of bob"), WRONG, "refused")


@test
def gate_serves_challenges_of_other_mechanisms():
    """CRAM-MD5 needs the secret and is under the rules of APOP"""
    needs("curl")
    with Dovecot([GATE, FILE], 'passwords { rule "p" { allow = always } }\n'
                 'apop { rule "a" { users = { "ann" } allow = always } }\n'
                 ) as d:
        for mech, user, status in (("CRAM-MD5", "ann", 0), ("PLAIN", "bob", 0),
                                   ("CRAM-MD5", "bob", 67),
                                   ("APOP", "ann", 0), ("APOP", "bob", 67)):
            login = "AUTH=" + ("+APOP" if mech == "APOP" else mech)
            run(["curl", "-sS", "pop3://127.0.0.1:%d/" % d.port, "-u",
                 "%s:pass of %s" % (user, user), "--login-options", login],
                status=status)


class ByCertificate(Dovecot):
    """Its own certificate is the CA of its clients'."""

    def config(self):
        return super().config() + "auth_ssl_username_from_cert = yes\n" + (
            """ssl_server_ca_file = @D@/cert.pem
ssl_server_request_client_cert = yes
ssl_server_require_crl = no
""" if self.version == "2.4" else """ssl_ca = <@D@/cert.pem
ssl_verify_client_cert = yes
ssl_require_crl = no
""").replace("@D@", self.dir)


@test
def gate_lets_other_mechanisms_pass():
    """EXTERNAL is neither a password nor a secret: it passes, and is logged"""
    with ByCertificate([GATE, ("static", {"nopassword": "yes"})],
                       'passwords { rule "p" { allow = never } }\n',
                       mechanisms="plain external") as d:
        with d.connect() as c:
            c.ok("STLS")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(d.dir + "/cert.pem", d.dir + "/key.pem")
            c.socket = context.wrap_socket(c.socket)
            same(c.command("AUTH PLAIN AGFubgB4"), WRONG, "PLAIN")
            ok(c.command("AUTH EXTERNAL ="))
        d.until_log("EXTERNAL passes")


@test
def gate_is_for_its_services_alone():
    """IMAP is not asked about, unless the gate is for it"""
    never = 'passwords { rule "p" { allow = never } }\n'
    with Dovecot([GATE, FILE], never) as d:
        same(d.attempt("ann", "pass of ann")[0], WRONG, "POP3")
        check(d.imap("ann", "pass of ann").startswith(b"a OK"), "IMAP")
    with Dovecot([("popkeep", {"mode": "gate", "services": "*"}), FILE],
                 never) as d:
        check(d.imap("ann", "pass of ann").startswith(b"a NO"), "IMAP")
        check(d.imap("ann", "wrong").startswith(b"a NO"), "IMAP")


@test
def gate_fails_for_a_while_without_policyd():
    """without policyd nobody gets in, and with it again without a restart"""
    with Dovecot([GATE, FILE]) as d:
        ok(d.attempt("ann", "pass of ann")[0])
        d.policyd.stop()
        # Dovecot would go on to the next passdb, where this is right.
        for reply in (d.attempt("ann", "pass of ann")[0],
                      d.apop("ann", "pass of ann"),
                      d.attempt("ann", "wrong")[0]):
            check(reply.startswith(TEMPORARY), "%r while away" % reply)
        d.policyd.start()
        ok(d.attempt("ann", "pass of ann")[0])
        ok(d.apop("ann", "pass of ann"))
        d.policyd.stop()
        d.policyd.start()
        ok(d.apop("ann", "pass of ann"))


@test
def gate_asks_again_over_a_new_connection():
    """who asks before it is seen that policyd was started anew gets in"""
    with Dovecot([GATE, FILE]) as d:
        ok(d.attempt("ann", "pass of ann")[0])
        with d.connect() as c:
            c.ok("USER ann")
            auth, = [pid for pid, line in family(d.process.pid).items()
                     if line.split()[0] == "dovecot/auth"]
            os.kill(auth, signal.SIGSTOP)
            c.send("PASS pass of ann\r\n")
            time.sleep(0.5)
            d.policyd.stop()
            d.policyd.start()
            os.kill(auth, signal.SIGCONT)
            ok(c.status())


@test
def gate_waits_for_nobody():
    """a policyd that hangs keeps up nobody but those it is asked about"""
    with Dovecot([GATE, FILE]) as d:
        ok(d.attempt("ann", "pass of ann")[0])
        d.policyd.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        with d.connect() as one, d.connect() as two:
            for c in (one, two):
                c.ok("USER ann")
                c.send("PASS pass of ann\r\n")
            check(d.imap("ann", "pass of ann").startswith(b"a OK"), "IMAP")
            check(time.monotonic() - begin < 4, "IMAP has waited")
            for c in (one, two):
                check(c.status().startswith(TEMPORARY), "a reply")
        check(4.5 < time.monotonic() - begin < 15, "%.1f s to give up" %
              (time.monotonic() - begin))
        d.policyd.process.send_signal(signal.SIGCONT)
        ok(until(lambda: (lambda r: r if r.startswith(b"+OK") else None)(
            d.attempt("ann", "pass of ann")[0]), "a login again"))


@test
def gate_says_whose_name_policyd_must_have():
    """an auth process that policyd does not know is told what to do"""
    if not ROOT:
        raise Elsewhere
    with Dovecot([GATE, FILE], options=["-A", "daemon"]) as d:
        check(d.attempt("ann", "pass of ann")[0].startswith(TEMPORARY),
              "a login")
        d.until_log("popkeep-policyd answers only root and the user that its "
                    "option -A")


@test
def gate_lets_lookups_through_that_are_no_logins():
    """doveadm finds users whom the policy refuses every login"""
    with Dovecot([("popkeep", {"mode": "gate", "services": "*"}), FILE],
                 'passwords { rule "p" { allow = never } }\n') as d:
        same(d.attempt("ann", "pass of ann")[0], WRONG, "a login")
        check("home" in d.doveadm("user", "ann"), "doveadm user")
        d.doveadm("user", "eve", status=67)
        d.doveadm("mailbox", "list", "-u", "ann")
        d.policyd.stop()
        check("home" in d.doveadm("user", "ann"), "doveadm user")


WRONG_SETTINGS = {
    "no-mode": ([("popkeep", {}), FILE], "mode = : expected gate or login"),
    "mode": ([("popkeep", {"mode": "door"}), FILE],
             "mode = door: expected gate or login"),
    "socket": ([("popkeep", {"mode": "gate", "socket": "x"}), FILE],
               "socket = x: expected an absolute path"),
    "service": ([("popkeep", {"mode": "login", "pam_service": "../x"})],
                "= ../x: expected the name of a PAM service"),
    "confdir": ([("popkeep", {"mode": "login", "pam_confdir": "x"})],
                "= x: expected an absolute path"),
    "last": ([FILE, GATE], "mode = gate: it is the last passdb, and needs "
             "one behind it"),
}
WRONG_ARGS = {
    "key": ("mode=gate rules=x", "rules=x: expected one of mode=, socket=, "),
    "word": ("gate", "gate: expected one of mode=, "),
    "twice": ("mode=gate mode=gate", "mode= is there twice"),
    "of-login": ("mode=gate secrets=/x", "secrets= is for mode=login, not "
                 "for mode=gate"),
    "of-gate": ("mode=login services=pop3", "services= is for mode=gate"),
}


@each(*WRONG_SETTINGS)
def driver_says_what_is_wrong(case):
    """a wrong setting is one clear line, and no login"""
    passdbs, text = WRONG_SETTINGS[case]
    with Dovecot(passdbs, good=False) as d:
        d.refuses_to_work(text)


@each(*WRONG_ARGS)
def driver_says_what_is_wrong_in_args(case):
    """a wrong word in args is one clear line, and no login"""
    if version() != "2.3":
        raise Elsewhere				# there are no args
    args, text = WRONG_ARGS[case]
    with Dovecot([FILE], good=False) as d:
        d.process.terminate()
        d.process.wait()
        d.write("dovecot.conf", d.config() + "passdb {\n  driver = popkeep\n"
                "  args = %s\n}\n" % args)
        d.launch()
        d.refuses_to_work("Fatal: passdb popkeep: args: " + text)


# ---- the authenticator --------------------------------------------------

def login_passdb(**more):
    return ("popkeep", dict({
        "mode": "login", "secrets": "@D@/s/secrets.mdb",
        "secrets_key": "@D@/s/key", "pam_confdir": "@D@/pam"}, **more))


class Login(Dovecot):
    """Users of PAM (ann, bob, dan) and secrets (ann, bob, cat)."""

    def __init__(self, policy=OPEN, before=(GATE,), behind=(), **settings):
        super().__init__([*before, login_passdb(**settings), *behind], policy)

    def make_files(self):
        needs("/usr/lib/x86_64-linux-gnu/security/pam_pwdfile.so") \
            if os.uname().machine == "x86_64" else None
        os.makedirs(self.dir + "/s")
        os.makedirs(self.dir + "/pam")
        self.write("denied", "\n")
        self.write("pw", "".join("%s:%s\n" % (u, run(
            ["openssl", "passwd", "-5", "pass of " + u]).decode().strip())
            for u in ("ann", "bob", "dan")), 0o600)
        account = "account required pam_listfile.so item=user sense=deny " \
            "file=%s/denied onerr=fail\n" % self.dir
        self.write("pam/popkeep", "auth required pam_pwdfile.so "
                   "pwdfile=%s/pw\n" % self.dir + account)
        self.write("pam/popkeep-account", account)
        self.write("pam/other", "auth required pam_deny.so\n")
        for user in ("ann", "bob", "cat"):
            self.secret(user, "secret of " + user)
        super().make_files()

    def secret(self, user, secret):
        run([built("popkeep"), "secret", "set", "--store",
             self.dir + "/s/secrets.mdb", "--key", self.dir + "/s/key", user],
            stdin=secret.encode() + b"\n")


@test
def authenticator_checks_passwords_and_digests():
    """passwords are PAM's, digests are made of the store's secrets"""
    with Login() as d:
        ok(d.attempt("ann", "pass of ann")[0])
        ok(d.apop("ann", "secret of ann"))
        ok(d.apop("cat", "secret of cat"))
        same(d.attempt("ann", "secret of ann")[0], WRONG, "a secret as PASS")
        same(d.apop("ann", "pass of ann"), WRONG, "a password as APOP")
        same(d.attempt("cat", "x")[0], WRONG, "no password")
        same(d.apop("dan", "x"), WRONG, "no secret")
        same(d.apop("eve", "x"), WRONG, "nobody")
        check("secret of" not in d.log().replace("the secret of", ""),
              "a secret in the log")
        d.secret("ann", "another secret")
        ok(d.apop("ann", "another secret"))
        d.policyd.set('apop { rule "a" { users = { "ann" } '
                      'allow = always } }\n'
                      'passwords { rule "p" { allow = tls } }\n')
        same(d.apop("cat", "secret of cat"), WRONG, "refused by the gate")
        ok(d.apop("ann", "another secret"))
        ok(d.attempt("dan", "pass of dan", tls=True)[0])


@test
def authenticator_asks_for_the_account():
    """PAM's account phase refuses APOP as well, and no client is told"""
    with Login() as d:
        d.write("denied", "bob\n")
        same(d.apop("bob", "secret of bob"), WRONG, "APOP")
        same(d.attempt("bob", "pass of bob")[0], WRONG, "PASS")
        ok(d.apop("ann", "secret of ann"))
        for record in d.policyd.events("login-failed", 2):
            check("pam_acct_mgmt" in record["reason"], record["reason"])
        d.write("denied", "\n")
        ok(d.apop("bob", "secret of bob"))
        # An account phase that does not work is no refusal.
        d.write("pam/popkeep-account", "account required /no/pam_x.so\n")
        check(d.apop("bob", "secret of bob").startswith(TEMPORARY), "APOP")


@test
def authenticator_obeys_what_the_policy_says_of_secrets():
    """exclusive and minimum-secret are obeyed, and end the chain"""
    with Login(OPEN.replace("apop {", "apop {\nexclusive = yes\n"
                            "minimum-secret = 14\n"), behind=[FILE]) as d:
        d.secret("bob", "short")
        # ann and bob are in the file behind it with these passwords.
        same(d.attempt("ann", "pass of ann")[0], WRONG, "a password in clear")
        ok(d.attempt("ann", "pass of ann", tls=True)[0])
        ok(d.attempt("dan", "pass of dan")[0])
        same(d.apop("cat", "secret of cat"), WRONG, "13 octets")
        d.secret("cat", "secret of cat!")
        ok(d.apop("cat", "secret of cat!"))
        same(d.apop("bob", "pass of bob"), WRONG, "in the file, but short")
        same([r["reason"] for r in d.policyd.events("login-failed", 3)],
             ["exclusive: who has a secret uses no password in clear",
              "the secret is shorter than minimum-secret",
              "the secret is shorter than minimum-secret"], "reasons")
        d.policyd.stop()
        check(d.imap("dan", "pass of dan").startswith(
            b"a NO [UNAVAILABLE]"), "without policyd")


@test
def authenticator_takes_the_name_that_pam_has_made():
    """who is somebody else after PAM is that for exclusive, too"""
    version()
    needs(SCRIPTED)
    with Login(OPEN.replace("apop {", "apop {\nexclusive = yes\n")) as d:
        d.write("pam/popkeep", "auth required %s log=%s/scripted\n"
                "account required pam_permit.so\n" % (SCRIPTED, d.dir))
        ok(d.attempt("rename", "x")[0])
        until(lambda: "pop3(renamed)" in d.log(), "a session of renamed")
        d.secret("renamed", "secret of renamed")
        same(d.attempt("rename", "x")[0], WRONG, "in clear")
        ok(d.attempt("rename", "x", tls=True)[0])


@test
def authenticator_tells_who_exists():
    """doveadm finds who has a secret, whatever policy and PAM say of logins"""
    with Login('passwords { rule "p" { allow = never } }\n') as d:
        d.write("denied", "ann\n")
        check("home" in d.doveadm("user", "ann"), "doveadm user")
        d.doveadm("mailbox", "list", "-u", "ann")
        check("secret of" not in d.log(), "a secret in the log")
        d.policyd.stop()
        check("home" in d.doveadm("user", "ann"), "doveadm user")
        # PAM does not tell: that is no answer, rather than no.
        d.doveadm("user", "eve", status=75)
        check("home" in d.doveadm("user", "daemon"), "the system's user")


@test
def authenticator_fails_without_its_store():
    """without the store APOP fails for now, and passwords do not need it"""
    with Login() as d:
        os.rename(d.dir + "/s/key", d.dir + "/s/away")
        check(d.apop("ann", "secret of ann").startswith(TEMPORARY), "APOP")
        ok(d.attempt("ann", "pass of ann")[0])
        os.rename(d.dir + "/s/away", d.dir + "/s/key")
        ok(d.apop("ann", "secret of ann"))
