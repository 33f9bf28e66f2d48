# SPDX-License-Identifier: BSD-3-Clause
"""What bench/side_by_side measured besides the first table: bursts and the bus, queues and threads, and the price of features."""

from . import bench_side

BUS_REMARK = ("The same run. Ticks as above; all else is counted. A doorbell is a write to a tail register. Each received frame has one descriptor "
              "and one write-back more, for both.")
SCALE_REMARK = ("Forwarding at burst 32, warm, in the same run. Each queue has rings of so many descriptors. One thread polls its queues in turn. "
                "With a thread for each queue, each has a processor, and ticks are those of the thread that handles the frame.")
ARRIVALS_REMARK = ("Forwarding by one thread at burst 32, warm, in the same run. At once 32, 64 or 256 frames arrive on each queue, by a seed; then the thread "
                   "polls its queues eight times in turn, and between two turns the card works. It keeps up to 1,024 frames that find no "
                   "descriptor; further ones are lost. DPDK's best are its rings of the row or of 64, 128 or 256 descriptors, of those that "
                   "lose no more frames than Pollux.")
FEATURES_REMARK = ("A frame at burst 32, in the same run; DPDK's libraries as packaged. What is measured by forwarding is the difference to the same "
                   "forwarding without it, in scalar mode, and a captured frame is half of what forwarding and capturing each frame twice costs "
                   "more. docs/performance-details.md says what each pair does.")

VIRTIO_ARRIVALS_REMARK = ("The same arrivals on faked virtio devices. Pollux has one pool for all of its pairs of queues, DPDK a port and a pool for each pair. "
                          "Of DPDK's paths the fastest counts.")
SMALLER = "rings of "  # in the variant of a record of DPDK: rings that are not the row's

# Feature: its name, DPDK's library of the same purpose, and how many times it is in a forwarded frame; 0: it is measured by itself.
FEATURES = {"forward_poller": ("poller, one queue", "rte_service", 1),
            "forward_captured": ("capture", "rte_pcapng and rte_ring, as rte_pdump", 2),
            "gro_merge": ("GRO, 32 segments of one flow", "rte_gro", 0),
            "queue_drr": ("deficit round robin, classified", "rte_sched", 0),
            "queue_fq_codel_classified": ("fq_codel, classified", "rte_sched, without CoDel", 0),
            "queue_fq_codel": ("fq_codel, 32 flows", "rte_sched, classified, without CoDel", 0),
            "steering_hop": ("steering to four consumers", "rte_distributor", 0)}


def bus_table(records: list[dict]) -> list[list[str]]:
    """What a card would see of each frame that is forwarded; the heading alone without DPDK."""
    cells = [["a frame on the bus", "burst", "ticks: Pollux", "DPDK", "doorbells: Pollux", "DPDK", "transmit descriptors: Pollux", "DPDK",
              "write-backs of them: Pollux", "DPDK"]]
    rows = [row for row in bench_side.rows_of(records, "main", "bursts") if row.dpdk and "descriptors" in row.dpdk]
    for row in sorted(rows, key=lambda row: (list(bench_side.TITLES.values()).index(row.title), row.burst)):
        pairs = [f"{record[name]:.2f}" for name in ("doorbells", "descriptors", "write_backs") for record in (row.ours, row.dpdk)]
        cells.append([row.title, str(row.burst), *[f"{record['cycles_middle']:.1f}" for record in (row.ours, row.dpdk)], *pairs])
    return cells


def scale_table(records: list[dict]) -> list[list[str]]:
    cells = [["forward", "rings", "queues", "Pollux", "to one queue", "DPDK's igb", "to one queue", "factor"]]
    for table in ("queues", "threads"):
        rows = bench_side.rows_of(records, table)
        for row in rows:
            one = next(other for other in rows if other.ring == row.ring)
            cells.append([row.title, str(row.ring), str(row.queues), bench_side.span(row.ours), _relative(row.ours, one.ours),
                          *([bench_side.span(row.dpdk), _relative(row.dpdk, one.dpdk), bench_side.factor(row)] if row.dpdk else ["", "", ""])])
    return cells


def arrivals_table(records: list[dict]) -> list[list[str]]:
    return _arrivals_table(records, "arrivals", "DPDK's igb")


def virtio_arrivals_table(records: list[dict]) -> list[list[str]]:
    return _arrivals_table(records, "virtio_arrivals", "DPDK's virtio")


def _arrivals_table(records: list[dict], table: str, rival: str) -> list[list[str]]:
    cells = [["forward what arrives", "rings", "queues", "Pollux", "to the first", "lost", rival, "lost", "DPDK's best", "its rings", "factor"]]
    mine = [record for record in records if record["table"] == table]
    first = {}
    for row in bench_side.rows_of([record for record in mine if SMALLER not in record.get("variant", "")], table):
        one = first.setdefault(row.title, row)
        same = [record for record in mine if all(record[name] == row.ours[name] for name in ("case", "queues", "ring"))]
        kept = [record for record in same if record["lost"] <= row.ours["lost"]]
        [best] = bench_side.rows_of([row.ours, *(record for record in kept if record["who"] in bench_side.BUILDS)], table)
        theirs = [bench_side.span(row.dpdk), _lost(row.dpdk)] if row.dpdk else ["", ""]
        if best.dpdk:
            theirs += [bench_side.span(best.dpdk), _rings(best), bench_side.factor(best)]
        cells.append([row.title, str(row.ring), str(row.queues), bench_side.span(row.ours), _relative(row.ours, one.ours), _lost(row.ours),
                      *theirs, *[""] * (3 if not best.dpdk else 0)])
    return cells


def _rings(best: bench_side.Row) -> str:
    """The rings that DPDK was fastest with, and of its paths the one."""
    path, _, smaller = best.dpdk.get("variant", "").partition(SMALLER)
    return ", ".join(filter(None, (smaller or str(best.ring), path.removesuffix(", "))))


def _lost(record: dict) -> str:
    return f"{record['lost'] / 1e4:.2g} %" if record["lost"] else "0"


def feature_table(records: list[dict]) -> list[list[str]]:
    cells = [["feature", "Pollux: instructions", "ticks", "DPDK's library", "instructions", "ticks", "instructions: DPDK / Pollux"]]
    rows = {row.title: row for row in bench_side.rows_of(records, "features")}
    for case, (title, library, times) in FEATURES.items():
        if case not in rows:
            continue
        row, base = rows[case], rows[bench_side.TITLES["forward"]]
        ours = _price(row.ours, base.ours, times)
        theirs = _price(row.dpdk, base.dpdk, times) if row.dpdk else None
        cells.append([title, *_numbers(ours), library if theirs else "", *(_numbers(theirs) if theirs else ["", ""]),
                      f"{theirs[0] / ours[0]:.1f}" if theirs else ""])
    return cells


def _relative(record: dict, first: dict) -> str:
    return f"{record['cycles_middle'] / first['cycles_middle']:.2f}"


def _price(record: dict, base: dict, times: int) -> tuple[float, float]:
    """Instructions and ticks."""
    names = ("instructions", "cycles_middle")
    return tuple((record[name] - base[name]) / times if times else record[name] for name in names)


def _numbers(price: tuple[float, float]) -> list[str]:
    return [f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in price]
