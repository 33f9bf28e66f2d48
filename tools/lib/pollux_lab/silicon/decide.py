# SPDX-License-Identifier: BSD-3-Clause
"""Decides whether the ports may be taken, and says what was found and what will be done."""

import dataclasses

from .facts import Interface, Machine, Port

DRIVEN = "igb"  # Pollux's driver of the 82576


@dataclasses.dataclass
class Decision:
    refusals: list[tuple[str, str]]  # what prevents the run, and how to fix it
    forcible: list[tuple[str, str]]  # the same for what --force overrides
    warnings: list[str]

    def may_go_on(self, force: bool) -> bool:
        return not self.refusals and (force or not self.forcible)


def decide(machine: Machine) -> Decision:
    decision = Decision([], [], [])
    if not machine.iommu and not any(port.group is not None for port in machine.ports):
        _decide_without_iommu(machine, decision)
    taken = {port.address for port in machine.ports}
    for port in machine.ports:
        _decide_port(port, taken, machine, decision)
    if machine.huge_pages_free == 0:
        decision.warnings.append("no huge page is free: rates will be lower (echo 64 > /proc/sys/vm/nr_hugepages)")
    carriers = [interface.carrier for port in machine.ports for interface in port.interfaces]
    if False in carriers and len(machine.ports) > 1:
        decision.warnings.append("a port has no carrier: is the cable plugged in at both ends?")
    return decision


def _decide_without_iommu(machine: Machine, decision: Decision) -> None:
    fix = "enable VT-d or AMD-Vi in the firmware's setup and boot with intel_iommu=on or amd_iommu=on"
    if not machine.no_iommu_mode:
        decision.refusals.append(("there is no IOMMU, so VFIO cannot open the ports", fix))
    else:
        decision.forcible.append(("there is no IOMMU: a mistake in the driver lets the card write anywhere in this machine's memory", fix))


def _decide_port(port: Port, taken: set[str], machine: Machine, decision: Decision) -> None:
    refuse = decision.refusals.append
    if not port.device_id:
        refuse((f"{port.address}: there is no such device", "'pollux list' shows the ports of this machine"))
        return
    if port.pollux_driver != DRIVEN:
        refuse((f"{port.address} is not an 82576 with copper ports, but {port.name or port.device_id}",
                "'pollux list' shows which ports the driver igb of Pollux knows"))
        return
    others = [other for other in port.others if other.split()[0] not in taken]
    if others:
        refuse((f"{port.address} shares IOMMU group {port.group} with {', '.join(others)}",
                "put the card into another slot, or unbind these devices if the machine does not need them"))
    if port.driver == "igb" and not port.interfaces:
        refuse((f"{port.address}: its interface is in another network namespace", "move it back first"))
    for interface in port.interfaces:
        _decide_interface(port, interface, machine, decision)
    _decide_firmware(port, decision)


def _decide_interface(port: Port, interface: Interface, machine: Machine, decision: Decision) -> None:
    where = f"{port.address} ({interface.name})"
    if interface.name in machine.ssh_over:
        decision.refusals.append((f"{where}: YOUR SSH SESSION RUNS OVER THIS PORT", "log in over another port, or on the console"))
    if interface.connections:
        decision.refusals.append((f"{where}: {interface.connections} TCP connections use it", "end them first"))
    if interface.master:
        decision.refusals.append((f"{where} is a member of {interface.master}", f"ip link set {interface.name} nomaster"))
    if interface.uppers:
        decision.refusals.append((f"{where} carries {', '.join(interface.uppers)}", "remove these interfaces first"))
    if interface.routes:
        decision.refusals.append((f"{where} carries the routes {', '.join(interface.routes)}", "remove them first: they would not be set again"))
    if addresses := lasting_addresses(interface):
        decision.forcible.append((f"{where} has the addresses {', '.join(map(text_of, addresses))}",
                                  "remove them; with --force they are lost during the run and set again afterwards"))


def _decide_firmware(port: Port, decision: Decision) -> None:
    firmware = port.firmware
    if firmware.session:
        decision.forcible.append((f"{port.address}: a management session runs over this port, and its link must not drop",
                                  "end the session (MANC.BLK_PHY_RST_ON_IDE is set)"))
    elif firmware.manages:
        decision.warnings.append(f"{port.address}: the machine's management controller receives frames from this port (MANC)")
    elif firmware.mode:
        decision.warnings.append(f"{port.address}: firmware shares the card (FWSM mode {firmware.mode}); the tests share it by its semaphores")


def lasting_addresses(interface: Interface) -> list[dict]:
    """Those that the kernel does not make by itself when the interface goes up."""
    return [entry for entry in interface.addresses if entry.get("scope") != "link"]


def text_of(entry: dict) -> str:
    return f"{entry['local']}/{entry['prefixlen']}"


def found_text(machine: Machine) -> str:
    lines = ["What was found (nothing was changed):"]
    for port in machine.ports:
        lines.append(f"  {port.address}  {port.name or 'unnamed device'} [{port.device_id or 'not found'}], driver {port.driver or 'none'}, "
                     f"IOMMU group {'none' if port.group is None else port.group}"
                     + (f" (type {machine.iommu_type})" if machine.iommu_type else ""))
        for interface in port.interfaces:
            carrier = {True: f"carrier, {interface.speed} Mb/s", False: "NO carrier", None: "down, so its carrier is not known"}
            addresses = ", ".join(map(text_of, interface.addresses)) or "no address"
            lines.append(f"    interface {interface.name}: {carrier[interface.carrier]}; {addresses}")
        firmware = port.firmware
        lines.append("    firmware: " + (f"not known: {firmware.unread}" if firmware.unread else _firmware_text(firmware)))
    lines.append(f"  huge pages: {machine.huge_pages_free} of {machine.huge_page_kib} KiB are free; memlock limit {machine.memlock or 'unknown'}")
    return "\n".join(lines)


def _firmware_text(firmware) -> str:
    shares = "receives frames from this port" if firmware.manages else "receives no frames from this port"
    return f"mode {firmware.mode}{', valid' if firmware.valid else ''}, {shares}, holds {firmware.holds:#x} of SW_FW_SYNC"


def plan_text(machine: Machine, steps: list[str], archive: str) -> str:
    ports = " and ".join(port.address for port in machine.ports)
    load = [] if machine.vfio_loaded else ["load the kernel module vfio-pci"]
    plan = [*load, f"take {ports} from the kernel: their interfaces disappear", *steps,
            f"give {ports} back to the drivers that they had, with their addresses",
            f"write {archive}; nothing is sent"]
    return "\n".join(["What will be done:", *(f"  {number}. {text}" for number, text in enumerate(plan, 1))])


def verdict_text(decision: Decision, force: bool) -> str:
    lines = [f"warning: {text}" for text in decision.warnings]
    for what, hint in decision.refusals:
        lines += [f"refused: {what}", f"  what to do: {hint}"]
    for what, hint in decision.forcible:
        lines += [f"{'forced' if force else 'refused'}: {what}"] + ([] if force else [f"  what to do: {hint}; or --force"])
    return "\n".join(lines)
