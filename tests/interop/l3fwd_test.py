# SPDX-License-Identifier: BSD-3-Clause
"""The example `l3fwd` between two hosts of the kernel, and its longest prefix match beside the kernel's own."""

import ipaddress
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

from namespaces import SECONDS, Host, Program, enter_own_namespace, run

L3FWD = sys.argv.pop()
MACS = ("02:00:00:00:d0:01", "02:00:00:00:d0:02")


def setUpModule():
    enter_own_namespace()


class KernelAcrossRouter(unittest.TestCase):
    """Each host has an IPv4 and an IPv6 network of its own; the router is the gateway of both."""

    def setUp(self):
        routes = []
        for port, mac in enumerate(MACS):
            routes += ["--route", f"10.8.{port}.0/24 {port} {mac}", "--route", f"fd00:8:{port}::/48 {port} {mac}"]
        self.router = Program([L3FWD, "tap:pll0", "tap:pll1", *routes], "4 routes")
        self.addCleanup(self.router.end)
        self.hosts = []
        self.addCleanup(lambda: [host.end() for host in self.hosts])
        own = re.findall(r"port \d: \S+, (\S+)", self.router.said())
        for port, mac in enumerate(MACS):
            host = Host()
            self.hosts.append(host)
            name = f"pll{port}"
            run("ip", "link", "set", name, "address", mac)
            host.take(name, f"10.8.{port}.2/24", f"fd00:8:{port}::2/48", ipv6=True)
            for gateway, words in ((f"10.8.{port}.1", []), (f"fd00:8:{port}::1", ["-6"])):
                host.run("ip", *words, "neigh", "replace", gateway, "lladdr", own[port], "dev", name, "nud", "permanent")
                host.run("ip", *words, "route", "add", "default", "via", gateway, "dev", name)

    def counts(self) -> dict[str, int]:
        return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", self.router.summary())}

    def assert_reaches(self, host: int, address: str, *words: str) -> None:
        said = self.hosts[host].ping(address, *words)
        self.assertIn("2 packets transmitted, 2 packets received", said)
        self.assertIn("ttl=63", said)

    def test_hosts_reach_each_other_through_it(self):
        for size in ("0", "56", "1400"):
            self.assert_reaches(0, "10.8.1.2", "-s", size)
            self.assert_reaches(1, "fd00:8:0::2", "-s", size)
        counts = self.counts()
        self.assertEqual(counts["forwarded"], 3 * 2 * 2 * 2)
        self.assertEqual(counts["bad_header"], 0)
        self.assertEqual(counts["ttl_expired"], 0)

    def test_what_is_dropped_has_a_name(self):
        self.assertIn("0 packets received", self.hosts[0].ping("10.8.1.2", "-t", "1", "-W", "1"))
        self.assertIn("0 packets received", self.hosts[0].ping("10.99.0.1", "-W", "1"))
        self.assertIn("0 packets received", self.hosts[0].ping("fd00:9::1", "-W", "1"))
        counts = self.counts()
        self.assertEqual(counts["ttl_expired"], 2)
        self.assertGreaterEqual(counts["no_route"], 4)
        self.assertEqual(counts["forwarded"], 0)


class KernelLookUp(unittest.TestCase):
    """`ip route get` in a host with the same table says which route is the longest match."""

    def compare(self, make_prefix, make_address, route_get):
        random.seed(8)
        host = Host()
        self.addCleanup(host.end)
        host.run("ip", "link", "set", "lo", "up")
        host.run("ip", "tuntap", "add", "dev", "routed", "mode", "tap")
        host.run("ip", "link", "set", "routed", "up")
        prefixes = sorted({make_prefix() for _ in range(400)}, key=str)
        addresses = [make_address(random.choice(prefixes)) for _ in range(600)]
        # The kernel tells routes apart by their metric, l3fwd by the last bytes of the next hop.
        batch = "".join(f"route add {prefix} dev routed metric {number + 1}\n" for number, prefix in enumerate(prefixes))
        with tempfile.TemporaryDirectory() as folder:
            routes = pathlib.Path(folder, "routes")
            routes.write_text("".join(f"{prefix} {number % 2} 02:00:00:00:{number >> 8:02x}:{number & 255:02x}\n"
                                      for number, prefix in enumerate(prefixes)))
            commands = pathlib.Path(folder, "batch")
            commands.write_text(batch)
            host.run("ip", *route_get, "-batch", str(commands))
            commands.write_text("".join(f"route get fibmatch {address}\n" for address in addresses))
            kernel = host.run("ip", *route_get, "-force", "-batch", str(commands), check=False)
            said = run(L3FWD, "null:", "null:", "--routes", str(routes), "--look-up", ",".join(map(str, addresses)))
        # In the order of the addresses: a route, or an error.
        expected = []
        for line in kernel.splitlines():
            if found := re.search(r"metric (\d+)", line):
                expected.append(int(found[1]) - 1)
            elif "unreachable" in line or "Unreachable" in line or "No route" in line:
                expected.append(None)
        found = [None if "no route" in line else int(line[-5:].replace(":", ""), 16) for line in said.splitlines()]
        self.assertEqual(len(found), len(addresses))
        self.assertEqual(found, expected)
        self.assertGreater(len(set(found)), 100)
        self.assertIn(None, found)

    def test_ipv4(self):
        def prefix():
            length = random.choice((8, 9, 12, 15, 16, 17, 20, 23, 24, 25, 28, 31, 32))
            return ipaddress.ip_network((10 << 24 | random.getrandbits(4) << 20 | random.getrandbits(20), length), strict=False)

        def address(near):
            flips = random.getrandbits(32) >> random.randrange(8, 33)
            return ipaddress.ip_address(11 << 24 | flips if random.random() < 0.05 else int(near.network_address) ^ flips)

        self.compare(prefix, address, ["-4"])

    def test_ipv6(self):
        base = int(ipaddress.ip_address("fd00::"))

        def prefix():
            length = random.choice((16, 17, 32, 33, 47, 48, 64, 65, 100, 127, 128))
            return ipaddress.ip_network((base | random.getrandbits(4) << 100 | random.getrandbits(100), length), strict=False)

        def address(near):
            flips = random.getrandbits(128) >> random.randrange(16, 129)
            return ipaddress.ip_address(base ^ 1 << 120 | flips if random.random() < 0.05 else int(near.network_address) ^ flips)

        self.compare(prefix, address, ["-6"])


class CommandLine(unittest.TestCase):
    def expect_error(self, words: list[str], *parts: str) -> None:
        outcome = subprocess.run([L3FWD, "null:", "null:", *words], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertNotEqual(outcome.returncode, 0)
        for part in parts:
            self.assertIn(part, outcome.stdout + outcome.stderr)

    def test_bad_routes_are_rejected_by_name_and_line(self):
        mac = "02:00:00:00:00:01"
        self.expect_error([], "there is no route")
        self.expect_error(["--route", f"10.1.0.0 0 {mac}"], "'10.1.0.0' is not a prefix")
        self.expect_error(["--route", f"10.1.0.0/33 0 {mac}"], "0 to 32")
        self.expect_error(["--route", f"10.1.0.1/16 0 {mac}"], "bits beyond its length")
        self.expect_error(["--route", f"10.1.0.0/16 2 {mac}"], "'2' is not a port from 0 to 1")
        self.expect_error(["--route", "10.1.0.0/16 1 01:00:00:00:00:01"], "not a MAC address of one station")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"# routes\n10.1.0.0/16 0 {mac}\n\n10.1.0.0/16 1 {mac}  # again\n")
            file.flush()
            self.expect_error(["--routes", file.name], f"{file.name}, line 4", "'10.1.0.0/16' already")
        self.expect_error(["--routes", "/nowhere"], "cannot read /nowhere")
        self.expect_error(["--route", f"10.1.0.0/16 0 {mac}", "--look-up", "10.1"], "'10.1' is not an address")


if __name__ == "__main__":
    unittest.main()
