// SPDX-License-Identifier: BSD-3-Clause
// The frame as on the wire: reading it, and putting a stripped tag back.
#include "net/wire_frame.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "pollux/net/rx_metadata.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

using Octets = std::vector<std::uint8_t>;

class WireFrameTest : public testing::Test {
 protected:
  /// In mbufs of `piece` bytes each.
  [[nodiscard]] MbufPtr mbuf_of(const Octets& bytes, std::size_t piece = 2048) {
    MbufPtr first;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      MbufPtr segment = pool_.allocate();
      const std::size_t size = std::min(piece, bytes.size() - at);
      std::memcpy(segment->append(static_cast<std::uint32_t>(size)), &bytes[at], size);
      if (first == nullptr) {
        first = std::move(segment);
      } else {
        EXPECT_TRUE(first->chain(segment));
      }
    }
    return first;
  }
  [[nodiscard]] static Octets counting(std::size_t size) {
    Octets bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(0x20 + i);
    return bytes;
  }
  [[nodiscard]] static Octets with(Octets bytes, std::size_t at, const Octets& tag) {
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), tag.begin(), tag.end());
    return bytes;
  }
  [[nodiscard]] static Octets bytes_of(const Mbuf& mbuf) {
    Octets bytes(mbuf.packet_length());
    static_cast<void>(mbuf.copy_out(0, bytes));
    return bytes;
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 64});
  MempoolCache cache_{pool_};
};

TEST_F(WireFrameTest, ReadsAnyPartOfAnyChainWithItsTags) {
  const Octets stored = counting(30);
  for (const std::uint16_t offset : {std::uint16_t{12}, std::uint16_t{16}}) {
    WireTags tags{.offset = offset};
    tags.add(0x88A8, 0x0102);
    if (offset == 12) tags.add(0x8100, 0xE003);
    const Octets wire = with(stored, offset, Octets(tags.data.begin(), tags.data.begin() + tags.bytes));
    for (const std::size_t piece : {1U, 5U, 12U, 2048U}) {
      const MbufPtr mbuf = mbuf_of(stored, piece);
      const WireFrame frame(*mbuf, tags);
      ASSERT_EQ(frame.length(), wire.size());
      for (std::size_t from = 0; from <= wire.size() + 1; ++from) {
        for (std::size_t size = 0; size <= wire.size() + 1; ++size) {
          Octets read(size);
          read.resize(frame.copy_out(from, read));
          const std::size_t first = std::min(from, wire.size());
          const std::size_t last = std::min(from + size, wire.size());
          EXPECT_EQ(read, Octets(wire.begin() + static_cast<std::ptrdiff_t>(first),
                                 wire.begin() + static_cast<std::ptrdiff_t>(last)))
              << offset << ": " << size << " from " << from << ", pieces of " << piece;
        }
      }
    }
  }
}

TEST_F(WireFrameTest, AFrameWithoutMissingTagsIsAsStored) {
  const MbufPtr mbuf = mbuf_of(counting(30));
  EXPECT_EQ(stripped_tags(*mbuf).bytes, 0);
  EXPECT_EQ(requested_tags(*mbuf).bytes, 0);
  EXPECT_TRUE(WireFrame(*mbuf, stripped_tags(*mbuf)).is_as_stored());
  // The metadata of a bad frame says nothing.
  mbuf->set_rx_words(RxFormat::intel_advanced, 0, std::uint64_t{1} << 31 | std::uint64_t{1} << 3);
  EXPECT_EQ(stripped_tags(*mbuf).bytes, 0);
}

TEST_F(WireFrameTest, PutsATagBackOnceAndWhereItWas) {
  Octets behind_outer = counting(60);
  behind_outer[12] = 0x88;
  behind_outer[13] = 0xA8;
  Octets plain = counting(60);
  plain[12] = 0x08;
  plain[13] = 0x00;
  for (const bool inner : {false, true}) {
    for (const Octets& stored : {behind_outer, plain}) {
      const MbufPtr mbuf = mbuf_of(stored, 20);
      SoftwareRxMetadata{.rss_hash = 9, .vlan = 0x6007, .vlan_is_inner = inner, .l4_checksum = ChecksumStatus::good}
          .attach_to(*mbuf);
      ASSERT_EQ(RxMetadata(*mbuf).vlan_is_inner(), inner);
      // A frame without an outer tag came before the port had such tags.
      const std::size_t at = inner && stored == behind_outer ? 16 : 12;
      const Octets wire = with(stored, at, {0x81, 0x00, 0x60, 0x07});
      for (int again = 0; again < 2; ++again) {
        ASSERT_TRUE(put_back_vlan_tag(*mbuf));
        EXPECT_EQ(bytes_of(*mbuf), wire) << inner;
        EXPECT_EQ(RxMetadata(*mbuf).vlan(), std::nullopt);
      }
      EXPECT_EQ(RxMetadata(*mbuf).rss_hash(), 9U);
      EXPECT_EQ(RxMetadata(*mbuf).l4_checksum(), ChecksumStatus::good);
    }
  }
}

TEST_F(WireFrameTest, RefusesToPutATagBackWhereItCannot) {
  const auto tag = [](Mbuf& mbuf) { SoftwareRxMetadata{.vlan = 7}.attach_to(mbuf); };
  const MbufPtr shared = mbuf_of(counting(60));
  const MbufPtr other = shared->clone(cache_);
  const MbufPtr scattered = mbuf_of(counting(60), 11);
  const MbufPtr full = mbuf_of(counting(60));
  ASSERT_NE(full->prepend(full->headroom()), nullptr);
  // What is stripped from the application's memory looks like headroom, and is not.
  const auto memory = fixture_.context().allocate({.size = 4096, .purpose = "the application's"});
  ASSERT_TRUE(memory) << memory.error().message();
  const MbufPtr external = pool_.allocate();
  ASSERT_TRUE(external->attach_external(
      *memory, 0, 80, [](void*, std::uint8_t*) noexcept {}, nullptr));
  ASSERT_NE(external->strip(20), nullptr);
  for (Mbuf* const mbuf : {shared.get(), scattered.get(), full.get(), external.get()}) {
    tag(*mbuf);
    const Octets before = bytes_of(*mbuf);
    EXPECT_FALSE(put_back_vlan_tag(*mbuf));
    EXPECT_EQ(bytes_of(*mbuf), before);
    EXPECT_EQ(RxMetadata(*mbuf).vlan(), 7) << "nothing has changed";
  }
}

}  // namespace
}  // namespace pollux
