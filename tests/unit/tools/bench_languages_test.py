# SPDX-License-Identifier: BSD-3-Clause
"""The table of tools/bench that compares languages."""

import os
import pathlib
import tempfile
import unittest

from pollux_lab import bench_languages
from pollux_lab.errors import LabError

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Languages(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def program(self, name: str, text: str) -> pathlib.Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    def test_only_what_was_built_is_measured(self):
        self.assertEqual(bench_languages.programs(self.folder, ROOT), {})
        self.program("bench/forward_in_cpp", "")
        self.program("bench/rust/release/examples/forward_cost", "")
        self.program("python/pollux/_pollux.abi3.so", "")
        found = bench_languages.programs(self.folder, ROOT)
        self.assertEqual(list(found), ["C++", "Rust", "Python"])
        self.assertTrue(pathlib.Path(found["Python"][0][-1]).exists())
        self.assertEqual(found["Python"][1], {"PYTHONPATH": str(self.folder / "python")})
        self.assertEqual(found["Rust"][1], {"LD_LIBRARY_PATH": str(self.folder / "lib")})

    def test_each_case_of_each_language_has_a_cell(self):
        fast, slow = self.program("fast", 'echo "$1.0"'), self.program("slow", 'test "$2" = keep && echo 100 || echo "$ADDED"')
        core = min(os.sched_getaffinity(0))
        records = bench_languages.measure({"C++": ([str(fast)], {}), "Python": ([str(slow)], {"ADDED": "300"})}, core, 2e9)
        self.assertEqual(len(records), 8)
        self.assertEqual(len(records[0]["runs"]), bench_languages.ROUNDS)
        head, *rows = bench_languages.table(records)
        self.assertEqual(head, ["forward from", "kept, burst 32", "kept, burst 1", "swapped, burst 32", "swapped, burst 1"])
        self.assertEqual(rows, [["C++", *(f"{ticks} [{ticks} to {ticks}]" for ticks in ("64", "2", "64", "2"))],
                                ["Python", *(f"{ticks} [{ticks} to {ticks}]" for ticks in ("200", "200", "600", "600"))]])
        self.assertEqual(len(bench_languages.table([])), 1)

    def test_ways_to_receive_are_compared_with_the_queue(self):
        script = self.program("sockets", 'echo "scapy_raw 10"; echo "pollux_read 0.5"')
        records = bench_languages.measure_sockets([str(script)], {}, min(os.sched_getaffinity(0)), 2e9)
        _, *rows = bench_languages.sockets_table(records)
        self.assertEqual(rows, [["scapy's own socket, `recv_raw`", "20,000 [20,000 to 20,000]", "20.0"],
                                ["`rx.read(32)` of Pollux", "1,000 [1,000 to 1,000]", "1.0"]])
        self.assertEqual(len(bench_languages.table(records)), 1)

    def test_a_program_that_fails_is_named(self):
        with self.assertRaisesRegex(LabError, "broken"):
            bench_languages.measure({"C": ([str(self.program("broken", "exit 3"))], {})}, min(os.sched_getaffinity(0)), 1e9)


if __name__ == "__main__":
    unittest.main()
