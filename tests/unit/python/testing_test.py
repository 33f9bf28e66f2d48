# SPDX-License-Identifier: BSD-3-Clause
"""The pytest plugin."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TESTS = '''
FRAME = b"\\xff" * 60

def test_loss(pollux_wire):
    wire = pollux_wire(loss=1)
    wire.send(FRAME)
    assert wire.receive() == [] and wire.counters()["lost"] == 1

def test_delay(pollux_wire):
    wire = pollux_wire(delay="1s")
    wire.send(FRAME)
    assert wire.receive(seconds=0.9) == []
    assert wire.receive(seconds=0.2) == [FRAME]

def test_both_directions(pollux_wire, pollux_context):
    wire = pollux_wire()
    assert pollux_context is wire.context
    wire.send(FRAME)
    wire.send(wire.right.frame(FRAME), wire.right)
    assert wire.receive() == wire.receive(wire.left) == [FRAME]

def test_that_fails(pollux_wire):
    wire = pollux_wire()
    wire.send(FRAME)
    assert wire.receive() == []
'''


@unittest.skipIf(importlib.util.find_spec("pytest") is None, "pytest is not installed (python3-pytest): its plugin was NOT tested")
class Plugin(unittest.TestCase):
    def test_it(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with tempfile.TemporaryDirectory() as folder:
            tests = pathlib.Path(folder) / "test_wires.py"
            tests.write_text(TESTS)
            ran = subprocess.run([sys.executable, "-W", "error", "-X", "dev", "-m", "pytest", "-p", "pollux.testing", f"--basetemp={folder}/kept",
                                  "--pollux-ports=sim:0+sim:1,ring:a:0+ring:a:1", "-p", "no:cacheprovider", str(tests)],
                                 capture_output=True, text=True, timeout=120, cwd=folder, env=environment)  # fmt: skip
            self.assertEqual((ran.stderr, ran.returncode), ("", 1), ran.stdout)
            self.assertIn("2 failed, 4 passed, 2 skipped", ran.stdout)
            self.assertIn("left to right: {'carried': 1,", ran.stdout)
            self.assertIn("forgotten frames: 0", ran.stdout)
            captures = sorted(pathlib.Path(folder).glob("kept/*_0/wire.pcap"))
            self.assertEqual([capture.stat().st_size for capture in captures], [24 + 2 * (16 + 60)] * 2)
            for capture in captures:
                self.assertIn(f"2 frames: {capture}", ran.stdout)
                self.assertEqual(capture.read_bytes()[-60:], b"\xff" * 60)


if __name__ == "__main__":
    unittest.main()
