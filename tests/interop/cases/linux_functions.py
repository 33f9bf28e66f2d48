# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igb and igbvf on one card: igb drives the physical function and answers the mailbox, igbvf drives a virtual function. The
third port, at the wire's other end, is igb's, too. The virtual function of the in-process card is exported as a card of its own."""

import json

from pollux_lab import wire
from pollux_lab.cases import Boot, require
from pollux_lab.machine import Machine, Port, VfioUser
from pollux_lab.programs import built_programs
from pollux_lab.server import Server

from . import network
from .columns import BUILD, FOLDER, Lab, newer_qemu, on_every_card, two_igbs

PHYSICAL = "10.82.0.3"
GIVEN_MAC = "02:f0:00:00:00:00"
# Linux creates a device for each virtual function that it enables, at a number that the card's capability defines. QEMU has no device
# there, since the function is a card of its own elsewhere. So a device of QEMU's stands in for it; no driver binds to it.
CARD_SLOT = 4
FUNCTION_SLOT = CARD_SLOT + 0x80 // 8
FUNCTION_STRIDE = 2
# igb offers one less than the card has, since the physical function needs a pool, too (igb_main.c, igb_probe_vfs).
MOST_FUNCTIONS = 7

_ENABLE_EXPORTED = """
for stand_in in STAND_INS; do echo 1 >/sys/bus/pci/devices/$stand_in/remove; done
echo 0 >/sys/bus/pci/devices/$physical/sriov_drivers_autoprobe
echo COUNT >/sys/bus/pci/devices/$physical/sriov_numvfs || fail igb enables no COUNT virtual functions
"""
_ENABLE = """
echo 1 >/sys/bus/pci/devices/$physical/sriov_numvfs || fail igb enables no virtual function
function=$(basename $(readlink /sys/bus/pci/devices/$physical/virtfn0))
"""
_PHYSICAL = f"""
physical=$1 partner=$2 function=$3
place() {{
  name=$(netdev_of $2)
  ip netns add $1 && ip -n $1 link set lo up && ip link set $name netns $1 && ip -n $1 link set $name name port
  ip -n $1 addr add $3/24 dev port && ip -n $1 link set port up
}}
modprobe igb
for card in $physical $partner; do await 20 test -d /sys/bus/pci/devices/$card/net || fail igb made no interface for $card; done
name=$(netdev_of $physical)
ip link set $name up && ip link set $(netdev_of $partner) up
ENABLE
ip link set $name vf 0 mac {GIVEN_MAC}
await 20 grep -q 1 /sys/class/net/$name/carrier || fail the physical function has no link
place physical $physical {PHYSICAL}
place right $partner {network.ADDRESS['right']}
"""
_VIRTUAL = f"""
modprobe igbvf
await 20 test -d /sys/bus/pci/devices/$function/net || fail igbvf made no interface
cat /sys/class/net/$(netdev_of $function)/address
place left $function {network.ADDRESS['left']}
"""


class FunctionMachine(Machine):
    """The physical function is on the root bus, where the kernel finds room for its virtual ones; the other two cards have root ports."""

    functions = 1  # to be enabled

    def stand_ins(self) -> list[str]:
        """The places of the virtual functions on the bus, as QEMU writes them."""
        return [f"{FUNCTION_SLOT + number * FUNCTION_STRIDE // 8:02x}.{number * FUNCTION_STRIDE % 8}" for number in range(self.functions)]

    def addresses(self) -> list[str]:
        return [f"0000:00:{CARD_SLOT:02x}.0", "0000:01:00.0", "0000:02:00.0"]

    def _card(self, index: int, port: Port) -> list[str]:
        if index != 0:
            return super()._card(index, port)
        card = {"driver": "vfio-user-pci", "bus": "pcie.0", "addr": f"{CARD_SLOT:x}", "socket": {"type": "unix", "path": str(port.wire.socket)}}
        return ["-device", json.dumps(card),
                *(word for place in self.stand_ins() for word in ("-device", f"pci-testdev,bus=pcie.0,addr={place},multifunction=on"))]


def functions_machine(key: str = "functions", *options: str, count: int = 1) -> Machine:
    """`options` are those of `pollux card`. `count` virtual functions will be enabled, of which one is exported."""
    physical, partner, function = (FOLDER.path / f"{key}.{name}" for name in ("physical", "partner", "function"))
    capture = FOLDER.path / f"{key}.pcap"
    words = [built_programs(BUILD[0], ["pollux"])[0], "card", "--socket", physical, "--socket", partner, "--vf", f"0={function}",
             "--wire", f"capture={capture}", *options]
    server = Server(list(map(str, words)), FOLDER.path / f"{key}.log", ready=f"{function}: card")
    ports = [Port(VfioUser(socket), dump=capture) for socket in (physical, partner, function)]
    made = FunctionMachine(ports, cpus=2, huge_pages=0, iommu=False, emulator=newer_qemu(), servers=[server])
    made.functions = count
    return made


_BOOTS = {
    "qemu10": Boot("QEMU's igb with a virtual function", lambda: two_igbs("functions10", "qemu-system-x86_64"), "true"),
    "qemu11": Boot("the newer QEMU's igb with a virtual function", lambda: two_igbs("functions11", newer_qemu()), "true"),
    "model": Boot("an in-process card and one of its virtual functions", functions_machine, "true"),
}


def set_up(lab: Lab) -> str:
    """The commands that have igb drive the physical function, and enable its virtual ones."""
    enable = _ENABLE
    if isinstance(machine := lab.guest.machine, FunctionMachine):
        places = " ".join(f"0000:00:{place}" for place in machine.stand_ins())
        enable = _ENABLE_EXPORTED.replace("STAND_INS", places).replace("COUNT", str(machine.functions))
    return f"set -- {' '.join(lab.addresses)}\n{_PHYSICAL.replace('ENABLE', enable)}"


@on_every_card(boots=_BOOTS)
def igb_and_igbvf(lab: Lab) -> None:
    """igb enables a virtual function; igbvf exchanges frames with the wire and with the physical function."""
    address = lab.guest.check(set_up(lab) + _VIRTUAL, 120).strip().splitlines()[-1]
    require(address == GIVEN_MAC, f"igbvf has the address {address}; igb has given it {GIVEN_MAC}")
    lab.guest.check("".join(network.has_link(side) for side in ("left", "right", "physical")), 90)
    with wire.captured(lab.guest.machine.ports[0].dump) as capture:
        for size in (0, 56, 1472):
            network.ping(lab, size)
            network.ping(lab, size, address=PHYSICAL)
        for name, options in (("to the wire", ""), ("from the wire", "-R")):
            lab.facts[f"TCP {name}"] = network.flood(lab, options, 8)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(5000)
    inside = network.statistics(lab, "left")
    lab.facts["function"] = {name: inside[name] for name in sorted(inside) if "bytes" in name or "packets" in name}
    said = [line for line in lab.guest.check("dmesg").splitlines() if "igbvf" in line]
    wrong = [line for line in said if "reset" in line or "MAC address not assigned" in line or "Error" in line]
    require(not wrong, "igbvf complains:\n" + "\n".join(wrong))
