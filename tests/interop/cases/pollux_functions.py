# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igbvf on a virtual function whose physical function Pollux drives: `pollux vf serve` drives an in-process card, gives the
function its settings, answers igbvf's mailbox, and exports the function. Linux's igb is at the other end of the card's wire."""

import json
import time

from pollux_lab import wire
from pollux_lab.cases import Boot, require
from pollux_lab.machine import Machine, Port, VfioUser
from pollux_lab.programs import built_programs
from pollux_lab.server import Server

from . import network
from .columns import BUILD, FOLDER, Lab, newer_qemu, on_this_card

GIVEN_MAC = "02:f0:00:00:00:07"
# The first cards of two processes have the same address. A card keeps frames to its own one, so the partner gets another.
PARTNER_MAC = "02:f0:00:00:00:09"
SAID = "vf_serve.log"

_SET_UP = f"""
function=$1 partner=$2
modprobe -a igb igbvf
for card in $function $partner; do await 20 test -d /sys/bus/pci/devices/$card/net || fail there is no interface for $card; done
cat /sys/class/net/$(netdev_of $function)/address
place() {{
  name=$(netdev_of $2)
  ip netns add $1 && ip -n $1 link set lo up && ip link set $name netns $1 && ip -n $1 link set $name name port
  ip -n $1 addr add $3/24 dev port
}}
place left $function {network.ADDRESS['left']}
place right $partner {network.ADDRESS['right']}
ip -n right link set port address {PARTNER_MAC}
for side in left right; do ip -n $side link set port up; done
{network.has_link('left')}{network.has_link('right')}
"""


def _machine() -> Machine:
    function, partner = (FOLDER.path / f"served.{name}" for name in ("function", "partner"))
    here, there = (FOLDER.path / f"served.{name}" for name in ("wire.card", "wire.partner"))
    capture = FOLDER.path / "served.pcap"
    pollux = str(built_programs(BUILD[0], ["pollux"])[0])
    serve = [pollux, "vf", "serve", "1", f"sim:0?socket-local={here},socket-remote={there}", "--socket", f"0={function}",
             "--vf", f"0:mac={GIVEN_MAC}", "--json"]
    card = [pollux, "card", "--socket", str(partner), "--wire", f"capture={capture},socket-local={there},socket-remote={here}"]
    return Machine([Port(VfioUser(function), dump=capture), Port(VfioUser(partner), dump=capture)], cpus=2, huge_pages=0, iommu=False,
                   emulator=newer_qemu(), servers=[Server(card, FOLDER.path / "served_card.log", ready=f"{partner}: card"),
                                                   Server(serve, FOLDER.path / SAID, ready='"serving"')])


def said() -> list[dict]:
    """The events; the file has warnings, too."""
    return [json.loads(line) for line in (FOLDER.path / SAID).read_text().splitlines() if line.startswith("{")]


def refusals() -> list[str]:
    return [line["reason"] for line in said() if line["event"] == "refused"]


def igbvf_on_a_function_of_pollux(lab: Lab) -> None:
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
    require("driver_up" in [line["event"] for line in said()], str(said()))
    # After each reset igbvf requests the address that it has; Linux's igb refuses that, too.
    before = refusals()
    require(set(before) <= {"address_is_set"}, str(before))
    # An address that the function was given is the administrator's.
    refused = lab.guest.run("ip -n left link set port down\nip -n left link set port address 02:f0:00:00:00:08\nstatus=$?\n"
                            "exit $status", 20)
    require(refused.status != 0, "igbvf changed the address that it was given")
    after = refusals()
    deadline = time.monotonic() + 10  # the command looks ten times a second
    while len(after) <= len(before) and time.monotonic() < deadline:
        time.sleep(0.1)
        after = refusals()
    require(len(after) > len(before) and set(after) == {"address_is_set"}, f"{before}, then {after}")


on_this_card(Boot("a virtual function of a card that Pollux drives", _machine, "true"), "igbvf_on_a_function_of_pollux",
             "igbvf exchanges frames through a virtual function of a physical function that Pollux drives", igbvf_on_a_function_of_pollux)
