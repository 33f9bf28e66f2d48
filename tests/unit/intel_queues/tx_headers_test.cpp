// SPDX-License-Identifier: BSD-3-Clause
// Packets whose headers not every card reads as their request describes them. Their requests are made by hand:
// request_checksums would compute these checksums itself.
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "support/routed_frames.hpp"
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;
using PacketOctets = std::vector<std::uint8_t>;

const PacketOctets kCustomer{0x81, 0x00, 0x00, 0x05};
const PacketOctets kService{0x88, 0xA8, 0x00, 0x06};
const PacketOctets kOld{0x91, 0x00, 0x00, 0x07};

class TxHeaders : public TxOffloadTest {
 protected:
  [[nodiscard]] static PacketOctets with_tags(PacketOctets packet, const std::vector<PacketOctets>& tags) {
    for (auto tag = tags.rbegin(); tag != tags.rend(); ++tag)
      packet.insert(packet.begin() + 12, tag->begin(), tag->end());
    return packet;
  }
  /// A TCP packet over IPv4 with a partial checksum, and these tags.
  [[nodiscard]] MbufPtr partial(const std::vector<PacketOctets>& tags, TxOffload request, std::size_t payload = 300) {
    MbufPtr bare = make(tcp4(payload));
    EXPECT_TRUE(request_checksums(*bare, {.flags = request.flags, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 100}));
    const PacketOctets bytes = with_tags(content(*bare), tags);
    request.l2 = static_cast<std::uint16_t>(14 + 4 * tags.size());
    MbufPtr frame = make(bytes);
    frame->set_tx_offload(request);
    return frame;
  }
  /// What the card was asked to do with the frame; 0: nothing.
  [[nodiscard]] std::uint64_t asked(MbufPtr frame, PacketOctets expected) {
    const std::size_t before = card().requests().size();
    EXPECT_TRUE(send_and_expect(std::move(frame), std::move(expected)));
    process_all();
    return card().requests().size() == before ? 0 : card().requests().back().flags;
  }
};

TEST_F(TxHeaders, SoftwareComputesChecksumsBehindUnusualTags) {
  use();
  constexpr TxOffload kSum{.flags = TxOffload::tcp_checksum, .l3 = 20};
  const PacketOctets right = tcp4(300);
  const auto by_card = [&](const std::vector<PacketOctets>& tags) {
    MbufPtr frame = partial(tags, kSum);
    const PacketOctets as_is = content(*frame);
    const std::uint64_t flags = asked(std::move(frame), as_is);
    EXPECT_EQ(flags, tx::kInsertL4Checksum);
  };
  const auto by_software = [&](const std::vector<PacketOctets>& tags, const char* why) {
    EXPECT_EQ(asked(partial(tags, kSum), with_tags(right, tags)), 0u) << why;
  };
  by_card({});
  by_card({kCustomer});
  by_card({kService});
  by_card({kService, kCustomer});
  by_software({kCustomer, kCustomer}, "the same lengths as before");
  by_software({kService, kService}, "the same lengths as before");
  by_software({kCustomer, kService}, "in the wrong order");
  by_software({kService, kCustomer, kCustomer}, "three");
  use();
  by_software({kOld}, "an old outer tag");
  expect_all_freed();
}

TEST_F(TxHeaders, SoftwareComputesChecksumsOfRoutedPackets) {
  for (const RoutedFrame& routed : routed_frames()) {
    use();
    const TxOffload request{
        .flags = routed.is_tcp ? TxOffload::tcp_checksum : TxOffload::udp_checksum, .l2 = 14, .l3 = routed.l3};
    PacketOctets bytes = routed.bytes;
    const std::size_t length = routed.is_tcp ? bytes.size() - routed.l4() : packet::load16(&bytes[routed.l4() + 4]);
    packet::InternetSum sum;
    sum.add(routed.addresses);
    sum.add((routed.is_tcp ? 6U : 17U) + static_cast<std::uint32_t>(length));
    packet::store16(&bytes[routed.checksum_at()], sum.folded());
    MbufPtr frame = make(bytes);
    frame->set_tx_offload(request);
    if (routed.own_addresses && !routed.has_surplus()) {
      EXPECT_EQ(asked(std::move(frame), bytes), tx::kInsertL4Checksum) << routed.name;
    } else {
      EXPECT_EQ(asked(std::move(frame), routed.bytes), 0u) << routed.name;
    }
    expect_all_freed();
  }
}

TEST_F(TxHeaders, SegmentsBehindUnusualTagsAreRefused) {
  use();
  const TxOffload segments{.flags = TxOffload::tcp_segmentation, .l3 = 20, .l4 = 20, .segment_size = 100};
  const auto by_card = [&](const std::vector<PacketOctets>& tags) {
    MbufPtr frame = partial(tags, segments);
    PacketOctets cleared = content(*frame);
    const std::size_t ip = 14 + 4 * tags.size();
    for (const std::size_t at : {ip + 2, ip + 3, ip + 10, ip + 11}) cleared[at] = 0;
    EXPECT_EQ(asked(std::move(frame), cleared), tx::kSegment | kBoth);
  };
  std::uint64_t refused = 0;
  const auto is_refused = [&](const std::vector<PacketOctets>& tags) {
    EXPECT_TRUE(send_and_expect(partial(tags, segments), {}));
    EXPECT_EQ(drops().bad_offload, ++refused);
  };
  by_card({kCustomer});
  is_refused({kOld});
  by_card({kService, kCustomer});
  is_refused({kCustomer, kCustomer});
  is_refused({kService, kService});
  expect_all_freed();
}

// Both tags would lie in front of a packet that not every card reads then.
TEST_F(TxHeaders, TheCardInsertsNoTagInFrontOfAnother) {
  constexpr TxOffload kBothTags{.flags = TxOffload::tcp_checksum | TxOffload::insert_vlan, .vlan = 7, .l3 = 20};
  const PacketOctets inserted{0x81, 0x00, 0x00, 0x07};
  for (const bool by_card : {false, true}) {
    use();
    fixture_->tx.let_card_insert_tags(by_card);
    EXPECT_EQ(asked(partial({kCustomer}, kBothTags), with_tags(tcp4(300), {inserted, kCustomer})), 0u) << by_card;
    MbufPtr alone = make(with_tags(tcp4(), {kCustomer}));
    alone->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 7});
    const PacketOctets as_is = content(*alone);
    EXPECT_EQ(asked(std::move(alone), by_card ? as_is : with_tags(as_is, {inserted})), by_card ? tx::kInsertVlan : 0u);
    expect_all_freed();
  }
}

TEST_F(TxHeaders, ALongPacketMayHaveAsManyMbufsAsTheLimitSays) {
  use({.tx_ring = 128});
  auto memory = fixture_->fixture.context().allocate({.size = 65536});
  ASSERT_TRUE(memory);
  const TxOffload segments{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 1000};
  for (const std::uint32_t mbufs : {drivers::intel::kMaxTsoSegments, drivers::intel::kMaxTsoSegments + 1}) {
    MbufPtr frame = make(tcp4(300));
    for (std::uint32_t i = 1; i < mbufs; ++i) {
      MbufPtr more = fixture_->cache_handle->allocate();
      const std::uint32_t bytes = i == 1 ? 40'000 : 10;
      ASSERT_TRUE(more->attach_external(*memory, 0, bytes, nullptr, nullptr));
      ASSERT_TRUE(frame->chain(more));
    }
    ASSERT_TRUE(request_checksums(*frame, segments));
    PacketOctets cleared = content(*frame);
    for (const std::size_t at : {16U, 17U, 24U, 25U}) cleared[at] = 0;
    const bool is_within = mbufs == drivers::intel::kMaxTsoSegments;
    EXPECT_TRUE(send_and_expect(std::move(frame), is_within ? cleared : PacketOctets()));
    EXPECT_EQ(drops().too_many_segments, is_within ? 0u : 1u) << "one of them needs two slots";
    process_all();
  }
  expect_all_freed();
}

}  // namespace
}  // namespace pollux::test
