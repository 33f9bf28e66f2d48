// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "backends/qtest/card_models.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// The part of a URI after "qtest:": NUMBER, or NUMBER?OPTION,OPTION,... The options:
///   card=NAME              the kind of card (kCardModels), for both ends of the wire
///   qemu=PROGRAM           the QEMU to start
///   timeout=MILLISECONDS   maximum time for a reply of QEMU
struct Target {
  static constexpr unsigned kCards = 64;

  unsigned number = 0;  ///< below kCards
  const CardModel* card = &kCardModels[0];
  std::string qemu = "qemu-system-x86_64";  ///< searched in PATH unless it contains a slash
  std::chrono::milliseconds timeout{3000};  ///< for a reply, 1 to 600,000
  /// The whole URI, with "qtest:".
  std::string uri;
};

/// Parses `text`, the part of a URI after "qtest:". Error: invalid_argument.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

}  // namespace pollux::qtest
