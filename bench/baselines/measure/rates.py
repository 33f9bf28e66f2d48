# SPDX-License-Identifier: BSD-3-Clause
"""Measures frames per second of Pollux and testpmd in a guest that runs in real time. The emulated card is most of the cost."""

import contextlib
import dataclasses
import pathlib
import re
import statistics
from collections.abc import Callable, Iterable

from pollux_lab import programs
from pollux_lab.errors import LabError, QemuCrashed
from pollux_lab.guest import Guest
from pollux_lab.machine import Machine

from .figures import Figures
from .guests import RUN, bind, guest, lines_of, on_a_hub
from .session import Session
from .tell import tell

BURST = 32
# Added to each timeout for starting and stopping the ports.
GRACE_SECONDS = 60
# testpmd needs this time before frames flow.
START_SECONDS = 9
# QEMU may crash when it emulates two processors. An interrupted repetition is repeated, up to this many times.
CRASHES = 5
# Without FCS: 64 bytes on the wire, as in all measurements.
FRAME = 60
# Circulating frames: one burst in each direction, as with testpmd's --tx-first.
ROUND = 2 * BURST
TESTPMD = pathlib.Path("/usr/bin/dpdk-testpmd")


@dataclasses.dataclass(frozen=True)
class Wired:
    """Two ports of a guest. testpmd loads `drivers` at run time by name. `cases` makes the runs of one repetition: the case, the program,
    its Mpps."""
    name: str
    make: Callable[[], Machine]
    programs: tuple[str, ...]
    drivers: tuple[str, ...]
    cases: Callable[["Rates"], Iterable[tuple[str, str, float]]]


def measure(session: Session, figures: Figures) -> None:
    repeat(session, figures, Wired("rates", on_a_hub, ("pollux", "l2fwd", "pollux_app_static", "dpdk_app_static"),
                                   ("librte_net_e1000.so", "librte_mempool_ring.so"), Rates.all))


def repeat(session: Session, figures: Figures, wired: Wired) -> None:
    built = session.programs(*wired.programs)
    drivers = [driver(name) for name in wired.drivers]
    wanted, done, crashes = 3 if session.quick else 5, 0, 0
    while done < wanted:
        try:
            with guest(session.kernel, [*built, TESTPMD, *drivers], icount=False, make=wired.make) as running:
                bind(running)
                rates = Rates(running, drivers, 3 if session.quick else 4)
                while done < wanted:
                    tell(f"[{wired.name}] repetition {done + 1} of {wanted}")
                    for case, who, rate in list(wired.cases(rates)):
                        figures.add({"where": "guest", "case": case, "who": who, "burst": BURST, "mpps": rate})
                    done, crashes = done + 1, 0
        except QemuCrashed as error:
            crashes += 1
            if crashes > CRASHES:
                raise
            tell(f"{error.what}; continuing in a new guest")


def driver(name: str) -> pathlib.Path:
    found = sorted(pathlib.Path("/usr/lib").glob(f"*/dpdk/pmds-*/{name}.*"), key=lambda path: len(path.name))
    if not found:
        raise LabError(f"DPDK's {name} is not installed", "install the packages that 'bench/baselines/run' names")
    return found[0]


class Rates:
    def __init__(self, running: Guest, drivers: list[pathlib.Path], seconds: int):
        self._guest = running
        self._drivers = " ".join(f"-d /bin/{path.name}" for path in drivers)
        self._seconds = seconds
        self.ports = running.machine.addresses()

    def all(self):
        both = " ".join(self.ports)
        yield "forward", "l2fwd", self.l2fwd()
        yield "forward", "testpmd", self.testpmd("io", "--tx-first", self.ports)
        yield "forward", "pollux", self.app("pollux_app_static", "forward", both)
        yield "forward", "dpdk", self.app("dpdk_app_static", "forward", both)
        one = self.ports[0]
        yield "txonly", "testpmd", self.testpmd("txonly", f"--txpkts={FRAME}", [one])
        yield "txonly", "pollux", self.app("pollux_app_static", "txonly", one)
        yield "txonly", "dpdk", self.app("dpdk_app_static", "txonly", one)
        with self.pollux_at_the_other("txonly"):
            yield "rxonly", "pollux", self.app("pollux_app_static", "rxonly", one)
            yield "rxonly", "testpmd", self.testpmd("rxonly", "", [one])
            yield "rxonly", "dpdk", self.app("dpdk_app_static", "rxonly", one)

    @contextlib.contextmanager
    def pollux_at_the_other(self, case: str):
        """Runs Pollux as the sender or receiver at the other port, for each of the programs that are measured."""
        self._guest.check(
            f"{RUN} spawn other pollux_app_static --burst {BURST} --case {case} --seconds 600 {self.ports[1]}")
        try:
            yield
        finally:
            self._guest.check("interrupt other KILL; finish other 20; true", 40)

    def l2fwd(self) -> float:
        one, other = self.ports
        out = self._guest.check(
            f"l2fwd {one} {other} --circulate {ROUND} --no-mac-updating --seconds {self._seconds} --json",
            self._seconds + GRACE_SECONDS)
        return programs.summary_in(out)["mpps"]

    def app(self, program: str, case: str, ports: str) -> float:
        lines = lines_of(self._guest, f"{program} --burst {BURST} --case {case} --seconds {self._seconds} {ports}",
                         self._seconds + GRACE_SECONDS)
        return lines[0]["mpps"]

    def testpmd(self, mode: str, more: str, ports: list[str]) -> float:
        allowed = " ".join(f"-a {port}" for port in ports)
        out = self._guest.check(
            f"{RUN} timeout -s INT {self._seconds + START_SECONDS} dpdk-testpmd -l 0,1 --in-memory --no-telemetry"
            f" {self._drivers} {allowed} -- --forward-mode={mode} {more} --nb-cores=1 --rxd=512 --txd=512 --burst={BURST}"
            " --total-num-mbufs=8192 --stats-period=1", self._seconds + GRACE_SECONDS)
        return mean_rate(out, "Rx" if mode == "rxonly" else "Tx", len(ports))


def mean_rate(out: str, direction: str, ports: int) -> float:
    """The mean of the rates that testpmd prints each second, in Mpps, summed over all ports. Skips the first and the last second,
    which are incomplete."""
    counts = [int(count) for count in re.findall(rf"{direction}-pps: +(\d+)", out)]
    seconds = [sum(counts[i:i + ports]) for i in range(0, len(counts), ports)][1:-1]
    if not seconds or not max(seconds):
        raise LabError("testpmd printed no rates", "", out[-3000:])
    return statistics.fmean(seconds) / 1e6
