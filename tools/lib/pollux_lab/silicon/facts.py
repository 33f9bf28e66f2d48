# SPDX-License-Identifier: BSD-3-Clause
"""What the machine says about the ports, found without changing anything."""

import dataclasses
import errno
import json
import mmap
import pathlib
import re
import socket
import subprocess

SECONDS = 20
# Registers of the firmware that a read does not change. SWSM is not among them: reading it takes a semaphore.
# Offsets and bits as in lib/hw/intel/igb (Linux igb, e1000_regs.h; DPDK e1000, e1000_defines.h).
MANC, FWSM, SW_FW_SYNC, STATUS = 0x5820, 0x5B54, 0x5B5C, 0x0008
RCV_TCO_EN, BLK_PHY_RST_ON_IDE, EN_MNG2HOST = 1 << 17, 1 << 18, 1 << 21
FW_MODE_SHIFT, FW_MODE_MASK, FW_VALID = 1, 7, 1 << 15
ALL_ONES = 0xFFFFFFFF
ESTABLISHED = "01"


@dataclasses.dataclass
class Firmware:
    """The firmware of a port, as far as it can be read while another driver uses the port."""
    mode: int = 0
    valid: bool = False
    manages: bool = False       # it receives frames from this port
    session: bool = False       # a session is open: the link must not drop
    holds: int = 0              # its bits of SW_FW_SYNC
    unread: str = ""            # why nothing could be read


@dataclasses.dataclass
class Interface:
    """A network interface of the kernel."""
    name: str
    up: bool = False
    mtu: int = 1500
    carrier: bool | None = None  # None: the kernel does not know, since the interface is down
    speed: int = 0
    addresses: list[dict] = dataclasses.field(default_factory=list)  # as `ip -j address` shows them
    routes: list[str] = dataclasses.field(default_factory=list)      # those that the kernel did not add by itself
    master: str = ""
    uppers: list[str] = dataclasses.field(default_factory=list)
    connections: int = 0  # established TCP connections of its addresses


@dataclasses.dataclass
class Port:
    address: str
    name: str = ""
    device_id: str = ""
    subsystem: str = ""
    pollux_driver: str = ""
    driver: str = ""
    group: int | None = None
    others: list[str] = dataclasses.field(default_factory=list)  # "ADDRESS (DRIVER)" of its group that VFIO cannot share with
    numa: int | None = None
    interfaces: list[Interface] = dataclasses.field(default_factory=list)
    firmware: Firmware = dataclasses.field(default_factory=Firmware)


@dataclasses.dataclass
class Machine:
    ports: list[Port]
    vfio_loaded: bool = False
    iommu: bool = False
    iommu_type: str = ""        # of the first port's group, such as DMA or DMA-FQ; empty: unknown
    no_iommu_mode: bool = False  # VFIO's unsafe mode is enabled
    huge_pages_free: int = 0
    huge_page_kib: int = 0
    memlock: str = ""
    ssh_over: list[str] = dataclasses.field(default_factory=list)  # interfaces that carry this terminal's ssh session


class MachineReader:
    """Reads sysfs, procfs and the output of programs. Tests give other roots and other programs."""

    def __init__(self, sys: pathlib.Path = pathlib.Path("/sys"), proc: pathlib.Path = pathlib.Path("/proc"), run=None):
        self._sys, self._proc = sys, proc
        self._run = run or self._run_program

    def machine(self, addresses: list[str], pollux: str) -> Machine:
        listed = {device["address"]: device for device in self._json([pollux, "list", "--json", "--all"]).get("devices", [])}
        links = {link["ifname"]: link for link in self._json(["ip", "-j", "-d", "address", "show"])}
        ports = [self._port(address, listed.get(address, {}), links) for address in addresses]
        huge = self._meminfo()
        machine = Machine(ports, vfio_loaded=(self._sys / "bus/pci/drivers/vfio-pci").is_dir(),
                          iommu=bool(self._names(self._sys / "kernel/iommu_groups")),
                          no_iommu_mode=self._text(self._sys / "module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y",
                          huge_pages_free=huge.get("HugePages_Free", 0), huge_page_kib=huge.get("Hugepagesize", 0),
                          memlock=self._memlock())
        if ports and ports[0].group is not None:
            machine.iommu_type = self._text(self._sys / f"kernel/iommu_groups/{ports[0].group}/type")
        machine.ssh_over = self._ssh_over(links)
        return machine

    def _port(self, address: str, device: dict, links: dict) -> Port:
        if not device:
            return Port(address)
        port = Port(address, name=f"{device.get('vendor', '')} {device.get('device', '')}".strip(),
                    device_id=f"{device['vendor_id']}:{device['device_id']}",
                    subsystem=f"{device['subsystem_vendor_id']}:{device['subsystem_device_id']}",
                    pollux_driver=device.get("pollux_driver") or "", driver=device.get("driver") or "",
                    group=device.get("iommu_group"), numa=device.get("numa_node"))
        port.others = self._others(address, port.group)
        port.interfaces = [self._interface(name, links.get(name, {})) for name in device.get("interfaces", [])]
        port.firmware = self._firmware(address)
        return port

    def _others(self, address: str, group: int | None) -> list[str]:
        others = []
        for member in [] if group is None else self._names(self._sys / f"kernel/iommu_groups/{group}/devices"):
            device = self._sys / "bus/pci/devices" / member
            bridge = self._text(device / "class").startswith("0x0604")
            driver = self._driver(device)
            if member != address and not bridge and driver and driver not in ("vfio-pci", "pci-stub"):
                others.append(f"{member} ({driver})")
        return others

    def _interface(self, name: str, link: dict) -> Interface:
        folder = self._sys / "class/net" / name
        found = Interface(name, up="UP" in link.get("flags", []), mtu=link.get("mtu", 1500), master=link.get("master", ""))
        carrier = self._text(folder / "carrier")
        found.carrier = carrier == "1" if found.up and carrier in ("0", "1") else None
        speed = self._text(folder / "speed")
        found.speed = int(speed) if speed.isdigit() else 0
        found.addresses = [entry for entry in link.get("addr_info", []) if entry.get("scope") != "host"]
        found.uppers = [entry.removeprefix("upper_") for entry in self._names(folder) if entry.startswith("upper_")]
        found.routes = self._routes(found)
        found.connections = self._connections([entry["local"] for entry in found.addresses])
        return found

    def _routes(self, interface: Interface) -> list[str]:
        """The routes that `ip link set down` would lose and that an address does not bring back."""
        lost = []
        for family in ("-4", "-6"):
            for route in self._json(["ip", "-j", family, "route", "show", "table", "all", "dev", interface.name]):
                if route.get("protocol") == "kernel" or route.get("type") in ("local", "broadcast", "multicast", "anycast"):
                    continue
                via = f" via {route['gateway']}" if "gateway" in route else ""
                lost.append(f"{route.get('dst', '?')}{via}")
        return lost

    def _connections(self, addresses: list[str]) -> int:
        wanted = {socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses}
        return sum(local in wanted for local in self._tcp_locals())

    def _tcp_locals(self):
        for name in ("net/tcp", "net/tcp6"):
            for line in self._text(self._proc / name).splitlines()[1:]:
                words = line.split()
                if len(words) > 3 and words[3] == ESTABLISHED:
                    # Four bytes at a time, each group in the machine's order.
                    raw = bytes.fromhex(words[1].partition(":")[0])
                    address = b"".join(raw[at:at + 4][::-1] for at in range(0, len(raw), 4))
                    mapped = address[:12] == bytes(10) + b"\xff\xff"
                    yield address[12:] if mapped else address

    def _ssh_over(self, links: dict) -> list[str]:
        """The interfaces of the address to which the ssh session of this process, or of one of its parents, is connected."""
        server = self._ssh_server()
        return [name for name, link in links.items() if any(entry.get("local") == server for entry in link.get("addr_info", []))]

    def _ssh_server(self) -> str:
        # sudo removes the variable from the environment, so the parents' are searched, too.
        process = "self"
        for _ in range(32):
            for variable in self._bytes(self._proc / process / "environ").split(b"\0"):
                name, _, value = variable.partition(b"=")
                words = value.decode(errors="replace").split()
                if name == b"SSH_CONNECTION" and len(words) == 4:
                    return words[2]
            parent = re.search(r"^PPid:\s*(\d+)", self._text(self._proc / process / "status"), re.MULTILINE)
            if not parent or parent[1] == "0":
                break
            process = parent[1]
        return ""

    def _firmware(self, address: str) -> Firmware:
        device = self._sys / "bus/pci/devices" / address
        if self._text(device / "power_state") not in ("", "D0"):
            return Firmware(unread="the card is in a state of low power")
        if self._text(device / "enable") == "0":
            return Firmware(unread="the card is disabled: no driver uses it")
        try:
            status, manc, fwsm, sync = self._registers(device / "resource0", [STATUS, MANC, FWSM, SW_FW_SYNC])
        except (OSError, ValueError) as error:
            # Linux, drivers/pci/pci-sysfs.c, pci_mmap_resource: with CONFIG_IO_STRICT_DEVMEM only the driver may map the registers.
            strict = isinstance(error, OSError) and error.errno == errno.EINVAL
            return Firmware(unread="this kernel lets only its own driver read the registers (iomem=relaxed allows it)" if strict else str(error))
        if status == ALL_ONES:
            return Firmware(unread="the registers read all ones")
        return Firmware(mode=fwsm >> FW_MODE_SHIFT & FW_MODE_MASK, valid=bool(fwsm & FW_VALID),
                        manages=bool(manc & (RCV_TCO_EN | EN_MNG2HOST)), session=bool(manc & BLK_PHY_RST_ON_IDE), holds=sync >> 16)

    @staticmethod
    def _registers(file: pathlib.Path, offsets: list[int]) -> list[int]:
        with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 128 * 1024, prot=mmap.PROT_READ) as window:
            # A cast view reads each register by one access of 32 bits.
            with memoryview(window) as whole, whole.cast("I") as words:
                return [words[offset // 4] for offset in offsets]

    def _meminfo(self) -> dict[str, int]:
        found = re.findall(r"^(\w+):\s+(\d+)", self._text(self._proc / "meminfo"), re.MULTILINE)
        return {name: int(value) for name, value in found}

    def _memlock(self) -> str:
        found = re.search(r"^Max locked memory\s+(\S+)", self._text(self._proc / "self/limits"), re.MULTILINE)
        return found[1] if found else ""

    def _json(self, command: list[str]):
        out = self._run(command)
        try:
            return json.loads(out) if out.strip() else []
        except ValueError:
            return []

    @staticmethod
    def _run_program(command: list[str]) -> str:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        return done.stdout if done.returncode == 0 else ""

    @staticmethod
    def _text(file: pathlib.Path) -> str:
        try:
            return file.read_text(errors="replace").strip()
        except OSError:
            return ""

    @staticmethod
    def _bytes(file: pathlib.Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError:
            return b""

    @staticmethod
    def _names(folder: pathlib.Path) -> list[str]:
        try:
            return sorted(entry.name for entry in folder.iterdir())
        except OSError:
            return []

    @staticmethod
    def _driver(device: pathlib.Path) -> str:
        try:
            return (device / "driver").resolve(strict=True).name
        except OSError:
            return ""
