// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "pollux/base/error.hpp"

/// The features of an 82576 that exclude each other.
namespace pollux::drivers::igb {

enum Feature : std::uint32_t {
  pools = 1,
  functions = 2,  ///< virtual functions
  vlan_filter = 4,
  further_addresses = 8,
  flow_rules = 16,
  outer_vlan_type = 32,
  transmit_stamps = 64,
  several_queues = 128,  ///< more than one a direction, or none
};

/// Whether a port with the features `from` may have those of `to`. Error bad_state: names both features and how to end
/// the one that it has.
[[nodiscard]] Result<void> check_features(std::uint32_t from, std::uint32_t to, std::string_view port);

}  // namespace pollux::drivers::igb
