// SPDX-License-Identifier: BSD-3-Clause
// The lies that a device tells on request: docs/virtio/device.md.
#include <gtest/gtest.h>

#include "unit/models/virtio/fixture.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;

class VirtioFault : public ::testing::TestWithParam<hw::Features> {
 protected:
  static CardOptions lie(std::string_view fault) { return CardOptions::parse("fault=" + std::string(fault)).value(); }
};
INSTANTIATE_TEST_SUITE_P(Formats, VirtioFault, ::testing::Values(hw::Features{0}, feature::kRingPacked),
                         [](const auto& parameter) { return parameter.param == 0 ? "Split" : "Packed"; });

TEST_P(VirtioFault, AnIdThatNoBufferHas) {
  DeviceFixture fixture(lie("tx-used-id@1"));
  fixture.start(GetParam());
  const auto first = fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.ring(1).used()->id, first);
  const auto second = fixture.send(DeviceFixture::frame(60));
  const std::uint32_t lie = fixture.ring(1).used()->id;
  EXPECT_NE(lie, second);
  EXPECT_TRUE(lie > DeviceFixture::kSize);
  const auto third = fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.ring(1).used()->id, third);
}

TEST_P(VirtioFault, ABufferThatIsNeverUsed) {
  DeviceFixture fixture(lie("used-never"));
  fixture.start(GetParam());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.sent.size(), 1U);
  EXPECT_EQ(fixture.ring(1).used(), std::nullopt);
}

TEST_P(VirtioFault, ALengthBeyondTheBuffer) {
  DeviceFixture fixture(lie("rx-used-length"));
  fixture.start(GetParam());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.ring(1).used()->length, 0U);
  fixture.ring(0).add({{DeviceFixture::buffer(0), 2048, true}});
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.ring(0).used()->length, 0x7FFFFFFFU);
}

TEST(VirtioSplitFault, ABufferThatIsUsedTwice) {
  DeviceFixture fixture(CardOptions::parse("fault=used-twice").value());
  fixture.start();
  const auto id = fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.ring(1).used()->id, id);
  EXPECT_EQ(fixture.ring(1).used()->id, id);
}

TEST_P(VirtioFault, AnIndexThatJumps) {
  DeviceFixture fixture(lie("index-jump"));
  fixture.start(GetParam());
  fixture.send(DeviceFixture::frame(60));
  if (GetParam() == 0) {
    EXPECT_EQ(fixture.memory.get<std::uint16_t>(fixture.ring(1).device() + 2), DeviceFixture::kSize + 2);
  } else {
    EXPECT_EQ(fixture.memory.get<hw::PackedDescriptor>(fixture.ring(1).descriptor(0)).flags, hw::packed_used(false));
  }
}

TEST_P(VirtioFault, ANumberOfBuffersThatIsWrong) {
  for (const auto& [fault, number] : {std::pair("no-buffers", 0U), std::pair("many-buffers", 0xFFFFU)}) {
    DeviceFixture fixture(lie(fault));
    fixture.start(GetParam() | feature::kMrgRxbuf);
    fixture.ring(0).add({{DeviceFixture::buffer(0), 2048, true}});
    fixture.card.receive(DeviceFixture::frame(60));
    EXPECT_EQ(fixture.memory.get<hw::NetHeader>(DeviceFixture::buffer(0)).num_buffers, number);
  }
}

TEST_P(VirtioFault, AConfigurationThatChanges) {
  DeviceFixture fixture(lie("config-changes@1"));
  fixture.start(GetParam());
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.config<hw::MTU>(), 9216U);
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.config<hw::MTU>(), 68U);
  EXPECT_EQ(fixture.config<hw::NET_STATUS>(), 0U);
  EXPECT_EQ(fixture.config<hw::MAX_VIRTQUEUE_PAIRS>(), 1U);
  EXPECT_EQ(fixture.messages.back(), 0U);
}

TEST_P(VirtioFault, AControlQueueThatNeverAnswers) {
  DeviceFixture fixture(lie("no-answer@1"));
  fixture.start(GetParam() | feature::kCtrlVq | feature::kCtrlRx);
  EXPECT_EQ(fixture.control(0, 0, {1}), 0U);
  EXPECT_EQ(fixture.control(0, 0, {1}), std::nullopt);
  EXPECT_EQ(fixture.control(0, 0, {1}), std::nullopt);
  EXPECT_FALSE(fixture.needs_reset());
}

TEST_P(VirtioFault, AResetThatIsNeeded) {
  DeviceFixture fixture(lie("tx-needs-reset@1"));
  fixture.start(GetParam());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_FALSE(fixture.needs_reset());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.needs_reset());
  fixture.start(GetParam());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_FALSE(fixture.needs_reset());
}

TEST_P(VirtioFault, AnInterruptThatIsLost) {
  DeviceFixture fixture(lie("no-interrupt"));
  fixture.start(GetParam());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.messages.size(), 1U);
}

}  // namespace
}  // namespace pollux::models::virtio
