// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "unit/faults/fixture.hpp"

namespace pollux::test {

/// One kind of fault. A sweep injects it at each of its points in turn: one occurrence of a fault point or one access
/// to memory in each run.
struct Fault {
  std::string name;  ///< as in docs/82576/faults.md
  FaultFixtureOptions options = {};
  /// If set, changes the options for the run with point `at`.
  std::function<void(FaultFixtureOptions& options, std::uint64_t at)> prepare = nullptr;
  bool in_memory = false;    ///< the points are accesses to memory
  std::uint64_t stride = 1;  ///< distance of the points that are tried when the sweep is not exhaustive
  std::uint64_t numbered =
      0;  ///< if not 0: number of points outside phases, such as NVM words; counted as points of open
};

/// The number of runs with each outcome, by the phase in which the fault was injected.
using OutcomeCounts = std::map<Phase, std::map<std::string, std::uint64_t>>;

/// Runs the program once for each point of the fault. Expects no finding, and only outcomes that the page lists.
void sweep(const Fault& fault);

/// The table in docs/82576/faults.md: the allowed outcomes of each fault by phase.
class Page {
 public:
  static const Page& instance();
  [[nodiscard]] const std::set<std::string>& outcomes(const std::string& fault, Phase phase) const;
  /// Whether a row names that phase itself, not only "any".
  [[nodiscard]] bool names_phase(const std::string& fault, Phase phase) const {
    return explicit_.contains({fault, phase});
  }

 private:
  Page();
  std::map<std::pair<std::string, Phase>, std::set<std::string>> rows_;
  std::set<std::pair<std::string, Phase>> explicit_;
};

}  // namespace pollux::test
