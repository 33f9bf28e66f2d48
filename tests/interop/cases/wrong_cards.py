# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igb is a judge of the in-process I350 and I210 only if it notices cards that are wrong. Each case has two cards that are wrong
in one way (wrong_card.cpp), and runs a case that passes on right ones: it has to fail, for the reason that is named."""

import dataclasses
import functools
import re

from pollux_lab.cases import Boot, require
from pollux_lab.errors import LabError, QemuCrashed
from pollux_lab.machine import Machine, Port, VfioUser
from pollux_lab.programs import built_programs
from pollux_lab.server import Server

from . import columns, linux_ethtool, linux_time, linux_traffic, network, other_cards
from .columns import Column, Lab


@dataclasses.dataclass(frozen=True)
class Wrong:
    """`case` has to fail with `seen` in its message. `logged` is in the kernel's log."""
    way: str
    case: object
    seen: str
    logged: str = ""


NOT_PROBED = "the driver made no interface"


def is_probed(lab: Lab) -> None:
    lab.guest.check("".join(f"await 5 has_netdev {address} || fail {NOT_PROBED} for {address}\n" for address in lab.addresses), 40)


WRONG = [
    Wrong("phy-id", is_probed, NOT_PROBED, "failed with error -2"),
    Wrong("mdic", is_probed, NOT_PROBED, "failed with error -2"),
    Wrong("section-checksum", is_probed, NOT_PROBED, "The NVM Checksum Is Not Valid"),
    Wrong("ring-length", linux_ethtool.ethtool_test_offline, "'Register test': 10248"),  # RDLEN(0)
    Wrong("addresses", linux_ethtool.ethtool_test_offline, "'Register test'"),
    Wrong("queue-registers", linux_ethtool.ethtool_test_offline, "'Register test': 10752"),  # RDBAL(2)
    Wrong("causes", linux_ethtool.ethtool_test_offline, "'Interrupt test'"),
    Wrong("vlan-writes", linux_traffic.vlan_tags_by_the_card, "packet loss"),
    Wrong("redirection", linux_traffic.several_queues_by_rss, "rx used 1 queues"),
    Wrong("octets", linux_ethtool.byte_counters_add_up, "sent .* bytes, .* received"),
    Wrong("ether-type", other_cards.queue_by_ether_type, "frames by queue"),
    Wrong("stamp-cause", linux_time.clocks_by_time_stamps, "ptp4l is not synchronised"),
    Wrong("negotiated-eee", other_cards.energy_efficient_ethernet, "not 'enabled - active'"),
    Wrong("temperature", other_cards.temperature_by_hwmon, "hwmon says"),
]


def _machine(way: str) -> Machine:
    sockets = [columns.FOLDER.path / f"wrong-{way}.{side}" for side in network.SIDES]
    capture = columns.FOLDER.path / f"wrong-{way}.pcap"
    words = [built_programs(columns.BUILD[0], ["wrong_card"])[0], way, capture, *sockets]
    server = Server(list(map(str, words)), columns.FOLDER.path / f"wrong-{way}.log", ready=f"{sockets[-1]}: card")
    return Machine([Port(VfioUser(socket), dump=capture) for socket in sockets], cpus=2, huge_pages=0, iommu=False,
                   emulator=columns.newer_qemu(), servers=[server])


def _notices(wrong: Wrong, lab: Lab) -> None:
    try:
        wrong.case(lab)
    except QemuCrashed:
        raise
    except (AssertionError, LabError) as failure:
        noticed = str(failure)
    else:
        raise AssertionError(f"{wrong.case.__name__} passes on a card that is wrong in '{wrong.way}'")
    # Reads and clears the log: igb's messages about the card are no errors of the kernel.
    log = lab.guest.check("dmesg -c")
    lab.facts["noticed"] = noticed.splitlines()[:3]
    require(re.search(wrong.seen, noticed), f"it fails, but not with '{wrong.seen}': {noticed}")
    require(wrong.logged in log, f"the kernel's log has no '{wrong.logged}':\n{log[-2000:]}")


for _wrong in WRONG:
    _column = Column("wrong", "our model, wrong in one way",
                     Boot(f"two cards that are wrong in '{_wrong.way}'", functools.partial(_machine, _wrong.way), other_cards.LOAD))
    other_cards.declare(_column, f"igb_notices_{_wrong.way.replace('-', '_')}", f"Linux's igb notices a card that is wrong in '{_wrong.way}'",
                        functools.partial(_notices, _wrong), quiet=False)
