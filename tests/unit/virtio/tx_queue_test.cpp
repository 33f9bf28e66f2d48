// SPDX-License-Identifier: BSD-3-Clause
// The transmit queue against a device that does what it may, and what it must not. Each case runs on both ring formats.
#include <optional>
#include <utility>

#include "net/virtio_net_header.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "support/chain.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

/// A frame needs one slot, also where mbufs are traced and all frames have a header of their own.
constexpr hw::virtio::Features kOneSlot = feature::kIndirectDesc;

class TxRing : public testing::TestWithParam<hw::virtio::Features> {};

std::vector<MbufPtr> frames_of(QueueFixture& queue, std::uint32_t count, std::size_t bytes = 60,
                               std::size_t segment_bytes = 2048) {
  std::vector<MbufPtr> frames;
  for (std::uint32_t i = 0; i < count; ++i) {
    frames.push_back(queue.make(frame_of(bytes, static_cast<std::uint8_t>(i)), segment_bytes));
  }
  return frames;
}

Bytes with_header(const Bytes& frame) {
  Bytes all(sizeof(hw::virtio::NetHeader), 0);
  all.insert(all.end(), frame.begin(), frame.end());
  return all;
}

TEST_P(TxRing, FramesReachTheDeviceInOrderThroughManyLaps) {
  QueueFixture queue(GetParam());
  queue.start_tx();
  for (std::uint32_t burst = 0; burst < 40; ++burst) {
    const std::uint32_t count = burst % 7 + 1;
    ASSERT_EQ(queue.send(frames_of(queue, count, 60 + burst)), count);
    const auto ids = queue.device->look();
    ASSERT_EQ(ids.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(queue.content(ids[i]), with_header(frame_of(60 + burst, static_cast<std::uint8_t>(i))));
      queue.device->use(ids[i], 0);
    }
  }
  queue.tx.tx_done_cleanup();
  EXPECT_EQ(queue.tx.in_flight(), 0u);
  EXPECT_EQ(queue.tx.fault(), nullptr);
}

TEST_P(TxRing, AFullRingTakesNoMore) {
  QueueFixture queue(GetParam() | kOneSlot);
  queue.start_tx();
  EXPECT_EQ(queue.send(frames_of(queue, 20)), QueueFixture::kSize);
  EXPECT_EQ(queue.send(frames_of(queue, 1)), 0u);
  for (const std::uint32_t id : queue.device->look()) queue.device->use(id, 0);
  EXPECT_EQ(queue.send(frames_of(queue, 20)), QueueFixture::kSize);
}

TEST_P(TxRing, AChainIsOneFrameWithAndWithoutTables) {
  for (const hw::virtio::Features more : {hw::virtio::Features{0}, feature::kIndirectDesc}) {
    QueueFixture queue(GetParam() | more);
    queue.start_tx();
    for (std::uint32_t lap = 0; lap < 10; ++lap) {
      ASSERT_EQ(queue.send(frames_of(queue, 2, 200, 60)), 2u);
      const auto ids = queue.device->look();
      ASSERT_EQ(ids.size(), 2u);
      EXPECT_EQ(queue.device->parts(ids[0]).size(), 5u) << "the header and four segments";
      EXPECT_EQ(queue.content(ids[1]), with_header(frame_of(200, 1)));
      for (const std::uint32_t id : ids) queue.device->use(id, 0);
    }
    queue.tx.tx_done_cleanup();
    EXPECT_EQ(queue.tx.in_flight(), 0u);
    EXPECT_EQ(queue.tx.fault(), nullptr);
  }
}

TEST_P(TxRing, WhatLiesBehindABurstIsLeftAlone) {
  QueueFixture queue(GetParam() | kOneSlot);
  queue.start_tx();
  auto frames = frames_of(queue, 1);
  frames.push_back(queue.make(frame_of(600, 1), 100));  // a chain, which takes another path
  for (std::uint8_t i = 2; i < 5; ++i) frames.push_back(queue.make(frame_of(60, i)));
  std::vector<Mbuf*> array;
  for (const MbufPtr& frame : frames) array.push_back(frame.get());
  const bool is_packed = (GetParam() & feature::kRingPacked) != 0;
  ASSERT_EQ(tx_burst_for(is_packed)(queue.tx, array.data(), 3), 3u);
  for (std::size_t i = 0; i < 3; ++i) static_cast<void>(frames[i].release());
  EXPECT_EQ(queue.device->look().size(), 3u);
}

TEST_P(TxRing, ADeviceMayUseBuffersOutOfOrder) {
  QueueFixture queue(GetParam() | kOneSlot);
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 8)), 8u);
  auto ids = queue.device->look();
  for (const std::size_t pick : {5u, 2u, 7u, 1u}) queue.device->use(ids[pick], 0);
  queue.tx.tx_done_cleanup();
  EXPECT_EQ(queue.tx.in_flight(), 8u) << "the oldest is still with the device";
  for (const std::size_t pick : {0u, 6u, 4u, 3u}) queue.device->use(ids[pick], 0);
  queue.tx.tx_done_cleanup();
  EXPECT_EQ(queue.tx.in_flight(), 0u);
  EXPECT_EQ(queue.tx.fault(), nullptr);
}

TEST_P(TxRing, OneEntryMayStandForABatchInOrder) {
  QueueFixture queue(GetParam() | kOneSlot | feature::kInOrder);
  queue.start_tx();
  for (std::uint32_t lap = 0; lap < 9; ++lap) {
    ASSERT_EQ(queue.send(frames_of(queue, 8)), 8u);
    const auto ids = queue.device->look();
    queue.device->use(ids[7], 0, 7);
    queue.tx.tx_done_cleanup();
    ASSERT_EQ(queue.tx.in_flight(), 0u);
  }
  EXPECT_EQ(queue.tx.fault(), nullptr);
}

TEST_P(TxRing, ABufferThatTheDeviceDidNotHaveEndsTheQueue) {
  for (const std::uint32_t id : {3u, QueueFixture::kSize, 0xFFFFu}) {
    QueueFixture queue(GetParam() | kOneSlot);
    queue.start_tx();
    ASSERT_EQ(queue.send(frames_of(queue, 2)), 2u);
    queue.device->look();
    queue.device->use(id, 0);
    EXPECT_EQ(queue.send(frames_of(queue, 1)), 0u);
    EXPECT_STREQ(queue.tx.fault(), "a buffer that it did not have");
    queue.tx.drain(DrainReason::stopped);
    EXPECT_EQ(queue.dropped(&TxDrops::stopped), 2u);
  }
}

TEST_P(TxRing, ABufferThatIsUsedTwiceEndsTheQueue) {
  QueueFixture queue(GetParam());
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 4)), 4u);
  queue.device->look();
  queue.device->use(2, 0);
  queue.device->use(2, 0);
  queue.tx.tx_done_cleanup();
  EXPECT_STREQ(queue.tx.fault(), "a buffer twice, or a part of one");
}

TEST_P(TxRing, AFrameCountsAsSentOnceTheDeviceHasUsedIt) {
  QueueFixture queue(GetParam());
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 3)), 3u);
  const auto ids = queue.device->look();
  for (const std::uint32_t id : ids) {
    EXPECT_EQ(queue.tx.sent().packets, 0u);
    queue.device->use(id, 0);
  }
  // Checked builds send a header and its frame as two descriptors, of which a packed ring shows the first one only.
  if (GetParam() != 0 && ids[1] != ids[0] + 1) queue.tx.tx_done_cleanup();
  EXPECT_EQ(queue.tx.sent().packets, 3u);
  EXPECT_EQ(queue.tx.sent().bytes, 3 * 60u);
}

// The device never has everything done, so the count is behind, and a stop takes nothing off it.
TEST_P(TxRing, TheCountOfABusyQueueFollowsAndNeverFalls) {
  constexpr std::uint32_t kFrames = 1000;
  constexpr std::uint32_t kBehind = 2 * 64 + 3 * QueueFixture::kSize;
  QueueFixture queue(GetParam());
  queue.start_tx();
  std::uint64_t before = 0;
  std::optional<std::uint32_t> waiting;
  for (std::uint32_t sent = 0; sent < kFrames; ++sent) {
    ASSERT_EQ(queue.send(frames_of(queue, 1)), 1u);
    if (waiting) queue.device->use(*waiting, 0);
    waiting = queue.device->look().front();
    const TxSent now = queue.tx.sent();
    ASSERT_GE(now.packets, before);
    ASSERT_LE(now.packets, sent);
    ASSERT_GE(now.packets + kBehind, sent);
    ASSERT_EQ(now.bytes, 60 * now.packets);
    before = now.packets;
  }
  EXPECT_EQ(queue.tx.drain(DrainReason::stopped), 2u) << "one of them has been sent";
  EXPECT_EQ(queue.tx.sent().packets, kFrames - 1);
  EXPECT_EQ(queue.tx.sent().bytes, 60 * (kFrames - 1));
}

// The sender rests, so nothing frees its frames.
TEST_P(TxRing, StandsOnlyWhileTheDeviceHasFrames) {
  for (const std::size_t segment_bytes : {std::size_t{2048}, std::size_t{60}}) {
    QueueFixture queue(GetParam());
    queue.start_tx();
    for (std::uint32_t lap = 0; lap < 5; ++lap) {
      ASSERT_EQ(queue.send(frames_of(queue, 3, 200, segment_bytes)), 3u);
      const auto before = queue.tx.progress();
      ASSERT_TRUE(before.has_value());
      const auto ids = queue.device->look();
      ASSERT_EQ(ids.size(), 3u);
      queue.device->use(ids[0], 0);
      queue.device->use(ids[1], 0);
      const auto after = queue.tx.progress();
      ASSERT_TRUE(after.has_value()) << "one is left";
      EXPECT_GT(*after, *before);
      queue.device->use(ids[2], 0);
      EXPECT_FALSE(queue.tx.progress().has_value()) << "frames of several descriptors: " << (segment_bytes < 200);
      EXPECT_NE(queue.tx.in_flight(), 0u) << "none is freed";
      queue.tx.tx_done_cleanup();
    }
  }
}

TEST_P(TxRing, BuffersThatNeverComeBackAreNamedWhenTheQueueStops) {
  QueueFixture queue(GetParam());
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 3)), 3u);
  EXPECT_EQ(queue.tx.sent().packets, 0u);
  EXPECT_TRUE(queue.tx.progress().has_value());
  EXPECT_EQ(queue.tx.drain(DrainReason::stopped), 3u);
  EXPECT_EQ(queue.tx.sent().packets, 0u);
  EXPECT_EQ(queue.dropped(&TxDrops::stopped), 3u);
}

TEST_P(TxRing, ACacheMayChangeWhileFramesAreSent) {
  QueueFixture queue(GetParam());
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 3)), 3u);
  Mempool other = Mempool::create(queue.context, {.count = 64, .name = "other"}).value();
  MempoolCache others(other, 64);
  ASSERT_TRUE(queue.tx.use_cache(others));
  for (const std::uint32_t id : queue.device->look()) queue.device->use(id, 0);
  queue.tx.tx_done_cleanup();
  EXPECT_EQ(queue.tx.in_flight(), 0u);
  EXPECT_EQ(other.stats().in_use(), 0u);
}

/// A frame of Ethernet, IPv4 and UDP or TCP, whose checksums are not computed.
Bytes packet_of(std::uint8_t protocol, std::size_t payload) {
  const std::size_t transport = protocol == 6 ? 20 : 8;
  Bytes frame(14 + 20 + transport + payload, 0x5A);
  frame[12] = 0x08;
  frame[13] = 0;
  frame[14] = 0x45;
  frame[20] = 0x40;  // not a fragment
  frame[21] = 0;
  frame[23] = protocol;
  packet::store16(&frame[16], static_cast<std::uint16_t>(20 + transport + payload));
  if (protocol == 6) frame[46] = 0x50;
  if (protocol == 17) packet::store16(&frame[38], static_cast<std::uint16_t>(transport + payload));
  return frame;
}

VirtioNetHeader header_of(const Bytes& content) {
  return {.flags = content[0],
          .segmentation = content[1],
          .header_length = static_cast<std::uint16_t>(content[2] | content[3] << 8),
          .segment_size = static_cast<std::uint16_t>(content[4] | content[5] << 8),
          .checksum_start = static_cast<std::uint16_t>(content[6] | content[7] << 8),
          .checksum_offset = static_cast<std::uint16_t>(content[8] | content[9] << 8)};
}

/// Whether the UDP checksum of a frame of packet_of is right.
bool udp_checksum_is_right(const Bytes& frame) {
  packet::InternetSum sum;
  sum.add(std::span(frame).subspan(26, 8));
  sum.add(17);
  sum.add(static_cast<std::uint32_t>(frame.size() - 34));
  sum.add(std::span(frame).subspan(34));
  return sum.folded() == 0xFFFF;
}

TEST_P(TxRing, AChecksumIsLeftToTheDeviceOrComputed) {
  for (const hw::virtio::Features csum : {feature::kCsum, hw::virtio::Features{0}}) {
    QueueFixture queue(GetParam() | csum);
    queue.start_tx();
    std::vector<MbufPtr> frames;
    frames.push_back(queue.make(packet_of(17, 30)));
    ASSERT_TRUE(request_checksums(*frames[0],
                                  {.flags = TxOffload::udp_checksum | TxOffload::ipv4_checksum, .l2 = 14, .l3 = 20}));
    ASSERT_EQ(queue.send(std::move(frames)), 1u);
    const Bytes content = queue.content(queue.device->look().front());
    const VirtioNetHeader header = header_of(content);
    Bytes frame(content.begin() + sizeof(hw::virtio::NetHeader), content.end());
    EXPECT_EQ(packet::internet_checksum(std::span(frame).subspan(14, 20)), 0) << "that of IPv4 is always computed";
    if (csum == 0) {
      EXPECT_EQ(header.flags, 0);
    } else {
      EXPECT_EQ(header.flags, VirtioNetHeader::kNeedsChecksum);
      EXPECT_EQ(header.checksum_start, 34);
      EXPECT_EQ(header.checksum_offset, 6);
      packet::store16(&frame[40], packet::internet_checksum(std::span(frame).subspan(34)));  // as the device does
    }
    EXPECT_TRUE(udp_checksum_is_right(frame));
  }
}

TEST_P(TxRing, SegmentationIsDescribedAndLeavesTheFrameAsItIs) {
  QueueFixture queue(GetParam() | feature::kCsum | feature::kHostTso4 | feature::kHostTso6 | feature::kHostEcn);
  queue.start_tx();
  const Bytes original = packet_of(6, 5000);
  std::vector<MbufPtr> frames;
  frames.push_back(queue.make(original, 1500));
  ASSERT_TRUE(request_checksums(
      *frames[0], {.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 1000}));
  ASSERT_EQ(queue.send(std::move(frames)), 1u);
  const Bytes content = queue.content(queue.device->look().front());
  const VirtioNetHeader header = header_of(content);
  EXPECT_EQ(header.flags, VirtioNetHeader::kNeedsChecksum);
  EXPECT_EQ(header.segmentation, VirtioNetHeader::kTcpOverIpv4);
  EXPECT_EQ(header.header_length, 54);
  EXPECT_EQ(header.segment_size, 1000);
  EXPECT_EQ(header.checksum_start, 34);
  EXPECT_EQ(header.checksum_offset, 16);
  ASSERT_EQ(content.size(), sizeof(hw::virtio::NetHeader) + original.size());
  EXPECT_TRUE(std::equal(original.begin() + 54, original.end(), content.begin() + sizeof(hw::virtio::NetHeader) + 54));
}

TEST_P(TxRing, HeadersThatCannotBeCopiedAreCountedAsThat) {
  QueueFixture queue(GetParam() | feature::kCsum | feature::kHostTso4 | feature::kHostTso6 | feature::kHostEcn);
  queue.start_tx();
  std::vector<MbufPtr> frames;
  for (const std::size_t first : {14U, 34U, 53U}) {
    frames.push_back(pollux::test::make_chain(queue.pool, packet_of(6, 1500), first, 2000));
    frames.back()->set_tx_offload(
        {.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 1000});
  }
  constexpr std::uint16_t kOptions = 200;  // of IPv6, hop by hop
  Bytes six(14 + 40 + kOptions + 20 + 500, 0);
  packet::store16(&six[12], 0x86DD);
  six[14] = 0x60;
  packet::store16(&six[18], static_cast<std::uint16_t>(six.size() - 54));
  six[54] = 6;
  six[55] = kOptions / 8 - 1;
  six[56] = 1;  // PadN
  six[57] = kOptions - 4;
  six[54 + kOptions + 12] = 0x50;
  frames.push_back(queue.make(six));
  frames.back()->set_tx_offload(
      {.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 40 + kOptions, .l4 = 20, .segment_size = 400});
  EXPECT_EQ(queue.send(std::move(frames)), 4u);
  EXPECT_TRUE(queue.device->look().empty());
  EXPECT_EQ(queue.dropped(&TxDrops::unfit_headers), 4u);
  EXPECT_EQ(queue.dropped(&TxDrops::bad_offload), 0u);
}

INSTANTIATE_TEST_SUITE_P(Formats, TxRing, testing::ValuesIn(kFormats),
                         [](const auto& format) { return format.param == 0 ? "split" : "packed"; });

TEST(SplitTxRing, AUsedIndexThatJumpsEndsTheQueue) {
  QueueFixture queue;
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 2)), 2u);
  queue.device->jump(3);
  EXPECT_EQ(queue.send(frames_of(queue, 1)), 0u);
  EXPECT_STREQ(queue.tx.fault(), "more buffers than it had");
}

TEST(PackedTxRing, AWrongWrapCounterEndsTheQueue) {
  QueueFixture queue(feature::kRingPacked);
  queue.start_tx();
  ASSERT_EQ(queue.send(frames_of(queue, 2)), 2u);
  ASSERT_EQ(queue.send({}), 0u);
  EXPECT_EQ(queue.tx.fault(), nullptr);
  queue.device->use_with_wrong_wrap(0, 0);
  EXPECT_EQ(queue.send(frames_of(queue, 1)), 0u);
  EXPECT_STREQ(queue.tx.fault(), "an entry of another lap of the ring");
}

TEST(PackedTxRing, TheDoorbellFollowsTheDevicesEventAlsoIfItIsOld) {
  QueueFixture queue(feature::kRingPacked | feature::kEventIdx | kOneSlot);
  queue.start_tx();
  const auto rings_for = [&](std::uint32_t frames) {
    queue.doorbell = 0xFFFF;
    EXPECT_EQ(queue.send(frames_of(queue, frames)), frames);
    return queue.doorbell != 0xFFFF;
  };
  queue.device->ask_for_kick_at(2);
  EXPECT_FALSE(rings_for(2)) << "the event is at the next entry";
  EXPECT_TRUE(rings_for(2)) << "the event is among the new entries";
  EXPECT_FALSE(rings_for(1)) << "the device has not used the entry of the event: it has not looked yet";
  for (const std::uint32_t id : queue.device->look()) queue.device->use(id, 0);
  EXPECT_TRUE(rings_for(1)) << "the device has used the entry of the event, and has not moved it on";
  queue.device->ask_for_kick_at(6);
  EXPECT_FALSE(rings_for(0));
  for (std::uint32_t burst = 0; burst < 8; ++burst) {
    for (const std::uint32_t id : queue.device->look()) queue.device->use(id, 0);
    EXPECT_TRUE(rings_for(3));
  }
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
