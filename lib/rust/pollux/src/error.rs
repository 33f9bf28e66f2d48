// SPDX-License-Identifier: BSD-3-Clause
use pollux_sys as sys;
use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::ptr::{addr_of, NonNull};

/// The kind of a failure; `docs/errors.md` has the cause of each, and what fixes it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Code {
    InvalidArgument,
    BadState,
    NotFound,
    NotSupported,
    PermissionDenied,
    Busy,
    NoMemory,
    Timeout,
    IoError,
    DeviceRemoved,
    DeviceFault,
    NoIommu,
    ModuleNotLoaded,
    NotBound,
    GroupNotViable,
    GroupInUse,
    MemlockTooSmall,
    MappingLimit,
    InUseByHost,
    /// A number that this version of the crate does not know.
    Other(i32),
}

impl Code {
    fn of(number: i32) -> Code {
        match u32::try_from(number).unwrap_or(0) {
            sys::POLLUX_INVALID_ARGUMENT => Code::InvalidArgument,
            sys::POLLUX_BAD_STATE => Code::BadState,
            sys::POLLUX_NOT_FOUND => Code::NotFound,
            sys::POLLUX_NOT_SUPPORTED => Code::NotSupported,
            sys::POLLUX_PERMISSION_DENIED => Code::PermissionDenied,
            sys::POLLUX_BUSY => Code::Busy,
            sys::POLLUX_NO_MEMORY => Code::NoMemory,
            sys::POLLUX_TIMEOUT => Code::Timeout,
            sys::POLLUX_IO_ERROR => Code::IoError,
            sys::POLLUX_DEVICE_REMOVED => Code::DeviceRemoved,
            sys::POLLUX_DEVICE_FAULT => Code::DeviceFault,
            sys::POLLUX_NO_IOMMU => Code::NoIommu,
            sys::POLLUX_MODULE_NOT_LOADED => Code::ModuleNotLoaded,
            sys::POLLUX_NOT_BOUND => Code::NotBound,
            sys::POLLUX_GROUP_NOT_VIABLE => Code::GroupNotViable,
            sys::POLLUX_GROUP_IN_USE => Code::GroupInUse,
            sys::POLLUX_MEMLOCK_TOO_SMALL => Code::MemlockTooSmall,
            sys::POLLUX_MAPPING_LIMIT => Code::MappingLimit,
            sys::POLLUX_IN_USE_BY_HOST => Code::InUseByHost,
            _ => Code::Other(number),
        }
    }
}

/// What failed, and how to fix it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// The kind of the failure.
    pub code: Code,
    /// "what failed: how to fix it", in one line.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

pub(crate) fn error(code: Code, message: impl Into<String>) -> Error {
    Error {
        code,
        message: message.into(),
    }
}

/// Calls `work`, which writes an error and returns whether there is a result.
fn call<T>(work: impl FnOnce(*mut sys::pollux_error) -> Option<T>) -> Result<T, Error> {
    let mut written = MaybeUninit::<sys::pollux_error>::uninit();
    match work(written.as_mut_ptr()) {
        Some(result) => Ok(result),
        // SAFETY: a call that fails has written the code, and a message that ends with 0.
        None => Err(unsafe {
            Error {
                code: Code::of(addr_of!((*written.as_ptr()).code).read()),
                message: text_of(addr_of!((*written.as_ptr()).message).cast()),
            }
        }),
    }
}

/// For a call that returns a code.
pub(crate) fn check(work: impl FnOnce(*mut sys::pollux_error) -> sys::pollux_code) -> Result<(), Error> {
    call(|written| (work(written) == sys::POLLUX_OK as sys::pollux_code).then_some(()))
}

/// For a call that returns an object.
pub(crate) fn object<T>(work: impl FnOnce(*mut sys::pollux_error) -> *mut T) -> Result<NonNull<T>, Error> {
    call(|written| NonNull::new(work(written)))
}

/// For a call that returns a text that the caller frees.
pub(crate) fn text(work: impl FnOnce(*mut sys::pollux_error) -> *mut c_char) -> Result<String, Error> {
    let owned = object(work)?;
    // SAFETY: the text ends with 0, and is freed once.
    unsafe {
        let copy = text_of(owned.as_ptr());
        sys::pollux_text_free(owned.as_ptr());
        Ok(copy)
    }
}

/// # Safety
/// `text` ends with 0.
pub(crate) unsafe fn text_of(text: *const c_char) -> String {
    CStr::from_ptr(text).to_string_lossy().into_owned()
}

pub(crate) fn c_text(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| {
        error(
            Code::InvalidArgument,
            format!("{text:?} has a character of value 0: leave it out"),
        )
    })
}

/// The pointer of a text that may be absent.
pub(crate) fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |present| present.as_ptr())
}
