// SPDX-License-Identifier: BSD-3-Clause
// Requests for packets with all kinds of headers. Whatever a card reads, each packet arrives right, or its request is
// refused by name. The expected packets are made without the library.
#include <array>

#include "conformance/fixture.hpp"
#include "support/header_shapes.hpp"

namespace pollux::conformance {
namespace {

using test::HeaderShape;
using test::ShapePacket;
using test::ShapeTransport;

constexpr std::uint16_t kSegmentSize = 300;
constexpr std::uint32_t kTag = TxOffload::insert_vlan;
constexpr std::uint32_t kBothTags = kTag | TxOffload::insert_outer_vlan;
constexpr std::uint8_t kAckEceCwr = 0x10 | 0x40 | 0x80;  // QEMU's card clears FIN and PSH in each segment

class HeaderShapes : public Conformance {
 protected:
  [[nodiscard]] static Bytes payload_of(std::size_t bytes) {
    Bytes payload(bytes);
    for (std::size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    return payload;
  }
  [[nodiscard]] static TxOffload request_for(const HeaderShape& shape, std::uint32_t flags) {
    TxOffload request{.flags = flags, .l2 = shape.l2, .l3 = shape.l3};
    if ((flags & kTag) != 0) request.vlan = 0x6007;
    if ((flags & TxOffload::insert_outer_vlan) != 0) request.outer_vlan = 9;
    return request;
  }
  [[nodiscard]] static Bytes with_tags(Bytes frame, std::uint32_t flags) {
    if ((flags & kTag) != 0) frame = test::with_tag(std::move(frame), 0x8100, 0x6007);
    if ((flags & TxOffload::insert_outer_vlan) != 0) frame = test::with_tag(std::move(frame), 0x88A8, 9);
    return frame;
  }
  /// Sends the frame, segmented by the port or in software, and expects these frames on the other port.
  void expect_sent(MbufPtr mbuf, const std::vector<Bytes>& expected, const std::string& what) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    SegmentingTx sender(left().tx(0), left().offloads(), *cache_);
    ASSERT_EQ(sender.send(burst), 1U) << what;
    std::vector<Bytes> arrived;
    const auto all = wait_until(context_->clock(), "the arrival of a packet", std::chrono::seconds(10), [&] {
      Burst<32> frames;
      if (right().rx(0).rx_burst(frames) == 0) pass_time();
      for (Mbuf& frame : frames) {
        EXPECT_EQ(complete_checksums(frame), ChecksumCompletion::complete) << what;
        arrived.push_back(content(frame));
      }
      return arrived.size() >= expected.size();
    });
    EXPECT_TRUE(all) << what;
    ASSERT_EQ(arrived, expected) << what;
    EXPECT_EQ(sender.bad_requests().value() + sender.no_memory().value(), 0U) << what;
  }
  void expect_checksums(const HeaderShape& shape, const ShapePacket& packet, std::uint32_t tags, std::size_t bytes) {
    const std::uint32_t ip = shape.is_ipv4() ? std::uint32_t{TxOffload::ipv4_checksum} : 0U;
    const TxOffload request = request_for(shape, packet.checksum_flag() | ip | tags);
    const std::string what = shape.name + ", transport " + std::to_string(static_cast<int>(packet.transport)) +
                             ", flags " + std::to_string(request.flags);
    const Bytes payload = payload_of(bytes);
    MbufPtr mbuf = make_mbuf(packet.unsummed(shape, payload, request));
    ASSERT_EQ(request_checksums(*mbuf, request), shape.has_checksum) << what;
    if (shape.has_checksum) expect_sent(std::move(mbuf), {with_tags(packet.bytes(shape, payload), tags)}, what);
  }
  void expect_segments(const HeaderShape& shape, const ShapePacket& packet, std::uint32_t tags) {
    const bool is_tcp = packet.transport == ShapeTransport::tcp;
    TxOffload request =
        request_for(shape, tags | std::uint32_t{is_tcp ? TxOffload::tcp_segmentation : TxOffload::udp_segmentation});
    request.l4 = packet.l4();
    request.segment_size = kSegmentSize;
    const std::string what = shape.name + (is_tcp ? ", TCP" : ", UDP") + ", flags " + std::to_string(request.flags);
    const Bytes payload = payload_of(1000);
    MbufPtr mbuf = make_mbuf(packet.unsummed(shape, payload, request));
    ASSERT_EQ(request_checksums(*mbuf, request), shape.has_checksum) << what;
    if (!shape.can_be_segmented) return expect_refused(std::move(mbuf), request, what);
    std::vector<Bytes> expected = packet.segments(shape, payload, kSegmentSize);
    for (Bytes& frame : expected) frame = with_tags(std::move(frame), tags);
    expect_sent(std::move(mbuf), expected, what);
  }
  /// Also by a port to which the program sends it all the same.
  void expect_refused(MbufPtr mbuf, const TxOffload& request, const std::string& what) {
    mbuf->set_tx_offload(request);
    EXPECT_FALSE(port_segments(left().offloads(), *mbuf)) << what;
    MbufPtr copy = make_mbuf(content(*mbuf));
    copy->set_tx_offload(request);
    const std::uint64_t before = dropped(left(), "tx_");
    Burst<1> burst;
    ASSERT_TRUE(burst.push(copy));
    ASSERT_EQ(left().tx(0).tx_burst(burst), 1U);
    settle(left());
    EXPECT_EQ(dropped(left(), "tx_"), before + 1) << what;
    SegmentingTx sender(left().tx(0), left().offloads(), *cache_);
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(sender.send(burst), 1U);
    EXPECT_EQ(sender.bad_requests().value(), 1U) << what;
  }
};

CONFORMANCE_TEST_WHERE(HeaderShapes, GetTheChecksumsThatTheyRequest,
                       traits.delivers && !traits.by_file && !traits.needs_relay && traits.promiscuous) {
  start_both();
  // Packets with the same request follow each other, and the queue has seen it before.
  for (const std::size_t bytes : {std::size_t{64}, std::size_t{301}}) {
    for (const ShapeTransport transport : test::kShapeTransports) {
      for (const HeaderShape& shape : test::header_shapes()) {
        ASSERT_NO_FATAL_FAILURE(expect_checksums(shape, {.transport = transport}, 0, bytes));
        if (transport != ShapeTransport::udp) continue;
        ASSERT_NO_FATAL_FAILURE(expect_checksums(shape, {.transport = transport, .surplus = 9}, 0, bytes));
      }
    }
  }
  settle(left());
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

CONFORMANCE_TEST_WHERE(HeaderShapes, GetTheSegmentsThatTheyRequest,
                       traits.delivers && !traits.by_file && !traits.needs_relay && traits.promiscuous) {
  start_both();
  for (const ShapeTransport transport : {ShapeTransport::tcp, ShapeTransport::udp}) {
    for (const HeaderShape& shape : test::header_shapes()) {
      ASSERT_NO_FATAL_FAILURE(
          expect_segments(shape, {.transport = transport, .identification = 0xFFFF, .tcp_flags = kAckEceCwr}, 0));
    }
  }
}

// By software, and by a card that strips tags.
CONFORMANCE_TEST_WHERE(HeaderShapes, GetTheTagsThatTheyRequest, traits.card_receive) {
  start_both();
  for (const bool by_card : {false, true}) {
    ASSERT_TRUE(left().change([&](pollux::Settings& settings) { settings.vlan_stripping = by_card; }));
    for (const std::uint32_t tags : {kTag, kBothTags}) {
      for (const HeaderShape& shape : test::header_shapes()) {
        if (!shape.has_checksum) continue;
        ASSERT_NO_FATAL_FAILURE(expect_checksums(shape, {.transport = ShapeTransport::udp}, tags, 70));
        if (!shape.can_be_segmented) continue;
        ASSERT_NO_FATAL_FAILURE(expect_segments(shape, {}, tags));
      }
    }
  }
  settle(left());
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

// QEMU's card makes IP fragments of a long UDP packet, so its port offers nothing of the kind.
CONFORMANCE_TEST_WHERE(HeaderShapes, UdpSegmentationIsOfferedByPortsThatHaveIt, traits.card_receive) {
  const bool is_qemus = left().info().missed_count == MissedCount::lower_bound;
  EXPECT_EQ((left().offloads().tx_flags & TxOffload::udp_segmentation) != 0, !is_qemus);
}

}  // namespace
}  // namespace pollux::conformance
