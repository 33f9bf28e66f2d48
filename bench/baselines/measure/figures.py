# SPDX-License-Identifier: BSD-3-Clause
"""Collects measured figures over repetitions, prints them side by side, and saves them as JSON."""

import json
import pathlib
import statistics

from pollux_lab.errors import LabError

# These keys identify a figure. `link` is static or shared; `path` is the variant of the receive and transmit code.
KEYS = ("where", "case", "who", "path", "link", "burst")
OURS = "pollux"
QUANTITIES = ("instructions", "cycles", "mpps")


class Figures:
    """Samples, grouped by key, in the order of each key's first sample."""

    def __init__(self):
        self._samples: dict[tuple, dict[str, list[float]]] = {}

    def add(self, sample: dict) -> None:
        key = tuple(sample.get(name) for name in KEYS)
        kept = self._samples.setdefault(key, {})
        for quantity in QUANTITIES:
            if sample.get(quantity) is not None:
                kept.setdefault(quantity, []).append(sample[quantity])

    def rows(self) -> list[dict]:
        rows = []
        for key, kept in self._samples.items():
            row = {name: value for name, value in zip(KEYS, key) if value is not None}
            for quantity, samples in kept.items():
                row |= _summary(quantity, samples)
            rows.append(row)
        return rows


def _summary(quantity: str, samples: list[float]) -> dict:
    spread = {f"{quantity}_median": statistics.median(samples), f"{quantity}_min": min(samples),
              f"{quantity}_max": max(samples)}
    if quantity != "instructions":
        return spread
    # Instruction counts are reproducible, so the median has the plain key. The spread shows how reproducible it is.
    return {"instructions": spread.pop("instructions_median"), **spread}


def save(path: pathlib.Path, rows: list[dict]) -> None:
    """Appends the rows to the list in the file. Creates the file if it does not exist."""
    earlier = []
    if path.exists():
        try:
            earlier = json.loads(path.read_text() or "[]")
        except ValueError as error:
            raise LabError(f"{path} is not JSON: {error}", "name another file") from error
        if not isinstance(earlier, list):
            raise LabError(f"{path} contains no list", "name another file")
    path.write_text(json.dumps(earlier + rows, indent=1) + "\n")


def table(title: str, rows: list[dict], quantity: str) -> str:
    """One block per case and burst, with a line per program: its figure, and the ratio to the figure of Pollux."""
    lines = [title]
    others = [name for name in QUANTITIES if name != quantity]
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        if _value(row, quantity) is not None:
            groups.setdefault((row["case"], row.get("burst")), []).append(row)
    for (case, burst), members in groups.items():
        lines.append(f"  {case}{f', burst {burst}' if burst else ''}")
        for row in members:
            value = _value(row, quantity)
            ours = _ours(members, row)
            ratio = f"{value / _value(ours, quantity):7.2f} x" if ours else ""
            beside = "".join(f"  {_value(row, name):.{3 if name == 'mpps' else 1}f} {name}" for name in others if _value(row, name) is not None)
            lines.append(f"    {_name(row):<34}{value:10.2f}{_spread(row, quantity):<22}{ratio:10}{beside}".rstrip())
    return "\n".join(lines)


def _ours(members: list[dict], row: dict) -> dict | None:
    """The row of Pollux that `row` is compared with: preferably the one that is linked the same way."""
    ours = [member for member in members if member["who"] == OURS]
    return next((member for member in ours if member.get("link") == row.get("link")), ours[0] if ours else None)


def _value(row: dict, quantity: str) -> float | None:
    return row.get("instructions" if quantity == "instructions" else f"{quantity}_median")


def _spread(row: dict, quantity: str) -> str:
    return f"  [{row[f'{quantity}_min']:.2f} to {row[f'{quantity}_max']:.2f}]"


def _name(row: dict) -> str:
    return ", ".join(str(row[name]) for name in ("who", "link", "path") if row.get(name))
