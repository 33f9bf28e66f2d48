// SPDX-License-Identifier: BSD-3-Clause
// Identity, capabilities, negotiation and the registers of queues. VIRTIO 1.3, 2.1, 2.2, 3.1 and 4.1.
#include <gtest/gtest.h>

#include "unit/models/virtio/fixture.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;

TEST(VirtioTransport, IsAModernNetworkDevice) {
  const Card card;
  EXPECT_EQ(card.identity().vendor, 0x1AF4);
  EXPECT_EQ(card.identity().device, 0x1041);
  EXPECT_EQ(card.identity().revision, 1);
  EXPECT_EQ(card.bar_size(4), 0x4000U);
  EXPECT_EQ(card.bar_size(1), 0x1000U);
  EXPECT_EQ(card.msix_layout().pending, 0x800U);
}

TEST(VirtioTransport, HasTheFiveCapabilitiesWhereQemuHasThem) {
  std::vector<std::array<std::uint32_t, 3>> found;  // type, offset, length
  for (const auto& capability : Card().vendor_capabilities()) {
    EXPECT_EQ(capability.bytes[0], 0x09);
    EXPECT_EQ(capability.bytes[2], capability.bytes.size());
    EXPECT_EQ(capability.live, capability.bytes[3] == 5);
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::memcpy(&offset, &capability.bytes[8], 4);
    std::memcpy(&length, &capability.bytes[12], 4);
    found.push_back({capability.bytes[3], offset, length});
  }
  const std::vector<std::array<std::uint32_t, 3>> expected{
      {1, 0x0000, 0x1000}, {2, 0x3000, 0x1000}, {3, 0x1000, 0x1000}, {5, 0, 0}, {4, 0x2000, 0x1000}};
  EXPECT_EQ(found, expected);
}

TEST(VirtioTransport, AcceptsWhatItOffers) {
  DeviceFixture fixture;
  EXPECT_TRUE(fixture.negotiate(fixture.offered()));
  EXPECT_EQ(fixture.card.negotiated(), kAllFeatures);
}

TEST(VirtioTransport, RefusesFeaturesThatItDoesNotOffer) {
  DeviceFixture fixture;
  EXPECT_FALSE(fixture.negotiate(kLeast | feature::kStandby));
  EXPECT_FALSE(fixture.negotiate(kLeast | hw::Features{1} << 24));
}

TEST(VirtioTransport, RefusesADriverWithoutVersion1OrAccessPlatform) {
  DeviceFixture fixture;
  EXPECT_FALSE(fixture.negotiate(feature::kVersion1));
  EXPECT_FALSE(fixture.negotiate(feature::kAccessPlatform));
  CardOptions options;
  options.features &= ~feature::kAccessPlatform;
  DeviceFixture without(options);
  EXPECT_TRUE(without.negotiate(feature::kVersion1));
}

TEST(VirtioTransport, RefusesFeaturesThatLackWhatTheyNeed) {
  DeviceFixture fixture;
  for (const hw::FeatureNeed& need : hw::kFeatureNeeds) {
    if ((kAllFeatures & need.bit) == 0) continue;
    EXPECT_FALSE(fixture.negotiate(kLeast | need.bit)) << std::hex << need.bit;
  }
}

TEST(VirtioTransport, FeaturesAreFixedOnceTheyAreAccepted) {
  DeviceFixture fixture;
  ASSERT_TRUE(fixture.negotiate(kLeast));
  fixture.write<hw::DRIVER_FEATURE_SELECT>(0);
  fixture.write<hw::DRIVER_FEATURE>(static_cast<std::uint32_t>(feature::kMac));
  EXPECT_EQ(fixture.read<hw::DRIVER_FEATURE>(), 0U);
  EXPECT_EQ(fixture.card.counters().ignored_writes, 1U);
}

TEST(VirtioTransport, IsNotReadyWithoutFeatures) {
  DeviceFixture fixture;
  fixture.write<hw::DEVICE_STATUS>(0x07);
  EXPECT_EQ(fixture.read<hw::DEVICE_STATUS>(), 0x03U);
}

TEST(VirtioTransport, StatusBitsAreClearedByAResetAlone) {
  DeviceFixture fixture;
  fixture.start();
  fixture.write<hw::DEVICE_STATUS>(0x03);
  EXPECT_EQ(fixture.read<hw::DEVICE_STATUS>(), 0x0FU);
  fixture.write<hw::DEVICE_STATUS>(0);
  EXPECT_EQ(fixture.read<hw::DEVICE_STATUS>(), 0U);
  fixture.write<hw::QUEUE_SELECT>(0);
  EXPECT_EQ(fixture.read<hw::QUEUE_ENABLE>(), 0U);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 256U);
  EXPECT_EQ(fixture.read<hw::QUEUE_MSIX_VECTOR>(), hw::kNoVector);
}

TEST(VirtioTransport, QueueSizesArePowersOfTwoUnlessPacked) {
  DeviceFixture fixture;
  ASSERT_TRUE(fixture.negotiate(kLeast));
  fixture.write<hw::QUEUE_SELECT>(1);
  for (const unsigned refused : {0U, 3U, 512U, 0xFFFFU}) {
    fixture.write<hw::QUEUE_SIZE>(refused);
    EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 256U) << refused;
  }
  fixture.write<hw::QUEUE_SIZE>(64);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 64U);
  ASSERT_TRUE(fixture.negotiate(kLeast | feature::kRingPacked));
  fixture.write<hw::QUEUE_SIZE>(100);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 100U);
}

TEST(VirtioTransport, HasNoQueueBeyondItsLast) {
  DeviceFixture fixture;
  EXPECT_EQ(fixture.read<hw::NUM_QUEUES>(), 9U);
  fixture.write<hw::QUEUE_SELECT>(9);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 0U);
  fixture.write<hw::QUEUE_SIZE>(16);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 0U);
}

TEST(VirtioTransport, AQueueIsEnabledOnlyIfItsAreasAreAligned) {
  for (const auto& [descriptors, driver, device] :
       {std::tuple(8U, 0U, 0U), std::tuple(0U, 1U, 0U), std::tuple(0U, 0U, 2U)}) {
    DeviceFixture fixture;
    ASSERT_TRUE(fixture.negotiate(kLeast));
    fixture.write<hw::QUEUE_DESC>(static_cast<std::uint32_t>(TestMemory::kBase) + descriptors);
    fixture.write<hw::QUEUE_DRIVER>(static_cast<std::uint32_t>(TestMemory::kBase) + 0x1000 + driver);
    fixture.write<hw::QUEUE_DEVICE>(static_cast<std::uint32_t>(TestMemory::kBase) + 0x2000 + device);
    fixture.write<hw::QUEUE_ENABLE>(1);
    EXPECT_EQ(fixture.read<hw::QUEUE_ENABLE>(), 0U);
  }
}

TEST(VirtioTransport, TheSetupOfAnEnabledQueueIsFixed) {
  DeviceFixture fixture;
  fixture.start();
  fixture.write<hw::QUEUE_SELECT>(0);
  fixture.write<hw::QUEUE_SIZE>(8);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), DeviceFixture::kSize);
  fixture.write<hw::QUEUE_DESC>(0);
  EXPECT_EQ(fixture.read<hw::QUEUE_DESC>(), TestMemory::kBase);
  fixture.write<hw::QUEUE_ENABLE>(0);
  EXPECT_EQ(fixture.read<hw::QUEUE_ENABLE>(), 1U);
}

TEST(VirtioTransport, RefusesVectorsBeyondItsTable) {
  DeviceFixture fixture;
  fixture.write<hw::CONFIG_MSIX_VECTOR>(9);
  EXPECT_EQ(fixture.read<hw::CONFIG_MSIX_VECTOR>(), 9U);
  fixture.write<hw::CONFIG_MSIX_VECTOR>(10);
  EXPECT_EQ(fixture.read<hw::CONFIG_MSIX_VECTOR>(), hw::kNoVector);
}

TEST(VirtioTransport, WritesOfAnotherWidthAreIgnored) {
  DeviceFixture fixture;
  fixture.card.write(Card::kBar, hw::DRIVER_FEATURE_SELECT::offset(), 1, 1);
  EXPECT_EQ(fixture.read<hw::DRIVER_FEATURE_SELECT>(), 0U);
  fixture.card.write(Card::kBar, hw::DEVICE_STATUS::offset(), 4, 3);
  EXPECT_EQ(fixture.read<hw::DEVICE_STATUS>(), 0U);
}

TEST(VirtioTransport, ConfigurationHasTheCardsFields) {
  DeviceFixture fixture;
  EXPECT_EQ(fixture.config<hw::MAC>(3), 0x1AU);
  EXPECT_EQ(fixture.config<hw::NET_STATUS>(), 1U);
  EXPECT_EQ(fixture.config<hw::MAX_VIRTQUEUE_PAIRS>(), 4U);
  EXPECT_EQ(fixture.config<hw::MTU>(), 9216U);
  EXPECT_EQ(fixture.config<hw::SPEED>(), 1000U);
  EXPECT_EQ(fixture.config<hw::DUPLEX>(), 1U);
  EXPECT_EQ(fixture.config<hw::RSS_MAX_KEY_SIZE>(), 40U);
  EXPECT_EQ(fixture.config<hw::RSS_MAX_TABLE>(), 128U);
  EXPECT_EQ(fixture.config<hw::SUPPORTED_HASH_TYPES>(), 0x3FU);
}

TEST(VirtioTransport, ALinkChangeIsAChangeOfTheConfiguration) {
  DeviceFixture fixture;
  fixture.start(feature::kStatus);
  EXPECT_EQ(fixture.config<hw::NET_STATUS>(), 1U);
  const std::uint32_t generation = fixture.read<hw::CONFIG_GENERATION>();
  fixture.card.set_carrier(false);
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{0});
  EXPECT_EQ(fixture.config<hw::NET_STATUS>(), 0U);
  EXPECT_NE(fixture.read<hw::CONFIG_GENERATION>(), generation);
  EXPECT_EQ(fixture.card.read(Card::kBar, Card::kIsr, 1), 2U);
  EXPECT_EQ(fixture.card.read(Card::kBar, Card::kIsr, 1), 0U);
}

TEST(VirtioTransport, AMaskedVectorWaits) {
  DeviceFixture fixture;
  fixture.start(feature::kStatus);
  fixture.card.write32(Card::kMsixBar, 12, 1);
  fixture.card.set_carrier(false);
  EXPECT_TRUE(fixture.messages.empty());
  EXPECT_EQ(fixture.card.read32(Card::kMsixBar, 0x800), 1U);
  fixture.card.write32(Card::kMsixBar, 12, 0);
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{0});
}

TEST(VirtioTransport, TheInterruptPinFollowsIsr) {
  DeviceFixture fixture;
  fixture.card.set_interrupt_mode(InterruptMode::pin);
  fixture.start();
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.card.interrupt_pending());
  EXPECT_EQ(fixture.card.read(Card::kBar, Card::kIsr, 1), 1U);
  EXPECT_FALSE(fixture.card.interrupt_pending());
  EXPECT_TRUE(fixture.messages.empty());
}

TEST(VirtioTransport, RegistersAreReachedThroughConfigurationSpace) {
  DeviceFixture fixture;
  const auto access = [&](std::uint32_t offset, std::uint32_t length) {
    fixture.card.write_capability(4, 1, Card::kBar);
    fixture.card.write_capability(8, 4, offset);
    fixture.card.write_capability(12, 4, length);
  };
  access(hw::DEVICE_STATUS::offset(), 1);
  fixture.card.write_capability(16, 1, 3);
  EXPECT_EQ(fixture.read<hw::DEVICE_STATUS>(), 3U);
  EXPECT_EQ(fixture.card.read_capability(16, 4) & 0xFF, 3U);
  access(Card::kDevice + hw::MTU::offset(), 2);
  EXPECT_EQ(fixture.card.read_capability(16, 2), 9216U);
  access(0x10, 3);  // no width
  fixture.card.write_capability(16, 4, 0xFFFFFFFF);
  access(0x4000, 4);  // beyond the BAR
  fixture.card.write_capability(16, 4, 0xFFFFFFFF);
  EXPECT_EQ(fixture.card.counters().ignored_writes, 2U);
}

}  // namespace
}  // namespace pollux::models::virtio
