# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the example `tcp_server` share: the server behind the interface plt0, and curl as its client."""

import array
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from namespaces import Program, run

HOST, SERVING = "10.6.0.1", "10.6.0.2"


def digest_of_document(length: int) -> str:
    """The 64-bit numbers 0, 1, 2, ... with the least significant byte first."""
    numbers = array.array("Q", range(length // 8 + 1))
    if sys.byteorder == "big":
        numbers.byteswap()
    return hashlib.sha256(numbers.tobytes()[:length]).hexdigest()


class ServerFixture(unittest.TestCase):
    program: str  # the path of tcp_server

    def begin(self, port: str, *words: str) -> None:
        self.server = Program([self.program, port, "--ip", SERVING, *words], "serving")
        self.addCleanup(self.server.end)
        pathlib.Path("/proc/sys/net/ipv6/conf/plt0/disable_ipv6").write_text("1")
        run("ip", "addr", "add", f"{HOST}/24", "dev", "plt0")
        run("ip", "link", "set", "plt0", "up")

    def fetch(self, limit: int = 240) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "document")
            subprocess.run(["curl", "--silent", "--show-error", "--max-time", str(limit), "--output", path, f"http://{SERVING}/"],
                           check=True, timeout=limit + 60)
            content = path.read_bytes()
        return len(content), hashlib.sha256(content).hexdigest()

    def counts(self) -> dict[str, int]:
        said = self.server.summary()
        return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", said)}
