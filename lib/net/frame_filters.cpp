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

Result<void> check_outer_vlan_type(std::string_view port, std::uint16_t ether_type) {
  constexpr std::uint16_t kFirstType = 0x0600;
  constexpr std::uint16_t kIpv4Type = 0x0800;
  constexpr std::uint16_t kIpv6Type = 0x86DD;
  if (ether_type >= kFirstType && ether_type != kIpv4Type && ether_type != kIpv6Type) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: {:#06x} is not the EtherType of a VLAN tag", port, ether_type),
              "use 0x88A8 (IEEE 802.1ad), 0x8100 or 0x9100");
}

}  // namespace pollux
