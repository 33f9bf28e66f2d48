# SPDX-License-Identifier: BSD-3-Clause
"""tools/abi: its results for changes of the shared library's interface, without building the library."""

import shutil
import subprocess
import unittest

from sandbox import Sandbox, last_line

PASSED, FAILED, SKIPPED = "1 passed, 0 failed, 0 skipped", "0 passed, 1 failed, 0 skipped", "0 passed, 0 failed, 1 skipped"


def git(sandbox: Sandbox, *words: str) -> None:
    who = ["-c", "user.name=a user", "-c", "user.email=user@example.org"]
    subprocess.run(["git", "-C", str(sandbox.root), *who, *words], check=True, capture_output=True)


class Abi(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.__exit__)
        git(self.sandbox, "init")
        git(self.sandbox, "add", "tools/abi")
        git(self.sandbox, "commit", "-m", "one")
        self.sandbox.fake("dpkg-query", "printf installed")
        self.sandbox.fake("cmake", "true")
        (self.sandbox.bin / "tar").symlink_to(shutil.which("tar"))
        self.with_sonames("libpollux.so.0.1", "libpollux.so.0.1")

    def with_sonames(self, then: str, now: str) -> None:
        self.sandbox.fake("readelf", f"[[ $2 == */now/* ]] && name={now} || name={then}; echo \" 0x0e (SONAME) Library soname: [$name]\"")

    def compared(self, status: int):
        """Runs tools/abi with a tag and an abidiff that ends with this status: bit 4 for a change, bit 8 for an incompatible one."""
        git(self.sandbox, "tag", "v0.1")
        self.sandbox.fake("abidiff", f"echo 'Port lost a function'; exit {status}")
        return self.sandbox.run("tools/abi")

    def test_without_a_tag_the_check_is_skipped_with_a_reason(self):
        outcome = self.sandbox.run("tools/abi")
        self.assertRegex(outcome.stdout, "abi +skipped: there is no tag yet")
        self.assertEqual((outcome.returncode, last_line(outcome)), (0, SKIPPED))

    def test_without_a_tag_the_commit_of_the_file_is_the_baseline(self):
        head = subprocess.run(["git", "-C", str(self.sandbox.root), "rev-parse", "HEAD"], check=True, capture_output=True,
                              text=True).stdout
        baseline = self.sandbox.root / "tools/abi-baseline"
        self.sandbox.fake("abidiff", "exit 0")
        for commit, last in ((head, PASSED), ("0" * 40 + "\n", SKIPPED)):
            with self.subTest(commit):
                baseline.write_text(f"# The last release.\n{commit}")
                outcome = self.sandbox.run("tools/abi")
                self.assertEqual((outcome.returncode, last_line(outcome)), (0, last), outcome)

    def test_the_same_interface_passes(self):
        outcome = self.compared(0)
        self.assertEqual((outcome.returncode, last_line(outcome)), (0, PASSED), outcome)

    def test_a_change_under_the_same_soname_fails_with_a_hint(self):
        outcome = self.compared(12)
        self.assertEqual((outcome.returncode, last_line(outcome)), (1, FAILED), outcome)
        self.assertIn("Port lost a function", outcome.stdout)
        self.assertIn("raise the minor version", outcome.stdout)

    def test_a_change_under_another_soname_passes_and_is_shown(self):
        self.with_sonames("libpollux.so.0.1", "libpollux.so.0.2")
        outcome = self.compared(4)
        self.assertEqual((outcome.returncode, last_line(outcome)), (0, PASSED), outcome)
        self.assertIn("Port lost a function", outcome.stderr)

    def test_a_failure_of_abidiff_is_an_error(self):
        outcome = self.compared(1)
        self.assertEqual((outcome.returncode, last_line(outcome)), (1, FAILED), outcome)
        self.assertIn("abidiff ended with status 1", outcome.stderr)

    def test_a_program_in_c_of_then_runs_with_the_library_of_now(self):
        """Where the earlier version has a library for C: another interface fails, and so does a program that does not run."""
        header = self.sandbox.root / "include/pollux/pollux.h"
        header.parent.mkdir(parents=True)
        header.write_text("")
        git(self.sandbox, "add", "include")
        git(self.sandbox, "commit", "-m", "two")
        git(self.sandbox, "tag", "v0.1")
        for status, program, last in ((0, 0, "2 passed, 0 failed, 0 skipped"), (12, 0, "1 passed, 1 failed, 0 skipped"),
                                      (0, 3, "1 passed, 1 failed, 0 skipped")):
            with self.subTest((status, program)):
                self.sandbox.fake("abidiff", f"echo 'a call went'; for file; do [[ $file != *pollux-c.so ]] || exit {status}; done")
                self.sandbox.fake("cc", f'while [[ $1 != -o ]]; do shift; done; printf "#!/bin/sh\\nexit {program}" >"$2"; chmod +x "$2"')
                outcome = self.sandbox.run("tools/abi")
                self.assertEqual((outcome.returncode == 0, last_line(outcome)), (status == program, last), outcome)

    def test_a_missing_tag_is_named(self):
        outcome = self.sandbox.run("tools/abi", "v9")
        self.assertEqual((outcome.returncode, last_line(outcome)), (2, FAILED), outcome)
        self.assertIn("there is no tag 'v9'", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
