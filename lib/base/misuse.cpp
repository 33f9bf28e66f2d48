// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/misuse.hpp"

namespace pollux {

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
