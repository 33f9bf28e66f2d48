# SPDX-License-Identifier: BSD-3-Clause
"""Clients of `pollux keeper` that mean harm, some of another user, and a neighbour that has to be served meanwhile. An attack is a row of
ATTACKS."""

import contextlib
import json
import os
import pathlib
import random
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
from collections.abc import Callable, Iterator

import descriptor_zoo
from pollux_lab.server import die_with_parent

POLLUX = sys.argv.pop()
NOBODY = 65534
SECONDS = 60  # far more than anything takes: machines may be slow and busy
TIME = 1.0  # of an attack
MOST = 1000  # that are held
OWN = "FDSTORE=1\nFDNAME=neighbour/memory\nFDPOLL=0\n"


def limit_waiting(end: socket.socket, seconds: float) -> None:
    """In the kernel: a socket of Python's with a limit would poll first."""
    limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        end.setsockopt(socket.SOL_SOCKET, option, limit)


def tell(path: str, message: bytes | str, *descriptors: int, seconds: float = SECONDS) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        limit_waiting(client, seconds)
        client.connect(path)
        socket.send_fds(client, [message.encode() if isinstance(message, str) else message], descriptors)


def ask(path: str, question: str) -> tuple[dict, list[int]]:
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with own, theirs:
        limit_waiting(own, SECONDS)
        tell(path, question, theirs.fileno())
        theirs.close()
        data, descriptors, _, _ = socket.recv_fds(own, 1 << 17, 253)
    return json.loads(data or "{}"), descriptors


def repeat(attack: Callable[[], None]) -> None:
    end = time.monotonic() + TIME
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            attack()


@contextlib.contextmanager
def child(user: int, work: Callable[[], None]) -> Iterator[int]:
    """A process of that user that does the work. At the end it is killed if it still runs."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            die_with_parent()
            if user != os.geteuid():
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(user, user, user)
            work()
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    ended = os.pidfd_open(process)
    try:
        yield ended
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(ended)


def garbage(path: str, zoo: list[int]) -> None:
    """Datagrams of any content, with any descriptors."""
    dice = random.Random(58)
    words = [b"FDSTORE=1", b"FDNAME=", b"FDNAME=\0\x1b[2J\xff", b"FDTAKE=1", b"FDLIST=1", b"FDDROP=2", b"FDSTOREREMOVE=1",
             b"FDNAME=a/" + b"b" * 4000, b"", b"=", b"FDPOLL=0", b"MAINPID=1"]

    def attack() -> None:
        length = dice.choice((0, 1, 100, 4095, 4096, 4097, 60_000))
        text = dice.randbytes(length) if dice.random() < 0.3 else b"\n".join(dice.choices(words, k=dice.randrange(5)))
        # Nothing that drops the neighbour's: any client may do that.
        if b"FDSTOREREMOVE" not in text and b"neighbour" not in text and (b"FDTAKE" not in text or b"FDNAME=a" in text):
            tell(path, text, *dice.choices(zoo, k=dice.choice((0, 1, 1, 2, 253))))

    repeat(attack)


def names(path: str, _: list[int]) -> None:
    """Three times as many as are held, and a datagram that does not fit."""
    with open("/dev/null", "rb") as file:
        for i in range(3 * MOST):
            tell(path, f"FDSTORE=1\nFDNAME=many/{i}\n", file.fileno())
        tell(path, b"FDSTORE=1\nFDNAME=" + b"n" * 100_000 + b"\n", file.fileno())


def strangers(path: str, zoo: list[int]) -> None:
    """All that another user may ask for, which is nothing."""
    for key in ("FDSTORE", "FDSTOREREMOVE", "FDDROP", "FDTAKE", "FDLIST"):
        for name in ("neighbour/memory", "", "n"):
            for _ in range(20):
                tell(path, f"{key}=1\nFDNAME={name}\n", zoo[0])
    repeat(lambda: tell(path, OWN, *zoo))


def answers_to_no_socket(path: str, zoo: list[int]) -> None:
    """What is asked is to be answered to something that takes no message, or nobody hears."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    gone, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.close()
    server = socket.create_server(("127.0.0.1", 0))
    stream = socket.create_connection(server.getsockname())
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.connect(server.getsockname())
    keeper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    keeper.connect(path)  # it would write to itself
    sockets = [*ends, gone, stream, datagram, keeper, server]
    with contextlib.ExitStack() as stack:
        for end in sockets:
            stack.enter_context(end)
        for number in [*(end.fileno() for end in sockets), *zoo]:
            for _ in range(5):
                tell(path, "FDLIST=1\nFDNAME=\n", number)
                tell(path, "FDTAKE=1\nFDNAME=nothing\n", number)
        tell(path, "FDLIST=1\nFDNAME=\n")


def unread(path: str, _: list[int]) -> None:
    """Answers that nobody reads, to a socket whose owners say again and again that a send may wait for ever."""
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def wait_for_ever() -> None:
        while True:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(16))

    with own, theirs, child(os.geteuid(), wait_for_ever), child(os.geteuid(), wait_for_ever):
        repeat(lambda: tell(path, "FDLIST=1\nFDNAME=\n", theirs.fileno(), seconds=0.5))
        ask(path, "FDLIST=1\nFDNAME=\n")  # while nobody reads the others


def lingering(path: str, keeper: list[int]) -> None:
    """Descriptors whose close waits: stored, exchanged, removed, and sent with other words. It stands still until the attacker has closed its own."""
    with descriptor_zoo.Lingering() as zoo:
        for text in ("FDSTORE=1\nFDNAME=linger\n", "FDSTORE=1\nFDNAME=linger\n", "FDSTORE=1\n", "nothing", "FDLIST=1\nFDNAME=\n"):
            signal.pidfd_send_signal(keeper[0], signal.SIGSTOP)
            with zoo.one() as sent:
                tell(path, text, sent)
            zoo.closes[-1].join()
            signal.pidfd_send_signal(keeper[0], signal.SIGCONT)
            ask(path, "FDLIST=1\nFDNAME=\n")
        tell(path, "FDSTOREREMOVE=1\nFDNAME=linger\n")
        ask(path, "FDLIST=1\nFDNAME=\n")


def watched(path: str, _: list[int]) -> None:
    """Descriptors of which 40,000 watchers are told when one is closed, and some that answer nobody."""
    with descriptor_zoo.watched() as copies:
        for i, copy in enumerate(copies):
            tell(path, f"FDSTORE=1\nFDNAME=watched/{i % 50}\n", copy)
        tell(path, "FDDROP=1\nFDNAME=watched/\n")
    with contextlib.suppress(OSError), descriptor_zoo.fuse() as (file, mount):
        for text in ("FDSTORE=1\nFDNAME=fuse\n", "FDTAKE=1\nFDNAME=fuse/\n", "FDSTOREREMOVE=1\nFDNAME=fuse\n"):
            tell(path, text, file)
        mount.asked.wait(TIME)


def vanishing(path: str, _: list[int]) -> None:
    """Processes that end behind what they have sent, before they have heard the answer."""
    texts = ["FDSTORE=1\nFDNAME=vanishing/{i}\n", "FDTAKE=1\nFDNAME=vanishing/\n", "FDLIST=1\nFDNAME=\n", "FDSTORE=1\n"]
    for i in range(200):
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                tell(path, texts[i % len(texts)].format(i=i), theirs.fileno())
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()


def cycle(path: str, _: list[int]) -> None:
    """Sockets that are in their own queues, and the keeper's."""
    for i in range(200):
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with ends[0], ends[1], client:
            client.connect(path)
            for end in ends:
                socket.send_fds(end, [b"x"], [end.fileno() for end in (*ends, client)])
                tell(path, f"FDSTORE=1\nFDNAME=cycle/{i}\n", end.fileno())
            tell(path, f"FDSTORE=1\nFDNAME=client/{i}\n", client.fileno())


# Name, the user, the attack, and what the keeper says.
ATTACKS: list[tuple[str, int, Callable[[str, list[int]], None], str]] = [
    ("garbage", 0, garbage, "a name and one descriptor are wanted"),
    ("garbage_of_strangers", NOBODY, garbage, f"refused a process of user {NOBODY}"),
    ("strangers", NOBODY, strangers, f"refused a process of user {NOBODY}"),
    ("names", 0, names, "refused 'many/"),
    ("answers_to_no_socket", 0, answers_to_no_socket, ""),
    ("unread", 0, unread, ""),
    ("lingering", 0, lingering, ""),
    ("watched", 0, watched, ""),
    ("vanishing", 0, vanishing, "no successor came"),
    ("cycle", 0, cycle, ""),
]


@unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
class Attacks(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="pollux-keeper-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.path = folder.name + "/socket"
        self.log = pathlib.Path(folder.name, "log")
        with open(self.log, "wb") as log:
            self.keeper = subprocess.Popen([POLLUX, "keeper", "run", "--socket", self.path, "--hold", "0.2"], stdout=log, stderr=log)
        self.addCleanup(self.keeper.wait)
        self.addCleanup(self.keeper.kill)
        self.wait_until(lambda: "listening" in self.said())
        self.process = os.pidfd_open(self.keeper.pid)
        self.addCleanup(os.close, self.process)
        self.files = self.open_files()
        self.memory = os.memfd_create("neighbour")
        self.addCleanup(os.close, self.memory)
        tell(self.path, OWN, self.memory)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.keeper.pid}/fd"))

    def wait_until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not what():
            self.assertLess(time.monotonic(), deadline, self.said()[-2000:])
            self.assertIsNone(self.keeper.poll(), self.said()[-2000:])
            time.sleep(0.01)

    def is_served(self) -> None:
        """All that a keeper does, for a program that behaves."""
        tell(self.path, OWN, self.memory)
        answer, descriptors = ask(self.path, "FDTAKE=1\nFDNAME=neighbour/\n")
        found = [os.fstat(descriptor).st_ino for descriptor in descriptors]
        for descriptor in descriptors:
            os.close(descriptor)
        self.assertEqual((answer.get("names"), found), (["neighbour/memory"], [os.fstat(self.memory).st_ino]))
        held = ask(self.path, "FDLIST=1\nFDNAME=neighbour/\n")[0]["held"]
        self.assertEqual(held, [{"name": "neighbour/memory", "process": os.getpid(), "runs": True}])

    def attack(self, user: int, work: Callable[[str, list[int]], None], says: str) -> None:
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        if user != 0:
            os.chmod(self.path, 0o666)  # as somebody might do
        with descriptor_zoo.various() as zoo, child(user, lambda: work(self.path, [self.process, *zoo])) as ended:
            deadline = time.monotonic() + 2 * SECONDS
            while not select.select([ended], [], [], 0.001)[0]:
                self.is_served()
                self.assertLess(time.monotonic(), deadline, "the attack does not end")
            self.assertEqual(os.waitid(os.P_PIDFD, ended, os.WEXITED | os.WNOWAIT).si_status, 0)
        self.is_served()
        self.wait_until(lambda: says in self.said())
        tell(self.path, "FDSTOREREMOVE=1\nFDNAME=neighbour/memory\n")
        self.wait_until(lambda: ask(self.path, "FDLIST=1\nFDNAME=\n")[0] == {"message": "held", "held": []})
        self.wait_until(lambda: self.open_files() <= self.files)
        self.keeper.terminate()
        self.assertEqual(self.keeper.wait(timeout=SECONDS), 0, self.said()[-2000:])

    def test_a_flood_does_not_stop_the_clock(self) -> None:
        """What no successor takes is dropped in time, whatever others ask meanwhile."""
        def flood() -> None:
            with open("/dev/null", "rb") as file:
                while True:
                    tell(self.path, "FDSTORE=1\nFDNAME=flood\n", file.fileno())

        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(child(0, flood))
            with child(0, lambda: tell(self.path, "FDSTORE=1\nFDNAME=left\n", self.memory)) as ended:
                self.assertTrue(select.select([ended], [], [], SECONDS)[0])
            self.wait_until(lambda: "no successor came" in self.said())
        self.is_served()


def _case(*row: object) -> Callable[[Attacks], None]:
    return lambda self: self.attack(*row)


for _name, *_row in ATTACKS:
    setattr(Attacks, f"test_{_name}", _case(*_row))

if __name__ == "__main__":
    unittest.main()
