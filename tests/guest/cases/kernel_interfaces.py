# SPDX-License-Identifier: BSD-3-Clause
"""`xdp:` ports on interfaces of the guest's kernel: zero copy, and what programs of libxdp have attached."""

import functools
import pathlib

from cases.doctor import examine, require_state
from cases.forwarding import pass_frames, require_counts
from cases.refusals import refused
from pollux_lab import fetched, frames, initramfs
from pollux_lab.cases import Boot, Fixture, case, require
from pollux_lab.machine import Machine, OutsideSocket, Port
from pollux_lab.programs import Forwarder

IGB, VIRTIO = 0, 1  # ports
COPIES = "copies frames (zero copy: Operation not supported)"


def add_xdp_loader(root: pathlib.Path) -> None:
    """xdp-tools' own loader and libxdp, as the distribution has them, with the programs that they load."""
    initramfs.add_programs(root, [initramfs.tool("xdp-loader")], "bin")
    fetched.add_libxdp(root)


def _machine() -> Machine:
    virtio = "virtio-net-pci,disable-legacy=on,iommu_platform=on"
    return Machine([Port(OutsideSocket()), Port(OutsideSocket(), device=virtio)], cpus=1, huge_pages=160,
                   payload=add_xdp_loader)


_PREPARE = """modprobe -a igb virtio_net veth af_packet
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
mount -t bpf bpf /sys/fs/bpf
for port in /sys/class/net/eth*; do ethtool -K $(basename $port) rxvlan off; ip link set $(basename $port) up; done
for port in /sys/class/net/eth*; do await 20 grep -q 1 $port/carrier || fail no link on $port; done"""
STOCK = Boot("stock kernel, igb and virtio interfaces", _machine, _PREPARE)
NEWER = Boot("newer kernel, igb and virtio interfaces", _machine, _PREPARE, kernel="newer")


def xdp(fixture: Fixture, port: int, options: str) -> str:
    """The URI of a port that takes all frames of an interface."""
    name = fixture.guest.check(f"netdev_of {fixture.addresses[port]}").strip()
    return f"xdp:{name}?rule=all,force{options}"


def forward_between(fixture: Fixture, options: str, expected: str) -> None:
    """Between both cards, in both directions, each byte checked."""
    uris = [xdp(fixture, port, options) for port in (IGB, VIRTIO)]
    with Forwarder(fixture.guest, *uris, "--no-mac-updating") as l2fwd:
        said = fixture.guest.check("cat /run/l2fwd.err")
        for uri in uris:
            require(f"{uri}: native, {expected}\n" in said, said)
        # igb sets its link up again when the program is attached.
        fixture.guest.check("for port in /sys/class/net/eth*; do await 20 grep -q 1 $port/carrier || fail no link on $port; done")
        passed = pass_frames(fixture, IGB, VIRTIO, frames.unchanged, 500)
        passed += pass_frames(fixture, VIRTIO, IGB, frames.unchanged, 500)
        require_counts(l2fwd.stop(), passed)


@case(NEWER)
def xdp_without_copies(fixture: Fixture) -> None:
    # With one processor igb has an interrupt for each direction of a queue, of which busy polling runs one.
    for options in ("", ",mode=zero-copy", ",mode=zero-copy,busy-poll=20"):
        forward_between(fixture, options, "zero copy")


@case(NEWER)
def xdp_copies_if_that_is_asked_for(fixture: Fixture) -> None:
    forward_between(fixture, ",mode=copy", "copies frames")


@case(STOCK)
def xdp_names_why_it_copies(fixture: Fixture) -> None:
    """The drivers of the stock kernel have no zero copy."""
    forward_between(fixture, "", COPIES)
    for port in (IGB, VIRTIO):
        uri = xdp(fixture, port, ",mode=zero-copy")
        refused(fixture, f"l2fwd '{uri}' null:", uri, "Operation not supported", "the driver has no zero copy")


VETH = """ip netns add far
ip link add plx0 type veth peer name plx1 netns far
ip addr add 10.6.0.1/24 dev plx0; ip link set plx0 up
ip -n far addr add 10.6.0.2/24 dev plx1; ip -n far link set plx1 up
ip netns exec far ethtool -K plx1 tx off >/dev/null"""
REMOVE_VETH = "ip link del plx0; ip netns del far"
DATAGRAMS = 20
SEND = f"ip netns exec far bash -c 'for i in $(seq {DATAGRAMS}); do echo $i >/dev/udp/10.6.0.1/5000; done'"
# Datagrams that the kernel got, and for which it has no socket.
UNWANTED = "awk '/^Udp:/ && !/NoPorts/ {print $3}' /proc/net/snmp"


def reaches_the_kernel(fixture: Fixture) -> bool:
    before = int(fixture.guest.check(UNWANTED))
    fixture.guest.check(SEND)
    return int(fixture.guest.check(UNWANTED)) == before + DATAGRAMS


def pings(fixture: Fixture) -> bool:
    return " 0% packet loss" in fixture.guest.run("ip netns exec far ping -c 2 -i 0.1 -W 1 10.6.0.1").out


def with_veth(function):
    """Runs a case on an interface `plx0`, whose other end is another host."""
    @functools.wraps(function)
    def run(fixture: Fixture) -> None:
        fixture.guest.check(VETH)
        try:
            function(fixture)
        finally:
            fixture.guest.run(REMOVE_VETH)
            left = fixture.guest.check("find /sys/fs/bpf -mindepth 2").split()
        require(not left, f"left in the bpf file system: {left}")
    return run


@case(STOCK)
@with_veth
def xdp_and_programs_of_libxdp_exclude_each_other(fixture: Fixture) -> None:
    """Whichever comes first keeps the interface, and what it takes."""
    load = "xdp-loader load -m native plx0 $(find /usr/lib -name xdpfilt_alw_all.o)"
    fixture.guest.check(load)
    uri = "xdp:plx0?rule=udp:5000"
    refused(fixture, f"l2fwd '{uri}' null:", uri, "another XDP program is attached: xdp_dispatcher", "stop its owner")
    require_state(examine(fixture, "xdp:plx0"), "program", "error", "xdp_dispatcher")
    require(pings(fixture) and reaches_the_kernel(fixture), "the filter of xdp-tools does not pass all any more")
    fixture.guest.check("xdp-loader unload plx0 --all")
    with Forwarder(fixture.guest, uri, "null:") as l2fwd:
        require(fixture.guest.run(load).status != 0, "xdp-loader has replaced the port's program")
        require(pings(fixture) and not reaches_the_kernel(fixture), "the port does not take the datagrams, or takes more")
        summary = l2fwd.stop()
    require(summary.conserved and summary.received == DATAGRAMS, str(summary))
    require(reaches_the_kernel(fixture), "datagrams do not reach the kernel afterwards")


BOND = """modprobe bonding
ip link add plxb type bond mode active-backup
ip addr flush dev plx0; ip link set plx0 down; ip link set plx0 master plxb
ip addr add 10.6.0.1/24 dev plxb; ip link set plxb up
await 20 grep -q 1 /sys/class/net/plxb/carrier"""


@case(STOCK)
@with_veth
def xdp_of_a_bond_takes_the_frames_of_its_ports(fixture: Fixture) -> None:
    """The kernel accepts a native program on a bond, and then loses the frames for a socket of the bond."""
    fixture.guest.check(BOND)
    try:
        with Forwarder(fixture.guest, "xdp:plxb?rule=udp:5000", "null:") as l2fwd:
            said = fixture.guest.check("cat /run/l2fwd.err")
            require("plxb?rule=udp:5000: generic (native: the frames of a bond" in said, said)
            fixture.guest.check(SEND)
            require(pings(fixture), "the port takes more than the datagrams")
            summary = l2fwd.stop()
        require(summary.conserved and summary.received == DATAGRAMS, str(summary))
        refused(fixture, "l2fwd 'xdp:plxb?rule=udp:5000,mode=copy' null:", "xdp:plxb", "cannot attach", "leave out ?mode=")
    finally:
        fixture.guest.run("ip link del plxb")
