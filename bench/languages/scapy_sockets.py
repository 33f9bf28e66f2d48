#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What it costs to receive from a veth in Python: scapy's own socket, AF_PACKET, PolluxSocket and a queue of Pollux. Each gets the same frames
of 60 bytes, 32 at a time, and each frame is read. Prints microseconds of processor time a frame, without those of sending.

usage: PYTHONPATH=build/release/python unshare -rn bench/languages/scapy_sockets.py      # or as root; needs python3-scapy
"""

import logging
import socket
import subprocess
import time

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import Ether  # noqa: F401  (what dissects)
from scapy.arch.linux import L2Socket

import pollux
from pollux.scapy import PolluxSocket

FRAME, BURST, SECONDS = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + bytes(46), 32, 1.0
SENDER, RECEIVER = "veth-a", "veth-b"
PORT = f"xdp:{RECEIVER}?rule=all"


def of_scapy(opened, take):
    def receive():
        for _ in range(BURST):
            frame = take()
            frame[1][12] if isinstance(frame, tuple) else frame.type

    return receive, opened.close


def scapy_raw():
    opened = L2Socket(iface=RECEIVER, promisc=False)
    return of_scapy(opened, opened.recv_raw)


def scapy_dissected():
    opened = L2Socket(iface=RECEIVER, promisc=False)
    return of_scapy(opened, opened.recv)


def af_packet():
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    opened.bind((RECEIVER, 3))

    def receive():
        for _ in range(BURST):
            opened.recv(2048)[12]

    return receive, opened.close


def pollux_raw():
    opened = PolluxSocket(PORT, promisc=False)
    return of_scapy(opened, opened.recv_raw)


def pollux_dissected():
    opened = PolluxSocket(PORT, promisc=False)
    return of_scapy(opened, opened.recv)


def pollux_read():
    context = pollux.Context()
    read = context.open(PORT).rx[0].read

    def receive():
        left = BURST
        while left:
            for content in read(BURST):
                content[12]
                left -= 1

    return receive, context.close


def microseconds(make, sender):
    receive, close = make()
    spent = frames = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for _ in range(BURST):
            sender.send(FRAME)
        begun = time.process_time_ns()
        receive()
        spent += time.process_time_ns() - begun
        frames += BURST
    close()
    return spent / frames / 1e3


def main():
    for words in (f"link add {SENDER} type veth peer name {RECEIVER}", f"link set {SENDER} up", f"link set {RECEIVER} up"):
        subprocess.run(["ip", *words.split()], check=True)
    for name in (SENDER, RECEIVER):  # no frames of Linux's own
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((SENDER, 0))
    for make in (scapy_dissected, scapy_raw, af_packet, pollux_dissected, pollux_raw, pollux_read):
        print(f"{make.__name__:16} {microseconds(make, sender):8.3f}", flush=True)


if __name__ == "__main__":
    main()
