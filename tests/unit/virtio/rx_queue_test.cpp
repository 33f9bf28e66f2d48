// SPDX-License-Identifier: BSD-3-Clause
// The receive queue against a device that does what it may, and what it must not. Each case runs on both ring formats.
#include "net/virtio_net_header.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

using hw::virtio::NetHeader;

class RxRing : public testing::TestWithParam<hw::virtio::Features> {};

TEST_P(RxRing, FramesArriveInOrderThroughManyLaps) {
  QueueFixture queue(GetParam() | feature::kMrgRxbuf);
  queue.start_rx();
  std::uint32_t next = 0;
  for (std::uint32_t burst = 0; burst < 40; ++burst) {
    const std::uint32_t count = burst % 7 + 1;
    for (std::uint32_t i = 0; i < count; ++i) {
      queue.receive((next + i) % QueueFixture::kSize, 60 + i, {.num_buffers = 1}, static_cast<std::uint8_t>(next + i));
    }
    queue.device->show();
    const auto frames = queue.poll();
    ASSERT_EQ(frames.size(), count) << "burst " << burst;
    for (std::uint32_t i = 0; i < count; ++i)
      EXPECT_EQ(frames[i], frame_of(60 + i, static_cast<std::uint8_t>(next + i)));
    next += count;
  }
  EXPECT_EQ(queue.rx.fault(), nullptr);
  EXPECT_EQ(queue.rx.arrivals().packets, next);
}

TEST_P(RxRing, ADeviceMayUseBuffersOutOfOrder) {
  QueueFixture queue(GetParam());
  queue.start_rx();
  std::vector<std::uint32_t> with_device(QueueFixture::kSize);
  for (std::uint32_t id = 0; id < QueueFixture::kSize; ++id) with_device[id] = id;
  for (std::uint32_t round = 0; round < 50; ++round) {
    const std::size_t pick = (round * 7 + 3) % with_device.size();
    const std::uint32_t id = with_device[pick];
    queue.receive(id, 60, {.num_buffers = 0}, static_cast<std::uint8_t>(round));
    queue.device->show();
    ASSERT_EQ(queue.poll(), std::vector<Bytes>{frame_of(60, static_cast<std::uint8_t>(round))}) << round;
  }
  EXPECT_EQ(queue.rx.fault(), nullptr);
}

TEST_P(RxRing, OneEntryMayStandForABatchInOrder) {
  QueueFixture queue(GetParam() | feature::kInOrder | feature::kMrgRxbuf);
  queue.start_rx();
  queue.filter.set_mtu(9000);
  // A frame that fills three buffers and a part of a fourth; the entry is that of the last.
  for (std::uint32_t lap = 0; lap < 9; ++lap) {
    const std::uint32_t first = lap * 4 % QueueFixture::kSize;
    const NetHeader header{.num_buffers = 4};
    std::memcpy(queue.device->parts(first).front().address, &header, sizeof header);
    queue.device->use(first + 3, 100, 3);
    const auto frames = queue.poll();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].size(), 2048u + 2 * 2060u + 100u);
  }
  EXPECT_EQ(queue.rx.fault(), nullptr);
}

TEST_P(RxRing, AMergedFrameIsAChain) {
  QueueFixture queue(GetParam() | feature::kMrgRxbuf);
  queue.start_rx();
  queue.receive(0, 2048, {.num_buffers = 3});
  std::memset(queue.device->parts(1).front().address, 0xBB, 2060);
  queue.device->prepare(1, 2060);
  std::memset(queue.device->parts(2).front().address, 0xCC, 10);
  queue.device->prepare(2, 10);
  queue.device->show();
  queue.filter.set_mtu(9000);
  const auto frames = queue.poll();
  ASSERT_EQ(frames.size(), 1u);
  Bytes expected = frame_of(2048);
  expected.resize(2048 + 2060, 0xBB);
  expected.resize(2048 + 2060 + 10, 0xCC);
  EXPECT_EQ(frames[0], expected);
}

TEST_P(RxRing, LengthsBeyondABufferAndBelowAHeaderAreCounted) {
  QueueFixture queue(GetParam());
  queue.start_rx();
  queue.device->use(0, 12 + 2048 + 1);
  EXPECT_TRUE(queue.poll().empty());
  queue.device->use(1, ~std::uint32_t{0});
  EXPECT_TRUE(queue.poll().empty());
  queue.device->use(2, 12);
  EXPECT_TRUE(queue.poll().empty());
  queue.device->use(3, 0);
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.dropped(&RxDrops::bad_length), 4u);
  queue.device->use(4, 12 + 13);
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.dropped(&RxDrops::too_short), 1u);
  queue.receive(5, 60);
  queue.device->show();
  EXPECT_EQ(queue.poll().size(), 1u) << "the queue goes on";
}

TEST_P(RxRing, NumBuffersOf0OrTooManyAreCounted) {
  QueueFixture queue(GetParam() | feature::kMrgRxbuf);
  queue.start_rx();
  queue.receive(0, 60, {.num_buffers = 0});
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  queue.receive(1, 60, {.num_buffers = 0xFFFF});
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  queue.receive(2, 60, {.num_buffers = 2});  // and no second one
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.dropped(&RxDrops::error), 3u);
  queue.receive(3, 60);
  queue.device->show();
  EXPECT_EQ(queue.poll().size(), 1u) << "the queue goes on";
}

TEST_P(RxRing, AnIdOutOfRangeEndsTheQueue) {
  QueueFixture queue(GetParam());
  queue.start_rx();
  queue.device->use(QueueFixture::kSize, 72);
  EXPECT_TRUE(queue.poll().empty());
  ASSERT_NE(queue.rx.fault(), nullptr);
  EXPECT_STREQ(queue.rx.fault(), "a buffer that does not exist");
  queue.device->use(0, 72);
  EXPECT_TRUE(queue.poll().empty()) << "nothing is taken any more";
}

TEST_P(RxRing, TooLongFramesAreDroppedAndAnExhaustedPoolLosesNoBuffer) {
  QueueFixture queue(GetParam(), QueueFixture::kSize + 1);
  queue.start_rx();
  queue.receive(0, 1519);
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.dropped(&RxDrops::too_long), 1u);
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = queue.cache.allocate()) all.push_back(std::move(mbuf));
  queue.receive(1, 60);
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.dropped(&RxDrops::pool_empty), 1u);
  all.clear();
  queue.receive(2, 60);
  queue.device->show();
  EXPECT_EQ(queue.poll().size(), 1u);
}

TEST_P(RxRing, FramesThatNobodyPolledAreCountedWhenTheQueueStops) {
  QueueFixture queue(GetParam() | feature::kMrgRxbuf);
  queue.start_rx();
  queue.receive(0, 60);
  queue.receive(1, 60, {.num_buffers = 2});
  queue.device->prepare(2, 100);
  queue.device->show();
  EXPECT_EQ(queue.rx.drain(DrainReason::stopped, {}), QueueFixture::kSize);
  EXPECT_EQ(queue.dropped(&RxDrops::stopped), 2u);
}

TEST_P(RxRing, HashesAndCheckedChecksumsAreMetadata) {
  QueueFixture queue(GetParam() | feature::kHashReport | feature::kMrgRxbuf | feature::kGuestCsum);
  queue.start_rx();
  hw::virtio::NetHeaderWithHash header{
      .header = {.flags = 2, .num_buffers = 1}, .hash_value = 0x12345678, .hash_report = 2};
  std::uint8_t* const buffer = queue.device->parts(0).front().address;
  std::memcpy(buffer, &header, sizeof header);
  std::memset(buffer + sizeof header, 0, 60);
  queue.device->use(0, sizeof header + 60);
  Burst<4> burst;
  ASSERT_EQ(queue.rx.rx_burst(burst), 1u);
  const RxMetadata metadata(*burst.begin());
  EXPECT_EQ(metadata.rss_hash(), 0x12345678u);
  EXPECT_EQ(metadata.l4_checksum(), ChecksumStatus::good);
  EXPECT_EQ(metadata.packet_type().bits, PacketType::ipv4 | PacketType::tcp);
  EXPECT_EQ((*burst.begin()).port(), 5u);
  burst.drop(queue.seen, queue.cache);
}

TEST_P(RxRing, ARequestThatDoesNotFitItsFrameIsDropped) {
  QueueFixture queue(GetParam() | feature::kMrgRxbuf | feature::kGuestCsum | feature::kGuestTso4);
  queue.start_rx();
  queue.receive(0, 60, {.flags = 1, .checksum_start = 50, .checksum_offset = 9, .num_buffers = 1});
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  queue.receive(1, 60, {.gso_type = 1, .gso_size = 0, .num_buffers = 1});
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.dropped(&RxDrops::bad_offload), 2u);
}

TEST_P(RxRing, APartialChecksumStaysARequestWhateverElseTheHeaderSays) {
  QueueFixture queue(GetParam() | feature::kGuestCsum);
  queue.start_rx();
  for (const std::uint8_t also : {std::uint8_t{0}, VirtioNetHeader::kDataValid}) {
    queue.receive(also != 0 ? 1 : 0, 80,
                  {.flags = static_cast<std::uint8_t>(VirtioNetHeader::kNeedsChecksum | also),
                   .checksum_start = 34,
                   .checksum_offset = 16,
                   .num_buffers = 1});
    queue.device->show();
    Burst<1> burst;
    ASSERT_EQ(queue.rx.rx_burst(burst), 1u);
    EXPECT_TRUE(burst[0].has_partial_checksum());
    burst.drop(queue.seen, queue.cache);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, RxRing, testing::ValuesIn(kFormats),
                         [](const auto& format) { return format.param == 0 ? "split" : "packed"; });

TEST(SplitRxRing, ABufferThatIsUsedTwiceEndsTheQueue) {
  QueueFixture queue;
  queue.start_rx();
  queue.receive(0, 60);
  queue.device->prepare(0, 72);
  queue.device->show();
  EXPECT_EQ(queue.poll().size(), 1u);
  EXPECT_STREQ(queue.rx.fault(), "a buffer twice");
}

TEST(SplitRxRing, AUsedIndexThatJumpsEndsTheQueue) {
  QueueFixture queue;
  queue.start_rx();
  queue.device->jump(QueueFixture::kSize + 1);
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_STREQ(queue.rx.fault(), "more buffers than it had");
}

TEST(PackedRxRing, ABatchThatTheDeviceDidNotSkipEndsTheQueue) {
  QueueFixture queue(feature::kRingPacked | feature::kInOrder);
  queue.start_rx();
  queue.receive(1, 60);
  queue.device->show();
  EXPECT_EQ(queue.poll().size() + queue.dropped(&RxDrops::too_long), 2u) << "buffer 0 counts as filled";
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.rx.fault(), nullptr);
  queue.receive(2, 60);
  queue.device->show();
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_STREQ(queue.rx.fault(), "an entry for a place that it has used");
}

TEST(PackedRxRing, AWrongWrapCounterEndsTheQueue) {
  QueueFixture queue(feature::kRingPacked);
  queue.start_rx();
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_EQ(queue.rx.fault(), nullptr);
  queue.device->use_with_wrong_wrap(0, 72);
  EXPECT_TRUE(queue.poll().empty());
  EXPECT_STREQ(queue.rx.fault(), "an entry of another lap of the ring");
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
