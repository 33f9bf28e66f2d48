# SPDX-License-Identifier: BSD-3-Clause
"""Plots of a run, each as SVG and PNG."""

import pathlib

from . import bench_side
from .bench_records import widest

COLOURS = {"scalar": "#1f5fa8", "avx2": "#2a9d6f", "avx512": "#c8541b", "minimal loop": "#555555", "DPDK": "#a03070"}
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


def sizes(records: list[dict], folder: pathlib.Path, machine: str) -> list[pathlib.Path]:
    """Draws what a frame costs by the size of the burst and by that of the ring; nothing without these figures."""
    folder.mkdir(parents=True, exist_ok=True)
    panels = {"frames per burst": _lines(records, "burst", "warm"),
              "descriptors per ring, seven eighths of them full; burst 32": _lines(records, "ring", "warm")}
    if not all(panels.values()):
        return []
    return _panels(folder / "bursts-and-rings", "Ticks of the time stamp counter for forwarding a 64-byte frame; less is better", None,
                   "ticks per frame", panels, machine, (".svg",))


def _lines(records: list[dict], key: str, temperature: str) -> dict[str, list[tuple]]:
    lines = {}
    for who, instruction_set in (("pollux", "scalar"), ("pollux", "avx2"), ("pollux", "avx512"), ("minimal loop", "scalar")):
        points = [_point(record, key) for record in records
                  if record.get("case") == "forward" and record.get("who") == who and record.get("instruction_set") == instruction_set
                  and record.get("where") == f"native-{temperature}" and _varies(record, key)]
        if len(points) > 1:  # the main table's case alone is one point of every line, even if the others were not measured
            lines[instruction_set if who == "pollux" else who] = sorted(points)
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
    if word == "minimal loop":
        style |= {"linestyle": (0, (5, 2))}
    elif percentile:
        style |= {"linestyle": {"p50": "-", "p99": (0, (5, 2)), "p99.9": (0, (1, 1.5))}[percentile], "marker": {"p50": "o", "p99": "^", "p99.9": "s"}[percentile]}
    return style


def _panels(path: pathlib.Path, title: str, axis: str | None, quantity: str, panels: dict[str, dict[str, list[tuple]]], machine: str,
            kinds: tuple[str, ...] = (".svg", ".png")) -> list[pathlib.Path]:
    """Draws panels, such as warm and cold, side by side, with the range from minimum to maximum as a shade. Without `axis` the name of a
    panel is that of its axis."""
    pyplot = _pyplot()
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    shown = {name: lines for name, lines in panels.items() if lines}
    figure, axes = pyplot.subplots(1, len(shown), figsize=(max(6.5, 5.2 * len(shown)), 4.5), squeeze=False, layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=11, fontweight="bold")
    # A frame in five buffers, or one that waited for another program, has a far higher value than the rest.
    wide = {name: max(_values(lines)) > 12 * min(_values(lines)) for name, lines in shown.items()}
    for panel, (name, lines) in zip(axes[0], shown.items()):
        ticks = sorted({point[0] for points in lines.values() for point in points})
        for label, points in lines.items():
            places = [point[0] for point in points]
            panel.plot(places, [point[1] for point in points], label=label, **_style(label))
            panel.fill_between(places, [point[2] for point in points], [point[3] for point in points],
                               color=_style(label)["color"], alpha=0.12, linewidth=0)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_locator(FixedLocator(_without_overlaps(ticks)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        if wide[name] or (axis and any(wide.values())):  # panels of one axis are compared
            panel.set_yscale("log")
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            panel.yaxis.set_minor_formatter(NullFormatter())
        else:  # so that a single disturbed repetition does not flatten all lines
            panel.set_ylim(0, 1.12 * max(_values(lines)))
        panel.set_title(name if axis else "", loc="left", fontsize=10)
        panel.set_xlabel(axis or name)
        panel.set_ylabel(quantity)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.legend(frameon=False, fontsize=8, handlelength=3, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.supxlabel(machine, fontsize=7, color="#666666", x=0.995, ha="right")
    return _saved(figure, [path.with_suffix(suffix) for suffix in kinds])


def side_by_side(rows: list[bench_side.Row], folder: pathlib.Path, machine: str) -> list[pathlib.Path]:
    """Draws the table of bench_side as bars, warm and cold apart, with the factor above each of DPDK's."""
    folder.mkdir(parents=True, exist_ok=True)
    pyplot = _pyplot()
    panels = [shown for shown in ([row for row in rows if row.temperature == temperature] for temperature in TEMPERATURES) if shown]
    bars = {"DPDK's igb, better build": ("DPDK", lambda row: row.dpdk), "Pollux": ("avx2", lambda row: row.ours),
            "minimal loop, scalar": ("minimal loop", lambda row: row.minimal), "minimal loop, SIMD": ("minimal loop", lambda row: row.minimal_simd)}
    figure, axes = pyplot.subplots(1, len(panels), figsize=(12, 4.8), squeeze=False, layout="constrained",
                                   width_ratios=[len(shown) for shown in panels])
    figure.suptitle("Ticks of the time stamp counter a 64-byte frame; less is better", fontsize=11, fontweight="bold")
    for panel, shown in zip(axes[0], panels):
        for step, (label, (colour, who)) in enumerate(bars.items()):
            for place, row in enumerate(shown):
                if (record := who(row)) is None:
                    continue
                low, middle, high = (record[name] for name in ("cycles_min", "cycles_middle", "cycles_max"))
                at = place + 0.2 * (step - 1.5)
                panel.bar(at, middle, 0.19, color=COLOURS[colour], alpha=0.45 if label.endswith("SIMD") else 1, label=label if place == 0 else None,
                          yerr=[[middle - low], [high - middle]], error_kw={"elinewidth": 0.8, "ecolor": "#222222"})
                if step == 0:
                    panel.annotate(f"{bench_side.middle(row.factors()):.1f}×", (at, high), xytext=(0, 3), textcoords="offset points",
                                   ha="center", fontsize=9, fontweight="bold", color=COLOURS[colour])
        panel.set_xticks(range(len(shown)), [_tick(row) for row in shown], fontsize=8)
        panel.set_title(shown[0].temperature, loc="left", fontsize=10)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    axes[0][0].legend(frameon=False, fontsize=9, ncols=len(bars), loc="lower left", bbox_to_anchor=(0.06, 0.99))
    figure.supxlabel(machine, fontsize=7, color="#666666", x=0.995, ha="right")
    return _saved(figure, [folder / "side-by-side.svg"])


def _tick(row: bench_side.Row) -> str:
    title = row.title.replace(", ", ",\n").replace("checksums ", "checksums\n").replace("offload ", "offload\n")
    return title if title == "empty poll" else f"{title}\nburst {row.burst}"


def _pyplot():
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.hashsalt": "pollux", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    from matplotlib import pyplot
    return pyplot


def _saved(figure, files: list[pathlib.Path]) -> list[pathlib.Path]:
    for file in files:
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    _pyplot().close(figure)
    return files


def _values(lines: dict[str, list[tuple]]) -> list[float]:
    return [point[1] for points in lines.values() for point in points]


def _without_overlaps(ticks: list[int]) -> list[int]:
    """Leaves out ticks whose labels would overlap with the previous one."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick / kept[-1] > 1.35:
            kept.append(tick)
    return kept
