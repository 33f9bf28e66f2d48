// SPDX-License-Identifier: BSD-3-Clause
use crate::context::{nanoseconds, Core, SendPtr};
use crate::error::{check, error, object, Code, Error};
use crate::frame::EMPTY;
use crate::{guard, Burst, Context, DropCounter, RxQueue};
use pollux_sys as sys;
use std::any::Any;
use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// Frames that one call of a poller's closure gets at most.
const MOST: usize = 64;

type Handler = Box<dyn FnMut(&mut Burst<MOST>) + Send>;

/// Polls receive queues in turns, fairly, and sleeps while none has frames. It has no thread of its own.
pub struct Poller {
    raw: Arc<RawPoller>,
    queues: Vec<NonNull<Polled>>, // boxes, which `handle` uses, too
    core: Arc<Core>,
    not_sync: PhantomData<Cell<()>>,
}

struct Polled {
    handler: Handler,
    burst: Burst<MOST>,
    panic: Option<Box<dyn Any + Send>>,
    queue: RxQueue,
}

// SAFETY: what the boxes have is Send, and one thread at a time has the poller.
unsafe impl Send for Poller {}

struct RawPoller(NonNull<sys::pollux_poller>);

// SAFETY: only `Poller`, which one thread at a time has, uses it, besides calls that wake it, which any thread may make.
unsafe impl Send for RawPoller {}
unsafe impl Sync for RawPoller {}

impl Drop for RawPoller {
    fn drop(&mut self) {
        let raw = SendPtr(self.0);
        // SAFETY: it polls no queue any more, and nothing else refers to it.
        guard::close(move || unsafe { sys::pollux_poller_close(raw.get()) });
    }
}

impl Poller {
    /// A poller without queues.
    pub fn open(context: &Context) -> Result<Poller, Error> {
        guard::usable()?;
        // SAFETY: the context is open.
        let raw = object(|written| unsafe { sys::pollux_poller_open(context.core.raw.as_ptr(), written) })?;
        Ok(Poller {
            raw: Arc::new(RawPoller(raw)),
            queues: Vec::new(),
            core: context.core.clone(),
            not_sync: PhantomData,
        })
    }

    /// Polls `queue` from now on, and calls `handler` with the frames of each poll, at least one. What is left in the
    /// burst after that is freed and counted under `dropped`. `weight`: frames that the queue may deliver in its turn, 1
    /// to 1024; 0: 64. Returns a key for [`Poller::remove`].
    pub fn add(
        &mut self,
        queue: RxQueue,
        weight: u32,
        dropped: &DropCounter,
        handler: impl FnMut(&mut Burst<MOST>) + Send + 'static,
    ) -> Result<QueueKey, Error> {
        guard::usable()?;
        let polled = Box::into_raw(Box::new(Polled {
            handler: Box::new(handler),
            burst: Burst::new(dropped),
            panic: None,
            queue,
        }));
        // SAFETY: it was a box just now, and stays one until the queue is removed.
        unsafe {
            let rx = (*polled).queue.raw();
            let added =
                check(|written| sys::pollux_poller_add(self.raw(), rx, weight, Some(handle), polled.cast(), written));
            if let Err(error) = added {
                drop(Box::from_raw(polled));
                return Err(error);
            }
            self.queues.push(NonNull::new_unchecked(polled));
            Ok(QueueKey(rx as usize))
        }
    }
    /// Ends that, and returns the queue.
    pub fn remove(&mut self, key: QueueKey) -> Result<RxQueue, Error> {
        guard::usable()?;
        // SAFETY: those in the list are boxes. The poller does not use one whose queue it does not poll.
        unsafe {
            let place = self
                .queues
                .iter()
                .position(|polled| (*polled.as_ptr()).queue.raw() as usize == key.0)
                .ok_or_else(|| error(Code::NotFound, "the poller does not poll this queue: add it first"))?;
            let rx = (*self.queues[place].as_ptr()).queue.raw();
            check(|written| sys::pollux_poller_remove(self.raw(), rx, written))?;
            let polled = *Box::from_raw(self.queues.swap_remove(place).as_ptr());
            drop(polled.handler); // where it panics, the queue is dropped, too
            Ok(polled.queue)
        }
    }
    /// Polls each queue in its turn; if none has frames, sleeps until one has, `limit` has passed, or a [`Waker`] wakes
    /// it; at most a second. Returns how many frames came. A panic of a handler goes on here.
    pub fn run_once(&mut self, limit: Duration) -> Result<usize, Error> {
        guard::usable()?;
        let mut frames = 0;
        // SAFETY: the poller is open, and so are the ports of its queues.
        let outcome = check(|written| unsafe {
            sys::pollux_poller_run_once(self.raw(), nanoseconds(limit), &mut frames, written)
        });
        for polled in &self.queues {
            // SAFETY: no handler runs now.
            if let Some(panic) = unsafe { (*polled.as_ptr()).panic.take() } {
                resume_unwind(panic);
            }
        }
        outcome.map(|()| frames as usize)
    }
    /// Wakes the poller from other threads.
    pub fn waker(&self) -> Waker {
        Waker {
            raw: self.raw.clone(),
            _core: self.core.clone(),
        }
    }

    fn raw(&self) -> *mut sys::pollux_poller {
        self.raw.0.as_ptr()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if guard::is_forked() {
            return;
        }
        let mut panic = None;
        while let Some(polled) = self.queues.pop() {
            // SAFETY: the poller does not use the box any more once it does not poll the queue.
            let end = AssertUnwindSafe(|| unsafe {
                let rx = (*polled.as_ptr()).queue.raw();
                if check(|written| sys::pollux_poller_remove(self.raw(), rx, written)).is_ok() {
                    drop(Box::from_raw(polled.as_ptr()));
                }
            });
            // A handler whose destructor panics keeps no other queue.
            if let Err(payload) = catch_unwind(end) {
                keep_first(&mut panic, payload);
            }
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

unsafe extern "C" fn handle(user: *mut c_void, frames: *mut sys::pollux_frame, count: u32) {
    let polled = &mut *user.cast::<Polled>();
    let mut next = frames;
    let mut left = count as usize;
    // One burst is never longer than MOST; if it were, no frame would be lost.
    while left != 0 {
        let stored = polled.burst.fill(left, |room, most| {
            for place in 0..most as usize {
                room.add(place).write(copy_of(next.add(place)));
            }
            most
        });
        next = next.add(stored);
        left -= stored;
        let handler = AssertUnwindSafe(|| (polled.handler)(&mut polled.burst));
        if let Err(payload) = catch_unwind(handler) {
            keep_first(&mut polled.panic, payload);
        }
        polled.burst.drop_frames();
    }
}

/// The destructor of another one could panic, too.
fn keep_first(panic: &mut Option<Box<dyn Any + Send>>, payload: Box<dyn Any + Send>) {
    match panic {
        None => *panic = Some(payload),
        Some(_) => std::mem::forget(payload),
    }
}

/// Without what the library leaves uninitialised.
unsafe fn copy_of(frame: *const sys::pollux_frame) -> sys::pollux_frame {
    use std::ptr::addr_of;
    sys::pollux_frame {
        data: addr_of!((*frame).data).read(),
        handle: addr_of!((*frame).handle).read(),
        length: addr_of!((*frame).length).read(),
        reserved: addr_of!((*frame).reserved).read(),
        flags: addr_of!((*frame).flags).read(),
        headroom: addr_of!((*frame).headroom).read(),
        origin: addr_of!((*frame).origin).read(),
        capacity: addr_of!((*frame).capacity).read(),
        ..EMPTY
    }
}

/// Names a queue of a poller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueKey(usize);

/// Wakes a [`Poller`] from any thread.
#[derive(Clone)]
pub struct Waker {
    raw: Arc<RawPoller>,
    _core: Arc<Core>,
}

impl Waker {
    /// Ends the sleep of [`Poller::run_once`], or its next one.
    pub fn wake(&self) {
        if !guard::is_forked() {
            // SAFETY: the poller is open.
            unsafe { sys::pollux_poller_wake(self.raw.0.as_ptr()) };
        }
    }
}
