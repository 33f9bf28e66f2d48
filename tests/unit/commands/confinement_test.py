# SPDX-License-Identifier: BSD-3-Clause
"""The servers among the commands have no privileges that they do not need, and all that they need."""

import array
import contextlib
import mmap
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

POLLUX = sys.argv.pop()
OF_INTERFACES = 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39  # capabilities(7): NET_ADMIN, NET_RAW, PERFMON, BPF
FILTERED = 2  # seccomp(2): SECCOMP_MODE_FILTER
SECONDS = 60
TRAP = os.environ | {"POLLUX_CONFINEMENT": "trap"}  # a system call that a server makes and is not allowed ends it
# The vfio-user protocol
VERSION, DMA_MAP, DMA_UNMAP, SET_IRQS, REGION_READ, REGION_WRITE, RESET = 1, 2, 3, 8, 9, 10, 13
CONFIGURATION = 7  # the region of configuration space
HEADER = struct.Struct("=HHIII")


@unittest.skipUnless(os.geteuid() == 0, "only root has privileges to give up")
class Confinement(unittest.TestCase):
    def threads_of(self, *words: str) -> list[dict[str, str]]:
        """What /proc says of each thread of the server, when it has printed its first line."""
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen([POLLUX, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
                                      env=TRAP)
            try:
                self.assertRegex(server.stdout.readline(), "^(serving|a.sock: card|listening at)")
                return [dict(re.findall(r"(\w+):\s+(\w+)\n", (task / "status").read_text()))
                        for task in pathlib.Path(f"/proc/{server.pid}/task").iterdir()]
            finally:
                server.terminate()
                server.communicate(timeout=30)

    def expect(self, threads: list[dict[str, str]], capabilities: int) -> None:
        for thread in threads:
            for kind in ("CapEff", "CapPrm"):
                self.assertEqual(int(thread[kind], 16), capabilities, kind)
            self.assertEqual((thread["NoNewPrivs"], int(thread["Seccomp"])), ("1", FILTERED))

    def test_a_card_has_no_capabilities_and_a_filter(self):
        self.expect(self.threads_of("card", "--socket", "a.sock"), 0)

    def test_the_exporter_has_no_capabilities(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        threads = self.threads_of("exporter", "--listen", f"127.0.0.1:{port}")
        self.expect(threads, 0)

    def test_the_helper_keeps_what_interfaces_need(self):
        threads = self.threads_of("xdp-helper", "--interface", "lo", "--user", "nobody", "--socket", "a.sock")
        own = re.search(r"CapEff:\s+(\w+)", pathlib.Path("/proc/self/status").read_text())
        self.expect(threads, OF_INTERFACES & int(own[1], 16))


class Client:
    """A client of `pollux card`, which makes it do each kind of thing."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)
        self.call(VERSION, struct.pack("=HH", 0, 0) + b"{}\0")

    def call(self, command: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> bytes:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.socket.sendmsg([HEADER.pack(0, command, HEADER.size + len(payload), 0, 0) + payload], rights)
        size, flags, error = HEADER.unpack(self.socket.recv(HEADER.size, socket.MSG_WAITALL))[2:]
        answer = self.socket.recv(size - HEADER.size, socket.MSG_WAITALL) if size > HEADER.size else b""
        if flags & 0x20:
            raise OSError(error, f"the server refuses the command {command}")
        return answer

    def everything(self) -> None:
        memory, event = os.memfd_create("client"), os.eventfd(0)
        try:
            os.truncate(memory, 4 * mmap.PAGESIZE)
            self.call(DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, 0x10000, 4 * mmap.PAGESIZE), (memory,))
            self.call(SET_IRQS, struct.pack("=IIIII", 20, 0x24, 2, 0, 1), (event,))  # MSI-X 0: this eventfd
            self.call(REGION_READ, struct.pack("=QII", 0, CONFIGURATION, 4))
            self.call(REGION_WRITE, struct.pack("=QIIH", 4, CONFIGURATION, 2, 6))  # the command: memory and bus master
            self.call(DMA_UNMAP, struct.pack("=IIQQ", 24, 0, 0x10000, 4 * mmap.PAGESIZE))
            self.call(RESET)
        finally:
            os.close(memory)
            os.close(event)


class Needs(unittest.TestCase):
    """What the servers do for their clients goes on, and no call is missing in their list."""

    def serve(self, folder: str, *words: str) -> str:
        server = subprocess.Popen([POLLUX, "-v", "card", "--socket", "a.sock", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, cwd=folder, env=TRAP)
        with contextlib.ExitStack() as stack:
            stack.callback(server.communicate)
            stack.callback(server.kill)
            self.assertIn("a.sock: card", server.stdout.readline(), words)
            for _ in range(2):
                client = Client(f"{folder}/a.sock")
                stack.callback(client.socket.close)
                client.everything()
                client.socket.close()
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=SECONDS)
            self.assertEqual(server.returncode, 0, err)
            self.assertNotIn("system call", err)
            stack.pop_all()
        return out

    def test_a_card_of_each_kind_serves_and_removes_its_socket(self):
        for words in ([], ["--card", "virtio-net"], ["--fault", "ones@4"], ["--vf", "0=vf.sock"]):
            with self.subTest(words), tempfile.TemporaryDirectory() as folder:
                self.serve(folder, *words)
                self.assertEqual(os.listdir(folder), [])

    def test_wires_keep_their_files(self):
        with tempfile.TemporaryDirectory() as folder:
            capture = pathlib.Path(folder, "in.pcap")
            capture.write_bytes(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("=IIII", 0, 0, 60, 60) + bytes(60))
            self.serve(folder, "--wire", "pcap-in=in.pcap,pcap-out=out.pcap")
            self.assertEqual(sorted(os.listdir(folder)), ["in.pcap", "out.pcap"])
            self.serve(folder, "--wire", f"socket-local={folder}/here,socket-remote={folder}/there")
            self.assertEqual(sorted(os.listdir(folder)), ["in.pcap", "out.pcap"])


if __name__ == "__main__":
    unittest.main()
