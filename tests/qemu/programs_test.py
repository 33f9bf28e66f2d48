# SPDX-License-Identifier: BSD-3-Clause
"""Runs l2fwd as a user does, on QEMU's cards, and kills QEMU meanwhile."""

import os
import re
import signal
import subprocess
import sys
import unittest

L2FWD = sys.argv.pop()
SECONDS = 120


def child_of(parent: int) -> int | None:
    """The first child process of `parent`, or None."""
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as children:
        numbers = children.read().split()
    return int(numbers[0]) if numbers else None


class Killed(unittest.TestCase):
    def test_all_buffers_are_freed_and_all_frames_are_accounted_for(self):
        program = subprocess.Popen([L2FWD, "qtest:0", "qtest:1", "--circulate", "64", "--seconds", "60", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(program.kill)
        line = program.stdout.readline()  # printed after the first second, so frames circulate
        self.assertIn("forwarded", line)
        qemu = child_of(program.pid)
        self.assertIsNotNone(qemu)
        os.kill(qemu, signal.SIGKILL)
        out, err = program.communicate(timeout=SECONDS)
        self.assertEqual(program.returncode, 1, out + err)
        self.assertRegex(err, "l2fwd: error: qtest:[01]: ")
        summary = out.splitlines()[-1]
        self.assertRegex(summary, '"conserved":true', out + err)
        self.assertRegex(summary, '"mbufs_in_use":0')
        self.assertEqual(len(re.findall(r'"removed_buffers":[1-9]\d{2,}', summary)), 2, summary)
        self.assertEqual(len(re.findall('"rx_missed_exact":false', summary)), 2, summary)


if __name__ == "__main__":
    unittest.main()
