# SPDX-License-Identifier: BSD-3-Clause
"""l2fwd is replaced by its successor while frames pass: no card is reset, no link goes down, and no frame is lost."""

import contextlib
import threading

from cases.access_modes import in_every_access_mode
from cases.boots import A, B, LAB, TWO_LAYOUTS
from pollux_lab import frames, other_layout, traffic
from pollux_lab.cases import Fixture, case, require
from pollux_lab.programs import Forwarder, Summary

TIMES = 4
SOCKET = "/run/handover/socket"
# QEMU's names. Its igb reports the events of e1000e, whose code it shares.
RESETS = ("e1000e_core_ctrl_sw_reset", "e1000e_core_ctrl_phy_reset", "e1000e_cb_qdev_reset_hold")
LINKS = ("e1000e_link_status_changed",)


class Traffic(threading.Thread):
    """Frames with numbers from A to B, until `end`."""

    def __init__(self, fixture: Fixture):
        super().__init__()
        self._fixture, self._ended = fixture, threading.Event()
        self.result = traffic.TrafficResult()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            expect = frames.rewritten_by_l2fwd(self._fixture.macs[B], 1)
            while not self._ended.is_set():
                passed = traffic.send_through(self._fixture.near(A), self._fixture.near(B), frames.FrameMaker(), 1000, expect, window=64,
                                              stall_seconds=20)
                self.result.sent += passed.sent
                self.result.intact += passed.intact
                self.result.missing += passed.missing
                if passed.corrupt or passed.reordered or passed.unexpected:
                    raise AssertionError(f"not all frames passed intact: {passed}")
        except BaseException as failure:
            self.failure = failure

    def end(self) -> traffic.TrafficResult:
        self._ended.set()
        self.join()
        if self.failure:
            raise self.failure
        return self.result


def successor(fixture: Fixture, number: int, programs: tuple[str, ...]) -> Forwarder:
    return fixture.l2fwd(A, B, options=f"--mbufs 2048 --hand-over {SOCKET}", name=f"l2fwd{number}", program=programs[number % len(programs)])


@case(LAB)
def a_successor_takes_running_cards_on_the_distributions_kernel(fixture: Fixture) -> None:
    replace(fixture)


@in_every_access_mode()
def a_successor_takes_running_cards(fixture: Fixture) -> None:
    replace(fixture)


@case(LAB, "a hundred handovers, which take many minutes; a few show the same")
def a_hundred_successors_take_running_cards(fixture: Fixture) -> None:
    replace(fixture, 100)


@case(TWO_LAYOUTS, "it builds Pollux with other mbufs")
def successors_whose_mbufs_have_another_layout_take_running_cards(fixture: Fixture) -> None:
    replace(fixture, 10, ("l2fwd", other_layout.NAME))


def replace(fixture: Fixture, times: int = TIMES, programs: tuple[str, ...] = ("l2fwd",)) -> None:
    fixture.bind(A, B)
    fixture.guest.check("mkdir -p -m 0700 /run/handover")
    summaries: list[Summary] = []
    with contextlib.ExitStack() as started:
        with fixture.guest.traced(*RESETS) as resets:
            old = started.enter_context(successor(fixture, 0, programs))
        require(bool(resets), "QEMU reports no reset at a start, so it could report none at all")
        stream = Traffic(fixture)
        with fixture.guest.traced(*RESETS, *LINKS) as events:
            stream.start()
            started.callback(stream.end)
            for number in range(1, times + 1):
                new = started.enter_context(successor(fixture, number, programs))
                said = fixture.guest.check(f"cat /run/l2fwd{number}.err")
                require("stood still for" in said, f"the ports were not taken over:\n{said}")
                summaries.append(old.stop(""))
                old = new
            result = stream.end()
        summaries.append(old.stop())
    require(not events, "\n".join(["a card was reset, or its link went down:", *events[:10]]))
    for number, summary in enumerate(summaries):
        require(summary.conserved and not summary.dropped, f"program {number}: {summary}")
    received = sum(summary.received for summary in summaries)
    cards = [sum(summary.raw["cards"][0][counter] for summary in summaries) for counter in ("rx_packets", "rx_missed_errors")]
    require(result.sent == result.intact == received == cards[0] and cards[1] == 0,
            f"{result}; the programs received {received}, and their cards counted {cards}; {[summary.raw for summary in summaries]}")
