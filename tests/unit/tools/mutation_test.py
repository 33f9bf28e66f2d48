# SPDX-License-Identifier: BSD-3-Clause
"""tests/mutation: the mistakes that it makes, and its report of a mistake that no test detects."""

import pathlib
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from pollux_lab import concerned, mutation
from pollux_lab.mutants import code_of, mutants_of

RUN = pathlib.Path(__file__).resolve().parents[2] / "mutation/run"


def made(text: str, kind: str) -> list[str]:
    """The changed lines of all mutants of one kind."""
    return [line[1:].strip() for mutant in mutants_of("a.cpp", text) if mutant.kind == kind
            for line in mutant.difference(text).splitlines() if line.startswith("+")]


class Operators(unittest.TestCase):
    def test_conditions_are_negated(self):
        self.assertEqual(made("if (ready) go();\n", "condition"), ["if (!(ready)) go();"])
        self.assertEqual(made("while (a && f(b)) {\n", "condition"), ["while (!(a && f(b))) {"])
        self.assertEqual(made("if (auto x = f(); !x) return x;\n", "condition"), ["if (auto x = f(); !(!x)) return x;"])

    def test_a_negated_condition_keeps_its_literals(self):
        self.assertEqual(made('if (may_load(environ, "/proc")) go();\n', "condition"), ['if (!(may_load(environ, "/proc"))) go();'])

    def test_a_declaration_in_a_condition_is_not_negated(self):
        self.assertEqual(made("if (auto* x = f()) {\nif constexpr (kBig) {\n", "condition"), [])

    def test_boundaries_and_comparisons_change(self):
        self.assertEqual(made("a < b;\n", "operator"), ["a <= b;", "a >= b;"])
        self.assertEqual(made("a == b;\n", "operator"), ["a != b;"])
        self.assertEqual(made("x = a >= b && c;\n", "operator"), ["x = a < b && c;", "x = a > b && c;", "x = a >= b || c;"])

    def test_sums_bits_and_steps_change(self):
        self.assertEqual(made("x = a + b - c;\n", "operator"), ["x = a - b - c;", "x = a + b + c;"])
        self.assertEqual(made("x += a << 2 | b;\n", "operator"), ["x -= a << 2 | b;", "x += a >> 2 | b;", "x += a << 2 & b;"])
        self.assertEqual(made("++i;\n", "operator"), ["--i;"])

    def test_brackets_of_templates_references_and_pointers_do_not_change(self):
        self.assertEqual(made("std::vector<int> f(const Mbuf& a, Mbuf* b, int&& c);\n", "operator"), [])

    def test_constants_change(self):
        self.assertEqual(made("f(0, 1, 7);\n", "constant"), ["f(1, 1, 7);", "f(0, 0, 7);", "f(0, 1, 8);"])
        self.assertEqual(made("f(0xFFULL, 1'000U);\n", "constant"), ["f(256ULL, 1'000U);", "f(0xFFULL, 1001U);"])
        self.assertEqual(made("return true;\n", "constant"), ["return false;"])
        self.assertEqual(made("a1 = b2.c3;\n", "constant"), [])

    def test_returned_values_change(self):
        self.assertEqual(made("return fail(code);\n", "return"), ["return {};"])
        self.assertEqual(made("return {};\nreturn;\nreturn true;\n", "return"), [])

    def test_statements_are_dropped(self):
        text = "{\n  pool.give(x);\n  count_ += 2;\n  ++n;\n  continue;\n  int y = 3;\n  return f(x);\n  Foo z(x);\n}\n"
        changed = [line.strip() for mutant in mutants_of("a.cpp", text) if mutant.kind == "statement"
                   for line in mutant.difference(text).splitlines() if line.startswith("-")]
        self.assertEqual(changed, ["-  pool.give(x);", "-  count_ += 2;", "-  ++n;", "-  continue;"])

    def test_a_statement_of_two_lines_is_removed_as_a_whole(self):
        text = "{\n  log.add(level,\n          text);\n  next();\n}\n"
        first = [mutant for mutant in mutants_of("a.cpp", text) if mutant.kind == "statement"][0]
        self.assertEqual(first.apply(text), "{\n  {}\n  next();\n}\n")

    def test_comments_literals_and_assertions_do_not_change(self):
        text = '// a < b\n#define X 1 + 2\n/* if (x) */\nf("1 + 2", \'0\', R"(3 < 4)");\nstatic_assert(a == (1 + b));\n'
        self.assertEqual(mutants_of("a.cpp", text), [])
        self.assertEqual(len(code_of(text)), len(text))
        self.assertEqual(code_of(text).count("\n"), text.count("\n"))

    def test_lines_are_counted_from_one(self):
        self.assertEqual([mutant.line for mutant in mutants_of("a.cpp", "int x = 1;\n\nint y = 2;\n")], [1, 3])

    def test_a_mutant_keeps_its_key_when_other_lines_change(self):
        before, after = "int x = 5;\n", "int other();\n\nint x = 5;\n"
        self.assertEqual(mutants_of("a.cpp", before)[0].key(before, 1), mutants_of("a.cpp", after)[0].key(after, 1))
        self.assertNotEqual(mutants_of("a.cpp", before)[0].key(before, 1), mutants_of("a.cpp", before)[0].key(before, 2))


class Programs(unittest.TestCase):
    def test_a_file_has_the_programs_of_its_layer(self):
        self.assertEqual(concerned.programs("lib/backends/vfio/bar.cpp"), ["vfio"])
        self.assertEqual(concerned.programs("lib/backends/sim/wire.cpp")[0], "sim")
        self.assertIn("intel_queues", concerned.programs("lib/drivers/intel/queue/rx_queue.cpp"))
        self.assertEqual(concerned.programs("lib/drivers/intel/igbvf/port.cpp"), ["igbvf"])
        self.assertEqual(concerned.programs("include/pollux/mem/mbuf.hpp"), concerned.programs("lib/mem/mbuf.cpp"))
        self.assertEqual(concerned.programs("include/pollux/open.hpp"), concerned.programs("lib/open/open.cpp"))
        self.assertEqual(concerned.programs("lib/new/file.cpp"), concerned.EVERY)
        self.assertEqual(concerned.programs("examples/echo/main.cpp"), concerned.EVERY)


class Detection(unittest.TestCase):
    def detected(self, *statuses: int) -> tuple[str, list[float]]:
        """What is said when the program ends with these statuses, one after the other; and the time limits that it had."""
        copy = mutation.BuildCopy(pathlib.Path(), pathlib.Path(), "release")
        copy.seconds["mem"] = 1
        with mock.patch.object(copy, "_run", side_effect=[(status, "[  FAILED  ] A.B (3 ms)") for status in statuses]) as run:
            said = copy._detected_by("mem")
        self.assertEqual(run.call_count, len(statuses))
        return said, [call.args[1] for call in run.call_args_list]

    def test_a_test_that_fails_twice_detects_a_mutant(self):
        self.assertEqual(self.detected(1, 1)[0], ": A.B")
        self.assertEqual(self.detected(1, 0)[0], "")

    def test_a_test_that_was_late_once_has_much_more_time(self):
        said, limits = self.detected(mutation.HUNG, 0)
        self.assertEqual(said, "")
        self.assertGreaterEqual(limits[1], 5 * limits[0])
        self.assertEqual(self.detected(mutation.HUNG, mutation.HUNG)[0], " did not end")

    def test_one_hang_and_one_failure_decide_nothing(self):
        self.assertEqual(self.detected(mutation.HUNG, 1, 0)[0], "")
        self.assertEqual(self.detected(1, mutation.HUNG, 1)[0], ": A.B")
        self.assertEqual(self.detected(mutation.HUNG, 1, mutation.HUNG)[0], " did not end")


# A project whose only test checks twice(), but not the result of forgotten().
PROJECT = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.25)\nproject(small CXX)\nadd_subdirectory(tests)\n",
    "CMakePresets.json": '{"version": 6, "configurePresets": [{"name": "release", "generator": "Ninja", '
                         '"binaryDir": "${sourceDir}/build/release"}]}\n',
    "tests/CMakeLists.txt": "add_executable(vfio_test main.cpp ../lib/backends/vfio/small.cpp)\n",
    "tests/main.cpp": "int twice(int);\nint forgotten();\nint main() { return twice(4) != 8 || forgotten() > 100; }\n",
    "lib/backends/vfio/small.cpp": "int twice(int x) { return x * 2; }\nint forgotten() { return 7; }\n"
                                   "int last(int x) {\n  while (x > 3) x = x - 1;\n  return x;\n}\n",
}


def soon(happens) -> bool:
    deadline = time.monotonic() + 60
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Runs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pollux-mutation.")
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        for name, text in PROJECT.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.equivalent = self.root / "equivalent.txt"

    def run_it(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([RUN, "--root", self.root, "--equivalent", self.equivalent, "--junit", self.root / "report.xml",
                               "--sample", "0", *words], capture_output=True, text=True, timeout=250)

    def test_a_planted_survivor_is_listed_and_fails_the_run(self):
        done = self.run_it("lib/backends/vfio/small.cpp")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("lib/backends/vfio/small.cpp:2 constant", done.stderr)
        self.assertIn("    +int forgotten() { return 8; }", done.stderr)
        self.assertRegex(done.stderr, r"KILLED        lib/backends/vfio/small.cpp:1 operator")
        self.assertRegex(done.stdout, r"^mutation: \d+ killed, [1-9]\d* survived, \d+ equivalent, \d+ did not build\n$")
        self.assertIn("forgotten", (self.root / "report.xml").read_text())
        self.assertEqual((self.root / "lib/backends/vfio/small.cpp").read_text(), PROJECT["lib/backends/vfio/small.cpp"])

    def test_a_reason_makes_a_survivor_equivalent_until_it_is_stale(self):
        entry = ("= lib/backends/vfio/small.cpp: {}\n-int forgotten() {{ return 7; }}\n+int forgotten() {{ return 8; }}\n")
        self.equivalent.write_text("\n" + entry.format("no caller"))
        self.assertIn("equivalent: no caller", self.run_it("lib/backends/vfio/small.cpp").stderr)
        self.equivalent.write_text("\n" + entry.format("no caller").replace("return 7", "return 6"))
        stale = self.run_it("lib/backends/vfio/small.cpp")
        self.assertEqual(stale.returncode, 1)
        self.assertIn("stale", stale.stderr)

    def test_tests_that_fail_without_a_mutant_end_the_run(self):
        (self.root / "tests/main.cpp").write_text("int main() { return 3; }\n")
        done = self.run_it("lib/backends/vfio/small.cpp")
        self.assertEqual(done.returncode, 1)
        self.assertIn("fail without any mutant", done.stderr)

    def test_what_a_killed_run_still_builds_keeps_the_next_run_out(self):
        begun, enough = self.root / "begun", self.root / "enough"
        (self.root / "slow.sh").write_text(
            f"echo yes >'{begun}'\nfor i in $(seq 200); do [ ! -e '{enough}' ] || exit 0; sleep 0.1; done\n")
        (self.root / "tests/CMakeLists.txt").write_text(
            PROJECT["tests/CMakeLists.txt"] + f"add_custom_target(slow COMMAND sh {self.root}/slow.sh)\nadd_dependencies(vfio_test slow)\n")
        self.kill_after(begun)
        second = self.run_it("--sample", "1", "lib/backends/vfio/small.cpp")
        enough.touch()
        self.assertIn("another run uses", second.stderr)

    def test_a_killed_run_leaves_no_test_behind(self):
        begun = self.root / "begun"
        (self.root / "tests/main.cpp").write_text(
            f'#include <fstream>\n#include <unistd.h>\nint main() {{ std::ofstream("{begun}") << getpid(); sleep(60); }}\n')
        self.kill_after(begun)
        self.assertTrue(soon(lambda: not pathlib.Path("/proc", begun.read_text()).exists()))

    def kill_after(self, begun: pathlib.Path) -> None:
        with subprocess.Popen([RUN, "--root", self.root, "--equivalent", self.equivalent, "lib/backends/vfio/small.cpp"]) as run:
            try:
                self.assertTrue(soon(lambda: begun.exists() and begun.read_text()))
            finally:
                run.kill()

    def test_a_run_without_mutants_fails(self):
        done = self.run_it("lib/none/*.cpp")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no mutants in lib/none/*.cpp", done.stderr)


if __name__ == "__main__":
    unittest.main()
