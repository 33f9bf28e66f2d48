# SPDX-License-Identifier: BSD-3-Clause
"""Contexts, ports and queues from Python."""

import asyncio
import pathlib
import select
import socket
import tempfile
import threading
import time

import fixture
import pollux
from fixture import FRAME, Fixture


class Ports(Fixture):
    def test_a_frame_crosses_the_wire(self):
        frame = self.pass_one()
        self.assertEqual(bytes(frame), FRAME)
        self.assertEqual((self.left.stats()["tx_packets"], self.right.stats()["rx_packets"]), (1, 1))
        self.assertEqual(self.context.wire_counters(0)["carried"], 1)
        frame.free()

    def test_settings_are_a_dictionary(self):
        self.assertEqual(self.left.settings["mtu"], 1500)
        self.left.change(mtu=9000, multicast={"01:00:5e:00:00:01": True})
        self.left.change({"multicast": {"01:00:5e:00:00:02": True}, "promiscuous": True})
        self.assertEqual(self.left.settings["multicast"], {"01:00:5e:00:00:01": True, "01:00:5e:00:00:02": True})
        self.assertEqual((self.left.settings["mtu"], self.left.settings["promiscuous"]), (9000, True))

    def test_settings_to_open_with(self):
        with self.context.open("sim:4", {"mtu": 2000, "rx": [{"ring": 128}, {}], "tx": [{}, {}, {}]}) as other:
            self.assertEqual((other.settings["mtu"], len(other.rx), len(other.tx)), (2000, 2, 3))

    def test_a_queue_is_the_same_object_each_time(self):
        self.assertIs(self.left.rx[0], self.left.rx[0])
        with self.assertRaises(IndexError):
            self.left.rx[1]

    def test_queues_that_a_change_adds(self):
        first = self.right.rx[0]
        self.right.request("port.stop")
        self.right.change(rx=[{}, {}])
        self.right.request("port.start")
        self.assertEqual(len(self.right.rx), 2)
        self.assertIs(self.right.rx[0], first)

    def test_an_error_has_a_code_and_says_what_to_do(self):
        with self.assertRaises(pollux.InvalidArgument) as caught:
            self.left.change(mtu=50)
        self.assertIsInstance(caught.exception, (pollux.Error, ValueError))
        self.assertEqual(caught.exception.code, "invalid_argument")
        self.assertIn("mtu", str(caught.exception).lower())
        self.assertEqual(self.left.settings["mtu"], 1500)
        with self.assertRaises(LookupError):
            self.left.request("port.nonsense")
        with self.assertRaises(pollux.Error):
            self.context.open("nonsense:0")

    def test_a_link_that_does_not_come_up(self):
        with self.assertRaises(TimeoutError) as caught, self.context.open("ring:a:0") as alone:
            alone.wait_for_link(0.25)
        self.assertEqual(caught.exception.code, "timeout")
        self.assertRegex(str(caught.exception), "0.25 s: .*other end")

    def test_requests(self):
        self.assertEqual([port["uri"] for port in self.context.request("ports")], ["sim:0", "sim:1"])
        self.assertTrue(self.left.request("port.link", details=True)["up"])

    def test_lost_frames_have_a_name(self):
        frames = [self.left.frame(FRAME), self.left.frame(FRAME)]
        self.context.drop(frames, "unwanted")
        self.assertEqual(self.context.dropped("unwanted"), 2)
        with self.assertRaises(ValueError):
            bytes(frames[0])

    def test_forgotten_frames_are_counted(self):
        before = self.context.request("pools")
        self.pass_one()
        self.left.frame(FRAME)
        self.assertEqual((self.context.forgotten, self.context.dropped("python_forgotten")), (2, 2))
        after = self.context.request("pools")
        self.assertEqual([pool["unnamed_drops"] for pool in after], [0, 0])
        self.assertEqual(after[1]["in_use"], before[1]["in_use"])

    def test_what_does_not_fit_in_the_ring_stays_the_programs(self):
        self.left.request("port.stop")  # a stopped port sends nothing
        frames = [self.left.frame(FRAME) for _ in range(3)]
        sent = self.left.tx[0].burst(frames)
        self.assertEqual([len(frame) for frame in frames[sent:]], [60] * (3 - sent))
        self.left.request("port.start")
        self.right.wait_for_link(fixture.LINK_SECONDS)
        self.assertEqual(self.left.tx[0].burst(frames[sent:]), 3 - sent)

    def test_a_full_ring_blocks(self):
        self.open("ring:a:0", "ring:a:1")
        with self.assertRaises(BlockingIOError):
            for _ in range(10000):
                self.left.tx[0].send(FRAME)
        self.assertNotEqual(self.right.rx[0].read(64), [])
        self.left.tx[0].send(FRAME)

    def test_events(self):
        seen = []
        self.left.on_event(lambda *event: seen.append(event))

        def after(change):
            change()
            self.context.sleep(3)
            self.context.run_due()
            return [(kind, queue) for kind, queue, _ in seen]

        self.assertEqual(after(lambda: None), [(pollux.EventKind.LINK_UP, 0)])
        self.assertEqual(after(lambda: self.right.change(phy_enabled=False))[1:], [(pollux.EventKind.LINK_DOWN, 0)])
        self.left.on_event(None)
        self.assertEqual(len(after(lambda: self.right.change(phy_enabled=True))), 2)

    def test_numbers_that_a_later_library_may_have(self):
        kind = pollux.EventKind(77)
        self.assertEqual((kind, kind.name, isinstance(kind, pollux.EventKind)), (77, "UNKNOWN_77", True))
        self.assertEqual(pollux.PacketType(1 << 20 | 16) & pollux.PacketType.TCP, pollux.PacketType.TCP)
        with self.assertRaises(ValueError):
            pollux.LogLevel("x")

    def test_messages(self):
        seen = []
        with pollux.Context(virtual_time=True, log=lambda *said: seen.append(said)) as context:
            context.open("fault:stuck-register=0x0000,sim:0").close()  # CTRL, so that the card does not stop its DMA
        for level, message in seen:
            self.assertIsInstance(level, pollux.LogLevel)
            self.assertIsInstance(message, str)
        self.assertTrue(any("sim:0" in message for _, message in seen), seen)

    def test_time_passes_when_it_is_told_to(self):
        before = self.context.now()
        self.context.sleep(2.5)
        self.assertAlmostEqual(self.context.now(), before + 2.5)
        self.assertGreater(self.context.run_due(), before)

    def test_closing_the_context_closes_its_ports(self):
        frame = self.pass_one()
        view = memoryview(frame)
        self.context.close()
        self.assertTrue(self.context.closed and self.left.closed and self.right.closed)
        self.assertEqual(bytes(view), FRAME)
        view[0] = 7
        self.assertEqual(frame[0], 7)
        del view, frame
        self.assertEqual(self.context.forgotten, 1)


class Waiting(Fixture):
    """Without virtual time."""

    def setUp(self):
        self.context = pollux.Context()
        self.addCleanup(self.context.close)
        self.open("ring:a:0", "ring:a:1")

    def send_later(self):
        timer = threading.Timer(0.1, self.left.tx[0].send, [FRAME])
        timer.start()
        self.addCleanup(timer.join)

    def test_wait(self):
        self.send_later()
        [frame] = self.right.rx[0].wait(seconds=30)
        self.assertEqual(bytes(frame), FRAME)
        began = time.monotonic()
        self.assertEqual(self.right.rx[0].wait(8, 0.15), [])
        self.assertGreaterEqual(time.monotonic() - began, 0.15)

    def test_descriptor(self):
        rx = self.right.rx[0]
        while not rx.arm():
            self.assertEqual(rx.burst(), [])
        self.send_later()
        self.assertEqual(select.select([rx.fileno()], [], [], 30)[0], [rx.fileno()])
        rx.disarm()
        self.assertEqual(rx.read(), [FRAME])
        self.assertEqual(select.select([self.context], [], [], 0), ([], [], []))

    def test_asyncio(self):
        async def receive():
            waiting = asyncio.create_task(self.right.rx[0].frames())
            await asyncio.sleep(0.1)
            self.assertFalse(waiting.done())
            self.left.tx[0].send(FRAME)
            async with asyncio.timeout(30):
                [frame] = await waiting
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self.right.rx[0].frames(4)
            self.assertEqual(self.right.rx[0].burst(), [])  # the queue is free again
            self.assertFalse(asyncio.get_running_loop().remove_reader(self.right.rx[0].fileno()))
            return bytes(frame)

        self.assertEqual(asyncio.run(receive()), FRAME)

    def test_telemetry_is_served(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/it.sock"
            self.context.serve(path, program="a test", read_only=True)
            with self.assertRaisesRegex(ValueError, "already"):
                self.context.serve(path)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b'{"id": 1, "method": "ports"}\n')
                client.setblocking(False)
                deadline, said = time.monotonic() + 30, b""
                while b"\n" not in said and time.monotonic() < deadline:
                    self.context.sleep(0.01)
                    self.context.run_due()
                    try:
                        said += client.recv(4096)
                    except BlockingIOError:
                        time.sleep(0.001)
            self.assertIn(b"ring:a:1", said)
            self.context.close()
            self.assertFalse(pathlib.Path(path).exists())

    def test_a_signal_ends_a_wait(self):
        script = """
import pollux, signal, time
def end(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, end)
with pollux.Context() as context, context.open("ring:a:0") as left, context.open("ring:a:1") as right:
    for wait in (lambda: right.rx[0].wait(), lambda: context.sleep(1000)):
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try: wait()
        except KeyboardInterrupt: print("ended")
"""
        ran = fixture.run(script)
        self.assertEqual((ran.stdout, ran.stderr, ran.returncode), ("ended\nended\n", "", 0))

    def test_a_control_thread(self):
        """It reports while no call is made, and ends with the context."""
        seen = []
        with pollux.Context(control_thread=True, log=lambda *said: seen.append(said)) as context:
            with context.open("ring:b:0") as port:
                port.on_event(lambda *event: seen.append(event))
                deadline = time.monotonic() + 30
                with context.open("ring:b:1"):
                    while not any(len(what) == 3 for what in seen) and time.monotonic() < deadline:
                        context.sleep(0.05)
        self.assertIn(pollux.EventKind.LINK_UP, [what[0] for what in seen if len(what) == 3])


if __name__ == "__main__":
    import unittest

    unittest.main()
