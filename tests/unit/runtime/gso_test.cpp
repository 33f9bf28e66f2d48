// SPDX-License-Identifier: BSD-3-Clause
// GSO: segments have the headers that a card would give them, and GRO makes the frame of them again.
#include "pollux/runtime/gso.hpp"

#include <random>

#include "keeping_queue.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/runtime/gro.hpp"
#include "tcp_frames.hpp"

namespace pollux::test {
namespace {

class GsoTest : public MergeFixture {
 protected:
  /// A frame that requests segmentation.
  [[nodiscard]] MbufPtr superframe(const Packet& packet, std::uint16_t segment_size, std::size_t part = 2000) {
    MbufPtr frame = mbuf_of(packet.bytes(), part);
    const bool written =
        request_checksums(*frame, {.flags = packet.udp ? TxOffload::udp_segmentation : TxOffload::tcp_segmentation,
                                   .l2 = static_cast<std::uint16_t>(packet.l3()),
                                   .l3 = static_cast<std::uint16_t>(packet.l4() - packet.l3()),
                                   .l4 = static_cast<std::uint16_t>(packet.headers() - packet.l4()),
                                   .segment_size = segment_size});
    EXPECT_TRUE(written);
    return frame;
  }
  /// The same with TCP in a VXLAN tunnel.
  [[nodiscard]] MbufPtr vxlan_superframe(const Packet& outer, const Packet& inner, std::uint16_t segment_size,
                                         bool has_checksum) {
    PacketBytes bytes = in_vxlan(outer, inner.bytes(), has_checksum);
    if (has_checksum) {
      packet::InternetSum sum;
      sum.add(std::span<const std::uint8_t>(bytes).subspan(outer.l3() + (outer.ipv6 ? 8U : 12U), outer.ipv6 ? 32 : 8));
      sum.add(17U);
      packet::store16(&bytes[outer.l4() + 6], sum.folded());
    }
    MbufPtr frame = mbuf_of(bytes);
    EXPECT_TRUE(request_checksums(*frame, {.flags = TxOffload::tcp_segmentation,
                                           .l2 = static_cast<std::uint16_t>(16 + inner.l3()),
                                           .l3 = static_cast<std::uint16_t>(inner.l4() - inner.l3()),
                                           .outer_l2 = static_cast<std::uint16_t>(outer.l3()),
                                           .outer_l3 = static_cast<std::uint16_t>(outer.l4() - outer.l3()),
                                           .l4 = 20,
                                           .segment_size = segment_size}));
    return frame;
  }
  /// Whether GRO makes `whole` of its segments.
  void expect_made_again(MbufPtr whole, const GroOptions& options) {
    const PacketBytes before = bytes_of(*whole);
    const TxOffload request = whole->tx_offload();
    Burst<64> burst;
    segment(std::move(whole), burst);
    Gro gro(options);
    gro.merge(burst);
    EXPECT_EQ(burst.size(), 1U);
    EXPECT_EQ(burst[0].tx_offload(), request);
    EXPECT_EQ(bytes_of(burst[0]), before);
    burst.drop(seen_, cache_);
  }
  /// Of two to 64 segments.
  [[nodiscard]] static PacketBytes payload_for(std::uint16_t segment_size, std::mt19937& random) {
    return counting(std::min<std::size_t>(segment_size + 1 + random() % (segment_size * std::size_t{63}), 65'300));
  }
  [[nodiscard]] static Packet random_packet(std::mt19937& random) {
    Packet packet{.ipv6 = random() % 2 == 0};
    packet.vlan = static_cast<std::uint16_t>(random() % 2 == 0 ? 0 : 1 + random() % 4000);
    packet.id = static_cast<std::uint16_t>(random());
    packet.sequence = static_cast<std::uint32_t>(random());
    return packet;
  }
  void segment(MbufPtr frame, Burst<64>& out, const OffloadLimits& limits = {}) {
    Segmenter segmenter;
    ASSERT_TRUE(segmenter.start(frame, limits));
    ASSERT_EQ(segmenter.next(cache_, out), Segmenter::Outcome::complete);
  }
  [[nodiscard]] static PacketBytes counting(std::size_t bytes) {
    PacketBytes payload(bytes);
    for (std::size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::uint8_t>(i * 7);
    return payload;
  }
  [[nodiscard]] static PacketBytes part_of(const PacketBytes& whole, std::size_t at, std::size_t bytes) {
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(at);
    return {from, from + static_cast<std::ptrdiff_t>(std::min(bytes, whole.size() - at))};
  }
};

TEST_F(GsoTest, SegmentsAreWhatTheSenderWouldHaveSent) {
  for (const bool ipv6 : {false, true}) {
    Packet packet{.ipv6 = ipv6, .vlan = 5, .id = 0xFFFF, .sequence = 0xFFFFFFF0, .flags = 16 | 8 | 1 | 128};
    packet.payload = counting(250);
    Burst<64> out;
    segment(superframe(packet, 100, 90), out);
    ASSERT_EQ(out.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
      Packet expected = packet;
      expected.payload = part_of(packet.payload, i * std::size_t{100}, 100);
      expected.sequence += i * 100;
      expected.id = static_cast<std::uint16_t>(expected.id + i);
      expected.flags = std::array<std::uint8_t, 3>{16 | 128, 16, 16 | 8 | 1}[i];
      EXPECT_EQ(bytes_of(out[i]), expected.bytes()) << i;
      EXPECT_EQ(out[i].tx_offload().flags, 0U);
    }
    out.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, UdpSegmentsAreDatagrams) {
  for (const bool ipv6 : {false, true}) {
    const Packet packet{.ipv6 = ipv6, .udp = true, .payload = counting(500)};
    Burst<64> out;
    segment(superframe(packet, 200), out);
    ASSERT_EQ(out.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
      Packet expected = packet;
      expected.payload = part_of(packet.payload, i * std::size_t{200}, 200);
      expected.id = static_cast<std::uint16_t>(expected.id + i);
      EXPECT_EQ(bytes_of(out[i]), expected.bytes()) << i;
    }
    out.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, ChecksumsStayPartialIfThePortComputesThem) {
  const Packet packet{.payload = counting(150)};
  Burst<64> out;
  segment(superframe(packet, 100), out, {.tx_flags = TxOffload::tcp_checksum, .max_l2 = 14, .max_l3 = 19});
  EXPECT_EQ(out[1].tx_offload().flags, 0U) << "the port does not compute it for a header of 20 bytes";
  out.drop(seen_, cache_);
  segment(superframe(packet, 100), out, {.tx_flags = TxOffload::tcp_checksum, .max_l2 = 14, .max_l3 = 20});
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[1].tx_offload().flags, std::uint32_t{TxOffload::tcp_checksum});
  ASSERT_EQ(complete_checksums(out[1]), ChecksumCompletion::complete);
  Packet expected{.id = 8, .sequence = 1100, .payload = part_of(packet.payload, 100, 50)};
  EXPECT_EQ(bytes_of(out[1]), expected.bytes());
  out.drop(seen_, cache_);
}

TEST_F(GsoTest, SegmentsLargerThanAnMbufAreChains) {
  const Packet packet{.payload = counting(9000)};
  Burst<64> out;
  segment(superframe(packet, 4500), out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].segments(), 3U);
  Packet expected{.payload = part_of(packet.payload, 0, 4500)};
  EXPECT_EQ(bytes_of(out[0]), expected.bytes());
  out.drop(seen_, cache_);
}

TEST_F(GsoTest, SegmentsInATunnelAreWhatTheSenderWouldHaveSent) {
  for (unsigned kinds = 0; kinds < 8; ++kinds) {
    const bool has_checksum = (kinds & 4) != 0;
    Packet outer{.ipv6 = (kinds & 1) != 0, .vlan = 3, .id = 0xFFFF};
    Packet inner{.ipv6 = (kinds & 2) != 0, .id = 9, .payload = counting(250)};
    Burst<64> out;
    segment(vxlan_superframe(outer, inner, 100, has_checksum), out,
            {.tx_flags = TxOffload::tcp_checksum, .max_l2 = 127, .max_l3 = 511});
    ASSERT_EQ(out.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
      Packet expected = inner;
      expected.payload = part_of(inner.payload, i * std::size_t{100}, 100);
      expected.sequence += i * 100;
      expected.id = static_cast<std::uint16_t>(inner.id + i);
      EXPECT_EQ(bytes_of(out[i]), in_vxlan(outer, expected.bytes(), has_checksum)) << kinds << " " << i;
      EXPECT_EQ(out[i].tx_offload().flags, 0U);
      ++outer.id;
    }
    out.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, TagsThatThePortDoesNotInsertAreInserted) {
  constexpr std::uint32_t kInner = TxOffload::insert_vlan;
  constexpr std::uint32_t kBoth = kInner | TxOffload::insert_outer_vlan;
  struct Case {
    std::uint32_t port;
    std::uint32_t requested;
    std::uint32_t left;
    PacketBytes tags;  // in the segments
  };
  for (const Case& one : {Case{kBoth, kBoth, kBoth, {}}, Case{0, kInner, 0, {0x81, 0, 0, 7}},
                          Case{kInner, kBoth, 0, {0x88, 0xA8, 0, 9, 0x81, 0, 0, 7}},
                          Case{TxOffload::insert_outer_vlan, kBoth, TxOffload::insert_outer_vlan, {0x81, 0, 0, 7}}}) {
    const Packet packet{.payload = counting(150)};
    MbufPtr frame = superframe(packet, 100);
    TxOffload request = frame->tx_offload();
    request.flags |= one.requested;
    request.vlan = 7;
    request.outer_vlan = (one.requested & TxOffload::insert_outer_vlan) != 0 ? 9 : 0;
    frame->set_tx_offload(request);
    Burst<64> out;
    segment(std::move(frame), out, {.tx_flags = one.port | TxOffload::tcp_checksum, .max_l2 = 22, .max_l3 = 20});
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].tx_offload().flags, one.left | TxOffload::tcp_checksum);
    ASSERT_EQ(complete_checksums(out[0]), ChecksumCompletion::complete);
    PacketBytes expected = Packet{.payload = part_of(packet.payload, 0, 100)}.bytes();
    expected.insert(expected.begin() + 12, one.tags.begin(), one.tags.end());
    EXPECT_EQ(bytes_of(out[0]), expected);
    out.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, GroMakesTheFrameAgain) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    Packet packet = random_packet(random);
    packet.flags = std::array<std::uint8_t, 4>{16, 16 | 8, 16 | 1, 16 | 8 | 1}[random() % 4];
    const auto size = static_cast<std::uint16_t>(1 + random() % 1460);
    packet.payload = payload_for(size, random);
    expect_made_again(superframe(packet, size), {});
  }
}

TEST_F(GsoTest, GroMakesTheDatagramsOneFrameAgain) {
  std::mt19937 random(2);
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    Packet packet = random_packet(random);
    packet.udp = true;
    const auto size = static_cast<std::uint16_t>(1 + random() % 1472);
    packet.payload = payload_for(size, random);
    expect_made_again(superframe(packet, size), {.udp = true});
  }
}

TEST_F(GsoTest, GroMakesTheFrameInATunnelAgain) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    Packet inner = random_packet(random);
    inner.vlan = 0;
    const auto size = static_cast<std::uint16_t>(1 + random() % 1400);
    inner.payload = payload_for(size, random);
    expect_made_again(vxlan_superframe(random_packet(random), inner, size, random() % 2 == 0),
                      {.vxlan_port = GroOptions::kVxlanPort});
  }
}

TEST_F(GsoTest, AWrongRequestChangesNothing) {
  const Packet packet{.payload = counting(300)};
  for (const TxOffload& wrong :
       {TxOffload{}, TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20},
        TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 24, .l4 = 20, .segment_size = 9},
        TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 24, .segment_size = 9},
        TxOffload{.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = 9},
        TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 999, .l3 = 20, .l4 = 20, .segment_size = 9}}) {
    MbufPtr frame = mbuf_of(packet.bytes());
    frame->set_tx_offload(wrong);
    Segmenter segmenter;
    EXPECT_FALSE(segmenter.start(frame, {}));
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(bytes_of(*frame), packet.bytes());
  }
}

TEST_F(GsoTest, ASegmentWhoseLengthIpCannotExpressIsRefused) {
  MbufPtr frame = superframe({.payload = counting(300)}, 0xFFFF);
  Packet rest{.payload = counting(65'500)};
  MbufPtr more = mbuf_of(rest.payload);
  ASSERT_TRUE(frame->chain(more));
  Segmenter segmenter;
  EXPECT_FALSE(segmenter.start(frame, {})) << "65,800 bytes of payload in segments of 65,535";
  ASSERT_NE(frame, nullptr);
  TxOffload request = frame->tx_offload();
  request.segment_size = 0xFFFF - 40;
  frame->set_tx_offload(request);
  EXPECT_TRUE(segmenter.start(frame, {}));
}

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
