# SPDX-License-Identifier: BSD-3-Clause
"""Google Benchmark's output as a list of records, in the format that --json writes."""

import json
import pathlib
import subprocess

from .errors import LabError

DEFAULTS = {"ring": 512, "pool": 8192, "frame": 64, "queues": 1}
_STATISTICS = {"median": "cycles_median", "min": "cycles_min", "max": "cycles_max"}


def measure(program: pathlib.Path, pattern: str, core: int, seconds: float) -> tuple[list[dict], dict, list[str]]:
    """Runs the cases whose names match, pinned to one core and without address randomisation. Returns the records, the
    program's context, and the cases that this processor cannot run."""
    command = ["taskset", "-c", str(core), "setarch", "-R", str(program), "--benchmark_format=json",
               f"--benchmark_filter={pattern}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"'{' '.join(command)}' did not end within {seconds:.0f} s", "is the machine busy? Try --quick") from error
    if ended.returncode != 0:
        raise LabError(f"'{' '.join(command)}' ended with status {ended.returncode}", "see its message", ended.stderr[-2000:])
    parsed = json.loads(ended.stdout)
    left_out = [line for line in ended.stderr.splitlines() if line.startswith("LEFT OUT")]
    return records_of(parsed["benchmarks"]), parsed["context"], left_out


def records_of(benchmarks: list[dict]) -> list[dict]:
    """One record per case, from its rows of median, minimum and maximum."""
    records: dict[str, dict] = {}
    for row in benchmarks:
        if row.get("aggregate_name") not in _STATISTICS:
            continue
        record = records.setdefault(row["run_name"], _described(row["run_name"]))
        if "cycles" in row:
            record[_STATISTICS[row["aggregate_name"]]] = round(row["cycles"], 3)
        if row["aggregate_name"] == "median":
            record |= {name: round(row[name], 3) for name in ("instructions", "p50_ns", "p99_ns", "p99.9_ns") if name in row}
    return list(records.values())


def _described(name: str) -> dict:
    """The record of a case named CASE/WHO/INSTRUCTION SET/TEMPERATURE/burst:N/..., as in faked_card_bench.cpp; the rest of the
    name has values other than the defaults."""
    case, who, instruction_set, temperature, *rest = name.split("/")
    record = {"where": f"native-{temperature}", "case": case, "path": "scalar" if instruction_set == "scalar" else "simd",
              "instruction_set": instruction_set, "who": who.replace("_", " ")}
    for word in rest:
        key, _, value = word.partition(":")
        if key in ("burst", *DEFAULTS):
            record[key] = int(value)
        elif key == "trickle":
            record["arrival"] = "trickle"
        elif key == "marked":
            record["marked"] = True
    return record


def widest(records: list[dict]) -> str:
    """The widest instruction set that was measured."""
    return next((name for name in ("avx512", "avx2") if any(record.get("instruction_set") == name for record in records)), "scalar")


def find(records: list[dict], **wanted) -> dict | None:
    """The record with these values; all other quantities must have their defaults."""
    for record in records:
        keys = set(wanted) | set(DEFAULTS) | {"arrival", "marked"}
        if all(record.get(key, DEFAULTS.get(key)) == wanted.get(key, DEFAULTS.get(key)) for key in keys):
            return record
    return None
