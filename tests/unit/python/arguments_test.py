# SPDX-License-Identifier: BSD-3-Clause
"""Arguments that are wrong, one after another and at random, are exceptions."""

import array
import math
import random
import unittest

import pollux
from fixture import FRAME, Fixture
from pollux import _pollux


class Arguments(Fixture):
    def test_wrong_ones(self):
        context, port, rx, tx = self.context, self.left, self.left.rx[0], self.left.tx[0]
        frame = self.pass_one()
        rows, lengths = memoryview(bytearray(200)).cast("B", (2, 100)), array.array("I", [0, 0])
        view = lambda kind, shape: memoryview(bytearray(400)).cast(kind, shape)  # noqa: E731
        table = (
            (TypeError, lambda: context.open(5)),
            (TypeError, lambda: context.open(None)),
            (ValueError, lambda: context.open("sim:4\0")),
            (UnicodeEncodeError, lambda: context.open("sim:\udc80")),
            (pollux.InvalidArgument, lambda: context.open("")),
            (pollux.Error, lambda: context.open("nonsense:")),
            (pollux.InvalidArgument, lambda: context.open("sim:4?nonsense=1")),
            (pollux.InvalidArgument, lambda: context.open("sim:4", {"nonsense": 1})),
            (pollux.InvalidArgument, lambda: context.open("sim:4", {"mtu": "x"})),
            (pollux.InvalidArgument, lambda: context.open("sim:4", [])),
            (TypeError, lambda: context.open("sim:4", {"mtu": object()})),
            (RecursionError, lambda: context.open("sim:4", nested(100000))),
            (pollux.Error, lambda: context.open("sim:4", {"mtu": float("nan")})),
            (ValueError, lambda: context.sleep(-1)),
            (ValueError, lambda: context.sleep(math.nan)),
            (TypeError, lambda: context.sleep("1")),
            (pollux.NotFound, lambda: context.request("nonsense")),
            (pollux.Error, lambda: context.request("port.stats")),
            (pollux.Error, lambda: context.wire_counters(4000000000)),
            (ValueError, lambda: context.wire_counters(-1)),
            (TypeError, lambda: context.wire_counters("0")),
            (TypeError, lambda: context.drop(5, "reason")),
            (TypeError, lambda: context.drop([frame], 5)),
            (TypeError, lambda: context.drop([None], "reason")),
            (TypeError, lambda: pollux.Context(log=5)),
            (TypeError, lambda: pollux.Context(5)),
            (OverflowError, lambda: port.frame(-1)),
            (ValueError, lambda: pollux.Context(arena_bytes=-1)),
            (OverflowError, lambda: pollux.Context(arena_bytes=1 << 70)),
            (pollux.InvalidArgument, lambda: _pollux.Context(None, 1 << 20, 0)),
            (TypeError, _pollux.Port),
            (TypeError, pollux.Frame),
            (TypeError, pollux.Rx),
            (TypeError, lambda: pollux.Frame.__new__(pollux.Frame)),
            (TypeError, lambda: object.__new__(pollux.Frame)),
            (TypeError, lambda: setattr(pollux.Frame, "burst", 1)),
            (TypeError, lambda: port.wait_for_link("1")),
            (TypeError, lambda: port.on_event(5)),
            (pollux.InvalidArgument, lambda: port.change(mtu=-1)),
            (pollux.InvalidArgument, lambda: port.change(nonsense=1)),
            (pollux.NotFound, lambda: port.request("port.nonsense")),
            (TypeError, lambda: port.frame("text")),
            (TypeError, lambda: port.frame(None)),
            (ValueError, lambda: port.frame(70000)),
            (ValueError, lambda: port.frame(1 << 40)),
            (OverflowError, lambda: port.frame(1 << 70)),
            (TypeError, lambda: port.clone(b"x")),
            (TypeError, lambda: port.rx["0"]),
            (IndexError, lambda: port.rx[1]),
            (ValueError, lambda: port._handle.rx(1 << 20)),
            (ValueError, lambda: rx.burst(0)),
            (ValueError, lambda: rx.burst(-5)),
            (ValueError, lambda: rx.burst(65537)),
            (OverflowError, lambda: rx.burst(1 << 70)),
            (TypeError, lambda: rx.burst("5")),
            (TypeError, lambda: rx.burst(1, 2)),
            (TypeError, lambda: rx.read(1, 2)),
            (TypeError, lambda: rx.frames(1, 2)),
            (ValueError, lambda: rx.wait(0)),
            (ValueError, lambda: rx.wait(seconds=-1)),
            (TypeError, lambda: rx.wait(nonsense=1)),
            (TypeError, lambda: rx.burst_into(rows)),
            (TypeError, lambda: rx.burst_into(5, lengths)),
            (ValueError, lambda: rx.burst_into(bytearray(100), lengths)),
            (BufferError, lambda: rx.burst_into(bytes(100), lengths)),
            (ValueError, lambda: rx.burst_into(view("I", (10, 10)), lengths)),
            (ValueError, lambda: rx.burst_into(view("B", (4, 100)), lengths)),
            (ValueError, lambda: rx.burst_into(rows, array.array("f", [0, 0]))),
            (ValueError, lambda: rx.burst_into(rows, array.array("B", [0, 0]))),
            ((BufferError, ValueError), lambda: rx.burst_into(rows[::-1], lengths)),
            (TypeError, lambda: tx.burst(5)),
            (TypeError, lambda: tx.burst(frame)),
            (TypeError, lambda: tx.burst([FRAME])),
            (TypeError, lambda: tx.burst([frame, None])),
            (RuntimeError, lambda: tx.burst([frame, frame])),
            (TypeError, lambda: tx.send("text")),
            (TypeError, lambda: tx.send(None)),
            (ValueError, lambda: tx.send(bytes(70000))),
            (TypeError, lambda: pollux.free(5)),
            (TypeError, lambda: pollux.free([5])),
            (RuntimeError, lambda: pollux.free([frame, frame])),
            (IndexError, lambda: frame[60]),
            (IndexError, lambda: frame[-61]),
            (IndexError, lambda: frame[1 << 70]),
            (TypeError, lambda: frame["0"]),
            (ValueError, lambda: frame.__setitem__(0, 256)),
            (IndexError, lambda: frame.__setitem__(60, 0)),
            (ValueError, lambda: frame.__setitem__(slice(0, 2), b"xyz")),
            (TypeError, lambda: frame.__delitem__(0)),
            (ValueError, lambda: frame.strip(61)),
            (OverflowError, lambda: frame.strip(-1)),
            (ValueError, lambda: frame.trim(1 << 40)),
            (TypeError, lambda: frame.append("x")),
            (ValueError, lambda: frame.append(bytes(100000))),
            (ValueError, lambda: frame.prepend(bytes(1000))),
            (ValueError, lambda: frame.chain(frame)),
            (TypeError, lambda: frame.chain(FRAME)),
            (ValueError, lambda: frame.request(0, l2=-1)),
            (TypeError, lambda: frame.request("x")),
            (ValueError, lambda: frame.request(-1)),
            (AttributeError, lambda: setattr(frame, "vlan", 5)),
        )  # fmt: skip
        for number, (expected, wrong) in enumerate(table):
            with self.subTest(row=number):
                self.assertRaises(expected, wrong)
        self.assertEqual(bytes(frame), FRAME)
        self.assertEqual(self.left.tx[0].burst([frame]), 1)
        self.assertEqual(self.context.forgotten, 0)

    def test_random_calls_on_random_objects(self):
        """In all states. Whatever happens is an exception of Python's, and the ports work afterwards."""
        chosen = random.Random(56)
        things = [None, 0, 1, -1, 1 << 40, 0.5, "sim:0", b"x", FRAME, bytearray(80), {}, {"mtu": 100}, [], print]
        objects = []
        pollux_errors = 0
        for step in range(4000):
            if step % 400 == 0:
                with pollux.Context(virtual_time=True) as done:
                    ports = [done.open("sim:0"), done.open("sim:1")]
                    frames = [ports[0].frame(FRAME) for _ in range(4)]
                objects = [done, *ports, *frames, ports[0].context, self.left.rx[0], self.right.rx[0], self.left.tx[0], self.left,
                           self.right, *[self.left.frame(FRAME) for _ in range(8)], self.context]  # fmt: skip
            target = chosen.choice(objects)
            name = chosen.choice([name for name in dir(target) if not name.startswith("_")] + ["__len__", "__getitem__", "__bytes__"])
            if name in ("open", "close", "wait", "sleep", "wait_for_link", "context", "request"):
                continue  # these would leave ports open, end the test, or take long
            arguments = [chosen.choice([*things, *objects, [chosen.choice(objects)]]) for _ in range(chosen.choice((0, 1, 1, 2)))]
            try:
                result = getattr(target, name)
                if callable(result):
                    result = result(*arguments)
                    if hasattr(result, "close") and hasattr(result, "send"):
                        result.close()  # a coroutine
            except Exception:
                pollux_errors += 1
        self.assertGreater(pollux_errors, 400)
        self.left.on_event(None)
        self.right.on_event(None)
        self.open("sim:10", "sim:11")
        self.assertEqual(bytes(self.pass_one()), FRAME)


def nested(depth):
    result = {}
    for _ in range(depth):
        result = {"x": result}
    return result


if __name__ == "__main__":
    unittest.main()
