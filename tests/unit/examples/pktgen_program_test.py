# SPDX-License-Identifier: BSD-3-Clause
"""Runs pktgen as a user does, on in-process cards."""

import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from program_runs import SECONDS, capture, objects, run, wait_until_caught, words_of

PKTGEN = sys.argv.pop()


class Pktgen(unittest.TestCase):
    def summary(self, *words: str) -> dict:
        outcome = run(PKTGEN, *words, "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
        return objects(outcome.stdout)[-1]["summary"]

    def test_every_frame_arrives(self):
        for size in (64, 1518):
            summary = self.summary("sim:0", "sim:1", "--count", "20000", "--size", str(size), "--check", "--expect-all")
            self.assertEqual([summary[name] for name in ("sent", "received", "good", "lost")], [20000, 20000, 20000, 0])
            self.assertTrue(summary["conserved"])
            self.assertEqual([card["tx_packets"] for card in summary["cards"]], [20000, 0])
            self.assertEqual([card["rx_bytes"] for card in summary["cards"]], [0, 20000 * (size - 4)])

    def test_jumbo_frames_arrive(self):
        summary = self.summary("sim:0", "sim:1", "--count", "500", "--size", "9500", "--check", "--expect-all")
        self.assertEqual(summary["good"], 500)

    def test_a_number_may_begin_with_zeros(self):
        for count, frames in (("010", 10), ("0x10", 16)):
            self.assertEqual(self.summary("sim:0", "--send", "--count", count, "--queues", "08")["sent"], frames)

    def test_a_file_has_the_time_of_day(self):
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/out.pcap"
            for port in (f"pcap:out={path}", f"sim:0?pcap-out={path}", f"sim:0?capture={path}"):
                before = time.time()
                self.summary(port, *(["sim:1"] if "capture" in port else ["--send"]), "--count", "1")
                seconds, nanoseconds = struct.unpack_from("<II", pathlib.Path(path).read_bytes(), 24)
                self.assertTrue(before <= seconds + nanoseconds / 1e9 <= time.time(), (port, seconds))

    def test_one_burst_has_no_rate(self):
        outcome = run(PKTGEN, "sim:0", "sim:1", "--count", "10", "--check")
        self.assertIn("sent 10 (frames of 64 bytes): too few for a rate\n", outcome.stdout)

    def test_a_port_sends_to_itself_in_either_loop(self):
        for mode in ("phy", "mac"):
            summary = self.summary("sim:0", "--loopback", mode, "--count", "5000", "--window", "64", "--check", "--expect-all")
            self.assertEqual([summary[name] for name in ("sent", "good", "lost")], [5000, 5000, 0], mode)
            self.assertTrue(summary["conserved"])

    def test_a_second_thread_can_send(self):
        summary = self.summary("sim:0", "sim:1", "--count", "3000", "--rate", "20000", "--threads", "2", "--check")
        self.assertEqual(summary["sent"], 3000)
        self.assertEqual(summary["good"] + summary["lost"], 3000)
        self.assertTrue(summary["conserved"])

    def test_the_rate_is_not_exceeded(self):
        summary = self.summary("sim:0", "sim:1", "--count", "2000", "--rate", "2000", "--check")
        self.assertLess(summary["tx"]["mpps"], 0.0021)

    def test_a_share_of_the_line_rate_counts_whole_slots(self):
        # 1 % of 1 Gb/s; a frame of 64 bytes takes 84 on the wire.
        summary = self.summary("sim:0", "sim:1", "--count", "2000", "--rate", "1%", "--size", "64", "--check")
        self.assertEqual(summary["good"], 2000)
        self.assertEqual(set(summary["pacing"]), {"longest_delay_us", "slipped_us"})
        slots = 2000 * 84 * 8 / 1e7
        seconds = 2000 / summary["tx"]["mpps"] / 1e6
        self.assertGreater(seconds, 0.98 * slots)
        self.assertLess(seconds, 1.05 * slots + sum(summary["pacing"].values()) / 1e6)

    def test_a_repeated_file_without_times_needs_a_rate(self):
        with tempfile.TemporaryDirectory() as directory:
            path = self.capture(2, directory)
            for repeat in ("0", "3"):
                outcome = run(PKTGEN, "sim:0", "--send", "--replay", path, "--repeat", repeat, "--count", "6")
                self.assertEqual(outcome.returncode, 2, outcome.stderr)
                self.assertIn("all its frames have one time", outcome.stderr)
                self.assertIn("--rate", outcome.stderr)
            self.assertEqual(self.summary("sim:0", "--send", "--replay", path)["sent"], 2)
            self.assertEqual(self.summary("sim:0", "--send", "--replay", path, "--repeat", "3", "--rate", "10kpps")["sent"], 6)

    def test_a_file_is_repeated_a_number_of_times(self):
        with tempfile.TemporaryDirectory() as directory:
            path = self.capture(2, directory)
            for repeat in ("-1", "-2", "18446744073709551615", "1.5", "", "x"):
                outcome = run(PKTGEN, "null:", "--send", "--replay", path, "--rate", "10kpps", "--seconds", "1", f"--repeat={repeat}")
                self.assertEqual(outcome.returncode, 2, (repeat, outcome.stderr))
                self.assertIn("--repeat", outcome.stderr)

    def test_an_interrupted_wait_for_the_link_ends_with_a_summary(self):
        for rate in ([], ["--rate", "50%"], ["--rate", "1000pps"]):
            # There is no program at the other end.
            with subprocess.Popen([PKTGEN, f"ring:{os.getpid()}:0", "--send", "--wait-link", "600", "--json", *rate],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
                wait_until_caught(program, signal.SIGINT)
                program.send_signal(signal.SIGINT)
                output, errors = program.communicate(timeout=SECONDS)
            self.assertEqual(program.returncode, 0, errors)
            summary = objects(output)[-1]["summary"]
            self.assertEqual(summary["sent"], 0)
            self.assertTrue(summary["conserved"])

    def test_it_ends_after_its_time_and_prints_a_line_each_second(self):
        begun = time.monotonic()
        outcome = run(PKTGEN, "sim:0", "sim:1", "--seconds", "2.5", "--rate", "1000", "--json")
        self.assertLess(time.monotonic() - begun, 15)
        lines = objects(outcome.stdout)
        self.assertIn(len(lines), (3, 4))
        self.assertGreater(lines[0]["sent"], 0)

    def test_a_loss_is_an_error_only_with_expect_all(self):
        # Nothing is connected to sim:0, so all frames are lost.
        words = (PKTGEN, "sim:0", "--send", "--receive", "--count", "10", "--check")
        self.assertEqual(run(*words).returncode, 0)
        outcome = run(*words, "--expect-all")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("lost 10", outcome.stdout)

    def test_a_receiver_without_frames_ends_after_its_time(self):
        summary = self.summary("sim:0", "--receive", "--seconds", "0.2")
        self.assertEqual(summary["received"], 0)

    def capture(self, frames: int, directory: str) -> str:
        """Writes a capture file of frames that pktgen did not build, and returns its path."""
        return capture(directory, frames * [b"\xff" * 6 + b"\x02" * 54])

    def test_a_receiver_stops_exactly_at_its_count(self):
        summary = self.summary("null:?rx=64", "--receive", "--count", "45", "--burst", "32")
        self.assertEqual(summary["received"], 45)

    def test_foreign_frames_count_but_are_an_error_with_check(self):
        with tempfile.TemporaryDirectory() as directory:
            foreign = f"pcap:in={self.capture(50, directory)}"
            outcome = run(PKTGEN, foreign, "--receive", "--check", "--count", "45", "--json")
            summary = objects(outcome.stdout)[-1]["summary"]
            self.assertEqual([summary[name] for name in ("received", "foreign", "good")], [45, 45, 0])
            self.assertEqual(outcome.returncode, 1)
            self.assertIn("none of the 45 frames was pktgen's", outcome.stderr)
            self.assertEqual(self.summary(foreign, "--receive", "--count", "45")["received"], 45)

    def test_foreign_frames_do_not_delay_the_end(self):
        # No frame of pktgen's comes back, and foreign frames arrive without end.
        outcome = run(PKTGEN, "null:?rx=64", "--send", "--receive", "--count", "10", "--check", "--linger", "0.1", "--json")
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertGreater(summary["foreign"], 0)
        self.assertEqual(outcome.returncode, 1)

    def test_frames_that_a_card_missed_are_reported(self):
        # The receive ring has the smallest size, so the packet buffer is soon full.
        words = ("sim:0", "sim:1", "--rx-ring", "8", "--tx-ring", "4096", "--burst", "512", "--size", "1518", "--count", "20000")
        outcome = run(PKTGEN, *words)
        self.assertRegex(outcome.stdout, r"lost at sim:1 before it was received: rx_missed_errors [1-9]")

    def test_flows_are_spread_over_queues_and_cores(self):
        core = min(os.sched_getaffinity(0))
        for options in (["--window", "1024"], ["--cores", str(core), "--rate", "20000"]):
            outcome = run(PKTGEN, "sim:0", "sim:1", "--queues", "4", "--count", "10003", "--check", "--expect-all", "--quiet", "--json",
                          *options)
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            summary = objects(outcome.stdout)[-1]["summary"]
            self.assertEqual((summary["sent"], summary["good"], summary["reordered"], summary["lost"]), (10003, 10003, 0, 0))
            self.assertTrue(summary["conserved"])
            self.assertEqual(len(summary["rx_queues"]), 4)
            self.assertEqual(sum(summary["rx_queues"]), 10003)
            self.assertGreater(min(summary["rx_queues"]), 0, "32 flows reach every queue")

    def test_it_receives_on_several_queues_until_the_count(self):
        with subprocess.Popen([PKTGEN, "sim:0", "--receive", "--queues", "2", "--count", "50", "--seconds", "0.2", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
            output, errors = program.communicate(timeout=SECONDS)
        self.assertEqual(program.returncode, 0, errors)
        self.assertEqual(objects(output)[-1]["summary"]["received"], 0)

    def test_options_may_precede_the_port(self):
        with tempfile.TemporaryDirectory() as directory:
            template = ["--template", capture(directory, [b"\x02" * 60])]
            for words in (["--size", "64"], ["--rate", "10kpps"],
                          [*template, "--vary", "eth.src=02:00:00:00:00:01-02:00:00:00:00:02"],
                          [*template, "--vary", "eth.src=02:00:00:00:00:01-02:00:00:00:00:02",
                           "--vary", "eth.dst=02:00:00:00:00:01-02:00:00:00:00:02"]):
                outcome = run(PKTGEN, "--send", *words, "sim:0", "--count", "3")
                self.assertEqual(outcome.returncode, 0, outcome.stderr)
                self.assertIn("sent 3 ", outcome.stdout)
        for option, text in (("--size", "64"), ("--rate", "10kpps")):
            self.assertEqual(run(PKTGEN, "sim:0", "--send", option, text, option, text).returncode, 2)

    def test_help_says_which_frames_an_option_is_for(self):
        text = words_of(run(PKTGEN, "--help").stdout)
        self.assertIn("changes with each use of the file", text)
        self.assertIn("pktgen's own frames contain IPv4 and UDP", text)
        self.assertEqual(text.count("with --template and --replay those of the file"), 2, text)


if __name__ == "__main__":
    unittest.main()
