// SPDX-License-Identifier: BSD-3-Clause
// Made from include/pollux/pollux.h by lib/rust/pollux-sys/generate.

pub type pollux_code = i32;
pub const POLLUX_OK: _bindgen_ty_1 = 0;
pub const POLLUX_INVALID_ARGUMENT: _bindgen_ty_1 = 1;
pub const POLLUX_BAD_STATE: _bindgen_ty_1 = 2;
pub const POLLUX_NOT_FOUND: _bindgen_ty_1 = 3;
pub const POLLUX_NOT_SUPPORTED: _bindgen_ty_1 = 4;
pub const POLLUX_PERMISSION_DENIED: _bindgen_ty_1 = 5;
pub const POLLUX_BUSY: _bindgen_ty_1 = 6;
pub const POLLUX_NO_MEMORY: _bindgen_ty_1 = 7;
pub const POLLUX_TIMEOUT: _bindgen_ty_1 = 8;
pub const POLLUX_IO_ERROR: _bindgen_ty_1 = 9;
pub const POLLUX_DEVICE_REMOVED: _bindgen_ty_1 = 10;
pub const POLLUX_DEVICE_FAULT: _bindgen_ty_1 = 11;
pub const POLLUX_NO_IOMMU: _bindgen_ty_1 = 12;
pub const POLLUX_MODULE_NOT_LOADED: _bindgen_ty_1 = 13;
pub const POLLUX_NOT_BOUND: _bindgen_ty_1 = 14;
pub const POLLUX_GROUP_NOT_VIABLE: _bindgen_ty_1 = 15;
pub const POLLUX_GROUP_IN_USE: _bindgen_ty_1 = 16;
pub const POLLUX_MEMLOCK_TOO_SMALL: _bindgen_ty_1 = 17;
pub const POLLUX_MAPPING_LIMIT: _bindgen_ty_1 = 18;
pub const POLLUX_IN_USE_BY_HOST: _bindgen_ty_1 = 19;
pub type _bindgen_ty_1 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_error {
    pub code: pollux_code,
    pub message: [::std::os::raw::c_char; 1020usize],
}
extern "C" {
    pub fn pollux_code_name(code: pollux_code) -> *const ::std::os::raw::c_char;
}
extern "C" {
    pub fn pollux_version() -> *const ::std::os::raw::c_char;
}
extern "C" {
    pub fn pollux_text_free(text: *mut ::std::os::raw::c_char);
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_context {
    _unused: [u8; 0],
}
pub type pollux_log_level = i32;
pub const POLLUX_LOG_DEBUG: _bindgen_ty_2 = 0;
pub const POLLUX_LOG_INFO: _bindgen_ty_2 = 1;
pub const POLLUX_LOG_WARNING: _bindgen_ty_2 = 2;
pub const POLLUX_LOG_ERROR: _bindgen_ty_2 = 3;
pub type _bindgen_ty_2 = ::std::os::raw::c_uint;
pub type pollux_log_callback = ::std::option::Option<
    unsafe extern "C" fn(
        user: *mut ::std::os::raw::c_void,
        level: pollux_log_level,
        message: *const ::std::os::raw::c_char,
    ),
>;
pub const POLLUX_CONTROL_THREAD: _bindgen_ty_3 = 1;
pub const POLLUX_VIRTUAL_TIME: _bindgen_ty_3 = 2;
pub const POLLUX_HUGE_PAGES_REQUIRE: _bindgen_ty_3 = 4;
pub const POLLUX_HUGE_PAGES_NEVER: _bindgen_ty_3 = 8;
pub type _bindgen_ty_3 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_context_options {
    pub size: usize,
    pub log: pollux_log_callback,
    pub user: *mut ::std::os::raw::c_void,
    pub arena_bytes: u64,
    pub flags: u32,
}
extern "C" {
    pub fn pollux_context_open(options: *const pollux_context_options, error: *mut pollux_error)
        -> *mut pollux_context;
}
extern "C" {
    pub fn pollux_context_close(context: *mut pollux_context);
}
extern "C" {
    pub fn pollux_context_now(context: *const pollux_context) -> u64;
}
extern "C" {
    pub fn pollux_context_sleep(context: *mut pollux_context, nanoseconds: u64);
}
extern "C" {
    pub fn pollux_context_run_due(
        context: *mut pollux_context,
        next: *mut u64,
        error: *mut pollux_error,
    ) -> pollux_code;
}
extern "C" {
    pub fn pollux_context_event_fd(context: *mut pollux_context) -> ::std::os::raw::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_port {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_rx {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_tx {
    _unused: [u8; 0],
}
extern "C" {
    pub fn pollux_port_open(
        context: *mut pollux_context,
        uri: *const ::std::os::raw::c_char,
        settings: *const ::std::os::raw::c_char,
        error: *mut pollux_error,
    ) -> *mut pollux_port;
}
extern "C" {
    pub fn pollux_port_close(port: *mut pollux_port, error: *mut pollux_error) -> pollux_code;
}
extern "C" {
    pub fn pollux_port_rx(port: *mut pollux_port, index: u16) -> *mut pollux_rx;
}
extern "C" {
    pub fn pollux_port_tx(port: *mut pollux_port, index: u16) -> *mut pollux_tx;
}
extern "C" {
    pub fn pollux_port_wait_for_link(port: *mut pollux_port, nanoseconds: u64, error: *mut pollux_error)
        -> pollux_code;
}
extern "C" {
    pub fn pollux_port_settings(port: *mut pollux_port, error: *mut pollux_error) -> *mut ::std::os::raw::c_char;
}
extern "C" {
    pub fn pollux_port_change(
        port: *mut pollux_port,
        patch: *const ::std::os::raw::c_char,
        error: *mut pollux_error,
    ) -> pollux_code;
}
extern "C" {
    pub fn pollux_request(
        context: *mut pollux_context,
        port: *mut pollux_port,
        method: *const ::std::os::raw::c_char,
        params: *const ::std::os::raw::c_char,
        error: *mut pollux_error,
    ) -> *mut ::std::os::raw::c_char;
}
pub const POLLUX_LINK_UP: _bindgen_ty_4 = 0;
pub const POLLUX_LINK_DOWN: _bindgen_ty_4 = 1;
pub const POLLUX_REMOVED: _bindgen_ty_4 = 2;
pub const POLLUX_FAILED: _bindgen_ty_4 = 3;
pub const POLLUX_TX_TIMEOUT: _bindgen_ty_4 = 4;
pub const POLLUX_RX_TIMEOUT: _bindgen_ty_4 = 5;
pub type _bindgen_ty_4 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_event {
    pub kind: i32,
    pub queue: u16,
    pub text: *const ::std::os::raw::c_char,
}
pub type pollux_event_callback =
    ::std::option::Option<unsafe extern "C" fn(user: *mut ::std::os::raw::c_void, event: *const pollux_event)>;
extern "C" {
    pub fn pollux_port_on_event(
        port: *mut pollux_port,
        callback: pollux_event_callback,
        user: *mut ::std::os::raw::c_void,
    );
}
pub const POLLUX_FRAME_SHARED: _bindgen_ty_5 = 17;
pub const POLLUX_FRAME_SEGMENTED: _bindgen_ty_5 = 2;
pub type _bindgen_ty_5 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_frame {
    pub data: *mut u8,
    pub handle: *mut ::std::os::raw::c_void,
    pub length: u16,
    pub reserved: u8,
    pub flags: u8,
    pub headroom: u16,
    pub origin: u16,
    pub capacity: u32,
    pub unused: u32,
}
extern "C" {
    pub fn pollux_frame_bytes(frame: *const pollux_frame) -> u32;
}
extern "C" {
    pub fn pollux_frame_next(frame: *const pollux_frame, next: *mut pollux_frame) -> bool;
}
extern "C" {
    pub fn pollux_frame_copy(
        frame: *const pollux_frame,
        offset: usize,
        to: *mut ::std::os::raw::c_void,
        bytes: usize,
    ) -> usize;
}
extern "C" {
    pub fn pollux_frame_append(frame: *mut pollux_frame, bytes: u32) -> *mut u8;
}
extern "C" {
    pub fn pollux_frame_prepend(frame: *mut pollux_frame, bytes: u32) -> *mut u8;
}
extern "C" {
    pub fn pollux_frame_strip(frame: *mut pollux_frame, bytes: u32) -> bool;
}
extern "C" {
    pub fn pollux_frame_trim(frame: *mut pollux_frame, bytes: u32) -> bool;
}
extern "C" {
    pub fn pollux_frame_chain(frame: *mut pollux_frame, more: *const pollux_frame) -> bool;
}
pub const POLLUX_HAS_RSS_HASH: _bindgen_ty_6 = 1;
pub const POLLUX_HAS_VLAN: _bindgen_ty_6 = 2;
pub const POLLUX_VLAN_IS_INNER: _bindgen_ty_6 = 4;
pub const POLLUX_BAD_FRAME: _bindgen_ty_6 = 8;
pub const POLLUX_STAMPED: _bindgen_ty_6 = 16;
pub type _bindgen_ty_6 = ::std::os::raw::c_uint;
pub const POLLUX_IPV4: _bindgen_ty_7 = 1;
pub const POLLUX_IPV4_OPTIONS: _bindgen_ty_7 = 2;
pub const POLLUX_IPV6: _bindgen_ty_7 = 4;
pub const POLLUX_IPV6_EXTENSIONS: _bindgen_ty_7 = 8;
pub const POLLUX_TCP: _bindgen_ty_7 = 16;
pub const POLLUX_UDP: _bindgen_ty_7 = 32;
pub const POLLUX_SCTP: _bindgen_ty_7 = 64;
pub type _bindgen_ty_7 = ::std::os::raw::c_uint;
pub const POLLUX_CHECKSUM_UNKNOWN: _bindgen_ty_8 = 0;
pub const POLLUX_CHECKSUM_GOOD: _bindgen_ty_8 = 1;
pub const POLLUX_CHECKSUM_BAD: _bindgen_ty_8 = 2;
pub const POLLUX_CHECKSUM_PARTIAL: _bindgen_ty_8 = 3;
pub type _bindgen_ty_8 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_metadata {
    pub size: usize,
    pub flags: u32,
    pub packet_type: u32,
    pub rss_hash: u32,
    pub vlan: u16,
    pub port: u16,
    pub ip_checksum: u8,
    pub l4_checksum: u8,
    pub reserved: [u8; 6usize],
    pub timestamp: u64,
}
extern "C" {
    pub fn pollux_frame_metadata(frame: *const pollux_frame, metadata: *mut pollux_metadata);
}
pub const POLLUX_OFFLOAD_IPV4_CHECKSUM: _bindgen_ty_9 = 1;
pub const POLLUX_OFFLOAD_TCP_CHECKSUM: _bindgen_ty_9 = 2;
pub const POLLUX_OFFLOAD_UDP_CHECKSUM: _bindgen_ty_9 = 4;
pub const POLLUX_OFFLOAD_SCTP_CHECKSUM: _bindgen_ty_9 = 8;
pub const POLLUX_OFFLOAD_TCP_SEGMENTATION: _bindgen_ty_9 = 16;
pub const POLLUX_OFFLOAD_INSERT_VLAN: _bindgen_ty_9 = 32;
pub const POLLUX_OFFLOAD_TIMESTAMP: _bindgen_ty_9 = 64;
pub const POLLUX_OFFLOAD_UDP_SEGMENTATION: _bindgen_ty_9 = 128;
pub const POLLUX_OFFLOAD_INSERT_OUTER_VLAN: _bindgen_ty_9 = 256;
pub const POLLUX_OFFLOAD_OUTER_IPV4_CHECKSUM: _bindgen_ty_9 = 512;
pub const POLLUX_OFFLOAD_OUTER_UDP_CHECKSUM: _bindgen_ty_9 = 1024;
pub const POLLUX_OFFLOAD_WITHOUT_FCS: _bindgen_ty_9 = 2048;
pub type _bindgen_ty_9 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_offload {
    pub size: usize,
    pub flags: u32,
    pub vlan: u16,
    pub outer_vlan: u16,
    pub l2: u16,
    pub l3: u16,
    pub outer_l2: u16,
    pub outer_l3: u16,
    pub l4: u16,
    pub segment_size: u16,
}
extern "C" {
    pub fn pollux_frame_set_offload(frame: *mut pollux_frame, offload: *const pollux_offload);
}
extern "C" {
    pub fn pollux_frame_request_checksums(frame: *mut pollux_frame, offload: *const pollux_offload) -> bool;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_pool {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_pool_options {
    pub size: usize,
    pub name: *const ::std::os::raw::c_char,
    pub count: u32,
    pub data_room: u32,
    pub headroom: u32,
}
extern "C" {
    pub fn pollux_pool_open(
        context: *mut pollux_context,
        options: *const pollux_pool_options,
        error: *mut pollux_error,
    ) -> *mut pollux_pool;
}
extern "C" {
    pub fn pollux_pool_of_port(port: *mut pollux_port, queue: u16, error: *mut pollux_error) -> *mut pollux_pool;
}
extern "C" {
    pub fn pollux_pool_close(pool: *mut pollux_pool);
}
extern "C" {
    pub fn pollux_alloc(pool: *mut pollux_pool, frames: *mut pollux_frame, count: u32, bytes: u32) -> bool;
}
extern "C" {
    pub fn pollux_frame_clone(frame: *mut pollux_frame, pool: *mut pollux_pool, clone: *mut pollux_frame) -> bool;
}
extern "C" {
    pub fn pollux_free(pool: *mut pollux_pool, frames: *mut pollux_frame, count: u32);
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_drop_counter {
    _unused: [u8; 0],
}
extern "C" {
    pub fn pollux_drop_counter_open(
        context: *mut pollux_context,
        name: *const ::std::os::raw::c_char,
        error: *mut pollux_error,
    ) -> *mut pollux_drop_counter;
}
extern "C" {
    pub fn pollux_drop(
        counter: *mut pollux_drop_counter,
        pool: *mut pollux_pool,
        frames: *mut pollux_frame,
        count: u32,
    );
}
extern "C" {
    pub fn pollux_drop_count(counter: *const pollux_drop_counter) -> u64;
}
extern "C" {
    pub fn pollux_rx_burst(rx: *mut pollux_rx, frames: *mut pollux_frame, count: u32) -> u32;
}
extern "C" {
    pub fn pollux_tx_burst(tx: *mut pollux_tx, frames: *const pollux_frame, count: u32) -> u32;
}
extern "C" {
    pub fn pollux_rx_use_pool(rx: *mut pollux_rx, pool: *const pollux_pool, error: *mut pollux_error) -> pollux_code;
}
extern "C" {
    pub fn pollux_tx_use_pool(tx: *mut pollux_tx, pool: *const pollux_pool, error: *mut pollux_error) -> pollux_code;
}
extern "C" {
    pub fn pollux_rx_event_fd(rx: *const pollux_rx) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn pollux_rx_arm(rx: *mut pollux_rx) -> bool;
}
extern "C" {
    pub fn pollux_rx_disarm(rx: *mut pollux_rx);
}
extern "C" {
    pub fn pollux_rx_wait(
        context: *mut pollux_context,
        rx: *mut pollux_rx,
        frames: *mut pollux_frame,
        count: u32,
        nanoseconds: u64,
        received: *mut u32,
        error: *mut pollux_error,
    ) -> pollux_code;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_poller {
    _unused: [u8; 0],
}
pub type pollux_frames_callback = ::std::option::Option<
    unsafe extern "C" fn(user: *mut ::std::os::raw::c_void, frames: *mut pollux_frame, count: u32),
>;
extern "C" {
    pub fn pollux_poller_open(context: *mut pollux_context, error: *mut pollux_error) -> *mut pollux_poller;
}
extern "C" {
    pub fn pollux_poller_close(poller: *mut pollux_poller);
}
extern "C" {
    pub fn pollux_poller_add(
        poller: *mut pollux_poller,
        rx: *mut pollux_rx,
        weight: u32,
        callback: pollux_frames_callback,
        user: *mut ::std::os::raw::c_void,
        error: *mut pollux_error,
    ) -> pollux_code;
}
extern "C" {
    pub fn pollux_poller_remove(
        poller: *mut pollux_poller,
        rx: *mut pollux_rx,
        error: *mut pollux_error,
    ) -> pollux_code;
}
extern "C" {
    pub fn pollux_poller_run_once(
        poller: *mut pollux_poller,
        nanoseconds: u64,
        frames: *mut u32,
        error: *mut pollux_error,
    ) -> pollux_code;
}
extern "C" {
    pub fn pollux_poller_wake(poller: *mut pollux_poller);
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_telemetry {
    _unused: [u8; 0],
}
pub const POLLUX_TELEMETRY_READ_ONLY: _bindgen_ty_10 = 1;
pub type _bindgen_ty_10 = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct pollux_telemetry_options {
    pub size: usize,
    pub socket: *const ::std::os::raw::c_char,
    pub directory: *const ::std::os::raw::c_char,
    pub program: *const ::std::os::raw::c_char,
    pub flags: u32,
}
extern "C" {
    pub fn pollux_telemetry_open(
        context: *mut pollux_context,
        options: *const pollux_telemetry_options,
        error: *mut pollux_error,
    ) -> *mut pollux_telemetry;
}
extern "C" {
    pub fn pollux_telemetry_close(telemetry: *mut pollux_telemetry);
}
extern "C" {
    pub fn pollux_wire_counters(
        context: *mut pollux_context,
        card: u32,
        error: *mut pollux_error,
    ) -> *mut ::std::os::raw::c_char;
}
