# SPDX-License-Identifier: BSD-3-Clause
"""Runs the layer check on a copy of the project with wrong includes, each of which the check must report."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop())
SCRIPT = ROOT / "tools/lib/check_layers.py"

# What a wrong include is, its source, what it includes, and what the check says.
REFUSED = [
    ("a lower layer that includes a higher one", "lib/base/clock.cpp", "pollux/mem/mbuf.hpp", "layer 'base' may not include layer 'mem'"),
    ("a public header that includes a higher layer", "include/pollux/mem/mbuf.hpp",
     "pollux/net/link.hpp", "layer 'mem' may not include layer 'net'"),
    ("a driver that includes a backend", "lib/drivers/intel/igb/probe.cpp",
     "backends/vfio/open_vfio.hpp", "layer 'drivers/intel/igb' may not include layer 'backends/vfio'"),
    ("a model that includes its driver", "lib/models/intel/igb/card.cpp",
     "drivers/intel/igb/driver.hpp", "layer 'models/intel/igb' may not include layer 'drivers/intel/igb'"),
    ("a runtime that includes more than the API of ports", "lib/runtime/poller.cpp",
     "pollux/device/device.hpp", "layer 'runtime' may not include layer 'device'"),
    ("a runtime that includes more than the API of ports", "lib/runtime/poller_core.cpp",
     "drivers/intel/queue/rx_queue.hpp", "layer 'runtime' may not include layer 'drivers/intel/queue'"),
    ("a backend that includes another", "lib/backends/sim/open_sim.cpp",
     "backends/vfio/open_vfio.hpp", "layer 'backends/sim' may not include layer 'backends/vfio'"),
    ("a server that includes a backend", "lib/servers/vfio_user/server.cpp",
     "backends/sim/open_sim.hpp", "layer 'servers/vfio_user' may not include layer 'backends/sim'"),
    ("a backend other than VFIO that includes pci", "lib/backends/sim/open_sim.cpp",
     "pollux/pci/address.hpp", "layer 'backends/sim' may not include layer 'pci'"),
    ("a core that includes the host's administration", "lib/pci/address.cpp",
     "host/binding.hpp", "layer 'pci' may not include layer 'host'"),
    ("a driver that includes the registers of another card", "lib/drivers/intel/igb/probe.cpp",
     "hw/intel/other/ids.hpp", "layer 'drivers/intel/igb' may not include layer 'hw/intel/other'"),
    ("a family that includes one of its cards", "lib/drivers/intel/gigabit/link.cpp",
     "hw/intel/igb/ids.hpp", "layer 'drivers/intel/gigabit' may not include layer 'hw/intel/igb'"),
    ("a driver that includes the driver of another card", "lib/drivers/intel/other/probe.cpp",
     "drivers/intel/igb/port.hpp", "layer 'drivers/intel/other' may not include layer 'drivers/intel/igb'"),
    ("a driver that includes what cards of another vendor share", "lib/drivers/acme/card/probe.cpp",
     "drivers/intel/queue/rx_queue.hpp", "layer 'drivers/acme/card' may not include layer 'drivers/intel/queue'"),
    ("queues that know of a card", "lib/drivers/intel/queue/rx_queue.cpp",
     "hw/intel/igb/limits.hpp", "layer 'drivers/intel/queue' may not include layer 'hw/intel/igb'"),
    ("queues that know of a forward path", "lib/drivers/intel/queue/rx_queue.cpp",
     "drivers/intel/forward/forward_queue.hpp", "layer 'drivers/intel/queue' may not include layer 'drivers/intel/forward'"),
    ("a public header that includes a private one", "include/pollux/mem/mbuf.hpp",
     "mem/mempool_core.hpp", "a public header includes a private file"),
    ("an example that includes a private header", "examples/l2fwd/main.cpp",
     "mem/mempool_core.hpp", "an example may include public headers only"),
    ("an example that includes what tools share", "examples/echo/main.cpp", "common/cli.hpp", "an example may include public headers only"),
    ("pollux.hpp inside the library", "lib/net/port.cpp", "pollux/pollux.hpp", "for applications"),
    ("an unknown layer", "lib/gadgets/new.cpp", "pollux/base/error.hpp", "layer 'gadgets' is not known"),
    ("an include of a missing file", "lib/base/clock.cpp", "base/no_such_file.hpp", "there is no such file"),
]


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="pollux-layers-")
        cls.addClassCleanup(folder.cleanup)
        cls.copy = pathlib.Path(folder.name)
        for part in ("include", "lib", "examples", "tools/common", "tools/pktgen", "tools/pollux"):
            shutil.copytree(ROOT / part, cls.copy / part)

    def run_check(self) -> tuple[int, str]:
        run = subprocess.run([sys.executable, SCRIPT, self.copy], capture_output=True, text=True, timeout=60, check=False)
        return run.returncode, run.stdout + run.stderr

    def include(self, source: str, target: str) -> None:
        path = self.copy / source
        text = path.read_text() if path.exists() else ""
        self.write(source, f'{text}\n#include "{target}"\n')

    def write(self, source: str, text: str) -> None:
        """Writes a file of the copy. After the test it is what it was before, since all tests share the copy."""
        path = self.copy / source
        if (ROOT / source).exists():
            self.addCleanup(shutil.copy, ROOT / source, path)
        else:
            self.addCleanup(path.unlink, missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_accepts_the_project(self):
        self.assertEqual(self.run_check(), (0, ""))

    def test_refuses_wrong_includes(self):
        self.write("lib/hw/intel/other/ids.hpp", "#pragma once\n")
        for _, source, target, _ in REFUSED:
            self.include(source, target)
        status, said = self.run_check()
        self.assertEqual(status, 1, said)
        for what, source, target, words in REFUSED:
            with self.subTest(what):
                complaints = [line for line in said.splitlines() if re.match(rf'{re.escape(source)}:\d+: #include "{re.escape(target)}": ', line)]
                self.assertEqual(len(complaints), 1, said)
                self.assertIn(words, complaints[0])

    def test_refuses_a_public_header_that_names_a_chip(self):
        for named in ("the 82576 lacks it", "QEMU's card lacks it"):
            header = "include/pollux/net/rss.hpp"
            self.write(header, f"{(ROOT / header).read_text()}// Source: 82575 manual, 5.3; docs/82576/errata.md. {named}.\n")
            status, said = self.run_check()
            self.assertEqual(status, 1, said)
            self.assertIn(header, said)
            self.assertIn("names a chip", said)

    def test_a_public_header_may_name_a_source(self):
        header = "include/pollux/net/rss.hpp"
        self.write(header, f"{(ROOT / header).read_text()}// Source: 82575 manual, 5.3; 82576 datasheet, 8.10.1; docs/82576/errata.md.\n")
        self.assertEqual(self.run_check(), (0, ""))

    def test_refuses_a_folder_of_two_components(self):
        layers = "lib/pci/CMakeLists.txt"
        self.write(layers, f"{(ROOT / layers).read_text()}pollux_layer(NAME names COMPONENT host SELDOM\n  CONTROL names.cpp)\n")
        self.assertEqual(self.run_check(), (1, "lib/pci has layers of several components (core, host); a component has folders of its own\n"))

    def test_refuses_a_cycle_inside_a_layer(self):
        self.include("lib/base/one.hpp", "base/two.hpp")
        self.include("lib/base/two.hpp", "base/three.hpp")
        self.include("lib/base/three.hpp", "base/one.hpp")
        status, said = self.run_check()
        self.assertEqual(status, 1, said)
        self.assertIn("a cycle of includes: ", said)
        self.assertEqual(said.count("lib/base/"), 4, said)


if __name__ == "__main__":
    unittest.main()
