# SPDX-License-Identifier: BSD-3-Clause
"""Judges the shared object that `pollux ethtool` preloads, without a program of ours and with one that answers nonsense."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "hostile"))
import descriptor_zoo  # noqa: E402

POLLUX = sys.argv.pop()
SHIM = pathlib.Path(POLLUX).parent / "pollux-ethtool.so"
HAS_ETHTOOL = shutil.which("ethtool", path="/usr/sbin:/usr/bin:/sbin")
SECONDS = 60


@unittest.skipUnless(HAS_ETHTOOL, "ethtool is not installed")
class Without(unittest.TestCase):
    """Programs, telemetry and the tool may be missing."""

    def run_pollux(self, *words: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([POLLUX, "ethtool", *words], env=variables, capture_output=True, text=True, timeout=SECONDS, check=False)

    def test_program(self):
        with tempfile.TemporaryDirectory() as folder:
            outcome = self.run_pollux("-S", "plx0", XDG_RUNTIME_DIR=folder, PATH="/usr/bin:/bin")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("--telemetry", outcome.stderr)

    def test_program_that_ended_meanwhile(self):
        outcome = subprocess.run(["ethtool", "-i", "plx0"], capture_output=True, text=True, timeout=SECONDS, check=False,
                                 env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0",
                                      "POLLUX_ETHTOOL_SOCKET": "/nonexistent/1.sock"})
        self.assertIn("the program of plx0 does not answer on /nonexistent/1.sock", outcome.stderr)
        self.assertIn("Cannot get driver information", outcome.stderr)

    def test_other_interfaces_are_the_kernels(self):
        outcome = subprocess.run(["ethtool", "-i", "lo"], capture_output=True, text=True, timeout=SECONDS, check=False,
                                 env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0"})
        self.assertNotIn("pollux", outcome.stderr)


class FakeProgram:
    """Answers each request about a port with the result that a method has, and keeps the parameters."""

    def __init__(self, results: dict):
        self.results = results
        self.requests: list[tuple[str, dict]] = []
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/1.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.folder.cleanup()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("r") as lines, contextlib.suppress(OSError):
                for line in lines:
                    self.answer(connection, json.loads(line))

    def answer(self, connection: socket.socket, request: dict) -> None:
        method = request["method"]
        self.requests.append((method, request["params"]))
        error = {"error": {"code": "not_supported", "what": method, "hint": ""}}
        answer = {"result": self.results[method]} if method in self.results else error
        connection.sendall(json.dumps({"id": request["id"], **answer}).encode() + b"\n")

    def params(self, method: str) -> list[dict]:
        return [params for name, params in self.requests if name == method]

    def ethtool(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["ethtool", *words], capture_output=True, text=True, timeout=SECONDS, check=False,
                              env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0",
                                   "POLLUX_ETHTOOL_SOCKET": self.path})


@unittest.skipUnless(HAS_ETHTOOL, "ethtool is not installed")
class Settings(unittest.TestCase):
    """What ethtool's arguments become."""

    def test_a_direction_that_is_not_named_keeps_its_rings(self):
        with FakeProgram({"port.info": {"limits": {"max_ring": 4096}}, "port.settings": {"settings": {"rx": [{"ring": 512}, {"ring": 256}], "tx": []}},
                          "port.change": None}) as program:
            outcome = program.ethtool("-G", "plx0", "rx", "1024")
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            self.assertEqual([params["settings"] for params in program.params("port.change")],
                             [{"rx": {"0": {"ring": 1024}, "1": {"ring": 1024}}}])


    def test_a_rule_is_added_to_the_rules_that_were_read(self):
        with FakeProgram({"port.info": {"settings": ["rules"]}, "port.change": None,
                          "port.settings": {"settings": {"rules": {"7": {}}}, "tag": "read"}}) as program:
            outcome = program.ethtool("-N", "plx0", "flow-type", "ether", "proto", "0x88b5", "action", "0")
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            change, = program.params("port.change")
            self.assertEqual((list(change["settings"]["rules"]), change["tag"]), (["8"], "read"))

    def test_hashing_of_addresses_switches_their_type_on(self):
        for flow, enabled, sent in (("udp4", ["tcp_ipv4"], ["tcp_ipv4", "ipv4"]), ("udp4", ["udp_ipv4", "ipv4"], ["ipv4"]),
                                    ("sctp6", ["ipv4"], ["ipv4", "ipv6"]), ("tcp4", ["ipv4"], None)):
            with FakeProgram({"port.rss": {"types": enabled}, "port.change": None}) as program:
                outcome = program.ethtool("-N", "plx0", "rx-flow-hash", flow, "sd")
                self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
                self.assertEqual([params["settings"]["rss"]["types"] for params in program.params("port.change")], [] if sent is None else [sent])


@unittest.skipUnless(HAS_ETHTOOL, "ethtool is not installed")
class Hostile(unittest.TestCase):
    """A program that answers nonsense: ethtool ends with an error, and not by a signal."""

    ANSWERS = ("", "x", "{}", "[]", '{"result":null}', '{"result":[]}', '{"result":{"limits":1,"rx":5,"table":{},"counters":[1]}}',
               '{"result":{"words":9999999999,"data":[1],"driver":"igb","counters":{"GPRC":"x"},"rx":[1,null]}}',
               '{"error":{"code":5}}', '{"error":null}', '{"result":[{"id":1,"rule":{"match":[{"protocol":"udp","spec":"zz"}]}}]}')

    def test_answers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/1.sock"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                for answer in self.ANSWERS:
                    for words in (["-i"], ["-S"], ["-x"], ["-d"], ["-k"], ["-n"], ["-e"], ["-g"], ["-c"], []):
                        self.judge(listener, path, answer, words)

    def test_sizes_that_change_between_two_requests(self):
        """ethtool makes room for the first answer, and prints what the second says."""
        sizes = iter([0, 99_000])

        class Growing(FakeProgram):
            def answer(self, connection: socket.socket, request: dict) -> None:
                if request["method"] == "port.rss":
                    self.results["port.rss"] = {"table": [1] * next(sizes, 99_000), "key": ""}
                super().answer(connection, request)

        with Growing({"port.info": {"driver": "igb"}, "port.settings": {"settings": {"rx": [{}, {}]}}}) as program:
            outcome = program.ethtool("-x", "plx0")
            self.assertGreater(len(program.params("port.rss")), 0)
            self.assertGreaterEqual(outcome.returncode, 0)
            self.assertNotIn(" 1 ", outcome.stdout)

    def test_a_driver_whose_dump_ethtool_decodes(self):
        """It reads as far as that driver's dump goes, however short this one is."""
        for driver, shown in (("ibm_emac", "pollux-ibm_emac"), ("igb", "igb"), ("xdp", "xdp")):
            with FakeProgram({"port.info": {"driver": driver}, "process": {},
                              "port.registers": [{"name": "A", "value": 0xFFFFFFFF}]}) as program:
                self.assertIn(f"driver: {shown}\n", program.ethtool("-i", "plx0").stdout)
                self.assertGreaterEqual(program.ethtool("-d", "plx0").returncode, 0)

        class Later(FakeProgram):
            """It has registers once it was asked."""
            def answer(self, connection: socket.socket, request: dict) -> None:
                super().answer(connection, request)
                if request["method"] == "port.registers":
                    self.results["port.registers"] = []

        with Later({"port.info": {"driver": "igb"}, "process": {}}) as program:
            outcome = program.ethtool("-d", "plx0")
            self.assertEqual((outcome.returncode > 0, outcome.stdout), (True, ""), outcome)
            self.assertIn("driver: igb\n", program.ethtool("-i", "plx0").stdout)

    def test_a_link_in_place_of_the_socket(self):
        """Whoever has the folder could lead root's ethtool to a program of root's."""
        with FakeProgram({"port.info": {}, "process": {}}) as program:
            link = program.path + ".link"
            os.symlink(program.path, link)
            program.path = link
            self.assertNotEqual(program.ethtool("-i", "plx0").returncode, 0)
            self.assertEqual(program.requests, [])

    def test_control_characters_are_not_printed(self):
        evil = "\x1b]0;owned\x07\x1b[31m\x7f"
        with FakeProgram({"port.info": {"driver": evil, "uri": evil, "settings": ["rules"]}, "process": {"version": evil},
                          "port.xstats": {"counters": {evil: 1}}, "port.queues": {}, "port.settings": {"settings": {"rules": {"1": {evil: evil}}}},
                          "port.self_test": [{"part": "nvm", "outcome": "failed", "detail": evil}]}) as program:
            for words in (["-i"], ["-S"], ["-n"], ["-t"]):
                outcome = program.ethtool(*words, "plx0")
                self.assertNotRegex(outcome.stdout + outcome.stderr, r"[\x00-\x08\x0b-\x1f\x7f]", words)
            self.assertIn("owned", program.ethtool("-i", "plx0").stdout)

    def test_an_answer_that_nests_too_deep_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/1.sock")
            listener.listen()
            for answer in ('{"result":' + "[" * 200000 + "]" * 200000 + "}", '{"result":[' + "0," * 200000 + "0]}"):
                self.judge(listener, f"{folder}/1.sock", answer, ["-i"])

    def test_a_descriptor_whose_close_waits(self):
        with (tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener,
              descriptor_zoo.Lingering() as sockets):
            listener.bind(f"{folder}/1.sock")
            listener.listen()
            listener.settimeout(SECONDS)
            tool = self.start(["-i"], f"{folder}/1.sock")
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                with sockets.one() as descriptor:
                    socket.send_fds(connection, [b"{}\n"], [descriptor])
                _, errors = tool.communicate(timeout=SECONDS)
        self.assertIn("does not answer", errors)

    def test_a_program_that_never_ends_its_answer(self):
        """It is asked no more: what still came of its answer would be taken for that of the next request."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/1.sock")
            listener.listen()
            listener.settimeout(SECONDS)
            tool = self.start([], f"{folder}/1.sock")  # which asks for several things
            try:
                connection, _ = listener.accept()
                deadline = time.monotonic() + SECONDS
                with connection, contextlib.suppress(OSError):
                    while time.monotonic() < deadline:
                        connection.sendall(b" ")
                        time.sleep(0.2)
                self.assertLess(time.monotonic(), deadline, "ethtool still waits")
            finally:
                tool.kill()
                _, errors = tool.communicate(timeout=SECONDS)
        self.assertEqual(errors.count("does not answer"), 1, errors)

    def start(self, words: list[str], path: str) -> subprocess.Popen:
        return subprocess.Popen(["ethtool", *words, "plx0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"PATH": "/usr/sbin:/usr/bin", "LD_PRELOAD": str(SHIM), "POLLUX_ETHTOOL_PORT": "plx0",
                                     "POLLUX_ETHTOOL_SOCKET": path})

    def judge(self, listener: socket.socket, path: str, answer: str, words: list[str]) -> None:
        tool = self.start(words, path)
        connection, _ = listener.accept()
        with connection, connection.makefile("r") as lines:
            for _ in lines:
                if not answer:
                    break
                try:
                    connection.sendall(answer.encode() + b"\n")
                except OSError:
                    break
        tool.communicate(timeout=SECONDS)
        self.assertGreaterEqual(tool.returncode, 0, f"{words} on {answer}")


if __name__ == "__main__":
    unittest.main()
