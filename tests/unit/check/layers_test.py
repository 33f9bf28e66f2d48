# SPDX-License-Identifier: BSD-3-Clause
"""Runs the layer check on copies of the project with one wrong include each, which the check must report."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop())
SCRIPT = ROOT / "tools/lib/check_layers.py"


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
            self.addCleanup(path.unlink)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def refuses(self, source: str, target: str, words: str) -> None:
        self.include(source, target)
        status, said = self.run_check()
        self.assertEqual(status, 1, said)
        self.assertIn(source, said)
        self.assertIn(words, said)

    def test_accepts_the_project(self):
        self.assertEqual(self.run_check(), (0, ""))

    def test_refuses_a_lower_layer_that_includes_a_higher_one(self):
        self.refuses("lib/base/clock.cpp", "pollux/mem/mbuf.hpp", "layer 'base' may not include layer 'mem'")

    def test_refuses_a_public_header_that_includes_a_higher_layer(self):
        self.refuses("include/pollux/mem/mbuf.hpp", "pollux/net/link.hpp", "layer 'mem' may not include layer 'net'")

    def test_refuses_a_driver_that_includes_a_backend(self):
        self.refuses("lib/drivers/intel/igb/probe.cpp", "backends/vfio/open_vfio.hpp",
                     "layer 'drivers/intel/igb' may not include layer 'backends/vfio'")

    def test_refuses_a_model_that_includes_its_driver(self):
        self.refuses("lib/models/intel/igb/card.cpp", "drivers/intel/igb/driver.hpp",
                     "layer 'models/intel/igb' may not include layer 'drivers/intel/igb'")

    def test_refuses_a_runtime_that_includes_more_than_the_port_api(self):
        self.refuses("lib/runtime/poller.cpp", "pollux/device/device.hpp", "layer 'runtime' may not include layer 'device'")
        self.refuses("lib/runtime/poller_core.cpp", "drivers/intel/queue/rx_queue.hpp",
                     "layer 'runtime' may not include layer 'drivers/intel/queue'")

    def test_refuses_a_backend_that_includes_another(self):
        self.refuses("lib/backends/sim/open_sim.cpp", "backends/vfio/open_vfio.hpp",
                     "layer 'backends/sim' may not include layer 'backends/vfio'")

    def test_refuses_a_server_that_includes_a_backend(self):
        self.refuses("lib/servers/vfio_user/server.cpp", "backends/sim/open_sim.hpp",
                     "layer 'servers/vfio_user' may not include layer 'backends/sim'")

    def test_refuses_a_backend_other_than_vfio_that_includes_pci(self):
        self.refuses("lib/backends/sim/open_sim.cpp", "pollux/pci/address.hpp",
                     "layer 'backends/sim' may not include layer 'pci'")

    def test_refuses_a_driver_that_includes_the_registers_of_another_card(self):
        self.write("lib/hw/intel/other/ids.hpp", "#pragma once\n")
        self.refuses("lib/drivers/intel/igb/probe.cpp", "hw/intel/other/ids.hpp",
                     "layer 'drivers/intel/igb' may not include layer 'hw/intel/other'")

    def test_refuses_a_driver_that_includes_the_driver_of_another_card(self):
        self.refuses("lib/drivers/intel/other/probe.cpp", "drivers/intel/igb/port.hpp",
                     "layer 'drivers/intel/other' may not include layer 'drivers/intel/igb'")

    def test_refuses_a_driver_that_includes_what_cards_of_another_vendor_share(self):
        self.refuses("lib/drivers/acme/card/probe.cpp", "drivers/intel/queue/rx_queue.hpp",
                     "layer 'drivers/acme/card' may not include layer 'drivers/intel/queue'")

    def test_refuses_queues_that_know_of_a_card(self):
        self.refuses("lib/drivers/intel/queue/rx_queue.cpp", "hw/intel/igb/limits.hpp",
                     "layer 'drivers/intel/queue' may not include layer 'hw/intel/igb'")

    def test_refuses_queues_that_know_of_a_forward_path(self):
        self.refuses("lib/drivers/intel/queue/rx_queue.cpp", "drivers/intel/forward/forward_queue.hpp",
                     "layer 'drivers/intel/queue' may not include layer 'drivers/intel/forward'")

    def test_refuses_a_public_header_that_includes_a_private_one(self):
        self.refuses("include/pollux/mem/mbuf.hpp", "mem/mempool_core.hpp", "a public header includes a private file")

    def test_refuses_a_public_header_that_names_a_chip(self):
        for named in ("the 82576 lacks it", "QEMU's card lacks it"):
            header = "include/pollux/net/rss.hpp"
            self.write(header, f"{(ROOT / header).read_text()}// Source: 82575 manual, 5.3; docs/82576/errata.md. {named}.\n")
            status, said = self.run_check()
            self.assertEqual(status, 1, said)
            self.assertIn(header, said)
            self.assertIn("names a chip", said)

    def test_refuses_an_example_that_includes_a_private_header(self):
        self.refuses("examples/l2fwd/main.cpp", "mem/mempool_core.hpp", "an example may include public headers only")

    def test_refuses_an_example_that_includes_what_tools_share(self):
        self.refuses("examples/echo/main.cpp", "common/cli.hpp", "an example may include public headers only")

    def test_refuses_pollux_hpp_inside_the_library(self):
        self.refuses("lib/net/port.cpp", "pollux/pollux.hpp", "for applications")

    def test_refuses_an_unknown_layer(self):
        self.refuses("lib/gadgets/new.cpp", "pollux/base/error.hpp", "layer 'gadgets' is not known")

    def test_refuses_an_include_of_a_missing_file(self):
        self.refuses("lib/base/clock.cpp", "base/no_such_file.hpp", "there is no such file")

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
