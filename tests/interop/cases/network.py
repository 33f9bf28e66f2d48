# SPDX-License-Identifier: BSD-3-Clause
"""The guest's two ports in network namespaces of their own, `left` and `right`, and traffic between them."""

import contextlib
import json
import typing

from pollux_lab.cases import require

if typing.TYPE_CHECKING:
    from .columns import Lab

SIDES = ("left", "right")
ADDRESS = {"left": "10.82.0.1", "right": "10.82.0.2"}
ADDRESS6 = {"left": "fd82::1", "right": "fd82::2"}
LINK_SECONDS = 20

# Works in any state that an earlier case left: no namespaces, ports that are down, or other addresses.
_CONNECT = """
place() {
  ip netns exec $1 true 2>/dev/null || { ip netns add $1 && ip -n $1 link set lo up; }
  if ! ip -n $1 link show port >/dev/null 2>&1; then
    await 10 has_netdev $2 || fail the driver made no interface for $2
    name=$(netdev_of $2)
    ip link set $name netns $1 && ip -n $1 link set $name name port
  fi
  ip -n $1 addr flush dev port
  ip -n $1 link set port mtu 1500 up
  ip -n $1 addr add $3/24 dev port
  ip -n $1 addr add $4/64 dev port nodad
}
"""


def connect(lab: "Lab") -> None:
    script = _CONNECT
    for side, address in zip(SIDES, lab.addresses):
        script += f"place {side} {address} {ADDRESS[side]} {ADDRESS6[side]} || fail {side} cannot be set up\n"
    for side in SIDES:
        script += has_link(side)
    lab.guest.check(script, 60)


def has_link(side: str) -> str:
    return f"await {LINK_SECONDS} ip netns exec {side} grep -q 1 /sys/class/net/port/carrier || fail {side} has no link\n"


def ping(lab: "Lab", size: int, count: int = 20, address: str = ADDRESS["right"]) -> None:
    # Without neighbours' addresses the first large packet is lost. On a busy machine answers take half a second: of packets of many
    # frames, those that are under way would overrun a ring, which is the machine's fault and not the card's.
    count, interval = (count, 0.05) if size <= 1472 else (min(count, 5), 1)
    lab.guest.run(f"ip netns exec left ping -c 1 -W 2 {address}")
    output = lab.guest.check(f"ip netns exec left ping -c {count} -i {interval} -W 2 -s {size} {address} || true", 60)
    require(" 0% packet loss" in output, f"ping with {size} bytes: {output.strip().splitlines()[-2:]}")


def iperf(lab: "Lab", options: str, address: str = ADDRESS["right"], seconds: float = 60) -> dict:
    """Runs iperf3 from the left port to the right one; returns the end of its report."""
    output = lab.guest.check(f"""
    spawn iperf ip netns exec right iperf3 -s -1 --forceflush
    await_line iperf 'Server listening' 10
    ip netns exec left iperf3 -c {address} --json --connect-timeout 3000 {options} || {{ interrupt iperf; true; }}
    finish iperf 10 >/dev/null || true
    """, seconds)
    report = json.loads(output)
    require("error" not in report, f"iperf3: {report.get('error')}")
    return report["end"]


def know_neighbours(lab: "Lab") -> None:
    """From now on, neither side asks for the other's MAC address: frames of ARP are short, and QEMU's card does not pad them."""
    for here, there in (SIDES, SIDES[::-1]):
        mac = lab.on(there, "cat /sys/class/net/port/address").strip()
        lab.guest.check(f"ip -n {here} neigh replace {ADDRESS[there]} lladdr {mac} dev port nud permanent")


@contextlib.contextmanager
def small_window(lab: "Lab", side: str) -> typing.Iterator[None]:
    """Meanwhile, TCP connections that `side` accepts never have more data under way than a quarter of the default ring holds: a receiver
    that gets no processor time for a while then slows the sender down instead of losing frames."""
    before = lab.on(side, "cat /proc/sys/net/ipv4/tcp_rmem").strip()
    set_buffers = f"ip netns exec {side} sh -c \"echo '{{}}' >/proc/sys/net/ipv4/tcp_rmem\""
    lab.guest.check(set_buffers.format("4096 65536 65536"))
    try:
        yield
    finally:
        lab.guest.check(set_buffers.format(before))


def copy(lab: "Lab", source: str, mebibytes: int = 16, addresses: dict[str, str] = ADDRESS, seconds: float = 90) -> None:
    """Copies random bytes over TCP from one side to the other, and compares them."""
    target = "right" if source == "left" else "left"
    lab.guest.check(f"""
    dd if=/dev/urandom of=/tmp/sent bs=1048576 count={mebibytes} 2>/dev/null
    spawn receiver ip netns exec {target} nc -l -p 5000 -e sh -c 'cat >/tmp/got'
    await 5 ip netns exec {target} sh -c 'netstat -ltn | grep -q :5000' || fail the receiver does not listen
    ip netns exec {source} nc {addresses[target]} 5000 </tmp/sent || fail nc cannot send
    finish receiver 20 || fail the receiver did not end
    cmp /tmp/sent /tmp/got || fail "$(ls -l /tmp/sent /tmp/got)"
    rm /tmp/sent /tmp/got
    """, seconds)


def flood(lab: "Lab", options: str, mebibytes: int = 16, seconds: float = 90) -> dict:
    """iperf3 over TCP; returns what is worth recording. iperf3 ends when all is sent, and some of it may not have arrived."""
    end = iperf(lab, f"-n {mebibytes}M {options}", seconds=seconds)
    require(end["sum_sent"]["bytes"] >= mebibytes << 20, f"iperf3 sent {end['sum_sent']['bytes']} bytes of {mebibytes} MiB")
    return {"mbit_per_s": round(end["sum_received"]["bits_per_second"] / 1e6), "retransmits": end["sum_sent"].get("retransmits")}


def features(lab: "Lab", side: str) -> dict[str, bool]:
    """The interface's features, as `ethtool -k` prints them."""
    found = {}
    for line in lab.on(side, "ethtool -k port").splitlines()[1:]:
        name, _, value = line.strip().partition(": ")
        found[name] = value.startswith("on")
    return found


def statistics(lab: "Lab", side: str) -> dict[str, int]:
    found = {}
    for line in lab.on(side, "ethtool -S port").splitlines():
        name, _, value = line.strip().rpartition(": ")
        if name:
            found[name] = int(value)
    return found
