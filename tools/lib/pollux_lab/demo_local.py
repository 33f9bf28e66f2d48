# SPDX-License-Identifier: BSD-3-Clause
"""The demo on the backends that need no guest: the card inside the process, and QEMU's without a guest."""

import argparse
import subprocess

from . import programs
from .demo_figures import Figures
from .demo_progress import tell
from .errors import LabError

DEFECT = "this is a defect: report what you see"
DEFAULT_SIZE = 64
START_SECONDS = 60
FIRST_FRAMES = 100_000


class LocalDemo:
    """Two ports that are each other's link partner: l2fwd circulates frames, pktgen sends and checks them."""

    def __init__(self, options: argparse.Namespace, scheme: str, what: str, window: int | None):
        self._options = options
        self._ports = [f"{scheme}:0", f"{scheme}:1"]
        self._window = [] if window is None else ["--window", str(window)]
        # At most as many as a receive ring and the wire hold at once.
        self._round = window or 256
        self._figures = Figures(scheme, what)
        self._size = options.size or DEFAULT_SIZE

    def first(self) -> None:
        """Frames soon after the build; no rate is measured, since something may run beside."""
        generated = self._generate("--count", str(FIRST_FRAMES))
        tell(f"pktgen {' '.join(self._ports)}: {self._content(generated)}")

    def run(self) -> Figures:
        seconds = ["--seconds", str(self._options.seconds)]
        forwarded = self._run("l2fwd", "--circulate", str(self._round), *seconds)
        generated = self._generate(*seconds)
        self._figures.checked = (generated["good"], generated["sent"])
        self._figures.forwarded_mpps = forwarded["mpps"]
        self._figures.generated_mpps = generated["received"] / generated["seconds"] / 1e6
        print("\n".join([
            f"{self._figures.backend:<10} {self._figures.what}",
            f"forward    {forwarded['mpps']:.3f} Mpps: l2fwd {' '.join(self._ports)}, {self._round} circulating frames, "
            f"{forwarded['seconds']:.1f} s",
            f"           {_accounted(forwarded)}",
            f"content    {self._content(generated)}: {self._figures.generated_mpps:.3f} Mpps",
        ]), flush=True)
        return self._figures

    def _generate(self, *words: str) -> dict:
        generated = self._run("pktgen", "--check", *self._window, "--size", str(self._size), *words)
        if generated["corrupt"] or not generated["good"]:
            raise LabError(f"pktgen received {generated['good']} good and {generated['corrupt']} corrupt frames", DEFECT)
        return generated

    def _content(self, generated: dict) -> str:
        lost = generated["sent"] - generated["received"]
        return (f"{generated['good']:,} frames of {self._size} bytes sent, received and checked byte by byte, {lost:,} lost, "
                "none corrupt")

    def _run(self, name: str, *words: str) -> dict:
        program, = programs.built_programs(self._options.build, [name])
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
