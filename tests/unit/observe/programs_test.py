# SPDX-License-Identifier: BSD-3-Clause
"""Looks at a running l2fwd with the pollux command, and with a client of its own, while frames circulate."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

POLLUX = sys.argv.pop()
L3FWD = sys.argv.pop()
PKTGEN = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 60


class Client:
    """One connection to a program's socket."""

    def __init__(self, path: pathlib.Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")

    def result(self, method: str, **params):
        self.socket.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class RunningProgram(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.environment = {"XDG_RUNTIME_DIR": str(self.directory), "PATH": "/usr/bin:/bin"}

    def enterContext(self, manager):  # unittest has it from Python 3.11 on
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def l2fwd(self, *words: str):
        return self.running(L2FWD, "sim:0", "sim:1", "--circulate", "64", *words)

    @contextlib.contextmanager
    def running(self, *words: str):
        program = subprocess.Popen([*words, "--telemetry"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        try:
            path = self.directory / "pollux" / f"{program.pid}.sock"
            deadline = time.monotonic() + SECONDS
            while not path.exists() and program.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            client = Client(path)
            # Frames come once the links are up.
            while not sum(client.result("port.stats", port=port)["rx_packets"] for port in ("plx0", "plx1")) and time.monotonic() < deadline:
                time.sleep(0.01)
            yield client
            client.close()
            program.send_signal(signal.SIGINT)
            output, errors = program.communicate(timeout=SECONDS)
            self.assertEqual(program.returncode, 0, output + errors)
        finally:
            program.kill()
            program.communicate()

    def pollux(self, *words: str, status: int = 0) -> str:
        outcome = subprocess.run([POLLUX, *words], env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, status, outcome.stdout + outcome.stderr)
        return outcome.stdout + outcome.stderr

    def account(self, client: Client) -> dict:
        """The account, which is null if a thread does not come to the end of a burst in time, as on a busy machine."""
        deadline = time.monotonic() + SECONDS
        while (account := client.result("account")) is None:
            self.assertLess(time.monotonic(), deadline, "no thread came to the end of a burst")
        return account

    def check_account(self, client: Client) -> None:
        before = self.account(client)
        for _ in range(20):
            now = self.account(client)
            total = now["received"] + now["made"]
            self.assertEqual(total, now["sent"] + now["dropped"] + now["in_flight"] + now["kept"], now)
            self.assertEqual(now["dropped"], sum(now["drops"].values()), now)
            self.assertTrue(now["holds"], now)
            self.assertGreaterEqual(now["received"], before["received"])
        self.assertGreater(now["received"], before["received"], f"no frame was forwarded meanwhile: {now}")

    def test_the_account_holds_in_every_answer(self):
        with self.l2fwd() as client:
            self.check_account(client)

    def test_the_account_holds_in_every_answer_from_ring_to_ring(self):
        with self.l2fwd("--fused") as client:
            self.check_account(client)

    def test_the_account_holds_in_every_answer_of_two_threads(self):
        cores = sorted(os.sched_getaffinity(0))[:2]
        if len(cores) < 2:
            self.skipTest("two threads need two processors")
        with self.l2fwd("--queues", "2", "--cores", ",".join(map(str, cores))) as client:
            self.check_account(client)

    def test_the_account_holds_in_every_answer_of_a_generator(self):
        with self.running(PKTGEN, "sim:1", "sim:0", "--rate", "20000", "--check") as client:
            self.check_account(client)
            self.assertIn("unsent", self.account(client)["drops"])

    def test_the_account_of_a_router_names_its_drops(self):
        with self.running(L3FWD, "null:?rx=64", "sim:0", "--route", "0.0.0.0/0 1 02:00:00:00:00:01") as client:
            account = self.account(client)
            self.assertTrue(account["holds"])
            drops = account["drops"]
            self.assertGreater(drops["not_for_us"], 0)
            self.assertLessEqual({"ring_full", "no_route", "ttl_expired"}, set(drops))

    def test_what_a_program_drops_is_shown_by_name_wherever_counters_are(self):
        with self.running(L3FWD, "null:?rx=64", "sim:0", "--route", "0.0.0.0/0 1 02:00:00:00:00:01"):
            self.assertRegex(self.pollux("stats", "plx0").partition("drops of the program")[2], r"\n  not_for_us +[1-9]")
            for words, line in ((["top", "--batch", "--updates", "1"], r"of the program itself: .*\nnot_for_us +\S+ +[1-9]"),
                                (["exporter", "--once"], r'pollux_program_drops_total\{.*reason="not_for_us"\} [1-9]')):
                if words[0] in self.pollux("--help"):  # they need libraries
                    self.assertRegex(self.pollux(*words), line)

    def test_a_capture_has_the_frames_that_a_program_drops(self):
        path = self.directory / "drops.pcapng"
        with self.running(L3FWD, "null:?rx=64", "sim:0", "--route", "0.0.0.0/0 1 02:00:00:00:00:01"):
            self.pollux("capture", "plx0", "--drops", "-c", "1000", "-w", str(path))
        self.assertGreater(path.read_bytes().count(b"not_for_us"), 100)

    def test_a_port_that_is_reset_under_traffic_loses_nothing_unnamed(self):
        with self.l2fwd() as client:
            client.result("port.reset", port="plx1")
            account = client.result("account")
            self.assertTrue(account["holds"], account)
            self.assertEqual(client.result("port.info", port="plx1")["state"], "started")

    def test_ports_and_stats_show_it(self):
        with self.l2fwd():
            ports = json.loads(self.pollux("ports", "--json"))
            self.assertEqual([(port["name"], port["uri"], port["program"]) for port in ports],
                             [("plx0", "sim:0", "l2fwd"), ("plx1", "sim:1", "l2fwd")])
            table = self.pollux("ports").splitlines()
            self.assertEqual(table[0].split(), ["PORT", "PID", "PROGRAM", "DRIVER", "STATE", "URI"])
            self.assertEqual(table[1].split(), ["plx0", str(ports[0]["pid"]), "l2fwd", "igb", "started", "sim:0"])
            for name in ("plx1", "sim:1"):
                stats = json.loads(self.pollux("stats", name, "--json"))
                self.assertEqual(stats["uri"], "sim:1")
                self.assertTrue(stats["account"]["holds"])
            self.assertRegex(self.pollux("stats", "plx0"), r"(?s)drops by reason\n  none\nqueues.* holds\n.*by reason\n  none\n$")
            self.assertIn("rx_crc_errors", self.pollux("stats", "plx0", "--all"))
            several = self.pollux("stats", str(ports[0]["pid"]), status=2)
            self.assertIn("plx0 (sim:0", several)
            self.assertIn("plx1 (sim:1", several)
            self.assertIn("plx0 (sim:0", self.pollux("stats", "plx7", status=1))

    def test_settings_are_set_as_they_are_shown(self):
        def shown():
            return dict(line.split("=", 1) for line in self.pollux("show", "plx0").splitlines())

        with self.l2fwd():
            before = shown()
            self.assertEqual((before["mtu"], before["promiscuous"], before["mac"]), ("1500", "on", "none"))
            self.pollux("set", "plx0", "mtu=1400", "vlan_stripping=on", "rx.0.ring=64", "vlans.7=on", "loopback=mac",
                        'rules.7={"match":[],"action":{"kind":"drop"}}', status=1)
            self.assertEqual(shown(), before, "loopback needs a stopped port: all of it is refused")
            self.pollux("set", "plx0", "mtu=1400", "vlan_stripping=on", "rx.0.ring=64", "vlans.7=on", "mac=02:00:00:00:00:07")
            after = shown()
            self.assertEqual(after["mac"], "02:00:00:00:00:07")
            self.assertEqual({name for name in after if after[name] != before.get(name)},
                             {"mtu", "vlan_stripping", "rx.0.ring", "vlans.0", "vlans.7", "mac"})
            self.assertEqual(json.loads(self.pollux("show", "plx0", "--json"))["vlans"], {"0": True, "7": True})
            changed = [f"{name}={value}" for name, value in before.items() if after.get(name) != value]
            self.pollux("set", "plx0", *changed)
            self.assertEqual(shown(), before)
            for wrong, message in (("mtu", "has no value"), ("mtu.=1", "names no setting"), ("=1", "names no setting"),
                                   ("mtu.x=1", "'mtu' is not"), ("MTU=1500", "no member 'MTU'"), ("mtu=big", "'mtu' is not"),
                                   ("rx.9.ring=64", "no element '9'")):
                self.assertIn(message, self.pollux("set", "plx0", wrong, status=2), wrong)
            self.assertIn("given twice", self.pollux("set", "plx0", "mtu=1400", "mtu=1500", status=2))
            self.assertIn("is within one", self.pollux("set", "plx0", "mtu=1400", "mtu.x=1500", status=2))

    def test_a_program_without_telemetry_is_not_there(self):
        self.assertEqual(json.loads(self.pollux("ports", "--json")), [])
        self.assertIn("--telemetry", self.pollux("stats", "plx0", status=1))

    def test_a_program_that_was_killed_leaves_no_name(self):
        program = subprocess.Popen([L2FWD, "sim:0", "sim:1", "--telemetry"], env=self.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while not (self.directory / "pollux" / "plx1.lock").exists():
            time.sleep(0.01)
        program.kill()
        program.wait(SECONDS)
        self.assertTrue((self.directory / "pollux" / f"{program.pid}.sock").exists())
        with self.l2fwd():
            self.assertEqual([port["name"] for port in json.loads(self.pollux("ports", "--json"))], ["plx0", "plx1"])
            self.assertFalse((self.directory / "pollux" / f"{program.pid}.sock").exists())


if __name__ == "__main__":
    unittest.main()
