// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "echo/responder.hpp"

namespace pollux::examples {
namespace {

using packet::Ipv4Address;

constexpr MacAddress kOwnMac{2, 0, 0, 0, 0, 1};
constexpr MacAddress kPeerMac{2, 0, 0, 0, 0, 2};
constexpr Ipv4Address kOwn{10, 9, 0, 2};
constexpr Ipv4Address kPeer{10, 9, 0, 1};

class EchoTest : public testing::Test {
 protected:
  [[nodiscard]] MbufPtr make(const std::function<void(packet::Builder&)>& add, MacAddress source = kPeerMac,
                             MacAddress destination = kOwnMac) {
    MbufPtr mbuf = pool_.allocate();
    packet::Builder builder({mbuf->tail(), mbuf->tailroom()});
    add(builder.ethernet({.destination = destination, .source = source}));
    const auto frame = builder.finish();
    EXPECT_TRUE(frame) << frame.error().message();
    EXPECT_NE(mbuf->append(static_cast<std::uint32_t>(frame->size())), nullptr);
    return mbuf;
  }
  [[nodiscard]] static std::vector<std::uint8_t> ping(std::uint8_t type = 8) {
    std::vector<std::uint8_t> message(56, 0xA5);
    std::copy_n(std::array<std::uint8_t, 8>{type, 0, 0, 0, 0x12, 0x34, 0, 1}.begin(), 8, message.begin());
    packet::store16(&message[2], packet::internet_checksum(message));
    return message;
  }
  [[nodiscard]] MbufPtr ping_to(Ipv4Address address, std::uint8_t type = 8, Ipv4Address source = kPeer,
                                MacAddress destination = kOwnMac) {
    const auto add = [&](packet::Builder& to) {
      to.ipv4({.time_to_live = 3, .protocol = packet::ip_protocol::kIcmp, .source = source, .destination = address})
          .payload(ping(type));
    };
    return make(add, kPeerMac, destination);
  }
  [[nodiscard]] MbufPtr udp_to(std::uint16_t port, std::uint16_t from = 40'000, Ipv4Address source = kPeer) {
    return make([&](packet::Builder& to) {
      to.ipv4({.source = source, .destination = kOwn})
          .udp({.source_port = from, .destination_port = port})
          .payload(std::vector<std::uint8_t>(30, 7));
    });
  }
  void expect_untouched(MbufPtr frame, const char* why) {
    const std::vector<std::uint8_t> before(frame->bytes().begin(), frame->bytes().end());
    EXPECT_FALSE(responder_.answer(*frame)) << why;
    EXPECT_TRUE(std::equal(before.begin(), before.end(), frame->bytes().begin())) << why;
  }
  /// The IPv4 header of an answer, whose addresses and sums must be right.
  static void expect_returned(Mbuf& frame) {
    const auto ethernet = packet::EthernetHeader::read(frame.bytes());
    EXPECT_EQ(ethernet->destination, kPeerMac);
    EXPECT_EQ(ethernet->source, kOwnMac);
    const auto ip = packet::Ipv4Header::read(frame.bytes().subspan(14));
    EXPECT_EQ(ip->source, kOwn);
    EXPECT_EQ(ip->destination, kPeer);
    EXPECT_EQ(ip->time_to_live, 64);
    EXPECT_EQ(packet::internet_checksum(frame.bytes().subspan(14, 20)), 0);
  }

  Context context_;
  Mempool pool_ = Mempool::create(context_, {.count = 16}).value();
  EchoResponder responder_{{.mac = kOwnMac, .address = kOwn, .prefix = 24}};
};

TEST_F(EchoTest, AnswersArpForItsAddress) {
  const packet::ArpHeader request{.sender_mac = kPeerMac, .sender = kPeer, .target = kOwn};
  MbufPtr frame = make([&](packet::Builder& to) { to.arp(request); });
  ASSERT_TRUE(responder_.answer(*frame));
  EXPECT_EQ(packet::EthernetHeader::read(frame->bytes())->destination, kPeerMac);
  const packet::ArpHeader reply{.operation = packet::ArpHeader::kReply,
                                .sender_mac = kOwnMac,
                                .sender = kOwn,
                                .target_mac = kPeerMac,
                                .target = kPeer};
  EXPECT_EQ(packet::ArpHeader::read(frame->bytes().subspan(14)), reply);
  EXPECT_EQ(responder_.answers().arp, 1u);
  packet::ArpHeader other = request;
  other.target = kPeer;
  expect_untouched(make([&](packet::Builder& to) { to.arp(other); }), "another's address");
  expect_untouched(make([&](packet::Builder& to) { to.arp(reply); }), "a reply");
}

TEST_F(EchoTest, AnswersPing) {
  MbufPtr frame = ping_to(kOwn);
  ASSERT_TRUE(responder_.answer(*frame));
  expect_returned(*frame);
  const auto message = frame->bytes().subspan(34, 56);
  std::vector<std::uint8_t> expected = ping(0);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), message.begin())) << "also its checksum";
  EXPECT_EQ(responder_.answers().icmp, 1u);
  expect_untouched(ping_to(kPeer), "another's address");
  expect_untouched(ping_to(kOwn, 0), "an answer");
  expect_untouched(ping_to(kOwn, 3), "an error");
  MbufPtr damaged = ping_to(kOwn);
  damaged->data()[60] ^= 1;
  expect_untouched(std::move(damaged), "a wrong checksum");
  MbufPtr bad_header = ping_to(kOwn);
  bad_header->data()[24] ^= 1;
  expect_untouched(std::move(bad_header), "a wrong checksum of IPv4");
}

TEST_F(EchoTest, AnswersUdpOnItsPort) {
  MbufPtr frame = udp_to(7);
  ASSERT_TRUE(responder_.answer(*frame));
  expect_returned(*frame);
  const auto udp = packet::UdpHeader::read(frame->bytes().subspan(34));
  EXPECT_EQ(udp->source_port, 7);
  EXPECT_EQ(udp->destination_port, 40'000);
  auto sum = packet::pseudo_header(kOwn, kPeer, packet::ip_protocol::kUdp, 38);
  sum.add(frame->bytes().subspan(34, 38));
  EXPECT_TRUE(sum.is_good());
  EXPECT_EQ(responder_.answers().udp, 1u);
  expect_untouched(udp_to(9), "another port");
  expect_untouched(udp_to(7, 7), "two such programs would answer each other for ever");
}

TEST_F(EchoTest, LeavesFramesForOtherStationsAlone) {
  constexpr MacAddress kOther{2, 0, 0, 0, 0, 0x99};
  constexpr MacAddress kBroadcast{255, 255, 255, 255, 255, 255};
  constexpr MacAddress kGroup{1, 0, 0x5E, 0, 0, 1};
  for (const MacAddress& destination : {kOther, kBroadcast, kGroup})
    expect_untouched(ping_to(kOwn, 8, kPeer, destination), "its address is not in the frame");
  const auto arp = [](packet::Builder& to) { to.arp({.sender_mac = kPeerMac, .sender = kPeer, .target = kOwn}); };
  EXPECT_TRUE(responder_.answer(*make(arp, kPeerMac, kBroadcast))) << "who has an address is asked of all";
  EXPECT_TRUE(responder_.answer(*make(arp)));
  expect_untouched(make(arp, kPeerMac, kOther), "asked of another station");
  expect_untouched(make(arp, kOwnMac, kBroadcast), "it came back");
}

TEST_F(EchoTest, AnswersNoSourceThatIsNotAnotherHost) {
  for (const Ipv4Address& source :
       {Ipv4Address{0, 0, 0, 0}, Ipv4Address{0, 1, 2, 3}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{224, 0, 0, 1},
        Ipv4Address{240, 0, 0, 1}, Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 9, 0, 255},
        Ipv4Address{10, 9, 0, 0}, kOwn}) {
    expect_untouched(ping_to(kOwn, 8, source), "ping");
    expect_untouched(udp_to(7, 40'000, source), "UDP");
  }
  EXPECT_TRUE(responder_.answer(*ping_to(kOwn, 8, {10, 9, 1, 255}))) << "of another network";
  EchoResponder large({.mac = kOwnMac, .address = kOwn, .prefix = 16});
  EXPECT_TRUE(large.answer(*ping_to(kOwn, 8, {10, 9, 0, 255})));
  EXPECT_FALSE(large.answer(*ping_to(kOwn, 8, {10, 9, 255, 255})));
  EchoResponder pair({.mac = kOwnMac, .address = kOwn, .prefix = 31});
  EXPECT_TRUE(pair.answer(*ping_to(kOwn, 8, {10, 9, 0, 3}))) << "RFC 3021: two hosts, no broadcast";
  const auto arp = [&](MacAddress mac, Ipv4Address sender) {
    return make([&](packet::Builder& to) { to.arp({.sender_mac = mac, .sender = sender, .target = kOwn}); });
  };
  EXPECT_TRUE(responder_.answer(*arp(kPeerMac, {}))) << "a probe (RFC 5227)";
  expect_untouched(arp(kPeerMac, kOwn), "an announcement of its own address");
  expect_untouched(arp(kPeerMac, {10, 9, 0, 255}), "ARP from a broadcast address");
  expect_untouched(arp({255, 255, 255, 255, 255, 255}, kPeer), "ARP of a group");
}

// Such a packet is to be sent on (RFC 791, 3.1), and its checksum covers another destination.
TEST_F(EchoTest, LeavesPacketsOnARouteAlone) {
  const auto routed = [&](std::uint8_t kind, std::uint8_t pointer) {
    const std::array<std::uint8_t, 8> options{kind, 7, pointer, 10, 9, 0, 77, 0};
    return make([&](packet::Builder& to) {
      to.ipv4({.protocol = packet::ip_protocol::kIcmp, .source = kPeer, .destination = kOwn, .options = options})
          .payload(ping());
    });
  };
  expect_untouched(routed(131, 4), "loose source route");
  expect_untouched(routed(137, 4), "strict source route");
  expect_untouched(routed(131, 1), "a malformed one");
  EXPECT_TRUE(responder_.answer(*routed(131, 8))) << "a route at its end";
  EXPECT_TRUE(responder_.answer(*routed(1, 4))) << "no operation";
}

TEST_F(EchoTest, LeavesBadDatagramsAlone) {
  expect_untouched(udp_to(7, 0), "no port to answer to");
  MbufPtr damaged = udp_to(7);
  damaged->data()[50] ^= 1;
  expect_untouched(std::move(damaged), "a wrong checksum");
  MbufPtr without = udp_to(7);
  without->data()[40] = without->data()[41] = 0;
  EXPECT_TRUE(responder_.answer(*without)) << "without a checksum";
}

TEST_F(EchoTest, LeavesOtherFramesAlone) {
  expect_untouched(
      make([](packet::Builder& to) {
        to.ipv4({.more_fragments = true, .protocol = packet::ip_protocol::kIcmp, .source = kPeer, .destination = kOwn})
            .payload(ping());
      }),
      "a fragment");
  expect_untouched(make([](packet::Builder& to) { to.ipv6({}).udp({.destination_port = 7}); }), "IPv6");
  expect_untouched(make([](packet::Builder& to) { to.payload(std::vector<std::uint8_t>(46)); }), "no protocol");
  MbufPtr whole = ping_to(kOwn);
  for (std::uint32_t length = whole->length(); length > 0; --length) {
    MbufPtr cut = ping_to(kOwn);
    ASSERT_TRUE(cut->trim(whole->length() - length + 1));
    if (length - 1 < 14 + 20 + 56) expect_untouched(std::move(cut), "cut off");
  }
  const packet::ArpHeader request{.sender_mac = kPeerMac, .sender = kPeer, .target = kOwn};
  expect_untouched(make([&](packet::Builder& to) { to.arp(request); }, {3, 0, 0, 0, 0, 1}), "from a group");
}

}  // namespace
}  // namespace pollux::examples
