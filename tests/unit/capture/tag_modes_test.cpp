// SPDX-License-Identifier: BSD-3-Clause
// Whoever rebuilds or matches a received frame has it as on the wire, whatever the card does with its tags.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pcapng_reader.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/flow/software_classifier.hpp"
#include "pollux/net/packet/builder.hpp"
#include "pollux/observe/capture.hpp"
#include "pollux/runtime/kernel_path.hpp"
#include "support/fixture.hpp"

namespace pollux {
namespace {

using test::CardFixture;
using test::Frame;

struct WireTag {
  std::uint16_t type;
  std::uint16_t control;
};
using Layouts = std::vector<std::vector<WireTag>>;

/// A broadcast UDP datagram from port 1000 to 2000 behind these tags.
Frame tagged_frame(const std::vector<WireTag>& tags) {
  std::array<std::uint8_t, 128> memory{};
  packet::Builder builder(memory);
  builder.ethernet({.destination = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, .source = {2}});
  builder.ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
  builder.udp({.source_port = 1000, .destination_port = 2000});
  const auto built = builder.payload(std::array<std::uint8_t, 40>{1, 2, 3}).finish();
  EXPECT_TRUE(built);
  const auto bytes = std::as_bytes(*built);
  Frame frame(bytes.begin(), bytes.end());
  std::size_t at = 12;
  for (const auto [type, control] : tags) {
    for (const int byte : {type >> 8, type & 0xFF, control >> 8, control & 0xFF}) {
      frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(at++), static_cast<std::byte>(byte));
    }
  }
  return frame;
}

Layouts all_layouts() {
  Layouts layouts{{}};
  const std::array<WireTag, 4> tags{{{0x8100, 0x6064}, {0x8100, 0xE000}, {0x88A8, 0x0065}, {0x9100, 0x2066}}};
  for (const WireTag& outer : tags) {
    layouts.push_back({outer});
    for (const WireTag& inner : tags) layouts.push_back({outer, inner});
  }
  layouts.push_back({{0x88A8, 1}, {0x8100, 2}, {0x8100, 3}});
  layouts.push_back({{0x8100, 1}, {0x8100, 2}, {0x8100, 3}});
  return layouts;
}

std::vector<std::vector<MatchItem>> all_rules() {
  using namespace match;
  return {vlan().id(0x64),
          vlan().id(0x65),
          vlan().id(0),
          vlan().priority(3),
          vlan().vlan().id(0x64),
          vlan().vlan().inner_type(0x0800).ipv4().udp(),
          eth().type(0x8100).vlan(),
          eth().type(0x88A8).vlan().vlan().id(0x64),
          eth().type(0x0800),
          eth().type(0x8100),
          ipv4().udp().destination_port(2000),
          vlan().ipv4().udp().destination_port(2000),
          eth().raw({0x45}),
          raw({0x81, 0x00}, 12),
          raw({0x81, 0x00}, 16),
          raw({0x45}, 18),
          raw({0x81, 0x00, 0x60, 0x64}).search()};
}

/// The outer type (0: none), whether the card strips tags, and whether the queue copies frames.
using TagMode = std::tuple<std::uint16_t, bool, bool>;

class TagModes : public testing::TestWithParam<TagMode> {
 protected:
  static test::CardFixtureOptions options() {
    test::CardFixtureOptions options;
    if (std::get<2>(GetParam())) options.port.rx[0].copy_break = 256;
    return options;
  }
  void SetUp() override {
    const auto [outer, strips, copies] = GetParam();
    if (outer != 0) {
      ASSERT_TRUE(fixture.port.change([&](Settings& settings) { settings.outer_vlan_type = outer; }));
    }
    ASSERT_TRUE(fixture.port.change([&](Settings& settings) { settings.vlan_stripping = strips; }));
  }
  /// Receives each layout's frame.
  void receive(Burst<32>& burst) {
    for (const auto& tags : layouts) fixture.inject(tagged_frame(tags));
    burst = fixture.rx_burst();
    ASSERT_EQ(burst.size(), layouts.size());
  }
  static std::string name_of(const std::vector<WireTag>& tags) {
    std::string name;
    for (const WireTag& tag : tags) name += fmt::format("{:04x} {:04x}, ", tag.type, tag.control);
    return name;
  }

  const Layouts layouts = all_layouts();
  CardFixture fixture{options()};
};

TEST_P(TagModes, TheKernelGetsTheFrameAsOnTheWire) {
  auto representor = open(fixture.context, "ring:k:0");
  auto kernel = open(fixture.context, "ring:k:1", {.promiscuous = true});
  ASSERT_TRUE(representor && kernel);
  const auto path = KernelPath::create(fixture.port, *representor, fixture.cache);
  ASSERT_TRUE(path) << path.error().message();
  Burst<32> burst;
  receive(burst);
  (*path)->to_kernel(burst);
  Burst<32> seen;
  ASSERT_EQ(kernel->rx(0).rx_burst(seen), layouts.size());
  for (std::uint32_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(test::content(seen[i]), tagged_frame(layouts[i])) << name_of(layouts[i]);
  }
}

TEST_P(TagModes, ACaptureHasTheFrameAsOnTheWire) {
  const auto capture = Capture::start(fixture.port, {.transmit = false});
  ASSERT_TRUE(capture) << capture.error().message();
  Burst<32> burst;
  receive(burst);
  std::vector<std::byte> bytes;
  ASSERT_TRUE((*capture)->stop());
  (*capture)->drain(bytes, SIZE_MAX);
  (*capture)->finish(bytes);
  const auto file = test::read_pcapng(bytes);
  ASSERT_EQ(file.packets.size(), layouts.size());
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    EXPECT_EQ(file.packets[i].bytes, tagged_frame(layouts[i])) << name_of(layouts[i]);
    EXPECT_EQ(file.packets[i].length, file.packets[i].bytes.size());
  }
}

TEST_P(TagModes, ARuleMeansTheFrameAsOnTheWire) {
  Burst<32> burst;
  receive(burst);
  unsigned matched = 0;
  const auto rules = all_rules();
  for (std::size_t number = 0; number < rules.size(); ++number) {
    const FlowRule rule{rules[number], to_queue(1)};
    SoftwareClassifier classifier(2);
    ASSERT_TRUE(classifier.add(rule));
    for (std::uint32_t i = 0; i < burst.size(); ++i) {
      const MbufPtr on_wire = fixture.make_mbuf(tagged_frame(layouts[i]));
      const bool expected = matches(rule, *on_wire);
      EXPECT_EQ(matches(rule, burst[i]), expected) << name_of(layouts[i]) << "rule " << number;
      EXPECT_EQ(classifier.decide(burst[i]).queue == 1, expected) << name_of(layouts[i]) << "rule " << number;
      matched += expected ? 1 : 0;
    }
  }
  EXPECT_GT(matched, 50U);
}

INSTANTIATE_TEST_SUITE_P(All, TagModes,
                         testing::Combine(testing::Values(std::uint16_t{0}, std::uint16_t{0x88A8},
                                                          std::uint16_t{0x9100}, std::uint16_t{0x8100}),
                                          testing::Bool(), testing::Bool()));

/// Tags of frames to send.
struct SentTags : testing::Test {
  /// What a capture has of a frame with this request, which is sent, or dropped by the program.
  Frame captured(const TxOffload& request, bool is_dropped) {
    CaptureOptions options{.name = "port"};
    if (is_dropped) options.drops = {&reason};
    const auto capture = Capture::start(fixture.port, options);
    EXPECT_TRUE(capture) << capture.error().message();
    fixture.inject(tagged_frame({{0x8100, 3}}));
    Burst<32> burst = fixture.rx_burst();
    EXPECT_EQ(burst.size(), 1U);
    burst[0].set_tx_offload(request);
    if (is_dropped) {
      burst.drop(reason);
    } else {
      EXPECT_EQ(fixture.port.tx(0).tx_burst(burst), 1U);
    }
    std::vector<std::byte> bytes;
    EXPECT_TRUE((*capture)->stop());
    (*capture)->drain(bytes, SIZE_MAX);
    (*capture)->finish(bytes);
    const auto packets = test::read_pcapng(bytes).of(is_dropped ? "port/drops" : "port/tx0");
    EXPECT_EQ(packets.size(), 1U);
    return packets.empty() ? Frame{} : packets.front().bytes;
  }

  CardFixture fixture;
  DropCounter reason{"test_reason"};
};

TEST_F(SentTags, ACaptureHasEachTagThatIsInserted) {
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.vlan_stripping = true; }));
  constexpr TxOffload kInner{.flags = TxOffload::insert_vlan, .vlan = 5};
  constexpr TxOffload kBoth{.flags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan, .vlan = 5, .outer_vlan = 6};
  constexpr TxOffload kOuter{.flags = TxOffload::insert_outer_vlan, .outer_vlan = 6};
  for (const bool is_dropped : {false, true}) {
    EXPECT_EQ(captured(kInner, is_dropped), tagged_frame({{0x8100, 5}})) << is_dropped;
    EXPECT_EQ(captured(kBoth, is_dropped), tagged_frame({{0x88A8, 6}, {0x8100, 5}})) << is_dropped;
    EXPECT_EQ(captured(kOuter, is_dropped), tagged_frame({{0x88A8, 6}})) << is_dropped;
  }
  EXPECT_EQ(captured({}, true), tagged_frame({{0x8100, 3}})) << "as it was received";
  EXPECT_EQ(captured({}, false), tagged_frame({})) << "the stripped tag is not sent";
  fixture.clock->advance(std::chrono::milliseconds(1));
  EXPECT_THAT(fixture.sent, testing::ElementsAre(tagged_frame({{0x8100, 5}}), tagged_frame({{0x88A8, 6}, {0x8100, 5}}),
                                                 tagged_frame({{0x88A8, 6}}), tagged_frame({})));
}

}  // namespace
}  // namespace pollux
