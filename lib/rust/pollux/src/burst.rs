// SPDX-License-Identifier: BSD-3-Clause
use crate::frame::{shared, EMPTY, SHARED};
use crate::{guard, DropCounter, Frame};
use pollux_sys as sys;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::null_mut;

/// Up to `N` frames, which it owns: a slice of [`Frame`]s. What is still in it when it is dropped is freed and counted
/// under the counter that it was made with, so no frame is lost without a name.
///
/// ```no_run
/// # fn main() -> Result<(), pollux::Error> {
/// # let context = pollux::Context::open()?;
/// # let (from, to) = (context.open_port("sim:0")?, context.open_port("sim:2")?);
/// # let (mut rx, mut tx) = (from.rx(0)?, to.tx(0)?);
/// let mut burst = pollux::Burst::<32>::new(&context.drop_counter("forward_tx_full")?);
/// loop {
///     rx.receive(&mut burst);
///     tx.send(&mut burst);    // takes what fits; the rest stays in the burst
///     burst.drop_frames();    // no frame is lost without a name
/// }
/// # }
/// ```
pub struct Burst<const N: usize> {
    frames: [sys::pollux_frame; N],
    count: usize,
    dropped: DropCounter,
}

// SAFETY: frames may move between threads; what `&self` does only reads.
unsafe impl<const N: usize> Send for Burst<N> {}
unsafe impl<const N: usize> Sync for Burst<N> {}

impl<const N: usize> Burst<N> {
    /// An empty one. `dropped` counts the frames that are in it when it is dropped.
    pub fn new(dropped: &DropCounter) -> Burst<N> {
        Burst {
            frames: [EMPTY; N],
            count: 0,
            dropped: dropped.clone(),
        }
    }

    /// Frames for which there is room.
    pub fn room(&self) -> usize {
        N - self.count
    }
    /// Adds a frame at the end, or returns it if there is no room.
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.count == N {
            return Err(frame);
        }
        self.frames[self.count] = frame.release();
        self.count += 1;
        Ok(())
    }
    /// Takes the last frame out.
    pub fn pop(&mut self) -> Option<Frame> {
        let last = self.count.checked_sub(1)?;
        // SAFETY: the frame is not the burst's any more.
        let frame = unsafe { Frame::own(self.frames[last]) };
        self.forget(last..self.count);
        Some(frame)
    }
    /// Takes the frames out, from the first one on, until the iterator ends; those that are left stay in the burst.
    pub fn drain(&mut self) -> Drain<'_, N> {
        // Empty until the iterator is dropped, which may never happen (mem::forget): no frame has two owners.
        let end = std::mem::take(&mut self.count);
        Drain {
            burst: self,
            next: 0,
            end,
        }
    }
    /// The bytes of each frame's first buffer, to write: as `iter_mut`, but a burst is checked once, not each frame. Panics
    /// at a frame whose bytes another one shares.
    #[inline]
    pub fn bytes_mut(&mut self) -> impl Iterator<Item = &mut [u8]> + '_ {
        let count = if guard::is_forked() { 0 } else { self.count };
        self.frames[..count].iter().map(|frame| {
            if frame.flags & SHARED != 0 {
                shared();
            }
            // SAFETY: the buffer is this frame's alone, has that many bytes, and the burst is borrowed for as long.
            unsafe { std::slice::from_raw_parts_mut(frame.data, usize::from(frame.length)) }
        })
    }
    /// Frees all frames, and counts them under the burst's counter.
    #[inline]
    pub fn drop_frames(&mut self) {
        if self.count != 0 && !guard::is_forked() {
            // SAFETY: the frames are owned, and forgotten after this.
            unsafe { self.dropped.drop_frames(self.frames.as_mut_ptr(), self.count) };
        }
        self.forget(0..self.count);
    }
    /// Frees all frames as consumed: no counter counts them. [`crate::Pool::free`] is faster.
    pub fn free(&mut self) {
        // SAFETY: no pool stands for the shared list of the frames' own.
        unsafe { self.free_to(null_mut()) };
    }

    /// # Safety
    /// `pool` is NULL, or belongs to this thread.
    pub(crate) unsafe fn free_to(&mut self, pool: *mut sys::pollux_pool) {
        if self.count != 0 && !guard::is_forked() {
            sys::pollux_free(pool, self.frames.as_mut_ptr(), self.count as u32);
        }
        self.forget(0..self.count);
    }
    /// Calls `store` with where at most `limit` frames have room, and that number; it returns how many it has stored.
    #[inline]
    pub(crate) fn fill(&mut self, limit: usize, store: impl FnOnce(*mut sys::pollux_frame, u32) -> u32) -> usize {
        let room = self.room().min(limit);
        let stored = store(self.frames[self.count..].as_mut_ptr(), room as u32) as usize;
        debug_assert!(stored <= room);
        self.count += stored;
        stored
    }
    /// Calls `take` with the frames; it returns how many it has taken from the front.
    #[inline]
    pub(crate) fn take(&mut self, take: impl FnOnce(*const sys::pollux_frame, u32) -> u32) -> usize {
        let taken = take(self.frames.as_ptr(), self.count as u32) as usize;
        self.forget(0..taken);
        taken
    }

    /// They are not the burst's any more.
    #[inline]
    fn forget(&mut self, range: Range<usize>) {
        if range.end != self.count {
            self.frames.copy_within(range.end..self.count, range.start);
        }
        self.count -= range.len();
    }
}

impl<const N: usize> Deref for Burst<N> {
    type Target = [Frame];
    #[inline]
    fn deref(&self) -> &[Frame] {
        // SAFETY: a Frame is a pollux_frame that is owned, as the first `count` are.
        unsafe { std::slice::from_raw_parts(self.frames.as_ptr().cast(), self.count) }
    }
}

impl<const N: usize> DerefMut for Burst<N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Frame] {
        // SAFETY: as for `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.frames.as_mut_ptr().cast(), self.count) }
    }
}

impl<const N: usize> Drop for Burst<N> {
    fn drop(&mut self) {
        self.drop_frames();
    }
}

impl<const N: usize> std::fmt::Debug for Burst<N> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// Takes frames out of a burst: [`Burst::drain`].
pub struct Drain<'a, const N: usize> {
    burst: &'a mut Burst<N>,
    next: usize,
    end: usize,
}

impl<const N: usize> Iterator for Drain<'_, N> {
    type Item = Frame;
    fn next(&mut self) -> Option<Frame> {
        (self.next < self.end).then(|| {
            self.next += 1;
            // SAFETY: neither the burst nor the iterator counts it any more.
            unsafe { Frame::own(self.burst.frames[self.next - 1]) }
        })
    }
}

impl<const N: usize> Drop for Drain<'_, N> {
    fn drop(&mut self) {
        self.burst.count = self.end;
        self.burst.forget(0..self.next);
    }
}
