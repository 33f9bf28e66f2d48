# SPDX-License-Identifier: BSD-3-Clause
"""The tools that look at a running program, beside an l2fwd on QEMU's cards."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 60


class Observation(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pollux-observation-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {"XDG_RUNTIME_DIR": folder.name, "HOME": folder.name, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        program = subprocess.Popen([L2FWD, "qtest:0", "qtest:1", "--telemetry", "--circulate", "16"], env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(program.communicate)
        self.addCleanup(program.terminate)
        deadline = time.monotonic() + SECONDS
        while (stats := self.stats()) is None or stats["account"]["received"] < 100:
            self.assertIsNone(program.poll(), "l2fwd ended")
            self.assertLess(time.monotonic(), deadline, "no frame circulates")
            time.sleep(0.1)

    def pollux(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run([POLLUX, *words], env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=check)

    def stats(self):
        """None while the program has no account."""
        outcome = self.pollux("stats", "plx1", "--json", check=False)
        stats = json.loads(outcome.stdout) if outcome.returncode == 0 else {"account": None}
        return stats if stats["account"] else None

    def test_all_tools_show_the_cards(self):
        ports = json.loads(self.pollux("ports", "--json").stdout)
        self.assertEqual([(port["name"], port["uri"], port["driver"]) for port in ports],
                         [("plx0", "qtest:0", "igb"), ("plx1", "qtest:1", "igb")])
        self.assertTrue(self.stats()["account"]["holds"])
        page = self.pollux("top", "--batch", "--updates", "2").stdout
        self.assertIn("plx1", page)
        file = self.folder / "captured.pcapng"
        self.pollux("capture", "plx0", "-c", "40", "-w", str(file))
        frames = subprocess.run(["tshark", "-n", "-r", str(file), "-Y", "eth.dst == ff:ff:ff:ff:ff:ff || udp"], env=self.environment,
                                capture_output=True, text=True, timeout=SECONDS, check=True).stdout.splitlines()
        self.assertEqual(len(frames), 40)
        self.assertTrue(shutil.which("ethtool"), "ethtool is not installed")
        self.assertRegex(self.pollux("ethtool", "-S", "plx1").stdout, r"\n *rx_packets: [1-9]")
        self.assertIn("Speed: 1000Mb/s", self.pollux("ethtool", "plx0").stdout)


if __name__ == "__main__":
    unittest.main()
