# SPDX-License-Identifier: BSD-3-Clause
"""The C++ snippets in the README and docs/guide compile, and each call in the table for DPDK users exists.

usage: snippets_test.py COMPILER
"""

import subprocess
import sys
import unittest

import documents
import snippets

COMPILER = sys.argv.pop(1)


class Snippets(unittest.TestCase):
    def test_they_compile(self):
        command = [COMPILER, "-std=c++20", "-fsyntax-only", "-w", f"-I{documents.ROOT}/include", "-x", "c++", "-"]
        ran = subprocess.run(command, input=snippets.unit(), capture_output=True, text=True, timeout=120)
        errors = "\n".join(line for line in ran.stderr.splitlines() if "error:" in line)
        self.assertEqual(ran.returncode, 0, errors)

    def test_each_of_the_guides_chapters_runs_some(self):
        running = {block.document.stem for document in documents.documents() for block in documents.blocks(document) if block.runs}
        self.assertLessEqual({"memory-and-ownership", "bursts-and-rings", "sleeping", "several-cores", "offloads", "observing",
                              "failure-and-recovery"}, running)

    def test_every_document_of_the_guide_shows_some(self):
        """The chapters of other languages have tests of their own."""
        for document in documents.documents():
            if document != documents.DPDK:
                self.assertRegex(document.read_text(), r"(?m)^```(cpp|c|python|rust)$", document)


class Table(unittest.TestCase):
    def test_it_has_sixty_calls_each_once(self):
        calls = [name for row in documents.dpdk_rows() for name in row.theirs]
        self.assertGreaterEqual(len(calls), 60)
        self.assertEqual(sorted(calls), sorted(set(calls)))

    def test_every_call_has_code_of_ours(self):
        for row in documents.dpdk_rows():
            self.assertTrue(row.ours, f"line {row.line}")


if __name__ == "__main__":
    unittest.main()
