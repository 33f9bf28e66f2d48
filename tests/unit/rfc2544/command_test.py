# SPDX-License-Identifier: BSD-3-Clause
"""Runs `pollux bench` as a user does, on in-process cards."""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
import zlib

POLLUX = sys.argv.pop()
SECONDS = 120
DEVICE = "forward?rate=600kpps,queue=4"
QUICK = ["--sizes", "64,512", "--duration", "0.005"]


def bench(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([POLLUX, "bench", *words], capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)


def png_rows(data: bytes) -> tuple[int, int, set]:
    """Width, height and the different rows of a PNG image with 8 bits a channel, read without a library."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (depth, kind) == (8, 2)
    at, packed = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(packed)
    row = 1 + width * 3  # each begins with the number of its filter
    assert len(raw) == row * height
    return width, height, {raw[y * row : (y + 1) * row] for y in range(height)}


class Table(unittest.TestCase):
    def test_the_whole_table_is_the_same_in_two_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            outcomes = []
            for name in ("a", "b"):
                plot = pathlib.Path(folder, name + ".svg")
                outcome = bench("sim:0", "sim:1", "--dut", DEVICE, "--plot", str(plot))
                self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
                outcomes.append((outcome.stdout, plot.read_bytes()))
            self.assertEqual(outcomes[0], outcomes[1])
            self.assertEqual([line.split()[0] for line in outcomes[0][0].splitlines()[5:12]], ["64", "128", "256", "512", "1024", "1280", "1518"])

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

    def test_plots_are_pictures(self):
        with tempfile.TemporaryDirectory() as folder:
            svg, png = pathlib.Path(folder, "p.svg"), pathlib.Path(folder, "p.png")
            outcome = bench("sim:0", "sim:1", *QUICK, "--plot", str(svg), "--plot", str(png))
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            root = xml.etree.ElementTree.fromstring(svg.read_text())
            self.assertTrue(root.tag.endswith("svg"))
            width, height, rows = png_rows(png.read_bytes())
            self.assertGreater(width, 1000)
            self.assertGreater(height, 1000)
            self.assertGreater(len(rows), 100)


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
        self.expect(2, [*ports, "--tests", "speed"], "--tests", "speed", "throughput")
        self.expect(2, [*ports, "--max-load", "0%"], "--max-load", "above 0 and up to 100%")
        self.expect(2, [*ports, "--max-load", "101%"], "--max-load", "above 0 and up to 100%")
        self.expect(2, [*ports, "--resolution", "5"], "--resolution", "0.1%")
        self.expect(2, [*ports, "--line-rate", "5kpps"], "--line-rate", "100Mbit")
        self.expect(2, [*ports, "--dut", "forward?rate=0"], "rate=0", "500kpps")
        self.expect(2, [*ports, "--dut", "switch"], "wire or forward")
        self.expect(2, ["sim:0", "sim:2"], "not at the ends of one wire", "use sim:0 sim:1")
        self.expect(2, ["qtest:0", "qtest:1", "--dut", "forward"], "in-process cards", "leave out --dut")
        self.expect(2, [*ports, "--plot", "p.pdf"], ".svg or .png")
        self.expect(2, [*ports, "--plot", "/nowhere/p.svg"], "/nowhere", "create it")

    def test_ports_that_cannot_be_opened_are_errors(self):
        self.expect(1, ["nosuch:0", "sim:1"], "nosuch", "vfio:")
        self.expect(1, ["sim:0?speed=1", "sim:1"], "unknown option", "speed")
        self.expect(1, ["sim:64", "sim:65"], "sim:63")


if __name__ == "__main__":
    unittest.main()
