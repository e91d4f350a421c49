"""Audit logs for tests: records in a chain, as policyd writes them.

SPDX-License-Identifier: ISC
"""
import hashlib
import json

ESCAPE = "\x1b]0;gotcha\x07"


class Log:
    """The lines of a log; each is bytes with its LF."""

    def __init__(self, host="h.example"):
        self.host = host
        self.lines = []
        self.seq = 0
        self.prev = 64 * "0"

    def add(self, time, event="login", user="ann", **more):
        """A record; time: "2026-11-01T10:00:00", or with a fraction."""
        self.seq += 1
        if "." not in time:
            time += ".000000"
        record = {"v": 1, "seq": self.seq, "time": time + "Z",
                  "host": self.host, "event": event, "user": user,
                  "peer": {"uid": 1000, "pid": 77}, **more,
                  "prev": self.prev}
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        self.prev = hashlib.sha256(line).hexdigest()
        self.lines.append(line)
        return line.decode()

    def write(self, path):
        with open(path, "wb") as f:
            f.write(b"".join(self.lines))
        return path
