// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "pollux/base/api.hpp"

namespace pollux {

/// What kind of thing went wrong. A program branches on this; a person reads `Error::what` and `Error::hint`.
enum class ErrorCode {
  invalid_argument,   ///< a value that the caller passed is outside its range; nothing was changed
  bad_state,          ///< the call does not fit the object's state (such as start of a port that is started)
  not_found,          ///< the device, driver, group, network or file named does not exist
  not_supported,      ///< the card, the kernel or this build cannot do it
  permission_denied,  ///< the operating system refused; the hint says which right is missing
  busy,               ///< another process or another part of this one holds it
  no_memory,          ///< ordinary memory, huge pages or IOVA space ran out
  timeout,            ///< a bounded wait ended without its condition
  io_error,           ///< a system call or the device failed in a way not named here
  device_removed,     ///< the device answers all ones or its file descriptor is dead
  device_fault,       ///< the device answered something that cannot be true
  no_iommu,           ///< the machine has no IOMMU or it is switched off
  module_not_loaded,  ///< a kernel module is missing
  not_bound,          ///< the device is not bound to the driver that is needed
  group_not_viable,   ///< another device of the IOMMU group is still in the host's hands
  group_in_use,       ///< another process has opened the IOMMU group
  memlock_too_small,  ///< RLIMIT_MEMLOCK forbids pinning that much
  mapping_limit,      ///< the IOMMU container takes no more mappings
  in_use_by_host,     ///< the port carries the host's own traffic
};

/// The code's name as it is written in the source, such as "no_iommu". Never fails.
[[nodiscard]] POLLUX_API std::string_view to_string(ErrorCode code) noexcept;

/// A failure as a value: what failed and on which device, and what mends it.
struct POLLUX_API Error {
  ErrorCode code = ErrorCode::io_error;
  std::string what;  ///< names the device or object and what failed; one line, no full stop
  std::string hint;  ///< the command or change that mends it; empty only where nothing can

  /// "what: hint" for a log line or a terminal.
  [[nodiscard]] std::string message() const;
};

/// A value or an Error. The library throws nothing of its own.
template <class T = void>
using Result = tl::expected<T, Error>;

/// Makes the failed side of a Result.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string what, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(what), std::move(hint)});
}

/// Like `fail`, for an errno value: its text is appended to `what`.
[[nodiscard]] POLLUX_API tl::unexpected<Error> fail_errno(ErrorCode code, std::string what, int error_number,
                                                          std::string hint = {});

/// Passes the Error of a failed Result of any type on.
template <class T>
[[nodiscard]] tl::unexpected<Error> pass_on(Result<T>&& failed) {
  return tl::unexpected<Error>(std::move(failed).error());
}

}  // namespace pollux
