# SPDX-License-Identifier: BSD-3-Clause
"""Clients of a program's telemetry that mean harm, beside a neighbour who sees that frames go on; and programs that answer the tools
with anything, beside a program that means well. An attack is a row of ATTACKS or of ANSWERS."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable

from descriptor_zoo import Lingering, various
from telemetry_client import Client, Forwarder, Gone, Neighbour, Program, forwarder, quiet, send_rights

POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
QUIET = sys.argv.pop()
SECONDS = 2.0  # of an attack
HAS_ETHTOOL = shutil.which("ethtool", path="/usr/sbin:/usr/bin:/sbin:/bin")
LONGEST = 10.0  # that the neighbour may wait: far more than it does, since machines may be slow and busy
ASK = b'{"id":1,"method":"process"}\n'
START = b'{"id":1,"method":"capture.start","params":{"port":"plx0"}}\n'


def lingers(target: Forwarder, sockets: Lingering, clients: int = 1) -> None:
    """A descriptor whose close waits, after each part of a request."""
    for text in (ASK, ASK[:5], b"\n", START):
        for _ in range(clients):
            with contextlib.suppress(Gone), sockets.one() as descriptor:
                target.connect().send(text, [descriptor])


def many_lingers(target: Forwarder, sockets: Lingering) -> None:
    lingers(target, sockets, 25)


def lingering_captures(target: Forwarder, sockets: Lingering) -> None:
    """The connection is a capture's when the descriptor comes."""
    for _ in range(8):
        client = Client(target.socket)
        client.send(START)
        client.socket.recv(1)
        with contextlib.suppress(Gone), sockets.one() as descriptor:
            client.send(b"x", [descriptor])
        client.close()


def zoo(target: Forwarder, _: Lingering) -> None:
    """Descriptors of all kinds, and as many as one message takes."""
    with various() as descriptors:
        many = [os.dup(descriptors[0]) for _ in range(253)]
        for sent in (descriptors, many):
            for _ in range(20):
                target.connect().send(ASK, sent)
        for descriptor in many:
            os.close(descriptor)


def half_messages(target: Forwarder, _: Lingering) -> None:
    for size in range(40):
        target.connect().send(ASK[: size % len(ASK)])


def long_messages(target: Forwarder, _: Lingering) -> None:
    """Requests without an end, and ones that are as long as they may be."""
    nested = b'{"id":' + b"[" * 65000
    wide = b'{"id":1,"method":"process","params":{' + b",".join(b'"%d":0' % i for i in range(7000)) + b"}}\n"
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for text in (nested, nested + b"\n", wide, wide[:-1] + b" " * 100000, b"\0" * 65536, b"\n" * 65536):
            with contextlib.suppress(Gone):
                client = Client(target.socket)
                client.socket.settimeout(0.5)
                client.send(text)
            client.close()


def endless_requests(target: Forwarder, _: Lingering) -> None:
    clients = [target.connect() for _ in range(8)]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for client in clients:
            with contextlib.suppress(OSError):
                client.socket.send(b'{"id":1,"method":"port.registers","params":{"port":"plx0"}}\n' * 200, socket.MSG_DONTWAIT)
            with contextlib.suppress(OSError):
                client.socket.recv(1 << 20, socket.MSG_DONTWAIT)


def reads_nothing(target: Forwarder, _: Lingering) -> None:
    clients = [target.connect() for _ in range(8)]
    for client in clients:
        client.socket.settimeout(SECONDS / 8)
        with contextlib.suppress(Gone):
            client.send(b'{"id":1,"method":"port.registers","params":{"port":"plx0"}}\n' * 2000)


def captures_without_a_reader(target: Forwarder, _: Lingering) -> None:
    """Four hold all places, two ask too many. They make room for one that is read."""
    for _ in range(6):
        target.connect().send(START)
    reader = target.connect()
    deadline = time.monotonic() + LONGEST
    while "result" not in (answer := reader.call("capture.start", port="plx0")):
        if time.monotonic() > deadline:
            raise AssertionError(answer)
        time.sleep(0.1)
    reader.close()


def connections(target: Forwarder, _: Lingering) -> None:
    """A thousand at a time, and none says anything."""
    clients = []
    for _ in range(1000):
        client = socket.socket(socket.AF_UNIX)
        clients.append(client)
        client.settimeout(1)
        with contextlib.suppress(OSError):
            client.connect(target.socket)
    for client in clients:
        client.close()


def comes_and_goes(target: Forwarder, _: Lingering) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError, Gone):
            client = Client(target.socket, seconds=1)
            client.send(ASK)
        client.close()


# Name, the attack.
ATTACKS: list[tuple[str, Callable[[Forwarder, Lingering], None]]] = [
    ("lingers", lingers),
    ("many_lingers", many_lingers),
    ("lingering_captures", lingering_captures),
    ("zoo", zoo),
    ("half_messages", half_messages),
    ("long_messages", long_messages),
    ("endless_requests", endless_requests),
    ("reads_nothing", reads_nothing),
    ("captures_without_a_reader", captures_without_a_reader),
    ("connections", connections),
    ("comes_and_goes", comes_and_goes),
]


def result(line: bytes) -> bytes:
    """What a program that means well could answer."""
    request = json.loads(line)
    results = {"process": {"pid": os.getpid(), "program": "hostile", "version": "1"}, "ports": [{"name": "plx7", "uri": "sim:7"}]}
    return json.dumps({"id": request["id"], "result": results.get(request["method"], {})}).encode() + b"\n"


def answers_with_a_lingering_one(connection: socket.socket, line: bytes, sockets: Lingering, times: int = 1) -> None:
    with contextlib.ExitStack() as stack:
        send_rights(connection, result(line), [stack.enter_context(sockets.one()) for _ in range(times)])


def answers_with_many(connection: socket.socket, line: bytes, sockets: Lingering) -> None:
    answers_with_a_lingering_one(connection, line, sockets, 50)


def answers_with_a_zoo(connection: socket.socket, line: bytes, _: Lingering) -> None:
    with various() as descriptors:
        send_rights(connection, result(line), descriptors)


def answers_before_a_lingering_one(connection: socket.socket, line: bytes, sockets: Lingering) -> None:
    """The tool has all that it wants, and closes."""
    connection.sendall(result(line))
    with sockets.one() as descriptor:
        send_rights(connection, b"x", [descriptor])


def answers_without_end(connection: socket.socket, _: bytes, __: Lingering) -> None:
    while True:
        connection.sendall(b" " * 65536)


def answers_with_lines_without_end(connection: socket.socket, _: bytes, __: Lingering) -> None:
    while True:
        connection.sendall(b'{"id":77,"result":[]}\n' * 1000)


def answers_nothing(_: socket.socket, __: bytes, ___: Lingering) -> None:
    pass


def answers_a_byte_a_second(connection: socket.socket, line: bytes, _: Lingering) -> None:
    for byte in result(line):
        time.sleep(1)
        connection.sendall(bytes([byte]))


def answers_too_deep(connection: socket.socket, _: bytes, __: Lingering) -> None:
    connection.sendall(b'{"id":1,"result":' + b"[" * 1000000 + b"]" * 1000000 + b"}\n")


def captures_without_end(connection: socket.socket, line: bytes, _: Lingering) -> None:
    connection.sendall(result(line))
    while b"capture.start" in line:
        connection.sendall((6).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(20) + (32).to_bytes(4, "little"))


# Name, how the program answers.
ANSWERS: list[tuple[str, Callable[[socket.socket, bytes, Lingering], None]]] = [
    ("answers_with_a_lingering_one", answers_with_a_lingering_one),
    ("answers_with_many", answers_with_many),
    ("answers_with_a_zoo", answers_with_a_zoo),
    ("answers_before_a_lingering_one", answers_before_a_lingering_one),
    ("answers_without_end", answers_without_end),
    ("answers_with_lines_without_end", answers_with_lines_without_end),
    ("answers_nothing", answers_nothing),
    ("answers_a_byte_a_second", answers_a_byte_a_second),
    ("answers_too_deep", answers_too_deep),
    ("captures_without_end", captures_without_end),
]

# What asks all programs, and what asks the port of one.
ASKING_ALL = (["ports"], ["exporter", "--once"], ["top", "--batch", "--updates", "1"])
ASKING_ONE = (["stats", "plx7"], ["capture", "plx7", "--seconds", "1", "-w", "-"], ["ethtool", "-i", "plx7"], ["ethtool", "plx7"])
TOOL_SECONDS = 100


class Attacks(unittest.TestCase):
    def attack(self, run: Callable[[Forwarder, Lingering], None]) -> None:
        with Lingering() as sockets, forwarder(L2FWD) as target:
            neighbour = Neighbour(target.connect())
            neighbour.start()
            try:
                run(target, sockets)
            finally:
                time.sleep(0.3)
                neighbour.ends.set()
                neighbour.join(60)
            self.assertFalse(neighbour.lost, "the neighbour has lost its connection")
            self.assertGreater(neighbour.answers, 0)
            self.assertLess(neighbour.longest_answer, LONGEST)
            self.assertLess(neighbour.longest_rest, LONGEST)
            self.serves_a_newcomer(target)
            self.ends(target)

    def serves_a_newcomer(self, target: Forwarder) -> None:
        deadline = time.monotonic() + LONGEST
        while "result" not in (answer := target.connect().call("process")):
            self.assertLess(time.monotonic(), deadline, answer)
            time.sleep(0.1)

    def ends(self, target: Forwarder) -> None:
        printed = target.stop()
        self.assertEqual(target.process.returncode, 0, printed)
        self.assertIn("conserved: yes", printed)

    def test_its_end_waits_for_nobody(self):
        """Not for descriptors of clients that it has accepted, nor for those of others."""
        with Lingering() as sockets, forwarder(L2FWD) as target:
            lingers(target, sockets)
            target.process.send_signal(signal.SIGSTOP)
            for _ in range(8):
                with sockets.one() as descriptor:
                    target.connect().send(ASK, [descriptor])
            self.ends(target)


class Folder(unittest.TestCase):
    """Somebody else takes the name of a user's folder in /tmp, and 1,000 names that look like it."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be two users")
        self.user = 1_000_000_000 + os.getpid()
        self.usual = pathlib.Path(f"/tmp/pollux-{self.user}")
        self.programs = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.programs.chmod(0o755)
        self.addCleanup(self.remove)
        for place in (self.usual, *(self.name(number) for number in range(1000))):
            place.mkdir(0o700)
            os.chown(place, 65534, 65534)

    def name(self, number: int) -> pathlib.Path:
        return self.usual.with_name(f"{self.usual.name}-{number:06}")

    def remove(self) -> None:
        for place in self.usual.parent.glob(f"{self.usual.name}*"):
            shutil.rmtree(place)

    def start(self, program: str, *words: str) -> subprocess.Popen:
        copy = self.programs / pathlib.Path(program).name
        if not copy.exists():
            shutil.copy(program, copy)
        return subprocess.Popen([copy, *words], env={"PATH": "/usr/bin:/bin"}, user=self.user, group=65534, extra_groups=[],
                                cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_taken_name(self):
        program = self.start(QUIET)
        deadline = time.monotonic() + 30
        printed = ""
        try:
            while "plx1" not in printed and program.poll() is None and time.monotonic() < deadline:
                begin = time.monotonic()
                printed = self.start(POLLUX, "ports").communicate(timeout=30)[0]
                self.assertLess(time.monotonic() - begin, 5)
        finally:
            program.terminate()
            said = program.communicate(timeout=30)[0]
        self.assertIn("quiet", printed, said)


class Files(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "only root can be two users")
    def test_pipe_of_a_stranger(self):
        with tempfile.TemporaryDirectory() as folder, quiet(QUIET, folder) as environment:
            pipe = pathlib.Path(folder, "for-all", "capture")
            pipe.parent.mkdir()
            pipe.parent.chmod(0o1777)
            os.mkfifo(pipe)
            os.chown(pipe, 61001, 61001)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            said = subprocess.run([POLLUX, "capture", "plx1", "-w", pipe, "--seconds", "1"], env=environment, text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=TOOL_SECONDS, check=False).stderr
            self.assertEqual(os.read(reader, 1), b"")
            os.close(reader)
        self.assertIn("another user", said)


class Programs(unittest.TestCase):
    """A program that does harm at once, one that waits until it is asked about its port, and one that means well."""

    def judge(self, answer: Callable[[socket.socket, bytes, Lingering], None]) -> None:
        with tempfile.TemporaryDirectory() as folder, Lingering() as sockets, quiet(QUIET, folder) as environment:

            def harm(connection: socket.socket, line: bytes) -> None:
                answer(connection, line, sockets)

            def harm_later(connection: socket.socket, line: bytes) -> None:
                is_first = json.loads(line)["method"] in ("process", "ports")
                connection.sendall(result(line)) if is_first else harm(connection, line)

            with contextlib.ExitStack() as stack:
                for name, serve in (("1", harm), ("2", harm_later)):
                    stack.callback(Program(folder, name, serve).close)
                self.run_tools(environment)

    def run_tools(self, environment: dict[str, str]) -> None:
        all_words = [words for words in (*ASKING_ALL, *ASKING_ONE) if words[0] != "ethtool" or HAS_ETHTOOL]
        tools = [subprocess.Popen([POLLUX, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                 for words in all_words]
        deadline = time.monotonic() + TOOL_SECONDS
        for words, tool in zip(all_words, tools):
            try:
                printed = tool.communicate(timeout=max(deadline - time.monotonic(), 0))[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                printed = "does not end"
                tool.kill()
                tool.communicate()
            with self.subTest(words=words):
                self.assertGreaterEqual(tool.returncode, 0, printed)
                if words in ASKING_ALL:
                    self.assertIn("quiet", printed, "it shows the program that means well")
                    self.assertRegex(printed, r'/1\.sock|pid="1"|hostile', "it shows the other one")


def _case(judge: Callable, attack: Callable) -> Callable[[unittest.TestCase], None]:
    return lambda self: judge(self, attack)


for _name, _attack in ATTACKS:
    setattr(Attacks, f"test_{_name}", _case(Attacks.attack, _attack))
for _name, _answer in ANSWERS:
    setattr(Programs, f"test_{_name}", _case(Programs.judge, _answer))

if __name__ == "__main__":
    unittest.main()
