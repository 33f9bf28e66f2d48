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

/// One kind of fault, to be ordered for each of its places in turn.
struct Fault {
  std::string name;  ///< as in docs/82576/faults.md
  RigOptions options = {};
  /// Where it differs from place to place, or needs the fixture; sets what is to strike at place `at`.
  std::function<void(RigOptions& options, std::uint64_t at)> order = nullptr;
  bool in_memory = false;      ///< its places are accesses to memory
  std::uint64_t stride = 1;    ///< every so many places, where runs are not to be exhaustive
  std::uint64_t numbered = 0;  ///< places that are no phase's, such as words of the NVM; they are called open's
};

/// Outcomes and how often they came, by the phase in which the fault struck.
using Tally = std::map<Phase, std::map<std::string, std::uint64_t>>;

/// Runs a fixture for each place of the fault, and expects no finding and no outcome that the page does not name.
void sweep(const Fault& fault);

/// The rows of docs/82576/faults.md: what may come of a fault that strikes in a phase.
class Page {
 public:
  static const Page& instance();
  [[nodiscard]] const std::set<std::string>& outcomes(const std::string& fault, Phase phase) const;
  /// Whether a row is about that phase by its name, and not by "any".
  [[nodiscard]] bool names(const std::string& fault, Phase phase) const { return named_.contains({fault, phase}); }

 private:
  Page();
  std::map<std::pair<std::string, Phase>, std::set<std::string>> rows_;
  std::set<std::pair<std::string, Phase>> named_;
};

}  // namespace pollux::test
