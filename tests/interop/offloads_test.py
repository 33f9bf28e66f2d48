# SPDX-License-Identifier: BSD-3-Clause
"""Sends packets of scapy with offload requests through two cards, and compares what arrives with scapy's own packets. tshark
checks the lengths and checksums of what arrives."""

import pathlib
import subprocess
import sys
import unittest

from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/lib"))

from pollux_lab import offload_requests as offloads  # noqa: E402

OFFLOAD_TOOL = sys.argv.pop()
SECONDS = 240


def run(uris: tuple[str, str], requests: list[str], *options: str) -> list[str]:
    """The tool's answers."""
    outcome = subprocess.run([OFFLOAD_TOOL, *options, *uris], input="".join(line + "\n" for line in requests), capture_output=True,
                             text=True, timeout=SECONDS, check=False)
    if outcome.returncode != 0:
        raise AssertionError(outcome.stderr)
    return outcome.stdout.splitlines()


class Cards:
    """The tests, for the cards of `uris`."""

    uris: tuple[str, str]
    clears_last = False

    def expect(self, requests: list[offloads.Request], *options: str) -> None:
        offloads.require_frames(requests, run(self.uris, [one.line for one in requests], *options))

    def test_checksums_are_those_of_scapy(self):
        requests = offloads.checksum_requests()
        self.assertGreater(len(requests), 150)
        self.expect(requests)

    def test_inserted_tags_are_those_of_scapy(self):
        self.expect(offloads.tag_requests())
        self.expect(offloads.tag_requests(), "--card-tags")

    def test_segments_of_tcp_are_those_of_scapy(self):
        self.expect(offloads.tcp_segment_requests(self.clears_last))

    def test_requests_that_lie_are_dropped(self):
        packet = offloads.ETHERNET / IP(**offloads.FOUR) / TCP(sport=1, dport=2) / Raw(offloads.DATA[:3000])
        frame = bytes(packet).hex()
        lies = ["14 20 24 1000", "14 20 16 1000", "14 24 20 1000", "18 20 20 1000", "14 20 20 0", "14 20 20 65535", "0 0 0 1000",
                "65535 65535 65535 1"]
        found = run(self.uris, [f"{offloads.TCP_SEGMENTS} {lie} 0 0 0 0 1000 {frame}" for lie in lies])
        allowed = {"14 20 20 65535": offloads.segments(packet, 3000)}
        for lie, answer in zip(lies, found):
            if lie in allowed:
                self.assertEqual(answer, allowed[lie][0].hex(), "one segment holds everything")
            else:
                self.assertEqual(answer, "dropped tx_bad_offload", lie)


class Simulated(Cards, unittest.TestCase):
    uris = ("sim:0", "sim:1")

    # QEMU's card makes IP fragments of such a request (hw/net/net_tx_pkt.c).
    def test_segments_of_udp_are_those_of_scapy(self):
        self.expect(offloads.udp_segment_requests())

    # QEMU's card segments what it finds behind the outer IP header.
    def test_segments_in_tunnels_are_those_of_scapy(self):
        self.expect(offloads.tunnel_requests(offloads.tunnels()))

    def test_segments_in_geneve_are_those_of_scapy(self):
        requests = offloads.tunnel_requests(offloads.geneve_tunnels())
        self.assertEqual(len({int(one.line.split()[1]) for one in requests}), 3, "three lengths of the tunnel's headers")
        self.expect(requests)

    def test_tunnels_whose_segments_would_differ_are_dropped(self):
        wanted = offloads.tunnel_requests(offloads.tunnels())[0]
        words = wanted.line.split()
        words[4] = str(int(words[4]) - 1)  # the payload is no multiple of this segment size
        self.assertEqual(run(self.uris, [" ".join(words)]), ["dropped tx_bad_offload"])


class Qemu(Cards, unittest.TestCase):
    uris = ("qtest:0", "qtest:1")
    clears_last = True  # hw/net/net_tx_pkt.c


if __name__ == "__main__":
    unittest.main()
