# SPDX-License-Identifier: BSD-3-Clause
"""The tools take no empty value of an option: an unset variable of a shell would select everything."""

import subprocess
import unittest

from sandbox import ROOT, SECONDS


class EmptyValues(unittest.TestCase):
    def refused(self, *words: str) -> str:
        outcome = subprocess.run([ROOT / words[0], *words[1:]], capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(outcome.returncode, 2, (words, outcome.stdout, outcome.stderr))
        return outcome.stderr

    def test_runners_of_cases(self):
        for tool in ("tests/guest/run", "tests/interop/run", "tests/fuzz/run"):
            for words in (["--only", ""], ["--only="], ["--build", ""]):
                self.assertIn("a value is empty", self.refused(tool, *words, "--list"))
        self.assertIn("a value is empty", self.refused("tests/mutation/run", ""))

    def test_tools(self):
        self.assertIn("there is no step ''", self.refused("tools/test", "--only", "", "--list"))
        for words in (["tools/silicon", "--only", ""], ["tools/bench", "--core", ""], ["tools/bench", "--plots", ""]):
            self.assertIn(f"{words[1]} needs a value", self.refused(*words))
        self.assertIn("--on takes one of", self.refused("tools/demo", "--on", ""))
        self.assertIn("a check's name takes one of", self.refused("tools/check", ""))


if __name__ == "__main__":
    unittest.main()
