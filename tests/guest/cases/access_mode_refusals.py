# SPDX-License-Identifier: BSD-3-Clause
"""Errors of VFIO with IOMMUFD and without an IOMMU. Each case causes one, and expects a message that says how to fix it."""

from cases.boots import A, ALL_MODES, ALL_MODES_BARE, ALSO_GROUPED, B, GROUPED, LAB, NO_IOMMU, SWITCH
from cases.forwarding import pass_frames, require_counts
from cases.refusals import AS_USER, refused, refused_and_unchanged, works_for_a_user
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require, require_message


def via(fixture: Fixture, port: int, mode: str) -> str:
    return f"vfio:{fixture.addresses[port]}?via={mode}"


@case(ALL_MODES)
def refusal_iommufd_missing(fixture: Fixture) -> None:
    fixture.bind(A, B)
    fixture.guest.check("mv /dev/iommu /dev/iommu.away")
    try:
        refused(fixture, f"l2fwd {via(fixture, A, 'iommufd')}", "/dev/iommu", "modprobe iommufd", "?via=group")
        # Without an explicit access mode the group is used.
        with fixture.l2fwd(A, B) as l2fwd:
            require_counts(l2fwd.stop(), 0)
    finally:
        fixture.guest.check("mv /dev/iommu.away /dev/iommu")


@case(ALL_MODES)
def refusal_iommufd_no_permission(fixture: Fixture) -> None:
    fixture.bind(A)
    refused(fixture, f"{AS_USER} l2fwd {via(fixture, A, 'iommufd')}", "permission", "--user")
    fixture.guest.check("chown 1000 /dev/vfio/devices/*")
    refused(fixture, f"{AS_USER} l2fwd {via(fixture, A, 'iommufd')}", "permission", "chmod 0666 /dev/iommu")


@case(ALL_MODES)
def a_port_handed_to_a_user_works_in_every_access_mode(fixture: Fixture) -> None:
    fixture.bind(A, B, options="--user plain")
    fixture.guest.check("chmod 0666 /dev/iommu")
    for fixture.via in ("", "?via=iommufd", "?via=group"):
        works_for_a_user(fixture)
    fixture.guest.check("chmod 0660 /dev/iommu")


@case(ALL_MODES)
def refusal_iommufd_memlock_too_small(fixture: Fixture) -> None:
    fixture.bind(A, options="--user plain")
    fixture.guest.check("chmod 0666 /dev/iommu")
    refused(fixture, f"ulimit -l 64; {AS_USER} l2fwd {via(fixture, A, 'iommufd')}", "memlock", "ulimit -l")
    fixture.guest.check("chmod 0660 /dev/iommu")


@case(ALL_MODES)
def refusal_iommufd_in_use(fixture: Fixture) -> None:
    fixture.bind(A, B)
    fixture.via = "?via=iommufd"
    with fixture.l2fwd(A, B) as l2fwd:
        for mode in ("iommufd", "group"):
            refused(fixture, f"l2fwd {via(fixture, A, mode)}", fixture.addresses[A], "in use", "process")
        refused(fixture, f"pollux unbind {fixture.addresses[A]}", fixture.addresses[A], "open")
        # No attempt may disturb the running l2fwd.
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 200)
        require_counts(l2fwd.stop(), passed)


@case(ALL_MODES)
def refusal_iommufd_group_not_viable(fixture: Fixture) -> None:
    address = fixture.addresses[GROUPED]
    fixture.guest.check(f"""
    cd /sys/bus/pci/devices/{address}
    echo vfio-pci >driver_override; echo {address} >driver/unbind; echo {address} >/sys/bus/pci/drivers_probe
    [ "$(driver_of {address})" = vfio-pci ] || fail vfio-pci did not bind it""")
    try:
        refused(fixture, f"l2fwd {via(fixture, GROUPED, 'iommufd')}", "group", fixture.addresses[ALSO_GROUPED])
    finally:
        fixture.guest.check(f"""
        cd /sys/bus/pci/devices/{address}
        echo {address} >driver/unbind; echo >driver_override; echo {address} >/sys/bus/pci/drivers_probe
        [ "$(driver_of {address})" = igb ] || fail igb did not bind it again""")


@case(ALL_MODES)
def refusal_no_iommu_behind_an_iommu(fixture: Fixture) -> None:
    fixture.bind(A)
    refused(fixture, f"l2fwd {via(fixture, A, 'noiommu')}", "is behind an IOMMU", f"open it as vfio:{fixture.addresses[A]}")


@case(ALL_MODES)
def refusal_unknown_access_mode(fixture: Fixture) -> None:
    refused(fixture, f"l2fwd {via(fixture, A, 'magic')}", "via=magic", "?via=iommufd")


@case(LAB)
def refusal_iommufd_on_the_stock_kernel(fixture: Fixture) -> None:
    fixture.bind(A)
    refused(fixture, f"l2fwd {via(fixture, A, 'iommufd')}", "CONFIG_VFIO_DEVICE_CDEV", "?via=group")


@case(NO_IOMMU)
def refusal_no_iommu_mode_on_the_stock_kernel(fixture: Fixture) -> None:
    refused(fixture, f"l2fwd {via(fixture, A, 'noiommu')}", "CONFIG_VFIO_NOIOMMU")


@case(ALL_MODES_BARE)
def no_iommu_is_an_opt_in_and_warns_once(fixture: Fixture) -> None:
    fixture.bind(A, B)
    for mode in ("", "?via=group", "?via=iommufd"):
        refused(fixture, f"l2fwd vfio:{fixture.addresses[A]}{mode}", "iommu", "intel_iommu=on", "?via=noiommu")
    fixture.via = "?via=noiommu"
    with fixture.l2fwd(A, B) as l2fwd:
        require_counts(l2fwd.stop(), 0)
    output = fixture.guest.check("cat /run/l2fwd.err")
    require_message(output, "without an IOMMU", "overwrite any memory")
    require(output.count("without an IOMMU") == 1, f"the warning was printed more than once:\n{output}")


@case(ALL_MODES_BARE)
def refusal_no_iommu_mode_switched_off(fixture: Fixture) -> None:
    fixture.guest.check(f"echo 0 >{SWITCH}")
    try:
        refused_and_unchanged(fixture, A, f"pollux bind {fixture.addresses[A]}", "iommu", SWITCH)
        refused(fixture, f"l2fwd {via(fixture, A, 'noiommu')}", SWITCH)
    finally:
        fixture.guest.check(f"echo 1 >{SWITCH}")
    fixture.bind(A)
    fixture.guest.check(f"echo 0 >{SWITCH}")
    try:
        refused(fixture, f"l2fwd {via(fixture, A, 'noiommu')}", SWITCH)
    finally:
        fixture.guest.check(f"echo 1 >{SWITCH}")


@case(ALL_MODES_BARE)
def refusal_no_iommu_no_permission(fixture: Fixture) -> None:
    fixture.bind(A)
    fixture.guest.check("chown 1000 /dev/vfio/noiommu-*")
    refused(fixture, f"{AS_USER} l2fwd {via(fixture, A, 'noiommu')}", "CAP_SYS_ADMIN", "run as root")
    # Root without CAP_SYS_RAWIO, which VFIO requires; physical addresses can still be read.
    most = "setpriv --bounding-set -sys_rawio"
    refused(fixture, f"{most} l2fwd {via(fixture, A, 'noiommu')}", "CAP_SYS_RAWIO", "root")
    refused(fixture, f"pollux bind --user plain {fixture.addresses[A]}", "only root")


@case(ALL_MODES_BARE)
def refusal_no_iommu_no_huge_pages(fixture: Fixture) -> None:
    pages = fixture.guest.machine.huge_pages
    fixture.bind(A)
    fixture.guest.check("echo 0 >/proc/sys/vm/nr_hugepages")
    try:
        refused(fixture, f"l2fwd {via(fixture, A, 'noiommu')}", "huge pages", "nr_hugepages")
    finally:
        fixture.guest.check(f"echo {pages} >/proc/sys/vm/nr_hugepages")
