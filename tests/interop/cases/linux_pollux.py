# SPDX-License-Identifier: BSD-3-Clause
"""Linux's igb on an exported card; a Pollux port is at the other end of its wire. l2fwd drives that port and forwards to a TAP
interface of this machine, whose kernel answers."""

import contextlib
import os
import subprocess

from pollux_lab import wire
from pollux_lab.cases import Boot, LeftOut, require
from pollux_lab.machine import Machine, Port, VfioUser
from pollux_lab.programs import built_programs
from pollux_lab.server import Server

from . import network
from .columns import BUILD, FOLDER, Lab, newer_qemu, on_this_card

NAMESPACE = f"pollux-interop-{os.getpid()}"
HOST = network.ADDRESS["right"]
MEBIBYTES = 16


def _machine() -> Machine:
    here, there, socket = (FOLDER.path / name for name in ("wire.card", "wire.port", "pollux.socket"))
    capture = FOLDER.path / "pollux.pcap"
    card = [_program("pollux"), "card", "--socket", str(socket), "--wire", f"capture={capture},socket-local={here},socket-remote={there}"]
    port = ["ip", "netns", "exec", NAMESPACE, _program("l2fwd"), f"sim:0?socket-local={there},socket-remote={here}", "tap:pollux0",
            "--no-mac-updating"]
    return Machine([Port(VfioUser(socket), dump=capture)], cpus=2, huge_pages=0, iommu=False, emulator=newer_qemu(), servers=[
        Namespace(), Server(card, FOLDER.path / "card.log", ready=f"{socket}: card"),
        Server(port, FOLDER.path / "l2fwd.log", ready="l2fwd: forwarding")])


def _program(name: str) -> str:
    return str(built_programs(BUILD[0], [name])[0])


class Namespace:
    """A network namespace of this machine, for the TAP interface."""

    def start(self) -> None:
        if os.geteuid() != 0:
            raise LeftOut("a TAP interface in a network namespace needs root")
        subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, timeout=10)

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", NAMESPACE], stderr=subprocess.DEVNULL, timeout=10)


def _on_host(*words: str) -> None:
    subprocess.run(["ip", "netns", "exec", NAMESPACE, *words], check=True, timeout=20)


@contextlib.contextmanager
def _iperf_server():
    server = Server(["ip", "netns", "exec", NAMESPACE, "iperf3", "-s", "--forceflush"], FOLDER.path / "iperf3.log", ready="Server listening")
    server.start()
    try:
        yield
    finally:
        server.close()


def against_a_pollux_port(lab: Lab) -> None:
    _on_host("ip", "addr", "add", f"{HOST}/24", "dev", "pollux0")
    _on_host("ip", "link", "set", "pollux0", "up")
    lab.guest.check(f"""
    modprobe igb
    await 10 test -d /sys/bus/pci/devices/{lab.addresses[0]}/net || fail igb made no interface
    name=$(netdev_of {lab.addresses[0]})
    ip netns add left && ip link set $name netns left && ip -n left link set $name name port
    ip -n left addr add {network.ADDRESS['left']}/24 dev port && ip -n left link set port up
    {network.has_link('left')}""", 60)
    with wire.captured(lab.guest.machine.ports[0].dump) as capture:
        for size in (0, 56, 1472, 8000):
            network.ping(lab, size)
        with _iperf_server():
            for direction in ("", "-R"):
                output = lab.on("left", f"iperf3 -c {HOST} -n {MEBIBYTES}M --json {direction}", 90)
                require('"error"' not in output, output[-500:])
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(20000)


on_this_card(Boot("an in-process card whose partner is a Pollux port", _machine, "true"), "against_a_pollux_port",
             "igb exchanges frames with a Pollux port", against_a_pollux_port)
