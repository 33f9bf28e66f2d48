// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/burst.hpp"

#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

static_assert(std::is_nothrow_move_constructible_v<Burst<4>>);
static_assert(std::is_nothrow_move_assignable_v<Burst<4>>);
static_assert(!std::is_copy_constructible_v<Burst<4>>);
static_assert(!std::is_copy_assignable_v<Burst<4>>);
static_assert(Burst<7>::capacity() == 7);

class BurstTest : public testing::Test {
 protected:
  /// An mbuf of `length` bytes, by which tests identify it.
  [[nodiscard]] MbufPtr mbuf(std::uint32_t length) {
    MbufPtr made = pool_.allocate();
    EXPECT_NE(made->append(length), nullptr);
    return made;
  }
  template <std::uint32_t Capacity>
  void fill(Burst<Capacity>& burst, std::vector<std::uint32_t> lengths) {
    for (const std::uint32_t length : lengths) {
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
};

TEST_F(BurstTest, PushSucceedsUntilFull) {
  Burst<3> burst;
  EXPECT_TRUE(burst.empty());
  fill(burst, {1, 2, 3});
  EXPECT_TRUE(burst.full());
  MbufPtr more = mbuf(4);
  EXPECT_FALSE(burst.push(more));
  EXPECT_NE(more, nullptr) << "the caller keeps a rejected mbuf";
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(burst[1].length(), 2u);
}

TEST_F(BurstTest, PushRejectsAnEmptyPointer) {
  Burst<3> burst;
  MbufPtr nothing;
  EXPECT_FALSE(burst.push(nothing));
  EXPECT_TRUE(burst.empty());
}

TEST_F(BurstTest, PopReturnsTheLast) {
  Burst<3> burst;
  fill(burst, {1, 2});
  EXPECT_EQ(burst.pop()->length(), 2u);
  EXPECT_EQ(burst.pop()->length(), 1u);
  EXPECT_EQ(burst.pop(), nullptr);
  EXPECT_EQ(pool_.stats().in_use(), 0u);
}

TEST_F(BurstTest, TakeEachGivesAllMbufsInOrder) {
  Burst<4> burst;
  fill(burst, {1, 2, 3});
  std::vector<std::uint32_t> taken;
  Burst<4> second;
  burst.take_each([&](MbufPtr frame) {
    EXPECT_TRUE(burst.empty());
    taken.push_back(frame->length());
    if (frame->length() == 2) {
      EXPECT_TRUE(second.push(frame));
    }
  });
  EXPECT_EQ(taken, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(pool_.stats().in_use(), 1u) << "what nobody keeps is freed, and not a drop";
  EXPECT_EQ(pool_.stats().unnamed_drops, 0u);
  second.take_each([](MbufPtr) {});
  second.take_each([](MbufPtr) { FAIL() << "the burst is empty"; });
  EXPECT_EQ(pool_.stats().in_use(), 0u);
}

TEST_F(BurstTest, WhatTakeEachPushesBackStays) {
  Burst<4> burst;
  fill(burst, {1, 2, 3, 4});
  burst.take_each([&](MbufPtr frame) {
    if (frame->length() == 1) {
      fill(burst, {7, 8});  // more than was taken
      EXPECT_TRUE(burst.push(frame));
    } else if (frame->length() == 3) {
      EXPECT_TRUE(burst.push(frame));
    }
  });
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{7, 8, 1, 3}));
  EXPECT_EQ(pool_.stats().in_use(), 4u);
}

TEST_F(BurstTest, AnExceptionInTakeEachLosesNoMbuf) {
  Burst<4> burst;
  fill(burst, {1, 2, 3, 4});
  EXPECT_THROW(burst.take_each([&](MbufPtr frame) {
    if (frame->length() == 2) throw std::runtime_error("no");
    EXPECT_TRUE(burst.push(frame));
  }),
               std::runtime_error);
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(pool_.stats().in_use(), 1u);
  EXPECT_EQ(pool_.stats().unnamed_drops, 2u) << "the second one was taken";
}

TEST_F(BurstTest, MovingTransfersAllMbufs) {
  Burst<4> burst;
  fill(burst, {1, 2, 3});
  Burst<4> other(std::move(burst));
  EXPECT_EQ(lengths(other), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_TRUE(burst.empty());  // NOLINT(bugprone-use-after-move): a moved-from burst is empty
  fill(burst, {9});
  burst = std::move(other);
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(pool_.stats().in_use(), 3u);
  EXPECT_EQ(pool_.stats().unnamed_drops, 1u) << "the mbuf of 9 bytes was an unnamed drop";
  Burst<4>& self = burst;
  burst = std::move(self);
  EXPECT_EQ(burst.size(), 3u);
}

TEST_F(BurstTest, FillAddsAllOrNone) {
  MempoolCache cache(pool_);
  Burst<8> burst;
  fill(burst, {1});
  EXPECT_TRUE(burst.fill(cache, 0));
  EXPECT_FALSE(burst.fill(cache, 8)) << "there is room for 7";
  EXPECT_TRUE(burst.fill(cache, 7));
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{1, 0, 0, 0, 0, 0, 0, 0}));
  Burst<128> large;
  EXPECT_FALSE(large.fill(cache, 128)) << "the pool is smaller";
  EXPECT_TRUE(large.empty());
}

TEST_F(BurstTest, FillAddsMbufsWithDataIfTheyHaveRoom) {
  MempoolCache cache(pool_);
  Burst<8> burst;
  EXPECT_FALSE(burst.fill(cache, 1, pool_.options().data_room + 1));
  EXPECT_FALSE(burst.fill(cache, 9, 60));
  EXPECT_TRUE(burst.empty());
  EXPECT_TRUE(burst.fill(cache, 2, 60));
  EXPECT_TRUE(burst.fill(cache, 1));
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{60, 60, 0}));
}

TEST_F(BurstTest, DropCountsUnderItsName) {
  DropCounter ring_full("ring full");
  MempoolCache cache(pool_);
  Burst<8> burst;
  fill(burst, {1, 2, 3});
  burst.drop(ring_full);
  EXPECT_EQ(ring_full.value(), 3u);
  EXPECT_TRUE(burst.empty());
  fill(burst, {1, 2});
  burst.drop(ring_full, cache);
  EXPECT_EQ(ring_full.value(), 5u);
  EXPECT_EQ(ring_full.name(), "ring full");
  burst.drop(ring_full);
  EXPECT_EQ(ring_full.value(), 5u);
  EXPECT_EQ(pool_.stats().in_use(), 0u);
  EXPECT_EQ(pool_.stats().unnamed_drops, 0u);
}

TEST_F(BurstTest, DropIfKeepsTheOthersInOrder) {
  DropCounter odd("odd");
  Burst<8> burst;
  fill(burst, {1, 2, 3, 4, 6, 7});
  EXPECT_EQ(burst.drop_if(odd, [](Mbuf& one) { return one.length() % 2 == 1; }), 3u);
  EXPECT_EQ(lengths(burst), (std::vector<std::uint32_t>{2, 4, 6}));
  EXPECT_EQ(odd.value(), 3u);
  EXPECT_EQ(burst.drop_if(odd, [](Mbuf&) { return false; }), 0u);
  EXPECT_EQ(burst.drop_if(odd, [](Mbuf&) { return true; }), 3u);
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(pool_.stats().in_use(), 0u);
}

TEST_F(BurstTest, RemainingMbufsAreCountedByTheirPool) {
  Mempool other = fixture_.pool({.count = 8, .data_room = 64, .headroom = 0});
  {
    Burst<8> burst;
    fill(burst, {1, 2, 3});
    MbufPtr foreign = other.allocate();
    MbufPtr chained = pool_.allocate();
    ASSERT_TRUE(foreign->chain(chained));
    ASSERT_TRUE(burst.push(foreign));
  }
  EXPECT_EQ(pool_.stats().unnamed_drops, 3u);
  EXPECT_EQ(other.stats().unnamed_drops, 1u) << "a frame counts once";
  EXPECT_EQ(pool_.stats().in_use(), 0u);
  EXPECT_EQ(other.stats().in_use(), 0u);
}

}  // namespace
}  // namespace pollux
