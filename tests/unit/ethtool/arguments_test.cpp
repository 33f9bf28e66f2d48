// SPDX-License-Identifier: BSD-3-Clause
#include "ethtool/arguments.hpp"

#include <gtest/gtest.h>

namespace pollux::tool {
namespace {

using Words = std::vector<std::string>;

TEST(EthtoolArguments, TheDeviceFollowsTheOption) {
  EXPECT_EQ(ethtool_device({"plx0"}), 0U);
  EXPECT_EQ(ethtool_device({"-S", "plx0"}), 1U);
  EXPECT_EQ(ethtool_device({"--debug", "1", "-s", "plx0", "autoneg", "on"}), 3U);
  EXPECT_EQ(ethtool_device({"--debug", "1", "plx0"}), 2U);
}

TEST(EthtoolArguments, SomeNameNoDevice) {
  for (const Words& words : {Words{}, Words{"--version"}, Words{"-S"}, Words{"--debug"}, Words{"--debug", "1"}})
    EXPECT_FALSE(ethtool_device(words));
}

TEST(EthtoolArguments, WhatNeedsNetlinkIsRejectedByName) {
  for (const Words& words : {Words{"--cable-test", "plx0"}, Words{"--monitor"}, Words{"--json", "-S", "plx0"},
                             Words{"-I", "-a", "plx0"}, Words{"--debug", "1", "--show-module", "plx0"}}) {
    const auto checked = check_ethtool_arguments(words);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::not_supported);
    EXPECT_NE(checked.error().what.find("netlink"), std::string::npos);
  }
}

TEST(EthtoolArguments, AMissingToolIsNamedWithItsPackage) {
  const auto found = find_ethtool("/nonexistent:");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::not_found);
  EXPECT_NE(found.error().hint.find("apt install ethtool"), std::string::npos);
}

TEST(EthtoolArguments, AFileThatCannotBePreloadedIsRejected) {
  EXPECT_TRUE(check_preload("/usr/lib/pollux/pollux-ethtool.so"));
  for (const char* const path : {"/home/a b/pollux-ethtool.so", "/home/a:b/pollux-ethtool.so"}) {
    const auto checked = check_preload(path);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::not_supported);
    EXPECT_NE(checked.error().what.find(path), std::string::npos);
    EXPECT_NE(checked.error().hint.find("folder without them"), std::string::npos);
  }
}

TEST(EthtoolArguments, OthersArePassedOn) {
  for (const Words& words :
       {Words{"plx0"}, Words{"-S", "plx0"}, Words{"-s", "plx0", "--json"}, Words{"--version"}, Words{}})
    EXPECT_TRUE(check_ethtool_arguments(words));
}

}  // namespace
}  // namespace pollux::tool
