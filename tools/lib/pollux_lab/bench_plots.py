# SPDX-License-Identifier: BSD-3-Clause
"""Plots of a run, each as SVG and PNG."""

import pathlib

from . import bench_quoted
from .bench_records import find, widest

COLOURS = {"scalar": "#1f5fa8", "avx2": "#2a9d6f", "avx512": "#c8541b", "minimal loop": "#555555", "DPDK": "#a03070", "ixy": "#8a7a00"}
TEMPERATURES = ("warm", "cold")


def draw(records: list[dict], folder: pathlib.Path, machine: str) -> list[pathlib.Path]:
    """Draws every plot for which there are figures; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, title, axis, key in (
            ("burst", "Forwarding a 64-byte frame", "frames per burst", "burst"),
            ("ring", "Forwarding with other rings, burst 32", "descriptors per ring, seven eighths of them full", "ring"),
            ("pool", "Forwarding when all of a pool is used in turn, burst 32", "mbufs in the pool", "pool"),
            ("frame", "Forwarding longer frames, burst 32", "bytes per frame (9000: a chain of five buffers)", "frame"),
            ("trickle", "Forwarding frames that trickle in, each burst timed alone", "frames that arrive at once", "trickle")):
        lines = {temperature: _lines(records, key, temperature) for temperature in TEMPERATURES}
        if any(len(points) > 1 for drawn in lines.values() for points in drawn.values()):
            written += _panels(folder / f"cycles-{name}", title, axis, "cycles per frame", lines, machine)
    latencies = {temperature: _latencies(records, temperature) for temperature in TEMPERATURES}
    if any(latencies.values()):
        written += _panels(folder / "latency", "From write-back to the return of tx_burst, 64 frames at once", "frames per burst",
                           "nanoseconds", latencies, machine)
    return written


def _lines(records: list[dict], key: str, temperature: str) -> dict[str, list[tuple]]:
    lines = {}
    for who, instruction_set in (("pollux", "scalar"), ("pollux", "avx2"), ("pollux", "avx512"), ("minimal loop", "scalar")):
        points = [_point(record, key) for record in records
                  if record.get("case") == "forward" and record.get("who") == who and record.get("instruction_set") == instruction_set
                  and record.get("where") == f"native-{temperature}" and _varies(record, key)]
        if len(points) > 1:  # the main table's case alone is one point of every line, even if the others were not measured
            lines[instruction_set if who == "pollux" else who] = sorted(points)
    if key == "burst" and temperature == "warm":
        lines |= _quoted(records)
    return lines


def _varies(record: dict, key: str) -> bool:
    """Whether a record belongs to the series in which only this quantity changes."""
    others = {"ring": 512, "pool": 8192, "frame": 64}
    if key == "trickle":
        return record.get("arrival") == "trickle"
    if record.get("arrival") or record.get("marked") or (key != "burst" and record["burst"] != 32):
        return False
    # The size of the pool matters only where its mbufs are used in turn; only then the record names it.
    if key == "pool":
        return "pool" in record and "ring" not in record
    return "pool" not in record and all(record.get(name, value) == value for name, value in others.items() if name not in (key, "pool"))


def _point(record: dict, key: str) -> tuple:
    at = record["burst"] if key in ("burst", "trickle") else record.get(key, {"ring": 512, "frame": 64}.get(key))
    return at, record["cycles_median"], record["cycles_min"], record["cycles_max"]


def _quoted(records: list[dict]) -> dict[str, list[tuple]]:
    """Quoted figures, scaled to this machine by the ratio of the two minimal loops."""
    lines = {}
    for who, cycles in bench_quoted.FORWARD_WARM.items():
        points = []
        for burst, value in cycles.items():
            minimal = find(records, who="minimal loop", case="forward", where="native-warm", burst=burst, instruction_set="scalar")
            if minimal:
                points.append((burst, *[value * minimal["cycles_median"] / bench_quoted.MINIMAL_LOOP["native-warm", burst]] * 3))
        if len(points) > 1:
            lines[who] = points
    return lines


def _latencies(records: list[dict], temperature: str) -> dict[str, list[tuple]]:
    chosen = [record for record in records if record.get("case") == "latency" and record["where"] == f"native-{temperature}"]
    lines = {}
    for path in dict.fromkeys(("scalar", widest(chosen))):
        for name, key in (("p50", "p50_ns"), ("p99", "p99_ns"), ("p99.9", "p99.9_ns")):
            points = sorted((record["burst"], *[record[key]] * 3) for record in chosen if record["instruction_set"] == path)
            if points:
                lines[f"{path} {name}"] = points
    return lines


def _style(label: str) -> dict:
    word, _, percentile = label.partition(" ") if label != "minimal loop" else (label, "", "")
    style = {"color": COLOURS.get(word, "#000000"), "marker": "o", "markersize": 4, "linewidth": 1.6}
    if word in bench_quoted.FORWARD_WARM:
        style |= {"linestyle": (0, (2, 2)), "marker": "s", "markersize": 3.5}
    elif word == "minimal loop":
        style |= {"linestyle": (0, (5, 2))}
    elif percentile:
        style |= {"linestyle": {"p50": "-", "p99": (0, (5, 2)), "p99.9": (0, (1, 1.5))}[percentile], "marker": {"p50": "o", "p99": "^", "p99.9": "s"}[percentile]}
    return style


def _shown_as(label: str) -> str:
    return f"{label}, quoted, scaled" if label in bench_quoted.FORWARD_WARM else label


def _panels(path: pathlib.Path, title: str, axis: str, quantity: str, panels: dict[str, dict[str, list[tuple]]], machine: str) -> list[pathlib.Path]:
    """Draws warm and cold side by side, with the range from minimum to maximum as a shade."""
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.hashsalt": "pollux", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    shown = {name: lines for name, lines in panels.items() if lines}
    figure, axes = pyplot.subplots(1, len(shown), figsize=(max(6.5, 5.2 * len(shown)), 4.5), squeeze=False, layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=11, fontweight="bold")
    # A frame in five buffers, or one that waited for another program, has a far higher value than the rest.
    wide = any(max(_values(lines)) > 12 * min(_values(lines)) for lines in shown.values())
    for panel, (name, lines) in zip(axes[0], shown.items()):
        ticks = sorted({point[0] for points in lines.values() for point in points})
        for label, points in lines.items():
            places = [point[0] for point in points]
            panel.plot(places, [point[1] for point in points], label=_shown_as(label), **_style(label))
            panel.fill_between(places, [point[2] for point in points], [point[3] for point in points],
                               color=_style(label)["color"], alpha=0.12, linewidth=0)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_locator(FixedLocator(_without_overlaps(ticks)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        if wide:
            panel.set_yscale("log")
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        else:  # so that a single disturbed repetition does not flatten all lines
            panel.set_ylim(0, 1.12 * max(_values(lines)))
        panel.set_title(name, loc="left", fontsize=10)
        panel.set_xlabel(axis)
        panel.set_ylabel(quantity)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.legend(frameon=False, fontsize=8, handlelength=3, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.supxlabel(machine, fontsize=7, color="#666666", x=0.995, ha="right")
    written = [path.with_suffix(suffix) for suffix in (".svg", ".png")]
    for file in written:
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)
    return written


def _values(lines: dict[str, list[tuple]]) -> list[float]:
    return [point[1] for points in lines.values() for point in points]


def _without_overlaps(ticks: list[int]) -> list[int]:
    """Leaves out ticks whose labels would overlap with the previous one."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick / kept[-1] > 1.35:
            kept.append(tick)
    return kept
