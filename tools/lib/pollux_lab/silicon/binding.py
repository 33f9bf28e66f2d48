# SPDX-License-Identifier: BSD-3-Clause
"""Takes the ports from the kernel, and gives them back. `pollux bind --hold` does both, the latter also if this process dies."""

import contextlib
import fcntl
import pathlib
import subprocess
import sys
import time

from pollux_lab.errors import LabError

from .programs import Programs

FOLDER = pathlib.Path("/run/pollux/silicon")
BOUND = "the ports are given back when standard input ends"  # as `pollux bind --hold` prints it
BIND_SECONDS = 60
GIVE_BACK_SECONDS = 180
UNBIND_SECONDS = 30   # of one `pollux unbind`
RELEASE_SECONDS = 30  # until a killed program's device is closed


@contextlib.contextmanager
def only_run(folder: pathlib.Path = FOLDER):
    """Allows one run at a time on this machine. The kernel releases the lock when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LabError("tools/silicon runs on this machine already", "wait for it to end") from error
        yield


class Binding:
    """The ports, once they are taken. `taken`: those that have to be given back; the others belonged to VFIO before."""

    def __init__(self, programs: Programs, ports: list[str], taken: list[str], force: bool):
        self._programs = programs
        self._words = ["bind", "--hold", *(["--force"] if force else []), *ports]
        self._taken = taken
        self._held = None

    def take(self) -> None:
        self._held = self._programs.start("pollux", *self._words)
        deadline = time.monotonic() + BIND_SECONDS
        while BOUND not in self._held.out():
            if self._held.process.poll() is not None:
                raise LabError(f"'pollux bind' failed: {self._held.errors()}")
            if time.monotonic() > deadline:
                raise LabError(f"'pollux bind' did not end in {BIND_SECONDS} s", "see the kernel's log: dmesg | tail")
            time.sleep(0.05)

    def give_back(self) -> list[str]:
        """Returns what did not work."""
        if self._held is None:
            return []
        with contextlib.suppress(BrokenPipeError):
            self._held.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._held.process.wait(GIVE_BACK_SECONDS) == 0:
                return []
        # It was killed, or could not give all back.
        return unbind(str(self._programs.paths["pollux"]), self._taken)


def unbind(pollux: str, ports: list[str]) -> list[str]:
    """Gives ports back, also those that a killed run has left. Returns what did not work."""
    return [problem for port in ports if (problem := _unbind_one(pollux, port))]


def _unbind_one(pollux: str, port: str) -> str:
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            done = subprocess.run([pollux, "unbind", port], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=UNBIND_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            return f"{port}: {error}"
        if done.returncode == 0:
            return ""
        if time.monotonic() > deadline:
            return f"{port}: {done.stderr.strip()}"
        time.sleep(0.2)


def report(problems: list[str], ports: list[str]) -> bool:
    """Says what is left to do. Returns whether nothing is."""
    for problem in problems:
        tell(f"silicon: NOT given back: {problem}")
    if problems:
        tell(f"silicon: run 'tools/silicon --give-back {' '.join(ports)}' to try again")
    return not problems


def tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
