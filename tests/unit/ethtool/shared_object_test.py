# SPDX-License-Identifier: BSD-3-Clause
"""Judges the shared object that `pollux ethtool` preloads, without a program of ours and with one that answers nonsense."""

import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

POLLUX = sys.argv.pop()
SHIM = pathlib.Path(POLLUX).parent / "pollux-ethtool.so"
HAS_ETHTOOL = shutil.which("ethtool", path="/usr/sbin:/usr/bin:/sbin")
SECONDS = 60


@unittest.skipUnless(HAS_ETHTOOL, "ethtool is not installed")
class Without(unittest.TestCase):
    """Programs, telemetry and the tool may be missing."""

    def run_pollux(self, *words: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([POLLUX, "ethtool", *words], env=variables, capture_output=True, text=True, timeout=SECONDS, check=False)

    def test_program(self):
        with tempfile.TemporaryDirectory() as folder:
            outcome = self.run_pollux("-S", "plx0", XDG_RUNTIME_DIR=folder, PATH="/usr/bin:/bin")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("--telemetry", outcome.stderr)

    def test_program_that_ended_meanwhile(self):
        outcome = subprocess.run(["ethtool", "-i", "plx0"], capture_output=True, text=True, timeout=SECONDS, check=False,
                                 env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0",
                                      "POLLUX_ETHTOOL_SOCKET": "/nonexistent/1.sock"})
        self.assertIn("the program of plx0 does not answer on /nonexistent/1.sock", outcome.stderr)
        self.assertIn("Cannot get driver information", outcome.stderr)

    def test_other_interfaces_are_the_kernels(self):
        outcome = subprocess.run(["ethtool", "-i", "lo"], capture_output=True, text=True, timeout=SECONDS, check=False,
                                 env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0"})
        self.assertNotIn("pollux", outcome.stderr)


@unittest.skipUnless(HAS_ETHTOOL, "ethtool is not installed")
class Hostile(unittest.TestCase):
    """A program that answers nonsense: ethtool ends with an error, and not by a signal."""

    ANSWERS = ("", "x", "{}", "[]", '{"result":null}', '{"result":[]}', '{"result":{"limits":1,"rx":5,"table":{},"counters":[1]}}',
               '{"result":{"words":9999999999,"data":[1],"driver":"igb","counters":{"GPRC":"x"},"rx":[1,null]}}',
               '{"error":{"code":5}}', '{"error":null}', '{"result":[{"id":1,"rule":{"match":[{"protocol":"udp","spec":"zz"}]}}]}')

    def test_answers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/1.sock"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                for answer in self.ANSWERS:
                    for words in (["-i"], ["-S"], ["-x"], ["-d"], ["-k"], ["-n"], ["-e"], ["-g"], ["-c"], []):
                        self.judge(listener, path, answer, words)

    def judge(self, listener: socket.socket, path: str, answer: str, words: list[str]) -> None:
        tool = subprocess.Popen(["ethtool", *words, "plx0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0",
                                     "POLLUX_ETHTOOL_SOCKET": path})
        connection, _ = listener.accept()
        with connection, connection.makefile("r") as lines:
            for _ in lines:
                if not answer:
                    break
                try:
                    connection.sendall(answer.encode() + b"\n")
                except OSError:
                    break
        tool.communicate(timeout=SECONDS)
        self.assertGreaterEqual(tool.returncode, 0, f"{words} on {answer}")


if __name__ == "__main__":
    unittest.main()
