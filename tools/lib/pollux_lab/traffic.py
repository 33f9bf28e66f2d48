# SPDX-License-Identifier: BSD-3-Clause
"""Sends frames into one socket and checks those from another, with a bounded number in flight."""

import dataclasses
import select
import socket
import time
from collections.abc import Callable

from . import frames

# Smaller than any Rx ring, so that QEMU never silently drops a frame.
WINDOW = 192
_SCAPY_SAMPLE = 61
_KEEP_EXAMPLES = 5


@dataclasses.dataclass
class TrafficResult:
    """sent = received intact + corrupt + missing; other received frames are counted separately."""
    sent: int = 0
    intact: int = 0
    corrupt: int = 0
    missing: int = 0
    reordered: int = 0
    unexpected: int = 0
    bytes_intact: int = 0
    by_scapy: int = 0
    seconds: float = 0.0
    examples: list[str] = dataclasses.field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.intact == self.sent and not (self.corrupt or self.missing or self.reordered or self.unexpected)

    def __str__(self) -> str:
        text = (f"{self.sent} sent, {self.intact} intact, {self.corrupt} corrupt, {self.missing} missing, "
                f"{self.reordered} out of order, {self.unexpected} unexpected")
        return "\n  ".join([text, *self.examples])

    def example(self, text: str) -> None:
        if len(self.examples) < _KEEP_EXAMPLES:
            self.examples.append(text)


def send_through(into: socket.socket, out_of: socket.socket, maker: frames.FrameMaker, count: int,
                 expect: Callable[[bytes], bytes] = frames.unchanged, *, window: int = WINDOW, stall_seconds: float = 5,
                 progress: Callable[[int], None] | None = None) -> TrafficResult:
    """Sends `count` frames; each has to come back as `expect` rewrites it, in order. Ends when all are accounted for, or
    when nothing was received for `stall_seconds`."""
    return _Exchange(into, out_of, maker, count, expect, window, stall_seconds, progress).run()


class _Exchange:
    def __init__(self, into, out_of, maker, count, expect, window, stall_seconds, progress):
        self._into, self._out_of = into, out_of
        self._maker, self._count, self._expect = maker, count, expect
        self._window, self._stall, self._progress = window, stall_seconds, progress
        self._outstanding: dict[int, None] = {}
        self._result = TrafficResult()
        self._latest = -1

    def run(self) -> TrafficResult:
        result = self._result
        start = last_news = time.monotonic()
        self._into.setblocking(False)
        self._out_of.setblocking(False)
        while result.sent < self._count or self._outstanding:
            want_to_send = result.sent < self._count and len(self._outstanding) < self._window
            readable, writable, _ = select.select([self._out_of], [self._into] if want_to_send else [], [], 0.2)
            if readable and self._receive_some():
                last_news = time.monotonic()
            if writable and self._send_some() and not self._outstanding:
                last_news = time.monotonic()
            if time.monotonic() - last_news > self._stall:
                break
        result.seconds = time.monotonic() - start
        result.missing = len(self._outstanding)
        if self._outstanding:
            result.example(f"first missing: frame {next(iter(self._outstanding))}")
        return result

    def _send_some(self) -> bool:
        sent = False
        while self._result.sent < self._count and len(self._outstanding) < self._window:
            try:
                self._into.send(self._maker.frame(self._result.sent))
            except (BlockingIOError, InterruptedError):
                break
            self._outstanding[self._result.sent] = None
            self._result.sent += 1
            sent = True
            if self._progress and self._result.sent % 1024 == 0:
                self._progress(self._result.sent)
        return sent

    def _receive_some(self) -> bool:
        received = False
        for _ in range(self._window):
            try:
                frame = self._out_of.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            received = True
            self._check(frame)
        return received

    def _check(self, frame: bytes) -> None:
        result = self._result
        number = self._maker.number_of(frame)
        if number is None or number not in self._outstanding:
            oldest = next(iter(self._outstanding), None)
            if number is None and oldest is not None and len(frame) == len(self._maker.frame(oldest)):
                self._corrupt(oldest, frame)
            else:
                result.unexpected += 1
                result.example(f"unexpected: {len(frame)} bytes, {frame[:32].hex(' ')}")
            return
        expected = self._expect(self._maker.frame(number))
        if frame != expected:
            self._corrupt(number, frame)
            return
        if number < self._latest:
            result.reordered += 1
            result.example(f"frame {number} came after frame {self._latest}")
        self._latest = max(self._latest, number)
        del self._outstanding[number]
        result.intact += 1
        result.bytes_intact += len(frame)
        if number % _SCAPY_SAMPLE == 0:
            self._ask_scapy(number, frame, expected)

    def _corrupt(self, number: int, frame: bytes) -> None:
        expected = self._expect(self._maker.frame(number))
        at = next((i for i, (a, b) in enumerate(zip(frame, expected)) if a != b), min(len(frame), len(expected)))
        self._result.corrupt += 1
        self._result.example(f"frame {number}: {len(frame)} bytes for {len(expected)}, first difference at byte {at}: "
                              f"{frame[at:at + 8].hex(' ')} for {expected[at:at + 8].hex(' ')}")
        del self._outstanding[number]

    def _ask_scapy(self, number: int, frame: bytes, expected: bytes) -> None:
        self._result.by_scapy += 1
        error = frames.scapy_error(frame, expected[:6].hex(":"), expected[6:12].hex(":"))
        if error:
            self._result.intact -= 1
            self._result.corrupt += 1
            self._result.example(f"frame {number}: scapy says {error}")
