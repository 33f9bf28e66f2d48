# SPDX-License-Identifier: BSD-3-Clause
"""tools/abi: what it says of a change to the shared library's interface, without building any."""

import shutil
import subprocess
import unittest

from stranger import Stranger, last_line

PASSED, FAILED, SKIPPED = "1 passed, 0 failed, 0 skipped", "0 passed, 1 failed, 0 skipped", "0 passed, 0 failed, 1 skipped"


def git(stranger: Stranger, *words: str) -> None:
    who = ["-c", "user.name=a stranger", "-c", "user.email=stranger@example.org"]
    subprocess.run(["git", "-C", str(stranger.root), *who, *words], check=True, capture_output=True)


class Abi(unittest.TestCase):
    def setUp(self):
        self.stranger = Stranger()
        self.addCleanup(self.stranger.__exit__)
        git(self.stranger, "init")
        git(self.stranger, "add", "tools/abi")
        git(self.stranger, "commit", "-m", "one")
        self.stranger.fake("dpkg-query", "printf installed")
        self.stranger.fake("cmake", "true")
        (self.stranger.bin / "tar").symlink_to(shutil.which("tar"))
        self.with_sonames("libpollux.so.0.1", "libpollux.so.0.1")

    def with_sonames(self, then: str, now: str) -> None:
        self.stranger.fake("readelf", f"[[ $2 == */now/* ]] && name={now} || name={then}; echo \" 0x0e (SONAME) Library soname: [$name]\"")

    def compared(self, status: int):
        """With a tag, and an abidiff that ends with that status: 4 for a change, 8 besides for one that breaks programs."""
        git(self.stranger, "tag", "v0.1")
        self.stranger.fake("abidiff", f"echo 'Port lost a function'; exit {status}")
        return self.stranger.run("tools/abi")

    def test_without_a_tag_it_is_a_skip_with_its_reason(self):
        outcome = self.stranger.run("tools/abi")
        self.assertRegex(outcome.stdout, "abi +skipped: there is no tag yet")
        self.assertEqual((outcome.returncode, last_line(outcome)), (0, SKIPPED))

    def test_the_same_interface_passes(self):
        outcome = self.compared(0)
        self.assertEqual((outcome.returncode, last_line(outcome)), (0, PASSED), outcome)

    def test_a_change_under_the_same_soname_fails_and_says_what_mends_it(self):
        outcome = self.compared(12)
        self.assertEqual((outcome.returncode, last_line(outcome)), (1, FAILED), outcome)
        self.assertIn("Port lost a function", outcome.stdout)
        self.assertIn("raise the minor version", outcome.stdout)

    def test_a_change_under_another_soname_passes_and_is_shown(self):
        self.with_sonames("libpollux.so.0.1", "libpollux.so.0.2")
        outcome = self.compared(4)
        self.assertEqual((outcome.returncode, last_line(outcome)), (0, PASSED), outcome)
        self.assertIn("Port lost a function", outcome.stderr)

    def test_an_abidiff_that_breaks_is_no_verdict(self):
        outcome = self.compared(1)
        self.assertEqual((outcome.returncode, last_line(outcome)), (1, FAILED), outcome)
        self.assertIn("abidiff ended with status 1", outcome.stderr)

    def test_a_tag_that_is_not_there_is_named(self):
        outcome = self.stranger.run("tools/abi", "v9")
        self.assertEqual((outcome.returncode, last_line(outcome)), (1, FAILED), outcome)
        self.assertIn("there is no tag 'v9'", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
