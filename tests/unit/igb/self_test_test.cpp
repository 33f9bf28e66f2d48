// SPDX-License-Identifier: BSD-3-Clause
// The capability SelfTest: a good card passes, and each part finds what it tests.
#include "pollux/net/self_test.hpp"

#include <gtest/gtest.h>

#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

struct SelfTestFixture : IgbFixture {
  std::unique_ptr<PortMachine> port = open();
  SelfTest& test = *port->capability<SelfTest>();

  /// The outcomes of all parts: p, f or s.
  [[nodiscard]] std::string outcomes() {
    const auto results = test.test_offline();
    EXPECT_TRUE(results) << results.error().message();
    std::string text;
    if (!results) return text;
    for (const SelfTestResult& result : *results) {
      text += to_string(result.outcome).front();
      if (!result.detail.empty()) detail = result.detail;
    }
    return text;
  }
  std::string detail;  // of the last part with one
};

TEST(PortSelfTest, AGoodCardPasses) {
  SelfTestFixture fixture;
  EXPECT_EQ(fixture.outcomes(), "ppppp") << fixture.detail;
  EXPECT_EQ(fixture.with_card([](models::igb::Card& card) { return card.package().violations().total(); }), 0u);
  EXPECT_TRUE(fixture.sent.empty()) << "no frame of the test reached the wire";
}

TEST(PortSelfTest, ThePortWorksAfterwards) {
  SelfTestFixture fixture;
  ASSERT_TRUE(test::configure_port(*fixture.port, fixture.config()));
  ASSERT_TRUE(test::set_mac(*fixture.port, {0x02, 1, 2, 3, 4, 5}));
  ASSERT_TRUE(fixture.port->start());
  EXPECT_EQ(fixture.test.test_offline().error().code, ErrorCode::bad_state);
  ASSERT_TRUE(fixture.port->stop());
  EXPECT_EQ(fixture.outcomes(), "ppppp") << fixture.detail;
  ASSERT_TRUE(fixture.port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(fixture.value<reg::RAL>(0).raw(), 0x03020102u);
  fixture.wire->inject(broadcast(64));
  fixture.clock->advance(std::chrono::milliseconds(1));
  Burst<4> received;
  EXPECT_EQ(fixture.port->rx_queue(0)->rx_burst(received), 1u);
  EXPECT_EQ(fixture.port->stats().rx_packets, 1u) << "the frames of the test are not counted";
  const auto online = fixture.test.test_online();
  ASSERT_TRUE(online);
  EXPECT_EQ(online->front().outcome, SelfTestOutcome::passed);
}

TEST(PortSelfTest, FindsARegisterThatKeepsNoPattern) {
  SelfTestFixture fixture;
  fixture.faults->on_read = [](std::uint32_t offset) -> std::optional<std::uint32_t> {
    return offset == reg::MTA::offset(127) ? std::optional<std::uint32_t>(0x5555) : std::nullopt;
  };
  EXPECT_EQ(fixture.outcomes(), "fpppp");
  EXPECT_EQ(fixture.detail, "MTA at 0x53fc reads 0x00005555 after 0x55555555 was written");
}

TEST(PortSelfTest, FindsADamagedNvm) {
  SelfTestFixture fixture;
  fixture.with_card([](models::igb::Card& card) { return card.nvm().words()[5] ^= 1; });
  EXPECT_EQ(fixture.outcomes(), "pfppp");
  EXPECT_THAT(fixture.detail, testing::HasSubstr("not 0xbaba"));
}

TEST(PortSelfTest, FindsAnInterruptThatIsNeverMasked) {
  SelfTestFixture fixture;
  fixture.faults->on_read = [&](std::uint32_t offset) -> std::optional<std::uint32_t> {
    if (offset == reg::STATUS::offset()) {
      fixture.with_card([](models::igb::Card& card) {
        card.registers().set<reg::IMS>(reg::IMS::Value(~0U));
        return 0;
      });
    }
    return std::nullopt;
  };
  EXPECT_EQ(fixture.outcomes()[2], 'f');
  EXPECT_THAT(fixture.detail, testing::HasSubstr("masked"));
}

TEST(PortSelfTest, FindsAMissingLink) {
  SelfTestFixture fixture;
  fixture.wire->set_carrier(false);
  EXPECT_EQ(fixture.outcomes(), "ppppf") << "the loopback needs no cable";
  EXPECT_EQ(fixture.detail, "the link does not come up");
}

TEST(PortSelfTest, SkipsWhatTheCardCannotTest) {
  IgbFixture plain(models::igb::CardOptions{.vectors = 0});
  auto port = plain.open();
  const auto results = port->capability<SelfTest>()->test_offline();
  ASSERT_TRUE(results) << results.error().message();
  EXPECT_EQ((*results)[2].outcome, SelfTestOutcome::skipped);
  EXPECT_FALSE((*results)[2].detail.empty());
}

TEST(PortSelfTest, AClosedOrRemovedPortRefuses) {
  SelfTestFixture fixture;
  EXPECT_EQ(fixture.test.test_online().error().code, ErrorCode::bad_state) << "not started";
  fixture.with_card([](models::igb::Card& card) {
    card.set_removed(true);
    return 0;
  });
  EXPECT_EQ(fixture.test.test_offline().error().code, ErrorCode::device_removed);
  static_cast<void>(fixture.port->close());
  EXPECT_EQ(fixture.test.test_offline().error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::drivers::igb
