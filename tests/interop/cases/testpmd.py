# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's testpmd of the distribution in a guest on the tests' kernel without an IOMMU, with two exported cards."""

import pathlib
import re
import shutil
from collections.abc import Callable

from pollux_lab import initramfs
from pollux_lab.cases import LeftOut, require
from pollux_lab.machine import Machine

from .columns import Lab, two_exported_cards

# Drivers that testpmd is not linked with, in the distribution's folder of such drivers.
PLUGINS = ["librte_mempool_ring.so", "librte_net_e1000.so", "librte_net_pcap.so", "librte_net_virtio.so",
           "librte_net_vmxnet3.so"]
FOLDER = "/usr/lib/x86_64-linux-gnu/dpdk"
COUNTERS = re.compile(r"NIC statistics for port (\d).*?RX-packets: (\d+)\s+RX-missed: (\d+).*?RX-errors: (\d+).*?TX-packets: (\d+)"
                      r"\s+TX-errors: (\d+)", re.DOTALL)
COUNTER_NAMES = ("received", "missed", "rx errors", "sent", "tx errors")

BIND = """
echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
use_vfio {addresses}
"""
# `say` sends a command, and waits until testpmd asks for the next one: without that, a slow guest would execute commands much later
# than they are sent.
_RUN = """
rm -f /run/testpmd.in; mkfifo /run/testpmd.in
prompts() {{ grep -o 'testpmd> ' /run/testpmd.out | wc -l; }}
answered() {{ [ "$(prompts)" -gt "$before" ]; }}
say() {{
  before=$(prompts)
  echo "$1" >&4
  await 60 answered || {{ tail -c 3000 /run/testpmd.out >&2; fail "testpmd does not answer '$1'"; }}
}}
spawn testpmd sh -c 'exec dpdk-testpmd {options} </run/testpmd.in 2>&1'
exec 4>/run/testpmd.in
await_line testpmd 'testpmd> ' 60
{script}
echo quit >&4
finish testpmd 30
"""


def machine(key: str, payload: Callable[[pathlib.Path], None] | None = None, *options: str) -> Machine:
    """`payload` adds files to the guest; `options` are those of `pollux card`."""
    def add(root: pathlib.Path) -> None:
        add_testpmd(root)
        if payload:
            payload(root)
    made = two_exported_cards(key, *options)
    made.huge_pages = 192
    made.payload = add
    return made


def add_testpmd(root: pathlib.Path) -> None:
    program = shutil.which("dpdk-testpmd")
    folder = next(pathlib.Path(FOLDER).glob("pmds-*"), None)
    if not program or not folder:
        raise LeftOut("dpdk-testpmd is not installed (apt-get install dpdk-dev libdpdk-dev)")
    initramfs.add_programs(root, [pathlib.Path(program)], "bin")
    # glibc loads it when a thread is cancelled.
    initramfs.add_programs(root, [pathlib.Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")], "lib/x86_64-linux-gnu")
    initramfs.add_programs(root, [folder / name for name in PLUGINS], "lib/dpdk")


def run(lab: Lab, script: str, devices: str = "", options: str = "", link_events: bool = False) -> str:
    """Runs testpmd with both cards as ports 0 and 1, then `devices`. `script` is a shell script in which `say COMMAND` gives testpmd a
    command. Returns testpmd's output. Without `link_events`, testpmd waits at its start until all ports have a link; with them it does
    not wait, and frames that it sends at once are lost."""
    lab.guest.check(BIND.format(addresses=" ".join(lab.addresses)), 60)
    words = ["-l 0,1 -n 1 --no-telemetry --huge-unlink --iova-mode=pa", *(f"-d /lib/dpdk/{name}" for name in PLUGINS),
             *(f"-a {address}" for address in lab.addresses), devices, "-- -i --nb-cores=1 --total-num-mbufs=8192",
             "" if link_events else "--no-lsc-interrupt", options]
    return lab.guest.check(_RUN.format(options=" ".join(words), script=script), 180)


def say(*commands: str) -> str:
    return "".join(f"say '{command}'\n" for command in commands)


def counters(output: str) -> dict[int, dict[str, int]]:
    """The last counters of each port, as `show port stats all` prints them."""
    found = {int(port): dict(zip(COUNTER_NAMES, map(int, rest))) for port, *rest in COUNTERS.findall(output)}
    require({0, 1} <= set(found), f"testpmd printed no statistics:\n{output[-3000:]}")
    return found
