# SPDX-License-Identifier: BSD-3-Clause
"""Steps that call other runners of the project: checks, guests, third-party drivers, mutation tests, and the documents' claims."""

import os

from . import check_results, claims, features, junit
from .commands import tell
from .steps import StepRun

# A sample of the mutants of tests/mutation. Some that survive may be equivalent; not all were examined.
MUTANTS, MUTANTS_KILLED = 60, 75  # the size of the sample, and the percentage that tests have to detect


def check(step: StepRun, *words: str) -> None:
    """Runs tools/check; each check has its own result."""
    read_checks(step, "check", [str(step.root / "tools/check"), *words])


def abi(step: StepRun) -> None:
    read_checks(step, "abi", [str(step.root / "tools/abi")])


def packages(step: StepRun) -> None:
    read_checks(step, "packages", [str(step.root / "tools/packages")])


def read_checks(step: StepRun, name: str, words: list[str]) -> None:
    log = step.reports / f"{name}.log"
    status = step.command(words, log)
    step.collect(name, check_results.read(log.read_text(errors="replace")), status)


def guest_tests(step: StepRun, preset: str) -> None:
    in_guests(step, f"guest.{preset}", "tests/guest/run", preset)


def interop(step: StepRun) -> None:
    """Runs third-party drivers on QEMU's cards and on the in-process card."""
    in_guests(step, "interop", "tests/interop/run", "release")


def in_guests(step: StepRun, suite: str, runner: str, preset: str) -> None:
    report = step.reports / f"{suite.replace('.', '-')}.xml"
    status = step.command([str(step.root / runner), "--build", str(step.build_folder(preset)), "--kernel", step.options.kernel,
                           "--junit", str(report), *(["--full"] if step.full else [])])
    step.collect(suite, junit.read_if_written(report, suite), status)


def mutation(step: StepRun) -> None:
    report = step.reports / "mutation.xml"
    status = step.command([str(step.root / "tests/mutation/run"), "lib/**/*.cpp", "lib/**/*.hpp", "--junit", str(report),
                           "--sample", str(MUTANTS), "--minimum", str(MUTANTS_KILLED), "--jobs", str(os.cpu_count() or 1)])
    step.collect("mutation", junit.read_if_written(report, "mutation"), status)


def compare_claims(step: StepRun) -> None:
    """Compares the documents' claims with all results so far."""
    results = features.check(step.root, claims.Run(step.earlier.results))
    step.collect("claims", results, 0)
    tell("\n".join(result.detail for result in results if result.state == "failed"))
