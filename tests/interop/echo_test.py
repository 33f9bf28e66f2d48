# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's ping, ARP and UDP against the example `echo` on a TAP interface, in a network namespace of the test's own."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from namespaces import Program

ECHO = sys.argv.pop()
SECONDS = 30
HOST, ECHOING = "10.9.0.1", "10.9.0.2"
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000


def setUpModule():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    user = os.geteuid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot create a network namespace")
    pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=SECONDS).stdout


class KernelAndEcho(unittest.TestCase):
    def setUp(self):
        # A file instead of a pipe, which nobody would empty.
        self._log = tempfile.TemporaryFile("w+")
        self._echo = subprocess.Popen([ECHO, "tap:plx0", "--ip", ECHOING], stdout=subprocess.PIPE, stderr=self._log, text=True)
        self.addCleanup(self._end)
        deadline = time.monotonic() + SECONDS
        while "answering" not in self._said():
            self.assertIsNone(self._echo.poll(), self._said())
            self.assertLess(time.monotonic(), deadline, "echo does not start")
            time.sleep(0.02)
        pathlib.Path("/proc/sys/net/ipv6/conf/plx0/disable_ipv6").write_text("1")
        ip("addr", "add", f"{HOST}/24", "dev", "plx0")
        ip("link", "set", "plx0", "up")

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def _end(self):
        self._echo.kill()
        self._echo.communicate(timeout=SECONDS)
        self._log.close()

    def summary(self) -> dict[str, int]:
        """What the program counted, after Ctrl-C."""
        self._echo.send_signal(signal.SIGINT)
        output, _ = self._echo.communicate(timeout=SECONDS)
        self.assertEqual(self._echo.returncode, 0, self._said())
        return {name: int(count) for count, name in re.findall(r"(\d+) (ARP|ping|UDP)", output)}

    def ping(self, *words: str) -> str:
        return subprocess.run(["busybox", "ping", *words, ECHOING], capture_output=True, text=True, timeout=SECONDS, check=False).stdout

    def test_the_kernel_pings_it(self):
        for size in ("0", "56", "1472"):
            self.assertIn("2 packets transmitted, 2 packets received", self.ping("-c", "2", "-W", "5", "-s", size))
        mac = re.search(r"lladdr (\S+)", ip("neigh", "show", "to", ECHOING, "dev", "plx0"))
        self.assertIsNotNone(mac)
        self.assertEqual(int(mac[1][:2], 16) & 3, 2, "the port's own address, which is a local one")
        self.assertNotIn(mac[1], ip("link", "show", "dev", "plx0"), "not the interface's")
        counted = self.summary()
        self.assertEqual(counted["ping"], 6)
        self.assertGreaterEqual(counted["ARP"], 1)

    def test_udp_comes_back_as_it_was_sent(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(SECONDS)
            one.connect((ECHOING, 7))
            for size in (0, 1, 17, 18, 19, 100, 1471, 1472):
                data = os.urandom(size)
                one.send(data)
                self.assertEqual(one.recv(2000), data, size)
        self.assertEqual(self.summary()["UDP"], 8)

    def test_fragments_are_left_alone(self):
        self.assertIn("0 packets received", self.ping("-c", "1", "-W", "1", "-s", "3000"))
        self.assertIn("1 packets received", self.ping("-c", "1", "-W", "5"))
        self.assertEqual(self.summary()["ping"], 1)


class CommandLine(unittest.TestCase):
    def expect_error(self, status: int, words: list[str], *parts: str) -> None:
        outcome = subprocess.run([ECHO, *words], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, status, outcome.stderr)
        for part in parts:
            self.assertIn(part, outcome.stdout + outcome.stderr)

    def test_errors_say_what_is_wrong(self):
        self.expect_error(2, ["sim:0"], "--ip", "required")
        self.expect_error(2, ["sim:0", "--ip", "10.9"], "'10.9' is not an IPv4 address", "10.9.0.2")
        for wrong in ("10.9.0.2/", "10.9.0.2/33", "10.9.0.2/x", "10.9.0.2/8.5", "/24"):
            self.expect_error(2, ["sim:0", "--ip", wrong], f"'{wrong}' is not an IPv4 address")
        self.expect_error(2, ["--ip", ECHOING], "PORT")
        self.expect_error(2, ["sim:0", "--ip", ECHOING, "--udp-port", "0"], "--udp-port")
        self.expect_error(2, ["sim:0", "--ip", ECHOING, "--seconds", "1"], "no option --seconds")
        self.expect_error(2, ["sim:0", "--ip"], "--ip needs a value")
        self.expect_error(2, ["sim:0", "--ip", ECHOING, "--ip", ECHOING], "--ip is given twice")
        self.expect_error(2, ["sim:0", "sim:1", "--ip", ECHOING], "ports: 2 given, 1 needed")
        self.expect_error(2, ["nonsense:0", "--ip", ECHOING], "nonsense")

    def test_help_ends_it_at_once(self):
        self.expect_error(0, ["--help"], "usage: echo PORT --ip ADDRESS")

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w") as full:
            outcome = subprocess.run([ECHO, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, 1, outcome.stderr)
        self.assertIn("No space left", outcome.stderr)

    def test_ctrl_c_ends_it_with_a_summary(self):
        program = Program([ECHO, "null:", "--ip", ECHOING], "answering")
        self.addCleanup(program.end)
        self.assertIn("answered: 0 ARP, 0 ping, 0 UDP", program.summary())


if __name__ == "__main__":
    unittest.main()
