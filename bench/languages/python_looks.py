#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What forwarding costs from Python: frames of 60 bytes between the ends of ring: ports, which is the cost of Python and its package, and
of sim: ports, whose models of cards are part of it. Prints million frames for each second of processor time, so that other load on
the machine matters less; 256 frames circulate, in bursts of 32.

usage: PYTHONPATH=build/release/python bench/languages/python_looks.py
"""

import array
import time

import pollux

FRAME, BURST, CIRCULATING, SECONDS = b"\xff" * 6 + bytes(54), 32, 256, 2.0


def untouched(frames):
    pass


def one_byte(frames):
    for frame in frames:
        frame[12]


def all_bytes(frames):
    for frame in frames:
        bytes(frame)


def view(frames):
    for frame in frames:
        memoryview(frame)[12]


def rate(work, seconds=SECONDS):
    """Frames of `work`, which returns how many it has moved, for each microsecond of processor time."""
    frames, began = 0, time.process_time()
    while (passed := time.process_time() - began) < seconds:
        for _ in range(100):
            frames += work()
    return frames / passed / 1e6


def forwarding(context, uris, look):
    ports = [context.open(uri) for uri in uris]
    for port in ports:
        port.wait_for_link(10)
    for _ in range(CIRCULATING // BURST):
        sent = [ports[0].frame(FRAME) for _ in range(BURST)]
        del sent[: ports[0].tx[0].burst(sent)]
        pollux.free(sent)
    pairs = [(port.rx[0].burst, port.tx[0].burst) for port in ports]

    def work():
        moved = 0
        for receive, send in pairs:
            frames = receive(BURST)
            look(frames)
            moved += send(frames)
        return moved

    return rate(work)


def copying(context, take):
    """Frames that a port generates, copied and freed."""
    return rate(take(context.open("null:?rx=64").rx[0]))


def into_rows(rx):
    rows, lengths = memoryview(bytearray(BURST * 2048)).cast("B", (BURST, 2048)), array.array("I", bytes(4 * BURST))
    return lambda: rx.burst_into(rows, lengths)


for look in (untouched, one_byte, view, all_bytes):
    for uris in (("ring:a:0", "ring:a:1"), ("sim:0", "sim:1")):
        with pollux.Context() as context:
            print(f"{uris[0][:-2]:8} {look.__name__:10} {forwarding(context, uris, look):6.2f}", flush=True)
for name, take in (("read", lambda rx: lambda: len(rx.read(BURST))), ("burst_into", into_rows)):
    with pollux.Context() as context:
        print(f"{'null':8} {name:10} {copying(context, take):6.2f}", flush=True)
