# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors that a peer may send, most of which nobody expects; some whose close waits as long as their sender likes."""

import contextlib
import ctypes
import errno
import os
import pathlib
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator

LINGER = 120  # seconds that a close waits: far more than any test allows


class Lingering:
    """Makes TCP sockets whose last close waits, since their peers do not read. At the end the peers close."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.peers: list[socket.socket] = []
        self.closes: list[threading.Thread] = []

    def __enter__(self) -> "Lingering":
        return self

    def __exit__(self, *_: object) -> None:
        for peer in (*self.peers, self.listener):
            peer.close()
        for close in self.closes:
            close.join()

    @contextlib.contextmanager
    def one(self) -> Iterator[int]:
        """Whoever else has it when this ends closes it last, and waits; if nobody has it, a thread does."""
        sender = socket.create_connection(self.listener.getsockname())
        self.peers.append(self.listener.accept()[0])
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.send(bytes(1 << 16))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
        try:
            yield sender.fileno()
        finally:
            self.closes.append(threading.Thread(target=os.close, args=[sender.detach()]))
            self.closes[-1].start()


@contextlib.contextmanager
def various() -> Iterator[list[int]]:
    """One of each kind that is at hand."""
    with contextlib.ExitStack() as stack:
        opened = [os.open(path, os.O_RDONLY) for path in ("/dev/zero", "/", "/proc/self/maps", __file__)]
        opened += [os.open("/", os.O_PATH), os.dup(stack.enter_context(select.epoll()).fileno()), os.pidfd_open(os.getpid()), *os.pipe()]
        opened += [end.detach() for end in socket.socketpair()] + [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).detach()]
        for descriptor in opened:
            stack.callback(os.close, descriptor)
        yield opened


@contextlib.contextmanager
def watched() -> Iterator[list[int]]:
    """All descriptors of an eventfd that 40,000 watchers are told of."""
    copies = [os.eventfd(0)]
    copies += [os.dup(copies[0]) for _ in range(199)]
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            poll = stack.enter_context(select.epoll())
            for copy in copies:
                poll.register(copy, select.EPOLLIN | select.EPOLLET)
        try:
            yield copies
        finally:
            for copy in copies:
                os.close(copy)


class Fuse(threading.Thread):
    """A file of a FUSE mount that answers nobody but this process. Linux, include/uapi/linux/fuse.h."""

    LOOKUP, GETATTR, OPEN, STATFS, FLUSH, INIT = 1, 3, 14, 17, 25, 26
    ATTRIBUTES = struct.pack("<6Q10I", 2, 4096, 8, 0, 0, 0, 0, 0, 0, 0o100666, 1, 0, 0, 0, 4096, 0)

    def __init__(self) -> None:
        super().__init__()
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self.folder = tempfile.mkdtemp()
        self.ends = threading.Event()
        self.asked = threading.Event()  # somebody else waits for an answer
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if self.libc.mount(b"hostile", self.folder.encode(), b"fuse", 0, options) != 0:
            error = ctypes.get_errno()
            os.close(self.device)
            pathlib.Path(self.folder).rmdir()
            raise OSError(error, os.strerror(error))

    def run(self) -> None:
        answers = {
            self.INIT: struct.pack("<4I2H2I2HI7I", 7, 31, 0, 0, 0, 0, 4096, 1, 1, 0, 0, *[0] * 7),
            self.LOOKUP: struct.pack("<4Q2I", 2, 0, 0, 0, 0, 0) + self.ATTRIBUTES,
            self.GETATTR: struct.pack("<Q2I", 0, 0, 0) + self.ATTRIBUTES,
            self.OPEN: bytes(16),
            self.STATFS: struct.pack("<5Q10I", 0, 0, 0, 0, 0, 4096, 255, *[0] * 8),
            self.FLUSH: b"",
        }
        while not self.ends.is_set():
            if not select.select([self.device], [], [], 0.05)[0]:
                continue
            request = os.read(self.device, 1 << 17)
            _, operation, unique, _, _, _, thread = struct.unpack_from("<IIQQIII", request)
            if operation != self.INIT and not pathlib.Path(f"/proc/self/task/{thread}").exists():
                self.asked.set()
            else:
                answer = answers.get(operation, b"")
                error = 0 if operation in answers else -errno.ENOSYS
                os.write(self.device, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)

    def close(self) -> None:
        """Whoever waits gets an error."""
        self.ends.set()
        self.join()
        self.libc.umount2(self.folder.encode(), 2)
        os.close(self.device)
        pathlib.Path(self.folder).rmdir()


@contextlib.contextmanager
def fuse() -> Iterator[tuple[int, Fuse]]:
    """Needs root. OSError where there is no FUSE."""
    mount = Fuse()
    mount.start()
    try:
        file = os.open(f"{mount.folder}/file", os.O_RDWR)
        try:
            yield file, mount
        finally:
            os.close(file)
    finally:
        mount.close()
