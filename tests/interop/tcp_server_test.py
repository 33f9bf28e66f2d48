# SPDX-License-Identifier: BSD-3-Clause
"""curl fetches documents from the example `tcp_server` over the kernel's TCP, on a TAP interface."""

import hashlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

from namespaces import Program, enter_own_namespace, run
from tcp_server_fixture import SERVING, ServerFixture, digest_of_document

SERVER = sys.argv.pop()


def setUpModule():
    enter_own_namespace()


class CurlAndServer(ServerFixture):
    program = SERVER

    def test_a_hundred_megabytes_arrive_unharmed(self):
        self.begin("tap:plt0", "--bytes", "100000000")
        self.assertEqual(self.fetch(), (100_000_000, digest_of_document(100_000_000)))
        counts = self.counts()
        self.assertEqual(counts["served"], 1)
        self.assertEqual(counts["broken"], 0)

    def test_documents_of_every_size_arrive(self):
        self.begin("tap:plt0", "--bytes", "12345")
        for _ in range(20):
            self.assertEqual(self.fetch(), (12345, digest_of_document(12345)))
        self.assertEqual(self.counts()["served"], 20)

    def test_several_clients_at_once(self):
        self.begin("tap:plt0", "--bytes", "3000000")
        with tempfile.TemporaryDirectory() as folder:
            clients = [subprocess.Popen(["curl", "--silent", "--max-time", "200", "--output", f"{folder}/{number}", f"http://{SERVING}/"])
                       for number in range(4)]
            for number, client in enumerate(clients):
                self.assertEqual(client.wait(timeout=240), 0)
                content = pathlib.Path(folder, str(number)).read_bytes()
                self.assertEqual(hashlib.sha256(content).hexdigest(), digest_of_document(3_000_000))

    def test_the_server_ends_while_a_connection_is_open(self):
        self.begin("tap:plt0", "--bytes", "100000000")
        with socket.create_connection((SERVING, 80), timeout=60) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            client.recv(1)
            said = self.server.summary()
        self.assertIn("connections: 1; documents: 0 served, 0 refused, 0 broken off", said)

    def test_long_frames_and_a_client_that_sends_no_more(self):
        self.begin("tap:plt0", "--bytes", "5000000")
        for size in ("600", "1472"):
            self.assertIn("2 packets received", run("busybox", "ping", "-c", "2", "-W", "5", "-s", size, SERVING, check=False))
        with socket.create_connection((SERVING, 80), timeout=60) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        document = received.partition(b"\r\n\r\n")[2]
        self.assertEqual((len(document), hashlib.sha256(document).hexdigest()), (5_000_000, digest_of_document(5_000_000)))
        counts = self.counts()
        self.assertEqual((counts["served"], counts["broken"]), (1, 0))

    def test_only_get_is_answered(self):
        self.begin("tap:plt0", "--bytes", "1000")
        said = run("curl", "--silent", "--max-time", "60", "--request", "POST", "--write-out", "%{http_code}", f"http://{SERVING}/")
        self.assertEqual(said, "400")
        self.assertEqual(self.counts()["refused"], 1)


class CommandLine(unittest.TestCase):
    def test_errors_say_what_is_wrong(self):
        self.assertIn("'10.6' is not an IPv4 address", run(SERVER, "null:", "--ip", "10.6", check=False))
        self.assertIn("--ip", run(SERVER, "null:", check=False))
        self.assertIn("--bytes", run(SERVER, "null:", "--ip", SERVING, "--bytes", "0", check=False))

    def test_ctrl_c_ends_it_with_a_summary(self):
        server = Program([SERVER, "null:", "--ip", SERVING], "serving 100000000 bytes")
        self.addCleanup(server.end)
        self.assertIn("connections: 0", server.summary())


if __name__ == "__main__":
    unittest.main()
