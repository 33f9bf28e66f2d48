# SPDX-License-Identifier: BSD-3-Clause
"""No frame disappears unnamed. QEMU's wire drops silently, so both of its ends are counted."""

from cases.boots import C, D, G, H, TWO_CPUS
from pollux_lab.cases import Bench, case, require
from pollux_lab.programs import Summary, summary_in

COUNT = 100_000


def through_the_hubs(bench: Bench, options: str) -> tuple[dict, Summary]:
    bench.bind(C, D, G, H)
    with bench.l2fwd(C, D) as l2fwd:
        generator = bench.pktgen(G, H, options=f"--check {options}")
        return generator, l2fwd.stop()


def counted_alike(generator: dict, forwarder: Summary) -> tuple[tuple[int, ...], str]:
    """Frames sent, received, sent on and received, as the programs counted them. The cards must have counted the same at
    each of the four places, so that what is missing went on a wire."""
    counts = (generator["sent"], forwarder.received, forwarder.sent, generator["received"])
    at_cards = (card_counts(generator, "tx_packets")[0], card_counts(forwarder.raw, "rx_packets")[0],
                card_counts(forwarder.raw, "tx_packets")[1], card_counts(generator, "rx_packets")[1])
    story = f"sent, received, sent on, received: programs {counts}, cards {at_cards}; {forwarder}"
    require(counts == at_cards, story)
    require(forwarder.conserved and generator["conserved"], f"the counts do not add up: {story}")
    require(not (generator["corrupt"] or generator["duplicated"] or generator["reordered"]),
            f"arrived otherwise than sent: {generator}")
    return counts, story


def card_counts(summary: dict, counter: str) -> list[int]:
    """What the cards themselves counted, in the order of the command line."""
    return [card[counter] for card in summary["cards"]]


@case(TWO_CPUS)
def programs_and_cards_count_the_same_frames(bench: Bench) -> None:
    # With fewer on their way than a ring holds QEMU's hub loses a frame in a hundred thousand now and then, without a
    # counter; where it does, the two cards on that wire show it, and nothing else may be missing anywhere.
    generator, forwarder = through_the_hubs(bench, f"--count {COUNT} --size 64 --window 256")
    counts, story = counted_alike(generator, forwarder)
    require(not forwarder.dropped and counts[0] == COUNT and counts[1] == counts[2], story)
    require(COUNT >= counts[1] >= counts[3] > 0.99 * COUNT, story)


@case(TWO_CPUS)
def at_full_rate_each_loss_has_a_place(bench: Bench) -> None:
    bench.bind(C, D, G, H)
    with bench.l2fwd(C, D) as l2fwd:
        start_generator(bench, "--seconds 6")
        # While it stands still its receive ring overflows: there is a loss to be placed.
        bench.guest.check("interrupt l2fwd STOP; sleep 1; interrupt l2fwd CONT")
        generator = summary_in(bench.guest.check("finish generator 30", 40))
        forwarder = l2fwd.stop()
    counts, story = counted_alike(generator, forwarder)
    before, named, behind = counts[0] - counts[1], forwarder.dropped, counts[2] - counts[3]
    require(before > 0, f"nothing was lost though the forwarder stood still: {story}")
    require(behind >= 0 and generator["lost"] == before + named + behind,
            f"lost {generator['lost']}, of which before the forwarder {before}, in it {named}, behind it {behind}: {story}")


def start_generator(bench: Bench, options: str) -> None:
    """Until it says what it has sent in its first second."""
    words = f"pktgen {bench.uri(G)} {bench.uri(H)} --json --check --size 64 {options}"
    bench.guest.check(f"spawn generator {words}; await_line generator '\"sent\":[1-9]' 30", 40)


# What a process holds, each a number. VmLck is what VFIO's type1 container pinned, VmPin what an IOMMUFD did.
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
# Resident memory of the heap and the stack may grow by what a program touches for the first time, once: KiB.
TOUCHED_LATER = 64


def footprint(bench: Bench) -> dict[str, int]:
    found = {name: int(value) for name, value in map(str.split, bench.guest.check(FOOTPRINT).splitlines())}
    require(len(found) == 2 * (len(HELD) + 3) + 1, f"the guest does not tell all: {found}")
    return found


def require_same_footprint(before: dict[str, int], after: dict[str, int]) -> None:
    grown = {name: (before[name], after[name]) for name in before
             if after[name] != before[name] and not name.endswith(":RssAnon")
             or after[name] > before[name] + TOUCHED_LATER}
    require(not grown, f"before and after: {grown}")


def leave_nothing_behind(bench: Bench, seconds: int) -> None:
    bench.bind(C, D, G, H)
    with bench.l2fwd(C, D) as l2fwd:
        start_generator(bench, "")
        before = footprint(bench)
        bench.guest.check(f"sleep {seconds}", seconds + 30)
        require_same_footprint(before, footprint(bench))
        generator = summary_in(bench.guest.check("interrupt generator; finish generator 30", 40))
        forwarder = l2fwd.stop()
    # With what is still out they do not add up.
    require(forwarder.conserved and generator["conserved"], f"the counts do not add up: {forwarder}; {generator}")
    require(forwarder.sent > 0 and generator["received"] > 0, f"nothing was forwarded: {forwarder}; {generator}")
    require(not generator["corrupt"], f"{generator['corrupt']} frames arrived corrupt")


@case(TWO_CPUS)
def nothing_leaks_in_ten_seconds(bench: Bench) -> None:
    leave_nothing_behind(bench, 10)


@case(TWO_CPUS, long="ten minutes of traffic at full rate")
def nothing_leaks_in_ten_minutes(bench: Bench) -> None:
    leave_nothing_behind(bench, 600)
