"""Metrics: the numbers of what really happened, in a text that nobody can break.

SPDX-License-Identifier: ISC
"""
import os
import re
import socket
import threading
import time

import fixtures
from lib import Server, check, same, test, until
from test_policy_brakes import download

DAY = 86400
POLICY = 'retention "now" { users = { "ann" } after-download = "0" }\n'

# A sample of the text format, with what may stand in a label's value.
LABEL = r'[a-z0-9]+="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r'([a-z_]+)(?:\{(%s(?:,%s)*)\})? ([0-9.]+)' % (LABEL, LABEL))


def parse(text):
    """Samples by name and labels; every line is one, or a comment."""
    check(text.endswith("# EOF\n"), "not whole: %r" % text[-80:])
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            check(re.fullmatch(r"# (TYPE|HELP|UNIT) popkeep_[a-z_]+ .+|# EOF",
                               line), line)
            continue
        m = SAMPLE.fullmatch(line)
        check(m, "no sample: %r" % line)
        key = m[1] + ("{%s}" % m[2] if m[2] else "")
        check(key not in found, "twice: " + key)
        found[key] = float(m[3])
    return found


class Metered(Server):
    """A server with both ways to its metrics."""

    def __init__(self, **options):
        super().__init__(**options)
        self.file = self.dir + "/m/popkeep.prom"
        self.socket = self.dir + "/m.sock"
        self.settings += ['metrics = "%s"' % self.file,
                          'metrics-socket = "%s"' % self.socket]

    def scrape(self):
        """All samples, as the socket tells them now."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.socket)
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = b""
            while True:
                more = s.recv(65536)
                if not more:
                    break
                data += more
        head, _, body = data.partition(b"\r\n\r\n")
        check(b"Content-Length: %d\r" % len(body) in head + b"\r", head)
        return parse(body.decode())

    def until_sample(self, name, value, seconds=10):
        until(lambda: self.scrape().get(name) == value,
              "%s %s: it is %s" % (name, value, self.scrape().get(name)),
              seconds)

    def samples(self):
        with open(self.file) as f:
            return parse(f.read())


def refused(s, login):
    c = s.connect()
    reply = login(c)
    check(reply.startswith(b"-ERR"), reply)
    c.close()


def apop(s, user, tls=False):
    c = s.connect(tls)
    reply = c.apop(user, s.secret(user))
    check(reply.startswith(b"+OK"), reply)
    return c


def sums(samples, family):
    """The sum over all samples of a family."""
    return sum(v for k, v in samples.items() if k.startswith(family + "{"))


@test
def metrics_are_exact():
    """logins, downloads, disposals and sessions: the file says what happened"""
    messages = fixtures.cleans(3)
    with Metered(users=("ann", "bob"), messages=messages, policy=POLICY) as s:
        c = apop(s, "ann")
        sizes = [size for _, size in c.scan()]
        c.multi("RETR 1")
        c.multi("RETR 2")
        c.quit()
        apop(s, "ann", tls=True).quit()
        refused(s, lambda c: c.apop("ann", "wrong"))
        c = s.login("bob")
        bob = [size for _, size in c.scan()]
        c.ok("DELE 2")
        c.multi("RETR 1")
        c.quit()
        c = s.login("bob", tls=True)
        c.multi("RETR 1")
        c.abort()			# that is no confirmed download
        for _ in range(2):
            refused(s, lambda c: (c.ok("USER bob"),
                                  c.command("PASS wrong"))[1])
        s.until_sample('popkeep_sessions_total{end="dropped"}', 1)
        opened = s.login("bob")
        s.until_sample("popkeep_sessions_open", 1)
        same(s.scrape()["popkeep_session_processes"] >= 1, True, "processes")
        opened.quit()
        s.until_sample("popkeep_sessions_open", 0)
        records = s.audit()
        s.stop()
        got = s.samples()
    logins = {("APOP", "no", "ok"): 1, ("APOP", "yes", "ok"): 1,
              ("APOP", "no", "failed"): 1, ("USER", "no", "ok"): 2,
              ("USER", "yes", "ok"): 1, ("USER", "no", "failed"): 2}
    for labels, count in logins.items():
        same(got['popkeep_logins_total{mech="%s",tls="%s",result="%s"}' %
                 labels], count, labels)
    same(sums(got, "popkeep_logins_total"), sum(logins.values()), "logins")
    same({k: v for k, v in got.items() if "dispositions" in k},
         {'popkeep_dispositions_total{outcome="disposed",'
          'reason="after-download"}': 2,
          'popkeep_dispositions_total{outcome="disposed",'
          'reason="dele"}': 1}, "dispositions")
    same(got['popkeep_downloaded_bytes_total{confirmed="yes"}'],
         sizes[0] + sizes[1] + bob[0], "octets, confirmed")
    same(got['popkeep_downloaded_bytes_total{confirmed="no"}'], bob[0],
         "octets, unconfirmed")
    same(got["popkeep_sent_bytes_total"], sizes[0] + sizes[1] + 2 * bob[0],
         "octets sent")
    same(got['popkeep_session_messages_total{command="RETR"}'], 4, "RETR")
    same(got['popkeep_session_messages_total{command="DELE"}'], 1, "DELE")
    same(got['popkeep_sessions_total{end="quit"}'], 4, "sessions")
    same(sums(got, "popkeep_sessions_total"), 5, "sessions in all")
    # What the log has is what was counted, event by event.
    for event in {r["event"] for r in records}:
        same(got['popkeep_records_total{event="%s"}' % event],
             len([r for r in records if r["event"] == event]), event)
    same(got["popkeep_audit_written_records_total"], len(records) + 1,
         "written, with the stop")
    same(got["popkeep_audit_waiting_records"], 0, "waiting")
    same(got["popkeep_audit_sync_seconds_count"],
         got['popkeep_audit_sync_seconds_bucket{le="+Inf"}'], "syncs")


@test
def metrics_name_nobody():
    """no name, address or text of a client is in the metrics, or breaks them"""
    names = ['a"} 1\\', "x{y=\\\"z\\\"}", "# EOF", "ann%0A", "\\n"]
    with Metered(policy='retention "x.y-z_1" { users = { "a*" } }\n') as s:
        for name in names:
            refused(s, lambda c: (c.command("USER " + name),
                                  c.command("PASS x"))[1])
        s.login("ann").quit()
        s.until_sample('popkeep_logins_total{mech="USER",tls="no",'
                       'result="ok"}', 1)
        s.reload('retention "a\\"b" { after-delivery = "1d" }\n', good=False)
        same(s.scrape()["popkeep_rules"], 1, "rules: the bad file is not one")
        s.stop()
        with open(s.file) as f:
            text = f.read()
        parse(text)
        samples = [line for line in text.splitlines() if line[0] != "#"]
        for word in names + ["ann", "127.0.0.1"]:
            check(word not in "\n".join(samples), word)


@test
def metrics_are_replaced_whole():
    """whoever reads the file again and again sees no part of one"""
    with Metered(policy=POLICY) as s:
        until(lambda: os.path.exists(s.file), "the first file")
        seen, wrong, inodes = [0], [], set()
        done = threading.Event()

        def read():
            while not done.is_set():
                try:
                    with open(s.file) as f:
                        inodes.add(os.fstat(f.fileno()).st_ino)
                        text = f.read()
                except OSError as error:
                    text = str(error)
                seen[0] += 1
                if not text.endswith("# EOF\n") or \
                   not text.startswith("# TYPE "):
                    wrong.append(text)

        thread = threading.Thread(target=read)
        old = open(s.file)
        before = os.fstat(old.fileno()).st_ino
        thread.start()
        try:
            until(lambda: os.stat(s.file).st_ino != before, "another file",
                  30)
            s.stop()
        finally:
            done.set()
            thread.join()
        same(wrong, [], "parts of files")
        check(seen[0] > 100, "it was read %d times" % seen[0])
        check(len(inodes) >= 2, "files that were seen: %s" % inodes)
        # The old one is as it was for those who have it open.
        parse(old.read())
        old.close()
        same([n for n in os.listdir(s.dir + "/m")], ["popkeep.prom"], "files")


@test
def metrics_of_brakes_and_sweeps():
    """what a sweep left, rules that wait, the policy's hash"""
    rule = 'retention "old" { users = { "ann" } after-delivery = "%s" }\n'
    with Metered(users=("ann", "bob"), policy=rule % "30d") as s:
        now = time.time()
        for user, count in ("ann", 25), ("bob", 1):
            for message in fixtures.cleans(count):
                s.deliver(user, message, when=int(now - 40 * DAY))
        check("popkeep_sweep_timestamp_seconds" not in s.scrape(), "no sweep")
        s.tool("sweep", "--all", status=3)
        got = s.scrape()
        same(got['popkeep_overdue_messages{rule="old"}'], 25, "overdue")
        oldest = got['popkeep_overdue_oldest_seconds{rule="old"}']
        check(10 * DAY <= oldest < 10 * DAY + 300, "oldest %s" % oldest)
        same([got['popkeep_sweep_mailboxes{state="%s"}' % state] for state in
              ("seen", "busy", "braked", "failed")], [2, 0, 1, 0], "sweep")
        check(abs(got["popkeep_sweep_timestamp_seconds"] - now) < 60, got)
        policy = [k for k in got if k.startswith("popkeep_policy_info")]
        check(s.audit()[-1]["policy"] in policy[0], policy)
        s.tool("sweep", "--user", "ann", "--force")
        s.tool("sweep", "--all")
        same(s.scrape()['popkeep_overdue_messages{rule="old"}'], 0, "overdue")
        same(s.scrape()["popkeep_rules_braked"], 0, "braked")
        s.reload(rule % "20d")
        got = s.scrape()
        same(got["popkeep_rules_braked"], 1, "braked")
        check([k for k in got if k.startswith("popkeep_policy_info")] !=
              policy, "the hash is another")
        s.tool("policy", "accept")
        same(s.scrape()["popkeep_rules_braked"], 0, "braked after accept")


@test
def metrics_survive_policyd():
    """the sessions of popkeepd are counted on when policyd was started anew"""
    with Metered(messages=fixtures.cleans(1), policy=POLICY) as s:
        download(s)
        s.until_sample('popkeep_sessions_total{end="quit"}', 1)
        s.kill("policyd")
        until(lambda: len(s.events("start", settle=False)) == 2, "it is back")
        until(lambda: os.path.exists(s.socket), "the socket")
        s.until_sample('popkeep_sessions_total{end="quit"}', 1)
        same(s.scrape()['popkeep_records_total{event="start"}'], 1,
             "records of this policyd")


@test
def metrics_stay_where_they_are():
    """without the keys there are none; a reload does not move them"""
    with Server(policy=POLICY) as s:
        check("m.sock" not in os.listdir(s.dir), "no socket")
        with open(s.dir + "/.popkeep/popkeepd.conf", "a") as f:
            f.write('metrics = "%s/m/x.prom"\n' % s.dir)
        s.reload()
        s.until_log("reload: metrics = ", "takes effect when")
