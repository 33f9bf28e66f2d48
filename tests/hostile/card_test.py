# SPDX-License-Identifier: BSD-3-Clause
"""Clients of `pollux card` that mean harm, and a neighbour that has to be served meanwhile. An attack is a row of ATTACKS."""

import array
import contextlib
import functools
import os
import random
import signal
import socket
import struct
import sys
import time
import unittest
from collections.abc import Callable

import descriptor_zoo
from card_client import (CONFIG, CONTROL, CSUM, DMA_MAP, INDIRECT, MEMORY, MERGE, PLATFORM, REGION_READ, SET_IRQS, TSO6, V1,
                         VERSION, Card, Client, Gone, Memory, Neighbour, card, kick, start_82576, start_virtio)

POLLUX = sys.argv.pop()
SECONDS = 2.0  # of an attack
LONGEST = 5.0  # that the neighbour may wait: far more than it does, since machines may be slow and busy


def segments(server: Card) -> None:
    """4,096 frames of 2,045 segments each, with headers of 30 KiB."""
    client = server.connect(0)
    size, headers, length = 4096, 15, 65549
    memory = start_virtio(client, CSUM | TSO6, 2, size)
    l4 = 54 + headers * 2048
    frame = bytearray(length)
    frame[12:15] = b"\x86\xdd\x60"
    frame[20] = 60
    frame[18:20] = (length - 54).to_bytes(2, "big")
    for i in range(headers):
        frame[54 + 2048 * i], frame[55 + 2048 * i] = (60 if i + 1 < headers else 6), 255
    frame[l4 + 12] = 0x50
    at = 8 << 20
    memory.put(at, "BBHHHHH", 1, 4, 0, 17, l4, 16, 0)
    memory.bytes[at + 12:at + 12 + length] = frame
    for i in range(size):
        memory.put(0x40000 + 16 * i, "QIHH", MEMORY + at, length + 12, 0, 0)
        memory.put(0x50004 + 2 * i, "H", i)
    memory.put(0x50002, "H", size)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        kick(client, 1)


def scribbles(client: Client, memory: Memory, doorbells: list[tuple[int, int, int, int]]) -> None:
    """Anything in the rings, and doorbells: region, offset, width and limit of the value."""
    dice = random.Random(7)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for _ in range(50):
            queue, area = dice.randrange(3), dice.randrange(3)
            place = queue * 0x40000 + area * 0x10000 + dice.randrange(0x800) * 2
            memory.put(place, "H", dice.choice([dice.randrange(8), dice.randrange(0x10000)]))
            memory.put(place // 16 * 16, "Q", MEMORY + dice.randrange(0x100000)) if dice.random() < 0.3 else None
        region, offset, width, limit = dice.choice(doorbells)
        client.write(region, offset, dice.randrange(limit), width)


def scribbles_virtio(server: Card) -> None:
    client = server.connect(0)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        memory = start_virtio(client, CSUM | TSO6 | INDIRECT | CONTROL | MERGE, 3, 256)
        scribbles(client, memory, [(4, 0x3000 + 4 * queue, 2, 3) for queue in range(3)])
        client.close()
        client = server.connect(0)


def scribbles_82576(server: Card) -> None:
    client = server.connect(0)
    memory = start_82576(client, 0x1841)
    scribbles(client, memory, [(0, 0xE018, 4, 4096), (0, 0xC018, 4, 256), (0, 0x0000, 4, 0x100)])


def pauses(server: Card) -> None:
    """A frame that is not taken, and a pause frame each 512 ns therefore."""
    client = server.connect(0)
    memory = start_82576(client, 0x18001841, (0x2160, 0), (0x2168, 16), (0x0170, 0xFFFF), (0x2460, 0xFFFE))
    memory.put(0x100000, "Q", (1 << 48) - 1)
    memory.put(0, "QQ", MEMORY + 0x100000, 60 << 46 | 0x2B << 24 | 3 << 20 | 60)
    client.write(0, 0xE018, 1, 4)
    time.sleep(SECONDS)
    if struct.unpack("<I", client.read(0, 0x4054, 4)[1])[0] < 100:
        raise AssertionError("the card sends no pause frames")


def address_space(server: Card) -> None:
    """All memory that it gets, in ever smaller pieces, and then a large message."""
    client = server.connect(0)
    descriptor = os.memfd_create("sparse")
    os.ftruncate(descriptor, 1 << 46)
    address = 1 << 47
    for size in (1 << shift for shift in range(46, 11, -1)):
        address = (address + size - 1) // size * size
        while client.map(descriptor, size, address) == 0:
            address += size
    os.close(descriptor)
    with contextlib.suppress(Gone):
        client.call(REGION_READ, bytes(1 << 20))


def messages(server: Card) -> None:
    """Messages of any content, on many connections."""
    dice = random.Random(5)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        client = server.connect(0, seconds=1, negotiate=dice.random() < 0.8)
        with contextlib.suppress(Gone):
            for _ in range(dice.randrange(40)):
                payload = bytearray(dice.randbytes(dice.randrange(80)))
                if len(payload) >= 16 and dice.random() < 0.7:
                    struct.pack_into("<QII", payload, 0, dice.randrange(0x20000), dice.randrange(9), max(len(payload) - 16, 1))
                client.send(dice.choice([2, 3, 4, 5, 7, 8, 9, 10, 13, 15, dice.randrange(20)]), bytes(payload))
        client.close()


def reads(server: Card) -> None:
    """The longest reads, whose answers are not taken."""
    client = server.connect(0)
    end = time.monotonic() + SECONDS
    client.socket.settimeout(SECONDS)
    with contextlib.suppress(Gone):
        while time.monotonic() < end:
            client.send(REGION_READ, struct.pack("<QII", 0, CONFIG, 4096))


def warnings(server: Card) -> None:
    """Sessions that the log has a warning of. Nobody reads what the server logs until it ends."""
    sparse = os.memfd_create("sparse")
    os.ftruncate(sparse, 1 << 43)
    for _ in range(700):
        client = server.connect(0)
        client.map(sparse, 1 << 43)
        client.close()
    os.close(sparse)


def refused_accesses(server: Card) -> None:
    """Rings at addresses where nothing is, which the log has an error of. Nobody reads it until the server ends."""
    client = server.connect(0)
    client.write(CONFIG, 4, 6, 2)
    for _ in range(1000):
        for status in (0, 1, 3):
            client.write(4, 0x14, status, 1)
        client.write(4, 8, 1, 4)
        client.write(4, 0xC, (V1 | PLATFORM) >> 32, 4)
        client.write(4, 0x14, 0xB, 1)
        client.write(4, 0x16, 1, 2)
        client.write(4, 0x1C, 1, 2)
        client.write(4, 0x14, 0xF, 1)
        kick(client, 1)


def watchers(server: Card) -> None:
    """An eventfd that many watch is signalled, and another one after each time."""
    other = os.eventfd(0)
    end = time.monotonic() + SECONDS
    was_served = is_disconnected = False
    with descriptor_zoo.watched() as copies:
        while time.monotonic() < end:
            with contextlib.suppress(Gone):
                client = server.connect(0, seconds=0.5)
                client.call(SET_IRQS, struct.pack("<IIIII", 20, 36, 2, 0, 2), [copies[0], other])
                was_served = True
                while time.monotonic() < end:
                    client.call(SET_IRQS, struct.pack("<IIIII", 20, 33, 2, 0, 1))
                    client.call(SET_IRQS, struct.pack("<IIIII", 20, 33, 2, 1, 1))
            is_disconnected = is_disconnected or was_served and time.monotonic() < end
    os.close(other)
    if not is_disconnected:
        raise AssertionError("the client was not disconnected")


def watched_to_the_end(server: Card) -> None:
    """The server's descriptor is the last one of an eventfd that many watch."""
    client = server.connect(0)
    with contextlib.suppress(Gone):
        for _ in range(100):
            with descriptor_zoo.watched() as copies:
                client.call(SET_IRQS, struct.pack("<IIIII", 20, 36, 2, 0, 1), [copies[0]])
                while copies:
                    os.close(copies.pop())
                client.call(SET_IRQS, struct.pack("<IIIII", 20, 36, 2, 0, 1))
        raise AssertionError("the client was not disconnected")


MEMORY_REQUEST = struct.pack("<IIQQQ", 32, 3, 0, MEMORY, 4096)
# A command, its content, and how often a descriptor is sent with it.
WITH_DESCRIPTORS = [
    (command, payload, count)
    for command, payload in (
        (DMA_MAP, MEMORY_REQUEST),
        (SET_IRQS, struct.pack("<IIIII", 20, 36, 2, 0, 1)),
        (REGION_READ, struct.pack("<QII", 0, CONFIG, 4)),
        (VERSION, b"\0\0\0\0{}\0"),
    )
    for count in (1, 16, 253)
]


def everywhere(server: Card, descriptor: Callable[[], contextlib.AbstractContextManager[int]]) -> None:
    """A descriptor wherever a client can send one. Its sender has none any more when the server gets it."""
    for command, payload, count in WITH_DESCRIPTORS:
        client = server.connect(0, seconds=2 * LONGEST)
        with contextlib.suppress(Gone):
            with descriptor() as number:
                client.send(command, payload, [number] * count)
            client.take(16)
        client.close()
    header = struct.pack("<HHIII", 1, DMA_MAP, 16 + len(MEMORY_REQUEST), 0, 0)
    for negotiates in (True, False):
        for rest in (MEMORY_REQUEST, MEMORY_REQUEST[:1], MEMORY_REQUEST * 2):
            client = server.connect(0, seconds=2 * LONGEST, negotiate=negotiates)
            with contextlib.suppress(OSError), descriptor() as number:
                client.socket.send(header)
                client.socket.sendmsg([rest], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [number]))])
            client.close()


def descriptors(server: Card) -> None:
    with descriptor_zoo.various() as zoo:
        for number in zoo:
            everywhere(server, lambda number=number: contextlib.nullcontext(number))


def lingering(server: Card) -> None:
    """Sockets whose close waits for minutes."""
    everywhere(server, server.held.enter_context(descriptor_zoo.Lingering()).one)


def too_many_lingering(server: Card) -> None:
    """More different ones in a message than there is room for. They are in flight alone before the connection is accepted."""
    sockets = server.held.enter_context(descriptor_zoo.Lingering())
    first = server.connect(0)
    waiting = server.connect(0, negotiate=False)
    with contextlib.ExitStack() as stack:
        sent = [stack.enter_context(sockets.one()) for _ in range(17)]
        waiting.send(DMA_MAP, MEMORY_REQUEST, sent)
    for close in sockets.closes:
        close.join()
    first.close()
    time.sleep(LONGEST + 1)


def unaccepted(server: Card) -> None:
    """Connections that wait behind another one until the server ends. Each has sent a socket that lingers."""
    sockets = server.held.enter_context(descriptor_zoo.Lingering())
    server.connect(0)
    for _ in range(4):
        with sockets.one() as descriptor:
            server.connect(0, negotiate=False).send(DMA_MAP, b"", [descriptor])


def unanswered(server: Card) -> None:
    """Files of a FUSE mount that does not answer. Then the mount goes, and its socket is served again."""
    try:
        with descriptor_zoo.fuse() as (file, mount):
            for _ in range(4):
                client = server.connect(0, seconds=1, negotiate=False)
                with contextlib.suppress(Gone):
                    client.call(VERSION, b"\0\0\0\0{}\0")
                    client.call(DMA_MAP, MEMORY_REQUEST, [file] * 16)
                client.close()
            if not mount.asked.wait(LONGEST):
                raise AssertionError("nobody has asked the mount")
            time.sleep(2 * LONGEST)
    except OSError as error:
        raise unittest.SkipTest(f"LEFT OUT: no FUSE mount can be made: {error}") from error
    server.connect(0)


def unanswered_by_many(server: Card) -> None:
    """As many of them as clients of five sockets can send. Nothing is left of them when the mount has gone."""
    before = server.files()
    try:
        with descriptor_zoo.fuse() as (file, mount):
            for path in [server.sockets[0], *server.functions[:-1]]:
                client = Client(path, 1, negotiate=False)
                with contextlib.suppress(Gone):
                    client.send(DMA_MAP, MEMORY_REQUEST, [file] * 253)
                    client.take(16)
                client.close()
            if not mount.asked.wait(LONGEST):
                raise AssertionError("nobody has asked the mount")
            neighbour = Client(server.functions[-1], 20)
            if (error := Memory(neighbour).error) != 0:
                raise AssertionError(f"another client cannot map memory: {error}")
            neighbour.close()
    except OSError as error:
        raise unittest.SkipTest(f"LEFT OUT: no FUSE mount can be made: {error}") from error
    deadline = time.monotonic() + LONGEST
    while server.files() > before + 2:
        if time.monotonic() > deadline:
            raise AssertionError(f"{server.files() - before} files stay open")
        time.sleep(0.05)


# Name, the card's options, the attack; the server's status, which tells that it has logged an error.
Attack = tuple[str, list[str], Callable[[Card], None]]
ATTACKS: list[Attack | tuple[str, list[str], Callable[[Card], None], int]] = [
    ("segments", ["--card", "virtio-net+queue-size=4096"], segments),
    ("scribbles_virtio", ["--card", "virtio-net"], scribbles_virtio),
    ("scribbles_82576", [], scribbles_82576, 1),
    ("pauses", [], pauses),
    ("pauses_on_a_slow_wire", ["--wire", "rate=1G,delay=1ms"], pauses),
    ("refused_accesses", ["--card", "virtio-net"], refused_accesses, 1),
    ("address_space", [], address_space),
    ("messages", [], messages),
    ("reads", [], reads),
    ("warnings", [], warnings),
    ("watchers", [], watchers),
    ("watched_to_the_end", [], watched_to_the_end),
    ("descriptors", [], descriptors),
    ("lingering", [], lingering),
    ("too_many_lingering", [], too_many_lingering),
    ("unaccepted", [], unaccepted),
    ("unanswered", [], unanswered),
    ("unanswered_by_many", [word for number in range(5) for word in ("--vf", f"{number}=FOLDER/{number}")], unanswered_by_many),
]


class Attacks(unittest.TestCase):
    def attack(self, options: list[str], run: Callable[[Card], None], status: int = 0) -> None:
        with card(POLLUX, *options) as server:
            neighbour = Neighbour(server.connect(1))
            neighbour.start()
            try:
                run(server)
            finally:
                time.sleep(0.2)
                neighbour.ends.set()
                neighbour.join(60)
            self.assertIsNone(server.process.poll(), "the server has ended")
            self.assertFalse(neighbour.lost, "the neighbour has lost its connection")
            self.assertGreater(neighbour.answers, 20)
            self.assertLess(neighbour.longest, LONGEST)
            self.assertEqual(neighbour.client.call(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, MEMORY, 4096))[0], 0, "it maps memory")
            self.assertNotIn("terminate", server.stop())
            self.assertEqual(server.process.returncode, status)

    def test_log_without_reader(self) -> None:
        """Warnings go to a pipe whose reader has ended. So the server cannot write what it has counted, which its status tells."""
        self.attack([], lambda server: (server.process.stdout.close(), warnings(server)), status=1)

    def test_log_that_may_not_grow(self) -> None:
        """The kernel's signal of that: setrlimit(2), RLIMIT_FSIZE."""
        self.attack([], lambda server: server.process.send_signal(signal.SIGXFSZ))


class Harmless(unittest.TestCase):
    def test_sends_before_it_is_served(self) -> None:
        """Messages wait for the server, and descriptors that come with later ones."""
        with card(POLLUX) as server:
            first, client = server.connect(0), server.connect(0, negotiate=False)
            client.send(VERSION, b"\0\0\0\0{}\0")
            client.send(REGION_READ, struct.pack("<QII", 0, CONFIG, 4))
            file = os.memfd_create("client")
            os.ftruncate(file, 4096)
            for page in range(3):
                client.send(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, MEMORY + 4096 * page, 4096), [file])
            os.close(file)
            first.close()
            for command in (VERSION, REGION_READ, DMA_MAP, DMA_MAP, DMA_MAP):
                _, answered, size, _, error = struct.unpack("<HHIII", client.take(16))
                client.take(size - 16)
                self.assertEqual((answered, error), (command, 0))


for _name, _options, _run, *_status in ATTACKS:
    setattr(Attacks, f"test_{_name}", functools.partialmethod(Attacks.attack, _options, _run, *_status))

if __name__ == "__main__":
    unittest.main()
