# SPDX-License-Identifier: BSD-3-Clause
"""A block of a document that makes its own network is pasted as written into a shell of a fresh namespace."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from namespaces import SECONDS

L2FWD = pathlib.Path(sys.argv.pop())
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Names of namespaces are files, which are of this shell alone.
FRESH = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up\n"


def block_with(document: str, text: str) -> str:
    blocks = re.findall(r"(?m)(?:^    .*\n)+", (ROOT / document).read_text())
    (found,) = [block for block in blocks if text in block]
    return found


class Pasted(unittest.TestCase):
    def paste(self, block: str) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pathlib.Path(folder.name, "ping").symlink_to(shutil.which("ping") or shutil.which("busybox"))
        environment = os.environ | {"PATH": f"{L2FWD.parent}:{folder.name}:/usr/sbin:/usr/bin:/sbin:/bin"}
        ran = subprocess.run(["unshare", "--net", "--mount", "bash", "-c", FRESH + block + "wait\n"], env=environment, text=True, timeout=SECONDS,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return ran.stdout

    def test_the_walk_on_veth(self):
        if os.geteuid() != 0:
            self.skipTest("it is for root")
        said = self.paste(block_with("docs/xdp.md", "ip netns add far"))
        self.assertIn("received 100 = ", said)
        self.assertRegex(said, " 1 (packets )?received, 0% packet loss")


if __name__ == "__main__":
    unittest.main()
