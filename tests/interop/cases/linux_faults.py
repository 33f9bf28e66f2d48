# SPDX-License-Identifier: BSD-3-Clause
"""What Linux's igb does when its card has a fault. The guest must survive each; docs/82576/interop.md says what igb did."""

import dataclasses
import functools
import re

from pollux_lab.cases import Boot, require

from . import network
from .columns import Lab, on_this_card, two_exported_cards


@dataclasses.dataclass(frozen=True)
class Fault:
    """`plan` is an argument of `pollux card --fault`. The kernel's log must contain `logged`."""
    name: str
    plan: str
    logged: str


# Probing a card and bringing it up takes about 3,000 accesses of registers.
FAULTS = [
    Fault("removal", "removal@4000", r"PCIe link lost"),
    Fault("all_ones_for_a_while", "ones@4000x200", r"PCIe link lost"),
    Fault("all_ones_while_probing", "ones@0x3000", r"The NVM Checksum Is Not Valid"),
    Fault("lost_interrupts", "lost-interrupts", r""),
    Fault("lost_writes", "lost-write@4000x200", r""),
]


def _fault(fault: Fault, lab: Lab) -> None:
    lab.guest.run("modprobe igb", 60)
    script = f"""
    for address in {' '.join(lab.addresses)}; do
      [ -d /sys/bus/pci/devices/$address/net ] || {{ echo "no interface for $address"; continue; }}
      name=$(netdev_of $address)
      n=$((n + 1))
      ip addr add 10.82.$n.1/24 dev $name && ip neigh add 10.82.$n.2 lladdr 02:00:00:00:00:02 dev $name; ip link set $name up
    done
    for name in $(ls /sys/class/net | grep eth); do await 10 grep -q 1 /sys/class/net/$name/carrier || echo "$name has no link"; done
    # Sends frames that nobody answers.
    for try in 1 2 3; do timeout 20 ping -c 60 -i 0.05 10.82.1.2 >/dev/null 2>&1; sleep 4; done
    for name in $(ls /sys/class/net); do timeout 20 ethtool -S $name >/dev/null 2>&1; done
    """
    lab.facts["interfaces"] = lab.guest.run(script, 100).out.splitlines()
    removed = lab.guest.run("ip -all netns del; timeout 60 rmmod igb", 80)
    lab.facts["removed"] = removed.status == 0
    # The log is taken here: what igb says about a defective card is no complaint about the kernel.
    log = [re.sub(r"^\[[^]]*\] ", "", line) for line in lab.guest.check("dmesg -c").splitlines() if "igb" in line]
    lab.facts["logged"] = list(dict.fromkeys(log))
    require(re.search(fault.logged, "\n".join(log)) is not None, f"'{fault.logged}' is not in the kernel's log: {log[-10:]}")
    require(removed.status == 0, f"igb cannot be removed: {removed.err}")


for entry in FAULTS:
    on_this_card(Boot(f"an in-process card with a fault: {entry.plan}",
                      functools.partial(two_exported_cards, f"fault-{entry.name}", "--fault", entry.plan), "true"),
                 f"fault_{entry.name}", f"igb on a card with the fault {entry.plan}", functools.partial(_fault, entry))
