// SPDX-License-Identifier: BSD-3-Clause
// Frames whose time of transmission the card records.
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;

class TxStampTest : public TxOffloadTest {
 protected:
  void use_stamps(CardFixtureOptions options = {}) {
    options.stamps = true;
    use(options);
    fixture_->transmitter->accept_stamps();
  }
  [[nodiscard]] bool is_stamped(std::uint32_t slot) { return (fixture_->ring(slot).hi & tx::kTimeStamp) != 0; }
  [[nodiscard]] MbufPtr stamped(const std::vector<std::uint32_t>& sizes = {}) {
    MbufPtr frame = make(tcp4(), sizes);
    frame->set_tx_offload({.flags = TxOffload::timestamp});
    return frame;
  }
};

TEST_F(TxStampTest, OnlyTheFrameThatAsksIsStamped) {
  use_stamps();
  EXPECT_TRUE(send_prepared(make(tcp4())));
  EXPECT_TRUE(send_prepared(stamped({40})));
  EXPECT_TRUE(send_prepared(make(tcp4())));
  EXPECT_FALSE(is_stamped(0));
  EXPECT_TRUE(is_stamped(1) && is_stamped(2)) << "both descriptors of the frame";
  EXPECT_FALSE(is_stamped(3));
  process_all();
  EXPECT_EQ(card().contexts(), 0u) << "a stamp needs no context";
  EXPECT_EQ(drops().rejected(), 0u);
  expect_all_freed();
}

TEST_F(TxStampTest, AStampGoesWithChecksums) {
  use_stamps();
  TxOffload both = kTcp4;
  both.flags |= TxOffload::timestamp;
  EXPECT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_TRUE(send(make(tcp4()), both));
  EXPECT_TRUE(send(make(tcp4()), kTcp4)) << "repeats the first request";
  EXPECT_TRUE(send(make(udp6()), {.flags = kUdp6.flags | TxOffload::timestamp, .l2 = 14, .l3 = 40}));
  EXPECT_FALSE(is_stamped(1));
  EXPECT_TRUE(is_stamped(2)) << "the context is known";
  EXPECT_FALSE(is_stamped(3));
  EXPECT_FALSE(is_stamped(4)) << "a context";
  EXPECT_TRUE(is_stamped(5));
  process_all();
  EXPECT_EQ(card().requests().size(), 4u);
  EXPECT_EQ(card().contexts(), 2u);
  expect_all_freed();
}

TEST_F(TxStampTest, RequestsThatCannotBeStampedAreDropped) {
  use_stamps();
  MbufPtr segments = make(tcp4(100));
  segments->set_tx_offload(
      {.flags = TxOffload::timestamp | TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 50});
  EXPECT_TRUE(send_prepared(std::move(segments), false));
  MbufPtr own_fcs = make(tcp4(100));
  own_fcs->set_tx_offload({.flags = TxOffload::timestamp | TxOffload::without_fcs});
  EXPECT_TRUE(send_prepared(std::move(own_fcs), false));
  EXPECT_EQ(drops().bad_offload, 2u);
  use({});
  EXPECT_TRUE(send_prepared(stamped(), false));
  EXPECT_EQ(drops().unsupported_offload, 1u) << "a card without a clock";
}

TEST_F(TxStampTest, AFrameWithoutRoomKeepsItsRequest) {
  use_stamps({.tx_ring = 8});
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(send_prepared(make(tcp4())));
  Burst<32> burst;
  MbufPtr frame = stamped();
  ASSERT_TRUE(burst.push(frame));
  EXPECT_EQ(fixture_->tx.tx_burst(burst), 0u);
  EXPECT_EQ(burst[0].tx_offload().flags, std::uint32_t{TxOffload::timestamp});
}

}  // namespace
}  // namespace pollux::test
