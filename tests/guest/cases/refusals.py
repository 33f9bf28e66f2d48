# SPDX-License-Identifier: BSD-3-Clause
"""Errors of binding and VFIO that occur in practice. Each case causes one, and expects a message that says how to fix it."""

import json

from cases.boots import A, ALSO_GROUPED, B, C, GROUPED, LAB, NO_IOMMU
from cases.forwarding import pass_frames, require_counts
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require, require_message
from pollux_lab.programs import summary_in

AS_USER = "setpriv --reuid 1000 --regid 1000 --clear-groups"
PRINT_SYSFS = """
for address in {addresses}; do
  device=/sys/bus/pci/devices/$address
  echo $address $(driver_of $address) $(basename $(readlink $device/iommu_group)) $(ls $device/net 2>/dev/null)
done
"""
# A program must report the error within this time.
SECONDS = 20


def refused(fixture: Fixture, command: str, *parts: str) -> None:
    outcome = fixture.guest.run(command, SECONDS)
    require(0 < outcome.status < 128, f"status {outcome.status} from {command}\n{outcome.out}{outcome.err}")
    require_message(outcome.err, *parts)


def refused_and_unchanged(fixture: Fixture, port: int, command: str, *parts: str) -> None:
    before = fixture.guest.check(f"driver_of {fixture.addresses[port]}")
    refused(fixture, command, *parts)
    after = fixture.guest.check(f"driver_of {fixture.addresses[port]}")
    require(before == after, f"the failed command changed the driver from {before.strip()} to {after.strip()}")


@case(LAB)
def refusal_module_not_loaded(fixture: Fixture) -> None:
    fixture.guest.check("rmmod vfio-pci")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {fixture.addresses[A]}", "modprobe vfio-pci")
    finally:
        fixture.guest.check("modprobe vfio-pci")


@case(LAB)
def refusal_not_bound(fixture: Fixture) -> None:
    refused_and_unchanged(fixture, A, f"l2fwd {fixture.uri(A)}", fixture.addresses[A], f"pollux bind {fixture.addresses[A]}")


@case(LAB)
def refusal_no_permission(fixture: Fixture) -> None:
    fixture.bind(A)
    refused(fixture, f"{AS_USER} l2fwd {fixture.uri(A)}", "permission", "--user")


@case(LAB)
def refusal_no_permission_to_bind(fixture: Fixture) -> None:
    refused_and_unchanged(fixture, A, f"{AS_USER} pollux bind {fixture.addresses[A]}", "root")


@case(LAB)
def a_port_handed_to_a_user_works_for_that_user(fixture: Fixture) -> None:
    fixture.bind(A, B, options="--user plain")
    works_for_a_user(fixture)


def works_for_a_user(fixture: Fixture, limit: str = "ulimit -l unlimited", as_user: str = AS_USER) -> None:
    """The user `plain` may open A and B, and forwards frames between them."""
    fixture.guest.check(f"""
    {limit}
    spawn plain {as_user} l2fwd {fixture.uri(A)} {fixture.uri(B)} --json
    await_line plain '^l2fwd: forwarding' 30
    """, 40)
    passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 500)
    outcome = fixture.guest.check("grep Uid /proc/$(cat /run/plain.pid)/status; interrupt plain; finish plain 20", 40)
    require("Uid:\t1000\t1000" in outcome, f"l2fwd did not run as the user plain: {outcome}")
    require(summary_in(outcome)["sent"] == passed, f"{passed} frames passed, but l2fwd reports: {outcome}")


@case(LAB)
def refusal_memlock_too_small(fixture: Fixture) -> None:
    fixture.bind(A, options="--user plain")
    refused(fixture, f"ulimit -l 64; {AS_USER} l2fwd {fixture.uri(A)}", "memlock", "ulimit -l")


@case(LAB)
def refusal_group_not_viable_to_bind(fixture: Fixture) -> None:
    refused_and_unchanged(fixture, GROUPED, f"pollux bind {fixture.addresses[GROUPED]}", "group", fixture.addresses[ALSO_GROUPED])


@case(LAB)
def refusal_group_not_viable_to_open(fixture: Fixture) -> None:
    address = fixture.addresses[GROUPED]
    fixture.guest.check(f"""
    cd /sys/bus/pci/devices/{address}
    echo vfio-pci >driver_override; echo {address} >driver/unbind; echo {address} >/sys/bus/pci/drivers_probe
    [ "$(driver_of {address})" = vfio-pci ] || fail vfio-pci did not bind it""")
    try:
        refused(fixture, f"l2fwd {fixture.uri(GROUPED)}", "group", fixture.addresses[ALSO_GROUPED])
    finally:
        fixture.guest.check(f"""
        cd /sys/bus/pci/devices/{address}
        echo {address} >driver/unbind; echo >driver_override; echo {address} >/sys/bus/pci/drivers_probe
        [ "$(driver_of {address})" = igb ] || fail igb did not bind it again""")


@case(LAB)
def both_ports_of_a_group_are_bound_together(fixture: Fixture) -> None:
    fixture.bind(GROUPED, ALSO_GROUPED)
    with fixture.l2fwd(GROUPED, ALSO_GROUPED) as l2fwd:
        require_counts(l2fwd.stop(), 0)


@case(LAB)
def refusal_group_in_use(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B) as l2fwd:
        refused(fixture, f"l2fwd {fixture.uri(A)} {fixture.uri(B)}", fixture.addresses[A], "in use", "process")
        refused(fixture, f"pollux unbind {fixture.addresses[A]}", fixture.addresses[A], "open")
        # Neither attempt may disturb the running l2fwd.
        require_counts(l2fwd_after_traffic(fixture, l2fwd), 500)


def l2fwd_after_traffic(fixture: Fixture, l2fwd):
    pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 500)
    return l2fwd.stop()


@case(LAB)
def refusal_mapping_limit(fixture: Fixture) -> None:
    limit = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
    fixture.bind(A)
    before = fixture.guest.check(f"cat {limit}; echo 1 >{limit}").strip()
    try:
        refused(fixture, f"l2fwd {fixture.uri(A)}", "mapping", "dma_entry_limit")
    finally:
        fixture.guest.check(f"echo {before} >{limit}")


@case(LAB)
def refusal_port_carries_an_address(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    fixture.guest.check(f"ip addr add 192.0.2.1/24 dev $(netdev_of {address})")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {address}", address, "192.0.2.1", "--force")
    finally:
        fixture.guest.check(f"ip addr flush dev $(netdev_of {address})")


@case(LAB)
def refusal_port_carries_a_route(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    fixture.guest.check(f"ip link set $(netdev_of {address}) up; ip route add 203.0.113.0/24 dev $(netdev_of {address})")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {address}", address, "route", "--force")
    finally:
        fixture.guest.check(f"ip link set $(netdev_of {address}) down")


@case(LAB)
def refusal_port_is_a_bridge_member(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    fixture.guest.check(f"ip link add br0 type bridge; ip link set $(netdev_of {address}) master br0")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {address}", address, "br0", "--force")
    finally:
        fixture.guest.check("ip link del br0")


@case(LAB)
def refusal_address_in_another_namespace(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    fixture.guest.check(f"""
    ip netns add other; port=$(netdev_of {address})
    ip link set $port netns other && ip -n other addr add 192.0.2.2/24 dev $port""")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {address}", address, "network namespace other", "--force")
    finally:
        fixture.guest.check("ip netns del other")
        fixture.guest.check(f"await 5 test -d /sys/bus/pci/devices/{address}/net")


@case(LAB)
def a_link_local_address_alone_does_not_count(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    fixture.guest.check(f"ip link set $(netdev_of {address}) up; await 10 sh -c 'ip -6 addr | grep -q fe80' || fail no fe80")
    fixture.bind(A)
    require(fixture.guest.check(f"driver_of {address}").strip() == "vfio-pci", "the port was not bound")
    fixture.guest.check(f"pollux unbind {address} && ip link set $(netdev_of {address}) down")


@case(LAB)
def force_takes_a_port_with_an_address_and_unbind_restores_it(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    fixture.guest.check(f"ip link set $(netdev_of {address}) mtu 1400; ip addr add 192.0.2.1/24 dev $(netdev_of {address})")
    fixture.bind(A, options="--force")
    require(fixture.guest.check(f"driver_of {address}").strip() == "vfio-pci", "the port was not bound")
    restored = fixture.guest.check(f"pollux unbind {address} >/dev/null; ip addr show dev $(netdev_of {address})")
    fixture.guest.check(f"ip addr flush dev $(netdev_of {address}); ip link set $(netdev_of {address}) mtu 1500")
    require_message(restored, "192.0.2.1/24", "mtu 1400")
    require("UP" not in restored, f"the interface was down: {restored}")


@case(LAB)
def refusal_malformed_and_unknown_addresses(fixture: Fixture) -> None:
    for command in ("pollux bind nonsense", "pollux bind 0000:zz:00.0", "l2fwd vfio:nonsense", "l2fwd nosuch:1"):
        refused(fixture, command, command.split()[-1].removeprefix("vfio:"))
    for command in ("pollux bind 0000:7f:00.0", "pollux unbind 0000:7f:00.0", "pollux info 0000:7f:00.0",
                    "l2fwd vfio:0000:7f:00.0"):
        refused(fixture, command, "0000:7f:00.0")
    # If one of several addresses is invalid, no device is bound.
    refused_and_unchanged(fixture, C, f"pollux bind {fixture.addresses[C]} 0000:7f:00.0", "0000:7f:00.0")


@case(LAB)
def list_and_info_are_correct(fixture: Fixture) -> None:
    fixture.bind(A)
    listed = json.loads(fixture.guest.check("pollux list --json"))["devices"]
    found = {device["address"]: [device["driver"], str(device["iommu_group"]), *device["interfaces"]] for device in listed}
    truth = {}
    for line in fixture.guest.check(PRINT_SYSFS.format(addresses=" ".join(fixture.addresses))).splitlines():
        address, *words = line.split()
        truth[address] = words
    require(found == truth, f"pollux list reports {found}, the kernel {truth}")
    try:
        for up in (True, False):
            fixture.guest.set_link(A, up)
            port = json.loads(fixture.guest.check(f"pollux info --json {fixture.uri(A)}"))["port"]
            reported = (port["mac"], port["link_up"], port["link_speed"])
            require(reported == (fixture.macs[A], up, 1000 if up else 0), f"with the link {'up' if up else 'down'}: {reported}")
    finally:
        fixture.guest.set_link(A, True)


@case(NO_IOMMU)
def refusal_no_iommu(fixture: Fixture) -> None:
    refused_and_unchanged(fixture, A, f"pollux bind {fixture.addresses[A]}", "iommu", "intel_iommu=on")
    refused(fixture, f"l2fwd {fixture.uri(A)}", "iommu")
