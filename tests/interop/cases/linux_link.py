# SPDX-License-Identifier: BSD-3-Clause
"""igb and the link: speeds, flow control, a partner that does not negotiate, and a wire that is cut."""

import contextlib

from pollux_lab.cases import require

from . import network
from .columns import MODEL, Lab, on_every_card

NEGOTIATES = "autoneg on"


@contextlib.contextmanager
def _set(lab: Lab, **settings: str):
    """`ethtool -s` for some sides; afterwards both negotiate again."""
    lab.connect()
    try:
        for side, words in settings.items():
            lab.on(side, f"ethtool -s port {words}")
        # The links go before they return.
        lab.guest.check("sleep 2\n" + "".join(network.has_link(side) for side in network.SIDES), 60)
        yield
    finally:
        for side in settings:
            lab.on(side, f"ethtool -s port {NEGOTIATES} advertise 0x2f")
        lab.guest.run("sleep 2", 10)
        lab.connect()


def _speed(lab: Lab, side: str) -> str:
    found = dict(line.strip().split(": ", 1) for line in lab.on(side, "ethtool port").splitlines() if ": " in line)
    return f"{found['Speed']} {found['Duplex']}"


def _require_speeds(lab: Lab, **expected: str) -> None:
    speeds = {side: _speed(lab, side) for side in expected}
    lab.facts["speeds"] = speeds
    require(speeds == expected, f"speeds: {speeds}; expected: {expected}")


@on_every_card()
def both_forced_to_100_half(lab: Lab) -> None:
    """Both ports are forced to 100 Mb/s, half duplex; pings are answered."""
    forced = "autoneg off speed 100 duplex half"
    with _set(lab, left=forced, right=forced):
        _require_speeds(lab, left="100Mb/s Half", right="100Mb/s Half")
        network.ping(lab, 1400)


@on_every_card()
def a_partner_that_does_not_negotiate(lab: Lab) -> None:
    """One port is forced to 100 Mb/s, half duplex; the other one follows by parallel detection."""
    with _set(lab, right="autoneg off speed 100 duplex half"):
        _require_speeds(lab, left="100Mb/s Half", right="100Mb/s Half")
        network.ping(lab, 1400)


@on_every_card()
def advertises_10_full_only(lab: Lab) -> None:
    """One port advertises only 10 Mb/s, full duplex; both negotiate that."""
    with _set(lab, left="advertise 0x002"):
        _require_speeds(lab, left="10Mb/s Full", right="10Mb/s Full")
        network.ping(lab, 1400)


@on_every_card()
def pause(lab: Lab) -> None:
    """Flow control is set by `ethtool -A`, and reported as set."""
    lab.connect()
    for receive, transmit in (("on", "on"), ("off", "off"), ("off", "on"), ("on", "off")):
        lab.on("left", f"ethtool -A port autoneg off rx {receive} tx {transmit} || true")
        lab.guest.check("sleep 1\n" + network.has_link("left"), 40)
        text = lab.on("left", "ethtool -a port")
        seen = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
        require((seen["RX"], seen["TX"]) == (receive, transmit), f"set rx {receive} tx {transmit}: {text}")
        network.ping(lab, 1400, 5)
    lab.on("left", "ethtool -A port autoneg on")
    lab.connect()


@on_every_card(short=MODEL)
def carrier_loss(lab: Lab) -> None:
    """The wire is disconnected and connected three times: igb notices, and pings are answered afterwards."""
    lab.connect()
    for _ in range(3):
        lab.cut_wire(True)
        try:
            lab.guest.check("await 10 ip netns exec left grep -q 0 /sys/class/net/port/carrier || fail left still has a link", 20)
        finally:
            lab.cut_wire(False)
        lab.guest.check(network.has_link("left") + network.has_link("right"), 60)
    lab.connect()
    network.ping(lab, 1400)
