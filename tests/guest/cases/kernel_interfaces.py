# SPDX-License-Identifier: BSD-3-Clause
"""`xdp:` ports on interfaces of the guest's kernel: zero copy, and a place beside programs that libxdp has attached."""

import functools
import pathlib

from cases.access_modes import run_tests
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


def on_each_kernel(function):
    """Registers a case for the stock kernel and for the newer one."""
    for name, boot in (("stock", STOCK), ("newer", NEWER)):
        registered = functools.partial(function)
        registered.__name__ = f"{function.__name__}_{name}"
        case(boot)(registered)
    return function


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
SHARED = "xdp:plx0?share,rule=udp:5000"
DATAGRAMS = 20
SEND = f"ip netns exec far bash -c 'for i in $(seq {DATAGRAMS}); do echo $i >/dev/udp/10.6.0.1/5000; done'"
# Datagrams that the kernel got, and for which it has no socket.
UNWANTED = "awk '/^Udp:/ && !/NoPorts/ {print $3}' /proc/net/snmp"


def load(fixture: Fixture, name: str) -> None:
    fixture.guest.check(f"xdp-loader load -m native plx0 $(find /usr/lib -name {name}.o)")


def programs(fixture: Fixture) -> list[str]:
    """Those that xdp-loader finds in the dispatcher of plx0, in their order."""
    lines = fixture.guest.check("xdp-loader status plx0").splitlines()
    require(any("xdp_dispatcher" in line and "native" in line for line in lines), "\n".join(lines))
    return [line.split()[2] for line in lines if line.strip().startswith("=>")]


def require_programs(fixture: Fixture, *expected: str) -> None:
    found = programs(fixture)
    require(found == list(expected), f"the programs are {found}, not {expected}")


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


@on_each_kernel
@with_veth
def xdp_shares_with_programs_of_libxdp(fixture: Fixture) -> None:
    """Programs that xdp-loader loads before and after the port, one of which drops all frames."""
    load(fixture, "xdpfilt_alw_all")
    require_programs(fixture, "xdpfilt_alw_all")
    with Forwarder(fixture.guest, SHARED, "null:") as l2fwd:
        require_programs(fixture, "xdpfilt_alw_all", "pollux")
        require(pings(fixture) and not reaches_the_kernel(fixture), "the port does not take the datagrams, or takes more")
        load(fixture, "xdpfilt_dny_all")
        require(sorted(programs(fixture)) == ["pollux", "xdpfilt_alw_all", "xdpfilt_dny_all"], f"{programs(fixture)}")
        fixture.guest.check(SEND)
        require(not pings(fixture), "the program that drops all has no effect")
        fixture.guest.check("xdp-loader unload plx0 --id $(xdp-loader status plx0 | awk '/dny_all/ {print $4}')")
        require_programs(fixture, "xdpfilt_alw_all", "pollux")
        fixture.guest.check(SEND)
        require(pings(fixture), "the program that dropped all is still there")
        summary = l2fwd.stop()
    require(summary.conserved and summary.received == 2 * DATAGRAMS, str(summary))
    require_programs(fixture, "xdpfilt_alw_all")
    require(reaches_the_kernel(fixture), "datagrams do not reach the kernel afterwards")
    fixture.guest.check("xdp-loader unload plx0 --all")


@on_each_kernel
@with_veth
def xdp_of_a_killed_process_passes_all_and_is_removed(fixture: Fixture) -> None:
    for other in ("", "xdpfilt_alw_all"):
        if other:
            load(fixture, other)
        expected = [*filter(None, [other]), "pollux"]
        for mend in ("pollux doctor --fix --yes xdp:plx0", f"timeout -s INT 3 l2fwd '{SHARED}' null:"):
            with Forwarder(fixture.guest, SHARED, "null:") as l2fwd:
                require(not reaches_the_kernel(fixture), "the port does not take the datagrams")
                require_state(examine(fixture, "xdp:plx0"), "program", "warning", "share the interface")
                fixture.guest.check("interrupt l2fwd KILL; finish l2fwd 20 >/dev/null 2>&1; true")
                l2fwd.ended()
            require_programs(fixture, *expected)
            require(pings(fixture) and reaches_the_kernel(fixture), "what is left does not pass all frames")
            require_state(examine(fixture, "xdp:plx0"), "program", "warning", "processes are left")
            fixture.guest.run(mend, 30)
            if other:
                require_programs(fixture, other)
            else:
                require("xdp_dispatcher" not in fixture.guest.check("xdp-loader status plx0"), f"left after {mend}")
    fixture.guest.check("xdp-loader unload plx0 --all")


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


@on_each_kernel
def xdp_share_conformance(fixture: Fixture) -> None:
    """The tests of a port that shares: the test machine's kernel may not let programs replace functions."""
    run_tests(fixture, "ports_test --gtest_filter='XdpShare.*'", 9, 120)
