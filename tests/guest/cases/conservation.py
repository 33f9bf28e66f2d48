# SPDX-License-Identifier: BSD-3-Clause
"""Every lost frame is accounted for. QEMU's wires drop frames without a counter, so frames are counted at both ends of a wire."""

import shlex

from cases.boots import C, D, G, H, TWO_CPUS
from pollux_lab.cases import Fixture, case, leave_out, require
from pollux_lab.programs import Summary, summary_in

COUNT = 100_000


def exchange_over_hubs(fixture: Fixture, options: str) -> tuple[dict, Summary]:
    fixture.bind(C, D, G, H)
    with fixture.l2fwd(C, D) as l2fwd:
        generator = fixture.pktgen(G, H, options=f"--check {options}")
        return generator, l2fwd.stop()


def equal_counts(generator: dict, forwarder: Summary) -> tuple[tuple[int, ...], str]:
    """Returns the programs' counts: sent by the generator, received and sent by the forwarder, received by the generator. The
    cards' counts must be the same at each of the four points, so that a missing frame was lost on a wire."""
    counts = (generator["sent"], forwarder.received, forwarder.sent, generator["received"])
    at_cards = (card_counts(generator, "tx_packets")[0], card_counts(forwarder.raw, "rx_packets")[0],
                card_counts(forwarder.raw, "tx_packets")[1], card_counts(generator, "rx_packets")[1])
    numbers = f"sent, received, forwarded, received: programs {counts}, cards {at_cards}; {forwarder}"
    require(counts == at_cards, numbers)
    require(forwarder.conserved and generator["conserved"], f"the counts do not add up: {numbers}")
    require(not (generator["corrupt"] or generator["duplicated"] or generator["reordered"]),
            f"frames arrived corrupt, duplicated or reordered: {generator}")
    return counts, numbers


def card_counts(summary: dict, counter: str) -> list[int]:
    """The counter's value at each card, in the order of the command line."""
    return [card[counter] for card in summary["cards"]]


@case(TWO_CPUS)
def programs_and_cards_count_the_same_frames(fixture: Fixture) -> None:
    # The window is smaller than a ring, so no ring overflows. QEMU's hub occasionally loses a frame in a hundred thousand, without
    # a counter. The counts of the two cards on that wire show this loss; no other frame may be missing.
    generator, forwarder = exchange_over_hubs(fixture, f"--count {COUNT} --size 64 --window 256")
    counts, numbers = equal_counts(generator, forwarder)
    require(not forwarder.dropped and counts[0] == COUNT and counts[1] == counts[2], numbers)
    require(COUNT >= counts[1] >= counts[3] > 0.99 * COUNT, numbers)


@case(TWO_CPUS)
def at_full_rate_each_lost_frame_is_located(fixture: Fixture) -> None:
    fixture.bind(C, D, G, H)
    with fixture.l2fwd(C, D) as l2fwd:
        start_generator(fixture, "--seconds 6")
        # Stops the forwarder for a second, so that its receive ring overflows and frames are lost.
        fixture.guest.check("interrupt l2fwd STOP; sleep 1; interrupt l2fwd CONT")
        generator = summary_in(fixture.guest.check("finish generator 30", 40))
        forwarder = l2fwd.stop()
    counts, numbers = equal_counts(generator, forwarder)
    before, inside, after = counts[0] - counts[1], forwarder.dropped, counts[2] - counts[3]
    require(before > 0, f"no frame was lost although the forwarder was stopped: {numbers}")
    require(after >= 0 and generator["lost"] == before + inside + after,
            f"lost {generator['lost']}: {before} before the forwarder, {inside} in it, {after} after it: {numbers}")


def start_generator(fixture: Fixture, options: str, report: str = '"received":[1-9]') -> None:
    """Starts the generator, and waits for a report of it."""
    words = f"pktgen {fixture.uri(G)} {fixture.uri(H)} --json --check --size 64 {options}"
    fixture.guest.check(f"spawn generator {words}; await_line generator {shlex.quote(report)} 30", 40)


# Fields of /proc/PID/status. VmLck includes the memory pinned by VFIO's type1 container, VmPin that of an IOMMUFD.
HELD = ["VmData", "VmLck", "VmPin", "HugetlbPages", "Threads"]
FOOTPRINT = f"""
for name in l2fwd generator; do
  process=/proc/$(cat /run/$name.pid)
  echo $name:descriptors $(ls $process/fd | wc -l)
  echo $name:mappings $(wc -l <$process/maps)
  awk -v name=$name '/^({"|".join(HELD)}|RssAnon):/ {{ sub(":", "", $1); print name ":" $1, $2 }}' $process/status
done
echo guest:free_huge_pages $(free_huge_pages)
"""
# The resident memory of heap and stack may grow by this many KiB, when a program touches a page for the first time.
TOUCHED_LATER = 64


def footprint(fixture: Fixture) -> dict[str, int]:
    found = {name: int(value) for name, value in map(str.split, fixture.guest.check(FOOTPRINT).splitlines())}
    require(len(found) == 2 * (len(HELD) + 3) + 1, f"values are missing in the guest's output: {found}")
    return found


def require_same_footprint(before: dict[str, int], after: dict[str, int]) -> None:
    grown = {name: (before[name], after[name]) for name in before
             if after[name] != before[name] and not name.endswith(":RssAnon")
             or after[name] > before[name] + TOUCHED_LATER}
    require(not grown, f"resources grew (before, after): {grown}")


def require_no_leak(fixture: Fixture, seconds: int) -> None:
    if b"__asan_init" in fixture.guest.program("l2fwd").read_bytes():
        leave_out("the address sanitizer keeps freed memory, so that the heap grows; it looks for leaks itself")
    fixture.bind(C, D, G, H)
    with fixture.l2fwd(C, D) as l2fwd:
        # What the first reports and timers allocate may still make the heap grow, which it does by 128 KiB at a time.
        start_generator(fixture, "", report='"seconds":[4-9][.].*"received":[1-9]')
        before = footprint(fixture)
        fixture.guest.check(f"sleep {seconds}", seconds + 30)
        require_same_footprint(before, footprint(fixture))
        generator = summary_in(fixture.guest.check("interrupt generator; finish generator 30", 40))
        forwarder = l2fwd.stop()
    # If a buffer is still allocated, the counts do not add up.
    require(forwarder.conserved and generator["conserved"], f"the counts do not add up: {forwarder}; {generator}")
    require(forwarder.sent > 0 and generator["received"] > 0, f"nothing was forwarded: {forwarder}; {generator}")
    require(not generator["corrupt"], f"{generator['corrupt']} frames arrived corrupt")


@case(TWO_CPUS)
def nothing_leaks_in_ten_seconds(fixture: Fixture) -> None:
    require_no_leak(fixture, 10)


@case(TWO_CPUS, long="ten minutes of traffic at full rate")
def nothing_leaks_in_ten_minutes(fixture: Fixture) -> None:
    require_no_leak(fixture, 600)
