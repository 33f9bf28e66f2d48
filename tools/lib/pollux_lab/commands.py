# SPDX-License-Identifier: BSD-3-Clause
"""Commands of tools/test: each has a log, a time limit and a process group of its own, and its processor seconds are counted."""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

from . import disk_space
from .errors import LabError

# End what hangs; each case has a bound of its own, and a slow machine is no failure. With --full a step has the long cases, too.
STEP_SECONDS, FULL_STEP_SECONDS = 80 * 60, 5 * 3600
END_SECONDS = 10  # for processes that were asked to end
POLL_SECONDS = 0.05
SHOWN_LINES = 60  # of the end of a failed command's log


class Command:
    """A running command. Two threads may end it at once."""

    def __init__(self, words: list[str], **settings):
        self._process = subprocess.Popen(words, start_new_session=True, **settings)
        self._reaping = threading.Lock()
        self.status: int | None = None
        # Of the command and of all descendants that their parents waited for. Not counted are processes that nobody waited for: what
        # was left running and is ended by `end`, and daemons.
        self.processor_seconds = 0.0

    def wait(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Whether it has ended in this time. Calls `meanwhile` again and again, and once after the end."""
        deadline = time.monotonic() + seconds
        while not (ended := self._reap()) and time.monotonic() < deadline:
            meanwhile()
            time.sleep(POLL_SECONDS)
        meanwhile()
        return ended

    def end(self) -> None:
        """Ends all processes of the command: first asks them, with time to end their own children, then kills them."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                deadline = time.monotonic() + END_SECONDS
                while time.monotonic() < deadline:
                    self._reap()
                    os.killpg(self._process.pid, 0)
                    time.sleep(POLL_SECONDS)
            except ProcessLookupError:
                return

    def _reap(self) -> bool:
        with self._reaping:
            if self.status is None:
                ended, status, usage = os.wait4(self._process.pid, os.WNOHANG)
                if ended:
                    self.status = self._process.returncode = os.waitstatus_to_exitcode(status)
                    self.processor_seconds = usage.ru_utime + usage.ru_stime
            return self.status is not None


class NewLines:
    """Gives each line that is written to a file to `told`."""

    def __init__(self, file: pathlib.Path, told: Callable[[str], None]):
        self._file, self._told = open(file, "rb"), told
        self._begun = b""

    def __call__(self) -> None:
        *lines, self._begun = (self._begun + self._file.read()).split(b"\n")
        for line in lines:
            self._told(line.decode(errors="replace"))


class Commands:
    """Runs commands, those of two threads at once."""

    def __init__(self, root: pathlib.Path, environment: Mapping[str, str], seconds: float = STEP_SECONDS):
        self._root, self._environment, self._seconds = root, environment, seconds
        self._running: set[Command] = set()
        self._ending = False
        self._starting = threading.Lock()

    def run(self, words: list[str], log: pathlib.Path | None = None, told: Callable[[str], None] | None = None) -> tuple[int, float]:
        """Runs a command with its output in a log, and shows the end of the log if it fails. Without a log the output goes to
        stderr. `told` gets each line of the log while the command runs. Returns its status and its processor seconds."""
        with self._starting:
            if self._ending:
                return 1, 0.0
            out = open(log, "wb") if log else None
            try:
                command = Command(words, cwd=self._root, stdin=subprocess.DEVNULL, stdout=out or sys.stderr,
                                  stderr=subprocess.STDOUT if out else None, env=self._environment)
            finally:
                if out:
                    out.close()  # the command has a copy
            self._running.add(command)
        in_time = True
        try:
            in_time = command.wait(self._seconds, NewLines(log, told) if log and told else lambda: None)
        finally:
            command.end()
            self._running.discard(command)
        if not in_time:
            tell(f"{words[0]} did not end within {self._seconds:.0f} s")
        status = command.status if in_time and command.status is not None else 124
        if status and log:
            tell("\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]))
        if status and (hint := disk_space.hint(self._root / "build")):
            tell(f"  what to do: {hint}")
        return status, command.processor_seconds

    def end(self) -> None:
        """Ends the commands that run, and lets no other start."""
        with self._starting:
            self._ending = True
        for command in list(self._running):
            command.end()


def tell(text: str) -> None:
    """Prints to stderr. Its reader may have ended; the run goes on, and its results are in a file."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def show_list(text: str) -> None:
    """Prints a list, or other text that the user asked for. Its reader may stop early, as head does."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again at the end
        if not isinstance(error, BrokenPipeError):
            raise LabError(f"the text cannot be printed: {error.strerror}") from None


class Parser(argparse.ArgumentParser):
    """One whose help ends without a traceback, wherever it is written to, and that takes no empty value: an unset variable of a shell."""

    def parse_args(self, args=None, namespace=None):
        for word in sys.argv[1:] if args is None else args:
            if word == "" or re.fullmatch("--[a-z-]+=", word):
                self.error("a value is empty")
        return super().parse_args(args, namespace)

    def print_help(self, file=None) -> None:
        try:
            show_list(self.format_help().rstrip("\n"))
        except LabError as error:
            self.exit(1, f"{self.prog}: error: {error}\n")
