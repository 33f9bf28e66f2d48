# SPDX-License-Identifier: BSD-3-Clause
"""The measuring part of tools/bench, after the build: measures, prints the tables, writes JSON, Markdown and plots."""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator

from . import bench_languages, bench_plots, bench_scale, bench_side, bench_table, readme_figures
from .bench_records import measure, widest
from .errors import LabError
from .guest import end_on_signals

ROOT = pathlib.Path(__file__).resolve().parents[3]
HUGE_PAGES = 96  # of 2 MiB: the largest pool has 65,536 mbufs
HUGE_PAGES_FILE = pathlib.Path("/proc/sys/vm/nr_hugepages")
STEP_SECONDS = 3600
PAGE = ("Side by side", "virtio-net", "vmxnet3", "On the bus", "Queues and threads", "Arrivals", "What features cost", "Languages",
        "Receiving in Python")  # the tables of docs/performance.md

SIDE_RUNS = 8  # of each contender in each process of side_by_side

# Patterns of the cases of faked_card_bench and latency_bench for each step. WIDE is replaced by the widest instruction set of this processor.
TABLE = "^(forward|forward_offload|rx|tx|fused|empty_poll|alloc_free)/[^/]+/[^/]+/[^/]+/burst:[0-9]+/iter"
RINGS = "^forward/[^/]+/(scalar|WIDE)/[^/]+/burst:32/ring:"
POOLS = "^forward/[^/]+/(scalar|WIDE)/[^/]+/burst:32/pool:"
FRAMES = "^(forward|rx|tx)/[^/]+/(scalar|WIDE)/[^/]+/burst:32/frame:"
MARKED = "^forward_offload/[^/]+/(scalar|WIDE)/[^/]+/burst:32/marked"
# What docs/guide/bursts-and-rings.md shows.
SIZES = "^forward/[^/]+/[^/]+/warm/burst:[0-9]+(/ring:[0-9]+)?/iter"
TRICKLE = "^forward/[^/]+/(scalar|WIDE)/[^/]+/burst:[0-9]+/trickle"
LATENCY = "^latency/[^/]+/(scalar|WIDE)/"
PARTS = "^(forward/pollux/scalar/[a-z]+/burst:(1|32)|forward_offload/pollux/scalar/warm/burst:32)/iter"


class Run:
    def __init__(self, options: argparse.Namespace):
        self._options = options
        self._bench = options.build / "bench"
        self._side: list[dict] = []
        self._languages: list[dict] = []
        self._records: list[dict] = []
        self._context: dict = {}
        self._parts: dict[str, list[dict]] = {}
        self._left_out: list[str] = []

    def run(self) -> None:
        try:
            self._measure()
            self._baselines()
        finally:  # measurements before a failed step are kept
            if self._side:
                self._show()
                self._write()

    def _measure(self) -> None:
        with huge_pages(self._options.huge_pages):
            self._side_by_side()
            self._in_languages()
            if self._options.quick:
                if self._options.plots:
                    self._step("bursts and rings", "faked_card_bench", SIZES)
                return
            for what, program, pattern in (("every case", "faked_card_bench", TABLE), ("rings", "faked_card_bench", RINGS),
                                           ("pools", "faked_card_bench", POOLS), ("frames", "faked_card_bench", FRAMES),
                                           ("trickle", "faked_card_bench", TRICKLE), ("marked frames", "faked_card_bench", MARKED),
                                           ("latency", "latency_bench", LATENCY)):
                self._step(what, program, pattern)
            if self._options.ablation:
                for program in sorted(self._bench.glob("without_*")):
                    if os.access(program, os.X_OK) and program.is_file():
                        self._part(program)

    def _side_by_side(self) -> None:
        start = time.monotonic()
        tell(f"[side by side] {bench_side.PROCESSES} processes, {SIDE_RUNS} runs of each in each ...")
        load, date = os.getloadavg(), time.strftime("%Y-%m-%d")
        self._side, context = bench_side.measure(self._bench / "side_by_side", self._options.core, SIDE_RUNS, STEP_SECONDS)
        self._context = context | {"load_avg": load, "date": date}
        tell(f"[side by side] {time.monotonic() - start:.0f} s")

    def _in_languages(self) -> None:
        start = time.monotonic()
        programs = bench_languages.programs(self._options.build, ROOT)
        for name in bench_languages.LANGUAGES:
            if name not in programs:
                tell(f"LEFT OUT: {name}, whose program was not built")
        tell(f"[languages] {', '.join(programs)} ...")
        self._languages = bench_languages.measure(programs, self._options.core, rate(self._context))
        if "Python" in programs and os.geteuid() == 0 and importlib.util.find_spec("scapy"):
            script = ["unshare", "-n", "/usr/bin/python3", str(ROOT / "bench/languages/scapy_sockets.py")]
            self._languages += bench_languages.measure_sockets(script, programs["Python"][1], self._options.core, rate(self._context))
        else:
            tell("LEFT OUT: receiving in Python, which needs the package, scapy (package python3-scapy) and root, for a veth of its own")
        tell(f"[languages] {time.monotonic() - start:.0f} s")

    def _step(self, what: str, program: str, pattern: str) -> None:
        records, _ = self._measured(what, program, pattern)
        self._records += records

    def _part(self, program: pathlib.Path) -> None:
        part = program.name.removeprefix("without_")
        self._parts[part], _ = self._measured(f"without {part.replace('_', ' ')}", program.name, PARTS)

    def _measured(self, what: str, program: str, pattern: str) -> tuple[list[dict], dict]:
        start = time.monotonic()
        tell(f"[{what}] ...")
        pattern = pattern.replace("WIDE", widest(self._records))
        records, context, left_out = measure(self._bench / program, pattern, self._options.core, STEP_SECONDS)
        for line in left_out:
            if line not in self._left_out:
                tell(line)
                self._left_out.append(line)
        tell(f"[{what}] {len(records)} cases, {time.monotonic() - start:.0f} s")
        return records, context

    def _baselines(self) -> None:
        """Runs the baselines; their program prints its own tables."""
        if not self._options.baselines:
            return
        tell("[baselines] ...")
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "baselines.json"
            command = [str(self._options.baselines), "--json", str(file)]
            sys.stdout.flush()
            with subprocess.Popen(command, stdin=subprocess.DEVNULL) as program:
                try:
                    status = program.wait()
                except BaseException:
                    # Terminated, not killed, so that it can end its guest. It has no process group of its own, since sudo may need the terminal.
                    program.terminate()
                    raise
            if status != 0:
                raise LabError(f"'{' '.join(command)}' ended with status {status}", "see above, or leave the baselines out: --no-baselines")
            self._records += json.loads(file.read_text())

    def _tables(self) -> list[tuple[str, str, list[list[str]]]]:
        ticks = rate(self._context)
        tables = [("Side by side", self._remark(), bench_side.table(bench_side.rows_of(self._side, "main")))]
        for title, remark, make in (("82574", bench_side.E1000E_REMARK, bench_side.e1000e_table),
                                    ("virtio-net", bench_side.VIRTIO_REMARK, bench_side.virtio_table),
                                    ("vmxnet3", bench_side.VMXNET3_REMARK, bench_side.vmxnet3_table),
                                    ("On the bus", bench_scale.BUS_REMARK, bench_scale.bus_table),
                                    ("Queues and threads", bench_scale.SCALE_REMARK, bench_scale.scale_table),
                                    ("Arrivals", bench_scale.ARRIVALS_REMARK, bench_scale.arrivals_table),
                                    ("Arrivals on virtio-net", bench_scale.VIRTIO_ARRIVALS_REMARK, bench_scale.virtio_arrivals_table),
                                    ("What features cost", bench_scale.FEATURES_REMARK, bench_scale.feature_table)):
            if len(cells := make(self._side)) > 1:
                tables.append((title, remark, cells))
        for title, remark, make in (("Languages", bench_languages.REMARK, bench_languages.table),
                                    ("Receiving in Python", bench_languages.SOCKETS_REMARK, bench_languages.sockets_table)):
            if len(cells := make(self._languages)) > 1:
                tables.append((title, remark, cells))
        if self._options.quick or not self._records:
            return tables
        tables += [("The budget", f"At 1 Gb/s a frame of 64 bytes takes 672 ns, {672e-9 * ticks:,.0f} ticks on this machine. The shares of one core "
                                 "are calculated: they do not include the card and the bus.", bench_table.budget_rows(self._records, ticks)),
                  ("Every case", "Cycles: median of seven repetitions [min to max].", bench_table.every_row(self._records)),
                  ("Latency", "From the write-back of 64 frames at once to the return of the tx_burst that sent each.",
                   bench_table.latency_rows(self._records))]
        if self._parts:
            tables.append(("What each technique gains", "The hot path with one part left out.",
                           bench_table.part_rows(self._records, self._parts)))
        return tables

    def _remark(self) -> str:
        return bench_side.REMARK if self._context["dpdk"] != "none" else f"{bench_side.WITHOUT_DPDK} {bench_side.REMARK}"

    def _show(self) -> None:
        print(f"\n{machine(self._context)}")
        for title, remark, rows in self._tables():
            print(f"\n{title}\n{bench_table.text(rows)}\n{filled(remark, 140)}", flush=True)

    def _write(self) -> None:
        """Writes all files that can be written, even if one fails."""
        failed = []
        for write in (self._write_json, self._write_markdown, self._write_plots):
            try:
                write()
            except OSError as error:
                failed.append(str(error))
        if failed:
            raise LabError("; ".join(failed), "the tables are printed above; name a writable place for the next run")

    def _write_json(self) -> None:
        if self._options.json:
            parts = [{**record, "who": f"pollux without {part.replace('_', ' ')}"} for part, records in self._parts.items() for record in records]
            self._options.json.write_text(json.dumps(self._side + self._languages + self._records + parts, indent=1) + "\n")
            tell(f"wrote {self._options.json}")

    def _write_markdown(self) -> None:
        """A page that has the two lines of bench_side gets its tables alone, between them. Any other file is written anew, with all tables."""
        file = self._options.markdown
        if not file:
            return
        tables = {title: f"{bench_table.markdown(rows)}\n\n{filled(remark, 140)}\n" for title, remark, rows in self._tables()}
        first = "\n".join(text for title, text in tables.items() if title in PAGE)
        page = bench_side.replaced(file.read_text() if file.exists() else "", f"{filled(machine(self._context), 139)}.\n\n{first}\n")
        if page is None:
            page = "\n".join([f"{machine(self._context)}\n", *[f"## {title}\n\n{text}" for title, text in tables.items()]])
        file.write_text(page)
        for written in dict.fromkeys((file.resolve(), *readme_figures.update(file))):
            tell(f"wrote {written}")

    def _write_plots(self) -> None:
        if self._options.plots:
            to, where = self._options.plots, machine(self._context)
            written = bench_plots.side_by_side(bench_side.rows_of(self._side, "main"), to, where) + bench_plots.sizes(self._records, to, where)
            for file in written + ([] if self._options.quick else bench_plots.draw(self._records, to, where)):
                tell(f"wrote {file}")


def rate(context: dict) -> float:
    """Ticks of the time stamp counter per second."""
    return float(context["time stamp counter"].split()[0]) * 1e9


DPDK_PAGES = 64  # that bench/side_by_side gives to DPDK


def filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False)  # the names of files have some


def machine(context: dict) -> str:
    dpdk = "no DPDK" if context["dpdk"] == "none" else context["dpdk"]
    pages = context["free huge pages"]
    lacks = context["dpdk"] != "none" and pages.isdigit() and int(pages) < DPDK_PAGES
    too_few = " (too few for DPDK, which is faster with them)" if lacks else ""
    return (f"{context['processor']}, time stamp counter {context['time stamp counter']}, {context['compiler']}, {dpdk}, "
            f"{pages} huge pages free{too_few}, load {context['load_avg'][0]:.1f}, {context['date'][:10]}")


@contextlib.contextmanager
def huge_pages(wanted: bool) -> Iterator[None]:
    """Reserves the missing huge pages, and releases them at the end."""
    total, missing = int(HUGE_PAGES_FILE.read_text()), HUGE_PAGES - free_huge_pages()
    if not wanted or missing <= 0:
        yield
        return
    with contextlib.suppress(OSError):
        HUGE_PAGES_FILE.write_text(str(total + missing))
    if free_huge_pages() < HUGE_PAGES:
        tell(f"WITHOUT HUGE PAGES for the largest pools: {free_huge_pages()} of {HUGE_PAGES} are free, which causes TLB misses. "
             f"As root: echo {HUGE_PAGES} > {HUGE_PAGES_FILE}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            HUGE_PAGES_FILE.write_text(str(total))


def free_huge_pages() -> int:
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--huge-pages", action="store_true")
    parser.add_argument("--baselines", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--plots", type=pathlib.Path)
    options = parser.parse_args()
    end_on_signals()
    try:
        Run(options).run()
    except LabError as error:
        tell(f"tools/bench: error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
