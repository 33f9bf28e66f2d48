# SPDX-License-Identifier: BSD-3-Clause
"""tools/test --quick and --full --resume: what has changed, which tests concern it, and what an earlier run has shown already."""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from unittest import mock

from pollux_lab import concerned, quick, runner_steps
from pollux_lab.commands import Commands
from pollux_lab.ctest_results import Known
from pollux_lab.errors import LabError
from pollux_lab.junit import Result
from pollux_lab.sources import Sources
from pollux_lab.steps import Options, Step, StepRun
from pollux_lab.summary import Summary
from sandbox import ROOT, Sandbox, last_line
from steps_test import ONE_FAILED, Run

PERSON = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(root: pathlib.Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | PERSON).stdout


def write(root: pathlib.Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def commit(root: pathlib.Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "a: b")


def make_repository(root: pathlib.Path) -> None:
    git(root, "init", "--quiet")
    write(root, ".gitignore", "/build/\n")
    write(root, "lib/net/port.cpp", "1")
    commit(root)


class Table(unittest.TestCase):
    """The project's own table of tests that concern a file."""

    def test_covers_every_folder_of_the_library(self):
        folders = {source.relative_to(ROOT).parent for top in ("lib", "include/pollux") for kind in ("*.cpp", "*.hpp")
                   for source in (ROOT / top).rglob(kind)} - {pathlib.Path("include/pollux")}
        self.assertGreater(len(folders), 30)
        self.assertEqual([str(folder) for folder in sorted(folders) if not concerned.tests(f"{folder}/a.cpp")], [])
        self.assertTrue(concerned.tests("include/pollux/open.hpp"))

    def test_names_what_exists(self):
        programs = {name for listing in (ROOT / "tests").rglob("CMakeLists.txt")
                    for name in re.findall(r"pollux_(?:unit|cases)_test\(([\w.]+)", listing.read_text())}
        self.assertIn("igb", programs)
        named = {test for tests in concerned.CONCERNED.values() for test in tests} | set(concerned.EVERY)
        self.assertEqual([test for test in sorted(named) if "/" not in test and test not in programs], [])
        self.assertEqual([test for test in sorted(named) if "/" in test and not (ROOT / test / "CMakeLists.txt").exists()], [])
        self.assertEqual([path for path in concerned.CONCERNED if not (ROOT / path).exists()], [])
        for path, tests in concerned.CONCERNED.items():
            if path.startswith("lib/") and path != "lib/python":  # which has no C++
                self.assertEqual([test for test in tests if "/" in test], [], "mutation tests run programs")

    def test_has_the_tests_of_tests_tools_and_documents(self):
        self.assertEqual(concerned.tests("tests/unit/igb/vlan_test.cpp"), ["tests/unit/igb"])
        self.assertEqual(concerned.tests("include/pollux/net/flow/match.hpp"), ["flow", "igb", "tests/unit/api"])
        self.assertEqual(concerned.programs("lib/models/virtio/net/queue.cpp"), ["virtio_model", "virtio_queues"])
        self.assertEqual(concerned.tests("tools/lib/pollux_lab/run_all.py"), ["tests/unit/tools"])
        self.assertEqual(concerned.tests("tools/pollux/top/page.cpp"), ["tests/unit/top"])
        self.assertEqual(concerned.tests("README.md"), ["tests/unit/guide"])
        self.assertEqual(concerned.tests("cmake/PolluxTargets.cmake"), [])


class Changes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-quick-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        make_repository(self.root)

    def changed(self) -> list[str]:
        sources = Sources(Options(self.root, quick=True))
        with contextlib.redirect_stderr(io.StringIO()) as self.said:
            sources.note()
            return sources.changed()

    def passes(self) -> None:
        sources = Sources(Options(self.root, quick=True))
        sources.note()
        sources.note_passed()

    def test_are_those_since_the_last_state_that_passed(self):
        self.passes()
        self.assertEqual(self.changed(), [])
        write(self.root, "lib/net/port.cpp", "2")
        write(self.root, "lib/net/new one.cpp", "")
        write(self.root, "build/release/x", "")
        self.assertEqual(self.changed(), ["lib/net/new one.cpp", "lib/net/port.cpp"])
        self.assertIn("since the last state that passed", self.said.getvalue())
        commit(self.root)
        self.assertEqual(self.changed(), ["lib/net/new one.cpp", "lib/net/port.cpp"], "a commit is no test")
        self.passes()
        (self.root / "lib/net/new one.cpp").unlink()
        self.assertEqual(self.changed(), ["lib/net/new one.cpp"])

    def test_are_those_since_the_last_commit_if_nothing_has_passed_yet(self):
        self.assertEqual(self.changed(), [".gitignore", "lib/net/port.cpp"])
        write(self.root, "a", "1")
        commit(self.root)
        write(self.root, "b", "1")
        self.assertEqual(self.changed(), ["a", "b"])
        self.assertIn("since the commit before HEAD", self.said.getvalue())
        git(self.root, "update-ref", "refs/remotes/origin/HEAD", "HEAD")
        self.assertEqual(self.changed(), ["b"])

    def test_leave_the_users_repository_as_it_is(self):
        write(self.root, "lib/net/port.cpp", "2")
        before = git(self.root, "status", "--porcelain"), git(self.root, "count-objects")
        self.passes()
        self.changed()
        self.assertEqual((git(self.root, "status", "--porcelain"), git(self.root, "count-objects")), before)

    def test_are_found_after_a_git_that_was_killed(self):
        self.passes()
        write(self.root, "build/test-state/index.lock", "")
        self.assertEqual(self.changed(), [])

    def test_need_git(self):
        (self.root / ".git").rename(self.root / "gone")
        with self.assertRaisesRegex(LabError, "git .* failed: .*not a git repository"):
            self.changed()


class Selection(unittest.TestCase):
    """Which tests run, and what has to be built for them."""

    COMMAND = ("/usr/bin/cmake", "-E", "python3", "/r/tests/unit/top/command_test.py", "/r/build/release/examples/l2fwd",
               "/r/build/release/tools/pollux/pollux")
    THERE = [Known("net", [], None, "tests/unit/net"), Known("igb", [], None, "tests/unit/igb"),
             Known("igb.long", ["long"], None, "tests/unit/igb"), Known("igbvf", [], None, "tests/unit/igbvf"),
             Known("intel_queues.1", [], None, "tests/unit/intel_queues"),
             Known("intel_queues.2", [], None, "tests/unit/intel_queues"),
             Known("ports", [], None, "tests/unit/ports"), Known("top", [], None, "tests/unit/top"),
             Known("top.command", [], None, "tests/unit/top", COMMAND), Known("qemu.1", ["qemu"], None, "tests/qemu")]

    def names(self, *changed: str, runnable: bool = True) -> list[str]:
        return [test.name for test in quick.tests_of(list(changed), self.THERE, runnable)]

    def test_are_the_programs_of_the_layer_with_their_shards(self):
        self.assertEqual(self.names("lib/net/port.cpp"), ["net", "igb", "intel_queues.1", "intel_queues.2", "ports"])
        self.assertEqual(self.names("lib/drivers/intel/igbvf/port.cpp"), ["igbvf"])
        self.assertEqual(self.names("docs/traffic.md", "cmake/x.cmake"), [])

    def test_are_the_tests_of_a_folder(self):
        self.assertEqual(self.names("tools/pollux/top/page.cpp"), ["top", "top.command"])
        self.assertEqual(self.names("tests/unit/igb/a_test.cpp"), ["igb"])
        self.assertEqual(self.names("tests/unit/igb/a_test.cpp", runnable=False), ["igb.long"])

    def test_need_their_programs(self):
        step = StepRun(Options(pathlib.Path("/r")), Commands(pathlib.Path("/r"), {}), Summary())
        needed = {test.name: quick.targets_of(test, step) for test in self.THERE}
        self.assertEqual([needed[name] for name in ("igb", "intel_queues.2", "top.command")],
                         [["igb_test"], ["intel_queues_test"], ["examples/l2fwd", "tools/pollux/pollux"]])


class ChecksOfChanges(unittest.TestCase):
    """What tools/check checks in a --ci run: what has changed since all was clean."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-checks-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in runner_steps.DECIDES:
            write(self.root, name, "1")
        make_repository(self.root)
        self.clean = git(self.root, "rev-parse", "HEAD").strip()
        write(self.root, runner_steps.BASELINE, f"# why\n{self.clean}\n")
        commit(self.root)

    def checked(self, depth: str) -> list[list[str]]:
        step = StepRun(Options(self.root, depth=depth), Commands(self.root, {}), Summary())
        with mock.patch.object(runner_steps, "read_checks") as read:
            runner_steps.check_what_changed(step)
        self.skipped = [result.name for result in step.results]
        return [call.args[2][1:] for call in read.call_args_list]

    def test_compiles_only_what_has_changed_since_all_was_clean(self):
        self.assertEqual(self.checked("ci"), [[*runner_steps.OF_ALL], ["--changed", self.clean, "headers", "tidy"]])
        self.assertEqual(self.skipped, ["check of what has not changed"])
        self.assertEqual(self.checked("full"), [[]], "all checks of all files")

    def test_no_check_is_forgotten(self):
        names = re.search(r"^NAMES=\((.*)\)$", (ROOT / "tools/check").read_text(), re.MULTILINE)[1].split()
        self.assertEqual([*runner_steps.OF_ALL, *runner_steps.OF_CHANGES], names)

    def test_checks_all_after_a_change_of_what_decides(self):
        for name in runner_steps.DECIDES:
            write(self.root, name, "2")
            self.assertEqual((name, self.checked("ci"), self.skipped), (name, [[]], []))
            write(self.root, name, "1")

    def test_checks_all_if_this_clone_lacks_the_commit(self):
        write(self.root, runner_steps.BASELINE, f"{'0' * 40}\n")
        self.assertEqual(self.checked("ci"), [[]])


# A checkout that builds nothing: fake commands note how they were called, and ctest knows two tests.
CTEST = """case "$*" in
  *--show-only*) echo '{"tests": [
    {"name": "net", "properties": [{"name": "WORKING_DIRECTORY", "value": "ROOT/build/release/tests/unit/net"}]},
    {"name": "mem", "properties": [{"name": "WORKING_DIRECTORY", "value": "ROOT/build/release/tests/unit/mem"}]}]}' ;;
  *) echo "$POLLUX_CONFORMANCE_SKIP ctest $*" >>"CALLED"
     for word in "$@"; do
       [[ $word != *.xml ]] || echo '<testsuite><testcase name="net" status="run" time="0"/></testsuite>' >"$word"
     done ;;
esac"""


class Quick(unittest.TestCase):
    def sandbox(self, stack: contextlib.ExitStack) -> Sandbox:
        sandbox = stack.enter_context(Sandbox())
        sandbox.fake("dpkg-query", "printf installed")
        for command in ("cmake", "nice"):
            sandbox.fake(command, f"echo {command} \"$@\" >>'{sandbox.folder}/called'")
        sandbox.fake("ctest", CTEST.replace("ROOT", str(sandbox.root)).replace("CALLED", str(sandbox.folder / "called")))
        sandbox.fake("clang-format", "[[ $* != --version ]] || echo version 14")
        sandbox.fake("shellcheck", "true")
        for folder in ("tools/common", "tools/pktgen", "tools/pollux", "tools/silicon_probe"):  # they include what the sandbox does not have
            shutil.rmtree(sandbox.root / folder)
        make_repository(sandbox.root)
        return sandbox

    def called(self, sandbox: Sandbox) -> str:
        file = sandbox.folder / "called"
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return text

    def test_builds_and_runs_the_tests_of_changed_files_until_they_pass(self):
        with contextlib.ExitStack() as stack:
            sandbox = self.sandbox(stack)
            write(sandbox.root, "include/pollux/a.hpp", "// SPDX-License-Identifier: BSD-3-Clause\n")
            write(sandbox.root, "lib/net/port.cpp", "// SPDX-License-Identifier: BSD-3-Clause\n")
            write(sandbox.root, "lib/open/a.cpp", "// SPDX-License-Identifier: BSD-3-Clause\n")
            commit(sandbox.root)
            write(sandbox.root, "lib/net/port.cpp", "// SPDX-License-Identifier: BSD-3-Clause\nint x;\n")
            outcome = sandbox.run("tools/test", "--quick")
            self.assertEqual(outcome.returncode, 0, outcome.stderr + outcome.stdout)
            called = self.called(sandbox)
            self.assertRegex(called, r"nice .*--preset release --target net_test\n")
            self.assertRegex(called, r"(?m)^qtest ctest .*-R \^\(net\)\$$")
            self.assertRegex(last_line(outcome), r"^\d+ passed, 0 failed, \d+ skipped$")
            for skipped in ("unit.asan", "guest.release", "check.tidy", "unit tests of other files"):
                self.assertIn(f"skipped: {skipped} ", outcome.stderr)
            self.assertIn("files without a quick test (unit.release): include/pollux/a.hpp lib/open/a.cpp (", outcome.stderr)
            self.assertIn("1 test programs and scripts that no changed file concerns", outcome.stderr)
            again = sandbox.run("tools/test", "--quick")
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertIn("since the last state that passed: nothing", again.stderr)
            self.assertNotIn("--target", self.called(sandbox))

    def test_a_failure_keeps_the_files_changed(self):
        with contextlib.ExitStack() as stack:
            sandbox = self.sandbox(stack)
            sandbox.fake("nice", "exit 1")
            for _ in range(2):
                outcome = sandbox.run("tools/test", "--quick")
                self.assertEqual(outcome.returncode, 1)
                self.assertIn("lib/net/port.cpp", outcome.stderr)
                self.assertIn("skipped: unit.release (run): it needs build.release, which failed", outcome.stderr)
                self.assertRegex(last_line(outcome), r"^\d+ passed, [1-9]\d* failed, \d+ skipped$")

    def test_needs_no_emulator_and_is_not_combined(self):
        with Sandbox() as sandbox:
            sandbox.fake("dpkg-query", "exit 1")
            sandbox.fake("sudo", "[[ $1 != -n ]] || shift; \"$@\"")
            sandbox.fake("apt-get", "exit 1")
            installed = sandbox.run("tools/test", "--quick").stderr
            self.assertIn("ninja-build", installed)
            self.assertNotIn("qemu", installed)
            for words in (["--quick", "--full"], ["--quick", "--only", "check"], ["--resume"],
                          ["--full", "--resume", "--only", "check"]):
                outcome = sandbox.run("tools/test", *words)
                self.assertEqual((outcome.returncode, last_line(outcome)), (2, ONE_FAILED))
                self.assertRegex(outcome.stderr, "(cannot be combined|goes on with).*\n  what to do: ")


class Resume(Run):
    def setUp(self):
        super().setUp()
        make_repository(self.root)

    def run_full(self, resume: bool = True, **facts) -> str:
        self.ran.clear()
        return self.run_table(self.step("build"), self.step("unit", "build"), self.step("fuzz"), depth="full", resume=resume, **facts)

    def test_goes_on_with_what_has_not_passed(self):
        self.failing = {"unit"}
        self.run_full(resume=False, expected_status=1)
        self.failing = set()
        printed = self.run_full()
        self.assertEqual(self.ran, ["build", "unit", "claims"], "a build is made again if a step that has to run needs it")
        self.assertRegex(printed, r"TAKEN     fuzz: 1 results of a run that ended it \d{4}-")
        self.assertRegex(printed, r"fuzz .* taken over, it ran \d{4}-")
        self.assertEqual(printed.splitlines()[-1], "4 passed, 0 failed, 0 skipped")
        read = json.loads((self.root / "build/test-reports/results.json").read_text())
        self.assertEqual([step["name"] for step in read["steps"] if "taken_over" in step], ["fuzz"])
        self.run_full()
        self.assertEqual(self.ran, ["claims"])

    def test_goes_on_after_an_interruption(self):
        def interrupt(_running):
            raise KeyboardInterrupt
        self.run_table(self.step("build"), self.step("unit", "build", function=interrupt), depth="full", expected_status=1)
        self.assertEqual(self.results()["interrupted"], "failed")
        self.ran.clear()
        self.run_table(self.step("build"), self.step("unit", "build"), depth="full", resume=True)
        self.assertEqual(self.ran, ["build", "unit", "claims"])

    def test_a_step_that_fails_when_it_runs_again_is_no_longer_taken_over(self):
        def table() -> list[Step]:
            return [self.step("unit", returns=True), self.step("coverage", "unit"), self.step("fuzz")]
        self.failing = {"coverage"}
        self.run_table(*table(), depth="full", expected_status=1)
        self.failing = {"unit"}
        self.run_table(*table(), depth="full", resume=True, expected_status=1)
        self.ran.clear()
        self.failing = set()
        self.run_table(*table(), depth="full", resume=True)
        self.assertEqual(self.ran, ["unit", "claims"])

    def test_takes_over_nothing_of_the_run_before_the_interrupted_one(self):
        def interrupt(_running):
            raise KeyboardInterrupt
        self.run_full(resume=False)
        self.run_table(self.step("build", function=interrupt), depth="full", expected_status=1)
        self.assertIn("ANEW ", self.run_full())

    def test_begins_anew_after_a_crash_that_emptied_the_file(self):
        self.run_full(resume=False)
        write(self.root, "build/test-state/finished.json", "")
        self.assertIn("ANEW ", self.run_full())

    def test_begins_anew_when_the_sources_have_changed(self):
        self.run_full(resume=False)
        write(self.root, "lib/net/new.cpp", "")
        self.assertIn("ANEW ", self.run_full())
        self.assertEqual(self.ran, ["build", "unit", "fuzz", "claims"])
        self.run_full(resume=False)
        self.assertEqual(self.ran, ["build", "unit", "fuzz", "claims"])

    def test_does_not_take_over_steps_that_ended_after_a_change(self):
        def change(running):
            write(self.root, "lib/net/port.cpp", "changed")
            running.results.append(Result("changing", "passed"))
        printed = self.run_table(self.step("build"), self.step("edit", function=change), self.step("unit"), depth="full")
        self.assertEqual(printed.count("the sources have changed since this run began"), 1)
        write(self.root, "lib/net/port.cpp", "1")
        self.ran.clear()
        self.run_table(self.step("build"), self.step("edit"), self.step("unit"), depth="full", resume=True)
        self.assertEqual(self.ran, ["edit", "unit", "claims"])


if __name__ == "__main__":
    unittest.main()
