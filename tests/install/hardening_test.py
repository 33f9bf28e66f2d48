# SPDX-License-Identifier: BSD-3-Clause
"""Checks how the release build's programs and libraries are hardened: docs/security.md.

usage: hardening_test.py STATIC SHARED PROGRAM...
"""

import platform
import re
import subprocess
import sys
import unittest

STATIC, *FILES = sys.argv[1:]
del sys.argv[1:]


def readelf(*words: str) -> str:
    return subprocess.run(["readelf", "--wide", *words], check=True, capture_output=True, text=True).stdout


class Hardening(unittest.TestCase):
    def test_addresses_are_resolved_at_the_start_and_then_read_only(self):
        for file in FILES:
            self.assertIn("GNU_RELRO", readelf("--segments", file), file)
            self.assertRegex(readelf("--dynamic", file), r"FLAGS.*NOW", file)

    def test_programs_are_position_independent_and_no_stack_is_executable(self):
        for file in FILES:
            self.assertRegex(readelf("--file-header", file), r"Type: +DYN", file)
            self.assertRegex(readelf("--segments", file), r"GNU_STACK .* RW +0x", file)

    def test_stacks_have_canaries_and_copies_are_checked(self):
        for file in FILES:
            symbols = readelf("--dyn-syms", file)
            self.assertIn("__stack_chk_fail", symbols, file)
            self.assertRegex(symbols, r"__\w+_chk@", file)

    def test_the_library_starts_no_program_and_loads_no_code(self):
        functions = r"v?fork|_Fork|clone3?|exec[lv]\w*|fexecve|posix_spawnp?|popen|system|dlm?open|signal|sigaction|set[eu]*[ug]id|cap_\w+|capset|seccomp\w*"
        symbols = subprocess.run(["nm", "--print-file-name", "--undefined-only", STATIC], check=True, capture_output=True, text=True).stdout
        found = set(re.findall(rf":pollux_([a-z]+(?:_user)?)\w*\.cpp\.o: +U ({functions})$", symbols, re.MULTILINE))
        self.assertEqual(found, {("mem", "dlopen"), ("qtest", "_Fork"), ("qtest", "execv"), ("qtest", "signal"),
                                 ("vfio_user", "sigaction"), ("vfio_user", "signal")})

    # A program has shadow stacks if all of its objects do; those of the C library's start-up code do not everywhere.
    @unittest.skipUnless(platform.machine() == "x86_64", "control-flow protection is that of x86_64")
    def test_all_objects_allow_shadow_stacks(self):
        for member in readelf("--notes", STATIC).split("\nFile: ")[1:]:
            self.assertIn("SHSTK", member, member.splitlines()[0])


if __name__ == "__main__":
    unittest.main()
