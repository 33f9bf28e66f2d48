# SPDX-License-Identifier: BSD-3-Clause
"""What tools/bench --outages makes of the frames that arrive. What the kernel's interfaces are for is not tested here: it needs root."""

import pathlib
import tempfile
import unittest

from pollux_lab import bench_outages
from pollux_lab.bench_outages import Outage, Program
from pollux_lab.errors import LabError


class Outages(unittest.TestCase):
    def test_the_longest_pause_and_the_numbers_that_are_missing(self):
        self.assertEqual(bench_outages.outage_of({7: 1.0, 8: 1.25, 12: 2.0, 13: 2.125}), Outage(750_000.0, 3, 7))

    def test_the_table_has_medians(self):
        outages = [Outage(microseconds, lost, 100) for microseconds, lost in ((1000.0, 3), (3000.0, 1), (2000.4, 2))]
        lines = bench_outages.table({"handed over": outages, "killed": outages}).splitlines()
        self.assertIn("the median of 3 replacements", lines[0])
        self.assertEqual(lines[-2], "| handed over | 2,000 [1,000 to 3,000] | 2 [1 to 3] |")

    def test_a_program_that_does_not_start_is_an_error_with_what_it_printed(self):
        with self.assertRaisesRegex(LabError, "does not start") as raised:
            Program(["sh", "-c", "echo no such port; exit 1"], "Hello")
        self.assertIn("no such port", str(raised.exception))

    def test_without_dpdk_it_has_no_row(self):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder)
            for name in ("l2fwd", "pollux"):
                (build / name).touch(mode=0o755)
            rows = [set(bench_outages.cases(build, folder, testpmd)) for testpmd in (build / "l2fwd", build / "none")]
        self.assertEqual(rows[0] - rows[1], {"DPDK's testpmd, stopped and started"})


if __name__ == "__main__":
    unittest.main()
