// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// What follows "qtest:" in a URI: NUMBER, or NUMBER?OPTION,OPTION,... with
///   qemu=PROGRAM           the QEMU to start
///   timeout=MILLISECONDS   how long an answer of QEMU's may take
struct Target {
  static constexpr unsigned kCards = 64;

  unsigned number = 0;                       ///< below kCards
  std::string qemu = "qemu-system-x86_64";   ///< looked up in PATH unless it has a slash
  std::chrono::milliseconds patience{3000};  ///< for an answer, 1 to 600,000
  /// As it is written, with "qtest:" before it.
  std::string uri;
};

/// `which` is what follows "qtest:". Error: invalid_argument.
[[nodiscard]] Result<Target> parse_target(std::string_view which);

}  // namespace pollux::qtest
