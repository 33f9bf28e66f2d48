# SPDX-License-Identifier: BSD-3-Clause
"""Errors of VFIO with IOMMUFD and without an IOMMU. Each case causes one, and expects a message that says how to fix it."""

from cases.boots import A, ALSO_GROUPED, B, GROUPED, LAB, NO_IOMMU, SMALL, SMALL_BARE, SWITCH
from cases.forwarding import pass_frames, require_counts
from cases.refusals import AS_USER, refused, refused_and_unchanged, works_for_a_user
from pollux_lab import frames
from pollux_lab.cases import Bench, case, require, require_message


def via(bench: Bench, port: int, mode: str) -> str:
    return f"vfio:{bench.addresses[port]}?via={mode}"


@case(SMALL)
def refusal_iommufd_missing(bench: Bench) -> None:
    bench.bind(A, B)
    bench.guest.check("mv /dev/iommu /dev/iommu.away")
    try:
        refused(bench, f"l2fwd {via(bench, A, 'iommufd')}", "/dev/iommu", "modprobe iommufd", "?via=group")
        # Without an explicit access mode the group is used.
        with bench.l2fwd(A, B) as l2fwd:
            require_counts(l2fwd.stop(), 0)
    finally:
        bench.guest.check("mv /dev/iommu.away /dev/iommu")


@case(SMALL)
def refusal_iommufd_no_permission(bench: Bench) -> None:
    bench.bind(A)
    refused(bench, f"{AS_USER} l2fwd {via(bench, A, 'iommufd')}", "permission", "--user")
    bench.guest.check("chown 1000 /dev/vfio/devices/*")
    refused(bench, f"{AS_USER} l2fwd {via(bench, A, 'iommufd')}", "permission", "chmod 0666 /dev/iommu")


@case(SMALL)
def a_port_handed_to_a_user_works_in_every_access_mode(bench: Bench) -> None:
    bench.bind(A, B, options="--user plain")
    bench.guest.check("chmod 0666 /dev/iommu")
    for bench.via in ("", "?via=iommufd", "?via=group"):
        works_for_a_user(bench)
    bench.guest.check("chmod 0660 /dev/iommu")


@case(SMALL)
def refusal_iommufd_memlock_too_small(bench: Bench) -> None:
    bench.bind(A, options="--user plain")
    bench.guest.check("chmod 0666 /dev/iommu")
    refused(bench, f"ulimit -l 64; {AS_USER} l2fwd {via(bench, A, 'iommufd')}", "memlock", "ulimit -l")
    bench.guest.check("chmod 0660 /dev/iommu")


@case(SMALL)
def refusal_iommufd_in_use(bench: Bench) -> None:
    bench.bind(A, B)
    bench.via = "?via=iommufd"
    with bench.l2fwd(A, B) as l2fwd:
        for mode in ("iommufd", "group"):
            refused(bench, f"l2fwd {via(bench, A, mode)}", bench.addresses[A], "in use", "process")
        refused(bench, f"pollux unbind {bench.addresses[A]}", bench.addresses[A], "open")
        # No attempt may disturb the running l2fwd.
        passed = pass_frames(bench, A, B, frames.rewritten_by_l2fwd(bench.macs[B], 1), 200)
        require_counts(l2fwd.stop(), passed)


@case(SMALL)
def refusal_iommufd_group_not_viable(bench: Bench) -> None:
    address = bench.addresses[GROUPED]
    bench.guest.check(f"""
    cd /sys/bus/pci/devices/{address}
    echo vfio-pci >driver_override; echo {address} >driver/unbind; echo {address} >/sys/bus/pci/drivers_probe
    [ "$(driver_of {address})" = vfio-pci ] || fail vfio-pci did not bind it""")
    try:
        refused(bench, f"l2fwd {via(bench, GROUPED, 'iommufd')}", "group", bench.addresses[ALSO_GROUPED])
    finally:
        bench.guest.check(f"""
        cd /sys/bus/pci/devices/{address}
        echo {address} >driver/unbind; echo >driver_override; echo {address} >/sys/bus/pci/drivers_probe
        [ "$(driver_of {address})" = igb ] || fail igb did not bind it again""")


@case(SMALL)
def refusal_no_iommu_behind_an_iommu(bench: Bench) -> None:
    bench.bind(A)
    refused(bench, f"l2fwd {via(bench, A, 'noiommu')}", "is behind an IOMMU", f"open it as vfio:{bench.addresses[A]}")


@case(SMALL)
def refusal_unknown_access_mode(bench: Bench) -> None:
    refused(bench, f"l2fwd {via(bench, A, 'magic')}", "via=magic", "?via=iommufd")


@case(LAB)
def refusal_iommufd_on_the_stock_kernel(bench: Bench) -> None:
    bench.bind(A)
    refused(bench, f"l2fwd {via(bench, A, 'iommufd')}", "CONFIG_VFIO_DEVICE_CDEV", "?via=group")


@case(NO_IOMMU)
def refusal_no_iommu_mode_on_the_stock_kernel(bench: Bench) -> None:
    refused(bench, f"l2fwd {via(bench, A, 'noiommu')}", "CONFIG_VFIO_NOIOMMU")


@case(SMALL_BARE)
def no_iommu_is_an_opt_in_and_warns_once(bench: Bench) -> None:
    bench.bind(A, B)
    for mode in ("", "?via=group", "?via=iommufd"):
        refused(bench, f"l2fwd vfio:{bench.addresses[A]}{mode}", "iommu", "intel_iommu=on", "?via=noiommu")
    bench.via = "?via=noiommu"
    with bench.l2fwd(A, B) as l2fwd:
        require_counts(l2fwd.stop(), 0)
    output = bench.guest.check("cat /run/l2fwd.err")
    require_message(output, "without an IOMMU", "overwrite any memory")
    require(output.count("without an IOMMU") == 1, f"the warning was printed more than once:\n{output}")


@case(SMALL_BARE)
def refusal_no_iommu_mode_switched_off(bench: Bench) -> None:
    bench.guest.check(f"echo 0 >{SWITCH}")
    try:
        refused_and_unchanged(bench, A, f"pollux bind {bench.addresses[A]}", "iommu", SWITCH)
        refused(bench, f"l2fwd {via(bench, A, 'noiommu')}", SWITCH)
    finally:
        bench.guest.check(f"echo 1 >{SWITCH}")
    bench.bind(A)
    bench.guest.check(f"echo 0 >{SWITCH}")
    try:
        refused(bench, f"l2fwd {via(bench, A, 'noiommu')}", SWITCH)
    finally:
        bench.guest.check(f"echo 1 >{SWITCH}")


@case(SMALL_BARE)
def refusal_no_iommu_no_permission(bench: Bench) -> None:
    bench.bind(A)
    bench.guest.check("chown 1000 /dev/vfio/noiommu-*")
    refused(bench, f"{AS_USER} l2fwd {via(bench, A, 'noiommu')}", "CAP_SYS_ADMIN", "run as root")
    # Root without CAP_SYS_RAWIO, which VFIO requires; physical addresses can still be read.
    most = "setpriv --bounding-set -sys_rawio"
    refused(bench, f"{most} l2fwd {via(bench, A, 'noiommu')}", "CAP_SYS_RAWIO", "root")
    refused(bench, f"pollux bind --user plain {bench.addresses[A]}", "only root")


@case(SMALL_BARE)
def refusal_no_iommu_no_huge_pages(bench: Bench) -> None:
    pages = bench.guest.machine.huge_pages
    bench.bind(A)
    bench.guest.check("echo 0 >/proc/sys/vm/nr_hugepages")
    try:
        refused(bench, f"l2fwd {via(bench, A, 'noiommu')}", "huge pages", "nr_hugepages")
    finally:
        bench.guest.check(f"echo {pages} >/proc/sys/vm/nr_hugepages")
