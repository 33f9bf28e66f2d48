// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "pollux/base/api.hpp"

namespace pollux {

/// The kind of a failure. A program branches on it; a person reads `Error::what` and `Error::hint`. The
/// comments are docs/errors.md: the cause, and what fixes it.
enum class ErrorCode {
  /// A value that the caller passed is outside its range; nothing was changed. Fix: pass one within the range that the
  /// text names.
  invalid_argument,
  /// The call is not allowed in the object's state (such as start of a started port). Fix: make the call that the hint
  /// names first, such as Port::stop or Port::change.
  bad_state,
  /// The device, driver, group, network, file, rule or observer named does not exist. Fix: check the name;
  /// `pollux list` shows the machine's devices.
  not_found,
  /// The card, the kernel or this build cannot do it. Fix: leave it out, or use a port that can; `pollux info` shows
  /// what a port can do.
  not_supported,
  /// The operating system denied access, or the physical function's driver or another program did. Fix: grant the right
  /// that the hint names, such as `pollux bind --user NAME ADDRESS`, or run as root.
  permission_denied,
  /// In use by another process or another part of this process. Fix: end that use first; the text names it.
  busy,
  /// Ordinary memory, huge pages, mbufs of a pool or IOVA space ran out. Fix: request less, reserve huge pages
  /// (`sysctl vm.nr_hugepages=512`), or make the pool larger (MempoolOptions::count).
  no_memory,
  /// A bounded wait ended before its condition became true. Fix: do what the hint says and call again.
  timeout,
  /// A system call or the device failed in another way. Fix: the text has the system's error, and `dmesg` often its
  /// cause.
  io_error,
  /// The device reads as all ones, or its file descriptor reports its removal. Fix: close the port; if the device is
  /// still there, open it again, which resets it.
  device_removed,
  /// The device returned an impossible value. Fix: close the port and open it again, which resets the device; if that
  /// recurs, use another one.
  device_fault,
  /// The machine has no IOMMU, or it is switched off. Fix: enable VT-d or AMD-Vi in the firmware's setup, and boot with
  /// `intel_iommu=on` or `amd_iommu=on`.
  no_iommu,
  /// A kernel module is missing. Fix: load the one that the hint names, such as `modprobe vfio-pci`.
  module_not_loaded,
  /// The device is not bound to the required driver. Fix: `pollux bind ADDRESS`.
  not_bound,
  /// Another device of the IOMMU group is still bound to a driver of the host. Fix: `pollux bind` with the address of
  /// each device of the group that the text names.
  group_not_viable,
  /// Another process has opened the IOMMU group. Fix: find it and end it: `fuser -v /dev/vfio/* /dev/vfio/devices/*`.
  group_in_use,
  /// RLIMIT_MEMLOCK forbids pinning that much. Fix: raise it before the start: `ulimit -l` with the KiB that the hint
  /// names, memlock in limits.conf, or LimitMEMLOCK= of a systemd unit.
  memlock_too_small,
  /// The IOMMU container has no room for more mappings. Fix: use huge pages (`sysctl vm.nr_hugepages=512`), which need
  /// fewer.
  mapping_limit,
  /// The host uses the port for its own traffic. Fix: end the uses that the text names; if the host does not need the
  /// port, `pollux bind --force ADDRESS`.
  in_use_by_host,
};

/// The name of the code as in the source, such as "no_iommu".
[[nodiscard]] POLLUX_API std::string_view to_string(ErrorCode code) noexcept;

/// A failure as a value: what failed, on which device, and how to fix it.
struct POLLUX_API Error {
  ErrorCode code = ErrorCode::io_error;  ///< what a program branches on
  std::string what;                      ///< names the device or object and what failed; one line, no full stop
  std::string hint;                      ///< the command or change that fixes it; empty only if nothing does

  /// "what: hint" for a log line or a terminal.
  [[nodiscard]] std::string message() const;
};

/// A value or an Error. The library throws no exceptions of its own.
template <class T = void>
using Result = tl::expected<T, Error>;

/// Creates a failed Result.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string what, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(what), std::move(hint)});
}

/// Like `fail`, for an errno value, whose text is appended to `what`. If it says that a limit of open files is reached
/// (EMFILE, ENFILE), the hint is how to raise it instead of `hint`.
[[nodiscard]] POLLUX_API tl::unexpected<Error> fail_errno(ErrorCode code, std::string what, int error_number,
                                                          std::string hint = {});

/// Returns the Error of a failed Result as the failure of another Result type.
template <class T>
[[nodiscard]] tl::unexpected<Error> pass_on(Result<T>&& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

}  // namespace pollux
