# SPDX-License-Identifier: BSD-3-Clause
"""The figures of each backend, kept between the demo's steps and printed as one table."""

import dataclasses
import json
import pathlib

BACKENDS = ["sim", "qtest", "guest"]


@dataclasses.dataclass
class Figures:
    backend: str
    what: str
    checked: tuple[int, int] = (0, 0)  # frames intact, of how many
    forwarded_mpps: float = 0.0
    generated_mpps: float | None = None  # sent by one port, received and checked by the other

    def write(self, folder: pathlib.Path) -> None:
        (folder / f"{self.backend}.figures.json").write_text(json.dumps(dataclasses.asdict(self)))


def forget(folder: pathlib.Path) -> None:
    for backend in BACKENDS:
        (folder / f"{backend}.figures.json").unlink(missing_ok=True)


def table(folder: pathlib.Path) -> str:
    files = [folder / f"{backend}.figures.json" for backend in BACKENDS]
    shown = [Figures(**json.loads(file.read_text())) for file in files if file.exists()]
    rows = [("backend", "card", "frames intact", "forwarded", "sent and checked")]
    for figures in shown:
        generated = "" if figures.generated_mpps is None else f"{figures.generated_mpps:.3f} Mpps"
        rows.append((figures.backend, figures.what, "{:,} of {:,}".format(*figures.checked), f"{figures.forwarded_mpps:.3f} Mpps",
                     generated))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
