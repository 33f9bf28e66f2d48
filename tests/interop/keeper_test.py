# SPDX-License-Identifier: BSD-3-Clause
"""`l2fwd` on ports that a keeper holds is killed again and again while others send through it: each frame is counted."""

import ctypes
import fcntl
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import unittest

POLLUX = sys.argv.pop()

import handover_test
from handover_test import L2FWD, NOBODY, RECEIVE, SEND, Veths, next_program
from namespaces import SECONDS, run

KILLS = int(os.environ.get("POLLUX_KILLS", "20"))
KILL_SECONDS = float(os.environ.get("POLLUX_KILL_SECONDS", "0"))  # at least
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
PTRACE_SINGLESTEP, PTRACE_ATTACH = 9, 16
CRASH = r"xdp:(plxx\d).*continues after a crash: so far (\d+) frames were lost .* had taken (\d+) and given (\d+)"
# As SEND, but in bursts, and short frames: more kills meet a program that has frames in its hands.
LENGTH, SHORT = "bytes(64 + number * 7 % 1300)", "bytes(46 + number % 60)"
BURSTS = SEND.replace("time.sleep(0.00005)", "number % 64 or time.sleep(0.002)").replace(LENGTH, SHORT)
RECEIVE_BURSTS = RECEIVE.replace(LENGTH, SHORT)


def setUpModule():
    handover_test.setUpModule()


class Program(handover_test.Forwarder):
    def __init__(self, keeper: str, *words: str, rule: str = "all", **options) -> None:
        self.log = handover_test.tempfile.TemporaryFile("w+")
        uris = [f"xdp:plxx{number}?rule={rule},keep={keeper}" for number in (0, 1)]
        self.process = subprocess.Popen([next_program(), *uris, "--no-mac-updating", "--json", "--mbufs", "2048", *words],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, **options)

    def crash(self, instructions: int | None = None) -> None:
        """Kills it at once, or so many instructions after a moment in which frames came and it stood still."""
        if instructions is not None:
            self.trace(PTRACE_ATTACH)
            time.sleep(0.01)
            for _ in range(instructions):
                self.trace(PTRACE_SINGLESTEP)
        self.process.kill()
        self.process.communicate(timeout=SECONDS)

    def trace(self, request: int) -> None:
        if LIBC.ptrace(request, self.process.pid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        _, status = os.waitpid(self.process.pid, 0)
        if not os.WIFSTOPPED(status):
            raise AssertionError(f"l2fwd ended: {self.said()}")

    def losses(self) -> dict[str, tuple[int, int, int]]:
        return {port: (int(lost), int(taken), int(given)) for port, lost, taken, given in re.findall(CRASH, self.said())}


class Kept(Veths):
    def setUp(self):
        super().setUp()
        self.path = self.folder.name + "/keeper"
        self.keeper = self.keep()

    def keep(self, hold: str = "60") -> subprocess.Popen:
        keeper = subprocess.Popen([POLLUX, "keeper", "run", "--socket", self.path, "--hold", hold], stdout=subprocess.PIPE, text=True)
        self.addCleanup(keeper.stdout.close)
        self.addCleanup(keeper.wait)
        self.addCleanup(keeper.kill)
        self.assertEqual(keeper.stdout.readline(), f"listening at {self.path}\n")
        return keeper

    def held(self) -> list[str]:
        return run(POLLUX, "keeper", "list", "--socket", self.path).splitlines()

    def open(self, *words: str, **options: str) -> Program:
        program = Program(self.path, *words, **options)
        self.addCleanup(program.end)
        return program

    def start(self, *words: str, **options: str) -> Program:
        program = self.open(*words, **options)
        program.wait_for("forwarding")
        return program

    def wait_until(self, what) -> None:
        deadline = time.monotonic() + SECONDS
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def has_program(self) -> bool:
        return "xdp" in run("ip", "link", "show", "plxx0")

    def test_each_frame_is_counted_while_the_program_is_killed(self):
        seed = int(os.environ.get("POLLUX_SEED", "58"))
        chance = random.Random(seed)
        receiver = subprocess.Popen(self.hosts[1].command(sys.executable, "-c", RECEIVE_BURSTS), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    text=True)
        self.addCleanup(receiver.kill)
        self.assertEqual(receiver.stdout.readline(), "ready\n")
        before = handover_test.open_descriptors(self.keeper)
        program = self.start()
        sender = subprocess.Popen(self.hosts[0].command(sys.executable, "-c", BURSTS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(sender.kill)
        descriptors, kills = [], 0
        end = time.monotonic() + KILL_SECONDS
        while kills < KILLS or time.monotonic() < end:
            kills += 1
            time.sleep(chance.uniform(0.01, 0.2))
            program.crash(chance.choice((None, chance.randrange(200), chance.randrange(8000), chance.randrange(8000, 16000))))
            for _ in range(chance.choice((0, 0, 1))):  # a successor that crashes in turn, at any point of its start
                second = self.open()
                time.sleep(chance.uniform(0, 0.1))
                second.crash()
                second.end()
            program.end()
            program = self.start()
            self.assertNotIn("starts anew", program.said())
            descriptors.append(handover_test.open_descriptors(program.process))
        time.sleep(0.1)
        sent = int(sender.communicate("\n", timeout=SECONDS)[0])
        received = json.loads(receiver.communicate(timeout=SECONDS)[0])
        losses = program.losses()
        summary = program.summary(stop=True)
        missed = summary["cards"][0]["rx_missed_errors"]
        (cut_in, taken, _), (cut_out, _, given) = losses["plxx0"], losses["plxx1"]
        held = taken - given - cut_out
        print(f"seed {seed}: {kills} kills, {sent} frames: {received['count']} arrived, {missed} found a full ring, lost_in_crash "
              f"{cut_in + cut_out}, held by programs that crashed {held}; longest pause of the receiver {received['pause_us']} us", file=sys.stderr)
        self.assertEqual(sent - received["count"], missed + cut_in + cut_out + held + sum(summary["drops"].values()))
        self.assertEqual((received["again"], received["wrong"], received["out_of_order"]), (0, 0, 0))
        self.assertTrue(0 <= held <= 2 * kills * 32 and cut_in + cut_out <= 2 * kills * 32, losses)
        self.assertEqual(self.links_that_went_down(), [])
        self.assertEqual(len(set(descriptors)), 1, set(descriptors))
        self.assertTrue(summary["conserved"], summary)
        self.wait_until(lambda: self.held() == [])
        self.wait_until(lambda: handover_test.open_descriptors(self.keeper) <= before)
        self.assertFalse(self.has_program())

    def test_the_kernel_has_its_traffic_again_when_no_successor_comes(self):
        self.keeper.kill()
        self.keeper.wait()
        keeper = self.keep("1")
        self.start().crash()
        self.assertTrue(self.has_program())
        self.assertIn("which has ended", "".join(self.held()))
        self.wait_until(lambda: not self.has_program())
        self.assertEqual(self.held(), [])
        program = self.start()
        self.assertNotIn("after a crash", program.said())
        program.summary(stop=True)
        keeper.terminate()
        self.assertIn("no successor came", keeper.stdout.read())
        self.assertFalse(os.path.exists(self.path))

    def test_what_is_held_is_dropped_on_demand(self):
        program = self.start()
        program.crash()
        self.assertTrue(self.has_program())
        # The keeper that the doctor asks listens in that folder.
        there = f"mkdir -p /run/pollux && mount --bind {self.folder.name} /run/pollux"
        found = run("unshare", "--mount", "sh", "-c", f"{there} && exec {POLLUX} doctor xdp:plxx0", check=False)
        self.assertIn(f"a keeper holds it for process {program.process.pid}, which has ended", found)
        self.assertIn("pollux keeper drop xdp/plxx0/", found)
        self.assertIn("begins with 'xdp/plx0/'", run(POLLUX, "keeper", "drop", "xdp/plx0/", "--socket", self.path, check=False))
        run(POLLUX, "keeper", "drop", "xdp/plxx0/", "--socket", self.path)
        self.wait_until(lambda: not self.has_program())
        self.assertEqual([line for line in self.held() if "plxx0" in line], [])

    def test_one_of_two_successors_has_the_ports(self):
        program = self.start()
        rival = self.open()
        self.assertNotEqual(rival.process.wait(timeout=SECONDS), 0)
        self.assertRegex(rival.said(), f"process {program.process.pid} runs and has xdp/plxx0/")
        program.crash()
        rivals = [self.open() for _ in range(2)]
        self.wait_until(lambda: any(rival.process.poll() is not None for rival in rivals))
        self.wait_until(lambda: any("forwarding" in rival.said() for rival in rivals))
        refused = [rival for rival in rivals if "forwarding" not in rival.said()]
        self.assertEqual(len(refused), 1)
        self.assertIn("runs and has", refused[0].said())
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))

    def test_a_keeper_that_ends(self):
        program = self.start()
        self.keeper.kill()
        self.keeper.wait()
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        self.keep()
        self.wait_until(lambda: len(self.held()) == 10)  # the program has seen that there is another one
        program.crash()
        self.assertRegex((program := self.start()).said(), CRASH)
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        program.summary(stop=True)

    def test_without_a_keeper_a_crash_is_followed_by_a_start(self):
        self.keeper.kill()
        self.keeper.wait()
        program = self.start()
        self.assertIn("start one: pollux keeper run --socket", program.said())
        program.crash()
        self.assertNotRegex((program := self.start()).said(), CRASH)
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))

    def starts_anew(self, why: str, *words: str, takes_ping: bool = True, **options: str) -> None:
        program = self.start(*words, **options)
        self.assertRegex(program.said(), "xdp:plxx0.*starts anew, since what was kept cannot be continued: .*" + why)
        if takes_ping:
            self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        program.crash()
        self.assertRegex((program := self.start(*words, **options)).said(), CRASH)
        program.summary(stop=True)
        self.wait_until(lambda: self.held() == [])

    def test_other_rings_and_rules_start_anew(self):
        self.start().crash()
        self.starts_anew("the sizes of rings", "--rx-ring", "256")
        self.start().crash()
        self.starts_anew("the flow rules", rule="udp:53", takes_ping=False)

    def test_an_interface_that_was_removed_meanwhile(self):
        self.start().crash()
        run("ip", "link", "del", "plxx0")
        run("ip", "link", "add", "plxx0", "type", "veth", "peer", "name", "plxy0")
        run("ip", "link", "set", "plxx0", "up")
        self.hosts[0].take("plxy0", "10.6.0.1/24")
        self.hosts[0].run("ethtool", "-K", "plxy0", "tx", "off", "tso", "off", "gso", "off")
        self.starts_anew("the interface was removed meanwhile")

    def ask(self, question: str) -> tuple[dict, list[int]]:
        own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with own, theirs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            own.settimeout(SECONDS)
            client.connect(self.path)
            socket.send_fds(client, [question.encode()], [theirs.fileno()])
            data, descriptors, _, _ = socket.recv_fds(own, 1 << 17, 100)
        return json.loads(data), descriptors

    def break_record(self, change) -> None:
        """What a program that ends while it writes would leave."""
        script = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
sys.argv += ["-", "-"]
import keeper_test
answer, descriptors = keeper_test.Kept.ask(type("Of", (), {{"path": {self.path!r}}}), "FDTAKE=1\\nFDNAME=xdp/plxx0/\\n")
memory = descriptors[answer["names"].index("xdp/plxx0/memory")]
{change}"""
        subprocess.run([sys.executable, "-c", script.replace("\\\\n", "\\n")], check=True, timeout=SECONDS)

    def test_a_record_that_is_not_whole(self):
        for change in ('os.pwrite(memory, b"\\0" * 8192, 0)', 'os.pwrite(memory, b"\\xff" * (1 << 19), 0)', "os.pwrite(memory, os.urandom(1 << 19), 0)"):
            self.start().crash()
            self.break_record(change)
            self.starts_anew("malformed")

    def test_not_all_was_stored(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, open("/dev/null", "rb") as file:
            client.connect(self.path)
            socket.send_fds(client, [b"FDSTORE=1\nFDNAME=xdp/plxx0/link\nFDPOLL=0\n"], [file.fileno()])
        answer, descriptors = self.ask("FDLIST=1\nFDNAME=\n")
        self.assertEqual(([one["name"] for one in answer["held"]], descriptors), (["xdp/plxx0/link"], []))
        rival = self.open()
        self.assertNotEqual(rival.process.wait(timeout=SECONDS), 0)
        self.assertIn(f"process {os.getpid()} runs and has xdp/plxx0/link", rival.said())

    def store(self, *names: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, open("/dev/null", "rb") as file:
            client.connect(self.path)
            for name in names:
                socket.send_fds(client, [f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n".encode()], [file.fileno()])

    def test_more_than_an_answer_has_is_refused_by_name(self):
        self.store(*(f"many/{number}" for number in range(101)))
        answer, descriptors = self.ask("FDTAKE=1\nFDNAME=many/\n")
        self.assertEqual((answer["message"], descriptors), ("refused", []))
        self.assertIn("'many/' is too much for an answer", answer["what"])
        answer, descriptors = self.ask("FDTAKE=1\nFDNAME=many/1\n")
        self.assertEqual((answer["message"], len(descriptors)), ("held", 12))
        for descriptor in descriptors:
            os.close(descriptor)

    def test_a_full_keeper_replaces_a_name(self):
        self.store(*(f"many/{number}" for number in range(1000)), "many/7", "one more")
        self.assertEqual(len(self.held()), 1000)
        self.keeper.terminate()
        said = self.keeper.stdout.read()
        self.assertRegex(said, "refused 'one more' of process [0-9]+: 1000 are held, the most")
        self.assertNotIn("many/7'", said)

    def test_nothing_else_of_the_memory_is_kept(self):
        self.start("--rx-ring", "64", "--tx-ring", "64").crash()
        answer, descriptors = self.ask("FDTAKE=1\nFDNAME=xdp/plxx0/\n")
        self.assertEqual(sorted(answer["names"]), [f"xdp/plxx0/{what}" for what in ("counters", "link", "memory", "queue 0", "sockets")])
        sizes = [os.fstat(file).st_size for file in descriptors]
        for file in descriptors:
            os.close(file)
        self.assertEqual(sizes, [(1 << 20) + 128 * 4096 if name.endswith("memory") else 0 for name in answer["names"]])

    def test_another_user_gets_nothing(self):
        self.start().crash()
        os.chmod(self.folder.name, 0o755)
        words = ["setpriv", "--reuid", str(NOBODY), "--clear-groups", POLLUX, "keeper"]
        self.assertIn("run it as this user", run(*words, "list", "--socket", self.path, check=False))
        os.chmod(self.path, 0o666)  # as somebody might do
        run(*words, "drop", "xdp/", "--socket", self.path, check=False)
        self.assertEqual(len(self.held()), 10)
        self.keeper.terminate()
        self.assertIn(f"refused a process of user {NOBODY}", self.keeper.stdout.read())

    def test_a_planned_handover_between_two_crashes(self):
        path = self.folder.name + "/handover"
        self.start("--hand-over", path).crash()
        old = self.start("--hand-over", path)
        new = self.start("--hand-over", path)
        self.assertIn("took the ports over", new.said())
        old.summary()
        self.wait_until(lambda: all(f"process {new.process.pid}" in line for line in self.held()))
        new.crash()
        program = self.start("--hand-over", path)
        self.assertRegex(program.said(), CRASH)
        self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
        program.summary(stop=True)

    def test_systemd_holds_a_port_too(self):
        """Played by this test as sd_pid_notify_with_fds(3) and sd_listen_fds_with_names(3) describe it."""
        name = f"pollux-{os.getpid()}"
        store = {}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("\0" + name)
            notify.settimeout(SECONDS)

            def start() -> Program:
                os.environ |= {"NOTIFY_SOCKET": "@" + name, "LISTEN_FDS": str(len(store)), "LISTEN_FDNAMES": ":".join(store)}
                files = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 100) for file in store.values()]

                def pass_on() -> None:  # from number 3 on, and to that process alone
                    os.environ["LISTEN_PID"] = str(os.getpid())
                    for i, file in enumerate(files):
                        os.dup2(file, 3 + i)

                try:
                    program = Program("systemd", preexec_fn=pass_on, pass_fds=range(3, 3 + len(files)))
                finally:
                    for file in files:
                        os.close(file)
                self.addCleanup(program.end)
                program.wait_for("forwarding")
                return program

            program = start()
            for _ in range(10):
                data, files, _, _ = socket.recv_fds(notify, 4096, 8)
                words = dict(line.split("=") for line in data.decode().splitlines())
                self.assertEqual((words["FDSTORE"], words["FDPOLL"], len(files)), ("1", "0", 1))
                store[words["FDNAME"]] = files[0]
                self.addCleanup(os.close, files[0])
            program.crash()
            program = start()
            self.assertRegex(program.said(), CRASH)
            self.assertIn("2 packets received", self.hosts[0].ping("10.6.0.2"))
            program.summary(stop=True)
            removed = [notify.recv(4096).decode() for _ in range(10)]
        self.assertEqual(sorted(removed), sorted(f"FDSTOREREMOVE=1\nFDNAME={held}\n" for held in store))


if __name__ == "__main__":
    unittest.main()
