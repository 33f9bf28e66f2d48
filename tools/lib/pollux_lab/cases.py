# SPDX-License-Identifier: BSD-3-Clause
"""Test cases that need a guest: declared with @case, grouped by boot, each with its own result."""

import contextlib
import dataclasses
import itertools
import pathlib
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterable

from .errors import LabError, QemuCrashed
from .guest import Guest, started
from .junit import Result
from .kernel import Kernel
from .machine import Machine
from .programs import EXAMPLES, NAMES, Forwarder, generate


@dataclasses.dataclass(frozen=True)
class Boot:
    """A machine that several cases share. `prepare` runs in the guest after each start; `kernel` is the distribution's
    'stock' kernel, the tests' 'own' one or a 'newer' one."""
    name: str
    machine: Callable[[], Machine]
    prepare: str
    kernel: str = "stock"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    boot: Boot
    function: Callable[["Fixture"], None]
    long: str  # why the case is left out of the short run; empty if it is not


REGISTRY: list[Case] = []


def case(boot: Boot, long: str = ""):
    def register(function):
        REGISTRY.append(Case(f"guest.{function.__name__}", boot, function, long))
        return function
    return register


def chosen(names: Iterable[str], only: str) -> set[str]:
    """The names that contain one of these texts, which commas separate. Raises LabError for a text that none contains."""
    found: set[str] = set()
    for text in only.split(","):
        some = {name for name in names if text in name}
        if not some:
            raise LabError(f"no case has '{text}' in its name", "--list prints all names")
        found |= some
    return found


def require(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def require_message(text: str, *parts: str) -> None:
    """Every part must be in the text, in upper or lower case."""
    for part in parts:
        require(part.lower() in text.lower(), f"'{part}' is not in the output:\n{text}")


class LeftOut(Exception):
    """A case cannot run here; the message is the reason."""


def leave_out(why: str) -> None:
    raise LeftOut(why)


class Fixture:
    """The environment of a case: the running guest, and its ports by number."""

    def __init__(self, guest: Guest):
        self.guest = guest
        self.addresses = guest.machine.addresses()
        self.macs = guest.machine.macs()
        self.via = ""  # the access mode, as the end of a URI
        self._to_release: list[str] = []

    def near(self, port: int):
        """This process's end of the wire from a port."""
        return self.guest.machine.ports[port].wire.near

    def bind(self, *ports: int, options: str = "") -> None:
        """Binds ports to vfio-pci with the pollux command; they are unbound after the case."""
        addresses = [self.addresses[port] for port in ports]
        self._to_release += addresses
        self.guest.check(f"pollux bind {' '.join(addresses)} {options}")

    def uri(self, port: int) -> str:
        return "vfio:" + self.addresses[port] + self.via

    def l2fwd(self, *ports: int, options: str = "", name: str = "l2fwd", program: str = "l2fwd") -> Forwarder:
        return Forwarder(self.guest, *map(self.uri, ports), *shlex.split(options), name=name, program=program)

    def pktgen(self, *ports: int, options: str = "", seconds: float = 120) -> dict:
        return generate(self.guest, *map(self.uri, ports), *shlex.split(options), seconds=seconds)

    def tidy(self) -> None:
        """Cleans up after a case, and fails on leftovers: processes, huge pages, complaints of the kernel."""
        names = " ".join(NAMES + EXAMPLES)
        script = f"for name in {names}; do pidof $name && killall -KILL $name; done; true"
        stray = self.guest.check(script).split()
        if self._to_release:
            self.guest.check(f"for address in {' '.join(self._to_release)}; do pollux unbind $address; done", 60)
            self._to_release = []
        require(not stray, f"processes were still running: {' '.join(stray)}")
        total = self.guest.machine.huge_pages
        free = self.guest.check(f'await 5 sh -c \'. /lib/lab.sh; [ "$(free_huge_pages)" = {total} ]\'; free_huge_pages').strip()
        require(free == str(total), f"{free} huge pages of {total} are free afterwards")
        complaints = self.guest.complaints()
        require(not complaints, "the guest's kernel complains:\n" + "\n".join(complaints[:10]))


@dataclasses.dataclass
class Runner:
    kernel: Callable[[str], Kernel]  # makes the kernel of this name when a boot first needs it
    cache: pathlib.Path
    programs: list[pathlib.Path]
    accel: str = "tcg"
    full: bool = False

    def run(self, cases: list[Case]) -> list[Result]:
        results = []
        for left_out in [case for case in cases if case.long and not self.full]:
            results.append(without_run(left_out.name, left_out.long))
        chosen = [case for case in cases if self.full or not case.long]
        for boot in dict.fromkeys(case.boot for case in chosen):
            results += self._run_boot(boot, [case for case in chosen if case.boot is boot])
        return results

    def _run_boot(self, boot: Boot, cases: list[Case]) -> list[Result]:
        results: list[Result] = []
        waiting = list(cases)
        crashed: set[Case] = set()
        while waiting:
            _print(f"BOOT      {boot.name}")
            try:
                guest = self._start(boot, results)
            except LabError as error:
                # If the guest does not start, perhaps because there is no kernel, all its cases fail.
                return results + [_print_result(Result(case.name, "failed", 0, str(error))) for case in waiting]
            except LeftOut as reason:
                return results + [_print_result(Result(case.name, "skipped", 0, str(reason))) for case in waiting]
            with contextlib.closing(guest):
                self._run_until_lost(guest, waiting, results, crashed)
        return results

    def _start(self, boot: Boot, results: list[Result]) -> Guest:
        attempts = itertools.count(1)

        def again(text: str) -> None:
            results.append(_again(f"guest boot {boot.name}, attempt {next(attempts)}", text))

        def machine() -> Machine:
            made = boot.machine()
            made.accel = self.accel
            return made
        guest = started(machine, self.kernel(boot.kernel), self.cache, self.programs, tell=again)
        try:
            guest.check(boot.prepare, 120)
        except BaseException:
            guest.close()
            raise
        return guest

    def _run_until_lost(self, guest: Guest, waiting: list[Case], results: list[Result], crashed: set[Case]) -> None:
        while waiting and guest.alive():
            case = waiting[0]
            try:
                result = _run_case(case, guest)
            except QemuCrashed as error:
                if case not in crashed:
                    # Tried again once, with a message: a crash of the emulator says nothing about the case.
                    crashed.add(case)
                    results.append(_again(f"{case.name}, first attempt", str(error)))
                    return
                result = Result(case.name, "failed", 0, str(error))
            results.append(_print_result(result))
            waiting.pop(0)
        if guest.alive():
            guest.stop()


def without_run(name: str, what: str) -> Result:
    """A long case that is not run."""
    _print(f"LEFT OUT  {name}: {what} (--full runs it)")
    return Result(name, "skipped", 0, what)


def _run_case(case: Case, guest: Guest) -> Result:
    start = time.monotonic()
    fixture = Fixture(guest)
    failures = []
    left_out = ""
    for step in (lambda: case.function(fixture), fixture.tidy):
        try:
            if guest.alive():
                step()
            elif not failures:
                failures.append("the guest had ended by itself")
        except QemuCrashed:
            raise
        except LeftOut as reason:
            left_out = str(reason)
        except (AssertionError, LabError) as error:
            failures.append(str(error))
        except Exception:  # a bug in a case must not end the others
            failures.append(traceback.format_exc())
    seconds = time.monotonic() - start
    if failures or not left_out:
        return Result(case.name, "failed" if failures else "passed", seconds, "\n".join(failures))
    return Result(case.name, "skipped", seconds, left_out)


def _again(name: str, why: str) -> Result:
    """An attempt without a result. It counts as skipped, so that the run shows that a restart was needed."""
    _print(f"AGAIN     {name}: {why}")
    return Result(name, "skipped", 0, f"started again: {why.splitlines()[0]}")


def _print_result(result: Result) -> Result:
    word = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}[result.state]
    _print(f"{word:<9} {result.name} ({result.seconds:.1f} s)")
    if result.state != "passed":
        _print("\n".join("          " + line for line in result.detail.splitlines()))
    return result


def _print(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)
