// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/clock.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::test {

/// Of a Context in virtual time that logs nothing and needs no huge pages.
[[nodiscard]] inline ContextOptions quiet_context() {
  ContextOptions options;
  options.clock = std::make_shared<ManualClock>();
  options.log = [](LogLevel, std::string_view) {};
  options.huge_pages = HugePages::never;
  return options;
}

}  // namespace pollux::test
