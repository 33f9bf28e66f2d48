# SPDX-License-Identifier: BSD-3-Clause
"""The cards on which third-party drivers are run, each a column of the table in docs/82576/interop.md, and how a case is
declared for them. A column differs in a case only as differences.toml says."""

import contextlib
import dataclasses
import functools
import inspect
import pathlib
import re
import tempfile
import tomllib
from collections.abc import Callable

from pollux_lab import cases, fetched, wire
from pollux_lab.cases import Fixture, Boot
from pollux_lab.errors import LabError, QemuCrashed
from pollux_lab.guest import Guest
from pollux_lab.machine import Hub, Machine, Port, VfioUser
from pollux_lab.programs import built_programs
from pollux_lab.server import Server
from . import network

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
LONG = "a long interoperability case"
# Columns on which a case is part of the short run.
MODEL = ("model",)
ALL = ("qemu10", "qemu11", "model")
# What igb logs when something is wrong with its card. "reset" alone is not: `ethtool -t` resets the card.
IGB_COMPLAINTS = re.compile(r"igb.*(\bhang|error|fail|lost|unable|not valid|disabling)|NETDEV WATCHDOG", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Column:
    """A card. `boot` is the guest with two of them, `left` and `right`, on one wire."""
    key: str
    title: str
    boot: Boot


@dataclasses.dataclass(frozen=True)
class Row:
    """A case on every column. `absent` has the reason for each column on which the case is not run."""
    name: str
    title: str
    absent: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Difference:
    case: str
    column: str
    seen: str
    reason: str


class Lab:
    """The environment of a case: the guest of a column, and what the case found out."""

    def __init__(self, fixture: Fixture, column: Column):
        self.guest: Guest = fixture.guest
        self.addresses = fixture.addresses
        self.macs = fixture.macs
        self.column = column
        self.facts: dict[str, object] = {}

    def on(self, side: str, command: str, seconds: float = 30) -> str:
        """Runs a command in the namespace of the left or right port, which is named `port` there."""
        return self.guest.check(f"ip netns exec {side} {command}", seconds)

    def cut_wire(self, cut: bool) -> None:
        """Disconnects or connects the wire between the ports. For an exported card the port at the other end goes down instead."""
        if isinstance(self.guest.machine.ports[0].wire, VfioUser):
            self.guest.check(f"ip -n right link set port {'down' if cut else 'up'}")
            return
        for port in range(len(self.guest.machine.ports)):
            self.guest.set_link(port, not cut)

    def connect(self) -> None:
        """Both ports are up and have a link, their addresses, MTU and default features."""
        network.connect(self)

    @contextlib.contextmanager
    def captured(self):
        """Yields a wire.Capture of the frames that pass between the ports meanwhile."""
        with wire.captured(self.guest.machine.ports[0].dump) as capture:
            yield capture


class Folder:
    """The folder for captures of this run; removed at its end."""

    def __init__(self):
        self._made = None

    @property
    def path(self) -> pathlib.Path:
        if self._made is None:
            self._made = tempfile.TemporaryDirectory(prefix="pollux-interop-")
        return pathlib.Path(self._made.name)


FOLDER = Folder()
# The build folder of the program `pollux`; set by tests/interop/run.
BUILD = [ROOT / "build/release"]
ROWS: list[Row] = []
# The outcome and the facts of each case that ran, by case and column.
OUTCOMES: dict[str, dict[str, dict]] = {}


@functools.cache
def newer_qemu() -> str:
    return fetched.folder("newer-qemu") + "/start/qemu-system-x86_64"


def two_igbs(key: str, emulator: str) -> Machine:
    return Machine([Port(Hub(0), dump=FOLDER.path / f"{key}.pcap"), Port(Hub(0))], cpus=2, huge_pages=0, iommu=False,
                   emulator=emulator)


def two_exported_cards(key: str, *options: str) -> Machine:
    """Two in-process cards on a wire, exported by `pollux card`."""
    sockets = [FOLDER.path / f"{key}.{side}" for side in network.SIDES]
    capture = FOLDER.path / f"{key}.pcap"
    words = [built_programs(BUILD[0], ["pollux"])[0], "card", *(word for socket in sockets for word in ("--socket", socket)),
             "--wire", f"capture={capture}", *options]
    server = Server(list(map(str, words)), FOLDER.path / f"{key}.log", ready=f"{sockets[-1]}: card")
    return Machine([Port(VfioUser(socket), dump=capture) for socket in sockets], cpus=2, huge_pages=0, iommu=False,
                   emulator=newer_qemu(), servers=[server])


COLUMNS = [
    Column("qemu10", "QEMU 10", Boot("QEMU's igb, two processors", lambda: two_igbs("qemu10", "qemu-system-x86_64"), "modprobe -a igb 8021q")),
    Column("qemu11", "QEMU 11", Boot("the newer QEMU's igb, two processors", lambda: two_igbs("qemu11", newer_qemu()),
                                     "modprobe -a igb 8021q")),
    Column("model", "our model", Boot("two in-process cards in the newer QEMU, two processors", lambda: two_exported_cards("model"),
                                      "modprobe -a igb 8021q")),
]


@functools.cache
def differences() -> list[Difference]:
    with open(ROOT / "tests/interop/differences.toml", "rb") as file:
        return [Difference(**entry) for entry in tomllib.load(file).get("difference", [])]


def difference(case: str, column: str) -> Difference | None:
    return next((entry for entry in differences() if (entry.case, entry.column) == (case, column)), None)


def on_every_card(short: tuple[str, ...] = (), absent: dict[str, str] | None = None, boots: dict[str, Boot] | None = None):
    """Declares a case for all columns but the absent ones. On the columns of `short` it is part of the short run. `boots` has the guest of
    each column if the case needs other guests than the columns have."""
    def register(function: Callable[[Lab], None]):
        row = Row(function.__name__, inspect.getdoc(function).splitlines()[0], absent or {})
        ROWS.append(row)
        for column in COLUMNS:
            if column.key not in row.absent:
                boot = boots[column.key] if boots else column.boot
                cases.REGISTRY.append(cases.Case(f"interop.{row.name}.{column.key}", boot,
                                                 functools.partial(_run, function, row, column), "" if column.key in short else LONG))
        return function
    return register


def on_this_card(boot: Boot, name: str, title: str, function: Callable[[Lab], None]) -> None:
    """Declares a long case that runs on one machine only, the in-process card's, and is no row of the table."""
    column = Column("model", title, boot)
    row = Row(name, title, {})
    cases.REGISTRY.append(cases.Case(f"interop.{name}.model", boot, functools.partial(_run, function, row, column, quiet=False), LONG))


def _run(function: Callable[[Lab], None], row: Row, column: Column, fixture: Fixture, quiet: bool = True) -> None:
    lab = Lab(fixture, column)
    outcome = OUTCOMES.setdefault(row.name, {}).setdefault(column.key, {})
    declared = difference(row.name, column.key)
    error = ""
    try:
        function(lab)
        if quiet:
            _require_quiet_driver(lab)
    except QemuCrashed:
        raise
    except (AssertionError, LabError) as failure:
        error = str(failure)
    outcome |= {"outcome": "differs" if error and declared else "failed" if error else "passed", "facts": lab.facts, "error": error}
    if error and not (declared and re.search(declared.seen, error)):
        raise AssertionError(error)
    if declared and not error:
        outcome["outcome"] = "failed"
        raise AssertionError(f"it passes, but differences.toml declares that it fails on {column.title}: {declared.reason}")


def _require_quiet_driver(lab: Lab) -> None:
    said = [line for line in lab.guest.check("dmesg").splitlines() if IGB_COMPLAINTS.search(line)]
    cases.require(not said, "the driver complains:\n" + "\n".join(said[:10]))
