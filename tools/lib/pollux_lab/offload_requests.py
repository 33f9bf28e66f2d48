# SPDX-License-Identifier: BSD-3-Clause
"""Packets of scapy with offload requests for tests/interop/offload_tool.cpp, and the frames that a card has to send for them.
tshark checks the lengths and checksums of what arrives."""

import dataclasses
import pathlib
import tempfile

from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP, TCP, UDP, IPOption_LSRR, IPOption_NOP
from scapy.layers.inet6 import HAO, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from . import wire
from .cases import require

# TxOffload (include/pollux/mem/offload.hpp)
IPV4_SUM, TCP_SUM, UDP_SUM, SCTP_SUM, TCP_SEGMENTS, VLAN, _, UDP_SEGMENTS, OUTER_VLAN = (1 << bit for bit in range(9))
SUMS = {TCP: TCP_SUM, UDP: UDP_SUM, SCTP: SCTP_SUM}
ETHERNET = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
FOUR = {"src": "192.0.2.1", "dst": "198.51.100.7"}
SIX = {"src": "2001:db8::1", "dst": "2001:db8::2"}
LINKS = [ETHERNET, ETHERNET / Dot1Q(vlan=42, prio=3), ETHERNET / Dot1AD(vlan=7) / Dot1Q(vlan=9)]
NETWORKS = [IP(**FOUR), IP(**FOUR, id=7, options=[IPOption_NOP()] * 8), IPv6(**SIX), IPv6(**SIX) / IPv6ExtHdrDestOpt()]
# Headers that not every card reads alike: software computes the checksums behind them.
STACKED = ETHERNET / Dot1Q(vlan=7) / Dot1Q(vlan=9)
ROUTES = [IP(**FOUR, options=[IPOption_LSRR(routers=["192.0.2.9"])]),
          IPv6(**SIX) / IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8::9"]),
          IPv6(**SIX) / IPv6ExtHdrSegmentRouting(addresses=["2001:db8::9", "2001:db8::8"], segleft=1, lastentry=1),
          IPv6(**SIX) / IPv6ExtHdrDestOpt(options=[HAO(hoa="2001:db8::7")])]
DATA = bytes(range(251)) * 300
LONGEST = 9018


@dataclasses.dataclass(frozen=True)
class Request:
    """A packet, the tool's line for it, and the frames that the card has to send."""
    packet: Packet
    line: str
    frames: list[bytes]


def lengths(packet: Packet) -> tuple[int, int, int]:
    """Bytes of the link's headers, of the network's and of the transport's."""
    layers = []
    while packet and not isinstance(packet, (Raw, SCTPChunkData)):
        layers.append((type(packet), len(packet) - len(packet.payload)))
        packet = packet.payload
    l2 = sum(size for kind, size in layers if kind in (Ether, Dot1Q, Dot1AD))
    l4 = sum(size for kind, size in layers if kind in SUMS)
    return l2, sum(size for _, size in layers) - l2 - l4, l4


def request(packet: Packet, flags: int, segment_size: int = 0, vlan: int = 0, outer_vlan: int = 0, first: int = 1000) -> str:
    l2, l3, l4 = lengths(packet)
    return f"{flags} {l2} {l3} {l4} {segment_size} {vlan} {outer_vlan} 0 0 {first} {bytes(packet).hex()}"


def without_sums(packet: Packet) -> Packet:
    """The packet with wrong bytes in its checksum fields."""
    wrong = packet.copy()
    for layer in (IP, TCP, UDP, SCTP):
        if wrong.haslayer(layer):
            wrong[layer].chksum = 0xA5A5
    return wrong


def transports(size: int) -> list[Packet]:
    data = DATA[:size]
    return [TCP(sport=2794, dport=1766, flags="PA") / Raw(data),
            TCP(sport=1, dport=2, options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]) / Raw(data),
            UDP(sport=4000, dport=53) / Raw(data), SCTP(sport=1000, dport=2000, tag=1) / SCTPChunkData(data=data)]


def segments(packet: Packet, mss: int, clears_last: bool = False) -> list[bytes]:
    """The frames into which a card cuts the packet, with lengths and checksums by scapy. `clears_last`: the last one has no
    FIN and PSH, either."""
    kind = TCP if packet.haslayer(TCP) else UDP
    data = bytes(packet[kind].payload)
    frames = []
    for number, at in enumerate(range(0, len(data), mss)):
        one = packet.copy()
        one[kind].remove_payload()
        one = one / Raw(data[at:at + mss])
        if one.haslayer(IP):
            one[IP].id = (packet[IP].id + number) & 0xFFFF
        if kind is TCP:
            one[TCP].seq = (packet[TCP].seq + at) & 0xFFFFFFFF
            if clears_last or at + mss < len(data):
                one[TCP].flags = str(one[TCP].flags).replace("F", "").replace("P", "")
        frames.append(bytes(one))
    return frames


def _sum_flags(packet: Packet) -> int:
    return next(flag for layer, flag in SUMS.items() if packet.haslayer(layer)) | (IPV4_SUM if packet.haslayer(IP) else 0)


def checksum_requests() -> list[Request]:
    requests = []
    usual = [link / network / transport for size in (31, 1000) for link in LINKS for network in NETWORKS
             for transport in transports(size)]
    unusual = [link / network / transport for link in (ETHERNET, STACKED) for network in NETWORKS + ROUTES
               for transport in transports(100)]
    # Some come again, since a queue does not look at the headers of a request that it has seen.
    for packet in usual + unusual + usual[::5]:
        for first in (200, 30):
            requests.append(Request(packet, request(without_sums(packet), _sum_flags(packet), first=first),
                                    [bytes(packet).ljust(60, b"\0")]))
    return requests


def tag_requests() -> list[Request]:
    requests = []
    for network in NETWORKS:
        for transport in transports(50):
            packet = ETHERNET / network / transport
            flags = _sum_flags(packet)
            one = ETHERNET / Dot1Q(vlan=100, prio=5) / network / transport
            two = ETHERNET / Dot1AD(vlan=200) / Dot1Q(vlan=100, prio=5) / network / transport
            tag = 5 << 13 | 100
            requests.append(Request(one, request(packet, VLAN, vlan=tag), [bytes(one)]))
            requests.append(Request(one, request(without_sums(packet), flags | VLAN, vlan=tag), [bytes(one)]))
            requests.append(Request(two, request(without_sums(packet), flags | VLAN | OUTER_VLAN, vlan=tag, outer_vlan=200),
                                    [bytes(two)]))
    tagged = ETHERNET / Dot1Q(vlan=9) / IP(**FOUR) / TCP(sport=1, dport=2, flags="A") / Raw(DATA[:3000])
    plain = ETHERNET / IP(**FOUR) / TCP(sport=1, dport=2, flags="A") / Raw(DATA[:3000])
    requests.append(Request(tagged, request(plain, TCP_SEGMENTS | VLAN, 1000, vlan=9), segments(tagged, 1000)))
    return requests


def tcp_segment_requests(clears_last: bool) -> list[Request]:
    requests = []
    for packet in [link / network / transport for link in LINKS for network in NETWORKS for transport in transports(4000)[:2]]:
        for mss, first in ((536, 200), (1400, 1500), (4000, 300)):
            requests.append(Request(packet, request(without_sums(packet), TCP_SEGMENTS, mss, first=first),
                                    segments(packet, mss, clears_last)))
    big = ETHERNET / IP(**FOUR, id=65530) / TCP(sport=1, dport=2, seq=0xFFFFF000, flags="FPA") / Raw(DATA[:39_000])
    requests.append(Request(big, request(big, TCP_SEGMENTS, 1448), segments(big, 1448, clears_last)))
    return requests


def udp_segment_requests() -> list[Request]:
    requests = []
    for packet in [link / network / UDP(sport=4000, dport=53) / Raw(DATA[:4000]) for link in LINKS for network in NETWORKS]:
        for mss in (500, 1400):
            requests.append(Request(packet, request(without_sums(packet), UDP_SEGMENTS, mss), segments(packet, mss)))
    return requests


OUTER_FOUR = IP(src="203.0.113.1", dst="203.0.113.2", id=500)
OUTER_SIX = IPv6(src="2001:db8:1::1", dst="2001:db8:1::2")
# What lies in front of the inner packet: the outer Ethernet and IP headers, and the tunnel's header with the inner Ethernet header.
Tunnels = list[tuple[Packet, Packet | None]]


def tunnels() -> Tunnels:
    """VXLAN, GRE and IP in IP."""
    four, six = OUTER_FOUR, OUTER_SIX
    vxlan = UDP(sport=50000, dport=4789) / VXLAN(vni=42) / ETHERNET
    unsummed = UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=42) / ETHERNET
    gre = GRE(key_present=1, key=7)
    ways = [(ETHERNET / four, vxlan), (ETHERNET / six, vxlan), (ETHERNET / Dot1Q(vlan=42) / four, vxlan),
            (ETHERNET / four, unsummed), (ETHERNET / four, gre), (ETHERNET / six, gre)]
    return [*ways, (ETHERNET / four, None)]


def geneve_tunnels() -> Tunnels:
    """Geneve (RFC 8926) without options, with one, and with several, one of them without data; with and without the checksum of
    UDP."""
    one = [GeneveOptions(classid=0x0102, type=0x80, data=b"8 octets")]
    several = [GeneveOptions(classid=0x0103, type=1), GeneveOptions(classid=0x0104, type=2, data=bytes(range(64)))]
    made = []
    for options in ([], one, several):
        for ip in (OUTER_FOUR, OUTER_SIX):
            made.append((ETHERNET / ip, UDP(sport=50000, dport=6081) / GENEVE(vni=42, options=options) / ETHERNET))
        made.append((ETHERNET / Dot1Q(vlan=42) / OUTER_FOUR, UDP(sport=50000, dport=6081, chksum=0) / GENEVE(vni=7, options=options) / ETHERNET))
    return made


def _in_tunnel(outer: Packet, tunnel: Packet | None, inner: Packet) -> Packet:
    return outer.copy() / inner.copy() if tunnel is None else outer.copy() / tunnel.copy() / inner.copy()


def tunnel_requests(ways: Tunnels) -> list[Request]:
    """TCP over IPv4 and IPv6 in each of the tunnels. The payload is a multiple of a segment's, and all segments have the inner
    identification of the request, as with GSO_PARTIAL of Linux."""
    requests = []
    for network in (IP(**FOUR, id=7), IPv6(**SIX)):
        transport = TCP(sport=2794, dport=1766, seq=0xFFFFF000, flags="PA", options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)])
        for outer, tunnel in ways:
            for mss, count in ((500, 6), (1300, 3), (1000, 1)):
                data = DATA[:mss * count]
                whole = _in_tunnel(outer, tunnel, network / transport / Raw(data))
                frames = []
                for number in range(count):
                    last = number + 1 == count
                    tcp = transport.copy()
                    tcp.seq = (tcp.seq + number * mss) & 0xFFFFFFFF
                    tcp.flags = "PA" if last else "A"
                    one = _in_tunnel(outer, tunnel, network / tcp / Raw(data[number * mss:(number + 1) * mss]))
                    if one.getlayer(1 if not one.haslayer(Dot1Q) else 2).version == 4:
                        one[IP].id = 500 + number
                    frames.append(bytes(one))
                l4 = len(transport)
                l3 = len(network)
                l2 = len(tunnel) if tunnel is not None else 0
                outer_l3 = 20 if IP in outer else 40
                outer_l2 = len(outer) - outer_l3
                line = f"{TCP_SEGMENTS} {l2} {l3} {l4} {mss} 0 0 {outer_l2} {outer_l3} 1000 {bytes(whole).hex()}"
                requests.append(Request(whole, line, frames))
    return requests


def require_frames(requests: list[Request], answers: list[str]) -> None:
    """Requires that the tool's answers are the frames of the requests, and that tshark finds them correct."""
    require(len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests")
    for wanted, answer in zip(requests, answers):
        require(answer.split() == [frame.hex() for frame in wanted.frames],
                f"{wanted.packet.summary()}: {' '.join(wanted.line.split()[:8])}: sent as {answer[:200]}")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "frames.pcap"
        frames = " ".join(answers).split()
        wrpcap(str(path), [bytes.fromhex(frame) for frame in frames], linktype=1)
        checked = wire.check(path)
    checked.require_correct(least=len(frames), longest=LONGEST)
    for layer, name in ((IP, "ip"), (TCP, "tcp"), (UDP, "udp"), (SCTP, "sctp")):
        if any(wanted.packet.haslayer(layer) for wanted in requests):
            require(checked.good.get(name, 0) > 0, f"tshark found no {name} checksum")
