// SPDX-License-Identifier: BSD-3-Clause
// Pause frames: what is negotiated, what the registers say, and that a pause holds a sender back without a loss.
#include "drivers/intel/gigabit/link.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "hw/intel/igb/phy.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/open.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
namespace mii = hw::igb::phy;
using drivers::gigabit::negotiated_pause;
using drivers::gigabit::pause_advertisement;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr PauseModes kNone{};
constexpr PauseModes kReceive{.receive = true};
constexpr PauseModes kTransmit{.transmit = true};
constexpr PauseModes kBoth{.receive = true, .transmit = true};
constexpr unsigned kModes = mii::k10Full | mii::k100Full;

// IEEE 802.3, table 28B-3: each pair of wishes, seen from both sides.
TEST(PauseNegotiation, GivesEachSideWhatBothCan) {
  struct Case {
    PauseModes mine, partners, result;
  };
  for (const Case& pair :
       {Case{kNone, kBoth, kNone}, Case{kBoth, kNone, kNone}, Case{kBoth, kBoth, kBoth},
        Case{kReceive, kTransmit, kReceive}, Case{kTransmit, kReceive, kTransmit}, Case{kTransmit, kTransmit, kNone},
        Case{kReceive, kReceive, kReceive}, Case{kReceive, kBoth, kReceive}, Case{kBoth, kReceive, kBoth},
        Case{kTransmit, kBoth, kNone}, Case{kBoth, kTransmit, kNone}}) {
    EXPECT_EQ(negotiated_pause(pair.mine, pause_advertisement(pair.partners)), pair.result)
        << pair.mine.receive << pair.mine.transmit << " with " << pair.partners.receive << pair.partners.transmit;
  }
}

class PortFlowControl : public testing::Test {
 protected:
  [[nodiscard]] Result<void> set(const FlowControlConfig& config) {
    return fixture_.port.change([&](Settings& settings) { settings.flow_control = config; });
  }
  [[nodiscard]] FlowControlState state() { return fixture_.port.capability<FlowControl>()->flow_control(); }
  void set_partner(unsigned abilities) {
    fixture_.card.with([&](models::igb::Card& card) {
      card.phy().set_partner({.abilities = static_cast<std::uint16_t>(abilities)});
      return 0;
    });
  }
  [[nodiscard]] PauseModes of_card() {
    const auto control = fixture_.card.value<reg::CTRL>();
    return {.receive = control.has(reg::CTRL::RFCE), .transmit = control.has(reg::CTRL::TFCE)};
  }

  CardFixture fixture_;
};

// A read of the link, which a program may repeat as it likes, writes nothing.
TEST_F(PortFlowControl, FollowsTheLinkByTheService) {
  set_partner(kModes | mii::kPause | mii::kPauseAsymmetric);
  ASSERT_TRUE(set({.pause = kBoth}));
  fixture_.clock->advance(seconds(5));
  ASSERT_TRUE(fixture_.port.link().up);
  EXPECT_EQ(state().active, kNone);
  EXPECT_EQ(of_card(), kNone);
  ASSERT_TRUE(fixture_.port.service());
  EXPECT_EQ(state().active, kBoth);
  EXPECT_EQ(of_card(), kBoth);
}

TEST_F(PortFlowControl, IsOffUntilItIsTurnedOn) {
  EXPECT_EQ(state().active, kNone);
  EXPECT_EQ(of_card(), kNone);
  EXPECT_EQ(state().packet_buffer, 64u * 1024);
}

TEST_F(PortFlowControl, IsNegotiatedAndOutlivesAReset) {
  set_partner(kModes | mii::kPause | mii::kPauseAsymmetric);
  ASSERT_TRUE(set({.pause = kBoth}));
  EXPECT_EQ(state().active, kNone) << "autonegotiation has started again";
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_EQ(state().active, kBoth);
  EXPECT_EQ(of_card(), kBoth);
  EXPECT_EQ(fixture_.card.value<reg::FCRTH>().get(reg::FCRTH::RTH) * 16, state().config.high_water);
  EXPECT_EQ(fixture_.card.value<reg::FCRTL>().get(reg::FCRTL::RTL) * 16, state().config.low_water);
  EXPECT_EQ(fixture_.card.value<reg::FCTTV>().get(reg::FCTTV::TTV), 0xFFFFu);
  ASSERT_TRUE(fixture_.port.stop());
  EXPECT_EQ(state().active, kNone);
  ASSERT_TRUE(fixture_.port.start());
  EXPECT_EQ(of_card(), kNone) << "the link is not up yet";
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_EQ(of_card(), kBoth);
}

TEST_F(PortFlowControl, FollowsThePartnerThatIsPluggedIn) {
  set_partner(kModes | mii::kPause);
  ASSERT_TRUE(set({.pause = kBoth}));
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_EQ(of_card(), kBoth);
  fixture_.wire->set_carrier(false);
  ASSERT_TRUE(fixture_.port.service());
  EXPECT_EQ(of_card(), kNone);
  set_partner(kModes);
  fixture_.wire->set_carrier(true);
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_EQ(of_card(), kNone);
  EXPECT_EQ(state().active, kNone);
}

TEST_F(PortFlowControl, IsForcedWithoutNegotiation) {
  ASSERT_TRUE(set({.pause = kTransmit, .autonegotiate = false, .pause_time = 100, .high_water = 4096}));
  EXPECT_TRUE(fixture_.port.link().up) << "the link stays up";
  EXPECT_EQ(of_card(), kTransmit);
  EXPECT_EQ(state().active, kTransmit);
  EXPECT_EQ(state().config.low_water, 4096u - 16);
  EXPECT_EQ(fixture_.card.value<reg::FCTTV>().get(reg::FCTTV::TTV), 100u);
  EXPECT_EQ(fixture_.card.value<reg::FCRTV>().get(reg::FCRTV::REFRESH), 50u);
  ASSERT_TRUE(set({}));
  EXPECT_EQ(of_card(), kNone);
  EXPECT_EQ(fixture_.card.value<reg::FCRTH>().raw(), 0u);
}

TEST_F(PortFlowControl, RejectsWaterMarksThatCannotWork) {
  const FlowControlConfig good{.pause = kTransmit, .autonegotiate = false, .high_water = 8192};
  ASSERT_TRUE(set(good));
  const auto refused = [&](const FlowControlConfig& config) {
    const auto changed = set(config);
    EXPECT_FALSE(changed);
    EXPECT_EQ(state().config.high_water, 8192u) << "a rejected call changes nothing";
    return changed ? std::string() : changed.error().message();
  };
  EXPECT_NE(refused({.high_water = 8200}).find("not multiples of 16"), std::string::npos);
  EXPECT_NE(refused({.high_water = 60 * 1024}).find("two of the longest frames"), std::string::npos);
  EXPECT_NE(refused({.high_water = 4096, .low_water = 4096}).find("is not below"), std::string::npos);
  EXPECT_NE(refused({.pause_time = 1}).find("pause_time"), std::string::npos);
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(set(good).error().code, ErrorCode::bad_state);
}

// A receiver that does not poll: its packet buffer fills up, and pause frames hold the sender back until it polls.
class Flood : public testing::Test {
 protected:
  static constexpr std::uint32_t kFrames = 3'000;
  /// The wire holds up to 64 frames that were sent before a pause frame arrived. They must fit above the high mark.
  static constexpr std::uint32_t kBytes = 200;

  [[nodiscard]] Port open_port(const char* uri, PauseModes pause) {
    auto port = open_unconfigured(context_, uri).value();
    EXPECT_TRUE(port.change([&](Settings& settings) { settings.flow_control = {.pause = pause}; }));
    EXPECT_TRUE(configure_port(port, {.rx = {{.pool = pool_, .ring = 64}}, .tx = {{.ring = 256}}}));
    EXPECT_TRUE(port.start());
    return port;
  }
  /// Sends `kFrames` frames; the receiver polls only now and then. Returns the number that it received.
  std::uint32_t flood(Port& from, Port& to) {
    std::uint32_t sent = 0;
    std::uint32_t received = 0;
    for (int round = 0; round < 100'000 && (sent < kFrames || from.tx(0).in_flight() != 0); ++round) {
      Burst<32> burst;
      while (sent + burst.size() < kFrames && burst.size() < 32) {
        MbufPtr mbuf = pool_.allocate();
        if (mbuf == nullptr || mbuf->append(kBytes) == nullptr) break;
        std::fill_n(mbuf->data(), 14, std::uint8_t{0xFF});
        static_cast<void>(burst.push(mbuf));
      }
      sent += from.tx(0).tx_burst(burst);
      from.tx(0).tx_done_cleanup();
      clock_->advance(std::chrono::microseconds(20));
      if (round % 64 == 63) received += poll(to);
      burst = {};
    }
    for (int round = 0; round < 100; ++round) {
      clock_->advance(milliseconds(1));
      received += poll(to);
    }
    EXPECT_EQ(sent, kFrames);
    return received;
  }
  static std::uint32_t poll(Port& port) {
    std::uint32_t count = 0;
    Burst<32> burst;
    while (port.rx(0).rx_burst(burst) != 0) {
      count += burst.size();
      burst = {};
    }
    return count;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Context context_{{.clock = clock_, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool_ = Mempool::create(context_, {.count = 2048}).value();
};

TEST_F(Flood, PauseFramesHoldTheSenderBackWithoutALoss) {
  Port from = open_port("sim:0?rate=1G", kReceive);
  Port to = open_port("sim:1", kTransmit);
  ASSERT_TRUE(from.wait_for_link(seconds(5)));
  ASSERT_TRUE(to.wait_for_link(seconds(5)));
  EXPECT_EQ(flood(from, to), kFrames);
  EXPECT_EQ(to.stats().rx_missed_errors, 0u);
  std::uint64_t pauses = 0;
  for (const Counter& counter : to.extended_stats()) pauses += counter.name == "XOFFTXC" ? counter.value : 0;
  EXPECT_GT(pauses, 0u);
}

TEST_F(Flood, WithoutPauseFramesFramesAreLostAndCounted) {
  Port from = open_port("sim:0?rate=1G", kNone);
  Port to = open_port("sim:1", kNone);
  ASSERT_TRUE(from.wait_for_link(seconds(5)));
  const std::uint32_t received = flood(from, to);
  EXPECT_LT(received, kFrames);
  EXPECT_EQ(received + to.stats().rx_missed_errors, kFrames);
}

}  // namespace
}  // namespace pollux::test
