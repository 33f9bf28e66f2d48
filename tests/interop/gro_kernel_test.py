# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzed sequences of frames: GRO makes of each batch what the running kernel's GRO makes of it, byte for byte and in the same order."""

import os
import shutil
import subprocess
import sys
import unittest

SEQUENCES, PROGRAM = sys.argv.pop(), sys.argv.pop()


class KernelResult(unittest.TestCase):
    def compare(self, *kind: str) -> None:
        if os.geteuid() != 0:
            self.skipTest("needs root for a TAP interface in a network namespace")
        outcome = subprocess.run([PROGRAM, "1", SEQUENCES, *kind], capture_output=True, text=True, timeout=1700, check=False)
        self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
        self.assertIn(f"{SEQUENCES} sequences, 0 different", outcome.stdout)

    def test_the_kernel_makes_the_same_frames(self):
        self.compare()

    def test_the_kernel_makes_the_same_frames_of_udp(self):
        if shutil.which("ethtool") is None:
            self.skipTest("needs ethtool to make the kernel merge UDP")
        self.compare("udp")

    def test_the_kernel_makes_the_same_frames_in_vxlan(self):
        command = ["unshare", "--net", "ip", "link", "add", "plxvxlan", "type", "vxlan", "dstport", "4789", "external"]
        if os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode != 0:
            self.skipTest("the kernel has no VXLAN")
        self.compare("vxlan")


if __name__ == "__main__":
    unittest.main()
