# SPDX-License-Identifier: BSD-3-Clause
"""The example `kernel_path` shares an in-process card between itself and the kernel: another host of the kernel pings, and talks TCP and
UDP to the kernel behind the card, while the program answers UDP echo itself."""

import hashlib
import os
import re
import socket
import sys
import threading
import unittest

from namespaces import SECONDS, Host, Program, enter_own_namespace, run

KERNEL_PATH = sys.argv.pop()
OWN, PEER = "10.5.0.1", "10.5.0.2"
OWN6, PEER6 = "fd00:5::1", "fd00:5::2"
BYTES = 20_000_000

UDP_CLIENT = """
import socket, sys
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.settimeout(30)
    one.connect((address, port))
    for number in range(count):
        one.send(bytes([number]) * (1 + 70 * number))
        assert one.recv(2000) == bytes([number]) * (1 + 70 * number)
"""

# Receives a stream and sends its SHA-256 back.
TCP_CLIENT = """
import hashlib, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as one:
    digest = hashlib.sha256()
    left = int(sys.argv[3])
    while left > 0:
        data = one.recv(min(left, 1 << 20))
        assert data, "the stream ended early"
        digest.update(data)
        left -= len(data)
    one.sendall(digest.digest())
"""


def setUpModule():
    enter_own_namespace()
    run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")


class KernelBehindCard(unittest.TestCase):
    TAP = "plk0"

    def setUp(self):
        self.program = Program([KERNEL_PATH, "sim:0?tap=plw0", "--tap", self.TAP, "--ip", f"{OWN}/24", "--ip", f"{OWN6}/64"],
                               "is shared with the kernel as plk0")
        self.addCleanup(self.program.end)
        self.host = Host()
        self.addCleanup(self.host.end)
        self.host.take("plw0", f"{PEER}/24", f"{PEER6}/64", ipv6=True)

    def counts(self) -> dict[str, int]:
        said = self.program.summary()
        found = re.findall(r"(\d+) (\w+)", said)
        counts = {name: int(count) for count, name in found}
        self.assertEqual(len(counts), len(found), said)  # each reason once
        counts["to_kernel"], counts["from_kernel"] = map(int, re.search(r"(\d+) to the kernel, (\d+) from the kernel", said).groups())
        return counts

    def assert_nothing_dropped(self, counts: dict[str, int]) -> None:
        dropped = {name: count for name, count in counts.items() if name.startswith(("kernel_path_", "gso_", "ring_")) and count != 0}
        self.assertEqual(dropped, {})

    def test_ping_reaches_the_kernel_in_both_directions(self):
        for size in ("0", "56", "1472", "4000"):
            self.assertIn("2 packets transmitted, 2 packets received", self.host.ping(OWN, "-s", size))
            self.assertIn("2 packets received", run("busybox", "ping", "-c", "2", "-W", "5", "-s", size, PEER, check=False))
        self.assertIn("2 packets received", self.host.ping(OWN6, "-6"))
        self.assertIn("2 packets received", run("busybox", "ping", "-6", "-c", "2", "-W", "5", PEER6, check=False))
        counts = self.counts()
        self.assertGreaterEqual(counts["to_kernel"], 30)
        self.assertGreaterEqual(counts["from_kernel"], 30)
        self.assertEqual(counts["UDP"], 0)
        self.assert_nothing_dropped(counts)

    def test_the_interface_has_the_address_of_the_card(self):
        self.assertIn("2 packets received", self.host.ping(OWN))
        neighbour = re.search(r"lladdr (\S+)", self.host.run("ip", "neigh", "show", "to", OWN, "dev", "plw0"))
        self.assertIn(neighbour[1], run("ip", "link", "show", "dev", "plk0"))

    def test_the_program_takes_its_share_and_the_kernel_the_rest(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echoing, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            echoing.settimeout(SECONDS)
            echoing.bind((OWN, 2000))
            deaf.bind((OWN, 7))
            deaf.setblocking(False)

            def echo():
                for _ in range(10):
                    data, sender = echoing.recvfrom(2000)
                    echoing.sendto(data, sender)

            thread = threading.Thread(target=echo)
            thread.start()
            self.host.run(sys.executable, "-c", UDP_CLIENT, OWN, "7", "20")
            self.host.run(sys.executable, "-c", UDP_CLIENT, OWN, "2000", "10")
            thread.join(SECONDS)
            # The kernel has a socket on port 7, too, which gets nothing.
            self.assertRaises(BlockingIOError, deaf.recv, 2000)
        counts = self.counts()
        self.assertEqual(counts["UDP"], 20)
        self.assert_nothing_dropped(counts)

    def transfer(self) -> None:
        content = os.urandom(BYTES)
        with socket.create_server((OWN, 5000)) as server:
            server.settimeout(SECONDS)

            def serve():
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(SECONDS)
                    connection.sendall(content)
                    self.received = connection.recv(32)

            thread = threading.Thread(target=serve)
            thread.start()
            self.host.run(sys.executable, "-c", TCP_CLIENT, OWN, "5000", str(BYTES))
            thread.join(SECONDS)
        self.assertEqual(self.received, hashlib.sha256(content).digest())

    def test_tcp_of_the_kernel_arrives_unharmed(self):
        self.transfer()
        self.assertGreaterEqual(self.counts()["from_kernel"], BYTES // 1500)


class KernelBehindCardThatSegments(KernelBehindCard):
    """The same, while the kernel leaves segmentation to the card."""
    TAP = "plk0?superframes"

    def test_tcp_of_the_kernel_arrives_unharmed(self):
        self.transfer()
        self.assertLess(self.counts()["from_kernel"], BYTES // 1500)


class CommandLine(unittest.TestCase):
    def test_errors_say_what_is_wrong(self):
        self.assertIn("'10.5.0.1' is not an address and prefix", run(KERNEL_PATH, "null:", "--tap", "x0", "--ip", "10.5.0.1", check=False))
        self.assertIn("'10.5.0.1/33'", run(KERNEL_PATH, "null:", "--tap", "x0", "--ip", "10.5.0.1/33", check=False))
        self.assertIn("'fd00::1/129'", run(KERNEL_PATH, "null:", "--tap", "x0", "--ip", "fd00::1/129", check=False))
        self.assertIn("--tap", run(KERNEL_PATH, "null:", "--ip", "10.5.0.1/24", check=False))
        self.assertIn("give the interface its addresses: --ip", run(KERNEL_PATH, "null:", "--tap", "x0", check=False))
        self.assertIn("'frob' is not a PCI address", run(KERNEL_PATH, "vfio:frob", "--tap", "x0", check=False))
        self.assertIn("there is no PCI device", run(KERNEL_PATH, "vfio:0fff:1f:1f.7", "--tap", "x0", check=False))

    def test_ctrl_c_ends_it_with_a_summary(self):
        program = Program([KERNEL_PATH, "null:", "--tap", "x0", "--ip", "10.5.0.1/24"], "is shared with the kernel as x0")
        self.addCleanup(program.end)
        self.assertIn("answered: 0 UDP", program.summary())


if __name__ == "__main__":
    unittest.main()
