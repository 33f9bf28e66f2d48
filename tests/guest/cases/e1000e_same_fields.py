# SPDX-License-Identifier: BSD-3-Clause
"""The same settings under the kernel's e1000e and under Pollux: every register that the driver names then has equal bits, but for those
of a table. The 82576's case (same_fields.py) compares a list of fields instead."""

import dataclasses
import json

from cases.boots import A, C, E1000E
from cases.same_fields import GROUPS, RING, VLANS, entries, under_kernel, under_pollux
from pollux_lab.cases import Fixture, case, require

ALL = 0xFFFFFFFF
# What a run leaves there says nothing of a setting: ring addresses and positions, and the last access to PHY and NVM.
NOT_COMPARED = {"RDBAL", "RDBAH", "RDH", "RDT", "TDBAL", "TDBAH", "TDH", "TDT", "MDIC", "EERD"}
# Bits that differ on purpose, and do differ after each step.
DIFFER: dict[str, tuple[int, str]] = {
    "STATUS": (1 << 10, "PHYRA: a start of ours resets the PHY"),
    "FCTTV": (ALL, "e1000e asks for the pause of 0x680; ours lasts as long as it can, and XON ends it"),
    "IMS": (ALL, "e1000e unmasks its vectors' causes, ours are unmasked while a thread sleeps"),
    "EIAC": (ALL, "e1000e has a vector for transmit queues and none for a second receive queue"),
    "IVAR": (ALL, "as above"),
    "EITR[0]": (ALL, "vector 0 is that of received frames under e1000e, and that of the other causes here"),
    "RCTL": (0x7A070C00, "e1000e counts its buffers by BSIZE and BSEX, splits long frames (DTYP), and writes RCTL without the VFE that it has "
             "just set; ours are counted by FLXBUF"),
    "RFCTL": (0xC0, "NFSW_DIS, NFSR_DIS: nobody here looks for NFS"),
    "MRQC": (0x200003, "e1000e has one queue, so it does not enable RSS, and sets a bit of other cards"),
    "PBA": (ALL, "e1000e gives receiving 32 KiB, and less with long frames; ours has 20, so that the MTU may change while it runs"),
    "RDTR": (ALL, "e1000e delays interrupts by these as well"), "RADV": (ALL, "as above"), "TADV": (ALL, "as above"),
    "RXDCTL": (0x3F3F3F, "e1000e prefetches and writes back in other bursts"), "TXDCTL[0]": (0x3F3F3F, "as above"),
    "TXDCTL[1]": (0x13F3F3F, "this queue is not used, so ours has COUNT_DESC alone"),
}
MARKS = {name: (0xFFF8, "e1000e's marks leave room for one frame of the MTU; ours for two of the longest") for name in ("FCRTL", "FCRTH")}
NO_MARKS = {name: (ALL, "e1000e writes the marks of the modes that were asked for, ours are of those that both sides agree on")
            for name in ("FCRTL", "FCRTH")}
NO_GROUPS = {"MTA": (ALL, "e1000e leaves the table empty while it receives all groups")}


@dataclasses.dataclass(frozen=True)
class Step:
    """Settings for the kernel, as a script with the interface in $name before it is up, and the same for Pollux. `otherwise`: bits that
    differ after this step, too."""
    name: str
    before: str
    settings: dict
    otherwise: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)


STEPS = [
    Step("filters and jumbo frames", f"""
    ip link set $name mtu 4000
    {"".join(f"ip link add link $name name v{vlan} address {mac} type vlan id {vlan}; " for vlan, mac in VLANS.items())}
    {"".join(f"ip maddr add {group} dev $name; " for group in GROUPS)}
    ethtool -K $name rxvlan on; ethtool -C $name rx-usecs 50; ethtool -A $name autoneg on rx on tx on
    """, {
        "mtu": 4000, "vlans": entries(0, *VLANS), "unicast": entries(*VLANS.values()), "vlan_stripping": True,
        "moderation": {"0": {"interval_ns": 50000}}, "flow_control": {"pause": {"receive": True, "transmit": True}},
    }, {
        "RDLEN[0]": (ALL, "the descriptors of split frames have 32 bytes"),
        "EITR[2]": (ALL, "e1000e's vector of other causes; that of a second receive queue, which has the usual interval here"),
    } | MARKS),
    Step("all groups, and pause frames one way", """
    ip link set $name allmulticast on; ethtool -K $name rxvlan off; ethtool -C $name rx-usecs 20
    ethtool -A $name autoneg off rx off tx on
    """, {
        "mtu": 1500, "vlans": entries(0), "all_multicast": True, "moderation": {"0": {"interval_ns": 20000}},
        "flow_control": {"pause": {"receive": False, "transmit": True}},
    }, NO_GROUPS | NO_MARKS),
    Step("promiscuity, and pause frames the other way", """
    ip link set $name promisc on; ethtool -K $name rxvlan off; ethtool -C $name rx-usecs 20; ethtool -A $name autoneg off rx on tx off
    """, {
        "mtu": 1500, "promiscuous": True, "moderation": {"0": {"interval_ns": 20000}},
        "flow_control": {"pause": {"receive": True, "transmit": False}},
    }, NO_GROUPS | {"VFTA[0]": (1, "e1000e keeps VLAN 0 in the table, which it does not use then")}),
]


def offsets(fixture: Fixture) -> dict[str, int]:
    """The registers that the driver names and can read without a side effect."""
    fixture.bind(A)
    dump = json.loads(fixture.guest.check(f"pollux regs {fixture.uri(A)} --json", 30))
    return {register["name"]: register["offset"] for register in dump["registers"]}


@case(E1000E)
def the_same_settings_leave_the_same_registers_as_e1000e(fixture: Fixture) -> None:
    base = int(fixture.guest.check(f"head -n 1 /sys/bus/pci/devices/{fixture.addresses[C]}/resource").split()[0], 16)
    fixture.guest.check("modprobe 8021q")
    names = offsets(fixture)

    def image() -> dict[str, int]:
        return {name: fixture.guest.read_words(base + offset)[0] for name, offset in names.items()}

    kernels = [under_kernel(fixture, f"ethtool -G $name rx {RING} tx {RING}", step.before, "", image) for step in STEPS]
    fixture.bind(C)
    wrong = []
    for step, (kernel, groups) in zip(STEPS, kernels):
        key = b"".join(kernel[f"RSSRK[{word}]"].to_bytes(4, "little") for word in range(10)).hex()
        rss = {"table": [0] * 128, "key": key, "types": ["ipv4", "ipv6", "tcp_ipv4", "tcp_ipv6"]}
        settings = step.settings | {"multicast": entries(*groups), "rss": rss, "rx": [{"ring": RING}], "tx": [{"ring": RING}]}
        wrong += [f"{step.name}: {text}" for text in compare(kernel, under_pollux(fixture, settings, image), DIFFER | step.otherwise)]
    require(not wrong, "\n".join(wrong))


def compare(kernel: dict[str, int], pollux: dict[str, int], rows: dict[str, tuple[int, str]]) -> list[str]:
    """Bits that differ and are not in `rows`, and rows without such a bit."""
    wrong, needed = [], set()
    for name, theirs in kernel.items():
        family = name.partition("[")[0]
        if family in NOT_COMPARED or family in ("RAL", "RAH"):
            continue
        row = name if name in rows else family
        mask = rows[row][0] if row in rows else 0
        different = theirs ^ pollux[name]
        if different & mask:
            needed.add(row)
        if different & ~mask:
            wrong.append(f"{name} is {theirs:#x} under e1000e and {pollux[name]:#x} under Pollux")
    if addresses(kernel) != addresses(pollux):
        wrong.append(f"the addresses are {addresses(kernel)} under e1000e and {addresses(pollux)} under Pollux")
    return wrong + [f"{row} is equal, but declared as different" for row in rows if row not in needed]


def addresses(image: dict[str, int]) -> list[tuple[int, int]]:
    """Those that the card receives, whatever their slots."""
    pairs = [(image[f"RAL[{i}]"], image[f"RAH[{i}]"]) for i in range(16)]
    return sorted((low, high & 0xFFFF) for low, high in pairs if high >> 31)
