"""Holds, minimums and records in every protocol that loads Dovecot's plugin.

SPDX-License-Identifier: ISC
"""
import os
import re
import smtplib

from dovecot_mail import (AWAY, BOUND, FORMATS, GONE, KEPT, POLICIES, RETAINED,
                          configure, dovecot, fate, histories, imap, mark, no,
                          numbers, ok, policyd_killed, retained, save, settled)
from fixtures import clean
from lib import (Skip, check, check_order, dovecot_version, each, same, test)


# ---- IMAP: expunging --------------------------------------------------------

def expunge(c, s):
    mark(c, "1,3")
    ok(c.expunge())


def uid_expunge(c, s):
    mark(c, "1:3")
    uids = ok(c.fetch("1:*", "(UID)"))
    uids = [line.split()[2].rstrip(b")").decode() for line in uids]
    ok(c.uid("EXPUNGE", "%s,%s" % (uids[0], uids[2])))
    ok(c.store("1:*", "-FLAGS", "(\\Deleted)"))


def close(c, s):
    mark(c, "1,3")
    ok(c.close())


def logout(c, s):
    """Marked and not expunged: nothing is deleted."""
    mark(c, "1,3")
    ok(c.expunge())
    mark(c, "1:*")


def pipelined(c, s):
    """Commands that forbid to tell of expunges, right behind."""
    mark(c, "1,3")
    c.send(b"x1 EXPUNGE\r\nx2 FETCH 1 (BODY.PEEK[])\r\nx3 NOOP\r\n"
           b"x4 FETCH 1 FLAGS\r\n")
    done = set()
    while len(done) < 4:
        line = c.readline()
        done |= {line[:2]} & {b"x1", b"x2", b"x3", b"x4"}


def twice(c, s):
    """By two sessions at once."""
    mark(c, "1,3")
    with imap(s) as other:
        ok(c.expunge())
        ok(other.expunge())


HOW = {"expunge": expunge, "uid-expunge": uid_expunge, "close": close,
       "logout": logout, "pipelined": pipelined, "twice": twice}


@each(*((kind, how) for kind in POLICIES for how in HOW))
def expunged(kind, how):
    """expunged over IMAP: disposed of, or retained, with records"""
    with dovecot(POLICIES[kind]) as s:
        save(s, 4)
        with imap(s) as c:
            HOW[how](c, s)
        same(numbers(s), [2, 4], "INBOX")
        same(retained(s), [1, 3] if kind in BOUND else [], "retained")
        settled(s, fate(kind), fate(kind))


@each(*((kind, policy) for kind in FORMATS for policy in ("rule", "hold")))
def expunged_of_format(kind, policy):
    """in every format: disposed of, or retained, with records"""
    with dovecot(POLICIES[policy], kind) as s:
        save(s, 4)
        with imap(s) as c:
            expunge(c, s)
            ok(c.create("Folder"))
            ok(c.copy("1", "Folder"))
            mark(c, "1")
            ok(c.expunge())
        same(numbers(s), [4], "INBOX")
        same(numbers(s, "Folder"), [2], "Folder")
        same(retained(s), [1, 2, 3] if policy == "hold" else [], "retained")
        settled(s, *[fate(policy)] * 3)
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(retained(s), [1, 2, 3, 4] if policy == "hold" else [], "by POP3")
        settled(s, *[fate(policy)] * 4)


@each(*((kind, folder) for kind in POLICIES for folder in ("INBOX", "Folder")))
def deleted_from(kind, folder):
    """of another folder too, and the Retained place has its name"""
    with dovecot(POLICIES[kind]) as s:
        s.doveadm("mailbox", "create", "-u", "ann", "Folder", "Folder/Sub")
        for name in (folder, "Folder/Sub"):
            save(s, 2, name)
            with imap(s, folder=name) as c:
                mark(c, "1")
                ok(c.expunge())
            same(numbers(s, name), [2], name)
            same(retained(s, name), [1] if kind in BOUND else [], name)
        settled(s, fate(kind), fate(kind))


# ---- IMAP: moving and copying -----------------------------------------------

@each(*((kind, policy) for kind in FORMATS for policy in POLICIES))
def moved(kind, policy):
    """MOVE inside the user's folders is allowed, and recorded"""
    with dovecot(POLICIES[policy], kind) as s:
        save(s, 3)
        with imap(s) as c:
            ok(c.create("There"))
            same(c._simple_command("MOVE", "1:2", "There")[0], "OK", "MOVE")
        same(numbers(s), [3], "INBOX")
        same(numbers(s, "There"), [1, 2], "There")
        same(retained(s), [], "retained")
        if policy != "nothing":
            found = s.until_events(2, "moved")
            same({r["reason"] for r in found}, {"to There"}, "reasons")
        settled(s, *[["moved"]] * (0 if policy == "nothing" else 2))
        with imap(s, folder="There") as c:
            mark(c, "1:*")
            ok(c.expunge())
        same(retained(s, "There"), [1, 2] if policy in BOUND else [], "held")


def public(place):
    """The lines of a namespace that belongs to nobody."""
    old = dovecot_version() < (2, 4)
    return ["namespace public {", "type = public", "prefix = Public/",
            "separator = /"] + (
        ["location = maildir:%s:INDEX=~/public" % place] if old else
        ["mail_driver = maildir", "mail_path = " + place,
         "mail_index_path = ~/public"]) + ["subscriptions = no", "}"]


@each(*POLICIES)
def moved_away(policy):
    """MOVE to a folder that is not the user's: as if it were deleted"""
    s = dovecot(POLICIES[policy])
    place = s.dir + "/public"
    os.makedirs(place + "/.Box/cur")
    configure(s, *public(place))
    for path in (place, place + "/.Box", place + "/.Box/cur"):
        os.chmod(path, 0o777)
    with s:
        save(s, 3)
        with imap(s) as c:
            same(c._simple_command("MOVE", "1:2", "Public/Box")[0], "OK",
                 "MOVE")
        same(numbers(s), [3], "INBOX")
        same(numbers(s, "Public/Box"), [1, 2], "there")
        same(retained(s), [1, 2] if policy in BOUND else [], "retained")
        settled(s, fate(policy), fate(policy))


@test
def copied_and_expunged():
    """COPY and EXPUNGE, as clients move: copy and retained message are two"""
    with dovecot(POLICIES["hold"]) as s:
        save(s, 2)
        with imap(s) as c:
            ok(c.create("There"))
            ok(c.copy("1", "There"))
            mark(c, "1")
            ok(c.expunge())
        same((numbers(s), numbers(s, "There"), retained(s)),
             ([2], [1], [1]), "where they are")
        settled(s, KEPT)


# ---- folders ----------------------------------------------------------------

@each(*((how, policy) for how in ("imap", "doveadm") for policy in POLICIES))
def folder_deleted(how, policy):
    """DELETE of a folder: refused of who is held, else all in it is recorded"""
    with dovecot(POLICIES[policy]) as s:
        for name in ("Folder", "Empty"):
            s.doveadm("mailbox", "create", "-u", "ann", name)
        save(s, 3, "Folder")
        bound = policy in BOUND
        with imap(s) as c:
            for name in ("Empty", "Folder"):
                refused = bound and name == "Folder"
                if how == "imap":
                    (no if refused else ok)(c.delete(name))
                else:
                    s.doveadm("mailbox", "delete", "-u", "ann", name,
                              status=77 if refused else 0)
            listed = str(ok(c.list()))
        check("Empty" not in listed, "Empty is there")
        same("Folder" in listed, bound, "Folder is there")
        same(numbers(s, "Folder"), [1, 2, 3] if bound else [], "Folder")
        settled(s, *[] if bound else [GONE] * 3)


@each(*((kind, policy) for kind in FORMATS[1:] for policy in ("rule", "hold")))
def folder_deleted_of_format(kind, policy):
    """DELETE of a folder, in every format"""
    with dovecot(POLICIES[policy], kind) as s:
        s.doveadm("mailbox", "create", "-u", "ann", "Folder")
        save(s, 2, "Folder")
        with imap(s) as c:
            (no if policy == "hold" else ok)(c.delete("Folder"))
        same(numbers(s, "Folder"), [1, 2] if policy == "hold" else [],
             "Folder")
        settled(s, *[] if policy == "hold" else [GONE] * 2)


@each(*POLICIES)
def folder_renamed(policy):
    """RENAME of a folder: refused of who is held"""
    with dovecot(POLICIES[policy]) as s:
        s.doveadm("mailbox", "create", "-u", "ann", "Old")
        save(s, 2, "Old")
        with imap(s) as c:
            (no if policy in BOUND else ok)(c.rename("Old", "New"))
        same(numbers(s, "Old" if policy in BOUND else "New"), [1, 2],
             "mail is where it was, or where it was moved")
        same(histories(s), [], "records")


@test
def folder_unreadable():
    """a folder whose mail cannot be listed is not deleted"""
    with dovecot(POLICIES["hold"]) as s:
        s.doveadm("mailbox", "create", "-u", "ann", "Folder")
        save(s, 2, "Folder")
        os.chmod(s.maildir() + "/.Folder/cur", 0)
        with imap(s) as c:
            no(c.delete("Folder"))
        os.chmod(s.maildir() + "/.Folder/cur", 0o700)
        same(numbers(s, "Folder"), [1, 2], "Folder")


# ---- policyd is away --------------------------------------------------------

@each(*((policy, away) for policy in POLICIES for away in AWAY))
def expunge_while_away(policy, away):
    """policyd is away: IMAP says NO and the message stays"""
    with dovecot(POLICIES[policy]) as s:
        save(s, 2)
        with imap(s) as before:
            mark(before, "1")
            with AWAY[away](s):
                no(before.expunge(), "popkeep")
                with imap(s) as c:
                    no(c.expunge(), "popkeep")
                    c.close()	# Dovecot says OK, whatever became of it
                same(numbers(s), [1, 2], "INBOX")
            ok(before.expunge())
        same(numbers(s), [2], "INBOX, later")
        settled(s, fate(policy))


@each(*((policy, away) for policy in POLICIES for away in AWAY))
def quit_while_away(policy, away):
    """policyd is away at QUIT: -ERR, and the message stays"""
    with dovecot(POLICIES[policy], imap=False) as s:
        save(s, 2)
        c = s.login()
        c.ok("DELE 1")
        with AWAY[away](s):
            c.err("QUIT", "SYS/TEMP")
        same(numbers(s), [1, 2], "INBOX")
        same(retained(s), [], "retained")
        c = s.login()
        c.ok("DELE 1")
        c.quit()
        same(numbers(s), [2], "INBOX, later")
        # A question that was not answered in time may have been recorded.
        histories(s)


@each(*((policy, away) for policy in ("rule", "nothing") for away in AWAY))
def login_while_away(policy, away):
    """policyd is away at login: mail can be read, nothing is disposed of"""
    with dovecot('passwords { rule "r" { allow = always } }\n' +
                 POLICIES[policy].replace("7d", "0"), imap=False,
                 # Whom it stops is no session of the mail plugin's.
                 options=["--no-gate"]) as s:
        save(s, 3)
        with AWAY[away](s):
            c = s.login()
            c.multi("RETR 1")
            c.quit()
            c = s.login()
            c.multi("RETR 1")
            c.ok("DELE 2")
        # It is back at QUIT: who came while it was away deletes nothing.
        c.err("QUIT", "SYS/TEMP")
        same(numbers(s), [1, 2, 3], "INBOX")
        same(s.events("dispose-intent"), [], "intents")


@each(("off", "nothing"), *(("best-effort", policy) for policy in POLICIES))
def without_records(audit, policy):
    """audit = best-effort, off: who has no rule and no hold may delete"""
    with dovecot("audit = %s\n" % audit + POLICIES[policy]) as s:
        save(s, 4)
        c = s.login()
        c.ok("DELE 1")
        c.ok("DELE 2")
        with policyd_killed(s):
            if policy == "nothing":
                c.quit()
            else:
                c.err("QUIT", "SYS/TEMP")
        there = [3, 4] if policy == "nothing" else [1, 2, 3, 4]
        same(numbers(s), there, "INBOX")
        with imap(s) as c:
            mark(c, "1")
            ok(c.expunge())
        same(numbers(s), there[1:], "INBOX after EXPUNGE")
        if audit == "off":
            same(histories(s), [], "records")
        else:
            settled(s, fate(policy))


@test
def unknown_rule():
    """popkeep_retention names no rule: the login fails for now, the log says why"""
    with dovecot(POLICIES["rule"], rules={"ann": "nonesuch"}) as s:
        save(s, 1)
        c = s.connect()
        c.ok("USER ann")
        reply = c.command("PASS " + s.password("ann"))
        check(reply.startswith(b"-ERR [SYS/TEMP]"), reply)
        s.until_log("pop3(ann)", "nonesuch")
        with imap(s) as c:
            mark(c, "1")
            no(c.expunge())
        same(numbers(s), [1], "INBOX")


# ---- LMTP and doveadm -------------------------------------------------------

def lmtp():
    """The lines that make LMTP one of the protocols."""
    return ["protocols = pop3 imap lmtp"] if dovecot_version() < (2, 4) else [
        "protocols {", "lmtp = yes", "}"]


@each(*POLICIES)
def delivered(policy):
    """LMTP delivers to everybody, and retains nothing"""
    if not os.path.exists("/usr/lib/dovecot/lmtp"):
        raise Skip("no lmtp here")
    s = dovecot(POLICIES[policy])
    configure(s, *lmtp(), "service lmtp {", "unix_listener lmtp {",
              "mode = 0666", "}", "}")
    with s:
        for n in (1, 2):
            mail = smtplib.LMTP(s.dir + "/.popkeep/dovecot/base/lmtp")
            mail.sendmail("a@example.org", ["ann"], clean(n))
            mail.quit()
        same(numbers(s), [1, 2], "INBOX")
        with imap(s) as c:
            mark(c, "1")
            ok(c.expunge())
        same(retained(s), [1] if policy in BOUND else [], "retained")
        settled(s, fate(policy))


@each(*((kind, policy) for kind in ("maildir", "mdbox")
        for policy in POLICIES))
def doveadm_expunge(kind, policy):
    """doveadm expunge and move: as IMAP does"""
    with dovecot(POLICIES[policy], kind, imap=False) as s:
        save(s, 4)
        s.doveadm("expunge", "-u", "ann", "mailbox", "INBOX", "uid", "1:2")
        s.doveadm("mailbox", "create", "-u", "ann", "There")
        s.doveadm("move", "-u", "ann", "There", "mailbox", "INBOX", "uid", "3")
        same((numbers(s), numbers(s, "There")), ([4], [3]), "mail")
        same(retained(s), [1, 2] if policy in BOUND else [], "retained")
        settled(s, fate(policy), fate(policy),
                *[["moved"]] if policy != "nothing" else [])


# ---- the Retained place, and folders of others --------------------------------

@each(*BOUND)
def expunged_in_retained(policy):
    """what is retained is not expunged, by an administrator neither"""
    with dovecot(POLICIES[policy]) as s:
        save(s, 3)
        with imap(s) as c:
            mark(c, "1:2")
            ok(c.expunge())
        s.doveadm("expunge", "-u", "ann", "mailbox", RETAINED + "INBOX", "all",
                  status=ANY)
        s.doveadm("expunge", "-u", "ann", "mailbox", "*", "all", status=ANY)
        same(retained(s), [1, 2, 3], "retained")
        settled(s, *[KEPT] * 3)


@test
def expunged_when_released():
    """what is released can be expunged in the Retained place, with records"""
    with dovecot(POLICIES["hold"]) as s:
        save(s, 2)
        with imap(s) as c:
            mark(c, "1:2")
            ok(c.expunge())
        s.reload("")
        s.doveadm("expunge", "-u", "ann", "mailbox", RETAINED + "INBOX", "uid",
                  "1")
        same(retained(s), [2], "retained")
        settled(s, KEPT + ["dispose-intent", "purged"], KEPT)


def shared(s):
    """bob sees ann's folders."""
    if dovecot_version() < (2, 4):
        configure(s, "namespace shared {", "type = shared",
                  "prefix = shared/%%u/", "separator = /",
                  "location = maildir:%s:INDEX=~/shared/%%%%u" %
                  s.maildir("ann"), "subscriptions = no", "list = children",
                  "}")
    else:
        configure(s, "namespace shared {", "type = shared",
                  "prefix = shared/$user/", "separator = /",
                  "mail_path = " + s.maildir("ann"),
                  "mail_index_path = ~/shared", "subscriptions = no",
                  "list = children", "}")


@each(*POLICIES)
def expunged_by_another(policy):
    """a shared folder is under the rules of its owner, whoever expunges"""
    s = dovecot(POLICIES[policy], users=("ann", "bob"))
    shared(s)
    with s:
        save(s, 4)
        with imap(s, user="bob", folder="shared/ann/INBOX") as c:
            mark(c, "1:2")
            same(c.expunge()[0], "NO" if policy in BOUND else "OK", "EXPUNGE")
            ok(c.store("1:*", "-FLAGS", "(\\Deleted)"))
            moved = c._simple_command("MOVE", "1", "INBOX")[0]
        if policy in BOUND:
            same((moved, numbers(s)), ("NO", [1, 2, 3, 4]), "MOVE")
        else:
            same((moved, numbers(s)), ("OK", [4]), "MOVE")
            same({r["user"] for r in s.events("disposed")}, {"ann"}, "user")
        same(histories(s, "bob"), [], "bob's records")
        same(check_order(s.audit()), set(), "open intents")


@each("nothing", "hold")
def unreadable_and_expunged(policy):
    """EXPUNGE of what cannot be read is NO, and nothing of it is done"""
    with dovecot(POLICIES[policy], messages=[clean(1), clean(2)]) as s:
        with imap(s) as c:
            for folder in "new", "cur":
                place = "%s/%s/" % (s.maildir(), folder)
                for name in os.listdir(place):
                    with open(place + name, "rb") as f:
                        if f.read() == clean(1):
                            os.chmod(place + name, 0)
            mark(c, "1:2")
            same(c.expunge()[0], "NO", "EXPUNGE")
        same(len(os.listdir(s.maildir() + "/cur")), 2, "both are there")
        same(histories(s), [], "records")


# ---- dsync ------------------------------------------------------------------

ANY = tuple(range(256))


def dsync(s, *argv, copy, status=0):
    return s.doveadm(*argv, "-u", "ann", "maildir:" + copy, status=status)


@each(*((how, policy) for how in ("backup", "sync") for policy in POLICIES))
def synchronised(how, policy):
    """dsync that would remove what is gone elsewhere: refused of who is held"""
    with dovecot(POLICIES[policy]) as s:
        save(s, 4)
        copy = s.dir + "/copy"
        dsync(s, "backup", copy=copy)
        for folder in ("new", "cur"):
            # Seconds and microseconds, as they were saved.
            names = sorted(os.listdir("%s/%s" % (copy, folder)), key=lambda n:
                           [int(x) for x in re.findall(r"\d+", n)[:2]])
            for name in names[:2]:
                os.unlink("%s/%s/%s" % (copy, folder, name))
        bound = policy in BOUND
        argv = ["backup", "-R"] if how == "backup" else ["sync", "-1", "-R"]
        dsync(s, *argv, copy=copy, status=ANY if bound else (0, 2))
        there = numbers(s)
        if bound:
            same(there, [1, 2, 3, 4], "INBOX")
            same(histories(s), [], "records")
        elif how == "backup":
            same(there, [3, 4], "INBOX")
            settled(s, GONE, GONE)
        check(not set(there) - {1, 2, 3, 4}, "no others")


@test
def synchronised_folder():
    """dsync that would delete a folder: refused of who is held"""
    with dovecot(POLICIES["hold"]) as s:
        copy = s.dir + "/copy"
        dsync(s, "backup", copy=copy)
        s.doveadm("mailbox", "create", "-u", "ann", "Folder")
        save(s, 2, "Folder")
        dsync(s, "backup", "-R", copy=copy, status=ANY)
        same(numbers(s, "Folder"), [1, 2], "Folder")
        same(histories(s), [], "records")


# ---- the Retained place -----------------------------------------------------

@test
def retained_is_hidden():
    """the Retained place is not there for IMAP"""
    with dovecot(POLICIES["hold"]) as s:
        save(s, 3)
        with imap(s) as c:
            expunge(c, s)
            ok(c.create("Folder"))
            for pattern in ("*", "%", RETAINED + "*", RETAINED + "%",
                            RETAINED + "INBOX", "popkeep-retained"):
                for word in (c.list, c.lsub):
                    said = [line for line in ok(word('""', pattern)) if line]
                    check(b"retained" not in b" ".join(said), "%s" % said)
            for word in (c.select, lambda n: c.select(n, readonly=True),
                         c.delete, c.create, c.subscribe):
                no(word(RETAINED + "INBOX"))
            no(c.status(RETAINED + "INBOX", "(MESSAGES)"))
            no(c.create(RETAINED + "New"))
            no(c.append(RETAINED + "INBOX", None, None, clean(9)))
            no(c.rename(RETAINED + "INBOX", "Mine"))
            no(c.rename("Folder", RETAINED + "Folder"))
            ok(c.select())
            no(c.copy("1", RETAINED + "INBOX"))
            same(c._simple_command("MOVE", "1", RETAINED + "INBOX")[0], "NO",
                 "MOVE")
        same((numbers(s), retained(s)), ([2], [1, 3]), "mail")


@test
def retained_takes_no_folder():
    """of who may rename: no folder is renamed into the Retained place"""
    with dovecot() as s:
        s.doveadm("mailbox", "create", "-u", "ann", "Folder")
        save(s, 1, "Folder")
        with imap(s) as c:
            no(c.rename("Folder", RETAINED + "Folder"))
        same(numbers(s, "Folder"), [1], "Folder")


@each("there", "never")
def retained_tells_nothing(whether):
    """what IMAP says of the Retained place does not depend on whether it is"""
    with dovecot(POLICIES["hold"]) as s:
        save(s, 2)
        with imap(s) as c:
            if whether == "there":
                mark(c, "1")
                ok(c.expunge())
            for word in (c.subscribe, c.create, c.delete, c.select):
                for name in ("INBOX", "Other"):
                    reply = word(RETAINED + name)
                    check(reply[0] == "NO", "%s: %s" % (word, reply))
