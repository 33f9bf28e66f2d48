# SPDX-License-Identifier: BSD-3-Clause
"""Virtual functions of a card whose physical function Pollux drives over VFIO. One process holds the physical function and answers the
mailboxes; the virtual functions belong to other processes, or to the kernel's igbvf. VFIO gives them out for the same token only."""

import contextlib
import json

from cases.access_modes import run_tests
from cases.boots import C, G, LAB, TWO_CPUS, VIRTUAL_TIME
from pollux_lab.cases import Fixture, case, require, require_message
from pollux_lab.programs import Forwarder, generate

TOKEN = "vf_token=2ab74924-c335-45f4-9b16-8569e5b08258"
OTHER_TOKEN = "vf_token=2ab74924-c335-45f4-9b16-8569e5b08259"
HOLDER = "holder"
SERVER = "pollux_vf"


def given_mac(index: int) -> str:
    """The address that `pollux vf serve` is told to give to a function."""
    return f"02:f1:00:00:00:{index:02x}"


def with_token(address: str, token: str = TOKEN) -> str:
    return f"vfio:{address}?{token}"


@contextlib.contextmanager
def created(fixture: Fixture, count: int):
    """Binds card C to vfio-pci and lets `pollux vf` create `count` virtual functions. Yields their addresses."""
    card = fixture.addresses[C]
    fixture.bind(C)
    fixture.guest.check(f"""
    echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
    pollux vf create {count} '{with_token(card)}'
    await 10 test -e /sys/bus/pci/devices/{card}/virtfn{count - 1} || fail the kernel created no functions
    """, 60)
    made = fixture.guest.check(
        f"for n in $(seq 0 {count - 1}); do basename $(readlink /sys/bus/pci/devices/{card}/virtfn$n); done").split()
    try:
        yield made
    finally:
        fixture.guest.run(f"pollux vf remove '{with_token(card)}'; echo 0 >/sys/module/vfio_pci/parameters/enable_sriov", 60)


@contextlib.contextmanager
def held(fixture: Fixture, count: int):
    """As `created`, with a process that holds the physical function, and answers the functions within a second."""
    with created(fixture, count) as made:
        with Forwarder(fixture.guest, with_token(fixture.addresses[C]), name=HOLDER, niceness=0) as holder:
            yield made
            require(holder.stop().conserved, "the frames of the process that holds the physical function do not add up")


class VfServer:
    """`pollux vf serve`, which creates the functions of card C, gives each an address, and answers them."""

    def __init__(self, fixture: Fixture, count: int, settings: str = ""):
        self._fixture = fixture
        self._card = fixture.addresses[C]
        self._count = count
        self._settings = settings
        self._running = False

    def __enter__(self) -> list[str]:
        self._fixture.bind(C)
        given = " ".join(f"--vf {index}:mac={given_mac(index)}{self._settings}" for index in range(self._count))
        self._running = True
        return self._fixture.guest.check(f"""
        echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
        spawn {SERVER} pollux vf serve {self._count} '{with_token(self._card)}' {given} --json
        await_line {SERVER} serving 30
        for n in $(seq 0 {self._count - 1}); do basename $(readlink /sys/bus/pci/devices/{self._card}/virtfn$n); done
        """, 60).split()

    def stop(self) -> list[dict]:
        """Ends it as Ctrl-C does. Returns what it has printed."""
        self._running = False
        return [json.loads(line) for line in self._fixture.guest.check(f"interrupt {SERVER}; finish {SERVER} 20", 30).splitlines()]

    def __exit__(self, *_) -> None:
        end = f"interrupt {SERVER} TERM; finish {SERVER} 5" if self._running else "true"
        self._fixture.guest.run(f"""
        {end}
        pollux vf remove '{with_token(self._card)}'
        echo 0 >/sys/module/vfio_pci/parameters/enable_sriov
        """, 60)


def require_event(said: list[dict], event: str, **fields) -> None:
    wanted = {"event": event, **fields}
    require(any(wanted.items() <= line.items() for line in said), f"no {wanted} in {said}")


def pass_frames(fixture: Fixture, sender: str, receiver: str) -> None:
    count = 2000
    result = generate(fixture.guest, sender, receiver, "--count", str(count), "--window", "16", "--check", "--expect-all")
    require(result["received"] >= count, f"{sender} to {receiver}: {result}")


@case(VIRTUAL_TIME)
def virtual_functions_of_a_pollux_port_exchange_frames(fixture: Fixture) -> None:
    """Between two functions inside the card, and between a function and another card on the wire, in both directions."""
    with held(fixture, 2) as made:
        first, second = (with_token(address) for address in made)
        fixture.bind(G)
        for sender, receiver in ((first, second), (first, fixture.uri(G)), (fixture.uri(G), first)):
            pass_frames(fixture, sender, receiver)


@case(LAB)
def virtual_functions_of_a_pollux_port_need_its_token(fixture: Fixture) -> None:
    with held(fixture, 1) as made:
        for uri in (f"vfio:{made[0]}", with_token(made[0], OTHER_TOKEN)):
            outcome = fixture.guest.run(f"pollux info '{uri}'", 60)
            require(outcome.status != 0, f"{uri} could be opened")
            require_message(outcome.err, made[0], "vf_token")


@case(LAB)
def functions_that_the_command_serves_have_their_settings(fixture: Fixture) -> None:
    """The addresses are those of --vf, a function may not change its own, and frames pass between two functions in one VLAN."""
    server = VfServer(fixture, 2, ",vlan=7,qos=2")
    with server as made:
        first, second = (with_token(address) for address in made)
        info = json.loads(fixture.guest.check(f"pollux info '{first}' --json", 60))["port"]
        require(info["mac"] == given_mac(0), str(info))
        run_tests(fixture, "guest_test --gtest_filter='VirtualFunction.KeepsAnAssignedAddress'", 1, 60, POLLUX_GUEST_FUNCTION=first)
        pass_frames(fixture, first, second)
        said = server.stop()
    require_event(said, "driver_up", function=0)
    require_event(said, "refused", function=0, reason="address_is_set")
    sent, received = said[-1]["summary"]["functions"]
    require(sent["tx_packets"] >= 2000 and received["rx_packets"] >= 2000, str(said[-1]))


@case(TWO_CPUS)
def the_kernels_igbvf_drives_a_virtual_function_of_a_pollux_port(fixture: Fixture) -> None:
    """The kernel binds igbvf to a function only by its driver_override, since a process drives the physical function. The kernel's igb
    on the other card answers its pings. The process is `pollux vf serve`, whose address igbvf takes. igbvf waits a second for an answer
    without giving up its processor, and takes the link for down without one. So the process has the other processor: where it may run on
    both, the scheduler can leave it waiting behind igbvf for that second."""
    server = VfServer(fixture, 1)
    with server as made:
        function = made[0]
        try:
            fixture.guest.check(f"""
            taskset -pa 2 $(pidof pollux) && taskset -p 1 $$ || fail the processors were not divided
            modprobe igbvf
            sys=/sys/bus/pci/devices/{function}
            [ -e $sys/driver ] && echo {function} >$sys/driver/unbind
            echo igbvf >$sys/driver_override
            echo {function} >/sys/bus/pci/drivers_probe
            await 20 test -d $sys/net || fail igbvf made no interface
            grep -q {given_mac(0)} $sys/net/*/address || fail igbvf has $(cat $sys/net/*/address)
            for side in left right; do ip netns add $side; ip -n $side link set lo up; done
            move() {{
              name=$(netdev_of $2)
              ip link set $name netns $1 && ip -n $1 link set $name name port
              ip -n $1 addr add $3/24 dev port && ip -n $1 link set port up
            }}
            move left {function} 10.0.0.1
            move right {fixture.addresses[G]} 10.0.0.2
            for side in left right; do
              await 20 ip netns exec $side grep -q 1 /sys/class/net/port/carrier || {{
                dmesg | grep igb | tail -n 20
                fail no link in namespace $side
              }}
            done
            """, 90)
            for size in (10, 1400):
                output = fixture.guest.check(f"ip netns exec left taskset 1 ping -c 20 -i 0.05 -W 2 -s {size} 10.0.0.2", 60)
                require(" 0% packet loss" in output, output)
        finally:
            fixture.guest.run(f"""
            echo {function} >/sys/bus/pci/drivers/igbvf/unbind
            echo vfio-pci >/sys/bus/pci/devices/{function}/driver_override
            ip -n right link set port down; ip -n right link set port netns 1
            ip netns del left; ip netns del right
            ip link set port name igb0
            """, 30)
