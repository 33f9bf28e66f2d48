# SPDX-License-Identifier: BSD-3-Clause
"""Runs `pollux top` on a terminal of tmux, and in a pipe, beside a running l2fwd."""

import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 60


class Top(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {"XDG_RUNTIME_DIR": folder.name, "PATH": "/usr/bin:/bin", "TERM": "xterm"}

    def start_l2fwd(self) -> subprocess.Popen:
        program = subprocess.Popen([L2FWD, "sim:0", "sim:1", "--telemetry", "--circulate", "64"], env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        return program

    def top(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([POLLUX, "top", *words], env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False,
                              stdin=subprocess.DEVNULL)

    def tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-S", str(self.folder / "tmux"), "-f", "/dev/null", *words], env=self.environment, capture_output=True,
                              text=True, timeout=SECONDS, check=True).stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait_for_screen(self, *parts: str, without: str = "\0") -> str:
        deadline = time.monotonic() + SECONDS
        while True:
            text = self.screen()
            if all(part in text for part in parts) and without not in text:
                return text
            self.assertLess(time.monotonic(), deadline, f"{parts} not in\n{text}")
            time.sleep(0.1)

    def start_top(self, *words: str) -> None:
        if shutil.which("tmux") is None:
            self.skipTest("needs tmux (package tmux)")
        # The status after its end stays on the screen.
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", f"{POLLUX} top {' '.join(words)}; echo ended with $?; exec cat")
        self.addCleanup(self.tmux, "kill-server")

    def test_a_terminal_shows_rates_and_obeys_keys(self):
        program = self.start_l2fwd()
        self.start_top("--interval", "0.5")
        screen = self.wait_for_screen("2 ports of 1 program", "RECEIVE BURSTS", "\nrx0 ", "%")
        lines = screen.splitlines()
        self.assertRegex(lines[2], r"^plx0 +l2fwd +1G +\S+ ")
        self.assertRegex(lines[3], r"^plx1 +l2fwd +1G +\S+ ")
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn(f"plx0 (sim:0) of l2fwd, process {program.pid}: igb, started", screen)
        self.tmux("send-keys", "Down")
        self.wait_for_screen("plx1 (sim:1) of l2fwd")
        self.tmux("send-keys", "1")
        self.wait_for_screen("RECEIVE BURSTS", without="\nrx0 ")
        self.tmux("send-keys", "h")
        self.wait_for_screen("pollux top: keys")
        self.tmux("send-keys", "h")
        self.tmux("send-keys", "d")
        self.wait_for_screen("seconds between two updates:")
        self.tmux("send-keys", "2", "Enter")
        self.wait_for_screen("every 2 s")
        self.tmux("send-keys", "m")
        self.wait_for_screen("not measured")
        self.tmux("send-keys", "q")
        self.wait_for_screen("ended with 0")

    def test_it_follows_the_size_of_the_terminal(self):
        self.start_l2fwd()
        self.start_top("--interval", "0.5")
        self.wait_for_screen("RECEIVE BURSTS")
        self.tmux("resize-window", "-x", "40", "-y", "6")
        screen = self.wait_for_screen("2 ports of 1 program", without="RECEIVE BURSTS")
        self.assertEqual(len(screen.splitlines()), 6)
        self.tmux("resize-window", "-x", "80", "-y", "24")
        self.wait_for_screen("RECEIVE BURSTS")

    def test_programs_come_stop_and_go(self):
        self.start_top("--interval", "0.5")
        self.wait_for_screen("no running program has telemetry")
        program = self.start_l2fwd()
        self.wait_for_screen("2 ports of 1 program")
        program.send_signal(signal.SIGSTOP)
        self.wait_for_screen("does not answer")
        program.send_signal(signal.SIGCONT)
        self.wait_for_screen("RECEIVE BURSTS", without="does not answer")
        program.kill()
        program.wait(SECONDS)
        self.wait_for_screen("no running program has telemetry")
        self.tmux("send-keys", "C-c")
        self.wait_for_screen("ended with 0")

    def test_a_pipe_gets_pages(self):
        self.start_l2fwd()
        deadline = time.monotonic() + SECONDS
        while not list(self.folder.glob("pollux/plx1.lock")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        outcome = self.top("--batch", "--updates", "2", "--interval", "0.2")
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        self.assertEqual(outcome.stdout.count("2 ports of 1 program"), 2)
        self.assertIn("\nrx0 ", outcome.stdout)
        self.assertNotIn("h help", outcome.stdout)

    def test_it_ends_with_its_terminal_also_where_the_signal_is_ignored(self):
        master, terminal = pty.openpty()
        top = subprocess.Popen([POLLUX, "top"], env=self.environment, stdin=terminal, stdout=terminal, stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.addCleanup(top.communicate)
        self.addCleanup(top.kill)
        os.close(terminal)
        shown = b""
        while b"has telemetry" not in shown:
            shown += os.read(master, 4096)
        os.close(master)
        self.assertEqual(top.wait(SECONDS), 0)

    def test_what_is_no_terminal_is_an_error(self):
        outcome = self.top()
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("--batch", outcome.stderr)
        self.assertEqual(self.top("--interval", "0").returncode, 2)

    def test_a_terminal_on_which_it_cannot_draw_is_an_error(self):
        for terminal, why in (("nosuch", "does not know this terminal"), ("dumb", "has no cursor control")):
            self.environment["TERM"] = terminal
            outcome = subprocess.run(["script", "-qec", f"{POLLUX} top --updates 1", "/dev/null"], env=self.environment, capture_output=True,
                                     text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
            self.assertEqual(outcome.returncode, 1, outcome.stdout)
            for part in (why, "--batch", "set TERM"):
                self.assertIn(part, outcome.stdout)
            self.assertNotIn("PROGRAM", outcome.stdout)


if __name__ == "__main__":
    unittest.main()
