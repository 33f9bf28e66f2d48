# SPDX-License-Identifier: BSD-3-Clause
"""Virtual functions of an igb card. The kernel's igb drives the physical function, creates the virtual functions and answers
their mailboxes. The virtual functions are bound to vfio-pci and driven by Pollux's igbvf."""

import contextlib
import json
import select

from cases.boots import A, C, G, LAB, VIRTUAL_TIME
from cases.forwarding import require_counts
from cases.kernel_ports import PING
from cases.access_modes import conform_to, run_tests
from pollux_lab import frames, traffic
from pollux_lab.cases import Fixture, case, require, require_message
from pollux_lab.programs import Forwarder, summary_in


def given_mac(index: int) -> str:
    """The MAC address that the host assigns to a function."""
    return f"02:f0:00:00:00:{index:02x}"


@contextlib.contextmanager
def functions(fixture: Fixture, port: int, count: int, given: int = 0):
    """Sets the interface of `port` up, creates `count` virtual functions on its card, and binds them. The host assigns a MAC
    address to each of the first `given` functions. Yields the URIs of the functions."""
    card = fixture.addresses[port]
    name = fixture.guest.check(f"netdev_of {card}").strip()
    addresses = "\n".join(f"ip link set {name} vf {index} mac {given_mac(index)}" for index in range(given))
    fixture.guest.check(f"""
    # Without IPv6 the kernel sends nothing on its own from this interface.
    echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6
    ip link set {name} up
    echo {count} >/sys/bus/pci/devices/{card}/sriov_numvfs
    await 10 test -e /sys/bus/pci/devices/{card}/virtfn{count - 1} || fail the kernel created no functions
    {addresses}
    await 20 grep -q 1 /sys/class/net/{name}/carrier || fail {name} has no link
    """, 60)
    made = fixture.guest.check(
        f"for n in $(seq 0 {count - 1}); do basename $(readlink /sys/bus/pci/devices/{card}/virtfn$n); done").split()
    try:
        fixture.guest.check(f"pollux bind {' '.join(made)}", 60)
        yield ["vfio:" + address for address in made]
    finally:
        fixture.guest.run(f"""
        for function in {' '.join(made)}; do pollux unbind $function; done
        echo 0 >/sys/bus/pci/devices/{card}/sriov_numvfs
        ip link set {name} down
        """, 60)


def forget(wire) -> None:
    """Discards frames that the kernel sent in an earlier case, when its interface came up."""
    while select.select([wire], [], [], 0)[0]:
        wire.recv(1 << 16)


def facts(fixture: Fixture, uri: str) -> dict:
    return json.loads(fixture.guest.check(f"pollux info {uri} --json", 60))["port"]


@case(LAB)
def info_describes_a_virtual_function(fixture: Fixture) -> None:
    with functions(fixture, C, 2, given=1) as made:
        given, chosen = (facts(fixture, uri) for uri in made)
        listed = fixture.guest.check("pollux list")
    require(given["driver"] == "igbvf" and given["card"] == "Intel 82576 virtual function", str(given))
    require(given["mac"] == given_mac(0), f"the host assigned {given_mac(0)}: {given}")
    require(given["link_up"] and given["link_speed"] == 1000, f"it must report the link of its card: {given}")
    require(int(chosen["mac"].split(":")[0], 16) & 3 == 2 and chosen["mac"] != given["mac"],
            f"it must have a locally administered MAC address of its own: {chosen}")
    require("igbvf" in listed, f"the list does not contain igbvf:\n{listed}")


@case(LAB)
def l2fwd_forwards_between_two_virtual_functions(fixture: Fixture) -> None:
    """Frames from outside arrive at the first function and leave through the second. Both belong to the card on that wire."""
    count = 2000
    # Without VLAN tags, because a function receives only the VLANs that it has requested from the physical function's driver.
    maker = frames.FrameMaker(destination=given_mac(0), tagged=False)
    with functions(fixture, A, 2, given=2) as made, Forwarder(fixture.guest, *made) as l2fwd:
        forget(fixture.near(A))
        result = traffic.send_through(fixture.near(A), fixture.near(A), maker, count,
                                       frames.rewritten_by_l2fwd(given_mac(1), 1), window=64)
        summary = l2fwd.stop()
    require(result.clean and result.sent == count, f"not all of {count} frames passed intact: {result}")
    require_counts(summary, count)


@case(LAB)
def a_virtual_function_pings_the_kernel_through_its_physical_function(fixture: Fixture) -> None:
    """A TAP interface with the function's MAC address sends the pings. They pass l2fwd and the function, and the kernel's
    interface of the card answers them."""
    name = fixture.guest.check(f"modprobe tun && netdev_of {fixture.addresses[C]}").strip()
    with functions(fixture, C, 1, given=1) as made:
        with Forwarder(fixture.guest, *made, "tap:lab0", "--no-mac-updating") as l2fwd:
            try:
                fixture.guest.check(f"""
                ip netns add left && ip link set lab0 address {given_mac(0)} && ip link set lab0 netns left
                ip -n left addr add 10.0.0.1/24 dev lab0 && ip -n left link set lab0 up
                ip addr add 10.0.0.2/24 dev {name}
                """)
                for size in (10, 1400):
                    output = fixture.guest.check(PING.format(size=size), 60)
                    require(" 0% packet loss" in output, output)
                summary = l2fwd.stop()  # before the namespace is deleted, and the TAP interface with it
            finally:
                fixture.guest.run(f"ip netns del left; ip addr del 10.0.0.2/24 dev {name}")
    require(summary.conserved and summary.sent >= 80, str(summary))


@case(VIRTUAL_TIME)
def virtual_functions_of_two_cards_conform(fixture: Fixture) -> None:
    """Runs all conformance tests that apply to a virtual function."""
    with functions(fixture, C, 1) as left, functions(fixture, G, 1) as right:
        ports = f"{left[0]},{right[0]}"
        conform_to(fixture, ports, traits="function")


@case(VIRTUAL_TIME)
def virtual_functions_of_one_card_exchange_frames(fixture: Fixture) -> None:
    """The card switches frames between its functions internally."""
    chosen = ["Traffic.KeepsTheOrderWhenItsRingsWrap", "Traffic.CarriesJumboFrames", "Control.FiltersByDestination"]
    with functions(fixture, C, 2) as made:
        run_tests(fixture, f"conformance_test --gtest_filter='{':'.join(f'Ports/{name}/*' for name in chosen)}'", len(chosen), 120,
                  POLLUX_CONFORMANCE_PORTS=",".join(made), POLLUX_CONFORMANCE_TRAITS="function")


@case(LAB)
def a_virtual_function_reports_that_its_physical_function_is_down(fixture: Fixture) -> None:
    name = fixture.guest.check(f"netdev_of {fixture.addresses[C]}").strip()
    with functions(fixture, C, 1) as made:
        fixture.guest.check(f"ip link set {name} down")
        outcome = fixture.guest.run(f"pollux info {made[0]}", 60)
        require(outcome.status != 0, "the function could be opened")
        require_message(outcome.err, made[0], "the physical function's", "ip link set NAME up")


@case(LAB)
def a_virtual_function_reports_the_reset_of_its_physical_function(fixture: Fixture) -> None:
    name = fixture.guest.check(f"netdev_of {fixture.addresses[C]}").strip()
    with functions(fixture, C, 2, given=2) as made:
        with Forwarder(fixture.guest, *made) as l2fwd:
            fixture.guest.check(f"ip link set {name} down && ip link set {name} up")
            outcome = fixture.guest.run("finish l2fwd 20", 30)
            l2fwd.ended()
            require(0 < outcome.status < 128, f"l2fwd ended with status {outcome.status}\n{outcome.out}{outcome.err}")
            require_message(outcome.err, "the physical function was reset", "open it again")
            require(summary_in(outcome.out)["conserved"], outcome.out)
        fixture.guest.check(f"await 20 grep -q 1 /sys/class/net/{name}/carrier")
        with Forwarder(fixture.guest, *made) as l2fwd:
            require(l2fwd.stop().conserved, "the functions do not work after they were opened again")


@case(LAB)
def setting_a_mac_address_that_the_host_rejects_is_an_error(fixture: Fixture) -> None:
    """The kernel's igb does not let a function change an assigned address, unless the function is trusted."""
    with functions(fixture, C, 1, given=1) as made:
        run_tests(fixture, "guest_test --gtest_filter='VirtualFunction.*'", 2, 60, POLLUX_GUEST_FUNCTION=made[0])
