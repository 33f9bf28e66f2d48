# SPDX-License-Identifier: BSD-3-Clause
"""Linux's clocks of the cards (igb_ptp.c), synchronised by ptp4l with the cards' time stamps."""

import re
import statistics

from pollux_lab.cases import require

from . import network
from .columns import Lab, on_every_card

# Offsets in nanoseconds while the slave is locked, as ptp4l prints them: "master offset -3 s2 freq ...".
LOCKED_OFFSET = re.compile(r"master offset\s+(-?\d+) s2 ")
OFFSETS = 10
MAX_MEDIAN = 100_000


@on_every_card()
def clocks_by_time_stamps(lab: Lab) -> None:
    """`ptp4l` over Ethernet with the cards' time stamps: the clock of one port follows the other's."""
    lab.connect()
    for side, role in zip(network.SIDES, ("", "-s")):
        lab.guest.check(f"spawn ptp-{side} ip netns exec {side} ptp4l -2 -H -i port -m -q {role} --tx_timestamp_timeout 200 "
                        f"--uds_address /tmp/ptp-{side}")
    lab.guest.check(f"""
    locked() {{ test "$(grep -c ' s2 ' /run/ptp-right.out)" -ge {OFFSETS}; }}
    await 25 locked || true
    """, 120)
    for side in network.SIDES:
        lab.guest.check(f"interrupt ptp-{side}; finish ptp-{side} 10 >/dev/null || true")
    said = lab.guest.check("cat /run/ptp-left.out /run/ptp-left.err /run/ptp-right.err /run/ptp-right.out")
    offsets = [abs(int(offset)) for offset in LOCKED_OFFSET.findall(said)]
    require(len(offsets) >= OFFSETS, f"ptp4l is not synchronised:\n{said[-2000:]}")
    median = statistics.median(offsets)
    lab.facts["median_offset_ns"] = median
    require(median < MAX_MEDIAN, f"the clocks differ by {median} ns")
