# SPDX-License-Identifier: BSD-3-Clause
"""Measures frames per second of Pollux and testpmd in a guest that runs in real time. The emulated card is most of the cost."""

import contextlib
import pathlib
import re
import statistics

from pollux_lab import programs
from pollux_lab.errors import LabError, QemuCrashed
from pollux_lab.guest import Guest

from .figures import Figures
from .guests import RUN, bind, guest, lines_of
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
# testpmd loads these at run time by name.
DRIVERS = ("librte_net_e1000.so", "librte_mempool_ring.so")


def measure(session: Session, figures: Figures) -> None:
    built = session.programs("pollux", "l2fwd", "pollux_app_static", "dpdk_app_static")
    drivers = [driver(name) for name in DRIVERS]
    wanted, done, crashes = 3 if session.quick else 5, 0, 0
    while done < wanted:
        try:
            with guest(session.kernel, [*built, TESTPMD, *drivers], icount=False) as running:
                bind(running)
                rates = Rates(running, drivers, 3 if session.quick else 4)
                while done < wanted:
                    tell(f"[rates] repetition {done + 1} of {wanted}")
                    for case, who, rate in list(rates.all()):
                        figures.add({"where": "guest", "case": case, "who": who, "burst": BURST, "mpps": rate})
                    done += 1
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
        self._ports = running.machine.addresses()

    def all(self):
        both = " ".join(self._ports)
        yield "forward", "l2fwd", self._l2fwd()
        yield "forward", "testpmd", self._testpmd("io", "--tx-first", self._ports)
        yield "forward", "pollux", self._app("pollux_app_static", "forward", both)
        yield "forward", "dpdk", self._app("dpdk_app_static", "forward", both)
        one = self._ports[0]
        yield "txonly", "testpmd", self._testpmd("txonly", f"--txpkts={FRAME}", [one])
        yield "txonly", "pollux", self._app("pollux_app_static", "txonly", one)
        yield "txonly", "dpdk", self._app("dpdk_app_static", "txonly", one)
        with self._generator():
            yield "rxonly", "pollux", self._app("pollux_app_static", "rxonly", one)
            yield "rxonly", "testpmd", self._testpmd("rxonly", "", [one])
            yield "rxonly", "dpdk", self._app("dpdk_app_static", "rxonly", one)

    @contextlib.contextmanager
    def _generator(self):
        """Runs Pollux as the sender at the other port, for each of the receivers."""
        self._guest.check(
            f"{RUN} spawn generator pollux_app_static --burst {BURST} --case txonly --seconds 600 {self._ports[1]}")
        try:
            yield
        finally:
            self._guest.check("interrupt generator KILL; finish generator 20; true", 40)

    def _l2fwd(self) -> float:
        one, other = self._ports
        out = self._guest.check(
            f"l2fwd {one} {other} --circulate {ROUND} --no-mac-updating --seconds {self._seconds} --json",
            self._seconds + GRACE_SECONDS)
        return programs.summary_in(out)["mpps"]

    def _app(self, program: str, case: str, ports: str) -> float:
        lines = lines_of(self._guest, f"{program} --burst {BURST} --case {case} --seconds {self._seconds} {ports}",
                         self._seconds + GRACE_SECONDS)
        return lines[0]["mpps"]

    def _testpmd(self, mode: str, more: str, ports: list[str]) -> float:
        """The mean of the rates that testpmd prints each second, summed over all ports. Skips the first and the last second,
        which are incomplete."""
        allowed = " ".join(f"-a {port}" for port in ports)
        out = self._guest.check(
            f"{RUN} timeout -s INT {self._seconds + START_SECONDS} dpdk-testpmd -l 0,1 --in-memory --no-telemetry"
            f" {self._drivers} {allowed} -- --forward-mode={mode} {more} --nb-cores=1 --rxd=512 --txd=512 --burst={BURST}"
            " --total-num-mbufs=8192 --stats-period=1", self._seconds + GRACE_SECONDS)
        counts = [int(count) for count in re.findall(rf"{'Rx' if mode == 'rxonly' else 'Tx'}-pps: +(\d+)", out)]
        seconds = [sum(counts[i:i + len(ports)]) for i in range(0, len(counts), len(ports))][1:-1]
        if not seconds or not max(seconds):
            raise LabError("testpmd printed no rates", "", out[-3000:])
        return statistics.fmean(seconds) / 1e6
