# SPDX-License-Identifier: BSD-3-Clause
"""What programs have before their first frame on QEMU's igb over VFIO, in a guest: memory only, since times in an emulated machine say
nothing."""

import contextlib
import pathlib

from . import fetched, guest, initramfs, kernel
from .machine import Hub, Machine, Port

SECONDS = 60
# Of both files of /proc that bench_starts reads, after the program has said on a terminal, where no line waits, that it forwards.
_RUN = """
spawn started script -qfc '{command}' /dev/null
await_line started '{said}' {seconds}
sleep 1
program=$(pidof {name})
cat /proc/$program/status /proc/$program/smaps_rollup
kill -KILL $program
await 10 test -s /run/started.status || fail it does not end
"""


def memory(commands: dict[str, tuple[pathlib.Path, list[str], str]], rounds: int) -> dict[str, list[str]]:
    """What /proc says of each program, once for each round. By name: the program, its arguments, in which {0} and {1} are the addresses of
    two cards, and what it prints when it forwards."""
    machine = Machine([Port(Hub(0)), Port(Hub(1))])
    made = guest.Guest(machine, kernel.kernel_at(fetched.folder("guest-kernel")), guest.cache_directory(),
                       [initramfs.tool("script"), *(program for program, _, _ in commands.values())])
    addresses = machine.addresses()
    with contextlib.closing(made.start()):
        made.check("modprobe vfio-pci; use_vfio " + " ".join(addresses), SECONDS)
        said: dict[str, list[str]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, (program, words, ready) in commands.items():
                command = " ".join([program.name, *words]).format(*addresses)
                said[name].append(made.check(_RUN.format(command=command, name=program.name, said=ready, seconds=SECONDS), SECONDS + 20))
        made.stop()
    return said
