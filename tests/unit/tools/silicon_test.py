# SPDX-License-Identifier: BSD-3-Clause
"""tools/silicon without a card: what it finds, when it refuses, how it gives ports back, and what it leaves out of the archive."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from pollux_lab.errors import LabError
from pollux_lab.silicon import archive, decide, results
from pollux_lab.silicon.__main__ import chosen_steps
from pollux_lab.silicon.binding import Binding, only_run, report, unbind
from pollux_lab.silicon.programs import NAMES, Programs
from sandbox import Sandbox

A, B = "0000:01:00.0", "0000:01:00.1"
CHECKS = ("mounts", "iommu", "modules", "access-modes", "huge-pages", "memlock", "card", "host-use", "give-back", "group", "driver",
          "permissions", "in-use", "firmware", "pcie", "aspm", "numa", "link")
DEVICE = {"address": A, "vendor": "Intel", "device": "82576", "vendor_id": "8086", "device_id": "10c9", "pollux_driver": "igb",
          "driver": "igb"}


def finding(name: str, state: str, found: str, command: str | None = None, advice: str | None = None) -> dict:
    return {"check": name, "state": state, "found": found, "why": "", "command": command, "advice": advice}


def port(*faults: dict, address: str = A, **device) -> decide.Port:
    """A port of the kernel that nobody uses, as `pollux doctor` describes it, with these faults."""
    found = {name: finding(name, "ok", f"{name} is fine") for name in CHECKS}
    found["driver"] = finding("driver", "error", "igb", f"pollux bind {address}")
    found["permissions"] = finding("permissions", "unknown", "the files appear when the port is bound")
    for fault in faults:
        found[fault["check"]] = fault
    return decide.Port(address, DEVICE | device, list(found.values()))


class Decisions(unittest.TestCase):
    def refusals(self, *ports: decide.Port) -> str:
        decision = decide.decide(list(ports))
        self.assertFalse(decision.may_go_on(force=True))
        return decide.verdict_text(decision, force=False)

    def only_with_force(self, *ports: decide.Port) -> str:
        decision = decide.decide(list(ports))
        self.assertFalse(decision.may_go_on(force=False))
        self.assertTrue(decision.may_go_on(force=True), decision.refusals)
        return decide.verdict_text(decision, force=False)

    def warning(self, *ports: decide.Port) -> str:
        decision = decide.decide(list(ports))
        self.assertTrue(decision.may_go_on(force=False), decision)
        return " ".join(decision.warnings)

    def test_a_port_that_nobody_uses_may_be_taken(self):
        self.assertEqual(self.warning(port(), port(address=B)), "")
        found = decide.found_text([port()])
        for part in (A, "Intel 82576 [8086:10c9]", "driver igb", "ok       huge-pages     huge-pages is fine"):
            self.assertIn(part, found)

    def test_an_address_needs_force(self):
        text = self.only_with_force(port(finding("host-use", "error", "eth5 has the address 192.0.2.7/24", "ip address del ...")))
        self.assertIn("refused: host-use: eth5 has the address 192.0.2.7/24\n  what to do: ip address del ...; or --force", text)

    def test_a_route_is_refused(self):
        route = port(finding("host-use", "error", "eth5 carries the route default", "ip route del default"))
        self.assertIn("carries the route default", self.only_with_force(route))

    def test_what_does_not_come_back_is_refused(self):
        session = finding("give-back", "warning", "eth5 carries your own ssh session", None, "log in elsewhere")
        text = self.refusals(port(session))
        self.assertEqual(text, "refused: give-back: eth5 carries your own ssh session\n  what to do: log in elsewhere")

    def test_another_device_of_the_group_is_refused(self):
        text = self.refusals(port(finding("group", "error", "group 7: drivers of the kernel have 0000:02:00.0 (ahci)")))
        self.assertIn("0000:02:00.0 (ahci)", text)

    def test_a_process_that_has_a_port_is_refused(self):
        self.assertIn("what to do: kill 42", self.refusals(port(finding("in-use", "error", "process 42 (l2fwd)", "kill 42"))))

    def test_another_card_and_no_card_are_refused(self):
        self.assertIn(f"{A} is not an 82576", self.refusals(port(pollux_driver=None)))
        gone = decide.Port(A, missing=(f"there is no PCI device {A}", "see `pollux list`"))
        self.assertEqual(self.refusals(gone, gone), f"refused: there is no PCI device {A}\n  what to do: see `pollux list`")

    def test_an_82574_is_taken_but_not_beside_an_82576(self):
        self.assertTrue(decide.decide([port(pollux_driver="e1000e"), port(address=B, pollux_driver="e1000e")]).may_go_on(force=False))
        self.assertIn("different drivers: e1000e, igb", self.refusals(port(), port(address=B, pollux_driver="e1000e")))

    def test_the_conformance_suite_learns_which_card_it_is(self):
        self.assertEqual(decide.kind_of({"device_id": "1533", "pollux_driver": "igb"}), "i210")
        self.assertEqual(decide.kind_of({"device_id": "10c9", "pollux_driver": "igb"}), "igb")

    def test_without_an_iommu_it_is_refused_or_needs_force(self):
        self.assertIn("there are no", self.refusals(port(finding("iommu", "error", "off: there are no IOMMU groups"))))
        self.assertIn("all of this", self.only_with_force(port(finding("iommu", "warning", "the card can access all of this"))))

    def test_a_management_session_needs_force(self):
        self.assertIn("session", self.only_with_force(port(finding("firmware", "error", "a management session runs"))))
        self.assertIn("controller", self.warning(port(finding("firmware", "warning", "the management controller receives"))))

    def test_what_binding_mends_does_not_matter(self):
        missing = [finding("modules", "error", "not loaded: vfio-pci", "modprobe -a vfio-pci"),
                   finding("access-modes", "error", "no group")]
        self.assertEqual(self.warning(port(*missing)), "")
        self.assertIn("1. load kernel modules: modprobe -a vfio-pci", decide.plan_text([port(*missing)], [], "x.tar.gz"))
        self.assertIn("no group", self.refusals(port(missing[1])))

    def test_what_is_not_known_is_a_warning(self):
        unknown = finding("host-use", "unknown", "2 network namespaces cannot be read")
        self.assertIn("not known: host-use: 2 network namespaces", self.warning(port(unknown)))
        self.assertIn("not known: give-back: no netlink", self.warning(port(finding("give-back", "unknown", "no netlink"))))
        unread = port(finding("firmware", "unknown", "the card is disabled"))
        self.assertEqual(self.warning(unread), "")
        self.assertIn("unknown  firmware       the card is disabled", decide.found_text([unread]))
        self.assertNotIn("permissions", decide.found_text([unread]))

    def test_a_missing_carrier_is_a_warning_for_two_ports(self):
        down = finding("link", "warning", "eth5 has no link", None, "plug in a cable")
        self.assertEqual(self.warning(port(down)), "", "one port loops")
        self.assertEqual(self.warning(port(down), port(address=B)), f"{A}: link: eth5 has no link (plug in a cable)")

    def test_a_finding_of_the_machine_is_told_once(self):
        small = finding("huge-pages", "warning", "0 of 0", "echo 64")
        self.assertEqual(self.warning(port(small), port(small, address=B)), "huge-pages: 0 of 0 (echo 64)")

    def test_a_port_that_vfio_has_stays_there(self):
        bound = port(finding("driver", "ok", "vfio-pci"), address=B)
        self.assertEqual(decide.taken([port(), bound]), [A])
        plan = decide.plan_text([port(), bound], ["test"], "x.tar.gz")
        self.assertIn(f"1. take {A} from the kernel", plan)
        self.assertIn(f"3. give {A} back to the drivers that they had, with their addresses and routes", plan)

    def test_the_doctor_is_asked_about_both_ports_together(self):
        with tempfile.TemporaryDirectory() as folder:
            pollux = script(pathlib.Path(folder, "pollux"), f"""echo "$@" >>{folder}/calls
            case "$*" in
              *no-json*) echo words; exit 1 ;;
              *{B}*--with*{A}*) echo 'pollux: no {B}' >&2; echo '  hint: look' >&2; exit 2 ;;
            esac
            echo '{{"device": {{"driver": "igb"}}, "checks": []}}'; exit 1""")
            ports = decide.look(pollux, [A, B])
            self.assertEqual(ports, [decide.Port(A, {"driver": "igb"}, []), decide.Port(B, missing=(f"no {B}", "look"))])
            user = "" if os.geteuid() == 0 else "--user root "
            calls = pathlib.Path(folder, "calls").read_text().splitlines()
            self.assertEqual(calls, [f"doctor --json {user}{A} --with {B}", f"doctor --json {user}{B} --with {A}"])
            with self.assertRaisesRegex(LabError, "'pollux doctor no-json' failed with status 1"):
                decide.look(pollux, ["no-json"])
            with self.assertRaisesRegex(LabError, "'pollux doctor 0000:01:00.0' failed: .*No such file"):
                decide.look(f"{folder}/none", [A])


def script(file: pathlib.Path, text: str) -> str:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


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


# Stands in for `pollux bind --hold`: gives the ports back when its input ends.
HOLD = """echo "the ports are given back when standard input ends"
cat >/dev/null
echo "gave back" >>$CALLS; exit $STATUS"""


class GiveBack(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.calls = self.folder / "calls"
        (self.folder / "logs").mkdir()
        for name in NAMES:
            script(self.folder / name, "true")

    def fake_pollux(self, bind: str = HOLD, unbind: str = "exit 0", status: int = 0) -> None:
        script(self.folder / "pollux", f"""CALLS={self.calls} STATUS={status}
        echo "$@" >>$CALLS
        case $1 in bind) {bind} ;; unbind) {unbind} ;; esac""")

    def binding(self) -> Binding:
        return Binding(Programs(self.folder, self.folder / "logs"), [A, B], [A], force=True)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()

    def test_ports_are_held_until_they_are_given_back(self):
        self.fake_pollux()
        binding = self.binding()
        self.assertEqual(binding.give_back(), [], "none was taken")
        binding.take()
        self.assertEqual(self.called(), [f"bind --hold --force {A} {B}"])
        self.assertEqual(binding.give_back(), [])
        self.assertEqual(self.called()[1:], ["gave back"])

    def test_a_refused_bind_names_its_reason(self):
        self.fake_pollux(bind="echo 'pollux: no such card' >&2; exit 1")
        binding = self.binding()
        with self.assertRaisesRegex(LabError, "'pollux bind' failed: pollux: no such card"):
            binding.take()
        self.assertEqual(binding.give_back(), [])

    def test_only_what_was_taken_is_given_back(self):
        self.fake_pollux(status=1)
        binding = self.binding()
        binding.take()
        self.assertEqual(binding.give_back(), [])
        self.assertEqual(self.called()[1:], ["gave back", f"unbind {A}"], "what could not be given back is tried again")

    def test_a_busy_device_is_tried_again(self):
        self.fake_pollux(unbind=f"[ $(wc -l <{self.calls}) -ge 3 ]; exit $?")
        self.assertEqual(unbind(str(self.folder / "pollux"), [A]), [])
        self.assertEqual(self.called(), [f"unbind {A}"] * 3)

    def test_what_is_not_given_back_is_told_with_the_command(self):
        with contextlib.redirect_stderr(io.StringIO()) as told:
            self.assertFalse(report([f"{A}: x"], [A, B]))
        self.assertEqual(told.getvalue(), f"silicon: NOT given back: {A}: x\n"
                                          f"silicon: run 'tools/silicon --give-back {A} {B}' to try again\n")
        self.assertTrue(report([], [A, B]))

    def test_ports_are_given_back_after_a_kill(self):
        self.fake_pollux()
        run = ("import pathlib, time\n"
               "from pollux_lab.silicon.binding import Binding\n"
               "from pollux_lab.silicon.programs import Programs\n"
               f"folder = pathlib.Path({str(self.folder)!r})\n"
               f"Binding(Programs(folder, folder / 'logs'), ['{A}'], ['{A}'], force=False).take()\n"
               "print('ready', flush=True)\ntime.sleep(60)")
        with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            self.assertEqual(child.stdout.readline(), "ready\n")
            self.assertEqual(self.called(), [f"bind --hold {A}"])
            child.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while len(self.called()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.called()[1:], ["gave back"])

    def test_one_run_at_a_time(self):
        with only_run(self.folder / "run"):
            with self.assertRaisesRegex(LabError, "runs on this machine already"):
                with only_run(self.folder / "run"):
                    self.fail("two at once")


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
        scrub = archive.Scrubber(host="lab-17.example.org")
        text = scrub("lab-17 kernel: igb 90:e2:ba:12:34:56 at 192.0.2.7, [140 v1] Device Serial Number 90-e2-ba-ff-ff-12-34-56;"
                     " lab-17.example.org; ip -6 route del 2001:db8:7::/48 via fe80::92e2:baff:fe12:3456")
        for word in ("lab-17", "192.0.2.7", "12:34:56", "12-34-56", "2001", "fe12"):
            self.assertNotIn(word, text)
        self.assertIn("90:e2:ba:xx:xx:xx", text)
        kept = "at 12:34:56, 0000:01:00.0 and vfio:0000:01:00.0: igb 5.6.0-k, pollux::igb on 127.0.0.1 and ::"
        self.assertEqual(scrub(kept), kept)


class Command(unittest.TestCase):
    def refuses(self, hint: str, *words: str) -> None:
        with Sandbox() as sandbox:
            outcome = sandbox.run("tools/silicon", *words)
            self.assertEqual(outcome.returncode, 2, outcome)
            self.assertIn(hint, outcome.stderr)

    def test_wrong_arguments_are_refused_before_anything_is_installed(self):
        self.refuses("name two ports", "0000:01:00.0")
        self.refuses("the two ports are the same", A, A)
        self.refuses("not a PCI address", "eth0", A)
        self.refuses("unknown option", "--all", A, B)
        self.refuses("--loopback takes one port", "--loopback", A, B)
        self.refuses("--give-back needs the ports", "--give-back")
        self.refuses("name two ports", "--look")

    def test_looking_changes_nothing_and_says_why_it_would_refuse(self):
        with Sandbox() as sandbox:
            programs = sandbox.folder / "programs"
            programs.mkdir()
            for name in NAMES:
                script(programs / name, f"""echo {name} "$@" >>{sandbox.folder}/calls
                echo 'pollux: there is no PCI device {A}' >&2; echo '  hint: see `pollux list`' >&2; exit 2""")
            outcome = sandbox.run("tools/silicon", "--look", "--programs", str(programs), A, B)
            self.assertEqual(outcome.returncode, 1, outcome)
            self.assertIn("What was found", outcome.stdout)
            self.assertIn(f"refused: there is no PCI device {A}\n  what to do: see `pollux list`\n", outcome.stdout)
            self.assertIn("nothing was changed", outcome.stderr)
            calls = (sandbox.folder / "calls").read_text().splitlines()
            self.assertEqual([call.split()[:2] for call in calls], [["pollux", "doctor"]] * 2)
            outcome = sandbox.run("tools/silicon", "--look", "--programs", str(programs), A)
            self.assertEqual(outcome.returncode, 1, "one port may be looked at, too")
            self.assertIn(f"refused: there is no PCI device {A}\n", outcome.stdout)
            outcome = sandbox.run("tools/silicon", "--look", "--programs", str(programs), "--output", "/nowhere/x.tar.gz", A, B)
            self.assertIn("the archive cannot be written", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
