# SPDX-License-Identifier: BSD-3-Clause
"""As forward.cpp. usage: forward.py BURST keep|swap"""

import sys
import time

import pollux

BURST, SWAPS = int(sys.argv[1]), sys.argv[2] == "swap"


def forward(receive, send, seconds: float) -> float:
    frames, began = 0, time.process_time()
    while (passed := time.process_time() - began) < seconds:
        for _ in range(100):
            burst = receive(BURST)
            frames += len(burst)
            if SWAPS:
                for frame in burst:
                    frame[0:12] = frame[6:12] + frame[0:6]
            sent = send(burst)
            if sent != len(burst):
                pollux.free(burst[sent:])
    return passed * 1e9 / frames


with pollux.Context() as context:
    rx, tx = context.open("null:?rx=64").rx[0], context.open("null:").tx[0]
    forward(rx.burst, tx.burst, 0.05)
    print(f"{forward(rx.burst, tx.burst, 0.2):.3f}")
