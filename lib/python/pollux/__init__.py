# SPDX-License-Identifier: BSD-3-Clause
"""Pollux: network cards driven from userspace, and in-process cards to test with.

    import pollux

    with pollux.Context() as context, context.open("sim:0") as left, context.open("sim:1") as right:
        left.wait_for_link(10)
        left.tx[0].send(bytes(60))
        for frame in right.rx[0].wait(seconds=1):
            print(len(frame), memoryview(frame)[:14].hex())

A port, a context and a frame are used in a `with` statement, or closed or freed by hand. Calls raise pollux.Error, whose text
says how to fix what failed. A queue belongs to one thread at a time; what a process has opened, a child of fork cannot use.
"""

import atexit
import enum
import json
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from . import _aio
from ._errors import Error, InvalidArgument, NotFound, NotPermitted, NotSupported, OutOfMemory, TimedOut
from ._pollux import Context as _Context
from ._pollux import Frame, Rx, Tx, free
from ._pollux import Port as _Port
from ._pollux import version as __version__
from ._values import Checksum, EventKind, LogLevel, Offload, PacketType

__all__ = [
    "Checksum", "Context", "Error", "EventKind", "Frame", "InvalidArgument", "LogLevel", "NotFound", "NotPermitted",
    "NotSupported", "Offload", "OutOfMemory", "PacketType", "Port", "Rx", "TimedOut", "Tx", "free",
]  # fmt: skip

_CONTROL_THREAD, _VIRTUAL_TIME, _HUGE_PAGES_REQUIRE, _HUGE_PAGES_NEVER = 1, 2, 4, 8
_contexts: "weakref.WeakSet[Context]" = weakref.WeakSet()


def _with_enum(kind: type[enum.IntEnum], callback: Any) -> Any:
    """Calls `callback` with a member of `kind` as its first argument."""
    return (lambda number, *others: callback(kind(number), *others)) if callable(callback) else callback


@atexit.register
def _close_all() -> None:
    """Threads of the library end before the interpreter does."""
    for context in list(_contexts):
        try:
            context.close()
        except (Error, RuntimeError):
            pass  # a thread is still in a call: it ends with the process


class Context:
    """Owns what would otherwise be global: the clock, the log, memory for frames, wires between in-process cards.

    virtual_time: time passes in sleep() and in calls that wait only, for tests on sim: ports.
    huge_pages: True: memory is of huge pages or there is none; False: of ordinary ones; None: huge ones if there are any.
    control_thread: a thread of the library calls run_due().
    log: called as log(level, message), in the thread whose call of the context, or of what it opened, ends next. What it raises
    goes to sys.unraisablehook.
    """

    def __init__(
        self,
        *,
        virtual_time: bool = False,
        huge_pages: bool | None = None,
        control_thread: bool = False,
        log: Callable[[LogLevel, str], object] | None = None,
        arena_bytes: int = 0,
    ) -> None:
        flags = (_CONTROL_THREAD if control_thread else 0) | (_VIRTUAL_TIME if virtual_time else 0)
        if huge_pages is not None:
            flags |= _HUGE_PAGES_REQUIRE if huge_pages else _HUGE_PAGES_NEVER
        self.virtual_time = virtual_time
        self._handle = _Context(log=_with_enum(LogLevel, log), flags=flags, arena_bytes=arena_bytes)
        _contexts.add(self)

    def open(self, uri: str, settings: Mapping[str, Any] | None = None) -> "Port":
        """Opens the port that `uri` names and starts it: "vfio:0000:01:00.0", "xdp:eth0", "sim:0?loss=0.1" and others
        (docs/ports.md), with settings that differ from the defaults, such as {"mtu": 9000} (docs/telemetry.md)."""
        return Port(self, uri, self._handle.open(uri, None if settings is None else json.dumps(settings)))

    def close(self) -> None:
        """Closes the ports that are open, and the context. Frames, and views of their bytes, stay valid."""
        try:
            self._handle.close()
        finally:
            _aio.wake_closed()

    @property
    def closed(self) -> bool:
        return self._handle.closed

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> float:
        """Seconds of the context's clock, which starts at an arbitrary time."""
        return self._handle.now()

    def sleep(self, seconds: float) -> None:
        """Sleeps; in virtual time, lets it pass, in which in-process cards and wires do their work."""
        self._handle.sleep(seconds)

    def run_due(self) -> float | None:
        """Does what is due: statistics, events, telemetry. Returns when to call it again, as now() counts; None: no port is open."""
        return self._handle.run_due()

    def fileno(self) -> int:
        """A descriptor that is readable while run_due() has work: for select, and loop.add_reader(context, context.run_due)."""
        return self._handle.fileno()

    def request(self, method: str, **params: Any) -> Any:
        """The result of a method of the telemetry that needs no port, such as "ports" or "pools" (docs/telemetry.md)."""
        return json.loads(self._handle.request(None, method, json.dumps(params)))

    def wire_counters(self, card: int) -> dict[str, int]:
        """What became of the frames that the in-process card `sim:card` has sent: entered, carried, lost and others."""
        counters: dict[str, int] = json.loads(self._handle.wire_counters(card))
        return counters

    def serve(self, socket: str | None = None, *, program: str | None = None, read_only: bool = False) -> None:
        """Answers `pollux stats`, `pollux capture` and the other tools in run_due(), until the context is closed.

        socket: path of the socket; without it, where the tools look. program: the name in answers."""
        self._handle.serve(socket, program, read_only)

    def drop(self, frames: Iterable[Frame], reason: str) -> None:
        """Frees frames, and counts them under a name of the program. Telemetry and captures show it."""
        self._handle.drop(frames, reason)

    def dropped(self, reason: str) -> int:
        """How many frames were dropped under this name."""
        return self._handle.dropped(reason)

    @property
    def forgotten(self) -> int:
        """Frames that were garbage-collected, and were neither sent nor freed nor dropped. While the context is open, telemetry
        counts them as python_forgotten."""
        return self._handle.forgotten


class _Queues(Sequence[Any]):
    """The queues of a port. There may be more after a change of settings."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._queues: dict[int, Any] = {}

    def _all(self) -> list[Any]:
        index = len(self._queues)
        while (queue := self._make(index)) is not None:
            self._queues.setdefault(index, queue)  # one step, since a signal's handler or another thread may come here, too
            index += 1
        return list(self._queues.values())

    def __len__(self) -> int:
        return len(self._all())

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]


class Port:
    """An open port, started. Context.open() makes it."""

    def __init__(self, context: Context, uri: str, handle: _Port) -> None:
        self.context = context
        self.uri = uri
        self._handle = handle
        self.rx: Sequence[Rx] = _Queues(handle.rx)
        self.tx: Sequence[Tx] = _Queues(handle.tx)

    def __repr__(self) -> str:
        return f"<pollux.Port {self.uri}{', closed' if self.closed else ''}>"

    def close(self) -> None:
        """Stops the port and releases its device. Frames, and views of their bytes, stay valid."""
        try:
            self._handle.close()
        finally:
            _aio.wake_closed()

    @property
    def closed(self) -> bool:
        return self._handle.closed

    def __enter__(self) -> "Port":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for_link(self, seconds: float | None = None) -> None:
        """Waits until the link is up. TimedOut: the text says what to check."""
        self._handle.wait_for_link(seconds)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the program has asked of the port: a copy, which change() takes back."""
        settings: dict[str, Any] = json.loads(self._handle.settings())
        return settings

    def change(self, patch: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Changes settings, all of these or none: change(mtu=9000), or change({"vlans": {"7": True, "8": None}})."""
        self._handle.change(json.dumps({**(patch or {}), **settings}))

    def request(self, method: str, **params: Any) -> Any:
        """The result of a method of the telemetry that concerns a port, such as "port.link" (docs/telemetry.md)."""
        return json.loads(self.context._handle.request(self._handle, method, json.dumps(params)))

    def stats(self) -> dict[str, Any]:
        """Counters of the port, and under "drops" those of lost frames by reason."""
        stats: dict[str, Any] = self.request("port.stats")
        return stats

    def on_event(self, callback: Callable[[EventKind, int, str], object] | None) -> None:
        """Calls callback(kind, queue, text) with what happens to the port from now on, as Context's log; None ends that."""
        self._handle.on_event(_with_enum(EventKind, callback))

    def frame(self, content: Any) -> Frame:
        """A frame to send: a copy of bytes, or that many zeros."""
        return self._handle.frame(content)

    def clone(self, frame: Frame) -> Frame:
        """A second frame with the same bytes, to send it twice; they may not be written any more."""
        return self._handle.clone(frame)
