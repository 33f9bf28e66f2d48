# SPDX-License-Identifier: BSD-3-Clause
"""A running guest: starts it, runs jobs in it, watches it, and always ends it."""

import base64
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable

from . import initramfs
from .cache import cache_directory as cache_directory
from .errors import LabError, QemuCrashed
from .kernel import Kernel
from .machine import Machine
from .server import die_with_parent

# Messages that a healthy guest never logs: a panic, an oops, or a card's access to unmapped memory.
COMPLAINTS = re.compile(r"Kernel panic|Oops|BUG:|WARNING: CPU|general protection|DMAR:.*fault|soft lockup|Call Trace")
# QEMU's warning about every wire that stays inside the guest.
_IDLE_REMARK = re.compile(r"^.*warning: hub \d+ is not connected to host network\n", re.MULTILINE)
# What the guest's kernel says, every 21 s, while a timer that it set does not fire: the emulated machine has stopped, whatever runs in
# it. A machine that was only slow says it once.
_NO_TIMER = "kthread timer wakeup didn't happen"
# What it says of an archive whose rest is then missing; it boots nevertheless.
_NOT_UNPACKED = "Initramfs unpacking failed"
# The status of a job that exceeded the guest's own time limit, and the additional time after which the guest counts as lost.
KILLED = 137
GRACE_SECONDS = 15
BOOT_TRIES = 3


@dataclasses.dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


class Guest:
    """Use with contextlib.closing: it ends QEMU and removes its files in every case."""

    def __init__(self, machine: Machine, kernel: Kernel, cache: pathlib.Path, programs: list[pathlib.Path],
                 boot_seconds: float = 240):
        self.machine = machine
        self._kernel = kernel
        self._cache = cache
        self._programs = programs
        self._boot_seconds = boot_seconds
        self._work = None
        self._process = None
        self._channel = None
        self._console = None
        self._monitor = None
        self._received = b""
        self._jobs = 0

    def start(self) -> "Guest":
        self._work = tempfile.TemporaryDirectory(prefix="pollux-guest-")
        try:
            self._boot(pathlib.Path(self._work.name))
        except BaseException:
            self.close()
            raise
        return self

    def run(self, script: str, seconds: float = 30) -> Outcome:
        """Runs a shell script in the guest (lab.sh is sourced) and waits for its end, at most `seconds`."""
        self._jobs += 1
        wrapped = ". /lib/lab.sh\n" + script
        line = f"{self._jobs} {seconds:.0f} {base64.b64encode(wrapped.encode()).decode()}\n"
        self._channel.settimeout(seconds)
        try:
            self._channel.sendall(line.encode())
        except OSError as error:
            raise self._lost(f"it no longer accepts jobs ({error})") from error
        number, status, out, err = self._line(seconds + GRACE_SECONDS, _first_words(script)).split(" ")
        if int(number) != self._jobs:
            raise self._lost(f"it answered job {number} instead of {self._jobs}")
        if int(status) == KILLED and _NO_TIMER in self._console.text():
            raise self._lost(f"{_first_words(script)} took more than {seconds:.0f} s")
        if int(status) == KILLED:
            raise LabError(f"a job in the guest did not end within {seconds:.0f} s: {_first_words(script)}",
                           detail=_decoded(out)[-1500:] + _decoded(err)[-3000:])
        return Outcome(int(status), _decoded(out), _decoded(err))

    def check(self, script: str, seconds: float = 30) -> str:
        """Like run, for a job that has to succeed; returns its output."""
        outcome = self.run(script, seconds)
        if outcome.status != 0:
            raise LabError(f"a job in the guest ended with status {outcome.status}: {_first_words(script)}",
                           detail=outcome.out[-1500:] + outcome.err[-3000:])
        return outcome.out

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def complaints(self) -> list[str]:
        """The complaints of the guest's kernel since the last call."""
        return [line for line in self.check("dmesg -c").splitlines() if COMPLAINTS.search(line)]

    def stop(self) -> None:
        """Powers the guest off; raises LabError if it does not end properly."""
        self._channel.sendall(b"stop\n")
        try:
            status = self._process.wait(20)
        except subprocess.TimeoutExpired:
            raise self._lost("it did not power off within 20 s") from None
        if status != 0:
            raise self._lost(f"QEMU ended with status {status}")

    def set_link(self, port: int, up: bool) -> None:
        """Connects a port's link, or disconnects it."""
        self._monitor.execute("set_link", {"name": self.machine.netdev(port), "up": up})

    def report_error(self, port: int, name: str) -> None:
        """The link of a port's card has an uncorrected PCI Express error, by the name that QEMU's `pcie_aer_inject_error` has for it.

        The root port reports it, since QEMU's igb does not have the bits of Device Control that let a card report errors.
        """
        command = f"pcie_aer_inject_error rp{port} {name}"
        said = self._monitor.execute("human-monitor-command", {"command-line": command})
        if not said.startswith("OK "):
            raise LabError(f"QEMU refused '{command}': {said}")

    @contextlib.contextmanager
    def traced(self, *events: str):
        """What QEMU reports of these events while the block runs: a list of lines, filled at its end."""
        log = pathlib.Path(self._work.name, "qemu-errors")
        before, lines = log.stat().st_size, []
        for event in events:
            self._monitor.execute("human-monitor-command", {"command-line": f"trace-event {event} on"})
        try:
            yield lines
        finally:
            for event in events:
                self._monitor.execute("human-monitor-command", {"command-line": f"trace-event {event} off"})
            said = log.read_bytes()[before:].decode(errors="replace").splitlines()
            lines += [line for line in said if any(event in line for event in events)]

    def read_words(self, address: int, count: int = 1) -> list[int]:
        """Words of 32 bits from a physical address, such as a card's registers."""
        said = self._monitor.execute("human-monitor-command", {"command-line": f"xp /{count}xw {address:#x}"})
        words = [int(word, 16) for line in said.splitlines() for word in line.partition(":")[2].split()]
        if len(words) != count:
            raise LabError(f"QEMU does not show {count} words at {address:#x}: {said}")
        return words

    def read(self, path: str, seconds: float = 30) -> bytes:
        """The content of a file in the guest."""
        return base64.b64decode(self.check(f"base64 -w 0 <{path}", seconds))

    def program(self, name: str) -> pathlib.Path:
        """The path on this machine of a program that the guest has."""
        return next(path for path in self._programs if path.name == name)

    def console_tail(self, lines: int = 15) -> str:
        return "\n".join(self._console.text().splitlines()[-lines:]) if self._console else ""

    def attach_console(self, sink) -> socket.socket:
        """Copies the console's output to `sink` from now on; what is sent to the returned socket is typed on the console."""
        self._console.sink = sink
        return self._console.socket

    def _boot(self, work: pathlib.Path) -> None:
        for server in self.machine.servers:
            server.start()
        base = initramfs.base_archive(self._kernel, self._cache)
        archive = initramfs.boot_archive(base, self._programs, work, self.machine.payload)
        channel, far_channel = socket.socketpair()
        console, far_console = socket.socketpair()
        monitor, far_monitor = socket.socketpair()
        self._channel = channel
        self._console = _Console(console)
        self._monitor = _Monitor(monitor)
        line = self.machine.command_line(self._kernel.image, archive, far_console.fileno(), far_channel.fileno(),
                                         far_monitor.fileno())
        handed_over = [far_channel, far_console, far_monitor, *(wire.far for wire in self.machine.outside_sockets())]
        errors = open(work / "qemu-errors", "wb")
        self._process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
            pass_fds=[end.fileno() for end in handed_over], preexec_fn=die_with_parent)
        errors.close()
        for end in handed_over:
            end.close()
        self._await_start()

    def _await_start(self) -> None:
        greeting = self._line(self._boot_seconds, "its start")
        if not greeting.startswith("ready "):
            raise self._lost(f"it greeted with '{greeting}'")
        if _NOT_UNPACKED in self._console.text():
            raise self._lost("its file system is larger than its memory")

    def _line(self, seconds: float, job: str) -> str:
        deadline = time.monotonic() + seconds
        said = self._console.text().count(_NO_TIMER)
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._lost(f"{job} took more than {seconds:.0f} s")
            if self._console.text().count(_NO_TIMER) > said + 1:
                raise self._lost(f"{job} made no progress")
            if select.select([self._channel], [], [], min(left, 1))[0]:
                try:
                    data = self._channel.recv(1 << 20)
                except ConnectionError:
                    data = b""
                if not data:
                    raise self._lost(f"it ended during {job}")
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace")

    def _lost(self, what: str) -> LabError:
        # A QEMU that crashes closes its sockets before it ends.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        crashed = not self.alive() and self._process.returncode not in (0, 1)
        if self.alive():
            self._process.kill()
            self._process.wait()
        self._console.finish()
        stood_still = _NO_TIMER in self._console.text()
        errors = _IDLE_REMARK.sub("", pathlib.Path(self._work.name, "qemu-errors").read_text(errors="replace"))
        detail = errors[-2000:] + self.console_tail()
        if crashed:
            return QemuCrashed(f"QEMU crashed: {what}", "run this again; if it happens again, try another version of QEMU",
                               detail)
        if stood_still:
            return QemuCrashed(f"the guest's timer stood still: {what}", "run this again with nothing else running", detail)
        return LabError(f"the guest was lost: {what}", "the lines above are the end of its console; on a slow or busy "
                        "machine try again with nothing else running", detail or "(its console is empty)")

    def close(self) -> None:
        if self.alive():
            self._process.kill()
            self._process.wait()
        if self._console:
            self._console.finish()
        for wire in self.machine.outside_sockets():
            wire.close()
        # After QEMU: a card that vanishes is a fault, which the guest would report.
        for server in reversed(self.machine.servers):
            server.close()
        for end in (self._channel, self._monitor):
            if end:
                end.close()
        if self._work:
            self._work.cleanup()


def started(make_machine: Callable[[], Machine], *arguments, tell: Callable[[str], None]) -> Guest:
    """Starts a guest. With several emulated processors QEMU sometimes fails an assertion (iotlb_to_section) while the memory map
    changes, as it does at boot; the start is then repeated, and reported."""
    for attempt in range(1, BOOT_TRIES + 1):
        try:
            return Guest(make_machine(), *arguments).start()
        except QemuCrashed as error:
            if attempt == BOOT_TRIES:
                raise
            tell(f"{error.what}; trying again")
    raise AssertionError("not reached")


class _Console:
    """Reads the serial console continuously; otherwise a full buffer would stop the guest."""

    def __init__(self, end: socket.socket):
        self.socket = end
        self.sink = None
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        return bytes(self._data).decode(errors="replace").replace("\r", "")

    def finish(self) -> None:
        self._thread.join(2)
        self.socket.close()

    def _read(self) -> None:
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            self._data += data
            if self.sink:
                self.sink(data)


class _Monitor:
    """QEMU's control interface (QMP): one JSON object per line."""

    def __init__(self, end: socket.socket):
        end.settimeout(GRACE_SECONDS)
        self._lines = end.makefile("rw")
        self._end = end
        self._greeted = False

    def execute(self, command: str, arguments: dict):
        """What QEMU answers."""
        if not self._greeted:
            self._greeted = "QMP" in self._answer()
            self._call({"execute": "qmp_capabilities"})
        return self._call({"execute": command, "arguments": arguments})

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._lines.close()
        self._end.close()

    def _call(self, words: dict):
        self._lines.write(json.dumps(words) + "\n")
        self._lines.flush()
        answer = self._answer()
        # Events may precede the answer.
        while "event" in answer:
            answer = self._answer()
        if "return" not in answer:
            raise LabError(f"QEMU refused {words}: {answer}")
        return answer["return"]

    def _answer(self) -> dict:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise LabError(f"QEMU's monitor does not answer: {error}") from error
        if not line:
            raise LabError("QEMU closed its monitor")
        return json.loads(line)


def _first_words(script: str) -> str:
    text = " ".join(script.split())
    return f"'{text[:100]}{'...' if len(text) > 100 else ''}'"


def _decoded(word: str) -> str:
    return base64.b64decode(word.removesuffix("-")).decode(errors="replace")


def end_on_signals() -> None:
    """Makes SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that every guest is ended."""
    def unwind(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, unwind)
    signal.signal(signal.SIGHUP, unwind)
