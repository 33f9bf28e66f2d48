# SPDX-License-Identifier: BSD-3-Clause
"""What guests have from elsewhere: kernels that scripts of tools/lib fetch or build, and the BPF programs of packages."""

import pathlib
import subprocess

from . import initramfs
from .errors import LabError

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent


def printed_by(script_name: str) -> str:
    """Runs a script of tools/lib, which downloads or builds a kernel at its first run. Returns the kernel's path."""
    printed = subprocess.run([str(SCRIPTS / script_name)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if printed.returncode != 0:
        raise LabError("there is no kernel for the guest", "see the error above")
    return printed.stdout.strip()


def add_libxdp(root: pathlib.Path) -> None:
    """Adds the programs that libxdp and xdp-tools load, as the distribution has them, to the root of a guest's file system."""
    listed = subprocess.run(["dpkg", "-L", "libxdp1", "xdp-tools"], capture_output=True, text=True, timeout=30).stdout
    objects = [pathlib.Path(path) for path in listed.split() if path.endswith(".o")]
    if not objects:
        raise LabError("libxdp1 and xdp-tools have no BPF programs", "install the package xdp-tools")
    for path in objects:
        initramfs.copy(path, root / str(path).lstrip("/"))
