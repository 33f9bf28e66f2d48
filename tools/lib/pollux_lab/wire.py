# SPDX-License-Identifier: BSD-3-Clause
"""Frames on the wire between the ports, checked by tshark."""

import contextlib
import dataclasses
import pathlib
import shutil
import subprocess
import time

from .cases import require
from .errors import LabError

FIELDS = ["frame.len", "eth.type", "vlan.id", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status", "ip.len",
          "tcp.checksum", "sctp.checksum.status"]
BAD, GOOD = "0", "1"
# Zero in ones' complement arithmetic, as is 0x0000. A receiver accepts both; tshark expects 0x0000 of TCP.
ALL_ONES = "0xffff"
FILE_HEADER_BYTES = 24
MAX_FRAME = 1514
# Captures with frames that tshark finds wrong.
KEPT = pathlib.Path(__file__).resolve().parent.parent.parent.parent / "build/interop/captures"


@dataclasses.dataclass
class CaptureCheck:
    """What tshark says about the frames of a capture."""
    frames: int = 0
    longest: int = 0
    all_ones: int = 0
    bad: list[str] = dataclasses.field(default_factory=list)
    good: dict[str, int] = dataclasses.field(default_factory=dict)
    tags: dict[str, int] = dataclasses.field(default_factory=dict)

    def require_correct(self, least: int, longest: int = MAX_FRAME) -> None:
        """At least so many frames, none too long, and each with the checksums and lengths of its headers."""
        require(self.frames >= least, f"only {self.frames} frames of {least} were on the wire")
        require(self.longest <= longest, f"a frame of {self.longest} bytes was on the wire; {longest} are allowed")
        if self.bad:
            raise AssertionError(f"tshark finds wrong frames among {self.frames}: {', '.join([*self.bad[:3], self.bad[-1]])}")

    def as_facts(self) -> dict:
        return {"frames": self.frames, "longest": self.longest, "bad": len(self.bad), "good": self.good, "tags": self.tags,
                "tcp checksums 0xffff": self.all_ones}


class Capture:
    """A part of a capture file to which another process appends."""

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._begin = path.stat().st_size
        self._end = None

    def finish(self) -> None:
        # The last frames may be on their way to the file.
        size = -1
        while size != self._path.stat().st_size:
            size = self._path.stat().st_size
            time.sleep(0.2)
        self._end = size

    def check(self, most: int = 0) -> CaptureCheck:
        """Checks the frames, or the first `most` of them."""
        part = self._path.with_suffix(".part")
        with open(self._path, "rb") as whole, open(part, "wb") as out:
            out.write(whole.read(FILE_HEADER_BYTES))
            whole.seek(max(self._begin, FILE_HEADER_BYTES))
            out.write(whole.read(max(self._end - whole.tell(), 0)))
        checked = check(part, most)
        if checked.bad:
            KEPT.mkdir(parents=True, exist_ok=True)
            checked.bad.append(f"capture kept: {shutil.copy(part, KEPT / (self._path.stem + '.pcap'))}")
        part.unlink()
        return checked


@contextlib.contextmanager
def captured(path: pathlib.Path):
    capture = Capture(path)
    yield capture
    capture.finish()


def check(path: pathlib.Path, most: int = 0) -> CaptureCheck:
    words = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    words += ["-c", str(most)] if most else []
    words += [word for field in FIELDS for word in ("-e", field)]
    # No reassembly: each frame is checked alone.
    for option in ("ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE", "sctp.checksum:CRC 32c", "tcp.desegment_tcp_streams:FALSE",
                   "tcp.analyze_sequence_numbers:FALSE", "ip.defragment:FALSE"):
        words += ["-o", option]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise LabError("tshark failed", "tests/interop needs the package tshark", done.stderr[-1000:])
    checked = CaptureCheck()
    for line in done.stdout.splitlines():
        _add(checked, dict(zip(FIELDS, line.split("\t"))))
    return checked


def _add(checked: CaptureCheck, frame: dict[str, str]) -> None:
    checked.frames += 1
    length = int(frame["frame.len"])
    checked.longest = max(checked.longest, length - (4 if frame["vlan.id"] else 0))
    if frame["vlan.id"]:
        checked.tags[frame["vlan.id"]] = checked.tags.get(frame["vlan.id"], 0) + 1
    for protocol in ("ip", "tcp", "udp", "sctp"):
        status = frame[f"{protocol}.checksum.status"].split(",")[0]
        if status == BAD and protocol == "tcp" and frame["tcp.checksum"].startswith(ALL_ONES):
            checked.all_ones += 1
        elif status == BAD:
            checked.bad.append(f"frame {checked.frames}, {length} bytes: {protocol} checksum")
        elif status == GOOD:
            checked.good[protocol] = checked.good.get(protocol, 0) + 1
    if frame["ip.len"] and int(frame["ip.len"].split(",")[0]) > length - 14:
        checked.bad.append(f"frame {checked.frames}, {length} bytes: IP length {frame['ip.len']}")
