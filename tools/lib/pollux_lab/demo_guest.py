# SPDX-License-Identifier: BSD-3-Clause
"""The demo in a guest: frames through VFIO, checked outside the guest, then rates measured inside it."""

import argparse
import contextlib
import subprocess
import time

from . import frames, probe, programs, shell, traffic
from .demo_figures import Figures
from .demo_progress import Progress, tell
from .errors import LabError, QemuCrashed
from .guest import Guest, cache_directory, started
from .kernel import kernel_at
from .machine import Hub, Machine, OutsideSocket, Port

# A and B reach this process; C and D are wired to the generator ports G and H inside QEMU.
A, B, C, D, G, H = range(6)
TRIES = 3
FCS_BYTES = 4
DEFAULT_RATE_SIZE = 64


def machine(accel: str) -> Machine:
    return Machine([Port(OutsideSocket()), Port(OutsideSocket()), Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1))], accel=accel)


class GuestDemo:
    def __init__(self, options: argparse.Namespace):
        self._options = options
        self._phases: dict[str, str] = {}
        self._lines: list[str] = []
        self._figures = Figures("guest", "QEMU's igb behind an IOMMU, over VFIO in a guest")

    def run(self) -> Figures:
        kernel, cache = kernel_at(self._options.kernel), cache_directory()
        built = programs.built_programs(self._options.build)
        accel = probe.accelerator(self._options.accel, kernel, cache)
        for attempt in range(1, TRIES + 1):
            self._lines = []
            try:
                with self._phase("boot"):
                    guest = started(lambda: machine(accel), kernel, cache, built, tell=tell)
                with contextlib.closing(guest):
                    self._show(guest, f"Linux {kernel.version} in {qemu_version()} ({accel}), {guest.machine.cpus} processors")
                return self._figures
            except QemuCrashed as error:
                if attempt == TRIES:
                    raise
                tell(f"{error}\ntrying again, from the boot")

    def _show(self, guest: Guest, where: str) -> None:
        with self._phase("bind"):
            addresses = " ".join(guest.machine.addresses())
            guest.check(f"modprobe -a igb vfio-pci && pollux bind {addresses}", 60)
            self._require_vfio(guest)
        with self._phase("content"):
            self._content(guest)
        with self._phase("rate"):
            self._rate(guest)
        self._require_health(guest)
        if self._options.keep_open:
            self._print(where)
            tell("the guest stays open: try 'pollux list', 'pollux info PORT', 'l2fwd PORT PORT'; 'exit' ends it")
            shell.interact(guest)
            return
        with self._phase("shutdown"):
            guest.check(f"pollux unbind {addresses}", 60)
            guest.stop()
        self._print(where)

    @staticmethod
    def _require_vfio(guest: Guest) -> None:
        for address in guest.machine.addresses():
            driver = guest.check(f"driver_of {address}").strip()
            if driver != "vfio-pci":
                raise LabError(f"'pollux bind' succeeded, but {address} has driver {driver}",
                               DEFECT)

    def _content(self, guest: Guest) -> None:
        size = self._options.size
        maker = frames.FrameMaker([size - FCS_BYTES] if size else None)
        macs = guest.machine.macs()
        ends = [guest.machine.ports[port].wire.near for port in (A, B)]
        results = []
        with self._l2fwd(guest, A, B) as l2fwd:
            for into, out_of, out_port in ((0, 1, B), (1, 0, A)):
                expect = frames.rewritten_by_l2fwd(macs[out_port], out_of)
                results.append(traffic.send_through(ends[into], ends[out_of], maker, self._options.frames, expect,
                                                     progress=Progress(self._options.frames, f"direction {into + 1} of 2")))
            summary = l2fwd.stop()
        for result in results:
            if not result.clean:
                raise LabError(f"not all frames were forwarded correctly: {result}", DEFECT, f"l2fwd: {summary}")
        intact = sum(result.intact for result in results)
        require_accounted(summary, intact, intact)
        self._figures.checked = (intact, 2 * self._options.frames)
        sizes = f"{size} bytes" if size else "60 to 1514 bytes"
        seconds = sum(result.seconds for result in results)
        self._lines += [
            f"content    {intact} frames of {sizes} sent from outside, in both directions: {intact} returned, each byte as expected",
            f"           ({sum(v.by_scapy for v in results)} of them checked by scapy, too; {intact / seconds:,.0f} frames/s"
            " through the sockets)",
            f"           l2fwd: {summary}",
        ]

    def _rate(self, guest: Guest) -> None:
        size = self._options.size or DEFAULT_RATE_SIZE
        addresses = guest.machine.addresses()
        with self._l2fwd(guest, C, D) as l2fwd:
            seconds = self._options.seconds
            generator = programs.generate(
                guest, addresses[G], addresses[H], "--check", "--window", str(WINDOW), "--size", str(size), "--burst", str(self._options.burst),
                "--seconds", str(seconds), seconds=seconds + 60)
            summary = l2fwd.stop()
        if generator["corrupt"] or not generator["good"]:
            raise LabError(f"the generator received {generator['good']} good and {generator['corrupt']} corrupt frames", DEFECT)
        require_accounted(summary, None, None)
        lost_in, lost_out = generator["sent"] - summary.received, summary.sent - generator["received"]
        if lost_in < 0 or lost_out < 0:
            raise LabError("more frames were counted at the end of a wire than at its beginning", DEFECT,
                           f"generator: {generator}\nl2fwd: {summary}")
        self._figures.forwarded_mpps = generator["received"] / generator["seconds"] / 1e6
        self._lines += [
            f"rate       {generator['received'] / generator['seconds'] / 1e6:.3f} Mpps forwarded: {size}-byte frames, bursts of "
            f"{self._options.burst}, {generator['seconds']:.1f} s, generator and l2fwd in one guest",
            f"           generator sent {generator['sent']} > l2fwd received {summary.received}, sent {summary.sent} > "
            f"generator received {generator['received']}, none corrupt",
            f"           l2fwd: {summary}",
            f"           silently dropped by QEMU's wires: {lost_in} before l2fwd, {lost_out} after it",
        ]

    def _l2fwd(self, guest: Guest, one: int, other: int) -> programs.Forwarder:
        addresses = guest.machine.addresses()
        return programs.Forwarder(guest, f"vfio:{addresses[one]}", f"vfio:{addresses[other]}",
                                  "--burst", str(self._options.burst))

    @staticmethod
    def _require_health(guest: Guest) -> None:
        free = guest.check("free_huge_pages").strip()
        if free != str(guest.machine.huge_pages):
            raise LabError(f"only {free} of {guest.machine.huge_pages} huge pages are free afterwards", DEFECT)
        if complaints := guest.complaints():
            raise LabError("the guest's kernel complains", DEFECT, "\n".join(complaints[:10]))

    @contextlib.contextmanager
    def _phase(self, name: str):
        tell(f"guest: {name}")
        start = time.monotonic()
        yield
        self._phases[name] = f"{time.monotonic() - start:.1f}"

    def _print(self, where: str) -> None:
        total = sum(map(float, self._phases.values()))
        times = ", ".join(f"{name} {seconds} s" for name, seconds in self._phases.items())
        print("\n".join([f"guest      {where}", *self._lines, f"           {times}; together {total:.1f} s"]), flush=True)


# The number of frames in flight. It is below the size of a ring, since the hubs drop frames that find a full ring.
WINDOW = 256
DEFECT = "this is a defect: run the demo again with --keep-open to look into the guest, and report what you see"


def require_accounted(summary: programs.Summary, received: int | None, sent: int | None) -> None:
    if not summary.conserved:
        raise LabError(f"l2fwd's counts do not add up: {summary}", DEFECT)
    if received is not None and (summary.received, summary.sent) != (received, sent):
        raise LabError(f"{received} frames went through l2fwd, but it counted: {summary}", DEFECT)


def qemu_version() -> str:
    shown = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, timeout=20).stdout
    return "QEMU " + (shown.split("version ", 1)[1].split()[0] if "version " in shown else "?")
