# SPDX-License-Identifier: BSD-3-Clause
"""What a program must not do is an exception: closed ports, frames that are gone, views that are kept, several threads, and
callbacks that raise. arguments_test.py has wrong types and values, processes_test.py fork and the end of the interpreter."""

import array
import copy
import gc
import pickle
import sys
import threading
import time
import unittest
import weakref

import fixture
import pollux
from fixture import FRAME, Fixture


class States(Fixture):
    def test_a_frame_that_is_gone(self):
        sent, freed, dropped, by_with = (self.left.frame(FRAME) for _ in range(4))
        self.left.tx[0].burst([sent])
        freed.free()
        self.context.drop((dropped,), "unwanted")
        with by_with:
            pass
        for frame in (sent, freed, dropped, by_with):
            for use in (bytes, len, memoryview, lambda f: f[0], lambda f: f.append(b"x"), lambda f: f.strip(1), lambda f: f.rss_hash,
                        lambda f: f.is_shared, lambda f: f.request(0), lambda f: f.free(), lambda f: self.left.clone(f),
                        lambda f: self.left.tx[0].burst([f]), lambda f: f.__setitem__(0, 0)):  # fmt: skip
                with self.assertRaisesRegex(ValueError, "sent, dropped or freed"):
                    use(frame)
            self.assertIn("used up", repr(frame))

    def test_a_list_with_one_wrong_frame_sends_none(self):
        good, gone = self.left.frame(FRAME), self.left.frame(FRAME)
        gone.free()
        for wrong in (gone, None, good):
            with self.assertRaises((ValueError, TypeError, RuntimeError)):
                self.left.tx[0].burst([good, wrong])
        self.assertEqual(self.left.tx[0].burst([good] + [self.left.frame(FRAME) for _ in range(99)]), 100)

    def test_a_view_that_is_kept(self):
        frame = self.pass_one()
        view = memoryview(frame)
        part = view[10:20]
        for use in (lambda: self.right.tx[0].burst([frame]), frame.free, lambda: frame.append(b"x"), lambda: frame.strip(1),
                    lambda: self.context.drop([frame], "x"), lambda: self.right.clone(frame), lambda: frame.__exit__(None, None, None)):  # fmt: skip
            with self.assertRaisesRegex(BufferError, "release"):
                use()
        view.release()
        with self.assertRaises(BufferError):
            frame.free()
        part.release()
        self.assertEqual(self.right.tx[0].burst([frame]), 1)

    def test_closed_ports(self):
        rx, tx, frame = self.left.rx[0], self.left.tx[0], self.left.frame(FRAME)
        self.left.close()
        self.left.close()
        for use in (rx.burst, rx.read, rx.wait, rx.arm, rx.disarm, rx.fileno, lambda: tx.send(FRAME), lambda: tx.burst([frame]),
                    lambda: self.left.settings, lambda: self.left.change(mtu=2000), self.left.stats, lambda: self.left.frame(1),
                    lambda: self.left.clone(frame), lambda: self.left.on_event(None), self.left.wait_for_link, lambda: len(self.left.rx),
                    lambda: rx.burst_into(memoryview(bytearray(100)).cast("B", (1, 100)), array.array("I", [0]))):  # fmt: skip
            with self.assertRaisesRegex(ValueError, "the port is closed"):
                use()
        self.assertEqual(bytes(frame), FRAME)
        self.assertEqual(self.right.tx[0].burst([frame]), 1)
        self.assertIn("closed", repr(self.left))

    def test_closed_contexts(self):
        self.context.close()
        self.context.close()
        for use in (lambda: self.context.open("sim:0"), self.context.now, lambda: self.context.sleep(0), self.context.run_due,
                    self.context.fileno, lambda: self.context.request("ports"), lambda: self.context.wire_counters(0),
                    lambda: self.context.drop([], "x"), lambda: self.context.dropped("x")):  # fmt: skip
            with self.assertRaisesRegex(ValueError, "the context is closed"):
                use()

    def test_frames_of_another_context(self):
        with pollux.Context(virtual_time=True) as other, other.open("sim:0") as port:
            frame = port.frame(FRAME)
            with self.assertRaisesRegex(ValueError, "another context"):
                self.left.tx[0].burst([frame])
            with self.assertRaises(TypeError):
                self.left.clone(frame)
            with self.assertRaises(TypeError):
                self.context._handle.request(port._handle, "port.stats", None)
            frame.free()

    def test_an_exhausted_pool(self):
        frames = []
        with self.assertRaises(MemoryError) as caught:
            while True:
                frames.append(self.left.frame(60))
        self.assertEqual(caught.exception.code, "no_memory")
        with self.assertRaises(pollux.OutOfMemory):
            self.left.tx[0].send(FRAME)
        pollux.free(frames)
        self.left.tx[0].send(FRAME)

    def test_what_is_not_closed_is_reported(self):
        for make in (lambda: self.context.open("sim:4"), lambda: pollux.Context(virtual_time=True)):
            with self.assertWarnsRegex(ResourceWarning, "unclosed pollux"), CaughtByHook() as caught:
                make()
                gc.collect()
            self.assertEqual(caught.seen, [])

    def test_cycles_are_collected(self):
        """A callback that refers to what has it, closed or not."""
        class Program:
            def log(self, *_):
                pass

        program = Program()
        program.context = pollux.Context(virtual_time=True, log=program.log)
        with self.assertWarnsRegex(ResourceWarning, "unclosed pollux.Context"), CaughtByHook():
            del program
            gc.collect()
        program = Program()
        program.context = pollux.Context(virtual_time=True, log=program.log)
        program.port = program.context.open("sim:4")
        program.port.on_event(program.log)
        gone = weakref.ref(program)
        program.port.close()
        program.context.close()
        del program
        gc.collect()
        self.assertIsNone(gone())

    def test_cycles_through_a_queue_are_collected(self):
        """The queue refers to the port, which has the callback."""
        for queue in ("rx", "tx"):
            port = self.context.open("sim:4")
            port.on_event(lambda *_, queue=getattr(port, queue)[0]: queue)
            with self.assertWarnsRegex(ResourceWarning, "unclosed pollux.Port"):
                del port
                gc.collect()

    def test_objects_keep_no_reference_to_their_type(self):
        for make in (lambda: self.left.frame(1), lambda: self.left._handle.rx(0), lambda: self.left._handle.tx(0)):
            kind = type(make())
            before = sys.getrefcount(kind)
            for _ in range(1000):
                made = make()
                if kind is pollux.Frame:
                    made.free()
                del made
            self.assertLess(abs(sys.getrefcount(kind) - before), 10)

    def test_copies_are_refused(self):
        for thing in (self.left.frame(1), self.left.rx[0], self.left._handle, self.context._handle):
            for use in (copy.copy, copy.deepcopy, pickle.dumps, lambda it: object.__new__(type(it))):
                with self.assertRaises(TypeError):
                    use(thing)


class CaughtByHook:
    """Collects what sys.unraisablehook gets."""

    def __enter__(self):
        self.seen = []
        self._hook = sys.unraisablehook
        sys.unraisablehook = lambda said: self.seen.append(said.exc_type)
        return self

    def __exit__(self, *_):
        sys.unraisablehook = self._hook


class Callbacks(Fixture):
    def test_exceptions_are_unraisable(self):
        def wrong(*_):
            raise ArithmeticError

        with CaughtByHook() as caught, pollux.Context(virtual_time=True, log=wrong, huge_pages=False) as context:
            with context.open("sim:0") as left, context.open("sim:1"):
                left.on_event(wrong)
                left.wait_for_link(10)
                context.sleep(3)
                context.run_due()
            events = len(caught.seen)
            self.assertGreaterEqual(events, 1)
            context.open("fault:stuck-register=0x0000,sim:2").close()  # CTRL, so that the card does not stop its DMA, and says so
            self.assertGreater(len(caught.seen), events, "of a message")
        self.assertEqual(set(caught.seen), {ArithmeticError})

    def test_a_callback_that_closes_everything(self):
        def close(*_):
            for port in ports:
                port.close()
            context.close()

        ports = []
        with CaughtByHook() as caught, pollux.Context(virtual_time=True) as context:
            ports += [context.open("sim:0"), context.open("sim:1")]
            ports[0].on_event(close)
            context.sleep(10)
            context.run_due()
            self.assertTrue(context.closed and ports[0].closed)
        self.assertEqual(caught.seen, [])

    def test_an_old_callback_that_closes_the_port(self):
        class Callback:
            def __call__(_, *event):
                pass

            def __del__(_):
                self.left.close()

        self.left.on_event(Callback())
        self.left.on_event(None)
        self.assertTrue(self.left.closed)

    def test_an_iterator_that_closes_the_context(self):
        frames = [self.left.frame(FRAME), self.left.frame(FRAME)]

        def closes():
            yield from frames
            self.context.close()

        with self.assertRaisesRegex(ValueError, "the context is closed"):
            self.context.drop(closes(), "unwanted")
        self.assertEqual([bytes(frame) for frame in frames], [FRAME, FRAME])

    def test_queues_that_are_looked_for_while_they_are(self):
        """By the handler of a signal, or a finalizer, which run in the thread that looks: no lock is held."""
        queues = self.left.rx
        make = queues._make

        def with_another_look(index):
            queues._make = make
            self.assertEqual(len(queues), 1)
            return make(index)

        queues._make = with_another_look
        self.assertEqual(len(queues), 1)
        self.assertIs(queues[0], queues[0])

    def test_an_index_that_sends_the_frame(self):
        frame = self.pass_one()

        class Index:
            def __index__(_):
                if len(self.context.request("ports")):
                    self.right.tx[0].burst([frame])
                return 1

        with self.assertRaises(ValueError):
            frame[Index() : 5]
        frame = self.pass_one()
        with self.assertRaises(ValueError):
            frame[Index()]

    def test_an_index_that_shortens_the_frame(self):
        class Index:
            def __init__(self, index):
                self.index = index

            def __index__(self):
                frame.trim(20)
                return self.index

        frame = self.pass_one()
        self.assertEqual(frame[Index(1) : 60], FRAME[1:40])
        frame = self.pass_one()
        self.assertEqual(frame[Index(-1)], FRAME[39])


class Threads(unittest.TestCase):
    def setUp(self):
        self.context = pollux.Context()
        self.addCleanup(self.context.close)
        self.left, self.right = self.context.open("ring:a:0"), self.context.open("ring:a:1")
        self.left.wait_for_link(10)

    def test_a_queue_of_two_threads(self):
        rx, received = self.right.rx[0], []
        thread = threading.Thread(target=lambda: received.extend(rx.wait(seconds=60)))
        thread.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                rx.burst()
            except RuntimeError as error:
                self.assertIn("another thread", str(error))
                break
        for use in (rx.burst, rx.read, rx.wait, rx.arm, rx.disarm, rx.fileno, self.right.close, self.context.close):
            with self.assertRaisesRegex(RuntimeError, "another thread"):
                use()
        self.left.tx[0].send(FRAME)  # the context closed this port before it found the other one in use
        thread.join()
        self.assertEqual([bytes(frame) for frame in received], [FRAME])

    def test_a_context_that_another_thread_is_in(self):
        with pollux.Context() as context:
            thread = threading.Thread(target=context.sleep, args=[0.5])
            thread.start()
            time.sleep(0.1)
            with self.assertRaisesRegex(RuntimeError, "another thread"):
                context.close()
            thread.join()

    def test_many_threads_with_queues_of_their_own(self):
        self.ports = ports = [[self.context.open(f"ring:{name}:{end}") for end in (0, 1)] for name in "bcd"]
        for left, _ in ports:
            left.wait_for_link(10)
        counts = dict.fromkeys("bcd", 0)

        def work(name, left, right):
            for number in range(300):
                left.tx[0].burst([left.frame(FRAME) for _ in range(8)])
                for frame in right.rx[0].burst(16):
                    counts[name] += frame[13] == FRAME[13]
                    frame.free()

        threads = [threading.Thread(target=work, args=[name, *pair]) for name, pair in zip("bcd", ports)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        self.assertEqual(counts, dict.fromkeys("bcd", 2400))
        self.assertEqual(self.context.forgotten, 0)


if __name__ == "__main__":
    unittest.main()
