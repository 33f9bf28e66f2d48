# SPDX-License-Identifier: BSD-3-Clause
"""The example suite for pytest: a sound program passes, and a fault that was put in is found."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "interop"))
import namespaces

SUITE = pathlib.Path(__file__).resolve().parents[3] / "examples/python/test_dhcp_client.py"
NEEDED = {"pytest": "python3-pytest", "scapy": "python3-scapy"}


def setUpModule():
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if shutil.which("busybox") is None:
        missing.append("busybox")
    if missing or not pathlib.Path("/dev/net/tun").exists():
        raise unittest.SkipTest(f"{' '.join(missing) or '/dev/net/tun'} is missing: the example suite was NOT run")
    namespaces.enter_own_namespace()


class Suite(unittest.TestCase):
    def run_suite(self, **environment):
        with tempfile.TemporaryDirectory() as folder:
            ran = subprocess.run([sys.executable, "-m", "pytest", "-p", "pollux.testing", "-p", "no:cacheprovider", f"--basetemp={folder}/kept", "-rfs",
                                  str(SUITE)], capture_output=True, text=True, timeout=280, cwd=folder,
                                 env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                                      "PYTHONDONTWRITEBYTECODE": "1", **environment})  # fmt: skip
        return ran.stdout + ran.stderr

    def test_a_sound_client_passes(self):
        said = self.run_suite()
        self.assertRegex(said, r"(?m)^=+ (10 passed|5 passed, 5 skipped) in", said)
        if "skipped" in said:
            self.skipTest(re.search(r"(?m)^SKIPPED .*", said)[0])

    def test_a_client_that_asks_only_once_is_found(self):
        said = self.run_suite(DHCP_CLIENT="busybox udhcpc -f -q -n -t 1 -T 1 -s /bin/true")
        self.assertEqual(set(re.findall(r"(?m)^FAILED \S+::(\w+)", said)), {"test_asks_again_if_frames_are_lost"}, said)
        self.assertIn("no discover within", said)
        self.assertRegex(said, r"\n[0-9]+ frames: .*tap-lab0\.pcap")


if __name__ == "__main__":
    unittest.main()
