// SPDX-License-Identifier: BSD-3-Clause
use crate::context::{nanoseconds, no_queue, request, Core, SendPtr};
use crate::error::{c_text, check, error, object, pointer, text, text_of, Code, Error};
use crate::{guard, Pool, RxQueue, TxQueue};
use pollux_sys as sys;
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::{null_mut, NonNull};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happened to a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The link came up.
    LinkUp,
    /// The link went down.
    LinkDown,
    /// The device is gone, and the port has failed.
    Removed,
    /// The device does not work any more, and the port has failed.
    Failed,
    /// A transmit queue sent nothing; the port was reset.
    TxTimeout,
    /// A receive queue takes none of the frames that arrive.
    RxTimeout,
    /// A number that this version of the crate does not know.
    Other(i32),
}

/// An event of a port.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Of timeouts.
    pub queue: u16,
    /// "link up, 1000 Mb/s, full duplex".
    pub text: String,
}

/// A started port. Dropped, it is stopped and closed with the last of its queues; frames stay valid.
#[derive(Debug)]
pub struct Port {
    pub(crate) inner: Arc<PortInner>,
}

pub(crate) struct PortInner {
    raw: NonNull<sys::pollux_port>,
    pub(crate) core: Arc<Core>,
    rx: Mutex<BTreeSet<u16>>, // queues that the program has
    tx: Mutex<BTreeSet<u16>>,
    events: Mutex<Option<Arc<EventSender>>>,
    closed: bool,
}

type EventSender = Mutex<Sender<Event>>;

// SAFETY: calls of a port may come from any thread.
unsafe impl Send for PortInner {}
unsafe impl Sync for PortInner {}

impl Port {
    pub(crate) fn open(core: &Arc<Core>, uri: &str, settings: Option<&str>) -> Result<Port, Error> {
        guard::usable()?;
        let uri = c_text(uri)?;
        let settings = settings.map(c_text).transpose()?;
        // SAFETY: the context is open, and the texts end with 0.
        let raw = object(|written| unsafe {
            sys::pollux_port_open(core.raw.as_ptr(), uri.as_ptr(), pointer(&settings), written)
        })?;
        Ok(Port {
            inner: Arc::new(PortInner {
                raw,
                core: core.clone(),
                rx: Mutex::default(),
                tx: Mutex::default(),
                events: Mutex::default(),
                closed: false,
            }),
        })
    }

    /// A receive queue. A thread has it alone: an error of kind [`Code::Busy`] while there is one of this index.
    pub fn rx(&self, index: u16) -> Result<RxQueue, Error> {
        // SAFETY: the port is open.
        self.take(&self.inner.rx, "receive", index, |port| unsafe {
            sys::pollux_port_rx(port, index)
        })
        .map(|raw| RxQueue::own(raw, index, self.inner.clone()))
    }
    /// A transmit queue, likewise.
    pub fn tx(&self, index: u16) -> Result<TxQueue, Error> {
        // SAFETY: the port is open.
        self.take(&self.inner.tx, "transmit", index, |port| unsafe {
            sys::pollux_port_tx(port, index)
        })
        .map(|raw| TxQueue::own(raw, index, self.inner.clone()))
    }
    /// A handle on the pool of a receive queue.
    pub fn pool(&self, queue: u16) -> Result<Pool, Error> {
        guard::usable()?;
        // SAFETY: the port is open.
        object(|written| unsafe { sys::pollux_pool_of_port(self.raw(), queue, written) }).map(Pool::own)
    }

    /// Waits until the link is up. An error of kind [`Code::Timeout`] says what to check.
    pub fn wait_for_link(&self, limit: Duration) -> Result<(), Error> {
        guard::usable()?;
        // SAFETY: the port is open.
        check(|written| unsafe { sys::pollux_port_wait_for_link(self.raw(), nanoseconds(limit), written) })
    }
    /// All that the program has asked of the port, as a JSON object.
    pub fn settings(&self) -> Result<String, Error> {
        guard::usable()?;
        // SAFETY: the port is open.
        text(|written| unsafe { sys::pollux_port_settings(self.raw(), written) })
    }
    /// Changes settings, all of `patch` or none: a merge patch (RFC 7396) of [`Port::settings`], such as
    /// `{"mtu":9000,"vlans":{"7":true,"8":null}}`.
    pub fn change(&self, patch: &str) -> Result<(), Error> {
        guard::usable()?;
        let patch = c_text(patch)?;
        // SAFETY: the port is open.
        check(|written| unsafe { sys::pollux_port_change(self.raw(), patch.as_ptr(), written) })
    }
    /// Calls a method of the telemetry that concerns a port, such as "port.stats" (`docs/telemetry.md`). `params` is a
    /// JSON object without the member `port`; the result is one, too.
    pub fn request(&self, method: &str, params: Option<&str>) -> Result<String, Error> {
        request(&self.inner.core, self.raw(), method, params)
    }

    /// The events from now on, most of them noticed in [`crate::Context::run_due`]. A receiver of an earlier call ends.
    pub fn events(&self) -> Result<Receiver<Event>, Error> {
        guard::usable()?;
        let mut kept = self.inner.stop_events();
        let (sender, receiver) = channel();
        let sender = kept.insert(Arc::new(Mutex::new(sender)));
        let user = Arc::as_ptr(sender) as *mut c_void;
        // SAFETY: the port is open, and the sender is freed after `stop_events`.
        unsafe { sys::pollux_port_on_event(self.raw(), Some(send_event), user) };
        Ok(receiver)
    }

    /// Closes the port and tells what could not be released properly. An error of kind [`Code::Busy`] while the program
    /// has a queue of it: then the port is closed with the last of them.
    pub fn close(self) -> Result<(), Error> {
        guard::usable()?;
        match Arc::try_unwrap(self.inner) {
            Ok(mut inner) => inner.close(),
            Err(_) => Err(error(
                Code::Busy,
                "a queue of the port is in use: drop it, and the port is closed",
            )),
        }
    }

    fn raw(&self) -> *mut sys::pollux_port {
        self.inner.raw.as_ptr()
    }
    fn take<Q>(
        &self,
        taken: &Mutex<BTreeSet<u16>>,
        direction: &str,
        index: u16,
        find: impl FnOnce(*mut sys::pollux_port) -> *mut Q,
    ) -> Result<NonNull<Q>, Error> {
        guard::usable()?;
        let mut taken = lock(taken);
        let queue = NonNull::new(find(self.raw())).ok_or_else(|| no_queue(direction, index))?;
        if taken.insert(index) {
            return Ok(queue);
        }
        Err(error(
            Code::Busy,
            format!("{direction} queue {index} is in use: drop the other one first"),
        ))
    }
}

impl PortInner {
    pub(crate) fn give_rx_back(&self, index: u16) {
        lock(&self.rx).remove(&index);
    }
    pub(crate) fn give_tx_back(&self, index: u16) {
        lock(&self.tx).remove(&index);
    }

    /// No event is sent when this returns.
    fn stop_events(&self) -> MutexGuard<'_, Option<Arc<EventSender>>> {
        let mut kept = lock(&self.events);
        if kept.is_some() {
            // SAFETY: the port is open. It waits for a call of the callback, which waits for nothing.
            unsafe { sys::pollux_port_on_event(self.raw.as_ptr(), None, null_mut()) };
            *kept = None;
        }
        kept
    }
    fn close(&mut self) -> Result<(), Error> {
        self.closed = true;
        drop(self.stop_events());
        // SAFETY: no queue is left, and nothing uses the port after this.
        check(|written| unsafe { sys::pollux_port_close(self.raw.as_ptr(), written) })
    }
}

impl Drop for PortInner {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let sender = lock(&self.events).take();
        let raw = SendPtr(self.raw);
        let core = self.core.clone();
        guard::close(move || {
            // SAFETY: as in `close`; the sender and the core outlive the port.
            unsafe {
                sys::pollux_port_on_event(raw.get(), None, null_mut());
                sys::pollux_port_close(raw.get(), null_mut());
            }
            drop(sender);
            drop(core);
        });
    }
}

impl std::fmt::Debug for PortInner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PortInner").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn send_event(user: *mut c_void, event: *const sys::pollux_event) {
    let send = || {
        let event = &*event;
        let kind = match u32::try_from(event.kind).unwrap_or(u32::MAX) {
            sys::POLLUX_LINK_UP => EventKind::LinkUp,
            sys::POLLUX_LINK_DOWN => EventKind::LinkDown,
            sys::POLLUX_REMOVED => EventKind::Removed,
            sys::POLLUX_FAILED => EventKind::Failed,
            sys::POLLUX_TX_TIMEOUT => EventKind::TxTimeout,
            sys::POLLUX_RX_TIMEOUT => EventKind::RxTimeout,
            _ => EventKind::Other(event.kind),
        };
        let event = Event {
            kind,
            queue: event.queue,
            text: text_of(event.text),
        };
        // Without a receiver nobody asks for events.
        let _ = lock(&*user.cast::<EventSender>()).send(event);
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(send)) {
        std::mem::forget(payload);
    }
}
