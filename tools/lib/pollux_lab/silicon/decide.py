# SPDX-License-Identifier: BSD-3-Clause
"""What `pollux doctor` finds about the ports, without changing anything; whether they may be taken; and what will be done."""

import dataclasses
import json
import os
import shlex
import subprocess

from pollux_lab.errors import LabError

SECONDS = 60
# Pollux's drivers of cards that nobody has tried. A vmxnet3 device is silicon of VMware's.
DRIVEN = {"igb": "an 82576, I350, I210 or I211 with copper ports", "e1000e": "an 82574", "vmxnet3": "a vmxnet3 device"}
# The doctor's checks, by what a fault means for a run. Of the others a fault is a warning.
REFUSED = ("mounts", "iommu", "card", "group", "in-use", "give-back")
FORCIBLE = ("host-use", "firmware")
# The cards of a driver that the conformance suite tells from its first one, by device id. The probes do not ask them.
KINDS = {"1521": "i350", "1533": "i210", "1534": "i210", "1535": "i210", "157b": "i210", "1539": "i211"}
MENDED = ("modules", "driver", "permissions")  # by taking the ports


@dataclasses.dataclass
class Port:
    address: str
    device: dict = dataclasses.field(default_factory=dict)        # as `pollux list --json` shows it
    checks: list[dict] = dataclasses.field(default_factory=list)  # as `pollux doctor --json` shows them
    missing: tuple[str, str] | None = None                        # why it cannot be looked at, and how to fix that

    def check(self, name: str) -> dict:
        return next((check for check in self.checks if check["check"] == name), {"state": "unknown"})


@dataclasses.dataclass
class Decision:
    refusals: list[tuple[str, str]]  # what prevents the run, and how to fix it
    forcible: list[tuple[str, str]]  # the same for what --force overrides
    warnings: list[str]

    def may_go_on(self, force: bool) -> bool:
        return not self.refusals and (force or not self.forcible)


def look(pollux: str, addresses: list[str]) -> list[Port]:
    return [_look_at(pollux, address, [other for other in addresses if other != address]) for address in addresses]


def _look_at(pollux: str, address: str, others: list[str]) -> Port:
    # A run has root's rights, also where only looking has not.
    user = [] if os.geteuid() == 0 else ["--user", "root"]
    command = [pollux, "doctor", "--json", *user, address, *(word for other in others for word in ("--with", other))]
    try:
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise LabError(f"'pollux doctor {address}' failed: {error}", "run it by hand") from error
    if said.returncode == 2:
        what, _, hint = said.stderr.strip().removeprefix("pollux: ").partition("\n")
        return Port(address, missing=(what, hint.strip().removeprefix("hint: ")))
    try:
        found = json.loads(said.stdout)
        return Port(address, found["device"], found["checks"])
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"'pollux doctor {address}' failed with status {said.returncode}", "run it by hand", said.stderr) from error


def taken(ports: list[Port]) -> list[str]:
    """The addresses of those that the kernel has. The others belong to VFIO already, and stay there."""
    return [port.address for port in ports if port.check("driver")["state"] != "ok"]


def _findings(ports: list[Port]):
    """Each finding once: with the port's address, or "" if it is the same for all ports."""
    told = set()
    for port in ports:
        for check in port.checks:
            key = check["check"], check["found"]
            shared = all(other.check(key[0]).get("found") == key[1] for other in ports)
            if not shared or key not in told:
                yield "" if shared else f"{port.address}: ", check
            told.add(key)


def decide(ports: list[Port]) -> Decision:
    decision = Decision([], [], [])
    for port in ports:
        if port.missing and port.missing not in decision.refusals:
            decision.refusals.append(port.missing)
        elif not port.missing and port.device.get("pollux_driver") not in DRIVEN:
            decision.refusals.append((f"{port.address} is not {' or '.join(DRIVEN.values())}, but {_name(port)}",
                                      f"'pollux list' shows which ports the drivers {' and '.join(DRIVEN)} of Pollux know"))
    if len(drivers := {port.device.get("pollux_driver") for port in ports}) > 1 and not decision.refusals:
        decision.refusals.append((f"the ports have different drivers: {', '.join(sorted(drivers))}", "name two ports of the same kind"))
    if len(ports) == 1 and drivers == {"vmxnet3"}:
        decision.refusals.append(("a vmxnet3 device has no loopback", "name two devices on one network of the host"))
    for where, check in _findings([port for port in ports if not port.missing]):
        _judge(where, check, ports, decision)
    return decision


def _judge(where: str, check: dict, ports: list[Port], decision: Decision) -> None:
    name, state = check["check"], check["state"]
    text = f"{where}{name}: {check['found']}"
    hint = check["command"] or check["advice"] or "see 'pollux doctor'"
    # Modules that are loaded later bring these files.
    no_files = name == "access-modes" and ports[0].check("modules")["state"] == "ok"
    if state == "ok" or name in MENDED or (name == "link" and len(ports) == 1):
        return
    if state == "unknown":
        if name in REFUSED or name == "host-use":
            decision.warnings.append(f"not known: {text}")
    elif name == "give-back" or (state == "error" and (name in REFUSED or no_files)):
        decision.refusals.append((text, hint))
    elif name == "iommu" or (state == "error" and name in FORCIBLE):
        decision.forcible.append((text, hint))
    elif name != "access-modes":
        decision.warnings.append(f"{text} ({hint})")


def _name(port: Port) -> str:
    device = port.device
    return f"{device['vendor']} {device['device']} [{device['vendor_id']}:{device['device_id']}]".strip()


def kind_of(device: dict) -> str:
    return KINDS.get(device["device_id"], device["pollux_driver"])


def found_text(ports: list[Port]) -> str:
    lines = ["What was found (nothing was changed):"]
    seen = [port for port in ports if not port.missing]
    lines += [f"  {port.address}  {_name(port)}, driver {port.device['driver'] or 'none'}" for port in seen]
    lines += [f"  {check['state']:<8} {check['check']:<14} {where}{check['found']}" for where, check in _findings(seen)
              if check["check"] not in MENDED]
    return "\n".join(lines)


def plan_text(ports: list[Port], steps: list[str], archive: str) -> str:
    names = " and ".join(taken(ports))
    plan = [f"load kernel modules: {shlex.join(command)}" for command in modules_to_load(ports)]
    plan += [f"take {names} from the kernel: their interfaces disappear"] if names else []
    plan += steps
    plan += [f"give {names} back to the drivers that they had, with their addresses and routes"] if names else []
    plan.append(f"write {archive}; nothing is sent")
    return "\n".join(["What will be done:", *(f"  {number}. {text}" for number, text in enumerate(plan, 1))])


def modules_to_load(ports: list[Port]) -> list[list[str]]:
    """The command that loads them, as words, if any is missing."""
    return [shlex.split(check["command"]) for check in [ports[0].check("modules")] if check["state"] == "error"]


def verdict_text(decision: Decision, force: bool) -> str:
    lines = [f"warning: {text}" for text in decision.warnings]
    for what, hint in decision.refusals:
        lines += [f"refused: {what}", f"  what to do: {hint}"]
    for what, hint in decision.forcible:
        lines += [f"{'forced' if force else 'refused'}: {what}"] + ([] if force else [f"  what to do: {hint}; or --force"])
    return "\n".join(lines)
