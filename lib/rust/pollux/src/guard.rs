// SPDX-License-Identifier: BSD-3-Clause
//! What the types cannot forbid: use in a forked child, and calls in the log callback.
use crate::error::{error, Code, Error};
use std::cell::Cell;
use std::os::raw::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Once;

/// This process was forked from one that had a Context. It has no memory of frames, and shares the parent's devices.
static FORKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IN_LOG: Cell<bool> = Cell::new(false);
}

extern "C" {
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
}

extern "C" fn note_fork() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Called before the first Context is opened.
pub(crate) fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: the handler stores a flag. Without memory for the handler, forks are not noticed.
        unsafe { pthread_atfork(None, None, Some(note_fork)) };
    });
}

#[inline]
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Whether a call may enter the library.
pub(crate) fn usable() -> Result<(), Error> {
    if is_forked() {
        return Err(error(
            Code::BadState,
            "this process was forked from one that uses Pollux: fork before the first Context is opened, or exec a program",
        ));
    }
    if IN_LOG.with(Cell::get) {
        return Err(error(
            Code::BadState,
            "a log callback calls Pollux: pass the message to another thread, which does",
        ));
    }
    Ok(())
}

/// Runs a log callback. A panic ends here, after the panic hook has reported it.
pub(crate) fn run_log_callback(callback: impl FnOnce()) {
    let outer = IN_LOG.with(|inside| inside.replace(true));
    if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
        std::mem::forget(payload); // its destructor could panic, too
    }
    IN_LOG.with(|inside| inside.set(outer));
}

/// Closes an object of the library: not in a forked child, and not within the log callback, whose caller holds locks.
pub(crate) fn close(close: impl FnOnce() + Send + 'static) {
    if is_forked() {
        return;
    }
    if IN_LOG.try_with(Cell::get).unwrap_or(false) {
        drop(std::thread::spawn(close));
    } else {
        close();
    }
}
