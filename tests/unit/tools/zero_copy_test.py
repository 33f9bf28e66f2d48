# SPDX-License-Identifier: BSD-3-Clause
"""The measurement of AF_XDP without copies: whose figure it is, and none if the kernel copies where it should not, or the other way round."""

import contextlib
import io
import pathlib
import sys
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench/baselines"))
from measure import zero_copy  # noqa: E402
from measure.figures import Figures, table  # noqa: E402
from pollux_lab.errors import LabError  # noqa: E402

POLLUX, DPDK = ("pollux", "zero copy"), ("dpdk", "zero copy")
COPIES = ("pollux", "copy")
LINE = {"case": "lockstep", "burst": 32, "ticks": 900.0, "mpps": 0.25, "without_copies": 2}


class Sample(unittest.TestCase):
    def test_a_figure_has_both_quantities(self):
        self.assertEqual(zero_copy.sample(LINE, DPDK), {"where": "guest-xdp", "case": "alloc_fill_tx_rx_free", "who": "dpdk", "path": "zero copy",
                                                        "burst": 32, "instructions": 900.0, "mpps": 0.25})

    def test_the_kernel_has_to_say_the_mode_of_each_socket(self):
        for who, case, without_copies, right in ((POLLUX, "forward", 2, True), (POLLUX, "forward", 1, False), (POLLUX, "forward", 0, False),
                                                 (POLLUX, "txonly", 1, True), (POLLUX, "txonly", 0, False),
                                                 (COPIES, "forward", 0, True), (COPIES, "txonly", 1, False)):
            with self.subTest(who=who, case=case, without_copies=without_copies):
                line = LINE | {"case": case, "without_copies": without_copies}
                with contextlib.nullcontext() if right else self.assertRaisesRegex(LabError, "sockets work without copies"):
                    zero_copy.sample(line, who)

    def test_copies_are_compared_with_zero_copy(self):
        figures = Figures()
        figures.add(zero_copy.sample(LINE, POLLUX))
        figures.add(zero_copy.sample(LINE | {"ticks": 4500.0, "mpps": 0.0214, "without_copies": 0}, COPIES))
        self.assertRegex(table("title", figures.rows(), "instructions"), r"pollux, copy +4500\.00 .* 5\.00 x +0\.021 mpps")


class Command(unittest.TestCase):
    def test_each_port_has_its_own_interface(self):
        self.assertEqual(zero_copy.command(("dpdk", "copy"), ["eth0", "eth1"], "lockstep", "forward"),
                         "dpdk_app_veth --burst 32 --burst 1 --frames 6400 --case lockstep --case forward "
                         "net_af_xdp0,iface=eth0,busy_budget=0,force_copy=1 net_af_xdp1,iface=eth1,busy_budget=0,force_copy=1")
        self.assertTrue(zero_copy.command(POLLUX, ["eth0"], "txonly").endswith(" 'xdp:eth0?rule=all,force,mode=zero-copy'"))


class Kernel(unittest.TestCase):
    def test_without_the_kernel_it_is_left_out_aloud(self):
        figures = Figures()
        with mock.patch.object(zero_copy.fetched, "folder", side_effect=LabError("there is no newer-kernel")), \
                contextlib.redirect_stderr(io.StringIO()) as said:
            zero_copy.measure(mock.Mock(quick=False), figures)
        self.assertEqual(figures.rows(), [])
        self.assertIn("LEFT OUT: zero copy of igb, since there is no newer-kernel", said.getvalue())


if __name__ == "__main__":
    unittest.main()
