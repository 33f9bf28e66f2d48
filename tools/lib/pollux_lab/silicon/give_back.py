# SPDX-License-Identifier: BSD-3-Clause
"""Remembers how the ports were, and gives them back: the driver, the interface's name, MTU, addresses and state."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from pollux_lab.errors import LabError

from .facts import Machine

FOLDER = pathlib.Path("/run/pollux/silicon")
PROGRAM_SECONDS = 30
RELEASE_SECONDS = 30    # until a killed program's device is closed
INTERFACE_SECONDS = 15  # until the kernel's driver has made its interface
RENAME_SECONDS = 3      # until udev has given it its name


@dataclasses.dataclass(frozen=True)
class State:
    """What has to be given back, as a file that outlives this process."""
    pollux: str         # the path of the command
    ports: list[dict]   # address, driver, interfaces (as facts.Interface)

    @staticmethod
    def of(machine: Machine, pollux: str) -> "State":
        return State(pollux, [{"address": port.address, "driver": port.driver,
                               "interfaces": [dataclasses.asdict(interface) for interface in port.interfaces]}
                              for port in machine.ports])

    def write(self, folder: pathlib.Path = FOLDER) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "state.new"
        partial.write_text(json.dumps(dataclasses.asdict(self)))
        partial.rename(folder / "state.json")


def saved_state(folder: pathlib.Path = FOLDER) -> State | None:
    try:
        return State(**json.loads((folder / "state.json").read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise LabError(f"{folder / 'state.json'}, the record of an earlier run, cannot be read: {error}",
                       "give the ports back by hand with 'pollux unbind ADDRESS', then remove that file") from error


def forget(folder: pathlib.Path = FOLDER) -> None:
    (folder / "state.json").unlink(missing_ok=True)


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


class Keeper:
    """A process that gives the ports back if this one dies before it has done so, by whatever signal."""

    def __init__(self, folder: pathlib.Path = FOLDER):
        self._folder = folder
        self._pipe = -1  # the keeper acts when the last holder of this end has died
        self._child = 0

    def __enter__(self) -> "Keeper":
        watched, self._pipe = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._child = os.fork()
        if self._child == 0:
            self._watch(watched)
        os.close(watched)
        return self

    def descriptor(self) -> int:
        """The keeper also waits for each program that inherits this descriptor."""
        return self._pipe

    def __exit__(self, *_) -> None:
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._child, 0)

    def _watch(self, watched: int) -> None:
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, signal.SIG_IGN)
            os.close(self._pipe)
            os.read(watched, 1)  # returns when the other end is closed, at the latest by the end of that process
            state = saved_state(self._folder)
            if state is not None:
                tell("silicon: the run was killed; giving the ports back")
                report(give_back(state), self._folder)
        finally:
            os._exit(0)


def report(problems: list[str], folder: pathlib.Path = FOLDER) -> bool:
    """Forgets the state if everything was given back; else says what is left to do."""
    if not problems:
        forget(folder)
        return True
    for problem in problems:
        tell(f"silicon: NOT given back: {problem}")
    tell("silicon: run 'tools/silicon --give-back' to try again")
    return False


def give_back(state: State) -> list[str]:
    """Gives back all ports of `state`, as far as possible. Can be called again. Returns what did not work."""
    problems = []
    for port in state.ports:
        try:
            _give_back_port(state.pollux, port)
        except (LabError, OSError, subprocess.SubprocessError) as error:
            problems.append(f"{port['address']}: {error}")
    return problems


def _give_back_port(pollux: str, port: dict) -> None:
    if port["driver"] == "vfio-pci":
        return
    _unbind(pollux, port["address"])
    for interface in port["interfaces"]:
        _restore(port["address"], interface)


def _unbind(pollux: str, address: str) -> None:
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        done = subprocess.run([pollux, "unbind", address], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROGRAM_SECONDS)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise LabError(f"'pollux unbind' failed: {done.stderr.strip()}")
        time.sleep(0.2)


def _restore(address: str, interface: dict) -> None:
    name = _named_as_before(address, interface["name"])
    _ip("link", "set", name, "mtu", str(interface["mtu"]))
    if interface["up"]:
        _ip("link", "set", name, "up")
    for entry in interface["addresses"]:
        if entry.get("scope") != "link":
            _ip(*_address_words(entry, name), allowed="File exists")


def _address_words(entry: dict, name: str) -> list[str]:
    words = ["address", "add", f"{entry['local']}/{entry['prefixlen']}", "dev", name]
    if "broadcast" in entry:
        words += ["broadcast", entry["broadcast"]]
    if entry.get("scope"):
        words += ["scope", entry["scope"]]
    if entry.get("noprefixroute"):
        words.append("noprefixroute")
    if entry.get("dynamic"):
        words += ["valid_lft", str(entry["valid_life_time"]), "preferred_lft", str(entry["preferred_life_time"])]
    return words


def _named_as_before(address: str, before: str) -> str:
    """Waits for the port's interface, and gives it its earlier name if udev has not done so."""
    folder = pathlib.Path("/sys/bus/pci/devices") / address / "net"
    name = _awaited(lambda: _first(folder), INTERFACE_SECONDS)
    if not name:
        raise LabError("the kernel's driver made no interface", "see dmesg")
    if not _awaited(lambda: _first(folder) == before, RENAME_SECONDS if pathlib.Path("/run/udev").exists() else 0):
        name = _first(folder)
        _ip("link", "set", name, "down")
        _ip("link", "set", name, "name", before)
    return before


def _first(folder: pathlib.Path) -> str:
    try:
        return next((entry.name for entry in sorted(folder.iterdir())), "")
    except OSError:
        return ""


def _awaited(condition, seconds: float):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _ip(*words: str, allowed: str = "\0") -> None:
    done = subprocess.run(["ip", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROGRAM_SECONDS)
    if done.returncode != 0 and allowed not in done.stderr:
        raise LabError(f"'ip {' '.join(words)}' failed: {done.stderr.strip()}")


def tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
