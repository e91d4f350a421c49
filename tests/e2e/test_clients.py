"""Unmodified POP3 clients: every message, octet for octet, by password over STLS
and TLS and by APOP; keep keeps, delete deletes, and what is kept is not fetched
twice, restarts or not.

Nasty messages go to the clients that hand on what they receive (curl, poplib);
the others deliver in their own form, and what they change by design is undone
here and named.

SPDX-License-Identifier: ISC
"""
import glob
import mailbox
import os
import poplib
import pty
import re
import select
import shutil
import signal
import ssl
import subprocess
import time

import fixtures
from lib import (ROOT, Server, check, each, needs, private_dir, run, same, test,
                 until)

WORD = "word-of-"		# a netrc file knows no spaces


def write(path, text, mode=0o600):
    with open(path, "w") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    return path


def clean_set():
    return fixtures.cleans(6) + [fixtures.dotty()]


def free_again(s):
    """Wait until the session of a client that has gone has ended."""
    until(lambda: s.login(wait=False).quit() is None, "maildrop free", 5)


# curl

# curl makes a CRLF of a message of 0 octets.
CURL_CANNOT = ("0 octets",)


def curl(s, how, path, *more, status=0):
    scheme, port = ("pop3s", s.tls_port) if how == "tls" else ("pop3", s.port)
    argv = ["curl", "-s", "-S", "--cacert", s.certificate]
    if how == "stls":
        argv += ["--ssl-reqd"]
    if how == "apop":
        argv += ["--login-options", "AUTH=+APOP", "-u", "ann:" +
                 s.secret("ann")]
    else:
        argv += ["-u", "ann:" + s.password("ann")]
    return run(argv + list(more) + ["%s://localhost:%d/%s" % (
        scheme, port, path)], status=status)


@each("tls", "stls", "apop")
def curl_fetches(how):
    """curl fetches every message octet for octet, nasty ones too"""
    needs("curl")
    messages = [m for n, m in fixtures.nasty().items()
                if n not in CURL_CANNOT] + clean_set()
    with Server(messages=messages) as s:
        scan = curl(s, how, "").split(b"\r\n")
        same(len(scan) - 1, len(messages), "LIST")
        with private_dir() as d:
            for n, message in enumerate(messages, 1):
                curl(s, how, str(n), "-o", d + "/m")
                with open(d + "/m", "rb") as f:
                    same(f.read(), fixtures.received(message),
                         "message %d" % n)
        check(curl(s, how, "", "-X", "UIDL").count(b"\r\n") == len(messages),
              "UIDL")
        same(s.stored(), sorted(messages), "curl keeps")


@each("tls", "stls", "apop")
def curl_deletes(how):
    """curl deletes with DELE, and a second time there is nothing to delete"""
    needs("curl")
    messages = clean_set()
    with Server(messages=messages) as s:
        curl(s, how, "2", "-X", "DELE", "-I")
        free_again(s)
        same(s.stored(), sorted(messages[:1] + messages[2:]), "left")
        curl(s, how, "7", "-X", "DELE", "-I", status=(8, 21, 56, 78))
        same(len(s.stored()), 6, "left")


# Python's poplib

def poplib_open(s, how):
    context = ssl.create_default_context(cafile=s.certificate)
    if how == "tls":
        p = poplib.POP3_SSL("localhost", s.tls_port, context=context,
                            timeout=30)
    else:
        p = poplib.POP3("localhost", s.port, timeout=30)
    if how == "stls":
        p.stls(context=context)
    if how == "apop":
        p.apop("ann", s.secret("ann"))
    else:
        p.user("ann")
        p.pass_(s.password("ann"))
    return p


@each("tls", "stls", "apop")
def poplib_fetches(how):
    """poplib fetches every nasty message, deletes, and RSET keeps"""
    poplib._MAXLINE = 1 << 24		# its own limit is 2048 octets
    nasty = fixtures.nasty()
    with Server(messages=nasty.values()) as s:
        p = poplib_open(s, how)
        count, octets = p.stat()
        same(count, len(nasty), "STAT")
        for n, (name, message) in enumerate(nasty.items(), 1):
            _, lines, size = p.retr(n)
            expected = fixtures.received(message)
            # poplib drops a CR that follows a line's LF.
            got = b"".join(l + b"\r\n" for l in lines)
            same(got, re.sub(rb"(^|\n)\r(?=[^\n]*\r\n)", rb"\1", expected)
                 if got != expected else expected, "'%s'" % name)
            same(size, len(expected), "octets of '%s'" % name)
        p.dele(1)
        p.rset()
        p.dele(2)
        p.quit()
        left = list(nasty.values())
        del left[1]
        same(s.stored(), sorted(left), "left")


# Perl's Net::POP3

PERL = r'''
use Net::POP3; use Digest::MD5;
my ($how, $port, $user, $word, $ca, $delete) = @ARGV;
my %ssl = (SSL_ca_file => $ca, SSL_verifycn_name => "localhost");
my $p = Net::POP3->new("localhost", Port => $port, Timeout => 20,
    ($how eq "tls" ? (SSL => 1, %ssl) : ())) or die "connect: $@";
if ($how eq "stls") { $p->starttls(%ssl) or die "STLS: $@ " . $p->message; }
my $n = $how eq "apop" ? $p->apop($user, $word) : $p->login($user, $word);
defined $n or die "login: " . $p->message;
binmode STDOUT;
for my $i (sort { $a <=> $b } keys %{$p->list}) {
    my $lines = $p->get($i);
    my $text = join("", @$lines);
    print length($text), "\n", $text;
    $p->delete($i) or die "DELE" if $delete;
}
$p->quit or die "QUIT: " . $p->message;
'''


@each("tls", "stls", "apop")
def perl_fetches(how):
    """Perl's Net::POP3 fetches every message, keeps and deletes"""
    needs("perl")
    messages = clean_set()
    with Server(messages=messages) as s:
        for delete in ("", "1"):
            out = run(["perl", "-e", PERL, how,
                       str(s.tls_port if how == "tls" else s.port), "ann",
                       s.secret("ann") if how == "apop" else s.password("ann"),
                       s.certificate, delete])
            for n, message in enumerate(messages, 1):
                size, out = out.split(b"\n", 1)
                # Net::POP3 gives lines with LF, under TLS with CRLF.
                same(out[:int(size)].replace(b"\r\n", b"\n"), message,
                     "message %d" % n)
                out = out[int(size):]
            same(out, b"", "more output")
            free_again(s)
            same(s.stored(), [] if delete else sorted(messages), "left")


# fetchmail

class Fetchmail:
    name = "fetchmail"
    nothing_new = 1

    def __init__(self, s, how, directory, keep):
        self.dir, self.out = directory, directory + "/out"
        os.makedirs(self.out, exist_ok=True)
        mda = write(directory + "/mda", "#!/bin/sh\n"
                    "f=$(mktemp '%s/m.XXXXXX') && cat >\"$f\"\n" % self.out,
                    0o700)
        ssl = {"tls": "ssl sslcertck sslcertfile \"%s\"",
               "stls": "sslproto \"tls1.2+\" sslcertck sslcertfile \"%s\"",
               "apop": "sslproto \"\""}[how]
        if "%s" in ssl:
            ssl %= s.certificate
        self.rc = write(directory + "/fetchmailrc",
                        "set invisible\nset no bouncemail\n"
                        "poll localhost proto %s port %d uidl\n"
                        " user ann password \"%s\" %s %s norewrite\n"
                        " mda \"%s\"\n" % (
                            "apop" if how == "apop" else "pop3",
                            s.tls_port if how == "tls" else s.port,
                            s.secret("ann") if how == "apop"
                            else s.password("ann"),
                            ssl, "keep" if keep else "nokeep", mda))

    def fetch(self, *more, status=0):
        run(["fetchmail", "-v", "--nosyslog", "--nodetach", "-f", self.rc,
             "--idfile", self.dir + "/ids", "--pidfile", self.dir + "/pid",
             *more],
            env={"HOME": self.dir, "FETCHMAILHOME": self.dir,
                 "USER": "tester", "LOGNAME": "tester"}, status=status)

    def got(self):
        """What it delivered; fetchmail's MDA gets LF line ends."""
        found = []
        for path in glob.glob(self.out + "/m.*"):
            with open(path, "rb") as f:
                found.append(f.read())
        return sorted(found)


class Mpop:
    name = "mpop"
    nothing_new = 0

    def __init__(self, s, how, directory, keep):
        self.dir, self.out = directory, directory + "/out"
        for name in ("tmp", "new", "cur"):
            os.makedirs(self.out + "/" + name, exist_ok=True)
        tls = {"tls": "tls on\ntls_starttls off\ntls_trust_file %s\n",
               "stls": "tls on\ntls_starttls on\ntls_trust_file %s\n",
               "apop": "tls off\n"}[how]
        if "%s" in tls:
            tls %= s.certificate
        self.rc = write(directory + "/mpoprc",
                        "account a\nhost localhost\nport %d\nuser ann\n"
                        "password %s\nauth %s\n%skeep %s\n"
                        "uidls_file %s/uidls\ndelivery maildir %s\n"
                        "received_header off\n" % (
                            s.tls_port if how == "tls" else s.port,
                            s.secret("ann") if how == "apop"
                            else s.password("ann"),
                            "apop" if how == "apop" else "user", tls,
                            "on" if keep else "off", directory, self.out))

    def fetch(self, status=0):
        run(["mpop", "-q", "-C", self.rc, "a"], env={"HOME": self.dir},
            status=status)

    def got(self):
        found = []
        for path in glob.glob(self.out + "/new/*"):
            with open(path, "rb") as f:
                found.append(f.read())
        return sorted(found)


class Getmail:
    name = "getmail"
    nothing_new = 0

    def __init__(self, s, how, directory, keep):
        self.server = s
        self.dir, self.out = directory, directory + "/out"
        for name in ("tmp", "new", "cur"):
            os.makedirs(self.out + "/" + name, exist_ok=True)
        kind = "SimplePOP3SSLRetriever\nca_certs = %s\nssl_cert_hostname = " \
               "localhost" % (directory + "/ca.pem") if how == "tls" \
            else "SimplePOP3Retriever"
        shutil.copy(s.certificate, directory + "/ca.pem")
        self.rc = write(directory + "/getmailrc",
                        "[retriever]\ntype = %s\nserver = localhost\n"
                        "port = %d\nusername = ann\npassword = %s\n"
                        "use_apop = %s\n"
                        "[destination]\ntype = Maildir\npath = %s/\n"
                        "[options]\nread_all = false\ndelete = %s\n"
                        "delivered_to = false\nreceived = false\n"
                        "verbose = 1\n" % (
                            kind, s.tls_port if how == "tls" else s.port,
                            s.secret("ann") if how == "apop"
                            else s.password("ann"),
                            "true" if how == "apop" else "false", self.out,
                            "false" if keep else "true"))

    def fetch(self, status=0):
        argv = ["getmail", "--getmaildir", self.dir, "--rcfile", self.rc]
        if ROOT:			# it does not deliver as root
            run(["chown", "-R", "nobody", self.dir])
            argv = ["setpriv", "--reuid=nobody", "--regid=nogroup",
                    "--clear-groups"] + argv
        # On one processor it seldom fails to see its child end: see below.
        argv = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] + argv
        before = set(glob.glob(self.out + "/new/*"))
        for _ in range(5):
            try:
                return run(argv, env={"HOME": self.dir}, status=status,
                           timeout=20)
            except subprocess.TimeoutExpired:
                # It misses the end of its own child if that is quick, and
                # waits for it until its timeout; killed, it has done nothing.
                for path in set(glob.glob(self.out + "/new/*")) - before:
                    os.unlink(path)
                free_again(self.server)
        raise AssertionError("getmail: five times longer than 20 s")

    def got(self):
        """getmail puts a Return-Path in front."""
        found = []
        for path in glob.glob(self.out + "/new/*"):
            with open(path, "rb") as f:
                found.append(re.sub(rb"^Return-Path: [^\n]*\n", b"", f.read()))
        return sorted(found)


def clients(*rows):
    return [(c, how, mode) for c, hows in rows for how in hows
            for mode in ("keep", "delete")]


BY_NAME = {c.name: c for c in (Fetchmail, Mpop, Getmail)}


@each(*clients(("fetchmail", ("tls", "stls", "apop")),
               ("mpop", ("tls", "stls", "apop")),
               ("getmail", ("tls", "apop"))))
def downloader(name, how, mode):
    """fetches every message; a second run, after a restart, only new ones"""
    needs(name)
    kind = BY_NAME[name]
    messages = clean_set()
    with Server(messages=messages, word=WORD) as s, private_dir() as d:
        client = kind(s, how, d, mode == "keep")
        client.fetch()
        same(client.got(), sorted(messages), "first run")
        free_again(s)
        same(s.stored(), sorted(messages) if mode == "keep" else [], "left")
        client.fetch(status=client.nothing_new)
        same(len(client.got()), len(messages), "second run")
        free_again(s)
        s.restart()
        late = [fixtures.clean(91), fixtures.clean(92)]
        for message in late:
            s.deliver("ann", message)
        client.fetch()
        same(client.got(), sorted(messages + late), "run after restart")
        free_again(s)
        same(s.stored(), sorted(messages + late) if mode == "keep" else [],
             "left at the end")


@each("keep", "nokeep")
def fetchmail_fetchall(mode):
    """fetchmail --fetchall fetches all of it every time"""
    needs("fetchmail")
    messages = clean_set()
    with Server(messages=messages, word=WORD) as s, private_dir() as d:
        client = Fetchmail(s, "tls", d, mode == "keep")
        client.fetch("--fetchall")
        same(client.got(), sorted(messages), "first run")
        free_again(s)
        client.fetch("--fetchall", status=0 if mode == "keep" else 1)
        times = 2 if mode == "keep" else 1
        same(client.got(), sorted(messages * times), "second run")
        free_again(s)
        same(s.stored(), sorted(messages) if mode == "keep" else [], "left")


@test
def wrong_password():
    """clients understand a refusal: mpop and fetchmail say so, mail stays"""
    needs("mpop", "fetchmail")
    with Server(messages=clean_set(), word=WORD) as s, private_dir() as d:
        for kind, statuses in ((Mpop, 77), (Fetchmail, 3)):
            client = kind(s, "tls", d, False)
            text = open(client.rc).read().replace(WORD, "wrong")
            write(client.rc, text)
            client.fetch(status=statuses)
            same(client.got(), [], "delivered")
        same(len(s.stored()), 7, "left")


# neomutt

def neomutt(s, how, d, delete):
    """Fetch mail into an mbox with neomutt, in a terminal of its own."""
    scheme = "pops" if how == "tls" else "pop"
    write(d + "/muttrc", """
set folder="%(d)s"
set spoolfile="%(d)s/inbox"
set mbox_type=mbox
set pop_host="%(scheme)s://ann@localhost:%(port)d"
set pop_pass="%(word)s"
set pop_authenticators="%(auth)s"
set pop_delete=%(delete)s
set pop_checkinterval=1
set ssl_starttls=%(stls)s
set ssl_force_tls=%(force)s
set ssl_ca_certificates_file="%(ca)s"
set certificate_file="%(ca)s"
set wait_key=no
set confirmappend=no
set move=no
set mark_old=no
set quit=yes
set header_cache=""
""" % {"d": d, "scheme": scheme, "ca": s.certificate,
       "port": s.tls_port if how == "tls" else s.port,
       "word": s.secret("ann") if how == "apop" else s.password("ann"),
       "auth": "apop" if how == "apop" else "user",
       "delete": "yes" if delete else "no",
       "stls": "yes" if how == "stls" else "no",
       "force": "no" if how == "apop" else "yes"})
    open(d + "/inbox", "a").close()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(HOME=d, TERM="xterm", LINES="24", COLUMNS="80")
        os.chdir(d)
        os.execvp("neomutt", ["neomutt", "-n", "-F", d + "/muttrc", "-e",
                              "push <fetch-mail><sync-mailbox><exit>"])
    screen, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            screen += data
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    os.waitpid(pid, 0)
    return screen


def from_mbox(path):
    """Messages of an mbox; neomutt adds a "From " line, Status, and an empty
    line after the message."""
    with open(path, "rb") as f:
        text = f.read()
    found = []
    for part in re.split(rb"(?:^|\n)From [^\n]*\n", text)[1:]:
        if not part.endswith(b"\n"):
            part += b"\n"
        header, body = part.split(b"\n\n", 1)
        header = b"\n".join(l for l in header.split(b"\n") if not re.match(
            rb"(Status|X-Status|Content-Length|Lines):", l))
        found.append(header + b"\n\n" + body)
    return sorted(found)


@each(*[(how, mode) for how in ("tls", "stls", "apop")
        for mode in ("keep", "delete")])
def neomutt_fetches(how, mode):
    """neomutt fetches every message into an mbox"""
    needs("neomutt")
    messages = clean_set()
    with Server(messages=messages, word=WORD) as s, private_dir() as d:
        screen = neomutt(s, how, d, mode == "delete")
        got = from_mbox(d + "/inbox")
        check(got, "nothing in the mbox; the screen: %r" % screen[-1500:])
        same([m.rstrip(b"\n") for m in got],
             [m.rstrip(b"\n") for m in sorted(messages)], "mbox")
        free_again(s)
        same(s.stored(), sorted(messages) if mode == "keep" else [], "left")


# nmh

@each("keep", "delete")
def nmh_inc(mode):
    """nmh's inc fetches every message into a folder, by password over TLS"""
    nmh_fetch("tls", mode)


@each("keep", "delete")
def nmh_inc_stls(mode):
    """nmh's inc fetches every message into a folder, by password over STLS"""
    nmh_fetch("stls", mode)


def nmh_fetch(how, mode):
    inc = shutil.which("inc") or "/usr/bin/mh/inc"
    needs(inc)
    messages = clean_set()
    with Server(messages=messages, word=WORD) as s, private_dir() as d:
        os.mkdir(d + "/Mail")
        write(d + "/.mh_profile", "Path: Mail\nWelcome: disable\n"
              "credentials: file:%s/netrc\n" % d)
        write(d + "/netrc", "machine localhost login ann password %s\n"
              % s.password("ann"))
        run([inc, "-host", "localhost", "-user", "ann", "-port",
             str(s.tls_port if how == "tls" else s.port),
             "-initialtls" if how == "tls" else "-tls",
             "-notruncate" if mode == "keep" else "-truncate", "-nochangecur"],
            env={"HOME": d, "MH": d + "/.mh_profile", "USER": "tester",
                 "SSL_CERT_FILE": s.certificate})
        got = []
        for path in glob.glob(d + "/Mail/inbox/[0-9]*"):
            with open(path, "rb") as f:
                got.append(f.read())
        same(sorted(got), sorted(messages), "folder")
        free_again(s)
        same(s.stored(), sorted(messages) if mode == "keep" else [], "left")
