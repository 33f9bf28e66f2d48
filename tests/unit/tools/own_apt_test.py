# SPDX-License-Identifier: BSD-3-Clause
"""tools/lib/own_apt.sh: from which mirror packages are fetched."""

import subprocess
import unittest

from sandbox import Sandbox


class Mirror(unittest.TestCase):
    def outcome_of(self, apt: str) -> subprocess.CompletedProcess:
        with Sandbox() as sandbox:
            sandbox.fake("apt-get", apt)
            return sandbox.shell("debian_mirror bookworm")

    def test_it_is_found_without_lists(self):
        outcome = self.outcome_of('[[ " $* " != *" --no-release-info Release: bookworm "* ]] || echo http://a-mirror')
        self.assertEqual((outcome.returncode, outcome.stdout), (0, "http://a-mirror\n"), outcome)

    def test_the_lists_say_which_suite_is_stable(self):
        outcome = self.outcome_of('[[ " $* " != *" Codename: bookworm "* ]] || printf "http://first\\nhttp://second\\n"')
        self.assertEqual((outcome.returncode, outcome.stdout), (0, "http://first\n"), outcome)

    def test_what_apt_says_is_shown(self):
        outcome = self.outcome_of("echo 'E: Malformed entry 1' >&2; exit 100")
        self.assertEqual((outcome.returncode, outcome.stdout), (1, ""), outcome)
        self.assertRegex(outcome.stderr, "(?s)E: Malformed entry 1.*apt does not tell its mirrors")


if __name__ == "__main__":
    unittest.main()
