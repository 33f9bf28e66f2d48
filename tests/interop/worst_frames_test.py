# SPDX-License-Identifier: BSD-3-Clause
"""The examples get frames that are wrong in all ways, from a capture file. They end as always; with sanitizers, nothing is accessed that
they do not own."""

import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from namespaces import Program
from wrong_frames import CLIENT_MAC, SERVER, wrong_frames

PROGRAMS = {pathlib.Path(path).name: path for path in sys.argv[1:]}
del sys.argv[1:]
SECONDS = 240


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.frames = pathlib.Path(cls.folder.name, "wrong.pcap")
        wrpcap(str(cls.frames), wrong_frames(Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff")), linktype=1)

    def words(self, name: str, ports: int) -> list[str]:
        return [PROGRAMS[name], *(f"pcap:in={self.frames},out={self.folder.name}/{name}{port}.pcap" for port in range(ports))]

    def run_example(self, name: str, ready: str, *words: str, ports: int = 2) -> None:
        program = Program([*self.words(name, ports), *words], ready)
        self.addCleanup(program.end)
        time.sleep(2)
        program.summary()

    def run_program(self, name: str, *words: str, ports: int = 2) -> None:
        ended = subprocess.run([*self.words(name, ports), *words, "--seconds", "2"], capture_output=True, text=True, timeout=SECONDS,
                               check=False)
        self.assertEqual(ended.returncode, 0, ended.stderr[-4000:])

    def test_echo(self):
        self.run_example("echo", "answering", "--ip", SERVER, ports=1)

    def test_bridge(self):
        self.run_example("bridge", "bridging")

    def test_l3fwd(self):
        self.run_example("l3fwd", "2 routes", "--route", "10.6.0.0/24 1 02:00:00:00:00:09", "--route", "::/0 0 02:00:00:00:00:08")

    def test_coroutine(self):
        self.run_example("coroutine", "forwarding")

    def test_multiqueue(self):
        self.run_example("multiqueue", "returning", "--queues", "1", ports=1)

    def test_l2fwd(self):
        self.run_program("l2fwd")

    def test_pktgen(self):
        self.run_program("pktgen", "--receive", ports=1)


if __name__ == "__main__":
    unittest.main()
