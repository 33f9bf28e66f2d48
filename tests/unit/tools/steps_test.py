# SPDX-License-Identifier: BSD-3-Clause
"""The steps of tools/test: which run, in which order, what is said of the others, and what each costs."""

import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from unittest import mock

from pollux_lab import build_steps, cases, claims, junit, run_all, runner_steps, step_table
from pollux_lab.commands import Commands
from pollux_lab.ctest_results import Known
from pollux_lab.errors import LabError
from pollux_lab.junit import Result
from pollux_lab.processors import processors
from pollux_lab.progress import Progress
from pollux_lab.steps import DEPTHS, REASON_LINES, Options, Step, StepRun, reason
from pollux_lab.summary import Summary
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
                                 LAST=last, STEPS=[*first, *sum(background, []), *beside, *last], CI_LEAVES_OUT={}), \
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
    def test_each_run_has_the_steps_of_the_shorter_ones_and_names_the_others(self):
        table = self.step("a"), self.step("b", depth="ci"), self.step("c", depth="full")
        for depth, ran, left_out in (("plain", ["a"], ["b", "c"]), ("ci", ["a", "b"], ["c"]), ("full", ["a", "b", "c"], [])):
            printed = self.run_table(*table, depth=depth)
            self.assertEqual(self.ran, [*ran, "claims"])
            self.assertEqual(re.findall(r"(?m)^skipped: (.) \(run\): what . does \(--(?:ci|full) runs it\)$", printed), left_out)
            self.assertRegex(printed.splitlines()[-1], rf"^{len(ran) + 1} passed, 0 failed, {len(left_out)} skipped$")
            self.ran.clear()

    def test_guests_run_beside_other_steps_and_end_before_the_last(self):
        met = threading.Barrier(3, timeout=30)

        def meet(running):
            met.wait()
            running.results.append(Result("met", "passed"))
        self.run_table(self.step("build"), background=[[self.step("guest", function=meet)], [self.step("interop", function=meet)]],
                       beside=[self.step("asan", function=meet), self.step("tsan")], last=[self.step("mutation")])
        self.assertEqual(self.ran, ["build", "tsan", "mutation", "claims"])

    def test_guests_of_one_list_run_one_after_the_other(self):
        running, together = threading.Lock(), []

        def alone(step):
            together.append(not running.acquire(blocking=False))
            time.sleep(0.05)
            running.release()
            step.results.append(Result("alone", "passed"))
        self.run_table(background=[[self.step("interop", function=alone), self.step("kernels", "interop", function=alone)]])
        self.assertEqual(together, [False, False])

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
                self.step("guest", "build", depth="full")]

    def test_runs_these_steps_and_what_they_need(self):
        printed = self.run_table(*self.table(), only=("unit",))
        self.assertEqual(self.ran, ["build", "unit"])
        self.assertEqual(printed.splitlines()[-1], "2 passed, 0 failed, 4 skipped")
        self.ran.clear()
        self.run_table(*self.table(), only=("fuzz", "coverage"))
        self.assertEqual(self.ran, ["build", "unit", "coverage", "fuzz"])

    def test_says_what_did_not_run(self):
        printed = self.run_table(*self.table(), only=("build",))
        self.assertEqual(self.results(), {"build.case": "passed", "unit": "skipped", "coverage": "skipped", "fuzz": "skipped",
                                          "claims": "skipped", "guest": "skipped"})
        self.assertIn("LEFT OUT  by --only, so not tested: unit, coverage, fuzz, claims", printed)
        self.assertRegex(printed, "LEFT OUT  claims: .*all steps")

    def test_an_unknown_step_is_refused_with_the_names_of_all(self):
        for only, said in (("unti", "there is no step 'unti'"), ("", "there is no step ''"),
                           ("claims", "'claims' can only be judged"), ("guest", "'guest' belongs to --full")):
            with self.assertRaisesRegex(LabError, said) as raised:
                self.run_table(*self.table(), only=("build", only))
            if "there is no" in said:
                self.assertIn("build, unit, coverage, fuzz", raised.exception.hint)
        self.run_table(*self.table(), only=("guest",), depth="full")
        self.assertEqual(self.ran, ["build", "guest"])

    def test_its_results_are_no_base_for_the_features_page(self):
        file = self.root / "build/test-reports/results.json"
        for of_part in ({"only": ("unit",), "depth": "ci"}, {}):
            self.run_table(*self.table(), **of_part)
            with self.assertRaisesRegex(LabError, "some steps only"):
                claims.read_run(file)
        self.run_table(*self.table(), depth="ci")
        claims.read_run(file)


class Telling(Run):
    """What a run says while it works."""

    def test_a_run_begins_with_what_it_will_do(self):
        printed = self.run_table(self.step("build"), self.step("check", depth="ci"), self.step("unit"))
        begin = printed.index("THIS RUN  is 'plain', on ")
        self.assertLess(begin, printed.index("STEP "))
        self.assertRegex(printed[begin:], r"\A.*\n +build: what build does\n +unit: what unit does\n +claims: .*\nSTEP ")

    def test_a_reader_that_has_ended_does_not_end_the_run(self):
        """pytest#4375: BrokenPipeError from the writer when `head` had gone."""
        script = "from pollux_lab.commands import tell; tell('a'); tell('b' * 100000); open('ended', 'w')"
        told = subprocess.run(f"{sys.executable} -c \"{script}\" 2>&1 >/dev/null | true; echo ${{PIPESTATUS[0]}}", shell=True, cwd=self.root,
                              executable="/bin/bash", capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "tools/lib")})
        self.assertEqual((told.stdout, told.stderr, (self.root / "ended").exists()), ("0\n", "", True))

    def test_the_time_that_is_left_follows_the_speed_of_this_run(self):
        now = [100.0]
        progress = Progress([self.step("a", cost={"ci": 60}), self.step("b", cost={"ci": 540})], "ci", clock=lambda: now[0])
        at_first = 600 / processors() / 60
        self.assertEqual(progress.reached("a", 0), f"; some {round(at_first)} min left")
        now[0] += 60
        self.assertEqual(progress.reached("a", 0), "; some 20 min left", "on this machine the first 30 of 600 take longer")
        now[0] += 60
        self.assertEqual(progress.reached("a", 1), "; some 18 min left")  # 60 of 600 in 120 s
        now[0] += 60
        self.assertEqual(progress.reached("b", 0.5), "; some 2 min left")  # 330 of 600 in 180 s
        self.assertEqual(progress.reached("b", 0.1), "; some 2 min left", "a step does not go back")
        self.assertEqual(progress.reached("b", 1), "")

    def test_steps_without_a_cost_say_nothing_of_the_time(self):
        self.assertEqual(Progress([self.step("a", cost={"ci": 60})], "full").reached("a", 0.5), "")

    def test_the_lines_of_a_log_are_followed_while_the_command_runs(self):
        seen, log = [], self.root / "log"
        script = f"echo one; while [[ ! -e {self.root}/seen ]]; do sleep 0.02; done; printf 'two\\nth'; sleep 0.2; printf ree"

        def told(line: str) -> None:
            seen.append(line)
            (self.root / "seen").touch()
        status, _ = Commands(self.root, os.environ, seconds=30).run(["bash", "-c", script + "; echo"], log, told)
        self.assertEqual((status, seen), (0, ["one", "two", "three"]))

    def test_each_suite_of_ctest_has_a_line(self):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            step = StepRun(Options(self.root), Commands(self.root, {}), Summary(), lambda share: f"; {share:.2f}")
            cases = self.root / "mem.xml"
            junit.write_cases(cases, [Result("A.a", "passed"), Result("A.b", "failed")])
            told = build_steps.told_tests(step, [Known("mem", [], cases), Known("a.b", [], None)])
            for line in ("      Start  1: mem", " 1/4 Test  #1: mem ..............   Passed    2.30 sec", "2/4 Test #12: a.b ...***Failed  0.01 sec",
                         " 3/4 Test  #3: c ..............***Timeout 900.01 sec", " 4/4 Test  #4: d .......***Skipped   0.02 sec",
                         "100% tests passed"):
                told(line)
        self.assertEqual(err.getvalue().splitlines(), ["PASS      mem: 2 cases, 2.30 s; 0.25", "FAIL      a.b: 1 case, 0.01 s; 0.50",
                                                       "FAIL      c: 1 case, 900.01 s; 0.75", "SKIP      d: 1 case, 0.02 s; 1.00"])


class Processors(unittest.TestCase):
    def test_are_those_that_this_process_may_use(self):
        """taskset and containers limit them; os.cpu_count() does not see that."""
        script = "from pollux_lab.processors import processors; print(processors())"
        one = subprocess.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, "-c", script], capture_output=True, text=True,
                             env=os.environ | {"PYTHONPATH": str(ROOT / "tools/lib")})
        self.assertEqual((one.stdout, one.stderr), ("1\n", ""))


class Cases(unittest.TestCase):
    """The cases of a plain run are there, in both runners."""

    def test_a_plain_run_names_cases_that_exist(self):
        for runner, names in (("guest", runner_steps.PLAIN_GUEST), ("interop", runner_steps.PLAIN_INTEROP)):
            listed = subprocess.run([ROOT / f"tests/{runner}/run", "--list"], capture_output=True, text=True).stdout.splitlines()
            self.assertEqual([name for name in names if name not in [line.split()[0] for line in listed]], [])

    def test_each_case_in_a_guest_belongs_to_one_of_its_two_steps(self):
        listed = {kernels: subprocess.run([ROOT / "tests/guest/run", "--list", "--kernels", kernels], capture_output=True,
                                          text=True).stdout.splitlines() for kernels in ("all", "stock", "others")}
        self.assertTrue(listed["stock"] and listed["others"])
        self.assertEqual(sorted(listed["all"]), sorted(listed["stock"] + listed["others"]))
        on_stock = [line.split()[0] for line in listed["stock"]]
        self.assertEqual([name for name in runner_steps.PLAIN_GUEST if name not in on_stock], [])

    def test_a_name_that_no_case_has_is_an_error(self):
        self.assertEqual(cases.chosen(["a.one", "a.two", "b"], "one,b"), {"a.one", "b"})
        self.assertEqual(cases.chosen(["a", "b"], ""), {"a", "b"})
        with self.assertRaisesRegex(LabError, "no case has 'three' in its name"):
            cases.chosen(["a.one"], "one,three")


class Table(unittest.TestCase):
    """The project's own table."""

    def test_is_consistent(self):
        names = [step.name for step in step_table.STEPS]
        self.assertEqual(len(names), len(set(names)))
        for place, step in enumerate(step_table.STEPS):
            for need in step.needs:
                self.assertIn(need, names[:place], "what a step needs runs before it")
                self.assertLessEqual(DEPTHS.index(step_table.STEPS[names.index(need)].depth), DEPTHS.index(step.depth))
        self.assertEqual(names[-1], step_table.JUDGES_ALL)

    def test_names_packages_that_the_tools_know(self):
        roles = set(re.findall(r"^    ([\w-]+)\)", (ROOT / "tools/lib/packages.sh").read_text(), re.MULTILINE))
        self.assertIn("interop", roles)
        self.assertLessEqual(set(step_table.packages(Options(ROOT, depth="full"))), roles | {"qemu", "kernel", "kernel-files"})

    def test_a_step_installs_only_what_it_needs(self):
        self.assertEqual(step_table.packages(Options(ROOT, depth="ci", only=("fuzz",))), ["build", "test"])
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
        printed = self.run_table(self.step("first"), background=[[self.step("sleep", function=sleep)]],
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


class Builds(Run):
    def test_the_first_build_has_the_name_of_its_step(self):
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            step = StepRun(Options(self.root), mock.Mock(run=lambda words, log, told: told and told("[1/75] Building") or (0, 0.0)), Summary())
            with mock.patch.object(build_steps, "BUILD_TELLS_SECONDS", -1):
                self.assertTrue(build_steps.build_first(step))
        self.assertIn("build.first: 1 of 75", told.getvalue())
        self.assertEqual([result.name for result in step.results], ["configure.release", "build.first"])


class Coverage(unittest.TestCase):
    def build(self, folder: pathlib.Path, *sources: str) -> None:
        """Builds an object and the notes of each, as a compiler does that counts."""
        text = "rule compile\n  command = touch $out $notes\n"
        text += "".join(f"build {each}.o: compile\n  notes = {each}.gcno {each}.gcda\n" for each in sources)
        (folder / "build.ninja").write_text(text)
        subprocess.run(["ninja", "-C", str(folder)], stdout=subprocess.DEVNULL, check=True)

    def test_forgets_counts_and_the_notes_of_what_is_not_built_any_more(self):
        with tempfile.TemporaryDirectory(prefix="pollux-coverage-") as name:
            folder = pathlib.Path(name)
            self.build(folder, "kept.cpp", "regrouped.cpp")
            self.build(folder, "kept.cpp")
            build_steps.forget_coverage(folder)
            self.assertEqual(sorted(file.name for file in folder.glob("*.*") if not file.name.startswith((".", "build."))),
                             ["kept.cpp.gcno", "kept.cpp.o"])


class Tool(unittest.TestCase):
    """tools/test itself, before anything runs."""

    def test_lists_the_steps(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/test", "--list")
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            self.assertRegex(outcome.stdout, r"(?m)^unit.release +plain +unit tests")
            self.assertRegex(outcome.stdout, r"(?m)^check +ci +tools/check")
            self.assertRegex(outcome.stdout, r"(?m)^mutation +full +deliberate")

    def test_lists_the_steps_that_are_named_with_what_they_need(self):
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/test", "--ci", "--only", "coverage", "--list")
            self.assertEqual([line.split()[0] for line in outcome.stdout.splitlines()], ["build.asan", "unit.asan", "coverage"])
            outcome = sandbox.run("tools/test", "--only", "nosuch", "--list")
            self.assertEqual((outcome.returncode, outcome.stdout), (2, ""))
            self.assertIn("there is no step 'nosuch'", outcome.stderr)

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
            installed = sandbox.run("tools/test", "--ci", "--only", "build.asan").stderr
            self.assertIn("ninja-build", installed)
            self.assertNotIn("qemu", installed)
            self.assertIn("qemu-system-x86", sandbox.run("tools/test", "--only", "interop").stderr)


if __name__ == "__main__":
    unittest.main()
