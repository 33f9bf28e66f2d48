// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "differential/seed.hpp"

namespace pollux::differential {

using Bytes = std::vector<std::uint8_t>;
using Address = std::array<std::uint8_t, 6>;

/// The addresses of filters and frames: two unicast, two multicast, and broadcast.
inline constexpr std::array<Address, 5> kAddresses{{{0x02, 0x00, 0x00, 0x00, 0x00, 0x11},
                                                    {0x02, 0x12, 0x34, 0x56, 0x78, 0x9A},
                                                    {0x01, 0x00, 0x5E, 0x01, 0x02, 0x03},
                                                    {0x33, 0x33, 0xFF, 0x00, 0x12, 0x34},
                                                    {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}}};
/// The VLANs of frames.
inline constexpr std::array<std::uint16_t, 3> kVlans{5, 100, 4000};

/// A random Ethernet frame of at least 60 bytes, without CRC: IPv4, IPv6 or another protocol, TCP, UDP or another
/// protocol, with or without options, a tag and correct checksums.
[[nodiscard]] Bytes random_frame(Random& random);

}  // namespace pollux::differential
