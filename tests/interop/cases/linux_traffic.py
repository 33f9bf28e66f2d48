# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igb carries traffic, with its default features."""

import base64

from pollux_lab.cases import require

from . import network
from .columns import ALL, MODEL, Lab, on_every_card

MEBIBYTES = 16
TAGGED = {"left": "10.42.0.1", "right": "10.42.0.2"}
# Features that igb enables by default, and that its card must therefore do right.
OFFLOADS = ["rx-checksumming", "tx-checksumming", "scatter-gather", "tcp-segmentation-offload", "rx-vlan-offload", "tx-vlan-offload",
            "tx-udp-segmentation"]


def require_offloads(lab: Lab, *names: str) -> None:
    for side in network.SIDES:
        features = network.features(lab, side)
        missing = [name for name in names if not features.get(name)]
        require(not missing, f"{side}: these features are off: {', '.join(missing)}")


def _require_address_of_the_eeprom(lab: Lab, side: str) -> None:
    used = bytes.fromhex(lab.on(side, "cat /sys/class/net/port/address").strip().replace(":", ""))
    stored = base64.b64decode(lab.on(side, "sh -c 'ethtool -e port raw on length 6 | base64'"))
    # The second port of a package inverts the last bit.
    require(used in (stored, stored[:5] + bytes([stored[5] ^ 1])), f"{side} has the address {used.hex(':')}; its EEPROM has {stored.hex(':')}")


@on_every_card(short=ALL)
def loads_and_links(lab: Lab) -> None:
    """igb loads, has the card's address, and reports a link of 1000 Mb/s, full duplex."""
    for address in lab.addresses:
        require(lab.guest.check(f"driver_of {address}").strip() == "igb", f"{address} has no driver igb")
    lab.connect()
    for side in network.SIDES:
        _require_address_of_the_eeprom(lab, side)
        text = lab.on(side, "ethtool port")
        for words in ("Speed: 1000Mb/s", "Duplex: Full", "Auto-negotiation: on", "Link detected: yes"):
            require(words in text, f"{side}: ethtool does not say '{words}':\n{text}")
    lab.facts["driver"] = lab.on("left", "ethtool -i port").splitlines()


@on_every_card(short=MODEL)
def pings(lab: Lab) -> None:
    """Pings of 0 to 30,000 bytes, IPv4 and IPv6, all answered."""
    lab.connect()
    with lab.captured() as capture:
        for size in (0, 1, 56, 1472, 30000):
            network.ping(lab, size)
        network.ping(lab, 1400, address=network.ADDRESS6["right"])
    capture.check().require_correct(200)


@on_every_card()
def jumbo_frames(lab: Lab) -> None:
    """MTU 9000: pings and TCP."""
    lab.connect()
    for side in network.SIDES:
        lab.guest.check(f"ip -n {side} link set port mtu 9000\n{network.has_link(side)}", 40)
    with lab.captured() as capture:
        network.ping(lab, 8972)
        network.copy(lab, "left", MEBIBYTES)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(1000, longest=9014)
    require(checked.longest > 8000, f"the longest frame has {checked.longest} bytes")


@on_every_card(short=MODEL)
def tcp_with_offloads(lab: Lab) -> None:
    """TCP in both directions with checksums, segmentation and scatter by the card; every frame on the wire is correct."""
    lab.connect()
    require_offloads(lab, *OFFLOADS[:4])
    with lab.captured() as capture:
        network.copy(lab, "left", MEBIBYTES)
        network.copy(lab, "right", MEBIBYTES)
        lab.facts["iperf3"] = network.flood(lab, "", MEBIBYTES)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(20000)


@on_every_card()
def tcp_over_ipv6(lab: Lab) -> None:
    """The same over IPv6."""
    lab.connect()
    with lab.captured() as capture:
        network.copy(lab, "left", MEBIBYTES, network.ADDRESS6)
    capture.check().require_correct(10000)


@on_every_card()
def tcp_without_offloads(lab: Lab) -> None:
    """TCP with the features off."""
    lab.connect()
    for side in network.SIDES:
        lab.on(side, "ethtool -K port tx off rx off tso off gso off gro off rxvlan off txvlan off sg off")
    try:
        with lab.captured() as capture:
            network.copy(lab, "left", MEBIBYTES)
        capture.check().require_correct(10000)
    finally:
        for side in network.SIDES:
            lab.on(side, "ethtool -K port tx on rx on tso on gso on gro on rxvlan on txvlan on sg on")


@on_every_card(short=MODEL)
def vlan_tags_by_the_card(lab: Lab) -> None:
    """A VLAN interface: the card inserts and strips the tags, with checksums and segmentation."""
    lab.connect()
    require_offloads(lab, "rx-vlan-offload", "tx-vlan-offload")
    for side in network.SIDES:
        lab.guest.check(f"""ip -n {side} link add link port name tagged type vlan id 42
                            ip -n {side} addr add {TAGGED[side]}/24 dev tagged
                            ip -n {side} link set tagged up""")
    try:
        with lab.captured() as capture:
            network.ping(lab, 1472, address=TAGGED["right"])
            network.copy(lab, "left", MEBIBYTES, TAGGED)
        checked = capture.check()
        lab.facts["wire"] = checked.as_facts()
        checked.require_correct(10000)
        require(checked.tags.get("42", 0) > 10000, f"frames with tag 42 on the wire: {checked.tags}")
    finally:
        for side in network.SIDES:
            lab.guest.run(f"ip -n {side} link del tagged")


@on_every_card()
def udp_with_checksums(lab: Lab) -> None:
    """UDP in both directions with checksums by the card."""
    lab.connect()
    with lab.captured() as capture:
        for direction in ("", "-R"):
            end = network.iperf(lab, f"-u -b 20M -l 1400 -t 2 {direction}")["sum"]
            require(end["packets"] > 1000 and end["lost_percent"] < 5, f"UDP: {end}")
    checked = capture.check()
    require(checked.good.get("udp", 0) > 2000, f"UDP checksums on the wire: {checked.good}")
    checked.require_correct(2000)


@on_every_card()
def several_queues_by_rss(lab: Lab) -> None:
    """Eight TCP streams use several receive and transmit queues."""
    lab.connect()
    before = network.statistics(lab, "right")
    lab.facts |= network.flood(lab, "-P 8", 4 * MEBIBYTES)
    after = network.statistics(lab, "right")
    for direction in ("rx", "tx"):
        used = [name for name in after if name.startswith(f"{direction}_queue_") and name.endswith("_packets")
                and after[name] - before.get(name, 0) > 100]
        lab.facts[f"{direction} queues"] = len(used)
        require(len(used) >= 2, f"{direction} used {len(used)} queues")
