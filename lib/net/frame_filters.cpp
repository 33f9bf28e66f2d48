// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/frame_filters.hpp"

#include <fmt/format.h>

namespace pollux {

Result<void> check_vlan(std::string_view port, std::uint16_t vlan) {
  constexpr std::uint16_t kLastVlan = 4094;
  if (vlan >= 1 && vlan <= kLastVlan) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("{}: VLAN {} is outside 1 to 4,094", port, vlan),
              "0 means no VLAN, and 4,095 is reserved (IEEE 802.1Q)");
}

}  // namespace pollux
