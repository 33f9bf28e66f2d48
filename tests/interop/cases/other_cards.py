# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igb and DPDK's on the in-process I350, I210 and I211: the cases in which these cards differ from an 82576."""

import functools
import inspect

from pollux_lab import cases
from pollux_lab.cases import Boot, require
from pollux_lab.machine import Machine

from . import columns, dpdk, dpdk_offloads, dpdk_rules, linux_ethtool, linux_functions, linux_time, linux_traffic, network, pollux_functions, testpmd
from .columns import LONG, Column, Lab, Row

LOAD = "modprobe -a igb 8021q"
CARDS = {"i350": "I350", "i210": "I210", "i211": "I211", "flashless": "I210 without a flash"}
MODELS = {"flashless": "i210-flashless"}
# Of the kernel: nobody else sends it.
LOCAL_TYPE = 0x0806
ASKED = 20


def model(key: str) -> str:
    return MODELS.get(key, key)


def _boot(key: str, name: str) -> Boot:
    return Boot(f"two in-process {name}s in the newer QEMU, two processors",
                lambda: columns.two_exported_cards(key, "--card", model(key)), LOAD)


COLUMNS = {key: Column(key, f"our model of an {name}", _boot(key, name)) for key, name in CARDS.items()}


def on_cards(*keys: str, short: tuple[str, ...] = ()):
    """Declares a case for these cards. On those of `short` it is part of the short run."""
    def register(function):
        title = inspect.getdoc(function).splitlines()[0]
        for key in keys:
            declare(COLUMNS[key], function.__name__, title, function, "" if key in short else LONG)
        return function
    return register


def declare(column: Column, name: str, title: str, function, long: str = LONG, quiet: bool = True) -> None:
    cases.REGISTRY.append(cases.Case(f"interop.{name}.{column.key}", column.boot,
                                     functools.partial(columns._run, function, Row(name, title, {}), column, quiet=quiet), long))


# Of an I350 igb tests the link alone: its media might be switched (e1000_82575.c, igb_init_mac_params_82575, mas_capable).
on_cards("i210", "i211", "flashless", short=("i210",))(linux_ethtool.ethtool_test_offline)
# An I211, and an I210 without a flash, have no words that ethtool could read.
on_cards("i350", "i210", short=("i350",))(linux_ethtool.ethtool_queries)
on_cards("i350", "i210")(linux_time.clocks_by_time_stamps)
# E-VFTA: Linux writes each word of an I350's table ten times.
on_cards("i350", "i210")(linux_traffic.vlan_tags_by_the_card)
on_cards("i350", "i210")(linux_traffic.several_queues_by_rss)
on_cards("i350", "i210")(linux_ethtool.byte_counters_add_up)


@on_cards(*CARDS)
def pings_and_tcp(lab: Lab) -> None:
    """igb probes the card under its name; pings and TCP pass, and every frame on the wire is correct."""
    lab.connect()
    lab.facts["driver"] = lab.on("left", "ethtool -i port").splitlines()
    with lab.captured() as capture:
        network.ping(lab, 1472)
        network.copy(lab, "left", 4)
    capture.check().require_correct(2000)


@on_cards("i350", "i210")
def queue_by_ether_type(lab: Lab) -> None:
    """`ethtool -N`: frames of an EtherType go to the queue of a filter (ETQF), and elsewhere once it is deleted."""
    lab.connect()
    lab.on("right", "ethtool -K port ntuple on")
    lab.on("right", f"ethtool -N port flow-type ether proto {LOCAL_TYPE:#x} action 1 loc 0")
    require("Action: Direct to queue 1" in lab.on("right", "ethtool -n port"), "ethtool does not list the filter")
    try:
        lab.facts["with the filter"] = found = _asked(lab)
        require(found.get("1", 0) >= ASKED, f"frames by queue: {found}")
    finally:
        lab.on("right", "ethtool -N port delete 0")
    lab.facts["without"] = found = _asked(lab)
    require(found.get("1", 0) < ASKED, f"frames by queue: {found}")


def _asked(lab: Lab) -> dict[str, int]:
    """What each of the right port's queues receives of ARP requests."""
    before = network.statistics(lab, "right")
    lab.on("left", f"arping -c {ASKED} -w {ASKED + 10} -I port {network.ADDRESS['right']} || true", ASKED + 20)
    lab.guest.check("sleep 3")
    after = network.statistics(lab, "right")
    return {name.split("_")[2]: after[name] - before[name] for name in after if name.startswith("rx_queue_") and name.endswith("_packets")}


@on_cards("i350", "i210", "i211")
def energy_efficient_ethernet(lab: Lab) -> None:
    """`ethtool --show-eee` and `--set-eee`: both ports negotiate it, and neither uses it once one of them does not."""
    lab.connect()
    for side in network.SIDES:
        _require_eee(lab, side, "enabled - active", "1000baseT/Full")
    lab.on("right", "ethtool --set-eee port eee off")
    # igb resets the card, and starts the negotiation before it writes what EEE shall be. On a slow guest the first one may end before that.
    lab.guest.check(network.has_link("right"), 30)
    lab.on("left", "ethtool -r port")
    lab.guest.check(network.has_link("left") + network.has_link("right"), 60)
    _require_eee(lab, "right", "disabled", "1000baseT/Full")
    _require_eee(lab, "left", "enabled - inactive", "Not reported")


def _require_eee(lab: Lab, side: str, state: str, partner: str) -> None:
    text = lab.on(side, "ethtool --show-eee port")
    lab.facts[f"{side}: {state}"] = text.splitlines()
    require(f"EEE status: {state}" in text, f"{side}: not '{state}':\n{text}")
    require(partner in text.partition("Link partner advertised EEE link modes:")[2], f"{side}: its partner does not have '{partner}':\n{text}")


@on_cards("i350")
def temperature_by_hwmon(lab: Lab) -> None:
    """igb's hwmon reads the thermal sensor (THMJT) of the card's first function, and its thresholds."""
    lab.connect()
    text = lab.guest.check("""
    for address in ADDRESSES; do
      for file in /sys/bus/pci/devices/$address/hwmon/hwmon*/temp1_input /sys/bus/pci/devices/$address/hwmon/hwmon*/temp1_max; do
        [ -e $file ] && echo "$address $(basename $file) $(cat $file)"
      done
    done; true""".replace("ADDRESSES", " ".join(lab.addresses)))
    lab.facts["hwmon"] = text.splitlines()
    require(f"{lab.addresses[0]} temp1_input 45000" in text, f"hwmon says:\n{text}")
    require(lab.addresses[1] not in text, f"the second function has a sensor:\n{text}")


def _functions() -> Machine:
    return linux_functions.functions_machine("functions350", "--card", "i350", count=linux_functions.MOST_FUNCTIONS)


declare(Column("i350", "our model of an I350", Boot("an in-process I350 and one of its seven virtual functions", _functions, "true")),
        "igb_and_igbvf", "Linux's igb and igbvf on an I350 with seven virtual functions, and on one of them", linux_functions.igb_and_igbvf)
declare(Column("i350", "our model of an I350", pollux_functions.boot("served350", "I350")), pollux_functions.NAME, pollux_functions.TITLE,
        functools.partial(pollux_functions.igbvf_on_a_function_of_pollux, "served350"), quiet=False)
declare(Column("i350", "our model of an I350", pollux_functions.ON_IGB), "pollux_on_a_function_of_igb",
        "Pollux's igbvf exchanges frames through a virtual function of an I350 that Linux's igb drives",
        pollux_functions.pollux_on_a_function_of_igb, quiet=False)


def _dpdk(key: str, what: str, payload=None) -> Column:
    return Column(key, f"our model of an {CARDS[key]}",
                  Boot(f"two in-process {CARDS[key]}s on the tests' kernel, {what}",
                       functools.partial(testpmd.machine, f"dpdk-{what.split()[-1]}-{key}", payload, "--card", model(key)),
                       "modprobe vfio-pci", kernel="own"))


for _key in CARDS:
    declare(_dpdk(_key, "without an IOMMU"), "testpmd_forwards", f"DPDK's testpmd forwards between two {CARDS[_key]}s", dpdk.forwards, quiet=False)
for _key in ("i350", "i210"):
    declare(_dpdk(_key, "and frames in files", dpdk_offloads.files), "testpmd_tags_and_queues",
            f"DPDK's driver has an {CARDS[_key]} insert and strip tags, and select queues by hash", dpdk_offloads.tags_and_queues, quiet=False)
    declare(_dpdk(_key, "and frames for rules", dpdk_rules.files), "testpmd_flow_rules",
            f"DPDK's driver has an {CARDS[_key]} select queues by flow rules", functools.partial(dpdk_rules.flow_rules, two_tuples=True),
            quiet=False)
