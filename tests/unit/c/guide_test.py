# SPDX-License-Identifier: BSD-3-Clause
"""Compiles the C code of docs/guide/c.md.

usage: guide_test.py COMPILER INCLUDE
"""

import pathlib
import re
import subprocess
import sys
import unittest

INCLUDE = pathlib.Path(sys.argv.pop())
COMPILER = sys.argv.pop()
CHAPTER = INCLUDE.parent / "docs/guide/c.md"
AROUND = """#include <pollux/pollux.h>
#include <stdio.h>
void run(pollux_context *context, pollux_error error);
void run(pollux_context *context, pollux_error error) {{
{}
  (void)pool;
}}
"""


class Guide(unittest.TestCase):
    def test_its_code_compiles(self):
        blocks = re.findall(r"```c\n(.*?)```", CHAPTER.read_text(), re.S)
        self.assertEqual(len(blocks), 1)
        for block in blocks:
            compiled = subprocess.run([COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", INCLUDE, "-xc", "-"],
                                      input=AROUND.format(block), capture_output=True, text=True, timeout=60)
            self.assertEqual(compiled.returncode, 0, compiled.stderr)


if __name__ == "__main__":
    unittest.main()
