# SPDX-License-Identifier: BSD-3-Clause
"""Clients of `pollux xdp-helper` that mean harm, and another user's that has to be served meanwhile. An attack is a row of ATTACKS."""

import contextlib
import json
import os
import random
import socket
import statistics
import sys
import threading
import time
import unittest
from collections.abc import Callable

from descriptor_zoo import Lingering
from helper_client import (ATTACH, ATTACKER, CALLS, COUNTERS, DETACH, INTERFACE, LOAD, NEIGHBOUR, OPEN, SOCKET, STATE,
                           SUBSCRIBE, VERSION, Child, Client, Gone, be_neighbour, helper, number, raw_rules, start_port,
                           text)
from namespaces import enter_own_namespace

POLLUX = sys.argv.pop()
TIME = 2.0  # of an attack, in seconds
CONNECTIONS = 64  # of the attacks that need many
LONGEST = 5.0  # that the neighbour may wait: far more than it does, since machines may be slow and busy


def setUpModule() -> None:
    enter_own_namespace()


def repeat(attack: Callable[[], None]) -> None:
    end = time.monotonic() + TIME
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            attack()


def silent(path: str) -> None:
    """As many connections as it gets, which ask for nothing."""
    kept = []
    repeat(lambda: kept.append(Client(path, seconds=0.1)) if len(kept) < 400 else time.sleep(0.1))


def unread(path: str) -> None:
    """As many descriptors as it gets, which stay in the sockets of 300 connections."""
    kept: list[Client] = []

    def attack() -> None:
        if len(kept) == 300:
            time.sleep(0.1)
            return
        client = Client(path, seconds=0.1)
        kept.append(client)
        client.open()
        client.socket.setblocking(False)
        for _ in range(20):
            client.send(number(SUBSCRIBE))
            client.send(number(SOCKET, 0, 512, 512))

    repeat(attack)


def half_closed(path: str) -> None:
    """The same by connections that have ended on the other side."""
    kept = []

    def attack() -> None:
        client = Client(path, seconds=0.1)
        kept.append(client)
        client.open()
        client.send(number(SOCKET, 0, 512, 512))
        client.socket.shutdown(socket.SHUT_RDWR if len(kept) % 2 else socket.SHUT_WR)

    repeat(attack)


def send_lingering(path: str, *before: bytes, opens: bool = True) -> None:
    """Messages, the last with a descriptor whose close waits, and then an end, on some connections. The helper looks at none of them
    before the end, since an answer has not been received. So it is the last one that has the descriptor."""
    with Lingering() as zoo:
        for _ in range(5):
            client = Client(path, seconds=0.5)
            if opens:
                client.open()
            client.send(number(STATE) if opens else number(OPEN, VERSION) + text(b"lo"))
            for message in before:
                client.send(message)
            with zoo.one() as sent:
                client.send(number(STATE), [sent])
            zoo.closes[-1].join(1)
            client.close()
        time.sleep(TIME)


def descriptor(path: str) -> None:
    send_lingering(path)


def descriptor_without_port(path: str) -> None:
    send_lingering(path, opens=False)


def descriptor_behind_empty(path: str) -> None:
    """Messages without bytes look like the end of the connection."""
    send_lingering(path, b"", b"")


def messages(path: str) -> None:
    """Messages of any content."""
    dice = random.Random(6)

    def attack() -> None:
        client = Client(path, seconds=0.1)
        if dice.random() < 0.8:
            client.open()
        for _ in range(dice.randrange(20)):
            rules = bytearray(raw_rules(dice.randrange(3), dice.randrange(3)))
            for _ in range(dice.randrange(3)):
                rules[dice.randrange(len(rules))] = dice.choice([0, 1, 0x80, 0xff, dice.randrange(256)])
            content = dice.choice([bytes(rules) + number(0, 0), dice.randbytes(dice.randrange(40)), bytes(dice.randrange(200_000)),
                                   number(0)])
            client.send(number(dice.choice([dice.randrange(CALLS), dice.randrange(1 << 32)])) + content)
            if dice.random() < 0.9:
                with contextlib.suppress(Gone):
                    for made in client.receive()[1]:
                        os.close(made)
        client.close()

    repeat(attack)


def vanishing(path: str) -> None:
    """Ports that end in the middle, each at another request, before they have received an answer or after."""
    steps = [(OPEN, number(VERSION) + text(INTERFACE.encode())), (COUNTERS, b""), (SOCKET, number(0, 512, 512)),
             (LOAD, raw_rules(1, 1) + number(0, 0)), (ATTACH, number(0)), (SUBSCRIBE, b""), (DETACH, b"")]
    count = 0

    def attack() -> None:
        nonlocal count
        count += 1
        client = Client(path, seconds=1)
        for call, arguments in steps[:count % len(steps)]:
            client.use(call, arguments)
        call, arguments = steps[count % len(steps)]
        client.send(number(call) + arguments)
        client.close()

    repeat(attack)


def rules(path: str) -> None:
    """Long requests, on as many connections as it gets. Writes when each was answered."""
    load = number(LOAD) + raw_rules(63, 4) + number(0, 0)
    answered: list[float] = []

    def attack() -> None:
        with contextlib.suppress(Gone):
            client = Client(path)
            client.open()
            client.use(COUNTERS)
            while len(answered) < 2 * CONNECTIONS:
                client.send(load)
                for made in client.receive()[1]:
                    os.close(made)
                answered.append(time.monotonic())

    threads = [threading.Thread(target=attack) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(1, json.dumps(answered).encode())


def connections(path: str) -> None:
    """Connects from many threads at once, as often as it can."""
    end = time.monotonic() + TIME

    def attack() -> None:
        while time.monotonic() < end:
            with contextlib.suppress(Gone):
                Client(path).close()

    threads = [threading.Thread(target=attack) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ports(path: str) -> None:
    """Ports that need all descriptors of the helper, as many as it gets."""
    kept = []

    def attack() -> None:
        client = Client(path, seconds=1)
        kept.append(client)
        start_port(client)

    repeat(attack)


# Name, the helper's limit of descriptors, the attack, and what the helper says.
ATTACKS: list[tuple[str, int, Callable[[str], None], str]] = [
    ("silent", 1024, silent, f"refused a process of user {ATTACKER}: it has as many of the 64 sessions as are left for others"),
    ("unread", 1024, unread, f"refused a process of user {ATTACKER}"),
    ("half_closed", 1024, half_closed, f"refused a process of user {ATTACKER}"),
    ("descriptor", 1024, descriptor, ""),
    ("descriptor_without_port", 1024, descriptor_without_port, ""),
    ("descriptor_behind_empty", 1024, descriptor_behind_empty, ""),
    ("messages", 1024, messages, ""),
    ("vanishing", 1024, vanishing, ""),
    ("connections", 1024, connections, ""),
    ("ports", 200, ports, "it has as many of the 11 sessions as are left for others"),
]


@unittest.skipUnless(os.geteuid() == 0, "only root can open interfaces for others")
class Attacks(unittest.TestCase):
    def attack(self, descriptors: int, work: Callable[[str], None], warns: str) -> None:
        _, calls = self.times_of(descriptors, work, warns)
        self.assertLess(max(end - begin for begin, end in calls), LONGEST)

    def test_rules(self) -> None:
        """While the neighbour waits, the attacker's connections are not served one after the other. The median of its calls says so, since
        the longest may be one in which the neighbour, although answered, got no processor."""
        written, calls = self.times_of(1024, rules, "")
        answered = json.loads(written)
        self.assertGreaterEqual(len(answered), 2 * CONNECTIONS)
        under_attack = [(begin, end) for begin, end in calls if answered[0] < begin and end < answered[-1]]
        self.assertGreaterEqual(len(under_attack), 8)
        meanwhile = [sum(begin < time < end for time in answered) for begin, end in under_attack]
        self.assertLess(statistics.median(meanwhile), CONNECTIONS // 16)

    def times_of(self, descriptors: int, work: Callable[[str], None], warns: str) -> tuple[str, list[tuple[float, float]]]:
        """What the attack writes, and when each of the neighbour's calls began and ended."""
        started = time.monotonic()
        with helper(POLLUX, descriptors) as server:
            neighbour = Child(NEIGHBOUR, be_neighbour(server.path))
            neighbour.wait()
            try:
                written = Child(ATTACKER, lambda _: work(server.path)).join()
            finally:
                time.sleep(0.2)
                opened, calls, failed = json.loads(neighbour.join())
            self.assertEqual(failed, "", server.said())
            self.assertGreater(opened, 20)
            self.assertIn(warns, server.program.said())
            self.assertNotIn("cannot", server.program.said())
            minutes = 1 + (time.monotonic() - started) // 60
            self.assertLessEqual(server.program.said().count(f"{INTERFACE}: opened"), minutes, "once a minute")
            Child(NEIGHBOUR, lambda _: start_port(Client(server.path))).join()
            server.program.summary()  # it ends as it should
        return written, calls

    def test_descriptors_of_others_in_flight(self) -> None:
        """Other programs of root's have sent as many as the helper may: that is said, and passes."""
        def is_refused(path: str) -> None:
            port = Client(path)
            port.open()
            with self.assertRaises(Gone):
                port.use(SOCKET, number(0, 512, 512))

        with helper(POLLUX, 140) as server, contextlib.ExitStack() as stack:
            ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            for end in ends:
                stack.callback(end.close)
            for _ in range(2):
                socket.send_fds(ends[0], [b"x"], [0] * 100)
            for _ in range(2):
                Child(NEIGHBOUR, lambda _: is_refused(server.path)).join()
            said = server.said()
            warning = f"cannot answer a process of user {NEIGHBOUR} (Too many references: cannot splice)"
            self.assertEqual(said.count(warning), 1, said)
            self.assertIn("ulimit -n", said)
            for _ in range(2):
                for received in socket.recv_fds(ends[1], 1, 100)[1]:
                    os.close(received)
            Child(NEIGHBOUR, lambda _: start_port(Client(server.path))).join()


def _case(*row: object) -> Callable[[Attacks], None]:
    return lambda self: self.attack(*row)


for _name, *_row in ATTACKS:
    setattr(Attacks, f"test_{_name}", _case(*_row))

if __name__ == "__main__":
    unittest.main()
