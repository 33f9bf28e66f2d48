# SPDX-License-Identifier: BSD-3-Clause
"""What a program costs before its first frame: the time from its exec to the first frame that it forwards, and the memory that it has
then, of Pollux's programs and of DPDK's example `skeleton`, on pairs of virtual interfaces, on TAP interfaces and on in-process cards."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import pty
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from . import bench_starts_guest, own_network
from .bench import filled, huge_pages
from .built import programs_in
from .commands import Parser
from .errors import LabError
from .guest import end_on_signals

ROUNDS = 9
PATIENCE_SECONDS = 20
INTERVAL_SECONDS = 0.0002  # between two frames that are offered
# The program's ends; the test's own ends of the pairs; the TAP interfaces, which the program makes.
NEAR, FAR, TAPS = ("plxs0", "plxs1"), ("plxf0", "plxf1"), ("plxt0", "plxt1")
FRAME = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + b"\x88\xb5" + b"Pollux".ljust(46, b"\0")
# Those of `skeleton` of both. A buffer has 37 cache lines with its mbuf, and with DPDK's header of each object of a pool.
BUFFERS, BUFFER_BYTES = 2 * 8191, 37 * 64
REMARK = ("From a program's exec to the first frame that it forwards while a frame is offered every 0.2 ms, and what it has then: the median of "
          f"{ROUNDS} starts in turns [least to most]. `skeleton` of both has one pool of {BUFFERS:,} buffers and rings of 1,024; l2fwd has Pollux's "
          "defaults. Resident is the kernel's VmRSS, which has no huge pages, and anonymous RssAnon, which has no pages of programs and libraries; the last "
          "column leaves out what the buffers of `skeleton` need. Opened: each of the two calls of `open`.")


@dataclasses.dataclass(frozen=True)
class Start:
    """What one start took and had."""
    milliseconds: float | None  # not in a guest
    resident: int  # bytes, as the next two
    anonymous: int
    huge: int
    opened: tuple[float, ...] = ()  # milliseconds


def _memory(said: str) -> tuple[int, int, int]:
    """Bytes that are resident, those of them that no file has, and in huge pages, by /proc's `status` and `smaps_rollup`."""
    values = dict(re.findall(r"^(\w+):\s+(\d+) kB$", said, re.MULTILINE))
    kilobytes = [int(values.get(name, 0)) for name in ("VmRSS", "RssAnon", "Private_Hugetlb", "Shared_Hugetlb")]
    return 1024 * kilobytes[0], 1024 * kilobytes[1], 1024 * sum(kilobytes[2:])


@contextlib.contextmanager
def interfaces() -> Iterator[None]:
    """Two pairs of virtual interfaces in a network namespace of this process's own, whose kernel says nothing by itself."""
    own_network.enter()
    for near, far in zip(NEAR, FAR, strict=True):
        own_network.run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        for end in (near, far):
            own_network.run("ip", "link", "set", end, "up")
    time.sleep(1)  # until all have a link
    yield


def _bound(name: str) -> socket.socket | None:
    """A socket at an interface; None if the interface is missing or down."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    end.setblocking(False)
    try:
        end.bind((name, 0x88B5))
        end.send(FRAME)
    except OSError:
        end.close()
        return None
    return end


class Started:
    """A program that runs, in a session of its own, with its output on a terminal, so that no line waits in its buffer."""

    def __init__(self, command: list[str]):
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.began = time.monotonic()
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self._command, self._printed = command, ""

    def printed(self) -> str:
        with contextlib.suppress(OSError):  # nothing now, or the program has ended
            while block := os.read(self._ours, 65536):
                self._printed += block.decode(errors="replace")
        return self._printed

    def until(self, happens) -> float:
        """Milliseconds from the start until `happens()`."""
        while not happens():
            if time.monotonic() - self.began > PATIENCE_SECONDS or self._process.poll() not in (None, 0):
                raise LabError(f"'{' '.join(self._command)}' forwarded nothing", "see its output", self.printed()[-2000:])
            time.sleep(INTERVAL_SECONDS)
        return 1000 * (time.monotonic() - self.began)

    def memory(self) -> tuple[int, int, int]:
        """Of a program that has ended nothing."""
        said = ""
        for name in ("status", "smaps_rollup"):
            with contextlib.suppress(OSError):
                said += pathlib.Path(f"/proc/{self._process.pid}/{name}").read_text()
        return _memory(said)

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
                break
        os.close(self._ours)


def forwarded(command: list[str], ends: tuple[str, str]) -> Start:
    """Offers frames at the first end until one arrives at the second."""
    program = Started(command)
    sockets: list[socket.socket | None] = [None, None]

    def arrives() -> bool:
        for number, name in enumerate(ends):
            sockets[number] = sockets[number] or _bound(name)
        near, far = sockets
        if near is None or far is None:
            return False
        with contextlib.suppress(OSError):
            near.send(FRAME)
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, address = far.recvfrom(2048)
                if frame[12:] == FRAME[12:] and address[2] != socket.PACKET_OUTGOING:
                    return True
        return False

    try:
        taken = program.until(arrives)
        return Start(taken, *program.memory(), _opened(program.printed()))
    finally:
        program.end()
        for end in filter(None, sockets):
            end.close()


def printed(command: list[str], text: str) -> Start:
    """Until the program prints the text."""
    program = Started(command)
    try:
        taken = program.until(lambda: text in program.printed())
        return Start(taken, *program.memory(), _opened(program.printed()))
    finally:
        program.end()


def _opened(text: str) -> tuple[float, ...]:
    return tuple(float(value) for value in re.findall(r" opened in ([\d.]+) ms", text))


def cases(build: pathlib.Path) -> dict[tuple[str, str], tuple]:
    """By ports and program: how it is started and observed."""
    skeleton, l2fwd, hello, dpdk = (str(next(iter(programs_in(build, name)), "")) for name in ("skeleton", "l2fwd", "hello", "dpdk_skeleton"))
    xdp, tap, sim = [f"xdp:{name}?rule=all" for name in NEAR], [f"tap:{name}" for name in TAPS], ["sim:0", "sim:1"]
    eal = [dpdk, "--lcores", "0@" + str(max(os.sched_getaffinity(0))), "--in-memory", "--no-telemetry", "--no-pci"]
    found = {("xdp:", "skeleton"): (forwarded, [skeleton, *xdp], FAR),
             ("xdp:", "l2fwd"): (forwarded, [l2fwd, *xdp], FAR),
             ("xdp:", "DPDK's skeleton"): (forwarded, [*eal, *(f"--vdev=net_af_xdp{i},iface={name}" for i, name in enumerate(NEAR))], FAR),
             ("tap:", "skeleton"): (forwarded, [skeleton, *tap], TAPS),
             ("tap:", "l2fwd"): (forwarded, [l2fwd, *tap], TAPS),
             ("tap:", "DPDK's skeleton"): (forwarded, [*eal, *(f"--vdev=net_tap{i},iface={name}" for i, name in enumerate(TAPS))], TAPS),
             ("sim:", "skeleton"): (printed, [skeleton, *sim], "sim:1 opened"),
             ("sim:", "hello"): (printed, [hello], "Hello")}
    return {case: how for case, how in found.items() if dpdk or not case[1].startswith("DPDK")}


def measure(build: pathlib.Path, rounds: int) -> dict[tuple[str, str], list[Start]]:
    runs: dict[tuple[str, str], list[Start]] = {case: [] for case in cases(build)}
    with interfaces():
        for number in range(rounds):
            print(f"[starts] {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for case, (observe, command, where) in cases(build).items():
                time.sleep(0.3)  # the kernel keeps the queues of an earlier program for a moment
                for name in NEAR:
                    own_network.run("ip", "link", "set", "dev", name, "xdp", "off")  # DPDK's stays when its program is killed
                runs[case].append(observe(command, where))
    return runs


def in_guest(build: pathlib.Path) -> dict[tuple[str, str], list[Start]]:
    """Memory alone, over VFIO."""
    uris = ["vfio:{0}", "vfio:{1}"]
    commands = {"skeleton": (next(iter(programs_in(build, "skeleton"))), uris, "vfio:.*2:.*opened"),
                "l2fwd": (next(iter(programs_in(build, "l2fwd"))), uris, "forwarding")}
    for program in programs_in(build, "dpdk_skeleton"):
        commands["DPDK's skeleton"] = (program, ["-l", "0", "--in-memory", "--no-telemetry"], "forwarding packets")
    return {("vfio:, in a guest", name): [Start(None, *_memory(one)) for one in said]
            for name, said in bench_starts_guest.memory(commands, 3).items()}


def table(runs: dict[tuple[str, str], list[Start]]) -> str:
    rows = [["ports", "program", "ms to the first frame", "opened, ms", "resident, MiB", "of it anonymous", "huge, MiB",
             "anonymous and huge without buffers"]]
    for (ports, program), starts in runs.items():
        times = [start.milliseconds for start in starts if start.milliseconds is not None]
        opened = [value for start in starts for value in start.opened]
        resident, anonymous, huge = (statistics.median(values) / 2**20 for values in
                                     zip(*((start.resident, start.anonymous, start.huge) for start in starts), strict=True))
        rows.append([ports, program, f"{statistics.median(times):.1f} [{min(times):.1f} to {max(times):.1f}]" if times else "",
                     f"{statistics.median(opened):.1f}" if opened else "", f"{resident:.1f}", f"{anonymous:.1f}", f"{huge:.0f}",
                     f"{anonymous + huge - BUFFERS * BUFFER_BYTES / 2**20:.1f}" if program.endswith("skeleton") else ""])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="a build with the examples and `skeleton`")
    parser.add_argument("--huge-pages", action="store_true", help="reserve huge pages meanwhile")
    options: argparse.Namespace = parser.parse_args()
    end_on_signals()
    with huge_pages(options.huge_pages):
        print(table(measure(options.build, ROUNDS) | in_guest(options.build)), "\n\n", filled(REMARK, 140), sep="")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"tools/bench: error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
