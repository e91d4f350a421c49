"""Dovecot with the plugin, as tools/serve --dovecot runs it.

SPDX-License-Identifier: ISC
"""
import os
import re
import time

from fixtures import cleans, received
from lib import (SERVE, Client, Server, Skip, check, each, each_front_end,
                 family, needs, needs_dovecot, plugin_modules, private_dir,
                 processes, run, same, test, until)

POLICY = """
retention "week" { users = { "ann" } after-download = "7d" }
"""


def login_by(s, how):
    """A connection with TLS or not, before the login."""
    c = s.connect(how == "tls")
    if how == "stls":
        c.stls()
    return c


# What a client sees, with the plugin and without.

@each(*((plugin, how) for plugin in (True, False)
        for how in ("clear", "stls", "tls")))
def user_and_pass(plugin, how):
    """USER and PASS: the right password only (with the plugin?, how)"""
    with Server(dovecot=True, plugin=plugin, messages=cleans(2)) as s:
        c = login_by(s, how)
        c.ok("USER ann")
        c.err("PASS wrong", "AUTH")
        c.ok("USER nobody-at-all")
        c.err("PASS " + s.password("ann"), "AUTH")
        c.ok("USER ann")
        c.ok("PASS " + s.password("ann"))
        same(c.stat()[0], 2, "messages")
        c.quit()


@each("clear", "stls", "tls")
def apop_by_secret(how):
    """APOP: for users with a secret, by the secret, not by the password"""
    with Server(("ann", "bob"), secretless=("bob",), dovecot=True) as s:
        c = s.connect(how == "tls")
        check(b"<" in c.greeting, "no timestamp")
        stamp = c.greeting
        if how == "stls":
            c.stls()
            c.greeting = stamp
        for user, secret in (("ann", s.password("ann")), ("ann", "x"),
                             ("bob", s.password("bob")), ("bob", "")):
            reply = c.apop(user, secret)
            check(reply.startswith(b"-ERR"), "%s: %r" % (user, reply))
        reply = c.apop("ann", s.secret("ann"))
        check(reply.startswith(b"+OK"), reply)
        c.quit()
        # The secret is for APOP.
        c = login_by(s, how)
        c.ok("USER ann")
        c.err("PASS " + s.secret("ann"), "AUTH")


@test
def no_secret_no_timestamp():
    """without a secret there is no APOP: no timestamp in the greeting"""
    with Server(secretless=("ann",), dovecot=True) as s:
        c = s.connect()
        check(b"<" not in c.greeting, c.greeting)


@each(True, False)
def a_session(plugin):
    """STAT, LIST, UIDL, RETR, DELE and QUIT (with the plugin?)"""
    messages = cleans(4)
    with Server(dovecot=True, plugin=plugin, messages=messages) as s:
        names = sorted(os.listdir(s.maildir() + "/new"))
        c = s.login()
        sent = [received(m) for m in messages]
        same(c.stat(), (4, sum(map(len, sent))), "STAT")
        same(c.scan(), [(n, len(m)) for n, m in enumerate(sent, 1)], "LIST")
        same(c.uids(), names, "unique-ids")
        for number, octets in enumerate(sent, 1):
            same(c.multi("RETR %d" % number), octets, "RETR %d" % number)
        c.ok("DELE 2")
        c.ok("DELE 3")
        same(c.stat()[0], 2, "messages after DELE")
        c.quit()
        same(s.stored(), sorted([messages[0], messages[3]]), "what is left")


@each(True, False)
def no_quit_no_update(plugin):
    """without QUIT nothing is deleted: a cut, and RSET (with the plugin?)"""
    messages = cleans(3)
    with Server(dovecot=True, plugin=plugin, messages=messages) as s:
        c = s.login()
        c.ok("DELE 1")
        c.multi("RETR 2")
        c.abort()
        c = s.login()
        same(c.stat()[0], 3, "messages after a cut")
        c.ok("DELE 1")
        c.ok("RSET")
        c.quit()
        same(s.stored(), sorted(messages), "what is left")


@each_front_end
def one_at_a_time(dovecot):
    """a mailbox is open once: the second session is told [IN-USE]"""
    with Server(dovecot=dovecot, messages=cleans(1), dovecot_set=[
            "pop3_lock_session = yes"]) as s:
        first = s.login()
        second = s.connect()
        second.socket.settimeout(60)
        second.ok("USER ann")
        second.err("PASS " + s.password("ann"), "IN-USE")
        first.quit()


# The plugin.

def mapped(s, process):
    """popkeep's modules in the process of that title."""
    pid = until(lambda: [p for p, line in family(s.process.pid).items()
                         if re.match("dovecot/%s( |$)" % process, line)],
                process)[0]
    with open("/proc/%d/maps" % pid) as f:
        return set(re.findall(r"\S*/(\S*popkeep\S*\.so)", f.read()))


@each(True, False)
def is_loaded(plugin):
    """the plugin is in the process of a POP3 session, and of no other Dovecot"""
    with Server(dovecot=True, plugin=plugin) as s:
        with s.login() as c:
            c.ok("NOOP")
            same("lib95_popkeep_plugin.so" in mapped(s, "pop3"), plugin,
                 "the plugin is there")


@test
def is_loaded_by_imap():
    """the plugin is in the process of an IMAP session"""
    with Server(dovecot=True, imap=True) as s:
        c = Client(s.imap_port)
        check(c.greeting.startswith(b"* OK"), c.greeting)
        c.send("a LOGIN ann \"%s\"\r\n" % s.password("ann"))
        reply = c.line()
        check(reply.startswith(b"a OK"), reply)
        check("lib95_popkeep_plugin.so" in mapped(s, "imap"), "it is not")
        c.send("b LOGOUT\r\n")


@test
def doveadm_is_its_own():
    """.popkeep/doveadm is doveadm with the plugin, of the same users"""
    with Server(("ann", "bob"), dovecot=True, messages=cleans(2)) as s:
        for user in s.users:
            same(s.doveadm("-f", "flow", "mailbox", "status", "-u", user,
                           "messages", "INBOX").strip(), "INBOX messages=2",
                 "status of " + user)
        check("popkeep" in s.doveadm("-D", "user", "-u", "ann") or
              "popkeep_retained" in s.doveadm(
                  "-D", "mailbox", "list", "-u", "ann"),
              "doveadm has no plugin")


@each_front_end
def keeps_what_is_held(dovecot):
    """downloaded and deleted by policy; under a hold it is retained"""
    messages = cleans(2)
    with Server(("ann", "bob"), dovecot=dovecot, messages=messages, policy="""
            retention "drain" { users = { "*" } after-download = "0" }
            hold "case" { users = { "bob" } }
            """) as s:
        for user in s.users:
            c = s.login(user)
            for number in range(1, 3):
                c.multi("RETR %d" % number)
            c.quit()
            until(lambda: s.stored(user) == [], user + " is empty")
        same(s.retained("ann"), [], "ann's, retained")
        until(lambda: s.retained("bob") == sorted(messages), "bob's, retained")


# What each module shows to others, and the programs that load it.
MODULES = {
    "lib95_popkeep_plugin.so": (
        r"popkeep_plugin_", ("pop3", "imap", "lmtp", "doveadm")),
    "lib95_popkeep_settings.so": (r"popkeep_settings_", ("config",)),
    "libauthdb_popkeep.so": (r"authdb_popkeep_", ("auth",)),
    "lib95_doveadm_popkeep_plugin.so": (
        r"doveadm_popkeep_plugin_", ("doveadm",)),
    "lib95_pop3_login_popkeep_plugin.so": (
        r"pop3_login_popkeep_plugin_", ("pop3-login",)),
}


def symbols(path, *options):
    """(type, name) of the dynamic symbols, without versions."""
    lines = run(["nm", "-D", *options, path]).decode().splitlines()
    return [(f[-2], f[-1].split("@")[0]) for f in map(str.split, lines)
            if len(f) > 1]


def program(name):
    """Where Dovecot has it."""
    for place in ("/usr/lib/dovecot/", "/usr/libexec/dovecot/", "/usr/bin/",
                  "/usr/local/libexec/dovecot/", "/usr/local/bin/"):
        if os.path.exists(place + name):
            return place + name
    return None


def libraries(path):
    """What the loader finds for it."""
    return re.findall(r"=> (/\S+)", run(["ldd", path]).decode())


@each(*sorted(MODULES))
def symbols_of(module):
    """it shows its own names only, and every program that loads it has what it \
needs"""
    needs_dovecot()
    needs("nm")
    path = plugin_modules().get(module)
    if path is None:
        raise Skip("not built for this Dovecot")
    own, hosts = MODULES[module]
    shown = [name for _, name in symbols(path, "--defined-only")]
    check(shown, "it shows nothing")
    same([n for n in shown if not re.match(own, n)], [], "names of others")
    for host in filter(None, map(program, hosts)):
        known = set()
        for other in {host, *libraries(host), *libraries(path)}:
            known |= {n for _, n in symbols(other, "--defined-only")}
        # A weak one is what the plugin itself does without.
        same(sorted(n for kind, n in symbols(path, "--undefined-only")
                    if kind == "U" and n not in known), [],
             "undefined in " + os.path.basename(host))


@test
def every_module_is_known():
    """there is no module but those that the tests look at"""
    needs_dovecot()
    same(sorted(set(plugin_modules()) - set(MODULES)), [], "others")


# Beside it: popkeep-policyd and the tool.

@each_front_end
def policy_of_logins(dovecot):
    """the policy says who may log in how: the gate asks it, as popkeepd does"""
    if dovecot and "libauthdb_popkeep.so" not in plugin_modules():
        raise Skip("the gate is not built")
    with Server(("ann", "bob"), dovecot=dovecot, policy="""
            passwords { rule "inside" { allow = tls } }
            apop { rule "some" { users = { "bob" } allow = always } }
            """) as s:
        c = s.connect()
        # popkeepd refuses USER, Dovecot PASS.
        replies = [c.command("USER ann")]
        if replies[0].startswith(b"+OK"):
            replies.append(c.command("PASS " + s.password("ann")))
        check(replies[-1].startswith(b"-ERR [AUTH]"), replies)
        s.login("ann", tls=True).quit()
        for user, good in (("ann", b"-ERR"), ("bob", b"+OK")):
            reply = s.connect().apop(user, s.secret(user))
            check(reply.startswith(good), "%s: %r" % (user, reply))



@test
def tool_works_with_it():
    """popkeep check, explain, hold, policy and audit, with its configuration"""
    with Server(dovecot=True, policy=POLICY, messages=cleans(1)) as s:
        s.tool("check")
        check("week" in s.tool("explain", "ann"), "the rule")
        s.tool("hold", "add", "case-1", "--user", "ann", "--note", "try")
        check("case-1" in s.tool("hold", "list"), "the hold")
        s.seal_audit()
        s.verify_audit()
        check(any("case-1" in str(r) for r in s.audit()), "it is recorded")


@each_front_end
def reload_reads_the_policy(dovecot):
    """SIGHUP: the policy is read again, a wrong one is not taken"""
    with Server(dovecot=dovecot, policy=POLICY) as s:
        s.reload(POLICY.replace("week", "seven-days"))
        check("seven-days" in s.tool("explain", "ann"), "the new one")
        s.reload("nonsense", good=False)
        check("seven-days" in s.tool("explain", "ann"), "the old one")
        s.login().quit()


@test
def has_the_time():
    """--clock-offset and --clock-file: policyd and Dovecot have that time"""
    year = "%d-" % (time.gmtime().tm_year + 6)
    at = time.mktime((time.gmtime().tm_year + 6, 3, 1, 0, 0, 0, 0, 0, 0))
    for clock in ({"clock": int(at - time.time())}, {"at": int(at)}):
        with Server(dovecot=True, **clock) as s:
            s.login().quit()
            line = s.until_log("Logged out")
            check(line.startswith(year), line)
            check(s.audit()[0]["time"].startswith(year), "policyd")


# tools/serve itself.

@each("max-connections = 5", "users = system", 'listen "127.0.0.1:9" { }')
def refuses_what_is_not_policyds(setting):
    """--set: what popkeep-policyd does not have is refused, not ignored"""
    needs_dovecot()
    with private_dir() as place:
        said = run([SERVE, "--dovecot", "--no-build", "--dir", place + "/d",
                    "--port", "1", "--tls-port", "2", "--user", "ann",
                    "--password", "x", "--set", setting], status=2)
        check(b"only what popkeep-policyd has" in said, said)


@test
def ends_altogether():
    """SIGTERM ends every process, of open sessions too"""
    s = Server(dovecot=True, messages=cleans(1)).start()
    try:
        c = s.login()
        before = family(s.process.pid)
        check(any("pop3" in line for line in before.values()), before)
        s.stop()
        # A zombie, which has no command line, has ended.
        until(lambda: not any(processes().get(p, (0, ""))[1] for p in before),
              "the end of %s" % before, 1)
        c.close()
    finally:
        s.__exit__(None, None, None)


@test
def ends_with_serve():
    """if tools/serve is killed, Dovecot and popkeep-policyd end"""
    s = Server(dovecot=True).start()
    try:
        s.login().quit()
        before = family(s.process.pid)
        check(len(before) > 3, before)
        s.process.kill()
        s.process.wait()
        until(lambda: not any(processes().get(p, (0, ""))[1] for p in before),
              "the end of %s" % before)
    finally:
        s.process.stdout.close()
        s.process = None
        s.__exit__(None, None, None)
