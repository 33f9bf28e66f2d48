# SPDX-License-Identifier: BSD-3-Clause
"""Guests for measuring in: two ports on one hub, the programs of both sides aboard."""

import contextlib
import json
import pathlib
from collections.abc import Iterator

from pollux_lab.errors import LabError
from pollux_lab.guest import Guest, cache_directory, started
from pollux_lab.kernel import Kernel
from pollux_lab.machine import Hub, Machine, Port

from .tell import tell

# Libraries lie beside the programs: where the build has them, the guest may have a file system of its own. DPDK wants a place
# for its files, and loads no drivers where anybody may write into a folder above theirs.
RUN = "mkdir -p /var/run; chmod 755 /; export LD_LIBRARY_PATH=/bin; "


@contextlib.contextmanager
def guest(kernel: Kernel, programs: list[pathlib.Path], icount: bool, memory_mib: int = 1024) -> Iterator[Guest]:
    def machine() -> Machine:
        return Machine([Port(Hub(0)), Port(Hub(0))], icount=icount, memory_mib=memory_mib)

    with contextlib.closing(started(machine, kernel, cache_directory(), programs, tell=tell)) as running:
        yield running


def bind(running: Guest) -> str:
    """Gives both ports to vfio-pci; their addresses as one word each."""
    addresses = " ".join(running.machine.addresses())
    running.check(f"modprobe -a igb vfio-pci && pollux bind {addresses}", 120)
    return addresses


def lines_of(running: Guest, command: str, seconds: float) -> list[dict]:
    """Runs one of the applications; the lines of JSON that it printed."""
    out = running.check(RUN + command, seconds)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise LabError(f"'{command}' printed no figures", "run it by hand in the guest: tools/demo --on guest --keep-open", out)
    return lines
