// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <random>

#include "pollux/net/checksum_offload.hpp"
#include "pollux/runtime/gro.hpp"
#include "pollux/runtime/gso.hpp"
#include "tcp_frames.hpp"

namespace pollux::test {

/// Makes frames that request segmentation, and segments them.
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

}  // namespace pollux::test
