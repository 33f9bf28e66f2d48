# SPDX-License-Identifier: BSD-3-Clause
"""What tools/bench does with what it measured, where a step fails."""

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
BROKEN = LabError("a program ended", "look at what it said")


class Steps(unittest.TestCase):
    def measured_with(self, *steps, peers: pathlib.Path | None = None):
        """Runs tools/bench with that for its steps; gives what it printed, and the records that it wrote."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed, \
                contextlib.redirect_stderr(io.StringIO()), mock.patch.object(bench, "measure", side_effect=steps):
            file = pathlib.Path(folder) / "records.json"
            options = argparse.Namespace(quick=True, build=pathlib.Path(folder), core=0, huge_pages=False, ablation=False,
                                         peers=peers, json=file, markdown=None, plots=None)
            with self.assertRaisesRegex(LabError, "ended"):
                bench.Run(options).run()
            return printed.getvalue(), json.loads(file.read_text()) if file.exists() else None

    def test_what_was_measured_before_a_step_failed_is_kept(self):
        printed, records = self.measured_with((CARD, CONTEXT, []), BROKEN)
        self.assertIn("The table", printed)
        self.assertEqual(records, CARD)

    def test_what_was_measured_before_the_rivals_failed_is_kept(self):
        printed, records = self.measured_with((CARD, CONTEXT, []), ([], CONTEXT, []), peers=pathlib.Path("/bin/false"))
        self.assertIn("The table", printed)
        self.assertEqual(records, CARD)

    def test_where_nothing_was_measured_the_failure_is_all_there_is(self):
        printed, records = self.measured_with(BROKEN)
        self.assertEqual(printed, "")
        self.assertIsNone(records)


if __name__ == "__main__":
    unittest.main()
