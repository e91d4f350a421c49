"""The servers that bench.py measures, each started on free ports in a directory of
its own, with its own copy of the mail.

SPDX-License-Identifier: ISC
"""
import contextlib
import ctypes
import glob
import os
import poplib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("POPKEEP_BUILD") or TOP + "/build"
# Where unpack-peers has put the other servers; if nowhere, those installed count.
OTHERS = os.path.abspath(os.environ["POPKEEP_PEERS"]) \
    if os.environ.get("POPKEEP_PEERS") else ""
PASSWORD = "bench"

# One rule for everybody, under which nothing is due while we measure.
POLICY = 'retention "all" { users = { "*" } after-download = "3650d" }\n'

# Dovecot's high-performance mode, and with many clients in a process.
HIGH_PERFORMANCE = """
auth_cache_size = 10M
service pop3-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 2000
}
service pop3 {
  process_min_avail = 2
  service_count = 0
%s}
"""
MANY_CLIENTS = "  client_limit = 600\n  process_limit = 4\n"
# The default mode has a process for each connection: it needs room.
PROCESSES = """
default_process_limit = 2500
service anvil {
  client_limit = 6000
}
service auth {
  client_limit = 6000
}
"""


class Peer:
    """One that runs: where, and what popbench has to be told of it.

    meter: popbench's options by which it finds the server's processes; tls_meter:
    where TLS has processes of its own."""

    def __init__(self, port, tls, meter, tls_meter=None, args=()):
        self.port, self.tls, self.args = port, tls, list(args)
        self.meter, self.tls_meter = meter, tls_meter or meter


def free_ports():
    """Two that nobody has; not those that clients get for themselves."""
    found = set()
    while len(found) < 2:
        port = random.randrange(12000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            found.add(port)
    return sorted(found)


def await_port(port, process):
    """Until somebody listens there."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("%s ended" % process.args[0])
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("%s does not listen" % process.args[0])


# Where Linux counts the CPU time of a control group, to the nanosecond: version 1
# and version 2.  A process's own is known in clock ticks of 10 ms.
CGROUPS = (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"),
           ("/sys/fs/cgroup", "cpu.stat"))


def new_cgroup():
    """One of our own; None where that is not for us to make."""
    for place, file in CGROUPS:
        try:
            path = tempfile.mkdtemp(prefix="popkeep-bench-", dir=place)
        except OSError:
            continue
        if os.path.exists(path + "/" + file):
            return path
        os.rmdir(path)
    return None


def remove_cgroup(path):
    """Its last processes may still be ending."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            os.rmdir(path)
            return
        time.sleep(0.05)


@contextlib.contextmanager
def process(argv, **more):
    """It, and popbench's options that find it: see Peer."""
    group = new_cgroup()
    if group:
        argv = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"',
                group] + argv
    p = subprocess.Popen(argv, **more)
    try:
        yield p, ["--cgroup", group] if group else ["--pid", str(p.pid)]
    finally:
        p.terminate()
        p.wait()
        if group:
            remove_cgroup(group)


# ---- nullpop ------------------------------------------------------------------

def make_certificate(directory):
    """key.pem and cert.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", directory + "/key.pem",
                    "-out", directory + "/cert.pem"], check=True,
                   capture_output=True)


@contextlib.contextmanager
def nullpop(place, mail):
    """The limit: answers from memory, asks for no password."""
    ports = free_ports()
    private = place + "/.popkeep"
    os.makedirs(private, exist_ok=True)
    make_certificate(private)
    argv = [BUILD + "/tests/bench/nullpop", "-n", str(mail.messages), "-s",
            str(mail.octets)]
    with process(argv + ["-p", str(ports[0])]) as (one, meter), \
         process(argv + ["-p", str(ports[1]), "-C", private + "/cert.pem",
                         "-K", private + "/key.pem"]) as (two, tls_meter):
        await_port(ports[0], one)
        await_port(ports[1], two)
        yield Peer(ports[0], ports[1], meter, tls_meter)


# ---- popkeepd and Dovecot, by tools/serve -------------------------------------

@contextlib.contextmanager
def serve(place, mail, options, secrets=False):
    ports = free_ports()
    with open(place + ".policy", "w", encoding="utf-8") as f:
        f.write(mail.policy or POLICY)
    argv = [TOP + "/tools/serve", "--dir", place, "--port", str(ports[0]),
            "--tls-port", str(ports[1]), "--no-build", "--policy",
            place + ".policy"]
    for name in ["first"] + mail.users:
        argv += ["--user", name, "--password", PASSWORD]
        if secrets:
            argv += ["--apop-secret", PASSWORD]
    with process(argv + options, stdout=subprocess.PIPE, text=True) as (p, meter):
        if p.stdout.readline() != "ready\n":
            raise RuntimeError("tools/serve did not start")
        yield Peer(ports[0], ports[1], meter)


PAM_UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"


def popkeepd(*options, apop=True):
    """popkeepd; its audit log is sealed.  Without APOP: passwords by PAM, of the
    system's users as Debian keeps them."""
    sets = ["max-connections = 20000", "max-per-address = 20000"] + \
        list(options)
    more = [word for line in sets for word in ("--set", line)]

    @contextlib.contextmanager
    def start(place, mail):
        with serve(place, mail, more, apop) as peer:
            key = place + "/.popkeep/sealed"
            if not os.path.exists(key):
                subprocess.run([BUILD + "/standalone/popkeep", "-f",
                                place + "/.popkeep/popkeepd.conf", "audit",
                                "setup"], check=True, capture_output=True)
                open(key, "w", encoding="utf-8").close()
            if apop:
                peer.args = ["--apop"]
            else:
                with open(place + "/.popkeep/pam.d/popkeep", "w",
                          encoding="utf-8") as f:
                    f.write(PAM_UNIX)
            yield peer
    return start


def dovecot(extra="", plugin=False):
    """Dovecot as it is installed, with none of popkeep's unless the plugin is
    asked for; its password file has the passwords as they are: the cheapest
    there is."""
    @contextlib.contextmanager
    def start(place, mail):
        with open(place + ".conf", "w", encoding="utf-8") as f:
            f.write(PROCESSES + extra)
        options = ["--dovecot", "--dovecot-extra", place + ".conf"]
        with serve(place, mail, options if plugin else
                   options + ["--no-plugin"]) as peer:
            path = place + "/.popkeep/dovecot/users"
            with open(path, encoding="utf-8") as f:
                text = re.sub(r"(?m)^([^:]*):[^:]*:",
                              r"\1:{PLAIN}%s:" % PASSWORD, f.read())
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            time.sleep(1.5)		# the passwd-file's time is in seconds
            yield peer
    return start


def has_dovecot():
    return shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin") is not None


# ---- users of the system ------------------------------------------------------

FIRST_UID = 61000


def crypt(password, setting):
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt_gensalt.restype = lib.crypt.restype = ctypes.c_char_p
    if setting.startswith("$"):
        setting = lib.crypt_gensalt(setting.encode(), ctypes.c_ulong(0), None,
                                    0).decode()
    return lib.crypt(password.encode(), setting.encode()).decode()


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def write_system_users(etc, homes, users, hashed):
    """Its passwd and shadow: the users, and whom the system has; the first of a
    name counts."""
    for file, line, mode in (("passwd", "{0}:x:{1}:{1}::{2}/{0}:/bin/sh\n", 0o644),
                             ("shadow", "{0}:{3}:19000:0:99999:7:::\n", 0o600)):
        with open("/etc/" + file, encoding="utf-8") as f:
            text = f.read()
        write("%s/%s" % (etc, file), "".join(
            line.format(name, uid, homes, hashed)
            for uid, name in enumerate(users, FIRST_UID)) + text, mode)


def add_system_users(root, users):
    """Users of the system, for us and our children alone: this needs a mount
    namespace of our own.  Their homes are root/homes/NAME; their password is
    hashed as Debian does it."""
    write_system_users(root, root + "/homes", users, crypt(PASSWORD, "$y$"))
    for file in ("passwd", "shadow"):
        subprocess.run(["mount", "--bind", "%s/%s" % (root, file),
                        "/etc/" + file], check=True)


# ---- the other servers of Debian ----------------------------------------------

# A server has its own /etc and /var/lib: ours, and over the system's what belongs
# to it; the users are the system's and have a cheap password, asked for by PAM.
ALONE = """set -e
mine=$0 others=$1 spool=$2
for d in /etc /var/lib; do
    below=$d
    if [ -n "$others" ] && [ -d "$others$d" ]; then below=$others$d:$d; fi
    mount -t overlay -o "lowerdir=$mine$d:$below" overlay "$d"
done
mount --bind "$spool" /var/mail
mount -t tmpfs tmpfs /run
shift 2
exec "$@"
"""
# Users that the servers want for themselves.
OWN = ["popa3d", "spop3d", "courier", "cyrus"]
PAM = ("popa3d", "solid-pop3d", "pop3", "mailutils")
LIBRARIES = ("/usr/lib/*-linux-gnu", "/lib/*-linux-gnu")
INETD = BUILD + "/tests/bench/inetd"


def find(path):
    """A file of another server's, unpacked or installed; None if it is not here."""
    for top in (OTHERS, ""):
        if os.path.exists(top + path):
            return top + path
    return None


def environment(libraries):
    """With the libraries that came with a server: patterns of directories."""
    if not OTHERS or not libraries:
        return None
    places = ":".join(place for pattern in libraries
                      for place in glob.glob(OTHERS + pattern))
    return dict(os.environ, LD_LIBRARY_PATH=places, LTDL_LIBRARY_PATH=places)


@contextlib.contextmanager
def alone(place, mail, argv, files=(), libraries=()):
    """The command, with files (name -> text) in /etc."""
    mine = place + ".alone"
    os.makedirs(mine + "/var/lib", exist_ok=True)
    write_system_users(mine + "/etc", place, mail.users + OWN,
                       crypt(PASSWORD, "pk"))
    for service in PAM:
        write(mine + "/etc/pam.d/" + service, PAM_UNIX)
    for name, text in dict(files).items():
        write(mine + "/etc/" + name, text)
    with process(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                  ALONE, mine, OTHERS, place] + argv,
                 env=environment(libraries)) as p:
        yield p


SOLID = """<Global>
  MailDropName "Maildir"
  MailDropType maildir
  UserOverride no
  AddBulletins no
  LogStatistics no
</Global>
"""


def by_inetd(program, files=()):
    """A server that an inetd starts."""
    @contextlib.contextmanager
    def start(place, mail):
        port = free_ports()[0]
        with alone(place, mail, [INETD, str(port), find(program)],
                   files) as (p, meter):
            await_port(port, p)
            yield Peer(port, None, meter)
    return start


MAILUTILS = """mode daemon;
foreground yes;
max-children 10000;
logging {
  syslog no;
  severity error;
}
mandatory-locking { lock-directory %(mine)s/lock; }
pam { service mailutils; }
auth {
  authentication pam;
  authorization system;
}
mailbox { mailbox-pattern "maildir:%(place)s/${user}/Maildir"; }
tls {
  ssl-certificate-file %(mine)s/cert.pem;
  ssl-key-file %(mine)s/key.pem;
}
server 127.0.0.1:%(port)d { tls-mode no; backlog 1024; }
server 127.0.0.1:%(tls)d { tls-mode connection; backlog 1024; }
"""


@contextlib.contextmanager
def mailutils(place, mail):
    ports, mine = free_ports(), place + ".alone"
    write(mine + "/mailutils.conf", MAILUTILS % {
        "place": place, "mine": mine, "port": ports[0], "tls": ports[1]})
    make_certificate(mine)
    os.makedirs(mine + "/lock", exist_ok=True)
    os.chmod(mine + "/lock", 0o1777)
    with alone(place, mail, [find("/usr/sbin/pop3d"), "--no-config",
                             "--config-file", mine + "/mailutils.conf"],
               libraries=LIBRARIES) as (p, meter):
        await_port(ports[0], p)
        yield Peer(*ports, meter)


# As its own scripts do it, with room for many.  TLS has processes of its own; by
# default each of them reads all certificates of the system's, which is left out.
COURIER_TCPD = "/usr/sbin/couriertcpd"
COURIER = """set -a
top=$0 port=$1 tls=$2
exec 2>"$3"
. /etc/courier/pop3d
. /etc/courier/pop3d-ssl
TLS_CERTFILE=/etc/courier/pop3d.pem
TLS_CACHEFILE= TLS_TRUSTCERTS=
lib=$top/usr/lib/courier
tcpd() {
    exec "$top/usr/sbin/couriertcpd" -address=127.0.0.1 -maxprocs=10000 \\
        -maxperip=10000 $TCPDOPTS "$@" "$lib/courier/courierpop3login" \\
        "$lib/courier/courierpop3d" Maildir
}
mkdir -p /run/courier/authdaemon
"$lib/courier-authlib/authdaemond" & all=$!
tcpd "$port" & all="$all $!"
export POP3_TLS=1 POP3_STARTTLS=NO
tcpd "$tls" "$top/usr/bin/couriertls" -server -tcpd -user=courier &
all="$all $!"
trap 'kill $all' TERM
wait
wait
"""


@contextlib.contextmanager
def courier(place, mail):
    ports, mine = free_ports(), place + ".alone"
    os.makedirs(mine, exist_ok=True)
    make_certificate(mine)
    both = ""
    for file in ("key", "cert"):
        with open("%s/%s.pem" % (mine, file), encoding="utf-8") as f:
            both += f.read()
    top = find(COURIER_TCPD)[:-len(COURIER_TCPD)]
    with alone(place, mail, ["sh", "-c", COURIER, top] +
               [str(port) for port in ports] + [mine + "/log"],
               {"courier/pop3d.pem": both},
               LIBRARIES + ("/usr/lib", "/usr/lib/courier-authlib")) as (p, meter):
        for port in ports:
            await_port(port, p)
        yield Peer(*ports, meter)


CYRUS_BIN = "/usr/lib/cyrus/bin"
CYRUS = """configdirectory: %(mine)s/config
defaultpartition: default
partition-default: %(mine)s/spool
cyrus_user: cyrus
cyrus_group: mail
servername: localhost
autocreate_quota: 0
allowplaintext: yes
popminpoll: 0
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: %(mine)s/sasldb2
tls_server_cert: %(mine)s/cert.pem
tls_server_key: %(mine)s/key.pem
tls_session_timeout: 0
"""
CYRUS_SERVICES = """START {
  recover cmd="%(ctl)s"
}
SERVICES {
  pop3  maxchild=5000 listen="127.0.0.1:%(port)d" cmd="%(pop3d)s"
  pop3s maxchild=5000 listen="127.0.0.1:%(tls)d" cmd="%(pop3d)s -s"
}
"""
CYRUS_START = """set -e
mine=$0 bin=$1 db_load=$2
chown -R cyrus: "$mine/config" "$mine/spool" "$mine/key.pem"
"$db_load" -T -t hash -f "$mine/passwords" "$mine/sasldb2"
chown cyrus: "$mine/sasldb2"
exec "$bin/master" -C "$mine/imapd.conf" -M "$mine/cyrus.conf" -p "$mine/pid" -D
"""


def configure_cyrus(mine, mail, ports):
    """In an empty directory; there is nobody's mailbox yet."""
    shutil.rmtree(mine, ignore_errors=True)
    for name in ("config/socket", "spool"):
        os.makedirs("%s/%s" % (mine, name))
    make_certificate(mine)
    programs, conf = find(CYRUS_BIN), mine + "/imapd.conf"
    words = {"mine": mine, "port": ports[0], "tls": ports[1],
             "ctl": "%s/ctl_cyrusdb -C %s -r" % (programs, conf),
             "pop3d": "%s/pop3d -U 30 -C %s" % (programs, conf)}
    write(conf, CYRUS % words)
    write(mine + "/cyrus.conf", CYRUS_SERVICES % words)
    write(mine + "/passwords", "".join(
        "%s\\00localhost\\00userPassword\n%s\n" % (user, PASSWORD)
        for user in mail.users))


def fill_cyrus_mailbox(maildir, port, user, spool):
    """A mailbox is made by the first login: it is the one that is new then."""
    pattern = spool + "/uuid/*/*/*"
    old = set(glob.glob(pattern))
    session = poplib.POP3("127.0.0.1", port)
    session.user(user)
    session.pass_(PASSWORD)
    session.quit()
    box, = set(glob.glob(pattern)) - old
    owner = os.stat(spool)
    for n, name in enumerate(sorted(os.listdir(maildir)), 1):
        with open("%s/%s" % (maildir, name), "rb") as f:
            text = f.read().replace(b"\n", b"\r\n")
        with open("%s/%d." % (box, n), "wb") as f:
            f.write(text)
            os.fchown(f.fileno(), owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def cyrus(place, mail):
    """It keeps mail in files and indexes of its own, made of the Maildirs."""
    ports, mine = free_ports(), place + ".alone"
    configure_cyrus(mine, mail, ports)
    with alone(place, mail, ["sh", "-c", CYRUS_START, mine, find(CYRUS_BIN),
                             find("/usr/bin/db5.3_load")],
               libraries=LIBRARIES) as (p, meter):
        for port in ports:
            await_port(port, p)
        for user in mail.users:
            fill_cyrus_mailbox("%s/%s/Maildir/cur" % (place, user), ports[0],
                               user, mine + "/spool")
        subprocess.run(["nsenter", "--mount", "--target", str(p.pid),
                        find(CYRUS_BIN) + "/reconstruct", "-C",
                        mine + "/imapd.conf", "-r", "user"], check=True,
                       env=environment(LIBRARIES), stdout=subprocess.DEVNULL)
        yield Peer(*ports, meter)


class Kind:
    """start: how to start it; here: can it be had; system: its users are the
    system's; mail: options for mkmail.py; tls: it has TLS; cold: it can do
    without an index; most: messages in a maildrop, as many as it can serve."""

    def __init__(self, start, here=lambda: True, system=False, mail=(), tls=True,
                 cold=True, most=10 ** 9):
        self.start, self.here, self.system = start, here, system
        self.mail, self.tls, self.cold, self.most = mail, tls, cold, most

    def can(self, work):
        """What is in the names of Maildirs, mbox files have nowhere."""
        return self.here() and (self.tls or not work.tls) and (
            self.cold or not work.cold) and (
                work.mail.messages <= self.most) and not (
                    work.mail.names and "mbox" in self.mail)


def is_root():
    return os.geteuid() == 0


def has(program):
    return lambda: is_root() and find(program) is not None


MAILDIR = ("--chown",)
MBOX = ("--chown", "--format", "mbox", "--path", "")

PEERS = {
    "nullpop": Kind(nullpop),
    "popkeepd": Kind(popkeepd("apop-through = store")),
    "popkeepd-pam-apop": Kind(popkeepd("apop-through = pam")),
    "popkeepd-single": Kind(popkeepd("apop-through = store",
                                     "sessions-per-process = 1")),
    "popkeepd-system": Kind(popkeepd("apop-through = store", "users = system"),
                            is_root, True),
    "popkeepd-pam": Kind(popkeepd("users = system", apop=False), is_root, True),
    "dove-def": Kind(dovecot(), has_dovecot),
    "dove-hp": Kind(dovecot(HIGH_PERFORMANCE % ""), has_dovecot),
    "dove-hpcl": Kind(dovecot(HIGH_PERFORMANCE % MANY_CLIENTS), has_dovecot),
    "popa3d": Kind(by_inetd("/usr/sbin/popa3d"), has("/usr/sbin/popa3d"),
                   mail=MBOX, tls=False),
    "solid-pop3d": Kind(by_inetd("/usr/sbin/solid-pop3d",
                                 {"spop3d.conf": SOLID}),
                        has("/usr/sbin/solid-pop3d"), mail=MAILDIR, tls=False,
                        most=50000),
    "courier": Kind(courier, has(COURIER_TCPD), mail=MAILDIR),
    "cyrus": Kind(cyrus, has(CYRUS_BIN + "/pop3d"), mail=MAILDIR, cold=False),
    "mailutils": Kind(mailutils, has("/usr/sbin/pop3d"), mail=MAILDIR,
                      most=50000),
}
