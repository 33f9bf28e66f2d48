#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sends a frame over a wire that loses it on purpose, and sees the counter that names the loss."""
import pollux

FRAME = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + b"Hello".ljust(46, b"\0")  # or bytes(Ether() / ...) of scapy

with pollux.Context(virtual_time=True) as context, context.open("sim:0?loss=1") as left, context.open("sim:1") as right:
    left.wait_for_link(10)
    left.tx[0].send(FRAME)
    context.sleep(0.001)  # virtual time: the card sends the frame
    print(right.rx[0].read(), "received; lost on the wire:", context.wire_counters(0)["lost"])
