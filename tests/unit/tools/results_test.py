# SPDX-License-Identifier: BSD-3-Clause
"""How tools/test reads results and counts them: no skipped test may count as passed."""

import contextlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from unittest import mock

from pollux_lab import background, cases, check_results, ctest_results, junit, run_all, test_environment
from pollux_lab.commands import Commands
from pollux_lab.junit import Result
from pollux_lab.steps import Options, StepRun
from pollux_lab.summary import StepTime, Summary

# A report as ctest 3.25 writes it.
CTEST = """<testsuite name="x">
<testcase name="good" classname="good" time="0.5" status="run"><system-out>fine</system-out></testcase>
<testcase name="bad" classname="bad" time="1" status="fail"><failure message=""/><system-out>hello</system-out></testcase>
<testcase name="code" classname="code" time="0" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>
<system-out>LEFT OUT: avx512, which this processor lacks</system-out></testcase>
<testcase name="words" classname="words" time="0" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/><system-out>
[ RUN      ] A.B
/source/a_test.cpp:30: Skipped
chown needs
root

[  SKIPPED ] A.B (0 ms)</system-out></testcase>
<testcase name="missing" classname="missing" time="0" status="notrun"><skipped message="Unable to find executable"/>
<system-out>Unable to find executable: /nowhere</system-out></testcase>
<testcase name="fixture" classname="fixture" time="0" status="notrun"><skipped message="Fixture dependency failed"/>
<system-out>Failed test dependencies: a</system-out></testcase>
<testcase name="disabled" classname="disabled" time="0" status="disabled"><system-out>Disabled</system-out></testcase>
<testcase name="killed" classname="killed" time="300" status="fail"><failure message=""/><system-out></system-out></testcase>
</testsuite>"""

# A report as GoogleTest 1.12 writes it.
GTEST = """<testsuites tests="4" failures="1" disabled="1" name="AllTests"><testsuite name="Ports/Traffic" tests="4">
<testcase name="Carries/sim" status="run" result="completed" time="0.25" classname="Ports/Traffic" />
<testcase name="Breaks/sim" status="run" result="completed" time="0" classname="Ports/Traffic">
<failure message="a_test.cpp:5&#x0A;2 is not 3" type=""><![CDATA[a_test.cpp:5
2 is not 3]]></failure></testcase>
<testcase name="Skips/sim" status="run" result="skipped" time="0" classname="Ports/Traffic">
<skipped message="/source/a_test.cpp:30&#x0A;chown needs root"><![CDATA[/source/a_test.cpp:30
chown needs root]]></skipped></testcase>
<testcase name="DISABLED_Sleeps" status="notrun" result="suppressed" time="0" classname="Ports/Traffic" />
</testsuite></testsuites>"""

PYTHON = """
import sys, unittest
assert sys.argv == [__file__], sys.argv
class Steps(unittest.TestCase):
    def test_good(self): pass
    def test_bad(self): self.assertEqual(1, 2)
    @unittest.skip("no card")
    def test_left_out(self): pass
    def test_half_bad(self):
        for n in range(3):
            with self.subTest(n=n): self.assertNotEqual(n, 1)
unittest.main()
"""

CHECK = """licence   passed (0 s)
format    skipped: clang-format is version 19; this check needs version 14
tidy      FAILED (81 s)
    lib/a.cpp:1: wrong
    lib/b.cpp:2: wrong
1 passed, 1 failed, 1 skipped
"""


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-results-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(text)
        return path


class Reading(Files):
    def test_ctest_states_and_reasons(self):
        found = {result.name: result for result in junit.read(self.file("c.xml", CTEST), "unit.release")}
        self.assertEqual({name: result.state for name, result in found.items()}, {
            "good": "passed", "bad": "failed", "code": "skipped", "words": "skipped", "missing": "failed", "fixture": "failed",
            "disabled": "skipped", "killed": "failed"})
        self.assertEqual(found["code"].detail, "avx512, which this processor lacks")
        self.assertEqual(found["words"].detail, "chown needs root")
        self.assertEqual(found["bad"].detail, "hello")
        self.assertTrue(found["killed"].detail)
        self.assertEqual(found["good"].suite, "unit.release")

    def test_cases_of_googletest(self):
        found = {result.name: result for result in junit.read_cases(self.file("conformance.xml", GTEST))}
        prefix = "conformance.Ports/Traffic."
        self.assertEqual({name.removeprefix(prefix): result.state for name, result in found.items()}, {
            "Carries/sim": "passed", "Breaks/sim": "failed", "Skips/sim": "skipped", "DISABLED_Sleeps": "skipped"})
        self.assertEqual(found[prefix + "Skips/sim"].detail, "chown needs root")
        self.assertIn("2 is not 3", found[prefix + "Breaks/sim"].detail)

    def test_written_results_are_read_back(self):
        results = [Result("A.a", "passed", 1.5), Result("A.b", "failed", 0, "why\nnot"), Result("B.c", "skipped", 0, "no card")]
        junit.write(self.folder / "w.xml", "guest", results)
        self.assertEqual(junit.read(self.folder / "w.xml"), results)

    def test_cases_of_unittest(self):
        script, written = self.file("steps_test.py", PYTHON), self.folder / "tools.steps.xml"
        run = subprocess.run([sys.executable, "-m", "pollux_lab.run_unittest", str(script)], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "GTEST_OUTPUT": f"xml:{written}"}, check=False)
        self.assertNotEqual(run.returncode, 0, run.stderr)
        found = {result.name: result for result in junit.read_cases(written)}
        self.assertEqual({name: result.state for name, result in found.items()}, {
            "tools.steps.Steps.test_good": "passed", "tools.steps.Steps.test_bad": "failed",
            "tools.steps.Steps.test_left_out": "skipped", "tools.steps.Steps.test_half_bad": "failed"})
        self.assertEqual(found["tools.steps.Steps.test_left_out"].detail, "no card")

    def test_a_check_during_which_the_clock_was_set_back_is_read(self):
        """tebeka/go2xunit#43: the parser of the report rejected a negative duration."""
        self.assertEqual([(result.name, result.state) for result in check_results.read("format    passed (-3 s)\ntidy   FAILED (-1 s)\n")],
                         [("check.format", "passed"), ("check.tidy", "failed")])

    def test_what_xml_forbids_does_not_make_a_file_unreadable(self):
        """schemathesis#4794: one byte in a message made the whole report unreadable."""
        path = self.folder / "made.xml"
        junit.write(path, "a", [Result("b\x1b[0m", "failed", detail="c\ufffe\udcff\x00d"), Result("e", "passed")])
        self.assertEqual([(result.name, result.detail) for result in junit.read(path)], [("b[0m", "cd"), ("e", "")])

    def test_a_file_that_was_cut_is_one_failure(self):
        """googletest#3338: an empty file although all cases passed."""
        for text in ("", '<testsuites><testcase name="a" classname="B" status="run" result="compl'):
            path = self.file("cut.xml", text)
            [result] = junit.read_cases(path)
            self.assertEqual((result.name, result.state), ("cut.cut.results", "failed"))
            self.assertIn("cut.xml cannot be read", result.detail)
            self.assertEqual((junit.read(path)[0].state, junit.outputs(path)), ("failed", [""]))

    def test_an_error_is_a_failure(self):
        """test-results-reporter/parser#126: a case whose only child is <error> was read as passed."""
        path = self.file("error.xml", '<testsuite><testcase name="a" classname="B"><error message="boom"/></testcase></testsuite>')
        [result] = junit.read_cases(path)
        self.assertEqual((result.state, result.detail), ("failed", "boom"))

    def test_results_of_tools_check(self):
        self.assertEqual(check_results.read(CHECK), [
            Result("check.licence", "passed", 0, suite="check"),
            Result("check.format", "skipped", 0, "clang-format is version 19; this check needs version 14", "check"),
            Result("check.tidy", "failed", 81, "lib/a.cpp:1: wrong\nlib/b.cpp:2: wrong", "check")])


class ProgramsOfCases(Files):
    """A ctest test that is a program with many cases."""

    def read(self, entry: str, cases: str | None) -> list[Result]:
        report = self.file("report.xml", f"<testsuite>{entry}</testsuite>")
        path = self.folder / "mem.xml"
        if cases is not None:
            path.write_text(cases)
        return ctest_results.read(report, [ctest_results.Known("mem", [], path)], "unit.asan")

    PASSED = '<testcase name="mem" time="1" status="run"><system-out>ok</system-out></testcase>'
    FAILED = '<testcase name="mem" time="1" status="fail"><failure message=""/><system-out>LeakSanitizer</system-out></testcase>'
    ONE = '<testsuites><testcase name="a" classname="B" status="run" result="completed" time="0"/></testsuites>'

    def test_its_cases_replace_it(self):
        self.assertEqual(self.read(self.PASSED, self.ONE), [Result("mem.B.a", "passed", 0, "", "unit.asan")])
        self.assertEqual(len(self.read(self.FAILED, GTEST)), 4)

    def test_a_program_that_ran_no_case_has_failed(self):
        for cases in (None, "<testsuites/>"):
            self.assertEqual([(result.name, result.state) for result in self.read(self.PASSED, cases)], [("mem", "failed")])

    def test_a_crash_and_a_failed_end_count(self):
        self.assertEqual([(result.name, result.state) for result in self.read(self.FAILED, None)], [("mem", "failed")])
        self.assertEqual([(result.name, result.state) for result in self.read(self.FAILED, self.ONE)],
                         [("mem.B.a", "passed"), ("mem", "failed")])

    def test_skipped_cases_must_be_in_a_file(self):
        for said in ("OK (skipped=2)", "FAILED (failures=1, skipped=2)", "[  SKIPPED ] 1 test, listed below:"):
            report = self.file("report.xml", '<testsuite><testcase name="x" status="run" time="0">'
                               f"<system-out>...\n{said}\n</system-out></testcase></testsuite>")
            known = [ctest_results.Known("x", [], None)]
            self.assertEqual([result.state for result in ctest_results.read(report, known, "")], ["failed"], said)


class Sum(Files):
    def setUp(self):
        super().setUp()
        self.summary = Summary()
        self.summary.add(Result("a", "passed", 1, suite="unit.release"), Result("a", "passed", 2, suite="unit.asan"),
                         Result("b", "skipped", 0, "long", "unit.release"), Result("b", "skipped", 0, "long", "unit.asan"),
                         Result("c", "skipped", 0, "no card", "unit.release"), Result("c", "skipped", 0, "a sanitizer", "unit.asan"))

    def test_a_test_skipped_in_two_builds_counts_once(self):
        self.assertEqual(self.summary.last_line(), "2 passed, 0 failed, 3 skipped")
        self.assertIn("skipped: b (unit.release, unit.asan): long", self.summary.lines())
        self.assertEqual(sum(line.startswith("skipped: ") for line in self.summary.lines()), 3)

    def test_a_run_with_failures_or_without_passes_fails(self):
        self.assertEqual(self.summary.status(), 0)
        self.summary.add(Result("d", "failed"))
        self.assertEqual(self.summary.status(), 1)
        self.assertIn("failed: d", self.summary.lines())
        nothing = Summary()
        nothing.add(Result("b", "skipped", 0, "long"))
        self.assertEqual(nothing.status(), 1)

    def test_the_json_file_has_all_results(self):
        self.summary.took(StepTime("build.release", 12.34, 23.45))
        self.summary.took(StepTime("unit.release", 60, 100, "2026-01-31 10:00"))
        self.summary.write(self.folder / "results.json", depth="plain")
        read = json.loads((self.folder / "results.json").read_text())
        self.assertEqual(read["counts"], {"passed": 2, "failed": 0, "skipped": 3})
        self.assertEqual(read["steps"], [
            {"name": "build.release", "seconds": 12.3, "processor_seconds": 23.4},
            {"name": "unit.release", "seconds": 60, "processor_seconds": 100, "taken_over": "2026-01-31 10:00"}])
        self.assertEqual(read["processor_seconds"], 23.4)
        self.assertEqual(len(read["results"]), 6)
        self.assertEqual(read["results"][2], {"suite": "unit.release", "name": "b", "state": "skipped", "seconds": 0, "reason": "long"})


class TheLastLine(Files):
    """Every run ends with a count, however it ends."""

    def run_with(self, effect) -> str:
        whole = run_all.RunAll(Options(self.folder))
        with mock.patch.object(whole, "_all", side_effect=effect), contextlib.redirect_stdout(io.StringIO()) as printed, \
                contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(whole.run(), 1)
        self.assertTrue((self.folder / "build/test-reports/results.json").exists())
        return printed.getvalue()

    def test_an_interrupted_run_has_failed(self):
        for end in (KeyboardInterrupt, SystemExit(143), ValueError("a mistake")):
            self.assertEqual(self.run_with(end), "0 passed, 1 failed, 0 skipped\n", end)

    def test_a_runner_that_ran_nothing_has_failed(self):
        step = StepRun(Options(self.folder), Commands(self.folder, {}), Summary())
        with contextlib.redirect_stderr(io.StringIO()):
            step.collect("fuzz", [], 0)
            step.collect("guest.release", [Result("guest.a", "passed")], 1)
            step.collect("unit.asan", [Result("a", "passed")], 0)
        self.assertEqual([result.name for result in step.results if result.state == "failed"], ["fuzz", "guest.release"])


class WorkBesideOther(Files):
    """Two steps run at once; neither outlives the other's failure."""

    def test_both_have_ended_afterwards(self):
        met, ended = threading.Barrier(2, timeout=30), []

        def work():
            met.wait()
            ended.append("work")
        with background.Background(work, lambda: self.fail("nothing failed")):
            met.wait()  # a timeout unless both run at once
        self.assertEqual(ended, ["work"])

    def test_a_body_that_fails_stops_the_work(self):
        stopped = threading.Event()
        with self.assertRaises(SystemExit), background.Background(lambda: self.assertTrue(stopped.wait(30)), stopped.set):
            raise SystemExit(143)
        self.assertTrue(stopped.is_set())

    def test_an_exception_of_the_work_is_raised(self):
        with self.assertRaisesRegex(OSError, "a full disk"), background.Background(mock.Mock(side_effect=OSError("a full disk")), mock.Mock()):
            pass

    def test_a_command_that_does_not_end_in_its_time_is_ended(self):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            status, _ = Commands(self.folder, os.environ, seconds=1).run(["sleep", "600"], self.folder / "log")
        self.assertEqual(status, 124)
        self.assertIn("sleep did not end within 1 s", said.getvalue())

    def test_an_interrupted_run_ends_the_commands_of_both(self):
        commands = Commands(self.folder, os.environ)
        statuses, log, deadline = [], self.folder / "log", time.monotonic() + 30
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()), \
                background.Background(lambda: statuses.append(commands.run(["sleep", "600"], log)[0]), commands.end):
            while not commands._running and time.monotonic() < deadline:
                time.sleep(0.01)
            raise SystemExit(143)
        self.assertEqual(statuses, [-signal.SIGTERM])
        self.assertEqual(commands.run(["true"], log)[0], 1, "no command starts after the end")


class Environment(unittest.TestCase):
    def test_settings_for_single_tests_are_removed(self):
        told = []
        left = test_environment.without_settings(
            {"HOME": "/root", "POLLUX_UPDATE_GOLDEN": "1", "POLLUX_CONFORMANCE_PORTS": "null:,null:", "GTEST_FILTER": "none",
             "POLLUX_CACHE": "/cache", "ASAN_OPTIONS": "exitcode=0", "PYTHONOPTIMIZE": "1"}, told.append)
        self.assertEqual(left, {"HOME": "/root", "POLLUX_CACHE": "/cache"})
        self.assertEqual(len(told), 5)


if __name__ == "__main__":
    unittest.main()
