# SPDX-License-Identifier: BSD-3-Clause
"""l2fwd is started, ended, killed and started again."""

import json

from cases.boots import A, B, C, D, G, H, LAB, TWO_CPUS
from cases.conservation import start_generator
from cases.forwarding import pass_frames, require_counts
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require
from pollux_lab.programs import summary_in


def restart(fixture: Fixture, times: int) -> None:
    """Starts and stops l2fwd between A and B, which must be bound, and passes frames each time."""
    for _ in range(times):
        with fixture.l2fwd(A, B) as l2fwd:
            passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100)
            require_counts(l2fwd.stop(), passed)


@case(LAB)
def four_restarts_each_pass_frames(fixture: Fixture) -> None:
    fixture.bind(A, B)
    restart(fixture, 4)


@case(LAB, long="four hundred restarts, some fifteen minutes")
def four_hundred_restarts_each_pass_frames(fixture: Fixture) -> None:
    fixture.bind(A, B)
    restart(fixture, 400)


@case(TWO_CPUS)
def ctrl_c_under_load_ends_with_counts_that_add_up(fixture: Fixture) -> None:
    fixture.bind(C, D, G, H)
    for signal in ("INT", "TERM"):
        with fixture.l2fwd(C, D) as l2fwd:
            start_generator(fixture, "")
            summary = l2fwd.stop(signal)
            generator = summary_in(fixture.guest.check("interrupt generator; finish generator 20"))
        require(generator["sent"] > summary.received, f"the generator ended too early: {generator}, {summary}")
        require(summary.conserved, f"after SIG{signal} the counts do not add up: {summary}")
        require(summary.sent > 0, f"nothing was forwarded before SIG{signal}: {summary}")


# Lists all files that a program could leave behind. Excludes those in /run that the test's jobs create.
FILES = "find /dev/shm /dev/hugepages /tmp /var /root /run -type f | grep -v '^/run/job/\\|^/run/l2fwd\\.' | sort"


def kill(fixture: Fixture) -> None:
    """Kills a forwarder while it runs. It must leave no file and no allocated huge page."""
    files = fixture.guest.check(FILES)
    with fixture.l2fwd(A, B) as l2fwd:
        pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100)
        fixture.guest.run("interrupt l2fwd KILL; finish l2fwd 10; true")
        l2fwd.ended()
    total = fixture.guest.machine.huge_pages
    fixture.guest.check(f'await 5 sh -c \'. /lib/lab.sh; [ "$(free_huge_pages)" = {total} ]\' || fail huge pages are not free')
    left = fixture.guest.check(FILES)
    require(left == files, f"files before:\n{files}and after:\n{left}")


@case(LAB)
def a_killed_forwarder_leaves_nothing_and_the_next_one_works(fixture: Fixture) -> None:
    fixture.bind(A, B)
    kill(fixture)
    restart(fixture, 1)


@case(LAB)
def it_ends_by_itself_after_the_seconds_given(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--seconds 3") as l2fwd:
        summary = l2fwd.stop(signal="")
        lines = [json.loads(line) for line in fixture.guest.check("cat /run/l2fwd.out").splitlines()]
    require(summary.conserved, str(summary))
    require(summary.raw["seconds"] >= 3, f"it ended after {summary.raw['seconds']} s")
    require(2 <= len(lines) - 1 <= 4, f"{len(lines) - 1} lines of statistics in 3 s")


@case(LAB)
def it_ends_by_itself_after_the_packets_given(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B, options="--packets 500") as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 500)
        require_counts(l2fwd.stop(signal=""), passed)
