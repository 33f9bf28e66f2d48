# SPDX-License-Identifier: BSD-3-Clause
"""What tools/bench --starts makes of the programs that it starts. What the kernel's interfaces are for is not tested here: it needs root."""

import pathlib
import tempfile
import unittest

from pollux_lab import bench_starts
from pollux_lab.bench_starts import Start
from pollux_lab.errors import LabError


class Starts(unittest.TestCase):
    def test_a_start_lasts_until_the_program_prints_and_has_its_memory(self):
        start = bench_starts.printed(["sh", "-c", "sleep 0.2; echo a opened in 1.25 ms; echo b opened in 2 ms; echo Hello; sleep 60"], "Hello")
        self.assertTrue(200 <= start.milliseconds < 10000, start)
        self.assertEqual((start.opened, start.huge), ((1.25, 2.0), 0))
        self.assertTrue(0 < start.anonymous < start.resident < 2**30, start)

    def test_a_program_that_fails_is_an_error_with_what_it_printed(self):
        with self.assertRaisesRegex(LabError, "forwarded nothing") as raised:
            bench_starts.printed(["sh", "-c", "echo no such port; exit 1"], "Hello")
        self.assertIn("no such port", str(raised.exception))

    def test_the_table_has_medians_and_leaves_the_buffers_of_a_skeleton_out(self):
        starts = [Start(ms, 8 << 20, 2 << 20, 40 << 20, (1.0, ms)) for ms in (30.0, 10.0, 20.0)]
        lines = bench_starts.table({("xdp:", "skeleton"): starts, ("xdp:", "l2fwd"): starts}).splitlines()
        self.assertEqual(lines[2], "| xdp: | skeleton | 20.0 [10.0 to 30.0] | 5.5 | 8.0 | 2.0 | 40 | 5.0 |")
        self.assertTrue(lines[3].endswith("| 40 |  |"), lines[3])

    def test_without_dpdk_it_has_no_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder)
            without = set(bench_starts.cases(build))
            (build / "dpdk_skeleton").touch(mode=0o755)
            self.assertEqual({program for _, program in set(bench_starts.cases(build)) - without}, {"DPDK's skeleton"})


if __name__ == "__main__":
    unittest.main()
