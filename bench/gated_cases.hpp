// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "workload.hpp"

namespace pollux::bench {

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
