# SPDX-License-Identifier: BSD-3-Clause
"""l2fwd is killed while numbered frames pass, and its successor goes on with the cards that a keeper holds: no card is reset, no link goes
down, and each frame is counted."""

import contextlib
import os
import random
import re
import select
import threading
import time

from cases.access_modes import in_every_access_mode
from cases.boots import A, ALL_MODES, B, LAB
from cases.handover import LINKS, RESETS
from pollux_lab import frames
from pollux_lab.cases import Fixture, case, require, require_message
from pollux_lab.programs import Forwarder

KILLS = int(os.environ.get("POLLUX_KILLS", "20"))
SOCKET = "/run/keep/socket"
CRASH = r"vfio:(\S+): continues after a crash: so far (\d+) frames were lost .* had taken (\d+) and given (\d+)"
BURST, PAUSE = 48, 0.005
# A frame that waits for room in a full ring when the kernel writes PCI_COMMAND, as it does for each exchange of vectors. A card would count
# it; QEMU's only reports it.
DROPPED_BY_QEMU = "e1000e_rx_not_written_to_guest"


class Numbered(threading.Thread):
    """Frames with numbers in bursts from A to B, whether others arrive or not, until `end`."""

    def __init__(self, fixture: Fixture):
        super().__init__()
        self._into, self._out_of = fixture.near(A), fixture.near(B)
        self._expect = frames.rewritten_by_l2fwd(fixture.macs[B], 1)
        self._maker, self._ended = frames.FrameMaker(), threading.Event()
        self._latest = -1
        self.sent, self.arrived, self.wrong = 0, 0, 0

    def run(self) -> None:
        self._into.setblocking(False)
        self._out_of.setblocking(False)
        quiet_since = time.monotonic()
        while not self._ended.is_set() or time.monotonic() < quiet_since + 3:
            if not self._ended.is_set():
                self._send_some()
            if select.select([self._out_of], [], [], PAUSE)[0]:
                quiet_since = time.monotonic()
                self._receive_some()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _send_some(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(BURST):
                self._into.send(self._maker.frame(self.sent))
                self.sent += 1

    def _receive_some(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(10 * BURST):
                frame = self._out_of.recv(65536)
                number = self._maker.number_of(frame)
                if number is None or number <= self._latest or frame != self._expect(self._maker.frame(number)):
                    self.wrong += 1
                else:
                    self._latest = number
                    self.arrived += 1


@contextlib.contextmanager
def keeper(fixture: Fixture, hold: int):
    fixture.guest.check(f"mkdir -p -m 0700 /run/keep; spawn keeper pollux keeper run --socket {SOCKET} --hold {hold}\n"
                        "await_line keeper '^listening' 20", 30)
    fixture.via += f"{'&' if fixture.via else '?'}keep={SOCKET}"
    yield
    fixture.guest.check("interrupt keeper INT; finish keeper 10", 20)


def held(fixture: Fixture) -> str:
    return fixture.guest.check(f"pollux keeper list --socket {SOCKET}")


def start(fixture: Fixture, name: str) -> Forwarder:
    return fixture.l2fwd(A, B, options="--mbufs 4096 --rx-ring 1024", name=name)


def kill(fixture: Fixture, name: str, program: Forwarder) -> None:
    fixture.guest.run(f"interrupt {name} KILL; finish {name} 10; true")
    program.ended()


@case(LAB)
def a_killed_program_is_continued_on_the_distributions_kernel(fixture: Fixture) -> None:
    crash(fixture, KILLS)


@in_every_access_mode(boots={"group": ALL_MODES, "iommufd": ALL_MODES})
def a_killed_program_is_continued(fixture: Fixture) -> None:
    crash(fixture, 3)


def crash(fixture: Fixture, kills: int) -> None:
    seed = int(os.environ.get("POLLUX_SEED", "58"))
    chance = random.Random(seed)
    fixture.bind(A, B)
    with contextlib.ExitStack() as programs:
        programs.enter_context(keeper(fixture, 60))
        with fixture.guest.traced(*RESETS) as resets:
            program = programs.enter_context(start(fixture, "l2fwd0"))
        require(bool(resets), "QEMU reports no reset at a start, so it could report none at all")
        stream = Numbered(fixture)
        with fixture.guest.traced(*RESETS, *LINKS) as events, fixture.guest.traced(DROPPED_BY_QEMU) as dropped:
            stream.start()
            programs.callback(stream.end)
            for number in range(kills):
                time.sleep(chance.uniform(0.02, 0.3))
                kill(fixture, f"l2fwd{number}", program)
                program = programs.enter_context(start(fixture, f"l2fwd{number + 1}"))
                said = fixture.guest.check(f"cat /run/l2fwd{number + 1}.err")
                require(said.count("continues after a crash") == 2, f"the cards were not continued:\n{said}")
            stream.end()
        require(not events, "\n".join(["a card was reset, or its link went down:", *events[:10]]))
        losses = {card: tuple(map(int, counts)) for card, *counts in re.findall(CRASH, said)}
        summary = program.stop()
    (lost_in, taken, _), (lost_out, _, given) = losses[fixture.addresses[A]], losses[fixture.addresses[B]]
    unknown = taken - given - lost_out
    missed = summary.raw["cards"][0]["rx_missed_errors"]
    dropped = [line for line in dropped if DROPPED_BY_QEMU in line]
    print(f"seed {seed}: {kills} kills, {stream.sent} frames: {stream.arrived} arrived, {missed} missed, {len(dropped)} "
          f"dropped by QEMU, lost_in_crash {lost_in} and "
          f"{lost_out}, held by programs that crashed {unknown}", flush=True)
    require(stream.wrong == 0, f"{stream.wrong} frames were not intact, or out of order")
    named = missed + len(dropped) + lost_in + lost_out + unknown + summary.dropped
    require(stream.sent - stream.arrived == named and 0 <= unknown <= 64 * kills,
            f"{stream.sent} sent, {stream.arrived} arrived, {missed} missed, {len(dropped)} dropped by QEMU, {losses}; {summary}")
    require(stream.arrived > BURST * kills, f"only {stream.arrived} frames arrived")


@case(LAB)
def a_card_without_a_successor_is_stopped(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with keeper(fixture, 1):
        with start(fixture, "l2fwd") as program:
            require(held(fixture).count("/state") == 2, held(fixture))
            with fixture.guest.traced(*RESETS) as resets:
                kill(fixture, "l2fwd", program)
                fixture.guest.check(f"await 10 sh -c '[ -z \"$(pollux keeper list --socket {SOCKET})\" ]'", 20)
                fixture.guest.check("sleep 1")
            require(bool(resets), "the card was not reset when nobody took it")
        with start(fixture, "l2fwd1") as program:  # an ordinary start
            said = fixture.guest.check("cat /run/l2fwd1.err")
            require("crash" not in said, said)
            second = fixture.guest.run(f"l2fwd {fixture.uri(A)} null: --seconds 1")
            require(second.status != 0, "two programs had the card")
            require_message(second.out + second.err, "runs and has vfio/")
            program.stop()
        require(held(fixture) == "", held(fixture))


@case(LAB)
def a_successor_with_other_settings_starts_anew(fixture: Fixture) -> None:
    fixture.bind(A, B)
    with keeper(fixture, 60):
        with start(fixture, "l2fwd") as program:
            kill(fixture, "l2fwd", program)
        with fixture.l2fwd(A, B, options="--mbufs 4096 --rx-ring 1024 --mtu 1400", name="l2fwd1") as program:
            require_message(fixture.guest.check("cat /run/l2fwd1.err"), "starts anew", "'mtu' differs")
            program.stop()
