# SPDX-License-Identifier: BSD-3-Clause
"""Clients of `pollux exporter` that mean harm, beside one that scrapes and takes its answers. An attack is a row of ATTACKS."""

import collections
import contextlib
import json
import multiprocessing
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable

from telemetry_client import Program

POLLUX = sys.argv.pop()
TIME = 120.0  # seconds of an attack, which is ended after the scrapes
SCRAPES = 12  # that end meanwhile, on however slow a machine
KEPT = 2 * (128 << 10)  # bytes of an answer that the kernel keeps
FILES, IDLE = 64, 3.0  # open files that an exporter may have, and seconds of its idle clients
MOST = 512  # clients of the exporter
ATTACKERS = 2
NAME = "x" * 200
ASK = b"GET /metrics HTTP/1.1\r\n\r\n"


def connect(port: int, window: int = 0) -> socket.socket:
    """Does not wait for the exporter."""
    client = socket.socket()
    client.setblocking(False)
    if window:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    with contextlib.suppress(BlockingIOError):
        client.connect(("127.0.0.1", port))
    return client


def flood(port: int, text: bytes, window: int = 0) -> None:
    """New connections all the time; each process keeps 400."""
    kept: collections.deque[socket.socket] = collections.deque()
    end = time.monotonic() + TIME
    while time.monotonic() < end:
        kept.append(connect(port, window))
        with contextlib.suppress(OSError):
            kept[-1].send(text)
        if len(kept) > 400:
            kept.popleft().close()
    for client in kept:
        client.close()


def takes_nothing(port: int) -> None:
    flood(port, ASK)


def takes_nothing_with_a_small_window(port: int) -> None:
    flood(port, ASK, 4096)


def takes_nothing_with_a_large_window(port: int) -> None:
    flood(port, ASK, 1 << 20)


def asks_half(port: int) -> None:
    flood(port, ASK[:-2])


def takes_little(port: int) -> None:
    """300 connections of each process, which take a part of their answers now and then."""
    kept = []
    for _ in range(300):
        kept.append(connect(port, 4096))
        with contextlib.suppress(OSError):
            kept[-1].send(ASK)
    end = time.monotonic() + TIME
    while time.monotonic() < end:
        for client in kept:
            with contextlib.suppress(OSError):
                client.recv(2048)
        time.sleep(0.3)
    for client in kept:
        client.close()


# Name, what each of several processes does.
ATTACKS: list[tuple[str, Callable[[int], None]]] = [
    ("takes_nothing", takes_nothing),
    ("takes_nothing_with_a_small_window", takes_nothing_with_a_small_window),
    ("takes_nothing_with_a_large_window", takes_nothing_with_a_large_window),
    ("asks_half", asks_half),
    ("takes_little", takes_little),
]


def answer(connection: socket.socket, line: bytes) -> None:
    """A program whose metrics are a long text."""
    request = json.loads(line)
    results = {"process": {"pid": 7, "program": "long", "version": "1"}, "ports": [{"name": NAME, "uri": "sim:0"}],
               "port.stats": {"state": "started"}, "port.link": {}, "port.queues": {"rx": [{"packets": 1, "drops": 0}] * 4000}}
    connection.sendall(json.dumps({"id": request["id"], "result": results.get(request["method"])}).encode() + b"\n")


def kept_of_answers(port: int) -> list[int]:
    """Bytes that the kernel keeps for each client of the exporter, also for those that have ended."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    own = f"0100007F:{port:04X}"
    return [int(words[4].split(":")[0], 16) for words in (line.split() for line in lines) if words[1] == own and words[3] != "0A"]


def answer_to(port: int, request: bytes) -> bytes:
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), 60) as client, contextlib.suppress(OSError):
        client.sendall(request)
        while part := client.recv(1 << 20):
            received += part
    return bytes(received)


def scrape(port: int) -> int:
    """The length of what came; 0: the place was lost before the request was there."""
    return len(answer_to(port, ASK))


def scrape_all(port: int, lengths: list[int]) -> None:
    while len(lengths) < SCRAPES:
        with contextlib.suppress(OSError):
            lengths += filter(None, [scrape(port)])


class Attacks(unittest.TestCase):
    def attack(self, run: Callable[[int], None]) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        program = Program(folder, "7", answer)
        self.addCleanup(program.close)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {"XDG_RUNTIME_DIR": folder, "PATH": "/usr/bin:/bin", "POLLUX_CONFINEMENT": "trap"}
        exporter = subprocess.Popen([POLLUX, "exporter", "--listen", f"{port}"], env=environment, stdout=subprocess.PIPE)
        self.addCleanup(exporter.communicate)
        self.addCleanup(exporter.kill)
        exporter.stdout.readline()
        length = scrape(port)
        self.assertGreater(length, 1 << 20)
        attackers = [multiprocessing.Process(target=run, args=(port,)) for _ in range(ATTACKERS)]
        for attacker in attackers:
            attacker.start()
        lengths: list[int] = []
        scrapes = threading.Thread(target=scrape_all, args=(port, lengths))
        scrapes.start()
        kept: list[list[int]] = []
        while scrapes.is_alive() and all(attacker.is_alive() for attacker in attackers):
            kept.append(kept_of_answers(port))
            time.sleep(0.1)
        in_time = all(attacker.is_alive() for attacker in attackers)
        for attacker in attackers:
            attacker.terminate()
        for ends in (*attackers, scrapes):
            ends.join()
        self.assertIsNone(exporter.poll())
        self.assertTrue(in_time, "the scrapes waited for the end of the attack")
        self.assertEqual(set(lengths), {length}, "an answer was cut")
        self.assertLess(max(map(sum, kept)), MOST * KEPT)


class FewFiles(unittest.TestCase):
    def test_more_idle_clients_than_files(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        exporter = subprocess.Popen([POLLUX, "exporter", "--listen", f"{port}"], stdout=subprocess.PIPE,
                                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)))
        self.addCleanup(exporter.communicate)
        exporter.stdout.readline()
        clients = [connect(port) for _ in range(4 * FILES)]
        time.sleep(IDLE)
        self.assertGreater(scrape(port), 0)
        for client in clients:
            client.close()
        exporter.terminate()
        _, status, used = os.wait4(exporter.pid, 0)
        self.assertEqual(status, 0)
        self.assertLess(used.ru_utime + used.ru_stime, IDLE / 4)


class WebPages(unittest.TestCase):
    """A page whose owner says that its name is 127.0.0.1 may read what comes from there. The browser sends the name."""

    def setUp(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self, address: str) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        program = Program(folder, "7", answer)
        self.addCleanup(program.close)
        exporter = subprocess.Popen([POLLUX, "exporter", "--listen", f"{address}:{self.port}"], stdout=subprocess.PIPE,
                                    env={"XDG_RUNTIME_DIR": folder, "PATH": "/usr/bin:/bin", "POLLUX_CONFINEMENT": "trap"})
        self.addCleanup(exporter.communicate)
        self.addCleanup(exporter.kill)
        exporter.stdout.readline()

    def is_told(self, fields: str) -> bool:
        told = answer_to(self.port, f"GET /metrics HTTP/1.1\r\n{fields}\r\n".replace("PORT", str(self.port)).encode())
        self.assertRegex(told, b"^HTTP/1.1 (200|421) ")
        return b"pollux_" in told

    def test_names_of_others(self):
        self.start("127.0.0.1")
        self.names_of_others_are_told_nothing()

    def test_names_of_others_where_the_address_is_one_of_ipv6(self):
        self.start("[::ffff:127.0.0.1]")  # the same address: a client of IPv4 reaches it
        self.names_of_others_are_told_nothing()

    def names_of_others_are_told_nothing(self) -> None:
        for fields in ("Host: page.example:PORT\r\n", "Host: page.example\r\n", "host:page.example:PORT\r\n",
                       "HOST: \tPAGE.EXAMPLE:PORT \r\n",
                       "Accept: */*\r\nHost: page.example\r\nOrigin: http://page.example\r\n", "Host: 127.0.0.1.page.example\r\n",
                       "Host: localhost.page.example:PORT\r\n", "Host: mylocalhost:PORT\r\n", "Host: .localhost\r\n", "Host: page\r\n",
                       "Host: localhost\r\nHost: page.example\r\n", "Host: page.example\n\n"):  # fmt: skip
            self.assertFalse(self.is_told(fields), fields)

    def test_names_of_the_machine_itself(self):
        self.start("127.0.0.1")
        for fields in ("Host: 127.0.0.1:PORT\r\n", "Host: localhost:PORT\r\n", "Host: LOCALHOST\r\n", "Host: [::1]:PORT\r\n",
                       "Host: 192.0.2.1:PORT\r\n", "Host: metrics.localhost\r\n", "Host:\r\n", "", "X-Host: page.example\r\n",
                       "Referer: http://page.example\r\n"):  # fmt: skip
            self.assertTrue(self.is_told(fields), fields)

    def test_names_of_a_machine_that_serves_others(self):
        self.start("0.0.0.0")
        self.assertTrue(self.is_told("Host: machine.example:PORT\r\n"))


def _case(attack: Callable[[int], None]) -> Callable[[unittest.TestCase], None]:
    return lambda self: self.attack(attack)


for _name, _attack in ATTACKS:
    setattr(Attacks, f"test_{_name}", _case(_attack))

if __name__ == "__main__":
    unittest.main()
