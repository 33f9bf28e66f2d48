// SPDX-License-Identifier: BSD-3-Clause
// Which frames match items: every field, masks, ranges, tags, bytes at any position, and invalid rules.
#include <random>

#include "net/flow/match_fields.hpp"
#include "pollux/net/packet/parse.hpp"
#include "support/various_frames.hpp"
#include "unit/flow/fixture.hpp"

namespace pollux {
namespace {

using test::tcp_frame;
using test::udp_frame;

class FlowMatch : public test::FlowFixture {
 protected:
  [[nodiscard]] bool match_of(std::vector<MatchItem> items, std::span<const std::uint8_t> frame) {
    return rule_matches({std::move(items), to_drop()}, frame);
  }
};

struct HeaderInFrame {
  MatchProtocol protocol;
  test::Octets frame;
  std::size_t at;
};
std::vector<HeaderInFrame> header_positions() {
  test::Octets sctp = udp_frame(53);
  sctp[23] = 132;
  return {{MatchProtocol::eth, udp_frame(53), 0},
          {MatchProtocol::vlan, udp_frame(53, 1), 14},
          {MatchProtocol::ipv4, udp_frame(53), 14},
          {MatchProtocol::ipv6, udp_frame(53, 0, true), 14},
          {MatchProtocol::tcp, tcp_frame(80, 0x12), 34},
          {MatchProtocol::udp, udp_frame(53), 34},
          {MatchProtocol::sctp, sctp, 34}};
}

TEST_F(FlowMatch, ComparesEachBitOfEachField) {
  for (const HeaderInFrame& header : header_positions()) {
    const MatchHeader& known = match_header(header.protocol);
    const auto from = header.frame.begin() + static_cast<std::ptrdiff_t>(header.at);
    const test::Octets bytes(from, from + static_cast<std::ptrdiff_t>(known.bytes));
    std::size_t covered = 0;
    for (const MatchField& field : known.fields) {
      covered += field.bytes;
      for (std::size_t bit = 0; bit < field.bytes * 8; ++bit) {
        const std::size_t byte = field.at + bit / 8;
        const auto mask_bit = static_cast<std::uint8_t>(0x80 >> bit % 8);
        MatchItem item{.protocol = header.protocol, .spec = bytes, .mask = test::Octets(known.bytes)};
        item.mask[byte] = mask_bit;
        EXPECT_TRUE(match_of({item}, header.frame)) << known.name << "." << field.name << " bit " << bit;
        item.spec[byte] ^= mask_bit;
        EXPECT_FALSE(match_of({item}, header.frame)) << known.name << "." << field.name << " bit " << bit;
        item.mask[byte] = 0;
        EXPECT_TRUE(match_of({item}, header.frame)) << known.name << "." << field.name << " bit " << bit;
      }
    }
    EXPECT_EQ(covered, known.bytes) << known.name;
  }
}

TEST_F(FlowMatch, MatchesTheEndsOfARangeAndNothingOutside) {
  const FlowRule rule{match::udp().destination_port(1000, 2000), to_drop()};
  for (const auto& [port, expected] : std::vector<std::pair<std::uint16_t, bool>>{
           {999, false}, {1000, true}, {1001, true}, {1999, true}, {2000, true}, {2001, false}}) {
    EXPECT_EQ(rule_matches(rule, udp_frame(port)), expected) << port;
  }
  FlowRule none = rule;
  none.match[0].last = test::Octets(8);
  EXPECT_TRUE(rule_matches(none, udp_frame(1000)));
  EXPECT_FALSE(rule_matches(none, udp_frame(1001)));
}

TEST_F(FlowMatch, ComparesAddressesAndPortsIfAnItemHasNoMask) {
  const test::Octets frame = udp_frame(53);
  MatchItem ipv4{.protocol = MatchProtocol::ipv4, .spec = test::Octets(20)};
  EXPECT_FALSE(match_of({ipv4}, frame));
  std::copy_n(frame.begin() + 26, 8, ipv4.spec.begin() + 12);
  EXPECT_TRUE(match_of({ipv4}, frame));
  MatchItem udp{.protocol = MatchProtocol::udp, .spec = test::Octets(8)};
  std::copy_n(frame.begin() + 34, 4, udp.spec.begin());
  EXPECT_TRUE(match_of({udp}, frame));
  udp.spec[3] ^= 1;
  EXPECT_FALSE(match_of({udp}, frame));
  MatchItem vlan{.protocol = MatchProtocol::vlan, .spec = {0xF0, 100, 1, 1}};
  EXPECT_TRUE(match_of({vlan}, udp_frame(53, 1))) << "only the VLAN's number";
}

TEST_F(FlowMatch, ComparesThePrefixOfAnAddress) {
  const test::Octets frame = udp_frame(53);
  EXPECT_TRUE(match_of(match::ipv4().source({10, 1, 255, 255}, 16), frame));
  EXPECT_FALSE(match_of(match::ipv4().source({10, 1, 255, 255}, 17), frame));
  EXPECT_TRUE(match_of(match::ipv4().destination({10, 9, 8, 7}).protocol(17), frame));
  EXPECT_FALSE(match_of(match::ipv4().destination({10, 9, 8, 6}), frame));
  const packet::Ipv6Address other{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8};
  EXPECT_TRUE(match_of(match::ipv6().destination(other, 124), udp_frame(53, 0, true)));
  EXPECT_FALSE(match_of(match::ipv6().destination(other, 125), udp_frame(53, 0, true)));
}

TEST_F(FlowMatch, SkipsTheTagsThatACardSkipsAndThoseBehindItems) {
  for (const unsigned tags : {0U, 1U, 2U}) {
    const test::Octets frame = udp_frame(53, tags);
    EXPECT_EQ(match_of(match::eth().ipv4().udp().destination_port(53), frame), tags < 2) << tags;
    EXPECT_EQ(match_of(match::eth().type(0x0800), frame), tags < 2) << tags;
    EXPECT_EQ(match_of(match::eth().type(0x8100), frame), tags == 2) << tags;
    EXPECT_EQ(match_of(match::vlan().ipv4().udp().destination_port(53), frame), tags >= 1) << tags;
    EXPECT_EQ(match_of(match::eth().raw({0x45}), frame), tags < 2) << "behind the tags that it skips, " << tags;
    EXPECT_EQ(match_of(match::eth().type(0x8100).vlan(), frame), tags >= 1) << tags;
    EXPECT_EQ(match_of(match::vlan().id(100).priority(5).ipv4(), frame), tags >= 1) << tags;
    EXPECT_EQ(match_of(match::vlan().id(101), frame), false) << tags;
    EXPECT_EQ(match_of(match::vlan().vlan().id(101).inner_type(0x0800).ipv4(), frame), tags == 2) << tags;
  }
  test::Octets service = udp_frame(53, 1);
  service[12] = 0x88;
  service[13] = 0xA8;
  EXPECT_FALSE(match_of(match::ipv4().udp().destination_port(53), service)) << "a card does not know this tag";
  EXPECT_TRUE(match_of(match::eth().type(0x88A8), service));
  EXPECT_TRUE(match_of(match::vlan().id(100).ipv4().udp(), service));
}

TEST_F(FlowMatch, RequiresTheHeadersOfItsItems) {
  EXPECT_FALSE(match_of(match::ipv4(), udp_frame(53, 0, true)));
  EXPECT_FALSE(match_of(match::tcp(), udp_frame(53)));
  EXPECT_TRUE(match_of(match::ipv6().tcp().destination_port(80), tcp_frame(80, 0, 1, true)));
  EXPECT_TRUE(match_of(match::tcp().flags(2, 0x12), tcp_frame(80, 2)));
  EXPECT_FALSE(match_of(match::tcp().flags(2, 0x12), tcp_frame(80, 0x12)));
  EXPECT_TRUE(match_of({}, udp_frame(53))) << "no item matches all";
}

TEST_F(FlowMatch, FindsBytesAtPositionsAndBySearch) {
  const test::Octets frame = udp_frame(53);  // the payload, from byte 42 on: "GET xyzxy"
  EXPECT_TRUE(match_of(match::raw({8, 0}, 12), frame));
  EXPECT_FALSE(match_of(match::raw({8, 0}, 11), frame));
  EXPECT_TRUE(match_of(match::udp().raw({'G', 'E', 'T'}), frame));
  EXPECT_FALSE(match_of(match::ipv4().raw({'G', 'E', 'T'}), frame)) << "that is where UDP starts";
  EXPECT_TRUE(match_of(match::ipv4().raw({'G'}, 8), frame));
  EXPECT_TRUE(match_of(match::udp().raw({'G'}).raw({' '}, 2), frame));
  EXPECT_TRUE(match_of(match::udp().raw({'x'}).search().raw({'y', 'z'}), frame)) << "of the first x";
  EXPECT_FALSE(match_of(match::udp().raw({'x'}).search(4), frame));
  EXPECT_TRUE(match_of(match::udp().raw({'x'}).search(5), frame));
  EXPECT_TRUE(match_of(match::udp().raw({'g'}).mask({0xDF}), frame));
  EXPECT_TRUE(match_of(match::udp().raw({53}, -5), frame)) << "backwards into the header";
  EXPECT_FALSE(match_of(match::udp().raw({0}, -100), frame)) << "before the frame";
  const auto last = static_cast<std::int32_t>(frame.size() - 1);
  EXPECT_TRUE(match_of(match::raw({0}, last), frame));
  EXPECT_FALSE(match_of(match::raw({0, 0}, last), frame)) << "beyond the frame";
  EXPECT_FALSE(match_of(match::raw({'Q'}).search(), frame));
}

TEST_F(FlowMatch, SearchesLongFramesInParts) {
  test::Octets frame(1500, 1);
  for (const std::size_t at : {0UL, 127UL, 128UL, 129UL, 255UL, 256UL, 700UL, 1497UL}) {
    std::fill(frame.begin(), frame.end(), std::uint8_t{1});
    frame[at] = 2;
    frame[at + 2] = 3;
    EXPECT_TRUE(match_of(match::raw({2, 1, 3}).search(), frame)) << at;
    EXPECT_EQ(match_of(match::raw({2, 1, 3}).search(static_cast<std::uint16_t>(at)), frame), at == 0) << at;
    EXPECT_TRUE(match_of(match::raw({2, 1, 3}).search(static_cast<std::uint16_t>(at + 1)), frame)) << at;
    EXPECT_TRUE(match_of(match::raw({2, 1, 3}).search().raw({2, 1, 3}, -3), frame)) << at;
  }
}

MatchItem random_item(std::mt19937& random) {
  const auto bytes = [&](std::size_t usual) {
    test::Octets part(random() % 8 == 0 ? random() % 140 : usual);
    for (std::uint8_t& byte : part) byte = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : 0);
    return part;
  };
  MatchItem item{.protocol = static_cast<MatchProtocol>(random() % 9)};
  const std::size_t usual = item.protocol == MatchProtocol::raw ? 1 + random() % 3 : match_header(item.protocol).bytes;
  if (random() % 2 == 0) item.spec = bytes(usual);
  if (random() % 2 == 0) item.mask = bytes(usual);
  if (random() % 4 == 0) item.last = bytes(usual);
  item.relative = random() % 2 == 0;
  item.search = random() % 2 == 0;
  item.offset = random() % 4 == 0 ? static_cast<std::int32_t>(random()) : static_cast<std::int32_t>(random() % 80) - 10;
  item.limit = static_cast<std::uint16_t>(random() % 3 == 0 ? random() : 0);
  return item;
}

// The sanitizers notice reads beyond the frame, and beyond a rule's bytes.
TEST_F(FlowMatch, TakesAnyRuleAndDoesNotDependOnSegments) {
  std::mt19937 random(11);
  std::size_t matched = 0;
  const auto frames = test::various_frames();
  for (int round = 0; round < 3000; ++round) {
    FlowRule rule{.action = to_drop()};
    for (std::size_t items = random() % 4; items != 0; --items) rule.match.push_back(random_item(random));
    test::Octets frame = frames[random() % frames.size()].bytes;
    if (random() % 4 == 0) frame.resize(random() % frame.size());
    const std::size_t piece = std::max<std::size_t>(frame.size() / 200 + 1, 1 + random() % 70);
    const bool whole = rule_matches(rule, frame);
    EXPECT_EQ(whole, rule_matches(rule, frame, piece)) << "round " << round;
    matched += whole ? 1 : 0;
  }
  EXPECT_GT(matched, 300U);
}

}  // namespace
}  // namespace pollux
