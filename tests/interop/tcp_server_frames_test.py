# SPDX-License-Identifier: BSD-3-Clause
"""Frames made by scapy, right and wrong ones, for the TCP/IP stack of the example `tcp_server`: lwIP as it is packaged. With the address
sanitizer, a write beyond the end of a buffer ends it."""

import os
import random
import subprocess
import sys
import unittest

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from wrong_frames import CLIENT, CLIENT_MAC, SERVER, wrong_frames

TOOL = sys.argv.pop()
BYTES = 100_000  # more than lwIP holds of a connection
SECONDS = 60


class Stack:
    """The stack under test, behind a wire."""

    def __init__(self) -> None:
        # lwIP links fragments in places that are not aligned, where the leak sanitizer looks only if asked.
        self._process = subprocess.Popen([TOOL, str(BYTES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True, env=os.environ | {"LSAN_OPTIONS": "use_unaligned=1"})
        request = Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=CLIENT_MAC, psrc=CLIENT, pdst=SERVER)
        answer = Ether(self.send(bytes(request))[0])
        self.link = Ether(src=CLIENT_MAC, dst=answer[ARP].hwsrc)

    def send(self, frame: bytes) -> list[bytes]:
        """What it answers to a frame; an empty one lets its timers run."""
        self._process.stdin.write(frame.hex() + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise AssertionError(f"it ended with status {self._process.wait(SECONDS)}: {self._process.stderr.read()}")
        return [bytes.fromhex(word) for word in line.split()]

    def packets(self, packet: Packet) -> list[Packet]:
        return [Ether(frame) for frame in self.send(bytes(self.link / packet))]

    def end(self) -> None:
        self._process.stdin.close()
        said = self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()
        if self._process.wait(SECONDS) != 0:
            raise AssertionError(said)


class Client:
    """A TCP connection to the server."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack = stack
        self.ports = {"sport": port, "dport": 80}
        self.sequence = 1000
        self.received = bytearray()
        self.ended = False
        [answer] = stack.packets(self._segment("S"))
        self.sequence += 1
        self.expected = answer[TCP].seq + 1
        self._take(stack.packets(self._segment("A")))

    def _segment(self, flags: str, payload: bytes = b"") -> Packet:
        acknowledged = {"ack": self.expected} if "A" in flags else {}
        segment = IP(src=CLIENT, dst=SERVER) / TCP(**self.ports, seq=self.sequence, flags=flags, window=65535, **acknowledged)
        return segment / Raw(payload) if payload else segment

    def _take(self, answers: list[Packet]) -> None:
        """Acknowledges data until no more comes."""
        while answers:
            packet, *answers = answers
            if TCP not in packet or packet[TCP].seq != self.expected:
                continue
            length = packet[IP].len - packet[IP].ihl * 4 - packet[TCP].dataofs * 4
            self.received += bytes(packet[TCP].payload)[:length]
            self.expected += length
            if "F" in packet[TCP].flags:
                self.ended = True
                self.expected += 1
            if length or self.ended:
                answers += self.stack.packets(self._segment("A"))

    def send(self, flags: str, payload: bytes = b"") -> None:
        answers = self.stack.packets(self._segment(flags, payload))
        self.sequence += len(payload) + ("F" in flags)
        self._take(answers)


class Frames(unittest.TestCase):
    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.end)

    def expect_ping(self, size: int) -> None:
        payload = random.Random(size).randbytes(size)
        [answer] = self.stack.packets(IP(src=CLIENT, dst=SERVER) / ICMP(id=7, seq=1) / Raw(payload))
        self.assertEqual(answer[ICMP].type, 0)
        self.assertEqual(bytes(answer[ICMP].payload)[:size], payload)

    def expect_document(self, port: int, half_closed: bool) -> None:
        client = Client(self.stack, port)
        client.send("FPA" if half_closed else "PA", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(1000):
            if client.ended:
                break
            client.send("A")
        header, _, document = bytes(client.received).partition(b"\r\n\r\n")
        self.assertIn(f"Content-Length: {BYTES}".encode(), header)
        self.assertEqual(document, b"".join(number.to_bytes(8, "little") for number in range(BYTES // 8 + 1))[:BYTES])
        self.assertTrue(client.ended)

    # 592 bytes of a frame are what the pool of Debian 12's lwIP has room for.
    def test_frames_of_every_length_are_answered(self):
        for size in (*range(1, 1473, 7), *range(540, 600), 1472):
            self.expect_ping(size)

    def test_a_document_arrives(self):
        self.expect_document(40000, half_closed=False)

    def test_a_client_that_sends_no_more_gets_all_of_the_document(self):
        self.expect_document(40001, half_closed=True)

    def test_a_client_that_ends_early_gets_an_end(self):
        client = Client(self.stack, 40002)
        client.send("PA", b"GET / HTTP/1.1\r\n")
        client.send("FA")
        self.assertTrue(client.ended)
        self.assertEqual(bytes(client.received), b"")

    def test_wrong_frames_do_no_harm(self):
        for number, frame in enumerate(wrong_frames(self.stack.link)):
            self.stack.send(frame)
            if number % 100 == 0:
                self.stack.send(b"")
        self.expect_ping(1472)
        self.expect_document(40003, half_closed=False)


if __name__ == "__main__":
    unittest.main()
