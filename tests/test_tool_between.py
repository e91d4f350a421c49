#!/usr/bin/env python3
"""What the tool says to policyd, and in which order with what it does: something
in between looks at both, and may forge an answer.

The program is the first argument, or standalone/popkeep.
"""
import os
import select
import shutil
import socket
import struct
import sys
import threading
import unittest

import tool_fixture
from tool_fixture import ROOT, Policyd

RECORDS, NARROW, RECORDED = 2, 7, 10
STALE, FAILED = 3, 5
DURABLE = 1


class Between(threading.Thread):
    """Hands packets on between the tool and policyd, and looks at them."""

    def __init__(self, path, to, look):
        super().__init__(daemon=True)
        self.to, self.look, self.links = to, look, []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(50)
        self.start()

    def run(self):
        while True:
            try:
                here = self.listener.accept()[0]
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            there.connect(self.to)
            number = len(self.links)
            self.links.append((here, there))
            threading.Thread(target=self.hand, args=(here, there, number),
                             daemon=True).start()

    def hand(self, here, there, number):
        while True:
            for one in select.select([here, there], [], [])[0]:
                data = one.recv(1 << 16)
                if not data:
                    here.close()
                    there.close()
                    return
                if one is here:
                    _, kind, _, flags = struct.unpack_from("<BBHI", data)
                    forged = self.look(number, kind, flags, data)
                    if forged is not None:
                        here.send(data[:1] + bytes([RECORDED]) + bytes(6) +
                                  data[8:12] + bytes([forged]))
                        continue
                (there if one is here else here).send(data)


class Order(Policyd):
    def between(self, forged={}):
        """forged: what is answered to the n-th packet of records."""
        self.seen, self.forged = [], dict(forged)

        def look(number, kind, flags, data):
            self.seen.append((number, kind, flags, sorted(self.uids("ann")),
                              self.retained("ann")))
            if kind == RECORDS:
                return self.forged.pop(len(self.first_records()), None)
            return None
        Between(self.path("sock2"), self.path("sock"), look)
        self.configure(policy_socket=self.path("sock2"))

    def first_records(self):
        return [s for s in self.seen if s[1] == RECORDS]

    def check_narrowed(self):
        kinds = {}
        for number, kind, *_ in self.seen:
            kinds.setdefault(number, []).append(kind)
        number = self.first_records()[0][0]
        before = kinds[number][:kinds[number].index(RECORDS)]
        self.assertIn(NARROW, before, kinds)

    def test_sweep(self):
        old = sorted(self.mail("ann", 2, 40))
        self.between()
        self.done(0, "sweep", "--user", "ann")
        first = self.first_records()[0]
        self.assertEqual((first[2] & DURABLE, first[3]), (DURABLE, old))
        self.check_narrowed()

    def test_restore(self):
        old = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        self.between()
        self.done(0, "retained", "restore", "ann", old[0])
        first = self.first_records()[0]
        self.assertEqual((first[2] & DURABLE, first[3], first[4]),
                         (DURABLE, [], old))
        self.check_narrowed()

    def test_double(self):
        old = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        name, = os.listdir(self.path("mail/ann/popkeep-retained/cur"))
        shutil.copy(self.path("mail/ann/popkeep-retained/cur", name),
                    self.path("mail/ann/Maildir/cur", name))
        self.own()
        self.between()
        self.done(0, "sweep", "--user", "ann")
        first = self.first_records()[0]
        self.assertEqual((first[2] & DURABLE, first[3], first[4]),
                         (DURABLE, old, old))

    def test_sweep_with_unread_alone(self):
        """Of a rule that has no limit but unread, too."""
        self.change('retention "old" { users = { "ann" } unread = "30d" '
                    'unread-from = delivery }\n')
        self.mail("ann", 1, 40)
        self.done(0, "sweep", "--user", "ann")
        self.assertEqual(self.uids("ann"), [])

    def test_sweep_closes_without_a_rule(self):
        """Intents are closed where no rule is any more, too."""
        self.mail("ann", 1, 40)
        self.done(0, "sweep", "--all")
        self.crash()
        self.change("")
        r = self.done(0, "sweep", "--all")
        self.assertIn("ann: 1 interrupted before, closed", r.stdout)

    def test_purge_is_not_braked(self):
        """max-share is about mailboxes, not about what was retained."""
        self.mail("ann", 25, 1)
        self.change('retention "m" { users = { "ann" } after-delivery = "1h" '
                    'minimum = "9000d" max-share = "100%" }\n')
        self.done(0, "sweep", "--all")
        self.assertEqual(len(self.retained("ann")), 25)
        self.change('retention "m" { users = { "ann" } after-delivery = "1h" '
                    'max-share = "50%" }\n')
        self.done(0, "sweep", "--all")
        self.assertEqual(len(self.retained("ann")), 0)

    def test_dry_run_drops_no_double(self):
        """A dry run leaves what is in both places."""
        old = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        name, = os.listdir(self.path("mail/ann/popkeep-retained/cur"))
        shutil.copy(self.path("mail/ann/popkeep-retained/cur", name),
                    self.path("mail/ann/Maildir/cur", name))
        self.own()
        before = self.files("mail"), len(self.records())
        self.done(0, "sweep", "--all", "--dry-run")
        self.assertEqual((self.files("mail"), len(self.records())), before)

    def test_failure_of_one_message_is_a_failure(self):
        """What cannot be removed is said, recorded, and the exit status."""
        old = self.mail("ann", 2, 40, "Maildir/cur")
        os.chmod(self.path("mail/ann/Maildir/cur"), 0o500)
        r = self.done(1, "sweep", "--all")
        self.assertIn("2 not removed", r.stdout)
        self.assertEqual(self.uids("ann"), sorted(old))
        self.assertEqual(len(self.records("closed-unknown")), 2)
        self.assertEqual(self.records("retained", "disposed"), [])

    def test_interrupted_under_a_minimum(self):
        """What a crash left in both places, and by a minimum."""
        old = self.mail("ann", 2, 40)
        self.change('retention "m" { users = { "ann" } after-delivery = "1h" '
                    'minimum = "9000d" max-share = "100%" }\n')
        self.done(0, "sweep", "--all")
        self.crash()
        names = os.listdir(self.path("mail/ann/popkeep-retained/cur"))
        both, = [n for n in names if n.startswith(old[0])]
        shutil.copy(self.path("mail/ann/popkeep-retained/cur", both),
                    self.path("mail/ann/Maildir/cur", both))
        self.own()
        self.done(0, "sweep", "--all")
        got = [(x["event"], x["uidl"]) for x in self.records(
            "retained", "closed-unknown")]
        self.assertEqual([g[0] for g in got if g[1] == old[1]], ["retained"])
        self.assertEqual([g[0] for g in got if g[1] == old[0]],
                         ["closed-unknown", "retained"])

    def test_restore_refused(self):
        """No intent, no restoring."""
        old = self.mail("ann", 1, 40)
        self.done(0, "hold", "add", "h", "--user", "ann")
        self.done(0, "sweep", "--all")
        self.between({1: FAILED})
        self.failed(1, "not restored", "retained", "restore", "ann", old[0])
        self.assertEqual((self.uids("ann"), self.retained("ann")), ([], old))

    def test_sweep_asks_again(self):
        """The policy has changed: it is asked again, and goes on."""
        self.mail("ann", 2, 40)
        self.between({1: STALE})
        self.done(0, "sweep", "--user", "ann")
        self.assertEqual(self.uids("ann"), [])

    def test_sweep_outcome_refused(self):
        """An outcome that is not taken is a failure."""
        self.mail("ann", 2, 40)
        self.between({2: FAILED})
        self.failed(1, "records refused", "sweep", "--user", "ann")

    @unittest.skipUnless(ROOT, "needs root")
    def test_each_mailbox_with_its_uid(self):
        self.write("users", "".join("%s:%d:%d:%s:\n" % (
            u, uid, gid, self.path("mail", u)) for u, uid, gid in (
                ("ann", 58123, 58123), ("ben", 58124, 58123),
                ("cid", 58124, 58125))))
        for name in ("tmp", "new", "cur"):
            os.makedirs(self.path("mail/cid/Maildir", name))
        self.change('retention "old" { after-delivery = "30d" }\n')
        for user, uid, gid in (("ann", 58123, 58123), ("ben", 58124, 58123),
                               ("cid", 58124, 58125)):
            self.mail(user, 1, 40)
        for user, uid, gid in (("ann", 58123, 58123), ("ben", 58124, 58123),
                               ("cid", 58124, 58125)):
            for folder, _, files in os.walk(self.path("mail", user)):
                for one in [folder] + [os.path.join(folder, f)
                                       for f in files]:
                    os.chown(one, uid, gid)
            os.chmod(self.path("mail", user), 0o700)
        r = self.done(0, "sweep", "--all")
        self.assertEqual(r.stderr, "")
        for user, uid, gid in (("ann", 58123, 58123), ("ben", 58124, 58123),
                               ("cid", 58124, 58125)):
            self.assertEqual(self.uids(user), [], user)
            st = os.stat(self.path("mail", user, "Maildir/popkeep.index"))
            self.assertEqual((st.st_uid, st.st_gid), (uid, gid), user)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        tool_fixture.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
