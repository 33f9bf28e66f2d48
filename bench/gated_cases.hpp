// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "workload.hpp"

namespace pollux::bench {

/// A case whose instructions are held to a recorded value.
struct GatedCase {
  const Case* what;
  Setup setup;

  [[nodiscard]] std::string name() const;
};

/// What a path is held to. What goes through no burst function in several instruction sets is with `scalar`.
[[nodiscard]] std::vector<GatedCase> gated_cases(BurstMode path);

/// The same work on that many queues, with rings so small that all are gone through.
[[nodiscard]] GatedCase forward_on_queues(std::uint16_t queues);

}  // namespace pollux::bench
