// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "workload.hpp"

namespace pollux::bench {

/// Time stamp counter ticks that one round takes, without what reading the counter costs. The card's part is done
/// before.
[[nodiscard]] double cycles_of_round(Workload& workload, double overhead);

/// Instructions for each operation, single-stepped on a fixture of its own with half a ring of backlog, until each ring
/// has been gone through once: the same number each time. A step takes some ten microseconds.
[[nodiscard]] double instructions_of(const Case& one, Setup setup);

/// The value in the middle; at least one is needed.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace pollux::bench
