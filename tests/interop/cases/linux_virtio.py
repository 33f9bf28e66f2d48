# SPDX-License-Identifier: BSD-3-Clause
"""Linux's virtio_net on the exported virtio-net device: each case is a row of docs/virtio/device.md."""

import functools
import re
import statistics

from pollux_lab import cases
from pollux_lab.cases import Boot, Fixture, require

from . import network
from .columns import LONG, Column, Lab, two_exported_cards

MEBIBYTES = 16
TAGGED = {"left": "10.42.0.1", "right": "10.42.0.2"}
# Of one queue's interrupts. A ping takes a few milliseconds without it, and tens of them on a busy machine.
DELAY_MS = 300
# What Linux 6.18 takes and 6.1 does not.
NEWER_FEATURES = {"NOTIFICATION_DATA": 38, "VQ_NOTF_COAL": 52, "GUEST_USO4": 54, "GUEST_USO6": 55, "HOST_USO": 56}
COMPLAINTS = re.compile(r"virtio.*(fail|error|timed out|broken|id \d+ out of range|is not a head)|NETDEV WATCHDOG",
                        re.IGNORECASE)


def _boot(key: str, options: str = "", kernel: str = "stock") -> Boot:
    with_options = f" with{options.replace('+', ' ')}" if options else ""
    return Boot(f"two exported virtio-net devices{with_options}{', newer kernel' if kernel == 'newer' else ''}",
                lambda: two_exported_cards(key, "--card", "virtio-net" + options), "modprobe -a virtio_net 8021q", kernel)


# What Linux takes: packed rings if they are offered, and all that it knows. Each boot leaves a part of that out. The wire carries
# complete frames, so that tshark can judge them, but in the boot "passing", where the devices pass long frames on. The newer kernel knows
# more features.
BOOTS = {
    "packed": _boot("virtio-packed", "+plain-wire"),
    "split": _boot("virtio-split", "+plain-wire+no-ring-packed"),
    "plain": _boot("virtio-plain", "+plain-wire+no-ring-packed+no-mrg-rxbuf+no-event-idx+no-indirect-desc+no-in-order+pairs=1"
                                   "+no-guest-tso4+no-guest-tso6"),
    "passing": _boot("virtio-passing"),
    "newer": _boot("virtio-newer", "+plain-wire", "newer"),
}
JUDGED = ("packed", "split", "plain")


def on_virtio(short: tuple[str, ...] = (), boots: tuple[str, ...] = JUDGED):
    def register(function):
        for key in boots:
            column = Column("virtio", key, BOOTS[key])
            run = functools.partial(_run, function, column)
            name = f"interop.virtio.{function.__name__}.{key}"
            cases.REGISTRY.append(cases.Case(name, BOOTS[key], run, "" if key in short else LONG))
        return function
    return register


def _run(function, column: Column, fixture: Fixture) -> None:
    lab = Lab(fixture, column)
    function(lab)
    said = [line for line in lab.guest.check("dmesg").splitlines() if COMPLAINTS.search(line)]
    require(not said, "the driver complains:\n" + "\n".join(said[:10]))


@on_virtio(short=JUDGED, boots=(*JUDGED, "newer"))
def loads_and_pings(lab: Lab) -> None:
    """virtio_net loads, reports the device's link, and pings of 0 to 30,000 bytes are answered."""
    for address in lab.addresses:
        require(lab.guest.check(f"driver_of {address}").strip() == "virtio-pci", f"{address} has no driver virtio-pci")
    lab.connect()
    lab.facts["features"] = lab.on("left", "cat /sys/class/net/port/device/features").strip()
    require("Speed: 1000Mb/s" in lab.on("left", "ethtool port"), "ethtool does not show the device's speed")
    with lab.captured() as capture:
        for size in (0, 1, 56, 1472, 30000):
            network.ping(lab, size)
        network.ping(lab, 1400, address=network.ADDRESS6["right"])
    capture.check().require_correct(200)


@on_virtio(short=JUDGED, boots=(*JUDGED, "newer"))
def tcp_with_offloads(lab: Lab) -> None:
    """TCP in both directions with the driver's default features; every frame on the wire is correct."""
    lab.connect()
    with lab.captured() as capture:
        network.copy(lab, "left", MEBIBYTES)
        network.copy(lab, "right", MEBIBYTES)
        lab.facts["iperf3"] = network.flood(lab, "", MEBIBYTES)
    checked = capture.check()
    lab.facts["wire"] = checked.as_facts()
    checked.require_correct(20000)


@on_virtio(short=("passing",), boots=("passing",))
def tcp_with_long_frames(lab: Lab) -> None:
    """TCP in both directions between devices that pass segments and partial checksums on; both drivers report no error."""
    lab.connect()
    with lab.captured() as capture:
        network.copy(lab, "left", MEBIBYTES)
        network.copy(lab, "right", MEBIBYTES)
    lab.facts["wire"] = capture.check().as_facts()
    require(lab.facts["wire"]["longest"] > 9000, f"no long frame was on the wire: {lab.facts['wire']}")
    for side in network.SIDES:
        for counter in ("rx_errors", "tx_errors", "rx_frame_errors", "rx_length_errors"):
            count = lab.on(side, f"cat /sys/class/net/port/statistics/{counter}").strip()
            require(count == "0", f"{side}: {counter} is {count}")


@on_virtio(short=("packed",))
def vlans_and_filters(lab: Lab) -> None:
    """A VLAN interface: the driver opens the device's filter for it. Frames to other addresses arrive in promiscuous mode alone."""
    lab.connect()
    for side in network.SIDES:
        lab.guest.check(f"""ip -n {side} link add link port name tagged type vlan id 42
                            ip -n {side} addr add {TAGGED[side]}/24 dev tagged
                            ip -n {side} link set tagged up""")
    network.ping(lab, 1400, address=TAGGED["right"])
    other = "02:11:22:33:44:55"
    lab.guest.check(f"ip -n left neigh replace {network.ADDRESS['right']} lladdr {other} dev port nud permanent")
    try:
        lost = lab.guest.run(f"ip netns exec left ping -c 2 -W 1 {network.ADDRESS['right']}", 20)
        require("100% packet loss" in lost.out, f"frames to another address arrive: {lost.out}")
    finally:
        lab.guest.check(f"""ip -n left neigh del {network.ADDRESS['right']} dev port
                            for side in left right; do ip -n $side link del tagged; done""")


@on_virtio(short=("split",))
def jumbo_frames(lab: Lab) -> None:
    """MTU 9000: pings and TCP."""
    lab.connect()
    for side in network.SIDES:
        lab.guest.check(f"ip -n {side} link set port mtu 9000\n{network.has_link(side)}", 40)
    with lab.captured() as capture:
        network.ping(lab, 8972)
        network.copy(lab, "left", MEBIBYTES)
    capture.check().require_correct(1000, longest=9014)


@on_virtio(boots=("packed", "split"), short=("packed",))
def several_queues(lab: Lab) -> None:
    """Two queue pairs: streams use both, in both directions, and one is enough again afterwards."""
    lab.connect()
    for side in network.SIDES:
        lab.on(side, "ethtool -L port combined 2")
    before = network.statistics(lab, "right")
    lab.facts |= network.flood(lab, "-P 8", 2 * MEBIBYTES)
    after = network.statistics(lab, "right")
    for direction in ("rx", "tx"):
        names = [f"{direction}_queue_{queue}_packets" for queue in (0, 1)]
        grown = [after[name] - before[name] for name in names]
        require(min(grown) > 20, f"{direction}: {grown}")
    for side in network.SIDES:
        lab.on(side, "ethtool -L port combined 1")
    network.ping(lab, 1400)


@on_virtio(short=("packed", "split"))
def up_and_down(lab: Lab) -> None:
    """Three times down and up, then the driver is removed and loaded again; pings are answered and TCP works."""
    _up_and_down(lab, 3)


@on_virtio()
def up_and_down_50_times(lab: Lab) -> None:
    """The same 50 times."""
    _up_and_down(lab, 50)


def _up_and_down(lab: Lab, times: int) -> None:
    lab.connect()
    for _ in range(times):
        lab.guest.check(f"ip -n left link set port down\nip -n left link set port up\n{network.has_link('left')}", 60)
    lab.connect()
    network.ping(lab, 1400)
    lab.guest.check("rmmod virtio_net && modprobe virtio_net", 60)
    lab.connect()
    network.copy(lab, "left", 4)


@on_virtio(boots=("packed", "split"), short=("split",))
def tcp_without_offloads(lab: Lab) -> None:
    """TCP with the driver's offloads off, and on again."""
    lab.connect()
    for side in network.SIDES:
        lab.on(side, "ethtool -K port tx off rx off tso off gso off gro off sg off")
    try:
        with lab.captured() as capture:
            network.copy(lab, "left", MEBIBYTES)
        capture.check().require_correct(10000)
    finally:
        for side in network.SIDES:
            lab.on(side, "ethtool -K port tx on rx on tso on gso on gro on sg on")
    network.copy(lab, "right", 4)


@on_virtio(boots=("packed", "split"), short=("packed",))
def commands_of_ethtool(lab: Lab) -> None:
    """Coalescing, other ring sizes (by resets of single queues), and the RSS table; pings and TCP work after each."""
    lab.connect()
    for side in network.SIDES:
        lab.on(side, "ethtool -L port combined 2")
    for command in ("-C port rx-usecs 50 rx-frames 8 tx-usecs 50 tx-frames 8", "-G port rx 64 tx 128", "-X port equal 2",
                    "-X port weight 0 1"):
        for side in network.SIDES:
            lab.on(side, f"ethtool {command}")
        network.ping(lab, 1400)
        network.copy(lab, "left", 2)
    for side in network.SIDES:
        require(re.search(r"^RX:\s+64$", lab.on(side, "ethtool -g port"), re.MULTILINE), "the ring has another size")
        lab.on(side, "ethtool -C port rx-usecs 0 rx-frames 1 tx-usecs 0 tx-frames 1")
        lab.on(side, "ethtool -G port rx 256 tx 256")
        lab.on(side, "ethtool -X port equal 1")  # the table may name no queue that goes
        lab.on(side, "ethtool -L port combined 1")
    network.ping(lab, 1400)


def _ping_ms(lab: Lab) -> float:
    """The median time of single pings."""
    output = lab.on("left", f"ping -c 5 -i {2 * DELAY_MS / 1000} -W 2 {network.ADDRESS['right']}")
    return statistics.median(map(float, re.findall(r"time=([\d.]+)", output)))


@on_virtio(boots=("newer",))
def coalescing_by_queue(lab: Lab) -> None:
    """`ethtool -Q` delays the interrupts of one queue, until a time or a number of frames, and until its ring is reset; `-C` those of all
    queues, also after a reset."""
    lab.connect()
    taken = lab.on("left", "cat /sys/class/net/port/device/features").strip()
    missing = [name for name, bit in NEWER_FEATURES.items() if taken[bit] != "1"]
    require(not missing, f"the driver does not take {missing}: {taken}")
    lab.on("left", "ethtool -L port combined 2")
    network.ping(lab, 56)
    slowly = f"rx-usecs {1000 * DELAY_MS} rx-frames 64"
    try:
        for command, delayed in (("-C port rx-usecs 0 rx-frames 1", ()), (f"-Q port queue_mask 2 --coalesce {slowly}", (1,)),
                                 ("-Q port queue_mask 2 --coalesce rx-frames 1", ()), (f"-Q port queue_mask 1 --coalesce {slowly}", (0,)),
                                 ("-G port rx 64", ()), (f"-C port {slowly}", (0, 1)), ("-G port rx 128", (0, 1)),
                                 ("-Q port queue_mask 1 --coalesce rx-usecs 0 rx-frames 1", (1,))):
            lab.on("left", f"ethtool {command}")
            for queue, weights in enumerate(("1 0", "0 1")):
                lab.on("left", f"ethtool -X port weight {weights}")
                took = _ping_ms(lab)
                lab.facts[f"{command}, queue {queue}"] = took
                require(took >= DELAY_MS if queue in delayed else took < DELAY_MS / 2, f"after {command}: {took} ms on queue {queue}")
    finally:
        lab.on("left", "ethtool -C port rx-usecs 0 rx-frames 1")
        lab.on("left", "ethtool -G port rx 256")
        lab.on("left", "ethtool -X port equal 1")
        lab.on("left", "ethtool -L port combined 1")
