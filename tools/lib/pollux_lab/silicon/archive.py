# SPDX-License-Identifier: BSD-3-Clause
"""The archive to send: what the run found, without names and addresses of the machine."""

import ipaddress
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import tarfile

from .results import Results

SECONDS = 30
CONTENTS = {
    "report.txt": "what passed, failed and differed, for a reader",
    "report.json": "the same with every answer of the card, for programs",
    "machine.txt": "processor, kernel, distribution, compiler, versions",
    "lspci.txt": "'lspci -vvv' of the ports and of the bridges above them",
    "dmesg.txt": "the kernel's messages about these ports, their drivers and the IOMMU",
    "registers-*.json": "the cards' registers",
    "logs/": "the output of each program",
    "traces/": "each register access of each probe, as text",
    "recordings/": "runs for 'replay:' and 'silicon_probe --replay'; these binary files contain the ports' MAC addresses, since a replay needs them",
}
_MAC = re.compile(r"\b([0-9a-f]{2}([:-])[0-9a-f]{2}\2[0-9a-f]{2})\2[0-9a-f]{2}\2[0-9a-f]{2}\2[0-9a-f]{2}\b", re.IGNORECASE)
_IP = re.compile(r"(?<![\w.:])([0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*[0-9a-f:]|\d+(\.\d+){3})(?![\w:])", re.IGNORECASE)
_SERIAL = re.compile(r"\b[0-9a-f]{2}(-[0-9a-f]{2}){7}\b", re.IGNORECASE)
_KERNEL_WORDS = re.compile(r"^(intel_iommu|amd_iommu|iommu|vfio|hugepages|default_hugepagesz|isolcpus|nohz_full)\b")


class Scrubber:
    """Removes from texts what identifies the machine: its name, IP addresses, the last half of MAC addresses, serial numbers."""

    def __init__(self, host: str | None = None):
        name = socket.gethostname() if host is None else host
        # A name such as "a" would also be found in other words.
        self._words = {word for word in [name, name.split(".")[0]] if len(word) > 3 and word != "localhost"}

    def __call__(self, text: str) -> str:
        for word in sorted(self._words, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.:]){re.escape(word)}(?![\w.:])", "REMOVED", text)
        text = _SERIAL.sub("REMOVED", text)
        text = _MAC.sub(lambda found: f"{found[1]}{found[2]}xx{found[2]}xx{found[2]}xx", text)
        return _IP.sub(_without_ip, text)


def _without_ip(found: re.Match) -> str:
    end = ":" if re.search(r"[^:]:$", found[0]) else ""  # of the words before it, not of an address
    try:
        address = ipaddress.ip_address(found[0].removesuffix(end))
    except ValueError:
        return found[0]
    return found[0] if address.is_unspecified or address.is_loopback else f"REMOVED{end}"


def write(folder: pathlib.Path, target: pathlib.Path, results: Results, facts: dict, ports: list[str], scrub: Scrubber) -> None:
    """Completes the folder of a run and packs it. The archive appears under its name when it is complete."""
    (folder / "machine.txt").write_text(_machine_text())
    (folder / "lspci.txt").write_text(_lspci(ports))
    (folder / "dmesg.txt").write_text(_dmesg(ports))
    (folder / "report.json").write_text(json.dumps({"format": 2, **facts, **results.as_json()}, indent=1) + "\n")
    (folder / "report.txt").write_text(_report(results, facts))
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".rec":
            file.write_text(scrub(file.read_text(errors="replace")))
    partial = target.with_name(f".{target.name}.partial")
    with tarfile.open(partial, "w:gz") as packed:
        packed.add(folder, arcname=target.name.removesuffix(".tar.gz"), filter=_anonymous)
    partial.replace(target)
    _give_to_sudo_user(target)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _give_to_sudo_user(file: pathlib.Path) -> None:
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if user.isdigit() and group.isdigit():
        os.chown(file, int(user), int(group))


def _report(results: Results, facts: dict) -> str:
    contents = "\n".join(f"  {name:<18} {text}" for name, text in CONTENTS.items())
    return (f"Pollux {facts['version']} on the ports {', '.join(facts['uris'])}\n{facts['found']}\n\n{results.as_text()}\n{results.last_line()}\n\n"
            f"In this archive:\n{contents}\n")


def _machine_text() -> str:
    words = [word for word in _text("/proc/cmdline").split() if _KERNEL_WORDS.match(word)]
    processor = re.search(r"^model name\s*: (.*)", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(.*)", _text("/proc/meminfo"), re.MULTILINE)
    distribution = re.search(r'^PRETTY_NAME="?([^"\n]*)', _text("/etc/os-release"), re.MULTILINE)
    return "\n".join([
        f"kernel        {platform.system()} {platform.release()} {platform.machine()}",
        f"distribution  {distribution[1] if distribution else 'unknown'}",
        f"processor     {processor[1] if processor else 'unknown'}, {os.cpu_count()} cores",
        f"memory        {memory[1] if memory else 'unknown'}",
        f"kernel args   {' '.join(words) or 'none that matter here'}",
        f"python        {platform.python_version()}",
        f"compiler      {_output(['c++', '--version']).partition(chr(10))[0] or 'unknown'}",
    ]) + "\n"


def _lspci(ports: list[str]) -> str:
    if not shutil.which("lspci"):
        return "lspci is not installed\n"
    return "\n".join(_output(["lspci", "-nnvvvs", address]) for port in ports for address in _with_bridges(port))


def _with_bridges(port: str) -> list[str]:
    """The port's address and those of the bridges above it, by its path in sysfs."""
    parts = os.path.realpath(f"/sys/bus/pci/devices/{port}").split("/")
    return [part for part in parts if re.fullmatch(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", part)] or [port]


def _dmesg(ports: list[str]) -> str:
    wanted = re.compile("|".join([*map(re.escape, ports), r"\bigb\b", "vfio", "DMAR", "AMD-Vi", "AER", "pcieport"]), re.IGNORECASE)
    return "\n".join(line for line in _output(["dmesg"]).splitlines() if wanted.search(line)) + "\n"


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"{command[0]}: {error}\n"


def _text(file: str) -> str:
    try:
        return pathlib.Path(file).read_text(errors="replace")
    except OSError:
        return ""
