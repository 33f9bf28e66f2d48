// SPDX-License-Identifier: BSD-3-Clause
// VLAN tags that the card inserts. tx_segment_test.cpp has those that software inserts.
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;
using Request = StrictTransmitter::Request;

constexpr TxOffload kTag{.flags = TxOffload::insert_vlan, .vlan = 7};

class TxTagTest : public TxOffloadTest {
 protected:
  void use_tags(const CardFixtureOptions& options = {}) {
    use(options);
    fixture_->tx.let_card_insert_tags(true);
  }
  [[nodiscard]] MbufPtr tagged(const TxOffload& request, std::size_t payload = 30) {
    MbufPtr frame = make(tcp4(payload));
    frame->set_tx_offload(request);
    return frame;
  }
};

TEST_F(TxTagTest, TheContextHasTheTag) {
  use_tags({.tx_ring = 128});
  Burst<32> burst;
  for (int i = 0; i < 20; ++i) {
    MbufPtr frame = tagged(kTag, static_cast<std::size_t>(i));
    fixture_->transmitter->expect(content(*frame));
    ASSERT_TRUE(burst.push(frame));
  }
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 20u);
  fixture_->look();
  TxOffload other = kTag;
  other.vlan = 0x6008;
  EXPECT_TRUE(send_prepared(tagged(other)));
  EXPECT_TRUE(send_prepared(tagged(kTag)));
  process_all();
  ASSERT_EQ(card().requests().size(), 22u);
  EXPECT_EQ(card().contexts(), 2u) << "a context for each tag";
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(card().requests()[i], (Request{tx::kInsertVlan, {.vlan = 7}})) << i;
  }
  EXPECT_EQ(card().requests()[20], (Request{tx::kInsertVlan, {.vlan = 0x6008, .index = 1}}));
  EXPECT_EQ(card().requests()[21], (Request{tx::kInsertVlan, {.vlan = 7}}));
  expect_all_freed();
}

TEST_F(TxTagTest, ATagGoesWithChecksumsAndSegments) {
  use_tags({.max_frame = 200});
  TxOffload both = kTcp4;
  both.flags |= TxOffload::insert_vlan;
  both.vlan = 7;
  EXPECT_TRUE(send(make(tcp4()), both));
  EXPECT_TRUE(send(make(tcp4()), both)) << "a repeated request";
  TxOffload segments{
      .flags = TxOffload::tcp_segmentation | TxOffload::insert_vlan, .vlan = 7, .l2 = 14, .l3 = 20, .l4 = 20};
  const auto send_segments = [&](std::uint16_t size) {
    segments.segment_size = size;
    MbufPtr frame = make(tcp4(400));
    EXPECT_TRUE(request_checksums(*frame, segments));
    auto cleared = content(*frame);
    for (const std::size_t at : {16U, 17U, 24U, 25U}) cleared[at] = 0;
    const std::uint64_t dropped = drops().rejected();
    Burst<1> burst;
    EXPECT_TRUE(burst.push(frame));
    EXPECT_EQ(fixture_->tx.tx_burst(burst), 1u);
    if (drops().rejected() == dropped) fixture_->transmitter->expect(cleared);
    fixture_->look();
  };
  send_segments(142);
  EXPECT_EQ(drops().rejected(), 0u);
  send_segments(143);
  EXPECT_EQ(drops().bad_offload, 1u) << "with its tag a segment would be longer than the card's longest frame";
  process_all();
  ASSERT_EQ(card().requests().size(), 3u);
  const tx::Context context{.vlan = 7, .mac_length = 14, .ip_length = 20, .kind = kTcp4Kind};
  EXPECT_EQ(card().requests()[0], (Request{kBoth | tx::kInsertVlan, context}));
  EXPECT_EQ(card().requests()[1], (Request{kBoth | tx::kInsertVlan, context}));
  EXPECT_EQ(card().requests()[2].flags, kBoth | tx::kInsertVlan | tx::kSegment);
  EXPECT_EQ(card().requests()[2].context.vlan, 7u);
  expect_all_freed();
}

// The card needs no headroom and writes nothing into the frame's bytes.
TEST_F(TxTagTest, NeedsNoRoomInTheFrame) {
  use_tags({.max_frame = 200});
  MempoolCache cache(*fixture_->pool_handle);
  MbufPtr original = make(tcp4());
  MbufPtr clone = original->clone(cache);
  clone->set_tx_offload(kTag);
  EXPECT_TRUE(send_prepared(std::move(clone)));
  EXPECT_TRUE(send_prepared(tagged(kTag, 196 - 54)));
  EXPECT_TRUE(send_prepared(tagged(kTag, 196 - 54))) << "a repeated request";
  EXPECT_EQ(drops().rejected(), 0u);
  EXPECT_TRUE(send_prepared(tagged(kTag, 197 - 54), false));
  EXPECT_EQ(drops().too_long, 1u) << "with the tag it is longer than the card's longest frame";
  process_all();
  EXPECT_EQ(card().requests().size(), 3u);
  original.reset();
  expect_all_freed();
}

TEST_F(TxTagTest, SoftwareInsertsWhatTheCardCannot) {
  use_tags();
  const std::vector<std::uint8_t> data(30, 0x5A);
  MbufPtr two = make(built([&](packet::Builder& to) { to.ipv4({}).payload(data); }));
  two->set_tx_offload({.flags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan, .vlan = 7, .outer_vlan = 9});
  EXPECT_TRUE(send_and_expect(std::move(two), built([&](packet::Builder& to) {
                                to.vlan({.id = 9}, 0x88A8).vlan({.id = 7}).ipv4({}).payload(data);
                              })));
  // The checksum of a padded packet is computed in software, which has the tag in front of it then.
  const auto padded = built([&](packet::Builder& to) { to.ipv4({}).udp({}).payload(std::vector<std::uint8_t>(4)); });
  auto wanted =
      built([&](packet::Builder& to) { to.vlan({.id = 7}).ipv4({}).udp({}).payload(std::vector<std::uint8_t>(4)); });
  wanted.resize(64);
  MbufPtr frame = make(padded);
  ASSERT_TRUE(request_checksums(
      *frame, {.flags = TxOffload::udp_checksum | TxOffload::insert_vlan, .vlan = 7, .l2 = 14, .l3 = 20}));
  const std::uint32_t padding = 60 - frame->length();
  std::fill_n(frame->append(padding), padding, std::uint8_t{0});
  EXPECT_TRUE(send_and_expect(std::move(frame), wanted));
  process_all();
  EXPECT_TRUE(card().requests().empty());
  expect_all_freed();
}

TEST_F(TxTagTest, NoTagIsLostIfThereIsNoRoom) {
  use_tags({.tx_ring = 8});
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(send(make(tcp4()), {}));
  MbufPtr frame = tagged(kTag);
  const auto bytes = content(*frame);
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  for (int i = 0; i < 3; ++i) ASSERT_EQ(fixture_->tx.tx_burst(burst), 0u);
  process_all();
  fixture_->transmitter->expect(bytes);
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 1u);
  fixture_->look();
  process_all();
  ASSERT_EQ(card().requests().size(), 1u);
  EXPECT_EQ(card().requests()[0].flags, tx::kInsertVlan);
  expect_all_freed();
}

TEST_F(TxTagTest, ARequestIsNotRepeatedOnceSoftwareInserts) {
  use_tags();
  EXPECT_TRUE(send_prepared(tagged(kTag)));
  process_all();
  fixture_->tx.let_card_insert_tags(false);
  auto wanted = tcp4();
  const std::uint8_t tag[] = {0x81, 0x00, 0x00, 0x07};
  wanted.insert(wanted.begin() + 12, std::begin(tag), std::end(tag));
  EXPECT_TRUE(send_and_expect(tagged(kTag), wanted));
  process_all();
  EXPECT_EQ(card().requests().size(), 1u);
  expect_all_freed();
}

}  // namespace
}  // namespace pollux::test
