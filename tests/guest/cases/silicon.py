# SPDX-License-Identifier: BSD-3-Clause
"""tools/silicon as a whole, on QEMU's igb, and interrupted at each step: the kernel always gets its ports back, and they pass traffic."""

import json
import pathlib
import shlex
import subprocess
import tarfile
import tempfile

from cases.kernel_ports import PING, REMOVE_NAMESPACES, namespaces
from pollux_lab import guest_python
from pollux_lab.cases import Fixture, Boot, case, require, require_message
from pollux_lab.machine import Hub, Machine, Port

LEFT, RIGHT = 0, 1
ADDRESS = "192.0.2.7/24"
ROUTE = "198.51.100.0/24 via 192.0.2.9"
ARCHIVE = "/tmp/silicon.tar.gz"
STEPS = ["bind", "cable", "probes", "conformance", "rates", "recordings", "give back"]
RUN_SECONDS = 540

SILICON = Boot("one processor, two igb cards on one wire, and Python", lambda: Machine(
    [Port(Hub(0)), Port(Hub(0))], cpus=1, payload=guest_python.add_silicon), "modprobe -a igb vfio-pci")


VMXNET3 = Boot("one processor, two vmxnet3 devices on one wire, and Python", lambda: Machine(
    [Port(Hub(0), device="vmxnet3"), Port(Hub(0), device="vmxnet3")], cpus=1, payload=guest_python.add_silicon), "modprobe -a vmxnet3 vfio-pci")


def command(fixture: Fixture, *options: str) -> str:
    words = ["/pollux/tools/silicon", "--programs", "/bin", "--output", ARCHIVE, *options, fixture.addresses[LEFT], fixture.addresses[RIGHT]]
    return shlex.join(words)


def prepare(fixture: Fixture) -> None:
    """One port is up and has an address and a route, the other one is down: both have to be so again afterwards."""
    fixture.guest.check(f"""
    name=$(netdev_of {fixture.addresses[LEFT]})
    ip link set $name mtu 1400 && ip link set $name up && ip address replace {ADDRESS} dev $name
    ip route replace {ROUTE}
    """)


def interfaces(fixture: Fixture) -> list[tuple]:
    """Name, state, MTU, addresses and number of routes of both ports' interfaces."""
    names = [fixture.guest.check(f"netdev_of {address}").strip() for address in fixture.addresses]
    shown = {link["ifname"]: link for link in json.loads(fixture.guest.check("ip -j address show"))}
    return [(name, "UP" in shown[name]["flags"], shown[name]["mtu"],
             sorted(entry["local"] for entry in shown[name]["addr_info"] if entry["scope"] != "link"),
             len(json.loads(fixture.guest.check(f"ip -j -4 route show dev {name}")))) for name in names]


def require_given_back(fixture: Fixture, before: list[tuple]) -> None:
    for address in fixture.addresses:
        require(fixture.guest.check(f"driver_of {address}").strip() == "igb", f"{address} was not given back to igb")
    require(interfaces(fixture) == before, f"before: {before}, afterwards: {interfaces(fixture)}")
    programs = "pollux silicon_probe conformance_test l2fwd pktgen"
    left = fixture.guest.check(f"pidof {programs}; ps | grep '[p]ollux_lab.silicon' || true").strip()
    require(not left, f"left behind: {left}")


def require_traffic(fixture: Fixture) -> None:
    """The kernel's igb passes traffic over both ports. Then they are as they were at the guest's start."""
    fixture.guest.check(f"ip address flush dev $(netdev_of {fixture.addresses[LEFT]})")
    try:
        fixture.guest.check(namespaces(fixture, LEFT, RIGHT), 60)
        output = fixture.guest.check(PING.format(size=1300), 60)
        require(" 0% packet loss" in output, output)
    finally:
        fixture.guest.run(REMOVE_NAMESPACES)
        fixture.guest.check(f"ip link set $(netdev_of {fixture.addresses[LEFT]}) mtu 1500")


def report_of(fixture: Fixture, folder: pathlib.Path) -> dict:
    """Unpacks the archive here, and returns its report."""
    packed = folder / "silicon.tar.gz"
    packed.write_bytes(fixture.guest.read(ARCHIVE))
    with tarfile.open(packed) as archive:
        archive.extractall(folder)
    return json.loads((folder / "silicon/report.json").read_text())


def require_replay(fixture: Fixture, folder: pathlib.Path, report: dict) -> None:
    """The recorded answers come out again on this machine, without the card. Times differ."""
    program = str(fixture.guest.program("silicon_probe"))
    for name in ("phy", "kept_bits"):
        said = subprocess.run([program, "--replay", str(folder / "silicon/recordings"), "--only", name, "--json"], capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)
        require(said.returncode == 0, f"{name}: {said.stdout}{said.stderr}")
        recorded = next(answer for answer in report["answers"] if answer["probe"] == name)
        require(json.loads(said.stdout.splitlines()[0])["facts"] == recorded["facts"], f"{name}: {said.stdout}")
    files = [f"replay:{folder}/silicon/recordings/l2fwd-{number}.rec" for number in (0, 1)]
    words = [str(fixture.guest.program("l2fwd")), *files, "--circulate", "16", "--packets", "400", "--no-mac-updating", "--quiet"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    require(said.returncode == 0, said.stdout + said.stderr)


def whole_run(fixture: Fixture, *options: str) -> dict:
    before = interfaces(fixture)
    outcome = fixture.guest.run(command(fixture, "--yes", *options), RUN_SECONDS)
    last = outcome.out.strip().splitlines()[-1]
    require(outcome.status == 0 and last.startswith(f"{ARCHIVE}: ") and " 0 failed, " in last,
            f"status {outcome.status}\n{outcome.out[-6000:]}\n{outcome.err[-3000:]}")
    require_given_back(fixture, before)
    with tempfile.TemporaryDirectory(prefix="pollux-silicon-") as work:
        folder = pathlib.Path(work)
        report = report_of(fixture, folder)
        require(report["given_back"] and not report["interrupted"], str(report["counts"]))
        require_replay(fixture, folder, report)
    return report


@case(SILICON)
def silicon_changes_nothing_without_confirmation(fixture: Fixture) -> None:
    prepare(fixture)
    before = interfaces(fixture)
    outcome = fixture.guest.run(command(fixture, "--force"), 60)
    require(outcome.status == 1 and "nothing was changed" in outcome.err, f"{outcome}")
    require_message(outcome.out, "192.0.2.7/24", "forced")
    require(interfaces(fixture) == before, f"{before}, afterwards {interfaces(fixture)}")


@case(SILICON)
def silicon_in_short(fixture: Fixture) -> None:
    prepare(fixture)
    report = whole_run(fixture, "--force", "--quick", "--only", "probes,recordings", *SHORT_PROBES)
    require(len(report["answers"]) > 5, str(report["counts"]))


# Those that need no link, which takes half a second on QEMU's card each time.
SHORT_PROBES = ["--probes", "phy,address,alias,kept_bits,causes,queue_enable,without_link"]


@case(VMXNET3)
def silicon_takes_vmxnet3_devices(fixture: Fixture) -> None:
    outcome = fixture.guest.run(command(fixture, "--yes", "--force", "--quick", "--only", "cable,probes,conformance,recordings"), RUN_SECONDS)
    require(outcome.status == 0, f"{outcome}")
    for address in fixture.addresses:
        require(fixture.guest.check(f"driver_of {address}").strip() == "vmxnet3", f"{address} was not given back")
    with tempfile.TemporaryDirectory(prefix="pollux-silicon-") as work:
        counts = report_of(fixture, pathlib.Path(work))["counts"]
    require(counts["passed"] >= 4 and counts["skipped"] == 2 and not counts["failed"], f"{counts}")
    alone = shlex.join(["/pollux/tools/silicon", "--programs", "/bin", "--output", ARCHIVE, "--yes", "--force", "--loopback", fixture.addresses[LEFT]])
    refused = fixture.guest.run(alone, 60)
    require(refused.status == 1, f"{refused}")
    require_message(refused.out, "a vmxnet3 device has no loopback", "name two devices on one network")


@case(SILICON, long="one port in loopback: probes, the conformance suite in short and rates, some two minutes")
def silicon_with_one_port(fixture: Fixture) -> None:
    before = interfaces(fixture)
    words = ["/pollux/tools/silicon", "--programs", "/bin", "--output", ARCHIVE, "--yes", "--force", "--quick", "--loopback", fixture.addresses[LEFT]]
    outcome = fixture.guest.run(shlex.join(words), RUN_SECONDS)
    require(outcome.status == 0, f"{outcome}")
    require_given_back(fixture, before)
    with tempfile.TemporaryDirectory(prefix="pollux-silicon-") as work:
        report = report_of(fixture, pathlib.Path(work))
    counts = report["counts"]
    require(counts["passed"] > 15 and counts["skipped"] > 10, f"{counts}")
    # QEMU 10's PHY returns no frames.
    require([rate["name"] for rate in report["rates"]] == ["pktgen, loopback in the MAC"], f"{report['rates']}")


@case(SILICON, long="every probe, the conformance suite in short and rates, some minutes")
def silicon_whole(fixture: Fixture) -> None:
    report = whole_run(fixture, "--force", "--quick")
    require(len(report["answers"]) > 30 and len(report["rates"]) == 2, str(report["counts"]))
    require_traffic(fixture)


def interrupt_at(fixture: Fixture, step: str, kill: str, *options: str) -> None:
    """Starts a run, waits for the step, executes `kill` and waits for the end."""
    fixture.guest.check(f"spawn silicon {command(fixture, '--yes', '--force', '--quick', *options)}\n"
                      f"await_line silicon '^.{step}. ' 120; usleep 300000; {kill}", 130)
    fixture.guest.run("finish silicon 60; true", 70)


def interrupted(fixture: Fixture, step: str, signal: str) -> None:
    prepare(fixture)
    before = interfaces(fixture)
    only = [] if step in ("bind", "give back") else ["--only", f"{step},recordings"]
    interrupt_at(fixture, step, f"interrupt silicon {signal}", *(only or ["--only", "cable"]))
    # After SIGKILL `pollux bind --hold` gives the ports back.
    have_igb = " && ".join(f'[ "$(driver_of {address})" = igb ]' for address in fixture.addresses)
    fixture.guest.run(f"given_back() {{ ! pidof pollux && {have_igb}; }}; await 40 given_back", 50)
    require_given_back(fixture, before)
    require_traffic(fixture)


def child_killed(fixture: Fixture, step: str, program: str) -> None:
    prepare(fixture)
    before = interfaces(fixture)
    interrupt_at(fixture, step, f"await 20 pidof {program} && killall -KILL {program}", "--only", f"{step}")
    require_given_back(fixture, before)
    with tempfile.TemporaryDirectory(prefix="pollux-silicon-") as work:
        counts = report_of(fixture, pathlib.Path(work))["counts"]
    require(counts["failed"] > 0, f"the killed program is not in the report: {counts}")
    require_traffic(fixture)


@case(SILICON)
def silicon_gives_ports_back_after_a_kill(fixture: Fixture) -> None:
    interrupted(fixture, "probes", "KILL")


@case(SILICON, long="Ctrl-C, SIGTERM and SIGKILL at each step, and each program killed, some ten minutes")
def silicon_gives_ports_back_wherever_it_is_interrupted(fixture: Fixture) -> None:
    for step in STEPS:
        for signal in ("INT", "TERM", "KILL"):
            interrupted(fixture, step, signal)
    for step, program in (("probes", "silicon_probe"), ("conformance", "conformance_test"), ("rates", "pktgen"), ("recordings", "l2fwd"), ("cable", "pktgen")):
        child_killed(fixture, step, program)
