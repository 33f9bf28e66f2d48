# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzed sequences of frames: GRO makes of each batch what the running kernel's GRO makes of it, byte for byte and in the same order."""

import os
import subprocess
import sys
import unittest

SEQUENCES, PROGRAM = sys.argv.pop(), sys.argv.pop()


class KernelResult(unittest.TestCase):
    def test_the_kernel_makes_the_same_frames(self):
        if os.geteuid() != 0:
            self.skipTest("needs root for a TAP interface in a network namespace")
        outcome = subprocess.run([PROGRAM, "1", SEQUENCES], capture_output=True, text=True, timeout=1700, check=False)
        self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
        self.assertIn(f"{SEQUENCES} sequences, 0 different", outcome.stdout)


if __name__ == "__main__":
    unittest.main()
