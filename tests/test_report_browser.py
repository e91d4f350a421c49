#!/usr/bin/env python3
"""The page of popkeep report in a real browser: nothing is refused, nothing is
complained of, and its plots are there, on light and dark ground.  Skipped
without Chromium.

SPDX-License-Identifier: ISC
"""
import collections
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

import audit_story

TOOL = os.path.abspath("standalone/popkeep")
NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
SKIP = 77


def unfilter(kind, line, before, size):
    """One line of a PNG, as it was before its filter."""
    out = bytearray(line)
    for i, value in enumerate(line):
        a = out[i - size] if i >= size else 0
        b = before[i]
        c = before[i - size] if i >= size else 0
        if kind == 1:
            value += a
        elif kind == 2:
            value += b
        elif kind == 3:
            value += (a + b) // 2
        elif kind == 4:
            p = a + b - c
            value += min((abs(p - a), 0, a), (abs(p - b), 1, b),
                         (abs(p - c), 2, c))[2]
        out[i] = value & 0xFF
    return out


def png(path):
    """The lines of a PNG of 8 bits and no interlacing: lists of "#rrggbb"."""
    with open(path, "rb") as f:
        text = f.read()
    data, at = b"", 8
    while at < len(text):
        length, kind = struct.unpack(">I4s", text[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(
                ">IIBB", text[at + 8:at + 18])
        elif kind == b"IDAT":
            data += text[at + 8:at + 8 + length]
        at += 12 + length
    size = {2: 3, 6: 4}[colour]
    assert depth == 8
    data, stride, lines = zlib.decompress(data), width * size + 1, []
    line = bytearray(stride - 1)
    for y in range(height):
        part = data[y * stride:(y + 1) * stride]
        line = unfilter(part[0], part[1:], line, size) if part[0] else \
            bytearray(part[1:])
        lines.append(["#" + line[i:i + 3].hex()
                      for i in range(0, len(line), size)])
    return lines


class Browser(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        with open(self.path("audit.log"), "wb") as out:
            audit_story.write(out, "mx1.example.org", 30, 20, 1)
        self.text = subprocess.run(
            [TOOL, "report", self.path("audit.log")], capture_output=True,
            text=True, check=True, timeout=50).stdout

    def path(self, name):
        return os.path.join(self.dir, name)

    def browse(self, text, *args):
        """What the browser prints, and what it complains of."""
        with open(self.path("page.html"), "w") as f:
            f.write(text)
        r = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--hide-scrollbars",
             "--enable-logging=stderr", "--user-data-dir=" + self.path("p"),
             *args, "file://" + self.path("page.html")],
            capture_output=True, text=True, timeout=50,
            env=dict(os.environ, HOME=self.dir))
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout, re.findall(r"CONSOLE.*", r.stderr)

    def test_nothing_is_complained_of(self):
        dom, complaints = self.browse(self.text, "--dump-dom")
        self.assertEqual(complaints, [])
        self.assertEqual(dom.count("<svg "), self.text.count("<svg "))
        self.assertGreater(dom.count("<svg "), 3)
        self.assertNotIn("<script", dom)

    def test_what_does_not_belong_there_is_refused(self):
        """Were there a way in, the page itself would stop it."""
        evil = self.text.replace(
            "<main>", '<main><script>document.title = "x"</script>'
            '<img src="data:image/gif;base64,AAAA">')
        dom, complaints = self.browse(evil, "--dump-dom")
        self.assertEqual(len(complaints), 2, complaints)
        self.assertNotIn("<title>x", dom)

    def shot(self, scheme):
        """The section with the plots, from the first one on."""
        begin = self.text.index('<section aria-labelledby="time">')
        self.browse(re.sub(r"<header>.*", "", self.text, flags=re.S) +
                    self.text[begin:], "--window-size=640,800",
                    "--screenshot=" + self.path("shot.png"),
                    "--blink-settings=preferredColorScheme=%d" % scheme)
        return png(self.path("shot.png"))

    def test_plots_are_seen_in_both_schemes(self):
        colours = [dict(re.findall(r"--([a-z0-9]+):(#[0-9a-f]{6})", block))
                   for block in re.findall(r":root\{([^}]*)\}", self.text)]
        for scheme, names in ((1, colours[0]), (0, colours[1])):
            lines = self.shot(scheme)
            self.assertEqual(lines[0][0], names["bg"])
            seen = collections.Counter(c for line in lines for c in line)
            self.assertGreater(seen[names["s0"]], 3000)
            self.assertGreater(seen[names["s1"]], 300)
            self.assertGreater(seen[names["line"]], 300)
            # From left to right, not all in one place.
            across = [x for line in lines for x, c in enumerate(line)
                      if c == names["s0"]]
            self.assertGreater(max(across) - min(across), 400)


if __name__ == "__main__":
    if BROWSER is None:
        print("no browser (" + ", ".join(NAMES) + ")")
        sys.exit(SKIP)
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
