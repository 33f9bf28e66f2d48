# SPDX-License-Identifier: BSD-3-Clause
"""Example programs on a card that they drive through VFIO; the kernel on its link partner judges them."""

import array
import hashlib

from cases.boots import C, G, LAB
from pollux_lab.cases import Fixture, case, require

DOCUMENT = 3_000_000  # bytes

PEER_UP = """
ip netns add peer
name=$(netdev_of {peer})
ip link set $name netns peer && ip -n peer link set lo up && ip -n peer link set $name name port
ip -n peer addr add 10.0.0.2/24 dev port && ip -n peer link set port up
await 20 ip netns exec peer grep -q 1 /sys/class/net/port/carrier || fail no link
"""

PEER_DOWN = """
for name in echo tcp_server; do [ -s /run/$name.pid ] && kill -KILL $(cat /run/$name.pid); rm -f /run/$name.pid; done
ip -n peer link set port down && ip -n peer link set port netns 1 && ip netns del peer
ip link set port name peer0
true
"""

# Sends datagrams to the UDP echo of 10.0.0.1 and compares what comes back.
UDP_ECHO = """
exec 3<>/dev/udp/10.0.0.1/7
for size in 1 18 100 1472; do
  head -c $size /dev/urandom >/tmp/sent
  cat /tmp/sent >&3
  timeout 10 dd bs=2000 count=1 <&3 2>/dev/null >/tmp/got
  cmp /tmp/sent /tmp/got || exit 1
done
echo all came back
"""


def run_program(fixture: Fixture, name: str, words: str, ready: str, judge) -> str:
    """Starts the program on C, runs `judge` with G in a namespace of its own, and returns the program's summary."""
    fixture.bind(C)
    peer = fixture.addresses[G]
    try:
        fixture.guest.check(f"spawn {name} {name} {fixture.uri(C)} --ip 10.0.0.1 {words}\nawait_line {name} '{ready}' 30", 40)
        fixture.guest.check(PEER_UP.format(peer=peer), 40)
        judge()
        return fixture.guest.check(f"interrupt {name}\nfinish {name} 20", 30)
    finally:
        fixture.guest.run(PEER_DOWN, 30)


@case(LAB)
def echo_on_a_card_answers_the_kernel(fixture: Fixture) -> None:
    def judge() -> None:
        for size in (10, 1400):
            output = fixture.guest.check(f"ip netns exec peer ping -c 10 -i 0.05 -W 5 -s {size} 10.0.0.1", 60)
            require(" 0% packet loss" in output, output)
        output = fixture.guest.check(f"cat >/tmp/udp_echo <<'END'{UDP_ECHO}END\nip netns exec peer bash /tmp/udp_echo", 60)
        require("all came back" in output, output)

    summary = run_program(fixture, "echo", "", "answering", judge)
    require("20 ping, 4 UDP;" in summary and "no room to send: 0" in summary, summary)


@case(LAB)
def tcp_server_on_a_card_serves_the_kernel(fixture: Fixture) -> None:
    expected = hashlib.sha256(array.array("Q", range(DOCUMENT // 8)).tobytes()).hexdigest()

    def judge() -> None:
        output = fixture.guest.check("ip netns exec peer wget -q -O - http://10.0.0.1/ | sha256sum", 120)
        require(output.split()[0] == expected, f"the document has the SHA-256 {output}, not {expected}")

    summary = run_program(fixture, "tcp_server", f"--bytes {DOCUMENT}", "serving", judge)
    require("1 served" in summary, summary)
