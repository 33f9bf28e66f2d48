// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "workload.hpp"

namespace pollux::bench {

/// Time stamp counter ticks of one round, without the cost of reading the counter. The card's part is done before and
/// not measured.
[[nodiscard]] double cycles_of_round(Workload& workload, double overhead);

/// Instructions per operation. Counted by single-stepping on a fixture of its own with half a ring of backlog, until
/// every ring slot has been used, so that the result is always the same. A step takes about ten microseconds.
[[nodiscard]] double instructions_of(const Case& one, Setup setup);

/// The median of at least one value.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace pollux::bench
