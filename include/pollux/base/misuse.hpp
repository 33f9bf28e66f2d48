// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"

namespace pollux {

/// A location in the user's source. Costs nothing where it is not stored.
struct Site {
  const char* file = "";  ///< its path as the compiler was given it; never null
  unsigned line = 0;      ///< from 1 on; 0: unknown

  /// As a default argument, the location of the call. Uses builtins, since std::source_location needs clang 16.
  [[nodiscard]] static constexpr Site here(const char* file = __builtin_FILE(),
                                           unsigned line = __builtin_LINE()) noexcept {
    return {file, line};
  }
};

/// A programming error that a build with POLLUX_CHECKED found at run time.
enum class MisuseKind {
  double_free,     ///< an mbuf was freed twice
  leak,            ///< mbufs were still allocated when their pool was destroyed
  null_mbuf,       ///< a null pointer where an mbuf was expected
  foreign_mbuf,    ///< an mbuf of another Context
  use_after_free,  ///< a free mbuf was used
  wrong_thread,    ///< an object that belongs to one thread was used by two at once
  outlived,        ///< an object was destroyed while another one still needed it
  overdue,         ///< a port's service did not run in time
  no_such_queue,   ///< a queue index at or above the configured number
};

/// The name of the kind as in the source, such as "double_free".
[[nodiscard]] POLLUX_API std::string_view to_string(MisuseKind kind) noexcept;

/// One misuse, as the handler gets it.
struct Misuse {
  MisuseKind kind;   ///< what a program branches on
  std::string what;  ///< the object's name, where it was allocated and where it was freed
};

/// Called for each misuse. The affected buffer is no longer used, and the program continues. It must not throw, since
/// destructors call it, too.
using MisuseHandler = std::function<void(const Misuse&)>;

}  // namespace pollux
