// SPDX-License-Identifier: BSD-3-Clause
// The port reports its link correctly and transfers frames with every kind of link partner.
#include <gtest/gtest.h>

#include <ostream>

#include "hw/intel/igb/phy.hpp"
#include "pollux/mem/burst.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

namespace mii = hw::igb::phy;
using models::igb::LinkPartner;

constexpr std::uint16_t kAll10 = mii::k10Half | mii::k10Full;
constexpr std::uint16_t kAll100 = mii::k100Half | mii::k100Full;

LinkPartner without_gigabit(unsigned abilities) {
  return {.abilities = static_cast<std::uint16_t>(abilities), .gigabit_half = false, .gigabit_full = false};
}

LinkPartner forced(unsigned abilities) {
  return {.abilities = static_cast<std::uint16_t>(abilities), .negotiates = false};
}

struct LinkCase {
  const char* name;
  LinkPartner partner;
  const char* link;  ///< the text of to_string(Link)
};

/// Prints the parameter in the test's name.
void PrintTo(const LinkCase& part, std::ostream* out) { *out << part.link; }

class PortLink : public testing::TestWithParam<LinkCase> {
 protected:
  static bool frame_arrives(IgbFixture& fixture, PortMachine& port) {
    Burst<4> burst;
    fixture.wire->inject(broadcast(64));
    return port.rx_queue(0)->rx_burst(burst) == 1;
  }
  static bool frame_is_sent(IgbFixture& fixture, PortMachine& port) {
    fixture.sent.clear();
    MbufPtr mbuf = fixture.pool.allocate();
    std::uint8_t* const data = mbuf->append(60);
    for (unsigned i = 0; i < 60; ++i) data[i] = static_cast<std::uint8_t>(i);
    Burst<1> burst;
    return burst.push(mbuf) && port.tx_queue(0)->tx_burst(burst) == 1 && fixture.sent.size() == 1;
  }
};

TEST_P(PortLink, IsReportedAndCarriesFrames) {
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) {
    card.phy().set_partner(GetParam().partner);
    return 0;
  });
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(to_string(port->link()), GetParam().link);
  const bool up = port->link().up;
  EXPECT_EQ(frame_arrives(fixture, *port), up);
  EXPECT_EQ(frame_is_sent(fixture, *port), up);
}

INSTANTIATE_TEST_SUITE_P(
    All, PortLink,
    testing::Values(LinkCase{"Full10", without_gigabit(kAll10), "up, 10 Mb/s, full duplex"},
                    LinkCase{"Half10", without_gigabit(mii::k10Half), "up, 10 Mb/s, half duplex"},
                    LinkCase{"Full100", without_gigabit(kAll100 | kAll10), "up, 100 Mb/s, full duplex"},
                    LinkCase{"Half100", without_gigabit(mii::k100Half | kAll10), "up, 100 Mb/s, half duplex"},
                    LinkCase{"Full1000", LinkPartner{}, "up, 1000 Mb/s, full duplex"},
                    // The driver advertises 1000 Mb/s with full duplex only.
                    LinkCase{"Half1000And100", LinkPartner{.gigabit_full = false}, "up, 100 Mb/s, full duplex"},
                    LinkCase{"Half1000Alone", LinkPartner{.abilities = 0, .gigabit_full = false}, "down"},
                    LinkCase{"Forced100", forced(mii::k100Full), "up, 100 Mb/s, half duplex"},
                    LinkCase{"Forced10", forced(mii::k10Half), "up, 10 Mb/s, half duplex"}),
    [](const auto& part) { return std::string(part.param.name); });

TEST(PortLinkChanges, FollowThePartnerThatIsPluggedIn) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(to_string(port->link()), "up, 1000 Mb/s, full duplex");
  fixture.wire->set_carrier(false);
  EXPECT_EQ(to_string(port->link()), "down");
  fixture.with_card([](models::igb::Card& card) {
    card.phy().set_partner(forced(mii::k10Half));
    return 0;
  });
  fixture.wire->set_carrier(true);
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(to_string(port->link()), "up, 10 Mb/s, half duplex");
}

}  // namespace
}  // namespace pollux::drivers::igb
