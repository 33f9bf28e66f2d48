# SPDX-License-Identifier: BSD-3-Clause
"""`pollux card --fault` as a process: it says when its fault happens, and at the end how often it did."""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

POLLUX = sys.argv.pop(1) if len(sys.argv) > 1 else "pollux"
VERSION, REGION_READ = 1, 9  # commands of the vfio-user protocol
HEADER = struct.Struct("=HHIII")


class Fault(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(pathlib.Path(folder.name) / "a")

    def start(self, fault: str) -> subprocess.Popen:
        process = subprocess.Popen([POLLUX, "card", "--socket", self.path, "--fault", fault], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=os.environ | {"POLLUX_CONFINEMENT": "trap"})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def read_status(self, times: int) -> list[int]:
        """Reads STATUS, the register at 8 in BAR 0."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.path)

            def call(command: int, payload: bytes) -> bytes:
                client.sendall(HEADER.pack(0, command, HEADER.size + len(payload), 0, 0) + payload)
                size = HEADER.unpack(client.recv(HEADER.size, socket.MSG_WAITALL))[2]
                return client.recv(size - HEADER.size, socket.MSG_WAITALL)

            call(VERSION, struct.pack("=HH", 0, 0) + b"{}\0")
            return [struct.unpack("=I", call(REGION_READ, struct.pack("=QII", 8, 0, 4))[-4:])[0] for _ in range(times)]

    def interrupt(self, process: subprocess.Popen) -> str:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        return out

    def test_is_reported_once_when_it_happens_and_at_the_end(self):
        process = self.start("ones@1x2")
        process.stdout.readline()
        ones = [value == 0xFFFFFFFF for value in self.read_status(4)]
        self.assertEqual(ones, [False, True, True, False])
        self.assertRegex(process.stdout.readline(),
                         rf"^{re.escape(self.path)}: after \d+\.\d{{3}} s, 0 frames sent and 0 received: the fault ones@1x2 happens\n$")
        out = self.interrupt(process)
        self.assertNotIn("happens", out)
        self.assertIn(f"{self.path}: the fault ones@1x2 happened 2 times in 4 register reads\n", out)

    def test_that_did_not_happen_says_how_far_the_driver_came(self):
        process = self.start("ones@4")
        process.stdout.readline()
        self.read_status(4)
        out = self.interrupt(process)
        self.assertNotIn("happens", out)
        self.assertIn("the fault ones@4 happened 0 times in 4 register reads\n", out)

    def test_of_no_kind_is_refused_with_all_kinds(self):
        for wrong in ("melts@3", "missing-payload-read", "late-receive-write-back@x", "refused-"):
            with self.subTest(wrong):
                process = self.start(wrong)
                _, err = process.communicate(timeout=60)
                self.assertNotEqual(process.returncode, 0)
                for part in (f"'{wrong}' is not a valid fault", "removal", "stuck-register=", "late-ACCESS", "receive-write-back"):
                    self.assertIn(part, err)


if __name__ == "__main__":
    unittest.main()
