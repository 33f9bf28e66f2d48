# SPDX-License-Identifier: BSD-3-Clause
"""Processes on this machine that a guest needs, such as the one that exports its cards."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

from .errors import LabError

START_SECONDS = 30
END_SECONDS = 5
_PR_SET_PDEATHSIG = 1
TRAP = {"POLLUX_CONFINEMENT": "trap"}  # a system call that `pollux card` makes and is not allowed ends it


class Server:
    """Runs a command from the guest's start to its end. It is ready when it has printed `ready`."""

    def __init__(self, command: list[str], log: pathlib.Path, ready: str):
        self.log = log
        self._command = command
        self._ready = ready
        self._process = None

    def start(self) -> None:
        with open(self.log, "wb") as out:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                             env=os.environ | TRAP, start_new_session=True, preexec_fn=die_with_parent)
        deadline = time.monotonic() + START_SECONDS
        while self._ready not in self.said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise LabError(f"'{' '.join(self._command)}' did not start", "run it by hand", self.said()[-2000:])
            time.sleep(0.02)

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        """Ends it as Ctrl-C does."""
        if not self.alive():
            return
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        if self.alive():
            self._process.kill()
            self._process.wait()


def die_with_parent() -> None:
    """Runs between fork and exec: makes the process end with this one even if this one is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
