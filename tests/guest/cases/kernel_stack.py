# SPDX-License-Identifier: BSD-3-Clause
"""Software of the data plane, compared with the guest's kernel, which has features that the kernel of the test machine may lack."""

from cases.access_modes import run_tests
from cases.boots import LAB
from pollux_lab.cases import Fixture, case, require

SEQUENCES = 300


@case(LAB)
def disciplines_order_frames_as_the_kernels_do(fixture: Fixture) -> None:
    fixture.guest.check("modprobe -a veth sch_tbf sch_prio sch_drr")
    run_tests(fixture, "guest_test --gtest_filter='QueueOrder.*'", 3, 120)


@case(LAB)
def gro_of_tagged_frames_is_the_kernels(fixture: Fixture) -> None:
    fixture.guest.check("modprobe -a tun af_packet")
    output = fixture.guest.check(f"gro_compare 1 {SEQUENCES} vlan", 240)
    require(f"{SEQUENCES} sequences, 0 different" in output, output)


@case(LAB)
def software_segments_udp_where_a_tap_refuses(fixture: Fixture) -> None:
    """Linux segments UDP on a TAP since 6.2. On the guest's kernel the test of that is left out, and software does it."""
    fixture.guest.check("modprobe -a tun af_packet")
    run_tests(fixture, "ports_test --gtest_filter='TapOffload.SoftwareSegmentsUdpIfTheKernelDoesNot'", 1, 60)
    output = fixture.guest.check("ports_test --gtest_filter='TapOffload.TheKernelSegmentsUdp'", 60)
    require("older than 6.2" in output, output)
