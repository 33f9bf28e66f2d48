# SPDX-License-Identifier: BSD-3-Clause
"""Counts the instructions per frame with the kernel's driver of the card, on the same ports and in the same way: the
kernel's packet generator, packet sockets with and without rings, and AF_XDP in copy mode. The count includes system
calls, interrupts and the network stack."""

import pathlib
import shutil

from pollux_lab.errors import LabError
from pollux_lab.guest import Guest

from .counts import BURSTS, FRAMES, named
from .figures import Figures
from .guests import guest, lines_of
from .session import Session
from .tell import tell

SECONDS = 300
RING = 512
SOCKETS = ("af_packet", "af_packet_ring", "af_xdp")
RUNS = (("pktgen", "txonly"), *((kind, case) for case in ("txonly", "lockstep") for kind in SOCKETS))
# Disables interrupt moderation, because the instructions of waiting loops would be counted. The ring sizes are the same as in
# the other measurements.
PREPARE = """modprobe -a igb pktgen || exit 1
[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
for address in {addresses}; do
  interface=$(netdev_of "$address")
  ethtool -C "$interface" rx-usecs 0 && ethtool -G "$interface" rx {ring} tx {ring} || exit 1
  ip link set "$interface" up promisc on || exit 1
  await 20 grep -q 1 "/sys/class/net/$interface/carrier" || fail "no link on $interface"
  echo "$interface"
done"""

RECEIVER_UP = "ip link set {0} up && await 20 grep -q 1 /sys/class/net/{0}/carrier"


def measure(session: Session, figures: Figures) -> None:
    ethtool = shutil.which("ethtool", path="/usr/sbin:/sbin:/usr/bin")
    if not ethtool:
        raise LabError("'ethtool' is not installed", "run bench/baselines/run, which installs what is needed")
    tell(f"[kernel] Linux {session.kernel.version}")
    with guest(session.kernel, [*session.programs("kernel_app"), pathlib.Path(ethtool)], icount=True) as running:
        addresses = " ".join(running.machine.addresses())
        one, other = running.check(PREPARE.format(ring=RING, addresses=addresses), 120).split()
        bursts = " ".join(f"--burst {burst}" for burst in BURSTS)
        for repetition in range(1 if session.quick else 2):
            for kind, case in RUNS:
                tell(f"[kernel] {kind}, {case}, repetition {repetition + 1}")
                # In txonly the receiver is down.
                interfaces = f"{one} {other}" if case == "lockstep" else one
                running.check(RECEIVER_UP.format(other) if case == "lockstep" else f"ip link set {other} down")
                command = f"kernel_app {kind} {bursts} --frames {FRAMES} --case {case} {interfaces}"
                sent = _sent(running, one)
                lines = lines_of(running, command, SECONDS)
                _check_sent(_sent(running, one) - sent, command)
                for line in lines:
                    figures.add({"where": "guest", "case": named(line["case"]), "who": f"kernel_{kind}",
                                 "burst": line["burst"], "instructions": line["ticks"]})


def _sent(running: Guest, interface: str) -> int:
    """The number of frames that the card has sent, as counted by the driver."""
    return int(running.check(f"cat /sys/class/net/{interface}/statistics/tx_packets"))


def _check_sent(sent: int, command: str) -> None:
    """Checks that the card sent all frames, because unsent frames would make sending look cheap. The last frames of
    AF_XDP may still be in its ring at the end."""
    wanted = FRAMES * len(BURSTS)
    if sent < wanted - RING:
        raise LabError(f"'{command}' reports {wanted} sent frames, but the card sent {sent}",
                       "its tx() counts unsent frames as sent: see bench/baselines")
