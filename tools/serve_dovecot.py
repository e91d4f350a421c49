"""tools/serve --dovecot: a private Dovecot with the plugin, and popkeep-policyd.

Dovecot 2.3 and 2.4 are told apart by "dovecot --version".  Dovecot loads some
modules (all of 2.4's settings, passdb drivers, doveadm's commands) from one
place only, that it was compiled with.  So it has a mount namespace of its own,
in which a copy of that place, with popkeep's modules in it, covers the real one.

SPDX-License-Identifier: ISC
"""
import base64
import ctypes
import glob
import grp
import os
import pwd
import re
import shutil
import signal
import subprocess

from serve_common import (BUILD, ROOT, clock, die, environment, find_built,
                          run, spawn, write)
import serve_common

STARTED = "starting up for "		# in the log of dovecot's master

# The settings of popkeepd that popkeep-policyd has as options.
POLICYD = {"policy": "-p", "policy-socket": "-s", "policy-state": "-S",
           "policy-user": "-u", "policy-group": "-g", "audit-log": "-a",
           "audit-anchor": "-c", "audit-seal": "-i", "audit-rotate": "-R",
           "audit-keep": "-k", "group-refresh": "-r", "metrics": "-M",
           "metrics-socket": "-X"}

# Which of popkeep's modules goes where below Dovecot's.
MODULES = {"lib95_popkeep_plugin.so": "", "lib95_popkeep_settings.so": "settings",
           "libauthdb_popkeep.so": "auth",
           "lib95_doveadm_popkeep_plugin.so": "doveadm",
           "lib95_pop3_login_popkeep_plugin.so": "login"}

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


def program(name):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if not found:
        die("there is no %s here (Debian: tools/deps dovecot)" % name)
    return found


def default(setting):
    """What this Dovecot was compiled with."""
    said = run([program("doveconf"), "-d", setting])
    return re.search("^%s = (.*)$" % setting, said, re.M)[1]


def built_module(name):
    """popkeep's module of that name, or None."""
    for found in glob.glob(BUILD + "/plugin/.libs/" + name):
        return found
    return None


def check_arguments(a):
    for line in a.set:
        key = line.partition("=")[0].strip()
        if key not in POLICYD or "{" in line:
            die("--set '%s': with --dovecot only what popkeep-policyd has: "
                "passwords, apop, %s" % (line, ", ".join(sorted(POLICYD))), 2)
    # Dovecot splits at blanks, and means something by the others.
    if re.search(r"[\s\"'#$%<{}\\]", a.dir):
        die("--dir %s: with --dovecot without blanks, quotes and any of "
            "#$%%<{}\\" % a.dir, 2)
    for user in a.users:
        if re.search(r"\s", user.rule or ""):
            die("--rule %s: a blank in it" % user.rule, 2)
    for path in a.dovecot_extra:
        if not os.path.isfile(path):
            die("--dovecot-extra %s: there is no such file" % path, 2)
    for line in a.dovecot_set:
        if "=" not in line and not line.rstrip().endswith("}"):
            die("--dovecot-set '%s': expected KEY = VALUE" % line, 2)


def mail_ids(a):
    """The uid and gid of the mailboxes: policyd wants a user with a name."""
    uid, gid = serve_common.owner_of_mail(a) or (
        (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
        if ROOT else (os.geteuid(), os.getegid()))
    try:
        a.mail_user = pwd.getpwuid(uid).pw_name
        a.mail_group = grp.getgrgid(gid).gr_name
    except KeyError:
        die("the mailboxes in %s belong to %d:%d, which has no name: "
            "popkeep-policyd -m and -g need one" % (a.dir, uid, gid))
    return uid, gid


def prepare(a, private, uid, gid):
    """All that Dovecot needs in DIR."""
    # policyd, auth and the mail processes find their way to what is theirs.
    os.chmod(private, 0o711)
    a.home = private + "/dovecot"
    base = a.home + "/base"
    if len(base) + len("/replication-notify-fifo") > 107:
        die("--dir %s: its name is too long for Dovecot's sockets" % a.dir)
    if not a.values["policy-socket"]:
        die("--dir %s: its name is too long for policyd's socket" % a.dir)
    if ROOT:
        # The home of the first user: its files are made there.
        os.chown(a.dir, uid, gid)
    # A socket that an earlier run has left would hold up the next one.
    shutil.rmtree(a.home, ignore_errors=True)
    for place in (a.home, base, a.home + "/state"):
        os.mkdir(place, 0o755)
        os.chmod(place, 0o755)
    a.dovecot_binary = program("dovecot")
    a.moduledir = default("mail_plugin_dir")
    a.version = tuple(int(n) for n in re.findall(
        r"\d+", run([a.dovecot_binary, "--version"]).split()[0])[:3])
    make_modules(a)
    make_users(a, uid, gid)
    config = a.home + "/dovecot.conf"
    write(config, "\n".join(configuration(a, private)) + "\n", 0o644)
    make_doveadm(a)


# ---- modules ---------------------------------------------------------------

def make_modules(a):
    """A copy of Dovecot's modules, with popkeep's among them."""
    a.modules = a.home + "/modules"
    shutil.copytree(a.moduledir, a.modules, symlinks=True)
    a.has = {name for name in MODULES if built_module(name)}
    if "lib95_popkeep_plugin.so" not in a.has and not a.no_plugin:
        die("there is no plugin in %s: it was built without Dovecot's headers "
            "(Debian: dovecot-dev)" % BUILD)
    for name in a.has if not a.no_plugin else ():
        place = os.path.join(a.modules, MODULES[name])
        os.makedirs(place, mode=0o755, exist_ok=True)
        shutil.copyfile(built_module(name), place + "/" + name)
        os.chmod(place + "/" + name, 0o755)
    a.namespace = a.no_plugin or can_unshare()
    if not a.namespace and a.version >= (2, 4):
        die("no mount namespace can be had here: Dovecot 2.4 would not find "
            "the plugin's settings")
    # Without it: the mail plugin alone, from the directory that is a setting.
    if a.no_plugin or not a.namespace:
        a.has.discard("libauthdb_popkeep.so")


def cover(modules, moduledir):
    """In the child: modules is what is seen at moduledir."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()

    def must(result, what):
        if result != 0:
            raise OSError(ctypes.get_errno(), what)

    must(libc.unshare(CLONE_NEWNS | (0 if ROOT else CLONE_NEWUSER)), "unshare")
    if not ROOT:
        for name, text in (("setgroups", "deny"),
                           ("uid_map", "%d %d 1" % (uid, uid)),
                           ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + name, "w") as f:
                f.write(text)
    must(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount /")
    must(libc.mount(os.fsencode(modules), os.fsencode(moduledir), None,
                    MS_BIND, None), "mount " + moduledir)


def can_unshare():
    """May we have namespaces of our own?"""
    pid = os.fork()
    if pid == 0:
        try:
            cover("/tmp", "/tmp")
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def make_doveadm(a):
    """DIR/.popkeep/doveadm: doveadm of this Dovecot, in its namespace."""
    enter = ""
    if a.namespace and not a.no_plugin:
        enter = 'nsenter --mount --root --wd %s --target "$(cat %s)" ' % (
            "" if ROOT else "--user --preserve-credentials",
            a.home + "/base/master.pid")
    env = "".join("%s='%s' " % pair for pair in clock(a).items())
    write(os.path.dirname(a.home) + "/doveadm",
          "#!/bin/sh\nexec %s%s%s -c %s/dovecot.conf \"$@\"\n" % (
              enter, "env " + env if env else "", program("doveadm"), a.home),
          0o755)


# ---- users -----------------------------------------------------------------

def make_users(a, uid, gid):
    """Passwords (hashed) with the userdb, and the secrets for APOP."""
    with open(os.path.dirname(a.home) + "/passwd") as f:
        hashed = dict(line.rstrip("\n").split(":", 1) for line in f)
    lines, secrets = [], []
    for user in a.users:
        lines.append("%s:{SHA512-CRYPT}%s:%d:%d::%s::%s" % (
            user.name, hashed[user.name], uid, gid, user.home,
            "userdb_popkeep_retention=" + user.rule if user.rule else ""))
        if user.secret is not None:
            # A secret may have a ':' in it.
            secrets.append("%s:{PLAIN.b64}%s" % (user.name, base64.b64encode(
                user.secret.encode()).decode()))
    # The account phase of those who have logged in by APOP.
    write(a.values["pam-confdir"] + "/popkeep-account",
          "account required pam_permit.so\n", 0o644)
    owner = auth_user()
    for name, text in (("users", lines), ("secrets", secrets)):
        path = a.home + "/" + name
        write(path, "".join(line + "\n" for line in text), 0o600)
        if ROOT:
            os.chown(path, pwd.getpwnam(owner).pw_uid, -1)


def auth_user():
    """Who Dovecot's auth process is."""
    return default("default_internal_user") if ROOT else \
        pwd.getpwuid(os.geteuid()).pw_name


# ---- the configuration -----------------------------------------------------

def block(name, *lines):
    """name { lines }; lines may be blocks."""
    inner = []
    for line in lines:
        inner += line if isinstance(line, list) else [line]
    return ["%s {" % name] + ["  " + line for line in inner] + ["}"]


def passdb(a, name, driver, mechanisms=None, **settings):
    """A block; settings have their names of 2.4."""
    new = a.version >= (2, 4)
    lines = ["driver = " + driver]
    if mechanisms:
        lines.append("mechanisms%s = %s" % ("_filter" if new else "",
                                            mechanisms))
    if driver == "passwd-file" and not new:
        lines.append("args = username_format=%u " + settings["path"])
    elif not new:
        lines.append("args = " + " ".join(
            "%s=%s" % (k.replace("_", "-"), v) for k, v in settings.items()))
    else:
        prefix = {"passwd-file": "passwd_file_", "popkeep": "passdb_popkeep_"}
        lines += ["%s%s = %s" % (prefix[driver], k, v)
                  for k, v in settings.items()]
    return block("passdb " + name if new else "passdb", *lines)


def passdbs(a):
    """The gate; passwords for all but APOP; secrets for it.

    These are popkeep's own if its driver is built, else Dovecot's."""
    driver = "libauthdb_popkeep.so" in a.has and not a.no_gate
    socket = a.values["policy-socket"]
    lines = passdb(a, "gate", "popkeep", mode="gate",
                   socket=socket) if driver else []
    lines += passdb(a, "passwords", "passwd-file", "plain login",
                    path=a.home + "/users")
    if a.has_apop and driver:
        lines += passdb(a, "secrets", "popkeep", "apop", mode="login",
                        socket=socket, secrets=a.values["secrets"],
                        secrets_key=a.values["secrets-key"],
                        pam_confdir=a.values["pam-confdir"])
    elif a.has_apop:
        lines += passdb(a, "secrets", "passwd-file", "apop",
                        path=a.home + "/secrets")
    return lines


def services(a):
    """Ports; without root no chroot; who may speak to policyd."""
    lines = []
    for name, ports in (("pop3", (a.port, a.tls_port)),
                        ("imap", (a.imap_port or 0, 0)),
                        ("submission", (0, 0))):
        lines += block(
            "service %s-login" % name,
            block("inet_listener " + name, "port = %d" % ports[0]),
            block("inet_listener %ss" % name, "port = %d" % ports[1],
                  *(["ssl = yes"] if ports[1] else [])),
            # There is no clock to be read in a chroot.
            *([] if ROOT and a.clock_file is None else ["chroot ="]))
    penalty = block("unix_listener anvil-auth-penalty", "mode = 0")
    lines += block("service anvil", penalty, *([] if ROOT else ["chroot ="]))
    lines += block("service stats", "chroot =") if not ROOT else []
    lines += block("service auth", "extra_groups = " + a.mail_group) \
        if ROOT else []
    return lines


def popkeep(a):
    """Everything that a mail process needs for the plugin."""
    if a.no_plugin:
        return []
    socket = a.values["policy-socket"]
    if a.version >= (2, 4):
        return block("mail_plugins", "popkeep = yes") + [
            "popkeep_socket = " + socket,
            "popkeep_retained = popkeep-retained/"] + block(
            "popkeep_facts", block(
                "dict file", "path = %{home}/popkeep.facts"))
    return ["mail_plugins = popkeep"] + block(
        "plugin", "popkeep_socket = " + socket,
        "popkeep_retained = popkeep-retained/",
        "popkeep_facts = file:%h/popkeep.facts") + (
            [] if a.namespace else ["mail_plugin_dir = " + a.modules])


def common(a):
    mechanisms = "plain login" + (" apop" if a.has_apop else "")
    lines = ["base_dir = %s/base" % a.home, "state_dir = %s/state" % a.home,
             "log_path = %s/log" % a.dir,
             'log_timestamp = "%Y-%m-%dT%H:%M:%S "', "listen = 127.0.0.1",
             "ssl = yes", "auth_mechanisms = " + mechanisms,
             "auth_failure_delay = 0", "auth_username_chars =",
             "first_valid_uid = %d" % min(pwd.getpwnam(a.mail_user).pw_uid,
                                          500),
             "first_valid_gid = 0", "pop3_lock_session = yes",
             "mail_max_userip_connections = 300"]
    if not ROOT:
        lines += ["default_internal_user = " + a.mail_user,
                  "default_internal_group = " + a.mail_group,
                  "default_login_user = " + a.mail_user]
    return lines


def only_2_3(a, cert, key):
    env = " ".join("%s=%s" % pair for pair in clock(a).items())
    return common(a) + [
        "protocols = pop3" + (" imap" if a.imap_port else ""),
        "ssl_cert = <" + cert, "ssl_key = <" + key, "ssl_dh =",
        "disable_plaintext_auth = no", "auth_username_format = %u",
        "pop3_uidl_format = %g", "mail_location = maildir:~/Maildir"] + (
        ["import_environment = $import_environment " + env] if env else []
        ) + block(
        "userdb", "driver = passwd-file",
        "args = username_format=%%u %s/users" % a.home) + block(
        "namespace inbox", "inbox = yes", "separator = /") + (
        [] if a.no_plugin else block(
            "namespace popkeep", "prefix = popkeep-retained/",
            "separator = /", "hidden = yes", "list = no",
            "location = maildir:~/popkeep-retained"))


def only_2_4(a, cert, key):
    env = clock(a)
    return ["dovecot_config_version = 2.4.0",
            "dovecot_storage_version = 2.4.0"] + common(a) + block(
        "protocols", "pop3 = yes", *(["imap = yes"] if a.imap_port else [])
        ) + [
        "ssl_server_cert_file = " + cert, "ssl_server_key_file = " + key,
        "auth_allow_cleartext = yes", "auth_username_format = %{user}",
        "pop3_uidl_format = %{guid}", "mail_driver = maildir",
        "mail_path = ~/Maildir"] + (block(
            "import_environment", *("%s = %s" % pair for pair in env.items()))
            if env else []) + block(
        "userdb users", "driver = passwd-file",
        "passwd_file_path = %s/users" % a.home) + block(
        "namespace inbox", "inbox = yes", "separator = /") + (
        [] if a.no_plugin else block(
            "namespace popkeep", "prefix = popkeep-retained/",
            "separator = /", "hidden = yes", "list = no",
            "mail_driver = maildir", "mail_path = ~/popkeep-retained"))


def configuration(a, private):
    """The lines of dovecot.conf."""
    mine = only_2_4 if a.version >= (2, 4) else only_2_3
    lines = mine(a, private + "/cert.pem", private + "/key.pem")
    lines += passdbs(a) + services(a) + popkeep(a) + a.dovecot_set
    for path in a.dovecot_extra:
        with open(path) as f:
            lines += f.read().splitlines()
    return lines


# ---- the daemons -----------------------------------------------------------

def policyd_argv(a):
    argv = [find_built("standalone/popkeep-policyd", "popkeep-policyd")]
    values = dict(a.values)
    if ROOT:
        values.setdefault("policy-group", a.mail_group)
        argv += ["-m", a.mail_user]
        usage = subprocess.run([argv[0], "-h"], text=True,
                               capture_output=True).stdout
        if "libauthdb_popkeep.so" in a.has and "-A " in usage:
            argv += ["-A", auth_user()]
    for key, option in POLICYD.items():
        if key in values:
            argv += [option, values[key]]
    return argv


def guard(pid, word):
    """End pid, which has word in its command line, when we are gone.

    The kernel does that for a daemon of our uid only (PR_SET_PDEATHSIG)."""
    here, there = os.pipe()
    if os.fork() != 0:
        os.close(here)
        return there			# open as long as we live
    os.setsid()
    os.close(there)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.read(here, 1)
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            if os.fsencode(word) in f.read():
                os.kill(pid, signal.SIGTERM)
    except OSError:
        pass
    os._exit(0)


def start_policyd(a, log):
    env = environment()
    env.update(clock(a))
    policyd = spawn(policyd_argv(a), env, a.dir, log)
    a.guard = guard(policyd.pid, a.values["policy-socket"])
    return policyd


def revive(a, daemons, daemon, log):
    """policyd was killed: start it again, as a supervisor would.

    While DIR/.popkeep/no-policyd is there, it stays away, until SIGHUP."""
    if daemon is not daemons[0] or daemon.returncode >= 0:
        return False
    if not os.path.exists(a.dir + "/.popkeep/no-policyd"):
        daemons[0] = start_policyd(a, log)
    return True


def start(a, config, log):
    """popkeep-policyd and dovecot, in this order."""
    env = environment()
    env.update(clock(a))

    def before():
        if a.namespace and not a.no_plugin:
            cover(a.modules, a.moduledir)

    return [start_policyd(a, log), spawn(
        [a.dovecot_binary, "-F", "-c", a.home + "/dovecot.conf"], env, a.dir,
        log, before)]
