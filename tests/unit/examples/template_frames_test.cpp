// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/template_frames.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "pollux/net/packet/builder.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "support/routed_frames.hpp"
#include "unit/examples/fixture.hpp"

namespace pollux::tools {
namespace {

using examples::Fixture;

using testing::HasSubstr;

constexpr std::array<std::uint8_t, 21> kPayload{1, 2, 3, 4, 5, 6, 7, 8, 9};
constexpr packet::Ipv6Address kHere{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

RecordedFrame made(const std::function<void(packet::Builder&)>& headers) {
  std::vector<std::uint8_t> memory(200);
  packet::Builder builder(memory);
  headers(builder);
  const auto bytes = builder.payload(kPayload).finish();
  EXPECT_TRUE(bytes) << bytes.error().message();
  return {{bytes->begin(), bytes->end()}, Duration(0)};
}
RecordedFrame udp4() {
  return made([](packet::Builder& frame) {
    frame.ethernet({})
        .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
        .udp({.source_port = 1, .destination_port = 2});
  });
}
RecordedFrame tcp6() {
  return made([](packet::Builder& frame) {
    frame.ethernet({}).ipv6({.source = kHere, .destination = kHere}).tcp({.source_port = 1, .destination_port = 2});
  });
}
RecordedFrame tagged_tcp4() {
  return made([](packet::Builder& frame) {
    frame.ethernet({})
        .vlan({.id = 7, .priority = 5})
        .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
        .tcp({.source_port = 1, .destination_port = 2});
  });
}

/// The sum that the checksum of a frame's layer 4 completes.
packet::InternetSum sum_of(std::span<const std::uint8_t> frame) {
  const packet::Layout layout = packet::parse(frame);
  const bool is_ipv4 = layout.type.has(PacketType::ipv4);
  packet::InternetSum sum;  // RFC 9293, 3.1: the pseudo header has the same sum in both versions of IP
  sum.add(frame.subspan(layout.l3 + (is_ipv4 ? 12U : 8U), is_ipv4 ? 8 : 32));
  sum.add(std::uint32_t{layout.protocol} + layout.end - layout.l4);
  sum.add(frame.subspan(layout.l4, layout.end - layout.l4));
  return sum;
}

/// Whether the checksums of a frame's headers are correct.
bool is_good(std::span<const std::uint8_t> frame) {
  const packet::Layout layout = packet::parse(frame);
  packet::InternetSum header;
  if (layout.type.has(PacketType::ipv4)) header.add(frame.subspan(layout.l3, layout.l3_length()));
  return (layout.type.has(PacketType::ipv6) || header.is_good()) && sum_of(frame).is_good();
}

/// The frame with another protocol, the checksum of which is at `offset`.
RecordedFrame with_protocol(RecordedFrame frame, std::uint8_t protocol, std::size_t offset) {
  const packet::Layout layout = packet::parse(frame.bytes);
  const bool is_ipv4 = layout.type.has(PacketType::ipv4);
  frame.bytes[layout.l3 + (is_ipv4 ? 9U : 6U)] = protocol;
  if (is_ipv4) {
    std::uint8_t* const sum = &frame.bytes[layout.l3 + 10U];
    packet::store16(sum, 0);
    packet::store16(sum, packet::internet_checksum(std::span(frame.bytes).subspan(layout.l3, layout.l3_length())));
  }
  packet::store16(&frame.bytes[layout.l4 + offset], 0);
  packet::store16(&frame.bytes[layout.l4 + offset], sum_of(frame.bytes).checksum());
  return frame;
}
/// The frame as the first fragment of a packet, with only `payload` bytes of it; the checksum is that of the packet.
RecordedFrame first_fragment(RecordedFrame frame, std::uint16_t payload) {
  frame.bytes.resize(34U + payload);
  packet::store16(&frame.bytes[16], 20U + payload);
  frame.bytes[20] = 0x20;  // more fragments
  packet::store16(&frame.bytes[24], 0);
  packet::store16(&frame.bytes[24], packet::internet_checksum(std::span(frame.bytes).subspan(14, 20)));
  return frame;
}

class Templates : public testing::Test {
 protected:
  static Result<std::unique_ptr<FrameSource>> create(std::vector<RecordedFrame> frames,
                                                     const std::vector<FieldRange>& ranges,
                                                     const TemplateFrames::Part& part = {}) {
    return TemplateFrames::create(std::make_shared<const std::vector<RecordedFrame>>(std::move(frames)), ranges, part);
  }
  std::unique_ptr<FrameSource> source(std::vector<RecordedFrame> frames, const std::vector<const char*>& ranges,
                                      const TemplateFrames::Part& part = {}) {
    std::vector<FieldRange> parsed;
    for (const char* const text : ranges) {
      auto range = parse_field_range(text);
      EXPECT_TRUE(range) << range.error().message();
      if (range) parsed.push_back(*range);
    }
    auto created = create(std::move(frames), parsed, part);
    EXPECT_TRUE(created) << created.error().message();
    return created ? *std::move(created) : nullptr;
  }
  std::vector<std::uint8_t> next(FrameSource& frames) {
    const MbufPtr mbuf = fixture_.cache().allocate();
    const std::uint32_t length = frames.next_length();
    EXPECT_TRUE(frames.build(*mbuf, fixture_.cache()));
    EXPECT_EQ(mbuf->packet_length(), length);
    std::vector<std::uint8_t> bytes(length);
    EXPECT_EQ(mbuf->copy_out(0, bytes), length);
    return bytes;
  }

  Fixture fixture_{0};
};

TEST_F(Templates, WithoutRangesAreSentUnchangedInTurn) {
  const auto frames = source({udp4(), tcp6()}, {});
  for (const RecordedFrame& expected : {udp4(), tcp6(), udp4()}) EXPECT_EQ(next(*frames), expected.bytes);
}

TEST_F(Templates, OfSeveralQueuesShareTheFramesOfTheFile) {
  const auto frames = std::make_shared<const std::vector<RecordedFrame>>(std::vector{udp4()});
  std::vector<std::unique_ptr<FrameSource>> sources;
  for (std::uint32_t queue = 0; queue < 4; ++queue)
    sources.push_back(*TemplateFrames::create(frames, {}, {.queue = queue, .queues = 4}));
  EXPECT_EQ(frames.use_count(), 5);
  const auto varied = TemplateFrames::create(frames, {*parse_field_range("ip.src=1.1.1.1-1.1.1.2")}, {});
  EXPECT_NE(next(**varied), udp4().bytes);
  EXPECT_EQ(next(*sources[0]), udp4().bytes) << "a queue that varies frames has its own";
}

TEST_F(Templates, GetEachValueInTurnWithGoodChecksums) {
  const auto frames = source({udp4()}, {"ip.src=10.0.255.254-10.1.0.1", "udp.dstport=7-11/2", "ip.id=65534-65535"});
  const std::array<std::uint32_t, 4> sources{0x0A00FFFE, 0x0A00FFFF, 0x0A010000, 0x0A010001};
  const std::array<std::uint16_t, 3> ports{7, 9, 11};
  for (std::size_t n = 0; n < 25; ++n) {
    const std::vector<std::uint8_t> frame = next(*frames);
    EXPECT_EQ(packet::load32(&frame[26]), sources[n % 4]);
    EXPECT_EQ(packet::load16(&frame[36]), ports[n % 3]);
    EXPECT_EQ(packet::load16(&frame[18]), 65534 + n % 2);
    EXPECT_TRUE(is_good(frame)) << n;
  }
}

TEST_F(Templates, OfIpv6HaveVariedAddressesAndPorts) {
  const auto frames = source({tcp6()}, {"ipv6.src=2001:db8:1::ffff-2001:db8:1::1:0", "ipv6.dst=::1-::2",
                                        "tcp.srcport=0-65535", "tcp.dstport=80-80"});
  for (std::uint16_t n = 0; n < 6; ++n) {
    const std::vector<std::uint8_t> frame = next(*frames);
    EXPECT_EQ(packet::load32(&frame[26]), 0x0001'0000U) << "the upper half is the range's, too";
    EXPECT_EQ(packet::load32(&frame[34]), n % 2 == 0 ? 0x0000'FFFFU : 0x0001'0000U);
    EXPECT_EQ(packet::load32(&frame[50]), 1U + n % 2);
    EXPECT_EQ(packet::load16(&frame[54]), n);
    EXPECT_EQ(packet::load16(&frame[56]), 80U);
    EXPECT_TRUE(is_good(frame)) << n;
  }
}

TEST_F(Templates, KeepThePriorityOfATagAndVaryMacAddresses) {
  const auto frames = source({tagged_tcp4()}, {"vlan.id=4094-4095", "eth.src=02:00:00:00:ff:ff-02:00:00:01:00:00"});
  for (std::uint32_t n = 0; n < 3; ++n) {
    const std::vector<std::uint8_t> frame = next(*frames);
    EXPECT_EQ(packet::load16(&frame[14]), 5U << 13 | (4094 + n % 2));
    EXPECT_EQ(packet::load16(&frame[6]), 0x0200);
    EXPECT_EQ(packet::load32(&frame[8]), n % 2 == 0 ? 0x0000'FFFFU : 0x0001'0000U);
    EXPECT_TRUE(is_good(frame));
  }
}

TEST_F(Templates, HaveGoodChecksumsOfEveryProtocolThatCoversAddresses) {
  constexpr std::uint8_t kDccp = 33;
  constexpr std::uint8_t kUdpLite = 136;
  const auto ipv4 = source({with_protocol(udp4(), kDccp, 6), with_protocol(udp4(), kUdpLite, 6)},
                           {"ip.src=10.0.0.1-10.0.0.9", "ip.dst=10.1.0.1-10.1.0.7"});
  const auto ipv6 = source({with_protocol(tcp6(), packet::ip_protocol::kIcmpv6, 2), with_protocol(tcp6(), kDccp, 6),
                            with_protocol(tcp6(), kUdpLite, 6)},
                           {"ipv6.src=2001::1-2001::9", "ipv6.dst=2001:1::1-2001:1::7"});
  for (int n = 0; n < 60; ++n) {
    EXPECT_TRUE(is_good(next(*ipv4))) << n;
    EXPECT_TRUE(is_good(next(*ipv6))) << n;
  }
}

TEST_F(Templates, OfAFirstFragmentHaveTheChecksumOfThePacket) {
  for (const auto& [packet, at] : {std::pair(udp4(), 40U), std::pair(with_protocol(udp4(), 6, 16), 50U)}) {
    const auto whole = source({packet}, {"ip.src=10.0.0.1-10.0.0.9"});
    const auto part = source({first_fragment(packet, 24)}, {"ip.src=10.0.0.1-10.0.0.9"});
    for (int n = 0; n < 9; ++n) EXPECT_EQ(packet::load16(&next(*part)[at]), packet::load16(&next(*whole)[at])) << n;
  }
}

/// Whether the checksum of a routed frame is right, for the addresses of `changed`.
bool is_good(const test::RoutedFrame& routed, std::span<const std::uint8_t> changed) {
  const auto places = packet::pseudo_header_places(routed.bytes, packet::parse(routed.bytes));
  if (!places) return false;
  const std::uint32_t length = routed.is_tcp ? static_cast<std::uint32_t>(changed.size() - routed.l4())
                                             : packet::load16(&changed[routed.l4() + 4]);
  packet::InternetSum sum;
  sum.add(changed.subspan(places->source, places->bytes));
  sum.add(changed.subspan(places->destination, places->bytes));
  sum.add((routed.is_tcp ? 6U : 17U) + length);
  sum.add(changed.subspan(routed.l4(), length));
  return sum.is_good();
}

TEST_F(Templates, OnARouteHaveTheChecksumOfItsEnd) {
  for (const test::RoutedFrame& routed : test::routed_frames()) {
    const bool is_ipv4 = routed.bytes[12] == 0x08;
    const char* const port = routed.is_tcp ? "tcp.dstport=1-9" : "udp.dstport=1-9";
    const auto frames = source({{routed.bytes, Duration(0)}},
                               {is_ipv4 ? "ip.src=10.1.0.1-10.1.0.9" : "ipv6.src=2001::1-2001::9",
                                is_ipv4 ? "ip.dst=10.2.0.1-10.2.0.9" : "ipv6.dst=2001:1::1-2001:1::9", port});
    for (int n = 0; n < 3; ++n) {
      const auto frame = next(*frames);
      EXPECT_NE(frame, routed.bytes);
      EXPECT_TRUE(is_good(routed, frame)) << routed.name;
    }
  }
  auto unknown = test::routed_frames().front();
  unknown.bytes[14 + 42] = 3;  // another type of routing header
  EXPECT_FALSE(create({{unknown.bytes, Duration(0)}}, {*parse_field_range("ipv6.dst=::1-::2")}));
  EXPECT_TRUE(create({{unknown.bytes, Duration(0)}}, {*parse_field_range("tcp.dstport=1-2")}))
      << "a port is covered, whatever the addresses are";
}

TEST_F(Templates, WithAChecksumOfAddressesThatCannotBeAdjustedAreRejected) {
  const RecordedFrame cut = first_fragment(with_protocol(udp4(), 6, 16), 16);
  const struct {
    RecordedFrame frame;
    const char* range;
    const char* other;
  } cases[] = {
      {with_protocol(udp4(), 51, 6), "ip.src=1.1.1.1-1.1.1.2", "eth.src=02:00:00:00:00:01-02:00:00:00:00:02"},
      {with_protocol(udp4(), 112, 6), "ip.dst=1.1.1.1-1.1.1.2", "ip.id=1-2"},
      {with_protocol(tcp6(), 89, 12), "ipv6.src=::1-::2", "eth.src=02:00:00:00:00:01-02:00:00:00:00:02"},
      {with_protocol(tcp6(), 140, 12), "ipv6.src=::1-::2", "eth.src=02:00:00:00:00:01-02:00:00:00:00:02"},
      {cut, "ip.src=1.1.1.1-1.1.1.2", "ip.id=1-2"},
  };
  for (const auto& one : cases) {
    const auto rejected = create({one.frame}, {*parse_field_range(one.range)});
    ASSERT_FALSE(rejected) << one.range;
    EXPECT_THAT(rejected.error().message(), HasSubstr("frame 1 of the template has a checksum"));
    EXPECT_TRUE(create({one.frame}, {*parse_field_range(one.other)})) << one.range;
  }
  for (const std::uint8_t protocol : {std::uint8_t{89}, std::uint8_t{103}}) {
    EXPECT_TRUE(create({with_protocol(udp4(), protocol, 6)}, {*parse_field_range("ip.src=1.1.1.1-1.1.1.2")}))
        << "in IPv4 its checksum does not cover addresses";
  }
}

TEST_F(Templates, LeaveWrongChecksumsWrongAndMissingOnesMissing) {
  RecordedFrame wrong = tagged_tcp4();
  wrong.bytes[18 + 10] ^= 0x40;  // of IPv4
  RecordedFrame none = udp4();
  packet::store16(&none.bytes[34 + 6], 0);
  const auto first = source({wrong}, {"ip.dst=1.2.3.4-1.2.3.9"});
  const auto second = source({none}, {"udp.srcport=1-9"});
  for (int n = 0; n < 3; ++n) {
    EXPECT_FALSE(is_good(next(*first)));
    EXPECT_EQ(packet::load16(&next(*second)[34 + 6]), 0U);
  }
}

TEST_F(Templates, AreSharedByQueuesFrameByFrame) {
  const auto even = source({udp4(), udp4()}, {"udp.srcport=100-199"}, {.queue = 0, .queues = 3});
  const auto odd = source({udp4(), udp4()}, {"udp.srcport=100-199"}, {.queue = 2, .queues = 3});
  // Frames 0, 3, 6 and 2, 5, 8, of which two have each value.
  for (const unsigned port : {100U, 101U, 103U}) EXPECT_EQ(packet::load16(&next(*even)[34]), port);
  for (const unsigned port : {101U, 102U, 104U}) EXPECT_EQ(packet::load16(&next(*odd)[34]), port);
}

TEST_F(Templates, WithoutAVariedFieldAreRejectedByTheirNumber) {
  for (const char* const text : {"vlan.id=1-2", "tcp.srcport=1-2", "ipv6.src=::1-::2"}) {
    const auto rejected = create({udp4()}, {*parse_field_range(text)});
    ASSERT_FALSE(rejected) << text;
    EXPECT_THAT(rejected.error().message(), HasSubstr("frame 1 of the template has no"));
  }
  const auto second = create({tagged_tcp4(), udp4()}, {*parse_field_range("vlan.id=1-2")});
  EXPECT_THAT(second.error().message(), HasSubstr("frame 2 of the template has no vlan.id"));
}

TEST(FieldRange, ThatMakesNoSenseIsRejected) {
  for (const char* const text :
       {"", "ip.src", "ip.src=", "ip.src=1.2.3.4", "ip.src=1.2.3.4-1.2.3.3", "ip.src=1.2.3.4-1.2.3.9/0",
        "ip.src=1.2.3-1.2.3.4", "ip.source=1.2.3.4-1.2.3.5", "udp.srcport=1-65536", "vlan.id=1-4096",
        "udp.srcport=-1-2", "udp.srcport=1-2/", "udp.srcport=1-2/x", "eth.src=02:00-02:01", "ipv6.src=1::1-2::1",
        "ipv6.src=::0-::ffff:ffff:ffff:ffff", "udp.srcport=1/2-3"}) {
    const auto range = parse_field_range(text);
    ASSERT_FALSE(range) << text;
    EXPECT_EQ(range.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(range.error().message(), HasSubstr("FIRST-LAST")) << text;
  }
}

}  // namespace
}  // namespace pollux::tools
