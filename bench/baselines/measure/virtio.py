# SPDX-License-Identifier: BSD-3-Clause
"""Measures frames per second of Pollux and testpmd on QEMU's virtio-net in a guest that runs in real time. QEMU emulates both the
device and the processor."""

import functools
import os
import pathlib
import tempfile
from collections.abc import Iterator

from pollux_lab.errors import LabError
from pollux_lab.machine import Machine, Port, VhostUser
from pollux_lab.server import Server

from .figures import Figures
from .guests import on_a_hub
from .rates import FRAME, TESTPMD, Rates, Wired, driver, repeat
from .session import Session
from .tell import tell

# As the device is in a virtual machine with an IOMMU: split rings, mergeable buffers.
DEVICE = "virtio-net-pci,disable-legacy=on,iommu_platform=on"
PROGRAMS = ("pollux", "l2fwd", "pollux_app_static")
DRIVERS = ("librte_net_virtio.so", "librte_mempool_ring.so")
FAR_END = "librte_net_vhost.so"


def measure(session: Session, figures: Figures) -> None:
    if there("QEMU's virtio-net", DRIVERS):
        repeat(session, figures, Wired("virtio, hub", functools.partial(on_a_hub, DEVICE), PROGRAMS, DRIVERS,
                                       functools.partial(all_ways, where="on a hub")))
    if there("vhost-user", (*DRIVERS, FAR_END)):
        with tempfile.TemporaryDirectory(prefix="pollux-vhost-") as folder:
            machine = functools.partial(to_vhost_user, pathlib.Path(folder))
            repeat(session, figures, Wired("virtio, vhost-user", machine, PROGRAMS, DRIVERS,
                                           functools.partial(all_ways, where="over vhost-user")))


def there(what: str, drivers: tuple[str, ...]) -> bool:
    """Whether DPDK's drivers are installed; otherwise says what is left out."""
    try:
        return bool([driver(name) for name in drivers])
    except LabError as error:
        tell(f"LEFT OUT: {what}: {error}")
        return False


def to_vhost_user(folder: pathlib.Path) -> Machine:
    """A testpmd outside the guest passes what one device sends on to the other one, as a hub does."""
    sockets = [folder / f"socket{number}" for number in (0, 1)]
    for socket in sockets:
        # DPDK does not replace that of a process which has ended.
        socket.unlink(missing_ok=True)
    # DPDK sends no frame whose buffer's address it still has to ask QEMU for. Without retries it would drop the first ones, which circulate.
    commands = folder / "commands"
    commands.write_text("set fwd io retry\nset burst tx delay 10 retry 10000\n")
    processors = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    devices = [word for number, socket in enumerate(sockets) for word in ("--vdev", f"net_vhost{number},iface={socket},iommu-support=1")]
    # Without huge pages and PCI, on any processor. It sleeps between its statistics, and runs until it is ended.
    command = [str(TESTPMD), "--no-huge", "--no-shconf", "-m", "256", "--no-pci", "--no-telemetry", "--file-prefix", folder.name,
               "--lcores", f"(0-1)@({processors})", "-d", str(driver(FAR_END)), "-d", str(driver("librte_mempool_ring.so")), *devices,
               "--", "--no-mlockall", "--nb-cores=1", "--total-num-mbufs=8192", "--disable-link-check", "--stats-period=3600",
               f"--cmdline-file={commands}"]
    return Machine([Port(VhostUser(socket), device=DEVICE) for socket in sockets],
                   servers=[Server(command, folder / "far-end.log", "socket1) binding succeeded")])


def all_ways(rates: Rates, where: str) -> Iterator[tuple[str, str, float]]:
    one = rates.ports[0]
    yield f"forward, {where}", "l2fwd", rates.l2fwd()
    yield f"forward, {where}", "testpmd", rates.testpmd("io", "--tx-first", rates.ports)
    # A hub keeps frames as long as no port is there that receives them, and the far end of vhost-user tries again.
    with rates.pollux_at_the_other("rxonly"):
        yield f"txonly, {where}", "pollux", rates.app("pollux_app_static", "txonly", one)
        yield f"txonly, {where}", "testpmd", rates.testpmd("txonly", f"--txpkts={FRAME}", [one])
    with rates.pollux_at_the_other("txonly"):
        yield f"rxonly, {where}", "pollux", rates.app("pollux_app_static", "rxonly", one)
        yield f"rxonly, {where}", "testpmd", rates.testpmd("rxonly", "", [one])
