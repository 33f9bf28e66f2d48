# SPDX-License-Identifier: BSD-3-Clause
"""vmxnet3 devices through VFIO: by group, by IOMMUFD, and without an IOMMU. The kernel's vmxnet3 driver is at the other end of wires."""

import functools

from cases import access_modes, programs_on_a_card
from cases.access_modes import conform
from cases.boots import A, B, C, G, VMXNET3, VMXNET3_BARE, VMXNET3_MODES
from cases.forwarding import pass_frames, require_counts
from cases.life import kill, restart
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require

ACCESS_MODES = {"group": VMXNET3, "iommufd": VMXNET3_MODES, "noiommu": VMXNET3_BARE}
in_every_access_mode = functools.partial(access_modes.in_every_access_mode, boots=ACCESS_MODES)


@in_every_access_mode()
def vmxnet3_frames_pass_intact(fixture: Fixture) -> None:
    """Frames of several buffers, too: without an IOMMU these may be far apart in memory."""
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--mtu 9000") as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 1000)
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0), 1000)
        passed += pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100, [9014, 4096, 60], window=16)
        require_counts(l2fwd.stop(), passed)
    # Another process can take the devices over, also from one that was killed.
    kill(fixture)
    restart(fixture, 1)


@in_every_access_mode()
def vmxnet3_conformance_subset(fixture: Fixture) -> None:
    """Runs the conformance tests that depend on the access mode. The others depend only on the driver."""
    conform(fixture, ["LifeCycle.OpensOnlyOnce", "LifeCycle.CanBeOpenedAgainAfterClose",
                      "LifeCycle.FreesAllBuffersWhenClosedWithFramesInFlight", "Traffic.CarriesJumboFrames"])


@access_modes.by_group_first(boots=ACCESS_MODES)
def vmxnet3_pktgen_checks_its_frames(fixture: Fixture) -> None:
    fixture.bind(C, G)
    summary = fixture.pktgen(C, G, options="--count 5000 --window 64 --check --expect-all")
    require(summary["good"] == 5000 and summary["corrupt"] == 0, f"{summary}")


@case(VMXNET3)
def vmxnet3_answers_the_driver_of_the_kernel(fixture: Fixture) -> None:
    """The kernel's driver on G, with its offloads, sends to a program that echoes on C."""
    programs_on_a_card.echo_on_a_card_answers_the_kernel(fixture)


@case(VMXNET3)
def vmxnet3_serves_tcp_to_the_driver_of_the_kernel(fixture: Fixture) -> None:
    programs_on_a_card.tcp_server_on_a_card_serves_the_kernel(fixture)


@case(VMXNET3)
def vmxnet3_returns_to_the_driver_of_the_kernel(fixture: Fixture) -> None:
    """Which works as before, after the port has used the device."""
    fixture.bind(A, B)
    with fixture.l2fwd(A, B) as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200)
        require_counts(l2fwd.stop(), passed)
    fixture.guest.check(f"""
    pollux unbind {fixture.addresses[A]}
    await 10 has_netdev {fixture.addresses[A]} || fail no interface
    name=$(netdev_of {fixture.addresses[A]})
    ip link set $name up
    await 10 grep -q 1 /sys/class/net/$name/carrier || fail no link
    ip link set $name down
    """, 40)


@case(VMXNET3)
def vmxnet3_link_follows_the_wire(fixture: Fixture) -> None:
    def await_link(state: str) -> None:
        fixture.guest.check(f"await 10 sh -c 'pollux ethtool plx0 | grep -q \"Link detected: {state}\"' || fail the link is not {state}", 20)

    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--telemetry") as l2fwd:
        await_link("yes")
        for up, state in ((False, "no"), (True, "yes")):
            fixture.guest.set_link(A, up)
            await_link(state)
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200)
        require_counts(l2fwd.stop(), passed)


@case(VMXNET3)
def tools_know_a_vmxnet3_device(fixture: Fixture) -> None:
    kernel = next(line.split() for line in fixture.guest.check("pollux list").splitlines() if fixture.addresses[A] in line)
    require(kernel[1:3] == ["vmxnet3", "vmxnet3"], f"{kernel}")
    fixture.bind(A)
    require("0 errors" in fixture.guest.check(f"pollux doctor {fixture.addresses[A]}", 30), "doctor finds errors")
    require("VMware vmxnet3" in fixture.guest.check(f"pollux info {fixture.uri(A)}", 30), "info names no device")
    require("REVISION_1" in fixture.guest.check(f"pollux regs {fixture.uri(A)} VRRS", 30), "regs does not know the registers")
