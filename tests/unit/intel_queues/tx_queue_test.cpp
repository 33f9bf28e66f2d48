// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cstdint>
#include <vector>

#include "unit/intel_queues/queue_fixture.hpp"

namespace pollux::test {
namespace {

class TxQueueTest : public testing::Test {
 protected:
  void use(const CardFixtureOptions& options) {
    fixture_.emplace(options);
    other_.emplace(fixture_->fixture.pool({.count = 300, .name = "other"}));
    fixture_->start();
    in_ring_ = fixture_->in_use();
  }
  [[nodiscard]] static std::uint8_t* filled(Mbuf& mbuf, std::uint32_t bytes) {
    std::uint8_t* const place = mbuf.append(bytes);
    for (std::uint32_t i = 0; i < bytes; ++i) place[i] = static_cast<std::uint8_t>(i);
    return place;
  }
  [[nodiscard]] MbufPtr direct(std::uint32_t bytes = 60) {
    MbufPtr mbuf = fixture_->cache_handle->allocate();
    EXPECT_NE(filled(*mbuf, bytes), nullptr);
    return mbuf;
  }
  /// An mbuf with bytes of `memory` that are not mapped for any device.
  [[nodiscard]] MbufPtr unreachable(const DmaMemory& memory) {
    MbufPtr mbuf = other_->allocate();
    EXPECT_TRUE(mbuf->attach_external(memory, 0, 100, nullptr, nullptr));
    MbufAccess::iova(*mbuf) = DmaMemory::kNoIova;
    return mbuf;
  }

  [[nodiscard]] MbufPtr chain(std::uint32_t segments, std::uint32_t each = 60) {
    MbufPtr frame = direct(each);
    for (std::uint32_t i = 1; i < segments; ++i) {
      MbufPtr more = direct(each);
      EXPECT_TRUE(frame->chain(more));
    }
    return frame;
  }
  /// Returns whether the queue took the frame. If `sent`, the card is expected to send it.
  bool send(MbufPtr mbuf, bool sent = true) {
    std::vector<std::uint8_t> bytes(mbuf->packet_length());
    bytes.resize(mbuf->copy_out(0, bytes));
    Burst<1> burst;
    EXPECT_TRUE(burst.push(mbuf));
    const bool taken = fixture_->tx.tx_burst(burst) == 1;
    if (taken && sent) fixture_->transmitter->expect(std::move(bytes));
    fixture_->look();
    burst.drop(left_);
    return taken;
  }
  void process_all() { fixture_->transmitter->process(fixture_->options.tx_ring); }
  [[nodiscard]] TxDrops drops() const { return fixture_->tx.drops(); }
  /// Every mbuf is free but those in the receive ring.
  void expect_all_freed() {
    EXPECT_EQ(fixture_->in_use(), in_ring_);
    EXPECT_EQ(other_->stats().in_use(), 0u);
    EXPECT_EQ(fixture_->errors(), "");
    for (std::uint32_t i = 0; i < fixture_->cache->count(); ++i) {
      EXPECT_EQ(&MbufAccess::pool(*fixture_->cache->objects()[i]), fixture_->pool.get())
          << "an mbuf in another pool's cache";
    }
  }

  std::optional<QueueFixture> fixture_;
  std::optional<Mempool> other_;
  std::uint32_t in_ring_ = 0;
  DropCounter left_{"left in the burst"};
};

TEST_F(TxQueueTest, TakesNothingBeforeItIsOpen) {
  PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 4});
  drivers::intel::IntelTxQueue queue;
  Burst<4> burst;
  MbufPtr mbuf = pool.allocate();
  ASSERT_TRUE(burst.push(mbuf));
  EXPECT_EQ(queue.tx_burst(burst), 0u);
  EXPECT_EQ(burst.size(), 1u);
  EXPECT_EQ(queue.tx_done_cleanup(), 0u);
  queue.drain();
}

TEST_F(TxQueueTest, OnePollWhenIdleFreesEverythingSent) {
  for (const std::uint32_t ring : {8u, 64u, 512u}) {
    use({.tx_ring = ring});
    for (std::uint32_t frames = 1; frames < ring && frames < 100; ++frames) {
      for (std::uint32_t i = 0; i < frames; ++i) ASSERT_TRUE(send(direct()));
      EXPECT_LE(fixture_->tx.in_flight(), frames);
      process_all();
      static_cast<void>(fixture_->tx.tx_done_cleanup());
      ASSERT_EQ(fixture_->tx.in_flight(), 0u);
      ASSERT_EQ(fixture_->in_use(), in_ring_);
    }
    expect_all_freed();
  }
}

TEST_F(TxQueueTest, CleanupReclaimsExactlyWhatIsDone) {
  use({});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(direct()));
  EXPECT_EQ(fixture_->tx.tx_done_cleanup(), 0u);
  fixture_->transmitter->process(4);
  EXPECT_EQ(fixture_->tx.tx_done_cleanup(), 0u) << "neither the last frame nor a full group is done";
  fixture_->transmitter->process(1);
  EXPECT_EQ(fixture_->tx.tx_done_cleanup(), 5u);
  EXPECT_EQ(fixture_->tx.tx_done_cleanup(), 0u);
  expect_all_freed();
}

TEST_F(TxQueueTest, NothingIsTakenFromAnEmptyBurst) {
  use({});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(direct()));
  process_all();
  Burst<4> burst;
  EXPECT_EQ(fixture_->tx.tx_burst(burst), 0u);
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(fixture_->tx.in_flight(), 0u) << "done frames are reclaimed";
  expect_all_freed();
}

TEST_F(TxQueueTest, AFullRingLeavesTheRestInTheBurst) {
  use({.tx_ring = 16});
  Burst<32> burst;
  for (std::uint32_t i = 0; i < 20; ++i) {
    MbufPtr mbuf = direct(60 + i);
    ASSERT_TRUE(burst.push(mbuf));
  }
  EXPECT_EQ(fixture_->tx.tx_burst(burst), 15u);
  ASSERT_EQ(burst.size(), 5u);
  EXPECT_EQ(burst[0].length(), 75u) << "in order";
  EXPECT_EQ(fixture_->tx.tx_burst(burst), 0u);
  burst.drop(left_);
}

TEST_F(TxQueueTest, TheLongestFrameGetsThroughASmallRing) {
  for (const std::uint32_t ring : {8u, 16u, 32u}) {
    use({.tx_ring = ring});
    for (std::uint32_t round = 0; round < 3 * ring; ++round) {
      ASSERT_TRUE(send(direct()));
      process_all();
      ASSERT_TRUE(send(chain(ring - 1))) << "the one slot in use is done";
      process_all();
    }
    static_cast<void>(fixture_->tx.tx_done_cleanup());
    expect_all_freed();
  }
}

// An empty burst leaves the oldest uncleaned slot in the middle of a group. When the ring is nearly full, frames of the
// next lap are in the same group, in the slots before it.
TEST_F(TxQueueTest, AGroupWithFramesOfTwoLapsFreesEachToItsPool) {
  for (std::uint32_t in_group = 1; in_group < 4; ++in_group) {
    use({.tx_ring = 16});
    for (std::uint32_t i = 0; i < in_group; ++i) ASSERT_TRUE(send(direct()));
    process_all();
    ASSERT_EQ(fixture_->tx.tx_done_cleanup(), in_group);
    for (std::uint32_t i = in_group; i < 16; ++i) {
      ASSERT_TRUE(send(direct())) << i;
      if (i == 14) fixture_->transmitter->process(4 - in_group);
    }
    MbufPtr foreign = other_->allocate();
    ASSERT_NE(filled(*foreign, 60), nullptr);
    // Slot 0 of the next lap. The rest of the first group is still in the ring, unless the queue has cleaned it.
    const bool taken = send(std::move(foreign));
    process_all();
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(send(direct()));
      process_all();
    }
    static_cast<void>(fixture_->tx.tx_done_cleanup());
    EXPECT_TRUE(taken) << in_group;
    expect_all_freed();
  }
}

TEST_F(TxQueueTest, CountsEachDropReason) {
  use({.tx_ring = 64, .max_frame = 2000});
  EXPECT_TRUE(send(direct(17)));
  EXPECT_TRUE(send(direct(2000)));
  EXPECT_EQ(drops().rejected(), 0u);
  EXPECT_TRUE(send(direct(16), false));
  EXPECT_TRUE(send(direct(0), false));
  EXPECT_EQ(drops().too_short, 2u);
  EXPECT_TRUE(send(direct(2001), false));
  EXPECT_TRUE(send(chain(3, 700), false));
  EXPECT_EQ(drops().too_long, 2u);
  EXPECT_TRUE(send(chain(32, 20)));
  EXPECT_TRUE(send(chain(33, 20), false));
  EXPECT_EQ(drops().too_many_segments, 1u);
  MbufPtr hollow = direct(60);
  MbufPtr empty = direct(0);
  ASSERT_TRUE(hollow->chain(empty));
  EXPECT_TRUE(send(std::move(hollow), false));
  EXPECT_EQ(drops().bad_segment, 1u);
  MbufPtr offload = direct();
  offload->set_tx_offload({.flags = TxOffload::timestamp});
  EXPECT_TRUE(send(std::move(offload), false));
  EXPECT_EQ(drops().unsupported_offload, 1u);
  MbufPtr bare = direct();
  bare->set_tx_offload({.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 29});
  EXPECT_TRUE(send(std::move(bare), false)) << "the header ends beyond the frame";
  EXPECT_EQ(drops().bad_offload, 1u);
  auto memory = fixture_->fixture.context().allocate({.size = 4096});
  ASSERT_TRUE(memory);
  EXPECT_TRUE(send(unreachable(*memory), false));
  EXPECT_EQ(drops().unreachable, 1u);

  EXPECT_EQ(drops().rejected(), 9u);
  EXPECT_EQ(fixture_->tx.packets(), 12u);
  process_all();
  static_cast<void>(fixture_->tx.tx_done_cleanup());
  EXPECT_EQ(fixture_->transmitter->sent(), 3u);
  expect_all_freed();
}

// tests/conformance checks the checksums. This test checks that the frame is handled like any other.
TEST_F(TxQueueTest, ComputesRequestedChecksumsBeforeTheDoorbell) {
  use({});
  MbufPtr mbuf = direct(60);
  Mbuf* const same = mbuf.get();
  std::fill_n(mbuf->data(), 60, std::uint8_t{0});
  mbuf->data()[42] = 0x12;
  mbuf->set_tx_offload({.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 20});
  std::vector<std::uint8_t> expected(60);
  expected[42] = 0x12;
  expected[40] = 0xED;
  expected[41] = 0xFF;
  Burst<1> burst;
  ASSERT_TRUE(burst.push(mbuf));
  fixture_->transmitter->expect(expected);
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 1U);
  EXPECT_EQ(same->tx_offload(), TxOffload());
  fixture_->look();
  process_all();
  static_cast<void>(fixture_->tx.tx_done_cleanup());
  EXPECT_EQ(fixture_->transmitter->sent(), 1U);
  expect_all_freed();
}

TEST_F(TxQueueTest, WritesNoChecksumIntoBytesThatACloneShares) {
  use({});
  MbufPtr mbuf = direct(60);
  const std::vector<std::uint8_t> before(mbuf->bytes().begin(), mbuf->bytes().end());
  mbuf->set_tx_offload({.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 20});
  MempoolCache cache(*other_);
  MbufPtr clone = mbuf->clone(cache);
  ASSERT_NE(clone, nullptr);
  EXPECT_TRUE(send(std::move(clone), false));
  EXPECT_EQ(drops().shared_checksum, 1u);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), mbuf->data()));
  mbuf.reset();
  expect_all_freed();
}

TEST_F(TxQueueTest, MemoryWithoutAnAddressIsUnreachableWhateverItsHeadroom) {
  use({});
  auto memory = fixture_->fixture.context().allocate({.size = 4096});
  ASSERT_TRUE(memory);
  for (const std::uint32_t stripped : {0u, 40u}) {
    MbufPtr mbuf = unreachable(*memory);
    ASSERT_NE(mbuf->strip(stripped), nullptr);
    EXPECT_TRUE(send(std::move(mbuf), false));
  }
  EXPECT_EQ(drops().unreachable, 2u);
  expect_all_freed();
}

TEST_F(TxQueueTest, DataBeyondItsBufferIsABadSegment) {
  use({});
  auto memory = fixture_->fixture.context().allocate({.size = 4096});
  ASSERT_TRUE(memory);
  MbufPtr mbuf = other_->allocate();
  ASSERT_TRUE(mbuf->attach_external(*memory, 0, 100, nullptr, nullptr));
  MbufAccess::data_length(*mbuf) = 101;
  EXPECT_TRUE(send(std::move(mbuf), false));
  EXPECT_EQ(drops().bad_segment, 1u);
}

TEST_F(TxQueueTest, AnotherContextsMbufIsFreedUnsent) {
  use({});
  PoolFixture elsewhere;
  Mempool pool = elsewhere.pool({.count = 4, .name = "elsewhere"});
  MbufPtr mbuf = pool.allocate();
  ASSERT_NE(filled(*mbuf, 60), nullptr);
  EXPECT_TRUE(send(std::move(mbuf), false));
  EXPECT_EQ(drops().unreachable, 1u);
  EXPECT_EQ(pool.stats().in_use(), 0u);
  process_all();
}

TEST_F(TxQueueTest, RefusesACacheOfAnotherContext) {
  use({});
  PoolFixture elsewhere;
  const auto used = fixture_->tx.use_cache(MempoolCache(elsewhere.pool({.count = 4})));
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(used.error().what, "the cache belongs to another Context than the transmit queue");
  EXPECT_TRUE(fixture_->tx.use_cache(MempoolCache(*other_))) << "any pool of the queue's Context is accepted";
}

TEST_F(TxQueueTest, CountsAsStoppedWhatWasNotReported) {
  use({});
  Burst<8> burst;
  for (int times = 0; times < 3; ++times) {
    for (int i = 0; i < 4; ++i) {
      MbufPtr mbuf = direct();
      ASSERT_TRUE(burst.push(mbuf));
    }
    ASSERT_EQ(fixture_->tx.tx_burst(burst), 4u);
    for (int i = 0; i < 4; ++i) {
      MbufPtr same = direct();
      fixture_->transmitter->expect({same->bytes().begin(), same->bytes().end()});
    }
    fixture_->look();
  }
  fixture_->transmitter->process(6);
  EXPECT_EQ(fixture_->transmitter->reported(), 4u);
  fixture_->close();
  fixture_->drain();
  EXPECT_EQ(drops().stopped, 8u) << "including two that were sent but not reported";
  EXPECT_EQ(fixture_->tx.in_flight(), 0u);
  EXPECT_EQ(fixture_->in_use(), 0u);
}

TEST_F(TxQueueTest, StoppingAndStartingLeaveTheCacheAlone) {
  use({.cache = 128});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(send(direct()));
  fixture_->transmitter->process(7);
  fixture_->receiver->write_back(std::vector<std::uint8_t>(10),
                                 {0, 1 | std::uint64_t{10} << 32});  // a frame without its end
  Burst<1> none;
  ASSERT_EQ(fixture_->rx.rx_burst(none), 0u);
  const std::uint32_t cached = fixture_->cache->count();
  fixture_->close();
  EXPECT_EQ(fixture_->tx.reclaim_sent(), 10u) << "the last was not done";
  fixture_->drain();
  fixture_->start();
  EXPECT_EQ(fixture_->cache->count(), cached) << "the cache's thread may be using it with another queue";
  EXPECT_EQ(fixture_->in_use(), in_ring_);
}

}  // namespace
}  // namespace pollux::test
