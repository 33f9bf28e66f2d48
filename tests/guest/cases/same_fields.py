# SPDX-License-Identifier: BSD-3-Clause
"""The same settings under the kernel's igb, by ethtool and ip, and under Pollux: the card's registers then have equal fields."""

import dataclasses
import json
import re
from collections.abc import Callable

from cases.boots import C, LAB
from pollux_lab.cases import Fixture, case, require

QUEUES, RING = 4, 1024
GROUPS = [f"01:00:5e:{i:02x}:1f:30" for i in range(30)]
VLANS = {5: "02:00:00:00:00:05", 100: "02:00:00:00:00:64"}  # each a VLAN interface, with the address it adds to the card's


@dataclasses.dataclass(frozen=True)
class Field:
    """Bits of `count` registers of 32 bits, the first of them at `offset`."""
    name: str
    offset: int
    mask: int = 0xFFFFFFFF
    count: int = 1
    stride: int = 4


# The datasheet's offsets. Not compared, since the drivers differ on purpose:
# - RLPML: igb accepts frames as long as its buffers, whatever the MTU. So its limit must only be no lower than ours.
# - FCRTH, FCRTL: igb's marks leave room for a frame of the MTU and for one of the card's longest; ours for two of the longest, so that a
#   change of the MTU needs no others.
# - RAH.POOLSEL: igb puts its addresses into pool 0; without pools the card does not look at these bits.
FIELDS = [
    Field("RCTL: EN, SBP, LPE, LBM, MO, BAM, SECRC", 0x0100, 0x0400B0E6),
    Field("RCTL: UPE, MPE", 0x0100, 0x18),
    Field("RCTL: VFE", 0x0100, 1 << 18),
    Field("CTRL: RFCE, TFCE", 0x0000, 3 << 27),
    Field("CTRL: VME", 0x0000, 1 << 30),
    Field("FCTTV", 0x0170, 0xFFFF),
    Field("FCAL, FCAH, FCT", 0x0028, count=3),
    Field("MTA", 0x5200, count=128),
    Field("VFTA", 0x5600, count=128),
    Field("MRQC", 0x5818, 0x01FF0007),
    Field("RETA", 0x5C00, count=32),
    Field("RSSRK", 0x5C80, count=10),
    Field("RXCSUM: PCSD, CRCOFL", 0x5000, 0x2800),
    Field("RDLEN", 0xC008, 0xFFF80, QUEUES, 0x40),
    Field("TDLEN", 0xE008, 0xFFF80, QUEUES, 0x40),
    Field("EITR of the receive queues", 0x1684, 0x7FFC, QUEUES),
]
RLPML = 0x5004


@dataclasses.dataclass(frozen=True)
class Step:
    """Settings for igb, as scripts with the interface in $name before and after it is up, and the same for Pollux. `otherwise`: fields that
    differ, and why."""
    name: str
    before: str
    after: str
    settings: dict
    otherwise: dict[str, str] = dataclasses.field(default_factory=dict)


def entries(*names) -> dict:
    return {str(name): True for name in names}


def moderation(microseconds: int) -> dict:
    return {str(queue): {"interval_ns": microseconds * 1000} for queue in range(QUEUES)}


HASHED = ["ipv4", "ipv6", "tcp_ipv4", "tcp_ipv6", "tcp_ipv6_ex"]
NO_GROUPS = {"MTA": "igb leaves the table empty while it receives all groups"}
# With `-A autoneg on` igb has the modes that the NVM names. With `off`, once its link comes up, it has those of the modes given that both
# sides can, as Pollux has with negotiation. Without negotiation Pollux writes them before, and QEMU sets both bits with the link.
STEPS = [
    Step("filters, jumbo frames and a spread over two queues", f"""
    ip link set $name mtu 4000
    {"".join(f"ip link add link $name name v{vlan} address {mac} type vlan id {vlan}; " for vlan, mac in VLANS.items())}
    {"".join(f"ip maddr add {group} dev $name; " for group in GROUPS)}
    ethtool -K $name rxvlan on; ethtool -C $name rx-usecs 50; ethtool -A $name autoneg on rx on tx on
    """, """
    ethtool -X $name weight 1 3; ethtool -N $name rx-flow-hash udp4 sdfn; ethtool -N $name rx-flow-hash udp6 sdfn
    """, {
        "mtu": 4000, "vlans": entries(0, *VLANS), "unicast": entries(*VLANS.values()), "vlan_stripping": True, "moderation": moderation(50),
        "flow_control": {"pause": {"receive": True, "transmit": True}},
        "rss": {"table": [0] * 32 + [1] * 96, "types": [*HASHED, "udp_ipv4", "udp_ipv6"]},
    }),
    Step("all groups, and pause frames one way", """
    ip link set $name allmulticast on; ethtool -K $name rxvlan off; ethtool -C $name rx-usecs 20
    ethtool -A $name autoneg off rx off tx on
    """, """
    ethtool -X $name equal 4; ethtool -N $name rx-flow-hash udp4 sd; ethtool -N $name rx-flow-hash udp6 sd
    """, {
        "mtu": 1500, "vlans": entries(0), "all_multicast": True, "moderation": moderation(20),
        "flow_control": {"pause": {"receive": False, "transmit": True}},
        "rss": {"table": [entry % 4 for entry in range(128)], "types": HASHED},
    }, NO_GROUPS),
    Step("promiscuity, and pause frames the other way", """
    ip link set $name promisc on; ethtool -K $name rxvlan off; ethtool -C $name rx-usecs 20; ethtool -A $name autoneg off rx on tx off
    """, "", {
        "mtu": 1500, "promiscuous": True, "moderation": moderation(20), "flow_control": {"pause": {"receive": True, "transmit": False}},
        "rss": {"table": [entry % 4 for entry in range(128)], "types": HASHED},
    }, NO_GROUPS | {"VFTA": "igb keeps VLAN 0 in the table, which it does not use then (RCTL.VFE)"}),
]
COUNTS = f"ethtool -L $name combined {QUEUES}; ethtool -G $name rx {RING} tx {RING}"
UP = """
name=$(netdev_of %s)
%s
echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6
"""
# igb writes the pause modes soon after the link has come up.
LINK = "ip link set $name up; await 20 grep -q 1 /sys/class/net/$name/carrier || fail no link\nsleep 0.3\n"
DOWN = """
for vlan in v5 v100; do ip link del $vlan 2>/dev/null; done
ip link set $name down mtu 1500 promisc off allmulticast off
"""


def read(fixture: Fixture, base: int, field: Field) -> list[int]:
    if field.stride == 4:
        return [word & field.mask for word in fixture.guest.read_words(base + field.offset, field.count)]
    return [fixture.guest.read_words(base + field.offset + i * field.stride)[0] & field.mask for i in range(field.count)]


def image(fixture: Fixture, base: int) -> dict[str, list]:
    """The fields, and the addresses that the card receives, whatever their slots."""
    fields = {field.name: read(fixture, base, field) for field in FIELDS}
    words = fixture.guest.read_words(base + 0x5400, 32)
    fields["RAL, RAH"] = sorted((low, high & 0xFFFF) for low, high in zip(words[::2], words[1::2]) if high >> 31)
    return fields | {"RLPML": fixture.guest.read_words(base + RLPML)}


def under_kernel(fixture: Fixture, rings: str, before: str, after: str, look: Callable) -> tuple:
    """What `look` returns, and the groups that the kernel receives on the interface."""
    set_up = UP % (fixture.addresses[C], rings)
    try:
        said = fixture.guest.check(f"{set_up}{before}{LINK}{after}\ngrep \" $name \" /proc/net/dev_mcast", 60)
        seen = look()
    finally:
        fixture.guest.check(set_up + DOWN, 30)
    groups = re.findall(r"\b[0-9a-f]{12}$", said, re.MULTILINE)
    return seen, [":".join(re.findall("..", group)) for group in groups]


def under_pollux(fixture: Fixture, settings: dict, look: Callable) -> dict:
    """What `look` returns while a port of as many queues as `settings` has is started."""
    fixture.guest.check(f"""cat >/tmp/settings <<'END'\n{json.dumps(settings)}\nEND
    spawn settings settings_port {fixture.uri(C)} /tmp/settings\nawait_line settings ready 30""", 40)
    try:
        return look()
    finally:
        fixture.guest.check("interrupt settings\nfinish settings 20", 30)


@case(LAB)
def the_same_settings_leave_the_same_fields_as_igb(fixture: Fixture) -> None:
    base = int(fixture.guest.check(f"head -n 1 /sys/bus/pci/devices/{fixture.addresses[C]}/resource").split()[0], 16)
    fixture.guest.check("modprobe 8021q")

    def fields() -> dict[str, list]:
        return image(fixture, base)

    kernels = [under_kernel(fixture, COUNTS, step.before, step.after, fields) for step in STEPS]
    fixture.bind(C)
    differing = []
    for step, (kernel, groups) in zip(STEPS, kernels):
        # igb chooses its key itself, at random.
        key = b"".join(word.to_bytes(4, "little") for word in kernel["RSSRK"]).hex()
        settings = step.settings | {"multicast": entries(*groups), "rss": step.settings["rss"] | {"key": key}}
        pollux = under_pollux(fixture, {"rx": [{"ring": RING}] * QUEUES, "tx": [{"ring": RING}] * QUEUES, **settings}, fields)
        require(pollux["RLPML"] == [settings["mtu"] + 22] and kernel["RLPML"] >= pollux["RLPML"], f"{step.name}: RLPML {kernel} {pollux}")
        differing += [f"{step.name}: {name}: {where(kernel[name], pollux[name])}"
                      for name in kernel if name != "RLPML" and (kernel[name] == pollux[name]) == (name in step.otherwise)]
    require(not differing, "\n".join(differing))


def where(kernel: list, pollux: list) -> str:
    if len(kernel) != len(pollux):
        return f"igb has {kernel}, Pollux {pollux}"
    return ", ".join(f"[{i}] is {theirs} under igb and {ours} under Pollux" for i, (theirs, ours) in enumerate(zip(kernel, pollux))
                     if theirs != ours) or "equal, but declared as different"
