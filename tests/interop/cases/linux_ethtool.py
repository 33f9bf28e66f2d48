# SPDX-License-Identifier: BSD-3-Clause
"""ethtool's questions to igb, and its self-test."""

import re

from pollux_lab.cases import require

from . import network
from .columns import Lab, on_every_card

TEST_LINE = re.compile(r"^(.+?)\s+\(.*\)\s+(\d+)$", re.MULTILINE)
# What each option must print, at least.
QUERIES = {
    "-d": ["CTRL", "STATUS", "RCTL", "TCTL"],
    "-e": ["Offset"],
    "-a": ["Autonegotiate:", "RX:", "TX:"],
    "-c": ["rx-usecs:", "tx-usecs:"],
    "-g": ["RX:\t\t4096", "TX:\t\t4096"],
    "-l": ["Combined:"],
    "-x": ["RX flow hash indirection table"],
    "-n": ["RX rings available"],
    "-T": ["hardware-transmit", "PTP Hardware Clock: "],
    "-P": ["Permanent address:"],
}


@on_every_card(short=True)
def ethtool_test_offline(lab: Lab) -> None:
    """`ethtool -t offline`: registers, EEPROM, interrupts, loopback, link."""
    lab.connect()
    outcome = lab.guest.run("ip netns exec left ethtool -t port offline", 60)
    parts = {name.strip(): int(value) for name, value in TEST_LINE.findall(outcome.out)}
    lab.facts["parts"] = parts
    require(len(parts) == 5, f"ethtool reports {len(parts)} parts:\n{outcome.out}{outcome.err}")
    failed = {name: value for name, value in parts.items() if value}
    require(not failed and outcome.status == 0, f"failed: {failed}; status {outcome.status}")
    # The test resets the card. It must work afterwards.
    lab.connect()
    network.ping(lab, 1400)


@on_every_card(short=True)
def ethtool_queries(lab: Lab) -> None:
    """`ethtool -d -e -a -c -g -l -x -n -T -P` print what they should; the EEPROM has the address and a valid checksum."""
    lab.connect()
    missing = []
    for option, due in QUERIES.items():
        outcome = lab.guest.run(f"ip netns exec left ethtool {option} port", 30)
        missing += [f"{option}: {words}" for words in due if words not in outcome.out]
        if outcome.status != 0:
            missing.append(f"{option}: status {outcome.status}: {outcome.err.strip()}")
    require(not missing, f"ethtool prints no: {'; '.join(missing)}")
    raw = lab.on("left", "sh -c 'ethtool -e port raw on length 128 | base64 -w 0'")
    _require_eeprom(lab, raw)


def _require_eeprom(lab: Lab, text: str) -> None:
    import base64
    data = base64.b64decode(text)
    words = [int.from_bytes(data[at:at + 2], "little") for at in range(0, 128, 2)]
    lab.facts["eeprom"] = [f"{word:04x}" for word in words]
    require(sum(words) & 0xFFFF == 0xBABA, f"the EEPROM's words add up to {sum(words) & 0xFFFF:#06x}, not 0xbaba")


@on_every_card(short=True)
def counters_add_up(lab: Lab) -> None:
    """`ethtool -S`: what one port sent the other received, in frames and bytes, and no error is counted."""
    lab.connect()
    before = {side: network.statistics(lab, side) for side in network.SIDES}
    network.copy(lab, "left", 4)
    # igb reads the card's counters every two seconds.
    lab.guest.check("sleep 3")
    after = {side: network.statistics(lab, side) for side in network.SIDES}
    grown = {side: {name: after[side][name] - before[side].get(name, 0) for name in after[side]} for side in network.SIDES}
    for there, here in (("left", "right"), ("right", "left")):
        for name in ("packets", "bytes"):
            sent, received = grown[there][f"tx_{name}"], grown[here][f"rx_{name}"]
            require(sent == received and sent > 0, f"{there} sent {sent} {name}, {here} received {received}")
    errors = {f"{side} {name}": value for side in network.SIDES for name, value in grown[side].items()
              if value and re.search(r"err|drop|fail|missed|timeout|hwtstamp", name)}
    lab.facts["errors"] = errors
    require(not errors, f"errors are counted: {errors}")


@on_every_card()
def settings(lab: Lab) -> None:
    """Ring sizes, moderation, channels and promiscuity are changed while traffic continues afterwards."""
    lab.connect()
    for options in ("-G port rx 80 tx 80", "-G port rx 4096 tx 4096", "-G port rx 256 tx 256", "-C port rx-usecs 0", "-C port rx-usecs 3",
                    "-L port combined 1", "-L port combined 2", "-r port"):
        lab.on("left", f"ethtool {options}")
        lab.guest.check(network.has_link("left"), 30)
        network.ping(lab, 1400, 5)
    for state in ("on", "off"):
        lab.guest.check(f"ip -n left link set port promisc {state}")
        network.ping(lab, 1400, 5)
    network.copy(lab, "left", 4)
