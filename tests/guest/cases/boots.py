# SPDX-License-Identifier: BSD-3-Clause
"""The machines that the cases run on. Ports stay with the kernel's igb, and down, until a case takes them."""

from pollux_lab.cases import Boot
from pollux_lab.machine import Hub, Machine, Outside, Port

# Wires to this process.
A, B = 0, 1
# Wires inside QEMU: C to the generator port G, D to the generator port H.
C, D, G, H = 2, 3, 4, 5
# Two cards in one IOMMU group.
TWIN, OTHER_TWIN = 6, 7

_LOAD = "modprobe -a igb vfio-pci"

# One processor: what it does is the same each time, and QEMU's emulation of several is less steady.
LAB = Boot("one processor, igb cards behind an IOMMU", lambda: Machine([
    Port(Outside()), Port(Outside()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
    Port(Hub(2)), Port(Hub(3), twin=True),
], cpus=1), _LOAD)

# The same numbers, so that both generator and forwarder have a processor; A and B stay idle.
TWO_CPUS = Boot("two processors, igb cards behind an IOMMU", lambda: Machine([
    Port(Outside()), Port(Outside()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
], cpus=2), _LOAD)

# The tests' own kernel has IOMMUFD, devices' own files and VFIO's no-IOMMU mode; its drivers are built in.
SMALL = Boot("small kernel, igb cards behind an IOMMU", lambda: Machine([
    Port(Outside()), Port(Outside()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
    Port(Hub(2)), Port(Hub(3), twin=True),
], cpus=1), "true", kernel="small")
SWITCH = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
SMALL_BARE = Boot("small kernel, no IOMMU", lambda: Machine([
    Port(Outside()), Port(Outside()),
    Port(Hub(0)), Port(Hub(1)), Port(Hub(0)), Port(Hub(1)),
], cpus=1, iommu=False), f"echo 1 >{SWITCH}", kernel="small")

NO_IOMMU = Boot("no IOMMU", lambda: Machine([Port(Hub(0)), Port(Hub(0))], cpus=1, iommu=False), _LOAD)
