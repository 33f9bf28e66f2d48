# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench keeps its measurements when a later step fails."""

import argparse
import contextlib
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

from pollux_lab import bench, bench_side, readme_figures
from pollux_lab.errors import LabError
from records import CARD, SIDE

CONTEXT = {"processor": "a processor", "time stamp counter": "2.596 GHz", "compiler": "a compiler", "free huge pages": "96",
           "dpdk": "DPDK 22.11"}
SIDE_RECORDS = [bench_side.record_of(one) for one in SIDE]
BROKEN = LabError("a program ended", "read its output")


class Steps(unittest.TestCase):
    def measured_with(self, side_by_side, *steps, baselines: pathlib.Path | None = None, quick: bool = False, plots: pathlib.Path | None = None):
        """Runs tools/bench with these results for its steps; returns its output and the records that it wrote."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed, \
                contextlib.redirect_stderr(io.StringIO()), mock.patch.object(bench, "measure", side_effect=steps), \
                mock.patch.object(bench_side, "measure", side_effect=[side_by_side]):
            file = pathlib.Path(folder) / "records.json"
            options = argparse.Namespace(quick=quick, build=pathlib.Path(folder), core=0, huge_pages=False, ablation=False,
                                         baselines=baselines, json=file, markdown=None, plots=plots)
            with self.assertRaisesRegex(LabError, "ended") if not quick else contextlib.nullcontext():
                bench.Run(options).run()
            return printed.getvalue(), json.loads(file.read_text()) if file.exists() else None

    def test_measurements_before_a_failed_step_are_kept(self):
        printed, records = self.measured_with((SIDE_RECORDS, CONTEXT), (CARD, {}, []), BROKEN)
        self.assertIn("Every case", printed)
        self.assertEqual(records, SIDE_RECORDS + CARD)

    def test_measurements_before_failed_baselines_are_kept(self):
        printed, records = self.measured_with((SIDE_RECORDS, CONTEXT), (CARD, {}, []), *[([], {}, [])] * 6, baselines=pathlib.Path("/bin/false"))
        self.assertIn("Side by side", printed)
        self.assertEqual(records, SIDE_RECORDS + CARD)

    def test_without_measurements_only_the_failure_is_reported(self):
        printed, records = self.measured_with(BROKEN)
        self.assertEqual(printed, "")
        self.assertIsNone(records)

    def test_quick_measures_side_by_side_alone(self):
        printed, records = self.measured_with((SIDE_RECORDS, CONTEXT), quick=True)
        self.assertIn("a processor, time stamp counter 2.596 GHz, a compiler, DPDK 22.11", printed)
        self.assertNotIn("Every case", printed)
        self.assertEqual(records, SIDE_RECORDS)

    def test_quick_measures_sizes_for_the_pictures(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(bench, "bench_plots") as drawn:
            drawn.side_by_side.return_value, drawn.sizes.return_value = [], [pathlib.Path("sizes.svg")]
            printed, records = self.measured_with((SIDE_RECORDS, CONTEXT), (CARD, {}, []), quick=True, plots=pathlib.Path(folder))
        drawn.sizes.assert_called_once_with(CARD, pathlib.Path(folder), mock.ANY)
        drawn.draw.assert_not_called()
        self.assertNotIn("Every case", printed)
        self.assertEqual(records, SIDE_RECORDS + CARD)

    def test_a_table_without_dpdk_says_so(self):
        printed, _ = self.measured_with((SIDE_RECORDS, CONTEXT | {"dpdk": "none"}), quick=True)
        self.assertIn("WITHOUT DPDK", printed)

class Machine(unittest.TestCase):
    def test_too_few_huge_pages_stand_beside_the_figures(self):
        for pages, dpdk, said in (("0", "DPDK 22.11", True), ("96", "DPDK 22.11", False), ("0", "none", False)):
            context = CONTEXT | {"free huge pages": pages, "dpdk": dpdk, "load_avg": [0.5], "date": "2026-11-27T17:00:00"}
            self.assertEqual("too few for DPDK" in bench.machine(context), said, (pages, dpdk))


class Markdown(unittest.TestCase):
    def written(self, page: str | None, quick: bool) -> str:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), \
                mock.patch.object(bench, "measure", return_value=(CARD, {}, [])), \
                mock.patch.object(bench_side, "measure", return_value=(SIDE_RECORDS, CONTEXT)):
            file = pathlib.Path(folder) / "page.md"
            if page is not None:
                file.write_text(page)
            bench.Run(argparse.Namespace(quick=quick, build=pathlib.Path(folder), core=0, huge_pages=False, ablation=False, baselines=None,
                                         json=None, markdown=file, plots=None)).run()
            return file.read_text()

    def test_a_page_with_a_place_gets_the_first_table_alone(self):
        page = self.written(f"before\n{bench_side.BEGIN}old\n{bench_side.END}after\n", quick=False)
        self.assertRegex(page, r"(?s)^before\n<!--.*a processor, .*\| forward \| 32 \| warm \|.*<!--.*after\n$")
        self.assertNotIn("old", page)
        self.assertNotIn("Every case", page)

    def test_the_readme_and_the_page_say_what_the_tables_have(self):
        sentence = "takes **{} ns, where DPDK's takes {}** for\nthe same work; on 16 queues of 512, {} and {} more"
        tables = ("CPU, time stamp counter 2.500 GHz, gcc\n| forward | 32 | warm | {} [8 to 9] avx2 | 45 | {} [3 to 5] | 1 |\n"
                  "| one thread | 512 | 16 | {} [7 to 8] | 8.97 | {} [7 to 8] | 1.96 |\n")
        with tempfile.TemporaryDirectory() as folder:
            readme, page = pathlib.Path(folder).resolve() / "README.md", pathlib.Path(folder).resolve() / "docs/performance.md"
            page.parent.mkdir()
            old, new = sentence.format("1.0", "2.0", "3.0", "4.0"), sentence.format("4.0", "16.0", "32.0", "30.0")
            readme.write_text(old)
            page.write_text(old + tables.format("10.0", "40.0", "80.0", "75.0"))
            self.assertEqual(readme_figures.update(page), [page, readme])
            self.assertEqual(readme.read_text(), new)
            self.assertTrue(page.read_text().startswith(new))
            self.assertEqual(readme_figures.update(page), [], "it is said already")
            other = page.with_name("other.md")
            other.write_text(old + tables.format("5.0", "5.0", "5.0", "5.0"))
            self.assertEqual(readme_figures.update(other), [])
            page.write_text("no table\n")
            self.assertEqual(readme_figures.update(page), [])
            self.assertEqual(readme.read_text(), new)

    def test_another_file_gets_all_tables(self):
        for before in (None, "old\n"):
            page = self.written(before, quick=False)
            self.assertIn("## Side by side\n\n| case |", page)
            self.assertIn("## Every case\n", page)
            self.assertNotIn("old", page)

    def test_the_name_of_a_file_stays_in_one_line(self):
        with mock.patch.object(bench.Run, "_remark", return_value="word " * 24 + "docs/performance-details.md"):
            self.assertIn("\ndocs/performance-details.md\n", self.written(None, quick=False))


if __name__ == "__main__":
    unittest.main()
