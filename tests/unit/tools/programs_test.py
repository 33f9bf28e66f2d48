# SPDX-License-Identifier: BSD-3-Clause
"""pollux_lab.programs finds the programs of a build."""

import os
import pathlib
import tempfile
import unittest
from unittest import mock

from pollux_lab import programs
from pollux_lab.errors import LabError
from pollux_lab.silicon.programs import find


class Build(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = pathlib.Path(folder.name)
        for place in ("tests/install/moved to/bin", "tools/pollux"):
            program = self.build / place / "pollux"
            program.parent.mkdir(parents=True)
            program.touch(0o755)

    def test_programs_that_the_tests_of_installation_left_are_not_used(self):
        self.assertEqual(programs.built_programs(self.build, ["pollux"]), [self.build / "tools/pollux/pollux"])
        self.assertEqual(find(self.build, "pollux"), (self.build / "tools/pollux/pollux").resolve())

    def test_other_tests_may_remove_folders_meanwhile(self):
        gone = self.build / "tests/gone"
        gone.mkdir()
        scandir = os.scandir

        def scan(path):
            if pathlib.Path(path) == gone:
                gone.rmdir()
            return scandir(path)

        with mock.patch("os.scandir", scan):
            self.assertEqual(programs.built_programs(self.build, ["pollux"]), [self.build / "tools/pollux/pollux"])
        self.assertFalse(gone.exists())

    def test_a_program_in_the_folder_itself_comes_first(self):
        for place in ("a/l2fwd", "l2fwd"):
            (self.build / place).parent.mkdir(exist_ok=True)
            (self.build / place).touch(0o755)
        self.assertEqual(find(self.build, "l2fwd"), (self.build / "l2fwd").resolve())

    def test_a_program_that_was_not_built_is_named(self):
        with self.assertRaisesRegex(LabError, "no program 'l2fwd' was built"):
            programs.built_programs(self.build, ["l2fwd"])
        with self.assertRaisesRegex(LabError, "no program 'l2fwd' is in"):
            find(self.build / "absent", "l2fwd")


if __name__ == "__main__":
    unittest.main()
