// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/pci/address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace pollux::pci {
namespace {

TEST(Address, ReadsEveryPart) {
  const auto address = Address::parse("00ab:3F:1e.7");
  ASSERT_TRUE(address);
  EXPECT_EQ(*address, (Address{0xab, 0x3f, 0x1e, 7}));
  EXPECT_EQ(address->to_string(), "00ab:3f:1e.7");
}

TEST(Address, TakesDomainZeroWhereNoneIsWritten) {
  EXPECT_EQ(Address::parse("01:00.0"), (Address{0, 1, 0, 0}));
  EXPECT_EQ(Address::parse("01:00.0")->to_string(), "0000:01:00.0");
}

TEST(Address, TakesTheLongDomainsOfVmd) {
  EXPECT_EQ(Address::parse("10000:e1:00.0")->to_string(), "10000:e1:00.0");
  EXPECT_EQ(Address::parse("ffffffff:e1:00.0")->domain, 0xffffffffU);
}

TEST(Address, IsOrderedByDomainBusDeviceFunction) {
  std::vector<std::string> words{"10000:00:00.0", "0000:01:00.1", "0000:01:00.0", "0000:00:1f.0", "0001:00:00.0"};
  std::vector<Address> addresses;
  for (const auto& word : words) addresses.push_back(Address::parse(word).value());
  std::sort(addresses.begin(), addresses.end());
  words.clear();
  for (const auto& address : addresses) words.push_back(address.to_string());
  EXPECT_THAT(words,
              testing::ElementsAre("0000:00:1f.0", "0000:01:00.0", "0000:01:00.1", "0001:00:00.0", "10000:00:00.0"));
}

class MalformedAddress : public testing::TestWithParam<const char*> {};

TEST_P(MalformedAddress, IsRefusedAndQuoted) {
  const auto address = Address::parse(GetParam());
  ASSERT_FALSE(address) << address->to_string();
  EXPECT_EQ(address.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(address.error().what, testing::HasSubstr(std::string("'") + GetParam() + "'"));
  EXPECT_THAT(address.error().hint, testing::HasSubstr("0000:01:00.0"));
}

INSTANTIATE_TEST_SUITE_P(, MalformedAddress,
                         testing::Values("", ":", ".", ":.", "eth0", "0000:01:00", "0000:01:20.0", "0000:01:00.8",
                                         "01:00.00", "1:00.0", "01:0.0", "01:00.", ":00.0", "000:01:00.0",
                                         "000000000:01:00.0", "0000:01:00.0 ", " 0000:01:00.0", "0000:-1:00.0",
                                         "0000:+1:00.0", "0000:0x:00.0", "0000:01:00.0.0", "0000:01:00:0",
                                         "0:0000:01:00.0", "0000:01.00:0", "../../etc:01:00.0", "0000:01:00.0/../.."));

}  // namespace
}  // namespace pollux::pci
