// SPDX-License-Identifier: BSD-3-Clause
// GSO: segments have the headers that a card would give them, and GRO makes the frame of them again.
#include "gso_fixture.hpp"
#include "support/routed_frames.hpp"

namespace pollux::test {
namespace {

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

/// A packet with these headers and a payload of `bytes`, which requests segmentation.
struct RoutedSuperframe {
  PacketBytes bytes;
  TxOffload request;
};
RoutedSuperframe routed_superframe(const RoutedFrame& routed, std::size_t bytes) {
  const std::size_t l4 = routed.is_tcp ? 20 : 8;
  RoutedSuperframe made{
      .bytes = {routed.bytes.begin(), routed.bytes.begin() + static_cast<std::ptrdiff_t>(routed.l4() + l4)},
      .request = {.flags = routed.is_tcp ? TxOffload::tcp_segmentation : TxOffload::udp_segmentation,
                  .l2 = 14,
                  .l3 = routed.l3,
                  .l4 = static_cast<std::uint16_t>(l4),
                  .segment_size = 100}};
  for (std::size_t i = 0; i < bytes; ++i) made.bytes.push_back(static_cast<std::uint8_t>(i * 3));
  return made;
}

TEST_F(GsoTest, SegmentsOnARouteHaveTheChecksumsOfItsEnd) {
  for (const RoutedFrame& routed : routed_frames()) {
    const RoutedSuperframe whole = routed_superframe(routed, 250);
    MbufPtr frame = mbuf_of(whole.bytes);
    ASSERT_TRUE(request_checksums(*frame, whole.request)) << routed.name;
    EXPECT_EQ(
        port_segments(
            {.tx_flags = whole.request.flags, .max_l2 = 14, .max_l3 = 100, .max_segments = 9, .max_tso = 9000}, *frame),
        routed.own_addresses)
        << routed.name << ": a card may not find the addresses";
    Burst<64> out;
    segment(std::move(frame), out,
            {.tx_flags = TxOffload::tcp_checksum | TxOffload::udp_checksum, .max_l2 = 14, .max_l3 = 100});
    ASSERT_EQ(out.size(), 3U);
    for (Mbuf& one : out) {
      EXPECT_EQ(one.has_partial_checksum(), routed.own_addresses) << routed.name;
      ASSERT_EQ(complete_checksums(one), ChecksumCompletion::complete);
      packet::InternetSum sum;
      sum.add(routed.addresses);
      sum.add((routed.is_tcp ? 6U : 17U) + one.packet_length() - static_cast<std::uint32_t>(routed.l4()));
      sum.add(std::span<const std::uint8_t>(one.bytes()).subspan(routed.l4()));
      EXPECT_TRUE(sum.is_good()) << routed.name;
    }
    out.drop(seen_, cache_);
  }
}

// Such frames could not be segmented again.
TEST_F(GsoTest, GroMergesNoIpv6OfAnotherVersion) {
  Gro gro;
  for (const std::uint8_t version : {std::uint8_t{0x60}, std::uint8_t{0x40}}) {
    Burst<64> burst;
    put_flow(burst, 2, {.ipv6 = true});
    for (Mbuf& frame : burst) {
      frame.data()[14] = version;
      SoftwareRxMetadata{.l4_checksum = ChecksumStatus::good}.attach_to(frame);
    }
    gro.merge(burst);
    EXPECT_EQ(burst.size(), version == 0x60 ? 1U : 2U);
    burst.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, TheLastSegmentIsStamped) {
  MbufPtr frame = superframe({.payload = counting(250)}, 100);
  TxOffload request = frame->tx_offload();
  request.flags |= TxOffload::timestamp;
  frame->set_tx_offload(request);
  Segmenter segmenter;
  EXPECT_FALSE(segmenter.start(frame, {})) << "a port that stamps nothing";
  ASSERT_NE(frame, nullptr);
  Burst<64> out;
  segment(std::move(frame), out, {.tx_flags = TxOffload::timestamp});
  ASSERT_EQ(out.size(), 3U);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(out[i].tx_offload().flags, i == 2 ? std::uint32_t{TxOffload::timestamp} : 0U) << i;
  }
  out.drop(seen_, cache_);
}

TEST_F(GsoTest, ARequestThatSegmentsWouldLackIsRefused) {
  for (const std::uint32_t flag : {TxOffload::without_fcs, TxOffload::sctp_checksum, TxOffload::udp_checksum,
                                   TxOffload::outer_udp_checksum, TxOffload::udp_segmentation}) {
    MbufPtr frame = superframe({.payload = counting(250)}, 100);
    TxOffload request = frame->tx_offload();
    request.flags |= flag;
    frame->set_tx_offload(request);
    Segmenter segmenter;
    EXPECT_FALSE(segmenter.start(frame, {.tx_flags = ~std::uint32_t{0}})) << flag;
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

}  // namespace
}  // namespace pollux::test
