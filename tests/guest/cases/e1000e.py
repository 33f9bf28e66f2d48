# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's 82574 through VFIO, and the kernel's e1000e at the other end of its wires."""

import json
import re

from cases.access_modes import run_tests
from cases.boots import A, B, C, E1000E, G
from cases.forwarding import pass_frames, require_counts
from cases.kernel_ports import communicate_through_l2fwd, return_to_kernel
from cases.life import kill, restart
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require


@case(E1000E)
def e1000e_frames_pass_intact(fixture: Fixture) -> None:
    """Frames of several buffers, too. Another process can take the cards over, also from one that was killed."""
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--mtu 9000") as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 1000)
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0), 1000)
        passed += pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100, [9014, 4096, 60], window=16)
        require_counts(l2fwd.stop(), passed)
    kill(fixture)
    restart(fixture, 2)


@case(E1000E)
def e1000e_pktgen_checks_its_frames(fixture: Fixture) -> None:
    fixture.bind(C, G)
    summary = fixture.pktgen(C, G, options="--count 5000 --window 64 --check --expect-all")
    require(summary["good"] == 5000 and summary["corrupt"] == 0, f"{summary}")


@case(E1000E)
def e1000e_two_kernels_ping_and_run_tcp_through_l2fwd(fixture: Fixture) -> None:
    """The kernel's e1000e is at the other end of both wires."""
    require(fixture.guest.check(f"driver_of {fixture.addresses[G]}").strip() == "e1000e", "the kernel's driver is another one")
    communicate_through_l2fwd(fixture)


@case(E1000E)
def e1000e_goes_back_to_the_kernel(fixture: Fixture) -> None:
    return_to_kernel(fixture, "e1000e")


@case(E1000E)
def e1000e_conformance_subset(fixture: Fixture) -> None:
    """Those that depend on VFIO: memory, life, and messages of interrupts."""
    chosen = ["LifeCycle.OpensOnlyOnce", "LifeCycle.CanBeOpenedAgainAfterClose", "LifeCycle.FreesAllBuffersWhenClosedWithFramesInFlight",
              "Traffic.CarriesJumboFrames", "Sleeping.AFrameWakes", "TransmitOffloads.LongPacketsOfTcpAreSegmented",
              "RssSettings.SpreadsFramesAsSoftwareSays"]
    names = ":".join(f"Ports/{name}/*" for name in chosen)
    fixture.bind(C, G)
    run_tests(fixture, f"conformance_test --gtest_filter='{names}'", len(chosen), 300,
              POLLUX_CONFORMANCE_PORTS=f"{fixture.uri(C)},{fixture.uri(G)}", POLLUX_CONFORMANCE_TRAITS="e1000e")


@case(E1000E)
def tools_know_an_82574(fixture: Fixture) -> None:
    def told(command: str) -> str:
        return fixture.guest.check(f"pollux {command}", 30)

    address = fixture.addresses[A]
    kernel = next(line.split() for line in told("list").splitlines() if address in line)
    require(kernel[1] == "e1000e", f"{kernel}")
    fixture.bind(A, B)
    require("0 errors" in told(f"doctor {address}"), "doctor finds errors")
    info = told(f"info {fixture.uri(A)}")
    require("82574L" in info and re.search("not driven +time stamps", info), f"info names no card, or not what is missing: {info}")
    status = json.loads(told(f"regs {fixture.uri(A)} STATUS --json"))["registers"]
    require(status[0]["fields"].get("LU") in (0, 1), f"{status}")
    with fixture.l2fwd(A, B, options="--telemetry") as l2fwd:
        require("e1000e" in told("ports"), "ports lacks the driver")
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200)
        require(json.loads(told("stats plx0 --json"))["account"]["holds"], "the counts do not add up")
        driver = told("ethtool -i plx0")
        require("driver: pollux-e1000e" in driver, f"ethtool -i lacks the driver: {driver}")
        require(f"rx_packets: {passed}\n" in told("ethtool -S plx0"), "ethtool -S does not count the frames")
        require("1000Mb/s" in told("ethtool plx0"), "ethtool has no speed")
        require_counts(l2fwd.stop(), passed)
