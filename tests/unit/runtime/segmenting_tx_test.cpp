// SPDX-License-Identifier: BSD-3-Clause
// What a port segments, and what software segments for it.
#include "gso_fixture.hpp"
#include "keeping_queue.hpp"

namespace pollux::test {
namespace {

class SegmentingTxTest : public GsoTest {
 protected:
  KeepingQueue queue_;
  Burst<64> burst_;
  void push(MbufPtr frame) { ASSERT_TRUE(burst_.push(frame)); }
  void TearDown() override { burst_.drop(seen_, cache_); }
};

TEST_F(SegmentingTxTest, OnlyWhatThePortCannotSegmentIsSegmented) {
  const Packet packet{.payload = counting(300)};
  OffloadLimits limits{
      .tx_flags = TxOffload::tcp_segmentation, .max_l2 = 14, .max_l3 = 20, .max_segments = 1, .max_tso = 400};
  SegmentingTx tx(queue_, limits, cache_);
  push(mbuf_of(packet.bytes()));
  push(superframe(packet, 100));
  push(superframe({.payload = counting(400)}, 100));  // longer than max_tso
  push(superframe(packet, 100, 100));                 // several mbufs
  push(superframe({.ipv6 = true, .payload = counting(300)}, 100));
  push(mbuf_of(packet.bytes()));
  EXPECT_EQ(tx.send(burst_), 6U);
  std::vector<std::uint32_t> lengths;
  for (const Mbuf* frame : queue_.frames) lengths.push_back(frame->packet_length());
  EXPECT_EQ(lengths, (std::vector<std::uint32_t>{354, 354, 154, 154, 154, 154, 154, 154, 154, 174, 174, 174, 354}));
  EXPECT_NE(queue_.frames[1]->tx_offload().flags, 0U);
}

TEST_F(SegmentingTxTest, EachKindIsSegmentedByThePortOrInSoftware) {
  const auto frames = [this](OffloadLimits limits, MbufPtr frame) {
    limits.max_l2 = limits.max_l3 = limits.max_segments = 255;
    limits.max_tso = 65535;
    queue_.clear();
    SegmentingTx tx(queue_, limits, cache_);
    push(std::move(frame));
    EXPECT_EQ(tx.send(burst_), 1U);
    EXPECT_EQ(tx.bad_requests().value(), 0U);
    return queue_.frames.size();
  };
  constexpr std::uint32_t kTcp = TxOffload::tcp_segmentation;
  const Packet udp{.udp = true, .payload = counting(300)};
  EXPECT_EQ(frames({.tx_flags = kTcp | TxOffload::udp_segmentation}, superframe(udp, 100)), 1U);
  EXPECT_EQ(frames({.tx_flags = kTcp}, superframe(udp, 100)), 3U);

  const auto tagged = [this] {
    MbufPtr frame = superframe({.payload = counting(300)}, 100);
    TxOffload request = frame->tx_offload();
    request.flags |= TxOffload::insert_vlan;
    request.vlan = 7;
    frame->set_tx_offload(request);
    return frame;
  };
  EXPECT_EQ(frames({.tx_flags = kTcp | TxOffload::insert_vlan}, tagged()), 1U);
  EXPECT_EQ(frames({.tx_flags = kTcp}, tagged()), 3U);
  EXPECT_EQ(queue_.frames[2]->packet_length(), 158U);

  const OffloadLimits tunnels{.tx_flags = kTcp, .segments_tunnels = true};
  const auto tunnel = [this](std::uint16_t fragment, std::size_t bytes) {
    return vxlan_superframe({}, {.fragment = fragment, .payload = counting(bytes)}, 100, true);
  };
  EXPECT_EQ(frames(tunnels, tunnel(0x4000, 300)), 1U);
  EXPECT_EQ(frames({.tx_flags = kTcp}, tunnel(0x4000, 300)), 3U);
  EXPECT_EQ(frames(tunnels, tunnel(0x4000, 250)), 3U) << "not a multiple";
  EXPECT_EQ(frames(tunnels, tunnel(0, 300)), 3U) << "the identification has to count";
}

TEST_F(SegmentingTxTest, APortGetsOnlyWhatItSegmentsAsSoftwareWould) {
  const OffloadLimits limits{.tx_flags = TxOffload::kSegmentation | TxOffload::insert_vlan | TxOffload::timestamp,
                             .max_l2 = 127,
                             .max_l3 = 511,
                             .max_segments = 255,
                             .max_tso = 65535,
                             .max_datagrams = 3};
  const auto is_the_ports = [&](Packet packet, const PacketBytes& tags, std::uint32_t flags) {
    packet.payload = counting(300);
    MbufPtr frame = superframe(packet, 100);
    TxOffload request = frame->tx_offload();
    request.flags |= flags;
    if (!tags.empty()) {
      PacketBytes bytes = bytes_of(*frame);
      bytes.insert(bytes.begin() + 12, tags.begin(), tags.end());
      request.l2 = static_cast<std::uint16_t>(request.l2 + tags.size());
      frame = mbuf_of(bytes);
    }
    frame->set_tx_offload(request);
    return port_segments(limits, *frame);
  };
  EXPECT_TRUE(is_the_ports({}, {}, 0));
  EXPECT_TRUE(is_the_ports({.ipv6 = true}, {0x88, 0xA8, 0, 1, 0x81, 0, 0, 2}, 0));
  EXPECT_FALSE(is_the_ports({}, {0x81, 0, 0, 1, 0x81, 0, 0, 2}, 0)) << "not every card reads these tags";
  EXPECT_FALSE(is_the_ports({}, {0x91, 0, 0, 1}, 0));
  EXPECT_TRUE(is_the_ports({}, {}, TxOffload::insert_vlan));
  EXPECT_FALSE(is_the_ports({}, {0x81, 0, 0, 1}, TxOffload::insert_vlan)) << "a second tag";
  EXPECT_FALSE(is_the_ports({}, {}, TxOffload::timestamp)) << "a card stamps a frame, not segments";
  EXPECT_TRUE(is_the_ports({.udp = true}, {}, 0));

  MbufPtr more = superframe({.udp = true, .payload = counting(301)}, 100);
  EXPECT_FALSE(port_segments(limits, *more)) << "four datagrams";
  const MbufPtr three = superframe({.payload = counting(300)}, 100);
  OffloadLimits fewer = limits;
  fewer.max_tcp_segments = 3;
  fewer.max_tso_headers = static_cast<std::uint16_t>(three->packet_length() - 300);
  EXPECT_TRUE(port_segments(fewer, *three));
  fewer.max_tcp_segments = 2;
  EXPECT_FALSE(port_segments(fewer, *three));
  fewer.max_tcp_segments = 3;
  --fewer.max_tso_headers;
  EXPECT_FALSE(port_segments(fewer, *three));
  MbufPtr frame = superframe({.payload = counting(300)}, 100);
  const MbufPtr clone = frame->clone(cache_);
  EXPECT_FALSE(port_segments(limits, *clone)) << "the port may have to write into shared bytes";
}

TEST_F(SegmentingTxTest, WhatTheQueueDoesNotTakeIsSentLater) {
  const Packet packet{.payload = counting(1000)};
  SegmentingTx tx(queue_, {}, cache_);
  push(superframe(packet, 100));
  push(mbuf_of(packet.bytes()));
  push(mbuf_of(packet.bytes()));
  queue_.room = 3;
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_TRUE(tx.waiting());
  EXPECT_EQ(burst_.size(), 2U);
  queue_.room = 11;
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_FALSE(tx.waiting());
  queue_.room = 12;
  EXPECT_EQ(tx.send(burst_), 1U);
  ASSERT_EQ(queue_.frames.size(), 12U);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(packet::load32(queue_.frames[i]->data() + 38), 1000 + i * 100);
}

TEST_F(SegmentingTxTest, WhatWaitsAtTheEndIsAnUnnamedDrop) {
  {
    SegmentingTx tx(queue_, {}, cache_);
    push(superframe({.payload = counting(10'000)}, 100));
    queue_.room = 3;
    EXPECT_EQ(tx.send(burst_), 1U);
  }
  EXPECT_EQ(pool_.stats().unnamed_drops, 61U + 1) << "segments that were made, and the frame of the others";
}

TEST_F(SegmentingTxTest, DropsHaveNames) {
  SegmentingTx tx(queue_, {}, cache_);
  MbufPtr wrong = mbuf_of(Packet{.payload = counting(300)}.bytes());
  wrong->set_tx_offload({.flags = TxOffload::tcp_segmentation});
  push(std::move(wrong));
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_EQ(tx.bad_requests().value(), 1U);
  push(superframe({.payload = counting(1000)}, 100));
  std::vector<MbufPtr> taken;
  while (MbufPtr mbuf = cache_.allocate()) taken.push_back(std::move(mbuf));
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_EQ(tx.no_memory().value(), 1U);
  EXPECT_TRUE(queue_.frames.empty());
}

}  // namespace
}  // namespace pollux::test
