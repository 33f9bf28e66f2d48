# SPDX-License-Identifier: BSD-3-Clause
"""A card that an application shares with the kernel: connections of the kernel outlive the change of driver in both directions, and the
interface's addresses and routes follow the card."""

from cases.boots import C, G, LAB
from pollux_lab.cases import Fixture, case, require, require_message

KIB = 512  # sent in each phase, by each connection

# The card's link partner G gets a namespace of its own; the card itself stays in this one. The peer also has addresses beyond the network
# of the card, which are reached through the default routes.
BEGIN = """
modprobe tun
ip netns add peer
name=$(netdev_of {peer})
ip link set $name netns peer && ip -n peer link set lo up && ip -n peer link set $name name port
ip -n peer addr add 10.0.0.2/24 dev port && ip -n peer addr add fd00:5::2/64 dev port nodad
ip -n peer addr add 198.51.100.2/32 dev lo && ip -n peer addr add fd00:9::2/128 dev lo
ip -n peer link set port up
await 20 has_netdev {card} || fail the card has no interface
name=$(netdev_of {card})
ip addr add 10.0.0.1/24 dev $name && ip addr add fd00:5::1/64 dev $name nodad && ip link set $name up
await 20 grep -q 1 /sys/class/net/$name/carrier || fail no link
ip route add default via 10.0.0.2 metric 50
ip -6 route add default via fd00:5::2 metric 60
ip route add 203.0.113.0/24 via 10.0.0.2 src 10.0.0.1 table 77
"""

# Checks that the network lies on the interface $name.
NETWORK = """
await 20 grep -q 1 /sys/class/net/$name/carrier || fail no link
all="$(ip -o addr show dev $name; ip route show table all dev $name; ip -6 route show dev $name)"
for part in 'inet 10.0.0.1/24' 'inet6 fd00:5::1/64' 'default via 10.0.0.2 metric 50' 'default via fd00:5::2 metric 60' \
  '203.0.113.0/24 via 10.0.0.2 table 77 src 10.0.0.1'; do
  echo "$all" | grep -q "$part" || fail "$name lacks $part: $all"
done
"""

# A connection of the kernel, which is bound to no device. What is written to /tmp/in goes to the peer and comes back to /tmp/back.
CONNECT = """
rm -f /tmp/*{n}
mkfifo /tmp/in{n}
spawn peer{n} ip netns exec peer nc -l -p 500{n} -e tee /tmp/got{n}
await 10 ip netns exec peer sh -c 'netstat -ltn | grep -q :500{n}' || fail the peer does not listen
spawn holder{n} sh -c 'exec sleep 600 >/tmp/in{n}'
spawn client{n} sh -c 'exec nc {there} 500{n} </tmp/in{n} >/tmp/back{n}'
await 20 ip netns exec peer sh -c 'netstat -tn | grep -q 500{n}.*ESTABLISHED' || fail there is no connection
"""

SEND_LATER = f"""
for n in 4 6; do
  spawn writer$n sh -c "dd if=/dev/urandom bs=1024 count={KIB} 2>/dev/null | tee -a /tmp/sent$n >/tmp/in$n"
done
"""
EXPECT = """
for n in 4 6; do
  await 20 test -s /run/writer$n.status || fail "connection $n does not take what is sent"
  await 20 cmp /tmp/sent$n /tmp/back$n || fail "of $(wc -c </tmp/sent$n) bytes $(wc -c </tmp/got$n) arrived and $(wc -c </tmp/back$n) came back"
  cmp /tmp/sent$n /tmp/got$n && wc -c </tmp/back$n
done
"""

END = """
for n in 4 6; do
  for name in client$n peer$n holder$n writer$n; do [ -s /run/$name.pid ] && kill -KILL $(cat /run/$name.pid); rm -f /run/$name.pid; done
  rm -f /tmp/*$n
done
for pid in $(ip netns pids peer); do kill -KILL $pid; done
name=$(netdev_of {card})
[ -d /sys/class/net/$name ] && ip addr flush dev $name && ip link set $name down
ip -n peer link set port down && ip -n peer link set port netns 1 && ip netns del peer
ip link set port name peer0
true
"""


@case(LAB)
def a_connection_of_the_kernel_outlives_the_change_of_driver(fixture: Fixture) -> None:
    outlives_the_change_of_driver(fixture)


def outlives_the_change_of_driver(fixture: Fixture) -> None:
    """Two connections, over IPv4 and IPv6 and through the default routes, begin on the interface of the kernel's driver, go on behind the
    representor while `kernel_path` has the card, and end on that interface again. The addresses and routes are given once, before that."""
    guest = fixture.guest
    card = fixture.addresses[C]
    names = {"card": card, "peer": fixture.addresses[G]}
    phases = 0

    def expect(script: str) -> None:
        nonlocal phases
        phases += 1
        output = guest.check(script, 90)
        require(output.split() == [str(phases * KIB * 1024)] * 2, f"after {phases} phases: {output}")

    try:
        guest.check(BEGIN.format(**names) + NETWORK, 60)
        guest.check(CONNECT.format(n=4, there="198.51.100.2") + CONNECT.format(n=6, there="fd00:9::2"), 60)
        expect(SEND_LATER + EXPECT)
        fixture.bind(C, options="--force")
        # The kernel has no such interface now, and keeps what the connections send.
        guest.check(SEND_LATER)
        guest.check(f"spawn kernel_path kernel_path {fixture.uri(C)} --tap plx0\n"
                    "await_line kernel_path 'is shared with the kernel' 30\nname=plx0" + NETWORK, 60)
        expect(EXPECT)
        expect(SEND_LATER + EXPECT)
        mac = guest.check("cat /sys/class/net/plx0/address").strip()
        require(mac == fixture.macs[C], f"plx0 has the address {mac}, the card {fixture.macs[C]}")
        ping = guest.check("ip netns exec peer ping -c 5 -i 0.05 -W 5 10.0.0.1", 60)
        require(" 0% packet loss" in ping, ping)
        summary = guest.check("interrupt kernel_path\nfinish kernel_path 20", 30)
        require("answered: 0 UDP" in summary and "0 kernel_path_port_full" in summary, summary)
        guest.check(f"pollux unbind {card}\nname=$(netdev_of {card})" + NETWORK, 60)
        expect(SEND_LATER + EXPECT)
    finally:
        guest.run(END.format(**names), 30)


@case(LAB)
def a_shared_port_without_a_usable_network_names_the_fix(fixture: Fixture) -> None:
    def refused(*parts: str) -> None:
        outcome = fixture.guest.run(f"kernel_path {fixture.uri(C)} --tap plx0", 30)
        require(outcome.status == 1, f"kernel_path: {outcome}")
        require_message(outcome.err, *parts)

    card = fixture.addresses[C]
    refused("no addresses and routes were saved", f"pollux bind --force {card}")
    fixture.bind(C)
    refused("had no address", "--ip 10.0.0.1/24")
    file = f"/run/pollux/interfaces/{card}"
    fixture.guest.check(f"sed -i 's/10c9/1521/' {file}")
    refused("of another card, 8086:1521", f"pollux unbind {card}")
    fixture.guest.check(f"echo nonsense >{file}")
    refused(file, "malformed", f"rm {file}")
