# SPDX-License-Identifier: BSD-3-Clause
"""The first program that a reader sees is a file that runs.

usage: hello_test.py HELLO
"""

import subprocess
import sys
import unittest

import documents
from pollux_lab import readme_figures

PROGRAM = sys.argv.pop(1)
SOURCE = documents.ROOT / "examples/hello/main.cpp"
PERFORMANCE = documents.ROOT / "docs/performance.md"


class Hello(unittest.TestCase):
    def test_it_receives_prints_and_sends(self):
        ran = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=60)
        self.assertEqual(ran.stdout, "sim:1: 60 bytes, Hello\nsim:0: 60 bytes, Hello\n" * 2)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_the_readme_begins_with_it_byte_for_byte(self):
        self.assertEqual(documents.blocks(documents.README)[0].text, SOURCE.read_text())

    def test_the_readme_says_what_was_measured(self):
        """tools/bench writes the tables, and both sentences."""
        figures = readme_figures.measured(PERFORMANCE.read_text())
        self.assertIsNotNone(figures)
        for page in (documents.README, PERFORMANCE):
            self.assertEqual(readme_figures.said(page.read_text()), figures, "tools/bench --markdown docs/performance.md writes both")

    def test_the_readme_is_read_without_scrolling_much(self):
        self.assertLessEqual(len(documents.README.read_text().splitlines()), 120)

    def test_it_is_short(self):
        self.assertLessEqual(len(SOURCE.read_text().splitlines()), 30)


if __name__ == "__main__":
    unittest.main()
