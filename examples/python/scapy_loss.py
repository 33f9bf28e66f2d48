#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sends a frame of scapy over a wire that loses it on purpose, and sees the counter that names the loss."""
import pollux
from pollux.scapy import PolluxSocket
from scapy.all import IP, UDP, Ether

with pollux.Context(virtual_time=True) as context, context.open("sim:0?loss=1") as left, context.open("sim:1") as right:
    left.wait_for_link(10)
    PolluxSocket(left).send(Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst="10.0.0.1") / UDP(dport=53) / b"Hello")
    received = PolluxSocket(right).sniff(timeout=0.1)
    print(len(received), "received; lost on the wire:", context.wire_counters(0)["lost"])
