# SPDX-License-Identifier: BSD-3-Clause
"""Starting, ending, being killed, starting again."""

import json

from cases.boots import A, B, C, D, G, H, LAB, TWO_CPUS
from cases.forwarding import pass_frames, require_counts
from pollux_lab import frames
from pollux_lab.cases import Bench, case, require


def restart(bench: Bench, times: int) -> None:
    bench.bind(A, B)
    for _ in range(times):
        with bench.l2fwd(A, B) as l2fwd:
            passed = pass_frames(bench, A, B, frames.rewritten_by_l2fwd(bench.macs[B], 1), 100)
            require_counts(l2fwd.stop(), passed)


@case(LAB)
def twenty_restarts_each_pass_frames(bench: Bench) -> None:
    restart(bench, 20)


@case(LAB, long="four hundred restarts, some fifteen minutes")
def four_hundred_restarts_each_pass_frames(bench: Bench) -> None:
    restart(bench, 400)


@case(TWO_CPUS)
def ctrl_c_under_load_ends_with_counts_that_add_up(bench: Bench) -> None:
    bench.bind(C, D, G, H)
    generator = f"pktgen {bench.uri(G)} {bench.uri(H)} --seconds 30 --size 64 --json"
    for signal in ("INT", "TERM"):
        with bench.l2fwd(C, D) as l2fwd:
            bench.guest.check(f"spawn generator {generator}; sleep 4")
            summary = l2fwd.stop(signal)
            bench.guest.run("interrupt generator; finish generator 20")
        require(summary.conserved, f"after SIG{signal} the counts do not add up: {summary}")
        require(summary.sent > 0, f"nothing was forwarded before SIG{signal}: {summary}")


@case(LAB)
def a_killed_forwarder_leaves_nothing_and_the_next_one_works(bench: Bench) -> None:
    bench.bind(A, B)
    for _ in range(3):
        with bench.l2fwd(A, B):
            pass_frames(bench, A, B, frames.rewritten_by_l2fwd(bench.macs[B], 1), 100)
            bench.guest.run("interrupt l2fwd KILL; finish l2fwd 10; true")
        free = bench.guest.check("sleep 1; free_huge_pages").strip()
        require(free == str(bench.guest.machine.huge_pages), f"only {free} huge pages are free after a kill")
    with bench.l2fwd(A, B) as l2fwd:
        require_counts(l2fwd.stop(), 0)


@case(LAB)
def it_ends_by_itself_after_the_seconds_given(bench: Bench) -> None:
    bench.bind(A, B)
    with bench.l2fwd(A, B, options="--seconds 3") as l2fwd:
        summary = l2fwd.stop(signal="")
        lines = [json.loads(line) for line in bench.guest.check("cat /run/l2fwd.out").splitlines()]
    require(summary.conserved, str(summary))
    require(2 <= len(lines) - 1 <= 4, f"{len(lines) - 1} lines of statistics in 3 s")


@case(LAB)
def it_ends_by_itself_after_the_packets_given(bench: Bench) -> None:
    bench.bind(A, B)
    with bench.l2fwd(A, B, options="--packets 500") as l2fwd:
        passed = pass_frames(bench, A, B, frames.rewritten_by_l2fwd(bench.macs[B], 1), 500)
        require_counts(l2fwd.stop(signal=""), passed)
