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

from pollux_lab import bench
from pollux_lab.errors import LabError
from records import CARD

CONTEXT = {"processor": "a processor", "time stamp counter": "2.596 GHz", "compiler": "a compiler", "free huge pages": "96",
           "load_avg": [0.1], "date": "2026-01-01T00:00:00"}
BROKEN = LabError("a program ended", "read its output")


class Steps(unittest.TestCase):
    def measured_with(self, *steps, baselines: pathlib.Path | None = None):
        """Runs tools/bench with these results for its steps; returns its output and the records that it wrote."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed, \
                contextlib.redirect_stderr(io.StringIO()), mock.patch.object(bench, "measure", side_effect=steps):
            file = pathlib.Path(folder) / "records.json"
            options = argparse.Namespace(quick=True, build=pathlib.Path(folder), core=0, huge_pages=False, ablation=False,
                                         baselines=baselines, json=file, markdown=None, plots=None)
            with self.assertRaisesRegex(LabError, "ended"):
                bench.Run(options).run()
            return printed.getvalue(), json.loads(file.read_text()) if file.exists() else None

    def test_measurements_before_a_failed_step_are_kept(self):
        printed, records = self.measured_with((CARD, CONTEXT, []), BROKEN)
        self.assertIn("The table", printed)
        self.assertEqual(records, CARD)

    def test_measurements_before_failed_baselines_are_kept(self):
        printed, records = self.measured_with((CARD, CONTEXT, []), ([], CONTEXT, []), baselines=pathlib.Path("/bin/false"))
        self.assertIn("The table", printed)
        self.assertEqual(records, CARD)

    def test_without_measurements_only_the_failure_is_reported(self):
        printed, records = self.measured_with(BROKEN)
        self.assertEqual(printed, "")
        self.assertIsNone(records)


if __name__ == "__main__":
    unittest.main()
