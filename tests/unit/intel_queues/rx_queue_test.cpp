// SPDX-License-Identifier: BSD-3-Clause
#include <cstdint>
#include <vector>

#include "unit/intel_queues/queue_fixture.hpp"

namespace pollux::test {
namespace {

namespace rx = hw::intel::rx;
using testing::HasSubstr;

constexpr int kMaxEmptyPolls = 1000;  // polls

class RxQueueTest : public testing::Test {
 protected:
  void use(const CardFixtureOptions& options) {
    fixture_.emplace(options);
    fixture_->start();
  }
  /// Receives a frame of 60 bytes. `status` is added to DD.
  void receive(std::uint64_t status = rx::kEndOfPacket, std::uint64_t length = 60) {
    const std::vector<std::uint8_t> bytes(60, 0x5A);
    fixture_->receiver->write_back(bytes, {0, rx::kDone | status | length << rx::kLengthShift});
  }
  [[nodiscard]] std::uint32_t poll(std::uint32_t limit = 64) {
    Burst<64> burst;
    const std::uint32_t count = fixture_->rx.rx_burst(burst, limit);
    fixture_->look();
    burst.drop(done_);
    return count;
  }
  void expect_no_errors() { EXPECT_EQ(fixture_->errors(), ""); }

  std::optional<QueueFixture> fixture_;
  DropCounter done_{"done"};
};

TEST_F(RxQueueTest, YieldsNothingBeforeItIsOpen) {
  drivers::intel::IntelRxQueue queue;
  Burst<4> burst;
  EXPECT_EQ(queue.rx_burst(burst), 0u);
  EXPECT_EQ(queue.packets(), 0u);
  EXPECT_EQ(queue.drops().stopped, 0u);
  queue.drain();
}

TEST_F(RxQueueTest, ALimitOfNothingTakesNothing) {
  use({});
  receive();
  EXPECT_EQ(poll(0), 0u);
  receive();
  EXPECT_EQ(poll(0), 0u);
  EXPECT_EQ(poll(1), 1u);
  EXPECT_EQ(poll(), 1u);
  expect_no_errors();
}

TEST_F(RxQueueTest, AFullBurstTakesNothing) {
  use({});
  receive();
  Burst<1> burst;
  EXPECT_EQ(fixture_->rx.rx_burst(burst), 1u);
  receive();
  EXPECT_EQ(fixture_->rx.rx_burst(burst), 0u);
  EXPECT_EQ(burst.size(), 1u);
}

TEST_F(RxQueueTest, WaitsForALengthAndThenCountsABadWriteBack) {
  for (const std::uint64_t status : {rx::kDone, rx::kDone | rx::kEndOfPacket}) {
    use({});
    fixture_->receiver->begin_write_back(status);
    for (int i = 1; i < kMaxEmptyPolls; ++i) ASSERT_EQ(poll(), 0u);
    EXPECT_EQ(fixture_->rx.drops().bad_length, 0u);
    EXPECT_EQ(poll(), 0u);
    EXPECT_EQ(fixture_->rx.drops().bad_length, 1u);
  }
}

TEST_F(RxQueueTest, ReadsTheHeadAfterManyEmptyPollsAndWaitsIfTheHeadIsAtTheSlot) {
  use({.rx_ring = 8, .rx_head = true});
  for (int lap = 0; lap < 20; ++lap) {
    // The last store of an earlier write-back, as with an emulated card that writes back with several stores.
    fixture_->receiver->begin_write_back(rx::kDone | rx::kEndOfPacket);
    for (int i = 1; i < kMaxEmptyPolls; ++i) ASSERT_EQ(poll(), 0u);
    EXPECT_EQ(fixture_->rdh.reads, static_cast<unsigned>(lap))
        << "the register is read only after kMaxEmptyPolls polls";
    EXPECT_EQ(poll(), 0u);
    EXPECT_EQ(fixture_->rdh.reads, static_cast<unsigned>(lap) + 1);
    receive();
    EXPECT_EQ(poll(), 1u) << "the card's next frame is taken from the slot";
  }
  EXPECT_EQ(fixture_->rx.drops().bad_length, 0u);
  EXPECT_EQ(fixture_->rx.packets(), 20u);
  expect_no_errors();
}

TEST_F(RxQueueTest, TakesAFrameThatArrivesDuringTheHeadRead) {
  use({.rx_ring = 8, .rx_head = true});
  fixture_->rdh.before_read = [this] { receive(); };
  for (int lap = 0; lap < 20; ++lap) {
    fixture_->receiver->begin_write_back(rx::kDone | rx::kEndOfPacket);
    for (int i = 1; i < kMaxEmptyPolls; ++i) ASSERT_EQ(poll(), 0u);
    EXPECT_EQ(poll(), 1u) << "the slot was done with length 0, and the card has written a frame since";
  }
  EXPECT_EQ(fixture_->rx.drops().bad_length, 0u);
  EXPECT_EQ(fixture_->rx.packets(), 20u);
  expect_no_errors();
}

TEST_F(RxQueueTest, DoesNotTouchASlotThatTheCardMayBeWriting) {
  use({.rx_ring = 8, .rx_head = true});
  const auto left_over = rx::kDone | rx::kEndOfPacket;
  fixture_->receiver->begin_write_back(left_over);
  for (int i = 0; i < 5 * kMaxEmptyPolls; ++i) ASSERT_EQ(poll(), 0u);
  EXPECT_EQ(fixture_->rdh.reads, 5u);
  EXPECT_EQ(fixture_->receiver->begun_status(), left_over) << "the card's next write-back must not be overwritten";
  expect_no_errors();
}

TEST_F(RxQueueTest, DropsAFrameOfLengthZeroOnceTheHeadHasMoved) {
  use({.rx_ring = 8, .rx_head = true});
  for (int lap = 0; lap < 20; ++lap) {
    receive(rx::kEndOfPacket, 0);
    receive();
    for (int i = 1; i < kMaxEmptyPolls; ++i) ASSERT_EQ(poll(), 0u);
    EXPECT_EQ(poll(), 1u) << "the bad frame is dropped, and the next one is returned";
  }
  EXPECT_EQ(fixture_->rx.drops().bad_length, 20u);
  EXPECT_EQ(fixture_->rx.packets(), 20u);
  expect_no_errors();
}

TEST_F(RxQueueTest, DoesNotCountTheRestOfAnEarlierWriteBackWhenItStops) {
  use({.rx_ring = 8, .rx_head = true});
  receive();
  EXPECT_EQ(poll(), 1u);
  receive();
  fixture_->receiver->begin_write_back(rx::kDone | rx::kEndOfPacket);
  fixture_->close();
  fixture_->drain();
  EXPECT_EQ(fixture_->rx.packets(), 1u);
  EXPECT_EQ(fixture_->rx.drops().stopped, 1u) << "only the frame that arrived, not the slot after it";
  expect_no_errors();
}

TEST_F(RxQueueTest, EmptyPollsAreCountedAnewAfterEachFrame) {
  use({});
  for (int i = 0; i < 5; ++i) {
    fixture_->receiver->begin_write_back();
    for (int polls = 0; polls < kMaxEmptyPolls * 2 / 3; ++polls) ASSERT_EQ(poll(), 0u);
    receive();
    ASSERT_EQ(poll(), 1u);
  }
  EXPECT_EQ(fixture_->rx.drops().bad_length, 0u);
  expect_no_errors();
}

TEST_F(RxQueueTest, NamesEachBadFrame) {
  use({});
  receive(rx::kEndOfPacket, 2049);
  receive(rx::kEndOfPacket, 0xFFFF);
  receive(rx::kEndOfPacket | rx::kDataError);
  receive();
  EXPECT_EQ(poll(), 1u);
  EXPECT_EQ(fixture_->rx.drops().bad_length, 2u);
  EXPECT_EQ(fixture_->rx.drops().error, 1u);
  EXPECT_EQ(fixture_->rx.packets(), 1u);
  expect_no_errors();
}

TEST_F(RxQueueTest, AFrameOf32SegmentsIsTakenAndOneOf33IsNot) {
  use({.rx_ring = 128});
  for (int i = 0; i < 31; ++i) receive(0);
  receive();
  Burst<4> burst;
  EXPECT_EQ(fixture_->rx.rx_burst(burst), 1u);
  EXPECT_EQ(burst[0].segments(), 32u);
  EXPECT_EQ(burst[0].packet_length(), 32u * 60);
  for (int i = 0; i < 32; ++i) receive(0);
  receive();
  receive();
  EXPECT_EQ(fixture_->rx.rx_burst(burst), 1u);
  EXPECT_EQ(burst[1].segments(), 1u);
  EXPECT_EQ(fixture_->rx.drops().too_many_segments, 1u);
  burst.drop(done_);
  EXPECT_EQ(fixture_->in_use(), 128u);
  expect_no_errors();
}

TEST_F(RxQueueTest, AnEmptyPollSendsPostedDoorbells) {
  use({.rx_ring = 8, .remote = true});
  receive();
  receive();
  EXPECT_EQ(poll(), 2u);
  EXPECT_TRUE(fixture_->rdt.has_posted_writes());
  EXPECT_EQ(poll(), 0u);
  EXPECT_FALSE(fixture_->rdt.has_posted_writes());
  EXPECT_EQ(fixture_->receiver->owned(), 7u);
  fixture_->receiver->begin_write_back();
  EXPECT_EQ(poll(), 0u);
  expect_no_errors();
}

TEST_F(RxQueueTest, APollThatFindsAHalfWrittenSlotSendsPostedDoorbells) {
  use({.rx_ring = 8, .remote = true});
  receive();
  receive();
  EXPECT_EQ(poll(), 2u);
  ASSERT_TRUE(fixture_->rdt.has_posted_writes());
  fixture_->receiver->begin_write_back(rx::kDone | rx::kEndOfPacket);
  EXPECT_EQ(poll(), 0u) << "done with length 0";
  EXPECT_FALSE(fixture_->rdt.has_posted_writes()) << "otherwise a card without descriptors would wait for ever";
}

TEST_F(RxQueueTest, AFailedAllocationIsCountedAtThePool) {
  use({.rx_ring = 8, .pool = {.count = 8}});
  for (std::uint64_t frames = 1; frames <= 5; ++frames) {
    receive();
    EXPECT_EQ(poll(), 0u);
    EXPECT_EQ(fixture_->rx.drops().pool_empty, frames);
    EXPECT_EQ(fixture_->pool->stats().allocation_failures, frames);
  }
  expect_no_errors();
}

TEST_F(RxQueueTest, ATooSmallPoolIsAnErrorThatTakesNothing) {
  QueueFixture fixture({.rx_ring = 64, .pool = {.count = 63, .name = "small"}});
  const auto filled = fixture.rx.fill();
  ASSERT_FALSE(filled);
  EXPECT_EQ(filled.error().code, ErrorCode::no_memory);
  EXPECT_EQ(filled.error().what, "mempool small has 63 mbufs left and a receive ring needs 64");
  EXPECT_THAT(filled.error().hint, HasSubstr("rx.ring"));
  EXPECT_EQ(fixture.in_use(), 0u);
  EXPECT_EQ(fixture.pool->stats().allocation_failures, 1u);
}

TEST_F(RxQueueTest, FillingTakesFromACacheThatNobodyElseUses) {
  QueueFixture fixture({.rx_ring = 64, .pool = {.count = 64}});
  MbufPtr one = fixture.cache_handle->allocate();
  fixture.cache_handle->free(std::move(one));
  ASSERT_GT(fixture.cache->count(), 0u);
  EXPECT_FALSE(fixture.rx.fill()) << "the cache may be in use on another thread";
  ASSERT_TRUE(fixture.tx.use_cache(MempoolCache(*fixture.pool_handle)));
  fixture.cache_handle.reset();
  fixture.cache.reset();
  EXPECT_TRUE(fixture.rx.fill());
  fixture.rx.drain();
  EXPECT_EQ(fixture.in_use(), 0u);
}

TEST_F(RxQueueTest, RefusesACacheOfAnotherPool) {
  use({});
  const Mempool other = fixture_->fixture.pool({.count = 10});
  const auto used = fixture_->rx.use_cache(MempoolCache(other));
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(used.error().what, "the cache belongs to another mempool than the receive queue");
  drivers::intel::IntelRxQueue unset;
  EXPECT_FALSE(unset.use_cache(MempoolCache(other)));
}

TEST_F(RxQueueTest, CountsWhatArrivedAndWasNotPolled) {
  use({});
  receive();
  receive(0);
  receive();
  receive(0);  // never ends
  fixture_->close();
  fixture_->drain();
  EXPECT_EQ(fixture_->rx.drops().stopped, 2u);
  EXPECT_EQ(fixture_->in_use(), 0u);
}

TEST_F(RxQueueTest, TheEndOfAFrameThatWasDroppedIsNotCountedAgain) {
  use({});
  receive(rx::kDataError);
  EXPECT_EQ(poll(), 0u);
  receive(0);
  receive();
  receive();
  fixture_->close();
  fixture_->drain();
  EXPECT_EQ(fixture_->rx.drops().error, 1u);
  EXPECT_EQ(fixture_->rx.drops().stopped, 1u);
}

// Missed frames are those that the card accepted and nobody took, so a frame must count from its first segment on.
TEST_F(RxQueueTest, AnIncompleteFrameCountsAsTakenOnce) {
  use({});
  receive(0);
  EXPECT_EQ(poll(), 0u);
  EXPECT_EQ(fixture_->rx.taken(), 1u);
  receive();
  EXPECT_EQ(poll(), 1u);
  EXPECT_EQ(fixture_->rx.taken(), 1u);
}

TEST_F(RxQueueTest, AnIncompleteFrameIsFreedWhenStopped) {
  use({});
  receive(0);
  EXPECT_EQ(poll(), 0u);
  fixture_->close();
  fixture_->drain();
  EXPECT_EQ(fixture_->in_use(), 0u);
  EXPECT_EQ(fixture_->rx.drops().stopped, 0u);
  fixture_->start();
  receive();
  EXPECT_EQ(poll(), 1u) << "the incomplete frame is forgotten after a new start";
  expect_no_errors();
}

}  // namespace
}  // namespace pollux::test
