# SPDX-License-Identifier: BSD-3-Clause
"""The tables of tools/bench: correct figures in the correct cells, also with the records of other steps."""

import unittest

from pollux_lab import bench_quoted, bench_table
from pollux_lab.bench_records import find, records_of, widest
from records import CARD

# Records of bench/baselines: native ones have no instruction set, and those of the guest have no cycles either.
BASELINES = [{"where": "native-warm", "who": "dpdk", "case": "ring", "path": "sp-sc", "burst": 32, "cycles_median": 1.0, "cycles_min": 1.0,
              "cycles_max": 1.1, "instructions": 7.8},
             {"where": "guest", "who": "kernel_af_xdp", "case": "tx", "burst": 32, "instructions": 2957.0},
             {"where": "guest", "who": "dpdk", "case": "rate", "burst": 32, "mpps": 0.4}]


class Tables(unittest.TestCase):
    def test_goals_are_scaled_by_the_minimal_loop(self):
        rows = bench_table.main_rows(CARD)
        self.assertEqual(len(rows), 3)
        scalar = dict(zip(rows[0], rows[1]))
        self.assertEqual((scalar["path"], scalar["goal"], scalar["instr."], scalar["ratio"]), ("scalar", "7.7 c, 62 i", "59", "1.04"))
        self.assertEqual(rows[1][9], "met")
        slower = [CARD[0] | {"cycles_median": 7.8}, *CARD[1:]]
        self.assertEqual(bench_table.main_rows(slower)[1][9], "OVER")
        more = [CARD[0] | {"instructions": 63.0}, *CARD[1:]]
        self.assertEqual(bench_table.main_rows(more)[1][9], "OVER")
        half = [*CARD[:2], CARD[2] | {"cycles_median": 3.35}]
        self.assertEqual(bench_table.main_rows(half)[1][8], "3.9 c, 62 i")

    def test_figures_of_baselines_are_in_no_table_of_pollux(self):
        for rows_of in (bench_table.main_rows, bench_table.every_row, bench_table.latency_rows):
            self.assertEqual(rows_of(CARD + BASELINES), rows_of(CARD))
        self.assertEqual(bench_table.budget_rows(CARD + BASELINES, 2.6e9), bench_table.budget_rows(CARD, 2.6e9))
        for rows in (bench_table.main_rows(CARD + BASELINES), bench_table.every_row(CARD + BASELINES)):
            self.assertIn("forward", bench_table.text(rows))
            self.assertEqual(bench_table.markdown(rows).count("\n"), len(rows))

    def test_the_widest_instruction_set_is_one_that_was_measured(self):
        self.assertEqual(widest(CARD + BASELINES), "avx2")
        self.assertEqual(widest(BASELINES), "scalar")
        self.assertIn("forward, avx2, burst 32, warm", [row[0] for row in bench_table.budget_rows(CARD, 2.6e9)])

    def test_every_quoted_figure_has_its_minimal_loop(self):
        for figures in bench_quoted.FORWARD_WARM.values():
            for burst in figures:
                self.assertGreater(bench_quoted.MINIMAL_LOOP["native-warm", burst], 0)
        for row in bench_quoted.ROWS:
            self.assertGreater(row.reference_minimal(), 0)

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
