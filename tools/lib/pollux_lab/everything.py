# SPDX-License-Identifier: BSD-3-Clause
"""What tools/test runs once the packages are there, and the sum of it all."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from . import junit
from .guest import end_on_signals
from .junit import Result

PRESETS = ["release", "asan"]
FULL_PRESETS = [*PRESETS, "debug", "tsan"]
# Where there is no compiler cache. All sources are seen without it in one build, and the library's in release as installed.
PRECOMPILED = {"release": "tests", "asan": "all", "tsan": "tests", "fuzz": "all"}
LONG_LABEL = "long"
# Of the programs with that label, the tests that have several threads.
THREADS_LABEL, THREADS_NAMES = "threads", "Thread|BurstGate|StoppingWhilePolled"
ARM_NAMES = r"^(base|igb_queues|mem|net|sim)\."  # of the programs that the preset builds
# What these ask for an emulated process does not get: qemu-user takes MADV_POPULATE_WRITE and MADV_DONTFORK without a word,
# knows no RLIMIT_AS, and the death test starts its Arm program anew.
ARM_LEFT_OUT = r"^mem\.(Arena|ContextMemory|LibHugetlbfsDeathTest)\."
# Many tests wait for a link in real time, so a processor has room for more than one.
TESTS_AT_ONCE = (os.cpu_count() or 1) + 1
STEP_SECONDS = 40 * 60
FUZZ_SECONDS, FULL_FUZZ_SECONDS = 60, 600  # for each fuzzer
COVERED_LINES = 90.0  # per cent of lib/, by the tests of the build that counts them
COVERAGE_PRESET = "asan"


class Everything:
    def __init__(self, root: pathlib.Path, kernel: str, full: bool):
        self._root, self._kernel, self._full = root, kernel, full
        self._reports = root / "build/test-reports"
        self._results: list[Result] = []

    def run(self) -> int:
        shutil.rmtree(self._reports, ignore_errors=True)
        self._reports.mkdir(parents=True)
        check = self._root / "tools/check"
        if check.exists():
            self._step("check", [str(check)])
        for preset in FULL_PRESETS if self._full else PRESETS:
            if self._build(preset):
                forget_coverage(self._root / "build" / preset)
                self._unit_tests(preset, [])
                if preset == COVERAGE_PRESET:
                    self._coverage(preset)
        if not self._full:
            # The sanitized build has all that the debug build checks.
            self._left_out("build.debug", "the unoptimised build and its tests")
            self._left_out("build.tsan", "the thread sanitizer on tests that have one thread")
            self._left_out("guest on asan", "the guest tests again on the build with sanitizers")
            self._left_out("aarch64", "the tests on 64-bit Arm, emulated")
            if self._build("tsan", ["--target", "threaded_tests"]):
                self._unit_tests("tsan", ["-L", f"^{THREADS_LABEL}$", "-R", THREADS_NAMES])
        self._fuzz()
        self._guest_tests("release")
        if self._full:
            self._guest_tests("asan")
            self._arm()
        return self._sum()

    def _build(self, preset: str, words: list[str] | None = None) -> bool:
        if shutil.which("ccache"):
            quicker = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache", "-DPOLLUX_PRECOMPILE="]
        else:
            quicker = ["-UCMAKE_CXX_COMPILER_LAUNCHER", f"-DPOLLUX_PRECOMPILE={PRECOMPILED.get(preset, '')}"]
        return (self._step(f"configure.{preset}", ["cmake", "--preset", preset, *quicker])
                and self._step(f"build.{preset}", ["cmake", "--build", "--preset", preset, *(words or [])]))

    def _unit_tests(self, preset: str, words: list[str]) -> None:
        folder = self._root / "build" / preset
        report = self._reports / f"unit-{preset}.xml"
        chosen = [*words, *([] if self._full else ["-LE", f"^{LONG_LABEL}$"])]
        tell(f"TEST      unit tests of {preset}")
        status = self._command(["ctest", "--test-dir", str(folder), "--output-junit", str(report), "--output-on-failure",
                                "--no-tests=error", "--progress", "--timeout", "600", "-j", str(TESTS_AT_ONCE), *chosen],
                               self._reports / f"unit-{preset}.log")
        self._collect(f"unit.{preset}", report, status)
        if not self._full:
            for name in long_tests(folder):
                self._left_out(f"{preset} {name}", "long")

    def _coverage(self, preset: str) -> None:
        """What share of the library's lines ran in the tests so far."""
        build, summary = self._root / "build" / preset, self._reports / "coverage.json"
        if not self._step("coverage.count", ["gcovr", "--root", str(self._root), "--filter", "lib/", "-j", str(os.cpu_count() or 1),
                                             "--gcov-executable", "gcov", "--json-summary", str(summary),
                                             "--txt", str(self._reports / "coverage.txt"), str(build / "lib")]):
            return
        counted = json.loads(summary.read_text())
        tell(f"{'PASS' if counted['line_percent'] >= COVERED_LINES else 'FAIL':<9} coverage: {counted['line_percent']:.1f} % of "
             f"{counted['line_total']:,} lines of lib/ ran ({COVERED_LINES:.0f} % wanted)")
        if counted["line_percent"] >= COVERED_LINES:
            self._results.append(Result("coverage", "passed"))
            return
        self._results.append(Result("coverage", "failed"))
        files = sorted(counted["files"], key=lambda file: file["line_covered"] - file["line_total"])[:20]
        tell("\n".join(f"    {file['filename']}: {file['line_total'] - file['line_covered']} of {file['line_total']} lines did not run"
                       for file in files))

    def _fuzz(self) -> None:
        if not self._build("fuzz"):
            return
        report = self._reports / "fuzz.xml"
        status = self._command([str(self._root / "tests/fuzz/run"), "--junit", str(report), "--seconds",
                                str(FULL_FUZZ_SECONDS if self._full else FUZZ_SECONDS)], None)
        self._collect("fuzz", report, status)

    def _arm(self) -> None:
        """What does not depend on the machine's own devices, built for 64-bit Arm and emulated."""
        if self._step("sysroot.aarch64", [str(self._root / "tools/lib/arm-sysroot")]) and self._build("aarch64"):
            self._unit_tests("aarch64", ["-R", ARM_NAMES, "-E", ARM_LEFT_OUT, "-LE", f"^{LONG_LABEL}$"])
            self._left_out("aarch64.mem", "tests of mappings, which qemu-user does not emulate", "x86 runs them")

    def _guest_tests(self, preset: str) -> None:
        report = self._reports / f"guest-{preset}.xml"
        tell(f"TEST      guest tests of {preset}")
        status = self._command([str(self._root / "tests/guest/run"), "--build", str(self._root / "build" / preset),
                                "--kernel", self._kernel, "--junit", str(report), *(["--full"] if self._full else [])], None)
        self._collect(f"guest.{preset}", report, status)

    def _collect(self, name: str, report: pathlib.Path, status: int) -> None:
        results = junit.read(report) if report.exists() else []
        self._results += results
        for result in results:
            if result.state == "failed":
                tell(f"FAIL      {name}: {result.name}")
            elif result.state == "skipped" and name.startswith("unit"):
                tell(f"SKIP      {name}: {result.name}: {result.detail.strip().splitlines()[-1:] or ''}")
        # A runner that died counts, whatever it wrote before.
        if status != 0 and not any(result.state == "failed" for result in results):
            self._results.append(Result(name, "failed"))
            tell(f"FAIL      {name} ended with status {status}")

    def _step(self, name: str, command: list[str]) -> bool:
        log = self._reports / f"{name}.log"
        start = time.monotonic()
        status = self._command(command, log)
        seconds = time.monotonic() - start
        self._results.append(Result(name, "failed" if status else "passed", seconds))
        tell(f"{'FAIL' if status else 'PASS':<9} {name} ({seconds:.1f} s)")
        return status == 0

    def _command(self, command: list[str], log: pathlib.Path | None) -> int:
        """Runs it with its output in a log, whose end is shown where it fails; without a log it writes to us."""
        out = open(log, "wb") if log else None
        process = subprocess.Popen(command, cwd=self._root, stdin=subprocess.DEVNULL, stdout=out or sys.stderr,
                                   stderr=subprocess.STDOUT if out else None, start_new_session=True)
        try:
            status = process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            tell(f"{command[0]} did not end within {STEP_SECONDS} s")
            status = 124
        finally:
            end_group(process)
            if out:
                out.close()
        if status and log:
            tell("\n".join(log.read_text(errors="replace").splitlines()[-60:]))
        return status

    def _left_out(self, name: str, why: str, remedy: str = "--full runs it") -> None:
        tell(f"LEFT OUT  {name}: {why} ({remedy})")
        self._results.append(Result(name, "skipped", 0, why))

    def _sum(self) -> int:
        counts = {state: sum(result.state == state for result in self._results) for state in ("passed", "failed", "skipped")}
        for result in self._results:
            if result.state == "failed":
                tell(f"failed: {result.name}")
        sys.stderr.flush()
        print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
        return 1 if counts["failed"] or not counts["passed"] else 0


def forget_coverage(folder: pathlib.Path) -> None:
    """Counts of earlier runs, which would be added to."""
    for file in folder.rglob("*.gcda"):
        file.unlink()


def end_group(process: subprocess.Popen) -> None:
    """Whatever the command started goes with it: first asked, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue


def long_tests(folder: pathlib.Path) -> list[str]:
    shown = subprocess.run(["ctest", "--test-dir", str(folder), "-L", f"^{LONG_LABEL}$", "--show-only=json-v1"],
                           capture_output=True, text=True, timeout=60)
    return [test["name"] for test in json.loads(shown.stdout or "{}").get("tests", [])]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    end_on_signals()
    everything = Everything(options.root, options.kernel, options.full)
    try:
        return everything.run()
    except KeyboardInterrupt:
        tell("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
