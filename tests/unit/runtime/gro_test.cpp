// SPDX-License-Identifier: BSD-3-Clause
// GRO: what a merged frame says of itself, and what is held how long.
#include "pollux/runtime/gro.hpp"

#include <array>
#include <random>

#include "support/routed_frames.hpp"
#include "tcp_frames.hpp"

namespace pollux::test {
namespace {

class GroTest : public MergeFixture {
 protected:
  Gro gro_;
  Burst<64> burst_;

  void TearDown() override {
    burst_.drop(seen_, cache_);
    gro_.flush(burst_);
    burst_.drop(seen_, cache_);
  }
};

TEST_F(GroTest, AMergedFrameDescribesItself) {
  put_flow(burst_, 3);
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 1U);
  const Mbuf& frame = burst_[0];
  EXPECT_EQ(frame.segments(), 3U);
  EXPECT_EQ(frame.packet_length(), 354U);
  const TxOffload expected{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 100};
  EXPECT_EQ(frame.tx_offload(), expected);
  const RxMetadata metadata(frame);
  EXPECT_EQ(metadata.l4_checksum(), ChecksumStatus::partial);
  EXPECT_EQ(metadata.ip_checksum(), ChecksumStatus::good);
  EXPECT_EQ(metadata.packet_type().bits, PacketType::ipv4 | PacketType::tcp);
  EXPECT_EQ(packet::load16(frame.data() + 16), 340);
  EXPECT_EQ(packet::internet_checksum(frame.bytes().subspan(14, 20)), 0) << "with its checksum";
  EXPECT_EQ(gro_.stats().merged, 2U);
  EXPECT_EQ(gro_.held(), 0U);
}

TEST_F(GroTest, HashAndStrippedTagStayAndDistinguishFlows) {
  put_flow(burst_, 3, {.ipv6 = true});
  for (std::uint32_t i = 0; i < 3; ++i) {
    SoftwareRxMetadata{.rss_hash = 5, .vlan = static_cast<std::uint16_t>(i == 2 ? 8 : 7)}.attach_to(burst_[i]);
  }
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 2U);
  EXPECT_EQ(burst_[0].segments(), 2U);
  EXPECT_EQ(RxMetadata(burst_[0]).vlan(), 7);
  EXPECT_EQ(RxMetadata(burst_[0]).rss_hash(), 5U);
  EXPECT_EQ(RxMetadata(burst_[1]).vlan(), 8);
}

TEST_F(GroTest, AStrippedTagStaysBehindTheOuterOne) {
  put_flow(burst_, 4, {.vlan = 7});
  for (std::uint32_t i = 0; i < 4; ++i) {
    SoftwareRxMetadata{
        .vlan = 8, .vlan_is_inner = i < 2, .ip_checksum = ChecksumStatus::good, .l4_checksum = ChecksumStatus::good}
        .attach_to(burst_[i]);
  }
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 2U) << "the tags were in another order on the wire";
  EXPECT_TRUE(RxMetadata(burst_[0]).vlan_is_inner());
  EXPECT_FALSE(RxMetadata(burst_[1]).vlan_is_inner());
  for (const std::uint32_t i : {0U, 1U}) {
    EXPECT_EQ(burst_[i].segments(), 2U);
    const std::uint32_t length = burst_[i].packet_length();
    const std::size_t place = i == 0 ? 16 : 12;
    ASSERT_TRUE(put_back_vlan_tag(burst_[i]));
    EXPECT_EQ(packet::load16(burst_[i].data() + place), 0x8100);
    EXPECT_EQ(packet::load16(burst_[i].data() + place + 2), 8);
    EXPECT_EQ(burst_[i].packet_length(), length + 4);
    EXPECT_EQ(burst_[i].tx_offload().l2, 22) << "the request's lengths follow";
  }
}

TEST_F(GroTest, TagsInTheFrameAreSkipped) {
  put_flow(burst_, 2, {.vlan = 7});
  put_flow(burst_, 2, {.vlan = 8, .id = 9, .sequence = 1200});  // would continue the other flow
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 2U);
  EXPECT_EQ(burst_[0].tx_offload().l2, 18);
  EXPECT_EQ(burst_[1].packet_length(), 18U + 40 + 200);
}

TEST_F(GroTest, ReportedChecksumsAreBelievedAndOthersComputed) {
  put_flow(burst_, 2);
  for (Mbuf& frame : burst_) {
    frame.data()[60] ^= 1;
    SoftwareRxMetadata{.ip_checksum = ChecksumStatus::good, .l4_checksum = ChecksumStatus::good}.attach_to(frame);
  }
  gro_.merge(burst_);
  EXPECT_EQ(burst_.size(), 1U);
  burst_.drop(seen_, cache_);
  put_flow(burst_, 2);
  burst_[1].data()[60] ^= 1;
  gro_.merge(burst_);
  EXPECT_EQ(burst_.size(), 2U);
}

// Their segments would need the addresses of the route, and Linux does not merge them, either.
TEST_F(GroTest, SegmentsOnARouteAreNotMerged) {
  for (const RoutedFrame& routed : routed_frames()) {
    if (!routed.is_tcp || routed.bytes[12] != 0x86) continue;
    for (std::uint32_t i = 0; i < 2; ++i) {
      PacketBytes bytes = routed.bytes;
      packet::store32(&bytes[routed.l4() + 4], 7 + i * 19);
      put(burst_, bytes);
      SoftwareRxMetadata{.l4_checksum = ChecksumStatus::good}.attach_to(burst_[i]);
    }
    gro_.merge(burst_);
    EXPECT_EQ(burst_.size(), 2U) << routed.name;
    burst_.drop(seen_, cache_);
  }
}

TEST_F(GroTest, SharedBytesAreNeverChanged) {
  put_flow(burst_, 2);
  MbufPtr clone = burst_[0].clone(cache_);
  const PacketBytes before = bytes_of(*clone);
  gro_.merge(burst_);
  EXPECT_EQ(burst_.size(), 2U);
  EXPECT_EQ(bytes_of(*clone), before);
}

TEST_F(GroTest, ARequestedIpv4ChecksumIsComputed) {
  put_flow(burst_, 3);
  for (Mbuf& frame : burst_) {
    packet::store16(frame.data() + 24, 0x1234);  // the request leaves it open
    frame.set_tx_offload({.flags = TxOffload::ipv4_checksum | TxOffload::tcp_checksum, .l2 = 14, .l3 = 20});
  }
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 1U);
  EXPECT_EQ(burst_[0].segments(), 3U);
  EXPECT_EQ(packet::internet_checksum(burst_[0].bytes().subspan(14, 20)), 0);
}

TEST_F(GroTest, OtherRequestsAreKept) {
  put_flow(burst_, 2);
  burst_[1].set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 9});
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 2U);
  EXPECT_EQ(burst_[1].tx_offload().vlan, 9);
}

TEST_F(GroTest, ChainsAreMerged) {
  Packet packet{.payload = PacketBytes(300, 1)};
  for (int i = 0; i < 3; ++i) {
    MbufPtr frame = mbuf_of(packet.bytes(), 120);
    ASSERT_TRUE(burst_.push(frame));
    packet.sequence += 300;
    ++packet.id;
  }
  gro_.merge(burst_);
  ASSERT_EQ(burst_.size(), 1U);
  EXPECT_EQ(burst_[0].segments(), 9U);
  EXPECT_EQ(bytes_of(burst_[0]).size(), 54U + 900);
}

TEST_F(GroTest, HeadersInSeveralMbufsPassAfterWhatIsHeld) {
  put_flow(burst_, 1);
  MbufPtr split = mbuf_of(Packet{.id = 8, .sequence = 1100, .payload = PacketBytes(100)}.bytes(), 40);
  ASSERT_TRUE(burst_.push(split));
  gro_.receive(burst_);
  ASSERT_EQ(burst_.size(), 2U);
  EXPECT_EQ(burst_[0].segments(), 1U);
  EXPECT_EQ(burst_[1].segments(), 4U);
}

TEST_F(GroTest, ReceiveHoldsUntilFlush) {
  put_flow(burst_, 2);
  gro_.receive(burst_);
  EXPECT_TRUE(burst_.empty());
  EXPECT_EQ(gro_.held(), 1U);
  put_flow(burst_, 2, {.id = 9, .sequence = 1200});
  gro_.receive(burst_);
  EXPECT_TRUE(burst_.empty());
  gro_.flush(burst_);
  ASSERT_EQ(burst_.size(), 1U);
  EXPECT_EQ(burst_[0].segments(), 4U);
}

TEST_F(GroTest, WhatFindsNoRoomWaits) {
  for (std::uint16_t port = 0; port < 20; ++port) put_flow(burst_, 1, {.source_port = port});
  gro_.receive(burst_);
  EXPECT_EQ(burst_.size(), 12U) << "eight flows are held";
  Burst<3> small;
  std::uint32_t seen = 0;
  while (gro_.held() != 0) {
    gro_.flush(small);
    seen += small.size();
    ASSERT_FALSE(small.empty());
    small.drop(seen_, cache_);
  }
  EXPECT_EQ(seen, 8U);
  const GroStats stats = gro_.stats();
  EXPECT_EQ(stats.received, stats.delivered + stats.merged);
}

TEST_F(GroTest, AnIpPacketHasAtMost65535Bytes) {
  for (const std::size_t last : {std::size_t{1095}, std::size_t{1096}}) {
    Packet packet{.payload = PacketBytes(1400)};
    for (int i = 0; i < 47; ++i) {
      if (i == 46) packet.payload.resize(last);
      put(burst_, packet.bytes());
      packet.sequence += 1400;
      ++packet.id;
    }
    gro_.merge(burst_);
    EXPECT_EQ(burst_.size(), last == 1095 ? 1U : 2U);
    EXPECT_EQ(burst_[0].packet_length(), last == 1095 ? 14U + 65535 : 14U + 64440);
    burst_.drop(seen_, cache_);
  }
}

TEST_F(GroTest, DatagramsAreMergedIfAsked) {
  const Packet packet{.udp = true};
  put_flow(burst_, 3, packet);
  gro_.merge(burst_);
  EXPECT_EQ(burst_.size(), 3U) << "off by default";
  Gro gro(GroOptions{.udp = true});
  gro.merge(burst_);
  ASSERT_EQ(burst_.size(), 1U);
  const Mbuf& frame = burst_[0];
  EXPECT_EQ(frame.packet_length(), 42U + 300);
  const TxOffload expected{.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = 100};
  EXPECT_EQ(frame.tx_offload(), expected);
  EXPECT_EQ(RxMetadata(frame).packet_type().bits, PacketType::ipv4 | PacketType::udp);
  EXPECT_EQ(packet::load16(frame.data() + 38), 308);
}

TEST_F(GroTest, WhichDatagramsAreMerged) {
  struct Case {
    const char* what;
    std::size_t bytes;  // of the second datagram; the first has 100
    void (*change)(PacketBytes&);
    std::uint32_t frames;  // of three
  };
  const auto nothing = [](PacketBytes&) {};
  for (const Case& one : {
           Case{"a shorter one ends the flow", 99, nothing, 2},
           Case{"a longer one starts another", 101, nothing, 2},
           Case{"no checksum", 100, [](PacketBytes& bytes) { packet::store16(&bytes[40], 0); }, 3},
           Case{"a wrong checksum", 100, [](PacketBytes& bytes) { bytes[40] ^= 1; }, 3},
           Case{"padding", 100, [](PacketBytes& bytes) { bytes.push_back(0); }, 3},
       }) {
    Gro gro(GroOptions{.udp = true});
    Packet packet{.udp = true, .payload = PacketBytes(100)};
    put(burst_, packet.bytes());
    ++packet.id;
    packet.payload.resize(one.bytes);
    PacketBytes second = packet.bytes();
    one.change(second);
    put(burst_, second);
    if (packet::load16(&second[40]) == 0) {
      // Nothing is wrong with it.
      SoftwareRxMetadata{.ip_checksum = ChecksumStatus::good, .l4_checksum = ChecksumStatus::good}.attach_to(burst_[1]);
    }
    ++packet.id;
    packet.payload.resize(100);
    put(burst_, packet.bytes());
    gro.merge(burst_);
    // An identification is missing where the second passes.
    EXPECT_EQ(burst_.size(), one.frames) << one.what;
    burst_.drop(seen_, cache_);
  }
}

TEST_F(GroTest, AMergedFrameHasAtMost64Datagrams) {
  Gro gro(GroOptions{.udp = true});
  put_flow(burst_, 40, {.udp = true});
  gro.receive(burst_);
  put_flow(burst_, 40, {.udp = true, .id = 47});
  gro.receive(burst_);
  ASSERT_EQ(burst_.size(), 1U);
  EXPECT_EQ(burst_[0].segments(), 64U);
  EXPECT_EQ(gro.held(), 1U);
  gro.flush(burst_);
}

TEST_F(GroTest, TcpInVxlanIsMergedIfAsked) {
  for (const bool has_checksum : {false, true}) {
    Packet outer;
    Packet inner{.ipv6 = true, .payload = PacketBytes(100)};
    for (int i = 0; i < 3; ++i) {
      put(burst_, in_vxlan(outer, inner.bytes(), has_checksum));
      ++outer.id;
      inner.sequence += 100;
    }
    gro_.merge(burst_);
    EXPECT_EQ(burst_.size(), 3U) << "off by default";
    Gro gro(GroOptions{.vxlan_port = GroOptions::kVxlanPort});
    gro.merge(burst_);
    ASSERT_EQ(burst_.size(), 1U);
    const Mbuf& frame = burst_[0];
    EXPECT_EQ(frame.packet_length(), 50U + 74 + 300);
    const TxOffload expected{.flags = TxOffload::tcp_segmentation,
                             .l2 = 30,
                             .l3 = 40,
                             .outer_l2 = 14,
                             .outer_l3 = 20,
                             .l4 = 20,
                             .segment_size = 100};
    EXPECT_EQ(frame.tx_offload(), expected);
    EXPECT_EQ(packet::load16(frame.data() + 16), 36 + 74 + 300);
    EXPECT_EQ(packet::internet_checksum(frame.bytes().subspan(14, 20)), 0);
    EXPECT_EQ(packet::load16(frame.data() + 38), 16 + 74 + 300);
    EXPECT_EQ(packet::load16(frame.data() + 40) != 0, has_checksum);
    EXPECT_EQ(packet::load16(frame.data() + 64 + 4), 320);
    burst_.drop(seen_, cache_);
  }
}

TEST_F(GroTest, TunnelsDistinguishFlows) {
  const Packet inner{.payload = PacketBytes(100)};
  PacketBytes second = in_vxlan({.id = 8}, Packet{.id = 8, .sequence = 1100, .payload = inner.payload}.bytes(), false);
  // An outer address, the source port, the network and an inner Ethernet address.
  for (const std::size_t at : {29U, 35U, 48U, 55U}) {
    Gro gro(GroOptions{.vxlan_port = GroOptions::kVxlanPort});
    put(burst_, in_vxlan({}, inner.bytes(), false));
    PacketBytes changed = second;
    changed[at] ^= 1;
    if (at < 34) packet::store16(&changed[24], packet::updated_checksum(packet::load16(&changed[24]), 0, 1));
    put(burst_, changed);
    put(burst_, second);
    gro.merge(burst_);
    ASSERT_EQ(burst_.size(), 2U) << at;
    EXPECT_EQ(bytes_of(burst_[1]), changed) << at;
    burst_.drop(seen_, cache_);
  }
}

/// Segments of two flows of which some differ in one byte of their headers; the port knows their checksums to be good.
std::vector<PacketBytes> segments_with_deviations(std::mt19937& random) {
  std::array<Packet, 2> senders;
  for (Packet& sender : senders) {
    sender = {.ipv6 = random() % 2 == 0, .udp = random() % 2 == 0, .payload = PacketBytes(100)};
    sender.vlan = static_cast<std::uint16_t>(random() % 2 == 0 ? 0 : 7);
    sender.id = static_cast<std::uint16_t>(random());
    sender.sequence = static_cast<std::uint32_t>(random());
    sender.source_port = static_cast<std::uint16_t>(random());
  }
  const unsigned fixed_id = random() % 2;
  std::vector<PacketBytes> frames;
  while (frames.size() < 40) {
    Packet& sender = senders[random() % 8 == 0];
    frames.push_back(sender.bytes());
    if (sender.udp && random() % 16 == 0) packet::store16(&frames.back()[sender.l4() + 6], 0);
    if (random() % 12 == 0) frames.back()[random() % sender.headers()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    sender.sequence += 100;
    sender.id = static_cast<std::uint16_t>(sender.id + fixed_id);
  }
  return frames;
}

TEST_F(GroTest, TheFastPathMergesWhatTheSlowOneDoes) {
  std::mt19937 random(5);
  std::uint64_t merged = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto frames = segments_with_deviations(random);
    // Frames in two mbufs take the slow path.
    std::vector<std::vector<PacketBytes>> results;
    std::vector<std::vector<TxOffload>> requests;
    for (const std::size_t part : {std::size_t{2000}, std::size_t{110}}) {
      for (const PacketBytes& bytes : frames) {
        MbufPtr frame = mbuf_of(bytes, part);
        SoftwareRxMetadata{.ip_checksum = ChecksumStatus::good, .l4_checksum = ChecksumStatus::good}.attach_to(*frame);
        ASSERT_TRUE(burst_.push(frame));
      }
      Gro gro(GroOptions{.udp = true});
      gro.merge(burst_);
      merged += gro.stats().merged;
      std::vector<PacketBytes>& result = results.emplace_back();
      std::vector<TxOffload>& asked = requests.emplace_back();
      for (const Mbuf& frame : burst_) result.push_back(bytes_of(frame));
      for (const Mbuf& frame : burst_) asked.push_back(frame.tx_offload());
      burst_.drop(seen_, cache_);
    }
    ASSERT_EQ(results[0], results[1]) << i;
    ASSERT_EQ(requests[0], requests[1]) << i;
  }
  EXPECT_GT(merged, 80'000U);
}

TEST_F(GroTest, HeldFramesReturnToTheirPool) {
  Gro other;
  put_flow(burst_, 2);
  other.receive(burst_);
  other = Gro();
  EXPECT_EQ(pool_.stats().in_use(), 0U);
  EXPECT_EQ(pool_.stats().unnamed_drops, 1U);
}

}  // namespace
}  // namespace pollux::test
