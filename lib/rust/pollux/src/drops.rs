// SPDX-License-Identifier: BSD-3-Clause
use crate::context::Core;
use crate::error::{c_text, object, Error};
use crate::guard;
use pollux_sys as sys;
use std::ptr::{null_mut, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

/// A named reason for which the program drops frames. Captures show the frames with it. A clone is the same counter; any
/// thread may count.
#[derive(Clone)]
pub struct DropCounter {
    counter: Arc<Counter>,
}

pub(crate) struct Counter {
    raw: NonNull<sys::pollux_drop_counter>,
    lock: Mutex<()>, // one thread at a time counts
    name: String,
    _core: Arc<Core>,
}

// SAFETY: `lock` is held while frames are counted, and any thread may read the count.
unsafe impl Send for Counter {}
unsafe impl Sync for Counter {}

impl DropCounter {
    pub(crate) fn open(core: &Arc<Core>, name: &str) -> Result<DropCounter, Error> {
        guard::usable()?;
        let text = c_text(name)?;
        // All handles of a name have the same lock.
        let mut counters = core.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get(name).and_then(|known| known.upgrade()) {
            return Ok(DropCounter { counter });
        }
        // SAFETY: the context is open.
        let raw =
            object(|written| unsafe { sys::pollux_drop_counter_open(core.raw.as_ptr(), text.as_ptr(), written) })?;
        let counter = Arc::new(Counter {
            raw,
            lock: Mutex::new(()),
            name: name.to_owned(),
            _core: core.clone(),
        });
        counters.insert(name.to_owned(), Arc::downgrade(&counter));
        Ok(DropCounter { counter })
    }

    /// The name that it was opened with.
    pub fn name(&self) -> &str {
        &self.counter.name
    }

    /// Frames counted so far.
    pub fn count(&self) -> u64 {
        // SAFETY: the counter lives as long as the context.
        unsafe { sys::pollux_drop_count(self.counter.raw.as_ptr()) }
    }

    /// # Safety
    /// There are that many frames, which the caller owns and does not use any more.
    pub(crate) unsafe fn drop_frames(&self, frames: *mut sys::pollux_frame, count: usize) {
        let _held = self.counter.lock.lock().unwrap_or_else(PoisonError::into_inner);
        sys::pollux_drop(self.counter.raw.as_ptr(), null_mut(), frames, count as u32);
    }
}

impl std::fmt::Debug for DropCounter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("DropCounter").field(&self.name()).finish()
    }
}
