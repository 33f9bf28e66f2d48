# SPDX-License-Identifier: BSD-3-Clause
"""Packets of scapy with offload requests, sent by a card over VFIO. tshark checks what arrives."""

import base64

from cases.boots import ALL_MODES, C, G
from pollux_lab import offload_requests as offloads
from pollux_lab.cases import Fixture, case

REQUESTS = "/tmp/requests"
CHUNK = 40_000
SECONDS = 240


def send(fixture: Fixture, requests: list[offloads.Request], options: str = "") -> None:
    text = base64.b64encode("".join(one.line + "\n" for one in requests).encode()).decode()
    fixture.guest.check(f": >{REQUESTS}")
    for at in range(0, len(text), CHUNK):
        fixture.guest.check(f"echo {text[at:at + CHUNK]} | base64 -d >>{REQUESTS}")
    answers = fixture.guest.check(f"offload_tool {options} '{fixture.uri(C)}' '{fixture.uri(G)}' <{REQUESTS}", SECONDS)
    offloads.require_frames(requests, answers.splitlines())


@case(ALL_MODES)
def packets_of_scapy_get_what_they_request(fixture: Fixture) -> None:
    fixture.bind(C, G)
    send(fixture, offloads.checksum_requests())
    send(fixture, offloads.tag_requests())
    send(fixture, offloads.tag_requests(), "--card-tags")
    send(fixture, offloads.tcp_segment_requests(clears_last=True))  # QEMU, hw/net/net_tx_pkt.c
