// SPDX-License-Identifier: BSD-3-Clause
//! The calls, structs and constants of `pollux/pollux.h`, which documents them. The crate `pollux` is their safe form.
#![allow(non_camel_case_types)]

include!("bindings.rs");
