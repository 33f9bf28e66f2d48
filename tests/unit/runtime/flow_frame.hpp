// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/fixture.hpp"

namespace pollux::test {

/// An IPv4 packet of one of 1,024 flows, which the card distributes over its queues.
[[nodiscard]] inline Frame flow(std::uint64_t number) {
  Frame frame = counting_frame(60);
  constexpr std::array<unsigned, 22> kHeader{0x08, 0, 0x45, 0,  0, 46, 0, 0,  0, 0, 64,
                                             17,   0, 0,    10, 0, 0,  0, 10, 1, 0, 1};
  for (std::size_t i = 0; i < kHeader.size(); ++i) frame[12 + i] = static_cast<std::byte>(kHeader[i]);
  frame[28] = static_cast<std::byte>(number >> 8 & 0x03);
  frame[29] = static_cast<std::byte>(number & 0xFF);
  return frame;
}

}  // namespace pollux::test
