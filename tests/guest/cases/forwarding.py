# SPDX-License-Identifier: BSD-3-Clause
"""l2fwd forwards frames that come from outside the guest. Every byte is known, and every frame is checked."""

from cases.boots import A, B, LAB
from pollux_lab import frames, traffic
from pollux_lab.cases import Fixture, case, require

COUNT = 3000
JUMBO_SIZES = [60, 1514, 1515, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 9000, 9014, 9499, 9514]


def pass_frames(fixture: Fixture, into: int, out_of: int, expect, count: int = COUNT, sizes: list[int] | None = None,
                window: int = traffic.WINDOW) -> int:
    result = traffic.send_through(fixture.near(into), fixture.near(out_of), frames.FrameMaker(sizes), count, expect,
                                   window=window)
    require(result.clean and result.sent == count, f"not all of {count} frames passed intact: {result}")
    require(result.by_scapy > 0, "scapy checked none of the frames")
    return result.intact


def require_counts(summary, passed: int) -> None:
    require(summary.conserved, f"the counts do not add up: {summary}")
    require(summary.received == passed and summary.sent == passed and not summary.dropped,
            f"{passed} frames passed, but l2fwd reports: {summary}")


@case(LAB)
def frames_are_rewritten_as_dpdk_does(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B) as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1))
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0))
        summary = l2fwd.stop()
    require_counts(summary, passed)


@case(LAB)
def frames_pass_unchanged_without_mac_updating(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--no-mac-updating --burst 1") as l2fwd:
        passed = pass_frames(fixture, A, B, frames.unchanged)
        passed += pass_frames(fixture, B, A, frames.unchanged)
        require_counts(l2fwd.stop(), passed)


@case(LAB)
def one_port_sends_frames_back(fixture: Fixture) -> None:
    fixture.bind(A)
    with fixture.l2fwd(A) as l2fwd:
        passed = pass_frames(fixture, A, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0))
        require_counts(l2fwd.stop(), passed)


@case(LAB)
def jumbo_frames_pass_whole(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--mtu 9500") as l2fwd:
        expect = frames.rewritten_by_l2fwd(fixture.macs[B], 1)
        # A frame takes up to five buffers, so 64 frames in flight fit into a ring.
        passed = pass_frames(fixture, A, B, expect, 1000, JUMBO_SIZES, window=64)
        passed += pass_frames(fixture, A, B, expect, 500, [9514], window=64)
        require_counts(l2fwd.stop(), passed)


@case(LAB)
def frames_beyond_the_mtu_are_dropped_by_the_card(fixture: Fixture) -> None:
    """The card leaves room for a VLAN tag: it accepts 4 bytes more than the MTU needs, even if a frame has no tag. It drops longer
    frames. The 82576 counts them (RLEC: rx_errors); QEMU's card does not."""
    beyond = 20
    fixture.bind(A, B)
    with fixture.l2fwd(A, B) as l2fwd:
        expect = frames.rewritten_by_l2fwd(fixture.macs[B], 1)
        for number in range(beyond):
            fixture.near(A).send(frames.FrameMaker([1519, 1600, 9000]).frame(number))
        # If the card passes a frame that is too long, send_through reports it as unexpected, and the case fails.
        passed = pass_frames(fixture, A, B, expect, 200) + pass_frames(fixture, A, B, expect, 20, [1518])
        summary = l2fwd.stop()
    require_counts(summary, passed)
    card = summary.raw["cards"][0]
    require(card["rx_packets"] == passed and card["rx_errors"] in (0, beyond),
            f"{passed} frames passed, but the card reports {card}")


# The AVX2 code handles groups of four descriptors. Smaller bursts do not use it.
SIMD_GROUP = 4


@case(LAB)
def frames_pass_intact_with_avx2(fixture: Fixture) -> None:
    fixture.guest.check("grep -qw avx2 /proc/cpuinfo || fail this processor has no AVX2")
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--burst-mode avx2 --mtu 9500") as l2fwd:
        expect = frames.rewritten_by_l2fwd(fixture.macs[B], 1)
        passed = pass_frames(fixture, A, B, expect)
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0))
        # Frames of one and of several buffers alternate, so that some groups of four are uniform and some are mixed.
        passed += pass_frames(fixture, A, B, expect, 300, [60, 60, 60, 1514, 9514], window=64)
        require_counts(l2fwd.stop(), passed)
    with fixture.l2fwd(A, B, options="--burst-mode avx2 --mtu 9500") as l2fwd:
        # Stops l2fwd for a second, so that frames accumulate, and l2fwd gets groups of four on machines of any speed.
        fixture.guest.check("(interrupt l2fwd STOP; sleep 1; interrupt l2fwd CONT) >/dev/null 2>&1 &")
        passed = pass_frames(fixture, A, B, expect, 64, window=64)
        summary = l2fwd.stop()
    require_counts(summary, passed)
    bursts = summary.raw["polls"] * (1 - summary.raw["empty_polls"])
    require(passed > SIMD_GROUP * bursts, f"{passed} frames came in {bursts:.0f} bursts, so the bursts were too small")


@case(LAB)
def ordinary_pages_are_used_without_huge_pages(fixture: Fixture) -> None:
    pages = fixture.guest.machine.huge_pages
    fixture.bind(A, B)
    fixture.guest.check("echo 0 >/proc/sys/vm/nr_hugepages")
    try:
        with fixture.l2fwd(A, B) as l2fwd:
            passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1))
            output = fixture.guest.check("cat /run/l2fwd.err")
            require_counts(l2fwd.stop(), passed)
        require("uses ordinary pages" in output and "nr_hugepages" in output,
                f"there is no message about missing huge pages:\n{output}")
    finally:
        fixture.guest.check(f"echo {pages} >/proc/sys/vm/nr_hugepages")


@case(LAB, long="half a million frames, a minute or two")
def half_a_million_frames_pass_intact(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B) as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 250_000)
        passed += pass_frames(fixture, B, A, frames.rewritten_by_l2fwd(fixture.macs[A], 0), 250_000)
        require_counts(l2fwd.stop(), passed)
