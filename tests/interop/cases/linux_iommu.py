# SPDX-License-Identifier: BSD-3-Clause
"""Exported cards behind QEMU's virtual IOMMU, which translates: page by page for Linux's igb, then for Pollux's driver over VFIO."""

import json
import shlex

from pollux_lab import initramfs
from pollux_lab.cases import Boot, require
from pollux_lab.machine import Machine
from pollux_lab.programs import built_programs

from . import network
from .columns import BUILD, Lab, on_this_card, two_exported_cards

MEBIBYTES = 4
FRAMES = 20000


def _machine() -> Machine:
    made = two_exported_cards("iommu")
    made.iommu = True
    made.kernel_arguments = "iommu=nopt"
    made.huge_pages = 64
    made.payload = lambda root: initramfs.add_programs(root, built_programs(BUILD[0], ["pollux", "pktgen"]), "bin")
    return made


def behind_an_iommu(lab: Lab) -> None:
    lab.guest.check("modprobe igb")
    lab.connect()
    for address in lab.addresses:
        kind = lab.guest.check(f"cat /sys/bus/pci/devices/{address}/iommu_group/type").strip()
        require(kind.startswith("DMA"), f"{address}: addresses are not translated: {kind}")
    with lab.captured() as capture:
        for size in (56, 8000):
            network.ping(lab, size)
        for side in network.SIDES:
            network.copy(lab, side, MEBIBYTES)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct((2 * MEBIBYTES << 20) // 1500)
    lab.guest.check("ip -all netns del; rmmod igb; modprobe vfio-pci", 60)
    lab.guest.check(f"pollux bind {' '.join(lab.addresses)}")
    words = ["pktgen", *(f"vfio:{address}" for address in lab.addresses), "--count", str(FRAMES), "--window", "64", "--check", "--expect-all",
             "--json", "--quiet"]
    summary = json.loads(lab.guest.check(shlex.join(words), 120).splitlines()[-1])["summary"]
    lab.facts["pktgen"] = {name: summary[name] for name in ("sent", "good", "corrupt")}
    require(summary["good"] == FRAMES, f"pktgen: {summary}")
    lab.guest.check(f"pollux unbind {' '.join(lab.addresses)}")


on_this_card(Boot("two in-process cards behind a virtual IOMMU", _machine, "true"), "behind_an_iommu",
             "igb, and Pollux's driver over VFIO, behind a virtual IOMMU", behind_an_iommu)
