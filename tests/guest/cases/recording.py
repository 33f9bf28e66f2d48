# SPDX-License-Identifier: BSD-3-Clause
"""Records a run over VFIO, and replays it on this machine without a card."""

import pathlib
import subprocess
import tempfile

from cases.boots import A, B
from cases.forwarding import pass_frames, require_counts
from cases.access_modes import by_group_first
from pollux_lab import frames
from pollux_lab.cases import Fixture, require
from pollux_lab.programs import Forwarder, summary_in
from scapy.utils import RawPcapReader

COUNT = 400
RUN = ["--no-mac-updating", "--packets", str(COUNT)]
# Values of the summary that do not depend on the duration of the run.
COUNTS = ["received", "sent", "drops", "in_flight", "mbufs_in_use"]


@by_group_first()
def a_recording_replays_without_the_cards(fixture: Fixture) -> None:
    fixture.bind(A, B)
    files = ["/tmp/a.rec", "/tmp/b.rec"]
    ports = [f"record:{file},{fixture.uri(port)}" for file, port in zip(files, (A, B))]
    with Forwarder(fixture.guest, *ports, *RUN) as l2fwd:
        passed = pass_frames(fixture, A, B, frames.unchanged, COUNT)
        recorded = l2fwd.stop(signal="")
    require_counts(recorded, passed)
    with tempfile.TemporaryDirectory(prefix="pollux-recording-") as folder:
        copies = [pathlib.Path(folder, pathlib.Path(file).name) for file in files]
        for file, copy in zip(files, copies):
            copy.write_bytes(fixture.guest.read(file))
        fixture.guest.check(f"rm {' '.join(files)}")
        # Registers: if an access differs from the recording, the replayed card behaves as removed.
        replayed = replay(fixture, f"replay:{copies[0]}", f"replay:{copies[1]}")
        require(without_duration(replayed) == without_duration(recorded.raw), f"recorded {recorded.raw}\nreplayed {replayed}")
        # Frames: the driver receives from the file the frames that were sent to the card.
        capture = pathlib.Path(folder, "replayed.pcap")
        replay(fixture, f"replay:{copies[0]}", f"pcap:out={capture}")
        got = [frame for frame, _ in RawPcapReader(str(capture))]
    maker = frames.FrameMaker()
    wrong = [number for number, frame in enumerate(got) if frame != maker.frame(number)]
    require(len(got) == COUNT and not wrong, f"{len(got)} frames of {COUNT}; these differ from the sent ones: {wrong[:10]}")


def without_duration(summary: dict) -> dict:
    cards = [{name: value for name, value in card.items() if name != "port"} for card in summary["cards"]]
    return {name: summary[name] for name in COUNTS} | {"cards": cards}


def replay(fixture: Fixture, *ports: str) -> dict:
    """Runs l2fwd on this machine. A replay needs neither the guest nor a card."""
    words = [str(fixture.guest.program("l2fwd")), *ports, *RUN, "--json"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    require(done.returncode == 0, f"{' '.join(words)} ended with status {done.returncode}\n{done.stderr}")
    return summary_in(done.stdout)
