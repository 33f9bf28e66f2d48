// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/error.hpp"

#include <cerrno>
#include <system_error>

#include "base/printable.hpp"
#include "pollux/base/misuse.hpp"

namespace pollux {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::bad_state: return "bad_state";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::not_supported: return "not_supported";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::busy: return "busy";
    case ErrorCode::no_memory: return "no_memory";
    case ErrorCode::timeout: return "timeout";
    case ErrorCode::io_error: return "io_error";
    case ErrorCode::device_removed: return "device_removed";
    case ErrorCode::device_fault: return "device_fault";
    case ErrorCode::no_iommu: return "no_iommu";
    case ErrorCode::module_not_loaded: return "module_not_loaded";
    case ErrorCode::not_bound: return "not_bound";
    case ErrorCode::group_not_viable: return "group_not_viable";
    case ErrorCode::group_in_use: return "group_in_use";
    case ErrorCode::memlock_too_small: return "memlock_too_small";
    case ErrorCode::mapping_limit: return "mapping_limit";
    case ErrorCode::in_use_by_host: return "in_use_by_host";
  }
  return "unknown";
}

std::string Error::message() const { return printable(hint.empty() ? what : what + ": " + hint); }

tl::unexpected<Error> fail_errno(ErrorCode code, std::string what, int error_number, std::string hint) {
  if (error_number == EMFILE) hint = "raise the limit of open files: ulimit -n";
  if (error_number == ENFILE) hint = "raise the system's limit of open files, as root: sysctl fs.file-max";
  return fail(code, std::move(what) + " (" + std::generic_category().message(error_number) + ")", std::move(hint));
}

std::string_view to_string(MisuseKind kind) noexcept {
  switch (kind) {
    case MisuseKind::double_free: return "double_free";
    case MisuseKind::leak: return "leak";
    case MisuseKind::null_mbuf: return "null_mbuf";
    case MisuseKind::foreign_mbuf: return "foreign_mbuf";
    case MisuseKind::use_after_free: return "use_after_free";
    case MisuseKind::wrong_thread: return "wrong_thread";
    case MisuseKind::outlived: return "outlived";
    case MisuseKind::overdue: return "overdue";
    case MisuseKind::no_such_queue: return "no_such_queue";
  }
  return "unknown";
}

}  // namespace pollux
