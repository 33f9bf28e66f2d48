// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// Whether MRQC selects pools, RSS, or both.
[[nodiscard]] inline bool has_pools(hw::MRQC::Value queueing) noexcept {
  return queueing.has(hw::MRQC::VMDQ) || queueing.has(hw::MRQC::VMDQ_RSS);
}
[[nodiscard]] inline bool has_rss(hw::MRQC::Value queueing) noexcept {
  return queueing.has(hw::MRQC::RSS) || queueing.has(hw::MRQC::VMDQ_RSS);
}

}  // namespace pollux::models::igb
