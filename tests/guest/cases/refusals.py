# SPDX-License-Identifier: BSD-3-Clause
"""Errors of binding and VFIO that occur in practice. Each case causes one, and expects a message that says how to fix it."""

import json

from cases.boots import A, ALSO_GROUPED, B, C, GROUPED, LAB, NO_IOMMU
from cases.forwarding import pass_frames, require_counts
from pollux_lab import frames
from pollux_lab.cases import Bench, case, require, require_message
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


def refused(bench: Bench, command: str, *parts: str) -> None:
    outcome = bench.guest.run(command, SECONDS)
    require(0 < outcome.status < 128, f"status {outcome.status} from {command}\n{outcome.out}{outcome.err}")
    require_message(outcome.err, *parts)


def refused_and_unchanged(bench: Bench, port: int, command: str, *parts: str) -> None:
    before = bench.guest.check(f"driver_of {bench.addresses[port]}")
    refused(bench, command, *parts)
    after = bench.guest.check(f"driver_of {bench.addresses[port]}")
    require(before == after, f"the failed command changed the driver from {before.strip()} to {after.strip()}")


@case(LAB)
def refusal_module_not_loaded(bench: Bench) -> None:
    bench.guest.check("rmmod vfio-pci")
    try:
        refused_and_unchanged(bench, A, f"pollux bind {bench.addresses[A]}", "modprobe vfio-pci")
    finally:
        bench.guest.check("modprobe vfio-pci")


@case(LAB)
def refusal_not_bound(bench: Bench) -> None:
    refused_and_unchanged(bench, A, f"l2fwd {bench.uri(A)}", bench.addresses[A], f"pollux bind {bench.addresses[A]}")


@case(LAB)
def refusal_no_permission(bench: Bench) -> None:
    bench.bind(A)
    refused(bench, f"{AS_USER} l2fwd {bench.uri(A)}", "permission", "--user")


@case(LAB)
def refusal_no_permission_to_bind(bench: Bench) -> None:
    refused_and_unchanged(bench, A, f"{AS_USER} pollux bind {bench.addresses[A]}", "root")


@case(LAB)
def a_port_handed_to_a_user_works_for_that_user(bench: Bench) -> None:
    bench.bind(A, B, options="--user plain")
    works_for_a_user(bench)


def works_for_a_user(bench: Bench) -> None:
    """A and B belong to the user `plain`, who forwards frames between them."""
    bench.guest.check(f"""
    ulimit -l unlimited
    spawn plain {AS_USER} l2fwd {bench.uri(A)} {bench.uri(B)} --json
    await_line plain '^l2fwd: forwarding' 30
    """, 40)
    passed = pass_frames(bench, A, B, frames.rewritten_by_l2fwd(bench.macs[B], 1), 500)
    outcome = bench.guest.check("grep Uid /proc/$(cat /run/plain.pid)/status; interrupt plain; finish plain 20", 40)
    require("Uid:\t1000\t1000" in outcome, f"l2fwd did not run as the user plain: {outcome}")
    require(summary_in(outcome)["sent"] == passed, f"{passed} frames passed, but l2fwd reports: {outcome}")


@case(LAB)
def refusal_memlock_too_small(bench: Bench) -> None:
    bench.bind(A, options="--user plain")
    refused(bench, f"ulimit -l 64; {AS_USER} l2fwd {bench.uri(A)}", "memlock", "ulimit -l")


@case(LAB)
def refusal_group_not_viable_to_bind(bench: Bench) -> None:
    refused_and_unchanged(bench, GROUPED, f"pollux bind {bench.addresses[GROUPED]}", "group", bench.addresses[ALSO_GROUPED])


@case(LAB)
def refusal_group_not_viable_to_open(bench: Bench) -> None:
    address = bench.addresses[GROUPED]
    bench.guest.check(f"""
    cd /sys/bus/pci/devices/{address}
    echo vfio-pci >driver_override; echo {address} >driver/unbind; echo {address} >/sys/bus/pci/drivers_probe
    [ "$(driver_of {address})" = vfio-pci ] || fail vfio-pci did not bind it""")
    try:
        refused(bench, f"l2fwd {bench.uri(GROUPED)}", "group", bench.addresses[ALSO_GROUPED])
    finally:
        bench.guest.check(f"""
        cd /sys/bus/pci/devices/{address}
        echo {address} >driver/unbind; echo >driver_override; echo {address} >/sys/bus/pci/drivers_probe
        [ "$(driver_of {address})" = igb ] || fail igb did not bind it again""")


@case(LAB)
def both_ports_of_a_group_are_bound_together(bench: Bench) -> None:
    bench.bind(GROUPED, ALSO_GROUPED)
    with bench.l2fwd(GROUPED, ALSO_GROUPED) as l2fwd:
        require_counts(l2fwd.stop(), 0)


@case(LAB)
def refusal_group_in_use(bench: Bench) -> None:
    bench.bind(A, B)
    with bench.l2fwd(A, B) as l2fwd:
        refused(bench, f"l2fwd {bench.uri(A)} {bench.uri(B)}", bench.addresses[A], "in use", "process")
        refused(bench, f"pollux unbind {bench.addresses[A]}", bench.addresses[A], "open")
        # Neither attempt may disturb the running l2fwd.
        require_counts(l2fwd_after_traffic(bench, l2fwd), 500)


def l2fwd_after_traffic(bench: Bench, l2fwd):
    pass_frames(bench, A, B, frames.rewritten_by_l2fwd(bench.macs[B], 1), 500)
    return l2fwd.stop()


@case(LAB)
def refusal_mapping_limit(bench: Bench) -> None:
    limit = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
    bench.bind(A)
    before = bench.guest.check(f"cat {limit}; echo 1 >{limit}").strip()
    try:
        refused(bench, f"l2fwd {bench.uri(A)}", "mapping", "dma_entry_limit")
    finally:
        bench.guest.check(f"echo {before} >{limit}")


@case(LAB)
def refusal_port_carries_an_address(bench: Bench) -> None:
    address = bench.addresses[A]
    bench.guest.check(f"ip addr add 192.0.2.1/24 dev $(netdev_of {address})")
    try:
        refused_and_unchanged(bench, A, f"pollux bind {address}", address, "192.0.2.1", "--force")
    finally:
        bench.guest.check(f"ip addr flush dev $(netdev_of {address})")


@case(LAB)
def refusal_port_carries_a_route(bench: Bench) -> None:
    address = bench.addresses[A]
    bench.guest.check(f"ip link set $(netdev_of {address}) up; ip route add 203.0.113.0/24 dev $(netdev_of {address})")
    try:
        refused_and_unchanged(bench, A, f"pollux bind {address}", address, "route", "--force")
    finally:
        bench.guest.check(f"ip link set $(netdev_of {address}) down")


@case(LAB)
def refusal_port_is_a_bridge_member(bench: Bench) -> None:
    address = bench.addresses[A]
    bench.guest.check(f"ip link add br0 type bridge; ip link set $(netdev_of {address}) master br0")
    try:
        refused_and_unchanged(bench, A, f"pollux bind {address}", address, "br0", "--force")
    finally:
        bench.guest.check("ip link del br0")


@case(LAB)
def refusal_address_in_another_namespace(bench: Bench) -> None:
    address = bench.addresses[A]
    bench.guest.check(f"""
    ip netns add other; port=$(netdev_of {address})
    ip link set $port netns other && ip -n other addr add 192.0.2.2/24 dev $port""")
    try:
        refused_and_unchanged(bench, A, f"pollux bind {address}", address, "network namespace other", "--force")
    finally:
        bench.guest.check("ip netns del other")
        bench.guest.check(f"await 5 test -d /sys/bus/pci/devices/{address}/net")


@case(LAB)
def a_link_local_address_alone_does_not_count(bench: Bench) -> None:
    address = bench.addresses[A]
    bench.guest.check(f"ip link set $(netdev_of {address}) up; await 10 sh -c 'ip -6 addr | grep -q fe80' || fail no fe80")
    bench.bind(A)
    require(bench.guest.check(f"driver_of {address}").strip() == "vfio-pci", "the port was not bound")


@case(LAB)
def force_takes_a_port_with_an_address(bench: Bench) -> None:
    bench.guest.check(f"ip addr add 192.0.2.1/24 dev $(netdev_of {bench.addresses[A]})")
    bench.bind(A, options="--force")
    require(bench.guest.check(f"driver_of {bench.addresses[A]}").strip() == "vfio-pci", "the port was not bound")


@case(LAB)
def refusal_malformed_and_unknown_addresses(bench: Bench) -> None:
    for command in ("pollux bind nonsense", "pollux bind 0000:zz:00.0", "l2fwd vfio:nonsense", "l2fwd nosuch:1"):
        refused(bench, command, command.split()[-1].removeprefix("vfio:"))
    for command in ("pollux bind 0000:7f:00.0", "pollux unbind 0000:7f:00.0", "pollux info 0000:7f:00.0",
                    "l2fwd vfio:0000:7f:00.0"):
        refused(bench, command, "0000:7f:00.0")
    # If one of several addresses is invalid, no device is bound.
    refused_and_unchanged(bench, C, f"pollux bind {bench.addresses[C]} 0000:7f:00.0", "0000:7f:00.0")


@case(LAB)
def list_and_info_are_correct(bench: Bench) -> None:
    bench.bind(A)
    listed = json.loads(bench.guest.check("pollux list --json"))["devices"]
    found = {device["address"]: [device["driver"], str(device["iommu_group"]), *device["interfaces"]] for device in listed}
    truth = {}
    for line in bench.guest.check(PRINT_SYSFS.format(addresses=" ".join(bench.addresses))).splitlines():
        address, *words = line.split()
        truth[address] = words
    require(found == truth, f"pollux list reports {found}, the kernel {truth}")
    try:
        for up in (True, False):
            bench.guest.set_link(A, up)
            port = json.loads(bench.guest.check(f"pollux info --json {bench.uri(A)}"))["port"]
            reported = (port["mac"], port["link_up"], port["link_speed"])
            require(reported == (bench.macs[A], up, 1000 if up else 0), f"with the link {'up' if up else 'down'}: {reported}")
    finally:
        bench.guest.set_link(A, True)


@case(NO_IOMMU)
def refusal_no_iommu(bench: Bench) -> None:
    refused_and_unchanged(bench, A, f"pollux bind {bench.addresses[A]}", "iommu", "intel_iommu=on")
    refused(bench, f"l2fwd {bench.uri(A)}", "iommu")
