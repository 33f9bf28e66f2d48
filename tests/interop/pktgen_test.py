# SPDX-License-Identifier: BSD-3-Clause
"""scapy, editcap and tshark judge the frames that pktgen sends: its own, those of a user's template, and a replayed capture."""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

PKTGEN = sys.argv.pop()
SECONDS = 60
ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


class Pktgen(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-pktgen-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.sent = self.folder / "sent.pcap"

    def send(self, *words: str) -> dict:
        """Sends into a capture file; returns the summary."""
        outcome = subprocess.run([PKTGEN, f"pcap:out={self.sent}", "--send", "--json", "--quiet", *words], capture_output=True, text=True,
                                 timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        summary = json.loads(outcome.stdout.splitlines()[-1])["summary"]
        self.assertTrue(summary["conserved"])
        return summary

    def frames(self) -> list:
        return list(rdpcap(str(self.sent)))

    def template(self, *frames) -> str:
        path = self.folder / "template.pcap"
        wrpcap(str(path), list(frames))
        return str(path)

    def tool(self, *words: str) -> str:
        return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True).stdout

    def assert_good_checksums(self, count: int) -> None:
        """tshark finds no wrong checksum."""
        words = ["tshark", "-n", "-r", str(self.sent), "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o",
                 "udp.check_checksum:TRUE"]
        wrong = [f"{protocol}.checksum.status == 0" for protocol in ("ip", "tcp", "udp", "icmpv6")]
        self.assertEqual(len(self.tool(*words).splitlines()), count)
        self.assertEqual(self.tool(*words, "-Y", " || ".join(wrong)), "")

    def test_a_mix_of_sizes_and_flows(self):
        self.assertEqual(self.send("--size", "imix", "--flows", "600", "--count", "1200")["sent"], 1200)
        self.assert_good_checksums(1200)
        frames = self.frames()
        # Without the frame check sequence of 4 bytes.
        self.assertEqual(collections.Counter(len(frame) for frame in frames), {60: 700, 590: 400, 1514: 100})
        flows = collections.Counter((frame[IP].src, frame[UDP].sport) for frame in frames)
        self.assertEqual((len(flows), set(flows.values())), (600, {2}))
        self.assertEqual({(frame[IP].dst, frame[UDP].dport) for frame in frames}, {("198.18.0.2", 9)})

    def test_varied_fields_of_templates(self):
        path = self.template(
            ETHERNET / IP(src="10.0.0.1", dst="10.9.0.1") / UDP(sport=1, dport=9) / Raw(b"odd"),
            ETHERNET / Dot1Q(vlan=5, prio=3) / IP(src="10.0.0.1", dst="10.9.0.1", options=[]) / UDP(sport=1, dport=9) / Raw(b"x" * 900))
        self.send("--template", path, "--count", "600", "--vary", "ip.src=10.0.0.250-10.0.1.5", "--vary", "udp.srcport=1000-65000/1000",
                  "--vary", "ip.id=7-9", "--vary", "eth.src=02:00:00:00:00:fe-02:00:00:00:01:01")
        self.assert_good_checksums(600)
        for number, frame in enumerate(self.frames()):
            use = number // 2
            address = 250 + use % 12
            self.assertEqual(frame[IP].src, f"10.0.{address // 256}.{address % 256}")
            self.assertEqual(frame[UDP].sport, 1000 + use % 65 * 1000)
            self.assertEqual(frame[IP].id, 7 + use % 3)
            self.assertEqual(frame.src, f"02:00:00:00:{('00:fe', '00:ff', '01:00', '01:01')[use % 4]}")
            self.assertEqual(frame.haslayer(Dot1Q), number % 2)

    def test_varied_fields_of_ipv6_and_a_tag(self):
        path = self.template(ETHERNET / Dot1Q(vlan=5, prio=3) / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(dport=80, flags="S"))
        self.send("--template", path, "--count", "300", "--vary", "ipv6.src=2001:db8:7::fffe-2001:db8:7::1:1", "--vary", "vlan.id=4090-4095",
                  "--vary", "tcp.srcport=65530-65535")
        self.assert_good_checksums(300)
        for number, frame in enumerate(self.frames()):
            self.assertEqual(frame[IPv6].src, "2001:db8:7::" + ("fffe", "ffff", "1:0", "1:1")[number % 4])
            self.assertEqual((frame[Dot1Q].vlan, frame[Dot1Q].prio), (4090 + number % 6, 3))
            self.assertEqual(frame[TCP].sport, 65530 + number % 6)

    def test_a_varied_address_of_fragments(self):
        packet = IP(src="10.0.0.1", dst="10.9.0.1", id=7) / UDP(sport=1, dport=9) / Raw(bytes(range(250)) * 10)
        path = self.template(*(ETHERNET / part for part in fragment(packet, 1000)))
        self.send("--template", path, "--count", "30", "--vary", "ip.src=10.0.0.250-10.0.1.5")
        self.assert_good_checksums(30)
        good = ["tshark", "-n", "-r", str(self.sent), "-o", "udp.check_checksum:TRUE", "-Y", "udp.checksum.status == 1"]
        self.assertEqual(len(self.tool(*good).splitlines()), 10, "tshark puts the fragments of each packet together")

    def test_varied_addresses_of_icmpv6(self):
        path = self.template(ETHERNET / IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6EchoRequest(data=b"odd"))
        self.send("--template", path, "--count", "20", "--vary", "ipv6.src=2001:db8:7::fffe-2001:db8:7::1:1", "--vary",
                  "ipv6.dst=2001:db8:8::1-2001:db8:8::3")
        self.assert_good_checksums(20)
        self.assertEqual(len({(frame[IPv6].src, frame[IPv6].dst) for frame in self.frames()}), 12)

    def test_a_replayed_capture_arrives_as_it_is(self):
        recorded = [ETHERNET / IP(dst="10.0.0.1") / UDP(dport=number) / Raw(bytes(number * 14)) for number in range(1, 100)]
        for number, frame in enumerate(recorded):
            frame.time = 1_700_000_000 + number * 0.001
        path = self.folder / "recorded.pcapng"
        self.tool("editcap", "-F", "pcapng", self.template(*recorded), str(path))
        summary = self.send("--replay", str(path), "--repeat", "2", "--speed", "10")
        self.assertEqual(summary["sent"], 198)
        self.assertIn("longest_delay_us", summary["pacing"])
        self.assertEqual([bytes(frame) for frame in self.frames()], [bytes(frame) for frame in recorded] * 2)

    def test_other_addresses_of_a_replayed_capture(self):
        path = self.template(ETHERNET / IP(dst="10.0.0.1") / UDP() / Raw(bytes(100)))
        self.send("--replay", path, "--dst", "02:aa:bb:cc:dd:ee", "--src", "02:11:22:33:44:55", "--rate", "1000")
        self.assertEqual([(frame.dst, frame.src) for frame in self.frames()], [("02:aa:bb:cc:dd:ee", "02:11:22:33:44:55")])


if __name__ == "__main__":
    unittest.main()
