"""What the clock brings about: each limit, one second before it and at it.

popkeepd's time stands still in each session, at the second that the test names.

SPDX-License-Identifier: ISC
"""
import os
import time

import fixtures
import test_clients
from lib import Server, check_order, each, needs, private_dir, same, test

DAY = 86400
T0 = 1800000000			# 2027-01-15: when popkeep comes


def server(rule, delivered=None, count=1, **more):
    """A server at T0 with messages delivered at that time."""
    s = Server(policy='retention "limits" { %s }\n' % rule, at=T0, **more)
    s.fill("ann", [])
    for message in fixtures.cleans(count):
        s.deliver("ann", message, when=delivered or T0 - DAY)
    return s


def visit(s, at, *commands, quit_=True):
    """A session at a second."""
    if s.at != at:
        s.restart(at=at)
    with s.login() as c:
        for command in commands:
            if command[:4] in ("RETR", "TOP "):
                c.multi(command)
            else:
                c.ok(command)
        if quit_:
            c.quit()
        else:
            c.abort()
    if not quit_:
        s.login().quit()		# and wait until it has ended


def gone_at(s, due, reason, count=1):
    """Kept one second before, and gone at it."""
    before, records = len(s.stored()), len(s.events("dispose-intent"))
    visit(s, due - 1)
    same(len(s.stored()), before, "files one second before")
    same(len(s.events("dispose-intent")), records, "one second before")
    visit(s, due)
    same(len(s.stored()), before - count, "files at the limit")
    done = s.until_events(records + count, "disposed", user="ann",
                          rule="limits")[records:]
    for r in done:
        same((r["reason"], r["time"][:19]), (reason, iso(due)), "record")
    same(check_order(s.audit()), set(), "open intents")


def iso(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def kept_at(s, at):
    before = s.stored()
    visit(s, at)
    same(s.stored(), before, "files")
    same(s.events("dispose-intent"), [], "intents")


@test
def after_download():
    """after-download = 7d: from the download on, whoever comes later"""
    with server('after-download = "7d"', count=2) as s:
        visit(s, T0, "RETR 1")
        same(len(s.stored()), 2, "files")
        gone_at(s, T0 + 7 * DAY, "after-download")
        # What was not downloaded stays for ever.
        kept = s.stored()
        visit(s, T0 + 4000 * DAY)
        same(s.stored(), kept, "files")


@test
def after_download_first_time():
    """after-download counts from the first download, not from the last"""
    with server('after-download = "7d"') as s:
        visit(s, T0, "RETR 1")
        visit(s, T0 + 6 * DAY, "RETR 1")
        gone_at(s, T0 + 7 * DAY, "after-download")


@test
def after_download_unconfirmed():
    """after-download does not count from what was not confirmed"""
    with server('after-download = "7d"') as s:
        visit(s, T0, "RETR 1", quit_=False)
        kept_at(s, T0 + 400 * DAY)


@each(("fetchmail", "apop"), ("mpop", "tls"), ("getmail", "tls"))
def client_keeps(name, how):
    """what a client got and left on the server is gone 7 days after that"""
    needs(name)
    messages = fixtures.cleans(3)
    with server('after-download = "7d"', count=3, word=test_clients.WORD) \
            as s, private_dir() as d:
        client = test_clients.BY_NAME[name](s, how, d, True)
        options = ["--fetchall"] if name == "fetchmail" else []
        client.fetch(*options)
        same(client.got(), sorted(messages), "what it got")
        test_clients.free_again(s)
        same(len(s.until_events(3, "downloaded", user="ann")), 3, "records")
        # Later runs download nothing, and put off nothing.
        s.restart(at=T0 + 3 * DAY)
        client.fetch(*([] if name == "fetchmail" else options),
                     status=(0, client.nothing_new))
        test_clients.free_again(s)
        gone_at(s, T0 + 7 * DAY, "after-download", 3)


@test
def unconfirmed_limit_is_first():
    """unconfirmed-limit = 2: 7d run from the second one, whatever follows"""
    with server('after-download = "7d" unconfirmed-limit = 2') as s:
        for day in (0, 1, 2, 5):
            visit(s, T0 + day * DAY, "RETR 1", quit_=False)
        gone_at(s, T0 + 8 * DAY, "after-download")


@test
def after_delivery():
    """after-delivery = 30d: from the time in the file's name"""
    with server('after-delivery = "30d"', delivered=T0 - 10 * DAY) as s:
        visit(s, T0)
        gone_at(s, T0 + 20 * DAY, "after-delivery")


@test
def shorter_wins():
    """of several limits the first that is due disposes"""
    with server('after-delivery = "30d" after-download = "7d" unread = "60d"',
                delivered=T0, count=2) as s:
        visit(s, T0, "RETR 1")
        gone_at(s, T0 + 7 * DAY, "after-download")
        gone_at(s, T0 + 30 * DAY, "after-delivery")


@test
def unread_first_seen():
    """unread from first-seen: from the first session, or a later delivery"""
    with server('unread = "60d"', delivered=T0 - 1000 * DAY) as s:
        visit(s, T0)
        s.deliver("ann", fixtures.clean(7), when=T0 + 5 * DAY)
        gone_at(s, T0 + 60 * DAY, "unread")
        gone_at(s, T0 + 65 * DAY, "unread")


@test
def unread_delivery():
    """unread from delivery: from delivery, whenever popkeep came"""
    with server('unread = "60d" unread-from = delivery',
                delivered=T0 - 50 * DAY) as s:
        visit(s, T0)
        gone_at(s, T0 + 10 * DAY, "unread")


@each("first-seen", "delivery")
def unread_facts_lost(how):
    """unread with a lost index: as if popkeep had come then, never earlier"""
    with server('unread = "60d" unread-from = %s' % how,
                delivered=T0 - 50 * DAY) as s:
        visit(s, T0, "RETR 1")
        os.unlink(s.maildir() + "/popkeep.index")
        # What it once read is unread again, but from now on.
        visit(s, T0 + 20 * DAY)
        same(s.events("dispose-intent"), [], "intents")
        gone_at(s, T0 + 80 * DAY, "unread")


@test
def download_facts_lost():
    """after-download with a lost index: the message is kept"""
    with server('after-download = "7d"') as s:
        visit(s, T0, "RETR 1")
        os.unlink(s.maildir() + "/popkeep.index")
        kept_at(s, T0 + 300 * DAY)


@each("RETR 1", "TOP 1 9999")
def read_is_not_unread(how):
    """what was read has no unread limit"""
    with server('unread = "60d" top = allow', count=2) as s:
        visit(s, T0, how)
        gone_at(s, T0 + 60 * DAY, "unread")
        kept = s.stored()
        visit(s, T0 + 600 * DAY)
        same(s.stored(), kept, "files")


@each(("TOP 1 3", True), ("TOP 1 9999", False), ("RETR 1", False))
def not_read(how, quit_):
    """a part of it, or a session without QUIT, is not read"""
    with server('unread = "60d" top = allow') as s:
        visit(s, T0, how, quit_=quit_)
        gone_at(s, T0 + 60 * DAY, "unread")


@test
def unconfirmed_limit():
    """unconfirmed-limit: the third, an hour apart, counts; for the next session"""
    with server('after-download = "1d" unconfirmed-limit = 3') as s:
        visit(s, T0, "RETR 1", quit_=False)
        visit(s, T0 + 3600, "RETR 1", quit_=False)
        visit(s, T0 + 7199, "RETR 1", quit_=False)	# less than 1 h
        kept_at(s, T0 + 10 * DAY)
        third = T0 + 11 * DAY
        visit(s, third, "RETR 1", quit_=False)
        same(len(s.events("downloaded-unconfirmed")), 4, "records")
        gone_at(s, third + DAY, "after-download")


@test
def unconfirmed_limit_at_once():
    """unconfirmed-limit with after-download = 0: from the next session on"""
    with server('after-download = "0" unconfirmed-limit = 2') as s:
        visit(s, T0, "RETR 1", quit_=False)
        same(len(s.stored()), 1, "after the first")
        s.restart(at=T0 + 3600)
        with s.login() as c:
            c.send("RETR 1\r\nQUIT\r\n")	# the second; not confirmed
            c.status()
            c.body()
            c.status()
        same(len(s.stored()), 1, "the session that counts does not dispose")
        same(len(s.until_events(2, "downloaded-unconfirmed")), 2, "records")
        s.login().quit()
        same(s.stored(), [], "the next session")
        s.until_events(1, "disposed", reason="after-download")


@test
def clock_set_back():
    """a clock that is behind keeps what the future has downloaded"""
    with server('after-download = "7d" unread = "60d"') as s:
        visit(s, T0, "RETR 1")
        kept_at(s, T0 - 30 * DAY)
        kept_at(s, T0 + 7 * DAY - 1)


@test
def effective_from():
    """effective-from: until that day only what would be is recorded"""
    # 2027-01-20 00:00:00 UTC
    day = 1800403200
    with server('after-delivery = "1d" effective-from = "2027-01-20"',
                delivered=T0 - 3 * DAY) as s:
        visit(s, T0)
        would = s.until_events(1, "would-dispose", reason="after-delivery")
        same((would[0]["user"], would[0]["rule"]), ("ann", "limits"), "record")
        gone_at(s, day, "after-delivery")


@each("file", "rule")
def dry_run(where):
    """mode = dry-run: nothing changes, and what would be is recorded"""
    rule = 'retention "limits" { after-download = "0" unread = "1d" ' \
        'minimum = "9d" login-delay = "1h" top = deny %s }\n'
    policy = "mode = dry-run\n" + rule % "" if where == "file" else \
        rule % "mode = dry-run"
    with Server(policy=policy, at=T0) as s:
        s.fill("ann", [])
        for n in range(3):
            s.deliver("ann", fixtures.clean(n), when=T0 - 20 * DAY + n)
        with s.login() as c:
            check_capa(c)
            c.multi("TOP 3 99")
            c.multi("RETR 1")
            c.ok("DELE 2")
            c.quit()
        # The client's own DELE is carried out as if there were no rule.
        same(len(s.stored()), 2, "files")
        same(s.retained(), [], "retained")
        s.until_events(1, "disposed", reason="dele")
        s.until_events(1, "would-dispose", reason="after-download")
        visit(s, T0 + 2 * DAY)
        # As the rule would say, the first again, and the one by TOP not.
        same(len(s.stored()), 2, "files")
        same(len(s.events("would-dispose")), 2, "records")
        same(len(s.events("disposed")), 1, "disposed")


def check_capa(c):
    capa = c.lines("CAPA")
    same([l for l in capa if l.split()[0] in
          ("EXPIRE", "LOGIN-DELAY", "TOP")], ["TOP", "EXPIRE NEVER"], "CAPA")
