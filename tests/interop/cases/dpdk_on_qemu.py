# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's net_e1000_em and net_vmxnet3 on QEMU's 82574 and vmxnet3: on both ends of a wire, and at the other end of a port of Pollux's."""

import functools
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


def _machine(device: str) -> Machine:
    def add(root: pathlib.Path) -> None:
        testpmd.add_testpmd(root)
        initramfs.add_programs(root, built_programs(columns.BUILD[0], ["pktgen"]), "bin")
    return Machine([Port(Hub(0), device=device), Port(Hub(0), device=device)], iommu=False, payload=add)


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


for _device, _name in (("e1000e", "82574"), ("vmxnet3", "vmxnet3")):
    _boot = Boot(f"two of QEMU's {_name} on the tests' kernel, without an IOMMU", functools.partial(_machine, _device), "modprobe vfio-pci",
                 kernel="own")
    on_this_card(_boot, f"{_device}_testpmd_forwards", f"DPDK's testpmd forwards between two of QEMU's {_name}", forwards)
    on_this_card(_boot, f"{_device}_testpmd_returns_frames", f"DPDK's testpmd returns the frames of Pollux's {_name}", returns_frames)
