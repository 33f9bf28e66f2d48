# SPDX-License-Identifier: BSD-3-Clause
"""The tables of tools/bench: correct figures in the correct cells, also with the records of other steps."""

import unittest

from pollux_lab import bench_table
from pollux_lab.bench_records import find, records_of, widest
from records import CARD

# Records of bench/baselines: native ones have no instruction set, and those of the guest have no cycles either.
BASELINES = [{"where": "native-warm", "who": "dpdk", "case": "ring", "path": "sp-sc", "burst": 32, "cycles_median": 1.0, "cycles_min": 1.0,
              "cycles_max": 1.1, "instructions": 7.8},
             {"where": "guest", "who": "kernel_af_xdp", "case": "tx", "burst": 32, "instructions": 2957.0},
             {"where": "guest", "who": "dpdk", "case": "rate", "burst": 32, "mpps": 0.4}]


class Tables(unittest.TestCase):
    def test_figures_of_baselines_are_in_no_table_of_pollux(self):
        for rows_of in (bench_table.every_row, bench_table.latency_rows):
            self.assertEqual(rows_of(CARD + BASELINES), rows_of(CARD))
        self.assertEqual(bench_table.budget_rows(CARD + BASELINES, 2.6e9), bench_table.budget_rows(CARD, 2.6e9))
        rows = bench_table.every_row(CARD + BASELINES)
        self.assertIn("forward", bench_table.text(rows))
        self.assertEqual(bench_table.markdown(rows).count("\n"), len(rows))

    def test_the_widest_instruction_set_is_one_that_was_measured(self):
        self.assertEqual(widest(CARD + BASELINES), "avx2")
        self.assertEqual(widest(BASELINES), "scalar")
        self.assertIn("forward, avx2, burst 32, warm", [row[0] for row in bench_table.budget_rows(CARD, 2.6e9)])

    def test_a_case_is_described_by_its_name(self):
        name = "forward/pollux/avx2/cold/burst:8/ring:64"
        rows = [{"run_name": name, "aggregate_name": aggregate, "cycles": cycles, "instructions": 50.0}
                for aggregate, cycles in (("median", 9.0), ("min", 8.0), ("max", 11.0), ("mean", 9.5))]
        [only] = records_of(rows)
        self.assertEqual((only["where"], only["instruction_set"], only["cycles_min"], only["ring"]), ("native-cold", "avx2", 8.0, 64))
        self.assertIs(find([only], case="forward", burst=8, ring=64, where="native-cold"), only)
        self.assertIsNone(find([only], case="forward", burst=8, where="native-cold"), "its ring is not the default")


if __name__ == "__main__":
    unittest.main()
