# SPDX-License-Identifier: BSD-3-Clause
"""`l2fwd --hand-over` is replaced again and again while others send through it: each frame is counted, and no link goes down. With
POLLUX_OTHER_LAYOUT each second program has mbufs of another layout."""

import itertools
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from namespaces import SECONDS, Host, enter_own_namespace, run
from pollux_lab import other_layout

L2FWD = sys.argv.pop()
PROGRAMS = [L2FWD]
STARTS = itertools.count()
TIMES = int(os.environ.get("POLLUX_HANDOVERS", "10"))
NOBODY = 65534
URIS = ["xdp:plxx0?rule=all", "xdp:plxx1?rule=all"]

# Sends frames with a number until there is a line to read.
SEND = """
import select, socket, struct, sys, time
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
sender.bind(("plxy0", 0))
head = bytes.fromhex("020000000001" "020000000002" "88b5")
number = 0
while number % 64 or not select.select([sys.stdin], [], [], 0)[0]:
    sender.send(head + struct.pack("!Q", number) + bytes(64 + number * 7 % 1300))
    number += 1
    time.sleep(0.00005)
print(number)
"""
# Receives them until there is an end of input and nothing has come for two seconds. Says how many of them, how often one twice, and the longest
# pause.
RECEIVE = """
import json, select, socket, struct, sys, time
receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 27)  # SO_RCVBUFFORCE
receiver.bind(("plxy1", 0x88B5))
receiver.settimeout(2)
print("ready", flush=True)
seen, again, wrong, late, last, pause, before, ends = bytearray(), 0, 0, 0, 0, 0.0, None, False
while True:
    try:
        frame = receiver.recv(2048)
    except TimeoutError:
        if ends:
            break
        ends = bool(select.select([sys.stdin], [], [], 0)[0])
        continue
    now = time.monotonic()
    number = struct.unpack("!Q", frame[14:22])[0]
    wrong += frame != bytes.fromhex("020000000001" "020000000002" "88b5") + frame[14:22] + bytes(64 + number * 7 % 1300)
    if number >= len(seen):
        seen.extend(bytes(min(number, 1 << 32) - len(seen) + 100_000))
    again += seen[number]
    late += number < last
    seen[number], last = 1, number
    pause, before = max(pause, now - (before or now)), now
print(json.dumps({"count": sum(seen), "again": again, "wrong": wrong, "out_of_order": late, "pause_us": round(pause * 1e6)}))
"""


def setUpModule():
    if os.environ.get("POLLUX_OTHER_LAYOUT"):
        PROGRAMS.append(str(other_layout.l2fwd()))
    enter_own_namespace()


def next_program() -> str:
    return PROGRAMS[next(STARTS) % len(PROGRAMS)]


def open_descriptors(process: subprocess.Popen) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def memory_of(process: subprocess.Popen) -> int:
    """Bytes of the memory files that it maps."""
    files = {}
    for line in pathlib.Path(f"/proc/{process.pid}/maps").read_text().splitlines():
        if "/memfd:" in line:
            found = os.stat(f"/proc/{process.pid}/map_files/{line.split()[0]}")
            files[found.st_ino] = found.st_blocks * 512
    return sum(files.values())


class Forwarder:
    """An `l2fwd` that takes the ports over from the one before it, if there is one."""

    def __init__(self, path: str, *words: str, user: int | None = None) -> None:
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([next_program(), *URIS, "--no-mac-updating", "--json", "--mbufs", "2048", "--hand-over", path, *words],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, user=user)

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"l2fwd does not say '{text}': {self.said()}")
            time.sleep(0.01)

    def summary(self, *, stop: bool = False) -> dict:
        """What it says at its end, which has come with a handover."""
        if stop:
            self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=SECONDS)
        if self.process.returncode != 0:
            raise AssertionError(f"status {self.process.returncode}: {self.said()}")
        return json.loads(output.splitlines()[-1])["summary"]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=SECONDS)
        self.log.close()


class Veths(unittest.TestCase):
    """Two interfaces, whose other ends are in a host each."""

    def setUp(self):
        run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        self.hosts = []
        self.addCleanup(lambda: [host.end() for host in self.hosts])
        for number in (0, 1):
            run("ip", "link", "add", f"plxx{number}", "type", "veth", "peer", "name", f"plxy{number}")
            self.addCleanup(run, "ip", "link", "del", f"plxx{number}", check=False)
            run("ip", "link", "set", f"plxx{number}", "up")
            host = Host()
            self.hosts.append(host)
            host.take(f"plxy{number}", f"10.6.0.{number + 1}/24")
            host.run("ethtool", "-K", f"plxy{number}", "tx", "off", "tso", "off", "gso", "off")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = self.folder.name + "/handover"
        self.monitor = subprocess.Popen(["ip", "-o", "monitor", "link"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.monitor.stdout.close)
        self.addCleanup(self.monitor.wait)
        self.addCleanup(self.monitor.kill)

    def links_that_went_down(self) -> list[str]:
        self.monitor.terminate()
        said = self.monitor.communicate(timeout=SECONDS)[0]
        return [line for line in said.splitlines() if "NO-CARRIER" in line or "state DOWN" in line or "Deleted" in line]


class Replaced(Veths):
    def start(self, *words: str) -> Forwarder:
        program = Forwarder(self.path, *words)
        self.addCleanup(program.end)
        program.wait_for("forwarding")
        return program

    def replace(self, old: Forwarder) -> tuple[Forwarder, dict, int]:
        """The next program, what the one before says at its end, and for how long the queues stood still in microseconds."""
        new = self.start()
        still = re.search(r"stood still for (\d+) us", new.said())
        self.assertIsNotNone(still, new.said())
        return new, old.summary(), int(still[1])

    def test_no_frame_is_lost_while_the_program_is_replaced(self):
        receiver = subprocess.Popen(self.hosts[1].command(sys.executable, "-c", RECEIVE), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(receiver.kill)
        self.assertEqual(receiver.stdout.readline(), "ready\n")
        program = self.start()
        sender = subprocess.Popen(self.hosts[0].command(sys.executable, "-c", SEND), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(sender.kill)
        summaries, still, descriptors, memory = [], [], [], []
        for _ in range(TIMES):
            time.sleep(0.1)
            program, summary, outage = self.replace(program)
            summaries.append(summary)
            still.append(outage)
            descriptors.append(open_descriptors(program.process))
            memory.append(memory_of(program.process))
        time.sleep(0.1)
        sent = int(sender.communicate("\n", timeout=SECONDS)[0])
        received = json.loads(receiver.communicate(timeout=SECONDS)[0])
        summaries.append(program.summary(stop=True))
        missed = sum(port["rx_missed_errors"] for summary in summaries for port in summary["cards"])
        print(f"{TIMES} handovers, {sent} frames: queues stood still for {sorted(still)[len(still) // 2]} us (median), {max(still)} us (worst); "
              f"longest pause of the receiver {received['pause_us']} us; {missed} frames found a full ring", file=sys.stderr)
        self.assertEqual(received | {"pause_us": 0}, {"count": sent - missed, "again": 0, "wrong": 0, "out_of_order": 0, "pause_us": 0})
        self.assertEqual(sum(summary["received"] for summary in summaries), sent - missed)
        self.assertEqual(sum(summary["sent"] for summary in summaries), sent - missed)
        self.assertEqual([summary["drops"] for summary in summaries if any(summary["drops"].values())], [])
        self.assertEqual(self.links_that_went_down(), [])
        self.assertEqual(len(set(descriptors)), 1, descriptors)
        # The first program's frames stay, those of the others do not.
        self.assertLess(max(memory), memory[0] + (1 << 20), memory)

    def test_udp_of_iperf3_goes_on(self):
        server = subprocess.Popen(self.hosts[1].command("iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        program = self.start()
        self.hosts[0].ping("10.6.0.2")
        client = subprocess.Popen(self.hosts[0].command("iperf3", "-c", "10.6.0.2", "-u", "-b", "20M", "-l", "1000", "-t", "3", "-J"),
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.kill)
        summaries = []
        for _ in range(TIMES):
            time.sleep(0.1)
            program, summary, _ = self.replace(program)
            summaries.append(summary)
        result = json.loads(client.communicate(timeout=SECONDS)[0])
        summaries.append(program.summary(stop=True))
        self.assertNotIn("error", result)
        self.assertGreater(result["end"]["sum"]["packets"], 1000)
        # Where others take the processors, iperf3's socket and the rings may be full for a moment. Each loss has a name, then.
        missed = sum(port["rx_missed_errors"] for summary in summaries for port in summary["cards"])
        dropped = sum(sum(summary["drops"].values()) for summary in summaries)
        names, values = (line.split()[1:] for line in self.hosts[1].run("grep", "^Udp:", "/proc/net/snmp").splitlines())
        full = int(values[names.index("RcvbufErrors")])
        self.assertLessEqual(result["end"]["sum"]["lost_packets"], missed + dropped + full)
        self.assertEqual(sum(summary["received"] for summary in summaries), sum(summary["sent"] for summary in summaries) + dropped)

    def test_a_tcp_connection_survives(self):
        server = subprocess.Popen(self.hosts[1].command("iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        program = self.start()
        self.hosts[0].ping("10.6.0.2")
        client = subprocess.Popen(self.hosts[0].command("iperf3", "-c", "10.6.0.2", "-n", "20M", "-J"), stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.kill)
        for _ in range(3):
            time.sleep(0.1)
            program, _, _ = self.replace(program)
        self.assertNotIn("error", json.loads(client.communicate(timeout=SECONDS)[0]))
        program.summary(stop=True)

    def test_another_user_gets_nothing(self):
        os.chmod(self.folder.name, 0o755)
        program = self.start()
        reached = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--clear-groups", sys.executable, "-c", f"""
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect({self.path!r})"""], stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        self.assertIn("PermissionError", reached.stderr)
        os.chmod(self.path, 0o666)  # as somebody might do
        reached = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--clear-groups", sys.executable, "-c", f"""
import socket
client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
client.connect({self.path!r})
client.settimeout(10)
client.send(b'{{"message": "hello"}}')
data, descriptors, flags, _ = socket.recv_fds(client, 65536, 16)
print(len(descriptors), data.decode())"""], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
        self.assertRegex(reached.stdout, r"^0 .*handed over to programs of the same user alone")
        program.wait_for("a handover is refused")
        self.replace(program)[0].summary(stop=True)

    def test_a_program_of_another_user_is_not_believed(self):
        os.chmod(self.folder.name, 0o755)
        os.chown(self.folder.name, NOBODY, NOBODY)
        liar = subprocess.Popen(["setpriv", "--reuid", str(NOBODY), "--clear-groups", sys.executable, "-c", f"""
import socket, time
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind({self.path!r})
server.listen()
print("ready", flush=True)
time.sleep(60)"""], stdout=subprocess.PIPE, text=True)
        self.addCleanup(liar.wait)
        self.addCleanup(liar.stdout.close)
        self.addCleanup(liar.kill)
        self.assertEqual(liar.stdout.readline(), "ready\n")
        program = Forwarder(self.path)
        self.addCleanup(program.end)
        self.assertNotEqual(program.process.wait(timeout=SECONDS), 0)
        self.assertIn("a program of another user listens", program.said())

    def test_a_successor_that_is_killed_changes_nothing(self):
        program = self.start()
        self.hosts[0].ping("10.6.0.2")
        for _ in range(5):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(self.path)
            client.send(b'{"message": "hello"}')
            for kind in ("program", "port", "port"):
                data, descriptors, _, _ = socket.recv_fds(client, 1 << 17, 100)
                self.assertEqual(json.loads(data)["message"], kind)
                for descriptor in descriptors:
                    os.close(descriptor)
            client.send(b'{"message": "freeze"}')
            client.recv(1 << 17)
            client.close()
            program.wait_for("the ports go on")
            self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        program, summary, _ = self.replace(program)
        self.assertEqual(summary["received"], summary["sent"])
        program.summary(stop=True)

    def test_the_old_program_is_killed_before_it_learns_that_its_ports_are_taken(self):
        """The messages pass through this test. The last one tells the old program to end as ever, and it does not."""
        program = self.start()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        old = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(listener.close)
        self.addCleanup(old.close)
        listener.bind(self.folder.name + "/between")
        listener.listen()
        old.connect(self.path)
        new = Forwarder(self.folder.name + "/between")
        self.addCleanup(new.end)
        client = listener.accept()[0]
        self.addCleanup(client.close)
        of_the_new_one = ("hello", "freeze", "taken")
        for kind in ("hello", "program", "port", "port", "freeze", "queue", "queue", "frozen", "taken"):
            source, sink = (client, old) if kind in of_the_new_one else (old, client)
            source.settimeout(SECONDS)
            data, descriptors, _, _ = socket.recv_fds(source, 1 << 17, 100)
            self.assertEqual(json.loads(data)["message"], kind)
            if kind == "taken":
                program.process.send_signal(signal.SIGSTOP)
            socket.send_fds(sink, [data], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        program.process.kill()
        new.wait_for("forwarding")
        self.assertIn("took the ports over", new.said())
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        summary = new.summary(stop=True)
        self.assertEqual((summary["received"], sum(summary["drops"].values())), (summary["sent"], 0))

    def test_two_successors_at_once(self):
        program = self.start()
        rivals = [Forwarder(self.path) for _ in range(2)]
        for rival in rivals:
            self.addCleanup(rival.end)
        program.summary()
        deadline = time.monotonic() + SECONDS
        while sum("forwarding" in rival.said() for rival in rivals) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        # The other one was told to wait, or came later and has taken over in its turn.
        others = [rival for rival in rivals if "forwarding" not in rival.said()]
        for rival in others:
            rival.process.wait(timeout=SECONDS)
            self.assertIn("another program takes the ports over", rival.said())


if __name__ == "__main__":
    unittest.main()
