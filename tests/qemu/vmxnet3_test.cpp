// SPDX-License-Identifier: BSD-3-Clause
// The vmxnet3 driver on QEMU's device, which others wrote.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "qemu/fixture.hpp"
#include "support/flows.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::Frame;
using test::QemuFixture;
using test::QemuPort;
using testing::ElementsAre;

std::string vmxnet3(unsigned number) { return std::to_string(number) + "?card=vmxnet3"; }

/// Two ports on a wire.
struct Vmxnet3Pair {
  explicit Vmxnet3Pair(QemuFixture& with)
      : fixture(with), left(with.start(vmxnet3(0))), right(with.start(vmxnet3(1))) {}

  /// Sends one frame as segments of at most `piece` bytes, with a request.
  void send(const Frame& frame, std::size_t piece = 1900, const TxOffload& request = {}) {
    MbufPtr first;
    for (std::size_t at = 0; at < frame.size(); at += piece) {
      MbufPtr next = fixture.cache.allocate();
      const std::size_t length = std::min(piece, frame.size() - at);
      std::memcpy(next->append(static_cast<std::uint32_t>(length)), frame.data() + at, length);
      if (first == nullptr) {
        first = std::move(next);
      } else {
        ASSERT_TRUE(first->chain(next));
      }
    }
    if (request.flags != 0) first->set_tx_offload(request);
    if ((request.flags & TxOffload::kChecksums) != 0) {
      ASSERT_TRUE(request_checksums(*first, request));
    }
    Burst<1> burst;
    ASSERT_TRUE(burst.push(first));
    ASSERT_EQ(left.port.tx(0).tx_burst(burst), 1u);
  }
  /// The next frame, of however many buffers. Its metadata go to `metadata`.
  Frame receive(std::vector<RxMetadata>* metadata = nullptr) {
    DropCounter seen("seen");
    Frame received;
    EXPECT_TRUE(test::eventually([&] {
      Burst<1> got;
      if (right.port.rx(0).rx_burst(got) == 0) return false;
      for (const Mbuf* segment = &got[0]; segment != nullptr; segment = segment->next()) {
        const auto* const from = reinterpret_cast<const std::byte*>(segment->data());
        received.insert(received.end(), from, from + segment->length());
      }
      if (metadata != nullptr) metadata->emplace_back(got[0]);
      got.drop(seen, fixture.cache);
      return true;
    }));
    return received;
  }

  QemuFixture& fixture;
  QemuPort left;
  QemuPort right;
};

/// A frame with a VLAN tag.
Frame with_tag(std::uint16_t tag, Frame frame) {
  const std::array<std::byte, 4> bytes{std::byte{0x81}, std::byte{0}, static_cast<std::byte>(tag >> 8),
                                       static_cast<std::byte>(tag & 0xFF)};
  frame.insert(frame.begin() + 12, bytes.begin(), bytes.end());
  return frame;
}

Frame addressed(const MacAddress& mac, std::uint32_t number) {
  Frame frame = test::numbered_frame(number, 60);
  std::memcpy(frame.data(), mac.data(), mac.size());
  return frame;
}

TEST(Vmxnet3, OpensWithItsNameAddressAndLink) {
  QemuFixture fixture;
  QemuPort opened = fixture.open(vmxnet3(0));
  const PortInfo& info = opened.port.info();
  EXPECT_EQ(info.driver, "vmxnet3");
  EXPECT_EQ(info.card, "VMware vmxnet3");
  EXPECT_EQ(opened.port.mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0}));
  EXPECT_EQ(info.limits.max_mtu, 9000u);
  EXPECT_TRUE(opened.port.link().up);
  EXPECT_EQ(opened.port.link().speed, 1000u);
}

TEST(Vmxnet3, FramesPassBothWaysAndAreCounted) {
  constexpr std::uint32_t kFrames = 3000;
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  fixture.exchange(pair.left.port, pair.right.port, kFrames);
  fixture.exchange(pair.right.port, pair.left.port, kFrames);
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < kFrames; ++i) bytes += 60 + i % 1455;
  for (Port* const port : {&pair.left.port, &pair.right.port}) {
    const Stats stats = port->stats();
    EXPECT_THAT((std::array{stats.rx_packets, stats.tx_packets, stats.rx_burst_packets}), testing::Each(kFrames));
    EXPECT_THAT((std::array{stats.rx_bytes, stats.tx_bytes}), testing::Each(bytes));
    EXPECT_EQ(stats.dropped(), 0u);
    EXPECT_EQ(stats.rx_missed_errors, 0u);
  }
}

TEST(Vmxnet3, APortStopsAndStartsAgain) {
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  fixture.exchange(pair.left.port, pair.right.port, 100);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(pair.right.port.stop());
    ASSERT_TRUE(pair.right.port.start());
    fixture.exchange(pair.left.port, pair.right.port, 100);
    fixture.exchange(pair.right.port, pair.left.port, 100);
  }
}

TEST(Vmxnet3, LongFramesPassInOneBufferOrInSeveral) {
  QemuFixture fixture;
  fixture.config.mtu = 9000;
  Vmxnet3Pair pair(fixture);
  for (const std::size_t bytes : {1519UL, 2048UL, 2049UL, 4097UL, 9014UL}) {
    SCOPED_TRACE(bytes);
    const Frame sent = test::numbered_frame(7, bytes);
    pair.send(sent);
    EXPECT_TRUE(pair.receive() == sent);
  }
}

// netmap, issue 780: without stripping, frames of the full length with a tag were lost.
TEST(Vmxnet3, FramesOfTheFullLengthMayHaveATag) {
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  for (const bool strips : {false, true}) {
    ASSERT_TRUE(pair.right.port.change([=](Settings& settings) { settings.vlan_stripping = strips; }));
    const Frame frame = test::numbered_frame(1, 1514);
    pair.send(with_tag(9, frame));
    EXPECT_TRUE(pair.receive() == (strips ? frame : with_tag(9, frame)));
  }
}

TEST(Vmxnet3, CountsWhatFoundNoBuffer) {
  constexpr std::uint32_t kFrames = 200;
  QemuFixture fixture;
  fixture.config.rx[0].ring = 64;
  Vmxnet3Pair pair(fixture);
  std::vector<Frame> frames;
  for (std::uint32_t i = 0; i < kFrames; ++i) frames.push_back(test::numbered_frame(i, 60));
  ASSERT_EQ(fixture.send(pair.left.port, frames), kFrames);
  EXPECT_TRUE(test::eventually([&] { return pair.right.port.stats().rx_missed_errors == kFrames - 63; }));
  EXPECT_EQ(fixture.receive(pair.right.port, 63).size(), 63u);
}

TEST(Vmxnet3, FiltersAddressesAndVlans) {
  constexpr std::uint16_t kVlan = 42;
  const MacAddress own{2, 0, 0, 0, 0, 0x77};
  const MacAddress group{1, 0, 0x5E, 0, 0, 1};
  const MacAddress foreign_group{1, 0, 0x5E, 0, 0, 2};
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  ASSERT_TRUE(pair.right.port.change(test::with_vlan(kVlan)));
  ASSERT_TRUE(pair.right.port.change([&](Settings& settings) {
    settings.mac = own;
    settings.multicast = {group};
  }));
  const std::vector<Frame> frames{with_tag(kVlan + 1, addressed(own, 1)),
                                  addressed({2, 0, 0, 0x82, 0x57, 1}, 2),
                                  addressed(foreign_group, 3),
                                  with_tag(kVlan, addressed(own, 4)),
                                  addressed(group, 5),
                                  test::numbered_frame(6, 60)};
  ASSERT_EQ(fixture.send(pair.left.port, frames), frames.size());
  EXPECT_THAT(fixture.receive(pair.right.port, 3), ElementsAre(frames[3], frames[4], frames[5]));
  // In promiscuous mode the device passes all VLANs, and software filters.
  ASSERT_TRUE(pair.right.port.change([](Settings& settings) { settings.promiscuous = true; }));
  ASSERT_EQ(fixture.send(pair.left.port, frames), frames.size());
  EXPECT_THAT(fixture.receive(pair.right.port, 5), ElementsAre(frames[1], frames[2], frames[3], frames[4], frames[5]));
  ASSERT_TRUE(pair.right.port.change([](Settings& settings) { settings.vlan_stripping = true; }));
  const std::vector<Frame> tagged{frames[0], frames[3]};
  ASSERT_EQ(fixture.send(pair.left.port, tagged), 2u);
  EXPECT_THAT(fixture.receive(pair.right.port, 1), ElementsAre(addressed(own, 4)));
  EXPECT_TRUE(test::eventually([&] { return pair.right.port.stats().rx_dropped == 2; }));
}

TEST(Vmxnet3, StripsAndInsertsTags) {
  constexpr std::uint16_t kTag = 0x6123;
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  const Frame frame = test::numbered_frame(3, 100);
  const TxOffload request{.flags = TxOffload::insert_vlan, .vlan = kTag};
  pair.send(frame, 1900, request);
  EXPECT_EQ(pair.receive(), with_tag(kTag, frame));
  // Into a frame that has a tag.
  pair.send(with_tag(7, frame), 40, request);
  EXPECT_EQ(pair.receive(), with_tag(kTag, with_tag(7, frame)));
  ASSERT_TRUE(pair.right.port.change([](Settings& settings) { settings.vlan_stripping = true; }));
  std::vector<RxMetadata> metadata;
  pair.send(frame, 1900, request);
  EXPECT_EQ(pair.receive(&metadata), frame);
  EXPECT_EQ(metadata.at(0).vlan(), kTag);
}

/// TCP or UDP with a payload of `bytes`, over IPv4 or IPv6, and its request.
struct Flow {
  Frame frame;
  TxOffload request;
};
Flow make_flow(bool tcp, bool v6, std::size_t bytes, bool tag) {
  Frame frame = test::numbered_frame(9, 14 + (v6 ? 40U : 20U) + (tcp ? 20U : 8U) + bytes);
  auto* const data = reinterpret_cast<std::uint8_t*>(frame.data());
  packet::store16(data + 12, v6 ? 0x86DD : 0x0800);
  std::uint8_t* const ip = data + 14;
  std::memset(ip, 0, v6 ? 40 : 20);
  if (v6) {
    ip[0] = 0x60;
    packet::store16(ip + 4, static_cast<std::uint16_t>(frame.size() - 54));
    ip[6] = tcp ? 6 : 17;
    ip[7] = 64;
    ip[8] = ip[24] = 0xFD;
    ip[23] = 1;
    ip[39] = 2;
  } else {
    ip[0] = 0x45;
    packet::store16(ip + 2, static_cast<std::uint16_t>(frame.size() - 14));
    ip[8] = 64;
    ip[9] = tcp ? 6 : 17;
    ip[12] = ip[16] = 10;
    ip[15] = 1;
    ip[19] = 2;
  }
  std::uint8_t* const l4 = ip + (v6 ? 40 : 20);
  std::memset(l4, 0, tcp ? 20 : 8);
  packet::store16(l4, 1000);
  packet::store16(l4 + 2, 2000);
  if (tcp) {
    l4[12] = 0x50;
    l4[13] = 0x18;
  } else {
    packet::store16(l4 + 4, static_cast<std::uint16_t>(8 + bytes));
  }
  TxOffload request{.flags = tcp ? TxOffload::tcp_checksum : TxOffload::udp_checksum,
                    .l2 = 14,
                    .l3 = v6 ? std::uint16_t{40} : std::uint16_t{20},
                    .l4 = tcp ? std::uint16_t{20} : std::uint16_t{8}};
  if (!v6) request.flags |= TxOffload::ipv4_checksum;
  if (!tag) return {frame, request};
  request.l2 = 18;
  return {with_tag(5, frame), request};
}

/// Whether lengths and checksums of a received frame are right.
void expect_right(const Frame& frame) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(frame.data());
  const std::size_t l2 = packet::load16(data + 12) == 0x8100 ? 18 : 14;
  const std::uint8_t* const ip = data + l2;
  const bool v6 = ip[0] >> 4 == 6;
  const std::size_t l3 = v6 ? 40 : 20;
  if (v6) {
    EXPECT_EQ(packet::load16(ip + 4), frame.size() - l2 - 40);
  } else {
    EXPECT_EQ(packet::load16(ip + 2), frame.size() - l2);
    EXPECT_EQ(packet::internet_checksum({ip, 20}), 0) << "IPv4";
  }
  packet::InternetSum sum;
  sum.add(std::span(ip + (v6 ? 8 : 12), v6 ? 32 : 8));
  sum.add(std::uint32_t{v6 ? ip[6] : ip[9]});
  sum.add(static_cast<std::uint32_t>(frame.size() - l2 - l3));
  sum.add(std::span(ip + l3, frame.size() - l2 - l3));
  EXPECT_EQ(sum.folded(), 0xFFFF) << "TCP or UDP";
}

TEST(Vmxnet3, ComputesChecksums) {
  QemuFixture fixture;
  fixture.config.mtu = 9000;
  Vmxnet3Pair pair(fixture);
  for (const bool tcp : {false, true}) {
    for (const bool v6 : {false, true}) {
      for (const bool tag : {false, true}) {
        for (const std::size_t piece : {80UL, 700UL}) {
          SCOPED_TRACE(testing::Message() << "tcp " << tcp << " v6 " << v6 << " tag " << tag << " pieces " << piece);
          Flow flow = make_flow(tcp, v6, 701, tag);
          pair.send(flow.frame, piece, flow.request);
          const Frame received = pair.receive();
          ASSERT_EQ(received.size(), flow.frame.size());
          expect_right(received);
          flow.request.flags |= TxOffload::insert_vlan;
          flow.request.vlan = 9;
          pair.send(flow.frame, piece, flow.request);
          Frame with_inserted = pair.receive();
          EXPECT_EQ(packet::load16(reinterpret_cast<const std::uint8_t*>(with_inserted.data()) + 14), 9);
          with_inserted.erase(with_inserted.begin() + 12, with_inserted.begin() + 16);
          expect_right(with_inserted);
        }
      }
    }
  }
}

TEST(Vmxnet3, SegmentsTcp) {
  constexpr std::uint16_t kSegment = 1000;
  constexpr std::size_t kPayload = 12345;
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  for (const bool v6 : {false, true}) {
    for (const bool tag : {false, true}) {
      SCOPED_TRACE(testing::Message() << "v6 " << v6 << " tag " << tag);
      Flow flow = make_flow(true, v6, kPayload, tag);
      flow.request.flags = TxOffload::tcp_segmentation | TxOffload::tcp_checksum;
      flow.request.segment_size = kSegment;
      pair.send(flow.frame, 1900, flow.request);
      const std::size_t headers = flow.request.l4_offset() + flow.request.l4;
      std::vector<std::byte> payload;
      while (payload.size() < kPayload) {
        const Frame segment = pair.receive();
        ASSERT_GT(segment.size(), headers);
        EXPECT_LE(segment.size(), headers + kSegment);
        expect_right(segment);
        payload.insert(payload.end(), segment.begin() + static_cast<std::ptrdiff_t>(headers), segment.end());
      }
      EXPECT_TRUE(std::equal(payload.begin(), payload.end(), flow.frame.begin() + static_cast<std::ptrdiff_t>(headers),
                             flow.frame.end()));
    }
  }
}

// QEMU's device finds no IP header behind two tags of type 0x8100, and would send the frame unsegmented.
TEST(Vmxnet3, DoesNotSegmentBehindTwoTags) {
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  Flow flow = make_flow(true, false, 5000, true);
  flow.request.flags = TxOffload::tcp_segmentation | TxOffload::tcp_checksum | TxOffload::insert_vlan;
  flow.request.segment_size = 1000;
  flow.request.vlan = 9;
  pair.send(flow.frame, 1900, flow.request);
  const std::vector<Counter> drops = pair.left.port.stats().drops;
  EXPECT_EQ(std::ranges::find(drops, "tx_unsupported_offload", &Counter::name)->value, 1u);
}

// On QEMU's hub no checksum is checked, and the device says so.
TEST(Vmxnet3, ReportsNoChecksumThatNobodyChecked) {
  QemuFixture fixture;
  Vmxnet3Pair pair(fixture);
  std::vector<test::KnownFrame> frames = test::known_frames();
  for (const test::KnownFrame& frame : frames) {
    std::vector<RxMetadata> metadata;
    pair.send(frame.bytes);
    EXPECT_EQ(pair.receive(&metadata), frame.bytes);
    EXPECT_EQ(metadata.at(0).ip_checksum(), ChecksumStatus::unknown) << frame.name;
    EXPECT_EQ(metadata.at(0).l4_checksum(), ChecksumStatus::unknown) << frame.name;
    EXPECT_FALSE(metadata.at(0).rss_hash());
  }
}

TEST(Vmxnet3, SendsOnSeveralQueuesAndReceivesOnTheFirst) {
  QemuFixture fixture;
  fixture.config.rx[0].ring = 64;
  fixture.config.rx.resize(4, fixture.config.rx[0]);
  fixture.config.tx.resize(4, fixture.config.tx[0]);
  Vmxnet3Pair pair(fixture);
  for (std::uint16_t queue = 0; queue < 4; ++queue) {
    const Frame frame = test::numbered_frame(queue, 60 + queue);
    MbufPtr mbuf = fixture.cache.allocate();
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(pair.left.port.tx(queue).tx_burst(burst), 1u);
    EXPECT_EQ(pair.receive(), frame) << "QEMU's device has no RSS";
  }
}

TEST(Vmxnet3, WhatIsMissingIsRefusedByName) {
  QemuFixture fixture;
  QemuPort opened = fixture.open(vmxnet3(0));
  const auto refused = opened.port.change([](Settings& settings) { settings.loopback = LoopbackMode::phy; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("loopback"));
  fixture.config.tx.resize(3, fixture.config.tx[0]);
  const auto three = test::configure_port(opened.port, fixture.config);
  ASSERT_FALSE(three);
  EXPECT_THAT(three.error().message(), testing::HasSubstr("powers of two"));
}

}  // namespace
}  // namespace pollux
