// SPDX-License-Identifier: BSD-3-Clause
use crate::context::{Core, SendPtr};
use crate::error::{c_text, object, pointer, Error};
use crate::frame::EMPTY;
use crate::{guard, Burst, Frame};
use pollux_sys as sys;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// How a [`Pool`] is opened; a member that is 0 stands for the default.
#[derive(Clone, Debug, Default)]
pub struct PoolOptions {
    /// For messages and "pools".
    pub name: Option<String>,
    /// Frames; 8192 by default.
    pub count: u32,
    /// Bytes of each after the headroom; 2048 by default.
    pub data_room: u32,
    /// Bytes before a frame; 128 by default, and `u32::MAX` for none.
    pub headroom: u32,
}

/// A handle on a pool of frames, with a cache of its own: one thread at a time has it. Its frames may outlive it.
pub struct Pool {
    raw: NonNull<sys::pollux_pool>,
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: one thread at a time uses a pool.
unsafe impl Send for Pool {}

impl Pool {
    pub(crate) fn open(core: &Arc<Core>, options: &PoolOptions) -> Result<Pool, Error> {
        guard::usable()?;
        let name = options.name.as_deref().map(c_text).transpose()?;
        let options = sys::pollux_pool_options {
            size: std::mem::size_of::<sys::pollux_pool_options>(),
            name: pointer(&name),
            count: options.count,
            data_room: options.data_room,
            headroom: options.headroom,
        };
        // SAFETY: the context is open, and the options complete.
        object(|written| unsafe { sys::pollux_pool_open(core.raw.as_ptr(), &options, written) }).map(Pool::own)
    }
    pub(crate) fn own(raw: NonNull<sys::pollux_pool>) -> Pool {
        Pool {
            raw,
            not_sync: PhantomData,
        }
    }
    pub(crate) fn raw(&mut self) -> *mut sys::pollux_pool {
        self.raw.as_ptr()
    }

    /// A frame of that many bytes, whose content is left over from earlier use. `None`: the pool is exhausted, which it
    /// counts, or a frame has not that much room.
    pub fn alloc(&mut self, bytes: u32) -> Option<Frame> {
        let mut frame = EMPTY;
        if guard::is_forked() {
            return None;
        }
        // SAFETY: the pool is open, and a frame that it stores is the caller's.
        unsafe { sys::pollux_alloc(self.raw(), &mut frame, 1, bytes).then(|| Frame::own(frame)) }
    }
    /// Adds `count` such frames to a burst, or none: false, also if it has no room for them.
    #[must_use]
    pub fn alloc_burst<const N: usize>(&mut self, burst: &mut Burst<N>, count: usize, bytes: u32) -> bool {
        if count > burst.room() || guard::is_forked() {
            return false;
        }
        let raw = self.raw();
        // SAFETY: the pool is open, and there is room for that many frames.
        count
            == burst.fill(count, |frames, count| unsafe {
                if sys::pollux_alloc(raw, frames, count, bytes) {
                    count
                } else {
                    0
                }
            })
    }
    /// Frees the frames of a burst as consumed: no counter counts them. They may belong to any pool.
    pub fn free<const N: usize>(&mut self, burst: &mut Burst<N>) {
        // SAFETY: the pool belongs to this thread.
        unsafe { burst.free_to(self.raw()) };
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let raw = SendPtr(self.raw);
        // SAFETY: nothing else refers to the handle.
        guard::close(move || unsafe { sys::pollux_pool_close(raw.get()) });
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pool").finish_non_exhaustive()
    }
}
