# SPDX-License-Identifier: BSD-3-Clause
"""ethtool's questions to igb, and its self-test."""

import base64
import contextlib
import re

from pollux_lab.cases import require

from . import network
from .columns import MODEL, Lab, on_every_card

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


@on_every_card(short=MODEL)
def ethtool_test_offline(lab: Lab) -> None:
    """`ethtool -t offline`: registers, EEPROM, interrupts, loopback, link."""
    lab.connect()
    outcome = lab.guest.run("ip netns exec left ethtool -t port offline", 60)
    parts = {name.strip(): int(value) for name, value in TEST_LINE.findall(outcome.out)}
    lab.facts["parts"] = parts
    require(len(parts) == 5, f"ethtool reports {len(parts)} parts:\n{outcome.out}{outcome.err}")
    failed = {name: value for name, value in parts.items() if value}
    require(not failed and outcome.status == 0, f"failed: {failed}; status {outcome.status}")
    # On some cards igb tests the link alone, and reports all else as passed.
    lab.facts["offline"] = offline = "offline testing starting" in lab.guest.check("dmesg | grep testing || true")
    require(offline, "igb has not tested offline")
    # The test resets the card. It must work afterwards.
    lab.connect()
    network.ping(lab, 1400)


@on_every_card(short=MODEL)
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
    data = base64.b64decode(text)
    words = [int.from_bytes(data[at:at + 2], "little") for at in range(0, 128, 2)]
    lab.facts["eeprom"] = [f"{word:04x}" for word in words]
    require(sum(words) & 0xFFFF == 0xBABA, f"the EEPROM's words add up to {sum(words) & 0xFFFF:#06x}, not 0xbaba")


@on_every_card(short=MODEL)
def frame_counters_add_up(lab: Lab) -> None:
    """`ethtool -S` after TCP with segmentation: each port counts the frames that the other one sent, and no error."""
    lab.connect()
    with network.small_window(lab, "right"), _growth(lab) as grown:
        network.copy(lab, "left", 4)
    _require_equal(grown, "packets")


@on_every_card(short=MODEL)
def byte_counters_add_up(lab: Lab) -> None:
    """`ethtool -S` after pings: each port counts the bytes that the other one sent, and no error."""
    lab.connect()
    with _growth(lab) as grown:
        # Slow frames: igb reads the two halves of a byte counter one after the other, and loses what arrives in between.
        network.ping(lab, 1400, 10)
    _require_equal(grown, "bytes")


@contextlib.contextmanager
def _growth(lab: Lab):
    """Yields what each side's counters grow by meanwhile, filled in at the end."""
    # igb reads the card's counters every two seconds.
    settle = "sleep 3"
    # Neither the other side's multicasts, which IPv6 sends when it likes, nor questions for a neighbour's address shall
    # make a difference.
    network.know_neighbours(lab)
    for side in network.SIDES:
        lab.guest.check(f"ip -n {side} link set dev port allmulticast on")
    lab.guest.check(settle)
    before = {side: network.statistics(lab, side) for side in network.SIDES}
    grown: dict[str, dict[str, int]] = {}
    yield grown
    lab.guest.check(settle)
    for side in network.SIDES:
        after = network.statistics(lab, side)
        grown[side] = {name: after[name] - before[side].get(name, 0) for name in after}
        lab.guest.check(f"ip -n {side} link set dev port allmulticast off")
    errors = {f"{side} {name}": value for side in network.SIDES for name, value in grown[side].items()
              if value and re.search(r"err|drop|fail|missed|timeout|hwtstamp", name)}
    lab.facts["errors"] = errors
    require(not errors, f"errors are counted: {errors}")


def _require_equal(grown: dict[str, dict[str, int]], name: str) -> None:
    for there, here in (("left", "right"), ("right", "left")):
        sent, received = grown[there][f"tx_{name}"], grown[here][f"rx_{name}"]
        require(sent == received and sent > 0, f"{there} sent {sent} {name}, {here} received {received}")


@on_every_card()
def settings(lab: Lab) -> None:
    """Ring sizes, moderation, channels and promiscuity are changed; traffic passes after each change."""
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


NO_PINS = "QEMU's card has no EEPROM at its pins: EECD.GNT never sets (differences.md, I-SPI)"


@on_every_card(short=MODEL, absent={"qemu10": NO_PINS, "qemu11": NO_PINS})
def eeprom_is_written(lab: Lab) -> None:
    """`ethtool -E` writes a word; it reads back, and the checksum stays valid"""
    lab.connect()
    # The value that ethtool wants as proof that the card is meant: device and vendor of an 82576.
    for offset, value in ((0x40, 0x5A), (0x41, 0xC3)):
        lab.on("left", f"ethtool -E port magic 0x10c98086 offset {offset} value {value}")
    raw = lab.on("left", "sh -c 'ethtool -e port raw on length 128 | base64 -w 0'")
    _require_eeprom(lab, raw)
    require(base64.b64decode(raw)[0x40:0x42] == bytes((0x5A, 0xC3)), "the EEPROM does not have the bytes that were written")


@on_every_card(short=MODEL)
def wake_on_lan_is_set(lab: Lab) -> None:
    """`ethtool -s wol` offers and sets magic packets, unicasts, multicasts, broadcasts and changes of the link"""
    lab.connect()
    require("Supports Wake-on: pumbg" in lab.on("left", "ethtool port"), "not every event is offered")
    lab.on("left", "ethtool -s port wol gu")
    require("\tWake-on: ug" in lab.on("left", "ethtool port"), "the events that were set are not reported")
