# SPDX-License-Identifier: BSD-3-Clause
"""The servers among the commands have no privileges that they do not need."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

POLLUX = sys.argv.pop()
NET_BIND_SERVICE = 1 << 10  # capabilities(7)
FILTERED = 2  # seccomp(2): SECCOMP_MODE_FILTER


@unittest.skipUnless(os.geteuid() == 0, "only root has privileges to give up")
class Confinement(unittest.TestCase):
    def threads_of(self, *words: str) -> list[dict[str, str]]:
        """What /proc says of each thread of the server, when it has printed its first line."""
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen([POLLUX, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
            try:
                self.assertRegex(server.stdout.readline(), "^(serving|a.sock: card)")
                return [dict(re.findall(r"(\w+):\s+(\w+)\n", (task / "status").read_text()))
                        for task in pathlib.Path(f"/proc/{server.pid}/task").iterdir()]
            finally:
                server.terminate()
                server.communicate(timeout=30)

    def expect(self, threads: list[dict[str, str]], capabilities: int) -> None:
        for thread in threads:
            for kind in ("CapEff", "CapPrm"):
                self.assertEqual(int(thread[kind], 16), capabilities, kind)
            self.assertEqual((thread["NoNewPrivs"], int(thread["Seccomp"])), ("1", FILTERED))

    def test_a_card_has_no_capabilities_and_a_filter(self):
        self.expect(self.threads_of("card", "--socket", "a.sock"), 0)

    def test_the_exporter_keeps_what_it_needs_to_listen(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        threads = self.threads_of("exporter", "--listen", f"127.0.0.1:{port}")
        self.assertGreater(len(threads), 1)
        self.expect(threads, NET_BIND_SERVICE)


if __name__ == "__main__":
    unittest.main()
