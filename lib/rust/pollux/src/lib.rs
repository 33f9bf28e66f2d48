// SPDX-License-Identifier: BSD-3-Clause
//! Pollux: network cards from userspace, tested without one. `docs/guide/rust.md` is the introduction.
//!
//! Misuse that the types allow is an error or a panic, never undefined behaviour. A queue is taken once, and keeps its
//! port open; frames keep their memory. In a child of fork(2) that follows the first Context, every call is an error,
//! and bursts and frames are empty.
#![deny(missing_docs)]

mod burst;
mod context;
mod drops;
mod error;
mod frame;
mod guard;
mod metadata;
mod poller;
mod pool;
mod port;
mod queue;
mod telemetry;

pub use burst::{Burst, Drain};
pub use context::{Context, ContextOptions, HugePages, LogLevel};
pub use drops::DropCounter;
pub use error::{Code, Error};
pub use frame::{Buffers, Frame};
pub use metadata::{offload, packet_type, Checksum, Metadata, Offload};
pub use poller::{Poller, QueueKey, Waker};
pub use pool::{Pool, PoolOptions};
pub use port::{Event, EventKind, Port};
pub use queue::{RxQueue, TxQueue};
pub use telemetry::{Telemetry, TelemetryOptions};

/// The code of the guide's chapter is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/guide/rust.md")]
pub mod guide {}

/// The version of the library, such as "0.9.0".
pub fn version() -> String {
    // SAFETY: the library returns a constant.
    unsafe { error::text_of(pollux_sys::pollux_version()) }
}
