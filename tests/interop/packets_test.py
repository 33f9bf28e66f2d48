# SPDX-License-Identifier: BSD-3-Clause
"""Checks the library's parser with frames made by scapy, and its builder by parsing its frames with scapy."""

import itertools
import subprocess
import sys
import unittest

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_NOP, IPOption_SSRR
from scapy.layers.inet6 import (HAO, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting, PadN)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import NoPayload, Packet, Raw

PACKET_TOOL = sys.argv.pop()
SECONDS = 60
IPV4, IPV4_OPTIONS, IPV6, IPV6_EXTENSIONS, TCP_BIT, UDP_BIT, SCTP_BIT = (1 << bit for bit in range(7))
EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)
TRANSPORTS = {TCP: TCP_BIT, UDP: UDP_BIT, SCTP: SCTP_BIT}
KEY = int.from_bytes(bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"), "big")


def parse(frames: list[bytes]) -> list[dict]:
    """The result of the library's parser for each frame."""
    outcome = subprocess.run([PACKET_TOOL, "parse"], input="".join(frame.hex() + "\n" for frame in frames), capture_output=True,
                             text=True, timeout=SECONDS, check=True)
    found = [dict(word.split("=") for word in line.split()) for line in outcome.stdout.splitlines()]
    return [{name: int(value) if value.isdigit() else value for name, value in one.items()} for one in found]


def toeplitz(data: bytes) -> int:
    bits = int.from_bytes(data, "big")
    total = 0
    for number in range(len(data) * 8):
        if bits >> (len(data) * 8 - 1 - number) & 1:
            total ^= KEY >> (320 - 32 - number) & 0xFFFFFFFF
    return total


def made() -> list[Packet]:
    """Packets with all combinations of tags, network headers and transport headers, and with several payload lengths."""
    ethernet = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
    links = [ethernet, ethernet / Dot1Q(vlan=42, prio=3), ethernet / Dot1AD(vlan=7) / Dot1Q(vlan=9, id=1)]
    four = {"src": "192.0.2.1", "dst": "198.51.100.7"}
    six = {"src": "2001:db8::1", "dst": "2001:db8::2"}
    padding = [PadN(optdata=b"\0" * 12)]
    route, home = ["2001:db8::8", "2001:db8::9"], IPv6ExtHdrDestOpt(options=[HAO(hoa="2001:db8::7")])
    networks = [
        IP(**four), IP(**four, options=[IPOption_NOP()] * 4), IP(**four, options=[IPOption_NOP()] * 40),
        IP(**four, tos=0xB8, flags="DF"), IP(**four, flags="MF"), IP(**four, frag=100),
        IPv6(**six), IPv6(**six, fl=0xABCDE, tc=0x12), IPv6(**six) / IPv6ExtHdrHopByHop(options=padding),
        IPv6(**six) / IPv6ExtHdrDestOpt(), IPv6(**six) / IPv6ExtHdrRouting(type=4),
        IPv6(**six) / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(type=4) / IPv6ExtHdrDestOpt(options=padding),
        IP(**four, options=[IPOption_LSRR(routers=["192.0.2.9"])]),
        IP(**four, options=[IPOption_SSRR(routers=["192.0.2.8", "192.0.2.9"])]),
        IPv6(**six) / IPv6ExtHdrRouting(type=0, segleft=2, addresses=route),
        IPv6(**six) / IPv6ExtHdrRouting(type=0, segleft=0, addresses=route),
        IPv6(**six) / IPv6ExtHdrRouting(type=2, segleft=1, addresses=route[:1]), IPv6(**six) / home,
        IPv6(**six) / IPv6ExtHdrSegmentRouting(addresses=route, segleft=1, lastentry=1),
        IPv6(**six) / IPv6ExtHdrSegmentRouting(addresses=route, segleft=0, lastentry=1),
        IPv6(**six) / IPv6ExtHdrHopByHop() / IPv6ExtHdrSegmentRouting(addresses=route, segleft=2, lastentry=1) / home,
        IPv6(**six) / IPv6ExtHdrFragment(m=1, id=5), IPv6(**six) / IPv6ExtHdrFragment(offset=100),
        IPv6(**six) / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(m=1) / IPv6ExtHdrDestOpt()]
    transports = [TCP(sport=2794, dport=1766, flags="PA"),
                  TCP(sport=1, dport=2, options=[("MSS", 1460), ("NOP", None), ("WScale", 7)]),
                  UDP(sport=4000, dport=53), UDP(sport=4000, dport=53, chksum=0), SCTP(sport=1000, dport=2000, tag=1)]
    packets = []
    # The lengths alternate, so that each occurs with each combination.
    for (link, network, transport), size in zip(itertools.product(links, networks, transports), itertools.cycle((0, 1, 31, 1000))):
        payload = (bytes(range(256)) * 4)[:size]
        if isinstance(transport, SCTP):
            packets.append(link / network / transport / SCTPChunkData(data=payload))
        else:
            packets.append(link / network / transport / payload if payload else link / network / transport)
    others = [ethernet / ARP(psrc="192.0.2.1", pdst="192.0.2.2"), ethernet / Dot1Q(vlan=1) / ARP(),
              Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / Raw(b"x" * 46)]
    pings = [link / ping for link in links
             for ping in (IP(**four) / ICMP() / b"ping", IPv6(**six) / ICMPv6EchoRequest(data=b"ping"))]
    return packets + others + pings


def layers(packet: Packet) -> list[tuple[Packet, int]]:
    """The layers of a packet with their offsets in the frame."""
    found, at = [], 0
    while packet and not isinstance(packet, (Raw, NoPayload)):
        found.append((packet, at))
        at += len(packet) - len(packet.payload)
        packet = packet.payload
    return found


def expected(packet: Packet) -> dict:
    """The expected result of the parser, derived from the layers of the packet."""
    frame = bytes(packet)
    due = {"type": 0, "vlans": 0, "fragment": 0, "truncated": 0, "malformed": 0, "l4": 0, "end": len(frame), "hash": 0,
           "ip": "unknown", "transport": "unknown"}
    addresses = ports = b""
    for layer, at in layers(packet):
        end_of_layer = at + len(layer) - len(layer.payload)
        if isinstance(layer, (Ether, Dot1Q, Dot1AD)):
            due["l3"] = due["payload"] = end_of_layer
            if not isinstance(layer, Ether):
                due[f"vlan{due['vlans']}"] = int.from_bytes(frame[at:at + 2], "big")
                due["vlans"] += 1
        elif isinstance(layer, IP):
            due["type"] |= IPV4 | (IPV4_OPTIONS if layer.options else 0)
            due["ip"], addresses = "good", frame[at + 12:at + 20]
            due["fragment"] = 2 if layer.frag else 1 if "MF" in layer.flags else 0
        elif isinstance(layer, IPv6):
            due["type"] |= IPV6
            addresses = frame[at + 8:at + 40]
        elif isinstance(layer, EXTENSIONS):
            due["type"] |= IPV6_EXTENSIONS
            if isinstance(layer, IPv6ExtHdrFragment):
                due["fragment"] = 2 if layer.offset else 1
        if isinstance(layer, (IP, IPv6, *EXTENSIONS)):
            due["payload"] = end_of_layer
            due["l4"] = 0 if due["fragment"] == 2 else end_of_layer
        elif type(layer) in TRANSPORTS and due["fragment"] != 2:
            due["payload"] = end_of_layer
            if due["fragment"] == 0:
                due["type"] |= TRANSPORTS[type(layer)]
                has_none = isinstance(layer, UDP) and layer.chksum == 0
                due["transport"] = "unknown" if has_none else "good"
                ports = b"" if isinstance(layer, SCTP) else frame[at:at + 4]
        if due["fragment"] == 2:
            break
    if addresses:
        due["hash"] = toeplitz(addresses + ports)
    return due


class MadeByScapy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """The summary, bytes and expected result of each packet."""
        cls.packets = [(packet.summary(), bytes(packet), expected(packet)) for packet in made()]

    def expect(self, changed) -> None:
        """Applies `changed` to each frame and compares the parser's result with the expected one."""
        found = parse([changed(frame) for _, frame, _ in self.packets])
        self.assertEqual(len(found), len(self.packets))
        for (summary, _, due), one in zip(self.packets, found):
            self.assertEqual({name: one[name] for name in due}, due, summary)

    def test_is_seen_as_it_was_made(self):
        self.assertGreater(len(self.packets), 200)
        self.expect(bytes)

    def test_padding_is_no_payload(self):
        self.packets = [one for one in self.packets if one[2]["hash"]]
        self.expect(lambda frame: frame + b"\xAA" * 7)

    def test_corrupted_bytes_are_bad_checksums(self):
        good = [(summary, frame) for summary, frame, due in self.packets if due["transport"] == "good"]
        self.assertGreater(len(good), 80)
        for (summary, _), one in zip(good, parse([frame[:-1] + bytes([frame[-1] ^ 0x20]) for _, frame in good])):
            self.assertEqual(one["transport"], "bad", summary)


class MadeByBuilder(unittest.TestCase):
    def setUp(self):
        lines = subprocess.run([PACKET_TOOL, "build"], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
        named = (line.split("\t") for line in lines.splitlines())
        self.frames = {name: bytes.fromhex(text) for name, text in named if not name.startswith("odd ")}

    def test_has_the_layers_of_its_name(self):
        names = {"VLAN": Dot1Q, "QinQ": Dot1AD, "IPv4": IP, "IPv6": IPv6, "ARP": ARP, "UDP": UDP, "SCTP": SCTP, "ICMP": ICMP}
        self.assertGreater(len(self.frames), 25)
        for name, frame in self.frames.items():
            packet = Ether(frame)
            for word, layer in names.items():
                if word in name.replace("ICMPv6", "").replace(",", "").split() and "fragment" not in name:
                    self.assertTrue(packet.haslayer(layer), f"{name}: {packet.summary()}")

    def test_has_the_lengths_and_checksums_that_scapy_computes(self):
        computed = 0
        for name, frame in self.frames.items():
            packet = Ether(frame)
            end = len(frame) - len(packet.getlayer("Padding").load) if packet.haslayer("Padding") else len(frame)
            for layer, _ in layers(packet):
                for field in ("len", "plen", "ihl", "dataofs", "chksum"):
                    # Scapy computes a fragment's transport checksum as if it were the whole packet.
                    if field in layer.fields and not ("fragment" in name and isinstance(layer, (TCP, UDP))):
                        delattr(layer, field)
                        computed += 1
            self.assertEqual(bytes(packet)[:end], frame[:end], name)
            self.assertEqual(frame[end:], bytes(len(frame) - end), f"{name}: padding")
        self.assertGreater(computed, 100)


if __name__ == "__main__":
    unittest.main()
