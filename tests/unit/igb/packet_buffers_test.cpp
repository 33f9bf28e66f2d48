// SPDX-License-Identifier: BSD-3-Clause
// The sizes of the packet buffers (RXPBS, TXPBS).
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "pollux/net/flow_control.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

constexpr std::uint32_t kKib = 1024;

class PacketBufferSize : public testing::Test {
 protected:
  [[nodiscard]] static Settings sized(std::uint32_t receive, std::uint32_t transmit = 0) {
    return {.rx = {{.ring = 8, .drop_enable = false}},
            .tx = {{.ring = 64}},
            .packet_buffers = {.receive = receive, .transmit = transmit}};
  }
  [[nodiscard]] static std::uint32_t receive_kib(CardFixture& fixture) {
    return fixture.card.value<reg::RXPBS>().get(reg::RXPBS::SIZE);
  }
  [[nodiscard]] static std::uint32_t transmit_kib(CardFixture& fixture) {
    return fixture.card.value<reg::TXPBS>().raw();
  }
};

// Frames that find no descriptor wait in the buffer: as many as fit into it with their FCS.
TEST_F(PacketBufferSize, IsHowMuchMayWait) {
  for (const std::uint32_t kib : {20U, 32U, 64U}) {
    CardFixture fixture({.port = sized(kib * kKib)});
    EXPECT_EQ(receive_kib(fixture), kib);
    EXPECT_EQ(fixture.port.settings().packet_buffers.receive, kib * kKib);
    const std::uint32_t waiting = kib * kKib / 1004;
    for (unsigned i = 0; i < 7 + waiting + 5; ++i) fixture.inject(counting_frame(1000, i));
    EXPECT_EQ(fixture.card.value<reg::MPC>().raw(), 5u) << kib;
    EXPECT_EQ(fixture.receive_all().size(), 7 + waiting) << kib;
  }
}

TEST_F(PacketBufferSize, OutlivesRestartsAndEndsWithTheSetting) {
  CardFixture fixture({.port = sized(24 * kKib, 16 * kKib)});
  EXPECT_EQ(transmit_kib(fixture), 16u);
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(receive_kib(fixture), 24u);
  EXPECT_EQ(transmit_kib(fixture), 16u);
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(configure_port(fixture.port, sized(0, 20 * kKib)));
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(receive_kib(fixture), 64u) << "the size that the card had";
  EXPECT_EQ(transmit_kib(fixture), 20u);
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(fixture.port.close());
  EXPECT_EQ(receive_kib(fixture), 64u) << "the next driver reads the register";
  EXPECT_EQ(transmit_kib(fixture), 40u);
}

TEST_F(PacketBufferSize, IsRejectedOutsideOfWhatTheCardHas) {
  CardFixture fixture({.start = false});
  const auto refusal = [&](const Settings& config) {
    const auto refused = configure_port(fixture.port, config);
    return refused ? std::string() : refused.error().what;
  };
  for (const std::uint32_t bad : {1U, 19 * kKib, 20 * kKib + 1, 65 * kKib}) {
    EXPECT_NE(refusal(sized(bad)).find("packet_buffers.receive"), std::string::npos) << bad;
  }
  for (const std::uint32_t bad : {1U, 9 * kKib, 40 * kKib - 1, 41 * kKib}) {
    EXPECT_NE(refusal(sized(0, bad)).find("packet_buffers.transmit"), std::string::npos) << bad;
  }
  EXPECT_EQ(fixture.port.state(), PortState::opened);
  EXPECT_EQ(refusal(sized(20 * kKib, 10 * kKib)), "");
  EXPECT_EQ(receive_kib(fixture), 64u) << "written when the port starts";
}

TEST_F(PacketBufferSize, DecidesTheWaterMarks) {
  CardFixture fixture({.port = sized(32 * kKib)});
  const FlowControlConfig marks{.pause = {.transmit = true}, .autonegotiate = false, .high_water = 13312};
  const auto set = [&](const FlowControlConfig& config) {
    return fixture.port.change([&](Settings& settings) { settings.flow_control = config; });
  };
  FlowControlConfig higher = marks;
  higher.high_water += 16;
  EXPECT_FALSE(set(higher)) << "two of the longest frames must fit above it";
  ASSERT_TRUE(set(marks));
  EXPECT_EQ(fixture.card.value<reg::FCRTH>().get(reg::FCRTH::RTH), 13312u / 16);
  EXPECT_EQ(fixture.port.capability<FlowControl>()->flow_control().packet_buffer, 32 * kKib);
  ASSERT_TRUE(fixture.port.stop());
  EXPECT_FALSE(configure_port(fixture.port, sized(31 * kKib))) << "the high mark would be too high";
  EXPECT_EQ(fixture.port.settings().packet_buffers.receive, 32 * kKib);
  ASSERT_TRUE(set({.high_water = marks.high_water}));
  EXPECT_FALSE(configure_port(fixture.port, sized(31 * kKib)))
      << "nor without flow control: they would not be accepted then";
  ASSERT_TRUE(set({.pause = {.transmit = true}, .autonegotiate = false}));
  ASSERT_TRUE(configure_port(fixture.port, sized(24 * kKib)));
  EXPECT_EQ(fixture.port.capability<FlowControl>()->flow_control().config.high_water, 24 * kKib - 2 * 9728);
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(fixture.card.value<reg::FCRTH>().get(reg::FCRTH::RTH), (24 * kKib - 2 * 9728) / 16);
}

}  // namespace
}  // namespace pollux::test
