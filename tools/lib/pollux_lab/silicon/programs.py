# SPDX-License-Identifier: BSD-3-Clause
"""Runs Pollux's programs, each with a time limit and a log. They end when this process ends, even if it is killed."""

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess

from pollux_lab.built import programs_in
from pollux_lab.errors import LabError

NAMES = ("pollux", "l2fwd", "pktgen", "silicon_probe", "conformance_test")
END_SECONDS = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # those that end a run


class Interrupted(BaseException):
    """Ctrl-C, or a signal that ends this process. Not an Exception, so that no handler of errors catches it."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def unwind_on_signals() -> None:
    def unwind(number, _frame):
        raise Interrupted(number)
    for number in SIGNALS:
        signal.signal(number, unwind)


@contextlib.contextmanager
def uninterrupted():
    """Signals are ignored inside the block."""
    before = [signal.signal(number, signal.SIG_IGN) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before):
            signal.signal(number, handler)


@contextlib.contextmanager
def deferred():
    """Signals are blocked inside the block, and delivered after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclasses.dataclass(frozen=True)
class Ended:
    status: int  # negative: the signal that ended it
    out: str

    def end_text(self) -> str:
        if self.status < 0:
            return f"it was ended by signal {-self.status} ({signal.Signals(-self.status).name})"
        return f"it ended with status {self.status}"


@dataclasses.dataclass(frozen=True)
class Started:
    """A program that runs on, and its logs."""
    process: subprocess.Popen
    base: str

    def out(self) -> str:
        return pathlib.Path(f"{self.base}.out").read_text()

    def errors(self) -> str:
        return pathlib.Path(f"{self.base}.err").read_text().partition("\n")[2].strip()


class Programs:
    def __init__(self, folder: pathlib.Path, logs: pathlib.Path):
        self.paths = {name: find(folder, name) for name in NAMES}
        self._logs = logs
        self._started = 0

    def run(self, name: str, *words: str, seconds: float, environment: dict[str, str] | None = None) -> Ended:
        """Runs a program to its end. Its standard output is returned and logged; its errors are only logged. At the time limit it gets
        SIGINT, and SIGKILL if it does not end."""
        # Into files, not pipes: what a killed program has written is kept.
        with self._log(name, words) as (command, out, errors):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=os.environ | (environment or {}),
                                       start_new_session=True, preexec_fn=_die_with_parent)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                errors.write(f"\nended after {seconds:.0f} s\n")
            finally:
                _end(process)
            errors.write(f"\nstatus {process.returncode}\n")
            out.seek(0)
            return Ended(process.returncode, out.read())

    def start(self, name: str, *words: str) -> Started:
        """Starts a program that is not killed when this process dies: its standard input ends then."""
        with self._log(name, words) as (command, out, errors):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=errors, start_new_session=True)
            return Started(process, out.name.removesuffix(".out"))

    @contextlib.contextmanager
    def _log(self, name: str, words: tuple[str, ...]):
        self._started += 1
        base = self._logs / f"{self._started:02}-{name}"
        command = [str(self.paths[name]), *words]
        with open(f"{base}.out", "w+") as out, open(f"{base}.err", "w") as errors:
            errors.write(f"$ {' '.join(command)}\n")
            errors.flush()
            yield command, out, errors


def _end(process: subprocess.Popen) -> None:
    with uninterrupted():
        for number in (signal.SIGINT, signal.SIGKILL):
            if process.poll() is not None:
                return
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)


def find(folder: pathlib.Path, name: str) -> pathlib.Path:
    for path in programs_in(folder, name):
        return path.resolve()
    raise LabError(f"no program '{name}' is in {folder}", "leave --programs out, so that they are built")


def _die_with_parent() -> None:
    """Runs between fork and exec: the program is killed when this process dies. The signals' defaults are restored."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
