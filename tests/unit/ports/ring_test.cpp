// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>

#include "fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::ports {
namespace {

using testing::HasSubstr;
using RingPort = PortFixture;

TEST_F(RingPort, PassesTheSendersMbuf) {
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  MbufPtr mbuf = make_mbuf(numbered(60, 1));
  const Mbuf* const sent = mbuf.get();
  Burst<1> burst;
  ASSERT_TRUE(burst.push(mbuf));
  ASSERT_EQ(left.tx(0).tx_burst(burst), 1U);
  Burst<1> arrived;
  ASSERT_EQ(right.rx(0).rx_burst(arrived), 1U);
  EXPECT_EQ(&arrived[0], sent);
  EXPECT_EQ(arrived[0].port(), right.info().index);
  DropCounter inspected("inspected");
  arrived.drop(inspected);
}

TEST_F(RingPort, ForwardsAChecksumRequest) {
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  const TxOffload request{.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 20};
  for (const bool is_shared : {false, true}) {
    MbufPtr mbuf = make_mbuf(numbered(60, 1));
    mbuf->set_tx_offload(request);
    mbuf->set_user(77);
    const MbufPtr clone = is_shared ? mbuf->clone(cache_) : MbufPtr();
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(left.tx(0).tx_burst(burst), 1U);
    Burst<1> arrived;
    ASSERT_EQ(right.rx(0).rx_burst(arrived), 1U);
    EXPECT_EQ(arrived[0].tx_offload(), request) << "shared: " << is_shared;
    EXPECT_EQ(arrived[0].user(), 77U) << "shared: " << is_shared;
    EXPECT_EQ(arrived[0].is_shared(), false) << "shared bytes are copied";
    EXPECT_EQ(RxMetadata(arrived[0]).l4_checksum(), ChecksumStatus::partial);
    DropCounter inspected("inspected");
    arrived.drop(inspected);
  }
}

TEST_F(RingPort, IsConnectedToItselfWithoutAnEnd) {
  Port loop = started("ring:loop");
  EXPECT_TRUE(loop.link().up);
  EXPECT_EQ(send(loop, {numbered(60, 1), numbered(61, 2)}), 2U);
  EXPECT_EQ(poll(loop), (std::vector<Bytes>{numbered(60, 1), numbered(61, 2)}));
  send(loop, {numbered(60, 3)});
  ASSERT_TRUE(loop.stop());
  EXPECT_EQ(drops(loop, "rx_stopped"), 1U);
  EXPECT_EQ(drops(loop, "tx_no_receiver"), 0U);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

TEST_F(RingPort, CountsFramesWithoutAReceiver) {
  Port left = started("ring:a:0");
  EXPECT_FALSE(left.link().up);
  EXPECT_EQ(send(left, {numbered(60, 1)}), 1U);
  EXPECT_EQ(drops(left, "tx_no_receiver"), 1U);
  Port right = started("ring:a:1");
  EXPECT_TRUE(left.link().up);
  EXPECT_EQ(poll(right), std::vector<Bytes>());
  EXPECT_EQ(left.stats().tx_packets, 0U);
}

TEST_F(RingPort, ConnectsEachQueueToItsCounterpart) {
  Settings three = config();
  three.rx.resize(3, three.rx[0]);
  three.tx.resize(3, three.tx[0]);
  Port left = must(open(context_, "ring:a:0", three));
  Port right = must(open(context_, "ring:a:1", {.rx = {2, {.pool = pool_, .ring = 8}}}));
  for (std::uint16_t queue = 0; queue < 3; ++queue) {
    EXPECT_EQ(send(left, {numbered(60, static_cast<std::uint8_t>(queue))}, queue), 1U);
  }
  EXPECT_EQ(poll(right, 1), std::vector<Bytes>{numbered(60, 1)});
  EXPECT_EQ(poll(right, 0), std::vector<Bytes>{numbered(60, 0)});
  EXPECT_EQ(drops(left, "tx_no_receiver"), 1U);  // there is no third queue
}

// Most frames take a short way on both sides. Those between them that need more keep their place.
TEST_F(RingPort, KeepsTheOrderOfFramesOfAllKinds) {
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  ASSERT_TRUE(test::set_promiscuous(right, false));
  const MacAddress own = right.mac();
  const auto addressed = [](const MacAddress& to, std::uint8_t number) {
    Bytes frame = numbered(60 + number, number);
    std::copy(to.begin(), to.end(), frame.begin());
    return frame;
  };
  const MacAddress other{2, 9, 9, 9, 9, 9};
  const std::vector<Bytes> sent{numbered(60, 1),     addressed(own, 2),  addressed(other, 3), numbered(13, 4),
                                addressed(own, 5),   numbered(2000, 6),  addressed(own, 7),   addressed(other, 8),
                                addressed(other, 9), addressed(own, 10), numbered(60, 11)};
  std::vector<MbufPtr> clones;
  Burst<16> burst;
  for (const Bytes& frame : sent) {
    MbufPtr mbuf = make_mbuf(frame);
    if (frame.back() == 7) clones.push_back(mbuf->clone(cache_));
    ASSERT_TRUE(burst.push(mbuf));
  }
  EXPECT_EQ(left.tx(0).tx_burst(burst), sent.size());
  EXPECT_EQ(poll(right), (std::vector<Bytes>{sent[0], sent[1], sent[4], sent[6], sent[9], sent[10]}));
  EXPECT_EQ(drops(left, "tx_too_short"), 1U);
  EXPECT_EQ(drops(right, "rx_filtered"), 3U);
  EXPECT_EQ(drops(right, "rx_too_long"), 1U);
  const Stats received = right.stats();
  EXPECT_EQ(received.rx_packets, 10U);
  EXPECT_EQ(received.rx_burst_packets, 6U);
  EXPECT_EQ(received.rx_bytes, left.stats().tx_bytes);
  EXPECT_EQ(left.stats().tx_packets, 10U);
}

TEST_F(RingPort, CountsMulticasts) {
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  Bytes group = numbered(60, 1);
  group[0] = 0x01;
  ASSERT_TRUE(test::set_all_multicast(right, true));
  EXPECT_EQ(send(left, {numbered(60, 2), group, numbered(60, 3)}), 3U);
  EXPECT_EQ(poll(right).size(), 3U);
  EXPECT_EQ(right.stats().multicast, 1U);
  ASSERT_TRUE(test::set_all_multicast(right, false));
  ASSERT_TRUE(test::set_promiscuous(right, true));
  EXPECT_EQ(send(left, {group, numbered(60, 3)}), 2U);
  EXPECT_EQ(poll(right).size(), 2U);
  EXPECT_EQ(right.stats().multicast, 2U);
}

TEST_F(RingPort, HoldsAsManyAsTheReceiversRing) {
  Port left = started("ring:a:0");
  Port right = must(open(context_, "ring:a:1", {.rx = {{.pool = pool_, .ring = 8}}}));
  const std::vector<Bytes> frames(12, numbered(60, 1));
  EXPECT_EQ(send(left, frames), 8U);
  EXPECT_EQ(poll(right).size(), 8U);
  EXPECT_EQ(send(left, frames), 8U);
  ASSERT_TRUE(left.stop());
  EXPECT_EQ(poll(right).size(), 8U);  // sent frames arrive, although the sender has stopped
}

TEST_F(RingPort, CopiesSharedFrames) {
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  MbufPtr original = make_mbuf(numbered(60, 9));
  MbufPtr clone = original->clone(cache_);
  Burst<1> burst;
  ASSERT_TRUE(burst.push(clone));
  ASSERT_EQ(left.tx(0).tx_burst(burst), 1U);
  Burst<1> arrived;
  ASSERT_EQ(right.rx(0).rx_burst(arrived), 1U);
  EXPECT_NE(arrived[0].data(), original->data());
  EXPECT_FALSE(original->is_shared());
  DropCounter inspected("inspected");
  arrived.drop(inspected);
}

TEST_F(RingPort, LetsASharedFrameWaitWhileThePoolIsExhausted) {
  auto small = must(Mempool::create(context_, {.count = 4}));
  Port left = started("ring:a:0");
  Port right = must(open(context_, "ring:a:1", {.rx = {{.pool = small, .ring = 8}}}));
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = small.allocate()) all.push_back(std::move(mbuf));
  MbufPtr original = make_mbuf(numbered(60, 9));
  Burst<1> burst;
  MbufPtr clone = original->clone(cache_);
  ASSERT_TRUE(burst.push(clone));
  ASSERT_EQ(left.tx(0).tx_burst(burst), 1U);
  const auto failures = small.stats().allocation_failures;
  EXPECT_TRUE(poll(right).empty());
  EXPECT_GT(small.stats().allocation_failures, failures);
  all.clear();
  EXPECT_EQ(poll(right), std::vector<Bytes>{numbered(60, 9)});
}

TEST_F(RingPort, RejectsInvalidEnds) {
  for (const char* uri : {"ring:", "ring::0", "ring:a:2", "ring:a:", "ring:a:0:1", "ring:a b", "ring:a:00"}) {
    const Error error = refused(uri);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << uri;
    EXPECT_THAT(error.hint, HasSubstr("ring:")) << uri;
  }
}

TEST_F(RingPort, OpensEachEndOnce) {
  Port left = must(open_unconfigured(context_, "ring:a:0"));
  EXPECT_EQ(refused("ring:a:0").code, ErrorCode::busy);
  EXPECT_EQ(refused("ring:a").code, ErrorCode::busy);
  {
    const Port other = must(open_unconfigured(context_, "ring:a:1"));
    EXPECT_EQ(refused("ring:a:1").code, ErrorCode::busy);
    ASSERT_TRUE(left.close());
    EXPECT_EQ(refused("ring:a").code, ErrorCode::busy);  // the other end of the pair is still open
  }
  EXPECT_TRUE(open_unconfigured(context_, "ring:a"));
}

TEST_F(RingPort, BelongsToItsContext) {
  Context other;
  const Port here = must(open_unconfigured(context_, "ring:a:0"));
  EXPECT_TRUE(open(other, "ring:a:0"));
}

}  // namespace
}  // namespace pollux::ports
