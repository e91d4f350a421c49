"""Unmodified clients and APOP through Dovecot: allowed, refused, after its sunset
and with TLS alone, as the policy says.

mpop takes no timestamp with a "=" in it, and Dovecot's have one: it is seen to say
so, and to fetch by password.

SPDX-License-Identifier: ISC
"""
import subprocess

from fixtures import clean, received
from lib import (Server, check, each, needs, needs_dovecot, private_dir, run, same,
                 until)
from test_clients import WORD, Fetchmail, Mpop, curl, write

PASSWORDS = 'passwords { rule "all" { allow = tls } }\n'
POLICIES = {
    "allowed": 'apop { rule "a" { allow = always } }\n',
    "refused": 'apop { rule "a" { allow = never } }\n',
    "sunset": 'apop { rule "a" { allow = always until = "2026-01-01" } }\n',
    "tls": 'apop { rule "a" { allow = tls } }\n',
}
# Whether APOP is let in, in clear and with TLS.
LETS = {"allowed": (True, True), "refused": (False, False),
        "sunset": (False, False), "tls": (False, True)}


def dovecot(policy):
    needs_dovecot()
    return Server(dovecot=True, policy=PASSWORDS + POLICIES[policy],
                  messages=[clean(1), clean(2)], word=WORD)


def free_again(s):
    until(lambda: s.login(tls=True, wait=False).quit() is None, "free", 5)


@each(*POLICIES)
def curl_through_dovecot(policy):
    """curl: APOP as the policy says, a password with TLS"""
    needs("curl")
    clear, tls = LETS[policy]
    with dovecot(policy) as s:
        same(curl(s, "tls", "1"), received(clean(1)), "by password")
        refused = 67			# CURLE_LOGIN_DENIED
        out = curl(s, "apop", "2", status=0 if clear else refused)
        check(not clear or out == received(clean(2)), "APOP in clear")
        out = run(["curl", "-s", "-S", "--cacert", s.certificate,
                   "--login-options", "AUTH=+APOP", "-u",
                   "ann:" + s.secret("ann"),
                   "pop3s://localhost:%d/2" % s.tls_port],
                  status=0 if tls else refused)
        check(not tls or out == received(clean(2)), "APOP with TLS")
        same(len(s.stored()), 2, "kept")


class FetchmailOverTls(Fetchmail):
    """APOP inside TLS, which its own configuration has no short word for."""

    def __init__(self, s, directory):
        super().__init__(s, "tls", directory, True)
        with open(self.rc, encoding="utf-8") as f:
            text = f.read()
        write(self.rc, text.replace("proto pop3", "proto apop").replace(
            s.password("ann"), s.secret("ann")))


@each(*POLICIES)
def fetchmail_through_dovecot(policy):
    """fetchmail: APOP as the policy says, a password with TLS"""
    needs("fetchmail")
    clear, tls = LETS[policy]
    refused = 3				# PS_AUTHFAIL
    both = sorted([clean(1), clean(2)])
    with dovecot(policy) as s:
        for make, lets in (
                (lambda d: Fetchmail(s, "tls", d, True), True),
                (lambda d: Fetchmail(s, "apop", d, True), clear),
                (lambda d: FetchmailOverTls(s, d), tls)):
            with private_dir() as d:
                client = make(d)
                client.fetch(status=0 if lets else refused)
                same(client.got(), both if lets else [], "fetched")
                free_again(s)


@each(*POLICIES)
def mpop_through_dovecot(policy):
    """mpop: a password with TLS; of Dovecot's timestamps it makes no digest"""
    needs("mpop")
    with dovecot(policy) as s, private_dir() as d, private_dir() as e:
        client = Mpop(s, "tls", d, True)
        client.fetch()
        same(client.got(), sorted([clean(1), clean(2)]), "by password")
        free_again(s)
        by_apop = Mpop(s, "apop", e, True)
        done = subprocess.run(["mpop", "-q", "-C", by_apop.rc, "a"],
                              env={"HOME": e, "PATH": "/usr/bin:/bin"},
                              capture_output=True, timeout=60)
        check(done.returncode != 0 and b"APOP" in done.stderr, done.stderr)
        same(by_apop.got(), [], "by APOP")
