# SPDX-License-Identifier: BSD-3-Clause
"""Steps that build, and that run what was built on this machine: unit tests, coverage, fuzzers, the emulated Arm."""

import json
import pathlib
import re
import subprocess
import time
from collections.abc import Callable, Sequence

from . import ctest_results, junit
from .commands import tell
from .junit import Result
from .processors import processors
from .steps import CI, FULL, PLAIN, StepRun

# What a run does not build, by preset; --full builds everything. Tests of the examples and tools run on the release build, of whose
# compile time these programs take more than a quarter.
SWITCHED_OFF = {PLAIN: {"release": ["BUILD_BENCH"]},
                CI: {"release": ["BENCH_IN_ALL"], "asan": ["BUILD_EXAMPLES", "BUILD_TOOLS", "SANITIZE_POINTERS"]}, FULL: {}}
CI_TARGETS = {"tsan": ["threaded_tests"]}     # all that is built
# Suites that a --ci run leaves out of a build, since the other one has them. Neither they nor what they test depend on the build: on its
# checks of ownership (POLLUX_CHECKED), on the set of instructions of the bursts, or on sanitizers: QEMU's cards are another program.
ONCE = {"asan": ["differential", "qemu", "qemu.golden"],
        "release": ["capture", "e1000e", "explorer", "faults", "files", "flow", "host", "hw", "igb", "igbvf", "models", "netlink", "observe", "open",
                    "pci", "qtest", "runtime", "runtime_queueing", "sim", "steering", "trace", "vfio", "vfio_user", "virtio_model"]}
# The first suites to run, so that a newcomer sees results while the rest is compiled.
FIRST_PRESET, FIRST_SUITES = "release", ("base", "mem", "packet", "net")
FIRST_NAMES = rf"^({'|'.join(FIRST_SUITES)})(\.[0-9]+)?$"
ARM_NAMES = r"^(base|intel_queues|mem|net|sim)(\.[0-9]+)?$"  # of the programs that the preset builds
# A line of ninja's, and the seconds between two lines of ours; and one of ctest's when a test has ended.
NINJA, BUILD_TELLS_SECONDS = re.compile(r"\[(\d+)/(\d+)\]"), 30
CTEST = re.compile(r" *(\d+)/(\d+) Test +#\d+: (\S+) [.]*(.*?) +([\d.]+) sec")
LONG_LABEL = "long"
THREADS_LABEL = "threads"  # of test programs with several threads
CI_TESTS = {"tsan": ["-L", f"^{THREADS_LABEL}$"]}
# Many tests wait for a link in real time, so a processor has room for more than one.
TESTS_AT_ONCE = processors() + 1
# For builds: the guests that run beside them have deadlines, and take longer.
LOW_PRIORITY = ["nice", "-n", "10"]
FULL_FUZZ_SECONDS = 600  # for each fuzzer
COVERED_LINES = 90.0  # per cent of lib/, by the tests of the build that counts them
COVERAGE_PRESET = "asan"
# These cases show whether a build traces mbufs. A build without its case must not pass.
REQUIRED_CASES = {"release": "mem.Ownership.IsNotCheckedInThisBuild",
                  "asan": "mem.Ownership.ADoubleFreeNamesBothLocationsAndIsHarmless"}


def build(step: StepRun, preset: str) -> bool:
    targets = CI_TARGETS.get(preset, []) if step.depth == CI else []
    return (preset == FIRST_PRESET or configure_for(step, preset)) and compile_targets(step, preset, targets)


def build_first(step: StepRun) -> bool:
    return configure_for(step, FIRST_PRESET) and compile_targets(step, FIRST_PRESET, [f"{name}_test" for name in FIRST_SUITES], "build.first")


def configure_for(step: StepRun, preset: str) -> bool:
    return configure(step, preset, ONCE.get(preset, ()) if step.depth == CI else ())


def configure(step: StepRun, preset: str, unbuilt: Sequence[str] = ()) -> bool:
    # Said in all cases, since a build folder remembers the earlier one.
    off = SWITCHED_OFF[step.depth].get(preset, [])
    known = {part: None for presets in SWITCHED_OFF.values() for part in presets.get(preset, [])}
    parts = [f"-DPOLLUX_{part}={'OFF' if part in off else 'ON'}" for part in known]
    if step.part(f"configure.{preset}", ["cmake", "--preset", preset, "-DPOLLUX_COMPILER_CACHE=ON",
                                         f"-DPOLLUX_UNBUILT_TESTS={';'.join(unbuilt)}", *parts]):
        return True
    tell(f"  what to do: read the lines above; if {step.build_folder(preset)} was made by a checkout in another place or with another "
         "compiler, remove it")
    return False


def compile_targets(step: StepRun, preset: str, targets: list[str], name: str = "") -> bool:
    name = name or f"build.{preset}"
    words = ["--target", *targets] if targets else []
    return step.part(name, [*LOW_PRIORITY, "cmake", "--build", "--preset", preset, *words], told_builds(step, name))


def told_builds(step: StepRun, name: str) -> Callable[[str], None]:
    """Follows what ninja prints."""
    last = time.monotonic()

    def told(line: str) -> None:
        nonlocal last
        if counted := NINJA.match(line):
            done, of = int(counted[1]), int(counted[2])
            left = step.reached(done / of)
            if time.monotonic() > last + BUILD_TELLS_SECONDS:
                tell(f"          {name}: {done} of {of}{left}")
                last = time.monotonic()
    return told


def unit_tests_first(step: StepRun) -> None:
    run_ctest(step, FIRST_PRESET, "unit.first", ["-R", FIRST_NAMES, "-LE", f"^{LONG_LABEL}$"], REQUIRED_CASES[FIRST_PRESET])


def unit_tests(step: StepRun, preset: str) -> None:
    folder, suite = step.build_folder(preset), f"unit.{preset}"
    words = {"aarch64": ["-R", ARM_NAMES], FIRST_PRESET: ["-E", FIRST_NAMES]}.get(preset, [])
    words += CI_TESTS.get(preset, []) if step.depth == CI else []
    if preset == COVERAGE_PRESET:
        forget_coverage(folder)
    run_ctest(step, preset, suite, [*words, "-LE", f"^{LONG_LABEL}$"],
              None if preset == FIRST_PRESET else REQUIRED_CASES.get(preset))
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
         "--timeout", "900", "--test-output-truncation", "head", "-j", str(TESTS_AT_ONCE), *words],
        report.with_suffix(".log"), told_tests(step, known))
    results = ctest_results.read(report, known, suite) if report.exists() else []
    if required and not any(result.name == required and result.state == "passed" for result in results):
        results.append(Result(required, "failed", detail="this build must have this test", suite=suite))
    step.collect(suite, results, status)


def told_tests(step: StepRun, known: list[ctest_results.Known]) -> Callable[[str], None]:
    """Prints a line for each test of ctest that has ended."""
    cases = {test.name: test.cases for test in known}

    def told(line: str) -> None:
        if ended := CTEST.match(line):
            number, of, name, state, seconds = ended.groups()
            word = {"Passed": "PASS", "***Skipped": "SKIP"}.get(state.strip(), "FAIL")
            counted = len(junit.read_cases(file)) if (file := cases.get(name)) and file.exists() else 1
            tell(f"{word:<9} {name}: {counted} case{'s' if counted != 1 else ''}, {seconds} s{step.reached(int(number) / int(of))}")
    return told


def forget_coverage(folder: pathlib.Path) -> None:
    """Removes the counts of earlier runs, to which gcov would add, and the notes of objects that are not built any more: where sources
    were grouped in another way, gcov refuses those."""
    subprocess.run(["ninja", "-C", str(folder), "-t", "cleandead"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    for file in folder.rglob("*.gcda"):
        file.unlink()
    for file in folder.rglob("*.gcno"):
        if not file.with_suffix(".o").exists():
            file.unlink()


def coverage(step: StepRun) -> None:
    """Computes the share of the library's lines that the tests so far have run."""
    summary = step.reports / "coverage.json"
    command = ["gcovr", "--root", str(step.root), "--filter", "lib/", "--gcov-executable", gcov_of(step.build_folder(COVERAGE_PRESET)),
               # With several workers (-j) gcovr 5.2 waits for ever once one of them cannot read a file.
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
    length = ["--seconds", str(FULL_FUZZ_SECONDS)] if step.full else ["--short"]
    status = step.command([str(step.root / "tests/fuzz/run"), "--junit", str(report), *length])
    step.collect("fuzz", junit.read_if_written(report, "fuzz"), status)


def build_for_arm(step: StepRun) -> bool:
    """Builds for 64-bit Arm what does not depend on devices of the machine."""
    return step.part("sysroot.aarch64", [str(step.root / "tools/lib/arm-sysroot")]) and build(step, "aarch64")


def unit_tests_for_arm(step: StepRun) -> None:
    unit_tests(step, "aarch64")
    step.left_out("aarch64.mem", "tests of mappings, which qemu-user does not emulate", remedy="x86 runs them")
