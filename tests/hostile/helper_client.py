# SPDX-License-Identifier: BSD-3-Clause
"""A client of `pollux xdp-helper` that may do anything, and a neighbour whose ports the helper has to serve meanwhile.

The messages: lib/ports/xdp/helper_message.hpp.
"""

import array
import contextlib
import grp
import json
import os
import pathlib
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))
from namespaces import SECONDS, Program, run  # noqa: E402 pylint: disable=wrong-import-position

VERSION = 6
OPEN, SOCKET, COUNTERS, LOAD, ATTACH, REPLACE, DETACH, JOIN, PROGRAM, ROUTE, STATE, SUBSCRIBE = range(12)
CALLS = 12
RAW = 7  # MatchProtocol
INTERFACE = "plxh0"
GROUP = 65534
ATTACKER, NEIGHBOUR = 20001, 20002
# What the systemd unit leaves.
CAPABILITIES = "-all,+net_raw,+net_admin,+bpf,+perfmon,+chown,+fowner"


def number(*values: int) -> bytes:
    return struct.pack(f"={len(values)}I", *values)


def text(data: bytes) -> bytes:
    return number(len(data)) + data


def raw_rules(count: int, items: int) -> bytes:
    """Rules that compare 16 bytes at each of some places."""
    rules = number(count)
    for rule in range(count):
        rules += number(rule + 1, rule, 0, 1, items)
        for item in range(items):
            rules += number(RAW, 14 + 16 * item) + text(bytes([rule] * 16)) + text(b"\xff" * 16) + text(b"")
    return rules


class Gone(OSError):
    """The helper has closed the connection, or does not answer."""


class Client:
    def __init__(self, path: str, seconds: float = 20) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # In the kernel: a socket of Python's with a limit would not wait for its turn to be accepted.
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            self.socket.setsockopt(socket.SOL_SOCKET, option, limit)
        try:
            self.socket.connect(path)
        except OSError as error:
            self.close()
            raise Gone(f"connect: {error}") from error

    def close(self) -> None:
        self.socket.close()

    def send(self, message: bytes, descriptors: list[int] | None = None) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.socket.sendmsg([message], rights)
        except OSError as error:
            raise Gone(f"send: {error}") from error

    def receive(self) -> tuple[int, list[int]]:
        """The code of the answer, and its descriptors."""
        try:
            answer, rights, _, _ = self.socket.recvmsg(1 << 17, socket.CMSG_SPACE(64))
        except OSError as error:
            raise Gone(f"receive: {error}") from error
        if not answer:
            raise Gone("the connection has ended")
        descriptors = array.array("i")
        for _, _, data in rights:
            descriptors.frombytes(data)
        return struct.unpack_from("=I", answer)[0], list(descriptors)

    def call(self, call: int, arguments: bytes = b"") -> list[int]:
        self.send(number(call) + arguments)
        code, descriptors = self.receive()
        if code != 0:
            raise Gone(f"the call {call} has failed with {code - 1}")
        return descriptors

    def use(self, call: int, arguments: bytes = b"") -> None:
        """A call whose descriptors are not needed."""
        for descriptor in self.call(call, arguments):
            os.close(descriptor)

    def open(self) -> None:
        self.use(OPEN, number(VERSION) + text(INTERFACE.encode()))


def start_port(client: Client) -> None:
    """All that a helper does for a port."""
    client.open()
    client.use(SOCKET, number(0, 512, 512))
    client.use(COUNTERS)
    client.use(LOAD, raw_rules(1, 1) + number(0, 0))
    client.use(ATTACH, number(0))
    client.use(JOIN, text(b"\2\0\0\0\0\1") + number(0))
    client.use(SUBSCRIBE)


class Child:
    """A function in a process of another user, which ends with it."""

    def __init__(self, user: int, work: Callable[[int], None]) -> None:
        """`work` gets the end of a pipe, and a pipe is closed when it has to end."""
        read, write = os.pipe()
        stop, self._lives = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            status = 1
            with contextlib.suppress(BaseException):
                try:
                    warnings.simplefilter("ignore", ResourceWarning)  # its end closes all
                    os.close(read)
                    os.close(self._lives)
                    os.dup2(write, 1)
                    os.setgroups([])
                    os.setresgid(GROUP, GROUP, GROUP)
                    os.setresuid(user, user, user)
                    work(stop)
                    status = 0
                except Exception:
                    traceback.print_exc()
                    raise
            os._exit(status)
        os.close(write)
        os.close(stop)
        self._output = os.fdopen(read)

    def wait(self) -> None:
        """Until it has written something, or has ended."""
        select.select([self._output], [], [], SECONDS)

    def join(self) -> str:
        """What it has written, after it was told to end."""
        os.close(self._lives)
        timer = threading.Timer(SECONDS, os.kill, [self.process, signal.SIGKILL])
        timer.start()
        with self._output:
            output = self._output.read()
        _, status = os.waitpid(self.process, 0)
        timer.cancel()
        if status != 0:
            raise AssertionError(f"a process of the test has ended with {status}")
        return output


def be_neighbour(path: str) -> Callable[[int], None]:
    """Has a port, and opens others all the time. Writes how often, when each call began and ended, and what has failed."""

    def work(stop: int) -> None:
        calls = []

        def measure(call: Callable[[], None]) -> None:
            begin = time.monotonic()
            try:
                call()
            finally:
                calls.append((begin, time.monotonic()))

        port = Client(path)
        port.open()
        opened, failed = 0, ""
        os.write(1, b"\n")
        while not failed and not select.select([stop], [], [], 0.001)[0]:
            try:
                measure(lambda: port.use(STATE))
                other = Client(path)
                measure(other.open)
                measure(lambda: other.use(SOCKET, number(0, 512, 512)))
                other.close()
                opened += 1
            except Gone as error:
                failed = str(error)
        os.write(1, json.dumps([opened, calls, failed]).encode())

    return work


class Helper:
    """A helper for the members of a group, with the capabilities that the systemd unit leaves."""

    def __init__(self, program: str, folder: str, descriptors: int) -> None:
        self.path = f"{folder}/helper.sock"
        limits = ["prlimit", f"--nofile={descriptors}", "setpriv", "--no-new-privs", "--bounding-set=" + CAPABILITIES]
        trap = ["env", "POLLUX_CONFINEMENT=trap"]  # a system call that is not allowed ends it
        words = [program, "xdp-helper", "--interface", INTERFACE, "--socket", self.path, "--group", grp.getgrgid(GROUP).gr_name]
        self.program = Program(trap + limits + words, "listening", output=True)

    def said(self) -> str:
        """Its last lines."""
        return self.program.said()[-2000:]


@contextlib.contextmanager
def helper(program: str, descriptors: int = 1024) -> Iterator[Helper]:
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", "plxh1")
    with tempfile.TemporaryDirectory(prefix="pollux-helper-") as folder:
        os.chmod(folder, 0o755)
        started = None
        try:
            run("ip", "link", "set", INTERFACE, "up")
            started = Helper(program, folder, descriptors)
            yield started
        finally:
            if started is not None:
                started.program.end()
            run("ip", "link", "del", INTERFACE)
