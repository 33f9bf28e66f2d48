# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's net_e1000_em on QEMU's 82574: on both ends of a wire, and at the other end of a port of Pollux's."""

import json
import pathlib

from pollux_lab import initramfs
from pollux_lab.cases import Boot, require
from pollux_lab.machine import Hub, Machine, Port
from pollux_lab.programs import built_programs

from . import columns, testpmd
from .columns import Lab, on_this_card
from .dpdk import forwards

FRAMES = 5000


def _machine() -> Machine:
    def add(root: pathlib.Path) -> None:
        testpmd.add_testpmd(root)
        initramfs.add_programs(root, built_programs(columns.BUILD[0], ["pktgen"]), "bin")
    return Machine([Port(Hub(0), device="e1000e"), Port(Hub(0), device="e1000e")], iommu=False, payload=add)


def returns_frames(lab: Lab) -> None:
    """testpmd returns what pktgen sends; pktgen checks each frame."""
    left, right = lab.addresses
    lab.guest.check(testpmd.BIND.format(addresses=left), 60)
    lab.addresses = [right]
    output = testpmd.run(lab, f"""
    {testpmd.say('set fwd io', 'start')}
    pktgen 'vfio:{left}?via=noiommu' --send --receive --count {FRAMES} --window 32 --check --expect-all --json --quiet >/run/pktgen.out 2>/run/pktgen.err ||
      {{ cat /run/pktgen.err >&2; fail pktgen failed; }}
    {testpmd.say('stop')}
    tail -n 1 /run/pktgen.out""")
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"summary"')]
    lab.facts["pktgen"] = summary = lines[-1]["summary"] if lines else {}
    require(summary.get("good") == FRAMES and summary.get("corrupt") == 0, f"not all of {FRAMES} frames came back: {summary}\n{output[-2000:]}")


_BOOT = Boot("two of QEMU's 82574 on the tests' kernel, without an IOMMU", _machine, "modprobe vfio-pci", kernel="own")
on_this_card(_BOOT, "e1000e_testpmd_forwards", "DPDK's testpmd forwards between two of QEMU's 82574", forwards)
on_this_card(_BOOT, "e1000e_testpmd_returns_frames", "DPDK's testpmd returns the frames of Pollux's 82574", returns_frames)
