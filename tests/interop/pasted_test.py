# SPDX-License-Identifier: BSD-3-Clause
"""The commands of the documents are pasted as they are written, a document at a time, into a terminal of a fresh namespace that has the
interfaces which they name. What runs until Ctrl-C gets one."""

import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

FOLDERS = [str(pathlib.Path(program).parent) for program in sys.argv[1:]]
del sys.argv[1:]
ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60
RUNS_ON = 1  # seconds, after which a command counts as one that runs until Ctrl-C
DOCUMENTS = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "adr" not in path.parts)]
COMMANDS = ("bridge", "coroutine", "dpdk-testpmd", "export", "ip", "kernel_path", "l2fwd", "l3fwd", "mkdir", "multiqueue", "pktgen", "pollux",
            "sudo", "tcp_server", "tools/packages", "tshark", "until", "xdp-loader")
# Commands that need something which a namespace does not have, and which: others tests judge those with a card, in a guest.
NEEDS = {
    r"vfio:|0000:|a\.rec|pollux list|pollux doctor *$": "a card",
    r"apt |modprobe|-drive": "a machine of its own",
    r"\btools/|cmake": "a checkout",
    r"g\+\+|PKG_CONFIG|forward pcap|forward tap": "the guide's program (guide.*)",
    r"^[a-z]+:": "a command before it",
    r"PORT|FILE|4711|net_vhost|vhost-user": "what the reader has in this place",
    r"tshark -[Di]|helper|alice": "a user (interop.capture, interop.xdp)",
} | ({r"--cores ": "a second core"} if len(os.sched_getaffinity(0)) == 1 else {})
UNTIL_IT_ANSWERS = "until pollux ports | grep -q plx0; do sleep 0.1; done"
# Ports of a program that others talk to must be there before: in the document's text, or by an earlier line that needs a card.
BEFORE = {"docs/ports.md": "pktgen pcap:out=a.pcap --send --count 1000"} | {
    name: "l2fwd --telemetry sim:0 sim:1 --circulate 256 >/dev/null 2>&1 &"
    for name in ("docs/binding.md", "docs/capture.md", "docs/ethtool.md")}
# What it takes until the output is judged right; elsewhere, that no command fails.
SAYS = {"docs/xdp.md": ["received 100 = ", " 1 (packets )?received, 0% packet loss"], "docs/ports.md": ["good 1000000, lost 0, corrupt 0"],
        "docs/guide/failure-and-recovery.md": ["the card was removed"],
        "docs/guide/upgrading.md": ["took the ports over; their queues stood still"]}
FAILS = {"l2fwd fault:removal": 1}
FRESH = ("mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && for name in eth0 eth1 eth2 ens4 ens5; do "
         "ip link add $name type veth peer name ${name}p && ip link set $name up && ip link set ${name}p up || break; done")


def blocks_of(document: pathlib.Path) -> list[list[str]]:
    """The blocks of commands, by their lines; one that ends with a backslash goes on in the next."""
    found = re.findall(r"(?m)(?:^    .*\n)+", document.read_text())
    blocks = [re.sub(r"\\\n", "\\\\\n ", re.sub(r"(?m)^    ", "", block)) for block in found]
    return [re.split(r"(?<!\\)\n", block.rstrip("\n")) for block in blocks if block.split()[0] in COMMANDS]


def need_of(line: str) -> str:
    command = re.sub(r"\s#.*", "", line)
    return next((need for pattern, need in NEEDS.items() if re.search(pattern, command)), "")


class Terminal:
    """bash at a terminal, in a namespace of its own. Its prompt is the status of the command before."""

    def __init__(self, folder: pathlib.Path):
        (folder / "ping").symlink_to(shutil.which("ping") or shutil.which("busybox"))
        (folder / "sudo").symlink_to(shutil.which("env"))
        (folder / "echo").symlink_to(pathlib.Path(FOLDERS[0], "echo"))  # called as ./echo
        environment = {"PATH": ":".join([*FOLDERS, str(folder), "/usr/sbin:/usr/bin:/sbin:/bin"]), "HOME": str(folder), "TERM": "xterm"}
        self.said = ""
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execvpe("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "--norc", "-i"],
                       environment | {"PS1": "<status $?>"})
        if self._status(0, SECONDS) is None:
            raise AssertionError(f"bash has no prompt:\n{self.said}")

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._screen)

    def paste(self, text: str, ends: bool) -> int:
        """Returns the command's status. A command that does not end by itself has a while, and then Ctrl-C, whose own status counts as 0."""
        before = len(self.said)
        os.write(self._screen, text.encode() + b"\n")
        if (status := self._status(before, RUNS_ON)) is None:
            for _ in range(SECONDS // RUNS_ON):
                if not ends:
                    os.write(self._screen, b"\x03")
                if (status := self._status(before, RUNS_ON)) is not None:
                    break
            status = 0 if status == 128 + signal.SIGINT else status
        if status is None:
            raise AssertionError(f"'{text}' does not end:\n{self.said[before:]}")
        if re.search(r"--telemetry .*& *(#|$)", text):
            self.paste(UNTIL_IT_ANSWERS, ends=True)
        elif re.search(r"& *(#|$)", text):
            time.sleep(1)  # as long as a reader needs for the next line
        return status

    def says(self, pattern: str) -> bool:
        """Whether the terminal has shown this, or does so soon: something may run in the background."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.said) and time.monotonic() < deadline:
            self._read(0.1)
        return re.search(pattern, self.said) is not None

    def _read(self, seconds: float) -> None:
        if select.select([self._screen], [], [], seconds)[0]:
            self.said += os.read(self._screen, 65536).decode(errors="replace")

    def _status(self, before: int, seconds: float) -> int | None:
        """What the prompt says that comes after `before`, of the last line that was pasted."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)
            if prompt := re.search(r"<status (\d+)>$", self.said[before:]):
                return int(prompt[1])
        return None


class Pasted(unittest.TestCase):
    def test_each_command_does_what_its_document_says(self):
        if os.geteuid() != 0:
            self.skipTest("it is for root")
        pasted = 0
        for document in DOCUMENTS:
            name = str(document.relative_to(ROOT))
            lines = [line for block in blocks_of(document) for line in block if not line.lstrip().startswith("#")]
            chosen = [line for line in lines if line and not need_of(line)]
            for line in lines:
                if need := need_of(line):
                    print(f"LEFT OUT  {name}: {line.split('#')[0].strip()}: needs {need}")
            if chosen:
                with self.subTest(name):
                    self.paste(name, chosen)
                pasted += len(chosen)
        self.assertGreater(pasted, 40)

    def paste(self, name: str, lines: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            terminal = Terminal(pathlib.Path(folder))
            try:
                for line in (FRESH, BEFORE.get(name, "true")):
                    self.assertEqual(terminal.paste(line, ends=True), 0, terminal.said)
                for line in lines:
                    expected = next((status for text, status in FAILS.items() if line.startswith(text)), 0)
                    ends = expected != 0 or re.search(r"pollux bench|-c 10000 |--(seconds|count) |^until |^ip ", line) is not None
                    self.assertEqual(terminal.paste(line, ends), expected, f"{line}\n{terminal.said}")
                for text in SAYS.get(name, []):
                    self.assertTrue(terminal.says(text), terminal.said)
            finally:
                terminal.close()


if __name__ == "__main__":
    unittest.main()
