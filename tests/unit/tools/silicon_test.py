# SPDX-License-Identifier: BSD-3-Clause
"""tools/silicon without a card: what it finds, when it refuses, how it gives ports back, and what it leaves out of the archive."""

import dataclasses
import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from pollux_lab.silicon import archive, decide, give_back, results
from pollux_lab.errors import LabError
from pollux_lab.silicon.__main__ import chosen_steps
from pollux_lab.silicon.facts import MANC, STATUS, MachineReader, Machine
from sandbox import Sandbox

A, B = "0000:01:00.0", "0000:01:00.1"
LISTED = {"address": A, "vendor": "Intel", "device": "82576", "vendor_id": "8086", "device_id": "10c9", "subsystem_vendor_id": "8086",
          "subsystem_device_id": "a03c", "pollux_driver": "igb", "driver": "igb", "iommu_group": 7, "numa_node": None, "interfaces": ["eth5"]}
LINK = {"ifname": "eth5", "flags": ["UP"], "mtu": 1500, "addr_info": [{"local": "192.0.2.7", "prefixlen": 24, "scope": "global"},
                                                                      {"local": "fe80::1", "prefixlen": 64, "scope": "link"}]}


class FakeMachine:
    """A tree of ordinary files in place of sysfs and procfs, and the output of programs."""

    def __init__(self, folder: str):
        self.sys, self.proc = pathlib.Path(folder, "sys"), pathlib.Path(folder, "proc")
        self.listed, self.links, self.routes = [dict(LISTED)], [dict(LINK)], []
        device = self.sys / "bus/pci/devices" / A
        self.write(self.sys / "kernel/iommu_groups/7/devices" / A / "x", "")
        self.write(self.sys / "kernel/iommu_groups/7/type", "DMA-FQ\n")
        self.write(device / "power_state", "D0\n")
        self.write(device / "enable", "1\n")
        self.write(self.sys / "class/net/eth5/carrier", "1\n")
        self.write(self.sys / "class/net/eth5/speed", "1000\n")
        self.write(self.proc / "meminfo", "HugePages_Free:      12\nHugepagesize:       2048 kB\n")
        self.write(self.proc / "self/status", "PPid:\t1\n")
        self.write(self.proc / "self/environ", "A=b\0")
        self.register(STATUS, 0x80283)

    @staticmethod
    def write(file: pathlib.Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def register(self, offset: int, value: int) -> None:
        file = self.sys / "bus/pci/devices" / A / "resource0"
        content = bytearray(file.read_bytes() if file.exists() else bytes(128 * 1024))
        content[offset:offset + 4] = struct.pack("<I", value)
        file.write_bytes(content)

    def run(self, command: list[str]) -> str:
        if "list" in command:
            return json.dumps({"devices": self.listed})
        return json.dumps(self.routes if "route" in command else self.links)

    def read(self) -> Machine:
        return MachineReader(self.sys, self.proc, self.run).machine([A], "pollux")


class Decisions(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = FakeMachine(folder.name)

    def refusals(self) -> str:
        decision = decide.decide(self.fake.read())
        self.assertFalse(decision.may_go_on(force=True))
        return decide.verdict_text(decision, force=False)

    def only_with_force(self) -> str:
        decision = decide.decide(self.fake.read())
        self.assertFalse(decision.may_go_on(force=False))
        self.assertTrue(decision.may_go_on(force=True), decision.refusals)
        return decide.verdict_text(decision, force=False)

    def test_a_port_that_nobody_uses_may_be_taken(self):
        self.fake.links[0]["addr_info"] = LINK["addr_info"][1:]
        machine = self.fake.read()
        decision = decide.decide(machine)
        self.assertTrue(decision.may_go_on(force=False), decision)
        self.assertEqual(decision.warnings, [])
        found = decide.found_text(machine)
        for part in (A, "82576", "driver igb", "IOMMU group 7 (type DMA-FQ)", "eth5: carrier, 1000 Mb/s", "huge pages: 12 of 2048 KiB"):
            self.assertIn(part, found)

    def test_an_address_needs_force(self):
        self.assertIn("192.0.2.7/24", self.only_with_force())

    def test_a_route_is_refused(self):
        self.fake.routes = [{"dst": "192.0.2.0/24", "protocol": "kernel"}, {"dst": "default", "gateway": "192.0.2.1", "protocol": "dhcp"}]
        self.assertIn("carries the routes default via 192.0.2.1", self.refusals())

    def test_an_ssh_session_is_refused_also_behind_sudo(self):
        self.fake.write(self.fake.proc / "self/status", "Name:\tpython3\nPPid:\t42\n")
        self.fake.write(self.fake.proc / "42/status", "PPid:\t0\n")
        self.fake.write(self.fake.proc / "42/environ", "SSH_CONNECTION=198.51.100.3 40000 192.0.2.7 22\0")
        self.assertIn("YOUR SSH SESSION", self.refusals())

    def test_tcp_connections_are_refused(self):
        line = "   0: 070200C0:0016 036433C6:9C40 01 00000000:00000000 00:00000000 00000000 0 0 1 1 0\n"
        self.fake.write(self.fake.proc / "net/tcp", "  sl  local_address rem_address   st\n" + line)
        self.assertIn("1 TCP connections use it", self.refusals())
        self.fake.write(self.fake.proc / "net/tcp", "  sl\n" + line.replace(" 01 ", " 0A "))
        self.assertEqual(self.fake.read().ports[0].interfaces[0].connections, 0)

    def test_a_mapped_address_counts_too(self):
        mapped = "0000000000000000FFFF0000070200C0"
        self.fake.write(self.fake.proc / "net/tcp6", f"  sl\n   0: {mapped}:0016 {mapped}:9C40 01 0\n")
        self.assertEqual(self.fake.read().ports[0].interfaces[0].connections, 1)

    def test_a_bridge_and_a_vlan_are_refused(self):
        self.fake.links[0]["master"] = "br0"
        self.assertIn("is a member of br0", self.refusals())
        self.fake.write(self.fake.sys / "class/net/eth5/upper_eth5.7/x", "")
        self.assertIn("carries eth5.7", self.refusals())

    def test_another_device_of_the_group_is_refused(self):
        other = self.fake.sys / "kernel/iommu_groups/7/devices/0000:02:00.0"
        self.fake.write(other / "x", "")
        device = self.fake.sys / "bus/pci/devices/0000:02:00.0"
        self.fake.write(device / "class", "0x010601\n")
        self.fake.write(self.fake.sys / "bus/pci/drivers/ahci/x", "")
        (device / "driver").symlink_to(self.fake.sys / "bus/pci/drivers/ahci")
        self.assertIn("0000:02:00.0 (ahci)", self.refusals())
        (device / "class").write_text("0x060400\n")  # a bridge does not matter
        self.assertEqual(self.fake.read().ports[0].others, [])

    def test_another_card_and_no_card_are_refused(self):
        self.fake.listed[0]["pollux_driver"] = None
        self.assertIn("is not an 82576", self.refusals())
        self.fake.listed = []
        self.assertIn("there is no such device", self.refusals())

    def test_an_interface_in_another_namespace_is_refused(self):
        self.fake.listed[0]["interfaces"] = []
        self.assertIn("another network namespace", self.refusals())

    def test_without_an_iommu_it_is_refused_or_needs_force(self):
        shutil.rmtree(self.fake.sys / "kernel/iommu_groups")
        self.fake.listed[0]["iommu_group"] = None
        self.fake.links[0]["addr_info"] = []
        self.assertIn("there is no IOMMU", self.refusals())
        self.fake.write(self.fake.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
        self.assertIn("write anywhere", self.only_with_force())

    def test_firmware_is_read_without_writing(self):
        self.fake.links[0]["addr_info"] = []
        self.fake.register(MANC, 1 << 17)
        self.assertIn("management controller", decide.verdict_text(decide.decide(self.fake.read()), False))
        self.fake.register(MANC, 1 << 18)
        self.assertIn("management session", self.only_with_force())

    def test_firmware_of_a_sleeping_card_is_not_read(self):
        self.fake.write(self.fake.sys / "bus/pci/devices" / A / "power_state", "D3hot\n")
        self.assertIn("low power", self.fake.read().ports[0].firmware.unread)

    def test_a_missing_carrier_is_a_warning_for_two_ports(self):
        self.fake.links[0]["addr_info"] = []
        self.fake.write(self.fake.sys / "class/net/eth5/carrier", "0\n")
        one = self.fake.read()
        self.assertNotIn("cable", " ".join(decide.decide(one).warnings), "one port loops")
        decision = decide.decide(dataclasses.replace(one, ports=one.ports * 2))
        self.assertIn("cable", " ".join(decision.warnings))
        self.assertTrue(decision.may_go_on(False))


class Steps(unittest.TestCase):
    def test_are_in_order_and_possible(self):
        self.assertEqual(chosen_steps(None, one_port=False), ["cable", "probes", "conformance", "rates", "recordings"])
        self.assertEqual(chosen_steps(["rates", "cable"], one_port=False), ["cable", "rates"])
        with self.assertRaisesRegex(LabError, "no step 'loopback' for two ports"):
            chosen_steps(["loopback"], one_port=False)
        with self.assertRaisesRegex(LabError, "no step 'recordings' for one port"):
            chosen_steps(["recordings"], one_port=True)

    def test_of_one_port_look_for_a_loop_where_it_is_needed(self):
        self.assertEqual(chosen_steps(None, one_port=True), ["probes", "loopback", "conformance", "rates"])
        self.assertEqual(chosen_steps(["rates", "loopback"], one_port=True), ["loopback", "rates"])
        self.assertEqual(chosen_steps(["conformance"], one_port=True), ["loopback", "conformance"])
        self.assertEqual(chosen_steps(["probes"], one_port=True), ["probes"])


class GiveBack(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.calls = self.folder / "calls"
        self.pollux = self.folder / "pollux"

    def fake_pollux(self, script: str) -> None:
        self.pollux.write_text(f"#!/bin/sh\necho \"$@\" >>{self.calls}\n{script}\n")
        self.pollux.chmod(0o755)

    def state(self) -> give_back.State:
        return give_back.State(str(self.pollux), [{"address": A, "driver": "igb", "interfaces": []}, {"address": B, "driver": "vfio-pci", "interfaces": []}])

    def test_only_what_was_taken_is_given_back(self):
        self.fake_pollux("exit 0")
        self.assertEqual(give_back.give_back(self.state()), [])
        self.assertEqual(self.calls.read_text(), f"unbind {A}\n")

    def test_a_busy_device_is_tried_again(self):
        self.fake_pollux(f"[ $(wc -l <{self.calls}) -ge 3 ]")
        self.assertEqual(give_back.give_back(self.state()), [])
        self.assertEqual(len(self.calls.read_text().splitlines()), 3)

    def test_the_state_is_kept_while_something_is_not_given_back(self):
        self.state().write(self.folder)
        self.assertFalse(give_back.report(["x"], self.folder))
        self.assertEqual(give_back.saved_state(self.folder), self.state())
        self.assertTrue(give_back.report([], self.folder))
        self.assertIsNone(give_back.saved_state(self.folder))

    def test_the_keeper_gives_back_after_a_kill(self):
        self.fake_pollux("exit 0")
        self.state().write(self.folder)
        script = (f"import pathlib, time; from pollux_lab.silicon.give_back import Keeper\n"
                  f"with Keeper(pathlib.Path({str(self.folder)!r})): print('ready', flush=True); time.sleep(60)")
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            self.assertEqual(child.stdout.readline(), "ready\n")
            self.assertFalse(self.calls.exists())
            child.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while give_back.saved_state(self.folder) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.calls.read_text(), f"unbind {A}\n")
        self.assertIsNone(give_back.saved_state(self.folder))

    def test_addresses_are_set_as_they_were(self):
        entry = {"local": "192.0.2.7", "prefixlen": 24, "broadcast": "192.0.2.255", "scope": "global", "dynamic": True, "valid_life_time": 900,
                 "preferred_life_time": 800, "noprefixroute": True}
        words = " ".join(give_back._address_words(entry, "eth5"))
        self.assertEqual(words, "address add 192.0.2.7/24 dev eth5 broadcast 192.0.2.255 scope global noprefixroute valid_lft 900 preferred_lft 800")


LIST = """Ports/Traffic.
  CarriesFrames/given  # TypeParam
  Loses/given
Ports/Life.
  Ends/given
"""
PRINTED = """[ RUN      ] Ports/Traffic.CarriesFrames/given
[       OK ] Ports/Traffic.CarriesFrames/given (12 ms)
[ RUN      ] Ports/Traffic.Loses/given
x.cpp:7: Failure
  3 frames are missing
[  FAILED  ] Ports/Traffic.Loses/given (5 ms)
[ RUN      ] Ports/Life.Ends/given
"""


class Report(unittest.TestCase):
    def test_every_listed_case_has_a_result(self):
        cases = results.gtest_cases(LIST, PRINTED, "it was ended by signal 9")
        self.assertEqual([case.state for case in cases], ["passed", "failed", "failed"])
        self.assertIn("3 frames are missing", cases[1].reason)
        self.assertIn("did not end: it was ended by signal 9", cases[2].reason)

    def test_a_partial_line_of_a_killed_program_is_left_out(self):
        self.assertEqual(results.json_lines('{"probe": "a"}\nwords\n{"probe": "b'), [{"probe": "a"}])

    def test_a_rate_has_median_and_spread(self):
        rate = results.rate_of("pktgen", 64, [(1.0, 0), (3.0, 2), (1.5, 0)])
        self.assertEqual((rate["median"], rate["least"], rate["most"], rate["lost"]), (1.5, 1.0, 3.0, 2))

    def test_a_differing_answer_is_no_failure(self):
        fact = {"tag": "I-RDT", "what": "RDT", "said": "5", "expected": "0", "agrees": False}
        found = results.Results(answers=[{"facts": [fact]}])
        found.add("probe", "kept_bits", "passed")
        self.assertEqual(found.last_line(), "1 passed, 0 failed, 0 skipped")
        self.assertIn("differs  I-RDT: RDT: 5, expected 0", found.as_text())

    def test_names_and_addresses_are_removed(self):
        scrub = archive.Scrubber(["192.0.2.7"], host="lab-17.example.org")
        text = scrub("lab-17 kernel: igb 90:e2:ba:12:34:56 at 192.0.2.7, [140 v1] Device Serial Number 90-e2-ba-ff-ff-12-34-56; lab-17.example.org")
        for word in ("lab-17", "192.0.2.7", "12:34:56", "12-34-56"):
            self.assertNotIn(word, text)
        self.assertIn("90:e2:ba:xx:xx:xx", text)


class Command(unittest.TestCase):
    def refuses(self, hint: str, *words: str) -> None:
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/silicon", *words)
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertIn(hint, outcome.stderr)

    def test_wrong_arguments_are_refused_before_anything_is_installed(self):
        self.refuses("name two ports", "0000:01:00.0")
        self.refuses("the two ports are the same", A, A)
        self.refuses("not a PCI address", "eth0", A)
        self.refuses("unknown option", "--all", A, B)
        self.refuses("--loopback takes one port", "--loopback", A, B)

    def test_looking_changes_nothing_and_says_why_it_would_refuse(self):
        with Sandbox() as sandbox:
            programs = sandbox.folder / "programs"
            programs.mkdir()
            for name in ("pollux", "l2fwd", "pktgen", "silicon_probe", "conformance_test"):
                (programs / name).write_text(f"#!/bin/sh\necho {name} \"$@\" >>{sandbox.folder}/calls\necho '{{\"devices\": []}}'\n")
                (programs / name).chmod(0o755)
            outcome = sandbox.run("tools/silicon", "--look", "--programs", str(programs), A, B)
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertIn("What was found", outcome.stdout)
            self.assertIn(f"refused: {A}: there is no such device", outcome.stdout)
            self.assertIn("nothing was changed", outcome.stderr)
            self.assertEqual((sandbox.folder / "calls").read_text(), "pollux list --json --all\n")
            outcome = sandbox.run("tools/silicon", "--look", "--programs", str(programs), "--output", "/nowhere/x.tar.gz", A, B)
            self.assertIn("the archive cannot be written", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
