# SPDX-License-Identifier: BSD-3-Clause
"""What a keeper gives to the next program after a crash is not what the one before has stored: other descriptors under its names, a record with
other values, rings with other positions. The program starts anew, goes on, or says why it cannot; it never crashes, and another port goes
on."""

import json
import mmap
import os
import pathlib
import random
import re
import socket
import struct
import sys
import traceback
import unittest
from collections.abc import Callable, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))
import keeper_test  # noqa: E402 pylint: disable=wrong-import-position
from keeper_test import CRASH, Program  # noqa: E402 pylint: disable=wrong-import-position
from namespaces import SECONDS, enter_own_namespace  # noqa: E402 pylint: disable=wrong-import-position

VALUES = int(os.environ.get("POLLUX_LIES", "25"))
NAMES = ("link", "sockets", "counters", "memory", "queue 0")
WORDS = (None, 0, 1, -1, 3, 1 << 12, (1 << 31) - 1, 1 << 32, 1 << 47, (1 << 64) - 1, 0.5, "", "x" * 1000, [], {}, [[]], True)
# Linux, uapi/linux/if_xdp.h
AF_XDP, SOL_XDP, XDP_MMAP_OFFSETS = 44, 283, 1
# Where the rings of received frames, of frames to send, of free and of sent buffers are mapped.
RINGS = (0, 0x80000000, 0x100000000, 0x180000000)
Held = dict[str, int]


def setUpModule() -> None:
    enter_own_namespace()


def shrinks_later() -> int:
    file = os.memfd_create("shrinks", os.MFD_ALLOW_SEALING)
    os.ftruncate(file, 8 << 20)
    return file


# What is stored in place of a descriptor.
KINDS: dict[str, Callable[[], int]] = {
    "pipe": lambda: os.pipe()[0],
    "endless": lambda: os.open("/dev/zero", os.O_RDWR),
    "shrinks": shrinks_later,
    "small": lambda: os.memfd_create("small"),
    "datagrams": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    "unbound": lambda: socket.socket(AF_XDP, socket.SOCK_RAW).detach(),
}


def places(json_value: object, path: tuple = ()) -> Iterator[tuple]:
    """Where a record has values."""
    if path:
        yield path
    inner = json_value.items() if isinstance(json_value, dict) else enumerate(json_value) if isinstance(json_value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def change_records(memory: int, change: Callable[[dict], None]) -> None:
    """A record is a text behind its length. There are two, one of which is in force."""
    content = os.pread(memory, 1 << 20, 0)
    changed = 0
    for found in re.finditer(rb'\{"', content):
        length, = struct.unpack_from("<Q", content, found.start() - 8)
        if not 100 < length < 1 << 17:
            continue
        record = json.loads(content[found.start():found.start() + length])
        change(record)
        text = json.dumps(record, separators=(",", ":")).encode()
        os.pwrite(memory, struct.pack("<Q", len(text)) + text, found.start() - 8)
        changed += 1
    assert changed, "no record was found"


def put(record: object, path: tuple, value: object) -> None:
    for key in path[:-1]:
        record = record[key]
    record[path[-1]] = value


class Lies(keeper_test.Kept):
    def after(self, lie: Callable[[Held], Held]) -> None:
        """A process takes what is held of a port, and stores what the lie makes of it. It ends, and the next program comes."""
        liar = os.fork()
        if liar == 0:
            status = 1
            try:
                answer, descriptors = self.ask("FDTAKE=1\nFDNAME=xdp/plxx0/\n")
                held = dict(zip((name.removeprefix("xdp/plxx0/") for name in answer["names"]), descriptors))
                assert sorted(held) == sorted(NAMES), answer
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                    client.connect(self.path)
                    for name, descriptor in lie(held).items():
                        socket.send_fds(client, [f"FDSTORE=1\nFDNAME=xdp/plxx0/{name}\n".encode()], [descriptor])
                self.ask("FDLIST=1\nFDNAME=\n")  # all is stored
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(liar, 0)[1], 0)

    def next_program(self) -> Program:
        """Which says what it makes of that. The other port goes on in each case."""
        program = self.open()
        self.wait_until(lambda: "forwarding" in program.said() or program.process.poll() is not None)
        if program.process.poll() is None:
            self.assertRegex(program.said(), "xdp:plxx0.*(starts anew|continues after a crash)")
            self.assertRegex(program.said(), "xdp:plxx1.*continues after a crash")
            return program
        self.assertIn(program.process.returncode, (1, 2), program.said())
        self.assertIn("xdp:plxx0", program.said())
        # What it could not use it leaves alone; nobody else has to.
        keeper_test.run(keeper_test.POLLUX, "keeper", "drop", "xdp/plxx0/", "--socket", self.path)
        self.wait_until(lambda: not self.has_program())
        return self.start()

    def goes_on(self, program: Program) -> None:
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        self.assertIn("xdp", keeper_test.run("ip", "link", "show", "plxx1"))
        program.summary(stop=True)
        self.wait_until(lambda: self.held() == [])

    def other_descriptor(self, name: str) -> None:
        program = self.start()
        for kind, make in KINDS.items():
            with self.subTest(kind):
                program.crash()
                self.after(lambda _: {name: make()})
                program = self.next_program()
                self.assertIn("starts anew", program.said())
        self.goes_on(program)

    def test_memory_that_shrinks_behind_the_record(self) -> None:
        """It has all that the port's own has, but for the seal."""
        self.start().crash()

        def lie(held: Held) -> Held:
            copy = shrinks_later()
            os.sendfile(copy, held["memory"], 0, 1 << 20)
            return {"memory": copy}

        self.after(lie)
        self.goes_on(self.next_program())

    def test_the_program_of_another_port(self) -> None:
        """It is not detached."""
        self.start().crash()
        answer, descriptors = self.ask("FDTAKE=1\nFDNAME=xdp/plxx1/\n")
        other = descriptors[answer["names"].index("xdp/plxx1/link")]
        self.after(lambda _: {"link": other})
        for descriptor in descriptors:
            os.close(descriptor)
        l2fwd = self.open()  # this process has the other port now
        self.assertNotEqual(l2fwd.process.wait(timeout=SECONDS), 0)
        self.assertIn("runs and has xdp/plxx1/", l2fwd.said())
        self.assertIn("xdp", keeper_test.run("ip", "link", "show", "plxx1"))

    def test_values(self) -> None:
        dice = random.Random(int(os.environ.get("POLLUX_SEED", "58")))
        program = self.start()
        for _ in range(VALUES):
            told = []

            def change(record: dict) -> None:
                if not told:
                    all_places = [path for path in places(record) if path[0] != "settings" or path[1:2] in ((), ("rules",))]
                    told.extend((dice.choice(all_places), dice.choice(WORDS)))
                put(record, *told)

            program.crash()
            self.after(lambda held, change=change: change_records(held["memory"], change) or {})
            program = self.next_program()
        self.goes_on(program)

    def test_what_follows_the_record(self) -> None:
        """The counts of queues, and which buffers the kernel has."""
        dice = random.Random(58)
        program = self.start()
        for number in range(6):
            start, length = ((0x40000, 0xC0000), (0x80000, 0x80000), (0x40010, 64))[number % 3]
            garbage = dice.randbytes(length) if number < 3 else bytes([number]) * length
            program.crash()
            self.after(lambda held, start=start, garbage=garbage: {} if os.pwrite(held["memory"], garbage, start) else {})
            program = self.next_program()
            program.crash()
            program = self.next_program()
        program.crash()
        keeper_test.run(keeper_test.POLLUX, "keeper", "drop", "xdp/plxx0/", "--socket", self.path)
        self.goes_on(self.start())

    def test_positions_of_rings(self) -> None:
        dice = random.Random(58)

        def lie(held: Held) -> Held:
            with socket.socket(AF_XDP, socket.SOCK_RAW, 0, os.dup(held["queue 0"])) as queue:
                offsets = struct.unpack("16Q", queue.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
            for ring, place in enumerate(RINGS):
                producer, consumer, entries, _ = offsets[4 * ring:4 * ring + 4]
                with mmap.mmap(held["queue 0"], 4096, offset=place) as words:
                    for at in (producer, consumer):
                        if dice.random() < 0.5:
                            struct.pack_into("I", words, at, dice.choice((0, 1, 64, 1 << 31, (1 << 32) - 1, dice.randrange(1 << 32))))
                    if dice.random() < 0.5:
                        words[entries:] = dice.randbytes(4096 - entries)
            return {}

        for _ in range(10):
            self.start().crash()
            self.after(lie)
            program = self.next_program()
            self.hosts[0].ping("10.6.0.2", "-c", "1", "-W", "1")  # which may pass or not
            self.assertIsNone(program.process.poll(), program.said())
            program.crash()
            keeper_test.run(keeper_test.POLLUX, "keeper", "drop", "xdp/", "--socket", self.path)
            self.wait_until(lambda: not self.has_program())
        self.goes_on(self.start())


for _name in dir(keeper_test.Kept):
    if _name.startswith("test_"):
        setattr(Lies, _name, None)  # the cases of tests/interop
for _name in NAMES:
    setattr(Lies, f"test_another_{_name.replace(' ', '_')}", lambda self, name=_name: self.other_descriptor(name))

if __name__ == "__main__":
    unittest.main()
