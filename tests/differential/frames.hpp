// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "differential/seed.hpp"

namespace pollux::differential {

using Bytes = std::vector<std::uint8_t>;
using Address = std::array<std::uint8_t, 6>;

/// Destination addresses of frames: two unicast, two multicast, and broadcast. The filters use the first four.
inline constexpr std::array<Address, 5> kAddresses{{{0x02, 0x00, 0x00, 0x00, 0x00, 0x11},
                                                    {0x02, 0x12, 0x34, 0x56, 0x78, 0x9A},
                                                    {0x01, 0x00, 0x5E, 0x01, 0x02, 0x03},
                                                    {0x33, 0x33, 0xFF, 0x00, 0x12, 0x34},
                                                    {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}}};
/// The VLAN ids of tagged frames.
inline constexpr std::array<std::uint16_t, 3> kVlans{5, 100, 4000};

/// A random Ethernet frame of at least 60 bytes, without CRC. It contains IPv4, IPv6 or another protocol, and in IP
/// TCP, UDP or another protocol. Options and a VLAN tag are random. All checksums are correct.
[[nodiscard]] Bytes random_frame(Random& random);

}  // namespace pollux::differential
