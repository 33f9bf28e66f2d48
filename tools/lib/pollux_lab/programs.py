# SPDX-License-Identifier: BSD-3-Clause
"""Pollux's programs: finds them in a build folder, runs them in the guest, and reads their JSON."""

import contextlib
import dataclasses
import json
import pathlib
import shlex

from .built import programs_in
from .errors import LabError
from .guest import Guest

NAMES = ["pollux", "l2fwd", "pktgen"]
# The programs for tests in the guest, which a build with tests and tools has.
EXAMPLES = ["echo", "kernel_path", "tcp_server"]
SHARED_OBJECTS = ["pollux-ethtool.so"]  # the guest's programs find it beside them
TESTS = ["guest_test", "settings_port", "conformance_test", "gro_compare", "offload_tool", "ports_test", "silicon_probe", *EXAMPLES,
         *SHARED_OBJECTS]
START_SECONDS = 30


def built_programs(build: pathlib.Path, names: list[str] | None = None) -> list[pathlib.Path]:
    found = []
    for name in NAMES if names is None else names:
        candidates = programs_in(build, name)
        if not candidates:
            raise LabError(f"no program '{name}' was built in {build}", f"build first: cmake --build {build}")
        found.append(candidates[0])
    return found


def built_tests(build: pathlib.Path) -> list[pathlib.Path]:
    """The programs of TESTS that were built; a case that needs another one fails."""
    return [candidates[0] for name in TESTS if (candidates := programs_in(build, name))]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The last line of a program's --json output."""
    received: int
    sent: int
    drops: dict[str, int]
    in_flight: int
    raw: dict

    @property
    def dropped(self) -> int:
        return sum(self.drops.values())

    @property
    def conserved(self) -> bool:
        """Whether frames and buffers are conserved, by the counts and by the program's own statement."""
        adds_up = self.received == self.sent + self.dropped + self.in_flight
        return adds_up and self.raw["conserved"] and self.raw["mbufs_in_use"] == 0

    def __str__(self) -> str:
        named = ", ".join(f"{name} {count}" for name, count in self.drops.items() if count) or "none"
        return f"received {self.received} = sent {self.sent} + dropped {self.dropped} ({named}) + in flight {self.in_flight}, {self.raw['mbufs_in_use']} buffers not returned"


def summary_in(output: str) -> dict:
    for line in reversed(output.splitlines()):
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict) and isinstance(parsed.get("summary"), dict):
            return parsed["summary"]
    raise LabError("the program printed no summary", detail=output[-2000:])


class Forwarder:
    """l2fwd in the guest, forwarding while the `with` block runs. It polls, and the guest may have one processor, which the programs that
    a case starts beside it need, too: so its niceness is the highest, unless these programs wait for it."""

    def __init__(self, guest: Guest, *words: str, name: str = "l2fwd", program: str = "l2fwd", niceness: int = 19):
        self._guest = guest
        self._niceness = niceness
        self._name = name
        self._words = [program, *words, "--json"]
        self._running = False

    def __enter__(self) -> "Forwarder":
        self._guest.check(f"spawn {self._name} nice -n {self._niceness} {shlex.join(self._words)}\n"
                          f"await_line {self._name} '^l2fwd: forwarding' {START_SECONDS}", START_SECONDS + 10)
        self._running = True
        return self

    def stop(self, signal: str = "INT") -> Summary:
        """Ends l2fwd as Ctrl-C does, or waits until it ends by itself if `signal` is empty; returns its summary."""
        self._running = False
        interrupt = f"interrupt {self._name} {signal}\n" if signal else ""
        raw = summary_in(self._guest.check(f"{interrupt}finish {self._name} 20", 30))
        return Summary(raw["received"], raw["sent"], raw.get("drops", {}), raw.get("in_flight", 0), raw)

    def ended(self) -> None:
        """Records that l2fwd has already ended and was waited for."""
        self._running = False

    def __exit__(self, _, error: BaseException | None, __) -> None:
        if not self._running or not self._guest.alive():
            return
        ended = ""
        # An error while cleaning up must not hide the original one; Fixture.tidy checks again.
        with contextlib.suppress(LabError):
            self._guest.run(f"interrupt {self._name} INT; finish {self._name} 5 >/dev/null", 20)
            ended = self._guest.run(f"tail -n 20 /run/{self._name}.err; tail -n 1 /run/{self._name}.out", 20).out
        if isinstance(error, (AssertionError, LabError)):
            raise AssertionError(f"{error}\n{self._name} then ended with:\n{ended}") from error


def generate(guest: Guest, *words: str, seconds: float = 120) -> dict:
    """Runs pktgen in the guest to its end; returns its summary."""
    return summary_in(guest.check(shlex.join(["pktgen", *words, "--json"]), seconds))
