# SPDX-License-Identifier: BSD-3-Clause
"""The steps of tools/test: which run, in which order, what is said of the others, and what each costs."""

import contextlib
import io
import json
import os
import pathlib
import re
import tempfile
import threading
import time
import unittest

from unittest import mock

from pollux_lab import claims, run_all, step_table
from pollux_lab.commands import Commands
from pollux_lab.errors import LabError
from pollux_lab.junit import Result
from pollux_lab.steps import REASON_LINES, Options, Step, reason
from sandbox import ROOT, Sandbox, last_line

ONE_FAILED = "0 passed, 1 failed, 0 skipped"
BURN = "import time\nwhile time.process_time() < 0.4: pass"


class Run(unittest.TestCase):
    """Runs tables of steps that only note their names."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-steps-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.ran: list[str] = []
        self.failing: set[str] = set()

    def step(self, name: str, *needs: str, function=None, returns: bool | None = None, **facts) -> Step:
        def note(running) -> bool:
            self.ran.append(name)
            running.results.append(Result(f"{name}.case", "failed" if name in self.failing else "passed", suite=name))
            return name not in self.failing if returns is None else returns
        return Step(name, f"what {name} does", function or note, needs, **facts)

    def run_table(self, *first: Step, background=(), beside=(), last=(), expected_status: int | None = 0, **options) -> str:
        """Runs the table; returns what was printed. The last step is `claims`."""
        last = [*last, self.step("claims")]
        with mock.patch.multiple(step_table, FIRST=list(first), IN_BACKGROUND=list(background), BESIDE_GUESTS=list(beside),
                                 LAST=last, STEPS=[*first, *background, *beside, *last], PLAIN_LEAVES_OUT={}), \
                contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            status = run_all.RunAll(Options(self.root, **options)).run()
        if expected_status is not None:
            self.assertEqual(status, expected_status, err.getvalue())
        return err.getvalue() + out.getvalue()

    def results(self) -> dict[str, str]:
        read = json.loads((self.root / "build/test-reports/results.json").read_text())
        return {result["name"]: result["state"] for result in read["results"]}


class Reasons(unittest.TestCase):
    """What a failed case prints of its output."""

    def test_of_output_the_end_counts(self):
        lines = [f"line {number}" for number in range(40)]
        self.assertEqual(reason("\n".join(lines) + "\n"), lines[-REASON_LINES:])

    def test_a_report_of_a_sanitizer_counts_wherever_it_is(self):
        after = [f"[       OK ] case {number}" for number in range(40)]
        for report in ("WARNING: ThreadSanitizer: data race (pid=1)", "==1==ERROR: AddressSanitizer: heap-use-after-free",
                       "a.cpp:1:2: runtime error: signed integer overflow"):
            self.assertEqual(reason("\n".join(["[ RUN      ] case", report, *after])), [report, *after], report)


class Order(Run):
    def test_the_plain_run_leaves_the_long_steps_to_full(self):
        table = self.step("a"), self.step("b", full_only=True)
        self.run_table(*table)
        self.assertEqual(self.ran, ["a", "claims"])
        self.ran.clear()
        self.run_table(*table, full=True)
        self.assertEqual(self.ran, ["a", "b", "claims"])

    def test_guests_run_beside_other_steps_and_end_before_the_last(self):
        met = threading.Barrier(2, timeout=30)

        def meet(running):
            met.wait()
            running.results.append(Result("met", "passed"))
        self.run_table(self.step("build"), background=[self.step("guest", function=meet), self.step("interop")],
                       beside=[self.step("asan", function=meet)], last=[self.step("mutation")])
        self.assertEqual(self.ran, ["build", "interop", "mutation", "claims"])

    def test_a_step_without_what_it_needs_is_not_run_and_not_passed(self):
        self.failing = {"build"}
        printed = self.run_table(self.step("build"), self.step("unit", "build"), self.step("coverage", "unit"), expected_status=1)
        self.assertEqual(self.ran, ["build", "claims"])
        self.assertEqual(self.results(), {"build.case": "failed", "unit": "skipped", "coverage": "skipped",
                                          "claims.case": "passed"})
        self.assertIn("skipped: unit (run): it needs build, which failed", printed)


class Only(Run):
    def table(self) -> list[Step]:
        return [self.step("build"), self.step("unit", "build"), self.step("coverage", "unit"), self.step("fuzz"),
                self.step("guest", "build", full_only=True)]

    def test_runs_these_steps_and_what_they_need(self):
        printed = self.run_table(*self.table(), only=("unit",))
        self.assertEqual(self.ran, ["build", "unit"])
        self.assertEqual(printed.splitlines()[-1], "2 passed, 0 failed, 3 skipped")
        self.ran.clear()
        self.run_table(*self.table(), only=("fuzz", "coverage"))
        self.assertEqual(self.ran, ["build", "unit", "coverage", "fuzz"])

    def test_says_what_did_not_run(self):
        printed = self.run_table(*self.table(), only=("build",))
        self.assertEqual(self.results(), {"build.case": "passed", "unit": "skipped", "coverage": "skipped", "fuzz": "skipped",
                                          "claims": "skipped"})
        self.assertIn("LEFT OUT  by --only, so not tested: unit, coverage, fuzz, claims", printed)
        self.assertRegex(printed, "LEFT OUT  claims: .*all steps")

    def test_an_unknown_step_is_refused_with_the_names_of_all(self):
        for only, said in (("unti", "there is no step 'unti'"), ("", "there is no step ''"),
                           ("claims", "'claims' can only be judged"), ("guest", "'guest' belongs to --full")):
            with self.assertRaisesRegex(LabError, said) as raised:
                self.run_table(*self.table(), only=("build", only))
            if "there is no" in said:
                self.assertIn("build, unit, coverage, fuzz", raised.exception.hint)
        self.run_table(*self.table(), only=("guest",), full=True)
        self.assertEqual(self.ran, ["build", "guest"])

    def test_its_results_are_no_base_for_the_features_page(self):
        self.run_table(*self.table(), only=("unit",))
        file = self.root / "build/test-reports/results.json"
        with self.assertRaisesRegex(LabError, "some steps only"):
            claims.read_run(file)
        self.run_table(*self.table())
        claims.read_run(file)


class Table(unittest.TestCase):
    """The project's own table."""

    def test_is_consistent(self):
        names = [step.name for step in step_table.STEPS]
        self.assertEqual(len(names), len(set(names)))
        for place, step in enumerate(step_table.STEPS):
            for need in step.needs:
                self.assertIn(need, names[:place], "what a step needs runs before it")
                self.assertLessEqual(step_table.STEPS[names.index(need)].full_only, step.full_only)
        self.assertEqual(names[-1], step_table.JUDGES_ALL)

    def test_names_packages_that_the_tools_know(self):
        roles = set(re.findall(r"^    ([\w-]+)\)", (ROOT / "tools/lib/packages.sh").read_text(), re.MULTILINE))
        self.assertIn("interop", roles)
        self.assertLessEqual(set(step_table.packages(Options(ROOT, full=True))), roles | {"qemu", "kernel", "kernel-files"})

    def test_a_step_installs_only_what_it_needs(self):
        self.assertEqual(step_table.packages(Options(ROOT, only=("fuzz",))), ["build", "test"])
        self.assertIn("kernel", step_table.packages(Options(ROOT, only=("interop",))))
        self.assertNotIn("baselines", step_table.packages(Options(ROOT, only=("interop",))))


class ProcessorSeconds(Run):
    def test_are_those_of_the_commands_of_a_step_and_their_children(self):
        def burn(running):
            # A grandchild computes; the command itself only waits for it.
            running.command(["bash", "-c", f"/usr/bin/python3 -c '{BURN}'; true"], self.root / "burn.log")
            running.results.append(Result("a", "passed"))

        def sleep(running):
            running.command(["sleep", "0.6"], self.root / "sleep.log")
            running.results.append(Result("b", "passed"))
        printed = self.run_table(self.step("first"), background=[self.step("sleep", function=sleep)],
                                 beside=[self.step("burn", function=burn)])
        steps = {step["name"]: step for step in json.loads((self.root / "build/test-reports/results.json").read_text())["steps"]}
        self.assertGreaterEqual(steps["burn"]["processor_seconds"], 0.4)
        self.assertLess(steps["sleep"]["processor_seconds"], 0.2)
        self.assertGreaterEqual(steps["sleep"]["seconds"], 0.6)
        self.assertRegex(printed, r"burn +\d+\.\d +[01]\.\d\n")
        self.assertRegex(printed, r"\ntotal of this run +\d+\.\d +[01]\.\d\n4 passed")

    def test_are_counted_when_a_command_is_ended(self):
        commands, found, started = Commands(self.root, os.environ), [], self.root / "started"
        script = f"{BURN}\nopen({str(started)!r}, 'w'); time.sleep(60)"
        thread = threading.Thread(target=lambda: found.append(commands.run(["/usr/bin/python3", "-c", script], self.root / "log")))
        thread.start()
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        commands.end()
        thread.join(30)
        (status, seconds), = found
        self.assertEqual(status, -15)
        self.assertGreaterEqual(seconds, 0.4)


class Tool(unittest.TestCase):
    """tools/test itself, before anything runs."""

    def test_lists_the_steps(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/test", "--list")
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            self.assertRegex(outcome.stdout, r"(?m)^unit.release +both +unit tests")
            self.assertRegex(outcome.stdout, r"(?m)^mutation +--full +deliberate")

    def test_the_reader_of_the_list_may_stop_early(self):
        with Sandbox() as sandbox:
            script = f"'{sandbox.root}/tools/test' --list | true; echo ${{PIPESTATUS[0]}}"
            outcome = sandbox.run(str(sandbox.bin / "bash"), "-c", script, PYTHONUNBUFFERED="1")
            self.assertEqual((outcome.stdout, outcome.stderr), ("0\n", ""))

    def test_a_list_that_cannot_be_printed_is_a_failure_with_its_reason(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run(str(sandbox.bin / "bash"), "-c", f"'{sandbox.root}/tools/test' --list >/dev/full")
            self.assertEqual(outcome.returncode, 1)
            self.assertTrue(outcome.stderr.startswith("tools/test: error: the text cannot be printed: No space left"), outcome)

    def test_help_that_cannot_be_printed_begins_nothing(self):
        """Of all tools."""
        for tool in ("abi", "bench", "check", "demo", "features", "packages", "release", "silicon", "test"):
            with self.subTest(tool), Sandbox() as sandbox:
                outcome = sandbox.run(str(sandbox.bin / "bash"), "-c", f"'{sandbox.root}/tools/{tool}' --help >/dev/full")
                self.assertEqual(outcome.returncode, 1)
                self.assertRegex(outcome.stderr, r"\A.*: No space left on device\n\Z")

    def test_refuses_unknown_steps_before_it_installs_anything(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", "exit 1")
            for words in (["unti"], ["mutation"], []):
                outcome = sandbox.run("tools/test", "--only", *words)
                self.assertEqual(outcome.returncode, 2)
                self.assertRegex(outcome.stderr, "error: .*\n  what to do: .")
                self.assertNotIn("installing", outcome.stderr)
                if words:
                    self.assertEqual(last_line(outcome), ONE_FAILED)

    def test_installs_only_what_the_steps_need(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", "exit 1")
            sandbox.fake("sudo", "[[ $1 != -n ]] || shift; \"$@\"")
            sandbox.fake("apt-get", "exit 1")
            installed = sandbox.run("tools/test", "--only", "build.asan").stderr
            self.assertIn("ninja-build", installed)
            self.assertNotIn("qemu", installed)
            self.assertIn("qemu-system-x86", sandbox.run("tools/test", "--only", "interop").stderr)


if __name__ == "__main__":
    unittest.main()
