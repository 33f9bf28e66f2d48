# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the Python package share."""

import os
import subprocess
import sys
import unittest

import pollux

BROADCAST = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5"
FRAME = BROADCAST + bytes(range(46))
LINK_SECONDS = 10


class Fixture(unittest.TestCase):
    """Two ports at the ends of a wire, in virtual time."""

    options = ""
    left = right = None

    def setUp(self):
        self.context = pollux.Context(virtual_time=True)
        self.addCleanup(self.context.close)
        self.open(f"sim:0{self.options}", "sim:1")

    def open(self, left, right):
        for port in (self.left, self.right):
            port and port.close()
        self.left, self.right = self.context.open(left), self.context.open(right)
        for port in (self.left, self.right):
            port.wait_for_link(LINK_SECONDS)

    def receive(self, port=None, n=32):
        self.context.sleep(0.001)
        return (port or self.right).rx[0].burst(n)

    def pass_one(self, content=FRAME):
        """A frame that came from left to right."""
        self.left.tx[0].send(content)
        received = self.receive()
        self.assertEqual(len(received), 1)
        return received[0]


def run(script: str, **words) -> subprocess.CompletedProcess:
    """Runs a script in an interpreter that shows each warning as an error."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-W", "error", "-X", "dev", "-c", script], capture_output=True, text=True, timeout=120,
                          env=environment, **words)  # fmt: skip
