# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces for tests of programs on TAP interfaces, and the programs themselves."""

import ctypes
import os
import pathlib
import signal
import subprocess
import tempfile
import time

SECONDS = 60
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000


def enter_own_namespace() -> None:
    """Moves this process to a network namespace of its own, and to a user namespace if it has no rights."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    user = os.geteuid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot create a network namespace")
    pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")


def run(*words: str, check: bool = True) -> str:
    return subprocess.run(words, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS).stdout


def run_until_without(word: str, *words: str) -> None:
    """Runs a command until it prints a word no more, which fails after SECONDS."""
    deadline = time.monotonic() + SECONDS
    while word in (shown := run(*words)):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {word}: {shown}")
        time.sleep(0.05)


class Host:
    """A host with one interface: a network namespace that a sleeping process keeps."""

    def __init__(self) -> None:
        self._keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + SECONDS
        while os.readlink(f"/proc/{self._keeper.pid}/ns/net") == own:
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                raise OSError("cannot create a network namespace for a host")
            time.sleep(0.01)
        self.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")

    def command(self, *words: str) -> list[str]:
        return ["nsenter", "--target", str(self._keeper.pid), "--net", *words]

    def run(self, *words: str, check: bool = True) -> str:
        return run(*self.command(*words), check=check)

    def take(self, interface: str, *addresses: str, ipv6: bool = False) -> None:
        """Moves an interface of this process's namespace to the host and brings it up."""
        run("ip", "link", "set", interface, "netns", str(self._keeper.pid))
        if not ipv6:
            self.run("sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=1")
        for address in addresses:
            self.run("ip", "addr", "add", address, "dev", interface)
        self.run("ip", "link", "set", interface, "up")

    def ping(self, address: str, *words: str) -> str:
        return self.run("busybox", "ping", "-c", "2", "-W", "5", *words, address, check=False)

    def end(self) -> None:
        self._keeper.kill()
        self._keeper.wait(timeout=SECONDS)


class Program:
    """A program under test, which has begun once it says `ready`."""

    def __init__(self, words: list[str], ready: str, *, output: bool = False) -> None:
        # A file instead of a pipe, which nobody would empty. With `output` it has what the program prints, too.
        self._log = tempfile.TemporaryFile("w+")
        stdout = self._log if output else subprocess.PIPE
        self._process = subprocess.Popen(words, stdout=stdout, stderr=self._log, text=True)
        self.wait_for(ready)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self._process.args[0]} does not say '{text}': {self.said()}")
            time.sleep(0.02)

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def summary(self) -> str:
        """What it prints after Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=SECONDS)
        if self._process.returncode != 0:
            raise AssertionError(f"status {self._process.returncode}: {self.said()}")
        return output

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=SECONDS)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate(timeout=SECONDS)
        self._log.close()
