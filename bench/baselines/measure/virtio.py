# SPDX-License-Identifier: BSD-3-Clause
"""Measures frames per second of Pollux and testpmd on QEMU's virtio-net in a guest that runs in real time. QEMU emulates both the
device and the processor."""

import functools
from collections.abc import Iterator

from pollux_lab.errors import LabError

from .figures import Figures
from .guests import on_a_hub
from .rates import FRAME, Rates, Wired, driver, repeat
from .session import Session
from .tell import tell

# As the device is in a virtual machine with an IOMMU: split rings, mergeable buffers.
DEVICE = "virtio-net-pci,disable-legacy=on,iommu_platform=on"
PROGRAMS = ("pollux", "l2fwd", "pollux_app_static")
DRIVERS = ("librte_net_virtio.so", "librte_mempool_ring.so")


def measure(session: Session, figures: Figures) -> None:
    if there("QEMU's virtio-net", DRIVERS):
        repeat(session, figures, Wired("virtio, hub", functools.partial(on_a_hub, DEVICE), PROGRAMS, DRIVERS, on_hub))


def there(what: str, drivers: tuple[str, ...]) -> bool:
    """Whether DPDK's drivers are installed; otherwise says what is left out."""
    try:
        return bool([driver(name) for name in drivers])
    except LabError as error:
        tell(f"LEFT OUT: {what}: {error}")
        return False


def on_hub(rates: Rates) -> Iterator[tuple[str, str, float]]:
    one = rates.ports[0]
    yield from forward(rates, "on a hub")
    # A hub keeps frames as long as no port is there that receives them.
    with rates.pollux_at_the_other("rxonly"):
        yield from txonly(rates, "on a hub")
    with rates.pollux_at_the_other("txonly"):
        yield "rxonly, on a hub", "pollux", rates.app("pollux_app_static", "rxonly", one)
        yield "rxonly, on a hub", "testpmd", rates.testpmd("rxonly", "", [one])


def forward(rates: Rates, where: str) -> Iterator[tuple[str, str, float]]:
    yield f"forward, {where}", "l2fwd", rates.l2fwd()
    yield f"forward, {where}", "testpmd", rates.testpmd("io", "--tx-first", rates.ports)


def txonly(rates: Rates, where: str) -> Iterator[tuple[str, str, float]]:
    one = rates.ports[0]
    yield f"txonly, {where}", "pollux", rates.app("pollux_app_static", "txonly", one)
    yield f"txonly, {where}", "testpmd", rates.testpmd("txonly", f"--txpkts={FRAME}", [one])
