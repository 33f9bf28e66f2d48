# SPDX-License-Identifier: BSD-3-Clause
"""Runs the same cases in each access mode of VFIO: group (type1 container), IOMMUFD (device file), and no-IOMMU."""

import functools

from cases.boots import A, ALL_MODES, ALL_MODES_BARE, B, C, D, G, LAB, VIRTUAL_TIME
from cases.forwarding import pass_frames, require_counts
from cases.kernel_ports import REMOVE_NAMESPACES, PING, namespaces
from cases.life import kill, restart
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require, require_message

ACCESS_MODES = {"group": ALL_MODES, "iommufd": ALL_MODES, "noiommu": ALL_MODES_BARE}
IN_VIRTUAL_TIME = {"group": VIRTUAL_TIME, "iommufd": VIRTUAL_TIME, "noiommu": ALL_MODES_BARE}


def in_every_access_mode(long: str = "", boots=ACCESS_MODES, short: tuple[str, ...] = ()):
    """Declares a case for each mode. Those other than `short` may be long ones, for the reason `long`."""
    def register(function):
        for mode, boot in boots.items():
            run = functools.partial(_run_in, mode, function)
            run.__name__ = f"{function.__name__}_via_{mode}"
            case(boot, "" if mode in short else long)(run)
        return function
    return register


# For what does not depend on the mode: a short run has it by group alone.
by_group_first = functools.partial(in_every_access_mode, "what it shows by group depends on no access mode", short=("group",))


def _run_in(mode: str, function, fixture: Fixture) -> None:
    fixture.via = f"?via={mode}"
    function(fixture)


@in_every_access_mode()
def frames_pass_intact(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--mtu 9500") as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 2000)
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0), 1000)
        # Frames of several buffers. Without an IOMMU the buffers may be far apart in physical memory.
        passed += pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200, [9514, 4096, 60], window=64)
        require_counts(l2fwd.stop(), passed)


@by_group_first()
def restarts(fixture: Fixture) -> None:
    fixture.bind(A, B)
    restart(fixture, 2)


@in_every_access_mode()
def a_killed_process_leaves_nothing(fixture: Fixture) -> None:
    fixture.bind(A, B)
    kill(fixture)
    # DMA that the killed process had set up must not write to memory that now belongs to another process.
    restart(fixture, 1)


@in_every_access_mode()
def the_kernel_takes_a_port_back(fixture: Fixture) -> None:
    fixture.bind(C, D)
    with fixture.l2fwd(C, D) as l2fwd:
        require(l2fwd.stop().conserved, "the counts do not add up")
    fixture.guest.check(f"pollux unbind {fixture.addresses[C]} {fixture.addresses[D]}")
    require(fixture.guest.check(f"driver_of {fixture.addresses[C]}").strip() == "igb", "the port is not bound to the kernel's driver")
    try:
        fixture.guest.check(namespaces(fixture, C, G), 60)
        output = fixture.guest.check(PING.format(size=1400), 60)
        require(" 0% packet loss" in output, output)
    finally:
        fixture.guest.run(REMOVE_NAMESPACES)


@in_every_access_mode()
def a_port_that_the_host_requests_back_is_closed(fixture: Fixture) -> None:
    """Unbinding waits until the program has closed the device. An event tells the program to do so."""
    fixture.bind(A, B)
    address = fixture.addresses[A]
    with fixture.l2fwd(A, B) as l2fwd:
        pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100)
        fixture.guest.check(f"spawn taker sh -c 'echo {address} >/sys/bus/pci/drivers/vfio-pci/unbind'")
        outcome = fixture.guest.run("finish l2fwd 20", 30)
        l2fwd.ended()
        require(0 < outcome.status < 128, f"l2fwd ended with status {outcome.status}\n{outcome.out}{outcome.err}")
        require_message(fixture.guest.check("cat /run/l2fwd.err"), address, "the host requests the card's removal")
        fixture.guest.check("finish taker 20", 30)
    require(fixture.guest.check(f"driver_of {address}").strip() == "none", "the port is still bound to vfio-pci")
    fixture.guest.check(f"echo {address} >/sys/bus/pci/drivers/vfio-pci/bind")
    restart(fixture, 1)


@case(LAB)
def a_port_whose_link_has_an_error_is_closed(fixture: Fixture) -> None:
    """The kernel receives the error from the root port (AER) and tells vfio-pci, which tells the program."""
    fixture.bind(A, B)
    address = fixture.addresses[A]
    with fixture.l2fwd(A, B) as l2fwd:
        pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100)
        fixture.guest.report_error(A, "COMP_TIME")
        outcome = fixture.guest.run("finish l2fwd 20", 30)
        l2fwd.ended()
        require(0 < outcome.status < 128, f"l2fwd ended with status {outcome.status}\n{outcome.out}{outcome.err}")
        require_message(fixture.guest.check("cat /run/l2fwd.err"), address, "an uncorrected PCI Express error")
    require_message(fixture.guest.check("dmesg | grep -i 'aer: '"), "uncorrected (non-fatal)")
    restart(fixture, 1)


def run_tests(fixture: Fixture, program: str, tests: int, seconds: float, **settings: str) -> None:
    """Runs a test program, and requires that exactly `tests` tests passed. So a filter that matches no test fails."""
    words = " ".join(f"{name}='{value}'" for name, value in settings.items())
    outcome = fixture.guest.run(f"{words} {program} --gtest_brief=1", seconds)
    require(outcome.status == 0 and f"[  PASSED  ] {tests} test" in outcome.out,
            f"{program} ended with status {outcome.status}, not with {tests} tests passed\n"
            f"{outcome.out[-4000:]}{outcome.err[-2000:]}")


@in_every_access_mode()
def interrupts_queues_and_removal(fixture: Fixture) -> None:
    fixture.bind(C, G)
    emulated = {"POLLUX_GUEST_EMULATED": "1"} if fixture.guest.machine.accel == "tcg" else {}
    run_tests(fixture, "guest_test --gtest_filter=-VirtualFunction.*:QueueOrder.*:Suspend.*", 4, 60,
              POLLUX_GUEST_PORTS=f"{fixture.uri(C)},{fixture.uri(G)}", **emulated)


@by_group_first()
def a_suspended_port_sleeps_in_d3hot(fixture: Fixture) -> None:
    fixture.bind(C, G)
    run_tests(fixture, "guest_test --gtest_filter='Suspend.*'", 1, 60, POLLUX_GUEST_PORTS=f"{fixture.uri(C)},{fixture.uri(G)}")


def conform(fixture: Fixture, chosen: list[str], burst_mode: str = "best") -> None:
    names = ":".join(f"Ports/{name}/*" for name in chosen)
    fixture.bind(C, G)
    run_tests(fixture, f"conformance_test --gtest_filter='{names}'", len(chosen), 300,
              POLLUX_CONFORMANCE_PORTS=f"{fixture.uri(C)},{fixture.uri(G)}", POLLUX_CONFORMANCE_BURST_MODE=burst_mode)


@in_every_access_mode(boots=IN_VIRTUAL_TIME)
def conformance_subset(fixture: Fixture) -> None:
    """Runs the conformance tests that depend on the access mode. The others depend only on the driver."""
    conform(fixture, ["LifeCycle.OpensOnlyOnce", "LifeCycle.CanBeOpenedAgainAfterClose",
                    "LifeCycle.FreesAllBuffersWhenClosedWithFramesInFlight",
                    "Traffic.CarriesJumboFrames", "Control.SendsAndReceivesOnSeveralQueues"])


BUFFERS = ["Buffers.SurvivesAnExhaustedPool", "Buffers.SendsClonesWithoutChangingTheOriginal",
           "Buffers.SendsMemoryOfTheApplication"]


@case(VIRTUAL_TIME)
def promiscuous_clones_external_buffers_and_an_exhausted_pool(fixture: Fixture) -> None:
    conform(fixture, ["Control.FiltersByDestination", *BUFFERS])


@case(VIRTUAL_TIME)
def conformance_subset_with_avx2(fixture: Fixture) -> None:
    conform(fixture, ["Traffic.KeepsTheOrderWhenItsRingsWrap", "Traffic.CarriesJumboFrames", "Traffic.SendsChains",
                    *BUFFERS], "avx2")


@case(VIRTUAL_TIME)
def two_cards_conform(fixture: Fixture) -> None:
    fixture.bind(C, G)
    conform_to(fixture, f"{fixture.uri(C)},{fixture.uri(G)}", seconds=600)


def conform_to(fixture: Fixture, ports: str, traits: str = "", seconds: int = 300, but: str = "") -> None:
    """Runs every conformance test that applies to the two ports, but for the test `but`."""
    settings = {"POLLUX_CONFORMANCE_PORTS": ports, "POLLUX_CONFORMANCE_TRAITS": traits, "GTEST_FILTER": f"-*/{but}/*" if but else "*"}
    words = " ".join(f"{name}='{value}'" for name, value in settings.items())
    listed = fixture.guest.check(f"{words} conformance_test --gtest_list_tests")
    tests = sum(line.startswith("  ") for line in listed.splitlines())
    require(tests > 40, f"the list of tests is too short:\n{listed}")
    run_tests(fixture, "conformance_test", tests, seconds, **settings)


@in_every_access_mode(long="every conformance test, more than a minute per access mode", boots=IN_VIRTUAL_TIME)
def conformance_complete(fixture: Fixture) -> None:
    fixture.bind(C, G)
    conform_to(fixture, f"{fixture.uri(C)},{fixture.uri(G)}")
