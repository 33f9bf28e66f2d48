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
    """`plan` is an argument of `pollux card --fault`. The kernel's log must have a line for each expression of `logged`.
    `probed`: igb creates a network interface for the card in spite of the fault."""
    name: str
    plan: str
    logged: tuple[str, ...]
    probed: bool = True


TIMED_OUT = r"NETDEV WATCHDOG: .*transmit queue [0-9]+ timed out"  # the words before it depend on the version of the kernel
RESET = r"Reset adapter"
# Probing a card and bringing it up takes about 3,000 register accesses.
FAULTS = [
    Fault("removal", "removal@4000", ("PCIe link lost",)),
    Fault("all_ones_for_a_while", "ones@4000x200", ("PCIe link lost",)),
    Fault("all_ones_while_probing", "ones@0x3000", ("PCIe link lost", "The NVM Checksum Is Not Valid", "failed with error -5"), probed=False),
    # All vectors, whenever igb enables them.
    Fault("lost_interrupts", "lost-interrupts@0x1000000", (TIMED_OUT, RESET)),
    Fault("lost_writes", "lost-write@4000x1000000", (TIMED_OUT,)),
    # The tail (TDT) of transmit queue 0, at the offset that igb uses for the first four queues.
    Fault("stuck_queue", "stuck-register=0x3818", ("Detected Tx Unit Hang",)),
    # From the sixth frame on the card reports no frame as sent.
    Fault("missing_write_backs", "missing-transmit-write-back@5x1000000", ("Detected Tx Unit Hang", RESET)),
    # One bit of all words that the card reads from its NVM (EERD).
    Fault("bad_nvm", "stuck-register=0x14+0x10000", ("The NVM Checksum Is Not Valid", "failed with error -5"), probed=False),
]


def _fault(fault: Fault, lab: Lab) -> None:
    lab.guest.run("modprobe igb", 60)
    expected = "; ".join(f"dmesg | grep -qE '{text}' || return 1" for text in fault.logged)
    script = f"""
    logged() {{ {expected}; }}
    for address in {' '.join(lab.addresses)}; do
      [ -d /sys/bus/pci/devices/$address/net ] || {{ echo "no interface for $address"; continue; }}
      name=$(netdev_of $address)
      n=$((n + 1))
      ip addr add 10.82.$n.1/24 dev $name && ip neigh add 10.82.$n.2 lladdr 02:00:00:00:00:02 dev $name; ip link set $name up
    done
    for name in $(ls /sys/class/net | grep eth); do await 10 grep -q 1 /sys/class/net/$name/carrier || echo "$name has no link"; done
    # Sends frames that nobody answers, more than a ring has room for.
    for try in 1 2 3 4 5 6; do logged && break; timeout 20 ping -c 400 -i 0.01 -W 1 10.82.1.2 >/dev/null 2>&1; await 8 logged; done
    for name in $(ls /sys/class/net); do timeout 20 ethtool -S $name >/dev/null 2>&1; done
    """
    lab.facts["interfaces"] = said = lab.guest.run(script, 240).out.splitlines()
    removed = lab.guest.run("ip -all netns del; timeout 60 rmmod igb", 80)
    lab.facts["removed"] = removed.status == 0
    # Reads and clears the log. Otherwise igb's messages about the faulty card would be taken for errors of the kernel.
    log = [re.sub(r"^\[[^]]*\] ", "", line) for line in lab.guest.check("dmesg -c").splitlines() if "igb" in line]
    lab.facts["logged"] = list(dict.fromkeys(log))
    missing = [text for text in fault.logged if not re.search(text, "\n".join(log))]
    require(not missing, f"not in the kernel's log: {missing}; its end: {log[-10:]}")
    require(fault.probed != (f"no interface for {lab.addresses[0]}" in said), f"interfaces: {said}")
    require(removed.status == 0, f"igb cannot be removed: {removed.err}")


for entry in FAULTS:
    on_this_card(Boot(f"an in-process card with a fault: {entry.plan}",
                      functools.partial(two_exported_cards, f"fault-{entry.name}", "--fault", entry.plan), "true"),
                 f"fault_{entry.name}", f"igb on a card with the fault {entry.plan}", functools.partial(_fault, entry))
