# SPDX-License-Identifier: BSD-3-Clause
"""The example `l2fwd` on interfaces of the kernel: between two hosts, and beside the kernel's own connections."""

import configparser
import contextlib
import grp
import json
import os
import pathlib
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

from namespaces import SECONDS, Host, Program, enter_own_namespace, run, run_until_without

POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
UNIT = pathlib.Path(__file__).parents[2] / "tools/pollux/pollux-xdp-helper@.service"
HELPER = ["env", "POLLUX_CONFINEMENT=trap", POLLUX, "xdp-helper"]  # a system call that it makes and is not allowed ends it
NOBODY = 65534
SMALL = ["--mbufs", "2048"]  # within the 8 MiB that an ordinary user may lock

RECEIVE = """
import hashlib, socket
server = socket.create_server(("10.6.0.2", 5000))
print("listening", flush=True)
connection, _ = server.accept()
print(hashlib.file_digest(connection.makefile("rb"), "md5").hexdigest())
"""
SEND = """
import hashlib, os, socket
data = os.urandom(20_000_000)
with socket.create_connection(("10.6.0.2", 5000)) as connection:
    connection.sendall(data)
print(hashlib.md5(data).hexdigest())
"""
# Answers each message, and sends datagrams meanwhile as fast as it can.
ECHO = """
import socket
connection = socket.create_connection(("10.6.0.1", 5000))
while data := connection.recv(65536):
    connection.sendall(data)
"""
FLOOD = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(("10.6.0.1", 7000))
sent = 0
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    for _ in range(100):
        sender.send(b"datagram")
    sent += 100
print(sent)
"""
# Sends a datagram a millisecond until there is a line to read.
STEADY = """
import select, socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(("10.6.0.1", 7000))
sent = 0
while not select.select([sys.stdin], [], [], 0.001)[0]:
    sender.send(b"datagram")
    sent += 1
print(sent)
"""


def setUpModule():
    enter_own_namespace()


class KernelAcrossXdp(unittest.TestCase):
    def setUp(self):
        run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")  # so that interfaces say nothing of their own
        self.hosts = []
        self.addCleanup(lambda: [host.end() for host in self.hosts])
        for number in (0, 1):
            run("ip", "link", "add", f"plxx{number}", "type", "veth", "peer", "name", f"plxy{number}")
            run("ip", "link", "set", f"plxx{number}", "up")
            host = Host()
            self.hosts.append(host)
            # The kernel leaves checksums and segments of its own frames to the other end unless it is told not to.
            run("ethtool", "-K", f"plxy{number}", "tx", "off", "tso", "off", "gso", "off")
            host.take(f"plxy{number}", f"10.6.0.{number + 1}/24")

    def forwarder(self) -> Program:
        program = Program([L2FWD, "xdp:plxx0?rule=all", "xdp:plxx1?rule=all", "--no-mac-updating"], "forwarding")
        self.addCleanup(program.end)
        return program

    def test_hosts_reach_each_other(self):
        l2fwd = self.forwarder()
        for size in ("0", "56", "1472"):
            said = self.hosts[0].ping("10.6.0.2", "-s", size)
            self.assertIn("2 packets transmitted, 2 packets received", said)
            self.assertNotIn("DUP", said)
        self.assertRegex(l2fwd.summary(), r"received (\d+) = sent \1 ")

    def test_a_tcp_connection_moves_data(self):
        l2fwd = self.forwarder()
        receiver = subprocess.Popen(self.hosts[1].command(sys.executable, "-c", RECEIVE), stdout=subprocess.PIPE, text=True)
        self.addCleanup(receiver.kill)
        self.assertEqual(receiver.stdout.readline(), "listening\n")
        sent = self.hosts[0].run(sys.executable, "-c", SEND)
        received, _ = receiver.communicate(timeout=SECONDS)
        self.assertEqual(received, sent)
        self.assertNotIn("checksum", l2fwd.said())

    def test_names_checksums_that_a_host_leaves_to_a_card(self):
        l2fwd = self.forwarder()
        self.hosts[0].ping("10.6.0.2")  # so that it knows the neighbour
        self.hosts[0].run("ethtool", "-K", "plxy0", "tx", "on")
        for _ in range(2):
            self.hosts[0].run("bash", "-c", "echo x >/dev/udp/10.6.0.2/7000")
            l2fwd.wait_for("'ethtool -K INTERFACE tx off'")
        l2fwd.summary()
        self.assertEqual(l2fwd.said().count("xdp:plxx0?rule=all receives frames whose TCP or UDP checksum"), 1)

    def tearDown(self):
        for number in (0, 1):
            run("ip", "link", "del", f"plxx{number}", check=False)


class BesideTheKernel(unittest.TestCase):
    """The main interface of a host, `plxx0`, with the default route: the kernel keeps all but what a rule takes."""

    def setUp(self):
        run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        run("ip", "link", "add", "plxx0", "type", "veth", "peer", "name", "plxy0")
        self.addCleanup(run, "ip", "link", "del", "plxx0", check=False)
        self.peer = Host()
        self.addCleanup(self.peer.end)
        self.peer.take("plxy0", "10.6.0.2/24")
        run("ip", "link", "set", "plxx0", "up")
        run("ip", "addr", "add", "10.6.0.1/24", "dev", "plxx0")
        run("ip", "route", "add", "default", "via", "10.6.0.2")
        self.connection = self.connect()
        # The kernel's own receiver of what the rule takes.
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.receiver.close)
        self.receiver.bind(("10.6.0.1", 7000))
        self.receiver.settimeout(SECONDS)

    def connect(self) -> socket.socket:
        with socket.create_server(("10.6.0.1", 5000)) as server:
            server.settimeout(SECONDS)
            echo = subprocess.Popen(self.peer.command(sys.executable, "-c", ECHO))
            connection, _ = server.accept()
        self.addCleanup(echo.wait, SECONDS)
        self.addCleanup(connection.close)
        connection.settimeout(SECONDS)
        return connection

    def exchange(self, size: int) -> None:
        """Sends bytes over the connection, and expects them back."""
        data = bytes(range(256)) * (size // 256)
        sender = threading.Thread(target=self.connection.sendall, args=[data])
        sender.start()
        received = bytearray()
        while len(received) < len(data):
            received += self.connection.recv(65536)
        sender.join()
        self.assertEqual(received, data)

    def flood(self, seconds: float) -> subprocess.Popen:
        return subprocess.Popen(self.peer.command(sys.executable, "-c", FLOOD, str(seconds)), stdout=subprocess.PIPE, text=True)

    def program(self, rule: str = "udp:7000") -> Program:
        program = Program([L2FWD, f"xdp:plxx0?rule={rule}", "null:"], "forwarding")
        self.addCleanup(program.end)
        return program

    def assert_left_alone(self):
        run_until_without("xdp", "ip", "link", "show", "dev", "plxx0")  # a helper has to notice that its port is gone
        self.exchange(100_000)
        self.flood(0.01).communicate(timeout=SECONDS)
        self.assertEqual(self.receiver.recv(100), b"datagram")

    def test_a_connection_lives_while_a_rule_takes_datagrams(self):
        l2fwd = self.program("udp:7000")
        flood = self.flood(2)
        while flood.poll() is None:
            self.exchange(2_000_000)
        sent = int(flood.communicate()[0])
        self.receiver.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.receiver.recv(100)
        self.receiver.settimeout(SECONDS)
        summary = l2fwd.summary()
        received = int(re.search(r"received (\d+) = ", summary)[1])
        self.assertGreater(received, 1000)
        self.assertLessEqual(received, sent)
        self.assertIn("2 packets received", self.peer.ping("10.6.0.1"))
        self.assert_left_alone()

    def test_iperf3_moves_data_while_a_rule_takes_datagrams(self):
        """TCP by the kernel, beside a thousand datagrams a second for `l2fwd`."""
        self.addCleanup(Program(["iperf3", "--server", "--forceflush"], "Server listening", output=True).end)
        l2fwd = self.program("udp:7000")
        datagrams = subprocess.Popen(self.peer.command(sys.executable, "-c", STEADY), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.addCleanup(datagrams.wait, SECONDS)
        self.addCleanup(datagrams.kill)
        self.assertGreater(self.iperf3(), 1_000_000)
        sent = int(datagrams.communicate("\n", timeout=SECONDS)[0])
        self.assertGreater(sent, 100)
        self.peer.ping("10.6.0.1")  # it comes behind the last datagrams, which the kernel may still have on a busy machine
        received = int(re.search(r"received (\d+) = ", l2fwd.summary())[1])
        self.assertLessEqual(received, sent)
        self.assertGreaterEqual(received, sent - self.lost_before())

    def lost_before(self) -> int:
        """The frames that found the veth's ring full, which TCP fills on a busy machine."""
        link, = json.loads(self.peer.run("ip", "-json", "-statistics", "link", "show", "plxy0"))
        return link["stats64"]["tx"]["dropped"]

    def iperf3(self) -> int:
        """Bytes that came over TCP from the other host in a second, as this one counts them."""
        report = self.peer.run("iperf3", "--client", "10.6.0.1", "--json", "--time", "1", "--connect-timeout", "3000")
        return json.loads(report)["end"]["sum_received"]["bytes"]

    def test_a_killed_program_leaves_the_interface_as_it_was(self):
        l2fwd = self.program()
        flood = self.flood(1)
        self.exchange(1_000_000)
        l2fwd.kill()
        self.exchange(1_000_000)
        flood.communicate(timeout=SECONDS)
        self.assert_left_alone()

    def test_all_frames_of_the_default_route_need_force(self):
        refused = subprocess.run([L2FWD, "xdp:plxx0?rule=all", "null:"], stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("the default route goes over plxx0", refused.stderr)
        self.assertIn("rule=all,force", refused.stderr)
        self.exchange(1000)


class WithoutPrivileges(BesideTheKernel):
    """The same by an ordinary user, for whom `pollux xdp-helper` opens the interface."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="pollux-xdp-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.socket = f"{folder.name}/helper.sock"
        self.helper = self.start_helper("--user", "nobody")

    def start_helper(self, *words: str) -> Program:
        command = [*HELPER, "--interface", "plxx0", "--socket", self.socket, *words]
        helper = Program(command, "listening", output=True)
        self.addCleanup(helper.end)
        return helper

    def as_user(self, *words: str) -> list[str]:
        user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return ["setpriv", *user, "--bounding-set=-all", "--inh-caps=-all", *words]

    def program(self, rule: str = "udp:7000") -> Program:
        program = Program(self.as_user(L2FWD, f"xdp:plxx0?rule={rule},helper={self.socket}", "null:", *SMALL), "forwarding")
        self.addCleanup(program.end)
        return program

    def refused(self, uri: str, *user: str) -> str:
        words = [*(user or self.as_user()), L2FWD, uri, "null:", *SMALL]
        refused = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        self.assertNotEqual(refused.returncode, 0)
        return refused.stderr

    def container(self) -> list[str]:
        """What starts a command in a container that has the program and nothing else, as an ordinary user: without capabilities, with a network and mounts of its own. The helper's socket is the one thing of the host that it has."""
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="pollux-root-")))
        root.chmod(0o755)
        setpriv = shutil.which("setpriv")
        for program in (L2FWD, setpriv):
            shutil.copy(program, root / pathlib.Path(program).name)
            for library in re.findall(r"(/\S+) \(0x", run("ldd", program)):
                (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, root / library.lstrip("/"))
        (root / "helper.sock").touch()
        # A sanitized program cannot look for leaks at its end, since the container has no /proc.
        starts = f"ASAN_OPTIONS=detect_leaks=0 exec chroot {root} /setpriv --bounding-set=-all --inh-caps=-all"
        enter = f'mount --bind {self.socket} {root}/helper.sock && {starts} "$@"'
        namespaces = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
        return self.as_user(*namespaces, "sh", "-c", enter, "sh")

    def test_a_container_needs_the_socket_alone(self):
        command = self.container()
        words = [*command, "/l2fwd", "xdp:plxx0?rule=udp:7000,helper=/helper.sock", "null:", *SMALL]
        for way in ("ended", "killed"):
            l2fwd = Program(words, "forwarding")
            self.addCleanup(l2fwd.end)
            while select.select([self.receiver], [], [], 0)[0]:
                self.receiver.recv(100)  # of the last time
            sent = int(self.flood(0.5).communicate(timeout=SECONDS)[0])
            self.assertFalse(select.select([self.receiver], [], [], 0)[0])
            self.exchange(100_000)
            if way == "ended":
                received = int(re.search(r"received (\d+) = ", l2fwd.summary())[1])
                self.assertGreater(received, 1000)
                self.assertLessEqual(received, sent)
            else:
                l2fwd.kill()
            self.assert_left_alone()
        self.assertIn("there is no such interface", self.refused_there(command, "xdp:plxx0?rule=udp:7000"))
        self.assertIn("does not offer this interface", self.refused_there(command, "xdp:lo?rule=udp,helper=/helper.sock"))

    def refused_there(self, command: list[str], uri: str) -> str:
        refused = subprocess.run([*command, "/l2fwd", uri, "null:", *SMALL], stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        self.assertNotEqual(refused.returncode, 0)
        return refused.stderr

    def test_a_service_of_systemd_has_the_capabilities_that_it_needs(self):
        unit = configparser.RawConfigParser()
        unit.optionxform = str  # keys keep their case
        unit.read(UNIT)
        program, command, *options = unit["Service"]["ExecStart"].replace("%i", "plxx0").split()
        stands_for = {"pollux": grp.getgrgid(NOBODY).gr_name, "/run/pollux-xdp-plxx0.sock": self.socket}
        self.assertEqual([program, command], ["pollux", "xdp-helper"])
        self.assertLessEqual(stands_for.keys(), set(options))
        self.assertEqual(unit["Service"]["NoNewPrivileges"], "yes")
        kept = [f"+{name.removeprefix('CAP_').lower()}" for name in unit["Service"]["CapabilityBoundingSet"].split()]
        limits = ["setpriv", "--no-new-privs", "--bounding-set=" + ",".join(["-all", *kept])]
        command = [*limits, *HELPER, *(stands_for.get(word, word) for word in options)]
        refused = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        self.assertIn("cannot find out whether a helper listens there (Permission denied)", refused.stderr)
        self.helper.end()
        os.unlink(self.socket)
        Program(command, "listening", output=True).end()  # killed: systemd starts it again
        helper = Program(command, "listening", output=True)
        self.addCleanup(helper.end)
        l2fwd = self.program("udp:7000")
        self.flood(0.5).communicate(timeout=SECONDS)
        self.assertGreater(int(re.search(r"received (\d+) = ", l2fwd.summary())[1]), 1000)
        self.assert_left_alone()

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_understands_the_service(self):
        with tempfile.TemporaryDirectory(prefix="pollux-unit-") as folder:
            copy = pathlib.Path(folder) / UNIT.name
            copy.write_text(UNIT.read_text().replace("ExecStart=pollux", f"ExecStart={POLLUX}"))
            verify = ["systemd-analyze", "verify", "--recursive-errors=no", copy]
            verified = subprocess.run(verify, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertNotIn("pollux-xdp-helper", verified.stderr)  # there may be words about the machine's own units

    def test_the_end_of_the_helper_leaves_the_port_running(self):
        l2fwd = self.program("udp:7000")
        self.helper.kill()
        self.exchange(100_000)
        self.flood(0.5).communicate(timeout=SECONDS)
        received = int(re.search(r"received (\d+) = ", l2fwd.summary())[1])
        self.assertGreater(received, 1000)
        self.assert_left_alone()

    def test_the_helper_loads_a_program_that_asks_for_hints(self):
        l2fwd = self.program("udp:7000,hints")
        self.flood(0.5).communicate(timeout=SECONDS)
        self.assertGreater(int(re.search(r"received (\d+) = ", l2fwd.summary())[1]), 1000)
        self.assert_left_alone()

    def test_all_frames_of_the_default_route_need_force(self):
        for rule in ("all", "tcp:0-32767;tcp:32768-65535", "type:0x0800", "to:0.0.0.0/1;to:128.0.0.0/1", "to:10.6.0.1"):
            said = self.refused(f"xdp:plxx0?rule={rule},force,helper={self.socket}")
            self.assertRegex(said, "the helper does not let rules take what this host needs .*pollux xdp-helper --force")
        self.exchange(1000)

    def test_names_what_is_refused(self):
        self.assertIn("its name ends before the @: xdp:plxx0", self.refused("xdp:plxx0@if7?rule=udp:7000"))
        self.assertIn("or let a helper do it", self.refused("xdp:plxx0?rule=udp:7000"))
        self.assertIn("does not offer this interface", self.refused(f"xdp:lo?rule=udp:7000,helper={self.socket}"))
        self.assertIn("cannot reach the helper", self.refused("xdp:plxx0?rule=udp:7000,helper=/nowhere"))
        other = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
        self.assertIn("cannot reach the helper", self.refused(f"xdp:plxx0?rule=udp:7000,helper={self.socket}", *other))
        os.chmod(self.socket, 0o666)
        self.assertIn("has ended or refuses this process", self.refused(f"xdp:plxx0?rule=udp:7000,helper={self.socket}", *other))

    def test_answers_nothing_that_is_no_request(self):
        for junk in (b"", b"x", b"\xff" * 4, struct.pack("=II", 0, 1), struct.pack("=III", 0, 1, 0xFFFFFFFF), b"\0" * 200_000):
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sender.settimeout(SECONDS)
            sender.connect(self.socket)  # as root, whom the helper refuses as any other
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                sender.send(junk)
                self.assertEqual(sender.recv(100), b"")
            sender.close()
        self.program().end()


if __name__ == "__main__":
    unittest.main()
