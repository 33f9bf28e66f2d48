# SPDX-License-Identifier: BSD-3-Clause
"""scapy on ports of Pollux. Linux's own stack answers over a TAP interface, in a network namespace of the test's own."""

import logging
import pathlib
import re
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "interop"))
import fixture
import namespaces
import pollux

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
try:
    import scapy.all as scapy
    from scapy.all import ARP, ICMP, IP, UDP, Ether, IPv6, Raw
    from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest
except ImportError:
    scapy = None
else:
    from pollux.scapy import PolluxSocket

SECONDS = 20
SOURCE, HOST, OURS = "02:00:00:00:00:09", "10.9.0.1", "10.9.0.2"


def setUpModule():
    if scapy is None:
        raise unittest.SkipTest("scapy is not installed (python3-scapy): PolluxSocket was NOT tested")


class OverTap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not pathlib.Path("/dev/net/tun").exists():
            raise unittest.SkipTest("there is no /dev/net/tun: scapy against Linux's stack was NOT tested")
        namespaces.enter_own_namespace()
        cls.socket = PolluxSocket("tap:lab0")
        cls.addClassCleanup(cls.socket.close)
        namespaces.run("ip", "addr", "add", f"{HOST}/24", "dev", "lab0")
        namespaces.run("ip", "addr", "add", "fd00::1/64", "dev", "lab0", "nodad")
        namespaces.run("ip", "link", "set", "lab0", "up")
        cls.mac = re.search(r"link/ether (\S+)", namespaces.run("ip", "-o", "link", "show", "lab0"))[1]
        cls.socket.port.wait_for_link(SECONDS)
        asked = Ether(src=SOURCE, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=SOURCE, psrc=OURS, pdst=HOST)
        cls.arp = cls.socket.sr1(asked, timeout=SECONDS, verbose=0)

    def to_host(self, *layers):
        frame = Ether(src=SOURCE, dst=self.mac) / IP(src=OURS, dst=HOST)
        for layer in layers:
            frame /= layer
        return frame

    def test_sr1(self):
        self.assertEqual((self.arp[ARP].psrc, self.arp[ARP].hwsrc, self.arp[ARP].op), (HOST, self.mac, 2))
        answer = self.socket.sr1(self.to_host(ICMP(id=5), Raw(b"x" * 900)), timeout=SECONDS, verbose=0)
        self.assertEqual((answer[IP].src, answer[ICMP].type, answer[Raw].load), (HOST, 0, b"x" * 900))

    def test_sr(self):
        asked = [self.to_host(UDP(sport=1000, dport=closed)) for closed in (40001, 40002)]
        answered, unanswered = self.socket.sr(asked, timeout=SECONDS, verbose=0)
        self.assertEqual(([answer[ICMP].type for _, answer in answered], list(unanswered)), ([3, 3], []))

    def test_sendp_and_sniff(self):
        scapy.sendp([self.to_host(ICMP(id=7, seq=number)) for number in range(20)], socket=self.socket, verbose=0)
        answers = self.socket.sniff(count=20, timeout=SECONDS, lfilter=lambda frame: ICMP in frame and frame[ICMP].id == 7)
        self.assertEqual([answer[ICMP].seq for answer in answers], list(range(20)))

    def test_asynchronous_sniffing(self):
        sniffer = scapy.AsyncSniffer(opened_socket=self.socket, lfilter=lambda frame: ICMP in frame, count=1)
        sniffer.start()
        self.socket.send(self.to_host(ICMP(id=8)))
        sniffer.join(SECONDS)
        self.assertEqual(sniffer.results[0][ICMP].id, 8)

    def test_ipv6(self):
        self.socket.send(Ether(src=SOURCE, dst=self.mac) / IPv6(src="fd00::2", dst="fd00::1") / ICMPv6EchoRequest(id=9))
        # The kernel asks for its own address, too, which others could have.
        asked = self.socket.sniff(count=1, timeout=SECONDS,
                                  lfilter=lambda frame: scapy.ICMPv6ND_NS in frame and frame[scapy.ICMPv6ND_NS].tgt == "fd00::2")
        self.assertEqual(len(asked), 1)
        advertised = scapy.ICMPv6ND_NA(tgt="fd00::2", R=0, S=1, O=1) / scapy.ICMPv6NDOptDstLLAddr(lladdr=SOURCE)
        self.socket.send(Ether(src=SOURCE, dst=self.mac) / IPv6(src="fd00::2", dst="fd00::1") / advertised)
        [answer] = self.socket.sniff(count=1, timeout=SECONDS, lfilter=lambda frame: ICMPv6EchoReply in frame)
        self.assertEqual(answer[ICMPv6EchoReply].id, 9)

    def test_no_answer(self):
        self.assertIsNone(self.socket.sr1(self.to_host(ICMP(type=0)), timeout=0.3, verbose=0))


class OverCards(unittest.TestCase):
    def setUp(self):
        self.context = pollux.Context(virtual_time=True)
        self.addCleanup(self.context.close)
        self.ports = [self.context.open("sim:0"), self.context.open("sim:1")]
        self.ports[0].wait_for_link(SECONDS)
        self.left, self.right = (PolluxSocket(port, promisc=True) for port in self.ports)

    def test_virtual_time_passes(self):
        sent = [Ether(dst=SOURCE) / IP(dst=HOST) / UDP() / bytes([number]) for number in range(200)]
        scapy.sendp(sent, socket=self.left, verbose=0)
        received = self.right.sniff(count=200, timeout=SECONDS)
        self.assertEqual([frame[UDP].payload.load[:1] for frame in received], [bytes([number]) for number in range(200)])
        self.assertEqual(self.context.forgotten, 0)

    def test_a_full_ring_is_waited_for(self):
        with pollux.Context() as context, context.open("ring:a:0") as left, context.open("ring:a:1") as right:
            left.wait_for_link(SECONDS)
            received = []
            reading = threading.Timer(0.5, lambda: received.append(PolluxSocket(right).sniff(count=2000, timeout=SECONDS)))
            reading.start()
            for _ in range(2000):
                PolluxSocket(left).send(b"\xff" * 60)
            reading.join()
            self.assertEqual(len(received[0]), 2000)

    def test_the_example(self):
        example = pathlib.Path(__file__).parents[3] / "examples/python/scapy_loss.py"
        ran = fixture.run(example.read_text())
        self.assertEqual((ran.stdout, ran.returncode), ("0 received; lost on the wire: 1\n", 0), ran.stderr)

    def test_closing(self):
        self.left.close()
        self.left.close()
        self.assertFalse(self.ports[0].closed)
        with PolluxSocket("ring:z:0") as own:
            port = own.port
        self.assertTrue(port.closed)
        with self.assertRaises(pollux.Error):
            PolluxSocket("nonsense:")

    def test_a_filter_is_refused(self):
        with self.assertRaisesRegex(ValueError, "lfilter"):
            PolluxSocket(self.ports[0], filter="udp")

    def test_a_port_without_descriptors(self):
        """What cannot wake scapy is polled."""
        with pollux.Context() as context, context.open("null:?rx=64") as port:
            self.assertEqual(len(PolluxSocket(port).sniff(count=40, timeout=SECONDS)), 40)


if __name__ == "__main__":
    unittest.main()
