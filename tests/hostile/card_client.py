# SPDX-License-Identifier: BSD-3-Clause
"""A client of `pollux card` that may do anything, and a neighbour that asks for an answer all the time.

The messages: QEMU, docs/interop/vfio-user.rst.
"""

import array
import contextlib
import mmap
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

VERSION, DMA_MAP, SET_IRQS, REGION_READ, REGION_WRITE = 1, 2, 8, 9, 10
CONFIG = 7
MEMORY = 1 << 32  # the address of a client's memory
V1, PLATFORM, CSUM, TSO6, INDIRECT, CONTROL, MERGE = 1 << 32, 1 << 33, 1 << 0, 1 << 12, 1 << 28, 1 << 17, 1 << 15


class Gone(Exception):
    """The server has closed the connection, or does not answer."""


class Client:
    def __init__(self, path: str, seconds: float = 20, negotiate: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        try:
            self.connect(path, time.monotonic() + seconds)
            if negotiate:
                self.call(VERSION, b"\0\0\0\0{}\0")
        except Gone:
            self.close()
            raise

    def connect(self, path: str, deadline: float) -> None:
        """A server that has just started has its socket's file before it listens."""
        while True:
            try:
                return self.socket.connect(path)
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def close(self) -> None:
        self.socket.close()

    def send(self, command: int, payload: bytes, descriptors: list[int] | None = None) -> None:
        message = struct.pack("<HHIII", 1, command, 16 + len(payload), 0, 0) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            sent = self.socket.sendmsg([message], rights)
            self.socket.sendall(message[sent:])
        except OSError as error:
            raise Gone from error

    def take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except OSError as error:
                raise Gone from error
            if not part:
                raise Gone
            data += part
        return data

    def call(self, command: int, payload: bytes, descriptors: list[int] | None = None) -> tuple[int, bytes]:
        """The error number and the content of the reply."""
        self.send(command, payload, descriptors)
        _, _, size, _, error = struct.unpack("<HHIII", self.take(16))
        return error, self.take(size - 16)

    def read(self, region: int, offset: int, count: int) -> tuple[int, bytes]:
        error, reply = self.call(REGION_READ, struct.pack("<QII", offset, region, count))
        return error, reply[16:]

    def write(self, region: int, offset: int, value: int, width: int) -> None:
        self.call(REGION_WRITE, struct.pack("<QII", offset, region, width) + value.to_bytes(width, "little"))

    def map(self, descriptor: int, size: int, address: int = MEMORY) -> int:
        return self.call(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, address, size), [descriptor])[0]


class Memory:
    """Memory that a client shares with its card."""

    def __init__(self, client: Client, size: int = 16 << 20) -> None:
        descriptor = os.memfd_create("client")
        os.ftruncate(descriptor, size)
        self.bytes = mmap.mmap(descriptor, size)
        self.error = client.map(descriptor, size)
        os.close(descriptor)

    def put(self, offset: int, layout: str, *values: int) -> None:
        struct.pack_into("<" + layout, self.bytes, offset, *values)


def start_virtio(client: Client, features: int, queues: int, size: int) -> Memory:
    """Queue n has its parts at n times 256 KiB; the rest of the memory is free."""
    memory = Memory(client)
    client.write(CONFIG, 4, 6, 2)
    for status in (0, 1, 3):
        client.write(4, 0x14, status, 1)
    for half in (0, 1):
        client.write(4, 8, half, 4)
        client.write(4, 0xC, (features | V1 | PLATFORM) >> 32 * half & 0xFFFFFFFF, 4)
    client.write(4, 0x14, 0xB, 1)
    for queue in range(queues):
        client.write(4, 0x16, queue, 2)
        client.write(4, 0x18, size, 2)
        for area in range(3):
            address = MEMORY + queue * 0x40000 + area * 0x10000
            client.write(4, 0x20 + 8 * area, address & 0xFFFFFFFF, 4)
            client.write(4, 0x24 + 8 * area, address >> 32, 4)
        client.write(4, 0x1C, 1, 2)
    client.write(4, 0x14, 0xF, 1)
    return memory


def kick(client: Client, queue: int) -> None:
    client.write(4, 0x3000 + 4 * queue, queue, 2)


def start_82576(client: Client, control: int, *more: tuple[int, int]) -> Memory:
    """The PHY turns frames back. The ring of transmission is at 0, and that of reception at 256 KiB."""
    memory = Memory(client)
    client.write(CONFIG, 4, 6, 2)
    for offset, value in ((0x0000, 0x41), (0x0020, 1 << 26 | 1 << 21 | 0x4140), (0x0000, control),
                          (0x0400, 0xA), (0x0100, 0x801A), (0xE000, 0), (0xE004, MEMORY >> 32), (0xE008, 65536),
                          (0xE028, 1 << 25), (0xC000, 0x40000), (0xC004, MEMORY >> 32), (0xC008, 4096), (0xC028, 1 << 25), *more):
        client.write(0, offset, value, 4)
    if not any(client.read(0, 8, 4)[1][0] & 2 or time.sleep(0.05) for _ in range(200)):
        raise AssertionError("the card has no link, so it sends nothing")
    return memory


class Neighbour(threading.Thread):
    """Another client, which reads a register all the time."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.longest = 0.0
        self.answers = 0
        self.lost = False
        self.ends = threading.Event()

    def run(self) -> None:
        while not self.ends.wait(0.001):
            begin = time.monotonic()
            try:
                self.lost = self.client.read(CONFIG, 0, 4)[0] != 0
            except Gone:
                self.lost = True
            self.longest = max(self.longest, time.monotonic() - begin)
            self.answers += 1
            if self.lost:
                return


class Card:
    def __init__(self, program: str, folder: str, options: list[str]) -> None:
        self.clients: list[Client] = []
        self.held = contextlib.ExitStack()  # what clients keep until the server has ended
        self.sockets = [str(pathlib.Path(folder) / name) for name in ("attacked", "neighbour")]
        options = [option.replace("FOLDER", folder) for option in options]
        self.functions = [option.split("=")[1] for option in options if re.match(r"\d=", option)]  # sockets of virtual functions
        command = [program, "card", *options, "--socket", self.sockets[0], "--socket", self.sockets[1]]
        environment = os.environ | {"POLLUX_CONFINEMENT": "trap"}  # a system call that is not allowed ends it
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        deadline = time.monotonic() + 30
        while not all(pathlib.Path(path).exists() for path in self.sockets + self.functions):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"pollux card has not started: {self.stop()}")
            time.sleep(0.02)

    def connect(self, index: int, seconds: float = 20, negotiate: bool = True) -> Client:
        """A client of a socket, which stays until the server stops."""
        self.clients.append(Client(self.sockets[index], seconds, negotiate))
        return self.clients[-1]

    def files(self) -> int:
        """The number of files that the server has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        try:
            if self.process.stdout.closed:
                self.process.wait(30)
                return ""
            return self.process.communicate(timeout=30)[0]
        finally:
            self.held.close()
            for client in self.clients:
                client.close()


@contextlib.contextmanager
def card(program: str, *options: str) -> Iterator[Card]:
    with tempfile.TemporaryDirectory() as folder:
        started = Card(program, folder, list(options))
        try:
            yield started
        finally:
            if started.process.poll() is None:
                started.stop()
