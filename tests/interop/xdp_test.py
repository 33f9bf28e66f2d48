# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts reach each other over the example `l2fwd`, whose ports are interfaces of the kernel."""

import subprocess
import sys
import unittest

from namespaces import SECONDS, Host, Program, enter_own_namespace, run

L2FWD = sys.argv.pop()

RECEIVE = """
import hashlib, socket
server = socket.create_server(("10.6.0.2", 5000))
print("listening", flush=True)
connection, _ = server.accept()
print(hashlib.file_digest(connection.makefile("rb"), "md5").hexdigest())
"""
SEND = """
import hashlib, os, socket
data = os.urandom(20_000_000)
with socket.create_connection(("10.6.0.2", 5000)) as connection:
    connection.sendall(data)
print(hashlib.md5(data).hexdigest())
"""


def setUpModule():
    enter_own_namespace()


class KernelAcrossXdp(unittest.TestCase):
    def setUp(self):
        run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")  # so that interfaces say nothing of their own
        self.hosts = []
        self.addCleanup(lambda: [host.end() for host in self.hosts])
        for number in (0, 1):
            run("ip", "link", "add", f"plxx{number}", "type", "veth", "peer", "name", f"plxy{number}")
            run("ip", "link", "set", f"plxx{number}", "up")
            host = Host()
            self.hosts.append(host)
            # The kernel leaves checksums and segments of its own frames to the other end unless it is told not to.
            run("ethtool", "-K", f"plxy{number}", "tx", "off", "tso", "off", "gso", "off")
            host.take(f"plxy{number}", f"10.6.0.{number + 1}/24")

    def forwarder(self) -> Program:
        program = Program([L2FWD, "xdp:plxx0", "xdp:plxx1", "--no-mac-updating"], "forwarding")
        self.addCleanup(program.end)
        return program

    def test_hosts_reach_each_other(self):
        l2fwd = self.forwarder()
        for size in ("0", "56", "1472"):
            said = self.hosts[0].ping("10.6.0.2", "-s", size)
            self.assertIn("2 packets transmitted, 2 packets received", said)
            self.assertNotIn("DUP", said)
        self.assertRegex(l2fwd.summary(), r"received (\d+) = sent \1 ")

    def test_a_tcp_connection_moves_data(self):
        self.forwarder()
        receiver = subprocess.Popen(self.hosts[1].command(sys.executable, "-c", RECEIVE), stdout=subprocess.PIPE, text=True)
        self.addCleanup(receiver.kill)
        self.assertEqual(receiver.stdout.readline(), "listening\n")
        sent = self.hosts[0].run(sys.executable, "-c", SEND)
        received, _ = receiver.communicate(timeout=SECONDS)
        self.assertEqual(received, sent)

    def tearDown(self):
        for number in (0, 1):
            run("ip", "link", "del", f"plxx{number}", check=False)


if __name__ == "__main__":
    unittest.main()
