# SPDX-License-Identifier: BSD-3-Clause
"""cmake/PolluxCompilerCache.cmake: what ccache keeps is what was compiled."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from sandbox import ROOT

PROJECT = f"""cmake_minimum_required(VERSION 3.25)
project(one LANGUAGES CXX)
set(POLLUX_COMPILER_CACHE ON)
include({ROOT}/cmake/PolluxCompilerCache.cmake)
add_library(one STATIC group.cpp)
"""
PRECOMPILED = """target_include_directories(one PRIVATE ${CMAKE_SOURCE_DIR})
target_precompile_headers(one PRIVATE <map> <own.hpp>)
"""
CLANG = shutil.which("clang++-16")
# Compiles, and then edits the included source, if the file `edit` exists: as an editor does while a group compiles.
COMPILER = """#!/bin/bash
c++ "$@" || exit
[[ ! -e edit ]] || { rm edit; echo 'int edited() { return 2; }' >../part.cpp; }
"""


@unittest.skipUnless(shutil.which("ccache"), "ccache is not installed")
class CompilerCache(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-cache-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.build = self.root / "build"
        self.environment = {**os.environ, "CCACHE_DIR": str(self.root / "cache")}
        (self.root / "CMakeLists.txt").write_text(PROJECT)
        (self.root / "group.cpp").write_text('#include "part.cpp"\n')
        (self.root / "part.cpp").write_text("int first() { return 1; }\n")
        compiler = self.root / "compiler"
        compiler.write_text(COMPILER)
        compiler.chmod(0o755)
        self.configure(self.root, str(compiler))

    def configure(self, root: pathlib.Path, compiler: str) -> None:
        self.run_command("cmake", "-G", "Ninja", "-S", str(root), "-B", str(root / "build"), f"-DCMAKE_CXX_COMPILER={compiler}")

    def run_command(self, *words: str) -> str:
        return subprocess.run(words, check=True, capture_output=True, text=True, env=self.environment, cwd=self.root).stdout

    def compiled(self) -> str:
        """Builds anew; returns the functions of the library."""
        self.run_command("cmake", "--build", str(self.build), "--clean-first")
        return self.run_command("nm", "-C", str(self.build / "libone.a"))

    def hits(self) -> int:
        counts = dict(line.split("\t") for line in self.run_command("ccache", "--print-stats").splitlines())
        return int(counts["direct_cache_hit"])

    def test_a_source_that_is_edited_while_its_group_compiles_is_compiled_again(self):
        (self.build / "edit").touch()
        self.assertIn("first()", self.compiled())
        self.assertFalse((self.build / "edit").exists())
        self.assertIn("edited()", self.compiled())

    def test_an_unchanged_group_is_taken_from_the_cache(self):
        self.compiled()
        before = self.hits()
        self.assertIn("first()", self.compiled())
        self.assertEqual(self.hits(), before + 1)

    def test_what_was_compiled_in_another_locale_is_found_again(self):
        """tools/test sets LC_ALL, so that nothing that it had compiled was found by a build by hand."""
        self.compiled()
        before = self.hits()
        self.environment["LC_ALL"] = "C" if self.environment.get("LC_ALL") == "C.UTF-8" else "C.UTF-8"
        self.compiled()
        self.assertEqual(self.hits(), before + 1)

    def checkout(self, name: str) -> pathlib.Path:
        """A folder with the project and precompiled headers, configured for clang."""
        root = self.root / name
        root.mkdir()
        (root / "CMakeLists.txt").write_text(PROJECT + PRECOMPILED)
        (root / "own.hpp").write_text("inline int own() { return 3; }\n")
        (root / "group.cpp").write_text("std::map<int, int> map_of() { return {{own(), 1}}; }\n")
        self.configure(root, CLANG)
        return root

    def compile(self, root: pathlib.Path) -> int:
        """Compiles anew. Returns how often the cache had the result."""
        before = self.hits()
        self.run_command("cmake", "--build", str(root / "build"), "--clean-first")
        return self.hits() - before

    @unittest.skipUnless(CLANG, "clang++-16 is not installed")
    def test_a_source_with_headers_that_clang_precompiled_is_found_again_also_in_another_checkout(self):
        first = self.checkout("first")
        self.assertEqual(self.compile(first), 0)
        self.assertEqual(self.compile(first), 1)
        second = self.checkout("second")
        self.assertEqual(self.compile(second), 1)
        (second / "own.hpp").write_text("inline int own() { return 4; }\n")
        self.assertEqual(self.compile(second), 0)


if __name__ == "__main__":
    unittest.main()
