# SPDX-License-Identifier: BSD-3-Clause
"""The machines that the cases run on. Each port is bound to the kernel's igb, e1000e, virtio_net or vmxnet3 and is down until a case
uses it."""

import pathlib

from pollux_lab import initramfs, other_layout
from pollux_lab.cases import Boot
from pollux_lab.machine import Hub, Machine, OutsideSocket, Port

# Ports whose wire leads to this process.
A, B = 0, 1
# Ports on wires inside QEMU: C is wired to the generator's port G, and D to its port H.
C, D, G, H = 2, 3, 4, 5
# Two cards in one IOMMU group.
GROUPED, ALSO_GROUPED = 6, 7

_LOAD = "modprobe -a igb vfio-pci"

# One processor makes runs reproducible; QEMU's emulation of several processors is less stable.
LAB = Boot("one processor, igb cards behind an IOMMU", lambda: Machine([
    Port(OutsideSocket()), Port(OutsideSocket()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
    Port(Hub(2)), Port(Hub(3), shares_group=True),
], cpus=1), _LOAD)


def _add_other_layout(root: pathlib.Path) -> None:
    initramfs.add_programs(root, [other_layout.l2fwd()], "bin")


# The ports have the same numbers as those of LAB.
TWO_LAYOUTS = Boot("one processor, igb cards behind an IOMMU, and an l2fwd with other mbufs", lambda: Machine([
    Port(OutsideSocket()), Port(OutsideSocket()),
], cpus=1, payload=_add_other_layout), _LOAD)

# Two processors: one for the generator, one for the forwarder. The ports have the same numbers; A and B are not used.
TWO_CPUS = Boot("two processors, igb cards behind an IOMMU", lambda: Machine([
    Port(OutsideSocket()), Port(OutsideSocket()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
], cpus=2), _LOAD)

# The tests' own kernel supports IOMMUFD, VFIO device files (cdev) and VFIO's no-IOMMU mode.
ALL_MODES = Boot("kernel with all of VFIO, igb cards behind an IOMMU", lambda: Machine([
    Port(OutsideSocket()), Port(OutsideSocket()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
    Port(Hub(2)), Port(Hub(3), shares_group=True),
], cpus=1), _LOAD, kernel="own")
SWITCH = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
# In virtual time a wait for a link costs nothing. This process could not keep up with such a guest, so all wires are inside QEMU. An
# instruction takes 16 ns, about as long as it does without -icount, so that polling takes no more of them.
VIRTUAL_TIME = Boot("virtual time, kernel with all of VFIO, igb cards behind an IOMMU", lambda: Machine([
    Port(Hub(4)), Port(Hub(4)),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
], icount=4), _LOAD, kernel="own")
ALL_MODES_BARE = Boot("kernel with all of VFIO, no IOMMU", lambda: Machine([
    Port(OutsideSocket()), Port(OutsideSocket()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
], cpus=1, iommu=False), f"{_LOAD}; echo 1 >{SWITCH}", kernel="own")

NO_IOMMU = Boot("no IOMMU", lambda: Machine([Port(Hub(0)), Port(Hub(0))], cpus=1, iommu=False), _LOAD)

# The ports have the same numbers as those of LAB.
E1000E = Boot("one processor, e1000e cards behind an IOMMU", lambda: Machine([
    Port(wire, device="e1000e") for wire in (OutsideSocket(), OutsideSocket(), Hub(0), Hub(1), Hub(0), Hub(1))
], cpus=1), "modprobe -a e1000e vfio-pci")


def _virtio(iommu: bool = True) -> Machine:
    """The ports up to G, each a virtio network device. All but A have packed rings; D takes physical addresses only."""
    bypassing = "virtio-net-pci,disable-legacy=on"
    split = bypassing + ",iommu_platform=on"
    packed = split + ",packed=on"
    return Machine([
        Port(OutsideSocket(), device=split), Port(OutsideSocket(), device=packed),
        Port(Hub(0), device=packed), Port(Hub(1), device=bypassing + ",packed=on"), Port(Hub(0), device=packed),
    ], cpus=1, memory_mib=768, huge_pages=160, iommu=iommu)


_LOAD_VIRTIO = "modprobe -a virtio_net vfio-pci"
VIRTIO = Boot("one processor, virtio network devices behind an IOMMU", _virtio, _LOAD_VIRTIO)
VIRTIO_MODES = Boot("kernel with all of VFIO, virtio network devices behind an IOMMU", _virtio, _LOAD_VIRTIO, kernel="own")
VIRTIO_BARE = Boot("kernel with all of VFIO, virtio network devices, no IOMMU", lambda: _virtio(iommu=False),
                   f"{_LOAD_VIRTIO}; echo 1 >{SWITCH}", kernel="own")


def _vmxnet3(iommu: bool = True) -> Machine:
    return Machine([
        Port(OutsideSocket(), device="vmxnet3"), Port(OutsideSocket(), device="vmxnet3"),
        Port(Hub(0), device="vmxnet3"), Port(Hub(1), device="vmxnet3"), Port(Hub(0), device="vmxnet3"),
    ], cpus=1, memory_mib=768, huge_pages=160, iommu=iommu)


_LOAD_VMXNET3 = "modprobe -a vmxnet3 vfio-pci"
VMXNET3 = Boot("one processor, vmxnet3 devices behind an IOMMU", _vmxnet3, _LOAD_VMXNET3)
VMXNET3_MODES = Boot("kernel with all of VFIO, vmxnet3 devices behind an IOMMU", _vmxnet3, _LOAD_VMXNET3, kernel="own")
VMXNET3_BARE = Boot("kernel with all of VFIO, vmxnet3 devices, no IOMMU", lambda: _vmxnet3(iommu=False),
                    f"{_LOAD_VMXNET3}; echo 1 >{SWITCH}", kernel="own")
