// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "explorer/scenario.hpp"

namespace pollux::test {

/// The result of an exploration.
struct Explored {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint32_t depth = 0;           ///< steps from the start to the farthest state
  std::uint32_t wraps = 0;           ///< of the rings, the maximum on any path
  bool complete = false;             ///< every reachable state has been checked
  std::uint64_t max_pool_empty = 0;  ///< frames dropped because the pool was exhausted, the maximum on any path
  std::string violation;             ///< empty, or the violation and the shortest path to it, one step per line
};

/// Visits the states of `scenario` in breadth-first order. Ends when all have been visited, when one violates an
/// invariant, after `max_states`, or when those that wait need 6 GiB.
[[nodiscard]] Explored explore(const Scenario& scenario, std::uint64_t max_states);

}  // namespace pollux::test
