# SPDX-License-Identifier: BSD-3-Clause
"""The hardware of the guest, and the QEMU command line for it."""

import dataclasses
import json
import pathlib
import socket
from collections.abc import Callable

from .server import Server


@dataclasses.dataclass(frozen=True)
class Hub:
    """A wire inside QEMU, which connects all ports with the same number. It is the fastest kind of link."""
    number: int


@dataclasses.dataclass
class OutsideSocket:
    """A datagram socket to this process: one frame per datagram, without loss. `near` is this process's end."""
    near: socket.socket = dataclasses.field(init=False)
    far: socket.socket = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self.near, self.far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def close(self) -> None:
        self.near.close()
        self.far.close()


@dataclasses.dataclass
class VfioUser:
    """A card of another process, which exports it on this socket. Its wire is that process's concern."""
    socket: pathlib.Path


@dataclasses.dataclass
class VhostUser:
    """A process that serves this socket has the other end of the virtqueues of a virtio-net device, and accesses the guest's memory."""
    socket: pathlib.Path


@dataclasses.dataclass
class Port:
    """One card of QEMU's, `device` with its properties, or one of another process. With `shares_group` it shares an IOMMU group with the previous card: their root ports
    become functions of one slot, without access control. (Two functions of one 82576 would not share a group: Linux knows that the
    card isolates them.)"""
    wire: Hub | OutsideSocket | VfioUser | VhostUser
    dump: pathlib.Path | None = None
    shares_group: bool = False
    device: str = "igb"


@dataclasses.dataclass
class Machine:
    ports: list[Port]
    cpus: int = 2
    memory_mib: int = 1024  # beside that of its file system
    huge_pages: int = 192
    accel: str = "tcg"
    iommu: bool = True
    icount: int | None = None  # virtual time: an instruction takes 2**icount ns, and idle time passes at once
    kernel_arguments: str = ""
    payload: Callable[[pathlib.Path], None] | None = None  # adds files to the root of the guest's file system
    emulator: str = "qemu-system-x86_64"
    servers: list[Server] = dataclasses.field(default_factory=list)  # started before the guest, ended after it

    def addresses(self) -> list[str]:
        """The PCI address of each port: the firmware numbers buses in the order of the root ports' slots."""
        return [f"0000:{index + 1:02x}:00.0" for index in range(len(self.ports))]

    def macs(self) -> list[str]:
        return [f"52:54:00:82:57:{index + 1:02x}" for index in range(len(self.ports))]

    def outside_sockets(self) -> list[OutsideSocket]:
        return [port.wire for port in self.ports if isinstance(port.wire, OutsideSocket)]

    def netdev(self, port: int) -> str:
        """QEMU's name of a port's wire."""
        return f"n{port}"

    def command_line(self, image: pathlib.Path, initrd: pathlib.Path, console_fd: int, channel_fd: int,
                     monitor_fd: int) -> list[str]:
        line = [
            self.emulator, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            *self._processor(),
            *self._memory(initrd),
            "-chardev", f"socket,id=console,fd={console_fd}", "-serial", "chardev:console",
            "-chardev", f"socket,id=channel,fd={channel_fd}",
            "-chardev", f"socket,id=monitor,fd={monitor_fd}", "-mon", "chardev=monitor,mode=control",
            "-device", "virtio-serial-pci,addr=2", "-device", "virtserialport,chardev=channel,name=lab",
            "-kernel", str(image), "-initrd", str(initrd), "-append", self.kernel_line(),
        ]
        for index, port in enumerate(self.ports):
            line += self._card(index, port)
        return line

    def _processor(self) -> list[str]:
        if self.accel == "kvm":
            return ["-machine", "q35,kernel-irqchip=split", "-accel", "kvm", "-cpu", "host", "-smp", str(self.cpus)]
        line = ["-machine", "q35", "-cpu", "max,-rdrand,-rdseed"]
        if self.icount is not None:
            return line + ["-accel", "tcg", "-smp", "1", "-icount", f"shift={self.icount},sleep=off",
                           "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]
        return line + ["-accel", "tcg,thread=multi", "-smp", str(self.cpus)]

    def _memory(self, initrd: pathlib.Path) -> list[str]:
        # The file system is a tmpfs, and so half of the memory beside the archive. Sanitized programs take most of a gibibyte.
        mib = self.memory_mib + 3 * initrd.stat().st_size // 2**20
        iommu = ["-device", "intel-iommu,intremap=on,caching-mode=on"]
        if any(isinstance(port.wire, (VfioUser, VhostUser)) for port in self.ports):
            # Shared with the process that has the card or its queues, which accesses it as the card's DMA.
            return ["-m", str(mib), "-object", f"memory-backend-memfd,id=ram,size={mib}M,share=on",
                    "-machine", "memory-backend=ram", *(iommu if self.iommu else [])]
        # The IOMMU is present even if a case boots without it: only the kernel argument turns it off.
        return ["-m", str(mib), *iommu]

    def kernel_line(self) -> str:
        # On a busy host the kernel's timer test would see too few ticks and panic.
        words = ["console=ttyS0", "quiet", "panic=-1", "no_timer_check", f"lab.hugepages={self.huge_pages}"]
        words += ["intel_iommu=on", "iommu=pt"] if self.iommu else ["intel_iommu=off"]
        if self.icount is not None:
            words += ["nokaslr", "norandmaps", "random.trust_cpu=off"]
        return " ".join(words + self.kernel_arguments.split())

    def _card(self, index: int, port: Port) -> list[str]:
        slot = sum(not other.shares_group for other in self.ports[: index + 1])
        function = 1 if port.shares_group else 0
        shares = port.shares_group or (index + 1 < len(self.ports) and self.ports[index + 1].shares_group)
        sharing = ",multifunction=on,disable-acs=on" if shares else ""
        # Each card has a root port: directly on the root bus its virtual functions delay the start, and cards share groups.
        line = ["-device", f"pcie-root-port,id=rp{index},chassis={index + 1},slot={index + 1},"
                           f"addr={slot + 3:#x}.{function}{sharing}"]
        if isinstance(port.wire, VfioUser):
            # By default QEMU gives up a server that does not answer for 5 s, as may happen on a busy machine.
            card = {"driver": "vfio-user-pci", "bus": f"rp{index}", "x-msg-timeout": 60000,
                    "socket": {"type": "unix", "path": str(port.wire.socket)}}
            return [*line, "-device", json.dumps(card)]
        if isinstance(port.wire, Hub):
            line += ["-netdev", f"hubport,id={self.netdev(index)},hubid={port.wire.number}"]
        elif isinstance(port.wire, VhostUser):
            name = f"v{index}"
            line += ["-chardev", f"socket,id={name},path={port.wire.socket}",
                     "-netdev", f"vhost-user,id={self.netdev(index)},chardev={name}"]
        else:
            line += ["-netdev", f"dgram,id={self.netdev(index)},local.type=fd,local.str={port.wire.far.fileno()}"]
        line += ["-device", f"{port.device},netdev={self.netdev(index)},bus=rp{index},mac={self.macs()[index]},romfile="]
        if port.dump:
            line += ["-object", f"filter-dump,id=f{index},netdev={self.netdev(index)},file={port.dump}"]
        return line
