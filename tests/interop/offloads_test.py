# SPDX-License-Identifier: BSD-3-Clause
"""Sends packets of scapy with offload requests through two cards, and compares what arrives with scapy's own packets. tshark
checks the lengths and checksums of what arrives."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/interop")]

from cases import wire  # noqa: E402

OFFLOAD_TOOL = sys.argv.pop()
SECONDS = 240
# TxOffload (include/pollux/mem/offload.hpp)
IPV4_SUM, TCP_SUM, UDP_SUM, SCTP_SUM, TCP_SEGMENTS, VLAN, _, UDP_SEGMENTS, OUTER_VLAN = (1 << bit for bit in range(9))
SUMS = {TCP: TCP_SUM, UDP: UDP_SUM, SCTP: SCTP_SUM}
ETHERNET = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
FOUR = {"src": "192.0.2.1", "dst": "198.51.100.7"}
SIX = {"src": "2001:db8::1", "dst": "2001:db8::2"}
LINKS = [ETHERNET, ETHERNET / Dot1Q(vlan=42, prio=3), ETHERNET / Dot1AD(vlan=7) / Dot1Q(vlan=9)]
NETWORKS = [IP(**FOUR), IP(**FOUR, id=7, options=[IPOption_NOP()] * 8), IPv6(**SIX), IPv6(**SIX) / IPv6ExtHdrDestOpt()]
DATA = bytes(range(251)) * 300
LONGEST = 9018


def run(uris: tuple[str, str], requests: list[str]) -> list[str]:
    """The tool's answers."""
    outcome = subprocess.run([OFFLOAD_TOOL, *uris], input="".join(line + "\n" for line in requests), capture_output=True,
                             text=True, timeout=SECONDS, check=False)
    if outcome.returncode != 0:
        raise AssertionError(outcome.stderr)
    return outcome.stdout.splitlines()


def lengths(packet: Packet) -> tuple[int, int, int]:
    """Bytes of the link's headers, of the network's and of the transport's."""
    layers = []
    while packet and not isinstance(packet, (Raw, SCTPChunkData)):
        layers.append((type(packet), len(packet) - len(packet.payload)))
        packet = packet.payload
    l2 = sum(size for kind, size in layers if kind in (Ether, Dot1Q, Dot1AD))
    l4 = sum(size for kind, size in layers if kind in SUMS)
    return l2, sum(size for _, size in layers) - l2 - l4, l4


def request(packet: Packet, flags: int, segment_size: int = 0, vlan: int = 0, outer_vlan: int = 0, first: int = 1000) -> str:
    l2, l3, l4 = lengths(packet)
    return f"{flags} {l2} {l3} {l4} {segment_size} {vlan} {outer_vlan} {first} {bytes(packet).hex()}"


def without_sums(packet: Packet) -> Packet:
    """The packet with wrong bytes in its checksum fields."""
    wrong = packet.copy()
    for layer in (IP, TCP, UDP, SCTP):
        if wrong.haslayer(layer):
            wrong[layer].chksum = 0xA5A5
    return wrong


def transports(size: int) -> list[Packet]:
    data = DATA[:size]
    return [TCP(sport=2794, dport=1766, flags="PA") / Raw(data),
            TCP(sport=1, dport=2, options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]) / Raw(data),
            UDP(sport=4000, dport=53) / Raw(data), SCTP(sport=1000, dport=2000, tag=1) / SCTPChunkData(data=data)]


def segments(packet: Packet, mss: int, clears_last: bool = False) -> list[bytes]:
    """The frames into which a card cuts the packet, with lengths and checksums by scapy. `clears_last`: the last one has no
    FIN and PSH, either."""
    kind = TCP if packet.haslayer(TCP) else UDP
    data = bytes(packet[kind].payload)
    frames = []
    for number, at in enumerate(range(0, len(data), mss)):
        one = packet.copy()
        one[kind].remove_payload()
        one = one / Raw(data[at:at + mss])
        if one.haslayer(IP):
            one[IP].id = (packet[IP].id + number) & 0xFFFF
        if kind is TCP:
            one[TCP].seq = (packet[TCP].seq + at) & 0xFFFFFFFF
            if clears_last or at + mss < len(data):
                one[TCP].flags = str(one[TCP].flags).replace("F", "").replace("P", "")
        frames.append(bytes(one))
    return frames


class Cards:
    """The tests, for the cards of `uris`."""

    uris: tuple[str, str]
    clears_last = False

    def expect(self, cases: list[tuple[Packet, str, list[bytes]]]) -> None:
        found = run(self.uris, [line for _, line, _ in cases])
        self.assertEqual(len(found), len(cases))
        for (packet, line, frames), answer in zip(cases, found):
            self.assertEqual(answer.split(), [frame.hex() for frame in frames],
                             f"{packet.summary()}: {' '.join(line.split()[:8])}")
        self.expect_of_tshark([packet for packet, _, _ in cases], " ".join(found).split())

    def expect_of_tshark(self, packets: list[Packet], frames: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "frames.pcap"
            wrpcap(str(path), [bytes.fromhex(frame) for frame in frames], linktype=1)
            checked = wire.check(path)
        checked.require_correct(least=len(frames), longest=LONGEST)
        for layer, name in ((IP, "ip"), (TCP, "tcp"), (UDP, "udp"), (SCTP, "sctp")):
            if any(packet.haslayer(layer) for packet in packets):
                self.assertGreater(checked.good.get(name, 0), 0, f"tshark found no {name} checksum")

    def packets(self, size: int) -> list[Packet]:
        return [link / network / transport for link in LINKS for network in NETWORKS for transport in transports(size)]

    def test_checksums_are_those_of_scapy(self):
        cases = []
        for size in (31, 1000):
            for packet in self.packets(size):
                flags = next(flag for layer, flag in SUMS.items() if packet.haslayer(layer))
                flags |= IPV4_SUM if packet.haslayer(IP) else 0
                for first in (200, 30):
                    cases.append((packet, request(without_sums(packet), flags, first=first), [bytes(packet).ljust(60, b"\0")]))
        self.assertGreater(len(cases), 150)
        self.expect(cases)

    def test_inserted_tags_are_those_of_scapy(self):
        cases = []
        for network in NETWORKS:
            for transport in transports(50):
                packet = ETHERNET / network / transport
                flags = next(flag for layer, flag in SUMS.items() if packet.haslayer(layer))
                flags |= IPV4_SUM if packet.haslayer(IP) else 0
                one = ETHERNET / Dot1Q(vlan=100, prio=5) / network / transport
                two = ETHERNET / Dot1AD(vlan=200) / Dot1Q(vlan=100, prio=5) / network / transport
                tag = 5 << 13 | 100
                cases.append((one, request(packet, VLAN, vlan=tag), [bytes(one)]))
                cases.append((one, request(without_sums(packet), flags | VLAN, vlan=tag), [bytes(one)]))
                cases.append((two, request(without_sums(packet), flags | VLAN | OUTER_VLAN, vlan=tag, outer_vlan=200), [bytes(two)]))
        self.expect(cases)

    def test_segments_of_tcp_are_those_of_scapy(self):
        cases = []
        for link in LINKS:
            for network in NETWORKS:
                for transport in transports(4000)[:2]:
                    packet = link / network / transport
                    for mss, first in ((536, 200), (1400, 1500), (4000, 300)):
                        cases.append((packet, request(without_sums(packet), TCP_SEGMENTS, mss, first=first),
                                      segments(packet, mss, self.clears_last)))
        big = ETHERNET / IP(**FOUR, id=65530) / TCP(sport=1, dport=2, seq=0xFFFFF000, flags="FPA") / Raw(DATA[:39_000])
        cases.append((big, request(big, TCP_SEGMENTS, 1448), segments(big, 1448, self.clears_last)))
        tagged = ETHERNET / Dot1Q(vlan=9) / IP(**FOUR) / TCP(sport=1, dport=2, flags="A") / Raw(DATA[:3000])
        plain = ETHERNET / IP(**FOUR) / TCP(sport=1, dport=2, flags="A") / Raw(DATA[:3000])
        cases.append((tagged, request(plain, TCP_SEGMENTS | VLAN, 1000, vlan=9), segments(tagged, 1000)))
        self.expect(cases)

    def test_requests_that_lie_are_dropped(self):
        packet = ETHERNET / IP(**FOUR) / TCP(sport=1, dport=2) / Raw(DATA[:3000])
        frame = bytes(packet).hex()
        lies = ["14 20 24 1000", "14 20 16 1000", "14 24 20 1000", "18 20 20 1000", "14 20 20 0", "14 20 20 65535", "0 0 0 1000",
                "65535 65535 65535 1"]
        found = run(self.uris, [f"{TCP_SEGMENTS} {lie} 0 0 1000 {frame}" for lie in lies])
        allowed = {"14 20 20 65535": segments(packet, 3000)}
        for lie, answer in zip(lies, found):
            if lie in allowed:
                self.assertEqual(answer, allowed[lie][0].hex(), "one segment holds everything")
            else:
                self.assertEqual(answer, "dropped tx_bad_offload", lie)


class Simulated(Cards, unittest.TestCase):
    uris = ("sim:0", "sim:1")

    # QEMU's card makes IP fragments of such a request (hw/net/net_tx_pkt.c).
    def test_segments_of_udp_are_those_of_scapy(self):
        cases = []
        for link in LINKS:
            for network in NETWORKS:
                packet = link / network / UDP(sport=4000, dport=53) / Raw(DATA[:4000])
                for mss in (500, 1400):
                    cases.append((packet, request(without_sums(packet), UDP_SEGMENTS, mss), segments(packet, mss)))
        self.expect(cases)


class Qemu(Cards, unittest.TestCase):
    uris = ("qtest:0", "qtest:1")
    clears_last = True  # hw/net/net_tx_pkt.c


if __name__ == "__main__":
    unittest.main()
