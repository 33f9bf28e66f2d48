# SPDX-License-Identifier: BSD-3-Clause
"""The steps of tools/test, in their order, with what each needs. --list, --only, --ci, --full and --resume all use this table."""

import pathlib
from functools import partial
from itertools import chain

from . import build_steps, runner_steps
from .errors import UsageError
from .junit import Result
from .steps import CI, FULL, PLAIN, Options, Step, left_out

COMPILERS = ("build", "test")
TOOLS_OF_TESTS = (*COMPILERS, "emulator", "guest", "interop", "plots", "python", "qemu", "kernel-files")
GUESTS = (*TOOLS_OF_TESTS, "kernel")


def build(preset: str, what: str, **facts) -> Step:
    return Step(f"build.{preset}", what, partial(build_steps.build, preset=preset), packages=COMPILERS, **facts)


def unit(preset: str, what: str, **facts) -> Step:
    return Step(f"unit.{preset}", what, partial(build_steps.unit_tests, preset=preset), (f"build.{preset}",),
                packages=TOOLS_OF_TESTS, **facts)


def long(preset: str) -> Step:
    return Step(f"long.{preset}", f"the long tests of the {preset} build: soaks, many restarts, large searches",
                partial(build_steps.long_tests, preset=preset), (f"build.{preset}",), depth=FULL,
                packages=(*TOOLS_OF_TESTS, "rust"))


# The costs are processor seconds of a Xeon of 2023 at 2.3 GHz, with an empty compiler cache.
FIRST = [
    Step("build.first", "the library and the tests of its lowest layers", build_steps.build_first, packages=COMPILERS,
         cost={PLAIN: 200, CI: 200}),
    Step("unit.first", "the tests of the lowest layers", build_steps.unit_tests_first, ("build.first",), packages=COMPILERS, cost={PLAIN: 7, CI: 7}),
    build("release", "the optimised build: examples, tools and tests", needs=("build.first",), cost={PLAIN: 520, CI: 600}),
]
# Guests wait for links and for each other most of the time, so two run in the background of the steps of BESIDE_GUESTS: each of these
# lists is one after the other, and they take about as long.
IN_BACKGROUND = [
    [Step("guest.release", "tests in a guest, over VFIO", partial(runner_steps.guest_tests, preset="release", kernels="stock"),
          ("build.release",), packages=GUESTS, cost={PLAIN: 55, CI: 500})],
    [Step("interop", "third-party drivers on QEMU's cards and on the in-process card", runner_steps.interop,
          ("build.release",), packages=GUESTS, full_packages=("baselines",), cost={PLAIN: 60, CI: 260}),
     Step("guest.kernels", "the same on other kernels than the distribution's: with all of VFIO, and a newer one",
          partial(runner_steps.guest_tests, preset="release", kernels="others"), ("build.release",), depth=CI, packages=GUESTS,
          cost={CI: 450})],
]
BESIDE_GUESTS = [
    unit("release", "unit tests, the examples and tools, and QEMU's cards without a guest", full_packages=("rust",),
         cost={PLAIN: 550, CI: 550}),
    Step("check", "tools/check: format, layers, headers, clang-tidy and others", runner_steps.check_what_changed, depth=CI, cost={CI: 60},
         packages=(*COMPILERS, "check")),
    long("release"),
    build("asan", "the build with address and undefined behaviour sanitizers, and the fuzzers; with --full also the examples and tools",
          depth=CI, cost={CI: 620}),
    unit("asan", "unit tests of the sanitized build", depth=CI, cost={CI: 330}),
    long("asan"),
    Step("coverage", "the share of the library's lines that these tests ran", build_steps.coverage, ("unit.asan",), depth=CI,
         packages=COMPILERS),
    build("debug", "the unoptimised build", depth=FULL),
    unit("debug", "unit tests of the unoptimised build", depth=FULL),
    long("debug"),
    build("tsan", "the build with the thread sanitizer; without --full only the tests with several threads", depth=CI, cost={CI: 150}),
    unit("tsan", "unit tests of the build with the thread sanitizer", depth=CI, cost={CI: 45}),
    long("tsan"),
    Step("fuzz", "each fuzzer for some thousand inputs; with --full for ten minutes", build_steps.fuzz, ("build.asan",), depth=CI,
         packages=COMPILERS, cost={CI: 110}),
]
LAST = [
    Step("guest.asan", "the tests in a guest again, on the sanitized build", partial(runner_steps.guest_tests, preset="asan", kernels="all"),
         ("build.asan",), depth=FULL, packages=GUESTS),
    Step("build.aarch64", "the build for 64-bit Arm", build_steps.build_for_arm, depth=FULL, packages=COMPILERS),
    Step("unit.aarch64", "unit tests on 64-bit Arm, emulated", build_steps.unit_tests_for_arm, ("build.aarch64",), depth=FULL,
         packages=TOOLS_OF_TESTS),
    Step("mutation", "deliberate mistakes, most of which the tests have to detect", runner_steps.mutation, depth=FULL,
         packages=TOOLS_OF_TESTS),
    Step("abi", "the shared library's interface, compared with the last tag's", runner_steps.abi, depth=FULL,
         packages=(*COMPILERS, "abi")),
    Step("packages", "the Debian packages, built and tried in fresh trees of Debian 12 and 13", runner_steps.packages, depth=FULL,
         packages=("debs",)),
    Step("claims", "the claims of the documents, compared with the results of all steps", runner_steps.compare_claims),
]
STEPS = [*FIRST, *chain.from_iterable(IN_BACKGROUND), *BESIDE_GUESTS, *LAST]
JUDGES_ALL = "claims"  # can only be judged on a run of all steps

# Parts of steps that a --ci run leaves to --full.
CI_LEAVES_OUT = {
    "build.release.bench": "the benchmarks that no test runs",
    "unit.once": "suites that depend on no build on both, the optimised and the sanitized one",
    "build.asan.programs": "the examples and tools with sanitizers, and their tests",
    "build.asan.pointers": "checks of null, misaligned and overflowing pointers before they are used",
    "build.tsan.rest": "the thread sanitizer on tests that have one thread",
}


def of_run(depth: str) -> list[Step]:
    return [step for step in STEPS if Options(pathlib.Path(), depth=depth).reaches(step.depth)]


def left_out_of(depth: str) -> list[Result]:
    """What a run of this depth says about what only deeper runs do."""
    deeper = [left_out(step.name, step.what, remedy=f"--{step.depth} runs it") for step in STEPS if step not in of_run(depth)]
    parts = CI_LEAVES_OUT if depth == CI else {}
    return [*deeper, *(left_out(name, why) for name, why in parts.items())]


def with_needs(names: set[str]) -> set[str]:
    """These steps and all that they need."""
    chosen, left = set(), list(names)
    by_name = {step.name: step for step in STEPS}
    while left:
        name = left.pop()
        if name not in chosen:
            chosen.add(name)
            left += by_name[name].needs
    return chosen


def choose(options: Options) -> set[str]:
    """The names of the steps that run. Raises UsageError for a name in --only that does not belong to this run."""
    there = [step.name for step in of_run(options.depth)]
    if not options.only:
        return set(there)
    for name in options.only:
        if name == JUDGES_ALL:
            raise UsageError(f"'{name}' can only be judged on a run of all steps", "run it without --only")
        deeper = next((step.depth for step in STEPS if step.name == name), None)
        if name not in there and deeper:
            raise UsageError(f"the step '{name}' belongs to --{deeper}", f"add --{deeper}")
        if name not in there:
            raise UsageError(f"there is no step '{name}'",
                           f"name one or several of these, separated by commas: {', '.join(set_aside(there, JUDGES_ALL))}")
    return with_needs(set(options.only))


def set_aside(names: list[str], one: str) -> list[str]:
    return [name for name in names if name != one]


def packages(options: Options) -> list[str]:
    """What tools/test installs and prepares for these steps, each once, in the order of the table."""
    chosen = choose(options)
    words = [word for step in of_run(options.depth) if step.name in chosen
             for word in (*step.packages, *(step.full_packages if options.depth == FULL else ()))]
    return list(dict.fromkeys(words))


def listing(chosen: set[str]) -> str:
    """The chosen steps, or all."""
    shown = [step for step in STEPS if step.name in chosen or not chosen]
    width = max(len(step.name) for step in shown)
    return "\n".join(f"{step.name:<{width}}  {step.depth:<5}  {step.what}" for step in shown)
