# SPDX-License-Identifier: BSD-3-Clause
"""curl fetches documents from the example `tcp_server` over the kernel's TCP: unharmed on a TAP interface, and over a wire that
loses frames."""

import array
import hashlib
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

from namespaces import Program, enter_own_namespace, run

SERVER = sys.argv.pop()
HOST, SERVING = "10.6.0.1", "10.6.0.2"


def setUpModule():
    enter_own_namespace()


def digest_of_document(length: int) -> str:
    """The 64-bit numbers 0, 1, 2, ... with the least significant byte first."""
    numbers = array.array("Q", range(length // 8 + 1))
    if sys.byteorder == "big":
        numbers.byteswap()
    return hashlib.sha256(numbers.tobytes()[:length]).hexdigest()


class CurlAndServer(unittest.TestCase):
    def begin(self, port: str, *words: str) -> None:
        self.server = Program([SERVER, port, "--ip", SERVING, *words], "serving")
        self.addCleanup(self.server.end)
        pathlib.Path("/proc/sys/net/ipv6/conf/plt0/disable_ipv6").write_text("1")
        run("ip", "addr", "add", f"{HOST}/24", "dev", "plt0")
        run("ip", "link", "set", "plt0", "up")

    def fetch(self, *words: str) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "document")
            subprocess.run(["curl", "--silent", "--show-error", "--max-time", "240", "--output", path, *words, f"http://{SERVING}/"],
                           check=True, timeout=300)
            content = path.read_bytes()
        return len(content), hashlib.sha256(content).hexdigest()

    def counts(self) -> dict[str, int]:
        said = self.server.summary()
        return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", said)}

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

    def test_a_lossy_wire_delays_but_does_not_harm(self):
        self.begin("sim:0?tap=plt0,loss=0.01,seed=5", "--bytes", "3000000")
        self.assertEqual(self.fetch(), (3_000_000, digest_of_document(3_000_000)))

    def test_the_server_ends_while_a_connection_is_open(self):
        self.begin("tap:plt0", "--bytes", "100000000")
        with socket.create_connection((SERVING, 80), timeout=60) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            client.recv(1)
            said = self.server.summary()
        self.assertIn("connections: 1; documents: 0 served, 0 refused, 0 broken off", said)

    def test_only_get_is_answered(self):
        self.begin("tap:plt0", "--bytes", "1000")
        said = run("curl", "--silent", "--max-time", "60", "--request", "POST", "--write-out", "%{http_code}", f"http://{SERVING}/")
        self.assertEqual(said, "400")
        self.assertEqual(self.counts()["refused"], 1)


class CommandLine(unittest.TestCase):
    def test_errors_say_what_is_wrong(self):
        self.assertIn("'10.6' is no IPv4 address", run(SERVER, "null:", "--ip", "10.6", check=False))
        self.assertIn("--ip", run(SERVER, "null:", check=False))
        self.assertIn("--bytes", run(SERVER, "null:", "--ip", SERVING, "--bytes", "0", check=False))

    def test_it_ends_by_itself(self):
        self.assertIn("connections: 0", run(SERVER, "null:", "--ip", SERVING, "--seconds", "0.1"))


if __name__ == "__main__":
    unittest.main()
