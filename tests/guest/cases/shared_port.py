# SPDX-License-Identifier: BSD-3-Clause
"""A card that an application shares with the kernel: a connection of the kernel outlives the change of driver in both directions."""

from cases.boots import C, G, LAB
from pollux_lab.cases import Fixture, case, require

KIB = 512  # sent in each phase

# The card's link partner G gets a namespace of its own; the card itself stays in this one.
BEGIN = """
modprobe tun
ip netns add peer
name=$(netdev_of {peer})
ip link set $name netns peer && ip -n peer link set lo up && ip -n peer link set $name name port
ip -n peer addr add 10.0.0.2/24 dev port && ip -n peer link set port up
"""

KERNEL_HAS_IT = """
await 20 test -d /sys/bus/pci/devices/{card}/net || fail the card has no interface
name=$(netdev_of {card})
ip addr add 10.0.0.1/24 dev $name && ip link set $name up
await 20 grep -q 1 /sys/class/net/$name/carrier || fail no link
"""

# A connection of the kernel, which is bound to no device. What is written to /tmp/in goes to the peer and comes back to /tmp/back.
CONNECT = """
rm -f /tmp/in /tmp/sent /tmp/got /tmp/back
mkfifo /tmp/in
spawn peer ip netns exec peer nc -l -p 5000 -e tee /tmp/got
await 10 ip netns exec peer sh -c 'netstat -ltn | grep -q :5000' || fail the peer does not listen
spawn holder sh -c 'exec sleep 600 >/tmp/in'
spawn client sh -c 'exec nc 10.0.0.2 5000 </tmp/in >/tmp/back'
await 20 ip netns exec peer sh -c 'netstat -tn | grep -q 5000.*ESTABLISHED' || fail there is no connection
"""

SEND = f"dd if=/dev/urandom bs=1024 count={KIB} 2>/dev/null | tee -a /tmp/sent >/tmp/in\n"
SEND_LATER = f"spawn writer sh -c 'dd if=/dev/urandom bs=1024 count={KIB} 2>/dev/null | tee -a /tmp/sent >/tmp/in'\n"
EXPECT = """
await 20 cmp /tmp/sent /tmp/back || fail "of $(wc -c </tmp/sent) bytes $(wc -c </tmp/got) arrived and $(wc -c </tmp/back) came back"
cmp /tmp/sent /tmp/got && wc -c </tmp/back
"""

END = """
for name in client peer holder writer; do [ -s /run/$name.pid ] && kill -KILL $(cat /run/$name.pid); rm -f /run/$name.pid; done
for pid in $(ip netns pids peer); do kill -KILL $pid; done
name=$(netdev_of {card})
[ -d /sys/class/net/$name ] && ip addr flush dev $name && ip link set $name down
ip -n peer link set port down && ip -n peer link set port netns 1 && ip netns del peer
ip link set port name peer0
rm -f /tmp/in /tmp/sent /tmp/got /tmp/back
true
"""


@case(LAB)
def a_connection_of_the_kernel_outlives_the_change_of_driver(fixture: Fixture) -> None:
    """It begins on igb's interface, goes on behind the representor while `kernel_path` has the card, and ends on igb's again."""
    guest = fixture.guest
    card = fixture.addresses[C]
    names = {"card": card, "peer": fixture.addresses[G]}
    phases = 0

    def expect(script: str) -> None:
        nonlocal phases
        phases += 1
        output = guest.check(script, 60)
        require(output.split()[-1:] == [str(phases * KIB * 1024)], f"after {phases} phases: {output}")

    try:
        guest.check(BEGIN.format(**names) + KERNEL_HAS_IT.format(**names) + CONNECT, 60)
        expect(SEND + EXPECT)
        fixture.bind(C, options="--force")
        # The kernel has no such interface now, and keeps what the connection sends.
        guest.check(SEND_LATER)
        guest.check(f"spawn kernel_path kernel_path {fixture.uri(C)} --tap plx0 --ip 10.0.0.1/24\n"
                    "await_line kernel_path 'is shared with the kernel' 30", 40)
        expect(EXPECT)
        expect(SEND + EXPECT)
        mac = guest.check("cat /sys/class/net/plx0/address").strip()
        require(mac == fixture.macs[C], f"plx0 has the address {mac}, the card {fixture.macs[C]}")
        ping = guest.check("ip netns exec peer ping -c 5 -i 0.05 -W 5 10.0.0.1", 60)
        require(" 0% packet loss" in ping, ping)
        summary = guest.check("interrupt kernel_path\nfinish kernel_path 20", 30)
        require("answered: 0 UDP" in summary and "0 kernel_path_port_full" in summary, summary)
        guest.check(f"pollux unbind {card}\n" + KERNEL_HAS_IT.format(**names), 60)
        expect(SEND + EXPECT)
    finally:
        guest.run(END.format(**names), 30)
