# SPDX-License-Identifier: BSD-3-Clause
"""Frames with which a program may go wrong: cut off at each byte, too long, with wrong lengths and flags in their headers, and fragments
that do not fit together."""

import random

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q
from scapy.packet import Packet, Raw

CLIENT, SERVER = "10.6.0.1", "10.6.0.2"
CLIENT_MAC = "02:00:00:00:00:01"


def wrong_frames(link: Packet) -> list[bytes]:
    dice = random.Random(1)
    to_server = {"src": CLIENT, "dst": SERVER}
    data = Raw(dice.randbytes(1400))
    right = [bytes(link / packet) for packet in (
        ARP(hwsrc=CLIENT_MAC, psrc=CLIENT, pdst=SERVER), IP(**to_server) / ICMP() / data, IP(**to_server) / UDP(dport=7) / data,
        IP(**to_server, options=[IPOption(b"\x07\x27\x04" + b"\0" * 36)]) / ICMP() / data,
        IP(**to_server) / TCP(dport=80, flags="S", options=[("MSS", 1460), ("WScale", 14), ("SAckOK", b""), ("Timestamp", (1, 0))]),
        IP(**to_server) / TCP(dport=80, flags="PA", seq=1, ack=1, urgptr=9) / data, IP(**to_server, proto=2) / Raw(b"\x11\0\0\0\0\0\0\0"),
        Dot1Q(vlan=0) / IP(**to_server) / ICMP() / data, IPv6(dst="ff02::1") / ICMPv6EchoRequest(data=b"x" * 1200),
        IPv6(dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt="fe80::1"), IPv6(dst="ff02::1") / IPv6ExtHdrHopByHop() / UDP(dport=7) / data,
        IPv6(dst="ff02::1") / IPv6ExtHdrDestOpt(len=200) / data, IPv6(dst="ff02::1") / IPv6ExtHdrFragment(m=1, id=3) / data)]
    frames = [frame[:length] for frame in right for length in (*range(1, 100), 592, 593, 600, 1000)]
    frames += [frame + bytes(more) for frame in right for more in (1, 40, 7000, 60_000)]
    # Each byte of the headers with other values: versions, lengths, offsets, flags.
    frames += [frame[:at] + bytes([value]) + frame[at + 1:] for frame in right for at in range(12, min(len(frame), 80))
               for value in (0, 1, 0x0F, 0x4F, 0x7F, 0xFF)]
    for _ in range(3000):
        frame = bytearray(dice.choice(right))
        for _ in range(dice.randint(1, 6)):
            frame[dice.randrange(12, len(frame))] = dice.randrange(256)
        frames.append(bytes(frame))
    # Fragments that overlap, leave gaps, end twice, or go beyond 65,535 bytes.
    for _ in range(2000):
        offset = dice.choice((0, 0, 1, 2, dice.randrange(200), 8189, 8191))
        payload = dice.randbytes(dice.choice((1, 7, 8, 64, 1400)))
        fragment = IP(**to_server, id=dice.randrange(8), frag=offset, flags=dice.choice(("", "MF")), proto=dice.choice((1, 6, 17)))
        frames.append(bytes(link / fragment / Raw(payload)))
    return frames
