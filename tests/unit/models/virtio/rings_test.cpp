// SPDX-License-Identifier: BSD-3-Clause
// Frames through both kinds of ring, and notifications. VIRTIO 1.3, 2.7 to 2.9.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "unit/models/virtio/fixture.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;

/// The features that select a ring.
class VirtioRing : public ::testing::TestWithParam<hw::Features> {
 protected:
  [[nodiscard]] bool packed() const { return (GetParam() & feature::kRingPacked) != 0; }
  void start(hw::Features others = 0) { fixture.start(GetParam() | others); }
  Bytes received(std::uint32_t number, std::size_t length) {
    return fixture.memory.bytes(DeviceFixture::buffer(number) + 12, length);
  }
  DeviceFixture fixture;
};
INSTANTIATE_TEST_SUITE_P(Formats, VirtioRing, ::testing::Values(hw::Features{0}, feature::kRingPacked),
                         [](const auto& parameter) { return parameter.param == 0 ? "Split" : "Packed"; });

TEST_P(VirtioRing, SendsAFrame) {
  start();
  const Bytes frame = DeviceFixture::frame(100);
  const std::uint16_t id = fixture.send(frame);
  EXPECT_EQ(fixture.sent, std::vector<Bytes>{frame});
  EXPECT_EQ(fixture.ring(kTx).used(), (UsedEntry{id, 0}));
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{kTx + 1});
}

TEST_P(VirtioRing, PadsShortFrames) {
  start();
  fixture.send(DeviceFixture::frame(20));
  ASSERT_EQ(fixture.sent.size(), 1U);
  EXPECT_EQ(fixture.sent[0].size(), 60U);
}

TEST_P(VirtioRing, SendsAFrameOfSeveralParts) {
  start();
  const Bytes frame = DeviceFixture::frame(300);
  fixture.memory.put(DeviceFixture::buffer(0), hw::NetHeader{});
  fixture.memory.put_bytes(DeviceFixture::buffer(1), std::span(frame).first(100));
  fixture.memory.put_bytes(DeviceFixture::buffer(2), std::span(frame).subspan(100));
  const auto id = fixture.ring(kTx).add({{DeviceFixture::buffer(0), 12, false},
                                         {DeviceFixture::buffer(1), 100, false},
                                         {DeviceFixture::buffer(2), 200, false}});
  fixture.kick(kTx);
  EXPECT_EQ(fixture.sent, std::vector<Bytes>{frame});
  EXPECT_EQ(fixture.ring(kTx).used(), (UsedEntry{id, 0}));
}

TEST_P(VirtioRing, GoesRoundManyTimes) {
  start();
  for (int i = 0; i < 100; ++i) {
    const Bytes frame = DeviceFixture::frame(60 + static_cast<std::size_t>(i));
    const std::uint16_t id = fixture.send(frame);
    ASSERT_EQ(fixture.sent.back(), frame);
    ASSERT_EQ(fixture.ring(kTx).used(), (UsedEntry{id, 0})) << i;
    ASSERT_EQ(fixture.ring(kTx).used(), std::nullopt);
  }
}

// A driver that always has more to send would find its ring full otherwise.
TEST_P(VirtioRing, ReturnsBuffersWhileItSendsOthers) {
  start();
  fixture.memory.put(DeviceFixture::buffer(0), hw::NetHeader{});
  for (int i = 0; i < DeviceFixture::kSize; ++i) fixture.ring(kTx).add({{DeviceFixture::buffer(0), 72, false}});
  int sent = 0, returned = 0, most = 0;
  fixture.card.on_transmit([&](std::span<const std::byte>) {
    while (fixture.ring(kTx).used()) ++returned;
    most = std::max(most, ++sent - returned);
  });
  fixture.kick(kTx);
  EXPECT_EQ(sent, DeviceFixture::kSize);
  EXPECT_EQ(most, DeviceFixture::kSize / 4);
}

TEST_P(VirtioRing, ReceivesAFrame) {
  start();
  const auto id = fixture.ring(kRx).add({{DeviceFixture::buffer(0), 2048, true}});
  fixture.kick(kRx);
  const Bytes frame = DeviceFixture::frame(100);
  fixture.card.receive(frame);
  EXPECT_EQ(fixture.ring(kRx).used(), (UsedEntry{id, 112}));
  EXPECT_EQ(received(0, 100), frame);
  EXPECT_EQ(fixture.memory.get<hw::NetHeader>(DeviceFixture::buffer(0)).num_buffers, 1U);
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{kRx + 1});
}

TEST_P(VirtioRing, FramesWaitForBuffers) {
  start();
  const Bytes frame = DeviceFixture::frame(100);
  fixture.card.receive(frame);
  EXPECT_FALSE(fixture.card.can_receive());
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 2048, true}});
  fixture.kick(kRx);
  EXPECT_EQ(received(0, 100), frame);
  EXPECT_TRUE(fixture.card.can_receive());
}

TEST_P(VirtioRing, DropsAFrameThatDoesNotFitOneBuffer) {
  start();
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 64, true}});
  fixture.card.receive(DeviceFixture::frame(100));
  EXPECT_EQ(fixture.ring(kRx).used(), std::nullopt);
  EXPECT_EQ(fixture.card.counters().rx_too_long, 1U);
  fixture.card.receive(DeviceFixture::frame(52));
  EXPECT_TRUE(fixture.ring(kRx).used());
}

TEST_P(VirtioRing, FillsSeveralBuffers) {
  start(feature::kMrgRxbuf);
  std::vector<std::uint16_t> ids;
  for (std::uint32_t i = 0; i < 4; ++i) ids.push_back(fixture.ring(kRx).add({{DeviceFixture::buffer(i), 200, true}}));
  const Bytes frame = DeviceFixture::frame(500);
  fixture.card.receive(frame);
  EXPECT_EQ(fixture.ring(kRx).used(), (UsedEntry{ids[0], 200}));
  EXPECT_EQ(fixture.ring(kRx).used(), (UsedEntry{ids[1], 200}));
  EXPECT_EQ(fixture.ring(kRx).used(), (UsedEntry{ids[2], 112}));
  EXPECT_EQ(fixture.ring(kRx).used(), std::nullopt);
  EXPECT_EQ(fixture.memory.get<hw::NetHeader>(DeviceFixture::buffer(0)).num_buffers, 3U);
  EXPECT_EQ(fixture.memory.bytes(DeviceFixture::buffer(1), 200), Bytes(frame.begin() + 188, frame.begin() + 388));
}

TEST_P(VirtioRing, TakesNoBufferUntilThereAreEnough) {
  start(feature::kMrgRxbuf);
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 200, true}});
  fixture.card.receive(DeviceFixture::frame(300));
  EXPECT_EQ(fixture.ring(kRx).used(), std::nullopt);
  fixture.ring(kRx).add({{DeviceFixture::buffer(1), 200, true}});
  fixture.kick(kRx);
  EXPECT_TRUE(fixture.ring(kRx).used());
  EXPECT_TRUE(fixture.ring(kRx).used());
}

TEST_P(VirtioRing, ReadsAnIndirectTable) {
  start(feature::kIndirectDesc);
  const Bytes frame = DeviceFixture::frame(80);
  fixture.memory.put(DeviceFixture::buffer(0), hw::NetHeader{});
  fixture.memory.put_bytes(DeviceFixture::buffer(1), frame);
  const std::uint64_t table = DeviceFixture::buffer(2);
  if (packed()) {
    fixture.memory.put(table, hw::PackedDescriptor{DeviceFixture::buffer(0), 12, 0, 0});
    fixture.memory.put(table + 16, hw::PackedDescriptor{DeviceFixture::buffer(1), 80, 0, 0});
  } else {
    fixture.memory.put(table, hw::SplitDescriptor{DeviceFixture::buffer(0), 12, hw::kDescNext, 1});
    fixture.memory.put(table + 16, hw::SplitDescriptor{DeviceFixture::buffer(1), 80, 0, 0});
  }
  const auto id = fixture.ring(kTx).add({{table, 32, false}}, hw::kDescIndirect);
  fixture.kick(kTx);
  EXPECT_EQ(fixture.sent, std::vector<Bytes>{frame});
  EXPECT_EQ(fixture.ring(kTx).used(), (UsedEntry{id, 0}));
}

TEST_P(VirtioRing, OneUsedEntryStandsForABatchInOrder) {
  start(feature::kInOrder);
  fixture.memory.put(DeviceFixture::buffer(0), hw::NetHeader{});
  std::uint16_t last = 0;
  for (int i = 0; i < 3; ++i) last = fixture.ring(kTx).add({{DeviceFixture::buffer(0), 72, false}});
  fixture.kick(kTx);
  EXPECT_EQ(fixture.sent.size(), 3U);
  EXPECT_EQ(fixture.ring(kTx).used(), (UsedEntry{last, 0}));
  if (!packed()) {
    EXPECT_EQ(fixture.memory.get<std::uint16_t>(fixture.ring(kTx).device() + 2), 3U);
  }
}

TEST_P(VirtioRing, TellsNobodyIfTheDriverDoesNotWantTo) {
  start();
  packed() ? fixture.memory.put(fixture.ring(kTx).driver(), hw::EventSuppression{0, hw::kEventDisable})
           : fixture.memory.put(fixture.ring(kTx).driver(), hw::kNoInterrupt);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
}

// The driver asks for the entry after the next two: one message, at the third.
TEST_P(VirtioRing, TellsAtTheEventThatTheDriverAskedFor) {
  start(feature::kEventIdx);
  const auto ask = [&](std::uint16_t at) {
    packed() ? fixture.memory.put(
                   fixture.ring(kTx).driver(),
                   hw::EventSuppression{static_cast<std::uint16_t>(at | 1U << hw::kWrapBit), hw::kEventDescriptor})
             : fixture.memory.put(fixture.ring(kTx).driver() + hw::split_used_event(DeviceFixture::kSize), at);
  };
  ask(2);
  fixture.send(DeviceFixture::frame(60));
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.messages.size(), 1U);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.messages.size(), 1U);
}

TEST_P(VirtioRing, ReceiveQueuesAskForKicksOnlyWhenTheyRunDry) {
  start();
  const auto asks = [&] {
    const std::uint64_t area = fixture.ring(kRx).device();
    return packed() ? fixture.memory.get<hw::EventSuppression>(area).flags == hw::kEventEnable
                    : fixture.memory.get<std::uint16_t>(area) == 0;
  };
  EXPECT_TRUE(asks());
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 2048, true}});
  fixture.kick(kRx);
  EXPECT_FALSE(asks());
  fixture.card.receive(DeviceFixture::frame(60));
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_TRUE(asks());
}

TEST_P(VirtioRing, IgnoresDoorbellsOfOtherQueuesAndWidths) {
  start();
  fixture.memory.put(DeviceFixture::buffer(0), hw::NetHeader{});
  fixture.ring(kTx).add({{DeviceFixture::buffer(0), 72, false}});
  fixture.card.write(Card::kBar, Card::kNotify + 4, 2, 0);  // another queue than the place
  fixture.card.write(Card::kBar, Card::kNotify + 4, 4, 1);
  fixture.card.write(Card::kBar, Card::kNotify + 4 * 7, 2, 7);  // disabled
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(fixture.card.counters().ignored_writes, 3U);
  EXPECT_FALSE(fixture.needs_reset());
}

TEST_P(VirtioRing, DoorbellsHaveDataIfNegotiated) {
  start(feature::kNotificationData);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.sent.empty());
  fixture.card.write(Card::kBar, Card::kNotify + 4, 4, hw::notification(1, 1));
  EXPECT_EQ(fixture.sent.size(), 1U);
}

TEST_P(VirtioRing, DoesNothingBeforeDriverOk) {
  fixture.negotiate(kLeast | GetParam());
  fixture.add_queue(0);
  fixture.add_queue(1);
  fixture.send(DeviceFixture::frame(60));
  fixture.card.receive(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(fixture.card.counters().rx_stopped, 1U);
  fixture.write<hw::DEVICE_STATUS>(0x0F);
  EXPECT_EQ(fixture.sent.size(), 1U);
}

// With bus mastering off the device is idle; it goes on where it was.
TEST_P(VirtioRing, ContinuesWhenItMayAccessMemoryAgain) {
  start();
  fixture.card.set_dma(nullptr);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_FALSE(fixture.needs_reset());
  fixture.card.set_dma(&fixture.memory);
  EXPECT_EQ(fixture.sent.size(), 1U);
}

TEST_P(VirtioRing, SendsNothingWhileTheWireIsFull) {
  start();
  fixture.card.set_wire_busy(true);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.sent.empty());
  fixture.card.set_wire_busy(false);
  EXPECT_EQ(fixture.sent.size(), 1U);
}

TEST_P(VirtioRing, AQueueIsResetAlone) {
  start(feature::kRingReset);
  fixture.send(DeviceFixture::frame(60));
  fixture.write<hw::QUEUE_SELECT>(kTx);
  fixture.write<hw::QUEUE_RESET>(1);
  EXPECT_EQ(fixture.read<hw::QUEUE_RESET>(), 0U);
  EXPECT_EQ(fixture.read<hw::QUEUE_ENABLE>(), 0U);
  EXPECT_EQ(fixture.read<hw::QUEUE_SIZE>(), 256U);
  fixture.add_queue(kTx);
  const auto id = fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.sent.size(), 2U);
  EXPECT_EQ(fixture.ring(kTx).used(), (UsedEntry{id, 0}));
}

// The driver tells of an entry only if that is the one asked for. Those that are there already are too few.
TEST(VirtioSplitRing, AsksForTheEntryAfterThoseThatAreTooFew) {
  DeviceFixture fixture;
  fixture.start(feature::kMrgRxbuf | feature::kEventIdx);
  fixture.ring(kRx).add({{DeviceFixture::buffer(0), 200, true}});
  fixture.ring(kRx).add({{DeviceFixture::buffer(1), 200, true}});
  fixture.card.receive(DeviceFixture::frame(500));
  EXPECT_EQ(fixture.memory.get<std::uint16_t>(fixture.ring(kRx).device() + hw::split_avail_event(DeviceFixture::kSize)),
            2U);
}

// The driver adds a command as soon as it sees an answer. The device, which asks for the next entry only then, has to
// look once more, since the driver need not kick for this one.
TEST(VirtioSplitRing, AnswersACommandThatIsAddedWithTheAnswerToAnother) {
  DeviceFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kCtrlRx | feature::kEventIdx);
  HandRing& commands = fixture.ring(fixture.control_index());
  bool added = false;
  fixture.card.on_interrupt([&](unsigned) {
    if (std::exchange(added, true)) return;
    fixture.memory.put<std::uint8_t>(DeviceFixture::buffer(61), 0xAA);
    commands.add({{DeviceFixture::buffer(50), 3, false}, {DeviceFixture::buffer(61), 1, true}});
  });
  EXPECT_EQ(fixture.control(0, 0, {1}), std::uint8_t{0});
  EXPECT_TRUE(commands.used());
  EXPECT_EQ(fixture.memory.get<std::uint8_t>(DeviceFixture::buffer(61)), std::uint8_t{0});
}

// A driver polls while its interrupts are delayed, and then asks for one.
TEST(VirtioSplitRing, TellsAlsoAfterMoreFramesThanAnIndexCounts) {
  constexpr std::uint32_t kFrames = 65536 + 2;
  DeviceFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kNotfCoal | feature::kEventIdx);
  ASSERT_EQ(fixture.control(6, 0, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}), kOk);
  fixture.messages.clear();
  for (std::uint32_t i = 0; i < kFrames; ++i) fixture.send(DeviceFixture::frame(60));
  fixture.memory.put(fixture.ring(kTx).driver() + hw::split_used_event(DeviceFixture::kSize),
                     static_cast<std::uint16_t>(kFrames - 10));
  EXPECT_TRUE(fixture.messages.empty());
  fixture.pass(std::chrono::hours(1));
  EXPECT_EQ(fixture.messages.size(), 1U);
}

// Every id and every place of a packed ring of a size that is no power of two.
TEST(VirtioPackedRing, HasAnySize) {
  DeviceFixture fixture;
  fixture.negotiate(kLeast | feature::kRingPacked);
  HandRing ring(fixture.memory, TestMemory::kBase + 0x4000, 11, true);
  fixture.rings.resize(2);
  fixture.rings[1].emplace(ring);
  fixture.write<hw::QUEUE_SELECT>(1);
  fixture.write<hw::QUEUE_SIZE>(11);
  fixture.write<hw::QUEUE_DESC>(static_cast<std::uint32_t>(ring.descriptors()));
  fixture.write<hw::QUEUE_DRIVER>(static_cast<std::uint32_t>(ring.driver()));
  fixture.write<hw::QUEUE_DEVICE>(static_cast<std::uint32_t>(ring.device()));
  fixture.write<hw::QUEUE_ENABLE>(1);
  fixture.write<hw::DEVICE_STATUS>(0x0F);
  for (int i = 0; i < 50; ++i) {
    const auto id = fixture.send(DeviceFixture::frame(60));
    ASSERT_EQ(fixture.ring(1).used(), (UsedEntry{id, 0})) << i;
  }
  EXPECT_EQ(fixture.sent.size(), 50U);
}

}  // namespace
}  // namespace pollux::models::virtio
