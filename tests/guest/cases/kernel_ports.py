# SPDX-License-Identifier: BSD-3-Clause
"""Cases with the kernel's driver: ports are returned to it, and two kernel ports communicate through l2fwd."""

from cases.boots import C, D, G, H, LAB
from pollux_lab.cases import Fixture, case, require

TRANSFER_KIB = 8192


def namespaces(fixture: Fixture, left: int, right: int) -> str:
    """The script that moves each of two kernel ports to its own network namespace, with the addresses 10.0.0.1 and 10.0.0.2."""
    return f"""
    for side in left right; do ip netns add $side; ip -n $side link set lo up; done
    move() {{
      name=$(netdev_of $2)
      ip link set $name netns $1 && ip -n $1 link set $name name port
      ip -n $1 addr add $3/24 dev port && ip -n $1 link set port up
    }}
    move left {fixture.addresses[left]} 10.0.0.1
    move right {fixture.addresses[right]} 10.0.0.2
    for side in left right; do
      await 20 ip netns exec $side grep -q 1 /sys/class/net/port/carrier || fail no link in namespace $side
    done
    """


REMOVE_NAMESPACES = """
for side in left right; do
  ip -n $side link set port down
  ip -n $side link set port netns 1
  ip netns del $side
done
n=0
for port in $(ls -d /sys/class/net/port* 2>/dev/null); do ip link set $(basename $port) name igb$n; n=$((n + 1)); done
true
"""

PING = "ip netns exec left ping -c 20 -i 0.05 -W 2 -s {size} 10.0.0.2"

TRANSFER = f"""
dd if=/dev/urandom of=/tmp/sent bs=1024 count={TRANSFER_KIB} 2>/dev/null
(ip netns exec right nc -l -p 5000 -e sh -c 'cat >/tmp/got') &
await 5 ip netns exec right sh -c 'netstat -ltn | grep -q :5000' || fail the receiver does not listen
ip netns exec left nc 10.0.0.2 5000 </tmp/sent
wait
cmp /tmp/sent /tmp/got && ls -l /tmp/got && rm /tmp/sent /tmp/got
"""


def ping_and_transfer(fixture: Fixture) -> None:
    for size in (10, 1400):
        output = fixture.guest.check(PING.format(size=size), 60)
        require(" 0% packet loss" in output, output)
    output = fixture.guest.check(TRANSFER, 120)
    require(str(TRANSFER_KIB * 1024) in output, f"the transfer is incomplete: {output}")


def communicate_through_l2fwd(fixture: Fixture) -> None:
    """The kernel's ports G and H, through C and D."""
    fixture.bind(C, D)
    with fixture.l2fwd(C, D, options="--no-mac-updating") as l2fwd:
        try:
            fixture.guest.check(namespaces(fixture, G, H), 60)
            ping_and_transfer(fixture)
        finally:
            fixture.guest.run(REMOVE_NAMESPACES)
        summary = l2fwd.stop()
    require(summary.conserved and summary.sent > TRANSFER_KIB * 1024 // 1500, str(summary))


def return_to_kernel(fixture: Fixture, driver: str, traffic: bool = True) -> None:
    """C and G are on one wire. After l2fwd has used C, the kernel's driver takes it back and has a link with G, or communicates with it."""
    fixture.bind(C, D)
    with fixture.l2fwd(C, D) as l2fwd:
        require(l2fwd.stop().conserved, "the counts do not add up")
    fixture.guest.check(f"pollux unbind {fixture.addresses[C]} {fixture.addresses[D]}")
    found = fixture.guest.check(f"driver_of {fixture.addresses[C]}").strip()
    require(found == driver, f"after unbind the driver is {found}")
    try:
        fixture.guest.check(namespaces(fixture, C, G), 60)
        if traffic:
            ping_and_transfer(fixture)
    finally:
        fixture.guest.run(REMOVE_NAMESPACES)


@case(LAB)
def two_kernels_ping_and_run_tcp_through_l2fwd(fixture: Fixture) -> None:
    communicate_through_l2fwd(fixture)


@case(LAB)
def the_kernel_takes_a_port_back_and_passes_traffic(fixture: Fixture) -> None:
    """Twice."""
    for traffic in (False, True):
        return_to_kernel(fixture, "igb", traffic)
