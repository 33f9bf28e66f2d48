// SPDX-License-Identifier: BSD-3-Clause
// Rings between threads, tested by one thread: order, bounds, and each wrap of 8-bit positions.
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <vector>

#include "pollux/mem/mbuf_ring.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

template <class Ring>
class RingTest : public testing::Test {};
using AllRings = testing::Types<SpscRing<int>, SpscRing<int, std::uint8_t>, MpscRing<int>, MpmcRing<int>,
                                MultiProducerRing<int, RingConsumers::single, std::uint8_t>,
                                MultiProducerRing<int, RingConsumers::multiple, std::uint8_t>>;
TYPED_TEST_SUITE(RingTest, AllRings);

TYPED_TEST(RingTest, RoundsItsCapacityUpWithinItsLimits) {
  EXPECT_EQ(TypeParam(0).capacity(), 2U);
  EXPECT_EQ(TypeParam(2).capacity(), 2U);
  EXPECT_EQ(TypeParam(3).capacity(), 4U);
  EXPECT_EQ(TypeParam(100).capacity(), 128U);
  EXPECT_EQ(TypeParam(TypeParam::kMaxCapacity).capacity(), TypeParam::kMaxCapacity);
  EXPECT_EQ(TypeParam(0xFFFFFFFF).capacity(), TypeParam::kMaxCapacity);
}

TYPED_TEST(RingTest, EnqueuesWhatFitsAndDequeuesWhatThereIs) {
  TypeParam ring(8);
  EXPECT_TRUE(ring.empty());
  const std::array<int, 10> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(ring.enqueue(std::span(values).first(0)), 0U);
  EXPECT_EQ(ring.enqueue(values), 8U);
  EXPECT_EQ(ring.enqueue(values), 0U);
  EXPECT_EQ(ring.size(), 8U);
  std::array<int, 10> out{};
  EXPECT_EQ(ring.dequeue(std::span(out).first(0)), 0U);
  EXPECT_EQ(ring.dequeue(std::span(out).first(3)), 3U);
  EXPECT_EQ(ring.enqueue(std::span(values).last(2)), 2U);
  EXPECT_EQ(ring.size(), 7U);
  EXPECT_EQ(ring.dequeue(std::span(out).last(7)), 7U);
  EXPECT_THAT(out, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(ring.dequeue(out), 0U);
  EXPECT_TRUE(ring.empty());
}

// Compares the ring with std::deque for so long that 8-bit positions wrap some 500 times in each size.
TYPED_TEST(RingTest, KeepsTheOrderAcrossEveryWrap) {
  std::mt19937 random(7);
  for (const std::uint32_t capacity : {2U, 4U, 16U, 128U}) {
    TypeParam ring(capacity);
    std::deque<int> model;
    int next = 0;
    const auto most = [&] { return random() % (capacity + 2); };
    for (std::uint32_t step = 0; step < 4000; ++step) {
      std::vector<int> in(most());
      for (int& value : in) value = next++;
      const std::uint32_t fits = std::min<std::uint32_t>(static_cast<std::uint32_t>(in.size()), capacity - ring.size());
      ASSERT_EQ(ring.enqueue(in), fits);
      model.insert(model.end(), in.begin(), in.begin() + fits);
      ASSERT_EQ(ring.size(), model.size());
      std::vector<int> out(most());
      const std::uint32_t count = ring.dequeue(out);
      ASSERT_EQ(count, std::min(out.size(), model.size()));
      ASSERT_TRUE(std::equal(out.begin(), out.begin() + count, model.begin()));
      model.erase(model.begin(), model.begin() + count);
    }
  }
}

TEST(SpscRingTest, PeeksWithoutRemoving) {
  SpscRing<int> ring(4);
  const std::array<int, 4> values{1, 2, 3, 4};
  EXPECT_EQ(ring.room(4), 4U);
  EXPECT_EQ(ring.enqueue(std::span(values).first(3)), 3U);
  EXPECT_EQ(ring.room(1), 1U);
  EXPECT_EQ(ring.room(2), 1U);
  std::array<int, 4> seen{};
  EXPECT_EQ(ring.peek(std::span(seen).first(2)), 2U);
  EXPECT_EQ(ring.peek(seen), 3U);
  EXPECT_THAT(seen, testing::ElementsAre(1, 2, 3, 0));
  EXPECT_EQ(ring.size(), 3U);
  ring.discard(2);
  EXPECT_EQ(ring.size(), 1U);
  EXPECT_EQ(ring.room(2), 3U);
  EXPECT_EQ(ring.dequeue(seen), 1U);
  EXPECT_EQ(seen[0], 3);
}

// A thread that is interrupted between claiming and filling slots cannot be reproduced on one thread, but the sequence
// numbers show the effect. Here a burst is contiguous between other values.
TEST(MpmcRingTest, KeepsABurstContiguousAcrossTheWrap) {
  MpmcRing<int> ring(4);
  std::array<int, 4> out{};
  const std::array<int, 3> first{1, 2, 3};
  const std::array<int, 3> second{4, 5, 6};
  EXPECT_EQ(ring.enqueue(first), 3U);
  EXPECT_EQ(ring.dequeue(std::span(out).first(2)), 2U);
  EXPECT_EQ(ring.enqueue(second), 3U);
  EXPECT_EQ(ring.dequeue(out), 4U);
  EXPECT_THAT(out, testing::ElementsAre(3, 4, 5, 6));
}

template <class Ring>
class MbufRingTest : public testing::Test {
 protected:
  [[nodiscard]] MbufPtr mbuf(std::uint32_t length) {
    MbufPtr made = pool_.allocate();
    EXPECT_NE(made->append(length), nullptr);
    return made;
  }
  template <std::uint32_t Capacity>
  void fill(Burst<Capacity>& burst, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t length = from; length <= to; ++length) {
      MbufPtr made = mbuf(length);
      EXPECT_TRUE(burst.push(made));
    }
  }
  template <std::uint32_t Capacity>
  [[nodiscard]] static std::vector<std::uint32_t> lengths(Burst<Capacity>& burst) {
    std::vector<std::uint32_t> all;
    for (Mbuf& one : burst) all.push_back(one.length());
    return all;
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 64, .data_room = 64, .headroom = 0});
  DropCounter inspected_{"inspected"};
};
using AllMbufRings = testing::Types<SpscMbufRing, MpscMbufRing, MpmcMbufRing>;
TYPED_TEST_SUITE(MbufRingTest, AllMbufRings);

TYPED_TEST(MbufRingTest, LeavesInTheBurstWhatDoesNotFit) {
  TypeParam ring(4);
  Burst<8> burst;
  this->fill(burst, 1, 6);
  EXPECT_EQ(ring.enqueue(burst), 4U);
  EXPECT_EQ(this->lengths(burst), (std::vector<std::uint32_t>{5, 6}));
  EXPECT_EQ(ring.enqueue(burst), 0U);
  Burst<8> out;
  this->fill(out, 20, 20);
  EXPECT_EQ(ring.dequeue(out, 1), 1U);
  EXPECT_EQ(ring.dequeue(out), 3U);
  EXPECT_EQ(this->lengths(out), (std::vector<std::uint32_t>{20, 1, 2, 3, 4}));
  EXPECT_EQ(ring.enqueue(burst), 2U);
  EXPECT_TRUE(burst.empty());
  Burst<2> small;
  EXPECT_EQ(ring.dequeue(small), 2U);
  EXPECT_EQ(ring.dequeue(small), 0U) << "a full burst accepts nothing";
  small.drop(this->inspected_);
  out.drop(this->inspected_);
}

TYPED_TEST(MbufRingTest, EnqueuesAndDequeuesSingleMbufs) {
  TypeParam ring(2);
  MbufPtr nothing;
  EXPECT_FALSE(ring.enqueue(nothing));
  for (const std::uint32_t length : {1U, 2U}) {
    MbufPtr one = this->mbuf(length);
    EXPECT_TRUE(ring.enqueue(one));
    EXPECT_EQ(one, nullptr);
  }
  MbufPtr more = this->mbuf(3);
  EXPECT_FALSE(ring.enqueue(more));
  ASSERT_NE(more, nullptr) << "the caller keeps a rejected mbuf";
  EXPECT_EQ(ring.dequeue()->length(), 1U);
  EXPECT_EQ(ring.dequeue()->length(), 2U);
  EXPECT_EQ(ring.dequeue(), nullptr);
}

TYPED_TEST(MbufRingTest, NamesWhatItDrops) {
  DropCounter worker_gone("worker gone");
  TypeParam ring(64);
  Burst<64> burst;
  this->fill(burst, 1, 64);
  EXPECT_EQ(ring.enqueue(burst), 64U);
  EXPECT_EQ(ring.drop(worker_gone), 64U);
  EXPECT_EQ(ring.drop(worker_gone), 0U);
  EXPECT_EQ(worker_gone.value(), 64U);
  EXPECT_EQ(this->pool_.stats().in_use(), 0U);
  EXPECT_EQ(this->pool_.stats().unnamed_drops, 0U);
}

TYPED_TEST(MbufRingTest, FreesTheRestWhenDestroyed) {
  {
    TypeParam ring(64);
    Burst<64> burst;
    this->fill(burst, 1, 40);
    EXPECT_EQ(ring.enqueue(burst), 40U);
    EXPECT_EQ(this->pool_.stats().in_use(), 40U);
  }
  EXPECT_EQ(this->pool_.stats().in_use(), 0U);
  EXPECT_EQ(this->pool_.stats().unnamed_drops, 40U);
}

#if POLLUX_CHECKED
TYPED_TEST(MbufRingTest, RecordsWhoTookAFrame) {
  TypeParam ring(2);
  MbufPtr one = this->mbuf(1);
  ASSERT_TRUE(ring.enqueue(one));
  const Site here = Site::here();
  one = ring.dequeue();
  EXPECT_EQ(test::location(MbufAccess::site(*one)), test::location({here.file, here.line + 1}));
}
#endif

}  // namespace
}  // namespace pollux
