// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "pollux/base/api.hpp"

namespace pollux {

/// The kind of a failure. A program branches on it; a person reads `Error::what` and `Error::hint`.
enum class ErrorCode {
  invalid_argument,   ///< a value that the caller passed is outside its range; nothing was changed
  bad_state,          ///< the call is not allowed in the object's state (such as start of a started port)
  not_found,          ///< the device, driver, group, network or file named does not exist
  not_supported,      ///< the card, the kernel or this build cannot do it
  permission_denied,  ///< the operating system denied access; the hint names the missing right
  busy,               ///< in use by another process or another part of this process
  no_memory,          ///< ordinary memory, huge pages or IOVA space ran out
  timeout,            ///< a bounded wait ended before its condition became true
  io_error,           ///< a system call or the device failed in another way
  device_removed,     ///< the device reads as all ones, or its file descriptor reports its removal
  device_fault,       ///< the device returned an impossible value
  no_iommu,           ///< the machine has no IOMMU, or it is switched off
  module_not_loaded,  ///< a kernel module is missing
  not_bound,          ///< the device is not bound to the required driver
  group_not_viable,   ///< another device of the IOMMU group is still bound to a driver of the host
  group_in_use,       ///< another process has opened the IOMMU group
  memlock_too_small,  ///< RLIMIT_MEMLOCK forbids pinning that much
  mapping_limit,      ///< the IOMMU container has no room for more mappings
  in_use_by_host,     ///< the host uses the port for its own traffic
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

/// Like `fail`, for an errno value, whose text is appended to `what`.
[[nodiscard]] POLLUX_API tl::unexpected<Error> fail_errno(ErrorCode code, std::string what, int error_number,
                                                          std::string hint = {});

/// Returns the Error of a failed Result as the failure of another Result type.
template <class T>
[[nodiscard]] tl::unexpected<Error> pass_on(Result<T>&& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

}  // namespace pollux
