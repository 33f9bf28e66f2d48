# SPDX-License-Identifier: BSD-3-Clause
"""Lets Prometheus's own tools judge `pollux exporter` and its alert rules, and a Prometheus scrape a running l2fwd."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 60
ROOT = pathlib.Path(__file__).resolve().parents[3]
RULES = ROOT / "docs" / "prometheus"


def tool(name: str) -> str:
    folder = subprocess.run([ROOT / "tools/lib/fetch", "prometheus"], capture_output=True, text=True, timeout=300, check=False)
    if folder.returncode != 0:
        raise AssertionError(folder.stderr)
    return str(pathlib.Path(folder.stdout.strip()) / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return answer.read().decode()


class Exporter(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)
        # A system call that the exporter makes and is not allowed ends it.
        self.environment = {"XDG_RUNTIME_DIR": folder.name, "PATH": "/usr/bin:/bin", "POLLUX_CONFINEMENT": "trap"}

    def start(self, *words: str) -> subprocess.Popen:
        program = subprocess.Popen(words, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.directory)
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        return program

    def start_l2fwd(self) -> subprocess.Popen:
        program = self.start(L2FWD, "sim:0", "sim:1", "--telemetry", "--circulate", "64")
        self.wait_for(lambda: "pollux_program_received_packets_total" in self.metrics())
        return program

    def wait_for(self, condition) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def metrics(self) -> str:
        return subprocess.run([POLLUX, "exporter", "--once"], env=self.environment, capture_output=True, text=True, timeout=SECONDS,
                              check=True).stdout

    def value(self, metrics: str, start: str) -> float:
        lines = [line for line in metrics.splitlines() if line.startswith(start)]
        self.assertEqual(len(lines), 1, f"{start} in {metrics}")
        return float(lines[0].rsplit(" ", 1)[1])

    def test_without_programs_there_are_no_metrics(self):
        self.assertEqual(self.metrics(), "")

    def test_promtool_finds_nothing_wrong_with_the_metrics(self):
        promtool = tool("promtool")
        self.start_l2fwd()
        outcome = subprocess.run([promtool, "check", "metrics"], input=self.metrics(), capture_output=True, text=True, timeout=SECONDS,
                                 check=False)
        self.assertEqual((outcome.returncode, outcome.stdout + outcome.stderr), (0, ""))

    def test_counters_are_those_of_the_program(self):
        program = self.start_l2fwd()
        metrics = self.metrics()
        labels = f'{{pid="{program.pid}",program="l2fwd"'
        self.assertEqual(self.value(metrics, f'pollux_program_up{{pid="{program.pid}"}}'), 1)
        self.assertEqual(self.value(metrics, f"pollux_program_account_holds{labels}"), 1)
        self.assertEqual(self.value(metrics, f'pollux_port_link_up{labels},port="plx0"'), 1)
        self.assertEqual(self.value(metrics, f'pollux_port_speed_bytes{labels},port="plx1"'), 125e6)
        sent = self.value(metrics, f'pollux_port_transmit_packets_total{labels},port="plx0"')
        self.assertGreater(sent, 0)
        self.assertGreater(self.value(self.metrics(), f'pollux_port_transmit_packets_total{labels},port="plx0"'), sent)
        self.assertEqual(self.value(metrics, f'pollux_port_dropped_packets_total{labels},port="plx0",reason="tx_too_long"'), 0)

    def test_a_program_that_hangs_is_down(self):
        program = self.start_l2fwd()
        program.send_signal(signal.SIGSTOP)
        self.assertEqual(self.value(self.metrics(), f'pollux_program_up{{pid="{program.pid}"}}'), 0)
        program.send_signal(signal.SIGCONT)

    def serve(self, path: pathlib.Path, results: dict, requests: list, delay: float = 0) -> None:
        """Answers one client after the other: with a result, with the code of an error, or, without either, not at all."""
        path.parent.mkdir(exist_ok=True)
        listener = self.enterContext(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen()

        def answer(connection: socket.socket) -> None:
            with connection, connection.makefile("r") as lines, contextlib.suppress(OSError):
                for line in lines:
                    request = json.loads(line)
                    requests.append(request["method"])
                    time.sleep(delay)
                    result = results.get((request["method"], request["params"].get("port")))
                    if result is not None:
                        answer = {"error": {"code": result, "what": "-", "hint": "-"}} if isinstance(result, str) else {"result": result}
                        connection.sendall(json.dumps({"id": request["id"], **answer}).encode() + b"\n")

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    answer(listener.accept()[0])

        thread = threading.Thread(target=work)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)

    def enterContext(self, manager):  # unittest has it from Python 3.11 on
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    PROGRAM = {("process", None): {"pid": 7, "program": "x", "version": "1"}, ("pools", None): [], ("account", None): [],
               ("ports", None): [{"name": "plx0"}, {"name": "plx1"}]}

    def test_a_program_that_hangs_in_the_middle_is_down_and_not_waited_for_again(self):
        requests: list[str] = []
        self.serve(self.directory / "pollux" / "7.sock", self.PROGRAM, requests)
        metrics = self.metrics()
        self.assertEqual(self.value(metrics, 'pollux_program_up{pid="7"}'), 0)
        self.assertEqual(self.value(metrics, 'pollux_program_error{pid="7",code="timeout"}'), 1)
        self.assertEqual([method for method in requests if method.startswith("port.")], ["port.stats"])

    def test_a_port_that_is_closed_meanwhile_is_left_out(self):
        requests: list[str] = []
        ports = {("port.stats", "plx0"): "not_found", ("port.stats", "plx1"): {"state": "started"}, ("port.queues", "plx1"): {"rx": []},
                 ("port.link", "plx1"): {"up": True}}
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, **ports}, requests)
        metrics = self.metrics()
        self.assertEqual(self.value(metrics, 'pollux_program_up{pid="7"}'), 1)
        self.assertEqual(self.value(metrics, "pollux_port_link_up{"), 1)
        self.assertNotIn("program_error", metrics)

    def test_a_program_that_is_busy_says_so(self):
        self.serve(self.directory / "pollux" / "7.sock", {("process", None): "busy"}, [])
        metrics = self.metrics()
        self.assertEqual(self.value(metrics, 'pollux_program_up{pid="7"}'), 0)
        self.assertEqual(self.value(metrics, 'pollux_program_error{pid="7",code="busy"}'), 1)

    def test_a_program_that_drips_its_answers_is_down_in_time(self):
        requests: list[str] = []
        ports = [{"name": f"plx{number}"} for number in range(100)]
        answers = {("port.stats", port["name"]): {"state": "started"} for port in ports}
        answers |= {("port.queues", port["name"]): {} for port in ports} | {("port.link", port["name"]): {} for port in ports}
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, **answers, ("ports", None): ports}, requests, delay=0.3)
        begin = time.monotonic()
        metrics = self.metrics()
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(self.value(metrics, 'pollux_program_error{pid="7",code="timeout"}'), 1)

    def test_a_program_has_a_bounded_number_of_samples(self):
        queues = {"rx": [{"packets": 1}] * 30000}
        answers = {("port.stats", "plx0"): {"state": "started"}, ("port.queues", "plx0"): queues, ("port.link", "plx0"): {}}
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, **answers}, [])
        metrics = self.metrics()
        self.assertEqual(self.value(metrics, 'pollux_program_up{pid="7"}'), 0)
        self.assertLess(len(metrics.splitlines()), 11000)

    def test_a_program_has_a_bounded_length_of_text(self):
        name = "x" * 1000
        drops = {f"{number:01000}": 1 for number in range(1500)}
        answers = {("port.stats", name): {"state": "started", "drops": drops}, ("port.queues", name): {}, ("port.link", name): {}}
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, **answers, ("ports", None): [{"name": name}]}, [])
        metrics = self.metrics()
        self.assertEqual(self.value(metrics, 'pollux_program_up{pid="7"}'), 0)
        self.assertLess(len(metrics), 4000000)

    def test_what_a_program_says_has_no_control_characters(self):
        drops = {'evil"} 1\npollux_fake{x="\x1b[2J': 5}
        answers = {("port.stats", "plx0"): {"state": "started", "drops": drops}, ("port.queues", "plx0"): {}, ("port.link", "plx0"): {}}
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, **answers, ("ports", None): [{"name": "plx0"}]}, [])
        metrics = self.metrics()
        self.assertIn("pollux_port_dropped_packets_total", metrics)
        self.assertNotIn("\x1b", metrics)
        self.assertNotIn("\npollux_fake", metrics)

    def test_root_does_not_ask_the_programs_of_others_unasked(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make a directory of another user")
        requests: list[str] = []
        self.serve(self.directory / "pollux" / "7.sock", self.PROGRAM, requests)
        os.chown(self.directory / "pollux", 65534, 65534)
        self.assertEqual((self.metrics(), requests), ("", []))

    def start_exporter(self) -> int:
        port = free_port()
        self.start(POLLUX, "exporter", "--listen", f"127.0.0.1:{port}")
        self.wait_for(lambda: is_open(port))
        return port

    def scrapes_while(self, connections: int, drip: float) -> float:
        """Seconds of a scrape while other connections have begun a request, to which they add a byte now and then."""
        port = self.start_exporter()
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
            for one in sockets:
                with contextlib.suppress(ConnectionError):  # it has lost its place to the next ones
                    one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-a: ")
            over = threading.Event()

            def add_bytes() -> None:
                while drip and not over.wait(drip):
                    for one in sockets:
                        with contextlib.suppress(OSError):
                            one.sendall(b"a")

            thread = threading.Thread(target=add_bytes)
            thread.start()
            time.sleep(0.2)
            begin = time.monotonic()
            fetch(f"http://127.0.0.1:{port}/metrics")
            took = time.monotonic() - begin
            over.set()
            thread.join()
        return took

    def test_idle_connections_do_not_stop_a_scrape(self):
        self.assertLess(self.scrapes_while(40, drip=0), 5)

    def test_idle_connections_get_seconds(self):
        """Also more of them than the server has places."""
        self.assertLess(self.scrapes_while(80, drip=0.5), 5)
        self.assertLess(self.scrapes_while(700, drip=0), 5)

    def test_clients_that_take_nothing_do_not_stop_a_scrape(self):
        """A long text, which no socket takes at once. It is made for all of them."""
        requests: list[str] = []
        name = "x" * 200
        answers = {("port.stats", name): {"state": "started"}, ("port.queues", name): {"rx": [{"packets": 1, "drops": 0}] * 4000},
                   ("port.link", name): {}}
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, **answers, ("ports", None): [{"name": name}]}, requests)
        port = self.start_exporter()
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                one = stack.enter_context(socket.socket())
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.connect(("127.0.0.1", port))
                one.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            self.assertTrue("pollux_program_up" in fetch(f"http://127.0.0.1:{port}/metrics"))
        self.assertLess(requests.count("process"), 50)

    def test_simultaneous_scrapes_share_an_answer(self):
        requests: list[str] = []
        self.serve(self.directory / "pollux" / "7.sock", {**self.PROGRAM, ("ports", None): []}, requests, delay=0.3)
        port = self.start_exporter()
        answers: list[str] = []
        threads = [threading.Thread(target=lambda: answers.append(fetch(f"http://127.0.0.1:{port}/metrics"))) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([self.value(answer, 'pollux_program_up{pid="7"}') for answer in answers], [1] * 100)
        self.assertLess(requests.count("process"), 20)

    def test_what_follows_a_request_does_not_cut_the_answer(self):
        self.start_l2fwd()
        port = self.start_exporter()
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000000))
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            self.assertIn(b"pollux_program_up", answer.read())

    def test_an_address_that_is_in_use_is_an_error(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            outcome = subprocess.run([POLLUX, "exporter", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"], env=self.environment,
                                     capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("--listen", outcome.stderr)

    def test_a_port_alone_is_of_the_machine_itself(self):
        port = free_port()
        exporter = subprocess.Popen([POLLUX, "exporter", "--listen", str(port)], env=self.environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(exporter.communicate)
        self.addCleanup(exporter.kill)
        self.assertEqual(exporter.stdout.readline(), f"serving http://127.0.0.1:{port}/metrics\n")
        listening = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, timeout=SECONDS, check=True)
        self.assertEqual([line.split()[3] for line in listening.stdout.splitlines()], [f"127.0.0.1:{port}"])

    def test_answers_get_and_head_of_metrics_alone(self):
        port = self.start_exporter()

        def ask(method: str, path: str) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()

        for method, path, status in (("GET", "/metrics", 200), ("GET", "/metrics?x=1", 200), ("HEAD", "/metrics", 200),
                                     ("HEAD", "/other", 404), ("GET", "/metrics2", 404), ("POST", "/metrics", 405),
                                     ("GET", "/metrics?" + "x" * 20000, 431)):
            self.assertEqual(ask(method, path), (status, b""), (method, path[:20]))

    def test_an_address_of_ipv6(self):
        if not socket.has_dualstack_ipv6():
            self.skipTest("LEFT OUT: this machine has no IPv6")
        port = free_port()
        self.start(POLLUX, "exporter", "--listen", f"[::1]:{port}")

        def answers() -> bool:
            with contextlib.suppress(urllib.error.URLError):
                return fetch(f"http://[::1]:{port}/metrics") == ""
            return False

        self.wait_for(answers)

    def test_prometheus_scrapes_it(self):
        prometheus = tool("prometheus")
        program = self.start_l2fwd()
        metrics_port, query_port = free_port(), free_port()
        self.start(POLLUX, "exporter", "--listen", f"127.0.0.1:{metrics_port}")
        (self.directory / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nrule_files: ['{RULES}/alerts.yml']\n"
            f"scrape_configs: [{{job_name: pollux, static_configs: [{{targets: ['127.0.0.1:{metrics_port}']}}]}}]\n")
        self.start(prometheus, f"--config.file={self.directory}/prometheus.yml",
                   f"--web.listen-address=127.0.0.1:{query_port}", f"--storage.tsdb.path={self.directory}/data")
        query = urllib.parse.quote('rate(pollux_port_transmit_packets_total{port="plx0"}[1m])')
        rates: list[dict] = []

        def is_scraped() -> bool:
            try:
                rates[:] = json.loads(fetch(f"http://127.0.0.1:{query_port}/api/v1/query?query={query}"))["data"]["result"]
            except (urllib.error.URLError, ConnectionError):
                return False
            return bool(rates) and float(rates[0]["value"][1]) > 0

        self.wait_for(is_scraped)
        self.assertEqual(rates[0]["metric"]["program"], "l2fwd")
        self.assertEqual(rates[0]["metric"]["pid"], str(program.pid))

    def test_the_alert_rules_alert(self):
        promtool = tool("promtool")
        for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
            outcome = subprocess.run([promtool, *words], cwd=RULES, capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)


if __name__ == "__main__":
    unittest.main()
