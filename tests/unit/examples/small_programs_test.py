# SPDX-License-Identifier: BSD-3-Clause
"""Runs the examples that have a command line of their own as a user does: with wrong words and files, and without standard streams."""

import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from program_runs import SECONDS, capture, run

TCP_SERVER = sys.argv.pop()  # "-" where it is not built
HELLO = sys.argv.pop()
ECHO = sys.argv.pop()
L3FWD = sys.argv.pop()
BRIDGE = sys.argv.pop()
ROUTE = "10.0.0.0/8 0 02:00:00:00:00:01\n"


class SmallPrograms(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def refuses(self, words: list[str], *parts: str) -> None:
        outcome = run(*words)
        self.assertEqual(outcome.returncode, 2, (words, outcome.stdout, outcome.stderr))
        for part in parts:
            self.assertIn(part, outcome.stderr)

    def look_up(self, routes: str | pathlib.Path) -> subprocess.CompletedProcess:
        return run(L3FWD, "null:", "--routes", str(routes), "--look-up", "10.1.2.3")

    def test_an_empty_value_is_not_an_absent_one(self):
        self.refuses([L3FWD, "null:", "--route", ROUTE, "--look-up", ""], "the value of --look-up is empty")
        self.refuses([L3FWD, "null:", "--route", ROUTE, "--routes", ""], "the value of --routes is empty")
        self.refuses([BRIDGE, "null:", ""], "a port is empty")
        self.refuses([BRIDGE, "null:", "null:", "--age", ""], "the value of --age is empty")

    def test_a_list_of_routes_is_a_file_of_bounded_length(self):
        routes = self.folder / "routes"
        routes.write_text("\ufeff" + ROUTE, encoding="utf-8")
        self.assertEqual(self.look_up(routes).stdout, "10.1.2.3: port 0 02:00:00:00:00:01\n", "a byte order mark is no part of a route")
        for other in (self.folder, "/dev/zero"):
            outcome = self.look_up(other)
            self.assertEqual(outcome.returncode, 2, outcome)
            self.assertIn(f"cannot read {other}", outcome.stderr)
        with routes.open("wb") as file:
            file.truncate(1 << 40)
        self.assertIn("it is too long", self.look_up(routes).stderr)

    def test_addresses_that_no_host_has_are_refused(self):
        self.refuses([L3FWD, "null:", "--route", "10.0.0.0/8 0 00:00:00:00:00:00"], "is not a MAC address of one station")
        for address in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"):
            self.refuses([ECHO, "null:", "--ip", address], "no host has the address")
        if TCP_SERVER != "-":
            self.refuses([TCP_SERVER, "null:", "--ip", "0.0.0.0"], "no host has this address")
            self.refuses([TCP_SERVER, "null:", "--ip", "10.0.0.1", "--netmask", "255.0.255.0"], "--netmask")

    def test_messages_are_not_written_into_a_file_that_got_the_number_of_a_closed_stream(self):
        source = capture(str(self.folder), [bytes.fromhex("02000000000102000000000288b5") + bytes(46)] * 5)
        for closed, status in (("<&- 2>&-", 0), ("<&- >&- 2>&-", 1)):
            out = self.folder / f"out{status}.pcap"
            program = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", BRIDGE, f"pcap:in={source}", f"pcap:out={out}"],
                                       stdout=subprocess.PIPE, text=True)
            self.addCleanup(program.kill)
            end = time.monotonic() + SECONDS
            while (not out.exists() or out.stat().st_size < 24 + 5 * (16 + 60)) and time.monotonic() < end:
                time.sleep(0.02)
            program.send_signal(signal.SIGINT)
            summary, _ = program.communicate(timeout=SECONDS)
            self.assertEqual(program.returncode, status)
            self.assertIn("5 flooded" if status == 0 else "", summary)
            self.assertEqual(struct.unpack_from("<I", out.read_bytes(), 24 + 8)[0], 60, "the length of the first record")

    def test_output_that_nobody_can_read_is_an_error(self):
        commands = [[HELLO], [BRIDGE, "--help"], [L3FWD, "null:", "--route", ROUTE.strip(), "--look-up", "10.1.2.3"]]
        for words in commands:
            full = subprocess.run(["sh", "-c", 'exec "$@" >/dev/full', "sh", *words], capture_output=True, timeout=SECONDS, check=False)
            self.assertEqual(full.returncode, 1, words)
        for words in commands[1:]:
            closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual((closed.returncode, closed.stderr), (1, "error: standard output is closed\n"), words)


if __name__ == "__main__":
    unittest.main()
