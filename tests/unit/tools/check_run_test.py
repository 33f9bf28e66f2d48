# SPDX-License-Identifier: BSD-3-Clause
"""tools/check when it cannot check the files: it never passes then, and its last line counts the checks."""

import re
import shutil
import subprocess
import unittest

from sandbox import Sandbox, last_line

ONE_FAILED = "0 passed, 1 failed, 0 skipped"
LICENCE = "SPDX-License-" + "Identifier: BSD-3-Clause"  # reuse reads each source for it


def git(sandbox: Sandbox, *words: str) -> None:
    subprocess.run(["git", "-C", str(sandbox.root), *words], check=True, capture_output=True)


class Git(unittest.TestCase):
    def refuses(self, sandbox: Sandbox, hint: str, **environment: str) -> None:
        for names in ([], ["licence"], ["layers"]):
            outcome = sandbox.run("tools/check", *names, **environment)
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertEqual(last_line(outcome), ONE_FAILED, outcome)
            self.assertIn(hint, outcome.stderr)

    def test_files_from_an_archive_fail(self):
        with Sandbox() as sandbox:
            self.refuses(sandbox, "git init")

    def test_a_checkout_of_another_user_fails(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            self.refuses(sandbox, "safe.directory", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")

    def test_a_folder_that_an_outer_repository_ignores_fails(self):
        with Sandbox() as sandbox:
            subprocess.run(["git", "-C", str(sandbox.folder), "init"], check=True, capture_output=True)
            (sandbox.folder / ".gitignore").write_text("checkout\n")
            self.refuses(sandbox, "git init")

    def test_without_git_it_fails(self):
        with Sandbox() as sandbox:
            (sandbox.bin / "git").unlink()
            self.refuses(sandbox, "not installed: git")

    def test_a_file_with_any_name_is_checked(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            self.assertEqual(sandbox.run("tools/check", "licence").returncode, 0)
            (sandbox.root / "tools/größer als.sh").write_text("true\n")
            outcome = sandbox.run("tools/check", "licence")
            self.assertIn("tools/größer als.sh: no line", outcome.stdout)
            self.assertEqual(last_line(outcome), ONE_FAILED)


class Checks(unittest.TestCase):
    def test_a_check_with_another_tool_version_is_skipped_with_a_reason(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            sandbox.fake("clang-format", "echo clang-format version 19.1.7")
            (sandbox.root / "one.cpp").write_text(f"// {LICENCE}\n")
            outcome = sandbox.run("tools/check", "licence", "format")
            self.assertRegex(outcome.stdout, r"format +skipped: clang-format is version 19; this check needs version 14")
            self.assertEqual(last_line(outcome), "1 passed, 0 failed, 1 skipped")

    def test_no_check_passes_without_files(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            sandbox.fake("g++", "true")
            sandbox.fake("clang++", "true")
            (sandbox.root / "one.cpp").write_text("")
            outcome = sandbox.run("tools/check", "layers", "headers")
            self.assertEqual(last_line(outcome), "0 passed, 2 failed, 0 skipped", outcome.stdout)

    def test_a_clean_header_is_compiled_again_only_after_a_change(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            for compiler in ("g++", "clang++"):
                sandbox.fake(compiler, f"[[ $* == --version ]] || tr -d '\n' >>'{sandbox.folder}/compiled'")
            headers = sandbox.root / "include/pollux"
            headers.mkdir(parents=True)
            (headers / "inner.hpp").write_text("")
            (headers / "outer.hpp").write_text('#include "pollux/inner.hpp"\n')
            (headers / "other.hpp").write_text("")
            self.assertEqual(self.compiled(sandbox), {"inner": 2, "outer": 2, "other": 2})
            self.assertEqual(self.compiled(sandbox), {})
            (headers / "inner.hpp").write_text("int changed;\n")
            self.assertEqual(self.compiled(sandbox), {"inner": 2, "outer": 2})
            sandbox.fake("clang++", "exit 1")
            self.assertEqual(self.compiled(sandbox, "0 passed, 1 failed, 0 skipped"), {})

    def test_a_private_header_that_has_changed_compiles_alone(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            sandbox.fake("clang++", "true")
            sandbox.fake("g++", f'exec {shutil.which("g++")} "$@"')
            headers = sandbox.root / "lib/net"
            headers.mkdir(parents=True)
            for name in ("changed", "other"):
                (headers / f"{name}.hpp").write_text("std::string text;\n")
            git(sandbox, "add", "lib")
            git(sandbox, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-m", "first")
            (headers / "changed.hpp").write_text("#pragma once\ninline std::string text;\n")
            outcome = sandbox.run("tools/check", "--changed", "HEAD", "headers")
            self.assertEqual(last_line(outcome), ONE_FAILED, outcome)
            self.assertIn("lib/net/changed.hpp alone", outcome.stdout)
            self.assertNotIn("other.hpp", outcome.stdout)
            (headers / "changed.hpp").write_text("#pragma once\n#include <string>\ninline std::string text;\n")
            outcome = sandbox.run("tools/check", "--changed", "HEAD", "headers")
            self.assertEqual(last_line(outcome), "1 passed, 0 failed, 0 skipped", outcome)

    def compiled(self, sandbox: Sandbox, expected: str = "1 passed, 0 failed, 0 skipped") -> dict[str, int]:
        """How often `tools/check headers` compiled each header, with any compiler."""
        log = sandbox.folder / "compiled"
        log.write_text("")
        outcome = sandbox.run("tools/check", "headers")
        self.assertEqual(last_line(outcome), expected, outcome)
        # Each header is included twice in what is compiled.
        named = re.findall(r'#include "pollux/(\w+)\.hpp"', log.read_text())
        return {name: named.count(name) // 2 for name in named}

    def test_a_read_only_checkout_is_reported_and_the_other_checks_run(self):
        trusted = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        with Sandbox(ordinary=True) as sandbox:
            git(sandbox, "init")
            (sandbox.root / "one.cpp").write_text(f"// {LICENCE}\n")
            for command in ("clang-tidy", "clang++", "cmake", "ninja"):
                sandbox.fake(command, "echo LLVM version 14.0.6")
            sandbox.root.chmod(0o555)
            outcome = sandbox.run("tools/check", "licence", "tidy", **trusted)
            self.assertRegex(outcome.stdout, "build cannot be written to: Permission denied\n.*what to do: .*git clone")
            self.assertEqual((outcome.returncode, last_line(outcome)), (1, "1 passed, 1 failed, 0 skipped"))

    def test_ctrl_c_ends_with_the_count(self):
        with Sandbox() as sandbox:
            git(sandbox, "init")
            sandbox.fake_that_stays("shellcheck")
            outcome = sandbox.interrupted("tools/check", "licence", "shell", once="begun")
            self.assertEqual(outcome.returncode, 130, outcome)
            self.assertEqual(last_line(outcome), "1 passed, 1 failed, 0 skipped")
            self.assertEqual(list(sandbox.temporary.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
