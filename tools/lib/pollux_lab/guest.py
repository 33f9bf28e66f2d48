# SPDX-License-Identifier: BSD-3-Clause
"""A running guest: started, given jobs, watched, and always ended."""

import base64
import ctypes
import dataclasses
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

from . import initramfs
from .errors import LabError
from .kernel import Kernel
from .machine import Machine

# What a healthy guest never logs: a panic, an oops, or a card that reached for memory it was not given.
COMPLAINTS = re.compile(r"Kernel panic|Oops|BUG:|WARNING: CPU|general protection|DMAR:.*fault|soft lockup|Call Trace")


@dataclasses.dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


class Guest:
    """Use as a context manager: on the way out, however that comes about, QEMU is gone and so are its files."""

    def __init__(self, machine: Machine, kernel: Kernel, cache: pathlib.Path, programs: list[pathlib.Path],
                 boot_seconds: float = 90):
        self.machine = machine
        self._kernel = kernel
        self._cache = cache
        self._programs = programs
        self._boot_seconds = boot_seconds
        self._work = None
        self._process = None
        self._channel = None
        self._console = None
        self._received = b""
        self._jobs = 0

    def __enter__(self) -> "Guest":
        self._work = tempfile.TemporaryDirectory(prefix="pollux-guest-")
        try:
            self._start(pathlib.Path(self._work.name))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._end()

    def run(self, script: str, seconds: float = 30) -> Outcome:
        """Runs a shell script in the guest (lab.sh is sourced) and waits for it, for so long and no longer."""
        self._jobs += 1
        wrapped = ". /lib/lab.sh\n" + script
        line = f"{self._jobs} {base64.b64encode(wrapped.encode()).decode()}\n"
        self._channel.settimeout(seconds)
        try:
            self._channel.sendall(line.encode())
        except OSError as error:
            raise self._lost(f"it no longer listens ({error})") from error
        number, status, out, err = self._line(seconds, _first_words(script)).split(" ")
        if int(number) != self._jobs:
            raise self._lost(f"it answered job {number} instead of {self._jobs}")
        return Outcome(int(status), _decoded(out), _decoded(err))

    def check(self, script: str, seconds: float = 30) -> str:
        """Like run, for a job that has to succeed; gives its output."""
        outcome = self.run(script, seconds)
        if outcome.status != 0:
            raise LabError(f"a job in the guest ended with status {outcome.status}: {_first_words(script)}",
                           detail=outcome.out[-1500:] + outcome.err[-3000:])
        return outcome.out

    def complaints(self) -> list[str]:
        """What the guest's kernel complained about so far."""
        return [line for line in self.check("dmesg").splitlines() if COMPLAINTS.search(line)]

    def stop(self) -> None:
        """An orderly end: powers off and says so, or it is an error."""
        self._channel.sendall(b"stop\n")
        try:
            status = self._process.wait(20)
        except subprocess.TimeoutExpired:
            raise self._lost("it did not power off within 20 s") from None
        if status != 0:
            raise self._lost(f"QEMU ended with status {status}")

    def console_tail(self, lines: int = 15) -> str:
        return "\n".join(self._console.text().splitlines()[-lines:]) if self._console else ""

    def attach_console(self, sink) -> socket.socket:
        """From now on what the guest's console shows also goes to sink; what is sent to the socket is typed there."""
        self._console.sink = sink
        return self._console.socket

    def _start(self, work: pathlib.Path) -> None:
        base = initramfs.base_archive(self._kernel, self._cache)
        archive = initramfs.boot_archive(base, self._programs, work)
        channel, far_channel = socket.socketpair()
        console, far_console = socket.socketpair()
        self._channel = channel
        self._console = _Console(console)
        line = self.machine.command_line(self._kernel.image, archive, far_console.fileno(), far_channel.fileno())
        handed_over = [far_channel, far_console, *(wire.far for wire in self.machine.outside_sockets())]
        errors = open(work / "qemu-errors", "wb")
        self._process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
            pass_fds=[end.fileno() for end in handed_over], preexec_fn=_die_with_parent)
        errors.close()
        for end in handed_over:
            end.close()
        greeting = self._line(self._boot_seconds, "its start")
        if not greeting.startswith("ready "):
            raise self._lost(f"it greeted with '{greeting}'")

    def _line(self, seconds: float, job: str) -> str:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._lost(f"{job} took more than {seconds:.0f} s")
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
        if self._process and self._process.poll() is None:
            self._process.kill()
        if self._process:
            self._process.wait(10)
        if self._console:
            self._console.finish()
        detail = self.console_tail()
        errors = pathlib.Path(self._work.name, "qemu-errors")
        if errors.exists():
            detail = errors.read_text(errors="replace")[-2000:] + detail
        return LabError(f"the guest was lost: {what}", "the end of its console stands above; a slow or busy machine may "
                        "need another try with nothing else running", detail or "(its console is empty)")

    def _end(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._console:
            self._console.finish()
        for wire in self.machine.outside_sockets():
            wire.close()
        if self._channel:
            self._channel.close()
        if self._work:
            self._work.cleanup()


class _Console:
    """Reads the serial console all the time; unread, it would stop the guest."""

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


def _die_with_parent() -> None:
    """Between fork and exec: even where this process is killed outright, QEMU goes with it."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _first_words(script: str) -> str:
    text = " ".join(script.split())
    return f"'{text[:100]}{'...' if len(text) > 100 else ''}'"


def _decoded(word: str) -> str:
    return base64.b64decode(word.removesuffix("-")).decode(errors="replace")


def end_on_signals() -> None:
    """SIGTERM and SIGHUP unwind like Ctrl-C does, so that every guest is ended on the way out."""
    def unwind(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, unwind)
    signal.signal(signal.SIGHUP, unwind)


def cache_directory() -> pathlib.Path:
    """The same rule as tools/lib/kernel.sh."""
    if named := os.environ.get("POLLUX_CACHE"):
        return pathlib.Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(home) / "pollux"
