# SPDX-License-Identifier: BSD-3-Clause
"""A pytest plugin: in-process cards at the ends of a wire, in virtual time. Installed with the package, it is there by itself.

    def test_loss(pollux_wire):
        wire = pollux_wire(loss=1)
        wire.send(b"\\xff" * 60)
        assert wire.receive() == [] and wire.counters()["lost"] == 1

--pollux-ports=sim:0+sim:1,ring:a:0+ring:a:1 runs each test of a wire on each of these pairs. When a test fails, the frames of
send and receive are in wire.pcap in its tmp_path, and the report has the counters.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import Context, Frame, Port

_LINK_SECONDS = 10.0


class Wire:
    """Two ports, `left` and `right`, and the wire between them. The options are those of `sim:`, such as loss, delay and seed."""

    def __init__(self, context: Context, uris: tuple[str, str], **options: object) -> None:
        if options and not uris[0].startswith("sim:"):
            pytest.skip(f"the wire of {uris[0]} has no options")
        words = ",".join(f"{name}={value}" for name, value in options.items())
        self.context = context
        self.frames: list[tuple[float, bytes]] = []
        self.left: Port = context.open(uris[0] + (f"?{words}" if words else ""))
        self.right: Port = context.open(uris[1])
        for port in (self.left, self.right):
            port.wait_for_link(_LINK_SECONDS)

    def send(self, content: bytes | Frame, port: Port | None = None) -> None:
        """Sends a copy of a frame from `port`: the left one, unless another is given."""
        self.frames.append((self.context.now(), bytes(content)))
        (port or self.left).tx[0].send(content)

    def receive(self, port: Port | None = None, seconds: float = 0.001, n: int = 32) -> list[bytes]:
        """Lets that much time pass, and returns what has arrived at `port`: the right one, unless another is given."""
        self.context.sleep(seconds)
        received = (port or self.right).rx[0].read(n)
        self.frames += [(self.context.now(), content) for content in received]
        return received

    def counters(self) -> dict[str, int]:
        """What became of the frames from left to right."""
        return self.context.wire_counters(int(self.left.uri.split("?")[0].removeprefix("sim:")))

    def report(self) -> str:
        lines = []
        for port in (self.left, self.right):
            drops = {reason: count for reason, count in port.stats()["drops"].items() if count}
            lines.append(f"{port.uri}: drops {drops}")
        if self.left.uri.startswith("sim:"):
            lines.append(f"left to right: {self.counters()}")
        return "\n".join([*lines, f"forgotten frames: {self.context.forgotten}"])

    def write_capture(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))  # nanoseconds, Ethernet
            for when, content in self.frames:
                seconds = int(when)
                file.write(struct.pack("<IIII", seconds, int((when - seconds) * 1e9), len(content), len(content)) + content)


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
    wire = getattr(item, "pollux_wire", None)
    if wire is None or call.when != "call" or not report.failed:
        return
    capture = item.funcargs["tmp_path"] / "wire.pcap"
    wire.write_capture(capture)
    report.sections.append(("Pollux", f"{wire.report()}\n{len(wire.frames)} frames: {capture}"))


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
        request.node.pollux_wire = Wire(pollux_context, pollux_ports, **options)
        return request.node.pollux_wire

    return make
