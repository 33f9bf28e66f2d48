# SPDX-License-Identifier: BSD-3-Clause
"""The demo on the backends that need no guest: the card inside the process, and QEMU's without a guest."""

import argparse
import pathlib
import subprocess

from . import programs
from .demo_figures import Figures
from .errors import LabError

DEFECT = "this is a defect: report what you see"
DEFAULT_SIZE = 64
START_SECONDS = 60


class LocalDemo:
    """Two ports that are each other's link partner: l2fwd circulates frames, pktgen sends and checks them."""

    def __init__(self, options: argparse.Namespace, scheme: str, what: str, window: int | None):
        self._options = options
        self._ports = [f"{scheme}:0", f"{scheme}:1"]
        self._window = [] if window is None else ["--window", str(window)]
        # At most as many as a receive ring and the wire hold at once.
        self._round = window or 256
        self._figures = Figures(scheme, what)

    def run(self) -> Figures:
        l2fwd, pktgen = programs.built_programs(self._options.build, ["l2fwd", "pktgen"])
        seconds = self._options.seconds
        size = self._options.size or DEFAULT_SIZE
        forwarded = self._run(l2fwd, "--circulate", str(self._round), "--seconds", str(seconds))
        generated = self._run(pktgen, "--check", *self._window, "--size", str(size), "--seconds", str(seconds))
        if generated["corrupt"] or not generated["good"]:
            raise LabError(f"pktgen received {generated['good']} good and {generated['corrupt']} corrupt frames", DEFECT)
        lost = generated["sent"] - generated["received"]
        self._figures.checked = (generated["good"], generated["sent"])
        self._figures.forwarded_mpps = forwarded["mpps"]
        self._figures.generated_mpps = generated["received"] / generated["seconds"] / 1e6
        print("\n".join([
            f"{self._figures.backend:<10} {self._figures.what}",
            f"forward    {forwarded['mpps']:.3f} Mpps: l2fwd {' '.join(self._ports)}, {self._round} circulating frames, "
            f"{forwarded['seconds']:.1f} s",
            f"           {_accounted(forwarded)}",
            f"content    {generated['good']:,} frames of {size} bytes sent, received and checked byte by byte: "
            f"{self._figures.generated_mpps:.3f} Mpps, {lost:,} lost, none corrupt",
        ]), flush=True)
        return self._figures

    def _run(self, program: pathlib.Path, *words: str) -> dict:
        command = [str(program), *self._ports, *words, "--burst", str(self._options.burst), "--quiet", "--json"]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                   timeout=self._options.seconds + START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"'{' '.join(command)}' did not end", DEFECT, str(error.stderr or "")) from error
        if ended.returncode != 0:
            raise LabError(f"'{' '.join(command)}' ended with status {ended.returncode}", "see its message",
                           ended.stderr + ended.stdout[-1000:])
        summary = programs.summary_in(ended.stdout)
        if not summary["conserved"]:
            raise LabError(f"the counts of '{' '.join(command)}' do not add up", DEFECT, str(summary))
        return summary


def _accounted(summary: dict) -> str:
    named = ", ".join(f"{name} {count}" for name, count in summary["drops"].items() if count) or "none"
    return (f"made {summary['made']:,} + received {summary['received']:,} = sent {summary['sent']:,} + dropped "
            f"{sum(summary['drops'].values()):,} ({named}) + in flight {summary['in_flight']:,}")
