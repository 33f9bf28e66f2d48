# SPDX-License-Identifier: BSD-3-Clause
"""virtio network devices through VFIO: by group, by IOMMUFD, and without an IOMMU. And what the tools and the kernel do with them."""

import functools
import json
import pathlib
import re

from cases import access_modes, confirmed_bind, shared_port
from cases.access_modes import conform, conform_to
from cases.boots import A, B, C, D, G, SWITCH, VIRTIO, VIRTIO_BARE, VIRTIO_MODES
from cases.forwarding import pass_frames, require_counts
from cases.life import kill, restart
from cases.refusals import refused, refused_and_unchanged
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require

ACCESS_MODES = {"group": VIRTIO, "iommufd": VIRTIO_MODES, "noiommu": VIRTIO_BARE}
PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/binding.md"
in_every_access_mode = functools.partial(access_modes.in_every_access_mode, boots=ACCESS_MODES)


@in_every_access_mode()
def virtio_frames_pass_intact(fixture: Fixture) -> None:
    """Between a split and a packed ring. Frames of several buffers, too: without an IOMMU these may be far apart in memory."""
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--mtu 9500") as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 1000)
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0), 1000)
        passed += pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100, [9514, 4096, 60], window=16)
        require_counts(l2fwd.stop(), passed)
    # Another process can take the devices over, also from one that was killed.
    kill(fixture)
    restart(fixture, 1)


@in_every_access_mode()
def virtio_conformance_subset(fixture: Fixture) -> None:
    """Runs the conformance tests that depend on the access mode. The others depend only on the driver."""
    conform(fixture, ["LifeCycle.OpensOnlyOnce", "LifeCycle.CanBeOpenedAgainAfterClose",
                      "LifeCycle.FreesAllBuffersWhenClosedWithFramesInFlight", "Traffic.CarriesJumboFrames", "Buffers.SurvivesAnExhaustedPool"])


@in_every_access_mode(long="every conformance test, more than a minute per access mode")
def virtio_conformance_complete(fixture: Fixture) -> None:
    fixture.bind(C, G)
    # Frames for a receiver that has closed wait in QEMU, since no other device is on the hub, until the ring takes no more.
    conform_to(fixture, f"{fixture.uri(C)},{fixture.uri(G)}", "virtio", 600, but="LifeCycle.FreesAllBuffersWhenTheReceiverClosesFirst")


@access_modes.by_group_first(boots=ACCESS_MODES)
def virtio_pktgen_checks_its_frames(fixture: Fixture) -> None:
    fixture.bind(C, G)
    summary = fixture.pktgen(C, G, options="--count 5000 --window 64 --check --expect-all")
    require(summary["good"] == 5000 and summary["corrupt"] == 0, f"{summary}")


@in_every_access_mode()
def virtio_device_that_takes_physical_addresses(fixture: Fixture) -> None:
    """D lacks ACCESS_PLATFORM. It is refused, but where addresses are physical; `bind` and `unbind` work."""
    fixture.bind(D)
    if fixture.via == "?via=noiommu":
        with fixture.l2fwd(D) as l2fwd:
            require(l2fwd.stop().conserved, "the counts do not add up")
    else:
        refused(fixture, f"l2fwd {fixture.uri(D)}", fixture.addresses[D], "ACCESS_PLATFORM", "iommu_platform=on")


@case(VIRTIO_BARE)
def virtio_bind_without_an_iommu_changes_nothing(fixture: Fixture) -> None:
    """The kernel keeps the device and its interface, until VFIO's no-IOMMU mode is switched on."""
    fixture.guest.check(f"echo 0 >{SWITCH}")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {fixture.addresses[A]}", "IOMMU", "enable_unsafe_noiommu_mode")
        fixture.guest.check(f"has_netdev {fixture.addresses[A]}")
    finally:
        fixture.guest.check(f"echo 1 >{SWITCH}")


@case(VIRTIO)
def virtio_link_follows_the_wire(fixture: Fixture) -> None:
    """Also when it changes faster than the port can look."""
    def await_link(state: str) -> None:
        fixture.guest.check(f"await 10 sh -c 'pollux ethtool plx0 | grep -q \"Link detected: {state}\"' || fail the link is not {state}", 20)

    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--telemetry") as l2fwd:
        await_link("yes")
        for flaps in (0, 10):
            for up in [*[False, True] * flaps, False]:
                fixture.guest.set_link(A, up)
            await_link("no")
            for up in [*[True, False] * flaps, True]:
                fixture.guest.set_link(A, up)
            await_link("yes")
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200)
        require_counts(l2fwd.stop(), passed)


@case(VIRTIO)
def virtio_commands_of_the_page_forward_and_give_back(fixture: Fixture) -> None:
    """The commands of docs/binding.md for two cards of a virtual machine, as they are there; one has an address. l2fwd ends by Ctrl-C."""
    section = PAGE.read_text(encoding="utf-8").split("## Two cards of a virtual machine", 1)[1]
    commands = re.findall(r"^    sudo ((?:pollux|l2fwd) .*0000:0.*)$", section, re.MULTILINE)
    require([command.split()[:2] for command in commands] == [["pollux", "bind"], ["l2fwd", f"vfio:{fixture.addresses[A]}"], ["pollux", "unbind"]],
            f"the page has other commands: {commands}")
    bind, forward, unbind = commands
    said = fixture.guest.check(f"""
    name=$(netdev_of {fixture.addresses[A]})
    state() {{ ip -4 addr show dev $name | grep inet; ip route show dev $name; }}
    ip link set $name up && ip addr add 10.82.0.1/24 dev $name && ip route add 198.51.100.0/24 via 10.82.0.2
    state >/run/before
    trap '{unbind} >/dev/null 2>&1; ip addr flush dev $(netdev_of {fixture.addresses[A]}); ip link set $(netdev_of {fixture.addresses[A]}) down' EXIT
    {bind} 2>/run/refused && fail it takes an address away
    grep -q 10.82.0.1 /run/refused || fail it does not name the address
    {bind} --force || fail it binds nothing
    timeout -s INT 2 {forward}
    {unbind} || fail it gives nothing back
    name=$(netdev_of {fixture.addresses[A]})
    await 10 sh -c "ip route show | grep -q 198.51.100.0" || fail the route is gone
    state | diff /run/before - || fail it comes back in another state
    """, 90)
    require("conserved: yes" in said, f"l2fwd did not end as it should:\n{said}")


@case(VIRTIO)
def virtio_session_comes_back_without_a_confirmation(fixture: Fixture) -> None:
    confirmed_bind.comes_back(fixture, "virtio-pci")


@case(VIRTIO)
def virtio_connection_of_the_kernel_outlives_the_change_of_driver(fixture: Fixture) -> None:
    shared_port.outlives_the_change_of_driver(fixture)


# What the tools say about a virtio network device, and what none of them may say.
INTEL = ("CTRL,", "RDT", "82576", "igb", "datasheet")


def told(fixture: Fixture, command: str) -> str:
    output = fixture.guest.check(f"pollux {command}", 30)
    wrong = [word for word in INTEL if word in output]
    require(not wrong, f"pollux {command} speaks of {wrong}:\n{output}")
    return output


@case(VIRTIO)
def tools_know_a_virtio_device(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    kernel = next(line.split() for line in told(fixture, "list").splitlines() if address in line)
    require(kernel[1:3] == ["virtio_net", "virtio-pci"], f"{kernel}")
    told(fixture, f"doctor {address} || true")
    require("lacks ACCESS_PLATFORM" in told(fixture, f"doctor {fixture.addresses[D]} || true"), "doctor does not see what D lacks")
    fixture.bind(A, B)
    require("0 errors" in told(fixture, f"doctor {address}"), "doctor finds errors")
    require("virtio network device" in told(fixture, f"info {fixture.uri(A)}"), "info names no device")
    status = json.loads(told(fixture, f"regs {fixture.uri(A)} DEVICE_STATUS NET_STATUS --json"))["registers"]
    require([entry["fields"].get("LINK_UP") for entry in status] == [None, 1], f"{status}")
    refused(fixture, f"pollux regs {fixture.uri(A)} CTRL", "no register CTRL", "DEVICE_FEATURE_SELECT")
    with fixture.l2fwd(A, B, options="--telemetry") as l2fwd:
        require("virtio_net  started" in told(fixture, "ports"), "ports lacks the driver")
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200)
        require(json.loads(told(fixture, "stats plx0 --json"))["account"]["holds"], "the counts do not add up")
        require("virtio_net" in told(fixture, "top --batch --updates 1"), "top lacks the driver")
        require("driver: virtio_net" in told(fixture, "ethtool -i plx0"), "ethtool -i lacks the driver")
        require(f"rx_packets: {passed}\n" in told(fixture, "ethtool -S plx0"), "ethtool -S does not count the frames")
        require("10000Mb/s" in told(fixture, "ethtool plx0"), "ethtool has no speed")
        require_counts(l2fwd.stop(), passed)
