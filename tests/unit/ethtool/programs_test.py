# SPDX-License-Identifier: BSD-3-Clause
"""Runs the distribution's ethtool on the ports of an l2fwd that forwards meanwhile."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 60


class Program:
    """A running l2fwd, and a connection to its telemetry."""

    def __init__(self, directory: pathlib.Path, *words: str, card: str = ""):
        self.environment = {"XDG_RUNTIME_DIR": str(directory), "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen([L2FWD, f"sim:0{card}", f"sim:1{card}", "--telemetry", "--circulate", "64", *words], env=self.environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        path = directory / "pollux" / f"{self.process.pid}.sock"
        self.wait_for(path.exists)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.wait_for(lambda: (self.ask("account") or {"received": 0})["received"])

    def wait_for(self, condition) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("l2fwd does not run")
            time.sleep(0.01)

    def ask(self, method: str, **params):
        self.socket.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def end(self) -> None:
        self.lines.close()
        self.socket.close()
        self.process.kill()
        self.process.communicate()


@unittest.skipUnless(shutil.which("ethtool", path="/usr/sbin:/usr/bin:/sbin"), "ethtool is not installed")
class Ethtool(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.program = Program(pathlib.Path(cls.folder.name), "--queues", "2")

    @classmethod
    def tearDownClass(cls):
        cls.program.end()
        cls.folder.cleanup()

    def run_tool(self, *words: str, given: str = "") -> subprocess.CompletedProcess:
        return subprocess.run([POLLUX, "ethtool", *words], env=self.program.environment, input=given, capture_output=True, text=True,
                              timeout=SECONDS, check=False)

    def ethtool(self, *words: str) -> str:
        outcome = self.run_tool(*words)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""), f"{words}: {outcome.stdout}")
        return outcome.stdout

    def refused(self, *words: str) -> str:
        outcome = self.run_tool(*words)
        self.assertNotEqual(outcome.stderr, "", f"{words}: {outcome.stdout}")
        return outcome.stderr

    def values(self, *words: str) -> dict[str, str]:
        """The lines "name: value" of an output."""
        return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in self.ethtool(*words).splitlines())
                if colon}

    def ask(self, method: str, **params):
        return self.program.ask(method, port="plx0", **params)

    def settings(self, port="plx0"):
        return self.program.ask("port.settings", port=port)["settings"]

    def test_driver(self):
        driver = self.values("-i", "plx0")
        process = self.program.ask("process")
        self.assertEqual(driver, {
            "driver": "igb", "version": process["version"], "firmware-version": driver["firmware-version"],
            "expansion-rom-version": "", "bus-info": "sim:0", "supports-statistics": "yes", "supports-test": "yes",
            "supports-eeprom-access": "yes", "supports-register-dump": "yes", "supports-priv-flags": "no"})
        self.assertRegex(driver["firmware-version"], r"^\d+\.\d+")

    def test_a_port_has_several_names(self):
        for name in ("plx1", "sim:1"):
            self.assertEqual(self.values("-i", name)["bus-info"], "sim:1")
        self.assertIn("plx0 (sim:0", self.refused("-i", str(self.program.process.pid)))
        self.assertIn("plx0 (sim:0", self.refused("-S", "eth9"))

    def test_statistics_are_those_of_the_port(self):
        before = self.ask("port.stats")
        shown = {name: int(value) for name, value in self.values("-S", "plx0").items() if value}
        after = self.ask("port.stats")
        for name in ("rx_packets", "tx_packets", "rx_burst_packets", "tx_burst_packets"):
            self.assertLessEqual(before[name], shown[name])
            self.assertLessEqual(shown[name], after[name])
        self.assertGreater(shown["rx_packets"] + shown["tx_packets"], 0)
        # Linux's igb counts the octets of frames with their FCS.
        self.assertEqual(shown["rx_bytes"], 64 * shown["rx_packets"])
        self.assertIn("rx_queue_0_packets", shown)
        self.assertIn("rx_pool_empty", shown)
        names = list(self.values("-S", "plx0"))
        self.assertEqual(names[1:5], ["rx_packets", "tx_packets", "rx_bytes", "tx_bytes"])

    def test_settings(self):
        settings = self.values("plx0")
        self.assertEqual((settings["Speed"], settings["Duplex"], settings["Auto-negotiation"]), ("1000Mb/s", "Full", "on"))
        self.assertEqual((settings["Port"], settings["Link detected"]), ("Twisted Pair", "yes"))
        self.assertEqual(settings["Supports Wake-on"], "pumbg")
        self.assertEqual(settings["Wake-on"], "d")
        self.assertIn("1000baseT/Full", self.ethtool("plx0"))

    def test_link_modes_are_set(self):
        self.ethtool("-s", "plx1", "advertise", "0x028")
        details = self.program.ask("port.link", port="plx1", details=True)["details"]
        self.assertEqual(details["advertised"], ["100/full", "1000/full"])
        self.ethtool("-s", "plx1", "autoneg", "off", "speed", "100", "duplex", "full")
        self.assertEqual(self.settings("plx1")["link"]["forced"], "100/full")
        self.ethtool("-s", "plx1", "autoneg", "on")
        details = self.program.ask("port.link", port="plx1", details=True)["details"]
        self.assertIsNone(self.settings("plx1")["link"]["forced"])
        self.assertIn("1000/full", details["advertised"])
        self.assertIn("10000/full has modes that are not supported", self.refused("-s", "plx1", "advertise", "0x1000"))
        self.assertIn("is not known", self.refused("-s", "plx1", "advertise", "0x100"))
        self.ethtool("-r", "plx1")
        self.program.wait_for(lambda: self.program.ask("port.link", port="plx1")["up"])

    def test_wake_on_lan(self):
        self.ethtool("-s", "plx0", "wol", "gu")
        self.assertEqual({name for name, on in self.settings()["wake"].items() if on}, {"magic", "unicast"})
        self.assertEqual(self.values("plx0")["Wake-on"], "ug")
        self.assertIn("an event of the list", self.refused("-s", "plx0", "wol", "a"))
        self.ethtool("-s", "plx0", "wol", "d")
        self.assertFalse(any(self.settings()["wake"].values()))

    def test_pause(self):
        self.assertEqual(self.values("-a", "plx1")["RX"], "off")
        self.ethtool("-A", "plx1", "rx", "on")
        pause = self.program.ask("port.flow_control", port="plx1")
        self.assertEqual(pause["pause"], {"receive": True, "transmit": False})
        self.assertEqual(self.values("-a", "plx1")["RX"], "on")
        self.ethtool("-A", "plx1", "rx", "off")
        self.program.wait_for(lambda: self.program.ask("port.link", port="plx1")["up"])

    def test_rings(self):
        limit = str(self.ask("port.info")["limits"]["max_ring"])
        lines = self.ethtool("-g", "plx0").splitlines()
        self.assertEqual([line.split() for line in lines if line.startswith(("RX:", "TX:"))],
                         [["RX:", limit], ["TX:", limit], ["RX:", "512"], ["TX:", "512"]])
        self.ethtool("-G", "plx0", "rx", "1024", "tx", "256")
        config = self.settings()
        self.assertEqual({queue["ring"] for queue in config["rx"]}, {1024})
        self.assertEqual({queue["ring"] for queue in config["tx"]}, {256})
        self.assertIn("power of two", self.refused("-G", "plx0", "rx", "1000"))
        self.ethtool("-G", "plx0", "rx", "512", "tx", "512")
        self.assertTrue(self.program.ask("account")["holds"])

    def test_channels_are_the_programs(self):
        lines = self.ethtool("-l", "plx0").splitlines()
        rx = [line.split()[1] for line in lines if line.startswith("RX:")]
        self.assertEqual(rx, ["16", "2"])
        self.assertIn("the program chose", self.refused("-L", "plx0", "rx", "1"))

    def test_coalescing(self):
        self.assertEqual(self.values("-c", "plx0")["rx-usecs"], "0")
        self.ethtool("-C", "plx0", "adaptive-rx", "on", "rx-usecs", "50")
        self.assertEqual({(queue["interval_ns"], queue["adaptive"]) for queue in self.settings()["moderation"].values()}, {(50_000, True)})
        self.assertEqual(self.values("-c", "plx0")["rx-usecs"], "50")
        self.assertIn("rx-usecs and adaptive-rx", self.refused("-C", "plx0", "tx-usecs", "50"))
        self.assertIn("interval", self.refused("-C", "plx0", "rx-usecs", "10000"))
        self.ethtool("-C", "plx0", "adaptive-rx", "off", "rx-usecs", "0")

    def test_features(self):
        features = self.values("-k", "plx0")
        self.assertEqual(features["rx-checksumming"], "on [fixed]")
        self.assertEqual(features["tcp-segmentation-offload"], "on")
        self.assertEqual(features["rx-vlan-offload"], "off")
        self.assertEqual(features["ntuple-filters"], "on [fixed]")
        self.ethtool("-K", "plx0", "rxvlan", "on")
        self.assertEqual(self.values("-k", "plx0")["rx-vlan-offload"], "on")
        self.assertTrue(self.settings()["vlan_stripping"])
        self.ethtool("-K", "plx0", "rxvlan", "off")
        self.assertFalse(self.settings()["vlan_stripping"])
        self.assertIn("Cannot change rx-checksumming", self.refused("-K", "plx0", "rx", "off"))

    def test_registers(self):
        dump = self.ethtool("-d", "plx0")
        registers = {one["name"]: one["value"] for one in self.ask("port.registers")}
        for name in ("CTRL", "RCTL", "TCTL"):
            self.assertIn(f"{name} ", dump)
            self.assertIn(f"0x{registers[name]:08X}", dump)
        self.assertIn("Receiver:                                      enabled", dump)
        ring = next(line for line in dump.splitlines() if "RDLEN  " in line)
        self.assertEqual(int(ring.split()[-1], 16), registers["RDLEN[0]"])
        raw = subprocess.run([POLLUX, "ethtool", "-d", "plx0", "raw", "on"], env=self.program.environment, capture_output=True,
                             timeout=SECONDS, check=True).stdout
        self.assertEqual(len(raw), 740 * 4)
        self.assertEqual(int.from_bytes(raw[555 * 4:556 * 4], "little"), registers["SRRCTL[4]"])

    def test_nvm(self):
        raw = subprocess.run([POLLUX, "ethtool", "-e", "plx0", "raw", "on"], env=self.program.environment, capture_output=True,
                             timeout=SECONDS, check=True).stdout
        nvm = self.ask("port.nvm", first=0, count=64)
        self.assertEqual(len(raw), 2 * nvm["words"])
        self.assertEqual([int.from_bytes(raw[at:at + 2], "little") for at in range(0, 128, 2)], nvm["data"])
        self.assertEqual(self.ethtool("-e", "plx0", "offset", "0x1b", "length", "2").splitlines()[-1].split()[1:],
                         [f"{raw[0x1b]:02x}", f"{raw[0x1c]:02x}"])

    def test_nvm_is_written_with_the_right_magic_only(self):
        self.assertIn("magic", self.refused("-E", "plx0", "magic", "0x1", "offset", "0x3f", "value", "0x5a"))
        self.ethtool("-E", "plx0", "magic", "0x10c98086", "offset", "0x3f", "value", "0x5a")
        nvm = self.ask("port.nvm", first=0x1F, count=1)
        self.assertEqual(nvm["data"][0] >> 8, 0x5A)
        self.assertTrue(nvm["checksum_holds"])

    def test_spread_of_frames(self):
        rss = self.ask("port.rss")
        shown = self.ethtool("-x", "plx0")
        key = ":".join(rss["key"][at:at + 2] for at in range(0, len(rss["key"]), 2))
        self.assertIn(key, shown)
        self.assertIn("toeplitz: on", shown)
        entries = [int(word) for line in shown.splitlines() if re.match(r"\s+\d+:", line) for word in line.split()[1:]]
        self.assertEqual(entries, rss["table"])
        self.ethtool("-X", "plx0", "equal", "1")
        self.assertEqual(set(self.ask("port.rss")["table"]), {0})
        self.ethtool("-X", "plx0", "hkey", ":".join(["6d"] * 40))
        self.assertEqual(self.ask("port.rss")["key"], "6d" * 40)
        self.assertIn("context", self.refused("-X", "plx0", "context", "new"))
        self.ethtool("-X", "plx0", "default")

    def test_which_fields_are_hashed(self):
        self.assertIn("L4 bytes 0 & 1 [TCP/UDP src port]", self.ethtool("-n", "plx0", "rx-flow-hash", "tcp4"))
        self.assertNotIn("L4", self.ethtool("-n", "plx0", "rx-flow-hash", "udp4"))
        self.ethtool("-N", "plx0", "rx-flow-hash", "udp4", "sdfn")
        self.assertIn("udp_ipv4", self.ask("port.rss")["types"])
        self.assertIn("L4 bytes 0 & 1 [TCP/UDP src port]", self.ethtool("-n", "plx0", "rx-flow-hash", "udp4"))
        self.ethtool("-N", "plx0", "rx-flow-hash", "udp4", "sd")
        self.assertNotIn("udp_ipv4", self.ask("port.rss")["types"])
        self.assertIn("both addresses", self.refused("-N", "plx0", "rx-flow-hash", "udp4", "s"))

    def test_flow_rules(self):
        self.assertIn("Total 0 rules", self.ethtool("-n", "plx0"))
        added = self.ethtool("-N", "plx0", "flow-type", "udp4", "dst-port", "53", "action", "0")
        number = re.search(r"ID (\d+)", added)[1]
        rule = self.settings()["rules"][number]
        self.assertEqual([item["protocol"] for item in rule["match"]], ["ipv4", "udp"])
        shown = self.ethtool("-n", "plx0")
        self.assertIn(f"Filter: {number}", shown)
        self.assertIn("Rule Type: UDP over IPv4", shown)
        self.assertIn("Dest port: 53 mask: 0x0", shown)
        self.assertIn("Src port: 0 mask: 0xffff", shown)
        self.assertIn("Action: Direct to queue 0", shown)
        self.ethtool("-N", "plx0", "delete", number)
        self.ethtool("-N", "plx0", "flow-type", "ether", "proto", "0x88b5", "action", "0")
        self.assertIn("Ethertype: 0x88B5 mask: 0x0", self.ethtool("-n", "plx0"))
        self.ethtool("-N", "plx0", "delete", next(iter(self.settings()["rules"])))
        self.assertEqual(self.settings()["rules"], {})

    def test_rules_that_a_port_cannot_have_are_explained(self):
        self.assertIn("chooses the location", self.refused("-N", "plx0", "flow-type", "udp4", "dst-port", "53", "action", "0", "loc", "3"))
        self.assertIn("compares a field", self.refused("-N", "plx0", "flow-type", "ip4", "l4data", "7", "action", "0"))
        self.assertIn("queue 77", self.refused("-N", "plx0", "flow-type", "udp4", "dst-port", "53", "action", "77"))
        self.assertEqual(self.settings()["rules"], {})

    def test_rule_without_a_form_in_ethtool_is_shown_as_such(self):
        match = [{"protocol": "eth"}, {"protocol": "ipv4"}, {"protocol": "udp", "spec": "0000003500000000", "mask": "0000ffff00000000"}]
        self.ask("port.change", settings={"rules": {"7": {"match": match, "action": {"kind": "queue", "queue": 0}}}})
        outcome = self.run_tool("-n", "plx0")
        self.assertIn("Unknown flow type", outcome.stderr)
        self.assertIn("has no form in ethtool", outcome.stderr)
        self.ask("port.change", settings={"rules": {"7": None}})

    def test_time_stamping(self):
        shown = self.ethtool("-T", "plx0")
        self.assertIn("hardware-transmit", shown)
        self.assertIn("PTP Hardware Clock: none", shown)
        self.assertIn("ptpv2-event", shown)

    def test_permanent_address(self):
        self.assertEqual(self.ethtool("-P", "plx0").split()[-1], self.ask("port.info")["permanent_mac"])

    def test_self_test(self):
        shown = self.ethtool("-t", "plx1", "online")
        self.assertIn("The test result is PASS", shown)
        self.assertIn("Link test   (on/offline)\t 0", shown)

    def test_light_is_automatic_again_after_an_interrupt(self):
        tool = subprocess.Popen([POLLUX, "ethtool", "-p", "plx0"], env=self.program.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

        def modes() -> int:
            return next(one["value"] for one in self.ask("port.registers") if one["name"] == "LEDCTL")

        before = modes()
        self.program.wait_for(lambda: modes() != before)
        tool.send_signal(signal.SIGINT)
        output, errors = tool.communicate(timeout=SECONDS)
        self.assertEqual((tool.returncode, output, errors), (0, "", ""))
        self.assertEqual(modes(), before)
        self.ethtool("-p", "plx0", "1")

    def test_reset(self):
        self.ethtool("--reset", "plx1", "dedicated")
        self.assertEqual(self.program.ask("port.info", port="plx1")["state"], "started")
        self.assertIn("as a whole", self.refused("--reset", "plx1", "filter"))
        self.program.wait_for(lambda: self.program.ask("port.link", port="plx1")["up"])

    def test_what_a_port_has_not_is_not_supported(self):
        for option in ("-m", "--show-eee", "--show-priv-flags", "--show-fec", "-w"):
            self.assertRegex(self.refused(option, "plx0"), "not supported|No private flags|not sup")

    def test_a_card_without_nvm_and_phy(self):
        with tempfile.TemporaryDirectory() as folder:
            self.program = Program(pathlib.Path(folder), card="?card=virtio-net")
            self.addCleanup(self.program.end)
            self.assertEqual(self.values("-i", "plx0")["driver"], "virtio_net")
            self.assertEqual(self.values("plx0")["Speed"], "1000Mb/s")
            self.assertIn("Operation not supported", self.refused("-e", "plx0"))
            self.assertIn("no link that can be set", self.refused("-s", "plx0", "speed", "100", "duplex", "full", "autoneg", "off"))
            ports = subprocess.run([POLLUX, "ports"], env=self.program.environment, capture_output=True, text=True, timeout=SECONDS, check=True)
            self.assertIn("virtio_net  started", ports.stdout)

    def test_what_needs_netlink_is_rejected_by_name(self):
        for words in (("--cable-test", "plx0"), ("--json", "-S", "plx0"), ("--monitor",)):
            outcome = self.run_tool(*words)
            self.assertEqual(outcome.returncode, 1)
            self.assertIn(f"ethtool {words[0]} exists by netlink only", outcome.stderr)

    def test_options_of_ethtool_itself_are_passed_on(self):
        self.assertIn("ethtool version", self.ethtool("--version"))
        outcome = self.run_tool("--nonsense", "plx0")
        self.assertIn("ethtool: bad command line argument(s)", outcome.stderr)
        self.assertEqual(self.run_tool().returncode, 2)


if __name__ == "__main__":
    unittest.main()
