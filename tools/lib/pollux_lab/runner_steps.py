# SPDX-License-Identifier: BSD-3-Clause
"""Steps that call other runners of the project: checks, guests, third-party drivers, mutation tests, and the documents' claims."""

import pathlib
import re
import subprocess

from . import check_results, claims, features, junit
from .commands import tell
from .processors import processors
from .steps import CI, FULL, PLAIN, StepRun

# A sample of the mutants of tests/mutation. Some that survive may be equivalent; not all were examined.
MUTANTS, MUTANTS_KILLED = 60, 75  # the size of the sample, and the percentage that tests have to detect
# The cases of a plain run, by their names: one pass over VFIO on one boot, and a boot for each kind of card with Linux's own driver.
PLAIN_GUEST = ("guest.frames_are_rewritten_as_dpdk_does", "guest.one_port_sends_frames_back", "guest.jumbo_frames_pass_whole",
               "guest.refusal_not_bound", "guest.refusal_no_permission_to_bind", "guest.list_and_info_are_correct",
               "guest.two_kernels_ping_and_run_tcp_through_l2fwd", "guest.it_ends_by_itself_after_the_packets_given",
               "guest.commands_test_and_show_a_card", "guest.doctor_mends_it_all_at_once", "guest.tools_show_a_running_program",
               "guest.l2fwd_forwards_between_two_virtual_functions")
PLAIN_INTEROP = ("interop.loads_and_links.model", "interop.pings.model", "interop.tcp_with_offloads.model",
                 "interop.frame_counters_add_up.model", "interop.virtio.loads_and_pings.packed",
                 "interop.virtio.tcp_with_offloads.packed")


def check(step: StepRun, *words: str) -> None:
    """Runs tools/check; each check has its own result."""
    read_checks(step, "check", [str(step.root / "tools/check"), *words])


# Whether a file has findings depends on the file and on what it includes, so a --ci run checks these only of what has changed since all
# were clean.
OF_CHANGES = ("headers", "tidy")
OF_ALL = ("licence", "length", "words", "format", "shell", "layers")
BASELINE = "tools/check-baseline"
DECIDES = (".clang-tidy", "tools/lib/check_tidy.py", "tools/lib/check_headers.py")  # with these, all is checked again


def check_what_changed(step: StepRun) -> None:
    commit = clean_commit(step.root) if step.depth == CI else ""
    if not commit:
        check(step)
        return
    check(step, *OF_ALL)
    read_checks(step, "check.changed", [str(step.root / "tools/check"), "--changed", commit, *OF_CHANGES])
    step.left_out("check of what has not changed", f"{' and '.join(OF_CHANGES)} of files that no change since {BASELINE} reaches", "check")


def clean_commit(root: pathlib.Path) -> str:
    """The commit on which all checks passed; empty if this clone lacks it, or if something that decides findings has changed since."""
    found = re.search(r"^[0-9a-f]{40}$", (root / BASELINE).read_text(), re.MULTILINE)
    if not found:
        return ""
    same = subprocess.run(["git", "-C", str(root), "diff", "--quiet", found[0], "--", *DECIDES], capture_output=True)
    return found[0] if same.returncode == 0 else ""


def abi(step: StepRun) -> None:
    read_checks(step, "abi", [str(step.root / "tools/abi")])


def packages(step: StepRun) -> None:
    read_checks(step, "packages", [str(step.root / "tools/packages")])


def read_checks(step: StepRun, name: str, words: list[str]) -> None:
    log = step.reports / f"{name}.log"
    status = step.command(words, log)
    step.collect(name, check_results.read(log.read_text(errors="replace")), status)


def guest_tests(step: StepRun, preset: str, kernels: str) -> None:
    """Runs the cases on these kernels: stock, others or all."""
    in_guests(step, f"guest.{preset}", "tests/guest/run", preset, PLAIN_GUEST, "--kernels", kernels)


def interop(step: StepRun) -> None:
    """Runs third-party drivers on QEMU's cards and on the in-process card."""
    in_guests(step, "interop", "tests/interop/run", "release", PLAIN_INTEROP)


def in_guests(step: StepRun, suite: str, runner: str, preset: str, plain: tuple[str, ...], *words: str) -> None:
    report = step.reports / f"{'-'.join([*suite.split('.'), *words[1:]])}.xml"
    depth = {PLAIN: ["--only", ",".join(plain)], CI: [], FULL: ["--full"]}[step.depth]
    status = step.command([str(step.root / runner), "--build", str(step.build_folder(preset)), "--kernel", step.options.kernel,
                           "--junit", str(report), *depth, *words])
    if step.depth == PLAIN:
        step.left_out(f"the other cases of {suite}", "a plain run has one boot of each kind", suite, "--ci runs them")
    step.collect(suite, junit.read_if_written(report, suite), status)


def mutation(step: StepRun) -> None:
    report = step.reports / "mutation.xml"
    status = step.command([str(step.root / "tests/mutation/run"), "lib/**/*.cpp", "lib/**/*.hpp", "--junit", str(report),
                           "--sample", str(MUTANTS), "--minimum", str(MUTANTS_KILLED), "--jobs", str(processors())])
    step.collect("mutation", junit.read_if_written(report, "mutation"), status)


def compare_claims(step: StepRun) -> None:
    """Compares the documents' claims with all results so far."""
    results = features.check(step.root, claims.Run(step.earlier.results, judges_all=step.depth != PLAIN))
    step.collect("claims", results, 0)
    tell("\n".join(result.detail for result in results if result.state == "failed"))
