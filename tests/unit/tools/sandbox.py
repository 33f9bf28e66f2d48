# SPDX-License-Identifier: BSD-3-Clause
"""A sandbox for the tools: a copy of the checkout, with a PATH of fake commands."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
SECONDS = 240  # until something counts as hung, on a busy machine, too
NOBODY = pwd.getpwnam("nobody")
# The commands that the tools' scripts may always call; sudo is not among them.
COMMANDS = ["awk", "bash", "cat", "chmod", "chrt", "cp", "cut", "date", "df", "dirname", "env", "find", "flock", "git", "grep", "head", "id",
            "ls", "mkdir", "mktemp", "mv", "nice", "nproc", "printf", "python3", "readlink", "rm", "sed", "sleep", "sort", "tail",
            "taskset", "tee", "timeout", "touch", "tr", "true", "uname", "unshare", "wc"]
# A test that is terminated must end its children, which run in sessions of their own.
signal.signal(signal.SIGTERM, signal.default_int_handler)
DEBIAN_13 = 'ID=debian\nVERSION_ID="13"\n'


class Sandbox:
    """Use in a `with` block. `tools/` is copied, so that an ordinary user can run it without access to the project itself."""

    def __init__(self, ordinary: bool = False, name: str = "checkout"):
        self._folder = tempfile.TemporaryDirectory(prefix="pollux-tools-")
        self.folder = pathlib.Path(self._folder.name)
        self.root = self.folder / name
        self.bin = self.folder / "bin"
        self.temporary = self.folder / "tmp"
        shutil.copytree(ROOT / "tools", self.root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        for folder in (self.bin, self.temporary):
            folder.mkdir()
        for command in COMMANDS:
            if found := shutil.which(command):
                (self.bin / command).symlink_to(found)
        (self.folder / "os-release").write_text(DEBIAN_13)
        self.environment = {"PATH": str(self.bin), "HOME": str(self.folder), "TMPDIR": str(self.temporary),
                            "POLLUX_OS_RELEASE": str(self.folder / "os-release"), "POLLUX_UNAME": "x86_64"}
        self._user = []
        if ordinary and os.geteuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
            self._user = ["/usr/bin/setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self._folder.cleanup()

    def fake(self, command: str, script: str) -> None:
        """Replaces the command by this script."""
        file = self.bin / command
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def fake_that_stays(self, command: str) -> None:
        """Replaces the command by one that makes the file `begun` and runs until it is interrupted."""
        self.fake(command, f"trap 'exit 130' INT\ntouch '{self.folder}/begun'\nsleep 60")

    def set_os_release(self, os_release: str) -> None:
        (self.folder / "os-release").write_text(os_release)

    def run(self, *words: str, **environment: str | None) -> subprocess.CompletedProcess:
        """Runs a tool, by its path in the checkout."""
        program = self._start(words, environment)
        try:
            out, err = program.communicate(timeout=SECONDS)
        finally:
            end_all_of(program)
        return subprocess.CompletedProcess(words, program.returncode, out, err)

    def shell(self, script: str, **environment: str | None) -> subprocess.CompletedProcess:
        """Runs a shell script that can call all functions of the tools."""
        file = self.folder / "script.sh"
        file.write_text(f"export POLLUX_TOOL=a-tool\n. '{self.root}/tools/lib/tools.sh'\nbegin_tool\ndetect_distro\n{script}\n")
        return self.run(str(self.bin / "bash"), str(file), **environment)

    def interrupted(self, *words: str, once: str) -> subprocess.CompletedProcess:
        """Runs a tool and presses Ctrl-C as soon as the file `once` of `folder` exists. Fails if processes are left over."""
        program = self._start(words, {})
        try:
            await_file(self.folder / once, program)
            os.killpg(program.pid, signal.SIGINT)
            out, err = program.communicate(timeout=SECONDS)
            if left := processes_in(program.pid):
                raise AssertionError(f"left running: {left}")
        finally:
            end_all_of(program)
        return subprocess.CompletedProcess(words, program.returncode, out, err)

    def _start(self, words, environment) -> subprocess.Popen:
        variables = {name: value for name, value in (self.environment | environment).items() if value is not None}
        command = [words[0] if words[0].startswith("/") else str(self.root / words[0]), *words[1:]]
        return subprocess.Popen([*self._user, *command], cwd=self.folder, env=variables, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def last_line(outcome: subprocess.CompletedProcess) -> str:
    return outcome.stdout.splitlines()[-1] if outcome.stdout else ""


def await_file(file: pathlib.Path, program: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not file.exists():
        if program.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{file.name} was not created: {program.communicate()}")
        time.sleep(0.02)


def processes_in(session: int) -> list[str]:
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(stat[3]) == session and stat[0] != "Z":
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def end_all_of(program: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
