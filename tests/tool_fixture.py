"""A configuration, a policy and mail for tests of the tool.

SPDX-License-Identifier: ISC
"""
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

TOOL = os.path.abspath("standalone/popkeep")
ROOT = os.geteuid() == 0
DAY = 86400

POLICY = 'retention "old" { users = { "ann", "ben" } after-delivery = "30d" }\n'


def mail_ids():
    """A uid without privileges for the mail."""
    return (58123, 58123) if ROOT else (os.geteuid(), os.getegid())


class Tool(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        os.chmod(self.dir, 0o755)
        self.uid, self.gid = mail_ids()
        self.policyd = None
        os.mkdir(self.path("etc"))
        os.mkdir(self.path("pam.d"))
        self.write("pam.d/popkeep", "auth required pam_deny.so\n")
        self.write("users", "".join("%s:%d:%d:%s:\n" % (
            u, self.uid, self.gid, self.path("mail", u))
            for u in ("ann", "ben", "cid")))
        self.configure()
        self.policy(POLICY)

    def tearDown(self):
        self.stop()
        shutil.rmtree(self.dir)

    def stop(self):
        if self.policyd is not None:
            self.policyd.terminate()
            self.policyd.wait(20)
        self.policyd = None

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            os.fchmod(f.fileno(), mode)
            f.write(text)
        return path

    def configure(self, **keys):
        """The configuration; a key of None is left out."""
        values = dict(
            hostname="localhost", users="virtual",
            users_file=self.path("users"),
            maildir="%h/Maildir", policy=self.path("etc", "policy.conf"),
            policy_socket=self.path("sock"), policy_state=self.path("state"),
            audit_log=self.path("audit.log"), pam_confdir=self.path("pam.d"),
            secrets=self.path("secrets.mdb"), user="nobody")
        values.update(keys)
        self.conf = self.write("popkeepd.conf", "".join(
            '%s = "%s"\n' % (k.replace("_", "-"), v)
            for k, v in values.items() if v is not None) +
            "first-valid-uid = %d\n" % min(self.uid, 1000) +
            'listen "127.0.0.1:12119" { tls = none }\n')

    def policy(self, text, name="policy.conf"):
        return self.write("etc/" + name, text)

    def argv(self, *args):
        return [TOOL, "-f", self.conf, *args]

    def run_tool(self, *args, **kw):
        return subprocess.run(self.argv(*args),
                              capture_output=True, text=True, timeout=50, **kw)

    def done(self, status, *args, **kw):
        r = self.run_tool(*args, **kw)
        self.assertEqual(r.returncode, status, (args, r.stdout, r.stderr,
                                                self.log_end()))
        return r

    def log_end(self):
        """What policyd has said last, and whether it is still there."""
        if self.policyd is None or \
           not os.path.exists(self.path("policyd.log")):
            return None
        with open(self.path("policyd.log")) as f:
            return self.policyd.poll(), f.read()[-1000:]

    def failed(self, status, text, *args):
        r = self.done(status, *args)
        self.assertIn(text, r.stderr)
        return r

    def files(self, *names):
        """What is below there, with contents, but for indexes and locks."""
        found = {}
        for folder, _, files in os.walk(self.path(*names)):
            for name in files:
                if not name.startswith("popkeep."):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        found[path] = f.read()
        return found


class Policyd(Tool):
    """With a policyd, and mail."""

    options = ()			# more of policyd's

    def setUp(self):
        super().setUp()
        for user in ("ann", "ben"):
            for name in ("tmp", "new", "cur"):
                os.makedirs(self.path("mail", user, "Maildir", name))
        self.number = 0
        self.own()
        self.start()

    def own(self):
        for folder, _, files in os.walk(self.path("mail")):
            for one in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(one, self.uid, self.gid)

    def start(self, *options):
        args = [os.path.join(os.path.dirname(TOOL), "popkeep-policyd"),
                "-p", self.path("etc/policy.conf"), "-a",
                self.path("audit.log"), "-s", self.path("sock"), "-S",
                self.path("state"), "-l", self.path("policyd.log")]
        if ROOT:
            args += ["-u", "daemon", "-g", ""]
        args += [*self.options, *options]
        self.policyd = subprocess.Popen(args)
        end = time.monotonic() + 20
        # It listens before it has read its policy.
        while self.run_tool("policy").returncode != 0:
            self.assertLess(time.monotonic(), end, self.log_end())
            time.sleep(0.01)

    def crash(self):
        """As if policyd and the sweep had died before any outcome."""
        self.stop()
        with open(self.path("audit.log"), "r+") as f:
            lines = f.readlines()
            last = max(i for i, line in enumerate(lines)
                       if '"dispose-intent"' in line)
            f.truncate(sum(len(line) for line in lines[:last + 1]))
        self.start()

    def change(self, text, accept=True):
        self.policy(text)
        self.done(0, "policy", "accept" if accept else "reload")

    def mail(self, user, count, days, place="Maildir/new"):
        """Messages of that age; their unique-ids."""
        uids = []
        for _ in range(count):
            self.number += 1
            uid = "%d.M%d.host" % (time.time() - days * DAY, self.number)
            self.write("mail/%s/%s/%s" % (user, place, uid),
                       "From: a\n\n%s\n" % uid, 0o600)
            uids.append(uid)
        self.own()
        return uids

    def uids(self, user, place="Maildir"):
        found = []
        for name in ("new", "cur"):
            folder = self.path("mail", user, place, name)
            if os.path.isdir(folder):
                found += [n.split(":")[0] for n in os.listdir(folder)]
        return sorted(found)

    def retained(self, user):
        return self.uids(user, "popkeep-retained")

    def records(self, *events):
        found = []
        if self.policyd is not None and self.policyd.poll() is None:
            # What it has taken is in the file before it hears the next one.
            self.run_tool("policy")
        with open(self.path("audit.log")) as f:
            for line in f:
                r = json.loads(line)
                if not events or r["event"] in events:
                    found.append(r)
        return found

    def explain(self, user, *uid):
        return json.loads(self.done(0, "explain", "--json", user,
                                    *uid).stdout)
