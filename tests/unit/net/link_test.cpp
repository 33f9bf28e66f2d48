// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pollux/net/link_control.hpp"

namespace pollux {
namespace {

TEST(Link, DescribesItself) {
  EXPECT_EQ(to_string(Link{}), "down");
  EXPECT_EQ(to_string(Link{.up = false, .speed = 1000}), "down") << "a speed without a link means nothing";
  EXPECT_EQ(to_string(Link{.up = true, .speed = 1000}), "up, 1000 Mb/s, full duplex");
  EXPECT_EQ(to_string(Link{.up = true, .speed = 10, .duplex = Duplex::half}), "up, 10 Mb/s, half duplex");
}

TEST(Link, MacAddressesAreWrittenByteByByte) {
  EXPECT_EQ(to_string(MacAddress{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}), "52:54:00:12:34:56");
  EXPECT_EQ(to_string(MacAddress{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), "ff:ff:ff:ff:ff:ff");
  EXPECT_EQ(to_string(MacAddress{}), "00:00:00:00:00:00");
}

TEST(Link, AreEqualIfAllMembersAreEqual) {
  const Link link{.up = true, .speed = 100, .duplex = Duplex::half, .autonegotiated = false};
  EXPECT_EQ(link, Link(link));
  for (const Link& other : {Link{.up = false, .speed = 100, .duplex = Duplex::half, .autonegotiated = false},
                            Link{.up = true, .speed = 1000, .duplex = Duplex::half, .autonegotiated = false},
                            Link{.up = true, .speed = 100, .duplex = Duplex::full, .autonegotiated = false},
                            Link{.up = true, .speed = 100, .duplex = Duplex::half, .autonegotiated = true}}) {
    EXPECT_NE(link, other) << to_string(other);
  }
}

// The speeds are those of ethtool (Linux, include/uapi/linux/ethtool.h, SPEED_10 and so on).
TEST(LinkModes, ReachFrom10To400000) {
  EXPECT_EQ(
      to_string(kAllLinkModes),
      "10/half 10/full 100/half 100/full 1000/half 1000/full 2500/full 5000/full 10000/full 20000/full 25000/full "
      "40000/full 50000/full 100000/full 200000/full 400000/full");
  for (const LinkMode mode : kLinkModes) {
    EXPECT_EQ(parse_link_mode(to_string(mode)), mode);
    EXPECT_TRUE(kAllLinkModes.contains(mode));
    EXPECT_FALSE(LinkModes().contains(mode));
  }
  EXPECT_EQ(speed_of(LinkMode::full_400000), 400'000U);
  EXPECT_FALSE(parse_link_mode("2500/half"));
}

TEST(LinkModes, OfAFastPortAreCheckedAgainstWhatItSupports) {
  const LinkModes supported{LinkMode::full_1000, LinkMode::full_2500, LinkMode::full_10000};
  EXPECT_TRUE(check_link_config("fast:0", {}, supported));
  EXPECT_TRUE(check_link_config("fast:0", {.advertised = {LinkMode::full_2500}}, supported));
  EXPECT_FALSE(check_link_config("fast:0", {.advertised = {LinkMode::full_5000}}, supported));
  const auto forced = check_link_config("fast:0", {.forced = LinkMode::full_2500}, supported);
  ASSERT_FALSE(forced);
  EXPECT_THAT(forced.error().message(), testing::HasSubstr("advertise 2500/full alone"));
}

}  // namespace
}  // namespace pollux
