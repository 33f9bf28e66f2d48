#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/82576/interop.md has the table that tests/interop/run declares."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/interop")]

from cases import columns, everything, table  # noqa: E402, F401
from pollux_lab import cases  # noqa: E402


class Table(unittest.TestCase):
    def test_is_what_the_cases_declare(self):
        page = (ROOT / "docs/82576/interop.md").read_text()
        written = page.partition(table.MARK)[2].partition(table.END)[0]
        self.assertEqual(written, table.markdown(), "tests/interop/run --write-table writes it")

    def test_each_difference_names_a_case_and_a_column(self):
        names = {case.name for case in cases.REGISTRY}
        for entry in columns.differences():
            self.assertIn(f"interop.{entry.case}.{entry.column}", names)
            self.assertTrue(entry.seen and entry.reason)


if __name__ == "__main__":
    unittest.main()
