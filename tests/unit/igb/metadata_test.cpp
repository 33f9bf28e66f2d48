// SPDX-License-Identifier: BSD-3-Clause
// The metadata of frames that the in-process card and the driver received, in each burst mode.
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "pollux/mem/burst.hpp"
#include "support/burst_modes.hpp"
#include "support/flows.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using test::KnownFrame;

constexpr std::uint16_t kQueues = 4;
/// Copies of each frame: one whole group of SIMD width and a remainder.
constexpr std::size_t kCopies = 7;

class Metadata : public testing::TestWithParam<BurstMode> {
 protected:
  void SetUp() override {
    if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
    Settings config = fixture_.config();
    config.rx.resize(kQueues, config.rx[0]);
    config.burst_mode = GetParam();
    port_ = fixture_.started(config);
    ASSERT_NE(port_, nullptr);
  }

  /// Expects `copies` of the frame on the queue that its hash selects, and no frame on the others.
  void expect(const KnownFrame& frame, std::size_t copies) {
    const std::uint16_t expected = static_cast<std::uint16_t>(frame.hash.value_or(0) % 128 % kQueues);
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
      Burst<64> burst;
      port_->rx_queue(queue)->rx_burst(burst);
      EXPECT_EQ(burst.size(), queue == expected ? copies : 0) << frame.name << " on queue " << queue;
      for (const Mbuf& mbuf : burst) {
        EXPECT_TRUE(test::holds(mbuf, frame)) << frame.name;
        test::expect_metadata(mbuf, frame);
      }
    }
  }
  void pass(const std::vector<KnownFrame>& frames, std::size_t copies) {
    for (const KnownFrame& frame : frames) {
      for (std::size_t i = 0; i < copies; ++i) fixture_.wire->inject(frame.bytes);
      expect(frame, copies);
    }
  }

  IgbFixture fixture_;
  std::unique_ptr<PortMachine> port_;
};

TEST_P(Metadata, OfSingleFramesIsWhatTheCardReported) { pass(test::known_frames(), 1); }

TEST_P(Metadata, OfFramesInGroupsIsWhatTheCardReported) { pass(test::known_frames(), kCopies); }

// Neighbouring frames in a group differ in every field.
TEST_P(Metadata, OfNeighboursIsNotMixedUp) {
  std::vector<std::vector<KnownFrame>> expected(kQueues);
  for (const KnownFrame& frame : test::known_frames()) {
    fixture_.wire->inject(frame.bytes);
    expected[frame.hash.value_or(0) % 128 % kQueues].push_back(frame);
  }
  for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
    Burst<64> burst;
    port_->rx_queue(queue)->rx_burst(burst);
    ASSERT_EQ(burst.size(), expected[queue].size());
    EXPECT_GE(burst.size(), 4u) << "fewer frames than a group of SIMD width";
    for (std::uint32_t i = 0; i < burst.size(); ++i) {
      EXPECT_TRUE(test::holds(burst[i], expected[queue][i])) << expected[queue][i].name;
      test::expect_metadata(burst[i], expected[queue][i]);
    }
  }
}

// As the headers document, the driver strips no tags unless it is asked to, and takes no timestamps yet.
TEST_P(Metadata, LeavesATagInTheFrameAndHasNoTimestamp) {
  KnownFrame frame = test::known_frames().front();
  const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0x00}, std::byte{0x60}, std::byte{0x2A}};
  frame.bytes.insert(frame.bytes.begin() + 12, tag.begin(), tag.end());
  for (std::size_t i = 0; i < kCopies; ++i) fixture_.wire->inject(frame.bytes);
  Burst<64> burst;
  port_->rx_queue(static_cast<std::uint16_t>(*frame.hash % 128 % kQueues))->rx_burst(burst);
  ASSERT_EQ(burst.size(), kCopies);
  for (const Mbuf& mbuf : burst) {
    EXPECT_TRUE(test::holds(mbuf, frame));
    EXPECT_EQ(RxMetadata(mbuf).vlan(), std::nullopt);
    EXPECT_EQ(mbuf.timestamp(), 0u);
  }
}

// In a frame of 60 bytes a bad status of the card is not passed on: E-SCTP60.
TEST_P(Metadata, OfSctpHasAChecksumStatusThatIsReliable) { pass(test::known_sctp_frames(), kCopies); }

TEST_P(Metadata, HasTheTagThatTheCardHasStripped) {
  ASSERT_TRUE(port_->change([](Settings& settings) { settings.vlan_stripping = true; }));
  const KnownFrame frame = test::known_frames().front();
  KnownFrame tagged = frame;
  const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0x00}, std::byte{0x60}, std::byte{0x2A}};
  tagged.bytes.insert(tagged.bytes.begin() + 12, tag.begin(), tag.end());
  for (std::size_t i = 0; i < kCopies; ++i) fixture_.wire->inject(tagged.bytes);
  fixture_.wire->inject(frame.bytes);
  Burst<64> burst;
  port_->rx_queue(static_cast<std::uint16_t>(*frame.hash % 128 % kQueues))->rx_burst(burst);
  ASSERT_EQ(burst.size(), kCopies + 1);
  for (std::uint32_t i = 0; i < burst.size(); ++i) {
    EXPECT_TRUE(test::holds(burst[i], frame));
    test::expect_metadata(burst[i], frame);
    EXPECT_EQ(RxMetadata(burst[i]).vlan(), i < kCopies ? std::optional<std::uint16_t>(0x602A) : std::nullopt);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Metadata, testing::ValuesIn(test::kBurstModes),
                         [](const auto& path) { return std::string(name(path.param)); });

}  // namespace
}  // namespace pollux::drivers::igb
