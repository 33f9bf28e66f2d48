# SPDX-License-Identifier: BSD-3-Clause
"""Fork, other interpreters, signals, and the end of the interpreter."""

import unittest

import fixture


class Processes(unittest.TestCase):
    def test_fork(self):
        """The child may use nothing, its end does no harm, and the parent goes on."""
        ran = fixture.run("""
import gc, os, pollux, sys
context = pollux.Context(virtual_time=True)
left, right = context.open("sim:0"), context.open("sim:1")
left.wait_for_link(10)
frames = [left.frame(b"\\xff" * 60) for _ in range(3)]
rx, tx = left.rx[0], left.tx[0]
child = os.fork()
if child == 0:
    uses = [rx.burst, lambda: tx.send(bytes(60)), lambda: tx.burst(frames), left.stats, context.now, lambda: bytes(frames[0]),
            lambda: memoryview(frames[0]), lambda: frames[0][0], frames[0].free, lambda: context.open("sim:4"), lambda: pollux.free(frames)]
    for use in uses:
        try: use()
        except RuntimeError as error: assert "forked" in str(error)
        else: os._exit(9)
    repr(frames[0])
    left.close()
    context.close()
    del frames, rx, tx, left, right, context
    gc.collect()
    with pollux.Context(virtual_time=True) as own, own.open("sim:0") as port, own.open("sim:1"):
        port.wait_for_link(10)
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert tx.burst(frames) == 3
context.sleep(0.001)
print(len(right.rx[0].read()))
context.close()
""")
        self.assertEqual((ran.stdout, ran.stderr, ran.returncode), ("3\n", "", 0))

    def test_another_interpreter_in_the_process(self):
        ran = fixture.run("""
import _xxsubinterpreters as interpreters, pollux
work = "import pollux\\nwith pollux.Context(virtual_time=True) as c, c.open('sim:0') as p: p.frame(60).free()"
for _ in range(3):
    other = interpreters.create(isolated=False)
    interpreters.run_string(other, work)
    interpreters.destroy(other)
exec(work)
print("end")
""")
        self.assertEqual((ran.stdout, ran.stderr, ran.returncode), ("end\n", "", 0))

    def test_ctrl_c_ends_what_waits(self):
        ran = fixture.run("""
import _thread, pollux, threading, time
def end_soon(): threading.Timer(0.2, _thread.interrupt_main).start()
with pollux.Context() as context, context.open("ring:a:0") as port:
    for wait in (port.wait_for_link, port.rx[0].wait, lambda: context.sleep(1000)):
        end_soon()
        begun = time.monotonic()
        try: wait()
        except KeyboardInterrupt: print(time.monotonic() - begun < 30)
""")
        self.assertEqual((ran.stdout, ran.stderr, ran.returncode), ("True\n" * 3, "", 0))

    def test_the_end_of_the_interpreter(self):
        """With everything open, views, a thread of the library, and one of Python that waits."""
        ran = fixture.run("""
import pollux, threading, time
context = pollux.Context(control_thread=True, log=lambda level, text: None)
left, right = context.open("ring:a:0"), context.open("ring:a:1")
left.wait_for_link(10)
left.on_event(lambda *_: None)
left.tx[0].send(b"\\xff" * 60)
[frame] = right.rx[0].wait(seconds=10)
view = memoryview(frame)
cycle = [view]
cycle.append(cycle)
threading.Thread(target=left.rx[0].wait, daemon=True).start()
time.sleep(0.2)
print("end")
""")
        self.assertEqual((ran.stdout, ran.stderr, ran.returncode), ("end\n", "", 0))

    def test_the_end_of_the_interpreter_while_a_task_waits(self):
        ran = fixture.run("""
import asyncio, pollux
context = pollux.Context(control_thread=True)
port = context.open("ring:a:0")
loop = asyncio.new_event_loop()
task = loop.create_task(port.rx[0].frames())
loop.run_until_complete(asyncio.sleep(0.2))
print("end")
""")
        self.assertEqual((ran.stdout, ran.returncode), ("end\n", 0), ran.stderr)

    def test_an_exception_with_everything_open(self):
        ran = fixture.run("""
import pollux
context = pollux.Context(control_thread=True)
port = context.open("sim:0")
frame = port.frame(60)
raise SystemExit(5)
""")
        self.assertEqual((ran.stdout, ran.stderr, ran.returncode), ("", "", 5))


if __name__ == "__main__":
    unittest.main()
