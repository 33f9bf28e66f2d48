# SPDX-License-Identifier: BSD-3-Clause
"""Receiving in asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._pollux import Frame, Rx


async def frames(rx: Rx, n: int = 32) -> list[Frame]:
    """The frames of a queue that have arrived, at least one; sleeps in the running event loop until there are."""
    import asyncio  # which costs 30 ms that other programs need not pay

    loop = asyncio.get_running_loop()
    while not (received := rx.burst(n)):
        descriptor = rx.fileno()
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, lambda: None if readable.done() else readable.set_result(None))
        try:
            if rx.arm():
                await readable
        finally:
            loop.remove_reader(descriptor)
            rx.disarm()
    return received
