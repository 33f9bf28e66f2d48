# SPDX-License-Identifier: BSD-3-Clause
"""Each file names its licence and its copyright, as reuse(1) wants it."""

import pathlib
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Licences(unittest.TestCase):
    def test_reuse_finds_nothing(self):
        if shutil.which("reuse") is None:
            self.skipTest("the package reuse is not installed")
        outcome = subprocess.run(["reuse", "--root", str(ROOT), "lint"], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(outcome.returncode, 0, outcome.stdout[-2000:] + outcome.stderr)
        self.assertNotIn("ERROR", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
