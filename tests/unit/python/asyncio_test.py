# SPDX-License-Identifier: BSD-3-Clause
"""Tasks of asyncio that wait for frames, and what ends such a wait."""

import asyncio
import threading
import unittest

import pollux
from fixture import FRAME

SECONDS = 30


class Waiting(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.context = pollux.Context()
        self.addCleanup(self.context.close)
        self.left, self.right = self.context.open("ring:a:0"), self.context.open("ring:a:1")
        self.left.wait_for_link(SECONDS)

    async def waits(self, rx):
        """A task that waits for frames."""
        task = asyncio.create_task(rx.frames())
        await asyncio.sleep(0.05)
        self.assertFalse(task.done())
        return task

    async def test_a_queue_is_of_one_task(self):
        """The second one would take the descriptor's reader from the first, which would sleep for ever."""
        first = await self.waits(self.right.rx[0])
        with self.assertRaisesRegex(RuntimeError, "another task"):
            await self.right.rx[0].frames()
        self.left.tx[0].send(FRAME)
        async with asyncio.timeout(SECONDS):
            self.assertEqual(len(await first), 1)

    async def test_again_at_once_after_a_cancelled_wait(self):
        (await self.waits(self.right.rx[0])).cancel()
        with self.assertRaises(RuntimeError):  # the task has not ended yet
            await self.right.rx[0].frames()
        await asyncio.sleep(0)
        again = await self.waits(self.right.rx[0])
        self.left.tx[0].send(FRAME)
        async with asyncio.timeout(SECONDS):
            self.assertEqual(len(await again), 1)

    async def test_a_frame_that_comes_as_the_wait_is_cancelled_is_not_lost(self):
        task = await self.waits(self.right.rx[0])
        self.left.tx[0].send(FRAME)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(len(self.right.rx[0].burst()), 1)

    async def test_closing_ends_a_wait(self):
        for close in (self.right.close, self.context.close):
            task = await self.waits((self.left if self.right.closed else self.right).rx[0])
            descriptor = (self.left if self.right.closed else self.right).rx[0].fileno()
            close()
            self.assertFalse(asyncio.get_running_loop().remove_reader(descriptor))  # another file may have its number now
            with self.assertRaisesRegex(ValueError, "closed"):
                async with asyncio.timeout(SECONDS):
                    await task

    async def test_closing_in_another_thread_ends_a_wait(self):
        task = await self.waits(self.right.rx[0])
        thread = threading.Thread(target=self.right.close)
        thread.start()
        with self.assertRaisesRegex(ValueError, "closed"):
            async with asyncio.timeout(SECONDS):
                await task
        thread.join()

    async def test_a_wait_that_was_cancelled_ends_so_when_the_port_is_closed(self):
        task = await self.waits(self.right.rx[0])
        task.cancel()
        self.right.close()
        with self.assertRaises(asyncio.CancelledError):
            await task

    async def test_a_port_with_the_descriptor_of_a_closed_one(self):
        task = await self.waits(self.right.rx[0])
        self.context.close()
        with pollux.Context() as context, context.open("ring:a:0") as left, context.open("ring:a:1") as right:
            again = asyncio.create_task(right.rx[0].frames())
            with self.assertRaises(ValueError):
                await task
            await asyncio.sleep(0.05)
            left.tx[0].send(FRAME)
            async with asyncio.timeout(SECONDS):
                self.assertEqual(len(await again), 1)


if __name__ == "__main__":
    unittest.main()
