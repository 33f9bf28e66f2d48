# SPDX-License-Identifier: BSD-3-Clause
"""tools/pollux-bench-plot on tables such as `pollux bench --json` prints: the pictures, and what it says of wrong input."""

import contextlib
import importlib.util
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree
import zlib

PLOT = pathlib.Path(__file__).resolve().parents[3] / "tools/pollux-bench-plot"
SECONDS = 120
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


def result(size: int) -> dict:
    latency = {f"{name}_ns": 700 * (step + 1) for step, name in enumerate(("min", "p50", "p90", "p99", "p99.9", "p99.99", "max"))}
    return {"size": size, "line_frames_per_second": 1488095,
            "throughput": {"load_percent": 40.3, "frames_per_second": 600_000, "trials": []},
            "latency": {"load_percent": 40.3, "frames": 100, "lost": 0, "mean_ns": 900} | latency,
            "frame_loss": [{"load_percent": load, "sent": 100, "loss_percent": max(0, load - 40)} for load in (100, 60, 40)],
            "back_to_back": {"frames": 12_000, "repeats": [12_000], "longest_tried": 29_761}}


def table(*sizes: dict, **words) -> dict:
    return {"method": "RFC 2544", "sending": "sim:0", "receiving": "sim:1", "device": "wire", "time": "virtual",
            "line_rate_bits_per_second": 1_000_000_000, "trial_seconds": 0.02, "sizes": list(sizes)} | words


def different_rows(png: bytes) -> int:
    """The number of different rows of a PNG image with 8 bits a channel and transparency, read without a library."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) == (8, 6)
    at, packed = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at:at + 4])
        if png[at + 4:at + 8] == b"IDAT":
            packed += png[at + 8:at + 8 + length]
        at += length + 12
    raw = zlib.decompress(packed)
    row = 1 + width * 4  # each begins with the number of its filter
    assert len(raw) == row * height
    return len({raw[at:at + row] for at in range(0, len(raw), row)})


class PlotTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def plot(self, text: str | bytes, picture: str = "p.svg", **environment: str) -> subprocess.CompletedProcess:
        source = self.folder / "run.json"
        source.write_bytes(text if isinstance(text, bytes) else text.encode())
        return subprocess.run([PLOT, source, self.folder / picture], capture_output=True, text=True, timeout=SECONDS, check=False,
                              stdin=subprocess.DEVNULL, env=os.environ | environment)


@unittest.skipUnless(HAS_MATPLOTLIB, "matplotlib is not installed: python3-matplotlib")
class Pictures(PlotTest):
    def drawn(self, wanted: dict, picture: str = "p.svg") -> bytes:
        outcome = self.plot(json.dumps(wanted), picture)
        self.assertEqual((outcome.returncode, outcome.stdout, outcome.stderr), (0, "", ""))
        return (self.folder / picture).read_bytes()

    def test_a_png_has_its_size_and_is_not_empty(self):
        png = self.drawn(table(result(64), result(1518)), "p.png")
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", png[16:24]), (2240, 1760))
        self.assertGreater(different_rows(png), 300)

    def test_an_svg_has_what_was_measured(self):
        comments = self.drawn(table(result(64), device="forward?rate=$5$")).decode()
        xml.etree.ElementTree.fromstring(comments)
        # matplotlib writes each text as outlines, and as a comment.
        for part in ("RFC 2544: sim:0 → forward?rate=$5$ → sim:1", "line rate 1000 Mbit/s, virtual time, trials of 0.02 s",
                     "600 k/s", "12 k", "p99.99", "Throughput without loss", "Frame loss rate", "Latency at the throughput",
                     "Back-to-back frames without loss"):
            self.assertIn(part, comments)
        self.assertIn("DejaVuSans-24", comments, "the outline of a dollar, which begins no formula")
        self.assertNotIn("not measured", comments)

    def test_the_same_table_gives_the_same_svg(self):
        wanted = table(*map(result, (64, 128, 256, 512, 1024, 1280, 1518, 9018)))
        self.assertEqual(self.drawn(wanted), self.drawn(wanted, "q.svg"))

    def test_a_burst_that_was_not_limited_is_a_lower_bound(self):
        longest = result(64) | {"back_to_back": {"frames": 29_761, "repeats": [29_761], "longest_tried": 29_761}}
        self.assertIn("≥ 29.8 k", self.drawn(table(longest)).decode())

    def test_what_was_not_measured_is_said(self):
        partly = self.drawn(table({"size": 64, "frame_loss": result(64)["frame_loss"]})).decode()
        for name in ("throughput", "latency", "bursts"):
            self.assertIn(f"{name}: not measured", partly)
        self.assertNotIn("loss: not measured", partly)

    def test_zeros_are_drawn(self):
        nothing = result(64) | {"back_to_back": {"frames": 0, "repeats": [0], "longest_tried": 9}}
        nothing["throughput"] |= {"load_percent": 0, "frames_per_second": 0}
        nothing["latency"] = dict.fromkeys(nothing["latency"], 0)
        for trial in nothing["frame_loss"]:
            trial["loss_percent"] = 0
        self.assertIn("0/s", self.drawn(table(nothing)).decode())

    def test_a_picture_that_cannot_be_written(self):
        outcome = self.plot(json.dumps(table(result(64))), "missing/p.png")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn(f"cannot write {self.folder}/missing/p.png: No such file or directory\n  what to do: use a file in a",
                      outcome.stderr)


class Refusals(PlotTest):
    def refuses(self, text: str | bytes, what: str, hint: str, picture: str = "p.svg") -> None:
        outcome = self.plot(text, picture)
        self.assertEqual((outcome.returncode, outcome.stdout), (1, ""), outcome)
        self.assertRegex(outcome.stderr, rf"^pollux-bench-plot: error: .*{what}.*\n  what to do: .*{hint}.*\n$")
        self.assertFalse((self.folder / picture).exists())

    def test_input_that_is_not_a_table(self):
        whole = json.dumps(table(result(64)))
        self.refuses("", "run.json is empty", "prints nothing if it fails")
        self.refuses("RFC 2544 from sim:0\n", "is not JSON", "pollux bench --json")
        self.refuses(whole[:-20], "was cut", "let it end")
        self.refuses("[" * 100_000, "is not JSON", "pollux bench --json")
        self.refuses(b"\xff\xfe", "is not text", "pollux bench --json")
        for other in ("[]", "7", "null", "{}", '{"method": "RFC 2544"}', whole.replace("RFC 2544", "RFC 2889")):
            self.refuses(other, "is not a table of `pollux bench --json`", "what this command prints")

    def test_a_table_with_wrong_values(self):
        whole = json.dumps(table(result(64)))
        for right, wrong in (('"load_percent": 40.3', '"load_percent": "x"'), ('"p99_ns": 2800', '"p99_ns": NaN'),
                             ('"max_ns": 4900', '"other": 1'), ('"size": 64', '"size": -1'),
                             ('"loss_percent": 60', '"loss_percent": true'), ('"sizes": [', '"sizes": [7, '),
                             ('"frames_per_second": 600000', '"frames_per_second": Infinity')):
            self.assertIn(right, whole)
            self.refuses(whole.replace(right, wrong), "is not a table of `pollux bench --json`", "what this command prints")

    def test_a_table_without_results(self):
        self.refuses(json.dumps(table()), "has no results", "--tests")
        self.refuses(json.dumps(table({"size": 64, "duplicated": 0, "frame_loss": []})), "has no results", "--tests")

    def test_a_file_that_is_not_there(self):
        outcome = subprocess.run([PLOT, self.folder / "none.json", "p.svg"], capture_output=True, text=True, timeout=SECONDS,
                                 check=False)
        self.assertEqual(outcome.returncode, 1)
        self.assertIn(f"cannot read {self.folder}/none.json: No such file or directory\n  what to do: name the file",
                      outcome.stderr)

    def test_a_file_without_end(self):
        outcome = subprocess.run([PLOT, "/dev/zero", self.folder / "p.svg"], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("/dev/zero has more than 67108864 characters", outcome.stderr)

    def test_a_byte_order_mark_is_no_part_of_the_table(self):
        self.refuses(b"\xef\xbb\xbf" + json.dumps(table()).encode(), "has no results", "--tests")

    def test_ctrl_c_ends_it_without_a_traceback(self):
        program = subprocess.Popen([PLOT, "-", self.folder / "p.svg"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with contextlib.closing(program.stdin):
            program.stdin.write(" " * (1 << 20))  # more than a pipe holds: it reads now
            program.stdin.flush()
            program.send_signal(signal.SIGINT)
            self.assertEqual(program.wait(SECONDS), 130)
        self.assertEqual(program.stderr.read(), "")
        program.stderr.close()

    def test_another_format(self):
        self.refuses(json.dumps(table(result(64))), "the format of '.*p.pdf' is not known", "ends in .svg or .png", "p.pdf")

    def test_without_matplotlib_the_package_is_named(self):
        (self.folder / "matplotlib.py").write_text("raise ImportError('none')\n")
        outcome = self.plot(json.dumps(table(result(64))), PYTHONPATH=str(self.folder))
        self.assertEqual(outcome.returncode, 1)
        self.assertEqual(outcome.stderr, "pollux-bench-plot: error: matplotlib is not installed\n"
                                         "  what to do: apt-get install python3-matplotlib\n")

    def test_wrong_arguments(self):
        outcome = subprocess.run([PLOT], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("usage: pollux-bench-plot", outcome.stderr)

    def test_help_that_cannot_be_printed(self):
        for unbuffered in ("", "1"):
            with open("/dev/full", "w", encoding="utf-8") as full:
                outcome = subprocess.run([PLOT, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False,
                                         env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
            self.assertEqual((outcome.returncode, outcome.stderr),
                             (1, "pollux-bench-plot: error: the text cannot be printed: No space left on device\n"))


if __name__ == "__main__":
    unittest.main()
