# SPDX-License-Identifier: BSD-3-Clause
"""Guests for measurements: two ports, on one hub unless told otherwise, and the programs of both sides."""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterator

from pollux_lab.errors import LabError
from pollux_lab.guest import Guest, cache_directory, started
from pollux_lab.kernel import Kernel
from pollux_lab.machine import Hub, Machine, Port

from .tell import tell

# The shared libraries are in /bin beside the programs, because the guest may mount a file system of its own over the path of the
# build. DPDK needs /var/run for its files, and loads no drivers below a folder that everybody can write to.
RUN = "mkdir -p /var/run; chmod 755 /; export LD_LIBRARY_PATH=/bin; "


def on_a_hub(device: str = "igb") -> Machine:
    return Machine([Port(Hub(0), device=device), Port(Hub(0), device=device)])


@contextlib.contextmanager
def guest(kernel: Kernel, programs: list[pathlib.Path], icount: bool, make: Callable[[], Machine] = on_a_hub) -> Iterator[Guest]:
    def machine() -> Machine:
        made = make()
        made.icount = 0 if icount else None
        return made

    with contextlib.closing(started(machine, kernel, cache_directory(), programs, tell=tell)) as running:
        yield running


def bind(running: Guest) -> str:
    """Binds both ports to vfio-pci. Returns their addresses, separated by a space."""
    addresses = " ".join(running.machine.addresses())
    running.check(f"modprobe -a igb vfio-pci && pollux bind {addresses}", 120)
    return addresses


def lines_of(running: Guest, command: str, seconds: float) -> list[dict]:
    """Runs one of the applications. Returns the lines of JSON that it printed."""
    out = running.check(RUN + command, seconds)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise LabError(f"'{command}' printed no figures", "run it by hand in the guest: tools/demo --on guest --keep-open", out)
    return lines
