// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

class CardOuterVlan : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
  }
  [[nodiscard]] const intel::Descriptor& slot(std::uint32_t number) {
    return fixture.memory.descriptor(CardFixture::kRxRing, number);
  }
  [[nodiscard]] std::uint32_t head() { return fixture.read<hw::RDH>(0).raw(); }
  void change_control(hw::RCTL::Setting bits) { fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(bits)); }

  CardFixture fixture;
};

TEST_F(CardOuterVlan, IsSkipped) {
  const auto insert = [](std::vector<std::byte> frame, std::array<std::uint8_t, 4> tag) {
    std::array<std::byte, 4> bytes{};
    std::transform(tag.begin(), tag.end(), bytes.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
    frame.insert(frame.begin() + 12, bytes.begin(), bytes.end());
    return frame;
  };
  auto packet = CardFixture::frame(1514);
  packet[12] = std::byte{0x86};
  packet[13] = std::byte{0xDD};
  packet[14] = std::byte{0x60};
  const auto tagged = insert(packet, {0x81, 0x00, 0x60, 0x2A});
  fixture.write<hw::VET>(hw::VET::TYPE(0x8100) | hw::VET::OUTER_TYPE(0x9100));
  fixture.write<hw::CTRL_EXT>(fixture.read<hw::CTRL_EXT>().with(hw::CTRL_EXT::EXT_VLAN));
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::VME));
  change_control(hw::RCTL::VFE);
  const auto twice = insert(tagged, {0x91, 0x00, 0x00, 0x01});
  fixture.card.receive(twice);
  EXPECT_EQ(head(), 0u);
  fixture.write<hw::VFTA>(1, hw::VFTA::Value(1u << 10));
  fixture.card.receive(twice);
  ASSERT_EQ(head(), 1u) << "1526 bytes with FCS";
  EXPECT_EQ(intel::rx::length(slot(0).hi), 1518u);
  EXPECT_EQ(intel::rx::vlan(slot(0).hi), 0x602A);
  EXPECT_NE(intel::rx::packet_type(slot(0).lo) & intel::rx::kTypeIpv6, 0u);
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(0), 1518), insert(packet, {0x91, 0x00, 0x00, 0x01}));
  // A frame without the outer tag is not looked at; its length is that of a frame without tags.
  fixture.card.receive(tagged);
  EXPECT_EQ(head(), 1u);
  fixture.card.receive(std::span(tagged).first(100));
  ASSERT_EQ(head(), 2u);
  EXPECT_EQ(intel::rx::length(slot(1).hi), 100u);
  EXPECT_EQ(slot(1).hi & intel::rx::kVlan, 0u);
  EXPECT_EQ(intel::rx::packet_type(slot(1).lo), 0u);
  // A frame that ends within its tags has none.
  change_control(hw::RCTL::SBP);
  fixture.card.receive(std::span(twice).first(19));
  ASSERT_EQ(head(), 3u);
  EXPECT_EQ(intel::rx::length(slot(2).hi), 19u);
}

}  // namespace
}  // namespace pollux::models::igb
