# SPDX-License-Identifier: BSD-3-Clause
"""A guest that is lost during a case: what is run again, and how it counts."""

import contextlib
import io
import pathlib
import socket
import tempfile
import unittest

from unittest import mock

from pollux_lab import cases, guest
from pollux_lab.errors import LabError, QemuCrashed

NO_TIMER = "rcu: rcu_preempt kthread timer wakeup didn't happen for 5255 jiffies!\n"


class FakeGuest:
    """A guest that runs nothing."""

    def __init__(self):
        self.machine = mock.Mock(addresses=lambda: [], macs=lambda: [], huge_pages=0)
        self.there = True

    def start(self):
        return self

    def check(self, script, seconds=30):
        return ""

    def alive(self):
        return self.there

    def complaints(self):
        return []

    def stop(self):
        self.there = False

    close = stop


class Again(unittest.TestCase):
    """A guest that had to be restarted is counted as skipped, in addition to its cases."""

    def results_of(self, function, starts=None) -> list[tuple[str, str]]:
        boot = cases.Boot("two cards", mock.Mock(), "true")
        runner = cases.Runner(mock.Mock(), pathlib.Path(), [])
        guests = starts or (lambda *arguments: FakeGuest())
        with mock.patch.object(guest, "Guest", side_effect=guests), contextlib.redirect_stderr(io.StringIO()), \
                mock.patch.object(cases.Fixture, "tidy"):
            return [(result.name, result.state) for result in runner.run([cases.Case("guest.a", boot, function, "")])]

    def test_a_skipped_case_says_why(self):
        boot = cases.Boot("two cards", mock.Mock(), "true")
        def leaves_out(_fixture):
            raise cases.LeftOut("the kernel has no such driver")
        shown = io.StringIO()
        with mock.patch.object(guest, "Guest", side_effect=lambda *_: FakeGuest()), contextlib.redirect_stderr(shown), \
                mock.patch.object(cases.Fixture, "tidy"):
            cases.Runner(mock.Mock(), pathlib.Path(), []).run([cases.Case("guest.a", boot, leaves_out, "")])
            cases.without_run("guest.b", "many packets")
        for part in ("SKIP      guest.a", "          the kernel has no such driver", "LEFT OUT  guest.b: many packets (--full runs it)"):
            self.assertIn(part, shown.getvalue())

    def test_a_case_whose_qemu_crashed_once_is_counted_twice(self):
        outcomes = [QemuCrashed("QEMU crashed"), None]
        def crashing(_fixture):
            if outcome := outcomes.pop(0):
                raise outcome
        self.assertEqual(self.results_of(crashing), [("guest.a, first attempt", "skipped"), ("guest.a", "passed")])

    def test_a_case_whose_qemu_crashes_again_has_failed(self):
        def crashing(_fixture):
            raise QemuCrashed("QEMU crashed")
        self.assertEqual(self.results_of(crashing), [("guest.a, first attempt", "skipped"), ("guest.a", "failed")])

    def started_guest(self, console: str):
        """A guest that wrote this, and the other end of its channel."""
        started = guest.Guest(mock.Mock(), mock.Mock(), pathlib.Path(), [])
        started._work = mock.Mock()
        started._work.name = self.enterContext(tempfile.TemporaryDirectory())
        pathlib.Path(started._work.name, "qemu-errors").touch()
        started._process = mock.Mock(**{"poll.return_value": None, "returncode": 0})
        started._console = mock.Mock(**{"text.return_value": console})
        started._channel, inside = socket.socketpair()
        self.addCleanup(started._channel.close)
        self.addCleanup(inside.close)
        return started, inside

    def test_a_guest_whose_timer_stood_still_is_as_a_crash_and_one_that_hung_is_not(self):
        for console, is_crash in ((NO_TIMER, True), ("rcu: rcu_preempt kthread starved for 5256 jiffies!", False)):
            with self.subTest(console):
                lost, _ = self.started_guest(console)
                self.assertEqual(isinstance(lost._lost("a job took more than 55 s"), QemuCrashed), is_crash)

    def test_a_job_that_did_not_end_since_the_timer_stood_still_is_as_a_crash(self):
        for console, is_crash in ((NO_TIMER, True), ("", False)):
            with self.subTest(console):
                started, inside = self.started_guest(console)
                inside.sendall(b"1 137 - -\n")
                with self.assertRaises(LabError) as caught:
                    started.run("sleep 100", 1)
                self.assertEqual(isinstance(caught.exception, QemuCrashed), is_crash)

    def test_nobody_waits_for_a_guest_whose_timer_stands_still(self):
        started, _ = self.started_guest(NO_TIMER)
        started._console.text.side_effect = [3 * NO_TIMER, 4 * NO_TIMER, *[5 * NO_TIMER] * 9]
        with self.assertRaisesRegex(QemuCrashed, "made no progress"):
            started.run("true", 600)

    def test_a_guest_whose_memory_is_too_small_for_its_programs_does_not_start(self):
        started, inside = self.started_guest("[    3.0] Initramfs unpacking failed: write error\n")
        inside.sendall(b"ready 1\n")
        with self.assertRaisesRegex(LabError, "its file system is larger than its memory"):
            started._await_start()

    def test_a_boot_that_crashed_is_counted(self):
        starts = [QemuCrashed("QEMU crashed"), FakeGuest()]
        self.assertEqual(self.results_of(lambda _fixture: None, starts=starts),
                         [("guest boot two cards, attempt 1", "skipped"), ("guest.a", "passed")])

    def test_a_case_can_skip_itself_with_a_reason(self):
        def leaving(_fixture):
            cases.leave_out("this QEMU has no AVX-512")
        self.assertEqual(self.results_of(leaving), [("guest.a", "skipped")])

    def test_a_case_whose_guest_ended_by_itself_fails(self):
        def ending(fixture):
            fixture.guest.there = False
        self.assertEqual(self.results_of(ending), [("guest.a", "failed")])

    def test_without_a_kernel_the_cases_fail(self):
        self.assertEqual(self.results_of(lambda _fixture: None, starts=LabError("no kernel")), [("guest.a", "failed")])


if __name__ == "__main__":
    unittest.main()
