# SPDX-License-Identifier: BSD-3-Clause
"""The offloads of DPDK's igb driver on exported cards. testpmd reads frames from a capture file, sends them on port 0, and receives them
on port 1. tshark checks the frames on the wire between the two; testpmd prints what the driver says about the received ones."""

import functools
import pathlib
import re
from collections import Counter

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from pollux_lab.cases import Boot, require

from . import testpmd
from .columns import Lab, on_this_card

QUEUES = 4
EACH = 50  # frames of each kind
SEGMENT = 800
LARGE = 2600  # bytes of TCP payload: segments of 800, 800, 800 and 200
SEGMENTS = 4
FLOWS = 128
TAG = 42
# DPDK's default key for Intel's cards (rss_intel_key): that of Microsoft's specification of RSS.
KEY = int.from_bytes(bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"), "big")
KEY_BITS = 320
ADDRESSES = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def files(root: pathlib.Path) -> None:
    (root / "root").mkdir(exist_ok=True)
    wrpcap(str(root / "root/offloads.pcap"), [frame for _ in range(EACH) for frame in _wrong_checksums()])
    for queue in range(QUEUES):
        wrpcap(str(root / f"root/flows.{queue}.pcap"), [_flow(number) for number in range(queue, FLOWS, QUEUES)])


def _wrong_checksums() -> list[Packet]:
    """Frames whose checksums the card has to replace, and whose TCP payload it has to segment where it is large."""
    ipv4, ipv6 = IP(src="10.1.0.1", dst="10.1.0.2", chksum=0x1234), IPv6(src="fd01::1", dst="fd01::2")
    tcp, udp = TCP(sport=1000, dport=2000, seq=1, flags="A", chksum=0x1234), UDP(sport=1000, dport=2000, chksum=0x1234)
    return [ADDRESSES / ip / transport / Raw(bytes(index % 251 for index in range(size)))
            for ip in (ipv4, ipv6) for transport, size in ((tcp, LARGE), (tcp, 400), (udp, 1000), (udp, 19))]


def _flow(number: int) -> Packet:
    return ADDRESSES / IP(src=f"10.2.{number}.1", dst="10.2.0.2") / UDP(sport=1000, dport=2000) / Raw(bytes(100))


def through_port_0(queues: int, files: str) -> str:
    """Port 2 reads the files, one a queue; port 3 takes what port 1 receives."""
    read = ",".join(f"rx_pcap={files.format(queue)}" for queue in range(queues))
    write = ",".join(f"tx_pcap=/tmp/received.{queue}.pcap" for queue in range(queues))
    return f"--vdev net_pcap0,{read} --vdev net_pcap1,{write}"


def _forward(lab: Lab, engine: str, *settings: str, queues: int, files: str) -> str:
    output = testpmd.run(lab, f"""
    {testpmd.say('port stop all', *settings, 'port start all', 'set portlist 2,0,1,3', f'set fwd {engine}', 'set verbose 1', 'start')}
    sleep 5
    {testpmd.say('stop', 'show port stats all')}""", devices=through_port_0(queues, files),
                         # At its start testpmd drops what its ports have received already, which would be the whole of a file.
                         options=f"--no-flush-rx --mbuf-size=4096 --rxq={queues} --txq={queues}")
    lab.facts["ports"] = ports = testpmd.counters(output)
    require(ports[0]["sent"] > 0, f"port 0 sent nothing:\n{output[-6000:]}")
    return output


def checksums_and_segments(lab: Lab) -> None:
    with lab.captured() as capture:
        # Not --enable-rx-cksum, which testpmd asks of the ports that read and write files, too.
        output = _forward(lab, "csum", *(f"csum set {layer} hw 0" for layer in ("ip", "tcp", "udp")), f"tso set {SEGMENT} 0",
                          *(f"port config 1 rx_offload {layer}_cksum on" for layer in ("ipv4", "tcp", "udp")),
                          queues=1, files="/root/offloads.pcap")
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    # For each of IPv4 and IPv6: the segments of one frame, and three frames.
    frames = 2 * EACH * (SEGMENTS + 3)
    checked.require_correct(frames, longest=14 + 40 + 8 + 1000)
    require(checked.frames == frames, f"{checked.frames} frames of {frames} were on the wire")
    expected = {"ip": frames // 2, "tcp": 2 * EACH * (SEGMENTS + 1), "udp": 4 * EACH}
    require(checked.good == expected, f"correct checksums on the wire: {checked.good}; expected: {expected}")
    said = Counter(re.findall(r"RTE_MBUF_F_RX_L4_CKSUM_(\w+)", output))
    lab.facts["received"] = dict(said)
    require(said["GOOD"] >= frames and said["BAD"] == 0, f"the driver says about checksums: {dict(said)}")


def hash_of(source: str, destination: str) -> int:
    """The Toeplitz hash of two IPv4 addresses."""
    value = 0
    bits = int.from_bytes(bytes(int(part) for part in f"{source}.{destination}".split(".")), "big")
    for index in range(64):
        if bits >> (63 - index) & 1:
            value ^= KEY >> (KEY_BITS - 32 - index)
    return value & 0xFFFFFFFF


def tags_and_queues(lab: Lab) -> None:
    with lab.captured() as capture:
        output = _forward(lab, "mac", f"tx_vlan set 0 {TAG}", "vlan set strip on 1", queues=QUEUES, files="/root/flows.{}.pcap")
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(FLOWS)
    require(checked.tags == {str(TAG): FLOWS}, f"tags on the wire: {checked.tags}, of {checked.frames} frames")
    received = re.findall(r"RSS hash=0x([0-9a-f]+) - RSS queue=0x([0-9a-f]+)([^\n]*\n[^\n]*)", output)
    require(len(received) == FLOWS, f"{len(received)} frames of {FLOWS} have a hash")
    hashes = {hash_of(f"10.2.{number}.1", "10.2.0.2") for number in range(FLOWS)}
    require({int(value, 16) for value, *_ in received} == hashes, "the hashes are wrong")
    # The driver's table of 128 entries repeats the queues.
    require(all(int(queue, 16) == int(value, 16) % QUEUES for value, queue, _ in received), "frames are in other queues than their hashes say")
    lab.facts["queues"] = dict(Counter(queue for _, queue, _ in received))
    require(len(lab.facts["queues"]) == QUEUES, f"queues in use: {lab.facts['queues']}")
    stripped = [rest for *_, rest in received if f"VLAN tci={TAG:#x}" in rest and "RX_VLAN_STRIPPED" in rest]
    require(len(stripped) == FLOWS, f"the tag was taken from {len(stripped)} frames of {FLOWS}")


_BOOT = Boot("two in-process cards on the tests' kernel, and frames in files", functools.partial(testpmd.machine, "dpdk-offloads", files),
             "modprobe vfio-pci", kernel="own")
on_this_card(_BOOT, "testpmd_checksums_and_segments", "DPDK's driver has the card insert checksums and segment TCP", checksums_and_segments)
on_this_card(_BOOT, "testpmd_tags_and_queues", "DPDK's driver has the card insert and strip tags, and select queues by hash", tags_and_queues)
