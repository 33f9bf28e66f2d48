# SPDX-License-Identifier: BSD-3-Clause
"""Linux's virtio_net on the exported virtio-net device: each case is a row of docs/virtio/device.md."""

import functools
import re

from pollux_lab import cases
from pollux_lab.cases import Boot, Fixture, require

from . import network
from .columns import LONG, Column, Lab, two_exported_cards

MEBIBYTES = 16
COMPLAINTS = re.compile(r"virtio.*(fail|error|timed out|broken|id \d+ out of range|is not a head)|NETDEV WATCHDOG", re.IGNORECASE)


def _boot(key: str, options: str = "") -> Boot:
    return Boot(f"two exported virtio-net devices{' with ' if options else ''}{options.replace('+', ' ').strip()}",
                lambda: two_exported_cards(key, "--card", "virtio-net" + options), "modprobe -a virtio_net 8021q")


# What Linux takes: packed rings if they are offered, and all that it knows. Each boot leaves a part of that out.
BOOTS = {
    "packed": _boot("virtio-packed"),
    "split": _boot("virtio-split", "+no-ring-packed"),
    "plain": _boot("virtio-plain", "+no-ring-packed+no-mrg-rxbuf+no-event-idx+no-indirect-desc+no-in-order+pairs=1+no-guest-tso4+no-guest-tso6"),
}


def on_virtio(short: tuple[str, ...] = (), boots: tuple[str, ...] = tuple(BOOTS)):
    def register(function):
        for key in boots:
            column = Column("virtio", key, BOOTS[key])
            run = functools.partial(_run, function, column)
            cases.REGISTRY.append(cases.Case(f"interop.virtio.{function.__name__}.{key}", BOOTS[key], run, "" if key in short else LONG))
        return function
    return register


def _run(function, column: Column, fixture: Fixture) -> None:
    lab = Lab(fixture, column)
    function(lab)
    said = [line for line in lab.guest.check("dmesg").splitlines() if COMPLAINTS.search(line)]
    require(not said, "the driver complains:\n" + "\n".join(said[:10]))


@on_virtio(short=("packed", "split", "plain"))
def loads_and_pings(lab: Lab) -> None:
    """virtio_net loads, reports the device's link, and pings of 0 to 30,000 bytes are answered."""
    for address in lab.addresses:
        require(lab.guest.check(f"driver_of {address}").strip() == "virtio-pci", f"{address} has no driver virtio-pci")
    lab.connect()
    lab.facts["features"] = lab.on("left", "cat /sys/class/net/port/device/features").strip()
    require("Speed: 1000Mb/s" in lab.on("left", "ethtool port"), "ethtool does not show the device's speed")
    with lab.captured() as capture:
        for size in (0, 1, 56, 1472, 30000):
            network.ping(lab, size)
        network.ping(lab, 1400, address=network.ADDRESS6["right"])
    capture.check().require_correct(200)


@on_virtio(short=("packed", "split", "plain"))
def tcp_with_offloads(lab: Lab) -> None:
    """TCP in both directions with the driver's default features; every frame on the wire is correct."""
    lab.connect()
    with lab.captured() as capture:
        network.copy(lab, "left", MEBIBYTES)
        network.copy(lab, "right", MEBIBYTES)
        lab.facts["iperf3"] = network.flood(lab, "", MEBIBYTES)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(20000)
