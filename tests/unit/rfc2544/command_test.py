# SPDX-License-Identifier: BSD-3-Clause
"""Runs `pollux bench` as a user does, on in-process cards."""

import importlib.util
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

POLLUX = sys.argv.pop()
PLOT = pathlib.Path(__file__).resolve().parents[3] / "tools/pollux-bench-plot"
SECONDS = 120
DEVICE = "forward?rate=600kpps,queue=4"
QUICK = ["--sizes", "64,512", "--duration", "0.005"]


def bench(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([POLLUX, "bench", *words], capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)


class Table(unittest.TestCase):
    def test_the_whole_table_is_the_same_in_two_runs(self):
        outcomes = [bench("sim:0", "sim:1", "--dut", DEVICE) for _ in range(2)]
        for outcome in outcomes:
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        self.assertEqual(outcomes[0].stdout, outcomes[1].stdout)
        sizes = [line.split()[0] for line in outcomes[0].stdout.splitlines()[5:12]]
        self.assertEqual(sizes, ["64", "128", "256", "512", "1024", "1280", "1518"])

    def test_a_devices_capacity_is_found(self):
        outcome = bench("sim:0", "sim:1", "--dut", DEVICE, "--sizes", "64", "--json")
        result = json.loads(outcome.stdout)
        self.assertEqual(result["time"], "virtual")
        throughput = result["sizes"][0]["throughput"]
        self.assertAlmostEqual(throughput["frames_per_second"], 600_000, delta=1500)
        self.assertFalse(throughput["sender_limited"])
        self.assertFalse(throughput["contradicted"])

    def test_a_device_that_loses_frames_has_that_loss_rate(self):
        outcome = bench("sim:0?loss=0.02,seed=5", "sim:1", "--sizes", "64", "--tests", "frame-loss", "--json")
        trials = json.loads(outcome.stdout)["sizes"][0]["frame_loss"]
        self.assertEqual(len(trials), 10)
        for trial in trials:
            self.assertEqual(trial["sent"], trial["intended"])
            self.assertAlmostEqual(trial["loss_percent"], 2, delta=0.7)

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed: python3-matplotlib")
    def test_plots_are_pictures(self):
        outcome = bench("sim:0", "sim:1", *QUICK, "--json")
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        with tempfile.TemporaryDirectory() as folder:
            for name in ("p.svg", "p.png"):
                drawn = subprocess.run([PLOT, "-", str(pathlib.Path(folder, name))], input=outcome.stdout, capture_output=True,
                                       text=True, timeout=SECONDS, check=False)
                self.assertEqual((drawn.returncode, drawn.stdout + drawn.stderr), (0, ""))
            svg = xml.etree.ElementTree.parse(pathlib.Path(folder, "p.svg")).getroot()
            self.assertTrue(svg.tag.endswith("svg"))
            png = pathlib.Path(folder, "p.png").read_bytes()
            self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">II", png[16:24]), (2240, 1760))


class Refusals(unittest.TestCase):
    def expect(self, status: int, words: list[str], *parts: str) -> None:
        outcome = bench(*words)
        output = outcome.stdout + outcome.stderr
        self.assertEqual(outcome.returncode, status, output)
        for part in parts:
            self.assertIn(part, output)

    def test_wrong_options_name_their_fix(self):
        ports = ["sim:0", "sim:1"]
        self.expect(2, ["sim:0"], "ports")
        self.expect(2, [*ports, "--sizes", "63"], "--sizes", "63", "9724")
        self.expect(2, [*ports, "--sizes", "9725"], "--sizes", "9725", "9724")
        self.expect(2, [*ports, "--duration", "0"], "--duration")
        self.expect(2, [*ports, "--duration", "nan"], "--duration")
        self.expect(2, [*ports, "--wait", "0"], "--wait")
        self.expect(2, [*ports, "--tests", "speed"], "--tests", "speed", "throughput")
        self.expect(2, [*ports, "--max-load", "0%"], "--max-load", "above 0 and up to 100%")
        self.expect(2, [*ports, "--max-load", "101%"], "--max-load", "above 0 and up to 100%")
        self.expect(2, [*ports, "--resolution", "5"], "--resolution", "0.1%")
        self.expect(2, [*ports, "--line-rate", "5kpps"], "--line-rate", "100Mbit")
        self.expect(2, [*ports, "--dut", "forward?rate=0"], "rate=0", "500kpps")
        self.expect(2, [*ports, "--dut", "switch"], "wire or forward")
        self.expect(2, ["sim:0", "sim:2"], "not at the ends of one wire", "use sim:0 sim:1")
        self.expect(2, ["qtest:0", "qtest:1", "--dut", "forward"], "in-process cards", "leave out --dut")

    def test_ports_that_are_not_connected_are_an_error(self):
        self.expect(1, ["null:", "null:", "--line-rate", "1Gbit"], "none of ", " frames that null: sent arrived at null:", "connect the ports")

    def test_ports_that_cannot_be_opened_are_errors(self):
        self.expect(2, ["nosuch:0", "sim:1"], "nosuch", "vfio:")
        self.expect(2, ["sim:0?speed=1", "sim:1"], "unknown option", "speed")
        self.expect(2, ["sim:64", "sim:65"], "sim:63")


if __name__ == "__main__":
    unittest.main()
