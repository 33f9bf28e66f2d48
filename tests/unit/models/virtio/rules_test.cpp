// SPDX-License-Identifier: BSD-3-Clause
// What happens if a driver breaks a rule of the rings. VIRTIO 1.3, 2.1.2, 2.7 and 2.8.
#include <gtest/gtest.h>

#include "unit/models/virtio/fixture.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;

class VirtioRules : public ::testing::TestWithParam<hw::Features> {
 protected:
  void start(hw::Features others = 0) { fixture.start(GetParam() | others); }
  DeviceFixture fixture;
};
INSTANTIATE_TEST_SUITE_P(Formats, VirtioRules, ::testing::Values(hw::Features{0}, feature::kRingPacked),
                         [](const auto& parameter) { return parameter.param == 0 ? "Split" : "Packed"; });

TEST_P(VirtioRules, NeedsAResetAfterABrokenRule) {
  start(feature::kStatus);
  fixture.ring(kTx).add({{DeviceFixture::buffer(0), 72, true}});  // the device could write it
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{0});  // a change of the configuration
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.sent.empty());
  fixture.messages.clear();
  start();
  EXPECT_FALSE(fixture.needs_reset());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.sent.size(), 1U);
}

TEST_P(VirtioRules, RefusesMemoryThatIsNotMapped) {
  start();
  fixture.ring(kTx).add({{0x10, 72, false}});
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
  start();
  fixture.ring(kRx).add({{~std::uint64_t{0} - 10, 2048, true}});
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.needs_reset());
}

TEST_P(VirtioRules, RefusesReadableReceiveBuffers) {
  start();
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 12, false}, {DeviceFixture::buffer(1), 2048, true}});
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.needs_reset());
}

TEST_P(VirtioRules, RefusesIndirectTablesThatWereNotNegotiated) {
  start();
  fixture.ring(kTx).add({{DeviceFixture::buffer(0), 32, false}}, hw::kDescIndirect);
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
}

TEST_P(VirtioRules, RefusesIndirectTablesOfOddLength) {
  for (const std::uint32_t length : {0U, 15U, 17U}) {
    start(feature::kIndirectDesc);
    fixture.ring(kTx).add({{DeviceFixture::buffer(0), length, false}}, hw::kDescIndirect);
    fixture.kick(kTx);
    EXPECT_TRUE(fixture.needs_reset()) << length;
  }
}

TEST_P(VirtioRules, RefusesBuffersWithoutBytes) {
  start();
  fixture.ring(kTx).add({{DeviceFixture::buffer(0), 72, false}, {DeviceFixture::buffer(1), 0, false}});
  fixture.kick(kTx);
  EXPECT_EQ(fixture.card.last_failure(), "a buffer has no bytes");
  start(feature::kMrgRxbuf);
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 0, true}});
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.needs_reset());
}

// Each neighbour that sends a frame would wait while the device looks at all of them.
TEST_P(VirtioRules, RefusesAFrameInTooManyBuffers) {
  start(feature::kMrgRxbuf | feature::kIndirectDesc);
  constexpr std::uint16_t kParts = 100;
  for (std::uint16_t i = 0; i < kParts; ++i) {
    const std::uint64_t place = DeviceFixture::buffer(2) + 16U * i;
    const auto more = i + 1 < kParts ? hw::kDescNext : std::uint16_t{0};
    const auto flags = static_cast<std::uint16_t>(hw::kDescWrite | more);
    if (GetParam() == 0) {
      fixture.memory.put(place,
                         hw::SplitDescriptor{DeviceFixture::buffer(0), 1, flags, static_cast<std::uint16_t>(i + 1)});
    } else {
      fixture.memory.put(place, hw::PackedDescriptor{DeviceFixture::buffer(0), 1, 0, hw::kDescWrite});
    }
  }
  for (int chain = 0; chain < DeviceFixture::kSize; ++chain)
    fixture.ring(kRx).add({{DeviceFixture::buffer(2), 16 * kParts, false}}, hw::kDescIndirect);
  fixture.card.receive(DeviceFixture::frame(1500));
  EXPECT_EQ(fixture.card.last_failure(), "a frame's room is in too many buffers");
}

// A frame is compared with each address, whoever sends it.
TEST_P(VirtioRules, AnAddressTableThatIsTooLongMeansAllAddresses) {
  for (const std::uint32_t count : {64U, 65U}) {
    start(feature::kCtrlVq | feature::kCtrlRx);
    std::vector<std::uint8_t> tables(8 + 6 * count);
    std::memcpy(tables.data(), &count, sizeof count);
    for (std::uint32_t i = 0; i < count; ++i) tables[4 + 6 * i] = 2;
    ASSERT_EQ(fixture.control(1, 0, tables), kOk);
    fixture.card.receive(DeviceFixture::frame(60, {2, 0, 0, 0, 9, 9}));
    fixture.card.receive(DeviceFixture::frame(60, {3, 0, 0, 0, 9, 9}));
    EXPECT_EQ(fixture.card.counters().rx_filtered, count == 64 ? 2U : 3U) << "multicast is another table";
  }
}

/// A driver that adds a receive buffer whenever the device has taken one.
class AddingDriver final : public DmaInterceptor {
 public:
  explicit AddingDriver(HandRing& ring) : ring_(ring) {}
  bool allow(ModelAccess what, std::uint32_t queue, std::uint64_t iova, std::size_t) noexcept override {
    const bool entry = iova >= ring_.driver() + 4 && iova < ring_.device();
    if (what == ModelAccess::descriptor_read && queue == kRx && entry) ring_.publish(0);
    return true;
  }

 private:
  HandRing& ring_;
};

TEST(VirtioSplitRules, RefusesMoreBuffersThanTheQueueHas) {
  DeviceFixture fixture;
  fixture.start(feature::kMrgRxbuf);
  for (int i = 0; i < DeviceFixture::kSize; ++i) fixture.ring(kRx).add({{DeviceFixture::buffer(0), 1, true}});
  AddingDriver adds(fixture.ring(kRx));
  fixture.memory.intercept(&adds);
  fixture.card.receive(DeviceFixture::frame(1500));
  fixture.memory.intercept(nullptr);
  EXPECT_EQ(fixture.card.last_failure(), "the available index is further ahead than the queue is long");
}

TEST(VirtioSplitRules, RefusesAnIndexThatIsTooFarAhead) {
  DeviceFixture fixture;
  fixture.start();
  fixture.memory.put<std::uint16_t>(fixture.ring(kTx).driver() + 2, DeviceFixture::kSize + 1);
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
}

TEST(VirtioSplitRules, RefusesADescriptorBeyondTheQueue) {
  DeviceFixture fixture;
  fixture.start();
  fixture.ring(kTx).publish(DeviceFixture::kSize);
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
  fixture.start();
  fixture.memory.put(fixture.ring(kTx).descriptor(0),
                     hw::SplitDescriptor{DeviceFixture::buffer(0), 72, hw::kDescNext, 99});
  fixture.ring(kTx).publish(0);
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
}

TEST(VirtioSplitRules, RefusesLoops) {
  DeviceFixture fixture;
  fixture.start(feature::kIndirectDesc);
  fixture.memory.put(fixture.ring(kTx).descriptor(3),
                     hw::SplitDescriptor{DeviceFixture::buffer(0), 1, hw::kDescNext, 3});
  fixture.ring(kTx).publish(3);
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
  EXPECT_EQ(fixture.card.last_failure(), "a chain of descriptors loops");
  fixture.start(feature::kIndirectDesc);
  fixture.memory.put(DeviceFixture::buffer(2), hw::SplitDescriptor{DeviceFixture::buffer(0), 1, hw::kDescNext, 0});
  fixture.ring(kTx).add({{DeviceFixture::buffer(2), 16, false}}, hw::kDescIndirect);
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
  EXPECT_EQ(fixture.card.last_failure(), "an indirect table loops");
}

TEST(VirtioSplitRules, RefusesNestedTables) {
  DeviceFixture fixture;
  fixture.start(feature::kIndirectDesc);
  fixture.memory.put(DeviceFixture::buffer(2), hw::SplitDescriptor{DeviceFixture::buffer(3), 16, hw::kDescIndirect, 0});
  fixture.ring(kTx).add({{DeviceFixture::buffer(2), 16, false}}, hw::kDescIndirect);
  fixture.kick(kTx);
  EXPECT_EQ(fixture.card.last_failure(), "an indirect table within another");
}

TEST(VirtioPackedRules, RefusesAChainWithAnEndThatIsNotAvailable) {
  DeviceFixture fixture;
  fixture.start(feature::kRingPacked);
  const auto flags = static_cast<std::uint16_t>(hw::kDescNext | hw::packed_available(true));
  fixture.memory.put(fixture.ring(kTx).descriptor(0), hw::PackedDescriptor{DeviceFixture::buffer(0), 72, 1, flags});
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
}

TEST(VirtioPackedRules, RefusesAChainThatGoesRound) {
  DeviceFixture fixture;
  fixture.start(feature::kRingPacked);
  for (std::uint16_t slot = 0; slot < DeviceFixture::kSize; ++slot) {
    const auto flags = static_cast<std::uint16_t>(hw::kDescNext | hw::packed_available(true));
    fixture.memory.put(fixture.ring(kTx).descriptor(slot), hw::PackedDescriptor{DeviceFixture::buffer(0), 1, 1, flags});
  }
  fixture.kick(kTx);
  EXPECT_TRUE(fixture.needs_reset());
}

}  // namespace
}  // namespace pollux::models::virtio
