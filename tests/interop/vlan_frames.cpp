// SPDX-License-Identifier: BSD-3-Clause
#include "vlan_frames.hpp"

#include <array>
#include <random>

#include "pollux/net/packet/byte_order.hpp"

namespace pollux::test {
namespace {

constexpr std::uint16_t kCustomer = 0x8100;
constexpr std::uint16_t kService = 0x88A8;
constexpr std::uint16_t kUsual = 0x2005;  // priority 1, VLAN 5

}  // namespace

void insert_tag(std::vector<std::uint8_t>& frame, std::uint16_t protocol, std::uint16_t control) {
  std::array<std::uint8_t, 4> tag{};
  packet::store16(tag.data(), protocol);
  packet::store16(tag.data() + 2, control);
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
}

void tag_some(std::vector<SequenceFrame>& frames, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  // In half of the sequences all frames have the same tag.
  const std::uint64_t deviation = random() % 2 == 0 ? 0 : 20;
  for (SequenceFrame& frame : frames) {
    const bool deviates = random() % 100 < deviation;
    switch (deviates ? random() % 6 : 6) {
      case 0: break;
      case 1: insert_tag(frame.bytes, kCustomer, 0x2006); break;  // another VLAN
      case 2: insert_tag(frame.bytes, kCustomer, 0x4005); break;  // another priority
      case 3: insert_tag(frame.bytes, kCustomer, 0x3005); break;  // drop eligible
      case 4: insert_tag(frame.bytes, kService, kUsual); break;
      case 5:
        insert_tag(frame.bytes, kCustomer, kUsual);
        insert_tag(frame.bytes, kService, 0x0007);
        break;
      default: insert_tag(frame.bytes, kCustomer, kUsual);
    }
  }
}

}  // namespace pollux::test
