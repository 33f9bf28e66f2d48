# SPDX-License-Identifier: BSD-3-Clause
"""For how long no frame passes, and how many are lost, while a forwarder between two pairs of virtual interfaces is replaced by the next:
handed over, stopped and started, killed, and DPDK's testpmd stopped and started. The kernel stamps the frames that arrive."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from .bench_starts import FAR, NEAR, interfaces
from .built import programs_in
from .commands import Parser
from .errors import LabError

ROUNDS = 9
PATIENCE_SECONDS = 60
INTERVAL_SECONDS = 0.0001  # between two frames
BEFORE_SECONDS, AFTER_SECONDS = 0.2, 0.2  # in which frames pass
HEAD = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + b"\x88\xb5"
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
TESTPMD = pathlib.Path("/usr/bin/dpdk-testpmd")


@dataclasses.dataclass(frozen=True)
class Outage:
    microseconds: float
    lost: int
    offered: int


class Stream:
    """Frames with numbers from one far end to the other."""

    def __init__(self) -> None:
        self._receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        self._receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._receiver.bind((FAR[1], 0x88B5))
        self._receiver.settimeout(PATIENCE_SECONDS)
        self._sender = os.fork()
        if self._sender == 0:
            try:
                self._send()
            finally:
                os._exit(1)
        self.arrived: dict[int, float] = {}  # by number, in seconds

    @staticmethod
    def _send() -> None:
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sender.bind((FAR[0], 0))
        number = 0
        while True:
            with contextlib.suppress(OSError):
                sender.send(HEAD + struct.pack("!Q", number) + bytes(42))
            number += 1
            time.sleep(INTERVAL_SECONDS)

    def pass_for(self, seconds: float) -> None:
        """Receives until frames have passed for so long, whatever came before."""
        first = None
        while True:
            try:
                frame, control, _, address = self._receiver.recvmsg(2048, 64)
            except TimeoutError:
                raise LabError("no frame passes any more", "see what the program says") from None
            if address[2] == socket.PACKET_OUTGOING:
                continue
            stamp, nanoseconds = struct.unpack("@qq", control[0][2][:16])
            at = stamp + nanoseconds / 1e9
            self.arrived[struct.unpack("!Q", frame[14:22])[0]] = at
            first = first or max(at, time.time())
            if at > first + seconds:
                return

    def outage(self) -> Outage:
        return outage_of(self.arrived)

    def end(self) -> None:
        os.kill(self._sender, signal.SIGKILL)
        os.waitpid(self._sender, 0)
        self._receiver.close()


def outage_of(arrived: dict[int, float]) -> Outage:
    """All numbers between the first and the last that has arrived were offered."""
    times = sorted(arrived.values())
    offered = max(arrived) - min(arrived) + 1
    return Outage(1e6 * max(later - earlier for earlier, later in zip(times, times[1:])), offered - len(arrived), offered)


class Program:
    def __init__(self, words: list[str], ready: str):
        self._log = tempfile.TemporaryFile("w+")
        self.words = words
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, text=True, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while ready not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"'{' '.join(words)}' does not start", "see its output", self.said()[-2000:])
            time.sleep(0.001)

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)


def l2fwd(program: str, options: str = "", *words: str) -> Callable[[], Program]:
    uris = [f"xdp:{name}?rule=all{options}" for name in NEAR]
    return lambda: Program([program, *uris, "--no-mac-updating", *words], "forwarding")


def testpmd() -> Program:
    devices = [f"--vdev=net_af_xdp{i},iface={name}" for i, name in enumerate(NEAR)]
    cores = sorted(os.sched_getaffinity(0))
    return Program(["stdbuf", "-oL", str(TESTPMD), "--lcores", f"0@{cores[0]},1@{cores[-1]}", "--no-huge", "-m", "256", "--no-shconf",
                    "--no-telemetry", "--no-pci", *devices, "--", "--forward-mode=io", "--total-num-mbufs=8192", "--no-mlockall"], "Press enter to exit")


Replace = Callable[[Program], Program]


def stopped(start: Callable[[], Program], number: int = signal.SIGINT) -> Replace:
    def replace(old: Program) -> Program:
        old.end(number)
        return start()
    return replace


def handed_over(start: Callable[[], Program]) -> Replace:
    def replace(old: Program) -> Program:
        new = start()
        old.process.wait(PATIENCE_SECONDS)
        return new
    return replace


def cases(build: pathlib.Path, folder: str, dpdk: pathlib.Path = TESTPMD) -> dict[str, tuple[Callable[[], Program], Replace]]:
    forwarder, keeper = (str(programs_in(build, name)[0]) for name in ("l2fwd", "pollux"))
    plain = l2fwd(forwarder)
    offered = l2fwd(forwarder, "", "--hand-over", f"{folder}/handover")
    kept = l2fwd(forwarder, f",keep={folder}/keeper")
    found = {"nothing happens": (plain, lambda old: old),
             "l2fwd, handed over": (offered, handed_over(offered)),
             "l2fwd, killed and started, with a keeper": (kept, stopped(kept, signal.SIGKILL)),
             "l2fwd, stopped and started": (plain, stopped(plain)),
             "l2fwd, killed and started": (plain, stopped(plain, signal.SIGKILL))}
    if dpdk.exists():
        found["DPDK's testpmd, stopped and started"] = (testpmd, stopped(testpmd))
    return found


@contextlib.contextmanager
def keeper(build: pathlib.Path, folder: str) -> Iterator[None]:
    program = Program([str(programs_in(build, "pollux")[0]), "keeper", "run", "--socket", f"{folder}/keeper", "--hold", "60"], "listening")
    try:
        yield
    finally:
        program.end(signal.SIGTERM)


def measure(build: pathlib.Path, rounds: int) -> dict[str, list[Outage]]:
    with interfaces(), tempfile.TemporaryDirectory() as folder, keeper(build, folder):
        found: dict[str, list[Outage]] = {case: [] for case in cases(build, folder)}
        for number in range(rounds):
            print(f"[outages] {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for case, (start, replace) in cases(build, folder).items():
                time.sleep(0.3)  # the kernel keeps the queues of an earlier program for a moment
                program, stream = start(), Stream()
                try:
                    stream.pass_for(BEFORE_SECONDS)
                    program = replace(program)
                    stream.pass_for(AFTER_SECONDS)
                    found[case].append(stream.outage())
                finally:
                    stream.end()
                    program.end(signal.SIGINT)
    return found


def table(found: dict[str, list[Outage]]) -> str:
    rounds = len(next(iter(found.values())))
    lines = [f"The longest time between two frames that arrive, and the frames that do not: the median of {rounds} replacements in turns [least "
             f"to most], and of as many intervals without any. A frame is offered every {round(INTERVAL_SECONDS * 1e6)} us by a program in Python, "
             "whose own pauses, and those of the processors, are in the first row.", "",
             "| what replaces the forwarder | microseconds without a frame | frames lost |", "|---|---|---|"]
    for case, outages in found.items():
        columns = []
        for values in ([outage.microseconds for outage in outages], [outage.lost for outage in outages]):
            columns.append(f"{statistics.median(values):,.0f} [{min(values):,.0f} to {max(values):,.0f}]")
        lines.append(f"| {case} | {columns[0]} | {columns[1]} |")
    return "\n".join(lines)


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build directory of l2fwd and pollux")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not TESTPMD.exists():
        print("WITHOUT DPDK: there is no dpdk-testpmd (package dpdk-dev)", file=sys.stderr)
    print("\n" + table(measure(options.build.resolve(), options.rounds)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"error: {error}")
