// SPDX-License-Identifier: BSD-3-Clause
// The link is set to modes, restarted and stopped; the PHY's registers, the cable and the lights.
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "drivers/intel/gigabit/led.hpp"
#include "hw/intel/igb/phy.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
namespace mii = hw::igb::phy;
using drivers::gigabit::led_values;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class PortLinkControl : public testing::Test {
 protected:
  [[nodiscard]] auto control() { return fixture_.port.capability<LinkControl>(); }
  [[nodiscard]] auto registers() { return fixture_.port.capability<PhyRegisters>(); }
  [[nodiscard]] std::uint16_t phy(std::uint8_t number) {
    return registers()->read_phy_register({.number = number}).value();
  }
  [[nodiscard]] std::string link_soon() {
    static_cast<void>(fixture_.port.wait_for_link(seconds(5)));
    return to_string(fixture_.port.link());
  }
  [[nodiscard]] bool partner_sees_a_signal() {
    return fixture_.card.with([](models::igb::Card& card) { return card.link_signal().present; });
  }
  void set_partner(const LinkSignal& partner) {
    fixture_.card.with([&](models::igb::Card& card) {
      card.phy().set_partner(partner);
      return 0;
    });
  }
  /// Stops, configures and starts the port: the card is reset.
  void restart() {
    ASSERT_TRUE(fixture_.port.stop());
    ASSERT_TRUE(configure_port(fixture_.port, fixture_.config));
    ASSERT_TRUE(fixture_.port.start());
  }

  CardFixture fixture_;
};

TEST_F(PortLinkControl, AdvertisesWhatItIsTold) {
  for (const LinkMode mode : {LinkMode::full_10, LinkMode::half_100, LinkMode::full_100, LinkMode::full_1000}) {
    ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.link = {.advertised = {mode}}; }));
    EXPECT_FALSE(fixture_.port.link().up) << "it negotiates again";
    EXPECT_EQ(link_soon(), "up, " + std::to_string(speed_of(mode)) + " Mb/s, " +
                               (duplex_of(mode) == Duplex::half ? "half" : "full") + " duplex");
    restart();
    EXPECT_THAT(link_soon(), HasSubstr("up, " + std::to_string(speed_of(mode)) + " Mb/s")) << "after a reset";
    EXPECT_EQ(fixture_.port.settings().link.advertised, LinkModes{mode});
  }
}

TEST_F(PortLinkControl, KeepsThePauseBitsOfFlowControl) {
  ASSERT_TRUE(fixture_.port.change(
      [](Settings& settings) { settings.flow_control = {.pause = {.receive = true, .transmit = true}}; }));
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.advertised = {LinkMode::full_100}}; }));
  EXPECT_EQ(phy(mii::kAdvertise), mii::kSelector8023 | mii::k100Full | mii::kPause);
  EXPECT_THAT(link_soon(), HasSubstr("100 Mb/s"));
  EXPECT_TRUE(fixture_.port.capability<FlowControl>()->flow_control().active.any());
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.forced = LinkMode::full_100}; }));
  EXPECT_THAT(link_soon(), HasSubstr("100 Mb/s, full"));
  EXPECT_FALSE(fixture_.port.capability<FlowControl>()->flow_control().active.any()) << "nothing was negotiated";
}

TEST_F(PortLinkControl, ForcesAMode) {
  for (const LinkMode mode : {LinkMode::half_10, LinkMode::full_10, LinkMode::half_100, LinkMode::full_100}) {
    ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.link = {.forced = mode}; }));
    EXPECT_THAT(link_soon(), HasSubstr(std::to_string(speed_of(mode)) + " Mb/s"));
    EXPECT_EQ(fixture_.port.link().duplex, duplex_of(mode));
    EXPECT_FALSE(fixture_.port.link().autonegotiated);
    EXPECT_EQ((phy(mii::kControl) & mii::kControlFullDuplex) != 0, duplex_of(mode) == Duplex::full) << "in the PHY";
    EXPECT_TRUE(fixture_.card.value<reg::CTRL>().has(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX));
    EXPECT_EQ(phy(mii::kPortControl) & (mii::kPortControlAutoMdix | mii::kPortControlMdix), 0) << "MDI is forced";
    restart();
    EXPECT_EQ(link_soon(), to_string(Link{true, speed_of(mode), duplex_of(mode), false})) << "after a reset";
  }
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {}; }));
  EXPECT_EQ(link_soon(), "up, 1000 Mb/s, full duplex");
  EXPECT_TRUE(fixture_.port.link().autonegotiated);
  EXPECT_FALSE(fixture_.card.value<reg::CTRL>().has_any(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX));
}

TEST_F(PortLinkControl, RefusesWhatCannotBeAndChangesNothing) {
  const LinkConfig good{.advertised = {LinkMode::full_100}};
  ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.link = good; }));
  const auto refusal = [&](const LinkConfig& config) {
    const auto set = fixture_.port.change([&](Settings& settings) { settings.link = config; });
    EXPECT_FALSE(set);
    EXPECT_EQ(fixture_.port.settings().link, good);
    return set ? std::string() : set.error().message();
  };
  EXPECT_THAT(refusal({.forced = LinkMode::full_1000}), HasSubstr("advertise 1000/full alone"));
  EXPECT_THAT(refusal({.advertised = {}}), HasSubstr("stop the PHY"));
  EXPECT_THAT(refusal({.advertised = {LinkMode::half_1000}}), HasSubstr("the port's modes are 10/half"));
  EXPECT_EQ(phy(mii::kAdvertise) & 0x1E0, mii::k100Full);
  fixture_.card.with([](models::igb::Card& card) {
    card.registers().set<reg::MANC>(reg::MANC::BLK_PHY_RST_ON_IDE);
    return 0;
  });
  EXPECT_THAT(refusal({.forced = LinkMode::full_10}), HasSubstr("management session"));
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(fixture_.port.change([&](Settings& settings) { settings.link = good; }).error().code, ErrorCode::bad_state);
  EXPECT_EQ(fixture_.port.change([](Settings& settings) { settings.phy_enabled = false; }).error().code,
            ErrorCode::bad_state);
  EXPECT_EQ(control()->link_details().error().code, ErrorCode::bad_state);
  EXPECT_EQ(registers()->read_phy_register({.number = 1}).error().code, ErrorCode::bad_state);
}

TEST_F(PortLinkControl, IsSetBeforeTheStart) {
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.forced = LinkMode::half_10}; }));
  ASSERT_TRUE(fixture_.port.start());
  EXPECT_EQ(link_soon(), "up, 10 Mb/s, half duplex");
}

TEST_F(PortLinkControl, NegotiatesAgain) {
  EXPECT_TRUE(fixture_.port.link().up);
  ASSERT_TRUE(control()->restart_negotiation());
  EXPECT_FALSE(fixture_.port.link().up);
  EXPECT_EQ(link_soon(), "up, 1000 Mb/s, full duplex");
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.forced = LinkMode::full_100}; }));
  EXPECT_THAT(control()->restart_negotiation().error().message(), HasSubstr("forced"));
  ASSERT_TRUE(fixture_.port.stop());
  EXPECT_THAT(control()->restart_negotiation().error().message(), HasSubstr("not started"));
}

TEST_F(PortLinkControl, StopsAndStartsThePhy) {
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.phy_enabled = false; }));
  EXPECT_FALSE(fixture_.port.settings().phy_enabled);
  EXPECT_FALSE(partner_sees_a_signal());
  fixture_.clock->advance(seconds(5));
  EXPECT_EQ(to_string(fixture_.port.link()), "down");
  EXPECT_THAT(control()->restart_negotiation().error().message(), HasSubstr("PHY is stopped"));
  restart();
  fixture_.clock->advance(seconds(5));
  EXPECT_EQ(to_string(fixture_.port.link()), "down") << "after a reset";
  EXPECT_FALSE(partner_sees_a_signal());
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.phy_enabled = true; }));
  EXPECT_TRUE(partner_sees_a_signal());
  EXPECT_EQ(link_soon(), "up, 1000 Mb/s, full duplex");
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.phy_enabled = false; }));
  EXPECT_FALSE(partner_sees_a_signal()) << "at once, on a stopped port, too";
}

TEST_F(PortLinkControl, ReportsThePartner) {
  LinkDetails details = control()->link_details().value();
  EXPECT_EQ(details.phy, "IGP03");
  EXPECT_EQ(details.phy_id & mii::kIdMask, mii::kId);
  ASSERT_TRUE(details.partner);
  EXPECT_TRUE(details.partner->negotiates);
  EXPECT_EQ(to_string(details.partner->modes), "10/half 10/full 100/half 100/full 1000/half 1000/full");
  set_partner({.abilities = mii::k10Full | mii::k100Half | mii::kPauseAsymmetric,
               .gigabit_half = false,
               .gigabit_full = false});
  EXPECT_EQ(link_soon(), "up, 100 Mb/s, half duplex");
  details = control()->link_details().value();
  EXPECT_EQ(details.partner, (PartnerAbilities{.negotiates = true,
                                               .modes = {LinkMode::full_10, LinkMode::half_100},
                                               .pause = false,
                                               .asymmetric_pause = true}));
  set_partner({.abilities = mii::k10Full, .negotiates = false});
  EXPECT_EQ(link_soon(), "up, 10 Mb/s, half duplex");
  EXPECT_FALSE(control()->link_details()->partner->negotiates);
  fixture_.wire->set_carrier(false);
  EXPECT_FALSE(control()->link_details()->partner) << "no link, no partner";
}

TEST_F(PortLinkControl, ReportsTheCable) {
  LinkDetails details = control()->link_details().value();
  EXPECT_EQ(details.mdix, false);
  EXPECT_FALSE(details.cable) << "the PHY does not say";
  fixture_.card.with([](models::igb::Card& card) {
    card.phy().set_cable(true, true);
    card.phy().set_on_other_page(0x00B4, 0x0008);
    // 41, 61, 82 and 104 m: the mean without the shortest and the longest is 71.
    const std::array<std::uint16_t, 4> gains{31, 47, 63, 78};
    const std::array<std::uint16_t, 4> where{0x11B1, 0x12B1, 0x14B1, 0x18B1};
    for (std::size_t i = 0; i < gains.size(); ++i) {
      card.phy().set_on_other_page(where[i], static_cast<std::uint16_t>(gains[i] << 9));
    }
    return 0;
  });
  ASSERT_TRUE(control()->restart_negotiation());
  EXPECT_THAT(link_soon(), HasSubstr("1000"));
  details = control()->link_details().value();
  EXPECT_EQ(details.mdix, true);
  EXPECT_EQ(details.polarity_reversed, true);
  EXPECT_EQ(details.cable, (CableLength{.min = 56, .max = 86}));
  fixture_.card.with([](models::igb::Card& card) {
    card.phy().set_on_other_page(0x12B1, 0xFFFF);
    return 0;
  });
  EXPECT_FALSE(control()->link_details()->cable) << "a gain outside the table";
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.advertised = {LinkMode::full_10}}; }));
  EXPECT_THAT(link_soon(), HasSubstr("10 Mb/s"));
  details = control()->link_details().value();
  EXPECT_EQ(details.polarity_reversed, true);
  EXPECT_FALSE(details.cable) << "known at 1000 Mb/s only";
}

TEST_F(PortLinkControl, ReportsEachChangeAsAnEvent) {
  std::vector<PortEventKind> seen;
  ASSERT_TRUE(fixture_.port.service());
  fixture_.port.on_event([&](const PortEvent& event) { seen.push_back(event.kind); });
  ASSERT_TRUE(fixture_.port.service());
  const auto follow = [&] {
    ASSERT_TRUE(fixture_.port.service());
    EXPECT_TRUE(fixture_.port.wait_for_link(seconds(5)));
    ASSERT_TRUE(fixture_.port.service());
  };
  seen.clear();
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.advertised = {LinkMode::full_10}}; }));
  follow();
  ASSERT_TRUE(control()->restart_negotiation());
  follow();
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.phy_enabled = false; }));
  ASSERT_TRUE(fixture_.port.service());
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.phy_enabled = true; }));
  follow();
  using Kind = PortEventKind;
  EXPECT_THAT(seen, testing::ElementsAre(Kind::link_down, Kind::link_up, Kind::link_down, Kind::link_up,
                                         Kind::link_down, Kind::link_up));
}

TEST_F(PortLinkControl, ReadsAndWritesRegistersOfThePhy) {
  EXPECT_EQ(phy(mii::kId1), mii::kId >> 16);
  ASSERT_TRUE(registers()->write_phy_register({.number = mii::kAdvertise}, 0x0DE1));
  EXPECT_EQ(phy(mii::kAdvertise), 0x0DE1);
  fixture_.card.with([](models::igb::Card& card) {
    card.phy().set_on_other_page(0x11B1, 0x1234);
    return 0;
  });
  EXPECT_EQ(registers()->read_phy_register({.number = 17, .page = 0x11B1 >> 5}).value(), 0x1234);
  EXPECT_EQ(phy(17) & mii::kPortSpeedMask, mii::kPortSpeed1000) << "page 0 again";
  const auto refusal = [&](const PhyRegister& which) {
    const auto read = registers()->read_phy_register(which);
    EXPECT_FALSE(read);
    return read ? std::string() : read.error().message();
  };
  EXPECT_THAT(refusal({.number = 32}), HasSubstr("no register 32"));
  EXPECT_THAT(refusal({.number = 17, .page = 2048}), HasSubstr("no page 2048"));
  EXPECT_THAT(refusal({.number = 5, .page = 1}), HasSubstr("has no pages"));
  EXPECT_THAT(refusal({.number = 17, .page = 1, .address = 2}), HasSubstr("has no pages"));
  EXPECT_THAT(refusal({.number = 1, .address = 32}), HasSubstr("not the address"));
  EXPECT_THAT(refusal({.number = 1, .address = 5}), HasSubstr("MDIC.ERROR")) << "no PHY is there";
  EXPECT_EQ(fixture_.card.with([](models::igb::Card& card) { return card.phy().other_pages(); }), 0u);
}

// Two ports at the ends of a wire: each sees what the other one offers.
TEST(LinkedPorts, SeeEachOthersModes) {
  ContextOptions context_options;
  context_options.clock = std::make_shared<ManualClock>();
  Context context(context_options);
  Mempool pool = Mempool::create(context, {.count = 1024}).value();
  const Settings config{.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}};
  Port left = open(context, "sim:0", config).value();
  Port right = open(context, "sim:1", config).value();
  const auto both_up = [&] { return left.wait_for_link(seconds(5)) && right.wait_for_link(seconds(5)); };
  ASSERT_TRUE(both_up());
  const auto seen_by_right = [&] { return right.capability<LinkControl>()->link_details().value(); };
  ASSERT_TRUE(left.change([](Settings& settings) {
    settings.link = {.advertised = {LinkMode::full_10, LinkMode::half_100}};
  }));
  EXPECT_FALSE(right.link().up);
  ASSERT_TRUE(both_up());
  EXPECT_EQ(seen_by_right().partner->modes, (LinkModes{LinkMode::full_10, LinkMode::half_100}));
  EXPECT_EQ(to_string(right.link()), "up, 100 Mb/s, half duplex");
  ASSERT_TRUE(left.change([](Settings& settings) { settings.link = {.forced = LinkMode::full_10}; }));
  ASSERT_TRUE(both_up());
  EXPECT_FALSE(seen_by_right().partner->negotiates);
  EXPECT_EQ(to_string(right.link()), "up, 10 Mb/s, half duplex") << "the duplex mode is not seen";
  ASSERT_TRUE(left.change([](Settings& settings) { settings.phy_enabled = false; }));
  EXPECT_FALSE(right.link().up);
}

// A PHY of an unknown kind has the registers of clause 22 only, so the driver touches no others.
TEST(PortWithUnknownPhy, NegotiatesByStandardRegisters) {
  hw::igb::CardTraits traits = hw::igb::kCards[0];
  traits.phy.id = 0x01410CC0;
  CardFixtureOptions options;
  options.card.traits = &traits;
  CardFixture fixture(options);
  const auto control = fixture.port.capability<LinkControl>();
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.link = {.forced = LinkMode::full_100}; }));
  ASSERT_TRUE(fixture.port.wait_for_link(seconds(5)));
  EXPECT_THAT(control->link_details()->phy, HasSubstr("generic"));
  EXPECT_FALSE(control->link_details()->mdix);
}

// Collisions are injected; the card gives up after the 16th.
TEST_F(PortLinkControl, CountsTheCollisionsOfHalfDuplex) {
  using models::igb::Contention;
  const auto inject = [&](const Contention& contention) {
    fixture_.card.with([&](models::igb::Card& card) {
      card.transmitter().collisions().inject(contention);
      return 0;
    });
  };
  const auto leaves = [&] {
    const std::size_t before = fixture_.sent.size();
    EXPECT_TRUE(fixture_.transmit(counting_frame(60)));
    return fixture_.sent.size() > before;
  };
  const auto meets = [&](const Contention& contention) {
    inject(contention);
    return leaves();
  };
  EXPECT_TRUE(meets({.collisions = 16})) << "full duplex";
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.link = {.forced = LinkMode::half_100}; }));
  EXPECT_THAT(link_soon(), HasSubstr("half"));
  EXPECT_FALSE(leaves()) << "it meets what was injected before";
  EXPECT_TRUE(meets({.collisions = 1}));
  EXPECT_TRUE(meets({.deferred = true, .collisions = 15}));
  EXPECT_FALSE(meets({.collisions = 17}));
  EXPECT_TRUE(meets({.late = true})) << "TCTL.RTLC repeats it";
  const Stats stats = fixture_.port.stats();
  EXPECT_EQ(stats.collisions, 16u + 1 + 15 + 16);
  EXPECT_EQ(stats.tx_aborted_errors, 2u);
  EXPECT_EQ(stats.tx_window_errors, 1u);
  EXPECT_EQ(stats.tx_errors, 3u);
  EXPECT_EQ(stats.tx_packets, 4u);
}

TEST(LedValues, FollowTheNvm) {
  // The default: light 3 is off and then on, light 2 is off both times.
  const auto usual = led_values(0x07068302, 0xFFFF);
  EXPECT_EQ(usual.automatic, 0x07068302u);
  EXPECT_EQ(usual.off, 0x0F0F8302u);
  EXPECT_EQ(usual.on, 0x0E0F8302u);
  EXPECT_EQ(usual.blink, 0x8E0F8302u);
  EXPECT_EQ(led_values(0x07068302, 0).blink, usual.blink);
  // Light 0 is on at first, light 1 on the second time, light 2 always; 0xA is reserved.
  const auto other = led_values(0, 0xA524);
  EXPECT_EQ(other.off, 0x000E000Eu);
  EXPECT_EQ(other.on, 0x000E0E00u);
  // An inverted light that is "off" shines.
  EXPECT_EQ(led_values(0x40, 0x1113).on, 0x0Fu);
  EXPECT_EQ(led_values(0x40, 0x1113).blink, 0x8Fu & ~0x01u);
}

TEST_F(PortLinkControl, TheLedSurvivesAResetAndBecomesAutomaticAgain) {
  const auto set_led = [&](LedMode mode) {
    return fixture_.port.change([=](Settings& settings) { settings.led = mode; });
  };
  EXPECT_EQ(fixture_.port.settings().led, LedMode::automatic);
  const std::uint32_t automatic = fixture_.card.value<reg::LEDCTL>().raw();
  const auto values = led_values(automatic, 0);
  for (const auto& [mode, value] : {std::pair{LedMode::blink, values.blink}, std::pair{LedMode::on, values.on},
                                    std::pair{LedMode::off, values.off}, std::pair{LedMode::automatic, automatic}}) {
    ASSERT_TRUE(set_led(mode));
    EXPECT_EQ(fixture_.port.settings().led, mode);
    EXPECT_EQ(fixture_.card.value<reg::LEDCTL>().raw(), value);
    restart();
    EXPECT_EQ(fixture_.card.value<reg::LEDCTL>().raw(), value);
  }
  ASSERT_TRUE(set_led(LedMode::blink));
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(fixture_.card.value<reg::LEDCTL>().raw(), automatic);
  EXPECT_EQ(set_led(LedMode::on).error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
