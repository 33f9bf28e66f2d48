# SPDX-License-Identifier: BSD-3-Clause
"""Steps that build, and that run what was built on this machine: unit tests, coverage, fuzzers, the emulated Arm."""

import json
import os
import pathlib
import re
from collections.abc import Sequence

from . import ctest_results, junit
from .commands import tell
from .junit import Result
from .steps import StepRun

# What a plain run does not build; --full builds everything. Tests of the examples and tools run on the release build, of whose
# compile time these programs take more than a quarter.
PLAIN_OPTIONS = {"asan": ["EXAMPLES", "TOOLS"]}  # parts that are switched off (POLLUX_BUILD_*)
PLAIN_TARGETS = {"tsan": ["threaded_tests"]}     # all that is built
# Suites that a plain run leaves out of a build, since the sanitized build has them. Neither they nor what they test depend on the
# build: on its checks of ownership (POLLUX_CHECKED), or on the set of instructions of the bursts.
ONCE = {"release": ["capture", "faults", "flow", "hw", "igb", "igbvf", "models", "observe", "pci", "qtest", "runtime",
                    "runtime_queueing", "sim", "steering", "trace", "vfio", "vfio_user"]}
ARM_NAMES = r"^(base|intel_queues|mem|net|sim)(\.[0-9]+)?$"  # of the programs that the preset builds
LONG_LABEL = "long"
THREADS_LABEL = "threads"  # of test programs with several threads
PLAIN_TESTS = {"tsan": ["-L", f"^{THREADS_LABEL}$"]}
# Many tests wait for a link in real time, so a processor has room for more than one.
TESTS_AT_ONCE = (os.cpu_count() or 1) + 1
# For builds: the guests that run beside them have deadlines, and take longer.
LOW_PRIORITY = ["nice", "-n", "10"]
FUZZ_SECONDS, FULL_FUZZ_SECONDS = 20, 600  # for each fuzzer
COVERED_LINES = 90.0  # per cent of lib/, by the tests of the build that counts them
COVERAGE_PRESET = "asan"
# These cases show whether a build traces mbufs. A build without its case must not pass.
REQUIRED_CASES = {"release": "mem.Ownership.IsNotCheckedInThisBuild",
                  "asan": "mem.Ownership.ADoubleFreeNamesBothLocationsAndIsHarmless"}


def build(step: StepRun, preset: str) -> bool:
    targets = [] if step.full else PLAIN_TARGETS.get(preset, [])
    return configure(step, preset, () if step.full else ONCE.get(preset, ())) and compile_targets(step, preset, targets)


def configure(step: StepRun, preset: str, unbuilt: Sequence[str] = ()) -> bool:
    # Said in both cases, since a build folder remembers the earlier one.
    parts = [f"-DPOLLUX_BUILD_{part}={'ON' if step.full else 'OFF'}" for part in PLAIN_OPTIONS.get(preset, [])]
    if step.part(f"configure.{preset}", ["cmake", "--preset", preset, "-DPOLLUX_COMPILER_CACHE=ON",
                                         f"-DPOLLUX_UNBUILT_TESTS={';'.join(unbuilt)}", *parts]):
        return True
    tell(f"  what to do: read the lines above; if {step.build_folder(preset)} was made by a checkout in another place or with another "
         "compiler, remove it")
    return False


def compile_targets(step: StepRun, preset: str, targets: list[str]) -> bool:
    words = ["--target", *targets] if targets else []
    return step.part(f"build.{preset}", [*LOW_PRIORITY, "cmake", "--build", "--preset", preset, *words])


def unit_tests(step: StepRun, preset: str) -> None:
    folder, suite = step.build_folder(preset), f"unit.{preset}"
    words = {"aarch64": ["-R", ARM_NAMES]}.get(preset) or ([] if step.full else PLAIN_TESTS.get(preset, []))
    forget_coverage(folder)
    run_ctest(step, preset, suite, [*words, "-LE", f"^{LONG_LABEL}$"], REQUIRED_CASES.get(preset))
    if not step.full:
        for test in ctest_results.known_tests(folder, *words, "-L", f"^{LONG_LABEL}$"):
            step.left_out(test.name, "long", suite)


def long_tests(step: StepRun, preset: str) -> None:
    run_ctest(step, preset, f"long.{preset}", ["-L", f"^{LONG_LABEL}$"])


def run_ctest(step: StepRun, preset: str, name: str, words: list[str], required: str | None = None,
              prefix: tuple[str, ...] = ()) -> None:
    """Runs the tests that ctest selects by these words. A `required` case has to be among those that passed. The `prefix` is a
    command that runs ctest."""
    folder, suite = step.build_folder(preset), f"unit.{preset}"
    report = step.reports / f"{name.replace('.', '-')}.xml"
    known = ctest_results.known_tests(folder, *words)
    ctest_results.forget(known)
    status = step.command(
        [*prefix, "ctest", "--test-dir", str(folder), "--output-junit", str(report), "--output-on-failure", "--no-tests=error",
         "--progress", "--timeout", "900", "--test-output-truncation", "head", "-j", str(TESTS_AT_ONCE), *words],
        report.with_suffix(".log"))
    results = ctest_results.read(report, known, suite) if report.exists() else []
    if required and not any(result.name == required and result.state == "passed" for result in results):
        results.append(Result(required, "failed", detail="this build must have this test", suite=suite))
    step.collect(suite, results, status)


def forget_coverage(folder: pathlib.Path) -> None:
    """Removes the counts of earlier runs, to which gcov would add."""
    for file in folder.rglob("*.gcda"):
        file.unlink()


def coverage(step: StepRun) -> None:
    """Computes the share of the library's lines that the tests so far have run."""
    summary = step.reports / "coverage.json"
    command = ["gcovr", "--root", str(step.root), "--filter", "lib/", "-j", str(os.cpu_count() or 1), "--gcov-executable", gcov_of(step.build_folder(COVERAGE_PRESET)),
               # Where threads lost counts, gcov may compute a negative one.
               "--gcov-ignore-parse-errors",
               "--json-summary", str(summary), "--txt", str(step.reports / "coverage.txt"),
               str(step.build_folder(COVERAGE_PRESET) / "lib")]
    if not step.part("coverage.count", command):
        return
    counted = json.loads(summary.read_text())
    enough = counted["line_percent"] >= COVERED_LINES
    tell(f"{'PASS' if enough else 'FAIL':<9} coverage: {counted['line_percent']:.1f} % of "
         f"{counted['line_total']:,} lines of lib/ ran ({COVERED_LINES:.0f} % required)")
    step.results.append(Result("coverage", "passed" if enough else "failed", suite="step"))
    if not enough:
        files = sorted(counted["files"], key=lambda file: file["line_covered"] - file["line_total"])[:20]
        tell("\n".join(f"    {file['filename']}: {file['line_total'] - file['line_covered']} of {file['line_total']} lines "
                       "did not run" for file in files))


def gcov_of(folder: pathlib.Path) -> str:
    """The command that reads the counts of this build's compiler, clang."""
    cache = (folder / "CMakeCache.txt").read_text()
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", cache, re.MULTILINE)
    return f"{pathlib.Path(compiler[1]).resolve().parent / 'llvm-cov'} gcov"


def fuzz(step: StepRun) -> None:
    report = step.reports / "fuzz.xml"
    status = step.command([str(step.root / "tests/fuzz/run"), "--junit", str(report), "--seconds",
                           str(FULL_FUZZ_SECONDS if step.full else FUZZ_SECONDS)])
    step.collect("fuzz", junit.read_if_written(report, "fuzz"), status)


def build_for_arm(step: StepRun) -> bool:
    """Builds for 64-bit Arm what does not depend on devices of the machine."""
    return step.part("sysroot.aarch64", [str(step.root / "tools/lib/arm-sysroot")]) and build(step, "aarch64")


def unit_tests_for_arm(step: StepRun) -> None:
    unit_tests(step, "aarch64")
    step.left_out("aarch64.mem", "tests of mappings, which qemu-user does not emulate", remedy="x86 runs them")
