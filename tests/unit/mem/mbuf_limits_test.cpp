// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kMaxLength = 65535;
constexpr std::uint32_t kMaxSegments = 255;
constexpr std::uint32_t kMaxUsers = 65000;

TEST(MbufLimits, TheLargestBufferIsUsedToItsLastByte) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 2, .data_room = 65280 - 1024, .headroom = 1024});
  MbufPtr mbuf = pool.allocate();
  const std::uint32_t capacity = mbuf->capacity();
  ASSERT_LE(capacity, kMaxLength) << "a data offset has 16 bits";
  ASSERT_NE(mbuf->append(mbuf->tailroom()), nullptr);
  ASSERT_NE(mbuf->prepend(1024), nullptr);
  EXPECT_EQ(mbuf->length(), capacity);
  EXPECT_EQ(mbuf->append(1), nullptr);
  EXPECT_EQ(mbuf->prepend(1), nullptr);
  ASSERT_NE(mbuf->strip(capacity), nullptr);
  EXPECT_EQ(mbuf->data(), mbuf->end());
  EXPECT_EQ(mbuf->headroom(), capacity);
  EXPECT_EQ(mbuf->tailroom(), 0u);
}

// `append` compares with the size in larger units first. These sizes end before, at and after such a unit.
TEST(MbufLimits, AppendReachesTheEndOfBuffersOfAnySize) {
  test::PoolFixture fixture;
  for (const std::uint32_t room : {64u, 128u, 192u, 256u, 320u, 2048u, 2112u}) {
    SCOPED_TRACE(room);
    Mempool pool = fixture.pool({.count = 1, .data_room = room});
    MbufPtr mbuf = pool.allocate();
    const std::uint32_t tailroom = mbuf->tailroom();
    std::uint8_t* const start = mbuf->data();
    for (std::uint32_t length = 0; length < tailroom; ++length) ASSERT_EQ(mbuf->append(1), start + length);
    EXPECT_EQ(mbuf->append(1), nullptr);
    EXPECT_EQ(mbuf->length(), tailroom);
    ASSERT_TRUE(mbuf->trim(tailroom));
    EXPECT_EQ(mbuf->append(tailroom + 1), nullptr);
    EXPECT_EQ(mbuf->append(tailroom), start);
  }
}

TEST(MbufLimits, ReserveReachesTheEndAndNoFurther) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1, .data_room = 65280 - 1024, .headroom = 1024});
  MbufPtr mbuf = pool.allocate();
  const std::uint32_t room = mbuf->tailroom();
  EXPECT_FALSE(mbuf->reserve(room + 1));
  EXPECT_FALSE(mbuf->reserve(std::numeric_limits<std::uint32_t>::max()));
  EXPECT_TRUE(mbuf->reserve(room));
  EXPECT_EQ(mbuf->data(), mbuf->end());
  EXPECT_EQ(mbuf->append(1), nullptr);
}

TEST(MbufLimits, HugeCountsAreRejectedWithNothingChanged) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1});
  MbufPtr mbuf = pool.allocate();
  ASSERT_NE(mbuf->append(10), nullptr);
  constexpr auto kHuge = std::numeric_limits<std::uint32_t>::max();
  EXPECT_EQ(mbuf->append(kHuge), nullptr);
  EXPECT_EQ(mbuf->prepend(kHuge), nullptr);
  EXPECT_EQ(mbuf->strip(kHuge), nullptr);
  EXPECT_FALSE(mbuf->trim(kHuge));
  EXPECT_EQ(mbuf->length(), 10u);
  EXPECT_EQ(mbuf->headroom(), 128u);
}

TEST(MbufLimits, AnExternalSegmentHoldsAtMost65535Bytes) {
  test::PoolFixture fixture;
  auto memory = fixture.context().allocate({.size = 1 << 17});
  ASSERT_TRUE(memory);
  Mempool pool = fixture.pool({.count = 1});
  MbufPtr mbuf = pool.allocate();
  EXPECT_FALSE(mbuf->attach_external(*memory, 0, kMaxLength + 1, nullptr, nullptr));
  EXPECT_FALSE(mbuf->attach_external(*memory, 0, 0, nullptr, nullptr));
  EXPECT_FALSE(mbuf->attach_external(*memory, memory->size() - 10, 11, nullptr, nullptr));
  EXPECT_FALSE(mbuf->attach_external(*memory, memory->size(), 1, nullptr, nullptr));
  EXPECT_TRUE(mbuf->attach_external(*memory, 3, kMaxLength, nullptr, nullptr));
  EXPECT_EQ(mbuf->length(), kMaxLength);
  EXPECT_EQ(mbuf->data_iova(), memory->segments().front().iova + 3);
}

TEST(MbufLimits, MemoryOfAnotherContextIsRejected) {
  test::PoolFixture fixture;
  test::PoolFixture other;
  auto memory = other.context().allocate({.size = 4096});
  ASSERT_TRUE(memory);
  Mempool pool = fixture.pool({.count = 1});
  MbufPtr mbuf = pool.allocate();
  EXPECT_FALSE(mbuf->attach_external(*memory, 0, 64, nullptr, nullptr));
  EXPECT_FALSE(mbuf->attach_external(DmaMemory(), 0, 64, nullptr, nullptr));
  EXPECT_EQ(mbuf->length(), 0u);
}

TEST(MbufLimits, AFrameHasAtMost255Segments) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 300, .data_room = 64, .headroom = 0});
  MbufPtr frame = pool.allocate();
  ASSERT_NE(frame->append(1), nullptr);
  for (std::uint32_t i = 1; i < kMaxSegments; ++i) {
    MbufPtr more = pool.allocate();
    ASSERT_NE(more->append(1), nullptr);
    ASSERT_TRUE(frame->chain(more));
    ASSERT_EQ(more, nullptr);
  }
  MbufPtr more = pool.allocate();
  EXPECT_FALSE(frame->chain(more));
  EXPECT_NE(more, nullptr) << "the caller keeps a rejected mbuf";
  EXPECT_EQ(frame->segments(), kMaxSegments);
  EXPECT_EQ(frame->packet_length(), kMaxSegments);
  MempoolCache cache(pool);
  EXPECT_EQ(frame->clone(cache), nullptr) << "the pool has fewer mbufs left than the frame has segments";
  EXPECT_EQ(pool.stats().in_use(), 256u);
  frame.reset();
  more.reset();
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

TEST(MbufLimits, AChainRejectsAnEmptyPointerAndItself) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1});
  MbufPtr frame = pool.allocate();
  MbufPtr nothing;
  EXPECT_FALSE(frame->chain(nothing));
  EXPECT_FALSE(frame->chain(frame));
  EXPECT_EQ(frame->segments(), 1u);
}

TEST(MbufLimits, ABufferHasAtMost65000Users) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = kMaxUsers + 2, .data_room = 64, .headroom = 0});
  MempoolCache cache(pool);
  MbufPtr frame = pool.allocate();
  ASSERT_NE(frame->append(20), nullptr);
  std::vector<MbufPtr> clones;
  for (;;) {
    MbufPtr clone = frame->clone(cache);
    if (clone == nullptr) break;
    clones.push_back(std::move(clone));
    ASSERT_LE(clones.size(), kMaxUsers);
  }
  EXPECT_EQ(clones.size(), kMaxUsers - 1);
  EXPECT_GT(pool.stats().shared + pool.stats().cached, 0u) << "there are mbufs left";
  EXPECT_EQ(frame->tailroom(), 0u);
  clones.clear();
  EXPECT_FALSE(frame->is_shared());
  frame.reset();
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

TEST(MbufState, AFreedMbufKeepsNothingOfItsFrame) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 4});
  MempoolCache cache(pool, 64);
  MbufPtr mbuf = cache.allocate();
  Mbuf* const same = mbuf.get();
  ASSERT_NE(mbuf->append(60), nullptr);
  mbuf->set_timestamp(12345);
  mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 7, .l2 = 1, .l3 = 2, .l4 = 3, .segment_size = 4});
  mbuf->set_rx_words(RxFormat::intel_advanced, 1, 2);
  constexpr std::uint64_t kOrigin = std::uint64_t{0xFFFF} << MbufAccess::kOriginShift;
  MbufAccess::set_word(*mbuf, (MbufAccess::word(*mbuf) & ~kOrigin) | std::uint64_t{0xF005} << MbufAccess::kOriginShift);
  ASSERT_EQ(mbuf->port(), 5);
  MbufPtr more = cache.allocate();
  ASSERT_TRUE(mbuf->chain(more));
  MbufPtr clone = mbuf->clone(cache);
  ASSERT_NE(clone, nullptr);
  clone.reset();
  cache.free(std::move(mbuf));
  std::array<MbufPtr, 4> all;
  for (MbufPtr& one : all) one = cache.allocate();
  const auto found = std::find_if(all.begin(), all.end(), [&](const MbufPtr& one) { return one.get() == same; });
  ASSERT_NE(found, all.end());
  mbuf = std::move(*found);
  EXPECT_EQ(mbuf->timestamp(), 0u);
  EXPECT_EQ(mbuf->tx_offload(), TxOffload());
  EXPECT_EQ(mbuf->segments(), 1u);
  EXPECT_EQ(mbuf->next(), nullptr);
  EXPECT_EQ(mbuf->packet_length(), 0u);
  EXPECT_FALSE(mbuf->is_shared());
  EXPECT_FALSE(mbuf->has_rx_words());
  EXPECT_EQ(mbuf->rx_format(), RxFormat::none);
  EXPECT_EQ(mbuf->port(), Mbuf::kNoPort);
  EXPECT_EQ(mbuf->length(), 0u);
  EXPECT_EQ(mbuf->headroom(), 128u);
}

constexpr TxOffload kAllOffloads{.flags = 0xFFFFFFFF,
                                 .vlan = 0xF2F1,
                                 .outer_vlan = 0xF0EF,
                                 .l2 = 0xFEFD,
                                 .l3 = 0xFCFB,
                                 .outer_l2 = 0xF8F7,
                                 .outer_l3 = 0xF6F5,
                                 .l4 = 0xFAF9,
                                 .segment_size = 0xF4F3};

TEST(MbufState, OffloadRequestsAreReturnedUnchanged) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1});
  MbufPtr mbuf = pool.allocate();
  mbuf->set_tx_offload(kAllOffloads);
  EXPECT_EQ(mbuf->tx_offload(), kAllOffloads);
  EXPECT_TRUE(mbuf->has_partial_checksum());
  TxOffload without_flags = kAllOffloads;
  without_flags.flags = 0;
  mbuf->set_tx_offload(without_flags);
  EXPECT_EQ(mbuf->tx_offload(), TxOffload());
  EXPECT_FALSE(mbuf->has_partial_checksum());
  mbuf->set_tx_offload({.flags = TxOffload::insert_vlan});
  EXPECT_FALSE(mbuf->has_partial_checksum());
}

TEST(MbufState, ARequestWithoutHeadersHasNoLengths) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1});
  MbufPtr mbuf = pool.allocate();
  ASSERT_NE(mbuf->append(60), nullptr);
  mbuf->set_tx_offload({.flags = TxOffload::tcp_checksum, .l2 = 65535, .l3 = 20, .l4 = 20, .segment_size = 1});
  constexpr TxOffload kTag{.flags = TxOffload::insert_vlan, .vlan = 7};
  mbuf->set_tx_offload(kTag);
  EXPECT_EQ(mbuf->tx_offload(), kTag) << "not with the lengths of the earlier request";
  ASSERT_NE(mbuf->prepend(4), nullptr) << "the earlier l2 could not grow";
  ASSERT_NE(mbuf->strip(8), nullptr);
  EXPECT_EQ(mbuf->tx_offload(), kTag);
  mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 7, .l2 = 14});
  EXPECT_EQ(mbuf->tx_offload(), kTag) << "lengths that nothing needs are ignored";
}

TEST(MbufState, TheApplicationsFieldKeepsItsValue) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 2});
  MempoolCache cache(pool);
  MbufPtr mbuf = cache.allocate();
  mbuf->set_user(0x0123456789ABCDEF);
  EXPECT_EQ(MbufAccess::special(*mbuf), 0) << "the field does not affect `special`";
  ASSERT_NE(mbuf->append(60), nullptr);
  const MbufPtr clone = mbuf->clone(cache);
  ASSERT_NE(clone, nullptr);
  EXPECT_EQ(clone->user(), 0x0123456789ABCDEF);
  mbuf->set_user(1);
  EXPECT_EQ(clone->user(), 0x0123456789ABCDEF);
  EXPECT_EQ(mbuf->user(), 1U);
}

TEST(MbufState, ACloneGetsACopyOfThePortsWords) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 2});
  MempoolCache cache(pool);
  MbufPtr mbuf = cache.allocate();
  MbufAccess::port_private(*mbuf) = {1, 2};
  const MbufPtr clone = mbuf->clone(cache);
  ASSERT_NE(clone, nullptr);
  MbufAccess::port_private(*mbuf) = {3, 4};
  EXPECT_EQ(MbufAccess::port_private(*clone), (std::array<std::uint64_t, 2>{1, 2}));
}

/// A tunnelled frame of 200 bytes with an offload request. Header lengths: outer 14 and 20 bytes, inner 16 and 24.
class MbufRequest : public testing::Test {
 protected:
  static constexpr std::uint32_t kFlags = TxOffload::ipv4_checksum | TxOffload::udp_checksum | TxOffload::insert_vlan |
                                          TxOffload::outer_ipv4_checksum | TxOffload::outer_udp_checksum;

  MbufRequest() {
    EXPECT_NE(mbuf_->append(200), nullptr);
    mbuf_->set_tx_offload({.flags = kFlags, .l2 = 16, .l3 = 24, .outer_l2 = 14, .outer_l3 = 20});
  }
  [[nodiscard]] TxOffload after_strip(std::uint32_t bytes) {
    EXPECT_NE(mbuf_->strip(bytes), nullptr);
    return mbuf_->tx_offload();
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 1});
  MbufPtr mbuf_ = pool_.allocate();
};

TEST_F(MbufRequest, FollowsItsHeadersWhenBytesArePrepended) {
  ASSERT_NE(mbuf_->prepend(4), nullptr);
  EXPECT_EQ(mbuf_->tx_offload(), (TxOffload{.flags = kFlags, .l2 = 16, .l3 = 24, .outer_l2 = 18, .outer_l3 = 20}));
  mbuf_->set_tx_offload({.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 20});
  ASSERT_NE(mbuf_->prepend(8), nullptr);
  EXPECT_EQ(mbuf_->tx_offload(), (TxOffload{.flags = TxOffload::tcp_checksum, .l2 = 22, .l3 = 20}));
  mbuf_->set_tx_offload({.flags = TxOffload::tcp_checksum, .l2 = 65535});
  EXPECT_EQ(mbuf_->prepend(1), nullptr) << "the header's offset would exceed 16 bits";
  EXPECT_EQ(mbuf_->length(), 212U);
}

TEST_F(MbufRequest, DropsRequestsForStrippedHeaders) {
  EXPECT_EQ(after_strip(4), (TxOffload{.flags = kFlags, .l2 = 16, .l3 = 24, .outer_l2 = 10, .outer_l3 = 20}));
  std::uint32_t flags = kFlags & ~std::uint32_t{TxOffload::outer_ipv4_checksum};
  EXPECT_EQ(after_strip(11), (TxOffload{.flags = flags, .l2 = 16, .l3 = 24, .outer_l3 = 19}));
  EXPECT_EQ(after_strip(19), (TxOffload{.flags = flags, .l2 = 16, .l3 = 24}));
  flags &= ~std::uint32_t{TxOffload::outer_udp_checksum};
  EXPECT_EQ(after_strip(2), (TxOffload{.flags = flags, .l2 = 14, .l3 = 24}));
  EXPECT_EQ(after_strip(14), (TxOffload{.flags = flags, .l3 = 24}));
  flags &= ~std::uint32_t{TxOffload::ipv4_checksum};
  EXPECT_EQ(after_strip(24), (TxOffload{.flags = flags}));
  EXPECT_EQ(after_strip(1), (TxOffload{.flags = TxOffload::insert_vlan}));
  mbuf_->set_tx_offload({.flags = TxOffload::tcp_checksum, .l2 = 1});
  EXPECT_EQ(after_strip(2), TxOffload());
  EXPECT_EQ(MbufAccess::special(*mbuf_), 0);
}

}  // namespace
}  // namespace pollux
