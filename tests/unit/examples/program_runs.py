# SPDX-License-Identifier: BSD-3-Clause
"""Runs of the examples' programs, as a user starts them."""

import json
import pathlib
import re
import struct
import subprocess
import time

SECONDS = 60


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)


def words_of(text: str) -> str:
    """Replaces the line breaks of a help text by spaces."""
    return " ".join(text.split())


def objects(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def capture(directory: str, frames: list[bytes]) -> str:
    """Writes a capture file of frames that all have one time, and returns its path."""
    path = pathlib.Path(directory) / "frames.pcap"
    records = [struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    return str(path)


def wait_until_caught(program: subprocess.Popen, number: int) -> None:
    """Returns when the program handles the signal."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        caught = re.search(r"^SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{program.pid}/status").read_text(), re.MULTILINE)
        if int(caught[1], 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)
    raise TimeoutError(f"signal {number} is not handled after {SECONDS} s")
