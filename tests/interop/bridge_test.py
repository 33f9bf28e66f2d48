# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's ping across the example `bridge`, which joins the TAP interfaces of three hosts."""

import re
import socket
import sys
import time
import unittest

from namespaces import Host, Program, enter_own_namespace, run

BRIDGE = sys.argv.pop()


def setUpModule():
    enter_own_namespace()


class KernelAcrossBridge(unittest.TestCase):
    def setUp(self):
        self.bridge = None
        self.hosts = []
        self.addCleanup(lambda: [host.end() for host in self.hosts])

    def begin(self, *words: str) -> None:
        run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")  # so that hosts say nothing of their own
        self.bridge = Program([BRIDGE, "tap:plb1", "tap:plb2", "tap:plb3", *words], "bridging 3 ports")
        self.addCleanup(self.bridge.end)
        for number in (1, 2, 3):
            host = Host()
            self.hosts.append(host)
            run("ip", "link", "set", f"plb{number}", "address", f"02:00:00:00:b0:0{number}")
            host.take(f"plb{number}", f"10.7.0.{number}/24")

    def assert_reaches(self, host: int, address: str, *words: str) -> None:
        said = self.hosts[host].ping(address, *words)
        self.assertIn("2 packets transmitted, 2 packets received", said)
        self.assertNotIn("DUP", said)

    def received(self, host: int) -> int:
        name = f"plb{host + 1}"
        counted = self.hosts[host].run("cat", f"/sys/class/net/{name}/statistics/rx_packets", check=False)
        if not counted.strip().isdigit():  # sysfs shows the namespace in which it was mounted
            counted = re.search(r"RX:[^\n]*\n\s*\d+\s+(\d+)", self.hosts[host].run("ip", "-s", "link", "show", "dev", name))[1]
        return int(counted)

    def counts(self) -> dict[str, int]:
        return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", self.bridge.summary())}

    def test_all_hosts_reach_each_other(self):
        self.begin()
        for host in range(3):
            for other in range(3):
                if other != host:
                    for size in ("0", "56", "1472"):
                        self.assert_reaches(host, f"10.7.0.{other + 1}", "-s", size)
        counts = self.counts()
        self.assertEqual(counts["learned"], 3)
        self.assertEqual(counts["moved"], 0)
        self.assertGreaterEqual(counts["forwarded"], 3 * 2 * 3 * 2 * 2 - 6)
        self.assertGreaterEqual(counts["flooded"], 3)
        for reason in ("ring_full", "bad_frame", "same_port", "no_mbuf"):
            self.assertEqual(counts[reason], 0, reason)

    def test_others_do_not_see_what_is_for_one(self):
        self.begin()
        self.assert_reaches(0, "10.7.0.2")
        before = self.received(2)
        self.hosts[0].run("busybox", "ping", "-c", "20", "-i", "0.05", "-W", "5", "10.7.0.2")
        self.assertLess(self.received(2) - before, 10)

    def test_an_address_moves(self):
        self.begin()
        self.assert_reaches(0, "10.7.0.2")
        # The second host's address appears at the third port.
        self.hosts[1].run("ip", "link", "set", "plb2", "down")
        self.hosts[2].run("ip", "link", "set", "plb3", "down")
        self.hosts[2].run("ip", "link", "set", "plb3", "address", "02:00:00:00:b0:02")
        self.hosts[2].run("ip", "addr", "flush", "dev", "plb3")
        self.hosts[2].run("ip", "addr", "add", "10.7.0.2/24", "dev", "plb3")
        self.hosts[2].run("ip", "link", "set", "plb3", "up")
        self.hosts[2].ping("10.7.0.1")
        self.assert_reaches(0, "10.7.0.2")
        self.assertEqual(self.counts()["moved"], 1)

    def test_a_silent_address_is_forgotten(self):
        self.begin("--age", "0.3")
        self.assert_reaches(0, "10.7.0.2")
        time.sleep(0.6)
        self.assert_reaches(0, "10.7.0.2")
        self.assertGreaterEqual(self.counts()["aged"], 2)


class LinkDown(unittest.TestCase):
    def test_addresses_behind_a_port_without_a_link_are_forgotten(self):
        bridge = Program([BRIDGE, "tap:plb4", "tap:plb5"], "bridging 2 ports")
        self.addCleanup(bridge.end)
        for name in ("plb4", "plb5"):
            run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")  # so that the kernel says nothing of its own
            run("ip", "link", "set", name, "up")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as station:
            station.bind(("plb5", 0))
            for number in (1, 2):
                station.send(bytes.fromhex(f"ffffffffffff02000000b1{number:02x}88b5") + bytes(46))
        time.sleep(1.5)
        run("ip", "link", "set", "plb5", "down")
        time.sleep(2)
        self.assertIn("2 learned, 0 moved, 0 aged, 0 evicted, 2 forgotten", bridge.summary())


class CommandLine(unittest.TestCase):
    def test_errors_say_what_is_wrong(self):
        self.assertIn("PORT", run(BRIDGE, "null:", check=False))
        self.assertIn("--age", run(BRIDGE, "null:", "null:", "--age", "0", check=False))
        self.assertIn("--addresses", run(BRIDGE, "null:", "null:", "--addresses", "1", check=False))
        self.assertIn("nonsense", run(BRIDGE, "null:", "nonsense:0", check=False))

    def test_ctrl_c_ends_it_with_a_summary(self):
        bridge = Program([BRIDGE, "null:", "null:"], "bridging 2 ports")
        self.addCleanup(bridge.end)
        self.assertIn("0 forwarded, 0 flooded", bridge.summary())


if __name__ == "__main__":
    unittest.main()
