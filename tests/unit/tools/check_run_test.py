# SPDX-License-Identifier: BSD-3-Clause
"""tools/check where it cannot look at what it should: it never passes then, and its last line counts."""

import subprocess
import unittest

from stranger import Stranger, last_line

ONE_FAILED = "0 passed, 1 failed, 0 skipped"


def git(stranger: Stranger, *words: str) -> None:
    subprocess.run(["git", "-C", str(stranger.root), *words], check=True, capture_output=True)


class Git(unittest.TestCase):
    def refuses(self, stranger: Stranger, remedy: str, **environment: str) -> None:
        for names in ([], ["licence"], ["layers"]):
            outcome = stranger.run("tools/check", *names, **environment)
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertEqual(last_line(outcome), ONE_FAILED, outcome)
            self.assertIn(remedy, outcome.stderr)

    def test_files_from_an_archive_are_no_success(self):
        with Stranger() as stranger:
            self.refuses(stranger, "git init")

    def test_a_checkout_of_another_user_is_no_success(self):
        with Stranger() as stranger:
            git(stranger, "init")
            self.refuses(stranger, "safe.directory", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")

    def test_a_folder_that_a_repository_around_it_ignores_is_no_success(self):
        with Stranger() as stranger:
            subprocess.run(["git", "-C", str(stranger.place), "init"], check=True, capture_output=True)
            (stranger.place / ".gitignore").write_text("checkout\n")
            self.refuses(stranger, "git init")

    def test_without_git_it_fails(self):
        with Stranger() as stranger:
            (stranger.bin / "git").unlink()
            self.refuses(stranger, "not installed: git")

    def test_a_file_is_looked_at_whatever_its_name_is(self):
        with Stranger() as stranger:
            git(stranger, "init")
            self.assertEqual(stranger.run("tools/check", "licence").returncode, 0)
            (stranger.root / "tools/größer als.sh").write_text("true\n")
            outcome = stranger.run("tools/check", "licence")
            self.assertIn("tools/größer als.sh: no line", outcome.stdout)
            self.assertEqual(last_line(outcome), ONE_FAILED)


class Checks(unittest.TestCase):
    def test_a_tool_of_another_version_is_a_skip_with_its_reason(self):
        with Stranger() as stranger:
            git(stranger, "init")
            stranger.fake("clang-format", "echo clang-format version 19.1.7")
            (stranger.root / "one.cpp").write_text("// SPDX-License-Identifier: BSD-3-Clause\n")
            outcome = stranger.run("tools/check", "licence", "format")
            self.assertRegex(outcome.stdout, r"format +skipped: clang-format here is version 19; version 14")
            self.assertEqual(last_line(outcome), "1 passed, 0 failed, 1 skipped")

    def test_where_there_is_nothing_to_look_at_no_check_passes(self):
        with Stranger() as stranger:
            git(stranger, "init")
            stranger.fake("g++", "true")
            stranger.fake("clang++", "true")
            (stranger.root / "one.cpp").write_text("")
            outcome = stranger.run("tools/check", "layers", "headers")
            self.assertEqual(last_line(outcome), "0 passed, 2 failed, 0 skipped", outcome.stdout)

    def test_a_checkout_that_cannot_be_written_to_is_said_and_all_else_is_judged(self):
        trusted = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        with Stranger(ordinary=True) as stranger:
            git(stranger, "init")
            (stranger.root / "one.cpp").write_text("// SPDX-License-Identifier: BSD-3-Clause\n")
            for command in ("clang-tidy", "clang++", "cmake", "ninja"):
                stranger.fake(command, "echo LLVM version 14.0.6")
            stranger.root.chmod(0o555)
            outcome = stranger.run("tools/check", "licence", "tidy", **trusted)
            self.assertRegex(outcome.stdout, "build cannot be written to: Permission denied\n.*what to do: .*git clone")
            self.assertEqual((outcome.returncode, last_line(outcome)), (1, "1 passed, 1 failed, 0 skipped"))

    def test_ctrl_c_ends_with_the_count(self):
        with Stranger() as stranger:
            git(stranger, "init")
            stranger.fake_that_stays("shellcheck")
            outcome = stranger.interrupted("tools/check", "licence", "shell", once="begun")
            self.assertEqual(outcome.returncode, 130, outcome)
            self.assertEqual(last_line(outcome), "1 passed, 1 failed, 0 skipped")
            self.assertEqual(list(stranger.temporary.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
