# SPDX-License-Identifier: BSD-3-Clause
"""Compares what ethtool prints of a card that the kernel's igb drives with what it prints of the same card under Pollux."""

import re

from cases.boots import C, D, LAB
from pollux_lab.cases import Fixture, case, require

# ethtool prints other lines when it asks by netlink. The shared object refuses netlink for every interface, and passes on requests
# about interfaces of the kernel.
OF_KERNEL = "LD_PRELOAD=/bin/pollux-ethtool.so ethtool {words} {name}"
OPTIONS = {"driver": "-i", "statistics": "-S", "rings": "-g", "features": "-k", "channels": "-l", "pause": "-a", "stamps": "-T", "link": "",
           "registers": "-d", "nvm": "-e", "coalescing": "-c", "spread": "-x"}

# Lines of the kernel's igb that Pollux has otherwise or not at all, by their names, and why: docs/ethtool.md.
OTHERWISE = {
    "driver": {"version", "supports-priv-flags"},  # the kernel's release, and Pollux's version; igb has a flag of its own
    "rings": set(),
    "channels": {"RX", "TX", "Combined"},  # Pollux's queues of both directions are independent
    "pause": {"Autonegotiate", "RX", "TX", "RX negotiated", "TX negotiated"},  # off until a program turns it on
    "coalescing": {"rx-usecs", "tx-usecs"},  # igb begins with 3, which means a limit by load; Pollux without a limit
    # Stamps of the kernel's stack, and its clock's device. Pollux also stamps events of version 2 over UDP or Ethernet alone.
    "stamps": {"software-transmit", "software-receive", "software-system-clock", "PTP Hardware Clock", "ptpv2-l4-event", "ptpv2-l2-event"},
    # igb advertises pause frames, and wakes by magic packets if the NVM says so; Pollux does if the program asks for it. Only Pollux
    # shows what the link partner advertises.
    "link": {"Current message level", "drv probe link", "Advertised pause frame use", "Wake-on", "1000baseT/Half 1000baseT/Full",
             "Link partner advertised link modes", "Link partner advertised pause frame use",
             "Link partner advertised auto-negotiation", "Link partner advertised FEC modes"},
}
# Counters of the kernel's driver and of other cards of its family.
ONLY_KERNEL = {"tx_tcp_seg_failed", "tx_dma_out_of_sync", "os2bmc_rx_by_bmc", "os2bmc_tx_by_bmc", "os2bmc_tx_by_host",
               "os2bmc_rx_by_host", "tx_hwtstamp_timeouts", "tx_hwtstamp_skipped", "rx_hwtstamp_cleared"}
OF_QUEUES = re.compile(r"[rt]x_queue_\d+_(bytes|restart|csum_err|alloc_failed)$")
DIFFERENT_FEATURES = {
    "generic-segmentation-offload", "generic-receive-offload",  # of the kernel's stack
    "rx-vlan-offload",  # off until the program asks for it
    "receive-hashing",  # a port with one queue hashes nothing
    # Not on QEMU's card.
    "tx-udp-segmentation", "tx-gre-segmentation", "tx-ipxip4-segmentation", "tx-ipxip6-segmentation", "tx-udp_tnl-segmentation",
}


def outputs(fixture: Fixture, command: str) -> dict[str, str]:
    return {what: fixture.guest.check(command.format(words=words), 60) for what, words in OPTIONS.items()}


# Both drivers get these settings, each by its own tools.
MTU = 4000
RINGS = 512
# Registers and fields that both drivers then have alike. RCTL: EN, SBP, UPE, MPE, LPE, LBM, the multicast offset, BAM, SECRC. TCTL: EN,
# PSP, the collision threshold, RTLC. RFCTL: IPV6_EX_DIS. RLPML is not among them: igb's is the card's maximum, whatever the MTU.
ALIKE = {"STATUS": ~0, "TIPG": ~0, "LEDCTL": ~0, "EEC": ~0, "RXCSUM": ~0, "RCTL": 0x0400B0FE, "TCTL": 0x01000FFA, "RFCTL": 0x00010000}

# Headings below which lines have names that are also below another heading.
SECTIONS = {"rings": ("Pre-set maximums", "Current hardware settings")}


def lines(output: str, name: str) -> list[tuple[str, str]]:
    """The lines as pairs of a name and a value, without the interface's own name."""
    pairs = (line.replace(name, "PORT").partition(":") for line in output.splitlines())
    return [(re.split(r"  | \(", key.strip())[0], value.strip()) for key, _, value in pairs if key.strip()]


def in_sections(what: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs with their heading in the name, as HEADING/NAME."""
    named = []
    heading = ""
    for key, value in pairs:
        if key in SECTIONS.get(what, ()):
            heading = f"{key}/"
        named.append((heading + key, value))
    return named


def compare(what: str, kernel: list, pollux: list) -> None:
    excepted = OTHERWISE.get(what, set())
    left = [pair for pair in in_sections(what, kernel) if pair[0] not in excepted]
    right = [pair for pair in in_sections(what, pollux) if pair[0] not in excepted]
    differing = [f"igb {pair}" for pair in left if pair not in right] + [f"Pollux {pair}" for pair in right if pair not in left]
    require(not differing, f"{what}: " + "; ".join(differing))


def compare_statistics(kernel: list, pollux: list) -> None:
    expected = [name for name, _ in kernel if name not in ONLY_KERNEL and not OF_QUEUES.match(name)]
    names = [name for name, _ in pollux]
    missing = [name for name in expected if name not in names]
    require(not missing, f"counters are missing: {missing}")
    require([name for name in names if name in expected] == expected, f"the order differs: {names[:60]}")
    unknown = [name for name in ONLY_KERNEL if name in names]
    require(not unknown, f"counters are there, too: {unknown}")


def compare_features(kernel: list, pollux: list) -> None:
    """Each feature of the port has igb's name, and is on where igb's is."""
    theirs = dict(kernel)
    for name, value in pollux:
        if name in DIFFERENT_FEATURES or name == "Features for PORT":
            continue
        require(name in theirs, f"igb has no feature {name}")
        require(value.split()[0] == theirs[name].split()[0], f"{name} is {value}, and {theirs[name]} in igb")


def register_value(output: str, name: str) -> int:
    line = next(line for line in output.splitlines() if re.search(rf": {name}\s", line))
    return int(line.split()[-1], 16)


@case(LAB)
def ethtool_prints_the_same_of_a_card_under_igb_and_under_pollux(fixture: Fixture) -> None:
    guest = fixture.guest
    address = fixture.addresses[C]
    name = guest.check(f"name=$(netdev_of {address}); ethtool -G $name rx {RINGS} tx {RINGS}\n"
                       f"ip link set $name mtu {MTU} promisc on up\n"
                       "await 20 grep -q 1 /sys/class/net/$name/carrier || fail no link\necho $name", 40).split()[-1]
    try:
        kernel = outputs(fixture, OF_KERNEL.replace("{name}", name))
        permanent = guest.check(f"cat /sys/class/net/{name}/address").strip()
    finally:
        guest.check(f"ip link set {name} down mtu 1500 promisc off")
    fixture.bind(C, D)
    with fixture.l2fwd(C, D, options=f"--telemetry --mtu {MTU} --rx-ring {RINGS} --tx-ring {RINGS}") as l2fwd:
        pollux = outputs(fixture, f"pollux ethtool {{words}} {fixture.uri(C)}")
        own = guest.check(f"pollux ethtool -P {fixture.uri(C)}").split()[-1]
        require(l2fwd.stop().conserved, "the counts do not add up")
    require(own == permanent, f"the permanent address is {own}, and {permanent} in igb")
    for what in OTHERWISE:
        compare(what, lines(kernel[what], name), lines(pollux[what], "plx0"))
    compare_statistics(lines(kernel["statistics"], name), lines(pollux["statistics"], "plx0"))
    compare_features(lines(kernel["features"], name), lines(pollux["features"], "plx0"))
    tables = [[line for line in output["spread"].splitlines() if re.match(r"\s+\d+:", line)] for output in (kernel, pollux)]
    require(len(tables[0]) == 16 and tables[0] == tables[1], f"the tables differ: {tables}")
    require(kernel["nvm"] == pollux["nvm"], "the NVM differs")
    for register, fields in ALIKE.items():
        values = [register_value(output["registers"], register) for output in (kernel, pollux)]
        require((values[0] ^ values[1]) & fields == 0, f"{register} is {values[0]:#x} under igb and {values[1]:#x} under Pollux")
