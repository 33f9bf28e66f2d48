// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "pollux/net/link.hpp"
#include "silicon_probe/raw_port.hpp"

/// Frames that probes send, without FCS.
namespace pollux::silicon {

inline constexpr MacAddress kBroadcastAddress{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
inline constexpr MacAddress kForeignAddress{0x02, 0x12, 0x34, 0x56, 0x78, 0x9A};

/// A frame of EtherType 0x88B5 (local experiments) whose bytes are derived from `seed`, after `tags` VLAN tags.
[[nodiscard]] Frame plain_frame(std::size_t bytes, std::uint8_t seed = 0, unsigned tags = 0,
                                const MacAddress& to = kBroadcastAddress);
/// The FCS of a frame, as the number whose lowest byte is sent first. IEEE 802.3, 3.2.9.
[[nodiscard]] std::uint32_t fcs_of(const Frame& frame);

inline constexpr std::uint16_t kIpId = 0x1234;

/// A packet, and how the card should report it.
struct PacketCase {
  std::string_view name;
  Frame frame;
  std::uint32_t packet_type;
  std::optional<std::uint32_t> rss_type;  ///< nullopt: no source says it
};
[[nodiscard]] std::vector<PacketCase> packet_cases();

}  // namespace pollux::silicon
