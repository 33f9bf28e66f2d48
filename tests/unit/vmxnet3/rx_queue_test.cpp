// SPDX-License-Identifier: BSD-3-Clause
// Receiving from a device in the hands of the test: what it says right, and what it says wrong.
#include "unit/vmxnet3/queue_fixture.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(Vmxnet3Queues, TheDeviceGetsAllBuffersButOneOfEachRing) {
  start_rx();
  for (std::uint32_t ring = 0; ring < 2; ++ring) {
    for (std::uint32_t slot = 0; slot < kSize - 1; ++slot) EXPECT_TRUE(is_ready(ring, slot)) << slot;
    EXPECT_FALSE(is_ready(ring, kSize - 1));
  }
  const Bytes frame = frame_of(60);
  for (std::uint32_t i = 0; i < 100; ++i) {
    fill(0, i % kSize, frame, kWhole);
    EXPECT_THAT(poll(), ElementsAre(frame));
    EXPECT_TRUE(is_ready(0, i + kSize - 1)) << "what was kept before";
    EXPECT_FALSE(is_ready(0, i + kSize)) << "the new one is kept";
  }
}

TEST_F(Vmxnet3Queues, BurstsCrossTheEndOfTheRings) {
  start_rx();
  std::uint32_t slot = 0;
  for (std::uint32_t round = 0; round < 20; ++round) {
    std::vector<Bytes> sent;
    for (std::uint32_t i = 0; i < 13; ++i) {
      sent.push_back(frame_of(60 + i, static_cast<std::uint8_t>(round)));
      fill(0, slot++ % kSize, sent.back(), kWhole);
    }
    EXPECT_EQ(poll(), sent);
  }
  EXPECT_EQ(rx.drops().sum(), 0u);
}

TEST_F(Vmxnet3Queues, AFrameOfSeveralBuffersWaitsForItsEnd) {
  filter.set_mtu(9000);
  start_rx();
  fill(0, 0, frame_of(2048, 1), rx_bits::kStartOfPacket);
  EXPECT_THAT(poll(), IsEmpty());
  fill(1, 0, Bytes(2048, 2), 0);
  EXPECT_THAT(poll(), IsEmpty());
  fill(1, 1, Bytes(10, 3), rx_bits::kEndOfPacket);
  const std::vector<Bytes> frames = poll();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].size(), 4106u);
  EXPECT_EQ(frames[0][2048], 2);
  EXPECT_EQ(frames[0].back(), 3);
  EXPECT_FALSE(is_ready(1, kSize + 1));
  EXPECT_TRUE(is_ready(1, kSize));
}

TEST_F(Vmxnet3Queues, SkippedBuffersReturnToTheDevice) {
  start_rx();
  fill(0, 3, frame_of(60), kWhole);
  EXPECT_EQ(poll().size(), 1u);
  for (std::uint32_t slot = 0; slot < 3; ++slot) EXPECT_TRUE(is_ready(0, kSize + slot));
  fill(0, 4, frame_of(61), kWhole);
  EXPECT_EQ(poll().size(), 1u);
}

TEST_F(Vmxnet3Queues, ReportsWhatTheDeviceHasChecked) {
  struct Row {
    std::uint64_t low;
    std::uint64_t high;
    ChecksumStatus ip;
    ChecksumStatus l4;
  };
  using enum ChecksumStatus;
  constexpr std::uint64_t kV4Tcp = rx_bits::kIpv4 | rx_bits::kTcp;
  const std::vector<Row> rows{{rx_bits::kNotChecked, kV4Tcp, unknown, unknown},
                              {0, kV4Tcp | rx_bits::kIpGood | rx_bits::kL4Good, good, good},
                              {0, kV4Tcp | rx_bits::kIpGood, good, bad},
                              {0, kV4Tcp | rx_bits::kL4Good, bad, good},
                              {0, rx_bits::kIpv6 | rx_bits::kUdp | rx_bits::kL4Good, unknown, good},
                              {0, kV4Tcp | rx_bits::kIpGood | rx_bits::kFragment, good, unknown},
                              {0, rx_bits::kIpv4 | rx_bits::kIpGood, good, unknown}};
  start_rx();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    std::vector<RxMetadata> metadata;
    fill(0, i, frame_of(60), kWhole | rows[i].low, rows[i].high, 0);
    ASSERT_EQ(poll(&metadata).size(), 1u);
    EXPECT_EQ(metadata[0].ip_checksum(), rows[i].ip) << i;
    EXPECT_EQ(metadata[0].l4_checksum(), rows[i].l4) << i;
    EXPECT_FALSE(metadata[0].rss_hash());
    EXPECT_FALSE(metadata[0].vlan());
  }
}

TEST_F(Vmxnet3Queues, ReportsHashAndTag) {
  start_rx();
  std::vector<RxMetadata> metadata;
  fill(0, 0, frame_of(60), kWhole | std::uint64_t{2} << 26 | std::uint64_t{0x12345678} << rx_bits::kHashShift,
       rx_bits::kStripped | std::uint64_t{0x6005} << rx_bits::kTagShift);
  ASSERT_EQ(poll(&metadata).size(), 1u);
  EXPECT_EQ(metadata[0].rss_hash(), 0x12345678u);
  EXPECT_EQ(metadata[0].vlan(), 0x6005);
}

// Slot 0 takes the slow path, a burst of one has its own.
TEST_F(Vmxnet3Queues, EachPathSaysTheSameOfAFrame) {
  start_rx();
  std::uint32_t slot = 0;
  const auto arrive = [&](std::uint8_t destination, std::uint64_t high) {
    Bytes frame = frame_of(60);
    std::fill_n(frame.begin(), 6, destination);
    fill(0, slot++, frame, kWhole, high);
  };
  const auto poll_one = [&] {
    Burst<1> one;
    rx.rx_burst(one);
    const auto vlan = RxMetadata(one[0]).vlan();
    one.drop(seen);
    return vlan;
  };
  for (std::uint64_t tag = 1; tag <= 3; ++tag) {  // slots 0, 2 and 4
    arrive(2, rx_bits::kStripped | tag << rx_bits::kTagShift);
    EXPECT_EQ(poll_one(), tag);
    arrive(1, 0);
    EXPECT_EQ(poll_one(), std::nullopt);
    EXPECT_EQ(rx.arrivals().multicast, tag);
  }
  std::vector<RxMetadata> metadata;
  for (std::uint64_t tag = 1; tag <= 3; ++tag) arrive(2, rx_bits::kStripped | tag << rx_bits::kTagShift);
  EXPECT_EQ(poll(&metadata).size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(metadata[i].vlan(), i + 1);
  arrive(1, 0);
  arrive(0xFF, 0);
  arrive(2, 0);
  EXPECT_EQ(poll().size(), 3u);
  EXPECT_EQ(rx.arrivals().multicast, 4u) << "a broadcast is none";
  EXPECT_EQ(rx.arrivals().packets, 12u);
  EXPECT_EQ(rx.arrivals().bytes, 12u * 60);
}

TEST_F(Vmxnet3Queues, AMergedFrameIsASuperframe) {
  start_rx();
  rx.mtu = 1500;
  const Bytes merged = tcp_frame(4000);
  const auto receive = [&](std::vector<RxMetadata>* metadata, TxOffload* request) {
    fill(0, done / 2, Bytes(merged.begin(), merged.begin() + 2048), rx_bits::kStartOfPacket, 0, 0);
    fill(1, done / 2, Bytes(merged.begin() + 2048, merged.end()), rx_bits::kEndOfPacket,
         rx_bits::kIpv4 | rx_bits::kTcp | rx_bits::kIpGood | rx_bits::kL4Good, 0);
    return poll(metadata, request);
  };
  EXPECT_THAT(receive(nullptr, nullptr), IsEmpty()) << "LRO is off";
  EXPECT_EQ(rx.drops().too_long, 1u);
  rx.merges = true;
  std::vector<RxMetadata> metadata;
  TxOffload request;
  ASSERT_EQ(receive(&metadata, &request).size(), 1u);
  EXPECT_EQ(request.flags, TxOffload::tcp_segmentation);
  EXPECT_EQ(request.segment_size, 1460);
  EXPECT_EQ(request.l2, 14);
  EXPECT_EQ(request.l3, 20);
  EXPECT_EQ(request.l4, 20);
}

TEST_F(Vmxnet3Queues, FramesThatAreWrongAreCountedAndDropped) {
  start_rx();
  const Bytes frame = frame_of(60);
  fill(0, 0, frame, kWhole, rx_bits::kError);
  fill(0, 1, {}, kWhole);
  fill(0, 2, frame_of(13), kWhole);
  fill(0, 3, frame_of(1519), kWhole);
  fill(0, 4, frame, rx_bits::kEndOfPacket);    // without a start
  fill(0, 5, frame, rx_bits::kStartOfPacket);  // two starts
  fill(0, 6, frame, kWhole);
  complete(7 | kQueue << rx_bits::kRingShift | kWhole | rx_bits::kNotChecked, 2049);  // more than the buffer
  fill(0, 8, frame, kWhole);
  EXPECT_THAT(poll(), ElementsAre(frame));
  const RxDrops drops = rx.drops();
  EXPECT_EQ(drops.error, 3u);
  EXPECT_EQ(drops.bad_length, 2u);
  EXPECT_EQ(drops.too_short, 1u);
  EXPECT_EQ(drops.too_long, 1u);
  EXPECT_EQ(rx.fault(), nullptr);
  for (std::uint32_t slot = 0; slot < 8; ++slot) EXPECT_TRUE(is_ready(0, kSize + slot)) << slot;
}

TEST_F(Vmxnet3Queues, ADeviceThatLiesEndsTheQueue) {
  struct Row {
    std::uint64_t low;
    std::string fault;
  };
  constexpr std::uint64_t kOwn = kQueue << rx_bits::kRingShift;
  const std::vector<Row> rows{{kSize | kOwn | kWhole, "does not exist"},
                              {0xFFF | kOwn | kWhole, "does not exist"},
                              {kOwn | kWhole, "did not have"},
                              {0 | std::uint64_t{kQueue + 1} << rx_bits::kRingShift | kWhole, "another queue"},
                              {0 | rx_bits::kRingMask << rx_bits::kRingShift | kWhole, "another queue"}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.fault);
    rx.drain(DrainReason::stopped, {});
    done = 0;
    start_rx();
    fill(0, 0, frame_of(60), kWhole);
    EXPECT_EQ(poll().size(), 1u);
    complete(row.low | rx_bits::kNotChecked, 60);
    EXPECT_THAT(poll(), IsEmpty());
    ASSERT_NE(rx.fault(), nullptr);
    EXPECT_THAT(rx.fault(), testing::HasSubstr(row.fault));
    fill(0, 1, frame_of(60), kWhole);
    EXPECT_THAT(poll(), IsEmpty()) << "the queue has ended";
  }
}

TEST_F(Vmxnet3Queues, AFrameThatNeverEndsEndsTheQueue) {
  start_rx();
  for (std::uint32_t i = 0; i < 2 * kSize; ++i) {
    complete(i % kSize | kQueue << rx_bits::kRingShift | (i == 0 ? rx_bits::kStartOfPacket : 0), 60);
  }
  EXPECT_THAT(poll(), IsEmpty());
  ASSERT_NE(rx.fault(), nullptr);
  EXPECT_THAT(rx.fault(), testing::HasSubstr("without an end"));
}

TEST_F(Vmxnet3Queues, ABufferOfTheSecondRingThatWasNeverGivenEndsTheQueue) {
  start_rx(false);
  fill(0, 0, frame_of(60), rx_bits::kStartOfPacket);
  complete(0 | std::uint64_t{kQueue + kQueues} << rx_bits::kRingShift | rx_bits::kEndOfPacket, 60);
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_NE(rx.fault(), nullptr);
}

TEST_F(Vmxnet3Queues, AnExhaustedPoolDropsByName) {
  start_rx();
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = pool->allocate()) all.push_back(std::move(mbuf));
  fill(0, 0, frame_of(60), kWhole);
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_EQ(rx.drops().pool_empty, 1u);
  all.clear();
  fill(0, 1, frame_of(60), kWhole);
  EXPECT_EQ(poll().size(), 1u);
}

// FreeBSD, review D10874: a driver lost its place when a buffer was missing in the middle of a frame.
TEST_F(Vmxnet3Queues, AnExhaustedPoolDropsWholeFrames) {
  filter.set_mtu(9000);
  start_rx();
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = pool->allocate()) all.push_back(std::move(mbuf));
  all.pop_back();  // one for the first buffer of the frame
  fill(0, 0, Bytes(2048, 2), rx_bits::kStartOfPacket);
  fill(1, 0, Bytes(2048, 2), 0);
  EXPECT_THAT(poll(), IsEmpty()) << "the device still has the rest";
  fill(1, 1, Bytes(100, 2), rx_bits::kEndOfPacket);
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_EQ(rx.drops().pool_empty, 1u);
  all.clear();
  fill(0, 1, frame_of(60), kWhole);
  EXPECT_THAT(poll(), ElementsAre(frame_of(60)));
}

// nanos, pull request 1847: the device was told of more completions than there was memory for.
TEST_F(Vmxnet3Queues, TheDeviceIsToldOfItsOwnMemoryAlone) {
  start_rx();
  const auto end = [](std::uint64_t at, std::uint32_t entries) { return at + entries * sizeof(reg::Completion); };
  EXPECT_EQ(shared.ring[0], memory.iova);
  EXPECT_EQ(end(shared.ring[0], shared.ring_size[0]), shared.ring[1]);
  EXPECT_EQ(end(shared.ring[1], shared.ring_size[1]), shared.completions);
  EXPECT_EQ(end(shared.completions, shared.completions_size), memory.iova + rx_bytes(kSize));
  EXPECT_EQ(shared.completions_size, shared.ring_size[0] + shared.ring_size[1]);
}

TEST_F(Vmxnet3Queues, TellsTheDeviceWhatItAsksFor) {
  start_rx();
  shared.wants_producer = 1;
  fill(0, 0, frame_of(60), kWhole);
  EXPECT_EQ(poll().size(), 1u);
  EXPECT_EQ(registers.last, std::pair(reg::RXPROD2::offset(kQueue), kSize - 1));
}

}  // namespace
}  // namespace pollux::drivers::vmxnet3
