# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's selftest of GRO, gro.c, unmodified, judges Pollux across a pair of TAP interfaces."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = sys.argv.pop()
ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = [(family, name) for family in ("ipv4", "ipv6") for name in ("data", "ack", "flags", "tcp", "ip", "large")]
MACS = ["--smac", "aa:00:00:00:00:01", "--dmac", "aa:00:00:00:00:02"]
SECONDS = 90
# The receiver has to be ready before the sender starts, which it does not say; and a loaded machine may split a flow. The kernel's own
# script runs each case up to three times, too.
TRIES = 3


class Namespaces:
    """Two network namespaces, each with a process that keeps it."""

    def __enter__(self):
        self.keepers = [subprocess.Popen(["unshare", "--net", "sleep", str(10 * SECONDS)]) for _ in range(2)]
        own = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + SECONDS
        for keeper in self.keepers:
            while os.readlink(f"/proc/{keeper.pid}/ns/net") == own:
                if keeper.poll() is not None or time.monotonic() > deadline:
                    raise OSError("no network namespace")
                time.sleep(0.01)
        return self

    def __exit__(self, *_):
        for keeper in self.keepers:
            keeper.kill()
            keeper.wait()

    def file(self, which: int) -> str:
        return f"/proc/{self.keepers[which].pid}/ns/net"

    def command(self, which: int, *words: str) -> list[str]:
        return ["nsenter", f"--net={self.file(which)}", *words]


class Selftest(unittest.TestCase):
    """tools/testing/selftests/net/gro.c: a sender in one namespace, its receiver in another, Pollux between them."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root for two network namespaces")
        found = subprocess.run([ROOT / "tools/lib/fetch", "kernel-files"], stdout=subprocess.PIPE, text=True, check=True, timeout=10 * SECONDS)
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)
        source = pathlib.Path(found.stdout.strip()) / "tools/testing/selftests/net/gro.c"
        cls.program = pathlib.Path(cls._folder.name) / "gro"
        subprocess.run(["cc", "-O1", "-w", "-o", cls.program, source], check=True, timeout=SECONDS)
        # Each case mostly sleeps.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            cls.outcomes = dict(zip(CASES, pool.map(lambda case: cls.attempt(*case), CASES)))

    @classmethod
    def attempt(cls, family: str, name: str) -> str:
        for _ in range(TRIES):
            outcome = cls.outcome(family, name)
            if not outcome:
                break
        return outcome

    @classmethod
    def outcome(cls, family: str, name: str, *tool_words: str) -> str:
        """What the selftest complains about; empty if it passes."""
        words = [str(cls.program), f"--{family}", *MACS, "--test", name, "--verbose"]
        with Namespaces() as spaces:
            tool = subprocess.Popen([TOOL, spaces.file(0), spaces.file(1), *tool_words], stdout=subprocess.PIPE, text=True)
            try:
                if tool.stdout.readline() != "forwarding\n":
                    return "gro_tool does not start"
                receiver = subprocess.Popen(spaces.command(1, *words, "--rx", "--iface", "plxb"), stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True)
                time.sleep(0.5)
                sender = subprocess.run(spaces.command(0, *words, "--iface", "plxa"), capture_output=True, text=True, timeout=SECONDS,
                                        check=False)
                said, _ = receiver.communicate(timeout=SECONDS)
                return "" if receiver.returncode == 0 and sender.returncode == 0 else sender.stderr + said
            finally:
                tool.terminate()
                tool.communicate(timeout=SECONDS)

    def test_without_gro_it_fails(self):
        self.assertNotEqual(self.outcome("ipv4", "data", "--without-gro"), "")


def add_case(family: str, name: str) -> None:
    def test(self):
        self.assertEqual(self.outcomes[family, name], "")

    setattr(Selftest, f"test_{family}_{name}", test)


for one in CASES:
    add_case(*one)


if __name__ == "__main__":
    unittest.main()
