# SPDX-License-Identifier: BSD-3-Clause
"""Runs `pollux bench` as a user does, on QEMU's cards, in real time."""

import json
import subprocess
import sys
import unittest

POLLUX = sys.argv.pop()
SECONDS = 120


class Bench(unittest.TestCase):
    def test_a_short_measurement_in_real_time(self):
        words = [POLLUX, "bench", "qtest:0", "qtest:1", "--sizes", "512", "--max-load", "0.5%", "--resolution", "0.25%",
                 "--duration", "0.2", "--wait", "0.5", "--repeats", "1", "--tests", "throughput,latency,frame-loss", "--json"]
        outcome = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        report = json.loads(outcome.stdout)
        self.assertEqual(report["time"], "real")
        self.assertEqual(report["line_rate_bits_per_second"], 1_000_000_000)
        result = report["sizes"][0]
        self.assertEqual(result["line_frames_per_second"], 234_962)
        trials = result["throughput"]["trials"] + result["frame_loss"]
        # 0.5 % of the line rate are 1,174 frames a second.
        self.assertEqual(trials[0]["intended"], 234)
        self.assertGreater(sum(trial["received"] for trial in trials), 0)
        for trial in trials:
            self.assertLessEqual(trial["received"], trial["sent"])
            self.assertLessEqual(trial["sent"], trial["intended"])
        if result["throughput"]["load_percent"] != 0:
            latency = result["latency"]
            self.assertGreater(latency["min_ns"], 0)
            self.assertLessEqual(latency["p50_ns"], latency["max_ns"])


if __name__ == "__main__":
    unittest.main()
