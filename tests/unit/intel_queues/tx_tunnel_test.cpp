// SPDX-License-Identifier: BSD-3-Clause
// What a transmit queue asks the card to do for TCP packets in tunnels. tests/interop compares what is sent with scapy.
#include "pollux/net/packet/sums.hpp"
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;

constexpr std::uint16_t kVxlan = 8 + 8 + 14;
constexpr std::uint16_t kSize = 100;
constexpr TxOffload kInVxlan{.flags = TxOffload::tcp_segmentation,
                             .l2 = kVxlan,
                             .l3 = 20,
                             .outer_l2 = 14,
                             .outer_l3 = 20,
                             .l4 = 20,
                             .segment_size = kSize};
// Offsets in a packet in VXLAN over IPv4.
constexpr std::size_t kOuterIp = 14;
constexpr std::size_t kUdp = 34;
constexpr std::size_t kInnerIp = 64;
constexpr std::size_t kHeaders = 104;

class TxTunnelTest : public TxOffloadTest {
 protected:
  using Packet = std::vector<std::uint8_t>;

  [[nodiscard]] static Packet inner(std::size_t payload) {
    const Packet data(payload, 0x5A);
    return built([&](packet::Builder& to) { to.ipv4({.source = {10, 0, 0, 1}}).tcp({}).payload(data); });
  }
  /// A TCP packet in VXLAN, with a checksum in the tunnel's header.
  [[nodiscard]] static Packet in_vxlan(std::size_t payload) {
    Packet tunnel{0x08, 0, 0, 0, 0, 0, 42, 0};
    const Packet packet = inner(payload);
    tunnel.insert(tunnel.end(), packet.begin(), packet.end());
    return built([&](packet::Builder& to) {
      to.ipv4({.identification = 5, .source = {192, 0, 2, 1}}).udp({.destination_port = 4789}).payload(tunnel);
    });
  }
  /// A TCP packet in Geneve (RFC 8926), with `options` bytes of options.
  [[nodiscard]] static Packet in_geneve(std::size_t payload, unsigned options) {
    Packet tunnel{static_cast<std::uint8_t>(options / 4), 0, 0x65, 0x58, 0, 0, 42, 0};
    if (options != 0) tunnel.insert(tunnel.end(), {0x01, 0x02, 0x80, static_cast<std::uint8_t>(options / 4 - 1)});
    for (unsigned i = 4; i < options; ++i) tunnel.push_back(static_cast<std::uint8_t>(i * 37));
    const Packet packet = inner(payload);
    tunnel.insert(tunnel.end(), packet.begin(), packet.end());
    return built([&](packet::Builder& to) {
      to.ipv4({.identification = 5, .source = {192, 0, 2, 1}}).udp({.destination_port = 6081}).payload(tunnel);
    });
  }
  [[nodiscard]] static Packet in_gre(std::uint8_t flags) {
    Packet tunnel{flags, 0, 0x08, 0};
    if ((flags & 0x80) != 0) tunnel.resize(8);
    const Packet packet = inner(4 * kSize);
    tunnel.insert(tunnel.end(), packet.begin() + 14, packet.end());
    return built([&](packet::Builder& to) { to.ipv4({.protocol = 47}).payload(tunnel); });
  }
  [[nodiscard]] static std::uint32_t at16(const Packet& bytes, std::size_t at) {
    return std::uint32_t{bytes[at]} << 8 | bytes[at + 1];
  }
  /// Sends the packet. The bytes that the card gets, or none if it was dropped.
  Packet sent(const Packet& packet, const TxOffload& request, const std::vector<std::uint32_t>& sizes = {}) {
    MbufPtr frame = make(packet, sizes);
    if (!request_checksums(*frame, request)) frame->set_tx_offload(request);
    Mbuf* const raw = frame.get();
    const std::uint64_t dropped = drops().rejected();
    Burst<1> burst;
    EXPECT_TRUE(burst.push(frame));
    EXPECT_EQ(fixture_->tx.tx_burst(burst), 1u);
    if (drops().rejected() != dropped) return {};
    Packet bytes = content(*raw);  // the queue has it until the card has sent it
    fixture_->transmitter->expect(bytes);
    fixture_->look();
    process_all();
    return bytes;
  }
  void expect_bad(const Packet& packet, const TxOffload& request, const char* what) {
    const std::uint64_t before = drops().bad_offload;
    EXPECT_TRUE(sent(packet, request).empty()) << what;
    EXPECT_EQ(drops().bad_offload, before + 1) << what;
  }
};

TEST_F(TxTunnelTest, ItsHeadersAreThoseOfOneSegment) {
  use({.tunnels = true});
  const Packet bytes = sent(in_vxlan(4 * kSize), kInVxlan);
  ASSERT_FALSE(bytes.empty());
  ASSERT_EQ(card().requests().size(), 1u);
  EXPECT_EQ(card().requests()[0].flags, kBoth | tx::kSegment);
  EXPECT_EQ(
      tx::context(card().requests()[0].context),
      tx::context({.mac_length = 14, .ip_length = 20 + kVxlan + 20, .l4_length = 20, .mss = kSize, .kind = kTcp4Kind}));
  const std::uint32_t inner_bytes = 20 + 20 + kSize;
  EXPECT_EQ(at16(bytes, kOuterIp + 2), 0u) << "the card writes the outer length";
  EXPECT_EQ(at16(bytes, kUdp + 4), kVxlan + inner_bytes);
  EXPECT_EQ(at16(bytes, kInnerIp + 2), inner_bytes);
  const std::span<const std::uint8_t> all(bytes);
  packet::InternetSum ip;
  ip.add(all.subspan(kInnerIp, 20));
  EXPECT_TRUE(ip.is_good()) << "the inner header's checksum";
  // The card adds up everything from the outer IP header to the TCP header.
  packet::InternetSum cancelled;
  cancelled.add(at16(bytes, kOuterIp + 10));
  cancelled.add(all.subspan(kUdp, kInnerIp + 20 - kUdp));
  EXPECT_TRUE(cancelled.is_good());
  expect_all_freed();
}

TEST_F(TxTunnelTest, ATunnelWithoutChecksumsGetsNone) {
  use({.tunnels = true});
  Packet packet = in_vxlan(2 * kSize);
  packet[kUdp + 6] = packet[kUdp + 7] = 0;
  const Packet bytes = sent(packet, kInVxlan, {kHeaders, 50});
  ASSERT_FALSE(bytes.empty());
  EXPECT_EQ(at16(bytes, kUdp + 6), 0u);
  EXPECT_NE(at16(sent(in_vxlan(2 * kSize), kInVxlan), kUdp + 6), 0u);
  expect_all_freed();
}

// The options are a part of each segment's headers, as they are.
TEST_F(TxTunnelTest, OptionsOfGeneveLengthenTheHeaders) {
  use({.tunnels = true});
  for (const unsigned options : {0U, 4U, 12U, 252U}) {  // 252 is the most
    SCOPED_TRACE(options);
    TxOffload request = kInVxlan;
    request.l2 = static_cast<std::uint16_t>(8 + 8 + options + 14);
    const Packet packet = in_geneve(kSize, options);
    const Packet bytes = sent(packet, request);
    ASSERT_FALSE(bytes.empty());
    tx::Context context = card().requests().back().context;
    context.index = 0;
    EXPECT_EQ(tx::context(context), tx::context({.mac_length = 14,
                                                 .ip_length = static_cast<std::uint16_t>(20 + request.l2 + 20),
                                                 .l4_length = 20,
                                                 .mss = kSize,
                                                 .kind = kTcp4Kind}));
    EXPECT_EQ(at16(bytes, kUdp + 4), request.l2 + 20u + 20 + kSize);
    EXPECT_EQ(at16(bytes, kUdp + request.l2 + 2), 20u + 20 + kSize);
    EXPECT_TRUE(std::equal(bytes.begin() + kUdp + 8, bytes.begin() + kUdp + request.l2, packet.begin() + kUdp + 8))
        << "the header of Geneve and the inner Ethernet header";
    // A segment's UDP checksum is good: take the first one, and give its TCP header the checksum of one segment.
    Packet segment(bytes.begin(), bytes.begin() + kUdp + request.l2 + 20 + 20 + kSize);
    const std::size_t tcp = std::size_t{kUdp} + request.l2 + 20;
    packet::InternetSum transport;
    transport.add(20 + kSize);
    transport.add(std::span<const std::uint8_t>(segment).subspan(tcp));
    const std::uint16_t sum = transport.checksum();
    segment[tcp + 16] = static_cast<std::uint8_t>(sum >> 8);
    segment[tcp + 17] = static_cast<std::uint8_t>(sum);
    packet::InternetSum udp;
    udp.add(std::span<const std::uint8_t>(segment).subspan(kOuterIp + 12, 8));
    udp.add(17);
    udp.add(at16(segment, kUdp + 4));
    udp.add(std::span<const std::uint8_t>(segment).subspan(kUdp));
    EXPECT_TRUE(udp.is_good());
  }
  expect_all_freed();
}

TEST_F(TxTunnelTest, RequestsThatTheCardCannotFulfilAreDropped) {
  use({.tunnels = true, .max_frame = 300});
  const auto with = [](auto change) {
    TxOffload request = kInVxlan;
    change(request);
    return request;
  };
  const Packet good = in_vxlan(4 * kSize);
  expect_bad(in_vxlan(4 * kSize - 1), kInVxlan, "segments of different length");
  expect_bad(good, with([](TxOffload& to) { to.segment_size = 200; }), "segments that are too long");
  expect_bad(good, with([](TxOffload& to) { to.segment_size = 0; }), "segments of no bytes");
  expect_bad(good, with([](TxOffload& to) { to.l4 = 24; }), "another TCP header");
  expect_bad(good, with([](TxOffload& to) { to.outer_l2 = 18, to.l2 = kVxlan - 4; }), "no IP where it says");
  expect_bad(good, with([](TxOffload& to) { to.outer_l3 = 24, to.l2 = kVxlan - 4; }), "another outer IP header");
  expect_bad(good, with([](TxOffload& to) { to.flags |= TxOffload::udp_checksum; }), "two protocols");
  Packet changed = good;
  changed[kOuterIp + 6] = 0x20;
  expect_bad(changed, kInVxlan, "an outer fragment");
  changed = good;
  changed[kInnerIp + 9] = 17;
  expect_bad(changed, kInVxlan, "no TCP inside");
  changed = good;
  changed[kOuterIp + 9] = 132;
  expect_bad(changed, kInVxlan, "an unknown tunnel");
  const auto gre = [&](std::uint16_t l2) { return with([l2](TxOffload& to) { to.l2 = l2; }); };
  EXPECT_FALSE(sent(in_gre(0), gre(4)).empty());
  expect_bad(in_gre(0x80), gre(8), "GRE with a checksum, which differs between segments");
  EXPECT_EQ(card().requests().size(), 1u);
  expect_all_freed();
}

TEST_F(TxTunnelTest, NothingIsWrittenIntoSharedBytes) {
  use({.tunnels = true});
  MempoolCache cache(*fixture_->pool_handle);
  MbufPtr original = make(in_vxlan(2 * kSize));
  ASSERT_TRUE(request_checksums(*original, kInVxlan));
  const auto before = content(*original);
  MbufPtr clone = original->clone(cache);
  clone->set_tx_offload(kInVxlan);
  EXPECT_TRUE(send_and_expect(std::move(clone), {}));
  EXPECT_EQ(drops().shared_checksum, 1u);
  EXPECT_EQ(content(*original), before);
  original.reset();
  expect_all_freed();
}

TEST_F(TxTunnelTest, AFrameThatFindsNoRoomIsPreparedAgain) {
  use({.tx_ring = 8, .tunnels = true});
  const Packet wanted = sent(in_vxlan(4 * kSize), kInVxlan);
  static_cast<void>(fixture_->tx.tx_done_cleanup());
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(send(make(tcp4()), {}));
  MbufPtr frame = make(in_vxlan(4 * kSize));
  ASSERT_TRUE(request_checksums(*frame, kInVxlan));
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  for (int i = 0; i < 3; ++i) ASSERT_EQ(fixture_->tx.tx_burst(burst), 0u);
  process_all();
  fixture_->transmitter->expect(wanted);
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 1u);
  fixture_->look();
  expect_all_freed();
}

TEST_F(TxTunnelTest, OtherCardsSegmentNoTunnels) {
  use();
  expect_bad(in_vxlan(4 * kSize), kInVxlan, "QEMU's card");
}

}  // namespace
}  // namespace pollux::test
