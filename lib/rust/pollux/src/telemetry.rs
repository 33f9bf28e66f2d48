// SPDX-License-Identifier: BSD-3-Clause
use crate::context::{Core, SendPtr};
use crate::error::{c_text, object, pointer, Error};
use crate::guard;
use pollux_sys as sys;
use std::ptr::NonNull;
use std::sync::Arc;

/// How a [`Telemetry`] is opened.
#[derive(Clone, Debug, Default)]
pub struct TelemetryOptions {
    /// Path of the socket; without it, PID.sock in `directory`.
    pub socket: Option<String>,
    /// Without it, as `docs/telemetry.md` says, where the tools look.
    pub directory: Option<String>,
    /// The name in answers; without it, that of the process.
    pub program: Option<String>,
    /// Requests that change a port are refused.
    pub read_only: bool,
}

/// Answers `pollux stats`, `pollux capture` and other tools while it is open, in [`crate::Context::run_due`].
pub struct Telemetry {
    raw: NonNull<sys::pollux_telemetry>,
}

// SAFETY: any thread may close it, and there is no other call.
unsafe impl Send for Telemetry {}
unsafe impl Sync for Telemetry {}

impl Telemetry {
    pub(crate) fn open(core: &Arc<Core>, options: &TelemetryOptions) -> Result<Telemetry, Error> {
        guard::usable()?;
        let text = |given: &Option<String>| given.as_deref().map(c_text).transpose();
        let (socket, directory, program) = (
            text(&options.socket)?,
            text(&options.directory)?,
            text(&options.program)?,
        );
        let raw_options = sys::pollux_telemetry_options {
            size: std::mem::size_of::<sys::pollux_telemetry_options>(),
            socket: pointer(&socket),
            directory: pointer(&directory),
            program: pointer(&program),
            flags: if options.read_only {
                sys::POLLUX_TELEMETRY_READ_ONLY
            } else {
                0
            },
        };
        // SAFETY: the context is open, and the options complete.
        object(|written| unsafe { sys::pollux_telemetry_open(core.raw.as_ptr(), &raw_options, written) })
            .map(|raw| Telemetry { raw })
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let raw = SendPtr(self.raw);
        // SAFETY: nothing else refers to it.
        guard::close(move || unsafe { sys::pollux_telemetry_close(raw.get()) });
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Telemetry").finish_non_exhaustive()
    }
}
