# SPDX-License-Identifier: BSD-3-Clause
"""bench/baselines: what testpmd's output says, repetitions that crash, the cases on virtio-net, and the machine with a far end outside it."""

import os
import pathlib
import re
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "bench/baselines"))

from measure import rates, virtio  # noqa: E402
from pollux_lab.errors import LabError, QemuCrashed  # noqa: E402


def second(*pps: int) -> str:
    """What testpmd prints in a second: for each port what it received and sent."""
    return "".join(f"  Rx-pps: {value:>12}   Rx-bps: 9\n  Tx-pps: {value + 1:>12}   Tx-bps: 9\n" for value in pps)


class MeanRate(unittest.TestCase):
    def test_ports_are_added_and_incomplete_seconds_are_left_out(self):
        out = second(7, 7) + second(1_000_000, 2_000_000) + second(2_000_000, 3_000_000) + second(9, 9)
        self.assertEqual(rates.mean_rate(out, "Rx", 2), 4.0)
        self.assertEqual(rates.mean_rate(out, "Tx", 2), 4.000002)

    def test_a_run_without_a_complete_second_or_without_frames_is_no_rate(self):
        for out in ("", second(5) + second(5), second(5) + second(0) + second(0)):
            with self.assertRaises(LabError, msg=out):
                rates.mean_rate(out, "Rx", 1)


class Repetition(unittest.TestCase):
    def setUp(self):
        self.guest = mock.Mock()
        self.guest.machine.addresses.return_value = ["one", "other"]
        self.said = []
        self.guest.check.side_effect = self._answer
        self.rates = rates.Rates(self.guest, [pathlib.Path("driver.so")], 3)

    def _answer(self, command: str, *_) -> str:
        self.said.append(command)
        if "dpdk-testpmd" in command:
            count = command.count(" -a ")
            return second(*[0] * count) + second(*[10**6] * count) * 2
        return '{"mpps": 2.5, "summary": {"mpps": 1.5}}\n'

    def test_each_case_on_virtio_has_both_programs_next_to_each_other(self):
        measured = list(virtio.all_ways(self.rates, "on a hub"))
        self.assertEqual([(case, who) for case, who, _ in measured],
                         [("forward, on a hub", "l2fwd"), ("forward, on a hub", "testpmd"), ("txonly, on a hub", "pollux"),
                          ("txonly, on a hub", "testpmd"), ("rxonly, on a hub", "pollux"), ("rxonly, on a hub", "testpmd")])
        self.assertEqual([round(mpps, 3) for *_, mpps in measured], [1.5, 2.0, 2.5, 1.0, 2.5, 1.0])

    def test_one_receives_while_another_sends_on_virtio(self):
        list(virtio.all_ways(self.rates, "on a hub"))
        other = [re.findall(r"spawn other .*--case (\w+)|(interrupt other KILL)|--(?:case|forward-mode)[ =](\w+)", command) for command in self.said]
        self.assertEqual(["".join(found[0]) for found in other if found],
                         ["io", "rxonly", "txonly", "txonly", "interrupt other KILL", "txonly", "rxonly", "rxonly", "interrupt other KILL"])


class VhostUser(unittest.TestCase):
    def test_both_devices_have_a_socket_of_the_far_end_and_share_the_memory(self):
        with tempfile.TemporaryDirectory() as name, mock.patch.object(virtio, "driver", pathlib.Path):
            folder = pathlib.Path(name)
            (folder / "socket0").touch()
            machine = virtio.to_vhost_user(folder)
            self.assertEqual(len(machine.servers), 1)
            self.assertIn("set fwd io retry", (folder / "commands").read_text())
            archive = folder / "initrd"
            archive.touch()
            os.truncate(archive, 3 << 29)
            line = machine.command_line(pathlib.Path("kernel"), archive, 3, 4, 5)
            self.assertFalse((folder / "socket0").exists(), "DPDK does not replace the socket of a process that has ended")
        self.assertEqual([word for word in line if "vhost-user" in word], [f"vhost-user,id=n{port},chardev=v{port}" for port in (0, 1)])
        self.assertEqual([word for word in line if word.startswith("socket,id=v")],
                         [f"socket,id=v{port},path={name}/socket{port}" for port in (0, 1)])
        self.assertIn("memory-backend=ram", line)
        memory = machine.memory_mib + 3 * 1536  # the guest unpacks it
        self.assertIn(f"memory-backend-memfd,id=ram,size={memory}M,share=on", line)
        self.assertEqual(line[line.index("-m") + 1], str(memory))
        self.assertEqual(sum("iommu_platform=on" in word for word in line), 2)


class Crashes(unittest.TestCase):
    def repeated(self, crashes: list[int]) -> int:
        """How many samples five repetitions give if QEMU crashes that often before each of them."""
        left = iter([crash for count in crashes for crash in (*[True] * count, False)])

        def cases(_rates: rates.Rates):
            yield "forward", "pollux", 1.0
            if next(left):
                raise QemuCrashed("QEMU crashed")
        figures = mock.Mock()
        session = mock.Mock(quick=False)
        session.programs.return_value = []
        with mock.patch.object(rates, "guest", mock.MagicMock()), mock.patch.object(rates, "bind"), mock.patch.object(rates, "tell"):
            rates.repeat(session, figures, rates.Wired("wired", mock.Mock(), (), (), cases))
        return figures.add.call_count

    def test_a_repetition_is_tried_five_times_again_and_counts_once(self):
        self.assertEqual(self.repeated([2, 5, 0, 3, 1]), 5)
        with self.assertRaises(QemuCrashed):
            self.repeated([0, 6])


class LeftOut(unittest.TestCase):
    def measured(self, *absent: str) -> tuple[list[str], list[str]]:
        """The names of what is measured, and what is said."""
        def driver(name: str) -> pathlib.Path:
            if name in absent:
                raise LabError(f"DPDK's {name} is not installed")
            return pathlib.Path(name)
        with mock.patch.object(virtio, "driver", driver), mock.patch.object(virtio, "repeat") as repeat, mock.patch.object(virtio, "tell") as tell:
            virtio.measure(mock.Mock(), mock.Mock())
        return [call.args[2].name for call in repeat.call_args_list], [call.args[0] for call in tell.call_args_list]

    def test_what_lacks_a_driver_of_dpdk_is_left_out_and_named(self):
        self.assertEqual(self.measured(), (["virtio, hub", "virtio, vhost-user"], []))
        measured, said = self.measured("librte_net_vhost.so")
        self.assertEqual((measured, len(said)), (["virtio, hub"], 1))
        self.assertRegex(said[0], "^LEFT OUT: vhost-user: .*librte_net_vhost.so is not installed")
        measured, said = self.measured("librte_net_virtio.so")
        self.assertEqual((measured, len(said)), ([], 2))


if __name__ == "__main__":
    unittest.main()
