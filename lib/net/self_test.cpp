// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/self_test.hpp"

#include <array>

namespace pollux {

std::string_view to_string(SelfTestPart part) noexcept {
  constexpr std::array<std::string_view, 5> kNames{"registers", "nvm", "interrupts", "loopback", "link"};
  return kNames[static_cast<std::size_t>(part)];
}

std::string_view to_string(SelfTestOutcome outcome) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"passed", "failed", "skipped"};
  return kNames[static_cast<std::size_t>(outcome)];
}

}  // namespace pollux
