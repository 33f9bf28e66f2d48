# SPDX-License-Identifier: BSD-3-Clause
"""tshark, capinfos and tcpdump judge captures of a running l2fwd: files, pipes, and interfaces of Wireshark's extcap."""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import json
import subprocess
import sys
import tempfile
import time
import unittest

EXTCAP = sys.argv.pop()
POLLUX = sys.argv.pop()
L2FWD = sys.argv.pop()
SECONDS = 30
FRAMES = 64  # that circulate


class Captures(unittest.TestCase):
    def setUp(self):
        for tool in ("tshark", "capinfos", "tcpdump"):
            self.assertTrue(shutil.which(tool), f"{tool} is not installed")
        folder = tempfile.TemporaryDirectory(prefix="pollux-capture-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.extcap = self.folder / "extcap"
        self.extcap.mkdir()
        (self.extcap / "pollux-extcap").symlink_to(EXTCAP)
        self.environment = os.environ | {
            "XDG_RUNTIME_DIR": folder.name, "WIRESHARK_EXTCAP_DIR": str(self.extcap), "HOME": folder.name}
        self.sides = []

    def start(self, *words: str):
        side = subprocess.Popen([L2FWD, "--telemetry", "--seconds", str(SECONDS), *words], env=self.environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, side)
        deadline = time.monotonic() + SECONDS
        while "plx1" not in self.run_tool(POLLUX, "ports", check=False).stdout:
            self.assertIsNone(side.poll(), "l2fwd ended")
            self.assertLess(time.monotonic(), deadline, "l2fwd has no telemetry")
            time.sleep(0.05)
        return side

    def end(self, side):
        side.send_signal(signal.SIGINT)
        side.wait(SECONDS)

    def run_tool(self, *words: str, check: bool = True):
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=SECONDS)
        if check:
            self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done

    def tshark(self, *words: str) -> str:
        """With the extcap folder, of which WIRESHARK_EXTCAP_DIR says nothing to a tshark of root."""
        words = ("tshark", *words)
        if os.geteuid() == 0:
            folders = self.run_tool("tshark", "-G", "folders").stdout
            system = re.search(r"(?m)^(?:Global )?Extcap path:\s+(\S+)$", folders).group(1)
            mount = 'mount --bind "$0" "$1" && shift && exec "$@"'
            words = ("unshare", "--mount", "sh", "-c", mount, str(self.extcap), system, *words)
        return self.run_tool(*words).stdout

    def ask(self, side, method: str, params: dict):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / "pollux" / f"{side.pid}.sock"))
            client.settimeout(SECONDS)
            client.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
            return json.loads(client.makefile().readline())["result"]

    def fields(self, file, *names: str):
        words = [word for name in names for word in ("-e", name)]
        lines = self.run_tool("tshark", "-r", str(file), "-T", "fields", "-E", "separator=;", *words).stdout.splitlines()
        return [tuple(line.split(";")) for line in lines]

    def test_extcap_fails_where_nobody_gets_what_it_prints(self):
        with open("/dev/full", "w") as full:
            self.assertEqual(subprocess.run([EXTCAP, "--extcap-interfaces"], stdout=full, env=self.environment, check=False,
                                            timeout=SECONDS).returncode, 1)

    # The frames leave port 0, arrive at port 1, and leave port 0 again.
    def test_a_file_has_directions_and_as_many_frames_as_the_port_moved(self):
        side = self.start("--circulate", str(FRAMES), "sim:0", "sim:1")
        directions = set()
        for port, name, member in (("plx0", "plx0/tx0", "tx_burst_packets"), ("plx1", "plx1/rx0", "rx_burst_packets")):
            file = self.folder / f"{port}.pcapng"
            before = self.ask(side, "port.stats", {"port": port})[member]
            said = self.run_tool(POLLUX, "capture", port, "-w", str(file), "-c", "3000").stderr
            after = self.ask(side, "port.stats", {"port": port})[member]
            self.assertRegex(said, r"3000 frames captured")
            self.assertLessEqual(3000, after - before)
            frames = set(self.fields(file, "frame.interface_name", "frame.packet_flags_direction", "eth.dst"))
            self.assertEqual({(interface, to) for interface, _, to in frames}, {(name, "02:00:00:00:00:00")})
            directions.add(frames.pop()[1])
            self.assertEqual(len(self.run_tool("tcpdump", "-nr", str(file)).stdout.splitlines()), 3000)
        self.assertEqual(len(directions), 2, "one is inbound and one outbound")

    def test_the_whole_file_agrees_with_its_own_statistics(self):
        self.start("--circulate", str(FRAMES), "sim:0", "sim:1")
        file = self.folder / "x.pcapng"
        # A file of 0.05 s is read quickly; on a busy machine that may be too short.
        for seconds in ("0.05", "0.5", "5"):
            said = self.run_tool(POLLUX, "capture", "plx0", "--seconds", seconds, "-w", str(file)).stderr
            captured, lost = map(int, re.search(r"(\d+) frames captured, (\d+) lost", said).groups())
            if captured > 0:
                break
        self.assertGreater(captured, 0)
        self.assertEqual(len(self.fields(file, "frame.number")), captured)
        info = self.run_tool("capinfos", str(file)).stdout
        self.assertRegex(info, r"File type:\s+Wireshark/\.\.\. - pcapng")
        self.assertRegex(info, r"Number of interfaces in file:\s+3")
        self.assertEqual(sum(map(int, re.findall(r"Number of packets = (\d+)", info))), captured)
        self.assertEqual(re.findall(r"Number of stat entries = (\d+)", info), ["1", "1", "1"])
        self.assertGreaterEqual(lost, 0)

    def test_filter_length_and_queue_select(self):
        self.start("--circulate", str(FRAMES), "sim:0", "sim:1")
        piped = self.run_tool("sh", "-c", f"'{POLLUX}' capture plx0/0 ether dst 02:00:00:00:00:00 -s 40 -c 50 -w - |"
                              " tshark -r - -T fields -E separator=';' -e frame.interface_name -e frame.cap_len").stdout
        self.assertEqual(set(piped.split()), {"plx0/tx0;40"})
        self.assertEqual(len(piped.split()), 50)

    def test_bad_requests_are_rejected_with_what_is_wrong(self):
        self.start("--circulate", str(FRAMES), "--fused", "sim:0", "sim:1")
        kept = self.folder / "kept"
        kept.write_text("kept")
        for words, status, expected in ((["plx0/1", "tcp prot 80"], 2, "bad capture filter"), (["plx0/1", "inbound"], 2, "--direction in"),
                                        (["plx7"], 1, "name one of plx0"), (["plx0/9"], 2, "there is no queue 9"),
                                        (["plx0"], 1, "forward path")):
            done = self.run_tool(POLLUX, "capture", *words, "-w", str(kept), check=False)
            self.assertEqual(done.returncode, status, words)
            self.assertIn(expected, done.stderr)
        self.assertEqual(kept.read_text(), "kept", "a rejected capture overwrites nothing")
        done = self.run_tool(POLLUX, "capture", "plx0/1", "-w", "/dev/full", "--seconds", "0.1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)
        with kept.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)  # as another capture does
            done = self.run_tool(POLLUX, "capture", "plx0/1", "-w", str(kept), "--seconds", "0.1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is in use", done.stderr)
        self.assertEqual(kept.read_text(), "kept")

    def test_a_reader_that_is_killed_and_a_program_that_ends(self):
        side = self.start("--circulate", str(FRAMES), "sim:0", "sim:1")
        file = self.folder / "x.pcapng"
        killed = subprocess.Popen([POLLUX, "capture", "plx0", "-w", "/dev/null"], env=self.environment,
                                  stderr=subprocess.PIPE, text=True)
        self.assertIn("capturing", killed.stderr.readline())
        killed.kill()
        killed.communicate(timeout=SECONDS)
        other = subprocess.Popen([POLLUX, "capture", "plx0", "-w", str(file)], env=self.environment,
                                 stderr=subprocess.PIPE, text=True)
        self.assertIn("capturing", other.stderr.readline())
        deadline = time.monotonic() + SECONDS
        while not file.exists() or file.stat().st_size < 10000:
            self.assertLess(time.monotonic(), deadline, "nothing is captured")
            time.sleep(0.01)
        side.send_signal(signal.SIGINT)
        self.assertEqual(side.wait(SECONDS), 0)
        said = other.communicate(timeout=SECONDS)[1]
        self.assertEqual(other.returncode, 0, said)
        self.assertGreater(len(self.run_tool("tcpdump", "-c", "10", "-nr", str(file)).stdout.splitlines()), 0)
        self.assertRegex(self.run_tool("capinfos", str(file)).stdout, r"Number of packets:\s+[1-9]")

    def test_wireshark_lists_and_captures_the_ports(self):
        self.start("--circulate", str(FRAMES), "sim:0", "sim:1")
        self.assertRegex(self.tshark("-D"), r"plx0 \(Pollux: sim:0 of l2fwd, process \d+\)")
        lines = self.tshark("-i", "plx0", "-f", "ether dst 02:00:00:00:00:00", "-c", "20", "-T", "fields",
                            "-e", "eth.dst", "-e", "frame.interface_name").splitlines()
        self.assertEqual(lines, ["02:00:00:00:00:00\tplx0/tx0"] * 20)


if __name__ == "__main__":
    unittest.main()
