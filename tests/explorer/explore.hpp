// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "explorer/scenario.hpp"

namespace pollux::test {

struct Explored {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint32_t depth = 0;     ///< steps from the start to the farthest state
  std::uint32_t wraps = 0;     ///< of the rings, the most on any path
  bool complete = false;       ///< every state that can be reached has been
  std::uint64_t most_dry = 0;  ///< frames dropped for want of a buffer, the most on any path
  std::string violation;       ///< empty, or what is wrong and the shortest path to it, one step a line
};

/// Goes from the start of `scenario` through every state, nearest first, until there is none left, one is wrong, or
/// there are `most_states`.
[[nodiscard]] Explored explore(const Scenario& scenario, std::uint64_t most_states);

}  // namespace pollux::test
