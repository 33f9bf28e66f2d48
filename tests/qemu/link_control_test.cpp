// SPDX-License-Identifier: BSD-3-Clause
// The link of QEMU's card: what its PHY has of link control, its registers, and the light.
#include <string>

#include "pollux/net/identify_led.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/register_dump.hpp"
#include "qemu/fixture.hpp"

namespace pollux {
namespace {

using test::QemuFixture;

TEST(LinkControl, AdvertisesAndNegotiatesAgain) {
  QemuFixture fixture;
  test::QemuPort card = fixture.start("0");
  ASSERT_TRUE(QemuFixture::link_rises(card.port));
  const auto control = card.port.capability<LinkControl>();
  const auto registers = card.port.capability<PhyRegisters>();
  ASSERT_TRUE(card.port.change([](Settings& settings) {
    settings.link = {.advertised = {LinkMode::full_100, LinkMode::full_1000}};
  }));
  EXPECT_EQ(registers->read_phy_register({.number = 4}).value() & 0x01E0, 0x0100);
  ASSERT_TRUE(QemuFixture::link_rises(card.port));
  ASSERT_TRUE(control->restart_negotiation());
  ASSERT_TRUE(QemuFixture::link_rises(card.port));
  const auto details = control->link_details();
  ASSERT_TRUE(details) << details.error().message();
  EXPECT_EQ(details->phy, "IGP03");
  EXPECT_EQ(details->phy_id, 0x02A80391u);
  EXPECT_TRUE(details->partner);
  EXPECT_FALSE(details->cable) << "its PHY has no pages";
  EXPECT_EQ(registers->read_phy_register({.number = 1, .address = 2}).error().code, ErrorCode::device_fault);
}

TEST(LinkControl, RefusesForcedModesAndAStoppedPhy) {
  QemuFixture fixture;
  test::QemuPort card = fixture.start("0");
  const auto expect_refusal = [](const Result<void>& refused) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
    EXPECT_NE(refused.error().message().find("autonegotiation alone"), std::string::npos);
  };
  const LinkConfig before = card.port.settings().link;
  expect_refusal(card.port.change([](Settings& settings) { settings.link = {.forced = LinkMode::full_100}; }));
  expect_refusal(card.port.change([](Settings& settings) { settings.phy_enabled = false; }));
  EXPECT_EQ(card.port.settings().link, before);
  EXPECT_TRUE(QemuFixture::link_rises(card.port));
}

TEST(LinkControl, LetsTheLightBlink) {
  QemuFixture fixture;
  test::QemuPort card = fixture.start("0");
  const auto dump = card.port.capability<RegisterDump>();
  const auto value = [&] {
    for (const RegisterValue& one : dump->registers()) {
      if (one.name == "LEDCTL") return one.value;
    }
    return 0u;
  };
  const std::uint32_t automatic = value();
  ASSERT_TRUE(card.port.change([](Settings& settings) { settings.led = LedMode::blink; }));
  EXPECT_NE(value(), automatic);
  EXPECT_NE(value() & 0x80808080, automatic & 0x80808080) << "a light blinks";
  ASSERT_TRUE(card.port.change([](Settings& settings) { settings.led = LedMode::automatic; }));
  EXPECT_EQ(value(), automatic);
}

}  // namespace
}  // namespace pollux
