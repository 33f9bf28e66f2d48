# SPDX-License-Identifier: BSD-3-Clause
"""`pollux doctor`: each case makes a fault, runs the command that the doctor prints for it, and expects that the fault is gone and
that a port runs."""

import json

from cases.boots import A, ALSO_GROUPED, B, GROUPED, LAB, NO_IOMMU
from cases.forwarding import pass_frames, require_counts
from cases.refusals import AS_USER, works_for_a_user
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require

PAGES = "/proc/sys/vm/nr_hugepages"


def examine(fixture: Fixture, words: str, before: str = "", prefix: str = "") -> dict[str, dict]:
    """What `pollux doctor` finds, by check. `before` runs in the same shell; `prefix` changes the user."""
    outcome = fixture.guest.run(f"{before}\n{prefix} pollux doctor --json {words}", 30)
    require(outcome.status in (0, 1), f"status {outcome.status}:\n{outcome.out}{outcome.err}")
    found = json.loads(outcome.out)
    require((outcome.status == 1) == (found["errors"] > 0), f"status {outcome.status} with {found['errors']} errors")
    return {each["check"]: each for each in found["checks"]}


def require_state(found: dict[str, dict], check: str, state: str, *parts: str) -> dict:
    require(found[check]["state"] == state, f"{check} is {found[check]}, not {state}")
    for part in parts:
        require(part in found[check]["found"], f"'{part}' is not in {found[check]['found']}")
    return found[check]


def mend(fixture: Fixture, words: str, check: str, state: str, *parts: str, prefix: str = "") -> None:
    """Expects the fault, runs the command that the doctor prints, and expects that the fault is gone."""
    fault = require_state(examine(fixture, words, prefix=prefix), check, state, *parts)
    fixture.guest.check(fault["command"], 60)
    require_state(examine(fixture, words, prefix=prefix), check, "ok")


def unload(fixture: Fixture) -> None:
    fixture.guest.check("rmmod vfio-pci vfio_iommu_type1")


def require_frames(fixture: Fixture) -> None:
    """A and B forward frames."""
    with fixture.l2fwd(A, B) as l2fwd:
        passed = pass_frames(fixture, A, B, frames.rewritten_by_l2fwd(fixture.macs[B], 1), 100)
        require_counts(l2fwd.stop(), passed)


@case(LAB)
def doctor_mends_what_keeps_a_port_from_running(fixture: Fixture) -> None:
    port = fixture.addresses[A]
    unload(fixture)
    fixture.guest.check(f"echo 0 >{PAGES}; ip addr add 192.0.2.1/24 dev $(netdev_of {port})")
    try:
        mend(fixture, port, "modules", "error", "vfio-pci", "vfio_iommu_type1")
        mend(fixture, port, "huge-pages", "warning", "0 of 0")
        mend(fixture, port, "host-use", "error", "192.0.2.1/24")
        mend(fixture, port, "driver", "error", "igb")
        fixture.bind(A, B)
        for check in ("mounts", "iommu", "access-modes", "memlock", "card", "group", "permissions", "in-use"):
            require_state(examine(fixture, port), check, "ok")
        require_frames(fixture)
    finally:
        fixture.guest.check(f"modprobe -a vfio-pci vfio_iommu_type1; echo {fixture.guest.machine.huge_pages} >{PAGES}")


@case(LAB)
def doctor_mends_it_all_at_once(fixture: Fixture) -> None:
    unload(fixture)
    fixture.guest.check(f"echo 0 >{PAGES}")
    try:
        for port in (A, B):
            outcome = fixture.guest.run(f"pollux doctor --fix --yes {fixture.addresses[port]}", 60)
            require(outcome.status == 0, f"status {outcome.status}:\n{outcome.out}{outcome.err}")
            require("mended" in outcome.err, outcome.err)
        fixture.bind(A, B)
        require_frames(fixture)
    finally:
        fixture.guest.check(f"modprobe -a vfio-pci vfio_iommu_type1; echo {fixture.guest.machine.huge_pages} >{PAGES}")


@case(LAB)
def doctor_changes_nothing_without_consent(fixture: Fixture) -> None:
    port = fixture.addresses[A]
    outcome = fixture.guest.run(f"pollux doctor --fix {port}", 30)
    require(outcome.status == 1 and "declined" in outcome.err, f"status {outcome.status}: {outcome.err}")
    require(fixture.guest.check(f"driver_of {port}").strip() == "igb", "the port was bound")


@case(LAB)
def doctor_lets_an_ordinary_user_open_a_port(fixture: Fixture) -> None:
    fixture.bind(A, B)
    for port in (A, B):
        mend(fixture, fixture.addresses[port], "permissions", "error", "plain may not open", prefix=AS_USER)
    works_for_a_user(fixture)


@case(LAB)
def doctor_raises_the_memlock_limit(fixture: Fixture) -> None:
    fixture.bind(A, options="--user plain")
    address = fixture.addresses[A]
    low = "ulimit -l 64"
    fault = require_state(examine(fixture, address, low, AS_USER), "memlock", "error", "plain may lock 64 KiB")
    run = f"{AS_USER} pktgen {fixture.uri(A)} --send --count 100"
    require(fixture.guest.run(f"{low}; {run}", 60).status != 0, "pktgen ran although the limit is too low")
    # The command is for the shell in which the program starts.
    after = f"{low}\n{fault['command']}"
    require_state(examine(fixture, address, after, AS_USER), "memlock", "ok")
    fixture.guest.check(f"{after}\n{run}", 60)


@case(LAB)
def doctor_frees_a_group_of_its_other_device(fixture: Fixture) -> None:
    other = fixture.addresses[ALSO_GROUPED]
    try:
        mend(fixture, fixture.addresses[GROUPED], "group", "error", other)
    finally:
        fixture.bind(GROUPED, ALSO_GROUPED)
    with fixture.l2fwd(GROUPED, ALSO_GROUPED) as l2fwd:
        require_counts(l2fwd.stop(), 0)


@case(LAB)
def doctor_names_the_process_that_has_a_port(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with fixture.l2fwd(A, B) as l2fwd:
        address = fixture.addresses[A]
        command = require_state(examine(fixture, address), "in-use", "error", "(l2fwd)")["command"]
        # The process may take its time to stop its ports.
        fixture.guest.check(f"{command}; await 30 sh -c '! pidof l2fwd'", 60)
        require_state(examine(fixture, address), "in-use", "ok")
        require_counts(l2fwd.stop(""), 0)


@case(LAB)
def doctor_shows_the_link(fixture: Fixture) -> None:
    address = fixture.addresses[A]
    mend_link = require_state(examine(fixture, address), "link", "unknown", "is down")
    fixture.guest.check(mend_link["command"])
    fixture.guest.check(f"await 10 grep -q 1 /sys/class/net/$(netdev_of {address})/carrier")
    require_state(examine(fixture, address), "link", "ok", "1000 Mb/s")
    fixture.guest.check(f"ip link set $(netdev_of {address}) down")
    fixture.bind(A)
    command = require_state(examine(fixture, address), "link", "unknown")["command"]
    require("up, 1000 Mb/s" in fixture.guest.run(command, 30).out, f"{command} shows no link")
    fixture.guest.set_link(A, False)
    try:
        require_state(examine(fixture, f"--start {fixture.uri(A)}"), "link", "warning", "down")
    finally:
        fixture.guest.set_link(A, True)


@case(NO_IOMMU)
def doctor_says_how_to_turn_the_iommu_on(fixture: Fixture) -> None:
    found = examine(fixture, fixture.addresses[A])
    advice = require_state(found, "iommu", "error", "off", "Intel VT-d")["advice"]
    parameter = advice.split()[-1]
    require_state(found, "access-modes", "error")
    # The other boot differs in this parameter; there the IOMMU is on.
    booted = [boot.machine().kernel_line().split() for boot in (NO_IOMMU, LAB)]
    require([parameter in words for words in booted] == [False, True], f"{parameter} does not make the difference: {booted}")
