# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a run: as text for a terminal, and as Markdown for docs/performance.md."""

from .bench_records import find, widest

_WIRES = [(1, 1.488), (10, 14.88), (25, 37.2), (100, 148.8)]  # Gb/s, and Mpps at 64 bytes


def _span(record: dict) -> str:
    return f"{record['cycles_median']:.1f} [{record['cycles_min']:.1f} to {record['cycles_max']:.1f}]"


def budget_rows(records: list[dict], ticks_a_second: float) -> list[list[str]]:
    """The share of a core that forwarding takes at line rate with 64-byte frames."""
    rows = [["forward, 64 bytes", "cycles", "ns", "Mpps a core", "1 Gb/s ports a core", *[f"{gigabits} Gb/s" for gigabits, _ in _WIRES]]]
    for where in ("native-warm", "native-cold"):
        for case, instruction_set, burst in (("forward", "scalar", 32), ("forward", widest(records), 32), ("forward", "scalar", 1),
                                             ("fused", "scalar", 32), ("fused", widest(records), 32)):
            record = find(records, who="pollux", where=where, case=case, instruction_set=instruction_set, burst=burst)
            if record is None:
                continue
            seconds = record["cycles_median"] / ticks_a_second
            shares = [f"{seconds * mpps * 1e6 * 100:.1f} %" for _, mpps in _WIRES]
            rows.append([f"{case}, {instruction_set}, burst {burst}, {where.removeprefix('native-')}", f"{record['cycles_median']:.1f}",
                         f"{seconds * 1e9:.2f}", f"{1e-6 / seconds:.0f}", f"{672e-9 / seconds:.0f}", *shares])
    return rows


def every_row(records: list[dict]) -> list[list[str]]:
    """All cases of the faked card with the default rings, one row for all bursts; baselines have tables of their own."""
    bursts = (1, 8, 32, 64)
    rows = [["case", "who", "path", "", *[f"burst {burst}: cycles, instr." for burst in bursts]]]
    seen = []
    for record in records:
        key = {name: record.get(name) for name in ("case", "who", "instruction_set", "where")}
        if key in seen or key["instruction_set"] is None or "cycles_median" not in record:
            continue
        seen.append(key)
        cells = []
        for burst in bursts:
            found = find(records, burst=burst, **key)
            cells.append(f"{_span(found)}, {found['instructions']:.0f} i" if found else "")
        if any(cells):
            rows.append([key["case"], key["who"], key["instruction_set"], key["where"].removeprefix("native-"), *cells])
    return rows


def latency_rows(records: list[dict]) -> list[list[str]]:
    rows = [["64 frames at once, wait in ns", "path", "", "p50", "p99", "p99.9"]]
    for record in records:
        if record["case"] == "latency":
            rows.append([f"burst {record['burst']}", record["instruction_set"], record["where"].removeprefix("native-"),
                         *[f"{record[name]:.0f}" for name in ("p50_ns", "p99_ns", "p99.9_ns")]])
    return rows


def part_rows(whole: list[dict], parts: dict[str, list[dict]]) -> list[list[str]]:
    """The figures of the hot path with each part left out."""
    shown = [("forward", "native-warm", 32), ("forward", "native-cold", 32), ("forward", "native-warm", 1), ("forward_offload", "native-warm", 32)]
    rows = [["left out", *[f"{case}, {where.removeprefix('native-')}, burst {burst}" for case, where, burst in shown]]]
    for name, records in {"nothing": whole, **parts}.items():
        cells = []
        for case, where, burst in shown:
            found = find(records, who="pollux", case=case, where=where, burst=burst, instruction_set="scalar")
            cells.append(f"{found['cycles_median']:.1f} c, {found['instructions']:.1f} i" if found else "")
        rows.append([name.replace("_", " "), *cells])
    return rows


def text(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def markdown(rows: list[list[str]]) -> str:
    head, *rest = rows
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rest])
