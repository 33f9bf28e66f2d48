# SPDX-License-Identifier: BSD-3-Clause
"""The steps of tools/test --quick: the quick checks, and the unit tests that concern the changed files, without QEMU."""

from functools import partial

from . import build_steps, concerned, ctest_results, runner_steps
from .ctest_results import Known
from .junit import Result
from .steps import PLAIN, Step, StepRun, left_out

PACKAGES = ("build", "test", "check", "interop", "plots", "python")  # all but QEMU and what is for guests
CHECKS = ["licence", "length", "words", "format", "shell", "layers"]
LEFT_OUT_CHECKS = {"check.headers": "each public header alone, with two compilers", "check.tidy": "clang-tidy"}
LEFT_OUT_LABELS = {"qemu": "it needs QEMU", build_steps.LONG_LABEL: "long"}
REMEDY = "a run without --quick has it"
PRESET = "release"
CONFORMANCE = "conformance"  # it would also start QEMU


def table(changed: list[str]) -> list[Step]:
    return [Step("check", "the quick checks", check),
            Step("build.release", "what the tests of the changed files need", partial(build, changed=changed)),
            Step("unit.release", "the unit tests that concern the changed files", partial(unit_tests, changed=changed),
                 ("build.release",))]


def left_out_of(steps: list[Step]) -> list[Result]:
    """What the results say about these steps of other runs."""
    return [left_out(step.name, "--quick leaves it out", remedy=REMEDY if step.depth == PLAIN else f"--{step.depth} runs it") for step in steps]


def check(step: StepRun) -> None:
    runner_steps.check(step, *CHECKS)
    for name, why in LEFT_OUT_CHECKS.items():
        step.left_out(name, why, "check", "--ci runs it")


def build(step: StepRun, changed: list[str]) -> bool:
    if not build_steps.configure(step, PRESET):
        return False
    targets = sorted({target for test in tests_of(changed, known(step)) for target in targets_of(test, step)})
    return not targets or build_steps.compile_targets(step, PRESET, targets)


def unit_tests(step: StepRun, changed: list[str]) -> None:
    there = known(step)
    chosen = tests_of(changed, there)
    suite = f"unit.{PRESET}"
    if chosen:
        pattern = "|".join(test.name.replace(".", "[.]") for test in chosen)
        build_steps.run_ctest(step, PRESET, suite, ["-R", f"^({pattern})$"], prefix=("env", "POLLUX_CONFORMANCE_SKIP=qtest"))
    if any(test.name.startswith(CONFORMANCE) for test in chosen):
        step.left_out(f"{CONFORMANCE} on qtest", "it needs QEMU", suite, REMEDY)
    for test in tests_of(changed, there, runnable=False):
        step.left_out(test.name, why_left_out(test), suite, REMEDY)
    others = len(there) - len(chosen)
    step.left_out("unit tests of other files", f"{others} test programs and scripts that no changed file concerns", suite, REMEDY)
    if without := [path for path in changed if not tests_of([path], there)]:
        step.left_out("files without a quick test", " ".join(without), suite, REMEDY)


def known(step: StepRun) -> list[Known]:
    return ctest_results.known_tests(step.build_folder(PRESET))


def tests_of(changed: list[str], there: list[Known], runnable: bool = True) -> list[Known]:
    """The tests that concern these files: those that --quick can run, or those that it cannot."""
    names = {name for path in changed for name in concerned.tests(path)}
    return [test for test in there if concerns(names, test) and bool(why_left_out(test)) != runnable]


def concerns(names: set[str], test: Known) -> bool:
    program, _, shard = test.name.partition(".")
    return test.folder in names or (program in names and (not shard or shard.isdigit()))


def why_left_out(test: Known) -> str:
    return "; ".join(why for label, why in LEFT_OUT_LABELS.items() if label in test.labels)


def targets_of(test: Known, step: StepRun) -> list[str]:
    """What has to be built for a test. ctest does not say the command of a program that was never built."""
    if not test.command:
        return [f"{test.name.partition('.')[0]}_test"]
    folder = step.build_folder(PRESET)
    words = [word.removeprefix(f"{folder}/") for word in test.command if word.startswith(f"{folder}/")]
    return [word for word in words if "." not in word]  # programs have no suffix
