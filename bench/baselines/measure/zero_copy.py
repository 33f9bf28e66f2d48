# SPDX-License-Identifier: BSD-3-Clause
"""Measures AF_XDP without copies and with them, by Pollux's ports and by DPDK's, on the interfaces of a guest whose igb has zero copy.

The guest has one processor, and an instruction takes a nanosecond of its clock. So a second is one of the processor, for program and kernel
alike; the emulated cards cost nothing, and neither do caches and buses."""

import dataclasses

from pollux_lab import fetched, initramfs
from pollux_lab.errors import LabError
from pollux_lab.guest import Guest
from pollux_lab.kernel import kernel_at
from pollux_lab.machine import Machine

from .counts import BURSTS, named
from .figures import Figures
from .guests import guest, lines_of, on_a_hub
from .kernel import PREPARE, RECEIVER_UP, RING
from .session import Session
from .tell import tell

FRAMES = 6400
SECONDS = 120
REPETITIONS = 5
ZERO_COPY, COPY = "zero copy", "copy"
# A program, and a port of it. DPDK's takes the best that the kernel gives. By default it polls in the kernel (busy_budget), with which
# nothing is sent without copies here: the kernel then polls the NAPI of the receive queue, and igb has another one for sending unless it
# has more than half of the queues that the card can have.
CONTENDERS = {
    ("pollux", ZERO_COPY): ("pollux_app_static", "'xdp:{name}?rule=all,force,mode=zero-copy'"),
    ("pollux", COPY): ("pollux_app_static", "'xdp:{name}?rule=all,force,mode=copy'"),
    ("dpdk", ZERO_COPY): ("dpdk_app_veth", "net_af_xdp{number},iface={name},busy_budget=0"),
    ("dpdk", COPY): ("dpdk_app_veth", "net_af_xdp{number},iface={name},busy_budget=0,force_copy=1"),
}


def measure(session: Session, figures: Figures) -> None:
    try:
        kernel = kernel_at(fetched.folder("newer-kernel"))
    except LabError as error:
        tell(f"LEFT OUT: zero copy of igb, since {error.what}")
        return
    programs = [*session.programs("pollux_app_static", "dpdk_app_veth"), initramfs.tool("ethtool")]
    tell(f"[zero_copy] Linux {kernel.version}")
    with guest(kernel, programs, icount=True, make=_machine) as running:
        prepare = PREPARE.format(ring=RING, addresses=" ".join(running.machine.addresses()))
        pair = running.check(f"mount -t bpf bpf /sys/fs/bpf\n{prepare}", 120).split()
        # Without copies the driver sends in an interrupt, too.
        running.check("\n".join(f"ethtool -C {name} tx-usecs 0" for name in pair))
        for repetition in range(1 if session.quick else REPETITIONS):
            for who in CONTENDERS:
                tell(f"[zero_copy] {', '.join(who)}, repetition {repetition + 1}")
                for line in (*_send(running, who, pair), *_both(running, who, pair)):
                    figures.add(sample(line, who))


def _machine() -> Machine:
    return dataclasses.replace(on_a_hub(), payload=fetched.add_libxdp)


def _send(running: Guest, who: tuple[str, str], pair: list[str]) -> list[dict]:
    """With the other interface down, so that nobody receives."""
    running.check(f"ip link set {pair[1]} down")
    before = _sent(running, pair[0])
    lines = lines_of(running, command(who, pair[:1], "txonly"), SECONDS)
    sent, wanted = _sent(running, pair[0]) - before, FRAMES * len(BURSTS)
    if sent < wanted - RING:
        raise LabError(f"{', '.join(who)}: reports {wanted} sent frames, but the card sent {sent}")
    return lines


def _sent(running: Guest, interface: str) -> int:
    """The frames that the card has sent, as the card counts them: igb forgets its own count when a socket without copies is closed."""
    return int(running.check(f"ethtool -S {interface} | sed -n 's/^ *tx_packets: //p'"))


def _both(running: Guest, who: tuple[str, str], pair: list[str]) -> list[dict]:
    running.check(RECEIVER_UP.format(pair[1]))
    return lines_of(running, command(who, pair, "lockstep", "forward"), SECONDS)


def command(who: tuple[str, str], interfaces: list[str], *cases: str) -> str:
    program, port = CONTENDERS[who]
    ports = [port.format(number=number, name=name) for number, name in enumerate(interfaces)]
    bursts = [f"--burst {burst}" for burst in BURSTS]
    return " ".join([program, *bursts, f"--frames {FRAMES}", *(f"--case {case}" for case in cases), *ports])


def sample(line: dict, who: tuple[str, str]) -> dict:
    """A figure, if the kernel says of all the program's sockets that they copy, or do not, as `who` has it."""
    sockets = 1 if line["case"] == "txonly" else 2
    if line["without_copies"] != (sockets if who[1] == ZERO_COPY else 0):
        raise LabError(f"{', '.join(who)}: {line['without_copies']:.0f} of {sockets} sockets work without copies")
    return {"where": "guest-xdp", "case": named(line["case"]), "who": who[0], "path": who[1], "burst": line["burst"],
            "instructions": line["ticks"], "mpps": line["mpps"]}
