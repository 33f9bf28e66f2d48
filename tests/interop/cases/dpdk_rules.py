# SPDX-License-Identifier: BSD-3-Clause
"""Flow rules of DPDK's igb driver on an exported card: testpmd adds them to port 1, and sends frames that match them, and frames that do
not, on port 0."""

import base64
import functools
import io
import pathlib
from collections import Counter
from dataclasses import dataclass

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import rdpcap, wrpcap

from pollux_lab.cases import Boot, require

from . import testpmd
from .columns import Lab, on_this_card
from .dpdk_offloads import ADDRESSES, QUEUES, hash_of, through_port_0

# Frames of each kind. On an I350 and I210 DPDK lets the card write descriptors back by fours (E1000_DEFAULT_RX_WTHRESH).
EACH = 12
SOURCE, DESTINATION = "10.3.0.1", "10.3.0.3"
TYPE = 0x88B5


@dataclass(frozen=True)
class Kind:
    """Frames of one kind, which their length tells from others."""
    bytes: int
    queue: int
    layers: Packet

    def frame(self) -> Packet:
        return self.layers / Raw(bytes(self.bytes - len(self.layers)))


def kinds() -> dict[str, Kind]:
    """The frames by what they are, with their queues. Without a rule, IP goes where the hash of the addresses says, all else to queue 0."""
    hashed = hash_of(SOURCE, DESTINATION) % QUEUES
    others = [queue for queue in range(1, QUEUES) if queue != hashed]
    ethernet, ip = ADDRESSES, ADDRESSES / IP(src=SOURCE, dst=DESTINATION)
    return {"type": Kind(200, others[0], Ether(src=ethernet.src, dst=ethernet.dst, type=TYPE)),
            "another type": Kind(210, 0, Ether(src=ethernet.src, dst=ethernet.dst, type=TYPE + 1)),
            "tuple": Kind(220, others[-1], ip / UDP(sport=1000, dport=53)),
            "another port": Kind(230, hashed, ip / UDP(sport=1000, dport=54)),
            "SYN": Kind(240, others[0], ip / TCP(sport=1000, dport=80, flags="S")),
            "no SYN": Kind(250, hashed, ip / TCP(sport=1000, dport=80, flags="A"))}


def files(root: pathlib.Path) -> None:
    (root / "root").mkdir(exist_ok=True)
    for queue in range(QUEUES):
        wrpcap(str(root / f"root/rules.{queue}.pcap"), [kind.frame() for kind in kinds().values() for _ in range(queue, EACH, QUEUES)])


def _rules(two_tuples: bool) -> list[str]:
    queues = {name: kind.queue for name, kind in kinds().items()}
    create = "flow create 1 ingress pattern {} / end actions queue index {} / end"
    source, destination, port = ("", "", "") if two_tuples else (f"src is {SOURCE} ", f"dst is {DESTINATION} ", "src is 1000 ")
    return [create.format(f"eth type is {TYPE:#x}", queues["type"]),
            create.format(f"eth / ipv4 {source}{destination}proto is 17 / udp {port}dst is 53", queues["tuple"]),
            create.format("eth / ipv4 / tcp flags spec 2 flags mask 2", queues["SYN"])]


def _arrivals(lab: Lab) -> Counter:
    """How many frames of each length port 1 received on each queue: port 3 has written them to a file a queue. What testpmd prints of them
    is no use, since its prompts interrupt lines."""
    arrivals = Counter()
    for queue in range(QUEUES):
        file = io.BytesIO(base64.b64decode(lab.guest.check(f"base64 /tmp/received.{queue}.pcap")))
        arrivals.update((len(frame), queue) for frame in rdpcap(file))
    return arrivals


def flow_rules(lab: Lab, two_tuples: bool = False) -> None:
    """With `two_tuples` a rule has the protocol and the destination port alone."""
    output = testpmd.run(lab, f"""
    {testpmd.say('set portlist 2,0,1,3', 'set fwd io', *_rules(two_tuples), 'start')}
    sleep 5
    {testpmd.say('stop')}""", devices=through_port_0(QUEUES, "/root/rules.{}.pcap"), options=f"--no-flush-rx --rxq={QUEUES} --txq={QUEUES}")
    arrivals = _arrivals(lab)
    lab.facts["queues"] = {f"{length} bytes, queue {queue}": count for (length, queue), count in sorted(arrivals.items())}
    expected = Counter({(kind.bytes, kind.queue): EACH for kind in kinds().values()})
    require(arrivals == expected, f"frames by length and queue: {dict(arrivals)}; expected: {dict(expected)}\n{output[-6000:]}")


_BOOT = Boot("two in-process cards on the tests' kernel, and frames for flow rules", functools.partial(testpmd.machine, "dpdk-rules", files),
             "modprobe vfio-pci", kernel="own")
on_this_card(_BOOT, "testpmd_flow_rules", "DPDK's driver has the card select queues by flow rules", flow_rules)
