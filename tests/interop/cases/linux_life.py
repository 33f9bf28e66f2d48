# SPDX-License-Identifier: BSD-3-Clause
"""igb goes up and down, is removed and loaded again, and works for a long time."""

from pollux_lab.cases import require

from . import network
from .columns import MODEL, Lab, on_every_card

LOAD_SECONDS = 150


def _up_and_down(lab: Lab, times: int) -> None:
    lab.connect()
    for _ in range(times):
        lab.guest.check(f"ip -n left link set port down\nip -n left link set port up\n{network.has_link('left')}", 60)
    lab.connect()
    network.ping(lab, 1400)
    lab.facts["times"] = times


@on_every_card(short=MODEL)
def up_and_down(lab: Lab) -> None:
    """Twice down and up; the link returns, and pings are answered."""
    _up_and_down(lab, 2)


@on_every_card()
def up_and_down_50_times(lab: Lab) -> None:
    """50 times down and up."""
    _up_and_down(lab, 50)


@on_every_card(short=MODEL)
def removed_and_loaded_again(lab: Lab) -> None:
    """The module igb is removed and loaded again; TCP works afterwards."""
    lab.connect()
    lab.guest.check("rmmod igb && modprobe igb", 60)
    lab.connect()
    network.ping(lab, 1400)
    network.copy(lab, "left", 4)


@on_every_card()
def quiet_under_load(lab: Lab) -> None:
    """Minutes of TCP in both directions: igb's watchdog stays quiet and no frame is wrong."""
    lab.connect()
    end = network.iperf(lab, f"-t {LOAD_SECONDS} --bidir -b 50M", seconds=LOAD_SECONDS + 60)
    lab.facts["gigabytes"] = round(end["sum_received"]["bytes"] / 1e9, 2)
    require(end["sum_received"]["bytes"] > LOAD_SECONDS * 2e6, f"only {end['sum_received']['bytes']} bytes arrived")
    # Hangs, resets and time-outs would be in the kernel's log, which is checked after every case.
