# SPDX-License-Identifier: BSD-3-Clause
"""Tests a program of another project, busybox's DHCP client, over a TAP interface and a veth. It needs no server and no root:

    unshare -rn pytest examples/python/test_dhcp_client.py

DHCP_CLIENT=COMMAND tests another client, or one with other options; it gets "-i INTERFACE", and has to print the address."""

import os
import shlex
import subprocess

import pytest
from scapy.all import BOOTP, DHCP, IP, UDP, DHCPTypes, Ether

import pollux

CLIENT = shlex.split(os.environ.get("DHCP_CLIENT", "busybox udhcpc -f -q -n -t 4 -T 1 -s /bin/true"))
INTERFACE, SECONDS = "lab0", 5.0
SERVER_MAC, SERVER, ADDRESS, WRONG = "02:00:00:00:00:01", "10.9.0.1", "10.9.0.2", "10.9.0.99"


def ip_link(*words):
    subprocess.run(["ip", "link", *words], check=True)


class Lan:
    """The client, and the only other end of its network."""

    def __init__(self, end, program):
        self.end, self.program = end, program

    def asks(self, kind):
        """The client's next message of this kind."""
        content = self.end.receive(SECONDS, lambda frame: self.kind(Ether(frame)) == kind)
        assert content is not None, f"no {kind} within {SECONDS} s"
        return Ether(content)

    @staticmethod
    def options(frame):
        return dict(option for option in frame[DHCP].options if len(option) == 2) if DHCP in frame else {}

    def kind(self, frame):
        return DHCPTypes.get(self.options(frame).get("message-type"))

    def answer(self, asked, kind, address=ADDRESS, xor_xid=0, corrupt=False):
        options = [("message-type", kind), ("server_id", SERVER), ("lease_time", 3600), ("subnet_mask", "255.255.255.0"), "end"]
        bootp = BOOTP(op=2, yiaddr=address, siaddr=SERVER, chaddr=asked[BOOTP].chaddr, xid=asked[BOOTP].xid ^ xor_xid)
        frame = Ether(src=SERVER_MAC, dst=asked.src) / IP(src=SERVER, dst="255.255.255.255") / UDP() / bootp / DHCP(options=options)
        content = bytearray(bytes(frame))
        content[60] ^= corrupt  # a bit of the offered address: the checksum does not fit any more
        self.end.send(bytes(content))

    def said(self):
        """What the client has printed, once it has ended."""
        return self.program.communicate(timeout=SECONDS)[0]


@pytest.fixture(params=["tap", "veth"])
def lan(request, pollux_end):
    if request.param == "tap":
        end = pollux_end(f"tap:{INTERFACE}")
    else:
        ip_link("add", INTERFACE, "type", "veth", "peer", "name", "lab1")
        request.addfinalizer(lambda: ip_link("del", INTERFACE))
        ip_link("set", "lab1", "up")
        try:
            end = pollux_end("xdp:lab1?rule=all")
        except (pollux.NotPermitted, pollux.NotSupported) as error:
            pytest.skip(f"no AF_XDP here: {error}")
    ip_link("set", INTERFACE, "up")
    end.port.wait_for_link(SECONDS)
    with subprocess.Popen([*CLIENT, "-i", INTERFACE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        yield Lan(end, program)
        program.kill()


def test_takes_the_address_that_is_offered(lan):
    lan.answer(lan.asks("discover"), "offer")
    request = lan.asks("request")
    assert lan.options(request)["requested_addr"] == ADDRESS and lan.options(request)["server_id"] == SERVER
    lan.answer(request, "ack")
    assert f"{ADDRESS} obtained" in lan.said()


def test_asks_again_if_frames_are_lost(lan):
    lost = lan.asks("discover")
    again = lan.asks("discover")
    assert again[BOOTP].xid == lost[BOOTP].xid
    lan.answer(again, "offer")
    lan.asks("request")  # lost, too
    lan.answer(lan.asks("request"), "ack")
    assert f"{ADDRESS} obtained" in lan.said()


@pytest.mark.parametrize("fault", [{"corrupt": True}, {"address": WRONG, "xor_xid": 1}], ids=["corrupt", "for-another-client"])
def test_ignores_offers_that_are_wrong(lan, fault):
    asked = lan.asks("discover")
    lan.answer(asked, "offer", **fault)
    lan.answer(asked, "offer")
    request = lan.asks("request")
    assert lan.options(request)["requested_addr"] == ADDRESS


def test_begins_again_after_a_refusal(lan):
    lan.answer(lan.asks("discover"), "offer")
    lan.answer(lan.asks("request"), "nak")
    lan.asks("discover")
