// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "workload.hpp"

namespace pollux::bench {

/// Time stamp counter ticks of one round, less `overhead`, the cost of reading the counter. The card's work is
/// done before the round and is not measured.
[[nodiscard]] double cycles_of_round(Workload& workload, double overhead);

/// What a case needs for each operation. The bus is counted only for cases that name their card.
struct Counts {
  double instructions = 0;
  double doorbells = 0;    ///< writes to the two tail registers
  double descriptors = 0;  ///< transmit descriptors that the card reads
  double write_backs = 0;  ///< transmit descriptors that it writes back
};

/// Counts by single-stepping. Runs on a new fixture with half a ring of backlog. Counts
/// until every ring slot has been used, so that the result is always the same. A step takes about ten microseconds.
[[nodiscard]] Counts counts_of(const Case& one, Setup setup);
[[nodiscard]] inline double instructions_of(const Case& one, Setup setup) { return counts_of(one, setup).instructions; }

/// The median of at least one value.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace pollux::bench
