# SPDX-License-Identifier: BSD-3-Clause
"""Frames whose bytes all follow from their sequence number, so that received frames can be checked."""

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

SENDER_MAC = "02:a0:a1:a2:a3:a4"
RECEIVER_MAC = "02:b0:b1:b2:b3:b4"
SIZES = [60, 61, 64, 65, 127, 128, 129, 256, 511, 512, 513, 1024, 1279, 1513, 1514]
SMALLEST = 60
# Longer than the longest frame, of 9.5 kB.
_LONGEST_FILL = 16384
_PATTERN = bytes((index * 167 + (index >> 8) * 29 + 13) & 0xFF for index in range(2 * _LONGEST_FILL))
_SEQUENCE_BYTES = 8


class FrameMaker:
    """frame(n) is the n-th frame. Its size and kind (plain, UDP, and with `tagged` UDP with a VLAN tag) depend on n only."""

    def __init__(self, sizes: list[int] | None = None, destination: str = RECEIVER_MAC, source: str = SENDER_MAC,
                 tagged: bool = True):
        self._heads: list[tuple[bytes, int]] = []
        for size in sizes or SIZES:
            for make in (_plain, _udp, _tagged_udp) if tagged else (_plain, _udp):
                self._heads.append((make(destination, source, size), size))

    def frame(self, number: int) -> bytes:
        head, size = self._heads[number % len(self._heads)]
        fill = size - len(head) - _SEQUENCE_BYTES
        start = (number * 31) % _LONGEST_FILL
        return head + number.to_bytes(_SEQUENCE_BYTES, "big") + _PATTERN[start:start + fill]

    def number_of(self, frame: bytes) -> int | None:
        """The sequence number in a frame; None if the frame was not made here."""
        at = {b"\x88\xb5": 14, b"\x08\x00": 42, b"\x81\x00": 46}.get(frame[12:14])
        if at is None or len(frame) < at + _SEQUENCE_BYTES:
            return None
        return int.from_bytes(frame[at:at + _SEQUENCE_BYTES], "big")


def unchanged(frame: bytes) -> bytes:
    return frame


def rewritten_by_l2fwd(out_mac: str, out_index: int):
    """As DPDK's l2fwd does: the destination contains the index of the output port, the source is that port's address."""
    addresses = bytes([2, 0, 0, 0, 0, out_index]) + bytes.fromhex(out_mac.replace(":", ""))
    return lambda frame: addresses + frame[12:]


def scapy_error(received: bytes, destination: str, source: str) -> str | None:
    """Checks a frame with scapy, an independent parser; returns None if it finds no error."""
    parsed = Ether(received)
    if parsed.dst != destination or parsed.src != source:
        return f"addresses {parsed.src} > {parsed.dst} instead of {source} > {destination}"
    if IP in parsed:
        claimed = parsed[IP].chksum
        again = Ether(received)
        del again[IP].chksum
        if IP(bytes(again[IP])).chksum != claimed:
            return "IP header checksum is wrong"
        if parsed[UDP].len != len(parsed[UDP]):
            return f"UDP length {parsed[UDP].len} but {len(parsed[UDP])} bytes"
    return None


def _plain(destination: str, source: str, size: int) -> bytes:
    return bytes(Ether(dst=destination, src=source, type=0x88B5))


def _udp(destination: str, source: str, size: int) -> bytes:
    return bytes(Ether(dst=destination, src=source) / _datagram(size - 14))[:42]


def _tagged_udp(destination: str, source: str, size: int) -> bytes:
    return bytes(Ether(dst=destination, src=source) / Dot1Q(vlan=100, prio=3) / _datagram(size - 18))[:46]


def _datagram(size: int):
    addresses = IP(src="192.0.2.1", dst="198.51.100.1", ttl=64, id=0)
    return addresses / UDP(sport=4000, dport=4001, chksum=0) / bytes(size - 28)
