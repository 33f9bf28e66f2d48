// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"

namespace pollux {

/// A place in the user's source. Costs nothing where it is not stored.
struct Site {
  const char* file = "";
  unsigned line = 0;

  /// As a default argument: the place of the call. The builtins, since std::source_location needs clang 16.
  [[nodiscard]] static constexpr Site here(const char* file = __builtin_FILE(),
                                           unsigned line = __builtin_LINE()) noexcept {
    return {file, line};
  }
};

/// A programming error that was caught at run time in a build with POLLUX_CHECKED.
enum class MisuseKind {
  double_free,     ///< an mbuf was given back twice
  leak,            ///< mbufs were still out when their pool went away
  null_mbuf,       ///< a null pointer where an mbuf was expected
  foreign_mbuf,    ///< an mbuf of another Context
  use_after_free,  ///< an mbuf that is at home in its pool was used
  wrong_thread,    ///< an object that belongs to one thread was used by two at once
  outlived,        ///< an object went away while another still needed it
  overdue,         ///< a port's service did not run for too long
  no_such_queue,   ///< a queue beyond those that a port is configured with
};

[[nodiscard]] POLLUX_API std::string_view to_string(MisuseKind kind) noexcept;

struct Misuse {
  MisuseKind kind;
  std::string what;  ///< who and where: the object's name, the place it was taken, the place it was given back
};

/// Told of each misuse; the buffer concerned has been set aside and the program goes on.
using MisuseHandler = std::function<void(const Misuse&)>;

}  // namespace pollux
