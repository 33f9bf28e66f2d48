# SPDX-License-Identifier: BSD-3-Clause
"""Receiving in asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from ._pollux import Frame, Rx

# The queues that a task waits for.
_waiters: dict[Rx, _Waiter] = {}


class _Waiter:
    """Waits until a queue's descriptor is readable."""

    def __init__(self, rx: Rx, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.readable: asyncio.Future[None] = loop.create_future()
        self._descriptor = rx.fileno()
        loop.add_reader(self._descriptor, self._wake)
        self._reads = True

    def _wake(self) -> None:
        if not self.readable.done():
            self.readable.set_result(None)

    def end(self) -> None:
        if self._reads:
            self._reads = False
            self.loop.remove_reader(self._descriptor)
        self._wake()


async def frames(rx: Rx, n: int = 32) -> list[Frame]:
    """The frames of a queue that have arrived, at least one; sleeps in the running event loop until there are."""
    import asyncio  # which costs 30 ms that other programs need not pay

    loop = asyncio.get_running_loop()
    while not (received := rx.burst(n)):
        if rx in _waiters:
            raise RuntimeError("another task waits for frames of this queue: a queue is of one task at a time")
        waiter = _waiters[rx] = _Waiter(rx, loop)
        try:
            if rx.arm():
                await waiter.readable
        finally:
            del _waiters[rx]
            waiter.end()
            if not rx.closed:
                rx.disarm()
    return received


def wake_closed() -> None:
    """Wakes the tasks that wait for closed queues, whose next burst says so. Each event loop forgets the descriptor before another
    file may have its number."""
    for rx, waiter in list(_waiters.items()):
        if rx.closed:
            import asyncio

            if asyncio._get_running_loop() is waiter.loop:
                waiter.end()
            elif not waiter.loop.is_closed():
                waiter.loop.call_soon_threadsafe(waiter.end)
