// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/link.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace pollux
