# SPDX-License-Identifier: BSD-3-Clause
"""Frames of the kernel's packet sockets through the examples `coroutine` and `multiqueue`, in a network namespace."""

import os
import re
import socket
import struct
import subprocess
import sys
import time
import unittest

from namespaces import SECONDS, Program, enter_own_namespace, run

MULTIQUEUE = sys.argv.pop()
COROUTINE = sys.argv.pop()
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PORTS = bytes.fromhex("02000000aa01"), bytes.fromhex("02000000bb02")


def setUpModule():
    enter_own_namespace()


def udp_frame(host: int, payload: bytes) -> bytes:
    """UDP over IPv4 from one of 256 hosts; the UDP checksum is absent, the IPv4 checksum is right."""
    udp = struct.pack("!HHHH", 1000, 7, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([10, 9, 0, host]), bytes([10, 9, 0, 2]))
    total = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", 0xFFFF - total) + header[12:]
    return PORTS[1] + PORTS[0] + struct.pack("!H", ETH_P_IP) + header + udp


class Tap:
    """A packet socket on an interface, which is up and says nothing by itself."""

    def __init__(self, name: str):
        run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        run("ip", "link", "set", name, "up")
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind((name, 0))
        self._socket.settimeout(SECONDS)
        deadline = time.monotonic() + SECONDS
        while "LOWER_UP" not in run("ip", "-o", "link", "show", name):
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} has no carrier")
            time.sleep(0.02)

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def receive(self) -> bytes:
        """The next frame of IPv4. The kernel may have sent some of IPv6 before that was disabled."""
        while True:
            frame, (_, protocol, kind, *_) = self._socket.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING and protocol == ETH_P_IP:
                return frame

    def close(self) -> None:
        self._socket.close()


class KernelAndPrograms(unittest.TestCase):
    def start(self, ready: str, *words: str) -> Program:
        program = Program([*words], ready)
        self.addCleanup(program.end)
        return program

    def tap(self, name: str) -> Tap:
        tap = Tap(name)
        self.addCleanup(tap.close)
        return tap

    def test_coroutines_forward_both_ways(self):
        program = self.start("forwarding", COROUTINE, "tap:plxa", "tap:plxb")
        left, right = self.tap("plxa"), self.tap("plxb")
        for number in range(200):
            frame = udp_frame(number, os.urandom(18 + number * 7))
            one, other = (left, right) if number % 2 else (right, left)
            one.send(frame)
            self.assertEqual(other.receive(), frame)
        summary = program.summary()
        counts = [int(count) for count in re.findall(r": (\d+) frames, no room to send: 0", summary)]
        self.assertEqual(len(counts), 2, summary)
        for count in counts:  # the kernel adds a few of its own
            self.assertIn(count, range(100, 120), summary)

    def test_a_port_that_fails_ends_the_coroutines_with_its_error(self):
        outcome = subprocess.run([COROUTINE, "fault:removal@3000,sim:0", "sim:1"], capture_output=True, text=True,
                                 timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, 1, outcome.stdout + outcome.stderr)
        self.assertIn("removed", outcome.stderr)
        self.assertIn("no room to send: 0", outcome.stdout)

    def test_flows_spread_over_all_queues(self):
        program = self.start("returning", MULTIQUEUE, "sim:0?thread,tap=plxm", "--queues", "4")
        tap = self.tap("plxm")
        for number in range(256):
            frame = udp_frame(number, os.urandom(40))
            tap.send(frame)
            self.assertEqual(tap.receive(), PORTS[0] + PORTS[1] + frame[12:])
        counts = [int(count) for count in re.findall(r"queue \d: (\d+) frames", program.summary())]
        self.assertEqual(sum(counts), 256)
        self.assertEqual(len(counts), 4)
        self.assertGreater(min(counts), 20, "256 flows over 4 queues")

    def test_one_flow_stays_in_one_queue(self):
        program = self.start("returning", MULTIQUEUE, "sim:0?thread,tap=plxm", "--queues", "4", "--cores", "0")
        tap = self.tap("plxm")
        for number in range(64):
            tap.send(udp_frame(1, bytes([number]) * 40))
        for number in range(64):
            self.assertEqual(tap.receive()[-1], number)
        counts = [int(count) for count in re.findall(r"queue \d: (\d+) frames", program.summary())]
        self.assertEqual(sorted(counts), [0, 0, 0, 64])


if __name__ == "__main__":
    unittest.main()
