# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's igb driver on exported cards: testpmd of the distribution, on the small kernel without an IOMMU."""

import functools
import pathlib
import re
import shutil

from pollux_lab import initramfs
from pollux_lab.cases import Boot, LeftOut, require

from .columns import Lab, on_this_card, two_exported_cards

# Drivers that testpmd is not linked with, in the distribution's folder of such drivers.
PLUGINS = ["librte_mempool_ring.so", "librte_net_e1000.so"]
FOLDER = "/usr/lib/x86_64-linux-gnu/dpdk"
BIND = """
echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
for address in {addresses}; do
  [ "$(driver_of $address)" = none ] || echo $address >/sys/bus/pci/devices/$address/driver/unbind
  echo vfio-pci >/sys/bus/pci/devices/$address/driver_override
  echo $address >/sys/bus/pci/drivers_probe
  [ "$(driver_of $address)" = vfio-pci ] || fail $address is not bound
done
mkdir -p /var/run; chmod 755 /
"""
SECONDS = 8
COUNTERS = re.compile(r"NIC statistics for port (\d).*?RX-packets: (\d+)\s+RX-missed: (\d+).*?RX-errors: (\d+).*?TX-packets: (\d+)"
                      r"\s+TX-errors: (\d+)", re.DOTALL)


def _testpmd_into(root: pathlib.Path) -> None:
    program = shutil.which("dpdk-testpmd")
    folder = next(pathlib.Path(FOLDER).glob("pmds-*"), None)
    if not program or not folder:
        raise LeftOut("dpdk-testpmd is not installed (apt-get install dpdk-dev libdpdk-dev)")
    initramfs.add_programs(root, [pathlib.Path(program)], "bin")
    # glibc loads it when a thread is cancelled.
    initramfs.add_programs(root, [pathlib.Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")], "lib/x86_64-linux-gnu")
    initramfs.add_programs(root, [folder / name for name in PLUGINS], "lib/dpdk")


def _machine(key: str):
    machine = two_exported_cards(key)
    machine.huge_pages = 192
    machine.payload = _testpmd_into
    return machine


def _testpmd(lab: Lab, commands: list[str]) -> dict[int, tuple[int, ...]]:
    """Runs testpmd with both ports; frames circulate between them. Returns received, missed, errors, sent, errors by port."""
    lab.guest.check(BIND.format(addresses=" ".join(lab.addresses)), 60)
    plugins = " ".join(f"-d /lib/dpdk/{name}" for name in PLUGINS)
    cards = " ".join(f"-a {address}" for address in lab.addresses)
    script = "; ".join(f"echo '{command}'" for command in commands)
    output = lab.guest.check(f"""
    (sleep 4; {script}; sleep 3; echo 'start tx_first'; sleep {SECONDS}; echo stop; echo 'show port stats all'; echo 'show port xstats all'
     echo quit) |
      dpdk-testpmd -l 0,1 -n 1 --no-telemetry --huge-unlink --iova-mode=pa {plugins} {cards} -- -i --nb-cores=1 2>&1
    """, 90)
    lab.facts["counters"] = sorted(set(re.findall(r"^\w+: [1-9]\d*$", output, re.MULTILINE)))
    found = {int(port): tuple(map(int, rest)) for port, *rest in COUNTERS.findall(output)}
    require(set(found) == {0, 1}, f"testpmd printed no statistics:\n{output[-3000:]}")
    return found


def forwards(lab: Lab) -> None:
    found = _testpmd(lab, ["set fwd io"])
    lab.facts["ports"] = {port: dict(zip(("received", "missed", "rx errors", "sent", "tx errors"), counts)) for port, counts in found.items()}
    for received, missed, rx_errors, sent, tx_errors in found.values():
        require(received > 1000 and sent > 1000, f"testpmd forwarded too few frames: {found}")
        require(not (missed or rx_errors or tx_errors), f"testpmd counts errors: {found}")


_BOOT = Boot("two in-process cards on the small kernel, without an IOMMU", functools.partial(_machine, "dpdk"), "true", kernel="small")
on_this_card(_BOOT, "testpmd_forwards", "DPDK's testpmd forwards between two cards", forwards)
