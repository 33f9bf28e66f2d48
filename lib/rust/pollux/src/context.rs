// SPDX-License-Identifier: BSD-3-Clause
use crate::error::{c_text, check, error, object, pointer, text, Code, Error};
use crate::{guard, DropCounter, Pool, PoolOptions, Port, Telemetry, TelemetryOptions};
use pollux_sys as sys;
use std::collections::HashMap;
use std::ffi::{c_void, CStr};
use std::os::raw::c_char;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::{null_mut, NonNull};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How important a message of the library is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

type LogCallback = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// Which pages the memory for frames and rings has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HugePages {
    /// Huge ones if there are any.
    #[default]
    Prefer,
    /// Huge ones, or an error.
    Require,
    /// Ordinary ones.
    Never,
}

/// How a [`Context`] is opened.
#[derive(Default)]
pub struct ContextOptions {
    flags: u32,
    huge_pages: HugePages,
    arena_bytes: u64,
    log: Option<LogCallback>,
}

impl ContextOptions {
    /// Time passes in [`Context::sleep`] and in calls that wait: for tests with `sim:`.
    pub fn virtual_time(mut self) -> Self {
        self.flags |= sys::POLLUX_VIRTUAL_TIME;
        self
    }
    /// A thread of the library calls [`Context::run_due`].
    pub fn control_thread(mut self) -> Self {
        self.flags |= sys::POLLUX_CONTROL_THREAD;
        self
    }
    /// Which pages the memory has.
    pub fn huge_pages(mut self, pages: HugePages) -> Self {
        self.huge_pages = pages;
        self
    }
    /// Address space to reserve for memory of frames and rings; without this, 64 GiB. It takes no memory.
    pub fn arena_bytes(mut self, bytes: u64) -> Self {
        self.arena_bytes = bytes;
        self
    }
    /// Receives the library's messages, from any thread, but never from a burst; without this they are dropped. Every
    /// call of this crate is an error there. It is never freed, since frames may outlive the Context. A panic in it ends
    /// there.
    pub fn log(mut self, callback: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        self.log = Some(Box::new(callback));
        self
    }
    /// Opens the Context.
    pub fn open(self) -> Result<Context, Error> {
        guard::watch_forks();
        guard::usable()?;
        let user = match self.log {
            Some(callback) => Box::into_raw(Box::new(callback)).cast::<c_void>(),
            None => null_mut(),
        };
        let options = sys::pollux_context_options {
            size: std::mem::size_of::<sys::pollux_context_options>(),
            log: (!user.is_null()).then_some(log_message),
            user,
            arena_bytes: self.arena_bytes,
            flags: self.flags
                | match self.huge_pages {
                    HugePages::Prefer => 0,
                    HugePages::Require => sys::POLLUX_HUGE_PAGES_REQUIRE,
                    HugePages::Never => sys::POLLUX_HUGE_PAGES_NEVER,
                },
        };
        // SAFETY: the options are complete, and what they point to is never freed.
        let raw = object(|written| unsafe { sys::pollux_context_open(&options, written) })?;
        Ok(Context {
            core: Arc::new(Core {
                raw,
                counters: Mutex::default(),
            }),
        })
    }
}

unsafe extern "C" fn log_message(user: *mut c_void, level: sys::pollux_log_level, message: *const c_char) {
    guard::run_log_callback(|| {
        let callback = &*user.cast::<LogCallback>();
        let level = match u32::try_from(level).unwrap_or(sys::POLLUX_LOG_ERROR) {
            sys::POLLUX_LOG_DEBUG => LogLevel::Debug,
            sys::POLLUX_LOG_INFO => LogLevel::Info,
            sys::POLLUX_LOG_WARNING => LogLevel::Warning,
            _ => LogLevel::Error,
        };
        callback(level, &CStr::from_ptr(message).to_string_lossy());
    });
}

/// What all that was opened with a Context keeps alive.
pub(crate) struct Core {
    pub(crate) raw: NonNull<sys::pollux_context>,
    pub(crate) counters: Mutex<HashMap<String, Weak<crate::drops::Counter>>>,
}

// SAFETY: calls of a context may come from any thread.
unsafe impl Send for Core {}
unsafe impl Sync for Core {}

impl Drop for Core {
    fn drop(&mut self) {
        let raw = SendPtr(self.raw);
        // SAFETY: nothing refers to the context any more.
        guard::close(move || unsafe { sys::pollux_context_close(raw.get()) });
    }
}

/// A pointer that another thread may close.
pub(crate) struct SendPtr<T>(pub(crate) NonNull<T>);
// SAFETY: only objects that any thread may close are put into it.
unsafe impl<T> Send for SendPtr<T> {}
impl<T> SendPtr<T> {
    pub(crate) fn get(&self) -> *mut T {
        self.0.as_ptr()
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Owns what would otherwise be global: clock, log, memory for frames and rings, the wires between in-process cards.
/// A clone is another handle on the same one, which ends with the last handle, port, queue, pool and frame.
#[derive(Clone)]
pub struct Context {
    pub(crate) core: Arc<Core>,
}

impl Context {
    /// With the default options.
    pub fn open() -> Result<Context, Error> {
        Context::options().open()
    }
    /// Options to set before [`ContextOptions::open`].
    pub fn options() -> ContextOptions {
        ContextOptions::default()
    }
    /// The context's clock, whose start is arbitrary; virtual time with [`ContextOptions::virtual_time`].
    pub fn now(&self) -> Duration {
        // SAFETY: the context is open.
        Duration::from_nanos(unsafe { sys::pollux_context_now(self.raw()) })
    }
    /// Sleeps; in virtual time, lets it pass, in which in-process cards and wires do their work.
    pub fn sleep(&self, time: Duration) {
        if guard::usable().is_ok() {
            // SAFETY: the context is open.
            unsafe { sys::pollux_context_sleep(self.raw(), nanoseconds(time)) };
        }
    }
    /// Does what is due: statistics of cards, events, telemetry. Call it again when the context's clock has the time that
    /// it returns, at most a second later while a port is open; `None`: no port is. The context's descriptor
    /// ([`AsFd`]) is readable while there is work. A failure of a port is returned once; call again for the others.
    pub fn run_due(&self) -> Result<Option<Duration>, Error> {
        guard::usable()?;
        let mut next = 0;
        // SAFETY: the context is open.
        check(|written| unsafe { sys::pollux_context_run_due(self.raw(), &mut next, written) })?;
        Ok((next != u64::MAX).then_some(Duration::from_nanos(next)))
    }
    /// Opens the port that `uri` names and starts it: "vfio:0000:01:00.0", "xdp:eth0", "sim:0" (`docs/ports.md`).
    pub fn open_port(&self, uri: &str) -> Result<Port, Error> {
        Port::open(&self.core, uri, None)
    }
    /// The same with settings that differ from the defaults, as a JSON object: `{"mtu":9000,"rx":[{},{}]}`.
    pub fn open_port_with(&self, uri: &str, settings: &str) -> Result<Port, Error> {
        Port::open(&self.core, uri, Some(settings))
    }
    /// Opens a pool of frames to send.
    pub fn open_pool(&self, options: &PoolOptions) -> Result<Pool, Error> {
        Pool::open(&self.core, options)
    }
    /// The counter of this name; the same one for the same name.
    pub fn drop_counter(&self, name: &str) -> Result<DropCounter, Error> {
        DropCounter::open(&self.core, name)
    }
    /// Answers `pollux stats`, `pollux capture` and other tools while it is open, in [`Context::run_due`].
    pub fn open_telemetry(&self, options: &TelemetryOptions) -> Result<Telemetry, Error> {
        Telemetry::open(&self.core, options)
    }
    /// Calls a method of the telemetry that concerns no port, such as "ports" or "pools" (`docs/telemetry.md`). `params`
    /// is a JSON object, and so is the result.
    pub fn request(&self, method: &str, params: Option<&str>) -> Result<String, Error> {
        request(&self.core, null_mut(), method, params)
    }
    /// What became of the frames that the in-process card `sim:card` has sent, as a JSON object.
    pub fn wire_counters(&self, card: u32) -> Result<String, Error> {
        guard::usable()?;
        // SAFETY: the context is open.
        text(|written| unsafe { sys::pollux_wire_counters(self.raw(), card, written) })
    }

    fn raw(&self) -> *mut sys::pollux_context {
        self.core.raw.as_ptr()
    }
}

pub(crate) fn request(
    core: &Core,
    port: *mut sys::pollux_port,
    method: &str,
    params: Option<&str>,
) -> Result<String, Error> {
    guard::usable()?;
    let method = c_text(method)?;
    let params = params.map(c_text).transpose()?;
    // SAFETY: the context is open, and so is the port, if there is one.
    text(|written| unsafe { sys::pollux_request(core.raw.as_ptr(), port, method.as_ptr(), pointer(&params), written) })
}

/// -1 if the process had no descriptor left.
impl AsRawFd for Context {
    fn as_raw_fd(&self) -> RawFd {
        // SAFETY: the context is open.
        unsafe { sys::pollux_context_event_fd(self.raw()) }
    }
}

/// Panics if the process had no descriptor left.
impl AsFd for Context {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow(self.as_raw_fd(), "the process had no descriptor left for the context")
    }
}

/// A descriptor that the library keeps open as long as what is borrowed.
pub(crate) fn borrow<'a>(descriptor: RawFd, missing: &str) -> BorrowedFd<'a> {
    assert!(descriptor >= 0, "{missing}");
    // SAFETY: the owner is borrowed for as long.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").finish_non_exhaustive()
    }
}

pub(crate) fn no_queue(direction: &str, index: u16) -> Error {
    error(
        Code::NotFound,
        format!("the port has no {direction} queue {index}: Port::settings lists its queues"),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "cannot wake")]
    fn a_missing_descriptor_is_a_panic() {
        super::borrow(-1, "the queue cannot wake a program");
    }
}
