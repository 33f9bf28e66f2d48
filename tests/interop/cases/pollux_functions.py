# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igbvf on virtual functions whose physical function Pollux drives: `pollux vf serve` drives an in-process card, gives each
function its settings, answers igbvf's mailbox, and exports the function. Linux's igb is at the other end of the card's wire."""

import functools
import json
import time

from pollux_lab import initramfs, wire
from pollux_lab.cases import Boot, require
from pollux_lab.machine import Machine, Port, VfioUser
from pollux_lab.programs import built_programs
from pollux_lab.server import Server

from . import linux_functions, network
from .columns import BUILD, FOLDER, Lab, newer_qemu, on_this_card

GIVEN_MAC = "02:f0:00:00:00:07"
OTHER_MAC = "02:f0:00:00:01:07"
OTHER = "10.82.0.3"
# E-LOOPTAG: an I350 swaps the bytes of the tag, and those of this one would name another VLAN.
VLAN = 0x105
TAGGED = "10.83.0.{}"
# The first cards of two processes have the same address. A card keeps frames to its own one, so the partner gets another.
PARTNER_MAC = "02:f0:00:00:00:09"

_SET_UP = f"""
function=$1 partner=$2 other=$3
modprobe -a igb igbvf 8021q
for card in $function $partner $other; do await 20 test -d /sys/bus/pci/devices/$card/net || fail there is no interface for $card; done
cat /sys/class/net/$(netdev_of $function)/address
place() {{
  name=$(netdev_of $2)
  ip netns add $1 && ip -n $1 link set lo up && ip link set $name netns $1 && ip -n $1 link set $name name port
  ip -n $1 addr add $3/24 dev port
}}
place left $function {network.ADDRESS['left']}
place right $partner {network.ADDRESS['right']}
place other $other {OTHER}
ip -n right link set port address {PARTNER_MAC}
for side in left right other; do ip -n $side link set port up; done
{network.has_link('left')}{network.has_link('right')}{network.has_link('other')}
"""
_JOIN = f"""
join() {{
  ip -n $1 link add link port name tagged type vlan id {VLAN} && ip -n $1 addr add $2/24 dev tagged && ip -n $1 link set tagged up
}}
join left {TAGGED.format(1)} && join other {TAGGED.format(3)} || fail igbvf does not join a VLAN
await 20 ip netns exec left ping -c 1 -W 1 {TAGGED.format(3)} || fail no answer to a ping with a tag
"""


def _machine(key: str, card: str) -> Machine:
    function, partner, other = (FOLDER.path / f"{key}.{name}" for name in ("function", "partner", "other"))
    here, there = (FOLDER.path / f"{key}.{name}" for name in ("wire.card", "wire.partner"))
    capture = FOLDER.path / f"{key}.pcap"
    pollux = str(built_programs(BUILD[0], ["pollux"])[0])
    serve = [pollux, "vf", "serve", "2", f"sim:0?card={card},socket-local={here},socket-remote={there}", "--socket", f"0={function}",
             "--socket", f"1={other}", "--vf", f"0:mac={GIVEN_MAC}", "--vf", f"1:mac={OTHER_MAC}", "--json"]
    far = [pollux, "card", "--card", card, "--socket", str(partner), "--wire", f"capture={capture},socket-local={there},socket-remote={here}"]
    return Machine([Port(VfioUser(socket), dump=capture) for socket in (function, partner, other)], cpus=2, huge_pages=0, iommu=False,
                   emulator=newer_qemu(), servers=[Server(far, FOLDER.path / f"{key}_card.log", ready=f"{partner}: card"),
                                                   Server(serve, _log(key), ready='"serving"')])


def _log(key: str):
    return FOLDER.path / f"{key}_serve.log"


def said(key: str) -> list[dict]:
    """The events; the file has warnings, too."""
    return [json.loads(line) for line in _log(key).read_text().splitlines() if line.startswith("{")]


def refusals(key: str) -> list[str]:
    return [line["reason"] for line in said(key) if line["event"] == "refused"]


def igbvf_on_a_function_of_pollux(key: str, lab: Lab) -> None:
    address = lab.guest.check(f"set -- {' '.join(lab.addresses)}\n{_SET_UP}", 120).strip().splitlines()[0]
    require(address == GIVEN_MAC, f"igbvf has the address {address}; it was given {GIVEN_MAC}")
    # igbvf resets its function again when the link comes up.
    lab.guest.check(f"await 20 ip netns exec left ping -c 1 -W 1 {network.ADDRESS['right']} || fail no answer to a ping", 60)
    with wire.captured(lab.guest.machine.ports[0].dump) as capture:
        for size in (0, 56, 1472):
            network.ping(lab, size)
        for name, options in (("to the wire", ""), ("from the wire", "-R")):
            lab.facts[f"TCP {name}"] = network.flood(lab, options, 8)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(5000)
    lab.guest.check(_JOIN, 60)
    for address in (OTHER, TAGGED.format(3)):
        network.ping(lab, 1472, address=address)
    require("driver_up" in [line["event"] for line in said(key)], str(said(key)))
    # After each reset igbvf requests the address that it has; Linux's igb refuses that, too.
    before = refusals(key)
    require(set(before) <= {"address_is_set"}, str(before))
    # An address that the function was given is the administrator's.
    refused = lab.guest.run("ip -n left link set port down\nip -n left link set port address 02:f0:00:00:00:08\nstatus=$?\n"
                            "exit $status", 20)
    require(refused.status != 0, "igbvf changed the address that it was given")
    after = refusals(key)
    deadline = time.monotonic() + 10  # the command looks ten times a second
    while len(after) <= len(before) and time.monotonic() < deadline:
        time.sleep(0.1)
        after = refusals(key)
    require(len(after) > len(before) and set(after) == {"address_is_set"}, f"{before}, then {after}")


def boot(key: str, card: str) -> Boot:
    return Boot(f"virtual functions of an in-process {card} that Pollux drives", functools.partial(_machine, key, card.lower()), "true")


NAME = "igbvf_on_a_function_of_pollux"
TITLE = "igbvf exchanges frames through virtual functions of a physical function that Pollux drives"
on_this_card(boot("served", "82576"), NAME, TITLE, functools.partial(igbvf_on_a_function_of_pollux, "served"))


# Linux's igb drives the physical function of an I350, and Pollux one of its virtual functions.
def _l2fwd_machine() -> Machine:
    made = linux_functions.functions_machine("pollux350", "--card", "i350", count=linux_functions.MOST_FUNCTIONS)
    made.huge_pages = 192
    made.payload = lambda root: initramfs.add_programs(root, built_programs(BUILD[0], ["l2fwd"]), "bin")
    return made


def pollux_on_a_function_of_igb(lab: Lab) -> None:
    """l2fwd drives the function, and forwards to a TAP interface, whose kernel asks and answers."""
    lab.guest.check(f"""{linux_functions.set_up(lab)}
    echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
    use_vfio $function
    spawn l2fwd nice -n 19 l2fwd "vfio:$function?via=noiommu" tap:port --no-mac-updating
    await_line l2fwd '^l2fwd: forwarding' 60
    ip netns add left && ip link set port netns left && ip -n left link set port address {linux_functions.GIVEN_MAC}
    ip -n left addr add {network.ADDRESS['left']}/24 dev port && ip -n left link set port up
    {network.has_link('right')}{network.has_link('physical')}""", 120)
    for address in (network.ADDRESS["right"], linux_functions.PHYSICAL):
        for size in (0, 1472):
            network.ping(lab, size, address=address)
    network.copy(lab, "left", 4)
    lab.facts["l2fwd"] = lab.guest.check("interrupt l2fwd; finish l2fwd 20", 40).splitlines()[-5:]


ON_IGB = Boot("an in-process I350 and one of its seven virtual functions, on the tests' kernel, without an IOMMU", _l2fwd_machine,
              "modprobe -a vfio-pci tun", kernel="own")
