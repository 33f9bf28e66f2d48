# SPDX-License-Identifier: BSD-3-Clause
"""Runs the examples in C.

usage: programs_test.py HELLO FORWARD WATCH, which is - where libuv is absent
"""

import signal
import subprocess
import sys
import unittest

WATCH = sys.argv.pop()
FORWARD = sys.argv.pop()
HELLO = sys.argv.pop()


class Programs(unittest.TestCase):
    def test_hello_loses_a_frame_and_names_the_counter(self):
        ran = subprocess.run([HELLO], capture_output=True, text=True, timeout=60)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        lost, frame, carried = ran.stdout.splitlines()
        self.assertIn("sim:1: 0 received", lost)
        self.assertIn('"lost":1', lost)
        self.assertEqual(frame, "sim:3: 60 bytes, Hello")
        self.assertIn('"carried":1', carried)

    def test_forward_forwards_until_it_is_ended(self):
        """A port that makes frames without end, and one that takes all of them."""
        with subprocess.Popen([FORWARD, "null:?rx=64", "null:"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            self.addCleanup(program.kill)
            self.assertEqual(program.stdout.readline(), "forwarding between null:?rx=64 and null:; Ctrl-C ends it\n")
            program.send_signal(signal.SIGINT)
            out, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors), (0, ""))
        self.assertIn("from null:: 0 frames\ndropped, forward_tx_full: 0\n", out)
        self.assertRegex(out, r"from null:\?rx=64: [1-9]\d* frames\n")

    def test_forward_says_what_is_wrong(self):
        for ports, part in ((["nope:", "null:"], "unknown scheme 'nope'"), (["null:", "sim:0?x=1"], "sim:0?x=1")):
            ran = subprocess.run([FORWARD, *ports], capture_output=True, text=True, timeout=60)
            self.assertEqual(ran.returncode, 1, ran)
            self.assertIn(part, ran.stderr)
        self.assertEqual(subprocess.run([FORWARD], capture_output=True, timeout=60).returncode, 2)

    def test_watch_counts_in_a_loop_of_libuv(self):
        if WATCH == "-":
            self.skipTest("left out: libuv (package libuv1-dev) is not installed")
        with subprocess.Popen([WATCH, "null:"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            self.addCleanup(program.kill)
            self.assertEqual(program.stdout.readline(), "0 frames, 0 bytes in all\n")
            program.send_signal(signal.SIGINT)
            out, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors), (0, ""), out)
        ran = subprocess.run([WATCH, "nope:"], capture_output=True, text=True, timeout=60)
        self.assertEqual(ran.returncode, 1, ran)
        self.assertIn("unknown scheme 'nope'", ran.stderr)
        ran = subprocess.run([WATCH, "--help"], capture_output=True, text=True, timeout=60)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn("usage: watch_uv_c PORT\n", ran.stdout)
        self.assertEqual(subprocess.run([WATCH], capture_output=True, timeout=60).returncode, 2)


if __name__ == "__main__":
    unittest.main()
