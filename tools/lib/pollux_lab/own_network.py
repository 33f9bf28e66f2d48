# SPDX-License-Identifier: BSD-3-Clause
"""A network namespace of this process's own, whose kernel says nothing by itself, for interfaces that nobody else may see."""

import ctypes
import pathlib
import subprocess

from .errors import LabError

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000


def enter() -> None:
    """Moves this process and its later children into a new one, with its own /sys. It ends with them."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        raise LabError("there can be no network namespace", "run it as root")
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    for name in ("all", "default"):
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")


def run(*words: str) -> None:
    subprocess.run(words, check=True)
