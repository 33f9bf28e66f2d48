# SPDX-License-Identifier: BSD-3-Clause
"""A client of a program's telemetry that may do anything, a neighbour that asks all the time whether frames go on, and a program that
answers its clients with anything. docs/telemetry.md."""

import array
import contextlib
import json
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator


class Gone(Exception):
    """The program has closed the connection, or does not answer."""


def send_rights(end: socket.socket, text: bytes, descriptors: list[int]) -> None:
    end.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


class Client:
    def __init__(self, path: str, seconds: float = 30) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.rest = b""
        self.id = 0
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.socket.connect(path)
            except BlockingIOError:  # others wait for the program to accept them
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def close(self) -> None:
        self.socket.close()

    def send(self, text: bytes, descriptors: list[int] | None = None) -> None:
        try:
            send_rights(self.socket, text, descriptors) if descriptors else self.socket.sendall(text)
        except OSError as error:
            raise Gone from error

    def call(self, method: str, **params) -> dict:
        self.id += 1
        self.send(json.dumps({"id": self.id, "method": method, "params": params}).encode() + b"\n")
        while b"\n" not in self.rest:
            try:
                part = self.socket.recv(1 << 16)
            except OSError as error:
                raise Gone from error
            if not part:
                raise Gone
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)


class Neighbour(threading.Thread):
    """Another client, which asks for the frames that a port has received."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.longest_answer = 0.0
        self.longest_rest = 0.0  # without a frame
        self.answers = 0
        self.lost = False
        self.ends = threading.Event()

    def run(self) -> None:
        frames, rose = -1, time.monotonic()
        while not self.ends.wait(0.01):
            begin = time.monotonic()
            try:
                received = self.client.call("port.stats", port="plx1")["result"]["rx_packets"]
            except (Gone, KeyError):
                self.lost = True
                return
            now = time.monotonic()
            self.answers += 1
            self.longest_answer = max(self.longest_answer, now - begin)
            self.longest_rest = max(self.longest_rest, now - rose)
            if received > frames:
                frames, rose = received, now


class Forwarder:
    """l2fwd with telemetry, between two cards on which frames circulate."""

    def __init__(self, program: str, folder: str) -> None:
        self.environment = {"XDG_RUNTIME_DIR": folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        self.clients: list[Client] = []
        self.process = subprocess.Popen([program, "sim:0", "sim:1", "--telemetry", "--circulate", "64"], env=self.environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.socket = f"{folder}/pollux/{self.process.pid}.sock"
        deadline = time.monotonic() + 30
        while not pathlib.Path(self.socket).exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"l2fwd has not started: {self.stop()}")
            time.sleep(0.02)
        client = self.connect()
        while client.call("port.stats", port="plx1")["result"]["rx_packets"] == 0:  # frames come once the links are up
            if time.monotonic() > deadline:
                raise AssertionError("no frames")
            time.sleep(0.02)

    def connect(self, seconds: float = 30) -> Client:
        """A client that stays until the program has ended."""
        self.clients.append(Client(self.socket, seconds))
        return self.clients[-1]

    def stop(self, seconds: float = 30) -> str:
        """What it printed. TimeoutExpired: it does not end."""
        try:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            return self.process.communicate(timeout=seconds)[0]
        finally:
            self.process.kill()
            self.process.communicate()
            for client in self.clients:
                client.close()


@contextlib.contextmanager
def forwarder(program: str) -> Iterator[Forwarder]:
    with tempfile.TemporaryDirectory() as folder:
        started = Forwarder(program, folder)
        try:
            yield started
        finally:
            if started.process.poll() is None:
                started.stop()


@contextlib.contextmanager
def quiet(program: str, folder: str) -> Iterator[dict[str, str]]:
    """A program with telemetry that waits; the environment of clients that find it."""
    environment = {"XDG_RUNTIME_DIR": folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen([program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while not pathlib.Path(folder, "pollux", f"{process.pid}.sock").exists():
            if time.monotonic() > deadline or process.poll() is not None:
                raise AssertionError(f"{program} has not started")
            time.sleep(0.02)
        yield environment
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Program:
    """Has a socket where running programs have theirs. Each connection gets a thread that may answer anything."""

    def __init__(self, folder: str, name: str, answer: Callable[[socket.socket, bytes], None]) -> None:
        self.path = f"{folder}/pollux/{name}.sock"
        pathlib.Path(self.path).parent.mkdir(mode=0o700, exist_ok=True)
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.connections: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.threads.append(threading.Thread(target=self.accept))
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self.threads[-1].start()

    def serve(self, connection: socket.socket) -> None:
        received = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(1 << 16):
                received += part
                while b"\n" in received:
                    line, received = received.split(b"\n", 1)
                    self.answer(connection, line)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for end in (*self.connections, self.listener):
            end.close()
        pathlib.Path(self.path).unlink()
