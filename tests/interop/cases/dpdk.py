# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's igb and virtio drivers on exported cards, driven by testpmd."""

import functools
import re

from pollux_lab.cases import Boot, require

from . import testpmd
from .columns import Lab, on_this_card

SECONDS = 8
# Of testpmd: tx_first sends one from each port.
BURST = 32


# What DPDK 22.11 takes of virtio beside what it is named for here: IN_ORDER, ORDER_PLATFORM, NOTIFICATION_DATA.
TAKEN = (35, 36, 38)
NEGOTIATED = re.compile("features after negotiate = ([0-9a-f]+)")


def _forward(lab: Lab, words: str = "") -> dict:
    """testpmd's counters after it has forwarded for a while. `words`: for DPDK's environment."""
    output = testpmd.run(lab, f"""
    {testpmd.say('set fwd io', 'start tx_first')}
    sleep {SECONDS}
    {testpmd.say('stop', 'show port stats all')}""", words)
    lab.facts["features"] = NEGOTIATED.findall(output)
    lab.facts["ports"] = ports = testpmd.counters(output)
    for counts in ports.values():
        require(counts["received"] > 1000 and counts["sent"] > 1000, f"testpmd forwarded too few frames: {ports}")
        require(not (counts["missed"] or counts["rx errors"] or counts["tx errors"]), f"testpmd counts errors: {ports}")
    return ports


def forwards(lab: Lab) -> None:
    ports = _forward(lab)
    for port in (0, 1):
        require(ports[port]["received"] == ports[1 - port]["sent"], f"frames are missing: {ports}")


def virtio_forwards(lab: Lab) -> None:
    """The driver counts what it has taken from its rings. The frames that go round are in rings when it stops: a burst of each port.
    It uses what it has taken of the device's features, such as doorbells of 32 bits."""
    ports = _forward(lab, "--log-level=pmd.net.virtio.init:debug")
    negotiated = [int(bits, 16) for bits in lab.facts["features"]]
    require(negotiated and all(bits >> bit & 1 for bits in negotiated for bit in TAKEN), f"testpmd has not taken {TAKEN}: {lab.facts['features']}")
    missing = sum(counts["sent"] - counts["received"] for counts in ports.values())
    require(missing == len(ports) * BURST, f"{missing} frames are missing: {ports}")


def link_events(lab: Lab) -> None:
    """Each port's link goes down and up with the other one's PHY; the driver learns it from the card's interrupt alone."""
    output = testpmd.run(lab, """
    event() { [ "$(grep -c "Port $1: link state change event" /run/testpmd.out)" -gt "$2" ]; }
    events() { grep -c "Port $1: link state change event" /run/testpmd.out; }
    await 20 event 0 0 || fail port 0 has no link
    await 20 event 1 0 || fail port 1 has no link
    sleep 2
    down=$(events 0); say 'set link-down port 1'; await 20 event 0 $down || fail port 0 did not lose its link
    say 'show port info 0'
    sleep 1
    up=$(events 0); say 'set link-up port 1'; await 20 event 0 $up || fail port 0 got no link again
    say 'show port info 0'
    """, link_events=True)
    states = [line.split(": ")[1].strip() for line in output.splitlines() if line.startswith("Link status: ")]
    require(states == ["down", "up"], f"port 0 reports {states}")


_BOOT = Boot("two in-process cards on the tests' kernel, without an IOMMU", functools.partial(testpmd.machine, "dpdk"), "modprobe vfio-pci", kernel="own")
on_this_card(_BOOT, "testpmd_forwards", "DPDK's testpmd forwards between two cards", forwards)
on_this_card(_BOOT, "testpmd_link_events", "DPDK's driver learns of link changes by interrupts", link_events)

for _ring, _options in (("packed", ""), ("split", "+no-ring-packed")):
    _virtio = functools.partial(testpmd.machine, f"dpdk-virtio-{_ring}", None, "--card", "virtio-net" + _options)
    _WITH = f"two virtio-net devices with {_ring} rings"
    on_this_card(Boot(f"{_WITH} on the tests' kernel, without an IOMMU", _virtio, "modprobe vfio-pci", kernel="own"),
                 f"virtio_testpmd_forwards_{_ring}", f"DPDK's testpmd forwards between {_WITH}", virtio_forwards)
