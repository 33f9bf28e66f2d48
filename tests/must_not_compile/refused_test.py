# SPDX-License-Identifier: BSD-3-Clause
"""Code that must not compile: each .cpp in a folder here is a case; nothing has to be registered. To add one:

- write code that is allowed and, between `#ifdef MUST_FAIL` and `#endif`, the one line that is not;
- add the expected words of the compiler's error: a line `// EXPECT: words`, or `// EXPECT GNU: words` and `// EXPECT Clang: words` if the
  two differ.

All files are compiled together, each in a namespace of its own, and twice. Without MUST_FAIL they must compile, so that a typing error is
noticed. With MUST_FAIL each must have an error with the expected words, so that it fails for the right reason.

usage: refused_test.py COMPILER GNU|Clang
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

COMPILER, KIND = sys.argv[1:]
del sys.argv[1:]
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = sorted(HERE.glob("*/*.cpp"))
FLAGS = ["-std=c++20", "-fsyntax-only", "-DPOLLUX_CHECKED=1", f"-I{ROOT / 'include'}", f"-I{ROOT / 'lib'}",
         "-fmax-errors=0" if KIND == "GNU" else "-ferror-limit=0"]
# What a source includes may not be read inside its namespace.
HEADERS = '#include <utility>\n#include "hw/intel/igb/registers.hpp"\n#include "pollux/pollux.hpp"\n'


def name_of(source: pathlib.Path) -> str:
    return f"{source.parent.name}_{source.stem}"


def expected(text: str) -> str:
    found = re.search(rf"^// EXPECT {KIND}: (.+)", text, re.M) or re.search(r"^// EXPECT: (.+)", text, re.M)
    return found[1].strip() if found else ""


def errors_of(said: str) -> dict[str, list[str]]:
    """The errors of each source. Of an error in a header, g++ names the line of the source that led there before it, clang after it."""
    errors: dict[str, list[str]] = {name_of(source): [] for source in SOURCES}
    at, begun = "", ""
    for line in said.splitlines():
        if " error: " in line:
            begun = line
        if named := re.search(rf"{re.escape(str(HERE))}/(\w+)/(\w+)\.cpp:\d", line):
            at = f"{named[1]}_{named[2]}"
        if begun and (KIND == "GNU" or named):
            errors.setdefault(at, []).append(begun)
            begun = ""
        elif " note: " in line and errors.get(at):
            errors[at][-1] += f"\n{line}"
    return errors


class Refused(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            together = pathlib.Path(folder) / "together.cpp"
            together.write_text(HEADERS + "".join(f'namespace {name_of(source)} {{\n#include "{source}"\n}}\n' for source in SOURCES))
            allowed, refused = (subprocess.Popen([COMPILER, *FLAGS, *words, str(together)], env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
                                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for words in ([], ["-DMUST_FAIL"]))
            cls.allowed, cls.refused = allowed.communicate()[1], refused.communicate()[1]
        cls.compiles = allowed.returncode == 0
        cls.errors = errors_of(cls.refused)

    def test_allowed_parts_compile(self):
        self.assertTrue(self.compiles, self.allowed)

    def test_each_error_has_a_source(self):
        self.assertEqual(set(self.errors), {name_of(source) for source in SOURCES}, self.refused)

    def check(self, source: pathlib.Path):
        text = source.read_text()
        self.assertIn("\n#ifdef MUST_FAIL\n", text)
        self.assertTrue(words := expected(text), f"{source} has no line `// EXPECT: words` for {KIND}")
        self.assertTrue(any(words in error for error in self.errors[name_of(source)]),
                        f"{source}: no error contains `{words}`: {self.errors[name_of(source)] or 'it compiles, and must not'}")


for each in SOURCES:
    setattr(Refused, f"test_{name_of(each)}", lambda self, source=each: self.check(source))

if __name__ == "__main__":
    unittest.main()
