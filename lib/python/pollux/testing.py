# SPDX-License-Identifier: BSD-3-Clause
"""A pytest plugin, which is there by itself where the package is installed: in-process cards at the ends of a wire, in virtual time,
and ports in real time whose other end a program has.

    def test_loss(pollux_wire):
        wire = pollux_wire(loss=1)
        wire.send(b"\\xff" * 60)
        assert wire.receive() == [] and wire.counters()["lost"] == 1

    def test_an_echo(pollux_end):
        end = pollux_end("tap:lab0")
        end.send(asked)
        assert end.receive(seconds=1, wanted=lambda frame: frame[12:14] == asked[12:14])

--pollux-ports=sim:0+sim:1,ring:a:0+ring:a:1 runs each test of a wire on each of these pairs. When a test fails, the frames of
send and receive are in wire.pcap or, for example, tap-lab0.pcap in its tmp_path, and the report has the counters.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from . import Context, Frame, Port

_LINK_SECONDS = 10.0


class _Recorded:
    """Keeps what a test sends and receives, for the report of its failure."""

    def __init__(self, context: Context, *ports: Port) -> None:
        self.context = context
        self.ports = ports
        self.frames: list[tuple[float, bytes]] = []

    def note(self, content: bytes) -> bytes:
        self.frames.append((self.context.now(), content))
        return content

    def report(self) -> str:
        lines = []
        for port in self.ports:
            drops = {reason: count for reason, count in port.stats()["drops"].items() if count}
            lines.append(f"{port.uri}: drops {drops}")
        return "\n".join([*lines, f"forgotten frames: {self.context.forgotten}"])

    def write_capture(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))  # nanoseconds, Ethernet
            for when, content in self.frames:
                seconds = int(when)
                file.write(struct.pack("<IIII", seconds, int((when - seconds) * 1e9), len(content), len(content)) + content)


class Wire(_Recorded):
    """Two ports, `left` and `right`, and the wire between them. The options are those of `sim:`, such as loss, delay and seed."""

    def __init__(self, context: Context, uris: tuple[str, str], **options: object) -> None:
        if options and not uris[0].startswith("sim:"):
            pytest.skip(f"the wire of {uris[0]} has no options")
        words = ",".join(f"{name}={value}" for name, value in options.items())
        self.left: Port = context.open(uris[0] + (f"?{words}" if words else ""))
        self.right: Port = context.open(uris[1])
        super().__init__(context, self.left, self.right)
        for port in self.ports:
            port.wait_for_link(_LINK_SECONDS)

    def send(self, content: bytes | Frame, port: Port | None = None) -> None:
        """Sends a copy of a frame from `port`: the left one, unless another is given."""
        self.note(bytes(content))
        (port or self.left).tx[0].send(content)

    def receive(self, port: Port | None = None, seconds: float = 0.001, n: int = 32) -> list[bytes]:
        """Lets that much time pass, and returns what has arrived at `port`: the right one, unless another is given."""
        self.context.sleep(seconds)
        return [self.note(content) for content in (port or self.right).rx[0].read(n)]

    def counters(self) -> dict[str, int]:
        """What became of the frames from left to right."""
        return self.context.wire_counters(int(self.left.uri.split("?")[0].removeprefix("sim:")))

    def report(self) -> str:
        wire = f"left to right: {self.counters()}\n" if self.left.uri.startswith("sim:") else ""
        return wire + super().report()


class End(_Recorded):
    """A port in real time. The program under test has the other end: a TAP interface, or a veth's other one."""

    def __init__(self, context: Context, uri: str, settings: Mapping[str, Any] | None = None) -> None:
        self.port = context.open(uri, settings)
        super().__init__(context, self.port)

    def send(self, content: bytes | Frame) -> None:
        """Sends a copy of a frame."""
        self.port.tx[0].send(self.note(bytes(content)))

    def receive(self, seconds: float = 1.0, wanted: Callable[[bytes], object] | None = None) -> bytes | None:
        """The next frame that `wanted` accepts; None if there is none in time."""
        end = self.context.now() + seconds
        while (left := end - self.context.now()) > 0:
            for frame in self.port.rx[0].wait(1, seconds=left):
                with frame:
                    content = self.note(bytes(frame))
                if wanted is None or wanted(content):
                    return content
        return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pollux-ports", default="sim:0+sim:1", help="pairs of ports for tests with pollux_wire: A+B,C+D")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pollux_ports" in metafunc.fixturenames:
        pairs = metafunc.config.getoption("--pollux-ports").split(",")
        metafunc.parametrize("pollux_ports", [tuple(pair.split("+")) for pair in pairs], ids=pairs)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if call.when != "call" or not report.failed:
        return
    for name, recorded in getattr(item, "pollux_recorded", {}).items():
        capture = item.funcargs["tmp_path"] / f"{name}.pcap"
        recorded.write_capture(capture)
        report.sections.append((f"Pollux: {name}", f"{recorded.report()}\n{len(recorded.frames)} frames: {capture}"))


def _record(node: Any, name: str, recorded: _Recorded) -> None:
    vars(node).setdefault("pollux_recorded", {})[name] = recorded


@pytest.fixture
def pollux_context() -> Iterator[Context]:
    """A context in virtual time."""
    with Context(virtual_time=True) as context:
        yield context


@pytest.fixture
def pollux_wire(
    request: pytest.FixtureRequest, pollux_context: Context, pollux_ports: tuple[str, str], tmp_path: Path
) -> Callable[..., Wire]:
    """Makes a Wire: pollux_wire(loss=0.1, delay="50us", seed=7). A test makes one."""

    def make(**options: object) -> Wire:
        wire = Wire(pollux_context, pollux_ports, **options)
        _record(request.node, "wire", wire)
        return wire

    return make


@pytest.fixture
def pollux_end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., End]]:
    """Opens an End: pollux_end("tap:lab0"). Their context is in real time."""
    with Context(control_thread=True) as context:

        def open_end(uri: str, settings: Mapping[str, Any] | None = None) -> End:
            end = End(context, uri, settings)
            _record(request.node, re.sub(r"\W+", "-", uri), end)
            return end

        yield open_end
