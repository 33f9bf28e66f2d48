# SPDX-License-Identifier: BSD-3-Clause
"""Programs of others hold up a tool of root's that looks for the programs that have a card open: by a file whose file system answers
nobody, by more open files than can be looked at, or by network namespaces. The card's files are made up, in a mount namespace of the test's own."""

import contextlib
import ctypes
import os
import pathlib
import resource
import select
import signal
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator

import descriptor_zoo
POLLUX = sys.argv.pop()
SECONDS = 20  # far more than it takes: a file system that does not answer takes for ever
CARD, GROUP = "0000:01:00.0", "9"
SYS, NODE = pathlib.Path("/sys"), pathlib.Path("/dev/vfio", GROUP)
LIBC = ctypes.CDLL(None, use_errno=True)
STRANGER = 61001
FILES, MOST_FILES = 8_000_000, 20_000  # together, and of a process; to look at a million takes some seconds
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NAMESPACES, A_NAMESPACE = 300, 0.004  # seconds that may be spent on each
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def mount(kind: str, folder: str, options: str = "") -> None:
    if LIBC.mount(b"made-up", folder.encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount {kind} at {folder}")


def enter_own_mounts() -> None:
    if LIBC.unshare(CLONE_NEWNS) != 0 or LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a mount namespace")


def make_card() -> None:
    """A card that is bound to vfio-pci."""
    for folder in ("/sys", "/dev"):
        mount("tmpfs", folder)
    device, group, driver = SYS / "bus/pci/devices" / CARD, SYS / "kernel/iommu_groups" / GROUP, SYS / "bus/pci/drivers/vfio-pci"
    for path in (device, group / "devices", driver, NODE.parent):
        path.mkdir(parents=True)
    for name, value in (("vendor", "0x8086"), ("device", "0x10c9"), ("class", "0x020000"), ("enable", "0"), ("numa_node", "-1")):
        (device / name).write_text(value + "\n")
    (device / "driver").symlink_to(driver)
    (device / "iommu_group").symlink_to(group)
    (group / "devices" / CARD).symlink_to(device)
    NODE.touch()


@contextlib.contextmanager
def stranger(attack: Callable[[int], None]) -> Iterator[bytes]:
    """Another user, who attacks by processes. What these have written until all have closed the pipe's end."""
    ready, told = os.pipe()
    group = os.fork()
    if group == 0:
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))
            os.setresuid(STRANGER, STRANGER, STRANGER)
            attack(told)
            os.close(told)
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    said = b""
    while part := os.read(ready, 4096):
        said += part
    os.close(ready)
    try:
        yield said
    finally:
        os.killpg(group, signal.SIGKILL)
        os.waitpid(group, 0)


def opens_files(told: int) -> None:
    """Each process has as many as it may."""
    file = os.open("/", os.O_PATH)
    with contextlib.suppress(OSError):
        while True:
            os.dup(file)
    for _ in range(FILES // MOST_FILES):
        if os.fork() == 0:
            break
        os.write(told, b".")


def makes_namespaces(told: int) -> None:
    """Each is held by a process."""
    if LIBC.unshare(CLONE_NEWUSER) != 0:
        return
    for _ in range(NAMESPACES):
        if os.fork() == 0:
            os.write(told, b"." if LIBC.unshare(CLONE_NEWNET) == 0 else b"")
            break


@unittest.skipUnless(os.geteuid() == 0, "only root can mount")
class Holders(unittest.TestCase):
    def test_files_that_answer_nobody_are_not_asked(self) -> None:
        with contextlib.ExitStack() as stack:
            try:
                enter_own_mounts()
                fuse = descriptor_zoo.Fuse()
                stack.callback(fuse.close)  # whoever still waits gets an error
                fuse.start()
                mount("tmpfs", "/mnt")
                for name in ("lower", "over"):
                    pathlib.Path("/mnt", name).mkdir()
                mount("overlay", "/mnt/over", f"lowerdir={fuse.folder}:/mnt/lower")
            except OSError as error:
                self.skipTest(f"LEFT OUT: no such mount can be made: {error}")
            os.open("/mnt/over/file", os.O_PATH)
            make_card()
            os.open(NODE, os.O_RDONLY)
            doctor = subprocess.Popen([POLLUX, "doctor", CARD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            ended = select.select([os.pidfd_open(doctor.pid)], [], [], SECONDS)[0]
        said = doctor.communicate(timeout=SECONDS)[0]
        self.assertTrue(ended, said)
        self.assertIn(f"process {os.getpid()} (", said)


    def doctor(self, files: int) -> str:
        """What it says about the made-up card."""
        return subprocess.run([POLLUX, "doctor", CARD], stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))).stdout

    def enter(self) -> None:
        try:
            enter_own_mounts()
        except OSError as error:
            self.skipTest(f"LEFT OUT: no mounts can be made: {error}")

    def test_more_open_files_than_can_be_looked_at(self) -> None:
        """By processes of somebody else, while a program of root's holds the card."""
        self.enter()
        with stranger(opens_files) as said:
            self.assertEqual(len(said), FILES // MOST_FILES)
            make_card()
            holder = os.open(NODE, os.O_RDONLY)
            found = self.doctor(files=1024)
            os.close(holder)
        self.assertIn(f"process {os.getpid()} (", found)
        self.assertIn("not all were looked at", found)

    def test_more_namespaces_than_descriptors(self) -> None:
        self.enter()
        with stranger(makes_namespaces) as said:
            if len(said) < NAMESPACES:
                self.skipTest("LEFT OUT: users may not make namespaces here")
            make_card()
            before = os.times()
            found = self.doctor(files=NAMESPACES // 4)
            after = os.times()
        self.assertRegex(found, "ok +host-use")
        used = (after.children_user + after.children_system) - (before.children_user + before.children_system)
        self.assertLess(used, NAMESPACES * A_NAMESPACE)


if __name__ == "__main__":
    unittest.main()
