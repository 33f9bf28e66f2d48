// SPDX-License-Identifier: BSD-3-Clause
// What received mbufs say on QEMU's 82574, for each burst mode and each option that changes it.
#include <algorithm>
#include <array>
#include <cstring>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "pollux/net/rx_metadata.hpp"
#include "qemu/e1000e_pair.hpp"
#include "support/burst_modes.hpp"
#include "support/flows.hpp"

namespace pollux {
namespace {

using test::E1000ePair;
using test::Frame;
using test::KnownFrame;
using test::QemuFixture;

constexpr std::uint16_t kSentTag = 0x6123;

struct ReceiveOption {
  std::string_view name;
  std::uint16_t queues = 1;
  bool stripping = false;
  bool keep_fcs = false;
};

void PrintTo(const ReceiveOption& option, std::ostream* out) { *out << option.name; }

constexpr ReceiveOption kReceiveOptions[] = {
    {.name = "plain"},
    {.name = "two_queues", .queues = 2},
    {.name = "stripping", .stripping = true},
    {.name = "stripping_two_queues", .queues = 2, .stripping = true},
    {.name = "keep_fcs", .keep_fcs = true},
};

Frame with_sent_tag(const Frame& frame) {
  constexpr std::array<std::byte, 4> kBytes{std::byte{0x81}, std::byte{0}, std::byte{kSentTag >> 8},
                                            std::byte{kSentTag & 0xFF}};
  Frame with = frame;
  with.insert(with.begin() + 12, kBytes.begin(), kBytes.end());
  return with;
}

/// A frame as it arrives, and its tag if the card reports that apart.
struct ExpectedFrame {
  KnownFrame frame;
  bool stripped = false;
};

void expect_fields(const Mbuf& mbuf, const ExpectedFrame& expected, const ReceiveOption& option, std::uint16_t queue) {
  const KnownFrame& frame = expected.frame;
  SCOPED_TRACE(frame.name + (expected.stripped ? ", stripped" : ""));
  const RxMetadata card(mbuf);
  EXPECT_EQ(card.ip_checksum(), frame.ip);
  EXPECT_EQ(card.l4_checksum(), frame.l4);
  EXPECT_EQ(card.packet_type().bits, 0u);
  EXPECT_FALSE(card.is_stamped());
  EXPECT_EQ(card.vlan(), expected.stripped ? std::optional(kSentTag) : std::nullopt);
  EXPECT_EQ(card.rss_hash(), option.queues > 1 ? frame.hash : std::nullopt);  // with one, the card hashes nothing
  EXPECT_EQ(queue, frame.hash.value_or(0) % 128 % option.queues);
}

class E1000eMetadata : public testing::TestWithParam<std::tuple<BurstMode, ReceiveOption>> {};

TEST_P(E1000eMetadata, IsWhatTheCardReported) {
  const auto& [mode, option] = GetParam();
  if (!processor_has(mode)) GTEST_SKIP() << "this processor has no " << name(mode);
  QemuFixture fixture;
  fixture.config.burst_mode = mode;
  fixture.config.rx.resize(option.queues, fixture.config.rx.at(0));
  fixture.config.keep_fcs = option.keep_fcs;
  E1000ePair pair(fixture);
  const bool strips = option.stripping;
  ASSERT_TRUE(pair.right.port.change([&](Settings& settings) { settings.vlan_stripping = strips; }));
  std::vector<ExpectedFrame> missing;
  std::vector<Frame> sent;
  for (const KnownFrame& frame : test::known_frames()) {
    sent.push_back(frame.bytes);
    missing.push_back({.frame = frame});
    sent.push_back(with_sent_tag(frame.bytes));
    missing.push_back({.frame = frame, .stripped = option.stripping});
    if (!option.stripping) missing.back().frame.bytes = sent.back();
  }
  ASSERT_EQ(fixture.send(pair.left.port, sent), sent.size());
  DropCounter seen("seen");
  EXPECT_TRUE(test::eventually([&] {
    for (std::uint16_t queue = 0; queue < option.queues; ++queue) {
      Burst<64> burst;
      pair.right.port.rx(queue).rx_burst(burst);
      for (const Mbuf& mbuf : burst) {
        const bool has_tag = RxMetadata(mbuf).vlan().has_value();
        const std::size_t check_sequence = option.keep_fcs ? 4 : 0;
        const auto found = std::find_if(missing.begin(), missing.end(), [&](const ExpectedFrame& one) {
          return one.stripped == has_tag && mbuf.length() == one.frame.bytes.size() + check_sequence &&
                 std::memcmp(mbuf.data(), one.frame.bytes.data(), one.frame.bytes.size()) == 0;
        });
        EXPECT_NE(found, missing.end()) << "a frame that was not sent, of " << mbuf.length() << " bytes";
        if (found == missing.end()) continue;
        expect_fields(mbuf, *found, option, queue);
        missing.erase(found);
      }
      burst.drop(seen, fixture.cache);
    }
    return seen.value() >= sent.size();
  })) << seen.value()
      << " of " << sent.size() << " frames arrived";
  EXPECT_TRUE(missing.empty()) << missing[0].frame.name << " among the " << missing.size() << " that are missing";
}

INSTANTIATE_TEST_SUITE_P(All, E1000eMetadata,
                         testing::Combine(testing::ValuesIn(test::kBurstModes), testing::ValuesIn(kReceiveOptions)),
                         [](const auto& one) {
                           return std::string(name(std::get<0>(one.param))) + "_" +
                                  std::string(std::get<1>(one.param).name);
                         });

}  // namespace
}  // namespace pollux
