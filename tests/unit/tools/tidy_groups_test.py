# SPDX-License-Identifier: BSD-3-Clause
"""The groups in which tools/check has sources checked by clang-tidy."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools/lib"))
import check_tidy  # noqa: E402
import clean_marks  # noqa: E402

FLAGS = "clang++ -O1 -c -o x.o x.cpp"


class Groups(unittest.TestCase):
    def groups(self, commands: dict[str, str]) -> list[list[str]]:
        made = check_tidy.batches({pathlib.Path(source): command for source, command in commands.items()})
        return [[str(source) for source in sources] for sources, _ in made]

    def test_sources_of_several_folders_are_checked_together(self):
        self.assertEqual(self.groups({"a/one.cpp": FLAGS, "b/two.cpp": FLAGS}), [["a/one.cpp", "b/two.cpp"]])

    def test_a_group_has_the_definitions_and_folders_of_all_its_sources(self):
        [(sources, words)] = check_tidy.batches({
            pathlib.Path("a.cpp"): "clang++ -DA=1 -Ia -std=c++20 -O1 -Wall -o a.o -c a.cpp",
            pathlib.Path("b.cpp"): "clang++ -DB -Ia -isystem /b -std=c++20 -O3 -o b.o -c b.cpp"})
        self.assertEqual([source.name for source in sources], ["a.cpp", "b.cpp"])
        self.assertEqual(words, ["-DA=1", "-Ia", "-std=c++20", "-DB", "-isystem/b"])

    def test_variants_for_instruction_sets_are_checked_apart(self):
        self.assertEqual(self.groups({f"a/{name}.cpp": FLAGS for name in ("rx_burst", "rx_burst_avx2", "one", "two")}),
                         [["a/one.cpp", "a/two.cpp"], ["a/rx_burst.cpp"], ["a/rx_burst_avx2.cpp"]])


class Marks(unittest.TestCase):
    def test_a_source_that_was_edited_while_it_was_checked_is_not_marked_as_clean(self):
        """SCons/scons#2701: the result of the new content was kept under the hash of the old one."""
        with tempfile.TemporaryDirectory() as folder:
            root, source = pathlib.Path(folder), pathlib.Path("a.cpp")
            facts = ({source}, "clang++", b"")
            for edited in (False, True):
                (root / source).write_text("one")
                mark = root / clean_marks.key(root, *facts)
                if edited:
                    mark.unlink()
                    (root / source).write_text("two")
                clean_marks.remember(mark, root, *facts)
                self.assertEqual(mark.exists(), not edited)


class Joined(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, files: dict[str, str]) -> list[pathlib.Path]:
        for name, text in files.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)
        return [pathlib.Path(name) for name in files if name.endswith(".cpp")]

    def test_headers_of_one_name_beside_their_sources_and_several_programs_compile_as_one_file(self):
        sources = self.write({
            "a/own.hpp": "#pragma once\ninline int of_a() { return 1; }\n",
            "b/own.hpp": "#pragma once\ninline int of_b() { return 2; }\n",
            "a/main.cpp": '#include "own.hpp"\nint main() { return of_a(); }\n',
            "b/main.cpp": '#include "own.hpp"\nint main() { return of_b(); }\n'})
        lines, origins = check_tidy.joined(self.root, sources)
        self.assertEqual(len(lines), len(origins))
        compiled = subprocess.run(["c++", "-fsyntax-only", "-x", "c++", "-"], input="\n".join(lines) + "\n", text=True,
                                  capture_output=True)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)

    def test_each_line_has_the_source_that_it_is_of(self):
        sources = self.write({"a/main.cpp": "int main() {}\n", "b/two.cpp": "#include <vector>\nint two;\n"})
        lines, origins = check_tidy.joined(self.root, sources)
        self.assertEqual(origins[lines.index("int main() {}")], sources[0])
        self.assertEqual(origins[lines.index("int two;")], sources[1])

    def test_a_header_of_several_sources_is_included_once(self):
        sources = self.write({"a/one.cpp": "#include <vector>\n", "b/two.cpp": "#include <vector>\n"})
        self.assertEqual(check_tidy.joined(self.root, sources)[0].count("#include <vector>"), 1)


if __name__ == "__main__":
    unittest.main()
