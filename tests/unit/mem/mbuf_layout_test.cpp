// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mem/mempool_core.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

constexpr std::ptrdiff_t kLine = 64;

class MbufLayout : public testing::Test {
 protected:
  template <class Field>
  [[nodiscard]] std::ptrdiff_t offset_of(const Field& field) const {
    return reinterpret_cast<const std::byte*>(&field) - reinterpret_cast<const std::byte*>(mbuf_.get());
  }

  using Header = std::array<std::byte, Mbuf::kHeaderSize>;

  [[nodiscard]] Header header() const {
    Header bytes;
    std::memcpy(bytes.data(), static_cast<const void*>(mbuf_.get()), bytes.size());
    return bytes;
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 2});
  MbufPtr mbuf_ = pool_.allocate();
};

static_assert(alignof(Mbuf) == kLine);
static_assert(sizeof(Mbuf) == 3 * kLine);
static_assert(MbufAccess::kWordOffset + sizeof(std::uint64_t) <= kLine);
static_assert(MbufAccess::kWordOffset % sizeof(std::uint64_t) == 0);

TEST_F(MbufLayout, TheFirstLineHoldsTheFieldsOfADirectMbuf) {
  Mbuf& mbuf = *mbuf_;
  EXPECT_EQ(offset_of(MbufAccess::rx_low(mbuf)), 0);
  EXPECT_EQ(offset_of(MbufAccess::rx_high(mbuf)), 8);
  EXPECT_EQ(offset_of(MbufAccess::iova(mbuf)), 16);
  EXPECT_LE(offset_of(MbufAccess::buffer(mbuf)), kLine - 8);
  EXPECT_LE(offset_of(MbufAccess::next(mbuf)), kLine - 8);
  EXPECT_LE(offset_of(MbufAccess::packet_length(mbuf)), kLine - 4);
  EXPECT_LT(offset_of(MbufAccess::segment_count(mbuf)), kLine);
}

TEST_F(MbufLayout, TheSecondLineHoldsTheFieldsOfOtherMbufs) {
  Mbuf& mbuf = *mbuf_;
  EXPECT_EQ(offset_of(MbufAccess::tx_offload(mbuf)), kLine);
  EXPECT_EQ(offset_of(MbufAccess::free_link(mbuf)), 2 * kLine - 8);
  EXPECT_EQ(offset_of(MbufAccess::owner_state(mbuf)), 2 * kLine - 4);
  // The first line only tells whether there is a timestamp or an offload request.
  mbuf_->set_timestamp(~std::uint64_t{0});
  mbuf_->set_tx_offload({.flags = TxOffload::insert_vlan});
  const Header before = header();
  mbuf_->set_timestamp(1);
  mbuf_->set_tx_offload({.flags = TxOffload::insert_vlan,
                         .vlan = 1,
                         .outer_vlan = 2,
                         .l2 = 3,
                         .l3 = 4,
                         .outer_l2 = 5,
                         .outer_l3 = 6,
                         .l4 = 7,
                         .segment_size = 8});
  const Header after = header();
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + kLine, after.begin()));
  EXPECT_FALSE(std::equal(before.begin() + kLine, before.begin() + 2 * kLine, after.begin() + kLine));
  EXPECT_TRUE(std::equal(before.begin() + 2 * kLine, before.end(), after.begin() + 2 * kLine));
}

TEST_F(MbufLayout, TheThirdLineHoldsTheFieldsOfApplicationAndPort) {
  EXPECT_EQ(offset_of(MbufAccess::user(*mbuf_)), 2 * kLine);
  EXPECT_EQ(offset_of(MbufAccess::port_private(*mbuf_)), 2 * kLine + 8);
  const Header before = header();
  mbuf_->set_user(~mbuf_->user());
  MbufAccess::port_private(*mbuf_) = {1, 2};
  const Header after = header();
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 2 * kLine, after.begin()));
}

TEST_F(MbufLayout, MbufsOfADefaultPoolAre37LinesApart) {
  EXPECT_EQ(MempoolCore::stride(pool_.options()), 37U * kLine);
  EXPECT_EQ(mbuf_->tailroom(), 2048U);
}

TEST_F(MbufLayout, TheWordHoldsLengthPoolSpecialOffsetAndOrigin) {
  Mbuf& mbuf = *mbuf_;
  const auto base = static_cast<std::ptrdiff_t>(MbufAccess::kWordOffset);
  EXPECT_EQ(offset_of(MbufAccess::data_length(mbuf)), base);
  EXPECT_EQ(offset_of(MbufAccess::special(mbuf)), base + MbufAccess::kSpecialShift / 8);
  EXPECT_EQ(offset_of(MbufAccess::data_offset(mbuf)), base + MbufAccess::kOffsetShift / 8);
  ASSERT_NE(mbuf.append(77), nullptr);
  const std::uint64_t word = MbufAccess::word(mbuf);
  EXPECT_EQ(word & 0xFFFF, 77u);
  EXPECT_EQ(word >> MbufAccess::kPoolShift & 0xFF, MbufAccess::pool_id(mbuf));
  EXPECT_EQ(word >> MbufAccess::kSpecialShift & 0xFF, 0u);
  EXPECT_EQ(word >> MbufAccess::kOffsetShift & 0xFFFF, 128u);
  EXPECT_EQ(word >> MbufAccess::kOriginShift & 0xFFFF, Mbuf::kNoPort);
}

TEST_F(MbufLayout, TheBufferFollowsTheHeader) {
  EXPECT_EQ(mbuf_->head(), reinterpret_cast<std::uint8_t*>(mbuf_.get()) + Mbuf::kHeaderSize);
  EXPECT_EQ(mbuf_->data(), mbuf_->head() + 128);
  EXPECT_EQ(mbuf_->capacity(), mbuf_->end() - mbuf_->head());
  EXPECT_GE(mbuf_->tailroom(), 2048u);
}

TEST(MbufAlignment, IpHeaderIsFourByteAlignedOnRequest) {
  test::PoolFixture fixture;
  constexpr std::uintptr_t kEthernetHeader = 14;
  for (const std::uint32_t headroom : {0u, 4u, 64u, 128u, 252u, 1024u}) {
    const Mempool plain = fixture.pool({.count = 3, .headroom = headroom});
    const Mempool aligned = fixture.pool({.count = 3, .headroom = headroom, .ip_align = true});
    MempoolCache cache(aligned);
    for (int i = 0; i < 3; ++i) {
      const MbufPtr one = i == 0 ? Mempool(aligned).allocate() : cache.allocate();
      ASSERT_NE(one, nullptr);
      const auto data = reinterpret_cast<std::uintptr_t>(one->data());
      EXPECT_EQ(data % 4, 2u) << "headroom " << headroom;
      EXPECT_EQ((data + kEthernetHeader) % 4, 0u);
      EXPECT_EQ(one->headroom(), headroom + 2);
      EXPECT_GE(one->tailroom(), aligned.options().data_room);
      EXPECT_EQ(one->data_iova() % 2, 0u) << "cards use bit 0 of an address as a flag";
    }
    const MbufPtr other = Mempool(plain).allocate();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(other->data()) % 4, 0u);
  }
}

}  // namespace
}  // namespace pollux
