# SPDX-License-Identifier: BSD-3-Clause
"""A program has a file open whose file system answers nobody, while a tool of root's looks for the programs that have a card open. The
card's files are made up, in a mount namespace of the test's own."""

import contextlib
import ctypes
import os
import pathlib
import select
import subprocess
import sys
import unittest

import descriptor_zoo
POLLUX = sys.argv.pop()
SECONDS = 20  # far more than it takes: a file system that does not answer takes for ever
CARD, GROUP = "0000:01:00.0", "9"
SYS, NODE = pathlib.Path("/sys"), pathlib.Path("/dev/vfio", GROUP)
LIBC = ctypes.CDLL(None, use_errno=True)
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


if __name__ == "__main__":
    unittest.main()
