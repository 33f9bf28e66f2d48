// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workload.hpp"

namespace pollux::bench {

/// Descriptors of each ring. Counts repeat after a whole ring, and each instruction that is counted is a trap. With
/// smaller rings long bursts would take slower paths.
inline constexpr std::uint32_t kRing = 128;

/// A case whose instruction count must not exceed a recorded value.
struct GatedCase {
  const Case* what;
  Setup setup;

  [[nodiscard]] std::string name() const;
};

/// The gated cases of a burst mode. Cases that do not depend on the mode are in `scalar`.
[[nodiscard]] std::vector<GatedCase> gated_cases(BurstMode mode);

/// Forwarding on `queues` queues, with rings so small that every slot is used.
[[nodiscard]] GatedCase forward_on_queues(std::uint16_t queues);

}  // namespace pollux::bench
