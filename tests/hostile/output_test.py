# SPDX-License-Identifier: BSD-3-Clause
"""Clients make a server write, and nobody reads what it writes: the pipe is full."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator

from card_client import CONFIG, Client, Gone, Neighbour

POLLUX = sys.argv.pop()
LONGEST = 2.0  # seconds that a neighbour may wait: far more than it does, since machines may be slow and busy
END = 10.0  # seconds that the server's end may take, likewise
# 82576 datasheet: the registers of a virtual function. Its mailbox with the bits VFU and REQ, the mailbox's memory, and CTRL with RST.
MAILBOX, VFU, REQ, MEMORY, CTRL, RST = 0xC40, 2, 1, 0x800, 0, 1 << 26


class Server:
    """With sockets for an attacker and a neighbour."""

    def __init__(self, words: list[str], ready: bytes, folder: str) -> None:
        self.sockets = [str(pathlib.Path(folder) / name) for name in ("attacked", "neighbour")]
        words = [word.replace("FOLDER", folder) for word in words]
        environment = os.environ | {"POLLUX_CONFINEMENT": "trap"}  # a system call that is not allowed ends it
        self.process = subprocess.Popen([POLLUX, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        text = b""
        while ready not in text:
            part = os.read(self.process.stdout.fileno(), 4096)
            if not part:
                raise AssertionError(f"the server has not started: {text!r}")
            text += part

    def fill(self) -> None:
        """By an open file of this process's own, to which O_NONBLOCK belongs."""
        end = os.open(f"/proc/{self.process.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(end, b"-" * size)
        os.close(end)

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=END)[0].decode().strip("-")


@contextlib.contextmanager
def serving(words: list[str], ready: bytes) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(words, ready, folder)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait()
            server.process.stdout.close()


def maps_too_much(client: Client) -> None:
    memory = os.memfd_create("client")
    os.ftruncate(memory, 1 << 43)
    for number in range(3):
        client.map(memory, 1 << 42, (1 << 45) + (number << 43))
    os.close(memory)


def starts_and_resets(client: Client) -> None:
    """A function's driver, ten times a second."""
    client.write(CONFIG, 4, 6, 2)
    for _ in range(20):
        for message in (1, 2, 0x77):
            for register, value in ((MAILBOX, VFU), (MEMORY, message), (MEMORY + 4, 2), (MEMORY + 8, 0x100), (MAILBOX, REQ)):
                client.write(0, register, value, 4)
        time.sleep(0.05)
        client.write(0, CTRL, RST, 4)
        time.sleep(0.05)


# Name, the server, the end of what it says when it serves, the attack, and what it says once somebody reads again.
SERVERS: list[tuple[str, list[str], bytes, Callable[[Client], None], str]] = [
    ("card", ["card", "--socket", "FOLDER/attacked", "--socket", "FOLDER/neighbour"], b"neighbour: card", maps_too_much,
     "was refused memory"),
    ("functions", ["vf", "serve", "2", "sim:0", "--socket", "0=FOLDER/attacked", "--socket", "1=FOLDER/neighbour"], b"serving;",
     starts_and_resets, "lines were left out: nobody read them"),
]


class NobodyReads(unittest.TestCase):
    def test_holds_up_no_neighbour(self) -> None:
        for name, words, ready, attack, said in SERVERS:
            with self.subTest(name), serving(words, ready) as server:
                neighbour = Neighbour(Client(server.sockets[1], LONGEST))
                attacker = Client(server.sockets[0], LONGEST)
                server.fill()
                neighbour.start()
                with contextlib.suppress(Gone):
                    attack(attacker)
                time.sleep(0.5)
                neighbour.ends.set()
                neighbour.join(60)
                self.assertFalse(neighbour.lost, "the neighbour has got no answer")
                self.assertGreater(neighbour.answers, 20)
                self.assertLess(neighbour.longest, LONGEST)
                os.read(server.process.stdout.fileno(), 1 << 20)
                time.sleep(0.5)
                attacker.close()
                neighbour.client.close()
                self.assertIn(said, server.stop())
                self.assertEqual(server.process.returncode, 0)

    def test_keeps_no_server_from_ending(self) -> None:
        """Its status tells that it could not say all."""
        for name, words, ready, _, _ in SERVERS:
            with self.subTest(name), serving(words, ready) as server:
                server.fill()
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(END), 1)


if __name__ == "__main__":
    unittest.main()
