// SPDX-License-Identifier: BSD-3-Clause
use crate::context::{borrow, nanoseconds};
use crate::error::{check, Error};
use crate::port::PortInner;
use crate::{guard, Burst, Frame};
use pollux_sys as sys;
use std::cell::Cell;
use std::marker::PhantomData;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// A receive queue of a port, of one thread at a time. While its port is stopped, bursts are empty.
///
/// To sleep in an event loop: receive; if there is nothing, [`RxQueue::arm`]; if that returns true, wait until the
/// descriptor ([`AsRawFd`]) is readable, then [`RxQueue::disarm`] and receive again.
pub struct RxQueue {
    raw: NonNull<sys::pollux_rx>,
    index: u16,
    port: Arc<PortInner>,
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: one thread at a time uses a queue.
unsafe impl Send for RxQueue {}

impl RxQueue {
    pub(crate) fn own(raw: NonNull<sys::pollux_rx>, index: u16, port: Arc<PortInner>) -> RxQueue {
        RxQueue {
            raw,
            index,
            port,
            not_sync: PhantomData,
        }
    }
    pub(crate) fn raw(&self) -> *mut sys::pollux_rx {
        self.raw.as_ptr()
    }

    /// Its index in the port.
    pub fn index(&self) -> u16 {
        self.index
    }
    /// Adds frames that were received to the burst, as far as it has room, and returns how many. Never waits.
    #[inline]
    pub fn receive<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        if guard::is_forked() {
            return 0;
        }
        // SAFETY: the port is open, and there is room for that many frames.
        burst.fill(N, |frames, room| unsafe {
            sys::pollux_rx_burst(self.raw(), frames, room)
        })
    }
    /// The same, but sleeps until there are frames, at most for that long; 0: none came in time. An error of kind
    /// [`crate::Code::NotSupported`]: the queue cannot wake a program.
    pub fn wait<const N: usize>(&mut self, burst: &mut Burst<N>, limit: Duration) -> Result<usize, Error> {
        guard::usable()?;
        let context = self.port.core.raw.as_ptr();
        let mut outcome = Ok(());
        // SAFETY: the port is open, and there is room for that many frames.
        let received = burst.fill(N, |frames, room| unsafe {
            let mut received = 0;
            outcome = check(|written| {
                sys::pollux_rx_wait(
                    context,
                    self.raw(),
                    frames,
                    room,
                    nanoseconds(limit),
                    &mut received,
                    written,
                )
            });
            received
        });
        outcome.map(|()| received)
    }
    /// Makes the descriptor readable when a frame comes. False: receive again instead of waiting; or the queue cannot
    /// wake a program.
    #[must_use]
    pub fn arm(&mut self) -> bool {
        // SAFETY: the port is open.
        !guard::is_forked() && unsafe { sys::pollux_rx_arm(self.raw()) }
    }
    /// The queue no longer changes the descriptor.
    pub fn disarm(&mut self) {
        if !guard::is_forked() {
            // SAFETY: the port is open.
            unsafe { sys::pollux_rx_disarm(self.raw()) };
        }
    }
}

/// -1: the queue cannot wake a program.
impl AsRawFd for RxQueue {
    fn as_raw_fd(&self) -> RawFd {
        // SAFETY: the port is open.
        unsafe { sys::pollux_rx_event_fd(self.raw()) }
    }
}

/// Panics if the queue cannot wake a program: [`AsRawFd`] is -1 then.
impl AsFd for RxQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow(self.as_raw_fd(), "the queue cannot wake a program")
    }
}

impl Drop for RxQueue {
    fn drop(&mut self) {
        self.port.give_rx_back(self.index);
    }
}

impl std::fmt::Debug for RxQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("RxQueue").field(&self.index).finish()
    }
}

/// A transmit queue of a port, of one thread at a time. While its port is stopped, it takes nothing.
pub struct TxQueue {
    raw: NonNull<sys::pollux_tx>,
    index: u16,
    port: Arc<PortInner>,
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: one thread at a time uses a queue.
unsafe impl Send for TxQueue {}

impl TxQueue {
    pub(crate) fn own(raw: NonNull<sys::pollux_tx>, index: u16, port: Arc<PortInner>) -> TxQueue {
        TxQueue {
            raw,
            index,
            port,
            not_sync: PhantomData,
        }
    }

    /// Its index in the port.
    pub fn index(&self) -> u16 {
        self.index
    }
    /// Takes frames from the front of the burst until the ring is full, and returns their number; the rest stays in the
    /// burst. Frames that cannot be sent (too long, too short, of another Context) are taken, too, and counted as drops of
    /// the port. An empty burst only frees what was sent.
    #[inline]
    pub fn send<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        if guard::is_forked() {
            return 0;
        }
        // SAFETY: the port is open, and the burst forgets the frames that are taken.
        burst.take(|frames, count| unsafe { sys::pollux_tx_burst(self.raw.as_ptr(), frames, count) })
    }
    /// Sends one frame, or returns it if the ring is full.
    pub fn send_one(&mut self, frame: Frame) -> Result<(), Frame> {
        // SAFETY: the port is open, and a frame that is taken is forgotten.
        let taken = !guard::is_forked() && unsafe { sys::pollux_tx_burst(self.raw.as_ptr(), frame.raw(), 1) } == 1;
        if taken {
            frame.release();
            return Ok(());
        }
        Err(frame)
    }
}

impl Drop for TxQueue {
    fn drop(&mut self) {
        self.port.give_tx_back(self.index);
    }
}

impl std::fmt::Debug for TxQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("TxQueue").field(&self.index).finish()
    }
}
