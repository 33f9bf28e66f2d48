# SPDX-License-Identifier: BSD-3-Clause
"""The library for C exports the calls of its header, under a version, and nothing else.

usage: exports_test.py LIBRARY HEADER
"""

import pathlib
import re
import subprocess
import sys
import unittest

HEADER = pathlib.Path(sys.argv.pop())
LIBRARY = sys.argv.pop()


class Exports(unittest.TestCase):
    def test_are_those_of_the_header(self):
        declared = re.findall(r"^POLLUX_C_API [^;(]*?(\w+)\(", HEADER.read_text(), re.M)
        self.assertGreater(len(declared), 40)
        lines = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True, text=True).stdout.splitlines()
        exported = sorted(line.split()[2] for line in lines if not line.endswith(" A POLLUX_1"))
        self.assertEqual(exported, sorted(f"{name}@@POLLUX_1" for name in declared))

    def test_the_header_is_short(self):
        self.assertLessEqual(len(HEADER.read_text().splitlines()), 600)

    def test_the_library_has_a_name_of_its_own(self):
        told = subprocess.run(["readelf", "-d", LIBRARY], check=True, capture_output=True, text=True).stdout
        self.assertIn("[libpollux-c.so.1]", told)
        self.assertNotRegex(told, r"NEEDED.*(libpollux|libpci)")


if __name__ == "__main__":
    unittest.main()
