# SPDX-License-Identifier: BSD-3-Clause
"""The table of Pollux, DPDK and the minimal loop: whose figures count, what the factor is, and how it gets into a page."""

import contextlib
import importlib.util
import io
import json
import pathlib
import tempfile
import unittest

from pollux_lab import bench_plots, bench_scale, bench_side
from pollux_lab.errors import LabError
from records import SIDE, side


def rows_of(printed: list[dict]) -> list[bench_side.Row]:
    return bench_side.rows_of(records_of(printed), "main")


def records_of(printed: list[dict]) -> list[dict]:
    return [bench_side.record_of(one) for one in printed]


def cells_of(printed: list[dict]) -> dict[str, str]:
    head, only = bench_side.table(rows_of(printed))
    return dict(zip(head, only))


class Table(unittest.TestCase):
    def test_dpdks_better_build_counts_even_against_it(self):
        cells = cells_of(SIDE)
        self.assertEqual((cells["DPDK's igb"], cells["build"]), ("30.0 [27.0 to 44.0]", "-march=native"))
        slower = [one if one["who"] != "dpdk_native" else one | {"cycles": [36.0, 36.0, 36.0]} for one in SIDE]
        self.assertEqual(cells_of(slower)["build"], "as packaged")

    def test_the_factor_is_made_run_by_run(self):
        self.assertEqual(cells_of(SIDE)["factor"], "**3.0** [3.0 to 4.0]")

    def test_ours_is_the_default_mode_and_not_the_scalar_one(self):
        cells = cells_of(SIDE)
        self.assertEqual(cells["Pollux"], "10.0 [9.0 to 11.0] avx2")
        self.assertEqual((cells["minimal loop"], cells["SIMD"], cells["Pollux / minimal"]), ("8.0", "5.0", "2.00"))
        scalar_only = [one for one in SIDE if one["instruction_set"] == "scalar"]
        cells = cells_of(scalar_only)
        self.assertEqual((cells["Pollux"], cells["SIMD"], cells["Pollux / minimal"]), ("12.0 [12.0 to 12.0] scalar", "", "1.50"))

    def test_without_dpdk_its_cells_are_empty(self):
        cells = cells_of([one for one in SIDE if not one["who"].startswith("dpdk")])
        self.assertEqual([cells[name] for name in ("DPDK's igb", "build", "factor")], ["", "", ""])
        self.assertEqual(cells["Pollux"], "10.0 [9.0 to 11.0] avx2")

    def test_cases_bursts_and_temperatures_are_apart(self):
        others = [side(one["who"], one["instruction_set"], [20.0, 20.0, 20.0], **different) for one in SIDE
                  for different in ({"burst": 1}, {"temperature": "cold"}, {"case": "rx"})]
        self.assertEqual([(row.title, row.burst, row.temperature) for row in rows_of(SIDE + others)],
                         [("forward", 32, "warm"), ("forward", 1, "warm"), ("forward", 32, "cold"), ("receive only", 32, "warm")])


class Bus(unittest.TestCase):
    def test_what_each_side_needs_is_in_its_column(self):
        ours, theirs = {"doorbells": 0.0625, "descriptors": 1.0, "write_backs": 0.03125}, {"doorbells": 0.05, "descriptors": 2.0, "write_backs": 1.0}
        counted = [one | (theirs if one["who"].startswith("dpdk") else ours) for one in SIDE if one["who"] != "minimal_loop"]
        minimal = [one for one in SIDE if one["who"] == "minimal_loop"]
        fewer = [one | {"burst": 8, "table": "bursts"} for one in counted]
        [_, first, second] = bench_scale.bus_table(records_of(counted + minimal + fewer))
        self.assertEqual(first[:2], ["forward", "8"])
        self.assertEqual(second, ["forward", "32", "10.0", "30.0", "0.06", "0.05", "1.00", "2.00", "0.03", "1.00"])

    def test_cases_without_counts_are_not_shown(self):
        self.assertEqual(len(bench_scale.bus_table(records_of(SIDE))), 1)


class Virtio(unittest.TestCase):
    def test_the_fastest_of_the_rivals_paths_counts_and_is_named(self):
        def of(who, ticks, **more):
            return side(who, "scalar", [ticks] * 3, case="virtio_packed_rx_mergeable", table="virtio") | more
        printed = [of("pollux", 10.0), of("minimal_loop", 5.0), of("dpdk_packaged", 50.0, variant="default"),
                   of("dpdk_packaged", 30.0, variant="vectorized"), of("dpdk_native", 40.0, variant="in order")]
        head, only = bench_side.virtio_table(records_of(SIDE + printed))
        cells = dict(zip(head, only))
        self.assertEqual(cells["virtio-net"], "packed ring, mergeable: receive only")
        self.assertEqual((cells["build"], cells["factor"]), ("as packaged, vectorized", "**3.0** [3.0 to 3.0]"))
        self.assertEqual((cells["Pollux"], cells["minimal loop"], cells["Pollux / minimal"]), ("10.0 [10.0 to 10.0]", "5.0", "2.00"))


class E1000e(unittest.TestCase):
    def test_has_the_rows_of_its_card_alone_with_the_mode_of_each(self):
        printed = [one | {"table": "82574", "case": "e1000e_rx"} for one in SIDE]
        head, only = bench_side.e1000e_table(records_of(SIDE + printed))
        cells = dict(zip(head, only))
        self.assertEqual((cells["82574"], cells["DPDK's em"]), ("receive only", "30.0 [27.0 to 44.0]"))
        self.assertEqual((cells["Pollux"], cells["Pollux / minimal"]), ("10.0 [9.0 to 11.0] avx2", "2.00"))


class Scale(unittest.TestCase):
    def test_each_count_is_compared_with_one_of_the_same_kind(self):
        def of(table, queues, ours, theirs, ring=512):
            case = {"table": table, "queues": queues, "ring": ring, "case": f"forward_{table}"}
            return [side("pollux", "avx2", [ours] * 3, **case), side("dpdk_native", "scalar", [theirs] * 3, **case)]
        [_, *rows] = bench_scale.scale_table(records_of(SIDE + of("queues", 1, 10.0, 30.0) + of("queues", 16, 20.0, 90.0)
                                                        + of("queues", 1, 5.0, 5.0, ring=128) + of("threads", 1, 8.0, 16.0)
                                                        + of("threads", 2, 8.0, 20.0)))
        self.assertEqual(rows[1], ["one thread", "512", "16", "20.0 [20.0 to 20.0]", "2.00", "90.0 [90.0 to 90.0]", "3.00", "**4.5** [4.5 to 4.5]"])
        self.assertEqual([row[4] for row in rows], ["1.00", "2.00", "1.00", "1.00", "1.00"])
        self.assertEqual(rows[4][6], "1.25")


class Arrivals(unittest.TestCase):
    def rows(self, *printed: tuple[str, float, int, dict]) -> list[list[str]]:
        all_of = [side(who, "avx2" if who == "pollux" else "scalar", [ticks] * 3, case="forward_arrivals", table="arrivals") | {"lost": lost} | more
                  for who, ticks, lost, more in printed]
        return bench_scale.arrivals_table(records_of(SIDE + all_of))[1:]

    def test_dpdks_best_rings_are_the_fastest_that_lose_no_more(self):
        small = {"variant": "rings of 64"}
        ours, theirs = ("pollux", 10.0, 0, {}), ("dpdk_native", 50.0, 0, {})
        [row] = self.rows(ours, theirs, ("dpdk_native", 40.0, 0, small), ("dpdk_packaged", 30.0, 12000, {"variant": "rings of 128"}))
        self.assertEqual(row, ["by a seed", "512", "1", "10.0 [10.0 to 10.0]", "1.00", "0", "50.0 [50.0 to 50.0]", "0", "40.0 [40.0 to 40.0]", "64",
                               "**4.0** [4.0 to 4.0]"])
        [row] = self.rows(ours, theirs, ("dpdk_native", 60.0, 0, small))
        self.assertEqual(row[8:10], ["50.0 [50.0 to 50.0]", "512"])

    def test_frames_lost_are_a_share_and_rows_are_compared_with_the_first(self):
        [_, row] = self.rows(("pollux", 10.0, 0, {}), ("pollux", 15.0, 25000, {"ring": 2048}), ("dpdk_native", 30.0, 35000, {"ring": 2048}))
        self.assertEqual(row[3:], ["15.0 [15.0 to 15.0]", "1.50", "2.5 %", "30.0 [30.0 to 30.0]", "3.5 %", "", "", ""])

    def test_without_dpdk_its_cells_are_empty(self):
        self.assertEqual(self.rows(("pollux", 10.0, 0, {}))[0][6:], [""] * 5)

    def test_each_kind_of_virtio_ring_has_a_first_row_and_dpdks_path_a_name(self):
        def of(ring, *printed):
            return [side(who, "scalar", [ticks] * 3, case=f"virtio_{ring}_arrivals", table="virtio_arrivals") | {"lost": 0} | more
                    for who, ticks, more in printed]
        split = of("split", ("pollux", 10.0, {}), ("pollux", 20.0, {"ring": 2048}), ("dpdk_native", 40.0, {"variant": "default"}),
                   ("dpdk_native", 30.0, {"variant": "in order, rings of 64"}))
        rows = bench_scale.virtio_arrivals_table(records_of(SIDE + split + of("packed", ("pollux", 5.0, {}))))[1:]
        self.assertEqual([(row[0], row[4]) for row in rows], [("split ring, by a seed", "1.00"), ("split ring, by a seed", "2.00"),
                                                              ("packed ring, by a seed", "1.00")])
        self.assertEqual(rows[0][6:], ["40.0 [40.0 to 40.0]", "0", "30.0 [30.0 to 30.0]", "64, in order", "**3.0** [3.0 to 3.0]"])


class Features(unittest.TestCase):
    def rows(self, *cases: tuple[str, float, float]) -> list[list[str]]:
        printed = [side(who, "scalar", [instructions / 2] * 3, case=case, instructions=instructions, table="features")
                   for case, ours, theirs in cases for who, instructions in (("pollux", ours), ("dpdk_packaged", theirs)) if instructions]
        return bench_scale.feature_table(records_of(SIDE + printed))[1:]

    def test_a_price_is_what_forwarding_takes_more(self):
        base = ("forward", 60.0, 250.0)
        self.assertEqual(self.rows(base, ("forward_poller", 66.0, 280.0)), [["poller, one queue", "6.0", "3.0", "rte_service", "30.0", "15.0", "5.0"]])
        [[_, ours, _, _, theirs, _, _]] = self.rows(base, ("forward_captured", 100.0, 450.0))
        self.assertEqual((ours, theirs), ("20.0", "100"))

    def test_what_is_measured_alone_is_shown_as_it_is(self):
        [[_, ours, ticks, _, theirs, _, factor]] = self.rows(("forward", 60.0, 250.0), ("gro_merge", 110.0, 220.0))
        self.assertEqual((ours, ticks, theirs, factor), ("110", "55.0", "220", "2.0"))

    def test_without_dpdk_its_cells_are_empty(self):
        [row] = self.rows(("forward", 60.0, 0), ("gro_merge", 110.0, 0))
        self.assertEqual(row[3:], ["", "", "", ""])


class Page(unittest.TestCase):
    def test_only_what_the_tool_wrote_is_replaced(self):
        page = f"# Title\n\n{bench_side.BEGIN}\nold\n{bench_side.END}\nthe rest\n"
        self.assertEqual(bench_side.replaced(page, "new\n"), f"# Title\n\n{bench_side.BEGIN}\nnew\n{bench_side.END}\nthe rest\n")
        self.assertEqual(bench_side.replaced(bench_side.replaced(page, "new\n"), "new\n"), bench_side.replaced(page, "new\n"))
        self.assertIsNone(bench_side.replaced("# Title\n", "new\n"))

    def test_the_performance_page_has_a_place_for_the_table(self):
        page = pathlib.Path(__file__).parents[3] / "docs/performance.md"
        self.assertIn("new", bench_side.replaced(page.read_text(), "new\n"))


class Middle(unittest.TestCase):
    def test_it_moves_with_the_share_of_the_slower_runs_and_not_at_once(self):
        def mixed(slower: int) -> float:
            return bench_side.middle([200.0] * slower + [160.0] * (50 - slower))
        self.assertAlmostEqual(mixed(25), 180.0)
        self.assertLess(mixed(27) - mixed(23), 7.0)
        self.assertEqual((mixed(12), mixed(38)), (160.0, 200.0))

    def test_few_runs_have_a_middle_too(self):
        self.assertEqual([bench_side.middle(runs) for runs in ([3.0], [3.0, 1.0], [9.0, 1.0, 2.0], [9.0, 1.0, 2.0, 4.0])], [3.0, 2.0, 2.0, 3.0])


class Programs(unittest.TestCase):
    def test_the_runs_of_all_processes_count_and_the_first_counts_instructions(self):
        with tempfile.TemporaryDirectory() as folder:
            program, log = pathlib.Path(folder) / "program", pathlib.Path(folder) / "log"
            printed = json.dumps({"records": [side("pollux", "avx2", [1.0, 2.0])], "context": {"dpdk": "none"}})
            program.write_text(f"#!/bin/sh\necho \"$*\" >>'{log}'\ncat <<'END'\n{printed}\nEND\n")
            program.chmod(0o755)
            [record], context = bench_side.measure(program, 0, 2, 60)
            self.assertEqual(log.read_text().splitlines(), ["2"] + ["2 all uncounted"] * 4)
        self.assertEqual((record["runs"], record["instructions"], context), ([1.0, 2.0] * 5, 60.0, {"dpdk": "none"}))

    def test_a_program_that_fails_is_named(self):
        with self.assertRaisesRegex(LabError, "/bin/false 15' ended with status 1"):
            bench_side.measure(pathlib.Path("/bin/false"), 0, 15, 60)


@unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed: python3-matplotlib")
class Plot(unittest.TestCase):
    def drawn(self, printed: list[dict]) -> str:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            [file] = bench_plots.side_by_side(rows_of(printed), pathlib.Path(folder), "a machine")
            return file.read_text()

    def test_the_picture_has_the_factor_and_the_machine(self):
        picture = self.drawn(SIDE + [one | {"where": "native-cold"} for one in SIDE])
        for text in ("3.0×", "a machine", "warm", "cold", "Pollux", "minimal loop, SIMD"):
            self.assertIn(f"<!-- {text} -->", picture)
        self.assertEqual(picture, self.drawn(SIDE + [one | {"where": "native-cold"} for one in SIDE]))

    def test_sizes_have_a_line_for_each_instruction_set(self):
        common = {"case": "forward", "who": "pollux", "where": "native-warm", "cycles_median": 9.0, "cycles_min": 8.0, "cycles_max": 10.0}
        records = [common | {"instruction_set": name} | size for name in ("scalar", "avx2")
                   for size in ({"burst": 1}, {"burst": 32}, {"burst": 32, "ring": 4096}, {"burst": 32, "frame": 9000})]
        with tempfile.TemporaryDirectory() as folder:
            [file] = bench_plots.sizes(records, pathlib.Path(folder), "a machine")
            picture = file.read_text()
            self.assertEqual((file.name, bench_plots.sizes(records[:2], pathlib.Path(folder), "")), ("bursts-and-rings.svg", []))
        for text in ("frames per burst", "4096", "avx2", "a machine"):
            self.assertIn(f"<!-- {text} -->", picture)
        self.assertNotIn("<!-- avx512 -->", picture)

    def test_without_dpdk_the_picture_has_no_factor(self):
        self.assertNotIn("×", self.drawn([one for one in SIDE if not one["who"].startswith("dpdk")]))


if __name__ == "__main__":
    unittest.main()
