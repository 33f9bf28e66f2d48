# SPDX-License-Identifier: BSD-3-Clause
"""What tests have from elsewhere: what tools/lib/fetch downloads or builds, and the BPF programs of packages."""

import pathlib
import subprocess

from . import initramfs
from .errors import LabError

FETCH = pathlib.Path(__file__).resolve().parent.parent / "fetch"


def folder(name: str) -> str:
    """The folder of what tools/lib/fetch has under this name; downloads or builds it the first time."""
    printed = subprocess.run([FETCH, name], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if printed.returncode != 0:
        raise LabError(f"there is no {name}", "see the error above")
    return printed.stdout.strip()


def add_libxdp(root: pathlib.Path) -> None:
    """Adds the programs that libxdp and xdp-tools load, as the distribution has them, to the root of a guest's file system."""
    listed = subprocess.run(["dpkg", "-L", "libxdp1", "xdp-tools"], capture_output=True, text=True, timeout=30).stdout
    objects = [pathlib.Path(path) for path in listed.split() if path.endswith(".o")]
    if not objects:
        raise LabError("libxdp1 and xdp-tools have no BPF programs", "install the package xdp-tools")
    for path in objects:
        initramfs.copy(path, root / str(path).lstrip("/"))
