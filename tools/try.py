"""The demonstration behind tools/try.

SPDX-License-Identifier: ISC
"""
import base64
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ and \
    os.environ.get("TERM", "dumb") != "dumb"
WIDTH = 78


def paint(code, text):
    return "\033[%sm%s\033[0m" % (code, text) if COLOUR else text


def section(number, title):
    print("\n%s\n" % paint("1", "%d. %s" % (number, title)), flush=True)


def cut(text, width):
    return text if len(text) <= width else text[:width - 3] + "..."


# The mail.

def message(sender, subject, body, date, crlf=False, extra=""):
    text = ("From: %s\nTo: ann@example.org\nSubject: %s\nDate: %s\n"
            "Message-ID: <%s@example.org>\nMIME-Version: 1.0\n%s\n" % (
                sender, subject, date,
                hashlib.sha256(subject.encode()).hexdigest()[:16],
                extra or "Content-Type: text/plain; charset=utf-8\n")) + body
    data = text.encode()
    return data.replace(b"\n", b"\r\n") if crlf else data


def attachment():
    rnd = random.Random(1939)
    data = base64.encodebytes(bytes(rnd.randrange(256)
                                    for _ in range(400000))).decode()
    return ("--part\nContent-Type: text/plain\n\nThe plans are attached.\n\n"
            "--part\nContent-Type: application/pdf; name=plans.pdf\n"
            "Content-Transfer-Encoding: base64\n\n%s--part--\n" % data)


def mailbox():
    """What it shows, and the message."""
    day = "%s Jul 2026 0%d:15:00 +0200"
    return [
        ("a plain message", message(
            "Bob <bob@example.org>", "Lunch on Thursday?",
            "Hello Ann,\n\nthe usual place, half past twelve?\n\nBob\n",
            day % ("Mon, 6", 7))),
        ("8-bit text (UTF-8)", message(
            "Zoë <zoe@example.org>", "Gruesse aus Köln",
            "Liebe Ann,\n\nschöne Grüße vom Rhein. 東京 ist weit.\n\nZoë\n",
            day % ("Mon, 6", 8))),
        ("lines that begin with dots", message(
            "List <list@example.org>", "Re: where a message ends",
            "A line with a single dot ends a POP3 reply:\n.\n"
            "so that one is sent as two dots:\n..\n.profile begins with one\n",
            day % ("Tue, 7", 7))),
        ("CRLF line ends", message(
            "Scanner <scan@example.org>", "Scan finished",
            "3 pages.\n\nThis message is stored with CRLF line ends.\n",
            day % ("Tue, 7", 8), crlf=True)),
        ("no newline at its end", message(
            "Cron <cron@example.org>", "backup", "backup: ok, 0 errors",
            day % ("Wed, 8", 7))),
        ("an attachment of 540 KB", message(
            "Carol <carol@example.org>", "Plans", attachment(), day % ("Wed, 8", 8),
            extra="Content-Type: multipart/mixed; boundary=part\n")),
    ]


def sent(stored):
    """Octets as POP3 counts them: line ends are CRLF."""
    data = re.sub(rb"(?<!\r)\n", b"\r\n", stored)
    return data + (b"" if data.endswith(b"\n") or not data else b"\r\n")


def fill(maildir, messages):
    owner = os.stat(maildir)
    for number, (_, data) in enumerate(messages):
        name = "%d.M%06d.demo" % (1783000000 + number, number)
        path = maildir + "/tmp/" + name
        with open(path, "wb") as f:
            f.write(data)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
        os.rename(path, maildir + "/new/" + name)


def stored(maildir):
    files = []
    for folder in ("new", "cur"):
        place = os.path.join(maildir, folder)
        if os.path.isdir(place):
            files += [os.path.join(place, n) for n in os.listdir(place)]
    return len(files), sum(os.path.getsize(f) for f in files)


# The policy.

POLICY = """\
retention "download-and-delete" {
    users          = { "carol", "dave" }
    after-download = "0"        # at the QUIT of the session
}
hold "case-2026-17" {
    users = { "dave" }
    note  = "keep everything of his"
}
passwords { rule "demonstration" { allow = always } }
apop      { rule "sunset" { users = { "bob" } allow = always
                            until = "2099-12-31" } }
"""


# The server.

def free_ports():
    """Two ports below those that the system gives to clients."""
    found = []
    while len(found) < 2:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                pass
    return found


class Demo:
    users = {
        "ann": ("correct horse battery staple", None),
        "bob": ("tr0ub4dor-and-3", "wu3ohCh8ieshae7A"),
        "carol": ("four words make one", None),
        "dave": ("hold the line please", None),
    }
    # Those of the policy; the others are drained by their clients.
    ruled = ("carol", "dave")

    def __init__(self, dovecot):
        self.dovecot = dovecot
        self.name = "Dovecot" if dovecot else "popkeepd"
        self.dir = tempfile.mkdtemp(prefix="popkeep-try.")
        os.chmod(self.dir, 0o755)
        self.port, self.tls_port = free_ports()
        self.process = None

    def start(self):
        policy = self.dir + "/policy.conf"
        with open(policy, "w") as f:
            f.write(POLICY)
        argv = [HERE + "/serve", "--no-build", "--dir", self.dir, "--port",
                str(self.port), "--tls-port", str(self.tls_port),
                "--policy", policy] + (["--dovecot"] if self.dovecot else [])
        for user, (password, secret) in self.users.items():
            argv += ["--user", user, "--password", password]
            if secret:
                argv += ["--apop-secret", secret]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE,
                                        start_new_session=True)
        if self.process.stdout.readline() != b"ready\n":
            sys.exit("tools/try: %s does not start" % self.name)

    def described(self):
        if not self.dovecot:
            return self.name
        version = re.search(r"Dovecot v(\S+)", open(self.dir + "/log").read())
        return "Dovecot %s with popkeep's plugin" % version[1]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def maildir(self, user, place="Maildir"):
        return self.dir + ("/" if user == "ann" else "/%s/" % user) + place

    def retained(self, user):
        # The plugin has a folder there for each folder.
        return self.maildir(user, "popkeep-retained") + (
            "/.INBOX" if self.dovecot else "")

    @property
    def certificate(self):
        return self.dir + "/.popkeep/cert.pem"


# What is shown.

def table(rows, head):
    widths = [max(len(str(r[i])) for r in rows + [head])
              for i in range(len(head))]
    line = "  ".join("%-*s" if isinstance(rows[0][i], str) else "%*s"
                     for i in range(len(head)))

    def text(row):
        return "   " + (line % tuple(x for p in zip(widths, row)
                                     for x in p)).rstrip()
    print(paint("2", text(head)))
    for row in rows:
        print(text(row))


def dialogue(demo):
    """One session of ours over TLS, shown line by line."""
    context = ssl.create_default_context(cafile=demo.certificate)
    raw = socket.create_connection(("127.0.0.1", demo.tls_port), 20)
    s = context.wrap_socket(raw, server_hostname="localhost")
    f = s.makefile("rb")

    def show(mark, code, text):
        print(("   %s %s" % (paint("2", mark), paint(code, cut(text, 70))
                             if text else "")).rstrip())

    def reply(multi):
        line = f.readline().decode().rstrip()
        show("S", "32" if line.startswith("+OK") else "31", line)
        lines = []
        while multi and line.startswith("+OK"):
            row = f.readline().decode("utf-8", "replace").rstrip("\r\n")
            lines.append(row)
            if row == ".":
                break
        for row in lines:
            show("S", "33" if row.startswith("..") else "0", row)

    def say(text, multi=False, hide=None):
        show("C", "36", hide or text)
        s.sendall(text.encode() + b"\r\n")
        reply(multi)
    reply(False)
    say("USER ann")
    say("PASS wrong")
    say("USER ann")
    say("PASS " + demo.users["ann"][0], hide="PASS ****")
    say("STAT")
    say("RETR 3", True)
    say("DELE 9")
    say("QUIT")
    s.close()
    print()
    print("   The line of one dot in message 3 came as two dots, as RFC 1939 "
          "wants it.")


def client(name, argv, env=None):
    print("   " + paint("36", "$ " + cut(name, WIDTH - 6)))
    start = time.monotonic()
    done = subprocess.run(argv, env=dict(os.environ, **(env or {})),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    took = time.monotonic() - start
    for line in done.stdout.decode(errors="replace").splitlines()[-6:]:
        print("     " + cut(line, WIDTH - 6))
    if done.returncode != 0:
        print(paint("31", "     exit status %d" % done.returncode))
        raise SystemExit("tools/try: the client failed")
    return took


def compare(got, messages):
    """Do the files got hold what was sent, octet for octet?"""
    same = sorted(got) == sorted(messages)
    print("   %s" % (paint("32", "All %d messages arrived octet for octet." %
                           len(messages)) if same else
                     paint("31", "What arrived is NOT what was stored.")))
    return same


def drain_by_apop(demo, messages):
    """mpop fetches and deletes everything of bob's, by APOP."""
    out = demo.dir + "/fetched"
    for name in ("tmp", "new", "cur"):
        os.makedirs(out + "/" + name)
    rc = demo.dir + "/mpoprc"
    with open(rc, "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write("account demo\nhost 127.0.0.1\nport %d\nuser bob\n"
                "password %s\nauth apop\ntls off\nkeep off\n"
                "uidls_file %s/uidls\ndelivery maildir %s\n"
                "received_header off\n" % (
                    demo.port, demo.users["bob"][1], demo.dir, out))
    client("mpop --auth=apop --tls=off --keep=off --user=bob "
           "--port=%d" % demo.port,
           ["mpop", "-Q", "-C", rc, "demo"], env={"HOME": demo.dir})
    got = []
    for name in os.listdir(out + "/new"):
        with open(out + "/new/" + name, "rb") as f:
            got.append(f.read())
    # mpop stores LF line ends.
    return compare(got, [sent(m).replace(b"\r\n", b"\n") for _, m in messages])


def drain_by_curl(demo, user, messages, apop=False):
    """curl fetches every message of the user's, then deletes it."""
    password, secret = demo.users[user]
    url = "pop3://127.0.0.1:%d/" % demo.port if apop else \
        "pop3s://127.0.0.1:%d/" % demo.tls_port
    shown = "--login-options AUTH=+APOP " if apop else ""
    base = ["curl", "-sS", *shown.split(), "--cacert", demo.certificate, "-u",
            user + ":" + (secret if apop else password)]
    got = []
    client("curl %s-u %s:... %s[1-%d] -o '#1.eml'" % (
        shown, user, url, len(messages)),
        base + ["%s[1-%d]" % (url, len(messages)), "-o",
                demo.dir + "/#1.eml"])
    for number in range(1, len(messages) + 1):
        with open("%s/%d.eml" % (demo.dir, number), "rb") as f:
            got.append(f.read())
    # Number 1 is the next one each time.
    print("   " + paint("36", "$ curl %s-u %s:... -X DELE %s1  (%d times)" % (
        shown and "... ", user, url, len(messages))))
    for _ in messages:
        for _ in range(50):
            done = subprocess.run(base + ["-I", "-X", "DELE", url + "1"],
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode == 0:
                break
            time.sleep(0.05)
    return compare(got, [sent(m) for _, m in messages])


def download_and_leave(demo, user):
    """A client that fetches everything and deletes nothing."""
    url = "pop3s://127.0.0.1:%d/[1-3]" % demo.tls_port
    client("curl -u %s:... %s -o /dev/null" % (user, url),
           ["curl", "-sS", "--cacert", demo.certificate, "-u",
            "%s:%s" % (user, demo.users[user][0]), url, "-o", "/dev/null"])


def policy_rows(demo):
    return [(user, "%d messages" % stored(demo.maildir(user))[0],
             "%d messages" % stored(demo.retained(user))[0])
            for user in demo.ruled]


def policy_works(demo):
    """The rule deletes what was downloaded; the hold keeps what is dave's."""
    print("\n".join("   " + paint("2", line) for line in
                    POLICY.splitlines()[:8]) + "\n")
    for user in demo.ruled:
        fill(demo.maildir(user), mailbox()[:3])
    for user in demo.ruled:
        download_and_leave(demo, user)
    print("\n   The client left everything on the server.  What is there now:\n")
    # curl does not wait for the end.
    for _ in range(100):
        if not any(stored(demo.maildir(u))[0] for u in demo.ruled):
            break
        time.sleep(0.05)
    table(policy_rows(demo), ("mailbox", "in the Maildir", "retained"))
    return [stored(demo.maildir(u))[0] for u in demo.ruled] == [0, 0] and \
        stored(demo.retained("dave"))[0] == 3


def audit_rows(demo):
    time.sleep(0.2)
    with open(demo.dir + "/audit.log") as f:
        records = [json.loads(line) for line in f]
    rows = [(r["seq"], r["time"][11:19], r["event"], r["user"],
             cut(r["uidl"], 18), r.get("reason", "-"))
            for r in records if "uidl" in r and r["user"] in demo.ruled]
    if not rows:
        raise SystemExit("tools/try: nothing of it is in the audit log")
    table(rows,
          ("seq", "time", "event", "user", "unique-id", "reason"))
    print("\n   Each line has the SHA-256 of the line before; an intent is on "
          "disk before\n   the message is touched.\n")
    verify(demo)


def tool():
    return os.environ.get("POPKEEP_BUILD", os.path.dirname(HERE) +
                          "/build") + "/standalone/popkeep"


def verify(demo):
    """Seal the log, and prove with the key alone that it is what was written."""
    log = demo.dir + "/audit.log"
    made = subprocess.run(
        [tool(), "-f", demo.dir + "/.popkeep/popkeepd.conf", "audit",
         "setup"], capture_output=True, text=True)
    key = re.search("--key ([0-9a-f]+)", made.stdout)
    print("   " + paint("36", "$ popkeep audit setup"))
    print("   " + "\n   ".join(made.stdout.splitlines()))
    if key is None:
        raise SystemExit("tools/try: " + made.stderr)
    end = time.monotonic() + 10
    while '"event":"seal"' not in open(log).read():
        if time.monotonic() > end:
            raise SystemExit("tools/try: the log is not sealed")
        time.sleep(0.1)
    client("popkeep audit verify --key %s... audit.log" % key.group(1)[:8],
           [tool(), "audit", "verify", "--key", key.group(1), log])
    client("popkeep audit show --user dave --event retained audit.log",
           [tool(), "-f", demo.dir + "/.popkeep/popkeepd.conf", "audit",
            "show", "--user", "dave", "--event", "retained", log])
    report = demo.dir + "/report.html"
    client("popkeep report -o report.html audit.log",
           [tool(), "report", "-o", report, log])
    print("     %s\n     is the same for people, in a browser" % cut(
        report, WIDTH - 6))


def log_lines(demo):
    with open(demo.dir + "/log", errors="replace") as f:
        lines = f.read().splitlines()
    # One line of each kind: the curls above left many of the same.
    seen, shown = set(), []
    for line in lines:
        kind = re.findall(r" ([a-z-]+):|(user=\S+)|(mech=\S+)|(retr=\d+)|"
                          r"(pop3\(\w+\))|(method=\w+)|(del=\d+)", line)
        if str(kind) not in seen:
            shown.append(line)
        seen.add(str(kind))
    for line in shown:
        # The date says nothing here; the rest may be longer than a line.
        line = re.sub(r"^(\S*T)?(\d\d:\d\d:\d\d)[.\d]*Z? (popkeepd )?",
                      r"\2 ", line)
        code = "33" if re.search(r" (notice|warning|error)[: ]", line, re.I) \
            else "0"
        first = True
        while line.strip():
            at = len(line)
            if at > WIDTH - 5:
                at = line.rfind(" ", 0, WIDTH - 5)
                at = at if at > 20 else WIDTH - 5
            print("   " + ("" if first else "  ") + paint(code, line[:at]))
            line, first = line[at:].strip(), False


def farewell(demo):
    print("   ports  %d (clear text, STLS), %d (TLS)" % (demo.port,
                                                         demo.tls_port))
    for user, (password, secret) in demo.users.items():
        print("   %s    password '%s'%s" % (
            user, password, ", APOP secret '%s'" % secret if secret else ""))
    print("""
   openssl s_client -quiet -crlf -connect 127.0.0.1:%(tls)d
       then: USER ann, PASS %(password)s, LIST, RETR 1, QUIT
   curl --cacert %(cert)s \\
       -u 'ann:%(password)s' pop3s://127.0.0.1:%(tls)d/
   curl --login-options AUTH=+APOP -u 'bob:%(secret)s' \\
       pop3://127.0.0.1:%(port)d/

   popkeep=%(tool)s
   $popkeep -f %(dir)s/.popkeep/popkeepd.conf explain dave
       also: %(also)s

   Mailbox of ann   %(ann)s
   Mailbox of bob   %(bob)s
   Log, audit log   %(dir)s/log, audit.log
   Report on it     %(dir)s/report.html
   Configuration    %(dir)s/.popkeep/%(conf)s
   Policy           %(dir)s/policy.conf""" % {
        "tool": os.path.relpath(tool()),
        "also": "check, hold list, policy, audit verify, audit show"
        if demo.dovecot else "check, sweep --all --dry-run, hold list, "
        "retained list dave,\n       audit verify, audit show",
        "conf": "dovecot/dovecot.conf" if demo.dovecot else "popkeepd.conf",
        "tls": demo.tls_port, "port": demo.port, "cert": demo.certificate,
        "password": demo.users["ann"][0], "secret": demo.users["bob"][1],
        "ann": demo.maildir("ann"), "bob": demo.maildir("bob"),
        "dir": demo.dir})


def show(demo):
    messages = mailbox()
    drained = [u for u in demo.users if u not in demo.ruled]
    for user in drained:
        fill(demo.maildir(user), messages)
    section(1, "Two mailboxes, ann's and bob's, with the same six messages")
    table([(n, what, len(m), len(sent(m)))
           for n, (what, m) in enumerate(messages, 1)],
          ("", "message", "stored", "as POP3 sends it"))
    before = {u: stored(demo.maildir(u)) for u in drained}

    section(2, "A session, over TLS (C: client, S: %s)" % demo.name)
    dialogue(demo)

    # mpop takes no timestamp with a '=' in it, and Dovecot's has two.
    section(3, "%s drains bob's mailbox: APOP, the secret is never sent" % (
        "curl" if demo.dovecot else "mpop"))
    good = drain_by_curl(demo, "bob", messages, apop=True) if demo.dovecot \
        else drain_by_apop(demo, messages)

    section(4, "curl drains ann's mailbox: a password, over TLS")
    good = drain_by_curl(demo, "ann", messages) and good

    section(5, "Before and after")
    after = {u: stored(demo.maildir(u)) for u in drained}
    table([(u, "%d messages, %d octets" % before[u],
            "%d messages, %d octets" % after[u]) for u in drained],
          ("mailbox", "before", "after"))
    good = good and all(n == 0 for n, _ in after.values())

    section(6, "The policy: download and delete for carol and dave, a hold on "
            "dave")
    good = policy_works(demo) and good

    section(7, "What the audit log says of it")
    audit_rows(demo)

    section(8, "What %s logged" % demo.name)
    log_lines(demo)
    return good


def main():
    once = "--once" in sys.argv[1:]
    demo = Demo("--dovecot" in sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    try:
        demo.start()
        print("%s runs on 127.0.0.1, ports %d and %d (TLS), %s." % (
            demo.described(), demo.port, demo.tls_port,
            "privileges separated" if os.geteuid() == 0 else "unprivileged"))
        good = show(demo)
        if not once:
            for user in demo.users:
                fill(demo.maildir(user), mailbox())
            section(9, "Your turn (all mailboxes are full again)")
            farewell(demo)
            print("\n   %s" % paint("1", "^C ends it and removes everything."),
                  flush=True)
            demo.process.wait()
        print()
        return 0 if good else 1
    except KeyboardInterrupt:
        print("\n")
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        demo.stop()


if __name__ == "__main__":
    sys.exit(main())
