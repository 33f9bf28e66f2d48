# SPDX-License-Identifier: BSD-3-Clause
"""tools/lib/dpdk.sh where DPDK cannot be had: a message, and nothing that looks complete."""

import pathlib
import subprocess
import unittest

from sandbox import Sandbox


class Dpdk(unittest.TestCase):
    """A caller of unpacked_dpdk goes on without it, so bash ignores its `set -e` there."""
    SCRIPT = "folder=$(unpacked_dpdk) || echo \"without: '$folder'\""

    def outcome_of(self, os_release: str, apt: str) -> tuple[subprocess.CompletedProcess, list[pathlib.Path]]:
        with Sandbox() as sandbox:
            sandbox.set_os_release(os_release)
            sandbox.fake("apt-get", apt)
            outcome = sandbox.shell(self.SCRIPT, POLLUX_CACHE=str(sandbox.folder / "cache"))
            return outcome, [path for path in (sandbox.folder / "cache").rglob("complete")]

    def test_another_distribution_has_none(self):
        outcome, unpacked = self.outcome_of("ID=ubuntu\nVERSION_ID=24.04\n", "touch asked")
        self.assertEqual((outcome.stdout, unpacked), ("without: ''\n", []), outcome)
        self.assertEqual(outcome.stderr.count("error:"), 1, outcome.stderr)
        self.assertIn("DPDK is fetched on Debian 12 and 13 only", outcome.stderr)

    def test_a_mirror_that_cannot_be_reached_is_named(self):
        apt = "[[ $1 != indextargets ]] || { echo http://a-mirror; exit 0; }; echo 'Could not connect to a-mirror'; exit 100"
        outcome, unpacked = self.outcome_of("ID=debian\nVERSION_ID=12\n", apt)
        self.assertEqual((outcome.stdout, unpacked), ("without: ''\n", []), outcome)
        self.assertIn("the package mirror cannot be reached", outcome.stderr)

    def test_packages_that_cannot_be_unpacked(self):
        apt = "[[ $1 != indextargets ]] || echo http://a-mirror; exit 0"
        outcome, unpacked = self.outcome_of("ID=debian\nVERSION_ID=12\n", apt)
        self.assertEqual((outcome.stdout, unpacked), ("without: ''\n", []), outcome)
        self.assertIn("DPDK's packages cannot be unpacked", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
