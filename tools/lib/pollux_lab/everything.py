# SPDX-License-Identifier: BSD-3-Clause
"""The part of tools/test after the installation of packages: runs all tests and counts their results."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

from . import check_results, claims, ctest_results, features, junit, room, test_environment
from .beside import Beside
from .guest import end_on_signals
from .junit import Result
from .summary import Summary

PRESETS = ["release", "asan"]
FULL_PRESETS = [*PRESETS, "debug", "tsan"]
LONG_LABEL = "long"
THREADS_LABEL = "threads"  # of test programs with several threads
# Builds that leave the examples and tools out unless all tests run: their tests run on the release build, of whose compile time they
# take more than a quarter.
LIBRARY_ALONE = ["asan"]
ARM_NAMES = r"^(base|intel_queues|mem|net|sim)(\.[0-9]+)?$"  # of the programs that the preset builds
# Many tests wait for a link in real time, so a processor has room for more than one.
TESTS_AT_ONCE = (os.cpu_count() or 1) + 1
# For builds: the guests that run beside them have deadlines, and take longer.
LOW_PRIORITY = ["nice", "-n", "10"]
STEP_SECONDS = 80 * 60  # ends what hangs; each case has a bound of its own, and a slow machine is no failure
FUZZ_SECONDS, FULL_FUZZ_SECONDS = 20, 600  # for each fuzzer
# A sample of the mutants of tests/mutation. Some that survive may be equivalent; not all were examined.
MUTANTS, MUTANTS_KILLED = 60, 75  # the size of the sample, and the percentage that tests have to detect
REASON_LINES = 12  # of the end of what a failed case says
END_SECONDS = 10  # for processes that were asked to end
COVERED_LINES = 90.0  # per cent of lib/, by the tests of the build that counts them
COVERAGE_PRESET = "asan"
# These cases show whether a build traces mbufs. A build without its case must not pass.
REQUIRED_CASES = {"release": "mem.Ownership.IsNotCheckedInThisBuild", "asan": "mem.Ownership.ADoubleFreeNamesBothLocationsAndIsHarmless"}
RESULTS = "results.json"  # in build/test-reports: all results, machine-readable


class Everything:
    def __init__(self, root: pathlib.Path, kernel: str, full: bool):
        self._root, self._kernel, self._full = root, kernel, full
        self._reports = root / "build/test-reports"
        self._summary = Summary()
        self._environment = test_environment.without_settings(os.environ, tell)
        self._running: set[subprocess.Popen] = set()  # commands of both threads
        self._ending = False
        self._starting = threading.Lock()

    def run(self) -> int:
        try:
            shutil.rmtree(self._reports, ignore_errors=True)
            self._reports.mkdir(parents=True)
            self._all()
        except (KeyboardInterrupt, SystemExit):
            self._summary.add(Result("interrupted", "failed", suite="run"))
        except OSError as error:  # a full disk, a folder of another user
            self._give_up(str(error))
        except Exception:  # a bug in this program must not lose the results so far
            tell(traceback.format_exc())
            self._summary.add(Result("tools/test itself", "failed", detail=traceback.format_exc(), suite="run"))
        return self._sum()

    def _all(self) -> None:
        if (self._root / "tools/check").exists():
            self._check()
        first, *others = FULL_PRESETS if self._full else PRESETS
        self._build_and_test(first)
        # Guests wait for links and for each other most of the time, and use this build alone.
        with Beside(self._tests_in_guests, self._end_commands):
            for preset in others:
                self._build_and_test(preset)
            self._threads_and_fuzzers()
        if self._full:
            self._guest_tests("asan")
            self._arm()
            self._mutation()
            self._abi()
        self._claims()

    def _tests_in_guests(self) -> None:
        self._guest_tests("release")
        self._interop()

    def _build_and_test(self, preset: str) -> None:
        if self._build(preset):
            forget_coverage(self._root / "build" / preset)
            self._unit_tests(preset, [])
            if preset == COVERAGE_PRESET:
                self._coverage(preset)

    def _threads_and_fuzzers(self) -> None:
        if not self._full:
            # The sanitized build has all checks of the debug build.
            self._left_out("build.asan.programs", "the examples and tools with sanitizers, and their tests")
            self._left_out("build.debug", "the unoptimised build and its tests")
            self._left_out("build.tsan", "the thread sanitizer on tests that have one thread")
            self._left_out("guest on asan", "the guest tests again on the build with sanitizers")
            self._left_out("aarch64", "the tests on 64-bit Arm, emulated")
            self._left_out("mutation", "deliberate mistakes, most of which the tests have to detect")
            self._left_out("check.abi", "the shared library's interface, compared with the last tag's")
            if self._build("tsan", ["--target", "threaded_tests"]):
                self._unit_tests("tsan", ["-L", f"^{THREADS_LABEL}$"])
        self._fuzz()

    def _claims(self) -> None:
        """Compares the documents' claims with all results so far."""
        with self._timed("claims"):
            results = features.check(self._root, claims.Run(self._summary.results))
        self._collect("claims", results, 0)
        tell("\n".join(result.detail for result in results if result.state == "failed"))

    def _check(self) -> None:
        """Runs tools/check; each check has its own result."""
        log = self._reports / "check.log"
        with self._timed("check"):
            status = self._command([str(self._root / "tools/check")], log)
        results = check_results.read(log.read_text(errors="replace"))
        self._collect("check", results, status)

    def _abi(self) -> None:
        log = self._reports / "abi.log"
        with self._timed("abi"):
            status = self._command([str(self._root / "tools/abi")], log)
        self._collect("abi", check_results.read(log.read_text(errors="replace")), status)

    def _build(self, preset: str, words: list[str] | None = None) -> bool:
        chosen = []
        if preset in LIBRARY_ALONE:  # said in both cases, since a build folder remembers the earlier one
            chosen = [f"-DPOLLUX_BUILD_{part}={'ON' if self._full else 'OFF'}" for part in ("EXAMPLES", "TOOLS")]
        return (self._step(f"configure.{preset}", ["cmake", "--preset", preset, "-DPOLLUX_COMPILER_CACHE=ON", *chosen])
                and self._step(f"build.{preset}", [*LOW_PRIORITY, "cmake", "--build", "--preset", preset, *(words or [])]))

    def _unit_tests(self, preset: str, words: list[str]) -> None:
        folder, suite = self._root / "build" / preset, f"unit.{preset}"
        report = self._reports / f"unit-{preset}.xml"
        chosen = [*words, *([] if self._full else ["-LE", f"^{LONG_LABEL}$"])]
        tell(f"TEST      unit tests of {preset}")
        known = ctest_results.known_tests(folder)
        ctest_results.forget(known)
        with self._timed(suite):
            status = self._command(
                ["ctest", "--test-dir", str(folder), "--output-junit", str(report), "--output-on-failure", "--no-tests=error",
                 "--progress", "--timeout", "900", "--test-output-truncation", "head", "-j", str(TESTS_AT_ONCE), *chosen],
                self._reports / f"unit-{preset}.log")
        results = ctest_results.read(report, known, suite) if report.exists() else []
        required = REQUIRED_CASES.get(preset)
        if required and not any(result.name == required and result.state == "passed" for result in results):
            results.append(Result(required, "failed", detail="this build must have this test", suite=suite))
        self._collect(suite, results, status)
        if not self._full:
            for test in ctest_results.known_tests(folder, *words, "-L", f"^{LONG_LABEL}$"):
                self._left_out(test.name, "long", suite)

    def _coverage(self, preset: str) -> None:
        """Computes the share of the library's lines that the tests so far have run."""
        build, summary = self._root / "build" / preset, self._reports / "coverage.json"
        command = ["gcovr", "--root", str(self._root), "--filter", "lib/", "-j", str(os.cpu_count() or 1), "--gcov-executable", "gcov",
                   # Where threads lost counts, gcov may compute a negative one.
                   "--gcov-ignore-parse-errors",
                   "--json-summary", str(summary), "--txt", str(self._reports / "coverage.txt"), str(build / "lib")]
        if not self._step("coverage.count", command):
            return
        counted = json.loads(summary.read_text())
        tell(f"{'PASS' if counted['line_percent'] >= COVERED_LINES else 'FAIL':<9} coverage: {counted['line_percent']:.1f} % of "
             f"{counted['line_total']:,} lines of lib/ ran ({COVERED_LINES:.0f} % required)")
        if counted["line_percent"] >= COVERED_LINES:
            self._summary.add(Result("coverage", "passed", suite="step"))
            return
        self._summary.add(Result("coverage", "failed", suite="step"))
        files = sorted(counted["files"], key=lambda file: file["line_covered"] - file["line_total"])[:20]
        tell("\n".join(f"    {file['filename']}: {file['line_total'] - file['line_covered']} of {file['line_total']} lines did not run"
                       for file in files))

    def _fuzz(self) -> None:
        if not self._build("fuzz"):
            return
        report = self._reports / "fuzz.xml"
        with self._timed("fuzz"):
            status = self._command([str(self._root / "tests/fuzz/run"), "--junit", str(report), "--seconds",
                                    str(FULL_FUZZ_SECONDS if self._full else FUZZ_SECONDS)], None)
        self._collect("fuzz", read(report, "fuzz"), status)

    def _mutation(self) -> None:
        report = self._reports / "mutation.xml"
        with self._timed("mutation"):
            status = self._command([str(self._root / "tests/mutation/run"), "lib/**/*.cpp", "lib/**/*.hpp", "--junit", str(report),
                                    "--sample", str(MUTANTS), "--minimum", str(MUTANTS_KILLED), "--jobs", str(os.cpu_count() or 1)],
                                   None)
        self._collect("mutation", read(report, "mutation"), status)

    def _arm(self) -> None:
        """Builds for 64-bit Arm what does not depend on devices of the machine, and runs its tests in an emulator."""
        if self._step("sysroot.aarch64", [str(self._root / "tools/lib/arm-sysroot")]) and self._build("aarch64"):
            self._unit_tests("aarch64", ["-R", ARM_NAMES, "-LE", f"^{LONG_LABEL}$"])
            self._left_out("aarch64.mem", "tests of mappings, which qemu-user does not emulate", remedy="x86 runs them")

    def _guest_tests(self, preset: str) -> None:
        report, suite = self._reports / f"guest-{preset}.xml", f"guest.{preset}"
        tell(f"TEST      guest tests of {preset}")
        with self._timed(suite):
            status = self._command([str(self._root / "tests/guest/run"), "--build", str(self._root / "build" / preset), "--kernel",
                                    self._kernel, "--junit", str(report), *(["--full"] if self._full else [])], None)
        self._collect(suite, read(report, suite), status)

    def _interop(self) -> None:
        """Runs third-party drivers on QEMU's cards and on the in-process card."""
        report = self._reports / "interop.xml"
        tell("TEST      interoperability")
        with self._timed("interop"):
            status = self._command([str(self._root / "tests/interop/run"), "--build", str(self._root / "build/release"), "--kernel",
                                    self._kernel, "--junit", str(report), *(["--full"] if self._full else [])], None)
        self._collect("interop", read(report, "interop"), status)

    def _collect(self, suite: str, results: list[Result], status: int) -> None:
        self._summary.add(*results)
        for result in results:
            if result.state == "failed":
                tell("\n  | ".join([f"FAIL      {suite}: {result.name}", *result.detail.strip().splitlines()[-REASON_LINES:]]))
        # A runner that died has failed, whatever it wrote before, and so has one that ran nothing.
        if not any(result.state == "failed" for result in results) and (status != 0 or not results):
            self._summary.add(Result(suite, "failed", detail=f"it ended with status {status}", suite=suite))
            tell(f"FAIL      {suite} ended with status {status} and {len(results)} results")

    @contextlib.contextmanager
    def _timed(self, step: str):
        start = time.monotonic()
        try:
            yield
        finally:
            self._summary.took(step, time.monotonic() - start)

    def _step(self, name: str, command: list[str]) -> bool:
        start = time.monotonic()
        with self._timed(name):
            status = self._command(command, self._reports / f"{name}.log")
        seconds = time.monotonic() - start
        self._summary.add(Result(name, "failed" if status else "passed", seconds, suite="step"))
        tell(f"{'FAIL' if status else 'PASS':<9} {name} ({seconds:.1f} s)")
        return status == 0

    def _command(self, command: list[str], log: pathlib.Path | None) -> int:
        """Runs a command with its output in a log, and shows the end of the log if it fails. Without a log the output goes to stderr."""
        with self._starting:
            if self._ending:
                return 1
            out = open(log, "wb") if log else None
            process = subprocess.Popen(command, cwd=self._root, stdin=subprocess.DEVNULL, stdout=out or sys.stderr,
                                       stderr=subprocess.STDOUT if out else None, start_new_session=True, env=self._environment)
            self._running.add(process)
        try:
            status = process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            tell(f"{command[0]} did not end within {STEP_SECONDS} s")
            status = 124
        finally:
            end_group(process)
            self._running.discard(process)
            if out:
                out.close()
        if status and log:
            tell("\n".join(log.read_text(errors="replace").splitlines()[-60:]))
        if status and (hint := room.hint(self._root / "build")):
            tell(f"  what to do: {hint}")
        return status

    def _end_commands(self) -> None:
        """Ends the commands that run, and lets no other start."""
        with self._starting:
            self._ending = True
        for process in list(self._running):
            end_group(process)

    def _left_out(self, name: str, why: str, suite: str = "run", remedy: str = "--full runs it") -> None:
        self._summary.add(Result(name, "skipped", 0, f"{why} ({remedy})", suite))

    def _give_up(self, why: str) -> None:
        tell("\n  what to do: ".join(filter(None, [f"tools/test: error: {why}", room.hint(self._root / "build")])))
        self._summary.add(Result("tools/test itself", "failed", detail=why, suite="run"))

    def _sum(self) -> int:
        try:
            self._summary.write(self._reports / RESULTS, full=self._full)
        except OSError as error:
            self._give_up(str(error))
        tell("\n".join(self._summary.lines()))
        sys.stderr.flush()
        print(self._summary.last_line(), flush=True)
        return self._summary.status()


def read(report: pathlib.Path, suite: str) -> list[Result]:
    return junit.read(report, suite) if report.exists() else []


def forget_coverage(folder: pathlib.Path) -> None:
    """Removes the counts of earlier runs, to which gcov would add."""
    for file in folder.rglob("*.gcda"):
        file.unlink()


def end_group(process: subprocess.Popen) -> None:
    """Ends all processes of the command: first asks them, with time to end their own children, then kills them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            deadline = time.monotonic() + END_SECONDS
            while time.monotonic() < deadline:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    end_on_signals()
    return Everything(options.root, options.kernel, options.full).run()


if __name__ == "__main__":
    sys.exit(main())
