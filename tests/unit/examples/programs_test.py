# SPDX-License-Identifier: BSD-3-Clause
"""Runs l2fwd and pktgen as a user does, on in-process cards."""

import json
import re
import signal
import subprocess
import sys
import time
import unittest

PKTGEN = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 60


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)


def objects(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


class Words(unittest.TestCase):
    def refuses(self, status: int, words: list[str], *parts: str) -> None:
        outcome = run(*words)
        # CLI11 words a range "1 to 512" before 2.4, "[1 - 512]" from then on.
        said = re.sub(r"\[(\S+) - (\S+)\]", r"\1 to \2", outcome.stdout + outcome.stderr)
        self.assertEqual(outcome.returncode, status, said)
        for part in parts:
            self.assertIn(part, said)

    def test_help_is_no_error(self):
        for program in (L2FWD, PKTGEN):
            outcome = run(program, "--help")
            self.assertEqual(outcome.returncode, 0)
            self.assertIn("--burst", outcome.stdout)

    def test_wrong_words_name_the_range_and_end_with_two(self):
        for program in (L2FWD, PKTGEN):
            self.refuses(2, [program], "PORT")
            self.refuses(2, [program, "sim:0", "--burst", "513"], "--burst", "513", "1 to 512")
            self.refuses(2, [program, "sim:0", "--burst", "0"], "1 to 512")
            self.refuses(2, [program, "sim:0", "--burst", "many"], "--burst")
            self.refuses(2, [program, "sim:0", "--rx-ring", "-1"], "--rx-ring")
            self.refuses(2, [program, "sim:0", "--mtu", "20"], "68 to 65535")
            self.refuses(2, [program, "sim:0", "--nonsense"], "--nonsense")
            self.refuses(2, [program, "sim:0", "sim:1", "sim:2"], "PORT", "2")
            self.refuses(2, [program, "sim:0", "--path", "nonsense"], "nonsense", "scalar", "avx2", "best")
        self.refuses(2, [L2FWD, "sim:0", "--packets", "0"], "--packets", "1 to 1000000000000000000")
        self.refuses(2, [L2FWD, "sim:0", "--packets", "99999999999999999999999"], "--packets", "1 to 1000000000000000000")
        self.refuses(2, [L2FWD, "sim:0", "--fused", "--burst", "65"], "--burst", "65", "--fused", "at most 64")
        self.refuses(2, [PKTGEN, "sim:0", "sim:1", "--size", "63"], "64 to 9724")
        self.refuses(2, [PKTGEN, "sim:0", "--send", "--dst", "02:00:00:00:00"], "--dst", "02:00:00:00:00:01")
        self.refuses(2, [PKTGEN, "sim:0", "--send", "--dst", "02:00:00:00:00:0g"], "--dst")
        self.refuses(2, [PKTGEN, "sim:0"], "--send", "--receive")
        self.refuses(2, [PKTGEN, "sim:0", "--send", "--check"], "--check")
        self.refuses(2, [PKTGEN, "sim:0", "sim:1", "--send"], "two ports")

    def test_what_a_card_could_not_take_is_named(self):
        # More than the far end's ring has room for, before anyone polls.
        outcome = run(L2FWD, "sim:0", "sim:1", "--circulate", "4096", "--packets", "20000")
        self.assertRegex(outcome.stdout, r"lost at sim:1 before it was received: rx_missed_errors [1-9]")
        self.assertNotIn("lost at", run(L2FWD, "sim:0", "sim:1", "--circulate", "64", "--packets", "20000").stdout)

    def test_the_librarys_errors_end_with_one_and_say_what_mends_them(self):
        for program, words in ((L2FWD, []), (PKTGEN, ["--receive"])):
            self.refuses(1, [program, "nosuch:1", *words], "error:", "nosuch", "vfio:", "sim:")
            self.refuses(1, [program, "sim:0", "--rx-ring", "100", *words], "rx_ring", "power of two")
            self.refuses(1, [program, "sim:0", "--mbufs", "64", *words], "pool", "512")
        self.refuses(1, [L2FWD, "sim:0", "sim:0"], "open already")


class Pktgen(unittest.TestCase):
    def summary(self, *words: str) -> dict:
        outcome = run(PKTGEN, *words, "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
        return objects(outcome.stdout)[-1]["summary"]

    def test_every_frame_arrives_in_one_process(self):
        for size in (64, 1518):
            summary = self.summary("sim:0", "sim:1", "--count", "20000", "--size", str(size), "--check", "--expect-all")
            self.assertEqual([summary[name] for name in ("sent", "received", "good", "lost")], [20000, 20000, 20000, 0])
            self.assertTrue(summary["conserved"])
            self.assertEqual([card["tx_packets"] for card in summary["cards"]], [20000, 0])
            self.assertEqual([card["rx_bytes"] for card in summary["cards"]], [0, 20000 * (size - 4)])

    def test_jumbo_frames_arrive(self):
        summary = self.summary("sim:0", "sim:1", "--count", "500", "--size", "9500", "--check", "--expect-all")
        self.assertEqual(summary["good"], 500)

    def test_a_second_thread_may_send(self):
        summary = self.summary("sim:0", "sim:1", "--count", "3000", "--rate", "20000", "--threads", "2", "--check")
        self.assertEqual(summary["sent"], 3000)
        self.assertEqual(summary["good"] + summary["lost"], 3000)
        self.assertTrue(summary["conserved"])

    def test_a_rate_is_held(self):
        summary = self.summary("sim:0", "sim:1", "--count", "2000", "--rate", "2000", "--check")
        self.assertLess(summary["tx"]["mpps"], 0.0021)

    def test_it_ends_after_its_time_with_a_line_a_second(self):
        begun = time.monotonic()
        outcome = run(PKTGEN, "sim:0", "sim:1", "--seconds", "2.5", "--rate", "1000", "--json")
        self.assertLess(time.monotonic() - begun, 15)
        lines = objects(outcome.stdout)
        self.assertIn(len(lines), (3, 4))
        self.assertGreater(lines[0]["sent"], 0)

    def test_a_loss_is_an_error_only_where_all_are_expected(self):
        # With nobody at the other end everything is lost.
        words = (PKTGEN, "sim:0", "--send", "--receive", "--count", "10", "--check")
        self.assertEqual(run(*words).returncode, 0)
        outcome = run(*words, "--expect-all")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("lost 10", outcome.stdout)

    def test_a_receiver_alone_ends_after_its_time(self):
        summary = self.summary("sim:0", "--receive", "--seconds", "0.2")
        self.assertEqual(summary["received"], 0)


class L2fwd(unittest.TestCase):
    def interrupted(self, number: int, *words: str) -> tuple[int, str, str]:
        program = subprocess.Popen([L2FWD, "sim:0", "sim:1", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        said = program.stderr.readline()
        if "lies in ordinary pages" in said:  # comes first where the machine has no huge pages to spare
            said = program.stderr.readline()
        self.assertRegex(said, "^l2fwd: forwarding sim:0 <-> sim:1")
        program.send_signal(number)
        out, err = program.communicate(timeout=SECONDS)
        return program.returncode, out, err

    def test_signals_end_it_with_a_summary(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            status, out, err = self.interrupted(number)
            self.assertEqual(status, 0, err)
            self.assertIn("conserved: yes", out)
            self.assertRegex(out, r"received 0 = sent 0 \+ dropped 0 \(none\) \+ in flight 0")

    def test_json_ends_with_the_summary(self):
        status, out, err = self.interrupted(signal.SIGINT, "--json")
        self.assertEqual(status, 0, err)
        summary = objects(out)[-1]["summary"]
        self.assertEqual(summary["received"], summary["sent"] + sum(summary["drops"].values()) + summary["in_flight"])
        self.assertIn("tx_ring_full", summary["drops"])
        self.assertTrue(summary["conserved"])

    def test_it_ends_after_its_time_with_a_line_a_second(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--seconds", "2.5")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn(len(re.findall(r"Mpps .*Mb/s .*dropped: none .*empty polls", outcome.stdout)), (2, 3))

    def test_frames_go_round_between_wired_ports(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--circulate", "100", "--packets", "20000", "--quiet", "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertEqual(summary["made"], 100)
        self.assertGreaterEqual(summary["sent"], 20000 + 100)
        self.assertEqual(summary["made"] + summary["received"],
                         summary["sent"] + sum(summary["drops"].values()) + summary["in_flight"])
        self.assertTrue(summary["conserved"])
        # None was lost on the way round: what stopping found in the rings is all that did not go out again.
        self.assertEqual(sum(summary["drops"].values()), summary["drops"]["rx_stopped"])

    def test_frames_go_round_from_ring_to_ring(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--fused", "--circulate", "100", "--packets", "20000", "--quiet", "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertGreaterEqual(summary["sent"], 20000 + 100)
        self.assertTrue(summary["conserved"])
        self.assertEqual(sum(summary["drops"].values()), summary["drops"]["rx_stopped"])

    def test_frames_that_cannot_come_back_are_spoken_of(self):
        outcome = run(L2FWD, "sim:0", "sim:2", "--circulate", "8", "--seconds", "0.2", "--quiet")
        self.assertIn("none of the 8 frames that were set going came back", outcome.stderr)
        self.assertIn("wired to each other", outcome.stderr)
        outcome = run(L2FWD, "sim:0", "sim:1", "--circulate", "8", "--seconds", "0.2", "--quiet")
        self.assertNotIn("came back", outcome.stderr)

    def test_buffers_come_back_from_a_card_that_is_gone(self):
        for words in ((), ("--fused",)):
            outcome = run(L2FWD, "fault:removal@3000,sim:0", "sim:1", "--circulate", "64", "--seconds", "20", "--quiet",
                          *words)
            self.assertEqual(outcome.returncode, 1, outcome.stdout + outcome.stderr)
            self.assertIn("error: sim:0: the card is gone", outcome.stderr)
            self.assertIn("conserved: yes", outcome.stdout)
            self.assertRegex(outcome.stdout, r"came back from sim:0, whose card was gone or had failed: \d{3,} buffers")
        outcome = run(L2FWD, "fault:removal@3000,sim:0", "sim:1", "--circulate", "64", "--seconds", "20", "--json")
        self.assertEqual(outcome.returncode, 1, outcome.stdout + outcome.stderr)
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertTrue(summary["conserved"])
        self.assertEqual(summary["mbufs_out"], 0)
        self.assertGreaterEqual(summary["cards"][0]["removed_buffers"], 512)
        self.assertEqual(summary["cards"][1]["removed_buffers"], 0)

    def test_every_way_of_working_forwards(self):
        for path in ("best", "scalar"):
            outcome = run(L2FWD, "sim:0", "sim:1", "--path", path, "--circulate", "10", "--packets", "1000", "--quiet")
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
        outcome = run(L2FWD, "sim:0", "sim:1", "--path", "mmx")
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("--path", outcome.stderr)

    def test_only_cards_exchange_buffers(self):
        outcome = run(L2FWD, "null:", "--fused", "--seconds", "1")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("forward with rx_burst and tx_burst", outcome.stderr)

    def test_quiet_prints_the_summary_only(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--seconds", "1.5", "--quiet", "--json")
        self.assertEqual(len(objects(outcome.stdout)), 1)


if __name__ == "__main__":
    unittest.main()
