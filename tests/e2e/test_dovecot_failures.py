"""What fails under Dovecot's plugin: quota, reads, disks, clients and users.

SPDX-License-Identifier: ISC
"""
import contextlib
import hashlib
import os
import time

from dovecot_mail import (BOUND, FORMATS, GONE, KEPT, POLICIES, configure,
                          dovecot, fate, histories, imap, mark, numbers, ok,
                          plugin_settings, policyd_killed, retained, save,
                          settled)
from fixtures import HEAD, clean, cleans, received
from lib import (ROOT, check, check_order, dovecot_version, each, needs_root,
                 same, test, until)
from test_policy_protect import mount, unmount

NOW = 'retention "now" { after-download = "0" }\n'


def big(number=1, size=5_000_000):
    line = b"%060d\n" % number
    return HEAD % (b"big", b"clean-%d" % number) + line * (size // len(line))


# ---- quota ------------------------------------------------------------------

def quota(driver, limit):
    """Lines of a quota of so many KiB."""
    if dovecot_version() < (2, 4):
        return ["mail_plugins = popkeep quota"] + plugin_settings(
            quota=driver + ":User quota", quota_rule="*:storage=%dk" % limit,
            quota_vsizes="yes" if driver == "count" else "no")
    return ["mail_plugins {", "popkeep = yes", "quota = yes", "}",
            'quota "User quota" {', "driver = " + driver,
            "storage_size = %dk" % limit, "}"]


def used(s):
    """What the quota counts: KiB and messages."""
    rows = [line.split("\t") for line in s.doveadm(
        "-f", "tab", "quota", "get", "-u", "ann").splitlines()]
    at = rows[0].index("Value")
    return {row[at - 1]: int(row[at]) for row in rows[1:]}


@each(*((driver, policy) for driver in ("count", "maildir")
        for policy in ("nothing", "hold")))
def quota_counts_no_retained(driver, policy):
    """what is retained is not counted, by quota's own recalculation neither"""
    with dovecot(POLICIES[policy], lines=quota(driver, 1000)) as s:
        save(s, 4)
        same(used(s)["MESSAGE"], 4, "counted")
        c = s.login()
        c.ok("DELE 1")
        c.ok("DELE 2")
        c.quit()
        with imap(s) as c:
            mark(c, "1")
            ok(c.expunge())
        same(retained(s), [1, 2, 3] if policy == "hold" else [], "retained")
        same(used(s)["MESSAGE"], 1, "counted after DELE and EXPUNGE")
        s.doveadm("quota", "recalc", "-u", "ann")
        same(used(s)["MESSAGE"], 1, "counted anew")
        settled(s, *[fate(policy)] * 3)


@each(*((driver, policy) for driver in ("count", "maildir")
        for policy in POLICIES))
def over_quota(driver, policy):
    """who is over quota can delete, and be retained"""
    s = dovecot(POLICIES[policy], lines=quota(driver, 2))
    s.fill("ann", [clean(n, 60) for n in range(1, 5)])
    with s:
        check(used(s)["STORAGE"] > 2, "over quota")
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        with imap(s) as c:
            mark(c, "1")
            ok(c.expunge())
        same(numbers(s), [3, 4], "INBOX")
        same(retained(s), [1, 2] if policy in BOUND else [], "retained")
        settled(s, fate(policy), fate(policy))


@each("count", "maildir")
def over_quota_and_moved(driver):
    """who is over quota: dispose = folder moves as well, where that is allowed"""
    s = dovecot('retention "r" { after-download = "0" '
                'dispose = "folder:Expired" }\n', lines=quota(driver, 2))
    s.fill("ann", [clean(n, 60) for n in range(1, 5)])
    before = []
    with s:
        if dovecot_version() >= (2, 4):
            # No move to a folder that counts; it stays, and that is recorded.
            c = s.login()
            c.multi("RETR 1")
            c.quit()
            s.until_log("popkeep: cannot be moved: Quota exceeded")
            same((numbers(s), numbers(s, "Expired")), ([1, 2, 3, 4], []),
                 "mail of who may not")
            same(check_order(s.audit()), set(), "open intents")
            before = histories(s)[0]
            s.stop()
            configure(s, "mailbox Expired {", "quota_ignore = yes", "}")
            s.start()
        c = s.login()
        c.multi("RETR 1")
        c.quit()
        same((numbers(s), numbers(s, "Expired")), ([2, 3, 4], [1]), "mail")
        settled(s, before + ["downloaded"] + GONE)


# ---- reading ----------------------------------------------------------------

def truncate(path):
    os.truncate(path, 50000)


def forbid(path):
    os.chmod(path, 0)


@each(*((how, size) for how in ("truncate", "forbid")
        for size in (200_000, 5_000_000)))
def unreadable(how, size):
    """a message that cannot be read to its end is no download, and stays"""
    s = dovecot(NOW, imap=False)
    s.fill("ann", [])
    with s:
        path = s.deliver("ann", big(1, size), folder="cur")
        s.deliver("ann", clean(2))
        c = s.login()
        c.scan()
        {"truncate": truncate, "forbid": forbid}[how](path)
        with contextlib.suppress(AssertionError, OSError):
            if c.command("RETR 1").startswith(b"+OK"):
                c.body()
            c.command("QUIT")
        c.close()
        check(os.path.exists(path), "it is gone")
        same(s.events("downloaded"), [], "downloads")
        same(s.events("dispose-intent"), [], "intents")


@test
def read_whole_but_short():
    """of a message that shrank, what is left of it is no download"""
    s = dovecot(NOW, imap=False)
    s.fill("ann", [])
    with s:
        path = s.deliver("ann", big(1, 60_000), folder="cur")
        c = s.login()
        c.scan()
        truncate(path)
        with contextlib.suppress(AssertionError, OSError):
            c.multi("RETR 1")
            c.command("NOOP")
            c.command("QUIT")
        c.close()
        check(os.path.exists(path), "it is gone")
        same(s.events("dispose-intent"), [], "intents")


# ---- disks ------------------------------------------------------------------

@contextlib.contextmanager
def small_disk(s, place, size="256k"):
    """A server with a file system at place, below ann's home."""
    needs_root("mounting a small file system needs root")
    place = s.dir + "/" + place
    mount(s, place, size)
    os.chmod(place, 0o777)
    try:
        with s:
            yield place
    finally:
        unmount(place)


def fill_disk(place):
    """Nothing more can be written there."""
    path = place + "/filler"
    with contextlib.suppress(OSError), open(path, "wb", 0) as f:
        while True:
            f.write(b"x" * 4096)
    with contextlib.suppress(OSError):
        for n in range(10000):
            with open("%s/filler.%d" % (place, n), "wb", 0) as f:
                f.write(b"x")
    return path


def empty_disk(place):
    for name in os.listdir(place):
        if name.startswith("filler"):
            os.unlink(place + "/" + name)


@test
def retained_full():
    """no room to retain: -ERR, IMAP says NO, and all stays, once"""
    s = dovecot(POLICIES["hold"])
    s.fill("ann", [big(n, 30_000) for n in range(1, 4)])
    with small_disk(s, "popkeep-retained") as place:
        fill_disk(place)
        for _ in range(2):
            c = s.login()
            c.ok("DELE 1")
            c.err("QUIT", "SYS/TEMP")
            with imap(s) as c:
                mark(c, "1")
                same(c.expunge()[0], "NO", "EXPUNGE")
                ok(c.store("1", "-FLAGS", "(\\Deleted)"))
        same(numbers(s), [1, 2, 3], "INBOX")
        empty_disk(place)
        with imap(s) as c:
            mark(c, "2")
            ok(c.expunge())
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(numbers(s), [3], "INBOX, when there is room")
        same(retained(s), [1, 2], "retained, once each")
        same(check_order(s.audit()), set(), "open intents")


@test
def one_cannot_be_retained():
    """one of several is too large to be retained: it stays, the others go"""
    s = dovecot(POLICIES["hold"])
    s.fill("ann", [big(1, 30_000), big(2, 900_000), big(3, 30_000)])
    with small_disk(s, "popkeep-retained", "512k"):
        for _ in range(2):
            c = s.login()
            for n in range(1, c.stat()[0] + 1):
                c.ok("DELE %d" % n)
            c.err("QUIT", "SYS/TEMP")
            same(numbers(s), [2], "INBOX")
            same(retained(s), [1, 3], "retained")
        same(check_order(s.audit()), set(), "open intents")


@test
def retained_twice():
    """of two messages with one text both are retained, if indexes are lost too"""
    with dovecot(POLICIES["hold"], messages=[clean(1), clean(1)]) as s:
        with imap(s) as c:
            mark(c, "1")
            ok(c.expunge())
        for folder, _, names in os.walk(s.dir + "/popkeep-retained"):
            for name in names:
                if name.startswith("dovecot"):
                    os.unlink(folder + "/" + name)
        with imap(s) as c:
            mark(c, "1")
            ok(c.expunge())
        same(retained(s), [1, 1], "retained")
        settled(s, KEPT, KEPT)


@each("nothing", "hold")
def index_disk_full(policy):
    """no room for indexes: login and DELE work, or fail, and nothing is lost"""
    lines = ["mail_location = maildir:~/Maildir:INDEX=~/small/index"] if \
        dovecot_version() < (2, 4) else [
            "mail_index_path = ~/small/index", "namespace popkeep {",
            "mail_index_path = ~/small/retained", "}"]
    s = dovecot(POLICIES[policy], imap=False, lines=lines)
    s.fill("ann", cleans(4))
    with small_disk(s, "small") as place:
        for full in (True, False, True):
            if full:
                fill_disk(place)
            gone = len(s.stored())
            with contextlib.suppress(AssertionError):
                c = s.login()
                c.ok("DELE 1")
                if c.command("QUIT").startswith(b"+OK"):
                    gone -= 1
            same(len(s.stored()), gone, "files")
            same(len(s.stored()) + len(s.retained() if policy == "hold" else
                                       s.events("disposed")), 4, "in all")
            empty_disk(place)
        c = s.login()
        c.quit()
        same(check_order(s.audit()), set(), "open intents")


@test
def shared_indexes():
    """a Retained place with another's indexes is not used: all stays"""
    where = ":INDEX=~/index" if dovecot_version() < (2, 4) else ""
    lines = ["mail_location = maildir:~/Maildir" + where,
             "namespace popkeep {",
             "location = maildir:~/popkeep-retained" + where +
             ":LISTINDEX=retained.list.index", "}"] if where \
        else ["mail_index_path = ~/index", "namespace popkeep {",
              "mailbox_list_index_prefix = retained.list.index", "}"]
    with dovecot(POLICIES["hold"], imap=False, lines=lines) as s:
        s.fill("ann", cleans(3))
        c = s.login()
        c.ok("DELE 1")
        c.err("QUIT", "SYS/TEMP")
        s.until_log("has its indexes where another has them")
        same(len(s.stored()), 3, "INBOX")
        same(check_order(s.audit()), set(), "open intents")


@test
def facts_disk_full():
    """no room for download facts: DELE works, and what is unknown stays"""
    lines = plugin_settings(popkeep_facts="file:%h/small/facts") if \
        dovecot_version() < (2, 4) else [
        "popkeep_facts {", "dict file {", "path = %{home}/small/facts", "}",
        "}"]
    s = dovecot(POLICIES["rule"], imap=False, lines=lines)
    s.fill("ann", cleans(3))
    with small_disk(s, "small") as place:
        fill_disk(place)
        c = s.login()
        c.multi("RETR 1")
        c.ok("DELE 2")
        c.quit()
        same(sorted(s.stored()), sorted([clean(1, 8), clean(3, 18)]), "files")
        s.until_log("popkeep: facts")
        empty_disk(place)
        c = s.login()
        c.multi("RETR 1")
        c.quit()
        check(os.path.getsize(place + "/facts") > 0, "facts, later")


@each("hold", "minimum")
def retained_not_writable(policy):
    """the Retained place cannot be written: -ERR, and the message stays"""
    s = dovecot(POLICIES[policy])
    s.fill("ann", cleans(2))
    os.mkdir(s.dir + "/popkeep-retained", 0o500)
    with s:
        for _ in range(2):
            c = s.login()
            c.ok("DELE 1")
            c.err("QUIT", "SYS/TEMP")
        with imap(s) as c:
            mark(c, "1:*")
            same(c.expunge()[0], "NO", "EXPUNGE")
            c.close()
        same(len(s.stored()), 2, "files")
        same(check_order(s.audit()), set(), "open intents")
        os.chmod(s.dir + "/popkeep-retained", 0o700)
        if ROOT:
            owner = os.stat(s.maildir())
            os.chown(s.dir + "/popkeep-retained", owner.st_uid, owner.st_gid)
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(len(s.retained()), 1, "retained, when it can be written")


# ---- clients ----------------------------------------------------------------

@each("clear", "tls")
def retr_and_quit_at_once(how):
    """RETR and QUIT in one packet: nothing is confirmed, nothing goes"""
    with dovecot(NOW, imap=False, messages=cleans(2)) as s:
        for _ in range(2):
            c = s.login(tls=how == "tls")
            c.send("RETR 1\r\nRETR 2\r\nQUIT\r\n")
            for _ in range(2):
                c.status()
                c.body()
            check(c.status().startswith(b"+OK"), "QUIT")
            c.close()
        same(len(s.stored()), 2, "files")
        s.until_events(4, "downloaded-unconfirmed")
        same(s.events("downloaded", "dispose-intent"), [], "records")
        c = s.login()
        c.multi("RETR 1")
        c.send("NOOP\r\nQUIT\r\n")
        c.status()
        c.status()
        c.close()
        until(lambda: len(s.stored()) == 1, "the confirmed one is gone")
        # QUIT has begun too early, and what comes after it does not count.
        c = s.login(tls=how == "tls")
        c.send("RETR 1\r\nQUI")
        c.status()
        c.body()
        c.send("T\r\nNOOP\r\n")
        check(c.status().startswith(b"+OK"), "QUIT")
        c.close()
        s.until_events(5, "downloaded-unconfirmed")
        same(len(s.stored()), 1, "files")


@each("close", "abort", "deaf")
def ends_in_retr(how):
    """the client ends in RETR, or reads nothing: nothing is disposed of"""
    with dovecot(NOW, imap=False, messages=[big(1), clean(2)]) as s:
        c = s.login()
        c.send("RETR 1\r\nDELE 2\r\nQUIT\r\n")
        if how == "deaf":
            time.sleep(1)
        else:
            c.socket.recv(100000)
        (c.close if how == "close" else c.abort)()
        with s.login() as c:	# waits until the first one has ended
            same(c.stat()[0], 2, "messages")
        same(s.events("downloaded", "dispose-intent"), [], "records")


@each("nothing", "hold")
def quit_twice(policy):
    """QUIT twice is QUIT once"""
    with dovecot(POLICIES[policy], imap=False, messages=cleans(2)) as s:
        c = s.login()
        c.send("DELE 1\r\nQUIT\r\nQUIT\r\nDELE 2\r\n")
        for _ in range(2):
            check(c.status().startswith(b"+OK"), "reply")
        check(c.at_end(), "more replies")
        same(len(s.stored()), 1, "files")
        settled(s, fate(policy))


def unlink(s, path):
    os.unlink(path)


def flag(s, path):
    os.rename(path, path.replace(":2,S", ":2,FS"))


def expunge(s, path):
    with imap(s) as c:
        mark(c, "1")
        ok(c.expunge())


@each(*((how, policy) for how in ("unlink", "flag", "expunge")
        for policy in ("nothing", "hold")))
def changed_meanwhile(how, policy):
    """a message that another program removes, or renames, during the session"""
    s = dovecot(POLICIES[policy])
    s.fill("ann", [])
    with s:
        path = s.deliver("ann", clean(1), folder="cur")
        s.deliver("ann", clean(2), folder="cur")
        c = s.login()
        c.ok("DELE 1")
        {"unlink": unlink, "flag": flag, "expunge": expunge}[how](s, path)
        c.quit()
        same(numbers(s), [2], "INBOX")
        same(retained(s), [1] if policy == "hold" and how != "unlink" else [],
             "retained")
        same(check_order(s.audit()), set(), "open intents")
        found = histories(s)
        if how == "unlink":
            check(found in ([], [["dispose-intent", "vanished"]]), found)
        else:
            same(found[0][:2], fate(policy), "records")


@each("nothing", "hold")
def two_sessions(policy):
    """two sessions at once delete the same and others: each once"""
    with dovecot(POLICIES[policy], imap=False, messages=cleans(4),
                 lines=["pop3_lock_session = no"]) as s:
        one, two = s.login(), s.login()
        for c, marked in ((one, "12"), (two, "23")):
            for n in marked:
                c.ok("DELE " + n)
        one.send("QUIT\r\n")
        two.send("QUIT\r\n")
        for c in (one, two):
            reply = c.status()
            check(reply.startswith(b"+OK"), reply)
            c.close()
        same(len(s.stored()), 1, "files")
        same(len(s.retained()), 3 if policy == "hold" else 0, "retained")
        records = s.audit()
        same(check_order(records), set(), "open intents")
        same(sum(r["event"] == fate(policy)[1] for r in records), 3, "records")


# ---- what the rule says of commands -----------------------------------------

@each(("headers", 0), ("3", 3), ("deny", None), ("allow", 99))
def top(text, limit):
    """TOP as the rule has it"""
    with dovecot('retention "r" { after-delivery = "90d" top = %s }\n' % text,
                 imap=False, messages=[clean(1), clean(2, 2)]) as s:
        c = s.login()
        same("TOP" in c.lines("CAPA"), limit is not None, "CAPA")
        if limit is None:
            c.err("TOP 1 0")
        else:
            c.multi("TOP 1 %d" % min(limit, 99))
            if limit < 12:
                c.err("TOP 1 %d" % (limit + 1))
                c.err("TOP 1 99999999")
            # The whole body fits.
            (c.multi if limit >= 2 else c.err)("TOP 2 99999999")
        c.err("TOP 3 0")
        # In one packet with others, in order.
        c.send("NOOP\r\nTOP 1 99\r\nCAPA\r\nRETR 2\r\n")
        check(c.status().startswith(b"+OK"), "NOOP")
        shown = c.status().startswith(b"+OK")
        same(shown, limit == 99, "TOP 1 99")
        if shown:
            c.body()
        check(c.status().startswith(b"+OK"), "CAPA")
        same(b"TOP" in c.body().split(), limit is not None, "CAPA")
        check(c.status().startswith(b"+OK"), "RETR")
        same(c.body(), received(clean(2, 2)), "RETR")
        # What comes after QUIT is not answered, and what comes before is.
        c.send("NOOP\r\nDELE 1\r\nTOP 1 0\r\nSTAT\r\nRSET\r\ncapa\r\nTOPS\r\n"
               "quit\r\nCAPA\r\nTOP 1 0\r\n")
        for wanted in (b"+OK", b"+OK", b"-ERR", b"+OK 1 ", b"+OK", b"+OK"):
            reply = c.status()
            check(reply.startswith(wanted), "%r: %r" % (wanted, reply))
        same(b"TOP" in c.body().split(), limit is not None, "CAPA")
        check(c.status().startswith(b"-ERR"), "TOPS")
        check(c.status().startswith(b"+OK"), "QUIT")
        check(c.at_end(), "octets after the reply to QUIT")
        c.close()


@test
def capa_per_user():
    """CAPA after login is the user's own"""
    with dovecot('retention "a" { users = { "ann" } after-download = "7d" '
                 'login-delay = "1m" }\n'
                 'retention "b" { users = { "bob" } after-delivery = "30d" '
                 'mode = dry-run }\n', users=("ann", "bob", "carl"),
                 imap=False) as s:
        for user, expire in (("ann", "7"), ("bob", "NEVER"),
                             ("carl", "NEVER")):
            c = s.login(user)
            lines = c.lines("CAPA")
            check("EXPIRE " + expire in lines, lines)
            same([l for l in lines if l.startswith("LOGIN-DELAY")],
                 ["LOGIN-DELAY %d" % (60 if user == "ann" else 0)], user)
            check("TOP" in lines and "UIDL" in lines, lines)
            c.quit()


@test
def login_delay():
    """login-delay: too early is [LOGIN-DELAY], and does not put it off"""
    with dovecot('retention "a" { users = { "ann" } login-delay = "1h" }\n',
                 users=("ann", "bob"), imap=False) as s:
        for user in s.users:
            s.login(user).quit()
        s.login("bob").quit()
        for _ in range(2):
            c = s.connect()
            c.ok("USER ann")
            c.err("PASS " + s.password("ann"), "LOGIN-DELAY")
            c.close()


# ---- master users -----------------------------------------------------------

@contextlib.contextmanager
def with_master(policy, messages):
    """A Dovecot with the master user "root"."""
    s = dovecot(policy, messages=messages)
    path = s.dir + "/masters"
    with open(path, "w") as f:
        f.write("boss:{PLAIN}of boss\n")
    if dovecot_version() < (2, 4):
        lines = ["passdb {", "driver = passwd-file", "master = yes",
                 "args = " + path, "}"]
    else:
        lines = ["passdb masters {", "driver = passwd-file", "master = yes",
                 "passwd_file_path = " + path, "}"]
    configure(s, "auth_master_user_separator = *", *lines)
    with s:
        yield s


def master_login(s):
    c = s.connect()
    c.ok("USER ann*boss")
    c.ok("PASS of boss")
    return c


@test
def master_makes_no_facts():
    """a master user's session is no download, and triggers no rule"""
    with with_master(NOW, cleans(3)) as s:
        c = master_login(s)
        c.multi("RETR 1")
        c.multi("RETR 2")
        c.quit()
        same(len(s.stored()), 3, "files")
        same(s.events("downloaded", "dispose-intent", "login"), [], "records")
        s.login().quit()
        same(len(s.stored()), 3, "files, after a session of the user")
        c = master_login(s)
        c.ok("DELE 1")
        c.quit()
        same(len(s.stored()), 2, "files, after DELE")
        settled(s, GONE)


@each("hold", "minimum")
def master_is_bound(policy):
    """a master user's DELE under a hold is retained"""
    with with_master(POLICIES[policy], cleans(2)) as s:
        c = master_login(s)
        c.ok("DELE 1")
        c.quit()
        same(len(s.stored()), 1, "files")
        same(len(s.retained()), 1, "retained")
        settled(s, KEPT)
        with policyd_killed(s):
            c = master_login(s)
            c.ok("DELE 1")
            c.err("QUIT", "SYS/TEMP")
        same(len(s.stored()), 1, "files, when policyd was away")


# ---- others -----------------------------------------------------------------

@test
def hashes():
    """audit-hash: the SHA-256 of what was sent"""
    messages = [clean(1), clean(2).replace(b"\n", b"\r\n"),
                clean(3).rstrip(b"\n"), big(4, 300_000), clean(5) + b".\n..\n"]
    with dovecot("audit-hash = on\n" + POLICIES["rule"], imap=False,
                 messages=messages) as s:
        c = s.login()
        sent = [c.multi("RETR %d" % n) for n in range(1, 6)]
        same(sent, [received(m) for m in messages], "what was sent")
        uidls = [line.split()[1] for line in c.lines("UIDL")]
        c.quit()
        found = {r["uidl"]: r.get("sha256") for r in
                 s.until_events(5, "downloaded")}
        same(found, {u: hashlib.sha256(m).hexdigest()
                     for u, m in zip(uidls, sent)}, "hashes")


@each(*((kind, policy) for kind in ("maildir", "mdbox")
        for policy in ("nothing", "hold")))
def flag_instead(kind, policy):
    """pop3_delete_type = flag: DELE hides from POP3, and nothing is disposed of"""
    with dovecot(POLICIES[policy], kind, lines=[
            "pop3_delete_type = flag", "pop3_deleted_flag = \"$POP3Deleted\""
            ]) as s:
        save(s, 3)
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(numbers(s), [1, 2, 3], "INBOX")
        same(histories(s), [], "records")
        c = s.login()
        same(c.stat()[0], 2, "messages")
        c.quit()


@test
def flag_and_rule():
    """pop3_delete_type = flag: the rule disposes of the right message"""
    with dovecot(NOW, lines=["pop3_delete_type = flag",
                             "pop3_deleted_flag = \"$POP3Deleted\""]) as s:
        save(s, 4)
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        c = s.login()
        c.multi("RETR 2")	# the third
        c.quit()
        same(numbers(s), [1, 2, 4], "INBOX")
        settled(s, ["downloaded"] + GONE)


@each(*FORMATS)
def twins(kind):
    """messages alike in header and size are two, when retained too"""
    with dovecot(POLICIES["hold"], kind) as s:
        for n in range(1, 4):
            s.doveadm("save", "-u", "ann", "-m", "INBOX", stdin=(
                "From: a@example.org\nDate: Mon, 6 Jul 2026 10:00:00 +0200\n"
                "\nbody %d\n" % n))
        for _ in range(3):
            c = s.login()
            c.ok("DELE 1")
            c.quit()
        said = s.doveadm("-f", "flow", "fetch", "-u", "ann", "body",
                         "mailbox", "popkeep-retained/INBOX")
        same([n for n in range(1, 4) if "body %d" % n in said], [1, 2, 3],
             "retained")
