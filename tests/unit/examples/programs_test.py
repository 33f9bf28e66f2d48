# SPDX-License-Identifier: BSD-3-Clause
"""Runs l2fwd and pktgen as a user does, on in-process cards."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from program_runs import SECONDS, capture, objects, run, words_of

PROBE = sys.argv.pop()  # silicon_probe; "-" where it is not built
POLLUX = sys.argv.pop()  # "-" where the command is not built
PKTGEN = sys.argv.pop()
L2FWD = sys.argv.pop()


class CommandLine(unittest.TestCase):
    def expect_error(self, status: int, words: list[str], *parts: str) -> None:
        """The program ends with `status`, and its output contains each of `parts`."""
        outcome = run(*words)
        # CLI11 prints a range as "1 to 512" before 2.4, and as "[1 - 512]" since.
        output = re.sub(r"\[(\S+) - (\S+)\]", r"\1 to \2", outcome.stdout + outcome.stderr)
        self.assertEqual(outcome.returncode, status, output)
        for part in parts:
            self.assertIn(part, output)

    def test_help_ends_with_status_zero(self):
        for program in (L2FWD, PKTGEN):
            outcome = run(program, "--help")
            self.assertEqual(outcome.returncode, 0)
            self.assertIn("--burst", outcome.stdout)

    def test_each_program_tells_its_version(self):
        for words in ([L2FWD], [PKTGEN], *([[POLLUX], [POLLUX, "bind"]] if POLLUX != "-" else [])):
            outcome = run(*words, "--version")
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            self.assertRegex(outcome.stdout, r"^Pollux \d+\.\d+\.\d+\n$")

    def test_processors_are_listed_as_for_taskset(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--queues", "4", "--cores", "9000-9002,5")
        self.assertIn("core 9000", outcome.stderr)
        self.expect_error(2, [L2FWD, "sim:0", "--queues", "2", "--cores", "0,4-7"], "5 cores are too many")

    def test_help_shows_how_many_ports_there_are(self):
        for program in (L2FWD, PKTGEN):
            self.assertIn(f"Usage: {pathlib.Path(program).name} [OPTIONS] PORT [PORT]\n", run(program, "--help").stdout)
        self.assertRegex(run(L2FWD, "--help").stdout, r"(?m)^  --no-mac-updating +Leave")

    def test_a_loop_needs_one_port_of_a_card(self):
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--loopback", "phy"], "--loopback", "one port")
        self.expect_error(2, [PKTGEN, "sim:0", "--loopback", "phy", "--receive"], "--loopback", "without --send or --receive")
        self.expect_error(2, [PKTGEN, "sim:0", "--loopback", "cable"], "cable", "phy")
        self.expect_error(1, [PKTGEN, "null:", "--loopback", "mac", "--count", "1"], "no setting loopback")

    def test_wrong_options_end_with_status_two_and_name_the_range(self):
        for program in (L2FWD, PKTGEN):
            self.expect_error(2, [program], "PORT")
            self.expect_error(2, [program, "sim:0", "--burst", "513"], "--burst", "513", "1 to 512")
            self.expect_error(2, [program, "sim:0", "--burst", "0"], "1 to 512")
            self.expect_error(2, [program, "sim:0", "--burst", "many"], "--burst")
            self.expect_error(2, [program, "sim:0", "--rx-ring", "-1"], "--rx-ring")
            self.expect_error(2, [program, "sim:0", "--mtu", "20"], "68 to 65535")
            self.expect_error(2, [program, "sim:0", "--nonsense"], "--nonsense")
            # The value of an option that there is not is not a third port.
            name = pathlib.Path(program).name
            self.expect_error(2, [program, "--burts", "64", "sim:0", "sim:1"], f"there is no option '--burts'; see {name} --help")
            self.expect_error(2, [program, "-l", "0-3", "sim:0", "sim:1"], f"there is no option '-l'; see {name} --help")
            self.expect_error(2, [program, "sim:0", "sim:1", "sim:2"], "PORT", "2")
            self.expect_error(2, [program, "sim:0", "--burst-mode", "nonsense"], "nonsense", "scalar", "avx2", "best")
        self.expect_error(2, [L2FWD, "sim:0", "--packets", "0"], "--packets", "1 to 1000000000000000000")
        self.expect_error(2, [L2FWD, "sim:0", "--packets", "99999999999999999999999"], "--packets", "1 to 1000000000000000000")
        self.expect_error(2, [L2FWD, "sim:0", "--fused", "--burst", "65"], "--burst", "65", "--fused", "at most 64")
        self.expect_error(2, [L2FWD, "sim:0", "--queues", "17"], "--queues", "17", "1 to 16")
        self.expect_error(2, [L2FWD, "sim:0", "--queues", "2", "--cores", "0,1,2"], "3 cores", "each needs a queue")
        self.expect_error(2, [L2FWD, "sim:0", "--queues", "2", "--fused"], "--queues", "--fused")
        self.expect_error(2, [L2FWD, "sim:0", "--queues", "2", "--cores", "0,1", "--packets", "5"], "--packets", "--seconds")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--queues", "2", "--cores", "0,1,2"], "3 cores", "each needs a queue")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--queues", "2", "--threads", "2"], "--threads", "use --cores")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--cores", "0", "--window", "9"], "--window", "one thread")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--cores", "5000"], "may not use core 5000", "taskset")
        self.expect_error(2, [L2FWD, "sim:0", "--cores", "5000"], "may not use core 5000", "taskset")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--size", "63"], "64 to 9724")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--rate", "0"], "--rate", "sends nothing")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--queues", "4", "--flows", "3"], "--flows", "each needs one")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--vary", "ip.src=1.1.1.1-1.1.1.2"], "--template")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--template", "a", "--vary", "ip.src=1"], "FIRST-LAST")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--template", "a", "--replay", "b"], "--replay", "--template")
        self.expect_error(2, [PKTGEN, "sim:0", "--receive", "--replay", "b"], "--replay", "needs a port that sends")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--replay", "b", "--check"], "--check", "--replay")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--replay", "b", "--queues", "2"], "--replay", "one queue")
        self.expect_error(1, [PKTGEN, "sim:0", "--send", "--replay", "/nonexistent"], "cannot open /nonexistent", "check the path")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--dst", "02:00:00:00:00"], "--dst", "02:00:00:00:00:01")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--dst", "02:00:00:00:00:0g"], "--dst")
        self.expect_error(2, [PKTGEN, "sim:0"], "--send", "--receive")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--template", "x", "--vary", "ip.src=1.1.1.1-1.1.1.2",
                              "--vary", "ip.src=2.2.2.1-2.2.2.2"], "ip.src is varied twice")
        self.expect_error(2, [PKTGEN, "sim:0", "--send", "--check"], "--check")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--send"], "two ports")

    @unittest.skipIf(POLLUX == "-", "the command is not built")
    def test_an_empty_value_is_not_an_absent_one(self):
        """An unset variable of a shell. pktgen would flood the port with frames of its own."""
        wrong = [([PKTGEN, "null:", "--send", "--replay", ""], "--replay"), ([PKTGEN, "null:", "--send", "--template="], "--template"),
                 ([PKTGEN, "null:", "--send", "--replay=", "--quiet"], "--replay"), ([PKTGEN, ""], "an argument"),
                 ([L2FWD, "sim:0", "--cores", ""], "--cores"), ([L2FWD, "sim:0", ""], "an argument"),
                 ([L2FWD, "sim:0?rate="], "'rate=': the value is empty"), ([L2FWD, "null:?rx="], "'rx=': the value is empty")]
        if POLLUX != "-":
            wrong += [([POLLUX, *words], option) for words, option in (
                (["time", "sim:0", "--set", ""], "--set"), (["nvm", "sim:0", "--restore", "", "--yes"], "--restore"), (["doctor", ""], "an argument"),
                (["card", "--socket", "/nowhere/x", "--card="], "--card"), (["list", ""], "an argument"), (["capture", "plx0", "-w", ""], "--write"))]
        for words, option in wrong:
            with self.subTest(words):
                self.expect_error(2, [*words, *(["--seconds", "0.1"] if words[0] != POLLUX else [])], option, "empty")
        for cores in (",", "0,", "0,,1", "1-0", "-1", "0-", "0-0-0"):
            self.expect_error(2, [L2FWD, "sim:0", "--cores", cores], "--cores", "is not a list of processors, such as 0,4-7")

    def test_a_commands_unknown_option_is_named_before_what_is_missing(self):
        self.expect_error(2, [POLLUX, "capture", "plx0", "-o", "x"], "there is no option '-o'; see pollux capture --help")
        self.expect_error(2, [POLLUX, "--jsn"], "there is no option '--jsn'; see pollux --help")
        self.expect_error(0, [POLLUX, "info", "--help", "--jsn"], "--registers")

    @unittest.skipIf(POLLUX == "-", "the command is not built")
    def test_a_commands_invalid_numbers_are_rejected(self):
        for words in (["led", "sim:0", "--blink"], ["top", "-b", "-n", "1", "-d"], ["capture", "plx0", "-w", "x", "--seconds"]):
            self.expect_error(2, [POLLUX, *words, "nan"], "nan is not a number from 0")
        for words in (["top", "-b", "-n"], ["capture", "plx0", "-w", "x", "-c"]):
            for number in ("0", "-1", "99999999999999999999"):
                self.expect_error(2, [POLLUX, *words, number], "not in range 1 to 1000000000000000000")

    def test_invalid_numbers_are_rejected(self):
        for text in ("nan", "-nan", "inf", "1e400", "5s"):
            for program, port in ((L2FWD, ["sim:0"]), (PKTGEN, ["sim:0", "--receive"])):
                self.expect_error(2, [program, *port, "--seconds", text], "--seconds")
                self.expect_error(2, [program, *port, "--wait-link", text], "--wait-link")
            self.expect_error(2, [PKTGEN, "sim:0", "--send", "--rate", text], "--rate", "500kpps")
            self.expect_error(2, [PKTGEN, "sim:0", "--send", "--linger", text], "--linger", "0 to 60")

    def test_help_states_the_limits_that_are_enforced(self):
        for program in (L2FWD, PKTGEN):
            for option in ("--rx-ring", "--tx-ring"):
                self.expect_error(2, [program, "sim:0", option, "8192"], option, "8 to 4096")
        self.assertRegex(words_of(run(L2FWD, "--help").stdout), r"--burst is 64 at most")
        self.expect_error(2, [PKTGEN, "sim:0", "sim:1", "--size", "1519", "--mtu", "1500"], "MTU of 1501", "--mtu is 1500")
        self.assertIn("raises the MTU unless --mtu is given", words_of(run(PKTGEN, "--help").stdout))
        with tempfile.TemporaryDirectory() as directory:
            path = capture(directory, [b"\x02" * 1515])
            for option in ("--template", "--replay"):
                self.expect_error(2, [PKTGEN, "sim:0", "--send", option, path, "--mtu", "1500"], "MTU of 1501", "--mtu is 1500")
        self.assertIn("do not change the status", words_of(run(L2FWD, "--help").stdout))

    def test_frames_that_a_card_missed_are_reported(self):
        # These are more frames than fit into the link partner's ring before its first poll.
        outcome = run(L2FWD, "sim:0", "sim:1", "--circulate", "4096", "--packets", "20000")
        self.assertRegex(outcome.stdout, r"lost at sim:1 before it was received: rx_missed_errors [1-9]")
        self.assertNotIn("lost at", run(L2FWD, "sim:0", "sim:1", "--circulate", "64", "--packets", "20000").stdout)

    def test_arguments_that_only_the_library_rejects_end_with_status_two_and_a_hint(self):
        for program, words in ((L2FWD, []), (PKTGEN, ["--receive"])):
            self.expect_error(2, [program, "nosuch:1", *words], "error:", "nosuch", "vfio:", "sim:")
            self.expect_error(2, [program, "sim:0?loss=0,loss=1", *words], "'loss' is given twice")
            self.expect_error(2, [program, "sim:0", "--rx-ring", "100", *words], "rx[0].ring", "power of two")
            self.expect_error(2, [program, "sim:0", "--mbufs", "64", *words], "pool", "512")

    def test_other_library_errors_end_with_status_one_and_a_hint(self):
        self.expect_error(1, [L2FWD, "sim:0", "sim:0"], "already open", "use another card")

    def test_ctrl_c_ends_a_program_that_allocates_memory(self):
        for program, words in ((L2FWD, []), (PKTGEN, ["--receive"])):
            with subprocess.Popen([program, "null:", "--mbufs", "4194304", *words], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as started:
                # As long as it has not opened its ports, the signal has its default action.
                time.sleep(0.05)
                caught = int(re.search(r"^SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{started.pid}/status").read_text(), re.MULTILINE)[1], 16)
                self.assertEqual(caught >> (signal.SIGINT - 1) & 1, 0)
                started.send_signal(signal.SIGINT)
                self.assertEqual(started.wait(timeout=5), -signal.SIGINT)

    def test_an_error_that_is_only_logged_gives_status_one(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(capture(directory, [b"\xff" * 60, b"\xff" * 60]))
            path.write_bytes(path.read_bytes()[:-9])
            for port in (f"pcap:in={path}", f"sim:0?pcap-in={path}"):
                self.expect_error(1, [L2FWD, port, "null:", "--seconds", "1.5"], "error: ", "after frame 1", "editcap")
            for port in (f"record:{directory}/a.rec,sim:0", f"pcap:out={directory}/a.pcap", f"sim:0?pcap-out={directory}/b.pcap",
                         f"sim:0?capture={directory}/c.pcap"):
                disk = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "/bin/sh", "-ec",
                        f'mount -t tmpfs -o size=16k tmpfs "{directory}"; exec "$@"', "sh"]
                self.expect_error(1, [*disk, PKTGEN, port, "--send", "--count", "2000"], "error: ", directory,
                                  "No space left on device", "free space")


class Streams(unittest.TestCase):
    """The programs report a standard output that is full or closed."""

    COMMANDS = ([L2FWD, "sim:0", "sim:1", "--seconds", "0.1"], [PKTGEN, "sim:0", "sim:1", "--count", "10", "--json"],
            [L2FWD, "--help"], [PKTGEN, "--help"], *([[POLLUX, "--help"], [POLLUX, "list", "--all"],
                                                      [POLLUX, "info", "sim:0"], [POLLUX, "completion", "bash"]] if POLLUX != "-" else []),
            *([[PROBE, "--help"], [PROBE, "sim:0", "--only", "reset"]] if PROBE != "-" else []))

    def through_shell(self, words: list[str], redirection: str) -> subprocess.CompletedProcess:
        return run("/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *words)

    def test_a_full_disk_is_an_error(self):
        for words in self.COMMANDS:
            outcome = self.through_shell(words, ">/dev/full")
            self.assertEqual(outcome.returncode, 1, (words, outcome.stderr))
            self.assertEqual(outcome.stderr.count("cannot write to standard output: No space left on device"), 1, words)

    def test_a_closed_output_is_an_error(self):
        for words in self.COMMANDS:
            outcome = self.through_shell(words, ">&-")
            self.assertEqual(outcome.returncode, 1, (words, outcome.stderr))
            self.assertIn("standard output is closed", outcome.stderr, words)

    def test_closed_standard_input_and_error_are_harmless(self):
        for redirection in ("<&-", "2>&-", "<&- 2>&-"):
            outcome = self.through_shell([PKTGEN, "sim:0", "sim:1", "--count", "10", "--check", "--json"], redirection)
            self.assertEqual(outcome.returncode, 0, redirection)
            self.assertEqual(objects(outcome.stdout)[-1]["summary"]["good"], 10)
            # The error message must not be written to another file that has the number of the closed descriptor.
            outcome = self.through_shell([L2FWD, "nosuch:1"], redirection)
            self.assertEqual(outcome.returncode, 2, redirection)


class L2fwd(unittest.TestCase):
    def interrupted(self, number: int, *words: str) -> tuple[int, str, str]:
        program = subprocess.Popen([L2FWD, "sim:0", "sim:1", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        output = program.stderr.readline()
        if "uses ordinary pages" in output:  # printed first on a machine without free huge pages
            output = program.stderr.readline()
        self.assertRegex(output, "^l2fwd: forwarding sim:0 <-> sim:1")
        program.send_signal(number)
        out, err = program.communicate(timeout=SECONDS)
        return program.returncode, out, err

    def test_signals_end_it_and_it_prints_the_summary(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            status, out, err = self.interrupted(number)
            self.assertEqual(status, 0, err)
            self.assertIn("conserved: yes", out)
            self.assertRegex(out, r"received 0 = sent 0 \+ dropped 0 \(none\) \+ in flight 0")

    def test_ctrl_c_ends_the_replay_of_a_run_that_it_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            for port, until in ((f"record:{folder}/a.rec,sim:0", "forwarding"), (f"replay:{folder}/a.rec", "the recorded port was stopped here")):
                with subprocess.Popen([L2FWD, port, "null:?rx=64"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as program:
                    self.addCleanup(program.kill)
                    said = ""
                    while until not in said and program.poll() is None:
                        said += program.stderr.readline()
                    program.send_signal(signal.SIGINT)
                    said += program.communicate(timeout=SECONDS)[1]
                self.assertEqual(program.returncode, 0, said)
                self.assertIn(until, said)

    def test_json_ends_with_the_summary(self):
        status, out, err = self.interrupted(signal.SIGINT, "--json")
        self.assertEqual(status, 0, err)
        summary = objects(out)[-1]["summary"]
        self.assertEqual(summary["received"], summary["sent"] + sum(summary["drops"].values()) + summary["in_flight"])
        self.assertIn("tx_ring_full", summary["drops"])
        self.assertTrue(summary["conserved"])

    def test_it_ends_after_its_time_and_prints_a_line_each_second(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--seconds", "2.5")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn(len(re.findall(r"Mpps .*Mb/s .*dropped: none .*empty polls", outcome.stdout)), (2, 3))

    def test_frames_circulate_between_wired_ports(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--circulate", "100", "--packets", "20000", "--quiet", "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertEqual(summary["made"], 100)
        self.assertGreaterEqual(summary["sent"], 20000 + 100)
        self.assertEqual(summary["made"] + summary["received"],
                         summary["sent"] + sum(summary["drops"].values()) + summary["in_flight"])
        self.assertTrue(summary["conserved"])
        # No frame was lost in circulation: the only drops are the frames that were in the rings at the stop.
        self.assertEqual(sum(summary["drops"].values()), summary["drops"]["rx_stopped"])

    def test_frames_circulate_on_several_queues_and_cores(self):
        core = min(os.sched_getaffinity(0))
        for options in (["--queues", "4"], ["--queues", "4", "--cores", str(core)]):
            outcome = run(L2FWD, "sim:0", "sim:1", *options, "--circulate", "100", "--seconds", "1", "--quiet", "--json")
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            summary = objects(outcome.stdout)[-1]["summary"]
            self.assertGreater(summary["sent"], 200)
            self.assertTrue(summary["conserved"])
            self.assertEqual(sum(summary["drops"].values()), summary["drops"]["rx_stopped"])

    def test_ports_may_follow_a_list(self):
        outcome = run(L2FWD, "--queues", "2", "--cores", str(min(os.sched_getaffinity(0))), "sim:0", "sim:1", "--seconds", "0.2")
        self.assertEqual(outcome.returncode, 0, outcome)

    def test_frames_circulate_with_forward_paths(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--fused", "--circulate", "100", "--packets", "20000", "--quiet", "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertGreaterEqual(summary["sent"], 20000 + 100)
        self.assertTrue(summary["conserved"])
        self.assertEqual(sum(summary["drops"].values()), summary["drops"]["rx_stopped"])

    def test_frames_that_cannot_come_back_are_reported_while_it_runs(self):
        program = subprocess.Popen([L2FWD, "sim:0", "sim:2", "--circulate", "8"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        try:
            output = ""
            while "frames returned" not in output:
                line = program.stderr.readline()
                self.assertNotEqual(line, "", output)
                output += line
            self.assertIsNone(program.poll(), "the message must be printed while the program runs")
        finally:
            program.send_signal(signal.SIGINT)
            _, rest = program.communicate(timeout=SECONDS)
        self.assertNotIn("frames returned", rest)

    def test_frames_that_cannot_come_back_are_reported_at_the_end(self):
        outcome = run(L2FWD, "sim:0", "sim:2", "--circulate", "8", "--seconds", "0.2", "--quiet")
        self.assertIn("none of the 8 circulating frames returned", outcome.stderr)
        self.assertIn("each other's link partner", outcome.stderr)
        outcome = run(L2FWD, "sim:0", "sim:1", "--circulate", "8", "--seconds", "0.2", "--quiet")
        self.assertNotIn("frames returned", outcome.stderr)

    def test_buffers_of_a_removed_card_are_freed(self):
        for words in ((), ("--fused",)):
            outcome = run(L2FWD, "fault:removal@3000,sim:0", "sim:1", "--circulate", "64", "--seconds", "20", "--quiet",
                          *words)
            self.assertEqual(outcome.returncode, 1, outcome.stdout + outcome.stderr)
            self.assertIn("error: sim:0: the card was removed", outcome.stderr)
            self.assertIn("conserved: yes", outcome.stdout)
            self.assertRegex(outcome.stdout, r"freed after the card of sim:0 was removed or failed: \d{3,} buffers")
        outcome = run(L2FWD, "fault:removal@3000,sim:0", "sim:1", "--circulate", "64", "--seconds", "20", "--json")
        self.assertEqual(outcome.returncode, 1, outcome.stdout + outcome.stderr)
        summary = objects(outcome.stdout)[-1]["summary"]
        self.assertTrue(summary["conserved"])
        self.assertEqual(summary["mbufs_in_use"], 0)
        self.assertGreaterEqual(summary["cards"][0]["removed_buffers"], 512)
        self.assertEqual(summary["cards"][1]["removed_buffers"], 0)

    def test_every_burst_mode_forwards(self):
        flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
        supported = {"best": True, "scalar": True, "avx2": "avx2" in flags, "neon": "asimd" in flags,
                "avx512": {"avx2", "avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags}
        for mode, works in supported.items():
            with self.subTest(mode=mode):
                outcome = run(L2FWD, "sim:0", "sim:1", "--burst-mode", mode, "--circulate", "10", "--packets", "1000", "--quiet")
                self.assertEqual(outcome.returncode, 0 if works else 2, outcome.stderr)
        outcome = run(L2FWD, "sim:0", "sim:1", "--burst-mode", "mmx")
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("--burst-mode", outcome.stderr)

    def test_fused_is_rejected_for_ports_without_a_card(self):
        frames = capture(self.enterContext(tempfile.TemporaryDirectory()), [bytes(60)])
        for ports in (["null:"], ["ring:a:0", "ring:a:1"], [f"pcap:in={frames}"]):  # of the last one, only one transmit queue
            with self.subTest(ports=ports):
                outcome = run(L2FWD, *ports, "--fused", "--seconds", "1")
                self.assertEqual(outcome.returncode, 1)
                self.assertIn("leave out --fused", outcome.stderr)

    def test_quiet_prints_the_summary_only(self):
        outcome = run(L2FWD, "sim:0", "sim:1", "--seconds", "1.5", "--quiet", "--json")
        self.assertEqual(len(objects(outcome.stdout)), 1)


if __name__ == "__main__":
    unittest.main()
