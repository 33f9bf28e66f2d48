# SPDX-License-Identifier: BSD-3-Clause
"""The commands that show, test and set a card, on QEMU's igb over VFIO. What that card lacks is refused by name."""

import json
import struct

from cases.boots import C, LAB
from pollux_lab.cases import Fixture, case, require, require_message

SECONDS = 30
QEMUS_PHY = 0x02A80391
SET_TIME = 1_500_000_000_000_000_000  # nanoseconds
# A recording's event (lib/device/record_format.hpp): kind 2 is a write; BAR 0, 4 bytes; then the offset of LEDCTL.
LEDCTL_WRITE = struct.pack("<BBBI", 2, 0, 4, 0x0E00)
BLINKS = 0x80808080


def told(fixture: Fixture, command: str, uri: str, *words: str) -> dict:
    """What `pollux COMMAND URI` prints as JSON."""
    return json.loads(fixture.guest.check(f"pollux {command} '{uri}' {' '.join(words)} --json", SECONDS))


@case(LAB)
def commands_test_and_show_a_card(fixture: Fixture) -> None:
    """The self-test with its five parts, the NVM and a copy of it, and the registers of the PHY."""
    fixture.bind(C)
    uri, mac = fixture.uri(C), fixture.macs[C]
    parts = told(fixture, "selftest", uri)["parts"]
    require(len(parts) == 5 and all(part["outcome"] == "passed" for part in parts), str(parts))

    nvm = told(fixture, "nvm", uri)
    require(nvm["words"] == 256 and nvm["checksum_holds"] and nvm["device_id"] == 0x10C9 and nvm["mac"] == mac, str(nvm))
    fixture.guest.check(f"pollux nvm {uri} --dump /tmp/nvm.bin", SECONDS)
    copy = fixture.guest.read("/tmp/nvm.bin")
    require(len(copy) == 512 and copy[:6] == bytes.fromhex(mac.replace(":", "")), f"{len(copy)} bytes, {copy[:16].hex()}")
    require(sum(struct.unpack("<64H", copy[:128])) & 0xFFFF == 0xBABA, "the checksum of the copy is wrong")
    refused = fixture.guest.run(f"pollux nvm {uri} --write 0x1f=1 --yes --save /tmp/before", SECONDS)
    require(refused.status == 1, "QEMU's NVM cannot be written")
    require_message(refused.err, "NVM", "hint")
    fixture.guest.check("rm -f /tmp/nvm.bin /tmp/before*")

    values = {entry["number"]: entry["value"] for entry in told(fixture, "phy", uri)["registers"]}
    require(values[2] << 16 | values[3] == QEMUS_PHY, f"the PHY's id is not {QEMUS_PHY:#x}: {values}")
    shown = {entry["name"]: entry["value"] for entry in told(fixture, "regs", uri, "STATUS", "RAL")["registers"]}
    require(struct.pack("<I", shown["RAL[0]"]) == copy[:4], f"RAL[0] is not the address {mac}: {shown}")


@case(LAB)
def commands_set_the_light_the_clock_and_the_link(fixture: Fixture) -> None:
    """A recording of the card's registers shows that the light blinks and is automatic again afterwards."""
    fixture.bind(C)
    uri = fixture.uri(C)
    fixture.guest.check(f"pollux led 'record:/tmp/led.rec,{uri}' --blink 0", SECONDS)
    recording = fixture.guest.read("/tmp/led.rec")
    fixture.guest.check("rm /tmp/led.rec")
    written = [struct.unpack_from("<I", part)[0] for part in recording.split(LEDCTL_WRITE)[1:]]
    require(len(written) >= 2 and written[-2] & ~written[-1] & BLINKS != 0, f"LEDCTL was written with {list(map(hex, written))}")

    clock = told(fixture, "time", uri, f"--set {SET_TIME} --adjust 1000000000 --frequency 1000")
    passed = clock["time_ns"] - SET_TIME
    require(1_000_000_000 <= passed < 60_000_000_000, f"{passed} ns after the time that was set")
    require(abs(clock["frequency_ppb"] - 1000) < 60, str(clock))

    link = told(fixture, "link", uri, "--advertise 100/full,1000/full")
    require(link["up"] and link["autonegotiated"] and link["advertised"] == ["100/full", "1000/full"], str(link))
    for words in ("--speed 100", "--down"):
        refused = fixture.guest.run(f"pollux link {uri} {words}", SECONDS)
        require(refused.status == 1, f"QEMU's card took {words}")
        require_message(refused.err, "autonegotiation alone", "leave the link to autonegotiation")
